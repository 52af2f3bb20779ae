//! The library as a whole: started by the first need, ended by `destroy`.
//!
//! It owns what all sessions share: the runtime, on which the embedded hub runs too where this process hosts it, the
//! callback thread, and the sound.
//! `destroy` ends it all, within a limit and however much lives, and leaves nothing behind but the mapped code.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};
use tokio::runtime::{self, Runtime};

use super::Error;
use super::count::Count;
use super::hub;
use super::logger;
use super::session::Session;
use super::sound;
use crate::driver::callbacks::{self, Callbacks, Poster, Remnant};
use crate::driver::sound::Sound;
use crate::driver::workers::Workers;
use crate::driver::{fork_sys, names, signals_sys, threads};

/// How long `destroy` takes at most. A supervisor that sends SIGTERM waits about twice as long before SIGKILL.
const DESTROY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long, within it, servers are given to hear the farewells.
const FAREWELLS_TIMEOUT: Duration = Duration::from_millis(1500);

/// How long, within it, the clients of the hub are given to hear that it ends.
const HUB_TIMEOUT: Duration = Duration::from_millis(1000);

/// Threads that have nothing left to do are given this long to end, also when the time is up.
const LAST_TIMEOUT: Duration = Duration::from_millis(100);

/// How long, within it, the system's resolver is given to return. Name servers that answer do so in this time, and it has
/// no way to be interrupted where none does.
const LOOKUPS_TIMEOUT: Duration = Duration::from_millis(500);

/// How long to wait for a callback thread that has had nothing to do.
const UNUSED_TIMEOUT: Duration = Duration::from_secs(1);

/// Enough to use small machines fully and large ones modestly: a session needs little.
const WORKERS_MAX: usize = 4;

/// What a running library is made of.
pub struct Library {
    runtime: Runtime,
    callbacks: Callbacks,
    sessions: Mutex<Vec<Weak<Session>>>,
    /// The attempts under way, farewells included.
    attempts: Arc<Count>,
    sound: Sound,
    workers: Workers,
}

enum State {
    /// `init` was not called, or nothing has been needed yet.
    Fresh,
    Running(Box<Library>),
    /// A thread is in `destroy`.
    Ending {
        /// `init` was called meanwhile.
        is_wanted_again: bool,
    },
    Destroyed,
}

struct Global {
    state: State,
    /// A callback thread that outlived its library: it destroyed it from inside itself, or took too long.
    before: Option<Remnant>,
    /// Other threads that did, for the same reasons.
    rest: Vec<Rest>,
}

/// Threads of codecs and of sound that may still be inside a callback. They end when that returns.
struct Rest {
    workers: Workers,
    sound: Sound,
}

impl Rest {
    /// Whether nothing is left of it.
    fn wait(&self, deadline: Instant) -> bool {
        self.workers.join(deadline) & self.sound.release_and_wait(deadline)
    }
}

/// Waits for what outlived its library, at most until `deadline`, and inside a callback not at all.
fn wait_for_the_rest(deadline: Instant) {
    let deadline = if callbacks::is_inside_callback() { Instant::now() } else { deadline };
    let rest = std::mem::take(&mut GLOBAL.lock().rest);
    let left: Vec<_> = rest.into_iter().filter(|one| !one.wait(deadline)).collect();
    GLOBAL.lock().rest.extend(left);
    names::wait(deadline.min(Instant::now() + LOOKUPS_TIMEOUT));
}

// Nothing is logged while this is locked: the program's logger may call whatever needs it.
static GLOBAL: Mutex<Global> = Mutex::new(Global { state: State::Fresh, before: None, rest: Vec::new() });

/// `destroy` has come to its end.
static ENDED: Condvar = Condvar::new();

/// Whether nothing can be done here: the process is a fork of one in which the library ran.
pub fn is_lost() -> bool {
    fork_sys::is_copy()
}

/// Starts the library. Doing so again is harmless. Waits for a `destroy` on another thread; inside a callback, which
/// that thread may be waiting for, it is noted and happens afterwards.
pub fn init() -> Result<(), Error> {
    logger::enable_from_environment();
    let mut global = GLOBAL.lock();
    wait_for_the_end(&mut global);
    if let State::Ending { is_wanted_again } = &mut global.state {
        *is_wanted_again = true;
        return Ok(());
    }
    if let State::Destroyed = global.state {
        global.state = State::Fresh;
    }
    let started = start(&mut global).map(drop);
    drop(global);
    told(started)?;
    logger::greet();
    Ok(())
}

/// Nobody waits inside a callback, and nobody longer than `destroy` takes.
fn wait_for_the_end(global: &mut MutexGuard<'_, Global>) {
    let deadline = Instant::now() + DESTROY_TIMEOUT;
    while matches!(global.state, State::Ending { .. }) && !callbacks::is_inside_callback() {
        if ENDED.wait_until(global, deadline).timed_out() {
            return;
        }
    }
}

/// What a session needs to connect.
pub struct Means {
    pub runtime: runtime::Handle,
    pub poster: Poster,
    pub attempts: Arc<Count>,
    pub sound: Sound,
    pub workers: Workers,
}

/// Starts the library if nobody has. After `destroy` it stays ended until `init`. `session` is ended with the library.
pub fn means(session: &Arc<Session>) -> Result<Means, Error> {
    let mut global = GLOBAL.lock();
    let means = start(&mut global).map(|library| library.means(session));
    drop(global);
    told(means)
}

/// Puts a job on the callback thread of a library that runs.
pub fn post_if_running(job: impl FnOnce() + Send + 'static) {
    if let State::Running(library) = &GLOBAL.lock().state {
        library.callbacks.poster().post(job);
    }
}

/// Why the library does not run.
enum NotStarted {
    Threads(io::Error),
    Ended,
}

/// For the log, which must wait until nothing is locked.
fn told<T>(started: Result<T, NotStarted>) -> Result<T, Error> {
    started.map_err(|refusal| {
        match refusal {
            NotStarted::Threads(error) => log::error!("the library could not start its threads: {error}"),
            NotStarted::Ended => log::warn!("the library has been destroyed; otc_init starts it again"),
        }
        Error::Fatal
    })
}

fn start(global: &mut Global) -> Result<&mut Library, NotStarted> {
    if let State::Fresh = global.state {
        fork_sys::set_running(true);
        let library = Library::start(&mut global.before).map_err(|error| {
            fork_sys::set_running(false);
            NotStarted::Threads(error)
        })?;
        global.state = State::Running(Box::new(library));
    }
    match &mut global.state {
        State::Running(library) => Ok(library),
        State::Fresh | State::Ending { .. } | State::Destroyed => Err(NotStarted::Ended),
    }
}

/// Ends everything that lives and waits for it, at most [`DESTROY_TIMEOUT`]. Called from inside a callback it does not
/// wait for that callback's thread; the thread ends when the callback returns. Where another thread is at it already,
/// this waits for that one, and not at all inside a callback.
///
/// `forget` is called once nothing is said any more: the handles end there, and with them what is in no session. It waits
/// until the moment that it is handed.
pub fn destroy(forget: impl FnOnce(Instant)) -> Result<(), Error> {
    let deadline = Instant::now() + DESTROY_TIMEOUT;
    let mut global = GLOBAL.lock();
    wait_for_the_end(&mut global);
    match std::mem::replace(&mut global.state, State::Ending { is_wanted_again: false }) {
        State::Running(library) => {
            drop(global);
            let wait = deadline.min(callbacks::deletion_deadline());
            // A defect in one of these must not keep the rest from ending, and everybody else waiting for the end.
            let silenced = catch_unwind(AssertUnwindSafe(|| library.silence(wait)));
            let forgotten = catch_unwind(AssertUnwindSafe(|| forget(wait)));
            let ended = library.end_on_a_fit_thread(deadline);
            silenced.and(forgotten).map_or_else(|panic| resume_unwind(panic), |()| ended)
        }
        State::Fresh | State::Destroyed => {
            let mut last = Last(global.before.take());
            drop(global);
            forget(callbacks::deletion_deadline());
            last.0 = last.0.take().and_then(|remnant| remnant.wait(time_until(deadline)));
            wait_for_the_rest(deadline);
            Ok(())
        }
        already @ State::Ending { .. } => {
            global.state = already;
            drop(global);
            forget(callbacks::deletion_deadline());
            Ok(())
        }
    }
}

/// The last step of `destroy`, whichever way it takes; with what is left of the callback thread.
struct Last(Option<Remnant>);

impl Drop for Last {
    fn drop(&mut self) {
        let mut global = GLOBAL.lock();
        global.before = self.0.take();
        let is_something_left = global.before.is_some() || !global.rest.is_empty() || !names::are_idle();
        fork_sys::set_running(is_something_left);
        let is_wanted_again = matches!(global.state, State::Ending { is_wanted_again: true });
        global.state = if is_wanted_again { State::Fresh } else { State::Destroyed };
        ENDED.notify_all();
    }
}

fn time_until(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

impl Library {
    fn start(before: &mut Option<Remnant>) -> io::Result<Self> {
        let workers = thread::available_parallelism().map_or(1, usize::from).min(WORKERS_MAX);
        // Those of the runtime and the one for callbacks.
        threads::can_be_had(workers + 1)?;
        signals_sys::remember();
        let callbacks = Callbacks::start(before)?;
        let mut builder = runtime::Builder::new_multi_thread();
        builder.worker_threads(workers).thread_name("otc-runtime").enable_all();
        // Those that it starts later, on whichever thread, hold signals back too.
        builder.on_thread_start(signals_sys::hold);
        let runtime = signals_sys::held(|| builder.build());
        match runtime {
            Ok(runtime) => Ok(Self {
                runtime,
                callbacks,
                sessions: Mutex::default(),
                attempts: Arc::default(),
                sound: sound::open(),
                workers: Workers::default(),
            }),
            Err(error) => {
                *before = callbacks.stop(UNUSED_TIMEOUT);
                Err(error)
            }
        }
    }

    fn means(&mut self, session: &Arc<Session>) -> Means {
        let sessions = self.sessions.get_mut();
        sessions.retain(|known| known.strong_count() > 0);
        if !sessions.iter().any(|known| std::ptr::eq(known.as_ptr(), Arc::as_ptr(session))) {
            sessions.push(Arc::downgrade(session));
        }
        Means {
            runtime: self.runtime.handle().clone(),
            poster: self.callbacks.poster(),
            attempts: self.attempts.clone(),
            sound: self.sound.clone(),
            workers: self.workers.clone(),
        }
    }

    /// Everybody leaves, and no callback starts any more, once the audio device has been destroyed. Waits for those that
    /// run, at most until `wait`, and not inside one.
    fn silence(&self, wait: Instant) {
        // Before anybody leaves: what a program handed over as user data may be gone already.
        self.callbacks.shut();
        let sessions: Vec<_> = self.sessions.lock().iter().filter_map(Weak::upgrade).collect();
        // All are told first, then waited for: a thousand farewells take no longer than one.
        let (mut publishers, mut subscribers) = (Vec::new(), Vec::new());
        for session in &sessions {
            let members = session.members();
            publishers.extend(members.0);
            subscribers.extend(members.1);
            session.end();
        }
        publishers.iter().for_each(|publisher| publisher.end());
        subscribers.iter().for_each(|subscriber| subscriber.end());
        for session in &sessions {
            session.close_gate(wait);
        }
        sound::close(&self.sound, wait);
        publishers.iter().for_each(|publisher| publisher.close(wait));
        subscribers.iter().for_each(|subscriber| subscriber.close(wait));
        // Also for those of publishers and subscribers that are in no session any more.
        self.callbacks.wait(wait);
    }

    fn end_on_a_fit_thread(self: Box<Self>, deadline: Instant) -> Result<(), Error> {
        match runtime::Handle::try_current() {
            // A logger called on a thread of the runtime: that thread cannot be waited for by itself.
            Ok(_) => self.end_elsewhere(deadline, false).map(drop),
            // A handler of `atexit`: what the runtime keeps for each thread is gone already. When `exit` was called inside
            // a callback, that does not return before the other thread has ended.
            Err(error) if error.is_thread_local_destroyed() => {
                let ender = self.end_elsewhere(deadline, callbacks::is_inside_callback())?;
                let _ = ender.join(); // its panic is told already
                Ok(())
            }
            Err(_) => {
                (*self).end(deadline);
                Ok(())
            }
        }
    }

    /// `is_waited_for_inside_callback`: the other thread must not wait for callbacks, as if it were inside one itself.
    fn end_elsewhere(
        self: Box<Self>,
        deadline: Instant,
        is_waited_for_inside_callback: bool,
    ) -> Result<JoinHandle<()>, Error> {
        let shared = Arc::new(Mutex::new(Some(self)));
        let ender = thread::Builder::new().name("otc-destroy".into()).spawn({
            let shared = shared.clone();
            move || {
                signals_sys::as_the_program();
                let library = shared.lock().take();
                let end = || library.into_iter().for_each(|library| library.end(deadline));
                match is_waited_for_inside_callback {
                    true => callbacks::enter(end),
                    false => end(),
                }
            }
        });
        ender.map_err(|error| {
            // It lives on, and the next `destroy` ends it.
            if let Some(library) = shared.lock().take() {
                GLOBAL.lock().state = State::Running(library);
                ENDED.notify_all();
            }
            log::error!("the library could not start a thread to end it: {error}");
            Error::Fatal
        })
    }

    fn end(self, deadline: Instant) {
        let mut last = Last(None);
        let Library { runtime, callbacks, attempts, workers, sound, .. } = self;
        let late = attempts.wait(deadline.min(Instant::now() + FAREWELLS_TIMEOUT));
        if late > 0 {
            log::info!("{late} farewells were not heard in time");
        }
        runtime.block_on(hub::stop(HUB_TIMEOUT));
        let remaining = || time_until(deadline).max(LAST_TIMEOUT);
        runtime.shutdown_timeout(remaining());
        last.0 = callbacks.stop(remaining());
        GLOBAL.lock().rest.push(Rest { workers, sound });
        wait_for_the_rest(Instant::now() + remaining());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No other test in this process starts the library.
    #[test]
    fn a_defect_in_destroy_ends_the_library_all_the_same() {
        let _alone = crate::server::hub::ALONE.blocking_lock();
        let ends = || catch_unwind(AssertUnwindSafe(|| destroy(|_| panic!("on purpose")))).is_err();
        for _ in 0..2 {
            init().expect("it starts");
            assert!(ends(), "the program gets a code for it");
            assert!(matches!(GLOBAL.lock().state, State::Destroyed));
            assert!(ends());
        }
        let begin = Instant::now();
        init().expect("it starts again");
        assert!(begin.elapsed() < DESTROY_TIMEOUT, "it waited for an end that does not come");
        destroy(|_| ()).expect("it ends");
        let global = GLOBAL.lock();
        assert!(global.before.is_none() && global.rest.is_empty() && names::are_idle());
    }
}
