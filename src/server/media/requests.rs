//! What a participant asks for that concerns media.

use std::time::Instant;

use super::super::core::LinkId;
use super::super::participant::Key;
use super::super::room::Room;
use super::super::shared::Shared;
use super::{publish, subscribe};
use crate::signal::proto::request_response::{Reason, Request};
use crate::signal::proto::signal_request::Message as Asked;
use crate::signal::proto::signal_response::Message;
use crate::signal::proto::{
    DisconnectReason, RequestResponse, SyncState, UpdateTrackSettings, leave_request::Action,
};

/// What is about something else is skipped.
pub fn answer(
    room: &mut Room,
    shared: &mut Shared,
    now: Instant,
    wall_ms: i64,
    link: LinkId,
    key: Key,
    message: &Asked,
) {
    match message {
        Asked::AddTrack(request) => {
            publish::announce(room, shared, now, wall_ms, link, key, request.clone());
        }
        Asked::Mute(request) => {
            let has_muted = publish::mute(room, shared, now, key, request).is_some();
            if !has_muted {
                let response = RequestResponse {
                    reason: Reason::NotFound.into(),
                    message: Reason::NotFound.as_str_name().into(),
                    request: Some(Request::Mute(request.clone())),
                    ..Default::default()
                };
                shared.send(link, Message::RequestResponse(response));
            }
        }
        Asked::Subscription(wanted) => subscribe::update(room, shared, now, link, key, wanted),
        Asked::TrackSetting(settings) => subscribe::set(room, shared, now, key, settings),
        Asked::UpdateVideoTrack(update) => {
            publish::resize(room, shared, now, key, &update.track_sid, update.width, update.height);
        }
        Asked::UpdateAudioTrack(update) => {
            publish::refeature(room, shared, now, key, &update.track_sid, &update.features);
        }
        Asked::SyncState(state) => synchronise(room, shared, now, link, key, state),
        // Everybody may subscribe to everything here; the layers of a track are what its description said.
        _ => {}
    }
}

/// A client that came back says what it believes in. A track of its own that is not known here cannot be made up for.
fn synchronise(
    room: &mut Room,
    shared: &mut Shared,
    now: Instant,
    link: LinkId,
    key: Key,
    state: &SyncState,
) {
    let Some(participant) = room.participants.get_mut(&key) else { return };
    let mut knows = |sid: &str| participant.share.as_mut().is_some_and(|share| share.by_sid(sid).is_some());
    let published = state.publish_tracks.iter().map(|published| published.track.as_ref());
    if !published.into_iter().all(|track| track.is_some_and(|track| knows(&track.sid))) {
        let (reason, action) = (DisconnectReason::StateMismatch, Action::Reconnect);
        return room.expel(shared, now, key, reason, action);
    }
    if !state.track_sids_disabled.is_empty() {
        let disabled = UpdateTrackSettings {
            track_sids: state.track_sids_disabled.clone(),
            disabled: true,
            ..Default::default()
        };
        subscribe::set(room, shared, now, key, &disabled);
    }
    if let Some(wanted) = &state.subscription {
        subscribe::update(room, shared, now, link, key, wanted);
    }
}
