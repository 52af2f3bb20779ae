//! OpenH264: H.264 in both directions. Its interface is a table of C++ functions behind a pointer.
//!
//! The structs are those of the releases 2.2 to 2.6. They agree in what is named here, but for one: since 2.6 the
//! description of an encoded layer has figures of quality at its end.

use std::ffi::{c_int, c_long, c_uint, c_void};
use std::ptr::null_mut;
use std::time::Duration;

use log::Level;

use super::library_sys::{Remarks, SharedLibrary, Sought};
use super::plane_sys::plane;
use super::planes::{Planes, Sampling};
use super::{CodecError, VideoCodec};
use crate::media::Picture;

/// Newest first: 2.6, 2.3 to 2.5, 2.2.
const SONAMES: [&str; 3] = ["libopenh264.so.8", "libopenh264.so.7", "libopenh264.so.6"];

const FORMAT_I420: c_int = 23;
const FRAME_IDR: c_int = 1;
const FRAME_SKIPPED: c_int = 4;
const LAYER_OF_PICTURES: u8 = 1;
const LAYERS_MAX: usize = 128;

const ENCODER_FRAME_RATE: c_int = 4;
const ENCODER_BITRATE: c_int = 5;
const ENCODER_TRACE_LEVEL: c_int = 25;
const DECODER_TRACE_LEVEL: c_int = 9;
const TRACE_QUIET: c_int = 0;
const ALL_LAYERS: c_int = 4;

pub const USAGE_CAMERA: c_int = 0;
pub const USAGE_SCREEN: c_int = 1;
pub const RATE_BITRATE: c_int = 1;
pub const PROFILE_BASELINE: c_int = 66;
pub const COMPLEXITY_LOW: c_int = 0;
pub const SLICES_ONE: c_int = 0;
pub const SLICES_FIXED: c_int = 1;
pub const SAME_PARAMETER_SETS: c_int = 0;

/// `SSliceArgument`.
#[repr(C)]
pub struct Slices {
    pub mode: c_int,
    pub count: c_uint,
    blocks: [c_uint; 35],
    size_max: c_uint,
}

/// `SSpatialLayerConfig`.
#[repr(C)]
pub struct SpatialLayer {
    pub width: c_int,
    pub height: c_int,
    pub frames_per_second: f32,
    pub bitrate_bps: c_int,
    pub bitrate_max_bps: c_int,
    pub profile: c_int,
    level: c_int,
    quantizer: c_int,
    pub slices: Slices,
    signal: [u8; 8],
    aspect: c_int,
    aspect_extended: [u16; 2],
}

/// `SEncParamExt`, with our words for its members.
#[repr(C)]
pub struct Parameters {
    pub usage: c_int,
    pub width: c_int,
    pub height: c_int,
    pub bitrate_bps: c_int,
    pub rate_control: c_int,
    pub frames_per_second: f32,
    pub temporal_layers: c_int,
    pub spatial_layers: c_int,
    pub layers: [SpatialLayer; 4],
    pub complexity: c_int,
    /// 0: key frames on request only.
    pub intra_period: c_uint,
    references: c_int,
    pub parameter_sets: c_int,
    has_prefix: u8,
    has_enhancement: u8,
    is_simulcast: u8,
    padding: c_int,
    pub entropy_coding: c_int,
    pub may_skip: u8,
    pub bitrate_max_bps: c_int,
    quantizer_max: c_int,
    quantizer_min: c_int,
    nal_size_max: c_uint,
    has_long_term: u8,
    long_term: [c_int; 2],
    pub threads: u16,
    is_balanced: u8,
    loop_filter: [c_int; 3],
    pub denoises: u8,
    pub detects_background: u8,
    pub adapts_quantizer: u8,
    crops: u8,
    pub detects_scenes: u8,
    is_lossless_link: u8,
    rest: [u64; 16],
}

/// `SSourcePicture`, and room for what 2.6 has behind it.
#[repr(C)]
struct Source {
    format: c_int,
    strides: [c_int; 4],
    planes: [*const u8; 4],
    width: c_int,
    height: c_int,
    moment_ms: i64,
    rest: [u64; 2],
}

/// `SLayerBSInfo` as far as all releases agree.
#[repr(C)]
struct LayerInfo {
    temporal: u8,
    spatial: u8,
    quality: u8,
    frame_type: c_int,
    layer_type: u8,
    sequence: c_int,
    nal_count: c_int,
    nal_sizes: *const c_int,
    bytes: *const u8,
}

/// How far apart layers are in `SFrameBSInfo`, which begins with their count and ends with the type of the frame.
#[derive(Clone, Copy)]
enum LayerSpacing {
    Old = 40,
    With26 = 56,
}

const LAYERS_START: usize = 8;

/// `SFrameBSInfo` of any release.
#[repr(C, align(8))]
struct FrameInfo {
    bytes: [u8; FRAME_INFO_SIZE],
}

const FRAME_INFO_SIZE: usize = LAYERS_START + LAYERS_MAX * LayerSpacing::With26 as usize + 64;

#[repr(C)]
struct Bitrate {
    layer: c_int,
    bitrate_bps: c_int,
}

/// `SDecodingParam`.
#[repr(C)]
struct DecodingParameters {
    file: *mut c_void,
    load: c_uint,
    target_layer: u8,
    concealment: c_int,
    parses_only: u8,
    property_size: c_uint,
    property_kind: c_int,
}

/// `SBufferInfo`.
#[repr(C)]
struct BufferInfo {
    has_picture: c_int,
    moment_in: u64,
    moment_out: u64,
    width: c_int,
    height: c_int,
    format: c_int,
    strides: [c_int; 2],
    planes: [*mut u8; 3],
}

#[repr(C)]
#[derive(Default)]
struct Version {
    major: c_uint,
    minor: c_uint,
    revision: c_uint,
    reserved: c_uint,
}

/// `ISVCEncoder`: the object is a pointer to this.
#[repr(C)]
struct EncoderTable {
    initialize: usize,
    initialize_ext: unsafe extern "C" fn(*mut EncoderObject, *const Parameters) -> c_int,
    get_default: unsafe extern "C" fn(*mut EncoderObject, *mut Parameters) -> c_int,
    uninitialize: unsafe extern "C" fn(*mut EncoderObject) -> c_int,
    encode: unsafe extern "C" fn(*mut EncoderObject, *const Source, *mut FrameInfo) -> c_int,
    encode_parameter_sets: usize,
    force_intra: unsafe extern "C" fn(*mut EncoderObject, bool, c_int) -> c_int,
    set_option: unsafe extern "C" fn(*mut EncoderObject, c_int, *mut c_void) -> c_int,
}

#[repr(C)]
struct EncoderObject {
    table: *const EncoderTable,
}

/// `ISVCDecoder`.
#[repr(C)]
struct DecoderTable {
    initialize: unsafe extern "C" fn(*mut DecoderObject, *const DecodingParameters) -> c_long,
    uninitialize: unsafe extern "C" fn(*mut DecoderObject) -> c_long,
    decode_frame: usize,
    decode_no_delay:
        unsafe extern "C" fn(*mut DecoderObject, *const u8, c_int, *mut *mut u8, *mut BufferInfo) -> c_int,
    decode_frame_2: usize,
    flush: usize,
    decode_parser: usize,
    decode_frame_ex: usize,
    set_option: unsafe extern "C" fn(*mut DecoderObject, c_int, *mut c_void) -> c_long,
}

#[repr(C)]
struct DecoderObject {
    table: *const DecoderTable,
}

/// The library, found.
pub struct OpenH264 {
    create_encoder: unsafe extern "C" fn(*mut *mut EncoderObject) -> c_int,
    destroy_encoder: unsafe extern "C" fn(*mut EncoderObject),
    create_decoder: unsafe extern "C" fn(*mut *mut DecoderObject) -> c_long,
    destroy_decoder: unsafe extern "C" fn(*mut DecoderObject),
    spacing: LayerSpacing,
    _library: SharedLibrary,
}

impl OpenH264 {
    /// Looked for once. Some distributions install a stand-in that makes nothing; it counts as absent.
    pub fn get() -> Option<&'static Self> {
        static OPENH264: Sought<OpenH264> = Sought::new();
        let otherwise = "H.264 can neither be sent nor received";
        let found = OPENH264.get(|remarks| {
            let library = SharedLibrary::find("libopenh264", &SONAMES, otherwise, remarks)?;
            Self::new(library, remarks)
        })?;
        static MAKES_SOMETHING: Sought<()> = Sought::new();
        let makes_something = MAKES_SOMETHING.get(|remarks| {
            let makes_something = RawEncoder::new(found).is_ok();
            if !makes_something {
                remarks.add(Level::Info, format!("libopenh264 is a stand-in: {otherwise}"));
            }
            makes_something.then_some(())
        });
        makes_something.map(|()| found)
    }

    fn new(library: SharedLibrary, remarks: &mut Remarks) -> Option<Self> {
        // SAFETY: the types are those of codec_api.h, C++ references being pointers.
        unsafe {
            let version_ex: unsafe extern "C" fn(*mut Version) =
                library.function(c"WelsGetCodecVersionEx")?;
            let mut version = Version::default();
            version_ex(&mut version);
            let spacing = match (version.major, version.minor) {
                (2, 2..=5) => LayerSpacing::Old,
                (2, 6) => LayerSpacing::With26,
                (major, minor) => {
                    let line = format!("libopenh264 {major}.{minor} is not known here and not used");
                    remarks.add(Level::Info, line);
                    return None;
                }
            };
            Some(Self {
                create_encoder: library.function(c"WelsCreateSVCEncoder")?,
                destroy_encoder: library.function(c"WelsDestroySVCEncoder")?,
                create_decoder: library.function(c"WelsCreateDecoder")?,
                destroy_decoder: library.function(c"WelsDestroyDecoder")?,
                spacing,
                _library: library,
            })
        }
    }
}

fn check(doing: &str, code: c_int) -> Result<(), CodecError> {
    if code == 0 { Ok(()) } else { Err(CodecError::Failed(format!("OpenH264, {doing}: {code}"))) }
}

/// A live encoder, and what ends it.
struct RawEncoder {
    library: &'static OpenH264,
    object: *mut EncoderObject,
}

// SAFETY: the object keeps nothing per thread; `&mut self` sees to it that one thread uses it at a time.
unsafe impl Send for RawEncoder {}

impl RawEncoder {
    fn new(library: &'static OpenH264) -> Result<Self, CodecError> {
        let mut object = null_mut();
        // SAFETY: it writes the pointer.
        let code = unsafe { (library.create_encoder)(&mut object) };
        check("an encoder", code)?;
        if object.is_null() {
            return Err(CodecError::Missing(VideoCodec::H264));
        }
        let mut encoder = Self { library, object };
        let mut quiet = TRACE_QUIET; // it would write to the host's standard error
        encoder.set_option(ENCODER_TRACE_LEVEL, (&raw mut quiet).cast());
        Ok(encoder)
    }

    fn table(&self) -> &EncoderTable {
        // SAFETY: the object lives, and its first member is the table of its class.
        unsafe { &*(*self.object).table }
    }

    /// `value` points to what the option takes.
    fn set_option(&mut self, option: c_int, value: *mut c_void) {
        // SAFETY: the callers are in this file and pass what codec_app_def.h says.
        unsafe { (self.table().set_option)(self.object, option, value) };
    }
}

impl Drop for RawEncoder {
    fn drop(&mut self) {
        // SAFETY: it lives; to uninitialise what was not initialised does nothing.
        unsafe {
            (self.table().uninitialize)(self.object);
            (self.library.destroy_encoder)(self.object);
        }
    }
}

pub struct Encoder {
    raw: RawEncoder,
    info: Box<FrameInfo>,
}

pub struct Encoded {
    pub bytes: Vec<u8>,
    pub is_key: bool,
    pub temporal_layer: u8,
}

impl Encoder {
    /// `configure` changes the library's defaults.
    pub fn new(
        library: &'static OpenH264,
        configure: impl FnOnce(&mut Parameters),
    ) -> Result<Self, CodecError> {
        let raw = RawEncoder::new(library)?;
        // SAFETY: plain numbers, for which zero is a value.
        let mut parameters: Box<Parameters> = unsafe { Box::new(std::mem::zeroed()) };
        // SAFETY: the object lives, and the struct has room for that of every release.
        let code = unsafe { (raw.table().get_default)(raw.object, &mut *parameters) };
        check("default settings", code)?;
        configure(&mut parameters);
        // SAFETY: as before; it copies what it needs.
        let code = unsafe { (raw.table().initialize_ext)(raw.object, &*parameters) };
        check("settings", code)?;
        Ok(Self { raw, info: Box::new(FrameInfo { bytes: [0; FRAME_INFO_SIZE] }) })
    }

    pub fn set_rate(&mut self, bitrate_bps: u32, frames_per_second: f32) {
        let mut frames_per_second = frames_per_second;
        self.raw.set_option(ENCODER_FRAME_RATE, (&raw mut frames_per_second).cast());
        let bitrate_bps = c_int::try_from(bitrate_bps).unwrap_or(c_int::MAX);
        let mut bitrate = Bitrate { layer: ALL_LAYERS, bitrate_bps };
        self.raw.set_option(ENCODER_BITRATE, (&raw mut bitrate).cast());
    }

    /// The size is the one of the settings, which may be smaller than the picture's: the rest is cut off.
    pub fn encode(
        &mut self,
        picture: &Picture,
        (width, height): (u32, u32),
        at: Duration,
        wants_key: bool,
    ) -> Result<Option<Encoded>, CodecError> {
        if width > picture.width() || height > picture.height() {
            return Err(CodecError::Unsuitable(format!("{picture:?} for another size")));
        }
        let [y, u, v] = picture.planes().map(<[u8]>::as_ptr);
        let (luma, chroma) = (picture.width() as c_int, picture.chroma_width() as c_int);
        let source = Source {
            format: FORMAT_I420,
            strides: [luma, chroma, chroma, 0],
            planes: [y, u, v, std::ptr::null()],
            width: width as c_int,
            height: height as c_int,
            moment_ms: i64::try_from(at.as_millis()).unwrap_or(i64::MAX),
            rest: [0; 2],
        };
        let table = self.raw.table();
        // SAFETY: the object lives. The planes live until the call returns and are only read. The description of the
        // frame has room for that of every release.
        let code = unsafe {
            if wants_key {
                (table.force_intra)(self.raw.object, true, -1);
            }
            (table.encode)(self.raw.object, &source, &mut *self.info)
        };
        check("encoding", code)?;
        Ok(self.collect())
    }

    /// What the description of the frame leads to.
    fn collect(&self) -> Option<Encoded> {
        let spacing = self.raw.library.spacing as usize;
        let count = self.number(0).clamp(0, LAYERS_MAX as c_int) as usize;
        let frame_type = self.number(LAYERS_START + LAYERS_MAX * spacing);
        let mut encoded = Encoded { bytes: Vec::new(), is_key: frame_type == FRAME_IDR, temporal_layer: 0 };
        if frame_type == FRAME_SKIPPED {
            return None;
        }
        for index in 0..count {
            // SAFETY: the encoder has written so many descriptions, this far apart, and the box is aligned for them.
            let layer =
                unsafe { &*self.info.bytes.as_ptr().add(LAYERS_START + index * spacing).cast::<LayerInfo>() };
            if layer.bytes.is_null() || layer.nal_sizes.is_null() {
                continue;
            }
            let nal_count = usize::try_from(layer.nal_count).unwrap_or(0);
            // SAFETY: the encoder's own buffers, alive until it encodes again. The NAL units lie one behind the other.
            let bytes = unsafe {
                let sizes = std::slice::from_raw_parts(layer.nal_sizes, nal_count);
                let size = sizes.iter().map(|size| usize::try_from(*size).unwrap_or(0)).sum();
                std::slice::from_raw_parts(layer.bytes, size)
            };
            encoded.bytes.extend_from_slice(bytes);
            if layer.layer_type == LAYER_OF_PICTURES {
                encoded.temporal_layer = layer.temporal;
            }
        }
        (!encoded.bytes.is_empty()).then_some(encoded)
    }

    fn number(&self, offset: usize) -> c_int {
        let bytes = self.info.bytes[offset..].first_chunk().copied().unwrap_or_default();
        c_int::from_ne_bytes(bytes)
    }
}

/// One decoder of OpenH264.
pub struct Decoder {
    library: &'static OpenH264,
    object: *mut DecoderObject,
}

// SAFETY: as for the encoder.
unsafe impl Send for Decoder {}

impl Decoder {
    pub fn new(library: &'static OpenH264) -> Result<Self, CodecError> {
        let mut object = null_mut();
        // SAFETY: it writes the pointer.
        let code = unsafe { (library.create_decoder)(&mut object) };
        if code != 0 || object.is_null() {
            return Err(CodecError::Failed(format!("OpenH264, a decoder: {code}")));
        }
        let decoder = Self { library, object };
        let parameters = DecodingParameters {
            file: null_mut(),
            load: 0,
            target_layer: u8::MAX,
            concealment: 0, // what is lost is asked for again, not made up
            parses_only: 0,
            property_size: 8,
            property_kind: 0,
        };
        let mut quiet = TRACE_QUIET; // it would write to the host's standard error
        // SAFETY: the object lives, and it copies what it is given.
        let code = unsafe {
            (decoder.table().set_option)(object, DECODER_TRACE_LEVEL, (&raw mut quiet).cast());
            (decoder.table().initialize)(object, &parameters)
        };
        if code != 0 {
            return Err(CodecError::Failed(format!("OpenH264, settings of a decoder: {code}")));
        }
        Ok(decoder)
    }

    fn table(&self) -> &DecoderTable {
        // SAFETY: the object lives, and its first member is the table of its class.
        unsafe { &*(*self.object).table }
    }

    /// One access unit in the format of annex B. OpenH264 itself refuses pictures of more than 36,864 macroblocks.
    pub fn decode(&mut self, bytes: &[u8]) -> Result<Option<Picture>, CodecError> {
        let size = c_int::try_from(bytes.len()).map_err(|_| CodecError::Malformed)?;
        let mut planes = [null_mut(); 3];
        // SAFETY: plain numbers and pointers, for which zero is a value.
        let mut info: BufferInfo = unsafe { std::mem::zeroed() };
        // SAFETY: the object lives, the bytes until the call returns; it writes pointers to pictures of its own.
        let code = unsafe {
            (self.table().decode_no_delay)(self.object, bytes.as_ptr(), size, planes.as_mut_ptr(), &mut info)
        };
        if code != 0 {
            return Err(CodecError::Malformed);
        }
        if info.has_picture != 1 {
            return Ok(None);
        }
        let (width, height) = (info.width.max(0) as u32, info.height.max(0) as u32);
        let of_plane = |index: usize| {
            let (stride, shift) = if index == 0 { (info.strides[0], 0) } else { (info.strides[1], 1) };
            let (bytes, rows) = (width.div_ceil(1 << shift) as usize, height.div_ceil(1 << shift) as usize);
            // SAFETY: the decoder says so of its planes, which live until it is used again.
            unsafe { plane(planes[index], stride as isize, rows, bytes) }
        };
        let chroma = Some(([of_plane(1)?, of_plane(2)?], Sampling::QUARTER));
        Planes { width, height, luma: of_plane(0)?, chroma, bits: 8 }.to_picture().map(Some)
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        // SAFETY: it lives; to uninitialise what was not initialised does nothing.
        unsafe {
            (self.table().uninitialize)(self.object);
            (self.library.destroy_decoder)(self.object);
        }
    }
}

#[cfg(all(test, target_pointer_width = "64"))]
mod tests {
    use std::mem::{offset_of, size_of};

    use super::*;

    #[test]
    fn structs_are_those_of_the_library() {
        assert_eq!(size_of::<Slices>(), 152);
        assert_eq!(size_of::<SpatialLayer>(), 200);
        assert_eq!(offset_of!(SpatialLayer, slices), 32);
        assert_eq!(offset_of!(Parameters, layers), 32);
        assert_eq!(offset_of!(Parameters, complexity), 832);
        assert_eq!(offset_of!(Parameters, intra_period), 836);
        assert_eq!(offset_of!(Parameters, may_skip), 860);
        assert_eq!(offset_of!(Parameters, bitrate_max_bps), 864);
        assert_eq!(offset_of!(Parameters, threads), 892);
        assert!(size_of::<Parameters>() > 924);
        assert_eq!(offset_of!(Source, moment_ms), 64);
        assert_eq!(size_of::<LayerInfo>(), LayerSpacing::Old as usize);
        assert_eq!(offset_of!(LayerInfo, bytes), 32);
        assert_eq!(size_of::<DecodingParameters>(), 32);
        assert_eq!(offset_of!(DecodingParameters, concealment), 16);
        assert_eq!(offset_of!(DecodingParameters, property_size), 24);
        assert_eq!(size_of::<BufferInfo>(), 72);
        assert_eq!(offset_of!(BufferInfo, planes), 48);
    }
}
