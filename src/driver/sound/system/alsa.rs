//! ALSA, where no sound server is.

use std::time::{Duration, Instant};

use super::alsa_sys::{self, Pcm, Way};
use super::{Direction, Ended, FRAGMENT, Listed, Order, channels, samples};
use crate::media::SAMPLE_RATE;

/// What the system's configuration calls the device of its choice.
const USUAL_DEVICE: &str = "default";

/// What lies ready in the device: hardware is served less often than a sound server.
const LATENCY: Duration = Duration::from_millis(40);

/// How long nothing may happen before it is looked whether all is over.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// A device that is this far ahead of the clock is none (ALSA has some that take everything at once); it is held back.
const AHEAD_MAX: Duration = Duration::from_millis(200);

fn way(direction: Direction) -> Way {
    match direction {
        Direction::Capture => Way::Record,
        Direction::Render => Way::Play,
    }
}

pub fn list(direction: Direction) -> Vec<Listed> {
    let names = alsa_sys::names(way(direction)).into_iter();
    // What ALSA can always throw away is no device.
    names.filter(|(id, _)| id != "null").map(|(id, name)| Listed { id, name }).collect()
}

/// Plays or records until it ends.
pub fn serve(order: &Order, chosen: Option<&str>) -> Ended {
    let Some(choice) = order.choice() else { return Ended::Told };
    let name = chosen.unwrap_or(USUAL_DEVICE);
    let direction = order.direction;
    let pcm = match Pcm::open(name, way(direction), channels(direction), SAMPLE_RATE, LATENCY) {
        None => return Ended::Absent,
        Some(Err(error)) => return Ended::Broken(format!("ALSA's {name}: {error}")),
        Some(Ok(pcm)) => pcm,
    };
    let mut buffer = vec![0; samples(direction, FRAGMENT)];
    let samples_per_second = samples(direction, Duration::from_secs(1)) as u64;
    let mut clock = Instant::now();
    while order.choice() == Some(choice) {
        let served = match direction {
            Direction::Capture => record(order, &pcm, &mut buffer),
            Direction::Render => play(order, choice, &pcm, &mut buffer),
        };
        match served {
            Ok(samples) => clock += Duration::from_micros(samples as u64 * 1_000_000 / samples_per_second),
            Err(error) => return Ended::Broken(error),
        }
        // What it was late is not made up for.
        clock = clock.max(Instant::now());
        if let Some(early) = clock.checked_sub(AHEAD_MAX) {
            order.pause_until(early);
        }
    }
    Ended::Told
}

/// How many samples were recorded.
fn record(order: &Order, pcm: &Pcm, buffer: &mut [i16]) -> Result<usize, String> {
    pcm.wait(LOOK_INTERVAL);
    let read = pcm.read(buffer)?;
    order.ports.bring(|_| &buffer[..read]);
    Ok(read)
}

/// How many samples were played.
fn play(order: &Order, choice: u32, pcm: &Pcm, buffer: &mut [i16]) -> Result<usize, String> {
    order.ports.take(|_| &mut *buffer);
    let mut rest = &buffer[..];
    while !rest.is_empty() && order.choice() == Some(choice) {
        let written = pcm.write(rest)?;
        rest = &rest[written..];
        if written == 0 {
            pcm.wait(LOOK_INTERVAL);
        }
    }
    Ok(buffer.len() - rest.len())
}
