//! A server, some clients, and everything that can go wrong between them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use opentok::rtc::Datagram;
use opentok::server::{self, LinkId, Locality, Server};
use opentok::session::{Addresses, Fault, Input, Output, Reason, Stream};
use opentok::signal::join::JoinQuery;

use crate::cast::{CLIENTS, EPOCH_MS, client, config};
use crate::client::Client;
use crate::network::{Agenda, Random};
use crate::weather::Weather;

/// Of the clients' UDP sockets.
const FIRST_PORT: u16 = 5000;

/// A signalling connection, or what is left of one.
pub struct Wire {
    client: usize,
    pub link: Option<LinkId>,
    /// Nothing arrives any more, and nobody knows.
    pub is_frozen: bool,
    /// What is sent later does not arrive earlier.
    pub down_at: Instant,
    up_at: Instant,
}

/// What arrives.
pub enum Arrival {
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
    pub random: Random,
    pub weather: Weather,
    began: Instant,
    pub now: Instant,
    pub server: Server,
    pub clients: Vec<Client>,
    /// The wire each client uses now.
    pub using: Vec<Option<u64>>,
    pub wires: BTreeMap<u64, Wire>,
    /// Whose each UDP socket is; the first has [`FIRST_PORT`].
    sockets: Vec<usize>,
    pub count: u64,
    pub agenda: Agenda<Arrival>,
    pub is_calm: bool,
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
            sockets: Vec::new(),
            count: 0,
            agenda,
            is_calm: false,
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
            // A program that acts has heard what was said before.
            self.carry_out();
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

    /// Whoever is connected knows the streams of whoever else is, and what is on in them; so do those who watch them.
    pub fn check_streams(&self) -> usize {
        let connected = |client: &&Client| client.model.is_connected();
        let mut expected: BTreeMap<&str, &Arc<Stream>> = BTreeMap::new();
        for client in self.clients.iter().filter(connected) {
            client.media.check_told();
            expected.extend(client.media.streams().map(|stream| (stream.id.as_str(), stream)));
        }
        for client in self.clients.iter().filter(connected) {
            client.media.check_left(|id| expected.contains_key(id));
            let own: Vec<&str> = client.media.streams().map(|stream| stream.id.as_str()).collect();
            let state = |stream: &Arc<Stream>| (stream.id.clone(), stream.has_audio, stream.has_video);
            let expected: Vec<_> = expected
                .values()
                .filter(|stream| !own.contains(&stream.id.as_str()))
                .map(|stream| state(stream))
                .collect();
            let seen: Vec<_> = client.streams.values().map(state).collect();
            assert_eq!(seen, expected, "the streams of others:\n{}", client.model.history());
        }
        expected.len()
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

    /// Everybody has heard every signal of everybody, its own too.
    pub fn check_every_signal(&self, present: &[usize]) {
        for client in present.iter().map(|number| &self.clients[*number]) {
            for sender in present.iter().map(|number| &self.clients[*number]) {
                let id = sender.own_id().expect("it is connected");
                let heard = client.signals.get(id).map_or(&[][..], Vec::as_slice);
                let sent: Vec<u64> = (1..=sender.sent).collect();
                assert_eq!(heard, sent, "from {id}:\n{}", client.model.history());
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

    pub fn wall_ms(&self) -> i64 {
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

    pub fn carry_out(&mut self) {
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

    pub fn delay(&mut self) -> Duration {
        self.random.millis(self.weather.delay_ms.0, self.weather.delay_ms.1)
    }

    fn client_wants(&mut self, number: usize, output: Output) {
        match output {
            Output::Dial { mut query, token, .. } => {
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
            Output::OpenSockets(_) => {
                let addresses =
                    Addresses { subscriber: vec![self.socket(number)], publisher: vec![self.socket(number)] };
                if let Some(core) = &mut self.clients[number].core {
                    core.handle(self.now, Input::SocketsOpened(addresses));
                }
            }
            Output::Transmit(Datagram { local, remote, bytes }) => {
                for at in self.datagram_arrivals() {
                    let datagram = Datagram { local: remote, remote: local, bytes: bytes.clone() };
                    self.agenda.put(at, Arrival::DatagramUp { client: number, datagram });
                }
            }
            // There are no TURN servers here and nobody who takes streams.
            Output::RenewSockets(_) => {} // the network is the same
            Output::FindRelays { .. } | Output::OpenStream { .. } | Output::CloseStream(_) => {}
            Output::Event(_) | Output::Call { .. } | Output::Media { .. } => {}
        }
    }

    /// A new socket has a new port.
    fn socket(&mut self, client: usize) -> SocketAddr {
        self.sockets.push(client);
        let port = FIRST_PORT + u16::try_from(self.sockets.len() - 1).expect("a short simulation");
        SocketAddr::from(([10, 0, 0, 2], port))
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

    pub fn send_up(&mut self, number: usize, bytes: Option<Vec<u8>>) {
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
            server::Output::Send { link, bytes, .. } => (link, Some(bytes.to_vec())),
            server::Output::Close { link } => (link, None),
            // This server has its addresses from the beginning.
            server::Output::OpenSockets | server::Output::CloseStream(_) => return,
            server::Output::Transmit(Datagram { local, remote, bytes }) => {
                let socket = usize::from(remote.port()).checked_sub(FIRST_PORT.into());
                let Some(&client) = socket.and_then(|socket| self.sockets.get(socket)) else { return };
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
}
