//! What the ways of publishers to the server carry, from them to their subscribers.

use std::time::Instant;

use super::core::{Core, Output, State};
use super::media::{PublicationId, SubscriberEvent};
use super::publications::Stage;
use crate::signal::frame::FromClient;
use crate::signal::proto::DataPacket;
use crate::signal::sender_stats::{self, SenderStatistics};
use crate::signal::signals;

/// With fewer others in the session nobody is told: with one publisher and one subscriber the two ways are as good as one. So
/// does the platform that is mirrored.
const OTHERS_MIN: usize = 2;

impl Core {
    pub(super) fn tell_subscribers(&mut self, now: Instant, id: PublicationId) {
        let State::Connected(live) = &mut self.state else { return };
        let all = &self.publications;
        let published = all.all.iter().find(|one| one.wish.id == id && one.wish.sends_statistics);
        let Some(published) = published.filter(|one| one.state == Stage::Up) else { return };
        if live.roster.count() < OTHERS_MIN {
            return;
        }
        let (_, desired_bps) = published.bitrates;
        let packet = sender_stats::packet(&SenderStatistics {
            stream_id: published.stream(live).id.clone(),
            max_allocated_bps: Some(desired_bps).filter(|rate| *rate > 0),
            estimated_bps: all.estimate_bps,
        });
        if live.wires.is_inline() {
            self.outputs.push_back(Output::Send(FromClient::Data(packet).encode()));
        } else {
            // What does not fit is left out: there is another one in a second.
            live.wires.send(now, &packet);
        }
    }

    /// A publisher may speak of its own streams only.
    pub(super) fn sender_counted(&mut self, packet: &DataPacket) {
        let Some(said) = sender_stats::read(packet) else { return };
        let sender =
            signals::read(packet).and_then(|signal| self.live()?.roster.sender_of(&signal)).flatten();
        let Some(sender) = sender else { return };
        let SenderStatistics { stream_id, max_allocated_bps, estimated_bps } = said;
        let meant = self.subscriptions.of_stream(&stream_id).filter(|one| one.is_of(&sender.id));
        let event = SubscriberEvent::SenderCounted { max_allocated_bps, estimated_bps };
        let events = meant.map(|one| one.event(event.clone())).collect();
        self.say_media(events);
    }
}
