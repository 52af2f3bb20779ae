//! Which layer of each track a subscriber gets: what it wishes, as far as its network carries it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::super::core::LinkId;
use super::super::participant::{Key, Participant};
use super::super::room::Room;
use super::super::shared::{Seat, Shared};
use super::down::{Down, Path, Target};
use super::track::{TEMPORAL_LAYERS_MAX, Track};
use super::{TrackKey, forward};
use crate::rtc::MediaKind;
use crate::signal::proto::signal_response::Message;
use crate::signal::proto::{
    StreamState, StreamStateInfo, StreamStateUpdate, UpdateTrackSettings, VideoQuality,
};

/// By how much the estimate has to exceed what a higher layer takes. Without this the layer would change with every
/// breath of the estimate.
const RAISE_MARGIN: f64 = 1.15;

/// What is sent already stays as long as the estimate covers this part of it: an estimate trembles, and so does a bitrate.
const KEEP_MARGIN: f64 = 0.9;

/// The least of a track stays even longer: a picture that comes and goes is worse than one that is late, and begins
/// with a key frame each time.
const KEEP_LEAST_MARGIN: f64 = 0.5;

/// A layer is cut off, and not sent until the key frame of a lower one is there, when the network carries less than
/// this part of it.
const CUT_SHARE: f64 = 0.6;

/// How long estimates are not believed after the first picture. A connection begins with a guess, and finds out within
/// a second or two; the first picture does not wait for that, and pacing spares a network that is slower.
const WARM_UP: Duration = Duration::from_secs(2);

/// An estimate that has fallen to less than this part of what it was before the first picture, and of what is sent, is
/// believed at once.
const FALLEN_SHARE: f64 = 0.5;

/// How long more is waited for when the estimate does not allow it, before it is tried all the same: where it is the
/// other side that estimates and little is sent, it cannot tell how much could be; where it is this side, probes can.
/// Twice as long after each attempt that failed, up to the second.
const PATIENCE_FIRST: Duration = Duration::from_secs(3);
const PATIENCE_MAX: Duration = Duration::from_secs(60);

/// How long nothing is tried after the network made something be lowered, where this side estimates. Probes find out
/// then what there is, and an attempt would fill the queue. Later it may be probes that find nothing: where little was
/// sent for a while the estimate stays near that for good.
const ATTEMPT_PAUSE: Duration = Duration::from_secs(20);

/// How long nothing is raised after the network made something be lowered. An estimate that recovers needs some seconds
/// to be worth something.
const RAISE_PAUSE: Duration = Duration::from_secs(2);

/// What is kept for a sound track, with its headers, until it was measured.
const AUDIO_BPS: u64 = 50_000;

/// What headers, repair and reports add to the payload.
const OVERHEAD: f64 = 1.08;

/// Over which time it is measured what goes out.
const MEASURE_INTERVAL: Duration = Duration::from_secs(1);

/// How often it is looked at anew when nothing happens.
pub const REVIEW_INTERVAL: Duration = Duration::from_secs(1);

/// What is known of a subscriber's network.
#[derive(Debug, Default)]
pub struct Budget {
    pub estimate_bps: Option<u64>,
    /// From when on estimates are believed; since the first picture.
    believed_from: Option<Instant>,
    /// What the estimate was when the first picture went.
    guess_bps: Option<u64>,
    /// More than the estimate allows is being tried.
    is_trying: bool,
    /// How long the estimate has allowed less than is wished, and how long that is put up with.
    short_since: Option<Instant>,
    patience: Option<Duration>,
    since: Option<Instant>,
    video_bits: u64,
    audio_bits: u64,
    sent_bps: u64,
    audio_bps: u64,
    told: Option<(u64, u64)>,
    pub reviewed: Option<Instant>,
}

impl Budget {
    /// Counts what is sent.
    pub fn count(&mut self, now: Instant, kind: MediaKind, size: usize) {
        if kind == MediaKind::Video {
            self.believed_from.get_or_insert(now + WARM_UP);
            self.guess_bps = self.guess_bps.or(self.estimate_bps);
        }
        let since = *self.since.get_or_insert(now);
        let elapsed = now.saturating_duration_since(since);
        if elapsed >= MEASURE_INTERVAL {
            let per_second = |bits: u64| (bits as f64 / elapsed.as_secs_f64()) as u64;
            self.audio_bps = per_second(self.audio_bits);
            self.sent_bps = per_second(self.video_bits) + self.audio_bps;
            (self.since, self.video_bits, self.audio_bits) = (Some(now), 0, 0);
        }
        let bits = match kind {
            MediaKind::Audio => &mut self.audio_bits,
            MediaKind::Video => &mut self.video_bits,
        };
        *bits += size as u64 * 8;
    }

    /// How long the network takes to carry so many bytes.
    pub fn carries(&self, bytes: usize) -> Duration {
        let bytes_per_second = self.estimate_bps.map_or(f64::MAX, |bps| bps.max(8) as f64 / 8.0);
        Duration::from_secs_f64(bytes as f64 / bytes_per_second)
    }

    /// What there is to spend.
    fn purse(&mut self, now: Instant) -> Purse {
        let Some(estimate_bps) = self.estimate_bps else { return Purse::Unknown };
        let is_believed = self.believed_from.is_some_and(|from| now >= from);
        if !is_believed && self.has_fallen(now, estimate_bps) {
            self.believed_from = Some(now);
            return Purse::Known(estimate_bps);
        }
        match (is_believed, self.is_trying) {
            (true, _) => Purse::Known(estimate_bps),
            (false, true) => Purse::Untouched,
            (false, false) => Purse::Unknown,
        }
    }

    /// There is much less than was thought before the first picture, and than is being sent. That is no guess any more.
    fn has_fallen(&self, now: Instant, estimate_bps: u64) -> bool {
        let falls_short = |bps: u64| (estimate_bps as f64) < bps as f64 * FALLEN_SHARE;
        let elapsed = self.since.map_or(MEASURE_INTERVAL, |since| now.saturating_duration_since(since));
        let sending_bps = self.video_bits as f64 / elapsed.max(MEASURE_INTERVAL / 4).as_secs_f64();
        self.guess_bps.is_some_and(falls_short) && falls_short(self.sent_bps.max(sending_bps as u64))
    }

    /// Sees what came of an attempt, and says whether it is time for another one.
    fn attempt(&mut self, now: Instant, candidates: &[Candidate]) -> bool {
        let has_failed = candidates.iter().any(|one| one.before.is_some() && one.chosen < one.before);
        if std::mem::take(&mut self.is_trying) && !has_failed {
            self.patience = None;
        }
        let is_short = candidates.iter().any(|one| one.next().is_some());
        if !is_short || has_failed {
            self.short_since = None;
        }
        if !is_short {
            return false;
        }
        let since = *self.short_since.get_or_insert(now);
        let patience = self.patience.unwrap_or(PATIENCE_FIRST);
        if now.saturating_duration_since(since) < patience {
            return false;
        }
        self.patience = Some((patience * 2).min(PATIENCE_MAX));
        self.short_since = None;
        self.is_trying = true;
        self.believed_from = Some(now + WARM_UP);
        true
    }
}

enum Purse {
    /// The connection has just begun: everything.
    Unknown,
    /// More than is known of is being tried: things stay as they are.
    Untouched,
    Known(u64),
}

/// One way to send a track, and what it takes.
#[derive(Debug, Clone, Copy)]
struct Choice {
    target: Target,
    bps: u64,
}

/// A video track that a subscriber wishes for.
struct Candidate {
    track: TrackKey,
    priority: u32,
    /// From the cheapest to what is wished for. Never empty.
    choices: Vec<Choice>,
    chosen: Option<usize>,
    /// What it gets until now.
    before: Option<usize>,
    may_raise: bool,
    may_try: bool,
}

impl Candidate {
    /// One step more than it gets.
    fn next(&self) -> Option<usize> {
        let next = self.chosen.map_or(0, |chosen| chosen + 1);
        (next < self.choices.len()).then_some(next)
    }
}

/// The highest layer that settings ask for, and how many pictures per second; `None` when nothing is wanted.
pub fn wish(track: &Track, settings: Option<&UpdateTrackSettings>) -> Option<(usize, u32)> {
    let Some(settings) = settings else { return Some((track.layers.len().saturating_sub(1), 0)) };
    if settings.disabled {
        return None;
    }
    if settings.width > 0 {
        return Some((track.layer_for_size(settings.width, settings.height), settings.fps));
    }
    match settings.quality() {
        VideoQuality::Off => None,
        quality => Some((track.layer_for_quality(quality), settings.fps)),
    }
}

/// The ways to send a track at most so well.
fn choices(track: &Track, top: usize, frames_per_second: u32) -> Vec<Choice> {
    let mut layers: Vec<usize> = (0..=top).filter(|layer| track.is_sent(*layer)).collect();
    if layers.is_empty() {
        // Rather a larger picture than none; and where nothing comes yet, what is wished for may be next.
        layers = vec![(top + 1..track.layers.len()).find(|layer| track.is_sent(*layer)).unwrap_or(top)];
    }
    let mut choices = Vec::new();
    for (index, layer) in layers.iter().enumerate() {
        let Some(stream) = track.layers.get(*layer) else { continue };
        let mut temporal = stream.temporal_top();
        if frames_per_second > 0 {
            let wished = frames_per_second as f32;
            // The fewest layers that show as many pictures, give or take a tenth.
            temporal = (0..temporal)
                .find(|fewer| stream.rate(*fewer).frames_per_second >= wished * 0.9)
                .unwrap_or(temporal);
        }
        let whole = temporal == stream.temporal_top();
        let top = if whole { u8::MAX } else { temporal };
        let bps = |upto: u8| {
            let upto = upto.min(TEMPORAL_LAYERS_MAX as u8 - 1);
            (stream.rate(upto).bits_per_second as f64 * OVERHEAD) as u64
        };
        if index == 0 {
            // Where even the smallest picture is too much, rather fewer pictures than none.
            let fewer = (0..temporal)
                .map(|temporal| Choice { target: Target { layer: *layer, temporal }, bps: bps(temporal) });
            choices.extend(fewer);
        }
        choices.push(Choice { target: Target { layer: *layer, temporal: top }, bps: bps(top) });
    }
    choices
}

/// Decides anew what a subscriber gets.
pub fn choose(room: &mut Room, shared: &mut Shared, now: Instant, key: Key) {
    let Room { media: Some(media), participants, name, .. } = room else { return };
    let Some(participant) = participants.get_mut(&key) else { return };
    let link = participant.link();
    let Participant { share: Some(share), peers, .. } = participant else { return };
    share.budget.reviewed = Some(now);
    let mut sounds = 0;
    let mut candidates = Vec::new();
    for (track_key, down) in &mut share.downs {
        let Some(track) = media.tracks.get(track_key) else { continue };
        let settings = share.settings.get(track_key);
        let wished = wish(track, settings);
        if down.kind == MediaKind::Audio {
            down.target = wished.map(|_| Target { layer: 0, temporal: u8::MAX });
            sounds += u64::from(down.target.is_some() && !track.is_muted);
            continue;
        }
        let Some((top, frames_per_second)) = wished else {
            down.target = None;
            down.current = None;
            continue;
        };
        let choices = choices(track, top, frames_per_second);
        let before = choices.iter().rposition(|choice| Some(choice.target) == down.target);
        let is_over = |pause| down.lowered.is_none_or(|at| now.saturating_duration_since(at) >= pause);
        let (may_raise, may_try) = (is_over(RAISE_PAUSE), is_over(ATTEMPT_PAUSE));
        // A track that sends nothing takes nothing.
        let is_free = track.is_muted || down.path == Path::Unsupported;
        let choices =
            choices.into_iter().map(|choice| if is_free { Choice { bps: 0, ..choice } } else { choice });
        candidates.push(Candidate {
            track: *track_key,
            priority: settings.map_or(0, |settings| settings.priority),
            choices: choices.collect(),
            chosen: None,
            before,
            may_raise,
            may_try,
        });
    }
    let audio_bps = share.budget.audio_bps.max(sounds * AUDIO_BPS);
    let probes = peers.as_mut().and_then(|peers| peers.subscriber_mut()).is_some_and(|peer| peer.can_probe());
    match share.budget.purse(now) {
        Purse::Unknown => candidates.iter_mut().for_each(|one| one.chosen = one.choices.len().checked_sub(1)),
        Purse::Untouched => candidates.iter_mut().for_each(|one| one.chosen = one.before.or(Some(0))),
        Purse::Known(estimate_bps) => {
            spend(&mut candidates, estimate_bps.saturating_sub(audio_bps));
            if (!probes || candidates.iter().all(|one| one.may_try))
                && share.budget.attempt(now, &candidates)
                && let Some(first) = candidates.iter_mut().find(|one| one.next().is_some())
            {
                first.chosen = first.next();
            }
        }
    }
    let mut states = Vec::new();
    let mut wants_keys = Vec::new();
    let mut desired_bps = audio_bps;
    for candidate in candidates {
        let Candidate { track, choices, chosen, before, .. } = candidate;
        let Some(down) = share.downs.get_mut(&track) else { continue };
        desired_bps += choices.last().map_or(0, |best| best.bps);
        let layer = |index: Option<usize>| {
            index.and_then(|index| choices.get(index)).map(|choice| choice.target.layer)
        };
        if before.is_some() && layer(chosen) < layer(before) {
            down.lowered = Some(now);
            let sent_bps = before.and_then(|before| choices.get(before)).map_or(0, |sent| sent.bps);
            if share
                .budget
                .estimate_bps
                .is_some_and(|estimate| (estimate as f64) < sent_bps as f64 * CUT_SHARE)
            {
                // What would come until the key frame of the lower layer is mostly lost, and keeps that away.
                down.current = None;
            }
        }
        let target = chosen.and_then(|index| choices.get(index)).map(|choice| choice.target);
        if turn(down, target) {
            wants_keys.push(track);
        }
        if down.is_paused != target.is_none()
            && let Some(known) = media.tracks.get(&track)
        {
            down.is_paused = target.is_none();
            states.push((known.publisher, known.sid.to_string(), down.state()));
        }
    }
    if let Some(peer) = peers.as_mut().and_then(|peers| peers.subscriber_mut())
        && !share.downs.is_empty()
    {
        let told = (share.budget.sent_bps, (desired_bps as f64 * RAISE_MARGIN) as u64);
        if share.budget.told.replace(told) != Some(told) {
            peer.set_bitrate(now, told.0, told.1);
            shared.restless.push_back(Seat { room: name.clone(), key });
        }
    }
    if let Some(link) = link {
        tell(participants, shared, link, states);
    }
    for track in wants_keys {
        forward::ask_for(room, shared, now, key, track);
    }
}

/// A participant that was away has not heard what has begun or ended meanwhile.
pub fn repeat(room: &Room, shared: &mut Shared, key: Key) {
    let (Some(media), Some(participant)) = (&room.media, room.participants.get(&key)) else { return };
    let (Some(link), Some(share)) = (participant.link(), &participant.share) else { return };
    let videos = share.downs.iter().filter(|(_, down)| down.kind == MediaKind::Video);
    let states = videos.filter_map(|(track, down)| {
        let known = media.tracks.get(track)?;
        Some((known.publisher, known.sid.to_string(), down.state()))
    });
    tell(&room.participants, shared, link, states.collect());
}

fn tell(
    participants: &BTreeMap<Key, Participant>,
    shared: &mut Shared,
    link: LinkId,
    states: Vec<(Key, String, StreamState)>,
) {
    if states.is_empty() {
        return;
    }
    let info = |(publisher, track_sid, state): (Key, String, StreamState)| StreamStateInfo {
        participant_sid: participants.get(&publisher).map(|one| one.sid.clone()).unwrap_or_default(),
        track_sid,
        state: state.into(),
    };
    let stream_states = states.into_iter().map(info).collect();
    shared.send(link, Message::StreamStateUpdate(StreamStateUpdate { stream_states }));
}

/// True when the publisher has to send a key frame first.
fn turn(down: &mut Down, target: Option<Target>) -> bool {
    let has_moved = target.map(|target| target.layer) != down.target.map(|target| target.layer);
    down.target = target;
    match target {
        None => {
            down.current = None;
            false
        }
        Some(target) => has_moved && down.path == Path::Open && down.current != Some(target.layer),
    }
}

/// First something for everybody, then more, a step each in turn, the most important first.
fn spend(candidates: &mut [Candidate], available_bps: u64) {
    candidates.sort_by_key(|candidate| std::cmp::Reverse(candidate.priority));
    let mut left = available_bps;
    loop {
        let mut has_changed = false;
        for candidate in candidates.iter_mut() {
            let Some(next) = candidate.next() else { continue };
            let Some(choice) = candidate.choices.get(next) else { continue };
            let spent = candidate.chosen.and_then(|chosen| candidate.choices.get(chosen));
            let more = choice.bps.saturating_sub(spent.map_or(0, |spent| spent.bps));
            let is_raise = candidate.before.is_none_or(|before| next > before);
            // More pictures of the same layer need no key frame, and are given up as easily.
            let before = candidate.before.and_then(|before| candidate.choices.get(before));
            let is_same_layer = before.is_some_and(|before| before.target.layer == choice.target.layer);
            let margin = match (is_raise, next) {
                (true, _) => RAISE_MARGIN,
                (false, 0) => KEEP_LEAST_MARGIN,
                (false, _) => KEEP_MARGIN,
            };
            let fits = (more as f64 * margin) as u64 <= left;
            if fits && (!is_raise || is_same_layer || candidate.may_raise) {
                candidate.chosen = Some(next);
                left = left.saturating_sub(more);
                has_changed = true;
            }
        }
        if !has_changed {
            return;
        }
    }
}

/// The network of a subscriber carries so much.
pub fn estimated(room: &mut Room, shared: &mut Shared, now: Instant, key: Key, estimate_bps: u64) {
    let share = room.participants.get_mut(&key).and_then(|one| one.share.as_mut());
    let Some(share) = share else { return };
    share.budget.estimate_bps = Some(estimate_bps);
    choose(room, shared, now, key);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(track: u64, priority: u32, before: Option<usize>) -> Candidate {
        let choice = |(layer, bps)| Choice { target: Target { layer, temporal: u8::MAX }, bps };
        Candidate {
            track: TrackKey(track),
            priority,
            choices: [(0, 150_000), (1, 500_000), (2, 1_700_000)].map(choice).to_vec(),
            chosen: None,
            before,
            may_raise: true,
            may_try: true,
        }
    }

    fn spent(mut candidates: Vec<Candidate>, available_bps: u64) -> Vec<Option<usize>> {
        spend(&mut candidates, available_bps);
        candidates.sort_by_key(|candidate| candidate.track);
        candidates.into_iter().map(|candidate| candidate.chosen).collect()
    }

    #[test]
    fn everybody_gets_something_before_anybody_gets_more() {
        let two = || vec![candidate(1, 0, Some(0)), candidate(2, 0, Some(0))];
        assert_eq!(spent(two(), 50_000), [None, None]);
        assert_eq!(spent(two(), 200_000), [Some(0), None]);
        assert_eq!(spent(two(), 400_000), [Some(0), Some(0)]);
        assert_eq!(
            spent(two(), 290_000),
            [Some(0), Some(0)],
            "nearly enough is enough for what is sent already"
        );
        assert_eq!(spent(two(), 800_000), [Some(1), Some(0)]);
        assert_eq!(spent(two(), 10_000_000), [Some(2), Some(2)]);
    }

    #[test]
    fn the_more_important_track_goes_first() {
        assert_eq!(spent(vec![candidate(1, 0, Some(0)), candidate(2, 9, Some(0))], 200_000), [None, Some(0)]);
    }

    #[test]
    fn a_layer_is_kept_as_long_as_it_fits_and_raised_only_with_room_to_spare() {
        assert_eq!(spent(vec![candidate(1, 0, Some(1))], 510_000), [Some(1)]);
        assert_eq!(spent(vec![candidate(1, 0, Some(1))], 400_000), [Some(0)]);
        assert_eq!(spent(vec![candidate(1, 0, Some(0))], 510_000), [Some(0)]);
        assert_eq!(spent(vec![candidate(1, 0, Some(0))], 600_000), [Some(1)]);
        let mut held = candidate(1, 0, Some(0));
        held.may_raise = false;
        assert_eq!(spent(vec![held], 600_000), [Some(0)]);
    }
}
