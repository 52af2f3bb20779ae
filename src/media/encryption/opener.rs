//! Frames on their way in. Their bytes are foreign.

use aws_lc_rs::aead::{Aad, Nonce};

use super::{Keyring, NONCE_SIZE, TRAILER_SIZE};

/// Why a frame stays closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// There is no secret, or its key is still being made.
    NoKey,
    /// It was sealed with another key, changed on the way, or not sealed at all.
    Wrong,
}

/// Decrypts frames of any stream of a session.
///
/// A server puts frames of its own into a stream that ends or is muted: black, or silence. They are not sealed, and stay
/// out: what nobody vouches for is not shown.
#[derive(Clone)]
pub struct Opener(Keyring);

impl Opener {
    pub fn new(keyring: Keyring) -> Self {
        Self(keyring)
    }

    /// Decrypts all of the frame but its head, in place. A frame that stays closed is of no use. The number of the key is
    /// not looked at: there is one key, and whether it is the right one the tag tells.
    pub fn open(&self, head: usize, frame: &mut Vec<u8>) -> Result<(), Closed> {
        let current = self.0.current().ok_or(Closed::NoKey)?;
        let nonce_at = frame.len().checked_sub(NONCE_SIZE + TRAILER_SIZE).ok_or(Closed::Wrong)?;
        let (body, trailer) = frame.split_at_mut(nonce_at);
        let (nonce, trailer) = trailer.split_first_chunk::<NONCE_SIZE>().ok_or(Closed::Wrong)?;
        if usize::from(trailer[0]) != NONCE_SIZE {
            return Err(Closed::Wrong);
        }
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let (clear, sealed) = body.split_at_mut_checked(head).ok_or(Closed::Wrong)?;
        let opened = current.key.open_in_place(nonce, Aad::from(&*clear), sealed);
        let size = opened.map_err(|_| Closed::Wrong)?.len();
        frame.truncate(head + size);
        Ok(())
    }

    /// The same for what has no head, and its nonce elsewhere: packets of data.
    pub fn open_data(&self, nonce: &[u8], mut data: Vec<u8>) -> Result<Vec<u8>, Closed> {
        let current = self.0.current().ok_or(Closed::NoKey)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Closed::Wrong)?;
        let opened = current.key.open_in_place(nonce, Aad::empty(), &mut data);
        let size = opened.map_err(|_| Closed::Wrong)?.len();
        data.truncate(size);
        Ok(data)
    }
}
