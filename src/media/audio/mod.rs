//! Sound: from steps of samples to Opus packets and back.
//!
//! Everything here works at 48 kHz in steps of 10 ms, interleaved, and is a value: samples, packets and a moment come in,
//! packets and samples go out. The engine in `driver` owns the threads and the devices, `rtc` carries the packets.
//!
//! The way out: device → [`Resampler`] → [`Processing`] → [`AudioSender`]. The way in:
//! [`AudioReceiver`], one per stream, → [`Volume`] → [`Mixer`] → [`Resampler`] → device. The two clocks of engine and
//! device are the driver's to bring together.
//!
//! Read `receiver.rs` first; `arrivals.rs` says how long sound waits, `stretch.rs` how it is made to wait without a click.

mod arrivals;
mod fade;
mod interpolation;
mod level;
mod mixer;
mod opus;
mod processing;
mod receiver;
mod red;
mod resampler;
mod sender;
mod store;
mod stretch;
mod timeline;

#[cfg(test)]
mod opus_tests;
#[cfg(test)]
mod receiver_tests;
#[cfg(test)]
mod simulation;

pub use interpolation::{REACH, interpolate};
pub use level::{Level, energy_in_time};
pub use mixer::{Mixer, Volume, level_dbov};
pub use processing::{Processing, Switches};
pub use receiver::{AudioCounters, AudioPacket, AudioReceiver, Heard, Pulled};
pub use resampler::{Format, Resampler, UnsuitableRate};
pub use sender::{AudioSender, SenderSettings, SentAudio};

use super::{SAMPLE_RATE, STEP_SAMPLES};

/// 10 ms of stereo, interleaved.
pub const STEREO_STEP: usize = 2 * STEP_SAMPLES;

/// What every receiver and the mixer give out.
pub type StereoStep = [i16; STEREO_STEP];

/// Samples per channel in a millisecond.
const MILLISECOND: i64 = SAMPLE_RATE as i64 / 1000;
