//! A room: its participants in the order in which they came, and what they are told of each other.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use prost::Message as _;

use super::claims::Fingerprint;
use super::config::{GONE_MAX, ROSTER_SIZE_MAX};
use super::media::{Media, publish, tick};
use super::news::Counts;
use super::participant::{Key, Participant, Presence};
use super::requests;
use super::shared::Shared;
use super::timers::Timer;
use crate::rtc::Datagram;
use crate::signal::frame::FromServer;
use crate::signal::proto;
use crate::signal::proto::participant_info::State;
use crate::signal::proto::signal_response::Message;
use crate::signal::proto::{
    DisconnectReason, ParticipantInfo, ParticipantUpdate, RoomUpdate, leave_request::Action,
};

#[derive(Debug)]
pub struct Room {
    pub name: Arc<str>,
    pub sid: String,
    pub metadata: String,
    pub created_ms: i64,
    /// The largest number of connections; 0 is no limit of the room's own.
    pub connections_max: u32,
    pub empty_timeout: Duration,
    pub participants: BTreeMap<Key, Participant>,
    /// The sids of those who left, and whose they were: they are not given to others, who would be taken for them. The newest
    /// last.
    gone: VecDeque<(String, Fingerprint)>,
    pub counts: Counts,
    /// When it vanishes unless somebody comes.
    pub vanishes: Option<Instant>,
    /// Since the first track was announced.
    pub media: Option<Box<Media>>,
}

impl Room {
    /// An empty room. It stays until [`Self::expire_if_empty`] has said how long.
    pub fn new(name: &str, shared: &mut Shared, wall_ms: i64) -> Self {
        Self {
            name: name.into(),
            sid: shared.sids.room(),
            metadata: String::new(),
            created_ms: wall_ms,
            connections_max: 0,
            empty_timeout: shared.config.room_empty_timeout,
            participants: BTreeMap::new(),
            gone: VecDeque::new(),
            counts: Counts::default(),
            vanishes: None,
            media: None,
        }
    }

    pub fn media(&mut self, now: Instant) -> &mut Media {
        self.media.get_or_insert_with(|| Box::new(Media::new(now)))
    }

    pub fn info(&self) -> proto::Room {
        let (num_participants, num_publishers) = self.numbers();
        proto::Room {
            sid: self.sid.clone(),
            name: self.name.to_string(),
            empty_timeout: u32::try_from(self.empty_timeout.as_secs()).unwrap_or(u32::MAX),
            departure_timeout: u32::try_from(self.empty_timeout.as_secs()).unwrap_or(u32::MAX),
            max_participants: self.connections_max,
            creation_time: self.created_ms / 1000,
            creation_time_ms: self.created_ms,
            metadata: self.metadata.clone(),
            num_participants,
            active_recording: self.is_recorded(),
            num_publishers,
            ..Default::default()
        }
    }

    pub fn is_recorded(&self) -> bool {
        self.participants.values().any(|participant| participant.is_recorder)
    }

    /// Tells everybody when a recording has begun or ended, but who has heard it by its welcome.
    pub fn announce_recording(&self, shared: &mut Shared, was_recorded: bool, newcomer: Option<Key>) {
        if self.is_recorded() != was_recorded {
            self.broadcast(shared, newcomer, &FromServer::Message(self.update()).encode().into());
        }
    }

    pub fn key_of_sid(&self, sid: &str) -> Option<Key> {
        self.find(|participant| participant.sid == sid)
    }

    pub fn key_of_identity(&self, identity: &str) -> Option<Key> {
        self.find(|participant| participant.identity == identity)
    }

    /// Whether somebody had this sid who came with another token.
    pub fn was_of_another(&self, sid: &str, fingerprint: Fingerprint) -> bool {
        self.gone.iter().any(|(gone, whose)| gone == sid && *whose != fingerprint)
    }

    fn find(&self, wanted: impl Fn(&Participant) -> bool) -> Option<Key> {
        self.participants.iter().find(|(_, participant)| wanted(participant)).map(|(key, _)| *key)
    }

    pub fn accepts(&self, key: Key, datagram: &Datagram) -> bool {
        let peers = self.participants.get(&key).and_then(|participant| participant.peers.as_ref());
        peers.is_some_and(|peers| peers.accepts(datagram))
    }

    /// Whether one more would be too many.
    pub fn is_full(&self, shared: &Shared) -> bool {
        let own = (self.connections_max > 0).then_some(self.connections_max);
        let limit = own.into_iter().chain(shared.config.connections_max).min();
        limit.is_some_and(|limit| self.participants.len() >= limit as usize)
    }

    /// Everybody that one participant may see, in as many messages as that takes; at least one. Itself, if it is included,
    /// comes last.
    pub fn rosters(&self, viewer: Key, includes_itself: bool) -> Vec<Vec<ParticipantInfo>> {
        let seen = |(key, participant): &(&Key, &Participant)| **key != viewer && participant.is_visible();
        let others = self.participants.iter().filter(seen).map(|(_, participant)| participant);
        let itself = self.participants.get(&viewer).filter(|_| includes_itself);
        let (mut rosters, mut size) = (vec![Vec::new()], 0);
        for info in others.chain(itself).map(Participant::present) {
            size += info.encoded_len();
            match rosters.last_mut() {
                Some(roster) if size <= ROSTER_SIZE_MAX || roster.is_empty() => roster.push(info),
                _ => {
                    size = info.encoded_len();
                    rosters.push(vec![info]);
                }
            }
        }
        rosters
    }

    pub fn broadcast(&self, shared: &mut Shared, except: Option<Key>, bytes: &Arc<[u8]>) {
        for (key, participant) in &self.participants {
            if let (Some(link), true) = (participant.link(), Some(*key) != except) {
                shared.send_bytes(link, bytes.clone());
            }
        }
    }

    pub fn update(&self) -> Message {
        Message::RoomUpdate(RoomUpdate { room: Some(self.info()) })
    }

    /// Takes a participant out and tells the others. What its link is told is the caller's business.
    pub fn remove(&mut self, shared: &mut Shared, now: Instant, key: Key, reason: DisconnectReason) {
        let was_recorded = self.is_recorded();
        let Some(mut participant) = self.participants.remove(&key) else { return };
        if let Some(share) = participant.share.take() {
            publish::withdraw(self, shared, now, key, &share);
        }
        self.release(shared, now, key, &mut participant);
        if participant.is_visible() {
            self.announce_end(shared, &participant, reason);
        }
        self.announce_recording(shared, was_recorded, None);
        self.gone.push_back((participant.sid, participant.fingerprint));
        if self.gone.len() > GONE_MAX {
            self.gone.pop_front();
        }
        self.recount(shared, now);
        self.expire_if_empty(shared, now);
    }

    /// Tells everybody who is in the room that somebody is not, or not to be seen, any more.
    pub fn announce_end(&self, shared: &mut Shared, participant: &Participant, reason: DisconnectReason) {
        let mut info = participant.info(State::Disconnected);
        info.version += 1;
        info.disconnect_reason = reason.into();
        let own = participant.link();
        let bytes = update(info);
        for link in self.participants.values().filter_map(Participant::link).filter(|link| Some(*link) != own)
        {
            shared.send_bytes(link, bytes.clone());
        }
    }

    /// Takes back what the server has set up for a participant that is no longer in the room.
    fn release(&self, shared: &mut Shared, now: Instant, key: Key, participant: &mut Participant) {
        let timer = Timer::Participant { room: self.name.clone(), key };
        shared.timers.put(&mut participant.wake, None, timer);
        if let Some(peers) = &mut participant.peers {
            let timer = Timer::Peers { room: self.name.clone(), key };
            shared.timers.put(&mut peers.wake, None, timer);
            peers.close(now, shared);
            shared.routes.retain(|_, seat| seat.key != key);
        }
    }

    /// The end of the room. Everybody is told why, and nobody of the others, who do not leave but are sent away too.
    pub fn disband(mut self, shared: &mut Shared, now: Instant, reason: DisconnectReason, action: Action) {
        for (key, mut participant) in std::mem::take(&mut self.participants) {
            self.release(shared, now, key, &mut participant);
            if let Some(link) = participant.link() {
                shared.dismiss(link, reason, action);
            }
        }
        self.recount(shared, now);
        self.stay(shared);
        tick::stop(&mut self, shared);
    }

    /// Takes a participant out and tells it why.
    pub fn expel(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        key: Key,
        reason: DisconnectReason,
        action: Action,
    ) {
        if let Some(link) = self.participants.get(&key).and_then(Participant::link) {
            shared.dismiss(link, reason, action);
        }
        self.remove(shared, now, key, reason);
    }

    pub fn expire_if_empty(&mut self, shared: &mut Shared, now: Instant) {
        if self.participants.is_empty() {
            let when = now + self.empty_timeout;
            shared.timers.put(&mut self.vanishes, Some(when), Timer::Room { name: self.name.clone() });
        }
    }

    /// It does not vanish by itself: somebody is in it, or it is gone already.
    pub fn stay(&mut self, shared: &mut Shared) {
        shared.timers.put(&mut self.vanishes, None, Timer::Room { name: self.name.clone() });
    }

    /// Sets the next deadline of a participant, unless an earlier one is set anyway.
    pub fn watch(&mut self, shared: &mut Shared, key: Key) {
        let Some(participant) = self.participants.get_mut(&key) else { return };
        let turn = participant.turns.as_ref().and_then(|turns| turns.resume);
        let due = turn.into_iter().chain(participant.news.due);
        let when = due.fold(participant.deadline(), Instant::min);
        if participant.wake.is_none_or(|set| when < set) {
            let timer = Timer::Participant { room: self.name.clone(), key };
            shared.timers.put(&mut participant.wake, Some(when), timer);
        }
    }

    /// A deadline has come: the connections failed, the link was silent for too long, the absence lasted too long, others
    /// are to be told of it, it is the turn of what was asked for, or none of it.
    pub fn wake(&mut self, shared: &mut Shared, now: Instant, key: Key, set: Instant) {
        let Some(participant) = self.participants.get_mut(&key) else { return };
        if participant.wake != Some(set) {
            return;
        }
        participant.wake = None;
        if let Some((reason, action)) = participant.failure(now) {
            return self.expel(shared, now, key, reason, action);
        }
        if now >= participant.deadline() {
            match participant.presence {
                Presence::Linked { link, .. } => {
                    participant.part(now, DisconnectReason::ConnectionTimeout);
                    shared.close(link);
                }
                Presence::Away { reason, .. } => return self.remove(shared, now, key, reason),
            }
        }
        let is_due = |when: Option<Instant>| when.is_some_and(|when| when <= now);
        let resumes = participant.turns.as_ref().is_some_and(|turns| is_due(turns.resume));
        if is_due(participant.news.due) {
            self.tell(shared, now, key);
        }
        if resumes {
            return requests::resume(self, shared, now, key);
        }
        self.watch(shared, key);
    }
}

pub fn update(info: ParticipantInfo) -> Arc<[u8]> {
    FromServer::Message(Message::Update(ParticipantUpdate { participants: vec![info] })).encode().into()
}
