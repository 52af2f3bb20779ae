//! Packets as str0m has them and as we have them.

use std::time::{Instant, UNIX_EPOCH};

use str0m::Rtc;
use str0m::media::{ExtensionValues, Pt};
use str0m::rtp::rtcp::SenderInfo;
use str0m::rtp::{RtpPacket, RtpWrite, Ssrc, VideoOrientation};

use super::codecs;
use super::media::{AudioLevel, Layer, PacketIn, PacketOut, Section, SenderReport};
use super::sections::Sections;

/// A quarter of a turn, the step in which pictures are turned.
const TURN_DEGREES: u16 = 90;

/// A packet that came, or nothing if it belongs to no section on which the other side said that it sends.
pub(super) fn received(rtc: &mut Rtc, sections: &mut Sections, packet: RtpPacket) -> Option<PacketIn> {
    let RtpPacket { header, .. } = &packet;
    let (section, layer) = match sections.route(header.ssrc) {
        Some(route) => route,
        None => find_route(rtc, sections, header.ssrc)?,
    };
    let codec = codecs::received(rtc, header.payload_type)?;
    let incoming = sections.incoming_mut(section).filter(|incoming| incoming.info.is_sending)?;
    let stream = incoming.stream_mut(layer, header.ssrc);
    stream.ssrc = header.ssrc;
    stream.format = Some(header.payload_type);
    stream.counters.count_numbered(packet.payload.len(), *packet.seq_no);
    let timestamp = packet.time.numer();
    Some(PacketIn {
        section,
        layer,
        codec,
        source: *header.ssrc,
        sequence: *packet.seq_no,
        timestamp,
        is_marked: header.marker,
        received: packet.timestamp,
        audio_level: audio_level(&header.ext_vals),
        rotation_degrees: header.ext_vals.video_orientation.map(degrees),
        sender_report: packet.last_sender_info.as_ref().and_then(|info| report(info, timestamp)),
        payload: packet.payload,
    })
}

fn find_route(rtc: &mut Rtc, sections: &mut Sections, ssrc: Ssrc) -> Option<(Section, Option<Layer>)> {
    let mut direct = rtc.direct_api();
    let stream = direct.stream_rx(&ssrc)?;
    let layer = stream.rid().map(Layer::from_rid);
    let section = sections.by_mid(stream.mid())?;
    let info = &sections.incoming_mut(section)?.info;
    if layer.is_some_and(|layer| !info.layers.contains(&layer)) {
        // Nobody announced it, and str0m would keep a record of each such name that somebody makes up.
        direct.remove_stream_rx(ssrc);
        return None;
    }
    sections.add_route(ssrc, section, layer);
    Some((section, layer))
}

fn audio_level(values: &ExtensionValues) -> Option<AudioLevel> {
    let level_dbov = values.audio_level?.unsigned_abs().min(127);
    Some(AudioLevel { level_dbov, is_voice: values.voice_activity.unwrap_or(false) })
}

/// The number of the orientation counts quarter turns clockwise, for display (3GPP TS 26.114 section 7.4.5).
fn degrees(orientation: VideoOrientation) -> u16 {
    u16::from(orientation as u8) * TURN_DEGREES
}

/// The report's time in the same count as the packet's: str0m leaves it at 32 bits.
fn report(info: &SenderInfo, packet: u64) -> Option<SenderReport> {
    let wall = info.ntp_time.duration_since(UNIX_EPOCH).ok()?;
    let distance = (info.rtp_time.numer() as u32).wrapping_sub(packet as u32) as i32;
    Some(SenderReport {
        wall_us: wall.as_micros().try_into().ok()?,
        timestamp: packet.checked_add_signed(distance.into())?,
    })
}

/// A packet to send, with the sequence number and payload type that the stream has for it.
pub(super) fn to_send(now: Instant, packet: PacketOut, sequence: u64, format: Pt) -> RtpWrite {
    let values = ExtensionValues {
        audio_level: packet.audio_level.map(|level| -(level.level_dbov.min(127) as i8)),
        voice_activity: packet.audio_level.map(|level| level.is_voice),
        video_orientation: packet.rotation_degrees.map(orientation),
        ..Default::default()
    };
    // One in the future would leave the sender reports without a time.
    let captured = packet.captured.unwrap_or(now).min(now);
    RtpWrite::new(format, sequence.into(), packet.timestamp, captured, packet.payload)
        .marker(packet.is_marked)
        .nackable(packet.is_resendable)
        .ext_vals(values)
}

fn orientation(degrees: u16) -> VideoOrientation {
    VideoOrientation::from((degrees / TURN_DEGREES % 4) as u8)
}
