//! A peer connection through a TURN server, on made-up time.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use turn_client_proto::api::Transmit;
use turn_client_proto::types::prelude::DelayedTransmitBuild as _;
use turn_client_proto::types::{Instant as Moment, TransportType};
use turn_server_proto::api::{TurnServerApi as _, TurnServerPollRet};
use turn_server_proto::server::TurnServer;

use super::relay::{Found, Relay};
use super::{Channel, Datagram, Output, Peer, RelayPath};

const STEP: Duration = Duration::from_millis(20);

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// Alice's socket, the server, Alice's address there, and Bob.
fn base() -> SocketAddr {
    address("10.0.0.1:4000")
}
fn turn() -> SocketAddr {
    address("192.0.2.1:3478")
}
/// The first, the second …
fn relayed(number: u16) -> SocketAddr {
    SocketAddr::new(turn().ip(), 49_999 + number)
}
fn bob() -> SocketAddr {
    address("192.0.2.2:5000")
}

fn path(credential: &str) -> RelayPath {
    RelayPath { base: base(), server: turn(), user: "user".into(), credential: credential.into() }
}

/// The TURN server.
struct Server {
    turn: TurnServer,
    start: Instant,
    /// How often a place was given, and given or taken back.
    given: u16,
    closed: usize,
}

impl Server {
    fn new(start: Instant) -> Self {
        let mut turn = TurnServer::new(TransportType::Udp, turn(), "realm".into());
        turn.add_user("user".into(), "word".into());
        Self { turn, start, given: 0, closed: 0 }
    }

    fn moment(&self, now: Instant) -> Moment {
        Moment::from_nanos(i64::try_from((now - self.start).as_nanos()).expect("a short simulation"))
    }

    /// What it sends, as a datagram of its own.
    fn hear(&mut self, now: Instant, from: SocketAddr, to: SocketAddr, bytes: Vec<u8>) -> Vec<Datagram> {
        let moment = self.moment(now);
        let answer = self.turn.recv(Transmit::new(bytes, TransportType::Udp, from, to), moment);
        let answer =
            answer.map(|sent| Datagram { local: sent.from, remote: sent.to, bytes: sent.data.build() });
        let mut sent: Vec<Datagram> = answer.into_iter().collect();
        sent.extend(self.pass(now));
        sent
    }

    fn pass(&mut self, now: Instant) -> Vec<Datagram> {
        let moment = self.moment(now);
        let mut sent = Vec::new();
        loop {
            let polled = self.turn.poll(moment);
            while let Some(transmit) = self.turn.poll_transmit(moment) {
                sent.push(Datagram { local: transmit.from, remote: transmit.to, bytes: transmit.data });
            }
            match polled {
                TurnServerPollRet::AllocateSocket {
                    transport,
                    listen_addr,
                    client_addr,
                    allocation_transport,
                    family,
                } => {
                    self.given += 1;
                    self.turn.allocated_socket(
                        transport,
                        listen_addr,
                        client_addr,
                        allocation_transport,
                        family,
                        Ok(relayed(self.given)),
                        moment,
                    );
                }
                TurnServerPollRet::SocketClose { .. } => self.closed += 1,
                _ => return sent,
            }
        }
    }
}

/// Alice, who is reached through the server alone, and Bob.
struct World {
    now: Instant,
    server: Server,
    alice: Peer,
    bob: Peer,
    said: [Vec<Output>; 2],
    /// The server does not hear Alice.
    is_cut: bool,
    /// From where she speaks to it.
    base: SocketAddr,
    /// What she has sent another way.
    astray: usize,
}

impl World {
    fn new(credential: &str) -> Self {
        let now = Instant::now();
        Self {
            now,
            server: Server::new(now),
            alice: Peer::relayed(now, &[path(credential)]),
            bob: Peer::new(now, &[bob()]),
            said: [Vec::new(), Vec::new()],
            is_cut: false,
            base: base(),
            astray: 0,
        }
    }

    /// Alice has offered, Bob has answered; he hears of her candidates as they come.
    fn negotiate(&mut self) {
        let offer = self.alice.offer(self.now).expect("an offer");
        assert!(!offer.contains("a=candidate:"), "nothing has been allocated yet: {offer}");
        let answer = self.bob.accept_offer(self.now, &offer).expect("an answer");
        self.alice.accept_answer(self.now, &answer).expect("an agreement");
    }

    fn connected() -> Self {
        let mut world = Self::new("word");
        world.negotiate();
        world.run(Duration::from_secs(5), |world| {
            world.alice.is_connected() && world.said[0].contains(&Output::Opened(Channel::Reliable))
        });
        world
    }

    fn settle(&mut self) {
        let mut under_way: VecDeque<Datagram> = self.server.pass(self.now).into();
        loop {
            while let Some(output) = self.alice.poll() {
                match output {
                    // There is no other way.
                    Output::Transmit(datagram) if datagram.local == self.base => {
                        assert_eq!(datagram.remote, turn());
                        under_way.push_back(datagram);
                    }
                    Output::Transmit(_) => self.astray += 1,
                    Output::Candidate(line) => {
                        let place = relayed(self.server.given);
                        let end = format!("{} {} typ relay", place.ip(), place.port());
                        assert!(line.contains(&end), "{line}");
                        self.bob.add_remote_candidate(self.now, &line).expect("a candidate");
                        self.said[0].push(Output::Candidate(line));
                    }
                    output => self.said[0].push(output),
                }
            }
            while let Some(output) = self.bob.poll() {
                match output {
                    Output::Transmit(datagram) => under_way.push_back(datagram),
                    output => self.said[1].push(output),
                }
            }
            let Some(Datagram { local, remote, bytes }) = under_way.pop_front() else { return };
            let arrived = Datagram { local: remote, remote: local, bytes };
            match arrived.local {
                to if to == self.base => self.alice.handle_datagram(self.now, arrived),
                to if to == bob() => self.bob.handle_datagram(self.now, arrived),
                _ if self.is_cut => {}
                to => under_way.extend(self.server.hear(self.now, local, to, arrived.bytes)),
            }
        }
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        self.settle();
        while self.now < end {
            self.now += STEP;
            for peer in [&mut self.alice, &mut self.bob] {
                if peer.poll_timeout().is_some_and(|at| at <= self.now) {
                    peer.handle_timeout(self.now);
                }
            }
            self.settle();
        }
    }

    fn run(&mut self, limit: Duration, done: impl Fn(&Self) -> bool) {
        let end = self.now + limit;
        while !done(self) {
            assert!(self.now < end, "not done after {limit:?}; said: {:?}", self.said);
            self.pass(STEP);
        }
    }

    fn message(&mut self, text: &[u8]) {
        self.alice.send(self.now, Channel::Reliable, text).expect("the channel is open");
        let expected = Output::Data(Channel::Reliable, text.to_vec());
        self.run(Duration::from_secs(2), |world| world.said[1].contains(&expected));
        self.bob.send(self.now, Channel::Reliable, text).expect("the channel is open");
        self.run(Duration::from_secs(2), |world| world.said[0].contains(&expected));
    }
}

#[test]
fn a_connection_goes_through_the_server_and_no_other_way() {
    let mut world = World::connected();
    assert_eq!(world.astray, 0);
    assert!(matches!(world.said[0][0], Output::Candidate(_)), "it came after the offer: {:?}", world.said[0]);
    world.message(b"hello");
}

#[test]
fn a_relay_that_is_there_before_the_description_stands_in_it() {
    let mut world = World::new("word");
    world.pass(Duration::from_secs(1));
    let offer = world.alice.offer(world.now).expect("an offer");
    assert!(offer.contains("192.0.2.1 50000 typ relay"), "{offer}");
    assert!(!offer.contains("10.0.0.1"), "{offer}");
    assert_eq!(world.said[0], []);
}

#[test]
fn permissions_channels_and_the_place_itself_are_kept_alive() {
    let mut world = World::connected();
    // A permission lasts 5 minutes, a channel 10, and the place at most an hour.
    for minute in 0..13_u8 {
        world.pass(Duration::from_secs(301));
        world.message(&[minute]);
    }
    assert_eq!(world.said[0].iter().filter(|said| **said == Output::Disconnected).count(), 0);
}

#[test]
fn a_connection_that_ends_gives_its_place_back_after_its_last_word() {
    let mut world = World::connected();
    world.alice.close(world.now);
    world.settle();
    assert_eq!(world.server.closed, 1);
    assert!(world.said[1].iter().any(|said| matches!(said, Output::Failed(_))), "{:?}", world.said[1]);
}

#[test]
fn wrong_credentials_end_a_connection_that_has_no_other_way() {
    let mut world = World::new("wrong");
    world.negotiate();
    world.run(Duration::from_secs(2), |world| !world.said[0].is_empty());
    assert_eq!(world.said[0][0], Output::RelayOver { base: base(), was_given: false });
    assert!(matches!(world.said[0][1..], [Output::Failed(_)]), "{:?}", world.said[0]);
}

#[test]
fn a_server_that_does_not_answer_is_given_up_before_a_join_is() {
    let mut world = World::new("word");
    world.is_cut = true;
    world.negotiate();
    let before = world.now;
    world.run(Duration::from_secs(9), |world| !world.said[0].is_empty());
    assert!(matches!(world.said[0][1..], [Output::Failed(_)]), "{:?}", world.said[0]);
    assert!(world.now - before > Duration::from_secs(6), "it was asked more than once");
}

#[test]
fn a_way_to_the_server_that_is_cut_ends_a_connection_that_has_no_other() {
    let mut world = World::connected();
    world.alice.relay_lost(world.now, bob());
    assert!(world.alice.is_connected(), "that was another's");
    world.alice.relay_lost(world.now, base());
    world.settle();
    assert!(matches!(world.said[0].last(), Some(Output::Failed(_))), "{:?}", world.said[0]);
    assert_eq!(world.alice.poll(), None);
}

#[test]
fn a_relay_that_is_lost_is_named_no_more_and_another_one_takes_its_place() {
    let mut world = World::new("word");
    world.alice = Peer::new(world.now, &[address("10.0.0.1:4001")]);
    world.alice.add_relays(world.now, &[path("word")]);
    world.pass(Duration::from_millis(500));
    let offer = world.alice.offer(world.now).expect("an offer");
    assert!(offer.contains("192.0.2.1 50000 typ relay"), "{offer}");
    let answer = world.bob.accept_offer(world.now, &offer).expect("an answer");
    world.alice.accept_answer(world.now, &answer).expect("an agreement");
    world.run(Duration::from_secs(5), |world| world.alice.is_connected());
    world.message(b"hello");

    world.alice.relay_lost(world.now, base());
    world.settle();
    let end = world.said[0].len() - 2;
    let over = Output::RelayOver { base: base(), was_given: true };
    assert_eq!(world.said[0][end..], [over, Output::Disconnected], "at once");
    world.base = address("10.0.0.1:4002");
    world.alice.add_relays(world.now, &[RelayPath { base: world.base, ..path("word") }]);
    world.run(Duration::from_secs(10), |world| world.alice.is_connected());
    world.message(b"again");
    let offer = world.alice.restart_ice(world.now).expect("an offer");
    assert!(offer.contains("192.0.2.1 50001 typ relay"), "{offer}");
    assert!(!offer.contains(" 50000 typ"), "{offer}");
}

#[test]
fn a_peer_that_needs_a_relay_does_not_give_up_while_more_are_looked_for() {
    let mut world = World::new("wrong");
    world.alice.await_relays(world.now, true);
    world.negotiate();
    world.pass(Duration::from_secs(1));
    assert_eq!(world.said[0], [Output::RelayOver { base: base(), was_given: false }]);
    world.base = address("10.0.0.1:4002");
    world.alice.add_relays(world.now, &[RelayPath { base: world.base, ..path("word") }]);
    world.alice.await_relays(world.now, false);
    world.run(Duration::from_secs(5), |world| world.alice.is_connected());
}

#[test]
fn without_any_server_a_connection_through_servers_is_over() {
    let now = Instant::now();
    let mut peer = Peer::relayed(now, &[]);
    assert!(matches!(peer.poll(), Some(Output::Failed(_))));
    assert_eq!(peer.poll(), None);
    assert!(peer.offer(now).is_err());
}

#[test]
fn a_peer_with_addresses_of_its_own_does_not_need_its_relay() {
    let now = Instant::now();
    let mut world = World::new("wrong");
    world.alice = Peer::new(now, &[address("10.0.0.1:4001")]);
    world.alice.add_relays(now, &[path("wrong")]);
    let offer = world.alice.offer(now).expect("an offer");
    assert!(offer.contains("10.0.0.1 4001 typ host"), "{offer}");
    while let Some(Output::Transmit(datagram)) = world.alice.poll() {
        for Datagram { local, remote, bytes } in world.server.hear(now, base(), turn(), datagram.bytes) {
            world.alice.handle_datagram(now, Datagram { local: remote, remote: local, bytes });
        }
    }
    assert_eq!(world.alice.poll(), None, "no failure is told");
}

#[test]
fn addresses_of_the_local_network_are_hidden_on_demand() {
    let now = Instant::now();
    let local = ["10.0.0.1:1", "192.168.1.1:2", "[fd00::1]:3", "198.51.100.1:4", "127.0.0.1:5"].map(address);
    let candidates = |peer: &mut Peer| {
        let offer = peer.offer(now).expect("an offer");
        offer.lines().filter(|line| line.starts_with("a=candidate:")).count()
    };
    let mut peer = Peer::new(now, &local);
    assert_eq!(candidates(&mut peer), 5);
    let mut peer = Peer::new(now, &local);
    peer.hide_local_network();
    assert_eq!(candidates(&mut peer), 2);
}

#[test]
fn nobody_sees_the_credentials() {
    assert!(!format!("{:?}", path("word")).contains("word"));
}

#[test]
fn what_others_send_to_the_base_is_dropped() {
    let mut world = World::connected();
    for from in [bob(), address("198.51.100.7:1")] {
        let bytes = vec![1, 1, 0, 0];
        world.alice.handle_datagram(world.now, Datagram { local: base(), remote: from, bytes });
    }
    world.message(b"still here");
}

proptest! {
    #[test]
    fn no_datagram_of_a_server_makes_a_relay_panic(
        // A success or an error of an allocation, an indication with data, data on a channel.
        start in prop::sample::select(vec![[1, 3], [1, 19], [0, 23], [64, 0]]),
        tail in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        let now = Instant::now();
        let mut relay = Relay::new(now, &path("word"));
        let Some(Found::Transmit(request)) = relay.poll() else { panic!("it asks") };
        let length = u16::try_from(tail.len()).expect("short").to_be_bytes();
        // The cookie and the id of its own request.
        let bytes = [&start[..], &length, &request.bytes[4..20], &tail].concat();
        relay.handle_datagram(now, Datagram { local: base(), remote: turn(), bytes });
        relay.handle_timeout(now + STEP);
    }
}
