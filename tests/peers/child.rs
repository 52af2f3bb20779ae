//! Processes: started with their end tied to ours, read line by line, and waited for with a limit.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// How often a state without an event (has it exited, does it answer) is looked at again.
pub const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// A program that leaves by itself is given this long, then it is a failure.
const EXIT_LIMIT: Duration = Duration::from_secs(10);

/// A command whose process dies with the thread that starts it, so that no failing test leaves one behind.
pub fn tied(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

/// Sends a signal by its name. `kill` is a builtin of every shell, and so needs no package.
pub fn send_signal(child: &Child, name: &str) {
    let line = format!("kill -{name} {}", child.id());
    let status = Command::new("sh").args(["-c", &line]).status().expect("sh starts");
    assert!(status.success(), "{line}");
}

/// Asks again until it is so; false when the limit has passed.
pub fn becomes_true(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    while !condition() {
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(LOOK_AGAIN);
    }
    true
}

/// The exit status, or `None` when it still runs after the limit.
pub fn wait(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let mut status = None;
    becomes_true(limit, || {
        status = child.try_wait().expect("a child of ours can be waited for");
        status.is_some()
    });
    status
}

/// A program that takes lines and prints lines.
pub struct Program {
    name: String,
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    /// Everything said so far by both sides and on standard error, for the message of a failing test.
    transcript: Arc<Mutex<Vec<String>>>,
}

impl Program {
    pub fn start(name: &str, command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        let transcript = Arc::new(Mutex::new(Vec::new()));
        let (sender, lines) = channel();
        let output = BufReader::new(child.stdout.take().expect("piped"));
        let heard = Arc::clone(&transcript);
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                heard.lock().unwrap().push(line.clone());
                let _ = sender.send(line);
            }
        });
        let complaints = BufReader::new(child.stderr.take().expect("piped"));
        let heard = Arc::clone(&transcript);
        thread::spawn(move || {
            for line in complaints.lines().map_while(Result::ok) {
                heard.lock().unwrap().push(format!("        ({line})"));
            }
        });
        let input = child.stdin.take();
        Self { name: name.to_owned(), child, input, lines, transcript }
    }

    /// Gives the program a line. Only its first word goes into the transcript: the rest may be a token.
    pub fn tell(&mut self, line: &str) {
        let verb = line.split(' ').next().unwrap_or_default();
        self.transcript.lock().unwrap().push(format!("    > {verb} …"));
        let input = self.input.as_mut().expect("the input is open until the program is ended");
        if let Err(error) = writeln!(input, "{line}").and_then(|()| input.flush()) {
            self.fail(&format!("does not read `{verb}`: {error}"));
        }
    }

    /// The next line is this one, and it comes within the limit. Returns how long it took.
    #[track_caller]
    pub fn expect(&self, line: &str, limit: Duration) -> Duration {
        let begin = Instant::now();
        match self.lines.recv_timeout(limit) {
            Ok(next) if next == line => begin.elapsed(),
            Ok(next) => self.fail(&format!("said `{next}` where `{line}` was due")),
            Err(RecvTimeoutError::Timeout) => self.fail(&format!("did not say `{line}` within {limit:?}")),
            Err(RecvTimeoutError::Disconnected) => self.fail(&format!("ended where `{line}` was due")),
        }
    }

    /// Reads on until a line is what is looked for. For programs that tell the same thing again and again, as it is now.
    #[track_caller]
    pub fn find<T>(&self, what: &str, limit: Duration, mut look: impl FnMut(&str) -> Option<T>) -> T {
        let deadline = Instant::now() + limit;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    if let Some(found) = look(&line) {
                        return found;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.fail(&format!("did not tell of {what} within {limit:?}"))
                }
                Err(RecvTimeoutError::Disconnected) => self.fail(&format!("ended before it told of {what}")),
            }
        }
    }

    /// One of these lines comes next; returns its place among them. For a race that a server, and not the library, decides.
    #[track_caller]
    pub fn expect_one_of(&self, lines: &[&str], limit: Duration) -> usize {
        let Ok(next) = self.lines.recv_timeout(limit) else {
            self.fail(&format!("did not say one of {lines:?} within {limit:?}"));
        };
        let place = lines.iter().position(|line| *line == next);
        place.unwrap_or_else(|| self.fail(&format!("said `{next}` where one of {lines:?} was due")))
    }

    /// These lines come next, in any order: for events that two other programs cause.
    #[track_caller]
    pub fn expect_all(&self, lines: &[&str], limit: Duration) {
        let mut due: Vec<&str> = lines.to_vec();
        let deadline = Instant::now() + limit;
        while !due.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(next) => match due.iter().position(|line| *line == next) {
                    Some(index) => drop(due.remove(index)),
                    None => self.fail(&format!("said `{next}` where one of {due:?} was due")),
                },
                Err(_) => self.fail(&format!("did not say {due:?} within {limit:?}")),
            }
        }
    }

    /// Closes the input, waits until the program has gone by itself, and checks that it had nothing more to say.
    #[track_caller]
    pub fn finish(mut self) {
        drop(self.input.take());
        match wait(&mut self.child, EXIT_LIMIT) {
            Some(status) if status.success() => {}
            Some(status) => self.fail(&format!("ended with {status}")),
            None => self.fail(&format!("did not end within {EXIT_LIMIT:?}")),
        }
        if let Ok(line) = self.lines.recv_timeout(EXIT_LIMIT) {
            self.fail(&format!("said `{line}` where nothing more was due"));
        }
    }

    /// Closes the input and waits until the program has gone by itself, whatever it says meanwhile.
    #[track_caller]
    pub fn leave(mut self) {
        drop(self.input.take());
        match wait(&mut self.child, EXIT_LIMIT) {
            Some(status) if status.success() => {}
            Some(status) => self.fail(&format!("ended with {status}")),
            None => self.fail(&format!("did not end within {EXIT_LIMIT:?}")),
        }
    }

    /// kill -9.
    pub fn kill(mut self) {
        self.child.kill().expect("a child of ours can be killed");
        let _ = self.child.wait();
    }

    /// Whether anything in the transcript so far contains this text.
    pub fn has_said(&self, text: &str) -> bool {
        self.transcript.lock().unwrap().iter().any(|line| line.contains(text))
    }

    #[track_caller]
    fn fail(&self, what: &str) -> ! {
        let transcript = self.transcript.lock().unwrap().join("\n    ");
        panic!("{} {what}\n  its transcript:\n    {transcript}", self.name);
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
