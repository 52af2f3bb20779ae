//! What the peer connections know of a publication or a subscription, for reports of statistics.

use super::Event;
use super::core::Core;
use super::media::{
    Measured, MeasuredStream, PublicationId, PublisherEvent, SubscriberEvent, SubscriptionId,
};
use super::wires::Way;
use crate::media::Kind;
use crate::rtc::Section;

impl Core {
    /// Whoever asks gets an answer, also where nothing has been sent yet.
    pub(super) fn measure_publication(&mut self, id: PublicationId) {
        let published = self.publications.all.iter().find(|published| published.wish.id == id);
        let tracks = published.into_iter().flat_map(|published| &published.tracks);
        let sections: Vec<_> = tracks.filter_map(|track| Some((track.kind, track.section?))).collect();
        let measured = self.measure(Way::Publisher, &sections);
        self.say_media(vec![Event::Publisher { id, event: PublisherEvent::Measured(measured) }]);
    }

    /// As above.
    pub(super) fn measure_subscription(&mut self, id: SubscriptionId) {
        let sections = self.subscriptions.sections_of(id);
        let measured = self.measure(Way::Subscriber, &sections);
        self.say_media(vec![Event::Subscriber { id, event: SubscriberEvent::Measured(measured) }]);
    }

    fn measure(&self, way: Way, sections: &[(Kind, Section)]) -> Box<Measured> {
        let peer = self.live().and_then(|live| live.wires.peer(way));
        let Some(peer) = peer.filter(|_| !sections.is_empty()) else { return Box::default() };
        let is_sending = way == Way::Publisher;
        let statistics = peer.statistics().into_iter().filter(|one| one.is_sending == is_sending);
        let streams = statistics.filter_map(|statistics| {
            let (kind, section) = sections.iter().find(|(_, section)| *section == statistics.section)?;
            let agreed = peer.section_report(*section, is_sending);
            Some(MeasuredStream { kind: *kind, statistics, agreed })
        });
        Box::new(Measured { streams: streams.collect(), transport: Some(peer.transport_report()) })
    }
}
