//! How fluent a film is when the network becomes narrow: a publisher, the server and a watcher in one process, on
//! simulated time. The encoders are models, so that only the network counts, and not how busy the machine is.
//!
//! `PRINTS=1 cargo test --test narrow -- --nocapture` shows each second. `benches/network.sh` is the same with real
//! programs.

mod codec;
#[allow(dead_code, reason = "calls need more of it")]
#[path = "../call/network.rs"]
mod network;
mod way;
mod world;

use std::time::Duration;

use world::{PUBLISHER, Second, WATCHER, World};

const WIDE_BPS: u64 = 3_000_000;
const NARROW_BPS: u64 = 300_000;

/// A call begins with a guess of what the way carries.
const STEADY_AFTER: usize = 6;

/// How long it may take until the picture moves again on the narrow network, and until it is whole again on the wide one.
const SETTLED_AFTER: usize = 3;
const WHOLE_AFTER: usize = 8;

/// Ten pictures a second, all in all, and never none for a second.
fn moves(seconds: &[Second]) {
    let pictures: usize = seconds.iter().map(|second| second.pictures as usize).sum();
    let is_still = |second: &Second| second.pause >= Duration::from_secs(1);
    assert!(pictures >= 10 * seconds.len() && !seconds.iter().any(is_still), "narrow: {seconds:?}");
}

/// A network that becomes narrow and wide again. `set` says which way it is.
fn film(set: impl Fn(&mut World, u64)) {
    let mut world = World::watched();
    set(&mut world, WIDE_BPS);
    for second in &world.watch(15)[STEADY_AFTER..] {
        assert!(second.pictures >= 27 && second.pause < Duration::from_millis(200), "wide: {second:?}");
    }
    set(&mut world, NARROW_BPS);
    let narrow = world.watch(20);
    for second in &narrow[..SETTLED_AFTER] {
        assert!(second.pause < Duration::from_secs(2), "the change: {second:?}");
    }
    moves(&narrow[SETTLED_AFTER..]);
    set(&mut world, WIDE_BPS);
    let again = world.watch(20);
    for second in &again {
        assert!(second.pause < Duration::from_secs(1), "wide again: {second:?}");
    }
    for second in &again[WHOLE_AFTER..] {
        assert!(second.pictures >= 27, "whole again: {second:?}");
    }
}

#[test]
fn a_narrow_way_of_the_publisher_leaves_a_picture_that_moves() {
    film(|world, rate| world.up[PUBLISHER].bits_per_second = Some(rate));
}

#[test]
fn a_narrow_way_of_the_watcher_leaves_a_picture_that_moves() {
    film(|world, rate| world.down[WATCHER].bits_per_second = Some(rate));
}

/// Lost packets are no queue, and a way that becomes longer is none.
#[test]
fn a_way_that_loses_a_tenth_keeps_its_large_picture() {
    for client in [PUBLISHER, WATCHER] {
        let mut world = World::watched();
        world.watch(8);
        for way in [&mut world.up[client], &mut world.down[client]] {
            way.delay = Duration::from_millis(50);
        }
        let way = if client == PUBLISHER { &mut world.up[client] } else { &mut world.down[client] };
        way.loss_percent = 10;
        let seen = world.watch(15);
        let pictures: u32 = seen.iter().map(|second| second.pictures).sum();
        assert!(pictures >= 15 * 16, "{pictures}: {seen:?}");
        assert!(seen.iter().all(|second| second.pause < Duration::from_millis(1_500)), "{seen:?}");
    }
}

/// The first guess is far too high.
fn beginning(set: impl Fn(&mut World, u64)) {
    let mut world = World::watched();
    set(&mut world, NARROW_BPS);
    let seen = world.watch(15);
    for second in &seen {
        assert!(second.pause < Duration::from_secs(4), "{seen:?}");
    }
    moves(&seen[8..]);
}

#[test]
fn a_call_that_begins_on_a_narrow_way_of_the_publisher_has_a_picture_soon() {
    beginning(|world, rate| world.up[PUBLISHER].bits_per_second = Some(rate));
}

#[test]
fn a_call_that_begins_on_a_narrow_way_of_the_watcher_has_a_picture_soon() {
    beginning(|world, rate| world.down[WATCHER].bits_per_second = Some(rate));
}
