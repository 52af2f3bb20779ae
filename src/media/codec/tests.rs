//! Round trips of a moving picture through each codec.

use std::time::Duration;

use super::*;
use crate::media::Picture;
use moving::MovingPicture;

#[path = "../../../benches/picture.rs"]
pub mod moving;

pub fn settings(width: u32, height: u32) -> VideoSettings {
    VideoSettings {
        width,
        height,
        bitrate_bps: 1_000_000,
        frames_per_second: 30.0,
        is_screen: false,
        threads: 1,
        temporal_layers: 1,
    }
}

pub fn picture(width: u32, height: u32, number: u32) -> Picture {
    Picture::new(width, height, MovingPicture::new(width, height).frame(number)).expect("a picture")
}

pub fn at(number: u32) -> Duration {
    Duration::from_secs(7) + Duration::from_micros(u64::from(number) * 33_333)
}

/// Of luma, in decibels.
pub fn psnr(one: &Picture, other: &Picture) -> f64 {
    assert_eq!((one.width(), one.height()), (other.width(), other.height()));
    let (one, other) = (one.planes()[0], other.planes()[0]);
    let squares: f64 = one.iter().zip(other).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
    10.0 * (255.0 * 255.0 * one.len() as f64 / squares.max(1.0)).log10()
}

/// The codecs that go both ways here. Which are left out is printed.
pub fn both_ways() -> Vec<VideoCodec> {
    let supported = supported();
    let (here, absent): (Vec<_>, Vec<_>) = [VideoCodec::Vp8, VideoCodec::Vp9, VideoCodec::H264]
        .into_iter()
        .partition(|codec| supported.encoders.contains(codec) && supported.decoders.contains(codec));
    for codec in absent {
        eprintln!("skipped: {codec:?}, its library is not here");
    }
    here
}

struct Trip {
    frames: Vec<Option<EncodedFrame>>,
    pictures: Vec<Option<Picture>>,
}

fn trip(codec: VideoCodec, settings: &VideoSettings, count: u32, keys: &[u32]) -> Trip {
    let mut encoder = video_encoder(codec, settings).expect("an encoder");
    let mut decoder = video_decoder(codec).expect("a decoder");
    let mut trip = Trip { frames: Vec::new(), pictures: Vec::new() };
    for number in 0..count {
        let picture = picture(settings.width, settings.height, number);
        let frame = encoder.encode(&picture, at(number), keys.contains(&number)).expect("encoded");
        let decoded = frame.as_ref().and_then(|frame| decoder.decode(&frame.bytes).expect("decoded"));
        trip.frames.push(frame);
        trip.pictures.push(decoded);
    }
    trip
}

#[test]
fn a_moving_picture_comes_through() {
    for codec in both_ways() {
        let trip = trip(codec, &settings(320, 240), 40, &[]);
        let mut shown = 0;
        for (number, decoded) in trip.pictures.iter().enumerate() {
            let Some(decoded) = decoded else { continue };
            shown += 1;
            let quality = psnr(decoded, &picture(320, 240, number as u32));
            assert!(quality > 30.0, "{codec:?} frame {number}: {quality:.1} dB");
        }
        assert!(shown >= 36, "{codec:?}: {shown} of 40");
    }
}

#[test]
fn key_frames_come_first_and_on_request_only() {
    for codec in both_ways() {
        let trip = trip(codec, &settings(320, 240), 60, &[25]);
        let keys: Vec<usize> = (0..60)
            .filter(|number| trip.frames[*number].as_ref().is_some_and(|frame| frame.is_key))
            .collect();
        assert_eq!(keys, [0, 25], "{codec:?}");
    }
}

#[test]
fn a_new_decoder_begins_at_a_requested_key_frame() {
    for codec in both_ways() {
        let trip = trip(codec, &settings(320, 240), 20, &[10]);
        let mut late = video_decoder(codec).expect("a decoder");
        let frames: Vec<_> = trip.frames.iter().flatten().collect();
        let key = frames.iter().rposition(|frame| frame.is_key).expect("a key frame");
        assert!(key > 0);
        assert_eq!(late.decode(&frames[1].bytes).err(), Some(CodecError::Malformed), "{codec:?}");
        assert!(late.decode(&frames[key].bytes).expect("a key frame").is_some(), "{codec:?}");
        assert!(late.decode(&frames[key + 1].bytes).expect("its follower").is_some(), "{codec:?}");
    }
}

#[test]
fn a_change_of_rate_takes_effect() {
    for codec in both_ways() {
        let mut encoder = video_encoder(codec, &settings(320, 240)).expect("an encoder");
        let rate_of = |encoder: &mut Box<dyn VideoEncoder>, range: std::ops::Range<u32>| {
            let seconds = range.len() as f64 / 30.0;
            let bytes: usize = range
                .filter_map(|number| {
                    encoder.encode(&picture(320, 240, number), at(number), false).expect("encoded")
                })
                .map(|frame| frame.bytes.len())
                .sum();
            bytes as f64 * 8.0 / seconds
        };
        rate_of(&mut encoder, 0..60);
        let high = rate_of(&mut encoder, 60..120);
        encoder.set_rate(250_000, 30.0);
        rate_of(&mut encoder, 120..150);
        let low = rate_of(&mut encoder, 150..240);
        assert!((700_000.0..1_300_000.0).contains(&high), "{codec:?}: {high:.0} of 1,000,000");
        assert!((150_000.0..350_000.0).contains(&low), "{codec:?}: {low:.0} of 250,000");
    }
}

#[test]
fn a_decoder_follows_a_change_of_size() {
    for codec in both_ways() {
        let mut decoder = video_decoder(codec).expect("a decoder");
        for (width, height) in [(320, 240), (640, 480), (160, 90), (1920, 1080), (64, 64)] {
            let mut encoder = video_encoder(codec, &settings(width, height)).expect("an encoder");
            for number in 0..2 {
                let original = picture(width, height, number);
                let frame = encoder.encode(&original, at(number), false).expect("encoded");
                let Some(frame) = frame else { continue };
                let decoded = decoder.decode(&frame.bytes).expect("decoded").expect("a picture");
                assert_eq!((decoded.width(), decoded.height()), (width, height), "{codec:?}");
            }
        }
    }
}

#[test]
fn odd_sizes_are_encoded() {
    for codec in both_ways() {
        for (width, height) in [(319, 241), (17, 33), (161, 91)] {
            let decoded =
                trip(codec, &settings(width, height), 1, &[]).pictures.remove(0).expect("a picture");
            let is_exact = codec != VideoCodec::H264; // whose chroma has whole samples only
            let expected = if is_exact { (width, height) } else { (width & !1, height & !1) };
            assert_eq!((decoded.width(), decoded.height()), expected, "{codec:?}");
        }
    }
}

#[test]
fn screens_and_threads_make_good_pictures_too() {
    for codec in both_ways() {
        let settings =
            VideoSettings { is_screen: true, threads: 4, bitrate_bps: 4_000_000, ..settings(1280, 720) };
        let trip = trip(codec, &settings, 4, &[]);
        let last = trip.pictures.iter().rposition(Option::is_some).expect("a picture");
        let quality = psnr(trip.pictures[last].as_ref().expect("found"), &picture(1280, 720, last as u32));
        assert!(quality > 28.0, "{codec:?}: {quality:.1} dB");
    }
}

#[test]
fn unsuitable_settings_and_pictures_are_refused() {
    for codec in both_ways() {
        for (width, height) in [(0, 240), (16_384, 16), (16_383, 16_383)] {
            assert!(video_encoder(codec, &settings(width, height)).is_err(), "{codec:?} {width}x{height}");
        }
        let layers = VideoSettings { temporal_layers: 4, ..settings(320, 240) };
        assert!(matches!(video_encoder(codec, &layers), Err(CodecError::Unsuitable(_))), "{codec:?}");
        let mut encoder = video_encoder(codec, &settings(320, 240)).expect("an encoder");
        let other = encoder.encode(&picture(160, 120, 0), at(0), false);
        assert!(matches!(other, Err(CodecError::Unsuitable(_))), "{codec:?}: {other:?}");
    }
}

#[test]
fn vp8_is_seen_without_the_library() {
    let Ok(mut encoder) = video_encoder(VideoCodec::Vp8, &settings(320, 240)) else {
        eprintln!("skipped: libvpx is not here");
        return;
    };
    let (mut with, mut without) = (video_decoder(VideoCodec::Vp8).expect("a decoder"), vp8::decoder(None));
    for number in 0..10 {
        let frame = encoder.encode(&picture(320, 240, number), at(number), false).expect("encoded");
        let Some(frame) = frame else { continue };
        let one = with.decode(&frame.bytes).expect("decoded").expect("a picture");
        let other = without.decode(&frame.bytes).expect("decoded").expect("a picture");
        assert!(one.pixels() == other.pixels(), "frame {number}: VP8 leaves nothing to the decoder's taste");
    }
}

#[test]
fn without_libraries_codecs_are_missing() {
    let settings = settings(320, 240);
    assert_eq!(video_encoder(VideoCodec::Av1, &settings).err(), Some(CodecError::Missing(VideoCodec::Av1)));
    assert_eq!(vp9::encoder(None, &settings).err(), Some(CodecError::Missing(VideoCodec::Vp9)));
    assert_eq!(vp9::decoder(None).err(), Some(CodecError::Missing(VideoCodec::Vp9)));
    assert_eq!(av1::decoder(None).err(), Some(CodecError::Missing(VideoCodec::Av1)));
}

#[test]
fn what_is_supported_can_be_made() {
    let supported = supported();
    assert!(supported.decoders.contains(&VideoCodec::Vp8), "that one is always there");
    for codec in [VideoCodec::Vp8, VideoCodec::Vp9, VideoCodec::H264, VideoCodec::Av1] {
        let can_encode = video_encoder(codec, &settings(320, 240)).is_ok();
        assert_eq!(supported.encoders.contains(&codec), can_encode, "{codec:?}");
        assert_eq!(supported.decoders.contains(&codec), video_decoder(codec).is_ok(), "{codec:?}");
    }
}
