//! Who comes, who goes, and who is told.

use super::*;

#[test]
fn a_newcomer_learns_of_everybody_and_everybody_of_the_newcomer() {
    let mut world = World::new();
    let (first, alice) = world.publisher("alice");
    let (second, join) = world.join(ours(), &classic(Role::Publisher, "bob"));
    let bob = join.participant.clone().expect("a participant");
    assert_eq!(join.other_participants, std::slice::from_ref(&alice));
    assert_eq!(world.updates(first), [active(&bob)]);
    assert_eq!(world.updates(second), []);
    assert_eq!((alice.metadata.as_str(), bob.metadata.as_str()), ("alice", "bob"));
    assert_eq!((alice.joined_at, alice.joined_at_ms), (WALL_MS / 1000, WALL_MS));
    assert_eq!(join.room.expect("a room").name, ROOM);
    assert_eq!((join.ping_interval, join.ping_timeout), (5, 15));
    let version = join.server_info.expect("it tells").version;
    assert_eq!(version, "1.8.0", "LiveKit's clients switch on by it what they use");
}

#[test]
fn a_roster_that_is_too_long_for_a_message_comes_in_several() {
    let mut world = World::new();
    let many: Vec<(LinkId, ParticipantInfo)> = (0..30).map(|_| world.publisher("")).collect();
    for (_, info) in &many {
        let request = proto::UpdateParticipantRequest {
            room: ROOM.into(),
            identity: info.identity.clone(),
            metadata: "x".repeat(60_000),
            name: "x".repeat(60_000),
            attributes: [("x".into(), "x".repeat(60_000))].into(),
            ..Default::default()
        };
        world.call(Call::UpdateParticipant(request)).expect("updated");
    }
    let token = classic(Role::Publisher, "carol");
    let link = world.open(ours(), &token, Locality::Remote).expect("admitted");
    let told = |frames: Vec<FromServer>| {
        let mut sids = BTreeSet::new();
        for frame in frames {
            assert!(frame.clone().encode().len() <= FRAME_SIZE_MAX);
            match frame {
                FromServer::Welcome(join) => {
                    sids.extend(join.other_participants.into_iter().map(|one| one.sid))
                }
                FromServer::Message(Message::Update(update)) => {
                    sids.extend(update.participants.into_iter().map(|one| one.sid));
                }
                _ => {}
            }
        }
        sids
    };
    let others: BTreeSet<String> = many.iter().map(|(_, info)| info.sid.clone()).collect();
    assert_eq!(told(world.take(link)), others);
    let carol = world.room_of(link).participants[&world.key_of(link).key].sid.clone();
    world.cut(link);
    let link = world.open(resuming(&carol), &token, Locality::Remote).expect("admitted");
    assert_eq!(told(world.take(link)), others.into_iter().chain([carol]).collect());
}

#[test]
#[allow(deprecated)] // the older fields too
fn an_agent_and_a_recorder_are_announced_as_such() {
    let mut world = World::new();
    let agent = Grants { is_agent: true, holder: Kind::Agent, ..GRANTS };
    let egress = Grants { holder: Kind::Egress, ..GRANTS };
    for (grants, expected) in [
        (GRANTS, (Kind::Standard, false, false)),
        (agent, (Kind::Agent, true, false)),
        (egress, (Kind::Egress, false, true)),
    ] {
        let (_, join) = world.join(ours(), &livekit_with("robot", grants));
        let info = join.participant.expect("a participant");
        let permission = info.permission.clone().expect("a permission");
        assert_eq!((info.kind(), permission.agent, permission.recorder), expected);
    }
}

#[test]
fn how_many_there_are_is_told_once_for_many_who_come_and_go() {
    let mut world = World::new();
    let (first, _) = world.publisher("alice");
    let told = |world: &mut World| -> Vec<u32> {
        let of = |frame| match frame {
            FromServer::Message(Message::RoomUpdate(update)) => update.room.map(|room| room.num_participants),
            _ => None,
        };
        world.take(first).into_iter().filter_map(of).collect()
    };
    world.pass(Duration::from_secs(10), &[first]);
    assert_eq!(told(&mut world), [0; 0], "it knows that it is alone");
    let others: Vec<LinkId> = (0..20).map(|_| world.publisher("").0).collect();
    world.say(others[0], leave());
    world.pass(Duration::from_secs(10), &[&[first], &others[1..]].concat());
    assert_eq!(told(&mut world), [20]);
    for other in &others[1..] {
        world.say(*other, leave());
    }
    world.pass(Duration::from_secs(10), &[first]);
    assert_eq!(told(&mut world), [1]);
}

#[test]
fn who_says_farewell_is_gone_at_once() {
    let mut world = World::new();
    let (first, _) = world.publisher("alice");
    let (second, bob) = world.publisher("bob");
    world.updates(first);
    world.say(second, leave());
    assert_eq!(world.updates(first), [gone(&bob, DisconnectReason::ClientInitiated)]);
    assert!(world.closed.contains(&second));
    world.cut(second);
    world.say(second, signal("from beyond", &[]));
    assert_eq!(world.updates(first), []);
}

#[test]
fn each_connect_with_one_token_is_a_connection_of_its_own() {
    let mut world = World::new();
    let token = livekit("robot");
    let (first, one) = world.join(ours(), &token);
    let (_, other) = world.join(ours(), &token);
    let (one, other) = (one.participant.expect("one"), other.participant.expect("another"));
    assert_eq!(one.identity, "robot");
    assert_eq!(other.identity, format!("robot-{}", other.sid));
    assert_eq!(world.updates(first), [active(&other)]);
    let (_, classic) = world.publisher("x");
    assert_eq!(classic.identity, classic.sid);
}

#[test]
fn a_second_livekit_client_of_an_identity_ends_the_first() {
    let mut world = World::new();
    let (watcher, _) = world.publisher("watcher");
    let (first, one) = world.join(theirs(), &livekit("robot"));
    let (_, other) = world.join(theirs(), &livekit("robot"));
    assert_eq!(world.left(first), Some((DisconnectReason::DuplicateIdentity, Action::Disconnect)));
    let (one, other) = (one.participant.expect("one"), other.participant.expect("another"));
    let expected = [active(&one), gone(&one, DisconnectReason::DuplicateIdentity), active(&other)];
    assert_eq!(world.updates(watcher), expected);
}
