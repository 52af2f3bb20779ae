//! A message of the signalling connection in both directions: what was read comes back when it is written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use opentok::signal::frame::{FromClient, FromServer};

fuzz_target!(|bytes: &[u8]| {
    // Compared as bytes: a NaN inside a message is not equal to itself.
    if let Ok(Some(frame)) = FromClient::decode(bytes) {
        let written = frame.encode();
        let again = FromClient::decode(&written).expect("own bytes are readable").expect("a known message");
        assert_eq!(sorted(again.encode()), sorted(written));
    }
    if let Ok(Some(frame)) = FromServer::decode(bytes) {
        let written = frame.encode();
        let again = FromServer::decode(&written).expect("own bytes are readable").expect("a known message");
        assert_eq!(sorted(again.encode()), sorted(written));
    }
});

/// Maps are written in any order, so only the stock of bytes is the same.
fn sorted(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.sort_unstable();
    bytes
}
