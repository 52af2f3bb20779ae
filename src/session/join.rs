//! New → Joining → Connected.

use std::time::{Duration, Instant};

use super::core::{Core, JoinStep, Joining, Output, State};
use super::event::Ending;
use super::live::Live;
use super::{Event, Fault, Reason};
use crate::signal::join::{JoinQuery, PROTOCOL};
use crate::signal::proto::JoinResponse;
use crate::signal::token::Token;

/// How long a join may take. Shorter than the patience of a user, longer than a cold TLS handshake on a slow link.
pub const JOIN_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest session id of the platform that is mirrored; LiveKit's room names are shorter than that by default.
pub const SESSION_ID_LENGTH_MAX: usize = 255;

impl Core {
    pub(super) fn join(&mut self, now: Instant) {
        if !matches!(self.state, State::New) {
            return;
        }
        let deadline = now + JOIN_TIMEOUT;
        self.state = State::Joining(Joining { deadline, step: JoinStep::Dialling });
        if let Err(fault) = self.check() {
            return self.end(now, Ending::Failed(fault));
        }
        let query = self.query();
        self.dial(query, None);
    }

    /// What needs no server to be known.
    fn check(&self) -> Result<(), Fault> {
        let length = self.config.session_id.chars().count();
        if length == 0 {
            return Err(Fault::new(Reason::InvalidSession, "the session id is empty"));
        }
        if length > SESSION_ID_LENGTH_MAX {
            let text = format!(
                "the session id has {length} characters, at most {SESSION_ID_LENGTH_MAX} are allowed"
            );
            return Err(Fault::new(Reason::InvalidSession, text));
        }
        if self.config.token.is_empty() {
            return Err(Fault::new(Reason::Authorization, "the token is empty"));
        }
        // A LiveKit server goes by the token alone and would lead this client into another room. What cannot be read
        // here is the server's to judge.
        if let Some(room) = &self.config.room
            && let Ok(token) = Token::parse(&self.config.token)
        {
            let claims = token.claims();
            if !claims.session_id.is_empty() && claims.session_id != *room {
                return Err(Fault::new(Reason::Authorization, "the token is for another session"));
            }
            if claims.api_key != self.config.api_key {
                return Err(Fault::new(Reason::Authorization, "the token is for another API key"));
            }
        }
        Ok(())
    }

    /// What every dial of this session asks for.
    pub(super) fn query(&self) -> JoinQuery {
        JoinQuery {
            protocol: PROTOCOL,
            sdk: "cpp".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            auto_subscribe: false,
            room: self.config.room.clone(),
            inline_data: true,
            client: Some(format!("{:016x}", self.config.seed)),
            api_key: Some(self.config.api_key.clone()),
            ..JoinQuery::default()
        }
    }

    pub(super) fn dial(&mut self, query: JoinQuery, address: Option<String>) {
        let token = self.token().to_owned();
        self.push(Output::Dial { query, token, address });
    }

    /// The server's first answer. `inline`: it is this library too, and data travels inside the link.
    pub(super) fn joined(&mut self, now: Instant, join: JoinResponse, inline: bool) {
        let Some(live) = Live::new(now, join, inline, &self.config, None) else {
            let text = "the server's answer to the join names no participant";
            return self.end(now, Ending::Failed(Fault::new(Reason::UnexpectedAnswer, text)));
        };
        let State::Joining(joining) = &mut self.state else { return };
        let mut live = Box::new(live);
        if !inline {
            live.wires.want_sockets();
        }
        joining.step = JoinStep::Wiring(live);
    }

    /// Signals can be sent and heard: the program may know.
    pub(super) fn connected(&mut self, now: Instant) {
        let State::Joining(Joining { step: JoinStep::Wiring(mut live), .. }) =
            std::mem::replace(&mut self.state, State::Over)
        else {
            return;
        };
        self.say([Event::Connected { connection: live.own.clone(), capabilities: live.capabilities }]);
        self.say(live.roster.everything());
        self.say(live.recording());
        self.say(live.early_signals(now));
        self.state = State::Connected(live);
    }

    pub(super) fn join_timed_out(&mut self, now: Instant) {
        let State::Joining(joining) = &self.state else { return };
        let text = match joining.step {
            JoinStep::Dialling => "the server could not be reached in time",
            JoinStep::Asking => "the server did not answer the join in time",
            JoinStep::Wiring(_) => {
                "the data channel to the server did not open in time; are its UDP ports reachable?"
            }
        };
        self.end(now, Ending::Failed(Fault::new(Reason::TimedOut, text)));
    }
}
