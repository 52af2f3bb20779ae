//! What a TURN server answers, to a peer connection that may go through it alone.
#![no_main]

use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use opentok::rtc::{Datagram, Output, Peer, RelayPath};

/// The kind of a message and its length come before the id of the request that it answers (RFC 8489 section 5).
const ID: std::ops::Range<usize> = 4..20;

fuzz_target!(|answers: Vec<&[u8]>| {
    let (base, server) = (([10, 0, 0, 1], 4000).into(), ([10, 0, 0, 2], 3478).into());
    let mut now = Instant::now();
    let path = RelayPath { base, server, user: "user".into(), credential: "word".into() };
    let mut peer = Peer::relayed(now, &[path]);
    let mut id = None;
    for answer in answers {
        while let Some(output) = peer.poll() {
            if let Output::Transmit(request) = output {
                id = request.bytes.get(ID).map(<[u8]>::to_vec);
            }
        }
        let mut bytes = answer.to_vec();
        if let (Some(place), Some(id)) = (bytes.get_mut(ID), &id) {
            place.copy_from_slice(id);
        }
        peer.handle_datagram(now, Datagram { local: base, remote: server, bytes });
        now += Duration::from_millis(60);
        peer.handle_timeout(now);
    }
});
