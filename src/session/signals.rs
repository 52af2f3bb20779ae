//! Signals: sent, echoed, kept while reconnecting, and heard.

use std::collections::VecDeque;
use std::time::Instant;

use super::core::{Core, Output, Signal, State, Target};
use super::{Event, Fault, Reason};
use crate::signal::frame::FromClient;
use crate::signal::proto::DataPacket;
use crate::signal::signals;

/// How many signals wait for the end of a reconnection. About one a frame for half a minute.
pub const QUEUE_LENGTH_MAX: usize = 1000;

/// Signals that wait for the end of a reconnection.
#[derive(Default)]
pub(super) struct Queue(VecDeque<Signal>);

impl Queue {
    pub fn drain(self) -> impl Iterator<Item = Signal> {
        self.0.into_iter()
    }
}

impl Core {
    pub(super) fn send_signal(&mut self, now: Instant, signal: Signal) {
        match &mut self.state {
            State::Connected(_) => self.transmit_signal(now, signal),
            State::Reconnecting(_) if !signal.retry_after_reconnect => {
                log::debug!("a signal was not sent: the session is reconnecting, and it was not to be kept");
            }
            State::Reconnecting(reconnecting) if reconnecting.queue.0.len() < QUEUE_LENGTH_MAX => {
                reconnecting.queue.0.push_back(signal);
            }
            State::Reconnecting(_) => {
                let text = "too many signals wait for the reconnection; this one was dropped";
                self.say([Event::Warned(Fault::new(Reason::UnableToSendSignal, text))]);
            }
            State::New | State::Joining(_) | State::Farewell(_) | State::Over => {}
        }
    }

    /// Sends one now. The sender of a broadcast hears it too, as the platform that is mirrored does it.
    pub(super) fn transmit_signal(&mut self, now: Instant, signal: Signal) {
        let State::Connected(live) = &mut self.state else { return };
        let own = live.own.clone();
        let (destination, echo) = match &signal.target {
            Target::Everyone => (Some(Vec::new()), true),
            Target::Connection(connection) if connection.id == own.id => (None, true),
            Target::Connection(connection) => match live.roster.find(&connection.id) {
                Some(known) => (Some(vec![known.identity.clone()]), false),
                None => {
                    log::debug!("a signal was not sent: its connection has left the session");
                    (None, false)
                }
            },
        };
        if let Some(destination) = destination {
            let packet = signals::packet(&signal.kind, &signal.data, destination);
            if live.wires.is_inline() {
                self.outputs.push_back(Output::Send(FromClient::Data(packet).encode()));
            } else {
                live.wires.send(now, packet);
            }
        }
        if echo {
            let Signal { kind, data, .. } = signal;
            self.say([Event::SignalReceived { kind, data, from: Some(own) }]);
        }
    }

    /// A data packet came, by whichever way.
    pub(super) fn packet(&mut self, packet: &DataPacket) {
        let Some(incoming) = signals::read(packet) else { return };
        let Some(live) = self.live() else { return };
        let from = match (incoming.sender_sid.as_deref(), incoming.sender_identity.as_deref()) {
            (None, None) => None,
            (sid, identity) => {
                match live.roster.sender(sid.unwrap_or_default(), identity.unwrap_or_default()) {
                    Some(connection) => Some(connection.clone()),
                    // Its connection was not announced, or was dropped already: there is nobody to name.
                    None => return,
                }
            }
        };
        let event = Event::SignalReceived { kind: incoming.kind, data: incoming.data, from };
        match &mut self.state {
            State::Connected(_) => self.say([event]),
            State::Reconnecting(reconnecting) => reconnecting.hold(vec![event]),
            State::New | State::Joining(_) | State::Farewell(_) | State::Over => {}
        }
    }
}
