//! From the mix to what a device plays, and from what it records to steps.

use super::device::Format;
use crate::media::audio::{self, Resampler, StereoStep, UnsuitableRate};
use crate::media::{SAMPLE_RATE, STEP_SAMPLES};

/// The library mixes in stereo.
const MIX: audio::Format = audio::Format { rate: SAMPLE_RATE, channels: 2 };

/// So many 10 ms of a device make a step for certain, whatever the resampler holds back.
const PIECES_MAX: usize = 8;

impl From<Format> for audio::Format {
    fn from(format: Format) -> Self {
        Self { rate: format.rate_hz, channels: format.channels }
    }
}

/// From the mix to what a device plays.
pub struct ToDevice {
    format: Format,
    resampler: Resampler,
    made: Vec<i16>,
}

impl ToDevice {
    pub fn new(format: Format) -> Result<Self, UnsuitableRate> {
        Ok(Self { format, resampler: Resampler::new(MIX, format.into())?, made: Vec::new() })
    }

    pub fn format(&self) -> Format {
        self.format
    }

    /// 10 ms, give or take what the resampler holds back.
    pub fn convert(&mut self, step: &StereoStep) -> &[i16] {
        self.made.clear();
        self.resampler.push(step, &mut self.made);
        &self.made
    }
}

/// From what a device records to steps of 48 kHz, in the device's number of channels.
pub struct FromDevice {
    format: Format,
    resampler: Resampler,
    /// What is left of a frame where 10 ms are no whole number of them, in hundredths.
    owed: u32,
    recorded: Vec<i16>,
    made: Vec<i16>,
    /// How much of `made` the last step was.
    given: usize,
}

impl FromDevice {
    pub fn new(format: Format) -> Result<Self, UnsuitableRate> {
        let to = audio::Format { rate: SAMPLE_RATE, channels: format.channels };
        let resampler = Resampler::new(format.into(), to)?;
        Ok(Self { format, resampler, owed: 0, recorded: Vec::new(), made: Vec::new(), given: 0 })
    }

    pub fn format(&self) -> Format {
        self.format
    }

    /// One step. `record` fills a buffer with what the device brought, at times not at all and at times twice.
    pub fn convert(&mut self, mut record: impl FnMut(&mut [i16])) -> &mut [i16] {
        let channels = usize::from(self.format.channels);
        let step = STEP_SAMPLES * channels;
        self.made.drain(..self.given);
        for _ in 0..PIECES_MAX {
            if self.made.len() >= step {
                break;
            }
            self.owed += self.format.rate_hz;
            self.recorded.resize((self.owed / 100) as usize * channels, 0);
            self.owed %= 100;
            record(&mut self.recorded);
            self.resampler.push(&self.recorded, &mut self.made);
        }
        self.made.resize(self.made.len().max(step), 0);
        self.given = step;
        &mut self.made[..step]
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
