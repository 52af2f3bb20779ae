//! Threads that are waited for no longer than one wants to.
//!
//! A thread that has done its work still ends what it keeps for itself. Where it has run the program's code that may be the
//! program's too (C++'s `thread_local`, a key of pthreads, a virtual machine that lets go of the thread), and may want a
//! lock that whoever waits for the thread has taken.

use std::os::unix::thread::JoinHandleExt as _;
use std::ptr::null_mut;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// How often it is looked whether a thread has ended. One that has done its work needs less to be gone.
const LOOK_INTERVAL: Duration = Duration::from_micros(200);

/// A thread that nobody else joins. Dropping this lets it go on by itself.
pub struct Joinable(libc::pthread_t);

// SAFETY: it names a thread, and any other thread may wait for that one.
unsafe impl Send for Joinable {}

impl From<JoinHandle<()>> for Joinable {
    fn from(thread: JoinHandle<()>) -> Self {
        Self(thread.into_pthread_t())
    }
}

impl Joinable {
    /// Waits for the end of the thread, at most until `deadline`; `None` when it has ended. Not for the thread itself.
    pub fn join(self, deadline: Instant) -> Option<Self> {
        // SAFETY: only this value knows the thread, so that it has been neither joined nor let go.
        while unsafe { libc::pthread_tryjoin_np(self.0, null_mut()) } == libc::EBUSY {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Some(self);
            }
            thread::sleep(left.min(LOOK_INTERVAL));
        }
        std::mem::forget(self);
        None
    }
}

impl Drop for Joinable {
    fn drop(&mut self) {
        // SAFETY: as in `join`, after which this is not called.
        unsafe { libc::pthread_detach(self.0) };
    }
}

/// Waits for all of them, at most until `deadline`. Those that have not ended stay.
pub fn join_all(threads: &mut Vec<Joinable>, deadline: Instant) {
    let all = std::mem::take(threads);
    threads.extend(all.into_iter().filter_map(|thread| thread.join(deadline)));
}

/// As above for those that are kept in `state`, which is not locked meanwhile. Whether none is left.
pub fn join_kept<T>(state: &Mutex<T>, kept: fn(&mut T) -> &mut Vec<Joinable>, deadline: Instant) -> bool {
    let mut threads = std::mem::take(kept(&mut state.lock()));
    join_all(&mut threads, deadline);
    let is_none_left = threads.is_empty();
    kept(&mut state.lock()).extend(threads);
    is_none_left
}

#[cfg(test)]
pub mod tests {
    use std::cell::RefCell;
    use std::sync::mpsc;

    use super::*;

    /// Ends only when the other end of it is dropped.
    struct Lingers(mpsc::Receiver<()>);

    impl Drop for Lingers {
        fn drop(&mut self) {
            let _ = self.0.recv();
        }
    }

    /// What makes the thread that calls it last, when its work is done, as long as the sender.
    pub fn linger() -> (mpsc::Sender<()>, impl FnOnce() + Send) {
        thread_local!(static KEPT: RefCell<Option<Lingers>> = const { RefCell::new(None) });
        let (sender, receiver) = mpsc::channel();
        (sender, move || KEPT.set(Some(Lingers(receiver))))
    }

    #[test]
    fn a_thread_that_lingers_is_waited_for_with_a_limit() {
        let (release, linger) = linger();
        let thread = Joinable::from(thread::spawn(linger));
        let thread = thread.join(Instant::now() + Duration::from_millis(20)).expect("it lingers");
        drop(release);
        assert!(thread.join(Instant::now() + Duration::from_secs(20)).is_none());
    }
}
