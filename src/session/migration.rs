//! A session goes on elsewhere: on another server, or in another room of the same one.

use std::collections::VecDeque;
use std::time::Instant;

use super::core::Core;
use super::leave::{self, Dismissal};
use super::live;
use crate::signal::proto::{LeaveRequest, RoomMovedResponse};

/// How many addresses of a farewell are looked at. With more, the time for a reconnection would be over first.
const ADDRESSES_MAX: usize = 8;

/// Longer ones no server has.
const ADDRESS_LENGTH_MAX: usize = 1024;

/// Where the server has sent its clients, for those that follow.
#[derive(Default)]
pub(super) struct Elsewhere {
    /// Addresses that have not been tried, the best one first.
    named: VecDeque<String>,
    /// Where the last new join went. `None`: the program's own way.
    current: Option<String>,
}

impl Elsewhere {
    /// Takes the addresses of a server's farewell; of one that names none, the earlier ones stay.
    pub fn hear(&mut self, leave: &LeaveRequest) {
        let regions = leave.regions.iter().flat_map(|regions| &regions.regions);
        let named = regions.map(|region| &region.url);
        let named = named.filter(|url| !url.is_empty() && url.len() <= ADDRESS_LENGTH_MAX);
        let named: VecDeque<String> = named.take(ADDRESSES_MAX).cloned().collect();
        if !named.is_empty() {
            self.named = named;
        }
    }

    /// Only the server that knows this client can let it go on, and do to others what it asks for.
    pub fn current(&self) -> Option<String> {
        self.current.clone()
    }

    /// Each of the addresses once, and from then on the program's own way.
    pub fn for_join(&mut self) -> Option<String> {
        self.current = self.named.pop_front();
        self.current.clone()
    }

    /// The session goes on; what was not tried will be old when it is lost again.
    pub fn arrived(&mut self) {
        self.named.clear();
    }
}

impl Core {
    /// Reads a farewell, and remembers where the server wants its clients to be.
    pub(super) fn dismissal(&mut self, leave: &LeaveRequest) -> Dismissal {
        if self.config.migrates {
            self.elsewhere.hear(leave);
        }
        leave::dismissal(leave, self.config.migrates)
    }

    /// The server has put this client into another room. Its session goes on there, under the id that it has for the
    /// program; the others are not there.
    pub(super) fn moved(&mut self, now: Instant, moved: RoomMovedResponse) {
        if self.live().is_none() {
            return;
        }
        if !moved.token.is_empty() {
            // Every other one leads into the room of before.
            self.config.token.clone_from(&moved.token);
            self.refreshed = None;
        }
        if let Some(room) = moved.room.as_ref().filter(|room| !room.name.is_empty()) {
            self.config.room = Some(room.name.clone());
        }
        // Whoever was to be muted stayed behind.
        self.latecomers = None;
        let may_moderate = live::may_moderate(self.token());
        let events = self.live_mut().map(|live| live.move_to(now, moved, may_moderate));
        self.streams_changed(events.unwrap_or_default());
    }
}
