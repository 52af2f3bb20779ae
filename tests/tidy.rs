//! House rules that a compiler does not know. Each says why it exists.

mod common;

use std::path::Path;

use common::project;

/// A Rust source without what only tests see.
struct Source {
    /// Below the checkout, with `/`.
    path: String,
    /// Numbered from 1, without comments; test modules cut off.
    code: Vec<(usize, String)>,
    lines: Vec<String>,
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let code = lines
            .iter()
            .enumerate()
            .take_while(|(index, line)| {
                let begins_tests = line.trim() == "#[cfg(test)]"
                    && lines
                        .get(index + 1)
                        .is_some_and(|next| next.starts_with("mod ") && next.ends_with('{'));
                !begins_tests
            })
            .map(|(index, line)| (index + 1, line.split("//").next().unwrap_or_default().to_owned()))
            .collect();
        Self { path: path.to_owned(), code, lines }
    }

    /// `session` for `src/session/roster.rs`; empty for the crate's root and for tests.
    fn floor(&self) -> &str {
        let below = self.path.strip_prefix("src/").unwrap_or_default();
        below.split_once('/').map_or("", |(floor, _)| floor)
    }
}

type Rule = fn(&Source) -> Vec<String>;

fn complain(source: &Source, line: usize, why: &str) -> String {
    format!("{}:{line}: {why}", source.path)
}

/// Which floors a floor may use. What is not listed (the crate's root, the tool) may use all.
const ARROWS: &[(&str, &[&str])] = &[
    ("ffi", &["ffi", "api", "session"]),
    ("api", &["api", "driver", "session", "signal", "rtc", "media"]),
    ("driver", &["driver", "session", "signal", "rtc", "media"]),
    ("server", &["server", "driver", "signal", "rtc"]),
    ("session", &["session", "signal", "rtc", "media"]),
    ("signal", &["signal"]),
    ("rtc", &["rtc"]),
    ("media", &["media"]),
];

/// The library starts and ends the embedded hub; nothing else of a client knows the server.
const HUB_KEEPERS: &[&str] = &["src/api/library.rs", "src/api/hub.rs"];

fn a_floor_uses_what_is_below_it(source: &Source) -> Vec<String> {
    let Some((floor, allowed)) = ARROWS.iter().find(|(floor, _)| *floor == source.floor()) else {
        return vec![];
    };
    let mut complaints = Vec::new();
    for (number, line) in &source.code {
        for used in line.split("crate::").skip(1) {
            let used: String = used.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            let is_keeper = used == "server" && HUB_KEEPERS.contains(&source.path.as_str());
            let is_floor = ARROWS.iter().any(|(floor, _)| *floor == used);
            if used.is_empty() {
                complaints.push(complain(
                    source,
                    *number,
                    "name the floor right after `crate::`, this test reads it",
                ));
            } else if is_floor && !allowed.contains(&used.as_str()) && !is_keeper {
                let why = format!("`{floor}` uses `{used}`: a floor uses what is below it, see src/lib.rs");
                complaints.push(complain(source, *number, &why));
            }
        }
    }
    complaints
}

/// Where `unsafe` may stand besides `src/ffi` and files that end in `_sys.rs`, and for what.
const UNSAFE_ELSEWHERE: &[(&str, &str)] =
    &[("src/driver/interfaces.rs", "the machine's addresses: the standard library has no getifaddrs")];

fn unsafe_stays_at_the_border(source: &Source) -> Vec<String> {
    if source.path == "tests/tidy.rs" {
        return vec![]; // it speaks of nothing else
    }
    let is_border = source.floor() == "ffi"
        || source.path.ends_with("_sys.rs")
        || source.path.starts_with("tests/")
        || UNSAFE_ELSEWHERE.iter().any(|(path, _)| *path == source.path);
    let mut complaints = Vec::new();
    for (number, line) in &source.code {
        let is_use = line.contains("unsafe {") || line.contains("unsafe impl");
        if is_use && !is_border {
            let why =
                "`unsafe` belongs in src/ffi or a `_sys.rs` file: everything else is checked by the compiler";
            complaints.push(complain(source, *number, why));
        }
        if is_use && !source.has_safety_line(*number) {
            let why = "`unsafe` without a `SAFETY:` line: who promises what is needed here?";
            complaints.push(complain(source, *number, why));
        }
    }
    complaints
}

impl Source {
    /// A comment that says SAFETY, on the line or on one of the few above it that belong to the same statement.
    fn has_safety_line(&self, number: usize) -> bool {
        /// A statement that the formatter has spread has its comment this far up at most.
        const REACH: usize = 6;
        let first = number.saturating_sub(REACH + 1);
        self.lines[first..number].iter().any(|line| line.contains("SAFETY"))
    }
}

/// What the core and the floors below it must not touch.
const WORLD: &[&str] = &[
    "Instant::now",
    "SystemTime",
    "std::thread",
    "thread::",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "UnixStream",
    "tokio::",
    "sleep(",
];

fn the_core_does_not_touch_the_world(source: &Source) -> Vec<String> {
    if !["session", "signal", "rtc", "media"].contains(&source.floor()) {
        return vec![];
    }
    let mut complaints = Vec::new();
    for (number, line) in &source.code {
        for word in WORLD.iter().filter(|word| line.contains(**word)) {
            let why = format!("`{word}`: time and bytes are handed in here, so tests can hand in their own");
            complaints.push(complain(source, *number, &why));
        }
    }
    complaints
}

/// Beyond this a file has a second idea in it.
const FILE_LENGTH_MAX: usize = 600;

fn a_file_has_one_idea(source: &Source) -> Vec<String> {
    let length = source.code.len();
    if length <= FILE_LENGTH_MAX {
        return vec![];
    }
    vec![complain(source, length, &format!("more than {FILE_LENGTH_MAX} lines: look for the second idea"))]
}

fn nothing_is_left_undone(source: &Source) -> Vec<String> {
    // Put together so that this file does not complain about itself.
    let words = ["todo", "unimplemented", "dbg"].map(|name| format!("{name}!("));
    let lines = source.lines.iter().enumerate();
    lines
        .filter(|(_, line)| words.iter().any(|word| line.contains(word)))
        .map(|(index, _)| complain(source, index + 1, "unfinished code, or a trace of looking for a mistake"))
        .collect()
}

/// All of the checkout, modules that exist for tests only left out.
fn sources() -> Vec<Source> {
    let mut texts = Vec::new();
    for folder in ["src", "tests"] {
        collect(&project().join(folder), folder, &mut texts);
    }
    let test_modules: Vec<String> = texts.iter().flat_map(|(path, text)| test_modules(path, text)).collect();
    let is_test = |path: &str| {
        test_modules
            .iter()
            .any(|module| path == format!("{module}.rs") || path.starts_with(&format!("{module}/")))
    };
    texts.iter().filter(|(path, _)| !is_test(path)).map(|(path, text)| Source::new(path, text)).collect()
}

fn collect(folder: &Path, name: &str, texts: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).expect("a folder of the checkout") {
        let entry = entry.expect("an entry");
        let path = format!("{name}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            collect(&entry.path(), &path, texts);
        } else if path.ends_with(".rs") {
            texts.push((path, std::fs::read_to_string(entry.path()).expect("a source is text")));
        }
    }
}

/// The modules that a file declares under `#[cfg(test)]`, as paths without `.rs`.
fn test_modules(path: &str, text: &str) -> Vec<String> {
    let folder = path.strip_suffix("/mod.rs").or(path.strip_suffix(".rs")).unwrap_or(path);
    let folder = if path == "src/lib.rs" { "src" } else { folder };
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    lines
        .windows(2)
        .filter(|pair| pair[0] == "#[cfg(test)]")
        .filter_map(|pair| pair[1].trim_start_matches("pub(crate) ").strip_prefix("mod ")?.strip_suffix(';'))
        .map(|module| format!("{folder}/{module}"))
        .collect()
}

fn check(rule: Rule) {
    let complaints: Vec<String> = sources().iter().flat_map(rule).collect();
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn floors() {
    check(a_floor_uses_what_is_below_it);
}

#[test]
fn the_border() {
    check(unsafe_stays_at_the_border);
}

#[test]
fn the_core() {
    check(the_core_does_not_touch_the_world);
}

#[test]
fn lengths() {
    check(a_file_has_one_idea);
}

#[test]
fn leftovers() {
    check(nothing_is_left_undone);
}

#[test]
fn every_rule_bites() {
    let planted: [(Rule, &str, &str); 7] = [
        (a_floor_uses_what_is_below_it, "src/session/x.rs", "use crate::driver::sockets;"),
        (a_floor_uses_what_is_below_it, "src/api/session.rs", "use crate::server::hub;"),
        (unsafe_stays_at_the_border, "src/api/x.rs", "// SAFETY: none\nunsafe { f() }"),
        (unsafe_stays_at_the_border, "src/ffi/x.rs", "unsafe { f() }"),
        (the_core_does_not_touch_the_world, "src/signal/x.rs", "let now = Instant::now();"),
        (a_file_has_one_idea, "src/ffi/x.rs", &"\n".repeat(FILE_LENGTH_MAX + 1)),
        (nothing_is_left_undone, "src/ffi/x.rs", concat!("todo", "!()")),
    ];
    for (rule, path, text) in planted {
        assert_eq!(rule(&Source::new(path, text)).len(), 1, "{path}: {text}");
    }
    let with_tests = "fn f() {}\n#[cfg(test)]\nmod tests {\nuse crate::driver::x;\n}";
    assert!(a_floor_uses_what_is_below_it(&Source::new("src/session/x.rs", with_tests)).is_empty());
}
