//! Codecs: one trait for each direction of each kind, whatever library is behind it.
//!
//! The libraries are the system's and are looked for when a codec is first asked for; see `library`. An encoder or
//! decoder that was made works; whether one can be made is what [`CodecError::Missing`] says.

use std::time::Duration;

use super::{Picture, VideoCodec};

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
}

pub trait VideoDecoder: Send {
    /// Decodes what the packets of one frame make up. `None`: nothing to show yet. After an error the decoder goes on
    /// with the next key frame.
    fn decode(&mut self, bytes: &[u8]) -> Result<Option<Picture>, CodecError>;
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
