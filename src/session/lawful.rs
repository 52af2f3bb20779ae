//! The lawful sequences of callbacks, as a model that all tests share.
//!
//! It knows nothing of how a session works, only what a program may hear after what: the event rules of the C
//! interface in a form that can be run. A test tells it what the program did and what it heard.

use std::collections::{HashMap, HashSet};

/// What the program did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    Connect,
    /// It was accepted: the call returned success.
    Disconnect,
    Delete,
}

/// What the program heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    Connected,
    Disconnected,
    ConnectionCreated(String),
    ConnectionDropped(String),
    StreamReceived {
        stream: String,
        connection: String,
    },
    StreamDropped(String),
    /// A stream changed, a signal came, a recording began: anything that needs a session and changes nothing here.
    Something,
    ReconnectionStarted,
    Reconnected,
    /// `fatal`: not a warning such as 1550, which ends nothing.
    Error {
        fatal: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    Connecting,
    Connected,
    Reconnecting,
    /// The program has disconnected; one thing may still be heard.
    Leaving,
    /// The error was heard; the end must follow.
    Lost,
    Deleted,
}

/// One session of one program.
#[derive(Debug)]
pub struct Model {
    state: State,
    /// Connections that were announced, none where they are suppressed.
    connections: HashSet<String>,
    streams: HashMap<String, String>,
    suppressed: bool,
    /// For the message when the law is broken.
    history: Vec<String>,
}

impl Model {
    pub fn new(suppressed: bool) -> Self {
        let (connections, streams) = Default::default();
        Self { state: State::Idle, connections, streams, suppressed, history: Vec::new() }
    }

    pub fn did(&mut self, deed: Deed) {
        self.history.push(format!("program: {deed:?}"));
        self.state = match (deed, self.state) {
            (Deed::Delete, _) => State::Deleted,
            (Deed::Connect, State::Idle) => State::Connecting,
            (Deed::Disconnect, State::Connecting | State::Connected | State::Reconnecting) => State::Leaving,
            // Accepted when it should not have been, or refused: the state stays.
            (Deed::Connect | Deed::Disconnect, state) => state,
        };
    }

    /// Panics with the whole history where the law is broken.
    pub fn heard(&mut self, heard: Heard) {
        self.history.push(format!("heard: {heard:?}"));
        let lawful = self.judge(&heard);
        assert!(lawful, "unlawful callback in state {:?}:\n{}", self.state, self.history.join("\n"));
    }

    /// No callback is owed: it was deleted, or the last attempt has ended, or it never began.
    pub fn is_at_rest(&self) -> bool {
        matches!(self.state, State::Idle | State::Deleted)
    }

    pub fn is_connected(&self) -> bool {
        self.state == State::Connected
    }

    pub fn connections(&self) -> &HashSet<String> {
        &self.connections
    }

    pub fn history(&self) -> String {
        self.history.join("\n")
    }

    fn judge(&mut self, heard: &Heard) -> bool {
        use State::{Connected, Connecting, Leaving, Lost, Reconnecting};
        match (self.state, heard) {
            (Connecting, Heard::Connected) => {
                self.state = Connected;
                true
            }
            (Connecting, Heard::Error { fatal: true }) => self.rest(),
            (Connected | Reconnecting | Leaving | Lost, Heard::Disconnected) => self.rest(),
            (Connected | Reconnecting, Heard::Error { fatal: true }) => {
                self.state = Lost;
                true
            }
            (Connected | Reconnecting, Heard::Error { fatal: false }) => true,
            (Connected, Heard::ReconnectionStarted) => {
                self.state = Reconnecting;
                true
            }
            (Reconnecting, Heard::Reconnected) => {
                self.state = Connected;
                true
            }
            (Connected, Heard::ConnectionCreated(id)) => {
                !self.suppressed && self.connections.insert(id.clone())
            }
            (Connected, Heard::ConnectionDropped(id)) => {
                !self.streams.values().any(|owner| owner == id) && self.connections.remove(id)
            }
            (Connected, Heard::StreamReceived { stream, connection }) => {
                let is_known = self.suppressed || self.connections.contains(connection);
                is_known && self.streams.insert(stream.clone(), connection.clone()).is_none()
            }
            (Connected, Heard::StreamDropped(stream)) => self.streams.remove(stream).is_some(),
            (Connected, Heard::Something) => true,
            _ => false,
        }
    }

    /// The attempt is over.
    fn rest(&mut self) -> bool {
        self.state = State::Idle;
        self.connections.clear();
        self.streams.clear();
        true
    }
}
