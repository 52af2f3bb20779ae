//! One peer connection: what the WebRTC standard calls an `RTCPeerConnection`, without its sockets and its clock.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::channel::ChannelId;
use str0m::error::{ProtoError, SctpError};
use str0m::net::Protocol;
use str0m::{Candidate, IceCreds, Input, Rtc};

use super::candidate;
use super::channel::{Channel, Channels};
use super::description::take_candidates;
use super::engine::{self, Deadline, Engine, SEND_BUFFER_SIZE, Stopped};
use super::link::{Expiry, Link};
use super::peer_media::{Proposal, propose};
use super::peer_streams::Streams;
use super::relay::{Relay, RelayPath};
use super::reports::RemoteKinds;
use super::sections::{Offered, Sections};
use super::state::State;
use super::{Datagram, Output, RtcError, SendError};

/// How much of the send buffer lossy messages may fill, so that a backlog of them never holds up a reliable one.
const LOSSY_BUFFER_SIZE: usize = SEND_BUFFER_SIZE / 4;

/// How often a quiet connection is looked after. Nothing in it waits for less: ICE checks the path every 3 s.
const QUIET_INTERVAL: Duration = Duration::from_secs(1);

/// How many candidates of the other side are looked at per ICE generation. A machine with many interfaces has a dozen;
/// each further one would only be another address that a stranger makes us send to.
const CANDIDATES_MAX: usize = 64;

/// How long the side that answers leaves the first check of a path to the other side, which decides on the path. ICE in
/// pion, and so in LiveKit, decides when it hears of a path that it has checked itself already; when it has heard before, it
/// only looks again 200 ms later. A check that comes in is answered, and returned, all the same.
const HEAD_START: Duration = Duration::from_millis(20);

/// One peer connection.
///
/// Call [`Peer::poll`] until `None` after each call that takes `&mut self`, and [`Peer::handle_timeout`] at
/// [`Peer::poll_timeout`]. Time never comes from anywhere but the `now` of a call.
pub struct Peer {
    pub(super) engine: Engine,
    pub(super) state: State,
    /// Our last offer, until its answer comes.
    pub(super) pending: Option<Pending>,
    /// Candidates that came before the description they belong to, or in the other side's head start.
    early: Vec<Candidate>,
    yields: bool,
    /// The end of the head start.
    yields_until: Option<Instant>,
    candidates: usize,
    pub(super) remote: RemoteKinds,
    pub(super) described: bool,
    pub(super) local: Vec<String>,
    pub(super) relays: Vec<Relay>,
    pub(super) streams: Streams,
    /// There is no way but through them.
    pub(super) is_relayed_only: bool,
    /// More of them may come.
    pub(super) awaits_relays: bool,
    /// Descriptions do not name addresses of the local network.
    pub(super) hides_local_network: bool,
}

pub(super) struct Pending {
    token: SdpPendingOffer,
    offer: String,
    restarts_ice: bool,
    /// What it says of our sections.
    offered: Vec<Offered>,
}

impl Peer {
    /// A peer that can be reached at these addresses of our sockets; those that cannot be anybody's are skipped.
    ///
    /// Where all of them are this machine's own, and where the other end in use is, the bandwidth is not estimated: there is
    /// no network that could be too narrow, and on a busy machine packets that are late for want of a processor would look
    /// like one.
    pub fn new(now: Instant, local: &[SocketAddr]) -> Self {
        Self::taking_streams(now, local, &[])
    }

    /// A peer that can be reached through these relays and at no address of this machine. Where none of them can be had
    /// it fails.
    pub fn relayed(now: Instant, paths: &[RelayPath]) -> Self {
        let is_networked = paths.iter().any(|path| !path.server.ip().is_loopback());
        let mut peer = Self::unreachable(now, is_networked);
        peer.is_relayed_only = true;
        peer.add_relays(now, paths);
        peer.advance(now);
        peer
    }

    pub(super) fn unreachable(now: Instant, is_networked: bool) -> Self {
        let mut peer = Self {
            engine: Engine::stopped(),
            state: State::new(now),
            pending: None,
            early: Vec::new(),
            yields: false,
            yields_until: None,
            candidates: 0,
            remote: RemoteKinds::default(),
            described: false,
            local: Vec::new(),
            relays: Vec::new(),
            streams: Streams::default(),
            is_relayed_only: false,
            awaits_relays: false,
            hides_local_network: false,
        };
        match Engine::new(now, is_networked) {
            Ok(engine) => peer.engine = engine,
            Err(stopped) => peer.fail(stopped),
        }
        peer
    }

    /// Leaves the other side a head start, where it is pion. str0m sends its first DTLS record right behind its decision,
    /// and that record would come before this side's own check has succeeded: it would be lost for a second.
    pub fn yields_first_check(mut self) -> Self {
        self.yields = true;
        self
    }

    /// An offer: the first one has both data channels, and each has what [`Peer::needs_offer`] speaks of. Called again
    /// before the answer came, it is the same offer; what has changed since waits for the next one.
    pub fn offer(&mut self, now: Instant) -> Result<String, RtcError> {
        if self.state.link == Link::Over {
            return Err(RtcError::Over);
        }
        if let Some(pending) = &self.pending {
            return Ok(pending.offer.clone());
        }
        if self.described && !self.needs_offer() {
            return Err(RtcError::NothingToOffer);
        }
        self.make_offer(now, false)
    }

    /// An offer with new ICE credentials. The channels and what is under way on them survive. Before anything was
    /// agreed on this is a plain [`Peer::offer`].
    pub fn restart_ice(&mut self, now: Instant) -> Result<String, RtcError> {
        if !self.described {
            return self.offer(now);
        }
        self.make_offer(now, true)
    }

    fn make_offer(&mut self, now: Instant, restarts_ice: bool) -> Result<String, RtcError> {
        self.advance(now);
        self.withdraw();
        let changes = self.state.sections.changes();
        let opens_channels = !self.described;
        let made = self.drive(|rtc| {
            propose(rtc, changes, |api| {
                if restarts_ice {
                    api.ice_restart(true);
                }
                if opens_channels {
                    for channel in Channel::ALL {
                        api.add_channel_with_config(channel.config());
                    }
                }
            })
        });
        let made = made.ok_or(RtcError::Over)?.ok_or(RtcError::NothingToOffer)?;
        let Proposal { offer, token, offered } = made;
        let offer = self.without_hidden(self.with_sendings(&offer.to_sdp_string(), &offered));
        self.state.sections.offered(&offered);
        self.pending = Some(Pending { token, offer: offer.clone(), restarts_ice, offered });
        Ok(offer)
    }

    /// The own offer that waits for its answer is void. What it was to change is still wanted.
    fn withdraw(&mut self) {
        self.pending = None;
        self.state.sections.withdrawn();
    }

    /// The answer to an offer of the other side: its first one, a later one, or an ICE restart. Media sections on which
    /// it sends are accepted as well. An own offer that waits for its answer is withdrawn; [`Peer::needs_offer`] tells
    /// whether it has to be made again.
    ///
    /// When this fails the agreement from before still stands, except that a description which contradicts it may end
    /// the connection; [`Output::Failed`] says so then.
    pub fn accept_offer(&mut self, now: Instant, sdp: &str) -> Result<String, RtcError> {
        let (sdp, candidates) = take_candidates(sdp)?;
        let sdp = self.one_way(&sdp, &[]);
        self.advance(now);
        self.withdraw();
        let credentials = self.credentials();
        let answer = self.drive(|rtc| {
            let offer = SdpOffer::from_sdp_string(&sdp).map_err(malformed)?;
            let answer = rtc.sdp_api().accept_offer(offer).map_err(malformed)?;
            Ok(answer.to_sdp_string())
        });
        let answer = answer.ok_or(RtcError::Over)??;
        self.agree_on_media(&sdp);
        self.agreed(now, credentials, candidates, true);
        Ok(self.without_hidden(self.with_wishes(&answer, &sdp)))
    }

    /// The other side's answer to [`Peer::offer`] or [`Peer::restart_ice`].
    ///
    /// Text that is no description leaves the offer as it was; a description that does not fit the offer ends it.
    pub fn accept_answer(&mut self, now: Instant, sdp: &str) -> Result<(), RtcError> {
        let (sdp, candidates) = take_candidates(sdp)?;
        self.advance(now);
        let offered = self.pending.as_ref().map_or(&[][..], |pending| &pending.offered);
        let sdp = self.one_way(&sdp, offered);
        if self.pending.is_none() && self.state.link != Link::Over {
            return Err(RtcError::NotOffered);
        }
        let parsed = self.drive(|_| SdpAnswer::from_sdp_string(&sdp).map_err(malformed));
        let answer = parsed.ok_or(RtcError::Over)??;
        let Pending { token, offered, .. } = self.pending.take().ok_or(RtcError::NotOffered)?;
        let credentials = self.credentials();
        let accepted = self.drive(|rtc| rtc.sdp_api().accept_answer(token, answer).map_err(malformed));
        if !matches!(accepted, Some(Ok(()))) {
            self.state.sections.withdrawn();
        }
        accepted.ok_or(RtcError::Over)??;
        self.state.sections.answered(&offered);
        self.agree_on_media(&sdp);
        self.agreed(now, credentials, candidates, false);
        Ok(())
    }

    /// Both descriptions are known, for the first time or again; `before` are our ICE credentials until now.
    fn agreed(
        &mut self,
        now: Instant,
        before: Option<IceCreds>,
        candidates: Vec<Candidate>,
        has_answered: bool,
    ) {
        let restarted = before != self.credentials();
        let is_first = !self.described;
        self.described = true;
        self.state.link.negotiated(now, restarted);
        if restarted {
            self.candidates = 0;
            self.remote = RemoteKinds::default();
            self.close_streams();
        }
        self.early.extend(candidates);
        self.early.truncate(CANDIDATES_MAX);
        if is_first || restarted {
            self.yields_until = (has_answered && self.yields).then(|| now + HEAD_START);
        }
        if self.yields_until.is_none() {
            self.take_early();
        }
        self.advance(now);
    }

    fn take_early(&mut self) {
        self.yields_until = None;
        for candidate in std::mem::take(&mut self.early) {
            self.add_remote(candidate);
        }
    }

    fn credentials(&mut self) -> Option<IceCreds> {
        self.drive(|rtc| rtc.direct_api().local_ice_credentials())
    }

    /// The candidate lines of our addresses, as trickle ICE sends them. Our descriptions carry them too.
    pub fn local_candidates(&self) -> Vec<String> {
        self.local.clone()
    }

    /// A candidate of the other side, with or without `a=`. One that cannot be used (a `.local` name, an unknown kind) is
    /// skipped; one that comes before its description waits for it.
    pub fn add_remote_candidate(&mut self, now: Instant, line: &str) -> Result<(), RtcError> {
        let Some(candidate) = candidate::read(line)? else {
            return Ok(());
        };
        let restarting = self.pending.as_ref().is_some_and(|pending| pending.restarts_ice);
        if self.described && !restarting && self.yields_until.is_none() {
            self.add_remote(candidate);
            self.advance(now);
        } else if self.early.len() < CANDIDATES_MAX {
            self.early.push(candidate);
        }
        Ok(())
    }

    fn add_remote(&mut self, candidate: Candidate) {
        if candidate.proto() == Protocol::Tcp {
            self.add_stream_end(candidate);
        } else if self.candidates < CANDIDATES_MAX {
            self.candidates += 1;
            self.remote.add(candidate.addr(), candidate.kind().into());
            self.drive(|rtc| rtc.add_remote_candidate(candidate));
        }
    }

    /// Whether the datagram is for this peer, where several share a socket.
    pub fn accepts(&self, datagram: &Datagram) -> bool {
        let accepted = self.engine.look(|rtc| {
            // The moment plays no part in the decision.
            let protocol = self.streams.protocol(datagram.local);
            engine::input(self.state.now, protocol, datagram).is_some_and(|input| rtc.accepts(&input))
        });
        accepted.unwrap_or(false)
    }

    /// A datagram came. One that is not for this peer, or is garbage, changes nothing.
    pub fn handle_datagram(&mut self, now: Instant, datagram: Datagram) {
        match self.relays.iter_mut().find(|relay| relay.base() == datagram.local) {
            Some(relay) => {
                relay.handle_datagram(now, datagram);
                self.take_relays(now);
            }
            None => self.hear(now, datagram),
        }
    }

    pub(super) fn hear(&mut self, now: Instant, datagram: Datagram) {
        let protocol = self.streams.protocol(datagram.local);
        let heard = self.drive(|rtc| engine::hear(rtc, now, protocol, &datagram));
        if heard == Some(true) && self.engine.look(Rtc::is_connected) == Some(true) {
            self.state.heard(now);
            self.state.traffic.received(&datagram);
        }
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        if self.yields_until.is_some_and(|until| now >= until) {
            self.take_early();
        }
        self.relays_timeout(now);
        self.streams_timeout(now);
        self.advance(now);
        match self.state.link.expired(now) {
            Some(Expiry::Silent | Expiry::Searching) => {
                self.state.link.down(now);
                self.state.outputs.push_back(Output::Disconnected);
            }
            Some(Expiry::NeverConnected) => {
                self.fail(Stopped("the connection did not come up in time".into()))
            }
            Some(Expiry::NeverRecovered) => self.fail(Stopped("the connection was lost".into())),
            None => {}
        }
    }

    /// The next thing to do or to know.
    pub fn poll(&mut self) -> Option<Output> {
        let output = self.poll_through_relays();
        if output.is_none() && self.state.is_quiet() {
            // There may be many such peers, and what a busier time needed is a kilobyte in each.
            self.state.outputs = VecDeque::new();
        }
        output
    }

    /// When [`Peer::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let link = self.state.link.deadline();
        let own = [self.engine_deadline(), link, self.yields_until, self.streams_deadline()];
        own.into_iter().chain(self.relays.iter().map(Relay::poll_timeout)).flatten().min()
    }

    /// When str0m wants to know the time. Its pacer and estimator want to every 25 to 40 ms, even where there is no
    /// media, and hide what else there is to wait for. In a quiet connection that is nothing urgent.
    fn engine_deadline(&self) -> Option<Instant> {
        let Deadline { at, is_for_media } = self.engine.deadline()?;
        let is_quiet = is_for_media && self.state.is_quiet();
        Some(if is_quiet { at.max(self.state.told + QUIET_INTERVAL) } else { at })
    }

    /// Sends a message on a channel. Success means that it was taken, not that it arrived.
    pub fn send(&mut self, now: Instant, channel: Channel, bytes: &[u8]) -> Result<(), SendError> {
        if bytes.is_empty() {
            return Err(SendError::Empty);
        }
        if bytes.len() > limit(channel) {
            return Err(SendError::TooLarge);
        }
        let id = self.state.channels.id(channel).ok_or(SendError::NotOpen)?;
        self.advance(now);
        self.state.talked = self.state.now;
        self.drive(|rtc| write(rtc, id, channel, bytes)).unwrap_or(Err(SendError::NotOpen))
    }

    /// Bytes of messages that the other side has not acknowledged yet, on both channels.
    pub fn buffered(&mut self) -> usize {
        let ids = Channel::ALL.map(|channel| self.state.channels.id(channel));
        let asked = self.drive(|rtc| {
            ids.into_iter().flatten().filter_map(|id| Some(rtc.channel(id)?.buffered_amount())).sum()
        });
        asked.unwrap_or(0)
    }

    pub fn is_connected(&self) -> bool {
        matches!(self.state.link, Link::Connected { .. })
    }

    /// When something came from the other side last, while the connection is up.
    pub fn heard_at(&self) -> Option<Instant> {
        self.state.link.heard_at()
    }

    /// Ends the connection. The farewell is left to [`Peer::poll`]; nothing but datagrams and the end of streams comes out
    /// after this.
    pub fn close(&mut self, now: Instant) {
        self.advance(now);
        if self.state.link == Link::Over {
            return;
        }
        self.drive(|rtc| {
            if let Err(error) = rtc.close() {
                log::debug!("rtc: no orderly farewell: {error}");
            }
        });
        self.end();
        let is_farewell = |output: &Output| matches!(output, Output::Transmit(_) | Output::CloseStream(_));
        self.state.outputs.retain(is_farewell);
    }

    /// Tells str0m the time.
    pub(super) fn advance(&mut self, now: Instant) {
        self.state.now = now.max(self.state.now);
        self.state.told = self.state.now;
        self.drive(|rtc| {
            if let Err(error) = rtc.handle_input(Input::Timeout(now)) {
                log::debug!("rtc: {error}");
            }
        });
    }

    /// Changes str0m, drains it, and sees what became of the connection. `None` when it is over.
    pub(super) fn drive<T>(&mut self, change: impl FnOnce(&mut Rtc) -> T) -> Option<T> {
        let Self { engine, state, .. } = self;
        if state.link == Link::Over {
            return None;
        }
        let driven = engine.drive(&mut |rtc: &mut Rtc, found| state.take(rtc, found), change);
        if state.closed {
            self.fail(Stopped("the other side closed the connection".into()));
            return None;
        }
        match driven {
            Ok(changed) => Some(changed),
            Err(stopped) => {
                self.fail(stopped);
                None
            }
        }
    }

    pub(super) fn fail(&mut self, stopped: Stopped) {
        if self.state.link != Link::Over {
            self.end();
            self.state.outputs.push_back(Output::Failed(stopped.0));
        }
    }

    fn end(&mut self) {
        self.engine.stop();
        self.close_relays();
        self.state.link = Link::Over;
        self.close_streams();
        self.state.channels = Channels::default();
        self.state.sections = Sections::default();
        self.pending = None;
        self.early = Vec::new();
        self.yields_until = None;
    }
}

/// How large a message can be at all.
fn limit(channel: Channel) -> usize {
    match channel {
        Channel::Reliable => SEND_BUFFER_SIZE,
        Channel::Lossy => LOSSY_BUFFER_SIZE,
    }
}

fn write(rtc: &mut Rtc, id: ChannelId, channel: Channel, bytes: &[u8]) -> Result<(), SendError> {
    let mut writer = rtc.channel(id).ok_or(SendError::NotOpen)?;
    if channel == Channel::Lossy && writer.buffered_amount() + bytes.len() > LOSSY_BUFFER_SIZE {
        return Err(SendError::Full);
    }
    match writer.write(true, bytes) {
        Ok(true) => Ok(()),
        Ok(false) => Err(SendError::Full),
        Err(str0m::RtcError::Sctp(SctpError::Proto(ProtoError::ErrOutboundPacketTooLarge))) => {
            Err(SendError::TooLarge)
        }
        Err(error) => {
            log::debug!("rtc: a message was not taken: {error}");
            Err(SendError::NotOpen)
        }
    }
}

fn malformed(error: impl std::fmt::Display) -> RtcError {
    RtcError::Malformed(error.to_string())
}

#[cfg(test)]
mod tests {
    use str0m::channel::ChannelConfig;

    use super::*;
    use crate::rtc::simulation::{ALICE, BOB, Network};

    fn open_channel(network: &mut Network, label: &str) {
        let config = ChannelConfig { label: label.into(), ..Default::default() };
        network.peers[ALICE].drive(|rtc| rtc.direct_api().create_data_channel(config));
        let now = network.now;
        network.peers[ALICE].advance(now);
        network.pass(Duration::from_millis(500));
    }

    #[test]
    fn channels_with_other_labels_are_harmless_and_bounded() {
        let mut network = Network::connected(30);
        let said = network.said[BOB].len();
        for number in 0..40 {
            open_channel(&mut network, &format!("_data_track{number}"));
        }
        network.pass(Duration::from_secs(5));
        assert_eq!(network.peers[BOB].state.channels.strangers(), 8);
        assert_eq!(network.said[BOB].len(), said, "{:?}", network.said[BOB]);
        for peer in [ALICE, BOB] {
            assert_eq!(network.peers[peer].send(network.now, Channel::Reliable, b"still here"), Ok(()));
        }
        network.run(Duration::from_secs(5), |network| {
            [ALICE, BOB].iter().all(|peer| network.messages(*peer, Channel::Reliable).len() == 1)
        });
    }

    #[test]
    fn messages_on_a_channel_with_another_label_are_not_mistaken_for_ours() {
        let mut network = Network::connected(31);
        open_channel(&mut network, "_data_track");
        let peer = &mut network.peers[ALICE];
        // The third channel that this side opened: both of ours came first.
        let stranger = peer.drive(|rtc| {
            let config = ChannelConfig { label: "x".into(), ..Default::default() };
            rtc.direct_api().create_data_channel(config)
        });
        peer.advance(network.now);
        network.pass(Duration::from_secs(1));
        let written = network.peers[ALICE].drive(|rtc| rtc.channel(stranger?)?.write(true, b"?").ok());
        assert_eq!(written, Some(Some(true)));
        network.pass(Duration::from_secs(1));
        for channel in Channel::ALL {
            assert_eq!(network.messages(BOB, channel).len(), 0);
        }
    }

    #[test]
    fn a_panic_of_the_engine_ends_that_peer_alone() {
        let mut network = Network::connected(32);
        let outcome: Option<()> = network.peers[ALICE].drive(|_| panic!("on purpose"));
        assert_eq!(outcome, None);
        let peer = &mut network.peers[ALICE];
        assert_eq!(peer.poll(), Some(Output::Failed("a defect in the WebRTC engine".into())));
        assert_eq!(peer.poll(), None);
        assert_eq!(peer.poll_timeout(), None);
        peer.handle_timeout(network.now);
        peer.close(network.now);
        assert_eq!(peer.offer(network.now), Err(RtcError::Over));
        assert_eq!(peer.poll(), None);
        assert!(network.peers[BOB].is_connected());
    }

    #[test]
    fn a_peer_may_move_to_another_thread() {
        fn assert_send<T: Send>() {}
        assert_send::<Peer>();
    }
}
