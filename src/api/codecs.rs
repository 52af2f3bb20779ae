//! The codecs of this machine.

pub use crate::media::VideoCodec;
pub use crate::media::codec::Supported;

/// Looks for the libraries of all of them; once found they stay loaded.
pub fn supported() -> Supported {
    crate::media::codec::supported()
}
