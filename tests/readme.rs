//! The program in README.md is the first thing a newcomer compiles: it compiles without a warning, and it does what it says.

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use common::{libraries, project};

const README: &str = include_str!("../README.md");

/// The program talks to a hub inside itself and ends at once; a busy machine may take longer.
const RUN_LIMIT: Duration = Duration::from_secs(30);

/// The text of the only block of this language.
fn only_block(language: &str) -> &'static str {
    let blocks: Vec<&str> = README.split("```").skip(1).step_by(2).collect();
    let mut found = blocks.iter().filter_map(|block| block.strip_prefix(language)?.strip_prefix('\n'));
    let block = found.next().unwrap_or_else(|| panic!("README.md has no block of {language}"));
    assert!(found.next().is_none(), "README.md has two blocks of {language}; this test knows one");
    block
}

fn compile(standard: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let source = folder.join(format!("readme-{standard}.c"));
    let program = folder.join(format!("readme-{standard}"));
    fs::write(&source, only_block("c")).expect("the folder for temporary files is ours");
    let library = libraries();
    let output = Command::new(env::var_os("CC").unwrap_or_else(|| "cc".into()))
        .args(["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-pthread"])
        .arg(format!("-std={standard}"))
        .arg(format!("-I{}", project().join("include").display()))
        .arg(&source)
        .arg(format!("-L{}", library.display()))
        // The old kind of path comes before LD_LIBRARY_PATH, in which cargo puts the folder of an earlier `cargo build` first.
        .arg(format!("-Wl,--disable-new-dtags,-rpath,{}", library.display()))
        .arg("-lopentok")
        .arg("-o")
        .arg(&program)
        .output()
        .expect("a C compiler is there");
    assert!(output.status.success(), "{standard}:\n{}", String::from_utf8_lossy(&output.stderr));
    program
}

#[test]
fn the_program_compiles_as_c99_and_c11_without_a_warning() {
    compile("c99");
    compile("c11");
}

#[test]
fn the_program_hears_its_own_greeting_on_the_embedded_hub() {
    let runtime = env::temp_dir().join(format!("otc-readme-{}", std::process::id()));
    {
        use std::os::unix::fs::DirBuilderExt;
        fs::DirBuilder::new().mode(0o700).create(&runtime).expect("the temporary folder can be made");
    }
    let token = Command::new(env!("CARGO_BIN_EXE_otc"))
        .args(["token", "--key", "demo", "--secret", "demo-secret", "--session", "lobby", "--data", "Ada"])
        .output()
        .expect("otc starts");
    assert!(token.status.success(), "{}", String::from_utf8_lossy(&token.stderr));
    let token = String::from_utf8(token.stdout).expect("a token is plain text");

    let mut command = Command::new(compile("gnu11"));
    for name in ["OTC_URL", "LIVEKIT_URL", "OTC_ABI", "OTC_API_SECRET"] {
        command.env_remove(name);
    }
    let mut child = command
        .args(["demo", "lobby", token.trim()])
        .env("XDG_RUNTIME_DIR", &runtime)
        .env("XDG_CONFIG_HOME", &runtime)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let deadline = Instant::now() + RUN_LIMIT;
    while child.try_wait().expect("a child of ours can be waited for").is_none() && Instant::now() < deadline
    {
        thread::sleep(Duration::from_millis(5));
    }
    let _ = child.kill();
    let output = child.wait_with_output().expect("its output can be read");
    let _ = fs::remove_dir_all(&runtime);
    let said = String::from_utf8_lossy(&output.stdout);
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert_eq!(said, only_block("text"), "it also said on standard error:\n{complaints}");
    assert!(output.status.success());
}
