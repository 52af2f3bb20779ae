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
use crate::session::ice::{Relays, TurnServer};
use crate::session::{Addresses, Reach, Way};

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
    /// opened. Where the server is this library and `start` a loopback address it is on this machine, and the network
    /// hears nothing of it. Another server may be elsewhere all the same, behind a tunnel, or in a container.
    pub fn open(start: Option<IpAddr>, reach: Reach) -> Self {
        let mut opened = Self::default();
        opened.open_on(hosts(start, reach));
        opened
    }

    fn open_on(&mut self, hosts: Vec<IpAddr>) {
        for host in hosts {
            match bind(host).and_then(|subscriber| Ok((subscriber, bind(host)?))) {
                Ok((subscriber, publisher)) => {
                    self.addresses.subscriber.push(subscriber.0);
                    self.addresses.publisher.push(publisher.0);
                    self.sockets.extend([subscriber, publisher]);
                }
                Err(error) => log::debug!("no UDP socket on {host}: {error}"),
            }
        }
        if self.sockets.is_empty() {
            log::warn!("no UDP socket could be opened");
        }
    }

    /// The network may be another one. Opens what [`Self::open`] would open and is missing, and closes what begins at an
    /// address that this machine does not have any more. What comes back are those of them that went to TURN servers and
    /// peers.
    pub fn renew(&mut self, start: Option<IpAddr>, reach: Reach) -> Vec<SocketAddr> {
        let mut lost = Vec::new();
        let Self { sockets, streams, addresses } = self;
        let Addresses { subscriber, publisher } = addresses;
        sockets.retain(|(local, _)| {
            let is_here = is_here(local.ip());
            if !is_here && !subscriber.contains(local) && !publisher.contains(local) {
                lost.push(*local);
            }
            is_here
        });
        for own in [subscriber, publisher] {
            own.retain(|local| sockets.iter().any(|(address, _)| address == local));
        }
        streams.retain(|stream| {
            let is_here = stream.host().is_none_or(is_here);
            if !is_here {
                lost.push(stream.local);
            }
            is_here
        });
        if reach != Reach::Relays {
            let mut missing = hosts(start, reach);
            missing.retain(|host| !self.addresses.subscriber.iter().any(|local| local.ip() == *host));
            self.open_on(missing);
        }
        lost
    }

    /// Opens a socket to a TURN server for each peer connection, or takes over the streams that stand in for them. None,
    /// where there is no way to the server.
    pub fn add_relays(&mut self, place: Place) -> (TurnServer, Relays) {
        let mut relays = Relays::default();
        let Place { server, ways, road } = place;
        let mut add = |way, base, address| {
            let (user, credential) = (server.user.clone(), server.credential.clone());
            let path = RelayPath { base, server: address, user, credential };
            match way {
                Way::Subscriber => relays.subscriber.push(path),
                Way::Publisher => relays.publisher.push(path),
            }
        };
        match road {
            Some(Road::Udp(addresses)) => {
                let found = addresses.into_iter().find_map(|address| {
                    let host = start_towards(address).ok()?;
                    let bound: io::Result<Vec<_>> = ways.iter().map(|_| bind(host)).collect();
                    Some((address, bound.ok()?))
                });
                if let Some((address, bound)) = found {
                    for (way, (base, socket)) in ways.into_iter().zip(bound) {
                        add(way, base, address);
                        self.sockets.push((base, socket));
                    }
                } else {
                    log::warn!("there is no way to the TURN server {}", server.host);
                }
            }
            Some(Road::Streams(streams)) => {
                if streams.iter().any(|(_, stream)| self.is_taken(stream.local)) {
                    log::warn!("the TURN server {} is left out: its port is in use", server.host);
                } else {
                    for (way, stream) in streams {
                        add(way, stream.local, stream.remote);
                        self.streams.push(stream);
                    }
                }
            }
            None => {}
        }
        (server, relays)
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

    /// A stream, or a socket to a TURN server.
    pub fn close_stream(&mut self, local: SocketAddr) {
        self.streams.retain(|stream| stream.local != local);
        self.sockets.retain(|(address, _)| *address != local);
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

/// The addresses of this machine at which the server may reach it.
fn hosts(start: Option<IpAddr>, reach: Reach) -> Vec<IpAddr> {
    let mut hosts: Vec<IpAddr> = start.into_iter().collect();
    if reach != Reach::Ours || !hosts.iter().any(IpAddr::is_loopback) {
        hosts.extend(interfaces::addresses().into_iter().filter(|host| Some(*host) != start));
    }
    if hosts.is_empty() {
        hosts.push(Ipv4Addr::LOCALHOST.into());
    }
    hosts
}

/// Whether this machine has the address still.
fn is_here(host: IpAddr) -> bool {
    let is_gone = |error: io::Error| error.kind() == io::ErrorKind::AddrNotAvailable;
    !std::net::UdpSocket::bind((host, 0)).is_err_and(is_gone)
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
            let mut sockets = Sockets::open(Some(remote.ip()), Reach::Ours);
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
            let sockets = Sockets::open(link.start(), Reach::Ours);
            assert_eq!(sockets.sockets.len(), 2);
            assert!(sockets.sockets.iter().all(|(address, _)| address.ip().is_loopback()));
        });
    }

    #[test]
    fn towards_another_server_on_this_machine_there_are_sockets_on_every_address() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let sockets = Sockets::open(Some(Ipv4Addr::LOCALHOST.into()), Reach::Others);
            let hosts: Vec<IpAddr> = sockets.addresses.subscriber.iter().map(SocketAddr::ip).collect();
            assert!(hosts.contains(&Ipv4Addr::LOCALHOST.into()));
            assert!(interfaces::addresses().iter().all(|host| hosts.contains(host)), "{hosts:?}");
        });
    }

    #[test]
    fn what_begins_at_an_address_that_is_gone_is_closed_and_what_is_new_is_opened() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut sockets = Sockets::open(Some(Ipv4Addr::LOCALHOST.into()), Reach::Ours);
            let before = sockets.addresses().clone();
            assert_eq!(sockets.renew(Some(Ipv4Addr::LOCALHOST.into()), Reach::Ours), []);
            assert_eq!(*sockets.addresses(), before, "the network is the same");
            // As if two sockets of its own and one to a TURN server began at addresses of a network that was left.
            let gone = |port| SocketAddr::from(([192, 0, 2, 1], port));
            for port in 1..=3 {
                let (_, socket) = bind(Ipv4Addr::LOCALHOST.into()).expect("a socket");
                sockets.sockets.push((gone(port), socket));
            }
            sockets.addresses.subscriber.push(gone(1));
            sockets.addresses.publisher.push(gone(2));
            let other = IpAddr::from([127, 0, 0, 2]);
            assert_eq!(sockets.renew(Some(other), Reach::Ours), [gone(3)]);
            let Addresses { subscriber, publisher } = sockets.addresses().clone();
            assert_eq!((subscriber[0], publisher[0]), (before.subscriber[0], before.publisher[0]));
            assert_eq!((subscriber.len(), subscriber[1].ip()), (2, other));
            assert_eq!((publisher.len(), publisher[1].ip()), (2, other));
            assert_eq!(sockets.sockets.len(), 4);
        });
    }
}
