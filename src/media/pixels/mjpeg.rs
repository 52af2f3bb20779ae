//! The JPEG of cameras.

use std::panic::{AssertUnwindSafe, catch_unwind};

use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::convert::from_tight_rgb;
use super::{FrameError, allocate};
use crate::media::Picture;

/// More pixels than any camera's frame has (8192 x 8192). A few bytes can claim any size, and the memory is asked for
/// before they are seen to be wrong.
const PIXELS_MAX: usize = 1 << 26;

/// A JPEG ends with this; what comes without has lost its end on the way.
const END_OF_IMAGE: [u8; 2] = [0xff, 0xd9];

/// Decodes one JPEG. JPEG's colours use the full range, a picture's the limited one, so they are converted.
pub fn decode(bytes: &[u8]) -> Result<Picture, FrameError> {
    if !bytes.windows(2).rev().any(|pair| pair == END_OF_IMAGE) {
        return Err(FrameError::Malformed);
    }
    // The decoder is fuzzed by its makers and by us, and still reads what strangers wrote.
    let (rgb, width, height) =
        catch_unwind(AssertUnwindSafe(|| decode_rgb(bytes))).unwrap_or(Err(FrameError::Malformed))?;
    from_tight_rgb(&rgb, width, height)
}

fn decode_rgb(bytes: &[u8]) -> Result<(Vec<u8>, u32, u32), FrameError> {
    let options = DecoderOptions::default()
        .jpeg_set_out_colorspace(ColorSpace::RGB)
        .set_max_width(Picture::SIZE_MAX as usize)
        .set_max_height(Picture::SIZE_MAX as usize);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(|_| FrameError::Malformed)?;
    let (width, height) = decoder.dimensions().ok_or(FrameError::Malformed)?;
    if width == 0 || height == 0 || width * height > PIXELS_MAX {
        return Err(FrameError::Size);
    }
    let mut rgb = allocate(width * height * 3)?;
    decoder.decode_into(&mut rgb).map_err(|_| FrameError::Malformed)?;
    Ok((rgb, width as u32, height as u32))
}
