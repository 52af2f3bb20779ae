//! The thread on which the program's callbacks run, and the gate each object's callbacks go through.
//!
//! One thread for the whole process: callbacks come in order and never two at once. No lock of this library is held
//! while one runs, so it may call anything, and it may wait for whatever it likes except for another callback.
//!
//! Pictures and sound come on threads of their own, and an event waits for its [`Turn`] among those of its kind. Where one
//! of them does not return, the events of its kind stand aside for what comes behind them.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, ReentrantMutex};

use super::threads_sys::Joinable;

/// What the callback thread does.
struct Job {
    run: Box<dyn FnOnce() + Send>,
    posted: Instant,
    /// `None`: it waits for nothing.
    claim: Option<Claim>,
}

/// What an event needs before it comes.
pub struct Claim {
    pub turn: &'static Turn,
    /// False: it comes no more.
    pub is_wanted: Box<dyn Fn() -> bool + Send>,
    /// Since when the end of a session waits for it. After [`PRESSING_TIMEOUT`] it comes beside the callback that runs.
    pub pressing_since: Box<dyn Fn() -> Option<Instant> + Send>,
}

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

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    /// What callbacks of all objects go through, on whichever thread they come.
    gate: Gate,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    is_closed: bool,
    is_finished: bool,
}

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
        let mut state = queue.0.state.lock();
        while !state.is_finished && !queue.0.changed.wait_until(&mut state, deadline).timed_out() {}
        let is_finished = state.is_finished;
        drop(state);
        let thread = if is_finished { thread.join(deadline)? } else { thread };
        Some(Self(Callbacks { queue, thread }))
    }
}

impl Poster {
    /// Never waits. After the thread has been stopped the job is dropped.
    pub fn post(&self, job: impl FnOnce() + Send + 'static) {
        self.put(None, Box::new(job));
    }

    /// As above, for an event that needs its turn.
    pub fn post_event(&self, claim: Claim, event: impl FnOnce() + Send + 'static) {
        self.put(Some(claim), Box::new(event));
    }

    fn put(&self, claim: Option<Claim>, run: Box<dyn FnOnce() + Send>) {
        let mut state = self.0.state.lock();
        if !state.is_closed {
            state.jobs.push_back(Job { run, posted: Instant::now(), claim });
            self.0.changed.notify_one();
        }
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

impl Queue {
    fn close(&self) {
        self.state.lock().is_closed = true;
        self.changed.notify_all();
    }

    fn run(&self) {
        // Events that have given way, in their order.
        let mut aside = VecDeque::new();
        while let Some(job) = self.next(!aside.is_empty()) {
            if let Some(job) = job {
                self.begin(job, &mut aside);
            }
            look_after(&mut aside);
        }
        self.state.lock().is_finished = true;
        self.changed.notify_all();
    }

    /// `None` at the end. When it is time to look after those that stand aside there may be nothing else to do.
    fn next(&self, some_are_aside: bool) -> Option<Option<Job>> {
        let mut state = self.state.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                return Some(Some(job));
            }
            if some_are_aside {
                self.changed.wait_for(&mut state, LOOK_INTERVAL);
                return Some(state.jobs.pop_front());
            }
            if state.is_closed {
                return None;
            }
            self.changed.wait(&mut state);
        }
    }

    fn begin(&self, job: Job, aside: &mut VecDeque<Job>) {
        let Some(claim) = &job.claim else {
            // Before a session says that it has ended its publishers do.
            while let Some(turn) = aside.iter().find_map(Job::pressing) {
                drop(turn.0.try_lock_for(LOOK_INTERVAL));
                look_after(aside);
            }
            return enter(job.run);
        };
        let turn = claim.turn;
        if aside.iter().any(|other| other.needs(turn)) {
            return aside.push_back(job);
        }
        while (claim.is_wanted)() {
            let granted = turn.0.try_lock_for(LOOK_INTERVAL);
            if granted.is_some() || job.presses_too_long() {
                if (claim.is_wanted)() {
                    enter(job.run);
                }
                return;
            }
            if self.is_held_up(turn) {
                return aside.push_back(job);
            }
        }
    }

    /// Whether something else has waited long enough.
    fn is_held_up(&self, turn: &Turn) -> bool {
        let state = self.state.lock();
        let other = state.jobs.iter().find(|job| !job.needs(turn));
        other.is_some_and(|job| job.posted.elapsed() >= PRESSING_TIMEOUT)
    }
}

/// Those whose turn it is come now, in their order.
fn look_after(aside: &mut VecDeque<Job>) {
    let mut taken: Vec<&'static Turn> = Vec::new();
    let mut index = 0;
    while let Some(Claim { turn, is_wanted, .. }) = aside.get(index).and_then(|job| job.claim.as_ref()) {
        let turn = *turn;
        if !is_wanted() {
            aside.remove(index);
            continue;
        }
        let is_behind = taken.iter().any(|other| std::ptr::eq(*other, turn));
        let granted = if is_behind { None } else { turn.0.try_lock() };
        if granted.is_none() && !aside[index].presses_too_long() {
            taken.push(turn);
            index += 1;
            continue;
        }
        if let Some(job) = aside.remove(index) {
            enter(job.run);
        }
        // Meanwhile anything may have changed.
        taken.clear();
        index = 0;
    }
}

impl Job {
    fn needs(&self, turn: &Turn) -> bool {
        self.claim.as_ref().is_some_and(|claim| std::ptr::eq(claim.turn, turn))
    }

    /// What it waits for, where the end of a session waits for it.
    fn pressing(&self) -> Option<&'static Turn> {
        let claim = self.claim.as_ref().filter(|claim| (claim.is_wanted)())?;
        (claim.pressing_since)().map(|_| claim.turn)
    }

    fn presses_too_long(&self) -> bool {
        let since = self.claim.as_ref().and_then(|claim| (claim.pressing_since)());
        since.is_some_and(|since| since.elapsed() >= PRESSING_TIMEOUT)
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

/// What an object's callbacks go through. Once closed, none starts.
#[derive(Default)]
pub struct Gate {
    state: Mutex<GateState>,
    left: Condvar,
}

#[derive(Default)]
struct GateState {
    is_closed: bool,
    inside: u32,
}

impl Gate {
    /// Runs the callback unless the gate is closed.
    pub fn pass(&self, callback: impl FnOnce()) {
        {
            let mut state = self.state.lock();
            if state.is_closed {
                return;
            }
            state.inside += 1;
        }
        let _leave = Leave(self);
        callback();
    }

    pub fn is_shut(&self) -> bool {
        self.state.lock().is_closed
    }

    /// From now on no callback starts. Waits for nothing.
    pub fn shut(&self) {
        self.state.lock().is_closed = true;
    }

    /// From now on no callback starts. Waits for one that runs, at most until `deadline`, and not at all where the
    /// caller is inside a callback itself.
    pub fn close(&self, deadline: Instant) {
        self.shut();
        if !self.wait(deadline) {
            log::warn!("a callback still runs after its object was deleted");
        }
    }

    /// Waits until no callback runs, as [`Self::close`] does. False: one still did at the deadline.
    pub fn wait(&self, deadline: Instant) -> bool {
        is_inside_callback() || self.wait_for_others(deadline)
    }

    /// The same where the caller is inside a callback, but in none that went through this gate.
    pub fn wait_for_others(&self, deadline: Instant) -> bool {
        let mut state = self.state.lock();
        while state.inside > 0 && !self.left.wait_until(&mut state, deadline).timed_out() {}
        state.inside == 0
    }
}

/// Leaves the gate, also when the callback panics.
struct Leave<'a>(&'a Gate);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.state.lock().inside -= 1;
        self.0.left.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
    use std::sync::mpsc;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);

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

    /// Who holds a turn until it is told to go on.
    fn stuck(turn: &'static Turn) -> (mpsc::Sender<()>, thread::JoinHandle<()>) {
        let (held, holds) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let holder = thread::spawn(move || {
            turn.take_while(
                || true,
                || {
                    held.send(()).expect("the test listens");
                    released.recv_timeout(LIMIT).expect("the test releases");
                },
            );
        });
        holds.recv_timeout(LIMIT).expect("the turn is taken");
        (release, holder)
    }

    fn claim(turn: &'static Turn, pressing_since: Option<Instant>, is_wanted: &Arc<AtomicBool>) -> Claim {
        let is_wanted = is_wanted.clone();
        Claim {
            turn,
            is_wanted: Box::new(move || is_wanted.load(Ordering::SeqCst)),
            pressing_since: Box::new(move || pressing_since),
        }
    }

    #[test]
    fn events_of_a_kind_that_is_stuck_stand_aside_and_come_in_their_order() {
        static TURN: Turn = Turn(ReentrantMutex::new(()));
        let (release, holder) = stuck(&TURN);
        let callbacks = Callbacks::start(&mut None).expect("a thread");
        let (heard, hears) = mpsc::channel();
        let (wanted, unwanted) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(true)));
        let event = |number: u32, is_wanted| {
            let heard = heard.clone();
            let tell = move || heard.send(number).expect("the test listens");
            callbacks.poster().post_event(claim(&TURN, None, is_wanted), tell);
        };
        let plain = |number: u32| {
            let heard = heard.clone();
            callbacks.poster().post(move || heard.send(number).expect("the test listens"));
        };
        let begin = Instant::now();
        event(1, &wanted);
        event(2, &unwanted);
        plain(10);
        event(3, &wanted);
        plain(11);
        assert_eq!((hears.recv_timeout(LIMIT), hears.recv_timeout(LIMIT)), (Ok(10), Ok(11)));
        assert!(begin.elapsed() >= PRESSING_TIMEOUT, "for as long they keep the order");
        event(4, &wanted);
        unwanted.store(false, Ordering::SeqCst);
        release.send(()).expect("it waits");
        holder.join().expect("it ends");
        let rest: Vec<u32> = (0..3).map(|_| hears.recv_timeout(LIMIT).expect("an event")).collect();
        assert_eq!(rest, [1, 3, 4]);
        assert!(callbacks.stop(LIMIT).is_none());
    }

    #[test]
    fn events_that_press_come_beside_all_at_one_time_and_before_the_end_that_waits_for_them() {
        static TURN: Turn = Turn(ReentrantMutex::new(()));
        let (release, holder) = stuck(&TURN);
        let callbacks = Callbacks::start(&mut None).expect("a thread");
        let (heard, hears) = mpsc::channel();
        let wanted = Arc::new(AtomicBool::new(true));
        let begin = Instant::now();
        for number in 0..5 {
            let heard = heard.clone();
            let tell = move || heard.send(number).expect("the test listens");
            callbacks.poster().post_event(claim(&TURN, Some(begin), &wanted), tell);
        }
        let end = heard.clone();
        callbacks.poster().post(move || end.send(5).expect("the test listens"));
        let all: Vec<u32> = (0..6).map(|_| hears.recv_timeout(LIMIT).expect("an event")).collect();
        assert_eq!(all, [0, 1, 2, 3, 4, 5]);
        assert!(begin.elapsed() < 2 * PRESSING_TIMEOUT, "{:?}", begin.elapsed());
        release.send(()).expect("it waits");
        holder.join().expect("it ends");
        assert!(callbacks.stop(LIMIT).is_none());
    }

    #[test]
    fn a_thread_that_nobody_stops_ends_when_it_has_run_what_is_queued() {
        let callbacks = Callbacks::start(&mut None).expect("a thread");
        let (heard, hears) = mpsc::channel();
        callbacks.poster().post(move || heard.send(()).expect("the test listens"));
        let queue = callbacks.queue.0.clone();
        drop(callbacks);
        let deadline = Instant::now() + LIMIT;
        let mut state = queue.state.lock();
        while !state.is_finished {
            assert!(!queue.changed.wait_until(&mut state, deadline).timed_out(), "it goes on");
        }
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
    fn a_closed_gate_lets_nobody_in_and_closing_waits_for_who_is_inside() {
        let callbacks = Callbacks::start(&mut None).expect("a thread");
        let gate = Arc::new(Gate::default());
        let (entered, enters) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let (left, leaves) = mpsc::channel();
        let inside = gate.clone();
        callbacks.poster().post(move || {
            inside.pass(|| {
                entered.send(()).expect("the test listens");
                released.recv_timeout(LIMIT).expect("the test releases");
                left.send(()).expect("the test listens");
            })
        });
        enters.recv_timeout(LIMIT).expect("the callback runs");
        let closer = thread::spawn({
            let gate = gate.clone();
            move || {
                gate.close(Instant::now() + LIMIT);
                leaves.try_recv().expect("the callback has returned before the gate has closed");
            }
        });
        release.send(()).expect("the callback listens");
        closer.join().expect("the gate closes");
        gate.pass(|| panic!("nobody gets in"));
        assert!(callbacks.stop(LIMIT).is_none());
    }

    #[test]
    fn closing_inside_a_callback_does_not_wait() {
        let callbacks = Callbacks::start(&mut None).expect("a thread");
        let gate = Arc::new(Gate::default());
        let (heard, hears) = mpsc::channel();
        callbacks.poster().post(move || {
            gate.pass(|| gate.close(Instant::now() + Duration::from_secs(3600)));
            heard.send(()).expect("the test listens");
        });
        hears.recv_timeout(LIMIT).expect("no deadlock");
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
    struct Dice(u64);

    impl Dice {
        fn roll(&mut self, sides: u64) -> u64 {
            self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (self.0 >> 33) % sides
        }
    }

    /// Threads that pass, and one that closes at some moment: with its return the object may be freed, so whoever is
    /// found inside after that, or enters later, would use freed memory.
    #[test]
    fn after_close_nobody_is_inside_and_nobody_comes() {
        const PASSERS: u64 = 4;
        for seed in 0..40 {
            let gate = Gate::default();
            let inside = AtomicU32::new(0);
            let is_freed = AtomicBool::new(false);
            let passed = AtomicU32::new(0);
            thread::scope(|scope| {
                for passer in 0..PASSERS {
                    let (gate, inside, is_freed, passed) = (&gate, &inside, &is_freed, &passed);
                    scope.spawn(move || {
                        let mut dice = Dice(seed * PASSERS + passer);
                        for _ in 0..50 {
                            gate.pass(|| {
                                inside.fetch_add(1, Ordering::SeqCst);
                                assert!(
                                    !is_freed.load(Ordering::SeqCst),
                                    "seed {seed}: a callback after close"
                                );
                                for _ in 0..dice.roll(20) {
                                    thread::yield_now();
                                }
                                assert!(
                                    !is_freed.load(Ordering::SeqCst),
                                    "seed {seed}: a callback through close"
                                );
                                inside.fetch_sub(1, Ordering::SeqCst);
                                passed.fetch_add(1, Ordering::SeqCst);
                            });
                        }
                    });
                }
                let mut dice = Dice(!seed);
                let at_least = dice.roll(100) as u32;
                while passed.load(Ordering::SeqCst) < at_least {
                    thread::yield_now();
                }
                gate.close(Instant::now() + LIMIT);
                is_freed.store(true, Ordering::SeqCst);
                assert_eq!(inside.load(Ordering::SeqCst), 0, "seed {seed}");
            });
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
