//! Data packets: from whom, to whom, how large.

use super::*;

#[test]
fn packets_reach_everybody_else_in_order_and_never_their_sender() {
    let mut world = World::new();
    let (first, _) = world.publisher("alice");
    let (second, _) = world.publisher("bob");
    let (third, _) = world.publisher("carol");
    for number in 0..20 {
        world.say(first, signal(&number.to_string(), &[]));
    }
    let expected: Vec<String> = (0..20).map(|number| number.to_string()).collect();
    assert_eq!(world.texts(second), expected);
    assert_eq!(world.texts(third), expected);
    assert_eq!(world.texts(first), [""; 0]);
}

#[test]
#[allow(deprecated)]
fn a_packet_is_from_who_sent_it_whatever_it_says() {
    let mut world = World::new();
    let (first, alice) = world.publisher("alice");
    let (second, bob) = world.publisher("bob");
    let mut packet = signals::packet("chat", "hello", Vec::new());
    packet.participant_sid.clone_from(&bob.sid);
    packet.participant_identity.clone_from(&bob.identity);
    if let Some(proto::data_packet::Value::User(user)) = &mut packet.value {
        user.participant_sid.clone_from(&bob.sid);
        user.participant_identity.clone_from(&bob.identity);
    }
    world.say(first, FromClient::Data(packet));
    let frames = world.take(second);
    let [FromServer::Data(DataPacket { participant_sid, participant_identity, value, .. })] =
        frames.as_slice()
    else {
        panic!("one packet, not {frames:?}")
    };
    assert_eq!((participant_sid, participant_identity), (&alice.sid, &alice.identity));
    let Some(proto::data_packet::Value::User(user)) = value else { panic!("a user packet") };
    assert_eq!((&user.participant_sid, &user.participant_identity), (&alice.sid, &alice.identity));
}

#[test]
#[allow(deprecated)]
fn a_packet_of_somebody_hidden_does_not_say_whose_it_is() {
    let mut world = World::new();
    let (first, _) = world.publisher("alice");
    let token = livekit_with("spy", Grants { hidden: true, ..GRANTS });
    let (spy, join) = world.join(ours(), &token);
    let sid = join.participant.expect("a participant").sid;
    let mut packet = signals::packet("chat", "psst", Vec::new());
    packet.participant_identity = "spy".into();
    world.say(spy, FromClient::Data(packet));
    let frames = world.take(first);
    let [FromServer::Data(packet)] = frames.as_slice() else { panic!("one packet, not {frames:?}") };
    assert_eq!((packet.participant_sid.as_str(), packet.participant_identity.as_str()), ("", ""));
    let said = format!("{packet:?}");
    assert!(!said.contains("spy") && !said.contains(&sid), "{said}");
}

#[test]
#[allow(deprecated)]
fn a_packet_with_a_destination_reaches_only_that() {
    let mut world = World::new();
    let (first, _) = world.publisher("alice");
    let (second, bob) = world.publisher("bob");
    let (third, _) = world.publisher("carol");
    world.say(first, signal("by identity", &[&bob.identity]));
    let mut packet = signals::packet("chat", "by sid", Vec::new());
    if let Some(proto::data_packet::Value::User(user)) = &mut packet.value {
        user.destination_sids.push(bob.sid);
    }
    world.say(first, FromClient::Data(packet));
    world.say(first, signal("to nobody", &["nobody"]));
    assert_eq!(world.texts(second), ["by identity", "by sid"]);
    assert_eq!(world.texts(third), [""; 0]);
}

#[test]
fn a_subscriber_may_not_signal_and_nobody_may_flood() {
    let mut world = World::new();
    let (first, _) = world.publisher("alice");
    let (silent, join) = world.join(ours(), &classic(Role::Subscriber, ""));
    let permission = join.participant.and_then(|info| info.permission).expect("a permission");
    assert!(permission.can_subscribe && !permission.can_publish && !permission.can_publish_data);
    world.updates(first);
    world.say(silent, signal("psst", &[]));
    world.say(first, signal(&"x".repeat(DATA_SIZE_MAX), &[]));
    assert_eq!(world.take(first), []);
    assert_eq!(world.take(silent), []);
    let counters = world.server.counters();
    assert_eq!((counters.data_not_allowed, counters.data_too_large), (1, 1));
}

#[test]
fn a_packet_to_many_is_kept_once() {
    let mut world = World::new();
    let (first, _) = world.publisher("alice");
    for _ in 0..3 {
        world.publisher("listener");
    }
    let bytes = signal("hello", &[]).encode();
    world.server.handle(world.now, WALL_MS, Input::Frame { link: first, bytes });
    let sent: Vec<Arc<[u8]>> = std::iter::from_fn(|| match world.server.poll()? {
        Output::Send { bytes, .. } => Some(bytes),
        other => panic!("nothing but packets, not {other:?}"),
    })
    .collect();
    assert_eq!(sent.len(), 3);
    assert!(sent.iter().all(|bytes| Arc::ptr_eq(bytes, &sent[0])));
}
