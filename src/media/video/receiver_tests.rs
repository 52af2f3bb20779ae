//! The receiver on made-up time, behind a network that the test makes up too.

mod moments;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::toy::{SharedLog, decoders, encoders};
use super::*;
use crate::media::codec::CodecError;
use crate::media::{Metadata, Picture, Rotation, VideoCodec};

const FRAME: Duration = Duration::from_millis(33);
const WALL_MS: i64 = 1_700_000_000_000;

/// A sender, numbers, and a receiver.
struct Call {
    sender: VideoSender,
    receiver: VideoReceiver,
    now: Instant,
    source: u32,
    sequence: u64,
    timestamps: Timestamps,
    size: (u32, u32),
    metadata: Metadata,
    pictures: Vec<Picture>,
    requests: usize,
    others: Vec<VideoOutput>,
    refused: Arc<AtomicUsize>,
}

/// From 32 bits to 64, as `rtc` does it.
#[derive(Default)]
struct Timestamps(Option<u64>);

impl Timestamps {
    fn extend(&mut self, timestamp: u32) -> u64 {
        let before = self.0.unwrap_or((1 << 32) + u64::from(timestamp));
        let extended = before + u64::from(timestamp.wrapping_sub(before as u32));
        self.0 = Some(extended);
        extended
    }
}

impl Call {
    /// One layer, every frame needs the one before.
    fn plain() -> Self {
        Self::new(|_| {})
    }

    /// Three temporal layers: the lowest simulcast layer, at full rate.
    fn layered() -> Self {
        Self::new(|settings| settings.layers_max = 3)
    }

    fn new(change: impl FnOnce(&mut SenderSettings)) -> Self {
        let mut settings = SenderSettings::new(VideoCodec::Vp8, 1);
        change(&mut settings);
        let refused = Arc::new(AtomicUsize::new(0));
        Self {
            sender: VideoSender::with_encoders(settings, encoders(&SharedLog::default())).expect("a sender"),
            receiver: VideoReceiver::with_decoders(decoders(&refused)),
            now: Instant::now(),
            source: 1,
            sequence: 65_000,
            timestamps: Timestamps::default(),
            size: (320, 240),
            metadata: Metadata::default(),
            pictures: Vec::new(),
            requests: 0,
            others: Vec::new(),
            refused,
        }
    }

    /// The packets of the next frame, a frame's time later.
    fn frame(&mut self) -> Vec<VideoPacket> {
        self.now += FRAME;
        let mut picture = Picture::black(self.size.0, self.size.1).expect("a size");
        picture.metadata = self.metadata;
        let mut frames = Vec::new();
        self.sender.send(self.now, &picture, &mut frames).expect("sent");
        let mut packets = Vec::new();
        for frame in frames.iter().filter(|frame| frame.layer == 0) {
            let timestamp = self.timestamps.extend(frame.timestamp);
            for payload in &frame.payloads {
                self.sequence += 1;
                packets.push(VideoPacket {
                    codec: VideoCodec::Vp8,
                    source: self.source,
                    sequence: self.sequence,
                    timestamp,
                    is_marked: payload.is_marked,
                    payload: payload.bytes.clone(),
                    rotation: Rotation::None,
                    sender_report: None,
                    is_sealed: false,
                });
            }
        }
        packets
    }

    fn deliver(&mut self, packets: impl IntoIterator<Item = VideoPacket>) {
        for packet in packets {
            self.receiver.handle_packet(self.now, packet);
        }
        self.poll();
    }

    fn poll(&mut self) {
        while let Some(output) = self.receiver.poll(self.now, WALL_MS) {
            match output {
                VideoOutput::Picture(picture) => self.pictures.push(picture),
                VideoOutput::KeyFrameNeeded => self.requests += 1,
                other => self.others.push(other),
            }
        }
    }

    /// So many frames without any loss.
    fn flow(&mut self, count: usize) {
        for _ in 0..count {
            let packets = self.frame();
            self.deliver(packets);
        }
    }

    /// Time passes, timers are served.
    fn wait(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(deadline) = self.receiver.poll_timeout(self.now).filter(|deadline| *deadline <= end) {
            self.now = self.now.max(deadline);
            self.receiver.handle_timeout(self.now);
            self.poll();
            assert!(
                self.receiver.poll_timeout(self.now) != Some(deadline),
                "a deadline that has passed is not served"
            );
        }
        self.now = end;
    }

    fn refused(&self) -> usize {
        self.refused.load(Ordering::Relaxed)
    }
}

#[test]
fn every_frame_comes_out_at_once_and_whole() {
    let mut call = Call::plain();
    call.metadata = Metadata::new(b"frame 7").expect("short");
    for count in 1..=100 {
        call.flow(1);
        assert_eq!(call.pictures.len(), count);
    }
    assert_eq!(call.pictures[50].metadata.as_bytes(), b"frame 7");
    assert_eq!(call.pictures[50].timestamp_ms, WALL_MS);
    let counters = call.receiver.counters();
    assert_eq!((counters.frames_decoded, counters.key_frames_decoded, counters.frames_dropped), (100, 1, 0));
    assert_eq!((counters.packets_lost, counters.width, counters.height), (0, 320, 240));
    assert!((29.0..31.0).contains(&counters.frames_per_second), "{}", counters.frames_per_second);
    assert_eq!(call.requests, 0);
}

#[test]
fn disorder_and_duplicates_change_nothing() {
    let mut call = Call::layered();
    for _ in 0..50 {
        let mut packets = call.frame();
        packets.extend(call.frame());
        packets.extend(packets.clone());
        packets.reverse();
        call.deliver(packets);
    }
    assert_eq!(call.pictures.len(), 100);
    assert_eq!((call.requests, call.refused(), call.receiver.counters().frames_dropped), (0, 0, 0));
    assert!(call.receiver.counters().packets_duplicate + call.receiver.counters().packets_late > 100);
}

#[test]
fn a_late_retransmission_is_waited_for() {
    let mut call = Call::plain();
    call.flow(10);
    let lost = call.frame();
    let mut after = call.frame();
    after.extend(call.frame());
    call.deliver(after);
    call.wait(Duration::from_millis(120));
    assert_eq!((call.pictures.len(), call.requests), (10, 0));
    call.deliver(lost);
    assert_eq!((call.pictures.len(), call.requests, call.refused()), (13, 0, 0));
}

#[test]
fn what_does_not_come_makes_a_key_frame_necessary_and_the_picture_goes_on_there() {
    let mut call = Call::plain();
    call.flow(10);
    let _lost = call.frame();
    for _ in 0..3 {
        let packets = call.frame();
        call.deliver(packets);
    }
    assert_eq!((call.pictures.len(), call.requests), (10, 0));
    call.wait(Duration::from_millis(150));
    assert_eq!(call.requests, 1);
    call.flow(5);
    assert_eq!(call.pictures.len(), 10, "nothing that needs what is lost");
    call.sender.request_key_frame(None);
    call.flow(5);
    assert_eq!((call.pictures.len(), call.refused(), call.requests), (15, 0, 1));
    assert!(call.receiver.counters().packets_lost > 0);
}

#[test]
fn requests_are_repeated_ever_more_slowly_until_a_key_frame_comes() {
    let mut call = Call::plain();
    let _first = call.frame();
    call.flow(1);
    let mut at = Vec::new();
    let begin = call.now;
    while call.now < begin + Duration::from_secs(8) {
        let before = call.requests;
        call.wait(Duration::from_millis(10));
        if call.requests > before {
            at.push((call.now - begin).as_millis() / 100);
        }
    }
    assert_eq!(at, [0, 3, 9, 21, 41, 61], "tenths of a second");
    call.sender.request_key_frame(None);
    call.flow(2);
    call.wait(Duration::from_secs(5));
    assert_eq!((call.requests, call.pictures.len()), (at.len(), 2));
}

#[test]
fn the_first_picture_is_that_of_a_key_frame() {
    let mut call = Call::plain();
    let _first = call.frame();
    call.flow(10);
    assert_eq!((call.pictures.len(), call.refused()), (0, 0));
    call.sender.request_key_frame(None);
    call.flow(1);
    assert_eq!(call.pictures.len(), 1);
}

#[test]
fn a_forwarder_may_leave_out_temporal_layers_and_their_numbers() {
    let mut call = Call::layered();
    let mut sent = 0;
    for index in 0..60 {
        let packets = call.frame();
        let is_upper = packets.first().is_some_and(|packet| packet.payload[5] >> 6 == 2);
        if is_upper && index > 20 {
            call.sequence -= packets.len() as u64;
        } else {
            sent += usize::from(!packets.is_empty());
            call.deliver(packets);
        }
    }
    assert_eq!((call.pictures.len(), call.requests, call.refused()), (sent, 0, 0));
}

#[test]
fn the_loss_of_an_upper_temporal_layer_costs_that_layer_only() {
    let mut call = Call::layered();
    let mut lost = 0;
    for index in 0..120 {
        let packets = call.frame();
        let is_upper = packets.first().is_some_and(|packet| packet.payload[5] >> 6 > 0);
        if is_upper && index % 5 == 4 {
            lost += 1;
        } else {
            call.deliver(packets);
        }
    }
    call.wait(Duration::from_secs(1));
    assert_eq!((call.requests, call.refused()), (0, 0));
    assert!(lost > 5 && call.pictures.len() > 40, "{} pictures", call.pictures.len());
}

#[test]
fn a_frame_that_needs_the_base_alone_passes_a_missing_one() {
    let mut call = Call::layered();
    call.flow(9);
    let _lost = call.frame();
    let middle = call.frame();
    call.deliver(middle);
    assert_eq!(call.pictures.len(), 9, "it may still come");
    call.wait(Duration::from_millis(30));
    assert_eq!((call.pictures.len(), call.requests), (10, 0));
}

#[test]
fn what_builds_on_a_lost_frame_of_an_upper_layer_is_left_out_and_nothing_else() {
    let mut call = Call::layered();
    call.flow(10);
    let _lost = call.frame();
    call.flow(1);
    call.wait(Duration::from_millis(500));
    assert_eq!((call.pictures.len(), call.requests), (10, 0));
    // Base and the layer that needs it alone; then the middle layer builds on what was lost.
    call.flow(4);
    assert_eq!((call.pictures.len(), call.requests, call.refused()), (12, 0, 0));
    // The middle layer begins anew, then the highest.
    call.flow(5);
    assert_eq!((call.pictures.len(), call.requests, call.refused()), (16, 0, 0));
    call.flow(8);
    assert_eq!((call.pictures.len(), call.requests, call.refused()), (24, 0, 0));
}

#[test]
fn the_loss_of_the_base_layer_makes_a_key_frame_necessary() {
    let mut call = Call::layered();
    call.flow(20);
    let mut is_lost = false;
    for _ in 0..30 {
        let packets = call.frame();
        let is_base = packets.first().is_some_and(|packet| packet.payload[5] >> 6 == 0);
        if is_base && !is_lost {
            is_lost = true;
        } else {
            call.deliver(packets);
        }
    }
    assert_eq!((call.refused(), call.requests > 0), (0, true));
}

#[test]
fn numbers_of_all_sizes_wrap_without_notice() {
    let mut call = Call::new(|settings| {
        settings.layers_max = 3;
        settings.seed = 12;
    });
    call.size = (16, 16);
    // More than 2^15 picture numbers, and 2^32 ticks of time by larger steps.
    for index in 0..40_000_u64 {
        if index % 50 == 0 {
            call.now += Duration::from_secs(60);
        }
        let packets = call.frame();
        for packet in packets {
            call.receiver.handle_packet(call.now, packet);
        }
        while let Some(output) = call.receiver.poll(call.now, 0) {
            call.requests += usize::from(matches!(output, VideoOutput::KeyFrameNeeded));
        }
    }
    assert_eq!((call.requests, call.refused()), (0, 0));
    assert_eq!(call.receiver.counters().frames_decoded, 40_000);
    assert_eq!(call.receiver.counters().frames_dropped, 0);
}

#[test]
fn another_size_in_the_middle_comes_out_in_that_size() {
    let mut call = Call::plain();
    call.flow(5);
    call.size = (240, 320);
    call.flow(5);
    assert_eq!((call.pictures[4].width(), call.pictures[5].width()), (320, 240));
    assert_eq!((call.receiver.counters().height, call.requests), (320, 0));
}

#[test]
fn numbers_that_jump_begin_a_new_stream() {
    let mut call = Call::plain();
    call.flow(5);
    for jump in [100_000_u64, 0] {
        call.sequence = if jump == 0 { 70_000 } else { call.sequence + jump };
        call.flow(3);
        assert!(call.requests > 0);
        call.now += Duration::from_secs(1);
        let before = call.pictures.len();
        call.sender.request_key_frame(None);
        call.flow(3);
        assert_eq!(call.pictures.len(), before + 3);
        assert_eq!(call.receiver.counters().packets_lost, 0);
    }
}

#[test]
fn another_source_begins_anew_wherever_its_numbers_are() {
    let mut call = Call::plain();
    call.flow(5);
    let mut latecomer = call.frame().remove(0);
    latecomer.sequence += 1;
    call.source = 2;
    call.sequence -= 50;
    call.sender.request_key_frame(None);
    call.now += Duration::from_secs(1);
    let (before, requests) = (call.pictures.len(), call.requests);
    call.flow(3);
    assert_eq!((call.pictures.len(), call.requests), (before + 3, requests), "with its own key frame");
    call.deliver([latecomer]);
    call.flow(3);
    assert_eq!((call.pictures.len(), call.requests), (before + 6, requests), "what was late changes nothing");
    // Without a key frame one is asked for at once.
    call.source = 3;
    call.sequence -= 50;
    call.flow(3);
    assert_eq!(call.pictures.len(), before + 6);
    assert!(call.requests > requests);
    assert_eq!(call.receiver.counters().packets_lost, 0);
}

#[test]
fn a_frame_whose_end_is_lost_is_missed_although_nothing_follows() {
    for is_first in [true, false] {
        let mut call = Call::plain();
        call.size = (1280, 720);
        if !is_first {
            call.flow(5);
            call.sender.request_key_frame(None);
            call.now += Duration::from_secs(1);
        }
        let mut packets = call.frame();
        assert!(packets.len() > 1, "a key frame of several packets");
        packets.pop();
        let requests = call.requests;
        call.deliver(packets);
        assert_eq!(call.requests, requests, "the rest may come");
        let end = call.now + Duration::from_secs(1);
        while let Some(at) = call.receiver.poll_timeout(call.now).filter(|at| *at <= end) {
            call.now = call.now.max(at);
            call.receiver.handle_timeout(call.now);
            call.poll();
        }
        assert!(call.requests > requests, "the first: {is_first}");
    }
}

#[test]
fn a_decoder_that_is_late_goes_on_at_the_newest_key_frame() {
    let mut call = Call::plain();
    call.flow(5);
    let mut waiting = Vec::new();
    for index in 0..20 {
        if index == 15 {
            call.sender.request_key_frame(None);
        }
        let packets = call.frame();
        for packet in packets {
            waiting.push(packet.clone());
            call.receiver.handle_packet(call.now, packet);
        }
    }
    call.poll();
    assert_eq!((call.pictures.len(), call.requests, call.refused()), (10, 0, 0));

    for _ in 0..20 {
        let packets = call.frame();
        for packet in packets {
            call.receiver.handle_packet(call.now, packet);
        }
    }
    call.poll();
    assert_eq!((call.pictures.len(), call.requests), (10, 1), "none there: one is asked for");
}

#[test]
fn a_codec_without_a_decoder_is_named_once_and_another_one_goes_on() {
    let mut call = Call::plain();
    let inner = Arc::new(AtomicUsize::new(0));
    let mut toys = decoders(&inner);
    call.receiver = VideoReceiver::with_decoders(Box::new(move |codec| match codec {
        VideoCodec::Vp8 => toys(codec),
        other => Err(CodecError::Missing(other)),
    }));
    call.flow(3);
    for _ in 0..10 {
        let mut packets = call.frame();
        for packet in &mut packets {
            packet.codec = VideoCodec::H264;
            packet.payload = Arc::from([0x67, 1, 2, 3].as_slice());
        }
        call.deliver(packets);
        call.wait(Duration::from_secs(1));
    }
    assert!(matches!(call.others[..], [VideoOutput::Undecodable(VideoCodec::H264)]), "{:?}", call.others);
    assert_eq!(call.requests, 0);
    assert!(call.receiver.counters().packets_received > 13);
    call.sender.request_key_frame(None);
    call.flow(3);
    assert_eq!(call.pictures.len(), 6);
    assert!(matches!(call.others[1..], [VideoOutput::Decodable]), "once: {:?}", call.others);
}

#[test]
fn padding_between_frames_is_no_loss() {
    let mut call = Call::plain();
    for _ in 0..20 {
        let mut packets = call.frame();
        let mut padding = packets.last().expect("a packet").clone();
        call.sequence += 1;
        padding.sequence = call.sequence;
        padding.payload = Arc::from([].as_slice());
        padding.is_marked = false;
        packets.push(padding);
        call.deliver(packets);
    }
    assert_eq!((call.pictures.len(), call.requests), (20, 0));
}

#[test]
fn a_flood_that_never_makes_a_frame_stays_bounded() {
    let mut call = Call::plain();
    call.flow(3);
    let payload: Arc<[u8]> = Arc::from(vec![0x00; 1_200]);
    for index in 0..30_000_u64 {
        let packet = VideoPacket {
            codec: VideoCodec::Vp8,
            source: 1,
            sequence: call.sequence + 2 + index,
            timestamp: 7,
            is_marked: false,
            payload: payload.clone(),
            rotation: Rotation::None,
            sender_report: None,
            is_sealed: false,
        };
        if index % 500 == 0 {
            call.deliver([packet]);
        } else if index % 10 == 0 {
            call.receiver.handle_packet(call.now, packet);
        }
    }
    assert!(Arc::strong_count(&payload) < 2_100, "{} packets are kept", Arc::strong_count(&payload));
    assert!(call.requests < 50);
}

#[test]
fn a_call_with_loss_and_retransmission_loses_no_picture() {
    let mut call = Call::plain();
    call.flow(5);
    let mut network: Vec<(Instant, VideoPacket)> = Vec::new();
    let mut count: u64 = 0;
    for _ in 0..600 {
        for packet in call.frame() {
            count = count.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // Ten of a hundred come a round trip later.
            let is_lost = (count >> 33).is_multiple_of(10);
            let delay = if is_lost { 90 } else { 0 };
            network.push((call.now + Duration::from_millis(delay), packet));
        }
        let now = call.now;
        let (due, later) = network.into_iter().partition(|(at, _)| *at <= now);
        network = later;
        let due: Vec<_> = due;
        call.deliver(due.into_iter().map(|(_, packet)| packet));
    }
    assert!(call.pictures.len() > 600, "{} of 605", call.pictures.len());
    assert_eq!((call.requests, call.refused()), (0, 0));
}

proptest! {
    #[test]
    fn any_packets_in_any_order_are_survived(
        packets in proptest::collection::vec(
            (0..4_u8, 0..40_u64, 0..6_u64, any::<bool>(), proptest::collection::vec(any::<u8>(), 0..24), 0..100_u64),
            0..120,
        ),
    ) {
        let refused = Arc::new(AtomicUsize::new(0));
        let mut receiver = VideoReceiver::with_decoders(decoders(&refused));
        let mut now = Instant::now();
        for (codec, sequence, timestamp, is_marked, payload, pause) in packets {
            now += Duration::from_millis(pause);
            let codec = [VideoCodec::Vp8, VideoCodec::Vp9, VideoCodec::H264, VideoCodec::Av1][usize::from(codec)];
            let sequence = if sequence == 39 { u64::MAX - 5 } else { sequence };
            receiver.handle_packet(now, VideoPacket {
                codec,
                source: 1,
                sequence,
                timestamp: if timestamp == 5 { u64::MAX } else { timestamp },
                is_marked,
                payload: payload.into(),
                rotation: Rotation::Half,
                sender_report: Some(SenderReport { wall_us: i64::MAX, timestamp: 0 }),
                is_sealed: false,
            });
            while receiver.poll(now, 0).is_some() {}
            if let Some(deadline) = receiver.poll_timeout(now).filter(|_| is_marked) {
                now = now.max(deadline);
                receiver.handle_timeout(now);
            }
        }
    }
}
