//! One attempt to be in a session, as a value.
//!
//! Drive it like this: call [`Core::handle`] or [`Core::handle_timeout`], then [`Core::poll`] until it gives `None`,
//! then wait for input or for [`Core::poll_timeout`], whichever comes first. After `Output::Event(Ended)` no event
//! follows; once [`Core::is_over`] the object has nothing more to do.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::event::Ending;
use super::ice::{IceConfig, Relays, TurnServer};
use super::leave::Farewell;
use super::live::Live;
use super::media::{Incoming, Outgoing, Publication, PublicationId, SubscriptionId, Wants};
use super::migration::Elsewhere;
use super::moderation::{Latecomers, Moderation};
use super::publications::Publications;
use super::reconnect::Reconnecting;
use super::subscriptions::Subscriptions;
use super::wires::Way;
use super::{Connection, Event, Fault, Reason, VideoType};
use crate::media::Kind;
use crate::media::encryption::Keyring;
use crate::rtc::Datagram;
use crate::signal::captions::Captions;
use crate::signal::frame::FromServer;
use crate::signal::join::JoinQuery;
use crate::signal::service::Call;

/// What an attempt is made of.
#[derive(Clone, Default)]
pub struct Config {
    /// As the program wrote it.
    pub session_id: String,
    /// The room that the way leads to; a LiveKit server goes by the token's. `None`: there is no way.
    pub room: Option<String>,
    pub api_key: String,
    pub token: String,
    pub connection_events_suppressed: bool,
    /// Follows a server that shuts down to wherever it says, and back.
    pub migrates: bool,
    pub ice: IceConfig,
    /// Differs from attempt to attempt. Makes the waits between tries differ too, and names this client to its server.
    pub seed: u64,
    /// For data that comes encrypted.
    pub keyring: Keyring,
}

/// Whom a signal is for.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    Everyone,
    Connection(Arc<Connection>),
}

/// A signal whose type and data have been checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Signal {
    pub kind: String,
    pub data: String,
    pub target: Target,
    /// Kept while reconnecting and sent afterwards; else it is dropped then.
    pub retry_after_reconnect: bool,
}

/// The addresses of a session's sockets. Each peer connection has its own: a server may use one port for all of its
/// clients' connections, and then only the port of this side tells the two apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Addresses {
    pub subscriber: Vec<SocketAddr>,
    pub publisher: Vec<SocketAddr>,
}

/// From where the server's end of the peer connections may be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// From where the link starts, if that is this machine alone: the server is this library, and its media is where its
    /// link is.
    Ours,
    /// From every address of this machine.
    Others,
    /// Through TURN servers alone.
    Relays,
}

/// What happens to a session.
#[derive(Debug)]
pub enum Input {
    /// The first input.
    Connect,
    /// The program leaves.
    Leave,
    Signal(Signal),
    /// The program is a moderator.
    Moderate(Moderation),
    Publish(Box<Publication>),
    Unpublish(PublicationId),
    /// The program switches a track on or off.
    SetPublishing {
        id: PublicationId,
        kind: Kind,
        is_on: bool,
    },
    /// What the program shows is something else from now on.
    SetVideoType {
        id: PublicationId,
        video_type: VideoType,
    },
    /// What the program shows has this size from now on.
    SetSize {
        id: PublicationId,
        width: u32,
        height: u32,
    },
    Media {
        id: PublicationId,
        outgoing: Outgoing,
    },
    /// What a publication sends, and would send if the network let it.
    Bitrates {
        id: PublicationId,
        current_bps: u64,
        desired_bps: u64,
    },
    /// What has gone out of a publication so far? `PublisherEvent::Counted` says.
    Count(PublicationId),
    /// What is known of the media of a publication, or of a subscription? `Measured` says.
    MeasurePublication(PublicationId),
    MeasureSubscription(SubscriptionId),
    Subscribe {
        id: SubscriptionId,
        stream_id: String,
        wants: Wants,
    },
    Unsubscribe(SubscriptionId),
    SetWants {
        id: SubscriptionId,
        wants: Wants,
    },
    /// A decoder cannot go on without one.
    NeedKeyFrame(SubscriptionId),
    /// The link that `Output::Dial` asked for is open.
    LinkOpened,
    LinkFailed(Fault),
    /// One message of the server.
    Frame(Vec<u8>),
    /// The server closed the link, or it broke. Never said of a link that this side has hung up or cut.
    LinkClosed(Option<Fault>),
    /// Answers `Output::OpenSockets` and `Output::RenewSockets`: the addresses at which datagrams are received from now
    /// on.
    SocketsOpened(Addresses),
    /// Answers `Output::FindRelays`, once for each of its servers: the ways to it, or none.
    RelaysFound {
        server: TurnServer,
        relays: Relays,
    },
    /// Answers `Output::OpenStream`: it is open and begins at `local`.
    StreamOpened {
        way: Way,
        remote: SocketAddr,
        local: SocketAddr,
    },
    /// Answers `Output::OpenStream`: there is none.
    StreamRefused {
        way: Way,
        remote: SocketAddr,
    },
    /// The stream that began at this address has ended: that of a peer connection, or one to a TURN server.
    StreamLost(SocketAddr),
    Datagram(Datagram),
}

/// What a session wants from the world.
pub enum Output {
    /// Open the signalling connection.
    Dial {
        query: JoinQuery,
        token: String,
        /// Where, as a server has named it; else by the session's own way.
        address: Option<String>,
    },
    /// Send one message on it.
    Send(Vec<u8>),
    /// Ask the server's own interface, beside the signalling connection. Nothing comes back; a failure is for the log.
    Call {
        call: Call,
        token: String,
        /// As above.
        address: Option<String>,
    },
    /// Send what was said, for a limited time, and close it politely.
    HangUp,
    /// Close it at once: the other side does not listen any more.
    Cut,
    /// Open sockets for the peer connections. There are no others any more.
    OpenSockets(Reach),
    /// The network may be another one: open sockets on what is new of it, and close those of what is gone. Those that
    /// went to TURN servers and peers are told by `Input::StreamLost`.
    RenewSockets(Reach),
    /// Find out where these TURN servers are, and open sockets for them beside the others, for these peer connections.
    /// `alone`: there are no others any more.
    FindRelays {
        servers: Vec<TurnServer>,
        ways: Vec<Way>,
        alone: bool,
    },
    /// Open a TCP stream for a peer connection's datagrams.
    OpenStream {
        way: Way,
        remote: SocketAddr,
    },
    /// Close the one that begins at this address, or the socket to a TURN server, when what was sent is sent.
    CloseStream(SocketAddr),
    Transmit(Datagram),
    /// A packet for the subscriber with this subscription.
    Media {
        id: SubscriptionId,
        packet: Incoming,
    },
    Event(Event),
}

pub(super) enum State {
    New,
    Joining(Joining),
    Connected(Box<Live>),
    Reconnecting(Reconnecting),
    /// The end has been said to the program; the server still hears what it must.
    Farewell(Farewell),
    Over,
}

/// How far a join has come.
pub(super) struct Joining {
    pub deadline: Instant,
    pub step: JoinStep,
}

pub(super) enum JoinStep {
    Dialling,
    /// The link is open, the server has to say who we are.
    Asking,
    /// We are in the room; the data channel has to open.
    Wiring(Box<Live>),
}

/// See the module's text.
pub struct Core {
    pub(super) config: Config,
    pub(super) state: State,
    pub(super) outputs: VecDeque<Output>,
    pub(super) random: Random,
    pub(super) publications: Publications,
    pub(super) subscriptions: Subscriptions,
    pub(super) captions: Captions,
    pub(super) latecomers: Option<Latecomers>,
    pub(super) elsewhere: Elsewhere,
    /// The last token that the server has given this client. It is good for a few minutes; the program's own may be for
    /// a day.
    pub(super) refreshed: Option<String>,
    /// The number of the last call that muted all.
    pub(super) mutes: u64,
}

impl Core {
    pub fn new(config: Config) -> Self {
        let random = Random(config.seed);
        Self {
            config,
            state: State::New,
            outputs: VecDeque::new(),
            random,
            publications: Publications::default(),
            subscriptions: Subscriptions::default(),
            captions: Captions::default(),
            latecomers: None,
            elsewhere: Elsewhere::default(),
            refreshed: None,
            mutes: 0,
        }
    }

    pub fn handle(&mut self, now: Instant, input: Input) {
        match input {
            Input::Connect => self.join(now),
            Input::Leave => self.end(now, Ending::Left),
            Input::Signal(signal) => self.send_signal(now, signal),
            Input::Moderate(wish) => self.moderate(now, wish),
            Input::Publish(wish) => self.publish(now, *wish),
            Input::Unpublish(id) => self.unpublish(now, id),
            Input::SetPublishing { id, kind, is_on } => self.set_publishing(now, id, kind, is_on),
            Input::SetVideoType { id, video_type } => self.set_video_type(id, video_type),
            Input::SetSize { id, width, height } => self.set_size(now, id, (width, height)),
            Input::Media { id, outgoing } => self.send_media(now, id, outgoing),
            Input::Bitrates { id, current_bps, desired_bps } => {
                self.set_bitrates(now, id, (current_bps, desired_bps));
            }
            Input::Count(id) => self.count(now, id),
            Input::MeasurePublication(id) => self.measure_publication(id),
            Input::MeasureSubscription(id) => self.measure_subscription(id),
            Input::Subscribe { id, stream_id, wants } => self.subscribe(now, id, &stream_id, wants),
            Input::Unsubscribe(id) => self.unsubscribe(id),
            Input::SetWants { id, wants } => self.set_wants(id, wants),
            Input::NeedKeyFrame(id) => self.need_key_frame(now, id),
            Input::LinkOpened => self.link_opened(now),
            Input::LinkFailed(fault) => self.link_lost(now, Some(fault)),
            Input::LinkClosed(fault) => self.link_lost(now, fault),
            Input::Frame(bytes) => self.frame(now, &bytes),
            Input::SocketsOpened(addresses) => {
                if let Some(live) = self.live_mut() {
                    live.wires.sockets_opened(now, addresses);
                }
                self.publish_waiting(now);
            }
            Input::RelaysFound { server, relays } => {
                if let Some(live) = self.live_mut() {
                    live.wires.relays_found(now, server, relays);
                }
                self.publish_waiting(now);
            }
            Input::StreamOpened { way, remote, local } => {
                if let Some(live) = self.live_mut() {
                    live.wires.stream_opened(now, way, remote, local);
                }
            }
            Input::StreamRefused { way, remote } => {
                if let Some(live) = self.live_mut() {
                    live.wires.stream_refused(way, remote);
                }
            }
            Input::StreamLost(local) => {
                if let Some(live) = self.live_mut() {
                    live.wires.stream_lost(now, local);
                }
            }
            Input::Datagram(datagram) => {
                if let Some(live) = self.live_mut() {
                    live.wires.handle_datagram(now, datagram);
                }
            }
        }
        self.settle(now);
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        if let Some(live) = self.live_mut() {
            live.wires.handle_timeout(now);
        }
        if matches!(self.state, State::Connected(_)) {
            self.publications_timeout(now);
            self.tell_sizes(now);
            self.subscriptions_timeout(now);
            if self.publications.is_held {
                self.watch_backlog(now);
            }
        }
        match &self.state {
            State::New | State::Over => {}
            State::Joining(joining) if now >= joining.deadline => self.join_timed_out(now),
            State::Joining(_) => {}
            State::Connected(_) => self.watch_link(now),
            State::Reconnecting(_) => self.reconnect_timeout(now),
            // `settle` sees to it.
            State::Farewell(_) => {}
        }
        self.settle(now);
    }

    /// What the world has to do, in order.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Core::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let own = match &self.state {
            State::New | State::Over => None,
            State::Joining(joining) => Some(joining.deadline),
            State::Connected(live) => {
                let media = [self.publications.poll_timeout(), self.subscriptions.poll_timeout()];
                media.into_iter().flatten().chain(live.poll_timeout()).min()
            }
            State::Reconnecting(reconnecting) => Some(reconnecting.poll_timeout()),
            State::Farewell(farewell) => Some(farewell.until),
        };
        let wires = self.live().and_then(|live| live.wires.poll_timeout());
        [own, wires].into_iter().flatten().min()
    }

    /// Nothing will come out any more, whatever goes in.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// Who this client is for its server now.
    pub(super) fn token(&self) -> &str {
        self.refreshed.as_deref().unwrap_or(&self.config.token)
    }

    pub(super) fn push(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    pub(super) fn say(&mut self, events: impl IntoIterator<Item = Event>) {
        self.outputs.extend(events.into_iter().map(Output::Event));
    }

    pub(super) fn live(&self) -> Option<&Live> {
        match &self.state {
            State::Joining(Joining { step: JoinStep::Wiring(live), .. }) | State::Connected(live) => {
                Some(live)
            }
            State::Reconnecting(reconnecting) => Some(&reconnecting.live),
            State::Farewell(farewell) => farewell.live.as_deref(),
            State::New | State::Joining(_) | State::Over => None,
        }
    }

    pub(super) fn live_mut(&mut self) -> Option<&mut Live> {
        match &mut self.state {
            State::Joining(Joining { step: JoinStep::Wiring(live), .. }) | State::Connected(live) => {
                Some(live)
            }
            State::Reconnecting(reconnecting) => Some(&mut reconnecting.live),
            State::Farewell(farewell) => farewell.live.as_deref_mut(),
            State::New | State::Joining(_) | State::Over => None,
        }
    }

    fn link_opened(&mut self, now: Instant) {
        match &mut self.state {
            State::Joining(joining) => joining.step = JoinStep::Asking,
            State::Reconnecting(reconnecting) => reconnecting.link_opened(now),
            State::Farewell(_) => self.farewell_link_opened(),
            State::New | State::Connected(_) | State::Over => {}
        }
    }

    fn link_lost(&mut self, now: Instant, fault: Option<Fault>) {
        match &self.state {
            State::Joining(_) => {
                let mut fault =
                    fault.unwrap_or_else(|| Fault::new(Reason::Dropped, "the server closed the connection"));
                // What breaks before it is a session was never one that could be dropped.
                if fault.reason == Reason::Dropped {
                    fault = Fault::new(
                        Reason::ConnectionFailed,
                        format!("{} before it let this client in", fault.text),
                    );
                }
                self.end(now, Ending::Failed(fault));
            }
            State::Connected(_) => self.begin_reconnect(now, false),
            State::Reconnecting(_) => self.try_failed(now, fault),
            State::Farewell(_) => self.farewell_link_lost(now),
            State::New | State::Over => {}
        }
    }

    fn frame(&mut self, now: Instant, bytes: &[u8]) {
        match FromServer::decode(bytes) {
            Ok(Some(frame)) => self.message(now, frame),
            Ok(None) => log::debug!("a message of a newer protocol was skipped"),
            Err(_) => {
                let fault =
                    Fault::new(Reason::ConnectionFailed, "the server does not speak LiveKit's protocol");
                if matches!(self.state, State::Connected(_) | State::Reconnecting(_)) {
                    self.push(Output::Cut);
                }
                self.link_lost(now, Some(fault));
            }
        }
    }

    /// What follows from every input: what the peer connections have to say, and whether data gets through by now.
    fn settle(&mut self, now: Instant) {
        while let Some(output) = self.live_mut().and_then(|live| live.wires.poll()) {
            self.wires_output(now, output);
        }
        match &self.state {
            State::Joining(Joining { step: JoinStep::Wiring(live), .. }) if live.wires.is_open() => {
                self.connected(now)
            }
            State::Reconnecting(reconnecting) if reconnecting.is_wired() => self.reconnected(now),
            State::Farewell(_) => self.farewell_timeout(now),
            _ => {}
        }
    }
}

/// SplitMix64: numbers without a clock or a system call. Not for secrets.
pub(super) struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Between half of it and all of it.
    pub fn jitter(&mut self, wait: Duration) -> Duration {
        let half = wait / 2;
        half + half.mul_f64((self.next() >> 11) as f64 / (1u64 << 53) as f64)
    }
}
