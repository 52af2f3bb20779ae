//! What a subscriber tells.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::media::Picture;
use crate::session::Stream;
use crate::session::media::{MediaFault, VideoReason};

/// One callback of the program that is neither a picture nor sound.
#[derive(Debug, Clone, PartialEq)]
pub enum Notice {
    Connected(Arc<Stream>),
    Disconnected,
    Reconnected,
    VideoDataReceived,
    VideoDisabled(VideoReason),
    VideoEnabled(VideoReason),
    VideoDisableWarning,
    VideoDisableWarningLifted,
    AudioDisabled,
    AudioEnabled,
    AudioLevel(f32),
    Caption { text: String, is_final: bool },
    AudioStatistics { statistics: Statistics, level: f32 },
    VideoStatistics(Statistics),
    Error(MediaFault),
}

/// What has come so far.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Statistics {
    pub packets_lost: u64,
    pub packets_received: u64,
    pub bytes_received: u64,
    /// Milliseconds since 1970.
    pub at_ms: f64,
    pub sender: Sender,
}

/// What the publisher has said of its way to the server, in bit/s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sender {
    pub max_allocated_bps: Option<u64>,
    pub estimated_bps: Option<u64>,
}

/// It tells every second, while there are several who watch.
const SENDER_LIFE: Duration = Duration::from_secs(3);

/// What it has said, and when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told {
    pub sender: Sender,
    pub when: Instant,
}

impl Told {
    /// Nothing, once it tells no more.
    pub fn at(&self, now: Instant) -> Sender {
        match now.saturating_duration_since(self.when) < SENDER_LIFE {
            true => self.sender,
            false => Sender::default(),
        }
    }
}

/// The program's side. Called with no lock held except the one that gives subscribers their turn; may call anything.
pub trait Observer: Send + std::marker::Sync + 'static {
    fn notify(&self, notice: Notice);
    fn render(&self, picture: Picture);
    /// 10 ms of stereo at 48 kHz.
    fn sound(&self, step: &[i16]);
    /// Whether the program has a function for it. Others are not kept for the callback thread.
    fn hears(&self, notice: &Notice) -> bool;
    fn hears_sound(&self) -> bool;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_publisher_has_said_is_forgotten_when_it_says_nothing_more() {
        let when = Instant::now();
        let sender = Sender { max_allocated_bps: Some(1), estimated_bps: Some(2) };
        let told = Told { sender, when };
        assert_eq!(told.at(when + Duration::from_millis(2_900)), sender);
        assert_eq!(told.at(when + SENDER_LIFE), Sender::default());
    }
}
