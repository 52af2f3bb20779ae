//! The words for media: what a section is, what is sent on it, and what a packet carries.
//!
//! A packet here is an RTP packet without what the transport does to it: payload types, SSRCs, encryption, repair and
//! pacing are the peer's. Payload formats and jitter buffers are somebody else's.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use str0m::media::Rid;

/// How large the payload of one packet may be: what fits into the 1500 bytes of an Ethernet frame behind the shortest
/// headers of RTP, SRTP, UDP and IPv4. Where what others have filled as far goes on behind longer headers, the system cuts
/// it in two. Payloads of our own are made smaller, for the sake of tunnels.
pub const PAYLOAD_SIZE_MAX: usize = 1_450;

/// Layer names longer than this are cut off. It is str0m's limit; LiveKit's names have one letter.
const LAYER_SIZE_MAX: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MediaKind {
    Audio,
    Video,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Codec {
    Opus,
    /// Opus with copies of earlier packets in each (RFC 2198). Received only: nobody here makes it.
    Red,
    Vp8,
    Vp9,
    H264,
    Av1,
}

impl Codec {
    pub fn kind(self) -> MediaKind {
        match self {
            Self::Opus | Self::Red => MediaKind::Audio,
            Self::Vp8 | Self::Vp9 | Self::H264 | Self::Av1 => MediaKind::Video,
        }
    }
}

/// A media section of a peer connection, as this peer counts them. It keeps its number when an offer has to be made
/// anew; [`Peer::mid`](super::Peer::mid) says what it is called in the descriptions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Section(pub(super) u32);

/// A simulcast layer's name as it stands in the description, for LiveKit "q", "h" or "f".
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Layer([u8; LAYER_SIZE_MAX]);

impl Layer {
    /// Letters and digits are all that may stand in a layer's name (RFC 8851 section 10); the rest is left out.
    pub fn new(name: &str) -> Self {
        let mut bytes = [0; LAYER_SIZE_MAX];
        let allowed = name.bytes().filter(u8::is_ascii_alphanumeric);
        for (place, byte) in bytes.iter_mut().zip(allowed) {
            *place = byte;
        }
        Self(bytes)
    }

    pub fn as_str(&self) -> &str {
        let end = self.0.iter().position(|byte| *byte == 0).unwrap_or(LAYER_SIZE_MAX);
        std::str::from_utf8(&self.0[..end]).unwrap_or_default()
    }

    pub(super) fn from_rid(rid: Rid) -> Self {
        Self::new(&rid)
    }

    pub(super) fn rid(self) -> Rid {
        self.as_str().into()
    }
}

impl fmt::Debug for Layer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Layer({})", self.as_str())
    }
}

/// What a section is to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sending {
    pub kind: MediaKind,
    /// In order of preference; the first that the other side takes is used. Empty: every codec of the kind.
    pub codecs: Vec<Codec>,
    /// The first word of `a=msid`. What a token may not contain (RFC 8830) is left out.
    pub stream_id: String,
    /// The second word of `a=msid`.
    pub track_id: String,
    /// Simulcast layers, lowest first. Empty: one plain stream.
    pub layers: Vec<Layer>,
    /// Of Opus: both channels are sent, and the other side should decode both.
    pub is_stereo: bool,
    /// Of Opus: next to nothing is sent while nothing is to be heard.
    pub uses_dtx: bool,
}

/// How loud the sound in a packet is (RFC 6464).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AudioLevel {
    /// Decibels below the loudest possible: 0 is loudest, 127 is silence.
    pub level_dbov: u8,
    pub is_voice: bool,
}

/// Which moment of the sender's clock an RTP time stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SenderReport {
    /// Microseconds since 1970.
    pub wall_us: i64,
    /// Extended like [`PacketIn::timestamp`].
    pub timestamp: u64,
}

/// A packet that came.
#[derive(Clone, PartialEq, Eq)]
pub struct PacketIn {
    pub section: Section,
    pub layer: Option<Layer>,
    pub codec: Codec,
    /// The SSRC. Under another one numbers and times begin anew.
    pub source: u32,
    /// Extended: it never wraps. Of the stream, so it starts anew where the sender has started a new one.
    pub sequence: u64,
    /// RTP time, extended, in the codec's clock (48 kHz for audio, 90 kHz for video).
    pub timestamp: u64,
    pub is_marked: bool,
    /// Empty in padding that a sender numbers like its media: nothing to decode, but nothing is missing either.
    pub payload: Arc<[u8]>,
    pub received: Instant,
    pub audio_level: Option<AudioLevel>,
    /// Clockwise, for display. Senders may leave it out where it has not changed.
    pub rotation_degrees: Option<u16>,
    /// The last one of its stream.
    pub sender_report: Option<SenderReport>,
}

impl fmt::Debug for PacketIn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { section, layer, codec, sequence, timestamp, is_marked, payload, .. } = self;
        let size = payload.len();
        write!(
            formatter,
            "PacketIn({section:?} {layer:?} {codec:?} #{sequence} @{timestamp} {is_marked} {size} bytes)"
        )
    }
}

/// A packet to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PacketOut {
    pub codec: Codec,
    /// Extended. The caller counts per section and layer, without gaps unless one is meant. Starts below 65536.
    pub sequence: u64,
    pub timestamp: u32,
    pub is_marked: bool,
    pub payload: Arc<[u8]>,
    pub audio_level: Option<AudioLevel>,
    pub rotation_degrees: Option<u16>,
    /// Kept to be sent again when the other side misses it.
    pub is_resendable: bool,
    /// When the content was captured, if known: it goes into the sender reports, by which receivers keep sound and
    /// picture together. `None`: now.
    pub captured: Option<Instant>,
}

/// What a description of the other side says about a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SectionInfo {
    pub section: Section,
    pub kind: MediaKind,
    /// The words of `a=msid`; empty where there are none.
    pub stream_id: String,
    pub track_id: String,
    /// Whether the other side sends on it.
    pub is_sending: bool,
    /// The layers it sends, as it lists them.
    pub layers: Vec<Layer>,
}
