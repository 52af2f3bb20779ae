//! AV1: decoded by dav1d. Nothing here encodes it yet.

use super::dav1d_sys::{self, Dav1d};
use super::{CodecError, VideoCodec, VideoDecoder};
use crate::media::Picture;

pub fn decoder(library: Option<&'static Dav1d>) -> Result<Box<dyn VideoDecoder>, CodecError> {
    let library = library.ok_or(CodecError::Missing(VideoCodec::Av1))?;
    Ok(Box::new(Decoder(dav1d_sys::Decoder::new(library)?)))
}

/// Finds its way back by itself: after an error it refuses everything until a key frame.
struct Decoder(dav1d_sys::Decoder);

impl VideoDecoder for Decoder {
    fn decode(&mut self, bytes: &[u8]) -> Result<Option<Picture>, CodecError> {
        self.0.decode(bytes)
    }
}
