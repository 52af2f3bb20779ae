//! Which layers a picture is sent in, and how large a bit rate each is worth.
//!
//! Sizes, rates and names are those of LiveKit's own clients, so that a server's choice between layers meets the same
//! steps whoever publishes. One difference: the lower layers are exact halves and quarters, which cost a fraction of
//! other ratios.

/// More are not named.
pub const LAYERS_MAX: usize = 3;

/// Lowest first: a quarter, a half, full size. A picture with fewer layers begins at the first name too; servers take
/// the first for the lowest.
const NAMES: [&str; LAYERS_MAX] = ["q", "h", "f"];

/// The longer side from which a picture has this many layers.
const THREE_LAYERS_FROM: u32 = 960;
const TWO_LAYERS_FROM: u32 = 480;

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LayerPlan {
    pub name: &'static str,
    pub width: u32,
    pub height: u32,
    pub bitrate_bps: u32,
    pub frames_per_second: f32,
}

/// The longer side up to which it holds, bits per second, frames per second.
type Step = (u32, u32, f32);

/// Cameras, about 16:9.
const WIDE: &[Step] = &[
    (160, 90_000, 20.0),
    (320, 160_000, 20.0),
    (384, 180_000, 20.0),
    (640, 450_000, 20.0),
    (960, 800_000, 25.0),
    (1280, 1_700_000, 30.0),
    (1920, 3_000_000, 30.0),
    (2560, 5_000_000, 30.0),
    (3840, 8_000_000, 30.0),
];

/// Cameras, about 4:3.
const NARROW: &[Step] = &[
    (160, 70_000, 20.0),
    (240, 125_000, 20.0),
    (320, 140_000, 20.0),
    (480, 330_000, 20.0),
    (640, 500_000, 20.0),
    (720, 600_000, 25.0),
    (960, 1_300_000, 30.0),
    (1440, 2_300_000, 30.0),
    (1920, 3_800_000, 30.0),
];

const SCREEN: &[Step] =
    &[(640, 400_000, 15.0), (1280, 1_500_000, 15.0), (1920, 2_500_000, 15.0), (3840, 7_000_000, 30.0)];

/// A screen's lower layer is half as large and this slow.
const SCREEN_LOW_FRAMES_PER_SECOND: f32 = 3.0;
const SCREEN_LOW_BITRATE_MIN: u32 = 150_000;

/// The only or highest layer of a camera is as smooth as what comes in, up to here.
const CAMERA_FRAMES_PER_SECOND: f32 = 30.0;

/// The layers a picture of this size is sent in, lowest first; `limit` is for all of them together. Never empty.
pub fn plan_layers(
    width: u32,
    height: u32,
    is_screen: bool,
    wants_simulcast: bool,
    limit: Option<u32>,
) -> Vec<LayerPlan> {
    plan(width, height, is_screen, if wants_simulcast { LAYERS_MAX } else { 1 }, limit)
}

/// The same with at most `layers_max` layers: as many as were agreed on.
pub(super) fn plan(
    width: u32,
    height: u32,
    is_screen: bool,
    layers_max: usize,
    limit: Option<u32>,
) -> Vec<LayerPlan> {
    let longer = width.max(height);
    let count = match longer {
        _ if is_screen => 2,
        THREE_LAYERS_FROM.. => 3,
        TWO_LAYERS_FROM.. => 2,
        _ => 1,
    };
    let count = count.clamp(1, layers_max.clamp(1, LAYERS_MAX));
    let full = worth(width, height, is_screen);
    let layer = |(index, name): (usize, &'static str)| {
        let halvings = count - 1 - index;
        let (width, height) = halved(width, height, halvings);
        let (bitrate_bps, frames_per_second) = match (halvings, is_screen) {
            (0, _) => full,
            (_, true) => {
                // A quarter of the pixels, and fewer pictures.
                let rate = full.0 as f32 / 4.0 * SCREEN_LOW_FRAMES_PER_SECOND / full.1;
                ((rate as u32).max(SCREEN_LOW_BITRATE_MIN), SCREEN_LOW_FRAMES_PER_SECOND)
            }
            (_, false) => worth(width, height, false),
        };
        let bitrate_bps = bitrate_bps.min(limit.unwrap_or(u32::MAX));
        let frames_per_second =
            if halvings == 0 && !is_screen { CAMERA_FRAMES_PER_SECOND } else { frames_per_second };
        LayerPlan { name, width, height, bitrate_bps, frames_per_second }
    };
    NAMES.into_iter().take(count).enumerate().map(layer).collect()
}

/// Bits and frames per second.
pub(super) fn worth(width: u32, height: u32, is_screen: bool) -> (u32, f32) {
    let (longer, shorter) = (width.max(height), width.min(height).max(1));
    let aspect = longer as f32 / shorter as f32;
    let is_wide = (aspect - 16.0 / 9.0).abs() < (aspect - 4.0 / 3.0).abs();
    let steps = match (is_screen, is_wide) {
        (true, _) => SCREEN,
        (_, true) => WIDE,
        (_, false) => NARROW,
    };
    let step = steps.iter().find(|(up_to, ..)| longer <= *up_to).or(steps.last());
    step.map_or((0, 0.0), |(_, bitrate, frames)| (*bitrate, *frames))
}

/// Even numbers, as halves of colour planes want them; full size as it is.
pub(super) fn halved(width: u32, height: u32, halvings: usize) -> (u32, u32) {
    let half = |size: u32| match halvings {
        0 => size,
        _ => ((size >> halvings) & !1).max(2),
    };
    (half(width), half(height))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(width: u32, height: u32, is_screen: bool) -> Vec<(&'static str, u32, u32)> {
        let layers = plan_layers(width, height, is_screen, true, None);
        layers.iter().map(|layer| (layer.name, layer.width, layer.height)).collect()
    }

    #[test]
    fn a_large_camera_has_three_layers_a_small_one_fewer() {
        assert_eq!(sizes(1280, 720, false), [("q", 320, 180), ("h", 640, 360), ("f", 1280, 720)]);
        assert_eq!(sizes(640, 480, false), [("q", 320, 240), ("h", 640, 480)]);
        assert_eq!(sizes(320, 240, false), [("q", 320, 240)]);
        assert_eq!(sizes(720, 1280, false)[0], ("q", 180, 320), "upright pictures as well");
    }

    #[test]
    fn a_screen_has_a_slow_half() {
        let layers = plan_layers(1920, 1080, true, true, None);
        assert_eq!(layers.len(), 2);
        assert_eq!((layers[0].width, layers[0].frames_per_second), (960, 3.0));
        assert_eq!(layers[0].bitrate_bps, 150_000);
    }

    #[test]
    fn rates_are_those_of_livekits_clients() {
        let rates = |width, height| {
            let layers = plan_layers(width, height, false, true, None);
            layers.iter().map(|layer| layer.bitrate_bps).collect::<Vec<_>>()
        };
        assert_eq!(rates(1280, 720), [160_000, 450_000, 1_700_000]);
        assert_eq!(rates(640, 480), [140_000, 500_000]);
    }

    #[test]
    fn any_size_has_a_plan() {
        for (width, height) in [(1, 1), (1, 16_383), (16_383, 16_383), (961, 3)] {
            for layer in plan_layers(width, height, false, true, None) {
                assert!(layer.width > 0 && layer.height > 0 && layer.bitrate_bps > 0, "{layer:?}");
            }
        }
    }

    #[test]
    fn as_many_layers_as_were_agreed_on_the_highest_is_the_picture() {
        let layers = plan(1280, 720, false, 2, None);
        assert_eq!(layers.len(), 2);
        assert_eq!((layers[1].name, layers[1].width), ("h", 1280));
    }
}
