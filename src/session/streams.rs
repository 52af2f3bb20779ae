//! The streams of one connection: its tracks, put together as the publisher meant them.
//!
//! Tracks that name the same stream belong together; where a client names none, camera and microphone do, and a
//! screen and its sound. A stream has one picture and one sound: a second camera is a stream of its own. A track stays in
//! its stream for as long as both are there, in whatever order the server lists them.
//!
//! A stream is announced once: when all its tracks are there, or when the missing one has not
//! come for a while. So no program is told of a voice first and of its face as a change. This library's publishers say
//! in the name of the stream what it is made of; others are given a moment.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::event::{StreamChange, VideoType};
use super::{Connection, Event, Stream};
use crate::signal::proto::encryption::Type;
use crate::signal::proto::{TrackInfo, TrackSource, TrackType};

/// How long a stream waits for its second track. Clients add their tracks one request after the other.
const HOLD: Duration = Duration::from_millis(300);

/// The same where the publisher has said that there is a second one. It may have been refused.
const PROMISED_HOLD: Duration = Duration::from_secs(3);

/// What the tracks of a stream of this library are called together: a name, and what it is made of.
pub(super) fn stream_name(name: &str, has_audio: bool, has_video: bool) -> String {
    let made_of = match (has_audio, has_video) {
        (true, true) => BOTH,
        (true, false) => AUDIO_ONLY,
        (false, _) => VIDEO_ONLY,
    };
    format!("{name}{made_of}")
}

const BOTH: &str = ";av";
const AUDIO_ONLY: &str = ";a";
const VIDEO_ONLY: &str = ";v";

/// How long a stream with one track waits for the other; `None` where it is complete.
fn hold(name: &str, stream: &Stream) -> Option<Duration> {
    let is_alone = !(stream.has_audio_track && stream.has_video_track);
    match name {
        name if name.ends_with(BOTH) => is_alone.then_some(PROMISED_HOLD),
        name if name.ends_with(AUDIO_ONLY) || name.ends_with(VIDEO_ONLY) => None,
        _ => is_alone.then_some(HOLD),
    }
}

pub(super) struct Streams {
    connection: Arc<Connection>,
    groups: Vec<Group>,
}

struct Group {
    /// What its tracks have in common, or the sid of a track for which there was no room.
    key: String,
    stream: Arc<Stream>,
    /// Not announced yet.
    held_until: Option<Instant>,
    /// Its publisher has not published it again yet, on the server that took the place of another.
    missing_until: Option<Instant>,
}

/// The tracks of one stream, as the server lists them.
struct Place<'a> {
    key: String,
    audio: Option<&'a TrackInfo>,
    video: Option<&'a TrackInfo>,
}

impl<'a> Place<'a> {
    fn new(key: String) -> Self {
        Self { key, audio: None, video: None }
    }

    fn slot(&mut self, track: &TrackInfo) -> &mut Option<&'a TrackInfo> {
        match track.r#type() {
            TrackType::Audio => &mut self.audio,
            _ => &mut self.video,
        }
    }

    fn tracks(&self) -> impl Iterator<Item = &'a TrackInfo> {
        [self.audio, self.video].into_iter().flatten()
    }
}

impl Streams {
    pub fn new(connection: Arc<Connection>) -> Self {
        Self { connection, groups: Vec::new() }
    }

    /// The same connection after a new join, before the server's list of its tracks has been read: those that are in it
    /// have the places that they had.
    pub fn after(now: Instant, connection: Arc<Connection>, before: &Streams) -> Self {
        let announced = before.groups.iter().filter(|group| group.held_until.is_none());
        let groups = announced.map(|group| {
            let (key, stream) = (group.key.clone(), group.stream.clone());
            Group { key, stream, held_until: None, missing_until: Some(now) }
        });
        Self { connection, groups: groups.collect() }
    }

    pub fn announced(&self) -> impl Iterator<Item = Arc<Stream>> + '_ {
        self.groups.iter().filter(|group| group.held_until.is_none()).map(|group| group.stream.clone())
    }

    /// Nothing is held any more.
    pub fn release(&mut self) {
        self.groups.iter_mut().for_each(|group| group.held_until = None);
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        let deadlines = |group: &Group| [group.held_until, group.missing_until];
        self.groups.iter().flat_map(deadlines).flatten().min()
    }

    pub fn handle_timeout(&mut self, now: Instant) -> Vec<Event> {
        let mut events = self.remove_where(|group| group.missing_until.is_some_and(|until| now >= until));
        let due = self.groups.iter_mut().filter(|group| group.held_until.is_some_and(|until| now >= until));
        events.extend(due.map(|group| {
            group.held_until = None;
            Event::StreamReceived(group.stream.clone())
        }));
        events
    }

    fn remove_where(&mut self, leaves: impl Fn(&Group) -> bool) -> Vec<Event> {
        let gone = self.groups.extract_if(.., |group| leaves(group));
        let announced = gone.filter(|group| group.held_until.is_none());
        announced.map(|group| Event::StreamDropped(group.stream)).collect()
    }

    /// Nothing of it is with the server any more, and may come back until then.
    pub fn miss(&mut self, until: Instant) {
        self.groups.retain(|group| group.held_until.is_none());
        self.groups.iter_mut().for_each(|group| group.missing_until = Some(until));
    }

    /// Whether a stream waits to be published again.
    pub fn is_missing(&self, id: &str) -> bool {
        self.groups.iter().any(|group| group.stream.id == id && group.missing_until.is_some())
    }

    /// The whole list of tracks, as each of LiveKit's updates carries it.
    pub fn update(&mut self, now: Instant, tracks: &[TrackInfo]) -> Vec<Event> {
        let mut places = self.places(tracks).into_iter();
        let (mut events, mut changes) = (Vec::new(), Vec::new());
        for (mut group, place) in std::mem::take(&mut self.groups).into_iter().zip(places.by_ref()) {
            let count = place.tracks().count();
            let may_return = group.missing_until.is_some_and(|until| now < until);
            // What comes back with one track only may have its other one next.
            let is_expected = may_return && count < group.stream.tracks().count();
            if count == 0 && !may_return {
                events.extend(group.held_until.is_none().then_some(Event::StreamDropped(group.stream)));
                continue;
            }
            if !is_expected {
                group.missing_until = None;
                let known = group.held_until.is_none().then(|| group.stream.id.clone());
                let stream = stream(known, group.stream.created_ms, &self.connection, &place);
                let stream = Stream { has_captions: group.stream.has_captions, ..stream };
                changes.extend(group.become_stream(stream));
            }
            self.groups.push(group);
        }
        for place in places {
            let stream = stream(None, self.created_ms(&place), &self.connection, &place);
            let held_until = hold(&place.key, &stream).map(|hold| now + hold);
            let stream = Arc::new(stream);
            if held_until.is_none() {
                changes.push(Event::StreamReceived(stream.clone()));
            }
            self.groups.push(Group { key: place.key, stream, held_until, missing_until: None });
        }
        events.extend(changes);
        events
    }

    /// Which track belongs where: a place for each group, and then one for each that is new.
    fn places<'a>(&self, tracks: &'a [TrackInfo]) -> Vec<Place<'a>> {
        let mut places: Vec<Place> = self.groups.iter().map(|group| Place::new(group.key.clone())).collect();
        let mut fresh = Vec::new();
        for track in
            tracks.iter().filter(|track| matches!(track.r#type(), TrackType::Audio | TrackType::Video))
        {
            match self.groups.iter().position(|group| group.keeps(track)) {
                Some(position) => *places[position].slot(track) = Some(track),
                None => fresh.push(track),
            }
        }
        // LiveKit lists tracks in an order of chance. What was there first comes first.
        fresh.sort_by_key(|track| (changed_micro(track), track.sid.as_str()));
        for track in fresh {
            let key = group_key(track);
            let common = places.iter().position(|place| place.key == key);
            let is_full = common.is_some_and(|position| places[position].slot(track).is_some());
            let (key, known) = if is_full {
                let own = own_key(track);
                let known = places.iter().position(|place| place.key == own);
                (own, known)
            } else {
                (key, common)
            };
            let position = known.unwrap_or_else(|| {
                places.push(Place::new(key));
                places.len() - 1
            });
            *places[position].slot(track) = Some(track);
        }
        places
    }

    pub fn find(&self, id: &str) -> Option<&Arc<Stream>> {
        self.groups.iter().map(|group| &group.stream).find(|stream| stream.id == id)
    }

    /// Those that are not announced yet too.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Stream>> {
        self.groups.iter().map(|group| &group.stream)
    }

    /// A caption of these streams has come: adds their ids, and tells which of them had none before.
    pub fn captioned(&mut self, is_it: impl Fn(&Stream) -> bool, ids: &mut HashSet<String>) -> Vec<Event> {
        let mut events = Vec::new();
        for group in self.groups.iter_mut().filter(|group| is_it(&group.stream)) {
            ids.insert(group.stream.id.clone());
            if !group.stream.has_captions {
                let stream = Stream { has_captions: true, ..(*group.stream).clone() };
                events.extend(group.become_stream(stream));
            }
        }
        events
    }

    pub fn has_track(&self, sid: &str) -> bool {
        self.groups.iter().any(|group| group.stream.tracks().any(|track| track == sid))
    }

    /// Continues after a rejoin with what the server tells now. What is not there may still come until `missing_until`.
    pub fn succeed(&mut self, fresh: Streams, missing_until: Option<Instant>) -> Vec<Event> {
        let mut events = Vec::new();
        let old = std::mem::replace(&mut self.groups, fresh.groups);
        let mut missing = Vec::new();
        for group in old.iter().filter(|group| group.held_until.is_none()) {
            let is_again = |again: &Group| again.key == group.key && again.stream.id == group.stream.id;
            match missing_until {
                _ if self.groups.iter().any(is_again) => {}
                Some(_) => {
                    let (key, stream) = (group.key.clone(), group.stream.clone());
                    missing.push(Group { key, stream, held_until: None, missing_until });
                }
                None => events.push(Event::StreamDropped(group.stream.clone())),
            }
        }
        for group in &mut self.groups {
            let known = old.iter().find(|known| known.key == group.key && known.stream.id == group.stream.id);
            match known {
                Some(known) => {
                    let stream = Stream {
                        connection: self.connection.clone(),
                        has_captions: known.stream.has_captions,
                        ..(*group.stream).clone()
                    };
                    group.stream = known.stream.clone();
                    group.held_until = known.held_until;
                    events.extend(group.become_stream(stream));
                }
                None if group.held_until.is_none() => {
                    events.push(Event::StreamReceived(group.stream.clone()))
                }
                None => {}
            }
        }
        self.groups.extend(missing);
        events
    }

    /// LiveKit gives the moment of a track's last change, at its birth that of its birth, in microseconds.
    fn created_ms(&self, place: &Place) -> i64 {
        let micro = place.tracks().filter_map(changed_micro).min();
        micro.map_or(self.connection.created_ms, |micro| micro / 1000)
    }
}

impl Group {
    /// Whether the track is in it and stays there. One for which there was no room may still get the place of another, until
    /// the program knows it as a stream: clients that replace a track may publish the new one first.
    fn keeps(&self, track: &TrackInfo) -> bool {
        let is_in_it = self.stream.tracks().any(|sid| *sid == track.sid);
        is_in_it && (self.held_until.is_none() || self.key != own_key(track))
    }

    /// The stream as it is now; what changed is said once it has been announced.
    fn become_stream(&mut self, stream: Stream) -> Vec<Event> {
        let old = std::mem::replace(&mut self.stream, Arc::new(stream));
        let new = &self.stream;
        if self.held_until.is_some() {
            if new.has_audio_track && new.has_video_track {
                self.held_until = None;
                return vec![Event::StreamReceived(new.clone())];
            }
            return Vec::new();
        }
        let mut changes = Vec::new();
        if old.has_audio != new.has_audio {
            changes.push(StreamChange::Audio(new.has_audio));
        }
        if old.has_video != new.has_video {
            changes.push(StreamChange::Video(new.has_video));
        }
        if old.has_captions != new.has_captions {
            changes.push(StreamChange::Captions(new.has_captions));
        }
        if (old.video_width, old.video_height) != (new.video_width, new.video_height) {
            changes.push(StreamChange::Dimensions { width: new.video_width, height: new.video_height });
        }
        if old.video_type != new.video_type {
            changes.push(StreamChange::VideoType(new.video_type));
        }
        changes.into_iter().map(|change| Event::StreamChanged { stream: new.clone(), change }).collect()
    }
}

fn group_key(track: &TrackInfo) -> String {
    if !track.stream.is_empty() {
        return format!("stream {}", track.stream);
    }
    match track.source() {
        TrackSource::Camera | TrackSource::Microphone => "camera".into(),
        TrackSource::ScreenShare | TrackSource::ScreenShareAudio => "screen".into(),
        TrackSource::Unknown => own_key(track),
    }
}

fn own_key(track: &TrackInfo) -> String {
    format!("track {}", track.sid)
}

fn changed_micro(track: &TrackInfo) -> Option<i64> {
    track.version.as_ref().map(|version| version.unix_micro)
}

/// `id`: the one that was announced. A new stream has that of its sound, else that of its picture: the same for all
/// clients, in whichever order they hear of the tracks.
fn stream(id: Option<String>, created_ms: i64, connection: &Arc<Connection>, place: &Place) -> Stream {
    let (audio, video) = (place.audio, place.video);
    let video_type = match video.map(|track| track.source()) {
        Some(TrackSource::ScreenShare) => VideoType::Screen,
        Some(TrackSource::Camera) | None => VideoType::Camera,
        Some(_) => VideoType::Custom,
    };
    let sid = |track: Option<&TrackInfo>| track.map(|track| track.sid.clone());
    let (audio_track, video_track) = (sid(audio), sid(video));
    Stream {
        id: id.or(audio_track.clone()).or(video_track.clone()).unwrap_or_default(),
        name: video.or(audio).map(|track| track.name.clone()).unwrap_or_default(),
        connection: connection.clone(),
        created_ms,
        has_audio_track: audio.is_some(),
        has_audio: audio.is_some_and(|track| !track.muted),
        has_video_track: video.is_some(),
        has_video: video.is_some_and(|track| !track.muted),
        has_captions: false,
        video_width: video.map_or(0, |track| track.width),
        video_height: video.map_or(0, |track| track.height),
        video_type,
        // As LiveKit's clients have it: of one publisher all is encrypted, or nothing.
        is_sealed: place.tracks().any(|track| track.encryption() != Type::None),
        audio_track,
        video_track,
    }
}
