//! The library as a whole: started by `init`, or by the first need where the program forgot that; ended by `destroy`.
//!
//! It owns what all sessions share: the runtime, on which the embedded hub runs too where this process hosts it, and
//! the callback thread.
//! `destroy` ends it all, within a limit and however much lives, and leaves nothing behind but the mapped code.

use std::io;
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use tokio::runtime::{self, Runtime};

use super::Error;
use super::hub;
use super::logger;
use super::session::Session;
use crate::driver::callbacks::{self, Callbacks, Poster};

/// How long `destroy` takes at most. A supervisor that sends SIGTERM waits about twice as long before SIGKILL.
const DESTROY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long, within it, servers are given to hear the farewells.
const FAREWELLS_TIMEOUT: Duration = Duration::from_millis(1500);

/// How long, within it, the clients of the hub are given to hear that it ends.
const HUB_TIMEOUT: Duration = Duration::from_millis(1000);

/// Enough to use small machines fully and large ones modestly: a session needs little.
const WORKERS_MAX: usize = 4;

/// What a running library is made of.
pub struct Library {
    runtime: Runtime,
    callbacks: Callbacks,
    sessions: Mutex<Vec<Weak<Session>>>,
    attempts: Arc<Attempts>,
}

enum State {
    /// Nothing was called that needs it.
    Fresh,
    Running(Box<Library>),
    Destroyed,
}

struct Global {
    state: State,
    /// A callback thread that destroyed the library from inside itself.
    before: Option<JoinHandle<()>>,
}

static GLOBAL: Mutex<Global> = Mutex::new(Global { state: State::Fresh, before: None });

/// Held while a library ends, so that others who ask for its end, or for the next beginning, come after it.
static ENDING: Mutex<()> = Mutex::new(());

/// Why the library does not run. Said to the log only when no lock is held: the sink may call anything.
enum Refusal {
    Destroyed,
    NoThreads(io::Error),
}

impl Refusal {
    fn tell(self) -> Error {
        match self {
            Self::Destroyed => log::warn!("the library has been destroyed; otc_init starts it again"),
            Self::NoThreads(error) => log::error!("the library could not start its threads: {error}"),
        }
        Error::Fatal
    }
}

/// Starts the library. Doing so again is harmless.
pub fn init() -> Result<(), Error> {
    logger::enable_from_environment();
    wait_for_end();
    let started = {
        let mut global = GLOBAL.lock();
        if let State::Destroyed = global.state {
            global.state = State::Fresh;
        }
        start(&mut global).map(drop)
    };
    started.map_err(Refusal::tell)?;
    logger::greet();
    Ok(())
}

/// What a session needs to connect.
pub struct Means {
    pub runtime: runtime::Handle,
    pub poster: Poster,
    pub attempts: Arc<Attempts>,
}

/// Starts the library if nobody has. After `destroy` it stays ended until `init`. `session` is ended with the library.
pub fn means(session: &Arc<Session>) -> Result<Means, Error> {
    let means = means_of(&mut GLOBAL.lock(), session);
    means.map_err(Refusal::tell) // a statement of its own: the lock is not held any more
}

fn means_of(global: &mut Global, session: &Arc<Session>) -> Result<Means, Refusal> {
    let library = start(global)?;
    let mut sessions = library.sessions.lock();
    sessions.retain(|known| known.strong_count() > 0);
    if !sessions.iter().any(|known| std::ptr::eq(known.as_ptr(), Arc::as_ptr(session))) {
        sessions.push(Arc::downgrade(session));
    }
    Ok(Means {
        runtime: library.runtime.handle().clone(),
        poster: library.callbacks.poster(),
        attempts: library.attempts.clone(),
    })
}

/// Puts a job on the callback thread of a library that runs.
pub fn post_if_running(job: impl FnOnce() + Send + 'static) {
    if let State::Running(library) = &GLOBAL.lock().state {
        library.callbacks.poster().post(job);
    }
}

fn start(global: &mut Global) -> Result<&mut Library, Refusal> {
    if let State::Fresh = global.state {
        let workers = thread::available_parallelism().map_or(1, usize::from).min(WORKERS_MAX);
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(workers)
            .thread_name("otc-runtime")
            .enable_all()
            .build();
        let runtime = runtime.map_err(Refusal::NoThreads)?;
        let callbacks = Callbacks::start(global.before.take()).map_err(Refusal::NoThreads)?;
        let library = Library { runtime, callbacks, sessions: Mutex::default(), attempts: Arc::default() };
        global.state = State::Running(Box::new(library));
    }
    match &mut global.state {
        State::Running(library) => Ok(library),
        State::Fresh | State::Destroyed => Err(Refusal::Destroyed),
    }
}

/// Inside a callback nothing is waited for: it may be the one that the end waits for.
fn wait_for_end() {
    if !callbacks::is_inside_callback() {
        drop(ENDING.lock());
    }
}

/// Ends everything that lives and waits for it, at most [`DESTROY_TIMEOUT`]. Called from inside a callback it does not
/// wait for that callback's thread; the thread ends when the callback returns.
pub fn destroy() -> Result<(), Error> {
    // Inside a callback it may be this thread that the holder waits for; then the library is in its hands already.
    let _ending = match callbacks::is_inside_callback() {
        true => ENDING.try_lock(),
        false => Some(ENDING.lock()),
    };
    let library = {
        let mut global = GLOBAL.lock();
        match std::mem::replace(&mut global.state, State::Destroyed) {
            State::Running(library) => library,
            State::Fresh | State::Destroyed => return Ok(()),
        }
    };
    if runtime::Handle::try_current().is_ok() {
        // A logger called on a thread of the runtime: that thread cannot be waited for by itself.
        let ender = thread::Builder::new().name("otc-destroy".into()).spawn(move || {
            let _ending = ENDING.lock();
            library.end();
        });
        return ender.map(drop).map_err(|_| Error::Fatal);
    }
    library.end();
    Ok(())
}

impl Library {
    fn end(self: Box<Self>) {
        let deadline = Instant::now() + DESTROY_TIMEOUT;
        let Library { runtime, callbacks, sessions, attempts } = *self;
        let sessions: Vec<_> =
            sessions.into_inner().into_iter().filter_map(|session| session.upgrade()).collect();
        // All are told first, then waited for: a thousand farewells take no longer than one.
        for session in &sessions {
            session.leave_for_good();
        }
        let wait = deadline.min(Instant::now() + callbacks::DELETE_TIMEOUT);
        for session in &sessions {
            session.close_gate(wait);
        }
        attempts.wait(deadline.min(Instant::now() + FAREWELLS_TIMEOUT));
        runtime.block_on(hub::stop(HUB_TIMEOUT));
        let remaining = || deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(100));
        runtime.shutdown_timeout(remaining());
        let thread = callbacks.stop(remaining());
        GLOBAL.lock().before = thread;
    }
}

/// Counts the attempts under way, farewells included.
#[derive(Default)]
pub struct Attempts {
    count: Mutex<usize>,
    changed: Condvar,
}

/// One of them; dropped when it is over.
pub struct Counted(Arc<Attempts>);

impl Attempts {
    pub fn count_in(self: Arc<Self>) -> Counted {
        *self.count.lock() += 1;
        Counted(self)
    }

    fn wait(&self, deadline: Instant) {
        let mut count = self.count.lock();
        while *count > 0 && !self.changed.wait_until(&mut count, deadline).timed_out() {}
        let missing = *count;
        drop(count);
        if missing > 0 {
            log::info!("{missing} farewells were not heard in time");
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        *self.0.count.lock() -= 1;
        self.0.changed.notify_all();
    }
}
