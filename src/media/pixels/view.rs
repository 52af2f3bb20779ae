//! Pixels that lie somewhere, in any format, checked once: what the conversions read and write.

use super::{FrameError, PixelFormat};
use crate::media::Picture;

/// Rows of bytes. The last row need not be padded.
#[derive(Clone, Copy)]
pub struct Plane<'a> {
    pub bytes: &'a [u8],
    /// From the beginning of a row to that of the next.
    pub stride: usize,
}

pub struct PlaneMut<'a> {
    pub bytes: &'a mut [u8],
    pub stride: usize,
}

impl<'a> Plane<'a> {
    /// The first `row_bytes` of each of the first `rows` rows.
    pub fn rows(self, row_bytes: usize, rows: u32) -> impl Iterator<Item = &'a [u8]> {
        (0..rows as usize).map_while(move |row| self.bytes.get(row * self.stride..)?.get(..row_bytes))
    }
}

/// A picture in any format with memory that is large enough for it.
#[derive(Clone, Copy)]
pub struct View<'a> {
    format: PixelFormat,
    width: u32,
    height: u32,
    planes: [Plane<'a>; 3],
}

impl<'a> View<'a> {
    pub fn new(
        format: PixelFormat,
        width: u32,
        height: u32,
        planes: &[Plane<'a>],
    ) -> Result<Self, FrameError> {
        Picture::byte_count(width, height).ok_or(FrameError::Size)?;
        let mut all = [Plane { bytes: &[], stride: 0 }; 3];
        for (index, place) in all.iter_mut().enumerate().take(format.plane_count()) {
            let plane = planes.get(index).ok_or(FrameError::Short)?;
            check(format, index, width, height, plane.stride, plane.bytes.len())?;
            *place = *plane;
        }
        Ok(Self { format, width, height, planes: all })
    }

    pub fn format(&self) -> PixelFormat {
        self.format
    }

    pub fn width(&self) -> u32 {
        self.width
    }

    pub fn height(&self) -> u32 {
        self.height
    }

    pub fn plane(&self, index: usize) -> Plane<'a> {
        self.planes[index]
    }

    /// The rows of a plane without their padding.
    pub fn rows(&self, plane: usize) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let row_bytes = self.format.row_bytes(plane, self.width);
        self.planes[plane].rows(row_bytes, self.format.plane_height(plane, self.height))
    }
}

/// Whether so many bytes are enough for a plane with this stride.
pub fn check(
    format: PixelFormat,
    plane: usize,
    width: u32,
    height: u32,
    stride: usize,
    bytes: usize,
) -> Result<(), FrameError> {
    if format.is_coded() {
        return if bytes == 0 { Err(FrameError::Short) } else { Ok(()) };
    }
    let extent = extent(format, plane, width, height, stride)?;
    if bytes < extent { Err(FrameError::Short) } else { Ok(()) }
}

/// From the first byte of a plane to its last; padding behind the last row does not count.
pub fn extent(
    format: PixelFormat,
    plane: usize,
    width: u32,
    height: u32,
    stride: usize,
) -> Result<usize, FrameError> {
    let row_bytes = format.row_bytes(plane, width);
    let rows = format.plane_height(plane, height) as usize;
    if stride < row_bytes || rows == 0 {
        return Err(FrameError::Stride);
    }
    let before_last = stride.checked_mul(rows - 1).ok_or(FrameError::Stride)?;
    before_last
        .checked_add(row_bytes)
        .filter(|extent| *extent <= isize::MAX as usize)
        .ok_or(FrameError::Stride)
}
