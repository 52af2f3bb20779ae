//! Publishing and subscribing, against a server that says what the test wants.

use std::sync::Arc;

use super::super::publications::{Publications, Published};
use super::film::{FILM, VIEW, ann, film};
use super::*;
use crate::media::{Kind, VideoCodec};
use crate::rtc::{Amount, SectionStatistics};
use crate::session::media::*;
use crate::signal::proto::{
    AddTrackRequest, ConnectionQuality, ConnectionQualityInfo, ConnectionQualityUpdate, DataPacket,
    MuteTrackRequest, RequestResponse, StreamState, StreamStateInfo, StreamStateUpdate, SubscribedQuality,
    SubscribedQualityUpdate, SubscriptionError, SubscriptionResponse, TrackUnpublishedResponse, VideoQuality,
    request_response,
};
use crate::signal::sender_stats;

#[test]
fn tracks_are_announced_before_they_are_offered() {
    let mut client = Client::opened();
    client.publish(film(1));
    let kinds: Vec<&str> = client
        .asked()
        .iter()
        .map(|message| match message {
            signal_request::Message::AddTrack(_) => "track",
            signal_request::Message::Offer(_) => "offer",
            _ => "else",
        })
        .collect();
    assert_eq!(kinds, ["track", "track", "offer"]);
}

#[test]
fn a_stream_is_published_when_the_server_has_taken_every_track_of_it() {
    let mut client = Client::opened();
    client.publish(film(3));
    let requests = client.take();
    assert!(requests.iter().all(|request| request.stream == "otc-7;av" && request.sid.is_empty()));
    assert_eq!(requests[1].layers.len(), 3);
    match &client.publisher_heard()[..] {
        [PublisherEvent::Published { stream, video }] => {
            assert_eq!((stream.id.as_str(), stream.name.as_str()), ("TR_A1", "film"));
            assert_eq!(*video, Some(VideoCodec::Vp8));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn media_leaves_at_once() {
    let mut client = Client::opened();
    client.publish(film(1));
    let (_, mut server) = client.agree();
    let mut patience = 0..1000;
    while !server.is_connected() {
        patience.next().expect("the publisher's connection comes up");
        client.exchange(&mut server);
    }
    client.exchange(&mut server);
    client.transmitted.clear();
    let outgoing = Outgoing {
        kind: Kind::Video,
        layer: 0,
        timestamp: 90_000,
        missing: 0,
        payloads: vec![(Arc::from([0x10, 0, 0, 0].as_slice()), true)],
        captured: client.now,
        level: None,
    };
    client.input(Input::Media { id: FILM, outgoing });
    assert_eq!(client.transmitted.len(), 1, "a datagram, and no time has passed");
}

#[test]
fn a_stream_that_nobody_takes_times_out_once() {
    let mut client = Client::opened();
    client.publish(film(1));
    client.pass(Duration::from_secs(14));
    assert_eq!(client.publisher_heard(), []);
    // The server is there and does not do its part.
    client.message(Message::Pong(1));
    client.pass(Duration::from_secs(2));
    match &client.publisher_heard()[..] {
        [PublisherEvent::Failed(fault)] => assert_eq!(fault.reason, MediaReason::TimedOut),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_refused_track_fails_the_whole_stream_once() {
    let mut client = Client::opened();
    client.publish(film(1));
    for message in client.asked() {
        if let signal_request::Message::AddTrack(request) = message {
            client.message(Message::RequestResponse(RequestResponse {
                reason: request_response::Reason::NotAllowed.into(),
                request: Some(request_response::Request::AddTrack(request)),
                ..RequestResponse::default()
            }));
        }
    }
    match &client.publisher_heard()[..] {
        [PublisherEvent::Failed(fault)] => assert_eq!(fault.reason, MediaReason::NotPermitted),
        other => panic!("{other:?}"),
    }
}

#[test]
fn own_streams_end_before_their_session() {
    let mut client = Client::published();
    client.input(Input::Leave);
    let events = client.heard();
    assert!(matches!(
        &events[..],
        [Event::Publisher { id: FILM, event: PublisherEvent::Ended }, Event::Ended(Ending::Left)]
    ));
}

#[test]
fn who_leaves_while_a_stream_is_asked_for_hears_of_no_failure_and_who_is_thrown_out_does() {
    for is_own in [true, false] {
        let mut client = Client::opened();
        client.publish(film(1));
        match is_own {
            true => client.input(Input::Leave),
            false => client.message(Message::Leave(LeaveRequest {
                reason: DisconnectReason::ServerShutdown.into(),
                ..LeaveRequest::default()
            })),
        }
        match &client.publisher_heard()[..] {
            [PublisherEvent::Ended] => assert!(is_own),
            [PublisherEvent::Failed(fault)] => {
                assert_eq!((is_own, fault.reason), (false, MediaReason::SessionDisconnected));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_stream_that_is_unpublished_before_it_was_there_ends_and_is_not_heard_of_again() {
    let mut client = Client::opened();
    client.publish(film(1));
    client.input(Input::Unpublish(FILM));
    assert_eq!(client.publisher_heard(), [PublisherEvent::Ended]);
    client.take();
    client.message(Message::TrackUnpublished(TrackUnpublishedResponse { track_sid: "TR_A1".into() }));
    assert_eq!(client.publisher_heard(), []);
}

#[test]
fn what_the_program_switches_goes_to_the_server_and_what_a_moderator_switches_to_the_program() {
    let mut client = Client::published();
    client.asked();
    client.input(Input::SetPublishing { id: FILM, kind: Kind::Video, is_on: false });
    let mute = MuteTrackRequest { sid: "TR_V1".into(), muted: true };
    assert_eq!(client.asked(), [signal_request::Message::Mute(mute)]);
    assert!(matches!(&client.publisher_heard()[..], [PublisherEvent::Changed(stream)] if !stream.has_video));
    let mute = MuteTrackRequest { sid: "TR_A1".into(), muted: true };
    client.message(Message::Mute(mute.clone()));
    let heard = client.publisher_heard();
    let [PublisherEvent::Changed(_), PublisherEvent::MuteForced(Kind::Audio)] = &heard[..] else {
        panic!("{heard:?}")
    };
    client.message(Message::Mute(mute));
    assert_eq!(client.publisher_heard(), [], "it is muted already");
    client.message(Message::Mute(MuteTrackRequest { sid: "TR_A1".into(), muted: false }));
    assert_eq!(client.publisher_heard(), [], "nobody is switched on from afar");
}

#[test]
fn video_that_a_moderator_switches_off_is_off_for_its_publisher_too() {
    let mut client = Client::published();
    client.asked();
    let mute = MuteTrackRequest { sid: "TR_V1".into(), muted: true };
    client.message(Message::Mute(mute.clone()));
    let heard = client.publisher_heard();
    let [PublisherEvent::Changed(stream), PublisherEvent::MuteForced(Kind::Video)] = &heard[..] else {
        panic!("{heard:?}")
    };
    assert!(!stream.has_video);
    assert_eq!(client.asked(), [signal_request::Message::Mute(mute.clone())]);
    // It may rest already, because the network is narrow.
    client.message(Message::Mute(mute));
    assert_eq!(client.publisher_heard(), [PublisherEvent::MuteForced(Kind::Video)]);
    assert_eq!(client.asked(), []);
}

#[test]
fn a_server_that_switches_on_from_afar_hears_that_it_is_off() {
    let mut client = Client::published();
    let switched_on = |sid: &str| Message::Mute(MuteTrackRequest { sid: sid.into(), muted: false });
    client.asked();
    client.message(switched_on("TR_V1"));
    assert_eq!(client.asked(), [], "it is on");
    for (kind, sid) in [(Kind::Video, "TR_V1"), (Kind::Audio, "TR_A1")] {
        client.input(Input::SetPublishing { id: FILM, kind, is_on: false });
        client.asked();
        client.heard();
        client.message(switched_on(sid));
        let off = MuteTrackRequest { sid: sid.into(), muted: true };
        assert_eq!(client.asked(), [signal_request::Message::Mute(off)]);
        assert_eq!(client.heard(), []);
    }
}

#[test]
fn when_a_change_is_told_the_subscribers_have_the_changed_stream() {
    let (mut client, _) = Client::watching();
    client.update(vec![ann(true)]);
    let heard: Vec<&str> = client
        .heard()
        .iter()
        .map(|event| match event {
            Event::Subscriber { event: SubscriberEvent::Changed(stream), .. } if !stream.has_video => {
                "it has"
            }
            Event::StreamChanged { .. } => "news",
            Event::Subscriber { event: SubscriberEvent::VideoDisabled(_), .. } => "it is told",
            _ => "else",
        })
        .collect();
    assert_eq!(heard, ["it has", "news", "it is told"]);
}

#[test]
fn a_server_of_ours_is_told_when_a_stream_shows_something_else() {
    let mut client = Client::published();
    client.asked();
    let show = |client: &mut Client, video_type| {
        client.input(Input::SetVideoType { id: FILM, video_type });
        let asked = client.asked().into_iter().map(|message| match message {
            signal_request::Message::AddTrack(request) => (request.sid.clone(), request.source()),
            other => panic!("{other:?}"),
        });
        asked.collect::<Vec<_>>()
    };
    assert_eq!(show(&mut client, VideoType::Camera), [], "it is one");
    let own = || "TR_V1".to_owned();
    assert_eq!(show(&mut client, VideoType::Screen), [(own(), TrackSource::ScreenShare)]);
    let heard = client.publisher_heard();
    assert!(
        matches!(&heard[..], [PublisherEvent::Changed(stream)] if stream.video_type == VideoType::Screen)
    );
    assert_eq!(show(&mut client, VideoType::Camera), [(own(), TrackSource::Camera)]);
    client.publisher_heard();
    // One whose token is for the camera alone does not lose its stream.
    client.message(Message::RequestResponse(RequestResponse {
        reason: request_response::Reason::NotAllowed.into(),
        request: Some(request_response::Request::AddTrack(AddTrackRequest {
            cid: "otc-7-1-v".into(),
            sid: own(),
            ..AddTrackRequest::default()
        })),
        ..RequestResponse::default()
    }));
    assert_eq!(client.publisher_heard(), []);
}

#[test]
fn subscribers_are_told_what_the_senders_network_carries_where_that_is_wanted_and_there_are_several() {
    for (others, is_wanted) in [(2, true), (2, false), (1, true)] {
        let mut client = Client::opened();
        client.update(["ann", "bob"].into_iter().take(others).map(participant).collect());
        client.publish(Publication { sends_statistics: is_wanted, ..film(1) });
        client.take();
        client.input(Input::Bitrates { id: FILM, current_bps: 100_000, desired_bps: 900_000 });
        client.sent.clear();
        client.input(Input::Count(FILM));
        let told = client.sent.iter().filter_map(|frame| match frame {
            FromClient::Data(packet) => sender_stats::read(packet),
            FromClient::Message(_) | FromClient::Received(_) => None,
        });
        let told: Vec<_> = told.map(|told| (told.stream_id, told.max_allocated_bps)).collect();
        let wanted = (others == 2 && is_wanted).then(|| ("TR_A1".to_owned(), Some(900_000)));
        assert_eq!(told, Vec::from_iter(wanted), "{others} {is_wanted}");
    }
}

#[test]
fn what_a_sender_says_of_its_own_stream_reaches_those_who_watch_it() {
    let (mut client, _) = Client::watching();
    client.update(vec![participant("bob")]);
    client.heard();
    let said = sender_stats::SenderStatistics {
        stream_id: "TR_A1".into(),
        max_allocated_bps: Some(900_000),
        estimated_bps: Some(400_000),
    };
    for (sender, is_heard) in [("PA_ann", true), ("PA_bob", false), ("", false)] {
        let packet = DataPacket { participant_sid: sender.into(), ..sender_stats::packet(&said) };
        client.server(FromServer::Data(packet));
        let (max_allocated_bps, estimated_bps) = (said.max_allocated_bps, said.estimated_bps);
        let event = SubscriberEvent::SenderCounted { max_allocated_bps, estimated_bps };
        assert_eq!(client.heard(), Vec::from_iter(is_heard.then_some(Event::Subscriber { id: VIEW, event })));
    }
}

#[test]
fn layers_that_nobody_wants_are_told() {
    let mut client = Client::published();
    let quality = |quality: VideoQuality, enabled| SubscribedQuality { quality: quality.into(), enabled };
    #[allow(deprecated)] // as older servers say it
    client.message(Message::SubscribedQualityUpdate(SubscribedQualityUpdate {
        track_sid: "TR_V1".into(),
        subscribed_qualities: vec![
            quality(VideoQuality::Low, true),
            quality(VideoQuality::Medium, true),
            quality(VideoQuality::High, false),
        ],
        ..SubscribedQualityUpdate::default()
    }));
    assert_eq!(client.publisher_heard(), [PublisherEvent::LayersWanted(vec![true, true, false])]);
}

#[test]
fn a_stream_that_is_not_there_cannot_be_subscribed_to() {
    let mut client = Client::opened();
    client.input(Input::Subscribe { id: VIEW, stream_id: "TR_?".into(), wants: Wants::default() });
    match &client.subscriber_heard()[..] {
        [SubscriberEvent::Failed(fault)] => assert_eq!(fault.reason, MediaReason::StreamNotFound),
        other => panic!("{other:?}"),
    }
    assert!(client.asked().is_empty());
}

#[test]
fn media_that_never_comes_times_out() {
    let mut client = Client::opened();
    client.update(vec![ann(false)]);
    client.input(Input::Subscribe { id: VIEW, stream_id: "TR_A1".into(), wants: Wants::default() });
    for _ in 0..4 {
        client.message(Message::Pong(1));
        client.pass(Duration::from_secs(4));
    }
    match &client.subscriber_heard()[..] {
        [SubscriberEvent::Changed(_), SubscriberEvent::Failed(fault)] => {
            assert_eq!(fault.reason, MediaReason::TimedOut);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_subscriber_that_the_server_refuses_fails_once() {
    let mut client = Client::opened();
    client.update(vec![ann(false)]);
    client.input(Input::Subscribe { id: VIEW, stream_id: "TR_A1".into(), wants: Wants::default() });
    client.heard();
    let refusal = |sid: &str| {
        let err = SubscriptionError::SeTrackNotfound.into();
        Message::SubscriptionResponse(SubscriptionResponse { track_sid: sid.into(), err })
    };
    client.message(refusal("TR_A1"));
    client.message(refusal("TR_V1"));
    match &client.subscriber_heard()[..] {
        [SubscriberEvent::Failed(fault)] => assert_eq!(fault.reason, MediaReason::StreamNotFound),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_subscriber_hears_why_its_video_comes_and_goes() {
    let (mut client, _server) = Client::watching();
    client.update(vec![ParticipantInfo { version: 2, ..ann(true) }]);
    let heard = client.subscriber_heard();
    assert!(
        matches!(
            &heard[..],
            [SubscriberEvent::Changed(_), SubscriberEvent::VideoDisabled(VideoReason::PublishVideo)]
        ),
        "{heard:?}"
    );
    client.input(Input::SetWants { id: VIEW, wants: Wants { video: false, ..Wants::default() } });
    let reason = VideoReason::SubscribeToVideo;
    assert_eq!(client.subscriber_heard(), [SubscriberEvent::VideoDisabled(reason)]);
    let state = |state: StreamState| {
        let info = StreamStateInfo { track_sid: "TR_V1".into(), state: state.into(), ..Default::default() };
        Message::StreamStateUpdate(StreamStateUpdate { stream_states: vec![info] })
    };
    client.message(state(StreamState::Paused));
    client.message(state(StreamState::Paused));
    assert_eq!(client.subscriber_heard(), [SubscriberEvent::VideoDisabled(VideoReason::Quality)]);
    client.message(state(StreamState::Active));
    assert_eq!(client.subscriber_heard(), [SubscriberEvent::VideoEnabled(VideoReason::Quality)]);
}

#[test]
fn a_subscriber_is_warned_while_its_own_network_is_poor() {
    let (mut client, _server) = Client::watching();
    let quality = |quality: ConnectionQuality| {
        let info = ConnectionQualityInfo {
            participant_sid: participant("me").sid,
            quality: quality.into(),
            ..Default::default()
        };
        Message::ConnectionQuality(ConnectionQualityUpdate { updates: vec![info] })
    };
    client.message(quality(ConnectionQuality::Poor));
    client.message(quality(ConnectionQuality::Lost));
    assert_eq!(client.subscriber_heard(), [SubscriberEvent::Warned]);
    client.message(quality(ConnectionQuality::Good));
    assert_eq!(client.subscriber_heard(), [SubscriberEvent::WarningLifted]);
}

#[test]
fn a_publisher_that_loses_its_link_interrupts_those_who_watch_it() {
    let (mut client, _server) = Client::watching();
    let quality = |quality: ConnectionQuality| {
        let info = ConnectionQualityInfo {
            participant_sid: participant("ann").sid,
            quality: quality.into(),
            ..Default::default()
        };
        Message::ConnectionQuality(ConnectionQualityUpdate { updates: vec![info] })
    };
    client.message(quality(ConnectionQuality::Lost));
    client.message(quality(ConnectionQuality::Lost));
    assert_eq!(client.subscriber_heard(), [SubscriberEvent::Disconnected]);
    client.message(quality(ConnectionQuality::Good));
    assert_eq!(client.subscriber_heard(), [SubscriberEvent::Reconnected]);
}

#[test]
fn the_server_is_asked_once_however_many_watch_and_told_when_the_last_one_goes() {
    let (mut client, _server) = Client::watching();
    client.asked();
    let other = SubscriptionId(10);
    client.input(Input::Subscribe { id: other, stream_id: "TR_A1".into(), wants: Wants::default() });
    assert!(client.asked().is_empty());
    client.input(Input::Unsubscribe(VIEW));
    assert!(client.asked().is_empty());
    client.input(Input::Unsubscribe(other));
    let asked = client.asked();
    let is_end = |message: &signal_request::Message| matches!(message, signal_request::Message::Subscription(update) if !update.subscribe);
    assert!(asked.len() == 2 && asked.iter().all(is_end), "{asked:?}");
}

#[test]
fn with_the_next_server_what_has_been_sent_is_counted_on() {
    let (_, _, sections) = Client::watching_on();
    let sent = |packets, lost| SectionStatistics {
        section: sections[0],
        layer: None,
        is_sending: true,
        ssrc: 1,
        packets,
        bytes: packets * 100,
        resent: Amount::default(),
        lost,
        loss: Some(0.5),
        nacks: 1,
        plis: 1,
        firs: 0,
        round_trip: None,
        jitter: None,
        is_reported: true,
        remote_sent: None,
    };
    let mut publications = Publications::default();
    publications.all.push(Published::new(film(1)));
    publications.all[0].tracks[0].section = Some(sections[0]);
    for _ in 0..2 {
        publications.forget_server(&[sent(10, 1)]);
        assert_eq!(publications.all[0].tracks[0].sent(&[]), None, "it is with no server");
        publications.all[0].tracks[0].section = Some(sections[0]);
    }
    let before = publications.all[0].tracks[0].sent(&[]).expect("it is with a server");
    assert_eq!((before.packets, before.bytes, before.packets_lost, before.loss), (20, 2000, 2, None));
    let now = publications.all[0].tracks[0].sent(&[sent(5, 2)]).expect("it is with a server");
    assert_eq!((now.packets, now.bytes, now.packets_lost, now.loss), (25, 2500, 4, Some(0.5)));
}
