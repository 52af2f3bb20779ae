//! Lost links: who comes back as whom, and until when.

use super::*;

#[test]
fn who_resumes_finds_the_roster_and_what_was_said_meanwhile() {
    let mut world = World::new();
    let (first, alice) = world.publisher("alice");
    let token = classic(Role::Publisher, "bob");
    let (second, bob) = world.publisher("bob");
    world.updates(first);
    world.cut(second);
    world.say(first, signal("one", &[]));
    world.pass(Duration::from_secs(14), &[first]);
    world.say(first, signal("two", &[]));
    let link = world.open(resuming(&bob.sid), &token, Locality::Remote).expect("admitted");
    assert_eq!(world.updates(first), [], "nobody is told of an absence that ended in time");
    let frames = world.take(link);
    let [
        FromServer::Message(Message::Reconnect(_)),
        FromServer::Data(_),
        FromServer::Data(_),
        FromServer::Message(Message::Update(roster)),
        FromServer::Message(Message::RoomUpdate(_)),
    ] = frames.as_slice()
    else {
        panic!("no resumption: {frames:?}")
    };
    let sids: Vec<&str> = roster.participants.iter().map(|info| info.sid.as_str()).collect();
    assert_eq!(sids, [alice.sid.as_str(), bob.sid.as_str()]);
    world.inbox.insert(link, frames);
    assert_eq!(world.texts(link), ["one", "two"]);
    world.say(first, signal("three", &[]));
    assert_eq!(world.texts(link), ["three"]);
}

#[test]
fn who_resumes_gets_again_what_its_dead_link_swallowed() {
    let mut world = World::new();
    let (first, _) = world.publisher("alice");
    let (second, bob) = world.publisher("bob");
    for text in ["one", "two", "three"] {
        world.say(first, signal(text, &[]));
    }
    world.say(second, FromClient::Received(1));
    world.take(second);
    // The second has come, too, and nobody has been told yet when the link turns out to be dead.
    let query = JoinQuery { received: Some(2), ..resuming(&bob.sid) };
    let link = world.open(query, &classic(Role::Publisher, "bob"), Locality::Remote).expect("admitted");
    assert_eq!(world.texts(link), ["three"]);
    world.say(first, signal("four", &[]));
    assert_eq!(world.texts(link), ["four"]);
    // Who counts nothing gets nothing twice.
    let link = world.open(resuming(&bob.sid), &classic(Role::Publisher, "bob"), Locality::Remote);
    assert_eq!(world.texts(link.expect("admitted")), [""; 0]);
}

#[test]
fn who_says_it_again_is_heard_once_and_hears_what_came() {
    let mut world = World::new();
    let (first, _) = world.publisher("alice");
    let (second, bob) = world.publisher("bob");
    let numbered = |text: &str, sequence| match signal(text, &[]) {
        FromClient::Data(packet) => FromClient::Data(DataPacket { sequence, ..packet }),
        other => other,
    };
    world.say(second, numbered("one", 1));
    world.say(second, numbered("two", 2));
    assert_eq!(world.texts(first), ["one", "two"]);
    let token = classic(Role::Publisher, "bob");
    let link = world.open(resuming(&bob.sid), &token, Locality::Remote).expect("admitted");
    let came = world.take(link).into_iter().find_map(|frame| match frame {
        FromServer::Message(Message::Reconnect(response)) => Some(response.last_message_seq),
        _ => None,
    });
    assert_eq!(came, Some(2));
    for (text, number) in [("two", 2), ("three", 3), ("without", 0), ("a number", 0), ("four", 4)] {
        world.say(link, numbered(text, number));
    }
    assert_eq!(world.texts(first), ["three", "without", "a number", "four"]);
}

#[test]
fn a_new_link_takes_over_from_one_that_still_seems_open() {
    let mut world = World::new();
    let (first, bob) = world.publisher("bob");
    let link =
        world.open(resuming(&bob.sid), &classic(Role::Publisher, "bob"), Locality::Remote).expect("admitted");
    assert!(world.closed.contains(&first));
    world.cut(first);
    world.pass(Duration::from_secs(60), &[link]);
    assert!(!world.closed.contains(&link));
    assert_eq!(world.server.links(), 1);
}

#[test]
fn a_session_resumes_after_its_token_has_expired_but_none_begins() {
    let mut world = World::new();
    let (_, bob) = world.publisher("bob");
    let token = classic(Role::Publisher, "bob");
    world.wall_ms += 24 * 3600 * 1000;
    assert_eq!(world.open(ours(), &token, Locality::Remote).map_err(|refusal| refusal.status), Err(401));
    assert!(world.open(resuming(&bob.sid), &token, Locality::Remote).is_ok());
}

#[test]
fn a_sid_is_resumed_only_with_its_own_token() {
    let mut world = World::new();
    let (first, bob) = world.publisher("bob");
    for (sid, token) in [(bob.sid.as_str(), classic(Role::Publisher, "eve")), ("PA_unknown", livekit("bob"))]
    {
        let link = world.open(resuming(sid), &token, Locality::Remote).expect("admitted");
        assert_eq!(world.left(link), Some((DisconnectReason::StateMismatch, Action::Reconnect)));
    }
    assert!(!world.closed.contains(&first));
}

#[test]
fn who_stays_away_is_gone_after_a_while_and_sooner_on_the_local_socket() {
    for (locality, hold) in [(Locality::Remote, RESUME_HOLD_REMOTE), (Locality::Local, RESUME_HOLD_LOCAL)] {
        let mut world = World::new();
        let (first, _) = world.publisher("alice");
        let second = world.open(ours(), &classic(Role::Publisher, "bob"), locality).expect("admitted");
        let bob = world.updates(first)[0].0.clone();
        world.cut(second);
        world.pass(hold - Duration::from_millis(1), &[first]);
        assert_eq!(world.updates(first), []);
        world.pass(Duration::from_millis(1), &[first]);
        assert_eq!(world.updates(first), [(bob, State::Disconnected, DisconnectReason::SignalClose)]);
    }
}

#[test]
fn a_link_without_pings_is_cut_and_its_participant_held() {
    let mut world = World::new();
    let (first, _) = world.publisher("alice");
    let (second, bob) = world.publisher("bob");
    world.updates(first);
    world.pass(PING_TIMEOUT, &[first]);
    assert!(world.closed.contains(&second) && !world.closed.contains(&first));
    assert_eq!(world.updates(first), []);
    world.pass(RESUME_HOLD_REMOTE, &[first]);
    assert_eq!(world.updates(first), [gone(&bob, DisconnectReason::ConnectionTimeout)]);
}

#[test]
fn a_kept_sid_is_granted_on_a_server_that_does_not_know_it() {
    let mut world = World::new();
    let (_, join) = world.join(keeping("PA_before"), &classic(Role::Publisher, "bob"));
    let bob = join.participant.expect("a participant");
    assert_eq!((bob.sid.as_str(), bob.joined_at_ms), ("PA_before", WALL_MS - 5000));
    for sid in ["PA_", "bob", "PA_with space", &format!("PA_{}", "x".repeat(100))] {
        let (_, join) = world.join(keeping(sid), &classic(Role::Publisher, "bob"));
        assert_ne!(join.participant.expect("a participant").sid, sid);
    }
}

#[test]
fn a_kept_sid_in_use_is_not_granted_to_another() {
    let mut world = World::new();
    let (first, bob) = world.publisher("bob");
    let (_, join) = world.join(keeping(&bob.sid), &classic(Role::Publisher, "bob"));
    assert_ne!(join.participant.expect("a participant").sid, bob.sid, "its link is alive");
    world.cut(first);
    let (_, join) = world.join(keeping(&bob.sid), &classic(Role::Publisher, "eve"));
    assert_ne!(join.participant.expect("a participant").sid, bob.sid, "another token");
}

#[test]
fn the_sid_of_somebody_who_left_is_not_given_to_another() {
    let mut world = World::new();
    world.publisher("alice");
    let (link, bob) = world.publisher("bob");
    world.say(link, leave());
    let (_, join) = world.join(keeping(&bob.sid), &classic(Role::Publisher, "eve"));
    assert_ne!(join.participant.expect("a participant").sid, bob.sid);
    let (_, join) = world.join(keeping(&bob.sid), &classic(Role::Publisher, "bob"));
    assert_eq!(join.participant.expect("a participant").sid, bob.sid, "but it may come back");
}

#[test]
fn a_sid_that_was_guessed_is_not_given_twice() {
    let mut world = World::new();
    let mut guesses = crate::server::sids::Sids::new(SEED);
    guesses.room();
    let (_, alice) = world.publisher("alice");
    assert_eq!(guesses.participant(), alice.sid);
    let next = guesses.participant();
    let (_, join) = world.join(keeping(&next), &classic(Role::Publisher, "eve"));
    assert_eq!(join.participant.expect("a participant").sid, next);
    let (_, bob) = world.publisher("bob");
    assert_ne!(bob.sid, next);
}

#[test]
fn a_kept_sid_whose_link_is_lost_is_taken_over_in_silence() {
    for is_cut in [true, false] {
        let mut world = World::new();
        let (first, _) = world.publisher("alice");
        let (second, bob) = world.publisher("bob");
        world.updates(first);
        if is_cut {
            world.cut(second);
        } else {
            world.pass(STALE_AFTER, &[first]);
        }
        world.say(first, signal("meanwhile", &[]));
        let link = world
            .open(keeping(&bob.sid), &classic(Role::Publisher, "bob"), Locality::Remote)
            .expect("admitted");
        assert_eq!(world.updates(first), []);
        let frames = world.take(link);
        let FromServer::Welcome(join) = &frames[0] else { panic!("no welcome: {frames:?}") };
        assert_eq!(join.participant.as_ref().map(|info| &info.sid), Some(&bob.sid));
        assert_eq!(frames.len(), 1 + usize::from(is_cut), "what was queued, and nothing else: {frames:?}");
        assert_eq!(world.server.links(), 2);
    }
}

#[test]
fn a_client_that_lost_its_link_before_the_server_did_comes_back_as_itself() {
    let named = |query: JoinQuery, name: &str| JoinQuery { client: Some(name.into()), ..query };
    let token = classic(Role::Publisher, "bob");
    let mut world = World::new();
    let (first, bob) = world.join(named(ours(), "one"), &token);
    let bob = bob.participant.expect("a participant");
    let (_, other) = world.join(named(keeping(&bob.sid), "two"), &token);
    assert_ne!(other.participant.expect("a participant").sid, bob.sid, "another client with the same token");
    let (_, join) = world.join(named(keeping(&bob.sid), "one"), &token);
    assert_eq!(join.participant.expect("a participant").sid, bob.sid);
    assert!(world.closed.contains(&first), "what is left of the old link");
    let sids: Vec<String> = join.other_participants.into_iter().map(|other| other.sid).collect();
    assert_eq!(sids.len(), 1, "and it does not meet itself: {sids:?}");
}

#[test]
fn a_kept_sid_that_is_the_identity_of_another_is_not_granted() {
    let mut world = World::new();
    world.join(theirs(), &livekit("PA_robot"));
    let (_, join) = world.join(keeping("PA_robot"), &classic(Role::Publisher, "bob"));
    let bob = join.participant.expect("a participant");
    assert_ne!(bob.sid, "PA_robot");
    assert_eq!(bob.identity, bob.sid);
}
