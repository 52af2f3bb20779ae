//! How data and media get through: data inside the link where the server is this library too, all else through peer
//! connections.
//!
//! LiveKit's first dialect has two of them: the server offers the *subscriber* one and sends on it, the client offers
//! the *publisher* one and sends on it. The publisher's is made when there is something to send. With a server of
//! this library neither is made before there is media.

mod origin;
mod paths;
mod relays;
mod resume;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use prost::Message as _;

use self::origin::Origin;
use self::paths::{farewell, reached_by, trickle};
use self::relays::Turn;
use super::core::{Addresses, Core, Output, Reach, State};
use super::event::Ending;
use super::ice::{TurnServer, Ways};
use super::{Fault, Reason};
use crate::rtc::{
    self, Channel, Codec, Datagram, Layer, PacketIn, PacketOut, Peer, Section, SectionInfo,
    SectionStatistics, Sending,
};
use crate::signal::proto::{
    DataPacket, SessionDescription, SignalTarget, TrickleRequest, signal_request::Message,
};

/// How many packets wait for a data channel that is not open or is full. A program that sends faster than the
/// network carries is told that its newest signals are not sent.
const OUTBOX_LENGTH_MAX: usize = 1000;

/// How many candidates are kept that come before their peer connection: LiveKit sends a handful; a server that sends
/// more before its offer is not listened to.
const EARLY_CANDIDATES_MAX: usize = 64;

pub(super) struct Wires {
    /// Data goes inside the link.
    is_inline: bool,
    ways: Ways,
    /// `None` until the sockets are open; where only relays may be used, until it is known where they are.
    local: Option<Addresses>,
    turn: Turn,
    has_asked_for_sockets: bool,
    subscriber: Option<Side>,
    publisher: Option<Side>,
    subscriber_primary: bool,
    /// There is something to send, or there was.
    wants_publisher: bool,
    /// Came before the sockets were open.
    early_offer: Option<SessionDescription>,
    early_candidates: Vec<TrickleRequest>,
    outbox: VecDeque<Vec<u8>>,
    outputs: VecDeque<WiresOutput>,
    /// When the session was resumed last.
    resumed: Option<Instant>,
}

struct Side {
    peer: Peer,
    is_open: bool,
    /// Whether it has been up at all.
    was_up: bool,
    /// It has come up since the session was resumed.
    is_back: bool,
    /// Our offer has not been answered yet.
    is_offered: bool,
    /// What was agreed last, in the words of this side: an answer of the subscriber's, an offer of the publisher's.
    description: SessionDescription,
    /// Whose descriptions the other side's are.
    theirs: Origin,
}

/// The two peer connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Subscriber,
    Publisher,
}

/// What the peer connections have to say to the session.
pub(super) enum WiresOutput {
    OpenSockets(Reach),
    RenewSockets(Reach),
    FindRelays {
        servers: Vec<TurnServer>,
        ways: Vec<Way>,
        alone: bool,
    },
    RelayOver {
        way: Way,
        base: SocketAddr,
        was_given: bool,
    },
    OpenStream {
        way: Way,
        remote: SocketAddr,
    },
    CloseStream(SocketAddr),
    Transmit(Datagram),
    Request(Message),
    Data(DataPacket),
    /// The server's answer has come: what our sections are to carry is known.
    Negotiated,
    /// What a section of the subscriber's carries.
    Section(SectionInfo),
    Media(Box<PacketIn>),
    KeyFrameRequested {
        section: Section,
        layer: Option<Layer>,
    },
    Bitrate(u64),
    Up(Way),
    Down(Way),
    /// It is gone. `data`: and with it the way of the session's data.
    Failed {
        way: Way,
        data: bool,
        text: &'static str,
    },
}

impl Side {
    fn new(peer: Peer) -> Self {
        let description = SessionDescription::default();
        let theirs = Origin::default();
        Self { peer, is_open: false, was_up: false, is_back: false, is_offered: false, description, theirs }
    }
}

impl Wires {
    /// To a server that is this library.
    pub fn inline(ways: Ways) -> Self {
        Self { is_inline: true, ..Self::peers(true, false, ways) }
    }

    pub fn peers(subscriber_primary: bool, fast_publish: bool, ways: Ways) -> Self {
        Self {
            is_inline: false,
            ways,
            local: None,
            turn: Turn::default(),
            has_asked_for_sockets: false,
            subscriber: None,
            publisher: None,
            subscriber_primary,
            wants_publisher: fast_publish || !subscriber_primary,
            early_offer: None,
            early_candidates: Vec::new(),
            outbox: VecDeque::new(),
            outputs: VecDeque::new(),
            resumed: None,
        }
    }

    pub fn is_inline(&self) -> bool {
        self.is_inline
    }

    /// Whether data can be heard.
    pub fn is_open(&self) -> bool {
        let primary = if self.subscriber_primary { &self.subscriber } else { &self.publisher };
        let is_up = |side: &Side| side.is_open && side.peer.is_connected() && self.has_found_path(side);
        self.is_inline || primary.as_ref().is_some_and(is_up)
    }

    /// Whether something that was sent has not left yet.
    pub fn is_sending(&mut self) -> bool {
        !self.is_inline
            && (!self.outbox.is_empty()
                || self.publisher.as_mut().is_some_and(|side| side.peer.buffered() > 0))
    }

    /// Ends the peer connections. What comes back tells the other side.
    pub fn close(&mut self, now: Instant) -> Vec<WiresOutput> {
        let sides = [self.subscriber.take(), self.publisher.take()].into_iter().flatten();
        sides.flat_map(|side| farewell(now, side)).collect()
    }

    /// Takes over what had not left through the wires that were lost.
    pub fn succeed(&mut self, old: Wires) {
        if !self.is_inline && !old.outbox.is_empty() {
            self.outbox = old.outbox;
            self.wants_publisher = true;
        }
    }

    /// Sends a packet, or keeps it until it can be sent. False when there is no room for it.
    pub fn send(&mut self, now: Instant, packet: &DataPacket) -> bool {
        if self.is_inline || self.outbox.len() >= OUTBOX_LENGTH_MAX {
            return false;
        }
        self.outbox.push_back(packet.encode_to_vec());
        self.wants_publisher = true;
        self.drive(now);
        true
    }

    pub fn offered(&mut self, now: Instant, offer: SessionDescription) {
        if self.local.is_none() {
            self.want_sockets();
        }
        if self.local.is_none() {
            self.early_offer = Some(offer);
            return;
        }
        self.accept_offer(now, offer);
        self.drive(now);
    }

    pub fn answered(&mut self, now: Instant, answer: &SessionDescription) {
        let Some(side) = &mut self.publisher else { return };
        let theirs = Origin::of(&answer.sdp);
        if side.is_offered && side.theirs.is_another(&theirs) {
            // Another node of the server's, which knows nothing of this connection's keys.
            log::info!("the session has moved to another server: the publisher's connection cannot go on");
            self.fail(Way::Publisher, "another server has answered");
            return self.drive(now);
        }
        match side.peer.accept_answer(now, &answer.sdp) {
            Ok(()) => {
                side.is_offered = false;
                side.theirs = theirs;
                self.outputs.push_back(WiresOutput::Negotiated);
            }
            Err(rtc::RtcError::NotOffered) => log::debug!("an answer that nobody waits for was skipped"),
            Err(error) => {
                log::warn!("the server's answer could not be used: {error:?}");
                self.fail(Way::Publisher, "the server's answer could not be used");
            }
        }
        self.drive(now);
    }

    pub fn trickled(&mut self, now: Instant, trickle: &TrickleRequest) {
        let Some(line) = rtc::candidate_line(&trickle.candidate_init) else { return };
        let side = match trickle.target() {
            SignalTarget::Publisher => &mut self.publisher,
            SignalTarget::Subscriber => &mut self.subscriber,
        };
        match side {
            Some(side) => {
                if let Err(error) = side.peer.add_remote_candidate(now, &line) {
                    log::debug!("a candidate of the server was skipped: {error:?}");
                }
            }
            None if self.early_candidates.len() < EARLY_CANDIDATES_MAX => {
                self.early_candidates.push(trickle.clone())
            }
            None => {}
        }
        self.drive(now);
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        for side in [&mut self.subscriber, &mut self.publisher].into_iter().flatten() {
            if side.peer.poll_timeout().is_some_and(|at| now >= at) {
                side.peer.handle_timeout(now);
            }
        }
        self.relays_timeout(now);
        self.drive(now);
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        let sides = [&self.subscriber, &self.publisher].into_iter().flatten();
        sides.filter_map(|side| side.peer.poll_timeout()).chain(self.turn.poll_timeout()).min()
    }

    /// What has come out of them, whatever it was that was put in: a packet of media leaves with the call that brought it.
    pub fn poll(&mut self) -> Option<WiresOutput> {
        if self.outputs.is_empty() {
            self.drain(Way::Subscriber);
            self.drain(Way::Publisher);
        }
        self.outputs.pop_front()
    }

    /// A section to send on. `None`: there are no sockets yet, or the peer connection is over. What was added is offered
    /// with the next [`Self::negotiate`].
    pub fn add_sending(&mut self, now: Instant, sending: &Sending) -> Option<Section> {
        self.want_sockets();
        self.local.as_ref()?;
        self.publisher(now)?.peer.add_sending(now, sending).ok()
    }

    pub fn stop_sending(&mut self, now: Instant, section: Section) {
        if let Some(side) = &mut self.publisher {
            side.peer.stop_sending(now, section);
        }
    }

    /// What the server takes on a section.
    pub fn sending_codec(&self, section: Section) -> Option<Codec> {
        self.publisher.as_ref()?.peer.sending_codec(section)
    }

    /// What is not taken is lost: a packet of media is of no use later.
    pub fn send_media(
        &mut self,
        now: Instant,
        section: Section,
        layer: Option<Layer>,
        packet: PacketOut,
    ) -> Result<(), rtc::SendError> {
        let side = self.publisher.as_mut().ok_or(rtc::SendError::NotOpen)?;
        side.peer.send_packet(now, section, layer, packet)
    }

    pub fn set_bitrate(&mut self, now: Instant, current_bps: u64, desired_bps: u64) {
        if let Some(side) = &mut self.publisher {
            side.peer.set_bitrate(now, current_bps, desired_bps);
        }
    }

    /// How long what was given to [`Self::send_media`] waits for the network.
    pub fn backlog(&mut self, now: Instant) -> Duration {
        self.publisher.as_mut().map_or(Duration::ZERO, |side| side.peer.backlog(now))
    }

    /// What has been sent so far, by sections and layers.
    pub fn sent(&self) -> Vec<SectionStatistics> {
        let all = self.publisher.as_ref().map(|side| side.peer.statistics()).unwrap_or_default();
        all.into_iter().filter(|one| one.is_sending).collect()
    }

    pub fn request_key_frame(&mut self, now: Instant, section: Section) {
        if let Some(side) = &mut self.subscriber {
            side.peer.request_key_frame(now, section, None);
        }
    }

    /// Whether the server's media can come.
    pub fn can_receive(&self) -> bool {
        self.subscriber.as_ref().is_some_and(|side| side.peer.is_connected())
    }

    /// Offers what has changed and takes out what the peer connections have to say.
    pub fn negotiate(&mut self, now: Instant) {
        self.drive(now);
    }

    fn accept_offer(&mut self, now: Instant, offer: SessionDescription) {
        let Some(local) = &self.local else { return };
        // A server of this library begins anew when its end has failed: the offer is another connection's.
        let theirs = Origin::of(&offer.sdp);
        if let Some(side) = self.subscriber.take_if(|side| side.theirs.is_another(&theirs)) {
            if side.peer.has_relays() || side.peer.has_streams() {
                // They are given back: the new ones begin at the same sockets.
                self.outputs.extend(farewell(now, side));
            }
            self.outputs.push_back(WiresOutput::Down(Way::Subscriber));
        }
        let is_inline = self.is_inline;
        let side = self.subscriber.get_or_insert_with(|| {
            let peer = reached_by(now, &self.ways, &local.subscriber, &self.turn, Way::Subscriber);
            Side::new(if is_inline { peer } else { peer.yields_first_check() })
        });
        side.theirs = theirs;
        match side.peer.accept_offer(now, &offer.sdp) {
            Ok(sdp) => {
                let mut answer = offer;
                answer.r#type = "answer".into();
                answer.sdp = sdp;
                side.description = answer.clone();
                self.outputs.push_back(WiresOutput::Request(Message::Answer(answer)));
            }
            // It says so itself.
            Err(rtc::RtcError::Over) => {}
            Err(error) => {
                log::warn!("the server's offer could not be used: {error:?}");
                self.fail(Way::Subscriber, "the server's offer could not be used");
            }
        }
        self.add_early_candidates(now);
    }

    fn add_early_candidates(&mut self, now: Instant) {
        for trickle in std::mem::take(&mut self.early_candidates) {
            let side = match trickle.target() {
                SignalTarget::Publisher => &mut self.publisher,
                SignalTarget::Subscriber => &mut self.subscriber,
            };
            let line = rtc::candidate_line(&trickle.candidate_init);
            match (side, line) {
                (Some(side), Some(line)) => {
                    let _ = side.peer.add_remote_candidate(now, &line);
                }
                (None, Some(_)) => self.early_candidates.push(trickle),
                (_, None) => {}
            }
        }
    }

    /// The publisher's side, made when it is first needed and can be.
    fn publisher(&mut self, now: Instant) -> Option<&mut Side> {
        if self.publisher.is_none() {
            let local = &self.local.as_ref()?.publisher;
            let peer = reached_by(now, &self.ways, local, &self.turn, Way::Publisher);
            self.publisher = Some(Side::new(peer));
            self.add_early_candidates(now);
        }
        self.publisher.as_mut()
    }

    fn send_offer(&mut self, sdp: String) {
        let Some(side) = &mut self.publisher else { return };
        side.is_offered = true;
        side.description =
            SessionDescription { r#type: "offer".into(), sdp, ..SessionDescription::default() };
        let offer = side.description.clone();
        self.outputs.push_back(WiresOutput::Request(Message::Offer(offer)));
    }

    /// Offers what the server does not know yet, one offer at a time.
    fn offer(&mut self, now: Instant) {
        if self.wants_publisher && self.publisher(now).is_none() {
            return;
        }
        let Some(side) = &mut self.publisher else { return };
        let is_first = side.description.sdp.is_empty();
        if side.is_offered || !(is_first || side.peer.needs_offer()) {
            return;
        }
        match side.peer.offer(now) {
            Ok(sdp) => self.send_offer(sdp),
            Err(rtc::RtcError::NothingToOffer | rtc::RtcError::Over) => {}
            Err(error) => {
                log::warn!("no peer connection could be offered: {error:?}");
                self.fail(Way::Publisher, "no peer connection could be offered");
            }
        }
    }

    fn fail(&mut self, way: Way, text: &'static str) {
        let side = match way {
            Way::Subscriber => &mut self.subscriber,
            Way::Publisher => &mut self.publisher,
        };
        // Where it has never been up there may be no way for it at all, and signals need none.
        let is_needed = !self.is_inline || side.as_ref().is_some_and(|side| side.was_up);
        if !is_needed {
            *side = None;
        }
        self.outputs.push_back(WiresOutput::Failed { way, data: is_needed, text });
    }

    /// Takes out what the peer connections have to say, and puts in what waits for them.
    fn drive(&mut self, now: Instant) {
        self.offer(now);
        self.drain(Way::Subscriber);
        self.drain(Way::Publisher);
        if self.flush(now) {
            self.drain(Way::Publisher);
        }
    }

    fn drain(&mut self, way: Way) {
        let side = match way {
            Way::Subscriber => &mut self.subscriber,
            Way::Publisher => &mut self.publisher,
        };
        let Some(side) = side else { return };
        let mut has_failed = false;
        while let Some(output) = side.peer.poll() {
            let output = match output {
                rtc::Output::Transmit(datagram) => WiresOutput::Transmit(datagram),
                rtc::Output::OpenStream(remote) => WiresOutput::OpenStream { way, remote },
                rtc::Output::CloseStream(local) => WiresOutput::CloseStream(local),
                rtc::Output::RelayOver { base, was_given } => WiresOutput::RelayOver { way, base, was_given },
                rtc::Output::Candidate(line) => WiresOutput::Request(Message::Trickle(trickle(way, &line))),
                rtc::Output::Opened(channel) => {
                    side.is_open |= channel == Channel::Reliable;
                    continue;
                }
                rtc::Output::Data(_, bytes) => match DataPacket::decode(bytes.as_slice()) {
                    Ok(packet) => WiresOutput::Data(packet),
                    Err(_) => {
                        log::debug!("a data packet was skipped: it is malformed");
                        continue;
                    }
                },
                rtc::Output::Section(info) => WiresOutput::Section(info),
                rtc::Output::Packet(packet) => WiresOutput::Media(packet),
                rtc::Output::KeyFrameRequested { section, layer } => {
                    WiresOutput::KeyFrameRequested { section, layer }
                }
                rtc::Output::Bitrate(bits_per_second) => WiresOutput::Bitrate(bits_per_second),
                rtc::Output::Connected => {
                    side.was_up = true;
                    side.is_back = true;
                    WiresOutput::Up(way)
                }
                rtc::Output::Disconnected => WiresOutput::Down(way),
                rtc::Output::Failed(text) => {
                    log::info!("a peer connection failed: {text}");
                    has_failed = true;
                    continue;
                }
            };
            self.outputs.push_back(output);
        }
        if has_failed {
            let text = match self.ways.is_relayed_only {
                true => "the peer connection failed, and it may go through TURN servers only",
                false => "the peer connection failed",
            };
            self.fail(way, text);
        }
    }

    /// Whether something was handed to the data channel.
    fn flush(&mut self, now: Instant) -> bool {
        let Some(side) = self.publisher.as_mut().filter(|side| side.is_open) else { return false };
        let waiting = self.outbox.len();
        while let Some(bytes) = self.outbox.front() {
            match side.peer.send(now, Channel::Reliable, bytes) {
                Ok(()) => {}
                Err(rtc::SendError::TooLarge | rtc::SendError::Empty) => {
                    log::warn!("a signal was dropped: the data channel cannot take it")
                }
                Err(rtc::SendError::NotOpen | rtc::SendError::Full) => break,
            }
            self.outbox.pop_front();
        }
        self.outbox.len() < waiting
    }
}

impl Core {
    pub(super) fn wires_output(&mut self, now: Instant, output: WiresOutput) {
        match output {
            WiresOutput::OpenSockets(reach) => self.push(Output::OpenSockets(reach)),
            WiresOutput::RenewSockets(reach) => self.push(Output::RenewSockets(reach)),
            WiresOutput::FindRelays { servers, ways, alone } => {
                self.push(Output::FindRelays { servers, ways, alone });
            }
            WiresOutput::RelayOver { way, base, was_given } => {
                if let Some(live) = self.live_mut() {
                    live.wires.relay_over(now, way, base, was_given);
                }
            }
            WiresOutput::OpenStream { way, remote } => self.push(Output::OpenStream { way, remote }),
            WiresOutput::CloseStream(local) => self.push(Output::CloseStream(local)),
            WiresOutput::Transmit(datagram) => self.push(Output::Transmit(datagram)),
            WiresOutput::Request(message) => self.request(message),
            WiresOutput::Data(packet) => self.packet(now, &packet),
            WiresOutput::Negotiated => self.publications_negotiated(now),
            WiresOutput::Section(info) => self.section_changed(info),
            WiresOutput::Media(packet) => self.media_came(*packet),
            WiresOutput::KeyFrameRequested { section, layer } => self.key_frame_requested(section, layer),
            WiresOutput::Bitrate(bits_per_second) => self.bitrate_estimated(bits_per_second),
            WiresOutput::Up(Way::Subscriber) => self.receiving_changed(true),
            WiresOutput::Down(Way::Subscriber) => self.receiving_changed(false),
            WiresOutput::Up(Way::Publisher) | WiresOutput::Down(Way::Publisher) => {}
            WiresOutput::Failed { way, data: false, text } => self.media_failed(way, text),
            WiresOutput::Failed { data: true, text, .. } => match &self.state {
                State::Joining(_) => {
                    self.end(now, Ending::Failed(Fault::new(Reason::ConnectionFailed, text)));
                }
                State::Connected(_) => {
                    if let Some(live) = self.live_mut() {
                        live.broken(now);
                    }
                }
                State::Reconnecting(_) => self.peers_failed(now),
                State::New | State::Farewell(_) | State::Over => {}
            },
        }
    }
}
