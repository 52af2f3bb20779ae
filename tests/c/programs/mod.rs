//! Programs as people write them: each shows a habit or a trap, prints what it sees, and knows nothing but `opentok.h`.
//!
//! A line of a program begins with who speaks: `session: connected`. The order of the lines of one speaker is law; different
//! speakers are different threads, and any order among them will do. What a program is expected to print lies beside it, in
//! `NAME.trace`; `UPDATE=1` writes it anew.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};

use super::common::{Workshop, project, read};
use super::{KEY, Role, SESSION, command, program, runtime, token};

/// One `#[test]` for each program.
macro_rules! programs {
    ($($file:ident . $extension:ident $with:expr;)*) => {
        $(#[test]
        fn $file() {
            super::programs::run(concat!(stringify!($file), ".", stringify!($extension)), $with);
        })*

        const LISTED: &[&str] = &[$(concat!(stringify!($file), ".", stringify!($extension))),*];
    };
}

/// Who else is in the session.
enum With {
    Nobody,
    /// Other programs, which are there and publish before. They end by themselves.
    Publishers(&'static [&'static str]),
    /// Another one that publishes and serves the hub, and is killed when the program prints the line.
    Killed(&'static str, &'static str),
}

use With::{Killed, Nobody, Publishers};

programs! {
    audio_device_again.c Nobody;
    cancelled.c Nobody;
    custom_sound.c Nobody;
    echo.c Nobody;
    exit_in_callback.c Nobody;
    forgotten.c Nobody;
    frames_across_threads.cpp Nobody;
    interrupted.c Nobody;
    join_in_destroy.c Nobody;
    leave_at_once.c Nobody;
    logger_first.c Nobody;
    nonsense.c Nobody;
    one_publisher.c Nobody;
    publish_and_go.c Nobody;
    rounds.c Nobody;
    sizes.c Nobody;
    sparse_devices.c Nobody;
    stack_callbacks.c Nobody;
    survivor.c Killed("headless_publisher.c", "main: the film runs");
    toggle.c Nobody;
    transformed.c Nobody;
    twice.c Nobody;
    two_sessions.cpp Nobody;
    video_chat.cpp Publishers(&["headless_publisher.c", "headless_publisher.c"]);
    watch.c Publishers(&["headless_publisher.c"]);
}

/// Those that are never alone: each is one of another's `Publishers`.
const COMPANIONS: &[&str] = &["headless_publisher.c"];

/// A program that runs, and what it prints.
struct Running {
    child: Child,
    lines: JoinHandle<String>,
}

impl Running {
    /// `heard` is called with each line.
    fn new(file: &str, data: &str, runtime: &Workshop, mut heard: impl FnMut(&str) + Send + 'static) -> Self {
        let mut child = command(&program(&format!("programs/{file}")), runtime)
            .args([KEY, SESSION, &token(data, KEY, Role::Moderator)])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("timeout belongs to coreutils");
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        let lines = thread::spawn(move || {
            let mut all = String::new();
            for line in output.lines().map_while(Result::ok) {
                heard(&line);
                all += &line;
                all.push('\n');
            }
            all
        });
        Self { child, lines }
    }

    /// Waits for its end, which has a limit, and compares.
    fn end(mut self, file: &str) {
        let status = self.child.wait().expect("it was started here");
        let printed = self.lines.join().expect("text");
        assert!(status.success(), "{file}: {status}\n{printed}");
        compare(file, &printed);
    }
}

/// `timeout` leads a process group of its own.
fn kill(leader: u32) {
    let status = Command::new("kill").args(["-KILL", "--", &format!("-{leader}")]).status();
    assert!(status.expect("kill belongs to every system").success());
}

fn run(file: &'static str, with: With) {
    let runtime = runtime();
    match with {
        Nobody => Running::new(file, "one", &runtime, |_| ()).end(file),
        Publishers(others) => {
            let companions: Vec<_> = others.iter().map(|other| publishing(other, &runtime)).collect();
            Running::new(file, "one", &runtime, |_| ()).end(file);
            for (companion, other) in companions.into_iter().zip(others) {
                companion.end(other);
            }
        }
        Killed(other, at) => {
            let mut companion = publishing(other, &runtime);
            let leader = companion.child.id();
            let kill_at = move |line: &str| {
                if line == at {
                    kill(leader);
                }
            };
            Running::new(file, "one", &runtime, kill_at).end(file);
            companion.child.wait().expect("it was started here");
        }
    }
}

/// A companion that has published.
fn publishing(file: &str, runtime: &Workshop) -> Running {
    let (published, is_published) = std::sync::mpsc::channel();
    let running = Running::new(file, "two", runtime, move |line| {
        if line.starts_with("publisher: stream") {
            let _ = published.send(()); // nobody listens any more when it publishes again
        }
    });
    is_published.recv().unwrap_or_else(|_| panic!("{file} ended before it published"));
    running
}

fn by_speaker(text: &str) -> BTreeMap<&str, Vec<&str>> {
    let mut speakers = BTreeMap::<_, Vec<_>>::new();
    for line in text.lines() {
        let (speaker, words) = line.split_once(": ").unwrap_or(("", line));
        speakers.entry(speaker).or_default().push(words);
    }
    speakers
}

fn compare(file: &str, printed: &str) {
    let (name, _) = file.split_once('.').expect("a file has an extension");
    let path = project().join(format!("tests/c/programs/{name}.trace"));
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    if by_speaker(&expected) == by_speaker(printed) {
        return;
    }
    if std::env::var_os("UPDATE").is_some() {
        return std::fs::write(path, printed).expect("the checkout can be written");
    }
    panic!("{file} printed:\n{printed}\nand not, speaker by speaker:\n{expected}");
}

#[test]
fn every_program_is_listed_and_has_a_trace() {
    let mut present = Vec::new();
    for entry in std::fs::read_dir(project().join("tests/c/programs")).expect("the programs") {
        let name = entry.expect("an entry").file_name().into_string().expect("a plain name");
        if name.ends_with(".c") || name.ends_with(".cpp") {
            let (stem, _) = name.split_once('.').expect("it has one");
            assert!(!read(&format!("tests/c/programs/{stem}.trace")).is_empty(), "{name} prints nothing");
            present.push(name);
        }
    }
    let mut listed = [LISTED, COMPANIONS].concat();
    present.sort();
    listed.sort_unstable();
    assert_eq!(present, listed, "tests/c/programs and the list in its mod.rs");
}
