//! How fast pictures come, and which are left out so that they go out no faster than wanted.

use std::time::Duration;

/// Cameras are not exact: a picture this part of an interval early is on time.
const TOLERANCE: f32 = 0.25;

/// Leaves pictures out evenly.
#[derive(Debug, Default)]
pub(super) struct Cadence {
    next: Option<Duration>,
}

impl Cadence {
    pub fn admits(&mut self, at: Duration, frames_per_second: f32) -> bool {
        let interval = Duration::from_secs_f32(1.0 / frames_per_second.clamp(0.1, 1_000.0));
        let Some(next) = self.next else {
            self.next = Some(at + interval);
            return true;
        };
        // A wish for fewer pictures that has been lifted: what was planned is too far off.
        let next = next.min(at + interval);
        if at + interval.mul_f32(TOLERANCE) < next {
            self.next = Some(next);
            return false;
        }
        // From what was planned, not from when it came: or 30 becomes 15 where 20 was meant.
        self.next = Some((next + interval).max(at));
        true
    }
}

/// Frames per second, from the moments they come at.
#[derive(Debug, Default)]
pub(super) struct Pace {
    last: Option<Duration>,
    /// Seconds, smoothed.
    interval: Option<f32>,
}

/// A longer pause is no rhythm.
const INTERVAL_MAX: Duration = Duration::from_secs(5);

/// How much of the mean the newest interval makes up.
const WEIGHT: f32 = 0.1;

impl Pace {
    pub fn add(&mut self, at: Duration) {
        let interval = self.last.map(|last| at.saturating_sub(last));
        self.last = Some(at);
        let Some(interval) = interval.filter(|interval| *interval <= INTERVAL_MAX) else { return };
        let interval = interval.as_secs_f32();
        let mean = self.interval.map_or(interval, |mean| mean + (interval - mean) * WEIGHT);
        self.interval = Some(mean);
    }

    /// 0 until it is known.
    pub fn frames_per_second(&self) -> f32 {
        self.interval.filter(|interval| *interval > 0.0).map_or(0.0, |interval| 1.0 / interval)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(arriving: u32, wanted: f32) -> Vec<u32> {
        let mut cadence = Cadence::default();
        (0..arriving)
            .filter(|index| cadence.admits(Duration::from_secs(1) * *index / arriving, wanted))
            .collect()
    }

    #[test]
    fn thirty_become_twenty_evenly() {
        assert_eq!(admitted(30, 20.0).len(), 20);
        let gaps: Vec<u32> = admitted(30, 20.0).windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(gaps.iter().all(|gap| (1..=2).contains(gap)), "{gaps:?}");
        assert_eq!(admitted(30, 15.0).len(), 15);
        assert_eq!(admitted(60, 30.0).len(), 30);
    }

    #[test]
    fn what_is_not_too_fast_passes_whole() {
        assert_eq!(admitted(30, 30.0).len(), 30);
        assert_eq!(admitted(10, 30.0).len(), 10);
    }

    #[test]
    fn a_camera_that_swings_loses_nothing() {
        let mut cadence = Cadence::default();
        let swing = |index: u64| if index.is_multiple_of(2) { 0 } else { 7 };
        let count =
            (0..300).filter(|index| cadence.admits(Duration::from_millis(index * 34 + swing(*index)), 30.0));
        assert_eq!(count.count(), 300);
    }

    #[test]
    fn the_pace_follows_what_comes() {
        let mut pace = Pace::default();
        (0..60).for_each(|index| pace.add(Duration::from_millis(40 * index)));
        assert!((pace.frames_per_second() - 25.0).abs() < 0.5);
    }
}
