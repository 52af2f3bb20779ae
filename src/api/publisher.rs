//! A publisher as the program holds it: settings, a capturer, and one stream at a time, in one session after another.
//!
//! What comes in from the program goes to the session as wishes; what the session says comes back through
//! [`Publisher::hear`]. Locks: a session's may be held when a publisher's is taken, never the other way round.

mod encoders;
mod narrow;
mod outlets;
mod telling;
mod terms;
#[cfg(test)]
mod tests;
mod wishes;

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::camera;
use super::capture::{Capture, CaptureSettings, NotStarted};
use super::count::{Count, Counted};
use super::line::Line;
use super::logger;
use super::newest::Newest;
use super::reporter;
use super::session::Session;
use super::transformer::{AudioTransform, Chain, VideoTransform};
use super::{Error, hexadecimal, random, statistics};
use crate::driver::callbacks::{DELETE_TIMEOUT, Gate, deletion_deadline};
use crate::driver::session::MediaPort;
use crate::driver::sound::{CaptureGuard, Sound};
use crate::driver::video_out::{Order, VideoOut};
use crate::driver::workers::Workers;
use crate::media::encryption::Keyring;
use crate::media::video::Fallback;
use crate::media::{Kind, Picture};
use crate::session::media::{Measured, MediaFault, MediaReason, PublicationId, PublisherEvent, Sent};
use crate::session::{Input, Stream, VideoType};

use outlets::{AudioOut, Preview};
pub use terms::{Notice, Observer, Processing, Settings, Statistics};

pub use crate::media::video::{BitratePreset, ContentHint};

/// How long a publishing waits for the first picture of a capturer that does not say how large they are.
const FIRST_PICTURE_TIMEOUT: Duration = Duration::from_millis(500);

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
    video_chain: Mutex<Option<Arc<Chain<dyn VideoTransform>>>>,
    audio_chain: Mutex<Option<Arc<Chain<dyn AudioTransform>>>>,
    is_mirrored: AtomicBool,
    reports: reporter::Desk,
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
    /// Whether the network carries video, if that is to be watched.
    fallback: Option<Fallback>,
    audio: Option<Arc<AudioOut>>,
    capture_guard: Option<CaptureGuard>,
    /// Until the capturer has been stopped for the session that counts it.
    filming: Option<Counted>,
}

/// The session that a publisher is in.
struct Placed {
    session: Arc<Session>,
    id: PublicationId,
    port: MediaPort,
    line: Line,
    workers: Workers,
    sound: Sound,
    stream: Option<Arc<Stream>>,
    since_ms: f64,
    runtime: tokio::runtime::Handle,
    /// The capturer has not said how large its pictures are: the first one will.
    waits_for_picture: bool,
    /// What is sent is encrypted with it.
    keyring: Option<Keyring>,
    /// How many layers the session was asked for: no more are agreed on, however large the pictures become.
    layers_max: usize,
    /// Statistics that wait to be told, of sound and of the picture.
    newest: [Arc<Newest<Notice>>; 2],
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
    pub line: Line,
    /// Sees to it that the session is not gone before the capturer is.
    pub filming: Arc<Count>,
    pub workers: Workers,
    pub sound: Sound,
    pub runtime: tokio::runtime::Handle,
    pub keyring: Option<Keyring>,
}

impl Inner {
    /// Nothing more is recorded for this publisher from here on; what is returned is to be dropped with no lock held.
    fn take_sound(&mut self) -> Option<Arc<AudioOut>> {
        if let Some(guard) = self.capture_guard.take() {
            guard.let_go();
        }
        self.audio.take()
    }
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
            subscriber_fallback: settings.subscriber_fallback,
            fallback: None,
            audio: None,
            capture_guard: None,
            filming: None,
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
            video_chain: Mutex::new(None),
            audio_chain: Mutex::new(None),
            is_mirrored: AtomicBool::new(false),
            reports: reporter::Desk::default(),
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

    /// Asks the session for what has gone out so far.
    pub(super) fn count(&self) {
        if let Some(placed) = &self.inner.lock().placed {
            placed.port.wish(Input::Count(placed.id));
        }
    }

    /// A picture of the capturer, upright. Never waits; nothing happens while nothing is captured.
    pub fn provide(&self, picture: impl FnOnce() -> Result<Picture, Error>) -> Result<(), Error> {
        let at = Instant::now();
        BRINGS_PICTURES.set(true);
        if self.video.lock().is_none() {
            return Ok(());
        }
        // Converted with nothing locked: whoever ends this publisher meanwhile does not wait for it.
        let mut picture = picture()?;
        if picture.timestamp_ms == 0 {
            picture.timestamp_ms = statistics::wall_ms() as i64;
        }
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
        let deadline = deletion_deadline();
        self.end();
        self.close(deadline);
    }

    /// The first half of a deletion, which waits for nothing.
    pub fn end(&self) {
        let (placed, sound) = {
            let _held = logger::hold();
            let mut inner = self.inner.lock();
            inner.is_deleted = true;
            (inner.placed.take(), inner.take_sound())
        };
        self.gate.shut();
        // A start that is under way ends with the function that runs.
        if let Some(capture) = &self.capture {
            capture.want(false);
        }
        if let Some(chain) = &*self.video_chain.lock() {
            chain.shut();
        }
        if let Some(chain) = &*self.audio_chain.lock() {
            chain.shut();
        }
        drop(sound);
        if let Some(placed) = placed {
            placed.port.wish(Input::Unpublish(placed.id));
        }
    }

    /// The second half.
    pub fn close(&self, deadline: Instant) {
        self.stop_media(deadline);
        let filmed = self.inner.lock().filming.take();
        drop(filmed);
        let (video, audio) = (self.video_chain.lock().take(), self.audio_chain.lock().take());
        if let Some(chain) = video {
            chain.close(deadline);
        }
        if let Some(chain) = audio {
            chain.close(deadline);
        }
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
        let Place { session, port, line, filming, workers, sound, runtime, keyring } = place;
        let since_ms = statistics::wall_ms();
        inner.fallback = None;
        inner.filming = self.capture.is_some().then(|| filming.count_in());
        inner.placed = Some(Placed {
            session,
            id,
            port,
            line: line.clone(),
            workers,
            sound,
            stream: None,
            since_ms,
            runtime,
            waits_for_picture: false,
            keyring,
            layers_max: 1,
            newest: Default::default(),
        });
        drop(inner);
        let (publisher, poster) = (self.clone(), line.clone());
        poster.post(move || publisher.begin(id, &line));
        Ok(id)
    }

    fn begin(self: &Arc<Self>, id: PublicationId, line: &Line) {
        let _held = logger::hold();
        let captured = self.capture.as_ref().and_then(|capture| {
            let inner = self.inner.lock();
            let placed = inner.placed.as_ref().filter(|placed| placed.id == id)?;
            match VideoOut::start(
                &placed.workers,
                Arc::new(Preview { publisher: Arc::downgrade(self), line: line.clone() }),
            ) {
                Ok(video) => {
                    video.order(Order::Switch(narrow::switch(&inner)));
                    *self.video.lock() = Some(video);
                }
                Err(error) => return Some(Err(format!("no thread for an encoder: {error}"))),
            }
            // With the lock held: whoever ends this publisher after that is heard after it.
            capture.want(true);
            drop(inner);
            let started = capture.settle(|| Instant::now() + DELETE_TIMEOUT)?;
            Some(started.map_err(|NotStarted| capture.refusal()))
        });
        let video = match captured {
            Some(Ok(Some(settings))) => Captured::Known(settings),
            // Its first picture shows what the others will be like.
            Some(Ok(None)) => Captured::Unknown,
            Some(Err(text)) => {
                log::error!("{text}");
                // Where there is nothing else to publish the session says that.
                if self.settings.has_audio {
                    self.say(line, Notice::Error(MediaFault::new(MediaReason::Internal, text)));
                }
                Captured::Nothing
            }
            None => Captured::Nothing,
        };
        let mut inner = self.inner.lock();
        // Where it has been unpublished meanwhile, what was started is stopped by whoever did that.
        let Some(placed) = inner.placed.as_mut().filter(|placed| placed.id == id) else { return };
        match video {
            Captured::Nothing => self.announce(&mut inner, None),
            Captured::Known(settings) => {
                self.is_mirrored.store(settings.is_mirrored_locally, Ordering::Relaxed);
                self.announce(&mut inner, Some(settings));
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
        let _held = logger::hold();
        let mut inner = self.inner.lock();
        let Some(placed) = inner.placed.as_mut().filter(|placed| placed.id == id) else { return };
        if std::mem::take(&mut placed.waits_for_picture) {
            self.announce(&mut inner, Some(settings));
        }
    }

    fn announce(&self, inner: &mut Inner, captured: Option<CaptureSettings>) {
        let Some(id) = inner.placed.as_ref().map(|placed| placed.id) else { return };
        let wish = self.wish(id, inner, captured);
        if let Some(placed) = &mut inner.placed {
            placed.layers_max = wish.video.as_ref().map_or(1, |video| video.layers.len());
            placed.port.wish(Input::Publish(Box::new(wish)));
        }
    }

    /// The threads of the session that it is in.
    pub(super) fn workers(&self) -> Option<Workers> {
        self.inner.lock().placed.as_ref().map(|placed| placed.workers.clone())
    }

    /// No more pictures come.
    pub(super) fn capturer_failed(self: &Arc<Self>, text: String) {
        let placed = self.inner.lock().placed.as_ref().map(|placed| (placed.id, placed.line.clone()));
        if let Some((id, line)) = placed {
            self.end_video(id, &line, MediaFault::new(MediaReason::Internal, text));
        }
    }

    /// A publication has no pictures any more. With sound it goes on, and the others hear that its video is off; without it
    /// ends, after the program has heard why.
    fn end_video(self: &Arc<Self>, id: PublicationId, line: &Line, fault: MediaFault) {
        if self.settings.has_audio {
            self.set_publishes(Kind::Video, false);
        }
        self.post(line, false, move |publisher| {
            publisher.observer.notify(Notice::Error(fault));
            if !publisher.settings.has_audio
                && publisher.publication() == Some(id)
                && let Some(session) = publisher.session()
            {
                let _ = session.unpublish(publisher); // the program may have been faster
            }
        });
    }

    /// Leaves the session: no media goes there any more. The capturer is stopped on the callback thread, before this
    /// publisher begins anything new there. Whoever hears the last words finds it in no session.
    pub(super) fn leave(self: &Arc<Self>, id: PublicationId, last_words: Option<(&Line, Vec<Notice>)>) {
        let mut inner = self.inner.lock();
        let placed = inner.placed.take_if(|placed| placed.id == id);
        let sound = placed.as_ref().and_then(|_| inner.take_sound());
        if let Some(placed) = &placed {
            placed.line.leave();
        }
        if let Some((line, notices)) = last_words {
            notices.into_iter().for_each(|notice| self.say(line, notice));
        }
        if let Some(placed) = &placed {
            let (publisher, line, filming) = (self.clone(), placed.line.clone(), inner.filming.take());
            placed.line.post(move || {
                publisher.stop_media(line.leaving_deadline());
                line.wait_for_media(line.leaving_deadline());
                drop(filming);
            });
        }
        drop(inner);
        drop((placed, sound));
    }

    /// The capturer and the encoder end. Nothing is locked meanwhile.
    fn stop_media(&self, deadline: Instant) {
        if let Some(capture) = &self.capture {
            capture.finish(deadline);
        }
        let video = self.video.lock().take();
        drop(video);
    }

    /// What the session says of a publication of this publisher.
    pub(super) fn hear(self: &Arc<Self>, id: PublicationId, line: &Line, event: PublisherEvent) {
        let mut inner = self.inner.lock();
        let is_current = inner.placed.as_ref().is_some_and(|placed| placed.id == id);
        match event {
            PublisherEvent::Published { stream, video } => {
                self.say(line, Notice::StreamCreated(stream.clone()));
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
            PublisherEvent::MuteForced(kind) if is_current => {
                // The program may have switched it on at the same moment, which the session has heard by now.
                self.switch(&mut inner, kind, false);
                // The interface has a word for sound alone; of video the program is told when it asks.
                if kind == Kind::Audio {
                    self.say(line, Notice::MuteForced);
                }
            }
            PublisherEvent::KeyFrameWanted(layer) if is_current => self.order(Order::KeyFrame(layer)),
            PublisherEvent::LayersWanted(layers) if is_current => self.order(Order::Layers(layers)),
            PublisherEvent::Bitrate(bits_per_second) if is_current => {
                self.watch_network(Instant::now(), line, &mut inner, Some(bits_per_second));
            }
            PublisherEvent::VideoBitrate(bits_per_second) if is_current => {
                self.order(Order::Estimate(bits_per_second));
            }
            PublisherEvent::Held(is_held) if is_current => self.order(Order::Hold(is_held)),
            PublisherEvent::Measured(measured) if is_current => self.measured(line, &inner, &measured),
            PublisherEvent::Counted { audio, video } if is_current => {
                self.counted(line, &mut inner, audio, video);
            }
            // Of an end the session tells when it lets this publisher leave: it keeps the stream that ends with it.
            _ => {}
        }
    }

    fn counted(self: &Arc<Self>, line: &Line, inner: &mut Inner, audio: Option<Sent>, video: Option<Sent>) {
        self.watch_network(Instant::now(), line, inner, None);
        let Some(placed) = &inner.placed else { return };
        let [newest_audio, newest_video] = &placed.newest;
        let (at_ms, since_ms) = (statistics::wall_ms(), placed.since_ms);
        let told = |sent: &Sent| Statistics {
            packets_lost: sent.packets_lost,
            packets_sent: sent.packets,
            bytes_sent: sent.bytes,
            at_ms,
            since_ms,
        };
        if let (Some(out), Some(loss)) = (&inner.audio, audio.as_ref().and_then(|sent| sent.loss)) {
            out.sender.lock().heed_loss(loss);
        }
        let level = inner.audio.as_ref().map_or(0.0, |audio| audio.meter.lock().level());
        if let Some(sent) = &audio {
            self.say_newest(line, newest_audio, Notice::AudioStatistics { statistics: told(sent), level });
        }
        if let Some(sent) = &video {
            self.say_newest(line, newest_video, Notice::VideoStatistics(told(sent)));
        }
    }

    /// The report that was asked for.
    fn measured(self: &Arc<Self>, line: &Line, inner: &Inner, measured: &Measured) {
        if self.reports.is_empty() {
            return;
        }
        let sound = inner.audio.as_ref().map(|audio| audio.meter.lock().sound());
        let pictures = self.video.lock().as_ref().map(VideoOut::counters);
        let report = statistics::outgoing(statistics::wall_ms(), measured, pictures.as_ref(), sound);
        self.post(line, false, move |publisher| publisher.reports.tell(&report));
    }
}

thread_local! {
    static BRINGS_PICTURES: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread has brought a picture: then it may be one that a capturer waits for.
pub(super) fn brings_pictures() -> bool {
    BRINGS_PICTURES.get()
}

fn next_id() -> PublicationId {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    PublicationId(NEXT.fetch_add(1, Ordering::Relaxed))
}
