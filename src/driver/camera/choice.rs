//! Which of the things that a camera can do.

use super::device::{Code, Mode, Wanted};
use crate::media::pixels::PixelFormat;

/// What we can make pictures of, the dearest last: the less there is to carry and to convert, the better, and a JPEG
/// has lost something already. (Infrared cameras of laptops have grey only: they are not here.)
const FORMATS: [(Code, PixelFormat); 12] = [
    (*b"NV12", PixelFormat::Nv12),
    (*b"YU12", PixelFormat::Yuv420p),
    (*b"NV21", PixelFormat::Nv21),
    (*b"YUYV", PixelFormat::Yuy2),
    (*b"UYVY", PixelFormat::Uyvy),
    (*b"RGB3", PixelFormat::Rgb24),
    (*b"XR24", PixelFormat::Argb32),
    (*b"AR24", PixelFormat::Argb32),
    (*b"XB24", PixelFormat::Abgr32),
    (*b"AB24", PixelFormat::Abgr32),
    (*b"MJPG", PixelFormat::Mjpeg),
    (*b"JPEG", PixelFormat::Mjpeg),
];

/// `None`: we cannot read it.
pub fn pixel_format(code: Code) -> Option<PixelFormat> {
    FORMATS.iter().find(|(known, _)| *known == code).map(|(_, format)| *format)
}

/// The best of them. The size counts most, then the rate, then the format: a JPEG is taken where nothing else has the size
/// at the rate. `None`: there is none that we can read.
pub fn choose(modes: &[Mode], wanted: &Wanted) -> Option<Mode> {
    let readable = modes.iter().filter_map(|mode| Some((cost(mode, wanted)?, mode)));
    readable.min_by_key(|(cost, _)| *cost).map(|(_, mode)| *mode)
}

/// Compared from left to right.
#[derive(PartialEq, Eq, PartialOrd, Ord, Clone, Copy)]
struct Cost {
    off_size: u64,
    /// Of two that are equally far off, the larger: what is there can be thrown away.
    is_smaller: bool,
    frames_missing: u32,
    format: usize,
    frames_too_many: u32,
}

fn cost(mode: &Mode, wanted: &Wanted) -> Option<Cost> {
    let format = FORMATS.iter().position(|(code, _)| *code == mode.code)?;
    if mode.width == 0 || mode.height == 0 {
        return None;
    }
    let rate = mode.frames_per_second.unwrap_or(wanted.frames_per_second);
    Some(Cost {
        off_size: u64::from(mode.width.abs_diff(wanted.width))
            + u64::from(mode.height.abs_diff(wanted.height)),
        is_smaller: mode.width < wanted.width || mode.height < wanted.height,
        frames_missing: wanted.frames_per_second.saturating_sub(rate),
        format,
        frames_too_many: rate.saturating_sub(wanted.frames_per_second),
    })
}

/// The size closest to the wanted one, of those from `least` to `most` that are whole steps from `least`.
pub fn nearest(least: u32, most: u32, step: u32, wanted: u32) -> u32 {
    let most = most.max(least);
    let above = u64::from(wanted.clamp(least, most) - least);
    let step = u64::from(step.max(1));
    let steps = ((above + step / 2) / step).min(u64::from(most - least) / step);
    least + (steps * step) as u32 // at most `most`
}

/// Pictures in a second, where one takes so much of a second. `None` where that says nothing.
pub fn frames_per_second(numerator: u32, denominator: u32) -> Option<u32> {
    let (numerator, denominator) = (u64::from(numerator), u64::from(denominator));
    let rate = (denominator + numerator / 2).checked_div(numerator)?;
    u32::try_from(rate.max(1)).ok().filter(|_| denominator > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Offer = (&'static [u8; 4], u32, u32, u32);

    /// A usual one: raw only as fast as its cable allows.
    const WEBCAM: [Offer; 9] = [
        (b"YUYV", 640, 480, 30),
        (b"YUYV", 640, 480, 15),
        (b"YUYV", 1280, 720, 10),
        (b"YUYV", 1920, 1080, 5),
        (b"MJPG", 640, 480, 30),
        (b"MJPG", 1280, 720, 60),
        (b"MJPG", 1280, 720, 30),
        (b"MJPG", 1920, 1080, 30),
        (b"H264", 1920, 1080, 30),
    ];

    fn chosen(offers: &[Offer], (width, height): (u32, u32)) -> Option<Offer> {
        let modes: Vec<Mode> = offers
            .iter()
            .map(|(code, width, height, rate)| Mode {
                code: **code,
                width: *width,
                height: *height,
                frames_per_second: (*rate > 0).then_some(*rate),
            })
            .collect();
        let mode = choose(&modes, &Wanted { width, height, frames_per_second: 30 })?;
        let place = modes.iter().position(|other| *other == mode).expect("one of them");
        Some(offers[place])
    }

    #[test]
    fn raw_where_it_is_fast_enough_and_a_jpeg_where_it_is_not() {
        assert_eq!(chosen(&WEBCAM, (640, 480)), Some((b"YUYV", 640, 480, 30)));
        assert_eq!(chosen(&WEBCAM, (1280, 720)), Some((b"MJPG", 1280, 720, 30)));
        assert_eq!(chosen(&WEBCAM, (1920, 1080)), Some((b"MJPG", 1920, 1080, 30)));
        assert_eq!(chosen(&WEBCAM[..4], (1280, 720)), Some((b"YUYV", 1280, 720, 10)), "there is no other");
    }

    #[test]
    fn of_raw_formats_the_lightest() {
        let offers: Vec<Offer> = [b"MJPG", b"RGB3", b"UYVY", b"YUYV", b"YU12", b"NV12"]
            .into_iter()
            .map(|code| (code, 640, 480, 30))
            .collect();
        for count in (1..=offers.len()).rev() {
            assert_eq!(chosen(&offers[..count], (640, 480)), Some(offers[count - 1]));
        }
    }

    #[test]
    fn the_closest_size_where_the_wanted_one_is_missing() {
        assert_eq!(chosen(&WEBCAM, (320, 240)), Some((b"YUYV", 640, 480, 30)));
        let around = [(b"YUYV", 600, 460, 30), (b"YUYV", 680, 500, 30), (b"YUYV", 160, 120, 30)];
        assert_eq!(chosen(&around, (640, 480)), Some((b"YUYV", 680, 500, 30)), "rather the larger one");
    }

    #[test]
    fn the_rate_that_is_closest_and_enough() {
        let rates = [(b"NV12", 640, 480, 60), (b"NV12", 640, 480, 30), (b"NV12", 640, 480, 25)];
        assert_eq!(chosen(&rates, (640, 480)), Some(rates[1]));
        let untold = [(b"NV12", 640, 480, 25), (b"YUYV", 640, 480, 0)];
        assert_eq!(chosen(&untold, (640, 480)), Some(untold[1]), "who says nothing gets the benefit of it");
    }

    #[test]
    fn what_cannot_be_read_is_not_chosen() {
        assert_eq!(chosen(&[(b"GREY", 640, 480, 30), (b"H264", 640, 480, 30)], (640, 480)), None);
        assert_eq!(chosen(&[(b"NV12", 0, 480, 30)], (640, 480)), None);
    }

    #[test]
    fn steps_end_where_the_range_does() {
        let cases = [
            ((16, 1920, 16, 640), 640),
            ((16, 1920, 16, 650), 656),
            ((16, 1000, 16, 4000), 992),
            ((320, 1920, 1, 16), 320),
            ((2, 4096, 0, 641), 641),
            ((9, 3, 5, 100), 9),
            ((0, u32::MAX, u32::MAX, u32::MAX), u32::MAX),
        ];
        for ((least, most, step, wanted), size) in cases {
            assert_eq!(nearest(least, most, step, wanted), size, "{least}..{most} by {step}, {wanted}");
        }
    }

    #[test]
    fn the_rate_of_a_picture_that_takes_a_part_of_a_second() {
        let cases = [((1, 30), 30), ((1001, 30_000), 30), ((2, 15), 8), ((3, 1), 1)];
        for ((numerator, denominator), rate) in cases {
            assert_eq!(frames_per_second(numerator, denominator), Some(rate));
        }
        for (numerator, denominator) in [(0, 30), (1, 0), (0, 0)] {
            assert_eq!(frames_per_second(numerator, denominator), None);
        }
    }
}
