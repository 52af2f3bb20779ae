//! Datagrams to a TURN server or a peer and back over a byte stream: TCP, or TLS over it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};

use super::framing::Framing;
use super::wire::Wire;

/// How much may wait for the network: half a second of three layers of video. More would only be late.
const WAITING_SIZE_MAX: usize = 256 << 10;

const READ_SIZE: usize = 8 << 10;

/// What stands for an end that a proxy hides: nobody has these addresses (RFC 7600 and RFC 6666), and the network that is
/// there is not taken for this machine, as the address of a proxy on it would be.
const DUMMY_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 0, 8);
const DUMMY_V6: Ipv6Addr = Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 1);

pub struct MediaStream {
    /// Where it begins, by which it is known.
    pub local: SocketAddr,
    /// Where it ends.
    pub remote: SocketAddr,
    framing: Framing,
    wire: Wire,
    waiting: Vec<u8>,
    received: Vec<u8>,
}

impl MediaStream {
    /// `None` for a wire whose ends have no addresses. `behind_proxy`: the port of a server whose address is not known here.
    pub fn to_turn_server(wire: Wire, behind_proxy: Option<u16>) -> Option<Self> {
        let remote = match (behind_proxy, wire.socket().peer_addr()?) {
            (Some(port), SocketAddr::V4(_)) => SocketAddr::new(DUMMY_V4.into(), port),
            (Some(port), SocketAddr::V6(_)) => SocketAddr::new(DUMMY_V6.into(), port),
            (None, server) => server,
        };
        Self::new(wire, remote, Framing::Turn)
    }

    /// `None` for a wire that has no address here.
    pub fn to_peer(wire: Wire, remote: SocketAddr) -> Option<Self> {
        Self::new(wire, remote, Framing::Length)
    }

    fn new(wire: Wire, remote: SocketAddr, framing: Framing) -> Option<Self> {
        let local = of_family_of(remote, wire.socket().local_addr()?);
        Some(Self { local, remote, framing, wire, waiting: Vec::new(), received: Vec::new() })
    }

    /// The address of this machine from which it goes out, which `local` need not be.
    pub fn host(&self) -> Option<IpAddr> {
        Some(self.wire.socket().local_addr()?.ip())
    }

    /// Leaves with the next [`Self::poll`], or is lost.
    pub fn send(&mut self, datagram: &[u8]) {
        if self.waiting.len() + self.framing.room(datagram.len()) <= WAITING_SIZE_MAX {
            self.framing.put(datagram, &mut self.waiting);
        }
    }

    /// Sends what waits and gives the next datagram. An error is the end.
    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Vec<u8>>> {
        if let Poll::Ready(Err(error)) = self.poll_send(context) {
            return Poll::Ready(Err(error));
        }
        loop {
            if let Some(datagram) = self.framing.take(&mut self.received)? {
                return Poll::Ready(Ok(datagram));
            }
            let mut space = [0; READ_SIZE];
            let mut buffer = ReadBuf::new(&mut space);
            ready!(Pin::new(&mut self.wire).poll_read(context, &mut buffer))?;
            if buffer.filled().is_empty() {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            self.received.extend_from_slice(buffer.filled());
            self.wire.socket().acknowledge();
        }
    }

    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.waiting.is_empty() {
            let written = ready!(Pin::new(&mut self.wire).poll_write(context, &self.waiting))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.waiting.drain(..written);
        }
        Pin::new(&mut self.wire).poll_flush(context)
    }
}

/// The two ends are a pair for the peer connection, which knows none of two families. A proxy joins such.
fn of_family_of(remote: SocketAddr, local: SocketAddr) -> SocketAddr {
    let ip = match (remote.ip(), local.ip()) {
        (IpAddr::V4(_), IpAddr::V6(_)) => DUMMY_V4.into(),
        (IpAddr::V6(_), IpAddr::V4(_)) => DUMMY_V6.into(),
        (_, own) => own,
    };
    SocketAddr::new(ip, local.port())
}

impl Drop for MediaStream {
    /// What the peer connection has said last is still to be heard, as far as it can be sent without waiting.
    fn drop(&mut self) {
        self.wire.set_urgent(true);
        let _ = self.poll_send(&mut Context::from_waker(Waker::noop()));
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::{Duration, Instant};

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    const ROUNDS: u32 = 50;

    /// The least that the kernel lets an acknowledgement wait for.
    const DELAY: Duration = Duration::from_millis(40);

    /// As a proxy does that leaves the system's own way of sending as it is.
    #[tokio::test]
    async fn who_collects_small_pieces_is_not_kept_waiting() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        let (own, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let mut stream =
            MediaStream::to_peer(Wire::Plain(own.expect("it listens").into()), address).expect("it is open");
        let mut other = accepted.expect("a client").0;
        other.set_nodelay(false).expect("an open socket");
        let begin = Instant::now();
        for _ in 0..ROUNDS {
            for piece in [b"\0\x03one", b"\0\x03two"] {
                other.write_all(piece).await.expect("it is open");
            }
            for datagram in [b"one", b"two"] {
                assert_eq!(poll_fn(|context| stream.poll(context)).await.expect("it is open"), datagram);
            }
            // An answer now and then: without one the kernel waits for nothing anyway.
            stream.send(b"answer");
            let mut answer = [0; 8];
            let written = poll_fn(|context| stream.poll_send(context)).await;
            written.expect("it is open");
            other.read_exact(&mut answer).await.expect("an answer");
        }
        assert!(begin.elapsed() < DELAY * ROUNDS / 2, "{:?}", begin.elapsed());
    }
}
