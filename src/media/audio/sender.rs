//! Sound on its way out: steps in, Opus packets of 20 ms out.

use std::sync::Arc;

use super::STEP_SAMPLES;
use super::level::{dbov, energy};
use super::opus::PAUSE_BYTES_MAX;
use crate::media::codec::{AudioEncoder, AudioSettings, CodecError};
use crate::media::encryption::{Keyring, Renewal, SOUND_HEAD, Sealer, Unsealed};

/// Steps in a packet: 20 ms, what every WebRTC sender makes. Shorter costs headers, longer costs delay.
const PACKET_STEPS: usize = 2;
const PACKET_SAMPLES: u32 = 960;

/// What LiveKit's clients send: good for music too, and little beside video.
const BITRATE_MONO_BPS: u32 = 48_000;
const BITRATE_STEREO_BPS: u32 = 96_000;

/// What Opus can do (RFC 6716 section 2.1.1).
pub const BITRATE_MIN_BPS: u32 = 6_000;
pub const BITRATE_MAX_BPS: u32 = 510_000;

/// Sound counts as a voice when it is so far above what the room sounds like …
const VOICE_ABOVE_ROOM_DB: u8 = 9;
/// … and not next to inaudible.
const VOICE_DBOV_MAX: u8 = 55;
/// What is left of a loss with each report of less. They come every few seconds and losses come in groups: a report without
/// one says little.
const LOSS_KEPT: f32 = 0.8;

/// How fast the idea of the room gets louder: 1 dB in so many packets, two seconds. It gets quieter at once.
const ROOM_RISE_PACKETS: u8 = 100;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SenderSettings {
    pub is_stereo: bool,
    /// `None`: what suits the channels. Brought into Opus's range.
    pub bitrate_bps: Option<u32>,
    /// Sends next to nothing while nothing is to be heard.
    pub uses_dtx: bool,
    /// Every packet has a rough copy of the one before.
    pub uses_fec: bool,
    /// Where the RTP time begins comes from it (RFC 3550 section 5.1: it should not be known beforehand).
    pub seed: u64,
}

impl Default for SenderSettings {
    fn default() -> Self {
        Self { is_stereo: false, bitrate_bps: None, uses_dtx: true, uses_fec: true, seed: 0 }
    }
}

impl SenderSettings {
    /// What an encoder for it is made with.
    pub fn encoder(&self) -> AudioSettings {
        let suitable = if self.is_stereo { BITRATE_STEREO_BPS } else { BITRATE_MONO_BPS };
        AudioSettings {
            channels: if self.is_stereo { 2 } else { 1 },
            bitrate_bps: self.bitrate_bps.unwrap_or(suitable).clamp(BITRATE_MIN_BPS, BITRATE_MAX_BPS),
            uses_dtx: self.uses_dtx,
            uses_fec: self.uses_fec,
        }
    }
}

/// What goes into an RTP packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentAudio {
    /// 48 kHz.
    pub timestamp: u32,
    pub payload: Arc<[u8]>,
    /// RFC 6464: 0 is the loudest, 127 silence.
    pub level_dbov: u8,
    pub is_voice: bool,
    /// The first packet after a pause: RTP's marker bit (RFC 3551 section 4.1).
    pub is_marked: bool,
}

pub struct AudioSender {
    encoder: Box<dyn AudioEncoder>,
    channels: usize,
    is_enabled: bool,
    /// The time of the first sample that is gathered.
    timestamp: u32,
    gathered: Vec<i16>,
    packet: Vec<u8>,
    room: Room,
    is_pausing: bool,
    /// What is expected to get lost, and what the encoder was told of it.
    loss: f32,
    loss_percent: u8,
    seed: u64,
    /// Nothing leaves unsealed where there is one.
    sealer: Option<Sealer>,
}

/// What is sealed with a seed has its own numbers: the sound's is before those of the layers of video.
const SOUND_STREAM: u8 = 0;

impl AudioSender {
    /// `encoder` is one for [`SenderSettings::encoder`].
    pub fn new(settings: &SenderSettings, encoder: Box<dyn AudioEncoder>) -> Self {
        Self {
            encoder,
            channels: if settings.is_stereo { 2 } else { 1 },
            is_enabled: true,
            timestamp: scatter(settings.seed),
            gathered: Vec::new(),
            packet: Vec::new(),
            room: Room::default(),
            is_pausing: true,
            loss: 0.0,
            loss_percent: 0,
            seed: settings.seed,
            sealer: None,
        }
    }

    /// Encrypts every packet, and sends nothing while there is no key.
    pub fn sealed_with(mut self, keyring: &Keyring) -> Self {
        self.sealer = Some(Sealer::new(keyring.clone(), self.seed, SOUND_STREAM));
        self
    }

    /// Takes the next 10 ms, 480 samples in mono or 960 in stereo (interleaved), whatever the stream is; other lengths are
    /// not sound. Every second step makes a packet, unless the encoder pauses or nothing is to be sent. Time goes on in any
    /// case.
    pub fn push(&mut self, step: &[i16]) -> Result<Option<SentAudio>, CodecError> {
        match (step.len() / STEP_SAMPLES, step.len() % STEP_SAMPLES, self.channels) {
            (1, 0, 1) | (2, 0, 2) => self.gathered.extend_from_slice(step),
            (1, 0, 2) => self.gathered.extend(step.iter().flat_map(|sample| [*sample, *sample])),
            (2, 0, 1) => self.gathered.extend(step.chunks_exact(2).map(|frame| middle(frame[0], frame[1]))),
            _ => return Err(CodecError::Unsuitable(format!("{} samples are no step", step.len()))),
        }
        if self.gathered.len() < PACKET_STEPS * STEP_SAMPLES * self.channels {
            return Ok(None);
        }
        let timestamp = self.timestamp;
        self.timestamp = timestamp.wrapping_add(PACKET_SAMPLES);
        let sent = if self.is_enabled { self.encode(timestamp) } else { Ok(None) };
        self.gathered.clear();
        sent
    }

    fn encode(&mut self, timestamp: u32) -> Result<Option<SentAudio>, CodecError> {
        self.packet.clear();
        self.encoder.encode(&self.gathered, &mut self.packet)?;
        let level_dbov = dbov(energy(&self.gathered), self.gathered.len());
        let is_voice = self.room.is_voice(level_dbov);
        let is_pause = self.packet.len() <= PAUSE_BYTES_MAX;
        let was_pausing = std::mem::replace(&mut self.is_pausing, is_pause);
        // The first packet of a pause is sent: it tells the receiver that what does not come is not lost.
        if self.packet.is_empty() || is_pause && was_pausing {
            return Ok(None);
        }
        if let Some(sealer) = &mut self.sealer {
            if sealer.renew() == Renewal::Missing {
                self.is_pausing = true;
                return Ok(None);
            }
            sealer.seal(SOUND_HEAD, &mut self.packet).map_err(|Unsealed| CodecError::Unsealed)?;
        }
        let payload = Arc::from(self.packet.as_slice());
        Ok(Some(SentAudio { timestamp, payload, level_dbov, is_voice, is_marked: was_pausing }))
    }

    /// Muted: nothing is sent, time goes on.
    pub fn set_enabled(&mut self, is_enabled: bool) {
        self.is_enabled = is_enabled;
        self.is_pausing |= !is_enabled;
    }

    pub fn is_enabled(&self) -> bool {
        self.is_enabled
    }

    /// Brought into Opus's range, 6 000 to 510 000.
    pub fn set_bitrate(&mut self, bitrate_bps: u32) {
        self.encoder.set_bitrate(bitrate_bps.clamp(BITRATE_MIN_BPS, BITRATE_MAX_BPS));
    }

    /// What part of the packets got lost lately, 0 to 1, as the other side reports it. The encoder gives the copies of
    /// earlier packets their share by it.
    pub fn heed_loss(&mut self, share: f32) {
        let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
        self.loss = share.max(self.loss * LOSS_KEPT);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // between 0 and 100
        let percent = (self.loss * 100.0).round() as u8;
        if std::mem::replace(&mut self.loss_percent, percent) != percent {
            self.encoder.set_loss(percent);
        }
    }

    /// The RTP time of the next packet and how much sound is gathered for it already, for sender reports.
    pub fn timestamp(&self) -> u32 {
        let gathered = self.gathered.len() / self.channels;
        self.timestamp.wrapping_add(u32::try_from(gathered).unwrap_or(0))
    }
}

/// What it sounds like when nobody speaks.
#[derive(Debug)]
struct Room {
    dbov: u8,
    packets: u8,
}

impl Default for Room {
    fn default() -> Self {
        Self { dbov: 127, packets: 0 }
    }
}

impl Room {
    fn is_voice(&mut self, level_dbov: u8) -> bool {
        if level_dbov >= self.dbov {
            *self = Self { dbov: level_dbov, packets: 0 };
        } else {
            self.packets += 1;
            if self.packets >= ROOM_RISE_PACKETS {
                *self = Self { dbov: self.dbov - 1, packets: 0 };
            }
        }
        level_dbov <= VOICE_DBOV_MAX && level_dbov + VOICE_ABOVE_ROOM_DB <= self.dbov
    }
}

fn middle(left: i16, right: i16) -> i16 {
    #[allow(clippy::cast_possible_truncation)] // between two i16
    let middle = ((i32::from(left) + i32::from(right)) / 2) as i16;
    middle
}

/// Spreads a seed over 32 bits (the finish of SplitMix64).
fn scatter(seed: u64) -> u32 {
    let mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    u32::try_from(mixed >> 32).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::super::STEREO_STEP;
    use super::super::simulation::{Tone, ToyEncoder};
    use super::*;

    fn sender(settings: &SenderSettings) -> AudioSender {
        AudioSender::new(settings, Box::new(ToyEncoder::new(&settings.encoder())))
    }

    fn sent(sender: &mut AudioSender, step: &[i16]) -> Option<SentAudio> {
        sender.push(step).expect("a step")
    }

    #[test]
    fn two_steps_make_a_packet_and_time_goes_on_by_20_ms() {
        let mut sender = sender(&SenderSettings { seed: 4, ..SenderSettings::default() });
        let step = Tone::new(440.0, 10_000.0).mono(STEP_SAMPLES);
        let packets: Vec<_> = (0..10).filter_map(|_| sent(&mut sender, &step)).collect();
        assert_eq!(packets.len(), 5);
        for (number, packet) in (0u32..).zip(&packets) {
            assert_eq!(packet.timestamp, packets[0].timestamp.wrapping_add(960 * number));
            assert_eq!(packet.is_marked, number == 0);
            assert!(packet.is_voice);
            assert!((12..=14).contains(&packet.level_dbov), "{}", packet.level_dbov);
        }
    }

    #[test]
    fn seeds_make_different_times() {
        let starts = [1, 2, 3].map(scatter);
        assert!(starts[0] != starts[1] && starts[1] != starts[2]);
    }

    #[test]
    fn steps_become_what_the_stream_is() {
        let mut mono = sender(&SenderSettings::default());
        let mut stereo = sender(&SenderSettings { is_stereo: true, ..SenderSettings::default() });
        for step in [&[1000; STEP_SAMPLES][..], &[1000; STEREO_STEP]] {
            for (sender, values) in [(&mut mono, 960), (&mut stereo, 1920)] {
                sent(sender, step);
                let packet = sent(sender, step).expect("the second step makes a packet");
                assert!(packet.payload[2..].starts_with(&1000i16.to_le_bytes().repeat(values)));
            }
        }
        assert!(mono.push(&[0; 441]).is_err());
    }

    #[test]
    fn a_pause_says_so_once_and_time_goes_on() {
        let mut sender = sender(&SenderSettings::default());
        let loud = Tone::new(440.0, 10_000.0).mono(STEP_SAMPLES);
        let mut packets = Vec::new();
        for number in 0..40 {
            let step = if (10..30).contains(&number) { &[0; STEP_SAMPLES][..] } else { &loud };
            packets.extend(sent(&mut sender, step));
        }
        let begin = packets[0].timestamp;
        let seen: Vec<_> = packets
            .iter()
            .map(|p| (p.timestamp.wrapping_sub(begin) / 960, p.payload.len() > 2, p.is_marked))
            .collect();
        let wanted: Vec<_> = (0..5)
            .map(|number| (number, true, number == 0))
            .chain([(5, false, false)])
            .chain((15..20).map(|number| (number, true, number == 15)))
            .collect();
        assert_eq!(seen, wanted);
    }

    #[test]
    fn a_muted_sender_sends_nothing_and_time_goes_on() {
        let mut sender = sender(&SenderSettings::default());
        let step = Tone::new(440.0, 10_000.0).mono(STEP_SAMPLES);
        sent(&mut sender, &step);
        let first = sent(&mut sender, &step).expect("a packet");
        sender.set_enabled(false);
        assert!((0..20).all(|_| sent(&mut sender, &step).is_none()));
        sender.set_enabled(true);
        sent(&mut sender, &step);
        let next = sent(&mut sender, &step).expect("a packet");
        assert_eq!(next.timestamp, first.timestamp.wrapping_add(960 * 11));
        assert!(next.is_marked);
    }

    #[test]
    fn bit_rates_stay_in_opus_s_range() {
        let with = |bitrate_bps, is_stereo| {
            SenderSettings { bitrate_bps, is_stereo, ..SenderSettings::default() }.encoder().bitrate_bps
        };
        assert_eq!(with(None, false), 48_000);
        assert_eq!(with(None, true), 96_000);
        assert_eq!(with(Some(1), false), 6_000);
        assert_eq!(with(Some(u32::MAX), false), 510_000);
    }

    #[test]
    fn losses_count_at_once_and_are_forgotten_slowly() {
        let settings = SenderSettings::default();
        let encoder = ToyEncoder::new(&settings.encoder());
        let told = encoder.losses.clone();
        let mut sender = AudioSender::new(&settings, Box::new(encoder));
        for share in [0.0, 0.1, 0.0, 0.0, 0.3, 0.3, f32::NAN, 7.0] {
            sender.heed_loss(share);
        }
        assert_eq!(*told.lock(), [10, 8, 6, 30, 24, 100]);
        (0..40).for_each(|_| sender.heed_loss(0.0));
        assert_eq!(told.lock().last(), Some(&0));
    }

    #[test]
    fn steady_noise_is_not_a_voice() {
        let mut room = Room::default();
        assert!(room.is_voice(40), "a start from silence");
        let voices = (0..10_000).filter(|_| room.is_voice(40)).count();
        assert!((5_000..9_000).contains(&voices), "{voices}: the room is 40 dB below overload by and by");
        assert!(!room.is_voice(40));
        assert!(room.is_voice(20));
        assert!(!room.is_voice(60));
    }
}
