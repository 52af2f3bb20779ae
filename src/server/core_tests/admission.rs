//! Who gets in, and who is refused with which words.

use super::*;

#[test]
fn a_full_session_refuses_newcomers_and_takes_back_its_own() {
    let mut world =
        World::with(Config { secrets: secrets(), connections_max: Some(2), ..Default::default() });
    let (_, _) = world.publisher("alice");
    let (second, bob) = world.publisher("bob");
    let refusal =
        world.open(ours(), &classic(Role::Publisher, "carol"), Locality::Remote).expect_err("refused");
    assert_eq!(refusal.status, 429);
    world.cut(second);
    assert!(world.open(resuming(&bob.sid), &classic(Role::Publisher, "bob"), Locality::Remote).is_ok());
    assert!(world.open(ours(), &classic(Role::Publisher, "carol"), Locality::Remote).is_err());
}

#[test]
fn a_livekit_client_that_lost_its_link_is_let_back_into_a_full_session() {
    let mut world =
        World::with(Config { secrets: secrets(), connections_max: Some(2), ..Default::default() });
    let (watcher, _) = world.publisher("watcher");
    let (first, _) = world.join(theirs(), &livekit("robot"));
    world.cut(first);
    world.take(watcher);
    let (_, join) = world.join(theirs(), &livekit("robot"));
    assert_eq!(join.other_participants.len(), 1, "it took its own place");
    assert_eq!(
        world.open(theirs(), &livekit("another"), Locality::Remote).map_err(|refusal| refusal.status),
        Err(429)
    );
}

#[test]
fn two_that_were_admitted_to_the_last_place_do_not_both_get_it() {
    let mut world =
        World::with(Config { secrets: secrets(), connections_max: Some(1), ..Default::default() });
    let token = classic(Role::Publisher, "");
    let admit = |world: &World| {
        world.server.admit(world.now, WALL_MS, &ours(), &token, Locality::Remote).expect("room")
    };
    for (link, admission) in [(1, admit(&world)), (2, admit(&world))] {
        world.server.handle(world.now, WALL_MS, Input::Opened { link: LinkId(link), admission });
    }
    world.drain();
    assert_eq!(world.left(LinkId(2)), Some((DisconnectReason::JoinFailure, Action::Disconnect)));
    assert!(!world.closed.contains(&LinkId(1)));
}

#[test]
fn refusals_have_a_status_and_a_sentence() {
    let world = World::new();
    let ask = |query: &JoinQuery, token: &str, locality| {
        world.server.admit(world.now, WALL_MS, query, token, locality).map(|_| ()).expect_err("refused")
    };
    let good = classic(Role::Publisher, "");
    let long = JoinQuery { room: Some("x".repeat(256)), ..ours() };
    let elsewhere = JoinQuery { room: Some("2_other".into()), ..ours() };
    let foreign = JoinQuery { api_key: Some("456".into()), ..ours() };
    for (query, token, status) in [
        (&ours(), "", 401),
        (&ours(), "T1==nonsense", 401),
        (&elsewhere, good.as_str(), 401),
        (&foreign, good.as_str(), 401),
        (&long, good.as_str(), 404),
    ] {
        for locality in [Locality::Local, Locality::Remote] {
            let refusal = ask(query, token, locality);
            assert_eq!(refusal.status, status, "{}", refusal.text);
            assert!(refusal.text.ends_with('.') && !refusal.text.contains("T1=="), "{}", refusal.text);
        }
    }
}

#[test]
fn only_the_local_socket_takes_a_token_at_its_word() {
    let world = World::with(Config::default());
    let token = classic(Role::Publisher, "");
    let ask = |locality| world.server.admit(world.now, WALL_MS, &ours(), &token, locality).map(|_| ());
    assert_eq!(ask(Locality::Remote).map_err(|refusal| refusal.status), Err(401));
    assert_eq!(ask(Locality::Local), Ok(()));
}

#[test]
fn where_clients_are_believed_the_clock_may_be_wrong() {
    let token = classic(Role::Publisher, "");
    let status = |config: Config, locality, wall_ms| {
        let world = World::with(config);
        let admitted = world.server.admit(world.now, wall_ms, &ours(), &token, locality);
        admitted.map_or_else(|refusal| refusal.status, |_| 200)
    };
    let before_ms = WALL_MS - 30 * 24 * 3600 * 1000;
    let knowing = || Config { secrets: secrets(), ..Config::default() };
    assert_eq!(status(Config::default(), Locality::Local, before_ms), 200);
    assert_eq!(status(knowing(), Locality::Local, before_ms), 401);
    assert_eq!(status(knowing(), Locality::Remote, before_ms), 401);
    // An expired one is refused by every clock.
    assert_eq!(status(Config::default(), Locality::Local, WALL_MS + 24 * 3600 * 1000), 401);
}
