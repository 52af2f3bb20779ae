//! The server's own interface, and the rooms that are made with it.

use super::*;

#[test]
fn the_room_service_removes_lists_and_speaks() {
    let mut world = World::new();
    let (first, alice) = world.publisher("alice");
    let (second, bob) = world.publisher("bob");
    world.updates(first);
    let listed = world.call(Call::ListParticipants(proto::ListParticipantsRequest { room: ROOM.into() }));
    assert_eq!(listed, Ok(Answer::Participants(vec![alice.clone(), bob.clone()])));
    let send = proto::SendDataRequest { room: ROOM.into(), data: b"all".to_vec(), ..Default::default() };
    world.call(Call::SendData(send)).expect("sent");
    let frames = world.take(first);
    let [FromServer::Data(packet)] = frames.as_slice() else { panic!("one packet, not {frames:?}") };
    assert_eq!(signals::read(packet).map(|read| (read.data, read.sender_sid)), Some(("all".into(), None)));
    world.take(second);
    let who = |identity: &str| proto::RoomParticipantIdentity {
        room: ROOM.into(),
        identity: identity.into(),
        revoke_token_ts: 0,
    };
    world.call(Call::RemoveParticipant(who(&bob.identity))).expect("removed");
    assert_eq!(world.left(second), Some((DisconnectReason::ParticipantRemoved, Action::Disconnect)));
    assert_eq!(world.updates(first), [gone(&bob, DisconnectReason::ParticipantRemoved)]);
    assert_eq!(world.call(Call::GetParticipant(who("bob"))), Err(CallError::ParticipantNotFound));
    let metadata = proto::UpdateRoomMetadataRequest { room: ROOM.into(), metadata: "topic".into() };
    world.call(Call::UpdateRoomMetadata(metadata)).expect("updated");
    let [FromServer::Message(Message::RoomUpdate(update))] = &world.take(first)[..] else {
        panic!("no update")
    };
    assert_eq!(update.room.as_ref().map(|room| room.metadata.as_str()), Some("topic"));
    world.call(Call::DeleteRoom(proto::DeleteRoomRequest { room: ROOM.into() })).expect("deleted");
    assert_eq!(world.left(first), Some((DisconnectReason::RoomDeleted, Action::Disconnect)));
    assert_eq!(world.call(Call::ListRooms(Default::default())), Ok(Answer::Rooms(Vec::new())));
}

#[test]
fn an_empty_room_vanishes_and_a_created_one_waits_for_somebody() {
    let mut world = World::new();
    let request = proto::CreateRoomRequest {
        name: ROOM.into(),
        empty_timeout: 100,
        max_participants: 1,
        ..Default::default()
    };
    world.call(Call::CreateRoom(Box::new(request))).expect("created");
    world.pass(Duration::from_secs(99), &[]);
    let (first, _) = world.publisher("alice");
    assert!(world.open(ours(), &classic(Role::Publisher, ""), Locality::Remote).is_err(), "it has one place");
    world.pass(Duration::from_secs(60), &[first]);
    assert_eq!(world.server.rooms.len(), 1, "somebody is in it");
    world.say(first, leave());
    world.pass(Duration::from_secs(99), &[]);
    assert_eq!(world.server.rooms.len(), 1);
    world.pass(Duration::from_secs(1), &[]);
    assert_eq!(world.server.rooms.len(), 0);
    assert_eq!(world.server.poll_timeout(), None);
}

#[test]
fn the_members_of_a_deleted_room_are_sent_away_and_not_told_of_each_other() {
    let mut world = World::new();
    let (first, _) = world.publisher("alice");
    let (second, _) = world.publisher("bob");
    let (away, _) = world.publisher("carol");
    world.cut(away);
    world.take(first);
    world.take(second);
    world.call(Call::DeleteRoom(proto::DeleteRoomRequest { room: ROOM.into() })).expect("deleted");
    for link in [first, second] {
        let frames = world.take(link);
        assert_eq!(frames.len(), 1, "{frames:?}");
        world.inbox.insert(link, frames);
        assert_eq!(world.left(link), Some((DisconnectReason::RoomDeleted, Action::Disconnect)));
    }
    assert_eq!(world.server.poll_timeout(), None, "nothing of it is left");
    let (_, join) = world.join(ours(), &classic(Role::Publisher, "dave"));
    assert_eq!(join.other_participants, []);
}

#[test]
fn who_is_hidden_later_is_gone_for_the_others_and_can_come_back() {
    let mut world = World::new();
    let (first, _) = world.publisher("alice");
    let (second, bob) = world.publisher("bob");
    world.take(first);
    let mut hide = |hidden| {
        let permission = proto::ParticipantPermission { hidden, ..bob.permission.clone().expect("one") };
        let request = proto::UpdateParticipantRequest {
            room: ROOM.into(),
            identity: bob.identity.clone(),
            permission: Some(permission),
            ..Default::default()
        };
        world.call(Call::UpdateParticipant(request)).expect("updated");
        (world.updates(first), world.updates(second))
    };
    assert_eq!(hide(true), (vec![gone(&bob, DisconnectReason::UnknownReason)], vec![active(&bob)]));
    assert_eq!(hide(true), (vec![], vec![active(&bob)]), "and only once");
    assert_eq!(hide(false), (vec![active(&bob)], vec![active(&bob)]));
    assert_eq!(hide(true).0.len(), 1);
    world.say(second, leave());
    assert_eq!(world.updates(first), []);
}

#[test]
fn a_room_is_recorded_while_a_recorder_is_in_it() {
    let mut world = World::new();
    let (first, _) = world.publisher("alice");
    let token = livekit_with("recorder", Grants { is_recorder: true, hidden: true, ..GRANTS });
    let told = |world: &mut World| {
        let frames = world.take(first);
        let [FromServer::Message(Message::RoomUpdate(update))] = frames.as_slice() else {
            panic!("one update, not {frames:?}")
        };
        update.room.as_ref().expect("a room").active_recording
    };
    let recorder = world.open(ours(), &token, Locality::Remote).expect("let in");
    assert!(told(&mut world), "and nothing else: it is hidden");
    let second = world.open(ours(), &token, Locality::Remote).expect("let in");
    let join = world.take(second).into_iter().find_map(|frame| match frame {
        FromServer::Welcome(join) => join.room,
        _ => None,
    });
    assert!(join.expect("a room").active_recording, "who comes later hears it with the welcome");
    world.say(recorder, leave());
    assert_eq!(world.take(first), [], "another one is there");
    world.say(second, leave());
    assert!(!told(&mut world));
}
