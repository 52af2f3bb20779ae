//! Datagrams to a TURN server or a peer and back over a byte stream: TCP, or TLS over it.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};

use super::framing::Framing;
use super::wire::Wire;

/// How much may wait for the network: half a second of three layers of video. More would only be late.
const WAITING_SIZE_MAX: usize = 256 << 10;

const READ_SIZE: usize = 8 << 10;

pub struct MediaStream {
    pub local: SocketAddr,
    pub remote: SocketAddr,
    framing: Framing,
    wire: Wire,
    waiting: Vec<u8>,
    received: Vec<u8>,
}

impl MediaStream {
    /// `None` for a wire whose ends have no addresses.
    pub fn to_turn_server(wire: Wire) -> Option<Self> {
        let remote = wire.socket().peer_addr()?;
        Self::new(wire, remote, Framing::Turn)
    }

    /// `None` for a wire that has no address here.
    pub fn to_peer(wire: Wire, remote: SocketAddr) -> Option<Self> {
        Self::new(wire, remote, Framing::Length)
    }

    fn new(wire: Wire, remote: SocketAddr, framing: Framing) -> Option<Self> {
        let local = wire.socket().local_addr()?;
        Some(Self { local, remote, framing, wire, waiting: Vec::new(), received: Vec::new() })
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

impl Drop for MediaStream {
    /// What the peer connection has said last is still to be heard, as far as it can be sent without waiting.
    fn drop(&mut self) {
        self.wire.set_urgent(true);
        let _ = self.poll_send(&mut Context::from_waker(Waker::noop()));
    }
}
