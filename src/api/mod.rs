//! What a handle stands for.
//!
//! Objects with an owner and a life: they take calls from any thread, keep what a getter answers, and say through an
//! observer what happened. No pointer of the C interface comes here, and no message of a server.
//! Read `session.rs` first.

pub mod error;
pub mod frame;
mod hub;
pub mod library;
pub mod logger;
pub mod session;
mod way;

pub use error::Error;
