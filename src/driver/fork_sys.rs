//! Whether this process is the copy of one in which the library ran.
//!
//! `fork` copies memory, descriptors and the calling thread, and none of ours: locks may be held by threads that do not
//! exist, and the sockets are the parent's. Nothing can be done with such a copy but to leave it alone.

use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

static IS_RUNNING: AtomicBool = AtomicBool::new(false);
static IS_COPY: AtomicBool = AtomicBool::new(false);

/// To be told before the first thread starts and after the last one has ended: only a library that runs is lost in a
/// child.
pub fn set_running(is_running: bool) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the handler is a function of this library, which is never unmapped (see build.rs), and it does nothing
        // but to set a flag. Where there is no memory for it, a child is as it would be without it.
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
}
