//! How long a missing packet is waited for.
//!
//! A retransmission takes a round trip, which is not known here; how long those that came took, is. Waiting longer
//! than they do only delays the key frame that has to be asked for.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Until anything was seen: a round trip across a continent.
const INITIAL: Duration = Duration::from_millis(200);

/// Below, mere disorder would be taken for loss; above, the picture has been frozen for so long that a key frame is the
/// better help.
const MIN: Duration = Duration::from_millis(40);
const MAX: Duration = Duration::from_millis(500);

/// Room for the second retransmission, when the first is lost too.
const FACTOR: u32 = 2;

/// A slow recovery counts at once, fast ones take over bit by bit.
const WEIGHT: f32 = 0.02;

/// So many holes are remembered after nobody waits for them any more.
const GIVEN_UP_MAX: usize = 16;

#[derive(Debug)]
pub(super) struct Patience {
    /// How long recoveries take, leaning to the slow ones.
    recovery: Duration,
    /// Holes from and below a sequence number, with when they were noticed: what comes for them came too late.
    given_up: VecDeque<(u64, u64, Instant)>,
}

impl Default for Patience {
    fn default() -> Self {
        Self { recovery: INITIAL / FACTOR, given_up: VecDeque::new() }
    }
}

impl Patience {
    pub fn limit(&self) -> Duration {
        (self.recovery * FACTOR).clamp(MIN, MAX)
    }

    /// A packet that was missing came after so long.
    pub fn recovered(&mut self, after: Duration) {
        let after = after.min(MAX);
        self.recovery = if after > self.recovery {
            after
        } else {
            self.recovery.mul_f32(1.0 - WEIGHT) + after.mul_f32(WEIGHT)
        };
    }

    pub fn give_up(&mut self, from: u64, below: u64, noticed: Instant) {
        if from >= below {
            return;
        }
        if self.given_up.len() == GIVEN_UP_MAX {
            self.given_up.pop_front();
        }
        self.given_up.push_back((from, below, noticed));
    }

    /// A packet came that nobody waits for any more: perhaps only just.
    pub fn came_late(&mut self, now: Instant, sequence: u64) {
        let hole = self.given_up.iter().find(|(from, below, _)| (*from..*below).contains(&sequence));
        if let Some((_, _, noticed)) = hole {
            self.recovered(now.saturating_duration_since(*noticed));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_twice_what_recoveries_take_within_bounds() {
        let mut patience = Patience::default();
        assert_eq!(patience.limit(), INITIAL);
        patience.recovered(Duration::from_millis(150));
        assert_eq!(patience.limit(), Duration::from_millis(300));
        patience.recovered(Duration::from_secs(10));
        assert_eq!(patience.limit(), MAX);
        (0..1_000).for_each(|_| patience.recovered(Duration::from_millis(1)));
        assert_eq!(patience.limit(), MIN);
    }

    #[test]
    fn what_came_too_late_makes_it_longer() {
        let now = Instant::now();
        let mut patience = Patience::default();
        patience.give_up(100, 102, now);
        patience.came_late(now + Duration::from_millis(220), 200);
        assert_eq!(patience.limit(), INITIAL, "that was not waited for");
        patience.came_late(now + Duration::from_millis(220), 101);
        assert_eq!(patience.limit(), Duration::from_millis(440));
    }
}
