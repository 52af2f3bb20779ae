//! One direction of a client's way to the server.

use std::time::{Duration, Instant};

use crate::network::Random;

/// What a home router lets wait, as `benches/weather.py` has it too.
const QUEUE_MAX: Duration = Duration::from_millis(250);

/// Below the UDP payload: IPv4 and UDP.
const HEADERS: usize = 28;

/// A bottleneck with a queue, then a delay.
pub struct Way {
    /// `None`: whatever comes.
    pub bits_per_second: Option<u64>,
    pub delay: Duration,
    /// Of a hundred datagrams.
    pub loss_percent: u64,
    free: Instant,
    random: Random,
    pub dropped: u64,
}

impl Way {
    pub fn new(now: Instant) -> Self {
        Self {
            bits_per_second: None,
            delay: Duration::from_millis(5),
            loss_percent: 0,
            free: now,
            random: Random(7),
            dropped: 0,
        }
    }

    /// When a datagram of this size arrives, if the queue takes it.
    pub fn take(&mut self, now: Instant, size: usize) -> Option<Instant> {
        if self.random.below(100) < self.loss_percent {
            return None;
        }
        let Some(rate) = self.bits_per_second else { return Some(now + self.delay) };
        let begins = self.free.max(now);
        if begins - now > QUEUE_MAX {
            self.dropped += 1;
            return None;
        }
        self.free = begins + Duration::from_secs_f64(((size + HEADERS) * 8) as f64 / rate as f64);
        Some(self.free + self.delay)
    }
}
