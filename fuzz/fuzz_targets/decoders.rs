//! What a stranger sends as video and sound: the first byte chooses the codec, the rest is cut into frames, each behind a
//! byte that says how long it is.
#![no_main]

use libfuzzer_sys::fuzz_target;
use opentok::media::VideoCodec;
use opentok::media::codec::{self, AudioInput};

fuzz_target!(|bytes: &[u8]| {
    let Some((which, rest)) = bytes.split_first() else { return };
    let codec = match which % 5 {
        0 => VideoCodec::Vp8,
        1 => VideoCodec::Vp9,
        2 => VideoCodec::H264,
        3 => VideoCodec::Av1,
        _ => return try_sound(rest),
    };
    let Ok(mut decoder) = codec::video_decoder(codec) else { return };
    for frame in frames(rest) {
        let _ = decoder.decode(frame);
    }
});

fn try_sound(bytes: &[u8]) {
    let Ok(mut decoder) = codec::audio_decoder() else { return };
    let mut samples = [0; 2 * 5760];
    for frame in frames(bytes) {
        let _ = decoder.decode(AudioInput::Packet(frame), &mut samples);
        let _ = decoder.decode(AudioInput::LostBefore(frame), &mut samples[..2 * 960]);
        let _ = decoder.decode(AudioInput::Lost, &mut samples[..2 * 480]);
    }
}

/// Up to 4 kB each.
fn frames(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = bytes.split_first()?;
        let (frame, next) = rest.split_at((usize::from(*length) * 16).min(rest.len()));
        bytes = next;
        Some(frame)
    })
}
