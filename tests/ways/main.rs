//! Every way in which a C program gets into a session: which variable, file or URL leads where, TLS, proxies, tokens of
//! all kinds, and the hub's directory.
//!
//! One C program (`tests/c/way.c`) goes all of them and prints what came of it; here its lines are compared. The server is
//! the library's own, in the test's process and on loopback. Read `program.rs` first.
//!
//! What is not tested here: servers that are none (`tests/peers/strange.rs`), and real ones (`tests/peers`).

#[path = "../common/mod.rs"]
mod common;
mod garbage;
mod hub;
mod media;
mod moderation;
mod program;
mod proxy;
mod roads;
mod server;
mod tls;
mod token;
mod tokens;
