//! Video frames
//!
//! A frame is one picture in some format, with the time when it was taken and up to 32 bytes that travel with it to the
//! subscribers.
//!
//! Whose it is: the frame that a callback receives is lent until the callback returns; `otc_video_frame_copy` makes one
//! to keep, without copying the pixels. What a function of the next section makes belongs to the program, which ends it
//! with `otc_video_frame_delete`; it stays valid after its publisher, subscriber and session, and even after
//! `otc_destroy`. Addresses of planes, buffers and metadata are good as long as the frame.
//!
//! Formats: the name of a 32-bit format is read from the most significant byte of a little-endian word, so
//! `OTC_VIDEO_FRAME_FORMAT_ARGB32` lies in memory as B, G, R, A. `OTC_VIDEO_FRAME_FORMAT_RGB24` lies as R, G, B. Colours
//! of the YUV formats are BT.601 in the limited range. The chroma planes of an odd size are rounded up.
//!
//! Planes: Y, U and V are 0, 1 and 2; interleaved chroma is 1; what lies in one plane is 0. The numbers that some older
//! headers have are understood as well: 3 is 0 where there is one plane, 4 and 5 are 1 where chroma is interleaved.
//!
//! Threads: the functions may be called on any thread, on one frame by one thread at a time.

use std::ffi::{c_int, c_void};
use std::sync::Arc;

use parking_lot::RwLock;

use super::base::{OTC_FALSE, OTC_TRUE, otc_bool, otc_status};
use super::guard;
use super::handle::{Kept, Kind, Table};
use super::refusal::Refusal;
use super::stream::pixels;
use crate::api::Error;
use crate::api::frame::{Frame, FrameError, Metadata, Picture, PixelFormat, Plane};

/// A picture with its format, its time and its metadata. Opaque: a handle, never an address.
pub struct otc_video_frame {
    _private: (),
}

/// How many bytes of metadata a frame can carry.
pub const OTC_VIDEO_FRAME_METADATA_MAX_SIZE: usize = 32;

/// A function that works on frames on their way: it may look at the frame, and draw into it.
///
/// @param user_data  What was given with the function.
/// @param frame      Lent until the function returns. Its memory may be written to: `OTC_VIDEO_FRAME_FORMAT_YUV420P`,
///                   the strides as wide as the planes.
pub type video_transform_callback =
    Option<unsafe extern "C" fn(user_data: *mut c_void, frame: *mut otc_video_frame)>;

/// How the pixels of a frame lie in memory.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum otc_video_frame_format {
    /// None of the others.
    OTC_VIDEO_FRAME_FORMAT_UNKNOWN = 0,
    /// Three planes: Y, and U and V with half the width and height.
    OTC_VIDEO_FRAME_FORMAT_YUV420P = 1,
    /// Two planes: Y, and U and V in turns, a pair for four pixels.
    OTC_VIDEO_FRAME_FORMAT_NV12 = 2,
    /// Two planes: Y, and V and U in turns, a pair for four pixels.
    OTC_VIDEO_FRAME_FORMAT_NV21 = 3,
    /// One plane: Y, U, Y, V for two pixels.
    OTC_VIDEO_FRAME_FORMAT_YUY2 = 4,
    /// One plane: U, Y, V, Y for two pixels.
    OTC_VIDEO_FRAME_FORMAT_UYVY = 5,
    /// One plane: B, G, R, A.
    OTC_VIDEO_FRAME_FORMAT_ARGB32 = 6,
    /// One plane: A, R, G, B.
    OTC_VIDEO_FRAME_FORMAT_BGRA32 = 7,
    /// One plane: R, G, B, three bytes for a pixel.
    OTC_VIDEO_FRAME_FORMAT_RGB24 = 8,
    /// One plane: R, G, B, A.
    OTC_VIDEO_FRAME_FORMAT_ABGR32 = 9,
    /// One JPEG with the picture.
    OTC_VIDEO_FRAME_FORMAT_MJPEG = 10,
    /// One plane: A, B, G, R.
    OTC_VIDEO_FRAME_FORMAT_RGBA32 = 11,
    /// Not a format: above the numbers of those with pixels.
    OTC_VIDEO_FRAME_FORMAT_MAX = 12,
    /// What a codec made. It is carried and never looked into.
    OTC_VIDEO_FRAME_FORMAT_COMPRESSED = 255,
}

/// A number from the program where the header says `enum otc_video_frame_format`: it need not be one of ours.
pub type video_frame_format_number = c_int;

/// A number from the program where the header says `enum otc_video_frame_plane`.
pub type video_frame_plane_number = c_int;

// Both directions in one table.
const FORMATS: [(PixelFormat, otc_video_frame_format); 12] = {
    use otc_video_frame_format::*;
    [
        (PixelFormat::Yuv420p, OTC_VIDEO_FRAME_FORMAT_YUV420P),
        (PixelFormat::Nv12, OTC_VIDEO_FRAME_FORMAT_NV12),
        (PixelFormat::Nv21, OTC_VIDEO_FRAME_FORMAT_NV21),
        (PixelFormat::Yuy2, OTC_VIDEO_FRAME_FORMAT_YUY2),
        (PixelFormat::Uyvy, OTC_VIDEO_FRAME_FORMAT_UYVY),
        (PixelFormat::Argb32, OTC_VIDEO_FRAME_FORMAT_ARGB32),
        (PixelFormat::Bgra32, OTC_VIDEO_FRAME_FORMAT_BGRA32),
        (PixelFormat::Rgb24, OTC_VIDEO_FRAME_FORMAT_RGB24),
        (PixelFormat::Abgr32, OTC_VIDEO_FRAME_FORMAT_ABGR32),
        (PixelFormat::Mjpeg, OTC_VIDEO_FRAME_FORMAT_MJPEG),
        (PixelFormat::Rgba32, OTC_VIDEO_FRAME_FORMAT_RGBA32),
        (PixelFormat::Compressed, OTC_VIDEO_FRAME_FORMAT_COMPRESSED),
    ]
};

/// The format of a number, which a program may have made up.
pub(super) fn pixel_format(number: c_int) -> Result<PixelFormat, Refusal> {
    let found = FORMATS.iter().find(|(_, name)| *name as c_int == number);
    found.map(|(format, _)| *format).ok_or_else(|| Refusal::from(Error::InvalidVideoFormat))
}

fn format_name(format: PixelFormat) -> otc_video_frame_format {
    let found = FORMATS.iter().find(|(known, _)| *known == format);
    found.map_or(otc_video_frame_format::OTC_VIDEO_FRAME_FORMAT_UNKNOWN, |(_, name)| *name)
}

pub(super) static FRAMES: Table<otc_video_frame, FrameObject> = Table::new(Kind::Frame);

/// A frame behind a handle. Its pixels and its metadata keep their addresses.
pub(super) struct FrameObject {
    frame: RwLock<Frame>,
}

impl FrameObject {
    pub fn new(frame: Frame) -> Arc<Self> {
        Arc::new(Self { frame: RwLock::new(frame) })
    }

    /// The frame as a value, on the same memory. Good until the handle ends where the memory is the program's and may
    /// not be shared; so whoever keeps it takes [`Frame::copy`] or [`Frame::to_picture`] of it.
    pub fn frame(&self) -> Frame {
        self.frame.read().clone()
    }

    /// The frame itself, once its handle has ended; a copy where somebody still holds it.
    pub fn take(self: Arc<Self>) -> Frame {
        match Arc::try_unwrap(self) {
            Ok(object) => object.frame.into_inner(),
            Err(shared) => shared.frame(),
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut Frame) -> T) -> T {
        change(&mut self.frame.write())
    }
}

/// A frame handle of the library's.
pub(super) type KeptFrame = Kept<otc_video_frame, FrameObject>;

/// A picture for a callback: the handle ends with the returned value, copies of the frame share the pixels.
// The callbacks that receive frames are those of publishers and subscribers.
#[allow(dead_code)]
pub(super) fn lend(picture: Picture) -> KeptFrame {
    FRAMES.keep(FrameObject::new(Frame::from(picture)))
}

/// What is wrong with a frame that cannot be made.
pub(super) fn refusal(error: FrameError) -> Refusal {
    match error {
        FrameError::Size => Refusal::parameter("width or height", "is none that a picture can have"),
        FrameError::Stride => Refusal::parameter("stride", "is shorter than a row, or too long"),
        FrameError::Short => Refusal::parameter("buffer", "is too short for the picture"),
        FrameError::Format | FrameError::Malformed | FrameError::Memory => Error::from(error).into(),
    }
}

/// One fact of a frame.
fn fact<T>(
    function: &'static str,
    frame: *const otc_video_frame,
    otherwise: T,
    of: impl FnOnce(&Frame) -> T,
) -> T {
    guard::value(function, otherwise, || Ok(of(&FRAMES.get(frame, "frame")?.frame.read())))
}

fn truth(fact: bool) -> otc_bool {
    if fact { OTC_TRUE } else { OTC_FALSE }
}

/// The index of a plane, whichever header its number is from.
fn plane_index(frame: &Frame, number: c_int) -> Option<usize> {
    let count = frame.format().plane_count();
    match (number, count) {
        (3, 1) => Some(0),
        (4 | 5, 2) => Some(1),
        _ => usize::try_from(number).ok().filter(|index| *index < count),
    }
}

/// One fact of a plane.
fn plane_fact<T>(
    function: &'static str,
    frame: *const otc_video_frame,
    plane: video_frame_plane_number,
    otherwise: T,
    of: impl FnOnce(&Frame, usize, Plane<'_>) -> T,
) -> T {
    guard::value(function, otherwise, || {
        let object = FRAMES.get(frame, "frame")?;
        let frame = object.frame.read();
        let found = plane_index(&frame, plane).and_then(|index| Some((index, frame.plane(index)?)));
        let (index, plane) =
            found.ok_or_else(|| Refusal::parameter("plane", "is none that the format has"))?;
        Ok(of(&frame, index, plane))
    })
}

/// The width of the picture.
///
/// @param frame  A frame.
///
/// @return Pixels; 0 when `frame` is NULL or no live frame.
#[unsafe(no_mangle)]
pub extern "C" fn otc_video_frame_get_width(frame: *const otc_video_frame) -> c_int {
    fact("otc_video_frame_get_width", frame, 0, |frame| pixels(frame.width()))
}

/// The height of the picture.
///
/// @param frame  A frame.
///
/// @return Pixels; 0 when `frame` is NULL or no live frame.
#[unsafe(no_mangle)]
pub extern "C" fn otc_video_frame_get_height(frame: *const otc_video_frame) -> c_int {
    fact("otc_video_frame_get_height", frame, 0, |frame| pixels(frame.height()))
}

/// The format of the pixels.
///
/// @param frame  A frame.
///
/// @return The format; `OTC_VIDEO_FRAME_FORMAT_UNKNOWN` when `frame` is NULL or no live frame.
#[unsafe(no_mangle)]
pub extern "C" fn otc_video_frame_get_format(frame: *const otc_video_frame) -> otc_video_frame_format {
    let otherwise = otc_video_frame_format::OTC_VIDEO_FRAME_FORMAT_UNKNOWN;
    fact("otc_video_frame_get_format", frame, otherwise, |frame| format_name(frame.format()))
}

/// Takes the bytes of a frame for those of another format. Nothing is converted; for that there is
/// `otc_video_frame_convert`. Left as it is, with a line in the log, when the bytes are not enough for the other format,
/// or have padding that lies elsewhere there.
///
/// @param frame   A frame.
/// @param format  The format in which the bytes are.
#[unsafe(no_mangle)]
pub extern "C" fn otc_video_frame_set_format(frame: *mut otc_video_frame, format: video_frame_format_number) {
    guard::value("otc_video_frame_set_format", (), || {
        let object = FRAMES.get(frame, "frame")?;
        let format = pixel_format(format)?;
        object.change(|frame| frame.relabel(format)).map_err(refusal)
    })
}

/// When the picture was taken.
///
/// @param frame  A frame.
///
/// @return Milliseconds since 1970; 0 when it is not known, or `frame` is NULL or no live frame.
#[unsafe(no_mangle)]
pub extern "C" fn otc_video_frame_get_timestamp(frame: *const otc_video_frame) -> i64 {
    fact("otc_video_frame_get_timestamp", frame, 0, |frame| frame.timestamp_ms)
}

/// Says when the picture was taken.
///
/// @param frame      A frame.
/// @param timestamp  Milliseconds since 1970.
#[unsafe(no_mangle)]
pub extern "C" fn otc_video_frame_set_timestamp(frame: *mut otc_video_frame, timestamp: i64) {
    guard::value("otc_video_frame_set_timestamp", (), || {
        FRAMES.get(frame, "frame")?.change(|frame| frame.timestamp_ms = timestamp);
        Ok(())
    })
}

/// Attaches bytes to a frame, in place of those that it had. They travel with the frame to the subscribers and with its
/// copies.
///
/// @param frame  A frame.
/// @param data   The bytes; copied. May be NULL when `size` is 0.
/// @param size   How many there are, at most `OTC_VIDEO_FRAME_METADATA_MAX_SIZE`. 0 takes away what was there.
///
/// @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when there are too many bytes, `data` is NULL, or `frame` is NULL or no
///         live frame: nothing is changed then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn otc_video_frame_set_metadata(
    frame: *mut otc_video_frame,
    data: *const u8,
    size: usize,
) -> otc_status {
    guard::status("otc_video_frame_set_metadata", || {
        let object = FRAMES.get(frame, "frame")?;
        let bytes: &[u8] = match size {
            0 => &[],
            _ if size > OTC_VIDEO_FRAME_METADATA_MAX_SIZE => {
                return Err(Refusal::parameter("size", "is more than a frame can carry"));
            }
            _ if data.is_null() => return Err(Refusal::null("data")),
            // SAFETY: the caller passes at least `size` bytes.
            _ => unsafe { std::slice::from_raw_parts(data, size) },
        };
        let metadata = Metadata::new(bytes).ok_or_else(|| Refusal::parameter("size", "is too large"))?;
        object.change(|frame| frame.metadata = metadata);
        Ok(())
    })
}

/// The bytes that are attached to a frame.
///
/// @param frame  A frame.
/// @param size   Where to put how many there are; 0 when there are none.
///
/// @return The bytes; they belong to the frame and end with it. NULL when there are none, `size` is NULL, or `frame` is
///         NULL or no live frame; in the last two cases `size` is not written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn otc_video_frame_get_metadata(
    frame: *const otc_video_frame,
    size: *mut usize,
) -> *const u8 {
    guard::value("otc_video_frame_get_metadata", std::ptr::null(), || {
        let object = FRAMES.get(frame, "frame")?;
        if size.is_null() {
            return Err(Refusal::null("size"));
        }
        let frame = object.frame.read();
        let bytes = frame.metadata.as_bytes();
        // SAFETY: not NULL, so a size_t of the caller's.
        unsafe { *size = bytes.len() };
        // The bytes lie in the object, which the handle keeps.
        Ok(if bytes.is_empty() { std::ptr::null() } else { bytes.as_ptr() })
    })
}

/// The whole picture, plane after plane without padding, or the JPEG or compressed bytes. With
/// `otc_video_frame_get_buffer_size` that is what goes into a file of raw pictures.
///
/// @param frame  A frame.
///
/// @return The first byte; it belongs to the frame. NULL when the frame is not contiguous, or `frame` is NULL or no live
///         frame.
#[unsafe(no_mangle)]
pub extern "C" fn otc_video_frame_get_buffer(frame: *const otc_video_frame) -> *const u8 {
    let address = |frame: &Frame| frame.buffer().map_or(std::ptr::null(), <[u8]>::as_ptr);
    fact("otc_video_frame_get_buffer", frame, std::ptr::null(), address)
}

/// The size of the whole picture.
///
/// @param frame  A frame.
///
/// @return Bytes: width * height * 3 / 2 for an `OTC_VIDEO_FRAME_FORMAT_YUV420P` of even size. 0 when the frame is not
///         contiguous, or `frame` is NULL or no live frame.
#[unsafe(no_mangle)]
pub extern "C" fn otc_video_frame_get_buffer_size(frame: *const otc_video_frame) -> usize {
    fact("otc_video_frame_get_buffer_size", frame, 0, |frame| frame.buffer().map_or(0, <[u8]>::len))
}

/// How many planes the format has.
///
/// @param frame  A frame.
///
/// @return 3 for `OTC_VIDEO_FRAME_FORMAT_YUV420P`, 2 for NV12 and NV21, else 1; 0 when `frame` is NULL or no live frame.
#[unsafe(no_mangle)]
pub extern "C" fn otc_video_frame_get_number_of_planes(frame: *const otc_video_frame) -> usize {
    fact("otc_video_frame_get_number_of_planes", frame, 0, |frame| frame.format().plane_count())
}

/// The first byte of a plane.
///
/// @param frame  A frame.
/// @param plane  The plane.
///
/// @return The address; the memory belongs to the frame. A program may write there when the frame is its own, was not made
///         as a wrapper, and shares its memory with no other: a frame and what `otc_video_frame_copy` makes of it do. NULL
///         when the format has no such plane, or `frame` is NULL or no live frame.
#[unsafe(no_mangle)]
pub extern "C" fn otc_video_frame_get_plane_binary_data(
    frame: *const otc_video_frame,
    plane: video_frame_plane_number,
) -> *const u8 {
    let function = "otc_video_frame_get_plane_binary_data";
    plane_fact(function, frame, plane, std::ptr::null(), |_, _, plane| plane.bytes.as_ptr())
}

/// The size of a plane with its padding.
///
/// @param frame  A frame.
/// @param plane  The plane.
///
/// @return Bytes; 0 when the format has no such plane, or `frame` is NULL or no live frame.
#[unsafe(no_mangle)]
pub extern "C" fn otc_video_frame_get_plane_size(
    frame: *const otc_video_frame,
    plane: video_frame_plane_number,
) -> usize {
    plane_fact("otc_video_frame_get_plane_size", frame, plane, 0, |_, _, plane| plane.bytes.len())
}

/// How far it is from the beginning of a row of a plane to that of the next.
///
/// @param frame  A frame.
/// @param plane  The plane.
///
/// @return Bytes; 0 when there are no rows, the format has no such plane, or `frame` is NULL or no live frame.
#[unsafe(no_mangle)]
pub extern "C" fn otc_video_frame_get_plane_stride(
    frame: *const otc_video_frame,
    plane: video_frame_plane_number,
) -> c_int {
    plane_fact("otc_video_frame_get_plane_stride", frame, plane, 0, |_, _, plane| {
        c_int::try_from(plane.stride).unwrap_or(c_int::MAX)
    })
}

/// How many pixels a row of a plane has. In a plane of chroma one stands for two of the picture; where chroma is
/// interleaved a pair counts once.
///
/// @param frame  A frame.
/// @param plane  The plane.
///
/// @return Pixels; 0 when the format has no such plane, or `frame` is NULL or no live frame.
#[unsafe(no_mangle)]
pub extern "C" fn otc_video_frame_get_plane_width(
    frame: *const otc_video_frame,
    plane: video_frame_plane_number,
) -> c_int {
    plane_fact("otc_video_frame_get_plane_width", frame, plane, 0, |frame, index, _| {
        pixels(frame.format().plane_width(index, frame.width()))
    })
}

/// How many rows a plane has.
///
/// @param frame  A frame.
/// @param plane  The plane.
///
/// @return Rows; 0 when the format has no such plane, or `frame` is NULL or no live frame.
#[unsafe(no_mangle)]
pub extern "C" fn otc_video_frame_get_plane_height(
    frame: *const otc_video_frame,
    plane: video_frame_plane_number,
) -> c_int {
    plane_fact("otc_video_frame_get_plane_height", frame, plane, 0, |frame, index, _| {
        pixels(frame.format().plane_height(index, frame.height()))
    })
}

/// Whether all of a pixel lies together, in one plane: RGB, YUY2 and UYVY.
///
/// @param frame  A frame.
///
/// @return `OTC_TRUE` or `OTC_FALSE`; `OTC_FALSE` when `frame` is NULL or no live frame.
#[unsafe(no_mangle)]
pub extern "C" fn otc_video_frame_is_packed(frame: *const otc_video_frame) -> otc_bool {
    fact("otc_video_frame_is_packed", frame, OTC_FALSE, |frame| truth(frame.format().is_packed()))
}

/// Whether the planes lie one after the other without padding, so that `otc_video_frame_get_buffer` has the picture.
/// Always so but for wrappers of planes that lie otherwise.
///
/// @param frame  A frame.
///
/// @return `OTC_TRUE` or `OTC_FALSE`; `OTC_FALSE` when `frame` is NULL or no live frame.
#[unsafe(no_mangle)]
pub extern "C" fn otc_video_frame_is_contiguous(frame: *const otc_video_frame) -> otc_bool {
    fact("otc_video_frame_is_contiguous", frame, OTC_FALSE, |frame| truth(frame.is_contiguous()))
}

/// What the system calls the picture, where it lies in memory of a graphics card. Frames of this library never do.
///
/// @param frame  A frame.
///
/// @return NULL.
#[unsafe(no_mangle)]
pub extern "C" fn otc_video_frame_get_native_handle(frame: *const otc_video_frame) -> *mut c_void {
    fact("otc_video_frame_get_native_handle", frame, std::ptr::null_mut(), |_| std::ptr::null_mut())
}

/// Ends a frame. Its memory goes with the last copy that shares it; a release function is called then.
///
/// @param frame  A frame of the program's. One that is lent stays as it is: the call is harmless then.
///
/// @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `frame` is NULL, or no live frame (for example ended already):
///         nothing happens then.
#[unsafe(no_mangle)]
pub extern "C" fn otc_video_frame_delete(frame: *mut otc_video_frame) -> otc_status {
    guard::status("otc_video_frame_delete", || FRAMES.delete(frame, "frame"))
}
