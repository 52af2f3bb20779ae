//! The embedded hub: one host among many, whatever dies.

mod server_support;

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use opentok::server::Config;
use opentok::server::hub::{self, HubError, Place};
use opentok::signal::frame::FromServer;
use opentok::signal::join::JoinQuery;
use opentok::signal::proto::participant_info::State;
use opentok::signal::proto::signal_response::Message;
use server_support::*;

/// Names the directory to the processes that a test starts.
const CHILD: &str = "OTC_TEST_HUB";

/// A directory of its own for each test, removed at its end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("otc-test-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir(&path).expect("a directory");
        Self(path)
    }

    fn place(&self) -> Place {
        Place::at(self.0.join("openotc")).expect("a place")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn what(directory: &Path) -> &'static str {
    match Place::at(directory) {
        Err(HubError::Directory { what, .. }) => what,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn a_directory_that_others_could_have_made_is_refused() {
    let scratch = Scratch::new("refused");
    let open = scratch.0.join("open");
    std::fs::create_dir(&open).expect("made");
    for mode in [0o755, 0o770, 0o701, 0o500] {
        std::fs::set_permissions(&open, std::fs::Permissions::from_mode(mode)).expect("changed");
        assert!(what(&open).contains("0700"), "{mode:o}");
    }
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o700)).expect("changed");
    assert!(Place::at(&open).is_ok());
    let link = scratch.0.join("link");
    symlink(&open, &link).expect("linked");
    assert!(what(&link).contains("not a directory"));
    let file = scratch.0.join("file");
    std::fs::write(&file, "").expect("written");
    assert!(what(&file).contains("not a directory"));
    assert!(what(&scratch.0.join("x".repeat(100))).contains("too long"));
    // Only the superuser can make a directory that is somebody else's.
    if std::os::unix::fs::chown(&open, Some(12345), None).is_ok() {
        assert!(what(&open).contains("another user"));
    }
}

#[test]
fn an_error_names_the_file_and_the_remedy() {
    let scratch = Scratch::new("errors");
    let place = scratch.place();
    std::fs::create_dir(place.lock()).expect("a directory where the lock should be");
    let error = runtime().block_on(hub::join_or_host(&place, &Config::default())).expect_err("no hub");
    let text = error.to_string();
    for part in [place.lock().to_str().expect("UTF-8"), "XDG_RUNTIME_DIR", "OTC_URL"] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn a_process_that_has_the_lock_and_does_not_serve_is_named() {
    let _alone = alone();
    let scratch = Scratch::new("held");
    let place = scratch.place();
    let mut host = Process::start(&place);
    host.wait_until_it_sees(0);
    std::fs::remove_file(place.socket()).expect("a socket");
    let error = runtime().block_on(hub::join_or_host(&place, &Config::default())).expect_err("no hub");
    assert!(error.to_string().contains(&format!("Process {} holds", host.child.id())), "{error}");
}

#[test]
fn a_new_directory_is_closed_to_others() {
    let scratch = Scratch::new("new");
    let place = scratch.place();
    let mode = std::fs::metadata(place.directory()).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().expect("a runtime")
}

/// The hub is the process's, and these tests are threads of one: one after the other.
static ONE_AT_A_TIME: std::sync::Mutex<()> = std::sync::Mutex::new(());

fn alone() -> std::sync::MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[test]
fn threads_that_all_need_a_hub_at_once_share_one() {
    let _alone = alone();
    let scratch = Scratch::new("threads");
    let place = scratch.place();
    let runtime = runtime();
    const CLIENTS: usize = 64;
    let joined: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let place = place.clone();
            runtime.spawn(async move {
                let stream = hub::join_or_host(&place, &Config::default()).await.expect("a hub");
                Client::join(stream, &ours(), &token()).await
            })
        })
        .collect();
    runtime.block_on(async {
        let mut largest = 0;
        let mut clients = Vec::new();
        for join in joined {
            let (client, response) = join.await.expect("joined");
            largest = largest.max(response.other_participants.len());
            clients.push(client);
        }
        assert_eq!(largest, CLIENTS - 1, "the last to come finds all others");
        assert!(hub::is_host(&place));
        drop(clients);
        hub::stop(LIMIT).await;
    });
    assert!(!place.socket().exists() && !hub::is_host(&place));
    drop(runtime);
}

#[test]
fn a_hub_that_was_stopped_starts_again_and_leaves_no_descriptor() {
    let _alone = alone();
    let scratch = Scratch::new("again");
    let place = scratch.place();
    let runtime = runtime();
    let round = || {
        runtime.block_on(async {
            let stream = hub::join_or_host(&place, &Config::default()).await.expect("a hub");
            let (client, _) = Client::join(stream, &ours(), &token()).await;
            drop(client);
            hub::stop(LIMIT).await;
        });
    };
    round();
    let ours = || {
        let entries = std::fs::read_dir("/proc/self/fd").expect("listed");
        let targets = entries.flatten().filter_map(|entry| std::fs::read_link(entry.path()).ok());
        targets.filter(|target| target.starts_with(place.directory()) || is_socket(target)).count()
    };
    let before = ours();
    for _ in 0..20 {
        round();
    }
    assert_eq!(ours(), before);
}

fn is_socket(target: &Path) -> bool {
    target.to_string_lossy().starts_with("socket:")
}

/// A host that forked and died leaves a child with a copy of its socket, which listens and never answers.
#[test]
fn a_socket_that_listens_without_the_lock_is_taken_over() {
    let _alone = alone();
    let scratch = Scratch::new("orphan");
    let place = scratch.place();
    std::fs::write(place.lock(), "").expect("a lock file that nobody holds");
    let _orphan =
        std::os::unix::net::UnixListener::bind(place.socket()).expect("a socket that nobody serves");
    let runtime = runtime();
    runtime.block_on(async {
        let stream = hub::join_or_host(&place, &Config::default()).await.expect("a hub");
        assert!(hub::is_host(&place));
        let (client, _) = Client::join(stream, &ours(), &token()).await;
        drop(client);
        hub::stop(LIMIT).await;
    });
}

#[test]
fn a_host_whose_runtime_ended_is_replaced_in_the_same_process() {
    let _alone = alone();
    let scratch = Scratch::new("runtime");
    let place = scratch.place();
    for _ in 0..2 {
        let runtime = runtime();
        runtime.block_on(async {
            let stream = hub::join_or_host(&place, &Config::default()).await.expect("a hub");
            Client::join(stream, &ours(), &token()).await;
        });
        runtime.shutdown_timeout(LIMIT);
    }
    runtime().block_on(hub::stop(LIMIT));
}

/// What one of the processes says of itself.
#[derive(Debug, PartialEq)]
enum Said {
    Host,
    Guest,
    Sees(usize),
}

struct Process {
    child: Child,
    said: mpsc::Receiver<Said>,
    is_host: bool,
}

impl Process {
    fn start(place: &Place) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--ignored", "--exact", "--nocapture", "process_of_the_other_tests"])
            .env(CHILD, place.directory())
            .stdout(Stdio::piped())
            .spawn()
            .expect("started");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let (sender, said) = mpsc::channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let word = match line.split_once("otc: ").map(|(_, word)| word) {
                    Some("host") => Said::Host,
                    Some("guest") => Said::Guest,
                    Some(number) => Said::Sees(number.parse().expect("a number")),
                    None => continue,
                };
                if sender.send(word).is_err() {
                    return;
                }
            }
        });
        Self { child, said, is_host: false }
    }

    fn wait_until_it_sees(&mut self, others: usize) {
        let deadline = Instant::now() + LIMIT;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.said.recv_timeout(left).unwrap_or_else(|_| panic!("it never saw {others} others")) {
                Said::Host => self.is_host = true,
                Said::Guest => self.is_host = false,
                Said::Sees(count) if count == others => return,
                Said::Sees(_) => {}
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn when_the_host_is_killed_another_process_takes_over_and_all_meet_again() {
    let _alone = alone();
    let scratch = Scratch::new("processes");
    let place = scratch.place();
    let mut processes: Vec<Process> = (0..5).map(|_| Process::start(&place)).collect();
    while processes.len() > 2 {
        let others = processes.len() - 1;
        for process in &mut processes {
            process.wait_until_it_sees(others);
        }
        let hosts: Vec<usize> = (0..processes.len()).filter(|index| processes[*index].is_host).collect();
        assert_eq!(hosts.len(), 1, "exactly one of {} hosts", processes.len());
        // Dropping is kill -9.
        drop(processes.remove(hosts[0]));
    }
    for process in &mut processes {
        process.wait_until_it_sees(1);
    }
}

/// Joins, says what it sees, and joins anew whenever the link is lost.
#[test]
#[ignore = "started by another test as a process of its own"]
fn process_of_the_other_tests() {
    let Some(directory) = std::env::var_os(CHILD) else { return };
    let place = Place::at(PathBuf::from(directory)).expect("a place");
    runtime().block_on(async {
        let mut kept: Option<JoinQuery> = None;
        loop {
            let stream = hub::join_or_host(&place, &Config::default()).await.expect("a hub");
            let query = kept.clone().unwrap_or_else(ours);
            let Ok(mut client) = Client::open(stream, &query, &token()).await else { continue };
            let Some(FromServer::Welcome(join)) = client.next().await else { continue };
            println!("otc: {}", if hub::is_host(&place) { "host" } else { "guest" });
            let me = join.participant.expect("a participant");
            if let Some(before) = &kept {
                assert_eq!(before.keep_sid.as_ref(), Some(&me.sid), "it keeps its sid");
            }
            kept =
                Some(JoinQuery { keep_sid: Some(me.sid), keep_created_ms: Some(me.joined_at_ms), ..ours() });
            let mut others: BTreeSet<String> =
                join.other_participants.into_iter().map(|info| info.sid).collect();
            println!("otc: {}", others.len());
            // No ping is sent: every process is gone before one is missed.
            while let Some(frame) = client.next().await {
                let FromServer::Message(Message::Update(update)) = frame else { continue };
                for info in update.participants {
                    if info.state() == State::Disconnected {
                        others.remove(&info.sid);
                    } else {
                        others.insert(info.sid);
                    }
                }
                println!("otc: {}", others.len());
            }
        }
    });
}

#[test]
fn an_idle_connection_costs_little_memory() {
    let _alone = alone();
    let scratch = Scratch::new("memory");
    let place = scratch.place();
    runtime().block_on(async {
        // Connections that never become sessions weigh in the client's part alone.
        let token = token();
        const CONNECTIONS: usize = 500;
        let mut clients = Vec::new();
        for number in 0..CONNECTIONS + 20 {
            if number == 20 {
                clients.reserve(CONNECTIONS);
            }
            let stream = hub::join_or_host(&place, &Config::default()).await.expect("a hub");
            // Each in a room of its own: what a room of many says to itself is not what is measured here.
            let room = format!("1_room{number}");
            let order = opentok::signal::token::Order { session_id: &room, ..order() };
            let token = opentok::signal::token::classic(&order).unwrap_or_else(|_| token.clone());
            clients.push(Client::join(stream, &ours(), &token).await.0);
            if number == 19 {
                println!("resident with 20 sessions: {} kB", resident_kb());
            }
        }
        let after = resident_kb();
        println!("resident with {} sessions: {after} kB", CONNECTIONS + 20);
        drop(clients);
        hub::stop(Duration::from_secs(10)).await;
    });
}

fn resident_kb() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("read");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}
