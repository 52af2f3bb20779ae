//! The same calls as in `receiver_tests.rs` with the codec that real ones have.

use std::time::Duration;

use super::receiver::AudioReceiver;
use super::sender::{AudioSender, SenderSettings};
use super::simulation::{Random, Sent, Tone, effective, play, purity, roughness, second};
use super::{STEP_SAMPLES, STEREO_STEP};
use crate::media::codec::{audio_decoder, audio_encoder};

/// The tone's own sharpest corner: 440 Hz at 10 000.
const CLEAN: f64 = 34.0;

fn receiver() -> AudioReceiver {
    AudioReceiver::new(audio_decoder().expect("Opus is always there"))
}

fn send(settings: &SenderSettings, loss: u8, steps: impl Iterator<Item = Vec<i16>>) -> Vec<Sent> {
    let encoder = audio_encoder(&settings.encoder()).expect("Opus is always there");
    let mut sender = AudioSender::new(settings, encoder);
    sender.heed_loss(f32::from(loss) / 100.0);
    let mut packets = Vec::new();
    for (number, step) in (0u64..).zip(steps) {
        let Some(sent) = sender.push(&step).expect("a step") else { continue };
        packets.push(Sent {
            arrives: Duration::from_millis(10 * number + 30),
            is_red: false,
            sequence: packets.len() as u64,
            timestamp: u64::from(sent.timestamp),
            payload: sent.payload,
        });
    }
    packets
}

fn tone(seconds: usize) -> impl Iterator<Item = Vec<i16>> {
    let mut tone = Tone::new(440.0, 10_000.0);
    (0..100 * seconds).map(move |_| tone.mono(STEP_SAMPLES))
}

#[test]
fn a_tone_comes_through_with_pitch_and_level() {
    let mut receiver = receiver();
    let heard = play(&mut receiver, &send(&SenderSettings::default(), 0, tone(5)), 500, 0);
    let sound = &heard.samples[second(2)..second(4)];
    println!("level {:.0}, purity {:.5}, {:?}", effective(sound), purity(sound, 440.0), receiver.counters());
    assert!((effective(sound) - 7071.0).abs() < 350.0);
    assert!(purity(sound, 440.0) > 0.98);
    assert_eq!(receiver.counters().concealed_samples, 0);
}

/// One in ten is lost, all are up to 40 ms late.
fn through_bad_network(packets: Vec<Sent>) -> Vec<Sent> {
    let mut random = Random::new(21);
    let survives = |packet: Sent| {
        let arrives = packet.arrives + Duration::from_millis(random.below(40));
        (random.below(10) != 0).then_some(Sent { arrives, ..packet })
    };
    packets.into_iter().filter_map(survives).collect()
}

/// The mean over pieces of 100 ms: how much of the sound is the tone.
fn mean_purity(samples: &[i16]) -> f64 {
    let pieces: Vec<f64> = samples.chunks_exact(second(1) / 10).map(|piece| purity(piece, 440.0)).collect();
    pieces.iter().sum::<f64>() / f64::from(u32::try_from(pieces.len()).expect("few"))
}

#[test]
fn a_tone_through_loss_and_jitter_keeps_its_pitch_and_level() {
    // Without talk of loss Opus codes it as music. As a voice it has copies, but a tone is no voice and gets none.
    let packets = send(&SenderSettings::default(), 0, tone(20));
    let mut receiver = receiver();
    let heard = play(&mut receiver, &through_bad_network(packets), 2000, 0);
    let sound = &heard.samples[second(2)..second(19)];
    let (level, tone) = (effective(sound), mean_purity(sound));
    // Opus itself conceals with noise when a packet is lost right after the one that followed a loss.
    let rough = sound.chunks(STEREO_STEP).filter(|step| roughness(step) > CLEAN * 5.0).count();
    println!("level {level:.0}, tone {tone:.4}, {rough} rough steps of 1700, {:?}", receiver.counters());
    assert!((level - 7071.0).abs() < 350.0);
    assert!(tone > 0.95);
    assert!(rough <= 20);
    assert!(receiver.counters().lost > 80);
    assert!(heard.delays[1900] < Duration::from_millis(90));
}

/// What Opus takes for a voice: a buzz of 150 Hz in syllables.
fn voice(seconds: usize) -> impl Iterator<Item = Vec<i16>> {
    let mut harmonics: Vec<Tone> =
        [1.0, 2.0, 3.0, 4.0, 5.0, 6.0].map(|number| Tone::new(150.0 * number, 6_000.0 / number)).into();
    let mut at = 0.0f64;
    (0..100 * seconds).map(move |_| {
        let parts: Vec<Vec<i16>> = harmonics.iter_mut().map(|tone| tone.mono(STEP_SAMPLES)).collect();
        let sample = |index: usize| {
            at += 1.0;
            let syllable = (std::f64::consts::PI * 2.5 * at / 48_000.0).sin().powi(2);
            #[allow(clippy::cast_possible_truncation)] // below 15 000
            let sample = (parts.iter().map(|part| f64::from(part[index])).sum::<f64>() * syllable) as i16;
            sample
        };
        (0..STEP_SAMPLES).map(sample).collect()
    })
}

#[test]
fn a_voice_through_loss_is_filled_from_copies() {
    let clean = play(&mut receiver(), &send(&SenderSettings::default(), 10, voice(20)), 2000, 0);
    let wanted = effective(&clean.samples[second(2)..second(19)]);
    let mut filled = Vec::new();
    for uses_fec in [true, false] {
        let settings = SenderSettings { uses_fec, ..SenderSettings::default() };
        let mut receiver = receiver();
        let packets = through_bad_network(send(&settings, 10, voice(20)));
        let heard = play(&mut receiver, &packets, 2000, 0);
        let level = effective(&heard.samples[second(2)..second(19)]);
        let counters = receiver.counters();
        println!("copies {uses_fec}: level {level:.0} of {wanted:.0}, {counters:?}");
        assert!((level / wanted - 1.0).abs() < 0.15);
        filled.push((counters.fec_used, counters.concealed_samples));
    }
    assert!(filled[0].0 >= 40 && filled[1].0 == 0, "{filled:?}");
    assert!(filled[0].1 * 2 < filled[1].1, "{filled:?}");
}

#[test]
fn a_pause_costs_next_to_nothing_and_is_no_loss() {
    let speech = tone(6)
        .enumerate()
        .map(|(number, step)| if (200..400).contains(&number) { vec![0; STEP_SAMPLES] } else { step });
    let packets = send(&SenderSettings::default(), 0, speech);
    let begin = packets[0].timestamp;
    let in_pause = packets.iter().filter(|p| (120_000..190_000).contains(&(p.timestamp - begin))).count();
    let mut receiver = receiver();
    let heard = play(&mut receiver, &packets, 600, 0);
    println!("{in_pause} packets in 1.5 s of pause, {:?}", receiver.counters());
    assert!(in_pause <= 12, "{in_pause}");
    assert_eq!((receiver.counters().lost, receiver.counters().concealed_samples), (0, 0));
    assert!(effective(&heard.samples[second(3)..second(4) - second(1) / 4]) < 30.0);
    assert!(purity(&heard.samples[second(5)..second(6) - second(1) / 4], 440.0) > 0.95);
}

#[test]
fn the_sides_of_stereo_stay_apart() {
    let (mut left, mut right) = (Tone::new(440.0, 10_000.0), Tone::new(1000.0, 5_000.0));
    let steps = (0..300).map(move |_| {
        let sides = left.mono(STEP_SAMPLES).into_iter().zip(right.mono(STEP_SAMPLES));
        sides.flat_map(|(left, right)| [left, right]).collect()
    });
    let settings = SenderSettings { is_stereo: true, ..SenderSettings::default() };
    let mut receiver = receiver();
    let heard = play(&mut receiver, &send(&settings, 0, steps), 300, 0);
    let sound = &heard.samples[second(1)..second(2)];
    let swapped: Vec<i16> = sound.chunks_exact(2).flat_map(|frame| [frame[1], frame[0]]).collect();
    println!("left {:.4}, right {:.4}", purity(sound, 440.0), purity(&swapped, 1000.0));
    assert!(purity(sound, 440.0) > 0.98 && (effective(sound) - 7071.0).abs() < 350.0);
    assert!(purity(&swapped, 1000.0) > 0.98 && (effective(&swapped) - 3535.0).abs() < 250.0);
}

#[test]
fn clocks_apart_are_followed_without_a_click() {
    let mut receiver = receiver();
    let heard = play(&mut receiver, &send(&SenderSettings::default(), 0, tone(30)), 2990, 1000);
    let sound = &heard.samples[second(2)..second(29)];
    println!("sharpest corner {:.0} of {CLEAN}, {:?}", roughness(sound), receiver.counters());
    assert!(receiver.counters().corrections >= 1);
    assert_eq!(receiver.counters().concealed_samples, 0);
    assert!(roughness(sound) < CLEAN * 2.0);
}
