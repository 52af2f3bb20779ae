//! Pixels from one format, size and direction to another.
//!
//! The arithmetic of colours is the crate `yuv`'s, which has vector instructions of its own; what it lacks (chroma that
//! is interleaved, alpha that comes first, exact halves) is here. Colours are BT.601 in the limited range throughout.
//! Read `format.rs` and `view.rs` first.

mod convert;
mod format;
mod halve;
mod mjpeg;
mod scale;
#[cfg(test)]
mod tests;
mod turn;
mod vector_sys;
mod view;

pub use convert::{is_target, tight_copy, to_picture, write, write_picture};
pub use format::PixelFormat;
pub use halve::{halve, quarter};
pub use mjpeg::decode as decode_jpeg;
pub use scale::scale;
pub use turn::{mirror, rotate};
pub use view::{Plane, PlaneMut, View, extent};

/// Why there is no picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameError {
    /// No picture has this width and height.
    Size,
    /// Not possible with this format.
    Format,
    /// Shorter than a row, or negative.
    Stride,
    /// The memory is shorter than the size says, or a plane is missing.
    Short,
    /// The bytes are no JPEG, a broken one, or one of another size than was said.
    Malformed,
    /// Too large for this machine.
    Memory,
}

/// Zeroed memory. Sizes come from programs and cameras, so too large a one is an error and no abort.
pub(super) fn allocate(count: usize) -> Result<Vec<u8>, FrameError> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(count).map_err(|_| FrameError::Memory)?;
    bytes.resize(count, 0);
    Ok(bytes)
}
