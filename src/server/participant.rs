//! One participant of a room: what others see of it, its link, and what waits for it.

use std::collections::BTreeMap;
use std::time::Instant;

use super::claims::{Admission, Fingerprint, Locality};
use super::config::{PING_TIMEOUT, RESUME_HOLD_LOCAL, RESUME_HOLD_REMOTE};
use super::core::LinkId;
use super::media::share::Share;
use super::news::News;
use super::peers::Peers;
use super::queue::{Queue, Unconfirmed};
use super::shared::{Seat, Shared};
use super::turns::Turns;
use crate::signal::proto::participant_info::{Kind, State};
use crate::signal::proto::{
    DataPacket, DisconnectReason, ParticipantInfo, ParticipantPermission, data_packet, leave_request::Action,
};
use crate::signal::token::{Grants, Sources};

/// The number of a participant in this process. Grows with each join, so the order of keys is the order of joining.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub u64);

#[derive(Debug)]
pub enum Presence {
    Linked {
        link: LinkId,
        /// When anything last came over the link.
        heard: Instant,
    },
    /// The link is gone without a farewell; the client may come back.
    Away { until: Instant, reason: DisconnectReason },
}

/// Whether a participant can take part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// A LiveKit client whose connections have to be up by then. It is not announced yet.
    Joining {
        until: Instant,
    },
    Active,
}

#[derive(Debug)]
pub struct Participant {
    pub sid: String,
    pub identity: String,
    pub name: String,
    pub metadata: String,
    pub attributes: BTreeMap<String, String>,
    pub permission: ParticipantPermission,
    pub joined_ms: i64,
    /// Counts the changes, so that a receiver can tell the newer of two reports.
    pub version: u32,
    pub fingerprint: Fingerprint,
    /// What its client calls itself.
    pub client: Option<String>,
    pub locality: Locality,
    pub presence: Presence,
    pub queue: Queue,
    /// What went inside its link.
    pub unconfirmed: Unconfirmed,
    /// The number of the newest of its own packets that have one.
    pub last_sequence: u32,
    /// What it asks for, since it asked for something that costs.
    pub turns: Option<Box<Turns>>,
    /// Data packets go inside the signalling connection, and peer connections are only made for media.
    pub is_inline: bool,
    /// It gets whatever is published, without asking.
    pub auto_subscribe: bool,
    pub peers: Option<Box<Peers>>,
    /// The room counts as recorded while it is in it.
    pub is_recorder: bool,
    /// As what it is announced.
    pub kind: Kind,
    /// Its part in the media of the room, since it has one.
    pub share: Option<Box<Share>>,
    pub standing: Standing,
    pub news: News,
    /// The deadline that is set for it.
    pub wake: Option<Instant>,
}

impl Participant {
    pub fn new(
        sid: String,
        identity: String,
        joined_ms: i64,
        admission: Admission,
        link: LinkId,
        now: Instant,
    ) -> Self {
        let claims = admission.claims;
        Self {
            sid,
            identity,
            name: claims.name,
            metadata: claims.data,
            attributes: claims.attributes,
            permission: permission(claims.grants),
            is_recorder: claims.grants.is_recorder,
            kind: claims.grants.holder,
            joined_ms,
            version: 0,
            fingerprint: admission.fingerprint,
            client: admission.query.client,
            locality: admission.locality,
            presence: Presence::Linked { link, heard: now },
            queue: Queue::default(),
            unconfirmed: Unconfirmed::default(),
            last_sequence: 0,
            turns: None,
            is_inline: admission.query.inline_data,
            auto_subscribe: admission.query.auto_subscribe,
            peers: None,
            share: None,
            standing: Standing::Active,
            news: News::default(),
            wake: None,
        }
    }

    pub fn link(&self) -> Option<LinkId> {
        match self.presence {
            Presence::Linked { link, .. } => Some(link),
            Presence::Away { .. } => None,
        }
    }

    /// Whether others are told of it.
    pub fn is_visible(&self) -> bool {
        !matches!(self.standing, Standing::Joining { .. }) && !self.permission.hidden
    }

    pub fn deadline(&self) -> Instant {
        let presence = match self.presence {
            Presence::Linked { heard, .. } => heard + PING_TIMEOUT,
            Presence::Away { until, .. } => until,
        };
        [self.must_be_up(), self.must_have_left()].into_iter().flatten().fold(presence, Instant::min)
    }

    /// Why it has to go now, if its connections are the reason, and what it should do then.
    pub fn failure(&self, now: Instant) -> Option<(DisconnectReason, Action)> {
        let is_over = |limit: Option<Instant>| limit.is_some_and(|limit| now >= limit);
        if is_over(self.must_be_up()) {
            return Some((DisconnectReason::JoinFailure, Action::Disconnect));
        }
        is_over(self.must_have_left()).then_some((DisconnectReason::ConnectionTimeout, Action::Reconnect))
    }

    fn must_be_up(&self) -> Option<Instant> {
        match self.standing {
            Standing::Joining { until } => Some(until),
            Standing::Active => None,
        }
    }

    fn must_have_left(&self) -> Option<Instant> {
        self.peers.as_ref()?.farewell_until
    }

    /// The link is gone; the participant stays for a while.
    pub fn part(&mut self, now: Instant, reason: DisconnectReason) {
        let hold = match self.locality {
            Locality::Local => RESUME_HOLD_LOCAL,
            Locality::Remote => RESUME_HOLD_REMOTE,
        };
        self.presence = Presence::Away { until: now + hold, reason };
    }

    /// What waits for its turn came over a link that is gone. Its client says anew what it wants when it comes back.
    pub fn forget_requests(&mut self) {
        if let Some(turns) = &mut self.turns {
            turns.clear();
        }
    }

    /// Whether this packet of its own has come before; a client that resumes its session sends again what may be lost. Those
    /// without a number it does not send again.
    #[allow(deprecated)] // the kind also decides the channel
    pub fn knows(&mut self, packet: &DataPacket) -> bool {
        if packet.kind() != data_packet::Kind::Reliable || packet.sequence == 0 {
            return false;
        }
        let is_known = packet.sequence <= self.last_sequence;
        self.last_sequence = self.last_sequence.max(packet.sequence);
        is_known
    }

    /// As it is described to others and to itself while it is here.
    pub fn present(&self) -> ParticipantInfo {
        let is_joining = matches!(self.standing, Standing::Joining { .. });
        self.info(if is_joining { State::Joined } else { State::Active })
    }

    /// Its part in the media of the room, which begins now if it has none.
    pub fn share(&mut self) -> &mut Share {
        self.share.get_or_insert_with(|| Box::new(Share::new()))
    }

    pub fn publishes(&self) -> bool {
        let publications = self.share.as_ref().map(|share| &share.publications);
        publications.is_some_and(|publications| publications.iter().any(|one| one.is_public()))
    }

    /// Whether there is a connection over which it can get media. One of ours has it made when it is needed.
    pub fn needs_subscriber(&mut self, shared: &mut Shared, now: Instant, seat: &Seat) -> bool {
        if !shared.has_sockets(seat) {
            return false;
        }
        let peers = self.peers.get_or_insert_with(|| Box::new(Peers::new()));
        peers.need_subscriber(now, &shared.config);
        true
    }

    pub fn info(&self, state: State) -> ParticipantInfo {
        let tracks = self.share.as_ref().filter(|_| state != State::Disconnected);
        let tracks = tracks.map(|share| share.infos()).unwrap_or_default();
        ParticipantInfo {
            is_publisher: !tracks.is_empty(),
            tracks,
            sid: self.sid.clone(),
            identity: self.identity.clone(),
            name: self.name.clone(),
            state: state.into(),
            kind: self.kind.into(),
            metadata: self.metadata.clone(),
            attributes: self.attributes.clone().into_iter().collect(),
            joined_at: self.joined_ms / 1000,
            joined_at_ms: self.joined_ms,
            version: self.version,
            permission: Some(self.permission.clone()),
            ..Default::default()
        }
    }
}

#[allow(deprecated)] // older clients know a recorder and an agent by their permission alone
fn permission(grants: Grants) -> ParticipantPermission {
    ParticipantPermission {
        can_subscribe: grants.can_subscribe,
        // A list of nothing that is known allows nothing.
        can_publish: grants.can_publish && grants.sources != Sources::Only([false; 4]),
        can_publish_sources: grants.sources.numbers().collect(),
        can_publish_data: grants.can_publish_data,
        hidden: grants.hidden,
        can_update_metadata: grants.can_update_metadata,
        recorder: grants.is_recorder,
        agent: grants.is_agent,
        ..Default::default()
    }
}
