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
    /// Of how many are in it.
    Counts {
        room: Arc<str>,
    },
    /// The pulse of its media.
    Media {
        room: Arc<str>,
    },
    Streams,
    /// They could not be opened.
    Sockets,
}

#[derive(Debug, Default)]
pub struct Timers {
    /// The number keeps apart what is due at the same moment, in the order in which it was set.
    due: BTreeMap<(Instant, u64), Timer>,
    count: u64,
}

impl Timers {
    /// Sets a deadline, moves it or, with `None`, takes it back. `set` is where its owner keeps when it is.
    ///
    /// What is over takes its deadline back: a room in which many come and go would keep one for each of them until
    /// it is due.
    pub fn put(&mut self, set: &mut Option<Instant>, when: Option<Instant>, timer: Timer) {
        if let Some(old) = set.take() {
            let same = self.due.range((old, 0)..=(old, u64::MAX)).find(|(_, due)| **due == timer);
            if let Some(key) = same.map(|(key, _)| *key) {
                self.due.remove(&key);
            }
        }
        if let Some(when) = when {
            self.count += 1;
            self.due.insert((when, self.count), timer);
        }
        *set = when;
    }

    pub fn next(&self) -> Option<Instant> {
        self.due.keys().next().map(|(when, _)| *when)
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.due.len()
    }

    pub fn take_due(&mut self, now: Instant) -> Option<(Instant, Timer)> {
        let entry = self.due.first_entry()?;
        let when = entry.key().0;
        (when <= now).then(|| (when, entry.remove()))
    }
}
