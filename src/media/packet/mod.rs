//! RTP payload formats: from an encoded frame to what goes into packets, and back.
//!
//! Sending: VP8 (RFC 7741), VP9 (RFC 9628, one spatial layer, not flexible), H.264 (RFC 6184, packetization mode 1).
//! Receiving: these and AV1 (the RTP specification of the Alliance for Open Media), the way browsers send them.
//! RTP headers, order and loss are not known here: a [`Piece`] says what one payload tells about its frame, and
//! [`join`] makes the frame's bytes of all of them. Everything received is foreign: what does not follow the format is
//! [`Malformed`], never a panic.

mod annex_b;
mod av1;
mod h264;
mod metadata;
mod reader;
#[cfg(test)]
mod tests;
mod vp8;
mod vp9;

use std::sync::Arc;

use super::codec::EncodedFrame;
use super::encryption::{Closed, Opener, Sealer, Unsealed};
use super::{Metadata, VideoCodec};

/// Bytes of codec and payload descriptor in one packet. A datagram of 1200 bytes passes everywhere (QUIC counts on it
/// too); RTP header and extensions, SRTP's tag and the RTX number take up to 100.
pub const PAYLOAD_MAX: usize = 1_100;

/// What goes into an RTP packet, without the RTP header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    pub bytes: Arc<[u8]>,
    /// The last one of its frame.
    pub is_marked: bool,
}

/// The bytes do not follow the payload format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

/// Why a sealed frame could not be put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unjoined {
    Malformed,
    Closed(Closed),
}

impl From<Malformed> for Unjoined {
    fn from(Malformed: Malformed) -> Self {
        Self::Malformed
    }
}

impl From<Closed> for Unjoined {
    fn from(closed: Closed) -> Self {
        Self::Closed(closed)
    }
}

/// What a payload tells about its frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// Whether the frame begins here. `None`: the format does not say, the packet before tells.
    pub is_start: Option<bool>,
    /// The frame is a key frame, as far as this payload shows.
    pub is_key: bool,
    pub link: Link,
}

/// What a frame says about the frames it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// Nothing: all before it.
    Sequence,
    /// Temporal layers, VP8's or VP9's.
    Layered {
        /// TL0PICIDX: counts the frames of the base layer.
        base_index: u8,
        layer: u8,
        /// It needs the base layer alone (VP8's Y bit).
        is_sync: bool,
        /// Higher layers may be followed from here on (VP9's U bit).
        is_switch: bool,
    },
    /// The frames it needs by name (VP9's flexible mode).
    References {
        picture_id: u16,
        /// By how much earlier each of them is; 0 where there are fewer than three.
        differences: [u8; 3],
    },
}

/// A whole frame, as the decoder wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    pub bytes: Vec<u8>,
    pub metadata: Metadata,
}

/// Reads what stands before the codec's bytes, and their first ones.
pub fn inspect(codec: VideoCodec, payload: &[u8]) -> Result<Piece, Malformed> {
    match codec {
        VideoCodec::Vp8 => vp8::inspect(payload),
        VideoCodec::Vp9 => vp9::inspect(payload),
        VideoCodec::H264 => h264::inspect(payload),
        VideoCodec::Av1 => av1::inspect(payload),
    }
}

/// The frame that `payloads`, all of its packets in order, make up.
pub fn join(codec: VideoCodec, payloads: &[&[u8]]) -> Result<Joined, Malformed> {
    match codec {
        VideoCodec::Vp8 => vp8::join(payloads),
        VideoCodec::Vp9 => vp9::join(payloads),
        VideoCodec::H264 => h264::join(payloads),
        VideoCodec::Av1 => av1::join(payloads),
    }
}

/// The same for a frame that its sender has sealed.
pub fn join_sealed(codec: VideoCodec, payloads: &[&[u8]], opener: &Opener) -> Result<Joined, Unjoined> {
    match codec {
        VideoCodec::Vp8 => vp8::join_sealed(payloads, opener),
        VideoCodec::Vp9 => vp9::join_sealed(payloads, opener),
        VideoCodec::H264 => h264::join_sealed(payloads, opener),
        // Nobody can send it; see `encryption`.
        VideoCodec::Av1 => Err(Closed::Wrong.into()),
    }
}

/// Makes payloads of the frames of one stream. It lives as long as the stream: numbers go on when encoders change.
#[derive(Debug)]
pub enum Packetiser {
    Vp8(vp8::Vp8Packetiser),
    Vp9(vp9::Vp9Packetiser),
    H264,
}

impl Packetiser {
    /// `start`: where the picture numbers begin, any number. `None` for a codec that is only received.
    pub fn new(codec: VideoCodec, start: u16) -> Option<Self> {
        match codec {
            VideoCodec::Vp8 => Some(Self::Vp8(vp8::Vp8Packetiser::new(start))),
            VideoCodec::Vp9 => Some(Self::Vp9(vp9::Vp9Packetiser::new(start))),
            VideoCodec::H264 => Some(Self::H264),
            VideoCodec::Av1 => None,
        }
    }

    /// `has_layers`: the encoder makes temporal layers. Metadata travels with VP8 and H.264; VP9 has no place for it
    /// that every decoder leaves alone.
    pub fn packetise(
        &mut self,
        frame: &EncodedFrame,
        size: (u32, u32),
        has_layers: bool,
        metadata: &Metadata,
    ) -> Vec<Payload> {
        match self {
            Self::Vp8(packetiser) => packetiser.packetise(frame, has_layers, metadata),
            Self::Vp9(packetiser) => packetiser.packetise(frame, size),
            Self::H264 => h264::packetise(&frame.bytes, metadata),
        }
    }

    /// The same, sealed. Metadata is inside, where the server does not see it either.
    pub fn packetise_sealed(
        &mut self,
        frame: &EncodedFrame,
        size: (u32, u32),
        has_layers: bool,
        metadata: &Metadata,
        sealer: &mut Sealer,
    ) -> Result<Vec<Payload>, Unsealed> {
        match self {
            Self::Vp8(packetiser) => packetiser.packetise_sealed(frame, has_layers, metadata, sealer),
            Self::Vp9(packetiser) => packetiser.packetise_sealed(frame, size, sealer),
            Self::H264 => h264::packetise_sealed(&frame.bytes, metadata, sealer),
        }
    }
}

/// Cuts `bytes` into parts that differ by one byte at most: a small last packet would cost as much as a full one.
fn split(bytes: &[u8], part_max: usize) -> impl Iterator<Item = &[u8]> {
    let count = bytes.len().div_ceil(part_max).max(1);
    let (size, larger) = (bytes.len() / count, bytes.len() % count);
    let mut rest = bytes;
    (0..count).map(move |index| {
        let (part, after) = rest.split_at(size + usize::from(index < larger));
        rest = after;
        part
    })
}
