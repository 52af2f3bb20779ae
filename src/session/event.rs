//! What a session tells the program, and the values in it.

use std::sync::Arc;

use super::Fault;
use super::media::{PublicationId, PublisherEvent, SubscriberEvent, SubscriptionId};

/// Another client in the session, or this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// LiveKit's participant sid.
    pub id: String,
    /// LiveKit's participant identity: what a data packet is addressed to. Not shown to programs.
    pub identity: String,
    /// The connection data of its token; empty when there is none.
    pub data: String,
    /// Milliseconds since 1970.
    pub created_ms: i64,
    pub session_id: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VideoType {
    Camera,
    Screen,
    Custom,
}

/// Audio and video of one publisher. A value: a later change makes a new one.
#[derive(Debug, Clone, PartialEq)]
pub struct Stream {
    pub id: String,
    pub name: String,
    pub connection: Arc<Connection>,
    /// Milliseconds since 1970.
    pub created_ms: i64,
    pub has_audio_track: bool,
    pub has_audio: bool,
    pub has_video_track: bool,
    pub has_video: bool,
    pub has_captions: bool,
    pub video_width: u32,
    pub video_height: u32,
    pub video_type: VideoType,
    /// Its frames are encrypted from end to end. Not shown to programs.
    pub is_sealed: bool,
    /// The sids of LiveKit's tracks. Not shown to programs.
    pub audio_track: Option<String>,
    pub video_track: Option<String>,
}

impl Stream {
    /// The sids of its tracks.
    pub fn tracks(&self) -> impl Iterator<Item = &String> {
        [&self.audio_track, &self.video_track].into_iter().flatten()
    }
}

#[cfg(test)]
impl Stream {
    /// Sound alone, of somebody.
    pub fn example() -> Self {
        let connection = Connection {
            id: "PA_1".into(),
            identity: String::new(),
            data: String::new(),
            created_ms: 0,
            session_id: "id".into(),
        };
        Self {
            id: "TR_1".into(),
            name: String::new(),
            connection: Arc::new(connection),
            created_ms: 0,
            has_audio_track: true,
            has_audio: true,
            has_video_track: false,
            has_video: false,
            has_captions: false,
            video_width: 0,
            video_height: 0,
            video_type: VideoType::Camera,
            is_sealed: false,
            audio_track: None,
            video_track: None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamChange {
    Audio(bool),
    Video(bool),
    Captions(bool),
    Dimensions { width: u32, height: u32 },
    VideoType(VideoType),
}

/// What the token's role allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Capabilities {
    pub publish: bool,
    pub subscribe: bool,
    /// Whether signals may be sent. The C interface has no member for it; sending says 1550.
    pub signal: bool,
    pub force_mute: bool,
    pub force_disconnect: bool,
}

/// How an attempt ended. Said exactly once, and last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The program asked for it.
    Left,
    /// It never became a session.
    Failed(Fault),
    /// It was a session, and was lost or ended by the server.
    Lost(Fault),
    /// A moderator removed this client.
    Removed,
}

/// In the order in which the program hears of them.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    Connected {
        connection: Arc<Connection>,
        capabilities: Capabilities,
    },
    CapabilitiesChanged(Capabilities),
    ConnectionCreated(Arc<Connection>),
    ConnectionDropped(Arc<Connection>),
    StreamReceived(Arc<Stream>),
    StreamDropped(Arc<Stream>),
    StreamChanged {
        stream: Arc<Stream>,
        change: StreamChange,
    },
    /// `from` is `None` for a server's signal.
    SignalReceived {
        kind: String,
        data: String,
        from: Option<Arc<Connection>>,
    },
    ReconnectionStarted,
    /// The connection is the same as before, unless the server could not keep its id.
    Reconnected {
        connection: Arc<Connection>,
        capabilities: Capabilities,
    },
    /// This client is in another room of the server, and known to it by another connection. All others of before have
    /// been dropped; no program is told more than that.
    Moved {
        connection: Arc<Connection>,
        capabilities: Capabilities,
    },
    ArchiveStarted {
        id: String,
        name: String,
    },
    ArchiveStopped {
        id: String,
    },
    MuteForced {
        active: bool,
    },
    /// Something went wrong that does not end the session.
    Warned(Fault),
    Publisher {
        id: PublicationId,
        event: PublisherEvent,
    },
    Subscriber {
        id: SubscriptionId,
        event: SubscriberEvent,
    },
    Ended(Ending),
}
