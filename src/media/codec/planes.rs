//! A picture as a decoder leaves it: planes with strides, in any sampling and depth. Made into ours here, with one copy.

use super::{CodecError, check_size};
use crate::media::Picture;

/// One plane. The last row may end before its stride does.
#[derive(Debug, Clone, Copy)]
pub struct Plane<'a> {
    pub bytes: &'a [u8],
    /// Bytes from one row to the next.
    pub stride: usize,
}

/// How many samples of luma share one of chroma, as powers of two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sampling {
    pub across: u32,
    pub down: u32,
}

impl Sampling {
    /// 4:2:0, what nearly everything is.
    pub const QUARTER: Self = Self { across: 1, down: 1 };
}

#[derive(Debug, Clone, Copy)]
pub struct Planes<'a> {
    pub width: u32,
    pub height: u32,
    pub luma: Plane<'a>,
    /// `None`: grey.
    pub chroma: Option<([Plane<'a>; 2], Sampling)>,
    /// Of a sample. With more than 8, samples have two bytes each in the machine's order.
    pub bits: u32,
}

/// Chroma of grey.
const NEUTRAL: u8 = 128;

impl Planes<'_> {
    /// Tight planes of 8 bits in 4:2:0.
    pub fn to_picture(self) -> Result<Picture, CodecError> {
        check_size(self.width, self.height)?;
        if !(8..=16).contains(&self.bits) {
            return Err(CodecError::Unsuitable(format!("{} bits per sample", self.bits)));
        }
        let (width, height) = (self.width as usize, self.height as usize);
        let (chroma_width, chroma_height) = (width.div_ceil(2), height.div_ceil(2));
        let mut pixels = Vec::with_capacity(width * height + 2 * chroma_width * chroma_height);
        self.append_as_it_is(&mut pixels, self.luma, width, height)?;
        match self.chroma {
            None => pixels.resize(pixels.len() + 2 * chroma_width * chroma_height, NEUTRAL),
            Some((planes, Sampling::QUARTER)) => {
                for plane in planes {
                    self.append_as_it_is(&mut pixels, plane, chroma_width, chroma_height)?;
                }
            }
            Some((planes, sampling)) if sampling.across <= 1 && sampling.down <= 1 => {
                for plane in planes {
                    self.append_averages(&mut pixels, plane, sampling)?;
                }
            }
            Some((_, sampling)) => return Err(CodecError::Unsuitable(format!("{sampling:?}"))),
        }
        Picture::new(self.width, self.height, pixels).ok_or(CodecError::Malformed)
    }

    fn append_as_it_is(
        &self,
        pixels: &mut Vec<u8>,
        plane: Plane<'_>,
        width: usize,
        height: usize,
    ) -> Result<(), CodecError> {
        if self.bits == 8 && plane.stride == width {
            pixels.extend_from_slice(plane.bytes.get(..width * height).ok_or(CodecError::Malformed)?);
            return Ok(());
        }
        for row in 0..height {
            let row = self.row(plane, row, width)?;
            if self.bits == 8 {
                pixels.extend_from_slice(row);
            } else {
                pixels.extend(row.chunks_exact(2).map(|sample| self.narrow(sample)));
            }
        }
        Ok(())
    }

    /// The bytes of so many samples.
    fn row<'a>(&self, plane: Plane<'a>, row: usize, samples: usize) -> Result<&'a [u8], CodecError> {
        let count = if self.bits == 8 { samples } else { 2 * samples };
        let start = row * plane.stride;
        plane.bytes.get(start..start + count).ok_or(CodecError::Malformed)
    }

    fn narrow(&self, sample: &[u8]) -> u8 {
        let sample = u16::from_ne_bytes([sample[0], sample[1]]);
        (sample >> (self.bits - 8)).min(255) as u8
    }

    /// Chroma with more samples than we keep. Seldom, so it is written to be short.
    fn append_averages(
        &self,
        pixels: &mut Vec<u8>,
        plane: Plane<'_>,
        sampling: Sampling,
    ) -> Result<(), CodecError> {
        let (width, height) = (self.width as usize, self.height as usize);
        let (plane_width, plane_height) = (
            width.div_ceil(1 << sampling.across), //
            height.div_ceil(1 << sampling.down),
        );
        let steps = (2 - sampling.across as usize, 2 - sampling.down as usize);
        for y in 0..height.div_ceil(2) {
            let first = self.row(plane, y * steps.1, plane_width)?;
            let last = self.row(plane, (y * steps.1 + steps.1 - 1).min(plane_height - 1), plane_width)?;
            for x in 0..width.div_ceil(2) {
                let (left, right) = (x * steps.0, (x * steps.0 + steps.0 - 1).min(plane_width - 1));
                let sum: u32 = [(first, left), (first, right), (last, left), (last, right)]
                    .map(|(row, x)| u32::from(self.sample(row, x)))
                    .iter()
                    .sum();
                pixels.push((sum / 4) as u8);
            }
        }
        Ok(())
    }

    fn sample(&self, row: &[u8], x: usize) -> u8 {
        if self.bits == 8 { row[x] } else { self.narrow(&row[2 * x..2 * x + 2]) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planes<'a>(luma: &'a [u8], chroma: &'a [u8], stride: usize, sampling: Sampling) -> Planes<'a> {
        let plane = Plane { bytes: chroma, stride };
        Planes {
            width: 3,
            height: 3,
            luma: Plane { bytes: luma, stride: 4 },
            chroma: Some(([plane, plane], sampling)),
            bits: 8,
        }
    }

    const LUMA: [u8; 11] = [1, 2, 3, 0, 4, 5, 6, 0, 7, 8, 9];

    #[test]
    fn strides_are_taken_out() {
        let chroma = [10, 20, 0, 30, 40];
        let picture = planes(&LUMA, &chroma, 3, Sampling::QUARTER).to_picture().expect("a picture");
        assert_eq!(picture.pixels(), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 30, 40, 10, 20, 30, 40]);
    }

    #[test]
    fn full_chroma_is_averaged() {
        let chroma = [10, 20, 5, 30, 40, 7, 50, 60, 9];
        let full = Sampling { across: 0, down: 0 };
        let picture = planes(&LUMA, &chroma, 3, full).to_picture().expect("a picture");
        assert_eq!(picture.planes()[1], [25, 6, 55, 9]);
        let half = Sampling { across: 1, down: 0 };
        let chroma = [10, 20, 30, 40, 50, 60];
        let picture = planes(&LUMA, &chroma, 2, half).to_picture().expect("a picture");
        assert_eq!(picture.planes()[2], [20, 30, 50, 60]);
    }

    #[test]
    fn deep_samples_are_narrowed() {
        let luma: Vec<u8> = [1023u16, 512, 4].iter().flat_map(|sample| sample.to_ne_bytes()).collect();
        let luma = Plane { bytes: &luma, stride: 6 };
        let picture =
            Planes { width: 3, height: 1, luma, chroma: None, bits: 10 }.to_picture().expect("a picture");
        assert_eq!(picture.pixels(), [255, 128, 1, 128, 128, 128, 128]);
    }

    #[test]
    fn planes_that_are_too_short_are_no_picture() {
        let short = planes(&LUMA[..10], &[0; 5], 3, Sampling::QUARTER).to_picture();
        assert_eq!(short.err(), Some(CodecError::Malformed));
        let short = planes(&LUMA, &[0; 4], 3, Sampling::QUARTER).to_picture();
        assert_eq!(short.err(), Some(CodecError::Malformed));
    }
}
