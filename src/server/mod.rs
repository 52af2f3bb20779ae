//! The mini SFU: the embedded hub and `otc serve`.
//!
//! Two halves. The core ([`core::Server`], with `room`, `participant`, `data` …) is a value: time, opened links,
//! bytes and closings come in; bytes and closings go out. It holds no socket, reads no clock and draws its ids from a
//! seed, so a whole conference runs in a test on made-up time. The other half (`actor`, `outbox`, `link`, `intake`, `http`,
//! [`hub`] …) owns the sockets and feeds the core from one task.
//!
//! It forwards data packets and media ([`media`]) and tells participants of each other. It deliberately keeps
//! nothing on disk and knows no other server: what must outlive the process is carried by the clients, which join the
//! next server under their old sids.
//!
//! LiveKit's words are used here: room, participant, identity. Read `core.rs` first, then `room.rs`.

mod actor;
mod allowance;
pub mod claims;
pub mod config;
pub mod core;
mod data;
mod http;
pub mod hub;
mod intake;
mod join;
mod link;
mod media;
mod news;
mod outbox;
mod participant;
mod peers;
mod process_sys;
mod queue;
mod requests;
mod room;
mod running;
pub mod service;
mod shared;
mod sids;
mod streams;
mod timers;
mod turns;
mod twirp;

pub use claims::{Admission, Locality, Refusal};
pub use config::Config;
pub use core::{Input, LinkId, Output, Server, StreamId, Worth};
pub use running::{Running, serve_tcp};
pub use shared::Counters;

#[cfg(test)]
mod core_tests;
#[cfg(test)]
mod media_tests;
#[cfg(test)]
mod peers_tests;
#[cfg(test)]
mod streams_tests;
