//! Where the peer connections of a session begin: its own sockets, and those to TURN servers.

use std::net::SocketAddr;
use std::time::Instant;

use super::relays::Turn;
use super::{Side, Way, Wires, WiresOutput};
use crate::rtc::{self, Datagram, Peer};
use crate::session::ice::Ways;
use crate::session::{Addresses, Reach};
use crate::signal::proto::{SignalTarget, TrickleRequest};

impl Wires {
    /// The peer connection of a way, once there is one.
    pub fn peer(&self, way: Way) -> Option<&Peer> {
        let side = match way {
            Way::Subscriber => &self.subscriber,
            Way::Publisher => &self.publisher,
        };
        side.as_ref().map(|side| &side.peer)
    }

    /// Asks for sockets, once.
    pub fn want_sockets(&mut self) {
        if std::mem::replace(&mut self.has_asked_for_sockets, true) {
            return;
        }
        let (alone, servers) = (self.ways.is_relayed_only, self.ways.servers.clone());
        if !alone {
            self.outputs.push_back(WiresOutput::OpenSockets(self.reach()));
        }
        match servers.is_empty() {
            false => self.find_relays(servers, alone),
            // There is no way at all, and nothing to wait for.
            true if alone => self.local = Some(Addresses::default()),
            true => {}
        }
    }

    /// The link is another one, and so may the network be.
    pub fn renew_sockets(&mut self) {
        if self.local.is_some() {
            self.outputs.push_back(WiresOutput::RenewSockets(self.reach()));
        }
    }

    fn reach(&self) -> Reach {
        match (self.ways.is_relayed_only, self.is_inline) {
            (true, _) => Reach::Relays,
            (false, true) => Reach::Ours,
            (false, false) => Reach::Others,
        }
    }

    pub fn sockets_opened(&mut self, now: Instant, addresses: Addresses) {
        let before = self.local.replace(addresses.clone()).unwrap_or_default();
        for (side, before, addresses) in [
            (&mut self.subscriber, &before.subscriber, &addresses.subscriber),
            (&mut self.publisher, &before.publisher, &addresses.publisher),
        ] {
            if let Some(side) = side {
                side.peer.readdress(now, before, addresses);
            }
        }
        if let Some(offer) = self.early_offer.take() {
            self.accept_offer(now, offer);
        }
        self.drive(now);
    }

    pub(super) fn side_mut(&mut self, way: Way) -> Option<&mut Side> {
        match way {
            Way::Subscriber => self.subscriber.as_mut(),
            Way::Publisher => self.publisher.as_mut(),
        }
    }

    pub fn stream_opened(&mut self, now: Instant, way: Way, remote: SocketAddr, local: SocketAddr) {
        match self.side_mut(way) {
            Some(side) => side.peer.stream_opened(now, remote, local),
            None => self.outputs.push_back(WiresOutput::CloseStream(local)),
        }
        self.drive(now);
    }

    pub fn stream_refused(&mut self, way: Way, remote: SocketAddr) {
        if let Some(side) = self.side_mut(way) {
            side.peer.stream_refused(remote);
        }
    }

    pub fn stream_lost(&mut self, now: Instant, local: SocketAddr) {
        for side in [&mut self.subscriber, &mut self.publisher].into_iter().flatten() {
            side.peer.stream_lost(now, local);
        }
        self.unused_relay_lost(now, local);
        self.drive(now);
    }

    pub fn handle_datagram(&mut self, now: Instant, datagram: Datagram) {
        let Some(local) = &self.local else { return };
        let begins = |addresses: &[SocketAddr], way| {
            addresses.contains(&datagram.local) || self.turn.begins(way, datagram.local)
        };
        let has_stream =
            |side: &Option<Side>| side.as_ref().is_some_and(|side| side.peer.has_stream_at(datagram.local));
        let side = if begins(&local.publisher, Way::Publisher) || has_stream(&self.publisher) {
            &mut self.publisher
        } else if begins(&local.subscriber, Way::Subscriber) || has_stream(&self.subscriber) {
            &mut self.subscriber
        } else {
            return;
        };
        if let Some(side) = side {
            side.peer.handle_datagram(now, datagram);
        }
        self.drive(now);
    }
}

/// A new peer connection.
pub(super) fn reached_by(now: Instant, ways: &Ways, local: &[SocketAddr], turn: &Turn, way: Way) -> Peer {
    let relays = turn.paths(way);
    if ways.is_relayed_only {
        let mut peer = Peer::relayed(now, &relays);
        peer.await_relays(now, turn.is_searching());
        return peer;
    }
    let mut peer = Peer::new(now, local).opens_streams();
    peer.add_relays(now, &relays);
    if ways.hides_local_network {
        peer.hide_local_network();
    }
    peer
}

/// Ends a peer connection. What comes back tells the other side.
pub(super) fn farewell(now: Instant, mut side: Side) -> Vec<WiresOutput> {
    let mut farewells = Vec::new();
    side.peer.close(now);
    while let Some(output) = side.peer.poll() {
        match output {
            rtc::Output::Transmit(datagram) => farewells.push(WiresOutput::Transmit(datagram)),
            rtc::Output::CloseStream(local) => farewells.push(WiresOutput::CloseStream(local)),
            _ => {}
        }
    }
    farewells
}

/// Tells the server of a candidate. All sections go one way together, so it stands with the first of them.
pub(super) fn trickle(way: Way, line: &str) -> TrickleRequest {
    let target = match way {
        Way::Subscriber => SignalTarget::Subscriber,
        Way::Publisher => SignalTarget::Publisher,
    };
    let candidate_init = rtc::candidate_json(line, "0", 0);
    TrickleRequest { candidate_init, target: target as i32, r#final: false }
}
