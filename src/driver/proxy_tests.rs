//! Streams for media through an HTTP proxy that the tests are themselves, on loopback.

use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::media_stream::MediaStream;
use super::proxy::ProxyUrl;
use super::relays::{self, Road};
use crate::session::ice::{Transport, TurnServer};
use crate::session::{Reason, Way};

const LIMIT: Duration = Duration::from_secs(20);

/// What both framings read as one datagram: a message of STUN without attributes behind its length.
const MESSAGE: [u8; 20] = [0, 3, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];

/// A place where nobody is, and a name that nobody resolves.
const NOBODY: &str = "192.0.2.7:7881";
const UNKNOWN: &str = "turn.invalid";

const YES: &str = "HTTP/1.1 200 Connection established\r\n\r\n";

/// Where somebody listens who hands each stream to `serve`.
async fn listen<F>(host: impl Into<IpAddr>, serve: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind((host.into(), 0)).await.expect("a free port");
    let address = listener.local_addr().expect("its address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    address
}

/// Sends back what it is sent.
async fn echo() -> SocketAddr {
    listen(Ipv4Addr::LOCALHOST, async |mut stream| {
        let mut space = [0; 1024];
        while let Ok(length @ 1..) = stream.read(&mut space).await {
            let _ = stream.write_all(&space[..length]).await;
        }
    })
    .await
}

/// A proxy and the heads of what it was asked.
struct Proxy {
    url: ProxyUrl,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// One that answers with these bytes and, where they are a yes, leads everybody to the same place.
    async fn start(host: impl Into<IpAddr>, answer: &'static str, to: SocketAddr) -> Self {
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let heads = asked.clone();
        let address = listen(host, move |mut client| {
            let heads = heads.clone();
            async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(client.read_u8().await.expect("a whole head"));
                }
                heads.lock().expect("no panic").push(String::from_utf8(head).expect("ASCII"));
                let _ = client.write_all(answer.as_bytes()).await;
                if answer.contains(" 200 ") {
                    let mut server = TcpStream::connect(to).await.expect("it listens");
                    let _ = copy_bidirectional(&mut client, &mut server).await;
                }
                let _ = client.read_to_end(&mut Vec::new()).await;
            }
        })
        .await;
        let url = ProxyUrl::parse(&format!("http://user:hidden@{address}")).expect("a proxy URL");
        Self { url, asked }
    }

    async fn open(host: impl Into<IpAddr>) -> Self {
        Self::start(host, YES, echo().await).await
    }

    /// To what it was asked to connect.
    fn targets(&self) -> Vec<String> {
        let asked = self.asked.lock().expect("no panic");
        let target = |head: &String| head.split(' ').nth(1).expect("a request line").to_owned();
        asked.iter().map(target).collect()
    }
}

fn turn_server(transport: Transport) -> TurnServer {
    let (user, credential) = ("them".to_owned(), "hidden".to_owned());
    TurnServer { transport, host: UNKNOWN.to_owned(), port: 3478, user, credential }
}

/// Where it is found to be, for both peer connections.
async fn road(server: TurnServer, proxy: &ProxyUrl) -> Option<Road> {
    relays::place(server, vec![Way::Subscriber, Way::Publisher], Some(proxy.clone())).await.road
}

async fn comes_back(stream: &mut MediaStream) {
    stream.send(&MESSAGE);
    let back = timeout(LIMIT, poll_fn(|context| stream.poll(context))).await.expect("in time");
    assert_eq!(back.expect("an open stream"), MESSAGE);
}

#[tokio::test]
async fn the_streams_to_a_turn_server_go_through_the_proxy_which_resolves_its_name() {
    let proxy = Proxy::open(Ipv4Addr::LOCALHOST).await;
    let found = road(turn_server(Transport::Tcp), &proxy.url).await;
    let Some(Road::Streams(mut streams)) = found else { panic!("there is a way") };
    assert_eq!(proxy.targets(), ["turn.invalid:3478", "turn.invalid:3478"]);
    assert!(proxy.asked.lock().expect("no panic")[0].contains("\r\nProxy-Authorization: Basic "));
    let [(Way::Subscriber, subscriber), (Way::Publisher, publisher)] = &mut streams[..] else {
        panic!("one for each")
    };
    assert_ne!(subscriber.local, publisher.local);
    assert_eq!(subscriber.remote, publisher.remote);
    assert_eq!(subscriber.remote.port(), 3478);
    assert!(!subscriber.remote.ip().is_loopback(), "there is a network behind a proxy of this machine");
    comes_back(subscriber).await;
    comes_back(publisher).await;
}

#[tokio::test]
async fn tls_begins_inside_the_tunnel_and_asks_for_the_name_of_the_turn_server() {
    let (said, mut hears) = tokio::sync::mpsc::unbounded_channel();
    let turn = listen(Ipv4Addr::LOCALHOST, move |mut stream| {
        let said = said.clone();
        async move {
            let mut greeting = vec![0; 2048];
            let length = stream.read(&mut greeting).await.expect("a greeting");
            greeting.truncate(length);
            let _ = said.send(greeting);
        }
    })
    .await;
    let proxy = Proxy::start(Ipv4Addr::LOCALHOST, YES, turn).await;
    assert!(road(turn_server(Transport::Tls), &proxy.url).await.is_none(), "it hung up");
    let greeting = hears.recv().await.expect("somebody came");
    assert_eq!(greeting[0], 22, "a handshake (RFC 8446 section 5.1)");
    assert!(greeting.windows(UNKNOWN.len()).any(|part| part == UNKNOWN.as_bytes()));
    assert!(proxy.targets().iter().all(|target| target == "turn.invalid:3478"));
}

#[tokio::test]
async fn udp_to_a_turn_server_goes_past_the_proxy() {
    let proxy = Proxy::open(Ipv4Addr::LOCALHOST).await;
    let server = TurnServer { host: "127.0.0.1".to_owned(), ..turn_server(Transport::Udp) };
    assert!(matches!(road(server, &proxy.url).await, Some(Road::Udp(_))));
    assert!(proxy.targets().is_empty());
}

#[tokio::test]
async fn a_stream_to_a_peer_goes_through_the_proxy() {
    let proxy = Proxy::open(Ipv4Addr::LOCALHOST).await;
    for remote in [NOBODY, "[2001:db8::7]:7881"] {
        let address = remote.parse().expect("an address");
        let wire = relays::peer(address, Some(&proxy.url)).await.expect("a tunnel");
        let own = wire.socket().local_addr().expect("a socket of TCP");
        let mut stream = MediaStream::to_peer(wire, address).expect("a stream");
        assert_eq!(proxy.targets().last().map(String::as_str), Some(remote));
        assert_eq!((stream.remote, stream.local.port()), (address, own.port()));
        assert_eq!(stream.local.is_ipv4(), address.is_ipv4(), "the two are a pair");
        assert_eq!(stream.local == own, address.is_ipv4());
        comes_back(&mut stream).await;
    }
}

#[tokio::test]
async fn a_proxy_of_ipv6_leads_to_a_peer_of_ipv4() {
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).await.is_err() {
        return println!("no IPv6 on this machine: not tested");
    }
    let proxy = Proxy::open(Ipv6Addr::LOCALHOST).await;
    let remote = NOBODY.parse().expect("an address");
    let wire = relays::peer(remote, Some(&proxy.url)).await.expect("a tunnel");
    let mut stream = MediaStream::to_peer(wire, remote).expect("a stream");
    assert!(stream.local.is_ipv4());
    comes_back(&mut stream).await;
}

#[tokio::test]
async fn where_the_proxy_does_not_lead_there_is_no_stream_and_no_secret_is_told() {
    for (answer, words) in [
        ("HTTP/1.1 403 Forbidden\r\n\r\n", "does not allow"),
        ("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "does not accept"),
        ("HTTP/1.1 502 Bad Gateway\r\n\r\n", "cannot reach"),
        ("SSH-2.0-proxy\r\n\r\n", "does not answer as an HTTP proxy"),
        ("HTTP/1.1 200 Yes\r\n\r\nand more", "more than its answer"),
    ] {
        let proxy = Proxy::start(Ipv4Addr::LOCALHOST, answer, echo().await).await;
        let fault =
            relays::peer(NOBODY.parse().expect("an address"), Some(&proxy.url)).await.expect_err(answer);
        assert!(fault.text.contains(words) && !fault.text.contains("hidden"), "{}", fault.text);
        assert!(road(turn_server(Transport::Tcp), &proxy.url).await.is_none());
    }
}

#[tokio::test]
async fn a_proxy_that_never_answers_is_given_up() {
    let proxy = Proxy::start(Ipv4Addr::LOCALHOST, "", echo().await).await;
    let peer = relays::peer(NOBODY.parse().expect("an address"), Some(&proxy.url));
    let turn = road(turn_server(Transport::Tcp), &proxy.url);
    let (stream, road) = timeout(LIMIT, async { tokio::join!(peer, turn) }).await.expect("in time");
    let fault = stream.expect_err("silence");
    assert_eq!(fault.reason, Reason::TimedOut);
    assert!(fault.text.contains("through the proxy") && !fault.text.contains("hidden"), "{}", fault.text);
    assert!(road.is_none());
}
