//! Servers for the tests of the link, and what a client needs to call them.
#![allow(dead_code, reason = "each test uses its part")]

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use opentok::driver::dial::{Request, Target, dial};
use opentok::driver::link::{Link, LinkEvent};
use opentok::session::Fault;
use opentok::signal::address::Address;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;

/// No test waits longer for anything; reached only when something is broken.
pub const LIMIT: Duration = Duration::from_secs(20);

pub async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, future).await.expect("the limit of the test is over")
}

pub fn request() -> Request {
    Request { path_and_query: "/rtc?protocol=16".into(), token: "T0K3N".into() }
}

pub fn target(url: &str) -> Target {
    Target::Tcp { address: Address::parse(url).expect("an address"), proxy: None }
}

pub async fn dial_to(address: SocketAddr) -> Result<Link, Fault> {
    in_time(dial(target(&format!("ws://{address}")), &request())).await
}

/// Containers may be without. Then the halves of tests that need it are left out, and say so.
pub fn has_ipv6() -> bool {
    let found = std::net::TcpListener::bind("[::1]:0").is_ok();
    if !found {
        println!("no IPv6 on this machine: not tested");
    }
    found
}

/// A server for one connection.
pub async fn serve<F, Fut>(action: F) -> (SocketAddr, JoinHandle<Fut::Output>)
where
    F: FnOnce(TcpStream) -> Fut + Send + 'static,
    Fut: Future + Send + 'static,
    Fut::Output: Send + 'static,
{
    serve_on("127.0.0.1:0", action).await
}

pub async fn serve_on<F, Fut>(place: &str, action: F) -> (SocketAddr, JoinHandle<Fut::Output>)
where
    F: FnOnce(TcpStream) -> Fut + Send + 'static,
    Fut: Future + Send + 'static,
    Fut::Output: Send + 'static,
{
    let listener = TcpListener::bind(place).await.expect("a free port");
    let address = listener.local_addr().expect("its address");
    let task = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a client");
        action(stream).await
    });
    (address, task)
}

/// The head of a request, up to the empty line.
pub async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("a whole head"));
    }
    String::from_utf8(head).expect("a head in ASCII")
}

/// Answers a request with these bytes and keeps the connection until the client closes it.
pub async fn answer(mut stream: TcpStream, bytes: impl AsRef<[u8]>) -> String {
    let head = read_head(&mut stream).await;
    stream.write_all(bytes.as_ref()).await.expect("an open connection");
    let _ = stream.read_to_end(&mut Vec::new()).await;
    head
}

/// A client and its server, both connected.
pub async fn pair() -> (Link, WebSocketStream<TcpStream>) {
    let (address, server) =
        serve(|stream| async { tokio_tungstenite::accept_async(stream).await.expect("a WebSocket") }).await;
    let link = dial_to(address).await.expect("a link");
    (link, in_time(server).await.expect("the server"))
}

/// A client whose server has shaken hands and now has the bare stream, to say what it likes.
pub async fn raw_pair() -> (Link, TcpStream) {
    let (link, server) = pair().await;
    (link, server.into_inner())
}

pub async fn next(link: &mut Link) -> LinkEvent {
    in_time(link.next()).await
}

pub async fn closed(link: &mut Link) -> Option<Fault> {
    match next(link).await {
        LinkEvent::Closed(fault) => fault,
        event => panic!("the link should be over, but {event:?}"),
    }
}

/// Resident bytes of this process, from `/proc/self/statm`.
pub fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("statm");
    statm.split_whitespace().nth(1).expect("a field").parse::<usize>().expect("a number") * 4096
}
