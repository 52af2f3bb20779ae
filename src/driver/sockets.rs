//! The UDP sockets of one session's peer connections.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::task::Poll;

use socket2::SockRef;
use tokio::io::ReadBuf;
use tokio::net::UdpSocket;

use super::interfaces;
use crate::rtc::Datagram;

/// Larger than any path carries; what is longer is none of WebRTC's and is cut, then refused.
const DATAGRAM_SIZE_MAX: usize = 2048;

/// One socket for each address of this machine that the server may reach.
#[derive(Default)]
pub struct Sockets(Vec<(SocketAddr, UdpSocket)>);

impl Sockets {
    /// `towards`: the address that the link to the server starts from. It is always among those opened. Where it is
    /// a loopback address the server is on this machine, and the network hears nothing of it.
    pub fn open(towards: Option<SocketAddr>) -> Self {
        let mut addresses: Vec<IpAddr> = towards.map(|address| address.ip()).into_iter().collect();
        if !addresses.iter().any(IpAddr::is_loopback) {
            addresses.extend(
                interfaces::addresses()
                    .into_iter()
                    .filter(|address| Some(*address) != towards.map(|it| it.ip())),
            );
        }
        let mut sockets = Vec::new();
        for address in addresses {
            match bind(address) {
                Ok(socket) => sockets.push(socket),
                Err(error) => log::debug!("no UDP socket on {address}: {error}"),
            }
        }
        if sockets.is_empty() {
            log::warn!("no UDP socket could be opened");
        }
        Self(sockets)
    }

    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.0.iter().map(|(address, _)| *address).collect()
    }

    /// Never waits. A datagram that the kernel does not take is lost, as datagrams are.
    pub fn send(&self, datagram: &Datagram) {
        if let Some((_, socket)) = self.0.iter().find(|(address, _)| *address == datagram.local) {
            // Past the runtime, which takes a socket for busy until it has heard otherwise from the kernel: the first
            // datagrams, those that look for a path, would be lost to that.
            let _ = SockRef::from(socket).send_to(&datagram.bytes, &datagram.remote.into());
        }
    }

    /// The next datagram on any of them; never, where there are none.
    pub async fn receive(&self) -> Datagram {
        poll_fn(|context| {
            let mut space = [0; DATAGRAM_SIZE_MAX];
            for (local, socket) in &self.0 {
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
            let local = sockets.addresses()[0];
            sockets.send(&Datagram { local, remote, bytes: b"first".to_vec() });
            let mut space = [0; 16];
            let (length, from) = receiver.recv_from(&mut space).expect("the datagram");
            assert_eq!((&space[..length], from), (b"first".as_slice(), local));
        });
    }
}
