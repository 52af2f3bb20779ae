//! Streams that clients open for media where no UDP gets through to the server (RFC 6544): whose each of them is, and which
//! may stay.
//!
//! Anybody who reaches the port can open one, so it is a stranger's until a good check of a path has come through it, as only
//! somebody in a room can make it. LiveKit's clients bind a stream to the connection that it was opened for, and so does this
//! server.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::core::{Output, StreamId};
use super::shared::{Seat, Shared};
use super::timers::Timer;
use crate::rtc::Datagram;

/// How long a stream may be a stranger's. A client checks it as soon as it is open; the rest is for slow networks.
const STRANGER_LIMIT: Duration = Duration::from_secs(10);

/// How often that is looked at, and whether those whose streams the others are, are still there.
const SWEEP_INTERVAL: Duration = Duration::from_secs(5);

/// How many streams may be strangers' at a time; the oldest makes room. Clients are strangers for a round trip, so this is
/// thousands of them per second.
pub const STRANGERS_MAX: usize = 256;

/// How much a stranger may say. A client says the same again after 250 ms and later, until it is understood.
pub const STRANGER_DATAGRAMS_MAX: u32 = 64;

/// How many streams a participant may have: both of its connections one to each of a few addresses, and those of before an
/// ICE restart that are not closed yet. The oldest makes room.
pub const OWN_MAX: usize = 16;

/// How a check begins: a request of STUN for a binding (RFC 8489 section 5).
const CHECK: [u8; 2] = [0, 1];

#[derive(Debug)]
struct Stream {
    local: SocketAddr,
    remote: SocketAddr,
    opened: Instant,
    owner: Owner,
}

#[derive(Debug)]
enum Owner {
    Stranger { datagrams: u32 },
    Known(Seat),
}

/// What is to become of a datagram that came through a stream.
#[derive(Debug, PartialEq, Eq)]
pub enum Finding {
    /// It is for them, if they accept it.
    Owner(Seat),
    /// It is to be found out whose the stream is.
    Check,
    Nothing,
}

#[derive(Debug, Default)]
pub struct Streams {
    open: BTreeMap<StreamId, Stream>,
    /// By local and remote address.
    by_ends: HashMap<(SocketAddr, SocketAddr), StreamId>,
    /// In the order in which they were opened.
    strangers: BTreeSet<StreamId>,
    wake: Option<Instant>,
}

impl Streams {
    #[cfg(test)]
    pub fn len(&self) -> usize {
        assert_eq!(self.open.len(), self.by_ends.len());
        self.open.len()
    }

    fn remove(&mut self, stream: StreamId) -> bool {
        let Some(Stream { local, remote, .. }) = self.open.remove(&stream) else { return false };
        self.strangers.remove(&stream);
        self.by_ends.remove(&(local, remote));
        true
    }

    fn of(&mut self, datagram: &Datagram) -> Option<(StreamId, &mut Stream)> {
        let id = *self.by_ends.get(&(datagram.local, datagram.remote))?;
        Some((id, self.open.get_mut(&id)?))
    }
}

pub fn opened(shared: &mut Shared, now: Instant, id: StreamId, local: SocketAddr, remote: SocketAddr) {
    // Two ends have one stream; where the end of the one before has not been told yet it has ended all the same.
    if let Some(before) = shared.streams.by_ends.get(&(local, remote)).copied() {
        close(shared, before);
    }
    if shared.streams.strangers.len() >= STRANGERS_MAX
        && let Some(oldest) = shared.streams.strangers.first().copied()
    {
        shared.counters.streams_refused += 1;
        close(shared, oldest);
    }
    let streams = &mut shared.streams;
    let owner = Owner::Stranger { datagrams: 0 };
    streams.open.insert(id, Stream { local, remote, opened: now, owner });
    streams.by_ends.insert((local, remote), id);
    streams.strangers.insert(id);
    if streams.wake.is_none() {
        shared.timers.put(&mut streams.wake, Some(now + SWEEP_INTERVAL), Timer::Streams);
    }
}

/// It has ended by itself.
pub fn closed(shared: &mut Shared, id: StreamId) {
    shared.streams.remove(id);
}

fn close(shared: &mut Shared, id: StreamId) {
    if shared.streams.remove(id) {
        shared.out.push_back(Output::CloseStream(id));
    }
}

pub fn find(shared: &mut Shared, datagram: &Datagram) -> Finding {
    let Some((id, stream)) = shared.streams.of(datagram) else { return Finding::Nothing };
    match &mut stream.owner {
        Owner::Known(seat) => Finding::Owner(seat.clone()),
        Owner::Stranger { datagrams } if *datagrams >= STRANGER_DATAGRAMS_MAX => {
            shared.counters.streams_refused += 1;
            close(shared, id);
            Finding::Nothing
        }
        Owner::Stranger { datagrams } => {
            *datagrams += 1;
            if datagram.bytes.starts_with(&CHECK) { Finding::Check } else { Finding::Nothing }
        }
    }
}

/// The check was good.
pub fn bind(shared: &mut Shared, datagram: &Datagram, seat: &Seat) {
    let Some((id, stream)) = shared.streams.of(datagram) else { return };
    stream.owner = Owner::Known(seat.clone());
    shared.streams.strangers.remove(&id);
    let own = shared.streams.open.iter().filter(|(_, stream)| stream.is_of(seat)).map(|(id, _)| *id);
    let own: Vec<StreamId> = own.collect();
    for oldest in own.iter().take(own.len().saturating_sub(OWN_MAX)) {
        close(shared, *oldest);
    }
}

/// Closes what has been a stranger's for too long, and what belongs to somebody who is gone.
pub fn sweep(shared: &mut Shared, now: Instant, is_there: impl Fn(&Seat) -> bool) {
    shared.streams.wake = None;
    let is_over = |stream: &Stream| match &stream.owner {
        Owner::Stranger { .. } => now.saturating_duration_since(stream.opened) >= STRANGER_LIMIT,
        Owner::Known(seat) => !is_there(seat),
    };
    let over = shared.streams.open.iter().filter(|(_, stream)| is_over(stream)).map(|(id, _)| *id);
    let over: Vec<StreamId> = over.collect();
    for id in over {
        close(shared, id);
    }
    let Shared { streams, timers, .. } = shared;
    if !streams.open.is_empty() {
        timers.put(&mut streams.wake, Some(now + SWEEP_INTERVAL), Timer::Streams);
    }
}

impl Stream {
    fn is_of(&self, seat: &Seat) -> bool {
        matches!(&self.owner, Owner::Known(owner) if owner == seat)
    }
}
