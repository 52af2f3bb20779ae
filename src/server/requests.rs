//! What a participant asks for over its link.

use std::collections::HashMap;
use std::time::Instant;

use super::config::METADATA_SIZE_MAX;
use super::core::LinkId;
use super::data;
use super::media::{self, publish, subscribe};
use super::participant::{Key, Participant, Presence};
use super::peers::Peers;
use super::room::Room;
use super::shared::{Seat, Shared};
use super::turns::{Price, Turns};
use crate::signal::frame::FromClient;
use crate::signal::proto::request_response::{Reason, Request};
use crate::signal::proto::signal_request::Message as Asked;
use crate::signal::proto::signal_response::Message;
use crate::signal::proto::{DisconnectReason, Pong, RequestResponse, UpdateParticipantMetadata};

/// A frame of the participant `key`, which sits at `link`.
pub fn handle(
    room: &mut Room,
    shared: &mut Shared,
    now: Instant,
    wall_ms: i64,
    link: LinkId,
    key: Key,
    bytes: &[u8],
) {
    if let Some(participant) = room.participants.get_mut(&key) {
        participant.presence = Presence::Linked { link, heard: now };
    }
    match FromClient::decode(bytes) {
        Ok(Some(FromClient::Data(packet))) => data::publish(room, shared, now, key, packet),
        Ok(Some(FromClient::Received(count))) => {
            if let Some(participant) = room.participants.get_mut(&key) {
                participant.unconfirmed.confirm(count);
            }
        }
        Ok(Some(FromClient::Message(message))) => {
            ask(room, shared, now, wall_ms, link, key, &message);
        }
        // A message of a newer protocol.
        Ok(None) => {}
        Err(_) => {
            // After garbage nothing on this link can be trusted. An honest client may come back with a new one.
            shared.counters.frames_malformed += 1;
            shared.close(link);
            cut(room, shared, now, key, DisconnectReason::SignalClose);
        }
    }
}

/// Deals with a message, or lets it wait for its turn.
fn ask(
    room: &mut Room,
    shared: &mut Shared,
    now: Instant,
    wall_ms: i64,
    link: LinkId,
    key: Key,
    message: &Asked,
) {
    let price = Price::of(message);
    if price == Price::Nothing {
        return answer(room, shared, now, wall_ms, link, key, message);
    }
    let seat = Seat { room: room.name.clone(), key };
    let Some(participant) = room.participants.get_mut(&key) else { return };
    if matches!(price, Price::Negotiation(_)) && !negotiates(participant, shared, message) {
        return;
    }
    let turns = participant.turns.get_or_insert_with(|| Box::new(Turns::new(now)));
    if !turns.is_waiting() && is_ready(shared, &seat, price) && turns.pay(now, price) {
        answer(room, shared, now, wall_ms, link, key, message);
    } else if turns.put(message, wall_ms) {
        room.watch(shared, key);
    } else {
        refuse(shared, link, message, price);
    }
}

/// Whether what is said about peer connections is about any. One of our clients has them made by its first offer, when
/// media is about to flow.
fn negotiates(participant: &mut Participant, shared: &Shared, message: &Asked) -> bool {
    if participant.is_inline && matches!(message, Asked::Offer(_)) && shared.may_have_sockets() {
        participant.peers.get_or_insert_with(|| Box::new(Peers::new()));
    }
    participant.peers.is_some()
}

/// Descriptions wait for the sockets, which are opened when they are needed; that takes no time.
fn is_ready(shared: &mut Shared, seat: &Seat, price: Price) -> bool {
    !matches!(price, Price::Negotiation(_)) || shared.has_sockets(seat)
}

/// More waits than anybody needs who keeps to the rules.
fn refuse(shared: &mut Shared, link: LinkId, message: &Asked, price: Price) {
    match price {
        Price::Nothing => {}
        Price::Negotiation(_) => shared.counters.negotiations_refused += 1,
        Price::Requests(count) => shared.counters.media_requests_refused += count as u64,
    }
    if let Asked::AddTrack(request) = message {
        shared.send(link, publish::refusal(Reason::LimitExceeded, request.clone()));
    }
}

/// What waited for the sockets, or for its turn, is dealt with as far as it may be now.
pub fn resume(room: &mut Room, shared: &mut Shared, now: Instant, key: Key) {
    let seat = Seat { room: room.name.clone(), key };
    loop {
        let Some(participant) = room.participants.get_mut(&key) else { return };
        let (link, turns) = (participant.link(), participant.turns.as_mut());
        let (Some(link), Some(turns)) = (link, turns) else { break };
        let Some(price) = turns.first().map(Price::of) else { break };
        if !is_ready(shared, &seat, price) || !turns.pay(now, price) {
            break;
        }
        if let Some(waiting) = turns.take() {
            answer(room, shared, now, waiting.wall_ms, link, key, &waiting.message);
        }
    }
    room.watch(shared, key);
    shared.restless.push_back(seat);
}

fn answer(
    room: &mut Room,
    shared: &mut Shared,
    now: Instant,
    wall_ms: i64,
    link: LinkId,
    key: Key,
    message: &Asked,
) {
    match message {
        Asked::Ping(sent_ms) => shared.send(link, Message::Pong(*sent_ms)),
        Asked::PingReq(ping) => {
            let pong = Pong { last_ping_timestamp: ping.timestamp, timestamp: wall_ms };
            shared.send(link, Message::PongResp(pong));
        }
        Asked::Leave(_) => {
            shared.close(link);
            room.remove(shared, now, key, DisconnectReason::ClientInitiated);
        }
        Asked::UpdateMetadata(wanted) => {
            let reason = update_own(room, shared, now, key, wanted);
            let response = RequestResponse {
                request_id: wanted.request_id,
                reason: reason.into(),
                message: reason.as_str_name().into(),
                request: Some(Request::UpdateMetadata(wanted.clone())),
            };
            shared.send(link, Message::RequestResponse(response));
        }
        Asked::Offer(_) | Asked::Answer(_) | Asked::Trickle(_) => {
            negotiate(room, shared, now, link, key, message)
        }
        other => media::requests::answer(room, shared, now, wall_ms, link, key, other),
    }
}

fn negotiate(room: &mut Room, shared: &mut Shared, now: Instant, link: LinkId, key: Key, message: &Asked) {
    let Some(participant) = room.participants.get_mut(&key) else { return };
    let Some(peers) = participant.peers.as_mut() else { return };
    match message {
        Asked::Offer(offer) => {
            let share = participant.share.as_ref();
            let codec_of = |track: &str| share.and_then(|share| share.announced_codec(track));
            let (answer, is_other) = peers.handle_offer(now, offer, &shared.config, codec_of);
            if let Some(answer) = answer {
                shared.send(link, answer);
            }
            if is_other {
                publish::orphan(room, shared, now, key);
            }
        }
        Asked::Answer(answer) if peers.handle_answer(now, answer) => {
            subscribe::open(room, shared, now, key);
        }
        Asked::Trickle(trickle) => peers.handle_trickle(now, trickle),
        _ => {}
    }
    shared.restless.push_back(Seat { room: room.name.clone(), key });
}

fn update_own(
    room: &mut Room,
    shared: &mut Shared,
    now: Instant,
    key: Key,
    wanted: &UpdateParticipantMetadata,
) -> Reason {
    let Some(participant) = room.participants.get_mut(&key) else { return Reason::NotFound };
    if !participant.permission.can_update_metadata {
        return Reason::NotAllowed;
    }
    if !describe(participant, &wanted.metadata, &wanted.name, &wanted.attributes) {
        return Reason::LimitExceeded;
    }
    room.announce(shared, now, key, true);
    Reason::Ok
}

/// Changes what a participant says of itself. As in LiveKit an empty text leaves things as they are, and an empty
/// attribute goes. False when it would become too much; nothing is changed then.
pub fn describe(
    participant: &mut Participant,
    metadata: &str,
    name: &str,
    attributes: &HashMap<String, String>,
) -> bool {
    let mut merged = participant.attributes.clone();
    for (name, value) in attributes {
        if value.is_empty() {
            merged.remove(name);
        } else {
            merged.insert(name.clone(), value.clone());
        }
    }
    let size: usize = merged.iter().map(|(name, value)| name.len() + value.len()).sum();
    if [metadata.len(), name.len(), size].into_iter().any(|size| size > METADATA_SIZE_MAX) {
        return false;
    }
    participant.attributes = merged;
    for (text, wanted) in [(&mut participant.metadata, metadata), (&mut participant.name, name)] {
        if !wanted.is_empty() {
            wanted.clone_into(text);
        }
    }
    participant.version += 1;
    true
}

/// The participant's link is gone without a farewell.
pub fn cut(room: &mut Room, shared: &mut Shared, now: Instant, key: Key, reason: DisconnectReason) {
    if let Some(participant) = room.participants.get_mut(&key) {
        participant.part(now, reason);
        participant.forget_requests();
        room.watch(shared, key);
    }
}
