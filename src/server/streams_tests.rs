//! Clients and strangers that open streams, on made-up time and without a socket.

use std::net::SocketAddr;
use std::time::Duration;

use super::core_tests::{World, active, leave, secrets};
use super::peers_tests::{Foreign, address, run};
use super::streams::{OWN_MAX, STRANGER_DATAGRAMS_MAX, STRANGERS_MAX};
use super::{Config, Input, StreamId};
use crate::rtc::Datagram;

fn taken_at() -> SocketAddr {
    address(7881)
}

fn world() -> World {
    let (udp_addresses, tcp_addresses) = (vec![address(4000)], vec![taken_at()]);
    World::with(Config { secrets: secrets(), udp_addresses, tcp_addresses, ..Default::default() })
}

/// A LiveKit client in a room, with no other way for its media.
fn met(world: &mut World) -> [Foreign; 1] {
    let mut foreign = [Foreign::join_by_streams(world, "robot", 5000)];
    run(world, &mut foreign, |_, foreign| foreign[0].can_publish && foreign[0].subscriber.is_connected());
    foreign
}

fn open_streams(world: &World) -> usize {
    world.server.shared.streams.len()
}

fn says(world: &mut World, remote: SocketAddr, bytes: &[u8]) {
    world.handle(Input::Datagram(Datagram { local: taken_at(), remote, bytes: bytes.to_vec() }));
}

#[test]
fn who_is_reached_by_no_udp_takes_part_by_streams() {
    let mut world = world();
    let (first, _) = world.publisher("ours");
    let mut foreign = met(&mut world);
    assert_eq!(world.updates(first), [active(&foreign[0].info)]);
    assert_eq!(foreign[0].streams.each_ref().map(Vec::len), [1, 1]);
    run(&mut world, &mut foreign, |world, foreign| foreign[0].send(world, "by a stream").is_ok());
    run(&mut world, &mut foreign, |world, _| world.texts(first) == ["by a stream"]);
    assert_eq!(world.closed_streams, []);
}

#[test]
fn a_server_may_have_streams_and_nothing_else() {
    let config = Config { secrets: secrets(), tcp_addresses: vec![taken_at()], ..Default::default() };
    let mut world = World::with(config);
    let (first, _) = world.publisher("ours");
    let foreign = met(&mut world);
    assert_eq!(world.updates(first), [active(&foreign[0].info)]);
}

#[test]
fn the_streams_of_who_has_gone_are_closed() {
    let mut world = world();
    let foreign = met(&mut world);
    assert_eq!(open_streams(&world), 2);
    world.pass(Duration::from_secs(8), &[foreign[0].link]);
    assert_eq!(world.closed_streams, []);
    world.say(foreign[0].link, leave());
    world.pass(Duration::from_secs(6), &[]);
    assert_eq!(world.closed_streams, [StreamId(1), StreamId(2)]);
    assert_eq!(open_streams(&world), 0);
    world.pass(Duration::from_secs(60), &[]);
    assert_eq!(world.timers(), 0, "nobody looks after streams that are not there");
}

#[test]
fn a_stream_that_nobody_checks_is_closed_in_time() {
    let mut world = world();
    let remote = world.open_stream(taken_at());
    world.pass(Duration::from_secs(9), &[]);
    assert_eq!(world.closed_streams, []);
    world.pass(Duration::from_secs(6), &[]);
    assert_eq!(world.closed_streams, [StreamId(1)]);
    says(&mut world, remote, b"too late");
    world.handle(Input::StreamClosed { stream: StreamId(1) });
    assert_eq!((open_streams(&world), world.datagrams.len(), world.timers()), (0, 0, 0));
}

#[test]
fn of_too_many_strangers_the_oldest_makes_room_and_nobody_else() {
    let mut world = world();
    let mut foreign = met(&mut world);
    for _ in 0..STRANGERS_MAX + 3 {
        world.open_stream(taken_at());
    }
    assert_eq!(world.closed_streams, [StreamId(3), StreamId(4), StreamId(5)]);
    assert_eq!(open_streams(&world), STRANGERS_MAX + 2);
    assert_eq!(world.server.counters().streams_refused, 3);
    run(&mut world, &mut foreign, |world, foreign| foreign[0].send(world, "still here").is_ok());
}

#[test]
fn a_stranger_that_talks_on_is_closed() {
    let mut world = world();
    let remote = world.open_stream(taken_at());
    for _ in 0..STRANGER_DATAGRAMS_MAX {
        says(&mut world, remote, &[0, 1, 2]);
    }
    assert_eq!(world.closed_streams, []);
    says(&mut world, remote, &[0, 1, 2]);
    assert_eq!(world.closed_streams, [StreamId(1)]);
}

#[test]
fn only_a_check_of_a_path_makes_a_stream_known() {
    let mut world = world();
    let mut foreign = [Foreign::join(&mut world, "robot", 5000)];
    run(&mut world, &mut foreign, |_, foreign| foreign[0].subscriber.is_connected());
    // From a port that is known, but by UDP: all but checks is taken from there.
    let remote = address(5000);
    world.handle(Input::StreamOpened { stream: StreamId(1), local: taken_at(), remote });
    world.datagrams.clear();
    for bytes in [&[20, 254, 253, 0][..], &[128, 111, 0, 1], &[0, 1, 0, 0], &[]] {
        says(&mut world, remote, bytes);
    }
    assert_eq!(world.datagrams, []);
    world.pass(Duration::from_secs(15), &[foreign[0].link]);
    assert_eq!(world.closed_streams, [StreamId(1)]);
}

#[test]
fn a_participant_has_only_so_many_streams() {
    let mut world = world();
    let mut foreign = [Foreign::join_by_streams(&mut world, "robot", 5000)];
    let mut checks = Vec::new();
    run(&mut world, &mut foreign, |world, foreign| {
        checks.append(&mut foreign[0].checks);
        world.streams >= 2 && !checks.is_empty()
    });
    for _ in 0..OWN_MAX {
        let remote = world.open_stream(taken_at());
        says(&mut world, remote, &checks[0]);
    }
    let kept = open_streams(&world);
    assert!(kept <= OWN_MAX, "{kept}");
    assert!(world.closed_streams.contains(&StreamId(1)), "{:?}", world.closed_streams);
    assert!(!world.closed_streams.contains(&StreamId(world.streams)));
}

#[test]
fn two_ends_have_one_stream() {
    let mut world = world();
    let remote = world.open_stream(taken_at());
    world.handle(Input::StreamOpened { stream: StreamId(2), local: taken_at(), remote });
    assert_eq!(world.closed_streams, [StreamId(1)]);
    world.handle(Input::StreamClosed { stream: StreamId(1) });
    assert_eq!(open_streams(&world), 1, "the end of the one before is not that of this one");
    world.handle(Input::StreamClosed { stream: StreamId(2) });
    assert_eq!(open_streams(&world), 0);
}
