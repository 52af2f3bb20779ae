//! Whether the other side is there: the states of a connection and their time limits.
//!
//! str0m says "disconnected" when every candidate pair has failed, which takes more than fifteen seconds, and it never
//! gives up. A session wants to know sooner that it should restart ICE, and later that it should stop hoping; both
//! limits are here.

use std::time::{Duration, Instant};

/// How long ICE and DTLS may take together, the first time and after an ICE restart. Without loss it is three round
/// trips; at 15 % loss three in a hundred attempts take more than 5 s, because the pauses of DTLS double. LiveKit's
/// clients give up after 15 s too.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// Silence after which a connection counts as lost. Both sides check the path at least every 3 s and more often while
/// an answer is missing: at 30 % loss an hour brings no such silence.
pub(super) const SILENCE_MAX: Duration = Duration::from_secs(8);

/// How long a lost connection may take to come back, by itself or by an ICE restart. Long enough for a change of
/// network with a signalling reconnect before it.
pub(super) const RECOVERY_TIMEOUT: Duration = Duration::from_secs(20);

/// How long a connection that was up may look for a path anew before it counts as interrupted. A search is a few round
/// trips, and during it the path of before is often still good.
pub(super) const SEARCH_UNNOTICED: Duration = Duration::from_secs(2);

/// How long UDP has before streams are opened beside it. Most networks let it through within two round trips, and a path
/// that the other side has chosen by then stays chosen although a better one comes.
pub(super) const UDP_HEAD_START: Duration = Duration::from_millis(500);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    /// At least one of the two descriptions is missing.
    Unnegotiated,
    Connecting {
        deadline: Instant,
        /// Until when nobody notices that it was up and is not any more.
        unnoticed: Option<Instant>,
    },
    Connected {
        heard: Instant,
    },
    Lost {
        deadline: Instant,
    },
    Over,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expiry {
    Silent,
    /// The connection was up, and the search for another path takes long.
    Searching,
    NeverConnected,
    NeverRecovered,
}

impl Link {
    /// Both descriptions are known. A renegotiation without an ICE restart changes nothing here.
    pub fn negotiated(&mut self, now: Instant, restarted: bool) {
        if *self == Self::Unnegotiated || restarted {
            let unnoticed = match self {
                Self::Connected { .. } => Some(now + SEARCH_UNNOTICED),
                Self::Connecting { unnoticed, .. } => *unnoticed,
                Self::Unnegotiated | Self::Lost { .. } | Self::Over => None,
            };
            *self = Self::Connecting { deadline: now + CONNECT_TIMEOUT, unnoticed };
        }
    }

    /// The transport is usable. True when that is news.
    pub fn up(&mut self, now: Instant) -> bool {
        match self {
            Self::Connecting { .. } | Self::Lost { .. } => {
                *self = Self::Connected { heard: now };
                true
            }
            Self::Unnegotiated | Self::Connected { .. } | Self::Over => false,
        }
    }

    /// The transport says that it is not usable any more. True when that is news.
    pub fn down(&mut self, now: Instant) -> bool {
        match self {
            Self::Connecting { unnoticed, .. } => unnoticed.take().is_some(),
            Self::Connected { .. } => {
                *self = Self::Lost { deadline: now + RECOVERY_TIMEOUT };
                true
            }
            Self::Unnegotiated | Self::Lost { .. } | Self::Over => false,
        }
    }

    /// Something arrived that belongs to this connection.
    pub fn heard(&mut self, now: Instant) {
        if let Self::Connected { heard } = self {
            *heard = now.max(*heard);
        }
    }

    /// When something arrived last, while it is up.
    pub fn heard_at(&self) -> Option<Instant> {
        match self {
            Self::Connected { heard } => Some(*heard),
            Self::Unnegotiated | Self::Connecting { .. } | Self::Lost { .. } | Self::Over => None,
        }
    }

    /// Since when there has been no path.
    pub fn searches_since(&self) -> Option<Instant> {
        match self {
            Self::Connecting { deadline, .. } => deadline.checked_sub(CONNECT_TIMEOUT),
            Self::Lost { deadline } => deadline.checked_sub(RECOVERY_TIMEOUT),
            Self::Unnegotiated | Self::Connected { .. } | Self::Over => None,
        }
    }

    pub fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Connecting { deadline, unnoticed } => Some(unnoticed.unwrap_or(*deadline)),
            Self::Lost { deadline } => Some(*deadline),
            Self::Connected { heard } => Some(*heard + SILENCE_MAX),
            Self::Unnegotiated | Self::Over => None,
        }
    }

    /// Which limit has passed, if one has.
    pub fn expired(&self, now: Instant) -> Option<Expiry> {
        if now < self.deadline()? {
            return None;
        }
        match self {
            Self::Connecting { unnoticed: Some(_), .. } => Some(Expiry::Searching),
            Self::Connecting { unnoticed: None, .. } => Some(Expiry::NeverConnected),
            Self::Connected { .. } => Some(Expiry::Silent),
            Self::Lost { .. } => Some(Expiry::NeverRecovered),
            Self::Unnegotiated | Self::Over => None,
        }
    }
}
