//! How loud sound is, in the scales that people ask for.

use crate::media::SAMPLE_RATE;

/// Full scale, as a level is relative to it.
const FULL_SCALE: f64 = 32_768.0;

/// RFC 6464: what is quieter than this counts as silence.
const SILENCE_DBOV: u8 = 127;

/// What the meter keeps of its value per step of 10 ms when it gets quieter: half in about 70 ms, so that a display that asks ten
/// times a second does not flicker between syllables.
const RELEASE: f32 = 0.905;

/// A meter from 0 to 1: the peak of each step as a part of full scale, at once up and slowly down.
#[derive(Debug, Clone, Default)]
pub struct Level {
    value: f32,
}

impl Level {
    /// Takes a step of any length and number of channels.
    pub fn measure(&mut self, samples: &[i16]) -> f32 {
        self.value = peak(samples).max(self.value * RELEASE);
        if self.value < 1.0 / 32_768.0 {
            self.value = 0.0;
        }
        self.value
    }

    /// The last value.
    pub fn value(&self) -> f32 {
        self.value
    }

    /// Nothing is to be heard any more, now.
    pub fn clear(&mut self) {
        self.value = 0.0;
    }
}

fn peak(samples: &[i16]) -> f32 {
    let largest = samples.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0);
    (f32::from(largest) / 32_767.0).min(1.0)
}

/// The sum of the squares.
pub(super) fn energy(samples: &[i16]) -> u64 {
    samples.iter().map(|&sample| u64::from(sample.unsigned_abs()).pow(2)).sum()
}

/// What a piece of sound adds to webrtc-stats' `totalAudioEnergy`: of every sample its part of full scale, squared, for as
/// long as the sample lasts, in seconds. Of several channels (interleaved) the loudest counts, from sample to sample.
pub fn energy_in_time(samples: &[i16], channels: usize) -> f64 {
    let loudest = |frame: &[i16]| frame.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0);
    let frames = samples.chunks_exact(channels.max(1));
    let sum: u64 = frames.map(|frame| u64::from(loudest(frame)).pow(2)).sum();
    #[allow(clippy::cast_precision_loss)] // a sum of less than 2^53, for minutes of full scale
    let sum = sum as f64;
    sum / (FULL_SCALE * FULL_SCALE) / f64::from(SAMPLE_RATE)
}

/// RFC 6464 section 3: how far below overload the effective value is, in whole dB. 0 is the loudest, 127 silence.
pub(super) fn dbov(energy: u64, samples: usize) -> u8 {
    if energy == 0 || samples == 0 {
        return SILENCE_DBOV;
    }
    #[allow(clippy::cast_precision_loss)] // a level of whole dB
    let power = energy as f64 / samples as f64 / (FULL_SCALE * FULL_SCALE);
    let below = (-10.0 * power.log10()).round().clamp(0.0, f64::from(SILENCE_DBOV));
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped
    let below = below as u8;
    below
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_those_of_the_standard() {
        assert_eq!(dbov(energy(&[0; 480]), 480), 127);
        assert_eq!(dbov(energy(&[i16::MIN; 480]), 480), 0);
        assert_eq!(dbov(energy(&[16_384; 480]), 480), 6);
        assert_eq!(dbov(energy(&[328; 480]), 480), 40);
        assert_eq!(dbov(energy(&[]), 0), 127);
    }

    #[test]
    fn the_energy_is_the_standards_example() {
        // 10 ms with an effective value of a half, and 10 ms with one of a tenth.
        let energy = energy_in_time(&[16_384, -16_384].repeat(240), 1);
        assert!((energy - 0.0025).abs() < 1e-9, "{energy}");
        let energy = energy + energy_in_time(&[3_277; 960], 2);
        assert!((energy - 0.0026).abs() < 1e-6, "{energy}");
    }

    #[test]
    fn of_several_channels_the_loudest_counts() {
        let left = [16_384, 0].repeat(240);
        let turns: Vec<i16> = [16_384, 0, 0, -16_384].repeat(120);
        for stereo in [left, turns] {
            let energy = energy_in_time(&stereo, 2);
            assert!((energy - 0.5 * 0.5 * 0.005).abs() < 1e-9, "{energy}");
        }
    }

    #[test]
    fn the_meter_rises_at_once_and_falls_slowly_to_nothing() {
        let mut level = Level::default();
        assert!((level.measure(&[i16::MIN, 0]) - 1.0).abs() < 0.001);
        let after = level.measure(&[0; 960]);
        assert!((0.8..1.0).contains(&after), "{after}");
        for _ in 0..200 {
            level.measure(&[0; 960]);
        }
        assert!(level.value().abs() < f32::EPSILON);
    }
}
