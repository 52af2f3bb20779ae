//! The words for publishing and subscribing: what goes in, what comes out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Stream, VideoType};
use crate::media::{Kind, Rotation, VideoCodec};
use crate::rtc::{SectionReport, SectionStatistics, TransportReport};

/// One publishing of a publisher: numbers are the caller's, and are not used twice in a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicationId(pub u64);

/// One subscribing of a subscriber: as above.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriptionId(pub u64);

/// What is to be published.
#[derive(Debug, Clone, PartialEq)]
pub struct Publication {
    pub id: PublicationId,
    pub name: String,
    pub audio: Option<PublishedAudio>,
    pub video: Option<PublishedVideo>,
    /// Subscribers are told what the way to the server carries.
    pub sends_statistics: bool,
    /// What its publisher sends is encrypted from end to end.
    pub is_sealed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublishedAudio {
    pub is_on: bool,
    pub is_stereo: bool,
    pub uses_dtx: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct PublishedVideo {
    pub is_on: bool,
    pub video_type: VideoType,
    /// In order of preference.
    pub codecs: Vec<VideoCodec>,
    /// Lowest first; one means no simulcast.
    pub layers: Vec<PublishedLayer>,
}

/// A layer as the server hears of it. The pictures may turn out to have another size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublishedLayer {
    /// LiveKit's `q`, `h` and `f`.
    pub name: &'static str,
    pub width: u32,
    pub height: u32,
    pub bitrate_bps: u32,
}

/// What a subscriber wants of its stream.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Wants {
    pub audio: bool,
    pub video: bool,
    /// Width and height; `None` is the best there is.
    pub resolution: Option<(u32, u32)>,
    pub frames_per_second: Option<f32>,
    /// What is said, as text.
    pub captions: bool,
}

impl Default for Wants {
    fn default() -> Self {
        Self { audio: true, video: true, resolution: None, frames_per_second: None, captions: false }
    }
}

/// Why a publisher or a subscriber failed. Each has its number in `ffi`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MediaReason {
    /// The token does not allow it, or the server does not.
    NotPermitted,
    /// The session ended before it was done.
    SessionDisconnected,
    /// The server, or the other side, did not do its part in time.
    TimedOut,
    /// The server knows no such stream.
    StreamNotFound,
    /// The peer connection did not come up, or carries no such media.
    PeerConnection,
    /// What was encoded could not be encrypted.
    EncryptionFailed,
    /// The publisher encrypts with another secret.
    SecretsDiffer,
    /// The camera, the codec or this library.
    Internal,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaFault {
    pub reason: MediaReason,
    pub text: String,
}

impl MediaFault {
    pub fn new(reason: MediaReason, text: impl Into<String>) -> Self {
        Self { reason, text: text.into() }
    }
}

/// What a publisher is told.
#[derive(Debug, Clone, PartialEq)]
pub enum PublisherEvent {
    /// The stream is in the session. `video` is what the other side takes.
    Published { stream: Arc<Stream>, video: Option<VideoCodec> },
    /// The session had to be joined anew: the same publishing under a new stream, and nothing for the program to hear.
    Renewed { stream: Arc<Stream>, video: Option<VideoCodec> },
    /// The stream has changed by what this side did.
    Changed(Arc<Stream>),
    /// Nothing came of it, or nothing more will. Said last, once.
    Failed(MediaFault),
    /// The stream has left the session: unpublished, removed by a moderator, or with the session. Said last, once.
    Ended,
    /// A moderator, or the server for one, has switched sound or video off.
    MuteForced(Kind),
    /// `None`: every layer.
    KeyFrameWanted(Option<usize>),
    /// Which layers somebody wants.
    LayersWanted(Vec<bool>),
    /// What the network carries, in bit/s.
    Bitrate(u64),
    /// What of that is for the pictures of this publication.
    VideoBitrate(u64),
    /// More pictures would only wait behind those that the network has not taken yet; or no longer.
    Held(bool),
    /// What has gone out so far: answers `Input::Count`.
    Counted { audio: Option<Sent>, video: Option<Sent> },
    /// What its peer connection knows: answers `Input::MeasurePublication`.
    Measured(Box<Measured>),
}

/// What a peer connection knows of one publication or subscription. Nothing before there is a way for its media.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Measured {
    /// One for each layer, lowest first.
    pub streams: Vec<MeasuredStream>,
    pub transport: Option<TransportReport>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct MeasuredStream {
    pub kind: Kind,
    pub statistics: SectionStatistics,
    pub agreed: SectionReport,
}

/// What has gone out of one kind so far, all layers together.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sent {
    pub packets: u64,
    pub bytes: u64,
    /// As the other side says.
    pub packets_lost: u64,
    /// Share of it in the last interval, 0 to 1, if the other side has said so since.
    pub loss: Option<f32>,
    pub nacks: u64,
    pub key_frame_requests: u64,
    pub round_trip: Option<Duration>,
    pub jitter: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VideoReason {
    PublishVideo,
    SubscribeToVideo,
    Quality,
    CodecNotSupported,
}

/// What a subscriber is told.
#[derive(Debug, Clone, PartialEq)]
pub enum SubscriberEvent {
    /// The way for its media is open.
    Connected,
    /// It is interrupted, here or at the publisher.
    Disconnected,
    Reconnected,
    VideoDisabled(VideoReason),
    VideoEnabled(VideoReason),
    AudioDisabled,
    AudioEnabled,
    /// What is said in the stream. The next one takes its place, unless it is final.
    Caption {
        text: String,
        is_final: bool,
    },
    /// What the publisher would send, and what its network carries, in bit/s.
    SenderCounted {
        max_allocated_bps: Option<u64>,
        estimated_bps: Option<u64>,
    },
    /// What its peer connection knows: answers `Input::MeasureSubscription`.
    Measured(Box<Measured>),
    /// The quality may soon be too low for video.
    Warned,
    WarningLifted,
    /// The stream is no longer what it was when subscribed to.
    Changed(Arc<Stream>),
    /// The stream is not in the session any more, which is the session's to tell: nothing comes of it.
    Left,
    /// Nothing came of it, or nothing more will. Said last, once.
    Failed(MediaFault),
}

/// A packet of a stream, for its subscriber.
#[derive(Debug, Clone, PartialEq)]
pub struct Incoming {
    pub format: Format,
    /// The SSRC. Under another one numbers and times begin anew.
    pub source: u32,
    /// Extended: it does not wrap.
    pub sequence: u64,
    /// Extended, in the clock of its kind.
    pub timestamp: u64,
    pub is_marked: bool,
    pub payload: Arc<[u8]>,
    pub received: Instant,
    pub rotation: Rotation,
    /// The sender's clock in microseconds since 1970 at an RTP time.
    pub sender_report: Option<(i64, u64)>,
    /// Its stream is encrypted from end to end.
    pub is_sealed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Opus,
    /// Opus with redundancy (RFC 2198).
    Red,
    Video(VideoCodec),
}

/// Packets of a publisher: one frame, or one piece of sound.
#[derive(Debug, Clone)]
pub struct Outgoing {
    pub kind: Kind,
    /// Counted from the lowest; 0 for sound.
    pub layer: usize,
    pub timestamp: u32,
    /// How many payloads before these did not get here. They have their numbers, so that receivers see what is missing.
    pub missing: usize,
    /// What follows the RTP header, and whether it carries the marker.
    pub payloads: Vec<(Arc<[u8]>, bool)>,
    /// When what is in it was captured.
    pub captured: Instant,
    /// For sound: its level as RFC 6464 writes it, and whether it is a voice.
    pub level: Option<(u8, bool)>,
}
