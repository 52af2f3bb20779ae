//! The UDP sockets of one session's peer connections.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::task::Poll;

use socket2::SockRef;
use tokio::io::ReadBuf;
use tokio::net::UdpSocket;

use super::interfaces;
use crate::rtc::Datagram;
use crate::session::Addresses;

/// Larger than any path carries; what is longer is none of WebRTC's and is cut, then refused.
const DATAGRAM_SIZE_MAX: usize = 2048;

/// For each peer connection one socket on each address of this machine that the server may reach.
#[derive(Default)]
pub struct Sockets {
    sockets: Vec<(SocketAddr, UdpSocket)>,
    addresses: Addresses,
}

impl Sockets {
    /// `towards`: the address that the link to the server starts from, where that is known. It is always among those
    /// opened. Where it is a loopback address the server is on this machine, and the network hears nothing of it.
    pub fn open(towards: Option<SocketAddr>) -> Self {
        let towards = towards.map(|address| address.ip());
        let mut hosts: Vec<IpAddr> = towards.into_iter().collect();
        if !hosts.iter().any(IpAddr::is_loopback) {
            hosts.extend(interfaces::addresses().into_iter().filter(|host| Some(*host) != towards));
        }
        if hosts.is_empty() {
            hosts.push(Ipv4Addr::LOCALHOST.into());
        }
        let mut opened = Self::default();
        for host in hosts {
            match bind(host).and_then(|subscriber| Ok((subscriber, bind(host)?))) {
                Ok((subscriber, publisher)) => {
                    opened.addresses.subscriber.push(subscriber.0);
                    opened.addresses.publisher.push(publisher.0);
                    opened.sockets.extend([subscriber, publisher]);
                }
                Err(error) => log::debug!("no UDP socket on {host}: {error}"),
            }
        }
        if opened.sockets.is_empty() {
            log::warn!("no UDP socket could be opened");
        }
        opened
    }

    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Never waits. A datagram that the kernel does not take is lost, as datagrams are.
    pub fn send(&self, datagram: &Datagram) {
        if let Some((_, socket)) = self.sockets.iter().find(|(address, _)| *address == datagram.local) {
            // Past the runtime, which takes a socket for busy until it has heard otherwise from the kernel: the first
            // datagrams, those that look for a path, would be lost to that.
            let _ = SockRef::from(socket).send_to(&datagram.bytes, &datagram.remote.into());
        }
    }

    /// The next datagram on any of them; never, where there are none.
    pub async fn receive(&self) -> Datagram {
        poll_fn(|context| {
            let mut space = [0; DATAGRAM_SIZE_MAX];
            for (local, socket) in &self.sockets {
                let mut buffer = ReadBuf::new(&mut space);
                while let Poll::Ready(received) = socket.poll_recv_from(context, &mut buffer) {
                    // An error is the echo of an earlier datagram that nobody took; the next call reads on.
                    if let Ok(remote) = received {
                        let bytes = buffer.filled().to_vec();
                        return Poll::Ready(Datagram { local: *local, remote, bytes });
                    }
                }
            }
            Poll::Pending
        })
        .await
    }
}

fn bind(address: IpAddr) -> io::Result<(SocketAddr, UdpSocket)> {
    let socket = std::net::UdpSocket::bind((address, 0))?;
    socket.set_nonblocking(true)?;
    Ok((socket.local_addr()?, UdpSocket::from_std(socket)?))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_first_datagram_leaves_at_once() {
        let receiver = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
        receiver.set_read_timeout(Some(Duration::from_secs(5))).expect("a time-out");
        let remote = receiver.local_addr().expect("an address");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let sockets = Sockets::open(Some(remote));
            let local = sockets.addresses().publisher[0];
            sockets.send(&Datagram { local, remote, bytes: b"first".to_vec() });
            let mut space = [0; 16];
            let (length, from) = receiver.recv_from(&mut space).expect("the datagram");
            assert_eq!((&space[..length], from), (b"first".as_slice(), local));
        });
    }
}
