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

/// Has a directory for each user who is logged in, named by the user's number.
const RUNTIME_DIRECTORIES: &str = "/run/user";

/// A directory of mode 0700 that belongs to this user.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    directory: PathBuf,
}

impl Place {
    /// The user's own: under the runtime directory, else in `/tmp`. Made when it does not exist. `runtime` is what
    /// `XDG_RUNTIME_DIR` says.
    pub fn find(runtime: Option<PathBuf>) -> Result<Self, HubError> {
        Self::at(choose(runtime, Path::new(RUNTIME_DIRECTORIES)))
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

/// Without a variable that can be used it is where the system keeps this user's runtime directory, if it does: what a desktop
/// started has the variable, what `cron`, `su` or a service started has none, and both are to meet.
///
/// A runtime directory that is gone, or cannot be written or bound in, is as good as none, and so is somebody else's:
/// programs that an administrator starts with the environment of a user must not make the user's hub theirs.
fn choose(runtime: Option<PathBuf>, runtime_directories: &Path) -> PathBuf {
    let user = process_sys::user_id();
    let usual = runtime_directories.join(user.to_string());
    let is_own = |base: &PathBuf| {
        let found = fs::metadata(base);
        found.is_ok_and(|found| found.is_dir() && found.uid() == user) && process_sys::may_write(base)
    };
    let bases = runtime.filter(|base| base.is_absolute()).into_iter().chain([usual]);
    let mut directories = bases.filter(is_own).map(|base| base.join("openotc"));
    directories.find(|directory| fits(directory)).unwrap_or_else(|| format!("/tmp/openotc-{user}").into())
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
        Err(error) => return Err(HubError::io("make its directory", directory)(error)),
    }
    // Not through a link: in /tmp another user could have put it there.
    let found = fs::symlink_metadata(directory).map_err(HubError::io("look at its directory", directory))?;
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
    use std::os::unix::fs::{PermissionsExt as _, chown};

    use super::*;

    /// Stands for `/run`.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("openotc-place-{}-{name}", std::process::id()));
            fs::create_dir(&path).expect("a new directory");
            Self(path)
        }

        fn directory(&self, name: &str) -> PathBuf {
            let path = self.0.join(name);
            fs::create_dir(&path).expect("a new directory");
            path
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn in_tmp() -> PathBuf {
        format!("/tmp/openotc-{}", process_sys::user_id()).into()
    }

    #[test]
    fn only_a_runtime_directory_of_this_user_is_used() {
        let scratch = Scratch::new("own");
        let own = scratch.directory("own");
        assert_eq!(choose(None, &scratch.0), in_tmp());
        assert_eq!(choose(Some(own.clone()), &scratch.0), own.join("openotc"));
        // Root can give a directory away; who is not root finds one that is root's.
        let foreign = if chown(&own, Some(process_sys::user_id() + 1), None).is_ok() {
            own.clone()
        } else {
            "/usr".into()
        };
        for base in [foreign, "relative".into(), own.join("gone"), "/etc/hostname".into()] {
            assert_eq!(choose(Some(base.clone()), &scratch.0), in_tmp(), "{}", base.display());
        }
    }

    #[test]
    fn a_runtime_directory_that_cannot_be_written_is_passed_over() {
        if process_sys::user_id() == 0 {
            return; // root may write everywhere
        }
        let scratch = Scratch::new("closed");
        let closed = scratch.directory("closed");
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o500)).expect("our own");
        assert_eq!(choose(Some(closed), &scratch.0), in_tmp());
    }

    #[test]
    fn without_the_variable_it_is_where_the_variable_would_lead() {
        let scratch = Scratch::new("usual");
        let usual = scratch.directory(&process_sys::user_id().to_string());
        for runtime in [None, Some("relative".into()), Some(scratch.0.join("gone"))] {
            assert_eq!(choose(runtime, &scratch.0), usual.join("openotc"));
        }
        let other = scratch.directory("other");
        assert_eq!(choose(Some(other.clone()), &scratch.0), other.join("openotc"));
        if chown(&usual, Some(process_sys::user_id() + 1), None).is_ok() {
            assert_eq!(choose(None, &scratch.0), in_tmp());
        }
    }
}
