//! The media sections of a peer: what is wanted on them, what the descriptions have said, what has gone over them.

use std::collections::{BTreeMap, HashMap};

use str0m::media::{Direction, Mid, Pt};
use str0m::rtp::Ssrc;

use super::counters::Counters;
use super::media::{Codec, Layer, MediaKind, Section, SectionInfo, Sending};
use super::section_text::SectionText;

/// How many sources are remembered until the next description. A section with three layers has three.
const ROUTES_MAX: usize = 4_096;

#[derive(Default)]
pub(super) struct Sections {
    next: u32,
    entries: BTreeMap<Section, Entry>,
    by_mid: HashMap<Mid, Section>,
    /// Which section and layer a source belongs to, as str0m found it out.
    routes: HashMap<Ssrc, (Section, Option<Layer>)>,
}

pub(super) struct Entry {
    pub kind: MediaKind,
    /// Known once an offer was agreed on.
    pub mid: Option<Mid>,
    pub outgoing: Option<Outgoing>,
    pub incoming: Option<Incoming>,
}

/// We made the section, to send on it.
pub(super) struct Outgoing {
    pub sending: Sending,
    /// False after it was stopped.
    pub is_wanted: bool,
    /// Whether the last agreement about it has us sending. `None`: there is no agreement.
    said: Option<bool>,
    /// What the offer says that waits for its answer, if it says anything about it.
    offered: Option<bool>,
    /// Packets may be sent.
    pub is_open: bool,
    /// Stopped for good by the other side.
    pub is_dead: bool,
    /// What the other side takes, most preferred first.
    pub codecs: Vec<(Codec, Pt)>,
    pub streams: Vec<StreamOut>,
}

pub(super) struct StreamOut {
    pub layer: Option<Layer>,
    pub ssrc: Ssrc,
    /// Taken off the caller's sequence numbers, so that the first one is below 65536: a receiver knows of no more.
    pub sequence_base: Option<u64>,
    pub counters: Counters,
}

/// The other side sends on the section, or did.
pub(super) struct Incoming {
    pub info: SectionInfo,
    /// Its sources, as the description lists them.
    ssrcs: Vec<u32>,
    pub streams: Vec<StreamIn>,
}

pub(super) struct StreamIn {
    pub layer: Option<Layer>,
    /// The last one that something came from.
    pub ssrc: Ssrc,
    /// Of its last packet.
    pub format: Option<Pt>,
    pub counters: Counters,
}

/// What an offer is to say of a section.
pub(super) enum Change {
    Add(Section, Sending),
    Turn(Section, Mid, Direction),
}

/// What an offer says of a section, and how it calls it if that is new.
pub(super) struct Offered {
    pub section: Section,
    pub mid: Option<Mid>,
    pub is_sending: bool,
}

impl Outgoing {
    fn new(sending: Sending) -> Self {
        Self {
            sending,
            is_wanted: true,
            said: None,
            offered: None,
            is_open: false,
            is_dead: false,
            codecs: Vec::new(),
            streams: Vec::new(),
        }
    }

    /// Agreed to be silent, so that it can be used for something else.
    fn rests(&self) -> bool {
        !self.is_wanted && self.said == Some(false) && self.offered.is_none() && !self.is_dead
    }

    fn needs_offer(&self) -> bool {
        self.is_wanted != self.offered.or(self.said).unwrap_or(false) && !self.is_dead
    }

    /// What describes it, words aside, is the same: those cannot be agreed on again.
    fn fits(&self, sending: &Sending) -> bool {
        let sound = |sending: &Sending| (sending.is_stereo, sending.uses_dtx);
        let Sending { kind, codecs, layers, .. } = &self.sending;
        (*kind, codecs, layers) == (sending.kind, &sending.codecs, &sending.layers)
            && sound(&self.sending) == sound(sending)
    }
}

impl Sections {
    fn add(&mut self, kind: MediaKind) -> (Section, &mut Entry) {
        let section = Section(self.next);
        self.next += 1;
        let entry = Entry { kind, mid: None, outgoing: None, incoming: None };
        (section, self.entries.entry(section).or_insert(entry))
    }

    /// A section to send on: one that rests, else a new one. The names of those that get a new life are given back, for
    /// new sources.
    pub fn add_sending(&mut self, sending: &Sending) -> (Section, Option<Mid>) {
        for (section, entry) in &mut self.entries {
            let resting =
                entry.outgoing.as_mut().filter(|outgoing| outgoing.rests() && outgoing.fits(sending));
            if let (Some(outgoing), Some(mid)) = (resting, entry.mid) {
                *outgoing = Outgoing { said: outgoing.said, ..Outgoing::new(sending.clone()) };
                return (*section, Some(mid));
            }
        }
        let (section, entry) = self.add(sending.kind);
        entry.outgoing = Some(Outgoing::new(sending.clone()));
        (section, None)
    }

    pub fn stop_sending(&mut self, section: Section) {
        let Some(outgoing) = self.outgoing_mut(section) else { return };
        outgoing.is_wanted = false;
        outgoing.is_open = false;
        self.forget_unsaid();
    }

    /// Sections that were stopped before any offer has said them.
    fn forget_unsaid(&mut self) {
        self.entries.retain(|_, entry| {
            let unsaid = |outgoing: &Outgoing| {
                !outgoing.is_wanted && outgoing.said.is_none() && outgoing.offered.is_none()
            };
            entry.incoming.is_some() || !entry.outgoing.as_ref().is_some_and(unsaid)
        });
    }

    pub fn needs_offer(&self) -> bool {
        self.outgoing().any(|(_, _, outgoing)| outgoing.needs_offer())
    }

    pub fn changes(&self) -> Vec<Change> {
        let wanting = self.outgoing().filter(|(_, _, outgoing)| outgoing.needs_offer());
        let changes = wanting.map(|(section, mid, outgoing)| match mid {
            None => Change::Add(section, outgoing.sending.clone()),
            Some(mid) if outgoing.is_wanted => Change::Turn(section, mid, Direction::SendOnly),
            Some(mid) => Change::Turn(section, mid, Direction::Inactive),
        });
        changes.collect()
    }

    pub fn offered(&mut self, all: &[Offered]) {
        for Offered { section, is_sending, .. } in all {
            if let Some(outgoing) = self.outgoing_mut(*section) {
                outgoing.offered = Some(*is_sending);
            }
        }
    }

    /// The offer that waited is void.
    pub fn withdrawn(&mut self) {
        for entry in self.entries.values_mut() {
            if let Some(outgoing) = &mut entry.outgoing {
                outgoing.offered = None;
            }
        }
        self.forget_unsaid();
    }

    /// The offer was answered, whatever the answer says.
    pub fn answered(&mut self, all: &[Offered]) {
        for Offered { section, mid, is_sending } in all {
            let Some(entry) = self.entries.get_mut(section) else { continue };
            if let Some(mid) = *mid {
                entry.mid = Some(mid);
                self.by_mid.insert(mid, *section);
            }
            if let Some(outgoing) = &mut entry.outgoing {
                (outgoing.said, outgoing.offered) = (Some(*is_sending), None);
            }
        }
    }

    /// What str0m makes of a section of ours after a description. Whether we send is said by our offers; but an offer
    /// of the other side can agree to silence that we wanted anyway.
    pub fn opened(&mut self, section: Section, opening: Opening) {
        let Some(outgoing) = self.outgoing_mut(section) else { return };
        if !outgoing.is_wanted && outgoing.said.is_some() && outgoing.offered.is_none() {
            outgoing.said = Some(opening.is_sending);
        }
        outgoing.is_open = outgoing.is_wanted && outgoing.said == Some(true) && opening.is_sending;
        outgoing.is_dead = opening.is_dead;
        outgoing.codecs = opening.codecs;
        let mut before = std::mem::take(&mut outgoing.streams);
        for (layer, ssrc) in opening.streams {
            let known = before.iter().position(|stream| stream.layer == layer && stream.ssrc == ssrc);
            outgoing.streams.push(match known {
                Some(at) => before.swap_remove(at),
                None => StreamOut { layer, ssrc, sequence_base: None, counters: Counters::default() },
            });
        }
    }

    /// A description of the other side says this. What is new about it, and the sources that are no more.
    pub fn described(&mut self, text: &SectionText<'_>, is_taken: bool) -> Option<(SectionInfo, Vec<u32>)> {
        let kind = text.kind?;
        let mid = Mid::from(text.mid);
        let is_sending = text.is_sending && is_taken;
        let section = match self.by_mid.get(&mid) {
            Some(section) => *section,
            None if is_sending => {
                let (section, entry) = self.add(kind);
                entry.mid = Some(mid);
                self.by_mid.insert(mid, section);
                section
            }
            None => return None,
        };
        let entry = self.entries.get_mut(&section)?;
        if !is_sending && entry.incoming.is_none() {
            return None;
        }
        let info = SectionInfo {
            section,
            kind,
            stream_id: text.stream_id.to_owned(),
            track_id: text.track_id.to_owned(),
            is_sending,
            layers: text.layers.clone(),
        };
        let ssrcs = text.ssrcs.clone();
        let Some(before) = &mut entry.incoming else {
            entry.incoming = Some(Incoming { info: info.clone(), ssrcs, streams: Vec::new() });
            return Some((info, Vec::new()));
        };
        // A source that the description names is one that may go on; others end with the track that they were for.
        let is_another = before.info != info;
        let gone = |ssrc: &u32| !ssrcs.contains(ssrc);
        let mut ended: Vec<_> = before.ssrcs.iter().copied().filter(gone).collect();
        if is_another {
            let heard = before.streams.iter().map(|stream| *stream.ssrc).filter(gone);
            ended.extend(heard);
        }
        before.streams.retain(|stream| !ended.contains(&stream.ssrc));
        before.ssrcs = ssrcs;
        before.info = info.clone();
        (is_another || !ended.is_empty()).then_some(())?;
        Some((info, ended))
    }

    /// Sections of the other side whose place in the descriptions was given to others.
    pub fn vanished(&mut self, is_known: impl Fn(Mid) -> bool) -> Vec<SectionInfo> {
        let is_gone = |entry: &Entry| entry.outgoing.is_none() && entry.mid.is_some_and(|mid| !is_known(mid));
        let gone: Vec<_> =
            self.entries.iter().filter(|(_, entry)| is_gone(entry)).map(|(section, _)| *section).collect();
        let mut infos = Vec::new();
        for section in gone {
            let Some(entry) = self.entries.remove(&section) else { continue };
            if let Some(mid) = entry.mid {
                self.by_mid.remove(&mid);
            }
            if let Some(incoming) = entry.incoming.filter(|incoming| incoming.info.is_sending) {
                infos.push(SectionInfo { is_sending: false, ..incoming.info });
            }
        }
        infos
    }

    pub fn forget_routes(&mut self) {
        self.routes.clear();
    }

    pub fn route(&self, ssrc: Ssrc) -> Option<(Section, Option<Layer>)> {
        self.routes.get(&ssrc).copied()
    }

    pub fn add_route(&mut self, ssrc: Ssrc, section: Section, layer: Option<Layer>) {
        if self.routes.len() < ROUTES_MAX {
            self.routes.insert(ssrc, (section, layer));
        }
    }

    pub fn by_mid(&self, mid: Mid) -> Option<Section> {
        self.by_mid.get(&mid).copied()
    }

    pub fn mid(&self, section: Section) -> Option<Mid> {
        self.entries.get(&section)?.mid
    }

    /// What is sent on the section that a description calls so.
    pub fn sending(&self, mid: Mid) -> Option<&Sending> {
        let entry = self.entries.get(self.by_mid.get(&mid)?)?;
        Some(&entry.outgoing.as_ref()?.sending)
    }

    pub fn entries(&self) -> impl Iterator<Item = (Section, &Entry)> {
        self.entries.iter().map(|(section, entry)| (*section, entry))
    }

    pub fn entry(&self, section: Section) -> Option<&Entry> {
        self.entries.get(&section)
    }

    pub fn outgoing(&self) -> impl Iterator<Item = (Section, Option<Mid>, &Outgoing)> {
        self.entries().filter_map(|(section, entry)| Some((section, entry.mid, entry.outgoing.as_ref()?)))
    }

    pub fn sender(&self, section: Section) -> Option<&Outgoing> {
        self.entries.get(&section)?.outgoing.as_ref()
    }

    pub fn outgoing_mut(&mut self, section: Section) -> Option<&mut Outgoing> {
        self.entries.get_mut(&section)?.outgoing.as_mut()
    }

    pub fn incoming_mut(&mut self, section: Section) -> Option<&mut Incoming> {
        self.entries.get_mut(&section)?.incoming.as_mut()
    }

    /// Whether media may flow, one way or the other.
    pub fn is_live(&self) -> bool {
        self.entries.values().any(|entry| {
            entry.outgoing.as_ref().is_some_and(|outgoing| outgoing.is_open)
                || entry.incoming.as_ref().is_some_and(|incoming| incoming.info.is_sending)
        })
    }
}

/// What str0m says of a section of ours.
pub(super) struct Opening {
    pub is_sending: bool,
    pub is_dead: bool,
    pub codecs: Vec<(Codec, Pt)>,
    pub streams: Vec<(Option<Layer>, Ssrc)>,
}

impl Outgoing {
    pub fn stream_mut(&mut self, layer: Option<Layer>) -> Option<&mut StreamOut> {
        self.streams.iter_mut().find(|stream| stream.layer == layer)
    }
}

impl Incoming {
    pub fn stream_mut(&mut self, layer: Option<Layer>, ssrc: Ssrc) -> &mut StreamIn {
        let at = self.streams.iter().position(|stream| stream.layer == layer);
        let at = at.unwrap_or_else(|| {
            self.streams.push(StreamIn { layer, ssrc, format: None, counters: Counters::default() });
            self.streams.len() - 1
        });
        &mut self.streams[at]
    }
}
