//! Whole calls in made-up time: what the network does to the packets and what is heard all the same.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::receiver::{AudioPacket, AudioReceiver};
use super::sender::{AudioSender, SenderSettings};
use super::simulation::{
    Heard, Random, Sent, Tone, ToyDecoder, ToyEncoder, effective, play, play_and, purity, roughness, second,
};
use super::{STEP_SAMPLES, STEREO_STEP, red};
use crate::media::codec::AudioEncoder;

/// A packet is a whole number of its periods, so the toy decoder's concealment continues it exactly.
const HERTZ: f64 = 400.0;
const AMPLITUDE: f64 = 10_000.0;
const EFFECTIVE: f64 = 7071.0;

/// The sharpest corner of the tone itself.
const CLEAN: f64 = 28.0;

fn receiver() -> AudioReceiver {
    AudioReceiver::new(Box::new(ToyDecoder::default()))
}

/// The packets of a tone as they leave the sender. `steps`: what is said in each, or silence.
fn tone_packets(steps: usize, settings: &SenderSettings, speaks: impl Fn(usize) -> bool) -> Vec<Sent> {
    let mut sender = AudioSender::new(settings, Box::new(ToyEncoder::new(&settings.encoder())));
    let mut tone = Tone::new(HERTZ, AMPLITUDE);
    let mut packets: Vec<Sent> = Vec::new();
    for number in 0..steps {
        let said = tone.mono(STEP_SAMPLES);
        let step = if speaks(number) { said } else { vec![0; STEP_SAMPLES] };
        let Some(sent) = sender.push(&step).expect("a step") else { continue };
        packets.push(Sent {
            arrives: Duration::from_millis(10 * number as u64 + 30),
            is_red: false,
            sequence: packets.len() as u64 + 60_000,
            timestamp: u64::from(sent.timestamp),
            payload: sent.payload,
        });
    }
    packets
}

fn plain(seconds: usize) -> Vec<Sent> {
    let settings = SenderSettings { uses_fec: false, uses_dtx: false, ..SenderSettings::default() };
    tone_packets(seconds * 100, &settings, |_| true)
}

fn delayed(mut packets: Vec<Sent>, late_ms: impl Fn(usize) -> u64) -> Vec<Sent> {
    for (number, packet) in packets.iter_mut().enumerate() {
        packet.arrives += Duration::from_millis(late_ms(number));
    }
    packets
}

fn without(packets: Vec<Sent>, is_lost: impl Fn(usize) -> bool) -> Vec<Sent> {
    packets
        .into_iter()
        .enumerate()
        .filter(|(number, _)| !is_lost(*number))
        .map(|(_, packet)| packet)
        .collect()
}

fn assert_clean(heard: &Heard, from: usize, to: usize) {
    let sound = &heard.samples[second(from)..second(to)];
    assert!((effective(sound) - EFFECTIVE).abs() < 100.0, "level {}", effective(sound));
    assert!(roughness(sound) < CLEAN * 1.6, "a click of {}", roughness(sound));
}

#[test]
fn on_a_good_network_every_sample_is_heard_as_it_was_said() {
    let mut receiver = receiver();
    let heard = play(&mut receiver, &plain(11), 1010, 0);
    assert_clean(&heard, 1, 10);
    assert!(purity(&heard.samples[second(1)..second(9)], HERTZ) > 0.9999);
    let counters = receiver.counters();
    println!("delay {:?}, corrections {}", counters.delay, counters.corrections);
    assert!(counters.delay <= Duration::from_millis(40));
    assert_eq!((counters.lost, counters.late, counters.malformed), (0, 0, 0));
    assert_eq!((counters.concealed_samples, counters.corrections), (0, 0));
    let waited = Duration::from_millis(counters.waited_samples / counters.emitted_samples / 48);
    println!("waited {waited:?}, energy {}", counters.energy);
    assert!(
        counters.emitted_samples > 9 * 48_000
            && waited >= Duration::from_millis(1)
            && waited <= Duration::from_millis(40)
    );
    assert!((counters.energy - 10.0 * (EFFECTIVE / 32_768.0).powi(2)).abs() < 0.03);
    assert!(heard.pulls[500].has_sound && (heard.pulls[500].level - 0.305).abs() < 0.01);
}

#[test]
fn nothing_is_heard_before_the_first_packet_and_after_the_last() {
    let mut receiver = receiver();
    let heard = play(&mut receiver, &plain(1), 300, 0);
    assert!(!heard.pulls[0].has_sound);
    assert!(heard.pulls[250..].iter().all(|pulled| !pulled.has_sound && !pulled.is_concealed));
    assert_eq!(receiver.heard(), None);
    assert!(receiver.counters().concealed_samples <= 25_000, "{}", receiver.counters().concealed_samples);
    assert!(roughness(&heard.samples) < CLEAN * 3.0, "it fades: {}", roughness(&heard.samples));
}

#[test]
fn reordered_and_doubled_packets_are_heard_once_and_in_order() {
    let mut packets = delayed(plain(10), |number| if number % 3 == 0 { 25 } else { 0 });
    packets.extend(packets.clone());
    let mut receiver = receiver();
    let heard = play(&mut receiver, &packets, 1010, 0);
    assert_clean(&heard, 2, 10);
    let counters = receiver.counters();
    println!("{counters:?}");
    assert_eq!(counters.received + counters.late, 1000 - counters.duplicates);
    assert!(counters.duplicates >= 480);
}

#[test]
fn jitter_is_covered_within_a_second_and_forgotten_within_seconds() {
    let mut random = Random::new(11);
    let jitter: Vec<u64> = (0..1500).map(|number| if number < 750 { random.below(80) } else { 0 }).collect();
    let mut receiver = receiver();
    let heard = play(&mut receiver, &delayed(plain(30), |number| jitter[number]), 3000, 0);
    let (busy, calm) = (heard.delays[1400], heard.delays[2900]);
    println!("delay {busy:?} with 80 ms of jitter, {calm:?} without, {:?}", receiver.counters());
    assert!((70..=120).contains(&busy.as_millis()), "{busy:?}");
    assert!(calm.as_millis() <= 45, "{calm:?}");
    let concealed = heard.pulls[200..1500].iter().filter(|pulled| pulled.is_concealed).count();
    assert!(concealed <= 40, "{concealed} of 1300 steps are made up");
    assert_clean(&heard, 16, 30);
}

#[test]
fn what_is_lost_is_made_up_and_counted() {
    let mut random = Random::new(5);
    let lost: Vec<bool> = (0..500).map(|_| random.below(10) == 0).collect();
    let mut receiver = receiver();
    let heard = play(&mut receiver, &without(plain(10), |number| lost[number]), 1010, 0);
    let counters = receiver.counters();
    println!("{counters:?}");
    let count = lost.iter().filter(|lost| **lost).count() as u64;
    // One at the very end is not noticed.
    assert!(count - counters.lost <= 1, "{} of {count}", counters.lost);
    assert!(counters.concealed_samples.abs_diff(count * 960) <= 960 * 4);
    assert_clean(&heard, 1, 9);
    assert!(purity(&heard.samples[second(2)..second(3)], HERTZ) > 0.99);
}

#[test]
fn copies_in_the_following_packet_fill_the_holes_exactly() {
    let settings = SenderSettings { uses_dtx: false, ..SenderSettings::default() };
    let packets = without(tone_packets(1000, &settings, |_| true), |number| number > 20 && number % 9 == 4);
    let mut receiver = receiver();
    let heard = play(&mut receiver, &packets, 1000, 0);
    let counters = receiver.counters();
    println!("{counters:?}");
    assert!(counters.fec_used >= 50, "{}", counters.fec_used);
    assert!(counters.delay <= Duration::from_millis(60));
    assert_clean(&heard, 2, 10);
    assert!(purity(&heard.samples[second(3)..second(4)], HERTZ) > 0.999);
}

/// Packets of 10 ms, short enough for a block of a redundant packet.
fn short_packets(count: u64) -> Vec<Sent> {
    let settings = SenderSettings { uses_fec: false, ..SenderSettings::default() };
    let mut encoder = ToyEncoder::new(&settings.encoder());
    let mut tone = Tone::new(HERTZ, AMPLITUDE);
    let packet = |number| {
        let mut payload = Vec::new();
        encoder.encode(&tone.mono(STEP_SAMPLES), &mut payload).expect("a step");
        let arrives = Duration::from_millis(10 * number + 20);
        let payload = Arc::from(payload);
        Sent { arrives, is_red: false, sequence: number, timestamp: 480 * number, payload }
    };
    (0..count).map(packet).collect()
}

#[test]
fn redundant_packets_fill_bursts_exactly() {
    let plain = short_packets(1000);
    let redundant = |number: usize| {
        let copies: Vec<(u32, &[u8])> = [2u16, 1]
            .iter()
            .filter(|age| usize::from(**age) <= number)
            .map(|age| (480 * u32::from(*age), &plain[number - usize::from(*age)].payload[..]))
            .collect();
        let payload = Arc::from(red::pack(&plain[number].payload, &copies));
        Sent { is_red: true, payload, ..plain[number].clone() }
    };
    let packets = (0..plain.len()).map(redundant).collect();
    let packets = without(packets, |number| number > 20 && number % 12 < 2);
    let mut receiver = receiver();
    let heard = play(&mut receiver, &packets, 1000, 0);
    let counters = receiver.counters();
    println!("{counters:?}");
    assert!(counters.red_used >= 150, "{}", counters.red_used);
    assert!(counters.lost <= 4, "{}: only until the delay has room for the copies", counters.lost);
    assert_clean(&heard, 2, 9);
}

#[test]
fn a_pause_is_silence_and_no_loss() {
    let settings = SenderSettings { uses_fec: false, ..SenderSettings::default() };
    let packets = tone_packets(2000, &settings, |number| number / 200 % 2 == 0);
    assert!(packets.len() < 520, "the sender pauses");
    let mut receiver = receiver();
    let heard = play(&mut receiver, &packets, 2000, 0);
    let counters = receiver.counters();
    println!("{counters:?}");
    assert_eq!((counters.lost, counters.concealed_samples), (0, 0));
    let quiet = &heard.samples[second(2) + second(1) / 2..second(3) + second(1) / 2];
    assert!(effective(quiet) < 1.0);
    assert_clean(&heard, 5, 6);
    assert!(counters.delay <= Duration::from_millis(40), "{:?}", counters.delay);
}

#[test]
fn a_short_pause_is_where_the_delay_changes_unheard() {
    let settings = SenderSettings { uses_fec: false, ..SenderSettings::default() };
    let packets = tone_packets(400, &settings, |number| !(200..230).contains(&number));
    let mut receiver = receiver();
    let heard = play_and(&mut receiver, &packets, 390, 0, |number, receiver| {
        if number == 215 {
            receiver.set_extra_delay(Duration::from_millis(100));
        }
    });
    assert_eq!(heard.delays[150], Duration::from_millis(20));
    assert_eq!(heard.delays[300], Duration::from_millis(120), "at once after the pause");
    assert_eq!((receiver.counters().corrections, receiver.counters().concealed_samples), (0, 0));
}

#[test]
fn a_pause_that_nobody_announced_is_taken_back_from_what_was_made_up() {
    let packets = without(plain(6), |number| (100..150).contains(&number));
    let renumbered: Vec<Sent> =
        (0..).zip(packets).map(|(sequence, packet)| Sent { sequence, ..packet }).collect();
    let mut receiver = receiver();
    let heard = play(&mut receiver, &renumbered, 600, 0);
    let counters = receiver.counters();
    assert_eq!((counters.lost, counters.concealed_samples), (0, 0));
    assert_clean(&heard, 4, 6);
}

#[test]
fn a_long_loss_fades_and_does_not_drone() {
    let packets = without(plain(6), |number| (100..150).contains(&number));
    let mut receiver = receiver();
    let heard = play(&mut receiver, &packets, 600, 0);
    assert!(effective(&heard.samples[second(2) + second(1) / 4..second(2) + second(1) / 2]) < 1.0);
    assert_eq!(receiver.counters().lost, 50);
    assert_clean(&heard, 4, 6);
}

#[test]
fn after_a_stall_the_delay_is_what_it_was() {
    // Nothing for 1.5 s, then all of it at once.
    let packets =
        delayed(plain(12), |number| (175usize.saturating_sub(number) as u64 * 20) * u64::from(number >= 100));
    let mut receiver = receiver();
    let heard = play(&mut receiver, &packets, 1200, 0);
    println!("{:?}", receiver.counters());
    assert!(heard.delays[400] <= Duration::from_millis(450), "{:?}", heard.delays[400]);
    assert!(heard.delays[1150] <= Duration::from_millis(60), "{:?}", heard.delays[1150]);
    assert!(receiver.counters().skipped > 30);
    assert_clean(&heard, 11, 12);
}

#[test]
fn clocks_apart_are_followed_for_ten_minutes_with_few_corrections() {
    let packets = plain(600);
    for millionths in [-200, 200] {
        let mut receiver = receiver();
        let heard = play(&mut receiver, &packets, 59_900, millionths);
        let counters = receiver.counters();
        let late = heard.delays[500..].iter().max().expect("delays");
        println!(
            "{millionths} millionths: {} corrections, delay up to {late:?}, {} samples concealed",
            counters.corrections, counters.concealed_samples
        );
        assert!(*late <= Duration::from_millis(60));
        assert!((5..=60).contains(&counters.corrections), "{}", counters.corrections);
        assert_eq!(counters.concealed_samples, 0);
        assert_clean(&heard, 1, 598);
    }
}

#[test]
fn a_sender_that_begins_anew_is_heard_again_at_once() {
    let first = plain(3);
    let mut second_run: Vec<Sent> = delayed(plain(3), |_| 3000);
    for (number, packet) in second_run.iter_mut().enumerate() {
        packet.timestamp = 1_000_000_000 + 960 * number as u64;
        packet.sequence = 4_000_000 + number as u64;
    }
    let packets = [first, second_run].concat();
    let mut receiver = receiver();
    let heard = play(&mut receiver, &packets, 600, 0);
    assert_clean(&heard, 4, 6);
    assert_eq!(receiver.counters().lost, 0);
    assert!(heard.delays[550] <= Duration::from_millis(60));
}

#[test]
fn one_packet_from_nowhere_changes_nothing() {
    let mut packets = plain(6);
    let stray = Sent { timestamp: packets[150].timestamp + 100_000_000, ..packets[150].clone() };
    packets.insert(150, stray);
    let mut receiver = receiver();
    let heard = play(&mut receiver, &packets, 600, 0);
    assert_clean(&heard, 1, 6);
    assert_eq!(receiver.counters().concealed_samples, 0);
}

#[test]
fn packets_of_10_ms_are_as_good() {
    let mut receiver = receiver();
    let heard = play(&mut receiver, &short_packets(600), 600, 0);
    assert_clean(&heard, 1, 5);
    assert_eq!(receiver.counters().concealed_samples, 0);
}

#[test]
fn a_device_that_asks_in_bursts_gets_whole_sound() {
    let packets = plain(10);
    let begin = Instant::now();
    let mut receiver = receiver();
    let mut waiting = packets.into_iter().peekable();
    let mut samples = Vec::new();
    let mut concealed = 0;
    for burst in 0..250u64 {
        let now = Duration::from_millis(40 * burst);
        while let Some(packet) = waiting.next_if(|packet| packet.arrives <= now) {
            let Sent { arrives, is_red, sequence, timestamp, payload } = packet;
            let (received, sender_report) = (begin + arrives, None);
            receiver.handle_packet(AudioPacket {
                is_sealed: false,
                is_red,
                sequence,
                timestamp,
                payload,
                received,
                sender_report,
            });
        }
        for _ in 0..4 {
            let mut step = [0; STEREO_STEP];
            let pulled = receiver.pull(begin + now, &mut step);
            concealed += u32::from(burst > 50 && pulled.is_concealed);
            samples.extend(step);
        }
    }
    println!("{:?}", receiver.counters());
    assert_eq!(concealed, 0);
    assert!(roughness(&samples[second(3)..second(10)]) < CLEAN * 1.6);
}

#[test]
fn extra_delay_is_added_and_taken_away_without_a_click() {
    let packets = plain(20);
    let mut receiver = receiver();
    let (first, rest) = packets.split_at(250);
    play(&mut receiver, first, 500, 0);
    let before = receiver.delay();
    receiver.set_extra_delay(Duration::from_secs(9));
    // The rest is another run of the simulation's clock, which begins again.
    let base = rest[0].arrives;
    let rest: Vec<Sent> =
        rest.iter().map(|packet| Sent { arrives: packet.arrives - base, ..packet.clone() }).collect();
    let heard = play(&mut receiver, &rest, 1400, 0);
    let after = heard.delays[1300];
    println!("{before:?}, then {after:?}");
    assert!((200..=260).contains(&after.as_millis()), "200 ms is the most: {after:?}");
    assert!(roughness(&heard.samples[second(2)..second(13)]) < CLEAN * 1.6);
}

#[test]
fn garbage_is_counted_and_dropped() {
    let mut random = Random::new(3);
    let mut receiver = receiver();
    let begin = Instant::now();
    for number in 0..20_000u64 {
        let length = random.below(40) as usize;
        let payload: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();
        let wild = [0, 960 * number, u64::MAX, 1 << 60, random.next(), random.below(1 << 32)];
        let timestamp = wild[random.below(6) as usize];
        let sequence = [0, number, u64::MAX, random.next()][random.below(4) as usize];
        let packet = AudioPacket {
            is_sealed: false,
            is_red: random.below(2) == 0,
            sequence,
            timestamp,
            payload: Arc::from(payload),
            received: begin + Duration::from_millis(random.below(100) + number * 5),
            sender_report: None,
        };
        receiver.handle_packet(packet);
        let mut step = [0; STEREO_STEP];
        receiver.pull(begin + Duration::from_millis(number * 5 + random.below(300)), &mut step);
    }
    assert!(receiver.counters().malformed > 1000);
    // And then it works as ever.
    let heard = play(&mut receiver, &delayed(plain(4), |_| 200_000), 20_400, 0);
    assert_clean(&heard, 202, 203);
}

mod sealed {
    use super::*;
    use crate::media::encryption::Keyring;
    use crate::media::encryption::tests::keyring;

    /// How many packets have sound in them, and how often it was told that the secrets differ.
    fn play(here: &Keyring, there: &Keyring, is_sealed: bool, seconds: usize) -> (u64, usize) {
        let settings = SenderSettings { uses_fec: false, uses_dtx: false, ..SenderSettings::default() };
        let encoder = Box::new(ToyEncoder::new(&settings.encoder()));
        let mut sender = AudioSender::new(&settings, encoder).sealed_with(here);
        let mut receiver = receiver().opened_with(there.clone());
        let mut tone = Tone::new(HERTZ, AMPLITUDE);
        let (begin, mut told) = (Instant::now(), 0);
        for number in 0..100 * seconds as u64 {
            let received = begin + Duration::from_millis(10 * number);
            if let Some(sent) = sender.push(&tone.mono(STEP_SAMPLES)).expect("a step") {
                receiver.handle_packet(AudioPacket {
                    is_red: false,
                    sequence: number,
                    timestamp: u64::from(sent.timestamp),
                    payload: sent.payload,
                    received,
                    sender_report: None,
                    is_sealed,
                });
            }
            told += usize::from(receiver.take_secrets_differ());
            receiver.pull(received, &mut [0; STEREO_STEP]);
        }
        (receiver.counters().received, told)
    }

    #[test]
    fn with_the_same_secret_all_is_heard() {
        let keyring = keyring("a secret of sound");
        assert_eq!(play(&keyring, &keyring, true, 1), (50, 0));
    }

    #[test]
    fn with_another_secret_nothing_is_heard_and_it_is_told_once() {
        assert_eq!(play(&keyring("a secret of sound"), &keyring("another one"), true, 5), (0, 1));
    }

    #[test]
    fn without_a_secret_nothing_is_sent_or_heard() {
        let keyring = keyring("a secret of sound");
        assert_eq!(play(&keyring, &Keyring::default(), true, 5), (0, 0));
        assert_eq!(play(&Keyring::default(), &keyring, true, 1), (0, 0));
    }
}
