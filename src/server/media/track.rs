//! A track that is published, as the forwarder sees it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::participant::Key;
use super::dynacast::Told;
use super::speakers::Loudness;
use crate::rtc::{Codec, Layer, MediaKind, PacketIn, Section};
use crate::signal::proto::{TrackInfo, VideoLayer, VideoQuality};

/// How long a simulcast layer may be silent, while another one of its track is not, until it counts as switched off: so
/// many of its usual intervals between pictures, at least and at most so long. Whoever watches it sees nothing
/// meanwhile.
const LAYER_SILENCE_INTERVALS: f32 = 12.0;
const LAYER_SILENCE_MIN: Duration = Duration::from_millis(400);
const LAYER_SILENCE_MAX: Duration = Duration::from_millis(1500);

/// Over which time bitrates and frame rates are measured.
const MEASURE_INTERVAL: Duration = Duration::from_secs(1);

/// How much of the newest interval goes into what is believed. A key frame makes one interval much larger than others.
const SMOOTHING: f64 = 0.4;

/// Fewer pictures per second than this in a temporal layer are what is left of one that was switched off.
const TEMPORAL_RATE_MIN: f32 = 0.5;

/// A key frame costs as much as many others, so a publisher is asked for one this often at most.
pub const KEY_FRAME_PAUSE: Duration = Duration::from_millis(300);

/// The bitrate that a layer is believed to have before it was measured, where its publisher did not say: bits for each
/// pixel of a picture at 30 frames per second, as encoders are usually set.
const BITS_PER_PIXEL_S: f64 = 1.9;

/// Where not even a size is known: a small camera picture.
const BITRATE_UNKNOWN_BPS: u64 = 300_000;

/// VP8 has at most four.
pub const TEMPORAL_LAYERS_MAX: usize = 4;

#[derive(Debug)]
pub struct Track {
    pub sid: Arc<str>,
    pub publisher: Key,
    pub kind: MediaKind,
    pub section: Section,
    pub is_muted: bool,
    pub codec: Option<Codec>,
    /// How often it was another codec than before.
    pub recodings: u8,
    /// Lowest first; one without a name where there is no simulcast.
    pub layers: Vec<Stream>,
    pub subscribers: Vec<Key>,
    /// Somebody has got it at some time.
    pub was_subscribed: bool,
    pub loudness: Loudness,
    pub told: Told,
    /// Which layers were sent when it was last looked at.
    pub sent: Vec<bool>,
}

/// One of a track's simulcast layers.
#[derive(Debug)]
pub struct Stream {
    pub name: Option<Layer>,
    pub quality: VideoQuality,
    pub width: u32,
    pub height: u32,
    /// What the publisher said it would send.
    announced_bps: u32,
    /// When a packet last came.
    pub heard: Option<Instant>,
    measured: Measured,
    asked: Option<Instant>,
    /// A key frame is wanted and may not be asked for yet.
    wants_key: bool,
}

/// What went by in the last interval, by temporal layers: a picture of layer 2 counts as 2 alone.
#[derive(Debug, Default)]
struct Measured {
    since: Option<Instant>,
    bits: [u64; TEMPORAL_LAYERS_MAX],
    pictures: [u32; TEMPORAL_LAYERS_MAX],
    rate: Option<[Rate; TEMPORAL_LAYERS_MAX]>,
}

#[derive(Debug, Clone, Copy, Default)]
pub struct Rate {
    pub bits_per_second: u64,
    pub frames_per_second: f32,
}

impl Stream {
    fn new(name: Option<Layer>, quality: VideoQuality, known: Option<&VideoLayer>) -> Self {
        Self {
            name,
            quality,
            width: known.map_or(0, |layer| layer.width),
            height: known.map_or(0, |layer| layer.height),
            announced_bps: known.map_or(0, |layer| layer.bitrate),
            heard: None,
            measured: Measured::default(),
            asked: None,
            wants_key: false,
        }
    }

    /// Counts a packet.
    pub fn count(&mut self, packet: &PacketIn, temporal: u8) {
        let now = packet.received;
        let heard = self.heard.replace(now);
        let measured = &mut self.measured;
        if heard.is_some_and(|heard| now.saturating_duration_since(heard) >= MEASURE_INTERVAL) {
            // It was switched off, or its picture stood still. That says nothing of what it takes when it moves.
            *measured = Measured { rate: measured.rate.take(), ..Measured::default() };
        }
        let since = *measured.since.get_or_insert(now);
        let elapsed = now.saturating_duration_since(since);
        if elapsed >= MEASURE_INTERVAL {
            let seconds = elapsed.as_secs_f64();
            let mut rate = [Rate::default(); TEMPORAL_LAYERS_MAX];
            for (index, rate) in rate.iter_mut().enumerate() {
                let bits_per_second = measured.bits[index] as f64 / seconds;
                let frames_per_second = f64::from(measured.pictures[index]) / seconds;
                let (bits, frames) = match &measured.rate {
                    Some(before) => {
                        (before[index].bits_per_second as f64, f64::from(before[index].frames_per_second))
                    }
                    None => (bits_per_second, frames_per_second),
                };
                rate.bits_per_second = (bits + (bits_per_second - bits) * SMOOTHING) as u64;
                rate.frames_per_second = (frames + (frames_per_second - frames) * SMOOTHING) as f32;
            }
            *measured = Measured { since: Some(now), rate: Some(rate), ..Measured::default() };
        }
        let temporal = usize::from(temporal).min(TEMPORAL_LAYERS_MAX - 1);
        measured.bits[temporal] += packet.payload.len() as u64 * 8;
        measured.pictures[temporal] += u32::from(packet.is_marked);
    }

    /// What it takes to forward it up to this temporal layer.
    pub fn rate(&self, temporal_max: u8) -> Rate {
        let Some(rates) = &self.measured.rate else {
            return Rate { bits_per_second: self.expected_bps(), frames_per_second: 0.0 };
        };
        let upto = rates.iter().take(usize::from(temporal_max) + 1);
        upto.fold(Rate::default(), |sum, rate| Rate {
            bits_per_second: sum.bits_per_second + rate.bits_per_second,
            frames_per_second: sum.frames_per_second + rate.frames_per_second,
        })
    }

    /// The highest temporal layer that has been seen.
    pub fn temporal_top(&self) -> u8 {
        let seen = |rates: &[Rate; TEMPORAL_LAYERS_MAX]| {
            rates.iter().rposition(|rate| rate.frames_per_second >= TEMPORAL_RATE_MIN).unwrap_or(0)
        };
        self.measured.rate.as_ref().map_or(0, seen) as u8
    }

    fn silence_max(&self) -> Duration {
        let frames_per_second = self.rate(u8::MAX).frames_per_second;
        if frames_per_second <= 0.0 {
            return LAYER_SILENCE_MAX;
        }
        let usual = Duration::from_secs_f32(LAYER_SILENCE_INTERVALS / frames_per_second.max(1.0));
        usual.clamp(LAYER_SILENCE_MIN, LAYER_SILENCE_MAX)
    }

    /// Whether it is being sent, where a packet of its track last came at `newest`.
    fn is_sent(&self, newest: Option<Instant>) -> bool {
        match (self.heard, newest) {
            (Some(heard), Some(newest)) => newest.saturating_duration_since(heard) < self.silence_max(),
            _ => false,
        }
    }

    fn expected_bps(&self) -> u64 {
        match (self.announced_bps, u64::from(self.width) * u64::from(self.height)) {
            (0, 0) => BITRATE_UNKNOWN_BPS,
            (0, pixels) => (pixels as f64 * BITS_PER_PIXEL_S) as u64,
            (announced, _) => u64::from(announced),
        }
    }

    /// Whether the publisher is to be asked for a key frame now. If it was asked just now, it will be later.
    pub fn wants_key(&mut self, now: Instant) -> bool {
        let may = self.asked.is_none_or(|asked| now.saturating_duration_since(asked) >= KEY_FRAME_PAUSE);
        self.wants_key = !may;
        if may {
            self.asked = Some(now);
        }
        may
    }

    /// Whether a wish for a key frame was put off until now.
    pub fn wanted_key(&mut self, now: Instant) -> bool {
        self.wants_key && self.wants_key(now)
    }

    /// A key frame has come.
    pub fn got_key(&mut self) {
        self.wants_key = false;
    }
}

impl Track {
    /// The index of the layer of this name.
    pub fn layer(&self, name: Option<Layer>) -> Option<usize> {
        // A lone layer is the one that is meant, whatever it is called.
        if self.layers.len() == 1 {
            return Some(0);
        }
        self.layers.iter().position(|stream| stream.name == name)
    }

    /// Whether other layers are being sent than when this was last asked.
    pub fn has_other_layers(&mut self) -> bool {
        let newest = self.newest();
        let sent: Vec<bool> = self.layers.iter().map(|stream| stream.is_sent(newest)).collect();
        let has_changed = sent != self.sent;
        self.sent = sent;
        has_changed
    }

    /// Whether the layer is being sent, as far as can be seen.
    pub fn is_sent(&self, index: usize) -> bool {
        self.layers.get(index).is_some_and(|stream| stream.is_sent(self.newest()))
    }

    /// When a packet of any layer last came.
    fn newest(&self) -> Option<Instant> {
        self.layers.iter().filter_map(|stream| stream.heard).max()
    }

    /// The picture has another size: each layer keeps its part of it.
    pub fn resize(&mut self, width: u32, height: u32) {
        let whole = self.layers.iter().map(|stream| stream.width.max(stream.height)).max().unwrap_or(0);
        for stream in self.layers.iter_mut().filter(|_| whole > 0) {
            let part = u64::from(stream.width.max(stream.height));
            let scaled = |size: u32| (u64::from(size) * part / u64::from(whole)) as u32;
            (stream.width, stream.height) = (scaled(width), scaled(height));
        }
    }

    /// The layer that shows a picture in this size: the smallest that is as large.
    pub fn layer_for_size(&self, width: u32, height: u32) -> usize {
        let long = width.max(height);
        let fits = |stream: &Stream| stream.width.max(stream.height) >= long;
        self.layers.iter().position(fits).unwrap_or(self.layers.len().saturating_sub(1))
    }

    /// The highest layer of at most this quality.
    pub fn layer_for_quality(&self, quality: VideoQuality) -> usize {
        self.layers.iter().rposition(|stream| stream.quality <= quality).unwrap_or(0)
    }
}

/// The layers a section says it sends, lowest first.
pub fn layers(info: &TrackInfo, names: &[Layer]) -> Vec<Stream> {
    let known = known_layers(info);
    if names.len() < 2 {
        let top = known.iter().max_by_key(|layer| layer.width);
        let mut only = Stream::new(names.first().copied(), VideoQuality::High, top);
        (only.width, only.height) = match top {
            Some(layer) if layer.width > 0 => (layer.width, layer.height),
            _ => (info.width, info.height),
        };
        return vec![only];
    }
    let mut names = names.to_vec();
    names.sort_by_key(rank);
    let count = names.len();
    let named = names.into_iter().enumerate().map(|(index, name)| {
        let said = known
            .iter()
            .find(|layer| layer.rid == name.as_str())
            .or_else(|| if known.len() == count { known.get(index) } else { None });
        let quality = said.map_or_else(
            || [VideoQuality::Low, VideoQuality::Medium, VideoQuality::High][index.min(2)],
            VideoLayer::quality,
        );
        let mut stream = Stream::new(Some(name), quality, said);
        if stream.width == 0 {
            // LiveKit's clients halve the picture from layer to layer.
            let halvings = u32::try_from(count - 1 - index).unwrap_or(0).min(8);
            (stream.width, stream.height) = (info.width >> halvings, info.height >> halvings);
        }
        stream
    });
    named.collect()
}

#[allow(deprecated)] // older clients describe the layers of the track and not of each codec
fn known_layers(info: &TrackInfo) -> Vec<VideoLayer> {
    let of_codec = info.codecs.first().map(|codec| codec.layers.clone()).unwrap_or_default();
    let mut known = if of_codec.is_empty() { info.layers.clone() } else { of_codec };
    known.sort_by_key(|layer| layer.quality);
    known
}

/// Layers by their usual names: quarter, half, full; or by number, where 0 is the largest.
fn rank(name: &Layer) -> (u8, u32) {
    match name.as_str() {
        "q" => (0, 0),
        "h" => (1, 0),
        "f" => (2, 0),
        other => (3, other.parse::<u32>().map_or(0, |number| u32::MAX - number)),
    }
}

/// The codec of a MIME type. What carries Opus redundantly is forwarded as plain Opus.
pub fn codec_of(mime_type: &str) -> Option<Codec> {
    let (_, name) = mime_type.split_once('/')?;
    let known = [
        ("vp8", Codec::Vp8),
        ("vp9", Codec::Vp9),
        ("h264", Codec::H264),
        ("av1", Codec::Av1),
        ("opus", Codec::Opus),
        ("red", Codec::Opus),
    ];
    known.into_iter().find(|(known, _)| name.eq_ignore_ascii_case(known)).map(|(_, codec)| codec)
}

/// As LiveKit writes them.
pub fn mime_type(codec: Codec) -> &'static str {
    match codec {
        Codec::Opus => "audio/opus",
        Codec::Red => "audio/red",
        Codec::Vp8 => "video/VP8",
        Codec::Vp9 => "video/VP9",
        Codec::H264 => "video/H264",
        Codec::Av1 => "video/AV1",
    }
}
