//! The system calls that the standard library does not offer: a lock that dies with its process, whose process this is,
//! and where it may write.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// Takes the write lock of a whole file. False when another process holds it.
///
/// A POSIX lock: not inherited by `fork`, released by the kernel however the process ends. It also goes when *any*
/// descriptor of the file is closed in this process, so its owner keeps the only one.
pub fn try_lock(file: &File) -> io::Result<bool> {
    // SAFETY: an all-zero flock is a valid value of this plain C structure.
    let mut wanted: libc::flock = unsafe { std::mem::zeroed() };
    wanted.l_type = libc::F_WRLCK as libc::c_short;
    wanted.l_whence = libc::SEEK_SET as libc::c_short;
    // SAFETY: the descriptor is open as long as `file` is, and the structure outlives the call.
    if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLK, &wanted) } == 0 {
        return Ok(true);
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::EAGAIN | libc::EACCES) => Ok(false),
        _ => Err(error),
    }
}

/// The number of another process that holds the write lock of a file; 0 for one that cannot be seen from here, in another
/// container say. The caller's own lock does not count, and is lost when the file is closed.
pub fn lock_holder(file: &File) -> io::Result<Option<i32>> {
    // SAFETY: an all-zero flock is a valid value of this plain C structure.
    let mut found: libc::flock = unsafe { std::mem::zeroed() };
    found.l_type = libc::F_WRLCK as libc::c_short;
    found.l_whence = libc::SEEK_SET as libc::c_short;
    // SAFETY: the descriptor is open as long as `file` is, and the structure outlives the call.
    match unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETLK, &mut found) } {
        0 if found.l_type == libc::F_UNLCK as libc::c_short => Ok(None),
        0 => Ok(Some(found.l_pid)),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The user whose rights this process has.
pub fn user_id() -> u32 {
    // SAFETY: geteuid has no preconditions and cannot fail.
    unsafe { libc::geteuid() }
}

/// Whether this process may make files in a directory. A file system that is mounted for reading only says no, to root too.
pub fn may_write(directory: &Path) -> bool {
    let Ok(path) = CString::new(directory.as_os_str().as_bytes()) else { return false };
    let mode = libc::W_OK | libc::X_OK;
    // SAFETY: the path is a C string that outlives the call.
    unsafe { libc::faccessat(libc::AT_FDCWD, path.as_ptr(), mode, libc::AT_EACCESS) == 0 }
}
