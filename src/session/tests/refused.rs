//! Tracks that the server does not send, beside others that it does.

use super::film::{VIEW, ann};
use super::*;
use crate::rtc::{MediaKind, Peer, Sending};
use crate::session::media::*;
use crate::signal::proto::{SubscriptionError, SubscriptionPermissionUpdate, SubscriptionResponse};

const CODEC: SubscriptionError = SubscriptionError::SeCodecUnsupported;

fn refused(sid: &str, error: SubscriptionError) -> Message {
    Message::SubscriptionResponse(SubscriptionResponse { track_sid: sid.into(), err: error.into() })
}

fn permission(sid: &str, allowed: bool) -> Message {
    let (participant_sid, track_sid) = ("PA_ann".into(), sid.into());
    Message::SubscriptionPermissionUpdate(SubscriptionPermissionUpdate {
        participant_sid,
        track_sid,
        allowed,
    })
}

/// Ann publishes, and this client has asked for it.
fn asking() -> Client {
    let mut client = Client::opened();
    client.update(vec![ann(false)]);
    client.view();
    client.heard();
    client
}

/// The server sends Ann's sound, and nothing else.
fn reached_by_sound(client: &mut Client) -> Peer {
    client.open_sockets();
    let mut server = Peer::new(client.now, &[([10, 0, 0, 1], 2).into()]);
    let sound = Sending {
        kind: MediaKind::Audio,
        codecs: Vec::new(),
        stream_id: "PA_ann|film".into(),
        track_id: "TR_A1".into(),
        layers: Vec::new(),
        is_stereo: false,
        uses_dtx: false,
    };
    server.add_sending(client.now, &sound).expect("a section");
    client.offer(&mut server);
    for _ in 0..200 {
        client.exchange(&mut server);
    }
    server
}

/// The server is there, and so much time passes.
fn wait(client: &mut Client, seconds: u64) {
    for _ in 0..seconds {
        client.message(Message::Pong(1));
        client.pass(Duration::from_secs(1));
    }
}

#[test]
fn a_picture_that_does_not_come_leaves_the_sound() {
    for (message, reason) in [
        (refused("TR_V1", CODEC), VideoReason::CodecNotSupported),
        (refused("TR_V1", SubscriptionError::SeUnknown), VideoReason::PublishVideo),
        (permission("TR_V1", false), VideoReason::PublishVideo),
    ] {
        let mut client = asking();
        client.message(message);
        assert_eq!(client.subscriber_heard(), []);
        let mut server = reached_by_sound(&mut client);
        let heard = client.subscriber_heard();
        assert_eq!(heard, [SubscriberEvent::Connected, SubscriberEvent::VideoDisabled(reason)]);
        for _ in 0..2000 {
            client.exchange(&mut server);
        }
        assert_eq!(client.subscriber_heard(), []);
    }
}

#[test]
fn a_picture_that_goes_in_the_middle_leaves_the_sound_until_another_takes_its_place() {
    let (mut client, _server) = Client::watching();
    client.message(refused("TR_V1", CODEC));
    let reason = VideoReason::CodecNotSupported;
    assert_eq!(client.subscriber_heard(), [SubscriberEvent::VideoDisabled(reason)]);
    let mut again = ann(false);
    again.tracks[0] = track("TR_V2", TrackSource::Camera);
    client.update(vec![again]);
    let heard = client.subscriber_heard();
    let [SubscriberEvent::Changed(_), SubscriberEvent::VideoEnabled(enabled)] = &heard[..] else {
        panic!("{heard:?}")
    };
    assert_eq!(*enabled, reason);
}

#[test]
fn what_is_allowed_later_is_told_when_it_is() {
    let (mut client, _server) = Client::watching();
    let reason = VideoReason::PublishVideo;
    for (allowed, video, audio) in [
        (false, SubscriberEvent::VideoDisabled(reason), SubscriberEvent::AudioDisabled),
        (true, SubscriberEvent::VideoEnabled(reason), SubscriberEvent::AudioEnabled),
    ] {
        for _ in 0..2 {
            client.message(permission("TR_V1", allowed));
            client.message(permission("TR_A1", allowed));
        }
        assert_eq!(client.subscriber_heard(), [video, audio]);
    }
}

#[test]
fn a_picture_that_is_muted_and_not_allowed_is_told_once_and_back_when_it_is_neither() {
    let (mut client, _server) = Client::watching();
    client.message(permission("TR_V1", false));
    client.update(vec![ParticipantInfo { version: 2, ..ann(true) }]);
    client.message(permission("TR_V1", true));
    let mut heard = client.subscriber_heard();
    heard.retain(|event| !matches!(event, SubscriberEvent::Changed(_)));
    assert_eq!(heard, [SubscriberEvent::VideoDisabled(VideoReason::PublishVideo)]);
    client.update(vec![ParticipantInfo { version: 3, ..ann(false) }]);
    let heard = client.subscriber_heard();
    assert_eq!(heard.last(), Some(&SubscriberEvent::VideoEnabled(VideoReason::PublishVideo)));
}

#[test]
fn a_stream_of_which_nothing_is_allowed_fails_for_that_reason() {
    let mut client = asking();
    client.message(permission("TR_A1", false));
    client.message(permission("TR_V1", false));
    wait(&mut client, 14);
    assert_eq!(client.subscriber_heard(), [], "it may be allowed yet");
    wait(&mut client, 1);
    match &client.subscriber_heard()[..] {
        [SubscriberEvent::Failed(fault)] => assert_eq!(fault.reason, MediaReason::NotPermitted),
        other => panic!("{other:?}"),
    }
}

#[test]
fn who_is_allowed_late_has_the_whole_time_from_then_on() {
    let mut client = asking();
    client.message(permission("TR_A1", false));
    wait(&mut client, 14);
    client.message(permission("TR_A1", true));
    wait(&mut client, 14);
    assert_eq!(client.subscriber_heard(), []);
    let _server = client.reached();
    assert_eq!(client.subscriber_heard(), [SubscriberEvent::Connected]);
}

#[test]
fn a_stream_of_which_nothing_can_come_fails_at_once_also_in_the_middle() {
    for client in [asking(), Client::watching().0] {
        let mut client = client;
        client.message(refused("TR_V1", CODEC));
        client.message(refused("TR_A1", SubscriptionError::SeUnknown));
        let mut heard = client.subscriber_heard();
        heard.retain(|event| !matches!(event, SubscriberEvent::VideoDisabled(_)));
        match &heard[..] {
            [SubscriberEvent::Failed(fault)] => assert_eq!(fault.reason, MediaReason::PeerConnection),
            other => panic!("{other:?}"),
        }
        client.message(refused("TR_A1", CODEC));
        assert_eq!(client.heard(), []);
    }
}

#[test]
fn who_subscribes_later_learns_what_does_not_come() {
    let (mut client, _server) = Client::watching();
    client.message(refused("TR_V1", CODEC));
    client.heard();
    let id = SubscriptionId(10);
    client.input(Input::Subscribe { id, stream_id: "TR_A1".into(), wants: Wants::default() });
    let heard = client.heard();
    let told = [SubscriberEvent::Connected, SubscriberEvent::VideoDisabled(VideoReason::CodecNotSupported)];
    assert_eq!(heard[1..], told.map(|event| Event::Subscriber { id, event }));
}

#[test]
fn what_comes_after_all_is_not_refused() {
    let (mut client, mut server, sections) = Client::watching_on();
    for (message, is_back) in [
        (refused("TR_V1", SubscriptionError::SeUnknown), true),
        // Its last packets may be on their way.
        (permission("TR_V1", false), false),
    ] {
        client.message(message);
        assert_eq!(client.subscriber_heard(), [SubscriberEvent::VideoDisabled(VideoReason::PublishVideo)]);
        client.send(&mut server, sections[1]);
        let back = is_back.then_some(SubscriberEvent::VideoEnabled(VideoReason::PublishVideo));
        assert_eq!(client.subscriber_heard(), Vec::from_iter(back));
    }
    client.input(Input::Unsubscribe(VIEW));
}
