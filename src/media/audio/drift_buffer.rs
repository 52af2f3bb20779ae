//! Between two clocks: a device writes by one, the engine reads by another, both in pieces of any size.

use std::collections::VecDeque;

/// The reading speed differs from the writing speed by at most one part in so many: more than any two clocks do, less than
/// an ear hears.
const SPEED_PART: f64 = 200.0;

/// How much of the way to a new measurement the average of the filling goes, per 10 ms of sound read.
const SMOOTHING: f64 = 0.005;

/// Within this part of the goal the filling is right and the sound goes through unchanged.
const TOLERANCE: f64 = 0.25;

/// Two frames before a place and two behind make the curve between.
const CURVE_FRAMES: usize = 4;

/// Frames over which sound that breaks off goes to zero: 1 ms.
const BREAK_FRAMES: i16 = 48;

/// A bounded ring of frames (1 or 2 channels, interleaved, any rate). Keeps about `goal` frames: reads a little faster or
/// slower as needed, drops the oldest when the writer runs away, gives silence when there is nothing and then waits until
/// the goal is reached again.
#[derive(Debug)]
pub struct DriftBuffer {
    channels: usize,
    rate: f64,
    goal: f64,
    frames_max: usize,
    samples: VecDeque<i16>,
    /// How far between the first frame and the next the reader is, 0 to 1.
    fraction: f64,
    average: f64,
    is_waiting: bool,
    last: [i16; 2],
    dropped: u64,
    padded: u64,
}

impl DriftBuffer {
    /// `rate` in frames per second. Holds at most four times the goal.
    pub fn new(channels: u8, rate: u32, goal_frames: usize) -> Self {
        let goal_frames = goal_frames.max(1);
        #[allow(clippy::cast_precision_loss)] // frames of a second at most
        let goal = goal_frames as f64;
        Self {
            channels: usize::from(channels.clamp(1, 2)),
            rate: f64::from(rate.max(1)),
            goal,
            frames_max: 4 * goal_frames,
            samples: VecDeque::new(),
            fraction: 0.0,
            average: goal,
            is_waiting: true,
            last: [0; 2],
            dropped: 0,
            padded: 0,
        }
    }

    /// Frames in it.
    pub fn len(&self) -> usize {
        self.samples.len() / self.channels
    }

    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// Frames that were thrown away because nobody read them, and frames of silence given out for want of any.
    pub fn faults(&self) -> (u64, u64) {
        (self.dropped, self.padded)
    }

    /// Takes frames; half a frame at the end is left out.
    pub fn write(&mut self, samples: &[i16]) {
        let whole = samples.len() - samples.len() % self.channels;
        self.samples.extend(samples.iter().take(whole));
        let surplus = self.len().saturating_sub(self.frames_max);
        if surplus > 0 {
            // Down to the goal at once: one break instead of one at every write.
            let gone = self.len() - self.frames_max / 4;
            self.samples.drain(..gone * self.channels);
            self.dropped = self.dropped.saturating_add(gone as u64);
            self.average = self.goal;
        }
    }

    /// Fills `samples`. Gives how many frames are sound; silence follows them.
    pub fn read(&mut self, samples: &mut [i16]) -> usize {
        #[allow(clippy::cast_precision_loss)] // a few thousand
        let filling = self.len() as f64;
        if self.is_waiting && filling >= self.goal {
            self.is_waiting = false;
            self.average = self.goal;
        }
        let speed = self.speed(filling, samples.len() / self.channels);
        let mut given = self.copy(samples, speed);
        for frame in samples.chunks_mut(self.channels).skip(given) {
            if self.is_waiting || !self.next(frame, speed) {
                self.is_waiting = true;
                self.padded = self.padded.saturating_add(1);
                for (sample, last) in frame.iter_mut().zip(&mut self.last) {
                    *last -= (*last / BREAK_FRAMES).clamp(-1000, 1000) + last.signum();
                    *sample = *last;
                }
            } else {
                given += 1;
            }
        }
        given
    }

    /// Gives out frames as they are while the clocks agree; how many.
    fn copy(&mut self, samples: &mut [i16], speed: f64) -> usize {
        if self.is_waiting || speed != 1.0 || self.fraction != 0.0 {
            return 0;
        }
        let frames = (samples.len() / self.channels).min(self.len().saturating_sub(CURVE_FRAMES - 1));
        let count = frames * self.channels;
        // The first frame is the one before the reader's place.
        for (sample, stored) in samples.iter_mut().zip(self.samples.iter().skip(self.channels)).take(count) {
            *sample = *stored;
        }
        self.samples.drain(..count);
        for (last, sample) in
            self.last.iter_mut().zip(samples[..count].rchunks(self.channels).next().unwrap_or_default())
        {
            *last = *sample;
        }
        frames
    }

    fn speed(&mut self, filling: f64, frames: usize) -> f64 {
        #[allow(clippy::cast_precision_loss)] // a few thousand
        let frames = frames as f64;
        let steps = frames / (self.rate / 100.0);
        // What counts is the mean between before and after the reading.
        let filling = filling - frames / 2.0;
        self.average += (filling - self.average) * (SMOOTHING * steps).min(1.0);
        let off = (self.average - self.goal) / self.goal;
        if off.abs() < TOLERANCE { 1.0 } else { 1.0 + off.clamp(-1.0, 1.0) / SPEED_PART }
    }

    /// The frame at the reader's place; then the reader goes on.
    fn next(&mut self, frame: &mut [i16], speed: f64) -> bool {
        if self.len() < CURVE_FRAMES {
            return false;
        }
        for (channel, sample) in frame.iter_mut().enumerate() {
            let at = |index: usize| {
                f64::from(self.samples.get(index * self.channels + channel).copied().unwrap_or(0))
            };
            *sample = if self.fraction == 0.0 {
                self.samples.get(self.channels + channel).copied().unwrap_or(0)
            } else {
                curve([at(0), at(1), at(2), at(3)], self.fraction)
            };
            if let Some(last) = self.last.get_mut(channel) {
                *last = *sample;
            }
        }
        self.fraction += speed;
        while self.fraction >= 1.0 {
            self.fraction -= 1.0;
            self.samples.drain(..self.channels.min(self.samples.len()));
        }
        true
    }
}

/// Catmull and Rom's cubic through four points, between the second and the third.
fn curve(points: [f64; 4], part: f64) -> i16 {
    let [a, b, c, d] = points;
    let value =
        b + 0.5 * part * (c - a + part * (2.0 * a - 5.0 * b + 4.0 * c - d + part * (3.0 * (b - c) + d - a)));
    #[allow(clippy::cast_possible_truncation)] // clamped
    let value = value.round().clamp(f64::from(i16::MIN), f64::from(i16::MAX)) as i16;
    value
}

#[cfg(test)]
mod tests {
    use super::super::simulation::{Tone, roughness};
    use super::*;

    #[test]
    fn what_is_written_is_read_unchanged_when_the_clocks_agree() {
        let mut buffer = DriftBuffer::new(2, 48_000, 960);
        let mut tone = Tone::new(440.0, 20_000.0);
        let written = tone.stereo(4800);
        buffer.write(&written[..2 * 720]);
        let mut read = Vec::new();
        for piece in written[2 * 720..].chunks_exact(2 * 480) {
            buffer.write(piece);
            let mut step = [0; 960];
            assert_eq!(buffer.read(&mut step), 480);
            read.extend(step);
        }
        assert_eq!(read, written[2..2 + read.len()], "from the second frame on");
    }

    #[test]
    fn pieces_of_any_size_fit_together() {
        let mut buffer = DriftBuffer::new(1, 44_100, 2000);
        let mut tone = Tone::new(440.0, 20_000.0);
        let mut read = Vec::new();
        for number in 0..2000usize {
            buffer.write(&tone.mono(if number % 7 == 0 { 441 * 2 } else { 441 * 5 / 6 }));
            let mut step = vec![0; if number % 2 == 0 { 300 } else { 582 }];
            buffer.read(&mut step);
            read.extend(step);
        }
        let sound = &read[5000..];
        let stereo: Vec<i16> = sound.iter().flat_map(|s| [*s, *s]).collect();
        assert!(roughness(&stereo) < 200.0, "{}", roughness(&stereo));
    }

    #[test]
    fn two_clocks_that_differ_are_brought_together() {
        for millionths in [-300i64, 300] {
            let mut buffer = DriftBuffer::new(1, 8_000, 240);
            let mut tone = Tone::new(440.0, 20_000.0);
            let mut owed = 0i64;
            let (mut low, mut high, mut sharpest) = (usize::MAX, 0, 0.0f64);
            let mut heard = Vec::new();
            for number in 0..10 * 6000 {
                owed += 80 * (1_000_000 + millionths);
                let frames = usize::try_from(owed / 1_000_000).expect("positive");
                owed %= 1_000_000;
                buffer.write(&tone.mono(frames));
                let mut step = [0; 80];
                buffer.read(&mut step);
                if number > 100 {
                    (low, high) = (low.min(buffer.len()), high.max(buffer.len()));
                    heard.extend(step.iter().flat_map(|sample| [*sample, *sample]));
                    sharpest = sharpest.max(roughness(&heard));
                    heard.drain(..heard.len() - 4);
                }
            }
            println!("{millionths} millionths: filling {low} to {high} of 240, faults {:?}", buffer.faults());
            assert_eq!(buffer.faults().0, 0);
            assert!(buffer.faults().1 <= 240, "silence at the beginning only");
            assert!(low > 60 && high < 480);
            assert!(sharpest < 100.0, "{sharpest}");
        }
    }

    #[test]
    fn too_much_drops_the_oldest_and_too_little_gives_silence() {
        let mut buffer = DriftBuffer::new(1, 48_000, 100);
        for _ in 0..100 {
            buffer.write(&[7; 480]);
            assert!(buffer.len() <= 400);
        }
        assert!(buffer.faults().0 > 40_000);
        let mut step = [1; 2000];
        let given = buffer.read(&mut step);
        assert!((90..=101).contains(&given), "{given}");
        assert_eq!(step[1999], 0);
        buffer.write(&[9; 50]);
        assert_eq!(buffer.read(&mut step), 0, "it waits for its goal");
        buffer.write(&[9; 60]);
        assert!(buffer.read(&mut step[..50]) == 50);
    }
}
