//! When a picture stands still that should move.

use std::time::{Duration, Instant};

/// As WebRTC's statistics define a freeze: no picture for three times the usual interval, or for this much longer than
/// it, whichever is more.
const EXTRA: Duration = Duration::from_millis(150);
const FACTOR: u32 = 3;

/// Before any interval is known.
const INTERVAL_INITIAL: Duration = Duration::from_millis(100);

/// How much of the mean the newest interval makes up: about the last thirty, as WebRTC's.
const WEIGHT: f32 = 1.0 / 30.0;

#[derive(Debug, Default)]
pub(super) struct Freeze {
    latest: Option<Instant>,
    interval: Option<Duration>,
    is_frozen: bool,
    pub count: u64,
    pub total: Duration,
}

impl Freeze {
    /// A picture came out; true when it ends a freeze.
    pub fn picture(&mut self, now: Instant) -> bool {
        let was_frozen = self.check(now) || self.is_frozen;
        if let Some(latest) = self.latest {
            let interval = now.saturating_duration_since(latest);
            if was_frozen {
                self.total += interval;
            } else {
                let mean = self.interval.unwrap_or(interval);
                self.interval = Some(mean.mul_f32(1.0 - WEIGHT) + interval.mul_f32(WEIGHT));
            }
        }
        self.latest = Some(now);
        std::mem::take(&mut self.is_frozen)
    }

    /// True when a freeze begins.
    pub fn check(&mut self, now: Instant) -> bool {
        if self.deadline().is_none_or(|deadline| deadline > now) {
            return false;
        }
        self.is_frozen = true;
        self.count += 1;
        true
    }

    /// When a freeze begins if no picture comes.
    pub fn deadline(&self) -> Option<Instant> {
        let interval = self.interval.unwrap_or(INTERVAL_INITIAL);
        let latest = self.latest.filter(|_| !self.is_frozen)?;
        Some(latest + (interval * FACTOR).max(interval + EXTRA))
    }

    /// Nothing is expected now: whoever sends has switched the video off.
    pub fn pause(&mut self) {
        self.latest = None;
        self.is_frozen = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_that_is_long_for_this_stream_is_a_freeze() {
        let begin = Instant::now();
        let mut freeze = Freeze::default();
        for index in 0..60 {
            assert!(!freeze.picture(begin + Duration::from_millis(33) * index));
        }
        let last = begin + Duration::from_millis(33) * 59;
        assert!(!freeze.check(last + Duration::from_millis(180)));
        assert!(freeze.check(last + Duration::from_millis(184)));
        assert!(!freeze.check(last + Duration::from_millis(900)), "said once");
        assert!(freeze.picture(last + Duration::from_secs(1)));
        assert_eq!((freeze.count, freeze.total), (1, Duration::from_secs(1)));
    }

    #[test]
    fn a_slow_stream_may_be_slow() {
        let begin = Instant::now();
        let mut freeze = Freeze::default();
        for index in 0..60 {
            freeze.picture(begin + Duration::from_millis(200) * index);
        }
        assert_eq!(freeze.count, 0);
        freeze.pause();
        assert!(!freeze.check(begin + Duration::from_secs(60)), "switched off");
    }
}
