//! What a handle stands for.
//!
//! Objects with an owner and a life: they take calls from any thread, keep what a getter answers, and say through an
//! observer what happened. No pointer of the C interface comes here, and no message of a server.
//! Read `session.rs` first.

mod camera;
pub mod capture;
pub mod codecs;
mod count;
pub mod error;
pub mod frame;
mod hub;
pub mod library;
mod line;
pub mod logger;
mod newest;
pub mod publisher;
pub mod reporter;
pub mod session;
pub mod sound;
mod statistics;
pub mod subscriber;
pub mod transformer;
mod way;

use std::hash::{BuildHasher as _, RandomState};

pub use crate::media::Kind as Media;
pub use error::Error;

/// Bytes that differ each time. Nothing secret is made of them: the cryptographic library would take a tenth of a second
/// for its first ones, on the program's thread.
fn random<const N: usize>() -> [u8; N] {
    let state = RandomState::new();
    let mut bytes = [0; N];
    for (index, chunk) in bytes.chunks_mut(8).enumerate() {
        chunk.iter_mut().zip(state.hash_one(index).to_le_bytes()).for_each(|(byte, noise)| *byte = noise);
    }
    bytes
}

fn hexadecimal(bytes: [u8; 16]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
