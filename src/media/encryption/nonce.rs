//! Numbers that are used once.

use super::NONCE_SIZE;

const PREFIX_SIZE: usize = 8;

/// The nonces of one sender of one key: its own eight bytes, then a counter. All clients of a session have the same key, so
/// what keeps their nonces apart is the prefix, which each sender has to make of a seed that is its own.
///
/// LiveKit's clients write the SSRC, the RTP time and a counter; a receiver takes whatever stands in the frame.
#[derive(Debug)]
pub(super) struct Nonces {
    prefix: [u8; PREFIX_SIZE],
    counter: u32,
}

impl Nonces {
    /// `stream`: which one of the streams of this seed.
    pub fn new(seed: u64, stream: u8) -> Self {
        // SplitMix64: one to one, so that streams of a seed do not meet.
        let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(u64::from(stream) + 1));
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let mut prefix = (mixed ^ (mixed >> 31)).to_be_bytes();
        // See `is_plain`.
        prefix.iter_mut().filter(|byte| **byte == 0).for_each(|byte| *byte = 0xff);
        Self { prefix, counter: 0 }
    }

    /// `None` after four thousand million frames, which is two years of sixty a second.
    pub fn next(&mut self) -> Option<[u8; NONCE_SIZE]> {
        loop {
            self.counter = self.counter.checked_add(1)?;
            let counter = self.counter.to_be_bytes();
            if is_plain(counter) {
                let mut nonce = [0; NONCE_SIZE];
                nonce[..PREFIX_SIZE].copy_from_slice(&self.prefix);
                nonce[PREFIX_SIZE..].copy_from_slice(&counter);
                return Some(nonce);
            }
        }
    }
}

/// Without two zeros in a row. In H.264 these are escaped, and LiveKit's native clients read the nonce as if it were not.
fn is_plain(counter: [u8; 4]) -> bool {
    counter.windows(2).all(|pair| pair != [0, 0])
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_nonce_comes_twice_and_none_has_two_zeros_in_a_row() {
        let mut seen = HashSet::new();
        for (seed, stream) in [(0, 0), (0, 1), (0, 2), (1, 0), (u64::MAX, 3)] {
            let mut nonces = Nonces::new(seed, stream);
            for _ in 0..2_000 {
                let nonce = nonces.next().expect("the beginning");
                assert!(nonce.windows(2).all(|pair| pair != [0, 0]), "{nonce:02x?}");
                assert!(seen.insert(nonce), "{nonce:02x?}");
            }
        }
    }

    #[test]
    fn the_last_one_is_the_last() {
        let mut nonces = Nonces { prefix: [1; 8], counter: u32::MAX - 1 };
        assert!(nonces.next().is_some());
        assert_eq!(nonces.next(), None);
    }
}
