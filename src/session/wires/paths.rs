//! Where the peer connections of a session begin: its own sockets, and those to TURN servers.

use std::net::SocketAddr;
use std::time::Instant;

use super::{Side, Way, Wires, WiresOutput};
use crate::rtc::{self, Datagram, Peer, RelayPath};
use crate::session::Addresses;
use crate::session::ice::{Relays, Ways};
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
        let alone = self.ways.is_relayed_only;
        if !alone {
            self.outputs.push_back(WiresOutput::OpenSockets);
        }
        let servers = std::mem::take(&mut self.ways.servers);
        if alone || !servers.is_empty() {
            self.outputs.push_back(WiresOutput::FindRelays { servers, alone });
        }
    }

    pub fn sockets_opened(&mut self, now: Instant, addresses: Addresses) {
        self.local = Some(addresses);
        if let Some(offer) = self.early_offer.take() {
            self.accept_offer(now, offer);
        }
        self.drive(now);
    }

    pub fn relays_found(&mut self, now: Instant, relays: Relays) {
        self.relays = relays;
        if self.ways.is_relayed_only {
            // There is nothing else that could be opened.
            return self.sockets_opened(now, Addresses::default());
        }
        for (side, paths) in
            [(&mut self.subscriber, &self.relays.subscriber), (&mut self.publisher, &self.relays.publisher)]
        {
            if let Some(side) = side {
                side.peer.add_relays(now, paths);
            }
        }
        self.drive(now);
    }

    fn side_mut(&mut self, way: Way) -> Option<&mut Side> {
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
        self.drive(now);
    }

    pub fn handle_datagram(&mut self, now: Instant, datagram: Datagram) {
        let Some(local) = &self.local else { return };
        let begins = |addresses: &[SocketAddr], paths: &[RelayPath]| {
            addresses.contains(&datagram.local) || paths.iter().any(|path| path.base == datagram.local)
        };
        let has_stream =
            |side: &Option<Side>| side.as_ref().is_some_and(|side| side.peer.has_stream_at(datagram.local));
        let side = if begins(&local.publisher, &self.relays.publisher) || has_stream(&self.publisher) {
            &mut self.publisher
        } else if begins(&local.subscriber, &self.relays.subscriber) || has_stream(&self.subscriber) {
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
pub(super) fn reached_by(now: Instant, ways: &Ways, local: &[SocketAddr], relays: &[RelayPath]) -> Peer {
    if ways.is_relayed_only {
        return Peer::relayed(now, relays);
    }
    let mut peer = Peer::new(now, local).opens_streams();
    peer.add_relays(now, relays);
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
