//! Subscriptions as values: what is wanted of which stream, what the server is asked for it, and what its subscriber has
//! been told.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::event::Ending;
use super::live::Live;
use super::media::{MediaFault, MediaReason, SubscriberEvent, SubscriptionId, VideoReason, Wants};
use super::{Event, Stream};
use crate::media::Kind;
use crate::rtc::Section;
use crate::signal::proto::{
    ParticipantTracks, UpdateSubscription, UpdateTrackSettings, VideoQuality, signal_request::Message,
};

/// How long the server may take until media can come. The platform that is mirrored waits about as long.
const SUBSCRIBE_TIMEOUT: Duration = Duration::from_secs(15);

/// All subscriptions of a session.
#[derive(Default)]
pub(super) struct Subscriptions {
    pub all: Vec<Subscription>,
    /// What the server is asked for, by the sids of tracks.
    pub tracks: HashMap<String, Track>,
    /// Which track a section of the subscriber's peer connection carries, by what the server's offers say.
    pub sections: HashMap<Section, String>,
    /// It was told that this client has no secret, and needs one.
    pub has_missed_secret: bool,
}

pub(super) struct Subscription {
    pub id: SubscriptionId,
    pub stream: Arc<Stream>,
    /// It is not in the session any more.
    pub has_left: bool,
    pub wants: Wants,
    pub stage: Stage,
    /// The publisher's link is lost, as the server says.
    pub is_publisher_lost: bool,
    /// The server has stopped the video, which the way to this client cannot carry.
    pub is_paused: bool,
    pub is_warned: bool,
    /// What the server said last of these may be out of date.
    pub is_doubtful: bool,
    /// The tracks that the server does not send, by their sids.
    refused: Vec<(String, Refusal)>,
    told: Told,
}

/// Why the server does not send a track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The publisher does not allow it, and may at any moment.
    NotAllowed,
    NotFound,
    CodecUnsupported,
    Unknown,
}

impl Refusal {
    fn fault(self) -> MediaFault {
        let (reason, text) = match self {
            Self::NotAllowed => {
                (MediaReason::NotPermitted, "the publisher does not allow this client to receive the stream")
            }
            Self::NotFound => (MediaReason::StreamNotFound, "the server does not know the stream"),
            Self::CodecUnsupported => {
                (MediaReason::PeerConnection, "the stream has a codec that the server cannot send here")
            }
            Self::Unknown => (MediaReason::PeerConnection, "the server cannot send the stream"),
        };
        MediaFault::new(reason, text)
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Stage {
    Asked { deadline: Instant },
    Connected,
    Interrupted,
}

/// What a subscriber knows of its media. Nothing of a track that it does not have.
#[derive(Debug, Clone, Copy, Default)]
struct Told {
    publishes_audio: Option<bool>,
    publishes_video: Option<bool>,
    wants_audio: Option<bool>,
    wants_video: Option<bool>,
    is_paused: bool,
    is_warned: bool,
    is_codec_refused: bool,
}

pub(super) struct Track {
    pub section: Option<Section>,
    /// The server was asked for it, on a link that has not broken since.
    is_asked: bool,
    /// What holds at the server, as far as that is known.
    settings: Option<UpdateTrackSettings>,
}

impl Subscription {
    pub fn new(now: Instant, id: SubscriptionId, stream: Arc<Stream>, wants: Wants) -> Self {
        Self {
            id,
            stream,
            has_left: false,
            wants,
            stage: Stage::Asked { deadline: now + SUBSCRIBE_TIMEOUT },
            is_publisher_lost: false,
            is_paused: false,
            is_warned: false,
            is_doubtful: false,
            refused: Vec::new(),
            told: Told::default(),
        }
    }

    pub fn event(&self, event: SubscriberEvent) -> Event {
        Event::Subscriber { id: self.id, event }
    }

    /// What has changed since its subscriber was told. One that is not connected hears it when it is again.
    pub fn news(&mut self) -> Vec<Event> {
        if self.stage != Stage::Connected {
            return Vec::new();
        }
        let now = self.state();
        let before = std::mem::replace(&mut self.told, now);
        // A track that is new needs no word, and one that is gone is not there.
        let change = |before: Option<bool>, now: Option<bool>| {
            before.and_then(|was| Some(now.unwrap_or(false)).filter(|is| *is != was))
        };
        let wish = |before, now: Option<bool>| change(before, now.or(before));
        let video = |is_on, reason| match is_on {
            true => SubscriberEvent::VideoEnabled(reason),
            false => SubscriberEvent::VideoDisabled(reason),
        };
        let audio = |is_on| match is_on {
            true => SubscriberEvent::AudioEnabled,
            false => SubscriberEvent::AudioDisabled,
        };
        let published = change(before.publishes_video, now.publishes_video);
        let wanted = wish(before.wants_video, now.wants_video);
        let paused = (before.is_paused != now.is_paused).then_some(!now.is_paused);
        let warned = (before.is_warned != now.is_warned).then_some(now.is_warned);
        let decodable = (before.is_codec_refused != now.is_codec_refused).then_some(!now.is_codec_refused);
        let events = [
            published.map(|is_on| video(is_on, VideoReason::PublishVideo)),
            wanted.map(|is_on| video(is_on, VideoReason::SubscribeToVideo)),
            change(before.publishes_audio, now.publishes_audio).map(audio),
            wish(before.wants_audio, now.wants_audio).map(audio),
            paused.map(|is_on| video(is_on, VideoReason::Quality)),
            decodable.map(|is_on| video(is_on, VideoReason::CodecNotSupported)),
            warned.map(|is_warned| match is_warned {
                true => SubscriberEvent::Warned,
                false => SubscriberEvent::WarningLifted,
            }),
        ];
        events.into_iter().flatten().map(|event| self.event(event)).collect()
    }

    /// Of sound there is one kind of news. A picture that the server cannot send here lacks a codec; any other that does not
    /// come is like one that is not published.
    fn state(&self) -> Told {
        let known = self.known();
        let refusal = |sid: &Option<String>| self.refusal(sid.as_ref()?);
        let video = refusal(&self.stream.video_track);
        let is_codec_refused = video == Some(Refusal::CodecUnsupported);
        let (has_sound, has_picture) =
            (refusal(&self.stream.audio_track).is_none(), video.is_none() || is_codec_refused);
        Told {
            publishes_audio: known.publishes_audio.map(|is_on| is_on && has_sound),
            publishes_video: known.publishes_video.map(|is_on| is_on && has_picture),
            is_paused: self.is_paused,
            is_warned: self.is_warned,
            is_codec_refused,
            ..known
        }
    }

    /// What a subscriber knows without being told: what its stream says, and what it wants itself.
    fn known(&self) -> Told {
        let Stream { has_audio_track, has_audio, has_video_track, has_video, .. } = *self.stream;
        Told {
            publishes_audio: has_audio_track.then_some(has_audio),
            publishes_video: has_video_track.then_some(has_video),
            wants_audio: has_audio_track.then_some(self.wants.audio),
            wants_video: has_video_track.then_some(self.wants.video),
            ..Told::default()
        }
    }

    fn refusal(&self, sid: &str) -> Option<Refusal> {
        self.refused.iter().find(|(refused, _)| refused == sid).map(|(_, refusal)| *refusal)
    }

    /// Why nothing of the stream comes, where the server sends none of its tracks.
    fn refusal_of_all(&self) -> Option<Refusal> {
        let mut refusals = self.stream.tracks().map(|sid| self.refusal(sid));
        let first = refusals.next()??;
        // What may be allowed yet outweighs what cannot come.
        refusals.try_fold(first, |worst, refusal| {
            refusal.map(|refusal| if refusal == Refusal::NotAllowed { refusal } else { worst })
        })
    }

    /// Why it fails at once, and with which words; `None` while something may still come.
    pub fn failure(&self) -> Option<MediaFault> {
        self.refusal_of_all().filter(|refusal| *refusal != Refusal::NotAllowed).map(Refusal::fault)
    }

    /// The words for one whose time is over.
    pub fn lateness(&self) -> MediaFault {
        let text = "no media came in time; are the server's UDP ports reachable?";
        let late = || MediaFault::new(MediaReason::TimedOut, text);
        self.refusal_of_all().map_or_else(late, Refusal::fault)
    }

    /// Whether the stream is of this connection.
    pub fn is_of(&self, connection_id: &str) -> bool {
        self.stream.connection.id == connection_id
    }

    pub fn wants(&self, sid: &str) -> bool {
        (self.wants.audio && self.stream.audio_track.as_deref() == Some(sid))
            || (self.wants.video && self.stream.video_track.as_deref() == Some(sid))
    }

    pub fn has(&self, sid: &str) -> bool {
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

    pub fn find(&mut self, id: SubscriptionId) -> Option<&mut Subscription> {
        self.all.iter_mut().find(|subscription| subscription.id == id)
    }

    /// Adds one, who learns what the others that watch its stream know of it: the server was asked for them and says nothing
    /// again.
    pub fn add(&mut self, mut subscription: Subscription) {
        let known = self.all.iter().flat_map(|one| &one.refused);
        let known = known.filter(|(sid, _)| subscription.has(sid)).cloned();
        let known: HashMap<String, Refusal> = known.collect();
        subscription.refused = known.into_iter().collect();
        self.all.push(subscription);
    }

    /// The server does not send this track. False where nobody wants it.
    pub fn refuse(&mut self, sid: &str, refusal: Refusal) -> bool {
        let mut is_news = false;
        for one in self.all.iter_mut().filter(|one| one.has(sid)) {
            // A track that another has taken the place of does not matter any more.
            let Subscription { stream, refused, .. } = one;
            refused.retain(|(known, _)| known != sid && stream.tracks().any(|track| track == known));
            refused.push((sid.to_owned(), refusal));
            is_news = true;
        }
        is_news
    }

    /// It does again. Who has waited for that has the whole time from here on. False where nobody has.
    pub fn allow(&mut self, now: Instant, sid: &str) -> bool {
        let mut is_news = false;
        for one in self.all.iter_mut().filter(|one| one.refusal(sid).is_some()) {
            one.refused.retain(|(known, _)| known != sid);
            if let Stage::Asked { deadline } = &mut one.stage {
                *deadline = now + SUBSCRIBE_TIMEOUT;
            }
            is_news = true;
        }
        is_news
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

    /// The server of before is gone: nothing comes until another has been asked, and that says anew how things are.
    pub fn forget_server(&mut self) -> Vec<Event> {
        self.tracks.clear();
        self.sections.clear();
        for subscription in &mut self.all {
            (subscription.is_publisher_lost, subscription.is_paused, subscription.is_warned) =
                Default::default();
            subscription.is_doubtful = false;
            subscription.refused.clear();
        }
        self.interrupt()
    }

    /// A link has broken and the server is the same: what was asked on it may not have arrived, so all of it is asked
    /// again, and what the server has said since may be lost.
    pub fn doubt(&mut self) {
        // One that was left has a section until the server says otherwise.
        for (section, sid) in &self.sections {
            let left = || Track { section: Some(*section), is_asked: true, settings: None };
            self.tracks.entry(sid.clone()).or_insert_with(left);
        }
        for track in self.tracks.values_mut() {
            (track.is_asked, track.settings) = (false, None);
        }
        self.all.iter_mut().for_each(|subscription| subscription.is_doubtful = true);
    }

    /// An own stream is published again, and its server calls it otherwise: who watches it goes with it.
    pub fn rename(&mut self, former_id: &str, stream: &Arc<Stream>) -> Vec<Event> {
        let watching = self.all.iter_mut().filter(|one| one.stream.id == former_id);
        watching
            .map(|one| {
                one.stream = stream.clone();
                one.event(SubscriberEvent::Changed(stream.clone()))
            })
            .collect()
    }

    /// Those who wait have waited for a server that was away: their time begins anew.
    pub fn wait_anew(&mut self, now: Instant) {
        for subscription in &mut self.all {
            if let Stage::Asked { deadline } = &mut subscription.stage {
                *deadline = now + SUBSCRIBE_TIMEOUT;
            }
        }
    }

    /// A packet has come on this section: its track is not paused, nor is its publisher lost, whatever was said before the
    /// link broke. Nor is it refused, where the server said so before that or goes on trying. True where that is news.
    pub fn came(&mut self, section: Section) -> bool {
        let Self { all, sections, .. } = self;
        let Some(sid) = sections.get(&section) else { return false };
        let mut is_news = false;
        for Subscription { refused, is_doubtful, .. } in all.iter_mut().filter(|one| !one.refused.is_empty())
        {
            let before = refused.len();
            refused
                .retain(|(known, refusal)| known != sid || !(*is_doubtful || *refusal == Refusal::Unknown));
            is_news |= refused.len() < before;
        }
        for one in all.iter_mut().filter(|one| one.is_doubtful && one.has(sid)) {
            let is_video = one.stream.video_track.as_ref() == Some(sid);
            is_news |= one.is_publisher_lost || one.is_paused && is_video;
            one.is_publisher_lost = false;
            one.is_paused &= !is_video;
            one.is_doubtful = one.is_paused || !one.refused.is_empty();
        }
        is_news
    }

    pub fn news(&mut self) -> Vec<Event> {
        self.all.iter_mut().flat_map(Subscription::news).collect()
    }

    /// Its subscribers hear nothing until its media comes again.
    pub fn interrupt(&mut self) -> Vec<Event> {
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
    pub fn requests(&mut self, live: &Live) -> Vec<Message> {
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
                let track = tracks.entry(sid.clone()).or_insert_with(|| {
                    // One that was left a moment ago has its section until an offer says otherwise; LiveKit's server says
                    // nothing when it was taken again in time, and what was set for it before holds.
                    let is_of_it = |(section, of): (&Section, &String)| (of == sid).then_some(*section);
                    let section = sections.iter().find_map(is_of_it);
                    let settings = section.is_none().then(|| plain(sid));
                    Track { section, is_asked: false, settings }
                });
                if !std::mem::replace(&mut track.is_asked, true) {
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
    pub fn opened(&mut self, can_receive: bool) -> Vec<Event> {
        if !can_receive {
            return Vec::new();
        }
        let Self { all, tracks, .. } = self;
        let is_there = |sid: &String| tracks.get(sid).is_some_and(|track| track.section.is_some());
        // What the server does not send is not waited for, as long as something is left.
        let is_open = |one: &Subscription| {
            let mut awaited = one.stream.tracks().filter(|sid| one.refusal(sid).is_none()).peekable();
            awaited.peek().is_some() && awaited.all(is_there)
        };
        let ready = all
            .iter_mut()
            .filter(|one| one.stage != Stage::Connected && !one.is_publisher_lost && is_open(one));
        let mut events = Vec::new();
        for subscription in ready {
            let is_back = subscription.stage == Stage::Interrupted;
            subscription.stage = Stage::Connected;
            if is_back {
                events.push(subscription.event(SubscriberEvent::Reconnected));
            } else {
                events.push(subscription.event(SubscriberEvent::Connected));
                subscription.told = subscription.known();
            }
            events.extend(subscription.news());
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
