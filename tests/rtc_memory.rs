//! What one idle connected peer keeps in memory, and what connecting costs.
//!
//! An own program, because it counts every allocation. `cargo test --test rtc_memory -- --nocapture` prints the figures.

use std::alloc::{GlobalAlloc, Layout, System};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use opentok::rtc::{Channel, Datagram, Output, Peer};

/// A session that carries media or talks to a LiveKit server has two peers, and the goal for a session is 100 kB.
/// Nearly all of this is str0m's: the instance 10 kB, DTLS 10, SCTP 8, packet buffers 4, codec tables 4. What is ours, with what
/// is known of the network and kept for reports, is some hundred bytes.
const BYTES_PER_PEER_MAX: usize = 49_000;

/// Tables that are made once per process may grow while the test runs; a leak per peer would be far above this.
const BYTES_LEFT_MAX: usize = 100 * 2 * PAIRS;

const PAIRS: usize = 200;

struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything is handed to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(live, Relaxed);
        // SAFETY: see above.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: see above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Pair {
    peers: [Peer; 2],
    opened: usize,
}

impl Pair {
    fn new(now: Instant, number: usize) -> Self {
        let address = |host: usize| -> SocketAddr { ([192, 0, 2, host as u8], 1000 + number as u16).into() };
        let mut peers = [Peer::new(now, &[address(1)]), Peer::new(now, &[address(2)])];
        let offer = peers[0].offer(now).expect("an offer");
        let answer = peers[1].accept_offer(now, &offer).expect("an answer");
        peers[0].accept_answer(now, &answer).expect("an agreement");
        Self { peers, opened: 0 }
    }

    /// A network without delay.
    fn exchange(&mut self, now: Instant) {
        for peer in &mut self.peers {
            peer.handle_timeout(now);
        }
        let mut quiet = false;
        while !quiet {
            quiet = true;
            for from in [0, 1] {
                while let Some(output) = self.peers[from].poll() {
                    quiet = false;
                    match output {
                        Output::Transmit(Datagram { local, remote, bytes }) => {
                            let mirrored = Datagram { local: remote, remote: local, bytes };
                            self.peers[1 - from].handle_datagram(now, mirrored);
                        }
                        Output::Opened(_) => self.opened += 1,
                        _ => {}
                    }
                }
            }
        }
    }
}

/// Runs for as long as a connection takes, and the checks that follow it.
fn settle(pairs: &mut [Pair], now: &mut Instant) {
    for _ in 0..200 {
        *now += Duration::from_millis(50);
        for pair in &mut *pairs {
            pair.exchange(*now);
        }
    }
}

/// The process's resident memory in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<usize>().ok());
    kilobytes.unwrap_or(0) * 1024
}

#[test]
fn an_idle_connected_peer_is_small() {
    let mut now = Instant::now();
    // The first one makes the certificate and fills lazily made tables.
    let mut first = [Pair::new(now, 0)];
    settle(&mut first, &mut now);

    let started = Instant::now();
    let resident_before = resident();
    let before = LIVE.load(Relaxed);
    PEAK.store(before, Relaxed);
    let mut pairs: Vec<_> = (1..=PAIRS).map(|number| Pair::new(now, number)).collect();
    let peers = 2 * PAIRS;
    println!("negotiated: {} bytes per peer", (LIVE.load(Relaxed) - before) / peers);
    settle(&mut pairs, &mut now);
    assert!(pairs.iter().all(|pair| pair.opened == 4), "not all channels opened");

    let idle = (LIVE.load(Relaxed) - before) / peers;
    println!("connected and idle: {idle} bytes per peer");
    println!("peak while connecting: {} bytes per peer", (PEAK.load(Relaxed) - before) / peers);
    let resident = resident().saturating_sub(resident_before) / peers;
    println!("resident memory, with that of the cryptographic library: {resident} bytes per peer");
    println!("processor time: {:?} per peer, this build", started.elapsed() / peers as u32);

    let message = vec![0; 8 << 10];
    for pair in &mut pairs {
        for channel in Channel::ALL {
            assert_eq!(pair.peers[0].send(now, channel, &message), Ok(()));
        }
    }
    settle(&mut pairs, &mut now);
    let used = (LIVE.load(Relaxed) - before) / peers;
    println!("idle after 16 kB of messages: {used} bytes per peer");

    drop(pairs);
    let left = LIVE.load(Relaxed).saturating_sub(before);
    println!("left after the end: {left} bytes");
    assert!(left < BYTES_LEFT_MAX, "{left} bytes leaked");
    assert!(idle < BYTES_PER_PEER_MAX && used < BYTES_PER_PEER_MAX, "{idle} and {used} bytes per peer");
}
