//! Drives one core: does what it wants, tells it what happens.

use std::future::{Future, pending, ready};
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt as _};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::link::{Link, LinkEvent};
use super::proxy::ProxyUrl;
use super::relays::{self, Place};
use super::sockets::{Received, Sockets};
use super::wire::Wire;
use crate::session::media::{Incoming, SubscriptionId};
use crate::session::{Config, Core, Ending, Event, FAREWELL_TIMEOUT, Fault, Input, Output, Reason, Way};
use crate::signal::join::JoinQuery;
use crate::signal::service::Call;

/// Reaches this session's server, by whichever way leads there.
pub trait Dialler: Send + Sync + 'static {
    /// Opens the signalling connection, to `address` where a server has named one.
    fn dial(&self, query: JoinQuery, token: String, address: Option<String>) -> Dialling;
    /// Asks the server's own interface, at `address` as above.
    fn call(&self, call: Call, token: String, address: Option<String>) -> Calling;
    /// What streams for media go through as well.
    fn proxy(&self) -> Option<ProxyUrl> {
        None
    }
}

pub type Dialling = Pin<Box<dyn Future<Output = Result<Link, Fault>> + Send>>;

pub type Calling = Pin<Box<dyn Future<Output = Result<(), Fault>> + Send>>;

/// Who hears of the events. Called on a thread of the runtime; must not wait. Dropped when the last words to the
/// server are with the kernel, which may be a while after `Event::Ended`.
pub trait Listener: Send + Sync + 'static {
    fn event(&self, event: Event);
    /// A packet for a subscriber.
    fn media(&self, id: SubscriptionId, packet: Incoming);
}

/// How many frames and pieces of sound may wait for a session. More than a second of several publishers: a session that
/// is that late has no use for what is still older.
const MEDIA_WAITING_MAX: usize = 256;

/// An attempt under way. When this is dropped the session is left.
pub struct Attempt(mpsc::UnboundedSender<Input>, Arc<AtomicUsize>);

/// Hands media to a session. Does not keep it: who leaves drops the [`Attempt`].
#[derive(Clone)]
pub struct MediaPort {
    inputs: mpsc::WeakUnboundedSender<Input>,
    waiting: Arc<AtomicUsize>,
}

impl Attempt {
    /// Never waits. After the end it goes nowhere.
    pub fn wish(&self, input: Input) {
        let _ = self.0.send(input);
    }

    pub fn media_port(&self) -> MediaPort {
        MediaPort { inputs: self.0.downgrade(), waiting: self.1.clone() }
    }
}

#[cfg(test)]
impl MediaPort {
    /// A port whose wishes a test reads, and what keeps it open.
    pub fn open() -> (Self, mpsc::UnboundedSender<Input>, mpsc::UnboundedReceiver<Input>) {
        let (inputs, wishes) = mpsc::unbounded_channel();
        (Self { inputs: inputs.downgrade(), waiting: Arc::default() }, inputs, wishes)
    }
}

impl MediaPort {
    /// It leads nowhere.
    #[cfg(test)]
    pub fn of_a_test() -> Self {
        Self { inputs: mpsc::unbounded_channel().0.downgrade(), waiting: Arc::default() }
    }

    /// Never waits. False when it was dropped, because the session is over or too much waits already.
    pub fn send(&self, input: Input) -> bool {
        let Some(inputs) = self.inputs.upgrade() else { return false };
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= MEDIA_WAITING_MAX {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return false;
        }
        inputs.send(input).is_ok()
    }

    /// As [`Self::send`], for what must not be lost.
    pub fn wish(&self, input: Input) {
        if let Some(inputs) = self.inputs.upgrade() {
            let _ = inputs.send(input);
        }
    }
}

/// Begins an attempt. The future is the attempt; it ends when the server has heard the farewell.
/// `listener` hears `Event::Ended` once, whatever happens.
pub fn attempt(
    config: Config,
    dialler: Arc<dyn Dialler>,
    listener: Arc<dyn Listener>,
) -> (Attempt, impl Future<Output = ()> + Send) {
    let (wishes, receiver) = mpsc::unbounded_channel();
    let media_waiting: Arc<AtomicUsize> = Arc::default();
    let waiting = media_waiting.clone();
    let run = async move {
        let mut drive = Drive {
            core: Core::new(config),
            dialler,
            listener,
            dialling: None,
            calls: FuturesUnordered::new(),
            turn: Arc::default(),
            link: None,
            leaving: None,
            sockets: Sockets::default(),
            finding: FuturesUnordered::new(),
            opening: FuturesUnordered::new(),
            has_ended: false,
            media_waiting: waiting,
        };
        if AssertUnwindSafe(drive.run(receiver)).catch_unwind().await.is_err() {
            drive.panicked();
        }
        // All that is left to do is to hear the server out. Calls too are made although the program has left right
        // behind them.
        let (leaving, calls) = drive.finish();
        tokio::join!(
            async {
                if let Some(link) = leaving {
                    link.farewell(FAREWELL_TIMEOUT).await;
                }
            },
            async {
                let all = calls.for_each(|called| {
                    tell(called);
                    ready(())
                });
                let _ = timeout(FAREWELL_TIMEOUT, all).await;
            }
        );
    };
    (Attempt(wishes, media_waiting), run)
}

type Finding = Pin<Box<dyn Future<Output = Place> + Send>>;

/// A stream for media, to a peer's address.
type Opening = Pin<Box<dyn Future<Output = (Way, SocketAddr, Result<Wire, Fault>)> + Send>>;

/// How many streams for media are opened at a time: more than both peer connections ask for.
const OPENING_MAX: usize = 16;

struct Drive {
    core: Core,
    dialler: Arc<dyn Dialler>,
    listener: Arc<dyn Listener>,
    dialling: Option<Dialling>,
    calls: FuturesUnordered<Calling>,
    /// Calls that replace each other are made one after the other. Its queue is served in order.
    turn: Arc<tokio::sync::Mutex<()>>,
    link: Option<Link>,
    /// A link that was hung up; the server is still hearing the last words.
    leaving: Option<Link>,
    sockets: Sockets,
    /// The TURN servers are being looked for.
    finding: FuturesUnordered<Finding>,
    opening: FuturesUnordered<Opening>,
    has_ended: bool,
    media_waiting: Arc<AtomicUsize>,
}

impl Drive {
    async fn run(&mut self, wishes: mpsc::UnboundedReceiver<Input>) {
        let mut wishes = Some(wishes);
        self.core.handle(Instant::now(), Input::Connect);
        self.carry_out();
        while !self.core.is_over() {
            let input = tokio::select! {
                wish = wished(&mut wishes) => Some(wish),
                dialled = dialled(&mut self.dialling) => {
                    self.dialling = None;
                    Some(match dialled {
                        Ok(link) => {
                            self.link = Some(link);
                            Input::LinkOpened
                        }
                        Err(fault) => Input::LinkFailed(fault),
                    })
                }
                event = heard(&mut self.link) => Some(match event {
                    LinkEvent::Frame(bytes) => Input::Frame(bytes),
                    LinkEvent::Closed(fault) => {
                        self.link = None;
                        Input::LinkClosed(fault)
                    }
                }),
                Some(called) = self.calls.next(), if !self.calls.is_empty() => {
                    tell(called);
                    continue;
                }
                Some(place) = self.finding.next(), if !self.finding.is_empty() => {
                    let (server, relays) = self.sockets.add_relays(place);
                    Some(Input::RelaysFound { server, relays })
                }
                Some((way, remote, wire)) = self.opening.next(), if !self.opening.is_empty() => {
                    Some(self.stream_opened(way, remote, wire))
                }
                received = self.sockets.receive() => Some(match received {
                    Received::Datagram(datagram) => Input::Datagram(datagram),
                    Received::Lost(base) => Input::StreamLost(base),
                }),
                () = at(self.core.poll_timeout()) => None,
            };
            let now = Instant::now();
            if let Some(Input::Media { .. }) = input {
                self.media_waiting.fetch_sub(1, Ordering::Relaxed);
            }
            match input {
                Some(input) => self.core.handle(now, input),
                None => self.core.handle_timeout(now),
            }
            self.carry_out();
        }
    }

    fn carry_out(&mut self) {
        while let Some(output) = self.core.poll() {
            match output {
                Output::Dial { query, token, address } => {
                    self.link = None;
                    self.dialling = Some(self.dialler.dial(query, token, address));
                }
                Output::Send(bytes) => {
                    if let Some(link) = &mut self.link {
                        link.queue(bytes);
                    }
                }
                Output::Call { call, token, address } => {
                    let (replaces, calling) = (call.replaces(), self.dialler.call(call, token, address));
                    let turn = self.turn.clone();
                    self.calls.push(match replaces {
                        true => Box::pin(async move {
                            let _turn = turn.lock().await;
                            calling.await
                        }),
                        false => calling,
                    });
                }
                Output::HangUp => {
                    self.dialling = None;
                    self.leaving = self.link.take();
                    // The last words are with the kernel before the program hears of the end: it may exit at once.
                    if let Some(link) = &mut self.leaving {
                        link.flush_now();
                    }
                }
                Output::Cut => {
                    self.dialling = None;
                    self.link = None;
                }
                Output::OpenSockets(reach) => {
                    let start = self.link.as_ref().and_then(Link::start);
                    self.finding.clear();
                    self.opening.clear();
                    self.sockets = Sockets::open(start, reach);
                    let addresses = self.sockets.addresses().clone();
                    self.core.handle(Instant::now(), Input::SocketsOpened(addresses));
                }
                Output::RenewSockets(reach) => {
                    let start = self.link.as_ref().and_then(Link::start);
                    let now = Instant::now();
                    for local in self.sockets.renew(start, reach) {
                        self.core.handle(now, Input::StreamLost(local));
                    }
                    let addresses = self.sockets.addresses().clone();
                    self.core.handle(now, Input::SocketsOpened(addresses));
                }
                Output::FindRelays { servers, ways, alone } => {
                    if alone {
                        self.finding.clear();
                        self.opening.clear();
                        self.sockets = Sockets::default();
                    }
                    for server in servers {
                        let place = relays::place(server, ways.clone(), self.dialler.proxy());
                        self.finding.push(Box::pin(place));
                    }
                }
                Output::OpenStream { way, remote } => {
                    if self.opening.len() < OPENING_MAX {
                        self.opening.push(open(way, remote, self.dialler.proxy()));
                    } else {
                        self.core.handle(Instant::now(), Input::StreamRefused { way, remote });
                    }
                }
                Output::CloseStream(local) => self.sockets.close_stream(local),
                Output::Transmit(datagram) => self.sockets.send(&datagram),
                Output::Media { id, packet } => self.listener.media(id, packet),
                Output::Event(event) => {
                    self.has_ended |= matches!(event, Event::Ended(_));
                    self.listener.event(event);
                }
            }
        }
    }

    fn stream_opened(&mut self, way: Way, remote: SocketAddr, wire: Result<Wire, Fault>) -> Input {
        let local = match wire {
            Ok(wire) => self.sockets.add_stream(remote, wire),
            Err(fault) => {
                log::info!("no stream for media: {}", fault.text);
                None
            }
        };
        match local {
            Some(local) => Input::StreamOpened { way, remote, local },
            None => Input::StreamRefused { way, remote },
        }
    }

    /// What outlives the session. The listener and the sockets go here.
    fn finish(self) -> (Option<Link>, FuturesUnordered<Calling>) {
        (self.leaving, self.calls)
    }

    /// The session ends, the process does not.
    fn panicked(&mut self) {
        log::error!("a session ended because of a defect in this library");
        self.link = None;
        if !self.has_ended {
            let fault = Fault::new(Reason::Internal, "a defect in the library ended the session");
            self.listener.event(Event::Ended(Ending::Lost(fault)));
        }
    }
}

fn open(way: Way, remote: SocketAddr, proxy: Option<ProxyUrl>) -> Opening {
    Box::pin(async move { (way, remote, relays::peer(remote, proxy.as_ref()).await) })
}

/// The program has had its answer when the call began; what became of it is for who reads the log.
fn tell(called: Result<(), Fault>) {
    if let Err(fault) = called {
        log::warn!("the server did not do what was asked of it: {}", fault.text);
    }
}

/// The next wish. Whoever drops the attempt wishes to leave, once.
async fn wished(wishes: &mut Option<mpsc::UnboundedReceiver<Input>>) -> Input {
    let Some(receiver) = wishes else { return pending().await };
    match receiver.recv().await {
        Some(wish) => wish,
        None => {
            *wishes = None;
            Input::Leave
        }
    }
}

async fn dialled(dialling: &mut Option<Dialling>) -> Result<Link, Fault> {
    match dialling {
        Some(dialling) => dialling.await,
        None => pending().await,
    }
}

async fn heard(link: &mut Option<Link>) -> LinkEvent {
    match link {
        Some(link) => link.next().await,
        None => pending().await,
    }
}

async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Poll;

    use super::*;

    /// A server that never answers, and how often somebody looked whether it has.
    #[derive(Default)]
    struct BlackHole(Arc<AtomicUsize>);

    impl Dialler for BlackHole {
        fn call(&self, _: Call, _: String, _: Option<String>) -> Calling {
            Box::pin(pending())
        }

        fn dial(&self, _: JoinQuery, _: String, _: Option<String>) -> Dialling {
            let looks = self.0.clone();
            Box::pin(poll_fn(move |_| {
                looks.fetch_add(1, Ordering::Relaxed);
                Poll::Pending
            }))
        }
    }

    struct Ears(mpsc::UnboundedSender<Event>);

    impl Listener for Ears {
        fn event(&self, event: Event) {
            let _ = self.0.send(event);
        }

        fn media(&self, _: SubscriptionId, _: Incoming) {}
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
    }

    /// Stands for any defect of this library.
    struct Defect;

    impl Dialler for Defect {
        fn call(&self, _: Call, _: String, _: Option<String>) -> Calling {
            Box::pin(pending())
        }

        fn dial(&self, _: JoinQuery, _: String, _: Option<String>) -> Dialling {
            panic!("on purpose")
        }
    }

    #[test]
    fn a_panic_ends_the_session_and_not_the_process() {
        let (events, mut hears) = mpsc::unbounded_channel();
        let config = Config { session_id: "room".into(), token: "token".into(), ..Config::default() };
        let (_wishes, run) = attempt(config, Arc::new(Defect), Arc::new(Ears(events)));
        runtime().block_on(run);
        match hears.try_recv() {
            Ok(Event::Ended(Ending::Lost(fault))) => assert_eq!(fault.reason, Reason::Internal),
            other => panic!("{other:?}"),
        }
        assert!(hears.try_recv().is_err(), "the end is said once");
    }

    #[test]
    fn a_farewell_that_nobody_wishes_to_change_any_more_rests_until_its_time_is_over() {
        let looks = Arc::new(AtomicUsize::new(0));
        let (events, mut hears) = mpsc::unbounded_channel();
        let config = Config { session_id: "room".into(), token: "token".into(), ..Config::default() };
        let (wishes, run) = attempt(config, Arc::new(BlackHole(looks.clone())), Arc::new(Ears(events)));
        runtime().block_on(async {
            let run = tokio::spawn(run);
            wishes.wish(Input::Leave);
            assert_eq!(hears.recv().await, Some(Event::Ended(Ending::Left)));
            drop(wishes);
            assert_eq!(
                hears.try_recv(),
                Err(mpsc::error::TryRecvError::Empty),
                "the listener is still there"
            );
            assert_eq!(hears.recv().await, None);
            run.await.expect("it ends");
        });
        let looks = looks.load(Ordering::Relaxed);
        assert!(looks < 20, "looked {looks} times");
    }
}
