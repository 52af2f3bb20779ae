//! The life of a video capturer: initialised and started together, stopped and destroyed together.
//!
//! Programs create their thread in `start` and join it in `destroy`, so the two come in turn and never twice in a row.
//! Nothing is locked while one of them runs; whoever changes his mind meanwhile is heard when it has returned.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::driver::callbacks::{self, CAPTURERS, DELETE_TIMEOUT};

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
    fn stop(&self) -> bool;
    fn destroy(&self) -> bool;

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
    /// A thread is inside one of the functions.
    Busy,
    Running,
}

/// The capturer did not start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotStarted;

impl Capture {
    pub fn new(capturer: Arc<dyn Capturer>) -> Self {
        Self { capturer, state: Mutex::default(), changed: Condvar::new() }
    }

    /// From now on it is to run; [`Self::settle`] makes it.
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
                    state.stage = Stage::Busy;
                    drop(state);
                    let outcome = self.start();
                    state = self.state.lock();
                    state.stage = if outcome.is_ok() { Stage::Running } else { Stage::Idle };
                    state.is_wanted &= outcome.is_ok();
                    started = Some(outcome);
                }
                (Stage::Running, false) => {
                    state.stage = Stage::Busy;
                    drop(state);
                    self.end(deadline());
                    state = self.state.lock();
                    state.stage = Stage::Idle;
                }
                (Stage::Busy, _) | (Stage::Idle, false) | (Stage::Running, true) => break,
            }
        }
        drop(state);
        self.changed.notify_all();
        started
    }

    /// Ends it. When this returns `destroy` has returned, unless another thread is at it until `deadline`; inside a callback
    /// that is not waited for.
    pub fn finish(&self, deadline: Instant) {
        self.want(false);
        self.settle(|| deadline);
        if callbacks::is_inside_callback() {
            return;
        }
        let mut state = self.state.lock();
        while state.stage == Stage::Busy && !self.changed.wait_until(&mut state, deadline).timed_out() {}
    }

    /// Why it did not start.
    pub fn refusal(&self) -> String {
        self.capturer.refusal()
    }

    fn start(&self) -> Result<Option<CaptureSettings>, NotStarted> {
        let tries = if self.capturer.may_change_its_mind() { START_TRIES } else { 1 };
        if !(0..tries).any(|tries| patiently(tries, || self.capturer.init())) {
            return Err(NotStarted);
        }
        let mut settings = None;
        CAPTURERS.take_by(patience(), || settings = self.capturer.settings());
        match (0..tries).any(|tries| patiently(tries, || self.capturer.start())) {
            true => Ok(settings),
            false => Err(NotStarted),
        }
    }

    fn end(&self, deadline: Instant) {
        CAPTURERS.take_by(deadline, || {
            self.capturer.stop();
        });
        CAPTURERS.take_by(deadline, || {
            self.capturer.destroy();
        });
    }
}

fn patiently(tries: u32, call: impl Fn() -> bool) -> bool {
    if tries > 0 {
        thread::sleep(START_WAIT);
    }
    let mut outcome = false;
    CAPTURERS.take_by(patience(), || outcome = call());
    outcome
}

/// Until when each step of a start waits for its turn: nobody waits for the start without a limit of his own.
fn patience() -> Instant {
    Instant::now() + DELETE_TIMEOUT
}

#[cfg(test)]
mod tests {
    use std::sync::Weak;

    use super::*;

    /// Writes down what is called; stops itself from within `start` where it is told to.
    #[derive(Default)]
    struct Diary {
        calls: Mutex<Vec<&'static str>>,
        refusals: Mutex<u32>,
        from_start: Mutex<Option<Weak<Capture>>>,
    }

    impl Capturer for Diary {
        fn init(&self) -> bool {
            self.calls.lock().push("init");
            true
        }

        fn settings(&self) -> Option<CaptureSettings> {
            None
        }

        fn start(&self) -> bool {
            self.calls.lock().push("start");
            if let Some(capture) = self.from_start.lock().take().and_then(|weak| weak.upgrade()) {
                capture.finish(Instant::now() + Duration::from_secs(3600));
            }
            let mut refusals = self.refusals.lock();
            let refuses = *refusals > 0;
            *refusals = refusals.saturating_sub(1);
            !refuses
        }

        fn stop(&self) -> bool {
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
        let once = ["init", "start", "stop", "destroy"];
        assert_eq!(*diary.calls.lock(), [once, once].concat());
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

    #[test]
    fn a_capturer_that_is_ended_inside_its_start_is_stopped_right_after_it() {
        let diary = Arc::new(Diary::default());
        let capture = Arc::new(Capture::new(diary.clone()));
        *diary.from_start.lock() = Some(Arc::downgrade(&capture));
        capture.want(true);
        capture.settle(Instant::now);
        assert_eq!(*diary.calls.lock(), ["init", "start", "stop", "destroy"]);
    }
}
