//! A trickled candidate, as JSON and as a line, and a peer connection that is told of it.
#![no_main]

use std::time::Instant;

use libfuzzer_sys::fuzz_target;
use opentok::rtc::{Peer, candidate_line};

fuzz_target!(|text: &str| {
    let line = candidate_line(text);
    let local = "127.0.0.1:4000".parse().expect("an address");
    let now = Instant::now();
    let mut peer = Peer::new(now, &[local]);
    for line in [line.as_deref().unwrap_or_default(), text] {
        let _ = peer.add_remote_candidate(now, line);
    }
});
