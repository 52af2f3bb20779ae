//! Pictures that change their size while they are published: a camera that is turned, a window that is drawn larger.
//!
//! The frames themselves need no word of it, each key frame says how large it is. What follows it is the size that the
//! stream has for everybody else, and the size of each layer, by which a server chooses among them.

use std::time::{Duration, Instant};

use super::core::{Core, State};
use super::media::PublicationId;
use super::publications::{Published, Stage};
use crate::media::Kind;
use crate::signal::proto::{UpdateLocalVideoTrack, signal_request::Message};

/// How often a size is told at most. A window that is drawn larger with the mouse has another size in every picture, and
/// each one told goes to everybody in the session.
const TELLING_INTERVAL: Duration = Duration::from_secs(1);

pub(super) type Size = (u32, u32);

/// A size that the others have not been told yet.
#[derive(Debug, Default)]
pub(super) struct Resizing {
    /// What is to be told, and from when on. The newest takes the place of those before it.
    waiting: Option<(Size, Instant)>,
    told: Option<Instant>,
}

impl Published {
    /// As the others know it.
    pub fn size(&self) -> Option<Size> {
        self.wish.video.as_ref()?.layers.last().map(|layer| (layer.width, layer.height))
    }

    /// When there is a size to tell. A stream that is not up tells it as soon as it is.
    pub fn resizing_due(&self) -> Option<Instant> {
        self.resizing.waiting.filter(|_| self.state == Stage::Up).map(|(_, at)| at)
    }

    /// The pictures have this size by now.
    fn shows(&mut self, now: Instant, size: Size) {
        let earliest = self.resizing.told.map_or(now, |told| (told + TELLING_INTERVAL).max(now));
        let is_news = self.size().is_some_and(|known| known != size);
        self.resizing.waiting = is_news.then_some((size, earliest));
    }

    /// The size that the others have been told since then may not have reached them.
    pub fn doubt_size(&mut self, now: Instant, since: Instant) -> Option<UpdateLocalVideoTrack> {
        self.resizing.told.filter(|told| *told >= since)?;
        let size = self.size()?;
        self.resizing.waiting.get_or_insert((size, now));
        self.take_size(now)
    }

    /// Takes the size that waits: each layer keeps its part of the picture.
    fn take_size(&mut self, now: Instant) -> Option<UpdateLocalVideoTrack> {
        let ((width, height), _) = self.resizing.waiting.take()?;
        self.resizing.told = Some(now);
        let layers = &mut self.wish.video.as_mut()?.layers;
        let longer = |width: u32, height: u32| u64::from(width.max(height).max(1));
        let whole = layers.last().map(|layer| longer(layer.width, layer.height))?;
        for layer in layers {
            let part = longer(layer.width, layer.height);
            let scaled = |size: u32| (u64::from(size) * part / whole).max(1) as u32;
            (layer.width, layer.height) = (scaled(width), scaled(height));
        }
        let track_sid = self.track(Kind::Video)?.info.as_ref()?.sid.clone();
        Some(UpdateLocalVideoTrack { track_sid, width, height })
    }
}

impl Core {
    /// What a publication shows has this size from now on.
    pub(super) fn set_size(&mut self, now: Instant, id: PublicationId, size: Size) {
        if let Some(published) = self.publications.find(id) {
            published.shows(now, size);
        }
        self.tell_sizes(now);
    }

    /// Tells the sizes that have waited long enough, while there is a server to tell them.
    pub(super) fn tell_sizes(&mut self, now: Instant) {
        if !matches!(self.state, State::Connected(_)) {
            return;
        }
        let due = self.publications.all.iter_mut();
        let due = due.filter(|published| published.resizing_due().is_some_and(|at| now >= at));
        let told: Vec<_> =
            due.filter_map(|published| Some((published.wish.id, published.take_size(now)?))).collect();
        for (id, update) in told {
            self.publication_changed(id);
            self.request(Message::UpdateVideoTrack(update));
        }
    }
}
