//! A publisher in a session that is not there, and what it wishes for.

use tokio::sync::mpsc;

use super::super::capture::Capturer;
use super::super::session;
use super::*;
use crate::driver::callbacks::Callbacks;
use crate::driver::sound::Registered;
use crate::driver::sound::system::SystemDevice;

struct Deaf;

impl Observer for Deaf {
    fn notify(&self, _: Notice) {}
    fn render(&self, _: Picture) {}
    fn renders(&self) -> bool {
        false
    }
    fn hears(&self, _: &Notice) -> bool {
        false
    }
}

impl session::Observer for Deaf {
    fn notify(&self, _: session::Notice) {}
    fn hears(&self, _: &session::Notice) -> bool {
        false
    }
}

/// A publisher in a session that ends with this, and what it has wished for.
struct Stage {
    publisher: Arc<Publisher>,
    id: PublicationId,
    line: Line,
    callbacks: Callbacks,
    wishes: mpsc::UnboundedReceiver<Input>,
    _keeps: (mpsc::UnboundedSender<Input>, tokio::runtime::Runtime),
}

impl Stage {
    fn new() -> Self {
        let settings = Settings { has_video: false, ..Settings::default() };
        Self::with(settings, Workers::default(), Arc::new(Deaf))
    }

    fn with(settings: Settings, workers: Workers, observer: Arc<dyn Observer>) -> Self {
        let callbacks = Callbacks::start(&mut None).expect("a thread");
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let (port, keeps, wishes) = MediaPort::open();
        let line = Line::new(callbacks.poster(), Arc::default());
        let session = Session::new("key".into(), "id".into(), session::Settings::default(), Arc::new(Deaf));
        let publisher = Publisher::new(settings, observer);
        let place = Place {
            session,
            port,
            line: line.clone(),
            filming: Arc::default(),
            workers,
            sound: Sound::new(Registered::new(Arc::new(SystemDevice::default()))),
            runtime: runtime.handle().clone(),
            keyring: None,
        };
        let id = publisher.place(place).expect("it is in no session");
        Self { publisher, id, line, callbacks, wishes, _keeps: (keeps, runtime) }
    }

    fn hear(&self, event: PublisherEvent) {
        self.publisher.hear(self.id, &self.line, event);
    }

    /// What the session has been told in the end.
    fn wishes(mut self) -> Vec<Input> {
        assert!(self.callbacks.stop(Duration::from_secs(10)).is_none());
        std::iter::from_fn(|| self.wishes.try_recv().ok()).collect()
    }

    /// Of it what is on and what is not.
    fn switched(self) -> Vec<(Kind, bool)> {
        let switched = self.wishes().into_iter().filter_map(|wish| match wish {
            Input::SetPublishing { kind, is_on, .. } => Some((kind, is_on)),
            _ => None,
        });
        switched.collect()
    }
}

#[test]
fn of_a_mute_and_a_switching_on_at_the_same_moment_the_session_hears_how_it_ended() {
    for kind in [Kind::Audio, Kind::Video] {
        let stage = Stage::new();
        stage.publisher.set_publishes(kind, true); // behind the mute, as the session sees it
        stage.hear(PublisherEvent::MuteForced(kind));
        assert!(!stage.publisher.publishes(kind));
        assert_eq!(stage.switched().last(), Some(&(kind, false)));
    }
}

#[test]
fn video_that_a_moderator_has_switched_off_does_not_come_back_with_a_wide_network() {
    let stage = Stage::new();
    stage.publisher.inner.lock().fallback = Some(Fallback::default());
    let start = Instant::now();
    let pass = |seconds: std::ops::Range<u64>, estimate_bps| {
        for second in seconds {
            let mut inner = stage.publisher.inner.lock();
            let now = start + Duration::from_secs(second);
            stage.publisher.watch_network(now, &stage.line, &mut inner, Some(estimate_bps));
        }
    };
    pass(0..10, 30_000);
    stage.hear(PublisherEvent::MuteForced(Kind::Video));
    pass(10..20, 1_000_000);
    let is_off = stage.publisher.inner.lock().fallback.as_ref().is_some_and(Fallback::is_off);
    assert!(!is_off && !stage.publisher.publishes(Kind::Video));
    let switched = stage.switched();
    assert!(switched.len() > 1 && switched.iter().all(|one| *one == (Kind::Video, false)), "{switched:?}");
}

/// Keeps what it is told.
#[derive(Default)]
struct Ears(Mutex<Vec<Notice>>);

impl Observer for Ears {
    fn notify(&self, notice: Notice) {
        self.0.lock().push(notice);
    }
    fn render(&self, _: Picture) {}
    fn renders(&self) -> bool {
        false
    }
    fn hears(&self, _: &Notice) -> bool {
        true
    }
}

/// One that nobody should start.
struct Untouched;

impl Capturer for Untouched {
    fn init(&self) -> bool {
        panic!("there is nobody who would take the pictures")
    }
    fn settings(&self) -> Option<CaptureSettings> {
        None
    }
    fn start(&self) -> bool {
        true
    }
    fn stop(&self, _: Instant) -> bool {
        true
    }
    fn destroy(&self) -> bool {
        true
    }
}

#[test]
fn without_a_thread_for_its_encoder_the_program_hears_why_and_the_sound_is_published_alone() {
    let workers = Workers::default();
    workers.join(Instant::now()); // none begins any more
    let ears = Arc::new(Ears::default());
    let settings = Settings { capturer: Some(Arc::new(Untouched)), ..Settings::default() };
    let mut stage = Stage::with(settings, workers, ears.clone());
    let Some(Input::Publish(wish)) = stage.wishes.blocking_recv() else { panic!("it publishes first") };
    assert!(wish.audio.is_some() && wish.video.is_none());
    assert!(stage.wishes().is_empty());
    let told = ears.0.lock();
    let [Notice::Error(fault)] = &told[..] else { panic!("{told:?}") };
    assert!(fault.text.contains("no thread for an encoder"), "{}", fault.text);
}

#[test]
fn when_the_camera_is_gone_the_sound_goes_on_and_the_others_hear_that_video_is_off() {
    let ears = Arc::new(Ears::default());
    let settings = Settings { has_video: false, ..Settings::default() }; // and a camera all the same
    let stage = Stage::with(settings, Workers::default(), ears.clone());
    stage.publisher.capturer_failed("it was unplugged".into());
    assert!(!stage.publisher.publishes(Kind::Video) && stage.publisher.publishes(Kind::Audio));
    assert_eq!(stage.switched(), [(Kind::Video, false)]);
    let told = ears.0.lock();
    assert!(matches!(&told[..], [Notice::Error(fault)] if fault.text == "it was unplugged"), "{told:?}");
}
