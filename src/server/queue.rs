//! Data packets on their way to a participant: those that wait for a link, and those that went into one and may not have
//! come out of it.

use std::collections::VecDeque;
use std::sync::Arc;

use super::config::{QUEUE_BYTES_MAX, QUEUE_PACKETS_MAX};

/// Data packets that wait for a participant, as they will be sent. When it is full the oldest go.
#[derive(Debug, Default)]
pub struct Queue {
    packets: VecDeque<Arc<[u8]>>,
    bytes: usize,
}

impl Queue {
    /// Returns how many were dropped to make room.
    pub fn push(&mut self, packet: Arc<[u8]>) -> u64 {
        self.bytes += packet.len();
        self.packets.push_back(packet);
        let mut dropped = 0;
        while self.packets.len() > QUEUE_PACKETS_MAX || self.bytes > QUEUE_BYTES_MAX {
            let Some(oldest) = self.packets.pop_front() else { break };
            self.bytes -= oldest.len();
            dropped += 1;
        }
        dropped
    }

    fn len(&self) -> usize {
        self.packets.len()
    }

    pub fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    pub fn front(&self) -> Option<&[u8]> {
        self.packets.front().map(AsRef::as_ref)
    }

    pub fn pop(&mut self) {
        self.bytes -= self.packets.pop_front().map_or(0, |packet| packet.len());
    }

    pub fn take(&mut self) -> VecDeque<Arc<[u8]>> {
        self.bytes = 0;
        std::mem::take(&mut self.packets)
    }
}

/// Reliable packets that went inside a participant's link. A link may be dead for a while before anybody notices; who resumes
/// the session says how many have come, and gets the rest again.
#[derive(Debug, Default)]
pub struct Unconfirmed {
    queue: Queue,
    /// How many went before the first of them, modulo 2³².
    confirmed: u32,
}

impl Unconfirmed {
    pub fn push(&mut self, packet: Arc<[u8]>) {
        let dropped = self.queue.push(packet);
        self.confirmed = self.confirmed.wrapping_add(dropped as u32);
    }

    /// So many have come in all. Words that cannot be true change nothing.
    pub fn confirm(&mut self, received: u32) {
        let count = received.wrapping_sub(self.confirmed);
        if count as usize <= self.queue.len() {
            (0..count).for_each(|_| self.queue.pop());
            self.confirmed = received;
        }
    }

    /// What has not come, where so many have. It counts anew when it is sent again.
    pub fn take_lost(&mut self, received: u32) -> VecDeque<Arc<[u8]>> {
        self.confirm(received);
        self.confirmed = received;
        self.queue.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_drops_its_oldest_packets() {
        let mut queue = Queue::default();
        for number in 0..QUEUE_PACKETS_MAX + 3 {
            queue.push(number.to_be_bytes().into());
        }
        let packets = queue.take();
        assert_eq!(packets.len(), QUEUE_PACKETS_MAX);
        assert_eq!(packets.front(), Some(&3_usize.to_be_bytes().into()));
    }

    #[test]
    fn a_queue_of_large_packets_is_bounded_in_bytes() {
        let mut queue = Queue::default();
        let dropped: u64 = (0..40).map(|_| queue.push(vec![0; 64 << 10].into())).sum();
        assert_eq!(dropped, 24);
        assert_eq!(queue.take().len(), 16);
    }

    fn packet(number: u8) -> Arc<[u8]> {
        Arc::new([number])
    }

    #[test]
    fn what_has_not_come_is_lost_and_counts_anew() {
        let mut unconfirmed = Unconfirmed::default();
        (1..=5).for_each(|number| unconfirmed.push(packet(number)));
        unconfirmed.confirm(2);
        unconfirmed.confirm(1); // came late
        unconfirmed.confirm(9); // invented
        assert_eq!(unconfirmed.take_lost(3), [packet(4), packet(5)]);
        (4..=6).for_each(|number| unconfirmed.push(packet(number)));
        unconfirmed.confirm(5);
        assert_eq!(unconfirmed.take_lost(5), [packet(6)]);
    }

    #[test]
    fn what_nobody_confirms_is_bounded_and_the_newest_stays() {
        let mut unconfirmed = Unconfirmed::default();
        for number in 0..QUEUE_PACKETS_MAX + 3 {
            unconfirmed.push(number.to_be_bytes().into());
        }
        let lost = unconfirmed.take_lost(1);
        assert_eq!(lost.len(), QUEUE_PACKETS_MAX);
        assert_eq!(lost.front(), Some(&3_usize.to_be_bytes().into()));
        unconfirmed.push(packet(1));
        assert_eq!(unconfirmed.take_lost(2), [], "it was the second that came");
    }

    #[test]
    fn counting_goes_round() {
        let mut unconfirmed = Unconfirmed { confirmed: u32::MAX, ..Unconfirmed::default() };
        (1..=3).for_each(|number| unconfirmed.push(packet(number)));
        assert_eq!(unconfirmed.take_lost(1), [packet(3)]);
    }
}
