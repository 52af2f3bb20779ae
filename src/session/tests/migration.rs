//! A session that goes on elsewhere: in another room, or on another server.

use super::*;
use crate::signal::proto::{ParticipantPermission, RegionInfo, RegionSettings, RoomMovedResponse};
use crate::signal::token;

fn publisher(name: &str, sid: &str) -> ParticipantInfo {
    let tracks =
        vec![track(sid, TrackSource::Camera), track(&format!("{sid}_sound"), TrackSource::Microphone)];
    ParticipantInfo { tracks, ..participant(name) }
}

fn room(name: &str) -> Room {
    Room { sid: format!("RM_{name}"), name: name.into(), ..Default::default() }
}

/// In another room, under another sid, with eve there.
fn moved() -> RoomMovedResponse {
    RoomMovedResponse {
        room: Some(room("other")),
        token: "a token for the other room".into(),
        participant: Some(ParticipantInfo { sid: "PA_me_too".into(), ..participant("me") }),
        other_participants: vec![publisher("eve", "TR_eve"), participant("fay")],
    }
}

#[test]
fn in_another_room_the_others_of_before_are_gone_and_those_there_have_come() {
    let mut client = Client::connected();
    client.update(vec![publisher("ann", "TR_ann"), participant("bob")]);
    client.heard();
    client.message(Message::RoomMoved(moved()));
    let events = client.heard();
    assert_eq!(
        words(&events),
        [
            "lost TR_ann_sound",
            "dropped ann",
            "dropped bob",
            "moved PA_me_too",
            "created eve",
            "created fay",
            "received TR_eve_sound",
        ]
    );
    // For the program it is the session that it has connected to.
    let Some(Event::ConnectionCreated(eve)) = events.get(4) else { panic!("{events:?}") };
    assert_eq!(eve.session_id, "room");
    client.update(vec![gone("ann"), gone("fay")]);
    assert_eq!(words(&client.heard()), ["dropped fay"]);
}

#[test]
fn what_is_said_and_done_in_another_room_is_said_and_done_there() {
    let mut client = Client::connected();
    client.message(Message::RoomMoved(moved()));
    client.heard();
    client.input(signal("hello", Target::Everyone));
    let heard = client.heard();
    let [Event::SignalReceived { from: Some(from), .. }] = &heard[..] else { panic!("{heard:?}") };
    assert_eq!(from.id, "PA_me_too");
    client.input(removal("PA_eve".into()));
    assert_eq!(client.calls, [Call::RemoveParticipant { room: "other".into(), identity: "eve".into() }]);
}

#[test]
fn a_link_that_is_lost_after_a_move_is_resumed_as_who_this_client_is_there() {
    let mut client = Client::connected();
    client.message(Message::RoomMoved(moved()));
    client.input(Input::LinkClosed(None));
    let query = client.dials.last().expect("a dial");
    assert_eq!((query.resume_sid.as_deref(), query.room.as_deref()), (Some("PA_me_too"), Some("other")));
    assert_eq!(client.dialled.last(), Some(&(None, "a token for the other room".into())));
}

#[test]
fn a_move_while_reconnecting_is_told_after_it() {
    let mut client = Client::connected();
    client.update(vec![participant("ann")]);
    client.input(Input::LinkClosed(None));
    client.heard();
    client.message(Message::RoomMoved(moved()));
    assert_eq!(client.heard(), []);
    client.input(Input::LinkOpened);
    client.message(Message::Reconnect(ReconnectResponse::default()));
    let told = words(&client.heard());
    assert_eq!(told[..3], ["reconnected", "dropped ann", "moved PA_me_too"]);
    assert_eq!(told.last().map(String::as_str), Some("received TR_eve_sound"));
}

#[test]
fn a_move_before_the_join_is_complete_is_where_it_ends() {
    let mut client = Client::connecting();
    client.input(Input::LinkOpened);
    // No peer connection comes up here: the join is not complete.
    client.message(Message::Join(welcome(&["ann"])));
    client.message(Message::RoomMoved(moved()));
    assert_eq!(client.heard(), []);
    client.input(Input::Leave);
    assert_eq!(client.ending(), Ending::Left);
    client.message(Message::RoomMoved(moved()));
    assert_eq!(client.heard(), []);
}

#[test]
fn rights_recordings_and_the_mute_mode_are_those_of_the_other_room() {
    let mut client = Client::connecting();
    client.input(Input::LinkOpened);
    let recorded = Room { active_recording: true, ..room("room") };
    client.server(FromServer::Welcome(JoinResponse { room: Some(recorded), ..welcome(&[]) }));
    client.heard();
    let access = token::Access {
        api_key: "key",
        secret: "secret",
        room: "other",
        identity: "me",
        name: "",
        metadata: "",
        grants: token::Grants { room_admin: true, ..token::Role::Publisher.grants() },
        can_join: true,
        can_create_rooms: false,
        can_list_rooms: false,
        created_s: 1_700_000_000,
        expires_s: 1_700_003_600,
    };
    let permission = Some(ParticipantPermission { can_subscribe: true, ..Default::default() });
    client.message(Message::RoomMoved(RoomMovedResponse {
        room: Some(Room {
            active_recording: true,
            metadata: crate::signal::mute_mode::with_times("", 1),
            ..room("other")
        }),
        token: token::livekit(&access).expect("a token"),
        participant: Some(ParticipantInfo { permission, ..participant("me") }),
        other_participants: Vec::new(),
    }));
    let events = client.heard();
    assert_eq!(events[0], Event::ArchiveStopped { id: "RM_room".into() });
    let Event::Moved { capabilities, .. } = &events[1] else { panic!("{events:?}") };
    let expected =
        Capabilities { subscribe: true, force_mute: true, force_disconnect: true, ..Capabilities::default() };
    assert_eq!(*capabilities, expected);
    assert_eq!(events[2], Event::ArchiveStarted { id: "RM_other".into(), name: String::new() });
    assert_eq!(events[3..], [Event::MuteForced { active: true }]);
}

#[test]
fn a_move_that_says_nothing_leaves_an_empty_session() {
    let mut client = Client::connected();
    client.update(vec![participant("ann")]);
    client.heard();
    client.message(Message::RoomMoved(RoomMovedResponse::default()));
    assert_eq!(words(&client.heard()), ["dropped ann", "moved PA_me"]);
    client.input(Input::LinkClosed(None));
    assert_eq!(client.dialled.last(), Some(&(None, "token".into())));
}

/// A farewell that names other servers.
fn farewell(action: Action, urls: &[&str]) -> Message {
    let regions = urls.iter().map(|url| RegionInfo { url: (*url).into(), ..Default::default() }).collect();
    Message::Leave(LeaveRequest {
        reason: DisconnectReason::ServerShutdown as i32,
        action: action as i32,
        regions: Some(RegionSettings { regions }),
        ..Default::default()
    })
}

fn migrating() -> Client {
    let mut client = Client::new(Config { migrates: true, ..config() });
    client.input(Input::LinkOpened);
    client.server(FromServer::Welcome(welcome(&[])));
    client.heard();
    client
}

/// The try does not succeed; the next one is made.
fn fail(client: &mut Client) {
    client.input(Input::LinkFailed(Fault::new(Reason::Refused, "nothing listens there")));
    let at = client.core.poll_timeout().expect("the next try");
    client.pass(at - client.now);
}

fn addresses(client: &Client) -> Vec<Option<&str>> {
    client.dialled.iter().skip(1).map(|(address, _)| address.as_deref()).collect()
}

#[test]
fn who_migrates_goes_where_the_server_says_and_home_when_nobody_is_there() {
    let mut client = migrating();
    client.message(farewell(Action::Reconnect, &["wss://one.example", "", "wss://two.example"]));
    fail(&mut client);
    fail(&mut client);
    fail(&mut client);
    assert_eq!(addresses(&client), [Some("wss://one.example"), Some("wss://two.example"), None, None]);
    assert!(client.dials.iter().skip(1).all(|query| query.keep_sid.as_deref() == Some("PA_me")));
    client.input(Input::LinkOpened);
    client.server(FromServer::Welcome(welcome(&[])));
    assert_eq!(words(&client.heard()), ["reconnecting", "reconnected"]);
}

#[test]
fn who_has_migrated_resumes_where_it_is_and_begins_anew_at_home() {
    let mut client = migrating();
    client.message(farewell(Action::Reconnect, &["wss://one.example", "wss://two.example"]));
    client.input(Input::LinkOpened);
    client.server(FromServer::Welcome(welcome(&[])));
    client.input(Input::LinkClosed(None));
    assert!(client.dials.last().is_some_and(|query| query.resume_sid.is_some()));
    client.input(Input::LinkOpened);
    client.leave(DisconnectReason::StateMismatch, Action::Reconnect);
    assert!(client.dials.last().is_some_and(|query| query.keep_sid.is_some()));
    assert_eq!(addresses(&client), [Some("wss://one.example"), Some("wss://one.example"), None]);
}

#[test]
fn who_has_migrated_moderates_where_it_is() {
    let mut client = migrating();
    client.input(removal("PA_me".into()));
    client.message(farewell(Action::Reconnect, &["wss://one.example", "wss://two.example"]));
    client.input(removal("PA_me".into()));
    fail(&mut client);
    client.input(Input::LinkOpened);
    client.server(FromServer::Welcome(welcome(&[])));
    client.input(Input::Moderate(Moderation::EndMute));
    let two = || Some("wss://two.example".to_owned());
    assert_eq!(client.called, [None, two(), two()]);
}

#[test]
fn who_migrates_takes_a_shutdown_for_a_pause_and_who_does_not_for_the_end() {
    let mut client = migrating();
    client.message(farewell(Action::Disconnect, &[]));
    assert_eq!(words(&client.heard()), ["reconnecting"]);
    let mut client = Client::connected();
    client.message(farewell(Action::Disconnect, &["wss://one.example"]));
    assert_eq!(client.reason(), Reason::Dropped);
}

#[test]
fn who_does_not_migrate_begins_anew_at_home() {
    let mut client = Client::connected();
    client.message(farewell(Action::Reconnect, &["wss://one.example"]));
    assert_eq!(addresses(&client), [None]);
}

#[test]
fn endless_lists_of_servers_are_cut() {
    let mut client = migrating();
    let long = format!("wss://{}", "x".repeat(2000));
    let many: Vec<String> = (0..100).map(|number| format!("wss://{number}.example")).collect();
    let urls: Vec<&str> = std::iter::once(long.as_str()).chain(many.iter().map(String::as_str)).collect();
    client.message(farewell(Action::Reconnect, &urls));
    for _ in 0..9 {
        fail(&mut client);
    }
    let named = addresses(&client).iter().flatten().count();
    assert_eq!((named, addresses(&client)[0]), (8, Some("wss://0.example")));
}
