//! The life of a video capturer: initialised and started together, stopped and destroyed together.
//!
//! Programs create their thread in `start` and join it in `destroy`, so the two come in turn and never twice in a row.
//! Nothing is locked while one of them runs; whoever changes his mind meanwhile is heard when it has returned: between two
//! functions of a start it is looked whether the start is still wanted.

use std::sync::Arc;
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::driver::callbacks::{self, CAPTURERS, DELETE_TIMEOUT, INSIDE_TIMEOUT};

/// How often `start` is tried, and how long to wait between.
const START_TRIES: u32 = 5;
const START_WAIT: Duration = Duration::from_millis(20);

/// What a capturer says of its pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CaptureSettings {
    pub width: u32,
    pub height: u32,
    pub frames_per_second: u32,
    pub is_mirrored_locally: bool,
}

impl Default for CaptureSettings {
    /// Where a capturer says nothing.
    fn default() -> Self {
        Self { width: 640, height: 480, frames_per_second: 30, is_mirrored_locally: false }
    }
}

/// The program's capturer, or the camera. A missing function counts as success.
pub trait Capturer: Send + Sync + 'static {
    fn init(&self) -> bool;
    fn settings(&self) -> Option<CaptureSettings>;
    fn start(&self) -> bool;
    /// What it has of its own is waited for until `deadline` at most; a program takes as long as it takes.
    fn stop(&self, deadline: Instant) -> bool;
    fn destroy(&self) -> bool;

    /// What was initialised is not started: nobody wants that any more. A program is not told, since its `destroy` comes
    /// only after a `start`.
    fn give_up(&self) {}

    /// Whether it is worth to ask again when `init` or `start` refuse: a wrapper whose table is busy says no once.
    fn may_change_its_mind(&self) -> bool {
        true
    }

    /// Why it did not start, for people.
    fn refusal(&self) -> String {
        "the video capturer did not start".to_owned()
    }
}

pub struct Capture {
    capturer: Arc<dyn Capturer>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    is_wanted: bool,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Stage {
    #[default]
    Idle,
    /// This thread is inside one of the functions.
    Busy(ThreadId),
    Running,
}

/// Why a start came to nothing.
enum Unstarted {
    Refused,
    /// It is not wanted any more.
    GivenUp,
}

/// The capturer did not start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotStarted;

impl Capture {
    pub fn new(capturer: Arc<dyn Capturer>) -> Self {
        Self { capturer, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Whether it is to run from now on; [`Self::settle`] sees to that.
    pub fn want(&self, is_wanted: bool) {
        self.state.lock().is_wanted = is_wanted;
    }

    /// Does what is wanted, on this thread. Where another thread is at it that one goes on with it. `None`: there was
    /// nothing to start. What was started may have said what its pictures are like. `deadline`, asked when something is
    /// to be stopped, says until when that waits for its turn.
    pub fn settle(
        &self,
        deadline: impl Fn() -> Instant,
    ) -> Option<Result<Option<CaptureSettings>, NotStarted>> {
        let mut started = None;
        let mut state = self.state.lock();
        loop {
            match (state.stage, state.is_wanted) {
                (Stage::Idle, true) => {
                    state.stage = Stage::Busy(thread::current().id());
                    drop(state);
                    let outcome = self.start();
                    state = self.state.lock();
                    state.stage = if outcome.is_ok() { Stage::Running } else { Stage::Idle };
                    started = match outcome {
                        Err(Unstarted::GivenUp) => None,
                        Err(Unstarted::Refused) => {
                            state.is_wanted = false;
                            Some(Err(NotStarted))
                        }
                        Ok(settings) => Some(Ok(settings)),
                    };
                }
                (Stage::Running, false) => {
                    state.stage = Stage::Busy(thread::current().id());
                    drop(state);
                    self.end(deadline());
                    state = self.state.lock();
                    state.stage = Stage::Idle;
                }
                (Stage::Busy(_), _) | (Stage::Idle, false) | (Stage::Running, true) => break,
            }
        }
        drop(state);
        self.changed.notify_all();
        started
    }

    /// Ends it. When this returns `destroy` has returned, unless another thread is at it until `deadline`; inside a callback
    /// that is waited for no longer than [`INSIDE_TIMEOUT`].
    pub fn finish(&self, deadline: Instant) {
        self.want(false);
        self.settle(|| deadline);
        let limit = match callbacks::is_inside_callback() {
            true => deadline.min(Instant::now() + INSIDE_TIMEOUT),
            false => deadline,
        };
        let this = thread::current().id();
        let mut state = self.state.lock();
        while let Stage::Busy(thread) = state.stage
            && thread != this
            && !self.changed.wait_until(&mut state, limit).timed_out()
        {}
    }

    /// Why it did not start.
    pub fn refusal(&self) -> String {
        self.capturer.refusal()
    }

    /// Where its publisher is deleted inside a callback meanwhile, what belongs to the capturer may be gone: of its functions
    /// only one that is already running ends as it may.
    fn start(&self) -> Result<Option<CaptureSettings>, Unstarted> {
        self.persuade(|| self.capturer.init())?;
        let mut settings = None;
        self.step(|| settings = self.capturer.settings());
        let started = self.persuade(|| self.capturer.start());
        if let Err(Unstarted::GivenUp) = started {
            self.capturer.give_up();
        }
        started.map(|()| settings)
    }

    /// Asks a few times.
    fn persuade(&self, function: impl Fn() -> bool) -> Result<(), Unstarted> {
        let tries = if self.capturer.may_change_its_mind() { START_TRIES } else { 1 };
        for attempt in 0..tries {
            if attempt > 0 {
                thread::sleep(START_WAIT);
            }
            let mut outcome = false;
            self.step(|| outcome = function());
            if outcome {
                return Ok(());
            }
            if !self.is_wanted() {
                return Err(Unstarted::GivenUp);
            }
        }
        Err(Unstarted::Refused)
    }

    /// One function of a start, unless nobody wants that any more. For its turn it waits on its own account: nobody waits
    /// for a start without a limit.
    fn step(&self, function: impl FnOnce()) {
        CAPTURERS.take_by(Instant::now() + DELETE_TIMEOUT, || {
            if self.is_wanted() {
                function();
            }
        });
    }

    fn is_wanted(&self) -> bool {
        self.state.lock().is_wanted
    }

    fn end(&self, deadline: Instant) {
        CAPTURERS.take_by(deadline, || {
            self.capturer.stop(deadline);
        });
        CAPTURERS.take_by(deadline, || {
            self.capturer.destroy();
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Weak;

    use super::*;

    /// Writes down what is called; ends itself from within the function that it is told.
    #[derive(Default)]
    struct Diary {
        calls: Mutex<Vec<&'static str>>,
        refusals: Mutex<u32>,
        ends_in: Mutex<Option<(&'static str, Weak<Capture>)>>,
        waits_until: Mutex<Option<Instant>>,
    }

    impl Diary {
        fn called(&self, function: &'static str) {
            self.calls.lock().push(function);
            let ended = self.ends_in.lock().take_if(|(deadly, _)| *deadly == function);
            if let Some(capture) = ended.and_then(|(_, capture)| capture.upgrade()) {
                capture.finish(Instant::now() + Duration::from_secs(3600));
            }
        }
    }

    impl Capturer for Diary {
        fn init(&self) -> bool {
            self.called("init");
            true
        }

        fn settings(&self) -> Option<CaptureSettings> {
            self.called("settings");
            None
        }

        fn start(&self) -> bool {
            self.called("start");
            let mut refusals = self.refusals.lock();
            let refuses = *refusals > 0;
            *refusals = refusals.saturating_sub(1);
            !refuses
        }

        fn stop(&self, deadline: Instant) -> bool {
            *self.waits_until.lock() = Some(deadline);
            self.calls.lock().push("stop");
            true
        }

        fn destroy(&self) -> bool {
            self.calls.lock().push("destroy");
            true
        }
    }

    #[test]
    fn start_and_destroy_come_in_turn() {
        let diary = Arc::new(Diary::default());
        let capture = Capture::new(diary.clone());
        for _ in 0..2 {
            capture.want(true);
            assert_eq!(capture.settle(Instant::now), Some(Ok(None)));
            assert_eq!(capture.settle(Instant::now), None, "it runs already");
            capture.finish(Instant::now());
            capture.finish(Instant::now());
        }
        let once = ["init", "settings", "start", "stop", "destroy"];
        assert_eq!(*diary.calls.lock(), [once, once].concat());
    }

    #[test]
    fn whoever_ends_a_capturer_says_until_when_it_may_wait() {
        let diary = Arc::new(Diary::default());
        let capture = Capture::new(diary.clone());
        capture.want(true);
        assert_eq!(capture.settle(Instant::now), Some(Ok(None)));
        let deadline = Instant::now() + INSIDE_TIMEOUT;
        capture.finish(deadline);
        assert_eq!(*diary.waits_until.lock(), Some(deadline));
    }

    #[test]
    fn a_capturer_that_never_started_is_not_destroyed() {
        let diary = Arc::new(Diary::default());
        *diary.refusals.lock() = START_TRIES;
        let capture = Capture::new(diary.clone());
        capture.want(true);
        assert_eq!(capture.settle(Instant::now), Some(Err(NotStarted)));
        capture.finish(Instant::now());
        assert_eq!(diary.calls.lock().last(), Some(&"start"));
    }

    #[test]
    fn a_refusal_may_be_temporary() {
        let diary = Arc::new(Diary::default());
        *diary.refusals.lock() = START_TRIES - 1;
        let capture = Capture::new(diary);
        capture.want(true);
        assert_eq!(capture.settle(Instant::now), Some(Ok(None)));
    }

    fn ended_in(function: &'static str, refusals: u32) -> Vec<&'static str> {
        let diary = Arc::new(Diary::default());
        let capture = Arc::new(Capture::new(diary.clone()));
        *diary.ends_in.lock() = Some((function, Arc::downgrade(&capture)));
        *diary.refusals.lock() = refusals;
        capture.want(true);
        let told = capture.settle(Instant::now);
        assert!(!matches!(told, Some(Err(_))), "that nobody wanted it is no refusal");
        diary.calls.lock().clone()
    }

    #[test]
    fn a_capturer_that_is_ended_inside_its_start_is_stopped_right_after_it() {
        assert_eq!(ended_in("start", 0), ["init", "settings", "start", "stop", "destroy"]);
    }

    #[test]
    fn a_capturer_that_is_ended_before_it_was_started_hears_nothing_more() {
        assert_eq!(ended_in("init", 0), ["init"]);
        assert_eq!(ended_in("settings", 0), ["init", "settings"]);
        assert_eq!(ended_in("start", START_TRIES), ["init", "settings", "start"]);
    }
}
