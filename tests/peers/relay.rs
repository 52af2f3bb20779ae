//! A wire that can be cut: a relay on loopback between a program and a server's TCP port.
//!
//! Only the signalling goes through it, as through a proxy; the peer connection stays up. So this is the interruption that
//! a session resumes from, where a server that died can only be joined anew.

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

pub struct Relay {
    address: SocketAddr,
    streams: Arc<Mutex<Vec<TcpStream>>>,
}

impl Relay {
    /// Lives until the test process ends: its thread waits for connections and costs nothing.
    pub fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let streams: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
        let all = Arc::clone(&streams);
        thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let Ok(far) = TcpStream::connect(server) else { continue };
                let mut all = all.lock().expect("no holder has panicked");
                for (from, to) in [(&near, &far), (&far, &near)] {
                    let copy = |stream: &TcpStream| stream.try_clone().expect("a socket can be duplicated");
                    all.push(copy(from));
                    let (mut from, mut to) = (copy(from), copy(to));
                    thread::spawn(move || {
                        let _ = io::copy(&mut from, &mut to);
                        let _ = to.shutdown(Shutdown::Write);
                    });
                }
            }
        });
        Self { address, streams }
    }

    pub fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// Ends every connection that goes through, on both sides, in the middle of whatever is said. New ones are accepted.
    pub fn cut(&self) {
        let mut streams = self.streams.lock().expect("no holder has panicked");
        assert!(!streams.is_empty(), "nothing goes through this relay");
        for stream in streams.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}
