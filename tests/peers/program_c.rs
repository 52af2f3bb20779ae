//! Programs in C that use the library as a stranger would: by its header and by `-lopentok`.

use std::collections::HashMap;
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock};

use crate::child::{Program, tied};
use crate::server::Server;
use crate::token;

/// Starts `trace.c` for one session.
pub fn trace(server: &Server, room: &str, name: &str) -> Program {
    let mut command = tied(&compiled("tests/peers/trace.c"));
    server.configure(&mut command);
    Program::start(name, command.args([token::KEY, room]))
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
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let name = source.replace(['/', '.'], "_");
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let library = library_folder();
    let output = Command::new(env::var_os("CC").unwrap_or_else(|| "cc".into()))
        .args(["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-pthread"])
        .arg(format!("-I{}", root.join("include").display()))
        .arg("-o")
        .arg(&program)
        .arg(root.join(source))
        .arg(format!("-L{}", library.display()))
        // The old kind of path comes before LD_LIBRARY_PATH, in which cargo puts the folder of an earlier `cargo build` first.
        .arg(format!("-Wl,--disable-new-dtags,-rpath,{}", library.display()))
        .arg("-lopentok")
        .output()
        .expect("a C compiler is there");
    assert!(output.status.success(), "{source}:\n{}", String::from_utf8_lossy(&output.stderr));
    done.insert(source.to_owned(), program.clone());
    program
}

/// The folder of the shared library that was built together with this test.
fn library_folder() -> PathBuf {
    let this = env::current_exe().expect("a process knows its program");
    let folder = this.parent().expect("a program is in a folder").to_owned();
    assert!(folder.join("libopentok.so").exists(), "no libopentok.so in {}", folder.display());
    folder
}
