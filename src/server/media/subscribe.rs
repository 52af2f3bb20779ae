//! Subscribing: a track gets a section of the subscriber's connection.

use std::collections::BTreeSet;
use std::time::Instant;

use super::super::core::LinkId;
use super::super::participant::{Key, Participant, Standing};
use super::super::room::Room;
use super::super::shared::{Seat, Shared};
use super::super::turns::TRACKS_MAX;
use super::down::{Down, Path};
use super::share::{SUBSCRIPTIONS_MAX, Share};
use super::{Media, TrackKey, allocate, dynacast, forward};
use crate::rtc::{Codec, MediaKind, Sending};
use crate::signal::proto::signal_response::Message;
use crate::signal::proto::{
    AudioTrackFeature, SessionDescription, SpeakerInfo, SpeakersChanged, SubscriptionError,
    SubscriptionPermissionUpdate, SubscriptionResponse, TrackSubscribed, UpdateSubscription,
    UpdateTrackSettings,
};

/// A participant subscribes to tracks, or ends that.
pub fn update(
    room: &mut Room,
    shared: &mut Shared,
    now: Instant,
    link: LinkId,
    key: Key,
    wanted: &UpdateSubscription,
) {
    let grouped = wanted.participant_tracks.iter().flat_map(|tracks| &tracks.track_sids);
    for sid in wanted.track_sids.iter().chain(grouped).take(TRACKS_MAX) {
        let track = room.media.as_ref().and_then(|media| media.by_sid(sid));
        match track {
            Some(track) if wanted.subscribe => subscribe(room, shared, now, key, track),
            Some(track) => unsubscribe(room, shared, now, key, track),
            None if wanted.subscribe => {
                refuse(shared, link, sid, SubscriptionError::SeTrackNotfound);
            }
            // It has ended, and so has the subscription.
            None => {}
        }
    }
}

fn refuse(shared: &mut Shared, link: LinkId, sid: &str, error: SubscriptionError) {
    let response = SubscriptionResponse { track_sid: sid.into(), err: error.into() };
    shared.send(link, Message::SubscriptionResponse(response));
}

pub fn subscribe(room: &mut Room, shared: &mut Shared, now: Instant, key: Key, track: TrackKey) {
    let Room { media: Some(media), participants, .. } = room else { return };
    let Some(known) = media.tracks.get_mut(&track) else { return };
    let publisher = participants.get(&known.publisher).map(|one| one.sid.clone()).unwrap_or_default();
    let Some(participant) = participants.get_mut(&key) else { return };
    let (link, is_allowed) = (participant.link(), participant.permission.can_subscribe);
    let share = participant.share();
    if !is_allowed && share.wishes.len() < SUBSCRIPTIONS_MAX {
        share.wishes.insert(track);
    }
    let is_news = !is_allowed || share.wishes.remove(&track);
    if let Some(link) = link.filter(|_| is_news) {
        let update = SubscriptionPermissionUpdate {
            participant_sid: publisher,
            track_sid: known.sid.to_string(),
            allowed: is_allowed,
        };
        shared.send(link, Message::SubscriptionPermissionUpdate(update));
    }
    if !is_allowed {
        return;
    }
    if share.downs.contains_key(&track) {
        return;
    }
    if share.downs.len() >= SUBSCRIPTIONS_MAX {
        if let Some(link) = link {
            refuse(shared, link, &known.sid, SubscriptionError::SeUnknown);
        }
        return;
    }
    share.downs.insert(track, Down::new(known.publisher, known.kind));
    share.is_unwired = true;
    share.failures = 0;
    known.subscribers.push(key);
    allocate::choose(room, shared, now, key);
    dynacast::review(room, shared, now, track);
    shared.restless.push_back(Seat { room: room.name.clone(), key });
}

fn unsubscribe(room: &mut Room, shared: &mut Shared, now: Instant, key: Key, track: TrackKey) {
    if let Some(share) = room.participants.get_mut(&key).and_then(|one| one.share.as_mut()) {
        share.wishes.remove(&track);
    }
    let Some(known) = room.media.as_mut().and_then(|media| media.tracks.get_mut(&track)) else { return };
    known.subscribers.retain(|subscriber| *subscriber != key);
    let publisher = known.publisher;
    drop_down(room, shared, now, key, track);
    dynacast::review(room, shared, now, track);
    // Who speaks is told to those who listen; who does not listen any more cannot hear the end of it.
    let Some(participant) = room.participants.get(&key) else { return };
    let listens = participant.share.as_ref().is_some_and(|share| share.hears(publisher));
    if let (Some(link), false, Some(speaker)) =
        (participant.link(), listens, room.participants.get(&publisher))
    {
        let speaker = SpeakerInfo { sid: speaker.sid.clone(), level: 0.0, active: false };
        shared.send(link, Message::SpeakersChanged(SpeakersChanged { speakers: vec![speaker] }));
    }
}

/// The track comes in another codec: its subscribers are offered new sections for it.
pub fn recode(room: &mut Room, shared: &mut Shared, now: Instant, track: TrackKey) {
    let Room { media: Some(media), participants, name, .. } = room else { return };
    let Some(known) = media.tracks.get(&track) else { return };
    for key in &known.subscribers {
        let Some(participant) = participants.get_mut(key) else { continue };
        let Some(share) = participant.share.as_mut() else { continue };
        let Some(down) = share.downs.get_mut(&track) else { continue };
        down.restart();
        down.path = Path::Closed;
        share.is_unwired = true;
        if let Some(section) = down.section.take() {
            share.sections.remove(&section);
            if let Some(peer) = participant.peers.as_mut().and_then(|peers| peers.subscriber_mut()) {
                peer.stop_sending(now, section);
            }
        }
        shared.restless.push_back(Seat { room: name.clone(), key: *key });
    }
}

/// The subscriber's half of the end of a subscription.
pub fn drop_down(room: &mut Room, shared: &mut Shared, now: Instant, key: Key, track: TrackKey) {
    let Some(participant) = room.participants.get_mut(&key) else { return };
    let Some(share) = participant.share.as_mut() else { return };
    share.settings.remove(&track);
    let Some(down) = share.downs.remove(&track) else { return };
    if let Some(section) = down.section {
        share.sections.remove(&section);
        if let Some(peer) = participant.peers.as_mut().and_then(|peers| peers.subscriber_mut()) {
            peer.stop_sending(now, section);
        }
    }
    allocate::choose(room, shared, now, key);
    shared.restless.push_back(Seat { room: room.name.clone(), key });
}

/// What a participant wishes for tracks: off, or a size and a frame rate.
pub fn set(room: &mut Room, shared: &mut Shared, now: Instant, key: Key, settings: &UpdateTrackSettings) {
    // They are kept for each track, so without the names of all of them.
    let wished = UpdateTrackSettings { track_sids: Vec::new(), ..*settings };
    let mut tracks = BTreeSet::new();
    for sid in settings.track_sids.iter().take(TRACKS_MAX) {
        let Some(track) = room.media.as_ref().and_then(|media| media.by_sid(sid)) else { continue };
        let Some(participant) = room.participants.get_mut(&key) else { return };
        let share = participant.share();
        // Nothing is remembered of more tracks than may be subscribed to.
        if share.settings.len() >= 2 * SUBSCRIPTIONS_MAX && !share.settings.contains_key(&track) {
            continue;
        }
        share.settings.insert(track, wished.clone());
        tracks.insert(track);
    }
    if !tracks.is_empty() {
        allocate::choose(room, shared, now, key);
    }
    for track in tracks {
        dynacast::review(room, shared, now, track);
    }
}

/// Everybody who wants everything gets what this participant publishes.
pub fn invite(room: &mut Room, shared: &mut Shared, now: Instant, publisher: Key) {
    let is_visible = room.participants.get(&publisher).is_some_and(Participant::is_visible);
    let Some(media) = room.media.as_ref().filter(|_| is_visible) else { return };
    let own = media.tracks.iter().filter(|(_, track)| track.publisher == publisher);
    let tracks: Vec<TrackKey> = own.map(|(key, _)| *key).collect();
    let wants = |participant: &Participant| {
        participant.auto_subscribe
            && participant.permission.can_subscribe
            && participant.standing == Standing::Active
    };
    // Nobody gets what is its own without having asked for it.
    let guests =
        room.participants.iter().filter(|(key, participant)| **key != publisher && wants(participant));
    let guests: Vec<Key> = guests.map(|(key, _)| *key).collect();
    for guest in guests {
        for track in &tracks {
            subscribe(room, shared, now, guest, *track);
        }
    }
}

/// A participant has come, or may subscribe from now on.
pub fn arrive(room: &mut Room, shared: &mut Shared, now: Instant, key: Key) {
    let Some(participant) = room.participants.get(&key) else { return };
    if !participant.auto_subscribe || !participant.permission.can_subscribe {
        return;
    }
    let Some(media) = room.media.as_ref() else { return };
    let is_visible = |publisher: &Key| room.participants.get(publisher).is_some_and(Participant::is_visible);
    let others =
        media.tracks.iter().filter(|(_, track)| track.publisher != key && is_visible(&track.publisher));
    let tracks: Vec<TrackKey> = others.map(|(track, _)| *track).collect();
    for track in tracks {
        subscribe(room, shared, now, key, track);
    }
}

/// A participant may not subscribe any more, or may again. What it wishes for stays the same.
pub fn enforce(room: &mut Room, shared: &mut Shared, now: Instant, key: Key) {
    let Some(participant) = room.participants.get(&key) else { return };
    let (is_allowed, share) = (participant.permission.can_subscribe, participant.share.as_ref());
    let got: Vec<TrackKey> = share.map(|share| share.downs.keys().copied().collect()).unwrap_or_default();
    let wished = share.map(|share| share.wishes.clone()).unwrap_or_default();
    if is_allowed {
        for track in wished {
            subscribe(room, shared, now, key, track);
        }
        return arrive(room, shared, now, key);
    }
    for track in got {
        unsubscribe(room, shared, now, key, track);
        if let Some(share) = room.participants.get_mut(&key).and_then(|one| one.share.as_mut()) {
            share.wishes.insert(track);
        }
    }
}

/// Gives sections to the subscriptions that have none. The offer follows.
pub fn wire(room: &mut Room, shared: &mut Shared, now: Instant, key: Key) {
    let Room { media: Some(media), participants, name, .. } = room else { return };
    let Some(share) = participants.get(&key).and_then(|one| one.share.as_ref()) else { return };
    if !share.is_unwired {
        return;
    }
    let missing = share.downs.iter().filter(|(_, down)| down.section.is_none());
    let missing: Vec<(TrackKey, Sending)> =
        missing.filter_map(|(track, _)| Some((*track, sending(media, participants, *track)?))).collect();
    let seat = Seat { room: name.clone(), key };
    let Some(participant) = participants.get_mut(&key) else { return };
    if !participant.needs_subscriber(shared, now, &seat) {
        return;
    }
    let Participant { share: Some(share), peers: Some(peers), .. } = participant else { return };
    let Some(peer) = peers.subscriber_mut() else { return };
    for (track, sending) in missing {
        match peer.add_sending(now, &sending) {
            Ok(section) => {
                share.sections.insert(section, track);
                if let Some(down) = share.downs.get_mut(&track) {
                    down.section = Some(section);
                }
            }
            Err(error) => log::debug!("server: a track got no section: {error:?}"),
        }
    }
    share.is_unwired = false;
}

/// Says in an offer which section carries which track.
pub fn name_sections(offer: &mut SessionDescription) {
    let mut mid = None;
    for line in offer.sdp.lines() {
        if line.starts_with("m=") {
            mid = None;
        } else if let Some(name) = line.strip_prefix("a=mid:") {
            mid = Some(name.to_owned());
        } else if let Some(sid) = line.strip_prefix("a=msid:").and_then(|words| words.split(' ').nth(1))
            && let Some(mid) = mid.take()
        {
            offer.mid_to_track_id.insert(mid, sid.to_owned());
        }
    }
}

fn sending(
    media: &Media,
    participants: &std::collections::BTreeMap<Key, Participant>,
    track: TrackKey,
) -> Option<Sending> {
    let known = media.tracks.get(&track)?;
    let publisher = participants.get(&known.publisher)?;
    let publications = &publisher.share.as_ref()?.publications;
    let info = &publications.iter().find(|publication| publication.track == track)?.info;
    let stream = if info.stream.is_empty() { &info.sid } else { &info.stream };
    let codecs = match known.codec {
        Some(Codec::Red) => vec![Codec::Opus],
        Some(codec) => vec![codec],
        None if known.kind == MediaKind::Audio => vec![Codec::Opus],
        None => Vec::new(),
    };
    Some(Sending {
        kind: known.kind,
        codecs,
        // As LiveKit's servers put it: whose it is, and what belongs together.
        stream_id: format!("{}|{stream}", publisher.sid),
        track_id: info.sid.clone(),
        layers: Vec::new(),
        is_stereo: info.audio_features.contains(&AudioTrackFeature::TfStereo.into()),
        // Whether there are pauses is for who makes the sound.
        uses_dtx: false,
    })
}

/// Something was agreed on with the subscriber, or its connection is up: what can be sent from now on?
pub fn open(room: &mut Room, shared: &mut Shared, now: Instant, key: Key) {
    let Some(participant) = room.participants.get_mut(&key) else { return };
    let link = participant.link();
    let Participant { share: Some(share), peers: Some(peers), .. } = participant else { return };
    let is_settled = !peers.awaits_answer();
    let Some(peer) = peers.subscriber().filter(|peer| peer.is_connected()) else { return };
    share.failures = 0;
    let mut opened = Vec::new();
    for (track, down) in &mut share.downs {
        let Some(section) = down.section.filter(|_| down.path == Path::Closed) else { continue };
        if peer.sending_codec(section).is_some() {
            down.path = Path::Open;
            opened.push(*track);
        } else if is_settled && !peer.needs_offer() {
            down.path = Path::Unsupported;
            let sid = room.media.as_ref().and_then(|media| Some(media.tracks.get(track)?.sid.clone()));
            if let (Some(link), Some(sid)) = (link, sid) {
                refuse(shared, link, &sid, SubscriptionError::SeCodecUnsupported);
            }
        }
    }
    if opened.is_empty() {
        return;
    }
    let is_hidden = participant.permission.hidden;
    allocate::choose(room, shared, now, key);
    for track in opened {
        forward::ask_for(room, shared, now, key, track);
        if !is_hidden {
            heard_of(room, shared, track);
        }
    }
}

/// A publisher is told of its track's first subscriber.
fn heard_of(room: &mut Room, shared: &mut Shared, track: TrackKey) {
    let Room { media: Some(media), participants, .. } = room else { return };
    let Some(known) = media.tracks.get_mut(&track) else { return };
    if std::mem::replace(&mut known.was_subscribed, true) {
        return;
    }
    if let Some(link) = participants.get(&known.publisher).and_then(Participant::link) {
        shared.send(link, Message::TrackSubscribed(TrackSubscribed { track_sid: known.sid.to_string() }));
    }
}

/// What the publisher sends cannot be decoded by this subscriber.
pub fn unsupported(shared: &mut Shared, participant: &mut Participant, track: TrackKey, sid: &str) {
    let link = participant.link();
    let down = participant.share.as_mut().and_then(|share| share.downs.get_mut(&track));
    let Some(down) = down.filter(|down| down.path == Path::Open) else { return };
    down.path = Path::Unsupported;
    if let Some(link) = link {
        refuse(shared, link, sid, SubscriptionError::SeCodecUnsupported);
    }
}

impl Share {
    /// Whether it has subscribed to anything of this publisher's.
    pub fn hears(&self, publisher: Key) -> bool {
        self.downs.values().any(|down| down.publisher == publisher)
    }
}
