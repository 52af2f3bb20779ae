//! Frames and sound: pixels, samples, codecs, and the way from a frame to packets and back.
//!
//! Values only: a moment, a frame or a packet comes in; packets, frames and wishes (a key frame, another bit rate) come
//! out. No thread, no clock, no device, no peer connection: `driver` runs these, `rtc` carries the packets.
//!
//! A frame is what a program hands in, in any format; a [`Picture`] is what everything inside works on.
//! Read `picture.rs` and `codec/mod.rs` first.

pub mod audio;
pub mod codec;
pub mod encryption;
pub mod frame;
pub mod packet;
mod picture;
pub mod pixels;
pub mod sync;
pub mod video;

#[cfg(test)]
mod sync_tests;

pub use frame::Frame;
pub use picture::{Metadata, Picture, Rotation};
pub use pixels::{FrameError, PixelFormat};

/// What a track carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Audio,
    Video,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VideoCodec {
    Vp8,
    Vp9,
    H264,
    Av1,
}

/// All sound inside this library has this rate, which is Opus's own: samples per second and channel.
pub const SAMPLE_RATE: u32 = 48_000;

/// Samples per channel in 10 ms, the step in which sound is worked on.
pub const STEP_SAMPLES: usize = 480;

/// The RTP clock of every video codec (RFC 7741 section 4.1 and its siblings), ticks per second.
pub const VIDEO_CLOCK: u32 = 90_000;
