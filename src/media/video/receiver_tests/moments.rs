//! When pictures come out, and with which time.

use std::ops::Range;

use parking_lot::Mutex;

use super::*;
use crate::media::codec::VideoDecoder;

#[test]
fn a_still_picture_is_a_freeze_that_begins_and_ends() {
    let mut call = Call::plain();
    call.flow(30);
    call.wait(Duration::from_secs(1));
    assert!(matches!(call.others[..], [VideoOutput::Frozen]));
    call.flow(1);
    assert!(matches!(call.others[..], [VideoOutput::Frozen, VideoOutput::Resumed]));
    let counters = call.receiver.counters();
    assert_eq!((counters.freezes, counters.frozen.as_millis()), (1, 1_033));
    call.receiver.pause();
    call.wait(Duration::from_secs(10));
    assert_eq!(call.others.len(), 2, "switched off is not frozen");
}

#[test]
fn sound_may_hold_pictures_back() {
    let mut call = Call::plain();
    call.receiver.set_hold(call.now, 0, Duration::from_millis(100));
    let packets = call.frame();
    let begin = call.now;
    call.deliver(packets);
    assert_eq!(call.pictures.len(), 0);
    assert_eq!(call.receiver.poll_timeout(call.now), Some(begin + Duration::from_millis(100)));
    call.wait(Duration::from_millis(100));
    assert_eq!(call.pictures.len(), 1);
    call.flow(30);
    assert!((27..=28).contains(&call.pictures.len()), "{}", call.pictures.len());
    call.wait(Duration::from_millis(120));
    assert_eq!((call.pictures.len(), call.receiver.counters().freezes), (31, 0));
    let VideoCounters { waited, frames_emitted, between_pictures, .. } = call.receiver.counters();
    println!("waited {waited:?}, {between_pictures:?} between the first picture and the last");
    assert_eq!(frames_emitted, 31);
    let each = waited / 31;
    assert!(each >= Duration::from_millis(99) && each <= Duration::from_millis(134), "{each:?}");
    assert!(between_pictures >= FRAME * 29 && between_pictures <= FRAME * 34);
}

#[test]
fn a_picture_that_comes_late_is_shown_in_time_and_so_is_the_next() {
    const HOLD: Duration = Duration::from_millis(100);
    const LATE: Duration = Duration::from_millis(30);
    let mut call = Call::plain();
    let mut moments = Vec::new();
    for number in 0..60 {
        let packets = call.frame();
        let (timestamp, due) = (packets[0].timestamp, call.now + HOLD);
        let arrival = if number % 10 == 9 { call.now + LATE } else { call.now };
        call.now -= FRAME;
        while let Some(at) = call.receiver.poll_timeout(call.now).filter(|at| *at <= arrival) {
            call.now = call.now.max(at);
            let before = call.pictures.len();
            call.receiver.handle_timeout(call.now);
            call.poll();
            moments.extend((before..call.pictures.len()).map(|_| call.now));
        }
        call.now = arrival;
        packets.into_iter().for_each(|packet| call.receiver.handle_packet(arrival, packet));
        call.receiver.set_hold(arrival, timestamp, due - arrival);
        call.now = due - HOLD;
    }
    // The first one knew of nothing to wait for.
    let gaps: Vec<Duration> = moments[1..].windows(2).map(|pair| pair[1] - pair[0]).collect();
    let is_even = |gap: &Duration| (30..=37).contains(&gap.as_millis());
    assert!(gaps.len() > 50 && gaps.iter().all(is_even), "{gaps:?}");
}

/// Takes this long for each frame, on the test's time.
struct Slow(Box<dyn VideoDecoder>, Arc<Mutex<Instant>>);

const WORK: Duration = Duration::from_millis(7);

impl VideoDecoder for Slow {
    fn decode(&mut self, bytes: &[u8]) -> Result<Option<Picture>, CodecError> {
        self.0.decode(bytes)
    }

    fn worked(&self) -> Option<Range<Instant>> {
        let begin = *self.1.lock();
        Some(begin..begin + WORK)
    }
}

#[test]
fn decoding_has_its_time_and_so_has_the_way_from_the_first_packet_to_the_picture() {
    let mut call = Call::plain();
    let (clock, mut make) = (Arc::new(Mutex::new(call.now)), decoders(&call.refused));
    let of_decoder = clock.clone();
    call.receiver = VideoReceiver::with_decoders(Box::new(move |codec| {
        Ok(Box::new(Slow(make(codec)?, of_decoder.clone())))
    }));
    call.receiver.set_hold(call.now, 0, Duration::from_millis(100));
    for _ in 0..10 {
        let packets = call.frame();
        *clock.lock() = call.now + Duration::from_millis(100);
        call.deliver(packets);
        call.wait(Duration::from_millis(100));
    }
    let VideoCounters { frames_decoded, decoding, processing, waited, .. } = call.receiver.counters();
    assert_eq!((frames_decoded, decoding), (10, 10 * WORK));
    println!("waited {waited:?}, processed {processing:?}");
    assert_eq!(processing, waited + 10 * WORK);
    // A frame that cannot be decoded is in none of it.
    let mut packets = call.frame();
    packets[0].payload = packets[0].payload[..6].into();
    call.deliver(packets);
    call.wait(Duration::from_millis(200));
    let after = call.receiver.counters();
    assert_eq!((after.frames_decoded, after.decoding, after.processing), (10, decoding, processing));
    assert!(after.frames_dropped > 0);
}

#[test]
fn pictures_have_the_time_of_the_senders_clock_and_stand_upright() {
    let mut call = Call::plain();
    let mut packets = call.frame();
    for packet in &mut packets {
        let timestamp = packet.timestamp - 90_000;
        packet.sender_report = Some(SenderReport { wall_us: 5_000_000, timestamp });
        packet.rotation = Rotation::Quarter;
    }
    call.deliver(packets);
    assert_eq!(call.pictures[0].timestamp_ms, 6_000);
    assert_eq!((call.pictures[0].width(), call.pictures[0].height()), (240, 320));
    call.flow(1);
    assert_eq!(call.pictures[1].timestamp_ms, 6_033);
    assert_eq!(call.pictures[1].width(), 320);
}
