//! A sender whose sound and pictures share a wall clock, and what its receiver shows when.

use std::time::{Duration, Instant};

use super::audio::Heard;
use super::sync::{Report, Sync};

const VIDEO: u64 = 90_000;
const AUDIO: u64 = 48_000;

/// µs of the sender's wall clock when the call begins, and where its RTP times begin.
const WALL: i64 = 1_700_000_000_000_000;
const VIDEO_BEGIN: u64 = 7_000_000;
const AUDIO_BEGIN: u64 = 99_000;

struct Call {
    begin: Instant,
    sync: Sync,
    /// How fast the sender's sound card is against its wall clock, in millionths.
    drift: i64,
}

impl Call {
    fn new() -> Self {
        Self { begin: Instant::now(), sync: Sync::new(90_000), drift: 0 }
    }

    fn at(&self, ms: u64) -> Instant {
        self.begin + Duration::from_millis(ms)
    }

    fn audio_time(&self, ms: u64) -> u64 {
        let samples = i64::try_from(ms * AUDIO / 1000).expect("short");
        AUDIO_BEGIN + u64::try_from(samples + samples * self.drift / 1_000_000).expect("positive")
    }

    /// Reports as they are sent at `ms`.
    fn report(&mut self, ms: u64) {
        let wall_us = WALL + i64::try_from(ms * 1000).expect("short");
        let timestamp = self.audio_time(ms);
        self.sync.handle_audio_report(Report { wall_us, timestamp });
        let timestamp = VIDEO_BEGIN + ms * VIDEO / 1000;
        self.sync.handle_video_report(Report { wall_us, timestamp });
    }

    /// At `ms` what was said `delay_ms` ago is heard.
    fn hear(&mut self, ms: u64, delay_ms: u64) {
        let at = self.at(ms);
        let timestamp = self.audio_time(ms - delay_ms);
        self.sync.handle_heard(Some(Heard { at, timestamp }));
    }

    /// The hold in ms of a picture taken `late_ms` ago.
    fn hold(&mut self, ms: u64, late_ms: u64) -> u64 {
        let at = self.at(ms);
        let held = self.sync.hold(at, VIDEO_BEGIN + (ms - late_ms) * VIDEO / 1000);
        u64::try_from(held.as_millis()).expect("short")
    }
}

#[test]
fn a_picture_waits_for_its_sound() {
    let mut call = Call::new();
    call.report(1000);
    call.hear(1500, 120);
    assert_eq!(call.hold(1500, 40), 80);
    call.sync.set_device_delay(Duration::from_millis(30));
    let mut fresh = Call::new();
    fresh.sync.set_device_delay(Duration::from_millis(30));
    fresh.report(1000);
    fresh.hear(1500, 120);
    assert_eq!(fresh.hold(1500, 40), 110);
}

#[test]
fn nothing_waits_when_nothing_is_known() {
    let mut call = Call::new();
    assert_eq!(call.hold(1000, 40), 0, "neither reports nor sound");
    call.hear(1000, 120);
    assert_eq!(call.hold(1000, 40), 0, "no reports");
    call.report(1000);
    assert_eq!(call.hold(1000, 40), 80);
    assert_eq!(call.hold(4000, 40), 0, "the sound has stopped");
    call.sync.handle_heard(None);
    assert_eq!(call.hold(4010, 40), 0, "no sound");
}

#[test]
fn clocks_that_have_nothing_to_do_with_each_other_are_left_alone() {
    let mut call = Call::new();
    call.report(1000);
    call.hear(1500, 120);
    call.sync.handle_video_report(Report { wall_us: WALL + 60_000_000, timestamp: VIDEO_BEGIN });
    assert_eq!(call.hold(1500, 40), 0);
    for wall_us in [i64::MIN, i64::MAX] {
        for timestamp in [0, u64::MAX] {
            call.sync.handle_video_report(Report { wall_us, timestamp });
            assert_eq!(call.hold(1500, 40), 0);
            call.sync.handle_audio_report(Report { wall_us, timestamp });
            call.hold(1500, 40);
        }
    }
}

#[test]
fn a_hold_has_a_limit() {
    let mut call = Call::new();
    call.report(1000);
    call.hear(3000, 1500);
    assert_eq!(call.hold(3000, 40), 500);
}

#[test]
fn a_change_of_the_sound_s_delay_is_followed_without_a_jump() {
    let mut call = Call::new();
    call.report(0);
    let mut before = None;
    let mut holds = Vec::new();
    for number in 0..150u64 {
        let ms = 1000 + number * 33;
        call.hear(ms, if number < 30 { 60 } else { 160 });
        let hold = call.hold(ms, 30);
        if let Some(before) = before.replace(hold) {
            assert!(hold.abs_diff(before) <= 5, "{before} ms, then {hold}");
        }
        holds.push(hold);
    }
    assert_eq!(holds[29], 30);
    assert!(holds[149].abs_diff(130) <= 5, "{}", holds[149]);
}

#[test]
fn after_three_hours_with_a_fast_sound_card_sound_and_picture_are_together() {
    let mut call = Call::new();
    call.drift = 200;
    let mut worst = 0;
    for number in 0..3 * 3600 * 5u64 {
        let ms = 5000 + number * 200;
        if number % 25 == 0 {
            call.report(ms);
        }
        // The receiver holds its delay, so what is heard drifts with the sender's card.
        call.hear(ms, 100);
        let hold = call.hold(ms, 30);
        worst = worst.max(hold.abs_diff(70));
    }
    println!("sound and picture apart at most: {worst} ms");
    assert!(worst <= 20);
}

#[test]
fn sound_waits_for_a_picture_that_is_late_and_not_for_ever() {
    let mut call = Call::new();
    call.report(0);
    let mut extra = 0;
    let mut run = |call: &mut Call, begin: u64, late_ms: u64| {
        for number in 0..300u64 {
            let ms = begin + number * 33;
            call.hear(ms, 60 + extra);
            call.hold(ms, late_ms);
            extra = u64::try_from(call.sync.extra_delay().as_millis()).expect("short");
        }
        extra
    };
    let extra = run(&mut call, 1000, 150);
    assert!(extra.abs_diff(90) <= 20, "{extra}: the picture is 150 ms old, the sound 60");
    let extra = run(&mut call, 20_000, 900);
    assert_eq!(extra, 200, "the limit");
    let extra = run(&mut call, 40_000, 30);
    assert!(extra <= 10, "{extra}: nobody is late any more");
}

#[test]
fn when_no_picture_comes_any_more_the_sound_waits_for_none() {
    let mut call = Call::new();
    call.report(0);
    let extra = |call: &Call| call.sync.extra_delay().as_millis();
    for number in 0..300u64 {
        let ms = 1000 + number * 33;
        call.hear(ms, 60);
        call.sync.handle_timeout(call.at(ms));
        call.hold(ms, 900);
    }
    assert_eq!(extra(&call), 200);
    let (end, mut before) = (1000 + 299 * 33, 200);
    for ms in (end..end + 10_000).step_by(10) {
        call.sync.handle_timeout(call.at(ms));
        let now = extra(&call);
        assert!(ms >= end + 2000 || now == 200, "the next one may be late");
        assert!(before - now <= 20, "{before} ms, then {now}: the sound cannot follow");
        before = now;
    }
    assert_eq!(before, 0);
    call.hear(end + 10_000, 60);
    call.sync.handle_timeout(call.at(end + 10_000));
    assert_eq!(call.hold(end + 10_000, 30), 30, "pictures may come again");
}
