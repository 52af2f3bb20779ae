//! The codecs that are offered and taken, and what str0m calls them.

use str0m::format::{Codec as Name, FormatParams, PayloadParams};
use str0m::media::{Frequency, Media, Pt};
use str0m::{Rtc, RtcConfig};

use super::media::Codec;
use super::reports::FormatReport;

/// H.264 as browsers and LiveKit's server offer it: payload type, that of its repair, packetization mode, profile. The
/// one that we make ourselves comes first; the others are for taking what a browser sends.
const H264_VARIANTS: [(u8, u8, bool, u32); 7] = [
    (125, 107, true, 0x42_e0_1f),
    (127, 121, true, 0x42_00_1f),
    (108, 109, false, 0x42_e0_1f),
    (124, 120, false, 0x42_00_1f),
    (123, 119, true, 0x4d_00_1f),
    (35, 36, false, 0x4d_00_1f),
    (114, 115, true, 0x64_00_1f),
];

/// What is offered when a caller has no preference, in this order.
pub(super) fn configure(config: RtcConfig) -> RtcConfig {
    let mut config = config.clear_codecs().enable_opus(true, true).enable_vp8(true);
    let codecs = config.codec_config();
    let profile_0 = FormatParams { profile_id: Some(0), ..Default::default() };
    codecs.add_config(98.into(), Some(99.into()), Name::Vp9, Frequency::NINETY_KHZ, None, profile_0);
    for (format, repair, is_interleaved, profile) in H264_VARIANTS {
        codecs.add_h264(format.into(), Some(repair.into()), is_interleaved, profile);
    }
    config.enable_av1(true)
}

fn codec(params: &PayloadParams) -> Option<Codec> {
    match params.spec().codec {
        Name::Opus => Some(Codec::Opus),
        Name::Vp8 => Some(Codec::Vp8),
        Name::Vp9 => Some(Codec::Vp9),
        Name::H264 => Some(Codec::H264),
        Name::Av1 => Some(Codec::Av1),
        _ => None,
    }
}

/// What a packet with this payload type carries.
pub(super) fn received(rtc: &Rtc, format: Pt) -> Option<Codec> {
    let all = rtc.codec_config().params();
    if all.iter().any(|params| params.red() == Some(format)) {
        return Some(Codec::Red);
    }
    all.iter().find(|params| params.pt() == format).and_then(codec)
}

/// What a payload type stands for.
pub(super) fn report(rtc: &Rtc, format: Pt) -> Option<FormatReport> {
    let all = rtc.codec_config().params();
    let is_it = |params: &&PayloadParams| params.pt() == format || params.red() == Some(format);
    let params = all.iter().find(is_it)?;
    let spec = params.spec();
    let is_plain = params.pt() == format;
    Some(FormatReport {
        payload_type: *format,
        name: if is_plain { spec.codec.to_string() } else { "red".into() },
        clock_rate: spec.clock_rate.get(),
        channels: spec.channels,
        parameters: if is_plain { spec.format.to_string() } else { String::new() },
    })
}

/// The codecs that may be sent on a section, in the order of `wanted`, and their payload types.
pub(super) fn sendable(rtc: &Rtc, media: &Media, wanted: &[Codec]) -> Vec<(Codec, Pt)> {
    let all = rtc.codec_config().params().iter();
    let agreed: Vec<_> = all.filter(|params| media.remote_pts().contains(&params.pt())).collect();
    let format = |wanted: Codec| match wanted {
        Codec::Red => agreed.iter().find_map(|params| params.red()),
        _ => agreed.iter().find(|params| codec(params) == Some(wanted) && is_made(params)).map(|p| p.pt()),
    };
    if wanted.is_empty() {
        let any = agreed.iter().filter(|params| is_made(params));
        return any.filter_map(|params| Some((codec(params)?, params.pt()))).collect();
    }
    wanted.iter().filter_map(|codec| Some((*codec, format(*codec)?))).collect()
}

/// Packets of H.264 are made with fragments and aggregates, which mode 0 does not allow (RFC 6184 section 6.2).
fn is_made(params: &PayloadParams) -> bool {
    params.spec().codec != Name::H264 || params.spec().format.packetization_mode == Some(1)
}
