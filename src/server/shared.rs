//! What all rooms of a server share: the way out, the deadlines, the ids.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use super::allowance::Allowance;
use super::config::{Config, ROUTES_MAX, SOCKETS_PAUSE};
use super::core::{LinkId, Output, Worth};
use super::participant::Key;
use super::sids::Sids;
use super::streams::Streams;
use super::timers::{Timer, Timers};
use crate::rtc::Datagram;
use crate::signal::frame::FromServer;
use crate::signal::proto::signal_response::Message;
use crate::signal::proto::{DisconnectReason, LeaveRequest, data_packet::Kind, leave_request::Action};

/// What was dropped, for the log and for tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    pub data_too_large: u64,
    pub data_not_allowed: u64,
    /// Packets for participants that stayed away while too many others came.
    pub data_queue_dropped: u64,
    pub frames_malformed: u64,
    /// Descriptions and candidates beyond what a client may send.
    pub negotiations_refused: u64,
    /// Datagrams from unknown addresses beyond what is looked at.
    pub strangers_ignored: u64,
    /// Streams that were closed because too many were strangers', or because a stranger said too much.
    pub streams_refused: u64,
    /// Requests about tracks beyond what a client may ask.
    pub media_requests_refused: u64,
    /// Media of tracks that nobody has announced.
    pub packets_of_strangers: u64,
    /// Media that a connection did not take.
    pub packets_dropped: u64,
}

/// Where the participant of a link sits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seat {
    pub room: Arc<str>,
    pub key: Key,
}

#[derive(Debug)]
pub struct Shared {
    pub config: Config,
    pub out: VecDeque<Output>,
    pub timers: Timers,
    pub sids: Sids,
    pub counters: Counters,
    pub seats: HashMap<LinkId, Seat>,
    /// Whose peer connections something happened to.
    pub restless: VecDeque<Seat>,
    /// Where datagrams from an address went last.
    pub routes: HashMap<SocketAddr, Seat>,
    /// What may be spent on datagrams from elsewhere; since the first of them.
    pub strangers: Option<Allowance>,
    pub streams: Streams,
    /// Who waits for the UDP sockets; since the first one they are asked for.
    pub waiting: Vec<Seat>,
    /// When they are asked for again, since they could not be opened.
    pub sockets_retry: Option<Instant>,
    keys: u64,
}

impl Shared {
    pub fn new(config: Config, seed: u64) -> Self {
        Self {
            config,
            out: VecDeque::new(),
            timers: Timers::default(),
            sids: Sids::new(seed),
            counters: Counters::default(),
            seats: HashMap::new(),
            restless: VecDeque::new(),
            routes: HashMap::new(),
            strangers: None,
            streams: Streams::default(),
            waiting: Vec::new(),
            sockets_retry: None,
            keys: 0,
        }
    }

    pub fn next_key(&mut self) -> Key {
        self.keys += 1;
        Key(self.keys)
    }

    pub fn send(&mut self, link: LinkId, message: Message) {
        self.send_bytes(link, FromServer::Message(message).encode());
    }

    pub fn send_bytes(&mut self, link: LinkId, bytes: impl Into<Arc<[u8]>>) {
        self.out.push_back(Output::Send { link, worth: Worth::Signal, bytes: bytes.into() });
    }

    /// A data packet inside the link.
    pub fn send_data(&mut self, link: LinkId, kind: Kind, bytes: Arc<[u8]>) {
        let worth = match kind {
            Kind::Reliable => Worth::Reliable,
            Kind::Lossy => Worth::Lossy,
        };
        self.out.push_back(Output::Send { link, worth, bytes });
    }

    pub fn transmit(&mut self, datagram: Datagram) {
        self.out.push_back(Output::Transmit(datagram));
    }

    /// Whether there are sockets for media, or will be.
    pub fn may_have_sockets(&self) -> bool {
        self.config.opens_udp_on_demand || self.config.has_addresses()
    }

    /// Whether there are sockets for media. Where those of UDP are opened on demand this is the demand, and `seat` is told.
    pub fn has_sockets(&mut self, seat: &Seat) -> bool {
        if self.config.has_addresses() {
            return true;
        }
        if self.config.opens_udp_on_demand {
            if self.waiting.is_empty() {
                self.out.push_back(Output::OpenSockets);
            }
            if !self.waiting.contains(seat) {
                self.waiting.push(seat.clone());
            }
        }
        false
    }

    /// Datagrams from there are for `seat`. Who sends from too many addresses is found anew; where that is not enough
    /// everybody is.
    pub fn learn_route(&mut self, remote: SocketAddr, seat: &Seat) {
        if self.routes.len() >= ROUTES_MAX {
            self.routes.retain(|_, known| known != seat);
        }
        if self.routes.len() >= ROUTES_MAX {
            self.routes.clear();
        }
        self.routes.insert(remote, seat.clone());
    }

    /// The sockets could not be opened. Whoever waits for them goes on waiting: descriptors come back when others leave.
    pub fn retry_sockets(&mut self, now: Instant) {
        self.timers.put(&mut self.sockets_retry, Some(now + SOCKETS_PAUSE), Timer::Sockets);
    }

    /// The link is forgotten: nothing is sent there any more, and what still comes from it is ignored.
    pub fn close(&mut self, link: LinkId) {
        self.seats.remove(&link);
        self.out.push_back(Output::Close { link });
    }

    /// Says why, and closes the link.
    pub fn dismiss(&mut self, link: LinkId, reason: DisconnectReason, action: Action) {
        let leave = LeaveRequest {
            can_reconnect: action != Action::Disconnect,
            reason: reason.into(),
            action: action.into(),
            regions: None,
        };
        self.send(link, Message::Leave(leave));
        self.close(link);
    }
}
