//! What publishers and subscribers of a simulated client may hear, and in which order.

use std::collections::BTreeMap;

use opentok::session::media::{PublicationId, PublisherEvent, SubscriberEvent, SubscriptionId};

/// The publications and subscriptions of one client.
#[derive(Debug, Default)]
pub struct Media {
    publications: BTreeMap<PublicationId, Publication>,
    subscriptions: BTreeMap<SubscriptionId, Subscription>,
    /// How much was heard, so that a test can say that it was about something.
    pub published: usize,
    pub connected: usize,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Publication {
    Asked,
    Up,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Subscription {
    Asked,
    Connected,
    Interrupted,
}

impl Media {
    pub fn publish(&mut self, id: PublicationId) {
        self.publications.insert(id, Publication::Asked);
    }

    pub fn subscribe(&mut self, id: SubscriptionId) {
        self.subscriptions.insert(id, Subscription::Asked);
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

    pub fn publisher_heard(&mut self, id: PublicationId, event: &PublisherEvent) {
        let state = self.publications.get(&id).copied();
        let next = match (event, state) {
            (PublisherEvent::Published { .. }, Some(Publication::Asked)) => {
                self.published += 1;
                Some(Publication::Up)
            }
            (PublisherEvent::Renewed { .. } | PublisherEvent::MuteForced, Some(Publication::Up))
            | (PublisherEvent::Changed(_) | PublisherEvent::Counted { .. }, Some(Publication::Up)) => state,
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
        use Subscription::{Asked, Connected, Interrupted};
        let state = self.subscriptions.get(&id).copied();
        let next = match (event, state) {
            (SubscriberEvent::Connected, Some(Asked)) => {
                self.connected += 1;
                Some(Connected)
            }
            (SubscriberEvent::Disconnected, Some(Connected)) => Some(Interrupted),
            (SubscriberEvent::Reconnected, Some(Interrupted)) => Some(Connected),
            (SubscriberEvent::Changed(_), Some(_)) => state,
            (SubscriberEvent::Failed(_), Some(_)) => None,
            (SubscriberEvent::VideoDisabled(_) | SubscriberEvent::VideoEnabled(_), Some(_))
            | (SubscriberEvent::AudioDisabled | SubscriberEvent::AudioEnabled, Some(_))
            | (SubscriberEvent::Warned | SubscriberEvent::WarningLifted, Some(_)) => state,
            _ => panic!("unlawful: {event:?} of {id:?} in {state:?}"),
        };
        match next {
            Some(next) => self.subscriptions.insert(id, next),
            None => self.subscriptions.remove(&id),
        };
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
