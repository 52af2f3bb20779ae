//! Samples between two clocks: this library's and a device's.
//!
//! Who fills and who empties it run at almost the same speed, each in portions of its own. Enough lies here that the
//! larger portion and a little unpunctuality do not empty it, and not more: what lies here is delay. What it is emptied
//! a little faster or slower for is in [`tempo`](super::tempo). Where that is not enough what is missing is silence, with
//! soft [`edges`](super::edges), and what is too much for a whole second is left out.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::edges::Edges;
use super::tempo::Tempo;
use crate::media::audio::{REACH, interpolate};

/// Nothing waits longer than this: a program that hands in a whole file at once loses the beginning of it.
const CAPACITY_STEPS: usize = 100;

/// Unpunctuality that is always allowed for, and at most, in steps. It grows by one each time that it was too little.
const MARGIN_STEPS: std::ops::RangeInclusive<usize> = 1..=6;

/// How long too much must have lain here before it is left out, in steps taken: a second.
const WINDOW_STEPS: usize = 100;

/// Beyond the margin so much is too much. What is less is soon worked off by the tempo.
const SURPLUS_STEPS: usize = 2;

/// After so many windows in a row in which a smaller margin would have done the margin shrinks again.
const CALM_WINDOWS: usize = 10;

/// What comes behind another portion within this part of the time that it lasts belongs to that one, up to so many steps:
/// programs hand in 20 ms as two times 10 ms.
const AT_ONCE: u32 = 8;
const AT_ONCE_STEPS_MAX: usize = 10;

pub struct Ring {
    /// First what was given out last, [`Self::past`] frames of it; then `REACH` frames that are next, without which nothing
    /// can be said of places between frames; then what waits.
    samples: VecDeque<i16>,
    channels: usize,
    /// Frames (a sample for each channel) in 10 ms.
    step: usize,
    rate_hz: u32,
    /// Nothing is taken until enough lies here.
    is_filling: bool,
    margin_steps: usize,
    /// The largest portions, in frames: of this window and of the one before.
    portion: [usize; 2],
    /// The last portion that came.
    brought: Option<Portion>,
    tempo: Tempo,
    /// How far behind the frame that is next the next place is, 0 to 1.
    behind: f64,
    edges: Edges,
    window: Window,
    calm: Calm,
}

#[derive(Clone, Copy)]
struct Portion {
    at: Instant,
    frames: usize,
}

struct Window {
    taken: usize,
    /// The least that lay here after something was taken, and the least that was to spare then.
    low: usize,
    spare: i64,
    /// Something begins: what is too much is left out at the end of it, rather than that everything begins in a hurry.
    is_first: bool,
}

impl Window {
    const FIRST: Self = Self { taken: 0, low: usize::MAX, spare: i64::MAX, is_first: true };
    const NEXT: Self = Self { is_first: false, ..Self::FIRST };
}

/// Since the margin was changed last.
struct Calm {
    windows: usize,
    spare: i64,
}

impl Calm {
    const FRESH: Self = Self { windows: 0, spare: i64::MAX };
}

impl Ring {
    pub fn new(rate_hz: u32, channels: usize) -> Self {
        let step = (rate_hz / 100) as usize;
        let mut ring = Self {
            samples: VecDeque::new(),
            channels,
            step,
            rate_hz,
            is_filling: true,
            margin_steps: *MARGIN_STEPS.start(),
            portion: [0; 2],
            brought: None,
            tempo: Tempo::new(step),
            behind: 0.0,
            edges: Edges::new(channels, step / 2),
            window: Window::FIRST,
            calm: Calm::FRESH,
        };
        ring.samples.resize((ring.past() + REACH) * channels, 0);
        ring
    }

    /// So many frames are kept when they have been given out: those that fade away, and those that the next one is made of.
    fn past(&self) -> usize {
        (self.step / 2).max(REACH)
    }

    /// How many lie here.
    pub fn frames(&self) -> usize {
        self.samples.len() / self.channels - self.past() - REACH
    }

    /// `samples`: interleaved, whole frames.
    pub fn push(&mut self, samples: &[i16], now: Instant) {
        self.bring(samples.len() / self.channels, now);
        let capacity = CAPACITY_STEPS * self.step * self.channels;
        let samples = &samples[samples.len().saturating_sub(capacity)..];
        let waiting = self.frames() * self.channels;
        self.samples.drain(..(waiting + samples.len()).saturating_sub(capacity));
        self.samples.extend(samples);
    }

    fn bring(&mut self, frames: usize, now: Instant) {
        let frames = frames.min(CAPACITY_STEPS * self.step);
        let at_once = self.duration(frames) / AT_ONCE;
        let before = self.brought.filter(|before| {
            now.saturating_duration_since(before.at) < at_once
                && before.frames + frames <= AT_ONCE_STEPS_MAX * self.step
        });
        let frames = before.map_or(frames, |before| before.frames + frames);
        self.brought = Some(Portion { at: now, frames });
        self.portion[0] = self.portion[0].max(frames);
    }

    /// Fills all of `out`, with silence where samples are missing.
    pub fn pop(&mut self, out: &mut [i16], now: Instant) {
        let wanted = out.len() / self.channels;
        self.portion[0] = self.portion[0].max(wanted);
        self.is_filling &= self.frames() < self.enough();
        let read = if self.is_filling { 0 } else { self.read(out) };
        let (sound, silence) = out.split_at_mut(read * self.channels);
        self.edges.rise(sound);
        silence.fill(0);
        if read < wanted && !self.is_filling {
            // What fades away does so from here on, not from where an earlier hole is still fading.
            self.edges.ring_out(sound);
            self.run_dry();
            return self.edges.ring_out(silence);
        }
        self.edges.ring_out(out);
        if !self.is_filling {
            self.pass(wanted, now);
        }
    }

    /// What must lie here before the first sample is taken.
    fn enough(&self) -> usize {
        let portion = self.portion[0].max(self.portion[1]);
        (portion + self.margin_steps * self.step).min(CAPACITY_STEPS * self.step)
    }

    /// Gives the frames that could be filled.
    fn read(&mut self, out: &mut [i16]) -> usize {
        let (channels, past, waiting) = (self.channels, self.past(), self.frames());
        let (ratio, behind) = (self.tempo.ratio(), self.behind);
        let samples = &*self.samples.make_contiguous();
        let mut read = 0;
        if ratio == 1.0 && behind == 0.0 {
            read = waiting.min(out.len() / channels);
            out[..read * channels].copy_from_slice(&samples[past * channels..][..read * channels]);
        } else {
            for frame in out.chunks_exact_mut(channels) {
                let place = behind + read as f64 * ratio;
                if place as usize >= waiting || place + ratio >= (waiting + 1) as f64 {
                    break;
                }
                interpolate(samples, past + place as usize, place.fract(), frame);
                read += 1;
            }
        }
        let end = behind + read as f64 * ratio;
        self.behind = end.fract();
        self.samples.drain(..end as usize * channels);
        read
    }

    fn run_dry(&mut self) {
        self.edges.fall(self.samples.iter().take(self.past() * self.channels).copied());
        self.is_filling = true;
        self.behind = 0.0;
        self.margin_steps = (self.margin_steps + 1).min(*MARGIN_STEPS.end());
        self.calm = Calm::FRESH;
        self.window = Window::FIRST;
        self.tempo.begin_window();
    }

    fn pass(&mut self, taken: usize, now: Instant) {
        let spare = self.spare(now);
        // Where it begins, on the average: with the margin, and half of the first portion on its way.
        let wanted = (self.margin_steps * self.step - self.step / 2) as i64;
        self.tempo.note(taken, spare, wanted, !self.window.is_first);
        self.window.spare = self.window.spare.min(spare);
        self.window.taken += taken;
        self.window.low = self.window.low.min(self.frames());
        if self.window.taken < WINDOW_STEPS * self.step {
            return;
        }
        self.review_margin();
        if self.window.low > (self.margin_steps + SURPLUS_STEPS) * self.step {
            self.leave_out(self.window.low - self.margin_steps * self.step);
        }
        self.window = Window::NEXT;
        self.portion = [0, self.portion[0]];
    }

    /// How many more frames lie here than must, the next portion included, of which that is counted which should be on its way
    /// by now: so a clock that is a little off is seen at once, and not first when a portion comes too late.
    fn spare(&self, now: Instant) -> i64 {
        let Some(Portion { at, frames: portion }) = self.brought else { return 0 };
        let since = now.saturating_duration_since(at).as_micros() * u128::from(self.rate_hz) / 1_000_000;
        let on_its_way = usize::try_from(since).unwrap_or(portion).min(portion);
        (self.frames() + on_its_way) as i64 - portion as i64
    }

    /// A step less is enough when it would have left a quarter of a step.
    fn review_margin(&mut self) {
        self.calm.windows += 1;
        self.calm.spare = self.calm.spare.min(self.window.spare);
        if self.calm.windows < CALM_WINDOWS {
            return;
        }
        if self.calm.spare >= (self.step + self.step / 4) as i64 {
            self.margin_steps = (self.margin_steps - 1).max(*MARGIN_STEPS.start());
        }
        self.calm = Calm::FRESH;
    }

    /// The next so many frames are left out: the first step after them is blended with the one that would have come.
    fn leave_out(&mut self, frames: usize) {
        if self.frames() < frames + self.step {
            return;
        }
        let (past, gap, blended) =
            (self.past() * self.channels, frames * self.channels, self.step * self.channels);
        for index in 0..blended {
            let progress = (index / self.channels) as f32 / self.step as f32;
            let (old, new) = (past + index, past + gap + index);
            let (from, to) = (f32::from(self.samples[old]), f32::from(self.samples[new]));
            self.samples[new] = (from + (to - from) * progress) as i16;
        }
        self.samples.drain(past..past + gap);
    }

    fn duration(&self, frames: usize) -> Duration {
        Duration::from_micros(frames as u64 * 1_000_000 / u64::from(self.rate_hz))
    }
}
