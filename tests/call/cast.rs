//! Who plays: the server as it is configured, and the clients with their tokens.

use std::net::SocketAddr;

use opentok::server;
use opentok::session::Config;
use opentok::signal::token::{Order, Role, Secrets, classic};

use crate::client::Client;
use crate::network::Random;

pub const CLIENTS: usize = 4;
pub const SESSION: &str = "1_simulated";
const KEY: &str = "12345";
const SECRET: &str = "not a secret";

/// 2023-11-14, in milliseconds: when the simulation begins.
pub const EPOCH_MS: i64 = 1_700_000_000_000;

pub fn config() -> server::Config {
    let mut secrets = Secrets::new();
    secrets.add(KEY, SECRET);
    let udp_addresses = vec![SocketAddr::from(([10, 0, 0, 1], 7882))];
    server::Config { secrets, udp_addresses, ..server::Config::default() }
}

pub fn client(random: &mut Random, number: usize) -> Client {
    // One in a few has a token that is not accepted.
    let secret = if random.one_in(12) { "wrong" } else { SECRET };
    let role = if random.one_in(5) { Role::Moderator } else { Role::Publisher };
    let token = classic(&Order {
        api_key: KEY,
        secret,
        session_id: SESSION,
        role,
        connection_data: &format!("client {number}"),
        created_s: EPOCH_MS / 1000,
        expires_s: EPOCH_MS / 1000 + 3600,
        nonce: number as u64,
    })
    .expect("a token");
    Client::new(Config {
        session_id: SESSION.into(),
        room: Some(SESSION.into()),
        api_key: KEY.into(),
        token,
        connection_events_suppressed: random.one_in(6),
        seed: 0,
        ..Config::default()
    })
}
