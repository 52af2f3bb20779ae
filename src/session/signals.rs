//! Signals: sent, echoed, kept while reconnecting, and heard.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use prost::Message as _;

use super::core::{Core, Output, Signal, State, Target};
use super::roster::Roster;
use super::{Connection, Event, Fault, Reason};
use crate::media::encryption::{Keyring, Opener};
use crate::signal::frame::FromClient;
use crate::signal::proto::data_packet::Value;
use crate::signal::proto::encrypted_packet_payload::Value as Inside;
use crate::signal::proto::{DataPacket, EncryptedPacket, EncryptedPacketPayload};
use crate::signal::sender_stats;
use crate::signal::signals::{self, Incoming};

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
            let mut packet = signals::packet(&signal.kind, &signal.data, destination);
            live.delivery.number(&mut packet);
            if live.wires.is_inline() {
                let message = FromClient::Data(packet).encode();
                if signal.retry_after_reconnect {
                    live.delivery.keep(message.clone());
                }
                self.outputs.push_back(Output::Send(message));
            } else if !live.wires.send(now, &packet) {
                let text =
                    "the network does not carry signals as fast as they are sent; this one was dropped";
                return self.say([Event::Warned(Fault::new(Reason::UnableToSendSignal, text))]);
            }
        }
        if echo {
            let Signal { kind, data, .. } = signal;
            self.say([Event::SignalReceived { kind, data, from: Some(own) }]);
        }
    }

    /// A data packet came, by whichever way.
    pub(super) fn packet(&mut self, now: Instant, packet: &DataPacket) {
        let opened = match &packet.value {
            Some(Value::EncryptedPacket(sealed)) => opened(&self.config.keyring, packet, sealed),
            _ => None,
        };
        let packet = opened.as_ref().unwrap_or(packet);
        let captions = self.captions.read(packet);
        if !captions.is_empty() {
            return self.captions_came(captions);
        }
        if sender_stats::is_it(packet) {
            return self.sender_counted(packet);
        }
        let Some(signal) = signals::read(packet) else { return };
        let is_joining = matches!(self.state, State::Joining(_));
        let Some(live) = self.live_mut() else { return };
        match live.roster.sender_of(&signal) {
            Some(from) if !is_joining => self.say_or_hold(vec![heard(signal, from)]),
            _ => live.keep_early(now, signal),
        }
    }
}

/// What was inside. LiveKit's clients encrypt data too where their program wants it; this library's signals are readable,
/// as on the platform that is mirrored, where only media is encrypted.
fn opened(keyring: &Keyring, packet: &DataPacket, sealed: &EncryptedPacket) -> Option<DataPacket> {
    let bytes = Opener::new(keyring.clone()).open_data(&sealed.iv, sealed.encrypted_value.clone());
    let payload = bytes.ok().and_then(|bytes| EncryptedPacketPayload::decode(&*bytes).ok());
    if payload.is_none() {
        log::debug!("a signal was dropped: it is encrypted with another secret than this client's");
    }
    let value = match payload?.value? {
        Inside::User(user) => Value::User(user),
        // Captions come as streams of text.
        Inside::StreamHeader(header) => Value::StreamHeader(header),
        Inside::StreamChunk(chunk) => Value::StreamChunk(chunk),
        Inside::StreamTrailer(trailer) => Value::StreamTrailer(trailer),
        Inside::ChatMessage(_) | Inside::RpcRequest(_) | Inside::RpcAck(_) | Inside::RpcResponse(_) => {
            return None;
        }
    };
    Some(DataPacket { value: Some(value), ..packet.clone() })
}

/// How many signals wait for the news of their senders, and for how long. Data and news come by different ways, and
/// LiveKit collects its news of participants for about a second; who resumes a session hears first what was said meanwhile,
/// as much as its server keeps. What comes on top, or from nobody, is dropped.
const EARLY_LENGTH_MAX: usize = 1000;
const EARLY_PERIOD: Duration = Duration::from_secs(2);

/// Signals that came before their sender was announced, or before this client's join was complete.
#[derive(Default)]
pub(super) struct Early(Vec<(Instant, Incoming)>);

impl Early {
    pub fn keep(&mut self, now: Instant, signal: Incoming) {
        self.0.retain(|(until, _)| now < *until);
        if self.0.len() < EARLY_LENGTH_MAX {
            self.0.push((now + EARLY_PERIOD, signal));
        } else {
            log::debug!("a signal was dropped: too many came before their senders were known");
        }
    }

    /// Those whose senders are known by now.
    pub fn take(&mut self, now: Instant, roster: &Roster) -> Vec<Event> {
        let mut events = Vec::new();
        for (until, signal) in std::mem::take(&mut self.0) {
            match roster.sender_of(&signal) {
                Some(from) if now < until => events.push(heard(signal, from)),
                None if now < until => self.0.push((until, signal)),
                _ => {}
            }
        }
        events
    }
}

fn heard(signal: Incoming, from: Option<Arc<Connection>>) -> Event {
    Event::SignalReceived { kind: signal.kind, data: signal.data, from }
}
