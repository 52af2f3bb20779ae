//! Opening the link to servers and proxies that behave, and to all the others.

mod link_support;

use std::net::Ipv4Addr;
use std::time::Duration;

use link_support::*;
use opentok::driver::dial::{Target, dial};
use opentok::driver::link::Link;
use opentok::driver::proxy::ProxyUrl;
use opentok::session::{Fault, Reason};
use opentok::signal::address::Address;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixStream};
use tokio::time::timeout;

async fn fault_of_answer(bytes: impl AsRef<[u8]> + Send + 'static) -> Fault {
    let (address, _server) = serve(move |stream| answer(stream, bytes)).await;
    dial_to(address).await.expect_err("no link")
}

fn contains(fault: &Fault, part: &str) {
    assert!(fault.text.contains(part), "{fault:?} should contain {part:?}");
    assert!(!fault.text.contains("T0K3N"), "{fault:?} shows the token");
}

#[tokio::test]
async fn the_token_travels_in_a_header_and_the_path_as_it_is() {
    let (address, server) =
        serve(|stream| answer(stream, "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")).await;
    dial_to(address).await.expect_err("no link");
    let head = in_time(server).await.expect("the server");
    assert!(head.starts_with("GET /rtc?protocol=16 HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("\r\nAuthorization: Bearer T0K3N\r\n"), "{head}");
    assert!(head.contains(&format!("\r\nHost: {address}\r\n")), "{head}");
}

#[tokio::test]
async fn both_families_and_localhost_are_reached_without_a_resolver() {
    for (place, host) in [
        ("127.0.0.1:0", "127.0.0.1"),
        ("[::1]:0", "[::1]"),
        ("[::1]:0", "localhost"),
        ("127.0.0.1:0", "localhost"),
    ] {
        if place.starts_with('[') && !has_ipv6() {
            continue;
        }
        let (address, server) =
            serve_on(place, |stream| async { tokio_tungstenite::accept_async(stream).await.is_ok() }).await;
        let url = format!("ws://{host}:{}", address.port());
        let link = in_time(dial(target(&url), &request())).await.expect(&url);
        assert_eq!(link.peer_addr(), Some(address));
        assert_eq!(link.start(), Some(address.ip()));
        assert!(in_time(server).await.expect("the server"));
    }
}

#[tokio::test]
async fn a_dead_address_does_not_eat_the_time_of_the_living_one() {
    if !has_ipv6() {
        return;
    }
    // Nobody accepts, and the kernel's own queue is full: from now on this address swallows what it is sent.
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
    let dead = socket.listen(1).expect("a listener");
    let dead_address = dead.local_addr().expect("its address");
    let mut callers = Vec::new();
    while let Ok(caller) = timeout(Duration::from_millis(300), TcpStream::connect(dead_address)).await {
        callers.push(caller.expect("a connection"));
        assert!(callers.len() < 50, "the queue never fills");
    }
    let place = format!("[::1]:{}", dead_address.port());
    let (address, server) =
        serve_on(&place, |stream| async { tokio_tungstenite::accept_async(stream).await.is_ok() }).await;
    let url = format!("ws://localhost:{}", address.port());
    let dialled = timeout(Duration::from_secs(5), dial(target(&url), &request())).await;
    assert_eq!(dialled.expect("in time").expect("a link").peer_addr(), Some(address));
    assert!(in_time(server).await.expect("the server"));
}

#[tokio::test]
async fn an_attempt_can_live_in_a_task_and_is_small_there() {
    let request = request();
    let attempt = dial(target("ws://127.0.0.1:9"), &request);
    println!("an attempt: {} bytes, a link: {} bytes", size_of_val(&attempt), size_of::<Link>());
    // A task keeps room for its largest future for as long as it lives.
    assert!(size_of_val(&attempt) < 4096);
    let request = link_support::request();
    let task = tokio::spawn(async move { dial(target("ws://127.0.0.1:9"), &request).await.is_err() });
    assert!(in_time(task).await.expect("the attempt"));
}

#[tokio::test]
async fn a_connected_unix_socket_becomes_a_link() {
    let (client, server) = UnixStream::pair().expect("two sockets");
    let server = tokio::spawn(async { tokio_tungstenite::accept_async(server).await.is_ok() });
    let link = in_time(dial(Target::Stream(client), &request())).await.expect("a link");
    assert_eq!((link.start(), link.peer_addr()), (Some(Ipv4Addr::LOCALHOST.into()), None));
    assert!(in_time(server).await.expect("the server"));
}

#[tokio::test]
async fn a_port_where_nothing_listens_refuses() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("its address");
    drop(listener);
    let fault = dial_to(address).await.expect_err("no link");
    assert_eq!(fault.reason, Reason::Refused);
    contains(&fault, &format!("nothing listens on {address}; is the server running?"));
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_a_failed_connection() {
    let fault = in_time(dial(target("ws://no-such-host.invalid"), &request())).await.expect_err("no link");
    assert_eq!(fault.reason, Reason::ConnectionFailed);
    contains(&fault, "no-such-host.invalid could not be resolved");
}

#[tokio::test]
async fn every_refusal_has_its_reason_and_the_servers_words() {
    let cases = [
        ("401 Unauthorized", Reason::Authorization),
        ("403 Forbidden", Reason::Authorization),
        ("404 Not Found", Reason::InvalidSession),
        ("408 Request Timeout", Reason::TimedOut),
        ("429 Too Many Requests", Reason::LimitExceeded),
        ("451 Unavailable", Reason::BlockedCountry),
        ("500 Internal", Reason::ConnectionFailed),
        ("503 Unavailable", Reason::NoMessagingServer),
        ("504 Gateway Timeout", Reason::TimedOut),
        ("200 OK", Reason::ConnectionFailed),
        ("302 Found", Reason::ConnectionFailed),
    ];
    for (status, reason) in cases {
        let fault =
            fault_of_answer(format!("HTTP/1.1 {status}\r\nContent-Length: 12\r\n\r\nbad\r\n luck\x07T"))
                .await;
        assert_eq!(fault.reason, reason, "{status}");
        contains(&fault, "bad luck T");
    }
}

#[tokio::test]
async fn the_words_of_a_refusal_are_read_also_when_they_come_later_and_in_chunks() {
    for body in [
        "Content-Length: 17\r\n\r\n|expired: |t is so",
        "Transfer-Encoding: chunked\r\n\r\n|9\r\nexpired: \r\n8\r\nt i|s so T0\r\n0\r\n\r\n",
    ] {
        let body = body.to_owned();
        let (address, _server) = serve(move |mut stream| async move {
            read_head(&mut stream).await;
            stream.write_all(b"HTTP/1.1 401 No\r\nContent-Type: text/plain\r\n").await.expect("open");
            for part in body.split('|') {
                stream.write_all(part.as_bytes()).await.expect("open");
                stream.flush().await.expect("open");
                tokio::task::yield_now().await;
            }
            let _ = stream.read_to_end(&mut Vec::new()).await;
        })
        .await;
        let fault = dial_to(address).await.expect_err("no link");
        assert_eq!(fault.reason, Reason::Authorization);
        contains(&fault, "expired: t is so");
    }
}

#[tokio::test]
async fn a_refusal_that_quotes_the_token_or_sends_a_page_is_cleaned() {
    let fault = fault_of_answer("HTTP/1.1 401 No\r\nContent-Length: 15\r\n\r\nno token T0K3N!").await;
    contains(&fault, "no token (secret)!");
    let page = "HTTP/1.1 401 No\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>";
    contains(&fault_of_answer(page).await, "the server rejected the token");
    let endless = format!("HTTP/1.1 401 No\r\n\r\n{}", "long ".repeat(100_000));
    assert!(fault_of_answer(endless).await.text.chars().count() <= 300);
}

#[tokio::test]
async fn the_body_of_a_refusal_that_never_comes_does_not_hide_the_refusal() {
    let fault = fault_of_answer("HTTP/1.1 403 No\r\nContent-Length: 100\r\n\r\nnot al").await;
    assert_eq!((fault.reason, fault.text.as_str()), (Reason::Authorization, "not al"));
}

#[tokio::test]
async fn an_interim_answer_is_not_the_answer() {
    let fault =
        fault_of_answer("HTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")
            .await;
    assert_eq!(fault.reason, Reason::NoMessagingServer);
}

#[tokio::test]
async fn a_server_that_agrees_to_something_else_is_refused() {
    let accept = "Upgrade: websocket\r\nConnection: Upgrade\r\n";
    for headers in ["", accept, &format!("{accept}Sec-WebSocket-Accept: wrong\r\n")] {
        let fault = fault_of_answer(format!("HTTP/1.1 101 Ok\r\n{headers}\r\n")).await;
        assert_eq!(fault.reason, Reason::ConnectionFailed);
        contains(&fault, "something else than a WebSocket");
    }
}

#[tokio::test]
async fn garbage_and_endless_headers_are_no_http() {
    let long = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(40_000));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(100));
    for (bytes, part) in [
        ("SSH-2.0-OpenSSH_9\r\n".to_owned(), "does not answer in HTTP"),
        ("\x15\x03\x01\x00\x02\x02\x46".to_owned(), "does not answer in HTTP"),
        (long, "too long a header"),
        (many, "too long a header"),
    ] {
        let fault = fault_of_answer(bytes).await;
        assert_eq!(fault.reason, Reason::ConnectionFailed);
        contains(&fault, part);
    }
}

#[tokio::test]
async fn a_connection_that_ends_during_the_handshake_fails_at_once() {
    for (said, part) in [("", "without an answer"), ("HTTP/1.1 101 Swi", "in the middle of its answer")] {
        let (address, _server) = serve(move |mut stream| async move {
            read_head(&mut stream).await;
            stream.write_all(said.as_bytes()).await.expect("open");
        })
        .await;
        let fault = dial_to(address).await.expect_err("no link");
        assert_eq!(fault.reason, Reason::ConnectionFailed);
        contains(&fault, part);
    }
}

#[tokio::test]
async fn a_reset_during_the_handshake_is_a_failed_connection() {
    let (address, _server) = serve(|stream| async move {
        // Closing with the request unread makes the kernel send a reset.
        stream.readable().await.expect("a request");
        drop(stream);
    })
    .await;
    let fault = dial_to(address).await.expect_err("no link");
    assert_eq!(fault.reason, Reason::ConnectionFailed);
}

#[tokio::test]
async fn giving_up_on_a_silent_server_closes_the_connection_at_once() {
    for said in ["", "HTTP/1.1 101 Swi"] {
        let (asked, is_asked) = tokio::sync::oneshot::channel();
        let (address, server) = serve(move |mut stream| async move {
            read_head(&mut stream).await;
            stream.write_all(said.as_bytes()).await.expect("open");
            asked.send(()).expect("the test waits");
            // An end or, where the client leaves something unread, a reset.
            let _ = stream.read_to_end(&mut Vec::new()).await;
        })
        .await;
        let request = request();
        tokio::select! {
            result = dial(target(&format!("ws://{address}")), &request) => panic!("{result:?}"),
            asked = in_time(is_asked) => asked.expect("the server was asked"),
        }
        in_time(server).await.expect("the server sees the end");
    }
}

/// A proxy for one connection. It returns the head of the request it was asked.
async fn proxy(status: &'static str) -> (ProxyUrl, tokio::task::JoinHandle<String>) {
    let (address, task) = serve(move |mut stream| async move {
        let head = read_head(&mut stream).await;
        stream.write_all(format!("HTTP/1.1 {status}\r\n\r\n").as_bytes()).await.expect("open");
        if status.starts_with("200 Connection") {
            let place = head.split_whitespace().nth(1).expect("a target");
            let mut server = TcpStream::connect(place).await.expect("the server");
            let _ = tokio::io::copy_bidirectional(&mut stream, &mut server).await;
        }
        head
    })
    .await;
    let url = format!("http://us%40er:hidden@{address}");
    (ProxyUrl::parse(&url).expect("a proxy URL"), task)
}

#[tokio::test]
async fn a_proxy_leads_to_the_server_with_its_credentials() {
    let (address, server) =
        serve(|stream| async { tokio_tungstenite::accept_async(stream).await.is_ok() }).await;
    let (proxy, asked) = proxy("200 Connection established").await;
    let address = Address::parse(&format!("ws://{address}")).expect("an address");
    let authority = address.authority();
    let link = in_time(dial(Target::Tcp { address, proxy: Some(proxy) }, &request())).await.expect("a link");
    assert!(in_time(server).await.expect("the server"));
    drop(link);
    let head = in_time(asked).await.expect("the proxy");
    assert!(head.starts_with(&format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n")), "{head}");
    assert!(head.contains("\r\nProxy-Authorization: Basic dXNAZXI6aGlkZGVu\r\n"), "{head}");
    assert!(!head.contains("T0K3N"), "{head}");
}

#[tokio::test]
async fn a_proxy_that_refuses_says_why_and_never_the_credentials() {
    for (status, reason, part) in [
        ("407 Auth", Reason::ConnectionFailed, "does not accept the user and password"),
        ("403 No", Reason::ConnectionFailed, "does not allow connections to 127.0.0.1:9"),
        ("502 Bad", Reason::ConnectionFailed, "cannot reach 127.0.0.1:9"),
        ("504 Late", Reason::TimedOut, "had no answer from 127.0.0.1:9"),
        ("200 Ok\r\n\r\nmore", Reason::ConnectionFailed, "sent more than its answer"),
    ] {
        let (proxy, _asked) = proxy(status).await;
        let address = Address::parse("ws://127.0.0.1:9").expect("an address");
        let fault = in_time(dial(Target::Tcp { address, proxy: Some(proxy) }, &request()))
            .await
            .expect_err("no link");
        assert_eq!(fault.reason, reason, "{status}");
        contains(&fault, part);
        assert!(!fault.text.contains("hidden") && !fault.text.contains("us@er"), "{fault:?}");
    }
}
