//! The camera of the machine: found, set, and read by a thread of its own.
//!
//! [`open`] takes the first camera that can be had, [`Opened::run`] starts the thread, which ends when its [`Running`] is
//! stopped or dropped, when nobody wants pictures any more, or when the camera fails. What a camera is stands in
//! `device.rs`, the kernel's ones in `v4l2.rs`, which of its modes is taken in `choice.rs`, and how its bytes become a
//! picture in `layout.rs`.

mod buffers_sys;
mod choice;
mod device;
mod layout;
mod poll_sys;
#[cfg(test)]
mod tests;
mod v4l2;

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

pub use device::{Cameras, Device, Mode, Waited, Wanted};
pub use layout::Layout;
pub use v4l2::Machine;

use super::workers::Workers;
use crate::media::Picture;

/// How long a camera may bring no picture. The slowest need a few seconds for their first one; one that was put to sleep
/// with the machine comes back in that time or not at all.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// How many errors in a row are a bad cable and not the end (`VIDIOC_DQBUF` names EIO as one that may pass).
const ERRORS_MAX: u32 = 10;

/// Why there are no pictures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CameraError {
    /// None that we could read.
    NoCamera,
    Denied,
    Busy,
    Unplugged,
    Silent,
    /// What the system says.
    Failed(String),
}

impl fmt::Display for CameraError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCamera => write!(formatter, "there is no camera that could be used"),
            Self::Denied => write!(
                formatter,
                "there is a camera, but this program is not permitted to use it; the system's group for that is mostly `video`"
            ),
            Self::Busy => write!(formatter, "the camera is in use by another program"),
            Self::Unplugged => write!(formatter, "the camera was unplugged; no more pictures are sent"),
            Self::Silent => write!(
                formatter,
                "the camera has brought no picture for {} seconds; no more pictures are sent",
                SILENCE_MAX.as_secs()
            ),
            Self::Failed(text) => write!(formatter, "the camera does not work: {text}"),
        }
    }
}

impl From<&io::Error> for CameraError {
    fn from(error: &io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::EACCES | libc::EPERM) => Self::Denied,
            Some(libc::EBUSY) => Self::Busy,
            Some(libc::ENODEV | libc::ENXIO | libc::ENOENT) => Self::Unplugged,
            _ => Self::Failed(error.to_string()),
        }
    }
}

/// Who gets the pictures. Called on the camera's thread.
pub trait Sink: Send + 'static {
    /// False: nobody wants pictures any more.
    fn picture(&self, picture: Picture) -> bool;
    /// Nothing more will come. Said last, once; not when it was stopped.
    fn failed(&self, error: CameraError);
}

/// Opens and sets the first camera that can be had. Where none can, the error is the first one's that is more than none.
pub fn open(cameras: &dyn Cameras, wanted: &Wanted) -> Result<Opened, CameraError> {
    let nodes = cameras.nodes().map_err(|error| match CameraError::from(&error) {
        CameraError::Unplugged => CameraError::NoCamera, // no such folder
        other => other,
    })?;
    let mut refusal = None;
    for node in nodes {
        // What reads a driver's answers was written by others and has assertions in it.
        let tried = catch_unwind(AssertUnwindSafe(|| try_node(cameras, &node, wanted)));
        let tried = tried.unwrap_or_else(|_| Err(io::Error::other("its driver says what makes no sense")));
        match tried {
            Ok(Some(opened)) => return Ok(opened),
            Ok(None) => {}
            Err(error) => {
                log::info!("{} cannot be used: {error}", node.display());
                // A node without a device, or with one of another kind, is no camera.
                let is_none = matches!(CameraError::from(&error), CameraError::Unplugged)
                    || error.raw_os_error() == Some(libc::ENOTTY);
                if !is_none {
                    refusal.get_or_insert(CameraError::from(&error));
                }
            }
        }
    }
    Err(refusal.unwrap_or(CameraError::NoCamera))
}

/// `None`: it takes no pictures, or none that we can read.
fn try_node(cameras: &dyn Cameras, node: &Path, wanted: &Wanted) -> io::Result<Option<Opened>> {
    let mut device = cameras.open(node)?;
    let Some(mode) = choice::choose(&device.modes(wanted)?, wanted) else { return Ok(None) };
    let layout = device.set(&mode)?;
    log::info!("{} is the camera: {layout:?}", node.display());
    Ok(Some(Opened { device, layout }))
}

/// A camera that is ours and not yet taking pictures.
pub struct Opened {
    device: Box<dyn Device>,
    layout: Layout,
}

impl Opened {
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Starts the thread. The camera is started there: that takes a moment, and whoever calls this has other things to do.
    pub fn run(self, workers: &Workers, sink: impl Sink) -> Result<Running, CameraError> {
        self.run_with(workers, sink, SILENCE_MAX)
    }

    fn run_with(
        self,
        workers: &Workers,
        sink: impl Sink,
        silence_max: Duration,
    ) -> Result<Running, CameraError> {
        let (wake, woken) = UnixStream::pair().map_err(|error| CameraError::Failed(error.to_string()))?;
        let (alive, ended) = mpsc::channel::<Infallible>();
        let work = move || {
            let _alive = alive; // dropped after everything below: the camera is closed then, and nobody is told anything
            let (Self { mut device, layout }, sink) = (self, sink);
            let outcome = watch(&mut *device, &layout, &woken, &sink, silence_max);
            drop(device);
            if let Err(error) = outcome {
                log::warn!("{error}");
                sink.failed(error);
            }
        };
        workers.spawn("otc-camera", work).map_err(|error| CameraError::Failed(error.to_string()))?;
        Ok(Running { wake, ended })
    }
}

/// Until it is woken, or nobody wants pictures.
fn watch(
    device: &mut dyn Device,
    layout: &Layout,
    woken: &UnixStream,
    sink: &dyn Sink,
    silence_max: Duration,
) -> Result<(), CameraError> {
    device.start().map_err(|error| CameraError::from(&error))?;
    let mut deadline = Instant::now() + silence_max;
    let mut errors = 0;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(CameraError::Silent);
        }
        let mut made = None;
        let waited = device.next(woken.as_fd(), left, &mut |bytes| made = Some(layout.picture(bytes)));
        match waited {
            Ok(Waited::Woken) => return Ok(()),
            Ok(_) => errors = 0,
            Err(error) if error.raw_os_error() == Some(libc::EIO) && errors < ERRORS_MAX => {
                log::debug!("a picture of the camera was lost: {error}");
                errors += 1;
            }
            Err(error) => return Err(CameraError::from(&error)),
        }
        match made {
            Some(Ok(picture)) => {
                deadline = Instant::now() + silence_max;
                if !sink.picture(picture) {
                    return Ok(());
                }
            }
            Some(Err(error)) => log::debug!("a picture of the camera is broken: {error:?}"),
            None => {}
        }
    }
}

/// A camera that takes pictures. Dropped, it ends soon.
pub struct Running {
    /// The thread sees it when this is closed.
    wake: UnixStream,
    ended: Receiver<Infallible>,
}

impl Running {
    /// Ends it. When this returns the camera is closed, unless its driver takes longer for that than until `deadline`. It is
    /// waited for because only one can have it, perhaps the next of ours.
    pub fn stop(self, deadline: Instant) {
        let Self { wake, ended } = self;
        drop(wake);
        let patience = deadline.saturating_duration_since(Instant::now());
        if ended.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
            log::warn!("the camera takes long to close");
        }
    }
}
