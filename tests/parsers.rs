//! What strangers send to the signalling connection never panics, and what was read comes back when it is written.
//! `fuzz/` asks the same for hours; tokens, signals and addresses have such tests beside their code.

use opentok::signal::frame::{FromClient, FromServer};
use opentok::signal::join::JoinQuery;
use proptest::prelude::*;

/// Bytes that get past the first field more often than chance: field numbers of the protocol and its extension.
fn message_bytes() -> impl Strategy<Value = Vec<u8>> {
    let tag = prop::sample::select(vec![0x0a, 0x12, 0x1a, 0x22, 0x2a, 0x32, 0x48, 0x72, 0xc2, 0x3e, 0xc8]);
    let field = (tag, prop::collection::vec(0u8..32, 0..12));
    prop::collection::vec(field, 0..4).prop_map(|fields| {
        fields
            .into_iter()
            .flat_map(|(tag, content)| [tag, content.len() as u8].into_iter().chain(content))
            .collect()
    })
}

/// Maps are written in any order, so only the stock of bytes is the same.
fn sorted(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.sort_unstable();
    bytes
}

proptest! {
    #[test]
    fn arbitrary_frames_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = FromClient::decode(&bytes);
        let _ = FromServer::decode(&bytes);
    }

    #[test]
    fn a_frame_that_was_read_comes_back(bytes in message_bytes()) {
        if let Ok(Some(frame)) = FromClient::decode(&bytes) {
            let written = frame.encode();
            let again = FromClient::decode(&written).expect("own bytes").expect("a known message");
            prop_assert_eq!(sorted(again.encode()), sorted(written));
        }
        if let Ok(Some(frame)) = FromServer::decode(&bytes) {
            let written = frame.encode();
            let again = FromServer::decode(&written).expect("own bytes").expect("a known message");
            prop_assert_eq!(sorted(again.encode()), sorted(written));
        }
    }

    #[test]
    fn a_query_that_was_read_comes_back(
        text in ".{0,100}",
        pairs in prop::collection::vec(
            (
                "protocol|sdk|version|auto_subscribe|reconnect|sid|otc_(room|received|keep_sid|keep_created_ms|api_key)",
                "[ -~]{0,8}|1",
            ),
            0..8,
        ),
    ) {
        let query: Vec<String> = pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        for query in [text, query.join("&")] {
            let join = JoinQuery { access_token: None, ..JoinQuery::decode(&query) };
            prop_assert_eq!(JoinQuery::decode(&join.encode()), join);
        }
    }
}
