//! A publisher on a network that does not carry its video: the sound goes on alone, if the program has asked for that.

use std::sync::Arc;
use std::time::Instant;

use super::super::line::Line;
use super::{Inner, Notice, Publisher};
use crate::driver::video_out::{Order, Switch};
use crate::media::Kind;
use crate::media::video::FallbackChange;
use crate::session::Input;
use crate::session::media::VideoReason;

impl Publisher {
    /// Called with each estimate of what the network carries, and once a second without one.
    pub(super) fn watch_network(
        self: &Arc<Self>,
        now: Instant,
        line: &Line,
        inner: &mut Inner,
        estimate_bps: Option<u64>,
    ) {
        let limit_bps = inner.video_limit_bps;
        let Some(fallback) = &mut inner.fallback else { return };
        // What the program has switched off itself needs no network.
        if !inner.publishes_video && !fallback.is_off() {
            return;
        }
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
            let notice = match change {
                FallbackChange::Warned => Notice::VideoDisableWarning,
                FallbackChange::WarningLifted => Notice::VideoDisableWarningLifted,
                FallbackChange::Disabled => Notice::VideoDisabled(VideoReason::Quality),
                FallbackChange::Enabled => Notice::VideoEnabled(VideoReason::Quality),
            };
            self.say(line, notice);
        }
    }

    /// Video is sent when the program wants it and the network carries it.
    pub(super) fn switch_video(&self, inner: &Inner) {
        let switch = switch(inner);
        if let Some(placed) = &inner.placed {
            let is_on = switch == Switch::On;
            placed.port.wish(Input::SetPublishing { id: placed.id, kind: Kind::Video, is_on });
        }
        self.order(Order::Switch(switch));
    }
}

/// What the encoder does: see [`Publisher::switch_video`].
pub(super) fn switch(inner: &Inner) -> Switch {
    match (inner.publishes_video, &inner.fallback) {
        (false, _) => Switch::Off,
        (true, Some(fallback)) if fallback.is_off() => Switch::Narrow,
        (true, _) => Switch::On,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use parking_lot::Mutex;

    use super::super::{Observer, Settings};
    use super::*;
    use crate::driver::callbacks::Callbacks;
    use crate::media::Picture;
    use crate::media::video::Fallback;

    struct Ears(Mutex<mpsc::Sender<Notice>>);

    impl Observer for Ears {
        fn notify(&self, notice: Notice) {
            let _ = self.0.lock().send(notice);
        }
        fn render(&self, _: Picture) {}
        fn renders(&self) -> bool {
            false
        }
        fn hears(&self, _: &Notice) -> bool {
            true
        }
    }

    /// What a program hears of a network that carries so many bit/s, ten seconds each; and what becomes of the encoder in the
    /// end.
    fn told(publishes_video: bool, estimates: &[u64]) -> (Vec<Notice>, Switch) {
        let (notices, told) = mpsc::channel();
        let publisher = Publisher::new(
            Settings { has_video: false, ..Settings::default() },
            Arc::new(Ears(Mutex::new(notices))),
        );
        let callbacks = Callbacks::start(&mut None).expect("a thread");
        let line = Line::new(callbacks.poster(), Arc::default());
        publisher.set_publishes(Kind::Video, publishes_video);
        let start = Instant::now();
        let switch = {
            let mut inner = publisher.inner.lock();
            inner.fallback = Some(Fallback::default());
            for second in 0..10 * estimates.len() {
                let now = start + Duration::from_secs(second as u64);
                publisher.watch_network(now, &line, &mut inner, Some(estimates[second / 10]));
            }
            switch(&inner)
        };
        assert!(callbacks.stop(Duration::from_secs(10)).is_none(), "the thread has told everything");
        (told.try_iter().collect(), switch)
    }

    #[test]
    fn the_program_hears_what_becomes_of_its_video() {
        use VideoReason::Quality;
        let all =
            [Notice::VideoDisableWarning, Notice::VideoDisabled(Quality), Notice::VideoEnabled(Quality)];
        assert_eq!(told(true, &[1_000_000, 30_000, 1_000_000]).0, all);
        assert_eq!(
            told(true, &[120_000, 1_000_000]).0,
            [Notice::VideoDisableWarning, Notice::VideoDisableWarningLifted]
        );
        assert_eq!(told(false, &[1_000_000, 30_000, 1_000_000]).0, [], "it sends none");
    }

    #[test]
    fn the_encoder_knows_whether_the_network_or_the_program_has_stopped_it() {
        let switch = |publishes_video, estimates: &[u64]| told(publishes_video, estimates).1;
        assert_eq!(switch(true, &[1_000_000]), Switch::On);
        assert_eq!(switch(true, &[1_000_000, 30_000]), Switch::Narrow);
        assert_eq!(switch(true, &[30_000, 1_000_000]), Switch::On);
        assert_eq!(switch(false, &[30_000]), Switch::Off);
    }
}
