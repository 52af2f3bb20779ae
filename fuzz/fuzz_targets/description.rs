//! A session description that a server or a client offers or answers, to a peer that sends media too.
#![no_main]

use std::time::Instant;

use libfuzzer_sys::fuzz_target;
use opentok::rtc::{Layer, MediaKind, Peer, Sending};

fn sending(kind: MediaKind, layers: &[&str]) -> Sending {
    Sending {
        kind,
        codecs: Vec::new(),
        stream_id: "stream".into(),
        track_id: "track".into(),
        layers: layers.iter().map(|name| Layer::new(name)).collect(),
        is_stereo: true,
        uses_dtx: true,
    }
}

fuzz_target!(|text: &str| {
    let local = "127.0.0.1:4000".parse().expect("an address");
    let now = Instant::now();
    let mut peer = Peer::new(now, &[local]);
    for (kind, layers) in [(MediaKind::Audio, &[][..]), (MediaKind::Video, &["q", "h", "f"])] {
        let _ = peer.add_sending(now, &sending(kind, layers));
    }
    if peer.accept_offer(now, text).is_ok() {
        while peer.poll().is_some() {}
        let _ = peer.offer(now);
        let _ = peer.accept_answer(now, text);
        let _ = peer.accept_offer(now, text);
    }
    let mut offerer = Peer::new(now, &[local]);
    let _ = offerer.add_sending(now, &sending(MediaKind::Video, &["q", "f"]));
    let _ = offerer.offer(now);
    let _ = offerer.accept_answer(now, text);
});
