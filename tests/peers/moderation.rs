//! Muting others: by the library's moderators, seen by its other clients and by LiveKit's.

use crate::child::Program;
use crate::media::hears;
use crate::media_ours::{everywhere, film, on_both_servers};
use crate::peers;
use crate::program_c;
use crate::server::{Kind, Server};
use crate::token::Claims;

fn moderator(server: &Server, room: &str, name: &str) -> Program {
    let mut program = program_c::film(server, room, name);
    let claims = Claims { is_moderator: true, ..Claims::new(room, name) };
    program.tell(&format!("connect {}", claims.livekit()));
    hears(&program, "connected");
    program
}

everywhere![moderators_mute_and_the_muted_may_speak_again];
on_both_servers![a_foreign_client_is_muted_with_all];

fn moderators_mute_and_the_muted_may_speak_again(place: Kind) {
    let server = Server::start(place);
    let mut alice = moderator(&server, "room", "alice");
    let mut bob = film(&server, "room", "bob");
    let mut carol = film(&server, "room", "carol");
    alice.tell("publish 320 240 audio");
    hears(&alice, "published");
    bob.tell("publish 320 240 audio");
    hears(&bob, "published");
    hears(&alice, "stream_received bob");
    hears(&carol, "subscribed film");
    hears(&carol, "subscribed film");

    bob.tell("force_mute alice");
    hears(&bob, "force_mute = 1540");
    alice.tell("force_mute bob");
    hears(&bob, "publisher_mute_forced");
    hears(&carol, "audio_disabled");
    bob.tell("unmute audio");
    hears(&carol, "audio_enabled");

    carol.tell("publish 320 240 audio");
    hears(&carol, "published");
    hears(&alice, "stream_received carol");
    hears(&bob, "stream_received carol");
    alice.tell("force_mute_all carol");
    // The mode and the single mutes go different ways, so their order is not fixed.
    hears_both(&bob, "mute_forced 1", "publisher_mute_forced");
    hears_both(&alice, "mute_forced 1", "publisher_mute_forced");
    hears(&carol, "mute_forced 1");
    carol.tell("unpublish");
    hears(&carol, "stream_destroyed");
    carol.tell("publish 320 240 audio");
    hears(&carol, "published");
    hears(&carol, "publisher_mute_forced");

    alice.tell("end_force_mute");
    for program in [&alice, &bob, &carol] {
        hears(program, "mute_forced 0");
    }
    alice.leave();
    bob.leave();
    carol.leave();
}

#[track_caller]
fn hears_both(program: &Program, one: &str, other: &str) {
    let mut missing = vec![one, other];
    program.find(&format!("{one} and {other}"), crate::media::START, |line| {
        missing.retain(|wanted| *wanted != line);
        missing.is_empty().then_some(())
    });
}

fn a_foreign_client_is_muted_with_all(place: Kind) {
    let server = Server::start(place);
    let mut alice = moderator(&server, "room", "alice");
    let publisher = peers::publish(&server, "room", "publisher", &["--no-video"]);
    hears(&publisher, "published");
    hears(&alice, "subscribed sound");
    alice.tell("force_mute_all");
    hears_both(&alice, "mute_forced 1", "audio_disabled");
    publisher.leave();
    alice.leave();
}
