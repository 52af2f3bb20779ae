//! What a participant asks for over its link.

use super::*;

#[test]
fn garbage_cuts_its_own_link_and_disturbs_nobody() {
    let mut world = World::new();
    let (first, _) = world.publisher("alice");
    let (second, bob) = world.publisher("bob");
    world.updates(first);
    world.bytes(second, b"GET / HTTP/1.1\r\n\r\n".to_vec());
    assert!(world.closed.contains(&second) && !world.closed.contains(&first));
    assert_eq!(world.updates(first), []);
    world.bytes(LinkId(99), vec![0xff; 100]);
    world.cut(LinkId(99));
    assert!(world.open(resuming(&bob.sid), &classic(Role::Publisher, "bob"), Locality::Remote).is_ok());
    world.bytes(first, Vec::new());
    assert!(!world.closed.contains(&first), "an empty message is one of a newer protocol");
}

#[test]
fn pings_of_both_ages_are_answered() {
    let mut world = World::new();
    let (first, _) = world.publisher("alice");
    world.say(first, FromClient::Message(Ask::Ping(5)));
    world.say(first, FromClient::Message(Ask::PingReq(proto::Ping { timestamp: 6, rtt: 0 })));
    let pong = proto::Pong { last_ping_timestamp: 6, timestamp: WALL_MS };
    let expected = [FromServer::Message(Message::Pong(5)), FromServer::Message(Message::PongResp(pong))];
    assert_eq!(world.take(first), expected);
}

#[test]
fn a_livekit_token_may_grant_to_change_ones_own_description() {
    let mut world = World::new();
    let (watcher, _) = world.publisher("watcher");
    let token = livekit_with("robot", Grants { can_update_metadata: true, ..GRANTS });
    let (robot, _) = world.join(theirs(), &token);
    world.take(watcher);
    let wanted = proto::UpdateParticipantMetadata {
        name: "Robby".into(),
        attributes: [("hand".to_owned(), "raised".to_owned())].into(),
        ..Default::default()
    };
    world.say(robot, FromClient::Message(Ask::UpdateMetadata(wanted)));
    let [FromServer::Message(Message::Update(update))] = &world.take(watcher)[..] else {
        panic!("no update")
    };
    let info = &update.participants[0];
    assert_eq!((info.name.as_str(), info.metadata.as_str()), ("Robby", "data of livekit"));
    assert_eq!(info.attributes.get("hand").map(String::as_str), Some("raised"));
}

#[test]
fn own_metadata_changes_only_with_the_permission_to() {
    let mut world = World::new();
    let (first, alice) = world.publisher("alice");
    let (second, _) = world.publisher("bob");
    world.updates(first);
    let wish = || {
        let wanted =
            proto::UpdateParticipantMetadata { metadata: "new".into(), request_id: 3, ..Default::default() };
        FromClient::Message(Ask::UpdateMetadata(wanted))
    };
    let reason = |frames: Vec<FromServer>| match frames.last() {
        Some(FromServer::Message(Message::RequestResponse(response))) => {
            assert_eq!(response.request_id, 3);
            response.reason()
        }
        other => panic!("no response but {other:?}"),
    };
    world.say(first, wish());
    assert_eq!(reason(world.take(first)), Reason::NotAllowed);
    assert_eq!(world.take(second), []);
    let permission =
        proto::ParticipantPermission { can_update_metadata: true, ..alice.permission.expect("one") };
    let request = proto::UpdateParticipantRequest {
        room: ROOM.into(),
        identity: alice.identity,
        permission: Some(permission),
        ..Default::default()
    };
    world.call(Call::UpdateParticipant(request)).expect("updated");
    world.take(first);
    world.take(second);
    world.say(first, wish());
    assert_eq!(reason(world.take(first)), Reason::Ok);
    let [FromServer::Message(Message::Update(update))] = &world.take(second)[..] else { panic!("no update") };
    assert_eq!(update.participants[0].metadata, "new");
    assert!(update.participants[0].version > alice.version);
}
