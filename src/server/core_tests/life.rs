//! The life of a server as a whole: deadlines, the end, and that nothing is left to chance.

use super::*;

#[test]
fn who_comes_and_goes_leaves_no_deadline_behind() {
    let mut world = World::new();
    let (mut stays, _) = world.publisher("alice");
    for _ in 0..10 {
        let (goes, _) = world.publisher("bob");
        world.say(goes, leave());
        assert_eq!(world.server.shared.timers.len(), 1, "alice's");
    }
    for _ in 0..10 {
        world.say(stays, leave());
        assert_eq!(world.server.shared.timers.len(), 1, "the empty room's");
        (stays, _) = world.publisher("alice");
        assert_eq!(world.server.shared.timers.len(), 1, "alice's");
    }
}

#[test]
fn a_shutdown_sends_everybody_elsewhere_and_lets_nobody_in() {
    let mut world = World::new();
    let (first, _) = world.publisher("alice");
    let (second, _) = world.join(theirs(), &livekit("robot"));
    world.take(first);
    world.server.shutdown(world.now);
    world.drain();
    for link in [first, second] {
        assert_eq!(world.left(link), Some((DisconnectReason::ServerShutdown, Action::Reconnect)));
    }
    let refused = world.open(ours(), &livekit("late"), Locality::Remote).map_err(|refusal| refusal.status);
    assert_eq!(refused, Err(503));
}

#[test]
fn the_same_inputs_with_the_same_seed_give_the_same_outputs() {
    let run = || {
        let mut world = World::new();
        let (first, alice) = world.publisher("alice");
        let (second, bob) = world.publisher("bob");
        world.cut(second);
        world.say(first, signal("x", &[&bob.identity]));
        world.pass(Duration::from_secs(30), &[first]);
        (alice, bob, world.take(first))
    };
    assert_eq!(run(), run());
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_the_server_panic(bytes: Vec<u8>, sid: String, created: i64) {
        let mut world = World::new();
        let (first, _) = world.publisher("alice");
        let query = JoinQuery { keep_sid: Some(sid), keep_created_ms: Some(created), ..ours() };
        let second = world.open(query, &classic(Role::Publisher, ""), Locality::Local).expect("admitted");
        world.bytes(second, bytes);
        world.say(first, signal("still here", &[]));
        assert!(!world.closed.contains(&first));
    }
}
