//! Subscribing: which tracks the server is asked for, which section carries which, and whose packets they are.
//!
//! Several subscribers may want the same stream; the server is asked once. Subscriptions outlive the server: after a
//! new join they are asked for again, and the program hears that its media was interrupted.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::core::{Core, Output, State};
use super::event::Ending;
use super::live::Live;
use super::media::{
    Format, Incoming, MediaFault, MediaReason, SubscriberEvent, SubscriptionId, VideoReason, Wants,
};
use super::publications::codec_above;
use super::wires::Way;
use super::{Event, Fault, Reason, Stream};
use crate::media::{Kind, Rotation};
use crate::rtc::{Codec, PacketIn, Section, SectionInfo};
use crate::signal::proto::{
    ConnectionQuality, ConnectionQualityUpdate, ParticipantTracks, StreamState, StreamStateUpdate,
    SubscriptionError, SubscriptionResponse, UpdateSubscription, UpdateTrackSettings, VideoQuality,
    signal_request::Message,
};

/// How long the server may take until media can come. The platform that is mirrored waits about as long.
const SUBSCRIBE_TIMEOUT: Duration = Duration::from_secs(15);

/// All subscriptions of a session.
#[derive(Default)]
pub(super) struct Subscriptions {
    all: Vec<Subscription>,
    /// What the server is asked for, by the sids of tracks.
    tracks: HashMap<String, Track>,
    /// Which track a section of the subscriber's peer connection carries, by what the server's offers say.
    sections: HashMap<Section, String>,
    /// It was told that this client has no secret, and needs one.
    has_missed_secret: bool,
}

pub(super) struct Subscription {
    id: SubscriptionId,
    stream: Arc<Stream>,
    wants: Wants,
    stage: Stage,
    /// The publisher's link is lost, as the server says.
    is_publisher_lost: bool,
    is_paused: bool,
    is_warned: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Stage {
    Asked { deadline: Instant },
    Connected,
    Interrupted,
}

struct Track {
    section: Option<Section>,
    /// What holds at the server, as far as that is known.
    settings: Option<UpdateTrackSettings>,
}

impl Subscription {
    pub fn event(&self, event: SubscriberEvent) -> Event {
        Event::Subscriber { id: self.id, event }
    }

    /// Whether the stream is of this connection.
    pub fn is_of(&self, connection_id: &str) -> bool {
        self.stream.connection.id == connection_id
    }

    fn wants(&self, sid: &str) -> bool {
        (self.wants.audio && self.stream.audio_track.as_deref() == Some(sid))
            || (self.wants.video && self.stream.video_track.as_deref() == Some(sid))
    }

    fn has(&self, sid: &str) -> bool {
        self.stream.tracks().any(|track| track == sid)
    }
}

impl Subscriptions {
    /// The sections that carry what a subscription is of.
    pub fn sections_of(&self, id: SubscriptionId) -> Vec<(Kind, Section)> {
        let Some(one) = self.all.iter().find(|one| one.id == id) else { return Vec::new() };
        let tracks = [(Kind::Audio, &one.stream.audio_track), (Kind::Video, &one.stream.video_track)];
        let section = |sid: &Option<String>| self.tracks.get(sid.as_ref()?)?.section;
        tracks.into_iter().filter_map(|(kind, sid)| Some((kind, section(sid)?))).collect()
    }

    fn find(&mut self, id: SubscriptionId) -> Option<&mut Subscription> {
        self.all.iter_mut().find(|subscription| subscription.id == id)
    }

    pub fn of_stream(&self, stream_id: &str) -> impl Iterator<Item = &Subscription> {
        self.all.iter().filter(move |one| one.stream.id == stream_id)
    }

    /// Those who want captions of one of these streams, and have heard that it is there.
    pub fn wanting_captions(&self, stream_ids: &HashSet<String>) -> impl Iterator<Item = &Subscription> {
        let is_there = |one: &&Subscription| !matches!(one.stage, Stage::Asked { .. });
        let wanting = self.all.iter().filter(|one| one.wants.captions).filter(is_there);
        wanting.filter(|one| stream_ids.contains(&one.stream.id))
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        let deadlines = self.all.iter().filter_map(|subscription| match subscription.stage {
            Stage::Asked { deadline } => Some(deadline),
            Stage::Connected | Stage::Interrupted => None,
        });
        deadlines.min()
    }

    /// The server of before is gone: nothing comes until another has been asked.
    pub fn forget_server(&mut self) -> Vec<Event> {
        self.tracks.clear();
        self.sections.clear();
        self.interrupt()
    }

    fn interrupt(&mut self) -> Vec<Event> {
        let connected = self.all.iter_mut().filter(|subscription| subscription.stage == Stage::Connected);
        connected
            .map(|subscription| {
                subscription.stage = Stage::Interrupted;
                subscription.event(SubscriberEvent::Disconnected)
            })
            .collect()
    }

    /// The session ends; its subscribers hear nothing, unless they had never heard anything and it is not the program that
    /// has ended it.
    pub fn end(&mut self, ending: &Ending) -> Vec<Event> {
        let all = std::mem::take(&mut self.all);
        if *ending == Ending::Left {
            return Vec::new();
        }
        let waiting = all.iter().filter(|one| matches!(one.stage, Stage::Asked { .. }));
        waiting
            .map(|subscription| {
                let text = "the session ended before the stream was there";
                let fault = MediaFault::new(MediaReason::SessionDisconnected, text);
                subscription.event(SubscriberEvent::Failed(fault))
            })
            .collect()
    }

    /// What the server has to be told so that it sends what is wanted.
    fn requests(&mut self, live: &Live) -> Vec<Message> {
        let Self { all, tracks, sections, .. } = self;
        let mut requests = Vec::new();
        let plain = |sid: &str| UpdateTrackSettings {
            track_sids: vec![sid.into()],
            quality: VideoQuality::High.into(),
            ..UpdateTrackSettings::default()
        };
        let update = |participant_sid: &str, sid: &str, subscribe| {
            let track_sids = vec![sid.to_owned()];
            Message::Subscription(UpdateSubscription {
                track_sids: track_sids.clone(),
                subscribe,
                participant_tracks: vec![ParticipantTracks {
                    participant_sid: participant_sid.into(),
                    track_sids,
                }],
            })
        };
        // A stream that has left is not asked for; the program may keep its subscriber for as long as it likes.
        let there = live.roster.streams();
        let is_there =
            |stream: &Stream| stream.connection.id == live.own.id || there.contains_key(stream.id.as_str());
        let mut wanted: HashMap<&str, Vec<&Subscription>> = HashMap::new();
        for one in all.iter().filter(|one| is_there(&one.stream)) {
            for sid in one.stream.tracks() {
                wanted.entry(sid).or_default().extend(one.wants(sid).then_some(one));
                if !tracks.contains_key(sid) {
                    // One that was left a moment ago has its section until an offer says otherwise; LiveKit's server says
                    // nothing when it was taken again in time, and what was set for it before holds.
                    let is_of_it = |(section, of): (&Section, &String)| (of == sid).then_some(*section);
                    let section = sections.iter().find_map(is_of_it);
                    let settings = section.is_none().then(|| plain(sid));
                    tracks.insert(sid.clone(), Track { section, settings });
                    requests.push(update(&one.stream.connection.id, sid, true));
                }
            }
        }
        for (sid, _) in tracks.extract_if(|sid, _| !wanted.contains_key(sid.as_str())) {
            let owner = live.roster.owner_of_track(&sid).unwrap_or_default();
            requests.push(update(&owner, &sid, false));
        }
        for (sid, track) in tracks {
            let settings = settings(sid, wanted.get(sid.as_str()).map_or(&[], Vec::as_slice));
            if track.settings.as_ref() != Some(&settings) {
                track.settings = Some(settings.clone());
                requests.push(Message::TrackSetting(settings));
            }
        }
        requests
    }

    /// Those whose way is open now, or is open again.
    fn opened(&mut self, can_receive: bool) -> Vec<Event> {
        if !can_receive {
            return Vec::new();
        }
        let Self { all, tracks, .. } = self;
        let is_there = |sid: &String| tracks.get(sid).is_some_and(|track| track.section.is_some());
        let ready = all.iter_mut().filter(|one| {
            one.stage != Stage::Connected && !one.is_publisher_lost && one.stream.tracks().all(&is_there)
        });
        let mut events = Vec::new();
        for subscription in ready {
            let is_back = subscription.stage == Stage::Interrupted;
            subscription.stage = Stage::Connected;
            if is_back {
                events.push(subscription.event(SubscriberEvent::Reconnected));
                continue;
            }
            events.push(subscription.event(SubscriberEvent::Connected));
            // What was known before that and could not be said.
            if subscription.is_paused {
                events.push(subscription.event(SubscriberEvent::VideoDisabled(VideoReason::Quality)));
            }
            if subscription.is_warned {
                events.push(subscription.event(SubscriberEvent::Warned));
            }
        }
        events
    }
}

/// The settings for a track: what the one who wants most of it wants.
fn settings(sid: &str, wanting: &[&Subscription]) -> UpdateTrackSettings {
    let is_video = wanting.iter().any(|one| one.stream.video_track.as_deref() == Some(sid));
    let mut settings = UpdateTrackSettings {
        track_sids: vec![sid.into()],
        disabled: wanting.is_empty(),
        quality: VideoQuality::High.into(),
        ..UpdateTrackSettings::default()
    };
    if is_video {
        let sizes: Option<Vec<(u32, u32)>> = wanting.iter().map(|one| one.wants.resolution).collect();
        let rates: Option<Vec<f32>> = wanting.iter().map(|one| one.wants.frames_per_second).collect();
        let area = |(width, height): &(u32, u32)| u64::from(*width) * u64::from(*height);
        if let Some((width, height)) = sizes.and_then(|sizes| sizes.into_iter().max_by_key(area)) {
            (settings.width, settings.height) = (width, height);
        }
        if let Some(rate) = rates.and_then(|rates| rates.into_iter().reduce(f32::max)) {
            settings.fps = rate.ceil() as u32;
        }
    }
    settings
}

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
        self.subscriptions.all.push(Subscription {
            id,
            stream,
            wants,
            stage: Stage::Asked { deadline: now + SUBSCRIBE_TIMEOUT },
            is_publisher_lost: false,
            is_paused: false,
            is_warned: false,
        });
        self.ask_for_subscriptions();
        self.subscriptions_settled();
    }

    pub(super) fn unsubscribe(&mut self, id: SubscriptionId) {
        self.subscriptions.all.retain(|subscription| subscription.id != id);
        self.ask_for_subscriptions();
    }

    pub(super) fn set_wants(&mut self, id: SubscriptionId, wants: Wants) {
        let Some(subscription) = self.subscriptions.find(id) else { return };
        let old = std::mem::replace(&mut subscription.wants, wants);
        let mut events = Vec::new();
        if subscription.stage == Stage::Connected {
            if old.video != wants.video && subscription.stream.has_video_track {
                let reason = VideoReason::SubscribeToVideo;
                events.push(subscription.event(match wants.video {
                    true => SubscriberEvent::VideoEnabled(reason),
                    false => SubscriberEvent::VideoDisabled(reason),
                }));
            }
            if old.audio != wants.audio && subscription.stream.has_audio_track {
                events.push(subscription.event(match wants.audio {
                    true => SubscriberEvent::AudioEnabled,
                    false => SubscriberEvent::AudioDisabled,
                }));
            }
        }
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
        let text = "no media came in time; are the server's UDP ports reachable?";
        let is_late = |one: &Subscription| matches!(one.stage, Stage::Asked { deadline } if now >= deadline);
        self.fail_subscriptions(is_late, MediaFault::new(MediaReason::TimedOut, text));
    }

    fn fail_subscriptions(&mut self, which: impl Fn(&Subscription) -> bool, fault: MediaFault) {
        let failed: Vec<Subscription> = self.subscriptions.all.extract_if(.., |one| which(one)).collect();
        if failed.is_empty() {
            return;
        }
        let events = failed.iter().map(|one| one.event(SubscriberEvent::Failed(fault.clone())));
        let events = events.collect();
        self.say_media(events);
        self.ask_for_subscriptions();
    }

    /// A peer connection never came up, where signals need none.
    pub(super) fn media_failed(&mut self, way: Way, text: &'static str) {
        match way {
            Way::Publisher => self.publications_failed(text),
            Way::Subscriber => {
                let fault = MediaFault::new(MediaReason::PeerConnection, text);
                self.fail_subscriptions(|_| true, fault);
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
        let Some(sid) = self.subscriptions.sections.get(&packet.section) else { return };
        let format = match (packet.codec, codec_above(packet.codec)) {
            (_, Some(codec)) => Format::Video(codec),
            (Codec::Red, None) => Format::Red,
            (_, None) => Format::Opus,
        };
        let incoming = Incoming {
            format,
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
            // A stream that has left is the session's to tell; its subscribers just hear no more.
            let id = &subscription.stream.id;
            let own = || own.iter().find(|stream| stream.id == *id);
            let Some(stream) = others.get(id.as_str()).copied().or_else(own) else { continue };
            if *stream == subscription.stream {
                continue;
            }
            let old = std::mem::replace(&mut subscription.stream, stream.clone());
            changes.push(subscription.event(SubscriberEvent::Changed(stream.clone())));
            if subscription.stage != Stage::Connected {
                continue;
            }
            if old.has_video != stream.has_video && old.has_video_track {
                let reason = VideoReason::PublishVideo;
                told.push(subscription.event(match stream.has_video {
                    true => SubscriberEvent::VideoEnabled(reason),
                    false => SubscriberEvent::VideoDisabled(reason),
                }));
            }
            if old.has_audio != stream.has_audio && old.has_audio_track {
                told.push(subscription.event(match stream.has_audio {
                    true => SubscriberEvent::AudioEnabled,
                    false => SubscriberEvent::AudioDisabled,
                }));
            }
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
        let (reason, text) = match response.err() {
            SubscriptionError::SeTrackNotfound => {
                (MediaReason::StreamNotFound, "the server does not know the stream")
            }
            SubscriptionError::SeCodecUnsupported => {
                (MediaReason::PeerConnection, "the stream has a codec that the server cannot send here")
            }
            SubscriptionError::SeUnknown => {
                (MediaReason::PeerConnection, "the server cannot send the stream")
            }
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
        self.fail_subscriptions(|one| one.has(sid), MediaFault::new(reason, text));
    }

    /// The server has stopped a video that the way to this client cannot carry, or begun again.
    pub(super) fn stream_states_changed(&mut self, update: &StreamStateUpdate) {
        let mut events = Vec::new();
        for info in &update.stream_states {
            let is_paused = info.state() == StreamState::Paused;
            for one in &mut self.subscriptions.all {
                let is_video = one.stream.video_track.as_ref() == Some(&info.track_sid);
                if !is_video || std::mem::replace(&mut one.is_paused, is_paused) == is_paused {
                    continue;
                }
                if matches!(one.stage, Stage::Asked { .. }) {
                    continue;
                }
                events.push(one.event(match is_paused {
                    true => SubscriberEvent::VideoDisabled(VideoReason::Quality),
                    false => SubscriberEvent::VideoEnabled(VideoReason::Quality),
                }));
            }
        }
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
                    let is_poor = matches!(quality, ConnectionQuality::Poor | ConnectionQuality::Lost);
                    let is_news = std::mem::replace(&mut one.is_warned, is_poor) != is_poor;
                    if is_news && !matches!(one.stage, Stage::Asked { .. }) {
                        events.push(one.event(match is_poor {
                            true => SubscriberEvent::Warned,
                            false => SubscriberEvent::WarningLifted,
                        }));
                    }
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
