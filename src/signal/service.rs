//! What a client asks of LiveKit's room service, which stands beside the signalling connection and speaks Twirp: one
//! POST for each call, protobuf in its body, the client's own token in its header.

use prost::Message as _;

use super::proto::RoomParticipantIdentity;

/// The kind of the body, in both directions.
pub const CONTENT_TYPE: &str = "application/protobuf";

/// One call. The server decides by the token whether it may be made.
#[derive(Debug, Clone, PartialEq)]
pub enum Call {
    /// Ends a participant's presence in its room. The participant hears that it was removed.
    RemoveParticipant { room: String, identity: String },
}

impl Call {
    /// Where it is posted to, below the server's prefix.
    pub fn path(&self) -> &'static str {
        match self {
            Self::RemoveParticipant { .. } => "/twirp/livekit.RoomService/RemoveParticipant",
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
        }
    }
}
