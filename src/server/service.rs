//! LiveKit's room service, as values: what may be asked about rooms from outside them.
//!
//! Whether the caller may ask is decided before, by its token ([`super::twirp`]).

use std::time::{Duration, Instant};

use prost::Message as _;

use super::config::{DATA_SIZE_MAX, METADATA_SIZE_MAX};
use super::core::Server;
use super::data;
use super::media::{publish, subscribe};
use super::participant::{Key, Participant};
use super::requests::describe;
use super::room::Room;
use crate::signal::frame::FromServer;
use crate::signal::proto;
use crate::signal::proto::signal_response::Message;
use crate::signal::proto::{DisconnectReason, ParticipantInfo, TrackInfo, leave_request::Action};
use crate::signal::token::SESSION_ID_LENGTH_MAX;

/// The longest time an empty room may be made to stay. A day is long enough to prepare a conference in.
const EMPTY_TIMEOUT_MAX: Duration = Duration::from_secs(24 * 3600);

#[derive(Debug, Clone, PartialEq)]
pub enum Call {
    CreateRoom(Box<proto::CreateRoomRequest>),
    ListRooms(proto::ListRoomsRequest),
    DeleteRoom(proto::DeleteRoomRequest),
    ListParticipants(proto::ListParticipantsRequest),
    GetParticipant(proto::RoomParticipantIdentity),
    RemoveParticipant(proto::RoomParticipantIdentity),
    UpdateParticipant(proto::UpdateParticipantRequest),
    UpdateRoomMetadata(proto::UpdateRoomMetadataRequest),
    SendData(proto::SendDataRequest),
    MutePublishedTrack(proto::MuteRoomTrackRequest),
    UpdateSubscriptions(proto::UpdateSubscriptionsRequest),
}

#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    Room(proto::Room),
    Rooms(Vec<proto::Room>),
    Participant(ParticipantInfo),
    Participants(Vec<ParticipantInfo>),
    Track(Box<TrackInfo>),
    Done,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CallError {
    RoomNotFound,
    ParticipantNotFound,
    TrackNotFound,
    /// Nobody is made to be heard or seen.
    RemoteUnmute,
    /// The name of the room is missing or too long.
    InvalidRoomName,
    TooLarge,
    ShuttingDown,
}

impl Server {
    /// Answers a call at once. Outputs may follow from it; poll them.
    pub fn call(&mut self, now: Instant, wall_ms: i64, call: Call) -> Result<Answer, CallError> {
        if self.is_shutting_down() {
            return Err(CallError::ShuttingDown);
        }
        let answer = self.perform(now, wall_ms, call);
        self.settle(now);
        answer
    }

    fn perform(&mut self, now: Instant, wall_ms: i64, call: Call) -> Result<Answer, CallError> {
        match call {
            Call::CreateRoom(request) => self.create_room(now, wall_ms, *request),
            Call::ListRooms(request) => {
                let wanted = |room: &&Room| {
                    request.names.is_empty() || request.names.iter().any(|name| **name == *room.name)
                };
                Ok(Answer::Rooms(self.rooms.values().filter(wanted).map(Room::info).collect()))
            }
            Call::DeleteRoom(request) => {
                let room = self.rooms.remove(request.room.as_str()).ok_or(CallError::RoomNotFound)?;
                room.disband(&mut self.shared, now, DisconnectReason::RoomDeleted, Action::Disconnect);
                Ok(Answer::Done)
            }
            Call::ListParticipants(request) => {
                let room = self.rooms.get(request.room.as_str()).ok_or(CallError::RoomNotFound)?;
                let infos = room.participants.values().map(|participant| participant.present());
                Ok(Answer::Participants(infos.collect()))
            }
            Call::GetParticipant(request) => {
                let (room, key) = self.find(&request.room, &request.identity)?;
                let participant = room.participants.get(&key).ok_or(CallError::ParticipantNotFound)?;
                Ok(Answer::Participant(participant.present()))
            }
            Call::RemoveParticipant(request) => {
                let (_, key) = self.find(&request.room, &request.identity)?;
                if let Some(room) = self.rooms.get_mut(request.room.as_str()) {
                    room.expel(
                        &mut self.shared,
                        now,
                        key,
                        DisconnectReason::ParticipantRemoved,
                        Action::Disconnect,
                    );
                }
                Ok(Answer::Done)
            }
            Call::UpdateParticipant(request) => self.update_participant(now, request),
            Call::MutePublishedTrack(request) => self.mute_track(now, &request),
            Call::UpdateSubscriptions(request) => {
                let (_, key) = self.find(&request.room, &request.identity)?;
                let room = self.rooms.get_mut(request.room.as_str()).ok_or(CallError::RoomNotFound)?;
                let wanted = proto::UpdateSubscription {
                    track_sids: request.track_sids,
                    subscribe: request.subscribe,
                    participant_tracks: request.participant_tracks,
                };
                if let Some(link) = room.participants.get(&key).and_then(Participant::link) {
                    subscribe::update(room, &mut self.shared, now, link, key, &wanted);
                }
                Ok(Answer::Done)
            }
            Call::UpdateRoomMetadata(request) => {
                if request.metadata.len() > METADATA_SIZE_MAX {
                    return Err(CallError::TooLarge);
                }
                let room = self.rooms.get_mut(request.room.as_str()).ok_or(CallError::RoomNotFound)?;
                room.metadata = request.metadata;
                let bytes = FromServer::Message(room.update()).encode().into();
                room.broadcast(&mut self.shared, None, &bytes);
                Ok(Answer::Room(room.info()))
            }
            Call::SendData(request) => {
                let room = self.rooms.get_mut(request.room.as_str()).ok_or(CallError::RoomNotFound)?;
                let packet = data::from_service(request);
                if packet.encoded_len() > DATA_SIZE_MAX {
                    return Err(CallError::TooLarge);
                }
                data::deliver(room, &mut self.shared, now, None, packet);
                Ok(Answer::Done)
            }
        }
    }

    /// The identity in a call is a participant's; its sid is taken too, because that is the only name OpenTok knows.
    fn find(&self, room: &str, identity: &str) -> Result<(&Room, Key), CallError> {
        let room = self.rooms.get(room).ok_or(CallError::RoomNotFound)?;
        let key = room.key_of_identity(identity).or_else(|| room.key_of_sid(identity));
        Ok((room, key.ok_or(CallError::ParticipantNotFound)?))
    }

    /// Creating a room that is there answers with it as it is.
    fn create_room(
        &mut self,
        now: Instant,
        wall_ms: i64,
        request: proto::CreateRoomRequest,
    ) -> Result<Answer, CallError> {
        let length = request.name.chars().count();
        if length == 0 || length > SESSION_ID_LENGTH_MAX {
            return Err(CallError::InvalidRoomName);
        }
        if request.metadata.len() > METADATA_SIZE_MAX {
            return Err(CallError::TooLarge);
        }
        if let Some(room) = self.rooms.get(request.name.as_str()) {
            return Ok(Answer::Room(room.info()));
        }
        let mut room = Room::new(&request.name, &mut self.shared, wall_ms);
        if request.empty_timeout > 0 {
            let wanted = Duration::from_secs(request.empty_timeout.into());
            room.empty_timeout = wanted.min(EMPTY_TIMEOUT_MAX);
        }
        room.metadata = request.metadata;
        room.connections_max = request.max_participants;
        room.expire_if_empty(&mut self.shared, now);
        let info = room.info();
        self.rooms.insert(room.name.clone(), room);
        Ok(Answer::Room(info))
    }

    /// As LiveKit does it: the client is told that it is muted, and everybody that the track is.
    fn mute_track(
        &mut self,
        now: Instant,
        request: &proto::MuteRoomTrackRequest,
    ) -> Result<Answer, CallError> {
        let (_, key) = self.find(&request.room, &request.identity)?;
        if !request.muted {
            return Err(CallError::RemoteUnmute);
        }
        let room = self.rooms.get_mut(request.room.as_str()).ok_or(CallError::RoomNotFound)?;
        let mute = proto::MuteTrackRequest { sid: request.track_sid.clone(), muted: true };
        let link = room.participants.get(&key).and_then(Participant::link);
        let knows = |participant: &mut Participant| {
            participant.share.as_mut().is_some_and(|share| share.by_sid(&mute.sid).is_some())
        };
        if !room.participants.get_mut(&key).is_some_and(knows) {
            return Err(CallError::TrackNotFound);
        }
        if let Some(link) = link {
            self.shared.send(link, Message::Mute(mute.clone()));
        }
        let muted = publish::mute(room, &mut self.shared, now, key, &mute);
        muted.map(|info| Answer::Track(Box::new(info))).ok_or(CallError::TrackNotFound)
    }

    fn update_participant(
        &mut self,
        now: Instant,
        request: proto::UpdateParticipantRequest,
    ) -> Result<Answer, CallError> {
        let (_, key) = self.find(&request.room, &request.identity)?;
        let room = self.rooms.get_mut(request.room.as_str()).ok_or(CallError::RoomNotFound)?;
        let participant = room.participants.get_mut(&key).ok_or(CallError::ParticipantNotFound)?;
        if !describe(participant, &request.metadata, &request.name, &request.attributes) {
            return Err(CallError::TooLarge);
        }
        let was_visible = participant.is_visible();
        if let Some(permission) = request.permission {
            participant.permission = permission;
        }
        room.announce(&mut self.shared, now, key, true);
        publish::enforce(room, &mut self.shared, now, key);
        subscribe::enforce(room, &mut self.shared, now, key);
        let participant = room.participants.get(&key).ok_or(CallError::ParticipantNotFound)?;
        if was_visible && !participant.is_visible() {
            room.announce_end(&mut self.shared, participant, DisconnectReason::UnknownReason);
        }
        Ok(Answer::Participant(participant.present()))
    }
}
