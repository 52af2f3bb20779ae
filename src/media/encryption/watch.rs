//! When frames that stay closed are worth a word.

use std::time::{Duration, Instant};

use super::Closed;

/// For so long nothing but failures. Clients do not change their secret all at the same moment, and a server that has been
/// told of a mute sends frames of its own for a second.
const PATIENCE: Duration = Duration::from_secs(2);

/// A pause of this length begins anew.
const PAUSE: Duration = Duration::from_secs(1);

/// Watches the frames of one stream.
#[derive(Debug, Default)]
pub(in crate::media) struct Watch {
    /// The first and the latest failure since the last success.
    failing: Option<(Instant, Instant)>,
    is_told: bool,
}

impl Watch {
    pub fn opened(&mut self) {
        *self = Self::default();
    }

    /// True when it is to be told that the secrets differ: once, until a frame was opened.
    pub fn failed(&mut self, now: Instant, closed: Closed) -> bool {
        if closed == Closed::NoKey {
            return false;
        }
        let fresh = |latest: Instant| now.saturating_duration_since(latest) < PAUSE;
        let (since, _) = self.failing.filter(|(_, latest)| fresh(*latest)).unwrap_or((now, now));
        self.failing = Some((since, now));
        let is_due = now.saturating_duration_since(since) >= PATIENCE;
        is_due && !std::mem::replace(&mut self.is_told, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_millis(100);

    fn fail_for(watch: &mut Watch, now: &mut Instant, steps: u32) -> usize {
        (0..steps)
            .filter(|_| {
                *now += STEP;
                watch.failed(*now, Closed::Wrong)
            })
            .count()
    }

    #[test]
    fn a_wrong_secret_is_told_once_and_again_after_a_success() {
        let (mut watch, mut now) = (Watch::default(), Instant::now());
        assert_eq!(fail_for(&mut watch, &mut now, 15), 0);
        assert_eq!(fail_for(&mut watch, &mut now, 100), 1);
        watch.opened();
        assert_eq!(fail_for(&mut watch, &mut now, 100), 1);
    }

    #[test]
    fn a_server_that_sends_frames_of_its_own_now_and_then_is_no_wrong_secret() {
        let (mut watch, mut now) = (Watch::default(), Instant::now());
        for _ in 0..10 {
            assert_eq!(fail_for(&mut watch, &mut now, 10), 0);
            now += PAUSE;
        }
    }

    #[test]
    fn without_a_key_nothing_is_wrong_yet() {
        let (mut watch, mut now) = (Watch::default(), Instant::now());
        for _ in 0..100 {
            now += STEP;
            assert!(!watch.failed(now, Closed::NoKey));
        }
    }
}
