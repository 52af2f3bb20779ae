//! The camera of the machine, for publishers that bring none of their own.

use std::sync::{Arc, Weak};

use super::capture::{CaptureSettings, Capturer};
use super::publisher::Publisher;

/// The camera for a publisher. Whether there is one shows when it is started.
pub fn camera(_publisher: &Weak<Publisher>, _resolution: (u32, u32)) -> Arc<dyn Capturer> {
    Arc::new(NoCamera)
}

struct NoCamera;

impl Capturer for NoCamera {
    fn init(&self) -> bool {
        false
    }

    fn settings(&self) -> Option<CaptureSettings> {
        None
    }

    fn start(&self) -> bool {
        false
    }

    fn stop(&self) -> bool {
        true
    }

    fn destroy(&self) -> bool {
        true
    }
}
