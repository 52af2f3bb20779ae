//! The core: what a session is and how it changes.
//!
//! Time, bytes and wishes come in; bytes, deadlines and events go out. No socket, no thread, no clock, no random
//! number without a seed. One core object is one attempt to be in a session; connecting again makes a new one.
//! OpenTok's words are used here (session, connection, stream); `roster.rs` translates LiveKit's.
//! Read `event.rs` and `media.rs` for what comes out, then `core.rs`, then a session's life: `join.rs`, `signals.rs`, `delivery.rs`,
//! `publish.rs`, `sizes.rs`, `subscribe.rs`, `captions.rs`, `moderation.rs`, `reconnect.rs`, `resume.rs`, `migration.rs`,
//! `leave.rs`. By which ways media goes is `ice.rs` and `wires.rs`.

mod captions;
pub mod core;
mod delivery;
pub mod event;
pub mod fault;
pub mod ice;
mod join;
pub mod lawful;
mod leave;
mod live;
mod measure;
pub mod media;
mod members;
mod messages;
mod migration;
mod moderation;
mod publications;
mod publish;
mod reconnect;
mod resume;
mod roster;
mod sender_stats;
mod signals;
mod sizes;
mod streams;
mod subscribe;
mod subscriptions;
mod wires;

#[cfg(test)]
mod tests;

pub use core::{Addresses, Config, Core, Input, Output, Reach, Signal, Target};
pub use event::{Capabilities, Connection, Ending, Event, Stream, StreamChange, VideoType};
pub use fault::{Fault, Reason};
pub use join::{JOIN_TIMEOUT, SESSION_ID_LENGTH_MAX};
pub use leave::FAREWELL_TIMEOUT;
pub use moderation::Moderation;
pub use reconnect::{RECONNECT_PERIOD, RESUME_PERIOD};
pub use signals::QUEUE_LENGTH_MAX;
pub use wires::Way;
