//! Servers that stop, die, freeze and come back, and clients that die: rows D to H.

use std::thread;

use crate::child::Program;
use crate::program_c::{trace, trace_at};
use crate::relay::Relay;
use crate::server::{Kind, Server};
use crate::token::Claims;
use crate::within::{GIVEN_UP, JOIN, LOSS_NOTICED, MISSED, PROMISED_END, SEEN};

macro_rules! on_both_servers {
    ($($scenario:ident),* $(,)?) => {
        mod on_otc_serve {
            $(#[test] fn $scenario() { super::$scenario(super::Kind::Serve); })*
        }
        mod on_livekit_server {
            $(#[test] #[ignore = "needs the real peers: make test"] fn $scenario() { super::$scenario(super::Kind::LiveKit); })*
        }
    };
}

on_both_servers![
    a_cut_link_is_resumed_and_the_others_notice_nothing,
    a_killed_server_that_comes_back_is_a_reconnection,
    a_killed_server_that_stays_away_is_given_up,
    a_frozen_server_is_noticed_and_recovered,
    leaving_while_the_server_is_frozen_takes_two_seconds_at_most,
    leaving_while_reconnecting_is_not_an_error,
    leaving_while_joining_is_not_an_error,
    a_stopped_server_is_the_end_or_a_pause_as_it_says,
    a_server_that_is_not_there_is_one_error,
    a_killed_client_is_dropped_for_the_others,
];

fn connected(server: &Server, name: &str) -> Program {
    let mut program = trace(server, "room", name);
    program.tell(&format!("connect {}", Claims::new("room", name).livekit()));
    program.expect(&format!("on_connected as {name}"), JOIN);
    program
}

/// Row E, by resuming: the server has kept the participant and its peer connections.
fn a_cut_link_is_resumed_and_the_others_notice_nothing(place: Kind) {
    let server = Server::start(place);
    let relay = Relay::to(server.address());
    let mut bob = connected(&server, "bob");
    let mut alice = trace_at(&relay.url(), "room", "alice");
    alice.tell(&format!("connect {}", Claims::new("room", "alice").livekit()));
    alice.expect("on_connected as alice", JOIN);
    alice.expect("on_connection_created bob", SEEN);
    bob.expect("on_connection_created alice", SEEN);
    for round in 1..=3 {
        relay.cut();
        alice.expect("on_reconnection_started", LOSS_NOTICED);
        alice.tell(&format!("signal chat in gap {round}"));
        alice.expect("on_reconnected", GIVEN_UP);
        alice.expect(&format!("on_signal_received chat in gap {round} from alice"), SEEN);
        // The next that bob hears of alice is her signal: no drop, no second arrival.
        bob.expect(&format!("on_signal_received chat in gap {round} from alice"), SEEN);
        bob.tell(&format!("signal_to alice chat welcome back {round}"));
        alice.expect(&format!("on_signal_received chat welcome back {round} from bob"), SEEN);
    }
    alice.tell("disconnect");
    alice.expect("on_disconnected", SEEN);
    bob.expect("on_connection_dropped alice", SEEN);
    alice.finish();
    bob.finish();
}

/// Row E, by a full rejoin: the new server knows nothing of us.
fn a_killed_server_that_comes_back_is_a_reconnection(place: Kind) {
    let mut server = Server::start(place);
    let mut alice = connected(&server, "alice");
    server.kill();
    alice.expect("on_reconnection_started", LOSS_NOTICED);
    // Said during the gap, heard after it.
    alice.tell("signal chat from the gap");
    server.restart();
    alice.expect("on_reconnected", GIVEN_UP);
    alice.expect("on_signal_received chat from the gap from alice", SEEN);
    alice.tell("disconnect");
    alice.expect("on_disconnected", SEEN);
    alice.finish();
}

/// Row F.
fn a_killed_server_that_stays_away_is_given_up(place: Kind) {
    let mut server = Server::start(place);
    let mut alice = connected(&server, "alice");
    server.kill();
    alice.expect("on_reconnection_started", LOSS_NOTICED);
    alice.expect("on_error 1022", GIVEN_UP);
    alice.expect("on_disconnected", SEEN);
    alice.tell("disconnect");
    alice.expect("disconnect = 1010", SEEN);
    alice.finish();
}

/// Row E again: nothing is closed, there is only silence.
fn a_frozen_server_is_noticed_and_recovered(place: Kind) {
    let server = Server::start(place);
    let mut alice = connected(&server, "alice");
    server.freeze();
    alice.expect("on_reconnection_started", LOSS_NOTICED);
    server.thaw();
    alice.expect("on_reconnected", GIVEN_UP);
    alice.tell("signal chat still here");
    // A server that slept through its own time-outs may find the peer connection dead when it wakes, and ask for one more
    // resumption. The signal is not lost by that.
    let heard = "on_signal_received chat still here from alice";
    while alice.expect_one_of(&[heard, "on_reconnection_started"], SEEN) != 0 {
        alice.expect("on_reconnected", GIVEN_UP);
    }
    alice.tell("disconnect");
    // The same may have begun just before; what was said by then stands, and the end comes last all the same.
    while alice.expect_one_of(&["on_disconnected", "on_reconnection_started", "on_reconnected"], SEEN) != 0 {}
    alice.finish();
}

fn leaving_while_the_server_is_frozen_takes_two_seconds_at_most(place: Kind) {
    let server = Server::start(place);
    let mut alice = connected(&server, "alice");
    server.freeze();
    alice.tell("disconnect");
    alice.expect("on_disconnected", PROMISED_END);
    alice.finish();
}

/// Row G.
fn leaving_while_reconnecting_is_not_an_error(place: Kind) {
    let mut server = Server::start(place);
    let mut alice = connected(&server, "alice");
    server.kill();
    alice.expect("on_reconnection_started", LOSS_NOTICED);
    alice.tell("disconnect");
    alice.expect("on_disconnected", PROMISED_END);
    alice.finish();
}

/// Row H.
fn leaving_while_joining_is_not_an_error(place: Kind) {
    let mut server = Server::start(place);
    server.freeze();
    let mut alice = trace(&server, "room", "alice");
    alice.tell(&format!("connect {}", Claims::new("room", "alice").livekit()));
    alice.tell("disconnect");
    alice.expect("on_disconnected", PROMISED_END);
    alice.tell("disconnect");
    alice.expect("disconnect = 1010", SEEN);
    // Nothing of the abandoned attempt comes after it; the next one, on a server that knows nothing of it, is undisturbed.
    server.kill();
    server.restart();
    alice.tell(&format!("connect {}", Claims::new("room", "alice").livekit()));
    alice.expect("on_connected as alice", JOIN);
    alice.finish();
}

/// What a stopping server says decides. livekit-server says that it is over: row D. (It may end before that is on the wire; what
/// is left then is a cut link.) `otc serve` says to come back when it is there again: row E.
fn a_stopped_server_is_the_end_or_a_pause_as_it_says(place: Kind) {
    let mut server = Server::start(place);
    let mut alice = connected(&server, "alice");
    server.stop();
    let lawful: &[&str] = match place {
        Kind::LiveKit => &["on_error 1022", "on_reconnection_started"],
        Kind::Serve | Kind::Hub => &["on_reconnection_started"],
    };
    let is_over = lawful[alice.expect_one_of(lawful, SEEN)] == "on_error 1022";
    if is_over {
        alice.expect("on_disconnected", SEEN);
        alice.tell("disconnect");
        alice.expect("disconnect = 1010", SEEN);
    }
    server.restart();
    if is_over {
        alice.tell(&format!("connect {}", Claims::new("room", "alice").livekit()));
        alice.expect("on_connected as alice", JOIN);
    } else {
        alice.expect("on_reconnected", GIVEN_UP);
    }
    alice.finish();
}

/// Row B: the port is closed.
fn a_server_that_is_not_there_is_one_error(place: Kind) {
    let mut server = Server::start(place);
    server.kill();
    let mut alice = trace(&server, "room", "alice");
    alice.tell(&format!("connect {}", Claims::new("room", "alice").livekit()));
    alice.expect("on_error 1023", JOIN);
    alice.tell("disconnect");
    alice.expect("disconnect = 1010", SEEN);
    server.restart();
    alice.tell(&format!("connect {}", Claims::new("room", "alice").livekit()));
    alice.expect("on_connected as alice", JOIN);
    alice.finish();
}

fn a_killed_client_is_dropped_for_the_others(place: Kind) {
    let server = Server::start(place);
    let alice = connected(&server, "alice");
    let bob = connected(&server, "bob");
    bob.expect("on_connection_created alice", SEEN);
    alice.expect("on_connection_created bob", SEEN);
    bob.kill();
    alice.expect("on_connection_dropped bob", MISSED);
    alice.finish();
}

/// The first program of a session on the hub hosts it. When it is killed, the others take over by themselves.
#[test]
fn the_hub_outlives_the_program_that_hosts_it() {
    let server = Server::start(Kind::Hub);
    let host = connected(&server, "host");
    let mut alice = connected(&server, "alice");
    alice.expect("on_connection_created host", SEEN);
    let mut bob = connected(&server, "bob");
    bob.expect_all(&["on_connection_created host", "on_connection_created alice"], SEEN);
    alice.expect("on_connection_created bob", SEEN);
    host.kill();
    for program in [&alice, &bob] {
        program.expect("on_reconnection_started", LOSS_NOTICED);
        program.expect("on_reconnected", GIVEN_UP);
        program.expect("on_connection_dropped host", MISSED);
    }
    alice.tell("signal chat we are still here");
    alice.expect("on_signal_received chat we are still here from alice", SEEN);
    bob.expect("on_signal_received chat we are still here from alice", SEEN);
    bob.tell("signal chat so am I");
    alice.expect("on_signal_received chat so am I from bob", SEEN);
    // Which of the two is the new host is chance, so their leaving is left to other tests.
    alice.kill();
    bob.kill();
}

/// The host leaves in good order: for the others this is the same.
#[test]
fn the_hub_outlives_a_host_that_leaves() {
    let server = Server::start(Kind::Hub);
    let host = connected(&server, "host");
    let alice = connected(&server, "alice");
    alice.expect("on_connection_created host", SEEN);
    host.expect("on_connection_created alice", SEEN);
    thread::spawn(move || host.finish());
    // Whether the drop is heard before or after the change of hosts depends on which message is faster; both are lawful.
    alice.expect_all(&["on_connection_dropped host", "on_reconnection_started", "on_reconnected"], GIVEN_UP);
    alice.finish();
}
