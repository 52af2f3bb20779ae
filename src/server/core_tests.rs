//! The core on made-up time: links that exist only here.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::config::*;
use super::service::{Answer, Call, CallError};
use super::*;
use crate::rtc::Datagram;
use crate::signal::frame::{FromClient, FromServer};
use crate::signal::join::{JoinQuery, PROTOCOL};
use crate::signal::proto::participant_info::State;
use crate::signal::proto::signal_request::Message as Ask;
use crate::signal::proto::signal_response::Message;
use crate::signal::proto::{
    self, DataPacket, DisconnectReason, LeaveRequest, ParticipantInfo, leave_request::Action,
};
use crate::signal::token::{self, Grants, Order, Role, Secrets};
use crate::signal::{proto::request_response::Reason, signals};

const KEY: &str = "123";
const SECRET: &str = "a secret of the tests";
const ROOM: &str = "1_room";
const WALL_MS: i64 = 1_700_000_000_000;

pub(super) struct World {
    pub server: Server,
    pub now: Instant,
    wall_ms: i64,
    pub datagrams: Vec<Datagram>,
    links: u64,
    inbox: BTreeMap<LinkId, Vec<FromServer>>,
    closed: BTreeSet<LinkId>,
}

pub(super) fn secrets() -> Secrets {
    [(KEY, SECRET)].into_iter().collect()
}

fn classic(role: Role, data: &str) -> String {
    let order = Order {
        api_key: KEY,
        secret: SECRET,
        session_id: ROOM,
        role,
        connection_data: data,
        created_s: WALL_MS / 1000,
        expires_s: WALL_MS / 1000 + 3600,
        nonce: 1,
    };
    token::classic(&order).expect("a token")
}

pub(super) fn livekit(identity: &str) -> String {
    let access = token::Access {
        api_key: KEY,
        secret: SECRET,
        room: ROOM,
        identity,
        name: "",
        metadata: "data of livekit",
        grants: Grants {
            can_publish: true,
            can_subscribe: true,
            can_publish_data: true,
            room_admin: false,
            hidden: false,
        },
        can_join: true,
        can_create_rooms: false,
        can_list_rooms: false,
        created_s: WALL_MS / 1000,
        expires_s: WALL_MS / 1000 + 3600,
    };
    token::livekit(&access).expect("a token")
}

fn ours() -> JoinQuery {
    JoinQuery { protocol: PROTOCOL, inline_data: true, ..Default::default() }
}

pub(super) fn theirs() -> JoinQuery {
    JoinQuery { protocol: 15, auto_subscribe: true, ..Default::default() }
}

fn resuming(sid: &str) -> JoinQuery {
    JoinQuery { resume_sid: Some(sid.into()), ..ours() }
}

fn keeping(sid: &str) -> JoinQuery {
    JoinQuery { keep_sid: Some(sid.into()), keep_created_ms: Some(WALL_MS - 5000), ..ours() }
}

pub(super) fn signal(text: &str, to: &[&str]) -> FromClient {
    FromClient::Data(signals::packet("chat", text, to.iter().map(|name| (*name).to_owned()).collect()))
}

impl World {
    fn new() -> Self {
        Self::with(Config { secrets: secrets(), ..Default::default() })
    }

    pub fn with(config: Config) -> Self {
        Self {
            server: Server::new(config, 7),
            now: Instant::now(),
            wall_ms: WALL_MS,
            datagrams: Vec::new(),
            links: 0,
            inbox: BTreeMap::new(),
            closed: BTreeSet::new(),
        }
    }

    pub fn drain(&mut self) {
        while let Some(output) = self.server.poll() {
            match output {
                Output::Send { link, bytes } => {
                    assert!(!self.closed.contains(&link), "nothing is sent after the closing");
                    let frame = FromServer::decode(&bytes).expect("a frame").expect("a known one");
                    self.inbox.entry(link).or_default().push(frame);
                }
                Output::Close { link } => assert!(self.closed.insert(link), "a link is closed once"),
                Output::Transmit(datagram) => self.datagrams.push(datagram),
            }
        }
    }

    pub fn open(&mut self, query: JoinQuery, token: &str, locality: Locality) -> Result<LinkId, Refusal> {
        let admission = self.server.admit(self.now, self.wall_ms, &query, token, locality)?;
        self.links += 1;
        let link = LinkId(self.links);
        self.server.handle(self.now, self.wall_ms, Input::Opened { link, admission });
        self.drain();
        Ok(link)
    }

    /// Joins and takes the welcome out of the inbox.
    fn join(&mut self, query: JoinQuery, token: &str) -> (LinkId, proto::JoinResponse) {
        let inline = query.inline_data;
        let link = self.open(query, token, Locality::Remote).expect("admitted");
        let mut frames = self.take(link);
        let join = match frames.remove(0) {
            FromServer::Welcome(join) if inline => join,
            FromServer::Message(Message::Join(join)) if !inline => join,
            other => panic!("no welcome but {other:?}"),
        };
        assert_eq!(frames, []);
        (link, join)
    }

    pub fn publisher(&mut self, data: &str) -> (LinkId, ParticipantInfo) {
        let (link, join) = self.join(ours(), &classic(Role::Publisher, data));
        (link, join.participant.expect("a participant"))
    }

    pub fn take(&mut self, link: LinkId) -> Vec<FromServer> {
        self.inbox.remove(&link).unwrap_or_default()
    }

    pub fn say(&mut self, link: LinkId, frame: FromClient) {
        self.bytes(link, frame.encode());
    }

    pub fn bytes(&mut self, link: LinkId, bytes: Vec<u8>) {
        self.server.handle(self.now, self.wall_ms, Input::Frame { link, bytes });
        self.drain();
    }

    fn cut(&mut self, link: LinkId) {
        self.server.handle(self.now, self.wall_ms, Input::Closed { link });
        self.drain();
    }

    fn call(&mut self, call: Call) -> Result<Answer, CallError> {
        let answer = self.server.call(self.now, self.wall_ms, call);
        self.drain();
        answer
    }

    /// Lets time pass; the links named here send their pings meanwhile.
    fn pass(&mut self, time: Duration, alive: &[LinkId]) {
        let end = self.now + time;
        let mut ping = self.now + PING_INTERVAL;
        loop {
            let due = self.server.poll_timeout().into_iter().chain([ping]).min().filter(|due| *due <= end);
            let Some(due) = due else { break };
            self.wall_ms += i64::try_from((due - self.now).as_millis()).expect("a short time");
            self.now = due;
            if due == ping {
                ping += PING_INTERVAL;
                for link in alive {
                    self.server.handle(
                        self.now,
                        self.wall_ms,
                        Input::Frame { link: *link, bytes: FromClient::Message(Ask::Ping(1)).encode() },
                    );
                }
            }
            self.server.handle_timeout(self.now);
            self.drain();
        }
        self.wall_ms += i64::try_from((end - self.now).as_millis()).expect("a short time");
        self.now = end;
    }

    /// What the link was told of participants, and nothing else.
    pub fn updates(&mut self, link: LinkId) -> Vec<(String, State, DisconnectReason)> {
        let mut seen = Vec::new();
        for frame in self.take(link) {
            match frame {
                FromServer::Message(Message::Update(update)) => {
                    for info in update.participants {
                        seen.push((info.sid.clone(), info.state(), info.disconnect_reason()));
                    }
                }
                FromServer::Message(Message::Pong(_)) => {}
                other => panic!("unexpected {other:?}"),
            }
        }
        seen
    }

    pub fn texts(&mut self, link: LinkId) -> Vec<String> {
        let read = |frame| match frame {
            FromServer::Data(packet) => signals::read(&packet).map(|signal| signal.data),
            _ => None,
        };
        self.take(link).into_iter().filter_map(read).collect()
    }

    fn left(&mut self, link: LinkId) -> Option<(DisconnectReason, Action)> {
        assert!(self.closed.contains(&link));
        match self.take(link).pop()? {
            FromServer::Message(Message::Leave(leave)) => Some((leave.reason(), leave.action())),
            other => panic!("no farewell but {other:?}"),
        }
    }
}

pub(super) fn active(info: &ParticipantInfo) -> (String, State, DisconnectReason) {
    (info.sid.clone(), State::Active, DisconnectReason::UnknownReason)
}

pub(super) fn gone(info: &ParticipantInfo, reason: DisconnectReason) -> (String, State, DisconnectReason) {
    (info.sid.clone(), State::Disconnected, reason)
}

pub(super) fn leave() -> FromClient {
    FromClient::Message(Ask::Leave(LeaveRequest::default()))
}

#[test]
fn a_newcomer_learns_of_everybody_and_everybody_of_the_newcomer() {
    let mut world = World::new();
    let (first, alice) = world.publisher("alice");
    let (second, join) = world.join(ours(), &classic(Role::Publisher, "bob"));
    let bob = join.participant.clone().expect("a participant");
    assert_eq!(join.other_participants, std::slice::from_ref(&alice));
    assert_eq!(world.updates(first), [active(&bob)]);
    assert_eq!(world.updates(second), []);
    assert_eq!((alice.metadata.as_str(), bob.metadata.as_str()), ("alice", "bob"));
    assert_eq!((alice.joined_at, alice.joined_at_ms), (WALL_MS / 1000, WALL_MS));
    assert_eq!(join.room.expect("a room").name, ROOM);
    assert_eq!((join.ping_interval, join.ping_timeout), (5, 15));
}

#[test]
fn who_says_farewell_is_gone_at_once() {
    let mut world = World::new();
    let (first, _) = world.publisher("alice");
    let (second, bob) = world.publisher("bob");
    world.updates(first);
    world.say(second, leave());
    assert_eq!(world.updates(first), [gone(&bob, DisconnectReason::ClientInitiated)]);
    assert!(world.closed.contains(&second));
    world.cut(second);
    world.say(second, signal("from beyond", &[]));
    assert_eq!(world.updates(first), []);
}

#[test]
fn each_connect_with_one_token_is_a_connection_of_its_own() {
    let mut world = World::new();
    let token = livekit("robot");
    let (first, one) = world.join(ours(), &token);
    let (_, other) = world.join(ours(), &token);
    let (one, other) = (one.participant.expect("one"), other.participant.expect("another"));
    assert_eq!(one.identity, "robot");
    assert_eq!(other.identity, format!("robot-{}", other.sid));
    assert_eq!(world.updates(first), [active(&other)]);
    let (_, classic) = world.publisher("x");
    assert_eq!(classic.identity, classic.sid);
}

#[test]
fn a_second_livekit_client_of_an_identity_ends_the_first() {
    let mut world = World::new();
    let (watcher, _) = world.publisher("watcher");
    let (first, one) = world.join(theirs(), &livekit("robot"));
    let (_, other) = world.join(theirs(), &livekit("robot"));
    assert_eq!(world.left(first), Some((DisconnectReason::DuplicateIdentity, Action::Disconnect)));
    let (one, other) = (one.participant.expect("one"), other.participant.expect("another"));
    let expected = [active(&one), gone(&one, DisconnectReason::DuplicateIdentity), active(&other)];
    assert_eq!(world.updates(watcher), expected);
}

#[test]
fn packets_reach_everybody_else_in_order_and_never_their_sender() {
    let mut world = World::new();
    let (first, _) = world.publisher("alice");
    let (second, _) = world.publisher("bob");
    let (third, _) = world.publisher("carol");
    for number in 0..20 {
        world.say(first, signal(&number.to_string(), &[]));
    }
    let expected: Vec<String> = (0..20).map(|number| number.to_string()).collect();
    assert_eq!(world.texts(second), expected);
    assert_eq!(world.texts(third), expected);
    assert_eq!(world.texts(first), [""; 0]);
}

#[test]
#[allow(deprecated)]
fn a_packet_is_from_who_sent_it_whatever_it_says() {
    let mut world = World::new();
    let (first, alice) = world.publisher("alice");
    let (second, bob) = world.publisher("bob");
    let mut packet = signals::packet("chat", "hello", Vec::new());
    packet.participant_sid.clone_from(&bob.sid);
    packet.participant_identity.clone_from(&bob.identity);
    if let Some(proto::data_packet::Value::User(user)) = &mut packet.value {
        user.participant_sid.clone_from(&bob.sid);
        user.participant_identity.clone_from(&bob.identity);
    }
    world.say(first, FromClient::Data(packet));
    let frames = world.take(second);
    let [FromServer::Data(DataPacket { participant_sid, participant_identity, value, .. })] =
        frames.as_slice()
    else {
        panic!("one packet, not {frames:?}")
    };
    assert_eq!((participant_sid, participant_identity), (&alice.sid, &alice.identity));
    let Some(proto::data_packet::Value::User(user)) = value else { panic!("a user packet") };
    assert_eq!((&user.participant_sid, &user.participant_identity), (&alice.sid, &alice.identity));
}

#[test]
#[allow(deprecated)]
fn a_packet_with_a_destination_reaches_only_that() {
    let mut world = World::new();
    let (first, _) = world.publisher("alice");
    let (second, bob) = world.publisher("bob");
    let (third, _) = world.publisher("carol");
    world.say(first, signal("by identity", &[&bob.identity]));
    let mut packet = signals::packet("chat", "by sid", Vec::new());
    if let Some(proto::data_packet::Value::User(user)) = &mut packet.value {
        user.destination_sids.push(bob.sid);
    }
    world.say(first, FromClient::Data(packet));
    world.say(first, signal("to nobody", &["nobody"]));
    assert_eq!(world.texts(second), ["by identity", "by sid"]);
    assert_eq!(world.texts(third), [""; 0]);
}

#[test]
fn a_subscriber_may_not_signal_and_nobody_may_flood() {
    let mut world = World::new();
    let (first, _) = world.publisher("alice");
    let (silent, join) = world.join(ours(), &classic(Role::Subscriber, ""));
    let permission = join.participant.and_then(|info| info.permission).expect("a permission");
    assert!(permission.can_subscribe && !permission.can_publish && !permission.can_publish_data);
    world.updates(first);
    world.say(silent, signal("psst", &[]));
    world.say(first, signal(&"x".repeat(DATA_SIZE_MAX), &[]));
    assert_eq!(world.take(first), []);
    assert_eq!(world.take(silent), []);
    let counters = world.server.counters();
    assert_eq!((counters.data_not_allowed, counters.data_too_large), (1, 1));
}

#[test]
fn who_resumes_finds_the_roster_and_what_was_said_meanwhile() {
    let mut world = World::new();
    let (first, alice) = world.publisher("alice");
    let token = classic(Role::Publisher, "bob");
    let (second, bob) = world.publisher("bob");
    world.updates(first);
    world.cut(second);
    world.say(first, signal("one", &[]));
    world.pass(Duration::from_secs(14), &[first]);
    world.say(first, signal("two", &[]));
    let link = world.open(resuming(&bob.sid), &token, Locality::Remote).expect("admitted");
    assert_eq!(world.updates(first), [], "nobody is told of an absence that ended in time");
    let frames = world.take(link);
    let [FromServer::Message(Message::Reconnect(_)), FromServer::Message(Message::Update(roster)), ..] =
        frames.as_slice()
    else {
        panic!("no resumption: {frames:?}")
    };
    let sids: Vec<&str> = roster.participants.iter().map(|info| info.sid.as_str()).collect();
    assert_eq!(sids, [alice.sid.as_str(), bob.sid.as_str()]);
    assert!(matches!(frames[2], FromServer::Message(Message::RoomUpdate(_))));
    world.inbox.insert(link, frames);
    assert_eq!(world.texts(link), ["one", "two"]);
    world.say(first, signal("three", &[]));
    assert_eq!(world.texts(link), ["three"]);
}

#[test]
fn a_new_link_takes_over_from_one_that_still_seems_open() {
    let mut world = World::new();
    let (first, bob) = world.publisher("bob");
    let link =
        world.open(resuming(&bob.sid), &classic(Role::Publisher, "bob"), Locality::Remote).expect("admitted");
    assert!(world.closed.contains(&first));
    world.cut(first);
    world.pass(Duration::from_secs(60), &[link]);
    assert!(!world.closed.contains(&link));
    assert_eq!(world.server.links(), 1);
}

#[test]
fn a_session_resumes_after_its_token_has_expired_but_none_begins() {
    let mut world = World::new();
    let (_, bob) = world.publisher("bob");
    let token = classic(Role::Publisher, "bob");
    world.wall_ms += 24 * 3600 * 1000;
    assert_eq!(world.open(ours(), &token, Locality::Remote).map_err(|refusal| refusal.status), Err(401));
    assert!(world.open(resuming(&bob.sid), &token, Locality::Remote).is_ok());
}

#[test]
fn a_sid_is_resumed_only_with_its_own_token() {
    let mut world = World::new();
    let (first, bob) = world.publisher("bob");
    for (sid, token) in [(bob.sid.as_str(), classic(Role::Publisher, "eve")), ("PA_unknown", livekit("bob"))]
    {
        let link = world.open(resuming(sid), &token, Locality::Remote).expect("admitted");
        assert_eq!(world.left(link), Some((DisconnectReason::StateMismatch, Action::Reconnect)));
    }
    assert!(!world.closed.contains(&first));
}

#[test]
fn who_stays_away_is_gone_after_a_while_and_sooner_on_the_local_socket() {
    for (locality, hold) in [(Locality::Remote, RESUME_HOLD_REMOTE), (Locality::Local, RESUME_HOLD_LOCAL)] {
        let mut world = World::new();
        let (first, _) = world.publisher("alice");
        let second = world.open(ours(), &classic(Role::Publisher, "bob"), locality).expect("admitted");
        let bob = world.updates(first)[0].0.clone();
        world.cut(second);
        world.pass(hold - Duration::from_millis(1), &[first]);
        assert_eq!(world.updates(first), []);
        world.pass(Duration::from_millis(1), &[first]);
        assert_eq!(world.updates(first), [(bob, State::Disconnected, DisconnectReason::SignalClose)]);
    }
}

#[test]
fn a_link_without_pings_is_cut_and_its_participant_held() {
    let mut world = World::new();
    let (first, _) = world.publisher("alice");
    let (second, bob) = world.publisher("bob");
    world.updates(first);
    world.pass(PING_TIMEOUT, &[first]);
    assert!(world.closed.contains(&second) && !world.closed.contains(&first));
    assert_eq!(world.updates(first), []);
    world.pass(RESUME_HOLD_REMOTE, &[first]);
    assert_eq!(world.updates(first), [gone(&bob, DisconnectReason::ConnectionTimeout)]);
}

#[test]
fn a_kept_sid_is_granted_on_a_server_that_does_not_know_it() {
    let mut world = World::new();
    let (_, join) = world.join(keeping("PA_before"), &classic(Role::Publisher, "bob"));
    let bob = join.participant.expect("a participant");
    assert_eq!((bob.sid.as_str(), bob.joined_at_ms), ("PA_before", WALL_MS - 5000));
    for sid in ["PA_", "bob", "PA_with space", &format!("PA_{}", "x".repeat(100))] {
        let (_, join) = world.join(keeping(sid), &classic(Role::Publisher, "bob"));
        assert_ne!(join.participant.expect("a participant").sid, sid);
    }
}

#[test]
fn a_kept_sid_in_use_is_not_granted_to_another() {
    let mut world = World::new();
    let (first, bob) = world.publisher("bob");
    let (_, join) = world.join(keeping(&bob.sid), &classic(Role::Publisher, "bob"));
    assert_ne!(join.participant.expect("a participant").sid, bob.sid, "its link is alive");
    world.cut(first);
    let (_, join) = world.join(keeping(&bob.sid), &classic(Role::Publisher, "eve"));
    assert_ne!(join.participant.expect("a participant").sid, bob.sid, "another token");
}

#[test]
fn a_kept_sid_whose_link_is_lost_is_taken_over_in_silence() {
    for is_cut in [true, false] {
        let mut world = World::new();
        let (first, _) = world.publisher("alice");
        let (second, bob) = world.publisher("bob");
        world.updates(first);
        if is_cut {
            world.cut(second);
        } else {
            world.pass(STALE_AFTER, &[first]);
        }
        world.say(first, signal("meanwhile", &[]));
        let link = world
            .open(keeping(&bob.sid), &classic(Role::Publisher, "bob"), Locality::Remote)
            .expect("admitted");
        assert_eq!(world.updates(first), []);
        let frames = world.take(link);
        let FromServer::Welcome(join) = &frames[0] else { panic!("no welcome: {frames:?}") };
        assert_eq!(join.participant.as_ref().map(|info| &info.sid), Some(&bob.sid));
        assert_eq!(frames.len(), 1 + usize::from(is_cut), "what was queued, and nothing else: {frames:?}");
        assert_eq!(world.server.links(), 2);
    }
}

#[test]
fn a_full_session_refuses_newcomers_and_takes_back_its_own() {
    let mut world =
        World::with(Config { secrets: secrets(), connections_max: Some(2), ..Default::default() });
    let (_, _) = world.publisher("alice");
    let (second, bob) = world.publisher("bob");
    let refusal =
        world.open(ours(), &classic(Role::Publisher, "carol"), Locality::Remote).expect_err("refused");
    assert_eq!(refusal.status, 429);
    world.cut(second);
    assert!(world.open(resuming(&bob.sid), &classic(Role::Publisher, "bob"), Locality::Remote).is_ok());
    assert!(world.open(ours(), &classic(Role::Publisher, "carol"), Locality::Remote).is_err());
}

#[test]
fn two_that_were_admitted_to_the_last_place_do_not_both_get_it() {
    let mut world =
        World::with(Config { secrets: secrets(), connections_max: Some(1), ..Default::default() });
    let token = classic(Role::Publisher, "");
    let admit = |world: &World| {
        world.server.admit(world.now, WALL_MS, &ours(), &token, Locality::Remote).expect("room")
    };
    for (link, admission) in [(1, admit(&world)), (2, admit(&world))] {
        world.server.handle(world.now, WALL_MS, Input::Opened { link: LinkId(link), admission });
    }
    world.drain();
    assert_eq!(world.left(LinkId(2)), Some((DisconnectReason::JoinFailure, Action::Disconnect)));
    assert!(!world.closed.contains(&LinkId(1)));
}

#[test]
fn refusals_have_a_status_and_a_sentence() {
    let world = World::new();
    let ask = |query: &JoinQuery, token: &str, locality| {
        world.server.admit(world.now, WALL_MS, query, token, locality).map(|_| ()).expect_err("refused")
    };
    let good = classic(Role::Publisher, "");
    let long = JoinQuery { room: Some("x".repeat(256)), ..ours() };
    let elsewhere = JoinQuery { room: Some("2_other".into()), ..ours() };
    let foreign = JoinQuery { api_key: Some("456".into()), ..ours() };
    for (query, token, status) in [
        (&ours(), "", 401),
        (&ours(), "T1==nonsense", 401),
        (&elsewhere, good.as_str(), 401),
        (&foreign, good.as_str(), 401),
        (&long, good.as_str(), 404),
    ] {
        for locality in [Locality::Local, Locality::Remote] {
            let refusal = ask(query, token, locality);
            assert_eq!(refusal.status, status, "{}", refusal.text);
            assert!(refusal.text.ends_with('.') && !refusal.text.contains("T1=="), "{}", refusal.text);
        }
    }
}

#[test]
fn only_the_local_socket_takes_a_token_at_its_word() {
    let world = World::with(Config::default());
    let token = classic(Role::Publisher, "");
    let ask = |locality| world.server.admit(world.now, WALL_MS, &ours(), &token, locality).map(|_| ());
    assert_eq!(ask(Locality::Remote).map_err(|refusal| refusal.status), Err(401));
    assert_eq!(ask(Locality::Local), Ok(()));
}

#[test]
fn garbage_cuts_its_own_link_and_disturbs_nobody() {
    let mut world = World::new();
    let (first, _) = world.publisher("alice");
    let (second, bob) = world.publisher("bob");
    world.updates(first);
    world.bytes(second, b"GET / HTTP/1.1\r\n\r\n".to_vec());
    assert!(world.closed.contains(&second) && !world.closed.contains(&first));
    assert_eq!(world.updates(first), []);
    world.bytes(LinkId(99), vec![0xff; 100]);
    world.cut(LinkId(99));
    assert!(world.open(resuming(&bob.sid), &classic(Role::Publisher, "bob"), Locality::Remote).is_ok());
    world.bytes(first, Vec::new());
    assert!(!world.closed.contains(&first), "an empty message is one of a newer protocol");
}

#[test]
fn pings_of_both_ages_are_answered() {
    let mut world = World::new();
    let (first, _) = world.publisher("alice");
    world.say(first, FromClient::Message(Ask::Ping(5)));
    world.say(first, FromClient::Message(Ask::PingReq(proto::Ping { timestamp: 6, rtt: 0 })));
    let pong = proto::Pong { last_ping_timestamp: 6, timestamp: WALL_MS };
    let expected = [FromServer::Message(Message::Pong(5)), FromServer::Message(Message::PongResp(pong))];
    assert_eq!(world.take(first), expected);
}

#[test]
fn own_metadata_changes_only_with_the_permission_to() {
    let mut world = World::new();
    let (first, alice) = world.publisher("alice");
    let (second, _) = world.publisher("bob");
    world.updates(first);
    let wish = || {
        let wanted =
            proto::UpdateParticipantMetadata { metadata: "new".into(), request_id: 3, ..Default::default() };
        FromClient::Message(Ask::UpdateMetadata(wanted))
    };
    let reason = |frames: Vec<FromServer>| match frames.last() {
        Some(FromServer::Message(Message::RequestResponse(response))) => {
            assert_eq!(response.request_id, 3);
            response.reason()
        }
        other => panic!("no response but {other:?}"),
    };
    world.say(first, wish());
    assert_eq!(reason(world.take(first)), Reason::NotAllowed);
    assert_eq!(world.take(second), []);
    let permission =
        proto::ParticipantPermission { can_update_metadata: true, ..alice.permission.expect("one") };
    let request = proto::UpdateParticipantRequest {
        room: ROOM.into(),
        identity: alice.identity,
        permission: Some(permission),
        ..Default::default()
    };
    world.call(Call::UpdateParticipant(request)).expect("updated");
    world.take(first);
    world.take(second);
    world.say(first, wish());
    assert_eq!(reason(world.take(first)), Reason::Ok);
    let [FromServer::Message(Message::Update(update))] = &world.take(second)[..] else { panic!("no update") };
    assert_eq!(update.participants[0].metadata, "new");
    assert!(update.participants[0].version > alice.version);
}

#[test]
fn the_room_service_removes_lists_and_speaks() {
    let mut world = World::new();
    let (first, alice) = world.publisher("alice");
    let (second, bob) = world.publisher("bob");
    world.updates(first);
    let listed = world.call(Call::ListParticipants(proto::ListParticipantsRequest { room: ROOM.into() }));
    assert_eq!(listed, Ok(Answer::Participants(vec![alice.clone(), bob.clone()])));
    let send = proto::SendDataRequest { room: ROOM.into(), data: b"all".to_vec(), ..Default::default() };
    world.call(Call::SendData(send)).expect("sent");
    let frames = world.take(first);
    let [FromServer::Data(packet)] = frames.as_slice() else { panic!("one packet, not {frames:?}") };
    assert_eq!(signals::read(packet).map(|read| (read.data, read.sender_sid)), Some(("all".into(), None)));
    world.take(second);
    let who = |identity: &str| proto::RoomParticipantIdentity {
        room: ROOM.into(),
        identity: identity.into(),
        revoke_token_ts: 0,
    };
    world.call(Call::RemoveParticipant(who(&bob.identity))).expect("removed");
    assert_eq!(world.left(second), Some((DisconnectReason::ParticipantRemoved, Action::Disconnect)));
    assert_eq!(world.updates(first), [gone(&bob, DisconnectReason::ParticipantRemoved)]);
    assert_eq!(world.call(Call::GetParticipant(who("bob"))), Err(CallError::ParticipantNotFound));
    let metadata = proto::UpdateRoomMetadataRequest { room: ROOM.into(), metadata: "topic".into() };
    world.call(Call::UpdateRoomMetadata(metadata)).expect("updated");
    let [FromServer::Message(Message::RoomUpdate(update))] = &world.take(first)[..] else {
        panic!("no update")
    };
    assert_eq!(update.room.as_ref().map(|room| room.metadata.as_str()), Some("topic"));
    world.call(Call::DeleteRoom(proto::DeleteRoomRequest { room: ROOM.into() })).expect("deleted");
    assert_eq!(world.left(first), Some((DisconnectReason::RoomDeleted, Action::Disconnect)));
    assert_eq!(world.call(Call::ListRooms(Default::default())), Ok(Answer::Rooms(Vec::new())));
}

#[test]
fn an_empty_room_vanishes_and_a_created_one_waits_for_somebody() {
    let mut world = World::new();
    let request = proto::CreateRoomRequest {
        name: ROOM.into(),
        empty_timeout: 100,
        max_participants: 1,
        ..Default::default()
    };
    world.call(Call::CreateRoom(Box::new(request))).expect("created");
    world.pass(Duration::from_secs(99), &[]);
    let (first, _) = world.publisher("alice");
    assert!(world.open(ours(), &classic(Role::Publisher, ""), Locality::Remote).is_err(), "it has one place");
    world.pass(Duration::from_secs(60), &[first]);
    assert_eq!(world.server.rooms.len(), 1, "somebody is in it");
    world.say(first, leave());
    world.pass(Duration::from_secs(99), &[]);
    assert_eq!(world.server.rooms.len(), 1);
    world.pass(Duration::from_secs(1), &[]);
    assert_eq!(world.server.rooms.len(), 0);
    assert_eq!(world.server.poll_timeout(), None);
}

#[test]
fn who_comes_and_goes_leaves_no_deadline_behind() {
    let mut world = World::new();
    let (mut stays, _) = world.publisher("alice");
    for _ in 0..10 {
        let (goes, _) = world.publisher("bob");
        world.say(goes, leave());
        assert_eq!(world.server.shared.timers.len(), 1, "alice's");
    }
    for _ in 0..10 {
        world.say(stays, leave());
        assert_eq!(world.server.shared.timers.len(), 1, "the empty room's");
        (stays, _) = world.publisher("alice");
        assert_eq!(world.server.shared.timers.len(), 1, "alice's");
    }
}

#[test]
fn a_shutdown_sends_everybody_elsewhere_and_lets_nobody_in() {
    let mut world = World::new();
    let (first, _) = world.publisher("alice");
    let (second, _) = world.join(theirs(), &livekit("robot"));
    world.take(first);
    world.server.shutdown(world.now);
    world.drain();
    for link in [first, second] {
        assert_eq!(world.left(link), Some((DisconnectReason::ServerShutdown, Action::Reconnect)));
    }
    let refused = world.open(ours(), &livekit("late"), Locality::Remote).map_err(|refusal| refusal.status);
    assert_eq!(refused, Err(503));
}

#[test]
fn the_same_inputs_with_the_same_seed_give_the_same_outputs() {
    let run = || {
        let mut world = World::new();
        let (first, alice) = world.publisher("alice");
        let (second, bob) = world.publisher("bob");
        world.cut(second);
        world.say(first, signal("x", &[&bob.identity]));
        world.pass(Duration::from_secs(30), &[first]);
        (alice, bob, world.take(first))
    };
    assert_eq!(run(), run());
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_the_server_panic(bytes: Vec<u8>, sid: String, created: i64) {
        let mut world = World::new();
        let (first, _) = world.publisher("alice");
        let query = JoinQuery { keep_sid: Some(sid), keep_created_ms: Some(created), ..ours() };
        let second = world.open(query, &classic(Role::Publisher, ""), Locality::Local).expect("admitted");
        world.bytes(second, bytes);
        world.say(first, signal("still here", &[]));
        assert!(!world.closed.contains(&first));
    }
}
