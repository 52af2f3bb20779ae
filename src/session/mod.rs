//! The core: what a session is and how it changes.
//!
//! Time, bytes and wishes come in; bytes, deadlines and events go out. No socket, no thread, no clock, no random
//! number without a seed. One core object is one attempt to be in a session; connecting again makes a new one.
//! OpenTok's words are used here (session, connection, stream); `roster.rs` translates LiveKit's.
//! Read `event.rs` for what comes out.

pub mod event;
pub mod fault;

pub use event::{Capabilities, Connection, Event, Stream, StreamChange, VideoType};
pub use fault::{Fault, Reason};
