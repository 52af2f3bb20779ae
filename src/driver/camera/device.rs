//! What the rest asks of a camera. [`super::v4l2`] does it with the kernel, the tests with made-up ones.

use std::io;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::layout::Layout;

/// The name of a pixel format, as V4L2 gives it: four letters.
pub type Code = [u8; 4];

/// What pictures are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    pub width: u32,
    pub height: u32,
    pub frames_per_second: u32,
}

/// One thing that a camera can be set to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mode {
    pub code: Code,
    pub width: u32,
    pub height: u32,
    /// Rounded. `None`: the camera does not say.
    pub frames_per_second: Option<u32>,
}

/// The machine, where cameras are found.
pub trait Cameras: Send + Sync + 'static {
    /// Whatever may be a camera, in the order in which to try.
    fn nodes(&self) -> io::Result<Vec<PathBuf>>;
    fn open(&self, node: &Path) -> io::Result<Box<dyn Device>>;
}

/// One camera, open. Closed when dropped, whatever it is doing.
pub trait Device: Send {
    /// What it can be set to. Where it can do all sizes of a range, the one in it that is closest to the wanted one.
    /// Nothing for what takes no pictures.
    fn modes(&self, wanted: &Wanted) -> io::Result<Vec<Mode>>;
    /// Sets it, and says what came of it: a driver may change everything.
    fn set(&mut self, mode: &Mode) -> io::Result<Layout>;
    /// Pictures come from now on. May take a moment.
    fn start(&mut self) -> io::Result<()>;
    /// Waits for the next picture, for `limit` at most, or until something happens to `woken`. `take` gets it before this
    /// returns, unless the camera itself says that it is damaged.
    fn next(
        &mut self,
        woken: BorrowedFd<'_>,
        limit: Duration,
        take: &mut dyn FnMut(&[u8]),
    ) -> io::Result<Waited>;
}

/// What the waiting was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waited {
    Picture,
    /// Time is up, or it was a false alarm.
    Nothing,
    /// It was woken.
    Woken,
}
