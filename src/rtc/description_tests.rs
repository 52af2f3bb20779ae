//! Session descriptions as other implementations write them, and as nobody should.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::simulation::{ALICE, BOB, Network};
use super::{DESCRIPTION_LINES_MAX, DESCRIPTION_SIZE_MAX, Layer, MediaKind, Output, Peer, RtcError, Sending};

/// What all sections of one description share.
const TRANSPORT: &str = "c=IN IP4 0.0.0.0\r
a=setup:actpass\r
a=ice-ufrag:kQhVxSbFfPzWmLrN\r
a=ice-pwd:tYhGbNmKjUiOpLaQwErTyUiOpAsDfGhJ\r
";

const CANDIDATES: &str = "a=candidate:3823412 1 udp 2130706431 192.0.2.9 50007 typ host ufrag kQhVxSbFfPzWmLrN\r
a=candidate:3823412 2 udp 2130706431 192.0.2.9 50007 typ host ufrag kQhVxSbFfPzWmLrN\r
a=candidate:1052353 1 tcp 1671430143 192.0.2.9 7881 typ host tcptype passive\r
a=candidate:1052354 1 udp 2122260223 5b0e7e3e-1111-4222-8333-0123456789ab.local 50008 typ host generation 0 ufrag kQhV network-id 1\r
a=end-of-candidates\r
";

/// The offer of a server built on pion, after a camera and a microphone were subscribed to.
pub(super) fn pion_offer(media: &[&str]) -> String {
    // Stopped sections are not in the group.
    let live = media.iter().enumerate().filter(|(_, section)| !section.starts_with("m=audio 0"));
    let mids: String = live.map(|(index, _)| format!(" {}", index + 1)).collect();
    let mut offer = format!(
        "v=0\r
o=- 4858251974351650128 1719220000 IN IP4 0.0.0.0\r
s=-\r
t=0 0\r
a=msid-semantic:WMS *\r
a=fingerprint:sha-256 0F:74:31:25:CB:A2:13:EC:28:6F:6D:2C:61:FF:5D:C2:BC:B9:DB:3D:98:14:8D:1A:BB:EA:33:0C:A4:60:A8:8E\r
a=extmap-allow-mixed\r
a=ice-lite\r
a=group:BUNDLE 0{mids}\r
m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r
{TRANSPORT}a=mid:0\r
a=sendrecv\r
a=sctp-port:5000\r
a=max-message-size:1073741823\r
{CANDIDATES}"
    );
    for (index, section) in media.iter().enumerate() {
        let (first, rest) = section.split_once('\n').expect("several lines");
        offer += &format!("{first}\n{TRANSPORT}a=mid:{}\r\n{rest}", index + 1);
    }
    offer
}

const AUDIO: &str = "m=audio 9 UDP/TLS/RTP/SAVPF 63 111\r
a=rtcp-mux\r
a=rtcp-rsize\r
a=rtpmap:63 red/48000/2\r
a=fmtp:63 111/111\r
a=rtpmap:111 opus/48000/2\r
a=fmtp:111 minptime=10;useinbandfec=1\r
a=rtcp-fb:111 nack \r
a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid\r
a=extmap:4 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r
a=ssrc:2596996162 cname:PA_x|TR_y\r
a=ssrc:2596996162 msid:PA_x|TR_y TR_y\r
a=msid:PA_x|TR_y TR_y\r
a=sendonly\r
";

pub(super) const VIDEO: &str = "m=video 9 UDP/TLS/RTP/SAVPF 96 97 125 107\r
a=rtcp-mux\r
a=rtcp-rsize\r
a=rtpmap:96 VP8/90000\r
a=rtcp-fb:96 goog-remb \r
a=rtcp-fb:96 transport-cc \r
a=rtcp-fb:96 ccm fir\r
a=rtcp-fb:96 nack pli\r
a=rtpmap:97 rtx/90000\r
a=fmtp:97 apt=96\r
a=rtpmap:125 H264/90000\r
a=fmtp:125 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f\r
a=rtpmap:107 rtx/90000\r
a=fmtp:107 apt=125\r
a=extmap:2 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01\r
a=extmap:5 https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension\r
a=ssrc-group:FID 3221225472 3221225473\r
a=ssrc:3221225472 cname:PA_x|TR_z\r
a=ssrc:3221225473 cname:PA_x|TR_z\r
a=msid:PA_x|TR_z TR_z\r
a=sendonly\r
";

/// A section with no format that anybody here knows.
const FOREIGN_VIDEO: &str = "m=video 9 UDP/TLS/RTP/SAVPF 120\r
a=rtcp-mux\r
a=rtpmap:120 X-NEXT/90000\r
a=rid:q send\r
a=rid:h send\r
a=simulcast:send q;h\r
a=sendrecv\r
";

/// One that the other side has stopped.
const STOPPED_AUDIO: &str = "m=audio 0 UDP/TLS/RTP/SAVPF 111\r
a=rtcp-mux\r
a=rtpmap:111 opus/48000/2\r
a=inactive\r
";

fn bob() -> (Instant, Peer) {
    let now = Instant::now();
    (now, Peer::new(now, &["192.0.2.2:5002".parse().expect("an address")]))
}

pub(super) fn sections<'a>(sdp: &'a str, start: &str) -> Vec<&'a str> {
    sdp.lines().filter(|line| line.starts_with(start)).collect()
}

#[test]
fn an_offer_with_audio_and_video_is_answered_section_by_section() {
    let (now, mut bob) = bob();
    let offer = pion_offer(&[AUDIO, VIDEO, FOREIGN_VIDEO, STOPPED_AUDIO]);
    let answer = bob.accept_offer(now, &offer).expect("an answer");
    // Port 0 refuses a section: the one without a known format, and the one that was stopped.
    let kinds = sections(&answer, "m=").into_iter().filter_map(|line| line.split(" UDP/").next());
    let kinds: Vec<_> = kinds.collect();
    assert_eq!(kinds, ["m=application 9", "m=audio 9", "m=video 9", "m=video 0", "m=audio 0"]);
    assert_eq!(sections(&answer, "a=group:"), ["a=group:BUNDLE 0 1 2"]);
    assert_eq!(sections(&answer, "a=mid:"), ["a=mid:0", "a=mid:1", "a=mid:2", "a=mid:3", "a=mid:4"]);
    assert_eq!(sections(&answer, "a=sctp-port:"), ["a=sctp-port:5000"]);
    assert!(!answer.contains("actpass"), "an answer must choose its DTLS role");
    assert!(!answer.contains("a=sendonly"), "nothing is sent that nobody asked for");
}

#[test]
fn a_candidate_in_a_description_is_used_whatever_the_order_of_its_extensions() {
    let (now, mut bob) = bob();
    let line = "a=candidate:1 1 udp 2122260223 192.0.2.77 50009 typ host generation 0 ufrag kQhVxSbFfPzWmLrN network-id 1 network-cost 10\r\n";
    let offer = pion_offer(&[]).replace("a=ice-lite\r\n", "").replace(CANDIDATES, line);
    bob.accept_offer(now, &offer).expect("an answer");
    let mut targets = Vec::new();
    for tick in 0..20 {
        bob.handle_timeout(now + Duration::from_millis(50 * tick));
        while let Some(output) = bob.poll() {
            if let Output::Transmit(datagram) = output {
                targets.push(datagram.remote);
            }
        }
    }
    assert!(targets.contains(&"192.0.2.77:50009".parse().expect("an address")), "{targets:?}");
}

#[test]
fn more_media_in_a_later_offer_leaves_the_channels_alone() {
    let mut network = Network::connected(3);
    let offer = network.peers[ALICE].restart_ice(network.now).expect("an offer");
    let with_audio = format!(
        "{}{}",
        offer.replacen("a=group:BUNDLE ", "a=group:BUNDLE extra ", 1),
        AUDIO.replacen('\n', &format!("\n{TRANSPORT}a=mid:extra\r\n"), 1)
    );
    // The order in the group is that of the sections.
    let mids = sections(&offer, "a=group:BUNDLE ")[0].to_owned();
    let with_audio =
        with_audio.replacen(&mids.replacen("BUNDLE ", "BUNDLE extra ", 1), &format!("{mids} extra"), 1);
    let answer = network.peers[BOB].accept_offer(network.now, &with_audio).expect("an answer");
    assert_eq!(sections(&answer, "m=").len(), 2);
    assert!(!network.said[BOB].iter().any(|said| matches!(said, Output::Failed(_))));
}

#[test]
fn descriptions_out_of_turn_are_refused() {
    let (now, mut bob) = bob();
    assert_eq!(bob.accept_answer(now, &pion_offer(&[])), Err(RtcError::NotOffered));
    let offer = bob.offer(now).expect("an offer");
    assert_eq!(bob.offer(now), Ok(offer), "an offer that waits for its answer is the same one");

    let mut network = Network::connected(4);
    let now = network.now;
    assert_eq!(network.peers[ALICE].offer(now), Err(RtcError::NothingToOffer));
    network.peers[ALICE].close(now);
    assert_eq!(network.peers[ALICE].accept_offer(now, &pion_offer(&[])), Err(RtcError::Over));
    assert_eq!(network.peers[ALICE].restart_ice(now), Err(RtcError::Over));
}

#[test]
fn a_broken_answer_leaves_the_offer_standing() {
    let mut network = Network::new(5);
    let offer = network.peers[ALICE].offer(network.now).expect("an offer");
    assert!(matches!(network.peers[ALICE].accept_answer(network.now, "v=0"), Err(RtcError::Malformed(_))));
    network.exchange(&offer, ALICE);
    network.run(Duration::from_secs(5), Network::all_open);
}

#[test]
fn a_description_of_unreasonable_size_is_not_looked_at() {
    let (now, mut bob) = bob();
    let long_line = pion_offer(&[]) + "a=" + &"x".repeat(DESCRIPTION_SIZE_MAX);
    let many_lines = pion_offer(&[]) + &"a=x\n".repeat(DESCRIPTION_LINES_MAX);
    assert!(many_lines.len() < DESCRIPTION_SIZE_MAX);
    for huge in [long_line, many_lines] {
        assert_eq!(bob.accept_offer(now, &huge), Err(RtcError::TooLarge));
        assert_eq!(bob.accept_answer(now, &huge), Err(RtcError::TooLarge));
    }
}

/// Offers it to a fresh peer and sees what becomes of it: a refusal, or an answer of a peer that still works.
fn try_offer(sdp: &str) {
    let (now, mut bob) = bob();
    let defect = |bob: &mut Peer| {
        let mut said = std::iter::from_fn(|| bob.poll());
        said.any(|output| matches!(output, Output::Failed(text) if text.contains("defect")))
    };
    let _ = bob.accept_offer(now, sdp);
    for tick in 1..5 {
        bob.handle_timeout(now + Duration::from_millis(50 * tick));
    }
    assert!(!defect(&mut bob), "str0m panicked on {sdp:?}");
    let (now, mut alice) = self::bob();
    let _ = alice.offer(now);
    let _ = alice.accept_answer(now, sdp);
    assert!(!defect(&mut alice), "str0m panicked on {sdp:?}");
}

/// Answers of a peer to an offer with media, spoilt on the way.
fn try_answer(spoil: impl Fn(&str) -> String) {
    let (now, mut alice) = bob();
    let camera = Sending {
        kind: MediaKind::Video,
        codecs: Vec::new(),
        stream_id: "stream".into(),
        track_id: "track".into(),
        layers: vec![Layer::new("q"), Layer::new("f")],
        is_stereo: false,
        uses_dtx: false,
    };
    let microphone = Sending { kind: MediaKind::Audio, layers: Vec::new(), ..camera.clone() };
    for sending in [&camera, &microphone] {
        alice.add_sending(now, sending).expect("a section");
    }
    let offer = alice.offer(now).expect("an offer");
    let (_, mut other) = bob();
    let answer = spoil(&other.accept_offer(now, &offer).expect("an answer"));
    let _ = alice.accept_answer(now, &answer);
    let _ = alice.offer(now);
    let _ = alice.accept_offer(now, &answer);
    let said: Vec<_> = std::iter::from_fn(|| alice.poll()).collect();
    let is_defect = |said: &Output| matches!(said, Output::Failed(text) if text.contains("defect"));
    assert!(!said.iter().any(is_defect), "str0m panicked on {answer:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_text_offered_makes_a_peer_panic(text in any::<String>()) {
        try_offer(&text);
        try_offer(&format!("v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n{text}"));
    }

    #[test]
    fn no_mutilated_offer_makes_a_peer_panic(cut in 0_usize..4000, from in 0_usize..4000, to in 0_usize..4000, text in "[ -~]{0,12}") {
        let offer = pion_offer(&[AUDIO, VIDEO, FOREIGN_VIDEO]);
        let place = |at: usize| at % offer.len();
        try_offer(&offer[..place(cut)]);
        // One stretch replaced by something else.
        let (from, to) = (place(from).min(place(to)), place(from).max(place(to)));
        try_offer(&format!("{}{text}{}", &offer[..from], &offer[to..]));
        // A few characters overwritten.
        let end = (from + text.len()).min(offer.len());
        try_offer(&format!("{}{text}{}", &offer[..from], &offer[end..]));
    }

    #[test]
    fn no_shuffled_offer_makes_a_peer_panic(order in proptest::collection::vec(0_usize..200, 1..120)) {
        let offer = pion_offer(&[AUDIO, VIDEO, FOREIGN_VIDEO, STOPPED_AUDIO]);
        let lines: Vec<_> = offer.lines().collect();
        let shuffled: String = order.iter().map(|at| format!("{}\r\n", lines[at % lines.len()])).collect();
        try_offer(&shuffled);
        let header = offer.split("m=").next().unwrap_or_default();
        try_offer(&format!("{header}{shuffled}"));
    }
    #[test]
    fn no_mutilated_answer_makes_a_peer_panic(from in 0_usize..6000, to in 0_usize..6000, text in "[ -~]{0,12}", order in proptest::collection::vec(0_usize..200, 1..120)) {
        try_answer(|answer| {
            let (from, to) = (from % answer.len(), to % answer.len());
            let (from, to) = (from.min(to), from.max(to));
            format!("{}{text}{}", &answer[..from], &answer[to..])
        });
        try_answer(|answer| {
            let from = from % answer.len();
            let end = (from + text.len()).min(answer.len());
            format!("{}{text}{}", &answer[..from], &answer[end..])
        });
        try_answer(|answer| {
            let (head, body) = answer.split_at(answer.find("m=").unwrap_or(0));
            let lines: Vec<_> = body.lines().collect();
            let shuffled: String = order.iter().map(|at| format!("{}\r\n", lines[at % lines.len()])).collect();
            format!("{head}{shuffled}")
        });
    }
}
