//! What a session knows while it is one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::core::{Config, Core, Output, State};
use super::delivery::Delivery;
use super::ice::Ways;
use super::resume::Doubt;
use super::roster::Roster;
use super::signals::Early;
use super::wires::Wires;
use super::{Capabilities, Connection, Event};
use crate::signal::frame::FromClient;
use crate::signal::mute_mode;
use crate::signal::proto::{
    JoinResponse, ParticipantInfo, ParticipantPermission, Ping, Pong, Room, RoomMovedResponse, signal_request,
};
use crate::signal::signals::Incoming;
use crate::signal::token::Token;

/// How often the link is tried where the server does not say so. LiveKit's own figures.
const PING_INTERVAL: Duration = Duration::from_secs(5);
const PING_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a session goes on after its peer connection has failed. A server that ends a session closes both ways at
/// once, and the word that says why takes the slower one.
const BROKEN_GRACE: Duration = Duration::from_secs(1);

pub(super) struct Live {
    pub own: Arc<Connection>,
    pub capabilities: Capabilities,
    pub roster: Roster,
    pub wires: Wires,
    pub delivery: Delivery,
    early: Early,
    /// The room's own sid: it names a recording that begins, for which LiveKit gives clients no other name.
    room_sid: String,
    /// The name of the one that runs.
    recording: Option<String>,
    may_moderate: bool,
    /// The room's, in which the mute mode is kept.
    pub metadata: String,
    /// The room has to be told of its metadata: it was made anew, and this client is a moderator.
    pub owes_metadata: bool,
    ping_interval: Duration,
    ping_timeout: Duration,
    pings: i64,
    next_ping: Instant,
    heard: Instant,
    /// Since when a ping waits for its answer; any word of the server is one.
    unanswered: Option<Instant>,
    /// The peer connection has failed.
    broken_until: Option<Instant>,
    /// The link has broken, and the session was resumed.
    pub doubt: Option<Doubt>,
}

impl Live {
    /// `None` when the server's answer names no participant. `before`: the roster of a session that this one continues.
    pub fn new(
        now: Instant,
        join: JoinResponse,
        inline: bool,
        config: &Config,
        before: Option<&Roster>,
    ) -> Option<Self> {
        let ways = Ways::new(config, &join);
        let participant = join.participant?;
        if participant.sid.is_empty() {
            return None;
        }
        let room = join.room.unwrap_or_default();
        let seconds = |value: i32, default| match u64::try_from(value) {
            Ok(value) if value > 0 => Duration::from_secs(value),
            _ => default,
        };
        let ping_interval = seconds(join.ping_interval, PING_INTERVAL);
        let ping_timeout = seconds(join.ping_timeout, PING_TIMEOUT);
        let may_moderate = may_moderate(&config.token);
        let suppressed = config.connection_events_suppressed;
        let mut roster = Roster::new(config.session_id.clone(), &participant, suppressed);
        let own = roster.own().clone();
        roster.fill(now, &join.other_participants, before);
        let wires = match inline {
            true => Wires::inline(ways),
            false => Wires::peers(join.subscriber_primary, join.fast_publish, ways),
        };
        Some(Self {
            own,
            capabilities: capabilities(participant.permission.as_ref(), may_moderate),
            roster,
            wires,
            recording: room.active_recording.then(|| room.sid.clone()),
            room_sid: room.sid,
            may_moderate,
            metadata: room.metadata,
            owes_metadata: false,
            ping_interval,
            ping_timeout,
            pings: 0,
            next_ping: now + ping_interval,
            heard: now,
            unanswered: None,
            delivery: Delivery::default(),
            early: Early::default(),
            broken_until: None,
            doubt: None,
        })
    }

    /// What differs from the session that was lost, for the program to hear after `Reconnected`.
    pub fn succeed(&mut self, now: Instant, old: Live) -> Vec<Event> {
        let mut events = self.roster.succeed(now, old.roster, self.wires.is_inline());
        self.wires.succeed(old.wires);
        self.delivery = old.delivery.anew();
        // A room that was made anew knows nothing of the mode; a moderator tells it again.
        if self.metadata.is_empty() {
            self.metadata.clone_from(&old.metadata);
            self.owes_metadata = self.may_moderate && self.is_mute_forced();
        }
        events.extend(self.mute_event(&old.metadata));
        // One that goes on keeps the name under which it was told.
        let is_recording = self.recording.is_some();
        let fresh = std::mem::replace(&mut self.recording, old.recording);
        events.extend(self.recording_changed(is_recording, fresh));
        events
    }

    /// Into another room, where others are. The peer connections and what goes over them stay.
    pub fn move_to(&mut self, now: Instant, moved: RoomMovedResponse, may_moderate: bool) -> Vec<Event> {
        let room = moved.room.unwrap_or_default();
        let participant = moved.participant.filter(|participant| !participant.sid.is_empty());
        let mut events = self.roster.move_to(now, participant.as_ref(), &moved.other_participants);
        events.extend(self.recording_changed(false, None));
        self.own = self.roster.own().clone();
        self.early = Early::default();
        self.may_moderate = may_moderate;
        let permission = participant.as_ref().and_then(|participant| participant.permission.as_ref());
        self.capabilities = match permission {
            Some(permission) => capabilities(Some(permission), may_moderate),
            None => {
                Capabilities { force_mute: may_moderate, force_disconnect: may_moderate, ..self.capabilities }
            }
        };
        events.push(Event::Moved { connection: self.own.clone(), capabilities: self.capabilities });
        events.extend(self.roster.everything());
        self.room_sid = room.sid;
        events.extend(self.recording_changed(room.active_recording, Some(self.room_sid.clone())));
        let before = std::mem::replace(&mut self.metadata, room.metadata);
        self.owes_metadata = false;
        events.extend(self.mute_event(&before));
        events
    }

    /// Something came from the server.
    pub fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.unanswered = None;
    }

    /// A ping was answered.
    pub fn ponged(&mut self, pong: &Pong) {
        if pong.last_ping_timestamp == self.pings {
            self.delivery.ponged();
        }
    }

    /// When something came from the server last.
    pub fn heard_at(&self) -> Instant {
        self.heard
    }

    /// When the server counts as gone. Only one that was asked can fail to answer: a process that was stopped for a
    /// while has heard nothing either, and has not asked.
    fn silent_until(&self) -> Option<Instant> {
        let asked = self.unanswered? + self.ping_interval.min(self.ping_timeout);
        Some(asked.max(self.heard + self.ping_timeout))
    }

    /// The peer connection has failed: unless the server says why in time, the session is begun anew.
    pub fn broken(&mut self, now: Instant) {
        self.broken_until.get_or_insert(now + BROKEN_GRACE);
    }

    pub fn is_broken(&self) -> bool {
        self.broken_until.is_some()
    }

    pub fn expect_full_roster(&mut self) {
        self.roster.expect_everyone();
    }

    /// Participants came, went or changed.
    pub fn update(&mut self, now: Instant, participants: &[ParticipantInfo]) -> Vec<Event> {
        let mut events = Vec::new();
        let own = participants.iter().find(|participant| participant.sid == self.own.id);
        if let Some(own) = own {
            self.hear_of_own(&own.tracks);
        }
        if let Some(permission) = own.and_then(|own| own.permission.as_ref()) {
            let capabilities = capabilities(Some(permission), self.may_moderate);
            if capabilities != self.capabilities {
                self.capabilities = capabilities;
                events.push(Event::CapabilitiesChanged(capabilities));
            }
        }
        events.extend(self.roster.update(now, participants));
        events.extend(self.early_signals(now));
        events
    }

    /// Keeps a signal that came before the program may hear it.
    pub fn keep_early(&mut self, now: Instant, signal: Incoming) {
        self.early.keep(now, signal);
    }

    /// The signals that were kept and whose senders are known by now.
    pub fn early_signals(&mut self, now: Instant) -> Vec<Event> {
        self.early.take(now, &self.roster)
    }

    pub fn room_update(&mut self, room: &Room) -> Vec<Event> {
        let mut events = Vec::new();
        // Nobody empties it: this room was made anew, and has not been told yet.
        if !room.metadata.is_empty() {
            let before = std::mem::replace(&mut self.metadata, room.metadata.clone());
            events.extend(self.mute_event(&before));
        }
        // A server may let a client in before its room has one.
        if !room.sid.is_empty() {
            self.room_sid.clone_from(&room.sid);
        }
        events.extend(self.recording_changed(room.active_recording, Some(self.room_sid.clone())));
        events
    }

    /// All have been muted since, once or again, or the mode is over.
    fn mute_event(&self, before: &str) -> Option<Event> {
        let (before, times) = (mute_mode::times(before), mute_mode::times(&self.metadata));
        (before != times).then_some(Event::MuteForced { active: times > 0 })
    }

    /// Whether streams that are published start muted. Who comes while it is so is not told.
    pub fn is_mute_forced(&self) -> bool {
        mute_mode::is_on(&self.metadata)
    }

    /// The recording that runs already when the session begins.
    pub fn recording(&self) -> Option<Event> {
        let id = self.recording.clone()?;
        Some(Event::ArchiveStarted { id, name: String::new() })
    }

    /// Whether one runs by now, and its name if it is another one.
    fn recording_changed(&mut self, is_running: bool, name: Option<String>) -> Option<Event> {
        match (is_running, self.recording.take()) {
            (true, None) => {
                self.recording = name;
                self.recording()
            }
            (false, Some(id)) => Some(Event::ArchiveStopped { id }),
            (_, same) => {
                self.recording = same;
                None
            }
        }
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        let ping = Some(self.next_ping);
        [ping, self.silent_until(), self.broken_until, self.roster.poll_timeout()].into_iter().flatten().min()
    }
}

/// A token that is good for every room makes nobody an admin of one.
pub(super) fn may_moderate(token: &str) -> bool {
    Token::parse(token)
        .is_ok_and(|token| token.claims().grants.room_admin && !token.claims().session_id.is_empty())
}

/// What the server grants; moderation needs the token's word too, since LiveKit does not repeat it.
/// A server that says nothing forbids nothing.
fn capabilities(permission: Option<&ParticipantPermission>, may_moderate: bool) -> Capabilities {
    let granted = |what: fn(&ParticipantPermission) -> bool| permission.is_none_or(what);
    Capabilities {
        publish: granted(|permission| permission.can_publish),
        subscribe: granted(|permission| permission.can_subscribe),
        signal: granted(|permission| permission.can_publish_data),
        force_mute: may_moderate,
        force_disconnect: may_moderate,
    }
}

impl Core {
    /// The timers of a session that is up: the ping, its answer, and the roster's own.
    pub(super) fn watch_link(&mut self, now: Instant) {
        let State::Connected(live) = &mut self.state else { return };
        let events = live.roster.handle_timeout(now);
        let is_silent = live.silent_until().is_some_and(|until| now >= until);
        let is_broken = live.broken_until.is_some_and(|until| now >= until);
        let ping = (now >= live.next_ping).then(|| {
            live.next_ping = now + live.ping_interval;
            live.pings += 1;
            live.unanswered.get_or_insert(now);
            live.delivery.pinged();
            Ping { timestamp: live.pings, rtt: 0 }
        });
        let news = if ping.is_some() { live.delivery.news() } else { None };
        self.mute_latecomers(now, &events);
        if !events.is_empty() {
            self.streams_changed(events);
        }
        if is_silent {
            log::info!("the server has been silent for too long");
        }
        if is_silent || is_broken {
            return self.begin_reconnect(now, is_broken);
        }
        if let Some(news) = news {
            self.push(Output::Send(news.encode()));
        }
        if let Some(ping) = ping {
            self.push(Output::Send(FromClient::Message(signal_request::Message::PingReq(ping)).encode()));
        }
    }
}
