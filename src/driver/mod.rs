//! Threads, sockets, the clock and the callback thread.
//!
//! The way to a server, in reading order: `place` (where is it?), `dial` (the connection, with `connect`, `proxy`,
//! `tls` and `http` as its steps), `link` (the WebSocket in use), `wire` (the bytes below it).

mod connect;
pub mod dial;
mod http;
pub mod link;
pub mod place;
pub mod proxy;
mod tls;
pub mod wire;
