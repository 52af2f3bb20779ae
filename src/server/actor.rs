//! The one task that owns the core. Everything else talks to it through channels.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use futures_util::FutureExt as _;
use socket2::SockRef;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};

use super::claims::{Admission, Locality, Refusal};
use super::config::Config;
use super::core::{Input, LinkId, Output, Server, StreamId, Worth};
use super::intake::{Opened, Outboxes};
use super::running::{self, Life, Phase};
use super::service::{Answer, Call, CallError};
use crate::rtc::Datagram;
use crate::signal::join::JoinQuery;
use crate::signal::token::Secrets;

/// How many events may wait for the core. Links stop reading while it is full, and so do their clients.
const EVENTS_MAX: usize = 256;

/// No path between two machines takes larger ones in one piece.
const DATAGRAM_SIZE_MAX: usize = 2048;

/// How many bytes may wait for one client, beside what it is greeted with: that is as long as its room is full. Who is further
/// behind does not read at all.
const OUTBOX_SIZE_MAX: usize = 8 << 20;

/// How many may wait when a data packet is still put behind them. A client that was held up for a moment gets all of some hundred
/// signals of the largest size; of what may be lost it gets what it can use.
const OUTBOX_RELIABLE_MAX: usize = 6 << 20;
const OUTBOX_LOSSY_MAX: usize = 1 << 20;

/// Not `Debug`: it holds a token.
enum Event {
    Admit {
        query: Box<JoinQuery>,
        token: String,
        locality: Locality,
        answer: oneshot::Sender<Result<Ticket, Refusal>>,
    },
    Open {
        ticket: Box<Ticket>,
        outbox: Outbox,
    },
    Frame {
        link: LinkId,
        bytes: Vec<u8>,
    },
    Closed {
        link: LinkId,
    },
    Call {
        call: Box<Call>,
        answer: oneshot::Sender<Result<Answer, CallError>>,
    },
    Datagram(Datagram),
    OpenStream {
        local: SocketAddr,
        remote: SocketAddr,
        answer: oneshot::Sender<Opened>,
    },
    StreamClosed(StreamId),
    ShutDown {
        done: oneshot::Sender<()>,
    },
    #[cfg(test)]
    BreakDown,
}

/// A client that was admitted, and the number its link will have.
#[derive(Debug)]
pub struct Ticket {
    pub link: LinkId,
    admission: Box<Admission>,
}

/// The way to one client.
#[derive(Debug)]
struct Outbox {
    frames: mpsc::UnboundedSender<Arc<[u8]>>,
    waiting: Arc<AtomicUsize>,
    /// How much it was greeted with.
    greeting: usize,
    /// Dropped with the outbox; the link wakes up then, also while it waits for its client to read.
    _open: oneshot::Sender<()>,
}

/// A link's end of its outbox.
#[derive(Debug)]
pub struct Mail {
    frames: mpsc::UnboundedReceiver<Arc<[u8]>>,
    waiting: Arc<AtomicUsize>,
    pub closed: oneshot::Receiver<()>,
}

impl Mail {
    pub fn poll(&mut self, context: &mut std::task::Context<'_>) -> std::task::Poll<Option<Arc<[u8]>>> {
        self.frames.poll_recv(context).map(|frame| {
            frame.inspect(|frame| {
                self.waiting.fetch_sub(frame.len(), Ordering::Relaxed);
            })
        })
    }
}

/// Where the other tasks reach the core.
#[derive(Debug, Clone)]
pub struct Desk {
    events: mpsc::Sender<Event>,
    secrets: Arc<Secrets>,
}

impl Desk {
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    pub fn is_gone(&self) -> bool {
        self.events.is_closed()
    }

    /// When the core has ended.
    pub async fn gone(&self) {
        self.events.closed().await;
    }

    #[cfg(test)]
    pub async fn break_down(&self) {
        let _ = self.events.send(Event::BreakDown).await;
    }

    pub async fn admit(
        &self,
        query: JoinQuery,
        token: String,
        locality: Locality,
    ) -> Result<Ticket, Refusal> {
        let (answer, answered) = oneshot::channel();
        let event = Event::Admit { query: Box::new(query), token, locality, answer };
        let gone = || Refusal::new(503, "The server is shutting down; try again.");
        self.events.send(event).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }

    /// `None` when the server has ended.
    pub async fn open(&self, ticket: Ticket) -> Option<Mail> {
        let (frames, mailed) = mpsc::unbounded_channel();
        let (open, closed) = oneshot::channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let outbox = Outbox { frames, waiting: waiting.clone(), greeting: 0, _open: open };
        self.events.send(Event::Open { ticket: Box::new(ticket), outbox }).await.ok()?;
        Some(Mail { frames: mailed, waiting, closed })
    }

    pub async fn frame(&self, link: LinkId, bytes: Vec<u8>) {
        let _ = self.events.send(Event::Frame { link, bytes }).await;
    }

    pub async fn closed(&self, link: LinkId) {
        let _ = self.events.send(Event::Closed { link }).await;
    }

    pub async fn call(&self, call: Call) -> Result<Answer, CallError> {
        let (answer, answered) = oneshot::channel();
        let event = Event::Call { call: Box::new(call), answer };
        self.events.send(event).await.map_err(|_| CallError::ShuttingDown)?;
        answered.await.map_err(|_| CallError::ShuttingDown)?
    }

    /// `None` when the server has ended.
    pub async fn open_stream(&self, local: SocketAddr, remote: SocketAddr) -> Option<Opened> {
        let (answer, answered) = oneshot::channel();
        self.events.send(Event::OpenStream { local, remote, answer }).await.ok()?;
        answered.await.ok()
    }

    pub async fn stream_closed(&self, stream: StreamId) {
        let _ = self.events.send(Event::StreamClosed(stream)).await;
    }

    pub async fn datagram(&self, datagram: Datagram) {
        let _ = self.events.send(Event::Datagram(datagram)).await;
    }

    /// Returns when every client's farewell waits in its outbox.
    pub async fn shut_down(&self) {
        let (done, is_done) = oneshot::channel();
        if self.events.send(Event::ShutDown { done }).await.is_ok() {
            let _ = is_done.await;
        }
    }
}

struct Actor {
    server: Server,
    outboxes: HashMap<LinkId, Outbox>,
    links: u64,
    sockets: Vec<(SocketAddr, Arc<UdpSocket>)>,
    streams: Outboxes,
    /// For the tasks that listen on sockets which are opened later. It does not keep the events open.
    events: mpsc::WeakSender<Event>,
    life: Life,
}

pub fn start(config: Config, sockets: Vec<(SocketAddr, Arc<UdpSocket>)>, life: Life) -> Desk {
    let secrets = Arc::new(config.secrets.clone());
    let (sender, events) = mpsc::channel(EVENTS_MAX);
    let desk = Desk { events: sender.clone(), secrets };
    for (address, socket) in &sockets {
        tokio::spawn(listen(life.clone(), *address, socket.clone(), sender.clone()));
    }
    let server = Server::new(config, seed());
    let events_of = sender.downgrade();
    let actor = Actor {
        server,
        outboxes: HashMap::new(),
        links: 0,
        sockets,
        streams: Outboxes::default(),
        events: events_of,
        life: life.clone(),
    };
    tokio::spawn(run_or_end_all(life, actor, events));
    desk
}

async fn listen(mut life: Life, local: SocketAddr, socket: Arc<UdpSocket>, events: mpsc::Sender<Event>) {
    let mut buffer = vec![0; DATAGRAM_SIZE_MAX];
    loop {
        let received = tokio::select! {
            received = socket.recv_from(&mut buffer) => received,
            () = life.reaches(Phase::Stopping) => return,
        };
        // An error is some earlier datagram's: that nobody listened where it went.
        let Ok((size, remote)) = received else { continue };
        let bytes = buffer.get(..size).unwrap_or_default().to_vec();
        if events.send(Event::Datagram(Datagram { local, remote, bytes })).await.is_err() {
            return;
        }
    }
}

/// A core that has broken down serves nobody any more, and so nothing else of the server may look as if it did: its clients
/// go where there is another one.
async fn run_or_end_all(life: Life, actor: Actor, events: mpsc::Receiver<Event>) {
    let ended = AssertUnwindSafe(run(life.clone(), actor, events)).catch_unwind().await;
    if ended.is_err() {
        life.end();
        log::error!("server: it broke down and has ended");
    }
}

async fn run(mut life: Life, mut actor: Actor, mut events: mpsc::Receiver<Event>) {
    loop {
        let deadline = actor.server.poll_timeout();
        let due = async {
            match deadline {
                Some(when) => tokio::time::sleep_until(when.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            event = events.recv() => match event {
                Some(Event::ShutDown { done }) => {
                    actor.server.shutdown(Instant::now());
                    actor.drain();
                    let _ = done.send(());
                    return;
                }
                Some(event) => actor.handle(event),
                None => return,
            },
            () = due => actor.server.handle_timeout(Instant::now()),
            () = life.reaches(Phase::Over) => return,
        }
        actor.drain();
    }
}

impl Actor {
    fn handle(&mut self, event: Event) {
        let (now, wall_ms) = (Instant::now(), wall_ms());
        match event {
            Event::Admit { query, token, locality, answer } => {
                let admitted = self.server.admit(now, wall_ms, &query, &token, locality);
                let _ = answer.send(admitted.map(|admission| {
                    self.links += 1;
                    Ticket { link: LinkId(self.links), admission }
                }));
            }
            Event::Open { ticket, outbox } => {
                let link = ticket.link;
                self.outboxes.insert(link, outbox);
                self.server.handle(now, wall_ms, Input::Opened { link, admission: ticket.admission });
                self.drain_greeting(link);
            }
            Event::Frame { link, bytes } => self.server.handle(now, wall_ms, Input::Frame { link, bytes }),
            Event::Closed { link } => {
                self.outboxes.remove(&link);
                self.server.handle(now, wall_ms, Input::Closed { link });
            }
            Event::Call { call, answer } => {
                let _ = answer.send(self.server.call(now, wall_ms, *call));
            }
            Event::Datagram(datagram) => self.server.handle(now, wall_ms, Input::Datagram(datagram)),
            Event::OpenStream { local, remote, answer } => {
                let opened = self.streams.open(local, remote);
                let input = Input::StreamOpened { stream: opened.stream, local, remote };
                let _ = answer.send(opened);
                self.server.handle(now, wall_ms, input);
            }
            Event::StreamClosed(stream) => {
                self.streams.close(stream);
                self.server.handle(now, wall_ms, Input::StreamClosed { stream });
            }
            Event::ShutDown { .. } => {}
            #[cfg(test)]
            Event::BreakDown => panic!("on purpose"),
        }
    }

    /// Hands out what came of an opened link, all of which the link is greeted with.
    fn drain_greeting(&mut self, greeted: LinkId) {
        while let Some(output) = self.server.poll() {
            if let (Output::Send { link, bytes, .. }, Some(outbox)) =
                (&output, self.outboxes.get_mut(&greeted))
            {
                outbox.greeting += if *link == greeted { bytes.len() } else { 0 };
            }
            self.perform(output);
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.server.poll() {
            self.perform(output);
        }
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::Send { link, worth, bytes } => self.post(link, worth, bytes),
            Output::Close { link } => {
                self.outboxes.remove(&link);
            }
            Output::Transmit(datagram) => self.transmit(datagram),
            Output::CloseStream(stream) => self.streams.close(stream),
            Output::OpenSockets => self.open_sockets(),
        }
    }

    /// One port on this machine's own network, for as long as the server runs.
    fn open_sockets(&mut self) {
        let opened = running::bind_udp(Ipv4Addr::LOCALHOST.into())
            .and_then(|socket| Ok((socket.local_addr()?, Arc::new(socket))));
        match (opened, self.events.upgrade()) {
            (Ok((address, socket)), Some(events)) => {
                tokio::spawn(listen(self.life.clone(), address, socket.clone(), events));
                self.sockets.push((address, socket));
            }
            (Err(error), _) => log::warn!("server: no socket for media could be opened: {error}"),
            (Ok(_), None) => {}
        }
        let addresses = self.sockets.iter().map(|(address, _)| *address).collect();
        self.server.handle(Instant::now(), wall_ms(), Input::SocketsOpened(addresses));
    }

    /// A datagram that the socket does not take now is lost, as others are on the way.
    fn transmit(&self, datagram: Datagram) {
        let Some(datagram) = self.streams.send(datagram) else { return };
        if let Some((_, socket)) = self.sockets.iter().find(|(address, _)| *address == datagram.local) {
            // Past tokio, which believes a socket to be full that it has not looked at yet.
            let _ = SockRef::from(&**socket).send_to(&datagram.bytes, &datagram.remote.into());
        }
    }

    fn post(&mut self, link: LinkId, worth: Worth, bytes: Arc<[u8]>) {
        let Some(outbox) = self.outboxes.get(&link) else { return };
        let size = bytes.len();
        let limit = match worth {
            Worth::Signal => OUTBOX_SIZE_MAX,
            Worth::Reliable => OUTBOX_RELIABLE_MAX,
            Worth::Lossy => OUTBOX_LOSSY_MAX,
        };
        // Only this task adds to what waits.
        let is_too_much = outbox.waiting.load(Ordering::Relaxed) + size > outbox.greeting + limit;
        if is_too_much && worth != Worth::Signal {
            return log::debug!("server: a client that does not read missed a packet");
        }
        outbox.waiting.fetch_add(size, Ordering::Relaxed);
        if is_too_much || outbox.frames.send(bytes).is_err() {
            if is_too_much {
                log::warn!("server: a client that does not read was cut off");
            }
            // The link tells the core of its end like any other.
            self.outboxes.remove(&link);
        }
    }
}

pub fn wall_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn seed() -> u64 {
    let mut bytes = [0; 8];
    if aws_lc_rs::rand::fill(&mut bytes).is_err() {
        // Sids only have to differ from those of other servers.
        return wall_ms() as u64 ^ (u64::from(std::process::id()) << 40);
    }
    u64::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot::error::TryRecvError;

    use super::*;
    use crate::signal::frame::FromServer;
    use crate::signal::proto::data_packet::Kind;
    use crate::signal::proto::signal_response::Message;
    use crate::signal::proto::{
        ParticipantInfo, SendDataRequest, UpdateParticipantRequest, UpdateRoomMetadataRequest,
    };
    use crate::signal::token::{self, Order, Role};

    const ROOM: &str = "1_room";

    /// Joins; reads nothing.
    async fn join(desk: &Desk) -> Mail {
        let now_s = wall_ms() / 1000;
        let order = Order {
            api_key: "1",
            secret: "nobody checks it",
            session_id: ROOM,
            role: Role::Publisher,
            connection_data: "",
            created_s: now_s,
            expires_s: now_s + 3600,
            nonce: 1,
        };
        let query = JoinQuery { inline_data: true, ..Default::default() };
        let token = token::classic(&order).expect("a token");
        let ticket = desk.admit(query, token, Locality::Local).await.expect("admitted");
        let mail = desk.open(ticket).await.expect("it runs");
        desk.call(Call::ListRooms(Default::default())).await.expect("what was before it is done");
        mail
    }

    /// Whoever it is told of, itself included, and in how many bytes.
    fn told(mail: &mut Mail) -> (Vec<ParticipantInfo>, usize) {
        let (mut infos, mut size) = (Vec::new(), 0);
        let mut next = || {
            // A task of tokio's would have to pause after a hundred messages.
            let message = std::future::poll_fn(|context| mail.poll(context));
            tokio::task::unconstrained(message).now_or_never().flatten()
        };
        while let Some(bytes) = next() {
            size += bytes.len();
            match FromServer::decode(&bytes).expect("a message") {
                Some(FromServer::Welcome(join)) => {
                    infos.extend(join.participant);
                    infos.extend(join.other_participants);
                }
                Some(FromServer::Message(Message::Update(update))) => infos.extend(update.participants),
                _ => {}
            }
        }
        (infos, size)
    }

    #[tokio::test]
    async fn who_reads_nothing_misses_packets_first_and_is_cut_off_at_last() {
        let desk = start(Config::default(), Vec::new(), Life::of_a_test());
        let mut mail = join(&desk).await;
        told(&mut mail);
        let packet = |kind: Kind, size| {
            let data = vec![0; size];
            Call::SendData(SendDataRequest {
                room: ROOM.into(),
                kind: kind.into(),
                data,
                ..Default::default()
            })
        };
        let mut sizes = Vec::new();
        for (count, kind, size) in
            [(500, Kind::Reliable, 8000), (400, Kind::Reliable, 60_000), (400, Kind::Lossy, 60_000)]
        {
            for _ in 0..count {
                desk.call(packet(kind, size)).await.expect("sent");
            }
            sizes.push(told(&mut mail).1);
        }
        assert!(sizes[0] >= 500 * 8000, "what is said in a moment is not missed: {sizes:?}");
        assert!((4 << 20..=OUTBOX_RELIABLE_MAX).contains(&sizes[1]), "{sizes:?}");
        assert!((1 << 19..=OUTBOX_LOSSY_MAX).contains(&sizes[2]), "{sizes:?}");
        assert_eq!(mail.closed.try_recv(), Err(TryRecvError::Empty), "it is still there");
        for _ in 0..200 {
            let metadata = "x".repeat(60_000);
            let request = UpdateRoomMetadataRequest { room: ROOM.into(), metadata };
            desk.call(Call::UpdateRoomMetadata(request)).await.expect("updated");
        }
        assert_eq!(mail.closed.try_recv(), Err(TryRecvError::Closed));
    }

    #[tokio::test]
    async fn a_room_that_has_more_to_say_than_may_wait_for_one_can_be_joined() {
        let desk = start(Config::default(), Vec::new(), Life::of_a_test());
        for _ in 0..60 {
            let (infos, _) = told(&mut join(&desk).await);
            let request = UpdateParticipantRequest {
                room: ROOM.into(),
                identity: infos[0].identity.clone(),
                metadata: "x".repeat(60_000),
                name: "x".repeat(60_000),
                attributes: [("x".into(), "x".repeat(60_000))].into(),
                ..Default::default()
            };
            desk.call(Call::UpdateParticipant(request)).await.expect("updated");
        }
        let (infos, size) = told(&mut join(&desk).await);
        assert!(size > OUTBOX_SIZE_MAX, "{size}");
        assert_eq!(infos.len(), 61);
    }
}
