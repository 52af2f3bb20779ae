//! A camera that is sent in one layer becomes smaller when the network cannot carry its size, rather than freeze or
//! turn into blocks; and larger again.

use std::time::Duration;

use super::plan::{halved, worth};

/// Half, a quarter: what remains of the smallest camera is still a face.
const HALVINGS_MAX: usize = 2;

/// A size is given up below this share of what it is worth, and taken up again from that share on. They are so far
/// apart that the same rate never asks for both.
const DOWN_SHARE: f32 = 0.25;
const UP_SHARE: f32 = 0.4;

/// How long the rate has to ask for it. Down soon, since packets queue up; up late, since estimates overshoot.
const DOWN_AFTER: Duration = Duration::from_millis(500);
const UP_AFTER: Duration = Duration::from_secs(3);

#[derive(Debug, Default)]
pub(super) struct Steps {
    halvings: usize,
    /// Since when the rate has asked for a smaller (true) or larger picture.
    asked: Option<(bool, Duration)>,
    is_rising: bool,
}

impl Steps {
    /// How often the picture is to be halved. `rate` is what the layer could get.
    pub fn halvings(&mut self, at: Duration, rate: u64, width: u32, height: u32) -> usize {
        let share = |halvings, share: f32| {
            let (width, height) = halved(width, height, halvings);
            (worth(width, height, false).0 as f32 * share) as u64
        };
        let wish = if self.halvings < HALVINGS_MAX && rate < share(self.halvings, DOWN_SHARE) {
            Some(true)
        } else if self.halvings > 0 && rate >= share(self.halvings - 1, UP_SHARE) {
            Some(false)
        } else {
            None
        };
        self.is_rising = wish == Some(false);
        let Some(is_down) = wish else {
            self.asked = None;
            return self.halvings;
        };
        let since = match self.asked {
            Some((was_down, since)) if was_down == is_down => since,
            _ => at,
        };
        self.asked = Some((is_down, since));
        let patience = if is_down { DOWN_AFTER } else { UP_AFTER };
        if at.saturating_sub(since) >= patience {
            self.halvings = if is_down { self.halvings + 1 } else { self.halvings - 1 };
            self.asked = None;
        }
        self.halvings
    }

    /// Whether the rate asks for a larger picture.
    pub fn is_rising(&self) -> bool {
        self.is_rising
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(steps: &mut Steps, from: u64, seconds: u64, rate: u64) -> usize {
        let mut halvings = 0;
        for tick in 0..=seconds * 30 {
            halvings = steps.halvings(Duration::from_millis(from * 1_000 + tick * 33), rate, 1280, 720);
        }
        halvings
    }

    #[test]
    fn a_small_rate_makes_it_smaller_and_a_large_one_larger_again() {
        let mut steps = Steps::default();
        assert_eq!(run(&mut steps, 0, 5, 3_000_000), 0);
        assert_eq!(run(&mut steps, 5, 5, 300_000), 1);
        assert_eq!(run(&mut steps, 10, 5, 60_000), 2);
        assert_eq!(run(&mut steps, 15, 10, 3_000_000), 0);
    }

    #[test]
    fn between_the_borders_everything_stays() {
        let mut steps = Steps::default();
        assert_eq!(run(&mut steps, 0, 10, 550_000), 0);
        run(&mut steps, 10, 3, 400_000);
        assert_eq!(run(&mut steps, 13, 10, 550_000), 1);
    }

    #[test]
    fn a_short_dip_changes_nothing() {
        let mut steps = Steps::default();
        for tick in 0..100_u64 {
            let rate = if tick % 10 == 0 { 100_000 } else { 1_700_000 };
            assert_eq!(steps.halvings(Duration::from_millis(tick * 33), rate, 1280, 720), 0);
        }
    }
}
