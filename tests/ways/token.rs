//! Tokens of the three kinds, right but for what a test makes wrong.

use std::time::{SystemTime, UNIX_EPOCH};

use opentok::signal::token::{Access, Order, Role, classic, livekit, platform};

pub const KEY: &str = "100042";
pub const SECRET: &str = "a secret of the tests that is long enough";
pub const SESSION: &str = "1_meeting";

const HOUR_S: i64 = 3600;

#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Classic,
    Platform,
    LiveKit,
}

pub const KINDS: [Kind; 3] = [Kind::Classic, Kind::Platform, Kind::LiveKit];

#[derive(Clone, Copy)]
pub struct Wish<'a> {
    pub key: &'a str,
    pub secret: &'a str,
    pub session: &'a str,
    pub role: Role,
    /// Connection data, and LiveKit's identity too.
    pub data: &'a str,
    /// Made so long ago, to live for an hour.
    pub age_s: i64,
}

impl<'a> Wish<'a> {
    pub fn new(data: &'a str) -> Self {
        Self { key: KEY, secret: SECRET, session: SESSION, role: Role::Moderator, data, age_s: 0 }
    }

    pub fn make(&self, kind: Kind) -> String {
        let created_s = now_s() - self.age_s;
        let order = Order {
            api_key: self.key,
            secret: self.secret,
            session_id: self.session,
            role: self.role,
            connection_data: self.data,
            created_s,
            expires_s: created_s + HOUR_S,
            nonce: 1,
        };
        match kind {
            Kind::Classic => classic(&order),
            Kind::Platform => platform(&order),
            Kind::LiveKit => livekit(&Access {
                api_key: self.key,
                secret: self.secret,
                room: self.session,
                identity: self.data,
                name: "",
                metadata: self.data,
                grants: self.role.grants(),
                can_join: true,
                can_create_rooms: false,
                can_list_rooms: false,
                created_s,
                expires_s: created_s + HOUR_S,
            }),
        }
        .expect("a token")
    }
}

pub fn now_s() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_secs()).expect("seconds fit")
}

/// A good one.
pub fn good(data: &str) -> String {
    Wish::new(data).make(Kind::Classic)
}
