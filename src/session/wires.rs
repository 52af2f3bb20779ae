//! How data gets through: inside the link where the server is this library too, else through peer connections.
//!
//! LiveKit's first dialect has two of them: the server offers the *subscriber* one and sends on it, the client offers
//! the *publisher* one and sends on it. The publisher's is made when there is something to send.

use std::collections::VecDeque;
use std::time::Instant;

use prost::Message as _;

use super::core::{Addresses, Core, Output, State};
use super::event::Ending;
use super::{Fault, Reason};
use crate::rtc::{self, Channel, Datagram, Peer};
use crate::signal::proto::{
    DataChannelInfo, DataPacket, SessionDescription, SignalTarget, SyncState, TrickleRequest,
    UpdateSubscription, signal_request::Message,
};

/// How many packets wait for a data channel that is not open or is full. A program that sends faster than the
/// network carries is told that its newest signals are not sent.
const OUTBOX_LENGTH_MAX: usize = 1000;

pub(super) enum Wires {
    Inline,
    Peers(Box<Peers>),
}

pub(super) struct Peers {
    /// `None` until the sockets are open.
    local: Option<Addresses>,
    subscriber: Option<Side>,
    publisher: Option<Side>,
    subscriber_primary: bool,
    /// The publisher's peer connection was asked for before the sockets were open.
    wants_publisher: bool,
    /// Came before the sockets were open.
    early_offer: Option<SessionDescription>,
    early_candidates: Vec<TrickleRequest>,
    outbox: VecDeque<Vec<u8>>,
    outputs: VecDeque<WiresOutput>,
}

struct Side {
    peer: Peer,
    is_open: bool,
    /// What was agreed last, in the words of this side: an answer of the subscriber's, an offer of the publisher's.
    description: SessionDescription,
}

/// What the peer connections have to say to the session.
pub(super) enum WiresOutput {
    Transmit(Datagram),
    Request(Message),
    Packet(DataPacket),
    Failed(&'static str),
}

impl Wires {
    pub fn inline() -> Self {
        Self::Inline
    }

    pub fn peers(subscriber_primary: bool, fast_publish: bool) -> Self {
        Self::Peers(Box::new(Peers {
            local: None,
            subscriber: None,
            publisher: None,
            subscriber_primary,
            wants_publisher: fast_publish || !subscriber_primary,
            early_offer: None,
            early_candidates: Vec::new(),
            outbox: VecDeque::new(),
            outputs: VecDeque::new(),
        }))
    }

    pub fn is_inline(&self) -> bool {
        matches!(self, Self::Inline)
    }

    /// Whether data can be heard.
    pub fn is_open(&self) -> bool {
        match self {
            Self::Inline => true,
            Self::Peers(peers) => {
                let primary = if peers.subscriber_primary { &peers.subscriber } else { &peers.publisher };
                primary.as_ref().is_some_and(|side| side.is_open && side.peer.is_connected())
            }
        }
    }

    /// Whether something that was sent has not left yet.
    pub fn is_sending(&mut self) -> bool {
        match self {
            Self::Inline => false,
            Self::Peers(peers) => {
                !peers.outbox.is_empty()
                    || peers.publisher.as_mut().is_some_and(|side| side.peer.buffered() > 0)
            }
        }
    }

    /// Ends the peer connections. What comes back tells the other side.
    pub fn close(&mut self, now: Instant) -> Vec<Datagram> {
        let Self::Peers(peers) = self else { return Vec::new() };
        let mut farewells = Vec::new();
        for mut side in [peers.subscriber.take(), peers.publisher.take()].into_iter().flatten() {
            side.peer.close(now);
            while let Some(output) = side.peer.poll() {
                if let rtc::Output::Transmit(datagram) = output {
                    farewells.push(datagram);
                }
            }
        }
        farewells
    }

    /// Takes over what had not left through the wires that were lost.
    pub fn succeed(&mut self, old: Wires) {
        if let (Self::Peers(peers), Self::Peers(old)) = (self, old)
            && !old.outbox.is_empty()
        {
            peers.outbox = old.outbox;
            peers.wants_publisher = true;
        }
    }

    /// Sends a packet, or keeps it until it can be sent. False when there is no room for it.
    pub fn send(&mut self, now: Instant, packet: &DataPacket) -> bool {
        let Self::Peers(peers) = self else { return false };
        if peers.outbox.len() >= OUTBOX_LENGTH_MAX {
            return false;
        }
        peers.outbox.push_back(packet.encode_to_vec());
        peers.wants_publisher = true;
        peers.drive(now);
        true
    }

    pub fn sockets_opened(&mut self, now: Instant, addresses: Addresses) {
        let Self::Peers(peers) = self else { return };
        peers.local = Some(addresses);
        if let Some(offer) = peers.early_offer.take() {
            peers.offered(now, offer);
        }
        peers.drive(now);
    }

    pub fn offered(&mut self, now: Instant, offer: SessionDescription) {
        let Self::Peers(peers) = self else { return };
        if peers.local.is_none() {
            peers.early_offer = Some(offer);
            return;
        }
        peers.offered(now, offer);
        peers.drive(now);
    }

    pub fn answered(&mut self, now: Instant, answer: &SessionDescription) {
        let Self::Peers(peers) = self else { return };
        let Some(side) = &mut peers.publisher else { return };
        let accepted = side.peer.accept_answer(now, &answer.sdp);
        if let Err(rtc::RtcError::NotOffered) = accepted {
            log::debug!("an answer that nobody waits for was skipped");
        } else if let Err(error) = accepted {
            log::warn!("the server's answer could not be used: {error:?}");
            peers.outputs.push_back(WiresOutput::Failed("the server's answer could not be used"));
        }
        peers.drive(now);
    }

    pub fn trickled(&mut self, now: Instant, trickle: &TrickleRequest) {
        let Self::Peers(peers) = self else { return };
        let Some(line) = rtc::candidate_line(&trickle.candidate_init) else { return };
        let side = match trickle.target() {
            SignalTarget::Publisher => &mut peers.publisher,
            SignalTarget::Subscriber => &mut peers.subscriber,
        };
        match side {
            Some(side) => {
                if let Err(error) = side.peer.add_remote_candidate(now, &line) {
                    log::debug!("a candidate of the server was skipped: {error:?}");
                }
            }
            // LiveKit sends a handful; a server that sends more before its offer is not listened to.
            None if peers.early_candidates.len() < 64 => peers.early_candidates.push(trickle.clone()),
            None => {}
        }
        peers.drive(now);
    }

    pub fn handle_datagram(&mut self, now: Instant, datagram: Datagram) {
        let Self::Peers(peers) = self else { return };
        let Some(local) = &peers.local else { return };
        let side = match &datagram.local {
            address if local.publisher.contains(address) => &mut peers.publisher,
            address if local.subscriber.contains(address) => &mut peers.subscriber,
            _ => return,
        };
        if let Some(side) = side {
            side.peer.handle_datagram(now, datagram);
        }
        peers.drive(now);
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        let Self::Peers(peers) = self else { return };
        for side in [&mut peers.subscriber, &mut peers.publisher].into_iter().flatten() {
            if side.peer.poll_timeout().is_some_and(|at| now >= at) {
                side.peer.handle_timeout(now);
            }
        }
        peers.drive(now);
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        let Self::Peers(peers) = self else { return None };
        [&peers.subscriber, &peers.publisher]
            .into_iter()
            .flatten()
            .filter_map(|side| side.peer.poll_timeout())
            .min()
    }

    pub fn poll(&mut self) -> Option<WiresOutput> {
        match self {
            Self::Inline => None,
            Self::Peers(peers) => peers.outputs.pop_front(),
        }
    }

    /// What a resumed session tells the server: what it believes was agreed.
    pub fn sync_state(&self) -> Option<SyncState> {
        let Self::Peers(peers) = self else { return None };
        let channels =
            [(&peers.publisher, SignalTarget::Publisher), (&peers.subscriber, SignalTarget::Subscriber)];
        let channels =
            channels.into_iter().filter(|(side, _)| side.as_ref().is_some_and(|side| side.is_open));
        let channels = channels.flat_map(|(_, target)| {
            [Channel::Reliable, Channel::Lossy].map(|channel| DataChannelInfo {
                label: channel.label().into(),
                target: target as i32,
                ..DataChannelInfo::default()
            })
        });
        Some(SyncState {
            answer: peers.subscriber.as_ref().map(|side| side.description.clone()),
            offer: peers.publisher.as_ref().map(|side| side.description.clone()),
            data_channels: channels.collect(),
            // livekit-server 1.11 dereferences it unasked; a message without it ends the whole server.
            subscription: Some(UpdateSubscription::default()),
            ..SyncState::default()
        })
    }

    /// The link is new, the network may be too: the publisher's peer connection looks for a path again. The server
    /// does the same for the subscriber's.
    pub fn restart(&mut self, now: Instant) {
        let Self::Peers(peers) = self else { return };
        if let Some(side) = &mut peers.publisher {
            match side.peer.restart_ice(now) {
                Ok(sdp) => {
                    side.description.sdp = sdp;
                    let offer = side.description.clone();
                    peers.outputs.push_back(WiresOutput::Request(Message::Offer(offer)));
                }
                Err(error) => {
                    log::debug!("a peer connection is made anew: {error:?}");
                    peers.publisher = None;
                    peers.wants_publisher = true;
                }
            }
        }
        peers.drive(now);
    }
}

impl Peers {
    fn offered(&mut self, now: Instant, offer: SessionDescription) {
        let Some(local) = &self.local else { return };
        let side = self.subscriber.get_or_insert_with(|| Side {
            peer: Peer::new(now, &local.subscriber),
            is_open: false,
            description: SessionDescription::default(),
        });
        match side.peer.accept_offer(now, &offer.sdp) {
            Ok(sdp) => {
                let mut answer = offer;
                answer.r#type = "answer".into();
                answer.sdp = sdp;
                side.description = answer.clone();
                self.outputs.push_back(WiresOutput::Request(Message::Answer(answer)));
            }
            Err(error) => {
                log::warn!("the server's offer could not be used: {error:?}");
                self.outputs.push_back(WiresOutput::Failed("the server's offer could not be used"));
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

    fn offer(&mut self, now: Instant) {
        let Some(local) = &self.local else { return };
        let mut peer = Peer::new(now, &local.publisher);
        match peer.offer(now) {
            Ok(sdp) => {
                let description =
                    SessionDescription { r#type: "offer".into(), sdp, ..SessionDescription::default() };
                self.outputs.push_back(WiresOutput::Request(Message::Offer(description.clone())));
                self.publisher = Some(Side { peer, is_open: false, description });
            }
            Err(error) => {
                log::warn!("no peer connection could be offered: {error:?}");
                self.outputs.push_back(WiresOutput::Failed("no peer connection could be offered"));
            }
        }
        self.add_early_candidates(now);
    }

    /// Takes out what the peer connections have to say, and puts in what waits for them.
    fn drive(&mut self, now: Instant) {
        if self.wants_publisher && self.publisher.is_none() {
            self.offer(now);
        }
        self.drain();
        if self.flush(now) {
            self.drain();
        }
    }

    fn drain(&mut self) {
        for side in [&mut self.subscriber, &mut self.publisher].into_iter().flatten() {
            while let Some(output) = side.peer.poll() {
                match output {
                    rtc::Output::Transmit(datagram) => {
                        self.outputs.push_back(WiresOutput::Transmit(datagram))
                    }
                    rtc::Output::Opened(Channel::Reliable) => side.is_open = true,
                    rtc::Output::Data(_, bytes) => match DataPacket::decode(bytes.as_slice()) {
                        Ok(packet) => self.outputs.push_back(WiresOutput::Packet(packet)),
                        Err(_) => log::debug!("a data packet was skipped: it is malformed"),
                    },
                    rtc::Output::Failed(text) => {
                        log::info!("a peer connection failed: {text}");
                        self.outputs.push_back(WiresOutput::Failed("the peer connection failed"));
                    }
                    rtc::Output::Opened(Channel::Lossy)
                    | rtc::Output::Connected
                    | rtc::Output::Disconnected => {}
                    rtc::Output::Packet(_)
                    | rtc::Output::Section(_)
                    | rtc::Output::KeyFrameRequested { .. }
                    | rtc::Output::Bitrate(_) => {}
                }
            }
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
            WiresOutput::Transmit(datagram) => self.push(Output::Transmit(datagram)),
            WiresOutput::Request(message) => self.request(message),
            WiresOutput::Packet(packet) => self.packet(now, &packet),
            WiresOutput::Failed(text) => match &self.state {
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
