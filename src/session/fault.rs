//! Why a session could not begin, or could not go on.

/// What went wrong. `ffi/error.rs` gives each its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The token was rejected: malformed, expired, for another key or session, or with a broken signature.
    Authorization,
    /// The session id cannot be one, or the server knows no such session.
    InvalidSession,
    /// The server could not be reached, or did not speak the protocol.
    ConnectionFailed,
    /// The server did not answer in time.
    TimedOut,
    /// The server's machine answered that nothing listens there.
    Refused,
    /// The session, the server or its plan has no room for another connection.
    LimitExceeded,
    /// The server refuses clients from this country (HTTP 451).
    BlockedCountry,
    /// The service is there and says that it cannot serve now (HTTP 503).
    NoMessagingServer,
    /// The server's first answer made no sense.
    UnexpectedAnswer,
    /// The link to the server was lost and could not be restored, or the server ended the session.
    Dropped,
    /// A signal that had been accepted could not be sent.
    UnableToSendSignal,
    /// Streams are encrypted, and this client has no secret. It does not end the session.
    SecretMissing,
    /// A defect of this library: a panic that was caught.
    Internal,
}

/// A reason and a sentence that a person can act on. The sentence never contains a token or a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub reason: Reason,
    pub text: String,
}

impl Fault {
    pub fn new(reason: Reason, text: impl Into<String>) -> Self {
        Self { reason, text: text.into() }
    }
}
