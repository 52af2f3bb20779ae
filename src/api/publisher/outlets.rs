//! Where a publisher's pictures and sound go: to the program that looks at them, and to the session. Both are called on
//! threads of the driver, and neither keeps its publisher.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::super::line::Line;
use super::super::newest::Newest;
use super::super::statistics::SourceSound;
use super::{Notice, Publisher};
use crate::driver::callbacks::PUBLISHERS;
use crate::driver::session::MediaPort;
use crate::driver::sound::Capture as SoundCapture;
use crate::driver::video_out::Source;
use crate::media::audio::{AudioSender, Level, energy_in_time};
use crate::media::codec::CodecError;
use crate::media::{Kind, Picture, pixels};
use crate::session::Input;
use crate::session::media::{MediaFault, MediaReason, Outgoing, PublicationId};

/// How long a frame waits for its turn among the callbacks of publishers before the next one takes its place.
const PREVIEW_PATIENCE: Duration = Duration::from_millis(10);

/// Steps of 10 ms between two levels: ten a second.
const LEVEL_STEPS: u32 = 10;

/// The pictures of a publisher, on their way to the encoder. Does not keep the publisher.
pub(super) struct Preview {
    pub publisher: Weak<Publisher>,
    pub line: Line,
}

impl Source for Preview {
    fn preview(&self, picture: &mut Picture) {
        let Some(publisher) = self.publisher.upgrade() else { return };
        self.line.pass(|| self.show(&publisher, picture));
    }

    fn encoder_failed(&self, id: PublicationId, error: CodecError) {
        let Some(publisher) = self.publisher.upgrade() else { return };
        if publisher.inner.lock().placed.as_ref().is_some_and(|placed| placed.id == id) {
            let reason = match error {
                CodecError::Unsealed => MediaReason::EncryptionFailed,
                _ => MediaReason::Internal,
            };
            let text = match error {
                CodecError::Missing(codec) => {
                    format!("this machine has no library that encodes {codec:?}; video is not sent")
                }
                CodecError::Unsealed => "video cannot be encrypted; it is not sent".into(),
                error => format!("video cannot be encoded: {error:?}"),
            };
            publisher.end_video(id, &self.line, MediaFault::new(reason, text));
        }
    }
}

impl Preview {
    /// Nothing of the program's begins once the publisher has left: the end of the stream is the last that it hears.
    fn show(&self, publisher: &Publisher, picture: &mut Picture) {
        let is_here = || !self.line.has_left();
        let chain = publisher.video_chain.lock().clone();
        if let Some(chain) = chain {
            chain.change(picture, is_here);
        }
        if !publisher.observer.renders() || !is_here() {
            return;
        }
        let shown = match publisher.is_mirrored.load(Ordering::Relaxed) {
            true => pixels::mirror(picture),
            false => picture.clone(),
        };
        PUBLISHERS.try_take(PREVIEW_PATIENCE, || {
            publisher.pass(&self.line, || {
                if is_here() {
                    publisher.observer.render(shown);
                }
            });
        });
    }
}

/// What is measured of the sound of a publication. Where it is muted that is silence.
#[derive(Default)]
pub(super) struct Meter {
    level: Level,
    /// Since the level was told last.
    steps: u32,
    /// See [`energy_in_time`].
    energy: f64,
    /// Per channel.
    samples: u64,
}

impl Meter {
    /// The level, when it is time to tell it.
    fn measure(&mut self, step: &[i16], channels: u8, is_enabled: bool) -> Option<f32> {
        let channels = usize::from(channels.max(1));
        self.samples += (step.len() / channels) as u64;
        if is_enabled {
            self.level.measure(step);
            self.energy += energy_in_time(step, channels);
        } else {
            self.level.clear();
        }
        self.steps = (self.steps + 1) % LEVEL_STEPS;
        (self.steps == 0).then(|| self.level.value())
    }

    pub fn level(&self) -> f32 {
        self.level.value()
    }

    /// For a report.
    pub fn sound(&self) -> SourceSound {
        SourceSound { level: self.level.value(), energy: self.energy, samples: self.samples }
    }
}

/// The sound of a publication. Does not keep the publisher.
pub(super) struct AudioOut {
    pub publisher: Weak<Publisher>,
    pub port: MediaPort,
    pub line: Line,
    pub id: PublicationId,
    pub sender: Mutex<AudioSender>,
    pub meter: Mutex<Meter>,
    pub newest_level: Arc<Newest<Notice>>,
}

impl SoundCapture for AudioOut {
    fn captured(&self, now: Instant, step: &[i16], channels: u8) {
        let chain = self.publisher.upgrade().and_then(|publisher| publisher.audio_chain.lock().clone());
        let mut changed;
        let step = match chain {
            Some(chain) => {
                changed = step.to_vec();
                self.line.pass(|| chain.apply(&mut changed, channels, || !self.line.has_left()));
                &changed
            }
            None => step,
        };
        let sent = {
            let mut sender = self.sender.lock();
            let sent = sender.push(step);
            (sent, sender.is_enabled())
        };
        let (sent, is_enabled) = sent;
        match sent {
            Ok(Some(sent)) => {
                let outgoing = Outgoing {
                    kind: Kind::Audio,
                    layer: 0,
                    timestamp: sent.timestamp,
                    missing: 0,
                    payloads: vec![(sent.payload, sent.is_marked)],
                    captured: now,
                    level: Some((sent.level_dbov, sent.is_voice)),
                };
                self.port.send(Input::Media { id: self.id, outgoing });
            }
            Ok(None) => {}
            Err(error) => log::debug!("a piece of sound was not encoded: {error:?}"),
        }
        let told = self.meter.lock().measure(step, channels, is_enabled);
        if let (Some(level), Some(publisher)) = (told, self.publisher.upgrade()) {
            publisher.say_newest(&self.line, &self.newest_level, Notice::AudioLevel(level));
        }
    }
}
