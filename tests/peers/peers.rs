//! Where `install.sh` has put the real peers, and how they are started.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::child::{Program, tied};
use crate::server::Server;
use crate::token;

/// The same three places in the same order as `versions.sh`.
fn cache() -> PathBuf {
    let named = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    named("OTC_PEERS_CACHE")
        .or_else(|| named("XDG_CACHE_HOME").map(|folder| folder.join("openotc-peers")))
        .or_else(|| named("HOME").map(|folder| folder.join(".cache/openotc-peers")))
        .expect("HOME is set")
}

fn installed(path: &str) -> PathBuf {
    let path = cache().join(path);
    assert!(path.exists(), "{} is missing: run tests/peers/install.sh, or `make test`", path.display());
    path
}

pub fn livekit_server() -> PathBuf {
    installed("livekit-server/livekit-server")
}

fn python(script: &str) -> Command {
    let mut command = tied(&installed("python/bin/python"));
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers").join(script));
    command
}

/// LiveKit's Python client that publishes the mark: it says `published` when others can subscribe.
pub fn publish(server: &Server, room: &str, name: &str, options: &[&str]) -> Program {
    let token = token::Claims::new(room, name).livekit();
    Program::start(name, python("media/publish.py").args([server.url(), token]).args(options))
}

/// LiveKit's Python client that watches everybody. It has not yet said `connected`.
pub fn subscribe(server: &Server, room: &str, name: &str, options: &[&str]) -> Program {
    let token = token::Claims::new(room, name).livekit();
    Program::start(name, python("media/subscribe.py").args([server.url(), token]).args(options))
}

/// One browser at a time: it draws, encodes and decodes on the processors alone, and two of them leave little to each other.
pub fn browser_turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner) // a test that failed has ended its browser
}

/// LiveKit's JavaScript client in a browser, which publishes the mark when asked, and watches everybody.
pub fn browser(server: &Server, room: &str, name: &str, options: &[&str]) -> Program {
    let token = token::Claims::new(room, name).livekit();
    let client = installed("livekit-client/livekit-client.umd.js");
    let mut command = python("media/browser.py");
    Program::start(name, command.arg(client).args([server.url(), token]).args(options))
}

/// LiveKit's Python client in a room. It has not yet said `connected`.
pub fn client(server: &Server, room: &str, name: &str) -> Program {
    let token = token::Claims::new(room, name).livekit();
    Program::start(name, python("client.py").args([server.url(), token]))
}

/// The same as an agent.
pub fn agent(server: &Server, room: &str, name: &str) -> Program {
    let claims = token::Claims { is_agent: true, ..token::Claims::new(room, name) };
    Program::start(name, python("client.py").args([server.url(), claims.livekit()]))
}

/// One call of LiveKit's server API client.
pub fn admin(server: &Server, words: &[&str]) {
    let output = python("admin.py")
        .args([&server.api_url(), token::KEY, token::SECRET])
        .args(words)
        .output()
        .expect("python starts");
    assert!(
        output.status.success(),
        "the server API refuses {words:?}:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
