//! HTTP: the way in for clients, the room service, and a page that says what this is.

use std::convert::Infallible;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::actor::{Desk, Ticket};
use super::claims::{Locality, Refusal};
use super::running::{Life, Phase};
use super::{link, twirp};
use crate::driver::wire::Socket;
use crate::signal::join::JoinQuery;
use crate::signal::token::TOKEN_SIZE_MAX;

/// How long a client may take to say what it wants.
const HEADER_LIMIT: Duration = Duration::from_secs(10);

/// The largest head of a request: the largest token, and as much again for the rest.
const HEAD_SIZE_MAX: usize = 2 * TOKEN_SIZE_MAX;

/// Where LiveKit's Rust client, and what is built on it, asks why it was refused.
const VALIDATE_RUST: &str = "/rtc/rtc/validate";

const PAGE: &str = "An openotc server: OpenTok sessions and LiveKit rooms. Clients connect to /rtc.\n";

pub type Reply = Response<Full<Bytes>>;

/// Serves one connection until it ends or becomes a WebSocket.
pub async fn serve(mut life: Life, socket: Socket, locality: Locality, desk: Desk) {
    let service = {
        let life = life.clone();
        service_fn(move |request| {
            let (desk, life) = (desk.clone(), life.clone());
            async move { Ok::<_, Infallible>(answer(request, locality, desk, life).await) }
        })
    };
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_LIMIT)
        .max_buf_size(HEAD_SIZE_MAX)
        .writev(false)
        .serve_connection(TokioIo::new(socket), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = life.reaches(Phase::Stopping) => None,
    };
    if ended.is_some() {
        return;
    }
    // What is being answered is finished; what is idle ends.
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        _ = connection => {}
        () = life.reaches(Phase::Over) => {}
    }
}

async fn answer(request: Request<Incoming>, locality: Locality, desk: Desk, life: Life) -> Reply {
    let reply = match (request.method(), request.uri().path()) {
        (&Method::OPTIONS, _) => plain(StatusCode::NO_CONTENT, ""),
        (&Method::GET, "/") => plain(StatusCode::OK, PAGE),
        (&Method::GET, "/rtc" | "/rtc/v0") => rtc(request, locality, desk, life).await,
        (&Method::GET, "/rtc/validate" | "/rtc/v0/validate" | VALIDATE_RUST) => {
            validate(&request, locality, &desk).await
        }
        (&Method::POST, path) if path.starts_with(twirp::PREFIX) => {
            twirp::answer(request, locality, desk).await
        }
        // `/rtc/v1` too: it makes LiveKit's clients speak the first dialect, which is the one spoken here.
        _ => plain(StatusCode::NOT_FOUND, "There is nothing here.\n"),
    };
    for_browsers(reply)
}

/// Pages of other origins may use this server; what opens it is the token.
fn for_browsers(mut reply: Reply) -> Reply {
    let headers = reply.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static("authorization, content-type"),
    );
    reply
}

pub fn plain(status: StatusCode, text: impl Into<String>) -> Reply {
    let mut reply = Reply::new(Full::new(Bytes::from(text.into())));
    *reply.status_mut() = status;
    reply.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    reply
}

fn refused(refusal: Refusal) -> Reply {
    plain(StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::BAD_REQUEST), refusal.text)
}

/// The token of a request: in its header, or in the query where browsers have to put it.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

async fn admit<B>(request: &Request<B>, locality: Locality, desk: &Desk) -> Result<Ticket, Refusal> {
    let mut query = JoinQuery::decode(request.uri().query().unwrap_or_default());
    let from_query = query.access_token.take().map(|token| token.0);
    let token = bearer(request.headers()).map(str::to_owned).or(from_query);
    let token = token.ok_or_else(|| Refusal::new(401, "The request carries no token."))?;
    desk.admit(query, token, locality).await
}

async fn validate(request: &Request<Incoming>, locality: Locality, desk: &Desk) -> Reply {
    match admit(request, locality, desk).await {
        Ok(_) => plain(StatusCode::OK, "success"),
        Err(refusal) => refused(refusal),
    }
}

async fn rtc(mut request: Request<Incoming>, locality: Locality, desk: Desk, life: Life) -> Reply {
    let Some(accept) = accept_key(request.headers()) else {
        return plain(StatusCode::BAD_REQUEST, "This is a WebSocket.\n");
    };
    let ticket = match admit(&request, locality, &desk).await {
        Ok(ticket) => ticket,
        Err(refusal) => return refused(refusal),
    };
    tokio::spawn(upgrade(life, hyper::upgrade::on(&mut request), ticket, desk));
    let mut reply = Reply::default();
    *reply.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = reply.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    reply
}

/// RFC 6455, 4.2.1: what a client has to send to get a WebSocket.
fn accept_key(headers: &HeaderMap) -> Option<HeaderValue> {
    let has = |name: HeaderName, wanted: &str| {
        let value = headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        value.split(',').any(|part| part.trim().eq_ignore_ascii_case(wanted))
    };
    let version = headers.get(header::SEC_WEBSOCKET_VERSION)?;
    let key = headers.get(header::SEC_WEBSOCKET_KEY)?;
    let asked = has(header::CONNECTION, "upgrade") && has(header::UPGRADE, "websocket") && version == "13";
    asked.then(|| HeaderValue::from_str(&derive_accept_key(key.as_bytes())).ok()).flatten()
}

async fn upgrade(mut life: Life, upgrade: OnUpgrade, ticket: Ticket, desk: Desk) {
    let upgraded: Upgraded = tokio::select! {
        upgraded = upgrade => match upgraded {
            Ok(upgraded) => upgraded,
            Err(_) => return,
        },
        () = life.reaches(Phase::Over) => return,
    };
    // Out of HTTP's hands, whose buffers go now.
    let Ok(parts) = upgraded.downcast::<TokioIo<Socket>>() else { return };
    link::run(life, parts.io.into_inner(), parts.read_buf.into(), ticket, desk).await;
}
