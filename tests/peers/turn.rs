//! Media through a real TURN server: coturn, on loopback.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

use base64::Engine as _;

use crate::child::{Program, becomes_true, tied};
use crate::media::{hears, sees_all};
use crate::program_c;
use crate::server::{Kind, Server, temporary_folder};
use crate::token::Claims;

pub const USER: &str = "relayed";
pub const WORD: &str = "not-a-secret";
const WRONG_WORD: &str = "not-the-word";

pub const START_LIMIT: Duration = Duration::from_secs(20);

/// Wrong credentials are told at once, and a machine that is busy takes its time.
const SOON: Duration = Duration::from_secs(9);

/// A film of seconds in the smallest of its layers has more than that, and checks of a path for as long have less.
const FILM_BYTES_MIN: u64 = 200_000;

/// A request for nothing (RFC 8489 section 5) with a number of our own.
const BINDING_REQUEST: [u8; 20] = [0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];

pub struct Coturn {
    pub port: u16,
    folder: PathBuf,
    child: Child,
    /// Its own authority.
    pub certificate: PathBuf,
}

impl Coturn {
    /// By UDP alone.
    fn start() -> Self {
        Self::start_with("127.0.0.1", &["--no-tcp", "--no-tls"])
    }

    fn start_by_streams() -> Self {
        Self::start_by_streams_as("127.0.0.1")
    }

    /// By TCP and TLS alone; coturn hears which on the same port. Its certificate is for this name.
    pub fn start_by_streams_as(name: &str) -> Self {
        Self::start_with(name, &["--no-udp"])
    }

    fn start_with(name: &str, options: &[&str]) -> Self {
        let folder = temporary_folder();
        let port = free_port();
        let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
        let own = rcgen::generate_simple_self_signed([name.to_owned()]).expect("a certificate");
        fs::write(&certificate, pem("CERTIFICATE", own.cert.der())).expect("the folder is ours");
        fs::write(&key, pem("PRIVATE KEY", &own.signing_key.serialize_der())).expect("the folder is ours");
        let log = File::create(folder.join("turn.log")).expect("the folder is ours");
        let mut command = tied(Path::new("turnserver"));
        command
            .args(["-n", "--no-cli", "--no-dtls", "--allow-loopback-peers", "--verbose"])
            .args(options)
            .args(["--lt-cred-mech", "--realm=peers.example", "--log-file=stdout", "--simple-log"])
            .args([
                "--listening-ip=127.0.0.1",
                "--relay-ip=127.0.0.1",
                "--min-port=22000",
                "--max-port=22999",
            ])
            .arg(format!("--listening-port={port}"))
            .arg(format!("--cert={}", certificate.display()))
            .arg(format!("--pkey={}", key.display()))
            .arg(format!("--user={USER}:{WORD}"))
            .arg(format!("--userdb={}", folder.join("users").display()))
            .arg(format!("--pidfile={}", folder.join("pid").display()));
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file can be duplicated"))
            .stderr(log)
            .spawn()
            .expect("turnserver starts");
        let coturn = Self { port, folder, child, certificate };
        assert!(becomes_true(START_LIMIT, || coturn.answers()), "coturn does not start:\n{}", coturn.log());
        coturn
    }

    fn answers(&self) -> bool {
        if TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok() {
            return true;
        }
        let Ok(socket) = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)) else { return false };
        let mut answer = [0; 512];
        socket.set_read_timeout(Some(Duration::from_millis(200))).is_ok()
            && socket.send_to(&BINDING_REQUEST, (Ipv4Addr::LOCALHOST, self.port)).is_ok()
            && socket.recv(&mut answer).is_ok()
    }

    fn url(&self) -> String {
        format!("turn:127.0.0.1:{}?transport=udp", self.port)
    }

    fn stream_url(&self, scheme: &str) -> String {
        format!("{scheme}:127.0.0.1:{}?transport=tcp", self.port)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("turn.log")).unwrap_or_default()
    }

    pub fn allocations(&self) -> usize {
        self.log().matches("ALLOCATE processed, success").count()
    }

    /// How many of the places were given back, and how many bytes went through them from and to peers.
    fn accounts(&self) -> (usize, u64) {
        let log = self.log();
        let is_account = |line: &&str| line.contains("peer usage:") && line.contains(USER);
        let accounts: Vec<&str> = log.lines().filter(is_account).collect();
        let bytes = accounts.iter().flat_map(|line| line.split([',', ' '])).filter_map(|word| {
            word.strip_prefix("rb=").or_else(|| word.strip_prefix("sb="))?.parse::<u64>().ok()
        });
        (accounts.len(), bytes.sum())
    }

    /// Of two programs, each with two peer connections, that have left.
    #[track_caller]
    pub fn has_carried_a_film(&self) {
        assert!(becomes_true(START_LIMIT, || self.accounts().0 == 4), "the places are given back at once");
        let (_, bytes) = self.accounts();
        assert!(bytes > FILM_BYTES_MIN, "{bytes} bytes went through");
    }
}

impl Drop for Coturn {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("the log of coturn:\n{}", self.log());
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn pem(label: &str, bytes: &[u8]) -> String {
    let body = base64::engine::general_purpose::STANDARD.encode(bytes);
    let lines: Vec<&str> =
        body.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

fn free_port() -> u16 {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
    socket.local_addr().expect("a bound socket has an address").port()
}

/// A program that may go through these TURN servers only, on its way into the room.
fn film(server: &Server, name: &str, turn: &[&str]) -> Program {
    let mut program = program_c::film_through(server, "room", name, turn);
    program.tell(&format!("connect {}", Claims::new("room", name).livekit()));
    program
}

/// Two programs see each other, and all of it has gone through the TURN server.
fn two_programs_see_each_other(server: &Server, coturn: &Coturn, turn: &[&str]) {
    let mut alice = film(server, "alice", turn);
    hears(&alice, "connected");
    let bob = film(server, "bob", turn);
    hears(&bob, "connected");
    alice.tell("publish 640 360 audio");
    hears(&alice, "published");
    sees_all(&bob, "alice", (640, 360));
    assert_eq!(coturn.allocations(), 4, "one for each of their peer connections");
    assert!(!alice.has_said(WORD) && !bob.has_said(WORD), "not even the log names it");
    alice.leave();
    hears(&bob, "stream_dropped alice");
    bob.leave();
    coturn.has_carried_a_film();
}

#[test]
#[ignore = "needs the real peers: make test"]
fn media_goes_through_the_programs_own_turn_server() {
    let coturn = Coturn::start();
    let server = Server::start(Kind::LiveKit);
    two_programs_see_each_other(&server, &coturn, &[&coturn.url(), USER, WORD]);
}

#[test]
#[ignore = "needs the real peers: make test"]
fn media_goes_through_a_turn_server_by_tcp() {
    let coturn = Coturn::start_by_streams();
    let server = Server::start(Kind::LiveKit);
    two_programs_see_each_other(&server, &coturn, &[&coturn.stream_url("turn"), USER, WORD]);
}

#[test]
#[ignore = "needs the real peers: make test"]
fn media_goes_through_a_turn_server_by_tls() {
    let coturn = Coturn::start_by_streams();
    let server = Server::start(Kind::LiveKit);
    let trusted = coturn.certificate.display().to_string();
    two_programs_see_each_other(&server, &coturn, &[&coturn.stream_url("turns"), USER, WORD, &trusted]);
}

#[test]
#[ignore = "needs the real peers: make test"]
fn a_turn_server_that_cannot_prove_its_name_is_not_used() {
    let coturn = Coturn::start_by_streams();
    let server = Server::start(Kind::LiveKit);
    let alice = film(&server, "alice", &[&coturn.stream_url("turns"), USER, WORD]);
    ends_with_error(&alice);
    assert_eq!(coturn.allocations(), 0);
    alice.leave();
}

#[test]
#[ignore = "needs the real peers: make test"]
fn media_goes_through_the_turn_server_that_the_session_names() {
    let coturn = Coturn::start();
    let turn = format!(
        "  turn_servers: [{{ host: 127.0.0.1, port: {}, protocol: udp, username: {USER}, credential: {WORD} }}]\n",
        coturn.port
    );
    let server = Server::livekit_with(&turn);
    two_programs_see_each_other(&server, &coturn, &["none"]);
    // Unforced it is one way among others.
    let mut carol = program_c::film(&server, "room", "carol");
    carol.tell(&format!("connect {}", Claims::new("room", "carol").livekit()));
    hears(&carol, "connected");
    assert!(becomes_true(START_LIMIT, || coturn.allocations() == 6), "it is asked for all the same");
    carol.leave();
}

#[test]
#[ignore = "needs the real peers: make test"]
fn media_goes_through_a_turn_server_to_otc_serve() {
    let coturn = Coturn::start();
    let server = Server::start(Kind::Serve);
    let turn: &[&str] = &[&coturn.url(), USER, WORD];
    let mut alice = film(&server, "alice", turn);
    let bob = film(&server, "bob", turn);
    hears(&alice, "connected");
    hears(&bob, "connected");
    alice.tell("publish 640 360 audio");
    sees_all(&bob, "alice", (640, 360));
    assert!(coturn.allocations() >= 2);
    alice.leave();
    bob.leave();
}

#[test]
#[ignore = "needs the real peers: make test"]
fn wrong_credentials_of_the_only_way_end_the_attempt() {
    let coturn = Coturn::start();
    let server = Server::start(Kind::LiveKit);
    let alice = film(&server, "alice", &[&coturn.url(), USER, WRONG_WORD]);
    ends_with_error(&alice);
    assert_eq!(coturn.allocations(), 0);
    let log = coturn.log();
    assert!(log.contains("401"), "it was asked: {log}");
    alice.leave();
}

#[test]
#[ignore = "needs the real peers: make test"]
fn no_usable_server_for_the_only_way_ends_the_attempt() {
    let server = Server::start(Kind::LiveKit);
    for turn in [&["none"][..], &["stun:127.0.0.1:9", USER, WORD], &["turns:127.0.0.1:9", USER, WORD]] {
        let alice = film(&server, "alice", turn);
        ends_with_error(&alice);
        alice.leave();
    }
}

/// `OTC_SESSION_CONNECTION_FAILED`, and a word of the reason.
pub fn ends_with_error(program: &Program) {
    let is_so = |line: &str| {
        (line.contains("TURN") && line.starts_with("error ") && line.ends_with(" 1006")).then_some(())
    };
    program.find("the end of its attempt", SOON, is_so);
    assert!(!program.has_said("connected"));
    assert!(!program.has_said(WORD) && !program.has_said(WRONG_WORD), "not even the log names it");
}
