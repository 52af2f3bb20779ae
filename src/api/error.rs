//! What a call can answer other than success.

/// `ffi/error.rs` gives each its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Error {
    /// NULL, not UTF-8, out of range.
    InvalidParameter,
    /// The handle is stale, doubled, of another kind or invented.
    InvalidHandle,
    /// No thread, descriptor or memory could be had.
    Fatal,
    /// A video format that the call does not take, or bytes that are not in it.
    InvalidVideoFormat,
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
    /// A publisher without sound cannot do that.
    MissingAudioTrack,
    /// A ready-made transformer that there is not here.
    TransformerMissing,
    /// A panic was caught.
    Internal,
}
