//! Deadlines of the core, ordered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::participant::Key;

/// Whom a deadline is for. What has to happen then is decided when it comes: a client that was heard meanwhile is only
/// given the next one. So the many small changes of a deadline cost nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Timer {
    Participant {
        room: Arc<str>,
        key: Key,
    },
    /// Of its peer connections.
    Peers {
        room: Arc<str>,
        key: Key,
    },
    Room {
        name: Arc<str>,
    },
}

#[derive(Debug, Default)]
pub struct Timers {
    /// The number keeps apart what is due at the same moment, in the order in which it was set.
    due: BTreeMap<(Instant, u64), Timer>,
    count: u64,
}

impl Timers {
    pub fn set(&mut self, when: Instant, timer: Timer) {
        self.count += 1;
        self.due.insert((when, self.count), timer);
    }

    pub fn next(&self) -> Option<Instant> {
        self.due.keys().next().map(|(when, _)| *when)
    }

    pub fn take_due(&mut self, now: Instant) -> Option<(Instant, Timer)> {
        let entry = self.due.first_entry()?;
        let when = entry.key().0;
        (when <= now).then(|| (when, entry.remove()))
    }
}
