//! What a peer knows of its connection, and what it has to say: all that a drain of str0m writes to.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use str0m::bwe::{Bitrate, BweKind};
use str0m::media::{Mid, Rid};
use str0m::{Event, Rtc};

use super::channel::{Channels, Opening};
use super::congestion::{Congestion, RESTART_BPS, Verdict};
use super::engine::Found;
use super::link::Link;
use super::reports::Traffic;
use super::sections::Sections;
use super::{Layer, Output, Section, packets, peer_media};

/// How long after a message its acknowledgement and repetition are still looked after closely. A repetition that is due
/// later than this was pushed back for seconds already.
const TALK_TIME: Duration = Duration::from_secs(3);

/// Both sides check the path every 3 s; hearing nothing for longer means that something was lost.
const HEARD_INTERVAL_MAX: Duration = Duration::from_millis(3_500);

/// How often the network is asked whether it carries more. A question takes a few packets of padding.
const PROBE_INTERVAL: Duration = Duration::from_secs(2);

/// How much more than is wished for is asked: a probe finds about a tenth less than it was sent with.
const ASKED_MARGIN: f64 = 1.2;

/// By how much more is told at once, and how often. Every layer of a camera begins with a key frame, and all of them
/// together with that of the largest one would fill the queue of a network that just carries them; and an estimate that
/// is lowered while little was sent is lowered to that little.
const RAISE_STEP: f64 = 1.5;
const RAISE_INTERVAL: Duration = Duration::from_millis(500);

/// Until what is told has been used for a while, padding fills it up: it shows whether the network carries what a probe
/// of a few packets found.
const PADDED_AFTER: Duration = Duration::from_millis(2_000);

/// What this machine carries to itself: more than anything here sends. What is late on that way is late for want of a
/// processor, and the estimate is not asked.
const NEAR_BPS: Bitrate = Bitrate::mbps(100);

pub(super) struct State {
    /// The latest moment that a call has named.
    pub now: Instant,
    /// When str0m was last told the time.
    pub told: Instant,
    /// When a message last came or went.
    pub talked: Instant,
    pub link: Link,
    /// The other side has said farewell.
    pub closed: bool,
    pub channels: Channels,
    pub sections: Sections,
    /// The last estimate that was told, and whether it is one of our own.
    bitrate: Option<(u64, bool)>,
    congestion: Congestion,
    /// When the estimate that is told last grew by a whole step.
    raised: Option<Instant>,
    /// What would be sent if the network allowed it.
    pub desired_bps: u64,
    /// What str0m was last told: how much is to be sent at least, with padding, and how much would be.
    pub demand: (u64, u64),
    /// When the network was last asked whether it carries more than is estimated.
    probed: Option<Instant>,
    /// Of the path, as the checks of ICE measure it.
    pub round_trip: Option<Duration>,
    pub traffic: Traffic,
    /// The connection has been up.
    pub was_up: bool,
    pub outputs: VecDeque<Output>,
}

impl State {
    pub fn new(now: Instant) -> Self {
        Self {
            now,
            told: now,
            talked: now,
            link: Link::Unnegotiated,
            closed: false,
            channels: Channels::default(),
            sections: Sections::default(),
            bitrate: None,
            congestion: Congestion::default(),
            raised: None,
            desired_bps: 0,
            demand: (0, 0),
            probed: None,
            round_trip: None,
            traffic: Traffic::default(),
            was_up: false,
            outputs: VecDeque::new(),
        }
    }

    /// Nothing is under way and nothing is amiss: no media, no message whose arrival is in doubt, and the other side is
    /// heard as often as it should be.
    pub fn is_quiet(&self) -> bool {
        let is_heard = match self.link {
            Link::Connected { heard } => self.now < heard + HEARD_INTERVAL_MAX,
            Link::Unnegotiated | Link::Connecting { .. } | Link::Lost { .. } | Link::Over => false,
        };
        is_heard && self.now >= self.talked + TALK_TIME && !self.sections.is_live()
    }

    /// Something came out of str0m, which may be changed in return.
    pub fn take(&mut self, rtc: &mut Rtc, found: Found) {
        match found {
            Found::Transmit(datagram) => {
                self.traffic.sent(&datagram);
                self.outputs.push_back(Output::Transmit(datagram));
            }
            Found::Event(Event::Connected | Event::IceConnectionStateChange(_)) => {
                if matches!(self.link, Link::Connecting { .. }) && rtc.is_connected() {
                    self.link.up(self.now);
                    self.was_up = true;
                    self.outputs.push_back(Output::Connected);
                }
            }
            Found::Event(Event::ChannelOpen(id, label)) => match self.channels.opened(id, &label) {
                Opening::Ours(channel) => self.outputs.push_back(Output::Opened(channel)),
                Opening::Ignored => log::debug!("rtc: a data channel with a label that is not used here"),
                Opening::Refused => rtc.direct_api().close_data_channel(id),
            },
            Found::Event(Event::ChannelData(message)) => {
                self.talked = self.now;
                if let Some(channel) = self.channels.channel(message.id) {
                    self.outputs.push_back(Output::Data(channel, message.data));
                }
            }
            Found::Event(Event::ChannelClose(id)) => self.channels.closed(id),
            Found::Event(Event::Closed) => self.closed = true,
            Found::Event(event) => self.take_media(rtc, event),
        }
    }

    fn take_media(&mut self, rtc: &mut Rtc, event: Event) {
        match event {
            Event::RtpPacket(packet) => {
                if let Some(packet) = packets::received(rtc, &mut self.sections, packet) {
                    self.outputs.push_back(Output::Packet(Box::new(packet)));
                }
            }
            Event::KeyframeRequest(request) => {
                if let Some((section, layer)) = self.place(request.mid, request.rid) {
                    self.outputs.push_back(Output::KeyFrameRequested { section, layer });
                }
            }
            Event::EgressBitrateEstimate(BweKind::Twcc { estimate, can_probe: true })
                if !self.estimates() && !self.traffic.stays_here() =>
            {
                self.estimated(estimate.as_u64(), true);
            }
            Event::EgressBitrateEstimate(BweKind::Remb { estimate, .. }) => {
                self.estimated(estimate.as_u64(), false);
            }
            Event::PeerStats(stats) => {
                let pair = stats.selected_candidate_pair.as_ref();
                match stats.bwe_tx {
                    Some(estimate) if self.traffic.stays_here() => self.carry(rtc, estimate),
                    Some(estimate) if self.estimates() => {
                        self.judge(rtc, estimate.as_u64(), stats.rtt, stats.egress_loss_fraction);
                    }
                    _ => {}
                }
                self.round_trip = pair.and_then(|pair| pair.current_round_trip_time).or(self.round_trip);
                if let Some(pair) = pair {
                    self.traffic.take_checks(pair);
                }
            }
            Event::MediaEgressStats(stats) => {
                let Some((section, layer)) = self.place(stats.mid, stats.rid) else { return };
                let outgoing = self.sections.outgoing_mut(section);
                if let Some(stream) = outgoing.and_then(|outgoing| outgoing.stream_mut(layer)) {
                    stream.counters.take_egress(&stats);
                }
            }
            Event::MediaIngressStats(stats) => {
                let Some((section, layer)) = self.place(stats.mid, stats.rid) else { return };
                let Some(incoming) = self.sections.incoming_mut(section) else { return };
                if let Some(stream) = incoming.streams.iter_mut().find(|stream| stream.layer == layer) {
                    stream.counters.take_ingress(&stats);
                }
            }
            _ => {}
        }
    }

    /// The estimate is one of our own.
    pub fn estimates(&self) -> bool {
        matches!(self.bitrate, Some((_, true)))
    }

    fn place(&self, mid: Mid, rid: Option<Rid>) -> Option<(Section, Option<Layer>)> {
        Some((self.sections.by_mid(mid)?, rid.map(Layer::from_rid)))
    }

    /// The estimate of this moment, and what speaks for and against it.
    fn judge(&mut self, rtc: &mut Rtc, estimate_bps: u64, round_trip: Option<Duration>, loss: Option<f32>) {
        match self.congestion.hear(self.now, round_trip, loss, estimate_bps) {
            Verdict::Believe => {
                let steady = self.steadied(estimate_bps);
                self.estimated(steady, true);
                self.demand(rtc, estimate_bps);
            }
            Verdict::BreakIn => {
                for stream in self.sections.outgoing().flat_map(|(_, _, outgoing)| &outgoing.streams) {
                    peer_media::forget_sent(rtc, stream.ssrc);
                }
                self.estimated(RESTART_BPS, true);
            }
            Verdict::Wait => {}
            Verdict::Restart => rtc.bwe().reset(Bitrate::bps(RESTART_BPS)),
        }
    }

    /// There is no network that could be too narrow.
    fn carry(&mut self, rtc: &mut Rtc, estimate: Bitrate) {
        if estimate < NEAR_BPS {
            rtc.bwe().reset(NEAR_BPS);
        }
        if self.estimates() {
            self.estimated(NEAR_BPS.as_u64(), true);
        }
    }

    /// A probe may find ten times as much from one moment to the next. It grows step by step.
    fn steadied(&mut self, estimate_bps: u64) -> u64 {
        let told = self.bitrate.map_or(estimate_bps, |(told, _)| told);
        let step = (told as f64 * RAISE_STEP) as u64;
        if estimate_bps <= step {
            return estimate_bps;
        }
        let is_time =
            self.raised.is_none_or(|raised| self.now.saturating_duration_since(raised) >= RAISE_INTERVAL);
        if is_time {
            self.raised = Some(self.now);
        }
        if is_time { step } else { told }
    }

    /// Has the network asked whether it carries more, where more is wanted: str0m does so when it hears of a larger
    /// wish. And has padding sent while what is told grows.
    fn demand(&mut self, rtc: &mut Rtc, estimate_bps: u64) {
        let asked_bps = self.asked_bps();
        // The wish is one bit larger, or again as it was: either is news.
        let mut is_larger = self.demand.1 > asked_bps;
        let is_time = |at| self.now.saturating_duration_since(at) >= PROBE_INTERVAL / 2;
        if self.probed.is_none_or(|at| is_time(at) && estimate_bps < self.desired_bps) {
            self.probed = Some(self.now);
            is_larger = !is_larger;
        }
        let is_rising =
            self.raised.is_some_and(|raised| self.now.saturating_duration_since(raised) < PADDED_AFTER);
        let padded_bps =
            if is_rising { self.bitrate.map_or(0, |(told, _)| told.min(self.desired_bps)) } else { 0 };
        let demand = (padded_bps, asked_bps + u64::from(is_larger));
        if std::mem::replace(&mut self.demand, demand) != demand {
            rtc.bwe().set_bitrate(Bitrate::bps(demand.0), Bitrate::bps(demand.1));
        }
    }

    /// What the network is probed for.
    pub fn asked_bps(&self) -> u64 {
        (self.desired_bps as f64 * ASKED_MARGIN) as u64
    }

    /// What was told last.
    pub fn estimate_bps(&self) -> Option<u64> {
        self.bitrate.map(|(bits_per_second, _)| bits_per_second)
    }

    /// What the other side estimates counts only as long as we cannot estimate ourselves.
    fn estimated(&mut self, bits_per_second: u64, is_own: bool) {
        let is_news = match self.bitrate {
            Some((_, true)) if !is_own => false,
            Some((last, _)) => last != bits_per_second,
            None => true,
        };
        if is_news {
            self.bitrate = Some((bits_per_second, is_own));
            self.outputs.push_back(Output::Bitrate(bits_per_second));
        }
    }

    /// Something arrived over a path that str0m holds for good. A lost connection is back then.
    pub fn heard(&mut self, now: Instant) {
        self.now = now.max(self.now);
        self.link.heard(now);
        if matches!(self.link, Link::Lost { .. }) && self.link.up(now) {
            self.outputs.push_back(Output::Connected);
        }
    }
}
