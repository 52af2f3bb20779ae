//! The camera of the machine, for publishers that bring none of their own.

use std::sync::{Arc, Weak};
use std::time::Instant;

use parking_lot::Mutex;

use super::capture::{CaptureSettings, Capturer};
use super::publisher::Publisher;
use crate::driver::camera::{self, CameraError, Cameras, Machine, Opened, Running, Sink, Wanted};
use crate::media::Picture;

/// What is asked of a camera; it need not be able to. A program cannot choose it.
const FRAMES_PER_SECOND: u32 = 30;

/// The camera for a publisher. Whether there is one shows when it is started.
pub fn camera(publisher: &Weak<Publisher>, resolution: (u32, u32)) -> Arc<dyn Capturer> {
    Arc::new(Camera::new(publisher, resolution, Machine))
}

struct Camera<C> {
    publisher: Weak<Publisher>,
    wanted: Wanted,
    cameras: C,
    stage: Mutex<Stage>,
}

enum Stage {
    /// And why, where it is not by our own will.
    Closed(Option<CameraError>),
    Open(Opened),
    Running(Running),
}

impl<C: Cameras> Camera<C> {
    fn new(publisher: &Weak<Publisher>, (width, height): (u32, u32), cameras: C) -> Self {
        Self {
            publisher: publisher.clone(),
            wanted: Wanted { width, height, frames_per_second: FRAMES_PER_SECOND },
            cameras,
            stage: Mutex::new(Stage::Closed(None)),
        }
    }

    fn take(&self) -> Stage {
        std::mem::replace(&mut *self.stage.lock(), Stage::Closed(None))
    }

    fn be(&self, stage: Result<Stage, CameraError>) -> bool {
        let is_well = stage.is_ok();
        *self.stage.lock() = stage.unwrap_or_else(|error| Stage::Closed(Some(error)));
        is_well
    }
}

impl<C: Cameras> Capturer for Camera<C> {
    fn init(&self) -> bool {
        drop(self.take());
        self.be(camera::open(&self.cameras, &self.wanted).map(Stage::Open))
    }

    fn settings(&self) -> Option<CaptureSettings> {
        let Stage::Open(opened) = &*self.stage.lock() else { return None };
        let layout = opened.layout();
        Some(CaptureSettings {
            width: layout.width,
            height: layout.height,
            frames_per_second: layout.frames_per_second,
            is_mirrored_locally: false,
        })
    }

    fn start(&self) -> bool {
        let Stage::Open(opened) = self.take() else { return false };
        // None: the publisher has left its session meanwhile.
        let Some(workers) = self.publisher.upgrade().and_then(|publisher| publisher.workers()) else {
            return false;
        };
        self.be(opened.run(&workers, Pictures(self.publisher.clone())).map(Stage::Running))
    }

    fn stop(&self, deadline: Instant) -> bool {
        if let Stage::Running(running) = self.take() {
            running.stop(deadline); // nothing is locked meanwhile
        }
        true
    }

    fn destroy(&self) -> bool {
        drop(self.take());
        true
    }

    fn give_up(&self) {
        drop(self.take());
    }

    /// Whoever has no camera has none a moment later.
    fn may_change_its_mind(&self) -> bool {
        false
    }

    fn refusal(&self) -> String {
        match &*self.stage.lock() {
            Stage::Closed(Some(error)) => error.to_string(),
            _ => CameraError::NoCamera.to_string(),
        }
    }
}

/// What a camera brings, on its way to the publisher. Does not keep it.
struct Pictures(Weak<Publisher>);

impl Sink for Pictures {
    fn picture(&self, picture: Picture) -> bool {
        let Some(publisher) = self.0.upgrade() else { return false };
        publisher.provide(|| Ok(picture)).is_ok()
    }

    fn failed(&self, error: CameraError) {
        if let Some(publisher) = self.0.upgrade() {
            publisher.capturer_failed(error.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::{Path, PathBuf};

    use super::super::capture::{Capture, NotStarted};
    use super::*;
    use crate::driver::camera::Device;

    /// Nodes that cannot be opened, for this reason; each attempt is written down.
    struct Refusing(i32, Arc<Mutex<u32>>);

    impl Cameras for Refusing {
        fn nodes(&self) -> io::Result<Vec<PathBuf>> {
            Ok(vec!["video0".into()])
        }

        fn open(&self, _node: &Path) -> io::Result<Box<dyn Device>> {
            *self.1.lock() += 1;
            Err(io::Error::from_raw_os_error(self.0))
        }
    }

    #[test]
    fn a_refusal_is_told_at_once_and_in_its_own_words() {
        for (error, told) in
            [(libc::ENODEV, "no camera"), (libc::EACCES, "not permitted"), (libc::EBUSY, "in use")]
        {
            let attempts = Arc::default();
            let camera = Camera::new(&Weak::new(), (640, 480), Refusing(error, Arc::clone(&attempts)));
            let capture = Capture::new(Arc::new(camera));
            capture.want(true);
            assert_eq!(capture.settle(Instant::now), Some(Err(NotStarted)));
            assert_eq!(*attempts.lock(), 1, "asking again would keep the callback thread waiting");
            assert!(capture.refusal().contains(told), "{}", capture.refusal());
        }
    }
}
