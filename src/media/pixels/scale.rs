//! Pictures of other sizes.

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};

use super::halve::{halve, quarter};
use crate::media::Picture;

/// A picture of another size; the same one, shared, when it has that size already. Sizes that no picture has become the
/// nearest that one can have.
pub fn scale(picture: &Picture, width: u32, height: u32) -> Picture {
    let width = width.clamp(1, Picture::SIZE_MAX);
    let height = height.clamp(1, Picture::SIZE_MAX);
    let of = |factor: u32| picture.width() == factor * width && picture.height() == factor * height;
    if of(1) {
        return picture.clone();
    }
    let Some(mut scaled) = Picture::black(width, height) else {
        return picture.clone(); // never: the size has just been made one that a picture has
    };
    let from =
        [size(picture.width(), picture.height()), size(picture.chroma_width(), picture.chroma_height())];
    let to = [size(scaled.width(), scaled.height()), size(scaled.chroma_width(), scaled.chroma_height())];
    let mut resizer = Resizer::new();
    for (index, (plane, out)) in picture.planes().into_iter().zip(scaled.planes_mut()).enumerate() {
        let (from, to) = (from[index.min(1)], to[index.min(1)]);
        if of(2) {
            halve(plane, from.0, from.1, out);
        } else if of(4) && from == (4 * to.0, 4 * to.1) {
            quarter(plane, from.0, out);
        } else {
            resize(&mut resizer, plane, from, out, to);
        }
    }
    scaled.timestamp_ms = picture.timestamp_ms;
    scaled.metadata = picture.metadata;
    scaled
}

fn size(width: u32, height: u32) -> (usize, usize) {
    (width as usize, height as usize)
}

/// Any ratio. Smaller sizes take all pixels into account, so nothing flickers in motion.
fn resize(resizer: &mut Resizer, plane: &[u8], from: (usize, usize), out: &mut [u8], to: (usize, usize)) {
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    // Of one kind of pixels: the library would bring what it has for all others as well, megabytes of it.
    let source = TypedImageRef::<U8>::from_buffer(from.0 as u32, from.1 as u32, plane);
    let target = TypedImage::<U8>::from_buffer(to.0 as u32, to.1 as u32, out);
    if let (Ok(source), Ok(mut target)) = (source, target) {
        // Fails for crop boxes only.
        let _ = resizer.resize_typed(&source, &mut target, &options);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Brighter to the right, bluer to the bottom.
    fn gradient(width: u32, height: u32) -> Picture {
        let mut picture = Picture::black(width, height).expect("a size");
        let (chroma_width, chroma_height) = (picture.chroma_width(), picture.chroma_height());
        let [y, u, v] = picture.planes_mut();
        for (index, pixel) in y.iter_mut().enumerate() {
            *pixel = (index as u32 % width * 200 / width) as u8;
        }
        for (index, (u, v)) in u.iter_mut().zip(v).enumerate() {
            *u = (index as u32 / chroma_width * 200 / chroma_height) as u8;
            *v = 77;
        }
        picture
    }

    #[test]
    fn every_ratio_keeps_what_is_where() {
        let picture = gradient(320, 180);
        for (width, height) in [(160, 90), (80, 45), (213, 77), (640, 360), (1, 1), (3, 181), (319, 180)] {
            let scaled = scale(&picture, width, height);
            assert_eq!((scaled.width(), scaled.height()), (width, height));
            let wanted = gradient(width, height);
            for (plane, (scaled, wanted)) in scaled.planes().into_iter().zip(wanted.planes()).enumerate() {
                for (index, (scaled, wanted)) in scaled.iter().zip(wanted).enumerate() {
                    // A coarse picture's pixel covers a wide piece of the gradient.
                    let allowed = 4 + 200 / width.min(height).min(100) as i32;
                    let distance = (i32::from(*scaled) - i32::from(*wanted)).abs();
                    assert!(
                        distance <= allowed,
                        "{width}x{height} plane {plane} [{index}]: {scaled} not {wanted}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_same_size_is_the_same_picture() {
        let picture = gradient(32, 18);
        let same = scale(&picture, 32, 18);
        assert_eq!(same.pixels().as_ptr(), picture.pixels().as_ptr());
    }

    #[test]
    fn what_belongs_to_the_picture_stays_with_it() {
        let mut picture = gradient(32, 18);
        picture.timestamp_ms = 7;
        picture.metadata = crate::media::Metadata::new(b"mark").expect("short");
        let scaled = scale(&picture, 16, 9);
        assert_eq!((scaled.timestamp_ms, scaled.metadata), (7, picture.metadata));
    }

    #[test]
    fn odd_halves_have_their_chroma() {
        let scaled = scale(&gradient(10, 6), 5, 3);
        assert_eq!((scaled.chroma_width(), scaled.chroma_height()), (3, 2));
        assert!(scaled.planes()[2].iter().all(|v| *v == 77));
    }

    #[test]
    fn impossible_sizes_become_possible_ones() {
        let scaled = scale(&gradient(8, 8), 0, 5);
        assert_eq!((scaled.width(), scaled.height()), (1, 5));
    }
}
