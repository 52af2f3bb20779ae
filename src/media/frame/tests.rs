use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

/// Memory that counts how often it is given back.
struct Lent {
    blocks: Vec<Vec<u8>>,
    may_be_shared: bool,
    given_back: Arc<AtomicU32>,
}

impl Foreign for Lent {
    fn block_count(&self) -> usize {
        self.blocks.len()
    }

    fn block(&self, index: usize) -> &[u8] {
        self.blocks.get(index).map_or(&[], Vec::as_slice)
    }

    fn may_be_shared(&self) -> bool {
        self.may_be_shared
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.given_back.fetch_add(1, Ordering::Relaxed);
    }
}

fn lent(blocks: Vec<Vec<u8>>, may_be_shared: bool) -> (Arc<Lent>, Arc<AtomicU32>) {
    let given_back = Arc::new(AtomicU32::new(0));
    (Arc::new(Lent { blocks, may_be_shared, given_back: given_back.clone() }), given_back)
}

fn address(frame: &Frame) -> *const u8 {
    frame.plane(0).expect("a plane").bytes.as_ptr()
}

#[test]
fn memory_is_given_back_when_the_last_frame_on_it_goes() {
    let (memory, given_back) = lent(vec![vec![1; 64]], true);
    let frame = Frame::on(memory, PixelFormat::Argb32, 4, 4, &[16]).expect("enough");
    let copy = frame.copy().expect("shared");
    assert_eq!(address(&copy), address(&frame));
    drop(frame);
    assert_eq!(given_back.load(Ordering::Relaxed), 0);
    drop(copy);
    assert_eq!(given_back.load(Ordering::Relaxed), 1);
}

#[test]
fn memory_that_may_not_be_shared_is_copied() {
    let (memory, given_back) = lent(vec![vec![1; 64]], false);
    let frame = Frame::on(memory, PixelFormat::Argb32, 4, 4, &[16]).expect("enough");
    let copy = frame.copy().expect("copied");
    assert_ne!(address(&copy), address(&frame));
    let same = frame.convert(PixelFormat::Argb32).expect("copied");
    assert_ne!(address(&same), address(&frame));
    drop(frame);
    assert_eq!(given_back.load(Ordering::Relaxed), 1);
    assert_eq!(copy.buffer(), Some(&[1; 64][..]));
}

#[test]
fn planes_in_one_block_follow_each_other() {
    let bytes: Vec<u8> = (0..27).collect();
    let (memory, _) = lent(vec![bytes.clone()], true);
    let frame = Frame::on(memory, PixelFormat::Yuv420p, 3, 5, &[3, 2, 2]).expect("enough");
    assert!(frame.is_contiguous());
    assert_eq!(frame.buffer(), Some(&bytes[..]));
    assert_eq!(frame.plane(1).expect("u").bytes, &bytes[15..21]);
    assert_eq!(frame.plane(2).expect("v").bytes, &bytes[21..]);
    assert!(frame.plane(3).is_none());
}

#[test]
fn planes_apart_are_no_buffer_and_make_one_when_copied() {
    let (memory, _) = lent(vec![vec![1; 20], vec![2; 6], vec![3; 6]], true);
    let frame = Frame::on(memory, PixelFormat::Yuv420p, 3, 5, &[4, 2, 2]).expect("enough");
    assert!(!frame.is_contiguous());
    assert!(frame.buffer().is_none());
    let copy = frame.deep_copy().expect("copied");
    assert_eq!(copy.buffer(), Some(&[[1; 15].as_slice(), &[2; 6], &[3; 6]].concat()[..]));
}

#[test]
fn memory_that_is_too_short_is_refused_and_given_back() {
    let (memory, given_back) = lent(vec![vec![1; 63]], true);
    assert_eq!(Frame::on(memory, PixelFormat::Argb32, 4, 4, &[16]).err(), Some(FrameError::Short));
    assert_eq!(given_back.load(Ordering::Relaxed), 1);
}

#[test]
fn a_picture_becomes_a_frame_and_again_a_picture_without_a_copy() {
    let mut picture = Picture::black(6, 4).expect("a size");
    picture.timestamp_ms = 12;
    picture.metadata = Metadata::new(b"mark").expect("short");
    let frame = Frame::from(picture.clone());
    assert_eq!(frame.buffer().expect("in one piece").as_ptr(), picture.pixels().as_ptr());
    let again = frame.to_picture().expect("a picture");
    assert_eq!(again.pixels().as_ptr(), picture.pixels().as_ptr());
    assert_eq!((again.timestamp_ms, again.metadata), (12, picture.metadata));
}

#[test]
fn what_a_program_may_write_to_is_not_shared_with_a_picture() {
    let frame = Frame::blank(PixelFormat::Yuv420p, 6, 4).expect("a size");
    let picture = frame.to_picture().expect("a picture");
    assert_ne!(picture.pixels().as_ptr(), address(&frame));
    assert_eq!(picture.pixels(), Picture::black(6, 4).expect("a size").pixels());
}

#[test]
fn a_writable_frame_that_nobody_has_any_more_becomes_a_picture_without_a_copy() {
    let shared = Picture::black(6, 4).expect("a size");
    let frame = Frame::writable(shared.clone());
    assert_ne!(address(&frame), shared.pixels().as_ptr());
    let place = address(&frame);
    assert_eq!(frame.into_picture().expect("a picture").pixels().as_ptr(), place);

    let frame = Frame::writable(shared);
    let copy = frame.clone();
    assert_ne!(frame.into_picture().expect("a picture").pixels().as_ptr(), address(&copy));
}

#[test]
fn blank_frames_are_black_in_every_format() {
    for format in [
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
    ] {
        let picture = Frame::blank(format, 5, 3).expect("a size").to_picture().expect("a picture");
        assert_eq!(picture.pixels(), Picture::black(5, 3).expect("a size").pixels(), "{format:?}");
    }
    let argb = Frame::blank(PixelFormat::Argb32, 1, 1).expect("a size");
    assert_eq!(argb.buffer(), Some(&[0, 0, 0, 255][..]));
    assert_eq!(Frame::blank(PixelFormat::Mjpeg, 1, 1).err(), Some(FrameError::Format));
}

#[test]
fn conversions_keep_time_and_metadata() {
    let mut frame = Frame::blank(PixelFormat::Nv21, 5, 3).expect("a size");
    frame.timestamp_ms = 99;
    frame.metadata = Metadata::new(b"mark").expect("short");
    for format in [PixelFormat::Yuv420p, PixelFormat::Rgba32, PixelFormat::Nv21] {
        let converted = frame.convert(format).expect("a target");
        assert_eq!(converted.format(), format);
        assert_eq!((converted.timestamp_ms, converted.metadata), (99, frame.metadata));
        assert!(converted.is_contiguous());
    }
    assert_eq!(frame.convert(PixelFormat::Uyvy).err(), Some(FrameError::Format));
}

#[test]
fn a_label_is_changed_where_the_bytes_are_enough() {
    let mut frame = Frame::blank(PixelFormat::Yuv420p, 4, 4).expect("a size");
    frame.relabel(PixelFormat::Nv12).expect("as many bytes");
    assert_eq!(frame.plane(1).expect("uv").bytes.len(), 8);
    assert_eq!(frame.relabel(PixelFormat::Argb32), Err(FrameError::Short));
    assert_eq!(frame.format(), PixelFormat::Nv12);
    assert_eq!(frame.plane(1).expect("uv").bytes.len(), 8);
    frame.relabel(PixelFormat::Nv21).expect("alike");
    assert_eq!(frame.relabel(PixelFormat::Mjpeg), Err(FrameError::Format));
}

#[test]
fn coded_bytes_are_kept_as_they_are() {
    let frame = Frame::coded(PixelFormat::Compressed, 640, 480, b"anything").expect("bytes");
    assert_eq!(frame.buffer(), Some(&b"anything"[..]));
    assert_eq!(frame.to_picture().err(), Some(FrameError::Format));
    assert_eq!(Frame::coded(PixelFormat::Mjpeg, 640, 480, b"").err(), Some(FrameError::Short));
    assert_eq!(Frame::coded(PixelFormat::Mjpeg, 0, 480, b"x").err(), Some(FrameError::Size));
    let broken = Frame::coded(PixelFormat::Mjpeg, 640, 480, b"no JPEG").expect("not looked at yet");
    assert_eq!(broken.to_picture().err(), Some(FrameError::Malformed));
}
