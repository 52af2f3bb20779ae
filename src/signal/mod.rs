//! LiveKit's signalling: messages, addresses and tokens as values.
//!
//! Bytes in, values out, and back. No socket, no clock, no state: what the messages mean for a session is
//! decided in `session`, what they mean for a room in `server`.
//! Read `frame.rs` first: one WebSocket message is one [`frame`].

pub mod address;
pub mod captions;
pub mod frame;
pub mod join;
pub mod mute_mode;
pub mod sender_stats;
pub mod service;
pub mod signals;
pub mod token;

pub use livekit_protocol as proto;
