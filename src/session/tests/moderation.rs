//! Muting others, and being muted.

use super::film::film;
use super::media::{Publication, PublicationId, PublishedAudio, PublisherEvent};
use super::*;
use crate::media::Kind;
use crate::signal::{mute_mode, token};

fn room_with(metadata: &str) -> Message {
    let room = Room { metadata: metadata.into(), ..Default::default() };
    Message::RoomUpdate(RoomUpdate { room: Some(room) })
}

/// In a session with ann, who speaks, bob, who is muted, and carol, who has no microphone.
fn moderator() -> Client {
    let token = token::classic(&token::Order {
        api_key: "key",
        secret: "secret",
        session_id: &config().session_id,
        role: token::Role::Moderator,
        connection_data: "",
        created_s: 1_700_000_000,
        expires_s: 1_700_000_060,
        nonce: 1,
    });
    let mut client = Client::new(Config { token: token.expect("a token"), ..config() });
    client.input(Input::LinkOpened);
    let mut join = welcome(&["ann", "bob", "carol"]);
    join.room = Some(Room { metadata: r#"{"topic":"x"}"#.into(), ..Default::default() });
    join.other_participants[0].tracks =
        vec![track("TR_a", TrackSource::Microphone), track("TR_av", TrackSource::Camera)];
    let silent = TrackInfo { muted: true, ..track("TR_b", TrackSource::Microphone) };
    join.other_participants[1].tracks = vec![silent];
    join.other_participants[2].tracks = vec![track("TR_c", TrackSource::Camera)];
    client.server(FromServer::Welcome(join));
    client.heard();
    client
}

fn mute(identity: &str, track_sid: &str) -> Call {
    let (identity, track_sid) = (identity.into(), track_sid.into());
    Call::MutePublishedTrack { room: config().session_id, identity, track_sid }
}

fn stream(stream_id: &str) -> Input {
    Input::Moderate(Moderation::Mute { stream_id: stream_id.into() })
}

fn all(excluded: &[&str]) -> Input {
    let excluded = excluded.iter().map(|id| (*id).into()).collect();
    Input::Moderate(Moderation::MuteAll { excluded })
}

#[test]
fn one_stream_is_muted_by_a_call_and_one_without_sound_by_none() {
    let mut client = moderator();
    client.input(stream("TR_a"));
    client.input(stream("TR_c"));
    client.input(stream("TR_nobody"));
    assert_eq!(client.calls, [mute("ann", "TR_a")]);
}

#[test]
fn to_mute_all_is_a_mode_in_the_metadata_and_a_call_for_each_who_can_be_heard() {
    let mut client = moderator();
    client.input(all(&[]));
    let metadata = mute_mode::switched(r#"{"topic":"x"}"#, true);
    let mode = Call::UpdateRoomMetadata { room: config().session_id, metadata: metadata.clone() };
    assert_eq!(client.calls, [mode, mute("ann", "TR_a")]);
    client.calls.clear();
    client.input(all(&["TR_a", "TR_unknown"]));
    assert_eq!(client.calls.len(), 1, "the mode alone");
    client.message(room_with(&metadata));
    client.calls.clear();
    client.input(Input::Moderate(Moderation::EndMute));
    let [Call::UpdateRoomMetadata { metadata, .. }] = client.calls.as_slice() else { panic!("one call") };
    assert!(!mute_mode::is_on(metadata) && metadata.contains("topic"));
}

#[test]
fn the_mode_is_told_once_for_each_change_and_not_to_who_comes_later() {
    let on = mute_mode::switched("", true);
    let mut client = moderator();
    for (metadata, told) in
        [(on.as_str(), Some(true)), (&on, None), (&mute_mode::switched(&on, false), Some(false)), ("", None)]
    {
        client.message(room_with(metadata));
        let told: Vec<Event> = told.map(|active| Event::MuteForced { active }).into_iter().collect();
        assert_eq!(client.heard(), told, "{metadata}");
    }
    let mut late = Client::connecting();
    late.input(Input::LinkOpened);
    let room = Some(Room { metadata: on, ..Default::default() });
    late.server(FromServer::Welcome(JoinResponse { room, ..welcome(&[]) }));
    assert_eq!(words(&late.heard()), ["connected"]);
}

#[test]
fn what_the_moderator_is_publishing_when_it_mutes_all_starts_muted() {
    let mut client = moderator();
    client.publish(film(1));
    client.input(all(&[]));
    client.take();
    let heard = client.publisher_heard();
    let [PublisherEvent::Published { .. }, PublisherEvent::MuteForced(Kind::Audio)] = &heard[..] else {
        panic!("{heard:?}")
    };
    let is_mute = |message: &signal_request::Message| matches!(message, signal_request::Message::Mute(mute) if mute.muted && mute.sid == "TR_A1");
    assert!(client.asked().iter().any(is_mute));
}

#[test]
fn who_is_published_again_after_all_were_muted_is_muted_too() {
    let mut client = moderator();
    client.input(Input::LinkClosed(None));
    client.input(Input::LinkOpened);
    client.leave(DisconnectReason::StateMismatch, Action::Reconnect);
    client.input(all(&["TR_c"]));
    client.input(Input::LinkOpened);
    client.server(FromServer::Welcome(welcome(&[])));
    // The server that took the other one's place knew neither of them.
    client.calls.clear();
    client.pass(Duration::from_millis(3500));
    let ann = ParticipantInfo {
        tracks: vec![track("TR_a", TrackSource::Microphone), track("TR_av", TrackSource::Camera)],
        ..participant("ann")
    };
    client.update(vec![ann.clone()]);
    assert_eq!(client.calls, [mute("ann", "TR_a")]);
    client.update(vec![ParticipantInfo { version: 1, ..ann }]);
    assert_eq!(client.calls.len(), 1, "once");
}

#[test]
fn to_mute_all_again_is_told_again() {
    let mut client = moderator();
    let once = mute_mode::switched("", true);
    for metadata in [&once, &mute_mode::switched(&once, true)] {
        client.message(room_with(metadata));
        assert_eq!(client.heard(), [Event::MuteForced { active: true }]);
    }
}

#[test]
fn to_mute_all_twice_in_a_breath_is_two_different_calls() {
    let mut client = moderator();
    client.input(all(&[]));
    client.input(all(&[]));
    let modes = client.calls.iter().filter_map(|call| match call {
        Call::UpdateRoomMetadata { metadata, .. } => Some(mute_mode::times(metadata)),
        _ => None,
    });
    assert_eq!(modes.collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn a_stream_that_comes_while_all_are_muted_is_muted_and_a_later_or_excluded_one_is_not() {
    let mut client = moderator();
    client.input(all(&["TR_e"]));
    client.calls.clear();
    let came = |client: &mut Client, sid: &str, muted| {
        let mut dave = participant("dave");
        let microphone =
            TrackInfo { muted, stream: format!("{sid};a"), ..track(sid, TrackSource::Microphone) };
        dave.tracks = vec![microphone];
        client.message(Message::Update(ParticipantUpdate { participants: vec![dave] }));
        std::mem::take(&mut client.calls)
    };
    assert_eq!(came(&mut client, "TR_d", false), [mute("dave", "TR_d")]);
    assert_eq!(came(&mut client, "TR_e", false), []);
    assert_eq!(came(&mut client, "TR_f", true), [], "its publisher knew of the mode");
    client.pass(Duration::from_secs(4));
    assert_eq!(came(&mut client, "TR_g", false), []);
    client.input(all(&[]));
    client.input(Input::Moderate(Moderation::EndMute));
    client.calls.clear();
    assert_eq!(came(&mut client, "TR_h", false), []);
    // The end of before comes after the next beginning; then another moderator ends that.
    client.message(room_with(&mute_mode::with_times("", 2)));
    client.input(all(&[]));
    client.message(room_with(&mute_mode::with_times("", 0)));
    client.calls.clear();
    assert_eq!(came(&mut client, "TR_i", false), [mute("dave", "TR_i")]);
    client.message(room_with(&mute_mode::with_times("", 4)));
    client.message(room_with(&mute_mode::with_times("", 0)));
    assert_eq!(came(&mut client, "TR_j", false), []);
}

#[test]
fn a_room_that_is_made_anew_is_told_of_the_mode_and_nobody_hears_of_a_change() {
    let mut client = moderator();
    let on = mute_mode::switched(r#"{"topic":"x"}"#, true);
    client.message(room_with(&on));
    client.heard();
    client.input(Input::LinkClosed(None));
    client.input(Input::LinkOpened);
    client.calls.clear();
    client.server(FromServer::Welcome(welcome(&["ann"])));
    client.message(room_with(""));
    let heard = client.heard();
    assert!(!heard.iter().any(|event| matches!(event, Event::MuteForced { .. })), "{heard:?}");
    assert_eq!(client.calls, [Call::UpdateRoomMetadata { room: config().session_id, metadata: on }]);
    assert!(publishing(&mut client).1, "what is published meanwhile starts muted");
}

#[test]
fn what_changes_while_reconnecting_is_told_afterwards_and_what_is_wanted_is_done_then() {
    let mut client = moderator();
    client.input(Input::LinkClosed(None));
    client.input(stream("TR_a"));
    client.input(stream("TR_a"));
    client.input(all(&[]));
    client.input(Input::Moderate(Moderation::EndMute));
    assert_eq!(client.calls, []);
    client.input(Input::LinkOpened);
    client.heard();
    client.message(room_with(&mute_mode::switched("", true)));
    assert_eq!(client.heard(), []);
    client.message(Message::Reconnect(ReconnectResponse::default()));
    let heard = client.heard();
    assert!(heard.contains(&Event::MuteForced { active: true }), "{heard:?}");
    let [muted, Call::UpdateRoomMetadata { metadata, .. }] = client.calls.as_slice() else {
        panic!("two calls: {:?}", client.calls)
    };
    assert_eq!(*muted, mute("ann", "TR_a"));
    assert!(!mute_mode::is_on(metadata), "of the wishes for the mode the last one counts");
}

fn publishing(client: &mut Client) -> (String, bool) {
    let audio = Some(PublishedAudio { is_on: true, is_stereo: false, uses_dtx: false });
    let (id, name) = (PublicationId(1), "voice".into());
    let wish = Publication { id, name, audio, video: None, sends_statistics: false, is_sealed: false };
    client.input(Input::Publish(Box::new(wish)));
    let asked = client.sent.iter().rev().find_map(|message| match message {
        FromClient::Message(signal_request::Message::AddTrack(request)) => Some(request.clone()),
        _ => None,
    });
    let asked = asked.expect("a request");
    (asked.cid, asked.muted)
}

#[test]
fn a_stream_that_is_published_while_the_mode_is_on_is_announced_muted() {
    let mut client = moderator();
    assert!(!publishing(&mut client).1);
    let mut client = moderator();
    client.message(room_with(&mute_mode::switched("", true)));
    assert!(publishing(&mut client).1);
}
