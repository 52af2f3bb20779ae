//! How a camera's bytes make a picture.

use crate::media::Picture;
use crate::media::pixels::{self, FrameError, PixelFormat, Plane, View};

/// What a camera has been set to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    pub format: PixelFormat,
    pub width: u32,
    pub height: u32,
    /// From one row of the first plane to the next. Drivers that do not know say 0: rows without padding then.
    pub stride: usize,
    pub frames_per_second: u32,
}

impl Layout {
    /// A JPEG is as large as it says itself; that may differ from what the camera was set to.
    pub fn picture(&self, bytes: &[u8]) -> Result<Picture, FrameError> {
        if self.format == PixelFormat::Mjpeg {
            return pixels::decode_jpeg(bytes);
        }
        // The planes follow each other without a gap, with strides that follow from the first one's (V4L2's formats with
        // one buffer, "Planar YUV formats").
        let mut planes = [Plane { bytes: &[], stride: 0 }; 3];
        let mut offset = 0_usize;
        for (index, plane) in planes.iter_mut().enumerate().take(self.format.plane_count()) {
            let stride = self.plane_stride(index);
            *plane = Plane { bytes: bytes.get(offset..).ok_or(FrameError::Short)?, stride };
            let rows = self.format.plane_height(index, self.height) as usize;
            offset = stride
                .checked_mul(rows)
                .and_then(|size| size.checked_add(offset))
                .ok_or(FrameError::Short)?;
        }
        pixels::to_picture(&View::new(self.format, self.width, self.height, &planes)?)
    }

    fn plane_stride(&self, plane: usize) -> usize {
        let of_luma = self.stride.max(self.format.row_bytes(0, self.width));
        let stride = match (self.format, plane) {
            (PixelFormat::Yuv420p, 1..) => of_luma.div_ceil(2),
            _ => of_luma,
        };
        stride.max(self.format.row_bytes(plane, self.width))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMATS: [PixelFormat; 8] = [
        PixelFormat::Nv12,
        PixelFormat::Nv21,
        PixelFormat::Yuv420p,
        PixelFormat::Yuy2,
        PixelFormat::Uyvy,
        PixelFormat::Rgb24,
        PixelFormat::Argb32,
        PixelFormat::Abgr32,
    ];

    /// What stands between the rows, and must not be seen.
    const PADDING: u8 = 0xee;

    /// The same picture twice: without padding, as a view of it would be read, and as a camera brings it.
    fn both(layout: &Layout) -> (Picture, Vec<u8>) {
        let format = layout.format;
        let mut tight: Vec<Vec<u8>> = Vec::new();
        let mut padded = Vec::new();
        for plane in 0..format.plane_count() {
            let stride = layout.plane_stride(plane);
            let mut bytes = Vec::new();
            for row in 0..format.plane_height(plane, layout.height) as usize {
                let row_bytes = format.row_bytes(plane, layout.width);
                let pixels = (0..row_bytes).map(|column| (31 + 7 * row + 5 * column + 60 * plane) as u8);
                bytes.extend(pixels.clone());
                padded.extend(pixels.chain(std::iter::repeat_n(PADDING, stride - row_bytes)));
            }
            tight.push(bytes);
        }
        let planes: Vec<Plane<'_>> = tight
            .iter()
            .enumerate()
            .map(|(plane, bytes)| Plane { bytes, stride: format.row_bytes(plane, layout.width) })
            .collect();
        let view = View::new(format, layout.width, layout.height, &planes).expect("a view");
        (pixels::to_picture(&view).expect("a picture"), padded)
    }

    #[test]
    fn every_format_with_every_stride_makes_the_same_picture() {
        for format in FORMATS {
            for (width, height) in [(6, 4), (7, 5), (1, 1)] {
                let row = format.row_bytes(0, width);
                for stride in [0, row, row + 1, row + 3, row + 64] {
                    let layout = Layout { format, width, height, stride, frames_per_second: 30 };
                    let (picture, bytes) = both(&layout);
                    let made = layout.picture(&bytes).expect("a picture");
                    assert_eq!(made.pixels(), picture.pixels(), "{format:?} {width}x{height}, {stride}");
                }
            }
        }
    }

    #[test]
    fn the_stride_of_the_luma_says_that_of_the_chroma() {
        let cases = [
            (PixelFormat::Yuv420p, 6, 0, [6, 3]),
            (PixelFormat::Yuv420p, 6, 64, [64, 32]),
            (PixelFormat::Yuv420p, 6, 9, [9, 5]),
            (PixelFormat::Yuv420p, 7, 7, [7, 4]),
            (PixelFormat::Nv12, 6, 0, [6, 6]),
            (PixelFormat::Nv12, 6, 64, [64, 64]),
            (PixelFormat::Nv21, 7, 7, [7, 8]),
        ];
        for (format, width, stride, strides) in cases {
            let layout = Layout { format, width, height: 4, stride, frames_per_second: 30 };
            assert_eq!(
                [0, 1].map(|plane| layout.plane_stride(plane)),
                strides,
                "{format:?} {width}, {stride}"
            );
        }
    }

    #[test]
    fn a_frame_that_lost_its_end_is_no_picture() {
        for format in FORMATS {
            let layout = Layout { format, width: 6, height: 4, stride: 0, frames_per_second: 30 };
            let (_, bytes) = both(&layout);
            for length in 0..bytes.len() {
                assert_eq!(
                    layout.picture(&bytes[..length]).err(),
                    Some(FrameError::Short),
                    "{format:?} {length}"
                );
            }
        }
    }

    #[test]
    fn sizes_that_make_no_sense_make_no_picture() {
        for (width, height, stride) in [(0, 0, 0), (u32::MAX, u32::MAX, usize::MAX), (2, 2, usize::MAX)] {
            for format in FORMATS {
                let layout = Layout { format, width, height, stride, frames_per_second: 30 };
                assert!(layout.picture(&[0; 64]).is_err(), "{format:?} {width}x{height}, {stride}");
            }
        }
    }
}
