//! A client for the tests of the server's sockets: a WebSocket and nothing more.
#![allow(dead_code)] // each test file uses its part

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use opentok::signal::frame::{FromClient, FromServer};
use opentok::signal::join::{JoinQuery, PROTOCOL};
use opentok::signal::proto::JoinResponse;
use opentok::signal::token::{self, Order, Role};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message, protocol::WebSocketConfig};

pub const KEY: &str = "123";
pub const SECRET: &str = "a secret of the tests";
pub const ROOM: &str = "1_room";

/// Longer than anything here takes, also on a machine that has other things to do.
pub const LIMIT: Duration = Duration::from_secs(30);

pub fn now_s() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_secs()).expect("before the end of time")
}

pub fn order<'a>() -> Order<'a> {
    Order {
        api_key: KEY,
        secret: SECRET,
        session_id: ROOM,
        role: Role::Publisher,
        connection_data: "",
        created_s: now_s(),
        expires_s: now_s() + 3600,
        nonce: 1,
    }
}

pub fn token() -> String {
    token::classic(&order()).expect("a token")
}

pub fn ours() -> JoinQuery {
    JoinQuery { protocol: PROTOCOL, inline_data: true, ..Default::default() }
}

pub struct Client<S> {
    pub socket: WebSocketStream<S>,
}

/// The status and text of a refusal; status 0 is a connection that ended without an answer.
pub type Refused = (u16, String);

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub async fn open(stream: S, query: &JoinQuery, token: &str) -> Result<Self, Refused> {
        let mut request =
            format!("ws://server/rtc?{}", query.encode()).into_client_request().expect("a request");
        let bearer = format!("Bearer {token}").parse().expect("a header");
        request.headers_mut().insert("authorization", bearer);
        let mut config = WebSocketConfig::default();
        config.read_buffer_size = 1 << 10;
        config.write_buffer_size = 0;
        let opening = tokio_tungstenite::client_async_with_config(request, stream, Some(config));
        match timeout(LIMIT, opening).await.expect("an answer in time") {
            Ok((socket, _)) => Ok(Self { socket }),
            Err(Error::Http(response)) => {
                let text = response.body().clone().unwrap_or_default();
                Err((response.status().as_u16(), String::from_utf8(text).expect("a text")))
            }
            Err(Error::Io(error)) => Err((0, error.to_string())),
            Err(error) => panic!("no answer but {error}"),
        }
    }

    pub async fn join(stream: S, query: &JoinQuery, token: &str) -> (Self, JoinResponse) {
        let mut client = Self::open(stream, query, token).await.expect("admitted");
        match client.next().await {
            Some(FromServer::Welcome(join)) => (client, join),
            other => panic!("no welcome but {other:?}"),
        }
    }

    /// `None` is the end of the connection.
    pub async fn next(&mut self) -> Option<FromServer> {
        loop {
            match timeout(LIMIT, self.socket.next()).await.expect("something in time")?.ok()? {
                Message::Binary(bytes) => {
                    return FromServer::decode(&bytes).expect("a frame");
                }
                Message::Close(_) => return None,
                _ => {}
            }
        }
    }

    /// The first frame that is wanted; others are skipped.
    pub async fn wait_for<T>(&mut self, wanted: impl Fn(FromServer) -> Option<T>) -> T {
        loop {
            let frame = self.next().await.expect("the connection stays open");
            if let Some(found) = wanted(frame) {
                return found;
            }
        }
    }

    pub async fn say(&mut self, frame: FromClient) {
        self.socket.send(Message::Binary(frame.encode().into())).await.expect("sent");
    }
}
