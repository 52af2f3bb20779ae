//! VP9: libvpx in both directions. Profile 0 goes out, any comes in.

use std::time::Duration;

use super::gate::Gate;
use super::vp9_header::{announced, with_index};
use super::vpx::{self, Clock};
use super::vpx_sys::{self, Control, FORCE_KEY, Vpx};
use super::{CodecError, EncodedFrame, VideoCodec, VideoDecoder, VideoEncoder, VideoSettings};
use crate::media::Picture;

const QUANTIZER_MAX: u32 = 52;
/// Text that is a little coarse at once beats fine text that comes late, but not by much.
const QUANTIZER_MIN_SCREEN: u32 = 8;
const UNDERSHOOT_PERCENT: u32 = 50;
const OVERSHOOT_PERCENT: u32 = 50;

/// `VP9E_TEMPORAL_LAYERING_MODE_0101` and `_0212`.
const MODE_TWO_LAYERS: i32 = 2;
const MODE_THREE_LAYERS: i32 = 3;

/// Finer where the eye sees it, by what changed since the last picture.
const AQ_CYCLIC_REFRESH: i32 = 3;

/// `VP9E_CONTENT_SCREEN`.
const CONTENT_SCREEN: i32 = 1;

/// How much the encoder looks for: 5 thorough, 9 hasty. At 8 one core manages 720p at 160 frames per second.
fn speed(settings: &VideoSettings) -> i32 {
    match settings.width * settings.height {
        0..=101_376 => 7,
        101_377..=921_600 => 8,
        _ => 9,
    }
}

/// Threads share columns of tiles, which are 256 pixels wide at least; rows within them on top.
fn threads(settings: &VideoSettings) -> u32 {
    let useful = (settings.width / 256).max(1);
    settings.threads.min(useful).clamp(1, 8)
}

pub struct Encoder {
    inner: vpx_sys::Encoder,
    clock: Clock,
    frames_per_second: f32,
    temporal_layers: u8,
    /// Pictures since the latest one of the base.
    since_base: u8,
}

pub fn encoder(vpx: Option<&'static Vpx>, settings: &VideoSettings) -> Result<Encoder, CodecError> {
    Encoder::new(vpx.ok_or(CodecError::Missing(VideoCodec::Vp9))?, settings)
}

impl Encoder {
    fn new(vpx: &'static Vpx, settings: &VideoSettings) -> Result<Self, CodecError> {
        vpx::check(settings)?;
        let threads = threads(settings);
        let mut inner = vpx_sys::Encoder::new(vpx, VideoCodec::Vp9, |config| {
            vpx::configure(config, settings, threads);
            config.quantizer_max = QUANTIZER_MAX;
            if settings.is_screen {
                config.quantizer_min = QUANTIZER_MIN_SCREEN;
            }
            config.undershoot_percent = UNDERSHOOT_PERCENT;
            config.overshoot_percent = OVERSHOOT_PERCENT;
            config.spatial_layers = 1;
            config.temporal_mode = match settings.temporal_layers {
                2 => MODE_TWO_LAYERS,
                3 => MODE_THREE_LAYERS,
                _ => 0,
            };
        })?;
        if settings.temporal_layers > 1 {
            inner.start_temporal_layers()?;
        }
        inner.control(Control::Speed, speed(settings))?;
        inner.control(Control::Vp9AqMode, AQ_CYCLIC_REFRESH)?;
        inner.control(Control::Vp9FrameParallel, 0)?;
        inner.control(Control::Vp9NoiseSensitivity, 0)?;
        inner.control(Control::StaticThreshold, 1)?;
        inner.control(Control::Vp9TileColumns, threads.ilog2() as i32)?;
        inner.control(Control::Vp9RowThreads, i32::from(threads > 1))?;
        inner.control(Control::MaxIntraBitratePercent, vpx::max_intra_percent(settings.frames_per_second))?;
        if settings.is_screen {
            inner.control(Control::Vp9Content, CONTENT_SCREEN)?;
        }
        Ok(Self {
            inner,
            clock: Clock::default(),
            frames_per_second: settings.frames_per_second,
            temporal_layers: settings.temporal_layers,
            since_base: 0,
        })
    }

    /// With three layers the pattern is 0 2 1 2, and only the last of them looks at something above the base.
    fn is_layer_sync(&mut self, is_key: bool, layer: u8) -> bool {
        self.since_base = if layer == 0 { 0 } else { self.since_base.saturating_add(1) };
        is_key || (layer > 0 && self.since_base <= 2)
    }
}

impl VideoEncoder for Encoder {
    fn encode(
        &mut self,
        picture: &Picture,
        at: Duration,
        wants_key: bool,
    ) -> Result<Option<EncodedFrame>, CodecError> {
        let flags = if wants_key { FORCE_KEY } else { 0 };
        let duration = vpx::ticks_per_frame(self.frames_per_second);
        let Some(encoded) = self.inner.encode(picture, self.clock.moment(at, duration), duration, flags)?
        else {
            return Ok(None);
        };
        let is_key = encoded.is_key;
        let temporal_layer = if self.temporal_layers > 1 { self.inner.temporal_layer()? } else { 0 };
        let is_layer_sync = self.is_layer_sync(is_key, temporal_layer);
        Ok(Some(EncodedFrame { bytes: encoded.bytes, is_key, temporal_layer, is_layer_sync }))
    }

    fn set_rate(&mut self, bitrate_bps: u32, frames_per_second: f32) {
        self.frames_per_second = frames_per_second;
        let percent = vpx::max_intra_percent(frames_per_second);
        let outcome = self.inner.reconfigure(|config| vpx::set_bitrate(config, bitrate_bps));
        if let Err(error) =
            outcome.and_then(|()| self.inner.control(Control::MaxIntraBitratePercent, percent))
        {
            log::warn!("VP9 keeps its rate: {error:?}");
        }
    }
}

/// One thread decodes 720p many times as fast as it has to.
fn decoder_threads(width: u32, height: u32) -> u32 {
    match width * height {
        0..=921_600 => 1,
        921_601..=2_073_600 => 2,
        _ => 4,
    }
}

pub fn decoder(vpx: Option<&'static Vpx>) -> Result<Box<dyn VideoDecoder>, CodecError> {
    let vpx =
        vpx.filter(|vpx| vpx.has_decoder(VideoCodec::Vp9)).ok_or(CodecError::Missing(VideoCodec::Vp9))?;
    Ok(Box::new(Decoder { vpx, inner: None, gate: Gate::default() }))
}

struct Decoder {
    vpx: &'static Vpx,
    /// Made by a key frame, with the threads that its size wants.
    inner: Option<(vpx_sys::Decoder, u32)>,
    gate: Gate,
}

impl VideoDecoder for Decoder {
    fn decode(&mut self, bytes: &[u8]) -> Result<Option<Picture>, CodecError> {
        if bytes.is_empty() {
            return Err(CodecError::Malformed);
        }
        let announced = announced(bytes).inspect_err(|_| self.gate.close())?;
        self.gate.pass(announced.is_key, || {
            if let (true, Some((width, height))) = (announced.is_key, announced.size) {
                let threads = decoder_threads(width, height);
                if self.inner.as_ref().is_none_or(|(_, present)| *present != threads) {
                    let made = vpx_sys::Decoder::new(self.vpx, VideoCodec::Vp9, threads)?;
                    self.inner = Some((made, threads));
                }
            }
            let (inner, _) = self.inner.as_mut().ok_or(CodecError::Malformed)?;
            match with_index(bytes) {
                Some(indexed) => inner.decode(&indexed),
                None => inner.decode(bytes),
            }
        })
    }
}
