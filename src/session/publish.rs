//! Publishing: own streams, from the wish to the packets.
//!
//! A publication asks the server for its tracks and offers their sections in one breath; it is published when the
//! server has named the tracks and said what it takes. It outlives the server: after a new join it is published again
//! under a new stream, and the program hears nothing of it.

use std::time::{Duration, Instant};

use super::core::{Core, State};
use super::media::{MediaFault, MediaReason, Outgoing, Publication, PublicationId, PublisherEvent};
use super::publications::{PUBLISH_TIMEOUT, Publications, Published, QUALITIES, Stage};
use super::{Event, VideoType};
use crate::media::Kind;
use crate::rtc::{AudioLevel, Layer, PacketOut, Section, SendError};
use crate::signal::proto::{
    MuteTrackRequest, RequestResponse, SubscribedQualityUpdate, TrackPublishedResponse, VideoQuality,
    request_response, signal_request::Message,
};

/// How long a packet may wait for the network until no further picture is encoded, and how short the wait is when they
/// go on. A key frame in three layers takes a quarter of a second on a network that just carries them.
const BACKLOG_MAX: Duration = Duration::from_millis(600);
const BACKLOG_CLEARED: Duration = Duration::from_millis(150);

/// What encoders are given of an estimate: they do not keep to their rate from one second to the next, and lost packets
/// are sent again.
const ENCODED_SHARE: f64 = 0.9;

/// What the sound of a publication takes of it.
const SOUND_BPS: u64 = 40_000;

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
        let is_mute_forced = self.starts_muted(now);
        let State::Connected(live) = &mut self.state else { return };
        let Publications { all, tries, .. } = &mut self.publications;
        let mut requests = Vec::new();
        for published in all.iter_mut().filter(|published| published.state == Stage::Waiting) {
            *tries += 1;
            published.state = Stage::Asked { deadline: now + PUBLISH_TIMEOUT };
            (0..published.tracks.len()).for_each(|position| published.call(position, *tries));
            let is_ours = live.wires.is_inline();
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

    pub(super) fn track_published(&mut self, now: Instant, response: TrackPublishedResponse) {
        let Some(info) = response.track.filter(|info| !info.sid.is_empty()) else { return };
        if let Some((published, position)) = self.publications.by_cid(&response.cid) {
            published.tracks[position].info = Some(info);
        }
        self.publications_settled(now);
    }

    pub(super) fn publications_negotiated(&mut self, now: Instant) {
        self.publications_settled(now);
    }

    /// Tells of those that have become complete.
    pub(super) fn publications_settled(&mut self, now: Instant) {
        let starts_muted = self.starts_muted(now);
        let State::Connected(live) = &self.state else { return };
        let mut events = Vec::new();
        let mut requests = Vec::new();
        for published in &mut self.publications.all {
            let is_asked = matches!(published.state, Stage::Asked { .. });
            if !is_asked || !published.is_complete(&live.wires) {
                continue;
            }
            published.state = Stage::Up;
            // Whatever the program has switched until now: it may switch it on again from here on.
            let is_muted = starts_muted && !published.was_up && published.set_on(Kind::Audio, false);
            let (stream, video) = (published.stream(live), published.video_codec(&live.wires));
            let was_up = std::mem::replace(&mut published.was_up, true);
            if let Some(former) = published.former_id().filter(|former| *former != stream.id) {
                events.extend(self.subscriptions.rename(former, &stream));
            }
            events.push(published.event(match was_up {
                false => PublisherEvent::Published { stream, video },
                true => PublisherEvent::Renewed { stream, video },
            }));
            events.extend(is_muted.then(|| published.event(PublisherEvent::MuteForced(Kind::Audio))));
            // What was switched since the server was asked.
            for position in 0..published.tracks.len() {
                let is_on = published.is_on(published.tracks[position].kind);
                let track = &mut published.tracks[position];
                if let Some(info) = track.info.as_ref().filter(|info| info.muted == is_on) {
                    requests.push(Message::Mute(MuteTrackRequest { sid: info.sid.clone(), muted: !is_on }));
                    track.switched = Some(now);
                }
            }
            if live.wires.is_inline() && published.is_retyped() {
                requests.extend(published.retype().map(Message::AddTrack));
            }
        }
        self.say(events);
        requests.into_iter().for_each(|request| self.request(request));
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
            if published.state == Stage::Up {
                log::info!("the server does not tell the others what the stream shows: {}", response.message);
                return;
            }
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
    pub(super) fn set_publishing(&mut self, now: Instant, id: PublicationId, kind: Kind, is_on: bool) {
        let Some(published) = self.publications.find(id) else { return };
        if let Some(track) = published.tracks.iter_mut().find(|track| track.kind == kind) {
            track.switched = Some(now);
        }
        if !published.set_on(kind, is_on) || published.state != Stage::Up {
            return; // what is not published yet says so when it is
        }
        let sid = published.track(kind).and_then(|track| Some(track.info.as_ref()?.sid.clone()));
        self.publication_changed(id);
        if let Some(sid) = sid {
            self.request(Message::Mute(MuteTrackRequest { sid, muted: !is_on }));
        }
    }

    /// LiveKit's protocol has no word for it: others hear of it where the server is this library too.
    pub(super) fn set_video_type(&mut self, id: PublicationId, video_type: VideoType) {
        let is_ours = self.live().is_some_and(|live| live.wires.is_inline());
        let Some(published) = self.publications.find(id) else { return };
        let Some(video) = published.wish.video.as_mut() else { return };
        if std::mem::replace(&mut video.video_type, video_type) == video_type || published.state != Stage::Up
        {
            return; // as above
        }
        // Whatever the server has said so far: its answer to the request before may still be on its way.
        let request = published.retype().filter(|_| is_ours);
        self.publication_changed(id);
        if let Some(request) = request {
            self.request(Message::AddTrack(request));
        }
    }

    /// Comes before the server is told: when others hear of it the own program has it too.
    pub(super) fn publication_changed(&mut self, id: PublicationId) {
        let Some(live) = self.live() else { return };
        let published = self.publications.all.iter().find(|published| published.wish.id == id);
        if let Some(published) = published.filter(|published| published.state == Stage::Up) {
            let event = published.event(PublisherEvent::Changed(published.stream(live)));
            self.say_media(vec![event]);
            self.streams_changed(vec![]);
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
            let event = published.event(PublisherEvent::MuteForced(Kind::Audio));
            let sid = published.track(Kind::Audio).and_then(|track| Some(track.info.as_ref()?.sid.clone()));
            self.publication_changed(*id);
            self.say_media(vec![event]);
            if let Some(sid) = sid {
                self.request(Message::Mute(MuteTrackRequest { sid, muted: true }));
            }
        }
        !meant.is_empty()
    }

    /// A moderator, or the server for one, switches a track of ours.
    pub(super) fn mute_requested(&mut self, mute: &MuteTrackRequest) {
        let Some((published, position)) = self.publications.by_sid(&mute.sid) else { return };
        let kind = published.tracks[position].kind;
        let id = published.wish.id;
        // Nobody is switched on from afar. A server that has done so tells the others what is not so.
        if !mute.muted {
            if !published.is_on(kind) {
                self.request(Message::Mute(MuteTrackRequest { muted: true, ..mute.clone() }));
            }
            return;
        }
        let is_news = published.set_on(kind, false);
        let event = published.event(PublisherEvent::MuteForced(kind));
        if is_news {
            self.publication_changed(id);
        }
        // Video that rests for the sake of a narrow network does not come back with a wide one.
        if is_news || kind == Kind::Video {
            self.say_media(vec![event]);
        }
        if is_news {
            self.request(Message::Mute(mute.clone()));
        }
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
        self.publications.estimate_bps = Some(bits_per_second);
        let all = &self.publications.all;
        let sounds =
            all.iter().filter(|published| published.wish.audio.is_some() && published.is_on(Kind::Audio));
        let sound_bps = sounds.count() as u64 * SOUND_BPS;
        let for_video = ((bits_per_second as f64 * ENCODED_SHARE) as u64).saturating_sub(sound_bps);
        let with_video = || all.iter().filter(|published| published.wish.video.is_some());
        // Until their encoders have said what they wish for they are all alike.
        let desired = |published: &Published| published.bitrates.1.max(1);
        let sum = with_video().map(desired).sum::<u64>().max(1);
        let events = with_video().flat_map(|published| {
            let part = u128::from(for_video) * u128::from(desired(published)) / u128::from(sum);
            let part = PublisherEvent::VideoBitrate(part as u64);
            [PublisherEvent::Bitrate(bits_per_second), part].map(|event| published.event(event))
        });
        let events = events.collect();
        self.say_media(events);
    }

    /// A network that has become narrow takes what waits for it slowly, and what waits is of the time when it was wide.
    /// Pictures that are added to that would come when nobody wants them any more.
    pub(super) fn watch_backlog(&mut self, now: Instant) {
        let Some(live) = self.live_mut() else { return };
        let backlog = live.wires.backlog(now);
        let is_held = self.publications.is_held;
        let limit = if is_held { BACKLOG_CLEARED } else { BACKLOG_MAX };
        if (backlog > limit) == is_held {
            return;
        }
        self.publications.is_held = !is_held;
        let all = self.publications.all.iter().filter(|published| published.wish.video.is_some());
        let events = all.map(|published| published.event(PublisherEvent::Held(!is_held))).collect();
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

    pub(super) fn count(&mut self, now: Instant, id: PublicationId) {
        self.tell_subscribers(now, id);
        let Some(live) = self.live() else { return };
        let published = self.publications.all.iter().find(|published| published.wish.id == id);
        let Some(published) = published.filter(|published| published.state == Stage::Up) else { return };
        let statistics = live.wires.sent();
        let sent = |kind| published.track(kind)?.sent(&statistics);
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
        let (Some(sequence), Some(is_torn)) =
            (track.sequences.get_mut(outgoing.layer), track.torn.get_mut(outgoing.layer))
        else {
            return;
        };
        *sequence += outgoing.missing as u64;
        let mut wants_key = false;
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
            match live.wires.send_media(now, section, layer, packet) {
                Ok(()) => {
                    *sequence += 1;
                    wants_key |= std::mem::take(is_torn);
                }
                // It has its number, so that receivers see what is missing. The rest of the frame is of no use without it, and
                // neither is what follows before a key frame.
                Err(SendError::Full) => {
                    *sequence += 1;
                    *is_torn = outgoing.kind == Kind::Video;
                    break;
                }
                Err(_) => break,
            }
        }
        let torn = wants_key.then(|| published.event(PublisherEvent::KeyFrameWanted(Some(outgoing.layer))));
        self.say_media(torn.into_iter().collect());
        self.watch_backlog(now);
    }
}
