//! Who gets what, and who does not.

use super::super::turns::TRACKS_MAX;
use super::*;
use crate::signal::proto::{ParticipantPermission, SubscriptionError};

fn errors(call: &mut Call, client: usize) -> Vec<SubscriptionError> {
    call.heard(client, |message| match message {
        Message::SubscriptionResponse(response) => Some(response.err()),
        _ => None,
    })
}

#[test]
fn a_track_that_comes_in_another_codec_than_announced_is_seen_all_the_same() {
    let mut call = Call::new();
    let (alice, bob) = (call.ours("alice"), call.ours("bob"));
    let info = call.announce(alice, video("camera"));
    let now = call.now();
    let wanted = Sending { codecs: vec![Codec::Vp9], ..sending(MediaKind::Video, "camera", &[]) };
    let section = call.publisher(alice).add_sending(now, &wanted).expect("a section");
    call.offer(alice);
    call.subscribe(bob, &info.sid, true);
    call.until("both connections are up", |call| {
        is_connected(call, alice) && call.clients[bob].subscriber.as_ref().is_some_and(Peer::is_connected)
    });
    let mut source = Source { codec: Codec::Vp9, ..Source::video(alice, section, None) };
    for number in 0..20 {
        source.timestamp += 3000;
        // The first packet of a key frame, as VP9 describes itself.
        source.put(&mut call, vec![0x0c, number, 0, 0], true);
        call.pass(Duration::from_millis(33));
    }
    let got = call.clients[bob].got(&info.sid);
    assert!(got.len() > 10 && got.iter().all(|packet| packet.codec == Codec::Vp9), "{} came", got.len());
    let refused = call.heard(bob, |message| match message {
        Message::SubscriptionResponse(response) => Some(response.track_sid.clone()),
        _ => None,
    });
    assert_eq!(refused, Vec::<String>::new());
    assert_eq!(call.tracks(bob, alice).expect("told")[0].mime_type, "video/VP9");
}

#[test]
fn nothing_is_forwarded_that_nobody_subscribed_to() {
    let mut call = Call::new();
    let (alice, bob) = (call.ours("alice"), call.ours("bob"));
    let (_, section) = call.publish(alice, audio("mic"), &[]);
    call.until("the publisher is connected", |call| is_connected(call, alice));
    let mut source = Source::audio(alice, section);
    for _ in 0..10 {
        source.sound(&mut call);
        call.step();
    }
    assert!(call.clients[bob].subscriber.is_none(), "no connection was made for it");
    assert!(call.clients[bob].offers.is_empty());
    assert_eq!(call.world.server.counters().packets_of_strangers, 0, "it did come");
}

#[test]
fn several_subscriptions_at_once_are_one_offer() {
    let mut call = Call::new();
    let (alice, bob) = (call.ours("alice"), call.ours("bob"));
    let (voice, _) = call.publish(alice, audio("mic"), &[]);
    let (face, _) = call.publish(alice, video("camera"), &[]);
    let update = UpdateSubscription {
        track_sids: vec![voice.sid.clone()],
        subscribe: true,
        participant_tracks: vec![proto::ParticipantTracks {
            participant_sid: call.clients[alice].info.sid.clone(),
            track_sids: vec![face.sid.clone()],
        }],
    };
    call.ask(bob, Ask::Subscription(update));
    assert_eq!(call.clients[bob].offers.len(), 1);
    let named = &call.clients[bob].offers[0].mid_to_track_id;
    let mut sids: Vec<&String> = named.values().collect();
    sids.sort();
    assert_eq!(sids, [&voice.sid, &face.sid]);
    assert!(
        call.clients[bob].section(&voice.sid).is_some() && call.clients[bob].section(&face.sid).is_some()
    );
    call.until("its publisher hears of it", |call| {
        let of = |message: &Message| matches!(message, Message::TrackSubscribed(_)).then_some(());
        call.heard(alice, of).len() == 2
    });
}

#[test]
fn a_subscription_while_an_offer_waits_is_offered_after_the_answer() {
    let mut call = Call::new();
    let (alice, bob) = (call.ours("alice"), call.ours("bob"));
    let (voice, _) = call.publish(alice, audio("mic"), &[]);
    let (face, _) = call.publish(alice, video("camera"), &[]);
    call.clients[bob].is_mute = true;
    call.subscribe(bob, &voice.sid, true);
    call.subscribe(bob, &face.sid, true);
    assert_eq!(call.clients[bob].offers.len(), 1);
    call.clients[bob].is_mute = false;
    let offer = call.clients[bob].offers.pop().expect("an offer");
    let one = &mut call.clients[bob];
    one.hear(&mut call.world, FromServer::Message(Message::Offer(offer)));
    call.settle();
    assert_eq!(call.clients[bob].offers.len(), 2);
    assert!(call.clients[bob].section(&face.sid).is_some());
}

#[test]
fn who_unsubscribes_gets_nothing_more_and_its_section_is_used_again() {
    let (mut call, info, mut source) = watching();
    source.picture(&mut call, true);
    call.pass(Duration::from_millis(50));
    assert_eq!(call.clients[1].got(&info.sid).len(), 1);
    call.subscribe(1, &info.sid, false);
    source.picture(&mut call, true);
    call.pass(Duration::from_millis(50));
    assert_eq!(call.clients[1].packets.len(), 1);
    call.subscribe(1, &info.sid, true);
    call.pass(Duration::from_millis(50));
    source.picture(&mut call, true);
    call.pass(Duration::from_millis(100));
    assert_eq!(call.clients[1].packets.len(), 2);
    let sections: std::collections::BTreeSet<_> =
        call.clients[1].sections.iter().map(|info| info.section).collect();
    assert_eq!(sections.len(), 1, "one section served both");
}

#[test]
fn a_late_subscriber_begins_with_a_key_frame_that_is_asked_for() {
    let (mut call, info, mut source) = watching();
    source.picture(&mut call, true);
    let carol = call.ours("carol");
    call.subscribe(carol, &info.sid, true);
    call.clients[0].key_frames.clear();
    call.until("the publisher is asked for a key frame", |call| {
        source.picture(call, false);
        !call.clients[0].key_frames.is_empty()
    });
    assert_eq!(call.clients[carol].packets, [], "nothing that cannot be decoded");
    source.picture(&mut call, true);
    source.picture(&mut call, false);
    call.pass(Duration::from_millis(100));
    assert_eq!(call.clients[carol].got(&info.sid).len(), 2);
}

#[test]
fn requests_for_key_frames_are_passed_on_and_not_too_often() {
    let (mut call, info, mut source) = watching();
    source.picture(&mut call, true);
    call.pass(Duration::from_millis(500));
    call.clients[0].key_frames.clear();
    let section = call.clients[1].section(&info.sid).expect("a section");
    for _ in 0..30 {
        let now = call.now();
        call.clients[1].subscriber.as_mut().expect("a peer").request_key_frame(now, section, None);
        source.picture(&mut call, false);
        call.step();
    }
    let asked = call.clients[0].key_frames.len();
    assert!((1..=3).contains(&asked), "{asked} in 300 ms");
}

#[test]
fn foreign_clients_get_everything_without_asking() {
    let mut call = Call::new();
    let alice = call.ours("alice");
    let (before, _) = call.publish(alice, audio("mic"), &[]);
    // Of LiveKit's kind, which needs sockets from the beginning; the hub has opened them by now.
    let robot = call.enter(theirs(), &livekit("robot"));
    call.until("what was there is offered", |call| call.clients[robot].section(&before.sid).is_some());
    let (after, _) = call.publish(alice, video("camera"), &[]);
    call.until("what comes is offered", |call| call.clients[robot].section(&after.sid).is_some());
    let mut quiet = theirs();
    quiet.auto_subscribe = false;
    let other = call.enter(quiet, &livekit("other"));
    call.pass(Duration::from_millis(100));
    assert!(call.clients[other].subscriber.as_ref().is_some_and(Peer::is_connected));
    assert_eq!(call.clients[other].sections, []);
}

#[test]
fn what_cannot_be_subscribed_to_is_said() {
    let mut call = Call::new();
    let (alice, bob) = (call.ours("alice"), call.ours("bob"));
    call.subscribe(bob, "TR_nobody", true);
    assert_eq!(errors(&mut call, bob), [SubscriptionError::SeTrackNotfound]);
    call.subscribe(bob, "TR_nobody", false);
    assert_eq!(errors(&mut call, bob), []);
    let (info, _) = call.publish(alice, audio("mic"), &[]);
    assert!(call.clients[alice].subscriber.is_none(), "nobody gets what is its own unasked");
    let request = proto::UpdateParticipantRequest {
        room: super::super::core_tests::ROOM.into(),
        identity: call.clients[bob].info.identity.clone(),
        permission: Some(ParticipantPermission { can_publish: true, ..Default::default() }),
        ..Default::default()
    };
    call.world.call(super::super::service::Call::UpdateParticipant(request)).expect("updated");
    call.subscribe(bob, &info.sid, true);
    let denied = call.heard(bob, |message| match message {
        Message::SubscriptionPermissionUpdate(update) => Some((update.track_sid.clone(), update.allowed)),
        _ => None,
    });
    assert_eq!(denied, [(info.sid, false)]);
    assert!(call.clients[bob].offers.is_empty());
}

#[test]
fn a_packet_that_fills_a_frame_of_the_network_is_forwarded() {
    let (mut call, info, mut source) = watching();
    source.payload_size = 1440;
    source.picture(&mut call, true);
    call.pass(Duration::from_millis(100));
    let sizes: Vec<usize> =
        call.clients[1].got(&info.sid).iter().map(|packet| packet.payload.len()).collect();
    assert_eq!(sizes, [1440]);
    assert_eq!(call.world.server.counters().packets_dropped, 0);
}

#[test]
fn a_wish_for_a_track_is_forgotten_with_the_track() {
    let (mut call, info, source) = watching();
    let carol = call.ours("carol");
    call.set(carol, &info.sid, UpdateTrackSettings { width: 320, height: 180, ..Default::default() });
    let kept = |call: &Call| {
        let link = call.clients[carol].link;
        let share = call.world.room_of(link).participants[&call.world.key_of(link).key].share.as_ref();
        share.expect("a share").settings.len()
    };
    assert_eq!(kept(&call), 1);
    let now = call.now();
    call.publisher(0).stop_sending(now, source.section);
    call.offer(0);
    assert_eq!(kept(&call), 0);
}

#[test]
fn a_wish_that_is_not_allowed_is_granted_when_it_is() {
    let mut call = Call::new();
    let (alice, bob) = (call.ours("alice"), call.ours("bob"));
    let (info, _) = call.publish(alice, audio("mic"), &[]);
    let allow = |call: &mut Call, can_subscribe| {
        let request = proto::UpdateParticipantRequest {
            room: super::super::core_tests::ROOM.into(),
            identity: call.clients[bob].info.identity.clone(),
            permission: Some(ParticipantPermission { can_subscribe, ..Default::default() }),
            ..Default::default()
        };
        call.world.call(super::super::service::Call::UpdateParticipant(request)).expect("updated");
        call.settle();
    };
    let is_offered = |call: &Call| call.clients[bob].sections.last().is_some_and(|last| last.is_sending);
    allow(&mut call, false);
    call.subscribe(bob, &info.sid, true);
    assert!(!is_offered(&call));
    for _ in 0..2 {
        allow(&mut call, true);
        call.until("it is offered", |call| is_offered(call));
        allow(&mut call, false);
        call.until("it is taken away", |call| !is_offered(call));
    }
    let told = call.heard(bob, |message| match message {
        Message::SubscriptionPermissionUpdate(update) => Some(update.allowed),
        _ => None,
    });
    assert_eq!(told, [false, true, true]);
    call.subscribe(bob, &info.sid, false);
    allow(&mut call, true);
    call.pass(Duration::from_millis(100));
    assert!(!is_offered(&call), "it does not wish for it any more");
}

#[test]
fn the_own_track_comes_to_who_asks_for_it() {
    let mut call = Call::new();
    let alice = call.ours("alice");
    let (info, _) = call.publish(alice, audio("mic"), &[]);
    call.subscribe(alice, &info.sid, true);
    call.until("it is offered", |call| call.clients[alice].section(&info.sid).is_some());
}

#[test]
fn ten_thousand_subscriptions_do_little() {
    let (mut call, info, _) = watching();
    let unknown: Vec<String> = (0..10_000).map(|number| format!("TR_{number}")).collect();
    let update = UpdateSubscription { track_sids: unknown, subscribe: true, ..Default::default() };
    call.ask(1, Ask::Subscription(update));
    let refused = errors(&mut call, 1).len();
    assert!(refused <= TRACKS_MAX, "{refused}");
    let offers = call.clients[1].offers.len();
    for number in 0..2000 {
        call.subscribe(1, &info.sid, number % 2 == 0);
    }
    assert_eq!(call.clients[1].offers.len(), offers, "its allowance is used up");
    call.pass(Duration::from_millis(10));
    assert!(call.clients[1].offers.len() <= offers + 5, "and comes back slowly");
    call.subscribe(1, &info.sid, true);
    call.pass(Duration::from_secs(5));
    assert!(call.clients[1].section(&info.sid).is_some(), "what it says last has its turn too");
}

#[test]
fn who_asks_for_its_own_track_gets_it_and_nobody_gets_it_unasked() {
    let mut call = Call::new();
    let alice = call.enter(JoinQuery { auto_subscribe: true, ..ours() }, &classic(Role::Publisher, "alice"));
    let (info, section) = call.publish(alice, audio("mic"), &[]);
    call.until("the publisher is connected", |call| is_connected(call, alice));
    assert!(call.clients[alice].subscriber.is_none(), "it has not asked");
    call.subscribe(alice, &info.sid, true);
    call.until("it is offered", |call| call.clients[alice].section(&info.sid).is_some());
    let mut source = Source::audio(alice, section);
    call.until("it comes", |call| {
        source.sound(call);
        !call.clients[alice].got(&info.sid).is_empty()
    });
    call.subscribe(alice, &info.sid, false);
    call.pass(Duration::from_millis(100));
    let before = call.clients[alice].got(&info.sid).len();
    source.sound(&mut call);
    call.pass(Duration::from_millis(100));
    assert_eq!(call.clients[alice].got(&info.sid).len(), before);
}
