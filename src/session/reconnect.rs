//! Connected ⇄ Reconnecting: resume while the server may still know us, then join anew, then give up.

use std::time::{Duration, Instant};

use super::core::{Core, Output, State};
use super::event::Ending;
use super::ice::Ways;
use super::join::JOIN_TIMEOUT;
use super::live::Live;
use super::moderation::Held;
use super::signals::Queue;
use super::{Event, Fault, Reason};
use crate::signal::frame::FromClient;
use crate::signal::proto::{JoinResponse, ReconnectResponse, SyncState, signal_request};

/// How long a resume is tried. LiveKit keeps a participant without a link for about that long.
pub const RESUME_PERIOD: Duration = Duration::from_secs(15);

/// When a lost session is given up. A router has restarted by then, and a person has not yet.
pub const RECONNECT_PERIOD: Duration = Duration::from_secs(60);

/// How long a server that accepts may say nothing: it must not eat the whole period. The way to it and the peer
/// connections have as long as a join: what could be joined can be come back to.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// The wait after the first failed try; it doubles from there. The first try itself does not wait.
const WAIT_FIRST: Duration = Duration::from_millis(200);

/// The longest wait between tries: many clients that lost one server must not knock it down again.
const WAIT_MAX: Duration = Duration::from_secs(5);

pub(super) struct Reconnecting {
    pub live: Box<Live>,
    since: Instant,
    tries: u32,
    /// The server does not know this participant any more; only a new join helps.
    must_rejoin: bool,
    pub step: Step,
    /// What went wrong last, for the error text in case this is the end.
    last: Option<Fault>,
    /// What came or went meanwhile; told after `Reconnected`.
    held: Vec<Event>,
    /// Signals that wait for the end of it.
    pub queue: Queue,
    /// What is to be done to others when it is over.
    pub moderations: Held,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Step {
    Waiting {
        until: Instant,
    },
    Dialling {
        deadline: Instant,
    },
    Asking {
        deadline: Instant,
    },
    /// The server knows us again; the data channel has to come back.
    Wiring {
        deadline: Instant,
    },
}

impl Reconnecting {
    pub fn poll_timeout(&self) -> Instant {
        let step = match self.step {
            Step::Waiting { until } => until,
            Step::Dialling { deadline } | Step::Asking { deadline } | Step::Wiring { deadline } => deadline,
        };
        step.min(self.since + RECONNECT_PERIOD)
    }

    pub fn link_opened(&mut self, now: Instant) {
        if let Step::Dialling { .. } = self.step {
            self.step = Step::Asking { deadline: now + ANSWER_TIMEOUT };
            // The link goes through the network of this moment. What a resume offers must not name another one.
            self.live.wires.renew_sockets();
        }
    }

    /// The server knows us and data gets through.
    pub fn is_wired(&self) -> bool {
        matches!(self.step, Step::Wiring { .. }) && self.live.wires.is_open()
    }

    pub fn hold(&mut self, events: Vec<Event>) {
        self.held.extend(events);
    }
}

impl Core {
    /// The link is gone, or the server asked for a new one. `must_rejoin`: it does not know us any more.
    pub(super) fn begin_reconnect(&mut self, now: Instant, must_rejoin: bool) {
        let State::Connected(mut live) = std::mem::replace(&mut self.state, State::Over) else { return };
        live.begin_to_doubt();
        self.push(Output::Cut);
        self.say([Event::ReconnectionStarted]);
        let must_rejoin = must_rejoin || live.is_broken();
        self.state = State::Reconnecting(Reconnecting {
            live,
            since: now,
            tries: 0,
            must_rejoin,
            step: Step::Waiting { until: now },
            last: None,
            held: Vec::new(),
            queue: Queue::default(),
            moderations: Held::default(),
        });
        self.try_now(now);
    }

    fn try_now(&mut self, now: Instant) {
        let mut query = self.query();
        let State::Reconnecting(reconnecting) = &mut self.state else { return };
        let own = &reconnecting.live.own;
        if reconnecting.must_rejoin || now >= reconnecting.since + RESUME_PERIOD {
            query.keep_sid = Some(own.id.clone());
            query.keep_created_ms = Some(own.created_ms);
        } else {
            query.resume_sid = Some(own.id.clone());
            query.received = Some(reconnecting.live.delivery.received());
        }
        reconnecting.tries += 1;
        reconnecting.step = Step::Dialling { deadline: now + JOIN_TIMEOUT };
        let address = match query.resume_sid {
            Some(_) => self.elsewhere.current(),
            None => self.elsewhere.for_join(),
        };
        self.dial(query, address);
    }

    /// One try did not succeed; the next one waits a little longer.
    pub(super) fn try_failed(&mut self, now: Instant, fault: Option<Fault>) {
        let Self { state: State::Reconnecting(reconnecting), refreshed, .. } = self else { return };
        // A refusal that time cannot heal; a session that cannot be found it can, once the server behind a gateway is
        // back. Before the server has been asked for a new join, it may only mean that it has forgotten this participant.
        let is_refusal =
            |fault: &Fault| matches!(fault.reason, Reason::Authorization | Reason::BlockedCountry);
        let mut rejected = fault.as_ref().is_some_and(is_refusal);
        if rejected && refreshed.take().is_some() {
            // It has expired, as after a long sleep. The program's own may be good still.
            rejected = false;
        }
        if rejected && reconnecting.must_rejoin {
            return self.give_up(now, fault);
        }
        if rejected {
            reconnecting.must_rejoin = true;
        }
        reconnecting.last = fault.or(reconnecting.last.take());
        if now >= reconnecting.since + RECONNECT_PERIOD {
            return self.give_up(now, None);
        }
        let wait = WAIT_FIRST.saturating_mul(1 << reconnecting.tries.saturating_sub(1).min(8)).min(WAIT_MAX);
        reconnecting.step = Step::Waiting { until: now + self.random.jitter(wait) };
    }

    fn give_up(&mut self, now: Instant, fault: Option<Fault>) {
        let State::Reconnecting(reconnecting) = &mut self.state else { return };
        let text = match fault.or(reconnecting.last.take()) {
            Some(fault) => {
                format!("the connection to the server was lost and could not be restored: {}", fault.text)
            }
            None => "the connection to the server was lost and could not be restored".into(),
        };
        self.end(now, Ending::Lost(Fault::new(Reason::Dropped, text)));
    }

    pub(super) fn reconnect_timeout(&mut self, now: Instant) {
        let State::Reconnecting(reconnecting) = &mut self.state else { return };
        if now >= reconnecting.since + RECONNECT_PERIOD {
            return self.give_up(now, None);
        }
        match reconnecting.step {
            Step::Waiting { until } if now >= until => self.try_now(now),
            Step::Dialling { deadline } | Step::Asking { deadline } | Step::Wiring { deadline }
                if now >= deadline =>
            {
                // Peer connections that find no path in this time find none in the next try either.
                reconnecting.must_rejoin |= matches!(reconnecting.step, Step::Wiring { .. });
                self.push(Output::Cut);
                self.try_failed(now, Some(Fault::new(Reason::TimedOut, "the server did not answer in time")));
            }
            _ => {}
        }
    }

    /// The server forgot this participant, or wants it to begin anew: the next try is a new join, without a wait.
    pub(super) fn must_rejoin(&mut self, now: Instant) {
        let State::Reconnecting(reconnecting) = &mut self.state else { return };
        let first = !reconnecting.must_rejoin;
        reconnecting.must_rejoin = true;
        self.push(Output::Cut);
        if first {
            self.try_now(now);
        } else {
            self.try_failed(now, None);
        }
    }

    /// The peer connections will not come back: a resume would be of no use.
    pub(super) fn peers_failed(&mut self, now: Instant) {
        let State::Reconnecting(reconnecting) = &mut self.state else { return };
        match reconnecting.step {
            Step::Wiring { .. } => self.must_rejoin(now),
            _ => reconnecting.must_rejoin = true,
        }
    }

    /// The server still knows us, and has what we sent up to a number.
    pub(super) fn resumed(&mut self, now: Instant, response: &ReconnectResponse) {
        let ways = Ways::again(&self.config, response);
        let State::Reconnecting(reconnecting) = &mut self.state else { return };
        let Step::Asking { .. } = reconnecting.step else { return };
        reconnecting.step = Step::Wiring { deadline: now + JOIN_TIMEOUT };
        reconnecting.live.heard(now);
        reconnecting.live.delivery.arrived(response.last_message_seq);
        // The peer connections may have failed while the server was asked, or have ways that it does not want any more.
        if reconnecting.must_rejoin || !reconnecting.live.wires.renew_ways(now, ways) {
            return self.must_rejoin(now);
        }
        reconnecting.live.expect_full_roster();
        self.give_up_unnamed(now);
        let State::Reconnecting(reconnecting) = &mut self.state else { return };
        if let Some(sync) = reconnecting.live.wires.sync_state() {
            let published = self.publications.published();
            let sync = SyncState { publish_tracks: published, ..sync };
            self.push(Output::Send(FromClient::Message(signal_request::Message::SyncState(sync)).encode()));
        }
        if let Some(live) = self.live_mut() {
            live.wires.restart(now);
        }
    }

    /// The server does not, and let us in as somebody new.
    pub(super) fn rejoined(&mut self, now: Instant, join: JoinResponse, inline: bool) {
        let before = self.live().map(|live| &live.roster);
        let fresh = Live::new(now, join, inline, &self.config, before);
        let State::Reconnecting(reconnecting) = &mut self.state else { return };
        let Step::Asking { .. } = reconnecting.step else { return };
        let Some(fresh) = fresh else {
            self.push(Output::Cut);
            return self.try_failed(now, None);
        };
        reconnecting.step = Step::Wiring { deadline: now + JOIN_TIMEOUT };
        let mut old = std::mem::replace(&mut *reconnecting.live, fresh);
        let sent = old.wires.sent();
        let farewells = old.wires.close(now);
        let events = reconnecting.live.succeed(now, old);
        reconnecting.hold(events);
        if !inline {
            reconnecting.live.wires.want_sockets();
        }
        for farewell in farewells {
            self.wires_output(now, farewell);
        }
        self.publications.forget_server(&sent);
        let events = self.subscriptions.forget_server();
        self.say_media(events);
    }

    /// Data gets through again.
    pub(super) fn reconnected(&mut self, now: Instant) {
        let State::Reconnecting(reconnecting) = std::mem::replace(&mut self.state, State::Over) else {
            return;
        };
        self.elsewhere.arrived();
        let live = reconnecting.live;
        self.say([Event::Reconnected { connection: live.own.clone(), capabilities: live.capabilities }]);
        self.say(reconnecting.held);
        self.outputs.extend(live.delivery.again().map(Output::Send));
        self.state = State::Connected(live);
        for signal in reconnecting.queue.drain() {
            self.transmit_signal(now, signal);
        }
        self.moderate_held(now, reconnecting.moderations);
        self.publications.wait_anew(now);
        self.subscriptions.wait_anew(now);
        self.say_again(now);
        self.publish_waiting(now);
        self.publications_settled(now);
        self.resubscribe();
        self.compare_tracks();
    }
}
