//! What is told of media: who speaks, how good connections are, what nobody wants.

use super::*;
use crate::signal::proto::ConnectionQuality;

fn speakers(call: &mut Call, client: usize) -> Vec<(String, bool)> {
    let told = call.heard(client, |message| match message {
        Message::SpeakersChanged(changed) => Some(changed.speakers.clone()),
        _ => None,
    });
    told.into_iter().flatten().map(|speaker| (speaker.sid, speaker.active)).collect()
}

fn speak(call: &mut Call, source: &mut Source, level_dbov: u8, time: Duration) {
    source.level = Some(AudioLevel { level_dbov, is_voice: level_dbov < 50 });
    let end = call.now() + time;
    while call.now() < end {
        source.sound(call);
        call.pass(Duration::from_millis(20));
    }
}

#[test]
fn those_who_listen_are_told_who_speaks() {
    let mut call = Call::new();
    let (alice, bob, carol) = (call.ours("alice"), call.ours("bob"), call.ours("carol"));
    let (voice, section) = call.publish(alice, audio("mic"), &[]);
    call.subscribe(bob, &voice.sid, true);
    call.until("the publisher is connected", |call| is_connected(call, alice));
    let mut source = Source::audio(alice, section);
    let sid = call.clients[alice].info.sid.clone();
    speak(&mut call, &mut source, 90, Duration::from_secs(2));
    assert_eq!(speakers(&mut call, bob), []);
    speak(&mut call, &mut source, 15, Duration::from_secs(2));
    let told = speakers(&mut call, bob);
    assert!((1..=4).contains(&told.len()), "once, and as it gets louder: {told:?}");
    assert!(told.iter().all(|speaker| *speaker == (sid.clone(), true)));
    assert!(!speakers(&mut call, alice).is_empty(), "it is told itself too");
    assert_eq!(speakers(&mut call, carol), [], "who does not listen is not");
    speak(&mut call, &mut source, 90, Duration::from_secs(1));
    assert_eq!(speakers(&mut call, bob).last(), Some(&(sid.clone(), false)));
    // Who ends listening is told of the silence.
    speak(&mut call, &mut source, 15, Duration::from_secs(1));
    speakers(&mut call, bob);
    call.subscribe(bob, &voice.sid, false);
    assert_eq!(speakers(&mut call, bob), [(sid, false)]);
}

#[test]
fn the_quality_of_a_connection_is_told_when_it_changes() {
    let (mut call, _, mut source) = watching();
    let told = |call: &mut Call, client: usize| {
        call.heard(client, |message| match message {
            Message::ConnectionQuality(update) => Some(
                update
                    .updates
                    .iter()
                    .map(|one| (one.participant_sid.clone(), one.quality()))
                    .collect::<Vec<_>>(),
            ),
            _ => None,
        })
    };
    let play = |call: &mut Call, source: &mut Source| {
        for _ in 0..200 {
            source.picture(call, true);
            call.pass(Duration::from_millis(33));
        }
    };
    play(&mut call, &mut source);
    let (alice, bob) = (call.clients[0].info.sid.clone(), call.clients[1].info.sid.clone());
    let first: Vec<_> = told(&mut call, 1).concat();
    for sid in [&alice, &bob] {
        assert!(first.contains(&(sid.clone(), ConnectionQuality::Excellent)), "{first:?}");
    }
    assert_eq!(told(&mut call, 0).concat(), [(alice.clone(), ConnectionQuality::Excellent)]);
    play(&mut call, &mut source);
    assert!(told(&mut call, 1).is_empty(), "it is no news");
    call.clients[1].is_cut = true;
    call.pass(Duration::from_secs(16));
    let now: Vec<_> = told(&mut call, 1).concat();
    assert!(now.contains(&(bob, ConnectionQuality::Lost)), "{now:?}");
}

#[test]
fn who_changes_without_end_is_told_of_from_time_to_time_and_as_it_is_in_the_end() {
    let (mut call, info, _) = watching();
    let updates =
        |call: &mut Call| call.heard(1, |message| matches!(message, Message::Update(_)).then_some(())).len();
    updates(&mut call);
    for number in 0..1001 {
        let mute = proto::MuteTrackRequest { sid: info.sid.clone(), muted: number % 2 == 0 };
        call.ask(0, Ask::Mute(mute));
    }
    let told = updates(&mut call);
    assert!((20..100).contains(&told), "{told}");
    call.pass(Duration::from_secs(1));
    assert!(call.tracks(1, 0).expect("told")[0].muted);
    assert_eq!(updates(&mut call), 1, "nothing has changed since");
}

fn wanted(call: &mut Call) -> Vec<[bool; 3]> {
    call.heard(0, |message| match message {
        Message::SubscribedQualityUpdate(update) => {
            let [codec] = update.subscribed_codecs.as_slice() else { panic!("one codec: {update:?}") };
            assert_eq!(codec.codec, "vp8");
            #[allow(deprecated)]
            let old = &update.subscribed_qualities;
            assert_eq!(codec.qualities, *old);
            Some([0, 1, 2].map(|index| codec.qualities[index].enabled))
        }
        _ => None,
    })
}

#[test]
fn a_publisher_is_told_what_is_wanted_more_at_once_and_less_after_a_while() {
    let mut call = Call::new();
    let (alice, bob) = (call.ours("alice"), call.ours("bob"));
    let (info, _) = call.publish(alice, simulcast("camera"), &["q", "h", "f"]);
    assert_eq!(wanted(&mut call), [] as [[bool; 3]; 0]);
    call.pass(Duration::from_secs(3));
    assert_eq!(wanted(&mut call), [[false; 3]], "nobody wants it");
    call.set(bob, &info.sid, UpdateTrackSettings { width: 320, height: 180, ..Default::default() });
    call.subscribe(bob, &info.sid, true);
    assert_eq!(wanted(&mut call), [[true, false, false]], "the wish was known before the subscription");
    call.set(
        bob,
        &info.sid,
        UpdateTrackSettings { quality: VideoQuality::High.into(), ..Default::default() },
    );
    assert_eq!(wanted(&mut call), [[true; 3]]);
    call.set(
        bob,
        &info.sid,
        UpdateTrackSettings { quality: VideoQuality::Medium.into(), ..Default::default() },
    );
    assert_eq!(wanted(&mut call), [] as [[bool; 3]; 0]);
    call.set(
        bob,
        &info.sid,
        UpdateTrackSettings { quality: VideoQuality::High.into(), ..Default::default() },
    );
    call.pass(Duration::from_secs(3));
    assert_eq!(wanted(&mut call), [] as [[bool; 3]; 0], "it changed its mind in time");
    call.set(bob, &info.sid, UpdateTrackSettings { disabled: true, ..Default::default() });
    call.pass(Duration::from_secs(3));
    assert_eq!(wanted(&mut call), [[false; 3]]);
    let carol = call.ours("carol");
    call.subscribe(carol, &info.sid, true);
    assert_eq!(wanted(&mut call), [[true; 3]]);
    call.ask(carol, Ask::Leave(Default::default()));
    call.pass(Duration::from_secs(3));
    assert_eq!(wanted(&mut call), [[false; 3]]);
}
