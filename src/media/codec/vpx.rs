//! What VP8 and VP9 have in common as encoders: one pass, a constant rate, little delay.

use std::time::Duration;

use super::vpx_sys::{CBR, Config, KEY_FRAMES_ON_REQUEST, Rational};
use super::{CodecError, VideoSettings, check_size};
use crate::media::VIDEO_CLOCK;

/// How much of what the decoder will have buffered the encoder may fill, in milliseconds of video. A conference wants
/// little delay: a second at most, and 600 ms are aimed at.
const BUFFER_MS: u32 = 1000;
const BUFFER_INITIAL_MS: u32 = 500;
const BUFFER_OPTIMAL_MS: u32 = 600;

/// A picture is left out when the buffer is this full, in percent.
const DROP_THRESHOLD_PERCENT: u32 = 30;

/// No key frame but on request: the library has no "never".
const KEY_DISTANCE_MAX: u32 = 1 << 30;

/// Better than this nobody sees, and it costs rate that the next change wants.
const QUANTIZER_MIN: u32 = 2;

/// Every frame can be decoded with the probabilities it brings along, so one that is left out spoils no other
/// (`VPX_ERROR_RESILIENT_DEFAULT`).
const ERROR_RESILIENT: u32 = 1;

pub fn check(settings: &VideoSettings) -> Result<(), CodecError> {
    check_size(settings.width, settings.height)?;
    if !(1..=3).contains(&settings.temporal_layers) {
        return Err(CodecError::Unsuitable(format!("{} temporal layers", settings.temporal_layers)));
    }
    Ok(())
}

pub fn configure(config: &mut Config, settings: &VideoSettings, threads: u32) {
    config.threads = threads;
    config.profile = 0;
    config.width = settings.width;
    config.height = settings.height;
    config.timebase = Rational { numerator: 1, denominator: VIDEO_CLOCK as i32 };
    config.lag_in_frames = 0;
    config.drop_frame_threshold = DROP_THRESHOLD_PERCENT;
    config.resize_allowed = 0; // the caller scales, and makes a new encoder
    config.rate_control = CBR;
    config.quantizer_min = QUANTIZER_MIN;
    config.buffer_ms = BUFFER_MS;
    config.buffer_initial_ms = BUFFER_INITIAL_MS;
    config.buffer_optimal_ms = BUFFER_OPTIMAL_MS;
    config.key_frame_mode = KEY_FRAMES_ON_REQUEST;
    config.key_frame_distance_max = KEY_DISTANCE_MAX;
    let layers = usize::from(settings.temporal_layers);
    config.temporal_layers = layers as u32;
    config.error_resilient = if layers > 1 { ERROR_RESILIENT } else { 0 };
    config.temporal_period = 1 << (layers - 1);
    for layer in 0..layers {
        config.temporal_decimators[layer] = 1 << (layers - 1 - layer);
    }
    set_bitrate(config, settings.bitrate_bps);
}

/// The share of the rate that a layer has together with those below it, in percent. The base has more than its share
/// of pictures, because all others lean on it.
fn shares(layers: u32) -> &'static [u32] {
    match layers {
        2 => &[60, 100],
        3 => &[40, 60, 100],
        _ => &[100],
    }
}

pub fn set_bitrate(config: &mut Config, bitrate_bps: u32) {
    let total_kbps = (bitrate_bps / 1000).max(1);
    config.bitrate_kbps = total_kbps;
    config.spatial_bitrates_kbps[0] = total_kbps;
    for (layer, share) in shares(config.temporal_layers).iter().enumerate() {
        let layer_kbps = (u64::from(total_kbps) * u64::from(*share) / 100).max(1) as u32;
        config.temporal_bitrates_kbps[layer] = layer_kbps;
        config.layer_bitrates_kbps[layer] = layer_kbps;
    }
}

/// How large a key frame may be, in percent of an average picture: half of the buffer that is aimed at, and three
/// pictures at least.
pub fn max_intra_percent(frames_per_second: f32) -> i32 {
    const LEAST: f32 = 300.0;
    let half_buffer_s = BUFFER_OPTIMAL_MS as f32 / 1000.0 / 2.0;
    (half_buffer_s * frames_per_second * 100.0).clamp(LEAST, 10_000.0) as i32
}

/// Moments of pictures in the encoder's time base, growing whatever the caller says.
///
/// libvpx takes the time since the picture before for its share of the rate: after a pause of seconds one picture could have what
/// the network carries in as long. So a pause counts for a few pictures only.
#[derive(Default)]
pub struct Clock {
    before: Option<Duration>,
    last: i64,
}

/// How many pictures' time a pause counts for.
const PAUSE_PICTURES: i64 = 5;

impl Clock {
    /// `ticks`: how long a picture lasts.
    pub fn moment(&mut self, at: Duration, ticks: u32) -> i64 {
        let Some(before) = self.before.replace(at) else { return 0 };
        let passed = at.saturating_sub(before).as_micros() * u128::from(VIDEO_CLOCK) / 1_000_000;
        let passed = i64::try_from(passed).unwrap_or(i64::MAX);
        self.last += passed.clamp(1, PAUSE_PICTURES * i64::from(ticks.max(1)));
        self.last
    }
}

/// Of one picture, in the time base.
pub fn ticks_per_frame(frames_per_second: f32) -> u32 {
    (VIDEO_CLOCK as f32 / frames_per_second.clamp(1.0, 240.0)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_grow_even_when_the_clock_stands() {
        let mut clock = Clock::default();
        let at = Duration::from_secs(1_000_000);
        assert_eq!(clock.moment(at, 3000), 0);
        assert_eq!(clock.moment(at, 3000), 1);
        assert_eq!(clock.moment(at + Duration::from_millis(100), 3000), 9001);
        assert_eq!(clock.moment(at, 3000), 9002);
    }

    #[test]
    fn a_pause_counts_for_a_few_pictures() {
        let mut clock = Clock::default();
        clock.moment(Duration::ZERO, 3000);
        assert_eq!(clock.moment(Duration::from_secs(3600), 3000), 15_000);
        assert_eq!(clock.moment(Duration::from_secs(3601), 90_000), 105_000);
    }

    #[test]
    fn a_key_frame_is_three_pictures_at_least() {
        assert_eq!(max_intra_percent(5.0), 300);
        assert_eq!(max_intra_percent(30.0), 900);
    }
}
