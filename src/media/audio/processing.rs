//! WebRTC's echo canceller, noise suppressor and gain control, behind a border that nothing breaks through.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use sonora::config::{
    AdaptiveDigital, EchoCanceller, GainController2, MaxProcessingRate, NoiseSuppression,
    NoiseSuppressionLevel, Pipeline,
};
use sonora::{AudioProcessing, Config, StreamConfig};

use super::{SAMPLE_RATE, STEP_SAMPLES, StereoStep};

/// What the library takes; beyond it the echo would not be looked for.
const DELAY_MAX_MS: u128 = 500;

/// Which of the three work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Switches {
    pub cancels_echo: bool,
    pub suppresses_noise: bool,
    pub controls_gain: bool,
}

impl Switches {
    pub const NONE: Self = Self { cancels_echo: false, suppresses_noise: false, controls_gain: false };
}

impl Default for Switches {
    fn default() -> Self {
        Self { cancels_echo: true, suppresses_noise: true, controls_gain: true }
    }
}

/// Works on what is captured, knowing what is played. Costs nothing when all is off. A failure of the library turns all
/// off, for good: sound goes on as it came.
#[derive(Default)]
pub struct Processing {
    switches: Switches,
    /// Made for a number of channels with the first step that is captured.
    engine: Option<(AudioProcessing, u16)>,
    is_broken: bool,
    delay_ms: i32,
    /// What the library makes of a step.
    made: Vec<i16>,
}

impl Processing {
    pub fn new(switches: Switches) -> Self {
        Self { switches, ..Self::default() }
    }

    pub fn set_switches(&mut self, switches: Switches) {
        if self.switches != switches {
            self.switches = switches;
            self.engine = None; // the next step makes one
        }
    }

    pub fn switches(&self) -> Switches {
        self.switches
    }

    /// Something is done to what is captured.
    pub fn is_active(&self) -> bool {
        self.switches != Switches::NONE && !self.is_broken
    }

    /// From the moment when a sample is played (given to [`Self::render`]) to the one when its echo is captured (given to
    /// [`Self::capture`]), the devices' delays added up. A hint; the canceller finds the rest.
    pub fn set_delay(&mut self, delay: Duration) {
        self.delay_ms = i32::try_from(delay.as_millis().min(DELAY_MAX_MS)).unwrap_or(0);
    }

    /// Listens to a step that is about to be played.
    pub fn render(&mut self, step: &StereoStep) {
        if !self.switches.cancels_echo {
            return;
        }
        self.within(|engine, made, _| {
            made.resize(step.len(), 0);
            engine.process_render_i16(step, made)
        });
    }

    /// Works on 10 ms that were captured, in place: 480 samples in mono or 960 in stereo. Other lengths stay as they are.
    pub fn capture(&mut self, step: &mut [i16]) {
        let channels = match step.len() {
            STEP_SAMPLES => 1,
            length if length == 2 * STEP_SAMPLES => 2,
            _ => return,
        };
        if !self.is_active() {
            return;
        }
        if self.engine.as_ref().is_none_or(|(_, made_for)| *made_for != channels) {
            let switches = self.switches;
            let engine = catch_unwind(|| make(switches, channels));
            match engine {
                Ok(engine) => self.engine = Some((engine, channels)),
                Err(_) => return self.give_up("it cannot be made"),
            }
        }
        let works = self.within(|engine, made, delay_ms| {
            made.resize(step.len(), 0);
            engine.set_stream_delay_ms(delay_ms)?;
            engine.process_capture_i16(step, made)
        });
        if works {
            step.copy_from_slice(&self.made);
        }
    }

    /// Runs `job` on the engine, if there is one; false if it did not go well.
    fn within(
        &mut self,
        job: impl FnOnce(&mut AudioProcessing, &mut Vec<i16>, i32) -> Result<(), sonora::Error>,
    ) -> bool {
        let Some((engine, _)) = &mut self.engine else { return false };
        let (made, delay_ms) = (&mut self.made, self.delay_ms);
        // What a panic leaves behind is not looked at again: the engine is dropped and `made` is filled anew.
        match catch_unwind(AssertUnwindSafe(|| job(engine, made, delay_ms))) {
            Ok(Ok(())) => return true,
            Ok(Err(error)) => self.give_up(&error.to_string()),
            Err(_) => self.give_up("it panicked"),
        }
        false
    }

    fn give_up(&mut self, why: &str) {
        log::warn!("audio processing is off from now on: {why}");
        self.is_broken = true;
        self.engine = None;
    }
}

fn make(switches: Switches, channels: u16) -> AudioProcessing {
    let config = Config {
        pipeline: Pipeline {
            maximum_internal_processing_rate: MaxProcessingRate::Rate48kHz,
            multi_channel_capture: channels == 2,
            // An echo of the sum is as good as one of each side, for half the work.
            multi_channel_render: false,
            ..Pipeline::default()
        },
        echo_canceller: switches.cancels_echo.then(EchoCanceller::default),
        noise_suppression: switches
            .suppresses_noise
            .then(|| NoiseSuppression { level: NoiseSuppressionLevel::High, ..NoiseSuppression::default() }),
        gain_controller2: switches.controls_gain.then(|| GainController2 {
            adaptive_digital: Some(AdaptiveDigital::default()),
            ..GainController2::default()
        }),
        ..Config::default()
    };
    AudioProcessing::builder()
        .config(config)
        .capture_config(StreamConfig::new(SAMPLE_RATE, channels))
        .render_config(StreamConfig::new(SAMPLE_RATE, 2))
        .build()
}

#[cfg(test)]
mod tests {
    use super::super::STEREO_STEP;
    use super::super::level::energy;
    use super::super::simulation::{Random, Tone};
    use super::*;

    fn decibels(before: u64, after: u64) -> f64 {
        #[allow(clippy::cast_precision_loss)] // a ratio
        let ratio = (after as f64 + 1.0) / (before as f64 + 1.0);
        10.0 * ratio.log10()
    }

    #[test]
    fn an_echo_goes_away() {
        let switches = Switches { cancels_echo: true, ..Switches::NONE };
        let mut processing = Processing::new(switches);
        processing.set_delay(Duration::from_millis(20));
        let mut random = Random::new(1);
        let mut line = std::collections::VecDeque::from([[0i16; STEREO_STEP]; 2]);
        let (mut before, mut after) = (0, 0);
        for number in 0..300 {
            let mut far = [0; STEREO_STEP];
            // Bursts, as speech has them.
            let loud = number % 50 < 35;
            for frame in far.chunks_exact_mut(2) {
                frame.fill(if loud { random.sample() / 8 } else { 0 });
            }
            processing.render(&far);
            line.push_back(far);
            let echo = line.pop_front().expect("the line is full");
            let mut near: Vec<i16> = echo.chunks_exact(2).map(|frame| frame[0] / 2).collect();
            let came = energy(&near);
            processing.capture(&mut near);
            if number >= 200 {
                before += came;
                after += energy(&near);
            }
        }
        println!("echo: {:.1} dB", decibels(before, after));
        assert!(decibels(before, after) < -20.0);
    }

    #[test]
    fn noise_goes_away_and_a_whisper_becomes_loud() {
        let mut random = Random::new(2);
        let mut quieter = Processing::new(Switches { suppresses_noise: true, ..Switches::NONE });
        let (mut before, mut after) = (0, 0);
        for number in 0..300 {
            let mut step: Vec<i16> = (0..STEREO_STEP).map(|_| random.sample() / 64).collect();
            before += if number >= 200 { energy(&step) } else { 0 };
            quieter.capture(&mut step);
            after += if number >= 200 { energy(&step) } else { 0 };
        }
        println!("noise: {:.1} dB", decibels(before, after));
        assert!(decibels(before, after) < -6.0);

        let mut louder = Processing::new(Switches { controls_gain: true, ..Switches::NONE });
        let mut tone = Tone::new(300.0, 300.0);
        let (mut before, mut after) = (0, 0);
        for _ in 0..100 {
            let mut step = tone.mono(480);
            before += energy(&step);
            louder.capture(&mut step);
            after += energy(&step);
        }
        println!("gain: {:.1} dB", decibels(before, after));
        assert!(decibels(before, after) > 6.0);
    }

    #[test]
    fn when_all_is_off_nothing_is_made_and_nothing_changes() {
        let mut processing = Processing::new(Switches::NONE);
        let mut step = Tone::new(300.0, 300.0).mono(480);
        let before = step.clone();
        processing.render(&[0; STEREO_STEP]);
        processing.capture(&mut step);
        assert_eq!(step, before);
        assert!(processing.engine.is_none() && !processing.is_active());
    }

    #[test]
    fn a_panic_turns_it_off_and_sound_goes_on() {
        let mut processing = Processing::new(Switches::default());
        let mut step = Tone::new(300.0, 300.0).mono(480);
        processing.capture(&mut step);
        assert!(processing.is_active());
        assert!(!processing.within(|_, _, _| panic!("on purpose")));
        assert!(!processing.is_active());
        let mut step = Tone::new(300.0, 300.0).mono(480);
        let before = step.clone();
        processing.capture(&mut step);
        assert_eq!(step, before);
    }

    #[test]
    fn channels_may_change_and_odd_lengths_are_left_alone() {
        let mut processing = Processing::new(Switches::default());
        for length in [480, 960, 480, 441, 0, 960] {
            let mut step = vec![100; length];
            processing.render(&[50; STEREO_STEP]);
            processing.capture(&mut step);
            assert_eq!(step.len(), length);
        }
        assert!(processing.is_active());
    }
}
