//! The few functions of ALSA that are needed, found at run time: a machine without ALSA runs the library too.
//!
//! `alsa/asoundlib.h`, soname `libasound.so.2`. Its names and numbers are part of its binary interface since version 1.0.

use std::ffi::{CStr, CString, c_char, c_int, c_long, c_uint, c_ulong, c_void};
use std::ptr;
use std::sync::OnceLock;
use std::time::Duration;

use libloading::Library;

const LIBRARY: &str = "libasound.so.2";

const STREAM_PLAYBACK: c_int = 0;
const STREAM_CAPTURE: c_int = 1;
const OPEN_NONBLOCKING: c_int = 1;
const FORMAT_S16_LE: c_int = 2;
const ACCESS_RW_INTERLEAVED: c_int = 3;
const RESAMPLE: c_int = 1;
const SILENTLY: c_int = 1;

/// `snd_local_error_handler_t`; its last parameter is a `va_list`, which is not looked at.
type ErrorHandler =
    unsafe extern "C" fn(*const c_char, c_int, *const c_char, c_int, *const c_char, *mut c_void);

struct Functions {
    open: unsafe extern "C" fn(*mut *mut c_void, *const c_char, c_int, c_int) -> c_int,
    set_params: unsafe extern "C" fn(*mut c_void, c_int, c_int, c_uint, c_uint, c_int, c_uint) -> c_int,
    start: unsafe extern "C" fn(*mut c_void) -> c_int,
    wait: unsafe extern "C" fn(*mut c_void, c_int) -> c_int,
    readi: unsafe extern "C" fn(*mut c_void, *mut c_void, c_ulong) -> c_long,
    writei: unsafe extern "C" fn(*mut c_void, *const c_void, c_ulong) -> c_long,
    recover: unsafe extern "C" fn(*mut c_void, c_int, c_int) -> c_int,
    drop: unsafe extern "C" fn(*mut c_void) -> c_int,
    close: unsafe extern "C" fn(*mut c_void) -> c_int,
    strerror: unsafe extern "C" fn(c_int) -> *const c_char,
    hint: unsafe extern "C" fn(c_int, *const c_char, *mut *mut *mut c_void) -> c_int,
    get_hint: unsafe extern "C" fn(*const c_void, *const c_char) -> *mut c_char,
    free_hint: unsafe extern "C" fn(*mut *mut c_void) -> c_int,
    set_error_handler: unsafe extern "C" fn(Option<ErrorHandler>) -> Option<ErrorHandler>,
    /// Never unloaded: its plug-ins leave things behind that would be called then.
    _library: Library,
}

/// `None` on a machine without ALSA.
fn functions() -> Option<&'static Functions> {
    static FUNCTIONS: OnceLock<Option<Functions>> = OnceLock::new();
    // SAFETY: ALSA does nothing when it is loaded that could harm the host.
    FUNCTIONS.get_or_init(|| unsafe { load() }.ok()).as_ref()
}

/// # Safety
/// Loading the library runs its initialisers.
unsafe fn load() -> Result<Functions, libloading::Error> {
    // SAFETY: the caller's promise; the types are those of ALSA's header.
    unsafe {
        let library = Library::new(LIBRARY)?;
        Ok(Functions {
            open: *library.get(b"snd_pcm_open\0")?,
            set_params: *library.get(b"snd_pcm_set_params\0")?,
            start: *library.get(b"snd_pcm_start\0")?,
            wait: *library.get(b"snd_pcm_wait\0")?,
            readi: *library.get(b"snd_pcm_readi\0")?,
            writei: *library.get(b"snd_pcm_writei\0")?,
            recover: *library.get(b"snd_pcm_recover\0")?,
            drop: *library.get(b"snd_pcm_drop\0")?,
            close: *library.get(b"snd_pcm_close\0")?,
            strerror: *library.get(b"snd_strerror\0")?,
            hint: *library.get(b"snd_device_name_hint\0")?,
            get_hint: *library.get(b"snd_device_name_get_hint\0")?,
            free_hint: *library.get(b"snd_device_name_free_hint\0")?,
            set_error_handler: *library.get(b"snd_lib_error_set_local\0")?,
            _library: library,
        })
    }
}

/// ALSA writes what it thinks to the standard error, which is the program's.
unsafe extern "C" fn say_nothing(
    _: *const c_char,
    _: c_int,
    _: *const c_char,
    _: c_int,
    _: *const c_char,
    _: *mut c_void,
) {
}

/// While this lives, ALSA is silent on this thread.
struct Silence(&'static Functions, Option<ErrorHandler>);

impl Silence {
    fn new(functions: &'static Functions) -> Self {
        // SAFETY: the handler is a function of this library, which is never unmapped, and looks at nothing.
        let before = unsafe { (functions.set_error_handler)(Some(say_nothing)) };
        Self(functions, before)
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        // SAFETY: it was ALSA's before.
        unsafe { (self.0.set_error_handler)(self.1) };
    }
}

/// Which way samples go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Play,
    Record,
}

/// An open device. It belongs to one thread.
pub struct Pcm {
    functions: &'static Functions,
    handle: *mut c_void,
    channels: usize,
    _silence: Silence,
}

impl Pcm {
    /// `None` where there is no ALSA; an error of ALSA's where there is no such device.
    pub fn open(
        name: &str,
        way: Way,
        channels: u8,
        rate_hz: u32,
        latency: Duration,
    ) -> Option<Result<Self, String>> {
        let functions = functions()?;
        let name = CString::new(name).ok()?;
        let silence = Silence::new(functions);
        let mut handle = ptr::null_mut();
        let stream = if way == Way::Play { STREAM_PLAYBACK } else { STREAM_CAPTURE };
        // SAFETY: a C string and a place for the result.
        let opened = unsafe { (functions.open)(&mut handle, name.as_ptr(), stream, OPEN_NONBLOCKING) };
        if matches!(-opened, libc::ENOENT | libc::ENODEV | libc::ENXIO) {
            return None;
        }
        if opened < 0 {
            return Some(Err(told(functions, opened)));
        }
        let pcm = Self { functions, handle, channels: channels.into(), _silence: silence };
        let latency_us = latency.as_micros() as c_uint;
        // SAFETY: the handle is open.
        let prepared = unsafe {
            (functions.set_params)(
                handle,
                FORMAT_S16_LE,
                ACCESS_RW_INTERLEAVED,
                channels.into(),
                rate_hz,
                RESAMPLE,
                latency_us,
            )
        };
        if prepared < 0 {
            return Some(Err(told(functions, prepared)));
        }
        if way == Way::Record {
            // SAFETY: the handle is open.
            unsafe { (functions.start)(handle) }; // where it fails the first read does too
        }
        Some(Ok(pcm))
    }

    /// Waits until there is something to do, at most so long.
    pub fn wait(&self, limit: Duration) {
        // SAFETY: the handle is open.
        unsafe { (self.functions.wait)(self.handle, limit.as_millis() as c_int) }; // what is wrong the next call tells
    }

    /// How many samples were played; 0 when there is no room now.
    pub fn write(&self, samples: &[i16]) -> Result<usize, String> {
        let frames = (samples.len() / self.channels) as c_ulong;
        // SAFETY: the handle is open and the buffer has so many frames.
        let written = unsafe { (self.functions.writei)(self.handle, samples.as_ptr().cast(), frames) };
        self.outcome(written)
    }

    /// How many samples were recorded; 0 when there are none now.
    pub fn read(&self, samples: &mut [i16]) -> Result<usize, String> {
        let frames = (samples.len() / self.channels) as c_ulong;
        // SAFETY: the handle is open and the buffer has so many frames.
        let read = unsafe { (self.functions.readi)(self.handle, samples.as_mut_ptr().cast(), frames) };
        self.outcome(read)
    }

    fn outcome(&self, frames: c_long) -> Result<usize, String> {
        if frames >= 0 {
            return Ok(frames as usize * self.channels);
        }
        let error = frames as c_int;
        if error == -libc::EAGAIN {
            return Ok(0);
        }
        // A device that was not served in time is made ready again. SAFETY: the handle is open.
        match unsafe { (self.functions.recover)(self.handle, error, SILENTLY) } {
            0.. => Ok(0),
            error => Err(told(self.functions, error)),
        }
    }
}

impl Drop for Pcm {
    fn drop(&mut self) {
        // SAFETY: the handle is open and used nowhere else; dropped first, so that closing does not wait for the rest.
        unsafe {
            (self.functions.drop)(self.handle);
            (self.functions.close)(self.handle);
        }
    }
}

fn told(functions: &Functions, error: c_int) -> String {
    // SAFETY: ALSA answers every number with a text of its own that stays.
    unsafe { CStr::from_ptr((functions.strerror)(error)) }.to_string_lossy().into_owned()
}

/// Names and descriptions of the devices of one way.
pub fn names(way: Way) -> Vec<(String, String)> {
    let Some(functions) = functions() else { return vec![] };
    let _silence = Silence::new(functions);
    let mut hints = ptr::null_mut();
    // SAFETY: a C string and a place for the result, for all cards (-1).
    if unsafe { (functions.hint)(-1, c"pcm".as_ptr(), &mut hints) } < 0 || hints.is_null() {
        return vec![];
    }
    let other_way = if way == Way::Play { "Input" } else { "Output" };
    let mut names = Vec::new();
    let mut place = hints;
    // SAFETY: the list ends with NULL, and is freed after the last look at it.
    unsafe {
        while !(*place).is_null() {
            let text = |what: &CStr| text(functions, *place, what);
            if let Some(name) = text(c"NAME")
                && text(c"IOID").is_none_or(|direction| direction != other_way)
            {
                let description = text(c"DESC").unwrap_or_else(|| name.clone()).replace('\n', ", ");
                names.push((name, description));
            }
            place = place.add(1);
        }
        (functions.free_hint)(hints);
    }
    names
}

/// # Safety
/// `hint` is an entry of ALSA's list.
unsafe fn text(functions: &Functions, hint: *const c_void, what: &CStr) -> Option<String> {
    // SAFETY: the caller's promise; the answer is a C string of malloc's, or NULL.
    unsafe {
        let answer = (functions.get_hint)(hint, what.as_ptr());
        if answer.is_null() {
            return None;
        }
        let text = CStr::from_ptr(answer).to_string_lossy().into_owned();
        libc::free(answer.cast());
        Some(text)
    }
}
