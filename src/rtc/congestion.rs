//! When a network breaks in, and what is believed of it until it is known anew.
//!
//! An estimate that follows what arrives takes two seconds from 3 Mbit/s to 300 kbit/s, and all that is sent meanwhile
//! is lost or makes the queue long. What has happened shows much sooner: packets take longer, and many are lost. Then
//! little is sent until the queue is empty, and the estimate begins anew from there: its first probes tell within a
//! round trip what there is.

use std::time::{Duration, Instant};

/// What is sent while nothing is known: the smallest layer of a camera, with sound.
pub(super) const RESTART_BPS: u64 = 200_000;

/// An estimate that is hardly more than that is left to itself.
const ESTIMATE_MIN_BPS: u64 = RESTART_BPS * 2;

/// How much longer than usual packets take when they queue, and which share of them is lost when the queue is full. A
/// bad wireless network loses a tenth, and ways that have become longer are no queue.
const LATE: Duration = Duration::from_millis(100);
const LOSS: f32 = 0.25;

/// Some networks have such queues that nothing is lost.
const VERY_LATE: Duration = Duration::from_millis(200);

/// One late reading may be a pause of this process, or of the radio: it has to be late again in another report.
const LATE_AGAIN: Duration = Duration::from_millis(100);

/// The queue is empty when packets take hardly longer than usual. What was under way is told of in a round trip at
/// least, and a queue that does not become empty is somebody else's.
const EMPTY: Duration = Duration::from_millis(50);
const EMPTY_AFTER: Duration = Duration::from_millis(300);
const EMPTY_WITHIN: Duration = Duration::from_millis(1_500);

/// The first probes need as long, and what was lost before them is forgotten by then.
const PAUSE: Duration = Duration::from_millis(1_500);

/// What is usual is the shortest round trip of one to two such periods: ways change.
const USUAL_PERIOD: Duration = Duration::from_secs(10);

/// What is to be done about the estimate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Believe,
    /// It is far too high: [`RESTART_BPS`] is what is told, and nothing that was sent before is worth to be sent again.
    /// Said for a while.
    BreakIn,
    /// [`RESTART_BPS`] it remains.
    Wait,
    /// Now it begins anew from there.
    Restart,
}

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Congestion {
    /// Since when the queue is left to become empty.
    draining: Option<Instant>,
    ended: Option<Instant>,
    /// The first very late reading in a row, and when that was.
    late: Option<(Instant, Duration)>,
    /// The shortest round trips of the last period and of this one, and when this one began.
    usual: [Option<Duration>; 2],
    period: Option<Instant>,
}

impl Congestion {
    /// The newest round trip, and the share lost in the last second.
    pub fn hear(
        &mut self,
        now: Instant,
        round_trip: Option<Duration>,
        loss: Option<f32>,
        estimate_bps: u64,
    ) -> Verdict {
        let late = round_trip.map_or(Duration::ZERO, |round_trip| self.lateness(now, round_trip));
        if let Some(since) = self.draining {
            let waited = now.saturating_duration_since(since);
            if waited < EMPTY_AFTER {
                return Verdict::BreakIn; // what was already under way inside this side is lost as well
            }
            if late >= EMPTY && waited < EMPTY_WITHIN {
                return Verdict::Wait;
            }
            if late >= EMPTY {
                // Little was sent, and it took as long: that is how long the way is now.
                self.usual = [None, round_trip];
            }
            self.draining = None;
            self.ended = Some(now);
            return Verdict::Restart;
        }
        let is_fresh = self.ended.is_some_and(|ended| now.saturating_duration_since(ended) < PAUSE);
        let is_full = self.is_late_again(now, round_trip, late)
            || (late >= LATE && loss.is_some_and(|loss| loss >= LOSS));
        if is_full && !is_fresh && estimate_bps >= ESTIMATE_MIN_BPS {
            self.draining = Some(now);
            return Verdict::BreakIn;
        }
        Verdict::Believe
    }

    fn is_late_again(&mut self, now: Instant, round_trip: Option<Duration>, late: Duration) -> bool {
        let Some(round_trip) = round_trip.filter(|_| late >= VERY_LATE) else {
            self.late = None;
            return false;
        };
        let (since, first) = *self.late.get_or_insert((now, round_trip));
        first != round_trip && now.saturating_duration_since(since) >= LATE_AGAIN
    }

    fn lateness(&mut self, now: Instant, round_trip: Duration) -> Duration {
        let period = *self.period.get_or_insert(now);
        if now.saturating_duration_since(period) >= USUAL_PERIOD {
            self.period = Some(now);
            self.usual = [self.usual[1], None];
        }
        let shortest = self.usual[1].map_or(round_trip, |shortest| shortest.min(round_trip));
        self.usual[1] = Some(shortest);
        let usual = self.usual[0].map_or(shortest, |before| before.min(shortest));
        round_trip.saturating_sub(usual)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: u64 = 30;
    const ESTIMATE_BPS: u64 = 2_500_000;

    /// A reading every 100 ms, and what each is taken for.
    fn verdicts(congestion: &mut Congestion, from: Instant, readings: &[(u64, f32)]) -> Vec<Verdict> {
        let readings = (0..).zip(readings);
        let hear = |(number, (round_trip_ms, loss)): (u32, &(u64, f32))| {
            let now = from + Duration::from_millis(100) * number;
            congestion.hear(now, Some(Duration::from_millis(*round_trip_ms)), Some(*loss), ESTIMATE_BPS)
        };
        readings.map(hear).collect()
    }

    #[test]
    fn a_queue_that_fills_is_left_to_become_empty_and_then_it_begins_anew() {
        use Verdict::*;
        let readings = [
            (USUAL, 0.0),
            (140, 0.0),
            (260, 0.1),
            (270, 0.2),
            (280, 0.3),
            (280, 0.5),
            (280, 0.5),
            (150, 0.5),
            (60, 0.4),
            (30, 0.3),
        ];
        let told = verdicts(&mut Congestion::default(), Instant::now(), &readings);
        assert_eq!(
            told,
            [Believe, Believe, Believe, BreakIn, BreakIn, BreakIn, Wait, Wait, Restart, Believe]
        );
    }

    #[test]
    fn a_short_queue_that_loses_is_one_too() {
        let told = verdicts(&mut Congestion::default(), Instant::now(), &[(USUAL, 0.0), (140, 0.3)]);
        assert_eq!(told[1], Verdict::BreakIn);
    }

    #[test]
    fn a_pause_of_this_process_is_no_queue() {
        let readings =
            [(USUAL, 0.0), (USUAL + 250, 0.0), (USUAL, 0.0), (USUAL + 300, 0.0), (USUAL + 300, 0.0)];
        let told = verdicts(&mut Congestion::default(), Instant::now(), &readings);
        assert_eq!(told, [Verdict::Believe; 5], "the last one is the same report as the one before");
    }

    #[test]
    fn loss_alone_a_longer_way_with_loss_and_a_low_estimate_are_none() {
        let now = Instant::now();
        let mut congestion = Congestion::default();
        let told = verdicts(&mut congestion, now, &[(USUAL, 0.0), (USUAL, 0.5), (140, 0.12), (170, 0.12)]);
        assert_eq!(told, [Verdict::Believe; 4]);
        let late = Some(Duration::from_secs(1));
        assert_eq!(congestion.hear(now, late, Some(0.9), ESTIMATE_MIN_BPS - 1), Verdict::Believe);
        assert_eq!(congestion.hear(now, late, Some(0.9), ESTIMATE_MIN_BPS), Verdict::BreakIn);
    }

    #[test]
    fn a_way_that_stays_long_is_usual_after_one_restart() {
        let now = Instant::now();
        let mut congestion = Congestion::default();
        verdicts(&mut congestion, now, &[(USUAL, 0.0)]);
        let later: Vec<_> = (0..60).map(|number| (400 + number % 2, 0.0)).collect();
        let told = verdicts(&mut congestion, now + Duration::from_millis(100), &later);
        assert_eq!(told.iter().filter(|verdict| **verdict == Verdict::Restart).count(), 1, "{told:?}");
        assert_eq!(told.last(), Some(&Verdict::Believe));
    }
}
