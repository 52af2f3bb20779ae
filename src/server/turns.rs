//! What a client asks for is dealt with in its order, and no faster than its allowances let it.
//!
//! What comes too early waits. A client that subscribes to everybody in a crowd, or that is one of those who come and go,
//! asks for much within a moment; whatever were thrown away then it would wait for in vain.

use std::collections::VecDeque;
use std::time::Instant;

use super::allowance::{Allowance, MEDIA_REQUESTS, NEGOTIATIONS};
use crate::signal::proto::UpdateSubscription;
use crate::signal::proto::signal_request::Message as Asked;

/// What a description or a candidate costs beside its bytes, in bytes.
const NEGOTIATION_BASE: usize = 1 << 10;

/// An answer is as long as the server's own offer made it, and comes once for each. In a room of hundreds, each of whom is
/// news to all others, descriptions are long, and nobody should wait for them.
const ANSWER_DISCOUNT: usize = 8;

/// How much may wait, in bytes. Somebody who keeps asking for more than is allowed loses the rest.
const WAITING_SIZE_MAX: usize = NEGOTIATIONS.burst();

/// What a message that waits takes beside its bytes, about.
const WAITING_BASE: usize = 256;

/// What has to be paid for a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Price {
    Nothing,
    /// Bytes of descriptions.
    Negotiation(usize),
    /// Requests, one for each track that is named.
    Requests(usize),
}

impl Price {
    pub fn of(message: &Asked) -> Self {
        // More than can ever be there would be waited for without end.
        let negotiation =
            |size: usize| Self::Negotiation((NEGOTIATION_BASE + size).min(NEGOTIATIONS.burst()));
        let requests = |count: usize| Self::Requests(count.clamp(1, TRACKS_MAX));
        match message {
            Asked::Offer(offer) => negotiation(offer.sdp.len()),
            Asked::Answer(answer) => negotiation(answer.sdp.len() / ANSWER_DISCOUNT),
            Asked::Trickle(trickle) => negotiation(trickle.candidate_init.len()),
            Asked::Subscription(wanted) => requests(tracks(wanted)),
            Asked::TrackSetting(settings) => requests(settings.track_sids.len()),
            Asked::SyncState(state) => {
                requests(state.subscription.as_ref().map_or(0, tracks) + state.track_sids_disabled.len())
            }
            Asked::AddTrack(_)
            | Asked::Mute(_)
            | Asked::UpdateVideoTrack(_)
            | Asked::UpdateAudioTrack(_)
            | Asked::UpdateMetadata(_) => requests(1),
            _ => Self::Nothing,
        }
    }
}

/// How many tracks are named.
fn tracks(wanted: &UpdateSubscription) -> usize {
    let grouped = wanted.participant_tracks.iter().map(|tracks| tracks.track_sids.len());
    wanted.track_sids.len() + grouped.sum::<usize>()
}

/// How many tracks of one message are looked at: more than anybody may subscribe to.
pub const TRACKS_MAX: usize = MEDIA_REQUESTS.burst();

/// Something that its client asked for, and when.
#[derive(Debug)]
pub struct Waiting {
    pub message: Asked,
    pub wall_ms: i64,
    size: usize,
}

#[derive(Debug)]
pub struct Turns {
    negotiations: Allowance,
    requests: Allowance,
    waiting: VecDeque<Waiting>,
    size: usize,
    /// When the first of what waits may be dealt with. None while it waits for something else.
    pub resume: Option<Instant>,
}

impl Turns {
    pub fn new(now: Instant) -> Self {
        Self {
            negotiations: Allowance::new(now, NEGOTIATIONS),
            requests: Allowance::new(now, MEDIA_REQUESTS),
            waiting: VecDeque::new(),
            size: 0,
            resume: None,
        }
    }

    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Pays, if there is enough left. Else [`Turns::resume`] says when there will be.
    pub fn pay(&mut self, now: Instant, price: Price) -> bool {
        let (allowance, amount) = match price {
            Price::Nothing => return true,
            Price::Negotiation(bytes) => (&mut self.negotiations, bytes),
            Price::Requests(count) => (&mut self.requests, count),
        };
        let may = allowance.take(now, amount);
        self.resume = if may { None } else { allowance.when(amount) };
        may
    }

    /// Puts a message at the end of what waits. False when too much does.
    pub fn put(&mut self, message: &Asked, wall_ms: i64) -> bool {
        let size = WAITING_BASE + message.encoded_len();
        let may = self.size + size <= WAITING_SIZE_MAX;
        if may {
            self.size += size;
            self.waiting.push_back(Waiting { message: message.clone(), wall_ms, size });
        }
        may
    }

    pub fn first(&self) -> Option<&Asked> {
        self.waiting.front().map(|waiting| &waiting.message)
    }

    pub fn take(&mut self) -> Option<Waiting> {
        let waiting = self.waiting.pop_front()?;
        self.size -= waiting.size;
        Some(waiting)
    }

    pub fn clear(&mut self) {
        self.waiting.clear();
        (self.size, self.resume) = (0, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::proto::{ParticipantTracks, SyncState};

    #[test]
    fn each_track_is_paid_for_however_it_is_named() {
        let sids = || vec!["TR_1".to_owned(); 10];
        let grouped = ParticipantTracks { participant_sid: "PA_1".into(), track_sids: sids() };
        let wanted = UpdateSubscription {
            track_sids: sids(),
            participant_tracks: vec![grouped.clone(), grouped],
            subscribe: true,
        };
        assert_eq!(Price::of(&Asked::Subscription(wanted.clone())), Price::Requests(30));
        let state =
            SyncState { subscription: Some(wanted), track_sids_disabled: sids(), ..Default::default() };
        assert_eq!(Price::of(&Asked::SyncState(state)), Price::Requests(40));
    }
}
