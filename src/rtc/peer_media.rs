//! The media of a [`Peer`]: what is sent and received on its sections.

use std::time::{Duration, Instant};

use str0m::bwe::Bitrate;
use str0m::change::{SdpApi, SdpOffer, SdpPendingOffer};
use str0m::media::{self, Direction, KeyframeRequestKind, Mid, Rids, Simulcast, SimulcastLayer};
use str0m::rtp::{Ssrc, StreamTx};
use str0m::{Input, Rtc};

use super::link::Link;
use super::media::{Codec, Layer, MediaKind, PAYLOAD_SIZE_MAX, PacketOut, Section, Sending};
use super::section_text::{self, SectionText, token};
use super::sections::{Change, Offered, Opening};
use super::{Output, Peer, RtcError, SendError, codecs, packets};

/// Packets of one stream that may wait for the pacer. A key frame of a large picture has some two hundred; what waits
/// behind several of them comes too late for a call.
const WAITING_PACKETS_MAX: usize = 1_000;

/// Packets kept for being sent again, and for how long. At 3 Mbit/s a second has about 350; what is older than a few
/// round trips no receiver waits for.
const RESENDABLE_PACKETS_MAX: usize = 1_000;
const RESENDABLE_AGE_MAX: Duration = Duration::from_secs(2);

/// The share of a stream that repeated packets may make up. str0m's own limit of 15 % is below what a bad wireless
/// network loses.
const RESENT_SHARE_MAX: f32 = 0.5;

impl Peer {
    /// A section to send on, agreed on with the next offer. May be called at any time, several times before one offer.
    pub fn add_sending(&mut self, now: Instant, sending: &Sending) -> Result<Section, RtcError> {
        if self.state.link == Link::Over {
            return Err(RtcError::Over);
        }
        self.advance(now);
        let (section, again) = self.state.sections.add_sending(sending);
        if let Some(mid) = again {
            self.drive(|rtc| renew_sources(rtc, mid, &sending.layers));
        }
        Ok(section)
    }

    /// The section sends nothing any more, which the next offer says. It may come back for a later
    /// [`Peer::add_sending`].
    pub fn stop_sending(&mut self, now: Instant, section: Section) {
        self.advance(now);
        self.state.sections.stop_sending(section);
    }

    /// Something was added or stopped that no offer has said yet.
    pub fn needs_offer(&self) -> bool {
        self.state.link != Link::Over && self.state.sections.needs_offer()
    }

    /// Sends a packet on a section and layer. Success means that it was taken.
    pub fn send_packet(
        &mut self,
        now: Instant,
        section: Section,
        layer: Option<Layer>,
        packet: PacketOut,
    ) -> Result<(), SendError> {
        if packet.payload.is_empty() {
            return Err(SendError::Empty);
        }
        if packet.payload.len() > PAYLOAD_SIZE_MAX {
            return Err(SendError::TooLarge);
        }
        if !self.is_connected() {
            return Err(SendError::NotOpen);
        }
        let outgoing = self.state.sections.outgoing_mut(section).filter(|outgoing| outgoing.is_open);
        let outgoing = outgoing.ok_or(SendError::NotOpen)?;
        let format = outgoing.codecs.iter().find(|(codec, _)| *codec == packet.codec);
        let (_, format) = *format.ok_or(SendError::NotOpen)?;
        let stream = outgoing.stream_mut(layer).ok_or(SendError::NotOpen)?;
        let base = *stream.sequence_base.get_or_insert(packet.sequence & !0xffff);
        let Some(sequence) = packet.sequence.checked_sub(base) else {
            // From before the first one. No receiver could count that far back.
            return Ok(());
        };
        let (ssrc, size) = (stream.ssrc, packet.payload.len());
        let now = now.max(self.state.now);
        self.state.now = now;
        let sent = self.drive(|rtc| {
            let mut direct = rtc.direct_api();
            let stream = direct.stream_tx(&ssrc).ok_or(SendError::NotOpen)?;
            if stream.queue_info().is_some_and(|queue| queue.packet_count() > WAITING_PACKETS_MAX) {
                return Err(SendError::Full);
            }
            stream.write_rtp(packets::to_send(now, packet, sequence, format));
            pass_time(rtc, now);
            Ok(())
        });
        sent.unwrap_or(Err(SendError::NotOpen))?;
        let outgoing = self.state.sections.outgoing_mut(section);
        if let Some(stream) = outgoing.and_then(|outgoing| outgoing.stream_mut(layer)) {
            stream.counters.count(size);
        }
        Ok(())
    }

    /// How much a section has given the pacer that has not gone out yet, in bytes.
    pub fn unsent_bytes(&mut self, section: Section) -> usize {
        let Some(outgoing) = self.state.sections.outgoing_mut(section) else { return 0 };
        let sources: Vec<Ssrc> = outgoing.streams.iter().map(|stream| stream.ssrc).collect();
        let unsent = self.drive(|rtc| {
            let mut direct = rtc.direct_api();
            let mut unsent = |ssrc| Some(direct.stream_tx(ssrc)?.queue_info()?.byte_size());
            sources.iter().filter_map(&mut unsent).sum()
        });
        unsent.unwrap_or(0)
    }

    /// How long the oldest packet that the pacer holds back has waited. Zero where nothing waits.
    pub fn backlog(&mut self, now: Instant) -> Duration {
        let sources = self.state.sections.outgoing().flat_map(|(_, _, outgoing)| &outgoing.streams);
        let sources: Vec<Ssrc> = sources.map(|stream| stream.ssrc).collect();
        let oldest = self.drive(|rtc| {
            let mut direct = rtc.direct_api();
            let mut unsent = |ssrc| direct.stream_tx(ssrc)?.queue_info()?.first_unsent();
            sources.iter().filter_map(&mut unsent).min()
        });
        oldest.flatten().map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }

    /// Asks the other side for a key frame of a picture. The caller decides how often is often enough.
    pub fn request_key_frame(&mut self, now: Instant, section: Section, layer: Option<Layer>) {
        self.advance(now);
        let Some(mid) = self.state.sections.mid(section) else { return };
        let incoming = self.state.sections.incoming_mut(section);
        let Some(incoming) = incoming.filter(|incoming| incoming.info.kind == MediaKind::Video) else {
            return;
        };
        let heard = incoming.streams.iter().find(|stream| stream.layer == layer).map(|stream| stream.ssrc);
        let now = self.state.now;
        self.drive(|rtc| {
            let kind = request_kind(rtc, mid);
            let mut direct = rtc.direct_api();
            let stream = match heard {
                Some(ssrc) => direct.stream_rx(&ssrc),
                None => direct.stream_rx_by_mid(mid, layer.map(Layer::rid)),
            };
            if let Some(stream) = stream {
                stream.request_keyframe(kind);
                pass_time(rtc, now);
            }
        });
    }

    /// What is being sent, and what would be sent if the network allowed it: the peer probes for that much.
    pub fn set_bitrate(&mut self, now: Instant, current_bps: u64, desired_bps: u64) {
        self.advance(now);
        self.state.desired_bps = desired_bps.max(current_bps);
        let (least, asked) = (self.state.demand.0.min(self.state.desired_bps), self.state.asked_bps());
        self.state.demand = (least, asked);
        let now = self.state.now;
        self.drive(|rtc| {
            rtc.bwe().set_bitrate(Bitrate::bps(least), Bitrate::bps(asked));
            pass_time(rtc, now);
        });
    }

    /// It finds out itself whether the network carries as much as [`Peer::set_bitrate`] says.
    pub fn can_probe(&self) -> bool {
        self.state.estimates()
    }

    /// The codec that a section of ours is to send, once agreed on.
    pub fn sending_codec(&self, section: Section) -> Option<Codec> {
        let outgoing = self.state.sections.sender(section).filter(|outgoing| outgoing.is_open)?;
        outgoing.codecs.first().map(|(codec, _)| *codec)
    }

    /// The layers of a section of ours that the other side takes, lowest first. Empty before the agreement, and for a
    /// plain stream.
    pub fn sending_layers(&self, section: Section) -> Vec<Layer> {
        let outgoing = self.state.sections.sender(section).filter(|outgoing| outgoing.is_open);
        outgoing
            .into_iter()
            .flat_map(|outgoing| &outgoing.streams)
            .filter_map(|stream| stream.layer)
            .collect()
    }

    /// What the section is called in the descriptions, once one says so.
    pub fn mid(&self, section: Section) -> Option<String> {
        Some(self.state.sections.mid(section)?.to_string())
    }

    /// What the other side has written, with directions that we can agree to. `offered` is what it answers, if it does.
    pub(super) fn one_way(&self, sdp: &str, offered: &[Offered]) -> String {
        section_text::one_way(sdp, |mid| {
            let mid = Mid::from(mid);
            offered.iter().any(|offered| offered.mid == Some(mid))
                || self.state.sections.sending(mid).is_some()
        })
    }

    /// What we are to say, with the words for our sections that str0m cannot write.
    pub(super) fn with_sendings(&self, sdp: &str, offered: &[Offered]) -> String {
        section_text::with_sendings(sdp, |mid| {
            let mid = Mid::from(mid);
            let new = offered.iter().find(|offered| offered.mid == Some(mid));
            match new {
                Some(offered) => Some(&self.state.sections.sender(offered.section)?.sending),
                None => self.state.sections.sending(mid),
            }
        })
    }

    /// Our answer to `offer`, with the words that str0m cannot write.
    pub(super) fn with_wishes(&self, answer: &str, offer: &str) -> String {
        let offered = section_text::read(offer);
        let is_stereo = |mid: &str| offered.iter().any(|section| section.mid == mid && section.is_stereo);
        self.with_sendings(&section_text::with_stereo(answer, is_stereo), &[])
    }

    /// Both sides have agreed anew; `sdp` is what the other side wrote.
    pub(super) fn agree_on_media(&mut self, sdp: &str) {
        self.state.sections.forget_routes();
        let ours = self.state.sections.outgoing().filter_map(|(section, mid, outgoing)| {
            let known: Vec<_> = outgoing.streams.iter().map(|stream| stream.ssrc).collect();
            Some((section, mid?, outgoing.sending.clone(), known))
        });
        let ours: Vec<_> = ours.collect();
        let openings = self.drive(|rtc| {
            let mut openings = Vec::new();
            for (section, mid, sending, known) in ours {
                openings.push((section, opening(rtc, mid, &sending, &known)));
            }
            openings
        });
        for (section, opening) in openings.unwrap_or_default() {
            self.state.sections.opened(section, opening);
        }
        let texts: Vec<_> = section_text::read(sdp).into_iter().filter(|text| text.kind.is_some()).collect();
        for text in &texts {
            self.hear_of(text);
        }
        let engine = &self.engine;
        let is_known = |mid: Mid| engine.look(|rtc| rtc.media(mid).is_some()) == Some(true);
        for info in self.state.sections.vanished(is_known) {
            self.state.outputs.push_back(Output::Section(info));
        }
    }

    fn hear_of(&mut self, text: &SectionText<'_>) {
        let mid = Mid::from(text.mid);
        let is_taken = |rtc: &Rtc| {
            rtc.media(mid).is_some_and(|media| !media.disabled() && media.direction().is_receiving())
        };
        let is_taken = self.engine.look(is_taken) == Some(true);
        let Some((info, ended)) = self.state.sections.described(text, is_taken) else { return };
        self.drive(|rtc| {
            for ssrc in ended {
                rtc.direct_api().remove_stream_rx(ssrc.into());
            }
        });
        self.state.outputs.push_back(Output::Section(info));
    }
}

/// Puts our changes into an offer.
pub(super) fn propose(
    rtc: &mut Rtc,
    changes: Vec<Change>,
    extra: impl FnOnce(&mut SdpApi<'_>),
) -> Option<Proposal> {
    let turned: Vec<_> = changes.iter().map(|change| already_turned(rtc, change)).collect();
    let mut api = rtc.sdp_api();
    extra(&mut api);
    let mut offered = Vec::new();
    for (change, turned) in changes.into_iter().zip(turned) {
        offered.push(match change {
            Change::Add(section, sending) => {
                Offered { section, mid: Some(add_media(&mut api, &sending)), is_sending: true }
            }
            Change::Turn(section, mid, direction) => {
                if let Some(back) = turned {
                    api.set_direction(mid, back);
                }
                api.set_direction(mid, direction);
                Offered { section, mid: None, is_sending: direction.is_sending() }
            }
        });
    }
    let (offer, token) = api.apply()?;
    Some(Proposal { offer, token, offered })
}

pub(super) struct Proposal {
    pub offer: SdpOffer,
    pub token: SdpPendingOffer,
    pub offered: Vec<Offered>,
}

/// str0m turns a section as soon as an offer says so, and sees no change when an offer that was withdrawn has to be
/// made again: the section is turned back first then.
fn already_turned(rtc: &Rtc, change: &Change) -> Option<Direction> {
    let Change::Turn(_, mid, direction) = change else { return None };
    let is_turned = rtc.media(*mid).is_some_and(|media| media.direction() == *direction);
    let back = if direction.is_sending() { Direction::Inactive } else { Direction::SendOnly };
    is_turned.then_some(back)
}

fn add_media(api: &mut SdpApi<'_>, sending: &Sending) -> Mid {
    let simulcast = (!sending.layers.is_empty()).then(|| {
        let mut simulcast = Simulcast::new();
        for layer in &sending.layers {
            simulcast.add_send_layer(SimulcastLayer::new(layer.as_str()));
        }
        simulcast
    });
    let kind = match sending.kind {
        MediaKind::Audio => media::MediaKind::Audio,
        MediaKind::Video => media::MediaKind::Video,
    };
    let (stream, track) = (token(&sending.stream_id), token(&sending.track_id));
    api.add_media(kind, Direction::SendOnly, Some(stream), Some(track), simulcast)
}

/// What str0m has made of a section of ours. Sources that are not `known` get their settings.
fn opening(rtc: &mut Rtc, mid: Mid, sending: &Sending, known: &[Ssrc]) -> Opening {
    let Some(media) = rtc.media(mid) else {
        return Opening { is_sending: false, is_dead: true, codecs: Vec::new(), streams: Vec::new() };
    };
    let layers: Vec<_> = match media.rids_tx() {
        _ if sending.layers.is_empty() => vec![None],
        Rids::Specific(taken) => {
            let taken = |layer: &&Layer| taken.contains(&layer.rid());
            sending.layers.iter().filter(taken).copied().map(Some).collect()
        }
        // Without simulcast there is one stream, and the best one is what a receiver would choose.
        Rids::Any | Rids::None => sending.layers.last().copied().map(Some).into_iter().collect(),
    };
    let is_sending = media.direction().is_sending() && !media.disabled();
    let is_dead = media.stopped();
    let codecs = codecs::sendable(rtc, media, &sending.codecs);
    let mut direct = rtc.direct_api();
    let mut streams = Vec::new();
    for layer in layers {
        let Some(stream) = direct.stream_tx_by_mid(mid, layer.map(Layer::rid)) else { continue };
        if sending.kind == MediaKind::Video && !known.contains(&stream.ssrc()) {
            begin_sent(stream);
        }
        streams.push((layer, stream.ssrc()));
    }
    Opening { is_sending, is_dead, codecs, streams }
}

/// With nothing to send again.
fn begin_sent(stream: &mut StreamTx) {
    stream.set_rtx_cache(RESENDABLE_PACKETS_MAX, RESENDABLE_AGE_MAX, Some(RESENT_SHARE_MAX));
}

/// Nothing of what a stream has sent is sent again.
pub(super) fn forget_sent(rtc: &mut Rtc, ssrc: Ssrc) {
    if let Some(stream) = rtc.direct_api().stream_tx(&ssrc).filter(|stream| stream.rtx().is_some()) {
        begin_sent(stream);
    }
}

/// New sources for a section with a new life: its sequence numbers begin anew, and those must not meet the old ones
/// under one key.
fn renew_sources(rtc: &mut Rtc, mid: Mid, layers: &[Layer]) {
    let plain = [None];
    let layers: Vec<_> = layers.iter().map(|layer| Some(layer.rid())).collect();
    let layers = if layers.is_empty() { &plain[..] } else { &layers };
    let mut direct = rtc.direct_api();
    for layer in layers {
        let Some(old) = direct.stream_tx_by_mid(mid, *layer) else { continue };
        let (old, is_repaired) = (old.ssrc(), old.rtx().is_some());
        let new = direct.new_ssrc();
        let repair = is_repaired.then(|| direct.new_ssrc());
        direct.remove_stream_tx(old);
        direct.declare_stream_tx(new, repair, mid, *layer);
    }
}

/// How to ask for a key frame: PLI, unless FIR is all that the other side takes.
fn request_kind(rtc: &Rtc, mid: Mid) -> KeyframeRequestKind {
    let formats = rtc.media(mid).map_or(&[][..], |media| media.remote_pts());
    let params = rtc.codec_config().params().iter().filter(|params| formats.contains(&params.pt()));
    let (mut takes_pli, mut takes_fir) = (false, false);
    for params in params {
        takes_pli |= params.fb_pli();
        takes_fir |= params.fb_fir();
    }
    if takes_fir && !takes_pli { KeyframeRequestKind::Fir } else { KeyframeRequestKind::Pli }
}

/// What was written goes out when time passes, and no time need pass.
fn pass_time(rtc: &mut Rtc, now: Instant) {
    if let Err(error) = rtc.handle_input(Input::Timeout(now)) {
        log::debug!("rtc: {error}");
    }
}
