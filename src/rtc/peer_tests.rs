//! What two peers do over a network, on simulated time.

use std::time::Duration;

use super::simulation::{ALICE, BOB, DELAY, Network};
use super::{Channel, Output};

fn numbered(count: u32) -> Vec<Vec<u8>> {
    (0..count).map(|number| number.to_be_bytes().to_vec()).collect()
}

#[test]
fn both_channels_open_on_both_sides_and_carry_messages_both_ways() {
    let mut network = Network::connected(1);
    println!("open after {:?}, one way takes {DELAY:?}", network.elapsed());
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
