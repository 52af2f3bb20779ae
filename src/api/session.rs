//! A session as the program holds it: connected, left and connected again.

use std::sync::Arc;

use super::Error;
use crate::session::{Capabilities, Connection, Reason, Stream, StreamChange};

/// One callback of the program.
#[derive(Debug, Clone, PartialEq)]
pub enum Notice {
    Connected,
    Disconnected,
    ConnectionCreated(Arc<Connection>),
    ConnectionDropped(Arc<Connection>),
    StreamReceived(Arc<Stream>),
    StreamDropped(Arc<Stream>),
    StreamChanged { stream: Arc<Stream>, change: StreamChange },
    SignalReceived { kind: String, data: String, from: Option<Arc<Connection>> },
    ReconnectionStarted,
    Reconnected,
    ArchiveStarted { id: String, name: String },
    ArchiveStopped { id: String },
    MuteForced { active: bool },
    Error { reason: Reason, text: String },
}

/// The program's side. Called on the callback thread, with no lock held; may call anything.
pub trait Observer: Send + Sync + 'static {
    fn notify(&self, notice: Notice);
}

/// One server of an ICE configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IceServer {
    pub url: String,
    pub user: String,
    pub credential: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IceConfig {
    pub servers: Vec<IceServer>,
    pub force_turn: bool,
    pub use_custom_turn_only: bool,
    pub filter_out_lan_candidates: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    pub connection_events_suppressed: bool,
    pub ice: Option<IceConfig>,
    pub proxy_url: Option<String>,
    pub ip_whitelist: bool,
    pub session_migration: bool,
}

/// Whom a signal is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    Everyone,
    Connection(Arc<Connection>),
}

pub struct Session {
    id: String,
}

impl Session {
    /// No validation: nonsense is told by `on_error` after `connect`.
    pub fn new(
        _api_key: String,
        session_id: String,
        _settings: Settings,
        _observer: Arc<dyn Observer>,
    ) -> Arc<Self> {
        Arc::new(Self { id: session_id })
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    pub fn connect(&self, _token: String) -> Result<(), Error> {
        Err(Error::Internal)
    }

    /// As [`Self::connect`], to the server at this URL instead of the configured one.
    pub fn connect_to(&self, _url: String, _token: String) -> Result<(), Error> {
        Err(Error::Internal)
    }

    pub fn disconnect(&self) -> Result<(), Error> {
        Err(Error::NotConnected)
    }

    /// After it has returned no notice starts. See the contract in `leave.rs`.
    pub fn delete(&self) {}

    pub fn send_signal(
        &self,
        _kind: String,
        _data: String,
        _target: Target,
        _retry_after_reconnect: bool,
    ) -> Result<(), Error> {
        Err(Error::NotConnected)
    }

    pub fn force_mute_stream(&self, _stream_id: &str) -> Result<(), Error> {
        Err(Error::UnableToForceMute)
    }

    pub fn force_mute_all(&self, _excluded_stream_ids: &[String]) -> Result<(), Error> {
        Err(Error::UnableToForceMute)
    }

    pub fn disable_force_mute(&self) -> Result<(), Error> {
        Err(Error::UnableToForceMute)
    }

    pub fn force_disconnect(&self, _connection: &Connection) -> Result<(), Error> {
        Err(Error::UnableToForceDisconnect)
    }

    pub fn set_encryption_secret(&self, _secret: &str) -> Result<(), Error> {
        Err(Error::InvalidEncryptionSecret)
    }

    /// A new id under which the description stands in the log.
    pub fn report_issue(&self, _description: &str) -> Result<String, Error> {
        Err(Error::Internal)
    }

    /// All false until `Notice::Connected`.
    pub fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    /// This client's own connection while it is connected or reconnecting.
    pub fn connection(&self) -> Option<Arc<Connection>> {
        None
    }
}
