//! From an address and a token to a [`Link`], or to the reason why not.
//!
//! The limit on the whole is the caller's: dropping the future closes whatever was open.

use std::fmt;

use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::connect;
use super::http::{self, Head, HeadError};
use super::link::Link;
use super::proxy::{self, ProxyUrl};
use super::tls;
use super::wire::{Socket, Wire};
use crate::session::{Fault, Reason};
use crate::signal::address::Address;

/// Where the link goes.
#[derive(Debug)]
pub enum Target {
    Tcp {
        address: Address,
        proxy: Option<ProxyUrl>,
    },
    /// Already connected: the embedded hub.
    Stream(UnixStream),
}

/// What the server is asked for.
#[derive(Clone)]
pub struct Request {
    /// [`Address::signal_path`]; without the token.
    pub path_and_query: String,
    /// Goes into the `Authorization` header and nowhere else.
    pub token: String,
}

impl fmt::Debug for Request {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Request")
            .field("path_and_query", &self.path_and_query)
            .field("token", &"(secret)")
            .finish()
    }
}

/// Opens the link. A redirect is not followed: a token is for the server it was given to.
pub async fn dial(target: Target, request: &Request) -> Result<Link, Fault> {
    check(request)?;
    let is_direct = !matches!(target, Target::Tcp { proxy: Some(_), .. });
    let (mut wire, host, place) = reach(target).await?;
    let head = upgrade(&mut wire, &host, request, &place).await?;
    Ok(Link::new(wire, head.rest, is_direct).await)
}

/// An open wire, what the `Host` header has to say, and what people call the place.
pub(super) async fn reach(target: Target) -> Result<(Wire, String, String), Fault> {
    Ok(match target {
        Target::Tcp { address, proxy } => {
            let place = connect::display(&address.host, address.port);
            (open(&address, proxy.as_ref()).await?, address.authority(), place)
        }
        Target::Stream(stream) => {
            (Wire::Plain(Socket::from(stream)), "localhost".to_owned(), "the hub on this machine".to_owned())
        }
    })
}

async fn open(address: &Address, proxy: Option<&ProxyUrl>) -> Result<Wire, Fault> {
    let wire = proxy::open(proxy, &address.host, address.port).await?;
    if address.secure { tls::secure(wire, &address.host, address.port).await } else { Ok(wire) }
}

/// Nothing that the program passes may end a header line.
pub(super) fn check(request: &Request) -> Result<(), Fault> {
    if request.token.is_empty() {
        return Err(Fault::new(Reason::Authorization, "the token is empty"));
    }
    if let Some(position) = request.token.bytes().position(|byte| !byte.is_ascii_graphic()) {
        let text =
            format!("the token is malformed: byte {} of it is one that tokens do not have", position + 1);
        return Err(Fault::new(Reason::Authorization, text));
    }
    let path = &request.path_and_query;
    if !path.starts_with('/') || path.bytes().any(|byte| !byte.is_ascii_graphic() || byte == b'#') {
        return Err(Fault::new(Reason::InvalidSession, "the session id cannot be part of a request"));
    }
    Ok(())
}

/// Asks the server to speak WebSocket (RFC 6455 4.1), and is content with nothing but a proper yes.
async fn upgrade(wire: &mut Wire, host: &str, request: &Request, place: &str) -> Result<Head, Fault> {
    let key = generate_key();
    let text = format!(
        "GET {} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\nAuthorization: Bearer {}\r\n\
         User-Agent: openotc/{}\r\n\r\n",
        request.path_and_query,
        request.token,
        env!("CARGO_PKG_VERSION"),
    );
    let sent = async {
        wire.write_all(text.as_bytes()).await?;
        wire.flush().await
    };
    sent.await.map_err(|error| connect::fault(&error, place))?;
    let head = http::read_head(wire).await.map_err(|error| no_answer(error, place))?;
    if head.status != 101 {
        let sentence = http::read_sentence(wire, &head, &request.token).await;
        return Err(refusal(head.status, sentence, place));
    }
    let is_websocket = head.has_word("connection", "upgrade")
        && head.has_word("upgrade", "websocket")
        && head.header("sec-websocket-accept").map(str::trim) == Some(&derive_accept_key(key.as_bytes()))
        // None of these was asked for.
        && head.header("sec-websocket-extensions").is_none()
        && head.header("sec-websocket-protocol").is_none();
    if !is_websocket {
        let text = format!("{place} agreed to something else than a WebSocket; is a proxy in between?");
        return Err(Fault::new(Reason::ConnectionFailed, text));
    }
    Ok(head)
}

pub(super) fn no_answer(error: HeadError, place: &str) -> Fault {
    let text = match error {
        HeadError::Io(error) => return tls::fault(&error, place),
        HeadError::NotHttp => format!("{place} does not answer in HTTP; is it a server for sessions?"),
        HeadError::TooLarge => {
            format!("{place} answers with too long a header; is it a server for sessions?")
        }
        HeadError::Closed(0) => format!("{place} closed the connection without an answer"),
        HeadError::Closed(_) => format!("{place} closed the connection in the middle of its answer"),
    };
    Fault::new(Reason::ConnectionFailed, text)
}

/// What an HTTP status means for a session. The server's own words come first where it has some: it knows more.
fn refusal(status: u16, sentence: Option<String>, place: &str) -> Fault {
    let (reason, text) = match status {
        401 | 403 => (Reason::Authorization, "the server rejected the token"),
        404 => (Reason::InvalidSession, "the server knows no such session, or is no server for sessions"),
        408 | 504 => (Reason::TimedOut, "the server did not answer in time"),
        429 => (Reason::LimitExceeded, "the session or the server has no room for another connection"),
        451 => (Reason::BlockedCountry, "the server refuses clients from this country"),
        503 => (Reason::NoMessagingServer, "the server cannot serve now; try again later"),
        300..=399 => (Reason::ConnectionFailed, "the server points to another address; use that one"),
        _ => (Reason::ConnectionFailed, "the server did not open the session"),
    };
    let text = match sentence {
        Some(sentence) if reason == Reason::Authorization => sentence,
        Some(sentence) => format!("{text} ({place}, HTTP {status}: {sentence})"),
        None => format!("{text} ({place}, HTTP {status})"),
    };
    Fault::new(reason, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(path: &str, token: &str) -> Request {
        Request { path_and_query: path.into(), token: token.into() }
    }

    #[test]
    fn a_token_or_a_path_can_never_bring_a_header_of_its_own() {
        for token in ["", "a\r\nX: y", "a b", "tökän", "a\0", "a\u{7f}"] {
            let fault = check(&request("/rtc", token)).expect_err(token);
            assert_eq!(fault.reason, Reason::Authorization);
            assert!(token.is_empty() || !fault.text.contains(token));
        }
        for path in ["", "rtc", "/rtc HTTP/1.1\r\nX: y", "/rtc#x", "/ü"] {
            assert_eq!(check(&request(path, "token")).expect_err(path).reason, Reason::InvalidSession);
        }
        assert_eq!(check(&request("/rtc?a=%20b", "T1==cGFydG5lcg==")), Ok(()));
    }

    #[test]
    fn a_token_is_not_shown() {
        assert!(!format!("{:?}", request("/rtc", "T0K3N")).contains("T0K3N"));
    }

    #[test]
    fn every_status_has_its_reason() {
        let reasons = [
            (401, Reason::Authorization),
            (403, Reason::Authorization),
            (404, Reason::InvalidSession),
            (408, Reason::TimedOut),
            (504, Reason::TimedOut),
            (429, Reason::LimitExceeded),
            (451, Reason::BlockedCountry),
            (503, Reason::NoMessagingServer),
            (200, Reason::ConnectionFailed),
            (302, Reason::ConnectionFailed),
            (500, Reason::ConnectionFailed),
        ];
        for (status, reason) in reasons {
            assert_eq!(refusal(status, None, "a server").reason, reason, "{status}");
        }
        assert_eq!(refusal(401, Some("the token has expired".into()), "x").text, "the token has expired");
        assert_eq!(
            refusal(500, Some("oops".into()), "h:1").text,
            "the server did not open the session (h:1, HTTP 500: oops)"
        );
    }
}
