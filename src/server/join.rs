//! How a link becomes a participant: a new one, one that was away, or one that another server knew.

use std::time::Instant;

use super::claims::Admission;
use super::config::{JOIN_LIMIT, PING_INTERVAL, PING_TIMEOUT, STALE_AFTER};
use super::core::LinkId;
use super::data;
use super::media::{allocate, publish, quality, subscribe};
use super::participant::{Key, Participant, Presence, Standing};
use super::peers::{self, Peers};
use super::queue::Unconfirmed;
use super::room::Room;
use super::shared::{Seat, Shared};
use super::sids::is_participant_sid;
use super::timers::Timer;
use crate::signal::frame::FromServer;
use crate::signal::join::PROTOCOL;
use crate::signal::proto::signal_response::Message;
use crate::signal::proto::{
    DisconnectReason, JoinResponse, ParticipantUpdate, ReconnectResponse, ServerInfo, leave_request::Action,
};

/// The version of LiveKit's server whose features a client may count on. Clients refuse to call each other (RPC) below
/// 1.8.0; the calls are data packets, which travel here as they do there. Later versions promise things about media.
const LIVEKIT_VERSION: &str = "1.8.0";

/// What a client's `keep_sid` comes to.
enum Kept {
    /// It may have the sid.
    Free(String),
    /// It is the participant of that sid, which lost its link.
    Replaces(Key),
    /// Nothing was asked for, or nothing that can be granted.
    No,
}

/// Whether this link will come in as somebody who is in the room already, and so takes no new place.
pub fn returns(room: &Room, admission: &Admission, now: Instant) -> bool {
    let query = &admission.query;
    query.resume_sid.is_some()
        || matches!(kept(room, admission, now), Kept::Replaces(_))
        // A LiveKit client takes the place of who has its identity: mostly itself, before its link broke.
        || !query.inline_data && room.key_of_identity(&admission.claims.identity).is_some()
}

fn kept(room: &Room, admission: &Admission, now: Instant) -> Kept {
    let Some(sid) = admission.query.keep_sid.as_ref().filter(|sid| is_participant_sid(sid)) else {
        return Kept::No;
    };
    let Some(key) = room.key_of_sid(sid) else {
        // The sid becomes the identity of who has no other.
        let is_taken = room.key_of_identity(sid).is_some() || room.was_of_another(sid, admission.fingerprint);
        return if is_taken { Kept::No } else { Kept::Free(sid.clone()) };
    };
    let Some(participant) = room.participants.get(&key) else { return Kept::No };
    let query = &admission.query;
    let is_same = participant.fingerprint == admission.fingerprint && participant.client == query.client;
    let lost = match participant.presence {
        Presence::Away { .. } => true,
        // A client may know of the end of its link before the server does. One that has no name has to wait for that.
        Presence::Linked { heard, .. } => {
            query.client.is_some() || now.saturating_duration_since(heard) >= STALE_AFTER
        }
    };
    if is_same && lost { Kept::Replaces(key) } else { Kept::No }
}

/// The link of a client comes in.
pub fn join(
    room: &mut Room,
    shared: &mut Shared,
    now: Instant,
    wall_ms: i64,
    link: LinkId,
    admission: Admission,
) {
    if let Some(sid) = admission.query.resume_sid.clone() {
        return resume(room, shared, now, link, &sid, &admission);
    }
    let inline = admission.query.inline_data;
    let (sid, created_ms) = match kept(room, &admission, now) {
        Kept::Replaces(key) => {
            relink(room, shared, now, link, key);
            renew(room, shared, now, key, &admission);
            welcome(room, shared, link, key, inline);
            flush(room, shared, key);
            offer(room, shared, now, key);
            return subscribe::arrive(room, shared, now, key);
        }
        Kept::Free(sid) => (sid, admission.query.keep_created_ms),
        Kept::No => (fresh_sid(room, shared), None),
    };
    let identity = identity(room, shared, now, &sid, &admission);
    // The creation time of a kept session is its client's word, within reason.
    let joined_ms = created_ms.filter(|ms| (1..=wall_ms).contains(ms)).unwrap_or(wall_ms);
    let key = shared.next_key();
    let mut participant = Participant::new(sid, identity, joined_ms, admission, link, now);
    participant.peers = peers(shared, now, inline);
    let has_peers = participant.peers.is_some();
    if has_peers {
        participant.standing = Standing::Joining { until: now + JOIN_LIMIT };
    }
    let was_recorded = room.is_recorded();
    room.participants.insert(key, participant);
    room.stay(shared);
    shared.seats.insert(link, Seat { room: room.name.clone(), key });
    room.watch(shared, key);
    welcome(room, shared, link, key, inline);
    room.announce_recording(shared, was_recorded, Some(key));
    if has_peers {
        offer(room, shared, now, key);
    } else {
        room.announce(shared, now, key, false);
        subscribe::arrive(room, shared, now, key);
    }
}

/// A sid that nobody in the room has brought along.
fn fresh_sid(room: &Room, shared: &mut Shared) -> String {
    loop {
        let sid = shared.sids.participant();
        if room.key_of_sid(&sid).is_none() && room.key_of_identity(&sid).is_none() {
            return sid;
        }
    }
}

/// The client begins anew, and so do its peer connections: the old ones know nothing of its offers. What it published
/// ends, and what it had subscribed to.
fn renew(room: &mut Room, shared: &mut Shared, now: Instant, key: Key, admission: &Admission) {
    let Some(participant) = room.participants.get_mut(&key) else { return };
    let published = participant.publishes();
    let share = participant.share.take();
    (participant.unconfirmed, participant.last_sequence) = Default::default();
    let fresh = peers(shared, now, admission.query.inline_data);
    if let Some(mut old) = std::mem::replace(&mut participant.peers, fresh) {
        let timer = Timer::Peers { room: room.name.clone(), key };
        shared.timers.put(&mut old.wake, None, timer);
    }
    if let Some(share) = share {
        publish::withdraw(room, shared, now, key, &share);
    }
    if published {
        if let Some(participant) = room.participants.get_mut(&key) {
            participant.version += 1;
        }
        room.announce(shared, now, key, false);
    }
}

/// What a client without data inside its link needs.
fn peers(shared: &Shared, now: Instant, inline: bool) -> Option<Box<Peers>> {
    let config = &shared.config;
    (!inline && config.has_addresses()).then(|| Box::new(Peers::both(now, config)))
}

/// Offers the subscriber's connection, again after the client may have moved.
fn offer(room: &mut Room, shared: &mut Shared, now: Instant, key: Key) {
    let Some(participant) = room.participants.get_mut(&key) else { return };
    let (Some(link), Some(peers)) = (participant.link(), participant.peers.as_mut()) else { return };
    if let Some(message) = peers.restart(now) {
        shared.send(link, message);
    }
    peers::settle(room, shared, now, key);
}

/// This library's clients are new connections however often a token is used, so an identity that is taken gets the sid
/// at its end. LiveKit's clients rely on their identity; there the newcomer ends who has it.
fn identity(room: &mut Room, shared: &mut Shared, now: Instant, sid: &str, admission: &Admission) -> String {
    let wanted = &admission.claims.identity;
    if wanted.is_empty() {
        return sid.to_owned();
    }
    match room.key_of_identity(wanted) {
        Some(_) if admission.query.inline_data => format!("{wanted}-{sid}"),
        Some(key) => {
            room.expel(shared, now, key, DisconnectReason::DuplicateIdentity, Action::Disconnect);
            wanted.clone()
        }
        None => wanted.clone(),
    }
}

fn welcome(room: &Room, shared: &mut Shared, link: LinkId, key: Key, inline: bool) {
    let Some(participant) = room.participants.get(&key) else { return };
    let mut rosters = room.rosters(key, false).into_iter();
    let join = JoinResponse {
        room: Some(room.info()),
        participant: Some(participant.present()),
        other_participants: rosters.next().unwrap_or_default(),
        server_version: env!("CARGO_PKG_VERSION").into(),
        subscriber_primary: true,
        ping_interval: PING_INTERVAL.as_secs() as i32,
        ping_timeout: PING_TIMEOUT.as_secs() as i32,
        server_info: Some(server_info()),
        ..Default::default()
    };
    if inline {
        shared.send_bytes(link, FromServer::Welcome(join).encode());
    } else {
        shared.send(link, Message::Join(join));
    }
    for participants in rosters {
        shared.send(link, Message::Update(ParticipantUpdate { participants }));
    }
}

fn server_info() -> ServerInfo {
    ServerInfo { version: LIVEKIT_VERSION.into(), protocol: PROTOCOL as i32, ..Default::default() }
}

fn resume(
    room: &mut Room,
    shared: &mut Shared,
    now: Instant,
    link: LinkId,
    sid: &str,
    admission: &Admission,
) {
    let same = |key: &Key| {
        room.participants.get(key).is_some_and(|participant| participant.fingerprint == admission.fingerprint)
    };
    let Some(key) = room.key_of_sid(sid).filter(same) else {
        return shared.dismiss(link, DisconnectReason::StateMismatch, Action::Reconnect);
    };
    relink(room, shared, now, link, key);
    let response = ReconnectResponse {
        server_info: Some(server_info()),
        last_message_seq: room.participants.get(&key).map_or(0, |participant| participant.last_sequence),
        ..Default::default()
    };
    shared.send(link, Message::Reconnect(response));
    // First what was said: those who said it may have left since, which the client finds out next.
    repeat(room, shared, link, key, admission.query.received);
    flush(room, shared, key);
    // Everybody who is there, so that the client finds out who came and who went meanwhile.
    for participants in room.rosters(key, true) {
        shared.send(link, Message::Update(ParticipantUpdate { participants }));
    }
    shared.send(link, room.update());
    allocate::repeat(room, shared, key);
    quality::repeat(room, shared, key);
    offer(room, shared, now, key);
}

/// What went inside a link that was dead. `received`: how much has come; nobody but our own clients counts it.
fn repeat(room: &mut Room, shared: &mut Shared, link: LinkId, key: Key, received: Option<u32>) {
    let Some(participant) = room.participants.get_mut(&key) else { return };
    let unconfirmed = &mut participant.unconfirmed;
    let Some(received) = received else { return *unconfirmed = Unconfirmed::default() };
    for packet in unconfirmed.take_lost(received) {
        data::send_reliable(shared, link, unconfirmed, packet);
    }
}

/// The participant has a new link; an old one that still seems open is cut.
fn relink(room: &mut Room, shared: &mut Shared, now: Instant, link: LinkId, key: Key) {
    let Some(participant) = room.participants.get_mut(&key) else { return };
    if let Some(old) = participant.link() {
        shared.close(old);
        participant.forget_requests();
    }
    participant.presence = Presence::Linked { link, heard: now };
    shared.seats.insert(link, Seat { room: room.name.clone(), key });
    room.watch(shared, key);
}

/// What waited for the participant, in the order in which it came.
fn flush(room: &mut Room, shared: &mut Shared, key: Key) {
    let Some(participant) = room.participants.get_mut(&key) else { return };
    // A LiveKit client's packets wait for its data channel.
    let (Some(link), true) = (participant.link(), participant.peers.is_none() || participant.is_inline)
    else {
        return;
    };
    for packet in participant.queue.take() {
        data::send_reliable(shared, link, &mut participant.unconfirmed, packet);
    }
}
