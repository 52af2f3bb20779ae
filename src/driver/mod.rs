//! Threads, sockets, the clock, and the callback thread.
//!
//! The world around the core: what it wants done is done here, what happens is told to it. No decision about a session
//! is taken on this floor. Read `session.rs` first: it drives one core; `callbacks.rs` is the thread on which the
//! program's code runs.

pub mod callbacks;
mod interfaces;
pub mod session;
mod sockets;
