//! A publisher on a network that does not carry its video: the sound goes on alone, if the program has asked for that.

use std::sync::Arc;
use std::time::Instant;

use super::{Inner, Notice, Publisher};
use crate::driver::video_out::Order;
use crate::media::Kind;
use crate::media::video::FallbackChange;
use crate::session::Input;
use crate::session::media::VideoReason;

impl Publisher {
    /// Called with each estimate of what the network carries, and once a second without one.
    pub(super) fn watch_network(self: &Arc<Self>, inner: &mut Inner, estimate_bps: Option<u64>) {
        let limit_bps = inner.video_limit_bps;
        let Some(fallback) = &mut inner.fallback else { return };
        // What the program has switched off itself needs no network.
        if !inner.publishes_video && !fallback.is_off() {
            return;
        }
        let now = Instant::now();
        let change = match estimate_bps {
            Some(bits_per_second) => fallback.estimated(now, bits_per_second, limit_bps),
            None => fallback.pass(now, limit_bps),
        };
        let Some(change) = change else { return };
        if matches!(change, FallbackChange::Disabled | FallbackChange::Enabled) {
            self.switch_video(inner);
        }
        // A program that does not send video is not told what becomes of it.
        if inner.publishes_video {
            self.say(match change {
                FallbackChange::Warned => Notice::VideoDisableWarning,
                FallbackChange::WarningLifted => Notice::VideoDisableWarningLifted,
                FallbackChange::Disabled => Notice::VideoDisabled(VideoReason::Quality),
                FallbackChange::Enabled => Notice::VideoEnabled(VideoReason::Quality),
            });
        }
    }

    /// Video is sent when the program wants it and the network carries it.
    pub(super) fn switch_video(&self, inner: &Inner) {
        let is_on =
            inner.publishes_video && !inner.fallback.as_ref().is_some_and(|fallback| fallback.is_off());
        if let Some(placed) = &inner.placed {
            placed.port.wish(Input::SetPublishing { id: placed.id, kind: Kind::Video, is_on });
        }
        self.order(Order::SetOn(is_on));
    }
}
