//! The media sections of a description as text.
//!
//! str0m does not show a changed `a=msid` (LiveKit's server uses a section again for another track), offers every codec
//! that it knows in one order, and would take part in whatever direction the other side proposes. So the descriptions
//! are read here too, and a few lines are changed before str0m or the other side sees them. What cannot be understood
//! is left as it is: refusing it is str0m's.

use std::fmt::Write;

use super::media::{Codec, Layer, MediaKind, Sending};

/// How many layers of a section are looked at. Nobody sends more than three, and everything that is done for a section is done
/// for each of its layers.
const LAYERS_MAX: usize = 4;

/// The same of its streams: each layer with its repair, twice while one replaces another.
const SSRCS_MAX: usize = 32;

/// One section as the side that wrote the description sees it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct SectionText<'a> {
    /// `None`: neither sound nor picture.
    pub kind: Option<MediaKind>,
    pub mid: &'a str,
    pub is_sending: bool,
    pub stream_id: &'a str,
    pub track_id: &'a str,
    /// Those that are sent.
    pub layers: Vec<Layer>,
    pub ssrcs: Vec<u32>,
    /// Its Opus has two channels.
    pub is_stereo: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    SendRecv,
    SendOnly,
    RecvOnly,
    Inactive,
}

impl Direction {
    fn read(line: &str) -> Option<Self> {
        match line {
            "a=sendrecv" => Some(Self::SendRecv),
            "a=sendonly" => Some(Self::SendOnly),
            "a=recvonly" => Some(Self::RecvOnly),
            "a=inactive" => Some(Self::Inactive),
            _ => None,
        }
    }

    fn line(self) -> &'static str {
        match self {
            Self::SendRecv => "a=sendrecv\r\n",
            Self::SendOnly => "a=sendonly\r\n",
            Self::RecvOnly => "a=recvonly\r\n",
            Self::Inactive => "a=inactive\r\n",
        }
    }
}

/// The sections of a description, in order, each with the text it was read from.
pub(super) fn read(sdp: &str) -> Vec<SectionText<'_>> {
    let (head, sections) = split(sdp);
    let bundled = head.lines().find_map(|line| line.strip_prefix("a=group:BUNDLE"));
    sections.into_iter().map(|text| read_section(text, bundled)).collect()
}

fn read_section<'a>(text: &'a str, bundled: Option<&str>) -> SectionText<'a> {
    let mut section = SectionText { kind: kind(text), mid: mid(text), ..Default::default() };
    let mut direction = Direction::SendRecv;
    for line in text.lines() {
        direction = Direction::read(line).unwrap_or(direction);
        if let Some(words) = line.strip_prefix("a=msid:") {
            (section.stream_id, section.track_id) = msid(words);
        } else if let Some(rest) = line.strip_prefix("a=ssrc:") {
            let (ssrc, attribute) = rest.split_once(' ').unwrap_or((rest, ""));
            let is_news = |ssrc: &u32| section.ssrcs.len() < SSRCS_MAX && !section.ssrcs.contains(ssrc);
            section.ssrcs.extend(ssrc.parse::<u32>().ok().filter(is_news));
            if let (Some(words), "") = (attribute.strip_prefix("msid:"), section.track_id) {
                (section.stream_id, section.track_id) = msid(words);
            }
        } else if let Some((layer, "send")) = line.strip_prefix("a=rid:").and_then(rid) {
            let layer = Layer::new(layer);
            if section.layers.len() < LAYERS_MAX && !section.layers.contains(&layer) {
                section.layers.push(layer);
            }
        } else if is_opus_format(line) {
            section.is_stereo = line.contains("stereo=1");
        }
    }
    // Port 0 inside the group only means that the transport is that of another section (RFC 9143).
    let has_port = text.split(' ').nth(1).is_none_or(|port| port != "0");
    let is_bundled =
        || bundled.is_some_and(|mids| mids.split_ascii_whitespace().any(|mid| mid == section.mid));
    let is_rejected = !has_port && !is_bundled();
    section.is_sending = matches!(direction, Direction::SendRecv | Direction::SendOnly) && !is_rejected;
    section
}

/// What the other side has written, with directions that we can agree to: a section is for one direction. `is_ours`
/// tells of a section whether it is one that we send on.
pub(super) fn one_way(sdp: &str, is_ours: impl Fn(&str) -> bool) -> String {
    rewrite(sdp, |text, out| {
        let directions: Vec<_> = text.lines().filter_map(Direction::read).collect();
        let said = match directions.as_slice() {
            [] => Direction::SendRecv,
            [said] => *said,
            _ => return out.push_str(text),
        };
        let meant = match (said, is_ours(mid(text))) {
            (Direction::SendRecv, true) => Direction::RecvOnly,
            (Direction::SendRecv, false) => Direction::SendOnly,
            (Direction::RecvOnly, false) => Direction::Inactive,
            (said, _) => said,
        };
        for line in text.split_inclusive('\n') {
            match Direction::read(line.trim_end()) {
                Some(_) => out.push_str(meant.line()),
                None => out.push_str(line),
            }
        }
        if directions.is_empty() {
            out.push_str(meant.line());
        }
    })
}

/// An answer that asks for both channels where `is_stereo` says that they are offered: browsers send one otherwise.
pub(super) fn with_stereo(sdp: &str, is_stereo: impl Fn(&str) -> bool) -> String {
    rewrite(sdp, |text, out| {
        let is_stereo = is_stereo(mid(text));
        for line in text.split_inclusive('\n') {
            match is_stereo && is_opus_format(line) && !line.contains("stereo=1") {
                true => _ = write!(out, "{};stereo=1\r\n", line.trim_end()),
                false => out.push_str(line),
            }
        }
    })
}

/// An answer that names first, for each section of `offer`, the codec that `codec_of` finds for the name of its track: browsers
/// send what an answer names first, whatever they have announced. A codec that was not agreed on changes nothing.
pub fn preferring(answer: &str, offer: &str, codec_of: impl Fn(&str) -> Option<Codec>) -> String {
    let offered = read(offer);
    rewrite(answer, |text, out| {
        let track = offered.iter().find(|section| section.mid == mid(text)).map(|section| section.track_id);
        let preferred = track.and_then(&codec_of).map(|codec| formats(text, &[codec])).unwrap_or_default();
        let Some((first, rest)) = text.split_once('\n').filter(|_| !preferred.is_empty()) else {
            return out.push_str(text);
        };
        let words: Vec<_> = first.split_ascii_whitespace().collect();
        let (fixed, all) = words.split_at(words.len().min(3));
        let others = all.iter().copied().filter(|format| !preferred.contains(format));
        let formats: Vec<_> = preferred.iter().copied().chain(others).collect();
        _ = write!(out, "{} {}\r\n{rest}", fixed.join(" "), formats.join(" "));
    })
}

/// No other codec has this parameter.
fn is_opus_format(line: &str) -> bool {
    line.starts_with("a=fmtp:") && line.contains("useinbandfec")
}

/// What we are to say, with what `sending` finds for our sections: their codecs in order, their `a=msid`, their layers.
pub(super) fn with_sendings<'a>(sdp: &str, sending: impl Fn(&str) -> Option<&'a Sending>) -> String {
    rewrite(sdp, |text, out| match sending(mid(text)) {
        Some(sending) => with_sending(text, sending, out),
        None => out.push_str(text),
    })
}

fn with_sending(text: &str, sending: &Sending, out: &mut String) {
    let formats = formats(text, &sending.codecs);
    let msid = format!("{} {}", token(&sending.stream_id), token(&sending.track_id));
    let mut lines = text.split_inclusive('\n');
    let first = lines.next().unwrap_or_default();
    let fixed: Vec<_> = first.split_ascii_whitespace().take(3).collect();
    // A section whose formats are all strange to us is left alone: none at all would break the grammar.
    let kept = (!formats.is_empty()).then_some(&formats);
    match kept {
        Some(formats) => _ = write!(out, "{} {}\r\n", fixed.join(" "), formats.join(" ")),
        None => out.push_str(first),
    }
    for line in lines {
        let format = ["a=rtpmap:", "a=fmtp:", "a=rtcp-fb:"]
            .into_iter()
            .find_map(|prefix| line.strip_prefix(prefix))
            .and_then(|rest| rest.split(' ').next());
        if kept.zip(format).is_some_and(|(kept, format)| !kept.contains(&format)) {
            continue;
        }
        if line.starts_with("a=msid:") {
            _ = write!(out, "a=msid:{msid}\r\n");
        } else if line.starts_with("a=ssrc") {
            // Layers go by their names alone. Whoever reads both would find a stream that is not there.
            if sending.layers.is_empty() {
                with_msid(line, &msid, out);
            }
        } else if is_opus_format(line) {
            let stereo = if sending.is_stereo { ";stereo=1;sprop-stereo=1" } else { "" };
            let dtx = if sending.uses_dtx { ";usedtx=1" } else { "" };
            _ = write!(out, "{}{stereo}{dtx}\r\n", line.trim_end());
        } else {
            out.push_str(line);
        }
    }
}

fn with_msid(line: &str, msid: &str, out: &mut String) {
    match line.split_once(" msid:") {
        Some((ssrc, _)) => _ = write!(out, "{ssrc} msid:{msid}\r\n"),
        None => out.push_str(line),
    }
}

/// The formats of a section that carry one of these codecs, in the order of the codecs, each with its repair format.
fn formats<'a>(text: &'a str, codecs: &[Codec]) -> Vec<&'a str> {
    let all = text.lines().next().unwrap_or_default().split_ascii_whitespace().skip(3);
    let maps: Vec<_> = attributes(text, "a=rtpmap:").collect();
    let params: Vec<_> = attributes(text, "a=fmtp:").collect();
    let codec_of = |format: &str| {
        let (_, map) = maps.iter().find(|(of, _)| *of == format)?;
        let codec = codec_named(map.split('/').next()?)?;
        let params = params.iter().find(|(of, _)| *of == format).map_or("", |(_, params)| params);
        // Our packets of H.264 are not what the other packetization modes allow.
        (codec != Codec::H264 || params.contains("packetization-mode=1")).then_some(codec)
    };
    let repairs = |format: &str| {
        let apt = format!("apt={format}");
        let found = params.iter().find(|(_, params)| params.split(';').any(|param| param.trim() == apt));
        found.map(|(repair, _)| *repair)
    };
    let any_codec = [Codec::Opus, Codec::Vp8, Codec::Vp9, Codec::H264, Codec::Av1];
    let codecs = if codecs.is_empty() { &any_codec } else { codecs };
    let all: Vec<_> = all.collect();
    let mut kept = Vec::new();
    for codec in codecs {
        for format in all.iter().filter(|format| codec_of(format) == Some(*codec)) {
            kept.push(*format);
            kept.extend(repairs(format).filter(|repair| all.contains(repair)));
        }
    }
    kept
}

fn codec_named(name: &str) -> Option<Codec> {
    let known = [
        ("opus", Codec::Opus),
        ("red", Codec::Red),
        ("VP8", Codec::Vp8),
        ("VP9", Codec::Vp9),
        ("H264", Codec::H264),
        ("AV1", Codec::Av1),
    ];
    known.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, codec)| codec)
}

/// The lines that begin like this, each as the format that it is about and the rest.
fn attributes<'a>(text: &'a str, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
    text.lines().filter_map(move |line| line.strip_prefix(prefix)?.split_once(' '))
}

/// A word as RFC 8830 allows it in `a=msid`; "-" where nothing is left.
pub(super) fn token(word: &str) -> String {
    const FORBIDDEN: &[u8] = b"\"(),/:;<=>?@[\\]";
    const TOKEN_SIZE_MAX: usize = 64;
    let allowed = |letter: &char| letter.is_ascii_graphic() && !FORBIDDEN.contains(&(*letter as u8));
    let token: String = word.chars().filter(allowed).take(TOKEN_SIZE_MAX).collect();
    if token.is_empty() { "-".into() } else { token }
}

fn msid(words: &str) -> (&str, &str) {
    let mut words = words.split_ascii_whitespace().map(|word| if word == "-" { "" } else { word });
    (words.next().unwrap_or_default(), words.next().unwrap_or_default())
}

/// `<layer> <direction>`, and what may follow.
fn rid(rest: &str) -> Option<(&str, &str)> {
    let mut words = rest.split_ascii_whitespace();
    Some((words.next()?, words.next()?))
}

fn kind(text: &str) -> Option<MediaKind> {
    match text.split(' ').next()? {
        "m=audio" => Some(MediaKind::Audio),
        "m=video" => Some(MediaKind::Video),
        _ => None,
    }
}

fn mid(text: &str) -> &str {
    text.lines().find_map(|line| line.strip_prefix("a=mid:")).unwrap_or_default().trim()
}

/// What stands before the first section, and the sections.
fn split(sdp: &str) -> (&str, Vec<&str>) {
    let mut starts: Vec<_> = sdp.match_indices("\nm=").map(|(at, _)| at + 1).collect();
    let head = &sdp[..starts.first().copied().unwrap_or(sdp.len())];
    starts.push(sdp.len());
    (head, starts.windows(2).map(|pair| &sdp[pair[0]..pair[1]]).collect())
}

/// The description with its sections of sound and picture as `change` writes them.
fn rewrite(sdp: &str, change: impl Fn(&str, &mut String)) -> String {
    let (head, sections) = split(sdp);
    let mut out = String::with_capacity(sdp.len());
    out.push_str(head);
    for text in sections {
        match kind(text) {
            Some(_) => change(text, &mut out),
            None => out.push_str(text),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OFFER: &str = "v=0\r
a=group:BUNDLE 0 a v\r
m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r
a=mid:0\r
a=sendrecv\r
m=audio 9 UDP/TLS/RTP/SAVPF 63 111\r
a=mid:a\r
a=rtpmap:63 red/48000/2\r
a=fmtp:63 111/111\r
a=rtpmap:111 opus/48000/2\r
a=fmtp:111 minptime=10;useinbandfec=1\r
a=msid:- mic\r
a=sendrecv\r
m=video 0 UDP/TLS/RTP/SAVPF 96 97 125 107 108\r
a=mid:v\r
a=rtpmap:96 VP8/90000\r
a=rtcp-fb:96 nack pli\r
a=rtpmap:97 rtx/90000\r
a=fmtp:97 apt=96\r
a=rtpmap:125 H264/90000\r
a=fmtp:125 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f\r
a=rtpmap:107 rtx/90000\r
a=fmtp:107 apt=125\r
a=rtpmap:108 H264/90000\r
a=fmtp:108 packetization-mode=0;profile-level-id=42e01f\r
a=rid:q send\r
a=rid:f send max-width=1280\r
a=rid:x recv\r
a=simulcast:send q;f\r
a=ssrc-group:FID 7 8\r
a=ssrc:7 cname:c\r
a=ssrc:7 msid:stream cam\r
a=ssrc:8 cname:c\r
";

    fn section_of<'a>(sdp: &'a str, wanted: &str) -> &'a str {
        let (_, sections) = split(sdp);
        sections.into_iter().find(|text| mid(text) == wanted).expect("the section")
    }

    fn sending(codecs: &[Codec]) -> Sending {
        Sending {
            kind: MediaKind::Video,
            codecs: codecs.to_vec(),
            stream_id: "PA_1|TR_2".into(),
            track_id: "a b/c".into(),
            layers: Vec::new(),
            is_stereo: false,
            uses_dtx: false,
        }
    }

    #[test]
    fn a_section_has_a_few_layers_and_streams_however_many_it_names() {
        let rids: String =
            (0..1000).map(|number| format!("a=rid:{number} send\r\na=rid:0 send\r\n")).collect();
        let ssrcs: String = (0..1000).map(|number| format!("a=ssrc:{number} cname:c\r\n")).collect();
        let sdp = format!("v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:v\r\n{rids}{ssrcs}");
        let [section] = &read(&sdp)[..] else { panic!("one section") };
        assert_eq!(section.layers, ["0", "1", "2", "3"].map(Layer::new));
        assert_eq!(section.ssrcs.len(), SSRCS_MAX);
    }

    #[test]
    fn what_a_section_says_is_found() {
        let sections = read(OFFER);
        assert_eq!(sections.iter().map(|section| section.mid).collect::<Vec<_>>(), ["0", "a", "v"]);
        assert_eq!((sections[1].stream_id, sections[1].track_id), ("", "mic"));
        let video = &sections[2];
        assert_eq!(video.layers, [Layer::new("q"), Layer::new("f")]);
        assert_eq!(video.ssrcs, [7, 8]);
        assert_eq!((video.stream_id, video.track_id), ("stream", "cam"));
        assert!(video.is_sending, "port 0 inside the group is no refusal");
        let rejected = OFFER.replace("BUNDLE 0 a v", "BUNDLE 0 a");
        assert!(!read(&rejected)[2].is_sending);
        assert!(!read(&OFFER.replace("a=sendrecv", "a=inactive"))[1].is_sending);
    }

    #[test]
    fn directions_become_those_of_one_way() {
        let theirs = one_way(OFFER, |_| false);
        assert_eq!(theirs.matches("a=sendrecv").count(), 1, "the data channels' section has none");
        assert_eq!(theirs.matches("a=sendonly").count(), 2, "the one without a direction is for both");
        let ours = one_way(&OFFER.replace("a=sendrecv", "a=recvonly"), |mid| mid == "v");
        assert!(section_of(&ours, "a").contains("a=inactive"));
        assert!(section_of(&ours, "v").contains("a=recvonly"));
    }

    #[test]
    fn only_the_wanted_codecs_stay_in_the_wanted_order() {
        let wanted = sending(&[Codec::H264, Codec::Vp8]);
        let offer = with_sendings(OFFER, |mid| (mid == "v").then_some(&wanted));
        let video = section_of(&offer, "v");
        assert!(video.starts_with("m=video 0 UDP/TLS/RTP/SAVPF 125 107 96 97\r\n"), "{video}");
        assert!(!video.contains(":108"), "{video}");
        assert!(video.contains("a=ssrc:7 msid:PA_1|TR_2 abc\r\n"), "{video}");
        assert!(video.contains("a=ssrc:8 cname:c\r\n"), "{video}");
        assert_eq!(section_of(&offer, "a"), section_of(OFFER, "a"));
        let none = sending(&[Codec::Av1]);
        let offer = with_sendings(OFFER, |_| Some(&none));
        assert!(offer.contains("m=video 0 UDP/TLS/RTP/SAVPF 96 97 125 107 108\r\n"), "{offer}");
    }

    #[test]
    fn an_answer_names_the_announced_codec_first() {
        let offer = OFFER.replace("a=ssrc:7 msid:stream cam", "a=msid:stream cam");
        let announced = |track: &str| (track == "cam").then_some(Codec::H264);
        let answer = preferring(OFFER, &offer, announced);
        let video = section_of(&answer, "v");
        assert!(video.starts_with("m=video 0 UDP/TLS/RTP/SAVPF 125 107 96 97 108\r\na=mid:v\r\n"), "{video}");
        assert_eq!(section_of(&answer, "a"), section_of(OFFER, "a"));
        assert_eq!(preferring(OFFER, &offer, |_| Some(Codec::Av1)), OFFER, "nothing was agreed on");
        assert_eq!(preferring(OFFER, &offer, |_| None), OFFER);
    }

    #[test]
    fn sound_is_offered_plain_and_with_as_many_channels_as_it_has() {
        let stereo = Sending { is_stereo: true, ..sending(&[]) };
        let offer = with_sendings(OFFER, |_| Some(&stereo));
        let audio = section_of(&offer, "a");
        assert!(audio.starts_with("m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"), "{audio}");
        assert!(!audio.contains("red"), "{audio}");
        assert!(
            audio.contains("a=fmtp:111 minptime=10;useinbandfec=1;stereo=1;sprop-stereo=1\r\n"),
            "{audio}"
        );
        assert!(audio.contains("a=msid:PA_1|TR_2 abc\r\n"), "{audio}");
    }

    #[test]
    fn an_offer_says_that_there_will_be_pauses() {
        let plain = sending(&[]);
        let pausing = Sending { uses_dtx: true, ..plain.clone() };
        let offer = with_sendings(OFFER, |_| Some(&pausing));
        let audio = section_of(&offer, "a");
        assert!(audio.contains("a=fmtp:111 minptime=10;useinbandfec=1;usedtx=1\r\n"), "{audio}");
        let steady = with_sendings(OFFER, |_| Some(&plain));
        assert!(!steady.contains("usedtx"), "{steady}");
    }

    #[test]
    fn two_channels_are_asked_for_where_they_are_offered() {
        let stereo = OFFER.replace("useinbandfec=1", "sprop-stereo=1;useinbandfec=1");
        let theirs = read(&stereo);
        assert_eq!(theirs.iter().map(|section| section.is_stereo).collect::<Vec<_>>(), [false, true, false]);
        let answer = with_stereo(OFFER, |mid| mid == "a");
        assert!(section_of(&answer, "a").contains("useinbandfec=1;stereo=1\r\n"), "{answer}");
        assert_eq!(with_stereo(OFFER, |_| false), OFFER);
    }

    #[test]
    fn layers_are_not_also_named_by_their_sources() {
        let layered = Sending { layers: vec![Layer::new("q")], ..sending(&[]) };
        let offer = with_sendings(OFFER, |_| Some(&layered));
        assert!(!section_of(&offer, "v").contains("a=ssrc"), "{offer}");
    }

    #[test]
    fn no_word_of_a_caller_breaks_a_line() {
        assert_eq!(token("a\r\nb=c ü\"x"), "abcx");
        assert_eq!(token(" \n"), "-");
        assert_eq!(token(&"x".repeat(100)).len(), 64);
    }

    proptest! {
        #[test]
        fn any_text_is_read_and_rewritten(text in any::<String>(), at in 0_usize..2_000) {
            let (head, tail) = OFFER.split_at(OFFER.char_indices().map(|(at, _)| at).nth(at).unwrap_or(0));
            let wanted = sending(&[Codec::H264]);
            for text in [text.clone(), format!("{head}{text}{tail}"), format!("{head}m=video\nm=audio {text}")] {
                read(&text);
                one_way(&text, |_| true);
                with_sendings(&text, |_| Some(&wanted));
                preferring(&text, &text, |_| Some(Codec::H264));
            }
        }
    }
}
