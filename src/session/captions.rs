//! Captions: whose stream a text belongs to, and which subscribers hear it.
//!
//! A stream has captions from the first one on until it ends: those who transcribe announce neither beginning nor end.

use std::collections::HashSet;

use super::Stream;
use super::core::Core;
use super::media::SubscriberEvent;
use crate::signal::captions::Caption;

impl Core {
    /// Texts for streams that are not there go nowhere.
    pub(super) fn captions_came(&mut self, captions: Vec<Caption>) {
        for caption in captions {
            let own = self.publications.captioned(&caption, self.live());
            let Some(live) = self.live_mut() else { return };
            let mut ids: HashSet<String> = own.into_iter().collect();
            let changes = live.roster.captioned(&caption, &mut ids);
            if !changes.is_empty() {
                self.streams_changed(changes);
            }
            let wanting = self.subscriptions.wanting_captions(&ids);
            let (text, is_final) = (&caption.text, caption.is_final);
            let events = wanting
                .map(|one| one.event(SubscriberEvent::Caption { text: text.clone(), is_final }))
                .collect();
            self.say_media(events);
        }
    }
}

impl Caption {
    /// Whether it belongs to this stream. `is_speaker`: the stream is published by whom the caption names.
    pub(super) fn is_of(&self, stream: &Stream, is_speaker: bool) -> bool {
        match &self.track_sid {
            Some(sid) => stream.tracks().any(|track| track == sid),
            None => is_speaker && stream.has_audio_track,
        }
    }
}
