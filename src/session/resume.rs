//! What a resumed session says again.
//!
//! The server is the one of before and remembers what it was asked. But a link may be dead for a while before anybody
//! notices: what was said on it then has not arrived, and neither has what the server said since. So everything that
//! may be lost is said again, in words that change nothing where they say what the server knows.

use std::time::Instant;

use super::core::{Core, State};
use super::live::Live;
use super::publications::{Publications, Stage};
use crate::signal::proto::{MuteTrackRequest, TrackInfo, signal_request::Message};

/// What a link that broke leaves open.
pub(super) struct Doubt {
    /// When the server was heard last on it. What was said since then may not have arrived.
    since: Instant,
    /// The own tracks as the server describes them to who resumes.
    tracks: Option<Vec<TrackInfo>>,
}

impl Live {
    /// The link has broken. What an earlier one has left open and nobody has answered stays open.
    pub fn begin_to_doubt(&mut self) {
        let since = self.doubt.as_ref().map_or(self.heard_at(), |doubt| doubt.since);
        self.doubt = Some(Doubt { since, tracks: None });
    }

    /// The server says how the own tracks are.
    pub fn hear_of_own(&mut self, tracks: &[TrackInfo]) {
        if let Some(doubt) = &mut self.doubt {
            doubt.tracks = Some(tracks.to_vec());
        }
    }
}

impl Core {
    /// Before the offer with which a resume begins: the sections of tracks that the server has not named end in it, since
    /// nobody can tell whether it knows them.
    pub(super) fn give_up_unnamed(&mut self, now: Instant) {
        let Self { state: State::Reconnecting(reconnecting), publications, .. } = self else { return };
        let asked = publications.all.iter_mut().filter(|one| matches!(one.state, Stage::Asked { .. }));
        let tracks = asked.flat_map(|published| &mut published.tracks);
        for track in tracks.filter(|track| track.info.is_none()) {
            track.sequences.fill(0);
            if let Some(section) = track.section.take() {
                reconnecting.live.wires.stop_sending(now, section);
            }
        }
    }

    /// After the resume: what may have been lost, but for what is muted. That waits for the server's word.
    pub(super) fn say_again(&mut self, now: Instant) {
        let State::Connected(live) = &self.state else { return };
        let Some(since) = live.doubt.as_ref().map(|doubt| doubt.since) else { return };
        let (is_ours, is_mute_forced) = (live.wires.is_inline(), self.starts_muted(now));
        let Publications { all, tries, .. } = &mut self.publications;
        let mut requests = Vec::new();
        for published in all {
            match published.state {
                Stage::Waiting => {}
                Stage::Asked { .. } => {
                    *tries += 1;
                    for position in 0..published.tracks.len() {
                        if published.tracks[position].info.is_none() {
                            published.call(position, *tries);
                            let track = &published.tracks[position];
                            let request = published.request(track, is_ours, is_mute_forced);
                            requests.push(Message::AddTrack(request));
                        }
                    }
                }
                Stage::Up => {
                    let retype = published.retype().filter(|_| is_ours && published.is_retyped());
                    requests.extend(retype.map(Message::AddTrack));
                    requests.extend(published.doubt_size(now, since).map(Message::UpdateVideoTrack));
                }
            }
        }
        self.subscriptions.doubt();
        requests.into_iter().for_each(|request| self.request(request));
    }

    /// Where the server and the program differ in what is muted: the program has switched it on a link that was dead, and says
    /// so again; or somebody has muted it meanwhile, and the program hears of that.
    pub(super) fn compare_tracks(&mut self) {
        let State::Connected(live) = &mut self.state else { return };
        let Some(doubt) = live.doubt.take_if(|doubt| doubt.tracks.is_some()) else { return };
        for info in doubt.tracks.unwrap_or_default() {
            let Some((published, position)) = self.publications.by_sid(&info.sid) else { continue };
            let track = &published.tracks[position];
            let is_on = published.is_on(track.kind);
            if published.state != Stage::Up || info.muted != is_on {
                continue;
            }
            let is_switched = track.switched.is_some_and(|at| at >= doubt.since);
            let mute = MuteTrackRequest { sid: info.sid, muted: !is_on };
            if is_on && !is_switched {
                self.mute_requested(&MuteTrackRequest { muted: true, ..mute });
            } else {
                self.request(Message::Mute(mute));
            }
        }
    }
}
