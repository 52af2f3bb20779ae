//! Reports of statistics, in the shape and with the names of the W3C's "Identifiers for WebRTC's Statistics API".
//!
//! An array of objects, each with `id`, `type` and `timestamp`. What is not known is left out, also an object of which
//! nothing is known; an id that a member names is the id of an object of the same report.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::driver::video_counters::{LayerCounters, PictureCounters};
use crate::media::audio::AudioCounters;
use crate::media::video::{Limitation, VideoCounters};
use crate::media::{Kind, SAMPLE_RATE};
use crate::rtc::{CandidateKind, CandidateReport, DtlsState, FormatReport, PairReport, TransportReport};
use crate::session::media::{Measured, MeasuredStream};

const TRANSPORT: &str = "transport";

/// Milliseconds since 1970.
pub fn wall_ms() -> f64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    since.as_micros() as f64 / 1000.0
}

/// What a publisher's sound is before it is encoded.
#[derive(Debug, Clone, Copy)]
pub struct SourceSound {
    /// 0 to 1.
    pub level: f32,
    /// As the standard counts it, in seconds.
    pub energy: f64,
    /// Per channel.
    pub samples: u64,
}

/// What a publisher sends.
pub fn outgoing(
    at_ms: f64,
    measured: &Measured,
    pictures: Option<&PictureCounters>,
    sound: Option<SourceSound>,
) -> String {
    let mut report = Report::new(at_ms);
    let mut layer = 0;
    for stream in &measured.streams {
        let encoded = match stream.kind {
            Kind::Audio => None,
            Kind::Video => {
                layer += 1;
                pictures.and_then(|pictures| pictures.layers.get(layer - 1))
            }
        };
        report.outbound(stream, encoded);
        report.format(stream);
    }
    for kind in [Kind::Audio, Kind::Video] {
        let Some(stream) = measured.streams.iter().find(|stream| stream.kind == kind) else { continue };
        report.source(stream, pictures, sound);
    }
    if let Some(transport) = &measured.transport {
        report.transport(transport);
    }
    report.text()
}

/// What a subscriber receives, and how loud its sound is, 0 to 1.
pub fn incoming(
    at_ms: f64,
    measured: &Measured,
    audio: Option<(&AudioCounters, f32)>,
    video: Option<&VideoCounters>,
) -> String {
    let mut report = Report::new(at_ms);
    let stream = |kind| measured.streams.iter().rev().find(|stream| stream.kind == kind);
    if let Some((counters, level)) = audio {
        let own = json!({
            "packetsReceived": counters.received, "packetsLost": counters.lost,
            "packetsDiscarded": counters.late, "bytesReceived": counters.bytes,
            "jitter": counters.jitter.as_secs_f64(),
            "concealedSamples": counters.concealed_samples, "totalSamplesReceived": counters.total_samples,
            "fecPacketsReceived": counters.fec_used, "audioLevel": level,
            "totalAudioEnergy": counters.energy, "totalSamplesDuration": samples(counters.total_samples),
            "jitterBufferDelay": samples(counters.waited_samples),
            "jitterBufferTargetDelay": samples(counters.should_wait_samples),
            "jitterBufferEmittedCount": counters.emitted_samples,
        });
        report.inbound(Kind::Audio, stream(Kind::Audio), own);
    }
    if let Some(counters) = video {
        let jitter = stream(Kind::Video).and_then(|stream| stream.statistics.jitter);
        let own = json!({
            "packetsReceived": counters.packets_received, "packetsLost": counters.packets_lost,
            "bytesReceived": counters.bytes_received, "framesReceived": counters.frames_received,
            "framesDecoded": counters.frames_decoded,
            "framesDropped": counters.frames_dropped, "keyFramesDecoded": counters.key_frames_decoded,
            "totalDecodeTime": counters.decoding.as_secs_f64(),
            "totalProcessingDelay": counters.processing.as_secs_f64(),
            "freezeCount": counters.freezes,
            "totalFreezesDuration": counters.frozen.as_secs_f64(), "frameWidth": counters.width,
            "frameHeight": counters.height, "framesPerSecond": counters.frames_per_second,
            "jitter": seconds(jitter),
            "jitterBufferDelay": counters.waited.as_secs_f64(),
            "jitterBufferEmittedCount": counters.frames_emitted,
            "totalInterFrameDelay": counters.between_pictures.as_secs_f64(),
            "totalSquaredInterFrameDelay": counters.between_pictures_squared,
        });
        report.inbound(Kind::Video, stream(Kind::Video), own);
    }
    if let Some(transport) = &measured.transport {
        report.transport(transport);
    }
    report.text()
}

struct Report {
    /// The platform that is mirrored writes microseconds.
    at_us: f64,
    objects: Vec<Value>,
}

impl Report {
    fn new(at_ms: f64) -> Self {
        Self { at_us: (at_ms * 1000.0).round(), objects: Vec::new() }
    }

    fn text(self) -> String {
        Value::Array(self.objects).to_string()
    }

    fn has(&self, id: &str) -> bool {
        self.objects.iter().any(|object| object["id"] == id)
    }

    /// `parts` are objects; what is null in them is not known.
    fn add(&mut self, kind: &str, id: &str, parts: impl IntoIterator<Item = Value>) {
        let mut object = json!({ "type": kind, "id": id, "timestamp": self.at_us });
        if let Value::Object(members) = &mut object {
            for part in parts {
                let Value::Object(part) = part else { continue };
                members.extend(part.into_iter().filter(|(_, value)| !value.is_null()));
            }
        }
        self.objects.push(object);
    }

    fn outbound(&mut self, stream: &MeasuredStream, encoded: Option<&LayerCounters>) {
        let statistics = &stream.statistics;
        let name = stream_name(stream);
        let (outbound, remote) = (format!("outbound-{name}"), format!("remote-inbound-{name}"));
        let rid = statistics.layer.as_ref().map(|layer| layer.as_str());
        let sent = json!({
            "mediaSourceId": source_id(stream.kind), "rid": rid,
            "remoteId": statistics.is_reported.then_some(&remote),
            "packetsSent": statistics.packets, "bytesSent": statistics.bytes,
            "nackCount": statistics.nacks,
            "retransmittedPacketsSent": statistics.resent.packets,
            "retransmittedBytesSent": statistics.resent.bytes,
        });
        let encoded = encoded.map_or(Value::Null, |encoded| {
            let rate = encoded.rate.as_ref().filter(|rate| rate.is_active);
            let has_size = encoded.width > 0;
            let limited = &encoded.limited;
            json!({
                "framesEncoded": encoded.frames, "keyFramesEncoded": encoded.key_frames,
                "frameWidth": has_size.then_some(encoded.width),
                "frameHeight": has_size.then_some(encoded.height),
                "framesPerSecond": rate.map(|rate| rate.frames_per_second),
                "targetBitrate": rate.map(|rate| rate.bitrate_bps),
                "active": rate.is_some(), "totalEncodeTime": encoded.encoding.as_secs_f64(),
                "qualityLimitationReason": match limited.by {
                    Limitation::None => "none",
                    Limitation::Bandwidth => "bandwidth",
                    Limitation::Other => "other",
                },
                "qualityLimitationDurations": {
                    "none": limited.none.as_secs_f64(), "bandwidth": limited.bandwidth.as_secs_f64(),
                    "cpu": 0.0, // nothing is made smaller because of it
                    "other": limited.other.as_secs_f64(),
                },
                "qualityLimitationResolutionChanges": encoded.size_changes,
            })
        });
        self.add("outbound-rtp", &outbound, [common(stream), requests(stream), sent, encoded]);
        if statistics.is_reported {
            let heard = json!({
                "localId": outbound, "packetsLost": statistics.lost, "fractionLost": statistics.loss,
                "roundTripTime": seconds(statistics.round_trip), "jitter": seconds(statistics.jitter),
            });
            self.add("remote-inbound-rtp", &remote, [common(stream), heard]);
        }
    }

    fn inbound(&mut self, kind: Kind, stream: Option<&MeasuredStream>, own: Value) {
        let id = format!("inbound-{}", kind_name(kind));
        let Some(stream) = stream else {
            return self.add("inbound-rtp", &id, [json!({ "kind": kind_name(kind) }), own]);
        };
        let remote = format!("remote-outbound-{}", kind_name(kind));
        let agreed = json!({
            "trackIdentifier": stream.agreed.track_id, "nackCount": stream.statistics.nacks,
            "remoteId": stream.statistics.remote_sent.map(|_| &remote),
        });
        self.add("inbound-rtp", &id, [common(stream), requests(stream), agreed, own]);
        if let Some(told) = stream.statistics.remote_sent {
            let told = json!({ "localId": id, "packetsSent": told.packets, "bytesSent": told.bytes });
            self.add("remote-outbound-rtp", &remote, [common(stream), told]);
        }
        self.format(stream);
    }

    /// Several streams may have one format.
    fn format(&mut self, stream: &MeasuredStream) {
        let Some(format) = &stream.agreed.format else { return };
        let id = format_id(format);
        if self.has(&id) {
            return;
        }
        let parameters = Some(&format.parameters).filter(|parameters| !parameters.is_empty());
        let agreed = json!({
            "transportId": TRANSPORT, "payloadType": format.payload_type,
            "mimeType": format!("{}/{}", kind_name(stream.kind), format.name),
            "clockRate": format.clock_rate, "channels": format.channels, "sdpFmtpLine": parameters,
        });
        self.add("codec", &id, [agreed]);
    }

    fn source(
        &mut self,
        stream: &MeasuredStream,
        pictures: Option<&PictureCounters>,
        sound: Option<SourceSound>,
    ) {
        let own = json!({ "kind": kind_name(stream.kind), "trackIdentifier": stream.agreed.track_id });
        let shown = match (stream.kind, pictures.filter(|pictures| pictures.pictures > 0)) {
            (Kind::Audio, _) => sound.map_or(Value::Null, |sound| {
                json!({
                    "audioLevel": sound.level, "totalAudioEnergy": sound.energy,
                    "totalSamplesDuration": samples(sound.samples),
                })
            }),
            (Kind::Video, Some(pictures)) => {
                let rate = Some(pictures.frames_per_second).filter(|rate| *rate > 0.0);
                json!({
                    "width": pictures.width, "height": pictures.height,
                    "framesPerSecond": rate, "frames": pictures.pictures,
                })
            }
            (Kind::Video, None) => Value::Null,
        };
        self.add("media-source", &source_id(stream.kind), [own, shown]);
    }

    fn transport(&mut self, transport: &TransportReport) {
        let pair = transport.pair.as_ref();
        let own = json!({
            "packetsSent": transport.sent.packets, "bytesSent": transport.sent.bytes,
            "packetsReceived": transport.received.packets, "bytesReceived": transport.received.bytes,
            "dtlsState": match transport.dtls {
                DtlsState::New => "new",
                DtlsState::Connecting => "connecting",
                DtlsState::Connected => "connected",
                DtlsState::Closed => "closed",
            },
            "selectedCandidatePairId": pair.map(pair_id),
        });
        self.add("transport", TRANSPORT, [own]);
        let Some(pair) = pair else { return };
        let (local, remote) = (candidate_id("local", &pair.local), candidate_id("remote", &pair.remote));
        // Nothing goes over a pair that has not succeeded.
        let own = json!({
            "transportId": TRANSPORT, "localCandidateId": local, "remoteCandidateId": remote,
            "state": "succeeded", "nominated": true,
            "packetsSent": pair.sent.packets, "bytesSent": pair.sent.bytes,
            "packetsReceived": pair.received.packets, "bytesReceived": pair.received.bytes,
            "currentRoundTripTime": seconds(pair.round_trip),
            "totalRoundTripTime": pair.round_trip_total.as_secs_f64(),
            "responsesReceived": pair.responses,
            "availableOutgoingBitrate": transport.estimate_bps,
        });
        self.add("candidate-pair", &pair_id(pair), [own]);
        for (kind, id, candidate) in
            [("local-candidate", local, &pair.local), ("remote-candidate", remote, &pair.remote)]
        {
            let own = json!({
                "transportId": TRANSPORT, "protocol": if pair.is_stream { "tcp" } else { "udp" },
                "address": candidate.address.ip().to_string(), "port": candidate.address.port(),
                "candidateType": match candidate.kind {
                    CandidateKind::Host => "host",
                    CandidateKind::ServerReflexive => "srflx",
                    CandidateKind::PeerReflexive => "prflx",
                    CandidateKind::Relayed => "relay",
                },
            });
            self.add(kind, &id, [own]);
        }
    }
}

/// What each object about a stream has.
fn common(stream: &MeasuredStream) -> Value {
    json!({
        "kind": kind_name(stream.kind), "ssrc": stream.statistics.ssrc, "mid": stream.agreed.mid,
        "transportId": TRANSPORT, "codecId": stream.agreed.format.as_ref().map(format_id),
    })
}

/// Requests for key frames: the standard counts them for pictures only.
fn requests(stream: &MeasuredStream) -> Value {
    match stream.kind {
        Kind::Audio => Value::Null,
        Kind::Video => json!({ "pliCount": stream.statistics.plis, "firCount": stream.statistics.firs }),
    }
}

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Audio => "audio",
        Kind::Video => "video",
    }
}

/// A layer of several has its name in it.
fn stream_name(stream: &MeasuredStream) -> String {
    let kind = kind_name(stream.kind);
    let layer = stream.statistics.layer.as_ref();
    layer.map_or_else(|| kind.into(), |layer| format!("{kind}-{}", layer.as_str()))
}

fn source_id(kind: Kind) -> String {
    format!("media-source-{}", kind_name(kind))
}

fn format_id(format: &FormatReport) -> String {
    format!("codec-{}", format.payload_type)
}

fn pair_id(pair: &PairReport) -> String {
    format!("candidate-pair-{}-{}", pair.local.address, pair.remote.address)
}

fn candidate_id(side: &str, candidate: &CandidateReport) -> String {
    format!("{side}-candidate-{}", candidate.address)
}

/// How long so many samples are, in seconds.
fn samples(count: u64) -> f64 {
    count as f64 / f64::from(SAMPLE_RATE)
}

fn seconds(time: Option<Duration>) -> Option<f64> {
    time.map(|time| time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::driver::video_counters::Limited;
    use crate::media::video::LayerRate;
    use crate::rtc::{Amount, Layer, MediaKind, Peer, Section, SectionReport, SectionStatistics, Sending};

    fn section(kind: MediaKind) -> Section {
        let sending = Sending {
            kind,
            codecs: Vec::new(),
            stream_id: "film".into(),
            track_id: "v".into(),
            layers: Vec::new(),
            is_stereo: false,
            uses_dtx: false,
        };
        let now = Instant::now();
        Peer::new(now, &[]).add_sending(now, &sending).expect("a section")
    }

    fn stream(kind: Kind, layer: Option<&str>, ssrc: u32) -> MeasuredStream {
        let statistics = SectionStatistics {
            section: section(MediaKind::Video),
            layer: layer.map(Layer::new),
            is_sending: true,
            ssrc,
            packets: 10,
            bytes: 1000,
            lost: 0,
            loss: None,
            nacks: 1,
            resent: Amount { packets: 6, bytes: 7 },
            plis: 2,
            firs: 3,
            round_trip: None,
            jitter: None,
            is_reported: layer == Some("q"),
            remote_sent: layer.is_none().then_some(Amount { packets: 4, bytes: 5 }),
        };
        let format = FormatReport {
            payload_type: 96,
            name: "VP8".into(),
            clock_rate: 90_000,
            channels: None,
            parameters: String::new(),
        };
        let agreed = SectionReport { mid: Some("0".into()), track_id: "v".into(), format: Some(format) };
        MeasuredStream { kind, statistics, agreed }
    }

    fn parsed(report: &str) -> Vec<Value> {
        serde_json::from_str(report).expect("an array")
    }

    fn find<'a>(report: &'a [Value], id: &str) -> &'a Value {
        report.iter().find(|object| object["id"] == id).unwrap_or(&Value::Null)
    }

    fn of_type(report: &[Value], kind: &str) -> usize {
        report.iter().filter(|object| object["type"] == kind).count()
    }

    #[test]
    fn each_layer_has_its_own_object_and_they_share_codec_and_source() {
        let streams = [("q", 1), ("h", 2)].map(|(name, ssrc)| stream(Kind::Video, Some(name), ssrc));
        let measured = Measured { streams: streams.into(), transport: Some(TransportReport::default()) };
        let layer = |width, is_active| LayerCounters {
            frames: 5,
            key_frames: 1,
            width,
            height: 90,
            rate: Some(LayerRate {
                name: "q",
                width,
                height: 90,
                bitrate_bps: 90_000,
                frames_per_second: 20.0,
                is_active,
                limitation: Limitation::None,
                halvings: 0,
            }),
            ..LayerCounters::default()
        };
        let pictures = PictureCounters {
            pictures: 7,
            width: 320,
            height: 180,
            frames_per_second: 0.0,
            layers: vec![layer(160, true), layer(320, false)],
        };
        let report = parsed(&outgoing(1.0, &measured, Some(&pictures), None));
        let (low, high) = (find(&report, "outbound-video-q"), find(&report, "outbound-video-h"));
        assert_eq!((&low["rid"], &low["ssrc"], &low["frameWidth"]), (&json!("q"), &json!(1), &json!(160)));
        assert_eq!((&high["rid"], &high["ssrc"], &high["frameWidth"]), (&json!("h"), &json!(2), &json!(320)));
        assert_eq!((&low["active"], &low["targetBitrate"]), (&json!(true), &json!(90_000)));
        assert_eq!((&high["active"], &high["targetBitrate"]), (&json!(false), &Value::Null));
        assert_eq!(low["retransmittedPacketsSent"], 6);
        assert_eq!((&low["pliCount"], &low["firCount"]), (&json!(2), &json!(3)));
        assert_eq!((of_type(&report, "codec"), of_type(&report, "media-source")), (1, 1));
        assert_eq!(find(&report, "media-source-video")["framesPerSecond"], Value::Null, "not known yet");
    }

    #[test]
    fn an_encoder_says_how_long_it_took_and_what_has_kept_it() {
        let limited = Limited {
            by: Limitation::Bandwidth,
            none: Duration::from_millis(1500),
            bandwidth: Duration::from_millis(250),
            other: Duration::from_secs(3),
            until: None,
        };
        let encoding = Duration::from_millis(40);
        let layer = LayerCounters { encoding, limited, size_changes: 2, ..LayerCounters::default() };
        let pictures = PictureCounters { layers: vec![layer], ..PictureCounters::default() };
        let streams = vec![stream(Kind::Video, None, 1), stream(Kind::Audio, None, 2)];
        let measured = Measured { streams, transport: None };
        let report = parsed(&outgoing(1.0, &measured, Some(&pictures), None));
        let (video, audio) = (find(&report, "outbound-video"), find(&report, "outbound-audio"));
        assert_eq!((&video["totalEncodeTime"], &audio["totalEncodeTime"]), (&json!(0.04), &Value::Null));
        assert_eq!(video["qualityLimitationReason"], "bandwidth");
        let durations = json!({ "none": 1.5, "cpu": 0.0, "bandwidth": 0.25, "other": 3.0 });
        assert_eq!(video["qualityLimitationDurations"], durations);
        assert_eq!(video["qualityLimitationResolutionChanges"], 2);
        assert_eq!(audio["qualityLimitationReason"], Value::Null);
    }

    #[test]
    fn a_decoder_says_how_long_it_took() {
        let (decoding, processing) = (Duration::from_millis(30), Duration::from_millis(750));
        let video = VideoCounters { decoding, processing, ..VideoCounters::default() };
        let report = parsed(&incoming(1.0, &Measured::default(), None, Some(&video)));
        let inbound = find(&report, "inbound-video");
        let members = (&inbound["totalDecodeTime"], &inbound["totalProcessingDelay"]);
        assert_eq!(members, (&json!(0.03), &json!(0.75)));
    }

    #[test]
    fn what_the_other_side_has_not_told_is_not_there() {
        let streams = ["q", "h"].map(|name| stream(Kind::Video, Some(name), 1));
        let measured = Measured { streams: streams.into(), transport: Some(TransportReport::default()) };
        let report = parsed(&outgoing(1.0, &measured, None, None));
        assert_eq!(find(&report, "outbound-video-q")["remoteId"], "remote-inbound-video-q");
        assert_eq!(find(&report, "outbound-video-h")["remoteId"], Value::Null);
        assert_eq!(of_type(&report, "remote-inbound-rtp"), 1);
        assert_eq!((of_type(&report, "candidate-pair"), of_type(&report, "transport")), (0, 1));
    }

    const SOUND: SourceSound = SourceSound { level: 0.5, energy: 0.0025, samples: 480 };

    #[test]
    fn sound_that_is_sent_has_its_energy_and_its_time() {
        let measured = Measured { streams: vec![stream(Kind::Audio, None, 3)], transport: None };
        let report = parsed(&outgoing(1.0, &measured, None, Some(SOUND)));
        let source = find(&report, "media-source-audio");
        let members = ["audioLevel", "totalAudioEnergy", "totalSamplesDuration"].map(|name| &source[name]);
        assert_eq!(members, [&json!(0.5), &json!(0.0025), &json!(0.01)]);
        let report = parsed(&outgoing(1.0, &measured, None, None));
        assert_eq!(find(&report, "media-source-audio")["totalAudioEnergy"], Value::Null, "no microphone yet");
    }

    #[test]
    fn nothing_is_invented_before_there_is_media() {
        assert_eq!(outgoing(1.0, &Measured::default(), None, Some(SOUND)), "[]");
        assert_eq!(incoming(1.0, &Measured::default(), None, None), "[]");
        let video = VideoCounters { packets_received: 3, ..VideoCounters::default() };
        let report = parsed(&incoming(1.0, &Measured::default(), None, Some(&video)));
        let inbound = find(&report, "inbound-video");
        assert_eq!((&inbound["packetsReceived"], &inbound["codecId"]), (&json!(3), &Value::Null));
        assert_eq!(inbound["transportId"], Value::Null);
    }

    #[test]
    fn what_the_sender_tells_of_a_stream_stands_beside_what_came() {
        let measured = |layer| Measured {
            streams: vec![stream(Kind::Video, layer, 9)],
            transport: Some(TransportReport::default()),
        };
        let counters = VideoCounters::default();
        let report = parsed(&incoming(1.0, &measured(None), None, Some(&counters)));
        let remote = find(&report, "remote-outbound-video");
        assert_eq!(find(&report, "inbound-video")["remoteId"], remote["id"]);
        assert_eq!((&remote["localId"], &remote["bytesSent"]), (&json!("inbound-video"), &json!(5)));
        let report = parsed(&incoming(1.0, &measured(Some("h")), None, Some(&counters)));
        assert_eq!(find(&report, "inbound-video")["remoteId"], Value::Null, "not told yet");
    }

    #[test]
    fn a_path_through_a_relay_says_so() {
        let candidate = |text: &str, kind| CandidateReport { address: text.parse().expect("it"), kind };
        let pair = PairReport {
            is_stream: false,
            local: candidate("[2001:db8::1]:5", CandidateKind::Relayed),
            remote: candidate("192.0.2.7:9", CandidateKind::ServerReflexive),
            sent: Amount { packets: 1, bytes: 2 },
            received: Amount::default(),
            round_trip: Some(Duration::from_millis(20)),
            round_trip_total: Duration::from_millis(60),
            responses: 3,
        };
        let transport = TransportReport {
            pair: Some(pair),
            estimate_bps: Some(7),
            dtls: DtlsState::Connected,
            ..Default::default()
        };
        let measured = Measured { streams: Vec::new(), transport: Some(transport) };
        let report = parsed(&outgoing(1.0, &measured, None, None));
        let transport = find(&report, TRANSPORT);
        let pair = find(&report, transport["selectedCandidatePairId"].as_str().expect("a pair"));
        assert_eq!(
            (&pair["currentRoundTripTime"], &pair["availableOutgoingBitrate"]),
            (&json!(0.02), &json!(7))
        );
        let candidate = |side: &str| find(&report, pair[side].as_str().expect("a candidate"));
        let (local, remote) = (candidate("localCandidateId"), candidate("remoteCandidateId"));
        assert_eq!((&local["candidateType"], &local["address"]), (&json!("relay"), &json!("2001:db8::1")));
        assert_eq!((&remote["candidateType"], &remote["port"]), (&json!("srflx"), &json!(9)));
    }
}
