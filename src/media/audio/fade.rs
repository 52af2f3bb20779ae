//! A gain that moves instead of jumping: a jump in loudness is a click.

/// From silence to full in 5 ms: too short to be missed, too long to be a click.
const RISE: f32 = 1.0 / 240.0;
/// From full to silence in 50 ms.
const FALL: f32 = 1.0 / 2400.0;

#[derive(Debug, Clone)]
pub struct Fade {
    gain: f32,
    goal: f32,
}

impl Fade {
    pub fn new(gain: f32) -> Self {
        Self { gain, goal: gain }
    }

    pub fn set_goal(&mut self, goal: f32) {
        self.goal = goal.clamp(0.0, 1.0);
    }

    pub fn is_silent(&self) -> bool {
        self.gain <= 0.0 && self.goal <= 0.0
    }

    /// Samples in stereo.
    pub fn apply(&mut self, samples: &mut [i16]) {
        if self.gain == self.goal && self.gain >= 1.0 {
            return;
        }
        for frame in samples.chunks_exact_mut(2) {
            if self.gain < self.goal {
                self.gain = (self.gain + RISE).min(self.goal);
            } else if self.gain > self.goal {
                self.gain = (self.gain - FALL).max(self.goal);
            }
            for sample in frame {
                #[allow(clippy::cast_possible_truncation)] // not louder than it was
                let scaled = (f32::from(*sample) * self.gain) as i16;
                *sample = scaled;
            }
        }
    }
}
