//! One WebSocket message: a LiveKit `SignalRequest` or `SignalResponse`, and this project's own extension of it.
//!
//! The extension lives in field numbers that LiveKit does not use, so each side can read the other's messages
//! whether or not it knows of it. It carries data packets beside the signalling messages. Where both ends are this
//! library a signal needs no peer connection, and the farewell that follows it cannot overtake it.

use prost::Message as _;

use super::proto::{self, DataPacket, JoinResponse, signal_request, signal_response};

/// The largest WebSocket message a client accepts. LiveKit's own are far smaller: a room of a thousand
/// participants is announced in about 300 kB.
pub const FRAME_SIZE_MAX: usize = 4 << 20;

/// The largest one that a server accepts. A description has half a megabyte at most, and a client of LiveKit that comes back
/// may send two. What is read takes up to a hundred times as much memory as the message, so there is little to spare.
pub const REQUEST_SIZE_MAX: usize = 1 << 20;

/// What a client sends.
#[derive(Debug, Clone, PartialEq)]
pub enum FromClient {
    Message(signal_request::Message),
    /// A data packet inside the signalling connection; only after the server's [`FromServer::Welcome`] allowed it.
    Data(DataPacket),
    /// How many reliable data packets have come inside the signalling connections of this participant, modulo 2³².
    Received(u32),
}

/// What a server sends.
#[derive(Debug, Clone, PartialEq)]
pub enum FromServer {
    Message(signal_response::Message),
    /// The `JoinResponse` of a server that is this library: data packets travel inside this connection, and no
    /// peer connection is needed until there is media.
    Welcome(JoinResponse),
    Data(DataPacket),
    /// So many reliable data packets were left out here, since the client reads too slowly. They count as come.
    LeftOut(u32),
}

/// The bytes are no message of the protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed;

/// The extension's fields, read from and written beside LiveKit's.
#[derive(Clone, PartialEq, prost::Message)]
struct Extension {
    #[prost(message, optional, tag = "1000")]
    data: Option<DataPacket>,
    #[prost(bool, tag = "1001")]
    inline_data: bool,
    #[prost(uint32, optional, tag = "1002")]
    received: Option<u32>,
    #[prost(uint32, optional, tag = "1003")]
    left_out: Option<u32>,
}

impl FromClient {
    pub fn encode(self) -> Vec<u8> {
        match self {
            Self::Message(message) => proto::SignalRequest { message: Some(message) }.encode_to_vec(),
            Self::Data(packet) => Extension { data: Some(packet), ..Extension::default() }.encode_to_vec(),
            Self::Received(count) => {
                Extension { received: Some(count), ..Extension::default() }.encode_to_vec()
            }
        }
    }

    /// `None` is a message of a newer protocol that this library does not know; it is skipped.
    pub fn decode(bytes: &[u8]) -> Result<Option<Self>, Malformed> {
        let request = proto::SignalRequest::decode(bytes).map_err(|_| Malformed)?;
        if let Some(message) = request.message {
            return Ok(Some(Self::Message(message)));
        }
        let Extension { data, received, .. } = Extension::decode(bytes).map_err(|_| Malformed)?;
        Ok(data.map(Self::Data).or(received.map(Self::Received)))
    }
}

impl FromServer {
    pub fn encode(self) -> Vec<u8> {
        match self {
            Self::Message(message) => proto::SignalResponse { message: Some(message) }.encode_to_vec(),
            Self::Data(packet) => Extension { data: Some(packet), ..Extension::default() }.encode_to_vec(),
            Self::LeftOut(count) => {
                Extension { left_out: Some(count), ..Extension::default() }.encode_to_vec()
            }
            Self::Welcome(join) => {
                let message = Some(signal_response::Message::Join(join));
                let mut bytes = proto::SignalResponse { message }.encode_to_vec();
                bytes.extend(Extension { inline_data: true, ..Extension::default() }.encode_to_vec());
                bytes
            }
        }
    }

    /// `None` is a message of a newer protocol that this library does not know; it is skipped.
    pub fn decode(bytes: &[u8]) -> Result<Option<Self>, Malformed> {
        let response = proto::SignalResponse::decode(bytes).map_err(|_| Malformed)?;
        match response.message {
            Some(signal_response::Message::Join(join)) => {
                let extension = Extension::decode(bytes).map_err(|_| Malformed)?;
                if extension.inline_data {
                    return Ok(Some(Self::Welcome(join)));
                }
                Ok(Some(Self::Message(signal_response::Message::Join(join))))
            }
            Some(message) => Ok(Some(Self::Message(message))),
            None => {
                let Extension { data, left_out, .. } = Extension::decode(bytes).map_err(|_| Malformed)?;
                Ok(data.map(Self::Data).or(left_out.map(Self::LeftOut)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet() -> DataPacket {
        DataPacket { participant_identity: "robot".into(), ..Default::default() }
    }

    #[test]
    fn every_kind_of_frame_comes_back_as_it_was() {
        let join = JoinResponse { server_version: "1".into(), ..Default::default() };
        let from_server = [
            FromServer::Welcome(join.clone()),
            FromServer::Message(signal_response::Message::Join(join)),
            FromServer::Message(signal_response::Message::Pong(7)),
            FromServer::Data(packet()),
            FromServer::LeftOut(3),
        ];
        for frame in from_server {
            assert_eq!(FromServer::decode(&frame.clone().encode()), Ok(Some(frame)));
        }
        let from_client = [
            FromClient::Message(signal_request::Message::Ping(7)),
            FromClient::Data(packet()),
            FromClient::Received(0),
            FromClient::Received(u32::MAX),
        ];
        for frame in from_client {
            assert_eq!(FromClient::decode(&frame.clone().encode()), Ok(Some(frame)));
        }
    }

    #[test]
    fn a_client_of_livekit_reads_the_welcome_as_a_join_response() {
        let join = JoinResponse { server_version: "1".into(), ..Default::default() };
        let bytes = FromServer::Welcome(join.clone()).encode();
        let seen = proto::SignalResponse::decode(bytes.as_slice()).expect("a LiveKit message");
        assert_eq!(seen.message, Some(signal_response::Message::Join(join)));
    }

    #[test]
    fn unknown_messages_are_skipped_and_garbage_is_refused() {
        // Field 900, a varint: a message that a later protocol may bring.
        assert_eq!(FromServer::decode(&[0xa0, 0x38, 0x01]), Ok(None));
        assert_eq!(FromServer::decode(b"\xff\xff\xff"), Err(Malformed));
        assert_eq!(FromClient::decode(b"GET / HTTP/1.1"), Err(Malformed));
    }
}
