//! Servers that agree to a WebSocket and then say half of something.

use std::thread;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::program::{Told, Way};
use crate::server::Server;
use crate::token::good;

/// Upgrades as it should, says this, and waits for the client to go.
async fn upgrade_and_say(mut stream: TcpStream, bytes: &'static [u8], hangs_up: bool) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    let head = String::from_utf8(head).expect("a head in ASCII");
    let key = head.split("Sec-WebSocket-Key: ").nth(1).and_then(|rest| rest.lines().next()).expect("a key");
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {}\r\n\r\n",
        derive_accept_key(key.as_bytes())
    );
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.write_all(bytes).await;
    if !hangs_up {
        let _ = stream.read_to_end(&mut Vec::new()).await;
    }
}

fn against(bytes: &'static [u8], hangs_up: bool) -> Told {
    let server = Server::start();
    let port = server.beside(move |stream| upgrade_and_say(stream, bytes, hangs_up));
    Way::without_hub("each").env("OTC_URL", format!("ws://127.0.0.1:{port}")).arg(good("one")).run()
}

/// A binary message of 100 bytes, of which four come.
const HALF_A_MESSAGE: &[u8] = &[0x82, 100, 1, 2, 3, 4];

/// A frame of a kind that does not exist.
const NO_FRAME: &[u8] = &[0xff, 2, 3, 4];

/// A binary message that is no message of the protocol.
const NO_MESSAGE: &[u8] = &[0x82, 4, 0xff, 0xff, 0xff, 0xff];

#[test]
fn half_a_message_and_then_nothing_is_an_error_in_time() {
    // The silence takes as long as a join may take, so both are waited for at once.
    let silent = thread::spawn(|| against(HALF_A_MESSAGE, false));
    against(HALF_A_MESSAGE, true).is_error(1006, &["before it let this client in"]);
    silent.join().expect("the other one").is_error(1021, &["did not answer"]);
}

#[test]
fn garbage_is_an_error_at_once() {
    against(NO_FRAME, false).is_error(1006, &[]);
    against(NO_MESSAGE, false).is_error(1006, &["LiveKit's protocol"]);
}
