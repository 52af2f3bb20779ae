//! Data packets of strangers, one after the other, become captions that a C string can carry, and nothing grows.
//!
//! The bytes are a script: a length, then so many bytes of a packet.
#![no_main]

use libfuzzer_sys::fuzz_target;
use opentok::signal::captions::{Captions, TEXT_SIZE_MAX};
use opentok::signal::mute_mode;
use opentok::signal::proto::DataPacket;
use opentok::signal::sender_stats;
use prost::Message as _;

/// What replaces a byte that is no UTF-8, or a NUL, is that much longer.
const REPLACEMENT_SIZE: usize = '\u{fffd}'.len_utf8();

fuzz_target!(|script: &[u8]| {
    let mut captions = Captions::default();
    let mut rest = script;
    while let Some((&length, tail)) = rest.split_first() {
        let (bytes, tail) = tail.split_at(usize::from(length).min(tail.len()));
        rest = tail;
        let Ok(packet) = DataPacket::decode(bytes) else { continue };
        let _ = sender_stats::read(&packet);
        for caption in captions.read(&packet) {
            assert!(!caption.text.is_empty() && !caption.text.contains('\0'));
            assert!(caption.text.len() <= TEXT_SIZE_MAX * REPLACEMENT_SIZE);
        }
    }
    let metadata = String::from_utf8_lossy(script);
    assert!(mute_mode::is_on(&mute_mode::switched(&metadata, true)));
    assert!(!mute_mode::is_on(&mute_mode::switched(&metadata, false)) || metadata.contains("otc.metadata"));
});
