//! A token of a stranger, whole and as the content of each kind's envelope: the fuzzer cannot guess base64.
#![no_main]

use libfuzzer_sys::fuzz_target;
use opentok::signal::token::{Secrets, Signature, Token};

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    try_token(&text);
    try_token(&format!("T1=={}", base64(bytes, STANDARD)));
    let empty_tag = "0".repeat(40);
    try_token(&format!("T1=={}", base64(format!("partner_id=1&sig={empty_tag}:{text}").as_bytes(), STANDARD)));
    for header in [r#"{"alg":"HS256"}"#, r#"{"alg":"RS256"}"#] {
        try_token(&format!("{}.{}.", base64(header.as_bytes(), URL), base64(bytes, URL)));
    }
    try_token(&format!("{}.e30.", base64(bytes, URL)));
});

fn try_token(text: &str) {
    if let Ok(token) = Token::parse(text) {
        let _ = token.verify(0, None, &Secrets::new(), Signature::IfSecretKnown);
        let _ = token.verify(i64::MAX, Some("1"), &Secrets::for_any_key("x"), Signature::Required);
    }
}

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Without padding, which both readers accept.
fn base64(bytes: &[u8], alphabet: &[u8; 64]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0u32, |group, byte| group << 8 | u32::from(*byte));
        let group = group << (8 * (3 - chunk.len()));
        for index in 0..=chunk.len() {
            text.push(alphabet[(group >> (18 - 6 * index)) as usize & 63].into());
        }
    }
    text
}
