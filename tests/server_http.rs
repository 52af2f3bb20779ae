//! The server over TCP: who gets in, who is refused with which words, and what disturbs nobody.

mod server_support;

use std::time::Duration;

use futures_util::SinkExt as _;
use opentok::server::{Config, Running, serve_tcp};
use opentok::signal::frame::{FromClient, FromServer, REQUEST_SIZE_MAX};
use opentok::signal::join::JoinQuery;
use opentok::signal::proto::signal_request::Message as Ask;
use opentok::signal::proto::signal_response::Message;
use opentok::signal::proto::{DisconnectReason, leave_request::Action};
use opentok::signal::signals;
use opentok::signal::token::{self, Order, Role};
use server_support::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const STOP: Duration = Duration::from_secs(5);

async fn start(config: Config) -> Running {
    let config = Config { secrets: [(KEY, SECRET)].into_iter().collect(), ..config };
    serve_tcp(config, &["127.0.0.1:0".parse().expect("an address")]).await.expect("started")
}

async fn dial(server: &Running) -> TcpStream {
    TcpStream::connect(server.addresses()[0]).await.expect("connected")
}

/// The whole answer to one request; the server closes after it.
async fn ask(server: &Running, request: &str) -> String {
    let mut stream = dial(server).await;
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    tokio::time::timeout(LIMIT, stream.read_to_string(&mut answer)).await.expect("in time").expect("a text");
    answer
}

async fn get(server: &Running, path: &str) -> String {
    ask(server, &format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).await
}

async fn post(server: &Running, method: &str, token: &str, body: &str) -> String {
    let request = format!(
        "POST /twirp/livekit.RoomService/{method} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
         Authorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    ask(server, &request).await
}

fn said(frame: FromServer) -> Option<String> {
    match frame {
        FromServer::Data(packet) => signals::read(&packet).map(|signal| signal.data),
        _ => None,
    }
}

#[tokio::test]
async fn two_clients_meet_and_speak() {
    let server = start(Config::default()).await;
    let (mut first, _) = Client::join(dial(&server).await, &ours(), &token()).await;
    let (mut second, join) = Client::join(dial(&server).await, &ours(), &token()).await;
    assert_eq!(join.other_participants.len(), 1);
    second.say(FromClient::Data(signals::packet("chat", "hello", Vec::new()))).await;
    assert_eq!(first.wait_for(said).await, "hello");
    drop(first);
    drop(second);
    server.stop(STOP).await;
}

#[tokio::test]
async fn refusals_arrive_with_their_status_and_their_sentence() {
    let server = start(Config { connections_max: Some(1), ..Default::default() }).await;
    let (_first, _) = Client::join(dial(&server).await, &ours(), &token()).await;
    let expired = Order { created_s: now_s() - 7200, expires_s: now_s() - 3600, ..order() };
    let forged = Order { secret: "another", ..order() };
    let unknown = Order { api_key: "456", ..order() };
    let make = |order: &Order| token::classic(order).expect("a token");
    let elsewhere = JoinQuery { room: Some("2_other".into()), ..ours() };
    let too_long = JoinQuery { room: Some("x".repeat(256)), ..ours() };
    for (query, token, status, words) in [
        (ours(), make(&expired), 401, "expired"),
        (ours(), make(&forged), 401, "signature"),
        (ours(), make(&unknown), 401, "key"),
        (ours(), "T1==nonsense".into(), 401, "damaged"),
        (elsewhere, token(), 401, "another session"),
        (too_long, token(), 404, "255"),
        (ours(), token(), 429, "connections"),
    ] {
        let (got, text) = Client::open(dial(&server).await, &query, &token).await.err().expect("refused");
        assert_eq!(got, status, "{text}");
        assert!(text.contains(words) && !text.contains(&token), "{text}");
        let path = format!("/rtc/validate?{}&access_token={}", query.encode(), encode(&token));
        let answer = get(&server, &path).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.contains(&text), "{answer}");
    }
    server.stop(STOP).await;
}

fn encode(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

#[tokio::test]
async fn the_newer_dialect_is_not_there_and_the_page_is() {
    let server = start(Config::default()).await;
    for path in ["/rtc/v1", "/rtc/v1?join_request=x", "/rtc/v1/validate", "/nowhere"] {
        assert!(get(&server, path).await.starts_with("HTTP/1.1 404"), "{path}");
    }
    assert!(get(&server, "/").await.starts_with("HTTP/1.1 200"));
    assert!(get(&server, "/rtc").await.starts_with("HTTP/1.1 400"));
    server.stop(STOP).await;
}

#[tokio::test]
async fn garbage_and_half_requests_disturb_nobody_and_do_not_hold_up_the_end() {
    let server = start(Config::default()).await;
    let (mut first, _) = Client::join(dial(&server).await, &ours(), &token()).await;
    let mut open = Vec::new();
    for bytes in [
        &b"GET /rtc HTT"[..],
        b"\x16\x03\x01\x00\xff garbage",
        b"",
        b"POST /twirp/livekit.RoomService/X HTTP/1.1\r\nContent-Length: 99\r\n\r\nhalf",
    ] {
        let mut stream = dial(&server).await;
        stream.write_all(bytes).await.expect("sent");
        open.push(stream);
    }
    let (mut rude, _) = Client::join(dial(&server).await, &ours(), &token()).await;
    use futures_util::SinkExt as _;
    let garbage = tokio_tungstenite::tungstenite::Message::Binary(vec![0xff; 50].into());
    rude.socket.send(garbage).await.expect("sent");
    while rude.next().await.is_some() {}
    let (mut second, _) = Client::join(dial(&server).await, &ours(), &token()).await;
    second.say(FromClient::Data(signals::packet("chat", "still here", Vec::new()))).await;
    assert_eq!(first.wait_for(said).await, "still here");
    drop((first, second));
    let started = std::time::Instant::now();
    server.stop(Duration::from_secs(1)).await;
    assert!(started.elapsed() < STOP, "{:?}", started.elapsed());
    // The half requests were ended too.
    for mut stream in open {
        let mut rest = Vec::new();
        let _ = tokio::time::timeout(LIMIT, stream.read_to_end(&mut rest)).await.expect("closed");
    }
}

#[tokio::test]
async fn the_end_says_where_to_go() {
    let server = start(Config::default()).await;
    let (mut first, _) = Client::join(dial(&server).await, &ours(), &token()).await;
    let left = tokio::spawn(async move {
        let leave = first
            .wait_for(|frame| match frame {
                FromServer::Message(Message::Leave(leave)) => Some(leave),
                _ => None,
            })
            .await;
        assert_eq!(first.next().await, None);
        leave
    });
    server.stop(STOP).await;
    let leave = left.await.expect("heard");
    assert_eq!((leave.reason(), leave.action()), (DisconnectReason::ServerShutdown, Action::Reconnect));
}

#[tokio::test]
async fn a_client_that_does_not_read_misses_packets_and_nobody_else_does() {
    let server = start(Config::default()).await;
    let token = token();
    let (mut deaf, join) = Client::join(dial(&server).await, &ours(), &token).await;
    let (mut watcher, _) = Client::join(dial(&server).await, &ours(), &token).await;
    let (mut loud, _) = Client::join(dial(&server).await, &ours(), &token).await;
    let sid = join.participant.expect("a participant").sid;
    let text = "x".repeat(60_000);
    // More than the outbox and what the kernel takes on both sides.
    for _ in 0..400 {
        loud.say(FromClient::Data(signals::packet("", &text, vec![sid.clone()]))).await;
    }
    loud.say(FromClient::Data(signals::packet("", "done", Vec::new()))).await;
    assert_eq!(watcher.wait_for(said).await, "done", "everybody else is served");
    let mut heard = 0;
    while deaf.wait_for(said).await != "again" {
        heard += 1;
        // There is room again by then.
        if heard == 50 {
            loud.say(FromClient::Data(signals::packet("", "again", Vec::new()))).await;
        }
    }
    assert!((50..400).contains(&heard), "{heard}");
    drop((deaf, watcher, loud));
    server.stop(STOP).await;
}

#[tokio::test]
async fn the_largest_message_is_read_and_a_larger_one_ends_its_link() {
    let server = start(Config::default()).await;
    let (mut client, _) = Client::join(dial(&server).await, &ours(), &token()).await;
    // Of a newer protocol: it is skipped. The field takes two bytes for its number and three for its length.
    let message = |size: usize| {
        let length = size - 5;
        let head = [0xa2, 0x38, length as u8 | 0x80, (length >> 7) as u8 | 0x80, (length >> 14) as u8];
        [&head[..], &vec![0; length]].concat()
    };
    for (size, is_read) in [(REQUEST_SIZE_MAX, true), (REQUEST_SIZE_MAX + 1, false)] {
        let _ = client.socket.send(message(size).into()).await;
        let ping = FromClient::Message(Ask::Ping(7));
        let _ = client.socket.send(ping.encode().into()).await;
        let answer = client.next().await;
        let expected = is_read.then_some(FromServer::Message(Message::Pong(7)));
        assert_eq!(answer, expected, "{size}");
    }
    server.stop(STOP).await;
}

#[tokio::test]
async fn a_moderator_removes_with_its_own_token_and_a_publisher_may_not() {
    let server = start(Config::default()).await;
    let (mut first, join) = Client::join(dial(&server).await, &ours(), &token()).await;
    let identity = join.participant.expect("a participant").identity;
    let moderator = token::classic(&Order { role: Role::Moderator, ..order() }).expect("a token");
    let body = format!(r#"{{"room":"{ROOM}","identity":"{identity}"}}"#);
    let answer = post(&server, "RemoveParticipant", &token(), &body).await;
    assert!(answer.starts_with("HTTP/1.1 403") && answer.contains("permission_denied"), "{answer}");
    assert!(post(&server, "RemoveParticipant", "x", &body).await.starts_with("HTTP/1.1 401"));
    let elsewhere = body.replace(ROOM, "2_other");
    assert!(post(&server, "RemoveParticipant", &moderator, &elsewhere).await.starts_with("HTTP/1.1 403"));
    assert!(post(&server, "Nonsense", &moderator, "{}").await.contains("bad_route"));
    assert!(post(&server, "RemoveParticipant", &moderator, "{").await.contains("malformed"));
    let answer = post(&server, "ListParticipants", &moderator, &format!(r#"{{"room":"{ROOM}"}}"#)).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(&identity), "{answer}");
    let answer = post(&server, "RemoveParticipant", &moderator, &body).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let reason = first
        .wait_for(|frame| match frame {
            FromServer::Message(Message::Leave(leave)) => Some(leave.reason()),
            _ => None,
        })
        .await;
    assert_eq!(reason, DisconnectReason::ParticipantRemoved);
    let answer = post(&server, "RemoveParticipant", &moderator, &body).await;
    assert!(answer.starts_with("HTTP/1.1 404") && answer.contains("not_found"), "{answer}");
    drop(first);
    server.stop(STOP).await;
}
