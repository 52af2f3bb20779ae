//! Two peers and the network between them, on simulated time.
//!
//! The seed decides what is lost and how long the rest takes; the same seed gives the same network. ICE credentials and
//! keys come from str0m's own generator, so two runs differ in their bytes and agree in what is tested.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::{Channel, Datagram, Output, Peer};

pub(super) const ALICE: usize = 0;
pub(super) const BOB: usize = 1;

/// One way, so a round trip takes 50 ms: a network across a continent.
pub(super) const DELAY: Duration = Duration::from_millis(25);

/// How long a datagram may wait in front of a bottleneck: what a home router has.
const QUEUE_MAX: Duration = Duration::from_millis(300);

pub(super) struct Network {
    pub now: Instant,
    pub peers: [Peer; 2],
    /// What each peer has said, datagrams left out.
    pub said: [Vec<Output>; 2],
    /// Datagrams lost per hundred.
    pub loss_percent: u64,
    /// A peer whose datagrams go nowhere and to whom none come.
    pub cut: [bool; 2],
    pub is_udp_blocked: bool,
    /// The streams that Alice has opened to Bob: where each begins and ends.
    pub streams: Vec<(SocketAddr, SocketAddr)>,
    /// Bits per second that the way out of each peer carries. What comes faster queues, and is lost when the queue is
    /// full.
    pub capacity_bps: [Option<u64>; 2],
    /// When the last datagram in the queue of each peer will have left it.
    free: [Instant; 2],
    /// How often something was due: an arrival or a deadline.
    pub steps: usize,
    start: Instant,
    random: u64,
    sent: u64,
    under_way: BTreeMap<(Instant, u64), (usize, Datagram)>,
}

fn addresses(peer: usize) -> [SocketAddr; 2] {
    let host = peer + 1;
    [format!("192.0.2.{host}:500{host}"), format!("[2001:db8::{host}]:500{host}")]
        .map(|text| text.parse().expect("an address"))
}

impl Network {
    pub fn new(seed: u64) -> Self {
        println!("seed {seed}");
        let now = Instant::now();
        Self {
            now,
            peers: [Peer::new(now, &addresses(ALICE)), Peer::new(now, &addresses(BOB))],
            said: [Vec::new(), Vec::new()],
            loss_percent: 0,
            cut: [false; 2],
            is_udp_blocked: false,
            streams: Vec::new(),
            capacity_bps: [None; 2],
            free: [now; 2],
            steps: 0,
            start: now,
            random: seed,
            sent: 0,
            under_way: BTreeMap::new(),
        }
    }

    /// Alice has offered and Bob has answered, both channels are open.
    pub fn connected(seed: u64) -> Self {
        let mut network = Self::new(seed);
        network.negotiate();
        network.run(Duration::from_secs(5), Self::all_open);
        network
    }

    pub fn negotiate(&mut self) {
        let offer = self.peers[ALICE].offer(self.now).expect("an offer");
        self.exchange(&offer, ALICE);
    }

    /// The other one answers `offer`, which `offerer` made.
    pub fn exchange(&mut self, offer: &str, offerer: usize) {
        let answer = self.peers[1 - offerer].accept_offer(self.now, offer).expect("an answer");
        self.peers[offerer].accept_answer(self.now, &answer).expect("an agreement");
    }

    pub fn all_open(&self) -> bool {
        let opened =
            |said: &[Output]| Channel::ALL.into_iter().all(|channel| said.contains(&Output::Opened(channel)));
        self.said.iter().all(|said| opened(said))
    }

    pub fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    pub fn count(&self, peer: usize, output: &Output) -> usize {
        self.said[peer].iter().filter(|said| *said == output).count()
    }

    /// The messages that have come to a peer on a channel.
    pub fn messages(&self, peer: usize, channel: Channel) -> Vec<&[u8]> {
        let messages = self.said[peer].iter().filter_map(|said| match said {
            Output::Data(on, bytes) if *on == channel => Some(bytes.as_slice()),
            _ => None,
        });
        messages.collect()
    }

    /// Lets time pass until `done`, at most `limit`.
    pub fn run(&mut self, limit: Duration, done: impl Fn(&Self) -> bool) {
        let end = self.now + limit;
        self.settle();
        while !done(self) {
            assert!(self.step(end), "not done after {limit:?}; said: {:?}", self.said);
        }
    }

    /// Lets this much time pass.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        self.settle();
        while self.step(end) {}
        self.now = end;
    }

    /// To the next arrival or deadline, if it is not after `end`.
    fn step(&mut self, end: Instant) -> bool {
        let arrival = self.under_way.keys().next().map(|(at, _)| *at);
        let deadlines = self.peers.iter().map(Peer::poll_timeout);
        let Some(next) = deadlines.chain([arrival]).flatten().min().filter(|next| *next <= end) else {
            return false;
        };
        self.steps += 1;
        // A deadline in the past is one that is due now.
        self.now = self.now.max(next);
        while let Some(entry) = self.under_way.first_entry().filter(|entry| entry.key().0 <= self.now) {
            let (peer, datagram) = entry.remove();
            self.deliver(peer, datagram);
        }
        for peer in [ALICE, BOB] {
            if self.peers[peer].poll_timeout().is_some_and(|deadline| deadline <= self.now) {
                self.peers[peer].handle_timeout(self.now);
            }
        }
        self.settle();
        true
    }

    fn deliver(&mut self, peer: usize, datagram: Datagram) {
        if !self.cut[peer] {
            self.peers[peer].handle_datagram(self.now, datagram);
            self.settle();
        }
    }

    fn settle(&mut self) {
        for peer in [ALICE, BOB] {
            while let Some(output) = self.peers[peer].poll() {
                match output {
                    Output::Transmit(datagram) => self.send(peer, datagram),
                    Output::CloseStream(local) => self.streams.retain(|(begin, _)| *begin != local),
                    said => self.said[peer].push(said),
                }
            }
        }
    }

    fn send(&mut self, from: usize, datagram: Datagram) {
        let lost = self.random() % 100 < self.loss_percent;
        let jitter = Duration::from_micros(self.random() % 3000);
        let to = 1 - from;
        let ends = [(datagram.local, datagram.remote), (datagram.remote, datagram.local)];
        let is_in_stream = self.streams.contains(&ends[from]);
        let is_carried = match is_in_stream {
            true => true,
            false => !lost && !self.is_udp_blocked && addresses(to).contains(&datagram.remote),
        };
        if self.cut[from] || !is_carried {
            return;
        }
        let Some(left) = self.queue(from, datagram.bytes.len()) else { return };
        let mirrored = Datagram { local: datagram.remote, remote: datagram.local, bytes: datagram.bytes };
        self.sent += 1;
        let jitter = if self.loss_percent == 0 { Duration::ZERO } else { jitter };
        self.under_way.insert((left + DELAY + jitter, self.sent), (to, mirrored));
    }

    /// When a datagram of this size has left its peer, if the queue takes it.
    fn queue(&mut self, from: usize, size: usize) -> Option<Instant> {
        let Some(capacity) = self.capacity_bps[from] else { return Some(self.now) };
        let start = self.free[from].max(self.now);
        if start - self.now > QUEUE_MAX {
            return None;
        }
        let time = Duration::from_secs_f64((size * 8) as f64 / capacity as f64);
        self.free[from] = start + time;
        Some(self.free[from])
    }

    /// SplitMix64: good enough to lose datagrams by, and no dependency.
    fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
