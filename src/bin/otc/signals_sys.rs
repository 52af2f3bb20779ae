//! Waiting for the signals that end a server.

use std::io;

/// The signals that ask a program to end, held back from every thread that is started after this.
pub struct Signals {
    set: libc::sigset_t,
}

impl Signals {
    /// To be called before any other thread is started.
    pub fn hold() -> io::Result<Self> {
        // SAFETY: an all-zero set is a valid value of this plain C structure, and both calls only write to it.
        let set = unsafe {
            let mut set: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&mut set);
            libc::sigaddset(&mut set, libc::SIGINT);
            libc::sigaddset(&mut set, libc::SIGTERM);
            set
        };
        // SAFETY: the set is initialised, and no old mask is asked for.
        match unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut()) } {
            0 => Ok(Self { set }),
            error => Err(io::Error::from_raw_os_error(error)),
        }
    }

    /// Waits for one of them.
    pub fn wait(&self) {
        let mut received = 0;
        // SAFETY: the set is initialised, and the number outlives the call. It fails only for an invalid set.
        unsafe { libc::sigwait(&self.set, &mut received) };
    }
}
