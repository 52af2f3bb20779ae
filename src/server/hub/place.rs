//! Where the hub of a user is: a directory that is nobody else's.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use super::HubError;
use crate::server::process_sys;

/// The longest path of a Unix socket: `sun_path` has 108 bytes, the last of which is zero.
const SOCKET_PATH_SIZE_MAX: usize = 107;

/// The numbers change when two versions of this library could not share a hub.
const SOCKET: &str = "hub-1.sock";
const LOCK: &str = "hub-1.lock";

/// A directory of mode 0700 that belongs to this user.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    directory: PathBuf,
}

impl Place {
    /// The user's own: under `XDG_RUNTIME_DIR`, else in `/tmp`. Made when it does not exist.
    pub fn find() -> Result<Self, HubError> {
        Self::at(choose(std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from)))
    }

    /// This directory and no other.
    pub fn at(directory: impl Into<PathBuf>) -> Result<Self, HubError> {
        let directory = directory.into();
        match prepare(&directory) {
            Ok(()) => Ok(Self { directory }),
            Err(error) => {
                log::warn!("hub: {error}");
                Err(error)
            }
        }
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    pub fn socket(&self) -> PathBuf {
        self.directory.join(SOCKET)
    }

    pub fn lock(&self) -> PathBuf {
        self.directory.join(LOCK)
    }
}

/// A runtime directory that is gone, or cannot be bound in, is as good as none, and so is somebody else's: programs that
/// an administrator starts with the environment of a user must not make the user's hub theirs.
fn choose(runtime: Option<PathBuf>) -> PathBuf {
    let user = process_sys::user_id();
    let is_own = |base: &PathBuf| fs::metadata(base).is_ok_and(|found| found.is_dir() && found.uid() == user);
    runtime
        .filter(|base| base.is_absolute() && is_own(base))
        .map(|base| base.join("openotc"))
        .filter(|directory| fits(directory))
        .unwrap_or_else(|| PathBuf::from(format!("/tmp/openotc-{user}")))
}

fn fits(directory: &Path) -> bool {
    directory.join(SOCKET).as_os_str().as_bytes().len() <= SOCKET_PATH_SIZE_MAX
}

fn prepare(directory: &Path) -> Result<(), HubError> {
    let refuse = |what| HubError::Directory { path: directory.to_owned(), what };
    if !fits(directory) {
        return Err(refuse("has too long a name for a socket"));
    }
    match DirBuilder::new().mode(0o700).create(directory) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(HubError::Io("make its directory", error)),
    }
    // Not through a link: in /tmp another user could have put it there.
    let found =
        fs::symlink_metadata(directory).map_err(|error| HubError::Io("look at its directory", error))?;
    if !found.is_dir() {
        return Err(refuse("is not a directory"));
    }
    if found.uid() != process_sys::user_id() {
        return Err(refuse("belongs to another user"));
    }
    if found.mode() & 0o777 != 0o700 {
        return Err(refuse("is open to others; its mode must be 0700"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::chown;

    use super::*;

    #[test]
    fn only_a_runtime_directory_of_this_user_is_used() {
        let own = std::env::temp_dir().join(format!("openotc-place-{}", std::process::id()));
        fs::create_dir(&own).expect("a new directory");
        let fallback = choose(None);
        assert!(fallback.starts_with("/tmp"));
        assert_eq!(choose(Some(own.clone())), own.join("openotc"));
        // Root can give a directory away; who is not root finds one that is root's.
        let foreign = if chown(&own, Some(65534), None).is_ok() { own.clone() } else { "/usr".into() };
        for base in [foreign, "relative".into(), own.join("gone"), "/etc/hostname".into()] {
            assert_eq!(choose(Some(base.clone())), fallback, "{}", base.display());
        }
        fs::remove_dir(&own).expect("removed");
    }
}
