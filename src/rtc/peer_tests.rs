//! What two peers do over a network, on simulated time.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::link::{CONNECT_TIMEOUT, RECOVERY_TIMEOUT, SILENCE_MAX};
use super::simulation::{ALICE, BOB, DELAY, Network};
use super::{Channel, Datagram, Output, Peer, RtcError, SendError};

fn numbered(count: u32) -> Vec<Vec<u8>> {
    (0..count).map(|number| number.to_be_bytes().to_vec()).collect()
}

#[test]
fn both_channels_open_on_both_sides_and_carry_messages_both_ways() {
    let mut network = Network::new(1);
    network.negotiate();
    network.run(Duration::from_secs(5), |network| network.peers.iter().all(Peer::is_connected));
    println!("one way takes {DELAY:?}; connected after {:?}", network.elapsed());
    network.run(Duration::from_secs(5), Network::all_open);
    println!("open after {:?}", network.elapsed());
    for peer in [ALICE, BOB] {
        assert!(network.peers[peer].is_connected());
        assert_eq!(network.said[peer][0], Output::Connected);
        for channel in Channel::ALL {
            let message = format!("from {peer} on {channel:?}");
            assert_eq!(network.peers[peer].send(network.now, channel, message.as_bytes()), Ok(()));
        }
    }
    network.run(Duration::from_secs(1), |network| network.said.iter().all(|said| said.len() == 5));
    for peer in [ALICE, BOB] {
        for channel in Channel::ALL {
            let expected = format!("from {} on {channel:?}", 1 - peer);
            assert_eq!(network.messages(peer, channel), [expected.as_bytes()]);
        }
    }
}

#[test]
fn reliable_messages_arrive_once_and_in_order_at_thirty_percent_loss() {
    for seed in 0..5 {
        let mut network = Network::connected(seed);
        network.loss_percent = 30;
        let messages = numbered(200);
        for message in &messages {
            assert_eq!(network.peers[ALICE].send(network.now, Channel::Reliable, message), Ok(()));
        }
        let before = network.elapsed();
        network.run(Duration::from_secs(120), |network| {
            network.messages(BOB, Channel::Reliable).len() == messages.len()
        });
        println!("200 messages took {:?}", network.elapsed() - before);
        assert_eq!(network.messages(BOB, Channel::Reliable), messages);
        network.pass(Duration::from_secs(5));
        assert_eq!(network.messages(BOB, Channel::Reliable).len(), messages.len());
        assert_eq!(network.count(BOB, &Output::Disconnected), 0);
    }
}

#[test]
fn lossy_messages_get_lost_and_hold_up_nothing() {
    let mut network = Network::connected(7);
    network.loss_percent = 30;
    let messages = numbered(300);
    for message in &messages {
        assert_eq!(network.peers[ALICE].send(network.now, Channel::Lossy, message), Ok(()));
        network.pass(Duration::from_millis(10));
    }
    network.pass(Duration::from_secs(10));
    let arrived = network.messages(BOB, Channel::Lossy).len();
    println!("{arrived} of 300 arrived");
    assert!((100..300).contains(&arrived), "{arrived} arrived");
    assert_eq!(network.peers[ALICE].buffered(), 0);
}

#[test]
fn a_backlog_of_lossy_messages_leaves_room_for_reliable_ones() {
    let mut network = Network::connected(8);
    let large = vec![7; 8 << 10];
    let sent =
        (0..100).take_while(|_| network.peers[ALICE].send(network.now, Channel::Lossy, &large).is_ok());
    let sent = sent.count();
    assert!(sent < 100, "the lossy channel has no bound");
    assert_eq!(network.peers[ALICE].send(network.now, Channel::Lossy, &large), Err(SendError::Full));
    assert_eq!(network.peers[ALICE].send(network.now, Channel::Reliable, &large), Ok(()));
    assert!(network.peers[ALICE].buffered() >= (sent + 1) * large.len());
    network.run(Duration::from_secs(5), |network| !network.messages(BOB, Channel::Reliable).is_empty());
}

#[test]
fn a_full_buffer_says_so_and_empties_again() {
    let mut network = Network::connected(9);
    let large = vec![7; 30 << 10];
    let send = |network: &mut Network| network.peers[ALICE].send(network.now, Channel::Reliable, &large);
    let sent = (0..100).take_while(|_| send(&mut network).is_ok()).count();
    assert_eq!(send(&mut network), Err(SendError::Full));
    network.run(Duration::from_secs(10), |network| network.messages(BOB, Channel::Reliable).len() == sent);
    network.pass(Duration::from_secs(1));
    assert_eq!(network.peers[ALICE].buffered(), 0);
    assert_eq!(send(&mut network), Ok(()));
}

#[test]
fn messages_that_cannot_be_sent_are_refused() {
    let mut network = Network::new(10);
    for channel in Channel::ALL {
        assert_eq!(network.peers[ALICE].send(network.now, channel, b"early"), Err(SendError::NotOpen));
    }
    let mut network = Network::connected(10);
    for size in [200 << 10, 1 << 20] {
        let huge = vec![0; size];
        for channel in Channel::ALL {
            assert_eq!(network.peers[ALICE].send(network.now, channel, &huge), Err(SendError::TooLarge));
        }
    }
    assert_eq!(network.peers[ALICE].send(network.now, Channel::Reliable, b""), Err(SendError::Empty));
}

#[test]
fn an_ice_restart_from_either_side_keeps_the_channels_and_what_is_under_way() {
    for (seed, restarter) in [(11, ALICE), (12, BOB)] {
        let mut network = Network::connected(seed);
        let messages = numbered(50);
        for message in &messages {
            assert_eq!(network.peers[ALICE].send(network.now, Channel::Reliable, message), Ok(()));
        }
        let offer = network.peers[restarter].restart_ice(network.now).expect("an offer");
        network.exchange(&offer, restarter);
        network.run(Duration::from_secs(5), |network| {
            [ALICE, BOB].into_iter().all(|peer| network.count(peer, &Output::Connected) == 2)
        });
        network.run(Duration::from_secs(5), |network| {
            network.messages(BOB, Channel::Reliable).len() == messages.len()
        });
        assert_eq!(network.messages(BOB, Channel::Reliable), messages);
        assert_eq!(network.peers[BOB].send(network.now, Channel::Reliable, b"back"), Ok(()));
        network.run(Duration::from_secs(5), |network| {
            network.messages(ALICE, Channel::Reliable) == [b"back".as_slice()]
        });
        for peer in [ALICE, BOB] {
            assert_eq!(network.count(peer, &Output::Disconnected), 0);
            assert_eq!(network.count(peer, &Output::Opened(Channel::Reliable)), 1);
        }
    }
}

#[test]
fn a_side_that_vanishes_is_disconnected_first_and_failed_in_bounded_time() {
    let mut network = Network::connected(13);
    network.cut[BOB] = true;
    let cut = network.elapsed();
    network.run(Duration::from_secs(60), |network| network.count(ALICE, &Output::Disconnected) == 1);
    let noticed = network.elapsed() - cut;
    assert!(!network.peers[ALICE].is_connected());
    let failed = |network: &Network| matches!(network.said[ALICE].last(), Some(Output::Failed(_)));
    network.run(Duration::from_secs(60), failed);
    let given_up = network.elapsed() - cut;
    println!("disconnected after {noticed:?}, failed after {given_up:?}");
    assert!(noticed <= SILENCE_MAX + Duration::from_millis(100), "{noticed:?}");
    assert!(given_up <= SILENCE_MAX + RECOVERY_TIMEOUT + Duration::from_millis(100), "{given_up:?}");
    network.pass(Duration::from_secs(60));
    assert!(failed(&network), "something was said after the end");
    assert_eq!(network.peers[ALICE].poll_timeout(), None);
}

#[test]
fn a_network_that_comes_back_brings_the_connection_back() {
    let mut network = Network::connected(14);
    network.cut[BOB] = true;
    assert_eq!(network.peers[ALICE].send(network.now, Channel::Reliable, b"still here?"), Ok(()));
    network.run(Duration::from_secs(10), |network| network.count(ALICE, &Output::Disconnected) == 1);
    network.cut[BOB] = false;
    network.run(Duration::from_secs(10), |network| network.count(ALICE, &Output::Connected) == 2);
    network.run(Duration::from_secs(30), |network| !network.messages(BOB, Channel::Reliable).is_empty());
}

#[test]
fn an_ice_restart_rescues_a_lost_connection() {
    let mut network = Network::connected(15);
    network.cut = [true; 2];
    let disconnected = |network: &Network| network.count(ALICE, &Output::Disconnected) == 1;
    network.run(Duration::from_secs(30), disconnected);
    // So long that every candidate pair has failed.
    network.pass(RECOVERY_TIMEOUT - Duration::from_secs(1));
    network.cut = [false; 2];
    let offer = network.peers[ALICE].restart_ice(network.now).expect("an offer");
    network.exchange(&offer, ALICE);
    network.run(Duration::from_secs(10), |network| {
        [ALICE, BOB].into_iter().all(|peer| network.peers[peer].is_connected())
    });
    assert_eq!(network.peers[ALICE].send(network.now, Channel::Reliable, b"again"), Ok(()));
    network.run(Duration::from_secs(90), |network| !network.messages(BOB, Channel::Reliable).is_empty());
}

#[test]
fn an_ice_restart_that_finds_nothing_is_told_as_an_interruption() {
    let mut network = Network::connected(23);
    let offer = network.peers[ALICE].restart_ice(network.now).expect("an offer");
    network.cut = [true; 2];
    network.exchange(&offer, ALICE);
    network.pass(Duration::from_millis(1_900));
    assert_eq!(network.count(ALICE, &Output::Disconnected), 0);
    network.pass(Duration::from_millis(200));
    network.pass(Duration::from_secs(5));
    assert_eq!([ALICE, BOB].map(|peer| network.count(peer, &Output::Disconnected)), [1, 1], "once");
    network.cut = [false; 2];
    network.run(Duration::from_secs(10), |network| {
        [ALICE, BOB].into_iter().all(|peer| network.count(peer, &Output::Connected) == 2)
    });
}

#[test]
fn a_connection_that_never_comes_up_fails_in_time() {
    let mut network = Network::new(16);
    network.cut = [true; 2];
    network.negotiate();
    network.run(CONNECT_TIMEOUT + Duration::from_millis(100), |network| {
        network.said.iter().all(|said| matches!(said.as_slice(), [Output::Failed(_)]))
    });
}

#[test]
fn connecting_works_on_a_bad_network() {
    const ATTEMPTS: usize = 20;
    // The pauses of DTLS and SCTP double with each loss, and what exactly is lost differs from run to run, so a few
    // attempts may run into the time limit. About one in a thousand does.
    const UNLUCKY_MAX: usize = 3;
    let mut opened = 0;
    for seed in 0..ATTEMPTS as u64 {
        let mut network = Network::new(seed);
        network.loss_percent = 10;
        network.negotiate();
        network.pass(Duration::from_secs(60));
        opened += usize::from(network.all_open());
    }
    assert!(opened >= ATTEMPTS - UNLUCKY_MAX, "{opened} of {ATTEMPTS}");
}

#[test]
fn an_idle_connection_stays_up_and_wakes_rarely() {
    let mut network = Network::connected(17);
    let before = network.steps;
    network.pass(Duration::from_secs(600));
    let steps = network.steps - before;
    println!("{steps} steps in ten minutes");
    // A check every 3 s from each side is a request and an answer, each with an arrival and some deadlines.
    assert!(steps < 600 * 10, "{steps} steps");
    for peer in [ALICE, BOB] {
        assert!(network.peers[peer].is_connected());
        assert_eq!(network.said[peer].len(), 3, "{:?}", network.said[peer]);
    }
}

#[test]
fn a_close_is_heard_by_the_other_side_and_ends_both() {
    let mut network = Network::connected(18);
    network.peers[ALICE].close(network.now);
    let farewell = Output::Failed("the other side closed the connection".into());
    network.run(Duration::from_secs(2), |network| network.said[BOB].last() == Some(&farewell));
    network.pass(Duration::from_secs(60));
    assert_eq!(network.said[ALICE].len(), 3, "{:?}", network.said[ALICE]);
    for peer in [ALICE, BOB] {
        assert!(!network.peers[peer].is_connected());
        assert_eq!(network.peers[peer].poll_timeout(), None);
        assert_eq!(network.peers[peer].buffered(), 0);
        let sent = network.peers[peer].send(network.now, Channel::Reliable, b"late");
        assert_eq!(sent, Err(SendError::NotOpen));
    }
}

#[test]
fn candidates_that_come_before_their_description_are_kept() {
    let mut network = Network::new(19);
    let candidates = [ALICE, BOB].map(|peer| network.peers[peer].local_candidates());
    assert_eq!(candidates[ALICE].len(), 2, "one for each address family");
    let without_candidates = |sdp: String| {
        let lines = sdp.lines().filter(|line| !line.starts_with("a=candidate"));
        lines.map(|line| format!("{line}\r\n")).collect::<String>()
    };
    let offer = without_candidates(network.peers[ALICE].offer(network.now).expect("an offer"));
    for peer in [ALICE, BOB] {
        for line in &candidates[1 - peer] {
            assert_eq!(network.peers[peer].add_remote_candidate(network.now, line), Ok(()));
        }
    }
    let answer = without_candidates(network.peers[BOB].accept_offer(network.now, &offer).expect("an answer"));
    assert!(!answer.contains("candidate:") && !offer.contains("candidate:"));
    network.peers[ALICE].accept_answer(network.now, &answer).expect("an agreement");
    network.run(Duration::from_secs(5), Network::all_open);
}

#[test]
fn garbage_is_ignored() {
    let mut network = Network::connected(20);
    let mut garbage: Vec<Vec<u8>> = (0..=255_u8).map(|first| vec![first; 40]).collect();
    garbage.extend([vec![], vec![0], vec![22], vec![128, 96]]);
    // A DTLS record of each kind with a body that is none.
    garbage.extend(
        (20..=26).map(|kind| [&[kind, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 9, 0, 4][..], b"body"].concat()),
    );
    let remotes = network.peers[ALICE].local_candidates();
    println!("{remotes:?}");
    for bytes in garbage {
        // From a stranger, and with the sender's address forged.
        for remote in ["203.0.113.5:9", "192.0.2.2:5002", "[2001:db8::2]:5002"] {
            let local = if remote.starts_with('[') { "[2001:db8::1]:5001" } else { "192.0.2.1:5001" };
            let [local, remote] = [local, remote].map(|text| text.parse().expect("an address"));
            let datagram = Datagram { local, remote, bytes: bytes.clone() };
            network.peers[ALICE].handle_datagram(network.now, datagram);
        }
    }
    assert_eq!(network.peers[ALICE].send(network.now, Channel::Reliable, b"unmoved"), Ok(()));
    network.run(Duration::from_secs(5), |network| !network.messages(BOB, Channel::Reliable).is_empty());
    network.pass(Duration::from_secs(30));
    for peer in [ALICE, BOB] {
        assert_eq!(network.count(peer, &Output::Disconnected), 0);
        assert!(network.peers[peer].is_connected());
    }
}

#[test]
fn peers_that_share_a_socket_each_accept_their_own_datagrams() {
    let now = Instant::now();
    let server: SocketAddr = "192.0.2.1:7000".parse().expect("an address");
    let mut at_server = Vec::new();
    let mut clients = Vec::new();
    for host in 10..13 {
        let address = format!("192.0.2.{host}:7000").parse().expect("an address");
        let (mut inside, mut outside) = (Peer::new(now, &[server]), Peer::new(now, &[address]));
        let offer = inside.offer(now).expect("an offer");
        let answer = outside.accept_offer(now, &offer).expect("an answer");
        inside.accept_answer(now, &answer).expect("an agreement");
        at_server.push(inside);
        clients.push(outside);
    }
    for tick in 0..200 {
        let now = now + Duration::from_millis(10 * tick);
        for (index, client) in clients.iter_mut().enumerate() {
            client.handle_timeout(now);
            at_server[index].handle_timeout(now);
            while let Some(output) = at_server[index].poll() {
                if let Output::Transmit(Datagram { local, remote, bytes }) = output {
                    client.handle_datagram(now, Datagram { local: remote, remote: local, bytes });
                }
            }
            while let Some(output) = client.poll() {
                let Output::Transmit(Datagram { local, remote, bytes }) = output else { continue };
                let datagram = Datagram { local: remote, remote: local, bytes };
                let takers: Vec<_> = (0..3).filter(|peer| at_server[*peer].accepts(&datagram)).collect();
                assert_eq!(takers, [index]);
                at_server[index].handle_datagram(now, datagram);
            }
        }
    }
    assert!(at_server.iter().all(Peer::is_connected));
}

#[test]
fn when_both_sides_offer_at_once_the_accepted_offer_wins() {
    let mut network = Network::new(21);
    let withdrawn = network.peers[ALICE].offer(network.now).expect("an offer");
    let offer = network.peers[BOB].offer(network.now).expect("an offer");
    network.exchange(&offer, BOB);
    network.run(Duration::from_secs(5), Network::all_open);

    let _ = network.peers[ALICE].restart_ice(network.now).expect("an offer");
    let offer = network.peers[BOB].restart_ice(network.now).expect("an offer");
    network.exchange(&offer, BOB);
    let late = network.peers[ALICE].accept_answer(network.now, &withdrawn);
    assert_eq!(late, Err(RtcError::NotOffered));
    network.run(Duration::from_secs(5), |network| {
        [ALICE, BOB].into_iter().all(|peer| network.count(peer, &Output::Connected) == 2)
    });
}

#[test]
fn addresses_that_cannot_be_used_are_skipped() {
    let addresses = ["0.0.0.0:1", "[::]:1", "224.0.0.1:1", "[fe80::1]:1", "127.0.0.1:1", "[::1]:1"];
    let addresses = addresses.map(|text| text.parse().expect("an address"));
    assert_eq!(Peer::new(Instant::now(), &addresses).local_candidates().len(), 2);
}

#[test]
fn garbage_does_not_keep_a_lost_connection_alive() {
    let mut network = Network::connected(22);
    network.cut[BOB] = true;
    for _ in 0..20 {
        network.pass(Duration::from_millis(500));
        let [local, remote] =
            ["192.0.2.1:5001", "203.0.113.5:9"].map(|text| text.parse().expect("an address"));
        for bytes in [vec![22; 40], vec![128; 40], vec![0; 40]] {
            network.peers[ALICE].handle_datagram(network.now, Datagram { local, remote, bytes });
        }
    }
    assert_eq!(network.count(ALICE, &Output::Disconnected), 1);
}

#[test]
fn heavy_loss_alone_is_never_taken_for_silence() {
    for seed in 40..44 {
        let mut network = Network::connected(seed);
        network.loss_percent = 30;
        network.pass(Duration::from_secs(600));
        for peer in [ALICE, BOB] {
            assert_eq!(network.count(peer, &Output::Disconnected), 0);
        }
    }
}
