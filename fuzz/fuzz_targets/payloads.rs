//! RTP payloads of video, one after the other: each alone, together as a frame, and through a receiver whose decoder
//! takes everything.
#![no_main]

use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use opentok::media::codec::{CodecError, VideoDecoder};
use opentok::media::packet::{inspect, join};
use opentok::media::video::{VideoPacket, VideoReceiver};
use opentok::media::{Picture, Rotation, VideoCodec};

struct Grey;

impl VideoDecoder for Grey {
    fn decode(&mut self, bytes: &[u8]) -> Result<Option<Picture>, CodecError> {
        if bytes.len() % 7 == 0 { Err(CodecError::Malformed) } else { Ok(Picture::black(16, 16)) }
    }
}

/// Codec, then packets: length, number and flags in four bytes, the payload behind them.
fn read(bytes: &[u8]) -> Option<(VideoCodec, Vec<(&[u8], &[u8])>)> {
    let (codec, mut rest) = bytes.split_first()?;
    let codec = [VideoCodec::Vp8, VideoCodec::Vp9, VideoCodec::H264, VideoCodec::Av1][usize::from(codec % 4)];
    let mut packets = Vec::new();
    while let Some((header, after)) = rest.split_at_checked(4) {
        let (payload, after) = after.split_at(usize::from(header[0]).min(after.len()));
        packets.push((header, payload));
        rest = after;
    }
    Some((codec, packets))
}

fuzz_target!(|bytes: &[u8]| {
    let Some((codec, packets)) = read(bytes) else { return };
    let payloads: Vec<&[u8]> = packets.iter().map(|(_, payload)| *payload).collect();
    for payload in &payloads {
        let _ = inspect(codec, payload);
    }
    let _ = join(codec, &payloads);

    let mut receiver = VideoReceiver::with_decoders(Box::new(|_| Ok(Box::new(Grey))));
    let mut now = Instant::now();
    for (header, payload) in packets {
        now += Duration::from_millis(u64::from(header[3] >> 1));
        let packet = VideoPacket {
            codec,
            source: 1,
            sequence: 1_000 + u64::from(header[1]),
            timestamp: 3_000 * u64::from(header[2]),
            is_marked: header[3] & 1 == 1,
            payload: payload.into(),
            rotation: Rotation::None,
            sender_report: None,
            is_sealed: false,
        };
        receiver.handle_packet(now, packet);
        while receiver.poll(now, 0).is_some() {}
        if let Some(deadline) = receiver.poll_timeout(now) {
            now = now.max(deadline);
            receiver.handle_timeout(now);
        }
    }
});
