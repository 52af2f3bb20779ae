//! A tone to hand in, and what came out of it.

use std::f64::consts::TAU;

pub struct Tone {
    step: f64,
    phase: f64,
}

impl Tone {
    pub fn new(frequency_hz: f64, rate_hz: u32) -> Self {
        Self { step: TAU * frequency_hz / f64::from(rate_hz), phase: 0.0 }
    }

    pub fn fill(&mut self, buffer: &mut [i16], channels: usize) {
        for frame in buffer.chunks_mut(channels) {
            frame.fill((self.phase.sin() * 10_000.0) as i16);
            self.phase += self.step;
        }
    }
}

/// By the crossings of zero upwards, from well below to well above: a filter rings a little where a tone begins.
pub fn frequency_hz(samples: &[i16], rate_hz: u32) -> f64 {
    const WELL: i16 = 2_000;
    let (mut is_below, mut crossings) = (false, Vec::new());
    for (index, sample) in samples.iter().enumerate() {
        if *sample < -WELL {
            is_below = true;
        } else if *sample > WELL && is_below {
            is_below = false;
            crossings.push(index);
        }
    }
    let (Some(first), Some(last)) = (crossings.first(), crossings.last()) else { return 0.0 };
    if first == last {
        return 0.0;
    }
    (crossings.len() - 1) as f64 * f64::from(rate_hz) / (last - first) as f64
}
