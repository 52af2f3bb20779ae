//! Packets that wait for the others of their frame, in order.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::receiver::SenderReport;
use crate::media::Rotation;
use crate::media::packet::{Link, Piece};

/// Four seconds of 4 Mbit/s; a key frame of a large screen is a thousand. More is not waiting but an attack.
const PACKETS_MAX: usize = 2_048;
const BYTES_MAX: usize = 4 << 20;

#[derive(Debug)]
pub(super) struct Stored {
    pub timestamp: u64,
    pub is_marked: bool,
    /// `None`: padding, which has a number and is part of no frame.
    pub piece: Option<Piece>,
    pub payload: Arc<[u8]>,
    pub arrived: Instant,
    pub rotation: Rotation,
    pub sender_report: Option<SenderReport>,
}

/// Neighbours of one timestamp: a frame, or what has come of it.
#[derive(Debug)]
pub(super) struct Run {
    pub first: u64,
    pub last: u64,
    pub timestamp: u64,
    pub is_key: bool,
    pub link: Link,
    pub has_start: bool,
    pub has_end: bool,
}

impl Run {
    pub fn is_complete(&self) -> bool {
        self.has_start && self.has_end
    }
}

#[derive(Debug, Default)]
pub(super) struct Packets {
    stored: BTreeMap<u64, Stored>,
    bytes: usize,
}

impl Packets {
    pub fn is_empty(&self) -> bool {
        self.stored.is_empty()
    }

    pub fn is_full(&self) -> bool {
        self.stored.len() > PACKETS_MAX || self.bytes > BYTES_MAX
    }

    /// False when it is there already.
    pub fn insert(&mut self, sequence: u64, packet: Stored) -> bool {
        if self.stored.contains_key(&sequence) {
            return false;
        }
        self.bytes += packet.payload.len();
        self.stored.insert(sequence, packet);
        true
    }

    pub fn clear(&mut self) {
        self.stored.clear();
        self.bytes = 0;
    }

    /// Everything from the first up to `last`, in order.
    pub fn take_to(&mut self, last: u64) -> Vec<(u64, Stored)> {
        let mut taken = Vec::new();
        while let Some(entry) = self.stored.first_entry().filter(|entry| *entry.key() <= last) {
            self.bytes -= entry.get().payload.len();
            taken.push(entry.remove_entry());
        }
        taken
    }

    /// Whether padding has this number.
    pub fn is_padding(&self, sequence: u64) -> bool {
        self.stored.get(&sequence).is_some_and(|packet| packet.piece.is_none())
    }

    /// The first that is there, and when it came.
    pub fn lowest(&self) -> Option<(u64, Instant)> {
        self.stored.first_key_value().map(|(sequence, packet)| (*sequence, packet.arrived))
    }

    /// When the first of the packets behind `sequence` came: since then it is known that something is missing there.
    pub fn first_arrival_after(&self, sequence: u64) -> Option<Instant> {
        self.stored.range(sequence.saturating_add(1)..).map(|(_, packet)| packet.arrived).min()
    }

    pub fn newest_arrival(&self) -> Option<Instant> {
        self.stored.values().map(|packet| packet.arrived).max()
    }

    /// In order. `next`: the number behind the last frame that was taken; `finished`: that frame's timestamp.
    pub fn runs(&self, next: Option<u64>, finished: Option<u64>) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        // Of the packet before, if there is no hole behind it.
        let mut before: Option<(u64, &Stored)> = None;
        for (sequence, packet) in &self.stored {
            let neighbour = before.filter(|(number, _)| number + 1 == *sequence).map(|(_, packet)| packet);
            before = Some((*sequence, packet));
            let Some(piece) = packet.piece else {
                // Padding comes between frames.
                if let Some(run) = runs.last_mut().filter(|_| neighbour.is_some()) {
                    run.has_end = true;
                }
                continue;
            };
            let continues = neighbour.is_some_and(|neighbour| {
                neighbour.piece.is_some() && !neighbour.is_marked && neighbour.timestamp == packet.timestamp
            });
            if let Some(run) = runs.last_mut() {
                if continues {
                    run.last = *sequence;
                    run.is_key |= piece.is_key;
                    run.has_end |= packet.is_marked;
                    continue;
                }
                run.has_end |= neighbour.is_some();
            }
            let is_next = next == Some(*sequence) && finished != Some(packet.timestamp);
            runs.push(Run {
                first: *sequence,
                last: *sequence,
                timestamp: packet.timestamp,
                is_key: piece.is_key,
                link: piece.link,
                has_start: piece.is_start.unwrap_or(is_next || neighbour.is_some()),
                has_end: packet.is_marked,
            });
        }
        runs
    }
}
