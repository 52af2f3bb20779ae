//! A server that says more than it does: a relay on loopback which puts messages of its own between those of the server.
//!
//! For what no server that is free to have does: livekit-server answers to a move into another room that it cannot.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use opentok::signal::frame::FromServer;

pub struct Interpreter {
    address: SocketAddr,
    /// To the client. Locked for a whole frame at a time.
    near: Arc<Mutex<Option<TcpStream>>>,
}

impl Interpreter {
    /// Lives until the test process ends. For one client at a time.
    pub fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let near: Arc<Mutex<Option<TcpStream>>> = Arc::default();
        let shared = Arc::clone(&near);
        thread::spawn(move || {
            for mut client in listener.incoming().map_while(Result::ok) {
                let Ok(mut server) = TcpStream::connect(server) else { continue };
                let copy = |stream: &TcpStream| stream.try_clone().expect("a socket can be duplicated");
                *shared.lock().expect("no holder has panicked") = Some(copy(&client));
                let (mut down, near) = (copy(&server), Arc::clone(&shared));
                thread::spawn(move || {
                    let _ = pass_on(&mut down, &near);
                    end(&near);
                });
                thread::spawn(move || {
                    let _ = io::copy(&mut client, &mut server);
                    let _ = server.shutdown(Shutdown::Write);
                });
            }
        });
        Self { address, near }
    }

    pub fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// Says something in the server's name.
    pub fn say(&self, message: FromServer) {
        let payload = message.encode();
        // RFC 6455 5.2: one binary message in one frame, which a server does not mask.
        let mut frame = vec![0x82, 126];
        frame.extend(u16::try_from(payload.len()).expect("a short message").to_be_bytes());
        frame.extend(payload);
        let mut near = self.near.lock().expect("no holder has panicked");
        near.as_mut().expect("a client is there").write_all(&frame).expect("it listens");
    }

    /// Ends the connection, as a network does.
    pub fn cut(&self) {
        end(&self.near);
    }
}

fn end(near: &Mutex<Option<TcpStream>>) {
    if let Some(stream) = near.lock().expect("no holder has panicked").as_ref() {
        let _ = stream.shutdown(Shutdown::Both);
    }
}

/// First the head of the answer, then frame by frame.
fn pass_on(server: &mut TcpStream, near: &Mutex<Option<TcpStream>>) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        server.read_exact(&mut byte)?;
        head.extend(byte);
    }
    let say = |bytes: &[u8]| {
        let mut near = near.lock().expect("no holder has panicked");
        near.as_mut().map_or(Ok(()), |near| near.write_all(bytes))
    };
    say(&head)?;
    loop {
        let mut frame = vec![0; 2];
        server.read_exact(&mut frame)?;
        let more = match frame[1] & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let mut length = [0; 8];
        server.read_exact(&mut length[8 - more..])?;
        frame.extend(&length[8 - more..]);
        let length = if more == 0 { u64::from(frame[1] & 0x7f) } else { u64::from_be_bytes(length) };
        let mut payload = vec![0; usize::try_from(length).expect("a frame that fits into memory")];
        server.read_exact(&mut payload)?;
        frame.extend(payload);
        say(&frame)?;
    }
}
