//! Packets of sound in any order, with any time and any bytes; then steps of it.
//!
//! The bytes are a script: a tag says what happens, for a packet its number, its time, its length and its bytes follow.
#![no_main]

use std::sync::Arc;
use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use opentok::media::audio::{AudioPacket, AudioReceiver};
use opentok::media::codec::{AudioDecoder, AudioInput, CodecError};

/// Decodes nothing: the codecs have targets of their own. What it gives depends on what it gets, too much included.
struct Decoder;

impl AudioDecoder for Decoder {
    fn decode(&mut self, input: AudioInput<'_>, samples: &mut [i16]) -> Result<usize, CodecError> {
        match input {
            AudioInput::Packet(bytes) | AudioInput::LostBefore(bytes) => match bytes.last() {
                None | Some(0) => Err(CodecError::Malformed),
                Some(&last) => {
                    samples.fill(i16::from(last) * 128);
                    Ok(usize::from(last) * 64)
                }
            },
            AudioInput::Lost => Ok(samples.len() / 2),
        }
    }
}

fuzz_target!(|script: &[u8]| {
    let mut receiver = AudioReceiver::new(Box::new(Decoder));
    let mut now = Instant::now();
    let (mut sequence, mut timestamp) = (0u64, 0u64);
    let mut rest = script;
    while let Some((&tag, tail)) = rest.split_first() {
        rest = tail;
        match tag % 8 {
            0 => now += Duration::from_millis(u64::from(tag)),
            1 => sequence = sequence.wrapping_mul(u64::from(tag) << 3),
            2 => timestamp = timestamp.wrapping_mul(u64::from(tag) << 5),
            3 => receiver.set_extra_delay(Duration::from_millis(u64::from(tag) * 4)),
            4 | 5 => {
                let length = usize::from(rest.first().copied().unwrap_or(0)).min(rest.len());
                let (bytes, tail) = rest.split_at(length);
                rest = tail;
                sequence = sequence.wrapping_add(u64::from(tag >> 6));
                timestamp = timestamp.wrapping_add(u64::from(tag >> 4) * 480);
                receiver.handle_packet(AudioPacket {
                    is_sealed: false,
                    is_red: tag % 8 == 5,
                    sequence,
                    timestamp,
                    payload: Arc::from(bytes),
                    received: now,
                    sender_report: None,
                });
            }
            _ => {
                let mut step = [0; 960];
                let pulled = receiver.pull(now, &mut step);
                assert!((0.0..=1.0).contains(&pulled.level));
                assert!(receiver.delay() <= Duration::from_secs(3600));
                now += Duration::from_millis(10);
            }
        }
    }
});
