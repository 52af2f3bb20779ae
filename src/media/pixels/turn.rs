//! Pictures turned and mirrored.

use crate::media::{Picture, Rotation};

impl Rotation {
    /// Full turns more or less do not count. `None` when it is no quarter turn.
    pub fn from_degrees(degrees: i32) -> Option<Self> {
        match degrees.rem_euclid(360) {
            0 => Some(Self::None),
            90 => Some(Self::Quarter),
            180 => Some(Self::Half),
            270 => Some(Self::ThreeQuarters),
            _ => None,
        }
    }

    pub fn degrees(self) -> u32 {
        match self {
            Self::None => 0,
            Self::Quarter => 90,
            Self::Half => 180,
            Self::ThreeQuarters => 270,
        }
    }
}

/// The picture turned clockwise; the same one, shared, when there is nothing to turn.
pub fn rotate(picture: &Picture, rotation: Rotation) -> Picture {
    let is_on_its_side = match rotation {
        Rotation::None => return picture.clone(),
        Rotation::Half => false,
        Rotation::Quarter | Rotation::ThreeQuarters => true,
    };
    changed(picture, is_on_its_side, |plane, width, out| match rotation {
        Rotation::None => out.copy_from_slice(plane),
        Rotation::Half => {
            out.copy_from_slice(plane);
            out.reverse();
        }
        Rotation::Quarter => quarter_turn(plane, width, out),
        Rotation::ThreeQuarters => {
            quarter_turn(plane, width, out);
            out.reverse();
        }
    })
}

/// Left and right exchanged.
pub fn mirror(picture: &Picture) -> Picture {
    changed(picture, false, |plane, width, out| {
        out.copy_from_slice(plane);
        out.chunks_exact_mut(width).for_each(<[u8]>::reverse);
    })
}

/// Does the same with each plane, given with its width.
fn changed(picture: &Picture, is_on_its_side: bool, change: impl Fn(&[u8], usize, &mut [u8])) -> Picture {
    let (width, height) = (picture.width(), picture.height());
    let (width, height) = if is_on_its_side { (height, width) } else { (width, height) };
    let Some(mut result) = Picture::black(width, height) else {
        return picture.clone(); // never: both are sizes of the picture
    };
    let widths = [picture.width(), picture.chroma_width(), picture.chroma_width()];
    for ((plane, width), out) in picture.planes().into_iter().zip(widths).zip(result.planes_mut()) {
        change(plane, width as usize, out);
    }
    result.timestamp_ms = picture.timestamp_ms;
    result.metadata = picture.metadata;
    result
}

/// A side of the squares that are turned at once: as many bytes as a word has.
const SQUARE: usize = 8;

/// A column of the source, read upwards, is a row of the result. In squares, each eight words read and eight written;
/// what is left at the right and at the bottom goes byte by byte.
fn quarter_turn(plane: &[u8], width: usize, out: &mut [u8]) {
    let height = plane.len() / width;
    let (whole_width, whole_height) = (width / SQUARE * SQUARE, height / SQUARE * SQUARE);
    for top in (0..whole_height).step_by(SQUARE) {
        for left in (0..whole_width).step_by(SQUARE) {
            let mut words = [0; SQUARE];
            for (index, word) in words.iter_mut().enumerate() {
                let start = (top + SQUARE - 1 - index) * width + left;
                *word = u64::from_le_bytes(std::array::from_fn(|byte| plane[start + byte]));
            }
            for (index, word) in transposed(words).into_iter().enumerate() {
                let start = (left + index) * height + height - SQUARE - top;
                out[start..start + SQUARE].copy_from_slice(&word.to_le_bytes());
            }
        }
    }
    for (y, row) in plane.chunks_exact(width).enumerate() {
        let left = if y < whole_height { whole_width } else { 0 };
        for (x, pixel) in row.iter().enumerate().skip(left) {
            out[x * height + height - 1 - y] = *pixel;
        }
    }
}

/// Byte i of word j becomes byte j of word i: quarters of the square change places, then quarters of these, twice.
fn transposed(mut words: [u64; SQUARE]) -> [u64; SQUARE] {
    const MASKS: [(usize, u64); 3] =
        [(4, 0x0000_0000_ffff_ffff), (2, 0x0000_ffff_0000_ffff), (1, 0x00ff_00ff_00ff_00ff)];
    for (distance, mask) in MASKS {
        let bits = 8 * distance;
        for upper in (0..SQUARE).filter(|index| index & distance == 0) {
            let lower = upper + distance;
            let changed = ((words[upper] >> bits) ^ words[lower]) & mask;
            words[lower] ^= changed;
            words[upper] ^= changed << bits;
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 3 x 2: luma 1 2 3 / 4 5 6, chroma 7 8 and 9 10.
    fn picture() -> Picture {
        Picture::new(3, 2, (1..=10).collect()).expect("the right number")
    }

    #[test]
    fn a_quarter_turn_is_clockwise() {
        let turned = rotate(&picture(), Rotation::Quarter);
        assert_eq!((turned.width(), turned.height()), (2, 3));
        assert_eq!(turned.planes(), [&[4, 1, 5, 2, 6, 3][..], &[7, 8], &[9, 10]]);
    }

    #[test]
    fn turns_add_up() {
        let quarter = |picture| rotate(&picture, Rotation::Quarter);
        let half = quarter(quarter(picture()));
        assert_eq!(half.pixels(), rotate(&picture(), Rotation::Half).pixels());
        let three = quarter(half);
        assert_eq!(three.pixels(), rotate(&picture(), Rotation::ThreeQuarters).pixels());
        assert_eq!(quarter(three).pixels(), picture().pixels());
    }

    #[test]
    fn large_pictures_are_turned_to_their_edges() {
        let (width, height) = (70u32, 45u32);
        let count = Picture::byte_count(width, height).expect("a size");
        let picture =
            Picture::new(width, height, (0..count).map(|i| (i * 7 % 251) as u8).collect()).expect("all");
        let turned = rotate(&picture, Rotation::Quarter);
        for y in 0..height as usize {
            for x in 0..width as usize {
                let there = turned.planes()[0][x * height as usize + (height as usize - 1 - y)];
                assert_eq!(there, picture.planes()[0][y * width as usize + x]);
            }
        }
    }

    #[test]
    fn a_mirror_exchanges_left_and_right() {
        assert_eq!(mirror(&picture()).planes(), [&[3, 2, 1, 6, 5, 4][..], &[8, 7], &[10, 9]]);
    }

    #[test]
    fn degrees_are_quarter_turns_or_nothing() {
        assert_eq!(Rotation::from_degrees(450), Some(Rotation::Quarter));
        assert_eq!(Rotation::from_degrees(-90), Some(Rotation::ThreeQuarters));
        assert_eq!(Rotation::from_degrees(45), None);
        assert_eq!(Rotation::from_degrees(180).map(Rotation::degrees), Some(180));
    }
}
