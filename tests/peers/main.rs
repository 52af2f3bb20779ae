//! Sessions of C programs on real infrastructure.
//!
//! Every scenario is a trace: what a C program printed, callback by callback, compared word for word with the rows A to L of
//! the session's event rules. It runs on the embedded hub, on `otc serve` and on a real livekit-server.
//!
//! The tests that need an installed peer (livekit-server, LiveKit's Python clients) are ignored by `cargo test`;
//! `make test` installs the peers and runs everything. Read `connect.rs` first; `server.rs` and `child.rs` are the tools.

mod archive;
mod captions;
mod child;
#[path = "../common/mod.rs"]
mod common;
mod connect;
mod foreign;
mod harness;
mod interpreter;
mod loss;
mod media;
mod media_ours;
mod media_proxy;
mod media_sealed;
mod media_tcp;
mod migration;
mod moderation;
mod peers;
mod program_c;
mod proxy;
mod relay;
mod server;
mod strange;
mod token;
mod turn;
mod within;
