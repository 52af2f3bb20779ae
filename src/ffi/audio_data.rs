//! Sound of one subscriber
//!
//! What `on_audio_data` brings. It is always the same: signed 16 bit, 48000 samples per second, two channels, 10 ms at a
//! time.

use std::ffi::{c_int, c_void};

/// A piece of sound. Lent until the callback returns.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct otc_audio_data {
    /// The samples, those of the channels in turn.
    pub sample_buffer: *const c_void,
    /// 16.
    pub bits_per_sample: c_int,
    /// Samples per second and channel: 48000.
    pub sample_rate: c_int,
    /// 2.
    pub number_of_channels: usize,
    /// Samples of each channel: 480.
    pub number_of_samples: usize,
}
