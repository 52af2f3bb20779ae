//! What a program sets on a publisher and asks it, before it is published and while it is.

use std::sync::Arc;

use super::super::reporter::Reporter;
use super::super::transformer::{AudioTransform, Chain, VideoTransform};
use super::super::{Error, logger};
use super::{BitratePreset, ContentHint, Inner, Publisher};
use crate::driver::callbacks::deletion_deadline;
use crate::driver::video_out::Order;
use crate::media::Kind;
use crate::session::{Input, VideoType};

impl Publisher {
    pub fn publishes(&self, kind: Kind) -> bool {
        let inner = self.inner.lock();
        match kind {
            Kind::Audio => inner.publishes_audio,
            Kind::Video => inner.publishes_video,
        }
    }

    pub fn set_publishes(&self, kind: Kind, is_on: bool) {
        self.switch(&mut self.inner.lock(), kind, is_on);
    }

    pub(super) fn switch(&self, inner: &mut Inner, kind: Kind, is_on: bool) {
        if kind == Kind::Video {
            inner.publishes_video = is_on;
            return self.switch_video(inner);
        }
        inner.publishes_audio = is_on;
        if let Some(placed) = &inner.placed {
            placed.port.wish(Input::SetPublishing { id: placed.id, kind, is_on });
        }
        if let Some(audio) = &inner.audio {
            audio.sender.lock().set_enabled(is_on);
        }
    }

    pub fn video_type(&self) -> VideoType {
        self.inner.lock().video_type
    }

    /// What is published already keeps its place in the session; its pictures are treated as the new type's.
    pub fn set_video_type(&self, video_type: VideoType) {
        let mut inner = self.inner.lock();
        inner.video_type = video_type;
        if let Some(placed) = &inner.placed {
            placed.port.wish(Input::SetVideoType { id: placed.id, video_type });
        }
        self.order(Order::Screen(video_type == VideoType::Screen));
    }

    pub fn content_hint(&self) -> ContentHint {
        self.inner.lock().hint
    }

    pub fn set_content_hint(&self, hint: ContentHint) {
        self.inner.lock().hint = hint;
        self.order(Order::Hint(hint));
    }

    /// Bits per second; what Opus cannot do was refused before.
    pub fn set_audio_limit(&self, bits_per_second: u32) {
        let _held = logger::hold();
        let mut inner = self.inner.lock();
        inner.audio_limit_bps = Some(bits_per_second);
        if let Some(audio) = &inner.audio {
            audio.sender.lock().set_bitrate(bits_per_second);
        }
    }

    /// `None` when a preset rules, or nothing was set.
    pub fn video_limit(&self) -> Option<u32> {
        self.inner.lock().video_limit_bps
    }

    /// Takes the place of a preset.
    pub fn set_video_limit(&self, bits_per_second: u32) {
        let mut inner = self.inner.lock();
        inner.video_limit_bps = Some(bits_per_second);
        inner.preset = BitratePreset::Default;
        self.order(Order::Preset(BitratePreset::Default));
        self.order(Order::Limit(Some(bits_per_second)));
    }

    pub fn preset(&self) -> BitratePreset {
        self.inner.lock().preset
    }

    /// Takes the place of a limit.
    pub fn set_preset(&self, preset: BitratePreset) {
        let mut inner = self.inner.lock();
        inner.video_limit_bps = None;
        inner.preset = preset;
        self.order(Order::Limit(None));
        self.order(Order::Preset(preset));
    }

    /// Kept; nothing here makes captions.
    pub fn set_publishes_captions(&self, publishes_captions: bool) -> Result<(), Error> {
        if !self.settings.has_audio {
            return Err(Error::MissingAudioTrack);
        }
        self.inner.lock().publishes_captions = publishes_captions;
        Ok(())
    }

    /// In place of those that were. Nothing is locked while one that runs is waited for.
    pub fn set_video_transformers(&self, links: Vec<Arc<dyn VideoTransform>>) {
        let chain = (!links.is_empty()).then(|| Chain::new(links));
        let before = std::mem::replace(&mut *self.video_chain.lock(), chain);
        if let Some(before) = before {
            before.close(deletion_deadline());
        }
    }

    /// As above.
    pub fn set_audio_transformers(&self, links: Vec<Arc<dyn AudioTransform>>) {
        let chain = (!links.is_empty()).then(|| Chain::new(links));
        let before = std::mem::replace(&mut *self.audio_chain.lock(), chain);
        if let Some(before) = before {
            before.close(deletion_deadline());
        }
    }

    pub fn subscriber_fallback(&self) -> bool {
        self.inner.lock().subscriber_fallback
    }

    pub fn set_subscriber_fallback(&self, subscriber_fallback: bool) {
        self.inner.lock().subscriber_fallback = subscriber_fallback;
    }

    pub fn set_reporter(&self, reporter: Option<Reporter>) {
        self.reports.set(reporter);
    }

    /// Asks for a report; the reporter gets it.
    pub fn report(&self) -> Result<(), Error> {
        if self.reports.is_empty() {
            return Err(Error::InvalidParameter);
        }
        let inner = self.inner.lock();
        let placed = inner.placed.as_ref().ok_or(Error::NotConnected)?;
        placed.port.wish(Input::MeasurePublication(placed.id));
        Ok(())
    }
}
