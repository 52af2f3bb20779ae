//! Codes
//!
//! Every function that can fail returns an `otc_status`: `OTC_SUCCESS` (0) or one of the numbers below. Success means
//! "accepted", not "done": what becomes of it is told by a callback. A function that returns a pointer returns NULL
//! instead, and one that returns an `otc_bool` returns `OTC_FALSE`. The log says which parameter was wrong.
//!
//! Codes of sessions are returned by functions and handed to `on_error`; which of them where stands at each function.

use super::base::otc_status;
use crate::api::Error;
use crate::session::Reason;
use crate::session::media::MediaReason;

/// Codes that belong to no object in particular.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum otc_error_code {
    /// An argument is NULL, is not UTF-8, is out of range, or is no live handle of the right kind.
    OTC_INVALID_PARAM = 1,
    /// The library could not get a thread, a descriptor or memory.
    OTC_FATAL = 2,
    /// A video format that the function does not take, or a JPEG that is broken.
    OTC_INVALID_VIDEO_FORMAT = 3,
    /// The link to the server is gone.
    OTC_CONNECTION_DROPPED = 1022,
    /// The token does not allow to disconnect others, or there is no such connection.
    OTC_UNABLE_TO_FORCE_DISCONNECT = 1520,
    /// The token does not allow to mute others, or there is no such stream.
    OTC_UNABLE_TO_FORCE_MUTE = 1540,
    /// No answer in time.
    OTC_CONNECTION_TIMED_OUT = 1542,
    /// The publisher is not known.
    OTC_UNKNOWN_PUBLISHER_INSTANCE = 2003,
    /// The subscriber is not known.
    OTC_UNKNOWN_SUBSCRIBER_INSTANCE = 2004,
    /// The video capturer failed.
    OTC_VIDEO_CAPTURE_FAILED = 3000,
    /// The camera failed.
    OTC_CAMERA_FAILED = 3010,
    /// The renderer failed.
    OTC_VIDEO_RENDER_FAILED = 4000,
    /// No access to audio or video. The prefix of the name is an old slip that programs rely on.
    OT_UNABLE_TO_ACCESS_MEDIA_ENGINE = 5000,
}

/// Codes of publishers.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum otc_publisher_error_code {
    /// The camera, the capturer, the codec or this library failed. The text says which.
    OTC_PUBLISHER_INTERNAL_ERROR = 2000,
    /// The session ended before the stream was there, or the publisher is in none.
    OTC_PUBLISHER_SESSION_DISCONNECTED = 1010,
    /// The server did not take the stream in time.
    OTC_PUBLISHER_TIMED_OUT = 1541,
    /// The token does not allow to publish, or the server does not.
    OTC_PUBLISHER_UNABLE_TO_PUBLISH = 1500,
    /// The way for media to the server did not come up.
    OTC_PUBLISHER_WEBRTC_ERROR = 1610,
    /// The media could not be encrypted.
    OTC_PUBLISHER_ENCRYPTION_INTERNAL_ERROR = 6001,
    /// The codec cannot be encrypted.
    OTC_PUBLISHER_ENCRYPTION_UNSUPPORTED_CODEC = 6005,
    /// The publisher has no sound. The original's number is not known.
    OTC_PUBLISHER_MISSING_AUDIO_TRACK = 6100,
}

/// Codes of subscribers.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum otc_subscriber_error_code {
    /// The codec or this library failed. The text says which.
    OTC_SUBSCRIBER_INTERNAL_ERROR = 2000,
    /// The session ended before the stream was there, or the subscriber is in none.
    OTC_SUBSCRIBER_SESSION_DISCONNECTED = 1010,
    /// The stream is not in the session, or this client may not receive it.
    OTC_SUBSCRIBER_SERVER_CANNOT_FIND_STREAM = 1604,
    /// Not used: the servers that this library knows have no such limit.
    OTC_SUBSCRIBER_STREAM_LIMIT_EXCEEDED = 1605,
    /// No media in time.
    OTC_SUBSCRIBER_TIMED_OUT = 1542,
    /// The way for media from the server did not come up, or the server cannot send the stream here.
    OTC_SUBSCRIBER_WEBRTC_ERROR = 1600,
    /// The media could not be decrypted. The original's name is not known.
    OTC_SUBSCRIBER_DECRYPTION_INTERNAL_ERROR = 6002,
    /// The publisher encrypts with another secret. The subscriber goes on. The original's name is not known.
    OTC_SUBSCRIBER_ENCRYPTION_SECRET_MISMATCH = 6003,
    /// The codec cannot be decrypted. The original's name is not known.
    OTC_SUBSCRIBER_DECRYPTION_UNSUPPORTED_CODEC = 6006,
}

/// Kept for programs that name it. No function uses it.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum otc_error {
    OTC_GENERIC_ERROR = 0,
}

/// Codes of sessions.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum otc_session_error_code {
    /// The token was rejected: empty, malformed, expired, for another API key or session, or wrongly signed.
    OTC_SESSION_AUTHORIZATION_FAILURE = 1004,
    /// The server refuses clients from this country.
    OTC_SESSION_BLOCKED_COUNTRY = 1026,
    /// The link was lost and could not be restored, or the server ended the session. `on_disconnected` follows.
    OTC_SESSION_CONNECTION_DROPPED = 1022,
    /// The server could not be reached, or does not speak the protocol.
    OTC_SESSION_CONNECTION_FAILED = 1006,
    /// No room for another connection.
    OTC_SESSION_CONNECTION_LIMIT_EXCEEDED = 1027,
    /// Nothing listens at the server's address.
    OTC_SESSION_CONNECTION_REFUSED = 1023,
    /// The server did not answer in time.
    OTC_SESSION_CONNECTION_TIMED_OUT = 1021,
    /// No such stream, or it could not be unpublished.
    OTC_SESSION_FORCE_UNPUBLISH_OR_INVALID_STREAM = 1535,
    /// Not allowed in the present state: for example to connect while connected.
    OTC_SESSION_ILLEGAL_STATE = 1015,
    /// A defect of this library, caught. The log has more.
    OTC_SESSION_INTERNAL_ERROR = 2000,
    /// No session can have this id, or the server knows none with it.
    OTC_SESSION_INVALID_SESSION = 1005,
    /// The type of a signal has a character other than `A-Z a-z 0-9 - _ ~`.
    OTC_SESSION_INVALID_SIGNAL_TYPE = 1461,
    /// The action needs a connected session.
    OTC_SESSION_NOT_CONNECTED = 1010,
    /// The service is there and says that it cannot serve now.
    OTC_SESSION_NO_MESSAGING_SERVER = 1503,
    /// Not returned: a wrong argument is `OTC_INVALID_PARAM` in every function.
    OTC_SESSION_NULL_OR_INVALID_PARAMETER = 1011,
    /// The publisher is not in this session.
    OTC_SESSION_PUBLISHER_NOT_FOUND = 1113,
    /// The data of a signal is longer than 8192 bytes.
    OTC_SESSION_SIGNAL_DATA_TOO_LONG = 1413,
    /// The type of a signal is longer than 128 bytes.
    OTC_SESSION_SIGNAL_TYPE_TOO_LONG = 1414,
    /// The token does not allow signals, too many wait for the end of a reconnection, or one that was accepted could
    /// not be sent after all.
    OTC_SESSION_UNABLE_TO_SEND_SIGNAL = 1550,
    /// The session's state could not be obtained in time.
    OTC_SESSION_STATE_FAILED = 1020,
    /// The subscriber is not in this session.
    OTC_SESSION_SUBSCRIBER_NOT_FOUND = 1112,
    /// The server's first answer made no sense. The name is spelled so.
    OTC_SESSION_UNEXPECTED_GET_SESSION_INFO_REPONSE = 2001,
    /// A stream is encrypted and no secret was set. The session goes on.
    OTC_SESSION_ENCRYPTION_SECRET_MISSING = 6000,
    /// The secret is shorter than 8 or longer than 256 characters.
    OTC_SESSION_INVALID_ENCRYPTION_SECRET = 6004,
}

// Both tables are exhaustive on purpose: a new error asks for its number at compile time.

/// The number that a call returns.
pub(super) fn status(error: Error) -> otc_status {
    use otc_error_code::*;
    use otc_session_error_code::*;
    match error {
        Error::InvalidParameter | Error::InvalidHandle => OTC_INVALID_PARAM as otc_status,
        Error::Fatal => OTC_FATAL as otc_status,
        Error::InvalidVideoFormat => OTC_INVALID_VIDEO_FORMAT as otc_status,
        Error::IllegalState => OTC_SESSION_ILLEGAL_STATE as otc_status,
        Error::NotConnected => OTC_SESSION_NOT_CONNECTED as otc_status,
        Error::PublisherNotFound => OTC_SESSION_PUBLISHER_NOT_FOUND as otc_status,
        Error::SubscriberNotFound => OTC_SESSION_SUBSCRIBER_NOT_FOUND as otc_status,
        Error::SignalDataTooLong => OTC_SESSION_SIGNAL_DATA_TOO_LONG as otc_status,
        Error::SignalTypeTooLong => OTC_SESSION_SIGNAL_TYPE_TOO_LONG as otc_status,
        Error::InvalidSignalType => OTC_SESSION_INVALID_SIGNAL_TYPE as otc_status,
        Error::UnableToSendSignal => OTC_SESSION_UNABLE_TO_SEND_SIGNAL as otc_status,
        Error::UnableToForceMute => OTC_UNABLE_TO_FORCE_MUTE as otc_status,
        Error::UnableToForceDisconnect => OTC_UNABLE_TO_FORCE_DISCONNECT as otc_status,
        Error::MissingAudioTrack => otc_publisher_error_code::OTC_PUBLISHER_MISSING_AUDIO_TRACK as otc_status,
        Error::TransformerMissing => {
            super::media_transformer::otc_media_transformer_error_code::OTC_MEDIA_TRANSFORMER_OPENTOK_TRANSFORMERS_LIBRARY_NOT_LOADED
                as otc_status
        }
        Error::InvalidEncryptionSecret => OTC_SESSION_INVALID_ENCRYPTION_SECRET as otc_status,
        Error::Internal => OTC_SESSION_INTERNAL_ERROR as otc_status,
    }
}

/// The number that `on_error` of a publisher is called with.
pub(super) fn publisher_code(reason: MediaReason) -> otc_publisher_error_code {
    use otc_publisher_error_code::*;
    match reason {
        MediaReason::NotPermitted => OTC_PUBLISHER_UNABLE_TO_PUBLISH,
        MediaReason::SessionDisconnected => OTC_PUBLISHER_SESSION_DISCONNECTED,
        MediaReason::TimedOut => OTC_PUBLISHER_TIMED_OUT,
        MediaReason::PeerConnection => OTC_PUBLISHER_WEBRTC_ERROR,
        MediaReason::EncryptionFailed => OTC_PUBLISHER_ENCRYPTION_INTERNAL_ERROR,
        MediaReason::StreamNotFound | MediaReason::SecretsDiffer | MediaReason::Internal => {
            OTC_PUBLISHER_INTERNAL_ERROR
        }
    }
}

/// The number that `on_error` of a subscriber is called with.
pub(super) fn subscriber_code(reason: MediaReason) -> otc_subscriber_error_code {
    use otc_subscriber_error_code::*;
    match reason {
        // The interface has no number of its own for it: a server does not show such a client the stream.
        MediaReason::NotPermitted | MediaReason::StreamNotFound => OTC_SUBSCRIBER_SERVER_CANNOT_FIND_STREAM,
        MediaReason::SessionDisconnected => OTC_SUBSCRIBER_SESSION_DISCONNECTED,
        MediaReason::TimedOut => OTC_SUBSCRIBER_TIMED_OUT,
        MediaReason::PeerConnection => OTC_SUBSCRIBER_WEBRTC_ERROR,
        MediaReason::SecretsDiffer => OTC_SUBSCRIBER_ENCRYPTION_SECRET_MISMATCH,
        MediaReason::EncryptionFailed | MediaReason::Internal => OTC_SUBSCRIBER_INTERNAL_ERROR,
    }
}

/// The number that `on_error` of a session is called with.
pub(super) fn session_code(reason: Reason) -> otc_session_error_code {
    use otc_session_error_code::*;
    match reason {
        Reason::Authorization => OTC_SESSION_AUTHORIZATION_FAILURE,
        Reason::InvalidSession => OTC_SESSION_INVALID_SESSION,
        Reason::ConnectionFailed => OTC_SESSION_CONNECTION_FAILED,
        Reason::TimedOut => OTC_SESSION_CONNECTION_TIMED_OUT,
        Reason::Refused => OTC_SESSION_CONNECTION_REFUSED,
        Reason::LimitExceeded => OTC_SESSION_CONNECTION_LIMIT_EXCEEDED,
        Reason::BlockedCountry => OTC_SESSION_BLOCKED_COUNTRY,
        Reason::NoMessagingServer => OTC_SESSION_NO_MESSAGING_SERVER,
        Reason::UnexpectedAnswer => OTC_SESSION_UNEXPECTED_GET_SESSION_INFO_REPONSE,
        Reason::Dropped => OTC_SESSION_CONNECTION_DROPPED,
        Reason::UnableToSendSignal => OTC_SESSION_UNABLE_TO_SEND_SIGNAL,
        Reason::SecretMissing => OTC_SESSION_ENCRYPTION_SECRET_MISSING,
        Reason::Internal => OTC_SESSION_INTERNAL_ERROR,
    }
}
