//! Who gets the reports of statistics of a publisher or a subscriber.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::driver::callbacks::{Gate, deletion_deadline};

/// Gets reports as JSON.
pub type Reporter = Box<dyn Fn(&str) + Send + Sync>;

/// The program's function for reports; none to begin with.
#[derive(Default)]
pub(super) struct Desk(Mutex<Option<Arc<Registered>>>);

struct Registered {
    reporter: Reporter,
    gate: Gate,
}

impl Desk {
    /// In place of the one that was, which is not called any more. Where that runs it is waited for as a deletion would.
    pub fn set(&self, reporter: Option<Reporter>) {
        let registered = reporter.map(|reporter| Arc::new(Registered { reporter, gate: Gate::default() }));
        let before = std::mem::replace(&mut *self.0.lock(), registered);
        if let Some(before) = before {
            before.gate.close(deletion_deadline()); // nothing is locked
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.lock().is_none()
    }

    /// Calls the one that is registered now.
    pub fn tell(&self, report: &str) {
        let registered = self.0.lock().clone();
        if let Some(Registered { reporter, gate }) = registered.as_deref() {
            gate.pass(|| reporter(report));
        }
    }
}
