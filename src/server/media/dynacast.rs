//! What all subscribers of a track wish together, told to its publisher: it need not send what nobody wants.

use std::time::{Duration, Instant};

use super::super::participant::Participant;
use super::super::room::Room;
use super::super::shared::Shared;
use super::allocate::wish;
use super::track::mime_type;
use super::{TrackKey, tick};
use crate::rtc::MediaKind;
use crate::signal::proto::signal_response::Message;
use crate::signal::proto::{SubscribedCodec, SubscribedQuality, SubscribedQualityUpdate, VideoQuality};

/// How long a publisher goes on with what nobody wants. Who looks away for a moment finds the picture running, and who
/// changes to a lower layer gets the higher one until then.
pub const LOWER_DELAY: Duration = Duration::from_secs(2);

/// What a publisher was told.
#[derive(Debug, Default)]
pub struct Told {
    /// The highest quality that is wanted; [`VideoQuality::Off`] is none. Untold, a publisher sends everything.
    quality: Option<VideoQuality>,
    /// When it is told of less.
    pub lower_at: Option<Instant>,
}

/// Comparable, with nothing at the bottom.
fn height(quality: VideoQuality) -> i32 {
    if quality == VideoQuality::Off { -1 } else { quality.into() }
}

/// Wishes may have changed. More is told at once, less after a while.
pub fn review(room: &mut Room, shared: &mut Shared, now: Instant, track: TrackKey) {
    let Some(wanted) = wanted(room, track) else { return };
    let Some(known) = room.media.as_mut().and_then(|media| media.tracks.get_mut(&track)) else { return };
    let told = known.told.quality.map_or(height(VideoQuality::High), height);
    let is_first = known.told.quality.is_none() && wanted != VideoQuality::Off;
    if height(wanted) > told || is_first {
        known.told.lower_at = None;
        tell(room, shared, track, wanted);
    } else if height(wanted) < told {
        known.told.lower_at.get_or_insert(now + LOWER_DELAY);
        tick::schedule(room, shared, now);
    } else {
        known.told.lower_at = None;
    }
}

/// Tells of less, now that it has been so for a while.
pub fn expire(room: &mut Room, shared: &mut Shared, now: Instant) {
    let Some(media) = room.media.as_ref() else { return };
    let is_due = |at: Option<Instant>| at.is_some_and(|at| now >= at);
    let due = media.tracks.iter().filter(|(_, track)| is_due(track.told.lower_at));
    let due: Vec<TrackKey> = due.map(|(track, _)| *track).collect();
    for track in due {
        let wanted = wanted(room, track);
        if let Some(known) = room.media.as_mut().and_then(|media| media.tracks.get_mut(&track)) {
            known.told.lower_at = None;
        }
        if let Some(wanted) = wanted {
            tell(room, shared, track, wanted);
        }
    }
}

/// The highest quality that anybody wishes for. `None` for sound.
fn wanted(room: &Room, track: TrackKey) -> Option<VideoQuality> {
    let known = room.media.as_ref()?.tracks.get(&track)?;
    if known.kind != MediaKind::Video {
        return None;
    }
    let of = |subscriber| {
        let share = room.participants.get(subscriber)?.share.as_ref()?;
        let (layer, _) = wish(known, share.settings.get(&track))?;
        Some(known.layers.get(layer)?.quality)
    };
    let wishes = known.subscribers.iter().filter_map(of);
    Some(wishes.max_by_key(|quality| height(*quality)).unwrap_or(VideoQuality::Off))
}

#[allow(deprecated)] // older clients read the older field
fn tell(room: &mut Room, shared: &mut Shared, track: TrackKey, wanted: VideoQuality) {
    let Some(known) = room.media.as_mut().and_then(|media| media.tracks.get_mut(&track)) else { return };
    known.told.quality = Some(wanted);
    let all = [VideoQuality::Low, VideoQuality::Medium, VideoQuality::High];
    let qualities: Vec<SubscribedQuality> = all
        .map(|quality| SubscribedQuality {
            quality: quality.into(),
            enabled: height(quality) <= height(wanted),
        })
        .to_vec();
    let codec = known.codec.and_then(|codec| mime_type(codec).split_once('/'));
    let codecs = codec
        .map(|(_, name)| SubscribedCodec { codec: name.to_ascii_lowercase(), qualities: qualities.clone() });
    let update = SubscribedQualityUpdate {
        track_sid: known.sid.to_string(),
        subscribed_qualities: qualities,
        subscribed_codecs: codecs.into_iter().collect(),
    };
    if let Some(link) = room.participants.get(&known.publisher).and_then(Participant::link) {
        shared.send(link, Message::SubscribedQualityUpdate(update));
    }
}
