//! Programs in C that use the library as a stranger would: by its header and by `-lopentok`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock};

use crate::child::{Program, tied};
use crate::common::{compile, project};
use crate::server::Server;
use crate::token;

/// Starts `trace.c` for one session.
pub fn trace(server: &Server, room: &str, name: &str) -> Program {
    let mut command = tied(&compiled("tests/peers/trace.c"));
    server.configure(&mut command);
    Program::start(name, command.args([token::KEY, room]))
}

/// The same with something in its environment that `trace.c` knows.
pub fn trace_with(server: &Server, room: &str, name: &str, variables: &[(&str, &str)]) -> Program {
    let mut command = tied(&compiled("tests/peers/trace.c"));
    server.configure(&mut command);
    Program::start(name, command.envs(variables.iter().copied()).args([token::KEY, room]))
}

/// Starts `media.c` for one session.
pub fn film(server: &Server, room: &str, name: &str) -> Program {
    film_through(server, room, name, &[])
}

/// The same through a TURN server and no other way: its address, user and password, and where it has a certificate whose
/// authority nobody knows, the file with that. `none` for the server of the session.
pub fn film_through(server: &Server, room: &str, name: &str, turn: &[&str]) -> Program {
    film_by(None, server, room, name, turn)
}

/// The same with a proxy in the settings.
pub fn film_by_proxy(proxy: &str, server: &Server, room: &str, name: &str, turn: &[&str]) -> Program {
    film_by(Some(proxy), server, room, name, turn)
}

fn film_by(proxy: Option<&str>, server: &Server, room: &str, name: &str, turn: &[&str]) -> Program {
    let mut command = tied(&compiled("tests/peers/media.c"));
    server.configure(&mut command);
    command.envs(proxy.map(|url| ("MEDIA_PROXY", url)));
    if proxy.is_some() || !turn.is_empty() {
        command.env("OTC_LOG", "debug");
    }
    if let Some(trusted) = turn.get(3) {
        command.env("SSL_CERT_FILE", trusted);
    }
    Program::start(name, command.args([token::KEY, room]).args(turn.iter().take(3)))
}

/// The same at an address that is no [`Server`].
pub fn trace_at(url: &str, room: &str, name: &str) -> Program {
    let mut command = tied(&compiled("tests/peers/trace.c"));
    point_away(&mut command);
    Program::start(name, command.env("OTC_URL", url).args([token::KEY, room]))
}

/// Takes from a command what the caller's environment says about where sessions are.
pub fn point_away(command: &mut Command) {
    for name in ["OTC_URL", "LIVEKIT_URL", "OTC_ABI", "OTC_API_SECRET"] {
        command.env_remove(name);
    }
}

/// Compiles a source file of the repository, once for all tests of this process.
pub fn compiled(source: &str) -> PathBuf {
    static DONE: OnceLock<Mutex<HashMap<String, PathBuf>>> = OnceLock::new();
    let mut done = DONE.get_or_init(Mutex::default).lock().expect("no compilation has panicked");
    if let Some(program) = done.get(source) {
        return program.clone();
    }
    let name = source.replace(['/', '.'], "_");
    let program = compile(&project().join(source), Path::new(env!("CARGO_TARGET_TMPDIR")).join(name));
    done.insert(source.to_owned(), program.clone());
    program
}
