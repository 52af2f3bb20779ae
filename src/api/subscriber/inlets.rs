//! Where the pictures and the sound of a subscription come in, on their way to the program. Both are called on threads of the
//! driver, and neither keeps its subscriber.
//!
//! A picture that does not get its turn gives way to the next one. Sound has no next one that would do: every step of it
//! waits for its turn, on a thread of its own, because the engine that makes them waits for nobody.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::super::line::Line;
use super::super::newest::Newest;
use super::{Inner, Notice, Subscriber};
use crate::driver::callbacks::SUBSCRIBERS;
use crate::driver::sound::Playout;
use crate::driver::sound_in::{Ear, SoundIn};
use crate::driver::video_in::Sink;
use crate::driver::workers::Workers;
use crate::media::audio::{AudioPacket, AudioReceiver, STEREO_STEP, StereoStep, Volume};
use crate::media::codec;
use crate::media::encryption::Keyring;
use crate::media::sync::{Report, Sync as LipSync};
use crate::media::video::SenderReport;
use crate::media::{Picture, VIDEO_CLOCK, VideoCodec};
use crate::session::Input;
use crate::session::media::{Format, Incoming, SubscriptionId, VideoReason};

/// How long a picture waits for its turn among the callbacks of subscribers.
const MEDIA_PATIENCE: Duration = Duration::from_millis(10);

/// So many steps of sound are handed over in one turn at most. Where pictures take a tenth of a second each, this keeps up.
const TURN_STEPS: usize = 10;

/// Steps of 10 ms between two levels: ten a second.
const LEVEL_STEPS: u32 = 10;

/// Where the pictures go.
pub(super) struct Screen {
    pub subscriber: Weak<Subscriber>,
    pub id: SubscriptionId,
    pub line: Line,
    pub audio: Arc<AudioIn>,
}

impl Sink for Screen {
    fn ready(&self) {
        let Some(subscriber) = self.subscriber.upgrade() else { return };
        let id = self.id;
        subscriber.post(&self.line, move |subscriber| {
            subscriber.observer.notify(Notice::VideoDataReceived);
            // The program has been told: pictures may follow.
            if let Some(placed) = &subscriber.inner.lock().placed
                && placed.id == id
                && let Some(video) = &placed.video
            {
                video.show();
            }
        });
    }

    fn picture(&self, picture: Picture) -> Option<Picture> {
        let subscriber = self.subscriber.upgrade()?;
        if self.line.is_cut() || !subscriber.wants().video {
            return None;
        }
        let mut waiting = Some(picture);
        SUBSCRIBERS.try_take(MEDIA_PATIENCE, || {
            if let Some(picture) = waiting.take() {
                subscriber.pass(&self.line, || subscriber.observer.render(picture));
            }
        });
        waiting
    }

    fn key_frame_needed(&self) {
        let Some(subscriber) = self.subscriber.upgrade() else { return };
        if let Some(placed) = &subscriber.inner.lock().placed {
            placed.port.wish(Input::NeedKeyFrame(self.id));
        }
    }

    fn undecodable(&self, codec: VideoCodec) {
        let Some(subscriber) = self.subscriber.upgrade() else { return };
        log::warn!("{codec:?} cannot be decoded on this machine");
        subscriber.say(&self.line, Notice::VideoDisabled(VideoReason::CodecNotSupported));
    }

    fn decodable(&self) {
        if let Some(subscriber) = self.subscriber.upgrade() {
            subscriber.say(&self.line, Notice::VideoEnabled(VideoReason::CodecNotSupported));
        }
    }

    fn secrets_differ(&self) {
        if let Some(subscriber) = self.subscriber.upgrade() {
            subscriber.secrets_differ(self.id);
        }
    }

    fn hold(&self, now: Instant, timestamp: u64, report: Option<SenderReport>) -> Duration {
        let mut state = self.audio.state.lock();
        let AudioState { receiver: Some(receiver), sync, .. } = &mut *state else { return Duration::ZERO };
        if let Some(report) = report {
            sync.handle_video_report(Report { wall_us: report.wall_us, timestamp: report.timestamp });
        }
        if let Some((wall_us, timestamp)) = receiver.sender_report() {
            sync.handle_audio_report(Report { wall_us, timestamp });
        }
        sync.handle_heard(receiver.heard());
        sync.hold(now, timestamp)
    }
}

/// The sound of a subscription.
pub(super) struct AudioIn {
    subscriber: Weak<Subscriber>,
    line: Line,
    pub is_wanted: AtomicBool,
    keyring: Keyring,
    newest_level: Arc<Newest<Notice>>,
    workers: Workers,
    /// To the program, where that wants to have it; from the first step on.
    sound: Mutex<Option<Arc<SoundIn>>>,
    has_no_thread: AtomicBool,
    pub state: Mutex<AudioState>,
}

pub(super) struct AudioState {
    /// `None` until the first packet.
    pub receiver: Option<AudioReceiver>,
    pub volume: Volume,
    sync: LipSync,
    /// The highest level, and the steps, since it was told last.
    pub level: (f32, u32),
    /// The level that was told last.
    pub told: f32,
}

impl AudioIn {
    pub fn new(
        subscriber: &Arc<Subscriber>,
        line: &Line,
        inner: &Inner,
        keyring: Keyring,
        workers: Workers,
    ) -> Self {
        let mut volume = Volume::default();
        volume.set(inner.volume.round() as u8);
        let sync = LipSync::new(VIDEO_CLOCK);
        let state = AudioState { receiver: None, volume, sync, level: (0.0, 0), told: 0.0 };
        Self {
            subscriber: Arc::downgrade(subscriber),
            line: line.clone(),
            is_wanted: AtomicBool::new(inner.wants.audio),
            keyring,
            newest_level: Arc::default(),
            workers,
            sound: Mutex::default(),
            has_no_thread: AtomicBool::new(false),
            state: Mutex::new(state),
        }
    }

    /// The program gets nothing any more. Waits for nothing.
    pub fn let_go(&self) {
        *self.sound.lock() = None;
    }

    /// Never waits for the program.
    fn hand_over(&self, step: &StereoStep) {
        match self.sound() {
            Ok(sound) => sound.put(step),
            Err(error) => {
                if !self.has_no_thread.swap(true, Ordering::Relaxed) {
                    log::error!("no thread to hand sound to the program: {error}");
                }
            }
        }
    }

    fn sound(&self) -> io::Result<Arc<SoundIn>> {
        let mut sound = self.sound.lock();
        if let Some(sound) = &*sound {
            return Ok(sound.clone());
        }
        let listener = Listener { subscriber: self.subscriber.clone(), line: self.line.clone() };
        let started = Arc::new(SoundIn::start(&self.workers, listener)?);
        *sound = Some(started.clone());
        Ok(started)
    }

    /// True when it is to be told that the secrets differ.
    pub fn packet(&self, packet: Incoming) -> bool {
        let mut state = self.state.lock();
        if state.receiver.is_none() {
            match codec::audio_decoder() {
                Ok(decoder) => {
                    state.receiver = Some(AudioReceiver::new(decoder).opened_with(self.keyring.clone()));
                }
                Err(error) => log::error!("sound cannot be decoded: {error:?}"),
            }
        }
        let Some(receiver) = &mut state.receiver else { return false };
        receiver.handle_packet(AudioPacket {
            is_red: packet.format == Format::Red,
            sequence: packet.sequence,
            timestamp: packet.timestamp,
            payload: packet.payload,
            received: packet.received,
            sender_report: packet.sender_report,
            is_sealed: packet.is_sealed,
        });
        receiver.take_secrets_differ()
    }
}

impl Playout for AudioIn {
    fn pull(&self, now: Instant, step: &mut [i16; STEREO_STEP]) -> bool {
        let Some(subscriber) = self.subscriber.upgrade() else { return false };
        let (has_sound, level) = {
            let mut state = self.state.lock();
            let AudioState { receiver: Some(receiver), sync, .. } = &mut *state else { return false };
            sync.handle_timeout(now);
            receiver.set_extra_delay(sync.extra_delay());
            let pulled = receiver.pull(now, step);
            state.level.0 = state.level.0.max(pulled.level);
            state.level.1 += 1;
            let told = (state.level.1 >= LEVEL_STEPS).then(|| std::mem::take(&mut state.level).0);
            state.told = told.unwrap_or(state.told);
            (pulled.has_sound, told)
        };
        let is_wanted = self.is_wanted.load(Ordering::Relaxed);
        if self.line.is_cut() {
            return false;
        }
        if let Some(level) = level {
            let level = Notice::AudioLevel(if is_wanted { level } else { 0.0 });
            subscriber.say_newest(&self.line, &self.newest_level, level);
        }
        if !is_wanted {
            return false;
        }
        if subscriber.observer.hears_sound() {
            self.hand_over(step);
        }
        self.state.lock().volume.apply(step);
        has_sound
    }
}

/// Hands steps of sound to the program.
struct Listener {
    subscriber: Weak<Subscriber>,
    line: Line,
}

impl Ear for Listener {
    fn hear(&self, next: &mut dyn FnMut() -> Option<StereoStep>) -> bool {
        let Some(subscriber) = self.subscriber.upgrade() else { return false };
        let is_wanted = || !subscriber.gate.is_shut() && !self.line.is_shut();
        SUBSCRIBERS.take_while(is_wanted, || {
            for step in std::iter::from_fn(next).take(TURN_STEPS) {
                // It may have been switched off while this waited.
                if subscriber.wants().audio {
                    subscriber.pass(&self.line, || subscriber.observer.sound(&step));
                }
            }
        });
        is_wanted()
    }
}
