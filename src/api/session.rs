//! A session as the program holds it: connected, left and connected again.
//!
//! The core decides what happens; this decides what the program still hears of it. The program's own word comes first:
//! once it has disconnected it hears the end and nothing else, once it has deleted it hears nothing.

mod ear;
mod secret;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::count::Count;
use super::library::{self, Means};
use super::line::Line;
use super::logger;
use super::publisher::{self, Publisher};
use super::subscriber::{self, Subscriber};
use super::way::Way;
use super::{Error, hexadecimal, random};
use crate::driver::callbacks::{self, Gate, Poster};
use crate::driver::session::{Attempt, attempt};
use crate::driver::sound::Sound;
use crate::driver::workers::Workers;
use crate::media::encryption::Keyring;
use crate::session::ice::IceConfig;
use crate::session::media::{PublicationId, PublisherEvent, SubscriberEvent, SubscriptionId};
use crate::session::{
    Capabilities, Config, Connection, Input, Moderation, QUEUE_LENGTH_MAX, Reason, Signal, Stream,
    StreamChange,
};
use crate::signal::address::Address;
use crate::signal::signals::{self, SignalError};
use ear::Ear;

pub use crate::session::Target;

/// How long a deletion on the program's own thread waits for the farewell to be with the kernel: the program may
/// exit right after. Within the 100 ms that no call may exceed.
const FAREWELL_WAIT: Duration = Duration::from_millis(50);

/// How long a deletion on a thread that brings pictures waits for capturers to be destroyed: one of them may be waiting for
/// this very thread. Long enough for one that does not.
const OWN_CAPTURER_WAIT: Duration = Duration::from_millis(50);

/// How long an unsubscribing waits for a callback that has just begun. Long enough for it to come to the program's code; how
/// long that takes is the program's affair, which may hold a lock here that it wants there.
const UNSUBSCRIBE_WAIT: Duration = Duration::from_millis(50);

/// How often statistics are told; the platform that is mirrored does so about once a second.
const STATISTICS_INTERVAL: Duration = Duration::from_secs(1);

/// One callback of the program.
#[derive(Debug, Clone, PartialEq)]
pub enum Notice {
    Connected,
    Disconnected,
    ConnectionCreated(Arc<Connection>),
    ConnectionDropped(Arc<Connection>),
    StreamReceived(Arc<Stream>),
    StreamDropped(Arc<Stream>),
    StreamChanged { stream: Arc<Stream>, change: StreamChange },
    SignalReceived { kind: String, data: String, from: Option<Arc<Connection>> },
    ReconnectionStarted,
    Reconnected,
    ArchiveStarted { id: String, name: String },
    ArchiveStopped { id: String },
    MuteForced { active: bool },
    Error { reason: Reason, text: String },
}

/// The program's side. Called on the callback thread, with no lock held; may call anything.
pub trait Observer: Send + Sync + 'static {
    fn notify(&self, notice: Notice);
    /// Whether the program has a function for it. Others are not kept for the callback thread.
    fn hears(&self, notice: &Notice) -> bool;
}

#[derive(Clone, PartialEq, Eq, Default)]
pub struct Settings {
    pub connection_events_suppressed: bool,
    pub ice: Option<IceConfig>,
    pub proxy_url: Option<String>,
    pub ip_whitelist: bool,
    pub session_migration: bool,
}

/// See the module's text.
pub struct Session {
    api_key: String,
    id: String,
    settings: Settings,
    observer: Arc<dyn Observer>,
    /// Callbacks of publishers and subscribers go through it too, as long as they are about this session.
    gate: Arc<Gate>,
    inner: Mutex<Inner>,
    /// Of all media, sent and received.
    keyring: Keyring,
    /// Attempts that have not ended, or whose last words are not with the kernel yet.
    talking: Arc<Count>,
    /// Publishings whose capturer may run.
    filming: Arc<Count>,
}

#[derive(Default)]
struct Inner {
    phase: Phase,
    attempt: Option<Attempt>,
    /// Set by the program's own disconnect: what is queued for it is not wanted any more.
    has_asked: Arc<AtomicBool>,
    capabilities: Capabilities,
    connection: Option<Arc<Connection>>,
    /// Ids of the other clients' connections, unless their events are suppressed.
    others: HashSet<String>,
    /// Ids of the other clients' streams.
    streams: HashSet<String>,
    /// Signals that wait for the end of a reconnection.
    queued: usize,
    /// Those that are in the session, or were until a moment ago and have to hear of it.
    publishers: HashMap<PublicationId, Publishing>,
    subscribers: HashMap<SubscriptionId, Arc<Subscriber>>,
    /// Statistics are told every second.
    is_counting: bool,
    equipment: Option<Equipment>,
}

struct Publishing {
    publisher: Arc<Publisher>,
    line: Line,
    /// Once it has been announced.
    stream: Option<Arc<Stream>>,
}

/// What publishers and subscribers of this session are lent.
#[derive(Clone)]
struct Equipment {
    runtime: tokio::runtime::Handle,
    poster: Poster,
    workers: Workers,
    sound: Sound,
}

#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Phase {
    #[default]
    Idle,
    Connecting,
    Connected,
    Reconnecting,
    Disconnecting,
    Deleted,
}

impl Session {
    /// No validation: nonsense is told by `Notice::Error` after `connect`.
    pub fn new(
        api_key: String,
        session_id: String,
        settings: Settings,
        observer: Arc<dyn Observer>,
    ) -> Arc<Self> {
        Arc::new(Self {
            api_key,
            id: session_id,
            settings,
            observer,
            gate: Arc::default(),
            inner: Mutex::default(),
            keyring: Keyring::default(),
            talking: Arc::default(),
            filming: Arc::default(),
        })
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    /// To where the session's id, the environment or the configuration says.
    pub fn connect(self: &Arc<Self>, token: String) -> Result<(), Error> {
        let (way, room) = Way::find(&self.id, &self.settings);
        self.connect_by(way, room, token)
    }

    /// As [`Self::connect`], to the server at this URL instead. There the session's id is the room.
    pub fn connect_to(self: &Arc<Self>, url: &str, token: String) -> Result<(), Error> {
        let address = Address::parse(url).map_err(|error| {
            log::warn!("a session was not connected to the host that the program named: {error}");
            Error::InvalidParameter
        })?;
        self.connect_by(Way::to(address, &self.settings), Some(self.id.clone()), token)
    }

    fn connect_by(self: &Arc<Self>, way: Way, room: Option<String>, token: String) -> Result<(), Error> {
        if self.inner.lock().phase != Phase::Idle {
            return Err(Error::IllegalState);
        }
        let means = library::means(self)?;
        let _held = logger::hold();
        let mut inner = self.inner.lock();
        if inner.phase != Phase::Idle {
            return Err(Error::IllegalState);
        }
        inner.phase = Phase::Connecting;
        inner.has_asked = Arc::default();
        inner.equipment = Some(Equipment {
            runtime: means.runtime.clone(),
            poster: means.poster.clone(),
            workers: means.workers.clone(),
            sound: means.sound.clone(),
        });
        self.make_key(&means.workers);
        let listener = Arc::new(Ear::new(self, means.poster.clone(), inner.has_asked.clone()));
        inner.attempt = Some(self.begin(means, way, room, token, listener));
        Ok(())
    }

    fn begin(
        &self,
        means: Means,
        way: Way,
        room: Option<String>,
        token: String,
        listener: Arc<Ear>,
    ) -> Attempt {
        let config = Config {
            session_id: self.id.clone(),
            room,
            api_key: self.api_key.clone(),
            token,
            connection_events_suppressed: self.settings.connection_events_suppressed,
            migrates: self.settings.session_migration,
            // The hub is on this machine: no TURN server leads there.
            ice: self.settings.ice.clone().filter(|_| !way.is_hub()).unwrap_or_default(),
            seed: u64::from_le_bytes(random()),
            keyring: self.keyring.clone(),
        };
        let (attempt, run) = attempt(config, Arc::new(way), listener);
        let counted = means.attempts.count_in();
        means.runtime.spawn(async move {
            run.await;
            drop(counted);
        });
        attempt
    }

    pub fn disconnect(&self) -> Result<(), Error> {
        let _held = logger::hold();
        let mut inner = self.inner.lock();
        match inner.phase {
            Phase::Connecting | Phase::Connected | Phase::Reconnecting => inner.leave(Phase::Disconnecting),
            Phase::Idle | Phase::Disconnecting | Phase::Deleted => return Err(Error::NotConnected),
        }
        Ok(())
    }

    /// The outcome is the publisher's to hear.
    pub fn publish(self: &Arc<Self>, publisher: &Arc<Publisher>) -> Result<(), Error> {
        let _held = logger::hold();
        let mut inner = self.inner.lock();
        inner.check_connected()?;
        let (Some(attempt), Some(equipment)) = (&inner.attempt, inner.equipment.clone()) else {
            return Err(Error::NotConnected);
        };
        let Equipment { runtime, poster, workers, sound } = equipment;
        let port = attempt.media_port();
        let line = Line::new(poster, self.gate.clone());
        let place = publisher::Place {
            session: self.clone(),
            port,
            line: line.clone(),
            filming: self.filming.clone(),
            workers,
            sound,
            runtime: runtime.clone(),
            keyring: self.keyring.is_set().then(|| self.keyring.clone()),
        };
        let id = publisher.place(place)?;
        inner.publishers.insert(id, Publishing { publisher: publisher.clone(), line, stream: None });
        self.count(&mut inner, &runtime);
        Ok(())
    }

    pub fn unpublish(&self, publisher: &Arc<Publisher>) -> Result<(), Error> {
        let _held = logger::hold();
        let inner = self.inner.lock();
        let id = publisher.publication().filter(|id| inner.publishers.contains_key(id));
        let id = id.ok_or(Error::PublisherNotFound)?;
        // In this order: what the publisher has not wished yet it does not wish any more.
        publisher.leave(id, None);
        inner.wish(Input::Unpublish(id));
        Ok(())
    }

    /// The outcome is the subscriber's to hear.
    pub fn subscribe(self: &Arc<Self>, subscriber: &Arc<Subscriber>) -> Result<(), Error> {
        let _held = logger::hold();
        let mut inner = self.inner.lock();
        inner.check_connected()?;
        let (Some(attempt), Some(equipment)) = (&inner.attempt, inner.equipment.clone()) else {
            return Err(Error::NotConnected);
        };
        let Equipment { runtime, poster, workers, sound } = equipment;
        let port = attempt.media_port();
        let (session, keyring) = (self.clone(), self.keyring.clone());
        let line = Line::new(poster, self.gate.clone());
        let has_left = inner.has_asked.clone();
        let place = subscriber::Place { session, port, line, has_left, workers, sound, keyring };
        let id = subscriber.place(place)?;
        inner.subscribers.insert(id, subscriber.clone());
        self.count(&mut inner, &runtime);
        Ok(())
    }

    pub fn unsubscribe(&self, subscriber: &Arc<Subscriber>) -> Result<(), Error> {
        let line = {
            let _held = logger::hold();
            let mut inner = self.inner.lock();
            let id = subscriber.subscription().filter(|id| inner.subscribers.contains_key(id));
            let id = id.ok_or(Error::SubscriberNotFound)?;
            inner.subscribers.remove(&id);
            inner.wish(Input::Unsubscribe(id));
            subscriber.leave(id)
        };
        if let Some(line) = line {
            line.wait(Instant::now() + UNSUBSCRIBE_WAIT);
        }
        Ok(())
    }

    /// A subscriber has left for good; it has told the connection itself.
    pub(super) fn forget(&self, id: SubscriptionId) {
        let gone = self.inner.lock().subscribers.remove(&id);
        drop(gone); // without the lock
    }

    /// After it has returned no notice starts, of those who were in it neither, and their capturers are destroyed. On
    /// the program's own thread it waits for what runs, for all together at most [`callbacks::DELETE_TIMEOUT`]; inside a
    /// callback it does not wait.
    pub fn delete(&self) {
        let deadline = Instant::now() + callbacks::DELETE_TIMEOUT;
        self.end();
        self.close_gate(deadline);
        if !callbacks::is_inside_callback() {
            self.talking.wait(deadline.min(Instant::now() + FAREWELL_WAIT));
            // On the callback thread: they are the program's functions, and it may hold a lock here that they take.
            self.filming.wait(match publisher::brings_pictures() {
                true => Instant::now() + OWN_CAPTURER_WAIT,
                false => deadline,
            });
            self.release_device(deadline);
        }
    }

    /// Has statistics told while there are publishers or subscribers.
    fn count(self: &Arc<Self>, inner: &mut Inner, runtime: &tokio::runtime::Handle) {
        if std::mem::replace(&mut inner.is_counting, true) {
            return;
        }
        let session = Arc::downgrade(self);
        runtime.spawn(async move {
            loop {
                tokio::time::sleep(STATISTICS_INTERVAL).await;
                let Some(session) = session.upgrade() else { return };
                let (publishers, subscribers) = session.members();
                publishers.iter().for_each(|publisher| publisher.count());
                subscribers.iter().for_each(|subscriber| subscriber.count());
                let mut inner = session.inner.lock();
                if inner.publishers.is_empty() && inner.subscribers.is_empty() {
                    inner.is_counting = false;
                    return;
                }
            }
        });
    }

    /// Once nobody publishes or subscribes any more the audio device has been stopped.
    fn release_device(&self, deadline: Instant) {
        let sound = self.inner.lock().equipment.take().map(|equipment| equipment.sound);
        if let Some(sound) = sound {
            sound.release_and_wait(deadline);
        }
    }

    /// A deletion that waits for nothing: not for a callback that runs, not for the farewell.
    pub fn end(&self) {
        let _held = logger::hold();
        // First: nobody is told what comes of leaving.
        self.gate.shut();
        self.inner.lock().leave(Phase::Deleted);
    }

    /// The second half: no callback starts any more.
    pub(super) fn close_gate(&self, deadline: Instant) {
        self.gate.close(deadline);
    }

    pub fn send_signal(
        &self,
        kind: String,
        data: String,
        target: Target,
        retry_after_reconnect: bool,
    ) -> Result<(), Error> {
        signals::validate(&kind, &data).map_err(|error| match error {
            SignalError::DataTooLong => Error::SignalDataTooLong,
            SignalError::KindTooLong => Error::SignalTypeTooLong,
            SignalError::InvalidKind => Error::InvalidSignalType,
        })?;
        if let Target::Connection(connection) = &target
            && connection.session_id != self.id
        {
            return Err(Error::InvalidParameter);
        }
        let mut inner = self.inner.lock();
        match inner.phase {
            Phase::Connected | Phase::Reconnecting if !inner.capabilities.signal => {
                return Err(Error::UnableToSendSignal);
            }
            Phase::Connected => {}
            Phase::Reconnecting if retry_after_reconnect && inner.queued >= QUEUE_LENGTH_MAX => {
                return Err(Error::UnableToSendSignal);
            }
            Phase::Reconnecting => inner.queued += usize::from(retry_after_reconnect),
            Phase::Idle | Phase::Connecting | Phase::Disconnecting | Phase::Deleted => {
                return Err(Error::NotConnected);
            }
        }
        inner.wish(Input::Signal(Signal { kind, data, target, retry_after_reconnect }));
        Ok(())
    }

    pub fn force_mute_stream(&self, stream_id: &str) -> Result<(), Error> {
        let inner = self.inner.lock();
        inner.check_may_mute()?;
        let is_own =
            |publishing: &Publishing| publishing.stream.as_ref().is_some_and(|stream| stream.id == stream_id);
        if !inner.streams.contains(stream_id) && !inner.publishers.values().any(is_own) {
            return Err(Error::UnableToForceMute);
        }
        inner.wish(Input::Moderate(Moderation::Mute { stream_id: stream_id.into() }));
        Ok(())
    }

    /// Ids that nobody has are no mistake: the stream may just have ended.
    pub fn force_mute_all(&self, excluded: Vec<String>) -> Result<(), Error> {
        let inner = self.inner.lock();
        inner.check_may_mute()?;
        inner.wish(Input::Moderate(Moderation::MuteAll { excluded }));
        Ok(())
    }

    pub fn disable_force_mute(&self) -> Result<(), Error> {
        let inner = self.inner.lock();
        inner.check_may_mute()?;
        inner.wish(Input::Moderate(Moderation::EndMute));
        Ok(())
    }

    /// Where connection events are suppressed the server alone knows whether the client is still there; then as with
    /// everything else that goes wrong after this has returned, the log says so.
    pub fn force_disconnect(&self, connection: &Connection) -> Result<(), Error> {
        self.check_connected()?;
        let inner = self.inner.lock();
        let is_known = self.settings.connection_events_suppressed
            || inner.others.contains(&connection.id)
            || inner.connection.as_ref().is_some_and(|own| own.id == connection.id);
        if !inner.capabilities.force_disconnect || connection.session_id != self.id || !is_known {
            return Err(Error::UnableToForceDisconnect);
        }
        let connection_id = connection.id.clone();
        inner.wish(Input::Moderate(Moderation::Remove { connection_id }));
        Ok(())
    }

    /// A new id under which the description stands in the log.
    pub fn report_issue(&self, description: &str) -> Result<String, Error> {
        let id = hexadecimal(random());
        let phase = self.inner.lock().phase.name();
        log::info!("issue {id}, session {}: {description}", phase);
        Ok(id)
    }

    /// All false until `Notice::Connected` and after `Notice::Disconnected`.
    pub fn capabilities(&self) -> Capabilities {
        self.inner.lock().capabilities
    }

    /// This client's own connection while it is connected or reconnecting.
    pub fn connection(&self) -> Option<Arc<Connection>> {
        self.inner.lock().connection.clone()
    }

    /// Whether an action that needs a connected session may be asked for.
    pub fn check_connected(&self) -> Result<(), Error> {
        self.inner.lock().check_connected()
    }

    /// Publishers and subscribers that are in it.
    pub(super) fn members(&self) -> (Vec<Arc<Publisher>>, Vec<Arc<Subscriber>>) {
        let inner = self.inner.lock();
        let publishers = inner.publishers.values().map(|publishing| publishing.publisher.clone());
        (publishers.collect(), inner.subscribers.values().cloned().collect())
    }
}

impl Phase {
    fn name(self) -> &'static str {
        match self {
            Self::Idle => "not connected",
            Self::Connecting => "connecting",
            Self::Connected => "connected",
            Self::Reconnecting => "reconnecting",
            Self::Disconnecting => "disconnecting",
            Self::Deleted => "deleted",
        }
    }
}

impl Inner {
    fn wish(&self, input: Input) {
        if let Some(attempt) = &self.attempt {
            attempt.wish(input);
        }
    }

    fn leave(&mut self, phase: Phase) {
        if self.phase != Phase::Deleted {
            self.phase = phase;
        }
        self.has_asked.store(true, Ordering::SeqCst);
        // None of them is in a session from here on; that the streams have ended is still told.
        for (id, publishing) in &self.publishers {
            publishing.publisher.leave(*id, None);
        }
        self.wish(Input::Leave);
        for (id, subscriber) in self.subscribers.drain() {
            subscriber.leave(id);
        }
    }

    fn check_connected(&self) -> Result<(), Error> {
        match self.phase {
            Phase::Connected | Phase::Reconnecting => Ok(()),
            _ => Err(Error::NotConnected),
        }
    }

    fn check_may_mute(&self) -> Result<(), Error> {
        self.check_connected()?;
        if self.capabilities.force_mute { Ok(()) } else { Err(Error::UnableToForceMute) }
    }

    fn publisher_event(&mut self, id: PublicationId, event: PublisherEvent) {
        let Some(publishing) = self.publishers.get_mut(&id) else { return };
        if let PublisherEvent::Published { stream, .. }
        | PublisherEvent::Renewed { stream, .. }
        | PublisherEvent::Changed(stream) = &event
        {
            publishing.stream = Some(stream.clone());
        }
        let fault = match event {
            PublisherEvent::Ended => None,
            PublisherEvent::Failed(fault) => Some(fault),
            event => return publishing.publisher.hear(id, &publishing.line, event),
        };
        if let Some(Publishing { publisher, line, stream }) = self.publishers.remove(&id) {
            let error = fault.map(publisher::Notice::Error);
            let destroyed = stream.map(publisher::Notice::StreamDestroyed);
            publisher.leave(id, Some((&line, error.into_iter().chain(destroyed).collect())));
        }
    }

    fn subscriber_event(&mut self, id: SubscriptionId, event: SubscriberEvent) {
        let Some(subscriber) = self.subscribers.get(&id) else { return };
        let is_over = matches!(event, SubscriberEvent::Failed(_));
        subscriber.hear(id, event);
        if is_over {
            self.subscribers.remove(&id);
        }
    }
}
