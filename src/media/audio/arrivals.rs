//! When packets come, and so how long sound has to wait.
//!
//! A packet's *transit* is the moment it came less the moment its samples stand for. The fastest of the last seconds is the
//! *base*; what the others need beyond it is their lateness. The target is the delay behind the base that all but a few of
//! them keep. Every time here is in samples at 48 kHz since the stream's first packet, so nothing is rounded twice.

use std::collections::VecDeque;

use super::MILLISECOND;

/// The base looks back over this many spans of [`SPAN`]: long enough for a burst to be seen as one, short enough to
/// follow a clock that runs 200 millionths apart within a millisecond or two.
const SPANS: usize = 8;
const SPAN: i64 = 1000 * MILLISECOND;

/// How exactly lateness is remembered.
const BIN: i64 = 5 * MILLISECOND;
const BINS: usize = 80;

/// The part of the packets that may come too late. Concealment hides one in twenty-five; a longer delay would be heard by
/// everybody all the time.
const LATE_PART: f32 = 0.04;

/// What a packet counts in the memory of lateness once it is full: about three seconds of packets of 20 ms.
const WEIGHT_MIN: f32 = 1.0 / 150.0;

/// A packet that came too late to be heard counts as this many: the delay has to rise at once.
const WEIGHT_OF_LATE: f32 = 4.0;

/// Sound is asked for in steps, so a packet may be needed a whole step before the moment of its first sample.
const STEP: i64 = 10 * MILLISECOND;

/// Less than one packet's length cannot be kept, since half of the packets would be asked for before they are there.
pub const DELAY_MIN: i64 = 20 * MILLISECOND;
/// Beyond this a conversation is no longer one.
pub const DELAY_MAX: i64 = 400 * MILLISECOND;

/// How fast the target falls: 20 ms in a second, in samples per sample.
const FALL: i64 = 50;

#[derive(Debug)]
pub struct Arrivals {
    /// The beginning of each span and the fastest transit in it.
    spans: VecDeque<(i64, i64)>,
    /// The part of the packets in each bin of lateness; adds up to 1.
    lateness: [f32; BINS],
    count: u32,
    target: i64,
    /// When the target was last set.
    target_at: i64,
    last_transit: Option<i64>,
    /// RFC 3550 section 6.4.1, in samples.
    jitter: f32,
}

impl Arrivals {
    pub fn new() -> Self {
        Self {
            spans: VecDeque::new(),
            lateness: [0.0; BINS],
            count: 0,
            target: DELAY_MIN,
            target_at: 0,
            last_transit: None,
            jitter: 0.0,
        }
    }

    /// The fastest transit of the last seconds.
    pub fn base(&self) -> Option<i64> {
        self.spans.iter().map(|(_, transit)| *transit).min()
    }

    /// The sender's clock has begun anew.
    pub fn forget_base(&mut self) {
        self.spans.clear();
        self.last_transit = None;
    }

    /// How far behind the base sound should be heard.
    pub fn target(&self) -> i64 {
        self.target
    }

    #[allow(clippy::cast_possible_truncation)] // a few seconds at most
    pub fn jitter(&self) -> i64 {
        self.jitter as i64
    }

    pub fn observe(&mut self, at: i64, timestamp: i64) {
        let transit = at - timestamp;
        self.remember(at, transit);
        let lateness = transit - self.base().unwrap_or(transit);
        #[allow(clippy::cast_precision_loss)] // a statistic
        if let Some(last) = self.last_transit.replace(transit) {
            let change = (transit - last).abs().min(10 * SPAN) as f32;
            self.jitter += (change - self.jitter) / 16.0;
        }
        // What no delay of ours could cover is a stall and not jitter: waiting longer would not help against the next one.
        if lateness <= DELAY_MAX {
            self.count_in(lateness);
        }
        self.aim(at);
    }

    fn remember(&mut self, at: i64, transit: i64) {
        match self.spans.back_mut() {
            Some((begin, fastest)) if at - *begin < SPAN => *fastest = transit.min(*fastest),
            _ => self.spans.push_back((at, transit)),
        }
        let window = SPAN * i64::try_from(SPANS).unwrap_or(1);
        while self.spans.front().is_some_and(|(begin, _)| at - begin > window) {
            self.spans.pop_front();
        }
        if self.spans.len() > SPANS {
            self.spans.pop_front();
        }
    }

    fn count_in(&mut self, lateness: i64) {
        self.count = self.count.saturating_add(1);
        #[allow(clippy::cast_precision_loss)] // a weight
        let mut weight = (1.0 / self.count as f32).max(WEIGHT_MIN);
        if lateness > self.target {
            weight = (weight * WEIGHT_OF_LATE).min(1.0);
        }
        let bin = usize::try_from(lateness / BIN).unwrap_or(0).min(BINS - 1);
        for part in &mut self.lateness {
            *part *= 1.0 - weight;
        }
        self.lateness[bin] += weight;
    }

    fn aim(&mut self, at: i64) {
        let mut late = 0.0;
        let bin = (0..BINS).rev().find(|&bin| {
            late += self.lateness[bin];
            late > LATE_PART
        });
        let covered = i64::try_from(bin.unwrap_or(0)).unwrap_or(0);
        let wanted = ((covered + 1) * BIN + STEP).clamp(DELAY_MIN, DELAY_MAX);
        let elapsed = (at - self.target_at).clamp(0, SPAN);
        // A remainder is kept for the next time, or packets that come often would never let it fall.
        let fall = elapsed / FALL;
        if wanted >= self.target {
            self.target = wanted;
            self.target_at = at;
        } else if fall > 0 {
            self.target = wanted.max(self.target - fall);
            self.target_at = at;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKET: i64 = 20 * MILLISECOND;

    #[test]
    fn packets_on_time_need_the_least_delay() {
        let mut arrivals = Arrivals::new();
        for number in 0..500 {
            arrivals.observe(1000 + number * PACKET, number * PACKET);
        }
        assert_eq!(arrivals.target(), DELAY_MIN);
        assert_eq!(arrivals.base(), Some(1000));
        assert_eq!(arrivals.jitter(), 0);
    }

    #[test]
    fn the_target_covers_the_jitter_at_once_and_forgets_it_within_seconds() {
        let mut arrivals = Arrivals::new();
        let mut number = 0;
        let mut run = |arrivals: &mut Arrivals, packets: i64, jitter: i64| {
            for _ in 0..packets {
                let late = if number % 5 == 0 { jitter } else { 0 };
                arrivals.observe(number * PACKET + late, number * PACKET);
                number += 1;
            }
        };
        run(&mut arrivals, 500, 0);
        run(&mut arrivals, 15, 100 * MILLISECOND);
        assert!(arrivals.target() >= 100 * MILLISECOND, "{}", arrivals.target());
        run(&mut arrivals, 50 * 15, 0);
        assert_eq!(arrivals.target(), DELAY_MIN);
    }

    #[test]
    fn the_base_follows_a_drifting_clock() {
        let mut arrivals = Arrivals::new();
        for number in 0..30_000i64 {
            // 200 millionths in ten minutes: 120 ms.
            let drift = number * PACKET / 5000;
            arrivals.observe(number * PACKET + drift, number * PACKET);
        }
        assert!(arrivals.base().expect("there were packets") > 115 * MILLISECOND);
        assert_eq!(arrivals.target(), DELAY_MIN);
    }
}
