//! How tracks begin, change and end.

use super::*;
use crate::signal::proto::participant_info::State;
use crate::signal::proto::request_response::Reason;
use crate::signal::proto::{AudioTrackFeature, MuteTrackRequest, ParticipantPermission};

fn refusals(call: &mut Call, client: usize) -> Vec<Reason> {
    call.heard(client, |message| match message {
        Message::RequestResponse(response) => Some(response.reason()),
        _ => None,
    })
}

#[test]
fn sound_and_pictures_of_one_reach_the_other() {
    let mut call = Call::new();
    let (alice, bob) = (call.ours("alice"), call.ours("bob"));
    let (voice, voice_section) = call.publish(alice, audio("mic"), &[]);
    let (face, face_section) = call.publish(alice, video("camera"), &[]);
    let told = call.tracks(bob, alice).expect("told of tracks");
    assert_eq!(told.iter().map(|track| &track.sid).collect::<Vec<_>>(), [&voice.sid, &face.sid]);
    for track in &told {
        call.subscribe(bob, &track.sid, true);
    }
    call.until("both are connected", |call| {
        is_connected(call, alice) && call.clients[bob].subscriber.as_ref().is_some_and(Peer::is_connected)
    });
    let mut sound = Source::audio(alice, voice_section);
    let mut pictures = Source::video(alice, face_section, None);
    for number in 0..20 {
        sound.sound(&mut call);
        pictures.picture(&mut call, number == 0);
        call.step();
    }
    call.pass(Duration::from_millis(300));
    let bob = &call.clients[bob];
    let stream = bob.sections.iter().find(|info| info.track_id == face.sid).expect("a section");
    assert_eq!(stream.stream_id, format!("{}|camera", call.clients[alice].info.sid));
    assert_eq!(bob.got(&voice.sid).len(), 20);
    let seen: Vec<u64> = bob.got(&face.sid).iter().map(|packet| packet.timestamp & 0xffff_ffff).collect();
    assert_eq!(seen, (1..=20).map(|number| 90_000 + number * 3000).collect::<Vec<_>>());
    assert!(call.clients[alice].packets.is_empty(), "nothing comes back");
    assert_eq!(call.world.demands, 1, "the sockets were opened once, when they were needed");
}

#[test]
#[allow(deprecated)] // older clients write the older fields
fn a_track_is_described_as_its_publisher_announced_it() {
    let mut call = Call::new();
    let (alice, bob) = (call.ours("alice"), call.ours("bob"));
    let request = AddTrackRequest {
        stereo: true,
        disable_dtx: true,
        stream: "first".into(),
        audio_features: vec![AudioTrackFeature::TfEchoCancellation.into()],
        muted: true,
        encryption: proto::encryption::Type::Gcm.into(),
        ..audio("mic")
    };
    let (voice, _) = call.publish(alice, request, &[]);
    let told = call.tracks(bob, alice).expect("told of tracks");
    assert!(voice.sid.starts_with("TR_AM"), "{}", voice.sid);
    assert_eq!(told[0].sid, voice.sid);
    assert_eq!((told[0].name.as_str(), told[0].stream.as_str(), told[0].muted), ("voice", "first", true));
    assert_eq!(told[0].source(), TrackSource::Microphone);
    assert_eq!(told[0].encryption(), proto::encryption::Type::Gcm);
    let features: Vec<_> = told[0].audio_features().collect();
    let expected =
        [AudioTrackFeature::TfEchoCancellation, AudioTrackFeature::TfStereo, AudioTrackFeature::TfNoDtx];
    assert_eq!(features, expected);
    let (face, _) = call.publish(alice, simulcast("camera"), &["q", "h", "f"]);
    let told = call.tracks(bob, alice).expect("told of tracks");
    assert_eq!((told[1].width, told[1].height, told[1].mime_type.as_str()), (1280, 720, "video/VP8"));
    assert_eq!(told[1].codecs[0].layers.len(), 3);
    assert_eq!(told[1].stream, "camera", "by its source, as it named none");
    assert_eq!(told[1].sid, face.sid);
    // Who comes later sees the same.
    let carol = call.world.open(ours(), &classic(Role::Publisher, "carol"), Locality::Remote).expect("in");
    let frames = call.world.take(carol);
    let Some(FromServer::Welcome(join)) = frames.first() else { panic!("no welcome: {frames:?}") };
    assert_eq!(join.other_participants[0].tracks, told);
}

#[test]
fn nobody_is_told_of_a_track_that_no_offer_carries() {
    let mut call = Call::new();
    let (alice, bob) = (call.ours("alice"), call.ours("bob"));
    let info = call.announce(alice, audio("mic"));
    assert_eq!(call.tracks(bob, alice).unwrap_or_default(), []);
    call.subscribe(bob, &info.sid, true);
    let errors = call.heard(bob, |message| match message {
        Message::SubscriptionResponse(response) => Some(response.err()),
        _ => None,
    });
    assert_eq!(errors, [proto::SubscriptionError::SeTrackNotfound]);
}

#[test]
fn a_section_that_comes_before_its_announcement_waits_for_it() {
    let mut call = Call::new();
    let (alice, bob) = (call.ours("alice"), call.ours("bob"));
    let now = call.now();
    call.publisher(alice).add_sending(now, &sending(MediaKind::Audio, "mic", &[])).expect("a section");
    call.offer(alice);
    assert_eq!(call.tracks(bob, alice).unwrap_or_default(), []);
    call.announce(alice, audio("another name"));
    assert_eq!(call.tracks(bob, alice).map(|tracks| tracks.len()), Some(1), "the kind is enough");
}

#[test]
fn tracks_are_tied_to_sections_by_their_names_and_not_by_their_order() {
    let mut call = Call::new();
    let (alice, bob) = (call.ours("alice"), call.ours("bob"));
    let first = call.announce(alice, video("one"));
    let second = call.announce(alice, video("two"));
    let now = call.now();
    call.publisher(alice).add_sending(now, &sending(MediaKind::Video, "two", &[])).expect("a section");
    call.offer(alice);
    let told = call.tracks(bob, alice).expect("told of tracks");
    assert_eq!(told.iter().map(|track| &track.sid).collect::<Vec<_>>(), [&second.sid]);
    assert_ne!(first.sid, second.sid);
}

#[test]
fn who_may_not_publish_is_refused_and_nothing_else_happens() {
    let mut call = Call::new();
    let eve = call.enter(ours(), &classic(Role::Subscriber, "eve"));
    call.ask(eve, Ask::AddTrack(audio("mic")));
    assert_eq!(refusals(&mut call, eve), [Reason::NotAllowed]);
    assert_eq!(call.clients[eve].heard, []);
    let alice = call.ours("alice");
    let permission = ParticipantPermission {
        can_publish: true,
        can_publish_sources: vec![TrackSource::Camera.into()],
        ..Default::default()
    };
    let request = proto::UpdateParticipantRequest {
        room: super::super::core_tests::ROOM.into(),
        identity: call.clients[alice].info.identity.clone(),
        permission: Some(permission),
        ..Default::default()
    };
    call.world.call(super::super::service::Call::UpdateParticipant(request)).expect("updated");
    call.ask(alice, Ask::AddTrack(audio("mic")));
    assert_eq!(refusals(&mut call, alice), [Reason::NotAllowed], "only a camera");
    call.announce(alice, video("camera"));
}

#[test]
fn a_token_may_allow_some_sources_only() {
    use crate::server::core_tests::{GRANTS, livekit_with};
    use crate::signal::token::{Grants, Sources};
    let mut call = Call::new();
    let grants = Grants { sources: Sources::Only([false, true, false, false]), ..GRANTS };
    let robot = call.enter(ours(), &livekit_with("robot", grants));
    call.ask(robot, Ask::AddTrack(video("camera")));
    assert_eq!(refusals(&mut call, robot), [Reason::NotAllowed]);
    call.announce(robot, audio("mic"));
}

#[test]
fn a_right_that_is_taken_away_ends_the_tracks_that_needed_it() {
    let (mut call, info, _) = watching();
    let request = proto::UpdateParticipantRequest {
        room: super::super::core_tests::ROOM.into(),
        identity: call.clients[0].info.identity.clone(),
        permission: Some(ParticipantPermission { can_subscribe: true, ..Default::default() }),
        ..Default::default()
    };
    call.world.call(super::super::service::Call::UpdateParticipant(request)).expect("updated");
    call.settle();
    let ended = call.heard(0, |message| match message {
        Message::TrackUnpublished(ended) => Some(ended.track_sid.clone()),
        _ => None,
    });
    assert_eq!(ended, [info.sid]);
    assert_eq!(call.tracks(1, 0), Some(Vec::new()));
}

#[test]
fn announcements_without_end_are_refused() {
    let mut call = Call::new();
    let alice = call.ours("alice");
    for number in 0..2000 {
        call.ask(alice, Ask::AddTrack(audio(&format!("track {number}"))));
    }
    let refused = refusals(&mut call, alice);
    assert_eq!(refused.len(), 2000 - super::super::media::share::PUBLICATIONS_MAX);
    assert!(refused.iter().all(|reason| *reason == Reason::LimitExceeded));
    let huge = AddTrackRequest { name: "x".repeat(100_000), ..audio("huge") };
    let bob = call.ours("bob");
    call.ask(bob, Ask::AddTrack(huge));
    assert_eq!(refusals(&mut call, bob), [Reason::LimitExceeded]);
    let data = AddTrackRequest { r#type: TrackType::Data.into(), ..audio("data") };
    call.ask(bob, Ask::AddTrack(data));
    assert_eq!(refusals(&mut call, bob), [Reason::UnsupportedType]);
}

#[test]
#[allow(deprecated)] // the older fields too
fn a_short_announcement_does_not_become_a_long_description() {
    let mut call = Call::new();
    let (alice, bob) = (call.ours("alice"), call.ours("bob"));
    let codec = |number| SimulcastCodec { codec: format!("c{number}"), ..Default::default() };
    let request = AddTrackRequest {
        simulcast_codecs: (0..1000).map(codec).collect(),
        layers: vec![VideoLayer { quality: VideoQuality::High.into(), ..Default::default() }; 1000],
        ..video("camera")
    };
    let size = prost::Message::encoded_len(&request);
    call.publish(alice, request, &[]);
    let told = call.tracks(bob, alice).expect("told of tracks");
    assert!(prost::Message::encoded_len(&told[0]) < size / 10);
    assert!((1..=4).contains(&told[0].codecs.len()) && (1..=4).contains(&told[0].layers.len()));
    assert!(told[0].codecs.iter().all(|codec| (1..=4).contains(&codec.layers.len())));
}

#[test]
fn all_tracks_of_one_together_have_a_limit_too() {
    let mut call = Call::new();
    let alice = call.ours("alice");
    for number in 0..10 {
        let name = "x".repeat(10_000);
        call.ask(alice, Ask::AddTrack(AddTrackRequest { name, ..audio(&format!("mic {number}")) }));
    }
    assert_eq!(refusals(&mut call, alice).len(), 4, "six have 60 kB together");
}

#[test]
fn a_track_shows_something_else_where_a_client_of_ours_says_so() {
    let mut call = Call::new();
    let (alice, bob) = (call.ours("alice"), call.ours("bob"));
    let (face, _) = call.publish(alice, video("camera"), &[]);
    let screen =
        AddTrackRequest { sid: face.sid.clone(), source: TrackSource::ScreenShare.into(), ..video("camera") };
    call.ask(alice, Ask::AddTrack(screen.clone()));
    let told = call.tracks(bob, alice).expect("told of tracks");
    assert_eq!((told.len(), told[0].source(), &told[0].sid), (1, TrackSource::ScreenShare, &face.sid));
    call.ask(bob, Ask::AddTrack(AddTrackRequest { source: TrackSource::Camera.into(), ..screen }));
    assert_eq!(refusals(&mut call, bob), [Reason::NotFound], "it is not his");
    assert_eq!(call.tracks(bob, alice), Some(told));
}

#[test]
fn a_muted_track_forwards_nothing_until_it_is_unmuted() {
    let (mut call, info, mut source) = watching();
    source.picture(&mut call, true);
    call.pass(Duration::from_millis(100));
    assert_eq!(call.clients[1].got(&info.sid).len(), 1);
    let mute = |muted| Ask::Mute(MuteTrackRequest { sid: info.sid.clone(), muted });
    call.ask(0, mute(true));
    assert!(call.tracks(1, 0).expect("told")[0].muted);
    assert!(call.tracks(0, 0).expect("told itself")[0].muted);
    source.picture(&mut call, true);
    call.pass(Duration::from_millis(100));
    assert_eq!(call.clients[1].got(&info.sid).len(), 1);
    call.ask(0, mute(false));
    source.picture(&mut call, false);
    source.picture(&mut call, true);
    call.pass(Duration::from_millis(100));
    assert_eq!(call.clients[1].got(&info.sid).len(), 2, "it begins with a key frame");
    assert!(!call.tracks(1, 0).expect("told")[0].muted);
    call.ask(0, Ask::Mute(MuteTrackRequest { sid: "TR_nobody".into(), muted: true }));
    assert_eq!(refusals(&mut call, 0), [Reason::NotFound]);
}

#[test]
fn the_room_service_mutes_and_does_not_unmute() {
    use super::super::service::{Answer, Call as Asked, CallError};
    let (mut call, info, _) = watching();
    let mute = |sid: &str, muted, identity: &str| {
        Asked::MutePublishedTrack(proto::MuteRoomTrackRequest {
            room: super::super::core_tests::ROOM.into(),
            identity: identity.into(),
            track_sid: sid.into(),
            muted,
        })
    };
    let alice = call.clients[0].info.identity.clone();
    let answer = call.world.call(mute(&info.sid, true, &alice)).expect("muted");
    assert!(matches!(answer, Answer::Track(track) if track.muted && track.sid == info.sid));
    call.settle();
    let told = call.heard(0, |message| match message {
        Message::Mute(mute) => Some((mute.sid.clone(), mute.muted)),
        _ => None,
    });
    assert_eq!(told, [(info.sid.clone(), true)]);
    assert!(call.tracks(1, 0).expect("told")[0].muted);
    assert_eq!(call.world.call(mute(&info.sid, false, &alice)), Err(CallError::RemoteUnmute));
    assert_eq!(call.world.call(mute("TR_x", true, &alice)), Err(CallError::TrackNotFound));
}

#[test]
fn a_track_ends_with_its_section() {
    let (mut call, info, source) = watching();
    call.subscribe(1, &info.sid, true);
    let now = call.now();
    call.publisher(0).stop_sending(now, source.section);
    call.offer(0);
    assert_eq!(call.tracks(1, 0), Some(Vec::new()));
    call.pass(Duration::from_millis(50));
    let last = call.clients[1].sections.last().expect("a section");
    assert!(!last.is_sending, "its section was stopped: {last:?}");
    let ended = call.heard(0, |message| match message {
        Message::TrackUnpublished(ended) => Some(ended.track_sid.clone()),
        _ => None,
    });
    assert_eq!(ended, [info.sid]);
}

#[test]
fn a_track_that_is_published_again_under_its_name_waits_for_the_end_of_the_first() {
    let (mut call, info, source) = watching();
    call.ask(0, Ask::AddTrack(video("camera")));
    assert_eq!(refusals(&mut call, 0), [Reason::Queued]);
    let now = call.now();
    call.publisher(0).stop_sending(now, source.section);
    call.offer(0);
    let published = call.heard(0, |message| match message {
        Message::TrackPublished(published) => published.track.clone(),
        _ => None,
    });
    assert_eq!(published.len(), 2, "the first, and now the second");
    assert_ne!(published[1].sid, info.sid);
    let now = call.now();
    call.publisher(0).add_sending(now, &sending(MediaKind::Video, "camera", &[])).expect("a section");
    call.offer(0);
    assert_eq!(call.tracks(1, 0).expect("told")[0].sid, published[1].sid);
}

#[test]
fn who_leaves_takes_its_tracks_along() {
    let (mut call, info, _) = watching();
    call.ask(0, Ask::Leave(Default::default()));
    let update = call.heard(1, |message| match message {
        Message::Update(update) => update.participants.last().cloned(),
        _ => None,
    });
    assert_eq!(update.last().map(|info| info.state()), Some(State::Disconnected));
    call.pass(Duration::from_millis(50));
    assert!(!call.clients[1].sections.last().expect("a section").is_sending);
    call.subscribe(1, &info.sid, true);
    assert!(
        call.heard(1, |message| matches!(message, Message::SubscriptionResponse(_)).then_some(())).len() == 1
    );
}

#[test]
fn media_that_nobody_announced_is_dropped() {
    let (mut call, _, _) = watching();
    let now = call.now();
    let section =
        call.publisher(0).add_sending(now, &sending(MediaKind::Audio, "stowaway", &[])).expect("a section");
    call.offer(0);
    let mut source = Source::audio(0, section);
    source.sound(&mut call);
    call.pass(Duration::from_millis(100));
    assert_eq!(call.world.server.counters().packets_of_strangers, 1);
    assert_eq!(call.clients[1].packets, []);
}
