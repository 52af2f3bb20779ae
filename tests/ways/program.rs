//! Runs `tests/c/way.c`.

use std::ffi::OsStr;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::common::{Workshop, compile, project};
use crate::token::{KEY, SESSION};

/// Longer than the patience of the C program, so that its own words come first.
const LIMIT_S: &str = "60";

/// One run of the program.
pub struct Way {
    command: Command,
    /// Its runtime and configuration folder.
    pub folder: Workshop,
}

/// What it printed.
pub struct Told {
    pub lines: Vec<String>,
    /// What went to standard error: its log.
    pub log: String,
}

fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        compile(&project().join("tests/c/way.c"), Path::new(env!("CARGO_TARGET_TMPDIR")).join("c-way"))
    })
}

impl Way {
    /// With nothing configured: it leads to a hub of its own.
    pub fn new(mode: &str) -> Self {
        let folder = Workshop::new("way");
        std::fs::set_permissions(&folder.path, std::fs::Permissions::from_mode(0o700))
            .expect("our own folder");
        let mut command = Command::new("timeout");
        command.args(["-s", "ABRT", LIMIT_S]).arg(program()).arg(mode).stdin(Stdio::null());
        for name in [
            "OTC_URL",
            "OTC_ABI",
            "OTC_LOG",
            "OTC_API_SECRET",
            "LIVEKIT_URL",
            "SSL_CERT_FILE",
            "SSL_CERT_DIR",
        ] {
            command.env_remove(name);
        }
        command
            .env("XDG_RUNTIME_DIR", &folder.path)
            .env("XDG_CONFIG_HOME", &folder.path)
            .env("TEST_KEY", KEY)
            .env("TEST_SESSION", SESSION);
        Self { command, folder }
    }

    /// Where no hub can be: whoever connects has found the server.
    pub fn without_hub(mode: &str) -> Self {
        let way = Self::new(mode);
        let open_to_all = way.folder.path.join("openotc");
        std::fs::DirBuilder::new().mode(0o755).create(&open_to_all).expect("a folder in our own");
        std::fs::set_permissions(&open_to_all, std::fs::Permissions::from_mode(0o755))
            .expect("our own folder");
        way
    }

    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub fn env_remove(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// To its own end, which is a good one.
    #[track_caller]
    pub fn run(mut self) -> Told {
        let output = self.command.output().expect("timeout belongs to coreutils");
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        let lines: Vec<String> = String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
        assert!(output.status.success(), "{}\n{}\n{log}", output.status, lines.join("\n"));
        Told { lines, log }
    }
}

impl Told {
    /// It connected, as many times as it was to, and did nothing else.
    #[track_caller]
    pub fn is_connected(&self) {
        assert!(!self.lines.is_empty());
        for line in &self.lines {
            assert!(line.starts_with("connected as "), "{line}\n{}", self.log);
        }
    }

    /// It heard one error, with this code and a sentence in which these words are.
    #[track_caller]
    pub fn is_error(&self, code: u32, words: &[&str]) {
        assert_eq!(self.lines.len(), 1, "{:?}", self.lines);
        has_words(&self.lines[0], code, words);
    }
}

#[track_caller]
pub fn has_words(line: &str, code: u32, words: &[&str]) {
    assert!(line.starts_with(&format!("error {code}: ")), "error {code} was due: {line}");
    for word in words {
        assert!(line.contains(word), "{word:?} is not in: {line}");
    }
}
