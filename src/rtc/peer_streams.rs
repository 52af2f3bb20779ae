//! A peer connection's TCP streams (RFC 6544), for networks that let no UDP through. A client opens them, to the addresses
//! at which the server takes some.
//!
//! str0m hears of such an address when its stream is there: both ends of the pair are added together. What it sends from
//! the own end is for the owner of the sockets to put into that stream. LiveKit's server binds a stream to the credentials
//! of the first check in it, so each agreement on new ones begins with streams of its own.

use std::net::SocketAddr;
use std::time::Instant;

use str0m::Candidate;
use str0m::net::{Protocol, TcpType};

use super::candidate::reachable;
use super::link::{Link, UDP_HEAD_START};
use super::{Output, Peer};

/// How many addresses are dialled after each agreement. A server has one for each family of addresses and each of its
/// networks; every further one would only be another that a stranger makes us call.
const ADDRESSES_MAX: usize = 4;

/// How often each of them is dialled. A stream that breaks this often is no way for media.
const TRIES_MAX: u32 = 3;

#[derive(Default)]
pub(super) struct Streams {
    is_allowed: bool,
    ends: Vec<End>,
    /// Where this side takes some.
    taken_at: Vec<SocketAddr>,
}

/// An address of the other side.
struct End {
    candidate: Candidate,
    tries: u32,
    stage: Stage,
}

enum Stage {
    Waiting,
    Dialled,
    /// The own end.
    Open(Candidate),
    Over,
}

impl Streams {
    /// Whether one of them begins at this address.
    pub fn begin_at(&self, local: SocketAddr) -> bool {
        self.open().any(|own| own.addr() == local)
    }

    pub fn are_open(&self) -> bool {
        self.open().next().is_some()
    }

    /// By which protocol something came to this address.
    pub fn protocol(&self, local: SocketAddr) -> Protocol {
        let is_stream = self.taken_at.contains(&local) || self.begin_at(local);
        if is_stream { Protocol::Tcp } else { Protocol::Udp }
    }

    fn open(&self) -> impl Iterator<Item = &Candidate> {
        self.ends.iter().filter_map(|end| match &end.stage {
            Stage::Open(own) => Some(own),
            Stage::Waiting | Stage::Dialled | Stage::Over => None,
        })
    }
}

impl Peer {
    /// Opens streams where UDP makes no connection and the other side takes them. [`Output::OpenStream`] asks for one.
    pub fn opens_streams(mut self) -> Self {
        self.streams.is_allowed = true;
        self
    }

    /// As [`Self::new`], where the other side may also open streams to `taken_at`, which are none of the sockets' addresses. What comes
    /// through one and goes back is a datagram between such an address and that from which the stream was opened.
    pub fn taking_streams(now: Instant, local: &[SocketAddr], taken_at: &[SocketAddr]) -> Self {
        let is_networked = local.iter().chain(taken_at).any(|address| !address.ip().is_loopback());
        let mut peer = Self::unreachable(now, is_networked);
        for address in local {
            peer.add_local(*address);
        }
        peer.take_streams_at(taken_at);
        peer.advance(now);
        peer
    }

    fn take_streams_at(&mut self, addresses: &[SocketAddr]) {
        for address in addresses {
            let candidate = Candidate::builder().tcp().host(*address).tcptype(TcpType::Passive).build();
            let Ok(candidate) = candidate else { continue };
            if reachable(address.ip()) && self.add_candidate(candidate).is_some() {
                self.streams.taken_at.push(*address);
            }
        }
    }

    pub(super) fn add_stream_end(&mut self, candidate: Candidate) {
        let ends = &mut self.streams.ends;
        let is_known = ends.iter().any(|end| end.candidate.addr() == candidate.addr());
        if self.streams.is_allowed && !is_known && ends.len() < ADDRESSES_MAX {
            self.remote.add(candidate.addr(), candidate.kind().into());
            ends.push(End { candidate, tries: 0, stage: Stage::Waiting });
        }
    }

    /// When the addresses that wait are dialled: not as long as UDP may still make it.
    pub(super) fn streams_deadline(&self) -> Option<Instant> {
        let waits = self.streams.ends.iter().any(|end| matches!(end.stage, Stage::Waiting));
        self.state.link.searches_since().filter(|_| waits).map(|since| since + UDP_HEAD_START)
    }

    pub(super) fn streams_timeout(&mut self, now: Instant) {
        if self.streams_deadline().is_none_or(|at| now < at) {
            return;
        }
        for end in &mut self.streams.ends {
            if matches!(end.stage, Stage::Waiting) {
                end.stage = Stage::Dialled;
                end.tries += 1;
                self.state.outputs.push_back(Output::OpenStream(end.candidate.addr()));
            }
        }
    }

    /// Answers [`Output::OpenStream`]: the stream to `remote` begins at `local`.
    pub fn stream_opened(&mut self, now: Instant, remote: SocketAddr, local: SocketAddr) {
        let own = Candidate::builder().tcp().host(local).tcptype(TcpType::Active).build();
        let theirs = self.streams.ends.iter_mut().find(|end| end.is_dialled(remote));
        let (Some(end), Ok(own), true) = (theirs, own, local.is_ipv4() == remote.is_ipv4()) else {
            // It comes too late, or from an address that cannot be paired with the other one.
            self.stream_refused(remote);
            return self.state.outputs.push_back(Output::CloseStream(local));
        };
        end.stage = Stage::Open(own.clone());
        let theirs = end.candidate.clone();
        self.drive(|rtc| {
            rtc.add_local_candidate(own);
            rtc.add_remote_candidate(theirs);
        });
        self.advance(now);
    }

    /// Answers [`Output::OpenStream`]: there is no way.
    pub fn stream_refused(&mut self, remote: SocketAddr) {
        if let Some(end) = self.streams.ends.iter_mut().find(|end| end.is_dialled(remote)) {
            end.stage = Stage::Over;
        }
    }

    /// The stream that began at this address has ended, be it one of the peer's own or the way to a TURN server.
    pub fn stream_lost(&mut self, now: Instant, local: SocketAddr) {
        self.relay_lost(now, local);
        let Some(own) = self.streams.ends.iter_mut().find_map(|end| end.lose(local)) else { return };
        self.take_back(now, own);
        self.advance(now);
    }

    pub fn has_streams(&self) -> bool {
        self.streams.are_open()
    }

    /// Whether a stream of this peer begins at this address.
    pub fn has_stream_at(&self, local: SocketAddr) -> bool {
        self.streams.begin_at(local)
    }

    /// The streams belong to an agreement that is over.
    pub(super) fn close_streams(&mut self) {
        for end in std::mem::take(&mut self.streams.ends) {
            if let Stage::Open(own) = end.stage {
                let local = own.addr();
                if self.state.link != Link::Over {
                    self.drive(|rtc| rtc.direct_api().invalidate_candidate(&own));
                }
                self.state.outputs.push_back(Output::CloseStream(local));
            }
        }
    }
}

impl End {
    fn is_dialled(&self, remote: SocketAddr) -> bool {
        matches!(self.stage, Stage::Dialled) && self.candidate.addr() == remote
    }

    /// The own end, where it was this one that is lost.
    fn lose(&mut self, local: SocketAddr) -> Option<Candidate> {
        let next = if self.tries < TRIES_MAX { Stage::Waiting } else { Stage::Over };
        match std::mem::replace(&mut self.stage, next) {
            Stage::Open(own) if own.addr() == local => Some(own),
            other => {
                self.stage = other;
                None
            }
        }
    }
}
