//! Where a device's samples come in and go out.
//!
//! A device takes and brings samples on threads of its own; a lock is held there for as long as a copy takes, and for
//! nothing else: a program's thread that is in here can be waited for in any of the device's control functions.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::device::{Direction, Format};
use super::ring::Ring;

/// Both directions of the one device.
#[derive(Default)]
pub struct Ports {
    capture: Mutex<Port>,
    render: Mutex<Port>,
    delay_ms: AtomicU32,
}

#[derive(Default)]
struct Port {
    /// Kept when the device stops: a thread of the program that stops a little later has a buffer of this kind.
    format: Format,
    /// Absent while the device does not run.
    ring: Option<Ring>,
}

impl Port {
    fn delay(&self) -> Duration {
        let frames = self.ring.as_ref().map_or(0, Ring::frames) as u64;
        Duration::from_millis(frames * 1000 / u64::from(self.format.rate_hz))
    }
}

impl Ports {
    fn port(&self, direction: Direction) -> &Mutex<Port> {
        match direction {
            Direction::Capture => &self.capture,
            Direction::Render => &self.render,
        }
    }

    /// The device is about to run.
    pub fn open(&self, direction: Direction, format: Format) {
        let ring = Ring::new(format.rate_hz, format.channels.into());
        *self.port(direction).lock() = Port { format, ring: Some(ring) };
    }

    /// The device stops: what it brings is dropped, what it takes is silence.
    pub fn close(&self, direction: Direction) {
        self.port(direction).lock().ring = None;
    }

    /// How the device wants its samples, while it runs.
    pub fn format(&self, direction: Direction) -> Option<Format> {
        let port = self.port(direction).lock();
        port.ring.as_ref().map(|_| port.format)
    }

    /// What an echo takes from the engine to the engine: what the device says, and what lies in the rings.
    pub fn delay(&self) -> Duration {
        let device = Duration::from_millis(self.delay_ms.load(Ordering::Relaxed).into());
        device + self.capture.lock().delay() + self.render.lock().delay()
    }

    /// What the device says of both directions.
    pub fn set_delay(&self, delay: Duration) {
        self.delay_ms.store(delay.as_millis().try_into().unwrap_or(u32::MAX), Ordering::Relaxed);
    }

    /// The device takes samples. `buffer` answers for a number of channels with the interleaved buffer to fill; all of
    /// it is filled.
    pub fn take<'a>(&self, buffer: impl FnOnce(usize) -> &'a mut [i16]) {
        self.take_at(Instant::now(), buffer);
    }

    pub(super) fn take_at<'a>(&self, now: Instant, buffer: impl FnOnce(usize) -> &'a mut [i16]) {
        let mut port = self.render.lock();
        let buffer = buffer(port.format.channels.into());
        match &mut port.ring {
            Some(ring) => ring.pop(buffer, now),
            None => buffer.fill(0),
        }
    }

    /// The device brings samples: as for [`Self::take`].
    pub fn bring<'a>(&self, samples: impl FnOnce(usize) -> &'a [i16]) {
        self.bring_at(Instant::now(), samples);
    }

    pub(super) fn bring_at<'a>(&self, now: Instant, samples: impl FnOnce(usize) -> &'a [i16]) {
        let mut port = self.capture.lock();
        let samples = samples(port.format.channels.into());
        if let Some(ring) = &mut port.ring {
            ring.push(samples, now);
        }
    }

    /// The engine has samples for the device, in its `format`; dropped when it has another one by now.
    pub fn play(&self, now: Instant, format: Format, samples: &[i16]) {
        let mut port = self.render.lock();
        if port.format == format
            && let Some(ring) = &mut port.ring
        {
            ring.push(samples, now);
        }
    }

    /// The engine wants samples of the device, in its `format`; silence when it has another one by now.
    pub fn record(&self, now: Instant, format: Format, samples: &mut [i16]) {
        let mut port = self.capture.lock();
        let is_same = port.format == format;
        match &mut port.ring {
            Some(ring) if is_same => ring.pop(samples, now),
            _ => samples.fill(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_does_not_run_takes_silence_and_brings_in_vain() {
        let ports = Ports::default();
        let mut buffer = [7; 480];
        ports.take(|_| &mut buffer);
        assert_eq!(buffer, [0; 480]);
        ports.bring(|_| &[1; 480]);
        assert_eq!(ports.format(Direction::Capture), None);
    }

    #[test]
    fn the_buffer_of_a_device_that_has_stopped_is_still_filled() {
        let ports = Ports::default();
        ports.open(Direction::Render, Format { rate_hz: 48_000, channels: 2 });
        ports.close(Direction::Render);
        let mut buffer = [7; 960];
        ports.take(|channels| &mut buffer[..480 * channels]);
        assert_eq!(buffer, [0; 960]);
    }
}
