//! Making video frames
//!
//! Out of pixels of the program, which are copied; on pixels of the program, which stay where they are (the functions
//! whose names end in `wrapper`); and out of other frames. All of them return a frame that belongs to the program, to be
//! ended with `otc_video_frame_delete`, or NULL: when a pointer that is needed is NULL, a size is not from 1 to 16383, a
//! stride is negative or shorter than a row, a buffer is too short, the format is not one that the function takes, or a
//! JPEG is broken. The log says which.
//!
//! Where a size says how much memory there has to be and the function is not told how much there is, the memory has to
//! be that large. The last row of a plane need not be padded.
//!
//! Wrappers: the memory must not change while the frame or a copy that shares it lives. The release function is called
//! once, when the last of them goes, on whichever thread that happens; it may call every function of the library. When
//! NULL was returned it is not called. A wrapper that has no release function ends with `otc_video_frame_delete`:
//! copies of it have memory of their own unless the program says that they may share.

use std::ffi::{c_int, c_void};

use super::base::{OTC_FALSE, otc_bool, otc_status};
use super::guard;
use super::refusal::Refusal;
use super::video_frame::{
    FRAMES, FrameObject, otc_video_frame, pixel_format, refusal, video_frame_format_number,
    video_frame_plane_number,
};
use super::video_frame_memory::{Release, Wrapped, pairs, size, stride, view};
use crate::api::Error;
use crate::api::frame::{Frame, PixelFormat, PlaneMut, extent, is_target};

/// Gives memory back that a frame was made on.
///
/// @param buffer  The memory that was wrapped.
/// @param arg     What was given with the function.
pub type otc_video_frame_memory_release_callback =
    Option<unsafe extern "C" fn(buffer: *const u8, arg: *mut c_void)>;

/// The functions of a program that has a picture in planes. Copied by `otc_video_frame_new_planar_memory_wrapper`, so it
/// may lie on the stack.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct otc_video_frame_planar_memory_callbacks {
    /// The first byte of a plane. Needed. Called for each plane before the frame is made, and not again.
    pub get_plane:
        Option<unsafe extern "C" fn(user_data: *mut c_void, plane: video_frame_plane_number) -> *const u8>,
    /// The stride of a plane. Needed. Called for each plane before the frame is made, and not again.
    pub get_plane_stride:
        Option<unsafe extern "C" fn(user_data: *mut c_void, plane: video_frame_plane_number) -> c_int>,
    /// The planes are not needed any more. May be NULL.
    pub release: Option<unsafe extern "C" fn(user_data: *mut c_void)>,
    /// Handed to the functions.
    pub user_data: *mut c_void,
    /// Not read.
    pub reserved: *mut c_void,
}

/// Runs a function that makes a frame.
fn made(function: &'static str, make: impl FnOnce() -> Result<Frame, Refusal>) -> *mut otc_video_frame {
    guard::value(function, std::ptr::null_mut(), || Ok(FRAMES.give(FrameObject::new(make()?))))
}

/// A frame on planes that belong to the program as long as the frame lives, without anything to call afterwards.
///
/// # Safety
/// As [`view`], until the frame is deleted.
unsafe fn lasting(
    format: PixelFormat,
    width: c_int,
    height: c_int,
    planes: &[(*const u8, c_int)],
) -> Result<Frame, Refusal> {
    let size = size(width, height)?;
    // SAFETY: the caller's promise.
    let view = unsafe { view(format, size, planes) }?;
    let blocks = |index| (view.plane(index).bytes.as_ptr(), view.plane(index).bytes.len());
    let strides: Vec<usize> = (0..planes.len()).map(|index| view.plane(index).stride).collect();
    // SAFETY: the caller's promise; copies do not share.
    let memory = unsafe { Wrapped::new((0..planes.len()).map(blocks).collect(), false, Release::Nothing) };
    memory.into_frame(format, size, &strides)
}

/// Makes a frame of pixels that lie plane after plane without padding.
///
/// @param format  Any format with pixels: not `OTC_VIDEO_FRAME_FORMAT_MJPEG`, nor compressed.
/// @param width   Pixels.
/// @param height  Pixels.
/// @param buffer  The pixels; copied. NULL makes a black picture.
///
/// @return The frame, or NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn otc_video_frame_new(
    format: video_frame_format_number,
    width: c_int,
    height: c_int,
    buffer: *const u8,
) -> *mut otc_video_frame {
    made("otc_video_frame_new", || {
        let format = pixel_format(format)?;
        let (width, height) = size(width, height)?;
        if buffer.is_null() {
            return Frame::blank(format, width, height).map_err(refusal);
        }
        let count = format.byte_count(width, height).unwrap_or(0);
        // SAFETY: the caller passes as many bytes as the format and the size ask for.
        let bytes = unsafe { std::slice::from_raw_parts(buffer, count) };
        Frame::copied(format, width, height, bytes).map_err(refusal)
    })
}

/// Makes an `OTC_VIDEO_FRAME_FORMAT_YUV420P` frame of three planes.
///
/// @param width     Pixels.
/// @param height    Pixels.
/// @param y_plane   Luma; copied, as the others.
/// @param y_stride  Bytes from row to row, at least `width`.
/// @param u_plane   Blue chroma, half the width and height, rounded up.
/// @param u_stride  Bytes from row to row.
/// @param v_plane   Red chroma.
/// @param v_stride  Bytes from row to row.
///
/// @return The frame, or NULL. Its own strides are those without padding.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn otc_video_frame_new_I420(
    width: c_int,
    height: c_int,
    y_plane: *const u8,
    y_stride: c_int,
    u_plane: *const u8,
    u_stride: c_int,
    v_plane: *const u8,
    v_stride: c_int,
) -> *mut otc_video_frame {
    made("otc_video_frame_new_I420", || {
        let planes = [(y_plane, y_stride), (u_plane, u_stride), (v_plane, v_stride)];
        // SAFETY: the caller passes planes as large as the size and the strides ask for.
        let view = unsafe { view(PixelFormat::Yuv420p, size(width, height)?, &planes) }?;
        Frame::from_view(&view).map_err(refusal)
    })
}

/// Makes an `OTC_VIDEO_FRAME_FORMAT_MJPEG` frame. The JPEG is not looked at before the frame is converted or sent.
///
/// @param width   Pixels, as the JPEG says too.
/// @param height  Pixels, as the JPEG says too.
/// @param buffer  The JPEG; copied.
/// @param size    Its bytes.
///
/// @return The frame, or NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn otc_video_frame_new_MJPEG(
    width: c_int,
    height: c_int,
    buffer: *const u8,
    size: usize,
) -> *mut otc_video_frame {
    // SAFETY: the caller's promise.
    made("otc_video_frame_new_MJPEG", || unsafe { coded(PixelFormat::Mjpeg, width, height, buffer, size) })
}

/// Makes an `OTC_VIDEO_FRAME_FORMAT_COMPRESSED` frame. Such a frame can be kept, copied and read; it cannot be converted.
///
/// @param width   Pixels of the picture that was compressed.
/// @param height  Pixels of the picture that was compressed.
/// @param buffer  The bytes; copied.
/// @param size    How many there are.
///
/// @return The frame, or NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn otc_video_frame_new_compressed(
    width: c_int,
    height: c_int,
    buffer: *const u8,
    size: usize,
) -> *mut otc_video_frame {
    // SAFETY: the caller's promise.
    let make = || unsafe { coded(PixelFormat::Compressed, width, height, buffer, size) };
    made("otc_video_frame_new_compressed", make)
}

/// # Safety
/// `buffer` is NULL or has so many bytes.
unsafe fn coded(
    format: PixelFormat,
    width: c_int,
    height: c_int,
    buffer: *const u8,
    bytes: usize,
) -> Result<Frame, Refusal> {
    let (width, height) = size(width, height)?;
    // SAFETY: the caller's promise.
    let bytes = unsafe { whole(buffer, bytes) }?;
    Frame::coded(format, width, height, bytes).map_err(refusal)
}

/// # Safety
/// `buffer` is NULL or has so many bytes.
unsafe fn whole<'a>(buffer: *const u8, bytes: usize) -> Result<&'a [u8], Refusal> {
    if buffer.is_null() {
        return Err(Refusal::null("buffer"));
    }
    if bytes > isize::MAX as usize {
        return Err(Refusal::parameter("size", "is more than there can be"));
    }
    // SAFETY: not NULL and no more than there can be, so by the caller's promise.
    Ok(unsafe { std::slice::from_raw_parts(buffer, bytes) })
}

/// Makes a frame of planes with any strides.
///
/// @param format   Any format with pixels.
/// @param width    Pixels.
/// @param height   Pixels.
/// @param planes   A pointer for each plane of the format; the pixels are copied.
/// @param strides  Bytes from row to row, for each plane.
///
/// @return The frame, in the same format, or NULL. Its own strides are those without padding.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn otc_video_frame_new_from_planes(
    format: video_frame_format_number,
    width: c_int,
    height: c_int,
    planes: *mut *const u8,
    strides: *mut c_int,
) -> *mut otc_video_frame {
    made("otc_video_frame_new_from_planes", || {
        let format = pixel_format(format)?;
        // SAFETY: the caller passes two arrays with an element for each plane.
        let planes = unsafe { pairs(format, planes, strides) }?;
        // SAFETY: the caller passes planes as large as the size and the strides ask for.
        let view = unsafe { view(format, size(width, height)?, &planes) }?;
        Frame::from_view(&view).map_err(refusal)
    })
}

/// Makes an `OTC_VIDEO_FRAME_FORMAT_YUV420P` frame of planes in any format.
///
/// @param input_format  Any format with pixels: that of the planes.
/// @param width         Pixels.
/// @param height        Pixels.
/// @param planes        A pointer for each plane of the format; the pixels are converted.
/// @param strides       Bytes from row to row, for each plane.
///
/// @return The frame, or NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn otc_video_frame_new_I420_from_planes_with_format(
    input_format: video_frame_format_number,
    width: c_int,
    height: c_int,
    planes: *mut *const u8,
    strides: *mut c_int,
) -> *mut otc_video_frame {
    made("otc_video_frame_new_I420_from_planes_with_format", || {
        let format = pixel_format(input_format)?;
        // SAFETY: the caller passes two arrays with an element for each plane.
        let planes = unsafe { pairs(format, planes, strides) }?;
        // SAFETY: the caller passes planes that last through this call, which is as long as this frame does.
        let frame = unsafe { lasting(format, width, height, &planes) }?;
        frame.convert(PixelFormat::Yuv420p).map_err(refusal)
    })
}

/// Makes a frame on memory that holds all of the picture.
///
/// @param format               Any format. With `OTC_VIDEO_FRAME_FORMAT_MJPEG` or compressed, the memory holds so many
///                             bytes.
/// @param width                Pixels.
/// @param height               Pixels.
/// @param is_shallow_copyable  Whether copies of the frame may lie on the same memory; else they have their own.
/// @param buffer               The memory: plane after plane without padding.
/// @param size                 Its bytes: at least what the format and the size ask for.
/// @param callback             Called when the memory is not needed any more. May be NULL.
/// @param arg                  Handed to `callback`.
///
/// @return The frame, or NULL; `callback` is not called then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn otc_video_frame_new_contiguous_memory_wrapper(
    format: video_frame_format_number,
    width: c_int,
    height: c_int,
    is_shallow_copyable: otc_bool,
    buffer: *const u8,
    size: usize,
    callback: otc_video_frame_memory_release_callback,
    arg: *mut c_void,
) -> *mut otc_video_frame {
    made("otc_video_frame_new_contiguous_memory_wrapper", || {
        let format = pixel_format(format)?;
        let (width, height) = self::size(width, height)?;
        // SAFETY: the caller passes a buffer of this size.
        let bytes = unsafe { whole(buffer, size) }?;
        let release = callback.map_or(Release::Nothing, |callback| Release::Buffer(callback, buffer, arg));
        let may_be_shared = is_shallow_copyable != OTC_FALSE;
        // SAFETY: the caller leaves the buffer as it is until it gets it back, or deletes the frame.
        let memory = unsafe { Wrapped::new(vec![(bytes.as_ptr(), bytes.len())], may_be_shared, release) };
        let strides = [0, 1, 2].map(|plane| format.row_bytes(plane, width));
        memory.into_frame(format, (width, height), &strides)
    })
}

/// Makes a frame on planes that lie anywhere.
///
/// @param format               Any format with pixels.
/// @param width                Pixels.
/// @param height               Pixels.
/// @param is_shallow_copyable  Whether copies of the frame may lie on the same memory; else they have their own.
/// @param callbacks            Where the planes are, and what to call when they are not needed any more. Copied.
///
/// @return The frame, or NULL; `release` is not called then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn otc_video_frame_new_planar_memory_wrapper(
    format: video_frame_format_number,
    width: c_int,
    height: c_int,
    is_shallow_copyable: otc_bool,
    callbacks: *mut otc_video_frame_planar_memory_callbacks,
) -> *mut otc_video_frame {
    made("otc_video_frame_new_planar_memory_wrapper", || {
        let format = pixel_format(format)?;
        let (width, height) = size(width, height)?;
        if callbacks.is_null() {
            return Err(Refusal::null("callbacks"));
        }
        // SAFETY: not NULL, so a struct of the caller's.
        let callbacks = unsafe { *callbacks };
        let get_plane = callbacks.get_plane.ok_or_else(|| Refusal::null("get_plane"))?;
        let get_stride = callbacks.get_plane_stride.ok_or_else(|| Refusal::null("get_plane_stride"))?;
        let ask = |plane: usize| {
            let plane = plane as c_int;
            // SAFETY: the caller's own functions with the caller's own argument.
            unsafe { (get_plane(callbacks.user_data, plane), get_stride(callbacks.user_data, plane)) }
        };
        let planes: Vec<(*const u8, c_int)> = (0..format.plane_count()).map(ask).collect();
        // SAFETY: the caller's planes are as large as the size and the strides ask for.
        let view = unsafe { view(format, (width, height), &planes) }?;
        let block = |index| (view.plane(index).bytes.as_ptr(), view.plane(index).bytes.len());
        let strides: Vec<usize> = (0..planes.len()).map(|index| view.plane(index).stride).collect();
        let release = callbacks
            .release
            .map_or(Release::Nothing, |release| Release::Planes(release, callbacks.user_data));
        let may_be_shared = is_shallow_copyable != OTC_FALSE;
        // SAFETY: the caller leaves the planes as they are until it gets them back, or deletes the frame.
        let memory = unsafe { Wrapped::new((0..planes.len()).map(block).collect(), may_be_shared, release) };
        memory.into_frame(format, (width, height), &strides)
    })
}

/// Makes an `OTC_VIDEO_FRAME_FORMAT_YUV420P` frame on three planes, which have to stay until it is deleted. Copies have
/// memory of their own.
///
/// @param width     Pixels.
/// @param height    Pixels.
/// @param y_plane   Luma.
/// @param y_stride  Bytes from row to row, at least `width`.
/// @param u_plane   Blue chroma, half the width and height, rounded up.
/// @param u_stride  Bytes from row to row.
/// @param v_plane   Red chroma.
/// @param v_stride  Bytes from row to row.
///
/// @return The frame, or NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn otc_video_frame_new_I420_wrapper(
    width: c_int,
    height: c_int,
    y_plane: *const u8,
    y_stride: c_int,
    u_plane: *const u8,
    u_stride: c_int,
    v_plane: *const u8,
    v_stride: c_int,
) -> *mut otc_video_frame {
    made("otc_video_frame_new_I420_wrapper", || {
        let planes = [(y_plane, y_stride), (u_plane, u_stride), (v_plane, v_stride)];
        // SAFETY: the caller passes planes that are large enough and stay until the frame is deleted.
        unsafe { lasting(PixelFormat::Yuv420p, width, height, &planes) }
    })
}

/// Makes an `OTC_VIDEO_FRAME_FORMAT_NV21` frame on two planes, which have to stay until it is deleted. Copies have
/// memory of their own.
///
/// @param width      Pixels.
/// @param height     Pixels.
/// @param y_plane    Luma.
/// @param y_stride   Bytes from row to row, at least `width`.
/// @param uv_plane   Red and blue chroma in turns, half the height, rounded up.
/// @param uv_stride  Bytes from row to row.
///
/// @return The frame, or NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn otc_video_frame_new_NV21_wrapper(
    width: c_int,
    height: c_int,
    y_plane: *const u8,
    y_stride: c_int,
    uv_plane: *const u8,
    uv_stride: c_int,
) -> *mut otc_video_frame {
    made("otc_video_frame_new_NV21_wrapper", || {
        // SAFETY: the caller passes planes that are large enough and stay until the frame is deleted.
        unsafe { lasting(PixelFormat::Nv21, width, height, &[(y_plane, y_stride), (uv_plane, uv_stride)]) }
    })
}

/// Makes an `OTC_VIDEO_FRAME_FORMAT_NV12` frame on two planes, which have to stay until it is deleted. Copies have
/// memory of their own.
///
/// @param width      Pixels.
/// @param height     Pixels.
/// @param y_plane    Luma.
/// @param y_stride   Bytes from row to row, at least `width`.
/// @param uv_plane   Blue and red chroma in turns, half the height, rounded up.
/// @param uv_stride  Bytes from row to row.
///
/// @return The frame, or NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn otc_video_frame_new_NV12_wrapper(
    width: c_int,
    height: c_int,
    y_plane: *const u8,
    y_stride: c_int,
    uv_plane: *const u8,
    uv_stride: c_int,
) -> *mut otc_video_frame {
    made("otc_video_frame_new_NV12_wrapper", || {
        // SAFETY: the caller passes planes that are large enough and stay until the frame is deleted.
        unsafe { lasting(PixelFormat::Nv12, width, height, &[(y_plane, y_stride), (uv_plane, uv_stride)]) }
    })
}

/// Makes a frame to keep, with the same picture, time and metadata. It shares the memory of the other one, without
/// copying pixels, unless that is a wrapper whose memory may not be shared.
///
/// @param frame  A frame, lent or the program's; unchanged.
///
/// @return The copy, or NULL. Its pixels are to be read only; see `otc_video_frame_mutable_copy`.
#[unsafe(no_mangle)]
pub extern "C" fn otc_video_frame_copy(frame: *const otc_video_frame) -> *mut otc_video_frame {
    made("otc_video_frame_copy", || FRAMES.get(frame, "frame")?.frame().copy().map_err(refusal))
}

/// Makes a copy with memory of its own, which the program may write to.
///
/// @param frame  A frame, lent or the program's; unchanged.
///
/// @return The copy, contiguous, or NULL.
#[unsafe(no_mangle)]
pub extern "C" fn otc_video_frame_mutable_copy(frame: *const otc_video_frame) -> *mut otc_video_frame {
    made("otc_video_frame_mutable_copy", || FRAMES.get(frame, "frame")?.frame().deep_copy().map_err(refusal))
}

/// Makes a frame with the same picture in another format.
///
/// @param format  `OTC_VIDEO_FRAME_FORMAT_YUV420P`, `_ARGB32`, `_BGRA32`, `_ABGR32` or `_RGBA32`. Or the format that the
///                frame has, whichever that is: the result is as that of `otc_video_frame_copy` then.
/// @param frame   A frame, lent or the program's; unchanged. Any format but compressed.
///
/// @return The frame, contiguous, with the same time and metadata; or NULL.
#[unsafe(no_mangle)]
pub extern "C" fn otc_video_frame_convert(
    format: video_frame_format_number,
    frame: *const otc_video_frame,
) -> *mut otc_video_frame {
    made("otc_video_frame_convert", || {
        let frame = FRAMES.get(frame, "frame")?.frame();
        frame.convert(pixel_format(format)?).map_err(refusal)
    })
}

/// Writes the picture of a frame in another format into memory of the program.
///
/// @param format       `OTC_VIDEO_FRAME_FORMAT_YUV420P`, `_ARGB32`, `_BGRA32` or `_ABGR32`.
/// @param planes       Where to write: a pointer for each plane of the format.
/// @param strides      Bytes from row to row, for each plane. What lies between the rows is left as it is.
/// @param input_frame  A frame, lent or the program's. Any format but compressed.
///
/// @return `OTC_SUCCESS`. `OTC_INVALID_VIDEO_FORMAT`: another format is asked for, the frame is compressed, or its JPEG is
///         broken. `OTC_INVALID_PARAM`: a pointer is NULL, a stride is negative or shorter than a row, or `input_frame`
///         is no live frame. `OTC_FATAL`: no memory. Nothing is written unless it is `OTC_SUCCESS`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn otc_video_frame_convert_inplace(
    format: video_frame_format_number,
    planes: *mut *mut u8,
    strides: *const c_int,
    input_frame: *const otc_video_frame,
) -> otc_status {
    guard::status("otc_video_frame_convert_inplace", || {
        let frame = FRAMES.get(input_frame, "input_frame")?.frame();
        let format = pixel_format(format)?;
        // The original does not take RGBA32 here.
        if format == PixelFormat::Rgba32 || !is_target(format) {
            return Err(Error::InvalidVideoFormat.into());
        }
        // SAFETY: the caller passes two arrays with an element for each plane.
        let planes = unsafe { pairs(format, planes.cast_const(), strides) }?;
        let mut targets = Vec::new();
        for (index, (plane, stride)) in planes.into_iter().enumerate() {
            if plane.is_null() {
                return Err(Refusal::null("plane"));
            }
            let stride = self::stride(stride)?;
            let extent = extent(format, index, frame.width(), frame.height(), stride).map_err(refusal)?;
            targets.push(Target { plane, stride, extent });
        }
        // SAFETY: the caller passes planes as large as the size and the strides ask for.
        unsafe { write(frame, format, &targets) }
    })
}

/// A plane to write to.
struct Target {
    plane: *mut u8,
    stride: usize,
    extent: usize,
}

/// # Safety
/// The targets are what `extent` says, writable, and nobody else's during the call.
unsafe fn write(mut frame: Frame, format: PixelFormat, targets: &[Target]) -> Result<(), Refusal> {
    if format == PixelFormat::Yuv420p {
        // Row by row, and not as slices: the rows of two planes may lie in turns.
        let picture = frame.to_picture().map_err(refusal)?;
        for ((index, target), plane) in targets.iter().enumerate().zip(picture.planes()) {
            let row_bytes = format.row_bytes(index, picture.width());
            for (row, bytes) in plane.chunks_exact(row_bytes).enumerate() {
                // SAFETY: the row lies in the plane; `copy` also allows memory that is the frame's own.
                unsafe { std::ptr::copy(bytes.as_ptr(), target.plane.add(row * target.stride), row_bytes) };
            }
        }
        return Ok(());
    }
    let Some(target) = targets.first() else { return Err(Refusal::null("planes")) };
    let written = target.plane as usize..target.plane as usize + target.extent;
    let is_own = (0..frame.format().plane_count()).filter_map(|index| frame.plane(index)).any(|plane| {
        let read = plane.bytes.as_ptr() as usize;
        read < written.end && written.start < read + plane.bytes.len()
    });
    if is_own {
        frame = frame.deep_copy().map_err(refusal)?;
    }
    // SAFETY: the caller's promise, and the frame's own memory does not overlap it.
    let bytes = unsafe { std::slice::from_raw_parts_mut(target.plane, target.extent) };
    frame.convert_into(format, &mut [PlaneMut { bytes, stride: target.stride }]).map_err(refusal)
}
