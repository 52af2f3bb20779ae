//! What a publisher announces, and the encoders that are made for it.

use std::sync::Arc;

use parking_lot::Mutex;

use super::super::capture::CaptureSettings;
use super::super::random;
use super::outlets::AudioOut;
use super::{Inner, Publisher};
use crate::driver::video_out::Order;
use crate::media::VideoCodec;
use crate::media::audio::{self, AudioSender};
use crate::media::codec;
use crate::media::video::{self, plan_layers};
use crate::session::media::{Publication, PublicationId, PublishedAudio, PublishedLayer, PublishedVideo};
use crate::session::{Stream, VideoType};

impl Publisher {
    fn codecs(&self) -> Vec<VideoCodec> {
        codecs(&self.settings.preferred_codecs, &codec::supported().encoders)
    }

    /// VP9 in several streams is carried by this library's server; a LiveKit server gives everybody the smallest one.
    fn wants_simulcast(&self, is_screen: bool) -> bool {
        let is_divisible = self.codecs().first() != Some(&VideoCodec::Vp9);
        is_divisible && (!is_screen || self.settings.is_screen_scalable)
    }

    pub(super) fn wish(
        &self,
        id: PublicationId,
        inner: &Inner,
        captured: Option<CaptureSettings>,
    ) -> Publication {
        let is_screen = inner.video_type == VideoType::Screen;
        let layers = |settings: CaptureSettings| -> Vec<PublishedLayer> {
            let wants_simulcast = self.wants_simulcast(is_screen);
            let (width, height) = (settings.width.max(1), settings.height.max(1));
            let plan = plan_layers(width, height, is_screen, wants_simulcast, inner.video_limit_bps);
            plan.into_iter()
                .map(|layer| PublishedLayer {
                    name: layer.name,
                    width: layer.width,
                    height: layer.height,
                    bitrate_bps: layer.bitrate_bps,
                })
                .collect()
        };
        Publication {
            id,
            name: self.settings.name.clone(),
            audio: self.settings.has_audio.then_some(PublishedAudio {
                is_on: inner.publishes_audio,
                is_stereo: self.settings.is_stereo,
                uses_dtx: self.settings.uses_dtx,
            }),
            sends_statistics: self.settings.sends_statistics,
            video: captured.map(|settings| PublishedVideo {
                is_on: inner.publishes_video,
                video_type: inner.video_type,
                codecs: self.codecs(),
                layers: layers(settings),
            }),
            is_sealed: inner.placed.as_ref().is_some_and(|placed| placed.keyring.is_some()),
        }
    }

    /// The stream is there: what is captured is encoded for it from now on.
    pub(super) fn published(
        self: &Arc<Self>,
        inner: &mut Inner,
        stream: Arc<Stream>,
        video: Option<VideoCodec>,
    ) {
        let seed = u64::from_le_bytes(random());
        let (publishes_audio, audio_limit_bps) = (inner.publishes_audio, inner.audio_limit_bps);
        let Some(placed) = &mut inner.placed else { return };
        placed.stream = Some(stream.clone());
        // A stream that is renewed stays as it was.
        if video.is_some() && self.settings.audio_fallback {
            inner.fallback.get_or_insert_default();
        }
        if let Some(codec) = video {
            let is_screen = inner.video_type == VideoType::Screen;
            let settings = video::SenderSettings {
                is_screen,
                hint: inner.hint,
                layers_max: placed.layers_max,
                preset: inner.preset,
                limit_bps: inner.video_limit_bps,
                threads: threads(),
                ..video::SenderSettings::new(codec, seed)
            };
            let (id, port, keyring) = (placed.id, placed.port.clone(), placed.keyring.clone());
            self.order(Order::Begin { id, settings, port, keyring });
        }
        if stream.has_audio_track && inner.audio.is_none() {
            let settings = audio::SenderSettings {
                is_stereo: self.settings.is_stereo,
                bitrate_bps: audio_limit_bps,
                uses_dtx: self.settings.uses_dtx,
                uses_fec: true,
                seed,
            };
            match codec::audio_encoder(&settings.encoder()) {
                Ok(encoder) => {
                    let mut sender = AudioSender::new(&settings, encoder);
                    if let Some(keyring) = &placed.keyring {
                        sender = sender.sealed_with(keyring);
                    }
                    sender.set_enabled(publishes_audio);
                    let audio = Arc::new(AudioOut {
                        publisher: Arc::downgrade(self),
                        port: placed.port.clone(),
                        line: placed.line.clone(),
                        id: placed.id,
                        sender: Mutex::new(sender),
                        meter: Mutex::default(),
                        newest_level: Arc::default(),
                    });
                    inner.capture_guard =
                        Some(placed.sound.add_capture(audio.clone(), self.settings.processing));
                    inner.audio = Some(audio);
                }
                Err(error) => log::error!("sound cannot be encoded: {error:?}"),
            }
        }
    }
}

/// What a publisher offers, in this order: what the program prefers, then VP8, which goes everywhere. A machine without it
/// sends what it can.
fn codecs(preferred: &[VideoCodec], supported: &[VideoCodec]) -> Vec<VideoCodec> {
    let mut codecs: Vec<VideoCodec> = Vec::new();
    for codec in preferred.iter().chain(&[VideoCodec::Vp8, VideoCodec::H264, VideoCodec::Vp9]) {
        if supported.contains(codec) && !codecs.contains(codec) {
            codecs.push(*codec);
        }
    }
    if codecs.is_empty() { vec![VideoCodec::Vp8] } else { codecs }
}

/// Half of the machine is left to everything else.
fn threads() -> u32 {
    let all = std::thread::available_parallelism().map_or(1, usize::from);
    (all / 2).clamp(1, 4) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use VideoCodec::{Av1, H264, Vp8, Vp9};

    #[test]
    fn what_is_preferred_comes_first_and_vp8_follows() {
        let machine = [Vp8, Vp9, H264];
        assert_eq!(codecs(&[], &machine), [Vp8, H264, Vp9]);
        assert_eq!(codecs(&[Vp9], &machine), [Vp9, Vp8, H264]);
        assert_eq!(codecs(&[H264, Vp9, H264], &machine), [H264, Vp9, Vp8]);
    }

    #[test]
    fn what_the_machine_cannot_is_passed_over() {
        assert_eq!(codecs(&[Av1, H264, Vp9], &[Vp8, Vp9]), [Vp9, Vp8]);
        assert_eq!(codecs(&[Vp9], &[]), [Vp8], "a publisher offers something, and says later that it cannot");
    }
}
