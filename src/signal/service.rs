//! What a client asks of LiveKit's room service, which stands beside the signalling connection and speaks Twirp: one
//! POST for each call, protobuf in its body, the client's own token in its header.

use prost::Message as _;

use super::proto::{MuteRoomTrackRequest, RoomParticipantIdentity, UpdateRoomMetadataRequest};

/// The kind of the body, in both directions.
pub const CONTENT_TYPE: &str = "application/protobuf";

/// One call. The server decides by the token whether it may be made.
#[derive(Debug, Clone, PartialEq)]
pub enum Call {
    /// Ends a participant's presence in its room. The participant hears that it was removed.
    RemoveParticipant { room: String, identity: String },
    /// Mutes a track. Its publisher is told, and may unmute it.
    MutePublishedTrack { room: String, identity: String, track_sid: String },
    /// Replaces the room's metadata. Every participant is told.
    UpdateRoomMetadata { room: String, metadata: String },
}

impl Call {
    /// Whether a later call of its kind takes its effect away: then they have to arrive in their order.
    pub fn replaces(&self) -> bool {
        matches!(self, Self::UpdateRoomMetadata { .. })
    }

    /// Where it is posted to, below the server's prefix.
    pub fn path(&self) -> &'static str {
        match self {
            Self::RemoveParticipant { .. } => "/twirp/livekit.RoomService/RemoveParticipant",
            Self::MutePublishedTrack { .. } => "/twirp/livekit.RoomService/MutePublishedTrack",
            Self::UpdateRoomMetadata { .. } => "/twirp/livekit.RoomService/UpdateRoomMetadata",
        }
    }

    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::RemoveParticipant { room, identity } => RoomParticipantIdentity {
                room: room.clone(),
                identity: identity.clone(),
                ..Default::default()
            }
            .encode_to_vec(),
            Self::MutePublishedTrack { room, identity, track_sid } => MuteRoomTrackRequest {
                room: room.clone(),
                identity: identity.clone(),
                track_sid: track_sid.clone(),
                muted: true,
            }
            .encode_to_vec(),
            Self::UpdateRoomMetadata { room, metadata } => {
                UpdateRoomMetadataRequest { room: room.clone(), metadata: metadata.clone() }.encode_to_vec()
            }
        }
    }
}
