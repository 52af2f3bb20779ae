//! The tools themselves, tried without our library: two real clients on the real server.

use std::time::Duration;

use crate::child::Program;
use crate::peers;
use crate::server::{Kind, Server};

const SOON: Duration = Duration::from_secs(20);

fn two_clients(server: &Server) -> (Program, Program) {
    let first = peers::client(server, "room", "first");
    first.expect("connected", SOON);
    let second = peers::client(server, "room", "second");
    second.expect("participant_present first", SOON);
    second.expect("connected", SOON);
    first.expect("participant_connected second", SOON);
    (first, second)
}

#[test]
#[ignore = "needs the real peers: make test"]
fn two_foreign_clients_hear_each_other_on_the_real_server() {
    let server = Server::start(Kind::LiveKit);
    let (mut first, mut second) = two_clients(&server);
    first.tell("data greeting hello");
    second.expect("data greeting hello from first", SOON);
    second.tell("data_to first answer hello yourself");
    first.expect("data answer hello yourself from second", SOON);
    peers::admin(&server, &["send", "room", "notice", "from the server"]);
    first.expect("data notice from the server from nobody", SOON);
    second.expect("data notice from the server from nobody", SOON);
    peers::admin(&server, &["remove", "room", "second"]);
    second.expect("disconnected", SOON);
    first.expect("participant_disconnected second", SOON);
    peers::admin(&server, &["delete", "room"]);
    first.expect("disconnected", SOON);
}

#[test]
#[ignore = "needs the real peers: make test"]
fn the_real_server_stops_dies_freezes_and_comes_back_on_the_same_port() {
    let mut server = Server::start(Kind::LiveKit);
    server.stop();
    server.restart();
    server.kill();
    server.restart();
    server.freeze();
    server.thaw();
    peers::client(&server, "room", "late").expect("connected", SOON);
}
