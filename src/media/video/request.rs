//! Asking for a key frame until one comes.

use std::time::{Duration, Instant};

/// The first repetition: a round trip and an encoder's answer take less. Doubled each time, since a sender that does
/// not answer will not do so for being asked more often.
const INTERVAL_MIN: Duration = Duration::from_millis(300);
const INTERVAL_MAX: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct KeyRequest {
    /// When to ask next; `None`: no key frame is needed.
    next: Option<Instant>,
    asked: Option<Instant>,
    interval: Duration,
}

impl Default for KeyRequest {
    fn default() -> Self {
        Self { next: None, asked: None, interval: INTERVAL_MIN }
    }
}

impl KeyRequest {
    pub fn need(&mut self, now: Instant) {
        let earliest = self.asked.map_or(now, |asked| asked + INTERVAL_MIN);
        self.next.get_or_insert(earliest.max(now));
    }

    /// A key frame came.
    pub fn is_met(&mut self) {
        self.next = None;
        self.interval = INTERVAL_MIN;
    }

    /// Whether to ask now.
    pub fn is_due(&mut self, now: Instant) -> bool {
        if self.next.is_none_or(|next| next > now) {
            return false;
        }
        self.asked = Some(now);
        self.next = Some(now + self.interval);
        self.interval = (self.interval * 2).min(INTERVAL_MAX);
        true
    }

    pub fn deadline(&self) -> Option<Instant> {
        self.next
    }
}
