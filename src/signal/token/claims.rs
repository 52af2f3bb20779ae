//! What a token says, whatever its kind.

use std::collections::BTreeMap;

use super::{CLOCK_LEEWAY_S, TokenError, check_lifetime};
use crate::signal::proto::participant_info::Kind as ParticipantKind;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Classic,
    Platform,
    LiveKit,
}

/// OpenTok's roles. LiveKit tokens carry [`Grants`] instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Role {
    Subscriber,
    #[default]
    Publisher,
    /// Publishes, but neither subscribes nor signals.
    PublisherOnly,
    Moderator,
}

/// What the holder may do in the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grants {
    pub can_publish: bool,
    pub can_subscribe: bool,
    /// Whether signals may be sent.
    pub can_publish_data: bool,
    /// May mute and remove others.
    pub room_admin: bool,
    /// Not announced to others.
    pub hidden: bool,
    /// LiveKit only: may change its own name, metadata and attributes.
    pub can_update_metadata: bool,
    /// LiveKit only: the session counts as recorded while its holder is in it.
    pub is_recorder: bool,
    /// LiveKit only: a program that takes part like a person.
    pub is_agent: bool,
    /// LiveKit only: as what its holder is announced.
    pub holder: ParticipantKind,
    /// LiveKit only: what may be published.
    pub sources: Sources,
}

/// The sources a token allows to be published, where it names any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sources {
    #[default]
    All,
    /// By the places of their words in [`Sources::WORDS`].
    Only([bool; 4]),
}

impl Sources {
    /// LiveKit's words, in the order of its numbers, which begin at 1.
    pub const WORDS: [&str; 4] = ["camera", "microphone", "screen_share", "screen_share_audio"];

    /// The numbers of those that are named. Empty is no restriction.
    pub fn numbers(self) -> impl Iterator<Item = i32> {
        let named = match self {
            Self::All => [false; 4],
            Self::Only(named) => named,
        };
        (1..).zip(named).filter(|(_, is_named)| *is_named).map(|(number, _)| number)
    }
}

/// What a token says, whatever its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    pub kind: Kind,
    /// The API key, or the application id of the newer platform.
    pub api_key: String,
    /// The session, or LiveKit's room. Empty in a LiveKit token that is good for every room.
    pub session_id: String,
    /// LiveKit only, else empty.
    pub identity: String,
    /// LiveKit only, else empty.
    pub name: String,
    /// Connection data, or LiveKit's metadata.
    pub data: String,
    /// LiveKit only, else empty.
    pub attributes: BTreeMap<String, String>,
    pub grants: Grants,
    /// Always true but for LiveKit tokens that only open the server's own interface.
    pub can_join: bool,
    /// LiveKit only: may make and delete rooms.
    pub can_create_rooms: bool,
    /// LiveKit only.
    pub can_list_rooms: bool,
    /// Seconds since 1970, as all times here. `None` where the token does not say.
    pub created_s: Option<i64>,
    pub not_before_s: Option<i64>,
    pub expires_s: i64,
}

impl Role {
    pub const ALL: [Self; 4] = [Self::Subscriber, Self::Publisher, Self::PublisherOnly, Self::Moderator];

    /// The word that tokens use.
    pub fn word(self) -> &'static str {
        match self {
            Self::Subscriber => "subscriber",
            Self::Publisher => "publisher",
            Self::PublisherOnly => "publisheronly",
            Self::Moderator => "moderator",
        }
    }

    /// An absent role reads as an empty word and is a publisher.
    pub fn from_word(word: &str) -> Result<Self, TokenError> {
        if word.is_empty() {
            return Ok(Self::default());
        }
        Self::ALL.into_iter().find(|role| role.word() == word).ok_or(TokenError::UnknownRole)
    }

    pub fn grants(self) -> Grants {
        let moderator = self == Self::Moderator;
        Grants {
            can_publish: self != Self::Subscriber,
            can_subscribe: self != Self::PublisherOnly,
            can_publish_data: moderator || self == Self::Publisher,
            room_admin: moderator,
            hidden: false,
            can_update_metadata: false,
            is_recorder: false,
            is_agent: false,
            holder: ParticipantKind::Standard,
            sources: Sources::All,
        }
    }
}

impl Claims {
    /// From when on it is good.
    pub fn start_s(&self) -> Option<i64> {
        self.not_before_s.max(self.created_s)
    }

    pub(super) fn check_times(&self, now_s: i64) -> Result<(), TokenError> {
        let latest_start = now_s.saturating_add(CLOCK_LEEWAY_S);
        if self.start_s().is_some_and(|start| start > latest_start) {
            return Err(TokenError::NotYetValid);
        }
        if let (Some(created), true) = (self.created_s, self.kind != Kind::LiveKit) {
            check_lifetime(created, self.expires_s)?;
        }
        if now_s >= self.expires_s.saturating_add(CLOCK_LEEWAY_S) {
            return Err(TokenError::Expired);
        }
        Ok(())
    }
}
