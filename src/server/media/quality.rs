//! How good everybody's connection is: from what is lost on it and how long its round trips take.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::super::core::LinkId;
use super::super::participant::{Key, Participant};
use super::super::room::Room;
use super::super::shared::Shared;
use crate::rtc::Peer;
use crate::signal::proto::signal_response::Message;
use crate::signal::proto::{ConnectionQuality, ConnectionQualityInfo, ConnectionQualityUpdate};

/// How often it is looked at.
pub const INTERVAL: Duration = Duration::from_secs(5);

/// Up to this part of lost packets, and this round trip, nobody notices anything.
const LOSS_EXCELLENT: f32 = 0.02;
const ROUND_TRIP_EXCELLENT: Duration = Duration::from_millis(250);

/// Up to these one notices and goes on.
const LOSS_GOOD: f32 = 0.08;
const ROUND_TRIP_GOOD: Duration = Duration::from_millis(600);

/// Tells those who are concerned: the participant itself, and who has subscribed to it.
pub fn review(room: &mut Room, shared: &mut Shared, now: Instant) {
    let Some(media) = room.media.as_mut().filter(|media| now >= media.quality_due) else { return };
    media.quality_due = now + INTERVAL;
    let mut news: BTreeMap<Key, ConnectionQuality> = BTreeMap::new();
    for (key, participant) in &mut room.participants {
        let Some(quality) = judge(participant) else { continue };
        let Some(share) = participant.share.as_mut() else { continue };
        if share.quality.replace(quality) != Some(quality) {
            news.insert(*key, quality);
        }
    }
    if news.is_empty() {
        return;
    }
    for (key, participant) in &room.participants {
        let Some(link) = participant.link() else { continue };
        let concerns =
            |other: Key| other == *key || participant.share.as_ref().is_some_and(|share| share.hears(other));
        tell(
            room,
            shared,
            link,
            news.iter().filter(|(other, _)| concerns(**other)).map(|(key, one)| (*key, *one)),
        );
    }
}

/// A participant that was away has not heard what has changed meanwhile.
pub fn repeat(room: &Room, shared: &mut Shared, key: Key) {
    let Some(participant) = room.participants.get(&key) else { return };
    let (Some(link), Some(share)) = (participant.link(), &participant.share) else { return };
    let known = room.participants.iter().filter(|(other, _)| **other == key || share.hears(**other));
    let known = known.filter_map(|(other, participant)| Some((*other, participant.share.as_ref()?.quality?)));
    tell(room, shared, link, known);
}

fn tell(
    room: &Room,
    shared: &mut Shared,
    link: LinkId,
    qualities: impl Iterator<Item = (Key, ConnectionQuality)>,
) {
    let info = |(key, quality): (Key, ConnectionQuality)| {
        let participant_sid = room.participants.get(&key)?.sid.clone();
        Some(ConnectionQualityInfo { participant_sid, quality: quality.into(), score: score(quality) })
    };
    let updates: Vec<ConnectionQualityInfo> = qualities.filter_map(info).collect();
    if !updates.is_empty() {
        shared.send(link, Message::ConnectionQuality(ConnectionQualityUpdate { updates }));
    }
}

/// LiveKit's scores go from 0 to 5.
fn score(quality: ConnectionQuality) -> f32 {
    match quality {
        ConnectionQuality::Excellent => 4.5,
        ConnectionQuality::Good => 3.5,
        ConnectionQuality::Poor => 2.0,
        ConnectionQuality::Lost => 0.0,
    }
}

/// The worse of both connections. `None` where there is no media.
fn judge(participant: &Participant) -> Option<ConnectionQuality> {
    let share = participant.share.as_ref()?;
    let peers = participant.peers.as_ref()?;
    let publishes = share.publications.iter().any(|publication| publication.is_public());
    let publisher = peers.publisher().filter(|_| publishes);
    let subscriber = peers.subscriber().filter(|_| !share.downs.is_empty());
    let judged = publisher.into_iter().chain(subscriber).map(judge_peer);
    judged.min_by_key(|quality| match quality {
        ConnectionQuality::Lost => -1,
        other => i32::from(*other),
    })
}

fn judge_peer(peer: &Peer) -> ConnectionQuality {
    if !peer.is_connected() {
        return ConnectionQuality::Lost;
    }
    let statistics = peer.statistics();
    let loss = statistics.iter().filter_map(|one| one.loss).fold(0.0, f32::max);
    let round_trip = statistics.iter().filter_map(|one| one.round_trip).max().unwrap_or_default();
    if loss <= LOSS_EXCELLENT && round_trip <= ROUND_TRIP_EXCELLENT {
        ConnectionQuality::Excellent
    } else if loss <= LOSS_GOOD && round_trip <= ROUND_TRIP_GOOD {
        ConnectionQuality::Good
    } else {
        ConnectionQuality::Poor
    }
}
