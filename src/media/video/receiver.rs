//! From packets to pictures.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::cadence::Pace;
use super::frames::{Frame, Frames, Insertion, JUMP};
use super::freeze::Freeze;
use super::packets::Stored;
use super::request::KeyRequest;
use crate::media::codec::{CodecError, VideoDecoder};
use crate::media::encryption::{Closed, Keyring, Opener, Watch};
use crate::media::packet::{self, Unjoined};
use crate::media::{Picture, Rotation, VIDEO_CLOCK, VideoCodec, pixels};

/// The sender's wall clock at a moment of its RTP time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SenderReport {
    /// Microseconds since 1970.
    pub wall_us: i64,
    /// Extended like the packets'.
    pub timestamp: u64,
}

#[derive(Debug, Clone)]
pub struct VideoPacket {
    pub codec: VideoCodec,
    /// The SSRC. Under another one numbers and times begin anew.
    pub source: u32,
    /// Extended, never wraps.
    pub sequence: u64,
    /// 90 kHz, extended.
    pub timestamp: u64,
    pub is_marked: bool,
    /// Empty for padding.
    pub payload: Arc<[u8]>,
    pub rotation: Rotation,
    pub sender_report: Option<SenderReport>,
    /// Its frame was encrypted by the sender, for nobody on the way.
    pub is_sealed: bool,
}

#[derive(Debug, Clone)]
pub enum VideoOutput {
    Picture(Picture),
    /// The sender has to be asked for a key frame.
    KeyFrameNeeded,
    /// This machine cannot decode it; said once per change of codec. What follows is counted and dropped.
    Undecodable(VideoCodec),
    /// What is sent by now can be decoded: a picture follows.
    Decodable,
    /// The sender has another secret: for a while nothing could be decrypted. Said once, and again after something could.
    SecretsDiffer,
    /// No picture for longer than usual.
    Frozen,
    Resumed,
}

/// Since the receiver was made.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct VideoCounters {
    pub packets_received: u64,
    /// Missing, as far as numbers tell; what comes late is not.
    pub packets_lost: u64,
    pub packets_duplicate: u64,
    /// After nobody waited for them any more.
    pub packets_late: u64,
    /// Not what the payload format says.
    pub packets_malformed: u64,
    pub bytes_received: u64,
    /// Complete, decoded or not.
    pub frames_received: u64,
    pub frames_decoded: u64,
    pub frames_dropped: u64,
    pub key_frames_decoded: u64,
    /// What decoding has taken; and from the first packet of each frame until it was decoded, added up. Without the frames of
    /// a decoder that does not know when it worked.
    pub decoding: Duration,
    pub processing: Duration,
    pub key_frames_requested: u64,
    pub freezes: u64,
    pub frozen: Duration,
    /// Of all frames that went to the decoder: from the first packet until then.
    pub waited: Duration,
    pub frames_emitted: u64,
    /// Of all pictures: how long after the one before; and that, in seconds, squared.
    pub between_pictures: Duration,
    pub between_pictures_squared: f64,
    /// Of the latest picture.
    pub width: u32,
    pub height: u32,
    pub frames_per_second: f32,
}

/// How decoders are made: `codec::video_decoder`, or a test's own.
pub type MakeDecoder = Box<dyn FnMut(VideoCodec) -> Result<Box<dyn VideoDecoder>, CodecError> + Send>;

/// One subscribed video track. Packets are put in order when they come; decoding happens in [`VideoReceiver::poll`].
pub struct VideoReceiver {
    make: MakeDecoder,
    codec: Option<VideoCodec>,
    source: Option<u32>,
    /// The source before this one, and when it was followed by this one.
    left: Option<(u32, Instant)>,
    decoder: Option<Box<dyn VideoDecoder>>,
    is_undecodable: bool,
    /// And no picture has come since.
    was_undecodable: bool,
    frames: Frames,
    /// Complete, waiting to be decoded, with the moment they are to come out at.
    ready: VecDeque<(Instant, Frame)>,
    outputs: VecDeque<VideoOutput>,
    request: KeyRequest,
    freeze: Freeze,
    pace: Pace,
    shown: Option<Instant>,
    hold: Duration,
    transit: Option<Transit>,
    report: Option<SenderReport>,
    span: Option<Span>,
    counters: VideoCounters,
    opener: Option<Opener>,
    is_sealed: bool,
    watch: Watch,
    /// Frames stayed closed: what comes next may build on them.
    has_missed: bool,
}

/// Frames that wait for the decoder for longer than this will not be caught up with: everything to the next key frame
/// is left out.
const BACKLOG_MAX: Duration = Duration::from_millis(300);

/// Two seconds at sixty frames per second, the longest that lip sync holds pictures.
const READY_MAX: usize = 120;

/// How long packets of a source that another one has followed are taken for latecomers.
const LATECOMERS_PERIOD: Duration = Duration::from_secs(2);

/// A sound cannot be so late that pictures wait longer for it.
const HOLD_MAX: Duration = Duration::from_secs(2);

impl VideoReceiver {
    /// With decoders made by `make`, when the first frame of a codec is there.
    pub fn with_decoders(make: MakeDecoder) -> Self {
        Self {
            make,
            codec: None,
            source: None,
            left: None,
            decoder: None,
            is_undecodable: false,
            was_undecodable: false,
            frames: Frames::default(),
            ready: VecDeque::new(),
            outputs: VecDeque::new(),
            request: KeyRequest::default(),
            freeze: Freeze::default(),
            pace: Pace::default(),
            shown: None,
            hold: Duration::ZERO,
            transit: None,
            report: None,
            span: None,
            counters: VideoCounters::default(),
            opener: None,
            is_sealed: false,
            watch: Watch::default(),
            has_missed: false,
        }
    }

    /// What is sealed can be opened.
    pub fn opened_with(mut self, keyring: Keyring) -> Self {
        self.opener = Some(Opener::new(keyring));
        self
    }

    pub fn handle_packet(&mut self, now: Instant, packet: VideoPacket) {
        self.counters.packets_received += 1;
        self.counters.bytes_received += packet.payload.len() as u64;
        if self.codec != Some(packet.codec) {
            self.change_codec(packet.codec);
        }
        if self.source != Some(packet.source) && !self.change_source(now, packet.source) {
            self.counters.packets_late += 1;
            return;
        }
        self.is_sealed = packet.is_sealed;
        Span::add(&mut self.span, packet.sequence);
        if self.is_undecodable {
            return;
        }
        let piece = match packet.payload.is_empty() {
            true => None,
            false => match packet::inspect(packet.codec, &packet.payload) {
                Ok(piece) => Some(piece),
                Err(packet::Malformed) => {
                    self.counters.packets_malformed += 1;
                    return;
                }
            },
        };
        let stored = Stored {
            timestamp: packet.timestamp,
            is_marked: packet.is_marked,
            piece,
            payload: packet.payload,
            arrived: now,
            rotation: packet.rotation,
            sender_report: packet.sender_report,
        };
        match self.frames.insert(now, packet.sequence, stored) {
            Insertion::Stored => {}
            Insertion::Duplicate => self.counters.packets_duplicate += 1,
            Insertion::Late => self.counters.packets_late += 1,
            Insertion::Restarted => {
                self.report = None;
                self.transit = None;
            }
        }
        self.advance(now);
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
    }

    /// When to call `handle_timeout` and `poll`, if no packet comes before.
    pub fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        let due = self.ready.front().map(|(due, _)| *due);
        let missing = self.frames.deadline(now);
        let asking = self.request.deadline().filter(|_| !self.frames.is_key_coming());
        [due, missing, asking, self.freeze.deadline()].into_iter().flatten().min()
    }

    /// Decodes what is due. `wall_ms`: milliseconds since 1970, the time of pictures whose sender does not say.
    pub fn poll(&mut self, now: Instant, wall_ms: i64) -> Option<VideoOutput> {
        loop {
            self.catch_up(now);
            if let Some(output) = self.outputs.pop_front() {
                return Some(output);
            }
            self.ready.front().filter(|(due, _)| *due <= now)?;
            let (_, frame) = self.ready.pop_front()?;
            self.counters.frames_emitted += 1;
            self.counters.waited += now.saturating_duration_since(frame.begun);
            self.decode(now, wall_ms, &frame);
        }
    }

    /// Lip sync: a picture of this RTP time is to come out `wait` after `now`; zero where it is late already, or where there is
    /// no sound. The others come out as much after the moment when they should have arrived, however late they were: what is
    /// late on the way is not seen.
    pub fn set_hold(&mut self, now: Instant, timestamp: u64, wait: Duration) {
        let expected = self.transit.as_ref().and_then(|rule| rule.expected(timestamp));
        let late = expected.map_or(Duration::ZERO, |expected| now.saturating_duration_since(expected));
        self.hold = if wait.is_zero() { self.hold.min(late) } else { (wait + late).min(HOLD_MAX) };
    }

    /// The sender has switched its video off: until the next picture nothing is frozen, and nothing is asked for.
    pub fn pause(&mut self) {
        self.freeze.pause();
        self.request.is_met();
    }

    /// The latest sender report that came with a frame, for lip sync.
    pub fn sender_report(&self) -> Option<SenderReport> {
        self.report
    }

    pub fn counters(&self) -> VideoCounters {
        let lost = self.span.as_ref().map_or(0, Span::lost);
        VideoCounters {
            packets_lost: self.counters.packets_lost + lost,
            frames_dropped: self.counters.frames_dropped + self.frames.dropped,
            freezes: self.freeze.count,
            frozen: self.freeze.total,
            frames_per_second: self.pace.frames_per_second(),
            ..self.counters
        }
    }

    fn change_codec(&mut self, codec: VideoCodec) {
        self.codec = Some(codec);
        self.decoder = None;
        self.is_undecodable = false;
        self.counters.frames_dropped += self.ready.len() as u64;
        self.ready.clear();
        self.frames.restart();
    }

    /// What comes now has other numbers than what came before, and builds on nothing of it. False: a latecomer.
    fn change_source(&mut self, now: Instant, source: u32) -> bool {
        let is_late = |(left, at): (u32, Instant)| {
            left == source && now.saturating_duration_since(at) < LATECOMERS_PERIOD
        };
        if self.left.is_some_and(is_late) {
            return false;
        }
        if let Some(before) = self.source.replace(source) {
            self.left = Some((before, now));
            self.frames.restart();
            self.counters.packets_lost += self.span.take().map_or(0, |span| span.lost());
            self.report = None;
            self.transit = None;
        }
        true
    }

    /// Moves what is complete to the decoder's queue, and says what has to be said by now.
    fn advance(&mut self, now: Instant) {
        while let Some(frame) = self.frames.take(now) {
            if frame.is_key {
                self.request.is_met();
            }
            let due = self.due(&frame);
            self.counters.frames_received += 1;
            self.ready.push_back((due, frame));
        }
        let is_in_need = self.frames.needs_key() && self.codec.is_some() && !self.is_undecodable;
        if is_in_need && !self.frames.is_settling(now) {
            self.ask_for_key_frame(now);
        }
        if self.freeze.check(now) {
            self.outputs.push_back(VideoOutput::Frozen);
        }
    }

    /// Unless it is coming already.
    fn ask_for_key_frame(&mut self, now: Instant) {
        self.request.need(now);
        if !self.frames.is_key_coming() && self.request.is_due(now) {
            self.counters.key_frames_requested += 1;
            self.outputs.push_back(VideoOutput::KeyFrameNeeded);
        }
    }

    fn due(&mut self, frame: &Frame) -> Instant {
        let regular = Transit::add(&mut self.transit, frame.completed, frame.timestamp);
        if self.hold.is_zero() { frame.completed } else { frame.completed.max(regular + self.hold) }
    }

    /// Leaves out what can no longer be decoded in time.
    fn catch_up(&mut self, now: Instant) {
        let is_late = self.ready.len() > 1
            && self.ready.front().is_some_and(|(due, _)| now.saturating_duration_since(*due) > BACKLOG_MAX);
        if !is_late && self.ready.len() <= READY_MAX {
            return;
        }
        let key = self.ready.iter().rposition(|(_, frame)| frame.is_key);
        let left_out = key.unwrap_or(self.ready.len());
        self.counters.frames_dropped += left_out as u64;
        self.ready.drain(..left_out);
        match self.ready.front_mut() {
            // It is what the picture goes on with, now.
            Some((due, _)) => *due = now,
            None => {
                self.frames.break_off();
                self.ask_for_key_frame(now);
            }
        }
    }

    fn decode(&mut self, now: Instant, wall_ms: i64, frame: &Frame) {
        let Some(codec) = self.codec else { return };
        if self.decoder.is_none() {
            match (self.make)(codec) {
                Ok(decoder) => self.decoder = Some(decoder),
                Err(_) => return self.give_up(codec),
            }
        }
        let payloads: Vec<&[u8]> = frame.payloads.iter().map(AsRef::as_ref).collect();
        let joined = match (self.is_sealed, &self.opener) {
            (false, _) => packet::join(codec, &payloads).map_err(Unjoined::from),
            (true, Some(opener)) => packet::join_sealed(codec, &payloads, opener),
            (true, None) => Err(Closed::NoKey.into()),
        };
        let joined = match joined {
            Ok(joined) => joined,
            Err(Unjoined::Malformed) => {
                self.counters.packets_malformed += payloads.len() as u64;
                return self.fail(now);
            }
            Err(Unjoined::Closed(closed)) => return self.stay_closed(now, closed),
        };
        self.watch.opened();
        if std::mem::take(&mut self.has_missed) && !frame.is_key {
            return self.fail(now);
        }
        let decoded = match &mut self.decoder {
            Some(decoder) => decoder.decode(&joined.bytes),
            None => return,
        };
        match decoded {
            Err(_) => self.fail(now),
            Ok(picture) => {
                self.counters.frames_decoded += 1;
                self.counters.key_frames_decoded += u64::from(frame.is_key);
                if let Some(worked) = self.decoder.as_ref().and_then(|decoder| decoder.worked()) {
                    self.counters.decoding += worked.end.saturating_duration_since(worked.start);
                    self.counters.processing += worked.end.saturating_duration_since(frame.begun);
                }
                self.report = frame.sender_report.or(self.report);
                if let Some(mut picture) = picture {
                    picture.metadata = joined.metadata;
                    picture.timestamp_ms = self.wall_time(frame.timestamp).unwrap_or(wall_ms);
                    self.show(now, frame, picture);
                }
            }
        }
    }

    fn show(&mut self, now: Instant, frame: &Frame, picture: Picture) {
        let picture = pixels::rotate(&picture, frame.rotation);
        self.counters.width = picture.width();
        self.counters.height = picture.height();
        self.pace.add(media_time(frame.timestamp));
        if let Some(before) = self.shown.replace(now) {
            let between = now.saturating_duration_since(before);
            self.counters.between_pictures += between;
            self.counters.between_pictures_squared += between.as_secs_f64().powi(2);
        }
        if self.freeze.picture(now) {
            self.outputs.push_back(VideoOutput::Resumed);
        }
        if std::mem::take(&mut self.was_undecodable) {
            self.outputs.push_back(VideoOutput::Decodable);
        }
        self.outputs.push_back(VideoOutput::Picture(picture));
    }

    /// The decoder does not know what to do with a frame; what follows builds on it.
    fn fail(&mut self, now: Instant) {
        self.counters.frames_dropped += 1;
        let key = self.ready.iter().position(|(_, frame)| frame.is_key);
        let left_out = key.unwrap_or(self.ready.len());
        self.counters.frames_dropped += left_out as u64;
        self.ready.drain(..left_out);
        if key.is_none() {
            self.frames.break_off();
            self.ask_for_key_frame(now);
        }
    }

    /// No key frame is asked for: it would be closed too, and cost everybody else.
    fn stay_closed(&mut self, now: Instant, closed: Closed) {
        self.counters.frames_dropped += 1;
        self.has_missed = true;
        if self.watch.failed(now, closed) {
            self.outputs.push_back(VideoOutput::SecretsDiffer);
        }
    }

    fn give_up(&mut self, codec: VideoCodec) {
        self.is_undecodable = true;
        self.was_undecodable = true;
        self.counters.frames_dropped += self.ready.len() as u64 + 1;
        self.ready.clear();
        self.frames.restart();
        self.request.is_met();
        self.freeze.pause();
        self.outputs.push_back(VideoOutput::Undecodable(codec));
    }

    /// Milliseconds since 1970 by the sender's clock.
    fn wall_time(&self, timestamp: u64) -> Option<i64> {
        let report = self.report?;
        let ticks = i64::try_from(i128::from(timestamp) - i128::from(report.timestamp)).ok()?;
        let offset_us = ticks.checked_mul(1_000_000)? / i64::from(VIDEO_CLOCK);
        Some(report.wall_us.checked_add(offset_us)?.div_euclid(1_000))
    }
}

fn media_time(timestamp: u64) -> Duration {
    let clock = u64::from(VIDEO_CLOCK);
    Duration::new(timestamp / clock, (timestamp % clock * 1_000_000_000 / clock) as u32)
}

/// Which numbers came, for what is lost.
#[derive(Debug)]
struct Span {
    first: u64,
    highest: u64,
    came: u64,
    lost_before: u64,
}

impl Span {
    fn add(span: &mut Option<Self>, sequence: u64) {
        let begin = |lost_before| Self { first: sequence, highest: sequence, came: 0, lost_before };
        let known = span.get_or_insert_with(|| begin(0));
        if sequence.abs_diff(known.highest) > JUMP {
            *known = begin(known.lost());
        }
        known.highest = known.highest.max(sequence);
        known.came += 1;
    }

    fn lost(&self) -> u64 {
        let expected = self.highest.saturating_sub(self.first).saturating_add(1);
        self.lost_before + expected.saturating_sub(self.came)
    }
}

/// When frames arrive that were not delayed on the way: the fastest ones tell.
#[derive(Debug)]
struct Transit {
    at: Instant,
    timestamp: u64,
}

/// A frame further from the rule than this begins a new one.
const TRANSIT_JUMP: Duration = Duration::from_secs(2);

/// Slower frames move the rule by this part of their delay: clocks drift, and ways become longer.
const TRANSIT_DRIFT: u32 = 256;

impl Transit {
    /// When it should have come.
    fn add(transit: &mut Option<Self>, arrived: Instant, timestamp: u64) -> Instant {
        let regular = transit.as_ref().and_then(|rule| rule.expected(timestamp)).unwrap_or(arrived);
        let delay = arrived.saturating_duration_since(regular);
        let early = regular.saturating_duration_since(arrived);
        let at = if delay.max(early) > TRANSIT_JUMP || !early.is_zero() {
            arrived
        } else {
            regular + delay / TRANSIT_DRIFT
        };
        *transit = Some(Self { at, timestamp });
        at
    }

    fn expected(&self, timestamp: u64) -> Option<Instant> {
        let clock = u128::from(VIDEO_CLOCK);
        let offset = u128::from(timestamp.abs_diff(self.timestamp)) * 1_000_000 / clock;
        let offset = Duration::from_micros(u64::try_from(offset).ok()?);
        if timestamp >= self.timestamp { self.at.checked_add(offset) } else { self.at.checked_sub(offset) }
    }
}
