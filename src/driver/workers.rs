//! The threads of codecs: named, owned, and gone when the library is.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

use super::signals_sys;
use super::threads_sys::{Joinable, join_all, join_kept};

/// All worker threads of a running library. Clones are the same.
#[derive(Clone, Default)]
pub struct Workers(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Default)]
struct State {
    running: usize,
    threads: Vec<Joinable>,
    is_closed: bool,
}

/// Counts a thread until it has nothing more to do, also when it panics.
struct Running(Arc<Shared>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.state.lock().running -= 1;
        self.0.ended.notify_all();
    }
}

impl Workers {
    /// Starts a thread. It has to end by itself soon after its owner has told it to.
    pub fn spawn(&self, name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let mut state = self.0.state.lock();
        if state.is_closed {
            return Err(io::Error::other("the library is ending"));
        }
        // Threads that have ended are cleared away by the next one that begins, which waits for none.
        join_all(&mut state.threads, Instant::now());
        state.running += 1;
        drop(state); // where no thread can be had the count goes back right here
        let running = Running(self.0.clone());
        let spawned = thread::Builder::new().name(name.into()).spawn(move || {
            let _running = running;
            signals_sys::as_the_program(); // pictures are handed to the program here
            work();
        });
        spawned.map(|thread| self.0.state.lock().threads.push(thread.into()))
    }

    /// No thread starts any more. Waits for those that run, at most until `deadline`; false when some still do.
    pub fn join(&self, deadline: Instant) -> bool {
        let mut state = self.0.state.lock();
        state.is_closed = true;
        while state.running > 0 && !self.0.ended.wait_until(&mut state, deadline).timed_out() {}
        if state.running > 0 {
            return false;
        }
        drop(state);
        join_kept(&self.0.state, |state| &mut state.threads, deadline)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::super::threads_sys::tests::linger;
    use super::*;

    #[test]
    fn join_waits_for_every_worker_and_lets_none_begin() {
        let workers = Workers::default();
        let (release, released) = mpsc::channel::<()>();
        workers
            .spawn("otc-test", move || {
                let _ = released.recv();
            })
            .expect("a thread");
        assert!(!workers.join(Instant::now()), "it still waits");
        assert!(workers.spawn("otc-test", || {}).is_err());
        drop(release);
        assert!(workers.join(Instant::now() + Duration::from_secs(5)));
    }

    #[test]
    fn a_worker_that_lingers_holds_up_neither_the_next_one_nor_the_end() {
        let workers = Workers::default();
        let (release, linger) = linger();
        workers.spawn("otc-test", linger).expect("a thread");
        for _ in 0..100 {
            workers.spawn("otc-test", || {}).expect("a thread");
        }
        assert!(!workers.join(Instant::now() + Duration::from_millis(200)), "one is still there");
        drop(release);
        assert!(workers.join(Instant::now() + Duration::from_secs(5)));
    }
}
