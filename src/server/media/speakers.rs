//! Who speaks: from the loudness that publishers write beside their sound.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::super::participant::Key;
use super::super::room::Room;
use super::super::shared::Shared;
use crate::rtc::MediaKind;
use crate::signal::proto::signal_response::Message;
use crate::signal::proto::{SpeakerInfo, SpeakersChanged};

/// How often it is told who speaks.
pub const INTERVAL: Duration = Duration::from_millis(400);

/// What is louder than this counts as speech, in dB below the loudest. A quiet room is at 50 and more.
const ACTIVE_DBOV: u8 = 35;

/// The part of an interval that has to be loud, in percent, so that a cough does not make a speaker.
const ACTIVE_PERCENT: u32 = 40;

/// How much of the newest interval goes into the level that is told.
const SMOOTHING: f32 = 2.0 / 3.0;

/// The steps in which levels are told. Finer ones would be news in every interval.
const STEPS: f32 = 8.0;

/// Sound has this many ticks in a millisecond.
const TICKS_PER_MS: u64 = 48;

/// A pause of the sender, or a new stream: it says nothing of how long something was loud.
const STEP_MAX_MS: u64 = 200;

/// What was heard of one track since the last interval.
#[derive(Debug, Default)]
pub struct Loudness {
    before: Option<u64>,
    active_ms: u32,
    /// In dB below the loudest; only of what is loud enough.
    loudest: Option<u8>,
    level: f32,
}

impl Loudness {
    pub fn hear(&mut self, level_dbov: u8, timestamp: u64) {
        let before = self.before.replace(timestamp).unwrap_or(timestamp);
        let ms = timestamp.saturating_sub(before) / TICKS_PER_MS;
        if level_dbov <= ACTIVE_DBOV && ms <= STEP_MAX_MS {
            self.active_ms += ms as u32;
            self.loudest = Some(self.loudest.map_or(level_dbov, |loudest| loudest.min(level_dbov)));
        }
    }

    /// The level of the interval that ends now, from 0 to 1.
    fn take(&mut self) -> f32 {
        let interval_ms = INTERVAL.as_millis() as u32;
        let loudest = self.loudest.take();
        let active_ms = std::mem::take(&mut self.active_ms);
        self.level = match loudest {
            Some(dbov) if active_ms * 100 >= interval_ms * ACTIVE_PERCENT => {
                // Who is loud for a part of it counts as that much less loud.
                let part = (active_ms as f32 / interval_ms as f32).min(1.0);
                let now = 10_f32.powf(-f32::from(dbov) / 20.0) * part;
                self.level + (now - self.level) * SMOOTHING
            }
            _ => 0.0,
        };
        self.level
    }
}

#[derive(Debug, Default)]
pub struct Speakers {
    due: Option<Instant>,
    /// What was told last.
    active: BTreeMap<Key, f32>,
}

impl Speakers {
    pub fn forget(&mut self, key: Key) {
        self.active.remove(&key);
    }

    pub fn is_silent(&self) -> bool {
        self.active.is_empty()
    }
}

/// Tells those who listen who has begun to speak, speaks louder or lower, or has ended.
pub fn review(room: &mut Room, shared: &mut Shared, now: Instant) {
    let Some(media) = room.media.as_mut() else { return };
    if media.speakers.due.is_some_and(|due| now < due) {
        return;
    }
    media.speakers.due = Some(now + INTERVAL);
    let mut active: BTreeMap<Key, f32> = BTreeMap::new();
    for track in media.tracks.values_mut().filter(|track| track.kind == MediaKind::Audio) {
        let level = (track.loudness.take() * STEPS).ceil() / STEPS;
        if level > 0.0 {
            let known = active.entry(track.publisher).or_default();
            *known = known.max(level);
        }
    }
    let before = std::mem::replace(&mut media.speakers.active, active.clone());
    let mut news: Vec<(Key, f32)> = active
        .iter()
        .filter(|(key, level)| before.get(*key) != Some(*level))
        .map(|(key, level)| (*key, *level))
        .collect();
    news.sort_by(|one, other| other.1.total_cmp(&one.1));
    news.extend(before.keys().filter(|key| !active.contains_key(key)).map(|key| (*key, 0.0)));
    if news.is_empty() {
        return;
    }
    for (key, participant) in &room.participants {
        let Some(link) = participant.link() else { continue };
        let hears = |speaker: Key| {
            speaker == *key || participant.share.as_ref().is_some_and(|share| share.hears(speaker))
        };
        let speakers: Vec<SpeakerInfo> = news
            .iter()
            .filter(|(speaker, _)| hears(*speaker))
            .filter_map(|(speaker, level)| {
                let sid = room.participants.get(speaker)?.sid.clone();
                Some(SpeakerInfo { sid, level: *level, active: *level > 0.0 })
            })
            .collect();
        if !speakers.is_empty() {
            shared.send(link, Message::SpeakersChanged(SpeakersChanged { speakers }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(loudness: &mut Loudness, start_ms: u64, levels: &[(u8, u64)]) {
        let mut at = start_ms;
        for (level, length_ms) in levels {
            for _ in 0..length_ms / 20 {
                at += 20;
                loudness.hear(*level, at * TICKS_PER_MS);
            }
        }
    }

    #[test]
    fn speech_is_loud_for_a_part_of_the_time_and_a_cough_is_not() {
        let mut loudness = Loudness::default();
        heard(&mut loudness, 0, &[(20, 400)]);
        let speech = loudness.take();
        assert!((0.05..0.11).contains(&speech), "{speech}");
        heard(&mut loudness, 400, &[(20, 400)]);
        assert!(loudness.take() > speech, "it is smoothed");
        heard(&mut loudness, 800, &[(10, 100), (80, 300)]);
        assert_eq!(loudness.take(), 0.0);
        heard(&mut loudness, 1200, &[(80, 400)]);
        assert_eq!(loudness.take(), 0.0);
    }
}
