//! The one task that owns the core. Everything else talks to it through channels.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use futures_util::FutureExt as _;
use socket2::SockRef;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};

use super::claims::{Admission, Locality, Refusal};
use super::config::Config;
use super::core::{Input, LinkId, Output, Server, StreamId, Worth};
use super::intake::{Opened, Outboxes};
use super::outbox::{self, Mail, Outbox};
use super::running::{self, Life, Phase};
use super::service::{Answer, Call, CallError};
use crate::rtc::Datagram;
use crate::signal::join::JoinQuery;
use crate::signal::token::Secrets;

/// How many events may wait for the core. Links stop reading while it is full, and so do their clients.
const EVENTS_MAX: usize = 256;

/// No path between two machines takes larger ones in one piece.
const DATAGRAM_SIZE_MAX: usize = 2048;

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
        let (outbox, mail) = outbox::pair();
        self.events.send(Event::Open { ticket: Box::new(ticket), outbox }).await.ok()?;
        Some(mail)
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
                outbox.greet(if *link == greeted { bytes.len() } else { 0 });
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
        let Some(outbox) = self.outboxes.get_mut(&link) else { return };
        if !outbox.post(worth, bytes) {
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
