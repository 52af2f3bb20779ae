//! Makes sound a little shorter or longer without a click and without another pitch.
//!
//! A piece as long as a period of the sound is taken out or put in, with a soft passage where the ends meet: overlap and
//! add at the lag where the sound is most like itself. The lags are those of a voice, 65 to 400 Hz, and of any music that has
//! a multiple of its period among them.

/// The shortest and the longest piece, in frames: 2.5 and 15 ms.
const LAG_MIN: usize = 120;
pub const LAG_MAX: usize = 720;

/// What [`shorten`] needs to look at.
pub const SHORTEN_FRAMES: usize = 2 * LAG_MAX;

/// How much of the sound is compared: 10 ms.
const WINDOW: usize = 480;

/// The search is done first at a fourth of the rate.
const COARSE: usize = 4;

/// How like itself the sound must be. Less is heard as roughness.
const LIKENESS_MIN: f32 = 0.75;
/// When the delay is far off: roughness is better than a hole.
const LIKENESS_MIN_URGENT: f32 = 0.25;

/// Below this mean square nothing is heard, and so nothing of the cut: about −66 dB.
const SILENCE: f32 = 16.0 * 16.0;

/// Takes a piece out of the beginning of `samples` (stereo). Gives its frames, 0 when no place for it was found.
pub fn shorten(samples: &mut Vec<i16>, is_urgent: bool) -> usize {
    if samples.len() < 2 * SHORTEN_FRAMES {
        return 0;
    }
    let sound = mono(&samples[..2 * SHORTEN_FRAMES]);
    let compare = |lag: usize, step: usize| likeness(&sound, &sound[lag..], WINDOW, step);
    let Some(lag) = search(LAG_MAX, is_urgent, compare) else { return 0 };
    for frame in 0..lag {
        for channel in 0..2 {
            let at = 2 * frame + channel;
            samples[at] = blend(samples[at], samples[at + 2 * lag], frame, lag);
        }
    }
    samples.drain(2 * lag..4 * lag);
    lag
}

/// Puts a piece before the beginning of `samples` (stereo), made of it and of what was heard before (`history`). Gives its
/// frames, 0 when nothing fits.
pub fn lengthen(history: &[i16], samples: &mut Vec<i16>, is_urgent: bool) -> usize {
    let lag_max = LAG_MAX.min(samples.len() / 2).min(history.len() / 2);
    if lag_max < LAG_MIN {
        return 0;
    }
    let before = mono(&history[history.len() - 2 * lag_max..]);
    let after = mono(&samples[..2 * lag_max]);
    let compare =
        |lag: usize, step: usize| likeness(&before[before.len() - lag..], &after, WINDOW.min(lag), step);
    let Some(lag) = search(lag_max, is_urgent, compare) else { return 0 };
    let old = &history[history.len() - 2 * lag..];
    // It begins as what comes next, so it continues what was heard; it ends as what was heard, which what comes next continues.
    let piece: Vec<i16> = (0..2 * lag).map(|at| blend(samples[at], old[at], at / 2, lag)).collect();
    samples.splice(0..0, piece);
    lag
}

/// From the first to the second over `length` frames.
fn blend(first: i16, second: i16, frame: usize, length: usize) -> i16 {
    #[allow(clippy::cast_precision_loss)] // a few hundred
    let part = frame as f32 / length as f32;
    let value = f32::from(first) * (1.0 - part) + f32::from(second) * part;
    #[allow(clippy::cast_possible_truncation)] // between two i16
    let value = value.round() as i16;
    value
}

fn mono(samples: &[i16]) -> Vec<f32> {
    samples.chunks_exact(2).map(|frame| (f32::from(frame[0]) + f32::from(frame[1])) * 0.5).collect()
}

/// The lag with the greatest likeness, if that is great enough.
fn search(lag_max: usize, is_urgent: bool, compare: impl Fn(usize, usize) -> f32) -> Option<usize> {
    let best = |lags: &mut dyn Iterator<Item = usize>, step: usize| {
        lags.map(|lag| (lag, compare(lag, step))).max_by(|one, other| one.1.total_cmp(&other.1))
    };
    let (coarse, _) = best(&mut (LAG_MIN..=lag_max).step_by(COARSE), COARSE)?;
    let nearby = coarse.saturating_sub(COARSE).max(LAG_MIN)..=(coarse + COARSE).min(lag_max);
    let (lag, found) = best(&mut nearby.clone(), 1)?;
    let wanted = if is_urgent { LIKENESS_MIN_URGENT } else { LIKENESS_MIN };
    (found >= wanted).then_some(lag)
}

/// The normalised correlation, −1 to 1; silence is like silence. Looks at every `step`th frame.
fn likeness(one: &[f32], other: &[f32], window: usize, step: usize) -> f32 {
    let (mut both, mut first, mut second, mut count) = (0.0f32, 0.0f32, 0.0f32, 0.0f32);
    for (a, b) in one.iter().zip(other).take(window).step_by(step) {
        both += a * b;
        first += a * a;
        second += b * b;
        count += 1.0;
    }
    if first.max(second) <= SILENCE * count {
        return 1.0;
    }
    both / (first * second).sqrt().max(1.0)
}

#[cfg(test)]
mod tests {
    use super::super::simulation::{Tone, roughness};
    use super::*;

    #[test]
    fn a_tone_gets_shorter_without_a_click() {
        for hertz in [90.0, 150.0, 220.0, 440.0, 1000.0, 3000.0] {
            let mut samples = Tone::new(hertz, 12_000.0).stereo(4800);
            let before = roughness(&samples);
            let frames = shorten(&mut samples, false);
            assert!((LAG_MIN..=LAG_MAX).contains(&frames), "{hertz} Hz: {frames}");
            assert_eq!(samples.len(), 2 * (4800 - frames));
            let after = roughness(&samples);
            assert!(after < before * 1.3 + 16.0, "{hertz} Hz: {before} became {after}");
        }
    }

    #[test]
    fn a_tone_gets_longer_without_a_click() {
        for hertz in [90.0, 150.0, 220.0, 440.0, 1000.0, 3000.0] {
            let whole = Tone::new(hertz, 12_000.0).stereo(4800);
            let (history, rest) = whole.split_at(2 * 2000);
            let mut rest = rest.to_vec();
            let frames = lengthen(history, &mut rest, false);
            assert!((LAG_MIN..=LAG_MAX).contains(&frames), "{hertz} Hz: {frames}");
            let joined = [history, &rest[..]].concat();
            assert_eq!(joined.len(), whole.len() + 2 * frames);
            let (before, after) = (roughness(&whole), roughness(&joined));
            assert!(after < before * 1.3 + 16.0, "{hertz} Hz: {before} became {after}");
        }
    }

    #[test]
    fn noise_is_left_alone_unless_it_must_be() {
        let mut random = super::super::simulation::Random::new(7);
        let mut noise: Vec<i16> = (0..2 * 4800).map(|_| random.sample()).collect();
        assert_eq!(shorten(&mut noise, false), 0);
        assert_eq!(noise.len(), 2 * 4800);
    }

    #[test]
    fn too_little_sound_is_left_alone() {
        let mut samples = vec![0; 100];
        assert_eq!(shorten(&mut samples, true), 0);
        assert_eq!(lengthen(&[0; 100], &mut samples, true), 0);
        assert_eq!(lengthen(&[], &mut Vec::new(), true), 0);
    }
}
