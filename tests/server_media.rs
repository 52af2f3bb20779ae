//! The server's port for media by TCP, and strangers who open streams to it.

mod server_support;

use std::time::{Duration, Instant};

use opentok::server::{Config, Running, serve_tcp};
use server_support::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

const STOP: Duration = Duration::from_secs(5);

/// More than so many strangers are not waited for at a time.
const STRANGERS_MAX: usize = 256;

async fn start() -> Running {
    let secrets = [(KEY, SECRET)].into_iter().collect();
    let config = Config { secrets, media_tcp_port: Some(0), ..Config::default() };
    serve_tcp(config, &["127.0.0.1:0".parse().expect("an address")]).await.expect("started")
}

async fn stream(server: &Running) -> TcpStream {
    TcpStream::connect(server.media_addresses()[0]).await.expect("connected")
}

/// The server closes it, and has said nothing.
async fn is_closed(stream: &mut TcpStream) -> bool {
    matches!(timeout(LIMIT, stream.read(&mut [0])).await.expect("in time"), Ok(0) | Err(_))
}

#[tokio::test]
async fn who_talks_of_something_else_is_cut_off_at_once() {
    let server = start().await;
    let begin = Instant::now();
    // One that speaks another protocol, and one that says too often what nobody understands.
    let datagram = [&[0, 20, 0, 1, 0, 0][..], &[7; 16]].concat();
    for words in [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), datagram.repeat(100)] {
        let mut stranger = stream(&server).await;
        stranger.write_all(&words).await.expect("it is open");
        assert!(is_closed(&mut stranger).await);
    }
    assert!(begin.elapsed() < Duration::from_secs(8), "not only when its time was over");
    server.stop(STOP).await;
}

#[tokio::test]
async fn who_says_nothing_is_not_waited_for() {
    let server = start().await;
    let begin = Instant::now();
    assert!(is_closed(&mut stream(&server).await).await);
    assert!(begin.elapsed() > Duration::from_secs(8), "it had time");
    server.stop(STOP).await;
}

#[tokio::test]
async fn of_too_many_strangers_the_first_makes_room() {
    let server = start().await;
    let mut first = stream(&server).await;
    let begin = Instant::now();
    let mut others = Vec::new();
    for _ in 0..STRANGERS_MAX {
        others.push(stream(&server).await);
    }
    assert!(is_closed(&mut first).await);
    assert!(begin.elapsed() < Duration::from_secs(8), "not only when its time was over");
    let last = others.last_mut().expect("many");
    assert!(timeout(Duration::from_millis(100), last.read(&mut [0])).await.is_err(), "the others stay");
    server.stop(STOP).await;
    assert!(is_closed(others.last_mut().expect("many")).await, "until the server ends");
}
