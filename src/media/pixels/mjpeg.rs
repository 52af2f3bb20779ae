//! The JPEG of cameras.

use std::borrow::Cow;
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

const START_OF_IMAGE: [u8; 2] = [0xff, 0xd8];

/// A JPEG ends with this; what comes without has lost its end on the way.
const END_OF_IMAGE: [u8; 2] = [0xff, 0xd9];

/// The marker of the OpenDML files that this way of leaving out Huffman's tables comes from. The decoder knows by it that
/// the tables of JPEG's Annex K.3 are meant where there are none.
const TABLES_LEFT_OUT: [u8; 9] = *b"\xff\xe0\x00\x07AVI1\x00";

/// Decodes one JPEG. JPEG's colours use the full range, a picture's the limited one, so they are converted.
pub fn decode(bytes: &[u8]) -> Result<Picture, FrameError> {
    if !bytes.windows(2).rev().any(|pair| pair == END_OF_IMAGE) {
        return Err(FrameError::Malformed);
    }
    let whole = if lacks_tables(bytes) { with_marker(bytes)? } else { Cow::Borrowed(bytes) };
    // The decoder is fuzzed by its makers and by us, and still reads what strangers wrote.
    let (rgb, width, height) =
        catch_unwind(AssertUnwindSafe(|| decode_rgb(&whole))).unwrap_or(Err(FrameError::Malformed))?;
    from_tight_rgb(&rgb, width, height)
}

/// Whether the first scan begins and no table of Huffman's has come: many cameras leave them out.
fn lacks_tables(bytes: &[u8]) -> bool {
    let mut rest = bytes.get(START_OF_IMAGE.len()..).unwrap_or_default();
    while let [0xff, marker, high, low, ..] = *rest {
        match marker {
            0xc4 => return false, // DHT
            0xda => return true,  // SOS
            _ => {}
        }
        // The length counts itself, not the marker before it.
        rest = rest.get(2 + usize::from(u16::from_be_bytes([high, low]))..).unwrap_or_default();
    }
    false
}

fn with_marker(bytes: &[u8]) -> Result<Cow<'_, [u8]>, FrameError> {
    let Some(rest) = bytes.strip_prefix(&START_OF_IMAGE) else { return Ok(Cow::Borrowed(bytes)) };
    let mut whole = Vec::new();
    whole.try_reserve_exact(bytes.len() + TABLES_LEFT_OUT.len()).map_err(|_| FrameError::Memory)?;
    for part in [&START_OF_IMAGE[..], &TABLES_LEFT_OUT, rest] {
        whole.extend_from_slice(part);
    }
    Ok(Cow::Owned(whole))
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
