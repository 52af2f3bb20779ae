//! libopus: both directions.

use std::ffi::{CStr, c_char, c_int};

use super::CodecError;
use super::library_sys::{SharedLibrary, Sought};
use crate::media::SAMPLE_RATE;

const SONAMES: [&str; 1] = ["libopus.so.0"];

const OK: c_int = 0;
const BUFFER_TOO_SMALL: c_int = -2;
const INVALID_PACKET: c_int = -4;

pub const APPLICATION_VOICE: c_int = 2048;
pub const APPLICATION_AUDIO: c_int = 2049;

/// `OPUS_SET_*_REQUEST`, all of which take a number.
#[derive(Debug, Clone, Copy)]
pub enum Request {
    Bitrate = 4002,
    Complexity = 4010,
    InbandFec = 4012,
    PacketLossPercent = 4014,
    Dtx = 4016,
}

#[repr(C)]
struct EncoderState {
    _private: [u8; 0],
}

#[repr(C)]
struct DecoderState {
    _private: [u8; 0],
}

/// The library, found.
pub struct Opus {
    encoder_create: unsafe extern "C" fn(i32, c_int, c_int, *mut c_int) -> *mut EncoderState,
    encoder_destroy: unsafe extern "C" fn(*mut EncoderState),
    encoder_ctl: unsafe extern "C" fn(*mut EncoderState, c_int, ...) -> c_int,
    encode: unsafe extern "C" fn(*mut EncoderState, *const i16, c_int, *mut u8, i32) -> i32,
    decoder_create: unsafe extern "C" fn(i32, c_int, *mut c_int) -> *mut DecoderState,
    decoder_destroy: unsafe extern "C" fn(*mut DecoderState),
    decode: unsafe extern "C" fn(*mut DecoderState, *const u8, i32, *mut i16, c_int, c_int) -> c_int,
    strerror: unsafe extern "C" fn(c_int) -> *const c_char,
    _library: SharedLibrary,
}

impl Opus {
    /// Looked for once.
    pub fn get() -> Option<&'static Self> {
        static OPUS: Sought<Opus> = Sought::new();
        OPUS.get(|remarks| {
            Self::new(SharedLibrary::find("libopus", &SONAMES, "Opus in Rust takes its place", remarks)?)
        })
    }

    fn new(library: SharedLibrary) -> Option<Self> {
        // SAFETY: the types are those of opus.h.
        unsafe {
            Some(Self {
                encoder_create: library.function(c"opus_encoder_create")?,
                encoder_destroy: library.function(c"opus_encoder_destroy")?,
                encoder_ctl: library.function(c"opus_encoder_ctl")?,
                encode: library.function(c"opus_encode")?,
                decoder_create: library.function(c"opus_decoder_create")?,
                decoder_destroy: library.function(c"opus_decoder_destroy")?,
                decode: library.function(c"opus_decode")?,
                strerror: library.function(c"opus_strerror")?,
                _library: library,
            })
        }
    }

    fn error(&self, doing: &str, code: c_int) -> CodecError {
        match code {
            INVALID_PACKET => CodecError::Malformed,
            BUFFER_TOO_SMALL => CodecError::Unsuitable(format!("libopus, {doing}: no room for the result")),
            _ => {
                // SAFETY: it answers a constant string for every number.
                let text = unsafe { CStr::from_ptr((self.strerror)(code)) };
                CodecError::Failed(format!("libopus, {doing}: {}", text.to_string_lossy()))
            }
        }
    }
}

pub struct Encoder {
    library: &'static Opus,
    state: *mut EncoderState,
    channels: usize,
}

// SAFETY: the state is plain memory; `&mut self` sees to it that one thread uses it at a time.
unsafe impl Send for Encoder {}

impl Encoder {
    pub fn new(library: &'static Opus, channels: u8, application: c_int) -> Result<Self, CodecError> {
        let mut code = OK;
        // SAFETY: it checks its numbers and writes the code.
        let state = unsafe {
            (library.encoder_create)(SAMPLE_RATE as i32, c_int::from(channels), application, &mut code)
        };
        if code != OK || state.is_null() {
            return Err(library.error("an encoder", code));
        }
        Ok(Self { library, state, channels: usize::from(channels) })
    }

    pub fn request(&mut self, request: Request, value: i32) -> Result<(), CodecError> {
        // SAFETY: the state lives, and the request takes a number.
        let code = unsafe { (self.library.encoder_ctl)(self.state, request as c_int, value) };
        if code == OK { Ok(()) } else { Err(self.library.error(&format!("{request:?} = {value}"), code)) }
    }

    /// The bytes that were written to the packet.
    pub fn encode(&mut self, samples: &[i16], packet: &mut [u8]) -> Result<usize, CodecError> {
        let per_channel = (samples.len() / self.channels) as c_int;
        let room = i32::try_from(packet.len()).unwrap_or(i32::MAX);
        // SAFETY: the state lives; so many samples are there for each channel, and so much room.
        let written = unsafe {
            (self.library.encode)(self.state, samples.as_ptr(), per_channel, packet.as_mut_ptr(), room)
        };
        usize::try_from(written).map_err(|_| self.library.error("encoding", written))
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        // SAFETY: it lives.
        unsafe { (self.library.encoder_destroy)(self.state) };
    }
}

/// Always to stereo.
pub struct Decoder {
    library: &'static Opus,
    state: *mut DecoderState,
}

// SAFETY: as for the encoder.
unsafe impl Send for Decoder {}

impl Decoder {
    pub fn new(library: &'static Opus) -> Result<Self, CodecError> {
        let mut code = OK;
        // SAFETY: it checks its numbers and writes the code.
        let state = unsafe { (library.decoder_create)(SAMPLE_RATE as i32, 2, &mut code) };
        if code != OK || state.is_null() {
            return Err(library.error("a decoder", code));
        }
        Ok(Self { library, state })
    }

    /// The samples per channel that were written. Without a packet it fills `samples` with what might have been there;
    /// with `of_the_one_before` too, from the rough copy in the packet if it has one.
    pub fn decode(
        &mut self,
        packet: Option<&[u8]>,
        of_the_one_before: bool,
        samples: &mut [i16],
    ) -> Result<usize, CodecError> {
        let (bytes, size) = packet.map_or((std::ptr::null(), 0), |packet| (packet.as_ptr(), packet.len()));
        let size = i32::try_from(size).map_err(|_| CodecError::Malformed)?;
        let room = c_int::try_from(samples.len() / 2).unwrap_or(c_int::MAX);
        // SAFETY: the state lives; the packet has so many bytes, and there is room for so many samples of two channels.
        let written = unsafe {
            let samples = samples.as_mut_ptr();
            (self.library.decode)(self.state, bytes, size, samples, room, c_int::from(of_the_one_before))
        };
        usize::try_from(written).map_err(|_| self.library.error("decoding", written))
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        // SAFETY: it lives.
        unsafe { (self.library.decoder_destroy)(self.state) };
    }
}
