//! A participant's share in the media of its room: what it publishes and what it has subscribed to.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use super::TrackKey;
use super::allocate::Budget;
use super::down::Down;
use super::track::codec_of;
use crate::rtc::{Codec, MediaKind, Section, SectionInfo};
use crate::signal::proto::encryption::Type;
use crate::signal::proto::{ConnectionQuality, TrackInfo, TrackType, UpdateTrackSettings};

/// How many tracks a participant may publish. A program with a dozen cameras and microphones has two dozen.
pub const PUBLICATIONS_MAX: usize = 64;

/// How many tracks a participant may be subscribed to. Each takes about a kilobyte in every description, of which the
/// other side takes half a megabyte.
pub const SUBSCRIPTIONS_MAX: usize = 400;

/// How long tracks stay when the connection they come over has failed. Their client makes a new one within seconds of
/// hearing of it, or learns of it by silence, which takes 28 s at most.
pub const REPAIR_LIMIT: Duration = Duration::from_secs(30);

/// A track that its participant has announced.
#[derive(Debug)]
pub struct Publication {
    pub track: TrackKey,
    pub cid: String,
    pub info: TrackInfo,
    pub standing: Standing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// No offer has named it yet.
    Announced,
    /// Another track with its client id has to end first.
    Queued,
    /// Packets come in this section.
    Live(Section),
    /// The connection has failed, and another is waited for until then.
    Orphaned(Instant),
}

impl Publication {
    pub fn kind(&self) -> MediaKind {
        if self.info.r#type() == TrackType::Video { MediaKind::Video } else { MediaKind::Audio }
    }

    pub fn is_public(&self) -> bool {
        matches!(self.standing, Standing::Live(_) | Standing::Orphaned(_))
    }

    pub fn section(&self) -> Option<Section> {
        match self.standing {
            Standing::Live(section) => Some(section),
            _ => None,
        }
    }
}

#[derive(Debug)]
pub struct Share {
    pub publications: Vec<Publication>,
    /// Sections that send something which nobody has announced.
    pub strangers: Vec<SectionInfo>,
    pub downs: BTreeMap<TrackKey, Down>,
    /// Which track a section of the subscriber's connection carries.
    pub sections: HashMap<Section, TrackKey>,
    /// What was wished for tracks, also before they were subscribed to.
    pub settings: HashMap<TrackKey, UpdateTrackSettings>,
    /// What it would be subscribed to, were it allowed to be.
    pub wishes: BTreeSet<TrackKey>,
    /// Some subscription has no section yet.
    pub is_unwired: bool,
    pub budget: Budget,
    /// What was told last of its connection, and how often the subscriber's connection failed since it last worked.
    pub quality: Option<ConnectionQuality>,
    pub failures: u32,
}

impl Share {
    pub fn new() -> Self {
        Self {
            publications: Vec::new(),
            strangers: Vec::new(),
            downs: BTreeMap::new(),
            sections: HashMap::new(),
            settings: HashMap::new(),
            wishes: BTreeSet::new(),
            is_unwired: false,
            budget: Budget::default(),
            quality: None,
            failures: 0,
        }
    }

    /// The tracks that others are told of.
    pub fn infos(&self) -> Vec<TrackInfo> {
        let public = self.publications.iter().filter(|publication| publication.is_public());
        public.map(|publication| publication.info.clone()).collect()
    }

    pub fn by_section(&mut self, section: Section) -> Option<&mut Publication> {
        self.publications.iter_mut().find(|publication| publication.section() == Some(section))
    }

    pub fn by_sid(&mut self, sid: &str) -> Option<&mut Publication> {
        self.publications.iter_mut().find(|publication| publication.info.sid == sid)
    }

    /// The codec that was announced for a picture, by its client's own name for it; plain Opus for a sound that is not to be
    /// sent redundantly. What is encrypted from end to end is not: nobody here could take it apart again.
    pub fn announced_codec(&self, name: &str) -> Option<Codec> {
        let is_plain = |info: &TrackInfo| info.disable_red || info.encryption() != Type::None;
        let mut sounds =
            self.publications.iter().filter(|publication| publication.kind() == MediaKind::Audio);
        if sounds.any(|sound| sound.cid == name && is_plain(&sound.info)) {
            return Some(Codec::Opus);
        }
        let pictures = self.publications.iter().filter(|publication| publication.kind() == MediaKind::Video);
        let named = |publication: &Publication| {
            let codecs = &publication.info.codecs;
            let own = codecs.iter().find(|codec| !codec.cid.is_empty() && codec.cid == name);
            let mime_type = own.map(|codec| &codec.mime_type);
            let mime_type = mime_type.or((publication.cid == name).then_some(&publication.info.mime_type))?;
            codec_of(mime_type)
        };
        pictures.into_iter().find_map(named)
    }

    /// The connection over which it gets everything is gone: all its sections are to be made anew.
    pub fn unwire(&mut self) {
        self.sections.clear();
        for down in self.downs.values_mut() {
            down.unwire();
        }
        self.is_unwired = !self.downs.is_empty();
        self.budget = Budget::default();
    }
}
