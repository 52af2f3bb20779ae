//! dav1d: decodes AV1.
//!
//! Its structs of the releases 1.0 (soname 6) and 1.3 and later (soname 7) agree as far as they are named here; what
//! follows is room.

use std::ffi::{c_int, c_uint, c_void};
use std::ptr::null_mut;

use super::library_sys::{SharedLibrary, Sought};
use super::plane_sys::plane;
use super::planes::{Planes, Sampling};
use super::{CodecError, PIXELS_MAX};
use crate::media::Picture;

const SONAMES: [&str; 2] = ["libdav1d.so.7", "libdav1d.so.6"];

/// Threads of a decoder. The size of the pictures is not known when they are started; two manage 1080p, and AV1 is
/// seldom sent larger.
const THREADS: c_int = 2;

/// Every picture comes out before the next one goes in.
const FRAME_DELAY: c_int = 1;

const TRY_AGAIN: c_int = -libc::EAGAIN;

const LAYOUT_GREY: c_int = 0;
const LAYOUT_420: c_int = 1;
const LAYOUT_422: c_int = 2;
const LAYOUT_444: c_int = 3;

/// `Dav1dSettings`.
#[repr(C)]
struct Settings {
    threads: c_int,
    frame_delay_max: c_int,
    applies_grain: c_int,
    operating_point: c_int,
    all_layers: c_int,
    pixels_max: c_uint,
    allocator: [*mut c_void; 3],
    logger_cookie: *mut c_void,
    logger: *mut c_void,
    rest: [u64; 32],
}

/// `Dav1dData`.
#[repr(C)]
struct Data {
    bytes: *const u8,
    size: usize,
    rest: [u64; 30],
}

/// `Dav1dPicture`.
#[repr(C)]
struct RawPicture {
    sequence_header: *mut c_void,
    frame_header: *mut c_void,
    planes: [*mut u8; 3],
    strides: [isize; 2],
    width: c_int,
    height: c_int,
    layout: c_int,
    bits: c_int,
    rest: [u64; 64],
}

type Context = c_void;

/// The library, found.
pub struct Dav1d {
    default_settings: unsafe extern "C" fn(*mut Settings),
    open: unsafe extern "C" fn(*mut *mut Context, *const Settings) -> c_int,
    data_create: unsafe extern "C" fn(*mut Data, usize) -> *mut u8,
    data_unref: unsafe extern "C" fn(*mut Data),
    send_data: unsafe extern "C" fn(*mut Context, *mut Data) -> c_int,
    get_picture: unsafe extern "C" fn(*mut Context, *mut RawPicture) -> c_int,
    picture_unref: unsafe extern "C" fn(*mut RawPicture),
    flush: unsafe extern "C" fn(*mut Context),
    close: unsafe extern "C" fn(*mut *mut Context),
    _library: SharedLibrary,
}

impl Dav1d {
    /// Looked for once.
    pub fn get() -> Option<&'static Self> {
        static DAV1D: Sought<Dav1d> = Sought::new();
        DAV1D.get(|remarks| {
            Self::new(SharedLibrary::find("libdav1d", &SONAMES, "AV1 cannot be received", remarks)?)
        })
    }

    fn new(library: SharedLibrary) -> Option<Self> {
        // SAFETY: the types are those of dav1d.h, data.h and picture.h.
        unsafe {
            Some(Self {
                default_settings: library.function(c"dav1d_default_settings")?,
                open: library.function(c"dav1d_open")?,
                data_create: library.function(c"dav1d_data_create")?,
                data_unref: library.function(c"dav1d_data_unref")?,
                send_data: library.function(c"dav1d_send_data")?,
                get_picture: library.function(c"dav1d_get_picture")?,
                picture_unref: library.function(c"dav1d_picture_unref")?,
                flush: library.function(c"dav1d_flush")?,
                close: library.function(c"dav1d_close")?,
                _library: library,
            })
        }
    }
}

pub struct Decoder {
    library: &'static Dav1d,
    context: *mut Context,
}

// SAFETY: the context keeps nothing per thread of its callers; `&mut self` sees to it that one uses it at a time.
unsafe impl Send for Decoder {}

impl Decoder {
    pub fn new(library: &'static Dav1d) -> Result<Self, CodecError> {
        // SAFETY: plain numbers and pointers, for which zero is a value.
        let mut settings: Settings = unsafe { std::mem::zeroed() };
        // SAFETY: it has room for the settings of every release.
        unsafe { (library.default_settings)(&mut settings) };
        settings.threads = THREADS;
        settings.frame_delay_max = FRAME_DELAY;
        settings.all_layers = 0;
        settings.pixels_max = PIXELS_MAX;
        settings.logger = null_mut(); // it would write to the host's standard error
        let mut context = null_mut();
        // SAFETY: it copies the settings and writes the pointer.
        let code = unsafe { (library.open)(&mut context, &settings) };
        if code != 0 || context.is_null() {
            return Err(CodecError::Failed(format!("dav1d, a decoder: {code}")));
        }
        Ok(Self { library, context })
    }

    /// One temporal unit: OBUs with their sizes. The last picture that comes of it.
    pub fn decode(&mut self, bytes: &[u8]) -> Result<Option<Picture>, CodecError> {
        let outcome = self.decode_unit(bytes);
        if outcome.is_err() {
            // SAFETY: the context lives. It goes on with the next key frame.
            unsafe { (self.library.flush)(self.context) };
        }
        outcome
    }

    fn decode_unit(&mut self, bytes: &[u8]) -> Result<Option<Picture>, CodecError> {
        if bytes.is_empty() {
            return Err(CodecError::Malformed);
        }
        let mut data = DataGuard {
            library: self.library,
            data: Data { bytes: std::ptr::null(), size: 0, rest: [0; 30] },
        };
        // SAFETY: it makes a buffer of that size and describes it in the struct, which has room for that of every
        // release; the buffer is written to before anybody else knows of it.
        unsafe {
            let buffer = (self.library.data_create)(&mut data.data, bytes.len());
            if buffer.is_null() {
                return Err(CodecError::Failed("dav1d has no memory".into()));
            }
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), buffer, bytes.len());
        }
        let mut last = None;
        while data.data.size > 0 {
            let before = data.data.size;
            // SAFETY: both live; it takes from the data what it wants and says so in there.
            let code = unsafe { (self.library.send_data)(self.context, &mut data.data) };
            if code != 0 && code != TRY_AGAIN {
                return Err(CodecError::Malformed);
            }
            let has_come = self.drain(&mut last)?;
            if code == TRY_AGAIN && !has_come && data.data.size == before {
                return Err(CodecError::Malformed); // it wants nothing and gives nothing
            }
        }
        self.drain(&mut last)?;
        Ok(last)
    }

    fn drain(&mut self, last: &mut Option<Picture>) -> Result<bool, CodecError> {
        let mut has_come = false;
        loop {
            // SAFETY: plain numbers and pointers, for which zero is a value.
            let mut raw: RawPicture = unsafe { std::mem::zeroed() };
            // SAFETY: both live, and the struct has room for that of every release.
            let code = unsafe { (self.library.get_picture)(self.context, &mut raw) };
            if code == TRY_AGAIN {
                return Ok(has_come);
            }
            if code != 0 {
                return Err(CodecError::Malformed);
            }
            has_come = true;
            let picture = raw.to_picture();
            // SAFETY: it is ours since `get_picture`, and nothing of it is used any more.
            unsafe { (self.library.picture_unref)(&mut raw) };
            *last = Some(picture?);
        }
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        // SAFETY: the context lives. Waits for its threads.
        unsafe { (self.library.close)(&mut self.context) };
    }
}

/// What dav1d has not taken of the data is given back.
struct DataGuard {
    library: &'static Dav1d,
    data: Data,
}

impl Drop for DataGuard {
    fn drop(&mut self) {
        // SAFETY: the struct is as dav1d left it, or empty, which is allowed.
        unsafe { (self.library.data_unref)(&mut self.data) };
    }
}

impl RawPicture {
    fn to_picture(&self) -> Result<Picture, CodecError> {
        let sampling = match self.layout {
            LAYOUT_GREY | LAYOUT_420 => Sampling::QUARTER,
            LAYOUT_422 => Sampling { across: 1, down: 0 },
            LAYOUT_444 => Sampling { across: 0, down: 0 },
            layout => return Err(CodecError::Unsuitable(format!("pixel layout {layout}"))),
        };
        let (width, height) = (self.width.max(0) as u32, self.height.max(0) as u32);
        let of_plane = |index: usize| {
            let (across, down) = if index == 0 { (0, 0) } else { (sampling.across, sampling.down) };
            let samples = width.div_ceil(1 << across) as usize;
            let bytes = if self.bits > 8 { 2 * samples } else { samples };
            let stride = self.strides[usize::from(index > 0)];
            // SAFETY: dav1d says so of its planes, which live until the picture is given back.
            unsafe { plane(self.planes[index], stride, height.div_ceil(1 << down) as usize, bytes) }
        };
        let chroma = match self.layout {
            LAYOUT_GREY => None,
            _ => Some(([of_plane(1)?, of_plane(2)?], sampling)),
        };
        Planes { width, height, luma: of_plane(0)?, chroma, bits: self.bits.max(0) as u32 }.to_picture()
    }
}

#[cfg(all(test, target_pointer_width = "64"))]
mod tests {
    use std::mem::{offset_of, size_of};

    use super::*;

    #[test]
    fn structs_are_those_of_the_library() {
        assert_eq!(offset_of!(Settings, allocator), 24);
        assert_eq!(offset_of!(Settings, logger_cookie), 48);
        assert!(size_of::<Settings>() > 96);
        assert_eq!(offset_of!(RawPicture, planes), 16);
        assert_eq!(offset_of!(RawPicture, strides), 40);
        assert_eq!(offset_of!(RawPicture, width), 56);
        assert!(size_of::<RawPicture>() > 272);
        assert!(size_of::<Data>() > 72);
    }
}
