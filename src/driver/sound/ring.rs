//! Samples between two clocks: this library's and a device's.
//!
//! Who fills and who empties it run at almost the same speed, each in portions of its own. Enough lies here that the
//! larger portion and a little unpunctuality do not empty it, and not more: what lies here is delay. What is missing
//! is silence; what is too much for a whole second is left out.

use std::collections::VecDeque;

/// Nothing waits longer than this: a program that hands in a whole file at once loses the beginning of it.
const CAPACITY_STEPS: usize = 100;

/// Unpunctuality that is always allowed for, and at most, in steps. It grows by one each time that it was too little.
const MARGIN_STEPS: std::ops::RangeInclusive<usize> = 1..=6;

/// How long too much must have lain here before it is left out, in steps taken: a second.
const WINDOW_STEPS: usize = 100;

/// After so many windows in a row without a shortage the margin shrinks again.
const CALM_WINDOWS: usize = 10;

pub struct Ring {
    samples: VecDeque<i16>,
    channels: usize,
    /// Frames (a sample for each channel) in 10 ms.
    step: usize,
    /// Nothing is taken until enough lies here.
    is_filling: bool,
    margin_steps: usize,
    /// The largest portions, in frames: of this window and of the one before.
    portion: [usize; 2],
    window: Window,
    calm_windows: usize,
}

struct Window {
    taken: usize,
    /// The least that lay here after something was taken.
    low: usize,
}

impl Window {
    const FRESH: Self = Self { taken: 0, low: usize::MAX };
}

impl Ring {
    pub fn new(rate_hz: u32, channels: usize) -> Self {
        Self {
            samples: VecDeque::new(),
            channels,
            step: (rate_hz / 100) as usize,
            is_filling: true,
            margin_steps: *MARGIN_STEPS.start(),
            portion: [0; 2],
            window: Window::FRESH,
            calm_windows: 0,
        }
    }

    /// How many lie here.
    pub fn frames(&self) -> usize {
        self.samples.len() / self.channels
    }

    /// `samples`: interleaved, whole frames.
    pub fn push(&mut self, samples: &[i16]) {
        self.portion[0] = self.portion[0].max(samples.len() / self.channels);
        let capacity = CAPACITY_STEPS * self.step * self.channels;
        let samples = &samples[samples.len().saturating_sub(capacity)..];
        let overflow = (self.samples.len() + samples.len()).saturating_sub(capacity);
        self.samples.drain(..overflow);
        self.samples.extend(samples);
    }

    /// Fills all of `out`, with silence where samples are missing.
    pub fn pop(&mut self, out: &mut [i16]) {
        let wanted = out.len() / self.channels;
        self.portion[0] = self.portion[0].max(wanted);
        if self.is_filling && self.frames() < self.enough() {
            return out.fill(0);
        }
        self.is_filling = false;
        let there = self.samples.len().min(out.len());
        for (to, from) in out.iter_mut().zip(self.samples.drain(..there)) {
            *to = from;
        }
        out[there..].fill(0);
        if there < out.len() {
            self.run_dry();
        }
        self.pass(wanted);
    }

    /// What must lie here before the first sample is taken.
    fn enough(&self) -> usize {
        let portion = self.portion[0].max(self.portion[1]);
        (portion + self.margin_steps * self.step).min(CAPACITY_STEPS * self.step)
    }

    fn run_dry(&mut self) {
        self.is_filling = true;
        self.margin_steps = (self.margin_steps + 1).min(*MARGIN_STEPS.end());
        self.calm_windows = 0;
        self.window = Window::FRESH;
    }

    fn pass(&mut self, taken: usize) {
        self.window.taken += taken;
        self.window.low = self.window.low.min(self.frames());
        if self.window.taken < WINDOW_STEPS * self.step {
            return;
        }
        self.calm_windows += 1;
        if self.calm_windows == CALM_WINDOWS {
            self.calm_windows = 0;
            self.margin_steps = (self.margin_steps - 1).max(*MARGIN_STEPS.start());
        }
        // A portion that came early lies here too; it is not too much before the margin is exceeded by a whole step.
        let allowed = (self.margin_steps + 1) * self.step;
        if self.window.low > allowed {
            self.leave_out(self.window.low - self.margin_steps * self.step);
        }
        self.window = Window::FRESH;
        self.portion = [0, self.portion[0]];
    }

    /// The next so many frames are left out: the first step after them is blended with the one that would have come.
    fn leave_out(&mut self, frames: usize) {
        let (gap, blended) = (frames * self.channels, self.step * self.channels);
        if self.samples.len() < gap + blended {
            return;
        }
        for index in 0..blended {
            let progress = (index / self.channels) as f32 / self.step as f32;
            let (old, new) = (f32::from(self.samples[index]), f32::from(self.samples[gap + index]));
            self.samples[gap + index] = (old + (new - old) * progress) as i16;
        }
        self.samples.drain(..gap);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: usize = 480;

    fn ring() -> Ring {
        Ring::new(48_000, 1)
    }

    /// A sawtooth that tells where a sample came from.
    fn numbered(from: usize, count: usize) -> Vec<i16> {
        (from..from + count).map(|number| (number % 30_000 + 1) as i16).collect()
    }

    #[test]
    fn in_step_every_sample_comes_out_once_and_in_order() {
        let (mut ring, mut out, mut heard) = (ring(), [0; STEP], Vec::<i16>::new());
        for step in 0..200 {
            ring.push(&numbered(step * STEP, STEP));
            ring.pop(&mut out);
            heard.extend(out.iter().filter(|sample| **sample != 0));
        }
        assert!(heard.len() > 190 * STEP);
        assert_eq!(heard, numbered(0, heard.len()));
    }

    #[test]
    fn large_portions_do_not_tear_holes() {
        for (pushed, popped) in [(10, 1), (1, 10), (7, 3)] {
            let (mut ring, mut holes, mut was_heard) = (ring(), 0, false);
            let mut out = vec![0; popped * STEP];
            let mut next = 0;
            for tick in 0..3000 {
                if tick % pushed == 0 {
                    ring.push(&numbered(next, pushed * STEP));
                    next += pushed * STEP;
                }
                if tick % popped == 0 {
                    ring.pop(&mut out);
                    let is_whole = out.iter().all(|sample| *sample != 0);
                    holes += usize::from(was_heard && !is_whole);
                    was_heard |= is_whole;
                }
            }
            assert!(was_heard && holes <= 3, "{pushed} in, {popped} out: {holes} holes");
        }
    }

    #[test]
    fn what_is_missing_is_silence() {
        let (mut ring, mut out) = (ring(), [7; STEP]);
        ring.pop(&mut out);
        assert_eq!(out, [0; STEP]);
    }

    #[test]
    fn what_is_too_much_for_a_second_is_left_out() {
        let (mut ring, mut out) = (ring(), [0; STEP]);
        ring.push(&numbered(0, 50 * STEP));
        for step in 0..(3 * WINDOW_STEPS) {
            ring.push(&numbered(step * STEP, STEP));
            ring.pop(&mut out);
        }
        assert!(ring.frames() <= 3 * STEP, "{} frames are delay", ring.frames());
        assert!(ring.frames() >= STEP / 2, "the margin stays");
    }

    #[test]
    fn it_never_holds_more_than_its_capacity() {
        let mut ring = ring();
        ring.push(&numbered(0, 10 * CAPACITY_STEPS * STEP));
        ring.push(&numbered(0, STEP));
        assert_eq!(ring.frames(), CAPACITY_STEPS * STEP);
    }

    /// Crystals differ by some hundred parts in a million; here it is a thousand.
    #[test]
    fn a_device_whose_clock_is_fast_or_slow_is_followed() {
        for taken in [STEP - 1, STEP + 1] {
            let (mut ring, mut silent) = (ring(), 0);
            let mut out = vec![0; taken];
            for step in 0..30_000 {
                ring.push(&numbered(step * STEP, STEP));
                ring.pop(&mut out);
                silent += usize::from(out.contains(&0));
            }
            assert!(ring.frames() < 10 * STEP, "{} frames are delay", ring.frames());
            assert!(silent < 600, "{silent} of 30000 steps were silent");
        }
    }
}
