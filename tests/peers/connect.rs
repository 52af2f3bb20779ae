//! Connecting, leaving and signalling while nothing goes wrong, and tokens that must be refused: rows A, B, C and L.

use crate::program_c::trace;
use crate::server::{Kind, Server};
use crate::token::Claims;
use crate::within::{JOIN, SEEN};

/// The same scenarios in all three places. The hub and `otc serve` need nothing installed.
macro_rules! everywhere {
    ($($scenario:ident),* $(,)?) => {
        mod on_the_hub {
            $(#[test] fn $scenario() { super::$scenario(super::Kind::Hub); })*
        }
        mod on_otc_serve {
            $(#[test] fn $scenario() { super::$scenario(super::Kind::Serve); })*
        }
        mod on_livekit_server {
            $(#[test] #[ignore = "needs the real peers: make test"] fn $scenario() { super::$scenario(super::Kind::LiveKit); })*
        }
    };
}

everywhere![
    a_session_begins_and_ends,
    the_same_session_object_connects_again,
    a_refused_token_is_one_error_and_nothing_else,
    a_session_id_that_is_too_long_is_told_as_such,
    two_clients_see_each_other_come_and_go,
    signals_reach_all_and_one,
    a_session_deleted_while_connected_says_nothing_and_the_others_see_it_go,
    a_client_without_the_right_to_signal_is_told_so,
    a_moderator_removes_a_client_which_hears_on_disconnected_alone,
];

fn a_session_begins_and_ends(place: Kind) {
    let server = Server::start(place);
    let mut alice = trace(&server, "room", "alice");
    alice.tell(&format!("connect {}", Claims::new("room", "alice").livekit()));
    alice.expect("on_connected as alice", JOIN);
    alice.tell("disconnect");
    alice.expect("on_disconnected", SEEN);
    // Row L: the second call is refused, and nothing follows.
    alice.tell("disconnect");
    alice.expect("disconnect = 1010", SEEN);
    alice.finish();
}

fn the_same_session_object_connects_again(place: Kind) {
    let server = Server::start(place);
    let mut alice = trace(&server, "room", "alice");
    for _ in 0..3 {
        alice.tell(&format!("connect {}", Claims::new("room", "alice").livekit()));
        alice.expect("on_connected as alice", JOIN);
        alice.tell("disconnect");
        alice.expect("on_disconnected", SEEN);
    }
    alice.finish();
}

fn a_refused_token_is_one_error_and_nothing_else(place: Kind) {
    let server = Server::start(place);
    let mut alice = trace(&server, "room", "alice");
    for token in bad_tokens(place) {
        alice.tell(&format!("connect {token}"));
        alice.expect("on_error 1004", JOIN);
        alice.tell("disconnect");
        alice.expect("disconnect = 1010", SEEN);
    }
    assert!(!alice.has_said("MISSING"), "every error has a sentence for people");
    // Whatever would have followed the last error comes before this.
    alice.tell(&format!("connect {}", Claims::new("room", "alice").livekit()));
    alice.expect("on_connected as alice", JOIN);
    alice.finish();
}

/// Wrong in one thing each.
fn bad_tokens(place: Kind) -> Vec<String> {
    let good = || Claims::new("room", "alice");
    let mut tokens = vec![
        String::new(),
        "nonsense".to_owned(),
        "T1==bm9uc2Vuc2U=".to_owned(),
        "a.b.c".to_owned(),
        Claims { expires_in_seconds: -120, ..good() }.livekit(),
        Claims { key: "otherkey".to_owned(), ..good() }.livekit(),
        Claims { secret: "another-secret-of-the-tests-just-as-long".to_owned(), ..good() }.livekit(),
        Claims { session: "another".to_owned(), ..good() }.livekit(),
    ];
    // A LiveKit server takes no classic token at all, whatever is in it.
    tokens.extend(match place {
        Kind::LiveKit => vec![good().classic()],
        Kind::Hub | Kind::Serve => vec![
            Claims { expires_in_seconds: -120, ..good() }.classic(),
            Claims { key: "otherkey".to_owned(), ..good() }.classic(),
            Claims { secret: "another-secret-of-the-tests-just-as-long".to_owned(), ..good() }.classic(),
            Claims { session: "another".to_owned(), ..good() }.classic(),
        ],
    });
    tokens
}

fn a_session_id_that_is_too_long_is_told_as_such(place: Kind) {
    let server = Server::start(place);
    let room = "r".repeat(256);
    let mut alice = trace(&server, &room, "alice");
    alice.tell(&format!("connect {}", Claims::new(&room, "alice").livekit()));
    alice.expect("on_error 1005", JOIN);
    alice.finish();
}

/// Row I, by a client's own hand.
fn a_moderator_removes_a_client_which_hears_on_disconnected_alone(place: Kind) {
    let server = Server::start(place);
    let mut alice = trace(&server, "room", "alice");
    let moderator = Claims { is_moderator: true, ..Claims::new("room", "alice") };
    alice.tell(&format!("connect {}", moderator.livekit()));
    alice.expect("on_connected as alice", JOIN);
    let mut bob = trace(&server, "room", "bob");
    bob.tell(&format!("connect {}", Claims::new("room", "bob").livekit()));
    bob.expect("on_connected as bob", JOIN);
    bob.expect("on_connection_created alice", SEEN);
    alice.expect("on_connection_created bob", SEEN);
    bob.tell("remove alice");
    bob.expect("remove = 1520", SEEN);
    alice.tell("remove bob");
    bob.expect("on_disconnected", SEEN);
    alice.expect("on_connection_dropped bob", SEEN);
    bob.finish();
    alice.finish();
}

fn two_clients_see_each_other_come_and_go(place: Kind) {
    let server = Server::start(place);
    let mut alice = trace(&server, "room", "alice");
    alice.tell(&format!("connect {}", Claims::new("room", "alice").livekit()));
    alice.expect("on_connected as alice", JOIN);
    let mut bob = trace(&server, "room", "bob");
    bob.tell(&format!("connect {}", Claims::new("room", "bob").livekit()));
    bob.expect("on_connected as bob", JOIN);
    bob.expect("on_connection_created alice", SEEN);
    alice.expect("on_connection_created bob", SEEN);
    bob.tell("disconnect");
    // Its own leave says nothing about the others.
    bob.expect("on_disconnected", SEEN);
    bob.finish();
    alice.expect("on_connection_dropped bob", SEEN);
    alice.finish();
}

fn signals_reach_all_and_one(place: Kind) {
    let server = Server::start(place);
    let mut alice = trace(&server, "room", "alice");
    alice.tell(&format!("connect {}", Claims::new("room", "alice").livekit()));
    alice.expect("on_connected as alice", JOIN);
    let mut bob = trace(&server, "room", "bob");
    bob.tell(&format!("connect {}", Claims::new("room", "bob").livekit()));
    bob.expect("on_connected as bob", JOIN);
    bob.expect("on_connection_created alice", SEEN);
    alice.expect("on_connection_created bob", SEEN);

    // To all: the sender hears itself too.
    alice.tell("signal chat hello everybody");
    alice.expect("on_signal_received chat hello everybody from alice", SEEN);
    bob.expect("on_signal_received chat hello everybody from alice", SEEN);
    // To one: the sender hears nothing. What it hears next is bob's answer.
    alice.tell("signal_to bob chat hello bob");
    bob.expect("on_signal_received chat hello bob from alice", SEEN);
    bob.tell("signal_to alice chat hello alice");
    alice.expect("on_signal_received chat hello alice from bob", SEEN);

    // In order, and none lost.
    for number in 0..100 {
        alice.tell(&format!("signal count {number}"));
    }
    for number in 0..100 {
        bob.expect(&format!("on_signal_received count {number} from alice"), SEEN);
        alice.expect(&format!("on_signal_received count {number} from alice"), SEEN);
    }

    // The limits of type and data, and the letters a type may have.
    alice.tell(&format!("signal {} x", "t".repeat(129)));
    alice.expect("signal = 1414", SEEN);
    alice.tell(&format!("signal type {}", "x".repeat(8193)));
    alice.expect("signal = 1413", SEEN);
    alice.tell("signal bad\ttype x");
    alice.expect("signal = 1461", SEEN);
    // On the hub alice is the host: she leaves last, so that bob's end is nothing but his own.
    bob.finish();
    alice.expect("on_connection_dropped bob", SEEN);
    alice.finish();
}

/// Row K. The farewell goes out although nobody waits for it: a server that heard none would keep the client for 23 s.
fn a_session_deleted_while_connected_says_nothing_and_the_others_see_it_go(place: Kind) {
    let server = Server::start(place);
    let mut alice = trace(&server, "room", "alice");
    alice.tell(&format!("connect {}", Claims::new("room", "alice").livekit()));
    alice.expect("on_connected as alice", JOIN);
    let mut bob = trace(&server, "room", "bob");
    bob.tell(&format!("connect {}", Claims::new("room", "bob").livekit()));
    bob.expect("on_connected as bob", JOIN);
    bob.expect("on_connection_created alice", SEEN);
    alice.expect("on_connection_created bob", SEEN);
    bob.tell("delete");
    alice.expect("on_connection_dropped bob", SEEN);
    bob.finish();
    alice.finish();
}

fn a_client_without_the_right_to_signal_is_told_so(place: Kind) {
    let server = Server::start(place);
    let mut alice = trace(&server, "room", "alice");
    alice
        .tell(&format!("connect {}", Claims { may_signal: false, ..Claims::new("room", "alice") }.livekit()));
    alice.expect("on_connected as alice", JOIN);
    alice.tell("signal chat hello");
    alice.expect("signal = 1550", SEEN);
    alice.finish();
}

/// Classic tokens are for the hub and for `otc serve`; each connect is a connection of its own, also with the same token.
fn one_classic_token_makes_two_connections(place: Kind) {
    let server = Server::start(place);
    let token = Claims::new("room", "twin").classic();
    let mut first = trace(&server, "room", "first");
    first.tell(&format!("connect {token}"));
    first.expect("on_connected as twin", JOIN);
    let mut second = trace(&server, "room", "second");
    second.tell(&format!("connect {token}"));
    second.expect("on_connected as twin", JOIN);
    second.expect("on_connection_created twin", SEEN);
    first.expect("on_connection_created twin", SEEN);
    second.finish();
    first.expect("on_connection_dropped twin", SEEN);
    first.finish();
}

#[test]
fn one_classic_token_makes_two_connections_on_the_hub() {
    one_classic_token_makes_two_connections(Kind::Hub);
}

#[test]
fn one_classic_token_makes_two_connections_on_otc_serve() {
    one_classic_token_makes_two_connections(Kind::Serve);
}

/// LiveKit keeps identities unique: row D for the one that was there first.
#[test]
#[ignore = "needs the real peers: make test"]
fn a_second_join_with_one_identity_ends_the_first_on_livekit_server() {
    let server = Server::start(Kind::LiveKit);
    let token = Claims::new("room", "twin").livekit();
    let mut first = trace(&server, "room", "first");
    first.tell(&format!("connect {token}"));
    first.expect("on_connected as twin", JOIN);
    let mut second = trace(&server, "room", "second");
    second.tell(&format!("connect {token}"));
    second.expect("on_connected as twin", JOIN);
    first.expect("on_error 1022", SEEN);
    first.expect("on_disconnected", SEEN);
    assert!(first.has_said("identity"), "the sentence says what to do about it");
    first.finish();
    second.finish();
}
