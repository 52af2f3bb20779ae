//! How much of the server's time somebody may take with what is costly to read.

use std::time::{Duration, Instant};

/// So much at once, and so much more with each second.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    burst: usize,
    per_second: usize,
}

impl Rate {
    pub const fn burst(self) -> usize {
        self.burst
    }
}

/// Bytes of the descriptions and candidates of one client: one of the largest, and what comes with it. A browser with a
/// dozen cameras needs 64 kB for a description; the server reads so much in a few hundredths of a second.
pub const NEGOTIATIONS: Rate = Rate { burst: 768 << 10, per_second: 64 << 10 };

/// Datagrams from addresses that are not known yet, of all clients together: each is shown to every peer connection.
/// A client needs a few to be found, so this is hundreds of them per second.
pub const STRANGERS: Rate = Rate { burst: 1000, per_second: 1000 };

/// A client's requests: each track that one names counts. Whoever subscribes to a whole conference does so at once, with
/// two tracks and two requests for each of its people, and again for everybody who comes and goes. A request takes the
/// server some hundredths of a millisecond.
pub const MEDIA_REQUESTS: Rate = Rate { burst: 2000, per_second: 500 };

/// What everybody is told of one participant: a few dozen changes at once, as when somebody publishes from many devices, and as
/// many with each second as anybody can follow; fewer of who has much to say of itself.
pub const ANNOUNCEMENTS: Rate = Rate { burst: 256 << 10, per_second: 128 << 10 };

/// What is left of it.
#[derive(Debug)]
pub struct Allowance {
    rate: Rate,
    left: usize,
    counted: Instant,
}

impl Allowance {
    pub fn new(now: Instant, rate: Rate) -> Self {
        Self { rate, left: rate.burst, counted: now }
    }

    /// Takes this much. False when that is more than is left.
    pub fn take(&mut self, now: Instant, amount: usize) -> bool {
        self.earn(now);
        match self.left.checked_sub(amount) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }

    /// When there will be this much, if nothing is taken before. What is more than can ever be there is never.
    pub fn when(&self, amount: usize) -> Option<Instant> {
        let missing = amount.saturating_sub(self.left) as u64;
        let wait = Duration::from_millis((missing * 1000).div_ceil(self.rate.per_second as u64));
        (amount <= self.rate.burst).then(|| self.counted + wait)
    }

    fn earn(&mut self, now: Instant) {
        let millis = now.saturating_duration_since(self.counted).as_millis();
        let earned =
            usize::try_from(millis).unwrap_or(usize::MAX).saturating_mul(self.rate.per_second) / 1000;
        if earned > 0 {
            self.left = self.left.saturating_add(earned).min(self.rate.burst);
            self.counted = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtc::DESCRIPTION_SIZE_MAX;

    #[test]
    fn the_largest_description_is_taken_and_a_flood_of_them_is_not() {
        let now = Instant::now();
        let mut allowance = Allowance::new(now, NEGOTIATIONS);
        assert!(allowance.take(now, DESCRIPTION_SIZE_MAX));
        assert!(!allowance.take(now, DESCRIPTION_SIZE_MAX));
        assert!(allowance.take(now, 5000), "a small one still is");
        let later = now + Duration::from_secs(8);
        assert!(allowance.take(later, DESCRIPTION_SIZE_MAX));
        assert!(!allowance.take(later, DESCRIPTION_SIZE_MAX));
        let much_later = now + Duration::from_secs(1 << 40);
        assert!(allowance.take(much_later, DESCRIPTION_SIZE_MAX));
        assert!(!allowance.take(much_later, DESCRIPTION_SIZE_MAX), "it does not grow for ever");
    }
}
