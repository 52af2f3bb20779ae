//! Whether this process is the copy of one in which the library ran.
//!
//! `fork` copies memory, descriptors and the calling thread, and none of ours: locks may be held by threads that do not
//! exist, and the sockets are the parent's. Nothing can be done with such a copy but to leave it alone.
//!
//! Connections are closed there, though: the other end learns of the parent's end only when no copy is left.

use std::os::fd::RawFd;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

/// Of how many connections the copies are closed. A process with more keeps those of the others in its children.
const CONNECTIONS_MAX: usize = 1024;

/// Descriptors, each as the number after its own. A handler of `fork` may neither lock nor allocate.
static CONNECTIONS: [AtomicI32; CONNECTIONS_MAX] = [const { AtomicI32::new(FREE) }; CONNECTIONS_MAX];

const FREE: i32 = 0;

/// A connection whose copy in a child is closed. To be dropped before the connection, whose number may be another's then.
#[derive(Debug)]
pub struct ClosedInChildren(Option<&'static AtomicI32>);

impl ClosedInChildren {
    pub fn new(connection: RawFd) -> Self {
        let entry = |place: &&AtomicI32| {
            place.compare_exchange(FREE, connection + 1, Ordering::SeqCst, Ordering::Relaxed).is_ok()
        };
        Self(CONNECTIONS.iter().find(entry))
    }
}

impl Drop for ClosedInChildren {
    fn drop(&mut self) {
        if let Some(place) = self.0 {
            place.store(FREE, Ordering::SeqCst);
        }
    }
}

static IS_RUNNING: AtomicBool = AtomicBool::new(false);
static IS_COPY: AtomicBool = AtomicBool::new(false);

/// To be told before the first thread starts and after the last one has ended: only a library that runs is lost in a
/// child.
pub fn set_running(is_running: bool) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the handler is a function of this library, which is never unmapped (see build.rs), and it does nothing
        // but to set flags and to close descriptors. Where there is no memory for it, a child is as it would be without it.
        unsafe { libc::pthread_atfork(None, None, Some(in_the_child)) };
    });
    IS_RUNNING.store(is_running, Ordering::SeqCst);
}

/// Whether the library ran in the parent when this process was forked.
pub fn is_copy() -> bool {
    IS_COPY.load(Ordering::Relaxed)
}

extern "C" fn in_the_child() {
    if IS_RUNNING.load(Ordering::SeqCst) {
        IS_COPY.store(true, Ordering::SeqCst);
    }
    for place in &CONNECTIONS {
        let entry = place.swap(FREE, Ordering::SeqCst);
        if entry != FREE {
            // SAFETY: it is the copy of a connection of ours, and nothing here uses it any more: the threads that did are
            // not in this process.
            unsafe { libc::close(entry - 1) };
        }
    }
}
