//! Why a token was refused, in sentences that a person can act on.

use std::fmt;

/// Neither the token nor a secret is part of any of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenError {
    Empty,
    TooLarge,
    UnknownKind,
    /// The field or part that could not be read.
    Malformed(&'static str),
    UnsupportedAlgorithm,
    UnknownRole,
    SessionIdTooLong,
    DataTooLong,
    NoKey,
    NoSecret,
    NoSession,
    NoIdentity,
    NoExpiry,
    LifetimeTooLong,
    NotYetValid,
    Expired,
    WrongKey,
    WrongSession,
    UnknownKey,
    BadSignature,
    SignatureNotCheckable,
    JoinNotGranted,
}

impl TokenError {
    pub fn text(&self) -> String {
        self.to_string()
    }

    fn sentence(self) -> &'static str {
        match self {
            Self::Empty => "The token is empty.",
            Self::TooLarge => "The token is too large to be one.",
            Self::UnknownKind => {
                "The token is of no known kind: a classic one begins with T1==, a JSON web token has three parts \
                 with dots between them."
            }
            Self::Malformed(_) => "The token is damaged.",
            Self::UnsupportedAlgorithm => {
                "The token is signed with an algorithm that is not supported; use HS256, or RS256 with an \
                 application id."
            }
            Self::UnknownRole => {
                "The token's role is unknown; use subscriber, publisher, publisheronly or moderator."
            }
            Self::SessionIdTooLong => "The token's session id is longer than 255 characters.",
            Self::DataTooLong => "The connection data is longer than 1000 characters.",
            Self::NoKey => "The token names no API key.",
            Self::NoSecret => "A token cannot be signed without a secret.",
            Self::NoSession => "Neither the token nor the request names a session.",
            Self::NoIdentity => "The token names no identity; LiveKit tokens need one to join a room.",
            Self::NoExpiry => "The token does not say when it expires; make one with an expiry time.",
            Self::LifetimeTooLong => {
                "The token is made to live for more than 30 days; make one that expires earlier."
            }
            Self::NotYetValid => {
                "The token becomes valid in the future; compare the clocks of this machine and of the one that \
                 made it."
            }
            Self::Expired => "The token has expired; make a new one.",
            Self::WrongKey => "The token is for another API key than the session's.",
            Self::WrongSession => "The token is for another session.",
            Self::UnknownKey => {
                "The secret of the token's API key is not known here; add the key to the server."
            }
            Self::BadSignature => {
                "The token's signature is wrong: it was changed, or made with another secret than the one known \
                 here."
            }
            Self::SignatureNotCheckable => {
                "The token is signed with an application's private key, which cannot be checked here; make one \
                 with an API key and its secret."
            }
            Self::JoinNotGranted => "The token does not grant joining a room (roomJoin).",
        }
    }
}

impl fmt::Display for TokenError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(part) => write!(formatter, "The token is damaged: its {part} cannot be read."),
            other => formatter.write_str(other.sentence()),
        }
    }
}

impl std::error::Error for TokenError {}
