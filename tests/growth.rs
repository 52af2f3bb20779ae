//! Short forms of the measuring programs in `benches`: numbers of threads, descriptors and objects come back exactly, and
//! growth has a limit that is loose enough for a debug build on a busy machine. The figures themselves come from the
//! long forms, see `benches/README.md`.

mod common;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use common::{Workshop, compile, libraries, project};

/// Longer than the patience of a measuring program, so that its own words come first.
const LIMIT_S: &str = "120";

fn measure(program: &str, arguments: &[&str]) {
    let source = project().join(format!("benches/{program}.c"));
    let name = [&["growth", program], arguments].concat().join("-");
    let compiled = compile(&source, Path::new(env!("CARGO_TARGET_TMPDIR")).join(name));
    let runtime = Workshop::new("growth");
    std::fs::set_permissions(&runtime.path, std::fs::Permissions::from_mode(0o700)).expect("its own folder");
    let output = Command::new("timeout")
        .args(["-s", "ABRT", LIMIT_S])
        .arg(&compiled)
        .args(arguments)
        .env_remove("OTC_URL")
        .env_remove("OTC_ABI")
        .env_remove("OTC_LOG")
        .env_remove("OTC_API_SECRET")
        .env_remove("LIVEKIT_URL")
        // Otherwise what each thread keeps of freed memory counts as in use.
        .env("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0")
        .env("XDG_RUNTIME_DIR", &runtime.path)
        .env("XDG_CONFIG_HOME", &runtime.path)
        .env("TEST_LIBRARY", libraries().join("libopentok.so"))
        .stdin(Stdio::null())
        .output()
        .expect("timeout belongs to coreutils");
    let said = String::from_utf8_lossy(&output.stdout);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {}\n{said}{told}", output.status);
}

/// Bytes per cycle. Anything that a session is made of is larger; what grows once and then no more is smaller, spread
/// over so many cycles.
const CYCLE_LIMIT: &str = "200";

#[test]
fn cycles_with_a_disconnect_leave_nothing() {
    measure("cycles", &["disconnect", "2000", CYCLE_LIMIT]);
}

#[test]
fn cycles_without_a_disconnect_leave_nothing() {
    measure("cycles", &["delete", "2000", CYCLE_LIMIT]);
}

#[test]
fn cycles_that_are_refused_leave_nothing() {
    measure("cycles", &["refused", "2000", CYCLE_LIMIT]);
}

#[test]
fn cycles_of_one_object_leave_nothing() {
    measure("cycles", &["again", "2000", CYCLE_LIMIT]);
}

/// Bytes per cycle: less than a subscriber, which is the smallest of what a cycle makes, and more than what grows once,
/// spread over so few cycles.
#[test]
fn streams_that_come_and_go_leave_nothing() {
    measure("streams", &["300", "1000"]);
}

/// Bytes per round: less than anything that a thread leaves, and more than what grows once.
#[test]
fn rounds_of_dlopen_use_destroy_and_dlclose_leave_nothing() {
    measure("dlopen", &["100", "5000"]);
}

/// The limit is the goal for a thousand sessions of the release library.
#[test]
fn sessions_are_small_and_take_no_thread() {
    measure("sessions", &["100", "10", "here", "100000"]);
    measure("sessions", &["100", "10", "elsewhere", "100000"]);
}
