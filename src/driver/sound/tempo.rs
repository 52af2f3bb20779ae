//! How much faster or slower than it came sound is read, so that what waits neither runs out nor piles up.
//!
//! A sound card is off by some hundred parts in a million. A program that sleeps 10 ms after every 10 ms of sound is off by a
//! hundredth and more, always in one direction. Who reads at exactly that other speed has no holes to fill and nothing to
//! leave out; nobody hears it. As long as the clocks agree the speed is 1, and no sample is touched.

use std::ops::RangeInclusive;

/// How often the speed is thought over, in steps read. Long enough to see the least that lies there between two portions.
const WINDOW_STEPS: usize = 10;

/// In so many steps what is missing would be there again: fast enough for a device that is off by a hundredth and a half and
/// has 5 ms to spare, slow enough for a few milliseconds of unpunctuality to be no vibrato.
const HORIZON_STEPS: usize = 25;

/// Farther from 1 the speed is not. A tenth is heard as another pitch, and is still better than holes: on a busy machine a
/// program that sleeps 10 ms is late by a twentieth. Beyond that a step left out now and then is better than more.
const LEAD: RangeInclusive<f64> = -0.1..=0.05;

/// The speed changes by so much at most in one window: a single late portion is not heard. By more where the next one that
/// is late tears a hole.
const LEAD_STEP_MAX: f64 = 0.004;
const LEAD_STEP_MAX_URGENT: f64 = 0.012;

pub struct Tempo {
    /// Frames in 10 ms.
    step: usize,
    /// What the speed has more than 1.
    lead: f64,
    /// The clocks have turned out to differ, or the device to be unpunctual: the speed need not stay 1 any more.
    differs: bool,
    taken: usize,
    /// The least that was to spare in this window.
    low: i64,
}

impl Tempo {
    pub fn new(step: usize) -> Self {
        Self { step, lead: 0.0, differs: false, taken: 0, low: i64::MAX }
    }

    /// How many frames are to be read for each that is given out.
    pub fn ratio(&self) -> f64 {
        1.0 + self.lead
    }

    /// After `taken` frames were read so many are to spare, where it should be `wanted`. `may_hurry`: what is too much is
    /// worked off.
    pub fn note(&mut self, taken: usize, spare: i64, wanted: i64, may_hurry: bool) {
        self.taken += taken;
        self.low = self.low.min(spare);
        if self.taken < WINDOW_STEPS * self.step {
            return;
        }
        let (taken, low) = (self.taken, self.low);
        self.begin_window();
        let off = if may_hurry { low - wanted } else { (low - wanted).min(0) };
        // Two clocks that agree begin anywhere within a step of each other.
        self.differs |= off.unsigned_abs() as usize > self.step * 7 / 10;
        if !self.differs {
            return;
        }
        // Who sees it less often must not be in more of a hurry.
        let horizon = (HORIZON_STEPS * self.step).max(2 * taken);
        let goal = (off as f64 / horizon as f64).clamp(*LEAD.start(), *LEAD.end());
        let windows = taken as f64 / (WINDOW_STEPS * self.step) as f64;
        let change_max = windows * if low < 0 { LEAD_STEP_MAX_URGENT } else { LEAD_STEP_MAX };
        self.lead += (goal - self.lead).clamp(-change_max, change_max);
    }

    /// There was a hole: what was seen before it says nothing.
    pub fn begin_window(&mut self) {
        self.taken = 0;
        self.low = i64::MAX;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: usize = 480;
    const WANTED: i64 = 240;

    /// The speeds while a device is off by so much, beginning with 5 ms to spare, and what is to spare at the end.
    fn followed(off: f64, steps: usize) -> (Vec<f64>, f64) {
        let (mut tempo, mut spare, mut ratios) = (Tempo::new(STEP), WANTED as f64, Vec::new());
        for _ in 0..steps {
            spare += STEP as f64 * (1.0 + off - tempo.ratio());
            tempo.note(STEP, spare.round() as i64, WANTED, true);
            ratios.push(tempo.ratio());
        }
        (ratios, spare)
    }

    #[test]
    fn it_becomes_the_speed_of_the_device() {
        for off in [-0.015, -0.0001, 0.0001, 0.015] {
            let (ratios, spare) = followed(off, 30_000);
            let last = ratios.last().expect("some") - 1.0;
            assert!((last - off).abs() < 0.0001, "{off}: {last}"); // a frame's worth
            let apart = spare - WANTED as f64;
            assert!(apart.abs() < STEP as f64 / 2.0, "{off}: {apart}");
        }
    }

    #[test]
    fn where_enough_and_not_too_much_lies_it_stays_1() {
        let mut tempo = Tempo::new(STEP);
        for spare in (0..480).cycle().take(100_000) {
            tempo.note(STEP, spare, WANTED, true);
            assert_eq!(tempo.ratio(), 1.0);
        }
    }

    #[test]
    fn one_late_portion_changes_next_to_nothing() {
        let mut tempo = Tempo::new(STEP);
        for step in 0..1000 {
            tempo.note(STEP, if step == 500 { -3000 } else { WANTED }, WANTED, true);
            assert!((tempo.ratio() - 1.0).abs() < LEAD_STEP_MAX_URGENT * 1.01);
        }
        assert!((tempo.ratio() - 1.0).abs() < 0.0001);
    }
}
