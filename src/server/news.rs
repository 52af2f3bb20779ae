//! How often everybody is told how a participant is now.
//!
//! A small request may change what everybody is told all about, so thousands of them would drown those who read slowly. The
//! first changes are told at once. Of who goes on changing the others hear from time to time, as it is then.

use std::time::Instant;

use super::allowance::{ANNOUNCEMENTS, Allowance};
use super::participant::Key;
use super::room::{Room, update};
use super::shared::Shared;

/// What an announcement costs beside its bytes, in bytes: it is sent to everybody one by one.
const ANNOUNCEMENT_BASE: usize = 4 << 10;

/// What others have not been told of a participant.
#[derive(Debug, Default)]
pub struct News {
    allowance: Option<Allowance>,
    /// When they are. None while they know everything.
    pub due: Option<Instant>,
    /// The participant itself is to be told too.
    is_for_itself: bool,
}

impl Room {
    /// Tells everybody how a participant is now, itself included when it changed rather than came or went. Later, if they
    /// were told much of it just now.
    pub fn announce(&mut self, shared: &mut Shared, now: Instant, key: Key, includes_itself: bool) {
        let Some(participant) = self.participants.get_mut(&key) else { return };
        participant.news.is_for_itself |= includes_itself;
        if participant.news.due.is_none() {
            self.tell(shared, now, key);
        }
    }

    /// Tells what has changed since it was told last, or sets the time for it.
    pub fn tell(&mut self, shared: &mut Shared, now: Instant, key: Key) {
        let Some(participant) = self.participants.get_mut(&key) else { return };
        let bytes = update(participant.present());
        let (is_visible, link) = (participant.is_visible(), participant.link());
        let news = &mut participant.news;
        let allowance = news.allowance.get_or_insert_with(|| Allowance::new(now, ANNOUNCEMENTS));
        // More than can ever be there would be waited for without end.
        let price = (ANNOUNCEMENT_BASE + bytes.len()).min(ANNOUNCEMENTS.burst());
        if !allowance.take(now, price) {
            news.due = allowance.when(price);
            return self.watch(shared, key);
        }
        news.due = None;
        let is_for_itself = std::mem::take(&mut news.is_for_itself);
        if is_visible {
            self.broadcast(shared, Some(key), &bytes);
        }
        if let (true, Some(link)) = (is_for_itself, link) {
            shared.send_bytes(link, bytes);
        }
    }
}
