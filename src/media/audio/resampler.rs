//! Between the rates and channels of devices and 48 kHz, in pieces of any size.

use std::ops::RangeInclusive;

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Async, FixedAsync, SincInterpolationParameters, SincInterpolationType, WindowFunction};

/// From the telephone's half to the studio's double; a device that says something else is not believed.
const RATES: RangeInclusive<u32> = 4_000..=384_000;

/// Converted at once: 10 ms, what devices and the engine work in.
const PIECES_PER_SECOND: u32 = 100;

/// The length of the filter, in frames of the lower of the two rates. Half of it is the delay: 1 ms at 48 kHz, 6 ms at a
/// telephone's 8.
const FILTER_FRAMES: usize = 96;

/// Nobody has it a hundred times longer, for the sake of rates that no device has.
const FILTER_FRAMES_MAX: usize = 768;

/// Points between two frames for which the filter is worked out; the rest is a straight line, less than a 16 bit step off.
const FILTER_STEPS: usize = 256;

/// No such rate, or no such number of channels (1 and 2 are).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnsuitableRate;

/// One end of a conversion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    /// Frames per second.
    pub rate: u32,
    /// 1 or 2, interleaved.
    pub channels: u8,
}

/// Converts a stream of samples. Where the rates are equal it only looks at the channels and delays nothing.
pub struct Resampler {
    from: Format,
    to: Format,
    engine: Option<Box<dyn rubato::Resampler<f32>>>,
    /// Channels while the rate is converted: the fewer of the two ends.
    channels: usize,
    waiting: Vec<f32>,
    converted: Vec<f32>,
}

impl Resampler {
    pub fn new(from: Format, to: Format) -> Result<Self, UnsuitableRate> {
        for end in [from, to] {
            if !RATES.contains(&end.rate) || !(1..=2).contains(&end.channels) {
                return Err(UnsuitableRate);
            }
        }
        let channels = usize::from(from.channels.min(to.channels));
        let engine = if from.rate == to.rate { None } else { Some(engine(from.rate, to.rate, channels)?) };
        Ok(Self { from, to, engine, channels, waiting: Vec::new(), converted: Vec::new() })
    }

    /// How much later a sample comes out than it went in, in frames of the output, pieces not yet full left out.
    pub fn delay_frames(&self) -> usize {
        self.engine.as_ref().map_or(0, |engine| engine.output_delay())
    }

    /// Takes samples, appends what they make to `output`. Half a frame at the end is left out.
    pub fn push(&mut self, samples: &[i16], output: &mut Vec<i16>) {
        let frames = samples.chunks_exact(usize::from(self.from.channels));
        let Some(engine) = &mut self.engine else {
            for frame in frames {
                put(frame, usize::from(self.to.channels), output);
            }
            return;
        };
        for frame in frames {
            match (frame, self.channels) {
                (&[left, right], 1) => self.waiting.push((f32::from(left) + f32::from(right)) / 2.0),
                _ => self.waiting.extend(frame.iter().map(|sample| f32::from(*sample))),
            }
        }
        let mut used = 0;
        loop {
            let frames = engine.input_frames_next();
            let Some(piece) = self.waiting.get(used..used + frames * self.channels) else { break };
            let room = engine.output_frames_max();
            self.converted.resize(room * self.channels, 0.0);
            let made = InterleavedSlice::new(piece, self.channels, frames).ok().and_then(|input| {
                let mut made = InterleavedSlice::new_mut(&mut self.converted, self.channels, room).ok()?;
                engine.process_into_buffer(&input, &mut made, None).ok()
            });
            used += frames * self.channels;
            let Some((_, frames)) = made else { continue };
            for frame in self.converted.chunks_exact(self.channels).take(frames) {
                let frame: [i16; 2] = [rounded(frame.first()), rounded(frame.last())];
                put(&frame[..self.channels], usize::from(self.to.channels), output);
            }
        }
        self.waiting.drain(..used);
    }
}

fn engine(from: u32, to: u32, channels: usize) -> Result<Box<dyn rubato::Resampler<f32>>, UnsuitableRate> {
    let filter = SincInterpolationParameters {
        sinc_len: (FILTER_FRAMES * from as usize / to as usize).clamp(FILTER_FRAMES, FILTER_FRAMES_MAX),
        f_cutoff: None,
        oversampling_factor: FILTER_STEPS,
        interpolation: SincInterpolationType::Linear,
        window: WindowFunction::Blackman2,
    };
    let ratio = f64::from(to) / f64::from(from);
    let piece = (from / PIECES_PER_SECOND) as usize;
    let engine = Async::new_sinc(ratio, 1.0, &filter, piece, channels, FixedAsync::Input);
    Ok(Box::new(engine.map_err(|_| UnsuitableRate)?))
}

/// Appends a frame in so many channels.
fn put(frame: &[i16], channels: usize, output: &mut Vec<i16>) {
    match (frame, channels) {
        (&[left, right], 1) => {
            #[allow(clippy::cast_possible_truncation)] // between two i16
            output.push(((i32::from(left) + i32::from(right)) / 2) as i16);
        }
        (&[middle], 2) => output.extend([middle, middle]),
        _ => output.extend_from_slice(frame),
    }
}

fn rounded(sample: Option<&f32>) -> i16 {
    #[allow(clippy::cast_possible_truncation)] // a float's conversion saturates
    let rounded = sample.copied().unwrap_or(0.0).round() as i16;
    rounded
}

#[cfg(test)]
mod tests {
    use super::super::simulation::{effective, purity};
    use super::*;

    fn tone(rate: u32, channels: u8, seconds: u32) -> Vec<i16> {
        let sample = |at: u32| {
            let angle = std::f64::consts::TAU * 440.0 * f64::from(at) / f64::from(rate);
            #[allow(clippy::cast_possible_truncation)]
            let sample = (10_000.0 * angle.sin()) as i16;
            sample
        };
        (0..rate * seconds).flat_map(|at| vec![sample(at); usize::from(channels)]).collect()
    }

    #[test]
    fn every_device_s_rate_becomes_48_khz_with_pitch_and_level_kept() {
        for rate in [8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 47_999, 48_000, 96_000] {
            for channels in [1, 2] {
                let to = Format { rate: 48_000, channels: 2 };
                let mut resampler = Resampler::new(Format { rate, channels }, to).expect("a rate");
                let mut output = Vec::new();
                for piece in tone(rate, channels, 1).chunks(usize::from(channels) * 77) {
                    resampler.push(piece, &mut output);
                }
                let missing = 96_000 - i64::try_from(output.len()).expect("short");
                assert!((-10..2 * 700).contains(&missing), "{rate}: {missing} samples are missing");
                let middle = &output[20_000..80_000];
                assert!((effective(middle) - 7071.0).abs() < 100.0, "{rate}: {}", effective(middle));
                assert!(purity(middle, 440.0) > 0.999, "{rate}: {}", purity(middle, 440.0));
                assert!(resampler.delay_frames() <= 320, "{rate}: {}", resampler.delay_frames());
            }
        }
    }

    #[test]
    fn the_way_back_to_the_device_is_as_good() {
        for rate in [8_000, 16_000, 44_100] {
            let from = Format { rate: 48_000, channels: 2 };
            let mut resampler = Resampler::new(from, Format { rate, channels: 1 }).expect("a rate");
            let mut output = Vec::new();
            resampler.push(&tone(48_000, 2, 1), &mut output);
            let stereo: Vec<i16> = output.iter().flat_map(|sample| [*sample, *sample]).collect();
            let middle = &stereo[stereo.len() / 4..stereo.len() / 4 * 3];
            let hertz = 440.0 * 48_000.0 / f64::from(rate);
            assert!(purity(middle, hertz) > 0.999, "{rate}: {}", purity(middle, hertz));
        }
    }

    #[test]
    fn what_the_other_rate_cannot_hold_is_left_out() {
        for (from, to) in [(48_000, 8_000), (48_000, 11_025), (96_000, 16_000)] {
            let mono = |rate| Format { rate, channels: 1 };
            let mut resampler = Resampler::new(mono(from), mono(to)).expect("a rate");
            // Played twenty times as fast it is a tone of 8,800 Hz.
            let high: Vec<i16> = tone(from / 20, 1, 20);
            let mut output = Vec::new();
            resampler.push(&high, &mut output);
            let level = effective(&output[output.len() / 4..]);
            assert!(level < 20.0, "{from} to {to}: {level}");
        }
    }

    #[test]
    fn at_48_khz_samples_go_through_unchanged() {
        let stereo = Format { rate: 48_000, channels: 2 };
        let mut resampler = Resampler::new(stereo, stereo).expect("a rate");
        let mut output = Vec::new();
        resampler.push(&[1, 2, 3, 4, 5], &mut output);
        assert_eq!(output, [1, 2, 3, 4]);
        assert_eq!(resampler.delay_frames(), 0);
        let mut resampler = Resampler::new(stereo, Format { channels: 1, ..stereo }).expect("a rate");
        output.clear();
        resampler.push(&[i16::MAX, i16::MAX, 10, 20], &mut output);
        assert_eq!(output, [i16::MAX, 15]);
    }

    #[test]
    fn what_no_device_has_is_refused() {
        let good = Format { rate: 48_000, channels: 2 };
        for bad in [(0, 2), (48_000, 0), (48_000, 3), (u32::MAX, 1)] {
            let bad = Format { rate: bad.0, channels: bad.1 };
            assert!(Resampler::new(bad, good).is_err() && Resampler::new(good, bad).is_err());
        }
    }
}
