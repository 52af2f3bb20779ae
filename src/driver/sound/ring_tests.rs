//! A ring between the engine's exact clock and devices with clocks of their own, in made-up time.

use std::f64::consts::TAU;
use std::time::{Duration, Instant};

use super::ring::Ring;

/// Low, so that five minutes are soon over.
const RATE_HZ: u32 = 8_000;
const STEP: usize = 80;

const CAPACITY: usize = 100 * STEP;

/// When it is only beginning nothing is looked at.
const BEGINNING: usize = 2 * RATE_HZ as usize;

#[derive(Clone, Copy, PartialEq)]
enum Direction {
    Capture,
    Render,
}

use Direction::{Capture, Render};

/// A device whose loop is not quite what it should be.
struct Device {
    direction: Direction,
    /// What it brings or takes at once, in steps.
    portion: usize,
    /// How much too long each turn takes.
    slow: f64,
    /// How much earlier or later than it should each turn comes, in ms.
    jitter_ms: f64,
}

/// What came out of the ring.
struct Heard {
    samples: Vec<i16>,
    frames_max: usize,
}

/// Numbers for a test that has to be repeatable (Knuth's constants for 64 bits).
struct Dice(u64);

impl Dice {
    /// −1 to 1.
    fn roll(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as f64 / f64::from(1u32 << 30) - 1.0
    }
}

fn sine() -> impl FnMut() -> i16 {
    let mut at = 0u32;
    move || {
        at += 1;
        (10_000.0 * (TAU * 220.0 * f64::from(at) / f64::from(RATE_HZ)).sin()) as i16
    }
}

/// Loud noise.
fn noise() -> impl FnMut() -> i16 {
    let mut dice = Dice(5);
    move || (dice.roll() * 12_000.0) as i16
}

impl Device {
    fn new(direction: Direction, portion: usize, slow: f64) -> Self {
        Self { direction, portion, slow, jitter_ms: 0.0 }
    }

    /// Five minutes of this sound.
    fn play(&self, mut sound: impl FnMut() -> i16) -> Heard {
        const STEPS: usize = 30_000;
        let begin = Instant::now();
        let (mut ring, mut dice) = (Ring::new(RATE_HZ, 1), Dice(11));
        let mut heard = Heard { samples: Vec::new(), frames_max: 0 };
        // A device begins at some moment between two steps.
        let turn_ms = 10.0 * self.portion as f64 * (1.0 + self.slow);
        let mut at_ms = |turn: f64| 3.3 + turn * turn_ms + self.jitter_ms * dice.roll();
        let (mut turn, mut next_ms) = (0.0, at_ms(0.0));
        for step in 0..STEPS {
            let step_ms = step as f64 * 10.0 + 20.0;
            while next_ms < step_ms {
                self.turn(
                    &mut ring,
                    begin + Duration::from_secs_f64(next_ms / 1000.0),
                    &mut sound,
                    &mut heard,
                );
                turn += 1.0;
                next_ms = at_ms(turn).max(next_ms);
            }
            let now = begin + Duration::from_secs_f64(step_ms / 1000.0);
            match self.direction {
                Capture => heard.pop(&mut ring, STEP, now),
                Render => ring.push(&std::array::from_fn::<i16, STEP, _>(|_| sound()), now),
            }
            if step > 200 {
                heard.frames_max = heard.frames_max.max(ring.frames());
            }
        }
        heard
    }

    fn turn(&self, ring: &mut Ring, now: Instant, sound: &mut impl FnMut() -> i16, heard: &mut Heard) {
        let frames = self.portion * STEP;
        match self.direction {
            Capture => ring.push(&(0..frames).map(|_| sound()).collect::<Vec<_>>(), now),
            Render => heard.pop(ring, frames, now),
        }
    }
}

impl Heard {
    fn pop(&mut self, ring: &mut Ring, frames: usize, now: Instant) {
        let begin = self.samples.len();
        self.samples.resize(begin + frames, i16::MAX);
        ring.pop(&mut self.samples[begin..], now);
    }

    /// After the beginning.
    fn later(&self) -> &[i16] {
        &self.samples[BEGINNING..]
    }

    /// Silence that was not in the sound.
    fn holes(&self) -> usize {
        const HOLE: usize = 4;
        let zeros = |window: &[i16]| window.iter().all(|sample| *sample == 0);
        let windows = self.later().windows(HOLE + 1);
        windows.filter(|window| window[0] != 0 && zeros(&window[1..])).count()
    }

    /// From one sample to the next.
    fn jump_max(&self) -> u16 {
        self.later().windows(2).map(|pair| pair[0].abs_diff(pair[1])).max().unwrap_or(0)
    }
}

/// From one sample of the sine to the next, when it is read a twentieth too fast.
const SINE_JUMP: u16 = 1820;

fn check(heard: &Heard, steps_max: usize, slow: f64) {
    let (holes, jump) = (heard.holes(), heard.jump_max());
    assert!(holes == 0 && jump <= SINE_JUMP, "{slow}: {holes} holes, {jump} at once");
    assert!(heard.frames_max <= steps_max * STEP, "{slow}: {} frames are delay", heard.frames_max);
}

/// As where a program sleeps 10 ms for every 10 ms of sound, or thinks that it knows better.
#[test]
fn a_device_that_is_off_by_a_hundredth_tears_no_holes_and_is_followed_without_a_jump() {
    for direction in [Capture, Render] {
        for slow in [-0.015, 0.015] {
            let device = Device::new(direction, 1, slow);
            check(&device.play(sine()), 4, slow);
            assert_eq!(device.play(noise()).holes(), 0, "{slow}");
        }
    }
}

/// The worse direction of the two: what waits becomes less.
#[test]
fn a_crystal_that_is_off_by_a_hundred_millionths_tears_no_holes() {
    for (direction, slow) in [(Capture, 0.0001), (Render, -0.0001)] {
        check(&Device::new(direction, 1, slow).play(sine()), 4, slow);
    }
}

#[test]
fn large_portions_of_a_device_that_is_off_tear_no_holes() {
    for direction in [Capture, Render] {
        for slow in [-0.01, 0.01] {
            check(&Device::new(direction, 10, slow).play(sine()), 13, slow);
        }
    }
}

#[test]
fn unpunctual_portions_tear_no_holes() {
    for direction in [Capture, Render] {
        let device = Device { jitter_ms: 8.0, ..Device::new(direction, 1, 0.0) };
        check(&device.play(sine()), 5, 0.0);
    }
}

/// Somebody who hears a hole hears no click.
#[test]
fn a_hole_has_soft_edges() {
    let begin = Instant::now();
    let at = |step: usize| begin + Duration::from_millis(10 * step as u64);
    let (mut ring, mut sound) = (Ring::new(RATE_HZ, 1), sine());
    let mut heard = Heard { samples: Vec::new(), frames_max: 0 };
    for step in 0..300 {
        if step % 40 < 30 {
            ring.push(&std::array::from_fn::<i16, STEP, _>(|_| sound()), at(step));
        }
        heard.pop(&mut ring, STEP, at(step));
    }
    assert!(heard.holes() > 0 && heard.jump_max() <= SINE_JUMP);
}

fn ring() -> Ring {
    Ring::new(RATE_HZ, 1)
}

/// A sawtooth that tells where a sample came from.
fn numbered(from: usize, count: usize) -> Vec<i16> {
    (from..from + count).map(|number| (number % 30_000 + 1) as i16).collect()
}

/// The moments of the steps.
fn moments() -> impl Iterator<Item = (usize, Instant)> {
    let begin = Instant::now();
    (0usize..).map(move |step| (step, begin + Duration::from_millis(10 * step as u64)))
}

#[test]
fn in_step_every_sample_comes_out_once_and_in_order() {
    let (mut ring, mut out, mut heard) = (ring(), [0; STEP], Vec::<i16>::new());
    for (step, now) in moments().take(2000) {
        ring.push(&numbered(step * STEP, STEP), now);
        ring.pop(&mut out, now);
        heard.extend(out.iter().filter(|sample| **sample != 0));
    }
    assert!(heard.len() > 1990 * STEP);
    assert_eq!(heard, numbered(0, heard.len()));
}

#[test]
fn large_portions_do_not_tear_holes() {
    for (pushed, popped) in [(10, 1), (1, 10), (7, 3)] {
        let (mut ring, mut holes, mut was_heard) = (ring(), 0, false);
        let mut out = vec![0; popped * STEP];
        let mut next = 0;
        for (tick, now) in moments().take(3000) {
            if tick % pushed == 0 {
                ring.push(&numbered(next, pushed * STEP), now);
                next += pushed * STEP;
            }
            if tick % popped == 0 {
                ring.pop(&mut out, now);
                let is_whole = out.iter().all(|sample| *sample != 0);
                holes += usize::from(was_heard && !is_whole);
                was_heard |= is_whole;
            }
        }
        assert!(was_heard && holes <= 3, "{pushed} in, {popped} out: {holes} holes");
    }
}

#[test]
fn what_is_handed_in_in_parts_is_one_portion() {
    let (mut ring, mut out, mut heard) = (ring(), [0; STEP], Vec::<i16>::new());
    for (step, now) in moments().take(2000) {
        if step % 4 == 0 {
            (0..4).for_each(|part| ring.push(&numbered((step + part) * STEP, STEP), now));
        }
        ring.pop(&mut out, now);
        heard.extend(out);
    }
    let begin = heard.iter().position(|sample| *sample != 0).expect("something");
    assert!(heard[begin..].iter().all(|sample| *sample != 0));
}

#[test]
fn what_is_missing_is_silence() {
    let (mut ring, mut out) = (ring(), [7; STEP]);
    ring.pop(&mut out, Instant::now());
    assert_eq!(out, [0; STEP]);
}

#[test]
fn what_is_too_much_for_a_second_is_left_out() {
    let (mut ring, mut out) = (ring(), [0; STEP]);
    ring.push(&numbered(0, 50 * STEP), Instant::now());
    for (step, now) in moments().skip(1).take(300) {
        ring.push(&numbered(step * STEP, STEP), now);
        ring.pop(&mut out, now);
    }
    assert!(ring.frames() <= 3 * STEP, "{} frames are delay", ring.frames());
    assert!(ring.frames() >= STEP / 2, "the margin stays");
}

#[test]
fn it_never_holds_more_than_its_capacity() {
    let mut ring = ring();
    ring.push(&numbered(0, 10 * CAPACITY), Instant::now());
    ring.push(&numbered(0, STEP), Instant::now());
    assert_eq!(ring.frames(), CAPACITY);
}
