//! A plane of a C library as a slice.

use super::CodecError;
use super::planes::Plane;

/// `bytes` are what is used of each row.
///
/// # Safety
/// Where `start` is not NULL, `rows` rows begin there, `stride` bytes apart, with `bytes` readable bytes each, and they
/// stay as they are as long as the result is used.
pub unsafe fn plane<'a>(
    start: *const u8,
    stride: isize,
    rows: usize,
    bytes: usize,
) -> Result<Plane<'a>, CodecError> {
    let stride = usize::try_from(stride).map_err(|_| CodecError::Unsuitable("rows upside down".into()))?;
    if start.is_null() || rows == 0 || stride < bytes {
        return Err(CodecError::Malformed);
    }
    let length = stride * (rows - 1) + bytes;
    // SAFETY: the first byte of the first row to the last of the last one, which the caller promises.
    Ok(Plane { bytes: unsafe { std::slice::from_raw_parts(start, length) }, stride })
}
