//! Many sounds become one.

use super::fade::Fade;
use super::level::{Level, dbov, energy};
use super::{STEREO_STEP, StereoStep};

/// The loudest that comes out: a little below what fits, so that a resampler behind does not overshoot it.
const CEILING: f32 = 32_000.0;

/// From a pressed down sum back to full in 100 ms: slow enough not to pump with every wave.
const RELEASE: f32 = 1.0 / 4800.0;

/// The gain stays for so many frames, 12 ms, after it had to go down: half a wave of the lowest voice, so that the gain
/// does not come back between two peaks of one tone.
const HOLD: u32 = 576;
/// Peaks that nearly needed a lower gain count as if they had: those of one tone are not all equally high.
const NEAR: f32 = 1.05;

/// Adds up steps. What is too loud is turned down as a whole and comes back slowly, which nobody hears; cut off peaks,
/// everybody does. A single sound that fits goes through unchanged.
#[derive(Debug)]
pub struct Mixer {
    sum: Box<[i32; STEREO_STEP]>,
    has_sound: bool,
    gain: f32,
    /// Frames until it may rise.
    hold: u32,
    level: Level,
}

impl Default for Mixer {
    fn default() -> Self {
        Self {
            sum: Box::new([0; STEREO_STEP]),
            has_sound: false,
            gain: 1.0,
            hold: 0,
            level: Level::default(),
        }
    }
}

impl Mixer {
    pub fn add(&mut self, step: &StereoStep) {
        self.has_sound = true;
        for (sum, sample) in self.sum.iter_mut().zip(step) {
            *sum = sum.saturating_add(i32::from(*sample));
        }
    }

    /// Gives out the sum of what was added since the last time, silence if that was nothing. Says whether it has sound.
    pub fn finish(&mut self, step: &mut StereoStep) -> bool {
        if !std::mem::take(&mut self.has_sound) {
            step.fill(0);
            self.gain = 1.0;
            self.level.measure(&[]);
            return false;
        }
        let peak = self.sum.iter().map(|sum| sum.unsigned_abs()).max().unwrap_or(0);
        #[allow(clippy::cast_precision_loss)] // far below 2^24
        let fits = peak as f32 <= CEILING;
        if fits && self.gain >= 1.0 {
            for (sample, sum) in step.iter_mut().zip(self.sum.iter()) {
                *sample = saturated(*sum);
            }
        } else {
            self.limit(step);
        }
        self.sum.fill(0);
        self.level.measure(step);
        true
    }

    fn limit(&mut self, step: &mut StereoStep) {
        for (frame, sums) in step.chunks_exact_mut(2).zip(self.sum.chunks_exact(2)) {
            let peak = sums.iter().map(|sum| sum.unsigned_abs()).max().unwrap_or(0);
            #[allow(clippy::cast_precision_loss)] // far below 2^24
            let allowed = CEILING / (peak as f32).max(CEILING);
            if allowed <= self.gain * NEAR {
                self.gain = self.gain.min(allowed);
                self.hold = HOLD;
            } else if self.hold > 0 {
                self.hold -= 1;
            } else {
                self.gain = (self.gain + RELEASE).min(allowed);
            }
            for (sample, sum) in frame.iter_mut().zip(sums) {
                #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)] // limited
                let limited = (*sum as f32 * self.gain) as i32;
                *sample = saturated(limited);
            }
        }
    }

    /// 0 to 1, see [`Level`].
    pub fn level(&self) -> f32 {
        self.level.value()
    }
}

fn saturated(sum: i32) -> i16 {
    i16::try_from(sum).unwrap_or(if sum < 0 { i16::MIN } else { i16::MAX })
}

/// How loud one stream is wished to be: 0 to 100, 100 as it came. Moves without a click.
#[derive(Debug, Clone)]
pub struct Volume {
    fade: Fade,
}

impl Default for Volume {
    fn default() -> Self {
        Self { fade: Fade::new(1.0) }
    }
}

impl Volume {
    /// Beyond 100 is 100.
    pub fn set(&mut self, percent: u8) {
        self.fade.set_goal(f32::from(percent.min(100)) / 100.0);
    }

    pub fn apply(&mut self, step: &mut StereoStep) {
        self.fade.apply(step);
    }
}

/// The level of any samples as RFC 6464 has it: 0 is the loudest, 127 silence.
pub fn level_dbov(samples: &[i16]) -> u8 {
    dbov(energy(samples), samples.len())
}

#[cfg(test)]
mod tests {
    use super::super::simulation::{Tone, roughness};
    use super::*;

    fn step_of(tone: &mut Tone) -> StereoStep {
        tone.stereo(480).try_into().expect("a step")
    }

    #[test]
    fn one_sound_goes_through_unchanged() {
        let mut mixer = Mixer::default();
        let step = step_of(&mut Tone::new(440.0, 31_000.0));
        let mut mixed = [1; STEREO_STEP];
        mixer.add(&step);
        assert!(mixer.finish(&mut mixed));
        assert_eq!(mixed, step);
        assert!(!mixer.finish(&mut mixed));
        assert_eq!(mixed, [0; STEREO_STEP]);
    }

    #[test]
    fn sounds_are_added() {
        let mut mixer = Mixer::default();
        let mut mixed = [0; STEREO_STEP];
        for value in [100, 200, -1000] {
            mixer.add(&[value; STEREO_STEP]);
        }
        mixer.finish(&mut mixed);
        assert_eq!(mixed, [-700; STEREO_STEP]);
    }

    #[test]
    fn what_is_too_loud_is_turned_down_without_a_corner() {
        let mut mixer = Mixer::default();
        let mut tones: Vec<Tone> = (0..4).map(|_| Tone::new(440.0, 20_000.0)).collect();
        let mut heard = Vec::new();
        for _ in 0..50 {
            for tone in &mut tones {
                mixer.add(&step_of(tone));
            }
            let mut mixed = [0; STEREO_STEP];
            mixer.finish(&mut mixed);
            heard.extend(mixed);
        }
        // The first wave is where the gain goes down; after it the sound is a sine again.
        let settled = &heard[4 * STEREO_STEP..];
        let peak = settled.iter().map(|s| s.unsigned_abs()).max().expect("samples");
        assert!((29_000..=32_000).contains(&peak), "{peak}");
        let clean = roughness(&Tone::new(440.0, 32_000.0).stereo(4800));
        assert!(roughness(settled) < clean * 1.5, "{} against {clean}", roughness(settled));
    }

    #[test]
    fn a_thousand_of_the_loudest_do_not_overflow() {
        let mut mixer = Mixer::default();
        for _ in 0..1000 {
            mixer.add(&[i16::MIN; STEREO_STEP]);
        }
        let mut mixed = [0; STEREO_STEP];
        mixer.finish(&mut mixed);
        assert!(mixed.iter().all(|sample| (-32_001..=-31_000).contains(sample)));
    }

    #[test]
    fn volume_moves_without_a_click_and_ends_at_nothing() {
        let mut volume = Volume::default();
        let mut tone = Tone::new(440.0, 20_000.0);
        let mut heard = Vec::new();
        let clean = roughness(&Tone::new(440.0, 20_000.0).stereo(4800));
        for number in 0..20 {
            if number == 5 {
                volume.set(0);
            }
            let mut step = step_of(&mut tone);
            volume.apply(&mut step);
            heard.extend(step);
        }
        assert!(roughness(&heard) < clean * 1.2);
        assert!(heard[19 * STEREO_STEP..].iter().all(|sample| *sample == 0));
        volume.set(200);
        let mut step = [1000; STEREO_STEP];
        volume.apply(&mut step);
        volume.apply(&mut step);
        assert_eq!(step[STEREO_STEP - 1], 1000);
    }
}
