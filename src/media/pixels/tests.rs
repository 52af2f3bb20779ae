//! Known pixels in every format, and any pixels in any.

use proptest::prelude::*;

use super::*;
use crate::media::Picture;

const ALL: [PixelFormat; 10] = [
    PixelFormat::Yuv420p,
    PixelFormat::Nv12,
    PixelFormat::Nv21,
    PixelFormat::Yuy2,
    PixelFormat::Uyvy,
    PixelFormat::Argb32,
    PixelFormat::Bgra32,
    PixelFormat::Rgb24,
    PixelFormat::Abgr32,
    PixelFormat::Rgba32,
];

const TARGETS: [PixelFormat; 4] =
    [PixelFormat::Argb32, PixelFormat::Bgra32, PixelFormat::Abgr32, PixelFormat::Rgba32];

/// An orange: red 255, green 128, blue 0. In BT.601 with the limited range that is Y 146, U 53, V 193.
const ORANGE: [u8; 3] = [255, 128, 0];
const ORANGE_YUV: [u8; 3] = [146, 53, 193];

/// A picture of one colour in one format, written down by hand, with strides that are longer than the rows.
fn plain(format: PixelFormat, width: u32, height: u32, padding: usize) -> Vec<(Vec<u8>, usize)> {
    let [r, g, b] = ORANGE;
    let [y, u, v] = ORANGE_YUV;
    let pattern: [&[u8]; 3] = match format {
        PixelFormat::Yuv420p => [&[y], &[u], &[v]],
        PixelFormat::Nv12 => [&[y], &[u, v], &[]],
        PixelFormat::Nv21 => [&[y], &[v, u], &[]],
        PixelFormat::Yuy2 => [&[y, u, y, v], &[], &[]],
        PixelFormat::Uyvy => [&[u, y, v, y], &[], &[]],
        PixelFormat::Argb32 => [&[b, g, r, 255], &[], &[]],
        PixelFormat::Bgra32 => [&[255, r, g, b], &[], &[]],
        PixelFormat::Rgb24 => [&[r, g, b], &[], &[]],
        PixelFormat::Abgr32 => [&[r, g, b, 255], &[], &[]],
        PixelFormat::Rgba32 => [&[255, b, g, r], &[], &[]],
        PixelFormat::Mjpeg | PixelFormat::Compressed => [&[], &[], &[]],
    };
    (0..format.plane_count())
        .map(|plane| {
            let row_bytes = format.row_bytes(plane, width);
            let mut row: Vec<u8> = pattern[plane].iter().copied().cycle().take(row_bytes).collect();
            row.resize(row_bytes + padding, 0xee);
            let mut bytes = row.repeat(format.plane_height(plane, height) as usize);
            bytes.truncate(bytes.len() - padding);
            (bytes, row_bytes + padding)
        })
        .collect()
}

fn view(format: PixelFormat, width: u32, height: u32, planes: &[(Vec<u8>, usize)]) -> View<'_> {
    let planes: Vec<Plane<'_>> =
        planes.iter().map(|(bytes, stride)| Plane { bytes, stride: *stride }).collect();
    View::new(format, width, height, &planes).expect("enough memory")
}

fn assert_near(what: &str, actual: &[u8], wanted: &[u8], allowed: i32) {
    for (index, (actual, wanted)) in actual.iter().zip(wanted).enumerate() {
        let distance = (i32::from(*actual) - i32::from(*wanted)).abs();
        assert!(distance <= allowed, "{what} [{index}]: {actual}, not {wanted}");
    }
}

#[test]
fn an_orange_is_the_same_in_every_format() {
    for format in ALL {
        for (width, height, padding) in [(16, 16, 0), (1, 1, 0), (33, 17, 5), (7, 35, 1), (70, 3, 64)] {
            let planes = plain(format, width, height, padding);
            let picture = to_picture(&view(format, width, height, &planes)).expect("a picture");
            for (plane, wanted) in picture.planes().into_iter().zip(ORANGE_YUV) {
                let what = format!("{format:?} {width}x{height}+{padding}");
                assert_near(&what, plane, &vec![wanted; plane.len()], 1);
            }
        }
    }
}

#[test]
fn every_format_becomes_every_target() {
    let (width, height) = (19, 7);
    for from in ALL {
        let planes = plain(from, width, height, 3);
        let from_view = view(from, width, height, &planes);
        for to in TARGETS {
            let wanted = plain(to, width, height, 9).remove(0);
            let mut bytes = vec![0xee; wanted.0.len()];
            write(&from_view, to, &mut [PlaneMut { bytes: &mut bytes, stride: wanted.1 }]).expect("a target");
            assert_near(&format!("{from:?} to {to:?}"), &bytes, &wanted.0, 3);
            for row in bytes.chunks(wanted.1) {
                let padding = &row[to.row_bytes(0, width)..];
                assert!(
                    padding.iter().all(|byte| *byte == 0xee),
                    "{from:?} to {to:?} writes into the padding"
                );
            }
        }
    }
}

#[test]
fn orders_of_red_green_and_blue_are_exchanged_without_loss() {
    let bytes: Vec<u8> = (0..=255).collect();
    for from in TARGETS {
        for to in TARGETS {
            let mut there = vec![0; 256];
            let source = Plane { bytes: &bytes, stride: 32 };
            let source = View::new(from, 8, 8, &[source]).expect("enough");
            write(&source, to, &mut [PlaneMut { bytes: &mut there, stride: 32 }]).expect("a target");
            let mut back = vec![0; 256];
            let source = View::new(to, 8, 8, &[Plane { bytes: &there, stride: 32 }]).expect("enough");
            write(&source, from, &mut [PlaneMut { bytes: &mut back, stride: 32 }]).expect("a target");
            assert_eq!(back, bytes, "{from:?} to {to:?} and back");
            if from != to {
                assert_ne!(there, bytes, "{from:?} is not {to:?}");
            }
        }
    }
}

#[test]
fn extremes_are_the_limited_range() {
    for (colour, luma) in [(0, 16), (255, 235)] {
        let bytes = [colour; 4 * 64];
        let source = View::new(PixelFormat::Argb32, 8, 8, &[Plane { bytes: &bytes, stride: 32 }]);
        let picture = to_picture(&source.expect("enough")).expect("a picture");
        assert_near("luma", picture.planes()[0], &[luma; 64], 1);
        assert_near("chroma", picture.planes()[1], &[128; 16], 1);
    }
}

#[test]
fn what_cannot_be_a_picture_says_why() {
    let bytes = [0; 100];
    let plane = |stride| [Plane { bytes: &bytes, stride }];
    let why = |format, width, height, stride| View::new(format, width, height, &plane(stride)).err();
    assert_eq!(why(PixelFormat::Argb32, 0, 5, 20), Some(FrameError::Size));
    assert_eq!(why(PixelFormat::Argb32, 5, 16_384, 20), Some(FrameError::Size));
    assert_eq!(why(PixelFormat::Argb32, 5, 5, 19), Some(FrameError::Stride));
    assert_eq!(why(PixelFormat::Argb32, 5, 6, 20), Some(FrameError::Short));
    assert_eq!(why(PixelFormat::Argb32, 5, 5, usize::MAX / 2), Some(FrameError::Stride));
    assert_eq!(why(PixelFormat::Argb32, 5, 5, 20), None);
    assert_eq!(why(PixelFormat::Nv12, 5, 5, 20), Some(FrameError::Short));
    let coded = View::new(PixelFormat::Compressed, 5, 5, &plane(0)).expect("bytes");
    assert_eq!(to_picture(&coded).err(), Some(FrameError::Format));
}

/// 16 x 16 in one colour, made by hand: one quantisation table of ones, DC differences alone, no chroma subsampling.
fn grey_jpeg(width: u8, height: u8) -> Vec<u8> {
    let mut jpeg = vec![0xff, 0xd8];
    jpeg.extend([0xff, 0xdb, 0, 67, 0]);
    jpeg.extend([1; 64]);
    jpeg.extend([0xff, 0xc0, 0, 11, 8, 0, height, 0, width, 1, 1, 0x11, 0]);
    // DC: category 0 is the code "0", category 8 "10". AC: end of block is "0".
    jpeg.extend([0xff, 0xc4, 0, 21, 0x00, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8]);
    jpeg.extend([0xff, 0xc4, 0, 20, 0x10, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    jpeg.extend([0xff, 0xda, 0, 8, 1, 1, 0x00, 0, 63, 0]);
    // The first block's mean is 128 + 200 / 8 = 153: "10" "11001000" "0", the others differ by 0: "0" "0" each.
    jpeg.extend([0b1011_0010, 0b0000_0000, 0b0000_0000]);
    jpeg.extend([0xff, 0xd9]);
    jpeg
}

#[test]
fn a_jpeg_becomes_a_picture_in_the_limited_range() {
    let picture = decode_jpeg(&grey_jpeg(16, 16)).expect("a JPEG");
    assert_eq!((picture.width(), picture.height()), (16, 16));
    let limited = 16 + (153u32 * 219 / 255) as u8;
    assert_near("luma", picture.planes()[0], &[limited; 256], 2);
    assert_near("chroma", picture.planes()[1], &[128; 64], 1);
}

#[test]
fn a_jpeg_without_tables_is_read_with_the_usual_ones() {
    let with_tables = grey_jpeg(16, 16);
    let tables = with_tables.windows(2).position(|two| two == [0xff, 0xc4]).expect("tables");
    let mut jpeg = with_tables[..tables].to_vec();
    jpeg.extend([0xff, 0xda, 0, 8, 1, 1, 0x00, 0, 63, 0]);
    // In Annex K.3 a DC of category 8 is "111110", of category 0 "00", and the end of a block "1010". As above: the first
    // block's mean is 153, the others' is the same.
    jpeg.extend([0b1111_1011, 0b0010_0010, 0b1000_1010, 0b0010_1000, 0b1010_1111]);
    jpeg.extend([0xff, 0xd9]);
    let picture = decode_jpeg(&jpeg).expect("a JPEG");
    let usual = decode_jpeg(&with_tables).expect("a JPEG");
    assert_eq!(picture.pixels(), usual.pixels());
}

#[test]
fn a_jpeg_of_another_size_than_was_said_is_refused() {
    let jpeg = grey_jpeg(16, 16);
    let plane = [Plane { bytes: &jpeg, stride: 0 }];
    let said = |width| to_picture(&View::new(PixelFormat::Mjpeg, width, 16, &plane).expect("bytes")).err();
    assert_eq!(said(16), None);
    assert_eq!(said(17), Some(FrameError::Malformed));
}

#[test]
fn a_broken_jpeg_is_an_error() {
    let jpeg = grey_jpeg(16, 16);
    for length in 0..jpeg.len() - 1 {
        assert!(decode_jpeg(&jpeg[..length]).is_err(), "cut after {length} bytes");
    }
    assert_eq!(decode_jpeg(b"\xff\xd8 no picture at all \xff\xd9").err(), Some(FrameError::Malformed));
}

#[test]
fn a_jpeg_that_claims_a_huge_size_is_refused_before_memory_is_asked_for() {
    let mut jpeg = grey_jpeg(16, 16);
    let sof = jpeg.windows(2).position(|two| two == [0xff, 0xc0]).expect("a frame header");
    jpeg[sof + 5..sof + 9].copy_from_slice(&[0x3f, 0xff, 0x3f, 0xff]);
    assert_eq!(decode_jpeg(&jpeg).err(), Some(FrameError::Size));
}

fn any_format() -> impl Strategy<Value = PixelFormat> {
    prop::sample::select(ALL.to_vec())
}

/// A smooth picture: chroma changes little from one pixel to the next, so sharing it loses little.
fn smooth(width: u32, height: u32, seed: u8) -> Picture {
    let mut picture = Picture::black(width, height).expect("a size");
    let chroma_width = picture.chroma_width();
    let [y, u, v] = picture.planes_mut();
    for (index, y) in y.iter_mut().enumerate() {
        *y = 60 + (index as u32 % width + index as u32 / width + u32::from(seed)).min(120) as u8;
    }
    for (index, (u, v)) in u.iter_mut().zip(v).enumerate() {
        *u = 110 + (index as u32 % chroma_width).min(30) as u8;
        *v = 150 - (index as u32 / chroma_width).min(30) as u8;
    }
    picture
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_picture_that_goes_through_32_bits_comes_back(
        to in prop::sample::select(TARGETS.to_vec()),
        width in 1u32..70,
        height in 1u32..40,
        padding in 0usize..20,
        seed in 0u8..30,
    ) {
        let picture = smooth(width, height, seed);
        let stride = to.row_bytes(0, width) + padding;
        let mut bytes = vec![0; stride * height as usize];
        write_picture(&picture, to, &mut [PlaneMut { bytes: &mut bytes, stride }]).expect("a target");
        let view = View::new(to, width, height, &[Plane { bytes: &bytes, stride }]).expect("enough");
        let back = to_picture(&view).expect("a picture");
        for (back, picture) in back.planes().into_iter().zip(picture.planes()) {
            for (back, picture) in back.iter().zip(picture) {
                prop_assert!((i32::from(*back) - i32::from(*picture)).abs() <= 3);
            }
        }
    }

    #[test]
    fn any_bytes_in_any_format_become_a_picture_or_an_error(
        format in any_format(),
        width in 0u32..80,
        height in 0u32..20,
        strides in prop::array::uniform3(0usize..200),
        lengths in prop::array::uniform3(0usize..4000),
        fill in any::<u8>(),
    ) {
        let blocks = lengths.map(|length| vec![fill; length]);
        let planes: Vec<Plane<'_>> =
            blocks.iter().zip(strides).map(|(bytes, stride)| Plane { bytes, stride }).collect();
        if let Ok(view) = View::new(format, width, height, &planes) {
            let picture = to_picture(&view).expect("what was checked can be converted");
            prop_assert_eq!((picture.width(), picture.height()), (width, height));
            for to in TARGETS {
                let stride = to.row_bytes(0, width);
                let mut bytes = vec![0; stride * height as usize];
                write(&view, to, &mut [PlaneMut { bytes: &mut bytes, stride }]).expect("a target");
            }
        }
    }

    #[test]
    fn halves_are_means(width in 1usize..70, height in 1usize..20, seed in any::<u32>()) {
        let at = |x: usize, y: usize| (x * 31 + y * 17 + seed as usize % 97) as u8;
        let pixels: Vec<u8> = (0..width * height).map(|index| at(index % width, index / width)).collect();
        let (half_width, half_height) = (width.div_ceil(2), height.div_ceil(2));
        let mut half = vec![0; half_width * half_height];
        halve(&pixels, width, height, &mut half);
        for (index, pixel) in half.iter().enumerate() {
            let (x, y) = (2 * (index % half_width), 2 * (index / half_width));
            let (right, below) = ((x + 1).min(width - 1), (y + 1).min(height - 1));
            let of = |x: usize, y: usize| u32::from(pixels[y * width + x]);
            let sum = of(x, y) + of(right, y) + of(x, below) + of(right, below);
            prop_assert_eq!(u32::from(*pixel), (sum + 2) / 4);
        }
    }

    #[test]
    fn any_bytes_are_a_jpeg_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300), flips in prop::collection::vec((0usize..200, any::<u8>()), 0..6)) {
        let _ = decode_jpeg(&bytes);
        let mut jpeg = grey_jpeg(16, 16);
        for (place, value) in flips {
            let place = place % jpeg.len();
            jpeg[place] = value;
        }
        let _ = decode_jpeg(&jpeg);
    }
}
