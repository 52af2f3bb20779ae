//! A codec for tests: frames say which frames they need, and the decoder refuses those whose needs it has not had.
//!
//! A frame has as many bytes as its bit rate allows. Temporal layers are libvpx's: base, third, second, third.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::sender::MakeEncoder;
use crate::media::Picture;
use crate::media::codec::{CodecError, EncodedFrame, VideoDecoder, VideoEncoder, VideoSettings};
use crate::media::video::MakeDecoder;

/// What encoders were asked for.
#[derive(Debug, Default)]
pub struct Log {
    pub made: Vec<VideoSettings>,
    pub rates: Vec<u32>,
    pub alive: usize,
    /// The next encoder cannot be made, or fails at once.
    pub fails: bool,
}

pub type SharedLog = Arc<Mutex<Log>>;

pub struct ToyEncoder {
    settings: VideoSettings,
    count: u32,
    since_key: u32,
    /// The last frame of each temporal layer.
    latest: [u32; 3],
    at: Option<Duration>,
    log: SharedLog,
}

/// First byte as in VP8: the lowest bit is 0 in key frames. Then number, number of the frame it needs, width, height.
const HEADER: usize = 13;

/// Larger ones only cost time.
const SIZE_MAX: u32 = 2_000;

impl ToyEncoder {
    pub fn new(settings: &VideoSettings, log: &SharedLog) -> Self {
        log.lock().alive += 1;
        log.lock().made.push(settings.clone());
        // Numbers of another encoder must not look like this one's.
        let count = 1_000_000 * log.lock().made.len() as u32;
        Self { settings: settings.clone(), count, since_key: 0, latest: [0; 3], at: None, log: log.clone() }
    }
}

impl Drop for ToyEncoder {
    fn drop(&mut self) {
        self.log.lock().alive -= 1;
    }
}

impl VideoEncoder for ToyEncoder {
    fn encode(
        &mut self,
        picture: &Picture,
        at: Duration,
        wants_key: bool,
    ) -> Result<Option<EncodedFrame>, CodecError> {
        assert_eq!((picture.width(), picture.height()), (self.settings.width, self.settings.height));
        assert!(self.at.is_none_or(|before| before < at), "time goes on");
        if std::mem::take(&mut self.log.lock().fails) {
            return Err(CodecError::Failed("on request".to_owned()));
        }
        let is_key = wants_key || self.at.is_none();
        self.at = Some(at);
        self.count += 1;
        self.since_key = if is_key { 0 } else { self.since_key + 1 };
        let layer = match (self.settings.temporal_layers, self.since_key % 4) {
            (1, _) | (_, 0) => 0,
            (3, 2) => 1,
            (2, phase) => (phase % 2) as usize,
            _ => 2,
        };
        let needed = if is_key { 0 } else { *self.latest[..=layer].iter().max().expect("at least one") };
        // Every second frame of the middle layer builds on the one before it.
        let is_built_on = layer == 1 && self.since_key / 4 % 2 == 1;
        let needed = if is_built_on { self.latest[1] } else { needed };
        let is_layer_sync = layer > 0 && needed == self.latest[0];
        self.latest[layer] = self.count;
        if is_key {
            self.latest = [self.count, 0, 0];
        }
        let mut bytes = vec![if is_key { 0x10 } else { 0x11 }];
        bytes.extend(self.count.to_be_bytes());
        bytes.extend(needed.to_be_bytes());
        bytes.extend((picture.width() as u16).to_be_bytes());
        bytes.extend((picture.height() as u16).to_be_bytes());
        let usual = self.settings.bitrate_bps as f32 / self.settings.frames_per_second / 8.0;
        let size = if is_key { usual * 4.0 } else { usual };
        bytes.resize((size as usize).max(HEADER), 0x55);
        Ok(Some(EncodedFrame { bytes, is_key, temporal_layer: layer as u8, is_layer_sync }))
    }

    fn set_rate(&mut self, bitrate_bps: u32, frames_per_second: f32) {
        self.settings.bitrate_bps = bitrate_bps;
        self.settings.frames_per_second = frames_per_second;
        self.log.lock().rates.push(bitrate_bps);
    }
}

pub fn encoders(log: &SharedLog) -> MakeEncoder {
    let log = log.clone();
    Box::new(move |_, settings| Ok(Box::new(ToyEncoder::new(settings, &log))))
}

#[derive(Default)]
pub struct ToyDecoder {
    had: HashSet<u32>,
    refused: Arc<AtomicUsize>,
}

impl VideoDecoder for ToyDecoder {
    fn decode(&mut self, bytes: &[u8]) -> Result<Option<Picture>, CodecError> {
        let word = |at: usize| {
            let bytes = bytes.get(at..at + 4).ok_or(CodecError::Malformed)?;
            Ok(u32::from_be_bytes(bytes.try_into().expect("four")))
        };
        let read = || Ok((word(1)?, word(5)?, word(9)?));
        let result = read().and_then(|(number, needed, size)| {
            if bytes[0] & 1 == 0 {
                self.had.clear();
            } else if !self.had.contains(&needed) {
                return Err(CodecError::Malformed);
            }
            self.had.insert(number);
            let (width, height) = (size >> 16, size & 0xffff);
            if width > SIZE_MAX || height > SIZE_MAX {
                Err(CodecError::Malformed)
            } else {
                Ok(Picture::black(width, height))
            }
        });
        self.refused.fetch_add(usize::from(result.is_err()), Ordering::Relaxed);
        result
    }
}

/// `refused` counts frames that the decoders could not decode.
pub fn decoders(refused: &Arc<AtomicUsize>) -> MakeDecoder {
    let refused = refused.clone();
    Box::new(move |_| Ok(Box::new(ToyDecoder { had: HashSet::new(), refused: refused.clone() })))
}
