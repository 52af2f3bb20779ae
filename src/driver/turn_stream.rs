//! Datagrams to a TURN server and back over a byte stream: TCP, or TLS over it.
//!
//! They are put one after the other, each with its length in front and padded to four bytes (RFC 8656 section 12.5, RFC 8489
//! section 5). What runs above does not know the difference: a datagram may be lost here too, where the network is too slow.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};

use super::wire::Wire;

/// How much may wait for the network: half a second of three layers of video. More would only be late.
const WAITING_SIZE_MAX: usize = 256 << 10;

const READ_SIZE: usize = 8 << 10;

/// Kind and length, which both kinds of messages begin with.
const HEADER_SIZE: usize = 4;

/// The rest of the header of STUN, which its length does not count.
const STUN_HEADER_REST: usize = 16;

pub struct TurnStream {
    pub local: SocketAddr,
    pub remote: SocketAddr,
    wire: Wire,
    waiting: Vec<u8>,
    received: Vec<u8>,
}

impl TurnStream {
    /// `None` for a wire whose ends have no addresses.
    pub fn new(wire: Wire) -> Option<Self> {
        let (local, remote) = (wire.socket().local_addr()?, wire.socket().peer_addr()?);
        Some(Self { local, remote, wire, waiting: Vec::new(), received: Vec::new() })
    }

    /// Leaves with the next [`Self::poll`], or is lost.
    pub fn send(&mut self, datagram: &[u8]) {
        let padded = datagram.len().next_multiple_of(4);
        if self.waiting.len() + padded <= WAITING_SIZE_MAX {
            self.waiting.extend_from_slice(datagram);
            self.waiting.resize(self.waiting.len() + padded - datagram.len(), 0);
        }
    }

    /// Sends what waits and gives the next datagram. An error is the end.
    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Vec<u8>>> {
        if let Poll::Ready(Err(error)) = self.poll_send(context) {
            return Poll::Ready(Err(error));
        }
        loop {
            if let Some(datagram) = split(&mut self.received)? {
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

    /// Sends what waits as far as it can be sent without waiting: the last words, before the stream is closed.
    pub fn flush_now(&mut self) {
        self.wire.set_urgent(true);
        let _ = self.poll_send(&mut Context::from_waker(std::task::Waker::noop()));
    }
}

/// Takes the first datagram out of what was received, when all of it is there.
fn split(received: &mut Vec<u8>) -> io::Result<Option<Vec<u8>>> {
    let Some(&[kind, _, high, low]) = received.first_chunk::<HEADER_SIZE>() else { return Ok(None) };
    let counted = usize::from(u16::from_be_bytes([high, low]));
    let size = match kind >> 6 {
        0 => HEADER_SIZE + STUN_HEADER_REST + counted,
        1 => HEADER_SIZE + counted,
        _ => return Err(io::ErrorKind::InvalidData.into()),
    };
    if received.len() < size.next_multiple_of(4) {
        return Ok(None);
    }
    let datagram = received[..size].to_vec();
    received.drain(..size.next_multiple_of(4));
    Ok(Some(datagram))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stun(length: u8) -> Vec<u8> {
        let mut message = vec![1, 1, 0, length];
        message.resize(20 + usize::from(length), 7);
        message
    }

    fn channel(length: u8) -> Vec<u8> {
        let mut message = vec![0x40, 0, 0, length];
        message.resize(4 + usize::from(length), 9);
        message
    }

    #[test]
    fn datagrams_come_out_as_they_went_in() {
        let datagrams = [stun(0), channel(0), channel(1), stun(8), channel(3), channel(4)];
        let mut sent = Vec::new();
        for datagram in &datagrams {
            sent.extend_from_slice(datagram);
            sent.resize(sent.len().next_multiple_of(4), 0);
        }
        for at_once in [1, 3, 7, sent.len()] {
            let (mut received, mut got) = (Vec::new(), Vec::new());
            for piece in sent.chunks(at_once) {
                received.extend_from_slice(piece);
                while let Some(datagram) = split(&mut received).expect("a good stream") {
                    got.push(datagram);
                }
            }
            assert_eq!(got, datagrams);
        }
    }

    #[test]
    fn a_stream_of_something_else_is_an_error() {
        assert!(split(&mut b"HTTP".to_vec()).is_ok(), "which could be channel data");
        assert!(split(&mut vec![0x80, 0, 0, 0]).is_err());
    }

    proptest! {
        #[test]
        fn no_stream_makes_it_panic(mut received in prop::collection::vec(any::<u8>(), 0..100)) {
            while let Ok(Some(_)) = split(&mut received) {}
        }
    }
}
