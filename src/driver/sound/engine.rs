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
use super::process::{Mixer, Processing};
use super::{CaptureSettings, MIX_STEP, Roster, Shared};
use crate::media::STEP_SAMPLES;

pub(super) fn run(shared: &Shared) {
    let mut engine = Engine::default();
    let mut pace = Pace::new(Instant::now());
    loop {
        let mut state = shared.state.lock();
        while !state.roster.is_empty() && Instant::now() < pace.next() {
            shared.changed.wait_until(&mut state, pace.next());
        }
        let roster = state.roster.clone();
        if roster.is_empty() {
            state.engine.is_running = false;
            shared.changed.notify_all();
            return;
        }
        drop(state);
        while let Some(moment) = pace.due(Instant::now()) {
            engine.step(moment, &roster, &shared.ports);
        }
    }
}

#[derive(Default)]
pub(super) struct Engine {
    mixer: Mixer,
    to_device: Option<ToDevice>,
    from_device: Option<FromDevice>,
    processing: Option<(CaptureSettings, Processing)>,
}

impl Engine {
    pub fn step(&mut self, now: Instant, roster: &Roster, ports: &Ports) {
        let mix = self.mix(now, roster);
        self.play(&mix, ports);
        if roster.wants(Direction::Capture) {
            self.record(now, &mix, roster, ports);
        } else {
            self.from_device = None;
            self.processing = None;
        }
    }

    fn mix(&mut self, now: Instant, roster: &Roster) -> [i16; MIX_STEP] {
        for member in &roster.playouts {
            let mut step = [0; MIX_STEP];
            let mut is_heard = false;
            guarded(&member.gate, || is_heard = member.object.pull(now, &mut step));
            if is_heard {
                self.mixer.add(&step);
            }
        }
        self.mixer.take()
    }

    fn play(&mut self, mix: &[i16; MIX_STEP], ports: &Ports) {
        let Some(format) = ports.format(Direction::Render) else {
            self.to_device = None;
            return;
        };
        if self.to_device.as_ref().is_none_or(|present| present.format() != format) {
            self.to_device = ToDevice::new(format).inspect_err(|error| unsuitable(format, error)).ok();
        }
        if let Some(to_device) = &mut self.to_device {
            ports.play(format, to_device.convert(mix));
        }
    }

    fn record(&mut self, now: Instant, mix: &[i16; MIX_STEP], roster: &Roster, ports: &Ports) {
        let format = ports.format(Direction::Capture);
        if self.from_device.as_ref().map(FromDevice::format) != format {
            self.from_device = format.and_then(|format| {
                FromDevice::new(format).inspect_err(|error| unsuitable(format, error)).ok()
            });
            self.processing = None;
        }
        let Some(from_device) = &mut self.from_device else {
            return give(now, roster, &[0; STEP_SAMPLES], 1);
        };
        let format = from_device.format();
        let step = from_device.convert(|samples| ports.record(format, samples));
        let wanted = wanted(roster);
        if self.processing.as_ref().is_none_or(|(present, _)| *present != wanted) {
            self.processing = Some((wanted, Processing::new(wanted, format.channels)));
        }
        if let Some((_, processing)) = &mut self.processing {
            processing.process(mix, step);
        }
        give(now, roster, step, format.channels);
    }
}

fn unsuitable(format: Format, error: &dyn std::error::Error) {
    log::error!("sound cannot be converted from or to {} Hz: {error}", format.rate_hz);
}

fn wanted(roster: &Roster) -> CaptureSettings {
    roster.captures.iter().fold(CaptureSettings::default(), |all, member| all.and(member.settings))
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
