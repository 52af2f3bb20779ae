//! A codec without pictures: frames have the sizes that a real encoder's have, say which frame they need, and when they
//! were made.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use opentok::media::Picture;
use opentok::media::codec::{CodecError, EncodedFrame, VideoDecoder, VideoEncoder, VideoSettings};

/// A key frame takes as much as so many pictures at the rate that is asked for, as `vp8.rs` limits it at 30 pictures a
/// second; and no more than so many bits for each pixel.
const KEY_PICTURES: f32 = 9.0;
const KEY_BITS_PER_PIXEL: f32 = 0.5;

/// What a picture takes at the coarsest quantizer.
const BITS_PER_PIXEL_MIN: f32 = 0.006;

/// How much the encoder may be ahead of its rate until it leaves pictures out, in seconds of that rate.
const DEBT_MAX: f32 = 0.42;

/// The part of the debt that a picture pays back at most, of its own size.
const SAVING: f32 = 0.3;

/// After a change of rate the quantizer follows picture by picture.
const FOLLOWS: f32 = 0.3;

/// Key flag as in VP8, then number, number of the frame that is needed, milliseconds.
const HEADER: usize = 13;

pub struct Encoder {
    settings: VideoSettings,
    count: u32,
    since_key: u32,
    /// The last frame of each temporal layer.
    latest: [u32; 3],
    /// Bits.
    debt: f32,
    /// Bits of an average picture, as the quantizer makes them now.
    usual: f32,
    at: Option<Duration>,
}

impl Encoder {
    pub fn new(settings: &VideoSettings, number: u32) -> Self {
        let usual = settings.bitrate_bps as f32 / settings.frames_per_second;
        let count = number * 1_000_000;
        Self { settings: settings.clone(), count, since_key: 0, latest: [0; 3], debt: 0.0, usual, at: None }
    }

    fn size(&mut self, is_key: bool, layer: usize) -> f32 {
        let pixels = (self.settings.width * self.settings.height) as f32;
        let target = self.settings.bitrate_bps as f32 / self.settings.frames_per_second;
        self.usual += (target - self.usual) * FOLLOWS;
        if is_key {
            return (target * KEY_PICTURES).min(pixels * KEY_BITS_PER_PIXEL).max(target);
        }
        let share = match (self.settings.temporal_layers, layer) {
            (3, 0) => 1.6,
            (3, _) => 0.8,
            _ => 1.0,
        };
        let saving = (self.debt / 10.0).clamp(0.0, self.usual * SAVING);
        (self.usual * share - saving).max(pixels * BITS_PER_PIXEL_MIN)
    }
}

impl VideoEncoder for Encoder {
    fn encode(
        &mut self,
        _: &Picture,
        at: Duration,
        wants_key: bool,
    ) -> Result<Option<EncodedFrame>, CodecError> {
        let is_key = wants_key || self.at.is_none();
        let passed = at - self.at.replace(at).unwrap_or(at);
        let rate = self.settings.bitrate_bps as f32;
        self.debt = (self.debt - rate * passed.as_secs_f32()).max(-rate * DEBT_MAX);
        if !is_key && self.debt > rate * DEBT_MAX {
            return Ok(None);
        }
        self.count += 1;
        self.since_key = if is_key { 0 } else { self.since_key + 1 };
        let layer = match (self.settings.temporal_layers, self.since_key % 4) {
            (1, _) | (_, 0) => 0,
            (_, 2) => 1,
            _ => 2,
        };
        let needed = if is_key { 0 } else { self.latest[..=layer].iter().copied().max().unwrap_or(0) };
        let is_layer_sync = layer > 0 && needed == self.latest[0];
        if is_key {
            self.latest = [0; 3];
        }
        self.latest[layer] = self.count;
        let bits = self.size(is_key, layer);
        self.debt += bits;
        let mut bytes = vec![if is_key { 0x10 } else { 0x11 }];
        bytes.extend(self.count.to_be_bytes());
        bytes.extend(needed.to_be_bytes());
        bytes.extend((at.as_millis() as u32).to_be_bytes());
        bytes.resize((bits as usize / 8).max(HEADER), 0x55);
        Ok(Some(EncodedFrame { bytes, is_key, temporal_layer: layer as u8, is_layer_sync }))
    }

    fn set_rate(&mut self, bitrate_bps: u32, frames_per_second: f32) {
        self.settings.bitrate_bps = bitrate_bps;
        self.settings.frames_per_second = frames_per_second;
    }
}

/// The number of the newest picture's encoder and when it was made, for whoever made the decoder.
#[derive(Default)]
pub struct Newest {
    pub encoder: AtomicU64,
    pub at_ms: AtomicU64,
}

pub struct Decoder {
    pub newest: Arc<Newest>,
    pub had: HashSet<u32>,
}

impl VideoDecoder for Decoder {
    fn decode(&mut self, bytes: &[u8]) -> Result<Option<Picture>, CodecError> {
        let word = |at: usize| {
            let bytes = bytes.get(at..at + 4).ok_or(CodecError::Malformed)?;
            Ok(u32::from_be_bytes(bytes.try_into().expect("four")))
        };
        let (number, needed, at_ms) = (word(1)?, word(5)?, word(9)?);
        if bytes[0] & 1 == 0 {
            self.had.clear();
        } else if !self.had.contains(&needed) {
            return Err(CodecError::Malformed);
        }
        self.had.insert(number);
        self.newest.encoder.store((number / 1_000_000).into(), Ordering::Relaxed);
        self.newest.at_ms.store(at_ms.into(), Ordering::Relaxed);
        Ok(Picture::black(2, 2))
    }
}
