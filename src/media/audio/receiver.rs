//! The sound of one stream: packets in any order in, a step every 10 ms out.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::arrivals::{Arrivals, DELAY_MAX};
use super::level::{Level, energy_in_time};
use super::store::Block;
use super::stretch::SHORTEN_FRAMES;
use super::timeline::{Offered, Timeline};
use super::{MILLISECOND, STEP_SAMPLES, StereoStep, opus, red};
use crate::media::SAMPLE_RATE;
use crate::media::codec::AudioDecoder;
use crate::media::encryption::{Closed, Keyring, Opener, SOUND_HEAD, Watch};

/// A packet this far from where its time says it should come belongs to another run of the sender's clock.
const RUN_TOLERANCE: i64 = 1000 * MILLISECOND;

/// Times beyond this are invented; the room above keeps sums from overflowing.
const TIMESTAMP_MAX: u64 = 1 << 60;

/// So far may the delay be from its target before sound is stretched: shorter than the target is a hole soon, longer is
/// only late. One correction, 15 ms at most, does not lead from one end to the other.
const TOO_SHORT: i64 = 5 * MILLISECOND;
const TOO_LONG: i64 = 15 * MILLISECOND;

/// Farther than this the delay is corrected faster and with less regard.
const FAR_OFF: i64 = 60 * MILLISECOND;

/// From one correction to the next; a tenth of the sound is changed at most, a third in a hurry.
const PATIENCE: i64 = 100 * MILLISECOND;
const PATIENCE_IN_A_HURRY: i64 = 30 * MILLISECOND;

/// The delay is the least of so many steps: devices ask for several steps at once and then for none.
const DELAYS: usize = 8;

/// While packets get lost and copies of them come with the next, sound waits for the next. So long after the last loss.
const LOSS_MEMORY: i64 = 10_000 * MILLISECOND;

/// Beyond this lip sync does not make sound wait.
const EXTRA_MAX: Duration = Duration::from_millis(200);

/// A packet of sound as it came from the network.
#[derive(Debug, Clone)]
pub struct AudioPacket {
    /// Its payload is RFC 2198's, with Opus in it.
    pub is_red: bool,
    /// Extended, as is the timestamp (48 kHz).
    pub sequence: u64,
    pub timestamp: u64,
    pub payload: Arc<[u8]>,
    pub received: Instant,
    /// The sender's wall clock in µs since 1970 at an RTP time (extended).
    pub sender_report: Option<(i64, u64)>,
    /// Encrypted by the sender, for nobody on the way.
    pub is_sealed: bool,
}

/// What [`AudioReceiver::pull`] says of the step it gave out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pulled {
    /// False: the step is silence, nothing needs to be mixed.
    pub has_sound: bool,
    /// 0 to 1, see [`Level`].
    pub level: f32,
    /// A packet is missing, the sound is made up.
    pub is_concealed: bool,
}

/// Which sample is heard at which moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    pub at: Instant,
    pub timestamp: u64,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct AudioCounters {
    /// Packets, without duplicates.
    pub received: u64,
    /// Of payload, duplicates included.
    pub bytes: u64,
    /// Packets that did not come in time, neither by themselves nor as an exact copy in a later one.
    pub lost: u64,
    pub late: u64,
    pub duplicates: u64,
    /// Packets that nothing can be made of.
    pub malformed: u64,
    /// Packets left out because the delay had become too long.
    pub skipped: u64,
    /// Samples per channel made up, pauses not counted.
    pub concealed_samples: u64,
    /// Samples per channel given out since the first packet.
    pub total_samples: u64,
    /// Holes filled with Opus's rough copies, and with RFC 2198's exact ones.
    pub fec_used: u64,
    pub red_used: u64,
    /// How often sound was made shorter or longer.
    pub corrections: u64,
    /// Of every sample that was given out while something was heard: how long it had waited, and how long it should have.
    /// In samples, added up.
    pub waited_samples: u64,
    pub should_wait_samples: u64,
    pub emitted_samples: u64,
    /// See [`energy_in_time`].
    pub energy: f64,
    pub jitter: Duration,
    pub delay: Duration,
    pub target_delay: Duration,
}

pub struct AudioReceiver {
    /// When the first packet came.
    epoch: Option<Instant>,
    timeline: Timeline,
    arrivals: Arrivals,
    /// The last delays, in samples.
    delays: VecDeque<i64>,
    corrected_at: i64,
    /// A packet that does not fit in, and its transit: if the next agrees with it the sender's clock has begun anew.
    stranger: Option<(AudioPacket, i64)>,
    lost_before: u64,
    lost_at: Option<i64>,
    /// When a packet last carried a copy of another, and its length. Not all do where some do.
    copied: Option<(i64, i64)>,
    extra: i64,
    heard: Option<Heard>,
    sender_report: Option<(i64, u64)>,
    level: Level,
    counters: AudioCounters,
    opener: Option<Opener>,
    watch: Watch,
    secrets_differ: bool,
}

impl AudioReceiver {
    pub fn new(decoder: Box<dyn AudioDecoder>) -> Self {
        Self {
            epoch: None,
            timeline: Timeline::new(decoder),
            arrivals: Arrivals::new(),
            delays: VecDeque::with_capacity(DELAYS),
            corrected_at: 0,
            stranger: None,
            lost_before: 0,
            lost_at: None,
            copied: None,
            extra: 0,
            heard: None,
            sender_report: None,
            level: Level::default(),
            counters: AudioCounters::default(),
            opener: None,
            watch: Watch::default(),
            secrets_differ: false,
        }
    }

    /// What is sealed can be opened.
    pub fn opened_with(mut self, keyring: Keyring) -> Self {
        self.opener = Some(Opener::new(keyring));
        self
    }

    /// True once when the sender has another secret: for a while nothing could be decrypted.
    pub fn take_secrets_differ(&mut self) -> bool {
        std::mem::take(&mut self.secrets_differ)
    }

    /// Decrypts it where that is needed; false when it stays closed.
    fn open(&mut self, packet: &mut AudioPacket) -> bool {
        // An empty one says that the sender pauses, and has nothing to be sealed.
        if !packet.is_sealed || packet.payload.is_empty() {
            return true;
        }
        let mut payload = packet.payload.to_vec();
        let opened = match &self.opener {
            Some(opener) => opener.open(SOUND_HEAD, &mut payload),
            None => Err(Closed::NoKey),
        };
        match opened {
            Ok(()) => {
                self.watch.opened();
                packet.payload = payload.into();
                true
            }
            Err(closed) => {
                self.secrets_differ |= self.watch.failed(packet.received, closed);
                false
            }
        }
    }

    /// Takes what the network brought, in any order. Garbage is counted and dropped.
    pub fn handle_packet(&mut self, mut packet: AudioPacket) {
        let bytes = u64::try_from(packet.payload.len()).unwrap_or(0);
        self.counters.bytes = self.counters.bytes.saturating_add(bytes);
        if let Some(report) = packet.sender_report {
            self.sender_report = Some(report);
        }
        if packet.timestamp > TIMESTAMP_MAX {
            self.counters.malformed += 1;
            return;
        }
        if !self.open(&mut packet) {
            return;
        }
        let epoch = *self.epoch.get_or_insert(packet.received);
        let transit = samples_between(epoch, packet.received) - time_of(&packet);
        let fits = self.arrivals.base().is_none_or(|base| (transit - base).abs() <= RUN_TOLERANCE);
        if fits {
            self.stranger = None;
            return self.accept(&packet);
        }
        match self.stranger.take() {
            _ if self.timeline.is_silent() => self.begin_run(),
            Some((first, known)) if (known - transit).abs() <= RUN_TOLERANCE => {
                self.begin_run();
                self.accept(&first);
            }
            _ => {
                self.stranger = Some((packet, transit));
                return;
            }
        }
        self.accept(&packet);
    }

    fn begin_run(&mut self) {
        self.arrivals.forget_base();
        self.timeline.restart();
        self.delays.clear();
        self.heard = None;
    }

    fn accept(&mut self, packet: &AudioPacket) {
        let Some(blocks) = blocks_of(packet) else {
            self.counters.malformed += 1;
            return;
        };
        let last = blocks.len().saturating_sub(1);
        for (index, block) in blocks.into_iter().enumerate() {
            let is_own = index == last;
            let has_copy = index > 0 || opus::has_copy(block.bytes());
            let (timestamp, samples) = (block.timestamp, block.samples);
            let offered = self.timeline.offer(block);
            if !is_own {
                continue;
            }
            match offered {
                Offered::New => self.counters.received += 1,
                Offered::Known => self.counters.duplicates += 1,
                Offered::Late => self.counters.late += 1,
            }
            let Some(epoch) = self.epoch else { continue };
            let at = samples_between(epoch, packet.received);
            if has_copy {
                self.copied = Some((at, samples));
            }
            if offered != Offered::Known {
                self.arrivals.observe(at, timestamp);
            }
        }
    }

    /// Gives out the next step. To be called every 10 ms by the clock of whoever hears it.
    pub fn pull(&mut self, now: Instant, step: &mut StereoStep) -> Pulled {
        let Some(epoch) = self.epoch else {
            step.fill(0);
            return Pulled { has_sound: false, level: 0.0, is_concealed: false };
        };
        let at = samples_between(epoch, now);
        let target = self.target(at);
        self.timeline.fill(STEP_SAMPLES, at, &self.arrivals, target);
        self.regulate(at, target);
        self.note_heard(now);
        let is_concealed = self.timeline.is_concealing();
        self.timeline.take(step);
        self.counters.total_samples += STEP_SAMPLES as u64;
        if self.heard.is_some() {
            let for_all = |delay: i64| delay.max(0) as u64 * STEP_SAMPLES as u64;
            self.counters.emitted_samples += STEP_SAMPLES as u64;
            self.counters.waited_samples += for_all(self.delay_samples());
            self.counters.should_wait_samples += for_all(target);
        }
        let has_sound = step.iter().any(|sample| *sample != 0);
        let level = self.level.measure(step);
        self.counters.energy += energy_in_time(step, 2);
        Pulled { has_sound, level, is_concealed }
    }

    fn target(&mut self, at: i64) -> i64 {
        let holes =
            self.timeline.tally.lost + self.timeline.tally.copies_used + self.timeline.tally.redundant_used;
        if holes != self.lost_before {
            self.lost_before = holes;
            self.lost_at = Some(at);
        }
        let is_recent = |then: i64| at - then < LOSS_MEMORY;
        let copied = self.copied.filter(|(then, _)| is_recent(*then) && self.lost_at.is_some_and(is_recent));
        let for_copies = copied.map_or(0, |(_, samples)| samples);
        (self.arrivals.target() + for_copies).min(DELAY_MAX) + self.extra
    }

    /// Holds the delay at its target, and so follows a sender whose clock is not ours.
    fn regulate(&mut self, at: i64, target: i64) {
        let (true, Some(head), Some(base)) =
            (self.timeline.is_flowing(), self.timeline.head(), self.arrivals.base())
        else {
            self.delays.clear();
            return;
        };
        if self.delays.len() == DELAYS {
            self.delays.pop_front();
        }
        self.delays.push_back(at - head - base);
        if self.delays.len() < DELAYS {
            return;
        }
        let surplus = self.delay_samples() - target;
        let is_urgent = surplus.abs() > FAR_OFF;
        let patience = if is_urgent { PATIENCE_IN_A_HURRY } else { PATIENCE };
        if at - self.corrected_at < patience {
            return;
        }
        let change = if surplus < -TOO_SHORT {
            self.timeline.lengthen(is_urgent)
        } else if surplus > TOO_LONG && self.timeline.run() >= (SHORTEN_FRAMES + STEP_SAMPLES) as i64 {
            self.timeline.fill(SHORTEN_FRAMES, at, &self.arrivals, target);
            -self.timeline.shorten(is_urgent)
        } else {
            return;
        };
        self.corrected_at = at;
        self.delays.iter_mut().for_each(|delay| *delay += change);
    }

    fn note_heard(&mut self, now: Instant) {
        let head = self.timeline.head().filter(|_| !self.timeline.is_silent());
        let timestamp = head.and_then(|head| u64::try_from(head).ok());
        self.heard = timestamp.map(|timestamp| Heard { at: now, timestamp });
    }

    fn delay_samples(&self) -> i64 {
        self.delays.iter().min().copied().unwrap_or(0).max(0)
    }

    /// How much later than the fastest packets come a sample is given out. Zero while nothing is heard.
    pub fn delay(&self) -> Duration {
        duration(self.delay_samples())
    }

    /// Which sample was given out last and when; `None` while nothing is heard. For lip sync.
    pub fn heard(&self) -> Option<Heard> {
        self.heard
    }

    /// The sender's last report that came with a packet. For lip sync.
    pub fn sender_report(&self) -> Option<(i64, u64)> {
        self.sender_report
    }

    /// Makes sound wait longer than it needs to, for a picture that is later. At most 200 ms.
    pub fn set_extra_delay(&mut self, extra: Duration) {
        self.extra = i64::try_from(extra.min(EXTRA_MAX).as_millis()).unwrap_or(0) * MILLISECOND;
    }

    /// Everything since the beginning; the last three as they are now.
    pub fn counters(&self) -> AudioCounters {
        let tally = &self.timeline.tally;
        AudioCounters {
            lost: tally.lost,
            malformed: self.counters.malformed + tally.undecodable,
            skipped: tally.skipped,
            concealed_samples: tally.concealed,
            fec_used: tally.copies_used,
            red_used: tally.redundant_used,
            corrections: tally.corrections,
            jitter: duration(self.arrivals.jitter()),
            delay: self.delay(),
            target_delay: duration(self.arrivals.target()),
            ..self.counters.clone()
        }
    }
}

/// The packets in a packet, its own last.
fn blocks_of(packet: &AudioPacket) -> Option<Vec<Block>> {
    let (payload, time) = (&packet.payload, time_of(packet));
    if !packet.is_red {
        return Some(vec![Block::new(packet.sequence, time, payload, 0..payload.len())?]);
    }
    let mut blocks = Vec::new();
    for found in red::unpack(payload)? {
        let is_own = found.age == 0;
        let sequence = packet.sequence.checked_sub(u64::from(found.age));
        let timestamp = time - i64::from(found.earlier);
        let block = sequence.and_then(|sequence| Block::new(sequence, timestamp, payload, found.bytes));
        match block {
            Some(mut block) => {
                block.is_redundant = !is_own;
                blocks.push(block);
            }
            // Empty blocks are how senders fill the beginning of a stream.
            None if !is_own => {}
            None => return None,
        }
    }
    Some(blocks)
}

fn time_of(packet: &AudioPacket) -> i64 {
    i64::try_from(packet.timestamp).unwrap_or(0)
}

/// From one moment to another in samples, negative when the other was earlier.
fn samples_between(from: Instant, to: Instant) -> i64 {
    let samples =
        |span: Duration| i64::try_from(span.as_micros() * u128::from(SAMPLE_RATE) / 1_000_000).unwrap_or(0);
    samples(to.saturating_duration_since(from)) - samples(from.saturating_duration_since(to))
}

fn duration(samples: i64) -> Duration {
    Duration::from_micros(u64::try_from(samples * 1000 / MILLISECOND).unwrap_or(0))
}
