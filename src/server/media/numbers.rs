//! The numbers of a forwarded stream: sequence, time, picture id. A subscriber sees one stream without gaps, whichever
//! of the publisher's layers it is cut from.

use std::collections::VecDeque;
use std::time::Instant;

use super::vp8::{Descriptor, Picture};

/// How many cuts are remembered, for packets that come late. A cut is made for each picture that is left out: a second
/// or two of a stream at half its frame rate.
const CUTS_MAX: usize = 64;

/// A jump of the sequence by more than this is a new stream and no loss. A second of the largest video is less.
const JUMP_MAX: u64 = 8192;

/// Timestamps of two layers that differ by less than this part of a second are on one time line already.
const SAME_TIMELINE_PART: u32 = 10;

/// What is added to the numbers of packets from `from` on. All of them wrap.
#[derive(Debug, Clone, Copy)]
struct Cut {
    from: u64,
    sequence: u64,
    timestamp: u32,
    picture: u16,
    base: u8,
}

/// What was forwarded last.
#[derive(Debug, Clone, Copy)]
struct Last {
    sequence: u64,
    timestamp: u32,
    picture: u16,
    base: u8,
    at: Instant,
    /// The publisher's clock at that packet, in microseconds, where its reports tell.
    wall_us: Option<i64>,
}

/// The numbers of a packet that comes in.
#[derive(Debug, Clone, Copy)]
pub struct Incoming<'a> {
    pub sequence: u64,
    pub timestamp: u64,
    pub received: Instant,
    pub wall_us: Option<i64>,
    /// VP8 only.
    pub descriptor: Option<&'a Descriptor>,
}

/// The numbers it goes out with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outgoing {
    pub sequence: u64,
    pub timestamp: u32,
    pub picture: Option<Picture>,
    pub base: Option<u8>,
}

#[derive(Debug)]
pub struct Numbers {
    clock_hz: u32,
    cuts: VecDeque<Cut>,
    /// The highest sequence number that came in since the stream was cut in.
    highest: Option<u64>,
    last: Option<Last>,
    /// The picture that is being left out.
    left_out: Option<u16>,
}

/// Where a packet stands in the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Next,
    /// Something before it is missing.
    AfterGap,
    Late,
    /// It belongs to another stream.
    Elsewhere,
}

impl Numbers {
    pub fn new(clock_hz: u32) -> Self {
        Self { clock_hz, cuts: VecDeque::new(), highest: None, last: None, left_out: None }
    }

    pub fn order(&self, sequence: u64) -> Order {
        match self.highest {
            Some(highest) if sequence.abs_diff(highest) > JUMP_MAX => Order::Elsewhere,
            Some(highest) if sequence <= highest => Order::Late,
            Some(highest) if sequence > highest + 1 => Order::AfterGap,
            Some(_) => Order::Next,
            None => Order::Elsewhere,
        }
    }

    /// The stream goes on with this packet, whatever came before it.
    pub fn cut_in(&mut self, packet: &Incoming<'_>) {
        let timestamp = packet.timestamp as u32;
        let old = self.cuts.back().copied();
        let picture = packet.descriptor.and_then(|found| found.picture);
        let base = packet.descriptor.and_then(|found| found.base);
        let cut = match self.last {
            None => Cut {
                from: packet.sequence,
                sequence: 1_u64.wrapping_sub(packet.sequence),
                timestamp: 0,
                picture: 0,
                base: 0,
            },
            Some(last) => {
                let same = timestamp.wrapping_add(old.map_or(0, |old| old.timestamp));
                let mut wanted = self.expected(&last, packet);
                if (same.wrapping_sub(wanted) as i32).unsigned_abs() < self.clock_hz / SAME_TIMELINE_PART {
                    wanted = same;
                }
                if (wanted.wrapping_sub(last.timestamp) as i32) <= 0 {
                    wanted = last.timestamp.wrapping_add(1);
                }
                Cut {
                    from: packet.sequence,
                    sequence: last.sequence.wrapping_add(1).wrapping_sub(packet.sequence),
                    timestamp: wanted.wrapping_sub(timestamp),
                    picture: picture
                        .map_or(0, |picture| last.picture.wrapping_add(1).wrapping_sub(picture.id)),
                    base: base.map_or(0, |base| last.base.wrapping_add(1).wrapping_sub(base)),
                }
            }
        };
        self.cuts.clear();
        self.cuts.push_back(cut);
        self.highest = None;
        self.left_out = None;
    }

    /// The time at which the packet should stand behind the last one: by the publisher's clock, else by ours.
    fn expected(&self, last: &Last, packet: &Incoming<'_>) -> u32 {
        let elapsed_us = match (last.wall_us, packet.wall_us) {
            (Some(before), Some(after)) => after.saturating_sub(before),
            _ => {
                let elapsed = packet.received.saturating_duration_since(last.at);
                i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX)
            }
        };
        let ticks = i128::from(elapsed_us) * i128::from(self.clock_hz) / 1_000_000;
        last.timestamp.wrapping_add(ticks as u32)
    }

    /// Leaves out a packet that is the next one or comes after a gap.
    pub fn leave_out(&mut self, packet: &Incoming<'_>) {
        let Some(cut) = self.cuts.back().copied() else { return };
        let picture = packet.descriptor.and_then(|found| found.picture).map(|picture| picture.id);
        let is_new = picture.is_some() && picture != self.left_out;
        self.left_out = picture;
        let next = Cut {
            from: packet.sequence + 1,
            sequence: cut.sequence.wrapping_sub(1),
            picture: cut.picture.wrapping_sub(u16::from(is_new)),
            ..cut
        };
        if cut.from == packet.sequence && self.cuts.len() > 1 {
            self.cuts.pop_back();
        } else if self.cuts.len() == CUTS_MAX {
            self.cuts.pop_front();
        }
        self.cuts.push_back(next);
        self.highest = self.highest.max(Some(packet.sequence));
    }

    /// The packet's numbers on its way out. `None` when it is older than what is remembered.
    pub fn number(&mut self, packet: &Incoming<'_>) -> Option<Outgoing> {
        let cut = *self.cuts.iter().rev().find(|cut| cut.from <= packet.sequence)?;
        let outgoing = Outgoing {
            sequence: packet.sequence.wrapping_add(cut.sequence),
            timestamp: (packet.timestamp as u32).wrapping_add(cut.timestamp),
            picture: packet.descriptor.and_then(|found| found.picture).map(|id| id.shifted(cut.picture)),
            base: packet.descriptor.and_then(|found| found.base).map(|base| base.wrapping_add(cut.base)),
        };
        if self.highest.is_none_or(|highest| packet.sequence > highest) {
            self.highest = Some(packet.sequence);
            self.left_out = None;
            let before = self.last;
            self.last = Some(Last {
                sequence: outgoing.sequence,
                timestamp: outgoing.timestamp,
                picture: outgoing.picture.map_or(before.map_or(0, |last| last.picture), |picture| picture.id),
                base: outgoing.base.unwrap_or(before.map_or(0, |last| last.base)),
                at: packet.received,
                wall_us: packet.wall_us,
            });
        }
        Some(outgoing)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    struct Stream {
        start: Instant,
    }

    fn descriptor(picture: u16, base: u8, temporal: u8) -> Descriptor {
        let [high, low] = (0x8000 | picture).to_be_bytes();
        Descriptor::read(&[0x90, 0xe0, high, low, base, temporal << 6, 1]).expect("a descriptor")
    }

    impl Stream {
        fn packet<'a>(&self, sequence: u64, timestamp: u64, found: &'a Descriptor, ms: u64) -> Incoming<'a> {
            let received = self.start + Duration::from_millis(ms);
            Incoming { sequence, timestamp, received, wall_us: None, descriptor: Some(found) }
        }
    }

    fn stream() -> Stream {
        Stream { start: Instant::now() }
    }

    #[test]
    fn a_switch_of_layers_leaves_no_trace_in_the_numbers() {
        let stream = stream();
        let mut numbers = Numbers::new(90_000);
        let low = descriptor(10, 3, 0);
        let first = stream.packet(5000, 1000, &low, 0);
        numbers.cut_in(&first);
        assert_eq!(numbers.number(&first).map(|out| (out.sequence, out.timestamp)), Some((1, 1000)));
        // Another layer: other numbers altogether, 33 ms later.
        let high = descriptor(700, 200, 0);
        let second = stream.packet(90_000, 5_000_000, &high, 33);
        assert_eq!(numbers.order(second.sequence), Order::Elsewhere);
        numbers.cut_in(&second);
        let out = numbers.number(&second).expect("numbers");
        assert_eq!((out.sequence, out.timestamp), (2, 1000 + 2970));
        assert_eq!((out.picture.map(|picture| picture.id), out.base), (Some(11), Some(4)));
        // A packet of the layer that was left: too late.
        assert_eq!(numbers.number(&stream.packet(5001, 1000, &low, 34)), None);
    }

    #[test]
    fn layers_on_one_time_line_keep_it_and_time_never_stands_still() {
        let stream = stream();
        let mut numbers = Numbers::new(90_000);
        let found = descriptor(1, 1, 0);
        let first = stream.packet(1, 1000, &found, 0);
        numbers.cut_in(&first);
        numbers.number(&first);
        let second = stream.packet(70_000, 1000 + 3000, &found, 50);
        numbers.cut_in(&second);
        assert_eq!(numbers.number(&second).map(|out| out.timestamp), Some(4000), "not by the arrival");
        let third = stream.packet(140_000, 4000, &found, 51);
        numbers.cut_in(&third);
        assert_eq!(numbers.number(&third).map(|out| out.timestamp), Some(4001));
    }

    #[test]
    fn the_clock_of_the_publisher_is_believed_before_the_arrival() {
        let stream = stream();
        let mut numbers = Numbers::new(90_000);
        let found = descriptor(1, 1, 0);
        let at = |sequence, timestamp, ms, wall_ms: i64| Incoming {
            wall_us: Some(wall_ms * 1000),
            ..stream.packet(sequence, timestamp, &found, ms)
        };
        let first = at(1, 0, 0, 0);
        numbers.cut_in(&first);
        numbers.number(&first);
        let second = at(70_000, 77_000_000, 900, 100);
        numbers.cut_in(&second);
        assert_eq!(numbers.number(&second).map(|out| out.timestamp), Some(9000));
    }

    #[test]
    fn what_is_left_out_leaves_no_gap_and_what_is_lost_does() {
        let stream = stream();
        let mut numbers = Numbers::new(90_000);
        let base = descriptor(0, 0, 0);
        let first = stream.packet(100, 0, &base, 0);
        numbers.cut_in(&first);
        numbers.number(&first);
        let mut seen = Vec::new();
        // Every other picture has two packets and is of a higher layer; 109 is lost and comes late.
        for (sequence, picture, temporal) in [
            (101, 1, 1),
            (102, 1, 1),
            (103, 2, 0),
            (104, 3, 1),
            (105, 3, 1),
            (106, 4, 0),
            (108, 5, 0),
            (107, 4, 0),
        ] {
            let found = descriptor(picture, 0, temporal);
            let packet = stream.packet(sequence, u64::from(picture) * 3000, &found, 0);
            let expected = match sequence {
                108 => Order::AfterGap,
                107 => Order::Late,
                _ => Order::Next,
            };
            assert_eq!(numbers.order(sequence), expected);
            if temporal > 0 {
                numbers.leave_out(&packet);
            } else {
                let out = numbers.number(&packet).expect("numbers");
                seen.push((out.sequence, out.picture.map(|picture| picture.id)));
            }
        }
        assert_eq!(seen, [(2, Some(1)), (3, Some(2)), (5, Some(3)), (4, Some(2))]);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let stream = stream();
        let mut numbers = Numbers::new(90_000);
        let found = descriptor(0, 0, 0);
        numbers.cut_in(&stream.packet(0, 0, &found, 0));
        for sequence in 0..10_000 {
            let packet = stream.packet(sequence, 0, &found, 0);
            if sequence % 2 == 0 {
                numbers.number(&packet);
            } else {
                numbers.leave_out(&packet);
            }
        }
        assert!(numbers.cuts.len() <= CUTS_MAX);
        assert_eq!(numbers.number(&stream.packet(20, 0, &found, 0)), None);
    }
}
