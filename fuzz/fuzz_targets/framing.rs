//! A byte stream that carries datagrams: what comes out does not depend on the pieces in which it comes, and goes in again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use opentok::driver::framing::Framing;

fuzz_target!(|input: (u8, &[u8])| {
    let (piece_size, stream) = (usize::from(input.0).max(1), input.1);
    for framing in [Framing::Turn, Framing::Length] {
        let whole = taken(framing, stream, stream.len().max(1));
        assert_eq!(taken(framing, stream, piece_size), whole);
        let mut again = Vec::new();
        for datagram in &whole {
            framing.put(datagram, &mut again);
        }
        assert_eq!(taken(framing, &again, piece_size), whole);
    }
});

/// Up to the end of the stream, or to where it is one of something else.
fn taken(framing: Framing, stream: &[u8], piece_size: usize) -> Vec<Vec<u8>> {
    let (mut received, mut taken) = (Vec::new(), Vec::new());
    for piece in stream.chunks(piece_size) {
        received.extend_from_slice(piece);
        loop {
            match framing.take(&mut received) {
                Ok(Some(datagram)) => taken.push(datagram),
                Ok(None) => break,
                Err(_) => return taken,
            }
        }
    }
    taken
}
