//! A client's two peer connections: it sends on one and receives on the other.
//!
//! The server offers the subscriber's, the client the publisher's. A LiveKit client has both from the beginning, for its
//! data packets, and counts as active, and is announced, once its subscriber connection is up. One of ours has its data
//! inside the link; a connection is made for the first media that goes over it, and when it fails only that connection
//! is made anew. Which connection a description is about is told by the session id of its origin (RFC 8866, 5.2): as
//! long as it stays the connection does, and a new one is for a new connection.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use prost::Message as _;

use super::config::{Config, FAREWELL_GRACE};
use super::data;
use super::media::{allocate, forward, publish, subscribe};
use super::participant::{Key, Participant, Standing};
use super::room::Room;
use super::shared::{Seat, Shared};
use super::timers::Timer;
use crate::rtc::{self, Channel, Codec, Datagram, PacketIn, Peer, Section, SectionInfo, SendError};
use crate::signal::proto::signal_response::Message;
use crate::signal::proto::{DataPacket, SessionDescription, SignalTarget, TrickleRequest, data_packet::Kind};

/// How often the subscriber connection of one of our clients is made anew in a row without ever coming up. Each attempt
/// takes 15 s. After that it waits for the next subscription, or for the client to come back.
const FAILURES_MAX: u32 = 4;

/// The shortest time after which a connection is looked at again by itself. Its pacer may want to go on at once, and a
/// server that only did that would do nothing else.
const STEP_MIN: Duration = Duration::from_micros(500);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Publisher,
    Subscriber,
}

pub struct Peers {
    publisher: Option<Peer>,
    subscriber: Option<Peer>,
    /// The session id of the client's offers, also of a connection that has failed.
    origin: Option<String>,
    /// Counts the offers, so that a client can tell which one it answers.
    offers: u32,
    /// The answer to the last offer has not come.
    awaits_answer: bool,
    /// One of the two is gone for good: how long the client's farewell is waited for.
    pub farewell_until: Option<Instant>,
    /// As in [`Participant::wake`].
    pub wake: Option<Instant>,
}

/// What a peer connection said that concerns more than itself.
enum Event {
    Up(Side),
    Packet(Box<DataPacket>),
    Garbage,
    Failed(Side),
    Media(Box<PacketIn>),
    Section(SectionInfo),
    KeyFrameRequested(Section),
    Bitrate(u64),
}

impl std::fmt::Debug for Peers {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Peers").field("offers", &self.offers).finish_non_exhaustive()
    }
}

impl Peers {
    /// Without a connection.
    pub fn new() -> Self {
        Self {
            publisher: None,
            subscriber: None,
            origin: None,
            offers: 0,
            awaits_answer: false,
            farewell_until: None,
            wake: None,
        }
    }

    /// With both connections.
    pub fn both(now: Instant, config: &Config) -> Self {
        let mut peers = Self::new();
        peers.publisher = Some(peer(now, config));
        peers.subscriber = Some(peer(now, config));
        peers
    }

    pub fn need_subscriber(&mut self, now: Instant, config: &Config) {
        self.subscriber.get_or_insert_with(|| peer(now, config));
    }

    pub fn publisher(&self) -> Option<&Peer> {
        self.publisher.as_ref()
    }

    pub fn subscriber(&self) -> Option<&Peer> {
        self.subscriber.as_ref()
    }

    pub fn publisher_mut(&mut self) -> Option<&mut Peer> {
        self.publisher.as_mut()
    }

    pub fn subscriber_mut(&mut self) -> Option<&mut Peer> {
        self.subscriber.as_mut()
    }

    pub fn awaits_answer(&self) -> bool {
        self.awaits_answer
    }

    fn each(&mut self) -> impl Iterator<Item = &mut Peer> {
        [&mut self.subscriber, &mut self.publisher].into_iter().flatten()
    }

    pub fn accepts(&self, datagram: &Datagram) -> bool {
        [&self.subscriber, &self.publisher].into_iter().flatten().any(|peer| peer.accepts(datagram))
    }

    pub fn handle_datagram(&mut self, now: Instant, datagram: Datagram) {
        let found = self.each().find(|peer| peer.accepts(&datagram));
        if let Some(peer) = found {
            peer.handle_datagram(now, datagram);
        }
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        for peer in self.each() {
            if peer.poll_timeout().is_some_and(|when| when <= now) {
                peer.handle_timeout(now);
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let peers = [&self.subscriber, &self.publisher].into_iter().flatten().filter_map(Peer::poll_timeout);
        peers.min()
    }

    /// An offer for the subscriber's connection: the first one, or one that finds the client at its new address.
    pub fn restart(&mut self, now: Instant) -> Option<Message> {
        let sdp = self.subscriber.as_mut()?.restart_ice(now);
        self.offered(sdp)
    }

    /// An offer of what has changed since the last one was answered.
    fn offer_changes(&mut self, now: Instant) -> Option<Message> {
        let peer = self.subscriber.as_mut().filter(|peer| !self.awaits_answer && peer.needs_offer())?;
        let sdp = peer.offer(now);
        self.offered(sdp)
    }

    fn offered(&mut self, sdp: Result<String, rtc::RtcError>) -> Option<Message> {
        let sdp = sdp.inspect_err(|error| log::debug!("server: no offer: {error:?}")).ok()?;
        self.offers += 1;
        self.awaits_answer = true;
        let mut offer = description("offer", sdp, self.offers);
        subscribe::name_sections(&mut offer);
        Some(Message::Offer(offer))
    }

    /// True where the offer is for a connection that replaces the one before. `codec_of` knows what was announced for a
    /// track by its client's own name.
    pub fn handle_offer(
        &mut self,
        now: Instant,
        offer: &SessionDescription,
        config: &Config,
        codec_of: impl Fn(&str) -> Option<Codec>,
    ) -> (Option<Message>, bool) {
        let origin = origin(&offer.sdp).map(str::to_owned);
        let is_other = self.origin.is_some() && origin.is_some() && self.origin != origin;
        if is_other {
            self.publisher = None;
        } else if self.publisher.is_none() && self.origin.is_some() {
            log::debug!("server: an offer for a connection that has failed was skipped");
            return (None, false);
        }
        let peer = self.publisher.get_or_insert_with(|| peer(now, config));
        match peer.accept_offer(now, &offer.sdp) {
            Ok(sdp) => {
                self.origin = origin;
                let sdp = rtc::preferring(&sdp, &offer.sdp, codec_of);
                (Some(Message::Answer(description("answer", sdp, offer.id))), is_other)
            }
            Err(error) => {
                log::debug!("server: an offer was not accepted: {error:?}");
                (None, is_other)
            }
        }
    }

    /// Whether something was agreed on.
    pub fn handle_answer(&mut self, now: Instant, answer: &SessionDescription) -> bool {
        // Older clients do not say which offer they answer.
        if answer.id != 0 && answer.id != self.offers {
            return false;
        }
        let Some(peer) = &mut self.subscriber else { return false };
        match peer.accept_answer(now, &answer.sdp) {
            Ok(()) => {
                self.awaits_answer = false;
                true
            }
            Err(error) => {
                log::debug!("server: an answer was not accepted: {error:?}");
                // The offer may have ended with it. Another one is as good.
                self.awaits_answer = false;
                false
            }
        }
    }

    pub fn handle_trickle(&mut self, now: Instant, trickle: &TrickleRequest) {
        let Some(line) = rtc::candidate_line(&trickle.candidate_init) else { return };
        let peer = match trickle.target() {
            SignalTarget::Publisher => &mut self.publisher,
            SignalTarget::Subscriber => &mut self.subscriber,
        };
        let Some(peer) = peer else { return };
        if let Err(error) = peer.add_remote_candidate(now, &line) {
            log::debug!("server: a candidate was not accepted: {error:?}");
        }
    }

    /// False when the packet has to wait.
    pub fn send(&mut self, now: Instant, kind: Kind, bytes: &[u8]) -> bool {
        let channel = match kind {
            Kind::Reliable => Channel::Reliable,
            Kind::Lossy => Channel::Lossy,
        };
        let sent = match &mut self.subscriber {
            Some(peer) => peer.send(now, channel, bytes),
            None => Err(SendError::NotOpen),
        };
        match sent {
            // One that cannot be sent at all does not hold up the others.
            Ok(()) | Err(SendError::TooLarge | SendError::Empty) => true,
            // What may be lost is lost.
            Err(SendError::NotOpen | SendError::Full) => kind == Kind::Lossy,
        }
    }

    /// Says farewell to the client's side.
    pub fn close(&mut self, now: Instant, shared: &mut Shared) {
        for peer in self.each() {
            close(peer, now, shared);
        }
    }

    fn drain(&mut self, shared: &mut Shared) -> VecDeque<Event> {
        let mut events = VecDeque::new();
        while let Some(output) = self.subscriber.as_mut().and_then(Peer::poll) {
            match output {
                rtc::Output::Transmit(datagram) => shared.transmit(datagram),
                rtc::Output::Connected => events.push_back(Event::Up(Side::Subscriber)),
                rtc::Output::Failed(_) => events.push_back(Event::Failed(Side::Subscriber)),
                rtc::Output::KeyFrameRequested { section, .. } => {
                    events.push_back(Event::KeyFrameRequested(section));
                }
                rtc::Output::Bitrate(estimate_bps) => events.push_back(Event::Bitrate(estimate_bps)),
                // An opened channel is tried with the next packet; nothing is published on this connection; no relays
                // and no streams are asked for.
                rtc::Output::Opened(_)
                | rtc::Output::Candidate(_)
                | rtc::Output::OpenStream(_)
                | rtc::Output::CloseStream(_)
                | rtc::Output::RelayOver { .. }
                | rtc::Output::Data(..)
                | rtc::Output::Packet(_)
                | rtc::Output::Section(_)
                | rtc::Output::Disconnected => {}
            }
        }
        while let Some(output) = self.publisher.as_mut().and_then(Peer::poll) {
            match output {
                rtc::Output::Transmit(datagram) => shared.transmit(datagram),
                rtc::Output::Data(channel, bytes) => events.push_back(read(channel, &bytes)),
                rtc::Output::Failed(_) => events.push_back(Event::Failed(Side::Publisher)),
                rtc::Output::Connected => events.push_back(Event::Up(Side::Publisher)),
                rtc::Output::Packet(packet) => events.push_back(Event::Media(packet)),
                rtc::Output::Section(info) => events.push_back(Event::Section(info)),
                rtc::Output::KeyFrameRequested { .. }
                | rtc::Output::Bitrate(_)
                | rtc::Output::Candidate(_)
                | rtc::Output::OpenStream(_)
                | rtc::Output::CloseStream(_)
                | rtc::Output::RelayOver { .. }
                | rtc::Output::Opened(_)
                | rtc::Output::Disconnected => {}
            }
        }
        events
    }
}

fn peer(now: Instant, config: &Config) -> Peer {
    Peer::taking_streams(now, &config.udp_addresses, &config.tcp_addresses)
}

fn close(peer: &mut Peer, now: Instant, shared: &mut Shared) {
    peer.close(now);
    while let Some(output) = peer.poll() {
        if let rtc::Output::Transmit(datagram) = output {
            shared.transmit(datagram);
        }
    }
}

/// The session id of a description.
fn origin(sdp: &str) -> Option<&str> {
    let line = sdp.lines().find_map(|line| line.strip_prefix("o="))?;
    line.split_ascii_whitespace().nth(1)
}

fn description(kind: &str, sdp: String, id: u32) -> SessionDescription {
    SessionDescription { r#type: kind.into(), sdp, id, ..Default::default() }
}

#[allow(deprecated)] // older clients go by the kind and not by the channel
fn read(channel: Channel, bytes: &[u8]) -> Event {
    let Ok(mut packet) = DataPacket::decode(bytes) else { return Event::Garbage };
    let kind = match channel {
        Channel::Reliable => Kind::Reliable,
        Channel::Lossy => Kind::Lossy,
    };
    packet.kind = kind.into();
    Event::Packet(Box::new(packet))
}

/// Does what a participant's peer connections ask for, after anything happened to them.
pub fn settle(room: &mut Room, shared: &mut Shared, now: Instant, key: Key) {
    subscribe::wire(room, shared, now, key);
    offer_changes(room, shared, now, key);
    let drain = |room: &mut Room, shared: &mut Shared| {
        let participant = room.participants.get_mut(&key)?;
        let events = participant.peers.as_mut()?.drain(shared);
        (!events.is_empty()).then_some(events)
    };
    while let Some(events) = drain(room, shared) {
        for event in events {
            match event {
                Event::Media(packet) => forward::packet(room, shared, now, key, &packet),
                Event::Up(side) => up(room, shared, now, key, side),
                Event::Packet(packet) => data::publish(room, shared, now, key, *packet),
                Event::Garbage => shared.counters.frames_malformed += 1,
                Event::Section(info) => publish::section(room, shared, now, key, info),
                Event::KeyFrameRequested(section) => forward::key_wanted(room, shared, now, key, section),
                Event::Bitrate(estimate_bps) => allocate::estimated(room, shared, now, key, estimate_bps),
                Event::Failed(side) if is_inline(room, key) => renew(room, shared, now, key, side),
                Event::Failed(_) => return fail(room, shared, now, key),
            }
        }
        flush(room, shared, now, key);
    }
    flush(room, shared, now, key);
    watch(room, shared, now, key);
}

fn is_inline(room: &Room, key: Key) -> bool {
    room.participants.get(&key).is_some_and(|participant| participant.is_inline)
}

fn up(room: &mut Room, shared: &mut Shared, now: Instant, key: Key, side: Side) {
    if side == Side::Subscriber {
        activate(room, shared, now, key);
        subscribe::open(room, shared, now, key);
    }
}

fn activate(room: &mut Room, shared: &mut Shared, now: Instant, key: Key) {
    let Some(participant) = room.participants.get_mut(&key) else { return };
    if matches!(participant.standing, Standing::Joining { .. }) {
        participant.standing = Standing::Active;
        participant.version += 1;
        room.announce(shared, now, key, true);
        subscribe::arrive(room, shared, now, key);
        subscribe::invite(room, shared, now, key);
    }
}

/// Offers what has changed for the subscriber, once its answer to the last offer has come.
fn offer_changes(room: &mut Room, shared: &mut Shared, now: Instant, key: Key) {
    let Some(participant) = room.participants.get_mut(&key) else { return };
    let (Some(link), Some(peers)) = (participant.link(), participant.peers.as_mut()) else { return };
    let Some(message) = peers.offer_changes(now) else { return };
    shared.send(link, message);
}

/// A connection of one of our clients has failed. Its signals go on.
fn renew(room: &mut Room, shared: &mut Shared, now: Instant, key: Key, side: Side) {
    let Some(participant) = room.participants.get_mut(&key) else { return };
    let Participant { peers: Some(peers), share, .. } = participant else { return };
    match side {
        Side::Subscriber => {
            peers.subscriber = None;
            peers.awaits_answer = false;
            if let Some(share) = share {
                share.unwire();
                share.failures += 1;
                share.is_unwired &= share.failures <= FAILURES_MAX;
            }
            shared.restless.push_back(Seat { room: room.name.clone(), key });
        }
        // The client makes another one; its origin tells it from this one.
        Side::Publisher => {
            peers.publisher = None;
            publish::orphan(room, shared, now, key);
        }
    }
}

/// A connection is gone for good. A client that leaves closes its connections and says farewell in one breath, but over
/// different roads; so who took part already is given the time to say it.
fn fail(room: &mut Room, shared: &mut Shared, now: Instant, key: Key) {
    let Some(participant) = room.participants.get_mut(&key) else { return };
    if let Standing::Joining { until } = &mut participant.standing {
        *until = now;
    } else if let Some(peers) = &mut participant.peers {
        peers.farewell_until.get_or_insert(now + FAREWELL_GRACE);
    }
    room.watch(shared, key);
}

/// Packets that waited for the channel, until it takes no more.
fn flush(room: &mut Room, shared: &mut Shared, now: Instant, key: Key) {
    let Some(participant) = room.participants.get_mut(&key) else { return };
    let Participant { queue, peers: Some(peers), is_inline: false, .. } = participant else { return };
    let mut sent = false;
    while let Some(bytes) = queue.front() {
        if !peers.send(now, Kind::Reliable, bytes) {
            break;
        }
        queue.pop();
        sent = true;
    }
    if sent {
        shared.restless.push_back(Seat { room: room.name.clone(), key });
    }
}

fn watch(room: &mut Room, shared: &mut Shared, now: Instant, key: Key) {
    let Some(peers) = room.participants.get_mut(&key).and_then(|one| one.peers.as_mut()) else { return };
    let Some(when) = peers.deadline().map(|when| when.max(now + STEP_MIN)) else { return };
    if peers.wake.is_none_or(|set| when < set) {
        shared.timers.put(&mut peers.wake, Some(when), Timer::Peers { room: room.name.clone(), key });
    }
}

/// A deadline has come.
pub fn wake(room: &mut Room, shared: &mut Shared, now: Instant, key: Key, set: Instant) {
    let Some(peers) = room.participants.get_mut(&key).and_then(|one| one.peers.as_mut()) else { return };
    if peers.wake != Some(set) {
        return;
    }
    peers.wake = None;
    if peers.deadline().is_some_and(|when| when <= now) {
        peers.handle_timeout(now);
    }
    settle(room, shared, now, key);
}
