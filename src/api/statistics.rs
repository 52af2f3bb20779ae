//! Reports of statistics, in the shape and with the names of the W3C's `RTCStatsReport`.

use std::time::SystemTime;

use serde_json::{Value, json};

use crate::media::audio::AudioCounters;
use crate::media::video::VideoCounters;
use crate::session::media::Sent;

/// Milliseconds since 1970.
pub fn wall_ms() -> f64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    since.as_micros() as f64 / 1000.0
}

/// What a publisher sends.
pub fn outgoing(at_ms: f64, audio: Option<&Sent>, video: Option<&Sent>) -> String {
    let report = |kind: &str, sent: &Sent| {
        let (outbound, remote) = (format!("outbound-{kind}"), format!("remote-inbound-{kind}"));
        [
            json!({
                "id": outbound, "type": "outbound-rtp", "timestamp": micros(at_ms), "kind": kind,
                "remoteId": remote, "packetsSent": sent.packets, "bytesSent": sent.bytes,
                "nackCount": sent.nacks, "pliCount": sent.key_frame_requests,
            }),
            json!({
                "id": remote, "type": "remote-inbound-rtp", "timestamp": micros(at_ms), "kind": kind,
                "localId": outbound, "packetsLost": sent.packets_lost,
                "roundTripTime": sent.round_trip.map(|time| time.as_secs_f64()),
                "jitter": sent.jitter.map(|time| time.as_secs_f64()),
            }),
        ]
    };
    let reports = [("audio", audio), ("video", video)];
    let reports = reports.into_iter().filter_map(|(kind, sent)| Some(report(kind, sent?)));
    Value::Array(reports.flatten().collect()).to_string()
}

/// What a subscriber receives.
pub fn incoming(at_ms: f64, audio: Option<&AudioCounters>, video: Option<&VideoCounters>) -> String {
    let audio = audio.map(|counters| {
        json!({
            "id": "inbound-audio", "type": "inbound-rtp", "timestamp": micros(at_ms), "kind": "audio",
            "packetsReceived": counters.received, "packetsLost": counters.lost,
            "packetsDiscarded": counters.late, "bytesReceived": counters.bytes,
            "jitter": counters.jitter.as_secs_f64(),
            "concealedSamples": counters.concealed_samples, "totalSamplesReceived": counters.total_samples,
            "fecPacketsReceived": counters.fec_used,
        })
    });
    let video = video.map(|counters| {
        json!({
            "id": "inbound-video", "type": "inbound-rtp", "timestamp": micros(at_ms), "kind": "video",
            "packetsReceived": counters.packets_received, "packetsLost": counters.packets_lost,
            "bytesReceived": counters.bytes_received, "framesDecoded": counters.frames_decoded,
            "framesDropped": counters.frames_dropped, "keyFramesDecoded": counters.key_frames_decoded,
            "pliCount": counters.key_frames_requested, "freezeCount": counters.freezes,
            "totalFreezesDuration": counters.frozen.as_secs_f64(), "frameWidth": counters.width,
            "frameHeight": counters.height, "framesPerSecond": counters.frames_per_second,
        })
    });
    Value::Array(audio.into_iter().chain(video).collect()).to_string()
}

/// The platform that is mirrored writes microseconds.
fn micros(at_ms: f64) -> f64 {
    (at_ms * 1000.0).round()
}
