//! At which addresses a peer is reached: they come and go with the network of its machine.

use std::net::SocketAddr;
use std::time::Instant;

use str0m::Candidate;

use super::link::Link;
use super::{Output, Peer, candidate};

impl Peer {
    pub(super) fn add_local(&mut self, address: SocketAddr) {
        let candidate = match Candidate::host(address, "udp") {
            Ok(candidate) if candidate::reachable(address.ip()) => candidate,
            _ => return log::warn!("rtc: {address} cannot be a local address"),
        };
        self.add_candidate(candidate);
    }

    /// Reaches this side at these addresses instead of those before. It stands in the next description, with which ICE
    /// begins anew.
    pub fn readdress(&mut self, now: Instant, before: &[SocketAddr], local: &[SocketAddr]) {
        if self.state.link == Link::Over {
            return;
        }
        for address in before.iter().filter(|address| !local.contains(address)) {
            if let Ok(candidate) = Candidate::host(*address, "udp") {
                self.take_back(now, candidate);
            }
        }
        for address in local.iter().filter(|address| !before.contains(address)) {
            self.add_local(*address);
        }
        self.advance(now);
    }

    /// This side is not reached there any more.
    pub(super) fn take_back(&mut self, now: Instant, candidate: Candidate) {
        let (line, address) = (candidate.to_sdp_string(), candidate.addr());
        self.local.retain(|local| *local != line);
        self.drive(|rtc| rtc.direct_api().invalidate_candidate(&candidate));
        // There is nothing to wait for.
        if self.state.traffic.begins_at(address) && self.state.link.down(now) {
            self.state.outputs.push_back(Output::Disconnected);
        }
    }

    /// Its line, where it is news.
    pub(super) fn add_candidate(&mut self, candidate: Candidate) -> Option<String> {
        // Without the user name fragment, so that the line stays true after an ICE restart.
        let line = candidate.to_sdp_string();
        let is_new = self.drive(|rtc| rtc.add_local_candidate(candidate).is_some()) == Some(true);
        is_new.then(|| {
            self.local.push(line.clone());
            line
        })
    }
}
