//! A server, some clients, and everything that can go wrong between them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use opentok::rtc::Datagram;
use opentok::server::{self, LinkId, Locality, Server};
use opentok::session::lawful::Deed;
use opentok::session::{Config, Fault, Input, Output, Reason, Signal, Target};
use opentok::signal::join::JoinQuery;
use opentok::signal::proto::{DeleteRoomRequest, RoomParticipantIdentity};
use opentok::signal::token::{Order, Role, Secrets, classic};

use crate::client::Client;
use crate::network::{Agenda, Random};

const CLIENTS: usize = 4;
const SESSION: &str = "1_simulated";
const KEY: &str = "12345";
const SECRET: &str = "not a secret";

/// 2023-11-14, in milliseconds: when the simulation begins.
const EPOCH_MS: i64 = 1_700_000_000_000;

/// What goes wrong, and how often: each number is "once in so many times", 0 is never.
pub struct Weather {
    delay_ms: (u64, u64),
    /// Messages within a link that vanish or come twice. No transport does that; a broken server might.
    lost: u64,
    doubled: u64,
    /// Deeds that break something.
    cut: u64,
    frozen: u64,
    crash: u64,
    killed: u64,
    /// A dial that is never answered.
    black_hole: u64,
    garbage: u64,
    removal: u64,
    /// Data travels through peer connections, as it does with a LiveKit server, and not inside the link.
    peers: bool,
    /// Datagrams that vanish or come twice. That is what a network does.
    datagram_lost: u64,
    datagram_doubled: u64,
}

impl Weather {
    pub fn storm() -> Self {
        Self {
            delay_ms: (0, 400),
            lost: 40,
            doubled: 30,
            cut: 8,
            frozen: 12,
            crash: 25,
            killed: 30,
            black_hole: 8,
            garbage: 200,
            removal: 40,
            peers: false,
            datagram_lost: 0,
            datagram_doubled: 0,
        }
    }

    /// Peer connections on a network that loses, delays and doubles.
    pub fn lossy() -> Self {
        let delay_ms = (5, 60);
        let (datagram_lost, datagram_doubled) = (12, 15);
        Self { delay_ms, peers: true, datagram_lost, datagram_doubled, ..Self::cuts_and_crashes() }
    }

    /// Links and servers break, but what arrives is what was sent.
    pub fn cuts_and_crashes() -> Self {
        Self { lost: 0, doubled: 0, garbage: 0, removal: 0, killed: 0, ..Self::storm() }
    }

    pub fn sunshine() -> Self {
        let delay_ms = (1, 20);
        Self { delay_ms, cut: 0, frozen: 0, crash: 0, black_hole: 0, ..Self::cuts_and_crashes() }
    }
}

/// A signalling connection, or what is left of one.
struct Wire {
    client: usize,
    link: Option<LinkId>,
    /// Nothing arrives any more, and nobody knows.
    is_frozen: bool,
    /// What is sent later does not arrive earlier.
    down_at: Instant,
    up_at: Instant,
}

/// What arrives.
enum Arrival {
    Dialled { wire: u64, query: JoinQuery, token: String },
    Admitted { wire: u64, result: Result<(), Fault> },
    Down { wire: u64, bytes: Vec<u8> },
    DownClosed { wire: u64 },
    Up { wire: u64, bytes: Vec<u8> },
    UpClosed { wire: u64 },
    DatagramUp { client: usize, datagram: Datagram },
    DatagramDown { client: usize, datagram: Datagram },
    Deed,
}

pub struct World {
    random: Random,
    weather: Weather,
    began: Instant,
    now: Instant,
    server: Server,
    clients: Vec<Client>,
    /// The wire each client uses now.
    using: Vec<Option<u64>>,
    wires: BTreeMap<u64, Wire>,
    count: u64,
    agenda: Agenda<Arrival>,
    is_calm: bool,
    heard_before: usize,
}

impl World {
    pub fn new(seed: u64, weather: Weather) -> Self {
        let mut random = Random(seed);
        let now = Instant::now();
        let clients: Vec<Client> = (0..CLIENTS).map(|number| client(&mut random, number)).collect();
        let using = vec![None; clients.len()];
        let server = Server::new(config(), random.next());
        let mut agenda = Agenda::new();
        agenda.put(now, Arrival::Deed);
        Self {
            random,
            weather,
            began: now,
            now,
            server,
            clients,
            using,
            wires: BTreeMap::new(),
            count: 0,
            agenda,
            is_calm: false,
            heard_before: 0,
        }
    }

    /// Time passes; programs do what they please and the weather does what it likes.
    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        for steps in 0.. {
            assert!(steps < 1_000_000, "the simulation does not come to rest");
            let arrival = self.agenda.next_at();
            let client = self.clients.iter().filter_map(|client| client.core.as_ref()?.poll_timeout()).min();
            let server = self.server.poll_timeout();
            let Some(at) = [arrival, client, server].into_iter().flatten().min().filter(|at| *at <= end)
            else {
                break;
            };
            self.now = self.now.max(at);
            self.timeouts();
            if arrival.is_some_and(|arrival| arrival <= self.now)
                && let Some((_, arrival)) = self.agenda.take()
            {
                self.arrive(arrival);
            }
            self.carry_out();
        }
        self.now = end;
    }

    /// Nothing breaks any more. What is frozen stays so until it is given up: messages were lost on it.
    pub fn calm(&mut self, time: Duration) {
        self.is_calm = true;
        self.run(time);
    }

    /// Whoever is connected knows whoever else is.
    pub fn check_rosters(&mut self) {
        let connected = |client: &&Client| client.model.is_connected();
        let ids: Vec<String> = self
            .clients
            .iter()
            .filter(connected)
            .filter_map(|client| client.own_id())
            .map(str::to_owned)
            .collect();
        for client in self.clients.iter().filter(connected).filter(|client| !client.suppressed()) {
            let own = client.own_id().expect("it is connected");
            let mut expected: Vec<&str> = ids.iter().map(String::as_str).filter(|id| *id != own).collect();
            expected.sort_unstable();
            let seen: Vec<&str> = client.others.keys().map(String::as_str).collect();
            assert_eq!(seen, expected, "the roster of {own}:\n{}", client.model.history());
        }
    }

    /// Signals of one sender come in the order in which they were sent, none twice.
    pub fn check_signals(&self) {
        for client in &self.clients {
            for (sender, numbers) in &client.signals {
                let in_order = numbers.windows(2).all(|pair| pair[0] < pair[1]);
                assert!(in_order, "from {sender}: {numbers:?}\n{}", client.model.history());
            }
        }
    }

    pub fn signals_heard(&self) -> usize {
        self.clients.iter().flat_map(|client| client.signals.values()).map(Vec::len).sum()
    }

    /// Every program leaves and hears exactly one end; nothing is left anywhere.
    pub fn everybody_leaves(&mut self) {
        self.is_calm = true;
        for number in 0..self.clients.len() {
            self.leave(number);
        }
        self.carry_out();
        self.run(Duration::from_secs(120));
        for client in &self.clients {
            assert!(client.model.is_at_rest(), "an end is owed:\n{}", client.model.history());
            assert!(client.core.as_ref().is_none_or(|core| core.is_over()));
            assert_eq!(client.core.as_ref().and_then(|core| core.poll_timeout()), None);
        }
        assert_eq!(self.server.links(), 0, "links are left at the server");
    }

    pub fn endings(&self) -> BTreeMap<&'static str, usize> {
        let mut all = BTreeMap::new();
        for (ending, count) in self.clients.iter().flat_map(|client| &client.endings) {
            *all.entry(*ending).or_insert(0) += count;
        }
        all
    }

    fn wall_ms(&self) -> i64 {
        EPOCH_MS + i64::try_from((self.now - self.began).as_millis()).expect("a short simulation")
    }

    fn timeouts(&mut self) {
        for client in &mut self.clients {
            if let Some(core) =
                client.core.as_mut().filter(|core| core.poll_timeout().is_some_and(|at| at <= self.now))
            {
                core.handle_timeout(self.now);
            }
        }
        if self.server.poll_timeout().is_some_and(|at| at <= self.now) {
            self.server.handle_timeout(self.now);
        }
    }

    fn carry_out(&mut self) {
        loop {
            let mut idle = true;
            for number in 0..self.clients.len() {
                while let Some(output) = self.clients[number].poll() {
                    idle = false;
                    self.client_wants(number, output);
                }
            }
            while let Some(output) = self.server.poll() {
                idle = false;
                self.server_wants(output);
            }
            if idle {
                return;
            }
        }
    }

    fn delay(&mut self) -> Duration {
        self.random.millis(self.weather.delay_ms.0, self.weather.delay_ms.1)
    }

    fn client_wants(&mut self, number: usize, output: Output) {
        match output {
            Output::Dial { mut query, token } => {
                query.inline_data &= !self.weather.peers;
                self.count += 1;
                let wire = self.count;
                let is_frozen = !self.is_calm && self.random.one_in(self.weather.black_hole);
                self.wires.insert(
                    wire,
                    Wire { client: number, link: None, is_frozen, down_at: self.now, up_at: self.now },
                );
                self.using[number] = Some(wire);
                let delay = self.delay();
                self.agenda.put(self.now + delay, Arrival::Dialled { wire, query, token });
            }
            Output::Send(bytes) => self.send_up(number, Some(bytes)),
            Output::HangUp | Output::Cut => {
                self.send_up(number, None);
                self.using[number] = None;
            }
            Output::OpenSockets => {
                if let Some(core) = &mut self.clients[number].core {
                    core.handle(self.now, Input::SocketsOpened(vec![address(number)]));
                }
            }
            Output::Transmit(Datagram { local, remote, bytes }) => {
                for at in self.datagram_arrivals() {
                    let datagram = Datagram { local: remote, remote: local, bytes: bytes.clone() };
                    self.agenda.put(at, Arrival::DatagramUp { client: number, datagram });
                }
            }
            Output::Event(_) => {}
        }
    }

    /// When a datagram arrives: not at all, once or twice. Nothing keeps them in order.
    fn datagram_arrivals(&mut self) -> Vec<Instant> {
        let copies = match () {
            () if self.random.one_in(self.weather.datagram_lost) => 0,
            () if self.random.one_in(self.weather.datagram_doubled) => 2,
            () => 1,
        };
        (0..copies).map(|_| self.now + self.delay()).collect()
    }

    fn send_up(&mut self, number: usize, bytes: Option<Vec<u8>>) {
        let Some(wire) = self.using[number] else { return };
        let delay = self.delay();
        let entry = self.wires.get_mut(&wire).expect("a wire in use");
        entry.up_at = entry.up_at.max(self.now + delay);
        let at = entry.up_at;
        match bytes {
            Some(bytes) => self.agenda.put(at, Arrival::Up { wire, bytes }),
            None => self.agenda.put(at, Arrival::UpClosed { wire }),
        }
    }

    fn server_wants(&mut self, output: server::Output) {
        let (link, bytes) = match output {
            server::Output::Send { link, bytes } => (link, Some(bytes)),
            server::Output::Close { link } => (link, None),
            server::Output::Transmit(Datagram { local, remote, bytes }) => {
                let Some(client) = (0..CLIENTS).find(|number| address(*number) == remote) else { return };
                for at in self.datagram_arrivals() {
                    let datagram = Datagram { local: remote, remote: local, bytes: bytes.clone() };
                    self.agenda.put(at, Arrival::DatagramDown { client, datagram });
                }
                return;
            }
        };
        let wire = link.0;
        let delay = self.delay();
        let Some(entry) = self.wires.get_mut(&wire) else { return };
        entry.down_at = entry.down_at.max(self.now + delay);
        let at = entry.down_at;
        match bytes {
            Some(bytes) => {
                if !self.is_calm && self.random.one_in(self.weather.lost) {
                    return;
                }
                if !self.is_calm && self.random.one_in(self.weather.doubled) {
                    self.agenda.put(at, Arrival::Down { wire, bytes: bytes.clone() });
                }
                let garbage = !self.is_calm && self.random.one_in(self.weather.garbage);
                let bytes = if garbage { vec![0xff; 9] } else { bytes };
                self.agenda.put(at, Arrival::Down { wire, bytes });
            }
            None => {
                entry.link = None;
                self.agenda.put(at, Arrival::DownClosed { wire });
                self.server_hears_closing(link);
            }
        }
    }

    fn arrive(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Deed => self.deed(),
            Arrival::Dialled { wire, query, token } => self.dialled(wire, &query, &token),
            Arrival::Admitted { wire, result } => {
                let input = match result {
                    Ok(()) => Input::LinkOpened,
                    Err(fault) => Input::LinkFailed(fault),
                };
                self.down(wire, input);
            }
            Arrival::DatagramUp { client, datagram } => {
                if !self.is_cut_off(client) {
                    let wall_ms = self.wall_ms();
                    self.server.handle(self.now, wall_ms, server::Input::Datagram(datagram));
                }
            }
            Arrival::DatagramDown { client, datagram } => {
                if !self.is_cut_off(client)
                    && let Some(core) = &mut self.clients[client].core
                {
                    core.handle(self.now, Input::Datagram(datagram));
                }
            }
            Arrival::Down { wire, bytes } => self.down(wire, Input::Frame(bytes)),
            Arrival::DownClosed { wire } => {
                self.down(wire, Input::LinkClosed(None));
                let client = self.wires[&wire].client;
                if self.using[client] == Some(wire) {
                    self.using[client] = None;
                }
            }
            Arrival::Up { wire, bytes } => {
                let entry = &self.wires[&wire];
                if let Some(link) = entry.link.filter(|_| !entry.is_frozen) {
                    let wall_ms = self.wall_ms();
                    self.server.handle(self.now, wall_ms, server::Input::Frame { link, bytes });
                }
            }
            Arrival::UpClosed { wire } => {
                let entry = self.wires.get_mut(&wire).expect("a wire");
                if !entry.is_frozen
                    && let Some(link) = entry.link.take()
                {
                    self.server_hears_closing(link);
                }
            }
        }
    }

    /// A frozen link is a network that is gone, and datagrams go the same way.
    fn is_cut_off(&self, client: usize) -> bool {
        self.using[client].is_some_and(|wire| self.wires[&wire].is_frozen)
    }

    fn server_hears_closing(&mut self, link: LinkId) {
        let wall_ms = self.wall_ms();
        self.server.handle(self.now, wall_ms, server::Input::Closed { link });
    }

    /// Gives it to the client, if that still uses this wire.
    fn down(&mut self, wire: u64, input: Input) {
        let entry = &self.wires[&wire];
        if entry.is_frozen || self.using[entry.client] != Some(wire) {
            return;
        }
        if let Some(core) = &mut self.clients[entry.client].core {
            core.handle(self.now, input);
        }
    }

    fn dialled(&mut self, wire: u64, query: &JoinQuery, token: &str) {
        let client = self.wires[&wire].client;
        if self.wires[&wire].is_frozen || self.using[client] != Some(wire) {
            return;
        }
        let wall_ms = self.wall_ms();
        let result = match self.server.admit(self.now, wall_ms, query, token, Locality::Remote) {
            Ok(admission) => {
                let link = LinkId(wire);
                self.wires.get_mut(&wire).expect("a wire").link = Some(link);
                self.server.handle(self.now, wall_ms, server::Input::Opened { link, admission });
                Ok(())
            }
            Err(refusal) => {
                let reason = match refusal.status {
                    401 | 403 => Reason::Authorization,
                    404 => Reason::InvalidSession,
                    429 => Reason::LimitExceeded,
                    _ => Reason::ConnectionFailed,
                };
                Err(Fault::new(reason, refusal.text))
            }
        };
        // The answer to the dial comes before the first message.
        let delay = self.delay();
        let entry = self.wires.get_mut(&wire).expect("a wire");
        entry.down_at = entry.down_at.max(self.now + delay);
        let at = entry.down_at;
        self.agenda.put(at, Arrival::Admitted { wire, result });
    }

    /// One client, or the weather, does something; then it is the next one's turn.
    fn deed(&mut self) {
        let pause = self.random.millis(0, 600);
        self.agenda.put(self.now + pause, Arrival::Deed);
        let number = usize::try_from(self.random.below(CLIENTS as u64)).expect("a small number");
        if self.is_calm {
            return;
        }
        if self.clients[number].model.is_at_rest()
            && self.clients[number].core.as_ref().is_none_or(|core| core.is_over())
        {
            let seed = self.random.next();
            self.heard_before = self.signals_heard();
            self.using[number] = None;
            self.clients[number].begin(seed);
            if let Some(core) = &mut self.clients[number].core {
                core.handle(self.now, Input::Connect);
            }
            return;
        }
        if self.random.one_in(25) {
            self.leave(number);
        } else if self.random.one_in(self.weather.killed) {
            self.kill(number);
        } else if self.random.one_in(self.weather.crash) {
            self.crash();
        } else if self.random.one_in(self.weather.cut) {
            self.cut(number);
        } else if self.random.one_in(self.weather.frozen) {
            if let Some(wire) = self.using[number] {
                self.wires.get_mut(&wire).expect("a wire").is_frozen = true;
            }
        } else if self.random.one_in(self.weather.removal) {
            self.remove(number);
        } else if self.random.one_in(self.weather.removal * 4) {
            let call = server::service::Call::DeleteRoom(DeleteRoomRequest { room: SESSION.into() });
            let _ = self.server.call(self.now, self.wall_ms(), call);
        } else {
            self.signal(number);
        }
    }

    fn leave(&mut self, number: usize) {
        let client = &mut self.clients[number];
        if let Some(core) = client.core.as_mut().filter(|core| !core.is_over()) {
            if !client.model.is_at_rest() {
                client.model.did(Deed::Disconnect);
            }
            core.handle(self.now, Input::Leave);
        }
    }

    /// The process is gone; the kernel closes what it had open.
    fn kill(&mut self, number: usize) {
        self.send_up(number, None);
        self.using[number] = None;
        self.clients[number].die();
    }

    /// The server's process is gone, and a new one is there at once that knows nothing.
    fn crash(&mut self) {
        self.server = Server::new(config(), self.random.next());
        let wires: Vec<u64> = self.wires.keys().copied().collect();
        for wire in wires {
            let delay = self.delay();
            let entry = self.wires.get_mut(&wire).expect("a wire");
            if entry.link.take().is_some() {
                entry.down_at = entry.down_at.max(self.now + delay);
                let at = entry.down_at;
                self.agenda.put(at, Arrival::DownClosed { wire });
            }
        }
    }

    /// The connection breaks, and both sides notice.
    fn cut(&mut self, number: usize) {
        let Some(wire) = self.using[number] else { return };
        let (down, up) = (self.delay(), self.delay());
        self.agenda.put(self.now + down, Arrival::DownClosed { wire });
        self.agenda.put(self.now + up, Arrival::UpClosed { wire });
    }

    fn remove(&mut self, number: usize) {
        let Some(identity) = self.clients[number].own_id().map(str::to_owned) else { return };
        // The identity of a classic token's client is its sid.
        let who =
            RoomParticipantIdentity { room: SESSION.into(), identity, ..RoomParticipantIdentity::default() };
        let call = server::service::Call::RemoveParticipant(who);
        let _ = self.server.call(self.now, self.wall_ms(), call);
    }

    fn signal(&mut self, number: usize) {
        let others: Vec<_> = self.clients[number].others.values().cloned().collect();
        let one = self.random.below(4) == 0 && !others.is_empty();
        let target = match one {
            true => Target::Connection(
                others[usize::try_from(self.random.below(others.len() as u64)).expect("small")].clone(),
            ),
            false => Target::Everyone,
        };
        let client = &mut self.clients[number];
        if !client.model.is_connected() {
            return;
        }
        client.sent += 1;
        let data = client.sent.to_string();
        let signal =
            Signal { kind: "number".into(), data, target, retry_after_reconnect: self.random.below(2) == 0 };
        if let Some(core) = &mut client.core {
            core.handle(self.now, Input::Signal(signal));
        }
    }
}

fn config() -> server::Config {
    let mut secrets = Secrets::new();
    secrets.add(KEY, SECRET);
    let udp_addresses = vec![SocketAddr::from(([10, 0, 0, 1], 7882))];
    server::Config { secrets, udp_addresses, ..server::Config::default() }
}

/// Where a client's datagrams come from.
fn address(client: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 2], 5000 + u16::try_from(client).expect("a few clients")))
}

fn client(random: &mut Random, number: usize) -> Client {
    // One in a few has a token that is not accepted.
    let secret = if random.one_in(12) { "wrong" } else { SECRET };
    let role = if random.one_in(5) { Role::Moderator } else { Role::Publisher };
    let token = classic(&Order {
        api_key: KEY,
        secret,
        session_id: SESSION,
        role,
        connection_data: &format!("client {number}"),
        created_s: EPOCH_MS / 1000,
        expires_s: EPOCH_MS / 1000 + 3600,
        nonce: number as u64,
    })
    .expect("a token");
    Client::new(Config {
        session_id: SESSION.into(),
        room: Some(SESSION.into()),
        api_key: KEY.into(),
        token,
        connection_events_suppressed: random.one_in(6),
        seed: 0,
    })
}
