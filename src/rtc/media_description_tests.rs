//! Media sections as LiveKit's server and browsers write them.

use std::time::Instant;

use super::description_tests::{VIDEO, pion_offer, sections};
use super::simulation::{ALICE, Network};
use super::{Codec, Layer, MediaKind, Output, Peer, SectionInfo, Sending};

/// A camera in three layers, as a browser offers it: by names alone.
const BROWSER_VIDEO: &str = "m=video 9 UDP/TLS/RTP/SAVPF 96 97 102 103 104 105 106 107 98 99 45 46\r
a=rtcp:9 IN IP4 0.0.0.0\r
a=extmap:1 urn:ietf:params:rtp-hdrext:toffset\r
a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time\r
a=extmap:3 urn:3gpp:video-orientation\r
a=extmap:4 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01\r
a=extmap:5 http://www.webrtc.org/experiments/rtp-hdrext/playout-delay\r
a=extmap:9 urn:ietf:params:rtp-hdrext:sdes:mid\r
a=extmap:10 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r
a=extmap:11 urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id\r
a=sendonly\r
a=msid:- 8b1c3c52-7c0d-4a0f-8f59-0d3b2f8f5f11\r
a=rtcp-mux\r
a=rtcp-rsize\r
a=rtpmap:96 VP8/90000\r
a=rtcp-fb:96 goog-remb\r
a=rtcp-fb:96 transport-cc\r
a=rtcp-fb:96 ccm fir\r
a=rtcp-fb:96 nack\r
a=rtcp-fb:96 nack pli\r
a=rtpmap:97 rtx/90000\r
a=fmtp:97 apt=96\r
a=rtpmap:102 H264/90000\r
a=rtcp-fb:102 transport-cc\r
a=rtcp-fb:102 nack\r
a=rtcp-fb:102 nack pli\r
a=fmtp:102 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f\r
a=rtpmap:103 rtx/90000\r
a=fmtp:103 apt=102\r
a=rtpmap:104 H264/90000\r
a=rtcp-fb:104 transport-cc\r
a=rtcp-fb:104 nack\r
a=fmtp:104 level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42001f\r
a=rtpmap:105 rtx/90000\r
a=fmtp:105 apt=104\r
a=rtpmap:106 H264/90000\r
a=rtcp-fb:106 transport-cc\r
a=rtcp-fb:106 nack\r
a=fmtp:106 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f\r
a=rtpmap:107 rtx/90000\r
a=fmtp:107 apt=106\r
a=rtpmap:98 VP9/90000\r
a=rtcp-fb:98 transport-cc\r
a=rtcp-fb:98 nack\r
a=fmtp:98 profile-id=0\r
a=rtpmap:99 rtx/90000\r
a=fmtp:99 apt=98\r
a=rtpmap:45 AV1/90000\r
a=rtcp-fb:45 transport-cc\r
a=rtcp-fb:45 nack\r
a=fmtp:45 level-idx=5;profile=0;tier=0\r
a=rtpmap:46 rtx/90000\r
a=fmtp:46 apt=45\r
a=rid:q send\r
a=rid:h send\r
a=rid:f send\r
a=simulcast:send q;h;f\r
";

fn bob() -> (Instant, Peer) {
    let now = Instant::now();
    (now, Peer::new(now, &["192.0.2.2:5002".parse().expect("an address")]))
}

/// What the peer has to say of sections.
fn infos(peer: &mut Peer) -> Vec<SectionInfo> {
    let said = std::iter::from_fn(|| peer.poll());
    let infos = said.filter_map(|said| match said {
        Output::Section(info) => Some(info),
        Output::Failed(text) => panic!("{text}"),
        _ => None,
    });
    infos.collect()
}

#[test]
fn a_browsers_layers_are_accepted_by_name() {
    let (now, mut bob) = bob();
    let answer = bob.accept_offer(now, &pion_offer(&[BROWSER_VIDEO])).expect("an answer");
    let infos = infos(&mut bob);
    assert_eq!(infos.len(), 1);
    assert_eq!(infos[0].layers, ["q", "h", "f"].map(Layer::new));
    assert_eq!(infos[0].track_id, "8b1c3c52-7c0d-4a0f-8f59-0d3b2f8f5f11");
    assert_eq!(bob.mid(infos[0].section).as_deref(), Some("1"));
    assert_eq!(sections(&answer, "a=rid:"), ["a=rid:q recv", "a=rid:h recv", "a=rid:f recv"]);
    assert_eq!(sections(&answer, "a=simulcast:"), ["a=simulcast:recv q;h;f"]);
    // All of the codecs that both know, whatever their numbers.
    for map in ["96 VP8", "102 H264", "104 H264", "106 H264", "98 VP9", "45 AV1", "97 rtx"] {
        assert!(answer.contains(&format!("a=rtpmap:{map}/90000\r\n")), "{map} in {answer}");
    }
}

#[test]
fn a_section_that_livekit_uses_again_is_told_with_its_new_track() {
    let (now, mut bob) = bob();
    bob.accept_offer(now, &pion_offer(&[VIDEO])).expect("an answer");
    let first = infos(&mut bob).remove(0);
    assert_eq!(
        (first.stream_id.as_str(), first.track_id.as_str(), first.is_sending),
        ("PA_x|TR_z", "TR_z", true)
    );
    bob.accept_offer(now, &pion_offer(&[VIDEO])).expect("an answer");
    assert_eq!(infos(&mut bob), [], "the same again is no news");

    bob.accept_offer(now, &pion_offer(&[&VIDEO.replace("a=sendonly", "a=inactive")])).expect("an answer");
    let silent = infos(&mut bob).remove(0);
    assert_eq!((silent.section, silent.is_sending), (first.section, false));

    let other = VIDEO.replace("TR_z", "TR_new").replace("3221225472", "77").replace("3221225473", "78");
    let answer = bob.accept_offer(now, &pion_offer(&[&other])).expect("an answer");
    let second = infos(&mut bob).remove(0);
    assert_eq!(
        (second.section, second.track_id.as_str(), second.is_sending),
        (first.section, "TR_new", true)
    );
    assert!(answer.contains("a=recvonly"), "{answer}");
}

#[test]
fn a_section_whose_place_another_takes_is_over() {
    let (now, mut bob) = bob();
    bob.accept_offer(now, &pion_offer(&[VIDEO])).expect("an answer");
    let first = infos(&mut bob).remove(0);
    let stopped = pion_offer(&[VIDEO]).replace("m=video 9", "m=video 0").replace("BUNDLE 0 1", "BUNDLE 0");
    bob.accept_offer(now, &stopped).expect("an answer");
    let silent = infos(&mut bob).remove(0);
    assert_eq!((silent.section, silent.is_sending), (first.section, false));
    let other = pion_offer(&[&VIDEO.replace("TR_z", "TR_new")]);
    let other = other.replace("a=mid:1", "a=mid:9").replace("BUNDLE 0 1", "BUNDLE 0 9");
    bob.accept_offer(now, &other).expect("an answer");
    let infos = infos(&mut bob);
    assert_eq!(infos.len(), 1, "{infos:?}");
    assert_ne!(infos[0].section, first.section);
    assert_eq!(bob.mid(infos[0].section).as_deref(), Some("9"));
}

/// LiveKit's answer to a camera in three layers, made from the offer as pion makes it: the codec that the room allows,
/// the layers by name, nothing of its own to send.
fn pion_answer(offer: &str, codecs: &[&str]) -> String {
    let head: String = offer
        .split_inclusive('\n')
        .take_while(|line| !line.starts_with("m="))
        .filter(|line| !line.starts_with("a=msid-semantic"))
        .collect();
    let mut answer = head;
    let mut kept = Vec::new();
    for text in offer.split("\nm=").skip(1) {
        let format = text.lines().find_map(|line| {
            let (format, name) = line.strip_prefix("a=rtpmap:")?.split_once(' ')?;
            let is_taken = name.starts_with("opus") || codecs.iter().any(|codec| name.starts_with(codec));
            is_taken.then_some(format)
        });
        let repair = text.lines().find_map(|line| {
            let (repair, params) = line.strip_prefix("a=fmtp:")?.split_once(' ')?;
            (params == format!("apt={}", format?)).then_some(repair)
        });
        for line in format!("m={text}").lines().map(str::trim_end) {
            if line.starts_with("m=application") {
                kept.clear();
                answer += &format!("{line}\r\n");
            } else if line.starts_with("m=") {
                kept = format.into_iter().chain(repair).collect();
                let fixed: Vec<_> = line.split(' ').take(3).collect();
                answer += &format!("{} {}\r\n", fixed.join(" "), kept.join(" "));
            } else if let Some(rest) = line.strip_prefix("a=rid:") {
                answer += &format!("a=rid:{}\r\n", rest.replace("send", "recv"));
            } else if line.starts_with("a=simulcast:") {
                answer += &format!("{}\r\n", line.replace("send", "recv"));
            } else {
                let named = ["a=rtpmap:", "a=fmtp:", "a=rtcp-fb:"]
                    .into_iter()
                    .find_map(|name| line.strip_prefix(name));
                let is_dropped = named
                    .is_some_and(|rest| !kept.iter().any(|kept| rest.starts_with(&format!("{kept} "))))
                    || line.starts_with("a=ssrc")
                    || line.starts_with("a=msid")
                    || line.starts_with("a=candidate");
                if !is_dropped {
                    let line =
                        line.replace("a=sendonly", "a=recvonly").replace("a=setup:actpass", "a=setup:active");
                    answer += &format!("{line}\r\n");
                }
            }
        }
    }
    answer
}

#[test]
fn livekits_answer_opens_what_it_takes() {
    let mut network = Network::new(60);
    let now = network.now;
    let alice = &mut network.peers[ALICE];
    let camera = Sending {
        kind: MediaKind::Video,
        codecs: vec![Codec::Vp9, Codec::Vp8],
        stream_id: "camera".into(),
        track_id: "cid".into(),
        layers: ["q", "h", "f"].map(Layer::new).to_vec(),
        is_stereo: false,
        uses_dtx: false,
    };
    let microphone = Sending {
        kind: MediaKind::Audio,
        codecs: Vec::new(),
        layers: Vec::new(),
        is_stereo: true,
        uses_dtx: false,
        ..camera.clone()
    };
    let video = alice.add_sending(now, &camera).expect("a section");
    let audio = alice.add_sending(now, &microphone).expect("a section");
    let offer = alice.offer(now).expect("an offer");
    assert_eq!(sections(&offer, "a=simulcast:"), ["a=simulcast:send q;h;f"]);
    assert_eq!(offer.matches("a=msid:camera cid\r\n").count(), 2, "{offer}");
    // An answer must not have the credentials of the offer.
    let answer = pion_answer(&offer, &["VP8"]).replace("a=ice-ufrag:", "a=ice-ufrag:x");
    alice.accept_answer(now, &answer).expect("an agreement");
    // Not connected, so nothing can be sent; but it is agreed on.
    assert_eq!(alice.sending_codec(video), Some(Codec::Vp8));
    assert_eq!(alice.sending_codec(audio), Some(Codec::Opus));
    assert_eq!(alice.sending_layers(video), camera.layers);
    assert!(!alice.needs_offer());

    // One more section later: what was agreed on stands as it was.
    let third =
        alice.add_sending(now, &Sending { track_id: "third".into(), ..microphone }).expect("a section");
    let offer = alice.offer(now).expect("an offer");
    let formats: Vec<_> =
        sections(&offer, "m=video").iter().flat_map(|line| line.split(' ').skip(3)).collect();
    assert_eq!(formats.len(), 2, "VP8 and its repair: {formats:?}");
    let answer = pion_answer(&offer, &["VP8"]).replace("a=ice-ufrag:", "a=ice-ufrag:x");
    alice.accept_answer(now, &answer).expect("an agreement");
    assert_eq!(alice.sending_codec(third), Some(Codec::Opus));
    assert_eq!(alice.sending_layers(video), camera.layers);

    // Refused: port 0.
    alice.stop_sending(now, third);
    let fourth =
        alice.add_sending(now, &Sending { track_id: "fourth".into(), codecs: vec![Codec::Av1], ..camera });
    let fourth = fourth.expect("a section");
    let offer = alice.offer(now).expect("an offer");
    let answer = pion_answer(&offer, &["VP8", "AV1"]).replace("a=ice-ufrag:", "a=ice-ufrag:x");
    let refused = answer.rfind("m=video 9").expect("a section");
    let mid = sections(&answer[refused..], "a=mid:")[0].replace("a=mid:", " ");
    let answer = format!("{}{}", &answer[..refused], answer[refused..].replacen("m=video 9", "m=video 0", 1));
    let answer = answer.replacen(&mid, "", 1);
    alice.accept_answer(now, &answer).expect("an agreement");
    assert_eq!(alice.sending_codec(fourth), None);
    assert!(!alice.needs_offer(), "a refusal is an answer");
    assert!(infos(alice).is_empty(), "the other side sends nothing");
}

#[test]
fn without_layers_in_the_answer_the_best_one_is_sent_alone() {
    let mut network = Network::connected(61);
    let now = network.now;
    let alice = &mut network.peers[ALICE];
    let camera = Sending {
        kind: MediaKind::Video,
        codecs: Vec::new(),
        stream_id: String::new(),
        track_id: String::new(),
        layers: ["q", "f"].map(Layer::new).to_vec(),
        is_stereo: false,
        uses_dtx: false,
    };
    let section = alice.add_sending(now, &camera).expect("a section");
    let offer = alice.offer(now).expect("an offer");
    let answer: String = pion_answer(&offer, &["VP8"])
        .split_inclusive('\n')
        .filter(|line| !line.starts_with("a=rid:") && !line.starts_with("a=simulcast:"))
        .collect();
    let theirs = network.peers[1].accept_offer(now, &offer).expect("an answer");
    let credentials =
        |sdp: &str| sections(sdp, "a=ice-ufrag:")[0].to_owned() + "\r\n" + sections(sdp, "a=ice-pwd:")[0];
    let answer = answer.replace(&credentials(&offer), &credentials(&theirs));
    let alice = &mut network.peers[ALICE];
    alice.accept_answer(now, &answer).expect("an agreement");
    assert_eq!(alice.sending_layers(section), [Layer::new("f")]);
}
