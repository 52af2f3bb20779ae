//! What publishers and subscribers of a simulated client may hear, and in which order.

use std::collections::BTreeMap;
use std::sync::Arc;

use opentok::session::Stream;
use opentok::session::media::{PublicationId, PublisherEvent, SubscriberEvent, SubscriptionId, VideoReason};

/// The publications and subscriptions of one client.
#[derive(Debug, Default)]
pub struct Media {
    publications: BTreeMap<PublicationId, Publication>,
    subscriptions: BTreeMap<SubscriptionId, Subscription>,
    /// How much was heard, so that a test can say that it was about something.
    pub published: usize,
    pub connected: usize,
}

#[derive(Debug, Clone, PartialEq)]
enum Publication {
    Asked,
    Up(Arc<Stream>),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Stage {
    Asked,
    Connected,
    Interrupted,
}

#[derive(Debug, Clone)]
struct Subscription {
    stage: Stage,
    stream: Option<Arc<Stream>>,
    has_left: bool,
    /// What it was told of sound and pictures since it is connected.
    told: (bool, bool),
}

impl Media {
    pub fn publish(&mut self, id: PublicationId) {
        self.publications.insert(id, Publication::Asked);
    }

    pub fn subscribe(&mut self, id: SubscriptionId) {
        let (stage, stream, has_left, told) = (Stage::Asked, None, false, (true, true));
        self.subscriptions.insert(id, Subscription { stage, stream, has_left, told });
    }

    /// The program does not want to hear of it any more.
    pub fn unsubscribe(&mut self, id: SubscriptionId) {
        self.subscriptions.remove(&id);
    }

    pub fn publications(&self) -> Vec<PublicationId> {
        self.publications.keys().copied().collect()
    }

    pub fn subscriptions(&self) -> Vec<SubscriptionId> {
        self.subscriptions.keys().copied().collect()
    }

    /// The own streams, as this client knows them.
    pub fn streams(&self) -> impl Iterator<Item = &Arc<Stream>> {
        self.publications.values().map(|publication| match publication {
            Publication::Up(stream) => stream,
            Publication::Asked => panic!("it is neither published nor has it failed"),
        })
    }

    /// Every subscriber that is connected has heard whether there is sound and whether there are pictures.
    pub fn check_told(&self) {
        for (id, one) in self.subscriptions.iter().filter(|(_, one)| one.stage == Stage::Connected) {
            let stream = one.stream.as_ref().expect("it has a stream");
            assert!(
                !stream.has_audio_track || one.told.0 == stream.has_audio,
                "the sound of {id:?}: {one:?}"
            );
            assert!(
                !stream.has_video_track || one.told.1 == stream.has_video,
                "the pictures of {id:?}: {one:?}"
            );
        }
    }

    /// Every subscriber has heard whether its stream is still there.
    pub fn check_left(&self, is_there: impl Fn(&str) -> bool) {
        for (id, one) in &self.subscriptions {
            if let Some(stream) = &one.stream {
                assert_eq!(one.has_left, !is_there(&stream.id), "{id:?}: {one:?}");
            }
        }
    }

    pub fn publisher_heard(&mut self, id: PublicationId, event: &PublisherEvent) {
        let state = self.publications.get(&id).cloned();
        let next = match (event, &state) {
            (PublisherEvent::Published { stream, .. }, Some(Publication::Asked)) => {
                self.published += 1;
                Some(Publication::Up(stream.clone()))
            }
            (
                PublisherEvent::Renewed { stream, .. } | PublisherEvent::Changed(stream),
                Some(Publication::Up(_)),
            ) => Some(Publication::Up(stream.clone())),
            (PublisherEvent::MuteForced(_) | PublisherEvent::Counted { .. }, Some(Publication::Up(_))) => {
                state
            }
            (PublisherEvent::KeyFrameWanted(_) | PublisherEvent::LayersWanted(_), Some(_))
            | (PublisherEvent::Bitrate(_) | PublisherEvent::VideoBitrate(_), Some(_)) => state,
            (PublisherEvent::Ended | PublisherEvent::Failed(_), Some(_)) => None,
            _ => panic!("unlawful: {event:?} of {id:?} in {state:?}"),
        };
        match next {
            Some(next) => self.publications.insert(id, next),
            None => self.publications.remove(&id),
        };
    }

    pub fn subscriber_heard(&mut self, id: SubscriptionId, event: &SubscriberEvent) {
        use Stage::{Asked, Connected, Interrupted};
        let Some(mut one) = self.subscriptions.remove(&id) else { panic!("unlawful: {event:?} of {id:?}") };
        let is_on = |stream: &Option<Arc<Stream>>| {
            stream.as_ref().map_or((true, true), |stream| (stream.has_audio, stream.has_video))
        };
        match (event, one.stage) {
            (SubscriberEvent::Connected, Asked) => {
                self.connected += 1;
                (one.stage, one.told) = (Connected, is_on(&one.stream));
            }
            (SubscriberEvent::Disconnected, Connected) => one.stage = Interrupted,
            (SubscriberEvent::Reconnected, Interrupted) => one.stage = Connected,
            (SubscriberEvent::Changed(stream), _) => {
                (one.stream, one.has_left) = (Some(stream.clone()), false)
            }
            (SubscriberEvent::Left, _) if !one.has_left => one.has_left = true,
            (SubscriberEvent::Failed(_), _) => return,
            (SubscriberEvent::VideoEnabled(VideoReason::PublishVideo), Connected) if !one.told.1 => {
                one.told.1 = true;
            }
            (SubscriberEvent::VideoDisabled(VideoReason::PublishVideo), Connected) if one.told.1 => {
                one.told.1 = false;
            }
            (SubscriberEvent::AudioEnabled, Connected) if !one.told.0 => one.told.0 = true,
            (SubscriberEvent::AudioDisabled, Connected) if one.told.0 => one.told.0 = false,
            (SubscriberEvent::VideoDisabled(VideoReason::Quality), Connected)
            | (SubscriberEvent::VideoEnabled(VideoReason::Quality), Connected)
            | (SubscriberEvent::Warned | SubscriberEvent::WarningLifted, Connected) => {}
            _ => panic!("unlawful: {event:?} of {id:?}, {one:?}"),
        }
        self.subscriptions.insert(id, one);
    }

    /// The process has died: nothing of it will be heard.
    pub fn forget(&mut self) {
        self.publications.clear();
        self.subscriptions.clear();
    }

    /// The session is over: every own stream has ended before it.
    pub fn session_ended(&mut self) {
        assert!(self.publications.is_empty(), "streams outlived their session: {:?}", self.publications);
        self.subscriptions.clear();
    }
}
