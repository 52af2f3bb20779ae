//! How many of something are left, and waiting until none is.

use std::sync::Arc;
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

#[derive(Default)]
pub struct Count {
    left: Mutex<usize>,
    changed: Condvar,
}

/// One of them, until this is dropped. No lock is taken with the count's held.
pub struct Counted(Arc<Count>);

impl Count {
    pub fn count_in(self: &Arc<Self>) -> Counted {
        *self.left.lock() += 1;
        Counted(self.clone())
    }

    /// Waits until none is left, at most until `deadline`. How many are.
    pub fn wait(&self, deadline: Instant) -> usize {
        let mut left = self.left.lock();
        while *left > 0 && !self.changed.wait_until(&mut left, deadline).timed_out() {}
        *left
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        *self.0.left.lock() -= 1;
        self.0.changed.notify_all();
    }
}
