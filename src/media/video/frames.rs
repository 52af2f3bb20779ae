//! Which frame comes next, and what to do when it does not.
//!
//! Frames are taken in the order of their sequence numbers. Where a number is missing there is a hole: for a while its
//! packets are waited for. A frame behind the hole that needs nothing of it is taken sooner; when nobody waits any
//! longer, a frame of a higher temporal layer is given up alone, and anything else makes a key frame necessary.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::packets::{Packets, Run, Stored};
use super::patience::Patience;
use super::receiver::SenderReport;
use crate::media::Rotation;
use crate::media::packet::Link;

/// How long a hole is looked at before a frame that does not need it passes by. Packets change places by less; and
/// what is passed by is lost for good.
const DISORDER: Duration = Duration::from_millis(25);

/// VP9's flexible mode does not say which layer a missing frame was in; the next one that needs nothing of it is at
/// most four frames away.
const REFERENCES_WAIT: Duration = Duration::from_millis(200);

/// Silence in the middle of a frame after which the rest of it is taken for lost: nothing that follows shows that it is. A key
/// frame over a slow network has pauses too.
const TAIL_WAIT: Duration = Duration::from_millis(500);

/// A number so far away is another stream's: ten seconds of 3 Mbit/s.
pub(super) const JUMP: u64 = 3_000;

/// The packets of one frame.
#[derive(Debug)]
pub(super) struct Frame {
    pub payloads: Vec<Arc<[u8]>>,
    pub timestamp: u64,
    pub is_key: bool,
    /// When its first packet came, and its last.
    pub begun: Instant,
    pub completed: Instant,
    pub rotation: Rotation,
    pub sender_report: Option<SenderReport>,
}

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Insertion {
    Stored,
    Duplicate,
    Late,
    /// It belongs to something new; what was there is forgotten.
    Restarted,
}

#[derive(Debug, Default)]
pub(super) struct Frames {
    packets: Packets,
    /// The number behind the last frame that was taken or given up.
    next: Option<u64>,
    finished: Option<u64>,
    chain: Option<Chain>,
    patience: Patience,
    highest: Option<u64>,
    /// Frames that came, at least in part, and are not decoded.
    pub dropped: u64,
}

impl Frames {
    /// Nothing can be taken before a key frame.
    pub fn needs_key(&self) -> bool {
        self.chain.is_none()
    }

    /// What follows is of no use until a key frame comes.
    pub fn break_off(&mut self) {
        self.chain = None;
    }

    /// Another codec, another stream.
    pub fn restart(&mut self) {
        let dropped = self.dropped;
        *self = Self { dropped, ..Self::default() };
    }

    pub fn insert(&mut self, now: Instant, sequence: u64, packet: Stored) -> Insertion {
        let mut result = Insertion::Stored;
        let reference = self.highest.unwrap_or(sequence);
        if sequence.abs_diff(reference) > JUMP {
            self.restart();
            result = Insertion::Restarted;
        }
        if self.next.is_some_and(|next| sequence < next) {
            self.patience.came_late(now, sequence);
            return Insertion::Late;
        }
        // What arrives between others was missing since those behind it came.
        let missing_since = self.packets.first_arrival_after(sequence);
        if !self.packets.insert(sequence, packet) {
            return Insertion::Duplicate;
        }
        if let Some(since) = missing_since {
            self.patience.recovered(now.saturating_duration_since(since));
        }
        self.highest = self.highest.max(Some(sequence));
        if self.packets.is_full() {
            self.packets.clear();
            self.next = self.highest.map(|highest| highest + 1);
            self.break_off();
            self.dropped += 1;
        }
        result
    }

    /// A key frame, or something that may be one, is coming.
    pub fn is_key_coming(&self) -> bool {
        !self.packets.is_empty() && self.packets.runs(self.next, self.finished).iter().any(|run| run.is_key)
    }

    /// A key frame may be among packets that are still in disorder.
    pub fn is_settling(&self, now: Instant) -> bool {
        let runs = self.packets.runs(self.next, self.finished);
        self.blocked_since(&runs).is_some_and(|since| now.saturating_duration_since(since) < DISORDER)
    }

    /// When `take` may have something without another packet.
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        let runs = self.packets.runs(self.next, self.finished);
        let since = self.stuck_since(&runs)?;
        let disorder = since + DISORDER;
        Some(if disorder > now { disorder } else { since + self.wait(&runs) })
    }

    /// The next frame that can be decoded, if it is there.
    pub fn take(&mut self, now: Instant) -> Option<Frame> {
        loop {
            self.skip_padding();
            let runs = self.packets.runs(self.next, self.finished);
            let head = runs.first()?;
            let place = match &self.chain {
                None => runs.iter().position(|run| run.is_complete() && run.is_key),
                Some(chain) => {
                    let is_next = Some(head.first) == self.next && head.is_complete();
                    if is_next && (head.is_key || chain.follows(&head.link)) {
                        Some(0)
                    } else if is_next {
                        self.give_up(head, now); // it needs something that is missing
                        self.chain.take_if(|chain| chain.skip());
                        continue;
                    } else {
                        let waited = self.waited(now, &runs)?;
                        let can_pass =
                            |run: &Run| run.is_complete() && (run.is_key || chain.bridges(&run.link));
                        runs.iter().position(can_pass).filter(|_| waited >= DISORDER)
                    }
                }
            };
            if let Some(run) = place.and_then(|place| runs.get(place)) {
                return Some(self.accept(run, place.unwrap_or(0), now));
            }
            let is_useless = self.needs_key() && head.is_complete();
            if !(is_useless && self.next == Some(head.first)) {
                let limit = if is_useless { DISORDER } else { self.wait(&runs) };
                if self.waited(now, &runs)? < limit {
                    return None;
                }
            }
            let is_upper = self.chain.as_ref().is_some_and(|chain| chain.is_upper(&head.link));
            match &mut self.chain {
                Some(chain) if is_upper => chain.cut(),
                _ => self.chain = None,
            }
            self.give_up(head, now);
        }
    }

    fn skip_padding(&mut self) {
        while let Some(next) = self.next.filter(|next| self.packets.is_padding(*next)) {
            self.packets.take_to(next);
            self.next = Some(next + 1);
        }
    }

    /// Since when it is known that the first run cannot be taken as it is. `None`: it is still coming.
    fn blocked_since(&self, runs: &[Run]) -> Option<Instant> {
        let head = runs.first()?;
        let is_first = self.next.map_or(head.is_key, |next| next == head.first);
        let begins_well = head.has_start && is_first;
        let hole = match begins_well {
            true if head.has_end => return None,
            true => head.last,
            false => head.first.saturating_sub(1),
        };
        self.packets.first_arrival_after(hole)
    }

    /// The same, where silence counts too.
    fn stuck_since(&self, runs: &[Run]) -> Option<Instant> {
        let is_torn = !runs.first()?.is_complete();
        let silent = || self.packets.newest_arrival().filter(|_| is_torn).map(|newest| newest + TAIL_WAIT);
        self.blocked_since(runs).or_else(silent)
    }

    fn waited(&self, now: Instant, runs: &[Run]) -> Option<Duration> {
        self.stuck_since(runs).map(|since| now.saturating_duration_since(since))
    }

    fn wait(&self, runs: &[Run]) -> Duration {
        let is_by_references = runs.first().is_some_and(|run| matches!(run.link, Link::References { .. }));
        let limit = self.patience.limit();
        if is_by_references { limit.max(REFERENCES_WAIT) } else { limit }
    }

    fn remember_hole(&mut self, head: &Run, now: Instant) {
        let since = self.packets.first_arrival_after(head.first.saturating_sub(1)).unwrap_or(now);
        if let Some(next) = self.next {
            self.patience.give_up(next, head.first, since);
        }
    }

    fn give_up(&mut self, head: &Run, now: Instant) {
        self.remember_hole(head, now);
        self.packets.take_to(head.last);
        if let Some((lowest, arrived)) = self.packets.lowest() {
            self.patience.give_up(head.last + 1, lowest, arrived);
        }
        self.finish(head);
        self.dropped += 1;
    }

    fn finish(&mut self, run: &Run) {
        self.next = Some(run.last + 1);
        self.finished = Some(run.timestamp);
    }

    /// `passed`: how many runs before it are given up.
    fn accept(&mut self, run: &Run, passed: usize, now: Instant) -> Frame {
        self.remember_hole(run, now);
        let has_hole = self.next.is_some_and(|next| next != run.first);
        match &mut self.chain {
            Some(chain) if !run.is_key => {
                if has_hole {
                    chain.cut();
                }
                chain.add(&run.link);
            }
            chain => *chain = Some(Chain::new(&run.link)),
        }
        self.dropped += passed as u64;
        self.finish(run);
        let packets = self.packets.take_to(run.last);
        let mut frame = Frame {
            payloads: Vec::with_capacity(packets.len()),
            timestamp: run.timestamp,
            is_key: run.is_key,
            begun: now,
            completed: now,
            rotation: Rotation::None,
            sender_report: None,
        };
        for (sequence, packet) in packets {
            if sequence < run.first {
                continue;
            }
            frame.payloads.push(packet.payload);
            frame.begun = frame.begun.min(packet.arrived);
            frame.rotation = packet.rotation;
            frame.sender_report = packet.sender_report.or(frame.sender_report);
        }
        frame
    }
}

/// What has been decoded, as far as the next frames depend on it.
#[derive(Debug)]
struct Chain {
    base_index: Option<u8>,
    /// Frames of higher temporal layers need something that is missing.
    layer_max: u8,
    /// Nothing is missing since the key frame.
    is_whole: bool,
    /// Picture numbers, where frames name what they need.
    decoded: VecDeque<u16>,
    /// Frames in a row that could not be decoded.
    skipped: u8,
}

/// So many frames of higher layers lie between two of the base layer at most; more in a row, and the base itself needs
/// what is missing.
const SKIPPED_MAX: u8 = 8;

/// References do not reach further: seven bits (RFC 9628's P_DIFF).
const DECODED_MAX: usize = 128;

/// Temporal layers have two or three bits.
const LAYER_ANY: u8 = 7;

impl Chain {
    fn new(link: &Link) -> Self {
        let mut chain = Self {
            base_index: None,
            layer_max: LAYER_ANY,
            is_whole: true,
            decoded: VecDeque::new(),
            skipped: 0,
        };
        chain.add(link);
        chain
    }

    /// Another frame is left out; true when there is nothing left to follow.
    fn skip(&mut self) -> bool {
        self.skipped += 1;
        self.skipped > SKIPPED_MAX
    }

    /// Something is missing that is not of the base layer.
    fn cut(&mut self) {
        self.layer_max = 0;
        self.is_whole = false;
    }

    /// Whether the frame behind the last one can be decoded.
    fn follows(&self, link: &Link) -> bool {
        match *link {
            Link::Sequence => true,
            Link::Layered { layer, is_sync, .. } => layer <= self.layer_max || is_sync,
            Link::References { .. } => self.is_whole || self.knows(link),
        }
    }

    /// Whether a frame can be decoded although something before it is missing.
    fn bridges(&self, link: &Link) -> bool {
        match *link {
            Link::Sequence => false,
            Link::Layered { base_index, layer: 0, .. } => {
                self.base_index.is_some_and(|before| before.wrapping_add(1) == base_index)
            }
            Link::Layered { is_sync, .. } => is_sync && self.is_upper(link),
            Link::References { .. } => self.knows(link),
        }
    }

    /// A frame of a higher layer, with nothing of the base layer missing before it.
    fn is_upper(&self, link: &Link) -> bool {
        match *link {
            Link::Layered { base_index, layer, .. } => layer > 0 && self.base_index == Some(base_index),
            _ => false,
        }
    }

    fn knows(&self, link: &Link) -> bool {
        let Link::References { picture_id, differences } = *link else { return false };
        let mut needed = differences.iter().filter(|difference| **difference > 0).peekable();
        let reference = |difference: &u8| picture_id.wrapping_sub(u16::from(*difference)) & 0x7fff;
        needed.peek().is_some() && needed.all(|difference| self.decoded.contains(&reference(difference)))
    }

    fn add(&mut self, link: &Link) {
        self.skipped = 0;
        match *link {
            Link::Sequence => {}
            Link::Layered { base_index, layer, is_sync, is_switch } => {
                if layer == 0 {
                    self.base_index = Some(base_index);
                }
                if is_sync && layer == self.layer_max + 1 {
                    self.layer_max = layer;
                }
                if is_switch && layer <= self.layer_max {
                    self.layer_max = LAYER_ANY;
                }
            }
            Link::References { picture_id, .. } => {
                if self.decoded.len() == DECODED_MAX {
                    self.decoded.pop_front();
                }
                self.decoded.push_back(picture_id);
            }
        }
    }
}
