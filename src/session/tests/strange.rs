//! Servers and moments that are out of the ordinary, and lawful all the same.

use super::*;
use crate::signal::proto::{ParticipantPermission, Pong};

fn packet_of(name: &str) -> FromServer {
    let mut packet = signals::packet("kind", "text", Vec::new());
    packet.participant_sid = format!("PA_{name}");
    packet.participant_identity = name.into();
    FromServer::Data(packet)
}

#[test]
fn a_server_that_answers_pings_is_kept_however_short_its_time_out_is() {
    let mut client = Client::connecting();
    client.input(Input::LinkOpened);
    client.server(FromServer::Welcome(JoinResponse { ping_interval: 10, ping_timeout: 5, ..welcome(&[]) }));
    for round in 1..4 {
        client.pass(Duration::from_secs(10));
        assert_eq!(client.sent.len(), round, "one ping an interval");
        client.message(Message::PongResp(Pong::default()));
    }
    assert_eq!(words(&client.heard()), ["connected"]);
}

#[test]
fn a_client_that_was_stopped_asks_the_server_before_it_gives_it_up() {
    let mut client = Client::connected();
    client.now += Duration::from_secs(60);
    client.core.handle_timeout(client.now);
    client.collect();
    assert!(matches!(client.sent.last(), Some(FromClient::Message(signal_request::Message::PingReq(_)))));
    client.message(Message::PongResp(Pong::default()));
    client.pass(Duration::from_secs(4));
    assert_eq!(client.heard(), []);
}

#[test]
fn a_signal_that_overtakes_the_news_of_its_sender_waits_for_it() {
    let mut client = Client::connected();
    client.server(packet_of("ann"));
    client.update(vec![ParticipantInfo {
        state: participant_info::State::Joined as i32,
        ..participant("ann")
    }]);
    assert_eq!(client.heard(), []);
    client.update(vec![participant("ann")]);
    assert_eq!(words(&client.heard()), ["created ann", "signal kind"]);

    client.server(packet_of("bob"));
    client.pass(Duration::from_secs(4));
    client.update(vec![participant("bob")]);
    assert_eq!(words(&client.heard()), ["created bob"], "who is announced so late was not the sender");
}

#[test]
fn signals_of_senders_that_never_come_are_not_collected_without_end() {
    let mut client = Client::connected();
    for _ in 0..10_000 {
        client.server(packet_of("ann"));
    }
    client.update(vec![participant("ann")]);
    assert!(client.heard().len() <= 1001);
}

#[test]
fn who_comes_back_under_another_sid_replaces_himself() {
    let mut client = Client::connected();
    client.update(vec![participant("ann")]);
    client.update(vec![ParticipantInfo { sid: "PA_again".into(), ..participant("ann") }]);
    // The news of the first one's end may come late, or never.
    client.update(vec![gone("ann")]);
    assert_eq!(words(&client.heard()), ["created ann", "dropped ann", "created ann"]);
}

#[test]
fn nobody_is_told_of_himself_under_an_earlier_sid() {
    let mut client = Client::connecting();
    client.input(Input::LinkOpened);
    let earlier = ParticipantInfo { sid: "PA_earlier".into(), ..participant("me") };
    let mut join = welcome(&["ann"]);
    join.other_participants.push(earlier.clone());
    client.server(FromServer::Welcome(join));
    client.update(vec![earlier]);
    assert_eq!(words(&client.heard()), ["connected", "created ann"]);
}

#[test]
fn a_signal_goes_to_the_identity_that_its_receiver_has_now() {
    let mut client = Client::connected();
    client.update(vec![participant("ann")]);
    let Some(Event::ConnectionCreated(ann)) = client.heard().pop() else { panic!("ann is there") };
    // A new host of the hub gives names anew where several clients share a token.
    client.update(vec![ParticipantInfo { identity: "ann-2".into(), ..participant("ann") }]);
    client.input(signal("one", Target::Connection(ann)));
    let Some(FromClient::Data(packet)) = client.sent.last() else { panic!("nothing sent") };
    assert_eq!(packet.destination_identities, ["ann-2"]);
    assert_eq!(client.heard(), []);
}

#[test]
fn an_update_that_says_nothing_of_rights_changes_none() {
    let mut client = Client::connecting();
    client.input(Input::LinkOpened);
    let mut join = welcome(&[]);
    let permission = ParticipantPermission { can_subscribe: true, ..Default::default() };
    join.participant = Some(ParticipantInfo { permission: Some(permission), ..participant("me") });
    client.server(FromServer::Welcome(join));
    client.heard();
    client.update(vec![participant("me")]);
    assert_eq!(client.heard(), []);
}

#[test]
fn an_empty_token_is_no_refreshed_token() {
    let mut client = Client::connected();
    client.message(Message::RefreshToken(String::new()));
    assert_eq!(client.core.token(), "token");
}

#[test]
fn leaving_while_a_lost_session_is_dialled_tells_the_server_when_it_answers() {
    let mut client = Client::connected();
    client.input(Input::LinkClosed(None));
    client.input(Input::Leave);
    assert_eq!(client.ending(), Ending::Left);
    client.input(Input::LinkOpened);
    assert!(matches!(client.sent.last(), Some(FromClient::Message(signal_request::Message::Leave(_)))));
    assert!(client.core.is_over());
    assert_eq!(client.heard(), []);
}

#[test]
fn a_client_whose_place_is_taken_while_it_reconnects_does_not_fight_for_it() {
    for reason in [DisconnectReason::DuplicateIdentity, DisconnectReason::RoomDeleted] {
        let mut client = Client::connected();
        client.input(Input::LinkClosed(None));
        client.input(Input::LinkOpened);
        client.leave(reason, Action::Disconnect);
        assert_eq!(client.reason(), Reason::Dropped);
        assert_eq!(client.dials.len(), 2);
    }
}

#[test]
fn each_step_of_a_try_has_its_own_time() {
    let mut client = Client::connected();
    client.input(Input::LinkClosed(None));
    client.pass(Duration::from_millis(4900));
    client.input(Input::LinkOpened);
    client.pass(Duration::from_millis(4900));
    client.message(Message::Reconnect(ReconnectResponse::default()));
    assert_eq!(words(&client.heard()), ["reconnecting", "reconnected"]);
    assert_eq!(client.dials.len(), 2);
}

#[test]
fn who_rejoins_on_another_server_is_known_although_that_one_counts_anew() {
    let mut client = Client::connected();
    client.update(vec![ParticipantInfo { version: 7, ..participant("ann") }]);
    client.input(Input::LinkClosed(None));
    client.input(Input::LinkOpened);
    client.leave(DisconnectReason::ServerShutdown, Action::Reconnect);
    client.input(Input::LinkOpened);
    client.server(FromServer::Welcome(welcome(&[])));
    client.update(vec![ParticipantInfo { version: 1, ..participant("ann") }]);
    client.pass(Duration::from_secs(4));
    assert_eq!(words(&client.heard()), ["created ann", "reconnecting", "reconnected"]);
}
