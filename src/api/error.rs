//! What a call can answer other than success.

/// `ffi/error.rs` gives each its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Error {
    /// NULL, not UTF-8, out of range.
    InvalidParameter,
    /// The handle is stale, doubled, of another kind or invented.
    InvalidHandle,
    /// The library could not start: no thread or no descriptor could be had.
    Fatal,
    /// Not allowed in the present state.
    IllegalState,
    /// The action needs a connected session.
    NotConnected,
    PublisherNotFound,
    SubscriberNotFound,
    SignalDataTooLong,
    SignalTypeTooLong,
    InvalidSignalType,
    /// Not allowed by the role, or too many signals wait for the reconnection.
    UnableToSendSignal,
    UnableToForceMute,
    UnableToForceDisconnect,
    InvalidEncryptionSecret,
    /// A panic was caught.
    Internal,
}
