//! How a track is described to those who may subscribe to it.

use crate::signal::proto::{
    AddTrackRequest, AudioTrackFeature, SimulcastCodecInfo, TimedVersion, TrackInfo, TrackSource, TrackType,
    VideoLayer, video_layer::Mode,
};

/// How many codecs of a track are described, and how many layers of each. LiveKit's clients announce a codec and one to fall
/// back on, in three layers; a short announcement could name thousands, each with the layers of all.
const CODECS_MAX: usize = 4;
const LAYERS_MAX: usize = 4;

/// How many properties of a sound are told. There are seven of them.
pub const FEATURES_MAX: usize = 16;

/// What everybody is told of a track, from what its client announced.
#[allow(deprecated)] // older clients read and write the older fields
pub fn track(sid: String, wall_ms: i64, request: &AddTrackRequest) -> TrackInfo {
    let mut info = TrackInfo {
        sid,
        r#type: request.r#type,
        name: request.name.clone(),
        muted: request.muted,
        width: request.width,
        height: request.height,
        disable_dtx: request.disable_dtx,
        source: request.source,
        layers: sorted(&request.layers),
        stereo: request.stereo,
        disable_red: request.disable_red,
        encryption: request.encryption,
        stream: request.stream.clone(),
        version: Some(TimedVersion { unix_micro: wall_ms.saturating_mul(1000), ticks: 0 }),
        backup_codec_policy: request.backup_codec_policy,
        packet_trailer_features: request.packet_trailer_features.clone(),
        ..Default::default()
    };
    if info.stream.is_empty() {
        // LiveKit puts all tracks without a source into one stream; here each of them stays its own.
        info.stream = match request.source() {
            TrackSource::Camera | TrackSource::Microphone => "camera".into(),
            TrackSource::ScreenShare | TrackSource::ScreenShareAudio => "screen".into(),
            TrackSource::Unknown => String::new(),
        };
    }
    let implied =
        [(request.stereo, AudioTrackFeature::TfStereo), (request.disable_dtx, AudioTrackFeature::TfNoDtx)];
    let implied = implied.into_iter().filter(|(is_set, _)| *is_set).map(|(_, feature)| feature.into());
    for feature in request.audio_features.iter().copied().chain(implied) {
        if info.audio_features.len() < FEATURES_MAX && !info.audio_features.contains(&feature) {
            info.audio_features.push(feature);
        }
    }
    info.codecs = codecs(request);
    if let Some(codec) = info.codecs.first() {
        info.mime_type.clone_from(&codec.mime_type);
        info.simulcast = codec.layers.len() > 1 && codec.video_layer_mode() == Mode::OneSpatialLayerPerStream;
    }
    info
}

fn codecs(request: &AddTrackRequest) -> Vec<SimulcastCodecInfo> {
    let prefix = if request.r#type() == TrackType::Video { "video/" } else { "audio/" };
    if request.simulcast_codecs.is_empty() {
        return vec![SimulcastCodecInfo {
            cid: request.cid.clone(),
            layers: sorted(&request.layers),
            video_layer_mode: Mode::OneSpatialLayerPerStream.into(),
            ..Default::default()
        }];
    }
    let mut codecs: Vec<SimulcastCodecInfo> = Vec::new();
    for codec in &request.simulcast_codecs {
        if codecs.len() >= CODECS_MAX {
            break;
        }
        let mime_type = match codec.codec.as_str() {
            "" => continue,
            full if full.contains('/') => full.to_owned(),
            // LiveKit writes the codecs of video in capitals.
            name if prefix == "video/" => format!("{prefix}{}", name.to_ascii_uppercase()),
            name => format!("{prefix}{name}"),
        };
        if codecs.iter().any(|known| known.mime_type.eq_ignore_ascii_case(&mime_type)) {
            continue;
        }
        let has_spatial = ["video/vp9", "video/av1"].iter().any(|svc| mime_type.eq_ignore_ascii_case(svc));
        let mode = match codec.video_layer_mode() {
            Mode::Unused if has_spatial => Mode::MultipleSpatialLayersPerStream,
            Mode::Unused => Mode::OneSpatialLayerPerStream,
            said => said,
        };
        let layers = if codec.layers.is_empty() { &request.layers } else { &codec.layers };
        codecs.push(SimulcastCodecInfo {
            mime_type,
            cid: codec.cid.clone(),
            layers: sorted(layers),
            video_layer_mode: mode.into(),
            ..Default::default()
        });
    }
    codecs
}

fn sorted(layers: &[VideoLayer]) -> Vec<VideoLayer> {
    let mut layers: Vec<VideoLayer> = layers.iter().take(LAYERS_MAX).cloned().collect();
    layers.sort_by_key(|layer| layer.quality);
    layers
}
