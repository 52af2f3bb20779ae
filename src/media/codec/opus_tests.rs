//! Opus, through libopus and through its substitute: both do the same in kind.

use std::f64::consts::TAU;

use super::opus_sys::Opus;
use super::*;

const STEP: usize = 960;

/// The system's library, where it is there, and the one in Rust.
fn kinds() -> Vec<(&'static str, Option<&'static Opus>)> {
    let library = Opus::get();
    if library.is_none() {
        eprintln!("skipped: libopus is not here");
    }
    let mut kinds = vec![("in Rust", None)];
    kinds.extend(library.map(|library| ("libopus", Some(library))));
    kinds
}

fn settings(channels: u8) -> AudioSettings {
    AudioSettings { channels, bitrate_bps: 64_000, uses_dtx: false, uses_fec: false }
}

/// 20 ms of a tone, another one in the second channel.
fn tone(step: usize, channels: usize, hertz: f64) -> Vec<i16> {
    let sample = |index: usize, channel: usize| {
        let seconds = (step * STEP + index) as f64 / 48_000.0;
        ((TAU * hertz * (channel + 1) as f64 * seconds).sin() * 8000.0) as i16
    };
    (0..STEP).flat_map(|index| (0..channels).map(move |channel| sample(index, channel))).collect()
}

/// Something like a voice: a buzz of many overtones that swells and ebbs.
fn voice(step: usize) -> Vec<i16> {
    (0..STEP)
        .map(|index| {
            let seconds = (step * STEP + index) as f64 / 48_000.0;
            let buzz: f64 =
                (1..20).map(|n| (TAU * 140.0 * f64::from(n) * seconds).sin() / f64::from(n)).sum();
            (buzz * (1.0 + (TAU * 4.0 * seconds).sin()) * 2500.0) as i16
        })
        .collect()
}

fn channel(samples: &[i16], channel: usize) -> Vec<f64> {
    samples.iter().skip(channel).step_by(2).map(|sample| f64::from(*sample)).collect()
}

/// How much of the power is at this frequency, 0 to 1.
fn purity(samples: &[f64], hertz: f64) -> f64 {
    let (mut re, mut im, mut power) = (0.0, 0.0, 0.0);
    for (index, sample) in samples.iter().enumerate() {
        let angle = TAU * hertz * index as f64 / 48_000.0;
        re += sample * angle.cos();
        im += sample * angle.sin();
        power += sample * sample;
    }
    2.0 * (re * re + im * im) / (power * samples.len() as f64).max(1.0)
}

fn loudness(samples: &[i16]) -> f64 {
    (samples.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / samples.len().max(1) as f64)
        .sqrt()
}

fn encode(encoder: &mut Box<dyn AudioEncoder>, samples: &[i16]) -> Vec<u8> {
    let mut packet = Vec::new();
    encoder.encode(samples, &mut packet).expect("encoded");
    packet
}

fn decode(decoder: &mut Box<dyn AudioDecoder>, input: AudioInput<'_>) -> Vec<i16> {
    let mut samples = [0; 2 * STEP];
    let count = decoder.decode(input, &mut samples).expect("decoded");
    assert_eq!(count, STEP);
    samples.to_vec()
}

#[test]
fn a_tone_comes_through_in_mono_and_stereo() {
    for (name, library) in kinds() {
        for channels in [1, 2] {
            let mut encoder = opus::encoder(library, &settings(channels)).expect("an encoder");
            let mut decoder = opus::decoder(library).expect("a decoder");
            let mut heard = Vec::new();
            for step in 0..50 {
                let packet = encode(&mut encoder, &tone(step, channels.into(), 440.0));
                heard.extend(decode(&mut decoder, AudioInput::Packet(&packet)));
            }
            let heard = &heard[heard.len() / 2..];
            assert!(purity(&channel(heard, 0), 440.0) > 0.98, "{name}, left of {channels}");
            let right = if channels == 1 { 440.0 } else { 880.0 };
            assert!(purity(&channel(heard, 1), right) > 0.98, "{name}, right of {channels}");
            let loudness = loudness(heard);
            assert!((5000.0..6300.0).contains(&loudness), "{name}: {loudness}, not 5657");
        }
    }
}

/// Each decodes what the other one encoded.
#[test]
fn both_speak_the_same_language() {
    let Some(libopus) = Opus::get() else {
        eprintln!("skipped: libopus is not here");
        return;
    };
    for (from, to) in [(Some(libopus), None), (None, Some(libopus))] {
        let mut encoder = opus::encoder(from, &settings(2)).expect("an encoder");
        let mut decoder = opus::decoder(to).expect("a decoder");
        let mut heard = Vec::new();
        for step in 0..30 {
            let packet = encode(&mut encoder, &tone(step, 2, 440.0));
            heard.extend(decode(&mut decoder, AudioInput::Packet(&packet)));
        }
        assert!(purity(&channel(&heard[heard.len() / 2..], 0), 440.0) > 0.98);
    }
}

#[test]
fn packets_of_ten_milliseconds_are_possible_and_others_are_not() {
    for (name, library) in kinds() {
        let mut encoder = opus::encoder(library, &settings(2)).expect("an encoder");
        let mut decoder = opus::decoder(library).expect("a decoder");
        let packet = encode(&mut encoder, &tone(0, 2, 440.0)[..960]);
        let mut samples = [0; 960];
        assert_eq!(decoder.decode(AudioInput::Packet(&packet), &mut samples), Ok(480), "{name}");
        for length in [0, 100, 958, 2 * 2880] {
            let outcome = encoder.encode(&vec![0; length], &mut Vec::new());
            assert!(matches!(outcome, Err(CodecError::Unsuitable(_))), "{name} {length}: {outcome:?}");
        }
        let three = AudioSettings { channels: 3, ..settings(1) };
        assert!(opus::encoder(library, &three).is_err(), "{name}");
    }
}

#[test]
fn a_packet_is_appended_to_what_is_there() {
    for (name, library) in kinds() {
        let mut encoder = opus::encoder(library, &settings(1)).expect("an encoder");
        let mut packet = vec![1, 2, 3];
        encoder.encode(&tone(0, 1, 440.0), &mut packet).expect("encoded");
        assert_eq!(packet[..3], [1, 2, 3], "{name}");
        assert!(packet.len() > 10, "{name}");
        assert!(encoder.encode(&[0; 7], &mut packet).is_err());
    }
}

#[test]
fn what_is_lost_is_concealed_and_fades() {
    for (name, library) in kinds() {
        let mut encoder = opus::encoder(library, &settings(1)).expect("an encoder");
        let mut decoder = opus::decoder(library).expect("a decoder");
        for step in 0..30 {
            let packet = encode(&mut encoder, &tone(step, 1, 440.0));
            decode(&mut decoder, AudioInput::Packet(&packet));
        }
        let first = loudness(&decode(&mut decoder, AudioInput::Lost));
        let mut last = first;
        for _ in 0..30 {
            last = loudness(&decode(&mut decoder, AudioInput::Lost));
        }
        assert!(first > 2000.0, "{name}: {first}, a gap");
        assert!(last < first / 4.0, "{name}: {last} after {first}, it never ends");
    }
}

/// The rough copy is nearer to what was lost than what is made up.
#[test]
fn the_next_packet_brings_the_lost_one_back() {
    for (name, library) in kinds() {
        let with = AudioSettings { uses_fec: true, bitrate_bps: 32_000, ..settings(1) };
        let mut encoder = opus::encoder(library, &with).expect("an encoder");
        encoder.set_loss(20);
        let mut whole = opus::decoder(library).expect("a decoder");
        let mut mended = opus::decoder(library).expect("a decoder");
        let mut guessing = opus::decoder(library).expect("a decoder");
        let packets: Vec<_> = (0..60).map(|step| encode(&mut encoder, &voice(step))).collect();
        let (mut mended_error, mut guessed_error) = (0.0, 0.0);
        for (step, packet) in packets.iter().enumerate() {
            let input = AudioInput::Packet(packet);
            let original = decode(&mut whole, input);
            if step % 7 != 6 || step < 20 {
                decode(&mut mended, input);
                decode(&mut guessing, input);
                continue;
            }
            let far = |other: Vec<i16>| {
                let differences: Vec<i16> =
                    original.iter().zip(&other).map(|(a, b)| a.saturating_sub(*b)).collect();
                loudness(&differences)
            };
            mended_error += far(decode(&mut mended, AudioInput::LostBefore(&packets[step + 1])));
            guessed_error += far(decode(&mut guessing, AudioInput::Lost));
        }
        assert!(mended_error < 0.7 * guessed_error, "{name}: {mended_error} against {guessed_error}");
    }
}

#[test]
fn silence_is_not_sent() {
    for (name, library) in kinds() {
        let quiet = AudioSettings { uses_dtx: true, bitrate_bps: 32_000, ..settings(1) };
        let mut encoder = opus::encoder(library, &quiet).expect("an encoder");
        for step in 0..30 {
            assert!(encode(&mut encoder, &voice(step)).len() > 2, "{name}: a voice is sent");
        }
        let silent = (0..100).filter(|_| encode(&mut encoder, &[0; STEP]).len() <= 2).count();
        assert!(silent > 60, "{name}: {silent} of 100 need not be sent");
        let mut always = opus::encoder(library, &settings(1)).expect("an encoder");
        assert!((0..100).all(|_| encode(&mut always, &[0; STEP]).len() > 2), "{name}: not without the wish");
    }
}

#[test]
fn a_change_of_rate_takes_effect() {
    for (name, library) in kinds() {
        let mut encoder = opus::encoder(library, &settings(2)).expect("an encoder");
        let mut size = |bitrate_bps: u32| {
            encoder.set_bitrate(bitrate_bps);
            (0..50).map(|step| encode(&mut encoder, &tone(step, 2, 440.0)).len()).sum::<usize>()
        };
        let (high, low) = (size(96_000), size(24_000));
        assert!(low * 2 < high, "{name}: {low} against {high}");
        size(0);
        size(u32::MAX);
    }
}

#[test]
fn nothing_is_not_a_packet() {
    for (name, library) in kinds() {
        let mut decoder = opus::decoder(library).expect("a decoder");
        let mut samples = [0; 2 * STEP];
        for input in [AudioInput::Packet(&[]), AudioInput::LostBefore(&[])] {
            assert_eq!(decoder.decode(input, &mut samples), Err(CodecError::Malformed), "{name}");
        }
    }
}
