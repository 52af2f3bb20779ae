//! This process's part in the embedded hub: it connects to the process that hosts it, or becomes the host.

use std::time::Duration;

use tokio::net::UnixStream;
use tokio::runtime::Handle;

use crate::session::{Fault, Reason};

/// See the module's text.
pub struct Hub {
    #[allow(dead_code)]
    runtime: Handle,
}

impl Hub {
    pub fn new(runtime: Handle) -> Self {
        Self { runtime }
    }

    pub async fn connect(&self) -> Result<UnixStream, Fault> {
        Err(Fault::new(Reason::NoMessagingServer, "the embedded hub is not there yet"))
    }

    /// Ends the hosting, where this process does it; the clients are told, and another one takes over.
    pub async fn stop(&self, _limit: Duration) {}
}
