//! The pulse of a room in which somebody publishes.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::super::participant::Key;
use super::super::room::Room;
use super::super::shared::Shared;
use super::super::timers::Timer;
use super::{allocate, dynacast, publish, quality, speakers};

/// How often it beats: as finely as who speaks has to be known, and twice that.
const INTERVAL: Duration = Duration::from_millis(200);

/// Lets the pulse begin, if it does not beat already.
pub fn schedule(room: &mut Room, shared: &mut Shared, now: Instant) {
    let Some(media) = room.media.as_mut() else { return };
    if media.wake.is_none() && !(media.tracks.is_empty() && media.speakers.is_silent()) {
        let timer = Timer::Media { room: room.name.clone() };
        shared.timers.put(&mut media.wake, Some(now + INTERVAL), timer);
    }
}

/// The room ends.
pub fn stop(room: &mut Room, shared: &mut Shared) {
    if let Some(media) = room.media.as_mut() {
        shared.timers.put(&mut media.wake, None, Timer::Media { room: room.name.clone() });
    }
}

pub fn wake(room: &mut Room, shared: &mut Shared, now: Instant, set: Instant) {
    let Some(media) = room.media.as_mut().filter(|media| media.wake == Some(set)) else { return };
    media.wake = None;
    publish::expire(room, shared, now);
    dynacast::expire(room, shared, now);
    speakers::review(room, shared, now);
    quality::review(room, shared, now);
    let changed = room.media.iter_mut().flat_map(|media| media.tracks.values_mut()).filter_map(|track| {
        // Whoever watches a layer that has ended waits for another one.
        track.has_other_layers().then(|| track.subscribers.clone())
    });
    let changed: BTreeSet<Key> = changed.flatten().collect();
    let is_due = |reviewed: Option<Instant>| {
        reviewed.is_none_or(|at| now.saturating_duration_since(at) >= allocate::REVIEW_INTERVAL)
    };
    let due: Vec<Key> = room
        .participants
        .iter()
        .filter(|(key, one)| {
            let has_to = |reviewed| is_due(reviewed) || changed.contains(key);
            one.share.as_ref().is_some_and(|share| !share.downs.is_empty() && has_to(share.budget.reviewed))
        })
        .map(|(key, _)| *key)
        .collect();
    for key in due {
        allocate::choose(room, shared, now, key);
    }
    schedule(room, shared, now);
}
