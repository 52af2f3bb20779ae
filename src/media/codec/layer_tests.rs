//! Temporal layers: what is above the base can be left out, and followed again where the encoder says so.

use super::tests::{at, both_ways, picture, psnr, settings};
use super::*;

struct Stream {
    codec: VideoCodec,
    layers: u8,
    frames: Vec<(u32, EncodedFrame)>,
}

/// All the streams with layers that can be encoded here.
fn streams() -> Vec<Stream> {
    let mut streams = Vec::new();
    for codec in both_ways() {
        for layers in [2, 3] {
            let settings = VideoSettings { temporal_layers: layers, ..settings(320, 240) };
            let mut encoder = video_encoder(codec, &settings).expect("an encoder");
            let frames = (0..24).filter_map(|number| {
                let picture = picture(320, 240, number);
                let frame = encoder.encode(&picture, at(number), number == 13).expect("encoded");
                Some((number, frame?))
            });
            streams.push(Stream { codec, layers, frames: frames.collect() });
        }
    }
    streams
}

#[test]
fn every_layer_has_its_share_of_frames() {
    for Stream { codec, layers, frames } in streams() {
        for layer in 0..layers {
            let share = frames.iter().filter(|(_, frame)| frame.temporal_layer == layer).count();
            let expected = frames.len() >> (layers - layer.max(1));
            assert!(
                share.abs_diff(expected) <= 3,
                "{codec:?}, layer {layer} of {layers}: {share}, not {expected}"
            );
        }
        assert!(frames.iter().all(|(_, frame)| !frame.is_key || frame.temporal_layer == 0), "{codec:?}");
    }
}

#[test]
fn upper_layers_can_be_left_out() {
    for Stream { codec, layers, frames } in streams() {
        for kept in 0..layers {
            let mut decoder = video_decoder(codec).expect("a decoder");
            for (number, frame) in frames.iter().filter(|(_, frame)| frame.temporal_layer <= kept) {
                let decoded = decoder.decode(&frame.bytes).ok().flatten();
                let decoded = decoded.unwrap_or_else(|| {
                    panic!("{codec:?}, {kept} of {layers}: frame {number} is not decoded")
                });
                let quality = psnr(&decoded, &picture(320, 240, *number));
                assert!(quality > 27.0, "{codec:?}, {kept} of {layers}, frame {number}: {quality:.1} dB");
            }
        }
    }
}

/// A decoder that joins an upper layer at a frame that says so sees what one sees that had all frames.
#[test]
fn an_upper_layer_can_be_joined_where_it_says_so() {
    for Stream { codec, layers, frames } in streams() {
        let mut joins = 0;
        for target in 1..layers {
            for join in 1..frames.len() {
                let (_, frame) = &frames[join];
                if frame.temporal_layer != target || !frame.is_layer_sync || join % 4 == 0 {
                    continue;
                }
                joins += 1;
                check_join(codec, &frames, join, target);
            }
        }
        assert!(
            joins > 0 || codec == VideoCodec::H264,
            "{codec:?} with {layers} layers has no place to join"
        );
    }
}

/// Only the base until the join, then everything up to the layer that is joined.
fn check_join(codec: VideoCodec, frames: &[(u32, EncodedFrame)], join: usize, target: u8) {
    let mut whole = video_decoder(codec).expect("a decoder");
    let mut joining = video_decoder(codec).expect("a decoder");
    for (index, (number, frame)) in frames.iter().enumerate() {
        if frame.temporal_layer > target {
            continue;
        }
        let expected = whole.decode(&frame.bytes).expect("decoded").expect("a picture");
        if index < join && frame.temporal_layer > 0 {
            continue;
        }
        let seen = joining.decode(&frame.bytes).ok().flatten();
        assert!(
            seen.is_some_and(|seen| expected.pixels() == seen.pixels()),
            "{codec:?}, layer {target} joined at {join}, frame {number} in layer {}",
            frame.temporal_layer
        );
    }
}
