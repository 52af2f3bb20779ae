//! The two peer connections of a LiveKit client, for its data packets: it sends on one and receives on the other.
//!
//! The server offers the subscriber's, the client the publisher's. A participant counts as active, and is announced,
//! once its subscriber connection is up.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

use prost::Message as _;

use super::allowance::{Allowance, NEGOTIATIONS};
use super::config::FAREWELL_GRACE;
use super::data;
use super::participant::{Key, Participant, Standing};
use super::room::Room;
use super::shared::{Seat, Shared};
use super::timers::Timer;
use crate::rtc::{self, Channel, Datagram, Peer, SendError};
use crate::signal::proto::signal_response::Message;
use crate::signal::proto::{DataPacket, SessionDescription, SignalTarget, TrickleRequest, data_packet::Kind};

pub struct Peers {
    publisher: Peer,
    subscriber: Peer,
    /// Counts the offers, so that a client can tell which one it answers.
    offers: u32,
    pub negotiations: Allowance,
    /// One of the two is gone for good: how long the client's farewell is waited for.
    pub farewell_until: Option<Instant>,
    /// As in [`Participant::wake`].
    pub wake: Option<Instant>,
}

/// What a peer connection said that concerns more than itself.
enum Event {
    Up,
    Packet(Box<DataPacket>),
    Garbage,
    Failed,
}

impl std::fmt::Debug for Peers {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Peers").field("offers", &self.offers).finish_non_exhaustive()
    }
}

impl Peers {
    pub fn new(now: Instant, local: &[SocketAddr]) -> Self {
        Self {
            publisher: Peer::new(now, local),
            subscriber: Peer::new(now, local),
            offers: 0,
            negotiations: Allowance::new(now, NEGOTIATIONS),
            farewell_until: None,
            wake: None,
        }
    }

    pub fn accepts(&self, datagram: &Datagram) -> bool {
        self.subscriber.accepts(datagram) || self.publisher.accepts(datagram)
    }

    pub fn handle_datagram(&mut self, now: Instant, datagram: Datagram) {
        let peer =
            if self.subscriber.accepts(&datagram) { &mut self.subscriber } else { &mut self.publisher };
        peer.handle_datagram(now, datagram);
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        self.publisher.handle_timeout(now);
        self.subscriber.handle_timeout(now);
    }

    fn deadline(&self) -> Option<Instant> {
        self.publisher.poll_timeout().into_iter().chain(self.subscriber.poll_timeout()).min()
    }

    /// An offer for the subscriber's connection: the first one, or one that finds the client at its new address.
    pub fn offer(&mut self, now: Instant) -> Option<Message> {
        let sdp =
            self.subscriber.restart_ice(now).inspect_err(|error| log::debug!("server: no offer: {error:?}"));
        self.offers += 1;
        Some(Message::Offer(description("offer", sdp.ok()?, self.offers)))
    }

    pub fn handle_offer(&mut self, now: Instant, offer: &SessionDescription) -> Option<Message> {
        match self.publisher.accept_offer(now, &offer.sdp) {
            Ok(sdp) => Some(Message::Answer(description("answer", sdp, offer.id))),
            Err(error) => {
                log::debug!("server: an offer was not accepted: {error:?}");
                None
            }
        }
    }

    pub fn handle_answer(&mut self, now: Instant, answer: &SessionDescription) {
        if let Err(error) = self.subscriber.accept_answer(now, &answer.sdp) {
            log::debug!("server: an answer was not accepted: {error:?}");
        }
    }

    pub fn handle_trickle(&mut self, now: Instant, trickle: &TrickleRequest) {
        let Some(line) = rtc::candidate_line(&trickle.candidate_init) else { return };
        let peer = match trickle.target() {
            SignalTarget::Publisher => &mut self.publisher,
            SignalTarget::Subscriber => &mut self.subscriber,
        };
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
        match self.subscriber.send(now, channel, bytes) {
            // One that cannot be sent at all does not hold up the others.
            Ok(()) | Err(SendError::TooLarge | SendError::Empty) => true,
            // What may be lost is lost.
            Err(SendError::NotOpen | SendError::Full) => kind == Kind::Lossy,
        }
    }

    /// Says farewell to the client's side.
    pub fn close(&mut self, now: Instant, shared: &mut Shared) {
        for peer in [&mut self.publisher, &mut self.subscriber] {
            peer.close(now);
            while let Some(output) = peer.poll() {
                if let rtc::Output::Transmit(datagram) = output {
                    shared.transmit(datagram);
                }
            }
        }
    }

    fn drain(&mut self, shared: &mut Shared) -> VecDeque<Event> {
        let mut events = VecDeque::new();
        while let Some(output) = self.subscriber.poll() {
            match output {
                rtc::Output::Transmit(datagram) => shared.transmit(datagram),
                rtc::Output::Connected => events.push_back(Event::Up),
                rtc::Output::Failed(_) => events.push_back(Event::Failed),
                // An opened channel is tried with the next packet; nothing is published on this connection.
                rtc::Output::Opened(_) | rtc::Output::Data(..) | rtc::Output::Disconnected => {}
                rtc::Output::Packet(_)
                | rtc::Output::Section(_)
                | rtc::Output::KeyFrameRequested { .. }
                | rtc::Output::Bitrate(_) => {}
            }
        }
        while let Some(output) = self.publisher.poll() {
            match output {
                rtc::Output::Transmit(datagram) => shared.transmit(datagram),
                rtc::Output::Data(channel, bytes) => events.push_back(read(channel, &bytes)),
                rtc::Output::Failed(_) => events.push_back(Event::Failed),
                rtc::Output::Connected | rtc::Output::Opened(_) | rtc::Output::Disconnected => {}
                rtc::Output::Packet(_)
                | rtc::Output::Section(_)
                | rtc::Output::KeyFrameRequested { .. }
                | rtc::Output::Bitrate(_) => {}
            }
        }
        events
    }
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
    let drain = |room: &mut Room, shared: &mut Shared| {
        let participant = room.participants.get_mut(&key)?;
        let events = participant.peers.as_mut()?.drain(shared);
        (!events.is_empty()).then_some(events)
    };
    while let Some(events) = drain(room, shared) {
        for event in events {
            match event {
                Event::Up => activate(room, shared, key),
                Event::Packet(packet) => data::publish(room, shared, now, key, *packet),
                Event::Garbage => shared.counters.frames_malformed += 1,
                Event::Failed => return fail(room, shared, now, key),
            }
        }
        flush(room, shared, now, key);
    }
    flush(room, shared, now, key);
    watch(room, shared, key);
}

fn activate(room: &mut Room, shared: &mut Shared, key: Key) {
    let Some(participant) = room.participants.get_mut(&key) else { return };
    if matches!(participant.standing, Standing::Joining { .. }) {
        participant.standing = Standing::Active;
        participant.version += 1;
        room.announce(shared, key, true);
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
    let Participant { queue, peers: Some(peers), .. } = participant else { return };
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

fn watch(room: &mut Room, shared: &mut Shared, key: Key) {
    let Some(peers) = room.participants.get_mut(&key).and_then(|one| one.peers.as_mut()) else { return };
    let Some(when) = peers.deadline() else { return };
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
