//! The only way out.
//!
//! Whatever ends an attempt comes through [`Core::end`]: it says what has to be said, once and in order, and nothing
//! is said after that. Telling the server happens beside it and cannot delay it: a farewell has its own short limit.

use std::time::{Duration, Instant};

use super::core::{Core, JoinStep, Output, State};
use super::event::{Ending, Event};
use super::live::Live;
use super::reconnect::{Reconnecting, Step};
use super::{Fault, Reason};
use crate::signal::frame::FromClient;
use crate::signal::proto::{DisconnectReason, LeaveRequest, leave_request, signal_request};

/// How long the server is given to hear the farewell, and signals that are still under way are given to leave.
/// Longer than a round trip around the world, shorter than anyone notices.
pub const FAREWELL_TIMEOUT: Duration = Duration::from_millis(500);

/// After the end, for the server's sake only.
pub(super) struct Farewell {
    pub until: Instant,
    /// Present while signals are still on their way through its data channel.
    pub live: Option<Box<Live>>,
}

/// What a server's `LeaveRequest` means.
pub(super) enum Dismissal {
    End(Ending),
    Resume,
    Rejoin,
}

impl Core {
    pub(super) fn end(&mut self, now: Instant, ending: Ending) {
        let until = now + FAREWELL_TIMEOUT;
        let polite = matches!(ending, Ending::Left);
        let (next, live) = match std::mem::replace(&mut self.state, State::Over) {
            State::New => (State::Over, None),
            // Ended already: the end is not said twice, and what was begun goes on.
            over @ (State::Farewell(_) | State::Over) => {
                self.state = over;
                return;
            }
            State::Joining(joining) => match joining.step {
                // The request may be with the server already. It would keep a ghost of this client if it were not told.
                JoinStep::Dialling if polite => (State::Farewell(Farewell { until, live: None }), None),
                JoinStep::Dialling => (self.cut(), None),
                JoinStep::Asking => (self.goodbye(), None),
                JoinStep::Wiring(live) => (self.goodbye(), Some(live)),
            },
            State::Connected(mut live) => match polite && live.wires.is_sending() {
                true => (State::Farewell(Farewell { until, live: Some(live) }), None),
                false => (self.goodbye(), Some(live)),
            },
            State::Reconnecting(Reconnecting { live, step, .. }) => match step {
                Step::Asking { .. } | Step::Wiring { .. } => (self.goodbye(), Some(live)),
                // As above, and this server has known this client for long.
                Step::Dialling { .. } if polite => {
                    (State::Farewell(Farewell { until, live: None }), Some(live))
                }
                Step::Dialling { .. } | Step::Waiting { .. } => (self.cut(), Some(live)),
            },
        };
        if let Some(mut live) = live {
            self.close_wires(now, &mut live);
        }
        let subscribers = self.subscriptions.end(&ending);
        self.say(subscribers);
        let publishers = self.publications.end(&ending);
        self.say(publishers);
        self.say([Event::Ended(ending)]);
        self.state = next;
    }

    /// Ends the peer connections in due form: where no link carries a farewell, this is how the server learns of it.
    pub(super) fn close_wires(&mut self, now: Instant, live: &mut Live) {
        for farewell in live.wires.close(now) {
            self.wires_output(now, farewell);
        }
    }

    /// There is nothing to say, or nobody to say it to.
    fn cut(&mut self) -> State {
        self.push(Output::Cut);
        State::Over
    }

    /// Tells the server. The driver keeps the link for as long as that takes, and not longer than the limit.
    fn goodbye(&mut self) -> State {
        let leave = LeaveRequest {
            reason: DisconnectReason::ClientInitiated as i32,
            action: leave_request::Action::Disconnect as i32,
            ..LeaveRequest::default()
        };
        self.push(Output::Send(FromClient::Message(signal_request::Message::Leave(leave)).encode()));
        self.push(Output::HangUp);
        State::Over
    }

    pub(super) fn farewell_link_opened(&mut self) {
        self.state = self.goodbye();
    }

    pub(super) fn farewell_link_lost(&mut self, now: Instant) {
        self.farewell_over(now, |_| State::Over);
    }

    /// Once what was sent has left, or the time for it is over.
    pub(super) fn farewell_timeout(&mut self, now: Instant) {
        let State::Farewell(farewell) = &mut self.state else { return };
        let is_late = now >= farewell.until;
        match farewell.live.as_mut().map(|live| live.wires.is_sending()) {
            Some(is_sending) if is_late || !is_sending => self.farewell_over(now, Self::goodbye),
            None if is_late => self.farewell_over(now, Self::cut),
            _ => {}
        }
    }

    fn farewell_over(&mut self, now: Instant, last: impl FnOnce(&mut Self) -> State) {
        let State::Farewell(farewell) = std::mem::replace(&mut self.state, State::Over) else { return };
        self.state = last(self);
        if let Some(mut live) = farewell.live {
            self.close_wires(now, &mut live);
        }
    }
}

/// Reads a server's farewell; rows D, I and J of the event rules. `migrates`: a server that shuts down is no end.
pub(super) fn dismissal(leave: &LeaveRequest, migrates: bool) -> Dismissal {
    match leave.action() {
        leave_request::Action::Resume => return Dismissal::Resume,
        leave_request::Action::Reconnect => return Dismissal::Rejoin,
        leave_request::Action::Disconnect => {}
    }
    let lost = |text: &str| Dismissal::End(Ending::Lost(Fault::new(Reason::Dropped, text)));
    match leave.reason() {
        DisconnectReason::ParticipantRemoved => Dismissal::End(Ending::Removed),
        DisconnectReason::DuplicateIdentity => lost(
            "another client joined with the same identity; on a LiveKit server each client needs a token with an identity of its own",
        ),
        DisconnectReason::RoomDeleted => lost("the session was deleted on the server"),
        DisconnectReason::RoomClosed => lost("the session was closed by the server"),
        DisconnectReason::ServerShutdown if migrates => Dismissal::Rejoin,
        DisconnectReason::ServerShutdown => lost("the server was shut down"),
        DisconnectReason::ConnectionTimeout => lost("the server lost the connection to this client"),
        DisconnectReason::MediaFailure => {
            lost("the server could not keep the media connection to this client")
        }
        DisconnectReason::StateMismatch | DisconnectReason::Migration => Dismissal::Rejoin,
        DisconnectReason::JoinFailure => lost("the server could not complete the join"),
        DisconnectReason::UnknownReason
        | DisconnectReason::ClientInitiated
        | DisconnectReason::SignalClose
        | DisconnectReason::UserUnavailable
        | DisconnectReason::UserRejected
        | DisconnectReason::SipTrunkFailure
        | DisconnectReason::AgentError => lost("the server ended the connection"),
    }
}
