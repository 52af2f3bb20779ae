//! From pictures to payloads.

use std::time::{Duration, Instant};

use super::Payload;
use super::cadence::Pace;
use super::layer::{Encoded, Layer};
use super::plan::{LAYERS_MAX, LayerPlan, halved, plan, worth};
use super::rates::Allocation;
use super::steps::Steps;
use crate::media::codec::{CodecError, VideoEncoder, VideoSettings};
use crate::media::encryption::{Keyring, Sealer};
use crate::media::packet::Packetiser;
use crate::media::{Picture, VIDEO_CLOCK, VideoCodec, pixels};

/// What kind of picture the program says it is; advice to the encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ContentHint {
    #[default]
    None,
    /// Smoothness first.
    Motion,
    /// Sharpness first.
    Detail,
    Text,
}

/// How much of a network the program wants to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BitratePreset {
    #[default]
    Default,
    Saver,
    ExtraSaver,
}

impl BitratePreset {
    /// Of the usual bit rates.
    fn share(self) -> f32 {
        match self {
            Self::Default => 1.0,
            Self::Saver => 0.5,
            Self::ExtraSaver => 0.25,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct SenderSettings {
    pub codec: VideoCodec,
    pub is_screen: bool,
    pub hint: ContentHint,
    /// How many simulcast layers were agreed on; 1: none.
    pub layers_max: usize,
    pub preset: BitratePreset,
    /// For all layers together.
    pub limit_bps: Option<u32>,
    /// That an encoder may use.
    pub threads: u32,
    /// Where numbers begin.
    pub seed: u64,
}

impl SenderSettings {
    /// A camera in one layer.
    pub fn new(codec: VideoCodec, seed: u64) -> Self {
        Self {
            codec,
            is_screen: false,
            hint: ContentHint::None,
            layers_max: 1,
            preset: BitratePreset::Default,
            limit_bps: None,
            threads: 1,
            seed,
        }
    }
}

/// One frame of one layer, ready for RTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentFrame {
    /// Counted from the lowest.
    pub layer: usize,
    /// 90 kHz, wraps; the same picture has the same in all layers.
    pub timestamp: u32,
    pub is_key: bool,
    /// The encoder; zero where that is not known.
    pub took: Duration,
    pub payloads: Vec<Payload>,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rates {
    /// What the encoders are told to make.
    pub current_bps: u64,
    /// What they would make on a network without limits.
    pub desired_bps: u64,
    pub layers: Vec<LayerRate>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct LayerRate {
    pub name: &'static str,
    /// As it is sent, which may be smaller than planned.
    pub width: u32,
    pub height: u32,
    pub bitrate_bps: u32,
    pub frames_per_second: f32,
    /// Somebody wants it and the network carries it.
    pub is_active: bool,
    pub limitation: Limitation,
    /// How often its size is halved because of that.
    pub halvings: usize,
}

/// Why a layer is smaller or slower than planned, or left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Limitation {
    /// It is as planned, or nobody wants it.
    #[default]
    None,
    /// The network carries no more.
    Bandwidth,
    /// The program's own limit.
    Other,
}

/// How encoders are made: `codec::video_encoder`, or a test's own.
pub type MakeEncoder =
    Box<dyn FnMut(VideoCodec, &VideoSettings) -> Result<Box<dyn VideoEncoder>, CodecError> + Send>;

/// One published video track. It lives through changes of size, rate and encoder; RTP time and picture numbers go on.
pub struct VideoSender {
    settings: SenderSettings,
    make: MakeEncoder,
    layers: Vec<Layer>,
    is_wanted: Vec<bool>,
    estimate_bps: Option<u64>,
    frames_per_second_max: Option<f32>,
    /// Of the latest picture.
    size: (u32, u32),
    plan: Vec<LayerPlan>,
    allocation: Allocation,
    steps: Steps,
    halvings: usize,
    /// What is to blame where a layer is less than planned: the lower one of estimate and limit.
    narrowest: Limitation,
    pace: Pace,
    clock: Clock,
}

/// A picture of fewer pixels than this is encoded faster by one thread than several can agree on it.
const ONE_THREAD_PIXELS: u32 = 640 * 360;

/// A timer of 33 ms makes 30.3 pictures a second. To leave one out of a hundred would only be seen.
const NEAR: f32 = 1.1;

/// A screen, or anything that is to stay sharp, becomes slower before it becomes blurred, down to here.
const SHARP_FRAMES_PER_SECOND_MIN: f32 = 3.0;

/// Below this share of what its size is worth a sharp picture needs more time.
const SHARP_SHARE: f32 = 0.35;

/// What is sealed with a seed has its own numbers: 0 is the sound that belongs to the picture, the layers come after it.
const VIDEO_STREAM: u8 = 1;

/// VP8 in simulcast: servers give slow subscribers half or a quarter of the pictures.
const TEMPORAL_LAYERS: u8 = 3;

impl VideoSender {
    /// With encoders made by `make`. Fails for a codec that is only received.
    pub fn with_encoders(settings: SenderSettings, make: MakeEncoder) -> Result<Self, CodecError> {
        let mut random = Random(settings.seed);
        let count = settings.layers_max.clamp(1, LAYERS_MAX);
        let mut layers = Vec::with_capacity(count);
        for _ in 0..count {
            let packetiser = Packetiser::new(settings.codec, random.next() as u16);
            let packetiser = packetiser.ok_or(CodecError::Missing(settings.codec))?;
            layers.push(Layer::new(settings.codec, packetiser));
        }
        Ok(Self {
            clock: Clock::new(random.next() as u32),
            settings,
            make,
            is_wanted: vec![true; layers.len()],
            layers,
            estimate_bps: None,
            frames_per_second_max: None,
            size: (0, 0),
            plan: Vec::new(),
            allocation: Allocation::default(),
            steps: Steps::default(),
            halvings: 0,
            narrowest: Limitation::None,
            pace: Pace::default(),
        })
    }

    /// Takes the place of another one, whose last frames may still be on their way: in a stream time does not go back.
    pub fn after(mut self, before: &Self) -> Self {
        self.clock = before.clock;
        self
    }

    /// Encrypts every frame, and sends nothing while there is no key.
    pub fn sealed_with(mut self, keyring: &Keyring) -> Self {
        for (layer, stream) in self.layers.iter_mut().zip(VIDEO_STREAM..) {
            layer.sealer = Some(Sealer::new(keyring.clone(), self.settings.seed, stream));
        }
        self
    }

    /// Scales and encodes every layer that is wanted, and makes payloads. `at`: when the picture was taken. An error of
    /// one layer does not keep the others; it makes a new encoder with the next picture.
    pub fn send(
        &mut self,
        at: Instant,
        picture: &Picture,
        frames: &mut Vec<SentFrame>,
    ) -> Result<(), CodecError> {
        let at = self.clock.advance(at);
        let timestamp = self.clock.timestamp(at);
        self.pace.add(at);
        self.look_at(picture);
        self.share_out(at);

        let mut pyramid = Pyramid::new(self.fitting(picture));
        let mut result = Ok(());
        for index in 0..self.layers.len() {
            let Some((rate, plan)) = self.allocation.layer(index).zip(self.plan.get(index).copied()) else {
                self.layers[index].stop();
                continue;
            };
            let frames_per_second = self.frames_per_second(&plan, rate);
            let measured = self.pace.frames_per_second();
            let is_near = self.is_near(frames_per_second);
            let layer = &mut self.layers[index];
            if !layer.cadence.admits(at, frames_per_second) && !is_near {
                continue;
            }
            let halvings = self.plan.len() - 1 - index + self.halvings;
            let scaled = pyramid.level(halvings);
            let is_screen = is_sharp(&self.settings);
            let is_layered = self.settings.codec == VideoCodec::Vp8 && self.settings.layers_max > 1;
            let is_small = scaled.width() * scaled.height() < ONE_THREAD_PIXELS;
            let wanted = VideoSettings {
                width: scaled.width(),
                height: scaled.height(),
                bitrate_bps: rate,
                frames_per_second: if measured > 0.0 {
                    frames_per_second.min(measured)
                } else {
                    frames_per_second
                },
                is_screen,
                threads: if is_small { 1 } else { self.settings.threads.max(1) },
                temporal_layers: if is_layered && !is_screen { TEMPORAL_LAYERS } else { 1 },
            };
            match layer.encode(&mut self.make, wanted, at, scaled) {
                Ok(Some(Encoded { is_key, took, payloads })) => {
                    frames.push(SentFrame { layer: index, timestamp, is_key, took, payloads });
                }
                Ok(None) => {}
                Err(error) => result = result.and(Err(error)),
            }
        }
        result
    }

    /// For one layer or for all. Requests close to each other are one.
    pub fn request_key_frame(&mut self, layer: Option<usize>) {
        for (index, each) in self.layers.iter_mut().enumerate() {
            if layer.is_none_or(|layer| layer == index) {
                each.request_key_frame();
            }
        }
    }

    /// Which layers somebody wants; those not named are wanted. The others cost nothing until they are wanted again,
    /// and begin with a key frame then.
    pub fn set_wanted(&mut self, layers: &[bool]) {
        for (index, is_wanted) in self.is_wanted.iter_mut().enumerate() {
            *is_wanted = layers.get(index).copied().unwrap_or(true);
        }
    }

    /// What the network carries, for video alone. Until the first call: whatever is planned.
    pub fn set_estimate(&mut self, bits_per_second: u64) {
        self.estimate_bps = Some(bits_per_second);
    }

    /// The program's own limit for all layers together.
    pub fn set_limit(&mut self, bits_per_second: Option<u32>) {
        self.settings.limit_bps = bits_per_second;
        self.replan();
    }

    pub fn set_preset(&mut self, preset: BitratePreset) {
        self.settings.preset = preset;
        self.replan();
    }

    pub fn set_content_hint(&mut self, hint: ContentHint) {
        self.settings.hint = hint;
        self.replan();
    }

    pub fn set_screen(&mut self, is_screen: bool) {
        self.settings.is_screen = is_screen;
        self.replan();
    }

    /// Pictures that come faster are left out evenly.
    pub fn set_frame_rate_limit(&mut self, frames_per_second: Option<f32>) {
        self.frames_per_second_max = frames_per_second.filter(|limit| *limit > 0.0);
    }

    /// Of the latest picture; nothing before the first.
    pub fn rates(&self) -> Rates {
        let layer = |(index, plan): (usize, &LayerPlan)| {
            let rate = self.allocation.layer(index);
            let (width, height) = halved(plan.width, plan.height, self.halvings);
            let measured = self.pace.frames_per_second();
            let planned = self.frames_per_second(plan, rate.unwrap_or(plan.bitrate_bps));
            LayerRate {
                name: plan.name,
                width,
                height,
                bitrate_bps: rate.unwrap_or(0),
                frames_per_second: if measured > 0.0 { planned.min(measured) } else { planned },
                is_active: rate.is_some(),
                limitation: self.limitation(index, plan),
                halvings: self.halvings,
            }
        };
        Rates {
            current_bps: self.allocation.total(),
            desired_bps: self.desired_bps(),
            layers: self.plan.iter().enumerate().map(layer).collect(),
        }
    }

    /// How often pictures come in. 0 until that can be told.
    pub fn incoming_rate(&self) -> f32 {
        self.pace.frames_per_second()
    }

    /// Whether an encoder of this layer is alive.
    pub fn is_encoding(&self, layer: usize) -> bool {
        self.layers.get(layer).is_some_and(Layer::is_running)
    }

    fn desired_bps(&self) -> u64 {
        let wanted = self.plan.iter().zip(&self.is_wanted).filter(|(_, is_wanted)| **is_wanted);
        let sum = wanted.map(|(plan, _)| u64::from(plan.bitrate_bps)).sum::<u64>();
        sum.min(self.limit())
    }

    fn limit(&self) -> u64 {
        self.settings.limit_bps.map_or(u64::MAX, u64::from)
    }

    fn look_at(&mut self, picture: &Picture) {
        let size = (picture.width(), picture.height());
        if size != self.size {
            self.size = size;
            self.steps = Steps::default();
            self.halvings = 0;
            self.replan();
        }
    }

    fn replan(&mut self) {
        let (width, height) = self.size;
        if width == 0 {
            return; // before the first picture
        }
        let settings = &self.settings;
        let mut layers = plan(width, height, settings.is_screen, self.layers.len(), settings.limit_bps);
        for layer in &mut layers {
            layer.bitrate_bps = (layer.bitrate_bps as f32 * settings.preset.share()) as u32;
            let is_smooth = settings.is_screen && settings.hint == ContentHint::Motion;
            if is_smooth && layer.width == width {
                layer.frames_per_second = MOTION_FRAMES_PER_SECOND;
            }
        }
        self.plan = layers;
    }

    fn share_out(&mut self, at: Duration) {
        let (estimate, limit) = (self.estimate_bps.unwrap_or(u64::MAX), self.limit());
        self.allocation.share_out(estimate.min(limit), &self.plan, &self.is_wanted);
        let may_shrink = self.plan.len() == 1 && !self.settings.is_screen && !is_sharp(&self.settings);
        self.halvings = match self.allocation.layer(0) {
            Some(rate) if may_shrink => {
                // A saver wants fewer bits for the same picture, not a smaller picture.
                let rate = (rate as f32 / self.settings.preset.share()) as u64;
                self.steps.halvings(at, rate, self.size.0, self.size.1)
            }
            _ => 0,
        };
        // A picture that may grow again is still small for the reason that made it so.
        if self.halvings == 0 || !self.steps.is_rising() {
            self.narrowest = if estimate < limit { Limitation::Bandwidth } else { Limitation::Other };
        }
    }

    fn limitation(&self, index: usize, plan: &LayerPlan) -> Limitation {
        let Some(rate) = self.allocation.layer(index) else {
            return if self.is_wanted[index] { self.narrowest } else { Limitation::None };
        };
        let frames_per_second = self.frames_per_second(plan, rate);
        let is_slower_than = |other| frames_per_second < other && !self.is_near(frames_per_second);
        if self.halvings > 0 || is_slower_than(self.frames_per_second(plan, plan.bitrate_bps)) {
            self.narrowest
        } else if is_slower_than(plan.frames_per_second) {
            Limitation::Other // the program's own, of frames per second
        } else {
            Limitation::None
        }
    }

    /// Whether pictures come hardly faster than this.
    fn is_near(&self, frames_per_second: f32) -> bool {
        let measured = self.pace.frames_per_second();
        measured > 0.0 && measured <= frames_per_second * NEAR
    }

    /// How often a layer with this rate is sent.
    fn frames_per_second(&self, plan: &LayerPlan, rate: u32) -> f32 {
        let mut wanted = plan.frames_per_second.min(self.frames_per_second_max.unwrap_or(f32::INFINITY));
        if is_sharp(&self.settings) {
            let (worth, _) = worth(plan.width, plan.height, self.settings.is_screen);
            let needed = worth.min(plan.bitrate_bps) as f32 * SHARP_SHARE;
            let slower = wanted * (rate as f32 / needed).min(1.0);
            wanted = slower.max(SHARP_FRAMES_PER_SECOND_MIN.min(wanted));
        }
        wanted
    }

    /// H.264 has no odd sizes.
    fn fitting(&self, picture: &Picture) -> Picture {
        match self.settings.codec {
            VideoCodec::H264 => {
                let even = |size: u32| (size & !1).max(2);
                pixels::scale(picture, even(picture.width()), even(picture.height()))
            }
            _ => picture.clone(),
        }
    }
}

/// A screen that shows moving pictures.
const MOTION_FRAMES_PER_SECOND: f32 = 30.0;

/// Whether sharpness goes before smoothness.
fn is_sharp(settings: &SenderSettings) -> bool {
    match settings.hint {
        ContentHint::None => settings.is_screen,
        ContentHint::Motion => false,
        ContentHint::Detail | ContentHint::Text => true,
    }
}

/// The picture and its halves, each made of the one before when it is first asked for.
struct Pyramid {
    levels: Vec<Picture>,
}

impl Pyramid {
    fn new(picture: Picture) -> Self {
        Self { levels: vec![picture] }
    }

    fn level(&mut self, halvings: usize) -> &Picture {
        while self.levels.len() <= halvings {
            let (full, before) = (&self.levels[0], &self.levels[self.levels.len() - 1]);
            let (width, height) = halved(full.width(), full.height(), self.levels.len());
            let next = pixels::scale(before, width, height);
            self.levels.push(next);
        }
        &self.levels[halvings]
    }
}

/// Capture time as encoders and RTP want it: growing, whatever the program says.
#[derive(Clone, Copy)]
struct Clock {
    begin: Option<Instant>,
    latest: Option<Duration>,
    offset: u32,
}

/// Two pictures of the same moment are this far apart.
const STEP_MIN: Duration = Duration::from_millis(1);

impl Clock {
    fn new(offset: u32) -> Self {
        Self { begin: None, latest: None, offset }
    }

    fn advance(&mut self, at: Instant) -> Duration {
        let begin = *self.begin.get_or_insert(at);
        let earliest = self.latest.map_or(Duration::ZERO, |latest| latest + STEP_MIN);
        let at = at.saturating_duration_since(begin).max(earliest);
        self.latest = Some(at);
        at
    }

    fn timestamp(&self, at: Duration) -> u32 {
        let ticks = at.as_micros() * u128::from(VIDEO_CLOCK) / 1_000_000;
        self.offset.wrapping_add(ticks as u32)
    }
}

/// Numbers that nobody needs to guess, only differ (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
