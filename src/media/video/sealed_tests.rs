//! Encrypted video from sender to receiver, on made-up time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::toy::{SharedLog, decoders, encoders};
use super::*;
use crate::media::encryption::Keyring;
use crate::media::{Picture, Rotation, VideoCodec};

const FRAME: Duration = Duration::from_millis(33);

/// How many frames a receiver looks at before it says that the secrets differ, and some more.
const PATIENCE_FRAMES: usize = 80;

struct Call {
    /// Of the sender and of the receiver.
    here: Keyring,
    there: Keyring,
    sender: VideoSender,
    receiver: VideoReceiver,
    now: Instant,
    sequence: u64,
    is_sealed: bool,
    sent: usize,
    pictures: usize,
    requests: usize,
    told: usize,
    refused: Arc<AtomicUsize>,
}

fn set(keyring: &Keyring, secret: &str) {
    keyring.set(secret);
    keyring.derive();
}

impl Call {
    fn new() -> Self {
        let (here, there) = (Keyring::default(), Keyring::default());
        let refused = Arc::new(AtomicUsize::new(0));
        let settings = SenderSettings::new(VideoCodec::Vp8, 1);
        let sender = VideoSender::with_encoders(settings, encoders(&SharedLog::default())).expect("a sender");
        Self {
            sender: sender.sealed_with(&here),
            receiver: VideoReceiver::with_decoders(decoders(&refused)).opened_with(there.clone()),
            here,
            there,
            now: Instant::now(),
            sequence: 5,
            is_sealed: true,
            sent: 0,
            pictures: 0,
            requests: 0,
            told: 0,
            refused,
        }
    }

    fn with(here: &str, there: &str) -> Self {
        let call = Self::new();
        set(&call.here, here);
        set(&call.there, there);
        call
    }

    /// So many frames. What the receiver asks for is done.
    fn flow(&mut self, count: usize) {
        for _ in 0..count {
            self.now += FRAME;
            let mut frames = Vec::new();
            let picture = Picture::black(320, 240).expect("a size");
            self.sender.send(self.now, &picture, &mut frames).expect("sent");
            for frame in frames {
                self.sent += 1;
                for payload in frame.payloads {
                    self.sequence += 1;
                    let packet = VideoPacket {
                        codec: VideoCodec::Vp8,
                        source: 1,
                        sequence: self.sequence,
                        timestamp: u64::from(frame.timestamp) + (1 << 32),
                        is_marked: payload.is_marked,
                        payload: payload.bytes,
                        rotation: Rotation::None,
                        sender_report: None,
                        is_sealed: self.is_sealed,
                    };
                    self.receiver.handle_packet(self.now, packet);
                }
            }
            while let Some(output) = self.receiver.poll(self.now, 0) {
                match output {
                    VideoOutput::Picture(_) => self.pictures += 1,
                    VideoOutput::KeyFrameNeeded => {
                        self.requests += 1;
                        self.sender.request_key_frame(None);
                    }
                    VideoOutput::SecretsDiffer => self.told += 1,
                    VideoOutput::Undecodable(_)
                    | VideoOutput::Decodable
                    | VideoOutput::Frozen
                    | VideoOutput::Resumed => {}
                }
            }
        }
    }

    /// The decoder has met nothing that it could not decode.
    fn assert_no_garbage(&self) {
        assert_eq!(self.refused.load(Ordering::Relaxed), 0);
    }
}

#[test]
fn with_the_same_secret_every_picture_comes_out() {
    let mut call = Call::with("the same secret", "the same secret");
    call.flow(100);
    assert_eq!((call.pictures, call.requests, call.told), (call.sent, 0, 0));
    call.assert_no_garbage();
}

#[test]
fn with_another_secret_no_picture_comes_out_and_it_is_told_once() {
    let mut call = Call::with("a secret", "another secret");
    call.flow(3 * PATIENCE_FRAMES);
    assert_eq!((call.pictures, call.told), (0, 1));
    assert!(call.requests <= 1, "{} key frames were asked for in vain", call.requests);
    call.assert_no_garbage();
}

#[test]
fn without_a_key_nothing_is_sent() {
    let mut call = Call::new();
    set(&call.there, "the same secret");
    call.flow(10);
    call.here.set("the same secret"); // and its key is not made yet
    call.flow(10);
    assert_eq!(call.sent, 0);
    call.here.derive();
    call.flow(10);
    assert_eq!((call.sent, call.pictures), (10, 10));
}

#[test]
fn without_a_key_nothing_is_shown_and_with_it_the_picture_comes() {
    let mut call = Call::new();
    set(&call.here, "the same secret");
    call.flow(2 * PATIENCE_FRAMES);
    assert_eq!((call.pictures, call.told), (0, 0));
    let requests = call.requests;
    set(&call.there, "the same secret");
    call.flow(30);
    assert!(call.pictures > 15, "{} pictures", call.pictures);
    assert!(call.requests > requests, "a frame in the middle is no beginning");
    call.assert_no_garbage();
}

#[test]
fn a_change_of_the_secret_in_mid_flow_is_told_to_nobody_who_follows_it() {
    let mut call = Call::with("the first secret", "the first secret");
    call.flow(20);
    set(&call.here, "the second secret");
    call.flow(PATIENCE_FRAMES / 4);
    assert_eq!(call.pictures, 20);
    set(&call.there, "the second secret");
    call.flow(40);
    assert!(call.pictures > 40, "{} pictures", call.pictures);
    assert_eq!(call.told, 0);
    call.assert_no_garbage();
}

#[test]
fn a_sender_with_a_new_key_begins_with_a_key_frame() {
    let mut call = Call::with("the first secret", "the first secret");
    call.flow(20);
    set(&call.there, "the second secret");
    set(&call.here, "the second secret");
    call.flow(5);
    assert_eq!((call.pictures, call.requests), (25, 0));
}

#[test]
fn who_does_not_know_that_it_is_sealed_sees_nothing_right() {
    let mut call = Call::with("the same secret", "the same secret");
    call.is_sealed = false;
    call.flow(20);
    assert_eq!(call.pictures, 0);
}

#[test]
fn what_is_not_sealed_is_not_shown_as_if_it_were() {
    let mut call = Call::with("the same secret", "the same secret");
    let settings = SenderSettings::new(VideoCodec::Vp8, 1);
    call.sender = VideoSender::with_encoders(settings, encoders(&SharedLog::default())).expect("a sender");
    call.flow(3 * PATIENCE_FRAMES);
    assert_eq!((call.pictures, call.told), (0, 1));
    call.is_sealed = false;
    call.flow(40);
    assert!(call.pictures > 20, "openly plain it is shown: {}", call.pictures);
}
