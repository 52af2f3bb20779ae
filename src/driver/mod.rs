//! Threads, sockets, the clock, and the callback thread.
//!
//! The world around the core: what it wants done is done here, what happens is told to it. No decision about a session
//! is taken on this floor.
//!
//! Read `session.rs` first: it drives one core; `callbacks.rs` is the thread on which the program's code runs. The way
//! to a server, in reading order: `place` (where is it?), `dial` (the connection, with `names`, `connect`, `proxy`, `tls`
//! and `http` as its steps), `link` (the WebSocket in use), `wire` (the bytes below it). `service` goes the same way to ask the
//! server's own interface. Media goes by `sockets`, with `relays` where it goes through TURN servers and
//! `media_stream` where it goes by TCP, which `proxy` may stand before as well.

pub mod callbacks;
pub mod camera;
mod connect;
pub mod dial;
pub mod fork_sys;
pub mod framing;
mod http;
mod interfaces;
pub mod link;
pub mod media_stream;
pub mod names;
pub mod place;
pub mod proxy;
#[cfg(test)]
mod proxy_tests;
mod relays;
pub mod service;
pub mod session;
pub mod signals_sys;
mod sockets;
pub mod sound;
pub mod sound_in;
pub mod threads;
mod threads_sys;
mod timed;
pub mod tls;
pub mod video_counters;
pub mod video_in;
pub mod video_out;
pub mod wire;
pub mod workers;
