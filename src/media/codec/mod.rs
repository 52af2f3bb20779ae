//! Codecs: one trait for each direction of each kind, whatever library is behind it.
//!
//! The libraries are the system's and are looked for when a codec is first asked for; see `library_sys.rs`. An encoder
//! or decoder that was made works; whether one can be made is what [`CodecError::Missing`] says.
//!
//! Each library has one `*_sys.rs` file: its structs and functions, and a safe value for each direction. Beside it stands
//! the codec with its settings (`vp8.rs`, `vp9.rs`, `h264.rs`, `av1.rs`, `opus.rs`). Opus, and VP8 to look at, are there
//! without a library too. Read `vp8.rs` first.

mod av1;
mod dav1d_sys;
mod gate;
mod h264;
mod library_sys;
mod openh264_sys;
mod opus;
mod opus_sys;
mod plane_sys;
mod planes;
mod vp8;
mod vp9;
mod vp9_header;
mod vpx;
mod vpx_sys;

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod layer_tests;
#[cfg(test)]
mod opus_tests;
#[cfg(test)]
pub(crate) mod tests;

use std::ops::Range;
use std::time::{Duration, Instant};

use super::{Picture, VideoCodec};
use dav1d_sys::Dav1d;
use openh264_sys::OpenH264;
use opus_sys::Opus;
use vpx_sys::Vpx;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CodecError {
    /// This machine has no library for it.
    Missing(VideoCodec),
    /// The size, or another setting, is not one that the codec can have.
    Unsuitable(String),
    /// The bytes are not what the codec makes.
    Malformed,
    /// The library says no; its own words.
    Failed(String),
    /// It was encoded, and could not be encrypted.
    Unsealed,
}

/// What a video encoder is made with.
#[derive(Debug, Clone, PartialEq)]
pub struct VideoSettings {
    pub width: u32,
    pub height: u32,
    pub bitrate_bps: u32,
    pub frames_per_second: f32,
    /// A screen's: text, still areas, sudden changes.
    pub is_screen: bool,
    /// Quality first, or speed: threads that the encoder may use besides its caller's. One means none.
    pub threads: u32,
    /// Temporal layers, 1 to 3. With more than one, every frame says which it is in.
    pub temporal_layers: u8,
}

/// One encoded picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedFrame {
    pub bytes: Vec<u8>,
    pub is_key: bool,
    /// 0 is the base.
    pub temporal_layer: u8,
    /// The decoder may begin to follow this temporal layer here (RFC 7741's Y bit).
    pub is_layer_sync: bool,
}

pub trait VideoEncoder: Send {
    /// Encodes a picture of the size that was agreed. `at` grows from call to call, from any beginning. `None`: the
    /// encoder left it out to keep its bit rate.
    fn encode(
        &mut self,
        picture: &Picture,
        at: Duration,
        wants_key: bool,
    ) -> Result<Option<EncodedFrame>, CodecError>;

    /// From the next picture on.
    fn set_rate(&mut self, bitrate_bps: u32, frames_per_second: f32);

    /// When the last picture was encoded, from beginning to end. `None`: it is not known, since a codec has no clock.
    fn worked(&self) -> Option<Range<Instant>> {
        None
    }
}

pub trait VideoDecoder: Send {
    /// Decodes what the packets of one frame make up. `None`: nothing to show yet. After an error the decoder goes on
    /// with the next key frame.
    fn decode(&mut self, bytes: &[u8]) -> Result<Option<Picture>, CodecError>;

    /// When the last frame was decoded, as with an encoder.
    fn worked(&self) -> Option<Range<Instant>> {
        None
    }
}

/// What an Opus encoder is made with.
#[derive(Debug, Clone, PartialEq)]
pub struct AudioSettings {
    /// 1 or 2.
    pub channels: u8,
    pub bitrate_bps: u32,
    /// Says nothing while nothing is to be heard (RFC 7587 section 3.1.3).
    pub uses_dtx: bool,
    /// Every packet carries a rough copy of the one before (RFC 7587 section 3.1.2).
    pub uses_fec: bool,
}

pub trait AudioEncoder: Send {
    /// Encodes 10 or 20 ms, interleaved, at 48 kHz. Appends to `packet`. A packet of one or two bytes need not be sent.
    fn encode(&mut self, samples: &[i16], packet: &mut Vec<u8>) -> Result<(), CodecError>;

    fn set_bitrate(&mut self, bitrate_bps: u32);

    /// How many packets of a hundred get lost: how much goes into the rough copies.
    fn set_loss(&mut self, percent: u8);
}

/// What is known of the piece of sound that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AudioInput<'a> {
    Packet(&'a [u8]),
    /// It is lost; the packet that follows it is here and may have a rough copy.
    LostBefore(&'a [u8]),
    /// It is lost, make something up.
    Lost,
}

pub trait AudioDecoder: Send {
    /// Decodes to stereo at 48 kHz, interleaved, into `samples`; gives the samples per channel. For what is lost, as many
    /// as `samples` has room for.
    fn decode(&mut self, input: AudioInput<'_>, samples: &mut [i16]) -> Result<usize, CodecError>;
}

/// The most pixels of a picture that is encoded or decoded: 8K. A few bytes from the network can claim any size, and a
/// decoder gets the memory for a dozen pictures at once.
const PIXELS_MAX: u32 = 8192 * 4352;

/// Refuses sizes that no picture has, and those beyond [`PIXELS_MAX`].
fn check_size(width: u32, height: u32) -> Result<(), CodecError> {
    if width == 0 || height == 0 {
        return Err(CodecError::Malformed);
    }
    let is_too_large = Picture::byte_count(width, height).is_none() || width * height > PIXELS_MAX;
    if is_too_large { Err(CodecError::Unsuitable(format!("{width}x{height} pixels"))) } else { Ok(()) }
}

pub fn video_encoder(
    codec: VideoCodec,
    settings: &VideoSettings,
) -> Result<Box<dyn VideoEncoder>, CodecError> {
    match codec {
        VideoCodec::Vp8 => Ok(Box::new(vp8::encoder(Vpx::get(), settings)?)),
        VideoCodec::Vp9 => Ok(Box::new(vp9::encoder(Vpx::get(), settings)?)),
        VideoCodec::H264 => Ok(Box::new(h264::encoder(OpenH264::get(), settings)?)),
        VideoCodec::Av1 => Err(CodecError::Missing(codec)),
    }
}

pub fn video_decoder(codec: VideoCodec) -> Result<Box<dyn VideoDecoder>, CodecError> {
    match codec {
        VideoCodec::Vp8 => Ok(vp8::decoder(Vpx::get())),
        VideoCodec::Vp9 => vp9::decoder(Vpx::get()),
        VideoCodec::H264 => h264::decoder(OpenH264::get()),
        VideoCodec::Av1 => av1::decoder(Dav1d::get()),
    }
}

pub fn audio_encoder(settings: &AudioSettings) -> Result<Box<dyn AudioEncoder>, CodecError> {
    opus::encoder(Opus::get(), settings)
}

pub fn audio_decoder() -> Result<Box<dyn AudioDecoder>, CodecError> {
    opus::decoder(Opus::get())
}

/// The codecs of this machine, the preferred ones first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Supported {
    pub encoders: Vec<VideoCodec>,
    pub decoders: Vec<VideoCodec>,
}

/// Looks for all libraries.
pub fn supported() -> Supported {
    let (vpx, has_h264, has_av1) = (Vpx::get(), OpenH264::get().is_some(), Dav1d::get().is_some());
    let encodes = |codec| vpx.is_some_and(|vpx| vpx.has_encoder(codec));
    let decodes = |codec| vpx.is_some_and(|vpx| vpx.has_decoder(codec));
    let mut supported = Supported::default();
    for (codec, is_encoded, is_decoded) in [
        (VideoCodec::Vp8, encodes(VideoCodec::Vp8), true),
        (VideoCodec::H264, has_h264, has_h264),
        (VideoCodec::Vp9, encodes(VideoCodec::Vp9), decodes(VideoCodec::Vp9)),
        (VideoCodec::Av1, false, has_av1),
    ] {
        if is_encoded {
            supported.encoders.push(codec);
        }
        if is_decoded {
            supported.decoders.push(codec);
        }
    }
    supported
}
