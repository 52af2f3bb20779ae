//! The mix, and what is done to recorded sound.

use super::{CaptureSettings, MIX_STEP};

/// Adds sounds up; where they are too loud together they are limited, each sample for itself.
pub struct Mixer([i32; MIX_STEP]);

impl Default for Mixer {
    fn default() -> Self {
        Self([0; MIX_STEP])
    }
}

impl Mixer {
    pub fn add(&mut self, step: &[i16; MIX_STEP]) {
        for (sum, sample) in self.0.iter_mut().zip(step) {
            *sum += i32::from(*sample);
        }
    }

    /// The sum; the next one begins.
    pub fn take(&mut self) -> [i16; MIX_STEP] {
        let sums = std::mem::replace(&mut self.0, [0; MIX_STEP]);
        sums.map(|sum| sum.clamp(i16::MIN.into(), i16::MAX.into()) as i16)
    }
}

/// The chain of the one microphone.
pub struct Processing;

impl Processing {
    pub fn new(_settings: CaptureSettings, _channels: u8) -> Self {
        Self
    }

    /// `played` is the mix that leaves at the same time; `recorded` is changed.
    pub fn process(&mut self, _played: &[i16; MIX_STEP], _recorded: &mut [i16]) {}
}
