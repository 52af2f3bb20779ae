//! Media over the life of links and connections: what survives, and what does not.

use super::*;
use crate::server::config::{PING_TIMEOUT, RESUME_HOLD_REMOTE};
use crate::server::core_tests::{keeping, resuming};
use crate::signal::proto::{
    DisconnectReason, SyncState, TrackPublishedResponse, leave_request::Action, participant_info::State,
};

/// Longer than a connection needs to notice that the other side is gone, and to give up.
const GIVES_UP: Duration = Duration::from_secs(30);

fn enter_again(call: &mut Call, client: usize, query: JoinQuery, token: &str) {
    let link = call.world.open(query, token, Locality::Remote).expect("admitted");
    call.clients[client].link = link;
    call.settle();
}

/// The picture gets through.
fn is_seen(call: &mut Call, source: &mut Source, sid: &str) {
    let before = call.clients[1].got(sid).len();
    call.until("a picture gets through", |call| {
        source.picture(call, true);
        call.clients[1].got(sid).len() > before
    });
}

#[test]
fn tracks_and_subscriptions_survive_a_resume() {
    let (mut call, info, mut source) = watching();
    is_seen(&mut call, &mut source, &info.sid);
    for client in 0..2 {
        let link = call.clients[client].link;
        call.world.cut(link);
        source.picture(&mut call, true);
        let (sid, name) = (call.clients[client].info.sid.clone(), ["alice", "bob"][client]);
        let offers = call.clients[client].offers.len();
        enter_again(&mut call, client, resuming(&sid), &classic(Role::Publisher, name));
        assert_eq!(
            call.clients[client].offers.len() - offers,
            client,
            "the subscriber's path is looked for again"
        );
        call.pass(Duration::from_millis(500));
        is_seen(&mut call, &mut source, &info.sid);
    }
    let sections: Vec<_> = call.clients[1].sections.iter().filter(|info| info.is_sending).collect();
    assert_eq!(sections.len(), 1, "nothing was subscribed to anew: {sections:?}");
    assert_eq!(call.tracks(1, 0).map(|tracks| tracks.len()), Some(1));
}

#[test]
fn sockets_that_cannot_be_opened_are_tried_again_after_a_while() {
    let mut call = Call::new();
    call.world.has_no_sockets = true;
    let (alice, bob) = (call.ours("alice"), call.ours("bob"));
    call.publish(alice, audio("mic"), &[]);
    assert_eq!(call.world.demands, 1);
    call.pass(Duration::from_secs(10));
    assert!((2..=5).contains(&call.world.demands), "{}", call.world.demands);
    assert_eq!(call.tracks(bob, alice).unwrap_or_default(), []);
    call.world.has_no_sockets = false;
    call.until("the track is there", |call| call.tracks(bob, alice).is_some_and(|tracks| !tracks.is_empty()));
    let demands = call.world.demands;
    call.pass(Duration::from_secs(10));
    assert_eq!(call.world.demands, demands, "they are there");
}

#[test]
fn who_joins_anew_under_its_sid_begins_without_tracks() {
    let (mut call, info, _) = watching();
    let alice = call.clients[0].info.clone();
    let link = call.clients[0].link;
    call.world.cut(link);
    call.clients[0].publisher = None;
    enter_again(&mut call, 0, keeping(&alice.sid), &classic(Role::Publisher, "alice"));
    assert_eq!(call.tracks(1, 0), Some(Vec::new()), "the others hear that the old ones are gone");
    let (fresh, section) = call.publish(0, video("camera"), &[]);
    assert_ne!(fresh.sid, info.sid);
    assert_eq!(call.tracks(1, 0).map(|tracks| tracks.len()), Some(1));
    call.subscribe(1, &fresh.sid, true);
    let mut source = Source::video(0, section, None);
    is_seen(&mut call, &mut source, &fresh.sid);
}

#[test]
fn who_stays_away_loses_its_tracks() {
    let (mut call, _, _) = watching();
    let link = call.clients[0].link;
    call.world.cut(link);
    call.pass(RESUME_HOLD_REMOTE - Duration::from_secs(1));
    assert_eq!(call.tracks(1, 0).map(|tracks| tracks.len()), Some(1));
    call.pass(Duration::from_secs(2));
    let ended = call.heard(1, |message| match message {
        Message::Update(update) => update.participants.last().map(|info| (info.state(), info.tracks.len())),
        _ => None,
    });
    assert_eq!(ended.last(), Some(&(State::Disconnected, 0)));
    assert!(!call.clients[1].sections.last().expect("a section").is_sending);
}

#[test]
fn a_failed_connection_of_a_subscriber_is_made_anew_and_its_signals_go_on() {
    let (mut call, info, mut source) = watching();
    is_seen(&mut call, &mut source, &info.sid);
    call.clients[1].is_cut = true;
    call.pass(GIVES_UP);
    call.clients[1].is_cut = false;
    assert!(!call.world.closed.contains(&call.clients[1].link));
    is_seen(&mut call, &mut source, &info.sid);
    let origins: std::collections::BTreeSet<&str> = call.clients[1]
        .offers
        .iter()
        .filter_map(|offer| offer.sdp.lines().find(|line| line.starts_with("o=")))
        .collect();
    assert!(origins.len() > 1, "another connection has another origin");
    let leaves = call.heard(1, |message| matches!(message, Message::Leave(_)).then_some(()));
    assert_eq!(leaves.len(), 0);
}

#[test]
fn a_failed_connection_of_a_publisher_is_replaced_by_its_next_offer() {
    let (mut call, info, mut source) = watching();
    is_seen(&mut call, &mut source, &info.sid);
    // Its farewell reaches the server; the link stays.
    let now = call.now();
    call.publisher(0).close(now);
    call.pass(Duration::from_secs(1));
    assert_eq!(call.tracks(1, 0).map(|tracks| tracks.len()), Some(1), "it is waited for");
    call.clients[0].publisher = None;
    source.section =
        call.publisher(0).add_sending(now, &sending(MediaKind::Video, "camera", &[])).expect("a section");
    call.offer(0);
    source.sequence = 7;
    source.timestamp = 5;
    is_seen(&mut call, &mut source, &info.sid);
    let sequences: Vec<u64> = call.clients[1].got(&info.sid).iter().map(|packet| packet.sequence).collect();
    assert!(sequences.windows(2).all(|pair| pair[1] == pair[0] + 1), "nobody notices: {sequences:?}");
}

#[test]
fn tracks_whose_connection_does_not_come_back_end() {
    let (mut call, info, _) = watching();
    let now = call.now();
    call.publisher(0).close(now);
    call.pass(super::super::media::share::REPAIR_LIMIT + Duration::from_secs(1));
    assert_eq!(call.tracks(1, 0), Some(Vec::new()));
    let ended = call.heard(0, |message| match message {
        Message::TrackUnpublished(ended) => Some(ended.track_sid.clone()),
        _ => None,
    });
    assert_eq!(ended, [info.sid]);
}

#[test]
fn a_client_that_believes_in_a_track_nobody_knows_is_sent_to_join_anew() {
    let (mut call, info, _) = watching();
    let state = |sid: &str| SyncState {
        publish_tracks: vec![TrackPublishedResponse {
            cid: "camera".into(),
            track: Some(TrackInfo { sid: sid.into(), ..Default::default() }),
        }],
        ..Default::default()
    };
    call.ask(0, Ask::SyncState(state(&info.sid)));
    assert!(!call.world.closed.contains(&call.clients[0].link));
    let wanted = SyncState {
        subscription: Some(UpdateSubscription {
            track_sids: vec![info.sid.clone()],
            subscribe: true,
            ..Default::default()
        }),
        track_sids_disabled: vec![info.sid.clone()],
        ..Default::default()
    };
    call.subscribe(1, &info.sid, false);
    call.ask(1, Ask::SyncState(wanted));
    assert!(call.clients[1].section(&info.sid).is_some());
    call.ask(0, Ask::SyncState(state("TR_elsewhere")));
    assert!(call.world.closed.contains(&call.clients[0].link));
    let left = call.heard(0, |message| match message {
        Message::Leave(leave) => Some((leave.reason(), leave.action())),
        _ => None,
    });
    assert_eq!(left, [(DisconnectReason::StateMismatch, Action::Reconnect)]);
}

#[test]
fn who_has_no_media_has_no_connection_and_a_room_without_media_no_pulse() {
    let mut call = Call::new();
    let (alice, _) = (call.ours("alice"), call.ours("bob"));
    let room = |call: &Call| call.world.room_of(call.clients[alice].link).media.is_some();
    call.pass(Duration::from_secs(1));
    assert!(!room(&call) && call.world.demands == 0);
    let quiet = call.world.timers();
    call.publish(alice, audio("mic"), &[]);
    call.until("connected", |call| is_connected(call, alice));
    assert!(call.world.timers() > quiet);
    call.ask(alice, Ask::Leave(Default::default()));
    call.pass(PING_TIMEOUT);
    assert!(call.world.timers() < quiet, "one participant less, and nothing else");
}

#[test]
fn offers_and_media_requests_without_end_stop_nobody_else() {
    let (mut call, info, mut source) = watching();
    let sdp = "a=x\r\n".repeat(10_000);
    for _ in 0..40 {
        let link = call.clients[1].link;
        call.world.say(link, description("offer", sdp.clone(), 1));
    }
    assert!(call.world.server.counters().negotiations_refused > 0);
    for _ in 0..3000 {
        let link = call.clients[1].link;
        let mute = proto::MuteTrackRequest { sid: info.sid.clone(), muted: true };
        call.world.say(link, FromClient::Message(Ask::Mute(mute)));
    }
    assert!(call.world.server.counters().media_requests_refused >= 1900);
    is_seen(&mut call, &mut source, &info.sid);
}

/// As a program does in a room where many come and go.
#[test]
fn who_asks_faster_than_is_allowed_waits_and_is_served() {
    let (mut call, info, mut source) = watching();
    for _ in 0..1200 {
        call.subscribe(1, &info.sid, false);
        call.subscribe(1, &info.sid, true);
    }
    assert!(is_waiting(&call), "more than is allowed at once");
    call.until("each had its turn", |call| !is_waiting(call));
    is_seen(&mut call, &mut source, &info.sid);
    assert_eq!(call.world.server.counters().media_requests_refused, 0);
}

fn is_waiting(call: &Call) -> bool {
    let room = call.world.room_of(call.clients[1].link);
    let bob = room.participants.values().find(|one| one.link() == Some(call.clients[1].link));
    bob.and_then(|bob| bob.turns.as_ref()).is_some_and(|turns| turns.is_waiting())
}

#[test]
fn who_subscribes_faster_than_answers_are_read_waits_and_is_served() {
    let (mut call, info, mut source) = watching();
    for _ in 0..400 {
        call.subscribe(1, &info.sid, false);
        call.subscribe(1, &info.sid, true);
    }
    let offers = call.clients[1].offers.len();
    call.until("the last answer is read", |call| {
        call.clients[1].offers.len() > offers && call.clients[1].section(&info.sid).is_some()
    });
    is_seen(&mut call, &mut source, &info.sid);
    assert_eq!(call.world.server.counters().negotiations_refused, 0);
}
