//! Lip sync: when a picture has to be shown so that it is seen with its sound.
//!
//! Sender reports say, for sound and for pictures, which RTP time belongs to which moment of the sender's wall clock
//! (RFC 3550 section 6.4.1). The receiver of the sound says which RTP time is heard now. Together: picture → wall clock →
//! sound → moment here. No clock of ours is compared with one of the sender's, so neither can drift away from the other.

use std::time::{Duration, Instant};

use super::SAMPLE_RATE;
use super::audio::Heard;

/// A picture is held so long at most: what is later is not worth a frozen face.
const HOLD_MAX: Duration = Duration::from_millis(500);
const HOLD_MAX_US: i64 = 500_000;

/// Sound waits so much for a late picture at most.
const EXTRA_MAX_US: i64 = 200_000;

/// Streams that are said to be farther apart are from two clocks.
const PLAUSIBLE_US: i64 = 2_000_000;

/// What was heard longer ago says nothing about now: the sound is muted or has ended.
const HEARD_FOR: Duration = Duration::from_secs(2);

/// Pictures are shown by a tenth of time faster or slower until they are in sync: a viewer sees no jump.
const SLEW: i64 = 10;

/// Within this nothing is changed: an ear and an eye together notice 20 ms at the earliest.
const TOLERANCE_US: i64 = 10_000;

/// How often the sound's extra delay is thought over.
const REVIEW: Duration = Duration::from_millis(500);

/// Sound waits so long for pictures that do not come any more …
const PICTURES_FOR: Duration = Duration::from_secs(2);

/// … and then so much less with each review: slowly enough for the sound to follow without a hurry.
const FALL_US: i64 = 20_000;

/// A sender report as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// The sender's wall clock in µs since 1970 …
    pub wall_us: i64,
    /// … at this RTP time, extended.
    pub timestamp: u64,
}

/// Sound and pictures of one stream.
#[derive(Debug)]
pub struct Sync {
    video_clock: u32,
    audio: Option<Report>,
    video: Option<Report>,
    heard: Option<Heard>,
    /// From the device's hands to the ear.
    device_delay: Duration,
    /// How much a picture's moment is moved from where the reports put it, to get there without a jump, and when this was
    /// last set.
    shown: Option<Shown>,
    extra_us: i64,
    /// When that becomes less, unless another picture comes.
    falls_at: Option<Instant>,
    review: Option<Review>,
}

/// The relation by which pictures are shown: this RTP time at this moment.
#[derive(Debug, Clone, Copy)]
struct Shown {
    at: Instant,
    timestamp: u64,
}

/// The smallest wait of a picture since a moment; negative when it was late.
#[derive(Debug, Clone, Copy)]
struct Review {
    since: Instant,
    least_us: i64,
}

impl Sync {
    /// `video_clock`: RTP ticks per second, 90 000 for all codecs.
    pub fn new(video_clock: u32) -> Self {
        Self {
            video_clock: video_clock.max(1),
            audio: None,
            video: None,
            heard: None,
            device_delay: Duration::ZERO,
            shown: None,
            extra_us: 0,
            falls_at: None,
            review: None,
        }
    }

    pub fn handle_audio_report(&mut self, report: Report) {
        self.audio = Some(report);
    }

    pub fn handle_video_report(&mut self, report: Report) {
        self.video = Some(report);
    }

    /// What [`AudioReceiver::heard`](super::audio::AudioReceiver::heard) says, whenever it is convenient; a few times a
    /// second do. `None`: nothing is heard.
    pub fn handle_heard(&mut self, heard: Option<Heard>) {
        self.heard = heard;
    }

    /// How long the device takes to play what it is given.
    pub fn set_device_delay(&mut self, delay: Duration) {
        self.device_delay = delay.min(HOLD_MAX);
    }

    /// How long a picture that could be shown now has to wait. Zero when nothing is known, when it is late, and at most
    /// 500 ms.
    pub fn hold(&mut self, now: Instant, timestamp: u64) -> Duration {
        let Some(wait_us) = self.wait_us(now, timestamp).filter(|wait| wait.abs() <= PLAUSIBLE_US) else {
            self.shown = None;
            self.review = None;
            return Duration::ZERO;
        };
        self.falls_at = Some(now + PICTURES_FOR);
        self.note(now, wait_us);
        let hold_us = self.smooth(now, timestamp, wait_us).clamp(0, HOLD_MAX_US);
        Duration::from_micros(u64::try_from(hold_us).unwrap_or(0))
    }

    /// From now until the sound that belongs to the picture is heard, as the reports have it.
    fn wait_us(&self, now: Instant, timestamp: u64) -> Option<i64> {
        let (audio, video, heard) = (self.audio?, self.video?, self.heard?);
        if now.saturating_duration_since(heard.at) > HEARD_FOR {
            return None;
        }
        let picture_us =
            video.wall_us.checked_add(ticks_us(video.timestamp, timestamp, self.video_clock)?)?;
        let sound_us = audio.wall_us.checked_add(ticks_us(audio.timestamp, heard.timestamp, SAMPLE_RATE)?)?;
        let until_us = picture_us.checked_sub(sound_us)?;
        let device_us = i64::try_from(self.device_delay.as_micros()).ok()?;
        until_us.checked_add(device_us)?.checked_sub(micros_between(heard.at, now)?)
    }

    /// The wait by which pictures are shown: moves slowly to `wait_us`.
    fn smooth(&mut self, now: Instant, timestamp: u64, wait_us: i64) -> i64 {
        let before = self.shown.and_then(|shown| {
            let later_us = ticks_us(shown.timestamp, timestamp, self.video_clock)?;
            Some((later_us.checked_sub(micros_between(shown.at, now)?)?, later_us))
        });
        let smooth_us = match before {
            Some((expected_us, later_us)) if (wait_us - expected_us).abs() < HOLD_MAX_US => {
                let off = wait_us - expected_us;
                let step = (later_us.clamp(0, HOLD_MAX_US) / SLEW).max(1);
                let off = if off.abs() <= TOLERANCE_US / 2 { 0 } else { off };
                expected_us + off.clamp(-step, step)
            }
            // The first picture, or another time altogether.
            _ => wait_us,
        };
        let wait = Duration::from_micros(smooth_us.unsigned_abs());
        let at = if smooth_us < 0 { now.checked_sub(wait) } else { now.checked_add(wait) };
        self.shown = at.map(|at| Shown { at, timestamp });
        smooth_us
    }

    fn note(&mut self, now: Instant, wait_us: i64) {
        let review = self.review.get_or_insert(Review { since: now, least_us: wait_us });
        review.least_us = review.least_us.min(wait_us);
        if now.saturating_duration_since(review.since) < REVIEW {
            return;
        }
        let least_us = review.least_us;
        self.review = None;
        if least_us < -TOLERANCE_US || least_us > TOLERANCE_US && self.extra_us > 0 {
            // Half of it at a time: the sound needs a moment to follow, and is seen to have done so only in the next review.
            self.extra_us = (self.extra_us - least_us / 2).clamp(0, EXTRA_MAX_US);
        }
    }

    /// Whether or not pictures come, a few times a second at least: those that were switched off keep no sound waiting.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(at) = self.falls_at.filter(|at| *at <= now && self.extra_us > 0) {
            self.extra_us = (self.extra_us - FALL_US).max(0);
            self.falls_at = Some(at + REVIEW);
        }
    }

    /// How much longer sound should wait because pictures come later than it; for
    /// [`AudioReceiver::set_extra_delay`](super::audio::AudioReceiver::set_extra_delay). At most 200 ms.
    pub fn extra_delay(&self) -> Duration {
        Duration::from_micros(u64::try_from(self.extra_us).unwrap_or(0))
    }
}

/// From one RTP time to another in µs, `None` when that is beyond what any stream lasts.
fn ticks_us(from: u64, to: u64, clock: u32) -> Option<i64> {
    let ticks = i128::from(to) - i128::from(from);
    i64::try_from(ticks * 1_000_000 / i128::from(clock)).ok()
}

fn micros_between(from: Instant, to: Instant) -> Option<i64> {
    let micros = |span: Duration| i64::try_from(span.as_micros()).ok();
    micros(to.saturating_duration_since(from))?.checked_sub(micros(from.saturating_duration_since(to))?)
}
