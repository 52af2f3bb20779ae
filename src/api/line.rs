//! The way to the program: by this who publishes or subscribes, and who is connected, calls it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crate::driver::callbacks::{Gate, Poster};

/// Of one publishing, subscribing or connecting. No callback starts any more once the line is cut, its session is deleted,
/// or the library ends.
#[derive(Clone)]
pub(super) struct Line {
    poster: Poster,
    session: Arc<Gate>,
    own: Arc<Gate>,
    has_left: Arc<AtomicBool>,
}

impl Line {
    pub fn new(poster: Poster, session: Arc<Gate>) -> Self {
        Self { poster, session, own: Arc::default(), has_left: Arc::default() }
    }

    /// As uncut as it was.
    pub fn renewed(&self) -> Self {
        Self::new(self.poster.clone(), self.session.clone())
    }

    /// Puts a job on the callback thread; that is done also when the line is cut meanwhile. Never waits.
    pub fn post(&self, job: impl FnOnce() + Send + 'static) {
        self.poster.post(job);
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
        self.has_left.store(true, Ordering::SeqCst);
    }

    pub fn has_left(&self) -> bool {
        self.has_left.load(Ordering::SeqCst)
    }

    /// Waits for callbacks that run, at most until `deadline`, and not at all inside one.
    pub fn wait(&self, deadline: Instant) {
        self.own.wait(deadline);
    }
}
