//! Decoders get what a stranger sends: garbage, streams cut short, bits turned over.

use super::tests::{at, av1_frames, both_ways, picture, settings};
use super::*;

/// A generator with a seed, so that a failure can be made again.
struct Dice(u64);

impl Dice {
    fn throw(&mut self) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.throw() % limit.max(1) as u64) as usize
    }
}

fn stream(codec: VideoCodec) -> Vec<Vec<u8>> {
    let mut encoder = video_encoder(codec, &settings(96, 64)).expect("an encoder");
    let frames = (0..12).filter_map(|number| {
        encoder.encode(&picture(96, 64, number), at(number), number == 6).expect("encoded")
    });
    frames.map(|frame| frame.bytes).collect()
}

/// Of every codec that can be decoded here.
fn streams() -> Vec<(VideoCodec, Vec<Vec<u8>>)> {
    let mut streams: Vec<_> = both_ways().into_iter().map(|codec| (codec, stream(codec))).collect();
    if video_decoder(VideoCodec::Av1).is_ok() {
        streams.push((VideoCodec::Av1, av1_frames().into_iter().map(<[u8]>::to_vec).collect()));
    }
    streams
}

/// A decoder, and what tells the decoders in a failure.
type Decoders = Vec<(&'static str, Box<dyn Fn() -> Box<dyn VideoDecoder>>)>;

fn decoders(codec: VideoCodec) -> Decoders {
    let mut decoders: Decoders =
        vec![("the library's", Box::new(move || video_decoder(codec).expect("a decoder")))];
    if codec == VideoCodec::Vp8 {
        decoders.push(("in Rust", Box::new(|| vp8::decoder(None))));
    }
    decoders
}

#[test]
fn garbage_is_an_error_or_nothing() {
    for codec in [VideoCodec::Vp8, VideoCodec::Vp9, VideoCodec::H264, VideoCodec::Av1] {
        if video_decoder(codec).is_err() {
            eprintln!("skipped: {codec:?}, its library is not here");
            continue;
        }
        for (name, make) in decoders(codec) {
            for seed in 0..60 {
                let mut dice = Dice(seed);
                let mut decoder = make();
                for _ in 0..8 {
                    let length = dice.below(300);
                    let bytes: Vec<u8> = (0..length).map(|_| dice.throw() as u8).collect();
                    let _ = decoder.decode(&bytes);
                }
                assert!(decoder.decode(&[]).is_err(), "{codec:?} {name}: nothing is not a frame");
            }
        }
    }
}

#[test]
fn damaged_streams_do_no_harm_and_a_key_frame_mends_them() {
    for (codec, frames) in streams() {
        for (name, make) in decoders(codec) {
            for seed in 0..60 {
                let mut dice = Dice(seed);
                let mut decoder = make();
                for frame in &frames {
                    let mut bytes = frame.clone();
                    match dice.below(4) {
                        0 => bytes.truncate(dice.below(frame.len())),
                        1 => {
                            for _ in 0..=dice.below(4) {
                                let at = dice.below(bytes.len());
                                bytes[at] ^= 1 << dice.below(8);
                            }
                        }
                        2 => {
                            bytes.extend((0..dice.below(40)).map(|_| dice.throw() as u8).collect::<Vec<_>>())
                        }
                        _ => {}
                    }
                    let _ = decoder.decode(&bytes);
                }
                let mended = decoder.decode(&frames[0]);
                assert!(matches!(mended, Ok(Some(_))), "{codec:?} {name}, seed {seed}: {mended:?}");
            }
        }
    }
}

#[test]
fn a_frame_cut_short_anywhere_does_no_harm() {
    for (codec, frames) in streams() {
        for (_, make) in decoders(codec) {
            for length in 0..frames[0].len().min(200) {
                let mut decoder = make();
                let _ = decoder.decode(&frames[0][..length]);
                let _ = decoder.decode(&frames[1]);
            }
        }
    }
}

#[test]
fn sound_that_is_garbage_does_no_harm() {
    for library in [opus_sys::Opus::get(), None] {
        for seed in 0..300 {
            let mut dice = Dice(seed);
            let mut decoder = opus::decoder(library).expect("a decoder");
            let mut samples = [0; 2 * 5760];
            for _ in 0..8 {
                let length = dice.below(200);
                let bytes: Vec<u8> = (0..length).map(|_| dice.throw() as u8).collect();
                let room = dice.below(samples.len());
                let input = match dice.below(3) {
                    0 => AudioInput::Lost,
                    1 => AudioInput::LostBefore(&bytes),
                    _ => AudioInput::Packet(&bytes),
                };
                if let Ok(count) = decoder.decode(input, &mut samples[..room]) {
                    assert!(2 * count <= room, "seed {seed}: {count} samples, room for {room}");
                }
            }
        }
    }
}
