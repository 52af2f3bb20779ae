//! A publisher as the program holds it: settings, a capturer, and one stream at a time, in one session after another.
//!
//! What comes in from the program goes to the session as wishes; what the session says comes back through
//! [`Publisher::hear`]. Locks: a session's may be held when a publisher's is taken, never the other way round.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::camera;
use super::capture::{Capture, CaptureSettings, Capturer};
use super::session::Session;
use super::{Error, hexadecimal, random, statistics};
use crate::driver::callbacks::{DELETE_TIMEOUT, Gate, PUBLISHERS, Poster};
use crate::driver::session::MediaPort;
use crate::driver::sound::{Capture as SoundCapture, CaptureGuard, CaptureSettings as Processing, Sound};
use crate::driver::video_out::{Order, Source, VideoOut};
use crate::driver::workers::Workers;
use crate::media::audio::{self, AudioSender, Level};
use crate::media::codec::{self, CodecError};
use crate::media::video::{self, Rates, plan_layers};
use crate::media::{Kind, Picture, VideoCodec, pixels};
use crate::session::media::{
    MediaFault, MediaReason, Outgoing, Publication, PublicationId, PublishedAudio, PublishedLayer,
    PublishedVideo, PublisherEvent, Sent, VideoReason,
};
use crate::session::{Input, Stream, VideoType};

pub use crate::media::video::{BitratePreset, ContentHint};

/// How long a frame waits for its turn among the callbacks of publishers before the next one takes its place.
const PREVIEW_PATIENCE: Duration = Duration::from_millis(10);

/// How long a publishing waits for the first picture of a capturer that does not say how large they are.
const FIRST_PICTURE_TIMEOUT: Duration = Duration::from_millis(500);

/// Steps of 10 ms between two levels: ten a second.
const LEVEL_STEPS: u32 = 10;

#[derive(Clone)]
pub struct Settings {
    pub name: String,
    /// `None`: the camera.
    pub capturer: Option<Arc<dyn Capturer>>,
    pub has_audio: bool,
    pub has_video: bool,
    pub is_stereo: bool,
    pub uses_dtx: bool,
    pub processing: Processing,
    /// Width and height of the camera's pictures.
    pub camera_resolution: (u32, u32),
    pub is_screen_scalable: bool,
    /// The publisher's own; the receivers' is set on the publisher.
    pub audio_fallback: bool,
    pub sends_statistics: bool,
    /// What video is sent in, if this machine can and the other side takes it; the best first.
    pub preferred_codecs: Vec<VideoCodec>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            name: String::new(),
            capturer: None,
            has_audio: true,
            has_video: true,
            is_stereo: false,
            uses_dtx: false,
            processing: Processing::default(),
            camera_resolution: (640, 480),
            is_screen_scalable: false,
            audio_fallback: false,
            sends_statistics: false,
            preferred_codecs: Vec::new(),
        }
    }
}

/// One callback of the program that is no frame.
#[derive(Debug, Clone, PartialEq)]
pub enum Notice {
    StreamCreated(Arc<Stream>),
    StreamDestroyed(Arc<Stream>),
    AudioLevel(f32),
    MuteForced,
    VideoDisabled(VideoReason),
    VideoEnabled(VideoReason),
    VideoDisableWarning,
    VideoDisableWarningLifted,
    AudioStatistics { statistics: Statistics, level: f32 },
    VideoStatistics(Statistics),
    Error(MediaFault),
}

/// What has gone out so far.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Statistics {
    pub packets_lost: u64,
    pub packets_sent: u64,
    pub bytes_sent: u64,
    /// Milliseconds since 1970: of this counting, and of its beginning.
    pub at_ms: f64,
    pub since_ms: f64,
}

/// Gets reports as JSON.
pub type Reporter = Arc<dyn Fn(&str) + Send + Sync>;

/// The program's side. Called with no lock held except the one that gives publishers their turn; may call anything.
pub trait Observer: Send + Sync + 'static {
    fn notify(&self, notice: Notice);
    fn render(&self, picture: Picture);
    /// Whether frames are looked at.
    fn renders(&self) -> bool;
    fn hears_levels(&self) -> bool;
}

/// See the module's text.
pub struct Publisher {
    settings: Settings,
    id: String,
    observer: Arc<dyn Observer>,
    gate: Gate,
    capture: Option<Capture>,
    inner: Mutex<Inner>,
    /// Taken by the thread that brings a frame; nothing else is taken inside.
    video: Mutex<Option<VideoOut>>,
    /// Where notices are put. Nothing is taken with it held.
    poster: Mutex<Option<Poster>>,
    is_mirrored: AtomicBool,
    /// A level waits for the callback thread: no other one is put behind it.
    level_waits: AtomicBool,
}

struct Inner {
    is_deleted: bool,
    placed: Option<Placed>,
    publishes_audio: bool,
    publishes_video: bool,
    video_type: VideoType,
    hint: ContentHint,
    preset: BitratePreset,
    video_limit_bps: Option<u32>,
    audio_limit_bps: Option<u32>,
    publishes_captions: bool,
    subscriber_fallback: bool,
    reporter: Option<Reporter>,
    /// A report was asked for.
    owes_report: bool,
    audio: Option<Arc<AudioOut>>,
    capture_guard: Option<CaptureGuard>,
}

/// The session that a publisher is in.
struct Placed {
    session: Arc<Session>,
    id: PublicationId,
    port: MediaPort,
    workers: Workers,
    sound: Sound,
    stream: Option<Arc<Stream>>,
    since_ms: f64,
    runtime: tokio::runtime::Handle,
    /// The capturer has not said how large its pictures are: the first one will.
    waits_for_picture: bool,
}

/// What came of starting the capturer.
enum Captured {
    Nothing,
    Unknown,
    Known(CaptureSettings),
}

/// What a session lends a publisher.
pub(super) struct Place {
    pub session: Arc<Session>,
    pub port: MediaPort,
    pub poster: Poster,
    pub workers: Workers,
    pub sound: Sound,
    pub runtime: tokio::runtime::Handle,
}

impl Publisher {
    pub fn new(settings: Settings, observer: Arc<dyn Observer>) -> Arc<Self> {
        let inner = Inner {
            is_deleted: false,
            placed: None,
            publishes_audio: true,
            publishes_video: true,
            video_type: VideoType::Camera,
            hint: ContentHint::None,
            preset: BitratePreset::Default,
            video_limit_bps: None,
            audio_limit_bps: None,
            publishes_captions: false,
            subscriber_fallback: true,
            reporter: None,
            owes_report: false,
            audio: None,
            capture_guard: None,
        };
        Arc::new_cyclic(|publisher| Self {
            capture: settings.has_video.then(|| {
                let own = settings.capturer.clone();
                Capture::new(own.unwrap_or_else(|| camera::camera(publisher, settings.camera_resolution)))
            }),
            id: hexadecimal(random()),
            observer,
            gate: Gate::default(),
            inner: Mutex::new(inner),
            video: Mutex::new(None),
            poster: Mutex::default(),
            is_mirrored: AtomicBool::new(false),
            level_waits: AtomicBool::new(false),
            settings,
        })
    }

    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// Unique in the world; of this object, whatever it publishes.
    pub fn id(&self) -> &str {
        &self.id
    }

    pub fn session(&self) -> Option<Arc<Session>> {
        self.inner.lock().placed.as_ref().map(|placed| placed.session.clone())
    }

    /// The publishing under way.
    pub(super) fn publication(&self) -> Option<PublicationId> {
        self.inner.lock().placed.as_ref().map(|placed| placed.id)
    }

    /// The stream in the session, once it is there.
    pub fn stream(&self) -> Option<Arc<Stream>> {
        self.inner.lock().placed.as_ref().and_then(|placed| placed.stream.clone())
    }

    pub fn publishes(&self, kind: Kind) -> bool {
        let inner = self.inner.lock();
        match kind {
            Kind::Audio => inner.publishes_audio,
            Kind::Video => inner.publishes_video,
        }
    }

    pub fn set_publishes(&self, kind: Kind, is_on: bool) {
        let mut inner = self.inner.lock();
        match kind {
            Kind::Audio => inner.publishes_audio = is_on,
            Kind::Video => inner.publishes_video = is_on,
        }
        if let Some(placed) = &inner.placed {
            placed.port.wish(Input::SetPublishing { id: placed.id, kind, is_on });
        }
        if kind == Kind::Video {
            self.order(Order::SetOn(is_on));
        } else if let Some(audio) = &inner.audio {
            audio.sender.lock().set_enabled(is_on);
        }
    }

    pub fn video_type(&self) -> VideoType {
        self.inner.lock().video_type
    }

    /// What is published already keeps its place in the session; its pictures are treated as the new type's.
    pub fn set_video_type(&self, video_type: VideoType) {
        self.inner.lock().video_type = video_type;
        self.order(Order::Screen(video_type == VideoType::Screen));
    }

    pub fn content_hint(&self) -> ContentHint {
        self.inner.lock().hint
    }

    pub fn set_content_hint(&self, hint: ContentHint) {
        self.inner.lock().hint = hint;
        self.order(Order::Hint(hint));
    }

    /// Bits per second; what Opus cannot do was refused before.
    pub fn set_audio_limit(&self, bits_per_second: u32) {
        let mut inner = self.inner.lock();
        inner.audio_limit_bps = Some(bits_per_second);
        if let Some(audio) = &inner.audio {
            audio.sender.lock().set_bitrate(bits_per_second);
        }
    }

    /// `None` when a preset rules, or nothing was set.
    pub fn video_limit(&self) -> Option<u32> {
        self.inner.lock().video_limit_bps
    }

    /// Takes the place of a preset.
    pub fn set_video_limit(&self, bits_per_second: u32) {
        let mut inner = self.inner.lock();
        inner.video_limit_bps = Some(bits_per_second);
        inner.preset = BitratePreset::Default;
        self.order(Order::Preset(BitratePreset::Default));
        self.order(Order::Limit(Some(bits_per_second)));
    }

    pub fn preset(&self) -> BitratePreset {
        self.inner.lock().preset
    }

    /// Takes the place of a limit.
    pub fn set_preset(&self, preset: BitratePreset) {
        let mut inner = self.inner.lock();
        inner.video_limit_bps = None;
        inner.preset = preset;
        self.order(Order::Limit(None));
        self.order(Order::Preset(preset));
    }

    /// Kept; nothing here makes captions.
    pub fn set_publishes_captions(&self, publishes_captions: bool) -> Result<(), Error> {
        if !self.settings.has_audio {
            return Err(Error::MissingAudioTrack);
        }
        self.inner.lock().publishes_captions = publishes_captions;
        Ok(())
    }

    pub fn subscriber_fallback(&self) -> bool {
        self.inner.lock().subscriber_fallback
    }

    pub fn set_subscriber_fallback(&self, subscriber_fallback: bool) {
        self.inner.lock().subscriber_fallback = subscriber_fallback;
    }

    pub fn set_reporter(&self, reporter: Option<Reporter>) {
        self.inner.lock().reporter = reporter;
    }

    /// Asks for a report; the reporter gets it.
    pub fn report(&self) -> Result<(), Error> {
        let mut inner = self.inner.lock();
        if inner.reporter.is_none() {
            return Err(Error::InvalidParameter);
        }
        let placed = inner.placed.as_ref().ok_or(Error::NotConnected)?;
        placed.port.wish(Input::Count(placed.id));
        inner.owes_report = true;
        Ok(())
    }

    /// Asks the session for what has gone out so far.
    pub(super) fn count(&self) {
        if let Some(placed) = &self.inner.lock().placed {
            placed.port.wish(Input::Count(placed.id));
        }
    }

    /// A picture of the capturer, upright. Never waits; nothing happens while nothing is captured.
    pub fn provide(&self, picture: impl FnOnce() -> Result<Picture, Error>) -> Result<(), Error> {
        let at = Instant::now();
        if self.video.lock().is_none() {
            return Ok(());
        }
        // Converted with nothing locked: whoever ends this publisher meanwhile does not wait for it.
        let picture = picture()?;
        let waiting = self
            .inner
            .lock()
            .placed
            .as_ref()
            .filter(|placed| placed.waits_for_picture)
            .map(|placed| placed.id);
        if let Some(id) = waiting {
            let (width, height) = (picture.width(), picture.height());
            self.first_picture(id, CaptureSettings { width, height, ..CaptureSettings::default() });
        }
        if let Some(video) = &*self.video.lock() {
            video.put(picture, at);
        }
        Ok(())
    }

    /// Ends everything. When it has returned no notice starts and the capturer is destroyed; inside a callback nothing
    /// that runs is waited for.
    pub fn delete(&self) {
        self.end();
        self.close(Instant::now() + DELETE_TIMEOUT);
    }

    /// The first half of a deletion, which waits for nothing.
    pub fn end(&self) {
        let placed = {
            let mut inner = self.inner.lock();
            inner.is_deleted = true;
            inner.placed.take()
        };
        self.gate.shut();
        if let Some(placed) = placed {
            placed.port.wish(Input::Unpublish(placed.id));
        }
    }

    /// The second half.
    pub(super) fn close(&self, deadline: Instant) {
        self.stop_media(deadline);
        self.gate.close(deadline);
    }

    fn order(&self, order: Order) {
        if let Some(video) = &*self.video.lock() {
            video.order(order);
        }
    }

    /// Enters a session. The capturer is started on the callback thread, and then the stream is published.
    pub(super) fn place(self: &Arc<Self>, place: Place) -> Result<PublicationId, Error> {
        let mut inner = self.inner.lock();
        if inner.is_deleted || inner.placed.is_some() {
            return Err(Error::IllegalState);
        }
        let id = next_id();
        let Place { session, port, poster, workers, sound, runtime } = place;
        *self.poster.lock() = Some(poster.clone());
        let since_ms = statistics::wall_ms();
        inner.placed = Some(Placed {
            session,
            id,
            port,
            workers,
            sound,
            stream: None,
            since_ms,
            runtime,
            waits_for_picture: false,
        });
        drop(inner);
        let publisher = self.clone();
        poster.post(move || publisher.begin(id));
        Ok(id)
    }

    fn begin(self: &Arc<Self>, id: PublicationId) {
        let captured = self.capture.as_ref().and_then(|capture| {
            let inner = self.inner.lock();
            let placed = inner.placed.as_ref().filter(|placed| placed.id == id)?;
            match VideoOut::start(&placed.workers, Arc::new(Preview(Arc::downgrade(self)))) {
                Ok(video) => {
                    video.order(Order::SetOn(inner.publishes_video));
                    *self.video.lock() = Some(video);
                }
                Err(error) => log::error!("no thread for an encoder: {error}"),
            }
            // With the lock held: whoever ends this publisher after that is heard after it.
            capture.want(true);
            drop(inner);
            capture.settle()
        });
        let video = match captured {
            Some(Ok(Some(settings))) => Captured::Known(settings),
            // Its first picture shows what the others will be like.
            Some(Ok(None)) => Captured::Unknown,
            Some(Err(_)) => {
                let text = match self.settings.capturer {
                    Some(_) => "the video capturer did not start",
                    None => "there is no camera that could be used",
                };
                self.say(Notice::Error(MediaFault::new(MediaReason::Internal, text)));
                Captured::Nothing
            }
            None => Captured::Nothing,
        };
        let mut inner = self.inner.lock();
        // Where it has been unpublished meanwhile, what was started is stopped by whoever did that.
        let Some(placed) = inner.placed.as_mut().filter(|placed| placed.id == id) else { return };
        match video {
            Captured::Nothing => self.announce(&inner, None),
            Captured::Known(settings) => {
                self.is_mirrored.store(settings.is_mirrored_locally, Ordering::Relaxed);
                self.announce(&inner, Some(settings));
            }
            Captured::Unknown => {
                placed.waits_for_picture = true;
                let publisher = Arc::downgrade(self);
                placed.runtime.spawn(async move {
                    tokio::time::sleep(FIRST_PICTURE_TIMEOUT).await;
                    if let Some(publisher) = publisher.upgrade() {
                        publisher.first_picture(id, CaptureSettings::default());
                    }
                });
            }
        }
    }

    /// The size of the pictures is known by now, or nobody waits for it any longer.
    fn first_picture(&self, id: PublicationId, settings: CaptureSettings) {
        let mut inner = self.inner.lock();
        let Some(placed) = inner.placed.as_mut().filter(|placed| placed.id == id) else { return };
        if std::mem::take(&mut placed.waits_for_picture) {
            self.announce(&inner, Some(settings));
        }
    }

    fn announce(&self, inner: &Inner, captured: Option<CaptureSettings>) {
        if let Some(placed) = &inner.placed {
            let wish = self.wish(placed.id, inner, captured);
            placed.port.wish(Input::Publish(Box::new(wish)));
        }
    }

    fn codecs(&self) -> Vec<VideoCodec> {
        codecs(&self.settings.preferred_codecs, &codec::supported().encoders)
    }

    /// VP9 in several streams is carried by this library's server; a LiveKit server gives everybody the smallest one.
    fn wants_simulcast(&self, is_screen: bool) -> bool {
        let is_divisible = self.codecs().first() != Some(&VideoCodec::Vp9);
        is_divisible && (!is_screen || self.settings.is_screen_scalable)
    }

    fn wish(&self, id: PublicationId, inner: &Inner, captured: Option<CaptureSettings>) -> Publication {
        let is_screen = inner.video_type == VideoType::Screen;
        let layers = |settings: CaptureSettings| -> Vec<PublishedLayer> {
            let wants_simulcast = self.wants_simulcast(is_screen);
            let (width, height) = (settings.width.max(1), settings.height.max(1));
            let plan = plan_layers(width, height, is_screen, wants_simulcast, inner.video_limit_bps);
            plan.into_iter()
                .map(|layer| PublishedLayer {
                    name: layer.name,
                    width: layer.width,
                    height: layer.height,
                    bitrate_bps: layer.bitrate_bps,
                })
                .collect()
        };
        Publication {
            id,
            name: self.settings.name.clone(),
            audio: self.settings.has_audio.then_some(PublishedAudio {
                is_on: inner.publishes_audio,
                is_stereo: self.settings.is_stereo,
                uses_dtx: self.settings.uses_dtx,
            }),
            video: captured.map(|settings| PublishedVideo {
                is_on: inner.publishes_video,
                video_type: inner.video_type,
                codecs: self.codecs(),
                layers: layers(settings),
            }),
        }
    }

    /// Leaves the session: no media goes there any more. The capturer is stopped on the callback thread, before this
    /// publisher begins anything new there.
    pub(super) fn leave(self: &Arc<Self>, id: PublicationId) {
        let placed = self.inner.lock().placed.take_if(|placed| placed.id == id);
        if placed.is_some() {
            self.post_plain(|publisher| publisher.stop_media(Instant::now() + DELETE_TIMEOUT));
        }
    }

    /// The capturer and the encoders end. Nothing is locked meanwhile.
    fn stop_media(&self, deadline: Instant) {
        let (guard, audio) = {
            let mut inner = self.inner.lock();
            (inner.capture_guard.take(), inner.audio.take())
        };
        drop((guard, audio));
        if let Some(capture) = &self.capture {
            capture.finish(deadline);
        }
        let video = self.video.lock().take();
        drop(video);
    }

    /// What the session says of a publication of this publisher.
    pub(super) fn hear(self: &Arc<Self>, id: PublicationId, event: PublisherEvent) {
        let mut inner = self.inner.lock();
        let is_current = inner.placed.as_ref().is_some_and(|placed| placed.id == id);
        match event {
            PublisherEvent::Published { stream, video } => {
                self.say(Notice::StreamCreated(stream.clone()));
                if is_current {
                    self.published(&mut inner, stream, video);
                }
            }
            PublisherEvent::Renewed { stream, video } if is_current => {
                self.published(&mut inner, stream, video)
            }
            PublisherEvent::Changed(stream) => {
                if let Some(placed) = inner.placed.as_mut().filter(|placed| placed.id == id) {
                    placed.stream = Some(stream);
                }
            }
            PublisherEvent::MuteForced if is_current => {
                inner.publishes_audio = false;
                if let Some(audio) = &inner.audio {
                    audio.sender.lock().set_enabled(false);
                }
                self.say(Notice::MuteForced);
            }
            PublisherEvent::KeyFrameWanted(layer) if is_current => self.order(Order::KeyFrame(layer)),
            PublisherEvent::LayersWanted(layers) if is_current => self.order(Order::Layers(layers)),
            PublisherEvent::Bitrate(bits_per_second) if is_current => {
                self.order(Order::Estimate(bits_per_second))
            }
            PublisherEvent::Counted { audio, video } if is_current => self.counted(&mut inner, audio, video),
            // The session keeps the stream that ends here, and whether there was one.
            PublisherEvent::Failed(fault) => self.say(Notice::Error(fault)),
            _ => {}
        }
    }

    fn counted(self: &Arc<Self>, inner: &mut Inner, audio: Option<Sent>, video: Option<Sent>) {
        let Some(placed) = &inner.placed else { return };
        let (at_ms, since_ms) = (statistics::wall_ms(), placed.since_ms);
        let told = |sent: &Sent| Statistics {
            packets_lost: sent.packets_lost,
            packets_sent: sent.packets,
            bytes_sent: sent.bytes,
            at_ms,
            since_ms,
        };
        let level = inner.audio.as_ref().map_or(0.0, |audio| audio.meter.lock().0.value());
        if let Some(reporter) = inner.reporter.clone().filter(|_| std::mem::take(&mut inner.owes_report)) {
            let report = statistics::outgoing(at_ms, audio.as_ref(), video.as_ref());
            self.post(move |_| reporter(&report));
            return;
        }
        if let Some(sent) = &audio {
            self.say(Notice::AudioStatistics { statistics: told(sent), level });
        }
        if let Some(sent) = &video {
            self.say(Notice::VideoStatistics(told(sent)));
        }
    }

    pub(super) fn stream_destroyed(self: &Arc<Self>, stream: Arc<Stream>) {
        self.say(Notice::StreamDestroyed(stream));
    }

    fn published(self: &Arc<Self>, inner: &mut Inner, stream: Arc<Stream>, video: Option<VideoCodec>) {
        let seed = u64::from_le_bytes(random());
        let (publishes_audio, audio_limit_bps) = (inner.publishes_audio, inner.audio_limit_bps);
        let Some(placed) = &mut inner.placed else { return };
        placed.stream = Some(stream.clone());
        if let Some(codec) = video {
            let is_screen = inner.video_type == VideoType::Screen;
            let layers_max = match self.wants_simulcast(is_screen) {
                true => {
                    let (width, height) = (stream.video_width, stream.video_height);
                    plan_layers(width, height, is_screen, true, inner.video_limit_bps).len()
                }
                false => 1,
            };
            let settings = video::SenderSettings {
                is_screen,
                hint: inner.hint,
                layers_max,
                preset: inner.preset,
                limit_bps: inner.video_limit_bps,
                threads: threads(),
                ..video::SenderSettings::new(codec, seed)
            };
            self.order(Order::Begin { id: placed.id, settings, port: placed.port.clone() });
        }
        if stream.has_audio_track && inner.audio.is_none() {
            let settings = audio::SenderSettings {
                is_stereo: self.settings.is_stereo,
                bitrate_bps: audio_limit_bps,
                uses_dtx: self.settings.uses_dtx,
                uses_fec: true,
                seed,
            };
            match codec::audio_encoder(&settings.encoder()) {
                Ok(encoder) => {
                    let mut sender = AudioSender::new(&settings, encoder);
                    sender.set_enabled(publishes_audio);
                    let audio = Arc::new(AudioOut {
                        publisher: Arc::downgrade(self),
                        port: placed.port.clone(),
                        id: placed.id,
                        sender: Mutex::new(sender),
                        meter: Mutex::new((Level::default(), 0)),
                    });
                    inner.capture_guard =
                        Some(placed.sound.add_capture(audio.clone(), self.settings.processing));
                    inner.audio = Some(audio);
                }
                Err(error) => log::error!("sound cannot be encoded: {error:?}"),
            }
        }
    }

    /// Puts a notice on the callback thread.
    fn say(self: &Arc<Self>, notice: Notice) {
        self.post(move |publisher| publisher.observer.notify(notice));
    }

    fn post(self: &Arc<Self>, callback: impl FnOnce(&Arc<Self>) + Send + 'static) {
        self.post_plain(move |publisher| PUBLISHERS.take(|| publisher.gate.pass(|| callback(publisher))));
    }

    fn post_plain(self: &Arc<Self>, job: impl FnOnce(&Arc<Self>) + Send + 'static) {
        let poster = self.poster.lock().clone();
        if let Some(poster) = poster {
            let publisher = self.clone();
            poster.post(move || job(&publisher));
        }
    }

    fn level(self: &Arc<Self>, level: f32) {
        if !self.observer.hears_levels() || self.level_waits.swap(true, Ordering::Relaxed) {
            return;
        }
        self.post_plain(|publisher| publisher.level_waits.store(false, Ordering::Relaxed));
        self.say(Notice::AudioLevel(level));
    }
}

/// The pictures of a publisher, on their way to the encoder. Does not keep the publisher.
struct Preview(Weak<Publisher>);

impl Source for Preview {
    fn preview(&self, picture: &mut Picture) {
        let Some(publisher) = self.0.upgrade() else { return };
        if !publisher.observer.renders() {
            return;
        }
        let shown = match publisher.is_mirrored.load(Ordering::Relaxed) {
            true => pixels::mirror(picture),
            false => picture.clone(),
        };
        PUBLISHERS.try_take(PREVIEW_PATIENCE, || {
            publisher.gate.pass(|| publisher.observer.render(shown));
        });
    }

    fn encoder_failed(&self, id: PublicationId, error: CodecError) {
        let Some(publisher) = self.0.upgrade() else { return };
        if publisher.inner.lock().placed.as_ref().is_some_and(|placed| placed.id == id) {
            let text = match error {
                CodecError::Missing(codec) => {
                    format!("this machine has no library that encodes {codec:?}; video is not sent")
                }
                error => format!("video cannot be encoded: {error:?}"),
            };
            publisher.say(Notice::Error(MediaFault::new(MediaReason::Internal, text)));
        }
    }

    fn rates_changed(&self, _rates: Rates) {}
}

/// The sound of a publication. Does not keep the publisher.
struct AudioOut {
    publisher: Weak<Publisher>,
    port: MediaPort,
    id: PublicationId,
    sender: Mutex<AudioSender>,
    /// The level, and the steps since it was told last.
    meter: Mutex<(Level, u32)>,
}

impl SoundCapture for AudioOut {
    fn captured(&self, now: Instant, step: &[i16], _channels: u8) {
        let sent = {
            let mut sender = self.sender.lock();
            let sent = sender.push(step);
            (sent, sender.is_enabled())
        };
        let (sent, is_enabled) = sent;
        match sent {
            Ok(Some(sent)) => {
                let outgoing = Outgoing {
                    kind: Kind::Audio,
                    layer: 0,
                    timestamp: sent.timestamp,
                    payloads: vec![(sent.payload, sent.is_marked)],
                    captured: now,
                    level: Some((sent.level_dbov, sent.is_voice)),
                };
                self.port.send(Input::Media { id: self.id, outgoing });
            }
            Ok(None) => {}
            Err(error) => log::debug!("a piece of sound was not encoded: {error:?}"),
        }
        let told = {
            let mut meter = self.meter.lock();
            let level = if is_enabled { meter.0.measure(step) } else { 0.0 };
            meter.1 += 1;
            (meter.1 >= LEVEL_STEPS).then(|| {
                meter.1 = 0;
                level
            })
        };
        if let (Some(level), Some(publisher)) = (told, self.publisher.upgrade()) {
            publisher.level(level);
        }
    }
}

/// What a publisher offers, in this order: what the program prefers, then VP8, which goes everywhere. A machine without it
/// sends what it can.
fn codecs(preferred: &[VideoCodec], supported: &[VideoCodec]) -> Vec<VideoCodec> {
    let mut codecs: Vec<VideoCodec> = Vec::new();
    for codec in preferred.iter().chain(&[VideoCodec::Vp8, VideoCodec::H264, VideoCodec::Vp9]) {
        if supported.contains(codec) && !codecs.contains(codec) {
            codecs.push(*codec);
        }
    }
    if codecs.is_empty() { vec![VideoCodec::Vp8] } else { codecs }
}

/// Half of the machine is left to everything else.
fn threads() -> u32 {
    let all = std::thread::available_parallelism().map_or(1, usize::from);
    (all / 2).clamp(1, 4) as u32
}

fn next_id() -> PublicationId {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    PublicationId(NEXT.fetch_add(1, Ordering::Relaxed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use VideoCodec::{Av1, H264, Vp8, Vp9};

    #[test]
    fn what_is_preferred_comes_first_and_vp8_follows() {
        let machine = [Vp8, Vp9, H264];
        assert_eq!(codecs(&[], &machine), [Vp8, H264, Vp9]);
        assert_eq!(codecs(&[Vp9], &machine), [Vp9, Vp8, H264]);
        assert_eq!(codecs(&[H264, Vp9, H264], &machine), [H264, Vp9, Vp8]);
    }

    #[test]
    fn what_the_machine_cannot_is_passed_over() {
        assert_eq!(codecs(&[Av1, H264, Vp9], &[Vp8, Vp9]), [Vp9, Vp8]);
        assert_eq!(codecs(&[Vp9], &[]), [Vp8], "a publisher offers something, and says later that it cannot");
    }
}
