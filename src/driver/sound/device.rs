//! What the engine wants of an audio device, be it the program's or the system's.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::port::Ports;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Microphone to library.
    Capture,
    /// Library to loudspeaker.
    Render,
}

impl fmt::Display for Direction {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Capture => "capture",
            Self::Render => "render",
        })
    }
}

/// Samples are always signed, 16 bits wide, and interleaved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    pub rate_hz: u32,
    pub channels: u8,
}

impl Default for Format {
    /// What a device has that does not say what it has.
    fn default() -> Self {
        Self { rate_hz: 48_000, channels: 1 }
    }
}

/// From telephones to studios.
const RATES_HZ: std::ops::RangeInclusive<i32> = 8_000..=192_000;

const CHANNELS_MAX: i32 = 2;

impl Format {
    /// From a device's own numbers. What is zero or less was not filled in. `None`: it cannot be served.
    pub fn told(rate_hz: i32, channels: i32) -> Option<Self> {
        let usual = Self::default();
        let rate_hz = if rate_hz <= 0 { usual.rate_hz as i32 } else { rate_hz };
        let channels = if channels <= 0 { usual.channels.into() } else { channels };
        let is_served = RATES_HZ.contains(&rate_hz) && channels <= CHANNELS_MAX;
        is_served.then_some(Self { rate_hz: rate_hz as u32, channels: channels as u8 })
    }
}

/// What a device says about its format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    pub rate_hz: i32,
    pub channels: i32,
}

impl Default for Settings {
    fn default() -> Self {
        let Format { rate_hz, channels } = Format::default();
        Self { rate_hz: rate_hz as i32, channels: channels.into() }
    }
}

/// One audio device with two directions. Its functions are called on one thread, one after the other; a false answer
/// may be for the moment only. While it runs it uses the ports, on threads of its own.
pub trait Device: Send + Sync {
    fn init(&self) -> bool;
    fn destroy(&self) -> bool;
    fn settings(&self, direction: Direction) -> Option<Settings>;
    fn init_direction(&self, direction: Direction) -> bool;
    fn start(&self, direction: Direction, ports: &Arc<Ports>) -> bool;
    /// What the device itself thinks; `None` where it does not say.
    fn is_started(&self, direction: Direction) -> Option<bool>;
    fn stop(&self, direction: Direction) -> bool;
    /// The end of what `init_direction` began. Called only after `start`.
    fn destroy_direction(&self, direction: Direction) -> bool;
    /// From the microphone to the port, or from the port to the loudspeaker.
    fn delay(&self, direction: Direction) -> Duration;

    /// Whether it is the library's own code, which may run after `destroy` has returned inside a callback.
    fn is_ours(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_filled_in_is_usual_and_what_is_absurd_is_refused() {
        assert_eq!(Format::told(0, -3), Some(Format { rate_hz: 48_000, channels: 1 }));
        assert_eq!(Format::told(44_100, 2), Some(Format { rate_hz: 44_100, channels: 2 }));
        assert_eq!(Format::told(16_000, 6), None);
        assert_eq!(Format::told(7_999, 1), None);
        assert_eq!(Format::told(i32::MAX, 1), None);
    }
}
