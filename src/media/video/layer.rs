//! One simulcast layer: its encoder while it is sent, and what outlives the encoder.

use std::time::Duration;

use super::Payload;
use super::cadence::Cadence;
use super::sender::MakeEncoder;
use crate::media::codec::{CodecError, VideoEncoder, VideoSettings};
use crate::media::encryption::{Renewal, Sealer, Unsealed};
use crate::media::packet::Packetiser;
use crate::media::{Picture, VideoCodec};

/// Every subscriber that loses something asks for a key frame, and one serves all who ask about then. A forwarder's
/// requests come as often as it likes; key frames do not.
const KEY_FRAME_INTERVAL_MIN: Duration = Duration::from_millis(300);

/// A rate has to differ this much before the encoder hears of it.
const RATE_STEP: f32 = 0.03;

pub(super) struct Layer {
    codec: VideoCodec,
    packetiser: Packetiser,
    /// Nothing leaves unsealed where there is one.
    pub sealer: Option<Sealer>,
    encoder: Option<Running>,
    pub cadence: Cadence,
    wants_key: bool,
    last_key: Option<Duration>,
}

/// One picture.
pub(super) struct Encoded {
    pub is_key: bool,
    /// Zero where the encoder does not know when it worked.
    pub took: Duration,
    pub payloads: Vec<Payload>,
}

struct Running {
    encoder: Box<dyn VideoEncoder>,
    settings: VideoSettings,
}

impl Layer {
    pub fn new(codec: VideoCodec, packetiser: Packetiser) -> Self {
        let cadence = Cadence::default();
        Self { codec, packetiser, sealer: None, encoder: None, cadence, wants_key: false, last_key: None }
    }

    pub fn is_running(&self) -> bool {
        self.encoder.is_some()
    }

    pub fn request_key_frame(&mut self) {
        self.wants_key = true;
    }

    /// Nobody wants it now, or the network does not carry it. It begins again with a key frame.
    pub fn stop(&mut self) {
        self.encoder = None;
        self.cadence = Cadence::default();
    }

    /// `None` when the encoder left the picture out. After an error the next picture meets a new encoder.
    pub fn encode(
        &mut self,
        make: &mut MakeEncoder,
        wanted: VideoSettings,
        at: Duration,
        picture: &Picture,
    ) -> Result<Option<Encoded>, CodecError> {
        match self.sealer.as_mut().map(Sealer::renew) {
            Some(Renewal::Missing) => return Ok(None),
            Some(Renewal::New) => self.wants_key = true,
            Some(Renewal::Same) | None => {}
        }
        let mut running = match self.encoder.take().filter(|running| running.suits(&wanted)) {
            Some(running) => running,
            None => {
                self.wants_key = true;
                self.last_key = None; // the new one cannot begin without
                Running { encoder: make(self.codec, &wanted)?, settings: wanted.clone() }
            }
        };
        running.set_rate(&wanted);
        let may_have_key = self.last_key.is_none_or(|last| at.saturating_sub(last) >= KEY_FRAME_INTERVAL_MIN);
        let encoded = running.encoder.encode(picture, at, self.wants_key && may_have_key)?;
        let took = running
            .encoder
            .worked()
            .map_or(Duration::ZERO, |worked| worked.end.saturating_duration_since(worked.start));
        let has_layers = running.settings.temporal_layers > 1;
        self.encoder = Some(running);
        let Some(frame) = encoded.filter(|frame| !frame.bytes.is_empty()) else { return Ok(None) };
        if frame.is_key {
            self.wants_key = false;
            self.last_key = Some(at);
        }
        let size = (picture.width(), picture.height());
        let metadata = &picture.metadata;
        let payloads = match &mut self.sealer {
            Some(sealer) => {
                let sealed = self.packetiser.packetise_sealed(&frame, size, has_layers, metadata, sealer);
                sealed.map_err(|Unsealed| CodecError::Unsealed)?
            }
            None => self.packetiser.packetise(&frame, size, has_layers, metadata),
        };
        Ok(Some(Encoded { is_key: frame.is_key, took, payloads }))
    }
}

impl Running {
    /// Everything but the rate is what it was made with.
    fn suits(&self, wanted: &VideoSettings) -> bool {
        let now = &self.settings;
        (now.width, now.height, now.is_screen, now.threads, now.temporal_layers)
            == (wanted.width, wanted.height, wanted.is_screen, wanted.threads, wanted.temporal_layers)
    }

    fn set_rate(&mut self, wanted: &VideoSettings) {
        let differs = |now: f32, wanted: f32| (now - wanted).abs() > now * RATE_STEP;
        let now = &mut self.settings;
        if differs(now.bitrate_bps as f32, wanted.bitrate_bps as f32)
            || differs(now.frames_per_second, wanted.frames_per_second)
        {
            now.bitrate_bps = wanted.bitrate_bps;
            now.frames_per_second = wanted.frames_per_second;
            self.encoder.set_rate(wanted.bitrate_bps, wanted.frames_per_second);
        }
    }
}
