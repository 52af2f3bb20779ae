//! Tokens made without the library's help, good ones and bad ones.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;

pub const KEY: &str = "peerskey";
/// Longer than 32 characters: livekit-server complains about shorter ones.
pub const SECRET: &str = "a-secret-of-the-tests-that-is-long-enough";

const HOUR_SECONDS: i64 = 3600;

pub struct Claims {
    pub key: String,
    pub secret: String,
    pub session: String,
    /// Connection data, and on LiveKit the identity too: one name for one client.
    pub name: String,
    pub expires_in_seconds: i64,
    /// LiveKit tokens only, as the next one.
    pub may_signal: bool,
    pub is_moderator: bool,
    /// livekit-server takes transcriptions as packets from agents only.
    pub is_agent: bool,
    /// Hidden, and the session counts as recorded while it is there.
    pub is_recorder: bool,
}

impl Claims {
    pub fn new(session: &str, name: &str) -> Self {
        Self {
            key: KEY.to_owned(),
            secret: SECRET.to_owned(),
            session: session.to_owned(),
            name: name.to_owned(),
            expires_in_seconds: HOUR_SECONDS,
            may_signal: true,
            is_moderator: false,
            is_agent: false,
            is_recorder: false,
        }
    }

    /// A LiveKit access token.
    pub fn livekit(&self) -> String {
        let now = now_seconds();
        let header = json!({ "alg": "HS256", "typ": "JWT" });
        let claims = json!({
            "iss": self.key,
            "sub": self.name,
            "nbf": now - HOUR_SECONDS,
            "exp": now + self.expires_in_seconds,
            "metadata": self.name,
            "kind": if self.is_agent { "agent" } else { "standard" },
            "video": {
                "roomJoin": true,
                "room": self.session,
                "canPublishData": self.may_signal,
                "roomAdmin": self.is_moderator,
                "recorder": self.is_recorder,
                "hidden": self.is_recorder,
            },
        });
        let encode = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(header), encode(claims));
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.secret.as_bytes());
        let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&key, signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    /// A classic OpenTok token. The name must need no form encoding.
    pub fn classic(&self) -> String {
        let now = now_seconds();
        let data = format!(
            "session_id={}&create_time={}&expire_time={}&role=publisher&nonce=1&connection_data={}",
            self.session,
            now - HOUR_SECONDS,
            now + self.expires_in_seconds,
            self.name
        );
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, self.secret.as_bytes());
        let signature: String =
            hmac::sign(&key, data.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let decoded = format!("partner_id={}&sig={signature}:{data}", self.key);
        format!("T1=={}", STANDARD.encode(decoded))
    }
}

fn now_seconds() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
    i64::try_from(since.as_secs()).expect("seconds fit")
}
