//! From the publisher's section to those of the subscribers: the way of every packet.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::participant::{Key, Participant};
use super::super::room::Room;
use super::super::shared::{Seat, Shared};
use super::down::Seen;
use super::track::{self, Track};
use super::vp8::Descriptor;
use super::{TrackKey, allocate, dynacast, payload, subscribe};
use crate::rtc::{Codec, MediaKind, PacketIn, Section, SendError};

/// When a publisher's clock was read, on our own: by it sound and picture of one publisher stay together for its
/// subscribers.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    wall_us: i64,
    at: Instant,
}

/// A packet of a publisher.
pub fn packet(room: &mut Room, shared: &mut Shared, now: Instant, key: Key, packet: &PacketIn) {
    let Room { media: Some(media), participants, .. } = room else {
        shared.counters.packets_of_strangers += 1;
        return;
    };
    let share = participants.get_mut(&key).and_then(|one| one.share.as_mut());
    let Some(track_key) = share.and_then(|share| Some(share.by_section(packet.section)?.track)) else {
        shared.counters.packets_of_strangers += 1;
        return;
    };
    let Some(track) = media.tracks.get_mut(&track_key) else { return };
    let Some(layer) = track.layer(packet.layer) else { return };
    let Some((codec, bytes)) = content(packet) else { return };
    let descriptor = if codec == Codec::Vp8 { Descriptor::read(&bytes) } else { None };
    let is_key = payload::begins_key_frame(codec, &bytes);
    let was_sent = track.is_sent(layer);
    track.layers[layer].count(packet, descriptor.map_or(0, |found| found.temporal));
    if !was_sent {
        // A layer that was not there may be what somebody waits for, and it begins with a key frame.
        for subscriber in track.subscribers.clone() {
            allocate::choose(room, shared, now, subscriber);
        }
    }
    let Room { media: Some(media), participants, name, .. } = room else { return };
    let Some(track) = media.tracks.get_mut(&track_key) else { return };
    if let Some(level) = packet.audio_level {
        track.loudness.hear(level.level_dbov, packet.timestamp);
    }
    if is_key && track.kind == MediaKind::Video {
        track.layers[layer].got_key();
    }
    let before = track.codec.replace(codec);
    let has_changed = before != Some(codec);
    // Sound goes out as Opus, whatever it comes in.
    let is_another = has_changed && before.is_some() && track.kind == MediaKind::Video;
    let is_recoded = is_another && track.recodings < RECODINGS_MAX;
    track.recodings += u8::from(is_recoded);
    if !track.is_muted && !is_recoded {
        let wall_us = wall(packet, track.kind);
        let captured = captured(media.clocks.entry(key), packet.received, wall_us);
        let seen = Seen { packet, codec, payload: &bytes, layer, descriptor, is_key, wall_us, captured };
        let mut wants_key = false;
        for subscriber in &track.subscribers {
            let Some(participant) = participants.get_mut(subscriber) else { continue };
            let is_sent = hand_on(shared, now, participant, track_key, &track.sid, &seen, &mut wants_key);
            if is_sent {
                shared.restless.push_back(Seat { room: name.clone(), key: *subscriber });
            }
        }
        let wants_key = wants_key && track.layers[layer].wants_key(now);
        if wants_key || track.layers[layer].wanted_key(now) {
            ask(participants.get_mut(&key), now, track, layer);
        }
    }
    if has_changed {
        name_codec(room, shared, now, key, track_key, packet.codec);
    }
    if is_recoded {
        subscribe::recode(room, shared, now, track_key);
    }
}

/// How much of a picture may wait for its subscriber's network. Where it carries much less than is sent all the rest would
/// wait behind it, for many times as long as it took to come.
const UNSENT_MAX: Duration = Duration::from_millis(700);

/// That much may wait anyway: a key frame of the smallest layers.
const UNSENT_MIN_BYTES: usize = 40 << 10;

/// How often a track may come in another codec than before, or than was announced. Each time its subscribers have to agree
/// anew; who changes more often is not followed.
const RECODINGS_MAX: u8 = 8;

/// What is to be forwarded: subscribers are sent Opus without redundancy.
fn content(packet: &PacketIn) -> Option<(Codec, Arc<[u8]>)> {
    match packet.codec {
        Codec::Red => Some((Codec::Opus, Arc::from(payload::red_primary(&packet.payload)?))),
        codec => Some((codec, packet.payload.clone())),
    }
}

/// The publisher's clock at the packet, in microseconds, if its reports tell.
fn wall(packet: &PacketIn, kind: MediaKind) -> Option<i64> {
    let report = packet.sender_report?;
    let clock_hz: i128 = if kind == MediaKind::Audio { 48_000 } else { 90_000 };
    let ticks = i128::from(packet.timestamp) - i128::from(report.timestamp);
    i64::try_from(i128::from(report.wall_us) + ticks * 1_000_000 / clock_hz).ok()
}

/// When the packet's content was made, on our clock.
fn captured(
    clock: std::collections::btree_map::Entry<'_, Key, Clock>,
    received: Instant,
    wall_us: Option<i64>,
) -> Instant {
    let Some(wall_us) = wall_us else { return received };
    let clock = clock.or_insert(Clock { wall_us, at: received });
    let since = wall_us.saturating_sub(clock.wall_us);
    let distance = Duration::from_micros(since.unsigned_abs());
    let captured = if since < 0 { clock.at.checked_sub(distance) } else { clock.at.checked_add(distance) };
    match captured {
        Some(captured) if captured <= received => captured,
        // It came faster than any before it: the clock is read anew.
        _ => {
            *clock = Clock { wall_us, at: received };
            received
        }
    }
}

fn hand_on(
    shared: &mut Shared,
    now: Instant,
    participant: &mut Participant,
    track: TrackKey,
    sid: &str,
    seen: &Seen<'_>,
    wants_key: &mut bool,
) -> bool {
    let Participant { share: Some(share), peers: Some(peers), .. } = participant else { return false };
    let Some(down) = share.downs.get_mut(&track) else { return false };
    let Some(section) = down.section else {
        *wants_key |= !seen.is_key && down.waits_for(seen.layer);
        return false;
    };
    let Some(peer) = peers.subscriber_mut() else { return false };
    if down.kind == MediaKind::Video && down.begins(seen) {
        let unsent = peer.unsent_bytes(section);
        down.is_full = unsent > UNSENT_MIN_BYTES && share.budget.carries(unsent) > UNSENT_MAX;
    }
    if down.is_full {
        // What came now would be as late. It goes on with a key frame when there is room.
        down.current = None;
        return false;
    }
    *wants_key |= !seen.is_key && down.waits_for(seen.layer);
    let Some(out) = down.take(seen) else { return false };
    share.budget.count(now, down.kind, out.payload.len());
    match peer.send_packet(now, section, None, out) {
        Ok(()) => true,
        Err(SendError::NotOpen) => {
            // It may be down for a moment; a codec that was not agreed on is for good.
            if peer.is_connected() && peer.sending_codec(section).is_some() {
                subscribe::unsupported(shared, participant, track, sid);
            }
            true
        }
        Err(error) => {
            shared.counters.packets_dropped += 1;
            log::debug!("server: a packet was not forwarded: {error:?}");
            true
        }
    }
}

/// Asks the publisher for a key frame of a layer.
fn ask(publisher: Option<&mut Participant>, now: Instant, track: &Track, layer: usize) {
    let peer = publisher.and_then(|one| one.peers.as_mut()).and_then(|peers| peers.publisher_mut());
    let (Some(peer), Some(stream)) = (peer, track.layers.get(layer)) else { return };
    peer.request_key_frame(now, track.section, stream.name);
}

/// A subscriber cannot go on without a key frame.
pub fn key_wanted(room: &mut Room, shared: &mut Shared, now: Instant, key: Key, section: Section) {
    let share = room.participants.get(&key).and_then(|one| one.share.as_ref());
    let Some(track) = share.and_then(|share| share.sections.get(&section).copied()) else { return };
    ask_for(room, shared, now, key, track);
}

/// Asks for a key frame of the layer that goes to the subscriber, or should.
pub fn ask_for(room: &mut Room, shared: &mut Shared, now: Instant, subscriber: Key, track: TrackKey) {
    let Room { media: Some(media), participants, name, .. } = room else { return };
    let Some(track_known) = media.tracks.get_mut(&track) else { return };
    let share = participants.get(&subscriber).and_then(|one| one.share.as_ref());
    let Some(down) = share.and_then(|share| share.downs.get(&track)) else { return };
    if down.kind != MediaKind::Video || track_known.is_muted {
        return;
    }
    let Some(layer) = down.target.map(|target| target.layer) else { return };
    let may = track_known.layers.get_mut(layer).is_some_and(|stream| stream.wants_key(now));
    if may {
        let publisher = track_known.publisher;
        ask(participants.get_mut(&publisher), now, track_known, layer);
        shared.restless.push_back(Seat { room: name.clone(), key: publisher });
    }
}

/// The first packet tells which codec a track has.
fn name_codec(room: &mut Room, shared: &mut Shared, now: Instant, key: Key, track: TrackKey, codec: Codec) {
    let Some(participant) = room.participants.get_mut(&key) else { return };
    let Some(share) = participant.share.as_mut() else { return };
    let Some(publication) = share.publications.iter_mut().find(|known| known.track == track) else { return };
    let mime_type = track::mime_type(codec);
    if !publication.info.mime_type.eq_ignore_ascii_case(mime_type) {
        publication.info.mime_type = mime_type.into();
        if let [only] = publication.info.codecs.as_mut_slice() {
            only.mime_type = mime_type.into();
        }
        participant.version += 1;
        room.announce(shared, now, key, false);
    }
    dynacast::review(room, shared, now, track);
}
