//! The UDP sockets of one session's peer connections, and the streams to TURN servers and peers that stand in for some.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::task::Poll;

use socket2::SockRef;
use tokio::io::ReadBuf;
use tokio::net::UdpSocket;

use super::interfaces;
use super::media_stream::MediaStream;
use super::relays::{Place, Road};
use super::wire::Wire;
use crate::rtc::{Datagram, RelayPath};
use crate::session::Addresses;
use crate::session::ice::Relays;

/// Larger than any path carries; what is longer is none of WebRTC's and is cut, then refused.
const DATAGRAM_SIZE_MAX: usize = 2048;

/// Two peer connections with a few streams each, and one to each TURN server of theirs.
const STREAMS_MAX: usize = 16;

/// What comes of waiting for a datagram.
pub enum Received {
    Datagram(Datagram),
    /// A stream that stood in for the socket with this address has ended.
    Lost(SocketAddr),
}

/// For each peer connection one socket on each address of this machine that the server may reach.
#[derive(Default)]
pub struct Sockets {
    sockets: Vec<(SocketAddr, UdpSocket)>,
    streams: Vec<MediaStream>,
    addresses: Addresses,
}

impl Sockets {
    /// `start`: the address that the link to the server starts from, where that is known. It is always among those
    /// opened. Where it is a loopback address the server is on this machine, and the network hears nothing of it.
    pub fn open(start: Option<IpAddr>) -> Self {
        let mut hosts: Vec<IpAddr> = start.into_iter().collect();
        if !hosts.iter().any(IpAddr::is_loopback) {
            hosts.extend(interfaces::addresses().into_iter().filter(|host| Some(*host) != start));
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

    /// Opens two sockets for each TURN server, one for each peer connection, or takes over the streams that stand in for
    /// them. A server to which there is no way is left out.
    pub fn add_relays(&mut self, places: Vec<Place>) -> Relays {
        let mut relays = Relays::default();
        for Place { server, road } in places {
            let path = |base, address| RelayPath {
                base,
                server: address,
                user: server.user.clone(),
                credential: server.credential.clone(),
            };
            match road {
                Road::Udp(addresses) => {
                    let found = addresses.into_iter().find_map(|address| {
                        let host = start_towards(address).ok()?;
                        Some((address, bind(host).ok()?, bind(host).ok()?))
                    });
                    let Some((address, subscriber, publisher)) = found else {
                        log::warn!("there is no way to the TURN server {}", server.host);
                        continue;
                    };
                    relays.subscriber.push(path(subscriber.0, address));
                    relays.publisher.push(path(publisher.0, address));
                    self.sockets.extend([subscriber, publisher]);
                }
                Road::Streams(streams) => {
                    if streams.iter().any(|stream| self.is_taken(stream.local)) {
                        log::warn!("the TURN server {} is left out: its port is in use", server.host);
                        continue;
                    }
                    let [subscriber, publisher] = *streams;
                    relays.subscriber.push(path(subscriber.local, subscriber.remote));
                    relays.publisher.push(path(publisher.local, publisher.remote));
                    self.streams.extend([subscriber, publisher]);
                }
            }
        }
        relays
    }

    /// A port of TCP may have the number of one of UDP, and that of a stream to another place; here only the number tells
    /// them apart.
    fn is_taken(&self, base: SocketAddr) -> bool {
        self.sockets.iter().any(|(local, _)| *local == base)
            || self.streams.iter().any(|stream| stream.local == base)
    }

    /// Takes over a stream to a peer's address, and says where it begins. `None`: it is of no use.
    pub fn add_stream(&mut self, remote: SocketAddr, wire: Wire) -> Option<SocketAddr> {
        let stream = MediaStream::to_peer(wire, remote)?;
        let local = stream.local;
        if self.streams.len() >= STREAMS_MAX || self.is_taken(local) {
            return None;
        }
        self.streams.push(stream);
        Some(local)
    }

    pub fn close_stream(&mut self, local: SocketAddr) {
        self.streams.retain(|stream| stream.local != local);
    }

    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Never waits. A datagram that the kernel does not take is lost, as datagrams are.
    pub fn send(&mut self, datagram: &Datagram) {
        if let Some(stream) = self.streams.iter_mut().find(|stream| stream.local == datagram.local) {
            if stream.remote == datagram.remote {
                stream.send(&datagram.bytes);
            }
            return;
        }
        if let Some((_, socket)) = self.sockets.iter().find(|(address, _)| *address == datagram.local) {
            // Past the runtime, which takes a socket for busy until it has heard otherwise from the kernel: the first
            // datagrams, those that look for a path, would be lost to that.
            let _ = SockRef::from(socket).send_to(&datagram.bytes, &datagram.remote.into());
        }
    }

    /// The next datagram on any of them; never, where there are none.
    pub async fn receive(&mut self) -> Received {
        poll_fn(|context| {
            let mut space = [0; DATAGRAM_SIZE_MAX];
            for (local, socket) in &self.sockets {
                let mut buffer = ReadBuf::new(&mut space);
                while let Poll::Ready(received) = socket.poll_recv_from(context, &mut buffer) {
                    // An error is the echo of an earlier datagram that nobody took; the next call reads on.
                    if let Ok(remote) = received {
                        let bytes = buffer.filled().to_vec();
                        return Poll::Ready(Received::Datagram(Datagram { local: *local, remote, bytes }));
                    }
                }
            }
            for index in 0..self.streams.len() {
                let stream = &mut self.streams[index];
                let (local, remote) = (stream.local, stream.remote);
                match stream.poll(context) {
                    Poll::Ready(Ok(bytes)) => {
                        return Poll::Ready(Received::Datagram(Datagram { local, remote, bytes }));
                    }
                    Poll::Ready(Err(error)) => {
                        log::warn!("the connection for media to {remote} has ended: {error}");
                        self.streams.swap_remove(index);
                        return Poll::Ready(Received::Lost(local));
                    }
                    Poll::Pending => {}
                }
            }
            Poll::Pending
        })
        .await
    }
}

/// The address that the kernel starts from on the way to another one. Nothing is sent.
fn start_towards(remote: SocketAddr) -> io::Result<IpAddr> {
    let any: IpAddr = match remote {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let probe = std::net::UdpSocket::bind((any, 0))?;
    probe.connect(remote)?;
    Ok(probe.local_addr()?.ip())
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
    use crate::driver::link::Link;

    #[test]
    fn the_first_datagram_leaves_at_once() {
        let receiver = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
        receiver.set_read_timeout(Some(Duration::from_secs(5))).expect("a time-out");
        let remote = receiver.local_addr().expect("an address");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut sockets = Sockets::open(Some(remote.ip()));
            let local = sockets.addresses().publisher[0];
            sockets.send(&Datagram { local, remote, bytes: b"first".to_vec() });
            let mut space = [0; 16];
            let (length, from) = receiver.recv_from(&mut space).expect("the datagram");
            assert_eq!((&space[..length], from), (b"first".as_slice(), local));
        });
    }

    #[test]
    fn towards_this_machine_no_socket_is_open_to_the_network() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            // As on the hub: the link is a Unix socket.
            let (client, _server) = tokio::net::UnixStream::pair().expect("two sockets");
            let link = Link::new(Wire::Plain(client.into()), Vec::new(), true).await;
            let sockets = Sockets::open(link.start());
            assert_eq!(sockets.sockets.len(), 2);
            assert!(sockets.sockets.iter().all(|(address, _)| address.ip().is_loopback()));
        });
    }
}
