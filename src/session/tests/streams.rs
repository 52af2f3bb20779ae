//! Publishing and subscribing where no media is needed.

use super::media::{PublicationId, PublisherEvent, SubscriberEvent, SubscriptionId, Wants};
use super::*;
use crate::signal::proto::{
    StreamState, StreamStateInfo, StreamStateUpdate, TimedVersion, UpdateSubscription,
    signal_request::Message as Asked,
};

/// A client that may do all, and Ann with a camera.
fn with_ann() -> Client {
    let mut client = Client::connected();
    client.update(vec![filming()]);
    client.heard();
    client.sent.clear();
    client
}

fn filming() -> ParticipantInfo {
    ParticipantInfo { tracks: vec![track("TR_cam", TrackSource::Camera)], ..participant("ann") }
}

fn subscribe(client: &mut Client) {
    let (id, stream_id) = (SubscriptionId(1), "TR_cam".to_owned());
    client.input(Input::Subscribe { id, stream_id, wants: Wants::default() });
}

fn asked(client: &Client) -> Vec<UpdateSubscription> {
    let of = |sent: &FromClient| match sent {
        FromClient::Message(Asked::Subscription(update)) => Some(update.clone()),
        _ => None,
    };
    client.sent.iter().filter_map(of).collect()
}

#[test]
fn what_is_unpublished_before_it_was_known_has_ended() {
    let mut client = Client::connected();
    let id = PublicationId(1);
    client.input(Input::Unpublish(id));
    assert_eq!(client.heard(), [Event::Publisher { id, event: PublisherEvent::Ended }]);
}

#[test]
fn a_subscriber_hears_nothing_before_it_is_connected() {
    let mut client = with_ann();
    subscribe(&mut client);
    assert_eq!(asked(&client).len(), 1);
    client.heard();
    let paused = StreamStateInfo {
        state: StreamState::Paused.into(),
        track_sid: "TR_cam".into(),
        ..Default::default()
    };
    client.message(Message::StreamStateUpdate(StreamStateUpdate { stream_states: vec![paused] }));
    assert_eq!(client.heard(), []);
}

#[test]
fn who_subscribes_has_the_stream_as_it_is_by_now() {
    let mut client = with_ann();
    client.pass(Duration::from_secs(1));
    assert!(matches!(&client.heard()[..], [Event::StreamReceived(stream)] if !stream.has_audio_track));
    let mut ann = filming();
    ann.tracks.push(track("TR_mic", TrackSource::Microphone));
    client.update(vec![ann]);
    client.heard();
    subscribe(&mut client);
    let heard = client.heard();
    let [Event::Subscriber { event: SubscriberEvent::Changed(stream), .. }] = &heard[..] else {
        panic!("{heard:?}")
    };
    assert!(stream.has_audio_track && stream.audio_track.as_deref() == Some("TR_mic"));
}

#[test]
fn a_stream_that_has_left_is_not_asked_for_again() {
    let mut client = with_ann();
    subscribe(&mut client);
    client.update(vec![gone("ann")]);
    client.heard();
    client.sent.clear();
    client.input(Input::LinkClosed(None));
    client.input(Input::LinkOpened);
    client.leave(DisconnectReason::StateMismatch, Action::Reconnect);
    client.input(Input::LinkOpened);
    client.server(FromServer::Welcome(welcome(&[])));
    assert!(asked(&client).iter().all(|update| !update.subscribe), "{:?}", asked(&client));
    let failed = |event: &Event| matches!(event, Event::Subscriber { event: SubscriberEvent::Failed(_), .. });
    assert!(!client.heard().iter().any(failed));
}

#[test]
fn the_subscriber_of_a_stream_that_leaves_hears_it_once_and_before_the_program() {
    let mut client = with_ann();
    client.pass(Duration::from_secs(1)); // nothing is to be heard of a sound
    subscribe(&mut client);
    client.heard();
    client.update(vec![gone("ann")]);
    let heard = client.heard();
    let left = |event: &Event| matches!(event, Event::Subscriber { event: SubscriberEvent::Left, .. });
    assert!(matches!(&heard[..], [first, .., Event::StreamDropped(_), _] if left(first)), "{heard:?}");
    client.update(vec![participant("bob")]);
    assert!(!client.heard().iter().any(left));
}

#[test]
fn another_size_and_another_source_are_told_as_changes_of_the_stream() {
    let mut client = Client::connected();
    let with = |track: TrackInfo| ParticipantInfo { tracks: vec![track], ..participant("ann") };
    let camera = TrackInfo { stream: "film".into(), ..track("TR_cam", TrackSource::Camera) };
    client.update(vec![with(camera.clone())]);
    client.pass(Duration::from_secs(1)); // nothing is to be heard of a sound
    client.heard();
    let large = TrackInfo { width: 1280, height: 720, ..camera };
    let screen = TrackInfo { source: TrackSource::ScreenShare.into(), ..large.clone() };
    for (track, expected) in [
        (large, StreamChange::Dimensions { width: 1280, height: 720 }),
        (screen, StreamChange::VideoType(VideoType::Screen)),
    ] {
        client.update(vec![with(track)]);
        match &client.heard()[..] {
            [Event::StreamChanged { stream, change }] => {
                assert_eq!(*change, expected);
                assert_eq!((stream.video_width, stream.video_height), (1280, 720));
            }
            other => panic!("{other:?}"),
        }
    }
}

/// Ann with these tracks, in this order, each as old as its number.
fn with_tracks(version: u32, tracks: &[(&str, TrackSource, i64)]) -> ParticipantInfo {
    let tracks = tracks.iter().map(|(sid, source, unix_micro)| TrackInfo {
        version: Some(TimedVersion { unix_micro: *unix_micro, ticks: 0 }),
        ..track(sid, *source)
    });
    ParticipantInfo { version, tracks: tracks.collect(), ..participant("ann") }
}

const ONE: (&str, TrackSource, i64) = ("TR_one", TrackSource::Camera, 1);
const TWO: (&str, TrackSource, i64) = ("TR_two", TrackSource::Camera, 2);
const SOUND: (&str, TrackSource, i64) = ("TR_sound", TrackSource::Microphone, 3);

/// The streams by their ids, and the pictures in them.
fn pictures(client: &Client) -> Vec<(String, String)> {
    let live = client.core.live().expect("a session");
    let streams = live.roster.streams();
    let mut pictures: Vec<_> = streams
        .into_values()
        .map(|stream| (stream.id.clone(), stream.video_track.clone().unwrap_or_default()))
        .collect();
    pictures.sort();
    pictures
}

fn both() -> Vec<(String, String)> {
    [("TR_sound", "TR_one"), ("TR_two", "TR_two")].map(|(id, sid)| (id.into(), sid.into())).to_vec()
}

#[test]
fn a_second_camera_is_a_stream_of_its_own_in_whatever_order_the_server_lists_them() {
    let mut client = Client::connected();
    client.update(vec![with_tracks(1, &[ONE, SOUND])]);
    client.update(vec![with_tracks(2, &[TWO, SOUND, ONE])]);
    client.pass(Duration::from_secs(1));
    assert_eq!(words(&client.heard()), ["created ann", "received TR_sound", "received TR_two"]);
    let one = (ONE.0, ONE.1, 9); // it has changed meanwhile
    for (version, order) in [[one, TWO, SOUND], [TWO, one, SOUND], [SOUND, TWO, one]].iter().enumerate() {
        client.update(vec![with_tracks(3 + version as u32, order)]);
        assert_eq!(client.heard(), []);
        assert_eq!(pictures(&client), both());
    }
}

#[test]
fn who_joins_later_finds_the_older_camera_with_the_sound() {
    for order in [[ONE, TWO, SOUND], [SOUND, TWO, ONE]] {
        let mut client = Client::connecting();
        client.input(Input::LinkOpened);
        let join = JoinResponse { other_participants: vec![with_tracks(1, &order)], ..welcome(&[]) };
        client.server(FromServer::Welcome(join));
        let heard = words(&client.heard());
        assert_eq!(heard, ["connected", "created ann", "received TR_sound", "received TR_two"]);
        assert_eq!(pictures(&client), both());
    }
}

#[test]
fn a_camera_that_leaves_does_not_make_another_one_take_its_place() {
    let mut client = Client::connected();
    client.update(vec![with_tracks(1, &[ONE, TWO, SOUND])]);
    client.pass(Duration::from_secs(1));
    client.heard();
    client.update(vec![with_tracks(2, &[TWO, SOUND])]);
    let heard = client.heard();
    let [Event::StreamChanged { stream, change: StreamChange::Video(false) }] = &heard[..] else {
        panic!("{heard:?}")
    };
    assert_eq!((stream.id.as_str(), stream.has_video_track), ("TR_sound", false));
    client.update(vec![with_tracks(3, &[("TR_three", TrackSource::Camera, 4), TWO, SOUND])]);
    assert_eq!(pictures(&client)[0], ("TR_sound".to_owned(), "TR_three".to_owned()));
    client.heard();
    client.update(vec![with_tracks(4, &[TWO])]);
    assert_eq!(words(&client.heard()), ["lost TR_sound"]);
}

#[test]
fn a_camera_that_is_there_before_the_one_that_it_replaces_has_gone_is_no_second_stream() {
    let mut client = Client::connected();
    client.update(vec![with_tracks(1, &[ONE, SOUND])]);
    client.heard();
    client.update(vec![with_tracks(2, &[ONE, TWO, SOUND])]);
    client.pass(Duration::from_millis(100));
    client.update(vec![with_tracks(3, &[TWO, SOUND])]);
    client.pass(Duration::from_secs(1));
    assert_eq!(client.heard(), []);
    assert_eq!(pictures(&client), [("TR_sound".to_owned(), "TR_two".to_owned())]);
}

#[test]
fn screens_and_microphones_are_shared_out_in_the_same_way_and_so_are_named_tracks() {
    let screens = [("TR_s1", TrackSource::ScreenShare, 1), ("TR_s2", TrackSource::ScreenShare, 2)];
    let microphones = [("TR_m1", TrackSource::Microphone, 1), ("TR_m2", TrackSource::Microphone, 2)];
    for (tracks, received) in [(screens, ["TR_s1", "TR_s2"]), (microphones, ["TR_m1", "TR_m2"])] {
        for stream in ["", "film"] {
            let mut client = Client::connected();
            let mut ann = with_tracks(1, &tracks);
            ann.tracks.iter_mut().for_each(|track| track.stream = stream.into());
            client.update(vec![ann]);
            client.pass(Duration::from_secs(1));
            let received = received.map(|sid| format!("received {sid}"));
            assert_eq!(words(&client.heard())[1..], received);
        }
    }
}

#[test]
fn after_a_new_join_each_track_is_in_the_stream_in_which_it_was() {
    let mut client = Client::connected();
    client.update(vec![with_tracks(1, &[ONE])]);
    client.pass(Duration::from_secs(1));
    client.heard();
    // The sound comes late: its stream is called after its picture.
    client.update(vec![with_tracks(2, &[ONE, TWO, SOUND])]);
    client.pass(Duration::from_secs(1));
    assert_eq!(words(&client.heard())[1..], ["received TR_two"]);
    let before = pictures(&client);
    client.input(Input::LinkClosed(None));
    client.input(Input::LinkOpened);
    client.leave(DisconnectReason::StateMismatch, Action::Reconnect);
    client.input(Input::LinkOpened);
    // The first camera has changed last, by now.
    let one = (ONE.0, ONE.1, 9);
    let join = JoinResponse { other_participants: vec![with_tracks(3, &[TWO, SOUND, one])], ..welcome(&[]) };
    client.server(FromServer::Welcome(join));
    client.pass(Duration::from_secs(10));
    assert_eq!(words(&client.heard()), ["reconnecting", "reconnected"]);
    assert_eq!(pictures(&client), before);
}
