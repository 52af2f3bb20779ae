//! Made-up sound, a made-up network and a codec that loses nothing, for the tests of this folder.

use std::f64::consts::TAU;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::receiver::{AudioPacket, AudioReceiver, Pulled};
use super::{STEP_SAMPLES, STEREO_STEP};
use crate::media::codec::{AudioDecoder, AudioEncoder, AudioInput, AudioSettings, CodecError};

/// A sine that goes on from call to call.
pub struct Tone {
    hertz: f64,
    amplitude: f64,
    at: u32,
}

impl Tone {
    pub fn new(hertz: f64, amplitude: f64) -> Self {
        Self { hertz, amplitude, at: 0 }
    }

    #[allow(clippy::cast_possible_truncation)]
    pub fn mono(&mut self, frames: usize) -> Vec<i16> {
        let begin = self.at;
        self.at += u32::try_from(frames).expect("not long");
        (begin..self.at)
            .map(|at| (self.amplitude * (TAU * self.hertz * f64::from(at) / 48_000.0).sin()) as i16)
            .collect()
    }

    pub fn stereo(&mut self, frames: usize) -> Vec<i16> {
        self.mono(frames).iter().flat_map(|sample| [*sample, *sample]).collect()
    }
}

/// The greatest second difference of the left side of stereo: how sharp its sharpest corner is.
pub fn roughness(stereo: &[i16]) -> f64 {
    let left: Vec<f64> = stereo.iter().step_by(2).map(|sample| f64::from(*sample)).collect();
    left.windows(3).map(|at| (at[0] - 2.0 * at[1] + at[2]).abs()).fold(0.0, f64::max)
}

/// The effective value of the left side.
pub fn effective(stereo: &[i16]) -> f64 {
    let left: Vec<f64> = stereo.iter().step_by(2).map(|sample| f64::from(*sample)).collect();
    (left.iter().map(|sample| sample * sample).sum::<f64>()
        / f64::from(u32::try_from(left.len()).expect("few")))
    .sqrt()
}

/// The part of the left side's power that is at this frequency, 0 to 1.
pub fn purity(stereo: &[i16], hertz: f64) -> f64 {
    let left = stereo.iter().step_by(2).map(|sample| f64::from(*sample));
    let (mut real, mut imaginary, mut power, mut count) = (0.0, 0.0, 0.0, 0.0);
    for sample in left {
        let angle = TAU * hertz * count / 48_000.0;
        real += sample * angle.cos();
        imaginary += sample * angle.sin();
        power += sample * sample;
        count += 1.0;
    }
    2.0 * (real * real + imaginary * imaginary) / (power * count)
}

/// SplitMix64.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    #[allow(clippy::cast_possible_truncation)]
    pub fn sample(&mut self) -> i16 {
        self.next() as i16
    }
}

/// What Opus would say of hybrid sound in one frame of 20 ms; 4 more says stereo.
const TOY_FIRST: u8 = 0b0110_1000;
const TOY_FIRST_10_MS: u8 = 0b0110_0000;
/// Where Opus says that a copy follows.
const TOY_COPY: u8 = 0b0100_0000;

/// Samples as they are, after a head that looks like Opus's, with a copy of the packet before if asked for.
pub struct ToyEncoder {
    channels: u8,
    uses_dtx: bool,
    uses_fec: bool,
    before: Vec<i16>,
    /// All that it was told of losses, in percent.
    pub losses: Arc<Mutex<Vec<u8>>>,
}

impl ToyEncoder {
    pub fn new(settings: &AudioSettings) -> Self {
        let AudioSettings { channels, uses_dtx, uses_fec, .. } = *settings;
        Self { channels, uses_dtx, uses_fec, before: Vec::new(), losses: Arc::default() }
    }
}

impl AudioEncoder for ToyEncoder {
    fn encode(&mut self, samples: &[i16], packet: &mut Vec<u8>) -> Result<(), CodecError> {
        let frames = samples.len() / usize::from(self.channels);
        let first = if frames == 480 { TOY_FIRST_10_MS } else { TOY_FIRST };
        packet.push(first | if self.channels == 2 { 4 } else { 0 });
        if self.uses_dtx && samples.iter().all(|sample| *sample == 0) {
            self.before.clear();
            return Ok(());
        }
        let has_copy = self.uses_fec && !self.before.is_empty();
        packet.push(if has_copy { TOY_COPY } else { 0 });
        packet.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
        if has_copy {
            packet.extend(self.before.iter().flat_map(|sample| sample.to_le_bytes()));
        }
        self.before = samples.to_vec();
        Ok(())
    }

    fn set_bitrate(&mut self, _: u32) {}

    fn set_loss(&mut self, percent: u8) {
        self.losses.lock().push(percent);
    }
}

/// Makes up what is lost by playing the last packet over and over: exact for a tone whose period it is a multiple of.
#[derive(Default)]
pub struct ToyDecoder {
    last: Vec<i16>,
    made_up: usize,
}

impl AudioDecoder for ToyDecoder {
    fn decode(&mut self, input: AudioInput<'_>, samples: &mut [i16]) -> Result<usize, CodecError> {
        let (packet, wants_copy) = match input {
            AudioInput::Packet(packet) => (packet, false),
            AudioInput::LostBefore(packet) => (packet, true),
            AudioInput::Lost => return Ok(self.make_up(samples)),
        };
        let first = *packet.first().ok_or(CodecError::Malformed)?;
        if first & !4 != TOY_FIRST && first & !4 != TOY_FIRST_10_MS {
            return Err(CodecError::Malformed);
        }
        let channels = if first & 4 == 0 { 1 } else { 2 };
        let frames = if first & !4 == TOY_FIRST { 960 } else { 480 };
        if packet.len() <= 2 {
            self.last.clear();
            samples.fill(0);
            return Ok(frames.min(samples.len() / 2));
        }
        let length = 2 * frames * channels;
        let body = packet.get(2..).unwrap_or_default();
        let bytes = if wants_copy { body.get(length..) } else { body.get(..length) };
        let bytes = bytes.filter(|bytes| bytes.len() == length).ok_or(CodecError::Malformed)?;
        self.last.clear();
        for frame in bytes.chunks_exact(2 * channels) {
            let side = |at: usize| i16::from_le_bytes([frame[at], frame[at + 1]]);
            self.last.extend([side(0), side(2 * (channels - 1))]);
        }
        self.made_up = 0;
        let given = samples.len().min(self.last.len());
        samples[..given].copy_from_slice(&self.last[..given]);
        Ok(given / 2)
    }
}

impl ToyDecoder {
    fn make_up(&mut self, samples: &mut [i16]) -> usize {
        for frame in samples.chunks_exact_mut(2) {
            let at = self.made_up % self.last.len().max(2);
            frame.copy_from_slice(self.last.get(at..at + 2).unwrap_or(&[0, 0]));
            self.made_up += 2;
        }
        samples.len() / 2
    }
}

/// A packet on its way.
#[derive(Clone)]
pub struct Sent {
    pub arrives: Duration,
    pub is_red: bool,
    pub sequence: u64,
    pub timestamp: u64,
    pub payload: Arc<[u8]>,
}

/// All that was heard.
pub struct Heard {
    pub samples: Vec<i16>,
    pub pulls: Vec<Pulled>,
    /// The delay after each pull, and the buffer's idea of it.
    pub delays: Vec<Duration>,
}

/// Plays `packets` to a receiver whose clock runs by `millionths` faster than the network's, for `steps` steps.
pub fn play(receiver: &mut AudioReceiver, packets: &[Sent], steps: usize, millionths: i64) -> Heard {
    play_and(receiver, packets, steps, millionths, |_, _| {})
}

/// The same; `before` is called before each step.
pub fn play_and(
    receiver: &mut AudioReceiver,
    packets: &[Sent],
    steps: usize,
    millionths: i64,
    mut before: impl FnMut(i64, &mut AudioReceiver),
) -> Heard {
    let mut packets = packets.to_vec();
    packets.sort_by_key(|packet| packet.arrives);
    let mut waiting = packets.into_iter().peekable();
    // Any beginning will do; time is made up from here on.
    let begin = Instant::now();
    let mut heard = Heard { samples: Vec::new(), pulls: Vec::new(), delays: Vec::new() };
    for number in 0..i64::try_from(steps).expect("few") {
        let nanoseconds = number * (10_000_000 - 10 * millionths);
        let now = Duration::from_nanos(u64::try_from(nanoseconds).expect("positive"));
        while let Some(packet) = waiting.next_if(|packet| packet.arrives <= now) {
            let Sent { arrives, is_red, sequence, timestamp, payload } = packet;
            let received = begin + arrives;
            let sender_report = None;
            receiver.handle_packet(AudioPacket {
                is_sealed: false,
                is_red,
                sequence,
                timestamp,
                payload,
                received,
                sender_report,
            });
        }
        before(number, receiver);
        let mut step = [0; STEREO_STEP];
        heard.pulls.push(receiver.pull(begin + now, &mut step));
        heard.delays.push(receiver.delay());
        heard.samples.extend(step);
    }
    heard
}

/// A second begins here, in samples.
pub fn second(number: usize) -> usize {
    number * 100 * STEP_SAMPLES * 2
}
