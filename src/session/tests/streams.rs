//! Publishing and subscribing where no media is needed.

use super::media::{PublicationId, PublisherEvent, SubscriberEvent, SubscriptionId, Wants};
use super::*;
use crate::signal::proto::{
    StreamState, StreamStateInfo, StreamStateUpdate, UpdateSubscription, signal_request::Message as Asked,
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
