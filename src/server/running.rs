//! A server that runs: its tasks, and how they all end.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Weak};
use std::time::Duration;

use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream, UdpSocket, UnixListener};
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::actor::{self, Desk};
use super::claims::Locality;
use super::config::Config;
use super::http;
use super::intake;
use super::process_sys;
use crate::driver::wire::Socket;

/// How long tasks that were told to end at once may take. They only have to be scheduled.
const END_LIMIT: Duration = Duration::from_secs(2);

/// Addresses that belong to nobody (RFC 5737 and 3849); the way to them is the way to everywhere.
const DOCUMENTATION_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const DOCUMENTATION_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);

/// The buffers of a UDP socket: a tenth of a second of a hundred cameras, or a key frame to as many viewers at once.
const UDP_BUFFER_SIZE: usize = 4 << 20;

/// How long to wait before accepting again after it failed, which is when descriptors are used up.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How many connections of a listener may be no clients yet. Clients are strangers for a round trip; a connection that says
/// nothing is held for ten seconds, and whoever opens many of those is not to use up the descriptors.
const STRANGERS_MAX: usize = 512;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    Serving,
    /// No new connections; those that are open are told and end by themselves.
    Stopping,
    /// Every task ends where it is.
    Over,
}

/// A task's view of the server's life. As long as one of these exists the server has not ended, so a task takes it as
/// its first parameter: that one is dropped last, after the sockets.
#[derive(Debug, Clone)]
pub struct Life {
    phase: watch::Receiver<Phase>,
    /// It does not keep the server from ending with its owner.
    phases: Weak<watch::Sender<Phase>>,
    _alive: mpsc::Sender<()>,
}

impl Life {
    /// Of a server that runs on.
    #[cfg(test)]
    pub fn of_a_test() -> Self {
        let (phase, receiver) = watch::channel(Phase::Serving);
        // Its owner is never gone.
        std::mem::forget(phase);
        Self { phase: receiver, phases: Weak::new(), _alive: mpsc::channel(1).0 }
    }

    /// Waits until the server is at least this near to its end.
    pub async fn reaches(&mut self, phase: Phase) {
        // An error means that the server's owner is gone, which is the end too.
        let _ = self.phase.wait_for(|now| *now >= phase).await;
    }

    /// Ends every task where it is: what they serve has broken down.
    pub fn end(&self) {
        if let Some(phases) = self.phases.upgrade() {
            phases.send_replace(Phase::Over);
        }
    }
}

/// A server that runs. Dropping it ends it at once and unheard; [`Running::stop`] says farewell first.
#[derive(Debug)]
pub struct Running {
    desk: Desk,
    phase: Arc<watch::Sender<Phase>>,
    alive: mpsc::Receiver<()>,
    addresses: Vec<SocketAddr>,
    media_addresses: Vec<SocketAddr>,
}

/// What connections are accepted from.
pub enum Listener {
    Tcp(TcpListener),
    /// Of streams for media.
    Media(TcpListener),
    Unix(UnixListener),
}

impl Running {
    /// Starts to serve on the current tokio runtime.
    pub fn start(mut config: Config, listeners: Vec<Listener>, sockets: Vec<UdpSocket>) -> io::Result<Self> {
        let sockets: Vec<(SocketAddr, Arc<UdpSocket>)> = sockets
            .into_iter()
            .map(|socket| Ok((socket.local_addr()?, Arc::new(socket))))
            .collect::<io::Result<_>>()?;
        let (mut addresses, mut media_addresses) = (Vec::new(), Vec::new());
        for listener in &listeners {
            match listener {
                Listener::Tcp(listener) => addresses.push(listener.local_addr()?),
                Listener::Media(listener) => media_addresses.push(listener.local_addr()?),
                Listener::Unix(_) => {}
            }
        }
        config.udp_addresses = sockets.iter().map(|(address, _)| *address).collect();
        config.tcp_addresses = media_addresses.clone();
        config.opens_udp_on_demand = !config.has_addresses();
        let (phase, receiver) = watch::channel(Phase::Serving);
        let phase = Arc::new(phase);
        // Nothing is ever sent: the receiver learns that the last sender is gone.
        let (alive_sender, alive) = mpsc::channel(1);
        let life = Life { phase: receiver, phases: Arc::downgrade(&phase), _alive: alive_sender };
        let desk = actor::start(config, sockets, life.clone());
        for listener in listeners {
            tokio::spawn(accept(life.clone(), listener, desk.clone()));
        }
        Ok(Self { desk, phase, alive, addresses, media_addresses })
    }

    /// Where TCP connections are accepted, with the ports that the system chose.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Where streams for media are taken.
    pub fn media_addresses(&self) -> &[SocketAddr] {
        &self.media_addresses
    }

    /// Whether its core still runs: it ends with the runtime it was started on, and where it breaks down.
    pub fn is_alive(&self) -> bool {
        !self.desk.is_gone()
    }

    /// When its core has ended.
    pub fn ended(&self) -> impl Future<Output = ()> + Send + use<> {
        let desk = self.desk.clone();
        async move { desk.gone().await }
    }

    /// A panic in the core.
    #[cfg(test)]
    pub async fn break_down(&self) {
        self.desk.break_down().await;
    }

    /// Accepts nothing more and tells every client to go elsewhere. The farewells are on their way when this returns.
    pub async fn retire(&self) {
        self.phase.send_replace(Phase::Stopping);
        self.desk.shut_down().await;
    }

    /// Retires, waits for the clients to go, at most `limit`, and then ends every task. Nothing is left afterwards.
    pub async fn stop(mut self, limit: Duration) {
        let _ = timeout(limit, async {
            self.retire().await;
            self.alive.recv().await
        })
        .await;
        self.phase.send_replace(Phase::Over);
        if timeout(END_LIMIT, self.alive.recv()).await.is_err() {
            log::warn!("server: a task did not end in time");
        }
    }
}

/// Serves on TCP. Port 0 lets the system choose; [`Running::addresses`] tells.
pub async fn serve_tcp(config: Config, listen: &[SocketAddr]) -> io::Result<Running> {
    let mut listeners = Vec::new();
    for address in listen {
        listeners.push(Listener::Tcp(TcpListener::bind(address).await?));
    }
    let (mut sockets, mut ports) = (Vec::new(), BTreeSet::new());
    for address in media_addresses(listen) {
        if let Some(port) = config.media_tcp_port {
            let listener = TcpListener::bind((address, port)).await?;
            ports.insert(listener.local_addr()?.port());
            listeners.push(Listener::Media(listener));
        }
    }
    for address in media_addresses(listen).into_iter().filter(|_| !config.media_tcp_only) {
        sockets.push(bind_udp_beside(address, &ports)?);
    }
    Running::start(config, listeners, sockets)
}

/// A socket for media at another port than these.
fn bind_udp_beside(address: IpAddr, ports: &BTreeSet<u16>) -> io::Result<UdpSocket> {
    let mut passed_over = Vec::new(); // and held, or the system would give the same port again
    loop {
        let socket = bind_udp(address)?;
        if !ports.contains(&socket.local_addr()?.port()) {
            return Ok(socket);
        }
        passed_over.push(socket);
    }
}

/// A socket for media, with room for what comes while the server does something else.
pub fn bind_udp(address: IpAddr) -> io::Result<UdpSocket> {
    let socket = std::net::UdpSocket::bind(SocketAddr::new(address, 0))?;
    socket.set_nonblocking(true)?;
    let options = SockRef::from(&socket);
    // The system gives what it allows.
    let _ = options.set_recv_buffer_size(UDP_BUFFER_SIZE);
    let _ = options.set_send_buffer_size(UDP_BUFFER_SIZE);
    UdpSocket::from_std(socket)
}

/// The addresses where clients that reached one of the listeners can send media to.
fn media_addresses(listen: &[SocketAddr]) -> BTreeSet<IpAddr> {
    let mut addresses = BTreeSet::new();
    for address in listen {
        match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => {
                addresses.insert(Ipv4Addr::LOCALHOST.into());
                addresses.extend(outward(SocketAddr::from((DOCUMENTATION_V4, 9))));
            }
            IpAddr::V6(ip) if ip.is_unspecified() => {
                addresses.insert(Ipv6Addr::LOCALHOST.into());
                addresses.extend(outward(SocketAddr::from((DOCUMENTATION_V6, 9))));
            }
            ip => {
                addresses.insert(ip);
            }
        }
    }
    addresses
}

/// The address this machine would use towards another one. Connecting a UDP socket sends nothing.
fn outward(somewhere: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr =
        if somewhere.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = std::net::UdpSocket::bind((any, 0)).ok()?;
    socket.connect(somewhere).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

async fn accept(mut life: Life, listener: Listener, desk: Desk) {
    let mut ends = life.clone();
    let mut strangers = Strangers::new(STRANGERS_MAX);
    loop {
        let accepted = tokio::select! {
            biased;
            () = life.reaches(Phase::Stopping) => return,
            accepted = accept_one(&listener) => accepted,
        };
        match accepted {
            Ok(Accepted::Link(socket, locality)) => {
                let task = tokio::spawn(http::serve(life.clone(), socket, locality, desk.clone()));
                strangers.add(task.abort_handle());
            }
            Ok(Accepted::Stream(stream)) => {
                tokio::spawn(intake::run(life.clone(), stream, desk.clone()));
            }
            Ok(Accepted::Nobody) => {}
            Err(error) => {
                log::warn!("server: a connection could not be accepted: {error}");
                tokio::select! {
                    () = ends.reaches(Phase::Stopping) => return,
                    () = tokio::time::sleep(ACCEPT_PAUSE) => {}
                }
            }
        }
    }
}

/// The tasks of connections, which end when these become clients. When there are too many the oldest makes room.
struct Strangers {
    tasks: VecDeque<AbortHandle>,
    max: usize,
}

impl Strangers {
    fn new(max: usize) -> Self {
        Self { tasks: VecDeque::new(), max }
    }

    fn add(&mut self, task: AbortHandle) {
        // A task lies in memory for as long as somebody has a handle of it.
        self.tasks.retain(|task| !task.is_finished());
        if self.tasks.len() >= self.max
            && let Some(oldest) = self.tasks.pop_front()
        {
            oldest.abort();
        }
        self.tasks.push_back(task);
    }
}

enum Accepted {
    Link(Socket, Locality),
    /// For media.
    Stream(TcpStream),
    /// A client was turned away.
    Nobody,
}

async fn accept_one(listener: &Listener) -> io::Result<Accepted> {
    match listener {
        Listener::Tcp(listener) => {
            let (stream, _) = listener.accept().await?;
            // Signals are small and somebody waits for them.
            let _ = stream.set_nodelay(true);
            Ok(Accepted::Link(Socket::from(stream), Locality::Remote))
        }
        Listener::Media(listener) => Ok(Accepted::Stream(listener.accept().await?.0)),
        Listener::Unix(listener) => {
            let (stream, _) = listener.accept().await?;
            let ours = stream.peer_cred().is_ok_and(|peer| peer.uid() == process_sys::user_id());
            if !ours {
                log::warn!("hub: a process of another user was turned away");
            }
            Ok(if ours { Accepted::Link(Socket::from(stream), Locality::Local) } else { Accepted::Nobody })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_oldest_stranger_makes_room_and_who_is_none_any_more_does_not_count() {
        let mut strangers = Strangers::new(2);
        let mut add = |task: &tokio::task::JoinHandle<()>| strangers.add(task.abort_handle());
        let waits = || tokio::spawn(std::future::pending::<()>());
        let mut client = tokio::spawn(std::future::ready(()));
        (&mut client).await.expect("it is over");
        let (first, second, third) = (waits(), waits(), waits());
        for task in [&client, &first, &second] {
            add(task);
        }
        tokio::task::yield_now().await;
        assert!(!first.is_finished() && !second.is_finished());
        add(&third);
        assert!(first.await.expect_err("it was ended").is_cancelled());
        assert!(!second.is_finished() && !third.is_finished());
    }
}
