//! VP8 (RFC 6386): libvpx in both directions, and a decoder in Rust where it is absent.

use std::ffi::c_long;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use oxideav_vp8::Vp8DecoderState;

use super::gate::Gate;
use super::planes::{Plane, Planes, Sampling};
use super::vpx::{self, Clock};
use super::vpx_sys::{self, Control, FORCE_KEY, Vpx};
use super::{
    CodecError, EncodedFrame, PIXELS_MAX, VideoCodec, VideoDecoder, VideoEncoder, VideoSettings, check_size,
};
use crate::media::Picture;

const QUANTIZER_MAX: u32 = 56;
const UNDERSHOOT_PERCENT: u32 = 100;
const OVERSHOOT_PERCENT: u32 = 15;

/// Below this a block counts as unchanged. A screen's still areas are really still.
const STATIC_THRESHOLD: i32 = 1;
const STATIC_THRESHOLD_SCREEN: i32 = 100;

// VP8_EFLAG_*: which of the three reference pictures a frame may look at and which it replaces.
const NO_REF_GOLDEN: c_long = 1 << 17;
const NO_UPDATE_LAST: c_long = 1 << 18;
const NO_UPDATE_ENTROPY: c_long = 1 << 20;
const NO_REF_ALT: c_long = 1 << 21;
const NO_UPDATE_GOLDEN: c_long = 1 << 22;
const NO_UPDATE_ALT: c_long = 1 << 23;

/// One place in the pattern of temporal layers.
struct Step {
    layer: u8,
    /// It looks at nothing but the base.
    is_sync: bool,
    flags: c_long,
}

const UPDATE_NOTHING: c_long = NO_UPDATE_LAST | NO_UPDATE_GOLDEN | NO_UPDATE_ALT | NO_UPDATE_ENTROPY;
const REF_LAST: c_long = NO_REF_GOLDEN | NO_REF_ALT;

/// The base keeps to the last picture. What is above it never touches that, nor the probabilities, so it may be lost.
const BASE: Step = Step { layer: 0, is_sync: false, flags: REF_LAST | NO_UPDATE_GOLDEN | NO_UPDATE_ALT };

const ONE_LAYER: &[Step] = &[Step { layer: 0, is_sync: false, flags: 0 }];

/// The upper layer keeps its own pictures in the golden one, and begins anew from the base every second time.
const TWO_LAYERS: &[Step] = &[
    BASE,
    Step { layer: 1, is_sync: true, flags: (REF_LAST | UPDATE_NOTHING) & !NO_UPDATE_GOLDEN },
    BASE,
    Step { layer: 1, is_sync: false, flags: NO_REF_ALT | UPDATE_NOTHING },
];

/// The middle layer keeps the golden picture; nobody looks at the top one.
const THREE_LAYERS: &[Step] = &[
    BASE,
    Step { layer: 2, is_sync: true, flags: REF_LAST | UPDATE_NOTHING },
    Step { layer: 1, is_sync: true, flags: (REF_LAST | UPDATE_NOTHING) & !NO_UPDATE_GOLDEN },
    Step { layer: 2, is_sync: false, flags: NO_REF_ALT | UPDATE_NOTHING },
];

/// How much the encoder looks for, against how long it takes: -4 thorough, -16 hasty. The rate of pixels that one
/// thread has to manage decides; at -6 one core manages 720p at 190 frames per second, at -12 at 250.
fn speed(settings: &VideoSettings, threads: u32) -> i32 {
    const PIXELS_720P30: f32 = 1280.0 * 720.0 * 30.0;
    let pixels = settings.width as f32 * settings.height as f32 * settings.frames_per_second;
    match pixels / threads as f32 / PIXELS_720P30 {
        load if load < 1.5 => -6,
        load if load < 3.0 => -8,
        load if load < 5.0 => -10,
        _ => -12,
    }
}

/// Threads share a picture by rows of macroblocks, and libvpx lets them wait for each other in a busy loop: where they
/// are more than the free cores they cost twenty times what they save. So there is one, but for pictures that need more.
const PIXELS_PER_THREAD: u32 = 1280 * 720;
const THREADS_MAX: u32 = 4;

fn threads(settings: &VideoSettings) -> u32 {
    let useful = settings.width * settings.height / PIXELS_PER_THREAD;
    settings.threads.min(useful).clamp(1, THREADS_MAX)
}

pub fn encoder(vpx: Option<&'static Vpx>, settings: &VideoSettings) -> Result<Encoder, CodecError> {
    Encoder::new(vpx.ok_or(CodecError::Missing(VideoCodec::Vp8))?, settings)
}

pub struct Encoder {
    inner: vpx_sys::Encoder,
    clock: Clock,
    frames_per_second: f32,
    is_screen: bool,
    pattern: &'static [Step],
    position: usize,
}

impl Encoder {
    fn new(vpx: &'static Vpx, settings: &VideoSettings) -> Result<Self, CodecError> {
        vpx::check(settings)?;
        let threads = threads(settings);
        let mut inner = vpx_sys::Encoder::new(vpx, VideoCodec::Vp8, |config| {
            vpx::configure(config, settings, threads);
            config.quantizer_max = QUANTIZER_MAX;
            config.undershoot_percent = UNDERSHOOT_PERCENT;
            config.overshoot_percent = OVERSHOOT_PERCENT;
        })?;
        let is_screen = settings.is_screen;
        inner.control(Control::Speed, speed(settings, threads))?;
        inner.control(Control::Vp8NoiseSensitivity, 0)?;
        let threshold = if is_screen { STATIC_THRESHOLD_SCREEN } else { STATIC_THRESHOLD };
        inner.control(Control::StaticThreshold, threshold)?;
        inner.control(Control::Vp8ScreenContent, i32::from(is_screen))?;
        let pattern = match settings.temporal_layers {
            2 => TWO_LAYERS,
            3 => THREE_LAYERS,
            _ => ONE_LAYER,
        };
        let frames_per_second = settings.frames_per_second;
        let mut encoder =
            Self { inner, clock: Clock::default(), frames_per_second, is_screen, pattern, position: 0 };
        encoder.limit_key_frames()?;
        Ok(encoder)
    }

    /// A screen's key frames are as large as they must be: text that is washed out for seconds is worse than a delay.
    fn limit_key_frames(&mut self) -> Result<(), CodecError> {
        if self.is_screen {
            return Ok(());
        }
        self.inner.control(Control::MaxIntraBitratePercent, vpx::max_intra_percent(self.frames_per_second))
    }
}

impl VideoEncoder for Encoder {
    fn encode(
        &mut self,
        picture: &Picture,
        at: Duration,
        wants_key: bool,
    ) -> Result<Option<EncodedFrame>, CodecError> {
        if wants_key {
            self.position = 0;
        }
        let step = &self.pattern[self.position];
        if self.pattern.len() > 1 {
            self.inner.control(Control::TemporalLayerId, i32::from(step.layer))?;
        }
        let flags = if wants_key { FORCE_KEY } else { step.flags };
        let duration = vpx::ticks_per_frame(self.frames_per_second);
        let Some(encoded) = self.inner.encode(picture, self.clock.moment(at, duration), duration, flags)?
        else {
            return Ok(None); // the next picture takes its place in the pattern
        };
        if encoded.is_key {
            self.position = 0; // the first one, or the encoder's own wish
        }
        let step = &self.pattern[self.position];
        self.position = (self.position + 1) % self.pattern.len();
        Ok(Some(EncodedFrame {
            bytes: encoded.bytes,
            is_key: encoded.is_key,
            temporal_layer: step.layer,
            is_layer_sync: step.is_sync || encoded.is_key,
        }))
    }

    fn set_rate(&mut self, bitrate_bps: u32, frames_per_second: f32) {
        self.frames_per_second = frames_per_second;
        let outcome = self.inner.reconfigure(|config| vpx::set_bitrate(config, bitrate_bps));
        if let Err(error) = outcome.and_then(|()| self.limit_key_frames()) {
            log::warn!("VP8 keeps its rate: {error:?}");
        }
    }
}

pub fn decoder(vpx: Option<&'static Vpx>) -> Box<dyn VideoDecoder> {
    match vpx.filter(|vpx| vpx.has_decoder(VideoCodec::Vp8)) {
        Some(vpx) => Box::new(Decoder { vpx, inner: None, gate: Gate::default() }),
        None => Box::new(RustDecoder { inner: new_rust_decoder(), gate: Gate::default() }),
    }
}

/// Whether it is a key frame, and its size then (RFC 6386 section 9.1).
fn announced(bytes: &[u8]) -> Result<Option<(u32, u32)>, CodecError> {
    let first = bytes.first().ok_or(CodecError::Malformed)?;
    if first & 1 != 0 {
        return Ok(None);
    }
    let Some([0x9d, 0x01, 0x2a, w0, w1, h0, h1]) = bytes.get(3..10) else {
        return Err(CodecError::Malformed);
    };
    let size = |low: &u8, high: &u8| u32::from(u16::from_le_bytes([*low, *high]) & 0x3fff);
    let (width, height) = (size(w0, w1), size(h0, h1));
    check_size(width, height)?;
    Ok(Some((width, height)))
}

/// One decodes 720p at 600 frames per second; more would wait in busy loops, as those of the encoder do.
const DECODER_THREADS: u32 = 1;

struct Decoder {
    vpx: &'static Vpx,
    /// Made by the first key frame.
    inner: Option<vpx_sys::Decoder>,
    gate: Gate,
}

impl VideoDecoder for Decoder {
    fn decode(&mut self, bytes: &[u8]) -> Result<Option<Picture>, CodecError> {
        let is_key = announced(bytes).inspect_err(|_| self.gate.close())?.is_some();
        self.gate.pass(is_key, || {
            let inner = match &mut self.inner {
                Some(inner) => inner,
                absent => absent.insert(vpx_sys::Decoder::new(self.vpx, VideoCodec::Vp8, DECODER_THREADS)?),
            };
            inner.decode(bytes)
        })
    }
}

/// The crate is young and what it reads comes from the network: a panic in it is one more malformed frame.
struct RustDecoder {
    inner: Vp8DecoderState,
    gate: Gate,
}

fn new_rust_decoder() -> Vp8DecoderState {
    Vp8DecoderState::new().with_max_pixels_per_frame(u64::from(PIXELS_MAX))
}

impl VideoDecoder for RustDecoder {
    fn decode(&mut self, bytes: &[u8]) -> Result<Option<Picture>, CodecError> {
        let is_key = announced(bytes).inspect_err(|_| self.gate.close())?.is_some();
        let inner = &mut self.inner;
        self.gate.pass(is_key, || {
            let outcome = catch_unwind(AssertUnwindSafe(|| inner.decode_frame(bytes)));
            let Ok(outcome) = outcome else {
                *inner = new_rust_decoder();
                return Err(CodecError::Malformed);
            };
            let frame = outcome.map_err(|_| CodecError::Malformed)?;
            if inner.last_frame_shown() == Some(false) {
                return Ok(None);
            }
            let chroma_stride = frame.width.div_ceil(2) as usize;
            let planes = Planes {
                width: frame.width,
                height: frame.height,
                luma: Plane { bytes: &frame.y, stride: frame.width as usize },
                chroma: Some((
                    [&frame.u, &frame.v].map(|bytes| Plane { bytes, stride: chroma_stride }),
                    Sampling::QUARTER,
                )),
                bits: 8,
            };
            planes.to_picture().map(Some)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_the_library_nothing_can_be_sent() {
        let settings = crate::media::codec::tests::settings(64, 64);
        assert_eq!(encoder(None, &settings).err(), Some(CodecError::Missing(VideoCodec::Vp8)));
    }

    #[test]
    fn a_key_frame_says_its_size() {
        assert_eq!(announced(&[0, 0, 0, 0x9d, 1, 0x2a, 0x40, 0x41, 0xf0, 0]), Ok(Some((0x140, 0xf0))));
        assert_eq!(announced(&[1]), Ok(None));
        assert_eq!(announced(&[]), Err(CodecError::Malformed));
        assert_eq!(announced(&[0, 0, 0, 0x9d, 1, 0x2a, 0, 1]), Err(CodecError::Malformed));
        let huge = announced(&[0, 0, 0, 0x9d, 1, 0x2a, 0xff, 0x3f, 0xff, 0x3f]);
        assert!(matches!(huge, Err(CodecError::Unsuitable(_))), "{huge:?}");
    }

    #[test]
    fn larger_pictures_are_encoded_with_more_haste() {
        let mut settings = crate::media::codec::tests::settings(1280, 720);
        assert_eq!(speed(&settings, 1), -6);
        (settings.width, settings.height) = (1920, 1080);
        assert_eq!(speed(&settings, 1), -8);
        assert_eq!(speed(&settings, 2), -6);
        (settings.width, settings.height) = (3840, 2160);
        assert_eq!(speed(&settings, 1), -12);
    }
}
