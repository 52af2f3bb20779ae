//! Waiting for a camera and for whoever wants it to stop, both at once.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

/// What has happened meanwhile. Nothing: time is up, or a signal came.
#[derive(Debug, Clone, Copy, Default)]
pub struct Happened {
    /// The camera has something, be it an error.
    pub is_ready: bool,
    /// The camera reports an error: where it has nothing else, nothing will come any more.
    pub is_broken: bool,
    pub is_woken: bool,
}

pub fn wait(camera: BorrowedFd<'_>, woken: BorrowedFd<'_>, limit: Duration) -> io::Result<Happened> {
    let entry = |fd: BorrowedFd<'_>| libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let mut entries = [entry(camera), entry(woken)];
    // Rounded up: who waits for the last part of a millisecond must not go round and round.
    let limit_ms = i32::try_from(limit.as_millis().saturating_add(1)).unwrap_or(i32::MAX);
    // SAFETY: two entries that live until the call returns, with descriptors that are borrowed for as long.
    let count = unsafe { libc::poll(entries.as_mut_ptr(), 2, limit_ms) };
    if count < 0 {
        let error = io::Error::last_os_error();
        return if error.kind() == io::ErrorKind::Interrupted { Ok(Happened::default()) } else { Err(error) };
    }
    let broken = libc::POLLERR | libc::POLLHUP | libc::POLLNVAL;
    Ok(Happened {
        is_ready: entries[0].revents != 0,
        is_broken: entries[0].revents & broken != 0,
        is_woken: entries[1].revents != 0,
    })
}

/// From now on nothing waits inside the camera's driver.
pub fn set_nonblocking(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: asks for the flags of a descriptor that is borrowed until the call returns.
    let flags = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) };
    if flags < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: as above; sets them.
    let outcome = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK) };
    if outcome < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
