//! Datagrams one after the other in a byte stream, and where each of them ends.
//!
//! What runs above does not know the difference to UDP: a datagram may be lost here too, where the network is too slow.

use std::io;

/// More than any path of UDP carries. What names a longer one is a stream of something else.
pub const DATAGRAM_SIZE_MAX: usize = 8 << 10;

/// Kind and length, which both kinds of messages to a TURN server begin with.
const TURN_HEADER_SIZE: usize = 4;

/// The rest of the header of STUN, which its length does not count.
const STUN_HEADER_REST: usize = 16;

/// How datagrams lie in a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// To a TURN server: each says its length itself and is padded to four bytes (RFC 8656 section 12.5, RFC 8489 section 5).
    Turn,
    /// To a peer: the length stands in front of each (RFC 4571 section 2).
    Length,
}

impl Framing {
    /// How much room a datagram of this size takes.
    pub fn room(self, size: usize) -> usize {
        match self {
            Self::Turn => size.next_multiple_of(4),
            Self::Length => size + 2,
        }
    }

    /// Puts a datagram behind what is in the stream. One that cannot be put there is left out.
    pub fn put(self, datagram: &[u8], stream: &mut Vec<u8>) {
        let end = stream.len() + self.room(datagram.len());
        match (self, u16::try_from(datagram.len())) {
            (Self::Turn, _) => {}
            (Self::Length, Ok(length)) => stream.extend_from_slice(&length.to_be_bytes()),
            (Self::Length, Err(_)) => return,
        }
        stream.extend_from_slice(datagram);
        stream.resize(end, 0);
    }

    /// Takes the first datagram out of what was received, when all of it is there. An error: this is no such stream.
    pub fn take(self, received: &mut Vec<u8>) -> io::Result<Option<Vec<u8>>> {
        match self {
            Self::Turn => take_turn(received),
            Self::Length => take_length(received),
        }
    }
}

fn take_turn(received: &mut Vec<u8>) -> io::Result<Option<Vec<u8>>> {
    let Some(&[kind, _, high, low]) = received.first_chunk::<TURN_HEADER_SIZE>() else { return Ok(None) };
    let counted = usize::from(u16::from_be_bytes([high, low]));
    let size = match kind >> 6 {
        0 => TURN_HEADER_SIZE + STUN_HEADER_REST + counted,
        1 => TURN_HEADER_SIZE + counted,
        _ => return Err(io::ErrorKind::InvalidData.into()),
    };
    Ok(cut(received, 0, size, size.next_multiple_of(4)))
}

fn take_length(received: &mut Vec<u8>) -> io::Result<Option<Vec<u8>>> {
    loop {
        let Some(length) = received.first_chunk::<2>() else { return Ok(None) };
        let size = usize::from(u16::from_be_bytes(*length));
        if size > DATAGRAM_SIZE_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        if size > 0 {
            return Ok(cut(received, 2, size, 2 + size));
        }
        // An empty packet says nothing.
        received.drain(..2);
    }
}

/// The datagram that begins here, when the stream has come up to its end.
fn cut(received: &mut Vec<u8>, start: usize, size: usize, end: usize) -> Option<Vec<u8>> {
    let datagram = received.get(..end)?.get(start..start + size)?.to_vec();
    received.drain(..end);
    Some(datagram)
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

    /// What comes out of a stream that comes in pieces of this size.
    fn taken(framing: Framing, stream: &[u8], piece_size: usize) -> Vec<Vec<u8>> {
        let (mut received, mut taken) = (Vec::new(), Vec::new());
        for piece in stream.chunks(piece_size) {
            received.extend_from_slice(piece);
            while let Some(datagram) = framing.take(&mut received).expect("a good stream") {
                taken.push(datagram);
            }
        }
        assert!(received.is_empty(), "{received:?} is left");
        taken
    }

    #[test]
    fn datagrams_to_a_turn_server_come_out_as_they_went_in() {
        let datagrams = [stun(0), channel(0), channel(1), stun(8), channel(3), channel(4)];
        let mut sent = Vec::new();
        for datagram in &datagrams {
            Framing::Turn.put(datagram, &mut sent);
            assert_eq!(sent.len() % 4, 0);
        }
        for piece_size in [1, 3, 7, sent.len()] {
            assert_eq!(taken(Framing::Turn, &sent, piece_size), datagrams);
        }
    }

    #[test]
    fn the_length_stands_in_front_and_an_empty_packet_is_none() {
        let mut sent = Vec::new();
        Framing::Length.put(&[7; 300], &mut sent);
        assert_eq!(sent[..3], [1, 44, 7]);
        sent.extend_from_slice(&[0, 0, 0, 0, 0, 1, 5]);
        assert_eq!(taken(Framing::Length, &sent, 2), [vec![7; 300], vec![5]]);
    }

    #[test]
    fn a_datagram_that_has_no_length_is_left_out() {
        let mut sent = Vec::new();
        Framing::Length.put(&vec![0; 1 << 16], &mut sent);
        assert!(sent.is_empty());
    }

    #[test]
    fn a_stream_of_something_else_is_an_error() {
        assert!(Framing::Turn.take(&mut b"HTTP".to_vec()).is_ok(), "which could be channel data");
        assert!(Framing::Turn.take(&mut vec![0x80, 0, 0, 0]).is_err());
        assert!(Framing::Length.take(&mut b"HTTP".to_vec()).is_err());
    }

    proptest! {
        #[test]
        fn datagrams_come_out_as_they_went_in(
            datagrams in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..100), 0..8),
            piece_size in 1..200_usize,
        ) {
            let mut sent = Vec::new();
            for datagram in &datagrams {
                let end = sent.len() + Framing::Length.room(datagram.len());
                Framing::Length.put(datagram, &mut sent);
                prop_assert_eq!(sent.len(), end);
            }
            prop_assert_eq!(taken(Framing::Length, &sent, piece_size), datagrams);
        }

        #[test]
        fn no_stream_makes_it_panic(stream in prop::collection::vec(any::<u8>(), 0..100)) {
            for framing in [Framing::Turn, Framing::Length] {
                let mut received = stream.clone();
                while let Ok(Some(datagram)) = framing.take(&mut received) {
                    prop_assert!(!datagram.is_empty());
                }
            }
        }
    }
}
