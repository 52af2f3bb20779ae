//! A whole session against a server that says anything: whatever comes, the callbacks stay lawful and the end comes once.
//!
//! The bytes are a script: a tag says what happens, for a message of the server its length and its bytes follow.
#![no_main]

use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use opentok::session::lawful::{Deed, Heard, Model};
use opentok::session::{Config, Core, Ending, Event, Input, Output, Signal, Target};

fuzz_target!(|script: &[u8]| {
    let config = Config { session_id: "room".into(), token: "token".into(), ..Config::default() };
    let mut core = Core::new(config);
    let mut model = Model::new(false);
    let mut now = Instant::now();
    model.did(Deed::Connect);
    core.handle(now, Input::Connect);
    let mut rest = script;
    while let Some((&tag, tail)) = rest.split_first() {
        rest = tail;
        listen(&mut core, &mut model);
        match tag % 8 {
            0 => core.handle(now, Input::LinkOpened),
            1 => core.handle(now, Input::LinkClosed(None)),
            2 => {
                now += Duration::from_millis(u64::from(tag) * 20);
                core.handle_timeout(now);
            }
            3 if !model.is_at_rest() => {
                model.did(Deed::Disconnect);
                core.handle(now, Input::Leave);
            }
            4 => {
                let (kind, data) = Default::default();
                let signal = Signal { kind, data, target: Target::Everyone, retry_after_reconnect: tag > 100 };
                core.handle(now, Input::Signal(signal));
            }
            _ => {
                let length = usize::from(rest.first().copied().unwrap_or(0)).min(rest.len());
                let (bytes, tail) = rest.split_at(length);
                rest = tail;
                core.handle(now, Input::Frame(bytes.to_vec()));
            }
        }
    }
    listen(&mut core, &mut model);
    if !model.is_at_rest() {
        model.did(Deed::Disconnect);
    }
    core.handle(now, Input::Leave);
    listen(&mut core, &mut model);
    assert!(model.is_at_rest(), "an end is owed");
    core.handle_timeout(now + Duration::from_secs(1));
    assert!(core.is_over());
});

fn listen(core: &mut Core, model: &mut Model) {
    while let Some(output) = core.poll() {
        let Output::Event(event) = output else { continue };
        match event {
            Event::Connected { .. } => model.heard(Heard::Connected),
            Event::ConnectionCreated(connection) => model.heard(Heard::ConnectionCreated(connection.id.clone())),
            Event::ConnectionDropped(connection) => model.heard(Heard::ConnectionDropped(connection.id.clone())),
            Event::StreamReceived(stream) => {
                let connection = stream.connection.id.clone();
                model.heard(Heard::StreamReceived { stream: stream.id.clone(), connection });
            }
            Event::StreamDropped(stream) => model.heard(Heard::StreamDropped(stream.id.clone())),
            Event::ReconnectionStarted => model.heard(Heard::ReconnectionStarted),
            Event::Reconnected { .. } => model.heard(Heard::Reconnected),
            Event::Warned(_) => model.heard(Heard::Error { fatal: false }),
            Event::Moved { .. } | Event::CapabilitiesChanged(_) => {}
            Event::Publisher { .. } | Event::Subscriber { .. } => {}
            Event::StreamChanged { .. }
            | Event::SignalReceived { .. }
            | Event::ArchiveStarted { .. }
            | Event::ArchiveStopped { .. }
            | Event::MuteForced { .. } => model.heard(Heard::Something),
            Event::Ended(Ending::Left | Ending::Removed) => model.heard(Heard::Disconnected),
            Event::Ended(Ending::Failed(_)) => model.heard(Heard::Error { fatal: true }),
            Event::Ended(Ending::Lost(_)) => {
                model.heard(Heard::Error { fatal: true });
                model.heard(Heard::Disconnected);
            }
        }
    }
}
