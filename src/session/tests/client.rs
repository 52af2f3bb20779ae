//! A client of the core on made-up time, and what its server says.

use super::*;

/// A core, its clock, and what came out of it.
pub(super) struct Client {
    pub(super) core: Core,
    pub(super) now: Instant,
    pub(super) events: Vec<Event>,
    pub(super) dials: Vec<crate::signal::join::JoinQuery>,
    /// Where each of them went, and with which token.
    pub(super) dialled: Vec<(Option<String>, String)>,
    pub(super) sent: Vec<FromClient>,
    pub(super) calls: Vec<Call>,
    /// Where each of them went.
    pub(super) called: Vec<Option<String>>,
    pub(super) transmitted: Vec<crate::rtc::Datagram>,
    pub(super) media: Vec<(media::SubscriptionId, media::Incoming)>,
    pub(super) hung_up: usize,
    pub(super) cut: usize,
    /// How often sockets were asked for, whereto again, and which TURN servers; whether alone, and for whom.
    pub(super) opened: usize,
    pub(super) renewed: Vec<Reach>,
    pub(super) looked_for: Vec<(Vec<ice::TurnServer>, bool, Vec<Way>)>,
    /// The streams that were asked for, and where those began that were given up.
    pub(super) streams: Vec<(Way, std::net::SocketAddr)>,
    pub(super) closed: Vec<std::net::SocketAddr>,
}

impl Client {
    pub(super) fn new(config: Config) -> Self {
        let (events, dials, sent, calls, transmitted) = Default::default();
        let (media, looked_for, dialled, called, streams, closed, renewed) = Default::default();
        let (hung_up, cut, opened) = Default::default();
        let (core, now) = (Core::new(config), Instant::now());
        let mut client = Self {
            core,
            now,
            events,
            dials,
            dialled,
            sent,
            calls,
            called,
            transmitted,
            media,
            hung_up,
            cut,
            opened,
            renewed,
            looked_for,
            streams,
            closed,
        };
        client.input(Input::Connect);
        client
    }

    pub(super) fn connecting() -> Self {
        Self::new(config())
    }

    pub(super) fn connected() -> Self {
        let mut client = Self::connecting();
        client.input(Input::LinkOpened);
        client.server(FromServer::Welcome(welcome(&[])));
        assert_eq!(client.heard().len(), 1);
        client
    }

    pub(super) fn input(&mut self, input: Input) {
        self.core.handle(self.now, input);
        self.collect();
    }

    pub(super) fn server(&mut self, frame: FromServer) {
        self.input(Input::Frame(frame.encode()));
    }

    pub(super) fn message(&mut self, message: Message) {
        self.server(FromServer::Message(message));
    }

    pub(super) fn leave(&mut self, reason: DisconnectReason, action: Action) {
        let leave = LeaveRequest { reason: reason as i32, action: action as i32, ..Default::default() };
        self.message(Message::Leave(leave));
    }

    pub(super) fn update(&mut self, participants: Vec<ParticipantInfo>) {
        self.message(Message::Update(ParticipantUpdate { participants }));
    }

    pub(super) fn collect(&mut self) {
        while let Some(output) = self.core.poll() {
            match output {
                Output::Event(event) => self.events.push(event),
                Output::Dial { query, token, address } => {
                    self.dials.push(query);
                    self.dialled.push((address, token));
                }
                Output::Send(bytes) => self.sent.extend(FromClient::decode(&bytes).expect("a message")),
                Output::HangUp => self.hung_up += 1,
                Output::Cut => self.cut += 1,
                Output::Call { call, address, .. } => {
                    self.calls.push(call);
                    self.called.push(address);
                }
                Output::Transmit(datagram) => self.transmitted.push(datagram),
                Output::OpenSockets(_) => self.opened += 1,
                Output::RenewSockets(reach) => self.renewed.push(reach),
                Output::FindRelays { servers, ways, alone } => self.looked_for.push((servers, alone, ways)),
                Output::OpenStream { way, remote } => self.streams.push((way, remote)),
                Output::CloseStream(local) => self.closed.push(local),
                Output::Media { id, packet } => self.media.push((id, packet)),
            }
        }
    }

    /// Time passes, timers fire.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.core.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.core.handle_timeout(self.now);
            self.collect();
        }
        self.now = end;
    }

    /// What was said since the last call.
    pub(super) fn heard(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    pub(super) fn ending(&mut self) -> Ending {
        match self.heard().pop() {
            Some(Event::Ended(ending)) => ending,
            other => panic!("no end: {other:?}"),
        }
    }

    pub(super) fn reason(&mut self) -> Reason {
        match self.ending() {
            Ending::Failed(fault) | Ending::Lost(fault) => fault.reason,
            other => panic!("no error: {other:?}"),
        }
    }
}

pub(super) fn config() -> Config {
    Config { session_id: "room".into(), api_key: "key".into(), token: "token".into(), ..Config::default() }
}

pub(super) fn participant(name: &str) -> ParticipantInfo {
    ParticipantInfo {
        sid: format!("PA_{name}"),
        identity: name.into(),
        metadata: format!("data of {name}"),
        state: participant_info::State::Active as i32,
        joined_at: 1_700_000_000,
        ..Default::default()
    }
}

pub(super) fn gone(name: &str) -> ParticipantInfo {
    ParticipantInfo { state: participant_info::State::Disconnected as i32, ..participant(name) }
}

pub(super) fn track(sid: &str, source: TrackSource) -> TrackInfo {
    let kind = if source == TrackSource::Microphone { TrackType::Audio } else { TrackType::Video };
    TrackInfo { sid: sid.into(), source: source as i32, r#type: kind as i32, ..Default::default() }
}

pub(super) fn welcome(others: &[&str]) -> JoinResponse {
    JoinResponse {
        participant: Some(participant("me")),
        other_participants: others.iter().map(|name| participant(name)).collect(),
        ping_interval: 5,
        ping_timeout: 15,
        ..Default::default()
    }
}

pub(super) fn removal(connection_id: String) -> Input {
    Input::Moderate(Moderation::Remove { connection_id })
}

pub(super) fn signal(kind: &str, target: Target) -> Input {
    Input::Signal(Signal { kind: kind.into(), data: "data".into(), target, retry_after_reconnect: true })
}

/// The kinds of events, in order, as short words.
pub(super) fn words(events: &[Event]) -> Vec<String> {
    events
        .iter()
        .map(|event| match event {
            Event::Connected { .. } => "connected".into(),
            Event::ConnectionCreated(connection) => format!("created {}", connection.identity),
            Event::ConnectionDropped(connection) => format!("dropped {}", connection.identity),
            Event::StreamReceived(stream) => format!("received {}", stream.id),
            Event::StreamDropped(stream) => format!("lost {}", stream.id),
            Event::SignalReceived { kind, .. } => format!("signal {kind}"),
            Event::Moved { connection, .. } => format!("moved {}", connection.id),
            Event::ArchiveStarted { id, .. } => format!("archive {id}"),
            Event::ArchiveStopped { id } => format!("no archive {id}"),
            Event::ReconnectionStarted => "reconnecting".into(),
            Event::Reconnected { .. } => "reconnected".into(),
            other => format!("{other:?}"),
        })
        .collect()
}
