//! Publishing: own streams, from the wish to the packets.
//!
//! A publication asks the server for its tracks and offers their sections in one breath; it is published when the
//! server has named the tracks and said what it takes. It outlives the server: after a new join it is published again
//! under a new stream, and the program hears nothing of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::core::{Core, State};
use super::live::Live;
use super::media::{
    MediaFault, MediaReason, Outgoing, Publication, PublicationId, PublishedLayer, PublishedVideo,
    PublisherEvent, Sent,
};
use super::streams::stream_name;
use super::wires::Wires;
use super::{Event, Stream, VideoType};
use crate::media::{Kind, VideoCodec};
use crate::rtc::{AudioLevel, Codec, Layer, MediaKind, PacketOut, Section, Sending};
use crate::signal::captions::Caption;
use crate::signal::proto::{
    AddTrackRequest, AudioTrackFeature, MuteTrackRequest, RequestResponse, SimulcastCodec,
    SubscribedQualityUpdate, TrackInfo, TrackPublishedResponse, TrackSource, TrackType, VideoLayer,
    VideoQuality, request_response, signal_request::Message, video_layer::Mode,
};

/// How long the server may take for its part of a publishing. The platform that is mirrored waits about as long.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(15);

/// The simulcast layers of LiveKit, lowest first.
const QUALITIES: [VideoQuality; 3] = [VideoQuality::Low, VideoQuality::Medium, VideoQuality::High];

/// All publications of a session.
#[derive(Default)]
pub(super) struct Publications {
    all: Vec<Published>,
    /// Makes the names of tracks differ from those of earlier tries.
    tries: u64,
}

struct Published {
    wish: Publication,
    state: Stage,
    tracks: Vec<Track>,
    /// It has been published in this session before: the program knows it.
    was_up: bool,
    /// What it sends now, and what it would send.
    bitrates: (u64, u64),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Stage {
    /// The server has not been asked yet.
    Waiting,
    Asked {
        deadline: Instant,
    },
    Up,
}

struct Track {
    kind: Kind,
    /// What this side calls it.
    cid: String,
    info: Option<TrackInfo>,
    section: Option<Section>,
    /// The next sequence number of each layer.
    sequences: Vec<u64>,
    /// What it was called before a new join: a server that is this library lets it keep that.
    kept_sid: Option<String>,
}

impl Published {
    fn new(wish: Publication) -> Self {
        let track = |kind, layers: usize| Track {
            kind,
            cid: String::new(),
            info: None,
            section: None,
            sequences: vec![0; layers.max(1)],
            kept_sid: None,
        };
        let audio = wish.audio.map(|_| track(Kind::Audio, 1));
        let video = wish.video.as_ref().map(|video| track(Kind::Video, video.layers.len()));
        let tracks = audio.into_iter().chain(video).collect();
        Self { wish, state: Stage::Waiting, tracks, was_up: false, bitrates: (0, 0) }
    }

    fn event(&self, event: PublisherEvent) -> Event {
        Event::Publisher { id: self.wish.id, event }
    }

    fn is_on(&self, kind: Kind) -> bool {
        match kind {
            Kind::Audio => self.wish.audio.is_some_and(|audio| audio.is_on),
            Kind::Video => self.wish.video.as_ref().is_some_and(|video| video.is_on),
        }
    }

    /// Remembers; true where it is news.
    fn set_on(&mut self, kind: Kind, is_on: bool) -> bool {
        let place = match kind {
            Kind::Audio => self.wish.audio.as_mut().map(|audio| &mut audio.is_on),
            Kind::Video => self.wish.video.as_mut().map(|video| &mut video.is_on),
        };
        place.is_some_and(|place| std::mem::replace(place, is_on) != is_on)
    }

    fn track(&self, kind: Kind) -> Option<&Track> {
        self.tracks.iter().find(|track| track.kind == kind)
    }

    fn video_codec(&self, wires: &Wires) -> Option<VideoCodec> {
        codec_above(wires.sending_codec(self.track(Kind::Video)?.section?)?)
    }

    /// Whether the server has named every track and said what it takes.
    fn is_complete(&self, wires: &Wires) -> bool {
        self.tracks.iter().all(|track| {
            let codec = track.section.and_then(|section| wires.sending_codec(section));
            track.info.is_some() && codec.is_some()
        })
    }

    fn stream(&self, live: &Live) -> Arc<Stream> {
        let sid = |kind| Some(self.track(kind)?.info.as_ref()?.sid.clone());
        let (audio_track, video_track) = (sid(Kind::Audio), sid(Kind::Video));
        let size = |video: &PublishedVideo| video.layers.last().map(|layer| (layer.width, layer.height));
        let (video_width, video_height) = self.wish.video.as_ref().and_then(size).unwrap_or_default();
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
            audio_track,
            video_track,
        })
    }

    /// The request for a track. `is_ours`: the server is this library too, and lets a track keep its sid; to others that
    /// would mean something else.
    #[allow(deprecated)] // servers that go by the older fields
    fn request(&self, track: &Track, is_ours: bool, is_mute_forced: bool) -> AddTrackRequest {
        let starts_muted = is_mute_forced && !self.was_up && track.kind == Kind::Audio;
        let (has_audio, has_video) = (self.wish.audio.is_some(), self.wish.video.is_some());
        let request = AddTrackRequest {
            cid: track.cid.clone(),
            name: self.wish.name.clone(),
            muted: !self.is_on(track.kind) || starts_muted,
            sid: track.kept_sid.clone().filter(|_| is_ours).unwrap_or_default(),
            stream: stream_name(&format!("otc-{}", self.wish.id.0), has_audio, has_video),
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

    fn sending(&self, track: &Track) -> Sending {
        let sending = Sending {
            kind: MediaKind::Audio,
            codecs: vec![Codec::Opus],
            stream_id: format!("otc-{}", self.wish.id.0),
            track_id: track.cid.clone(),
            layers: Vec::new(),
            is_stereo: self.wish.audio.is_some_and(|audio| audio.is_stereo),
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

    /// Nothing of it is with the server any more.
    fn forget_server(&mut self) {
        self.state = Stage::Waiting;
        for track in &mut self.tracks {
            track.section = None;
            track.kept_sid = track.info.take().map(|info| info.sid).or(track.kept_sid.take());
            track.sequences.fill(0);
        }
    }
}

impl Publications {
    fn find(&mut self, id: PublicationId) -> Option<&mut Published> {
        self.all.iter_mut().find(|published| published.wish.id == id)
    }

    fn remove(&mut self, id: PublicationId) -> Option<Published> {
        let position = self.all.iter().position(|published| published.wish.id == id)?;
        Some(self.all.remove(position))
    }

    fn by_cid(&mut self, cid: &str) -> Option<(&mut Published, usize)> {
        self.by_track(|track| track.cid == cid)
    }

    fn by_sid(&mut self, sid: &str) -> Option<(&mut Published, usize)> {
        self.by_track(|track| track.info.as_ref().is_some_and(|info| info.sid == sid))
    }

    fn by_section(&mut self, section: Section) -> Option<(&mut Published, usize)> {
        self.by_track(|track| track.section == Some(section))
    }

    fn by_track(&mut self, is_it: impl Fn(&Track) -> bool) -> Option<(&mut Published, usize)> {
        self.all.iter_mut().find_map(|published| {
            let position = published.tracks.iter().position(&is_it)?;
            Some((published, position))
        })
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        let deadlines = self.all.iter().filter_map(|published| match published.state {
            Stage::Asked { deadline } => Some(deadline),
            Stage::Waiting | Stage::Up => None,
        });
        deadlines.min()
    }

    /// The server of before is gone: everything is published again when there is another.
    pub fn forget_server(&mut self) {
        self.all.iter_mut().for_each(Published::forget_server);
    }

    /// What the server is told of tracks that it named before the link was lost.
    pub fn published(&self) -> Vec<TrackPublishedResponse> {
        let tracks = self.all.iter().flat_map(|published| &published.tracks);
        let named = tracks.filter(|track| track.info.is_some());
        named
            .map(|track| TrackPublishedResponse { cid: track.cid.clone(), track: track.info.clone() })
            .collect()
    }

    /// The own stream of this id.
    pub fn find_stream(&self, live: &Live, id: &str) -> Option<Arc<Stream>> {
        let up = self.all.iter().filter(|published| published.state == Stage::Up);
        up.map(|published| published.stream(live)).find(|stream| stream.id == id)
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

    /// The session ends, and its own streams before it.
    pub fn end(&mut self) -> Vec<Event> {
        let all = std::mem::take(&mut self.all).into_iter();
        all.map(|published| {
            let fault = || {
                let text = "the session ended before the stream was published";
                MediaFault::new(MediaReason::SessionDisconnected, text)
            };
            published.event(match published.was_up {
                true => PublisherEvent::Ended,
                false => PublisherEvent::Failed(fault()),
            })
        })
        .collect()
    }
}

impl Core {
    pub(super) fn publish(&mut self, now: Instant, wish: Publication) {
        let published = Published::new(wish);
        let fault = match &self.state {
            State::Connected(live) if !live.capabilities.publish => {
                Some(MediaFault::new(MediaReason::NotPermitted, "the token does not allow to publish"))
            }
            State::Connected(_) | State::Reconnecting(_) if published.tracks.is_empty() => {
                Some(MediaFault::new(MediaReason::Internal, "there is neither sound nor video to publish"))
            }
            State::Connected(_) | State::Reconnecting(_) => None,
            State::New | State::Joining(_) | State::Farewell(_) | State::Over => {
                Some(MediaFault::new(MediaReason::SessionDisconnected, "the session is not connected"))
            }
        };
        if let Some(fault) = fault {
            return self.say([published.event(PublisherEvent::Failed(fault))]);
        }
        self.publications.all.push(published);
        self.publish_waiting(now);
    }

    pub(super) fn unpublish(&mut self, now: Instant, id: PublicationId) {
        if let Some(published) = self.publications.remove(id) {
            self.retract(now, &published);
        }
        // Also of what was never asked for: whoever unpublishes waits for the word.
        self.say_media(vec![Event::Publisher { id, event: PublisherEvent::Ended }]);
    }

    /// Its sections carry nothing any more; the server tells the others.
    fn retract(&mut self, now: Instant, published: &Published) {
        let Some(live) = self.live_mut() else { return };
        for section in published.tracks.iter().filter_map(|track| track.section) {
            live.wires.stop_sending(now, section);
        }
        live.wires.negotiate(now);
    }

    /// Asks the server for what it has not been asked for yet.
    pub(super) fn publish_waiting(&mut self, now: Instant) {
        let State::Connected(live) = &mut self.state else { return };
        let Publications { all, tries } = &mut self.publications;
        let mut requests = Vec::new();
        for published in all.iter_mut().filter(|published| published.state == Stage::Waiting) {
            *tries += 1;
            published.state = Stage::Asked { deadline: now + PUBLISH_TIMEOUT };
            for track in &mut published.tracks {
                let kind = if track.kind == Kind::Audio { 'a' } else { 'v' };
                track.cid = format!("otc-{}-{tries}-{kind}", published.wish.id.0);
            }
            let (is_ours, is_mute_forced) = (live.wires.is_inline(), live.is_mute_forced());
            let tracks = published.tracks.iter();
            requests.extend(tracks.map(|track| published.request(track, is_ours, is_mute_forced)));
        }
        let mut has_added = false;
        for published in all.iter_mut() {
            for position in 0..published.tracks.len() {
                if published.tracks[position].section.is_none() && published.state != Stage::Waiting {
                    let sending = published.sending(&published.tracks[position]);
                    let section = live.wires.add_sending(now, &sending);
                    published.tracks[position].section = section;
                    has_added |= section.is_some();
                }
            }
        }
        if has_added {
            live.wires.negotiate(now);
        }
        // Before the offer that the wires have made: the server finds each of its sections announced.
        requests.into_iter().for_each(|request| self.request(Message::AddTrack(request)));
    }

    pub(super) fn publications_timeout(&mut self, now: Instant) {
        let is_late =
            |published: &Published| matches!(published.state, Stage::Asked { deadline } if now >= deadline);
        let late: Vec<PublicationId> =
            self.publications.all.iter().filter(|one| is_late(one)).map(|one| one.wish.id).collect();
        for id in late {
            let text = "the server did not take the stream in time; are its UDP ports reachable?";
            self.publication_failed(now, id, MediaFault::new(MediaReason::TimedOut, text));
        }
    }

    fn publication_failed(&mut self, now: Instant, id: PublicationId, fault: MediaFault) {
        let Some(published) = self.publications.remove(id) else { return };
        self.retract(now, &published);
        self.say_media(vec![published.event(PublisherEvent::Failed(fault))]);
    }

    /// Every publication whose way is gone, where that does not end the session.
    pub(super) fn publications_failed(&mut self, text: &str) {
        for published in std::mem::take(&mut self.publications.all) {
            let fault = MediaFault::new(MediaReason::PeerConnection, text);
            self.say_media(vec![published.event(PublisherEvent::Failed(fault))]);
        }
    }

    pub(super) fn track_published(&mut self, response: TrackPublishedResponse) {
        let Some(info) = response.track.filter(|info| !info.sid.is_empty()) else { return };
        if let Some((published, position)) = self.publications.by_cid(&response.cid) {
            published.tracks[position].info = Some(info);
        }
        self.publications_settled();
    }

    pub(super) fn publications_negotiated(&mut self, _now: Instant) {
        self.publications_settled();
    }

    /// Tells of those that have become complete.
    fn publications_settled(&mut self) {
        let State::Connected(live) = &self.state else { return };
        let mut events = Vec::new();
        let mut mutes = Vec::new();
        for published in &mut self.publications.all {
            let is_asked = matches!(published.state, Stage::Asked { .. });
            if !is_asked || !published.is_complete(&live.wires) {
                continue;
            }
            published.state = Stage::Up;
            // Whatever the program has switched until now: it may switch it on again from here on.
            let is_muted = live.is_mute_forced() && !published.was_up && published.set_on(Kind::Audio, false);
            let (stream, video) = (published.stream(live), published.video_codec(&live.wires));
            let was_up = std::mem::replace(&mut published.was_up, true);
            events.push(published.event(match was_up {
                false => PublisherEvent::Published { stream, video },
                true => PublisherEvent::Renewed { stream, video },
            }));
            events.extend(is_muted.then(|| published.event(PublisherEvent::MuteForced)));
            // What was switched since the server was asked.
            for track in &published.tracks {
                let Some(info) = &track.info else { continue };
                if info.muted == published.is_on(track.kind) {
                    let muted = !published.is_on(track.kind);
                    mutes.push(MuteTrackRequest { sid: info.sid.clone(), muted });
                }
            }
        }
        self.say(events);
        mutes.into_iter().for_each(|mute| self.request(Message::Mute(mute)));
        // Those who watch their own stream may have asked too early.
        self.ask_for_subscriptions();
    }

    /// The server does not do what it was asked for.
    pub(super) fn refused(&mut self, now: Instant, response: &RequestResponse) {
        use request_response::{Reason, Request};
        let Some(Request::AddTrack(request)) = &response.request else { return };
        if matches!(response.reason(), Reason::Ok | Reason::Queued) {
            return;
        }
        let reason = match response.reason() {
            Reason::NotAllowed => MediaReason::NotPermitted,
            _ => MediaReason::Internal,
        };
        if let Some((published, _)) = self.publications.by_cid(&request.cid) {
            let id = published.wish.id;
            let text = format!("the server does not take the stream: {}", response.message);
            self.publication_failed(now, id, MediaFault::new(reason, text));
        }
    }

    /// The server has ended a track of ours.
    pub(super) fn track_unpublished(&mut self, now: Instant, sid: &str) {
        if let Some((published, _)) = self.publications.by_sid(sid) {
            let id = published.wish.id;
            self.unpublish(now, id);
        }
    }

    /// The program switches a track on or off.
    pub(super) fn set_publishing(&mut self, id: PublicationId, kind: Kind, is_on: bool) {
        let Some(published) = self.publications.find(id) else { return };
        if !published.set_on(kind, is_on) || published.state != Stage::Up {
            return; // what is not published yet says so when it is
        }
        let sid = published.track(kind).and_then(|track| Some(track.info.as_ref()?.sid.clone()));
        if let Some(sid) = sid {
            self.request(Message::Mute(MuteTrackRequest { sid, muted: !is_on }));
        }
        self.publication_changed(id);
    }

    fn publication_changed(&mut self, id: PublicationId) {
        let Some(live) = self.live() else { return };
        let published = self.publications.all.iter().find(|published| published.wish.id == id);
        if let Some(published) = published.filter(|published| published.state == Stage::Up) {
            let event = published.event(PublisherEvent::Changed(published.stream(live)));
            self.say_media(vec![event]);
            self.streams_changed();
        }
    }

    /// A moderator, this client itself, mutes its own streams. False when none of them is meant.
    pub(super) fn mute_own(&mut self, is_meant: impl Fn(&str) -> bool) -> bool {
        let Some(live) = self.live() else { return false };
        let up = self.publications.all.iter().filter(|published| published.state == Stage::Up);
        let meant = up.filter(|published| is_meant(&published.stream(live).id));
        let meant: Vec<PublicationId> = meant.map(|published| published.wish.id).collect();
        for id in &meant {
            let Some(published) = self.publications.find(*id) else { continue };
            if !published.set_on(Kind::Audio, false) {
                continue;
            }
            let event = published.event(PublisherEvent::MuteForced);
            let sid = published.track(Kind::Audio).and_then(|track| Some(track.info.as_ref()?.sid.clone()));
            self.say_media(vec![event]);
            if let Some(sid) = sid {
                self.request(Message::Mute(MuteTrackRequest { sid, muted: true }));
            }
            self.publication_changed(*id);
        }
        !meant.is_empty()
    }

    /// A moderator, or the server for one, switches a track of ours.
    pub(super) fn mute_requested(&mut self, mute: &MuteTrackRequest) {
        let Some((published, position)) = self.publications.by_sid(&mute.sid) else { return };
        let kind = published.tracks[position].kind;
        let id = published.wish.id;
        // Nobody is switched on from afar.
        if !mute.muted || !published.set_on(kind, false) {
            return;
        }
        let event = published.event(PublisherEvent::MuteForced);
        if kind == Kind::Audio {
            self.say_media(vec![event]);
        }
        self.request(Message::Mute(mute.clone()));
        self.publication_changed(id);
    }

    #[allow(deprecated)] // as above
    pub(super) fn qualities_subscribed(&mut self, update: &SubscribedQualityUpdate) {
        let Some((published, _)) = self.publications.by_sid(&update.track_sid) else { return };
        let count = published.wish.video.as_ref().map_or(0, |video| video.layers.len());
        let qualities = match update.subscribed_codecs.first() {
            Some(codec) => &codec.qualities,
            None => &update.subscribed_qualities,
        };
        let is_wanted =
            |quality: VideoQuality| qualities.iter().any(|one| one.quality() == quality && one.enabled);
        let wanted = match count {
            0 => return,
            // Somebody wants it, in whichever size.
            1 => vec![qualities.iter().any(|one| one.enabled)],
            _ => QUALITIES.into_iter().take(count).map(is_wanted).collect(),
        };
        let event = published.event(PublisherEvent::LayersWanted(wanted));
        self.say_media(vec![event]);
    }

    pub(super) fn key_frame_requested(&mut self, section: Section, layer: Option<Layer>) {
        let Some((published, _)) = self.publications.by_section(section) else { return };
        let layers = published.wish.video.as_ref().map_or(&[][..], |video| &video.layers);
        let position = layer.and_then(|layer| layers.iter().position(|one| one.name == layer.as_str()));
        let event = published.event(PublisherEvent::KeyFrameWanted(position));
        self.say_media(vec![event]);
    }

    pub(super) fn bitrate_estimated(&mut self, bits_per_second: u64) {
        let all = self.publications.all.iter().filter(|published| published.wish.video.is_some());
        let events = all.map(|published| published.event(PublisherEvent::Bitrate(bits_per_second)));
        let events = events.collect();
        self.say_media(events);
    }

    pub(super) fn set_bitrates(&mut self, now: Instant, id: PublicationId, bitrates: (u64, u64)) {
        let Some(published) = self.publications.find(id) else { return };
        published.bitrates = bitrates;
        let all = self.publications.all.iter().map(|published| published.bitrates);
        let (current_bps, desired_bps) = all.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        if let Some(live) = self.live_mut() {
            live.wires.set_bitrate(now, current_bps, desired_bps);
        }
    }

    pub(super) fn count(&mut self, id: PublicationId) {
        let Some(live) = self.live() else { return };
        let published = self.publications.all.iter().find(|published| published.wish.id == id);
        let Some(published) = published.filter(|published| published.state == Stage::Up) else { return };
        let statistics = live.wires.sent();
        let sent = |kind| {
            let section = published.track(kind)?.section?;
            let mut sum = Sent::default();
            for one in statistics.iter().filter(|one| one.section == section) {
                sum.packets += one.packets;
                sum.bytes += one.bytes;
                sum.packets_lost += one.lost;
                sum.nacks += one.nacks;
                sum.key_frame_requests += one.key_frame_requests;
                sum.round_trip = one.round_trip.or(sum.round_trip);
                sum.jitter = one.jitter.or(sum.jitter);
            }
            Some(sum)
        };
        let (audio, video) = (sent(Kind::Audio), sent(Kind::Video));
        let event = published.event(PublisherEvent::Counted { audio, video });
        self.say_media(vec![event]);
    }

    /// Packets of a publisher. Those of a stream that is not published, or is switched off, go nowhere.
    pub(super) fn send_media(&mut self, now: Instant, id: PublicationId, outgoing: Outgoing) {
        let Self { state, publications, .. } = self;
        let live = match state {
            State::Connected(live) => live,
            State::Reconnecting(reconnecting) => &mut reconnecting.live,
            _ => return,
        };
        let Some(published) = publications.find(id) else { return };
        if published.state != Stage::Up || !published.is_on(outgoing.kind) {
            return;
        }
        let layers = published.wish.video.as_ref().map_or(&[][..], |video| &video.layers);
        let layer = match (outgoing.kind, layers.len()) {
            (Kind::Video, 2..) => layers.get(outgoing.layer).map(|layer| Layer::new(layer.name)),
            _ => None,
        };
        let Some(track) = published.tracks.iter_mut().find(|track| track.kind == outgoing.kind) else {
            return;
        };
        let Some(section) = track.section else { return };
        let Some(codec) = live.wires.sending_codec(section) else { return };
        let Some(sequence) = track.sequences.get_mut(outgoing.layer) else { return };
        for (payload, is_marked) in outgoing.payloads {
            let packet = PacketOut {
                codec,
                sequence: *sequence,
                timestamp: outgoing.timestamp,
                is_marked,
                payload,
                audio_level: outgoing.level.map(|(level_dbov, is_voice)| AudioLevel { level_dbov, is_voice }),
                rotation_degrees: None,
                is_resendable: outgoing.kind == Kind::Video,
                captured: Some(outgoing.captured),
            };
            if live.wires.send_media(now, section, layer, packet) {
                *sequence += 1;
            }
        }
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
