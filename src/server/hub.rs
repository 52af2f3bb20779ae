//! The embedded hub: programs of one user on one machine find each other without a daemon.
//!
//! [`join_or_host`] connects to the user's socket. Where nobody listens, whoever gets the lock of the [`Place`] serves
//! from inside its own process; the others connect to it. When that process ends, however it ends, the kernel releases
//! the lock and the next one takes over.

mod place;

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::net::{UnixListener, UnixStream};
use tokio::time::{Instant, sleep, timeout_at};

pub use place::Place;

use super::config::Config;
use super::process_sys;
use super::running::{Listener, Running};

/// How long to look for a host. One that is just starting needs milliseconds, on a busy machine a second.
const START_LIMIT: Duration = Duration::from_secs(5);

/// The pauses in between grow from the first to the second. Half a millisecond is about what a host needs to start.
const PAUSE_FIRST: Duration = Duration::from_micros(500);
const PAUSE_MAX: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub enum HubError {
    /// The directory cannot be trusted, and why.
    Directory { path: PathBuf, what: &'static str },
    /// What could not be done, and with which file.
    Io { what: &'static str, path: PathBuf, error: io::Error },
    /// What listens at this socket belongs to another user.
    Foreign { socket: PathBuf },
    /// Somebody holds the lock and does not serve.
    NoHost { lock: PathBuf, process: Option<u32> },
}

/// For whoever reads one of the errors.
const REMEDY: &str =
    "XDG_RUNTIME_DIR can name another place for the hub, and OTC_URL a server instead of it.";

impl HubError {
    fn io(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Io { what, path: path.into(), error }
    }
}

impl fmt::Display for HubError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory { path, what } => {
                write!(formatter, "The hub's directory {} {what}.", path.display())?;
            }
            Self::Io { what, path, error } => {
                write!(formatter, "The hub could not {what} {}: {error}.", path.display())?;
            }
            Self::Foreign { socket } => {
                write!(formatter, "The hub's socket {} belongs to another user.", socket.display())?;
            }
            Self::NoHost { lock, process } => {
                let lock = lock.display();
                match process {
                    Some(process) => write!(formatter, "Process {process} holds the hub's lock {lock}")?,
                    None => write!(formatter, "Somebody holds the hub's lock {lock}")?,
                }
                write!(formatter, " and does not serve: it hangs, or is stopped.")?;
            }
        }
        write!(formatter, " {REMEDY}")
    }
}

impl std::error::Error for HubError {}

/// A hub that this process serves.
struct Host {
    /// A forked child has a copy of this, but neither the lock nor the threads.
    process: u32,
    running: Running,
    lock: HostLock,
}

impl Host {
    /// On the current tokio runtime, which has the lock from now on: it is released when the core ends there, however it
    /// ends, and then another process takes over. What is left in the slot is nothing but memory.
    fn new(running: Running, lock: File) -> Self {
        let lock = HostLock(Arc::new(Mutex::new(Some(lock))));
        let (ended, released) = (running.ended(), ReleasedAtEnd(lock.clone()));
        tokio::spawn(async move {
            ended.await;
            drop(released);
        });
        Self { process: std::process::id(), running, lock }
    }

    fn is_ours(&self) -> bool {
        self.process == std::process::id()
    }
}

/// The locked file, until somebody takes it.
#[derive(Clone)]
struct HostLock(Arc<Mutex<Option<File>>>);

impl HostLock {
    /// From now on the core's end does not release it. `None`: it has done so, or the lock is not the place's any more, and
    /// what lies there may be another process's.
    fn take(&self, place: &Place) -> Option<File> {
        self.0.lock().take().filter(|lock| is_lock_of(place, lock))
    }
}

/// Whether this is the file that lies there. What clears old files away takes a lock away too, and others make a new one.
/// Asked by its name: to open and close it would release the lock.
fn is_lock_of(place: &Place, lock: &File) -> bool {
    let identity = |file: fs::Metadata| (file.dev(), file.ino());
    let there = fs::symlink_metadata(place.lock()).map(identity);
    there.is_ok_and(|there| lock.metadata().is_ok_and(|ours| identity(ours) == there))
}

struct ReleasedAtEnd(HostLock);

impl Drop for ReleasedAtEnd {
    fn drop(&mut self) {
        // Closed before anybody can find it gone: who locks the file anew would lose the lock by that.
        *self.0.0.lock() = None;
    }
}

/// One per place and process. The lock file of a place is opened under it and nowhere else: closing any descriptor of
/// that file would release the lock. Nothing is logged with it in hand: [`stop`] would wait for the program's logger.
type Slot = Arc<tokio::sync::Mutex<Option<Host>>>;

static SLOTS: Mutex<BTreeMap<Place, Slot>> = Mutex::new(BTreeMap::new());

fn slot(place: &Place) -> Slot {
    SLOTS.lock().entry(place.clone()).or_default().clone()
}

/// A connection to the hub of this place, which this process serves from now on if nobody else does. The tasks of a new
/// host run on the current tokio runtime until [`stop`].
pub async fn join_or_host(place: &Place, config: &Config) -> Result<UnixStream, HubError> {
    let give_up = Instant::now() + START_LIMIT;
    let mut pause = PAUSE_FIRST;
    loop {
        match connect(place).await {
            Attempt::Connected(stream) if !is_orphaned(place, &*slot(place).lock().await) => {
                return Ok(stream);
            }
            Attempt::Failed(error) => return Err(error),
            Attempt::Busy => {}
            Attempt::Connected(_) | Attempt::Nobody => {
                if host(place, config).await? {
                    continue;
                }
            }
        }
        if Instant::now() >= give_up {
            return Err(HubError::NoHost { lock: place.lock(), process: lock_holder(place).await });
        }
        sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

enum Attempt {
    Connected(UnixStream),
    /// Somebody listens and has its hands full, or listened until just now.
    Busy,
    Nobody,
    Failed(HubError),
}

async fn connect(place: &Place) -> Attempt {
    match UnixStream::connect(place.socket()).await {
        Ok(stream) => match stream.peer_cred() {
            Ok(peer) if peer.uid() == process_sys::user_id() => Attempt::Connected(stream),
            Ok(_) => Attempt::Failed(HubError::Foreign { socket: place.socket() }),
            // It closed at once.
            Err(_) => Attempt::Busy,
        },
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Attempt::Nobody,
            // Its queue is full, or it died while we were in it.
            io::ErrorKind::WouldBlock | io::ErrorKind::ConnectionReset => Attempt::Busy,
            _ => Attempt::Failed(HubError::io("reach its socket", place.socket())(error)),
        },
    }
}

/// Starts to serve, unless somebody else does or is about to. True when it is worth connecting again at once.
async fn host(place: &Place, config: &Config) -> Result<bool, HubError> {
    let slot = slot(place);
    let mut slot = slot.lock().await;
    // Another thread of ours may have been faster.
    match connect(place).await {
        Attempt::Connected(_) if is_orphaned(place, &slot) => {}
        Attempt::Nobody => {}
        Attempt::Connected(_) | Attempt::Busy | Attempt::Failed(_) => return Ok(true),
    }
    let before = match slot.take() {
        // The lock may still be ours: somebody removed the socket, or the core has only just ended. The old tasks end with
        // `running`.
        Some(host) if host.is_ours() => host.lock.take(place),
        forked => {
            // Its channels belong to threads that do not exist here, so it is left alone.
            std::mem::forget(forked);
            None
        }
    };
    let lock = match before {
        Some(lock) => Some(lock),
        None => take_lock(place)?,
    };
    let Some(lock) = lock else { return Ok(false) };
    let running = listen(place, config)?;
    *slot = Some(Host::new(running, lock));
    drop(slot);
    log::info!("hub: this process serves");
    Ok(true)
}

/// Whether the socket listens and nobody serves it: its host is dead, and a child that the host forked still has a copy
/// of the descriptor, or its core has broken down. Connections to it would wait for ever. Asked with the slot in hand,
/// because it opens the lock file.
fn is_orphaned(place: &Place, slot: &Option<Host>) -> bool {
    if let Some(host) = slot.as_ref().filter(|host| host.is_ours() && host.lock.0.lock().is_some()) {
        return !host.running.is_alive();
    }
    // Whoever serves has the lock. Where that cannot be asked, what listens is believed.
    ask_for_holder(place).is_ok_and(|holder| holder.is_none())
}

/// Opens the lock file.
fn ask_for_holder(place: &Place) -> io::Result<Option<i32>> {
    let mut options = OpenOptions::new();
    options.write(true).custom_flags(libc::O_CLOEXEC | libc::O_NOFOLLOW);
    options.open(place.lock()).and_then(|lock| process_sys::lock_holder(&lock))
}

/// Which process holds the lock, as far as it can be seen.
async fn lock_holder(place: &Place) -> Option<u32> {
    let slot = slot(place);
    let slot = slot.lock().await;
    if slot.as_ref().is_some_and(|host| host.is_ours() && host.lock.0.lock().is_some()) {
        return Some(std::process::id()); // opening the file would lose it
    }
    let holder = ask_for_holder(place).ok().flatten()?;
    u32::try_from(holder).ok().filter(|holder| *holder != 0)
}

/// `None` when another process has it.
fn take_lock(place: &Place) -> Result<Option<File>, HubError> {
    let lock = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(libc::O_CLOEXEC | libc::O_NOFOLLOW)
        .open(place.lock())
        .map_err(HubError::io("open its lock", place.lock()))?;
    let locked = process_sys::try_lock(&lock).map_err(HubError::io("lock", place.lock()))?;
    // Where it was cleared away meanwhile, whoever asks again gets at the new one.
    Ok(Some(lock).filter(|lock| locked && is_lock_of(place, lock)))
}

/// With the lock in hand: what lies at the socket's path is left over from a host that died.
fn listen(place: &Place, config: &Config) -> Result<Running, HubError> {
    remove_socket(place).map_err(HubError::io("remove the old socket", place.socket()))?;
    let listener =
        UnixListener::bind(place.socket()).map_err(HubError::io("bind its socket", place.socket()))?;
    Running::start(config.clone(), vec![Listener::Unix(listener)], Vec::new())
        .map_err(HubError::io("start to serve at", place.socket()))
}

fn remove_socket(place: &Place) -> io::Result<()> {
    match fs::remove_file(place.socket()) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Whether this process serves the hub of this place.
pub fn is_host(place: &Place) -> bool {
    let slot = slot(place);
    // A slot that is locked is one that is about to change.
    slot.try_lock()
        .is_ok_and(|slot| slot.as_ref().is_some_and(|host| host.is_ours() && host.running.is_alive()))
}

/// Ends every hub that this process serves. The clients are told, and the lock is released before they are waited for,
/// so that one of them can take over at once. Afterwards no task and no descriptor is left. The clients have `limit` to
/// go, which is for everything that may take its time.
pub async fn stop(limit: Duration) {
    let give_up = Instant::now() + limit;
    let slots: Vec<(Place, Slot)> = {
        let slots = SLOTS.lock();
        slots.iter().map(|(place, slot)| (place.clone(), slot.clone())).collect()
    };
    for (place, slot) in slots {
        let Ok(mut slot) = timeout_at(give_up, slot.lock()).await else {
            log::warn!("hub: a start of it takes too long to be waited for");
            continue;
        };
        let Some(host) = slot.take() else { continue };
        if !host.is_ours() {
            std::mem::forget(host);
            continue;
        }
        let Host { running, lock, .. } = host;
        // First the name, so that nobody new comes; then the farewells; then the lock. Without that the name is another's.
        let lock = lock.take(&place);
        let removed = lock.as_ref().map_or(Ok(()), |_| remove_socket(&place));
        let _ = timeout_at(give_up, running.retire()).await;
        drop(lock);
        drop(slot);
        if let Err(error) = removed {
            log::warn!("hub: its socket could not be removed: {error}");
        }
        running.stop(give_up.saturating_duration_since(Instant::now())).await;
    }
}

/// For tests in which [`stop`] is called: it ends those of all others.
#[cfg(test)]
pub static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    async fn hub_of(directory: &std::path::Path) -> (Place, UnixStream) {
        let place = Place::at(directory).expect("a directory of its own");
        let stream = join_or_host(&place, &Config::default()).await.expect("a hub");
        (place, stream)
    }

    /// Reads until the other end closes.
    async fn is_closed(stream: UnixStream) {
        let ended = async {
            loop {
                stream.readable().await.expect("readable");
                match stream.try_read(&mut [0; 64]) {
                    Ok(0) => return,
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(_) => return,
                }
            }
        };
        tokio::time::timeout(LIMIT, ended).await.expect("in time");
    }

    /// The core ends by itself; afterwards the lock is free.
    async fn break_down(place: &Place) {
        slot(place).lock().await.as_ref().expect("this process serves").running.break_down().await;
        let has_lock =
            async || slot(place).lock().await.as_ref().is_some_and(|host| host.lock.0.lock().is_some());
        let given_up = async {
            while has_lock().await {
                sleep(PAUSE_FIRST).await;
            }
        };
        tokio::time::timeout(LIMIT, given_up).await.expect("in time");
    }

    /// What another process does that finds nobody there.
    fn bind_as_another(place: &Place) -> UnixListener {
        remove_socket(place).expect("removed");
        UnixListener::bind(place.socket()).expect("bound")
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn whoever_has_lost_the_lock_leaves_the_socket_to_the_next_one() {
        let _alone = ALONE.lock().await;
        let directory = std::env::temp_dir().join(format!("otc-test-{}-lost-hub", std::process::id()));
        let (place, client) = hub_of(&directory).await;
        break_down(&place).await;
        let next = bind_as_another(&place);
        stop(Duration::from_secs(1)).await;
        assert!(place.socket().exists(), "the core has ended, and another one serves");
        is_closed(client).await;
        drop(next);

        let (place, client) = hub_of(&directory).await;
        fs::remove_file(place.lock()).expect("cleared away");
        let lock = take_lock(&place).expect("no error").expect("another process's");
        let next = bind_as_another(&place);
        stop(Duration::from_secs(1)).await;
        assert!(place.socket().exists(), "another one has a lock of its own");
        is_closed(client).await;

        drop((next, lock));
        fs::remove_dir_all(directory).expect("removed");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn where_the_core_breaks_down_the_hub_is_given_up_and_served_anew() {
        let _alone = ALONE.lock().await;
        let directory = std::env::temp_dir().join(format!("otc-test-{}-broken-hub", std::process::id()));
        let (place, client) = hub_of(&directory).await;
        break_down(&place).await;
        is_closed(client).await;
        assert!(!is_host(&place));
        let next = join_or_host(&place, &Config::default()).await.expect("another hub");
        assert!(is_host(&place));
        stop(Duration::from_secs(1)).await;
        is_closed(next).await;
        fs::remove_dir_all(directory).expect("removed");
    }
}
