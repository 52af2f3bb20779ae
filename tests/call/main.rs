//! Clients and server in one process, on simulated time and a simulated network.
//!
//! Each run is made from a seed, which is printed when something goes wrong; `SEED=… cargo test --test call` runs that
//! one alone. Every callback is held against the model of lawful sequences (`session/lawful.rs`).

mod cast;
mod client;
mod deeds;
mod media;
mod network;
mod weather;
mod world;

use std::time::Duration;

use weather::Weather;
use world::World;

/// How many calls are simulated. `SEEDS=…` makes it more.
const SEEDS: u64 = 1200;

fn seeds(count: u64) -> impl Iterator<Item = u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let one: Option<u64> = number("SEED");
    let count = number("SEEDS").unwrap_or(count);
    match one {
        Some(seed) => seed..seed + 1,
        None => 0..count,
    }
}

/// Says which seed it was when a run panics.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the seed of this run: SEED={}", self.0);
        }
    }
}

#[test]
fn calls_on_a_bad_network_end_lawfully_and_once() {
    let mut endings = std::collections::BTreeMap::new();
    for seed in seeds(SEEDS) {
        let _seed = Seed(seed);
        let mut world = World::new(seed, Weather::storm());
        world.run(Duration::from_secs(90));
        world.everybody_leaves();
        for (ending, count) in world.endings() {
            *endings.entry(ending).or_insert(0) += count;
        }
    }
    println!("endings: {endings:?}");
    for ending in ["left", "failed", "lost", "removed"] {
        assert!(std::env::var_os("SEED").is_some() || endings.contains_key(ending), "no call was {ending}");
    }
}

#[test]
fn when_the_storm_is_over_everybody_sees_everybody() {
    for seed in seeds(SEEDS / 4) {
        let _seed = Seed(seed);
        let mut world = World::new(seed, Weather::cuts_and_crashes());
        world.run(Duration::from_secs(60));
        world.calm(Duration::from_secs(120));
        world.check_rosters();
        world.check_signals();
        world.everybody_leaves();
    }
}

#[test]
fn signals_arrive_once_and_in_order_on_a_good_network() {
    for seed in seeds(50) {
        let _seed = Seed(seed);
        let mut world = World::new(seed, Weather::sunshine());
        world.run(Duration::from_secs(30));
        world.calm(Duration::from_secs(1));
        world.check_rosters();
        world.check_signals();
        assert!(world.signals_heard() > 0);
        world.everybody_leaves();
    }
}

#[test]
fn no_signal_is_lost_on_links_that_die_unnoticed() {
    let mut resumed = 0;
    for seed in seeds(SEEDS / 12) {
        let _seed = Seed(seed);
        let mut world = World::new(seed, Weather::sunshine());
        world.is_calm = true; // nobody does anything but what follows
        let present = world.everybody_joins();
        for _ in 0..40 {
            let number = present[world.random.below(present.len() as u64) as usize];
            // A session that finds no way back for too long is joined anew, and that is another story.
            let may_break = world.clients[number].model.is_connected();
            match world.random.below(12) {
                0 if may_break => world.freeze(number),
                1 if may_break => world.cut(number),
                _ => world.say_to_all(number),
            }
            let pause = world.random.millis(0, 1500);
            world.run(pause);
        }
        world.run(Duration::from_secs(60));
        world.check_every_signal(&present);
        resumed += world.count - present.len() as u64;
        world.everybody_leaves();
    }
    println!("links that were replaced: {resumed}");
    assert!(std::env::var_os("SEED").is_some() || resumed > 0, "no link died");
}

#[test]
fn peer_connections_on_a_lossy_network_carry_every_signal_in_order() {
    let mut heard = 0;
    for seed in seeds(SEEDS / 40) {
        let _seed = Seed(seed);
        let mut world = World::new(seed, Weather::lossy());
        world.run(Duration::from_secs(60));
        world.calm(Duration::from_secs(120));
        world.check_rosters();
        world.check_signals();
        heard += world.signals_heard();
        world.everybody_leaves();
    }
    println!("signals heard: {heard}");
    assert!(heard > 0, "no signal was heard");
}

#[test]
fn streams_begin_and_end_lawfully_on_a_bad_network() {
    let (mut published, mut connected) = (0, 0);
    for seed in seeds(SEEDS / 60) {
        let _seed = Seed(seed);
        let mut world = World::new(seed, Weather::media());
        world.run(Duration::from_secs(60));
        world.everybody_leaves();
        for client in &world.clients {
            published += client.media.published;
            connected += client.media.connected;
        }
    }
    println!("streams published: {published}, subscribers connected: {connected}");
    assert!(std::env::var_os("SEED").is_some() || (published > 0 && connected > 0), "no stream was heard of");
}

#[test]
fn when_the_storm_is_over_everybody_knows_what_is_on() {
    let mut streams = 0;
    for seed in seeds(SEEDS / 150) {
        let _seed = Seed(seed);
        let mut world = World::new(seed, Weather::honest_media());
        world.run(Duration::from_secs(40));
        world.calm(Duration::from_secs(90));
        world.check_rosters();
        streams += world.check_streams();
        world.everybody_leaves();
    }
    println!("streams at the end: {streams}");
    assert!(std::env::var_os("SEED").is_some() || streams > 0, "no stream was there");
}
