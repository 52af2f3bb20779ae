//! A place on a TURN server (RFC 8656), as a value: datagrams of a peer connection go in, those of the server come out,
//! and the other way round.
//!
//! The protocol is turn-client-proto's; this file lends it a clock, a wall against its panics and a memory for datagrams
//! that come before the server lets them through. Each address that is sent to gets a channel of its own (section 12 there),
//! which costs four bytes in a datagram; permissions, refreshes and stale nonces are the protocol's affair. Where the server
//! is reached by a stream the owner of the sockets makes datagrams of it, and nothing here is different.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::net::SocketAddr;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use turn_client_proto::api::{
    Transmit, TransmitBuild, TurnClientApi as _, TurnConfig, TurnEvent, TurnPollRet, TurnRecvRet,
};
use turn_client_proto::prelude::DelayedTransmitBuild as _;
use turn_client_proto::types::{Instant as Moment, TransportType, TurnCredentials};
use turn_client_proto::udp::TurnClientUdp;

use super::Datagram;

/// A request is repeated after this long, then after twice as long, as RFC 8489 section 6.2.1 has it.
const REQUEST_PAUSE: Duration = Duration::from_millis(500);

/// No pause is longer than this, neither between two tries nor after the last one.
const REQUEST_PAUSE_MAX: Duration = Duration::from_secs(2);

/// With the pauses above a server that does not answer is given up after 7.5 s: a join that has another server, or none,
/// has its own end at 10 s.
const REQUEST_TRIES: u32 = 5;

/// How many addresses are sent to through one relay: as many as candidates of the other side are looked at.
const CHANNELS_MAX: usize = 64;

/// How many datagrams wait for their channel. They are checks of the path, which are repeated anyway.
const WAITING_MAX: usize = 4;

/// Where a message names the request that it belongs to, together with the cookie of STUN (RFC 8489 section 5).
const ID: Range<usize> = 4..20;

/// How an answer begins that refuses a place.
const ALLOCATE_ERROR: [u8; 2] = [0x01, 0x13];

/// The protocol has nothing to wait for but says that it is due: it paces its requests by this much.
const PACE: Duration = Duration::from_millis(50);

/// A TURN server and the own socket from which it is spoken to.
#[derive(Clone, PartialEq, Eq)]
pub struct RelayPath {
    /// Used for nothing else: what comes there from another address than the server's is dropped.
    pub base: SocketAddr,
    pub server: SocketAddr,
    pub user: String,
    pub credential: String,
}

impl fmt::Debug for RelayPath {
    /// Without who one is there.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RelayPath")
            .field("base", &self.base)
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

/// What a relay has to say.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Send this, from the base to the server.
    Transmit(Datagram),
    /// This is the address at which others reach us.
    Allocated(SocketAddr),
    /// Somebody has sent this to that address; `local` is it.
    Received(Datagram),
    /// The server has refused, or does not answer any more. Said once, and last: the address that there was is not ours
    /// any more.
    Over(Option<SocketAddr>),
}

enum Channel {
    /// The server has been asked; these wait for its answer.
    Asked(Vec<Vec<u8>>),
    Open,
    Refused,
}

/// See the module's text. Call [`Relay::poll`] until `None` after each other call.
pub(super) struct Relay {
    /// `None` when it is over.
    client: Option<Box<TurnClientUdp>>,
    base: SocketAddr,
    server: SocketAddr,
    relayed: Option<SocketAddr>,
    channels: HashMap<SocketAddr, Channel>,
    /// The last request for a place.
    request: Vec<u8>,
    /// The protocol counts time from here.
    start: Instant,
    deadline: Option<Instant>,
    found: VecDeque<Found>,
}

impl Relay {
    pub fn new(now: Instant, path: &RelayPath) -> Self {
        let credentials = TurnCredentials::new(&path.user, &path.credential);
        let mut config = TurnConfig::new(credentials);
        config.set_request_retransmits(REQUEST_PAUSE, REQUEST_PAUSE_MAX, REQUEST_TRIES, REQUEST_PAUSE_MAX);
        let client = walled(|| Box::new(TurnClientUdp::allocate(path.base, path.server, config)));
        let mut relay = Self {
            client,
            base: path.base,
            server: path.server,
            relayed: None,
            channels: HashMap::new(),
            request: Vec::new(),
            start: now,
            deadline: None,
            found: VecDeque::new(),
        };
        relay.drive(now, |_, _, _| {});
        relay
    }

    pub fn base(&self) -> SocketAddr {
        self.base
    }

    pub fn server(&self) -> SocketAddr {
        self.server
    }

    pub fn relayed(&self) -> Option<SocketAddr> {
        self.relayed
    }

    pub fn is_over(&self) -> bool {
        self.client.is_none()
    }

    /// Sends a datagram whose `local` is the relayed address.
    pub fn send(&mut self, now: Instant, datagram: Datagram) {
        let Datagram { remote, bytes, .. } = datagram;
        let has_room = self.channels.len() < CHANNELS_MAX;
        match self.channels.get_mut(&remote) {
            Some(Channel::Open) => self.drive(now, |client, moment, found| {
                let sent = client.send_to(TransportType::Udp, remote, &bytes, moment);
                if let Ok(Some(transmit)) = sent {
                    found.push_back(Found::Transmit(built(transmit)));
                }
            }),
            Some(Channel::Asked(waiting)) if waiting.len() < WAITING_MAX => waiting.push(bytes),
            Some(Channel::Asked(_) | Channel::Refused) => {}
            None if has_room => {
                self.channels.insert(remote, Channel::Asked(vec![bytes]));
                let mut is_asked = false;
                self.drive(now, |client, moment, _| {
                    is_asked = client.bind_channel(TransportType::Udp, remote, moment).is_ok();
                });
                if !is_asked {
                    self.channels.insert(remote, Channel::Refused);
                }
            }
            None => log::debug!("rtc: a relay is not asked for yet another address"),
        }
    }

    /// A datagram came to the base.
    pub fn handle_datagram(&mut self, now: Instant, datagram: Datagram) {
        let Datagram { local, remote, bytes } = datagram;
        let relayed = self.relayed;
        // A second refusal, after the credentials were shown, the protocol takes for a forgery and asks on until its time is
        // over. Nobody else knows the request's id, so it is the server's.
        let is_answer = bytes.starts_with(&ALLOCATE_ERROR) && bytes.get(ID) == Some(&self.request[..]);
        let mut is_refused = false;
        self.drive(now, |client, moment, found| {
            let transmit = Transmit::new(bytes, TransportType::Udp, remote, local);
            match (client.recv(transmit, moment), relayed) {
                (TurnRecvRet::PeerData(data), Some(relayed)) => {
                    let bytes = data.data().to_vec();
                    found.push_back(Found::Received(Datagram { local: relayed, remote: data.peer, bytes }));
                }
                (TurnRecvRet::Ignored(_), None) => is_refused = is_answer,
                _ => {}
            }
        });
        if is_refused {
            self.abandon();
        }
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        self.drive(now, |_, _, _| {});
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadline
    }

    pub fn poll(&mut self) -> Option<Found> {
        self.found.pop_front()
    }

    /// Gives the place back. The last word to the server is left to [`Relay::poll`], and is said once: where it is lost
    /// the server takes the place back by itself, minutes later.
    pub fn close(&mut self, now: Instant) {
        self.drive(now, |client, moment, _| {
            if let Err(error) = client.delete(moment) {
                log::debug!("rtc: a relay is left without a word: {error}");
            }
        });
        self.client = None;
        self.relayed = None;
        self.deadline = None;
        self.found.retain(|found| matches!(found, Found::Transmit(_)));
    }

    /// The way to the server is cut.
    pub fn abandon(&mut self) {
        if self.client.take().is_some() {
            self.over();
        }
    }

    fn over(&mut self) {
        self.deadline = None;
        self.found.push_back(Found::Over(self.relayed.take()));
    }

    /// Changes the protocol's state and takes out what it has to say.
    fn drive(&mut self, now: Instant, change: impl FnOnce(&mut TurnClientUdp, Moment, &mut VecDeque<Found>)) {
        let Some(mut client) = self.client.take() else { return };
        let moment = self.moment(now);
        let driven = walled(|| {
            change(&mut client, moment, &mut self.found);
            let until = self.drain(now, &mut client, moment);
            (client, until)
        });
        match driven {
            Some((client, Some(until))) => {
                self.client = Some(client);
                self.deadline = Some(until);
            }
            Some((_, None)) | None => self.over(),
        }
    }

    /// Until when there is nothing to do; `None` when it is over.
    fn drain(&mut self, now: Instant, client: &mut TurnClientUdp, moment: Moment) -> Option<Instant> {
        loop {
            let polled = client.poll(moment);
            let mut is_busy = false;
            while let Some(transmit) = client.poll_transmit(moment) {
                is_busy = true;
                let (local, remote, bytes) = (transmit.from, transmit.to, transmit.data.to_vec());
                if self.relayed.is_none() {
                    self.request = bytes.get(ID).unwrap_or_default().to_vec();
                }
                self.found.push_back(Found::Transmit(Datagram { local, remote, bytes }));
            }
            while let Some(event) = client.poll_event() {
                is_busy = true;
                if !self.take(client, moment, event) {
                    return None;
                }
            }
            match polled {
                _ if is_busy => {}
                TurnPollRet::WaitUntil(until) if until > moment => {
                    let nanoseconds = u64::try_from(until.as_nanos()).unwrap_or_default();
                    return Some(self.start + Duration::from_nanos(nanoseconds));
                }
                TurnPollRet::WaitUntil(_) => return Some(now + PACE),
                // Of a relay by TCP, which is never asked for.
                TurnPollRet::AllocateTcpSocket { .. } | TurnPollRet::TcpClose { .. } => {
                    return Some(now + PACE);
                }
                TurnPollRet::Closed => return None,
            }
        }
    }

    /// False when this is the end.
    fn take(&mut self, client: &mut TurnClientUdp, moment: Moment, event: TurnEvent) -> bool {
        match event {
            TurnEvent::AllocationCreated(_, relayed) => {
                self.relayed = Some(relayed);
                self.found.push_back(Found::Allocated(relayed));
            }
            TurnEvent::AllocationCreateFailed(_) => return false,
            TurnEvent::ChannelCreated(_, remote) => {
                let before = self.channels.insert(remote, Channel::Open);
                let Some(Channel::Asked(waiting)) = before else { return true };
                for bytes in waiting {
                    if let Ok(Some(transmit)) = client.send_to(TransportType::Udp, remote, bytes, moment) {
                        self.found.push_back(Found::Transmit(built(transmit)));
                    }
                }
            }
            TurnEvent::ChannelCreateFailed(_, remote) => {
                log::debug!("rtc: the TURN server does not send to {remote}");
                self.channels.insert(remote, Channel::Refused);
            }
            // Permissions come and go with the channels; the rest is of relays by TCP.
            TurnEvent::PermissionCreated(..)
            | TurnEvent::PermissionCreateFailed(..)
            | TurnEvent::TcpConnected(_)
            | TurnEvent::TcpConnectFailed(_) => {}
        }
        true
    }

    fn moment(&self, now: Instant) -> Moment {
        let passed = now.saturating_duration_since(self.start).as_nanos();
        Moment::from_nanos(i64::try_from(passed).unwrap_or(i64::MAX))
    }
}

fn built<T: AsRef<[u8]> + fmt::Debug>(
    transmit: TransmitBuild<turn_client_proto::api::DelayedMessageOrChannelSend<T>>,
) -> Datagram {
    Datagram { local: transmit.from, remote: transmit.to, bytes: transmit.data.build() }
}

/// `None` when the protocol has panicked on a broken invariant of its own. What it held is gone then, and this relay with it.
fn walled<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work))
        .map_err(|_| log::error!("rtc: a defect in the TURN client ended one relay"))
        .ok()
}
