//! A client whose network lets no UDP through, and a server that takes streams, on made-up time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::link::UDP_HEAD_START;
use super::simulation::{ALICE, BOB, Network};
use super::{Channel, Codec, MediaKind, Output, PacketOut, Peer, Sending};

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// Where Bob takes streams.
fn taken_at() -> SocketAddr {
    address("192.0.2.2:7881")
}

/// Where the streams of Alice begin.
fn begin(number: u16) -> SocketAddr {
    SocketAddr::new(address("192.0.2.1:1").ip(), 40_000 + number)
}

/// Alice is about to open streams to Bob.
fn network(seed: u64) -> Network {
    let mut network = Network::new(seed);
    let now = network.now;
    network.peers = [
        Peer::new(now, &[address("192.0.2.1:5001")]).opens_streams(),
        Peer::taking_streams(now, &[address("192.0.2.2:5002")], &[taken_at()]),
    ];
    network
}

fn opens(network: &Network) -> usize {
    network.count(ALICE, &Output::OpenStream(taken_at()))
}

/// The last stream that was asked for is there.
fn open(network: &mut Network) -> SocketAddr {
    let local = begin(u16::try_from(network.streams.len() + opens(network)).expect("a few"));
    network.streams.push((local, taken_at()));
    network.peers[ALICE].stream_opened(network.now, taken_at(), local);
    local
}

fn is_up(network: &Network) -> bool {
    network.peers.iter().all(Peer::is_connected)
}

/// A connection by a stream alone.
fn connected(seed: u64) -> (Network, SocketAddr) {
    let mut network = network(seed);
    network.is_udp_blocked = true;
    network.negotiate();
    network.run(Duration::from_secs(1), |network| opens(network) == 1);
    let local = open(&mut network);
    network.run(Duration::from_secs(5), Network::all_open);
    (network, local)
}

/// Bob sends to Alice for two seconds, and has no way but a stream from one address to the other.
fn sending(from: SocketAddr, to: SocketAddr) -> Network {
    let mut network = network(8);
    network.is_udp_blocked = true;
    network.peers[BOB] = Peer::taking_streams(network.now, &[address("192.0.2.2:5002")], &[to]);
    network.negotiate();
    network.run(Duration::from_secs(1), |network| network.said[ALICE].contains(&Output::OpenStream(to)));
    network.streams.push((from, to));
    network.peers[ALICE].stream_opened(network.now, to, from);
    network.run(Duration::from_secs(5), Network::all_open);
    let sending = Sending {
        kind: MediaKind::Video,
        codecs: vec![Codec::Vp8],
        stream_id: "PA_bob".into(),
        track_id: "cam".into(),
        layers: Vec::new(),
        is_stereo: false,
        uses_dtx: false,
    };
    let section = network.peers[BOB].add_sending(network.now, &sending).expect("a section");
    let offer = network.peers[BOB].offer(network.now).expect("an offer");
    network.exchange(&offer, BOB);
    for sequence in 0..100 {
        let packet = PacketOut {
            codec: Codec::Vp8,
            sequence,
            timestamp: sequence as u32 * 1800,
            is_marked: true,
            payload: Arc::from([0; 1000]),
            audio_level: None,
            rotation_degrees: None,
            is_resendable: true,
            captured: None,
        };
        network.peers[BOB].send_packet(network.now, section, None, packet).expect("taken");
        network.pass(Duration::from_millis(20));
    }
    network
}

#[test]
fn what_the_network_carries_is_estimated_where_only_streams_lead_there() {
    assert!(sending(begin(1), taken_at()).peers[BOB].can_probe());
}

#[test]
fn what_this_machine_carries_to_itself_is_not_estimated() {
    let network = sending(address("127.0.0.1:40001"), address("127.0.0.1:7881"));
    assert!(!network.peers[BOB].can_probe());
    assert!(!network.said[BOB].iter().any(|said| matches!(said, Output::Bitrate(_))));
}

#[test]
fn where_udp_gets_through_no_stream_is_opened() {
    let mut network = network(1);
    network.negotiate();
    network.run(Duration::from_secs(5), Network::all_open);
    network.pass(Duration::from_secs(60));
    assert_eq!(opens(&network), 0);
}

#[test]
fn where_udp_does_not_get_through_a_stream_carries_it_all() {
    let (mut network, local) = connected(2);
    assert!(network.elapsed() >= UDP_HEAD_START, "not before UDP had its chance");
    for (from, to) in [(ALICE, BOB), (BOB, ALICE)] {
        network.peers[from].send(network.now, Channel::Reliable, b"hello").expect("the channel is open");
        network.run(Duration::from_secs(2), |network| network.messages(to, Channel::Reliable).len() == 1);
    }
    network.pass(Duration::from_secs(120));
    assert!(is_up(&network));
    assert_eq!((opens(&network), network.count(ALICE, &Output::Disconnected)), (1, 0));
    let pair = network.peers[ALICE].transport_report().pair.expect("a path");
    assert_eq!((pair.local.address, pair.remote.address, pair.is_stream), (local, taken_at(), true));
}

#[test]
fn udp_that_comes_late_is_preferred_by_who_decides() {
    let (mut network, _) = connected(3);
    network.is_udp_blocked = false;
    network.pass(Duration::from_secs(2));
    let offer = network.peers[ALICE].restart_ice(network.now).expect("an offer");
    network.exchange(&offer, ALICE);
    network.run(Duration::from_secs(5), is_up);
    network.peers[ALICE].send(network.now, Channel::Reliable, b"hello").expect("the channel is open");
    network.run(Duration::from_secs(2), |network| !network.messages(BOB, Channel::Reliable).is_empty());
    let pair = network.peers[ALICE].transport_report().pair.expect("a path");
    assert!(!pair.is_stream, "{pair:?}");
    assert_eq!(network.streams, [], "the old one is closed");
}

#[test]
fn a_lost_stream_is_noticed_at_once_and_opened_again() {
    let (mut network, local) = connected(4);
    network.streams.clear();
    network.peers[ALICE].stream_lost(network.now, local);
    network.run(Duration::ZERO, |network| network.count(ALICE, &Output::Disconnected) == 1);
    network.run(Duration::from_secs(1), |network| opens(network) == 2);
    open(&mut network);
    network.run(Duration::from_secs(5), |network| network.count(ALICE, &Output::Connected) == 2);
    network.peers[ALICE].send(network.now, Channel::Reliable, b"still here").expect("the channel is open");
    network.run(Duration::from_secs(5), |network| !network.messages(BOB, Channel::Reliable).is_empty());
}

#[test]
fn a_stream_that_never_lasts_is_given_up() {
    let (mut network, mut local) = connected(5);
    for opened in 2..=3 {
        network.streams.clear();
        network.peers[ALICE].stream_lost(network.now, local);
        network.run(Duration::from_secs(1), |network| opens(network) == opened);
        local = open(&mut network);
    }
    network.peers[ALICE].stream_lost(network.now, local);
    network.streams.clear();
    network.run(Duration::from_secs(60), |network| {
        network.said[ALICE].iter().any(|said| matches!(said, Output::Failed(_)))
    });
    assert_eq!(opens(&network), 3);
}

#[test]
fn an_ice_restart_begins_with_a_stream_of_its_own() {
    let (mut network, _) = connected(6);
    let offer = network.peers[ALICE].restart_ice(network.now).expect("an offer");
    network.exchange(&offer, ALICE);
    network.run(Duration::from_secs(1), |network| opens(network) == 2);
    assert_eq!(network.streams, [], "the old one is closed");
    open(&mut network);
    network.run(Duration::from_secs(5), |network| network.count(ALICE, &Output::Connected) == 2);
    network.run(Duration::from_secs(5), is_up);
}

#[test]
fn a_stream_that_nobody_waits_for_is_closed() {
    let (mut network, _) = connected(7);
    for (remote, number) in [(taken_at(), 7), (address("192.0.2.9:9"), 8)] {
        network.streams.push((begin(number), remote));
        network.peers[ALICE].stream_opened(network.now, remote, begin(number));
    }
    network.pass(Duration::from_secs(1));
    assert_eq!(network.streams.len(), 1);
    assert!(is_up(&network));
}

#[test]
fn the_end_of_a_connection_closes_its_streams_after_the_last_word() {
    let (mut network, local) = connected(8);
    network.peers[ALICE].close(network.now);
    let mut last = Vec::new();
    while let Some(output) = network.peers[ALICE].poll() {
        last.push(output);
    }
    assert!(matches!(last[0], Output::Transmit(_)), "{last:?}");
    assert_eq!(last.last(), Some(&Output::CloseStream(local)));
    network.peers[ALICE].stream_opened(network.now, taken_at(), local);
    assert_eq!(network.peers[ALICE].poll(), Some(Output::CloseStream(local)));
}

#[test]
fn only_a_few_addresses_are_dialled_and_each_once_at_a_time() {
    let mut network = network(9);
    network.is_udp_blocked = true;
    network.negotiate();
    for port in (1..100).chain(1..100) {
        let line = format!("candidate:1 1 tcp 1 192.0.2.2 {port} typ host tcptype passive");
        network.peers[ALICE].add_remote_candidate(network.now, &line).expect("a candidate");
    }
    network.pass(Duration::from_secs(10));
    let dialled = network.said[ALICE].iter().filter(|said| matches!(said, Output::OpenStream(_)));
    assert_eq!(dialled.count(), 4);
}

#[test]
fn who_opens_no_streams_is_not_asked_for_any() {
    let mut network = network(10);
    network.peers[ALICE] = Peer::new(network.now, &[address("192.0.2.1:5001")]);
    network.is_udp_blocked = true;
    network.negotiate();
    network.pass(Duration::from_secs(10));
    assert_eq!(opens(&network), 0);
}

#[test]
fn a_refused_stream_is_not_asked_for_again_before_the_next_agreement() {
    let mut network = network(11);
    network.is_udp_blocked = true;
    network.negotiate();
    network.run(Duration::from_secs(1), |network| opens(network) == 1);
    network.peers[ALICE].stream_refused(taken_at());
    network.pass(Duration::from_secs(5));
    assert_eq!(opens(&network), 1);
    let offer = network.peers[ALICE].restart_ice(network.now).expect("an offer");
    network.exchange(&offer, ALICE);
    network.run(Duration::from_secs(1), |network| opens(network) == 2);
}
