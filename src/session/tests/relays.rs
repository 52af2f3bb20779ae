//! By which ways the peer connections of a session may go.

use std::net::SocketAddr;

use super::film::film;
use super::*;
use crate::rtc::{Datagram, Peer, RelayPath};
use crate::session::ice::{IceConfig, IceServer, Relays};
use crate::signal::proto::{IceServer as TheirServer, SessionDescription, SignalTarget, TrickleRequest};

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn own_server(force_turn: bool) -> Config {
    let server = IceServer { url: "turn:own.example".into(), user: "user".into(), credential: "word".into() };
    let ice = IceConfig { servers: vec![server], force_turn, ..IceConfig::default() };
    Config { ice, ..config() }
}

/// The server has let the client in.
fn joined(config: Config) -> Client {
    let mut client = Client::new(config);
    client.input(Input::LinkOpened);
    let theirs = TheirServer { urls: vec!["turn:theirs.example".into()], ..TheirServer::default() };
    client.message(Message::Join(JoinResponse {
        subscriber_primary: true,
        ice_servers: vec![theirs],
        ..welcome(&["ann"])
    }));
    client
}

fn offer(client: &mut Client) {
    let sdp = Peer::new(client.now, &[address("10.0.0.9:9")]).offer(client.now).expect("an offer");
    client.message(Message::Offer(SessionDescription {
        r#type: "offer".into(),
        sdp,
        ..SessionDescription::default()
    }));
}

/// The server names an address that takes streams, for its connection to the subscriber.
fn takes_streams(client: &mut Client) {
    let line = "candidate:1 1 tcp 1671430143 10.0.0.9 7881 typ host tcptype passive";
    client.message(Message::Trickle(TrickleRequest {
        candidate_init: crate::rtc::candidate_json(line, "0", 0),
        target: SignalTarget::Subscriber as i32,
        r#final: false,
    }));
}

/// The subscriber's connection with its socket, and an address that takes streams.
fn waiting_for_udp() -> Client {
    let mut client = joined(config());
    let addresses = Addresses { subscriber: vec![address("10.0.0.1:1")], publisher: Vec::new() };
    client.input(Input::SocketsOpened(addresses));
    offer(&mut client);
    takes_streams(&mut client);
    client
}

fn answer(client: &Client) -> Option<String> {
    client.sent.iter().find_map(|message| match message {
        FromClient::Message(signal_request::Message::Answer(answer)) => Some(answer.sdp.clone()),
        _ => None,
    })
}

fn relays() -> Relays {
    let path = |base| RelayPath {
        base: address(base),
        server: address("192.0.2.1:3478"),
        user: "user".into(),
        credential: "word".into(),
    };
    Relays { subscriber: vec![path("10.0.0.1:11")], publisher: vec![path("10.0.0.1:13")] }
}

/// One of the servers that were looked for first is there, or is not.
fn found(client: &mut Client, index: usize, relays: Relays) {
    let server = client.looked_for[0].0[index].clone();
    client.input(Input::RelaysFound { server, relays });
}

fn goes_to_the_turn_server(datagram: &Datagram) -> bool {
    (datagram.local, datagram.remote) == (address("10.0.0.1:11"), address("192.0.2.1:3478"))
}

#[test]
fn both_sides_turn_servers_are_looked_for_beside_the_own_sockets() {
    let client = joined(own_server(false));
    let hosts: Vec<&str> = client.looked_for[0].0.iter().map(|server| server.host.as_str()).collect();
    assert_eq!(hosts, ["own.example", "theirs.example"]);
    assert!(!client.looked_for[0].1, "the own sockets stay");
    assert_eq!(client.opened, 1);
}

#[test]
fn a_relay_that_is_found_after_the_answer_is_asked_for_a_place() {
    let mut client = joined(own_server(false));
    let addresses = Addresses { subscriber: vec![address("10.0.0.1:1")], publisher: Vec::new() };
    client.input(Input::SocketsOpened(addresses));
    offer(&mut client);
    assert!(answer(&client).is_some_and(|sdp| sdp.contains("10.0.0.1 1 typ host")));
    found(&mut client, 0, relays());
    assert!(client.transmitted.iter().any(goes_to_the_turn_server), "{:?}", client.transmitted);
}

#[test]
fn with_forced_relays_no_other_socket_is_opened_and_no_address_named() {
    let mut client = joined(own_server(true));
    assert_eq!((client.opened, client.looked_for[0].1), (0, true));
    offer(&mut client);
    assert_eq!(answer(&client), None, "it is not known yet where the servers are");
    found(&mut client, 0, relays());
    let sdp = answer(&client).expect("an answer");
    assert!(!sdp.contains("a=candidate:"), "{sdp}");
    assert!(client.transmitted.iter().all(goes_to_the_turn_server), "{:?}", client.transmitted);
    assert!(!client.transmitted.is_empty());
}

#[test]
fn with_forced_relays_and_none_to_be_found_the_attempt_fails() {
    let mut client = joined(own_server(true));
    offer(&mut client);
    found(&mut client, 0, Relays::default());
    assert_eq!(client.heard(), [], "there is another one");
    found(&mut client, 1, Relays::default());
    match client.ending() {
        Ending::Failed(fault) => {
            assert_eq!(fault.reason, Reason::ConnectionFailed);
            assert!(fault.text.contains("TURN"), "{}", fault.text);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn with_forced_relays_and_a_silent_server_the_attempt_fails_before_its_time_is_over() {
    let mut client = joined(own_server(true));
    offer(&mut client);
    found(&mut client, 0, relays());
    found(&mut client, 1, Relays::default());
    client.pass(Duration::from_secs(9));
    assert!(matches!(client.ending(), Ending::Failed(fault) if fault.reason == Reason::ConnectionFailed));
}

#[test]
fn a_relay_is_made_use_of_while_another_server_is_still_looked_for() {
    let mut client = joined(own_server(true));
    offer(&mut client);
    found(&mut client, 0, relays());
    assert!(answer(&client).is_some());
    // Nobody answers there. As long as there may be another one nothing is lost.
    client.pass(Duration::from_secs(9));
    assert_eq!(client.heard(), []);
    let second = |base| RelayPath { base: address(base), ..relays().subscriber[0].clone() };
    client.transmitted.clear();
    let relays = Relays { subscriber: vec![second("10.0.0.1:21")], publisher: vec![second("10.0.0.1:23")] };
    found(&mut client, 1, relays);
    assert!(client.transmitted.iter().any(|datagram| datagram.local == address("10.0.0.1:21")));
}

/// The servers that were looked for last, and for which connections.
fn last_search(client: &Client) -> (usize, Vec<&str>, &[Way]) {
    let (servers, _, ways) = client.looked_for.last().expect("a search");
    (client.looked_for.len(), servers.iter().map(|server| server.host.as_str()).collect(), ways)
}

#[test]
fn a_relay_that_is_lost_is_asked_for_again_a_few_times() {
    let mut client = Client::new(own_server(false));
    client.input(Input::LinkOpened);
    client.server(FromServer::Welcome(welcome(&[])));
    client.publish(film(1));
    found(&mut client, 0, relays());
    // There is no subscriber yet that could have lost its place.
    client.input(Input::StreamLost(address("10.0.0.1:11")));
    assert_eq!(client.closed, [address("10.0.0.1:11")]);
    for (searches, pause) in [(2, 1), (3, 4), (4, 16)] {
        client.core.handle_timeout(client.now + Duration::from_secs(pause) - Duration::from_millis(1));
        client.collect();
        assert_eq!(client.looked_for.len(), searches - 1);
        client.now += Duration::from_secs(pause);
        client.core.handle_timeout(client.now);
        client.collect();
        assert_eq!(last_search(&client), (searches, vec!["own.example"], &[Way::Subscriber][..]));
        found(&mut client, 0, Relays::default());
    }
    client.now += Duration::from_secs(100);
    client.core.handle_timeout(client.now);
    client.collect();
    assert_eq!(client.looked_for.len(), 4);
}

#[test]
fn a_stream_is_opened_for_the_connection_that_udp_does_not_make() {
    let mut client = waiting_for_udp();
    assert_eq!(client.streams, []);
    client.pass(Duration::from_secs(1));
    let (remote, local) = (address("10.0.0.9:7881"), address("10.0.0.1:50001"));
    assert_eq!(client.streams, [(Way::Subscriber, remote)]);
    client.input(Input::StreamOpened { way: Way::Subscriber, remote, local });
    client.pass(Duration::from_secs(1));
    let is_in_it = |datagram: &Datagram| (datagram.local, datagram.remote) == (local, remote);
    assert!(client.transmitted.iter().any(is_in_it), "{:?}", client.transmitted);
    client.input(Input::StreamLost(local));
    client.pass(Duration::from_secs(1));
    assert_eq!(client.streams.len(), 2, "it is opened again");
    client.input(Input::StreamRefused { way: Way::Subscriber, remote });
    client.pass(Duration::from_secs(1));
    assert_eq!(client.streams.len(), 2);
}

#[test]
fn a_stream_for_a_connection_that_is_not_there_is_closed() {
    let mut client = waiting_for_udp();
    let (remote, local) = (address("10.0.0.9:7881"), address("10.0.0.1:50001"));
    for way in [Way::Publisher, Way::Subscriber] {
        client.input(Input::StreamOpened { way, remote, local });
    }
    assert_eq!(client.closed, [local, local], "nobody has asked for them");
}

#[test]
fn with_forced_relays_no_stream_is_opened() {
    let mut client = joined(own_server(true));
    found(&mut client, 0, relays());
    offer(&mut client);
    takes_streams(&mut client);
    client.pass(Duration::from_secs(5));
    assert_eq!(client.streams, []);
}
