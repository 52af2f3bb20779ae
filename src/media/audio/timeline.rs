//! From packets to one unbroken line of samples: decodes what is there, makes up what is not.

use super::arrivals::Arrivals;
use super::fade::Fade;
use super::opus::{self, PACKET_SAMPLES_MAX};
use super::store::{Block, Store, Stored};
use super::stretch::{self, LAG_MAX};
use super::{MILLISECOND, STEP_SAMPLES};
use crate::media::codec::{AudioDecoder, AudioInput};

const STEP: i64 = STEP_SAMPLES as i64;

/// Made up at once where it is known that a packet is lost: decoders go quieter with every piece they are asked for.
const PIECE: i64 = 20 * MILLISECOND;

/// Made-up sound is believable for about this long; then it fades and is gone 50 ms later.
const BELIEVABLE: i64 = 60 * MILLISECOND;

/// After so long without a packet the stream counts as silent, not as lossy: what comes then begins anew, in its time.
pub const LONG: i64 = 500 * MILLISECOND;

/// How long the decoder's comfort noise goes on in a pause. A sender that pauses refreshes it every 400 ms; one that says
/// nothing at all has stopped.
const COMFORT: i64 = 1000 * MILLISECOND;

/// After a hole in the sound so much more delay than wanted is cut away at once, where it is not heard.
const SKIP_SLACK: i64 = 100 * MILLISECOND;

/// A decoder makes up multiples of 2.5 ms.
const GRAIN: i64 = 120;

/// More missing numbers than this in a row are not packets that got lost.
const LOST_MAX: u64 = 1000;

/// What happened to the sound, counted.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    pub lost: u64,
    pub skipped: u64,
    pub undecodable: u64,
    pub concealed: u64,
    pub copies_used: u64,
    pub redundant_used: u64,
    pub corrections: u64,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Offered {
    New,
    Known,
    /// Its moment is over.
    Late,
}

enum Plan {
    Play,
    /// The next packet has a copy of these samples.
    Recover(i64),
    MakeUp(i64),
}

pub struct Timeline {
    decoder: Box<dyn AudioDecoder>,
    store: Store,
    /// Decoded and not yet heard, stereo.
    sound: Vec<i16>,
    /// The end of what was heard, stereo.
    history: Vec<i16>,
    /// The time at which the sound of packets ends. `None`: nothing was played.
    next: Option<i64>,
    last_sequence: u64,
    /// Samples made up behind `next`.
    made_up: i64,
    /// Of these, what was counted as concealment, until it is known to be a pause.
    unsure: u64,
    is_pausing: bool,
    fade: Fade,
    room: Vec<i16>,
    pub tally: Tally,
}

impl Timeline {
    pub fn new(decoder: Box<dyn AudioDecoder>) -> Self {
        Self {
            decoder,
            store: Store::default(),
            sound: Vec::new(),
            history: Vec::new(),
            next: None,
            last_sequence: 0,
            made_up: 0,
            unsure: 0,
            is_pausing: false,
            fade: Fade::new(0.0),
            room: Vec::new(),
            tally: Tally::default(),
        }
    }

    pub fn offer(&mut self, block: Block) -> Offered {
        if self.next.is_some_and(|next| block.timestamp < next) {
            return Offered::Late;
        }
        match self.store.insert(block) {
            Stored::New => Offered::New,
            Stored::Known => Offered::Known,
        }
    }

    /// Times have changed: what is stored belongs to nothing any more. Decoded sound is still heard.
    pub fn restart(&mut self) {
        self.store.clear();
        self.next = None;
        self.made_up = 0;
        self.unsure = 0;
    }

    /// Nothing is heard of it, and has not been for long.
    pub fn is_silent(&self) -> bool {
        self.next.is_none() || self.made_up >= LONG
    }

    /// Sound is being made up where a packet is missing.
    pub fn is_concealing(&self) -> bool {
        self.next.is_some() && self.made_up > 0 && self.made_up < LONG && !self.is_pausing
    }

    /// What is heard comes out of packets, so its time can be told and its length changed.
    pub fn is_flowing(&self) -> bool {
        self.next.is_some() && self.made_up == 0 && !self.is_pausing
    }

    /// The time of the next sample that is heard.
    pub fn head(&self) -> Option<i64> {
        self.next.map(|next| next + self.made_up - self.ahead())
    }

    /// Samples that can be heard without waiting for a packet.
    pub fn run(&self) -> i64 {
        self.ahead() + self.next.map_or(0, |next| self.store.run(next))
    }

    fn ahead(&self) -> i64 {
        i64::try_from(self.sound.len() / 2).unwrap_or(i64::MAX)
    }

    /// Makes sure that so many samples are there. `at`: the moment when the first of them is heard.
    pub fn fill(&mut self, samples: usize, at: i64, arrivals: &Arrivals, target: i64) {
        while self.sound.len() < 2 * samples {
            let heard_at = at + self.ahead();
            let moment = arrivals.base().map(|base| heard_at - base);
            match self.plan(moment, target) {
                Plan::Play => {
                    self.skip_stale(moment, target);
                    self.play();
                }
                Plan::Recover(samples) => self.recover(samples),
                Plan::MakeUp(samples) => self.make_up(samples),
            }
        }
    }

    /// `moment`: the time of which the samples would be heard now without any delay.
    fn plan(&self, moment: Option<i64>, target: i64) -> Plan {
        let Some(first) = self.store.first() else { return Plan::MakeUp(STEP) };
        let gap = self.next.map(|next| first.timestamp - next);
        let is_next = gap.is_some_and(|gap| gap <= 0);
        let follows = first.sequence <= self.last_sequence.saturating_add(1);
        // After a silence nothing ties the sound to what was before, so it gets exactly the delay it should have.
        let is_free = self.is_silent() || !is_next && follows;
        if let (true, Some(moment)) = (is_free, moment) {
            let wait = first.timestamp + target - moment;
            return if wait <= 0 { Plan::Play } else { Plan::MakeUp(round_up(wait).min(STEP)) };
        }
        let left = gap.unwrap_or(0) - self.made_up;
        if is_next || left <= 0 {
            Plan::Play
        } else if left <= first.samples {
            let left = round_up(left);
            if opus::has_copy(first.bytes()) { Plan::Recover(left) } else { Plan::MakeUp(left.min(PIECE)) }
        } else {
            Plan::MakeUp(round_up(left - first.samples).min(PIECE))
        }
    }

    /// After a hole: what would be heard far too late is left out as long as something remains.
    fn skip_stale(&mut self, moment: Option<i64>, target: i64) {
        let Some(moment) = moment else { return };
        let slack = match (self.is_silent(), self.made_up) {
            (true, _) => 0,
            (false, 1..) => SKIP_SLACK,
            (false, _) => return,
        };
        while let (Some(first), Some(second)) = (self.store.first(), self.store.second()) {
            if moment - first.timestamp <= target + slack || moment - second.timestamp < target {
                return;
            }
            self.last_sequence = self.last_sequence.max(first.sequence);
            self.tally.skipped += 1;
            self.store.pop();
        }
    }

    fn play(&mut self) {
        let Some(block) = self.store.pop() else { return self.make_up(STEP) };
        if let Some(next) = self.next {
            let missing = block.sequence.saturating_sub(self.last_sequence.saturating_add(1));
            if missing <= LOST_MAX {
                self.tally.lost += missing;
            }
            if missing == 0 && block.timestamp > next {
                self.tally.concealed = self.tally.concealed.saturating_sub(self.unsure);
            }
        }
        self.tally.redundant_used += u64::from(block.is_redundant);
        self.last_sequence = block.sequence;
        self.next = Some(block.timestamp + block.samples);
        self.made_up = 0;
        self.unsure = 0;
        self.is_pausing = block.is_pause();
        self.fade.set_goal(1.0);
        if !self.decode(AudioInput::Packet(block.bytes()), block.samples) {
            self.tally.undecodable += 1;
            self.decode(AudioInput::Lost, block.samples);
        }
    }

    fn recover(&mut self, samples: i64) {
        let Some(bytes) = self.store.first().map(|block| block.bytes().to_vec()) else { return };
        self.fade.set_goal(1.0);
        if self.decode(AudioInput::LostBefore(&bytes), samples) {
            self.tally.copies_used += 1;
        } else {
            self.count_concealed(samples);
        }
        self.made_up += samples;
    }

    fn make_up(&mut self, samples: i64) {
        if self.next.is_some() {
            let lasts = if self.is_pausing { COMFORT } else { BELIEVABLE };
            if self.made_up >= lasts {
                self.fade.set_goal(0.0);
            }
            if !self.is_pausing && self.made_up < LONG {
                self.count_concealed(samples);
            }
            // It need not grow for ever.
            self.made_up = (self.made_up + samples).min(2 * COMFORT);
        }
        if self.next.is_none() || self.fade.is_silent() {
            self.append(samples, 0);
        } else {
            self.decode(AudioInput::Lost, samples);
        }
    }

    fn count_concealed(&mut self, samples: i64) {
        let samples = u64::try_from(samples).unwrap_or(0);
        self.tally.concealed += samples;
        self.unsure += samples;
    }

    /// Appends exactly so many samples to the sound; silence where the decoder gives none.
    fn decode(&mut self, input: AudioInput<'_>, samples: i64) -> bool {
        let samples = usize::try_from(samples).unwrap_or(0).min(PACKET_SAMPLES_MAX);
        self.room.resize(2 * samples, 0);
        let decoded = self.decoder.decode(input, &mut self.room);
        let given = decoded.as_ref().map_or(0, |given| (*given).min(samples));
        let is_packet = !matches!(input, AudioInput::Lost);
        if given == 0 && is_packet {
            if matches!(input, AudioInput::LostBefore(_)) {
                self.append(i64::try_from(samples).unwrap_or(0), 0);
            }
            return false;
        }
        self.append(i64::try_from(samples).unwrap_or(0), given);
        true
    }

    /// Appends `samples`, of which the first `given` are in the room.
    fn append(&mut self, samples: i64, given: usize) {
        let begin = self.sound.len();
        let end = begin + 2 * usize::try_from(samples).unwrap_or(0);
        self.sound.extend_from_slice(self.room.get(..2 * given).unwrap_or_default());
        self.sound.resize(end, 0);
        if let Some(added) = self.sound.get_mut(begin..) {
            self.fade.apply(added);
        }
    }

    /// Hands out a step; [`Self::fill`] has made sure that there is one.
    pub fn take(&mut self, step: &mut [i16]) {
        let length = step.len().min(self.sound.len());
        let (taken, rest) = step.split_at_mut(length);
        taken.copy_from_slice(&self.sound[..length]);
        rest.fill(0);
        self.sound.drain(..length);
        self.history.extend_from_slice(taken);
        let surplus = self.history.len().saturating_sub(2 * LAG_MAX);
        self.history.drain(..surplus);
    }

    /// Leaves a piece of the sound out. Gives its samples.
    pub fn shorten(&mut self, is_urgent: bool) -> i64 {
        let removed = stretch::shorten(&mut self.sound, is_urgent);
        self.tally.corrections += u64::from(removed > 0);
        i64::try_from(removed).unwrap_or(0)
    }

    /// Puts a piece in. Gives its samples.
    pub fn lengthen(&mut self, is_urgent: bool) -> i64 {
        let added = stretch::lengthen(&self.history, &mut self.sound, is_urgent);
        self.tally.corrections += u64::from(added > 0);
        i64::try_from(added).unwrap_or(0)
    }
}

fn round_up(samples: i64) -> i64 {
    (samples + GRAIN - 1) / GRAIN * GRAIN
}
