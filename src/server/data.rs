//! Data packets: who may send one, who it says it is from, who gets it.

use std::sync::Arc;
use std::time::Instant;

use prost::Message as _;

use super::config::DATA_SIZE_MAX;
use super::core::LinkId;
use super::participant::{Key, Participant, Presence};
use super::queue::Unconfirmed;
use super::room::Room;
use super::shared::{Seat, Shared};
use crate::signal::frame::FromServer;
use crate::signal::proto::{
    DataPacket, SendDataRequest, UserPacket,
    data_packet::{self, Kind},
};

/// A participant's packet goes to everybody else, or to those it names.
pub fn publish(room: &mut Room, shared: &mut Shared, now: Instant, sender: Key, mut packet: DataPacket) {
    let Some(participant) = room.participants.get_mut(&sender) else { return };
    if participant.knows(&packet) {
        return;
    }
    if !participant.permission.can_publish_data {
        shared.counters.data_not_allowed += 1;
        return;
    }
    if packet.encoded_len() > DATA_SIZE_MAX {
        shared.counters.data_too_large += 1;
        return;
    }
    stamp(&mut packet, participant);
    deliver(room, shared, now, Some(sender), packet);
}

/// The sender is who the link belongs to, whatever the packet says. Of who is hidden nothing is said; as in LiveKit its packets
/// look like a server's.
#[allow(deprecated)] // clients of before the outer fields read the inner ones
fn stamp(packet: &mut DataPacket, sender: &Participant) {
    let (sid, identity) =
        if sender.permission.hidden { Default::default() } else { (&*sender.sid, &*sender.identity) };
    sid.clone_into(&mut packet.participant_sid);
    identity.clone_into(&mut packet.participant_identity);
    if let Some(data_packet::Value::User(user)) = &mut packet.value {
        sid.clone_into(&mut user.participant_sid);
        identity.clone_into(&mut user.participant_identity);
    }
}

/// The packet of a server: it has no participant.
#[allow(deprecated)] // older clients read the inner fields, older callers fill the sids
pub fn from_service(request: SendDataRequest) -> DataPacket {
    let user = UserPacket {
        payload: request.data,
        topic: request.topic,
        destination_sids: request.destination_sids,
        destination_identities: request.destination_identities.clone(),
        nonce: request.nonce,
        ..Default::default()
    };
    DataPacket {
        kind: request.kind,
        destination_identities: request.destination_identities,
        value: Some(data_packet::Value::User(user)),
        ..Default::default()
    }
}

#[allow(deprecated)] // the kind also decides the channel
pub fn deliver(room: &mut Room, shared: &mut Shared, now: Instant, sender: Option<Key>, packet: DataPacket) {
    let receivers: Vec<Key> = room
        .participants
        .iter()
        .filter(|(key, participant)| Some(**key) != sender && is_addressed(&packet, participant))
        .map(|(key, _)| *key)
        .collect();
    if receivers.is_empty() {
        return;
    }
    let kind = packet.kind();
    // As it travels on a data channel, and as it travels inside a signalling connection.
    let plain: Arc<[u8]> = packet.encode_to_vec().into();
    let framed: Arc<[u8]> = FromServer::Data(packet).encode().into();
    for key in receivers {
        let Some(participant) = room.participants.get_mut(&key) else { continue };
        let Participant { queue, unconfirmed, peers, presence, is_inline, .. } = participant;
        // What belongs inside the link stays there, also when there are peer connections for media.
        let waits = match (peers.as_mut().filter(|_| !*is_inline), presence) {
            (Some(peers), _) => {
                // What waits already goes first.
                let is_sent = (queue.is_empty() || kind == Kind::Lossy) && peers.send(now, kind, &plain);
                shared.restless.push_back(Seat { room: room.name.clone(), key });
                (!is_sent).then_some(&plain)
            }
            (None, Presence::Linked { link, .. }) => {
                match kind {
                    Kind::Reliable => send_reliable(shared, *link, unconfirmed, framed.clone()),
                    Kind::Lossy => shared.send_data(*link, kind, framed.clone()),
                }
                None
            }
            // What may be lost is of no use later.
            (None, Presence::Away { .. }) => (kind == Kind::Reliable).then_some(&framed),
        };
        if let Some(bytes) = waits {
            shared.counters.data_queue_dropped += queue.push(bytes.clone());
        }
    }
}

/// Inside the link, where it is not lost: what may not have come is sent again when the session resumes.
pub fn send_reliable(shared: &mut Shared, link: LinkId, unconfirmed: &mut Unconfirmed, packet: Arc<[u8]>) {
    unconfirmed.push(packet.clone());
    shared.send_data(link, Kind::Reliable, packet);
}

/// Without a destination a packet is for everybody. Destinations stand in up to three places, by the age of the client.
#[allow(deprecated)]
fn is_addressed(packet: &DataPacket, participant: &Participant) -> bool {
    let (sids, identities) = match &packet.value {
        Some(data_packet::Value::User(user)) => {
            (user.destination_sids.as_slice(), user.destination_identities.as_slice())
        }
        _ => Default::default(),
    };
    let outer = &packet.destination_identities;
    let everybody = outer.is_empty() && sids.is_empty() && identities.is_empty();
    everybody
        || outer.contains(&participant.identity)
        || identities.contains(&participant.identity)
        || sids.contains(&participant.sid)
}
