//! What goes inside a link that dies unnoticed is not lost: each end knows what the other may not have got, and sends it
//! again when the session resumes.
//!
//! What this client sends is numbered, as LiveKit's clients number it (`DataPacket.sequence`); the server says at a resume
//! which number came last (`ReconnectResponse.last_message_seq`), and skips what it knows. What comes is counted, and the
//! server is told how much that is: with each ping, and when the session resumes. A session that is joined anew begins
//! anew: nobody knows there what has been heard already, and nothing is ever said twice.

use std::collections::VecDeque;

use crate::signal::frame::FromClient;
use crate::signal::proto::{DataPacket, data_packet::Kind};

/// How many packets, and how many bytes of them, are kept until the server is known to have them, which takes from one
/// ping to the next. Of more than that the oldest are taken for arrived.
const PACKETS_MAX: usize = 1000;
const BYTES_MAX: usize = 1 << 20;

#[derive(Default)]
pub(super) struct Delivery {
    /// The number of the packet that was sent last.
    sent: u32,
    /// What may not have arrived, oldest first, by its number.
    kept: VecDeque<(u32, Vec<u8>)>,
    kept_bytes: usize,
    /// What had been sent before the newest ping.
    sent_before_ping: u32,
    /// How many packets have come, modulo 2³², and how many of them the server has been told of.
    received: u32,
    told: u32,
}

impl Delivery {
    /// Gives a packet its number. After four billions of them they have none, and are as good as before but for a link that
    /// dies.
    pub fn number(&mut self, packet: &mut DataPacket) {
        self.sent = self.sent.saturating_add(1);
        packet.sequence = if self.sent < u32::MAX { self.sent } else { 0 };
    }

    /// The packet that was numbered last is sent again if need be, as this message.
    pub fn keep(&mut self, message: Vec<u8>) {
        self.kept_bytes += message.len();
        self.kept.push_back((self.sent, message));
        while self.kept.len() > PACKETS_MAX || self.kept_bytes > BYTES_MAX {
            self.forget_oldest();
        }
    }

    pub fn pinged(&mut self) {
        self.sent_before_ping = self.sent;
    }

    /// The newest ping has been answered: what was sent before it has arrived.
    pub fn ponged(&mut self) {
        self.arrived(self.sent_before_ping);
    }

    /// The server has everything up to this number.
    pub fn arrived(&mut self, number: u32) {
        while self.kept.front().is_some_and(|(oldest, _)| *oldest <= number) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        self.kept_bytes -= self.kept.pop_front().map_or(0, |(_, message)| message.len());
    }

    /// What may not have arrived.
    pub fn again(&self) -> impl Iterator<Item = Vec<u8>> {
        self.kept.iter().map(|(_, message)| message.clone())
    }

    /// A packet came inside the link.
    pub fn count(&mut self, packet: &DataPacket) {
        #[allow(deprecated)] // the kind also decides the channel
        if packet.kind() == Kind::Reliable {
            self.received = self.received.wrapping_add(1);
        }
    }

    /// So many will not come.
    pub fn leave_out(&mut self, count: u32) {
        self.received = self.received.wrapping_add(count);
    }

    pub fn received(&self) -> u32 {
        self.received
    }

    /// What the server has not been told yet.
    pub fn news(&mut self) -> Option<FromClient> {
        let told = std::mem::replace(&mut self.told, self.received);
        (told != self.received).then_some(FromClient::Received(self.received))
    }

    /// The same client in a session that is joined anew. Its numbers go on: other clients may know it by its sid.
    pub fn anew(self) -> Self {
        Self { sent: self.sent, ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn send(delivery: &mut Delivery, size: usize) -> u32 {
        let mut packet = DataPacket::default();
        delivery.number(&mut packet);
        delivery.keep(vec![0; size]);
        packet.sequence
    }

    #[test]
    fn what_was_sent_before_an_answered_ping_has_arrived() {
        let mut delivery = Delivery::default();
        assert_eq!((send(&mut delivery, 1), send(&mut delivery, 2)), (1, 2));
        delivery.pinged();
        send(&mut delivery, 3);
        delivery.ponged();
        assert_eq!(delivery.again().collect::<Vec<_>>(), [vec![0; 3]]);
        delivery.arrived(2);
        assert_eq!(delivery.again().count(), 1);
        delivery.arrived(3);
        assert_eq!((delivery.again().count(), delivery.kept_bytes), (0, 0));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        for (size, expected) in [(10, PACKETS_MAX), (8192, BYTES_MAX / 8192)] {
            let mut delivery = Delivery::default();
            (0..2000).for_each(|_| _ = send(&mut delivery, size));
            assert_eq!(delivery.again().count(), expected);
            assert_eq!(delivery.kept.back().map(|(number, _)| *number), Some(2000));
        }
    }

    #[test]
    fn numbers_end_and_signals_do_not() {
        let mut delivery = Delivery { sent: u32::MAX - 2, ..Delivery::default() };
        assert_eq!(send(&mut delivery, 1), u32::MAX - 1);
        assert_eq!((send(&mut delivery, 1), send(&mut delivery, 1)), (0, 0));
    }

    #[test]
    fn the_server_is_told_of_what_came_once() {
        let mut delivery = Delivery::default();
        #[allow(deprecated)]
        let lossy = DataPacket { kind: Kind::Lossy.into(), ..DataPacket::default() };
        delivery.count(&lossy);
        assert_eq!(delivery.news(), None);
        delivery.count(&DataPacket::default());
        assert_eq!((delivery.news(), delivery.news()), (Some(FromClient::Received(1)), None));
        assert_eq!(delivery.anew().received(), 0);
    }
}
