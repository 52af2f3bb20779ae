//! The way to the program: by this who publishes or subscribes, and who is connected, calls it.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use crate::driver::callbacks::{Claim, Gate, INSIDE_TIMEOUT, PRESSING_TIMEOUT, Poster, Turn};

/// Of one publishing, subscribing or connecting. No callback starts any more once the line is cut, its session is deleted,
/// or the library ends.
#[derive(Clone)]
pub(super) struct Line {
    poster: Poster,
    session: Arc<Gate>,
    own: Arc<Gate>,
    left: Arc<OnceLock<Instant>>,
}

impl Line {
    pub fn new(poster: Poster, session: Arc<Gate>) -> Self {
        Self { poster, session, own: Arc::default(), left: Arc::default() }
    }

    /// As uncut as it was.
    pub fn renewed(&self) -> Self {
        Self::new(self.poster.clone(), self.session.clone())
    }

    /// Puts a job on the callback thread; that is done also when the line is cut meanwhile. Never waits.
    pub fn post(&self, job: impl FnOnce() + Send + 'static) {
        self.poster.post(job);
    }

    /// Puts an event on the callback thread, where it waits for its turn as long as it is wanted. Never waits.
    pub fn post_event(
        &self,
        turn: &'static Turn,
        is_wanted: impl Fn() -> bool + Send + 'static,
        event: impl FnOnce() + Send + 'static,
    ) {
        let left = self.left.clone();
        let pressing_since = Box::new(move || left.get().copied());
        self.poster.post_event(Claim { turn, is_wanted: Box::new(is_wanted), pressing_since }, event);
    }

    /// Runs a callback of the program, on this thread, if one may start.
    pub fn pass(&self, callback: impl FnOnce()) {
        self.poster.pass(|| self.session.pass(|| self.own.pass(callback)));
    }

    /// Waits for nothing.
    pub fn cut(&self) {
        self.own.shut();
    }

    pub fn is_cut(&self) -> bool {
        self.own.is_shut()
    }

    /// Whether no callback starts any more.
    pub fn is_shut(&self) -> bool {
        self.own.is_shut() || self.session.is_shut() || self.poster.is_shut()
    }

    /// Who goes this way has left the session: how that ended is still told, what it was like there is not.
    pub fn leave(&self) {
        let _ = self.left.set(Instant::now()); // the first time counts
    }

    pub fn has_left(&self) -> bool {
        self.left.get().is_some()
    }

    /// Until when what still runs of it may hold up the end of its session. All that leave together share that time; who
    /// comes later has a moment.
    pub fn leaving_deadline(&self) -> Instant {
        let now = Instant::now();
        let left = self.left.get().copied().unwrap_or(now);
        (left + PRESSING_TIMEOUT).max(now + INSIDE_TIMEOUT)
    }

    /// Pictures and sound that are on their way to the program have passed when this returns, unless `deadline` was earlier. On
    /// the callback thread, in no callback of this line.
    pub fn wait_for_media(&self, deadline: Instant) {
        self.own.wait_for_others(deadline);
    }

    /// Waits for callbacks that run, at most until `deadline`, and not at all inside one.
    pub fn wait(&self, deadline: Instant) {
        self.own.wait(deadline);
    }
}
