//! Moderation: what this client does to others, by the server's hand.
//!
//! The server has an interface of its own for that, beside the signalling connection; what to ask it is decided here,
//! asking is the driver's part. The program has its answer by then: a call that fails is a line in the log.
//!
//! To mute all is two things: every stream that is there is muted now, and a mode in the room's metadata makes those
//! who publish later start muted. Publishers of LiveKit's own clients know nothing of the mode.

use std::time::{Duration, Instant};

use super::Event;
use super::core::{Core, Output, State};
use super::live::Live;
use super::roster::REPUBLISH_GRACE;
use crate::signal::mute_mode;
use crate::signal::proto::Room;
use crate::signal::service::Call;

/// What a moderator wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Moderation {
    /// The client of this connection, or this one, is removed.
    Remove { connection_id: String },
    /// The microphone of this stream is switched off.
    Mute { stream_id: String },
    /// Every microphone is switched off but those of these streams, and the mode goes on.
    MuteAll { excluded: Vec<String> },
    /// The mode goes off.
    EndMute,
}

/// How long a stream may be on its way when all are muted: longer than LiveKit gathers its updates, and than a publisher that
/// has not heard of the mode when its stream is there.
const MUTE_ALL_GRACE: Duration = Duration::from_secs(3);

/// Streams that were on their way when all were muted: neither does this client know them yet, nor did their publishers know
/// of the mode.
pub(super) struct Latecomers {
    until: Instant,
    excluded: Vec<String>,
    /// Those that were there, and about to be published again after their server's end.
    missing: Vec<String>,
}

/// What waits for the end of a reconnection: each wish once, so there are no more than connections and streams.
#[derive(Default)]
pub(super) struct Held(Vec<Moderation>);

impl Held {
    fn keep(&mut self, wish: Moderation) {
        let is_mode = |wish: &Moderation| matches!(wish, Moderation::MuteAll { .. } | Moderation::EndMute);
        // Of the wishes for the mode the last one counts.
        self.0.retain(|known| *known != wish && !(is_mode(known) && is_mode(&wish)));
        self.0.push(wish);
    }
}

impl Core {
    /// While reconnecting it waits: the server that would have to do it may be gone, and the one that takes its place
    /// knows nobody yet.
    pub(super) fn moderate(&mut self, now: Instant, wish: Moderation) {
        match &mut self.state {
            State::Connected(_) => self.call_for(now, wish),
            State::Reconnecting(reconnecting) => reconnecting.moderations.keep(wish),
            State::New | State::Joining(_) | State::Farewell(_) | State::Over => {}
        }
    }

    pub(super) fn moderate_held(&mut self, now: Instant, held: Held) {
        let owed = match &mut self.state {
            State::Connected(live) => std::mem::take(&mut live.owes_metadata).then(|| live.metadata.clone()),
            _ => None,
        };
        if let Some(metadata) = owed {
            self.call(Call::UpdateRoomMetadata { room: self.room(), metadata });
        }
        held.0.into_iter().for_each(|wish| self.call_for(now, wish));
    }

    fn call_for(&mut self, now: Instant, wish: Moderation) {
        match wish {
            Moderation::Remove { connection_id } => self.call_to_remove(&connection_id),
            Moderation::Mute { stream_id } => self.call_to_mute(&stream_id),
            Moderation::MuteAll { excluded } => {
                self.call_for_mode(true);
                self.call_to_mute_all(&excluded);
                let missing = self.live().map(|live| live.roster.missing_streams()).unwrap_or_default();
                let grace = if missing.is_empty() { MUTE_ALL_GRACE } else { REPUBLISH_GRACE };
                self.latecomers = Some(Latecomers { until: now + grace, excluded, missing });
            }
            Moderation::EndMute => {
                self.latecomers = None;
                self.call_for_mode(false);
            }
        }
    }

    fn call_to_remove(&mut self, connection_id: &str) {
        let State::Connected(live) = &self.state else { return };
        let Some(identity) = identity(live, connection_id) else {
            log::info!("a client was not removed: it has left the session already");
            return;
        };
        self.call(Call::RemoveParticipant { room: self.room(), identity });
    }

    /// A stream without sound has nothing that could be muted.
    fn call_to_mute(&mut self, stream_id: &str) {
        if self.mute_own(|id| id == stream_id) {
            return;
        }
        let State::Connected(live) = &self.state else { return };
        let Some(stream) = live.roster.find_stream(stream_id) else {
            log::info!("a stream was not muted: it has left the session already");
            return;
        };
        let identity = identity(live, &stream.connection.id);
        if let (Some(track_sid), Some(identity)) = (stream.audio_track.clone(), identity) {
            self.call(Call::MutePublishedTrack { room: self.room(), identity, track_sid });
        }
    }

    fn call_to_mute_all(&mut self, excluded: &[String]) {
        let is_meant = |id: &str| !excluded.iter().any(|one| one == id);
        self.mute_own(is_meant);
        let State::Connected(live) = &self.state else { return };
        let audible = live.roster.microphones().filter(|(_, stream)| is_meant(&stream.id));
        let audible: Vec<(String, String)> = audible
            .filter_map(|(identity, stream)| Some((identity.to_owned(), stream.audio_track.clone()?)))
            .collect();
        for (identity, track_sid) in audible {
            self.call(Call::MutePublishedTrack { room: self.room(), identity, track_sid });
        }
    }

    /// Streams that have come: those that all were muted without are muted too.
    pub(super) fn mute_latecomers(&mut self, now: Instant, events: &[Event]) {
        if self.latecomers.as_ref().is_none_or(|late| now >= late.until) {
            self.latecomers = None;
            return;
        }
        let came = events.iter().filter_map(|event| match event {
            Event::StreamReceived(stream) if stream.has_audio => Some(stream.id.clone()),
            _ => None,
        });
        let Self { state: State::Connected(live), latecomers: Some(late), .. } = self else { return };
        let is_back = |id: &String| !live.roster.is_missing(id);
        let came: Vec<String> = came.chain(late.missing.extract_if(.., |id| is_back(id))).collect();
        let meant = came.iter().filter(|id| !late.excluded.contains(id));
        let meant: Vec<String> = meant.cloned().collect();
        meant.iter().for_each(|id| self.call_to_mute(id));
    }

    /// Whether what is published now starts muted: by the room's mode, or by this client's own word that is still on its way.
    pub(super) fn starts_muted(&self, now: Instant) -> bool {
        let has_called = self.latecomers.as_ref().is_some_and(|late| now < late.until);
        has_called || self.live().is_some_and(Live::is_mute_forced)
    }

    pub(super) fn room_changed(&mut self, room: &Room) {
        let Some(live) = self.live_mut() else { return };
        let before = mute_mode::times(&live.metadata);
        let events = live.room_update(room);
        // Another moderator has ended it; not the end before this client's own beginning, which comes late.
        if !live.is_mute_forced() && before >= self.mutes {
            self.latecomers = None;
        }
        self.say_or_hold(events);
    }

    fn call_for_mode(&mut self, is_on: bool) {
        let State::Connected(live) = &self.state else { return };
        // The last call may still be on its way.
        let times = mute_mode::times(&live.metadata).max(self.mutes).saturating_add(1);
        let metadata = mute_mode::with_times(&live.metadata, if is_on { times } else { 0 });
        self.mutes = times;
        self.call(Call::UpdateRoomMetadata { room: self.room(), metadata });
    }

    fn room(&self) -> String {
        self.config.room.as_ref().unwrap_or(&self.config.session_id).clone()
    }

    fn call(&mut self, call: Call) {
        let (token, address) = (self.token().to_owned(), self.elsewhere.current());
        self.push(Output::Call { call, token, address });
    }
}

fn identity(live: &Live, connection_id: &str) -> Option<String> {
    let own = Some(&live.own).filter(|own| own.id == connection_id);
    own.or_else(|| live.roster.find(connection_id)).map(|connection| connection.identity.clone())
}
