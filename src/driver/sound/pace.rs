//! Every ten milliseconds, by the monotonic clock.

use std::time::{Duration, Instant};

/// What one step of sound lasts.
pub const STEP: Duration = Duration::from_millis(10);

/// A thread that wakes this late makes up for what it missed; one that wakes later (the machine slept, the process was
/// stopped) begins anew, because nobody wants to hear what should have been played then.
const CATCH_UP_MAX: Duration = Duration::from_millis(200);

/// Says when a step is due. It counts from its start, so a late wake-up does not make the next one late.
pub struct Pace {
    next: Instant,
}

impl Pace {
    pub fn new(now: Instant) -> Self {
        Self { next: now }
    }

    /// The moment of the next step.
    pub fn next(&self) -> Instant {
        self.next
    }

    /// The moment of a step that is due, once for each of them.
    pub fn due(&mut self, now: Instant) -> Option<Instant> {
        if now < self.next {
            return None;
        }
        if now - self.next > CATCH_UP_MAX {
            self.next = now;
        }
        let moment = self.next;
        self.next += STEP;
        Some(moment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(pace: &mut Pace, now: Instant) -> usize {
        std::iter::from_fn(|| pace.due(now)).count()
    }

    #[test]
    fn late_wake_ups_do_not_add_up() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        let mut count = 0;
        for wake_up in 0..1000 {
            count += steps(&mut pace, start + STEP * wake_up + Duration::from_micros(3700));
        }
        assert_eq!(count, 1000);
        assert_eq!(pace.next(), start + STEP * 1000);
    }

    #[test]
    fn what_a_late_wake_up_missed_is_made_up_for() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        assert_eq!(steps(&mut pace, start), 1);
        assert_eq!(steps(&mut pace, start + STEP * 15), 15);
    }

    #[test]
    fn after_a_long_sleep_it_begins_anew() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        let later = start + Duration::from_secs(3600);
        assert_eq!(steps(&mut pace, later), 1);
        assert_eq!(pace.next(), later + STEP);
    }
}
