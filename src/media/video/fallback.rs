//! When a network is too narrow for video, so that the sound has it for itself.
//!
//! Fed with every estimate of what the network carries, and now and then without one. It warns first, then has the video
//! switched off, and has it on again only when there is clearly more room than it takes: video that comes and goes is worse than
//! none.

use std::time::{Duration, Instant};

/// Below this the smallest picture of a camera is hardly one, with sound beside it. A warning.
const NARROW_BPS: u64 = 150_000;

/// Below this the video goes: what is left is what the sound takes.
const TOO_NARROW_BPS: u64 = 80_000;

/// From here on there is room again. Well above what was too narrow.
const WIDE_BPS: u64 = 250_000;

/// How long an estimate must stay where it is. A dip of a second is nothing, and pauses between two that fail annoy less the
/// longer they are.
const WARN_AFTER: Duration = Duration::from_secs(2);
const DISABLE_AFTER: Duration = Duration::from_secs(3);
const RECOVER_AFTER: Duration = Duration::from_secs(5);

/// What is to be done, and said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FallbackChange {
    Warned,
    WarningLifted,
    Disabled,
    Enabled,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Stage {
    #[default]
    Good,
    Warned,
    Off,
}

/// See the module's text.
#[derive(Debug, Default)]
pub struct Fallback {
    stage: Stage,
    estimate_bps: Option<u64>,
    /// Since when the estimate asks for the change, and for which.
    asked: Option<(FallbackChange, Instant)>,
}

impl Fallback {
    pub fn is_off(&self) -> bool {
        self.stage == Stage::Off
    }

    pub fn estimated(
        &mut self,
        now: Instant,
        bits_per_second: u64,
        limit_bps: Option<u32>,
    ) -> Option<FallbackChange> {
        self.estimate_bps = Some(bits_per_second);
        self.pass(now, limit_bps)
    }

    /// `limit_bps`: what the program allows video to take. Who sends little needs little.
    pub fn pass(&mut self, now: Instant, limit_bps: Option<u32>) -> Option<FallbackChange> {
        let estimate = self.estimate_bps?;
        let share = |of: u64| limit_bps.map_or(of, |limit| of.min(u64::from(limit) * of / NARROW_BPS));
        let (narrow, too_narrow, wide) = (share(NARROW_BPS), share(TOO_NARROW_BPS), share(WIDE_BPS));
        let wanted = match self.stage {
            Stage::Good if estimate < narrow => Some((FallbackChange::Warned, WARN_AFTER)),
            Stage::Warned if estimate < too_narrow => Some((FallbackChange::Disabled, DISABLE_AFTER)),
            Stage::Warned if estimate >= wide => Some((FallbackChange::WarningLifted, RECOVER_AFTER)),
            Stage::Off if estimate >= wide => Some((FallbackChange::Enabled, RECOVER_AFTER)),
            _ => None,
        };
        let Some((change, patience)) = wanted else {
            self.asked = None;
            return None;
        };
        let since = match self.asked {
            Some((asked, since)) if asked == change => since,
            _ => {
                self.asked = Some((change, now));
                now
            }
        };
        if now.saturating_duration_since(since) < patience {
            return None;
        }
        self.asked = None;
        self.stage = match change {
            FallbackChange::Warned => Stage::Warned,
            FallbackChange::Disabled => Stage::Off,
            FallbackChange::WarningLifted | FallbackChange::Enabled => Stage::Good,
        };
        Some(change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten estimates a second for some seconds, and what came of them, with the second in which it did.
    fn told(
        fallback: &mut Fallback,
        script: &[(u64, u64)],
        limit_bps: Option<u32>,
    ) -> Vec<(u64, FallbackChange)> {
        let start = Instant::now();
        let mut told = Vec::new();
        let estimates =
            script.iter().flat_map(|(bps, seconds)| std::iter::repeat_n(*bps, 10 * *seconds as usize));
        for (number, bps) in (0..).zip(estimates) {
            let now = start + Duration::from_millis(100) * number;
            let change = fallback.estimated(now, bps, limit_bps);
            told.extend(change.map(|change| (u64::from(number) / 10, change)));
        }
        told
    }

    #[test]
    fn a_network_that_becomes_too_narrow_is_warned_of_and_then_has_no_video_until_it_is_wide() {
        use FallbackChange::*;
        let script = [(2_000_000, 5), (50_000, 10), (180_000, 10), (300_000, 10)];
        let told = told(&mut Fallback::default(), &script, None);
        assert_eq!(told, [(7, Warned), (10, Disabled), (30, Enabled)]);
    }

    #[test]
    fn a_warning_is_lifted_when_there_is_room_again() {
        use FallbackChange::*;
        let told = told(&mut Fallback::default(), &[(120_000, 10), (300_000, 10)], None);
        assert_eq!(told, [(2, Warned), (15, WarningLifted)]);
    }

    #[test]
    fn dips_are_nothing() {
        let script = [(1_000_000, 3), (20_000, 1), (1_000_000, 1), (20_000, 1), (1_000_000, 3)];
        assert_eq!(told(&mut Fallback::default(), &script, None), []);
    }

    #[test]
    fn who_may_send_little_needs_little() {
        assert_eq!(told(&mut Fallback::default(), &[(60_000, 20)], Some(30_000)), []);
        assert_eq!(told(&mut Fallback::default(), &[(10_000, 20)], Some(30_000)).len(), 2);
        assert_eq!(told(&mut Fallback::default(), &[(u64::MAX, 9)], Some(u32::MAX)), []);
    }

    #[test]
    fn time_alone_is_enough_once_there_is_an_estimate() {
        let mut fallback = Fallback::default();
        let now = Instant::now();
        assert_eq!(fallback.pass(now, None), None);
        assert_eq!(fallback.estimated(now, 10_000, None), None);
        assert_eq!(fallback.pass(now + WARN_AFTER, None), Some(FallbackChange::Warned));
    }
}
