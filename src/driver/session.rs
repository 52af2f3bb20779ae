//! Drives one core: does what it wants, tells it what happens.

use std::future::{Future, pending, ready};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt as _};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::link::{Link, LinkEvent};
use super::sockets::Sockets;
use crate::session::{Config, Core, Ending, Event, FAREWELL_TIMEOUT, Fault, Input, Output, Reason};
use crate::signal::join::JoinQuery;
use crate::signal::service::Call;

/// Reaches this session's server, by whichever way leads there.
pub trait Dialler: Send + Sync + 'static {
    /// Opens the signalling connection.
    fn dial(&self, query: JoinQuery, token: String) -> Dialling;
    /// Asks the server's own interface.
    fn call(&self, call: Call, token: String) -> Calling;
}

pub type Dialling = Pin<Box<dyn Future<Output = Result<Link, Fault>> + Send>>;

pub type Calling = Pin<Box<dyn Future<Output = Result<(), Fault>> + Send>>;

/// Who hears of the events. Called on a thread of the runtime; must not wait.
pub trait Listener: Send + Sync + 'static {
    fn event(&self, event: Event);
}

/// An attempt under way. When this is dropped the session is left.
pub struct Attempt(mpsc::UnboundedSender<Input>);

impl Attempt {
    /// Never waits. After the end it goes nowhere.
    pub fn wish(&self, input: Input) {
        let _ = self.0.send(input);
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
    let run = async move {
        let mut drive = Drive {
            core: Core::new(config),
            dialler,
            listener,
            dialling: None,
            calls: FuturesUnordered::new(),
            link: None,
            leaving: None,
            sockets: Sockets::default(),
            has_ended: false,
        };
        if AssertUnwindSafe(drive.run(receiver)).catch_unwind().await.is_err() {
            drive.panicked();
        }
        let Drive { leaving, calls, .. } = drive;
        // Calls too are made although the program has left right behind them.
        tokio::join!(
            async {
                if let Some(link) = leaving {
                    link.farewell(FAREWELL_TIMEOUT).await;
                }
            },
            async {
                let _ = timeout(FAREWELL_TIMEOUT, calls.for_each(|called| ready(tell(called)))).await;
            }
        );
    };
    (Attempt(wishes), run)
}

struct Drive {
    core: Core,
    dialler: Arc<dyn Dialler>,
    listener: Arc<dyn Listener>,
    dialling: Option<Dialling>,
    calls: FuturesUnordered<Calling>,
    link: Option<Link>,
    /// A link that was hung up; the server is still hearing the last words.
    leaving: Option<Link>,
    sockets: Sockets,
    has_ended: bool,
}

impl Drive {
    async fn run(&mut self, mut wishes: mpsc::UnboundedReceiver<Input>) {
        self.core.handle(Instant::now(), Input::Connect);
        self.carry_out();
        while !self.core.is_over() {
            let input = tokio::select! {
                wish = wishes.recv() => Some(wish.unwrap_or(Input::Leave)),
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
                datagram = self.sockets.receive() => Some(Input::Datagram(datagram)),
                () = at(self.core.poll_timeout()) => None,
            };
            let now = Instant::now();
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
                Output::Dial { query, token } => {
                    self.link = None;
                    self.dialling = Some(self.dialler.dial(query, token));
                }
                Output::Send(bytes) => {
                    if let Some(link) = &mut self.link {
                        link.queue(bytes);
                    }
                }
                Output::Call { call, token } => self.calls.push(self.dialler.call(call, token)),
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
                Output::OpenSockets => {
                    let peer = self.link.as_ref().and_then(Link::local_addr);
                    self.sockets = Sockets::open(peer);
                    let addresses = self.sockets.addresses();
                    self.core.handle(Instant::now(), Input::SocketsOpened(addresses));
                }
                Output::Transmit(datagram) => self.sockets.send(&datagram),
                Output::Event(event) => {
                    self.has_ended |= matches!(event, Event::Ended(_));
                    self.listener.event(event);
                }
            }
        }
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

/// The program has had its answer when the call began; what became of it is for who reads the log.
fn tell(called: Result<(), Fault>) {
    if let Err(fault) = called {
        log::warn!("the server did not do what was asked of it: {}", fault.text);
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
