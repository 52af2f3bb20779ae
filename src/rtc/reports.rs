//! What a peer knows of itself, for programs that read reports of statistics: its counters, its formats, its path.
//!
//! Only what is measured or agreed on; what is not known is `None`, and nothing is made up.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use str0m::CandidateKind as Kind;
use str0m::media::Pt;
use str0m::stats::CandidatePairStats;

use super::link::Link;
use super::media::{Layer, Section};
use super::{Datagram, Peer, codecs};

/// What has gone over a section, or one of its layers, in one direction since it exists.
#[derive(Debug, Clone, PartialEq)]
pub struct SectionStatistics {
    pub section: Section,
    pub layer: Option<Layer>,
    /// Of this peer, else of the other side.
    pub is_sending: bool,
    pub ssrc: u32,
    /// Without retransmissions.
    pub packets: u64,
    /// Of payload, without retransmissions.
    pub bytes: u64,
    /// Where this peer sends: what it has sent again, and padding made of it.
    pub resent: Amount,
    /// Packets that never came: as the other side reports it where this one sends.
    pub lost: u64,
    /// Share lost in the last interval, 0 to 1.
    pub loss: Option<f32>,
    /// Requests for packets and for key frames, by PLI and by FIR: heard where this peer sends, made where it receives.
    pub nacks: u64,
    pub plis: u64,
    pub firs: u64,
    pub round_trip: Option<Duration>,
    /// As the receiving side measures it.
    pub jitter: Option<Duration>,
    /// Where this peer sends: the other side has told what came of it.
    pub is_reported: bool,
    /// Where it receives: what the other side says that it has sent.
    pub remote_sent: Option<Amount>,
}

/// What was agreed on for a section.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SectionReport {
    pub mid: Option<String>,
    /// The second word of `a=msid`.
    pub track_id: String,
    /// What is sent on it, or came last.
    pub format: Option<FormatReport>,
}

/// A payload type and what it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormatReport {
    pub payload_type: u8,
    /// As descriptions write it.
    pub name: String,
    pub clock_rate: u32,
    pub channels: Option<u8>,
    /// What `a=fmtp` says; empty where it says nothing.
    pub parameters: String,
}

/// The transport under all sections.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TransportReport {
    pub sent: Amount,
    pub received: Amount,
    pub dtls: DtlsState,
    /// What the network is estimated to carry from here, in bit/s.
    pub estimate_bps: Option<u64>,
    /// The path in use.
    pub pair: Option<PairReport>,
}

/// The words of the standard for a transport, as far as they are told apart here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DtlsState {
    #[default]
    New,
    Connecting,
    Connected,
    Closed,
}

/// Datagrams and the bytes in them, without the checks of ICE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Amount {
    pub packets: u64,
    pub bytes: u64,
}

#[derive(Debug, Clone, PartialEq)]
pub struct PairReport {
    /// By TCP instead of UDP.
    pub is_stream: bool,
    pub local: CandidateReport,
    pub remote: CandidateReport,
    /// Since it is in use.
    pub sent: Amount,
    pub received: Amount,
    /// Of the last check, and of all of them.
    pub round_trip: Option<Duration>,
    pub round_trip_total: Duration,
    pub responses: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CandidateReport {
    pub address: SocketAddr,
    pub kind: CandidateKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CandidateKind {
    Host,
    ServerReflexive,
    PeerReflexive,
    Relayed,
}

impl From<Kind> for CandidateKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Host => Self::Host,
            Kind::ServerReflexive => Self::ServerReflexive,
            Kind::PeerReflexive => Self::PeerReflexive,
            Kind::Relayed => Self::Relayed,
        }
    }
}

/// What has passed.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    sent: Amount,
    received: Amount,
    route: Option<Route>,
}

/// The pair of addresses that the last datagram was sent over.
#[derive(Debug)]
struct Route {
    local: SocketAddr,
    remote: SocketAddr,
    sent: Amount,
    received: Amount,
    checks: Checks,
}

/// Microseconds: an hour has room in 32 bits, and there may be many such peers.
#[derive(Debug, Default)]
struct Checks {
    round_trip_us: Option<u32>,
    responses: u32,
    total_us: u64,
}

/// What the other side has called its addresses. Kept small: most peers never report it.
#[derive(Debug, Default)]
pub(super) struct RemoteKinds(Vec<(IpAddr, u16, CandidateKind)>);

impl RemoteKinds {
    /// The caller sees to it that they do not become too many.
    pub fn add(&mut self, address: SocketAddr, kind: CandidateKind) {
        self.0.reserve_exact(1);
        self.0.push((address.ip(), address.port(), kind));
    }

    /// An address that the other side has not named was found out by its checks.
    fn kind(&self, address: SocketAddr) -> CandidateKind {
        let is_it =
            |(ip, port, _): &&(IpAddr, u16, CandidateKind)| (*ip, *port) == (address.ip(), address.port());
        self.0.iter().find(is_it).map_or(CandidateKind::PeerReflexive, |(_, _, kind)| *kind)
    }
}

impl Amount {
    fn count(&mut self, datagram: &Datagram) {
        self.packets += 1;
        self.bytes += datagram.bytes.len() as u64;
    }
}

impl Traffic {
    pub fn sent(&mut self, datagram: &Datagram) {
        if is_check(datagram) {
            return;
        }
        self.sent.count(datagram);
        let (local, remote) = (datagram.local, datagram.remote);
        let same = self.route.take().filter(|route| (route.local, route.remote) == (local, remote));
        let route = self.route.insert(same.unwrap_or_else(|| Route {
            local,
            remote,
            sent: Amount::default(),
            received: Amount::default(),
            checks: Checks::default(),
        }));
        route.sent.count(datagram);
    }

    pub fn received(&mut self, datagram: &Datagram) {
        if is_check(datagram) {
            return;
        }
        self.received.count(datagram);
        let ends = (datagram.local, datagram.remote);
        if let Some(route) = self.route.as_mut().filter(|route| (route.local, route.remote) == ends) {
            route.received.count(datagram);
        }
    }

    /// Whether the last datagram left from here.
    pub fn begins_at(&self, local: SocketAddr) -> bool {
        self.route.as_ref().is_some_and(|route| route.local == local)
    }

    /// Whether the last datagram went to this machine itself.
    pub fn stays_here(&self) -> bool {
        self.route.as_ref().is_some_and(|route| route.remote.ip().is_loopback())
    }

    pub fn take_checks(&mut self, stats: &CandidatePairStats) {
        let ends = (stats.local.addr, stats.remote.addr);
        if let Some(route) = self.route.as_mut().filter(|route| (route.local, route.remote) == ends) {
            let micros = |time: Duration| time.as_micros().try_into().unwrap_or(u32::MAX);
            route.checks = Checks {
                round_trip_us: stats.current_round_trip_time.map(micros).or(route.checks.round_trip_us),
                responses: stats.responses_received.try_into().unwrap_or(u32::MAX),
                total_us: stats.total_round_trip_time.as_micros() as u64,
            };
        }
    }
}

/// STUN begins with a byte that nothing else on a shared port begins with (RFC 7983 section 7).
fn is_check(datagram: &Datagram) -> bool {
    datagram.bytes.first().is_none_or(|first| *first < 4)
}

impl Peer {
    /// Counters of all sections, in both directions.
    pub fn statistics(&self) -> Vec<SectionStatistics> {
        let mut all = Vec::new();
        for (section, entry) in self.state.sections.entries() {
            for stream in entry.outgoing.iter().flat_map(|outgoing| &outgoing.streams) {
                let counted = stream.counters.statistics(section, stream.layer, entry.kind, true);
                all.push(SectionStatistics { ssrc: *stream.ssrc, ..counted });
            }
            for stream in entry.incoming.iter().flat_map(|incoming| &incoming.streams) {
                let counted = stream.counters.statistics(section, stream.layer, entry.kind, false);
                all.push(SectionStatistics { ssrc: *stream.ssrc, ..counted });
            }
        }
        // Most senders do not answer the reports by which a receiver could measure it.
        for statistics in &mut all {
            statistics.round_trip = statistics.round_trip.or(self.state.round_trip);
        }
        all
    }

    /// What was agreed on for a section that this peer sends on, or receives on.
    pub fn section_report(&self, section: Section, is_sending: bool) -> SectionReport {
        let Some(entry) = self.state.sections.entry(section) else { return SectionReport::default() };
        let (track_id, payload_type) = match (is_sending, &entry.outgoing, &entry.incoming) {
            (true, Some(outgoing), _) => {
                (&outgoing.sending.track_id, outgoing.codecs.first().map(|(_, format)| *format))
            }
            (false, _, Some(incoming)) => {
                (&incoming.info.track_id, incoming.streams.iter().rev().find_map(|stream| stream.format))
            }
            _ => return SectionReport::default(),
        };
        let format = |payload_type: Pt| self.engine.look(|rtc| codecs::report(rtc, payload_type)).flatten();
        SectionReport {
            mid: entry.mid.map(|mid| mid.to_string()),
            track_id: track_id.clone(),
            format: payload_type.and_then(format),
        }
    }

    pub fn transport_report(&self) -> TransportReport {
        let Traffic { sent, received, route } = &self.state.traffic;
        let pair = route.as_ref().map(|route| PairReport {
            is_stream: self.streams.begin_at(route.local),
            local: CandidateReport { address: route.local, kind: self.local_kind(route.local) },
            remote: CandidateReport { address: route.remote, kind: self.remote.kind(route.remote) },
            sent: route.sent,
            received: route.received,
            round_trip: route.checks.round_trip_us.map(|time| Duration::from_micros(time.into())),
            round_trip_total: Duration::from_micros(route.checks.total_us),
            responses: route.checks.responses.into(),
        });
        TransportReport {
            sent: *sent,
            received: *received,
            dtls: match self.state.link {
                Link::Unnegotiated => DtlsState::New,
                Link::Over => DtlsState::Closed,
                // A path is looked for again, and the keys are still good.
                _ if self.state.was_up => DtlsState::Connected,
                Link::Connecting { .. } | Link::Connected { .. } | Link::Lost { .. } => DtlsState::Connecting,
            },
            estimate_bps: self.state.estimate_bps(),
            pair,
        }
    }

    /// Whatever address a datagram leaves from is one of ours: a socket's, or a relay's.
    fn local_kind(&self, address: SocketAddr) -> CandidateKind {
        match self.relays.iter().any(|relay| relay.relayed() == Some(address)) {
            true => CandidateKind::Relayed,
            false => CandidateKind::Host,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(local: u16, remote: u16, bytes: &[u8]) -> Datagram {
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        Datagram { local: address(local), remote: address(remote), bytes: bytes.to_vec() }
    }

    #[test]
    fn checks_are_not_counted_and_another_path_begins_at_nothing() {
        let mut traffic = Traffic::default();
        traffic.sent(&datagram(1, 2, &[0, 1, 0, 0]));
        assert!(traffic.route.is_none());
        traffic.sent(&datagram(1, 2, &[0x80; 10]));
        traffic.received(&datagram(1, 2, &[0x80; 20]));
        traffic.received(&datagram(1, 3, &[0x80; 40]));
        let route = traffic.route.as_ref().expect("a path");
        assert_eq!((route.sent.bytes, route.received.bytes), (10, 20));
        assert_eq!((traffic.received.bytes, traffic.received.packets), (60, 2));
        traffic.sent(&datagram(1, 3, &[0x80; 5]));
        let route = traffic.route.as_ref().expect("a path");
        assert_eq!((route.sent.bytes, route.received.bytes, traffic.sent.bytes), (5, 0, 15));
    }
}
