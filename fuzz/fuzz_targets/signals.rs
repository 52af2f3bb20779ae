//! A data packet of a stranger becomes a signal that a C string can carry; a signal that is allowed comes back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use opentok::signal::proto::DataPacket;
use opentok::signal::signals::{packet, read, validate};
use prost::Message as _;

fuzz_target!(|bytes: &[u8]| {
    if let Some(incoming) = DataPacket::decode(bytes).ok().and_then(|packet| read(&packet)) {
        assert!(!incoming.kind.contains('\0') && !incoming.data.contains('\0'));
    }
    let text = String::from_utf8_lossy(bytes).replace('\0', " ");
    let (kind, data) = text.split_once(' ').unwrap_or(("", &text));
    if validate(kind, data).is_ok() {
        let incoming = read(&packet(kind, data, vec![])).expect("a signal");
        assert_eq!((incoming.kind.as_str(), incoming.data.as_str()), (kind, data));
    }
});
