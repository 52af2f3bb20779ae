//! The server as a value: all rooms, their participants, and the links these sit at.
//!
//! Whoever owns the sockets asks [`Server::admit`] before it opens a link, hands every frame and closing to
//! [`Server::handle`], calls [`Server::handle_timeout`] when [`Server::poll_timeout`] says so, and drains
//! [`Server::poll`] after each of these. Two servers that are told the same with the same seed answer the same.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use super::allowance::{Allowance, STRANGERS};
use super::claims::{self, Admission, Fingerprint, Locality, Refusal};
use super::config::Config;
use super::media::tick;
use super::participant::Key;
use super::room::Room;
use super::shared::{Counters, Seat, Shared};
use super::streams::{self, Finding};
use super::timers::Timer;
use super::{join, peers, requests};
use crate::rtc::Datagram;
use crate::signal::join::JoinQuery;
use crate::signal::proto::{DisconnectReason, leave_request::Action};

/// A signalling connection. Numbers are the caller's, and are not used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// A stream for media. Numbers are the caller's, grow, and are not used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u64);

#[derive(Debug, Clone)]
pub enum Input {
    /// A client was admitted and its link is open.
    Opened { link: LinkId, admission: Box<Admission> },
    /// A message came over the link.
    Frame { link: LinkId, bytes: Vec<u8> },
    /// The link is gone, whoever closed it.
    Closed { link: LinkId },
    /// A UDP datagram came to one of `Config::udp_addresses`, or what stands for one through a stream.
    Datagram(Datagram),
    /// Somebody has opened a stream to one of `Config::tcp_addresses`. Between these two ends datagrams go through it from
    /// now on.
    StreamOpened { stream: StreamId, local: SocketAddr, remote: SocketAddr },
    /// The stream has ended, whoever closed it.
    StreamClosed { stream: StreamId },
    /// The answer to [`Output::OpenSockets`]: where datagrams can be sent to from now on. Nowhere, if that failed.
    SocketsOpened(Vec<SocketAddr>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// The bytes are shared with the other links that they go to: a packet to a thousand is kept once.
    Send {
        link: LinkId,
        worth: Worth,
        bytes: Arc<[u8]>,
    },
    /// Close the link once everything before this is on its way. Nothing follows for it.
    Close {
        link: LinkId,
    },
    Transmit(Datagram),
    /// Close the stream once everything before this is on its way. Nothing follows for it.
    CloseStream(StreamId),
    /// Open UDP sockets, and tell with [`Input::SocketsOpened`].
    OpenSockets,
}

/// What becomes of a message when its client is behind with reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worth {
    /// It is sent, or the link ends: without it the client would not know any more what is going on.
    Signal,
    /// A data packet: rather is it missed than that anybody could have the client thrown out.
    Reliable,
    /// The same, and sooner.
    Lossy,
}

#[derive(Debug)]
pub struct Server {
    pub(super) shared: Shared,
    pub(super) rooms: BTreeMap<Arc<str>, Room>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Serving,
    ShuttingDown,
}

impl Server {
    pub fn new(config: Config, seed: u64) -> Self {
        Self { shared: Shared::new(config, seed), rooms: BTreeMap::new(), state: State::Serving }
    }

    /// Whether a client may come in. To be asked before its link is opened, because only then can it be refused with
    /// an HTTP status.
    pub fn admit(
        &self,
        now: Instant,
        wall_ms: i64,
        query: &JoinQuery,
        token: &str,
        locality: Locality,
    ) -> Result<Box<Admission>, Refusal> {
        if self.state == State::ShuttingDown {
            return Err(Refusal::new(503, "The server is shutting down; try again."));
        }
        let parsed = claims::parse(token)?;
        let name = claims::room(query, &parsed)?;
        let fingerprint = Fingerprint::of(token);
        let room = self.rooms.get(name);
        // A token is looked at when a session begins. One that has expired since still resumes it.
        let resumes = room.zip(query.resume_sid.as_deref()).is_some_and(|(room, sid)| {
            let participant = room.key_of_sid(sid).and_then(|key| room.participants.get(&key));
            participant.is_some_and(|participant| participant.fingerprint == fingerprint)
        });
        let claims = if resumes {
            crate::signal::token::Claims { session_id: name.to_owned(), ..parsed.claims().clone() }
        } else {
            claims::check(&parsed, name, query, wall_ms / 1000, &self.shared.config.secrets, locality)?
        };
        let admission = Box::new(Admission { query: query.clone(), claims, fingerprint, locality });
        if let Some(room) = room
            && room.is_full(&self.shared)
            && !join::returns(room, &admission, now)
        {
            return Err(Refusal::new(429, "The session has as many connections as it may have."));
        }
        if room.is_none() && self.shared.config.connections_max == Some(0) {
            return Err(Refusal::new(429, "This server takes no connections."));
        }
        Ok(admission)
    }

    pub fn handle(&mut self, now: Instant, wall_ms: i64, input: Input) {
        match input {
            Input::Opened { link, admission } => self.open(now, wall_ms, link, *admission),
            Input::Frame { link, bytes } => {
                if let Some((room, key)) = seat(&mut self.rooms, &self.shared, link) {
                    requests::handle(room, &mut self.shared, now, wall_ms, link, key, &bytes);
                }
            }
            Input::Closed { link } => {
                if let Some((room, key)) = seat(&mut self.rooms, &self.shared, link) {
                    self.shared.seats.remove(&link);
                    requests::cut(room, &mut self.shared, now, key, DisconnectReason::SignalClose);
                }
            }
            Input::Datagram(datagram) => self.receive(now, datagram),
            Input::StreamOpened { stream, local, remote } => {
                streams::opened(&mut self.shared, now, stream, local, remote);
            }
            Input::StreamClosed { stream } => streams::closed(&mut self.shared, stream),
            Input::SocketsOpened(addresses) if addresses.is_empty() => self.shared.retry_sockets(now),
            Input::SocketsOpened(addresses) => {
                self.shared.config.udp_addresses = addresses;
                for Seat { room, key } in std::mem::take(&mut self.shared.waiting) {
                    if let Some(room) = self.rooms.get_mut(&room) {
                        requests::resume(room, &mut self.shared, now, key);
                    }
                }
            }
        }
        self.settle(now);
    }

    /// A datagram goes to the peer connection that knows its sender, or its credentials.
    fn receive(&mut self, now: Instant, datagram: Datagram) {
        let is_of_stream = self.shared.config.tcp_addresses.contains(&datagram.local);
        let seat = if is_of_stream { self.by_stream(now, &datagram) } else { self.by_sender(now, &datagram) };
        let Some(seat) = seat else { return };
        let participant =
            self.rooms.get_mut(&seat.room).and_then(|room| room.participants.get_mut(&seat.key));
        if let Some(peers) = participant.and_then(|participant| participant.peers.as_mut()) {
            peers.handle_datagram(now, datagram);
            self.shared.restless.push_back(seat);
        }
    }

    fn by_sender(&mut self, now: Instant, datagram: &Datagram) -> Option<Seat> {
        let known = self.shared.routes.get(&datagram.remote).filter(|seat| self.accepts(seat, datagram));
        if let Some(seat) = known {
            return Some(seat.clone());
        }
        // A path begins with a check of it. Only that is worth a search among all who are here.
        if !is_stun(&datagram.bytes) {
            return None;
        }
        let seat = self.by_credentials(now, datagram)?;
        self.shared.learn_route(datagram.remote, &seat);
        Some(seat)
    }

    fn by_stream(&mut self, now: Instant, datagram: &Datagram) -> Option<Seat> {
        match streams::find(&mut self.shared, datagram) {
            Finding::Owner(seat) => self.accepts(&seat, datagram).then_some(seat),
            Finding::Check => {
                let seat = self.by_credentials(now, datagram)?;
                streams::bind(&mut self.shared, datagram, &seat);
                Some(seat)
            }
            Finding::Nothing => None,
        }
    }

    fn by_credentials(&mut self, now: Instant, datagram: &Datagram) -> Option<Seat> {
        let strangers = self.shared.strangers.get_or_insert_with(|| Allowance::new(now, STRANGERS));
        if !strangers.take(now, 1) {
            self.shared.counters.strangers_ignored += 1;
            return None;
        }
        self.rooms.values().find_map(|room| {
            let key = room.participants.keys().find(|key| room.accepts(**key, datagram))?;
            Some(Seat { room: room.name.clone(), key: *key })
        })
    }

    fn accepts(&self, seat: &Seat, datagram: &Datagram) -> bool {
        self.rooms.get(&seat.room).is_some_and(|room| room.accepts(seat.key, datagram))
    }

    /// Lets peer connections have their say until none has anything left. They are not echoed to, so this ends.
    pub(super) fn settle(&mut self, now: Instant) {
        while let Some(Seat { room, key }) = self.shared.restless.pop_front() {
            if let Some(room) = self.rooms.get_mut(&room) {
                peers::settle(room, &mut self.shared, now, key);
            }
        }
    }

    fn open(&mut self, now: Instant, wall_ms: i64, link: LinkId, admission: Admission) {
        if self.state == State::ShuttingDown {
            return self.shared.dismiss(link, DisconnectReason::ServerShutdown, Action::Reconnect);
        }
        let name = admission.claims.session_id.as_str();
        if !self.rooms.contains_key(name) {
            if admission.query.resume_sid.is_some() {
                return self.shared.dismiss(link, DisconnectReason::StateMismatch, Action::Reconnect);
            }
            let room = Room::new(name, &mut self.shared, wall_ms);
            self.rooms.insert(room.name.clone(), room);
        }
        let Some(room) = self.rooms.get_mut(name) else { return };
        // Others may have come since this one was admitted.
        if room.is_full(&self.shared) && !join::returns(room, &admission, now) {
            return self.shared.dismiss(link, DisconnectReason::JoinFailure, Action::Disconnect);
        }
        join::join(room, &mut self.shared, now, wall_ms, link, admission);
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((set, timer)) = self.shared.timers.take_due(now) {
            match timer {
                Timer::Participant { room, key } => {
                    if let Some(room) = self.rooms.get_mut(&room) {
                        room.wake(&mut self.shared, now, key, set);
                    }
                }
                Timer::Peers { room, key } => {
                    if let Some(room) = self.rooms.get_mut(&room) {
                        peers::wake(room, &mut self.shared, now, key, set);
                    }
                }
                Timer::Media { room } => {
                    if let Some(room) = self.rooms.get_mut(&room) {
                        tick::wake(room, &mut self.shared, now, set);
                    }
                }
                Timer::Counts { room } => {
                    if let Some(room) = self.rooms.get_mut(&room) {
                        room.tell_numbers(&mut self.shared, set);
                    }
                }
                Timer::Streams => {
                    let Self { shared, rooms, .. } = self;
                    let is_there = |seat: &Seat| {
                        rooms.get(&seat.room).is_some_and(|room| room.participants.contains_key(&seat.key))
                    };
                    streams::sweep(shared, now, is_there);
                }
                Timer::Sockets => {
                    let Self { shared, rooms, .. } = self;
                    shared.sockets_retry = None;
                    shared.waiting.retain(|seat| {
                        rooms.get(&seat.room).is_some_and(|room| room.participants.contains_key(&seat.key))
                    });
                    if !shared.waiting.is_empty() {
                        shared.out.push_back(Output::OpenSockets);
                    }
                }
                Timer::Room { name } => {
                    let expired = |room: &Room| room.vanishes.is_some_and(|when| when <= now);
                    if self.rooms.get(&name).is_some_and(expired)
                        && let Some(mut room) = self.rooms.remove(&name)
                    {
                        tick::stop(&mut room, &mut self.shared);
                    }
                }
            }
        }
        self.settle(now);
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Output> {
        self.shared.out.pop_front()
    }

    /// When [`Server::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.shared.timers.next()
    }

    /// The end: everybody is told to join anew, elsewhere or here after a restart, and nobody is let in any more.
    pub fn shutdown(&mut self, now: Instant) {
        self.state = State::ShuttingDown;
        for room in std::mem::take(&mut self.rooms).into_values() {
            room.disband(&mut self.shared, now, DisconnectReason::ServerShutdown, Action::Reconnect);
        }
    }

    pub fn is_shutting_down(&self) -> bool {
        self.state == State::ShuttingDown
    }

    pub fn counters(&self) -> Counters {
        self.shared.counters
    }

    /// How many links have a participant.
    pub fn links(&self) -> usize {
        self.shared.seats.len()
    }
}

/// RFC 8489, 5: the first two bits are zero, and the cookie is in its place.
fn is_stun(bytes: &[u8]) -> bool {
    const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
    bytes.first().is_some_and(|first| *first < 0x40) && bytes.get(4..8) == Some(&COOKIE)
}

/// The room and the participant of a link.
fn seat<'a>(
    rooms: &'a mut BTreeMap<Arc<str>, Room>,
    shared: &Shared,
    link: LinkId,
) -> Option<(&'a mut Room, Key)> {
    let Seat { room, key } = shared.seats.get(&link)?;
    Some((rooms.get_mut(room)?, *key))
}
