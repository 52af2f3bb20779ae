//! What a server is told when it starts, and the limits it keeps.

use std::net::SocketAddr;
use std::time::Duration;

use crate::signal::token::Secrets;

/// How often a client is to send a ping.
pub const PING_INTERVAL: Duration = Duration::from_secs(5);

/// Silence on an open link after which it counts as cut: two lost pings and some patience.
pub const PING_TIMEOUT: Duration = Duration::from_secs(15);

/// Silence after which a link gives way to one that claims the same sid with the same token: two missed pings. A client
/// whose old link died without a word does not have to wait for [`PING_TIMEOUT`].
pub const STALE_AFTER: Duration = Duration::from_secs(10);

/// How long a participant without a link stays in its room. Clients try to resume for 15 s; these are five more for the
/// last attempt.
pub const RESUME_HOLD_REMOTE: Duration = Duration::from_secs(20);

/// The same on the local socket, where a cut link means that the process at its other end died. A process that changes
/// its mind within the same breath is still served.
pub const RESUME_HOLD_LOCAL: Duration = Duration::from_secs(2);

/// How many data packets wait for a participant that is away. Beyond it the oldest is dropped: who comes back wants the
/// newest. As many as a client keeps for its own way out.
pub const QUEUE_PACKETS_MAX: usize = 1000;

/// How many bytes of them. A thousand of the largest packets would be 64 MB.
pub const QUEUE_BYTES_MAX: usize = 1 << 20;

/// The largest data packet that is forwarded, as encoded. LiveKit's own limit for the payload is about the same.
pub const DATA_SIZE_MAX: usize = 64 << 10;

/// The largest metadata, name or set of attributes a participant or a room may have, in bytes.
pub const METADATA_SIZE_MAX: usize = 64 << 10;

/// How much of a roster goes into one message. Clients that come back take the first for all who are there, so it holds as
/// much as possible; they take no message of four megabytes.
pub const ROSTER_SIZE_MAX: usize = 3 << 20;

/// Of how many participants that are gone a room remembers whose sids they were.
pub const GONE_MAX: usize = 512;

/// How long after sockets for media could not be opened it is tried again. A connection that is being made lasts longer.
pub const SOCKETS_PAUSE: Duration = Duration::from_secs(3);

/// For how many addresses it is remembered whose datagrams come from there. Two for each of thousands of LiveKit
/// clients. Beyond it those of who has come from yet another one are forgotten, and it is found again by its next check of a
/// path: a client that sends from ever new addresses costs time then, and not memory.
pub const ROUTES_MAX: usize = 16 << 10;

/// How long a LiveKit client may take until its connections are up. LiveKit's own servers are as patient.
pub const JOIN_LIMIT: Duration = Duration::from_secs(60);

/// How long a farewell is waited for when a client's connections are gone. It is on its way or will not come.
pub const FAREWELL_GRACE: Duration = Duration::from_secs(1);

/// How long an empty room stays, so that a conference whose last member reconnects finds its metadata again.
pub const ROOM_EMPTY_TIMEOUT: Duration = Duration::from_secs(20);

#[derive(Debug, Clone)]
pub struct Config {
    /// What signatures are checked with.
    pub secrets: Secrets,
    /// The largest number of connections in one room; `None` is no limit.
    pub connections_max: Option<u32>,
    pub room_empty_timeout: Duration,
    /// Where clients reach our UDP sockets. Without any, and without the next ones, LiveKit's can join, but neither send nor
    /// receive.
    pub udp_addresses: Vec<SocketAddr>,
    /// Where they may open streams for media. No UDP socket has one of these ports.
    pub tcp_addresses: Vec<SocketAddr>,
    /// They are opened when the first media connection is made, as [`super::Output::OpenSockets`] asks.
    pub opens_udp_on_demand: bool,
    /// Where [`super::serve_tcp`] is to take streams for media, at each address at which it has a UDP socket. 0 lets the system
    /// choose.
    pub media_tcp_port: Option<u16>,
    /// It has no UDP sockets.
    pub media_tcp_only: bool,
}

impl Config {
    /// Whether media can reach us.
    pub fn has_addresses(&self) -> bool {
        !self.udp_addresses.is_empty() || !self.tcp_addresses.is_empty()
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            secrets: Secrets::new(),
            connections_max: None,
            room_empty_timeout: ROOM_EMPTY_TIMEOUT,
            udp_addresses: Vec::new(),
            tcp_addresses: Vec::new(),
            opens_udp_on_demand: false,
            media_tcp_port: None,
            media_tcp_only: false,
        }
    }
}
