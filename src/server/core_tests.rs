//! The core on made-up time: links that exist only here. The tests lie beside this by topic; this is what they share.

mod admission;
mod calls;
mod coming;
mod life;
mod packets;
mod requests;
mod returning;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::config::*;
use super::media::allocate;
use super::room::Room;
use super::service::{Answer, Call, CallError};
use super::shared::Seat;
use super::*;
use crate::rtc::Datagram;
use crate::signal::frame::{FRAME_SIZE_MAX, FromClient, FromServer};
use crate::signal::join::{JoinQuery, PROTOCOL};
use crate::signal::proto::participant_info::{Kind, State};
use crate::signal::proto::signal_request::Message as Ask;
use crate::signal::proto::signal_response::Message;
use crate::signal::proto::{
    self, DataPacket, DisconnectReason, LeaveRequest, ParticipantInfo, leave_request::Action,
};
use crate::signal::token::{self, Grants, Order, Role, Secrets};
use crate::signal::{proto::request_response::Reason, signals};

const KEY: &str = "123";
const SECRET: &str = "a secret of the tests";
pub(super) const ROOM: &str = "1_room";
const SEED: u64 = 7;
const WALL_MS: i64 = 1_700_000_000_000;

pub(super) struct World {
    pub server: Server,
    pub now: Instant,
    pub wall_ms: i64,
    pub datagrams: Vec<Datagram>,
    /// How often the server asked for its sockets.
    pub demands: usize,
    /// It cannot have any.
    pub has_no_sockets: bool,
    links: u64,
    /// How many were opened; the last one has this number.
    pub streams: u64,
    inbox: BTreeMap<LinkId, Vec<FromServer>>,
    pub closed: BTreeSet<LinkId>,
    pub closed_streams: Vec<StreamId>,
}

pub(super) fn secrets() -> Secrets {
    [(KEY, SECRET)].into_iter().collect()
}

pub(super) fn classic(role: Role, data: &str) -> String {
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

pub(super) const GRANTS: Grants = Grants {
    can_publish: true,
    can_subscribe: true,
    can_publish_data: true,
    room_admin: false,
    hidden: false,
    can_update_metadata: false,
    is_recorder: false,
    is_agent: false,
    holder: Kind::Standard,
    sources: token::Sources::All,
};

pub(super) fn livekit(identity: &str) -> String {
    livekit_with(identity, GRANTS)
}

pub(super) fn livekit_with(identity: &str, grants: Grants) -> String {
    let access = token::Access {
        api_key: KEY,
        secret: SECRET,
        room: ROOM,
        identity,
        name: "",
        metadata: "data of livekit",
        grants,
        can_join: true,
        can_create_rooms: false,
        can_list_rooms: false,
        created_s: WALL_MS / 1000,
        expires_s: WALL_MS / 1000 + 3600,
    };
    token::livekit(&access).expect("a token")
}

pub(super) fn ours() -> JoinQuery {
    JoinQuery { protocol: PROTOCOL, inline_data: true, ..Default::default() }
}

pub(super) fn theirs() -> JoinQuery {
    JoinQuery { protocol: 15, auto_subscribe: true, ..Default::default() }
}

pub(super) fn resuming(sid: &str) -> JoinQuery {
    JoinQuery { resume_sid: Some(sid.into()), ..ours() }
}

pub(super) fn keeping(sid: &str) -> JoinQuery {
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
            server: Server::new(config, SEED),
            now: Instant::now(),
            wall_ms: WALL_MS,
            datagrams: Vec::new(),
            demands: 0,
            has_no_sockets: false,
            links: 0,
            streams: 0,
            inbox: BTreeMap::new(),
            closed: BTreeSet::new(),
            closed_streams: Vec::new(),
        }
    }

    pub fn drain(&mut self) {
        while let Some(output) = self.server.poll() {
            match output {
                Output::Send { link, bytes, .. } => {
                    assert!(!self.closed.contains(&link), "nothing is sent after the closing");
                    let frame = FromServer::decode(&bytes).expect("a frame").expect("a known one");
                    self.inbox.entry(link).or_default().push(frame);
                }
                Output::Close { link } => assert!(self.closed.insert(link), "a link is closed once"),
                Output::Transmit(datagram) => self.datagrams.push(datagram),
                Output::CloseStream(stream) => self.closed_streams.push(stream),
                Output::OpenSockets => {
                    self.demands += 1;
                    let mut addresses = vec![SocketAddr::from(([192, 0, 2, 9], 4000))];
                    addresses.retain(|_| !self.has_no_sockets);
                    self.server.handle(self.now, self.wall_ms, Input::SocketsOpened(addresses));
                }
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

    pub fn cut(&mut self, link: LinkId) {
        self.server.handle(self.now, self.wall_ms, Input::Closed { link });
        self.drain();
    }

    pub fn call(&mut self, call: Call) -> Result<Answer, CallError> {
        let answer = self.server.call(self.now, self.wall_ms, call);
        self.drain();
        answer
    }

    /// Lets time pass; the links named here send their pings meanwhile.
    pub fn pass(&mut self, time: Duration, alive: &[LinkId]) {
        let end = self.now + time;
        let mut ping = self.now + PING_INTERVAL;
        loop {
            let due = self.server.poll_timeout().into_iter().chain([ping]).min().filter(|due| *due <= end);
            let Some(due) = due.map(|due| due.max(self.now)) else { break };
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

    /// The seat of a link.
    pub fn key_of(&self, link: LinkId) -> Seat {
        self.server.shared.seats.get(&link).expect("a seat").clone()
    }

    pub fn room_of(&self, link: LinkId) -> &Room {
        &self.server.rooms[&self.key_of(link).room]
    }

    /// A stream to this address, and where it begins.
    pub fn open_stream(&mut self, local: SocketAddr) -> SocketAddr {
        self.streams += 1;
        let port = 50_000 + u16::try_from(self.streams).expect("a short test");
        let remote = SocketAddr::from(([192, 0, 2, 1], port));
        self.handle(Input::StreamOpened { stream: StreamId(self.streams), local, remote });
        remote
    }

    pub fn handle(&mut self, input: Input) {
        self.server.handle(self.now, self.wall_ms, input);
        self.drain();
    }

    /// How many deadlines are set.
    pub fn timers(&self) -> usize {
        self.server.shared.timers.len()
    }

    /// Says what the network of a participant is estimated to carry, in place of its peer connection.
    pub fn estimate(&mut self, seat: &Seat, estimate_bps: u64) {
        let room = self.server.rooms.get_mut(&seat.room).expect("a room");
        allocate::estimated(room, &mut self.server.shared, self.now, seat.key, estimate_bps);
        self.server.settle(self.now);
        self.drain();
    }

    /// What the link was told of participants, and of nothing else but how many there are.
    pub fn updates(&mut self, link: LinkId) -> Vec<(String, State, DisconnectReason)> {
        let mut seen = Vec::new();
        for frame in self.take(link) {
            match frame {
                FromServer::Message(Message::Update(update)) => {
                    for info in update.participants {
                        seen.push((info.sid.clone(), info.state(), info.disconnect_reason()));
                    }
                }
                FromServer::Message(Message::Pong(_) | Message::RoomUpdate(_)) => {}
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

    pub fn left(&mut self, link: LinkId) -> Option<(DisconnectReason, Action)> {
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
