//! The core against a server that says what the test wants, on made-up time.

use std::time::{Duration, Instant};

use super::event::Ending;
use super::*;
use crate::signal::frame::{FromClient, FromServer};
use crate::signal::proto::{
    DisconnectReason, JoinResponse, LeaveRequest, ParticipantInfo, ParticipantUpdate, ReconnectResponse,
    Room, RoomUpdate, TrackInfo, TrackSource, TrackType, leave_request::Action, participant_info,
    signal_request, signal_response::Message,
};
use crate::signal::service::Call;
use crate::signal::{signals, token};

mod again;
mod captions;
mod client;
mod film;
mod migration;
mod moderation;
mod peers;
mod refused;
mod relays;
mod resume;
mod sealed;
mod sizes;
mod strange;
mod streaming;
mod streams;

use client::*;

#[test]
fn a_join_tells_of_those_who_are_there_and_then_of_their_streams() {
    let mut client = Client::connecting();
    client.input(Input::LinkOpened);
    let mut join = welcome(&["ann", "bob"]);
    join.other_participants[0].tracks = vec![track("TR_1", TrackSource::Camera)];
    client.server(FromServer::Welcome(join));
    assert_eq!(words(&client.heard()), ["connected", "created ann", "created bob", "received TR_1"]);
}

#[test]
fn suppressed_connection_events_leave_the_streams() {
    let mut client = Client::new(Config { connection_events_suppressed: true, ..config() });
    client.input(Input::LinkOpened);
    let mut join = welcome(&["ann"]);
    join.other_participants[0].tracks = vec![track("TR_1", TrackSource::Camera)];
    client.server(FromServer::Welcome(join));
    client.update(vec![gone("ann")]);
    assert_eq!(words(&client.heard()), ["connected", "received TR_1", "lost TR_1"]);
}

#[test]
fn a_join_that_is_never_answered_times_out() {
    for opened in [false, true] {
        let mut client = Client::connecting();
        if opened {
            client.input(Input::LinkOpened);
        }
        client.pass(JOIN_TIMEOUT - Duration::from_millis(1));
        assert_eq!(client.heard(), []);
        client.pass(Duration::from_millis(1));
        assert_eq!(client.reason(), Reason::TimedOut);
        assert!(client.core.is_over());
    }
}

#[test]
fn a_join_that_fails_says_so_once() {
    let mut client = Client::connecting();
    client.input(Input::LinkFailed(Fault::new(Reason::Refused, "nobody there")));
    assert_eq!(client.reason(), Reason::Refused);
    client.input(Input::LinkClosed(None));
    client.input(Input::Leave);
    client.pass(Duration::from_secs(100));
    assert_eq!(client.heard(), []);
}

#[test]
fn garbage_half_an_answer_and_a_closed_door_are_failed_connections() {
    let mut garbage = Client::connecting();
    garbage.input(Input::LinkOpened);
    garbage.input(Input::Frame(b"\xff\xff\xff".to_vec()));
    assert_eq!(garbage.reason(), Reason::ConnectionFailed);

    let mut nobody = Client::connecting();
    nobody.input(Input::LinkOpened);
    nobody.server(FromServer::Welcome(JoinResponse::default()));
    assert_eq!(nobody.reason(), Reason::UnexpectedAnswer);

    let mut closed = Client::connecting();
    closed.input(Input::LinkOpened);
    closed.input(Input::LinkClosed(None));
    assert_eq!(closed.reason(), Reason::ConnectionFailed);
}

#[test]
fn what_cannot_be_right_is_refused_without_a_server() {
    let reason = |session_id: &str, token: &str| {
        let mut client =
            Client::new(Config { session_id: session_id.into(), token: token.into(), ..config() });
        assert!(client.dials.is_empty());
        client.reason()
    };
    assert_eq!(reason("room", ""), Reason::Authorization);
    assert_eq!(reason("", "token"), Reason::InvalidSession);
    assert_eq!(reason(&"ü".repeat(SESSION_ID_LENGTH_MAX + 1), "token"), Reason::InvalidSession);
    assert_eq!(Client::new(Config { session_id: "ü".repeat(SESSION_ID_LENGTH_MAX), ..config() }).heard(), []);
}

#[test]
fn a_token_for_something_else_is_refused_where_the_server_would_not_look() {
    let refused = |api_key: &str, session_id: &str| {
        let order = token::Order {
            api_key,
            secret: "secret",
            session_id,
            role: token::Role::Publisher,
            connection_data: "",
            created_s: 1_700_000_000,
            expires_s: 1_700_000_060,
            nonce: 1,
        };
        let token = token::classic(&order).expect("a token");
        let mut client = Client::new(Config { room: Some("room".into()), token, ..config() });
        !client.heard().is_empty() && client.dials.is_empty()
    };
    assert!(!refused("key", "room"));
    assert!(refused("another key", "room"));
    assert!(refused("key", "another room"));
}

#[test]
fn leaving_says_farewell_and_ends_at_once() {
    let mut client = Client::connected();
    client.input(Input::Leave);
    assert_eq!(client.ending(), Ending::Left);
    assert!(matches!(client.sent.last(), Some(FromClient::Message(signal_request::Message::Leave(_)))));
    assert_eq!(client.hung_up, 1);
    assert!(client.core.is_over());
}

#[test]
fn leaving_while_dialling_ends_at_once_and_still_tells_the_server() {
    let mut client = Client::connecting();
    client.input(Input::Leave);
    assert_eq!(client.ending(), Ending::Left);
    client.input(Input::LinkOpened);
    assert!(matches!(client.sent.last(), Some(FromClient::Message(signal_request::Message::Leave(_)))));
    assert!(client.core.is_over());
    assert_eq!(client.heard(), []);

    let mut silent = Client::connecting();
    silent.input(Input::Leave);
    silent.pass(FAREWELL_TIMEOUT);
    assert!(silent.core.is_over());
    assert_eq!(silent.cut, 1);
}

#[test]
fn a_removal_by_a_moderator_is_no_error() {
    let mut client = Client::connected();
    client.leave(DisconnectReason::ParticipantRemoved, Action::Disconnect);
    assert_eq!(client.ending(), Ending::Removed);
}

#[test]
fn a_session_that_the_server_ends_is_lost() {
    for reason in
        [DisconnectReason::RoomDeleted, DisconnectReason::DuplicateIdentity, DisconnectReason::UnknownReason]
    {
        let mut client = Client::connected();
        client.leave(reason, Action::Disconnect);
        assert_eq!(client.reason(), Reason::Dropped);
    }
}

#[test]
fn streams_are_dropped_before_their_connection() {
    let mut client = Client::connected();
    let mut ann = participant("ann");
    ann.tracks = vec![track("TR_1", TrackSource::Camera), track("TR_2", TrackSource::Microphone)];
    client.update(vec![ann]);
    client.update(vec![gone("ann")]);
    // Named after its sound, in whichever order its tracks are told.
    assert_eq!(words(&client.heard()), ["created ann", "received TR_2", "lost TR_2", "dropped ann"]);
}

#[test]
fn a_stream_waits_for_its_second_track_but_not_for_long() {
    let mut client = Client::connected();
    let mut ann = participant("ann");
    ann.tracks = vec![track("TR_1", TrackSource::Microphone)];
    client.update(vec![ann.clone()]);
    assert_eq!(words(&client.heard()), ["created ann"]);
    client.pass(Duration::from_secs(1));
    assert_eq!(words(&client.heard()), ["received TR_1"]);

    ann.tracks.push(track("TR_2", TrackSource::ScreenShare));
    client.update(vec![ann.clone()]);
    ann.tracks[0].muted = true;
    client.update(vec![ann]);
    let events = client.heard();
    assert!(
        matches!(events[..], [Event::StreamChanged { change: StreamChange::Audio(false), .. }]),
        "{events:?}"
    );
}

#[test]
fn who_is_not_active_or_hidden_is_not_announced() {
    let mut client = Client::connected();
    let mut ann = ParticipantInfo { state: participant_info::State::Joined as i32, ..participant("ann") };
    client.update(vec![ann.clone()]);
    let mut spy = participant("spy");
    spy.permission = Some(crate::signal::proto::ParticipantPermission { hidden: true, ..Default::default() });
    client.update(vec![spy]);
    assert_eq!(client.heard(), []);
    ann.state = participant_info::State::Active as i32;
    client.update(vec![ann]);
    assert_eq!(words(&client.heard()), ["created ann"]);
}

#[test]
fn a_silent_server_is_pinged_and_then_given_up_for_a_new_link() {
    let mut client = Client::connected();
    client.pass(Duration::from_secs(5));
    assert!(matches!(client.sent.last(), Some(FromClient::Message(signal_request::Message::PingReq(_)))));
    client.pass(Duration::from_secs(10));
    assert_eq!(words(&client.heard()), ["reconnecting"]);
    let query = client.dials.last().expect("a dial");
    assert_eq!(query.resume_sid.as_deref(), Some("PA_me"));
}

#[test]
fn a_resumed_session_tells_what_it_missed_after_it_is_back() {
    let mut client = Client::connected();
    client.update(vec![participant("ann")]);
    client.input(Input::LinkClosed(None));
    client.input(signal("queued", Target::Everyone));
    client.input(Input::LinkOpened);
    client.message(Message::Reconnect(ReconnectResponse::default()));
    client.update(vec![participant("me"), participant("bob")]);
    assert_eq!(
        words(&client.heard()),
        ["created ann", "reconnecting", "reconnected", "signal queued", "dropped ann", "created bob"]
    );
    assert!(matches!(client.sent.last(), Some(FromClient::Data(_))));
}

#[test]
fn what_the_server_has_not_heard_is_said_again_and_it_is_told_what_has_come() {
    let mut client = Client::connected();
    client.update(vec![participant("ann")]);
    let numbers = |client: &mut Client| {
        let sent = std::mem::take(&mut client.sent).into_iter();
        let number = |frame| match frame {
            FromClient::Data(packet) => Some(packet.sequence),
            _ => None,
        };
        sent.filter_map(number).collect::<Vec<_>>()
    };
    for kind in ["one", "two"] {
        client.input(signal(kind, Target::Everyone));
    }
    let Input::Signal(wish) = signal("three", Target::Everyone) else { unreachable!() };
    client.input(Input::Signal(Signal { retry_after_reconnect: false, ..wish }));
    client.input(signal("four", Target::Everyone));
    let mut packet = signals::packet("hello", "", Vec::new());
    packet.participant_sid = "PA_ann".into();
    client.server(FromServer::Data(packet));
    assert_eq!(numbers(&mut client), [1, 2, 3, 4]);
    client.input(Input::LinkClosed(None));
    client.input(signal("five", Target::Everyone));
    assert_eq!(client.dials.last().and_then(|query| query.received), Some(1));
    client.input(Input::LinkOpened);
    client.message(Message::Reconnect(ReconnectResponse { last_message_seq: 1, ..Default::default() }));
    assert_eq!(numbers(&mut client), [2, 4, 5], "but for what the program did not want repeated");
    // With the next ping the server hears what came, and its answer says that all has arrived.
    client.pass(Duration::from_secs(5));
    let [FromClient::Received(1), FromClient::Message(signal_request::Message::PingReq(ping))] =
        client.sent[..]
    else {
        panic!("no news: {:?}", client.sent)
    };
    let pong = crate::signal::proto::Pong { last_ping_timestamp: ping.timestamp, timestamp: 0 };
    client.message(Message::PongResp(pong));
    client.input(Input::LinkClosed(None));
    client.input(Input::LinkOpened);
    client.message(Message::Reconnect(ReconnectResponse::default()));
    assert_eq!(numbers(&mut client), [0; 0]);
}

#[test]
fn a_server_that_forgot_us_is_joined_anew_under_the_same_name() {
    let mut client = Client::connected();
    client.update(vec![participant("ann"), participant("bob")]);
    client.input(Input::LinkClosed(None));
    client.input(Input::LinkOpened);
    client.leave(DisconnectReason::StateMismatch, Action::Reconnect);
    let query = client.dials.last().expect("a dial").clone();
    assert_eq!((query.resume_sid, query.keep_sid.as_deref()), (None, Some("PA_me")));
    assert_eq!(query.keep_created_ms, Some(1_700_000_000_000));
    client.input(Input::LinkOpened);
    client.server(FromServer::Welcome(welcome(&["ann"])));
    assert_eq!(words(&client.heard()), ["created ann", "created bob", "reconnecting", "reconnected"]);
    // Bob rejoins a moment later, as if nothing had been; had he not, he would have been dropped.
    client.update(vec![participant("bob")]);
    client.pass(Duration::from_secs(4));
    assert_eq!(client.heard(), []);
}

#[test]
fn a_recording_ends_under_the_name_under_which_it_began() {
    let room = |sid: &str, active_recording| Room { sid: sid.into(), active_recording, ..Default::default() };
    let rejoined = |client: &mut Client, room: Room| {
        client.input(Input::LinkClosed(None));
        client.input(Input::LinkOpened);
        client.leave(DisconnectReason::StateMismatch, Action::Reconnect);
        client.input(Input::LinkOpened);
        client.server(FromServer::Welcome(JoinResponse { room: Some(room), ..welcome(&[]) }));
        words(&client.heard())
    };
    let mut client = Client::connecting();
    client.input(Input::LinkOpened);
    client.server(FromServer::Welcome(JoinResponse { room: Some(room("RM_1", true)), ..welcome(&[]) }));
    assert_eq!(words(&client.heard()), ["connected", "archive RM_1"]);
    assert_eq!(rejoined(&mut client, room("RM_2", true)), ["reconnecting", "reconnected"]);
    assert_eq!(
        rejoined(&mut client, room("RM_3", false)),
        ["reconnecting", "reconnected", "no archive RM_1"]
    );
    assert_eq!(rejoined(&mut client, room("RM_4", true)), ["reconnecting", "reconnected", "archive RM_4"]);
    client.message(Message::RoomUpdate(RoomUpdate { room: Some(room("RM_4", false)) }));
    assert_eq!(words(&client.heard()), ["no archive RM_4"]);
}

#[test]
fn a_recording_has_the_name_of_its_room_also_where_the_server_tells_that_late() {
    let mut client = Client::connected();
    for (sid, active_recording) in [("RM_1", false), ("", true), ("", false)] {
        let room = Room { sid: sid.into(), active_recording, ..Default::default() };
        client.message(Message::RoomUpdate(RoomUpdate { room: Some(room) }));
    }
    assert_eq!(words(&client.heard()), ["archive RM_1", "no archive RM_1"]);
}

#[test]
fn who_does_not_rejoin_is_dropped_after_a_while() {
    let mut client = Client::connected();
    client.update(vec![participant("ann")]);
    client.input(Input::LinkClosed(None));
    client.input(Input::LinkOpened);
    client.leave(DisconnectReason::StateMismatch, Action::Reconnect);
    client.input(Input::LinkOpened);
    client.server(FromServer::Welcome(welcome(&[])));
    client.heard();
    client.pass(Duration::from_secs(4));
    assert_eq!(words(&client.heard()), ["dropped ann"]);
}

#[test]
fn a_lost_session_is_given_up_within_its_time() {
    let mut client = Client::connected();
    client.input(Input::LinkClosed(None));
    let begun = client.now;
    while !client.core.is_over() {
        client.input(Input::LinkFailed(Fault::new(Reason::Refused, "nothing listens there")));
        let at = client.core.poll_timeout().unwrap_or(client.now);
        client.pass(at - client.now);
    }
    assert!(client.now - begun <= RECONNECT_PERIOD);
    assert!(client.dials.len() > 10, "{} tries", client.dials.len());
    assert_eq!(client.reason(), Reason::Dropped);
}

#[test]
fn leaving_while_reconnecting_is_no_error() {
    let mut client = Client::connected();
    client.input(Input::LinkClosed(None));
    client.input(Input::Leave);
    assert_eq!(client.ending(), Ending::Left);
    client.pass(FAREWELL_TIMEOUT);
    assert!(client.core.is_over());
    assert_eq!(client.heard(), []);
}

#[test]
fn a_token_that_expired_meanwhile_ends_the_reconnection() {
    let mut client = Client::connected();
    client.input(Input::LinkClosed(None));
    client.input(Input::LinkFailed(Fault::new(Reason::Authorization, "expired")));
    client.pass(Duration::from_secs(1));
    client.input(Input::LinkFailed(Fault::new(Reason::Authorization, "expired")));
    assert_eq!(client.reason(), Reason::Dropped);
}

#[test]
fn a_removal_is_a_call_about_a_client_that_is_there() {
    let mut client = Client::new(config());
    client.input(Input::LinkOpened);
    client.server(FromServer::Welcome(welcome(&["ann"])));
    let ann = "PA_ann".to_owned();
    client.input(removal(ann.clone()));
    let (room, identity) = (config().session_id, "ann".to_owned());
    assert_eq!(client.calls, [Call::RemoveParticipant { room, identity }]);
    client.update(vec![gone("ann")]);
    client.input(removal(ann));
    client.input(removal("nobody".into()));
    assert_eq!(client.calls.len(), 1);
}

#[test]
fn a_removal_waits_for_the_end_of_a_reconnection() {
    let mut client = Client::new(config());
    client.input(Input::LinkOpened);
    client.server(FromServer::Welcome(welcome(&["ann"])));
    client.input(Input::LinkClosed(None));
    client.input(removal("PA_ann".into()));
    client.input(removal("PA_ann".into()));
    assert_eq!(client.calls, []);
    client.input(Input::LinkOpened);
    client.message(Message::Reconnect(ReconnectResponse::default()));
    assert_eq!(client.calls.len(), 1);
}

#[test]
fn what_takes_as_long_as_a_join_may_take_can_be_come_back_to() {
    let mut client = Client::connected();
    client.input(Input::LinkClosed(None));
    // A resolver whose first name server is dead.
    client.pass(Duration::from_secs(6));
    client.input(Input::LinkOpened);
    assert_eq!(client.dials.len(), 2, "the way is not given up");
    client.message(Message::Reconnect(ReconnectResponse::default()));
    assert_eq!(words(&client.heard()), ["reconnecting", "reconnected"]);
}

#[test]
fn a_server_that_accepts_and_says_nothing_is_asked_again_soon() {
    let mut client = Client::connected();
    client.input(Input::LinkClosed(None));
    client.input(Input::LinkOpened);
    client.pass(Duration::from_secs(6));
    assert_eq!(client.dials.len(), 3);
}

#[test]
fn a_gateway_without_a_server_behind_it_does_not_end_the_reconnection() {
    let mut client = Client::connected();
    client.input(Input::LinkClosed(None));
    for _ in 0..5 {
        client.input(Input::LinkFailed(Fault::new(Reason::InvalidSession, "404 page not found")));
        let at = client.core.poll_timeout().expect("the next try");
        client.pass(at - client.now);
    }
    client.input(Input::LinkOpened);
    client.message(Message::Reconnect(ReconnectResponse::default()));
    assert_eq!(words(&client.heard()), ["reconnecting", "reconnected"]);
}

#[test]
fn a_refreshed_token_is_used_from_then_on() {
    let mut client = Client::connected();
    client.message(Message::RefreshToken("fresh".into()));
    client.input(Input::LinkClosed(None));
    assert_eq!(client.dialled.last(), Some(&(None, "fresh".into())));
}

#[test]
fn where_a_refreshed_token_is_refused_the_programs_own_is_shown() {
    let refused = |client: &mut Client| {
        client.input(Input::LinkFailed(Fault::new(Reason::Authorization, "expired")));
        client.pass(Duration::from_secs(1));
    };
    let shown = |client: &Client| {
        let dials = client.dialled.iter().zip(&client.dials).skip(1);
        dials.map(|((_, token), query)| (token.clone(), query.resume_sid.is_some())).collect::<Vec<_>>()
    };
    let [fresh, own] = ["fresh", "token"].map(str::to_owned);
    let mut client = Client::connected();
    client.message(Message::RefreshToken(fresh.clone()));
    client.input(Input::LinkClosed(None));
    refused(&mut client);
    assert_eq!(shown(&client), [(fresh, true), (own.clone(), true)]);
    refused(&mut client);
    assert_eq!(shown(&client).last(), Some(&(own, false)), "the server may have forgotten this client");
    refused(&mut client);
    assert_eq!(client.reason(), Reason::Dropped);
}

#[test]
fn in_another_room_the_token_for_the_one_before_is_never_shown() {
    let mut client = Client::connected();
    client.message(Message::RefreshToken("fresh".into()));
    client.message(Message::RoomMoved(crate::signal::proto::RoomMovedResponse {
        token: "there".into(),
        ..Default::default()
    }));
    client.message(Message::RefreshToken("fresh there".into()));
    client.input(Input::LinkClosed(None));
    for _ in 0..3 {
        client.input(Input::LinkFailed(Fault::new(Reason::Authorization, "expired")));
        client.pass(Duration::from_secs(1));
    }
    let shown: Vec<&str> = client.dialled.iter().skip(1).map(|(_, token)| token.as_str()).collect();
    assert_eq!(shown, ["fresh there", "there", "there"]);
}

#[test]
fn a_broadcast_is_heard_by_its_sender_and_a_signal_to_one_is_not() {
    let mut client = Client::connected();
    client.update(vec![participant("ann")]);
    let ann = match client.heard().pop() {
        Some(Event::ConnectionCreated(ann)) => ann,
        other => panic!("{other:?}"),
    };
    client.input(signal("all", Target::Everyone));
    assert_eq!(words(&client.heard()), ["signal all"]);
    client.input(signal("one", Target::Connection(ann)));
    assert_eq!(client.heard(), []);
    let Some(FromClient::Data(packet)) = client.sent.last() else { panic!("nothing sent") };
    assert_eq!(packet.destination_identities, ["ann"]);
}

#[test]
fn a_signal_names_its_sender_and_a_servers_has_none() {
    let mut client = Client::connected();
    client.update(vec![participant("ann")]);
    client.heard();
    let mut packet = signals::packet("kind", "text", Vec::new());
    client.server(FromServer::Data(packet.clone()));
    packet.participant_identity = "ann".into();
    client.server(FromServer::Data(packet));
    let from: Vec<_> = client
        .heard()
        .into_iter()
        .map(|event| match event {
            Event::SignalReceived { from, data, .. } => (from.map(|from| from.identity.clone()), data),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(from, [(None, "text".to_string()), (Some("ann".to_string()), "text".to_string())]);
}

#[test]
fn signals_that_do_not_fit_the_queue_are_told_and_lost_ones_are_not_sent() {
    let mut client = Client::connected();
    client.input(Input::LinkClosed(None));
    client.heard();
    for _ in 0..QUEUE_LENGTH_MAX {
        client.input(signal("one", Target::Everyone));
    }
    assert_eq!(client.heard(), []);
    client.input(signal("more", Target::Everyone));
    assert!(matches!(client.heard()[..], [Event::Warned(Fault { reason: Reason::UnableToSendSignal, .. })]));
    client.input(Input::Signal(Signal {
        kind: "now or never".into(),
        data: String::new(),
        target: Target::Everyone,
        retry_after_reconnect: false,
    }));
    assert_eq!(client.heard(), []);
}

#[test]
fn a_recording_is_told_when_it_runs_already_and_when_it_changes() {
    let mut client = Client::connecting();
    client.input(Input::LinkOpened);
    let room = Room { sid: "RM_1".into(), active_recording: true, ..Default::default() };
    client.server(FromServer::Welcome(JoinResponse { room: Some(room.clone()), ..welcome(&[]) }));
    client.message(Message::RoomUpdate(RoomUpdate { room: Some(Room { active_recording: false, ..room }) }));
    let events = client.heard();
    assert_eq!(events[1], Event::ArchiveStarted { id: "RM_1".into(), name: String::new() });
    assert_eq!(events[2], Event::ArchiveStopped { id: "RM_1".into() });
}
