//! Opus (RFC 6716): the system's libopus, or the same in Rust where it is absent.

use std::panic::{AssertUnwindSafe, catch_unwind};

use opus_pure::{Application, Error, OpusDecoder, OpusEncoder};

use super::opus_sys::{self, APPLICATION_AUDIO, APPLICATION_VOICE, Opus, Request};
use super::{AudioDecoder, AudioEncoder, AudioInput, AudioSettings, CodecError};
use crate::media::{SAMPLE_RATE, STEP_SAMPLES};

/// The largest packet of one frame (RFC 6716 section 3.4).
const PACKET_SIZE_MAX: usize = 1275;

/// What Opus can do at all.
const BITRATE_MIN_BPS: u32 = 6_000;
const BITRATE_MAX_BPS: u32 = 510_000;

/// How much the encoder looks for, 0 to 10. A machine that sends video does not notice it.
const COMPLEXITY: i32 = 9;

/// Lost sound comes in pieces of 2.5 ms.
const PIECE_SAMPLES: usize = STEP_SAMPLES / 4;

/// Longer than this no packet is (120 ms), so no call may ask for more.
const PACKET_SAMPLES_MAX: usize = 12 * STEP_SAMPLES;

pub fn encoder(
    library: Option<&'static Opus>,
    settings: &AudioSettings,
) -> Result<Box<dyn AudioEncoder>, CodecError> {
    if !(1..=2).contains(&settings.channels) {
        return Err(CodecError::Unsuitable(format!("{} channels", settings.channels)));
    }
    match library {
        Some(library) => Ok(Box::new(Encoder::new(library, settings)?)),
        None => Ok(Box::new(RustEncoder::new(settings)?)),
    }
}

pub fn decoder(library: Option<&'static Opus>) -> Result<Box<dyn AudioDecoder>, CodecError> {
    match library {
        Some(library) => Ok(Box::new(Decoder(opus_sys::Decoder::new(library)?))),
        None => Ok(Box::new(RustDecoder(new_rust_decoder()?))),
    }
}

fn bounded(bitrate_bps: u32) -> i32 {
    bitrate_bps.clamp(BITRATE_MIN_BPS, BITRATE_MAX_BPS) as i32
}

/// 10 or 20 ms.
fn check_length(samples: &[i16], channels: usize) -> Result<(), CodecError> {
    if [STEP_SAMPLES, 2 * STEP_SAMPLES].map(|step| step * channels).contains(&samples.len()) {
        return Ok(());
    }
    Err(CodecError::Unsuitable(format!("{} samples in {channels} channels", samples.len())))
}

struct Encoder {
    inner: opus_sys::Encoder,
    channels: usize,
}

impl Encoder {
    fn new(library: &'static Opus, settings: &AudioSettings) -> Result<Self, CodecError> {
        let application = if settings.channels == 1 { APPLICATION_VOICE } else { APPLICATION_AUDIO };
        let mut inner = opus_sys::Encoder::new(library, settings.channels, application)?;
        inner.request(Request::Bitrate, bounded(settings.bitrate_bps))?;
        inner.request(Request::Complexity, COMPLEXITY)?;
        inner.request(Request::InbandFec, i32::from(settings.uses_fec))?;
        inner.request(Request::Dtx, i32::from(settings.uses_dtx))?;
        Ok(Self { inner, channels: usize::from(settings.channels) })
    }

    fn request(&mut self, request: Request, value: i32) {
        if let Err(error) = self.inner.request(request, value) {
            log::warn!("the Opus encoder keeps a setting: {error:?}");
        }
    }
}

impl AudioEncoder for Encoder {
    fn encode(&mut self, samples: &[i16], packet: &mut Vec<u8>) -> Result<(), CodecError> {
        check_length(samples, self.channels)?;
        append(packet, |room| self.inner.encode(samples, room))
    }

    fn set_bitrate(&mut self, bitrate_bps: u32) {
        self.request(Request::Bitrate, bounded(bitrate_bps));
    }

    fn set_loss(&mut self, percent: u8) {
        self.request(Request::PacketLossPercent, i32::from(percent.min(100)));
    }
}

/// Gives the room of one packet at the end of a vector, and keeps what was written.
fn append(
    packet: &mut Vec<u8>,
    write: impl FnOnce(&mut [u8]) -> Result<usize, CodecError>,
) -> Result<(), CodecError> {
    let start = packet.len();
    packet.resize(start + PACKET_SIZE_MAX, 0);
    let outcome = write(&mut packet[start..]);
    packet.truncate(start + outcome.as_ref().map_or(0, |written| (*written).min(PACKET_SIZE_MAX)));
    outcome.map(drop)
}

struct Decoder(opus_sys::Decoder);

impl AudioDecoder for Decoder {
    fn decode(&mut self, input: AudioInput<'_>, samples: &mut [i16]) -> Result<usize, CodecError> {
        let lost = room_for_lost(samples);
        match input {
            // An empty packet would mean a lost one to libopus.
            AudioInput::Packet([]) | AudioInput::LostBefore([]) => Err(CodecError::Malformed),
            AudioInput::Packet(packet) => self.0.decode(Some(packet), false, samples),
            AudioInput::LostBefore(next) => self.0.decode(Some(next), true, &mut samples[..lost]),
            AudioInput::Lost => self.0.decode(None, false, &mut samples[..lost]),
        }
    }
}

/// How much of the room lost sound can fill.
fn room_for_lost(samples: &[i16]) -> usize {
    let per_channel = (samples.len() / 2).min(PACKET_SAMPLES_MAX);
    2 * (per_channel - per_channel % PIECE_SAMPLES)
}

struct RustEncoder {
    inner: OpusEncoder,
    channels: usize,
}

impl RustEncoder {
    fn new(settings: &AudioSettings) -> Result<Self, CodecError> {
        let channels = usize::from(settings.channels);
        let application = if channels == 1 { Application::Voip } else { Application::Audio };
        let mut inner = OpusEncoder::new(SAMPLE_RATE as i32, channels, application).map_err(told)?;
        inner.bitrate_bps = bounded(settings.bitrate_bps);
        inner.complexity = COMPLEXITY;
        inner.use_inband_fec = settings.uses_fec;
        inner.use_dtx = settings.uses_dtx;
        Ok(Self { inner, channels })
    }
}

impl AudioEncoder for RustEncoder {
    fn encode(&mut self, samples: &[i16], packet: &mut Vec<u8>) -> Result<(), CodecError> {
        check_length(samples, self.channels)?;
        let per_channel = samples.len() / self.channels;
        append(packet, |room| self.inner.encode_s16(samples, per_channel, room).map_err(told))
    }

    fn set_bitrate(&mut self, bitrate_bps: u32) {
        self.inner.bitrate_bps = bounded(bitrate_bps);
    }

    fn set_loss(&mut self, percent: u8) {
        self.inner.packet_loss_perc = i32::from(percent.min(100));
    }
}

/// The crate is young and what it reads comes from the network: a panic in it costs one packet and its memory of the sound.
struct RustDecoder(OpusDecoder);

impl AudioDecoder for RustDecoder {
    fn decode(&mut self, input: AudioInput<'_>, samples: &mut [i16]) -> Result<usize, CodecError> {
        let lost = room_for_lost(samples);
        if let AudioInput::Packet([]) | AudioInput::LostBefore([]) = input {
            return Err(CodecError::Malformed);
        }
        let decoder = &mut self.0;
        let outcome = catch_unwind(AssertUnwindSafe(|| match input {
            AudioInput::Packet(packet) => decoder.decode_s16(packet, samples.len() / 2, samples),
            AudioInput::LostBefore(next) => decoder.decode_fec_s16(next, lost / 2, &mut samples[..lost]),
            AudioInput::Lost => decoder.decode_s16(&[], lost / 2, &mut samples[..lost]),
        }));
        match outcome {
            Ok(outcome) => outcome.map_err(told),
            Err(_) => {
                self.0 = new_rust_decoder()?;
                Err(CodecError::Malformed)
            }
        }
    }
}

fn new_rust_decoder() -> Result<OpusDecoder, CodecError> {
    OpusDecoder::new(SAMPLE_RATE as i32, 2).map_err(told)
}

fn told(error: Error) -> CodecError {
    match error {
        Error::InvalidPacket(_) => CodecError::Malformed,
        Error::BufferTooSmall { .. } => CodecError::Unsuitable("no room for the result".into()),
        error => CodecError::Failed(format!("Opus in Rust: {error}")),
    }
}
