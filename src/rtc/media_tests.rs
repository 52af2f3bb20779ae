//! Media over a peer connection: agreed on, sent, lost, asked for again, and ended.

use std::sync::Arc;
use std::time::Duration;

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
    }
}

fn packet(codec: Codec, sequence: u64, payload: &[u8]) -> PacketOut {
    PacketOut {
        codec,
        sequence,
        timestamp: sequence as u32 * 960,
        is_marked: true,
        payload: Arc::from(payload),
        audio_level: None,
        rotation_degrees: None,
        is_resendable: codec.kind() == MediaKind::Video,
        captured: None,
    }
}

impl Network {
    fn send(&mut self, peer: usize, section: Section, layer: Option<Layer>, packet: PacketOut) {
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
        for sequence in 0..20 {
            let level = AudioLevel { level_dbov: 30 + sequence as u8, is_voice: sequence % 2 == 0 };
            let sound =
                PacketOut { audio_level: Some(level), ..packet(Codec::Opus, sequence, &[1, 2, peer as u8]) };
            network.send(peer, *audio, None, sound);
            let picture =
                PacketOut { rotation_degrees: Some(90), ..packet(Codec::Vp8, 65_530 + sequence, &[7; 1000]) };
            network.send(peer, *video, None, picture);
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
            let level = AudioLevel { level_dbov: 30 + number as u8, is_voice: number % 2 == 0 };
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
            network.send(ALICE, section, Some(layer), packet(Codec::Vp8, sequence, payload.as_bytes()));
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
