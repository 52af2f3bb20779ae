//! Servers that are taken out of service, for programs that have asked for session migration (`loss.rs` has those that have
//! not), and moves into another room.

use opentok::signal::frame::FromServer;
use opentok::signal::proto::signal_response::Message;
use opentok::signal::proto::{
    DisconnectReason, LeaveRequest, RegionInfo, RegionSettings, Room, RoomMovedResponse,
    leave_request::Action,
};

use crate::child::Program;
use crate::interpreter::Interpreter;
use crate::program_c::{trace, trace_at, trace_with};
use crate::server::{Kind, Server};
use crate::token::Claims;
use crate::within::{GIVEN_UP, JOIN, SEEN};

const MIGRATES: (&str, &str) = ("TRACE_MIGRATES", "yes");

#[test]
fn a_server_that_is_replaced_is_followed_on_otc_serve() {
    a_server_that_is_replaced_is_followed(Kind::Serve);
}

#[test]
#[ignore = "needs the real peers: make test"]
fn a_server_that_is_replaced_is_followed_on_livekit_server() {
    a_server_that_is_replaced_is_followed(Kind::LiveKit);
}

/// It stops as its operator stops it, and another one takes its place.
fn a_server_that_is_replaced_is_followed(place: Kind) {
    let mut server = Server::start(place);
    let mut alice = trace_with(&server, "room", "alice", &[MIGRATES]);
    connect(&mut alice, "room", "alice");
    server.stop();
    alice.expect("on_reconnection_started", SEEN);
    alice.tell("signal chat from the gap");
    server.restart();
    alice.expect("on_reconnected", GIVEN_UP);
    alice.expect("on_signal_received chat from the gap from alice", SEEN);
    alice.tell("disconnect");
    alice.expect("on_disconnected", SEEN);
    alice.finish();
}

fn connect(program: &mut Program, room: &str, name: &str) {
    program.tell(&format!("connect {}", Claims::new(room, name).livekit()));
    program.expect(&format!("on_connected as {name}"), JOIN);
}

fn farewell(action: Action, regions: Option<RegionSettings>) -> FromServer {
    let reason = DisconnectReason::ServerShutdown as i32;
    let action = action as i32;
    FromServer::Message(Message::Leave(LeaveRequest { reason, action, regions, ..Default::default() }))
}

/// The server says in so many words that it shuts down, and asks nobody to come back.
#[test]
fn a_shutdown_is_a_pause_for_who_migrates_and_the_end_for_who_does_not() {
    let server = Server::start(Kind::Serve);
    let between = Interpreter::to(server.address());
    let url = between.url();
    let mut alice = trace_with(&server, "room", "alice", &[MIGRATES, ("OTC_URL", &url)]);
    connect(&mut alice, "room", "alice");
    between.say(farewell(Action::Disconnect, None));
    alice.expect("on_reconnection_started", SEEN);
    alice.expect("on_reconnected", GIVEN_UP);
    alice.finish();
    let mut bob = trace_at(&url, "room", "bob");
    connect(&mut bob, "room", "bob");
    between.say(farewell(Action::Disconnect, None));
    bob.expect("on_error 1022", SEEN);
    bob.expect("on_disconnected", SEEN);
    bob.finish();
}

#[test]
fn a_server_that_names_another_one_sends_who_migrates_there() {
    let (old, new) = (Server::start(Kind::Serve), Server::start(Kind::Serve));
    let between = Interpreter::to(old.address());
    let url = between.url();
    let mut bob = trace(&new, "room", "bob");
    connect(&mut bob, "room", "bob");
    let mut alice = trace_with(&old, "room", "alice", &[MIGRATES, ("OTC_URL", &url)]);
    connect(&mut alice, "room", "alice");
    let region = RegionInfo { url: new.api_url(), ..Default::default() };
    between.say(farewell(Action::Reconnect, Some(RegionSettings { regions: vec![region] })));
    alice.expect("on_reconnection_started", SEEN);
    alice.expect("on_reconnected", GIVEN_UP);
    alice.expect("on_connection_created bob", SEEN);
    bob.expect("on_connection_created alice", SEEN);
    alice.tell("signal_to bob chat from over there");
    bob.expect("on_signal_received chat from over there from alice", SEEN);
    alice.finish();
    bob.expect("on_connection_dropped alice", SEEN);
    bob.finish();
}

/// The server's part of the move is one message, put between its own; from the next reconnection on it is true.
#[test]
fn who_is_moved_to_another_room_leaves_the_others_behind_and_comes_back_there() {
    let server = Server::start(Kind::Serve);
    let between = Interpreter::to(server.address());
    let mut bob = trace(&server, "room", "bob");
    connect(&mut bob, "room", "bob");
    let mut eve = trace(&server, "other", "eve");
    connect(&mut eve, "other", "eve");

    let mut alice = trace_at(&between.url(), "room", "alice");
    connect(&mut alice, "room", "alice");
    alice.expect("on_connection_created bob", SEEN);
    bob.expect("on_connection_created alice", SEEN);
    between.say(FromServer::Message(Message::RoomMoved(RoomMovedResponse {
        room: Some(Room { name: "other".into(), ..Default::default() }),
        token: Claims::new("other", "alice").livekit(),
        ..Default::default()
    })));
    alice.expect("on_connection_dropped bob", SEEN);
    between.cut();
    alice.expect("on_reconnection_started", SEEN);
    alice.expect("on_reconnected", GIVEN_UP);
    alice.expect("on_connection_created eve", SEEN);
    eve.expect("on_connection_created alice", SEEN);
    alice.tell("signal_to eve chat hello eve");
    eve.expect("on_signal_received chat hello eve from alice", SEEN);
    eve.tell("signal_to alice chat hello alice");
    alice.expect("on_signal_received chat hello alice from eve", SEEN);
    alice.tell("disconnect");
    alice.expect("on_disconnected", SEEN);
    eve.expect("on_connection_dropped alice", SEEN);
    alice.finish();
    eve.finish();
    bob.leave();
}
