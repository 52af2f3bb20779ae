//! Through an HTTP proxy, which the program's settings name.

use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::TcpStream;

use crate::program::Way;
use crate::server::Server;
use crate::token::{elsewhere, good};

const USER: &str = "user:pass word";

/// What a proxy does with whoever comes.
#[derive(Clone, Copy)]
pub enum Manner {
    Open,
    /// Opens for [`USER`].
    Guarded,
    Refusing,
}

/// The places to which tunnels were opened.
#[derive(Clone, Default)]
pub struct Opened(Arc<Mutex<Vec<String>>>);

impl Opened {
    pub fn count(&self) -> usize {
        self.0.lock().expect("no panic").len()
    }

    pub fn count_to(&self, port: u16) -> usize {
        let opened = self.0.lock().expect("no panic");
        opened.iter().filter(|target| target.ends_with(&format!(":{port}"))).count()
    }
}

/// The port of a proxy, and what it has opened.
pub fn proxy(server: &Server, manner: Manner) -> (u16, Opened) {
    let opened = Opened::default();
    let count = opened.clone();
    let port = server.beside(move |stream| pass(stream, manner, count.clone()));
    (port, opened)
}

async fn pass(mut client: TcpStream, manner: Manner, opened: Opened) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = client.read_u8().await else { return };
        head.push(byte);
    }
    let head = String::from_utf8(head).expect("a head in ASCII");
    let target = head
        .strip_prefix("CONNECT ")
        .and_then(|rest| rest.split(' ').next())
        .expect("only CONNECT comes here");
    assert!(!head.contains("Bearer") && !head.contains("T1=="), "the token is none of the proxy's business");
    let credentials = format!("\r\nProxy-Authorization: Basic {}\r\n", STANDARD.encode(USER));
    let answer = match manner {
        Manner::Refusing => "403 Forbidden",
        Manner::Guarded if !head.contains(&credentials) => "407 Proxy Authentication Required",
        Manner::Open | Manner::Guarded => "200 Connection established",
    };
    let answer = format!("HTTP/1.1 {answer}\r\n\r\n");
    if client.write_all(answer.as_bytes()).await.is_err() || !answer.contains(" 200 ") {
        return;
    }
    let mut server = TcpStream::connect(target).await.expect("the server");
    opened.0.lock().expect("no panic").push(target.to_owned());
    let _ = copy_bidirectional(&mut client, &mut server).await;
}

pub fn way(mode: &str, server: &Server, proxy: &str) -> Way {
    Way::without_hub(mode).env("OTC_URL", server.url()).env("TEST_PROXY", proxy)
}

#[test]
fn the_link_and_the_calls_go_through_the_proxy_of_the_settings() {
    let server = Server::start();
    let (port, opened) = proxy(&server, Manner::Open);
    let url = format!("http://127.0.0.1:{port}");
    way("each", &server, &url).arg(good("one")).run().is_connected();
    assert_eq!(opened.count(), 1);
    let told = way("moderate", &server, &url).arg(good("one")).arg(good("two")).arg(elsewhere()).run();
    assert_eq!(told.lines, ["force disconnect 0", "removed"]);
    // Four connects and five calls, two of them for the mute mode; the client of the other session has no proxy.
    assert_eq!(opened.count(), 1 + 4 + 5);
}

#[test]
fn a_proxy_that_wants_credentials_gets_them() {
    let server = Server::start();
    let (port, _) = proxy(&server, Manner::Guarded);
    let with = |user: &str| way("each", &server, &format!("http://{user}127.0.0.1:{port}")).arg(good("one"));
    with("user:pass%20word@").run().is_connected();
    with("").run().is_error(1006, &["proxy", "user and a password", "407"]);
    let told = with("user:hidden@").run();
    told.is_error(1006, &["proxy", "does not accept", "407"]);
    assert!(!told.lines[0].contains("hidden"));
}

#[test]
fn a_proxy_that_does_not_help_is_an_error_that_names_it() {
    let server = Server::start();
    let (port, _) = proxy(&server, Manner::Refusing);
    let through = |url: &str| way("each", &server, url).arg(good("one")).run();
    through(&format!("http://127.0.0.1:{port}")).is_error(1006, &["proxy", "does not allow", "403"]);
    through("http://127.0.0.1:1").is_error(1023, &["proxy", "127.0.0.1:1"]);
    through("socks5://user:hidden@127.0.0.1:1").is_error(1006, &["proxy", "scheme"]);
    // Something that listens and is no proxy: the server itself.
    through(&server.url().replace("ws:", "http:")).is_error(1006, &["proxy"]);
}
