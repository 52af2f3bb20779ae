//! Media over a peer connection: agreed on, sent, lost, asked for again, and ended.

mod network;
mod sections;

use std::sync::Arc;
use std::time::Duration;

use super::reports::{CandidateKind, DtlsState, SectionReport};
use super::simulation::{ALICE, BOB, Network};
use super::{
    AudioLevel, Codec, Layer, MediaKind, Output, PAYLOAD_SIZE_MAX, PacketIn, PacketOut, RtcError, Section,
    SectionInfo, SendError, Sending,
};

fn microphone(track: &str) -> Sending {
    Sending {
        kind: MediaKind::Audio,
        codecs: vec![Codec::Opus],
        stream_id: "PA_alice".into(),
        track_id: track.into(),
        layers: Vec::new(),
        is_stereo: false,
        uses_dtx: false,
    }
}

fn camera(track: &str, layers: &[&str]) -> Sending {
    Sending {
        kind: MediaKind::Video,
        codecs: vec![Codec::Vp8],
        stream_id: "PA_alice".into(),
        track_id: track.into(),
        layers: layers.iter().map(|name| Layer::new(name)).collect(),
        is_stereo: false,
        uses_dtx: false,
    }
}

fn packet(codec: Codec, sequence: u64, payload: &[u8]) -> PacketOut {
    PacketOut {
        codec,
        sequence,
        timestamp: (sequence as u32).wrapping_mul(960),
        is_marked: true,
        payload: Arc::from(payload),
        audio_level: None,
        rotation_degrees: None,
        is_resendable: codec.kind() == MediaKind::Video,
        captured: None,
    }
}

impl Network {
    fn send_media(&mut self, peer: usize, section: Section, layer: Option<Layer>, packet: PacketOut) {
        assert_eq!(self.peers[peer].send_packet(self.now, section, layer, packet), Ok(()));
    }

    fn add(&mut self, peer: usize, sending: &Sending) -> Section {
        self.peers[peer].add_sending(self.now, sending).expect("a section")
    }

    /// The peer offers what it needs to, and the other one agrees.
    fn agree(&mut self, peer: usize) {
        let offer = self.peers[peer].offer(self.now).expect("an offer");
        self.exchange(&offer, peer);
        assert!(!self.peers[peer].needs_offer());
    }

    fn packets(&self, peer: usize) -> Vec<&PacketIn> {
        let packets = self.said[peer].iter().filter_map(|said| match said {
            Output::Packet(packet) => Some(packet.as_ref()),
            _ => None,
        });
        packets.collect()
    }

    fn infos(&self, peer: usize) -> Vec<&SectionInfo> {
        let infos = self.said[peer].iter().filter_map(|said| match said {
            Output::Section(info) => Some(info),
            _ => None,
        });
        infos.collect()
    }

    /// The last word on the track that the other side sends by this name.
    fn info(&self, peer: usize, track: &str) -> SectionInfo {
        let infos = self.infos(peer);
        let info = infos.iter().rev().find(|info| info.track_id == track);
        (*info.unwrap_or_else(|| panic!("no {track} in {infos:?}"))).clone()
    }
}

#[test]
fn sound_and_picture_go_both_ways_over_one_connection() {
    let mut network = Network::connected(40);
    let mut sections = Vec::new();
    for peer in [ALICE, BOB] {
        let audio = network.add(peer, &microphone("mic"));
        let video = network.add(peer, &camera("cam", &[]));
        assert!(network.peers[peer].needs_offer());
        let early = packet(Codec::Opus, 1, b"early");
        assert_eq!(network.peers[peer].send_packet(network.now, audio, None, early), Err(SendError::NotOpen));
        network.agree(peer);
        assert_eq!(network.peers[peer].sending_codec(audio), Some(Codec::Opus));
        assert_eq!(network.peers[peer].sending_codec(video), Some(Codec::Vp8));
        sections.push((audio, video));
    }
    for (peer, (audio, video)) in sections.iter().enumerate() {
        for sequence in 0..20_u64 {
            let level = AudioLevel { level_dbov: 30 + sequence as u8, is_voice: sequence.is_multiple_of(2) };
            let sound =
                PacketOut { audio_level: Some(level), ..packet(Codec::Opus, sequence, &[1, 2, peer as u8]) };
            network.send_media(peer, *audio, None, sound);
            let picture =
                PacketOut { rotation_degrees: Some(90), ..packet(Codec::Vp8, 65_530 + sequence, &[7; 1000]) };
            network.send_media(peer, *video, None, picture);
            network.pass(Duration::from_millis(20));
        }
    }
    network.pass(Duration::from_secs(1));
    for peer in [ALICE, BOB] {
        let other = 1 - peer;
        let (audio, video) = (network.info(peer, "mic"), network.info(peer, "cam"));
        assert_eq!(
            (audio.kind, audio.stream_id.as_str(), audio.is_sending),
            (MediaKind::Audio, "PA_alice", true)
        );
        let packets = network.packets(peer);
        let of = |section| packets.iter().filter(move |packet| packet.section == section).collect::<Vec<_>>();
        let (sound, pictures) = (of(audio.section), of(video.section));
        assert_eq!((sound.len(), pictures.len()), (20, 20));
        for (number, packet) in sound.iter().enumerate() {
            let number = number as u64;
            assert_eq!(
                (packet.sequence, packet.timestamp, packet.codec),
                (number, number * 960, Codec::Opus)
            );
            assert_eq!(packet.payload.as_ref(), [1, 2, other as u8]);
            let level = AudioLevel { level_dbov: 30 + number as u8, is_voice: number.is_multiple_of(2) };
            assert_eq!(packet.audio_level, Some(level));
            assert!(packet.is_marked && packet.layer.is_none());
        }
        let sequences: Vec<_> = pictures.iter().map(|packet| packet.sequence).collect();
        assert_eq!(sequences, (65_530..65_550).collect::<Vec<_>>());
        assert!(pictures.iter().all(|packet| packet.rotation_degrees == Some(90)));
        assert!(sound.iter().any(|packet| packet.sender_report.is_some()), "no sender report has come");
    }
}

#[test]
fn three_layers_arrive_under_their_names() {
    let mut network = Network::connected(41);
    let section = network.add(ALICE, &camera("cam", &["q", "h", "f"]));
    network.agree(ALICE);
    let layers = ["q", "h", "f"].map(Layer::new);
    assert_eq!(network.peers[ALICE].sending_layers(section), layers);
    for sequence in 0..50 {
        for layer in layers {
            let payload = format!("{} {sequence}", layer.as_str());
            network.send_media(ALICE, section, Some(layer), packet(Codec::Vp8, sequence, payload.as_bytes()));
        }
        network.pass(Duration::from_millis(33));
    }
    network.pass(Duration::from_secs(1));
    assert_eq!(network.info(BOB, "cam").layers, layers);
    for layer in layers {
        let packets = network.packets(BOB).into_iter().filter(|packet| packet.layer == Some(layer));
        let texts: Vec<_> =
            packets.map(|packet| String::from_utf8_lossy(&packet.payload).into_owned()).collect();
        assert_eq!(texts, (0..50).map(|number| format!("{} {number}", layer.as_str())).collect::<Vec<_>>());
    }
}

/// A camera with 30 pictures a second of `size` packets each; what is not taken is counted.
struct Source {
    section: Section,
    layer: Option<Layer>,
    next: u64,
    refused: usize,
}

impl Source {
    fn new(section: Section, layer: Option<Layer>) -> Self {
        Self { section, layer, next: 0, refused: 0 }
    }

    fn picture(&mut self, network: &mut Network, peer: usize, packets: u64) {
        let timestamp = (network.elapsed().as_micros() * 9 / 100) as u32;
        for number in 0..packets {
            let payload = [self.next as u8; 1_000];
            let packet = PacketOut {
                timestamp,
                is_marked: number + 1 == packets,
                ..packet(Codec::Vp8, self.next, &payload)
            };
            match network.peers[peer].send_packet(network.now, self.section, self.layer, packet) {
                Ok(()) => self.next += 1,
                Err(_) => self.refused += 1,
            }
        }
    }
}

#[test]
fn what_is_refused_is_not_counted_as_sent() {
    let mut network = Network::connected(61);
    let section = network.add(ALICE, &camera("cam", &[]));
    network.agree(ALICE);
    let mut taken = 0;
    let refused = loop {
        let packet = packet(Codec::Vp8, taken, b"picture");
        match network.peers[ALICE].send_packet(network.now, section, None, packet) {
            Ok(()) => taken += 1,
            Err(error) => break error,
        }
        assert!(taken < 100_000, "the queue has no bound");
    };
    assert_eq!(refused, SendError::Full);
    let statistics = network.peers[ALICE].statistics();
    let sent = statistics.iter().find(|one| one.section == section && one.is_sending).expect("it sends");
    assert_eq!((sent.packets, sent.bytes), (taken, taken * 7));
}

const PICTURE_TIME: Duration = Duration::from_millis(33);

#[test]
fn a_key_frame_is_asked_for_on_the_layer_that_needs_it() {
    let mut network = Network::connected(44);
    let layered = network.add(ALICE, &camera("layered", &["q", "f"]));
    let plain = network.add(ALICE, &camera("plain", &[]));
    network.agree(ALICE);
    let full = Some(Layer::new("f"));
    let streams = [(layered, Some(Layer::new("q"))), (layered, full), (plain, None)];
    for (section, layer) in streams {
        network.send_media(ALICE, section, layer, packet(Codec::Vp8, 0, b"picture"));
    }
    network.pass(Duration::from_millis(200));
    for (track, section, layer) in [("layered", layered, full), ("plain", plain, None)] {
        let asked = network.info(BOB, track).section;
        network.peers[BOB].request_key_frame(network.now, asked, layer);
        network.pass(Duration::from_millis(200));
        let mut requests = network.said[ALICE].iter().filter_map(|said| match said {
            Output::KeyFrameRequested { section, layer } => Some((*section, *layer)),
            _ => None,
        });
        assert_eq!(requests.next_back(), Some((section, layer)));
    }
    let requests = network.said[ALICE].iter().filter(|said| matches!(said, Output::KeyFrameRequested { .. }));
    assert_eq!(requests.count(), 2);
}

#[test]
fn the_first_codec_that_the_other_side_takes_is_sent() {
    let mut network = Network::connected(49);
    let codecs = vec![Codec::H264, Codec::Av1, Codec::Vp9];
    let section = network.add(ALICE, &Sending { codecs, ..camera("cam", &[]) });
    let offer = network.peers[ALICE].offer(network.now).expect("an offer");
    let formats = offer.lines().find(|line| line.starts_with("m=video")).expect("a video section");
    assert!(!offer.contains("VP8/90000"), "{formats}");
    // A side that knows no H.264.
    let without: String = offer.split_inclusive('\n').filter(|line| !line.contains("H264")).collect();
    let h264: Vec<_> = offer.lines().filter(|line| line.contains("H264")).collect();
    let h264 = h264.iter().filter_map(|line| line.strip_prefix("a=rtpmap:")?.split(' ').next());
    let mut fewer = formats.to_owned();
    for format in h264 {
        fewer = fewer.replacen(&format!(" {format}"), "", 1);
    }
    let answer =
        network.peers[BOB].accept_offer(network.now, &without.replace(formats, &fewer)).expect("an answer");
    network.peers[ALICE].accept_answer(network.now, &answer).expect("an agreement");
    assert_eq!(network.peers[ALICE].sending_codec(section), Some(Codec::Av1));
    let refused = packet(Codec::H264, 0, b"?");
    assert_eq!(
        network.peers[ALICE].send_packet(network.now, section, None, refused),
        Err(SendError::NotOpen)
    );
    network.send_media(ALICE, section, None, packet(Codec::Av1, 0, b"picture"));
    network.pass(Duration::from_millis(200));
    assert_eq!(network.packets(BOB)[0].codec, Codec::Av1);
}

#[test]
fn red_is_carried_as_it_is_where_it_is_asked_for() {
    let mut network = Network::connected(50);
    let section = network.add(ALICE, &Sending { codecs: vec![Codec::Red, Codec::Opus], ..microphone("mic") });
    network.agree(ALICE);
    assert_eq!(network.peers[ALICE].sending_codec(section), Some(Codec::Red));
    let red = [0xef, 0, 0, 1, 0x6f, 1, 2];
    network.send_media(ALICE, section, None, packet(Codec::Red, 0, &red));
    network.send_media(ALICE, section, None, packet(Codec::Opus, 1, b"plain"));
    network.pass(Duration::from_millis(200));
    let came: Vec<_> =
        network.packets(BOB).iter().map(|packet| (packet.codec, packet.payload.to_vec())).collect();
    assert_eq!(came, [(Codec::Red, red.to_vec()), (Codec::Opus, b"plain".to_vec())]);
}

#[test]
fn sources_are_found_by_their_numbers_where_nothing_else_names_them() {
    let mut network = Network::connected(51);
    let section = network.add(ALICE, &camera("cam", &[]));
    let offer = network.peers[ALICE].offer(network.now).expect("an offer");
    let unnamed: String =
        offer.split_inclusive('\n').filter(|line| !line.contains("hdrext:sdes:mid")).collect();
    assert!(unnamed.len() < offer.len() && unnamed.contains("a=ssrc:"));
    network.exchange(&unnamed, ALICE);
    network.send_media(ALICE, section, None, packet(Codec::Vp8, 0, b"picture"));
    network.pass(Duration::from_millis(200));
    assert_eq!(network.packets(BOB).len(), 1);
}

#[test]
fn packets_that_nobody_should_send_are_refused_or_carried() {
    let mut network = Network::connected(52);
    let section = network.add(ALICE, &camera("cam", &["q", "f"]));
    let audio = network.add(ALICE, &microphone("mic"));
    network.agree(ALICE);
    let full = Some(Layer::new("f"));
    let mut send =
        |section, layer, packet| network.peers[ALICE].send_packet(network.now, section, layer, packet);
    assert_eq!(send(section, full, packet(Codec::Vp8, 0, b"")), Err(SendError::Empty));
    for size in [PAYLOAD_SIZE_MAX + 1, 1_500, 100_000] {
        assert_eq!(send(section, full, packet(Codec::Vp8, 0, &vec![0; size])), Err(SendError::TooLarge));
    }
    for (section, layer, codec) in [
        (section, None, Codec::Vp8),
        (section, Some(Layer::new("x")), Codec::Vp8),
        (section, full, Codec::Opus),
        (audio, full, Codec::Opus),
        (Section(77), None, Codec::Opus),
    ] {
        assert_eq!(send(section, layer, packet(codec, 0, b"?")), Err(SendError::NotOpen));
    }
    let odd = PacketOut {
        rotation_degrees: Some(u16::MAX),
        audio_level: Some(AudioLevel { level_dbov: 255, is_voice: true }),
        captured: Some(network.now + Duration::from_secs(100)),
        ..packet(Codec::Vp8, u64::MAX, &[0; PAYLOAD_SIZE_MAX])
    };
    for sequence in [u64::MAX - 5, u64::MAX, 0, 70_000, u64::MAX / 2, u64::MAX - 2] {
        assert_eq!(send(section, full, PacketOut { sequence, ..odd.clone() }), Ok(()));
    }
    assert_eq!(send(audio, None, PacketOut { codec: Codec::Opus, ..odd }), Ok(()));
    network.pass(Duration::from_secs(1));
    assert!(network.peers.iter().all(|peer| peer.is_connected()), "{:?}", network.said);
    assert!(network.packets(BOB).len() >= 3);
}

#[test]
fn an_ice_restart_keeps_the_media() {
    let mut network = Network::connected(53);
    let section = network.add(ALICE, &camera("cam", &["q", "f"]));
    network.agree(ALICE);
    let mut source = Source::new(section, Some(Layer::new("f")));
    for picture in 0..60 {
        source.picture(&mut network, ALICE, 2);
        network.pass(PICTURE_TIME);
        if picture == 30 {
            network.add(ALICE, &microphone("mic"));
            let offer = network.peers[ALICE].restart_ice(network.now).expect("an offer");
            network.exchange(&offer, ALICE);
            network.run(Duration::from_secs(5), |network| network.count(ALICE, &Output::Connected) == 2);
        }
    }
    network.pass(Duration::from_secs(1));
    assert_eq!(network.packets(BOB).len() as u64, source.next);
    assert_eq!(source.refused, 0);
    assert!(network.info(BOB, "mic").is_sending);
}

#[test]
fn a_closed_peer_sends_no_media_and_says_so() {
    let mut network = Network::connected(54);
    let section = network.add(ALICE, &microphone("mic"));
    network.agree(ALICE);
    network.send_media(ALICE, section, None, packet(Codec::Opus, 0, b"last"));
    let now = network.now;
    let alice = &mut network.peers[ALICE];
    alice.close(now);
    assert_eq!(alice.send_packet(now, section, None, packet(Codec::Opus, 1, b"?")), Err(SendError::NotOpen));
    assert_eq!(alice.add_sending(now, &microphone("other")), Err(RtcError::Over));
    assert_eq!(
        (alice.needs_offer(), alice.sending_codec(section), alice.statistics().len()),
        (false, None, 0)
    );
    alice.stop_sending(now, section);
    alice.request_key_frame(now, section, None);
    alice.set_bitrate(now, 1, 2);
    network
        .run(Duration::from_secs(2), |network| matches!(network.said[BOB].last(), Some(Output::Failed(_))));
}
