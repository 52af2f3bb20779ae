//! LiveKit's room service over HTTP: `POST /twirp/livekit.RoomService/<Method>` with protobuf or JSON.

use std::error::Error;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Request, StatusCode};
use prost::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::actor::Desk;
use super::claims::{self, Locality};
use super::http::{Reply, bearer};
use super::service::{Answer, Call, CallError};
use crate::signal::proto;
use crate::signal::token::Claims;

pub const PREFIX: &str = "/twirp/";

/// The one service behind the prefix.
const SERVICE: &str = "livekit.RoomService/";

/// The largest request: the largest data packet in JSON, where bytes take a third more, and metadata beside it.
const BODY_SIZE_MAX: usize = 256 << 10;

/// How long it may take to arrive. As long as its head may take.
const BODY_LIMIT: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Protobuf,
    Json,
}

/// Twirp's own words for what went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Code {
    BadRoute,
    Malformed,
    Unauthenticated,
    PermissionDenied,
    NotFound,
    InvalidArgument,
    FailedPrecondition,
    Unavailable,
}

#[derive(Debug)]
struct Failure {
    code: Code,
    text: String,
}

impl Failure {
    fn new(code: Code, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }
}

impl Code {
    fn word(self) -> &'static str {
        match self {
            Self::BadRoute => "bad_route",
            Self::Malformed => "malformed",
            Self::Unauthenticated => "unauthenticated",
            Self::PermissionDenied => "permission_denied",
            Self::NotFound => "not_found",
            Self::InvalidArgument => "invalid_argument",
            Self::FailedPrecondition => "failed_precondition",
            Self::Unavailable => "unavailable",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::BadRoute | Self::NotFound => StatusCode::NOT_FOUND,
            Self::Malformed | Self::InvalidArgument => StatusCode::BAD_REQUEST,
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::PermissionDenied => StatusCode::FORBIDDEN,
            Self::FailedPrecondition => StatusCode::PRECONDITION_FAILED,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        match error {
            CallError::RoomNotFound => Self::new(Code::NotFound, "There is no such room."),
            CallError::ParticipantNotFound => Self::new(Code::NotFound, "There is no such participant."),
            CallError::TrackNotFound => Self::new(Code::NotFound, "There is no such track."),
            CallError::RemoteUnmute => {
                Self::new(Code::FailedPrecondition, "A track can only be unmuted by who publishes it.")
            }
            CallError::InvalidRoomName => {
                Self::new(Code::InvalidArgument, "A room's name has 1 to 255 characters.")
            }
            CallError::TooLarge => {
                Self::new(Code::InvalidArgument, "The request carries more than is allowed.")
            }
            CallError::ShuttingDown => Self::new(Code::Unavailable, "The server is shutting down."),
        }
    }
}

pub async fn answer(request: Request<Incoming>, locality: Locality, desk: Desk) -> Reply {
    match call(request, locality, &desk).await {
        Ok(reply) => reply,
        Err(failure) => {
            let text = serde_json::json!({ "code": failure.code.word(), "msg": failure.text }).to_string();
            reply(failure.code.status(), Format::Json, text.into())
        }
    }
}

async fn call(request: Request<Incoming>, locality: Locality, desk: &Desk) -> Result<Reply, Failure> {
    let no_route = || Failure::new(Code::BadRoute, "There is no such method.");
    let path = request.uri().path().strip_prefix(PREFIX).and_then(|path| path.strip_prefix(SERVICE));
    let method = path.ok_or_else(no_route)?.to_owned();
    let format = format(request.headers())
        .ok_or_else(|| Failure::new(Code::BadRoute, "Send application/protobuf or application/json."))?;
    let token = bearer(request.headers())
        .ok_or_else(|| Failure::new(Code::Unauthenticated, "The request carries no token."))?;
    let caller = claims::caller(token, super::actor::wall_ms() / 1000, desk.secrets(), locality)
        .map_err(|refusal| Failure::new(Code::Unauthenticated, refusal.text))?;
    let body = read_body(request.into_body(), BODY_LIMIT).await?;
    let call = read(&method, format, &body)?.ok_or_else(no_route)?;
    allow(&caller, &call)?;
    Ok(write(format, &method, desk.call(call).await?))
}

async fn read_body(
    body: impl Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>>,
    limit: Duration,
) -> Result<Bytes, Failure> {
    let limited = Limited::new(body, BODY_SIZE_MAX);
    let body = timeout(limit, limited.collect())
        .await
        .map_err(|_| Failure::new(Code::Malformed, "The request's body did not come in time."))?;
    let body =
        body.map_err(|_| Failure::new(Code::Malformed, "The request's body is too large or incomplete."))?;
    Ok(body.to_bytes())
}

fn format(headers: &HeaderMap) -> Option<Format> {
    let kind = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    match kind.split(';').next()?.trim() {
        "application/protobuf" => Some(Format::Protobuf),
        "application/json" => Some(Format::Json),
        _ => None,
    }
}

/// `None` is a method that does not exist.
fn read(method: &str, format: Format, body: &[u8]) -> Result<Option<Call>, Failure> {
    Ok(Some(match method {
        "CreateRoom" => Call::CreateRoom(Box::new(decode(format, body)?)),
        "ListRooms" => Call::ListRooms(decode(format, body)?),
        "DeleteRoom" => Call::DeleteRoom(decode(format, body)?),
        "ListParticipants" => Call::ListParticipants(decode(format, body)?),
        "GetParticipant" => Call::GetParticipant(decode(format, body)?),
        "RemoveParticipant" => Call::RemoveParticipant(decode(format, body)?),
        "UpdateParticipant" => Call::UpdateParticipant(decode(format, body)?),
        "UpdateRoomMetadata" => Call::UpdateRoomMetadata(decode(format, body)?),
        "MutePublishedTrack" => Call::MutePublishedTrack(decode(format, body)?),
        "UpdateSubscriptions" => Call::UpdateSubscriptions(decode(format, body)?),
        "SendData" => Call::SendData(decode(format, body)?),
        _ => return Ok(None),
    }))
}

fn decode<T: Message + Default + DeserializeOwned>(format: Format, body: &[u8]) -> Result<T, Failure> {
    let malformed = || Failure::new(Code::Malformed, "The request's body cannot be read.");
    match format {
        Format::Protobuf => T::decode(body).map_err(|_| malformed()),
        Format::Json => serde_json::from_slice(body).map_err(|_| malformed()),
    }
}

/// Whether the caller's token grants the call. A moderator of a session is an admin of that room.
fn allow(caller: &Claims, call: &Call) -> Result<(), Failure> {
    let room = match call {
        Call::CreateRoom(_) | Call::DeleteRoom(_) => return grant(caller.can_create_rooms, "roomCreate"),
        Call::ListRooms(_) => return grant(caller.can_list_rooms, "roomList"),
        Call::ListParticipants(request) => &request.room,
        Call::GetParticipant(request) | Call::RemoveParticipant(request) => &request.room,
        Call::UpdateParticipant(request) => &request.room,
        Call::UpdateRoomMetadata(request) => &request.room,
        Call::SendData(request) => &request.room,
        Call::MutePublishedTrack(request) => &request.room,
        Call::UpdateSubscriptions(request) => &request.room,
    };
    grant(caller.grants.room_admin && caller.session_id == *room, "roomAdmin for this room")
}

fn grant(granted: bool, what: &str) -> Result<(), Failure> {
    let missing = || Failure::new(Code::PermissionDenied, format!("The token does not grant {what}."));
    granted.then_some(()).ok_or_else(missing)
}

fn write(format: Format, method: &str, answer: Answer) -> Reply {
    match answer {
        Answer::Room(room) => encode(format, &room),
        Answer::Rooms(rooms) => encode(format, &proto::ListRoomsResponse { rooms }),
        Answer::Participant(participant) => encode(format, &participant),
        Answer::Participants(participants) => {
            encode(format, &proto::ListParticipantsResponse { participants })
        }
        Answer::Track(track) => encode(format, &proto::MuteRoomTrackResponse { track: Some(*track) }),
        Answer::Done if method == "UpdateSubscriptions" => {
            encode(format, &proto::UpdateSubscriptionsResponse {})
        }
        Answer::Done if method == "DeleteRoom" => encode(format, &proto::DeleteRoomResponse {}),
        Answer::Done if method == "SendData" => encode(format, &proto::SendDataResponse {}),
        Answer::Done => encode(format, &proto::RemoveParticipantResponse {}),
    }
}

fn encode<T: Message + Serialize>(format: Format, message: &T) -> Reply {
    let body = match format {
        Format::Protobuf => message.encode_to_vec(),
        Format::Json => serde_json::to_vec(message).unwrap_or_else(|_| b"{}".to_vec()),
    };
    reply(StatusCode::OK, format, body.into())
}

fn reply(status: StatusCode, format: Format, body: Bytes) -> Reply {
    let kind = match format {
        Format::Protobuf => "application/protobuf",
        Format::Json => "application/json",
    };
    let mut reply = Reply::new(Full::new(body));
    *reply.status_mut() = status;
    reply.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    reply
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::stream;
    use http_body_util::StreamBody;
    use hyper::body::Frame;

    use super::*;

    #[tokio::test]
    async fn a_body_that_does_not_come_is_not_waited_for() {
        let silent = StreamBody::new(stream::pending::<Result<Frame<Bytes>, Infallible>>());
        let failure = read_body(silent, Duration::from_millis(1)).await.expect_err("too late");
        assert_eq!(failure.code, Code::Malformed);
        assert!(failure.text.contains("in time"), "{}", failure.text);
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_its_limit() {
        for (size, is_read) in [(BODY_SIZE_MAX, true), (BODY_SIZE_MAX + 1, false)] {
            let body = read_body(Full::new(Bytes::from(vec![b'x'; size])), BODY_LIMIT).await;
            assert_eq!(body.is_ok_and(|body| body.len() == size), is_read);
        }
    }
}
