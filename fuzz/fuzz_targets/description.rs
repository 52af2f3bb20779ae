//! A session description that a server or a client offers.
#![no_main]

use std::time::Instant;

use libfuzzer_sys::fuzz_target;
use opentok::rtc::Peer;

fuzz_target!(|text: &str| {
    let local = "127.0.0.1:4000".parse().expect("an address");
    let now = Instant::now();
    let mut peer = Peer::new(now, &[local]);
    if peer.accept_offer(now, text).is_ok() {
        while peer.poll().is_some() {}
    }
    let mut offerer = Peer::new(now, &[local]);
    let _ = offerer.offer(now);
    let _ = offerer.accept_answer(now, text);
});
