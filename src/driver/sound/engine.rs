//! The engine's thread: a step of sound every 10 ms.
//!
//! Played: everybody is asked, the answers are mixed, the mix goes to the device. Recorded: what the device brought is
//! brought to 48 kHz, processed, and given to everybody. The device's own clock is dealt with in the rings of the ports.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use super::callbacks::Gate;
use super::convert::{FromDevice, ToDevice};
use super::device::{Direction, Format};
use super::pace::Pace;
use super::port::Ports;
use super::{CaptureSettings, MIX_STEP, Roster, Shared};
use crate::media::STEP_SAMPLES;
use crate::media::audio::{Mixer, Processing, StereoStep, Switches, UnsuitableRate};

pub(super) fn run(shared: &Shared) {
    let mut engine = Engine::default();
    let mut pace = Pace::new(Instant::now());
    let mut is_told = false;
    loop {
        let mut state = shared.state.lock();
        while !state.roster.is_empty() && Instant::now() < pace.next() {
            shared.changed.wait_until(&mut state, pace.next());
        }
        let roster = state.roster.clone();
        if roster.is_empty() {
            state.engine_ended();
            shared.changed.notify_all();
            return;
        }
        drop(state);
        // One step for each look at the roster: where a step takes longer than it lasts, the next one is always due.
        let Some(moment) = pace.due(Instant::now()) else { continue };
        if catch_unwind(AssertUnwindSafe(|| engine.step(moment, Instant::now(), &roster, &shared.ports)))
            .is_err()
        {
            // A defect costs a step and what the engine has learnt of echo and noise.
            engine = Engine::default();
            if !std::mem::replace(&mut is_told, true) {
                log::error!("a defect in this library leaves gaps in the sound");
            }
        }
    }
}

#[derive(Default)]
pub(super) struct Engine {
    mixer: Mixer,
    to_device: Option<ToDevice>,
    from_device: Option<FromDevice>,
    processing: Processing,
}

impl Engine {
    /// `moment`: when the step is due, and `now`, which the device's clock is held against.
    pub fn step(&mut self, moment: Instant, now: Instant, roster: &Roster, ports: &Ports) {
        let mix = self.mix(moment, roster);
        self.play(now, &mix, ports);
        if roster.wants(Direction::Capture) {
            self.record(moment, now, &mix, roster, ports);
        } else {
            self.from_device = None;
            self.processing = Processing::default();
        }
    }

    fn mix(&mut self, now: Instant, roster: &Roster) -> StereoStep {
        let mut step = [0; MIX_STEP];
        for member in &roster.playouts {
            let mut is_heard = false;
            guarded(&member.gate, || is_heard = member.object.pull(now, &mut step));
            if is_heard {
                self.mixer.add(&step);
            }
        }
        self.mixer.finish(&mut step);
        step
    }

    fn play(&mut self, now: Instant, mix: &StereoStep, ports: &Ports) {
        let Some(format) = ports.format(Direction::Render) else {
            self.to_device = None;
            return;
        };
        if self.to_device.as_ref().is_none_or(|present| present.format() != format) {
            self.to_device = suited(format, ToDevice::new(format));
        }
        if let Some(to_device) = &mut self.to_device {
            ports.play(now, format, to_device.convert(mix));
        }
    }

    fn record(&mut self, moment: Instant, now: Instant, mix: &StereoStep, roster: &Roster, ports: &Ports) {
        let format = ports.format(Direction::Capture);
        if self.from_device.as_ref().map(FromDevice::format) != format {
            self.from_device = format.and_then(|format| suited(format, FromDevice::new(format)));
        }
        let Some(from_device) = &mut self.from_device else {
            return give(moment, roster, &[0; STEP_SAMPLES], 1);
        };
        let format = from_device.format();
        let step = from_device.convert(|samples| ports.record(now, format, samples));
        self.processing.set_switches(wanted(roster));
        self.processing.set_delay(ports.delay());
        self.processing.render(mix);
        self.processing.capture(step);
        give(moment, roster, step, format.channels);
    }
}

fn suited<T>(format: Format, converter: Result<T, UnsuitableRate>) -> Option<T> {
    if converter.is_err() {
        log::error!("sound cannot be converted from or to {} Hz", format.rate_hz);
    }
    converter.ok()
}

fn wanted(roster: &Roster) -> Switches {
    let settings = roster.captures.iter().map(|member| member.settings);
    let CaptureSettings { echo_cancellation, noise_suppression, gain_control } =
        settings.fold(CaptureSettings::default(), CaptureSettings::and);
    Switches {
        cancels_echo: echo_cancellation,
        suppresses_noise: noise_suppression,
        controls_gain: gain_control,
    }
}

fn give(now: Instant, roster: &Roster, step: &[i16], channels: u8) {
    for member in &roster.captures {
        guarded(&member.gate, || member.object.captured(now, step, channels));
    }
}

/// A defect in one of them ends that one and not the sound of all.
fn guarded(gate: &Gate, call: impl FnOnce()) {
    gate.pass(|| {
        if catch_unwind(AssertUnwindSafe(call)).is_err() {
            gate.shut();
            log::error!("a stream panicked over its sound and gets none any more");
        }
    });
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use parking_lot::Mutex;

    use super::super::{Capture, Member, Playout};
    use super::*;

    /// Noise, so that an echo canceller has something to hold on to (Knuth's constants for 64 bits).
    struct Noise(Mutex<u64>);

    impl Playout for Noise {
        fn pull(&self, _: Instant, step: &mut StereoStep) -> bool {
            let mut state = self.0.lock();
            for frame in step.chunks_exact_mut(2) {
                *state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                frame.fill(((*state >> 33) % 8000) as i16 - 4000);
            }
            true
        }
    }

    #[derive(Default)]
    struct Loudness(Mutex<Vec<f64>>);

    impl Capture for Loudness {
        fn captured(&self, _: Instant, step: &[i16], _: u8) {
            let energy: f64 = step.iter().map(|sample| f64::from(*sample).powi(2)).sum();
            self.0.lock().push(energy / step.len() as f64);
        }
    }

    const OFF: CaptureSettings =
        CaptureSettings { echo_cancellation: false, noise_suppression: false, gain_control: false };

    /// How loud the last second is of what a microphone hears that stands before the loudspeaker.
    fn loudness(settings: &[CaptureSettings]) -> f64 {
        const STEPS: usize = 600;
        let format = Format { rate_hz: 48_000, channels: 1 };
        let ports = Ports::default();
        ports.open(Direction::Render, format);
        ports.open(Direction::Capture, format);
        let heard = Arc::new(Loudness::default());
        let noise: Arc<dyn Playout> = Arc::new(Noise(Mutex::new(1)));
        let roster = Roster {
            captures: settings
                .iter()
                .map(|each| Member::new(heard.clone() as Arc<dyn Capture>, *each))
                .collect(),
            playouts: vec![Member::new(noise, OFF)],
        };
        let (mut engine, begin) = (Engine::default(), Instant::now());
        for step in 0..STEPS as u32 {
            let now = begin + Duration::from_millis(10) * step;
            engine.step(now, now, &roster, &ports);
            let mut air = [0; STEP_SAMPLES];
            ports.take_at(now, |_| &mut air);
            ports.bring_at(now, |_| &air);
        }
        let heard = heard.0.lock();
        assert_eq!(heard.len(), STEPS * settings.len());
        heard[heard.len() - 100..].iter().sum::<f64>() / 100.0
    }

    #[test]
    fn an_echo_is_taken_out_unless_one_of_those_who_record_has_switched_that_off() {
        let on = CaptureSettings { echo_cancellation: true, ..OFF };
        let echo = loudness(&[OFF]);
        assert!(echo > 1_000_000.0, "it is as loud as what is played: {echo}");
        assert!(loudness(&[on, on]) < echo / 100.0, "20 dB and more");
        assert!(loudness(&[on, OFF]) > echo / 2.0);
    }

    #[test]
    fn many_streams_are_one_mix() {
        struct Constant;
        impl Playout for Constant {
            fn pull(&self, _: Instant, step: &mut StereoStep) -> bool {
                step.fill(100);
                true
            }
        }
        struct Nothing;
        impl Playout for Nothing {
            fn pull(&self, _: Instant, step: &mut StereoStep) -> bool {
                step.fill(77);
                false
            }
        }
        let streams: [Arc<dyn Playout>; 4] =
            [Arc::new(Constant), Arc::new(Nothing), Arc::new(Constant), Arc::new(Nothing)];
        let playouts = streams.into_iter().map(|stream| Member::new(stream, OFF)).collect();
        let mix = Engine::default().mix(Instant::now(), &Roster { playouts, ..Roster::default() });
        assert_eq!(mix, [200; MIX_STEP]);
    }
}
