//! From the library's rate to a device's and back.

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{
    Async, FixedAsync, Resampler, ResamplerConstructionError, SincInterpolationParameters, WindowFunction,
};

use super::device::Format;
use crate::media::{SAMPLE_RATE, STEP_SAMPLES};

/// Taps of the filter: 0.7 ms of delay, and nothing audible of what it folds back.
const FILTER_LENGTH: usize = 64;

/// The library mixes in stereo.
const MIX_CHANNELS: usize = 2;

/// One resampler with its buffers.
struct Rate {
    resampler: Async<f32>,
    input: Vec<f32>,
    output: Vec<f32>,
}

impl Rate {
    /// `fixed`: on which side a step is always 480 samples long.
    fn new(ratio: f64, channels: usize, fixed: FixedAsync) -> Result<Self, ResamplerConstructionError> {
        let parameters = SincInterpolationParameters::new(FILTER_LENGTH, WindowFunction::BlackmanHarris2);
        // The ratio stays as it is.
        let resampler = Async::new_sinc(ratio, 1.0, &parameters, STEP_SAMPLES, channels, fixed)?;
        let output = vec![0.0; resampler.output_frames_max() * channels];
        Ok(Self { resampler, input: Vec::new(), output })
    }

    /// `samples` are as many frames as the resampler wants next.
    fn convert(&mut self, samples: &[i16], out: &mut Vec<i16>) {
        let channels = self.resampler.nbr_channels();
        self.input.clear();
        self.input.extend(samples.iter().map(|sample| f32::from(*sample)));
        let frames = self.output.len() / channels;
        let made = InterleavedSlice::new(&self.input, channels, samples.len() / channels)
            .ok()
            .zip(InterleavedSlice::new_mut(&mut self.output, channels, frames).ok())
            .and_then(|(input, mut output)| {
                self.resampler.process_into_buffer(&input, &mut output, None).ok()
            })
            .map_or(0, |(_, made)| made * channels); // the sizes are the resampler's own, so it takes them
        // `as` saturates.
        out.extend(self.output[..made].iter().map(|sample| sample.round() as i16));
    }
}

/// From the mix to what a device plays.
pub struct ToDevice {
    format: Format,
    rate: Option<Rate>,
    channels: Vec<i16>,
    out: Vec<i16>,
}

impl ToDevice {
    pub fn new(format: Format) -> Result<Self, ResamplerConstructionError> {
        let ratio = f64::from(format.rate_hz) / f64::from(SAMPLE_RATE);
        let rate = match format.rate_hz {
            SAMPLE_RATE => None,
            _ => Some(Rate::new(ratio, format.channels.into(), FixedAsync::Input)?),
        };
        Ok(Self { format, rate, channels: Vec::new(), out: Vec::new() })
    }

    pub fn format(&self) -> Format {
        self.format
    }

    /// 10 ms, give or take a sample.
    pub fn convert(&mut self, step: &[i16; STEP_SAMPLES * MIX_CHANNELS]) -> &[i16] {
        self.channels.clear();
        match self.format.channels {
            1 => self.channels.extend(step.chunks_exact(MIX_CHANNELS).map(|frame| {
                let sum: i32 = frame.iter().map(|sample| i32::from(*sample)).sum();
                (sum / MIX_CHANNELS as i32) as i16
            })),
            _ => self.channels.extend(step),
        }
        let Some(rate) = &mut self.rate else { return &self.channels };
        self.out.clear();
        rate.convert(&self.channels, &mut self.out);
        &self.out
    }
}

/// From what a device records to steps of 48 kHz, in the device's number of channels.
pub struct FromDevice {
    format: Format,
    rate: Option<Rate>,
    recorded: Vec<i16>,
    out: Vec<i16>,
}

impl FromDevice {
    pub fn new(format: Format) -> Result<Self, ResamplerConstructionError> {
        let ratio = f64::from(SAMPLE_RATE) / f64::from(format.rate_hz);
        let rate = match format.rate_hz {
            SAMPLE_RATE => None,
            _ => Some(Rate::new(ratio, format.channels.into(), FixedAsync::Output)?),
        };
        Ok(Self { format, rate, recorded: Vec::new(), out: Vec::new() })
    }

    pub fn format(&self) -> Format {
        self.format
    }

    /// One step. `record` fills a buffer with what the device brought.
    pub fn convert(&mut self, record: impl FnOnce(&mut [i16])) -> &mut [i16] {
        let channels = usize::from(self.format.channels);
        let frames = self.rate.as_ref().map_or(STEP_SAMPLES, |rate| rate.resampler.input_frames_next());
        self.recorded.resize(frames * channels, 0);
        record(&mut self.recorded);
        let Some(rate) = &mut self.rate else { return &mut self.recorded };
        self.out.clear();
        rate.convert(&self.recorded, &mut self.out);
        self.out.resize(STEP_SAMPLES * channels, 0);
        &mut self.out
    }
}

#[cfg(test)]
mod tests {
    use super::super::tone::{Tone, frequency_hz};
    use super::*;

    const RATES_HZ: [u32; 8] = [8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000, 192_000];

    #[test]
    fn a_tone_keeps_its_pitch_on_the_way_to_every_device() {
        for rate_hz in RATES_HZ {
            for channels in [1, 2] {
                let mut to_device = ToDevice::new(Format { rate_hz, channels }).expect("a rate in range");
                let (mut tone, mut heard) = (Tone::new(440.0, 48_000), Vec::new());
                for _ in 0..100 {
                    let mut step = [0; 960];
                    tone.fill(&mut step, 2);
                    heard.extend(to_device.convert(&step).iter().step_by(channels.into()));
                }
                let pitch_hz = frequency_hz(&heard, rate_hz);
                assert!((pitch_hz - 440.0).abs() < 2.0, "{rate_hz} Hz, {channels} channels: {pitch_hz} Hz");
                let expected = rate_hz as usize;
                assert!(heard.len().abs_diff(expected) <= expected / 100, "{} of {expected}", heard.len());
            }
        }
    }

    #[test]
    fn a_tone_keeps_its_pitch_on_the_way_from_every_device() {
        for rate_hz in RATES_HZ {
            for channels in [1, 2] {
                let mut from_device = FromDevice::new(Format { rate_hz, channels }).expect("a rate in range");
                let (mut tone, mut heard) = (Tone::new(440.0, rate_hz), Vec::new());
                for _ in 0..100 {
                    let step = from_device.convert(|buffer| tone.fill(buffer, channels.into()));
                    assert_eq!(step.len(), 480 * usize::from(channels));
                    heard.extend(step.iter().step_by(channels.into()));
                }
                let pitch_hz = frequency_hz(&heard, 48_000);
                assert!((pitch_hz - 440.0).abs() < 2.0, "{rate_hz} Hz, {channels} channels: {pitch_hz} Hz");
            }
        }
    }
}
