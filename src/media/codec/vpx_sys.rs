//! libvpx: VP8 and VP9, both directions. Its structs by hand, its functions found at run time.
//!
//! The structs are those of the releases 1.9 to 1.16, which agree in all members that are named here; what may follow
//! is room. libvpx checks a number that stands for its headers before it looks at a struct, so one that is not among
//! [`ENCODER_ABIS`] is refused by it, cleanly.

use std::ffi::{CStr, c_char, c_int, c_long, c_uint, c_ulong, c_void};
use std::ptr::{null, null_mut};

use log::Level;

use super::library_sys::{SharedLibrary, Sought};
use super::plane_sys::plane;
use super::planes::{Planes, Sampling};
use super::{CodecError, VideoCodec};
use crate::media::Picture;

/// Newest first: 1.16, 1.15, 1.14, 1.13.1, 1.12 (and 1.13.0), 1.11 and older.
const SONAMES: [&str; 6] =
    ["libvpx.so.12", "libvpx.so.11", "libvpx.so.9", "libvpx.so.8", "libvpx.so.7", "libvpx.so.6"];

/// `VPX_ENCODER_ABI_VERSION` of 1.16, 1.15.2, 1.15, 1.14, 1.13, 1.12 with 1.11, 1.10, 1.9.
const ENCODER_ABIS: [c_int; 8] = [39, 37, 36, 34, 30, 25, 24, 23];

/// `VPX_DECODER_ABI_VERSION`, in all of them.
const DECODER_ABI: c_int = 12;

const OK: c_int = 0;
const ABI_MISMATCH: c_int = 3;

/// `VPX_DL_REALTIME`.
const REALTIME: c_ulong = 1;

const FORMAT_I420: c_int = 0x102;
const FORMAT_PLANAR: c_int = 0x100;
const FORMAT_FLIPPED: c_int = 0x200;
const FORMAT_HIGH_DEPTH: c_int = 0x800;
/// Red, green and blue instead of luma and chroma.
const SPACE_RGB: c_int = 7;

const PACKET_FRAME: c_int = 0;
const FRAME_IS_KEY: u32 = 1;

pub const CBR: c_int = 1;
pub const KEY_FRAMES_ON_REQUEST: c_int = 0;
pub const TEMPORAL_LAYERS_MAX: usize = 5;

/// `VPX_EFLAG_FORCE_KF`.
pub const FORCE_KEY: c_long = 1;

/// Settings of an encoder that its configuration does not have (`vp8e_enc_control_id`).
#[derive(Debug, Clone, Copy)]
pub enum Control {
    Speed = 13,
    Vp8NoiseSensitivity = 15,
    StaticThreshold = 17,
    MaxIntraBitratePercent = 26,
    TemporalLayerId = 30,
    Vp8ScreenContent = 31,
    Vp9TileColumns = 33,
    Vp9FrameParallel = 35,
    Vp9AqMode = 36,
    Vp9NoiseSensitivity = 38,
    Vp9Svc = 39,
    Vp9SvcParameters = 41,
    Vp9Content = 43,
    Vp9GetLayerId = 44,
    Vp9RowThreads = 55,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Rational {
    pub numerator: c_int,
    pub denominator: c_int,
}

#[repr(C)]
struct Buffer {
    bytes: *mut c_void,
    size: usize,
}

/// `vpx_codec_enc_cfg_t`, with our words for its members.
#[repr(C)]
pub struct Config {
    usage: c_uint,
    pub threads: c_uint,
    pub profile: c_uint,
    pub width: c_uint,
    pub height: c_uint,
    bit_depth: c_int,
    input_bit_depth: c_uint,
    pub timebase: Rational,
    pub error_resilient: u32,
    pass: c_int,
    pub lag_in_frames: c_uint,
    pub drop_frame_threshold: c_uint,
    pub resize_allowed: c_uint,
    scaled_width: c_uint,
    scaled_height: c_uint,
    resize_up_threshold: c_uint,
    resize_down_threshold: c_uint,
    pub rate_control: c_int,
    two_pass_statistics: Buffer,
    first_pass_statistics: Buffer,
    pub bitrate_kbps: c_uint,
    pub quantizer_min: c_uint,
    pub quantizer_max: c_uint,
    pub undershoot_percent: c_uint,
    pub overshoot_percent: c_uint,
    pub buffer_ms: c_uint,
    pub buffer_initial_ms: c_uint,
    pub buffer_optimal_ms: c_uint,
    two_pass: [c_uint; 4],
    pub key_frame_mode: c_int,
    key_frame_distance_min: c_uint,
    pub key_frame_distance_max: c_uint,
    pub spatial_layers: c_uint,
    spatial_alt_ref: [c_int; 5],
    pub spatial_bitrates_kbps: [c_uint; 5],
    pub temporal_layers: c_uint,
    pub temporal_bitrates_kbps: [c_uint; TEMPORAL_LAYERS_MAX],
    pub temporal_decimators: [c_uint; TEMPORAL_LAYERS_MAX],
    pub temporal_period: c_uint,
    pub temporal_ids: [c_uint; 16],
    pub layer_bitrates_kbps: [c_uint; 12],
    pub temporal_mode: c_int,
    /// 1.12 has 124 bytes here.
    rest: [u64; 80],
}

/// `vpx_svc_extra_cfg_t`. 1.9 has no more than the mode.
#[repr(C)]
struct SvcParameters {
    quantizers_max: [c_int; 12],
    quantizers_min: [c_int; 12],
    scale_numerators: [c_int; 12],
    scale_denominators: [c_int; 12],
    speeds: [c_int; 12],
    temporal_mode: c_int,
    rest: [c_int; 32],
}

/// `vpx_svc_layer_id_t`.
#[repr(C)]
#[derive(Default)]
struct LayerId {
    spatial: c_int,
    temporal: c_int,
    rest: [c_int; 14],
}

#[repr(C)]
struct Interface {
    _private: [u8; 0],
}

/// `vpx_codec_ctx_t`: 56 bytes on 64 bits.
#[repr(C)]
struct Context {
    words: [u64; 16],
}

/// `vpx_image_t`.
#[repr(C)]
struct Image {
    format: c_int,
    space: c_int,
    range: c_int,
    width: c_uint,
    height: c_uint,
    bit_depth: c_uint,
    shown_width: c_uint,
    shown_height: c_uint,
    rendered_width: c_uint,
    rendered_height: c_uint,
    chroma_shift_across: c_uint,
    chroma_shift_down: c_uint,
    planes: [*mut u8; 4],
    strides: [c_int; 4],
    bits_per_sample: c_int,
    user: *mut c_void,
    data: *mut u8,
    is_data_owner: c_int,
    is_self_allocated: c_int,
    frame_buffer: *mut c_void,
}

/// `vpx_codec_cx_pkt_t` when it is a frame.
#[repr(C)]
struct Packet {
    kind: c_int,
    bytes: *const u8,
    size: usize,
    moment: i64,
    duration: c_ulong,
    flags: u32,
}

#[repr(C)]
struct DecoderConfig {
    threads: c_uint,
    width: c_uint,
    height: c_uint,
}

type MakeInterface = unsafe extern "C" fn() -> *const Interface;

/// What of libvpx is used, by its own names without `vpx_codec_`.
struct Functions {
    config_default: unsafe extern "C" fn(*const Interface, *mut Config, c_uint) -> c_int,
    enc_init: unsafe extern "C" fn(*mut Context, *const Interface, *const Config, c_long, c_int) -> c_int,
    config_set: unsafe extern "C" fn(*mut Context, *const Config) -> c_int,
    encode: unsafe extern "C" fn(*mut Context, *const Image, i64, c_ulong, c_long, c_ulong) -> c_int,
    get_data: unsafe extern "C" fn(*mut Context, *mut *const c_void) -> *const Packet,
    control: unsafe extern "C" fn(*mut Context, c_int, ...) -> c_int,
    dec_init:
        unsafe extern "C" fn(*mut Context, *const Interface, *const DecoderConfig, c_long, c_int) -> c_int,
    decode: unsafe extern "C" fn(*mut Context, *const u8, c_uint, *mut c_void, c_long) -> c_int,
    get_frame: unsafe extern "C" fn(*mut Context, *mut *const c_void) -> *const Image,
    destroy: unsafe extern "C" fn(*mut Context) -> c_int,
    error_text: unsafe extern "C" fn(c_int) -> *const c_char,
}

/// The library, found.
pub struct Vpx {
    functions: Functions,
    // A build may leave out any of these.
    vp8_encoder: Option<MakeInterface>,
    vp8_decoder: Option<MakeInterface>,
    vp9_encoder: Option<MakeInterface>,
    vp9_decoder: Option<MakeInterface>,
    _library: SharedLibrary,
}

impl Vpx {
    /// Looked for once.
    pub fn get() -> Option<&'static Self> {
        static VPX: Sought<Vpx> = Sought::new();
        VPX.get(|remarks| {
            let otherwise = "VP8 is decoded slowly, VP8 and VP9 cannot be sent, VP9 cannot be received";
            let library = SharedLibrary::find("libvpx", &SONAMES, otherwise, remarks)?;
            let vpx = Self::new(library);
            if vpx.is_none() {
                let lacks = "libvpx lacks a function that all its releases have";
                remarks.add(Level::Warn, format!("{lacks}: {otherwise}"));
            }
            vpx
        })
    }

    fn new(library: SharedLibrary) -> Option<Self> {
        // SAFETY: the types are those of vpx_codec.h, vpx_encoder.h, vpx_decoder.h, vp8cx.h and vp8dx.h.
        unsafe {
            let functions = Functions {
                config_default: library.function(c"vpx_codec_enc_config_default")?,
                enc_init: library.function(c"vpx_codec_enc_init_ver")?,
                config_set: library.function(c"vpx_codec_enc_config_set")?,
                encode: library.function(c"vpx_codec_encode")?,
                get_data: library.function(c"vpx_codec_get_cx_data")?,
                control: library.function(c"vpx_codec_control_")?,
                dec_init: library.function(c"vpx_codec_dec_init_ver")?,
                decode: library.function(c"vpx_codec_decode")?,
                get_frame: library.function(c"vpx_codec_get_frame")?,
                destroy: library.function(c"vpx_codec_destroy")?,
                error_text: library.function(c"vpx_codec_err_to_string")?,
            };
            Some(Self {
                functions,
                vp8_encoder: library.function(c"vpx_codec_vp8_cx"),
                vp8_decoder: library.function(c"vpx_codec_vp8_dx"),
                vp9_encoder: library.function(c"vpx_codec_vp9_cx"),
                vp9_decoder: library.function(c"vpx_codec_vp9_dx"),
                _library: library,
            })
        }
    }

    pub fn has_encoder(&self, codec: VideoCodec) -> bool {
        self.encoder(codec).is_some()
    }

    pub fn has_decoder(&self, codec: VideoCodec) -> bool {
        self.decoder(codec).is_some()
    }

    fn encoder(&self, codec: VideoCodec) -> Option<MakeInterface> {
        match codec {
            VideoCodec::Vp8 => self.vp8_encoder,
            VideoCodec::Vp9 => self.vp9_encoder,
            VideoCodec::H264 | VideoCodec::Av1 => None,
        }
    }

    fn decoder(&self, codec: VideoCodec) -> Option<MakeInterface> {
        match codec {
            VideoCodec::Vp8 => self.vp8_decoder,
            VideoCodec::Vp9 => self.vp9_decoder,
            VideoCodec::H264 | VideoCodec::Av1 => None,
        }
    }

    fn check(&self, doing: &str, code: c_int) -> Result<(), CodecError> {
        if code == OK {
            return Ok(());
        }
        // SAFETY: it answers a constant string for every number.
        let text = unsafe { CStr::from_ptr((self.functions.error_text)(code)) };
        Err(CodecError::Failed(format!("libvpx, {doing}: {}", text.to_string_lossy())))
    }
}

/// A live context of libvpx, and what ends it.
struct Instance {
    vpx: &'static Vpx,
    context: Box<Context>,
}

// SAFETY: libvpx keeps nothing per thread; a context may be used by one thread after another, and `&mut self` sees to it
// that it is one at a time.
unsafe impl Send for Instance {}

impl Drop for Instance {
    fn drop(&mut self) {
        // SAFETY: initialised, and not destroyed before.
        unsafe { (self.vpx.functions.destroy)(&mut *self.context) };
    }
}

/// One encoder of libvpx.
pub struct Encoder {
    instance: Instance,
    config: Box<Config>,
}

// SAFETY: as for `Instance`. The pointers in the configuration are those of the two-pass statistics, which are NULL.
unsafe impl Send for Encoder {}

/// What an encoder made of a picture.
pub struct Encoded {
    pub bytes: Vec<u8>,
    pub is_key: bool,
}

impl Encoder {
    /// `configure` changes the library's defaults.
    pub fn new(
        vpx: &'static Vpx,
        codec: VideoCodec,
        configure: impl FnOnce(&mut Config),
    ) -> Result<Self, CodecError> {
        let make = vpx.encoder(codec).ok_or(CodecError::Missing(codec))?;
        // SAFETY: plain numbers and pointers, for which zero is a value.
        let mut config: Box<Config> = unsafe { Box::new(std::mem::zeroed()) };
        // SAFETY: the interface lives as long as the library; the configuration has room for that of every release.
        let (interface, code) = unsafe {
            let interface = make();
            (interface, (vpx.functions.config_default)(interface, &mut *config, 0))
        };
        vpx.check("default settings", code)?;
        configure(&mut config);
        for abi in ENCODER_ABIS {
            let mut context = Box::new(Context { words: [0; 16] });
            // SAFETY: all three live; the context has room for that of every release and stays where it is.
            let code = unsafe { (vpx.functions.enc_init)(&mut *context, interface, &*config, 0, abi) };
            if code == ABI_MISMATCH {
                continue;
            }
            vpx.check("settings", code)?; // what was begun it has ended itself
            return Ok(Self { instance: Instance { vpx, context }, config });
        }
        Err(CodecError::Failed("libvpx is of a release that is not known here".into()))
    }

    /// Only for controls that take a number.
    pub fn control(&mut self, control: Control, value: c_int) -> Result<(), CodecError> {
        let Instance { vpx, context } = &mut self.instance;
        // SAFETY: the control takes an `int` or `unsigned int`, which pass alike.
        let code = unsafe { (vpx.functions.control)(&mut **context, control as c_int, value) };
        vpx.check(&format!("{control:?} = {value}"), code)
    }

    /// Makes a VP9 encoder one of a stream with temporal layers, which only its layered mode can.
    pub fn start_temporal_layers(&mut self) -> Result<(), CodecError> {
        self.control(Control::Vp9Svc, 1)?;
        let mut parameters = SvcParameters {
            quantizers_max: [self.config.quantizer_max as c_int; 12],
            quantizers_min: [self.config.quantizer_min as c_int; 12],
            scale_numerators: [1; 12],
            scale_denominators: [1; 12],
            speeds: [0; 12],
            temporal_mode: self.config.temporal_mode,
            rest: [0; 32],
        };
        let Instance { vpx, context } = &mut self.instance;
        // SAFETY: the control reads the struct, which lives.
        let code = unsafe {
            (vpx.functions.control)(&mut **context, Control::Vp9SvcParameters as c_int, &raw mut parameters)
        };
        vpx.check("temporal layers", code)
    }

    /// In which layer the latest picture of a VP9 encoder is.
    pub fn temporal_layer(&mut self) -> Result<u8, CodecError> {
        let mut id = LayerId::default();
        let Instance { vpx, context } = &mut self.instance;
        // SAFETY: the control writes the struct, which has room for that of every release.
        let code =
            unsafe { (vpx.functions.control)(&mut **context, Control::Vp9GetLayerId as c_int, &raw mut id) };
        vpx.check("temporal layer", code)?;
        Ok(u8::try_from(id.temporal).unwrap_or(0))
    }

    /// From the next picture on.
    pub fn reconfigure(&mut self, change: impl FnOnce(&mut Config)) -> Result<(), CodecError> {
        change(&mut self.config);
        let Instance { vpx, context } = &mut self.instance;
        // SAFETY: both live.
        let code = unsafe { (vpx.functions.config_set)(&mut **context, &*self.config) };
        vpx.check("new settings", code)
    }

    /// The moment and the duration are in units of the time base. `None`: left out to keep the rate.
    pub fn encode(
        &mut self,
        picture: &Picture,
        moment: i64,
        duration: u32,
        flags: c_long,
    ) -> Result<Option<Encoded>, CodecError> {
        if (picture.width(), picture.height()) != (self.config.width, self.config.height) {
            return Err(CodecError::Unsuitable(format!("{picture:?} for another size")));
        }
        let image = Image::of(picture);
        let Instance { vpx, context } = &mut self.instance;
        // SAFETY: the planes live until the call returns, and libvpx only reads them: it makes its own copy.
        let code = unsafe {
            (vpx.functions.encode)(&mut **context, &image, moment, c_ulong::from(duration), flags, REALTIME)
        };
        vpx.check("encoding", code)?;
        let mut encoded: Option<Encoded> = None;
        let mut position = null();
        loop {
            // SAFETY: the packet is the library's, and lives until the next call with this context.
            let packet = unsafe { (vpx.functions.get_data)(&mut **context, &mut position).as_ref() };
            let Some(packet) = packet else { return Ok(encoded) };
            if packet.kind != PACKET_FRAME || packet.size == 0 || packet.bytes.is_null() {
                continue;
            }
            // SAFETY: a frame packet has so many bytes, alive as the packet.
            let bytes = unsafe { std::slice::from_raw_parts(packet.bytes, packet.size) };
            let encoded = encoded.get_or_insert_with(|| Encoded { bytes: Vec::new(), is_key: false });
            encoded.bytes.extend_from_slice(bytes);
            encoded.is_key |= packet.flags & FRAME_IS_KEY != 0;
        }
    }
}

impl Image {
    /// The planes of a picture, where they are.
    fn of(picture: &Picture) -> Self {
        let [y, u, v] = picture.planes().map(|plane| plane.as_ptr().cast_mut());
        let (luma, chroma) = (picture.width() as c_int, picture.chroma_width() as c_int);
        Self {
            format: FORMAT_I420,
            space: 0,
            range: 0,
            width: picture.width(),
            height: picture.height(),
            bit_depth: 8,
            shown_width: picture.width(),
            shown_height: picture.height(),
            rendered_width: 0,
            rendered_height: 0,
            chroma_shift_across: 1,
            chroma_shift_down: 1,
            planes: [y, u, v, null_mut()],
            strides: [luma, chroma, chroma, 0],
            bits_per_sample: 12,
            user: null_mut(),
            data: null_mut(),
            is_data_owner: 0,
            is_self_allocated: 0,
            frame_buffer: null_mut(),
        }
    }

    /// # Safety
    /// It came from a decoder, and that was not used since.
    unsafe fn to_picture(&self) -> Result<Picture, CodecError> {
        let is_known = self.format & FORMAT_PLANAR != 0 && self.format & FORMAT_FLIPPED == 0;
        if !is_known || self.space == SPACE_RGB {
            return Err(CodecError::Unsuitable(format!("pixel format {:#x}", self.format)));
        }
        let sampling = Sampling { across: self.chroma_shift_across, down: self.chroma_shift_down };
        if sampling.across > 1 || sampling.down > 1 {
            return Err(CodecError::Unsuitable(format!("{sampling:?}")));
        }
        let is_deep = self.format & FORMAT_HIGH_DEPTH != 0;
        let of_plane = |index: usize| {
            let (across, down) = if index == 0 { (0, 0) } else { (sampling.across, sampling.down) };
            let samples = self.shown_width.div_ceil(1 << across) as usize;
            let rows = self.shown_height.div_ceil(1 << down) as usize;
            let bytes = if is_deep { 2 * samples } else { samples };
            // SAFETY: libvpx says so of its planes, and they live as the caller says.
            unsafe { plane(self.planes[index], self.strides[index] as isize, rows, bytes) }
        };
        let planes = Planes {
            width: self.shown_width,
            height: self.shown_height,
            luma: of_plane(0)?,
            chroma: Some(([of_plane(1)?, of_plane(2)?], sampling)),
            bits: if is_deep { self.bit_depth } else { 8 },
        };
        planes.to_picture()
    }
}

/// One decoder of libvpx.
pub struct Decoder(Instance);

impl Decoder {
    pub fn new(vpx: &'static Vpx, codec: VideoCodec, threads: u32) -> Result<Self, CodecError> {
        let make = vpx.decoder(codec).ok_or(CodecError::Missing(codec))?;
        let config = DecoderConfig { threads, width: 0, height: 0 };
        let mut context = Box::new(Context { words: [0; 16] });
        // SAFETY: all live; the context has room for that of every release and stays where it is.
        let code = unsafe { (vpx.functions.dec_init)(&mut *context, make(), &config, 0, DECODER_ABI) };
        vpx.check("a decoder", code)?;
        Ok(Self(Instance { vpx, context }))
    }

    /// The last picture that comes of it.
    pub fn decode(&mut self, bytes: &[u8]) -> Result<Option<Picture>, CodecError> {
        let size = c_uint::try_from(bytes.len()).map_err(|_| CodecError::Malformed)?;
        let Instance { vpx, context } = &mut self.0;
        // SAFETY: the bytes live until the call returns.
        let code = unsafe { (vpx.functions.decode)(&mut **context, bytes.as_ptr(), size, null_mut(), 0) };
        if code != OK {
            return Err(CodecError::Malformed);
        }
        let mut last: *const Image = null();
        let mut position = null();
        loop {
            // SAFETY: the context lives.
            let image = unsafe { (vpx.functions.get_frame)(&mut **context, &mut position) };
            if image.is_null() {
                break;
            }
            last = image;
        }
        // SAFETY: an image of this decoder lives until the next call of `decode`.
        unsafe { last.as_ref().map(|image| image.to_picture()) }.transpose()
    }
}

#[cfg(all(test, target_pointer_width = "64"))]
mod tests {
    use std::mem::{offset_of, size_of};

    use super::*;

    #[test]
    fn structs_are_those_of_the_library() {
        assert_eq!(offset_of!(Config, timebase), 28);
        assert_eq!(offset_of!(Config, rate_control), 72);
        assert_eq!(offset_of!(Config, bitrate_kbps), 112);
        assert_eq!(offset_of!(Config, key_frame_mode), 160);
        assert_eq!(offset_of!(Config, spatial_layers), 172);
        assert_eq!(offset_of!(Config, temporal_layers), 216);
        assert_eq!(offset_of!(Config, layer_bitrates_kbps), 328);
        assert_eq!(offset_of!(Config, temporal_mode), 376);
        assert!(size_of::<Config>() > 504);
        assert_eq!(offset_of!(Image, planes), 48);
        assert_eq!(offset_of!(Image, strides), 80);
        assert_eq!(offset_of!(Image, bits_per_sample), 96);
        assert_eq!(size_of::<Image>(), 136);
        assert_eq!(offset_of!(Packet, bytes), 8);
        assert_eq!(offset_of!(Packet, flags), 40);
        assert_eq!(offset_of!(SvcParameters, temporal_mode), 240);
        assert!(size_of::<SvcParameters>() > 292);
    }
}
