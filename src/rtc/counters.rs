//! What is counted of one stream, in one direction.

use std::time::Duration;

use str0m::stats::{MediaEgressStats, MediaIngressStats};

use super::media::{Layer, MediaKind, Section};
use super::reports::{Amount, SectionStatistics};

/// Packets and bytes are counted here, where they pass; the rest str0m tells once a second.
#[derive(Debug, Default, Clone)]
pub(super) struct Counters {
    packets: u64,
    bytes: u64,
    /// Of the sequence numbers that came: the first and the last.
    first: Option<u64>,
    last: u64,
    lost: u64,
    loss: Option<f32>,
    resent: Amount,
    nacks: u64,
    plis: u64,
    firs: u64,
    round_trip: Option<Duration>,
    jitter: u32,
    /// The other side has told what came of it.
    is_reported: bool,
    remote_sent: Option<Amount>,
}

impl Counters {
    pub fn count(&mut self, bytes: usize) {
        self.packets += 1;
        self.bytes += bytes as u64;
    }

    /// A packet that came. What is missing between the first and the last one is lost, until it comes after all.
    pub fn count_numbered(&mut self, bytes: usize, sequence: u64) {
        self.count(bytes);
        let first = *self.first.get_or_insert(sequence);
        self.last = self.last.max(sequence);
        self.lost = (self.last.saturating_sub(first) + 1).saturating_sub(self.packets);
    }

    pub fn take_egress(&mut self, stats: &MediaEgressStats) {
        // What waits for the pacer is counted here and not there yet: as long as it waits this is too little.
        self.resent = Amount {
            packets: stats.packets.saturating_sub(self.packets).max(self.resent.packets),
            bytes: stats.bytes.saturating_sub(self.bytes).max(self.resent.bytes),
        };
        (self.nacks, self.plis, self.firs) = (stats.nacks, stats.plis, stats.firs);
        (self.round_trip, self.loss) = (stats.rtt.or(self.round_trip), stats.loss);
        if let Some(remote) = &stats.remote {
            (self.jitter, self.lost) = (remote.jitter, remote.packets_lost);
            self.is_reported = true;
        }
    }

    pub fn take_ingress(&mut self, stats: &MediaIngressStats) {
        (self.nacks, self.plis, self.firs) = (stats.nacks, stats.plis, stats.firs);
        (self.round_trip, self.loss) = (stats.rtt.or(self.round_trip), stats.loss);
        self.jitter = stats.jitter;
        let told = stats.remote.as_ref();
        self.remote_sent = told.map(|told| Amount { packets: told.packets, bytes: told.bytes });
    }

    pub fn statistics(
        &self,
        section: Section,
        layer: Option<Layer>,
        kind: MediaKind,
        is_sending: bool,
    ) -> SectionStatistics {
        let clock = match kind {
            MediaKind::Audio => 48_000.0,
            MediaKind::Video => 90_000.0,
        };
        SectionStatistics {
            section,
            layer,
            is_sending,
            ssrc: 0,
            packets: self.packets,
            bytes: self.bytes,
            lost: self.lost,
            loss: self.loss,
            resent: self.resent,
            nacks: self.nacks,
            plis: self.plis,
            firs: self.firs,
            round_trip: self.round_trip,
            jitter: (self.jitter > 0).then(|| Duration::from_secs_f64(f64::from(self.jitter) / clock)),
            is_reported: self.is_reported,
            remote_sent: self.remote_sent,
        }
    }
}
