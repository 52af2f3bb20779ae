//! Samples between samples: for who reads sound a little faster or slower than it came.
//!
//! A place between two frames is made of those around it, weighted by a windowed sinc. Nothing of it is heard up to three
//! quarters of the highest frequency: 18 kHz at 48 kHz.

use std::f64::consts::PI;
use std::sync::LazyLock;

/// So many frames on each side of a place have a part in it.
pub const REACH: usize = 12;

const TAPS: usize = 2 * REACH;

/// Places between two frames for which the weights are worked out; the rest is a straight line, less than a 16 bit step off.
const PLACES: usize = 256;

static WEIGHTS: LazyLock<Vec<[f32; TAPS]>> = LazyLock::new(|| (0..=PLACES).map(weights).collect());

/// Fills `frame`, one sample for each channel, with what lies `fraction` (0 to 1) behind the frame `at` of `samples`. From
/// `REACH - 1` before that one to `REACH` after it they have to be there.
pub fn interpolate(samples: &[i16], at: usize, fraction: f64, frame: &mut [i16]) {
    let channels = frame.len();
    let near = &samples[(at + 1 - REACH) * channels..(at + 1 + REACH) * channels];
    let place = fraction * PLACES as f64;
    let index = (place as usize).min(PLACES - 1);
    let part = (place - index as f64) as f32;
    let (before, after) = (&WEIGHTS[index], &WEIGHTS[index + 1]);
    for (channel, sample) in frame.iter_mut().enumerate() {
        let mut sum = 0.0;
        for tap in 0..TAPS {
            let weight = before[tap] + (after[tap] - before[tap]) * part;
            sum += weight * f32::from(near[tap * channels + channel]);
        }
        *sample = sum.round() as i16; // a float's conversion saturates
    }
}

fn weights(place: usize) -> [f32; TAPS] {
    let fraction = place as f64 / PLACES as f64;
    let weights: [f64; TAPS] = std::array::from_fn(|tap| {
        let distance = tap as f64 - (REACH - 1) as f64 - fraction;
        sinc(distance) * blackman(distance / REACH as f64)
    });
    let sum: f64 = weights.iter().sum(); // what does not move stays as loud as it is
    weights.map(|weight| (weight / sum) as f32)
}

fn sinc(at: f64) -> f64 {
    if at == 0.0 { 1.0 } else { (PI * at).sin() / (PI * at) }
}

/// From −1 to 1.
fn blackman(at: f64) -> f64 {
    0.42 + 0.5 * (PI * at).cos() + 0.08 * (2.0 * PI * at).cos()
}

#[cfg(test)]
mod tests {
    use super::super::simulation::{Random, Tone};
    use super::*;

    #[test]
    fn at_a_frame_it_is_that_frame() {
        let mut random = Random::new(3);
        let samples: Vec<i16> = (0..200).map(|_| random.sample() / 2).collect();
        for at in REACH..80 {
            let mut frame = [0; 2];
            interpolate(&samples, at, 0.0, &mut frame);
            assert_eq!(frame, samples[2 * at..2 * at + 2]);
            interpolate(&samples, at, 1.0, &mut frame);
            assert_eq!(frame, samples[2 * at + 2..2 * at + 4]);
        }
    }

    #[test]
    fn between_the_frames_of_a_tone_lies_the_tone() {
        for hertz in [100.0, 1000.0, 6000.0, 15_000.0] {
            let samples = Tone::new(hertz, 12_000.0).stereo(2000);
            for number in 0..1500 {
                let place = REACH as f64 + f64::from(number) * 1.2345;
                let mut frame = [0; 2];
                interpolate(&samples, place as usize, place.fract(), &mut frame);
                let tone = 12_000.0 * (std::f64::consts::TAU * hertz * place / 48_000.0).sin();
                let off = (f64::from(frame[0]) - tone).abs();
                assert!(off < 12.0 && frame[0] == frame[1], "{hertz} Hz, at {place}: off by {off}");
            }
        }
    }
}
