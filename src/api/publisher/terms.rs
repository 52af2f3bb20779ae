//! What a publisher is made with, and what it tells.

use std::sync::Arc;

use super::super::capture::Capturer;
pub use crate::driver::sound::CaptureSettings as Processing;
use crate::media::{Picture, VideoCodec};
use crate::session::Stream;
use crate::session::media::{MediaFault, VideoReason};

#[derive(Clone)]
pub struct Settings {
    pub name: String,
    /// `None`: the camera.
    pub capturer: Option<Arc<dyn Capturer>>,
    pub has_audio: bool,
    pub has_video: bool,
    pub is_stereo: bool,
    pub uses_dtx: bool,
    pub processing: Processing,
    /// Width and height of the camera's pictures.
    pub camera_resolution: (u32, u32),
    pub is_screen_scalable: bool,
    /// The publisher's own.
    pub audio_fallback: bool,
    /// Whether the server may stop the video for a receiver; a program may change its mind.
    pub subscriber_fallback: bool,
    pub sends_statistics: bool,
    /// What video is sent in, if this machine can and the other side takes it; the best first.
    pub preferred_codecs: Vec<VideoCodec>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            name: String::new(),
            capturer: None,
            has_audio: true,
            has_video: true,
            is_stereo: false,
            uses_dtx: false,
            processing: Processing::default(),
            camera_resolution: (640, 480),
            is_screen_scalable: false,
            audio_fallback: false,
            subscriber_fallback: true,
            sends_statistics: false,
            preferred_codecs: Vec::new(),
        }
    }
}

/// One callback of the program that is no frame.
#[derive(Debug, Clone, PartialEq)]
pub enum Notice {
    StreamCreated(Arc<Stream>),
    StreamDestroyed(Arc<Stream>),
    AudioLevel(f32),
    MuteForced,
    VideoDisabled(VideoReason),
    VideoEnabled(VideoReason),
    VideoDisableWarning,
    VideoDisableWarningLifted,
    AudioStatistics { statistics: Statistics, level: f32 },
    VideoStatistics(Statistics),
    Error(MediaFault),
}

impl Notice {
    /// Whether it is told also to a publisher that has left its session meanwhile.
    pub fn is_lasting(&self) -> bool {
        match self {
            Self::StreamCreated(_) | Self::StreamDestroyed(_) | Self::Error(_) => true,
            Self::AudioLevel(_)
            | Self::MuteForced
            | Self::VideoDisabled(_)
            | Self::VideoEnabled(_)
            | Self::VideoDisableWarning
            | Self::VideoDisableWarningLifted
            | Self::AudioStatistics { .. }
            | Self::VideoStatistics(_) => false,
        }
    }
}

/// What has gone out so far.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Statistics {
    pub packets_lost: u64,
    pub packets_sent: u64,
    pub bytes_sent: u64,
    /// Milliseconds since 1970: of this counting, and of its beginning.
    pub at_ms: f64,
    pub since_ms: f64,
}

/// The program's side. Called with no lock held except the one that gives publishers their turn; may call anything.
pub trait Observer: Send + Sync + 'static {
    fn notify(&self, notice: Notice);
    fn render(&self, picture: Picture);
    /// Whether frames are looked at.
    fn renders(&self) -> bool;
    /// Whether the program has a function for it. Others are not kept for the callback thread.
    fn hears(&self, notice: &Notice) -> bool;
}
