//! Memory of a program behind a frame, and the planes that a program points at.

use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicBool, Ordering};

use super::refusal::Refusal;
use super::video_frame::refusal;
use crate::api::Error;
use crate::api::frame::{Foreign, Frame, PixelFormat, Plane, View, extent};

/// A size as the interface has it: positive.
pub fn size(width: c_int, height: c_int) -> Result<(u32, u32), Refusal> {
    let width = u32::try_from(width).map_err(|_| Refusal::parameter("width", "is negative"))?;
    let height = u32::try_from(height).map_err(|_| Refusal::parameter("height", "is negative"))?;
    Ok((width, height))
}

/// A stride as the interface has it. One that leads upwards (a picture that stands on its head) is refused.
pub fn stride(stride: c_int) -> Result<usize, Refusal> {
    usize::try_from(stride).map_err(|_| Refusal::parameter("stride", "is negative"))
}

/// Looks at planes of a program's.
///
/// # Safety
/// Each plane is NULL or the first byte of memory that the size, the format and its stride ask for, and stays as it is
/// while the result is used.
pub unsafe fn view<'a>(
    format: PixelFormat,
    (width, height): (u32, u32),
    planes: &[(*const u8, c_int)],
) -> Result<View<'a>, Refusal> {
    format.byte_count(width, height).ok_or_else(|| not_raw(format))?;
    let mut slices = [Plane { bytes: &[], stride: 0 }; 3];
    for (index, (slice, (plane, stride))) in slices.iter_mut().zip(planes).enumerate() {
        if plane.is_null() {
            return Err(Refusal::null("plane"));
        }
        let stride = self::stride(*stride)?;
        let extent = extent(format, index, width, height, stride).map_err(refusal)?;
        // SAFETY: not NULL, so by the caller's promise as long as this; it is no more than isize can say.
        *slice = Plane { bytes: unsafe { std::slice::from_raw_parts(*plane, extent) }, stride };
    }
    View::new(format, width, height, &slices).map_err(refusal)
}

fn not_raw(format: PixelFormat) -> Refusal {
    let is_coded = format.is_coded();
    let size = Refusal::parameter("width or height", "is none that a picture can have");
    if is_coded { Error::InvalidVideoFormat.into() } else { size }
}

/// As many pairs of plane and stride as the format has planes.
///
/// # Safety
/// Each array is NULL or has an element for each plane of the format.
pub unsafe fn pairs<T: Copy>(
    format: PixelFormat,
    planes: *const T,
    strides: *const c_int,
) -> Result<Vec<(T, c_int)>, Refusal> {
    if planes.is_null() {
        return Err(Refusal::null("planes"));
    }
    if strides.is_null() {
        return Err(Refusal::null("strides"));
    }
    let count = format.plane_count();
    // SAFETY: neither is NULL, so both have `count` elements by the caller's promise.
    let (planes, strides) =
        unsafe { (std::slice::from_raw_parts(planes, count), std::slice::from_raw_parts(strides, count)) };
    Ok(planes.iter().copied().zip(strides.iter().copied()).collect())
}

/// How memory is given back.
pub enum Release {
    /// The program knows itself how long it is needed.
    Nothing,
    Buffer(unsafe extern "C" fn(buffer: *const u8, arg: *mut c_void), *const u8, *mut c_void),
    Planes(unsafe extern "C" fn(user_data: *mut c_void), *mut c_void),
}

/// A program's memory.
pub struct Wrapped {
    /// Address and length.
    blocks: Vec<(*const u8, usize)>,
    may_be_shared: bool,
    release: Release,
    /// Not before there is a frame: memory that was not taken is not given back.
    is_taken: AtomicBool,
}

// SAFETY: the program promises memory that any thread may read, and a release function that any thread may call: the
// header says so.
unsafe impl Send for Wrapped {}
// SAFETY: as above; reading is all that happens through a shared reference.
unsafe impl Sync for Wrapped {}

impl Wrapped {
    /// # Safety
    /// Each block is readable until it is given back, or until the frame is deleted where there is nothing to give
    /// back and nothing to share.
    pub unsafe fn new(blocks: Vec<(*const u8, usize)>, may_be_shared: bool, release: Release) -> Self {
        Self { blocks, may_be_shared, release, is_taken: AtomicBool::new(false) }
    }

    /// Makes the frame. The memory is given back with the last frame on it, and not at all when there is none.
    pub fn into_frame(
        self,
        format: PixelFormat,
        (width, height): (u32, u32),
        strides: &[usize],
    ) -> Result<Frame, Refusal> {
        let memory = std::sync::Arc::new(self);
        let frame = Frame::on(memory.clone(), format, width, height, strides).map_err(refusal)?;
        memory.is_taken.store(true, Ordering::Release);
        Ok(frame)
    }
}

impl Foreign for Wrapped {
    fn block_count(&self) -> usize {
        self.blocks.len()
    }

    fn block(&self, index: usize) -> &[u8] {
        match self.blocks.get(index) {
            // SAFETY: the promise made to `new`.
            Some((address, length)) => unsafe { std::slice::from_raw_parts(*address, *length) },
            None => &[],
        }
    }

    fn may_be_shared(&self) -> bool {
        self.may_be_shared
    }
}

impl Drop for Wrapped {
    fn drop(&mut self) {
        if !self.is_taken.load(Ordering::Acquire) {
            return;
        }
        match self.release {
            Release::Nothing => {}
            // SAFETY: the program promises a function that takes its own buffer and argument back, once.
            Release::Buffer(release, buffer, arg) => unsafe { release(buffer, arg) },
            // SAFETY: the same.
            Release::Planes(release, user_data) => unsafe { release(user_data) },
        }
    }
}
