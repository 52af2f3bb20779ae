//! The TURN servers of a session: which of them are looked for, where the ways to them begin, and what is done when a
//! relay is lost.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::{Way, Wires, WiresOutput};
use crate::rtc::RelayPath;
use crate::session::Addresses;
use crate::session::ice::{Relays, TurnServer, Ways};

/// After which pauses a server is asked again that has taken a relay back. One that restarts is there by then; one that is
/// not is asked again when the session is resumed.
const PAUSES: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(4), Duration::from_secs(16)];

/// A relay that has lasted for as long was a good one: what comes after it has all of the pauses again.
const LASTING: Duration = Duration::from_secs(60);

const BOTH: [Way; 2] = [Way::Subscriber, Way::Publisher];

#[derive(Default)]
pub(super) struct Turn {
    known: Vec<Known>,
    /// What has no answer yet.
    searches: Vec<Search>,
    /// What is to be looked for again, and when.
    again: Vec<(Instant, Search)>,
}

/// A way to a server.
struct Known {
    way: Way,
    path: RelayPath,
    server: TurnServer,
    since: Instant,
    /// How often a relay of this server was lost before, one soon after the other.
    losses: usize,
}

struct Search {
    server: TurnServer,
    ways: Vec<Way>,
    losses: usize,
}

impl Turn {
    /// Where the ways of a peer connection begin and end.
    pub fn paths(&self, way: Way) -> Vec<RelayPath> {
        self.known.iter().filter(|known| known.way == way).map(|known| known.path.clone()).collect()
    }

    pub fn begins(&self, way: Way, base: SocketAddr) -> bool {
        self.known.iter().any(|known| known.way == way && known.path.base == base)
    }

    /// There may be more ways soon.
    pub fn is_searching(&self) -> bool {
        !self.searches.is_empty()
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        self.again.iter().map(|(at, _)| *at).min()
    }

    /// Later, unless it was tried often enough.
    fn search_later(&mut self, now: Instant, search: Search) {
        if let Some(pause) = PAUSES.get(search.losses) {
            let losses = search.losses + 1;
            self.again.push((now + *pause, Search { losses, ..search }));
        }
    }
}

impl Wires {
    /// `alone`: there are no other sockets.
    pub(super) fn find_relays(&mut self, servers: Vec<TurnServer>, alone: bool) {
        let search = |server: &TurnServer| Search { server: server.clone(), ways: BOTH.to_vec(), losses: 0 };
        self.turn.searches = servers.iter().map(search).collect();
        self.outputs.push_back(WiresOutput::FindRelays { servers, ways: BOTH.to_vec(), alone });
    }

    /// One of the servers was looked for.
    pub fn relays_found(&mut self, now: Instant, server: TurnServer, relays: Relays) {
        let searches = &mut self.turn.searches;
        let Some(index) = searches.iter().position(|search| search.server.is_at(&server)) else { return };
        let Search { ways, losses, .. } = searches.remove(index);
        for way in ways {
            let paths = relays.of(way);
            for path in paths {
                let (path, server) = (path.clone(), server.clone());
                self.turn.known.push(Known { way, path, server, since: now, losses });
            }
            if paths.is_empty() && losses > 0 {
                let search = Search { server: server.clone(), ways: vec![way], losses };
                self.turn.search_later(now, search);
            }
            if let Some(side) = self.side_mut(way) {
                side.peer.add_relays(now, paths);
            }
        }
        self.tell_of_searches(now);
        let is_enough = !self.turn.known.is_empty() || !self.turn.is_searching();
        if self.ways.is_relayed_only && self.local.is_none() && is_enough {
            // There is nothing else that could be opened.
            return self.sockets_opened(now, Addresses::default());
        }
        self.drive(now);
    }

    /// A server gives no relay to the socket at `base`, or none any more. `was_given`: there was one.
    pub fn relay_over(&mut self, now: Instant, way: Way, base: SocketAddr, was_given: bool) {
        let known = self.turn.known.iter().position(|known| known.way == way && known.path.base == base);
        let Some(known) = known.map(|index| self.turn.known.swap_remove(index)) else { return };
        self.outputs.push_back(WiresOutput::CloseStream(base));
        if was_given || known.losses > 0 {
            let is_lasting = now.saturating_duration_since(known.since) >= LASTING;
            let losses = if is_lasting { 0 } else { known.losses };
            self.turn.search_later(now, Search { server: known.server, ways: vec![way], losses });
        }
    }

    /// A way has ended of which no peer connection makes use yet.
    pub(super) fn unused_relay_lost(&mut self, now: Instant, base: SocketAddr) {
        for way in BOTH {
            if self.peer(way).is_none() {
                self.relay_over(now, way, base, true);
            }
        }
    }

    pub(super) fn relays_timeout(&mut self, now: Instant) {
        let due = |entry: &mut (Instant, Search)| entry.0 <= now;
        let due: Vec<Search> = self.turn.again.extract_if(.., due).map(|(_, search)| search).collect();
        for search in due {
            self.search(search);
        }
        self.tell_of_searches(now);
    }

    /// Whether more relays may come.
    fn tell_of_searches(&mut self, now: Instant) {
        let is_searching = self.turn.is_searching();
        for side in [&mut self.subscriber, &mut self.publisher].into_iter().flatten() {
            side.peer.await_relays(now, is_searching);
        }
    }

    fn search(&mut self, search: Search) {
        let (servers, ways) = (vec![search.server.clone()], search.ways.clone());
        self.turn.searches.push(search);
        self.outputs.push_back(WiresOutput::FindRelays { servers, ways, alone: false });
    }

    /// The server knows this client still, and says again by which ways media may go. Servers to which there is no way are
    /// looked for once more. False when the peer connections cannot go on with that.
    pub fn renew_ways(&mut self, now: Instant, ways: Ways) -> bool {
        if ways.is_relayed_only && !self.ways.is_relayed_only && self.has_asked_for_sockets {
            return false;
        }
        if !ways.servers.is_empty() {
            self.ways.servers = ways.servers;
        }
        if !self.has_asked_for_sockets {
            return true;
        }
        self.turn.again.clear();
        for server in self.ways.servers.clone() {
            let is_looked_for = self.turn.searches.iter().any(|search| search.server.is_at(&server));
            let has_way = |way: &Way| {
                self.turn.known.iter().any(|known| known.way == *way && known.server.is_at(&server))
            };
            let ways: Vec<Way> = BOTH.into_iter().filter(|way| !has_way(way)).collect();
            if !is_looked_for && !ways.is_empty() {
                self.search(Search { server, ways, losses: 0 });
            }
        }
        self.tell_of_searches(now);
        true
    }
}
