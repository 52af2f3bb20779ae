//! H.264: OpenH264 in both directions. Constrained baseline goes out, in the format of annex B.

use std::ffi::c_int;
use std::time::Duration;

use super::gate::Gate;
use super::openh264_sys::{
    self, COMPLEXITY_LOW, OpenH264, PROFILE_BASELINE, RATE_BITRATE, SAME_PARAMETER_SETS, SLICES_FIXED,
    SLICES_ONE, USAGE_CAMERA, USAGE_SCREEN,
};
use super::{CodecError, EncodedFrame, VideoCodec, VideoDecoder, VideoEncoder, VideoSettings, check_size};
use crate::media::Picture;

/// One macroblock.
const SIZE_MIN: u32 = 16;

/// Of level 5.2, in macroblocks.
const BLOCKS_MAX: u32 = 36_864;

/// Threads share a picture by slices, each of which costs a little rate; below this many pixels each it is not worth it.
const PIXELS_PER_THREAD: u32 = 640 * 360;

/// What OpenH264 can split a picture into without arrangements of its own.
const THREADS_MAX: u32 = 4;

pub fn encoder(library: Option<&'static OpenH264>, settings: &VideoSettings) -> Result<Encoder, CodecError> {
    Encoder::new(library.ok_or(CodecError::Missing(VideoCodec::H264))?, settings)
}

pub struct Encoder {
    inner: openh264_sys::Encoder,
    settled: VideoSettings,
    /// Even: a last column or row that stands alone is left out, as there is no half chroma sample for it.
    size: (u32, u32),
    first: Option<Duration>,
}

impl Encoder {
    fn new(library: &'static OpenH264, settings: &VideoSettings) -> Result<Self, CodecError> {
        check_size(settings.width, settings.height)?;
        let size @ (width, height) = (settings.width & !1, settings.height & !1);
        let blocks = width.div_ceil(16) * height.div_ceil(16);
        if width < SIZE_MIN || height < SIZE_MIN || blocks > BLOCKS_MAX {
            return Err(CodecError::Unsuitable(format!("H.264 of {width}x{height}")));
        }
        if !(1..=3).contains(&settings.temporal_layers) {
            return Err(CodecError::Unsuitable(format!("{} temporal layers", settings.temporal_layers)));
        }
        let threads = settings.threads.min(width * height / PIXELS_PER_THREAD).clamp(1, THREADS_MAX);
        let bitrate_bps = c_int::try_from(settings.bitrate_bps).unwrap_or(c_int::MAX);
        let inner = openh264_sys::Encoder::new(library, |parameters| {
            parameters.usage = if settings.is_screen { USAGE_SCREEN } else { USAGE_CAMERA };
            parameters.width = width as c_int;
            parameters.height = height as c_int;
            parameters.bitrate_bps = bitrate_bps;
            parameters.bitrate_max_bps = 0; // no other limit
            parameters.rate_control = RATE_BITRATE;
            parameters.frames_per_second = settings.frames_per_second;
            parameters.temporal_layers = c_int::from(settings.temporal_layers);
            parameters.spatial_layers = 1;
            parameters.complexity = COMPLEXITY_LOW;
            parameters.intra_period = 0;
            parameters.parameter_sets = SAME_PARAMETER_SETS;
            parameters.entropy_coding = 0; // the other one is not in the baseline profile
            parameters.may_skip = 1;
            parameters.threads = threads as u16;
            parameters.denoises = 0;
            parameters.detects_scenes = 0; // a key frame comes on request, not for a new scene
            let layer = &mut parameters.layers[0];
            layer.width = width as c_int;
            layer.height = height as c_int;
            layer.frames_per_second = settings.frames_per_second;
            layer.bitrate_bps = bitrate_bps;
            layer.bitrate_max_bps = 0;
            layer.profile = PROFILE_BASELINE;
            layer.slices.mode = if threads > 1 { SLICES_FIXED } else { SLICES_ONE };
            layer.slices.count = threads;
        })?;
        Ok(Self { inner, settled: settings.clone(), size, first: None })
    }
}

impl VideoEncoder for Encoder {
    fn encode(
        &mut self,
        picture: &Picture,
        at: Duration,
        wants_key: bool,
    ) -> Result<Option<EncodedFrame>, CodecError> {
        if (picture.width(), picture.height()) != (self.settled.width, self.settled.height) {
            return Err(CodecError::Unsuitable(format!("{picture:?} for another size")));
        }
        let at = at.saturating_sub(*self.first.get_or_insert(at));
        let encoded = self.inner.encode(picture, self.size, at, wants_key)?;
        Ok(encoded.map(|encoded| EncodedFrame {
            is_key: encoded.is_key,
            temporal_layer: encoded.temporal_layer,
            // Its layers lean on each other in ways it does not tell; only a key frame is certain.
            is_layer_sync: encoded.is_key,
            bytes: encoded.bytes,
        }))
    }

    fn set_rate(&mut self, bitrate_bps: u32, frames_per_second: f32) {
        self.inner.set_rate(bitrate_bps, frames_per_second);
    }
}

pub fn decoder(library: Option<&'static OpenH264>) -> Result<Box<dyn VideoDecoder>, CodecError> {
    let library = library.ok_or(CodecError::Missing(VideoCodec::H264))?;
    Ok(Box::new(Decoder { inner: openh264_sys::Decoder::new(library)?, gate: Gate::default() }))
}

struct Decoder {
    inner: openh264_sys::Decoder,
    gate: Gate,
}

impl VideoDecoder for Decoder {
    fn decode(&mut self, bytes: &[u8]) -> Result<Option<Picture>, CodecError> {
        if bytes.is_empty() {
            return Err(CodecError::Malformed);
        }
        let inner = &mut self.inner;
        self.gate.pass(begins_anew(bytes), || inner.decode(bytes))
    }
}

/// Whether there is an IDR picture, or parameter sets: some encoders send those before a picture of intra blocks that
/// is not called IDR.
fn begins_anew(bytes: &[u8]) -> bool {
    const IDR: u8 = 5;
    const SEQUENCE_PARAMETERS: u8 = 7;
    bytes
        .windows(4)
        .any(|window| window[..3] == [0, 0, 1] && matches!(window[3] & 0x1f, IDR | SEQUENCE_PARAMETERS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_the_library_there_is_no_h264() {
        let settings = crate::media::codec::tests::settings(64, 64);
        assert_eq!(encoder(None, &settings).err(), Some(CodecError::Missing(VideoCodec::H264)));
        assert_eq!(decoder(None).err(), Some(CodecError::Missing(VideoCodec::H264)));
    }

    #[test]
    fn a_stream_begins_at_a_key_picture_or_its_parameters() {
        assert!(begins_anew(&[0, 0, 0, 1, 0x67, 1]));
        assert!(begins_anew(&[0, 0, 1, 0x09, 0x10, 0, 0, 1, 0x65]));
        assert!(!begins_anew(&[0, 0, 1, 0x41, 5]));
        assert!(!begins_anew(&[0, 0, 1]));
    }
}
