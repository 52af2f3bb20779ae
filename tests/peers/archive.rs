//! `on_archive_started` and `on_archive_stopped`: LiveKit's recording state, which a client with a recorder's token makes.

use crate::child::Program;
use crate::program_c::trace;
use crate::server::{Kind, Server};
use crate::token::Claims;
use crate::within::{JOIN, SEEN};

#[test]
fn a_recording_is_heard_on_the_hub() {
    a_recording_is_heard_by_who_is_there_and_by_who_comes_later(Kind::Hub);
}

#[test]
fn a_recording_is_heard_on_otc_serve() {
    a_recording_is_heard_by_who_is_there_and_by_who_comes_later(Kind::Serve);
}

#[test]
#[ignore = "needs the real peers: make test"]
fn a_recording_is_heard_on_livekit_server() {
    a_recording_is_heard_by_who_is_there_and_by_who_comes_later(Kind::LiveKit);
}

fn connected(server: &Server, name: &str) -> Program {
    let mut program = trace(server, "room", name);
    let claims = Claims { is_recorder: name == "recorder", ..Claims::new("room", name) };
    program.tell(&format!("connect {}", claims.livekit()));
    program.expect(&format!("on_connected as {name}"), JOIN);
    program
}

/// The id of what has started.
#[track_caller]
fn started(program: &Program) -> String {
    program.find("a recording", SEEN, |line| {
        let id = line.strip_prefix("on_archive_started ").and_then(|rest| rest.strip_suffix(" ''"));
        assert!(id.is_some_and(|id| !id.is_empty()), "`{line}` where a recording was due");
        id.map(str::to_owned)
    })
}

fn a_recording_is_heard_by_who_is_there_and_by_who_comes_later(place: Kind) {
    let server = Server::start(place);
    let alice = connected(&server, "alice");
    // It is hidden: what alice hears is its work, and not its coming.
    let recorder = connected(&server, "recorder");
    let id = started(&alice);
    let bob = connected(&server, "bob");
    bob.expect("on_connection_created alice", SEEN);
    assert_eq!(started(&bob), id);
    alice.expect("on_connection_created bob", SEEN);
    recorder.leave();
    alice.expect(&format!("on_archive_stopped {id}"), SEEN);
    bob.expect(&format!("on_archive_stopped {id}"), SEEN);
    let recorder = connected(&server, "recorder");
    assert_eq!(started(&bob), id, "the id is the room's");
    recorder.leave();
    bob.expect(&format!("on_archive_stopped {id}"), SEEN);
    bob.leave();
    alice.leave();
}
