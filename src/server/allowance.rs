//! How much of the server's time one client may take with what is costly to read.

use std::time::Instant;

/// How many bytes of descriptions and candidates a client may send at once: one of the largest, and what comes with it.
const BURST: usize = 768 << 10;

/// How many more with each second. A browser with a dozen cameras needs 64 kB for a description; the server reads so
/// much in a few hundredths of a second.
const PER_SECOND: usize = 64 << 10;

/// What any of them costs beside its length.
const BASE: usize = 1 << 10;

/// What a client has left of it.
#[derive(Debug)]
pub struct Allowance {
    left: usize,
    counted: Instant,
}

impl Allowance {
    pub fn new(now: Instant) -> Self {
        Self { left: BURST, counted: now }
    }

    /// Takes what a text of this size costs. False when that is more than is left.
    pub fn take(&mut self, now: Instant, size: usize) -> bool {
        let millis = now.saturating_duration_since(self.counted).as_millis();
        let earned = usize::try_from(millis).unwrap_or(usize::MAX).saturating_mul(PER_SECOND) / 1000;
        if earned > 0 {
            self.left = self.left.saturating_add(earned).min(BURST);
            self.counted = now;
        }
        match self.left.checked_sub(size.saturating_add(BASE)) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::rtc::DESCRIPTION_SIZE_MAX;

    #[test]
    fn the_largest_description_is_taken_and_a_flood_of_them_is_not() {
        let now = Instant::now();
        let mut allowance = Allowance::new(now);
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
