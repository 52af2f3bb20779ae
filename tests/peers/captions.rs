//! Captions: LiveKit's Python client transcribes what a program of the library says, in both forms.

use crate::media::hears;
use crate::media_ours::{film, on_both_servers};
use crate::peers;
use crate::server::{Kind, Server};

on_both_servers![captions_come_in_both_forms, captions_of_an_own_stream_come_to_who_watches_it];

fn captions_come_in_both_forms(place: Kind) {
    let server = Server::start(place);
    let mut alice = film(&server, "room", "alice");
    alice.tell("publish 320 240 audio");
    hears(&alice, "published");
    let bob = film(&server, "room", "bob");
    hears(&bob, "subscribed film");
    let mut agent = peers::agent(&server, "room", "agent");
    hears(&agent, "connected");
    agent.tell("transcribe alice good morning");
    for line in ["has_captions alice 1", "caption good 0", "caption good morning 1"] {
        hears(&bob, line);
    }
    agent.tell("transcribe_stream alice good evening all");
    // Of what is unfinished a busy program hears the newest.
    for line in ["caption good evening all 0", "caption good evening all 1"] {
        hears(&bob, line);
    }
    agent.leave();
    bob.leave();
    alice.leave();
}

fn captions_of_an_own_stream_come_to_who_watches_it(place: Kind) {
    let server = Server::start(place);
    let mut alice = film(&server, "room", "alice");
    alice.tell("publish 320 240 audio");
    hears(&alice, "published");
    alice.tell("watch_self");
    hears(&alice, "subscribed film");
    let mut agent = peers::agent(&server, "room", "agent");
    hears(&agent, "connected");
    agent.tell("transcribe alice good morning");
    hears(&alice, "caption good morning 1");
    agent.leave();
    alice.leave();
}
