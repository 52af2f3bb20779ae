//! A subscriber as the program holds it: one stream, received in one session.
//!
//! What comes in from the program goes to the session as wishes; what the session says comes back through
//! [`Subscriber::hear`], and its packets through [`Subscriber::packet`]. Locks: a session's may be held when a
//! subscriber's is taken, never the other way round.

mod inlets;
mod terms;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::line::Line;
use super::newest::Newest;
use super::reporter::{self, Reporter};
use super::session::Session;
use super::{Error, hexadecimal, random, statistics};
use crate::driver::callbacks::{DELETE_TIMEOUT, Gate, SUBSCRIBERS};
use crate::driver::session::MediaPort;
use crate::driver::sound::{PlayoutGuard, Sound};
use crate::driver::video_in::VideoIn;
use crate::driver::workers::Workers;
use crate::media::Kind;
use crate::media::encryption::Keyring;
use crate::media::video::{SenderReport, VideoPacket};
use crate::session::media::{
    Format, Incoming, MediaFault, MediaReason, SubscriberEvent, SubscriptionId, Wants,
};
use crate::session::{Input, Stream};

use inlets::{AudioIn, Screen};
use terms::Told;
pub use terms::{Notice, Observer, Sender, Statistics};

/// How often a thread is asked for again that the system did not have.
const DECODER_RETRY: Duration = Duration::from_secs(1);

/// See the module's text.
pub struct Subscriber {
    id: String,
    observer: Arc<dyn Observer>,
    gate: Gate,
    inner: Mutex<Inner>,
    reports: reporter::Desk,
}

struct Inner {
    is_deleted: bool,
    stream: Arc<Stream>,
    wants: Wants,
    /// 0 to 100.
    volume: f64,
    placed: Option<Placed>,
    /// Of the last subscription that failed. Cut by the next one: its failure would seem to be that one's.
    last_words: Option<Line>,
}

struct Placed {
    session: Arc<Session>,
    id: SubscriptionId,
    port: MediaPort,
    /// Cut when the subscriber leaves.
    line: Line,
    /// The program has asked the session to disconnect.
    has_left: Arc<AtomicBool>,
    workers: Workers,
    /// Made with the first packet of their kind.
    video: Option<VideoIn>,
    /// When the system had no thread for it last.
    refused: Option<Instant>,
    audio: Arc<AudioIn>,
    /// While it is there the sound is played.
    playout: Option<PlayoutGuard>,
    /// The stream is in the session.
    has_stream: bool,
    /// What its publisher said of itself last.
    sender: Option<Told>,
    sound: Sound,
    keyring: Keyring,
    /// The secret of which it was told that the publisher has another.
    told_of: Option<u64>,
    newest: Latest,
}

/// What waits to be told.
#[derive(Default)]
struct Latest {
    audio: Arc<Newest<Notice>>,
    video: Arc<Newest<Notice>>,
    /// Of the text that is not final yet.
    caption: Arc<Newest<Notice>>,
}

impl Placed {
    /// Whether there is sound to be played. Waits for nothing.
    fn set_audible(&mut self, is_audible: bool) {
        if is_audible {
            let begun = || self.sound.add_playout(self.audio.clone());
            self.playout.get_or_insert_with(begun);
        } else if let Some(playout) = self.playout.take() {
            self.audio.let_go();
            playout.let_go();
        }
    }

    /// Neither pictures nor sound come any more. Waits for nothing.
    fn let_go(self) {
        self.line.cut();
        self.audio.let_go();
        if let Some(playout) = self.playout {
            playout.let_go();
        }
    }
}

/// What a session lends a subscriber.
pub(super) struct Place {
    pub session: Arc<Session>,
    pub port: MediaPort,
    pub line: Line,
    pub has_left: Arc<AtomicBool>,
    pub workers: Workers,
    pub sound: Sound,
    pub keyring: Keyring,
}

impl Subscriber {
    pub fn new(stream: Arc<Stream>, observer: Arc<dyn Observer>) -> Arc<Self> {
        Arc::new(Self {
            id: hexadecimal(random()),
            observer,
            gate: Gate::default(),
            inner: Mutex::new(Inner {
                is_deleted: false,
                stream,
                wants: Wants::default(),
                volume: 100.0,
                placed: None,
                last_words: None,
            }),
            reports: reporter::Desk::default(),
        })
    }

    /// Unique in the world.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// As it is now, or was last.
    pub fn stream(&self) -> Arc<Stream> {
        self.inner.lock().stream.clone()
    }

    pub fn session(&self) -> Option<Arc<Session>> {
        self.inner.lock().placed.as_ref().map(|placed| placed.session.clone())
    }

    /// The subscribing under way.
    pub(super) fn subscription(&self) -> Option<SubscriptionId> {
        self.inner.lock().placed.as_ref().map(|placed| placed.id)
    }

    pub fn wants(&self) -> Wants {
        self.inner.lock().wants
    }

    pub fn set_wanted(&self, kind: Kind, is_wanted: bool) {
        self.change(|wants| match kind {
            Kind::Audio => wants.audio = is_wanted,
            Kind::Video => wants.video = is_wanted,
        });
    }

    pub fn set_resolution(&self, resolution: Option<(u32, u32)>) {
        self.change(|wants| wants.resolution = resolution);
    }

    pub fn set_frame_rate(&self, frames_per_second: Option<f32>) {
        self.change(|wants| wants.frames_per_second = frames_per_second);
    }

    fn change(&self, change: impl FnOnce(&mut Wants)) {
        let mut inner = self.inner.lock();
        change(&mut inner.wants);
        let wants = inner.wants;
        if let Some(placed) = &inner.placed {
            placed.audio.is_wanted.store(wants.audio, Ordering::Relaxed);
            if let (false, Some(video)) = (wants.video, &placed.video) {
                video.pause();
            }
            placed.port.wish(Input::SetWants { id: placed.id, wants });
        }
    }

    /// 0 to 100.
    pub fn volume(&self) -> f64 {
        self.inner.lock().volume
    }

    pub fn set_volume(&self, percent: f64) {
        let mut inner = self.inner.lock();
        inner.volume = percent;
        if let Some(placed) = &inner.placed {
            placed.audio.state.lock().volume.set(percent.round() as u8);
        }
    }

    pub fn wants_captions(&self) -> bool {
        self.inner.lock().wants.captions
    }

    pub fn set_wants_captions(&self, wants_captions: bool) {
        self.change(|wants| wants.captions = wants_captions);
    }

    pub fn set_reporter(&self, reporter: Option<Reporter>) {
        self.reports.set(reporter);
    }

    /// Asks for a report; the reporter gets it.
    pub fn report(self: &Arc<Self>) -> Result<(), Error> {
        if self.reports.is_empty() {
            return Err(Error::InvalidParameter);
        }
        let inner = self.inner.lock();
        let placed = inner.placed.as_ref().ok_or(Error::NotConnected)?;
        placed.port.wish(Input::MeasureSubscription(placed.id));
        Ok(())
    }

    /// Tells what has come so far.
    pub(super) fn count(self: &Arc<Self>) {
        let inner = self.inner.lock();
        let Some(placed) = inner.placed.as_ref().filter(|placed| placed.has_stream) else { return };
        let at_ms = statistics::wall_ms();
        let sender = placed.sender.map_or_else(Sender::default, |told| told.at(Instant::now()));
        let (line, audio) = (&placed.line, placed.audio.state.lock());
        if let Some(receiver) = &audio.receiver {
            let counters = receiver.counters();
            let statistics = Statistics {
                packets_lost: counters.lost,
                packets_received: counters.received,
                bytes_received: counters.bytes,
                at_ms,
                sender,
            };
            let level = if inner.wants.audio { audio.told } else { 0.0 };
            let notice = Notice::AudioStatistics { statistics, level };
            self.say_newest(line, &placed.newest.audio, notice);
        }
        drop(audio);
        if let Some(video) = &placed.video {
            let counters = video.counters();
            let statistics = Statistics {
                packets_lost: counters.packets_lost,
                packets_received: counters.packets_received,
                bytes_received: counters.bytes_received,
                at_ms,
                sender,
            };
            self.say_newest(line, &placed.newest.video, Notice::VideoStatistics(statistics));
        }
    }

    /// When it has returned no notice, picture or sound starts; inside a callback nothing that runs is waited for.
    pub fn delete(&self) {
        self.end();
        self.close(Instant::now() + DELETE_TIMEOUT);
    }

    /// The first half of a deletion, which waits for nothing.
    pub fn end(&self) {
        self.gate.shut();
        let placed = {
            let mut inner = self.inner.lock();
            inner.is_deleted = true;
            inner.placed.take()
        };
        if let Some(placed) = placed {
            placed.port.wish(Input::Unsubscribe(placed.id));
            placed.session.forget(placed.id);
            placed.let_go();
        }
    }

    /// The second half.
    pub(super) fn close(&self, deadline: Instant) {
        self.gate.close(deadline);
    }

    /// Enters a session.
    pub(super) fn place(self: &Arc<Self>, place: Place) -> Result<SubscriptionId, Error> {
        let mut inner = self.inner.lock();
        if inner.is_deleted || inner.placed.is_some() {
            return Err(Error::IllegalState);
        }
        let id = next_id();
        let Place { session, port, line, has_left, workers, sound, keyring } = place;
        if let Some(last_words) = inner.last_words.take() {
            last_words.cut();
        }
        let audio = Arc::new(AudioIn::new(self, &line, &inner, keyring.clone(), workers.clone()));
        let playout = inner.stream.has_audio_track.then(|| sound.add_playout(audio.clone()));
        let wish = Input::Subscribe { id, stream_id: inner.stream.id.clone(), wants: inner.wants };
        port.wish(wish);
        let (video, refused, told_of, sender) = (None, None, None, None);
        let placed = Placed {
            session,
            id,
            port,
            line,
            has_left,
            workers,
            video,
            refused,
            audio,
            playout,
            has_stream: true,
            sound,
            keyring,
            told_of,
            sender,
            newest: Latest::default(),
        };
        inner.placed = Some(placed);
        Ok(id)
    }

    /// Leaves the session: no callback of this subscription starts any more. Where it has just begun one it can be waited
    /// for by what is returned.
    pub(super) fn leave(&self, id: SubscriptionId) -> Option<Line> {
        let placed = self.inner.lock().placed.take_if(|placed| placed.id == id)?;
        let line = placed.line.clone();
        placed.let_go();
        Some(line)
    }

    /// What the session says of a subscription of this subscriber.
    pub(super) fn hear(self: &Arc<Self>, id: SubscriptionId, event: SubscriberEvent) {
        let mut inner = self.inner.lock();
        let Inner { placed, stream, last_words, .. } = &mut *inner;
        let Some(current) = placed.as_mut().filter(|placed| placed.id == id) else { return };
        let line = &current.line;
        match event {
            SubscriberEvent::Connected => {
                self.say(line, Notice::Connected(stream.clone()));
            }
            SubscriberEvent::Disconnected => self.say(line, Notice::Disconnected),
            SubscriberEvent::Reconnected => self.say(line, Notice::Reconnected),
            SubscriberEvent::VideoDisabled(reason) => {
                if let Some(video) = &current.video {
                    video.pause();
                }
                self.say(line, Notice::VideoDisabled(reason));
            }
            SubscriberEvent::VideoEnabled(reason) => self.say(line, Notice::VideoEnabled(reason)),
            SubscriberEvent::AudioDisabled => self.say(line, Notice::AudioDisabled),
            SubscriberEvent::AudioEnabled => self.say(line, Notice::AudioEnabled),
            // Each has the whole text so far, which the final one ends: those of the next text come behind that.
            SubscriberEvent::Caption { text, is_final: false } => {
                self.say_newest(line, &current.newest.caption, Notice::Caption { text, is_final: false });
            }
            SubscriberEvent::Caption { text, is_final: true } => {
                current.newest.caption = Arc::default();
                self.say(line, Notice::Caption { text, is_final: true });
            }
            SubscriberEvent::Measured(measured) => {
                let state = current.audio.state.lock();
                let audio = state.receiver.as_ref().map(|receiver| (receiver.counters(), state.told));
                drop(state);
                let audio = audio.as_ref().map(|(counters, level)| (counters, *level));
                let video = current.video.as_ref().map(VideoIn::counters);
                let report = statistics::incoming(statistics::wall_ms(), &measured, audio, video.as_ref());
                if !self.reports.is_empty() {
                    self.post(line, move |subscriber| subscriber.reports.tell(&report));
                }
            }
            SubscriberEvent::SenderCounted { max_allocated_bps, estimated_bps } => {
                let sender = Sender { max_allocated_bps, estimated_bps };
                current.sender = Some(Told { sender, when: Instant::now() });
            }
            SubscriberEvent::Warned => self.say(line, Notice::VideoDisableWarning),
            SubscriberEvent::WarningLifted => self.say(line, Notice::VideoDisableWarningLifted),
            SubscriberEvent::Changed(changed) => {
                current.has_stream = true;
                // Clients of LiveKit publish their sound when they have it, which may be after the picture.
                current.set_audible(changed.has_audio_track);
                *stream = changed;
            }
            SubscriberEvent::Left => {
                current.has_stream = false;
                current.set_audible(false);
            }
            SubscriberEvent::Failed(fault) => {
                let Some(gone) = placed.take() else { return };
                // On a line of their own: nothing else of this subscription is heard.
                let (line, has_left) = (gone.line.renewed(), gone.has_left.clone());
                *last_words = Some(line.clone());
                drop(inner);
                gone.let_go();
                self.post_while(
                    &line,
                    move || !has_left.load(Ordering::SeqCst),
                    move |subscriber| subscriber.observer.notify(Notice::Error(fault)),
                );
            }
        }
    }

    /// A packet of the stream. Never waits.
    pub(super) fn packet(self: &Arc<Self>, id: SubscriptionId, packet: Incoming) {
        let now = packet.received;
        let mut inner = self.inner.lock();
        let Some(placed) = inner.placed.as_mut().filter(|placed| placed.id == id) else { return };
        let codec = match packet.format {
            Format::Video(codec) => codec,
            Format::Opus | Format::Red => {
                let audio = placed.audio.clone();
                drop(inner);
                if audio.packet(packet) {
                    self.secrets_differ(id);
                }
                return;
            }
        };
        if placed.video.is_none() && placed.refused.is_none_or(|at| now.duration_since(at) >= DECODER_RETRY) {
            let (line, audio) = (placed.line.clone(), placed.audio.clone());
            let sink = Arc::new(Screen { subscriber: Arc::downgrade(self), id, line, audio });
            match VideoIn::start(&placed.workers, sink, placed.keyring.clone()) {
                Ok(video) => placed.video = Some(video),
                Err(error) => {
                    if placed.refused.replace(now).is_none() {
                        log::error!("no thread for a decoder, so no pictures: {error}");
                    }
                    return;
                }
            }
        }
        if let Some(video) = &placed.video {
            let report = packet.sender_report.map(|(wall_us, timestamp)| SenderReport { wall_us, timestamp });
            let packet = VideoPacket {
                codec,
                source: packet.source,
                sequence: packet.sequence,
                timestamp: packet.timestamp,
                is_marked: packet.is_marked,
                payload: packet.payload,
                rotation: packet.rotation,
                sender_report: report,
                is_sealed: packet.is_sealed,
            };
            video.put(now, packet);
        }
    }

    /// Picture and sound tell it, once for each secret that the program has set.
    fn secrets_differ(self: &Arc<Self>, id: SubscriptionId) {
        let mut inner = self.inner.lock();
        let Some(placed) = inner.placed.as_mut().filter(|placed| placed.id == id) else { return };
        let secret = Some(placed.keyring.number());
        if std::mem::replace(&mut placed.told_of, secret) != secret {
            let text = "the stream cannot be decrypted: its publisher has another encryption secret";
            self.say(&placed.line, Notice::Error(MediaFault::new(MediaReason::SecretsDiffer, text)));
        }
    }

    /// Puts a notice on the callback thread.
    fn say(self: &Arc<Self>, line: &Line, notice: Notice) {
        if self.observer.hears(&notice) {
            self.post(line, move |subscriber| subscriber.observer.notify(notice));
        }
    }

    /// As above, in place of the one of its kind that still waits.
    fn say_newest(self: &Arc<Self>, line: &Line, newest: &Arc<Newest<Notice>>, notice: Notice) {
        if self.observer.hears(&notice) && newest.put(notice) {
            let newest = newest.clone();
            self.post(line, move |subscriber| {
                newest.take().into_iter().for_each(|notice| subscriber.observer.notify(notice));
            });
        }
    }

    fn post(self: &Arc<Self>, line: &Line, job: impl FnOnce(&Arc<Self>) + Send + 'static) {
        self.post_while(line, || true, job);
    }

    /// The same, as long as it is wanted.
    fn post_while(
        self: &Arc<Self>,
        line: &Line,
        is_wanted: impl Fn() -> bool + Send + 'static,
        job: impl FnOnce(&Arc<Self>) + Send + 'static,
    ) {
        let is_wanted = {
            let (subscriber, way) = (self.clone(), line.clone());
            move || !subscriber.gate.is_shut() && !way.is_shut() && is_wanted()
        };
        let (subscriber, way) = (self.clone(), line.clone());
        line.post_event(&SUBSCRIBERS, is_wanted, move || subscriber.pass(&way, || job(&subscriber)));
    }

    /// Runs a callback of the program, if one may start.
    fn pass(&self, line: &Line, callback: impl FnOnce()) {
        line.pass(|| self.gate.pass(callback));
    }
}

fn next_id() -> SubscriptionId {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    SubscriptionId(NEXT.fetch_add(1, Ordering::Relaxed))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::super::session;
    use super::*;
    use crate::driver::callbacks::Callbacks;
    use crate::driver::sound::Registered;
    use crate::driver::sound::system::SystemDevice;
    use crate::media::Picture;

    const LIMIT: Duration = Duration::from_secs(10);

    struct Deaf;

    impl session::Observer for Deaf {
        fn notify(&self, _: session::Notice) {}
        fn hears(&self, _: &session::Notice) -> bool {
            false
        }
    }

    /// Hears everything but that it is connected.
    struct Ears(Mutex<mpsc::Sender<Notice>>);

    impl Observer for Ears {
        fn notify(&self, notice: Notice) {
            self.0.lock().send(notice).expect("the test listens");
        }
        fn render(&self, _: Picture) {}
        fn sound(&self, _: &[i16]) {}
        fn hears(&self, notice: &Notice) -> bool {
            !matches!(notice, Notice::Connected(_))
        }
        fn hears_sound(&self) -> bool {
            false
        }
    }

    #[test]
    fn of_what_waits_only_the_newest_is_told_and_every_final_caption() {
        let callbacks = Callbacks::start(&mut None).expect("a thread");
        let (port, _keeps, _wishes) = MediaPort::open();
        let (words, heard) = mpsc::channel();
        let session = Session::new("key".into(), "id".into(), session::Settings::default(), Arc::new(Deaf));
        let stream = Arc::new(Stream { has_captions: true, ..Stream::example() });
        let subscriber = Subscriber::new(stream.clone(), Arc::new(Ears(Mutex::new(words))));
        let place = Place {
            session,
            port,
            line: Line::new(callbacks.poster(), Arc::default()),
            has_left: Arc::default(),
            workers: Workers::default(),
            sound: Sound::new(Registered::new(Arc::new(SystemDevice::default()))),
            keyring: Keyring::default(),
        };
        let id = subscriber.place(place).expect("it is in no session");
        let (release, released) = mpsc::channel::<()>();
        callbacks.poster().post(move || released.recv_timeout(LIMIT).expect("the test releases"));
        let caption = |text: &str, is_final| Notice::Caption { text: text.into(), is_final };
        subscriber.hear(id, SubscriberEvent::Connected);
        for (text, is_final) in
            [("a", false), ("a b", false), ("a b.", true), ("c", false), ("c d", false), ("c d.", true)]
        {
            subscriber.hear(id, SubscriberEvent::Caption { text: text.into(), is_final });
        }
        subscriber.hear(id, SubscriberEvent::Caption { text: "e".into(), is_final: false });
        release.send(()).expect("the thread waits");
        let told: Vec<_> = (0..5).map(|_| heard.recv_timeout(LIMIT).expect("a caption")).collect();
        let wanted = [
            caption("a b", false),
            caption("a b.", true),
            caption("c d", false),
            caption("c d.", true),
            caption("e", false),
        ];
        assert_eq!(told, wanted);
        subscriber.hear(id, SubscriberEvent::Caption { text: "e f".into(), is_final: false });
        assert_eq!(heard.recv_timeout(LIMIT), Ok(caption("e f", false)), "nothing waits any more");
        subscriber.delete();
        assert!(callbacks.stop(LIMIT).is_none());
    }
}
