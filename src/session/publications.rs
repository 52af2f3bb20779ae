//! Publications as values: what is wished, how far it has come, and what the server is asked for it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::event::Ending;
use super::live::Live;
use super::media::{
    MediaFault, MediaReason, Publication, PublicationId, PublishedLayer, PublisherEvent, Sent,
};
use super::sizes::Resizing;
use super::streams::stream_name;
use super::wires::Wires;
use super::{Event, Stream, VideoType};
use crate::media::{Kind, VideoCodec};
use crate::rtc::{Codec, Layer, MediaKind, Section, SectionStatistics, Sending};
use crate::signal::captions::Caption;
use crate::signal::proto::encryption::Type;
use crate::signal::proto::video_layer::Mode;
use crate::signal::proto::{
    AddTrackRequest, AudioTrackFeature, SimulcastCodec, TrackInfo, TrackPublishedResponse, TrackSource,
    TrackType, VideoLayer, VideoQuality,
};

/// How long the server may take for its part of a publishing. The platform that is mirrored waits about as long.
pub(super) const PUBLISH_TIMEOUT: Duration = Duration::from_secs(15);

/// The simulcast layers of LiveKit, lowest first.
pub(super) const QUALITIES: [VideoQuality; 3] = [VideoQuality::Low, VideoQuality::Medium, VideoQuality::High];

/// All publications of a session.
#[derive(Default)]
pub(super) struct Publications {
    pub all: Vec<Published>,
    /// Makes the names of tracks differ from those of earlier tries.
    pub tries: u64,
    /// What the network carried last, in bit/s.
    pub estimate_bps: Option<u64>,
    /// Pictures are held back, because the network has not taken those before.
    pub is_held: bool,
}

pub(super) struct Published {
    pub wish: Publication,
    pub state: Stage,
    pub tracks: Vec<Track>,
    /// It has been published in this session before: the program knows it.
    pub was_up: bool,
    /// What it sends now, and what it would send.
    pub bitrates: (u64, u64),
    pub resizing: Resizing,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Stage {
    /// The server has not been asked yet.
    Waiting,
    Asked {
        deadline: Instant,
    },
    Up,
}

pub(super) struct Track {
    pub kind: Kind,
    /// What this side calls it.
    pub cid: String,
    pub info: Option<TrackInfo>,
    pub section: Option<Section>,
    /// The next sequence number of each layer.
    pub sequences: Vec<u64>,
    /// Whether a packet of the layer was not taken since the last one that was.
    pub torn: Vec<bool>,
    /// What it was called before a new join: a server that is this library lets it keep that.
    pub kept_sid: Option<String>,
    /// When the program has switched it last.
    pub switched: Option<Instant>,
    /// What went to servers before this one.
    sent_before: Sent,
}

impl Track {
    /// What has gone out of it since it was published first; `statistics` are those of its peer connection. `None` before
    /// there is anything to count.
    pub fn sent(&self, statistics: &[SectionStatistics]) -> Option<Sent> {
        let section = self.section?;
        let mut sum = self.sent_before.clone();
        for one in statistics.iter().filter(|one| one.section == section) {
            sum.packets += one.packets;
            sum.bytes += one.bytes;
            sum.packets_lost += one.lost;
            sum.loss = one.loss.into_iter().chain(sum.loss).reduce(f32::max);
            sum.nacks += one.nacks;
            sum.key_frame_requests += one.plis + one.firs;
            sum.round_trip = one.round_trip.or(sum.round_trip);
            sum.jitter = one.jitter.or(sum.jitter);
        }
        Some(sum)
    }
}

impl Published {
    pub fn new(wish: Publication) -> Self {
        let track = |kind, layers: usize| Track {
            kind,
            cid: String::new(),
            info: None,
            section: None,
            sequences: vec![0; layers.max(1)],
            torn: vec![false; layers.max(1)],
            kept_sid: None,
            switched: None,
            sent_before: Sent::default(),
        };
        let audio = wish.audio.map(|_| track(Kind::Audio, 1));
        let video = wish.video.as_ref().map(|video| track(Kind::Video, video.layers.len()));
        let tracks = audio.into_iter().chain(video).collect();
        Self {
            wish,
            state: Stage::Waiting,
            tracks,
            was_up: false,
            bitrates: (0, 0),
            resizing: Resizing::default(),
        }
    }

    pub fn event(&self, event: PublisherEvent) -> Event {
        Event::Publisher { id: self.wish.id, event }
    }

    pub fn is_on(&self, kind: Kind) -> bool {
        match kind {
            Kind::Audio => self.wish.audio.is_some_and(|audio| audio.is_on),
            Kind::Video => self.wish.video.as_ref().is_some_and(|video| video.is_on),
        }
    }

    /// Remembers; true where it is news.
    pub fn set_on(&mut self, kind: Kind, is_on: bool) -> bool {
        let place = match kind {
            Kind::Audio => self.wish.audio.as_mut().map(|audio| &mut audio.is_on),
            Kind::Video => self.wish.video.as_mut().map(|video| &mut video.is_on),
        };
        place.is_some_and(|place| std::mem::replace(place, is_on) != is_on)
    }

    /// The name of a track for the server, which differs from those of earlier tries.
    pub fn call(&mut self, position: usize, number: u64) {
        let track = &mut self.tracks[position];
        let kind = if track.kind == Kind::Audio { 'a' } else { 'v' };
        track.cid = format!("otc-{}-{number}-{kind}", self.wish.id.0);
    }

    pub fn track(&self, kind: Kind) -> Option<&Track> {
        self.tracks.iter().find(|track| track.kind == kind)
    }

    pub fn video_codec(&self, wires: &Wires) -> Option<VideoCodec> {
        codec_above(wires.sending_codec(self.track(Kind::Video)?.section?)?)
    }

    /// Whether the server has named every track and said what it takes.
    pub fn is_complete(&self, wires: &Wires) -> bool {
        self.tracks.iter().all(|track| {
            let codec = track.section.and_then(|section| wires.sending_codec(section));
            track.info.is_some() && codec.is_some()
        })
    }

    pub fn stream(&self, live: &Live) -> Arc<Stream> {
        let sid = |kind| Some(self.track(kind)?.info.as_ref()?.sid.clone());
        let (audio_track, video_track) = (sid(Kind::Audio), sid(Kind::Video));
        let (video_width, video_height) = self.size().unwrap_or_default();
        let infos = self.tracks.iter().filter_map(|track| track.info.as_ref()?.version.as_ref());
        let created_ms = infos.map(|version| version.unix_micro / 1000).min();
        Arc::new(Stream {
            id: audio_track.clone().or(video_track.clone()).unwrap_or_default(),
            name: self.wish.name.clone(),
            connection: live.own.clone(),
            created_ms: created_ms.unwrap_or(live.own.created_ms),
            has_audio_track: audio_track.is_some(),
            has_audio: self.is_on(Kind::Audio),
            has_video_track: video_track.is_some(),
            has_video: self.is_on(Kind::Video),
            has_captions: false,
            video_width,
            video_height,
            video_type: self.wish.video.as_ref().map_or(VideoType::Camera, |video| video.video_type),
            is_sealed: self.wish.is_sealed,
            audio_track,
            video_track,
        })
    }

    /// The request for a track. `is_ours`: the server is this library too, and lets a track keep its sid; to others that
    /// would mean something else.
    #[allow(deprecated)] // servers that go by the older fields
    pub fn request(&self, track: &Track, is_ours: bool, is_mute_forced: bool) -> AddTrackRequest {
        let starts_muted = is_mute_forced && !self.was_up && track.kind == Kind::Audio;
        let (has_audio, has_video) = (self.wish.audio.is_some(), self.wish.video.is_some());
        let request = AddTrackRequest {
            cid: track.cid.clone(),
            name: self.wish.name.clone(),
            muted: !self.is_on(track.kind) || starts_muted,
            sid: track.kept_sid.clone().filter(|_| is_ours).unwrap_or_default(),
            stream: stream_name(&format!("otc-{}", self.wish.id.0), has_audio, has_video),
            encryption: match self.wish.is_sealed {
                true => Type::Gcm,
                false => Type::None,
            }
            .into(),
            ..AddTrackRequest::default()
        };
        match (track.kind, self.wish.audio, &self.wish.video) {
            (Kind::Video, _, Some(video)) => {
                let layers: Vec<VideoLayer> = layers(&video.layers);
                let top = video.layers.last().copied();
                AddTrackRequest {
                    r#type: TrackType::Video.into(),
                    source: source(video.video_type).into(),
                    width: top.map_or(0, |layer| layer.width),
                    height: top.map_or(0, |layer| layer.height),
                    simulcast_codecs: vec![SimulcastCodec {
                        codec: video.codecs.first().map_or("", |codec| codec_name(*codec)).into(),
                        cid: track.cid.clone(),
                        layers: layers.clone(),
                        // Also where the codec could carry all sizes in one stream.
                        video_layer_mode: Mode::OneSpatialLayerPerStream.into(),
                    }],
                    layers,
                    ..request
                }
            }
            (_, audio, video) => {
                let is_stereo = audio.is_some_and(|audio| audio.is_stereo);
                let uses_dtx = audio.is_some_and(|audio| audio.uses_dtx);
                let features =
                    [(is_stereo, AudioTrackFeature::TfStereo), (!uses_dtx, AudioTrackFeature::TfNoDtx)];
                let features = features.into_iter().filter(|(is_there, _)| *is_there);
                let is_screen = video.as_ref().is_some_and(|video| video.video_type == VideoType::Screen);
                AddTrackRequest {
                    r#type: TrackType::Audio.into(),
                    source: match is_screen {
                        true => TrackSource::ScreenShareAudio,
                        false => TrackSource::Microphone,
                    }
                    .into(),
                    stereo: is_stereo,
                    disable_dtx: !uses_dtx,
                    disable_red: true,
                    audio_features: features.map(|(_, feature)| feature.into()).collect(),
                    ..request
                }
            }
        }
    }

    /// Whether the server knows the picture as of another type than it is.
    pub fn is_retyped(&self) -> bool {
        let info = self.track(Kind::Video).and_then(|track| track.info.as_ref());
        info.zip(self.wish.video.as_ref())
            .is_some_and(|(info, video)| info.source() != source(video.video_type))
    }

    /// The request that tells a server of ours of which type the picture is by now.
    pub fn retype(&self) -> Option<AddTrackRequest> {
        let track = self.track(Kind::Video)?;
        let sid = track.info.as_ref()?.sid.clone();
        Some(AddTrackRequest { sid, ..self.request(track, true, false) })
    }

    pub fn sending(&self, track: &Track) -> Sending {
        let sending = Sending {
            kind: MediaKind::Audio,
            codecs: vec![Codec::Opus],
            stream_id: format!("otc-{}", self.wish.id.0),
            track_id: track.cid.clone(),
            layers: Vec::new(),
            is_stereo: self.wish.audio.is_some_and(|audio| audio.is_stereo),
            uses_dtx: self.wish.audio.is_some_and(|audio| audio.uses_dtx),
        };
        match (track.kind, &self.wish.video) {
            (Kind::Video, Some(video)) => {
                let names = video.layers.iter().map(|layer| Layer::new(layer.name));
                Sending {
                    kind: MediaKind::Video,
                    codecs: video.codecs.iter().map(|codec| codec_below(*codec)).collect(),
                    layers: if video.layers.len() > 1 { names.collect() } else { Vec::new() },
                    ..sending
                }
            }
            _ => sending,
        }
    }

    /// What its stream was called before a new join.
    pub fn former_id(&self) -> Option<&str> {
        let kept = |kind| self.track(kind)?.kept_sid.as_deref();
        kept(Kind::Audio).or(kept(Kind::Video))
    }

    /// Nothing of it is with the server any more, to which this was sent.
    fn forget_server(&mut self, sent: &[SectionStatistics]) {
        self.state = Stage::Waiting;
        for track in &mut self.tracks {
            if let Some(sent) = track.sent(sent) {
                track.sent_before = Sent { loss: None, round_trip: None, jitter: None, ..sent };
            }
            track.section = None;
            track.kept_sid = track.info.take().map(|info| info.sid).or(track.kept_sid.take());
            track.sequences.fill(0);
        }
    }
}

impl Publications {
    pub fn find(&mut self, id: PublicationId) -> Option<&mut Published> {
        self.all.iter_mut().find(|published| published.wish.id == id)
    }

    pub fn remove(&mut self, id: PublicationId) -> Option<Published> {
        let position = self.all.iter().position(|published| published.wish.id == id)?;
        Some(self.all.remove(position))
    }

    pub fn by_cid(&mut self, cid: &str) -> Option<(&mut Published, usize)> {
        self.by_track(|track| track.cid == cid)
    }

    pub fn by_sid(&mut self, sid: &str) -> Option<(&mut Published, usize)> {
        self.by_track(|track| track.info.as_ref().is_some_and(|info| info.sid == sid))
    }

    pub fn by_section(&mut self, section: Section) -> Option<(&mut Published, usize)> {
        self.by_track(|track| track.section == Some(section))
    }

    pub fn by_track(&mut self, is_it: impl Fn(&Track) -> bool) -> Option<(&mut Published, usize)> {
        self.all.iter_mut().find_map(|published| {
            let position = published.tracks.iter().position(&is_it)?;
            Some((published, position))
        })
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        let deadlines = self.all.iter().filter_map(|published| match published.state {
            Stage::Asked { deadline } => Some(deadline),
            Stage::Waiting | Stage::Up => published.resizing_due(),
        });
        deadlines.min()
    }

    /// The server of before is gone, to which this was sent: everything is published again when there is another.
    pub fn forget_server(&mut self, sent: &[SectionStatistics]) {
        self.all.iter_mut().for_each(|published| published.forget_server(sent));
    }

    /// Those that wait have waited for a server that was away: their time begins anew.
    pub fn wait_anew(&mut self, now: Instant) {
        for published in &mut self.all {
            if let Stage::Asked { deadline } = &mut published.state {
                *deadline = now + PUBLISH_TIMEOUT;
            }
        }
    }

    /// What the server is told of tracks that it named before the link was lost.
    pub fn published(&self) -> Vec<TrackPublishedResponse> {
        let tracks = self.all.iter().flat_map(|published| &published.tracks);
        let named = tracks.filter(|track| track.info.is_some());
        named
            .map(|track| TrackPublishedResponse { cid: track.cid.clone(), track: track.info.clone() })
            .collect()
    }

    /// The own streams.
    pub fn streams(&self, live: &Live) -> Vec<Arc<Stream>> {
        let up = self.all.iter().filter(|published| published.state == Stage::Up);
        up.map(|published| published.stream(live)).collect()
    }

    /// The own stream of this id.
    pub fn find_stream(&self, live: &Live, id: &str) -> Option<Arc<Stream>> {
        self.streams(live).into_iter().find(|stream| stream.id == id)
    }

    /// Whether an own stream is about to be published again under its id.
    pub fn is_missing(&self, stream_id: &str) -> bool {
        let waiting = self.all.iter().filter(|published| published.was_up && published.state != Stage::Up);
        let mut tracks = waiting.flat_map(|published| &published.tracks);
        tracks.any(|track| {
            let info = track.info.as_ref().map(|info| info.sid.as_str());
            info.or(track.kept_sid.as_deref()) == Some(stream_id)
        })
    }

    /// The ids of the own streams that a caption belongs to.
    pub fn captioned(&self, caption: &Caption, live: Option<&Live>) -> Vec<String> {
        let Some(live) = live else { return Vec::new() };
        let is_speaker = live.own.identity == caption.identity;
        let up = self.all.iter().filter(|published| published.state == Stage::Up);
        let streams = up.map(|published| published.stream(live));
        streams.filter(|stream| caption.is_of(stream, is_speaker)).map(|stream| stream.id.clone()).collect()
    }

    /// The session ends, and its own streams before it. What the program has ended itself has not failed.
    pub fn end(&mut self, ending: &Ending) -> Vec<Event> {
        let all = std::mem::take(&mut self.all).into_iter();
        all.map(|published| {
            let fault = || {
                let text = "the session ended before the stream was published";
                MediaFault::new(MediaReason::SessionDisconnected, text)
            };
            published.event(match published.was_up || *ending == Ending::Left {
                true => PublisherEvent::Ended,
                false => PublisherEvent::Failed(fault()),
            })
        })
        .collect()
    }
}

fn layers(layers: &[PublishedLayer]) -> Vec<VideoLayer> {
    // A single one is the best there is.
    let qualities = if layers.len() == 1 { &QUALITIES[2..] } else { &QUALITIES[..] };
    let layers = layers.iter().zip(qualities).enumerate();
    layers
        .map(|(index, (layer, quality))| VideoLayer {
            quality: (*quality).into(),
            width: layer.width,
            height: layer.height,
            bitrate: layer.bitrate_bps,
            spatial_layer: index as i32,
            rid: layer.name.into(),
            ..VideoLayer::default()
        })
        .collect()
}

fn source(video_type: VideoType) -> TrackSource {
    match video_type {
        VideoType::Camera | VideoType::Custom => TrackSource::Camera,
        VideoType::Screen => TrackSource::ScreenShare,
    }
}

/// As LiveKit writes it.
fn codec_name(codec: VideoCodec) -> &'static str {
    match codec {
        VideoCodec::Vp8 => "vp8",
        VideoCodec::Vp9 => "vp9",
        VideoCodec::H264 => "h264",
        VideoCodec::Av1 => "av1",
    }
}

fn codec_below(codec: VideoCodec) -> Codec {
    match codec {
        VideoCodec::Vp8 => Codec::Vp8,
        VideoCodec::Vp9 => Codec::Vp9,
        VideoCodec::H264 => Codec::H264,
        VideoCodec::Av1 => Codec::Av1,
    }
}

pub(super) fn codec_above(codec: Codec) -> Option<VideoCodec> {
    match codec {
        Codec::Vp8 => Some(VideoCodec::Vp8),
        Codec::Vp9 => Some(VideoCodec::Vp9),
        Codec::H264 => Some(VideoCodec::H264),
        Codec::Av1 => Some(VideoCodec::Av1),
        Codec::Opus | Codec::Red => None,
    }
}
