//! A LiveKit client's two peer connections against the core, on made-up time and without a socket.

use std::net::SocketAddr;
use std::time::Duration;

use prost::Message as _;

use super::config::JOIN_LIMIT;
use super::core_tests::{World, active, gone, leave, livekit, secrets, signal, theirs};
use super::{Config, Input, LinkId, Locality};
use crate::rtc::{self, Channel, Datagram, Peer};
use crate::signal::frame::{FromClient, FromServer};
use crate::signal::proto::signal_request::Message as Ask;
use crate::signal::proto::signal_response::Message;
use crate::signal::proto::{
    DataPacket, DisconnectReason, ParticipantInfo, SessionDescription, leave_request::Action,
};
use crate::signal::signals;

/// Far more than a connection needs on a network that loses nothing.
const LIMIT: Duration = Duration::from_secs(10);

pub(super) fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], port))
}

pub(super) struct Foreign {
    pub link: LinkId,
    port: u16,
    pub info: ParticipantInfo,
    pub subscriber: Peer,
    pub publisher: Peer,
    pub received: Vec<String>,
    pub can_publish: bool,
    /// No UDP gets through to it or away from it.
    is_udp_blocked: bool,
    /// What its two connections ask for: where they want streams to.
    asked: [Vec<SocketAddr>; 2],
    /// The checks of paths that it has sent.
    pub checks: Vec<Vec<u8>>,
    /// The own ends of those that it has.
    pub streams: [Vec<SocketAddr>; 2],
}

fn description(kind: &str, sdp: String) -> SessionDescription {
    SessionDescription { r#type: kind.into(), sdp, id: 1, ..Default::default() }
}

fn world() -> World {
    World::with(Config { secrets: secrets(), udp_addresses: vec![address(4000)], ..Default::default() })
}

impl Foreign {
    pub fn join(world: &mut World, name: &str, port: u16) -> Self {
        Self::join_with(world, name, port, |peer| peer)
    }

    pub fn join_by_streams(world: &mut World, name: &str, port: u16) -> Self {
        Self { is_udp_blocked: true, ..Self::join_with(world, name, port, Peer::opens_streams) }
    }

    fn join_with(world: &mut World, name: &str, port: u16, change: fn(Peer) -> Peer) -> Self {
        let link = world.open(theirs(), &livekit(name), Locality::Remote).expect("admitted");
        let frames = world.take(link);
        let [FromServer::Message(Message::Join(join)), FromServer::Message(Message::Offer(offer))] =
            frames.as_slice()
        else {
            panic!("no join and offer: {frames:?}")
        };
        let mut subscriber = change(Peer::new(world.now, &[address(port)]));
        let mut publisher = change(Peer::new(world.now, &[address(port + 1)]));
        let answer = subscriber.accept_offer(world.now, &offer.sdp).expect("an answer");
        world.say(link, FromClient::Message(Ask::Answer(description("answer", answer))));
        let offer = publisher.offer(world.now).expect("an offer");
        world.say(link, FromClient::Message(Ask::Offer(description("offer", offer))));
        let frames = world.take(link);
        let [FromServer::Message(Message::Answer(answer))] = frames.as_slice() else {
            panic!("no answer: {frames:?}")
        };
        publisher.accept_answer(world.now, &answer.sdp).expect("accepted");
        let info = join.participant.clone().expect("a participant");
        Self {
            link,
            port,
            info,
            subscriber,
            publisher,
            received: Vec::new(),
            can_publish: false,
            is_udp_blocked: false,
            asked: Default::default(),
            checks: Vec::new(),
            streams: Default::default(),
        }
    }

    fn drain(&mut self) -> Vec<Datagram> {
        let mut sent = Vec::new();
        let is_stream = |local: SocketAddr| self.streams.iter().any(|ends| ends.contains(&local));
        for (peer, asked) in [&mut self.subscriber, &mut self.publisher].into_iter().zip(&mut self.asked) {
            while let Some(output) = peer.poll() {
                match output {
                    rtc::Output::Transmit(datagram) if self.is_udp_blocked && !is_stream(datagram.local) => {}
                    rtc::Output::Transmit(datagram) => {
                        if datagram.bytes.starts_with(&[0, 1]) {
                            self.checks.push(datagram.bytes.clone());
                        }
                        sent.push(datagram);
                    }
                    rtc::Output::OpenStream(remote) => asked.push(remote),
                    rtc::Output::Data(_, bytes) => {
                        let packet = DataPacket::decode(bytes.as_slice()).expect("a packet");
                        self.received.extend(signals::read(&packet).map(|read| read.data));
                    }
                    _ => {}
                }
            }
        }
        self.can_publish = self.publisher.is_connected();
        sent
    }

    /// Opens the streams that its connections ask for.
    fn open_streams(&mut self, world: &mut World) {
        for (side, peer) in [&mut self.subscriber, &mut self.publisher].into_iter().enumerate() {
            for remote in std::mem::take(&mut self.asked[side]) {
                let local = world.open_stream(remote);
                self.streams[side].push(local);
                peer.stream_opened(world.now, remote, local);
            }
        }
    }

    /// Which of its connections has this address.
    fn side(&mut self, local: SocketAddr) -> Option<&mut Peer> {
        let is_at = |side: usize, port: u16| {
            self.streams[side].contains(&local) || (!self.is_udp_blocked && local == address(port))
        };
        match () {
            () if is_at(0, self.port) => Some(&mut self.subscriber),
            () if is_at(1, self.port + 1) => Some(&mut self.publisher),
            () => None,
        }
    }

    pub fn send(&mut self, world: &World, text: &str) -> Result<(), rtc::SendError> {
        let bytes = signals::packet("chat", text, Vec::new()).encode_to_vec();
        self.publisher.send(world.now, Channel::Reliable, &bytes)
    }
}

/// Carries datagrams and lets time pass until it is so.
pub(super) fn run(
    world: &mut World,
    foreign: &mut [Foreign],
    mut is_done: impl FnMut(&mut World, &mut [Foreign]) -> bool,
) {
    let end = world.now + LIMIT;
    loop {
        let mut moved = false;
        for one in foreign.iter_mut() {
            let sent = one.drain();
            one.open_streams(world);
            for sent in sent {
                moved = true;
                let datagram = Datagram { local: sent.remote, remote: sent.local, bytes: sent.bytes };
                world.server.handle(world.now, 0, Input::Datagram(datagram));
            }
        }
        world.drain();
        for sent in std::mem::take(&mut world.datagrams) {
            moved = true;
            let datagram = Datagram { local: sent.remote, remote: sent.local, bytes: sent.bytes };
            // By port: both peers of a client know the server's one address.
            if let Some(peer) = foreign.iter_mut().find_map(|one| one.side(datagram.local)) {
                peer.handle_datagram(world.now, datagram);
            }
        }
        if moved {
            continue;
        }
        if is_done(world, foreign) {
            return;
        }
        assert!(world.now < end, "it did not happen in time");
        world.now += Duration::from_millis(10);
        for peer in foreign.iter_mut().flat_map(|one| [&mut one.subscriber, &mut one.publisher]) {
            peer.handle_timeout(world.now);
        }
        world.server.handle_timeout(world.now);
    }
}

#[test]
fn a_livekit_client_is_announced_when_it_is_up_and_speaks_with_ours() {
    let mut world = world();
    let (first, _) = world.publisher("ours");
    let robot = Foreign::join(&mut world, "robot", 5000);
    assert_eq!(world.updates(first), [], "its connection is not up yet");
    let mut foreign = [robot];
    let mut updates = Vec::new();
    run(&mut world, &mut foreign, |world, foreign| {
        updates.extend(world.updates(first));
        !updates.is_empty() && foreign[0].can_publish
    });
    assert_eq!(updates, [active(&foreign[0].info)]);
    let mut sent = 0;
    run(&mut world, &mut foreign, |world, foreign| {
        // The channel opens a moment after the connection.
        while sent < 3 && foreign[0].send(world, &sent.to_string()).is_ok() {
            sent += 1;
        }
        sent == 3
    });
    let mut texts = Vec::new();
    run(&mut world, &mut foreign, |world, _| {
        texts.extend(world.texts(first));
        texts.len() == 3
    });
    assert_eq!(texts, ["0", "1", "2"]);
    assert!(foreign[0].received.is_empty(), "no echo");
    for number in 0..3 {
        world.say(first, signal(&format!("to you {number}"), &["robot"]));
    }
    run(&mut world, &mut foreign, |_, foreign| foreign[0].received.len() == 3);
    assert_eq!(foreign[0].received, ["to you 0", "to you 1", "to you 2"]);
    world.say(foreign[0].link, leave());
    assert_eq!(world.updates(first), [gone(&foreign[0].info, DisconnectReason::ClientInitiated)]);
}

#[test]
fn what_is_said_before_a_livekit_client_can_hear_waits_for_it() {
    let mut world = world();
    let (first, _) = world.publisher("ours");
    let mut foreign = [Foreign::join(&mut world, "robot", 5000)];
    world.say(first, signal("early", &[]));
    world.say(first, signal("bird", &[]));
    run(&mut world, &mut foreign, |_, foreign| foreign[0].received.len() == 2);
    assert_eq!(foreign[0].received, ["early", "bird"]);
}

#[test]
fn datagrams_that_belong_to_nobody_change_nothing() {
    let mut world = world();
    let _foreign = Foreign::join(&mut world, "robot", 5000);
    world.datagrams.clear();
    for bytes in [vec![], vec![0; 20], vec![0xff; 1500]] {
        let datagram = Datagram { local: address(4000), remote: address(9), bytes };
        world.server.handle(world.now, 0, Input::Datagram(datagram));
        world.drain();
    }
    assert_eq!(world.datagrams, []);
}

/// One of ours, and a LiveKit client that it knows of.
fn meeting() -> (World, LinkId, [Foreign; 1]) {
    let mut world = world();
    let (first, _) = world.publisher("ours");
    let mut foreign = [Foreign::join(&mut world, "robot", 5000)];
    run(&mut world, &mut foreign, |world, _| !world.updates(first).is_empty());
    (world, first, foreign)
}

#[test]
fn a_farewell_that_comes_behind_the_end_of_the_connections_is_heard() {
    let (mut world, first, mut foreign) = meeting();
    for peer in [&mut foreign[0].subscriber, &mut foreign[0].publisher] {
        peer.close(world.now);
    }
    let soon = world.now + Duration::from_millis(500);
    run(&mut world, &mut foreign, |world, _| world.now >= soon);
    assert_eq!(world.updates(first), [], "its last word is waited for");
    world.say(foreign[0].link, leave());
    assert_eq!(world.updates(first), [gone(&foreign[0].info, DisconnectReason::ClientInitiated)]);
}

#[test]
fn who_closes_its_connections_and_says_nothing_is_sent_to_join_anew() {
    let (mut world, first, mut foreign) = meeting();
    foreign[0].subscriber.close(world.now);
    let mut updates = Vec::new();
    run(&mut world, &mut foreign, |world, _| {
        updates.extend(world.updates(first));
        !updates.is_empty()
    });
    assert_eq!(updates, [gone(&foreign[0].info, DisconnectReason::ConnectionTimeout)]);
    assert_eq!(world.left(foreign[0].link), Some((DisconnectReason::ConnectionTimeout, Action::Reconnect)));
}

#[test]
fn a_livekit_client_whose_connections_never_come_up_is_sent_away_and_nobody_hears_of_it() {
    let mut world = world();
    let (first, _) = world.publisher("ours");
    let link = world.open(theirs(), &livekit("robot"), Locality::Remote).expect("admitted");
    world.take(link);
    world.pass(JOIN_LIMIT - Duration::from_secs(1), &[first, link]);
    assert!(world.take(link).iter().all(|frame| matches!(frame, FromServer::Message(Message::Pong(_)))));
    world.pass(Duration::from_secs(1), &[first, link]);
    assert_eq!(world.left(link), Some((DisconnectReason::JoinFailure, Action::Disconnect)));
    assert_eq!(world.updates(first), []);
}

#[test]
fn a_flood_of_offers_is_not_read_to_its_end() {
    let mut world = world();
    let robot = Foreign::join(&mut world, "robot", 5000);
    let sdp = "a=x\r\n".repeat(10_000);
    for _ in 0..60 {
        world.say(robot.link, FromClient::Message(Ask::Offer(description("offer", sdp.clone()))));
    }
    // Some were read and some wait.
    let refused = world.server.counters().negotiations_refused;
    assert!((20..40).contains(&refused), "{refused}");
    world.pass(Duration::from_secs(5), &[robot.link]);
    let small = FromClient::Message(Ask::Offer(description("offer", "nonsense".into())));
    world.say(robot.link, small);
    assert_eq!(world.server.counters().negotiations_refused, refused, "it may go on later");
}

#[test]
fn a_flood_of_strange_datagrams_costs_little_and_keeps_nobody_out() {
    let (mut world, first, mut foreign) = meeting();
    let flood = |world: &mut World, bytes: &[u8]| {
        for port in 10_000..15_000 {
            let datagram = Datagram { local: address(4000), remote: address(port), bytes: bytes.to_vec() };
            world.server.handle(world.now, 0, Input::Datagram(datagram));
        }
        world.server.counters().strangers_ignored
    };
    assert_eq!(flood(&mut world, &[0; 20]), 0, "nobody was looked for");
    let check = [&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42][..], &[7; 12]].concat();
    let ignored = flood(&mut world, &check);
    assert!(ignored >= 4000, "{ignored}");
    // Who is known is heard all the same, and a newcomer is found.
    run(&mut world, &mut foreign, |world, foreign| foreign[0].send(world, "still here").is_ok());
    run(&mut world, &mut foreign, |world, _| world.texts(first) == ["still here"]);
    let mut newcomer = [Foreign::join(&mut world, "newcomer", 6000)];
    run(&mut world, &mut newcomer, |world, _| !world.updates(first).is_empty());
}
