//! Frames that no server can read: encryption from sender to receiver, as LiveKit's clients do it.
//!
//! All who are to understand each other know a secret; [`Keyring`] makes the key of it. [`Sealer`] encrypts a frame
//! before it is cut into packets, [`Opener`] decrypts it when its packets are together. A sealed frame is
//!
//! ```text
//! head | encrypted rest | tag (16) | nonce (12) | 12 | number of the key
//! ```
//!
//! The cipher is AES-128 in Galois counter mode; the head stays readable for servers, which have to find key frames, and is
//! authenticated with the rest. How long it is depends on the codec: [`SOUND_HEAD`], [`vp8_head`], nothing of VP9, and of
//! H.264 all up to the first two bytes of the first slice (`packet/h264.rs`). AV1 cannot be sent so: its packets follow
//! the structure of the bytes, and LiveKit's clients refuse it.
//!
//! Not here: changing the key by itself from frame to frame, which these clients do only when their program asks for it.

mod keyring;
mod nonce;
mod opener;
mod sealer;
#[cfg(test)]
pub(crate) mod tests;
mod watch;

pub use keyring::Keyring;
pub use opener::{Closed, Opener};
pub use sealer::{Renewal, Sealer, Unsealed};
pub(in crate::media) use watch::Watch;

/// The number of the one key that everybody has.
const KEY_NUMBER: u8 = 0;

const NONCE_SIZE: usize = 12;

/// Behind the nonce: its length, and the number of the key.
const TRAILER_SIZE: usize = 2;

/// The table of contents of an Opus packet (RFC 6716 section 3.1): how long the sound is.
pub const SOUND_HEAD: usize = 1;

/// What stands before the first partition of a VP8 frame (RFC 6386 section 9.1): the frame's tag, and in key frames the
/// start code and the size.
const VP8_KEY_HEAD: usize = 10;
const VP8_HEAD: usize = 3;

/// How much of a VP8 frame stays readable.
pub fn vp8_head(frame: &[u8]) -> usize {
    let is_key = frame.first().is_some_and(|first| first & 1 == 0);
    let head = if is_key { VP8_KEY_HEAD } else { VP8_HEAD };
    head.min(frame.len())
}
