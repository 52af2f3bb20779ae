//! An address and a session id of a stranger: an address that was read reads the same from what it shows.
#![no_main]

use libfuzzer_sys::fuzz_target;
use opentok::signal::address::Address;

fuzz_target!(|text: &str| {
    for text in [text.to_owned(), format!("ws://{text}"), format!("wss://host/{text}")] {
        if let Ok(address) = Address::parse(&text) {
            assert_eq!(Address::parse(&address.to_string()), Ok(address));
        }
        let _ = Address::of_session_id(&text);
    }
});
