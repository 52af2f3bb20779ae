//! Sections that come and go, and descriptions that cross each other.

use super::*;

#[test]
fn sections_come_and_go_while_packets_flow() {
    let mut network = Network::connected(45);
    let first = network.add(ALICE, &camera("first", &[]));
    network.agree(ALICE);
    let mut source = Source::new(first, None);
    for round in 0..3 {
        for _ in 0..5 {
            source.picture(&mut network, ALICE, 2);
            network.pass(PICTURE_TIME);
        }
        let other = network.add(ALICE, &microphone(&format!("other {round}")));
        let offer = network.peers[ALICE].offer(network.now).expect("an offer");
        source.picture(&mut network, ALICE, 2);
        network.pass(DELAYED_ANSWER);
        let answer = network.peers[BOB].accept_offer(network.now, &offer).expect("an answer");
        source.picture(&mut network, ALICE, 2);
        network.pass(DELAYED_ANSWER);
        network.peers[ALICE].accept_answer(network.now, &answer).expect("an agreement");
        network.send_media(ALICE, other, None, packet(Codec::Opus, 0, b"sound"));
        network.pass(PICTURE_TIME);
        network.peers[ALICE].stop_sending(network.now, other);
        let late = packet(Codec::Opus, 1, b"late");
        assert_eq!(network.peers[ALICE].send_packet(network.now, other, None, late), Err(SendError::NotOpen));
        network.agree(ALICE);
        network.pass(Duration::ZERO);
        assert!(!network.infos(BOB).last().expect("a section").is_sending);
    }
    network.pass(Duration::from_secs(1));
    assert_eq!(source.refused, 0);
    let section = network.info(BOB, "first").section;
    let pictures = network.packets(BOB).into_iter().filter(|packet| packet.section == section);
    assert_eq!(pictures.count() as u64, source.next);
    let sounds = network.packets(BOB).into_iter().filter(|packet| packet.codec == Codec::Opus);
    assert_eq!(sounds.count(), 3);
    let offer = network.peers[ALICE].restart_ice(network.now).expect("an offer");
    assert_eq!(offer.matches("m=audio").count(), 1, "a section that rests is used again");
}

const DELAYED_ANSWER: Duration = Duration::from_millis(60);

#[test]
fn a_change_while_an_offer_is_pending_waits_for_the_next_one() {
    let mut network = Network::connected(46);
    let first = network.add(ALICE, &microphone("first"));
    let offer = network.peers[ALICE].offer(network.now).expect("an offer");
    assert!(!network.peers[ALICE].needs_offer());
    let second = network.add(ALICE, &camera("second", &["q", "h"]));
    network.peers[ALICE].stop_sending(network.now, first);
    let third = network.add(ALICE, &camera("third", &[]));
    network.peers[ALICE].stop_sending(network.now, third);
    assert!(network.peers[ALICE].needs_offer());
    assert_eq!(network.peers[ALICE].offer(network.now).as_ref(), Ok(&offer));
    network.exchange(&offer, ALICE);
    assert!(network.peers[ALICE].needs_offer());
    assert_eq!(network.peers[ALICE].sending_codec(first), None, "it was stopped before it could begin");
    network.agree(ALICE);
    assert_eq!(network.peers[ALICE].offer(network.now), Err(RtcError::NothingToOffer));
    assert_eq!(network.peers[ALICE].sending_layers(second).len(), 2);
    let tracks: Vec<_> =
        network.peers[BOB].statistics().iter().map(|statistics| statistics.section).collect();
    assert!(tracks.is_empty(), "nothing was sent yet");
    network.pass(Duration::ZERO);
    assert!(network.info(BOB, "second").is_sending);
    assert!(!network.infos(BOB).iter().any(|info| info.track_id == "third"), "it was never offered");
}

#[test]
fn when_both_offer_at_once_the_one_that_yields_offers_again() {
    let mut network = Network::connected(47);
    let resting = network.add(BOB, &microphone("before"));
    network.agree(BOB);
    network.peers[BOB].stop_sending(network.now, resting);
    network.agree(BOB);

    let alices = network.add(ALICE, &microphone("alice"));
    let bobs = network.add(BOB, &camera("bob", &["q", "h", "f"]));
    let again = network.add(BOB, &microphone("again"));
    assert_eq!(again, resting);
    let offer = network.peers[ALICE].offer(network.now).expect("an offer");
    let withdrawn = network.peers[BOB].offer(network.now).expect("an offer");
    network.exchange(&offer, ALICE);
    assert_eq!(network.peers[BOB].accept_answer(network.now, &withdrawn), Err(RtcError::NotOffered));
    assert!(network.peers[BOB].needs_offer());
    assert!(network.peers[ALICE].sending_codec(alices).is_some());
    network.agree(BOB);
    for (section, layer, codec) in [(bobs, Some(Layer::new("h")), Codec::Vp8), (again, None, Codec::Opus)] {
        network.send_media(BOB, section, layer, packet(codec, 0, b"after"));
    }
    network.pass(Duration::from_millis(200));
    assert_eq!(network.packets(ALICE).len(), 2);
    assert_eq!(network.info(ALICE, "again").section, network.info(ALICE, "before").section);
}

#[test]
fn a_section_is_used_again_for_another_track() {
    let mut network = Network::connected(48);
    let layers = ["q", "h"];
    let old = network.add(ALICE, &camera("old", &layers));
    network.agree(ALICE);
    for sequence in 60_000..60_010 {
        network.send_media(ALICE, old, Some(Layer::new("h")), packet(Codec::Vp8, sequence, b"old"));
        network.pass(PICTURE_TIME);
    }
    network.pass(Duration::from_millis(200));
    network.peers[ALICE].stop_sending(network.now, old);
    network.agree(ALICE);
    network.pass(Duration::ZERO);
    assert!(!network.info(BOB, "old").is_sending);
    let new = network.add(ALICE, &camera("new", &layers));
    assert_eq!(new, old);
    network.agree(ALICE);
    network.pass(Duration::ZERO);
    let info = network.info(BOB, "new");
    assert!(info.is_sending && info.section == network.info(BOB, "old").section);
    for sequence in 5..15 {
        network.send_media(ALICE, new, Some(Layer::new("h")), packet(Codec::Vp8, sequence, b"new"));
        network.pass(PICTURE_TIME);
    }
    network.pass(Duration::from_millis(200));
    let packets = network.packets(BOB);
    let sequences: Vec<_> = packets.iter().skip(10).map(|packet| packet.sequence).collect();
    assert_eq!(sequences, (5..15).collect::<Vec<_>>());
    // It is still one that can be asked.
    network.peers[BOB].request_key_frame(network.now, info.section, Some(Layer::new("h")));
    network.pass(Duration::from_millis(200));
    let asked = Output::KeyFrameRequested { section: new, layer: Some(Layer::new("h")) };
    assert_eq!(network.count(ALICE, &asked), 1);
    // Another codec would have to be agreed on anew.
    network.peers[ALICE].stop_sending(network.now, new);
    network.agree(ALICE);
    let other = network.add(ALICE, &Sending { codecs: vec![Codec::H264], ..camera("other", &layers) });
    assert_ne!(other, old);
}

#[test]
fn what_a_useless_answer_left_open_is_offered_again() {
    let mut network = Network::connected(58);
    let section = network.add(ALICE, &microphone("mic"));
    network.agree(ALICE);
    network.peers[ALICE].stop_sending(network.now, section);
    let offer = network.peers[ALICE].offer(network.now).expect("an offer");
    let answer = network.peers[BOB].accept_offer(network.now, &offer).expect("an answer");
    let other = answer.replace("m=audio", "m=video").replace("a=mid:", "a=mid:x");
    assert!(matches!(network.peers[ALICE].accept_answer(network.now, &other), Err(RtcError::Malformed(_))));
    assert!(network.peers[ALICE].needs_offer());
    network.agree(ALICE);
    network.pass(Duration::ZERO);
    assert!(!network.infos(BOB).last().expect("a section").is_sending);
    assert_eq!(network.add(ALICE, &microphone("again")), section);
    network.agree(ALICE);
    network.send_media(ALICE, section, None, packet(Codec::Opus, 0, b"sound"));
    network.pass(Duration::from_millis(200));
    assert_eq!(network.packets(BOB).len(), 1);
}
