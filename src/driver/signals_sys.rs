//! Which of this library's threads a signal may find.
//!
//! A signal that is sent to a process is handled on any thread that does not hold it back, and handlers of programs are
//! written with the program's own threads in mind. So the threads that never run the program's code hold signals back.
//! Those that do are as the program's own: they have the mask of the thread that started the library, whichever thread
//! happened to start them.

use std::ptr;

use parking_lot::Mutex;

/// What a thread does to itself; holding these back would only take the program's handler from it. A profiler wants to
/// see every thread.
const LEFT_ALONE: [libc::c_int; 7] =
    [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP, libc::SIGSYS, libc::SIGPROF];

/// The mask of the thread that started the library last.
static PROGRAM: Mutex<Option<libc::sigset_t>> = Mutex::new(None);

/// Says that the calling thread is the program's: threads that run its code get the same mask.
pub fn remember() {
    *PROGRAM.lock() = exchange(None);
}

/// To be called first on a thread that runs the program's code and that one of ours may have started.
pub fn as_the_program() {
    let mask = *PROGRAM.lock();
    exchange(mask);
}

/// To be called first on a thread that never runs the program's code.
pub fn hold() {
    exchange(Some(all()));
}

/// Threads that are started meanwhile hold signals back from their first instruction on.
pub fn held<T>(start: impl FnOnce() -> T) -> T {
    let before = Before(exchange(Some(all())));
    let started = start();
    drop(before);
    started
}

/// Runs what writes to a pipe. Where nobody reads from that any more it raises no SIGPIPE, which would end a host that has
/// left the signal as it was; one of the program's own that waits meanwhile goes on waiting.
pub fn without_sigpipe<T>(write: impl FnOnce() -> T) -> T {
    let pipe = set_of(libc::SIGPIPE);
    // SAFETY: the sets are sets, and live through the calls, which write to those that are theirs to write to. A NULL is
    // allowed for what is not asked for.
    unsafe {
        let mut waiting: libc::sigset_t = std::mem::zeroed();
        libc::sigpending(&mut waiting);
        if libc::sigismember(&waiting, libc::SIGPIPE) == 1 {
            return write(); // held back already, and one more is the same one
        }
        let mut before: libc::sigset_t = std::mem::zeroed();
        let held = (libc::pthread_sigmask(libc::SIG_BLOCK, &pipe, &mut before) == 0).then_some(before);
        let before = Before(held);
        let written = write();
        let at_once = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        while libc::sigtimedwait(&pipe, ptr::null_mut(), &at_once) < 0
            && std::io::Error::last_os_error().kind() == std::io::ErrorKind::Interrupted
        {}
        drop(before);
        written
    }
}

fn set_of(signal: libc::c_int) -> libc::sigset_t {
    // SAFETY: as in `all`.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, signal);
        set
    }
}

/// The mask that a thread had; it gets it back when this is dropped.
struct Before(Option<libc::sigset_t>);

impl Drop for Before {
    fn drop(&mut self) {
        exchange(self.0);
    }
}

fn all() -> libc::sigset_t {
    // SAFETY: an all-zero set is a valid value of this plain C structure, and the calls only write to it.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&mut set);
        for signal in LEFT_ALONE {
            libc::sigdelset(&mut set, signal);
        }
        set
    }
}

/// Sets the calling thread's mask, if there is a new one, and returns the old one. It fails for nonsense only, and then
/// the mask stays as it is.
fn exchange(mask: Option<libc::sigset_t>) -> Option<libc::sigset_t> {
    let new = mask.as_ref().map_or(ptr::null(), ptr::from_ref);
    // SAFETY: as in `all`; the new set lives through the call, or is NULL, which asks for the old one alone.
    unsafe {
        let mut old: libc::sigset_t = std::mem::zeroed();
        (libc::pthread_sigmask(libc::SIG_SETMASK, new, &mut old) == 0).then_some(old)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn is_held(signal: libc::c_int) -> bool {
        // SAFETY: the set is one, and the call only reads it.
        exchange(None).is_some_and(|mask| unsafe { libc::sigismember(&mask, signal) } == 1)
    }

    #[test]
    fn a_thread_started_while_signals_are_held_has_none_but_its_own() {
        let inside = held(|| thread::spawn(|| (is_held(libc::SIGTERM), is_held(libc::SIGSEGV))));
        assert_eq!(inside.join().expect("a thread"), (true, false));
        assert!(!is_held(libc::SIGTERM), "the starter is as before");
    }

    #[test]
    fn a_thread_for_the_programs_code_has_the_programs_mask_whoever_starts_it() {
        remember();
        let inside = held(|| {
            thread::spawn(|| {
                as_the_program();
                is_held(libc::SIGTERM)
            })
        });
        assert!(!inside.join().expect("a thread"));
    }
}
