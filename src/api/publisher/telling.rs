//! How a publisher tells the program what happened.

use std::sync::Arc;

use super::super::line::Line;
use super::super::newest::Newest;
use super::{Notice, Publisher};
use crate::driver::callbacks::PUBLISHERS;

impl Publisher {
    /// Puts a notice on the callback thread.
    pub(super) fn say(self: &Arc<Self>, line: &Line, notice: Notice) {
        if self.observer.hears(&notice) {
            self.post(line, notice.is_lasting(), move |publisher| publisher.observer.notify(notice));
        }
    }

    /// As above, in place of the one of its kind that still waits.
    pub(super) fn say_newest(self: &Arc<Self>, line: &Line, newest: &Arc<Newest<Notice>>, notice: Notice) {
        let is_lasting = notice.is_lasting();
        if self.observer.hears(&notice) && newest.put(notice) {
            let newest = newest.clone();
            self.post(line, is_lasting, move |publisher| {
                newest.take().into_iter().for_each(|notice| publisher.observer.notify(notice));
            });
        }
    }

    /// As above. What is not lasting is wanted as long as the publisher is in the session that it is about.
    pub(super) fn post(
        self: &Arc<Self>,
        line: &Line,
        is_lasting: bool,
        callback: impl FnOnce(&Arc<Self>) + Send + 'static,
    ) {
        let is_wanted = {
            let (publisher, way) = (self.clone(), line.clone());
            move || !publisher.gate.is_shut() && !way.is_shut() && (is_lasting || !way.has_left())
        };
        let (publisher, way) = (self.clone(), line.clone());
        line.post_event(&PUBLISHERS, is_wanted, move || publisher.pass(&way, || callback(&publisher)));
    }

    /// Runs a callback of the program, if one may start.
    pub(super) fn pass(&self, line: &Line, callback: impl FnOnce()) {
        line.pass(|| self.gate.pass(callback));
    }
}
