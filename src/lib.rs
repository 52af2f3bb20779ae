//! The open OpenTok client library for Linux.
//!
//! The floors, from the C interface down; a floor uses what is below it, never what is above:
//!
//! * [`ffi`]: pointers to values and back, the only `unsafe`
//! * [`api`]: what a handle stands for
//! * [`driver`]: threads, sockets, the clock, the callback thread; [`server`] stands beside it
//! * [`session`]: what a session is and how it changes; no I/O, no clock
//! * [`signal`], [`rtc`], [`media`]: LiveKit's messages, a peer connection as a value, frames and samples
//!
//! Read `session/mod.rs` first: the rest serves it.

pub mod api;
pub mod driver;
pub mod ffi;
pub mod media;
pub mod rtc;
pub mod server;
pub mod session;
pub mod signal;
