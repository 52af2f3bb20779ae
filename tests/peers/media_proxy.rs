//! Media through a real HTTP proxy, tinyproxy, which names in its log what it was asked for: where all streams to a server are
//! its own, none has gone past it.

use crate::child::{Program, becomes_true};
use crate::media::{Sight, hears, sees};
use crate::media_ours::on_both_servers;
use crate::media_tcp::{becomes, streams_to};
use crate::program_c::film_by_proxy;
use crate::proxy::Proxy;
use crate::server::{Kind, Server};
use crate::token::Claims;
use crate::turn::{Coturn, START_LIMIT, USER, WORD, ends_with_error};

const GUARDED: &str = "BasicAuth guest pass-phrase";
const GUEST: &str = "guest:pass-phrase@";

/// A program that is about to be in the room. Its way there and its streams have a proxy with a password.
fn film(proxy: &Proxy, server: &Server, name: &str, turn: &[&str]) -> Program {
    let mut program = film_by_proxy(&proxy.url(GUEST), server, "room", name, turn);
    program.tell(&format!("connect {}", Claims::new("room", name).livekit()));
    program
}

/// Alice films and Bob watches.
fn filming(proxy: &Proxy, server: &Server, turn: &[&str]) -> (Program, Program) {
    let mut alice = film(proxy, server, "alice", turn);
    hears(&alice, "connected");
    let bob = film(proxy, server, "bob", turn);
    hears(&bob, "connected");
    alice.tell("publish 640 360 audio");
    hears(&alice, "published");
    sees_film(&bob);
    (alice, bob)
}

/// A film of any size. The proxy collects small pieces (TCP_NODELAY is not set there), and what comes in heaps is taken for a
/// narrow network.
fn sees_film(watcher: &Program) {
    let first = sees(watcher, "alice", "a film", Sight::is_film);
    sees(watcher, "alice", "the tone", Sight::is_tone);
    sees(watcher, "alice", "a film that goes on", |sight| sight.is_film() && sight.frame > first.frame);
}

fn keeps_its_word(program: &Program) {
    assert!(!program.has_said("pass-phrase") && !program.has_said(WORD), "not even the log names it");
}

on_both_servers![media_goes_through_the_proxy_to_a_server_that_takes_streams];

fn media_goes_through_the_proxy_to_a_server_that_takes_streams(place: Kind) {
    let (server, port) = Server::without_udp(place);
    let proxy = Proxy::start(GUARDED);
    let (alice, bob) = filming(&proxy, &server, &[]);
    // On our own server there is a connection only where media goes.
    let count = if place == Kind::LiveKit { 4 } else { 2 };
    becomes(port, count);
    assert_eq!(proxy.asked_for(format!("127.0.0.1:{port}")), count);
    keeps_its_word(&alice);
    alice.leave();
    hears(&bob, "stream_dropped alice");
    bob.leave();
    becomes(port, 0);
}

#[test]
#[ignore = "needs the real peers: make test"]
fn media_goes_through_the_proxy_again_when_that_comes_back() {
    let (server, port) = Server::without_udp(Kind::LiveKit);
    let mut proxy = Proxy::start(GUARDED);
    let (alice, bob) = filming(&proxy, &server, &[]);
    proxy.kill();
    becomes(port, 0);
    sees(&bob, "alice", "no picture", |sight: &Sight| sight.marks == 0);
    proxy.again();
    sees_film(&bob);
    alice.leave();
    bob.leave();
}

#[test]
#[ignore = "needs the real peers: make test"]
fn media_goes_through_the_proxy_no_further_than_that_allows() {
    let (server, port) = Server::without_udp(Kind::LiveKit);
    let proxy = Proxy::start(&format!("{GUARDED}\nConnectPort {}", server.address().port()));
    let alice = film(&proxy, &server, "alice", &[]);
    let is_told = || alice.has_said(&format!("does not allow connections to 127.0.0.1:{port}"));
    assert!(becomes_true(START_LIMIT, is_told), "the log says why");
    assert!(proxy.asked_for(format!("127.0.0.1:{port}")) > 0);
    assert_eq!(streams_to(port), 0);
    assert!(!alice.has_said("connected"));
    keeps_its_word(&alice);
    alice.leave();
}

fn through_a_turn_server(scheme: &str, coturn: &Coturn, trusted: &[&str]) {
    let server = Server::start(Kind::LiveKit);
    let proxy = Proxy::start(GUARDED);
    let place = format!("localhost:{}", coturn.port);
    let url = format!("{scheme}:{place}?transport=tcp");
    let (alice, bob) = filming(&proxy, &server, &[&[&url, USER, WORD], trusted].concat());
    assert_eq!(coturn.allocations(), 4, "one for each of their peer connections");
    assert_eq!((proxy.asked_for(&place), streams_to(coturn.port)), (4, 4));
    keeps_its_word(&alice);
    alice.leave();
    bob.leave();
    coturn.has_carried_a_film();
}

#[test]
#[ignore = "needs the real peers: make test"]
fn media_goes_through_the_proxy_to_a_turn_server_by_tcp() {
    through_a_turn_server("turn", &Coturn::start_by_streams_as("localhost"), &[]);
}

#[test]
#[ignore = "needs the real peers: make test"]
fn media_goes_through_the_proxy_to_a_turn_server_by_tls() {
    let coturn = Coturn::start_by_streams_as("localhost");
    through_a_turn_server("turns", &coturn, &[&coturn.certificate.display().to_string()]);
}

/// The certificate is good for the host of the proxy, which is none of its business.
#[test]
#[ignore = "needs the real peers: make test"]
fn media_goes_through_the_proxy_to_no_turn_server_that_cannot_prove_its_name() {
    let (coturn, server) = (Coturn::start_by_streams_as("127.0.0.1"), Server::start(Kind::LiveKit));
    let proxy = Proxy::start(GUARDED);
    let place = format!("localhost:{}", coturn.port);
    let trusted = coturn.certificate.display().to_string();
    let alice = film(&proxy, &server, "alice", &[&format!("turns:{place}"), USER, WORD, &trusted]);
    ends_with_error(&alice);
    assert!(alice.has_said("is not for this name"));
    assert!(proxy.asked_for(&place) > 0);
    assert_eq!(coturn.allocations(), 0);
    alice.leave();
}
