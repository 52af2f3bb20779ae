//! Publishing: a track is announced, tied to a section of its client's offer, muted, and ended.

use std::time::Instant;

use prost::Message as _;

use super::super::config::METADATA_SIZE_MAX;
use super::super::core::LinkId;
use super::super::participant::{Key, Participant};
use super::super::room::Room;
use super::super::shared::{Seat, Shared};
use super::super::sids::is_track_sid;
use super::describe::{self, FEATURES_MAX};
use super::dynacast::{self, Told};
use super::share::{PUBLICATIONS_MAX, Publication, Share, Standing};
use super::speakers::Loudness;
use super::subscribe;
use super::track::{self, Track};
use super::{Media, TrackKey, tick};
use crate::rtc::{MediaKind, SectionInfo};
use crate::signal::proto::request_response::{Reason, Request};
use crate::signal::proto::signal_response::Message;
use crate::signal::proto::{
    AddTrackRequest, MuteTrackRequest, ParticipantPermission, RequestResponse, TrackInfo,
    TrackPublishedResponse, TrackType, TrackUnpublishedResponse,
};

/// The largest announcement of a track, as encoded. An ordinary one has a few hundred bytes.
const ANNOUNCEMENT_SIZE_MAX: usize = 16 << 10;

/// How much all tracks of a participant may say of themselves: everybody is told all of it with each change.
const TRACKS_SIZE_MAX: usize = METADATA_SIZE_MAX;

/// How many sections are remembered that send something nobody has announced yet.
const STRANGERS_MAX: usize = 64;

/// The client wants to publish a track.
pub fn announce(
    room: &mut Room,
    shared: &mut Shared,
    now: Instant,
    wall_ms: i64,
    link: LinkId,
    key: Key,
    request: AddTrackRequest,
) {
    let published = match check(room, key, &request) {
        Err(reason) => Err(reason),
        Ok(()) if request.sid.is_empty() || keeps_sid(room, key, &request.sid) => {
            Ok(add(room, shared, now, wall_ms, key, &request))
        }
        Ok(()) => {
            retype(room, shared, now, key, &request);
            known(room, key, &request).ok_or(Reason::NotFound)
        }
    };
    let message = match published {
        Ok(Some(info)) => {
            Message::TrackPublished(TrackPublishedResponse { cid: request.cid.clone(), track: Some(info) })
        }
        Ok(None) => refusal(Reason::Queued, request.clone()),
        Err(reason) => refusal(reason, request.clone()),
    };
    shared.send(link, message);
    if let Some(stranger) = take_stranger(room, key, &request) {
        section(room, shared, now, key, stranger);
    }
}

pub fn refusal(reason: Reason, request: AddTrackRequest) -> Message {
    Message::RequestResponse(RequestResponse {
        reason: reason.into(),
        message: reason.as_str_name().into(),
        request: Some(Request::AddTrack(request)),
        ..Default::default()
    })
}

fn check(room: &mut Room, key: Key, request: &AddTrackRequest) -> Result<(), Reason> {
    let participant = room.participants.get_mut(&key).ok_or(Reason::NotFound)?;
    if !may_publish(&participant.permission, request.source) {
        return Err(Reason::NotAllowed);
    }
    if !matches!(TrackType::try_from(request.r#type), Ok(TrackType::Audio | TrackType::Video)) {
        return Err(Reason::UnsupportedType);
    }
    let share = participant.share();
    let is_known = !request.sid.is_empty() && share.by_sid(&request.sid).is_some();
    let told: usize = share.publications.iter().map(|known| known.info.encoded_len()).sum();
    let size = request.encoded_len();
    let is_full =
        !is_known && (share.publications.len() >= PUBLICATIONS_MAX || told + size > TRACKS_SIZE_MAX);
    if is_full || size > ANNOUNCEMENT_SIZE_MAX {
        return Err(Reason::LimitExceeded);
    }
    Ok(())
}

/// An empty list of sources allows all.
fn may_publish(permission: &ParticipantPermission, source: i32) -> bool {
    let sources = &permission.can_publish_sources;
    permission.can_publish && (sources.is_empty() || sources.contains(&source))
}

/// A client of this library that had to join anew keeps the sids of its tracks, so that those who watch it notice
/// nothing, unless another track has taken one meanwhile.
fn keeps_sid(room: &mut Room, key: Key, sid: &str) -> bool {
    let is_inline = room.participants.get(&key).is_some_and(|participant| participant.is_inline);
    is_inline && is_track_sid(sid) && !is_taken(room, sid)
}

fn is_taken(room: &mut Room, sid: &str) -> bool {
    let mut shares = room.participants.values_mut().filter_map(|participant| participant.share.as_mut());
    shares.any(|share| share.by_sid(sid).is_some())
}

/// A sid that no track in the room has.
fn fresh_sid(room: &mut Room, shared: &mut Shared, request: &AddTrackRequest) -> String {
    loop {
        let sid = shared.sids.track(request.r#type(), request.source());
        if !is_taken(room, &sid) {
            return sid;
        }
    }
}

/// A client of this library shows something else on a track from now on: its screen, say, in place of a camera.
fn retype(room: &mut Room, shared: &mut Shared, now: Instant, key: Key, request: &AddTrackRequest) {
    if !room.participants.get(&key).is_some_and(|participant| participant.is_inline) {
        return;
    }
    change(room, shared, now, key, &request.sid, |info| {
        let is_news = info.r#type == request.r#type && info.source != request.source;
        if is_news {
            info.source = request.source;
        }
        is_news
    });
}

/// A further codec for a track that is published already. It is not used; the track stays as it is.
fn known(room: &mut Room, key: Key, request: &AddTrackRequest) -> Option<Option<TrackInfo>> {
    let share = room.participants.get_mut(&key)?.share.as_mut()?;
    share.by_sid(&request.sid).map(|publication| Some(publication.info.clone()))
}

/// `None` when it has to wait for the end of another track with its client id.
fn add(
    room: &mut Room,
    shared: &mut Shared,
    now: Instant,
    wall_ms: i64,
    key: Key,
    request: &AddTrackRequest,
) -> Option<TrackInfo> {
    let track = room.media(now).next_key();
    let sid = match request.sid.is_empty() {
        true => fresh_sid(room, shared, request),
        false => request.sid.clone(),
    };
    let share = room.participants.get_mut(&key)?.share();
    let known = share.publications.iter().find(|known| known.cid == request.cid);
    let standing = match known.map(|known| known.standing) {
        Some(Standing::Announced) => return known.map(|known| known.info.clone()),
        Some(_) => Standing::Queued,
        None => Standing::Announced,
    };
    let info = describe::track(sid, wall_ms, request);
    share.publications.push(Publication { track, cid: request.cid.clone(), info: info.clone(), standing });
    (standing == Standing::Announced).then_some(info)
}

/// A section that came before the announcement of what it carries.
fn take_stranger(room: &mut Room, key: Key, request: &AddTrackRequest) -> Option<SectionInfo> {
    let share = room.participants.get_mut(&key)?.share.as_mut()?;
    let kind = if request.r#type() == TrackType::Video { MediaKind::Video } else { MediaKind::Audio };
    let named = share.strangers.iter().position(|stranger| stranger.track_id == request.cid);
    let found = named.or_else(|| share.strangers.iter().position(|stranger| stranger.kind == kind))?;
    Some(share.strangers.swap_remove(found))
}

/// The client's description says something new of a section.
pub fn section(room: &mut Room, shared: &mut Shared, now: Instant, key: Key, info: SectionInfo) {
    let Some(participant) = room.participants.get_mut(&key) else { return };
    if participant.share.is_none() && !info.is_sending {
        return;
    }
    let share = participant.share();
    share.strangers.retain(|stranger| stranger.section != info.section);
    let old = share.by_section(info.section).map(|old| (old.track, is_named(old, &info)));
    match old {
        Some((track, true)) if info.is_sending => return relayer(room, track, &info),
        Some((track, _)) => end(room, shared, now, key, track, false),
        None => {}
    }
    if !info.is_sending {
        return;
    }
    let Some(share) = room.participants.get_mut(&key).and_then(|one| one.share.as_mut()) else { return };
    let waits = |publication: &&mut Publication| {
        matches!(publication.standing, Standing::Announced | Standing::Orphaned(_))
    };
    let has_name = share.publications.iter_mut().filter(waits).any(|waiting| is_named(waiting, &info));
    let found = share
        .publications
        .iter_mut()
        .filter(waits)
        .find(|waiting| if has_name { is_named(waiting, &info) } else { waiting.kind() == info.kind });
    match found.map(|found| found.track) {
        Some(track) => go_live(room, shared, now, key, track, &info),
        None if share.strangers.len() < STRANGERS_MAX => share.strangers.push(info),
        None => {}
    }
}

/// Whether the section carries this track, by the client's own name for it.
fn is_named(publication: &Publication, info: &SectionInfo) -> bool {
    publication.kind() == info.kind
        && (publication.cid == info.track_id
            || publication
                .info
                .codecs
                .iter()
                .any(|codec| !codec.cid.is_empty() && codec.cid == info.track_id))
}

/// The layers of a section that stays.
fn relayer(room: &mut Room, track: TrackKey, info: &SectionInfo) {
    let Room { media: Some(media), participants, .. } = room else { return };
    let Some(track) = media.tracks.get_mut(&track) else { return };
    let names = |track: &Track| track.layers.iter().filter_map(|layer| layer.name).collect::<Vec<_>>();
    let (mut before, mut after) = (names(track), info.layers.clone());
    before.sort();
    after.sort();
    if before == after {
        return;
    }
    let publication = participants.get_mut(&track.publisher).and_then(|one| one.share.as_mut());
    let Some(publication) = publication.and_then(|share| share.by_section(info.section)) else { return };
    track.layers = track::layers(&publication.info, &info.layers);
}

fn go_live(
    room: &mut Room,
    shared: &mut Shared,
    now: Instant,
    key: Key,
    track: TrackKey,
    info: &SectionInfo,
) {
    let Some(participant) = room.participants.get_mut(&key) else { return };
    let mid = participant.peers.as_ref().and_then(|peers| peers.publisher()?.mid(info.section));
    let share = participant.share();
    let Some(publication) = share.publications.iter_mut().find(|known| known.track == track) else { return };
    let was_public = publication.is_public();
    publication.standing = Standing::Live(info.section);
    publication.info.mid = mid.unwrap_or_default();
    let layers = track::layers(&publication.info, &info.layers);
    let (sid, kind, is_muted) =
        (publication.info.sid.as_str().into(), publication.kind(), publication.info.muted);
    let codec = track::codec_of(&publication.info.mime_type);
    let subscribers = match room.media(now).tracks.get_mut(&track) {
        Some(known) => {
            known.section = info.section;
            known.layers = layers;
            known.subscribers.clone()
        }
        None => {
            let fresh = Track {
                sid,
                publisher: key,
                kind,
                section: info.section,
                is_muted,
                codec,
                recodings: 0,
                layers,
                subscribers: Vec::new(),
                was_subscribed: false,
                loudness: Loudness::default(),
                told: Told::default(),
                sent: Vec::new(),
            };
            let media: &mut Media = room.media(now);
            media.sids.insert(fresh.sid.clone(), track);
            media.tracks.insert(track, fresh);
            Vec::new()
        }
    };
    for subscriber in subscribers {
        let share = room.participants.get_mut(&subscriber).and_then(|one| one.share.as_mut());
        if let Some(down) = share.and_then(|share| share.downs.get_mut(&track)) {
            down.restart();
        }
    }
    if !was_public {
        if let Some(participant) = room.participants.get_mut(&key) {
            participant.version += 1;
        }
        room.announce(shared, now, key, false);
        subscribe::invite(room, shared, now, key);
    }
    dynacast::review(room, shared, now, track);
    tick::schedule(room, shared, now);
}

/// A track ends: its section stopped, its participant may not publish it any more, or its connection did not come back.
pub fn end(room: &mut Room, shared: &mut Shared, now: Instant, key: Key, track: TrackKey, is_ours: bool) {
    let Some(participant) = room.participants.get_mut(&key) else { return };
    let (link, is_inline) = (participant.link(), participant.is_inline);
    let Some(share) = participant.share.as_mut() else { return };
    let Some(index) = share.publications.iter().position(|known| known.track == track) else { return };
    let ended = share.publications.remove(index);
    let next = share
        .publications
        .iter_mut()
        .find(|waiting| waiting.standing == Standing::Queued && waiting.cid == ended.cid)
        .map(|waiting| {
            waiting.standing = Standing::Announced;
            TrackPublishedResponse { cid: waiting.cid.clone(), track: Some(waiting.info.clone()) }
        });
    if ended.is_public() {
        participant.version += 1;
        forget(room, shared, now, track);
        room.announce(shared, now, key, false);
    }
    let Some(link) = link else { return };
    // LiveKit's clients are told when it was not their own doing; ours always.
    if is_ours || is_inline {
        shared.send(link, Message::TrackUnpublished(TrackUnpublishedResponse { track_sid: ended.info.sid }));
    }
    if let Some(next) = next {
        shared.send(link, Message::TrackPublished(next));
    }
}

/// Takes the track away from everybody who gets it.
fn forget(room: &mut Room, shared: &mut Shared, now: Instant, track: TrackKey) {
    let Some(media) = room.media.as_mut() else { return };
    let Some(gone) = media.tracks.remove(&track) else { return };
    media.sids.remove(&gone.sid);
    for subscriber in gone.subscribers {
        subscribe::drop_down(room, shared, now, subscriber, track);
    }
    // Something was wished for it by some who never got it.
    for share in room.participants.values_mut().filter_map(|participant| participant.share.as_mut()) {
        share.settings.remove(&track);
        share.wishes.remove(&track);
    }
}

/// Everything of a participant that leaves, or begins anew. Others learn of its tracks from what they are told of it.
pub fn withdraw(room: &mut Room, shared: &mut Shared, now: Instant, key: Key, share: &Share) {
    for publication in &share.publications {
        forget(room, shared, now, publication.track);
    }
    for track in share.downs.keys() {
        let tracks = room.media.as_mut().and_then(|media| media.tracks.get_mut(track));
        if let Some(known) = tracks {
            known.subscribers.retain(|subscriber| *subscriber != key);
            dynacast::review(room, shared, now, *track);
        }
    }
    if let Some(media) = room.media.as_mut() {
        media.clocks.remove(&key);
        media.speakers.forget(key);
    }
}

/// What a participant may not publish any more ends.
pub fn enforce(room: &mut Room, shared: &mut Shared, now: Instant, key: Key) {
    let Some(participant) = room.participants.get(&key) else { return };
    let Some(share) = participant.share.as_ref() else { return };
    let forbidden =
        |publication: &&Publication| !may_publish(&participant.permission, publication.info.source);
    let ended: Vec<_> = share.publications.iter().filter(forbidden).map(|known| known.track).collect();
    for track in ended {
        end(room, shared, now, key, track, true);
    }
}

/// Mutes a track or not. `None` when there is no such track.
pub fn mute(
    room: &mut Room,
    shared: &mut Shared,
    now: Instant,
    key: Key,
    request: &MuteTrackRequest,
) -> Option<TrackInfo> {
    let share = room.participants.get_mut(&key)?.share.as_mut()?;
    let publication = share.by_sid(&request.sid)?;
    let is_news = publication.info.muted != request.muted;
    publication.info.muted = request.muted;
    let (track, info, is_public) = (publication.track, publication.info.clone(), publication.is_public());
    if is_news && is_public {
        still(room, track, request.muted);
        if let Some(participant) = room.participants.get_mut(&key) {
            participant.version += 1;
        }
        room.announce(shared, now, key, true);
    }
    Some(info)
}

/// The picture has another size from now on, and so have its layers.
pub fn resize(
    room: &mut Room,
    shared: &mut Shared,
    now: Instant,
    key: Key,
    sid: &str,
    width: u32,
    height: u32,
) {
    let track = room.media.as_ref().and_then(|media| media.by_sid(sid));
    let tracks = room.media.as_mut().map(|media| &mut media.tracks);
    if let Some(known) =
        tracks.and_then(|tracks| tracks.get_mut(&track?)).filter(|known| known.publisher == key)
    {
        known.resize(width, height);
    }
    change(room, shared, now, key, sid, |info| {
        let is_news = (info.width, info.height) != (width, height);
        (info.width, info.height) = (width, height);
        is_news
    });
}

/// The sound has other properties from now on.
pub fn refeature(room: &mut Room, shared: &mut Shared, now: Instant, key: Key, sid: &str, features: &[i32]) {
    change(room, shared, now, key, sid, |info| {
        let features: Vec<i32> = features.iter().copied().take(FEATURES_MAX).collect();
        let is_news = info.audio_features != features;
        info.audio_features = features;
        is_news
    });
}

fn change(
    room: &mut Room,
    shared: &mut Shared,
    now: Instant,
    key: Key,
    sid: &str,
    change: impl FnOnce(&mut TrackInfo) -> bool,
) {
    let Some(participant) = room.participants.get_mut(&key) else { return };
    let Some(publication) = participant.share.as_mut().and_then(|share| share.by_sid(sid)) else { return };
    if change(&mut publication.info) && publication.is_public() {
        participant.version += 1;
        room.announce(shared, now, key, true);
    }
}

fn still(room: &mut Room, track: TrackKey, is_muted: bool) {
    let Room { media: Some(media), participants, .. } = room else { return };
    let Some(known) = media.tracks.get_mut(&track) else { return };
    known.is_muted = is_muted;
    known.loudness = Loudness::default();
    for subscriber in &known.subscribers {
        let share = participants.get_mut(subscriber).and_then(|one| one.share.as_mut());
        if let Some(down) = share.and_then(|share| share.downs.get_mut(&track)) {
            down.restart();
        }
    }
}

/// The connection that a participant publishes over is gone. Its tracks wait for another one.
pub fn orphan(room: &mut Room, shared: &mut Shared, now: Instant, key: Key) {
    let Some(share) = room.participants.get_mut(&key).and_then(|one| one.share.as_mut()) else { return };
    share.strangers.clear();
    for publication in &mut share.publications {
        if let Standing::Live(_) = publication.standing {
            publication.standing = Standing::Orphaned(now + super::share::REPAIR_LIMIT);
        }
    }
    shared.restless.push_back(Seat { room: room.name.clone(), key });
}

/// Ends what nobody came back for.
pub fn expire(room: &mut Room, shared: &mut Shared, now: Instant) {
    let late = |publication: &&Publication| matches!(publication.standing, Standing::Orphaned(until) if now >= until);
    let of = |(key, participant): (&Key, &Participant)| -> Vec<(Key, TrackKey)> {
        let share: Option<&Share> = participant.share.as_deref();
        let publications = share.map_or(&[][..], |share| &share.publications);
        publications.iter().filter(late).map(|publication| (*key, publication.track)).collect()
    };
    let ended: Vec<(Key, TrackKey)> = room.participants.iter().flat_map(of).collect();
    for (key, track) in ended {
        end(room, shared, now, key, track, true);
    }
}
