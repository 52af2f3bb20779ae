//! The request that opens the signalling connection: `GET /rtc?…` with the token in `Authorization`.
//!
//! LiveKit's first dialect: protocol number and wishes in the query, two peer connections. The parameters whose names
//! begin with `otc_` are this project's own; a LiveKit server ignores them.

use std::fmt;

use url::form_urlencoded;

/// The signalling protocol this library speaks: two peer connections, `LeaveRequest.action`, no single-connection join.
pub const PROTOCOL: u32 = 16;

/// A token that came in a query. It is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct QueryToken(pub String);

impl fmt::Debug for QueryToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("(secret)")
    }
}

/// What a client asks for when it opens the connection.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JoinQuery {
    pub protocol: u32,
    /// The client's kind, such as `cpp` or `python`; for the server's log only.
    pub sdk: String,
    pub version: String,
    pub auto_subscribe: bool,
    /// Resume the session of this participant sid (`reconnect=1&sid=…`).
    pub resume_sid: Option<String>,
    /// The room, where the token does not name it: a classic token of a session id that the path of the URL gives.
    pub room: Option<String>,
    /// The token in the query, as browsers send it. This library's client uses the header.
    pub access_token: Option<QueryToken>,
    /// Data packets may travel inside the signalling connection.
    pub inline_data: bool,
    /// With [`Self::resume_sid`]: how many reliable data packets have come inside the signalling connections, modulo 2³².
    pub received: Option<u32>,
    /// Join anew under the sid of a session that was lost with its server, so that others keep knowing this client.
    pub keep_sid: Option<String>,
    /// When the kept session began, in milliseconds since 1970.
    pub keep_created_ms: Option<i64>,
    /// A name by chance of the client's session, the same in each of its requests: by it the server knows that whoever asks
    /// for a sid is who had it. No secret; the token comes with it.
    pub client: Option<String>,
    /// The API key the program gave to its session. A token for another key is refused.
    pub api_key: Option<String>,
}

impl JoinQuery {
    /// The query string, without its `?` and without `access_token`: a secret has no place in a URL.
    pub fn encode(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("protocol", &self.protocol.to_string());
        query.append_pair("sdk", &self.sdk);
        query.append_pair("version", &self.version);
        query.append_pair("auto_subscribe", if self.auto_subscribe { "1" } else { "0" });
        if let Some(sid) = &self.resume_sid {
            query.append_pair("reconnect", "1").append_pair("sid", sid);
        }
        if self.inline_data {
            query.append_pair("otc_inline_data", "1");
        }
        let created = self.keep_created_ms.map(|ms| ms.to_string());
        let received = self.received.map(|count| count.to_string());
        let own = [
            ("otc_room", &self.room),
            ("otc_received", &received),
            ("otc_keep_sid", &self.keep_sid),
            ("otc_keep_created_ms", &created),
            ("otc_client", &self.client),
            ("otc_api_key", &self.api_key),
        ];
        for (name, value) in own {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        query.finish()
    }

    /// Reads a query string. Unknown parameters are skipped, unreadable numbers count as absent.
    pub fn decode(query: &str) -> Self {
        let mut join = Self { auto_subscribe: true, ..Self::default() };
        let mut reconnect = false;
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let value = value.into_owned();
            match &*name {
                "protocol" => join.protocol = value.parse().unwrap_or(0),
                "sdk" => join.sdk = value,
                "version" => join.version = value,
                "auto_subscribe" => join.auto_subscribe = is_true(&value),
                "reconnect" => reconnect = is_true(&value),
                "sid" => join.resume_sid = Some(value).filter(|sid| !sid.is_empty()),
                "access_token" => join.access_token = Some(QueryToken(value)),
                "otc_inline_data" => join.inline_data = is_true(&value),
                "otc_room" => join.room = Some(value),
                "otc_received" => join.received = value.parse().ok(),
                "otc_keep_sid" => join.keep_sid = Some(value),
                "otc_keep_created_ms" => join.keep_created_ms = value.parse().ok(),
                "otc_client" => join.client = Some(value),
                "otc_api_key" => join.api_key = Some(value),
                _ => {}
            }
        }
        if !reconnect {
            join.resume_sid = None;
        }
        join
    }
}

fn is_true(value: &str) -> bool {
    matches!(value, "1" | "true")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_comes_back_as_it_was() {
        let join = JoinQuery {
            protocol: PROTOCOL,
            sdk: "cpp".into(),
            version: "0.1.0".into(),
            auto_subscribe: false,
            resume_sid: Some("PA_1".into()),
            room: Some("a b&c=ü".into()),
            access_token: None,
            inline_data: true,
            received: Some(7),
            keep_sid: Some("PA_1".into()),
            keep_created_ms: Some(1_700_000_000_000),
            client: Some("0123456789abcdef".into()),
            api_key: Some("123".into()),
        };
        assert_eq!(JoinQuery::decode(&join.encode()), join);
    }

    #[test]
    fn a_sid_without_reconnect_is_a_new_join() {
        assert_eq!(JoinQuery::decode("sid=PA_1&protocol=9").resume_sid, None);
    }

    #[test]
    fn a_token_is_written_neither_into_a_url_nor_into_a_log() {
        let join = JoinQuery::decode("protocol=16&access_token=T0K3N");
        assert_eq!(join.access_token, Some(QueryToken("T0K3N".into())));
        assert!(!join.encode().contains("T0K3N"));
        assert!(!format!("{join:?}").contains("T0K3N"));
    }
}
