//! What the core says, on its way to the program: the program's own word comes first.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::super::count::Counted;
use super::super::line::Line;
use super::super::logger;
use super::{Inner, Notice, Phase, Publishing, Session, publisher};
use crate::driver::callbacks::Poster;
use crate::driver::session::Listener;
use crate::session::media::{Incoming, MediaFault, MediaReason, SubscriptionId};
use crate::session::{Capabilities, Connection, Ending, Event, Fault};

/// Hears one attempt's events and passes on what the program should hear.
pub(super) struct Ear {
    session: Arc<Session>,
    line: Line,
    has_asked: Arc<AtomicBool>,
    _talking: Counted,
}

impl Listener for Ear {
    fn event(&self, event: Event) {
        let _held = logger::hold();
        // The lock is held until the notice is queued: what a call answers and what is queued agree.
        let mut inner = self.session.inner.lock();
        let notice = match event {
            Event::Ended(ending) => return self.ended(&mut inner, ending),
            Event::Publisher { id, event } => return inner.publisher_event(id, event),
            Event::Subscriber { id, event } => return inner.subscriber_event(id, event),
            Event::CapabilitiesChanged(capabilities) => {
                inner.capabilities = capabilities;
                return;
            }
            Event::Moved { connection, capabilities } => {
                inner.connection = Some(connection);
                inner.capabilities = capabilities;
                return;
            }
            Event::Connected { connection, capabilities } => {
                inner.become_up(Phase::Connecting, connection, capabilities);
                Notice::Connected
            }
            Event::Reconnected { connection, capabilities } => {
                inner.become_up(Phase::Reconnecting, connection, capabilities);
                Notice::Reconnected
            }
            Event::ReconnectionStarted => {
                if inner.phase == Phase::Connected {
                    inner.phase = Phase::Reconnecting;
                }
                Notice::ReconnectionStarted
            }
            Event::ConnectionCreated(connection) => {
                inner.others.insert(connection.id.clone());
                Notice::ConnectionCreated(connection)
            }
            Event::ConnectionDropped(connection) => {
                inner.others.remove(&connection.id);
                Notice::ConnectionDropped(connection)
            }
            Event::StreamReceived(stream) => {
                inner.streams.insert(stream.id.clone());
                Notice::StreamReceived(stream)
            }
            Event::StreamDropped(stream) => {
                inner.streams.remove(&stream.id);
                Notice::StreamDropped(stream)
            }
            Event::StreamChanged { stream, change } => Notice::StreamChanged { stream, change },
            Event::SignalReceived { kind, data, from } => Notice::SignalReceived { kind, data, from },
            Event::ArchiveStarted { id, name } => Notice::ArchiveStarted { id, name },
            Event::ArchiveStopped { id } => Notice::ArchiveStopped { id },
            Event::MuteForced { active } => Notice::MuteForced { active },
            Event::Warned(Fault { reason, text }) => Notice::Error { reason, text },
        };
        let has_asked = self.has_asked.clone();
        // Asked again when its turn has come: the program may have left meanwhile.
        self.post(notice, move || !has_asked.load(Ordering::SeqCst));
    }

    fn media(&self, id: SubscriptionId, packet: Incoming) {
        let _held = logger::hold();
        let subscriber = self.session.inner.lock().subscribers.get(&id).cloned();
        if let Some(subscriber) = subscriber {
            subscriber.packet(id, packet);
        }
    }
}

impl Ear {
    pub fn new(session: &Arc<Session>, poster: Poster, has_asked: Arc<AtomicBool>) -> Self {
        let line = Line::new(poster, session.gate.clone());
        Self { session: session.clone(), line, has_asked, _talking: session.talking.count_in() }
    }

    fn ended(&self, inner: &mut Inner, ending: Ending) {
        // Whatever else went wrong at the same time is not told to the publishers either.
        let is_asked_for = inner.phase == Phase::Disconnecting;
        let error = |fault: Fault| Notice::Error { reason: fault.reason, text: fault.text };
        let notices = match (inner.phase, ending) {
            (Phase::Idle | Phase::Deleted, _) => vec![],
            // The program's own word comes first: whatever else went wrong at the same time is not told.
            (Phase::Disconnecting, _) => vec![Notice::Disconnected],
            (_, Ending::Left | Ending::Removed) => vec![Notice::Disconnected],
            (Phase::Connecting, Ending::Failed(fault) | Ending::Lost(fault)) => vec![error(fault)],
            (Phase::Connected | Phase::Reconnecting, Ending::Failed(fault) | Ending::Lost(fault)) => {
                vec![error(fault), Notice::Disconnected]
            }
        };
        if inner.phase != Phase::Deleted {
            inner.phase = Phase::Idle;
        }
        inner.attempt = None;
        inner.connection = None;
        for (id, subscriber) in inner.subscribers.drain() {
            subscriber.leave(id);
        }
        // Those that had not come as far as the core, which has told all others.
        for (id, Publishing { publisher, line, stream }) in inner.publishers.drain() {
            let is_told = !is_asked_for && publisher.publication() == Some(id);
            let last_word = match stream {
                // After a defect the core has told nobody.
                Some(stream) => Some(publisher::Notice::StreamDestroyed(stream)),
                None => is_told.then(|| {
                    let text = "the session ended before the stream was published";
                    publisher::Notice::Error(MediaFault::new(MediaReason::SessionDisconnected, text))
                }),
            };
            publisher.leave(id, Some((&line, last_word.into_iter().collect())));
        }
        inner.others = HashSet::new();
        inner.streams = HashSet::new();
        inner.capabilities = Capabilities::default();
        inner.queued = 0;
        for notice in notices {
            self.post(notice, || true);
        }
    }

    fn post(&self, notice: Notice, is_wanted: impl FnOnce() -> bool + Send + 'static) {
        if !self.session.observer.hears(&notice) {
            return;
        }
        let (session, line) = (self.session.clone(), self.line.clone());
        self.line.post(move || {
            line.pass(|| {
                if is_wanted() {
                    session.observer.notify(notice);
                }
            });
        });
    }
}

impl Inner {
    /// Connected, for the first time or again; unless the program has left meanwhile.
    fn become_up(&mut self, from: Phase, connection: Arc<Connection>, capabilities: Capabilities) {
        if self.phase == from {
            self.phase = Phase::Connected;
            self.connection = Some(connection);
            self.capabilities = capabilities;
            self.queued = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use parking_lot::Mutex;

    use super::super::super::publisher::Publisher;
    use super::super::{Observer, Settings};
    use super::*;
    use crate::driver::callbacks::Callbacks;
    use crate::media::Picture;
    use crate::session::media::PublicationId;
    use crate::session::{Reason, Stream};

    struct Ears(Mutex<mpsc::Sender<String>>);

    impl Ears {
        fn hear(&self, notice: String) {
            let word = notice.split(['(', ' ']).next().unwrap_or_default().to_owned();
            self.0.lock().send(word).expect("the test listens");
        }
    }

    impl Observer for Ears {
        fn notify(&self, notice: Notice) {
            self.hear(format!("{notice:?}"));
        }
        fn hears(&self, _: &Notice) -> bool {
            true
        }
    }

    impl publisher::Observer for Ears {
        fn notify(&self, notice: publisher::Notice) {
            self.hear(format!("{notice:?}"));
        }
        fn render(&self, _: Picture) {}
        fn renders(&self) -> bool {
            false
        }
        fn hears(&self, _: &publisher::Notice) -> bool {
            true
        }
    }

    #[test]
    fn a_stream_that_was_there_ends_also_where_the_core_did_not_come_to_say_so() {
        let callbacks = Callbacks::start(&mut None).expect("a thread");
        let (words, heard) = mpsc::channel();
        let ears = Arc::new(Ears(Mutex::new(words)));
        let session = Session::new("key".into(), "id".into(), Settings::default(), ears.clone());
        let settings = publisher::Settings { has_video: false, ..publisher::Settings::default() };
        let publisher = Publisher::new(settings, ears);
        let ear = Ear::new(&session, callbacks.poster(), Arc::default());
        {
            let mut inner = session.inner.lock();
            inner.phase = Phase::Connected;
            let line = Line::new(callbacks.poster(), session.gate.clone());
            let publishing = Publishing { publisher, line, stream: Some(Arc::new(Stream::example())) };
            inner.publishers.insert(PublicationId(1), publishing);
        }
        let fault = Fault::new(Reason::Internal, "a defect");
        ear.event(Event::Ended(Ending::Lost(fault)));
        assert!(callbacks.stop(Duration::from_secs(10)).is_none());
        drop(ear);
        drop(session);
        assert_eq!(heard.try_iter().collect::<Vec<_>>(), ["StreamDestroyed", "Error", "Disconnected"]);
    }
}
