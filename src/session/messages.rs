//! What the server says, and where it goes.

use std::time::Instant;

use super::core::{Core, JoinStep, Joining, Output, State};
use super::event::Ending;
use super::leave::Dismissal;
use super::{Event, Fault, Reason};
use crate::signal::frame::{FromClient, FromServer};
use crate::signal::proto::{DisconnectReason, LeaveRequest, signal_request, signal_response::Message};

impl Core {
    pub(super) fn message(&mut self, now: Instant, frame: FromServer) {
        if let Some(live) = self.live_mut() {
            live.heard(now);
        }
        match frame {
            FromServer::Welcome(join) => self.admitted(now, join, true),
            FromServer::Message(Message::Join(join)) => self.admitted(now, join, false),
            FromServer::Data(packet) => {
                if let Some(live) = self.live_mut() {
                    live.delivery.count(&packet);
                }
                self.packet(now, &packet);
            }
            FromServer::LeftOut(count) => {
                log::debug!("{count} data packets were left out: this client read too slowly");
                if let Some(live) = self.live_mut() {
                    live.delivery.leave_out(count);
                }
            }
            FromServer::Message(Message::Reconnect(response)) => self.resumed(now, &response),
            FromServer::Message(Message::PongResp(pong)) => {
                if let Some(live) = self.live_mut() {
                    live.ponged(&pong);
                }
            }
            FromServer::Message(Message::Leave(leave)) => self.dismissed(now, &leave),
            FromServer::Message(Message::RefreshToken(token)) if !token.is_empty() => {
                self.refreshed = Some(token);
            }
            FromServer::Message(Message::Update(update)) => {
                let events = self.live_mut().map(|live| live.update(now, &update.participants));
                let events = events.unwrap_or_default();
                self.mute_latecomers(now, &events);
                self.streams_changed(events);
                self.compare_tracks();
            }
            FromServer::Message(Message::RoomUpdate(update)) => {
                update.room.iter().for_each(|room| self.room_changed(room));
            }
            FromServer::Message(Message::RoomMoved(moved)) => self.moved(now, moved),
            FromServer::Message(Message::Offer(offer)) => self.with_wires(|wires| wires.offered(now, offer)),
            FromServer::Message(Message::Answer(answer)) => {
                self.with_wires(|wires| wires.answered(now, &answer))
            }
            FromServer::Message(Message::Trickle(trickle)) => {
                self.with_wires(|wires| wires.trickled(now, &trickle))
            }
            FromServer::Message(Message::TrackPublished(response)) => self.track_published(now, response),
            FromServer::Message(Message::TrackUnpublished(response)) => {
                self.track_unpublished(now, &response.track_sid)
            }
            FromServer::Message(Message::Mute(mute)) => self.mute_requested(&mute),
            FromServer::Message(Message::RequestResponse(response)) => self.refused(now, &response),
            FromServer::Message(Message::SubscribedQualityUpdate(update)) => {
                self.qualities_subscribed(&update)
            }
            FromServer::Message(Message::SubscriptionResponse(response)) => {
                self.subscription_refused(&response)
            }
            FromServer::Message(Message::SubscriptionPermissionUpdate(update)) => {
                self.permission_changed(now, &update)
            }
            FromServer::Message(Message::StreamStateUpdate(update)) => self.stream_states_changed(&update),
            FromServer::Message(Message::ConnectionQuality(update)) => self.qualities_changed(&update),
            // Answers to pings of the old kind have done their work by arriving; the rest says nothing that a program hears.
            FromServer::Message(_) => {}
        }
    }

    fn admitted(&mut self, now: Instant, join: crate::signal::proto::JoinResponse, inline: bool) {
        match &self.state {
            State::Joining(Joining { step: JoinStep::Asking, .. }) => self.joined(now, join, inline),
            State::Reconnecting(_) => self.rejoined(now, join, inline),
            _ => {}
        }
    }

    fn with_wires(&mut self, act: impl FnOnce(&mut super::wires::Wires)) {
        if let Some(live) = self.live_mut() {
            act(&mut live.wires);
        }
    }

    /// Tells the program at once while it is connected, and after `Reconnected` while it is not.
    pub(super) fn say_or_hold(&mut self, events: Vec<Event>) {
        match &mut self.state {
            State::Connected(_) => self.say(events),
            State::Reconnecting(reconnecting) => reconnecting.hold(events),
            // A join that is not complete: everything is told when it is.
            State::New | State::Joining(_) | State::Farewell(_) | State::Over => {}
        }
    }

    /// What concerns publishers and subscribers themselves is told at once, as long as there is a session.
    pub(super) fn say_media(&mut self, events: Vec<Event>) {
        if matches!(self.state, State::Connected(_) | State::Reconnecting(_)) {
            self.say(events);
        }
    }

    fn dismissed(&mut self, now: Instant, leave: &LeaveRequest) {
        let dismissal = self.dismissal(leave);
        match (&self.state, dismissal) {
            (State::Joining(_), Dismissal::End(Ending::Lost(fault))) => {
                self.end(now, Ending::Failed(refusal(leave, fault)));
            }
            (State::Joining(_), _) => {
                let fault = Fault::new(Reason::ConnectionFailed, "the server did not let this client in");
                self.end(now, Ending::Failed(refusal(leave, fault)));
            }
            (State::Connected(_), Dismissal::End(ending)) => self.end(now, ending),
            (State::Connected(_), Dismissal::Resume) => self.begin_reconnect(now, false),
            (State::Connected(_), Dismissal::Rejoin) => self.begin_reconnect(now, true),
            // Where a new join would bring back what was ended on purpose, it is not tried.
            (State::Reconnecting(_), Dismissal::End(ending)) if is_final(leave) => self.end(now, ending),
            (State::Reconnecting(_), Dismissal::Resume) => {
                self.push(Output::Cut);
                self.try_failed(now, None);
            }
            (State::Reconnecting(_), _) => self.must_rejoin(now),
            (State::New | State::Farewell(_) | State::Over, _) => {}
        }
    }

    pub(super) fn request(&mut self, message: signal_request::Message) {
        self.push(Output::Send(FromClient::Message(message).encode()));
    }
}

/// Whether somebody wanted this end: of this client, or of the whole session. All else a new join may heal.
fn is_final(leave: &LeaveRequest) -> bool {
    matches!(
        leave.reason(),
        DisconnectReason::ParticipantRemoved
            | DisconnectReason::DuplicateIdentity
            | DisconnectReason::RoomDeleted
            | DisconnectReason::RoomClosed
    )
}

/// A farewell in place of a welcome.
fn refusal(leave: &LeaveRequest, fault: Fault) -> Fault {
    match leave.reason() {
        DisconnectReason::RoomDeleted | DisconnectReason::RoomClosed => {
            Fault { reason: Reason::InvalidSession, ..fault }
        }
        DisconnectReason::ServerShutdown => Fault { reason: Reason::NoMessagingServer, ..fault },
        DisconnectReason::DuplicateIdentity => Fault { reason: Reason::Dropped, ..fault },
        _ => Fault { reason: Reason::ConnectionFailed, ..fault },
    }
}
