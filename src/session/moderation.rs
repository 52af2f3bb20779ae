//! Moderation: what this client does to others, by the server's hand.
//!
//! The server has an interface of its own for that, beside the signalling connection; what to ask it is decided here,
//! asking is the driver's part. The program has its answer by then: a call that fails is a line in the log.

use super::core::{Core, Output, State};
use super::live::Live;
use crate::signal::service::Call;

impl Core {
    /// Removes another client, or this one. While reconnecting it waits: the server that would have to do it may be
    /// gone, and the one that takes its place knows nobody yet.
    pub(super) fn force_disconnect(&mut self, connection_id: String) {
        match &mut self.state {
            State::Connected(_) => self.call_to_remove(&connection_id),
            State::Reconnecting(reconnecting) => reconnecting.hold_removal(connection_id),
            State::New | State::Joining(_) | State::Farewell(_) | State::Over => {}
        }
    }

    pub(super) fn call_to_remove(&mut self, connection_id: &str) {
        let State::Connected(live) = &self.state else { return };
        let Some(identity) = identity(live, connection_id) else {
            log::info!("a client was not removed: it has left the session already");
            return;
        };
        let room = self.config.room.as_ref().unwrap_or(&self.config.session_id).clone();
        let call = Call::RemoveParticipant { room, identity };
        let token = self.config.token.clone();
        self.push(Output::Call { call, token });
    }
}

fn identity(live: &Live, connection_id: &str) -> Option<String> {
    let own = Some(&live.own).filter(|own| own.id == connection_id);
    own.or_else(|| live.roster.find(connection_id)).map(|connection| connection.identity.clone())
}
