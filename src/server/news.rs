//! How often everybody is told how a participant is now, and how many there are.
//!
//! A small request may change what everybody is told all about, so thousands of them would drown those who read slowly. The
//! first changes are told at once. Of who goes on changing the others hear from time to time, as it is then.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::allowance::{ANNOUNCEMENTS, Allowance};
use super::participant::Key;
use super::room::{Room, update};
use super::shared::Shared;
use super::timers::Timer;
use crate::signal::frame::FromServer;

/// What an announcement costs beside its bytes, in bytes: it is sent to everybody one by one.
const ANNOUNCEMENT_BASE: usize = 4 << 10;

/// How long everybody waits for new numbers. LiveKit's servers take as long.
const COUNTS_PAUSE: Duration = Duration::from_secs(5);

/// What others have not been told of a participant.
#[derive(Debug, Default)]
pub struct News {
    allowance: Option<Allowance>,
    /// When they are. None while they know everything.
    pub due: Option<Instant>,
    /// The participant itself is to be told too.
    is_for_itself: bool,
}

/// The numbers that everybody knows.
#[derive(Debug)]
pub struct Counts {
    told: (u32, u32),
    /// When others are told. None while they know them.
    due: Option<Instant>,
}

impl Default for Counts {
    /// Who comes first knows by its welcome that it is alone.
    fn default() -> Self {
        Self { told: (1, 0), due: None }
    }
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
        self.recount(shared, now);
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

    /// Those who are here, and those of them who publish.
    pub fn numbers(&self) -> (u32, u32) {
        let publishers = self.participants.values().filter(|participant| participant.publishes());
        (self.participants.len() as u32, publishers.count() as u32)
    }

    /// Somebody has come, gone, or begun or ended to publish: everybody is told the numbers after a while.
    pub fn recount(&mut self, shared: &mut Shared, now: Instant) {
        if self.participants.is_empty() {
            self.counts.told = Counts::default().told;
        }
        let is_news = !self.participants.is_empty() && self.numbers() != self.counts.told;
        if is_news != self.counts.due.is_some() {
            let when = is_news.then(|| now + COUNTS_PAUSE);
            shared.timers.put(&mut self.counts.due, when, Timer::Counts { room: self.name.clone() });
        }
    }

    pub fn tell_numbers(&mut self, shared: &mut Shared, set: Instant) {
        if self.counts.due != Some(set) {
            return;
        }
        self.counts = Counts { told: self.numbers(), due: None };
        let bytes: Arc<[u8]> = FromServer::Message(self.update()).encode().into();
        self.broadcast(shared, None, &bytes);
    }
}
