//! A peer connection's relays: what str0m sends from a relayed address goes through them, and what comes through them
//! reaches str0m as if it had come to that address.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use str0m::Candidate;

use super::engine::Stopped;
use super::link::Link;
use super::relay::{Found, Relay, RelayPath};
use super::{Output, Peer, candidate};

impl Peer {
    /// Asks these servers for a relay. What comes of it is in the next description, or is [`Output::Candidate`].
    pub fn add_relays(&mut self, now: Instant, paths: &[RelayPath]) {
        if self.state.link == Link::Over {
            return;
        }
        self.relays.extend(paths.iter().map(|path| Relay::new(now, path)));
        self.take_relays(now);
    }

    pub fn has_relays(&self) -> bool {
        !self.relays.is_empty()
    }

    /// Whether more relays may come: as long as they may, a peer that needs one does not give up.
    pub fn await_relays(&mut self, now: Instant, is_so: bool) {
        self.awaits_relays = is_so;
        self.take_relays(now);
    }

    /// There is no way any more from this base to the server.
    pub fn relay_lost(&mut self, now: Instant, base: SocketAddr) {
        if let Some(relay) = self.relays.iter_mut().find(|relay| relay.base() == base) {
            relay.abandon();
            self.take_relays(now);
        }
    }

    /// Our descriptions do not name addresses of private networks. The paths that begin there are used all the same: the
    /// other side learns where they come out.
    pub fn hide_local_network(&mut self) {
        self.hides_local_network = true;
    }

    /// What the relays have to say.
    pub(super) fn take_relays(&mut self, now: Instant) {
        for index in 0..self.relays.len() {
            while let Some(found) = self.relays.get_mut(index).and_then(Relay::poll) {
                match found {
                    Found::Transmit(datagram) => self.state.outputs.push_back(Output::Transmit(datagram)),
                    Found::Received(datagram) => self.hear(now, datagram),
                    Found::Allocated(_) => self.relay_allocated(index),
                    Found::Over(relayed) => self.relay_over(now, index, relayed),
                }
            }
        }
        self.relays.retain(|relay| !relay.is_over());
        if self.is_relayed_only && !self.awaits_relays && self.relays.is_empty() {
            self.fail(Stopped("no TURN server gives a relay, and there may be no other way".into()));
        }
    }

    fn relay_allocated(&mut self, index: usize) {
        let Some(relay) = self.relays.get(index) else { return };
        let (base, Some(relayed)) = (relay.base(), relay.relayed()) else { return };
        let candidate = match Candidate::relayed(relayed, base, "udp") {
            Ok(candidate) if candidate::reachable(relayed.ip()) => candidate,
            _ => return log::warn!("rtc: {relayed} cannot be the address of a relay"),
        };
        let comes_with_description = !self.described && self.pending.is_none();
        if let Some(line) = self.add_candidate(candidate)
            && !comes_with_description
        {
            self.state.outputs.push_back(Output::Candidate(line));
        }
    }

    /// `relayed`: where others have reached us through it.
    fn relay_over(&mut self, now: Instant, index: usize, relayed: Option<SocketAddr>) {
        let Some(relay) = self.relays.get(index) else { return };
        let (base, server) = (relay.base(), relay.server());
        log::warn!("rtc: the TURN server {server} gives no relay, or takes it back");
        self.state.outputs.push_back(Output::RelayOver { base, was_given: relayed.is_some() });
        if let Some(Ok(candidate)) = relayed.map(|relayed| Candidate::relayed(relayed, base, "udp")) {
            self.take_back(now, candidate);
        }
    }

    pub(super) fn relays_timeout(&mut self, now: Instant) {
        for relay in &mut self.relays {
            if relay.poll_timeout().is_some_and(|at| now >= at) {
                relay.handle_timeout(now);
            }
        }
        if !self.relays.is_empty() {
            self.take_relays(now);
        }
    }

    /// The next output; a datagram from a relayed address as its relay wraps it.
    pub(super) fn poll_through_relays(&mut self) -> Option<Output> {
        loop {
            let datagram = match self.state.outputs.pop_front()? {
                Output::Transmit(datagram) => datagram,
                output => return Some(output),
            };
            let relayed = Some(datagram.local);
            let Some(relay) = self.relays.iter_mut().find(|relay| relay.relayed() == relayed) else {
                return Some(Output::Transmit(datagram));
            };
            let now = self.state.now;
            relay.send(now, datagram);
            self.take_relays(now);
        }
    }

    /// Sends what str0m has left behind, and gives the relays back.
    pub(super) fn close_relays(&mut self) {
        if self.relays.is_empty() {
            return;
        }
        let now = self.state.now;
        let mut outputs = std::mem::take(&mut self.state.outputs);
        for output in outputs.drain(..) {
            match output {
                Output::Transmit(datagram) => {
                    let relayed = Some(datagram.local);
                    match self.relays.iter_mut().find(|relay| relay.relayed() == relayed) {
                        Some(relay) => relay.send(now, datagram),
                        None => self.state.outputs.push_back(Output::Transmit(datagram)),
                    }
                }
                output => self.state.outputs.push_back(output),
            }
        }
        for mut relay in std::mem::take(&mut self.relays) {
            relay.close(now);
            while let Some(found) = relay.poll() {
                if let Found::Transmit(datagram) = found {
                    self.state.outputs.push_back(Output::Transmit(datagram));
                }
            }
        }
    }

    /// A description of ours without what is to be hidden.
    pub(super) fn without_hidden(&self, sdp: String) -> String {
        if !self.hides_local_network {
            return sdp;
        }
        let is_hidden = |line: &str| {
            let own = line.strip_prefix("a=candidate:").filter(|line| line.contains(" typ host"));
            let address = own.and_then(|line| line.split(' ').nth(4)?.parse().ok());
            address.is_some_and(is_local_network)
        };
        sdp.split_inclusive('\n').filter(|line| !is_hidden(line)).collect()
    }
}

/// RFC 1918 and RFC 4193. This machine alone is no network.
fn is_local_network(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_private() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}
