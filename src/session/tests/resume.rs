//! What is said again after a resume: a link may have been dead for a while before it broke.

use super::film::{FILM, VIEW, ann, film};
use super::*;
use crate::media::Kind;
use crate::session::media::*;
use crate::signal::proto::signal_request::Message as Asked;
use crate::signal::proto::{
    MuteTrackRequest, StreamState, StreamStateInfo, StreamStateUpdate, UpdateTrackSettings,
};

impl Client {
    /// The link breaks; whatever the client says goes nowhere until it has another one.
    fn cut(&mut self) {
        self.input(Input::LinkClosed(None));
    }

    /// Time passes until it dials again.
    fn wait_to_dial(&mut self) {
        let before = self.dials.len();
        while self.dials.len() == before {
            self.pass(Duration::from_millis(100));
        }
    }

    /// Another link to the same server, which knows this client and says of its tracks which are muted.
    fn resume(&mut self, sound_is_muted: bool, video_is_muted: bool) {
        self.asked(); // before there was a link
        self.input(Input::LinkOpened);
        self.message(Message::Reconnect(ReconnectResponse::default()));
        let sound = TrackInfo { muted: sound_is_muted, ..track("TR_A1", TrackSource::Microphone) };
        let video = TrackInfo { muted: video_is_muted, ..track("TR_V1", TrackSource::Camera) };
        let me = ParticipantInfo { tracks: vec![sound, video], ..participant("me") };
        self.update(vec![me, ann(false)]);
    }

    fn switch(&mut self, kind: Kind, is_on: bool) {
        self.input(Input::SetPublishing { id: FILM, kind, is_on });
    }

    fn mutes(&mut self) -> Vec<(String, bool)> {
        let asked = self.asked().into_iter();
        asked
            .filter_map(|message| match message {
                Asked::Mute(MuteTrackRequest { sid, muted }) => Some((sid, muted)),
                _ => None,
            })
            .collect()
    }
}

#[test]
fn what_is_switched_while_there_is_no_link_is_said_when_there_is_one() {
    let mut client = Client::published();
    client.switch(Kind::Audio, false);
    client.pass(Duration::from_secs(1));
    client.message(Message::Update(ParticipantUpdate::default())); // the server is there
    client.pass(Duration::from_secs(1));
    client.cut();
    client.switch(Kind::Audio, true);
    client.switch(Kind::Video, false);
    client.heard();
    client.resume(true, false);
    assert_eq!(client.mutes(), [("TR_A1".to_owned(), false), ("TR_V1".to_owned(), true)]);
    assert!(!client.publisher_heard().contains(&PublisherEvent::MuteForced(Kind::Audio)));
    client.update(vec![participant("me")]);
    assert_eq!(client.mutes(), [], "once");
}

#[test]
fn what_was_switched_on_a_link_that_was_dead_is_said_again() {
    let mut client = Client::published();
    client.pass(Duration::from_secs(1));
    client.switch(Kind::Audio, false);
    client.pass(Duration::from_secs(3));
    client.cut();
    client.switch(Kind::Audio, true);
    client.switch(Kind::Audio, false);
    client.resume(false, false);
    assert_eq!(client.mutes(), [("TR_A1".to_owned(), true)]);
}

#[test]
fn what_the_server_knows_is_not_said_again() {
    let mut client = Client::published();
    client.switch(Kind::Video, false);
    client.cut();
    client.resume(false, true);
    assert_eq!(client.mutes(), []);
}

#[test]
fn who_is_muted_while_it_is_away_hears_of_it_when_it_is_back() {
    let mut client = Client::published();
    client.pass(Duration::from_secs(1));
    client.cut();
    client.heard();
    client.resume(true, false);
    let heard = client.publisher_heard();
    assert!(
        matches!(&heard[..], [PublisherEvent::Changed(_), PublisherEvent::MuteForced(Kind::Audio)]),
        "{heard:?}"
    );
    client.switch(Kind::Audio, true);
    assert_eq!(client.mutes().last(), Some(&("TR_A1".to_owned(), false)), "and may speak again");
}

#[test]
fn a_stream_that_the_server_was_not_asked_for_is_asked_for_again() {
    let mut client = Client::opened();
    client.publish(film(1));
    let before: Vec<String> = client.asked().iter().filter_map(cid).collect();
    client.cut();
    client.input(Input::LinkFailed(Fault::new(Reason::Refused, "not yet")));
    client.wait_to_dial();
    client.input(Input::LinkOpened);
    client.message(Message::Reconnect(ReconnectResponse::default()));
    client.update(vec![participant("me")]);
    let cids: Vec<String> =
        client.sent.iter().filter_map(asked).filter_map(|message| cid(&message)).collect();
    assert_eq!(cids.len(), 2);
    assert!(cids.iter().all(|cid| !before.contains(cid)), "the server may know those before");
    client.heard();
    // The offer that looks for a new path comes first, and alone.
    let (_, mut server) = client.agree();
    client.answer(&mut server);
    let heard = client.publisher_heard();
    assert!(matches!(&heard[..], [PublisherEvent::Published { .. }]), "{heard:?}");
}

#[test]
fn an_answer_that_was_on_its_way_when_the_link_broke_is_not_needed() {
    // The tracks are named, the answer to the offer is lost.
    let mut client = Client::opened();
    client.publish(film(1));
    let requests: Vec<String> = client.asked().iter().filter_map(cid).collect();
    for (cid, sid) in requests.into_iter().zip(["TR_A1", "TR_V1"]) {
        let track = Some(track(sid, TrackSource::Unknown));
        client.message(Message::TrackPublished(crate::signal::proto::TrackPublishedResponse { cid, track }));
    }
    client.cut();
    client.resume(false, false);
    let asked: Vec<_> = client.asked();
    assert!(asked.iter().filter_map(cid).next().is_none(), "{asked:?}");
    assert!(asked.iter().any(|message| matches!(message, Asked::Offer(_))));
}

fn asked(frame: &FromClient) -> Option<Asked> {
    match frame {
        FromClient::Message(message) => Some(message.clone()),
        FromClient::Data(_) | FromClient::Received(_) => None,
    }
}

fn cid(message: &Asked) -> Option<String> {
    match message {
        Asked::AddTrack(request) => Some(request.cid.clone()),
        _ => None,
    }
}

/// What was asked for of each track, and how it was set.
fn subscriptions(asked: &[Asked]) -> (Vec<(String, bool)>, Vec<UpdateTrackSettings>) {
    let subscribed = asked.iter().filter_map(|message| match message {
        Asked::Subscription(update) => Some((update.track_sids[0].clone(), update.subscribe)),
        _ => None,
    });
    let settings = asked.iter().filter_map(|message| match message {
        Asked::TrackSetting(settings) => Some(settings.clone()),
        _ => None,
    });
    let (mut subscribed, mut settings): (Vec<_>, Vec<_>) = (subscribed.collect(), settings.collect());
    subscribed.sort();
    settings.sort_by(|a, b| a.track_sids.cmp(&b.track_sids));
    (subscribed, settings)
}

#[test]
fn what_is_subscribed_to_and_how_is_said_again() {
    let (mut client, _server, _) = Client::watching_on();
    client.input(Input::SetWants { id: VIEW, wants: Wants { video: false, ..Wants::default() } });
    client.heard();
    client.cut();
    client.resume(false, false);
    let (subscribed, settings) = subscriptions(&client.asked());
    assert_eq!(subscribed, [("TR_A1".to_owned(), true), ("TR_V1".to_owned(), true)]);
    let disabled: Vec<bool> = settings.iter().map(|one| one.disabled).collect();
    assert_eq!(disabled, [false, true]);
    assert_eq!(client.subscriber_heard(), [], "its media was never interrupted");
}

#[test]
fn what_was_left_while_the_link_was_dead_is_left_again() {
    let (mut client, _server, _) = Client::watching_on();
    client.input(Input::Unsubscribe(VIEW));
    client.cut();
    client.resume(false, false);
    let (subscribed, _) = subscriptions(&client.asked());
    assert_eq!(subscribed, [("TR_A1".to_owned(), false), ("TR_V1".to_owned(), false)]);
}

#[test]
fn who_waits_for_a_stream_waits_anew_when_the_server_is_back() {
    let mut client = Client::opened();
    client.update(vec![ann(false)]);
    client.cut();
    client.view();
    client.heard();
    for _ in 0..4 {
        client.pass(Duration::from_secs(4));
        client.input(Input::LinkFailed(Fault::new(Reason::Refused, "not yet")));
    }
    client.pass(Duration::from_secs(3));
    client.input(Input::LinkOpened);
    client.server(FromServer::Welcome(JoinResponse { other_participants: vec![ann(false)], ..welcome(&[]) }));
    client.heard();
    client.pass(Duration::from_secs(14));
    assert_eq!(client.subscriber_heard(), []);
    client.pass(Duration::from_secs(1));
    assert!(matches!(&client.subscriber_heard()[..], [SubscriberEvent::Failed(_)]));
}

fn paused(is_paused: bool) -> Message {
    let state = if is_paused { StreamState::Paused } else { StreamState::Active };
    let info = StreamStateInfo { track_sid: "TR_V1".into(), state: state.into(), ..Default::default() };
    Message::StreamStateUpdate(StreamStateUpdate { stream_states: vec![info] })
}

#[test]
fn a_video_that_was_paused_is_back_when_its_packets_are() {
    let (mut client, mut server, sections) = Client::watching_on();
    client.message(paused(true));
    let reason = VideoReason::Quality;
    assert_eq!(client.subscriber_heard(), [SubscriberEvent::VideoDisabled(reason)]);
    client.cut();
    client.resume(false, false);
    client.heard();
    client.send(&mut server, sections[1]);
    assert_eq!(client.subscriber_heard(), [SubscriberEvent::VideoEnabled(reason)]);
    // As long as its server says so it is paused, whatever comes.
    client.message(paused(true));
    client.heard();
    client.send(&mut server, sections[1]);
    assert_eq!(client.subscriber_heard(), []);
}

#[test]
fn what_changes_while_a_subscriber_is_interrupted_is_told_when_it_is_back() {
    let (mut client, _server, _) = Client::watching_on();
    client.message(paused(true));
    client.update(vec![ParticipantInfo { version: 2, ..ann(true) }]);
    client.heard();
    client.cut();
    client.input(Input::LinkOpened);
    client.leave(DisconnectReason::StateMismatch, Action::Reconnect);
    client.input(Input::LinkOpened);
    client.server(FromServer::Welcome(JoinResponse { other_participants: vec![ann(false)], ..welcome(&[]) }));
    let heard = client.subscriber_heard();
    assert!(matches!(&heard[..], [SubscriberEvent::Disconnected, SubscriberEvent::Changed(_)]), "{heard:?}");
    let _server = client.reached();
    let heard = client.subscriber_heard();
    let back = [
        SubscriberEvent::Reconnected,
        SubscriberEvent::VideoEnabled(VideoReason::PublishVideo),
        SubscriberEvent::VideoEnabled(VideoReason::Quality),
    ];
    assert_eq!(heard, back);
}

#[test]
fn who_watches_an_own_stream_goes_with_it_to_its_new_name() {
    let mut client = Client::published();
    client.input(Input::Subscribe { id: VIEW, stream_id: "TR_A1".into(), wants: Wants::default() });
    client.cut();
    client.input(Input::LinkOpened);
    client.leave(DisconnectReason::StateMismatch, Action::Reconnect);
    client.input(Input::LinkOpened);
    client.server(FromServer::Welcome(welcome(&[])));
    client.open_sockets();
    client.heard();
    let (requests, mut server) =
        (client.asked(), crate::rtc::Peer::new(client.now, &[([10, 0, 0, 1], 2).into()]));
    for (request, sid) in requests.iter().filter_map(cid).zip(["TR_A2", "TR_V2"]) {
        let track = Some(track(sid, TrackSource::Unknown));
        client.message(Message::TrackPublished(crate::signal::proto::TrackPublishedResponse {
            cid: request,
            track,
        }));
    }
    client.sent = requests.into_iter().map(FromClient::Message).collect();
    client.answer(&mut server);
    let heard = client.subscriber_heard();
    let [SubscriberEvent::Changed(stream)] = &heard[..] else { panic!("{heard:?}") };
    assert_eq!(stream.id, "TR_A2");
    let (mut subscribed, _) = subscriptions(&client.asked());
    subscribed.retain(|(_, subscribe)| *subscribe);
    assert_eq!(subscribed, [("TR_A2".to_owned(), true), ("TR_V2".to_owned(), true)]);
}
