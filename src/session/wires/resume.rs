//! What becomes of the peer connections when the session is resumed.

use std::time::{Duration, Instant};

use super::{Side, Way, Wires};
use crate::rtc::Channel;
use crate::signal::proto::{DataChannelInfo, SignalTarget, SyncState, UpdateSubscription};

/// How long a server has to begin with a restart of the peer connection. One that does, does so at once; of one that does not
/// it is enough that the path of before is still good.
const RESTART_GRACE: Duration = Duration::from_secs(1);

impl Wires {
    /// A resumed session may have lost its network together with its link: what was up before says nothing.
    pub(super) fn has_found_path(&self, side: &Side) -> bool {
        let Some(resumed) = self.resumed else { return true };
        side.is_back || side.peer.heard_at().is_some_and(|heard| heard >= resumed + RESTART_GRACE)
    }

    /// What a resumed session tells the server: what it believes was agreed. `None`: there is nothing to tell.
    pub fn sync_state(&self) -> Option<SyncState> {
        if self.is_inline && self.subscriber.is_none() && self.publisher.is_none() {
            return None;
        }
        let channels =
            [(&self.publisher, SignalTarget::Publisher), (&self.subscriber, SignalTarget::Subscriber)];
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
            answer: self.subscriber.as_ref().map(|side| side.description.clone()),
            offer: self.publisher.as_ref().map(|side| side.description.clone()),
            data_channels: channels.collect(),
            // livekit-server 1.11 dereferences it unasked; a message without it ends the whole server.
            subscription: Some(UpdateSubscription::default()),
            ..SyncState::default()
        })
    }

    /// The link is new, the network may be too: the publisher's peer connection looks for a path again. The server
    /// does the same for the subscriber's.
    pub fn restart(&mut self, now: Instant) {
        self.resumed = Some(now);
        for side in [&mut self.subscriber, &mut self.publisher].into_iter().flatten() {
            side.is_back = false;
        }
        if let Some(side) = &mut self.publisher {
            match side.peer.restart_ice(now) {
                Ok(sdp) => self.send_offer(sdp),
                Err(error) => {
                    log::debug!("a peer connection cannot be found again: {error:?}");
                    self.fail(Way::Publisher, "the peer connection could not be found again");
                }
            }
        }
        self.drive(now);
    }
}
