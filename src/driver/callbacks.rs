//! The thread on which the program's callbacks run, and the gate each object's callbacks go through.
//!
//! One thread for the whole process: callbacks come in order and never two at once. No lock of this library is held
//! while one runs, so it may call anything, and it may wait for whatever it likes except for another callback.
//!
//! Pictures and sound come on threads of their own, and an event waits for its [`Turn`] among those of its kind. Where one
//! of them does not return, the events of its kind stand aside for what comes behind them.

mod gate;
mod queue;

use std::cell::Cell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, ReentrantMutex};

use super::threads_sys::Joinable;
pub use gate::Gate;
pub use queue::Claim;
use queue::Queue;

thread_local! {
    /// How many of the program's callbacks this thread is inside of.
    static CALLBACK_DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// Whether the calling code was called by this library: then nothing may be waited for that needs its return.
pub fn is_inside_callback() -> bool {
    CALLBACK_DEPTH.get() > 0
}

/// Runs the program's code. A panic in it ends here.
pub fn enter(job: impl FnOnce()) {
    CALLBACK_DEPTH.set(CALLBACK_DEPTH.get() + 1);
    if catch_unwind(AssertUnwindSafe(job)).is_err() {
        log::error!("a callback panicked");
    }
    CALLBACK_DEPTH.set(CALLBACK_DEPTH.get() - 1);
}

/// The callback thread.
pub struct Callbacks {
    queue: ClosedWhenDropped,
    thread: Joinable,
}

/// The thread ends, when it has run what is queued, also where nobody came to stop it.
struct ClosedWhenDropped(Arc<Queue>);

impl Drop for ClosedWhenDropped {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// A callback thread that was told to end and could not be waited for. It ends when the callback in it returns.
pub struct Remnant(Callbacks);

/// Where callbacks are put; any number of clones.
#[derive(Clone)]
pub struct Poster(Arc<Queue>);

impl Callbacks {
    /// This thread begins when the one `before` it has ended, so there are never two. `before` is taken on success only.
    pub fn start(before: &mut Option<Remnant>) -> io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let handed = Arc::new(Mutex::new(before.take()));
        let thread = thread::Builder::new().name("otc-callbacks".into()).spawn({
            let queue = queue.clone();
            let handed = handed.clone();
            move || {
                let before = handed.lock().take();
                let mut before = before.map(|Remnant(before)| before.thread);
                while let Some(thread) = before.take() {
                    before = thread.join(Instant::now() + DELETE_TIMEOUT); // in vain, or it is gone
                }
                queue.run();
            }
        });
        match thread {
            Ok(thread) => Ok(Self { queue: ClosedWhenDropped(queue), thread: thread.into() }),
            Err(error) => {
                *before = handed.lock().take();
                Err(error)
            }
        }
    }

    pub fn poster(&self) -> Poster {
        Poster(self.queue.0.clone())
    }

    /// From now on no callback of any object starts; what else is queued is done as before. Waits for nothing.
    pub fn shut(&self) {
        self.queue.0.gate.shut();
    }

    /// Waits for callbacks that run, at most until `deadline`, and not at all inside one.
    pub fn wait(&self, deadline: Instant) {
        self.queue.0.gate.wait(deadline);
    }

    /// Ends the thread when it has run what is queued. Gives the rest back where it could not be waited for: the caller
    /// is inside a callback, or the program's callback takes longer than `limit`.
    pub fn stop(self, limit: Duration) -> Option<Remnant> {
        self.queue.0.close();
        Remnant(self).wait(limit)
    }
}

impl Remnant {
    /// Waits at most `limit`, and not at all inside a callback. `None` when nothing is left.
    pub fn wait(self, limit: Duration) -> Option<Self> {
        if is_inside_callback() {
            return Some(self);
        }
        let Callbacks { queue, thread } = self.0;
        let deadline = Instant::now() + limit;
        let thread = if queue.0.is_finished_by(deadline) { thread.join(deadline)? } else { thread };
        Some(Self(Callbacks { queue, thread }))
    }
}

impl Poster {
    /// Never waits. After the thread has been stopped the job is dropped.
    pub fn post(&self, job: impl FnOnce() + Send + 'static) {
        self.0.put(None, Box::new(job));
    }

    /// As above, for an event that needs its turn.
    pub fn post_event(&self, claim: Claim, event: impl FnOnce() + Send + 'static) {
        self.0.put(Some(claim), Box::new(event));
    }

    /// Whether no callback of any object starts any more.
    pub fn is_shut(&self) -> bool {
        self.0.gate.is_shut()
    }

    /// Runs a callback of the program, on this thread, unless none may start any more.
    pub fn pass(&self, callback: impl FnOnce()) {
        self.0.gate.pass(callback);
    }
}

/// One kind of object of the program: a callback of it never runs beside another one of the same kind. Wrappers that
/// guard a table for each kind lose callbacks otherwise.
///
/// A callback may end another object of its own kind, whose callbacks come inside of it then.
pub struct Turn(ReentrantMutex<()>);

/// Publishers' callbacks, those with frames included.
pub static PUBLISHERS: Turn = Turn(ReentrantMutex::new(()));
/// Subscribers' callbacks, those with frames and sound included.
pub static SUBSCRIBERS: Turn = Turn(ReentrantMutex::new(()));
/// Video capturers' callbacks.
pub static CAPTURERS: Turn = Turn(ReentrantMutex::new(()));

impl Turn {
    /// The callback of sound: it waits for the one that runs, as long as it is wanted.
    pub fn take_while(&self, is_wanted: impl Fn() -> bool, job: impl FnOnce()) {
        while is_wanted() {
            if let Some(_turn) = self.0.try_lock_for(LOOK_INTERVAL) {
                return enter(job);
            }
        }
    }

    /// A callback that has to come, also where a program waits in one of the same kind for the thread that needs this
    /// one: at `deadline` it does.
    pub fn take_by(&self, deadline: Instant, job: impl FnOnce()) {
        let _turn = self.0.try_lock_until(deadline);
        enter(job);
    }

    /// The callback of a frame, which does not wait for long: false when it did not get its turn.
    pub fn try_take(&self, limit: Duration, job: impl FnOnce()) -> bool {
        let Some(_turn) = self.0.try_lock_for(limit) else { return false };
        enter(job);
        true
    }
}

/// How often an event that waits for its turn looks whether it is still wanted. A fraction of the two seconds in which a
/// disconnect is told; the turn itself is taken as soon as it is free.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// How long anything waits for an event that waits for its turn: half of the two seconds in which a disconnect is told.
pub const PRESSING_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a deletion waits for a callback that runs. Longer than any callback should take; a program that waits in
/// one for the thread that deletes gets its thread back.
pub const DELETE_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a deletion inside a callback waits for a function of a capturer, and for the turn of one that it has to call
/// itself. Long enough for one that is about to return; it may be waiting for this very thread.
pub const INSIDE_TIMEOUT: Duration = Duration::from_millis(50);

/// Until when a deletion that begins now may wait, for everything together.
pub fn deletion_deadline() -> Instant {
    Instant::now() + if is_inside_callback() { INSIDE_TIMEOUT } else { DELETE_TIMEOUT }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
    use std::sync::mpsc;

    use super::*;

    pub const LIMIT: Duration = Duration::from_secs(5);

    #[test]
    fn callbacks_run_in_order_and_stop_waits_for_them() {
        let callbacks = Callbacks::start(&mut None).expect("a thread");
        let (heard, hears) = mpsc::channel();
        for number in 0..100 {
            let heard = heard.clone();
            callbacks.poster().post(move || heard.send(number).expect("the test listens"));
        }
        assert!(callbacks.stop(LIMIT).is_none());
        assert_eq!(hears.try_iter().collect::<Vec<_>>(), (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn a_thread_that_nobody_stops_ends_when_it_has_run_what_is_queued() {
        let callbacks = Callbacks::start(&mut None).expect("a thread");
        let (heard, hears) = mpsc::channel();
        callbacks.poster().post(move || heard.send(()).expect("the test listens"));
        let queue = callbacks.queue.0.clone();
        drop(callbacks);
        assert!(queue.is_finished_by(Instant::now() + LIMIT), "it goes on");
        hears.try_recv().expect("it has run");
    }

    #[test]
    fn a_panic_in_a_callback_ends_there() {
        let callbacks = Callbacks::start(&mut None).expect("a thread");
        let (heard, hears) = mpsc::channel();
        callbacks.poster().post(|| panic!("on purpose"));
        callbacks.poster().post(move || heard.send(()).expect("the test listens"));
        hears.recv_timeout(LIMIT).expect("the next callback");
        assert!(callbacks.stop(LIMIT).is_none());
    }

    #[test]
    fn a_callback_that_stops_its_own_thread_is_followed_by_the_next_one() {
        let callbacks = Callbacks::start(&mut None).expect("a thread");
        let poster = callbacks.poster();
        let (heard, hears) = mpsc::channel();
        poster.post(move || {
            let mut before = callbacks.stop(LIMIT);
            assert!(before.is_some(), "a thread cannot wait for itself");
            let next = Callbacks::start(&mut before).expect("a thread");
            let again = heard.clone();
            next.poster().post(move || again.send(is_inside_callback()).expect("the test listens"));
            heard.send(true).expect("the test listens");
            std::mem::forget(next);
        });
        assert_eq!(hears.recv_timeout(LIMIT), Ok(true));
        assert_eq!(hears.recv_timeout(LIMIT), Ok(true));
    }

    /// Numbers for a test that has to be repeatable (Knuth's constants for 64 bits).
    pub struct Dice(pub u64);

    impl Dice {
        pub fn roll(&mut self, sides: u64) -> u64 {
            self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (self.0 >> 33) % sides
        }
    }

    /// Posts from many threads, a gate that closes and a thread that stops, in any order: jobs run one at a time, in
    /// the order of each poster, none after the stop, and the next thread begins after the last one.
    #[test]
    fn posts_closes_and_stops_in_any_order_run_one_at_a_time() {
        const POSTERS: usize = 3;
        let running = Arc::new(AtomicU32::new(0));
        let mut before = None;
        for seed in 0..40 {
            let mut dice = Dice(seed);
            let callbacks = Callbacks::start(&mut before).expect("a thread");
            let gate = Arc::new(Gate::default());
            let is_stopped = Arc::new(AtomicBool::new(false));
            let heard = Arc::new(Mutex::new(vec![Vec::new(); POSTERS]));
            thread::scope(|scope| {
                for poster in 0..POSTERS {
                    let (mine, gate, running) = (callbacks.poster(), gate.clone(), running.clone());
                    let (is_stopped, heard) = (is_stopped.clone(), heard.clone());
                    scope.spawn(move || {
                        for number in 0..30 {
                            let (gate, running) = (gate.clone(), running.clone());
                            let (is_stopped, heard) = (is_stopped.clone(), heard.clone());
                            mine.post(move || {
                                assert_eq!(running.fetch_add(1, Ordering::SeqCst), 0, "two at once");
                                gate.pass(|| heard.lock()[poster].push(number));
                                assert!(!is_stopped.load(Ordering::SeqCst), "one after the stop");
                                running.fetch_sub(1, Ordering::SeqCst);
                            });
                        }
                    });
                }
                for _ in 0..dice.roll(200) {
                    thread::yield_now();
                }
                gate.close(Instant::now() + LIMIT);
                let count: usize = heard.lock().iter().map(Vec::len).sum();
                if dice.roll(2) == 0 {
                    before = callbacks.stop(LIMIT);
                    is_stopped.store(true, Ordering::SeqCst);
                } else {
                    // As where a callback takes too long: the next thread takes over.
                    before = callbacks.stop(Duration::ZERO);
                }
                let heard = heard.lock();
                assert_eq!(heard.iter().map(Vec::len).sum::<usize>(), count, "seed {seed}: one after close");
                for numbers in heard.iter() {
                    assert!(numbers.is_sorted(), "seed {seed}: {numbers:?}");
                }
            });
        }
        assert!(before.is_none_or(|remnant| remnant.wait(LIMIT).is_none()));
        assert_eq!(running.load(Ordering::SeqCst), 0, "a job's own check failed");
    }
}
