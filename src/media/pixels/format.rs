//! The pixel formats that a program may hand in, and how each lies in memory.

use crate::media::Picture;

/// Names are the interface's. A 32-bit name is read from the most significant byte of a little-endian word, so in
/// memory it stands backwards: `Argb32` is B, G, R, A. (libyuv's names mean the same.) `Rgb24` alone is in the order of
/// its name: R, G, B. (libyuv's name of that kind means B, G, R.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PixelFormat {
    /// Y, U and V, each a plane of its own.
    Yuv420p,
    /// Y, and U and V in turns.
    Nv12,
    /// Y, and V and U in turns.
    Nv21,
    /// Y, U, Y, V for two pixels.
    Yuy2,
    /// U, Y, V, Y for two pixels.
    Uyvy,
    /// B, G, R, A in memory.
    Argb32,
    /// A, R, G, B in memory.
    Bgra32,
    /// R, G, B in memory.
    Rgb24,
    /// R, G, B, A in memory.
    Abgr32,
    /// A, B, G, R in memory.
    Rgba32,
    /// One JPEG.
    Mjpeg,
    /// What a codec makes; never looked into.
    Compressed,
}

impl PixelFormat {
    pub fn plane_count(self) -> usize {
        match self {
            Self::Yuv420p => 3,
            Self::Nv12 | Self::Nv21 => 2,
            _ => 1,
        }
    }

    /// Bytes that have to be decoded before there are pixels.
    pub fn is_coded(self) -> bool {
        matches!(self, Self::Mjpeg | Self::Compressed)
    }

    /// Pixels that lie in one plane.
    pub fn is_packed(self) -> bool {
        self.plane_count() == 1 && !self.is_coded()
    }

    /// Where red, green, blue and alpha stand in the four bytes of a pixel. `None` for formats of other kinds.
    pub fn channels(self) -> Option<[usize; 4]> {
        match self {
            Self::Argb32 => Some([2, 1, 0, 3]),
            Self::Bgra32 => Some([1, 2, 3, 0]),
            Self::Abgr32 => Some([0, 1, 2, 3]),
            Self::Rgba32 => Some([3, 2, 1, 0]),
            _ => None,
        }
    }

    /// Pixels in a row of a plane; in a plane of chroma there is one for two.
    pub fn plane_width(self, plane: usize, width: u32) -> u32 {
        if plane == 0 { width } else { width.div_ceil(2) }
    }

    /// Rows of a plane.
    pub fn plane_height(self, plane: usize, height: u32) -> u32 {
        if plane == 0 { height } else { height.div_ceil(2) }
    }

    /// Bytes of a row of a plane, without padding. 0 for formats without rows.
    pub fn row_bytes(self, plane: usize, width: u32) -> usize {
        let pixels = self.plane_width(plane, width) as usize;
        match self {
            Self::Yuv420p => pixels,
            Self::Nv12 | Self::Nv21 => pixels * if plane == 0 { 1 } else { 2 },
            Self::Yuy2 | Self::Uyvy => pixels.div_ceil(2) * 4,
            Self::Rgb24 => pixels * 3,
            Self::Argb32 | Self::Bgra32 | Self::Abgr32 | Self::Rgba32 => pixels * 4,
            Self::Mjpeg | Self::Compressed => 0,
        }
    }

    /// Bytes of a plane without padding.
    pub fn plane_bytes(self, plane: usize, width: u32, height: u32) -> usize {
        self.row_bytes(plane, width) * self.plane_height(plane, height) as usize
    }

    /// Bytes of a picture without padding. `None` for sizes that no picture has, and where the size does not say it.
    pub fn byte_count(self, width: u32, height: u32) -> Option<usize> {
        Picture::byte_count(width, height)?; // the same sizes, whatever the format
        let of_planes = || (0..self.plane_count()).map(|plane| self.plane_bytes(plane, width, height)).sum();
        (!self.is_coded()).then(of_planes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_sizes_are_rounded_up_where_pixels_share_something() {
        assert_eq!(PixelFormat::Yuv420p.byte_count(3, 5), Some(15 + 6 + 6));
        assert_eq!(PixelFormat::Nv12.byte_count(3, 5), Some(15 + 12));
        assert_eq!(PixelFormat::Yuy2.byte_count(3, 5), Some(8 * 5));
        assert_eq!(PixelFormat::Rgb24.byte_count(3, 5), Some(45));
        assert_eq!(PixelFormat::Argb32.byte_count(3, 5), Some(60));
    }

    #[test]
    fn sizes_that_no_picture_has_have_no_bytes() {
        for (width, height) in [(0, 1), (1, 0), (16_384, 1), (1, u32::MAX)] {
            assert_eq!(PixelFormat::Argb32.byte_count(width, height), None);
        }
        assert_eq!(PixelFormat::Mjpeg.byte_count(16, 16), None);
    }
}
