//! Networks that lose packets, and networks that carry less than is sent.

use super::*;

#[test]
fn lost_packets_are_sent_again_until_all_are_there() {
    for seed in [42, 43] {
        let mut network = Network::connected(seed);
        let section = network.add(ALICE, &camera("cam", &[]));
        network.agree(ALICE);
        let mut source = Source::new(section, None);
        // The source's name must have come through once before anything of it can be missed.
        source.picture(&mut network, ALICE, 1);
        network.pass(Duration::from_millis(100));
        network.loss_percent = 10;
        for _ in 0..300 {
            source.picture(&mut network, ALICE, 3);
            network.pass(PICTURE_TIME);
        }
        network.loss_percent = 0;
        source.picture(&mut network, ALICE, 1);
        network.pass(Duration::from_secs(2));
        let mut arrived: Vec<_> = network.packets(BOB).iter().map(|packet| packet.sequence).collect();
        arrived.sort_unstable();
        let sent = source.next;
        println!("{} of {sent} arrived", arrived.len());
        assert_eq!(arrived, (0..sent).collect::<Vec<_>>());
        let of = |peer: usize| network.peers[peer].statistics().remove(0);
        let (sender, receiver) = (of(ALICE), of(BOB));
        println!("{sender:?}\n{receiver:?}");
        assert!(sender.nacks > 10 && receiver.nacks > 10);
        assert_eq!((sender.packets, receiver.packets, receiver.lost), (sent, sent, 0));
        assert_eq!(sender.bytes, sent * 1_000);
        assert!(sender.resent.packets > 10 && sender.resent.bytes == sender.resent.packets * 1_000);
        for side in [sender, receiver] {
            assert!(side.round_trip.is_some_and(|time| time < Duration::from_millis(100)));
        }
    }
}

#[test]
fn both_ends_report_the_same_sources_formats_and_path() {
    let mut network = Network::connected(56);
    let section = network.add(ALICE, &camera("cam", &["q", "f"]));
    network.agree(ALICE);
    assert_eq!(network.peers[ALICE].transport_report().dtls, DtlsState::Connected);
    let mut sources = ["q", "f"].map(|name| Source::new(section, Some(Layer::new(name))));
    for _ in 0..90 {
        for source in &mut sources {
            source.picture(&mut network, ALICE, 1);
        }
        network.pass(PICTURE_TIME);
    }
    let of = |peer: usize| {
        let mut all = network.peers[peer].statistics();
        all.sort_by_key(|one| one.layer);
        all
    };
    let (sent, received) = (of(ALICE), of(BOB));
    assert_eq!((sent.len(), received.len()), (2, 2));
    assert_ne!(sent[0].ssrc, sent[1].ssrc);
    for (sent, received) in sent.iter().zip(&received) {
        assert_eq!((sent.layer, sent.ssrc), (received.layer, received.ssrc));
        assert!(sent.is_reported && !received.is_reported && sent.remote_sent.is_none());
        assert!(received.remote_sent.is_some_and(|told| (1..=90).contains(&told.packets)));
    }
    let ours = network.peers[ALICE].section_report(section, true);
    let theirs = network.peers[BOB].section_report(received[0].section, false);
    assert_eq!(ours, theirs);
    let format = ours.format.expect("a format");
    assert_eq!((format.name.as_str(), format.clock_rate, format.channels), ("VP8", 90_000, None));
    assert_eq!((ours.track_id.as_str(), ours.mid), ("cam", network.peers[ALICE].mid(section)));
    assert_eq!(network.peers[ALICE].section_report(section, false), SectionReport::default());
    let path = |peer: usize| network.peers[peer].transport_report().pair.expect("a path");
    let (here, there) = (path(ALICE), path(BOB));
    assert_eq!((here.local, here.remote), (there.remote, there.local));
    assert_eq!(here.local.kind, CandidateKind::Host);
    assert!(here.round_trip.is_some() && here.responses > 0);
    assert!(there.received.packets >= 180 && there.received.bytes >= 180_000);
}

#[test]
fn the_estimate_follows_the_network_down_and_up_again() {
    let mut network = Network::connected(55);
    let section = network.add(ALICE, &camera("cam", &[]));
    network.agree(ALICE);
    let mut source = Source::new(section, None);
    let mut phase = |network: &mut Network, capacity_bps: u64, seconds: u32| {
        network.capacity_bps = [Some(capacity_bps), None];
        for _ in 0..seconds * 30 {
            let estimate = estimate(network);
            // Obedient: sends a little less than it may, up to 2.5 Mbit/s.
            let wanted = (estimate * 9 / 10).min(2_500_000);
            network.peers[ALICE].set_bitrate(network.now, wanted, 3_000_000);
            let packets = (wanted as f64 / 30.0 / 8_000.0).round().max(1.0) as u64;
            source.picture(network, ALICE, packets);
            network.pass(PICTURE_TIME);
        }
        let estimate = estimate(network);
        println!("{capacity_bps} bit/s: estimated {estimate} after {seconds} s");
        estimate
    };
    let wide = phase(&mut network, 3_000_000, 15);
    assert!((1_500_000..4_500_000).contains(&wide), "{wide}");
    let narrow = phase(&mut network, 300_000, 10);
    assert!((100_000..450_000).contains(&narrow), "{narrow}");
    let wide = phase(&mut network, 3_000_000, 40);
    assert!(wide > 1_200_000, "{wide}");
}

fn estimate(network: &Network) -> u64 {
    let estimates = network.said[ALICE].iter().rev().find_map(|said| match said {
        Output::Bitrate(estimate) => Some(*estimate),
        _ => None,
    });
    estimates.unwrap_or(1_000_000)
}

#[test]
fn a_wide_network_is_found_wide_within_seconds() {
    let mut network = Network::connected(56);
    let section = network.add(ALICE, &camera("cam", &[]));
    network.agree(ALICE);
    network.peers[ALICE].set_bitrate(network.now, 500_000, 3_000_000);
    let mut source = Source::new(section, None);
    let began = network.elapsed();
    while estimate(&network) < 2_500_000 {
        source.picture(&mut network, ALICE, 2);
        network.pass(PICTURE_TIME);
        assert!(network.elapsed() - began < Duration::from_secs(5), "{}", estimate(&network));
    }
    println!("after {:?}", network.elapsed() - began);
}

#[test]
fn a_source_that_sends_more_than_the_network_carries_is_refused_before_memory_fills() {
    let mut network = Network::connected(57);
    let section = network.add(ALICE, &camera("cam", &[]));
    network.agree(ALICE);
    network.capacity_bps = [Some(300_000), None];
    let mut source = Source::new(section, None);
    for _ in 0..20 * 30 {
        source.picture(&mut network, ALICE, 60);
        network.pass(PICTURE_TIME);
    }
    println!("{} taken, {} refused", source.next, source.refused);
    assert!(source.refused > 0);
    assert!(network.peers.iter().all(|peer| peer.is_connected()));
    // It recovers when the source does.
    network.capacity_bps = [None, None];
    network.pass(Duration::from_secs(10));
    let before = network.packets(BOB).len();
    source.picture(&mut network, ALICE, 1);
    network.pass(Duration::from_secs(1));
    assert!(network.packets(BOB).len() > before);
}

#[test]
fn a_sender_hears_what_part_of_its_sound_is_lost() {
    let mut network = Network::connected(51);
    let section = network.add(ALICE, &microphone("mic"));
    network.agree(ALICE);
    let mut heard = Vec::new();
    for sequence in 0..1_500 {
        if sequence == 50 {
            network.loss_percent = 20;
        }
        network.send_media(ALICE, section, None, packet(Codec::Opus, sequence, &[0; 80]));
        network.pass(Duration::from_millis(20));
        heard.extend(network.peers[ALICE].statistics()[0].loss);
    }
    let loss = heard.iter().sum::<f32>() / heard.len() as f32;
    assert!((0.1..0.3).contains(&loss), "{loss} of {heard:?}");
}

#[test]
fn sound_alone_is_enough_to_find_out_that_there_is_room_for_pictures_again() {
    let mut network = Network::connected(58);
    let (sound, pictures) = (network.add(ALICE, &microphone("mic")), network.add(ALICE, &camera("cam", &[])));
    network.agree(ALICE);
    let mut source = Source::new(pictures, None);
    let mut sequence = 0;
    let mut second = |network: &mut Network, source: Option<&mut Source>| {
        let mut source = source;
        for number in 0..50 {
            network.send_media(ALICE, sound, None, packet(Codec::Opus, sequence, &[0; 80]));
            sequence += 1;
            if let Some(source) = source.as_deref_mut().filter(|_| number % 2 == 0) {
                let wanted = estimate(network).min(1_500_000) / 25 / 8_000;
                source.picture(network, ALICE, wanted.max(1));
            }
            network.pass(Duration::from_millis(20));
        }
    };
    network.peers[ALICE].set_bitrate(network.now, 1_500_000, 1_500_000);
    (0..8).for_each(|_| second(&mut network, Some(&mut source)));
    assert!(estimate(&network) > 500_000, "{}", estimate(&network));
    network.capacity_bps = [Some(70_000), None];
    let mut seconds = 0;
    while estimate(&network) > 80_000 {
        second(&mut network, Some(&mut source));
        seconds += 1;
        assert!(seconds < 60, "{}", estimate(&network));
    }
    (0..10).for_each(|_| second(&mut network, None));
    println!("after {seconds} s and 10 with sound alone: {}", estimate(&network));
    network.capacity_bps = [Some(3_000_000), None];
    seconds = 0;
    while estimate(&network) < 250_000 {
        second(&mut network, None);
        seconds += 1;
        assert!(seconds < 60, "{}", estimate(&network));
    }
    println!("wide again after {seconds} s: {}", estimate(&network));
}
