//! The sender and the receiver with the codecs of this machine; those that it lacks are left out and named.

use std::time::{Duration, Instant};

use super::*;
use crate::media::codec::tests::{both_ways, picture, psnr};
use crate::media::{Metadata, Picture, Rotation, VideoCodec, codec};

const FRAME: Duration = Duration::from_millis(33);

/// Sends pictures of these sizes and gives what comes out, with the pictures that went in.
fn call(codec: VideoCodec, sizes: &[(u32, u32)], metadata: Metadata) -> Vec<(Picture, Picture)> {
    let settings = SenderSettings::new(codec, 3);
    let mut sender = VideoSender::with_encoders(settings, Box::new(codec::video_encoder)).expect("a sender");
    let mut receiver = VideoReceiver::with_decoders(Box::new(codec::video_decoder));
    let mut now = Instant::now();
    let mut sequence = 10;
    let mut pairs = Vec::new();
    for (number, (width, height)) in sizes.iter().enumerate() {
        now += FRAME;
        let mut sent = picture(*width, *height, number as u32);
        sent.metadata = metadata;
        let mut frames = Vec::new();
        sender.send(now, &sent, &mut frames).expect("sent");
        for frame in frames {
            for payload in frame.payloads {
                sequence += 1;
                let packet = VideoPacket {
                    codec,
                    source: 1,
                    sequence,
                    timestamp: u64::from(frame.timestamp),
                    is_marked: payload.is_marked,
                    payload: payload.bytes,
                    rotation: Rotation::None,
                    sender_report: None,
                    is_sealed: false,
                };
                receiver.handle_packet(now, packet);
            }
        }
        while let Some(output) = receiver.poll(now, 0) {
            match output {
                VideoOutput::Picture(received) => pairs.push((sent.clone(), received)),
                other => panic!("{codec:?}: {other:?}"),
            }
        }
    }
    pairs
}

#[test]
fn pictures_arrive_with_every_codec_also_when_their_size_changes() {
    for codec in both_ways() {
        let sizes = [[(320, 180); 10], [(180, 320); 10], [(640, 360); 10]].concat();
        let pairs = call(codec, &sizes, Metadata::default());
        assert!(pairs.len() >= 28, "{codec:?}: {} of 30", pairs.len());
        for (sent, received) in &pairs {
            assert!(
                psnr(sent, received) > 25.0,
                "{codec:?}: {sent:?} came as {received:?}, {}",
                psnr(sent, received)
            );
        }
    }
}

#[test]
fn metadata_arrives_with_vp8_and_h264() {
    for codec in both_ways() {
        let metadata = Metadata::new(&[0, 0, 1, 0xff, 0, 0, 0, 7]).expect("short");
        let pairs = call(codec, &[(320, 180); 5], metadata);
        assert!(!pairs.is_empty());
        let expected = if codec == VideoCodec::Vp9 { Metadata::default() } else { metadata };
        assert!(pairs.iter().all(|(_, received)| received.metadata == expected), "{codec:?}");
    }
}
