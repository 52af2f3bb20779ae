//! Subscribing: which tracks the server is asked for, which section carries which, and whose packets they are.
//!
//! Several subscribers may want the same stream; the server is asked once. Subscriptions outlive the server: after a
//! new join they are asked for again, and the program hears that its media was interrupted.

use std::time::Instant;

use super::core::{Core, Output, State};
use super::live::Live;
use super::media::{Format, Incoming, MediaFault, MediaReason, SubscriberEvent, SubscriptionId, Wants};
use super::publications::codec_above;
use super::subscriptions::{Refusal, Stage, Subscription, Subscriptions};
use super::wires::Way;
use super::{Event, Fault, Reason};
use crate::media::Rotation;
use crate::rtc::{Codec, PacketIn, SectionInfo};
use crate::signal::proto::{
    ConnectionQuality, ConnectionQualityUpdate, StreamState, StreamStateUpdate, SubscriptionError,
    SubscriptionPermissionUpdate, SubscriptionResponse,
};

impl Core {
    pub(super) fn subscribe(&mut self, now: Instant, id: SubscriptionId, stream_id: &str, wants: Wants) {
        let fault = |reason, text| {
            let event = SubscriberEvent::Failed(MediaFault::new(reason, text));
            Event::Subscriber { id, event }
        };
        let live = match &self.state {
            State::Connected(live) => live,
            State::Reconnecting(reconnecting) => &reconnecting.live,
            State::New | State::Joining(_) | State::Farewell(_) | State::Over => {
                let text = "the session is not connected";
                return self.say([fault(MediaReason::SessionDisconnected, text)]);
            }
        };
        if !live.capabilities.subscribe {
            let text = "the token does not allow to subscribe";
            return self.say([fault(MediaReason::NotPermitted, text)]);
        }
        let own = || self.publications.find_stream(live, stream_id);
        let Some(stream) = live.roster.find_stream(stream_id).cloned().or_else(own) else {
            let text = "the stream is not in the session";
            return self.say([fault(MediaReason::StreamNotFound, text)]);
        };
        let misses_secret = stream.is_sealed && !self.config.keyring.is_set();
        if misses_secret && !std::mem::replace(&mut self.subscriptions.has_missed_secret, true) {
            let text =
                "a stream is encrypted, and this client has no secret: otc_session_set_encryption_secret";
            self.say([Event::Warned(Fault::new(Reason::SecretMissing, text))]);
        }
        // What the program subscribes by may be of before: LiveKit's clients add their sound to a stream that is there.
        self.say_media(vec![Event::Subscriber { id, event: SubscriberEvent::Changed(stream.clone()) }]);
        self.subscriptions.add(Subscription::new(now, id, stream, wants));
        self.ask_for_subscriptions();
        self.subscriptions_settled();
    }

    pub(super) fn unsubscribe(&mut self, id: SubscriptionId) {
        self.subscriptions.all.retain(|subscription| subscription.id != id);
        self.ask_for_subscriptions();
    }

    pub(super) fn set_wants(&mut self, id: SubscriptionId, wants: Wants) {
        let Some(subscription) = self.subscriptions.find(id) else { return };
        subscription.wants = wants;
        let events = subscription.news();
        self.say_media(events);
        self.ask_for_subscriptions();
    }

    /// Tells the server what is wanted by now. While it cannot be told that waits.
    pub(super) fn ask_for_subscriptions(&mut self) {
        let State::Connected(live) = &self.state else { return };
        let requests = self.subscriptions.requests(live);
        requests.into_iter().for_each(|request| self.request(request));
    }

    fn subscriptions_settled(&mut self) {
        let can_receive = self.live().is_some_and(|live| live.wires.can_receive());
        let events = self.subscriptions.opened(can_receive);
        self.say_media(events);
    }

    pub(super) fn subscriptions_timeout(&mut self, now: Instant) {
        let is_late = |one: &Subscription| matches!(one.stage, Stage::Asked { deadline } if now >= deadline);
        self.fail_subscriptions(|one| is_late(one).then(|| one.lateness()));
    }

    /// Ends those for which there is a reason.
    fn fail_subscriptions(&mut self, why: impl Fn(&Subscription) -> Option<MediaFault>) {
        let mut events = Vec::new();
        self.subscriptions.all.retain(|one| {
            let fault = why(one);
            events.extend(fault.clone().map(|fault| one.event(SubscriberEvent::Failed(fault))));
            fault.is_none()
        });
        if !events.is_empty() {
            self.say_media(events);
            self.ask_for_subscriptions();
        }
    }

    /// A peer connection never came up, where signals need none.
    pub(super) fn media_failed(&mut self, way: Way, text: &'static str) {
        match way {
            Way::Publisher => self.publications_failed(text),
            Way::Subscriber => {
                let fault = MediaFault::new(MediaReason::PeerConnection, text);
                self.fail_subscriptions(|_| Some(fault.clone()));
                self.subscriptions.sections.clear();
            }
        }
    }

    /// The way of the server's media is up or down.
    pub(super) fn receiving_changed(&mut self, is_up: bool) {
        if is_up {
            self.subscriptions_settled();
        } else {
            let events = self.subscriptions.interrupt();
            self.say_media(events);
        }
    }

    /// An offer of the server says what a section carries.
    pub(super) fn section_changed(&mut self, info: SectionInfo) {
        let Subscriptions { tracks, sections, .. } = &mut self.subscriptions;
        // The track may be on another section by now: an offer names the end of one where its place is, not in order.
        if let Some(old) = sections.remove(&info.section)
            && let Some(track) = tracks.get_mut(&old).filter(|track| track.section == Some(info.section))
        {
            track.section = None;
        }
        if info.is_sending {
            // LiveKit names the track in the second word; older ones only in the first, after the participant.
            let named = info.stream_id.split('|').nth(1).filter(|word| word.starts_with("TR_"));
            let sid = match (tracks.contains_key(&info.track_id), named) {
                (false, Some(named)) if tracks.contains_key(named) => named.to_owned(),
                _ => info.track_id,
            };
            if let Some(track) = tracks.get_mut(&sid) {
                track.section = Some(info.section);
            }
            sections.insert(info.section, sid);
        }
        self.subscriptions_settled();
    }

    /// A packet of media goes to everybody who wants its track.
    pub(super) fn media_came(&mut self, packet: PacketIn) {
        if self.subscriptions.came(packet.section) {
            let events = self.subscriptions.news();
            self.say_media(events);
            self.subscriptions_settled();
        }
        let Some(sid) = self.subscriptions.sections.get(&packet.section) else { return };
        let format = match (packet.codec, codec_above(packet.codec)) {
            (_, Some(codec)) => Format::Video(codec),
            (Codec::Red, None) => Format::Red,
            (_, None) => Format::Opus,
        };
        let incoming = Incoming {
            format,
            source: packet.source,
            sequence: packet.sequence,
            timestamp: packet.timestamp,
            is_marked: packet.is_marked,
            payload: packet.payload,
            received: packet.received,
            rotation: match packet.rotation_degrees {
                Some(90) => Rotation::Quarter,
                Some(180) => Rotation::Half,
                Some(270) => Rotation::ThreeQuarters,
                _ => Rotation::None,
            },
            sender_report: packet.sender_report.map(|report| (report.wall_us, report.timestamp)),
            is_sealed: false,
        };
        // Nothing of a stream comes before its subscriber has heard that it is connected.
        let is_begun = |one: &&Subscription| !matches!(one.stage, Stage::Asked { .. });
        let wanting = self.subscriptions.all.iter().filter(is_begun).filter(|one| one.wants(sid));
        let outputs = wanting.map(|one| Output::Media {
            id: one.id,
            packet: Incoming { is_sealed: one.stream.is_sealed, ..incoming.clone() },
        });
        self.outputs.extend(outputs);
    }

    pub(super) fn need_key_frame(&mut self, now: Instant, id: SubscriptionId) {
        let Some(subscription) = self.subscriptions.find(id) else { return };
        let Some(sid) = subscription.stream.video_track.clone() else { return };
        let section = self.subscriptions.tracks.get(&sid).and_then(|track| track.section);
        if let (Some(section), Some(live)) = (section, self.live_mut()) {
            live.wires.request_key_frame(now, section);
        }
    }

    /// The roster has changed: streams have other tracks, or are switched on and off. Whoever hears of that, by `news` or as
    /// a subscriber, finds its subscribers with the streams as they are now.
    pub(super) fn streams_changed(&mut self, news: Vec<Event>) {
        let (changes, told) = self.follow_streams();
        self.say_media(changes);
        self.say_or_hold(news);
        self.say_media(told);
        self.ask_for_subscriptions();
    }

    /// Gives each subscription its stream as it is now, and what its subscriber hears of that.
    fn follow_streams(&mut self) -> (Vec<Event>, Vec<Event>) {
        let (mut changes, mut told) = (Vec::new(), Vec::new());
        let Self { state, subscriptions, publications, .. } = self;
        let live: &Live = match state {
            State::Connected(live) => live,
            State::Reconnecting(reconnecting) => &reconnecting.live,
            _ => return (changes, told),
        };
        if subscriptions.all.is_empty() {
            return (changes, told);
        }
        let (others, own) = (live.roster.streams(), publications.streams(live));
        for subscription in &mut subscriptions.all {
            let id = &subscription.stream.id;
            let own = || own.iter().find(|stream| stream.id == *id);
            let stream = others.get(id.as_str()).copied().or_else(own);
            let had_left = std::mem::replace(&mut subscription.has_left, stream.is_none());
            let Some(stream) = stream else {
                changes.extend((!had_left).then(|| subscription.event(SubscriberEvent::Left)));
                continue;
            };
            if *stream == subscription.stream && !had_left {
                continue;
            }
            subscription.stream = stream.clone();
            changes.push(subscription.event(SubscriberEvent::Changed(stream.clone())));
            told.extend(subscription.news());
        }
        (changes, told)
    }

    /// After a new join: the streams that are still there are asked for again.
    pub(super) fn resubscribe(&mut self) {
        self.streams_changed(vec![]);
        self.subscriptions_settled();
    }

    /// The server could not do what it was asked for.
    pub(super) fn subscription_refused(&mut self, response: &SubscriptionResponse) {
        let refusal = match response.err() {
            SubscriptionError::SeTrackNotfound => Refusal::NotFound,
            SubscriptionError::SeCodecUnsupported => Refusal::CodecUnsupported,
            SubscriptionError::SeUnknown => Refusal::Unknown,
        };
        let sid = &response.track_sid;
        // One that its publisher is about to publish again is asked for again then.
        let Some(live) = self.live() else { return };
        let waiting = self.subscriptions.all.iter().find(|one| one.has(sid));
        let returns = |id: &str| live.roster.is_missing(id) || self.publications.is_missing(id);
        if waiting.is_some_and(|one| returns(&one.stream.id)) {
            self.subscriptions.tracks.remove(sid);
            return;
        }
        if self.subscriptions.refuse(sid, refusal) {
            self.refusals_changed();
        }
    }

    /// A publisher does not let this client have a track, or does again. The server goes on trying meanwhile.
    pub(super) fn permission_changed(&mut self, now: Instant, update: &SubscriptionPermissionUpdate) {
        let is_news = match update.allowed {
            true => self.subscriptions.allow(now, &update.track_sid),
            false => self.subscriptions.refuse(&update.track_sid, Refusal::NotAllowed),
        };
        if is_news {
            self.refusals_changed();
        }
    }

    /// The rest of a stream comes without the tracks that do not.
    fn refusals_changed(&mut self) {
        self.fail_subscriptions(Subscription::failure);
        let events = self.subscriptions.news();
        self.say_media(events);
        self.subscriptions_settled();
    }

    /// The server has stopped a video that the way to this client cannot carry, or begun again.
    pub(super) fn stream_states_changed(&mut self, update: &StreamStateUpdate) {
        for info in &update.stream_states {
            for one in &mut self.subscriptions.all {
                if one.stream.video_track.as_ref() == Some(&info.track_sid) {
                    one.is_paused = info.state() == StreamState::Paused;
                    one.is_doubtful = false;
                }
            }
        }
        let events = self.subscriptions.news();
        self.say_media(events);
    }

    /// How good the ways of this client and of the others are.
    pub(super) fn qualities_changed(&mut self, update: &ConnectionQualityUpdate) {
        let Some(own) = self.live().map(|live| live.own.id.clone()) else { return };
        let mut events = Vec::new();
        for info in &update.updates {
            let quality = info.quality();
            for one in &mut self.subscriptions.all {
                if info.participant_sid == own && one.stream.has_video_track {
                    one.is_warned = matches!(quality, ConnectionQuality::Poor | ConnectionQuality::Lost);
                    events.extend(one.news());
                }
                if info.participant_sid == one.stream.connection.id && info.participant_sid != own {
                    one.is_publisher_lost = quality == ConnectionQuality::Lost;
                    if one.is_publisher_lost && one.stage == Stage::Connected {
                        one.stage = Stage::Interrupted;
                        events.push(one.event(SubscriberEvent::Disconnected));
                    }
                }
            }
        }
        self.say_media(events);
        self.subscriptions_settled();
    }
}
