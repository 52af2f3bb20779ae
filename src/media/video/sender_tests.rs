//! The sender on made-up time, with an encoder that makes as many bytes as it is told to.

use std::time::{Duration, Instant};

use super::Limitation::{Bandwidth, None as Nothing, Other};
use super::toy::{SharedLog, encoders};
use super::*;
use crate::media::codec::CodecError;
use crate::media::{Picture, VideoCodec};

struct Sending {
    sender: VideoSender,
    log: SharedLog,
    now: Instant,
    frames: Vec<SentFrame>,
}

/// The longer side decides on layers and rates: so the pictures are flat, and quickly made.
const HEIGHT: u32 = 32;

const TICK: Duration = Duration::from_micros(33_333);

impl Sending {
    fn new(change: impl FnOnce(&mut SenderSettings)) -> Self {
        let log = SharedLog::default();
        let mut settings = SenderSettings::new(VideoCodec::Vp8, 7);
        settings.layers_max = 3;
        change(&mut settings);
        let sender = VideoSender::with_encoders(settings, encoders(&log)).expect("a sender");
        Self { sender, log, now: Instant::now(), frames: Vec::new() }
    }

    fn camera() -> Self {
        Self::new(|settings| settings.layers_max = 1)
    }

    /// Sends so many pictures at 30 per second, and forgets the frames before.
    fn send(&mut self, count: usize, width: u32, height: u32) -> &[SentFrame] {
        self.frames.clear();
        let picture = Picture::black(width, height).expect("a size");
        for _ in 0..count {
            self.now += TICK;
            self.sender.send(self.now, &picture, &mut self.frames).expect("sent");
        }
        &self.frames
    }

    fn key_frames(&self) -> Vec<usize> {
        self.frames.iter().filter(|frame| frame.is_key).map(|frame| frame.layer).collect()
    }

    fn active(&self) -> Vec<bool> {
        self.sender.rates().layers.iter().map(|layer| layer.is_active).collect()
    }

    fn limitations(&self) -> Vec<Limitation> {
        self.sender.rates().layers.iter().map(|layer| layer.limitation).collect()
    }

    fn bits(&self, layer: usize) -> usize {
        let frames = self.frames.iter().filter(|frame| frame.layer == layer);
        frames.flat_map(|frame| &frame.payloads).map(|payload| payload.bytes.len() * 8).sum()
    }
}

#[test]
fn every_layer_begins_with_a_key_frame_in_its_size() {
    let mut sending = Sending::new(|_| {});
    sending.send(1, 1280, HEIGHT);
    assert_eq!(sending.key_frames(), [0, 1, 2]);
    let sizes: Vec<_> = sending.log.lock().made.iter().map(|made| (made.width, made.height)).collect();
    assert_eq!(sizes, [(320, HEIGHT / 4), (640, HEIGHT / 2), (1280, HEIGHT)]);
    let marks =
        sending.frames.iter().map(|frame| frame.payloads.iter().filter(|payload| payload.is_marked).count());
    assert!(marks.eq([1, 1, 1]), "one mark each");
    assert!(sending.frames.iter().all(|frame| frame.payloads.last().is_some_and(|last| last.is_marked)));
}

#[test]
fn a_picture_has_one_timestamp_in_all_layers_and_it_follows_the_capture_time() {
    let mut sending = Sending::new(|_| {});
    sending.send(90, 1280, HEIGHT);
    let times = |layer| {
        let frames = sending.frames.iter().filter(move |frame| frame.layer == layer);
        frames.map(|frame| frame.timestamp).collect::<Vec<_>>()
    };
    let full = times(2);
    assert_eq!(full.len(), 90);
    assert!(times(0).iter().all(|timestamp| full.contains(timestamp)));
    assert!(full.windows(2).all(|pair| (2_999..=3_000).contains(&pair[1].wrapping_sub(pair[0]))));
}

#[test]
fn a_capture_time_that_stands_still_or_goes_back_still_gives_growing_timestamps() {
    let mut sending = Sending::camera();
    let picture = Picture::black(320, 240).expect("a size");
    let begin = sending.now;
    for at in [1_000, 1_100, 1_100, 500, 1_200] {
        let at = begin + Duration::from_millis(at);
        sending.sender.send(at, &picture, &mut sending.frames).expect("sent");
    }
    let times: Vec<u32> = sending.frames.iter().map(|frame| frame.timestamp).collect();
    assert!(times.windows(2).all(|pair| (1..100_000).contains(&pair[1].wrapping_sub(pair[0]))), "{times:?}");
}

#[test]
fn key_frame_requests_close_to_each_other_are_one_and_meet_their_layer_only() {
    let mut sending = Sending::new(|_| {});
    sending.send(30, 1280, HEIGHT);
    for _ in 0..20 {
        sending.sender.request_key_frame(Some(2));
    }
    sending.send(1, 1280, HEIGHT);
    sending.sender.request_key_frame(Some(2));
    sending.send(5, 1280, HEIGHT);
    assert_eq!(sending.key_frames(), [0_usize; 0], "served a moment ago");
    sending.send(10, 1280, HEIGHT);
    assert_eq!(sending.key_frames(), [2], "and once more when it is time");
    sending.sender.request_key_frame(None);
    sending.send(15, 1280, HEIGHT);
    let mut all = sending.key_frames();
    all.sort_unstable();
    assert_eq!(all, [0, 1, 2]);
}

#[test]
fn a_new_size_makes_new_encoders_and_time_and_picture_numbers_go_on() {
    let mut sending = Sending::camera();
    let number = |frame: &SentFrame| {
        let bytes = &frame.payloads[0].bytes;
        u16::from_be_bytes([bytes[2] & 0x7f, bytes[3]])
    };
    let before = sending.send(30, 640, 480).last().expect("a frame").clone();
    let after = sending.send(1, 480, 640)[0].clone();
    assert!(after.is_key);
    assert_eq!(after.timestamp.wrapping_sub(before.timestamp) / 100, 30);
    assert_eq!(number(&after), (number(&before) + 1) & 0x7fff);
    assert_eq!(sending.log.lock().alive, 1);
    sending.send(2, 320, 240);
    sending.send(2, 1, 1);
    sending.send(2, 641, 481);
}

#[test]
fn a_layer_that_nobody_wants_costs_nothing_and_comes_back_with_a_key_frame() {
    let mut sending = Sending::new(|_| {});
    sending.send(30, 1280, HEIGHT);
    assert_eq!(sending.log.lock().alive, 3);
    sending.sender.set_wanted(&[true, false, false]);
    sending.send(30, 1280, HEIGHT);
    assert_eq!((sending.log.lock().alive, sending.active()), (1, vec![true, false, false]));
    assert!(sending.frames.iter().all(|frame| frame.layer == 0));
    assert_eq!(sending.sender.rates().desired_bps, 160_000);
    sending.sender.set_wanted(&[false, false, false]);
    assert!(sending.send(30, 1280, HEIGHT).is_empty());
    assert_eq!(sending.log.lock().alive, 0);
    sending.sender.set_wanted(&[true, true, true]);
    sending.send(1, 1280, HEIGHT);
    assert_eq!(sending.key_frames(), [0, 1, 2]);
}

#[test]
fn simulcast_gives_up_layers_from_above_when_the_network_is_slow() {
    let mut sending = Sending::new(|_| {});
    sending.sender.set_estimate(3_000_000);
    sending.send(30, 1280, HEIGHT);
    assert_eq!(sending.active(), [true, true, true]);
    sending.sender.set_estimate(300_000);
    sending.send(30, 1280, HEIGHT);
    assert_eq!(sending.active(), [true, false, false]);
    assert!(sending.sender.rates().current_bps <= 300_000);
    assert_eq!(sending.sender.rates().desired_bps, 2_310_000, "what to probe for");
    sending.sender.set_estimate(3_000_000);
    sending.send(2, 1280, HEIGHT);
    assert_eq!(sending.active(), [true, true, true]);
    let mut keys = sending.key_frames();
    keys.sort_unstable();
    assert_eq!(keys, [1, 2], "those that come back");
}

#[test]
fn a_camera_in_one_layer_becomes_smaller_on_a_slow_network_and_large_again() {
    let mut sending = Sending::camera();
    sending.sender.set_estimate(3_000_000);
    sending.send(60, 1280, HEIGHT);
    assert_eq!(sending.sender.rates().layers[0].width, 1280);
    sending.sender.set_estimate(300_000);
    sending.send(30, 1280, HEIGHT);
    assert_eq!(sending.sender.rates().layers[0].width, 640);
    assert_eq!(sending.frames.len(), 30, "without a picture left out");
    sending.send(30, 1280, HEIGHT);
    assert!(sending.bits(0) < 330_000, "{} bits in a second", sending.bits(0));
    sending.sender.set_estimate(3_000_000);
    sending.send(60, 1280, HEIGHT);
    assert_eq!(sending.sender.rates().layers[0].width, 640, "not at once");
    sending.send(60, 1280, HEIGHT);
    assert_eq!(sending.sender.rates().layers[0].width, 1280);
    assert_eq!(sending.key_frames(), [0], "one key frame for the step");
}

#[test]
fn sharp_pictures_become_slower_before_they_become_smaller() {
    let mut sending = Sending::camera();
    sending.sender.set_content_hint(ContentHint::Detail);
    sending.sender.set_estimate(200_000);
    sending.send(300, 1280, HEIGHT);
    let rates = sending.sender.rates();
    assert_eq!(rates.layers[0].width, 1280);
    assert!((5..200).contains(&sending.frames.len()), "{}", sending.frames.len());
    assert!(sending.log.lock().made[0].is_screen);
    sending.sender.set_content_hint(ContentHint::Motion);
    sending.send(60, 1280, HEIGHT);
    assert!(sending.sender.rates().layers[0].width < 1280);
}

#[test]
fn low_layers_leave_pictures_out_evenly() {
    let mut sending = Sending::new(|_| {});
    sending.send(90, 1280, HEIGHT);
    let count = |layer| sending.frames.iter().filter(|frame| frame.layer == layer).count();
    assert_eq!((count(0), count(1), count(2)), (60, 60, 90));
    sending.sender.set_frame_rate_limit(Some(10.0));
    sending.send(90, 1280, HEIGHT);
    let count = |layer| sending.frames.iter().filter(|frame| frame.layer == layer).count();
    assert!((30..=31).contains(&count(2)), "{}", count(2));
}

#[test]
fn temporal_layers_are_for_simulcast_cameras() {
    let temporal = |change: fn(&mut SenderSettings)| {
        let mut sending = Sending::new(change);
        sending.send(1, 1280, HEIGHT);
        let log = sending.log.lock();
        log.made.iter().map(|made| made.temporal_layers).collect::<Vec<_>>()
    };
    assert_eq!(temporal(|_| {}), [3, 3, 3]);
    assert_eq!(temporal(|settings| settings.layers_max = 1), [1]);
    assert_eq!(temporal(|settings| settings.is_screen = true), [1, 1]);
    assert_eq!(temporal(|settings| settings.codec = VideoCodec::Vp9), [1, 1, 1]);
}

#[test]
fn an_encoder_that_fails_is_replaced_and_does_not_keep_the_other_layers() {
    let mut sending = Sending::new(|_| {});
    sending.send(30, 1280, HEIGHT);
    sending.log.lock().fails = true;
    sending.now += 2 * TICK;
    let picture = Picture::black(1280, HEIGHT).expect("a size");
    sending.frames.clear();
    let result = sending.sender.send(sending.now, &picture, &mut sending.frames);
    assert!(matches!(result, Err(CodecError::Failed(_))));
    assert!(sending.frames.iter().any(|frame| frame.layer == 2));
    sending.send(3, 1280, HEIGHT);
    assert_eq!(sending.key_frames(), [0]);
}

#[test]
fn limit_and_preset_lower_what_is_made_and_wished_for() {
    let mut sending = Sending::camera();
    sending.send(1, 1280, HEIGHT);
    assert_eq!(sending.sender.rates().desired_bps, 1_700_000);
    sending.sender.set_preset(BitratePreset::ExtraSaver);
    sending.send(1, 1280, HEIGHT);
    assert_eq!(sending.sender.rates().current_bps, 425_000);
    sending.sender.set_preset(BitratePreset::Default);
    sending.sender.set_limit(Some(700_000));
    sending.send(60, 1280, HEIGHT);
    let rates = sending.sender.rates();
    assert_eq!((rates.current_bps, rates.desired_bps, rates.layers[0].width), (700_000, 700_000, 1280));
    sending.sender.set_limit(None);
    sending.send(1, 1280, HEIGHT);
    assert_eq!(sending.sender.rates().current_bps, 1_700_000);
}

#[test]
fn layers_that_are_left_out_are_limited_by_the_lower_one_of_estimate_and_limit() {
    let mut sending = Sending::new(|_| {});
    sending.send(2, 1280, HEIGHT);
    assert_eq!(sending.limitations(), [Nothing; 3]);
    sending.sender.set_estimate(3_000_000);
    sending.sender.set_limit(Some(300_000));
    sending.send(2, 1280, HEIGHT);
    assert_eq!(
        (sending.active(), sending.limitations()),
        (vec![true, true, false], vec![Nothing, Nothing, Other])
    );
    sending.sender.set_estimate(150_000);
    sending.send(2, 1280, HEIGHT);
    assert_eq!(sending.limitations(), [Nothing, Bandwidth, Bandwidth]);
    sending.sender.set_estimate(3_000_000);
    sending.send(2, 1280, HEIGHT);
    assert_eq!(sending.limitations(), [Nothing, Nothing, Other]);
    sending.sender.set_limit(None);
    sending.send(2, 1280, HEIGHT);
    assert_eq!((sending.active(), sending.limitations()), (vec![true; 3], vec![Nothing; 3]));
}

#[test]
fn a_layer_that_nobody_wants_is_not_limited() {
    let mut sending = Sending::new(|_| {});
    sending.sender.set_estimate(100_000);
    sending.sender.set_wanted(&[true, false, true]);
    sending.send(2, 1280, HEIGHT);
    assert_eq!(sending.limitations(), [Nothing, Nothing, Bandwidth]);
}

#[test]
fn a_smaller_picture_is_limited_until_it_has_its_size_again() {
    type Narrow = fn(&mut VideoSender, bool);
    let by_network: Narrow =
        |sender, is_narrow| sender.set_estimate(if is_narrow { 300_000 } else { 3_000_000 });
    let by_program: Narrow = |sender, is_narrow| sender.set_limit(is_narrow.then_some(300_000));
    for (narrow, limitation) in [(by_network, Bandwidth), (by_program, Other)] {
        let mut sending = Sending::camera();
        // The other one is there too, and wider.
        sending.sender.set_estimate(2_500_000);
        narrow(&mut sending.sender, true);
        sending.send(10, 1280, HEIGHT);
        assert_eq!(sending.limitations(), [Nothing], "fewer bits, and neither smaller nor slower");
        sending.send(30, 1280, HEIGHT);
        assert_eq!(sending.limitations(), [limitation]);
        narrow(&mut sending.sender, false);
        sending.send(60, 1280, HEIGHT);
        assert_eq!(sending.sender.rates().layers[0].halvings, 1);
        assert_eq!(sending.limitations(), [limitation], "not large yet");
        sending.send(60, 1280, HEIGHT);
        assert_eq!(sending.limitations(), [Nothing]);
    }
}

#[test]
fn sharp_pictures_that_become_slower_are_limited() {
    let mut sending = Sending::camera();
    sending.sender.set_content_hint(ContentHint::Detail);
    sending.sender.set_estimate(200_000);
    sending.send(60, 1280, HEIGHT);
    assert_eq!(sending.limitations(), [Bandwidth]);
    // A source that is no faster than that is sent whole.
    sending.now += Duration::from_secs(10);
    let picture = Picture::black(1280, HEIGHT).expect("a size");
    for _ in 0..60 {
        sending.now += Duration::from_millis(200);
        sending.sender.send(sending.now, &picture, &mut sending.frames).expect("sent");
    }
    assert_eq!(sending.limitations(), [Nothing]);
    sending.sender.set_estimate(3_000_000);
    sending.send(60, 1280, HEIGHT);
    assert_eq!(sending.limitations(), [Nothing]);
    sending.sender.set_frame_rate_limit(Some(10.0));
    sending.send(60, 1280, HEIGHT);
    assert_eq!(sending.limitations(), [Other]);
}

#[test]
fn a_preset_makes_no_picture_smaller_or_slower() {
    for layers in [1, 3] {
        let mut sending = Sending::new(|settings| settings.layers_max = layers);
        sending.sender.set_preset(BitratePreset::ExtraSaver);
        sending.send(60, 1280, HEIGHT);
        assert!(sending.limitations().iter().all(|limitation| *limitation == Nothing));
        sending.sender.set_estimate(60_000);
        sending.send(60, 1280, HEIGHT);
        assert_eq!(sending.limitations().last(), Some(&Bandwidth));
    }
}

#[test]
fn h264_gets_even_sizes() {
    let mut sending = Sending::new(|settings| settings.codec = VideoCodec::H264);
    sending.send(1, 641, 481);
    let made = &sending.log.lock().made;
    assert!(made.iter().all(|made| made.width % 2 == 0 && made.height % 2 == 0), "{made:?}");
}

#[test]
fn a_codec_that_is_only_received_has_no_sender() {
    let settings = SenderSettings::new(VideoCodec::Av1, 0);
    let sender = VideoSender::with_encoders(settings, encoders(&SharedLog::default()));
    assert_eq!(sender.err(), Some(CodecError::Missing(VideoCodec::Av1)));
}

#[test]
fn one_that_takes_the_place_of_another_goes_on_in_its_time() {
    let mut first = Sending::camera();
    let last = first.send(30, 320, HEIGHT).last().expect("frames").timestamp;
    let mut next = Sending::new(|settings| (settings.layers_max, settings.seed) = (1, 8));
    next.sender = next.sender.after(&first.sender);
    next.now = first.now;
    let step = next.send(1, 320, HEIGHT)[0].timestamp.wrapping_sub(last);
    assert!((2999..=3000).contains(&step), "{step}");
}
