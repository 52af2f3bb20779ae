//! The core against a server with peer connections, as LiveKit has them.

use std::net::SocketAddr;

use super::*;
use crate::rtc::{Channel, Datagram, Output as RtcOutput, Peer};
use crate::signal::proto::{SessionDescription, SignalTarget, TrickleRequest};

const STEP: Duration = Duration::from_millis(10);

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], port))
}

/// A client and the server's ends of its two peer connections.
pub(super) struct Wired {
    pub client: Client,
    pub subscriber: Peer,
    publisher: Option<Peer>,
    /// What the server's ends said, the subscriber's before the publisher's.
    said: Vec<RtcOutput>,
    /// Where the client's publisher is reached.
    publisher_at: SocketAddr,
    /// What the client sends from there is lost.
    gone: Vec<SocketAddr>,
}

impl Wired {
    /// The link is open, the server has let the client in and has offered.
    fn joining(mut client: Client) -> Self {
        client.input(Input::LinkOpened);
        let join = JoinResponse { subscriber_primary: true, ..welcome(&["ann"]) };
        client.message(Message::Join(join));
        let addresses = Addresses { subscriber: vec![address(1)], publisher: vec![address(3)] };
        client.input(Input::SocketsOpened(addresses));
        let mut subscriber = Peer::new(client.now, &[address(2)]);
        let sdp = subscriber.offer(client.now).expect("an offer");
        client.message(Message::Offer(SessionDescription {
            r#type: "offer".into(),
            sdp,
            ..Default::default()
        }));
        let answer = client.sent.iter().rev().find_map(|message| match message {
            FromClient::Message(signal_request::Message::Answer(answer)) => Some(answer.sdp.clone()),
            _ => None,
        });
        subscriber.accept_answer(client.now, &answer.expect("an answer")).expect("it fits");
        let (said, gone) = Default::default();
        Self { client, subscriber, publisher: None, said, publisher_at: address(3), gone }
    }

    /// The link breaks, and there is another one.
    fn relink(&mut self) {
        self.client.input(Input::LinkClosed(None));
        self.client.input(Input::LinkOpened);
    }

    /// The network is another one.
    fn move_away(&mut self) {
        self.gone = vec![address(1), address(3)];
        self.publisher_at = address(13);
        let addresses = Addresses { subscriber: vec![address(11)], publisher: vec![address(13)] };
        self.client.input(Input::SocketsOpened(addresses));
    }

    /// The server looks for the subscriber's path again.
    fn restart(&mut self) -> String {
        let sdp = self.subscriber.restart_ice(self.client.now).expect("an offer");
        let offer = SessionDescription { r#type: "offer".into(), sdp, ..Default::default() };
        self.client.message(Message::Offer(offer));
        let answer = self.client.sent.iter().rev().find_map(|message| match message {
            FromClient::Message(signal_request::Message::Answer(answer)) => Some(answer.sdp.clone()),
            _ => None,
        });
        let answer = answer.expect("an answer");
        self.subscriber.accept_answer(self.client.now, &answer).expect("it fits");
        answer
    }

    pub fn connected() -> Self {
        let mut wired = Self::joining(Client::connecting());
        wired.run_until(|wired| !wired.client.events.is_empty());
        assert_eq!(words(&wired.client.heard()), ["connected", "created ann"]);
        wired
    }

    /// The last offer of the client's.
    fn offer(&self) -> Option<String> {
        self.client.sent.iter().rev().find_map(|message| match message {
            FromClient::Message(signal_request::Message::Offer(offer)) => Some(offer.sdp.clone()),
            _ => None,
        })
    }

    /// The server answers the client's offer.
    fn answer(&mut self) -> String {
        let mut publisher = Peer::new(self.client.now, &[address(2)]);
        let offer = self.offer().expect("an offer");
        let sdp = publisher.accept_offer(self.client.now, &offer).expect("it fits");
        self.publisher = Some(publisher);
        self.client.message(Message::Answer(SessionDescription {
            r#type: "answer".into(),
            sdp: sdp.clone(),
            ..Default::default()
        }));
        sdp
    }

    /// Datagrams arrive and time passes, until it is so.
    pub fn run_until(&mut self, mut is_so: impl FnMut(&mut Self) -> bool) {
        for _ in 0..1000 {
            self.exchange();
            if is_so(self) {
                return;
            }
            self.client.pass(STEP);
            let now = self.client.now;
            for peer in [Some(&mut self.subscriber), self.publisher.as_mut()].into_iter().flatten() {
                if peer.poll_timeout().is_some_and(|at| now >= at) {
                    peer.handle_timeout(now);
                }
            }
        }
        panic!("it does not come to that: {:?}, {:?}", self.client.events, self.said);
    }

    fn exchange(&mut self) {
        let now = self.client.now;
        for Datagram { local, remote, bytes } in std::mem::take(&mut self.client.transmitted) {
            if self.gone.contains(&local) {
                continue;
            }
            let datagram = Datagram { local: remote, remote: local, bytes };
            // The server has one port for both, as LiveKit's may have.
            match (local == self.publisher_at, &mut self.publisher) {
                (true, Some(publisher)) => publisher.handle_datagram(now, datagram),
                (true, None) => {}
                (false, _) => self.subscriber.handle_datagram(now, datagram),
            }
        }
        let mut sent = Vec::new();
        for peer in [Some(&mut self.subscriber), self.publisher.as_mut()].into_iter().flatten() {
            while let Some(output) = peer.poll() {
                match output {
                    RtcOutput::Transmit(datagram) => sent.push(datagram),
                    output => self.said.push(output),
                }
            }
        }
        for Datagram { local, remote, bytes } in sent {
            if self.gone.contains(&remote) {
                continue;
            }
            self.client.input(Input::Datagram(Datagram { local: remote, remote: local, bytes }));
        }
    }

    fn signals_at_the_server(&self) -> usize {
        let is_signal = |output: &&RtcOutput| matches!(output, RtcOutput::Data(Channel::Reliable, _));
        self.said.iter().filter(is_signal).count()
    }
}

fn failures(said: &[RtcOutput]) -> usize {
    said.iter().filter(|output| matches!(output, RtcOutput::Failed(_))).count()
}

#[test]
fn leaving_closes_the_peer_connections_so_that_no_ghost_stays() {
    let mut wired = Wired::connected();
    wired.client.input(signal("one", Target::Everyone));
    wired.answer();
    wired.run_until(|wired| wired.signals_at_the_server() == 1);
    wired.client.heard();
    wired.client.input(Input::Leave);
    assert_eq!(wired.client.ending(), Ending::Left);
    wired.run_until(|wired| wired.client.core.is_over());
    wired.exchange();
    assert_eq!(failures(&wired.said), 2, "both ends hear the farewell: {:?}", wired.said);
}

#[test]
fn peer_connections_are_closed_too_when_there_is_no_link_to_say_farewell_on() {
    let mut wired = Wired::connected();
    wired.client.input(Input::LinkClosed(None));
    wired.client.input(Input::LinkFailed(Fault::new(Reason::Refused, "nothing listens there")));
    wired.client.input(Input::Leave);
    assert!(wired.client.core.is_over());
    wired.exchange();
    assert_eq!(failures(&wired.said), 1);
}

#[test]
fn a_new_join_closes_the_peer_connections_of_the_old_one() {
    let mut wired = Wired::connected();
    wired.client.input(Input::LinkClosed(None));
    wired.client.input(Input::LinkOpened);
    wired.client.leave(DisconnectReason::StateMismatch, Action::Reconnect);
    wired.client.input(Input::LinkOpened);
    wired.client.message(Message::Join(JoinResponse { subscriber_primary: true, ..welcome(&["ann"]) }));
    wired.exchange();
    assert_eq!(failures(&wired.said), 1);
}

#[test]
fn signals_that_had_not_left_yet_are_sent_after_a_new_join() {
    let mut wired = Wired::connected();
    wired.client.input(signal("one", Target::Everyone));
    wired.client.input(Input::LinkClosed(None));
    wired.client.input(Input::LinkOpened);
    wired.client.leave(DisconnectReason::StateMismatch, Action::Reconnect);
    wired.client.sent.clear();
    let mut wired = Wired::joining(wired.client);
    wired.answer();
    let mut heard = Vec::new();
    // The two connections come up in either order.
    wired.run_until(|wired| {
        heard.extend(words(&wired.client.heard()));
        wired.signals_at_the_server() == 1 && heard.len() >= 3
    });
    assert_eq!(heard, ["signal one", "reconnecting", "reconnected"]);
}

#[test]
fn a_signal_that_finds_no_room_says_so_and_is_not_echoed() {
    let mut wired = Wired::connected();
    for _ in 0..1000 {
        wired.client.input(signal("one", Target::Everyone));
    }
    assert_eq!(wired.client.heard().len(), 1000);
    wired.client.input(signal("more", Target::Everyone));
    let heard = wired.client.heard();
    assert!(
        matches!(heard[..], [Event::Warned(Fault { reason: Reason::UnableToSendSignal, .. })]),
        "{heard:?}"
    );
}

#[test]
fn a_resume_looks_for_a_path_from_the_network_of_this_moment() {
    let mut wired = Wired::connected();
    wired.client.input(signal("one", Target::Everyone));
    wired.answer();
    wired.run_until(|wired| wired.signals_at_the_server() == 1);
    wired.client.heard();
    wired.relink();
    assert_eq!(wired.client.renewed, [Reach::Others]);
    wired.move_away();
    wired.client.message(Message::Reconnect(ReconnectResponse::default()));
    let offer = wired.offer().expect("an offer");
    assert!(offer.contains("10.0.0.1 13 typ host") && !offer.contains("10.0.0.1 3 typ"), "{offer}");
    let answer = wired.restart();
    assert!(answer.contains("10.0.0.1 11 typ host") && !answer.contains("10.0.0.1 1 typ"), "{answer}");
    let now = wired.client.now;
    let sdp = wired.publisher.as_mut().expect("a publisher").accept_offer(now, &offer).expect("it fits");
    let answer = SessionDescription { r#type: "answer".into(), sdp, ..Default::default() };
    wired.client.message(Message::Answer(answer));
    wired.run_until(|wired| wired.client.events.len() >= 2);
    assert_eq!(words(&wired.client.heard()), ["reconnecting", "reconnected"]);
    wired.client.input(signal("two", Target::Everyone));
    wired.run_until(|wired| wired.signals_at_the_server() == 2);
}

#[test]
fn a_resumed_session_is_back_when_data_gets_through_and_not_before() {
    let mut wired = Wired::connected();
    wired.relink();
    wired.move_away();
    wired.client.message(Message::Reconnect(ReconnectResponse::default()));
    wired.client.pass(Duration::from_secs(1));
    wired.restart();
    wired.client.pass(Duration::from_secs(1));
    assert_eq!(words(&wired.client.heard()), ["reconnecting"]);
    wired.run_until(|wired| !wired.client.events.is_empty());
    assert_eq!(words(&wired.client.heard()), ["reconnected"]);
    assert!(wired.client.core.live().is_some_and(|live| live.wires.can_receive()));
}

#[test]
fn a_path_that_was_good_before_the_link_broke_says_nothing_of_now() {
    let mut wired = Wired::connected();
    wired.relink();
    // The addresses stay, and nothing gets through to them.
    wired.gone = vec![address(1)];
    wired.client.message(Message::Reconnect(ReconnectResponse::default()));
    wired.client.pass(Duration::from_secs(2));
    assert_eq!(words(&wired.client.heard()), ["reconnecting"]);
    wired.gone.clear();
    wired.restart();
    wired.run_until(|wired| !wired.client.events.is_empty());
    assert_eq!(words(&wired.client.heard()), ["reconnected"]);
}

#[test]
fn a_path_that_is_still_good_is_enough_where_the_server_looks_for_no_other() {
    let mut wired = Wired::connected();
    wired.relink();
    wired.client.message(Message::Reconnect(ReconnectResponse::default()));
    let begun = wired.client.now;
    wired.run_until(|wired| wired.client.events.len() >= 2);
    assert_eq!(words(&wired.client.heard()), ["reconnecting", "reconnected"]);
    assert!(wired.client.now - begun < Duration::from_secs(5));
}

#[test]
fn a_resume_that_finds_no_path_is_followed_by_a_new_join() {
    let mut wired = Wired::connected();
    wired.relink();
    wired.move_away();
    wired.client.message(Message::Reconnect(ReconnectResponse::default()));
    wired.client.pass(Duration::from_secs(11));
    assert_eq!(words(&wired.client.heard()), ["reconnecting"]);
    assert!(wired.client.dials.last().is_some_and(|query| query.keep_sid.is_some()));
}

#[test]
fn where_another_server_answers_the_publisher_the_session_is_joined_anew() {
    for is_other_end in [true, false] {
        let mut wired = Wired::connected();
        wired.client.input(signal("one", Target::Everyone));
        wired.answer();
        wired.run_until(|wired| wired.signals_at_the_server() == 1);
        wired.relink();
        wired.client.message(Message::Reconnect(ReconnectResponse::default()));
        if is_other_end {
            wired.answer();
        } else {
            let (now, offer) = (wired.client.now, wired.offer().expect("an offer"));
            let publisher = wired.publisher.as_mut().expect("a publisher");
            let sdp = publisher.accept_offer(now, &offer).expect("it fits");
            let (before, after) = sdp.split_once("a=fingerprint:sha-256 ").expect("one");
            let sdp = format!("{before}a=fingerprint:sha-256 00{}", &after[2..]);
            let answer = SessionDescription { r#type: "answer".into(), sdp, ..Default::default() };
            wired.client.message(Message::Answer(answer));
        }
        assert!(wired.client.dials.last().is_some_and(|query| query.keep_sid.is_some()), "at once");
    }
}

#[test]
fn a_server_that_knows_the_session_still_says_again_which_relays_there_are() {
    let mut wired = Wired::connected();
    wired.relink();
    let ice_servers = vec![crate::signal::proto::IceServer {
        urls: vec!["turn:theirs.example".into()],
        ..Default::default()
    }];
    wired.client.message(Message::Reconnect(ReconnectResponse { ice_servers, ..Default::default() }));
    let (servers, alone, ways) = wired.client.looked_for.last().expect("a search");
    assert_eq!((servers[0].host.as_str(), *alone), ("theirs.example", false));
    assert_eq!(ways[..], [Way::Subscriber, Way::Publisher]);
}

#[test]
fn an_answer_that_nobody_waits_for_changes_nothing() {
    let mut wired = Wired::connected();
    wired.client.input(signal("one", Target::Everyone));
    let sdp = wired.answer();
    let again = SessionDescription { r#type: "answer".into(), sdp, ..Default::default() };
    wired.client.message(Message::Answer(again));
    wired.run_until(|wired| wired.signals_at_the_server() == 1);
    wired.client.pass(Duration::from_secs(2));
    assert_eq!(words(&wired.client.heard()), ["signal one"]);
}

#[test]
fn candidates_before_the_offer_are_not_collected_without_end() {
    let mut client = Client::connecting();
    client.input(Input::LinkOpened);
    client.message(Message::Join(JoinResponse { subscriber_primary: true, ..welcome(&[]) }));
    let init = r#"{"candidate":"candidate:1 1 udp 1 10.0.0.1 2 typ host","sdpMid":"0"}"#;
    for _ in 0..10_000 {
        client.message(Message::Trickle(TrickleRequest {
            candidate_init: init.into(),
            target: SignalTarget::Subscriber as i32,
            ..Default::default()
        }));
    }
    assert_eq!(client.heard(), []);
}
