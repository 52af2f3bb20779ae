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

/// A column of the source is a row of the result. In tiles, so that what is read again is still in the cache.
fn quarter_turn(plane: &[u8], width: usize, out: &mut [u8]) {
    /// A tile of this many squared, read and written, is a small part of any first-level cache.
    const TILE: usize = 32;
    let height = plane.len() / width;
    for top in (0..height).step_by(TILE) {
        for left in (0..width).step_by(TILE) {
            for y in top..(top + TILE).min(height) {
                let row = &plane[y * width..][..width];
                for x in left..(left + TILE).min(width) {
                    out[x * height + (height - 1 - y)] = row[x];
                }
            }
        }
    }
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
