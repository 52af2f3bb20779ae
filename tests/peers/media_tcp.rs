//! Media where no UDP gets through: streams to servers that have no other way (RFC 6544).

use std::fs;

use crate::child::{Program, becomes_true};
use crate::media::{hears, sees, sees_all};
use crate::media_ours::{film, on_both_servers};
use crate::peers;
use crate::server::{Kind, Server};
use crate::within::{GIVEN_UP, SEEN};

const SIZE: (u64, u64) = (640, 360);

/// How many streams to this port are open, counted where they begin: lines of the kernel's table have the own address, the
/// other one and the state after their number.
pub fn streams_to(port: u16) -> usize {
    const ESTABLISHED: &str = "01";
    let table = fs::read_to_string("/proc/net/tcp").expect("the kernel has a table");
    let is_one = |line: &&str| {
        let mut fields = line.split_ascii_whitespace().skip(2);
        let remote = fields.next().and_then(|address| address.split_once(':'));
        remote.is_some_and(|(_, number)| u16::from_str_radix(number, 16) == Ok(port))
            && fields.next() == Some(ESTABLISHED)
    };
    table.lines().filter(is_one).count()
}

pub fn becomes(port: u16, count: usize) {
    let what = || format!("{} streams, not {count}", streams_to(port));
    assert!(becomes_true(SEEN, || streams_to(port) == count), "{}", what());
}

/// Alice films and Bob watches.
fn filming(server: &Server) -> (Program, Program) {
    let mut alice = film(server, "room", "alice");
    let bob = film(server, "room", "bob");
    alice.tell("publish 640 360 audio");
    hears(&alice, "published");
    sees_all(&bob, "alice", SIZE);
    (alice, bob)
}

on_both_servers![
    two_programs_see_each_other_by_tcp,
    a_foreign_client_is_seen_by_tcp_and_sees,
    a_killed_server_that_comes_back_has_the_film_again_by_tcp,
    a_killed_server_that_stays_away_is_the_end_by_tcp,
];

fn two_programs_see_each_other_by_tcp(place: Kind) {
    let (server, port) = Server::without_udp(place);
    let (mut alice, mut bob) = filming(&server);
    bob.tell("publish 640 360 audio");
    hears(&bob, "published");
    sees_all(&alice, "bob", SIZE);
    becomes(port, 4);
    alice.tell("disconnect");
    hears(&alice, "disconnected");
    becomes(port, 2);
    hears(&bob, "stream_dropped alice");
    alice.leave();
    bob.leave();
    becomes(port, 0);
}

fn a_foreign_client_is_seen_by_tcp_and_sees(place: Kind) {
    let (server, port) = Server::without_udp(place);
    let publisher = peers::publish(&server, "room", "publisher", &["--size", "640x360"]);
    hears(&publisher, "published");
    let mut alice = film(&server, "room", "alice");
    alice.tell("publish 640 360 audio");
    hears(&alice, "published");
    sees_all(&alice, "publisher", SIZE);
    let watcher = peers::subscribe(&server, "room", "watcher", &[]);
    sees_all(&watcher, "alice", SIZE);
    watcher.leave();
    publisher.leave();
    alice.leave();
    becomes(port, 0);
}

fn a_killed_server_that_comes_back_has_the_film_again_by_tcp(place: Kind) {
    let (mut server, port) = Server::without_udp(place);
    let (alice, bob) = filming(&server);
    server.kill();
    becomes(port, 0);
    sees(&bob, "alice", "no picture", |sight| sight.marks == 0);
    server.restart();
    if place == Kind::LiveKit {
        hears(&bob, "stream_dropped alice");
    }
    sees_all(&bob, "alice", SIZE);
    alice.leave();
    bob.leave();
}

fn a_killed_server_that_stays_away_is_the_end_by_tcp(place: Kind) {
    let (mut server, port) = Server::without_udp(place);
    let (alice, bob) = filming(&server);
    server.kill();
    for program in [&alice, &bob] {
        let is_loss = |line: &str| (line.starts_with("error ") && line.ends_with(" 1022")).then_some(());
        program.find("the loss", GIVEN_UP, is_loss);
        hears(program, "disconnected");
    }
    becomes(port, 0);
    alice.leave();
    bob.leave();
}
