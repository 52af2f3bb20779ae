//! Through a real HTTP proxy, tinyproxy. `tests/ways/proxy.rs` has one of our own for what no real one does on demand.

use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use crate::child::{Program, becomes_true, tied};
use crate::program_c::{trace, trace_with};
use crate::server::{Kind, START_LIMIT, Server, free_port, is_listening, temporary_folder};
use crate::token::Claims;
use crate::within::{GIVEN_UP, JOIN, LOSS_NOTICED, SEEN};

macro_rules! on_both_servers {
    ($($scenario:ident),* $(,)?) => {
        mod on_otc_serve {
            $(#[test] #[ignore = "needs the real peers: make test"] fn $scenario() { super::$scenario(super::Kind::Serve); })*
        }
        mod on_livekit_server {
            $(#[test] #[ignore = "needs the real peers: make test"] fn $scenario() { super::$scenario(super::Kind::LiveKit); })*
        }
    };
}

on_both_servers![
    a_session_and_its_calls_go_through_the_proxy,
    a_proxy_with_a_password_wants_the_right_one,
    a_proxy_that_dies_is_a_loss_and_its_return_the_end_of_it,
    a_proxy_that_is_dead_or_refuses_is_one_error,
];

/// A tinyproxy of its own, with a log that says what it was asked for.
pub struct Proxy {
    folder: PathBuf,
    port: u16,
    child: Option<Child>,
}

impl Proxy {
    /// `rules`: more lines of its configuration.
    pub fn start(rules: &str) -> Self {
        let mut proxy = Self { folder: temporary_folder(), port: free_port(), child: None };
        let configuration = format!(
            "Port {}\nListen 127.0.0.1\nAllow 127.0.0.1\nLogFile \"{}\"\nLogLevel Connect\nMaxClients 50\n{rules}\n",
            proxy.port,
            proxy.log_path().display(),
        );
        fs::write(proxy.folder.join("tinyproxy.conf"), configuration).expect("the folder is ours");
        proxy.again();
        proxy
    }

    pub fn again(&mut self) {
        let mut command = tied(Path::new("tinyproxy"));
        command.arg("-d").arg("-c").arg(self.folder.join("tinyproxy.conf"));
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        self.child = Some(child.expect("tests/peers/install.sh has installed it"));
        assert!(
            becomes_true(START_LIMIT, || is_listening(self.port)),
            "tinyproxy does not start:\n{}",
            self.log()
        );
    }

    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().expect("a child of ours can be killed");
        let _ = child.wait();
    }

    /// `user` ends with `@`, or is empty.
    pub fn url(&self, user: &str) -> String {
        format!("http://{user}127.0.0.1:{}", self.port)
    }

    fn log_path(&self) -> PathBuf {
        self.folder.join("proxy.log")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// How often it was asked for a way to this place.
    pub fn asked_for(&self, place: impl Display) -> usize {
        self.log().matches(&format!("CONNECT {place} HTTP/1.1")).count()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn through(server: &Server, url: &str) -> Program {
    trace_with(server, "room", "alice", &[("TRACE_PROXY", url)])
}

fn connect(program: &mut Program, claims: &Claims) {
    program.tell(&format!("connect {}", claims.livekit()));
    program.expect(&format!("on_connected as {}", claims.name), JOIN);
}

fn fails_once(program: &mut Program, code: u32) {
    program.tell(&format!("connect {}", Claims::new("room", "alice").livekit()));
    program.expect(&format!("on_error {code}"), JOIN);
    program.tell("disconnect");
    program.expect("disconnect = 1010", SEEN);
    assert!(!program.has_said("MISSING"), "every error has a sentence for people");
}

fn a_session_and_its_calls_go_through_the_proxy(place: Kind) {
    let (server, proxy) = (Server::start(place), Proxy::start(""));
    let mut alice = through(&server, &proxy.url(""));
    connect(&mut alice, &Claims { is_moderator: true, ..Claims::new("room", "alice") });
    assert_eq!(proxy.asked_for(server.address()), 1);
    let mut bob = trace(&server, "room", "bob");
    connect(&mut bob, &Claims::new("room", "bob"));
    bob.expect("on_connection_created alice", SEEN);
    alice.expect("on_connection_created bob", SEEN);
    alice.tell("signal_to bob chat through the proxy");
    bob.expect("on_signal_received chat through the proxy from alice", SEEN);
    bob.tell("signal_to alice chat and back");
    alice.expect("on_signal_received chat and back from bob", SEEN);
    assert_eq!(proxy.asked_for(server.address()), 1, "bob goes straight");
    alice.tell("remove bob");
    bob.expect("on_disconnected", SEEN);
    alice.expect("on_connection_dropped bob", SEEN);
    assert_eq!(proxy.asked_for(server.address()), 2, "the call of a moderator goes through it too");
    alice.tell("disconnect");
    alice.expect("on_disconnected", SEEN);
    alice.finish();
    bob.finish();
}

fn a_proxy_with_a_password_wants_the_right_one(place: Kind) {
    let (server, proxy) = (Server::start(place), Proxy::start("BasicAuth guest secret"));
    let mut right = through(&server, &proxy.url("guest:secret@"));
    connect(&mut right, &Claims::new("room", "alice"));
    right.finish();
    for user in ["guest:forgotten@", ""] {
        let mut wrong = through(&server, &proxy.url(user));
        fails_once(&mut wrong, 1006);
        assert!(becomes_true(SEEN, || wrong.has_said("password")), "the sentence says what is wrong");
        assert!(!wrong.has_said("forgotten"), "and not what the password is");
        wrong.finish();
    }
}

fn a_proxy_that_dies_is_a_loss_and_its_return_the_end_of_it(place: Kind) {
    let (server, mut proxy) = (Server::start(place), Proxy::start(""));
    let mut alice = through(&server, &proxy.url(""));
    connect(&mut alice, &Claims::new("room", "alice"));
    proxy.kill();
    alice.expect("on_reconnection_started", LOSS_NOTICED);
    alice.tell("signal chat from the gap");
    proxy.again();
    alice.expect("on_reconnected", GIVEN_UP);
    alice.expect("on_signal_received chat from the gap from alice", SEEN);
    alice.finish();
}

fn a_proxy_that_is_dead_or_refuses_is_one_error(place: Kind) {
    let (server, mut proxy) = (Server::start(place), Proxy::start("ConnectPort 1"));
    let mut alice = through(&server, &proxy.url(""));
    fails_once(&mut alice, 1006);
    assert!(becomes_true(SEEN, || alice.has_said("does not allow")), "the sentence says who is to blame");
    proxy.kill();
    fails_once(&mut alice, 1023);
    alice.finish();
}
