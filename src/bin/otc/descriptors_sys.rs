//! How many descriptors the process may have.

use std::io;

/// Raises the limit as far as it may be raised. Each client takes one, and the usual limit is 1024, for the sake of programs
/// that cannot count further; a library leaves it to its host, a server is its own.
pub fn raise_limit() -> io::Result<libc::rlim_t> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure outlives the call, which writes to it.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: the structure outlives the call, which reads it.
    match unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) } {
        0 => Ok(limit.rlim_cur),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_as_high_as_it_may_be() {
        let raised = raise_limit().expect("it may be raised to where it may be");
        let limits = std::fs::read_to_string("/proc/self/limits").expect("the limits");
        let line = limits.lines().find(|line| line.starts_with("Max open files")).expect("a line of it");
        assert_eq!(line.split_ascii_whitespace().nth(3), Some(raised.to_string().as_str()), "{line}");
    }
}
