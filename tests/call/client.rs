//! A program with one session: what it did, what it heard, and whether that was lawful.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::media::Media;
use opentok::session::lawful::{Deed, Heard, Model};
use opentok::session::{Capabilities, Config, Connection, Core, Ending, Event, Output, Reason, Stream};

/// See the module's text.
pub struct Client {
    pub core: Option<Core>,
    pub model: Model,
    config: Config,
    /// Its connections so far: one an attempt, more where a server could not keep the id.
    own: Option<Arc<Connection>>,
    pub others: BTreeMap<String, Arc<Connection>>,
    pub endings: BTreeMap<&'static str, usize>,
    /// For each sender the numbers of the signals heard in this session.
    pub signals: BTreeMap<String, Vec<u64>>,
    pub sent: u64,
    pub media: Media,
    /// Streams of others that can be subscribed to.
    pub streams: BTreeMap<String, Arc<Stream>>,
}

impl Client {
    pub fn new(config: Config) -> Self {
        let model = Model::new(config.connection_events_suppressed);
        Self {
            core: None,
            model,
            config,
            own: None,
            others: BTreeMap::new(),
            endings: BTreeMap::new(),
            signals: BTreeMap::new(),
            sent: 0,
            media: Media::default(),
            streams: BTreeMap::new(),
        }
    }

    /// A new attempt: the session has to be at rest.
    pub fn begin(&mut self, seed: u64) {
        self.model.did(Deed::Connect);
        self.others.clear();
        self.signals.clear();
        self.own = None;
        self.streams.clear();
        self.core = Some(Core::new(Config { seed, ..self.config.clone() }));
    }

    /// The process dies: nothing is heard of it any more, and it hears nothing.
    pub fn die(&mut self) {
        self.core = None;
        self.own = None;
        self.streams.clear();
        self.media.forget();
        self.model = Model::new(self.config.connection_events_suppressed);
        self.others.clear();
        self.signals.clear();
    }

    pub fn own_id(&self) -> Option<&str> {
        self.own.as_ref().map(|own| own.id.as_str())
    }

    pub fn suppressed(&self) -> bool {
        self.config.connection_events_suppressed
    }

    /// Takes one thing that the core wants done; what it says stays here.
    pub fn poll(&mut self) -> Option<Output> {
        loop {
            match self.core.as_mut()?.poll()? {
                Output::Event(event) => self.hear(event),
                output => return Some(output),
            }
        }
    }

    fn hear(&mut self, event: Event) {
        match event {
            Event::Connected { connection, capabilities } => {
                assert_ne!(capabilities, Capabilities::default());
                self.own = Some(connection);
                self.model.heard(Heard::Connected);
            }
            Event::Reconnected { connection, .. } => {
                self.own = Some(connection);
                self.model.heard(Heard::Reconnected);
            }
            Event::ReconnectionStarted => self.model.heard(Heard::ReconnectionStarted),
            Event::ConnectionCreated(connection) => {
                assert_ne!(
                    Some(connection.id.as_str()),
                    self.own_id(),
                    "one's own connection is not announced"
                );
                self.model.heard(Heard::ConnectionCreated(connection.id.clone()));
                self.others.insert(connection.id.clone(), connection);
            }
            Event::ConnectionDropped(connection) => {
                self.model.heard(Heard::ConnectionDropped(connection.id.clone()));
                self.others.remove(&connection.id);
            }
            Event::StreamReceived(stream) => {
                let connection = stream.connection.id.clone();
                self.model.heard(Heard::StreamReceived { stream: stream.id.clone(), connection });
                self.streams.insert(stream.id.clone(), stream);
            }
            Event::StreamDropped(stream) => {
                self.streams.remove(&stream.id);
                self.model.heard(Heard::StreamDropped(stream.id.clone()));
            }
            Event::Publisher { id, event } => self.media.publisher_heard(id, &event),
            Event::Subscriber { id, event } => self.media.subscriber_heard(id, &event),
            Event::SignalReceived { data, from, .. } => {
                self.model.heard(Heard::Something);
                let from = from.map(|from| from.id.clone()).unwrap_or_default();
                self.signals.entry(from).or_default().push(data.parse().expect("a number"));
            }
            Event::StreamChanged { stream, .. } => {
                self.model.heard(Heard::Something);
                self.streams.insert(stream.id.clone(), stream);
            }
            Event::ArchiveStarted { .. } | Event::ArchiveStopped { .. } | Event::MuteForced { .. } => {
                self.model.heard(Heard::Something)
            }
            Event::CapabilitiesChanged(_) => {}
            Event::Moved { .. } => panic!("the server of these tests moves nobody"),
            Event::Warned(fault) => {
                assert_eq!(fault.reason, Reason::UnableToSendSignal);
                self.model.heard(Heard::Error { fatal: false });
            }
            Event::Ended(ending) => self.end(ending),
        }
    }

    fn end(&mut self, ending: Ending) {
        self.media.session_ended();
        let (word, fault) = match ending {
            Ending::Left => ("left", None),
            Ending::Removed => ("removed", None),
            Ending::Failed(fault) => ("failed", Some(fault)),
            Ending::Lost(fault) => ("lost", Some(fault)),
        };
        if let Some(fault) = fault {
            assert!(!fault.text.is_empty());
            self.model.heard(Heard::Error { fatal: true });
        }
        if word != "failed" {
            self.model.heard(Heard::Disconnected);
        }
        assert!(self.model.is_at_rest(), "an end is an end:\n{}", self.model.history());
        *self.endings.entry(word).or_insert(0) += 1;
        self.own = None;
    }
}
