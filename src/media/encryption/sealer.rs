//! Frames on their way out.

use aws_lc_rs::aead::{Aad, Nonce};

use super::keyring::Numbered;
use super::nonce::Nonces;
use super::{KEY_NUMBER, Keyring, NONCE_SIZE};

/// The frame could not be encrypted, and must not be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsealed;

/// What has become of the key since the last frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewal {
    /// There is none yet: nothing can be sent.
    Missing,
    /// It is another one: who has it too may begin here.
    New,
    Same,
}

/// Encrypts the frames of one stream. It lives as long as the stream, through changes of the key.
pub struct Sealer {
    keyring: Keyring,
    nonces: Nonces,
    current: Option<Numbered>,
}

impl Sealer {
    /// `seed` differs from sender to sender, in the whole world; `stream` from stream to stream of this sender.
    pub fn new(keyring: Keyring, seed: u64, stream: u8) -> Self {
        Self { keyring, nonces: Nonces::new(seed, stream), current: None }
    }

    /// Before each frame: it is sealed with what this has found.
    pub fn renew(&mut self) -> Renewal {
        let before = self.current.as_ref().map(|current| current.number);
        self.current = self.keyring.current();
        match &self.current {
            None => Renewal::Missing,
            Some(current) if before == Some(current.number) => Renewal::Same,
            Some(_) => Renewal::New,
        }
    }

    /// Encrypts all of the frame but its head, in place.
    pub fn seal(&mut self, head: usize, frame: &mut Vec<u8>) -> Result<(), Unsealed> {
        let Numbered { key, .. } = self.current.as_ref().ok_or(Unsealed)?;
        let nonce = self.nonces.next().ok_or(Unsealed)?;
        let (clear, rest) = frame.split_at_mut_checked(head).ok_or(Unsealed)?;
        let once = Nonce::assume_unique_for_key(nonce);
        let tag = key.seal_in_place_separate_tag(once, Aad::from(&*clear), rest).map_err(|_| Unsealed)?;
        frame.extend_from_slice(tag.as_ref());
        frame.extend_from_slice(&nonce);
        frame.extend_from_slice(&[NONCE_SIZE as u8, KEY_NUMBER]);
        Ok(())
    }
}
