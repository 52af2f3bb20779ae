//! A C program and LiveKit's own client in one room, and LiveKit's server API: rows I and J.

use crate::peers;
use crate::program_c::trace;
use crate::server::{Kind, Server};
use crate::token::Claims;
use crate::within::{JOIN, SEEN};

/// The hub is not reachable for foreign clients: it has no TCP port, on purpose.
macro_rules! on_both_servers {
    ($($scenario:ident),* $(,)?) => {
        mod on_otc_serve {
            $(#[test] #[ignore = "needs the real peers: make test"] fn $scenario() { super::$scenario(super::Kind::Serve); })*
        }
        mod on_livekit_server {
            $(#[test] #[ignore = "needs the real peers: make test"] fn $scenario() { super::$scenario(super::Kind::LiveKit); })*
        }
    };
}

on_both_servers![
    a_foreign_client_is_a_connection_and_its_data_packets_are_signals,
    a_client_removed_over_the_server_api_hears_on_disconnected_alone,
    a_deleted_room_is_an_error_and_then_the_end,
];

fn a_foreign_client_is_a_connection_and_its_data_packets_are_signals(place: Kind) {
    let server = Server::start(place);
    let mut alice = trace(&server, "room", "alice");
    alice.tell(&format!("connect {}", Claims::new("room", "alice").livekit()));
    alice.expect("on_connected as alice", JOIN);

    let mut python = peers::client(&server, "room", "python");
    python.expect("participant_present alice", JOIN);
    python.expect("connected", JOIN);
    alice.expect("on_connection_created python", SEEN);

    python.tell("data greeting hello from python");
    alice.expect("on_signal_received greeting hello from python from python", SEEN);
    python.tell("data_to alice greeting only for alice");
    alice.expect("on_signal_received greeting only for alice from python", SEEN);
    alice.tell("signal greeting hello from C");
    alice.expect("on_signal_received greeting hello from C from alice", SEEN);
    python.expect("data greeting hello from C from alice", SEEN);
    alice.tell("signal_to python greeting only for python");
    python.expect("data greeting only for python from alice", SEEN);

    // The server itself speaks: a signal without a connection.
    peers::admin(&server, &["send", "room", "notice", "from the server"]);
    alice.expect("on_signal_received notice from the server from nobody", SEEN);
    python.expect("data notice from the server from nobody", SEEN);

    python.finish();
    alice.expect("on_connection_dropped python", SEEN);

    // And the other way round: who comes second sees who is there, and is seen leaving.
    let python = peers::client(&server, "room", "python");
    python.expect("participant_present alice", JOIN);
    python.expect("connected", JOIN);
    alice.expect("on_connection_created python", SEEN);
    alice.tell("disconnect");
    alice.expect("on_disconnected", SEEN);
    python.expect("participant_disconnected alice", SEEN);
    alice.finish();
}

/// Row I.
fn a_client_removed_over_the_server_api_hears_on_disconnected_alone(place: Kind) {
    let server = Server::start(place);
    let mut alice = trace(&server, "room", "alice");
    alice.tell(&format!("connect {}", Claims::new("room", "alice").livekit()));
    alice.expect("on_connected as alice", JOIN);
    let mut bob = trace(&server, "room", "bob");
    bob.tell(&format!("connect {}", Claims::new("room", "bob").livekit()));
    bob.expect("on_connected as bob", JOIN);
    bob.expect("on_connection_created alice", SEEN);
    alice.expect("on_connection_created bob", SEEN);
    peers::admin(&server, &["remove", "room", "bob"]);
    bob.expect("on_disconnected", SEEN);
    alice.expect("on_connection_dropped bob", SEEN);
    // Removed is not banned, and the session object is as good as new.
    bob.tell(&format!("connect {}", Claims::new("room", "bob").livekit()));
    bob.expect("on_connected as bob", JOIN);
    bob.expect("on_connection_created alice", SEEN);
    alice.expect("on_connection_created bob", SEEN);
    bob.finish();
    alice.expect("on_connection_dropped bob", SEEN);
    alice.finish();
}

/// Row J.
fn a_deleted_room_is_an_error_and_then_the_end(place: Kind) {
    let server = Server::start(place);
    let mut alice = trace(&server, "room", "alice");
    alice.tell(&format!("connect {}", Claims::new("room", "alice").livekit()));
    alice.expect("on_connected as alice", JOIN);
    peers::admin(&server, &["delete", "room"]);
    alice.expect("on_error 1022", SEEN);
    alice.expect("on_disconnected", SEEN);
    alice.tell("disconnect");
    alice.expect("disconnect = 1010", SEEN);
    alice.finish();
}
