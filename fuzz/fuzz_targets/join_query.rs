//! The query of a join: what was read comes back when it is written and read again, the token excepted.
#![no_main]

use libfuzzer_sys::fuzz_target;
use opentok::signal::join::JoinQuery;

fuzz_target!(|query: &str| {
    let join = JoinQuery { access_token: None, ..JoinQuery::decode(query) };
    assert_eq!(JoinQuery::decode(&join.encode()), join);
});
