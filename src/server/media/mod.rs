//! Media in a room: who publishes what, who gets it, and in which quality.
//!
//! A participant announces a track ([`publish`]), its offer ties the track to a section of its connection, and others
//! subscribe to it ([`subscribe`]): each subscription is a section of the subscriber's connection. Packets then go from
//! section to section ([`forward`]) with numbers of their own ([`numbers`]). What a subscriber wishes and what its
//! network carries decide on the layer ([`allocate`]); what all subscribers wish together is told to the publisher
//! ([`dynacast`]).
//!
//! Nothing is decoded here, nothing is forwarded that nobody subscribed to, and a room in which nobody publishes has
//! nothing of all this.

pub mod allocate;
pub mod describe;
pub mod down;
pub mod dynacast;
pub mod forward;
pub mod numbers;
pub mod payload;
pub mod publish;
pub mod quality;
pub mod requests;
pub mod share;
pub mod speakers;
pub mod subscribe;
pub mod tick;
pub mod track;
pub mod vp8;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use super::participant::Key;
use forward::Clock;
use speakers::Speakers;
use track::Track;

/// The number of a track in its room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrackKey(pub u64);

/// What a room knows of media, since the first track was announced.
#[derive(Debug)]
pub struct Media {
    /// Those that have a section: others can subscribe to them.
    pub tracks: BTreeMap<TrackKey, Track>,
    pub sids: HashMap<Arc<str>, TrackKey>,
    pub clocks: BTreeMap<Key, Clock>,
    pub speakers: Speakers,
    pub quality_due: Instant,
    /// The deadline that is set for it.
    pub wake: Option<Instant>,
    count: u64,
}

impl Media {
    pub fn new(now: Instant) -> Self {
        Self {
            tracks: BTreeMap::new(),
            sids: HashMap::new(),
            clocks: BTreeMap::new(),
            speakers: Speakers::default(),
            quality_due: now + quality::INTERVAL,
            wake: None,
            count: 0,
        }
    }

    pub fn next_key(&mut self) -> TrackKey {
        self.count += 1;
        TrackKey(self.count)
    }

    pub fn by_sid(&self, sid: &str) -> Option<TrackKey> {
        self.sids.get(sid).copied()
    }
}
