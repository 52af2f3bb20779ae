//! Who and what is in the session: LiveKit's participants and tracks, told as OpenTok's connections and streams.
//!
//! A participant becomes a connection when it is ACTIVE: from then on signals reach it. Hidden ones never do.
//! Tracks become streams when the group they belong to is complete; see `streams.rs`.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::members::{Member, Members};
use super::streams::Streams;
use super::{Connection, Event, Stream};
use crate::signal::captions::Caption;
use crate::signal::proto::{ParticipantInfo, participant_info};
use crate::signal::signals::Incoming;

/// How long connections are kept after their server died and another took its place. Everybody rejoins within
/// moments, each at its own time; nobody should be told that all others left and came back.
const REJOIN_GRACE: Duration = Duration::from_secs(2);

/// How long streams are kept in the same way: whoever rejoins publishes after that, over a new peer connection.
pub(super) const REPUBLISH_GRACE: Duration = Duration::from_secs(5);

pub(super) struct Roster {
    session_id: String,
    /// Never announced.
    own: Arc<Connection>,
    suppressed: bool,
    members: Members,
    /// Not later than the first deadline of a member.
    deadline: Option<Instant>,
    /// The next update names everyone: whoever is not in it has left.
    expects_everyone: bool,
}

impl Roster {
    pub fn new(session_id: String, own: &ParticipantInfo, suppressed: bool) -> Self {
        let own = Arc::new(connection(&session_id, own));
        let members = Members::default();
        Self { session_id, own, suppressed, members, deadline: None, expects_everyone: false }
    }

    pub fn own(&self) -> &Arc<Connection> {
        &self.own
    }

    /// Those who were there first, without a word: [`Roster::everything`] says it when the program may hear it. `before`: the
    /// roster that this one takes the place of; streams that are in both have the same tracks.
    pub fn fill(&mut self, now: Instant, participants: &[ParticipantInfo], before: Option<&Roster>) {
        for participant in participants {
            self.apply(now, participant, before);
        }
        self.members.iter_mut().for_each(|member| member.streams.release());
        self.deadline = None;
    }

    /// Into another room: whoever was here is gone, and others are there, [`Roster::everything`] says who. `own`: this
    /// client, where it is called otherwise from now on.
    pub fn move_to(
        &mut self,
        now: Instant,
        own: Option<&ParticipantInfo>,
        others: &[ParticipantInfo],
    ) -> Vec<Event> {
        let events = self.remove_where(|_| true);
        if let Some(own) = own {
            self.own = Arc::new(connection(&self.session_id, own));
        }
        self.expects_everyone = false;
        self.fill(now, others, None);
        events
    }

    /// Every connection, then every stream.
    pub fn everything(&self) -> Vec<Event> {
        let connections = self.members.iter().filter(|_| !self.suppressed);
        let connections = connections.map(|member| Event::ConnectionCreated(member.connection.clone()));
        let streams = self.members.iter().flat_map(|member| member.streams.announced());
        connections.chain(streams.map(Event::StreamReceived)).collect()
    }

    pub fn expect_everyone(&mut self) {
        self.expects_everyone = true;
    }

    pub fn update(&mut self, now: Instant, participants: &[ParticipantInfo]) -> Vec<Event> {
        let mut events = Vec::new();
        if self.expects_everyone && participants.iter().any(|participant| participant.sid == self.own.id) {
            self.expects_everyone = false;
            let present: HashSet<&str> =
                participants.iter().map(|participant| participant.sid.as_str()).collect();
            events.extend(self.remove_where(|member| !present.contains(member.connection.id.as_str())));
        }
        for participant in participants {
            events.extend(self.apply(now, participant, None));
        }
        events
    }

    /// Continues the roster of a session that was lost. With `grace`, those who are missing may still come.
    pub fn succeed(&mut self, now: Instant, old: Roster, grace: bool) -> Vec<Event> {
        let fresh = std::mem::replace(&mut self.members, old.members);
        let mut fresh: HashMap<String, Member> =
            fresh.into_members().map(|member| (member.connection.id.clone(), member)).collect();
        let present: HashSet<String> = fresh.keys().cloned().collect();
        let mut events = match grace {
            true => Vec::new(),
            false => self.remove_where(|member| !present.contains(&member.connection.id)),
        };
        for member in self.members.iter_mut() {
            match fresh.remove(&member.connection.id) {
                Some(again) => {
                    member.missing_until = None;
                    member.version = again.version;
                    member.is_called(&again.connection.identity);
                    let missing_until = grace.then(|| now + REPUBLISH_GRACE);
                    events.extend(member.streams.succeed(again.streams, missing_until));
                }
                None => {
                    member.missing_until = Some(now + REJOIN_GRACE);
                    member.streams.miss(now + REPUBLISH_GRACE);
                    member.version = 0; // the other server counts anew
                }
            }
        }
        let mut newcomers: Vec<Member> = fresh.into_values().collect();
        newcomers.sort_by(|a, b| {
            (a.connection.created_ms, &a.connection.id).cmp(&(b.connection.created_ms, &b.connection.id))
        });
        for member in newcomers {
            events.extend(self.created(&member));
            self.members.push(member);
        }
        self.find_deadline();
        events
    }

    pub fn find(&self, id: &str) -> Option<&Arc<Connection>> {
        self.members.get(id).map(|member| &member.connection)
    }

    /// Whether a stream waits to be published again.
    pub fn is_missing(&self, id: &str) -> bool {
        self.members.iter().any(|member| member.streams.is_missing(id))
    }

    /// The streams that wait for it, by their ids.
    pub fn missing_streams(&self) -> Vec<String> {
        let all = self
            .members
            .iter()
            .flat_map(|member| member.streams.all().filter(|stream| member.streams.is_missing(&stream.id)));
        all.map(|stream| stream.id.clone()).collect()
    }

    pub fn find_stream(&self, id: &str) -> Option<&Arc<Stream>> {
        self.members.iter().find_map(|member| member.streams.find(id))
    }

    /// How many others there are.
    pub fn count(&self) -> usize {
        self.members.iter().count()
    }

    /// All streams by their ids, for who looks for many of them.
    pub fn streams(&self) -> HashMap<&str, &Arc<Stream>> {
        let all = self.members.iter().flat_map(|member| member.streams.all());
        all.map(|stream| (stream.id.as_str(), stream)).collect()
    }

    /// The streams that can be heard now, with the identities of their publishers. Those that are not announced yet too.
    pub fn microphones(&self) -> impl Iterator<Item = (&str, &Arc<Stream>)> {
        self.members.iter().flat_map(|member| {
            let audible = member.streams.all().filter(|stream| stream.has_audio);
            audible.map(|stream| (member.connection.identity.as_str(), stream))
        })
    }

    /// The streams that a caption belongs to: their ids, and what is new with them.
    pub fn captioned(&mut self, caption: &Caption, ids: &mut HashSet<String>) -> Vec<Event> {
        let mut events = Vec::new();
        for member in self.members.iter_mut() {
            let is_speaker = member.connection.identity == caption.identity;
            events.extend(member.streams.captioned(|stream| caption.is_of(stream, is_speaker), ids));
        }
        events
    }

    /// The connection whose track this is.
    pub fn owner_of_track(&self, sid: &str) -> Option<String> {
        let owner = self.members.iter().find(|member| member.streams.has_track(sid))?;
        Some(owner.connection.id.clone())
    }

    /// Who sent a signal: `Some(None)` is the server, `None` somebody who has not been announced.
    pub fn sender_of(&self, signal: &Incoming) -> Option<Option<Arc<Connection>>> {
        let (sid, identity) = (signal.sender_sid.as_deref(), signal.sender_identity.as_deref());
        if sid.is_none() && identity.is_none() {
            return Some(None);
        }
        let by_identity = || {
            let connections = self.members.iter().map(|member| &member.connection);
            identity.and_then(|identity| connections.into_iter().find(|known| known.identity == identity))
        };
        sid.and_then(|sid| self.find(sid)).or_else(by_identity).cloned().map(Some)
    }

    /// May come early, for somebody who has left meanwhile: to ask all members after every input would cost more.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadline
    }

    fn find_deadline(&mut self) {
        self.deadline = self.members.iter().filter_map(Member::deadline).min();
    }

    pub fn handle_timeout(&mut self, now: Instant) -> Vec<Event> {
        if self.deadline.is_none_or(|deadline| now < deadline) {
            return Vec::new();
        }
        let mut events = self.remove_where(|member| member.missing_until.is_some_and(|until| now >= until));
        for member in self.members.iter_mut() {
            events.extend(member.streams.handle_timeout(now));
        }
        self.find_deadline();
        events
    }

    fn apply(&mut self, now: Instant, participant: &ParticipantInfo, before: Option<&Roster>) -> Vec<Event> {
        if participant.sid == self.own.id {
            return Vec::new();
        }
        let is_hidden = participant.permission.as_ref().is_some_and(|permission| permission.hidden);
        if participant.state() == participant_info::State::Disconnected || is_hidden {
            let gone = self.members.remove(&participant.sid);
            return gone.iter().flat_map(|member| self.dropped(member)).collect();
        }
        if let Some(member) = self.members.get_mut(&participant.sid) {
            // Updates may overtake each other on their way through a cluster.
            if participant.version < member.version {
                return Vec::new();
            }
            member.version = participant.version;
            member.missing_until = None;
            member.is_called(&participant.identity);
            let events = member.streams.update(now, &participant.tracks);
            self.deadline = [self.deadline, member.deadline()].into_iter().flatten().min();
            return events;
        }
        if participant.state() != participant_info::State::Active || participant.sid.is_empty() {
            return Vec::new();
        }
        // An identity is one client's at a time, whose earlier place the server has not cleared away yet. This library's
        // server calls those that have none by their sid, so these need not be looked for.
        let is_named = !participant.identity.is_empty() && participant.identity != participant.sid;
        let is_same = |identity: &str| is_named && identity == participant.identity;
        if is_same(&self.own.identity) {
            return Vec::new();
        }
        let mut events = match is_named {
            true => self.remove_where(|member| {
                is_same(&member.connection.identity) && member.missing_until.is_none()
            }),
            false => Vec::new(),
        };
        let connection = Arc::new(connection(&self.session_id, participant));
        let known = before.and_then(|before| before.members.get(&participant.sid));
        let mut member = Member {
            streams: match known {
                Some(known) => Streams::after(now, connection.clone(), &known.streams),
                None => Streams::new(connection.clone()),
            },
            connection,
            version: participant.version,
            missing_until: None,
        };
        events.extend(self.created(&member));
        events.extend(member.streams.update(now, &participant.tracks));
        self.deadline = [self.deadline, member.deadline()].into_iter().flatten().min();
        self.members.push(member);
        events
    }

    fn created(&self, member: &Member) -> Vec<Event> {
        let connection = (!self.suppressed).then(|| Event::ConnectionCreated(member.connection.clone()));
        let streams = member.streams.announced().map(Event::StreamReceived);
        connection.into_iter().chain(streams).collect()
    }

    /// All streams of a client are dropped before its connection is.
    fn dropped(&self, member: &Member) -> Vec<Event> {
        let connection = (!self.suppressed).then(|| Event::ConnectionDropped(member.connection.clone()));
        member.streams.announced().map(Event::StreamDropped).chain(connection).collect()
    }

    fn remove_where(&mut self, leaves: impl Fn(&Member) -> bool) -> Vec<Event> {
        let gone = self.members.remove_where(leaves);
        gone.iter().flat_map(|member| self.dropped(member)).collect()
    }
}

fn connection(session_id: &str, participant: &ParticipantInfo) -> Connection {
    let created_ms = match participant.joined_at_ms {
        0 => participant.joined_at.saturating_mul(1000),
        ms => ms,
    };
    Connection {
        id: participant.sid.clone(),
        identity: participant.identity.clone(),
        data: participant.metadata.clone(),
        created_ms,
        session_id: session_id.into(),
    }
}
