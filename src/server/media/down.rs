//! One subscription: which layer of a track goes to one subscriber, packet by packet.

use std::sync::Arc;
use std::time::Instant;

use super::super::participant::Key;
use super::numbers::{Incoming, Numbers, Order, Outgoing};
use super::vp8::Descriptor;
use crate::rtc::{Codec, MediaKind, PacketIn, PacketOut, Section};
use crate::signal::proto::StreamState;

const AUDIO_CLOCK_HZ: u32 = 48_000;
const VIDEO_CLOCK_HZ: u32 = 90_000;

/// Whether the subscriber's connection can carry the track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Path {
    /// Its section is not agreed on, or the connection is not up.
    Closed,
    Open,
    /// The subscriber cannot decode what the publisher sends.
    Unsupported,
}

/// What is to be forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    pub layer: usize,
    /// The highest temporal layer that is wanted.
    pub temporal: u8,
}

#[derive(Debug)]
pub struct Down {
    pub publisher: Key,
    pub kind: MediaKind,
    pub section: Option<Section>,
    pub path: Path,
    /// `None`: nothing, because nothing is wished for or nothing fits.
    pub target: Option<Target>,
    /// The layer that is being forwarded.
    pub current: Option<usize>,
    /// So much waits for the network that nothing is added.
    pub is_full: bool,
    looked_at: Option<u64>,
    /// The highest temporal layer that is being forwarded.
    temporal: u8,
    /// A picture that goes through although it should not: a part of it may be under way already.
    exempt: Option<u64>,
    numbers: Numbers,
    /// The network does not carry it, and the subscriber was told.
    pub is_paused: bool,
    /// When its layer was last lowered because of the network.
    pub lowered: Option<Instant>,
}

/// A packet as all subscribers see it.
pub struct Seen<'a> {
    pub packet: &'a PacketIn,
    pub codec: Codec,
    pub payload: &'a Arc<[u8]>,
    pub layer: usize,
    pub descriptor: Option<Descriptor>,
    pub is_key: bool,
    pub wall_us: Option<i64>,
    pub captured: Instant,
}

impl Down {
    pub fn new(publisher: Key, kind: MediaKind) -> Self {
        let clock_hz = if kind == MediaKind::Audio { AUDIO_CLOCK_HZ } else { VIDEO_CLOCK_HZ };
        Self {
            publisher,
            kind,
            section: None,
            path: Path::Closed,
            target: Some(Target { layer: 0, temporal: u8::MAX }),
            current: None,
            is_full: false,
            looked_at: None,
            temporal: u8::MAX,
            exempt: None,
            numbers: Numbers::new(clock_hz),
            is_paused: false,
            lowered: None,
        }
    }

    /// As its subscriber is told.
    pub fn state(&self) -> StreamState {
        if self.is_paused { StreamState::Paused } else { StreamState::Active }
    }

    pub fn unwire(&mut self) {
        let clock_hz = if self.kind == MediaKind::Audio { AUDIO_CLOCK_HZ } else { VIDEO_CLOCK_HZ };
        self.section = None;
        self.path = Path::Closed;
        self.current = None;
        self.numbers = Numbers::new(clock_hz);
    }

    /// The publisher begins a new stream: forwarding goes on at its next key frame.
    pub fn restart(&mut self) {
        self.current = None;
    }

    /// Whether it waits for a key frame of this layer.
    pub fn waits_for(&self, layer: usize) -> bool {
        let wanted = self.target.map(|target| target.layer);
        self.path == Path::Open && wanted == Some(layer) && self.current != wanted
    }

    /// The packet as it goes to this subscriber, if it does.
    pub fn take(&mut self, seen: &Seen<'_>) -> Option<PacketOut> {
        let target = self.target.filter(|_| self.path == Path::Open)?;
        let incoming = Incoming {
            sequence: seen.packet.sequence,
            timestamp: seen.packet.timestamp,
            received: seen.packet.received,
            wall_us: seen.wall_us,
            descriptor: seen.descriptor.as_ref(),
        };
        let is_current = self.current == Some(seen.layer);
        let order = if is_current { self.numbers.order(incoming.sequence) } else { Order::Elsewhere };
        if order == Order::Elsewhere {
            // Another layer, or a new stream of this one.
            if target.layer != seen.layer || !seen.is_key || seen.payload.is_empty() {
                if is_current {
                    self.current = None;
                }
                return None;
            }
            self.current = Some(seen.layer);
            self.temporal = target.temporal;
            self.exempt = None;
            self.numbers.cut_in(&incoming);
        }
        if order != Order::Late && (seen.payload.is_empty() || self.is_left_out(seen, target, order)) {
            self.numbers.leave_out(&incoming);
            return None;
        }
        if seen.payload.is_empty() {
            return None;
        }
        let numbers = self.numbers.number(&incoming)?;
        Some(outgoing(seen, numbers))
    }

    /// Whether another picture of the layer that is wanted begins with this packet.
    pub fn begins(&mut self, seen: &Seen<'_>) -> bool {
        let is_wanted = self.target.is_some_and(|target| target.layer == seen.layer);
        (is_wanted || self.current == Some(seen.layer))
            && self.looked_at.replace(seen.packet.timestamp) != Some(seen.packet.timestamp)
    }

    /// Whether the picture is of a temporal layer that is not wanted.
    fn is_left_out(&mut self, seen: &Seen<'_>, target: Target, order: Order) -> bool {
        let Some(descriptor) = &seen.descriptor else { return false };
        if target.temporal < self.temporal {
            self.temporal = target.temporal;
        } else if target.temporal > self.temporal
            && (descriptor.is_sync && descriptor.temporal == self.temporal.saturating_add(1) || seen.is_key)
        {
            // One by one: each layer can be joined where it builds on nothing but the layers below it.
            self.temporal = if seen.is_key { target.temporal } else { descriptor.temporal };
        }
        if descriptor.temporal <= self.temporal || self.exempt == Some(seen.packet.timestamp) {
            return false;
        }
        if order == Order::AfterGap {
            self.exempt = Some(seen.packet.timestamp);
            return false;
        }
        true
    }
}

fn outgoing(seen: &Seen<'_>, numbers: Outgoing) -> PacketOut {
    let Outgoing { sequence, timestamp, picture, base } = numbers;
    let payload = match &seen.descriptor {
        // Most subscribers share the publisher's bytes; a copy is made where the numbers inside them differ.
        Some(found) if found.picture != picture || found.base != base => {
            let mut copy: Arc<[u8]> = Arc::from(seen.payload.as_ref());
            if let Some(bytes) = Arc::get_mut(&mut copy) {
                found.write(bytes, picture, base);
            }
            copy
        }
        _ => seen.payload.clone(),
    };
    PacketOut {
        codec: seen.codec,
        sequence,
        timestamp,
        is_marked: seen.packet.is_marked,
        payload,
        audio_level: seen.packet.audio_level,
        rotation_degrees: seen.packet.rotation_degrees,
        is_resendable: seen.codec != Codec::Opus,
        captured: Some(seen.captured),
    }
}
