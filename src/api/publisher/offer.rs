//! The codecs that a publisher offers.

use crate::media::VideoCodec;

/// What a publisher offers, in this order: what the program prefers, then VP8, which goes everywhere. A machine without it
/// sends what it can.
pub(super) fn codecs(preferred: &[VideoCodec], supported: &[VideoCodec]) -> Vec<VideoCodec> {
    let mut codecs: Vec<VideoCodec> = Vec::new();
    for codec in preferred.iter().chain(&[VideoCodec::Vp8, VideoCodec::H264, VideoCodec::Vp9]) {
        if supported.contains(codec) && !codecs.contains(codec) {
            codecs.push(*codec);
        }
    }
    if codecs.is_empty() { vec![VideoCodec::Vp8] } else { codecs }
}

#[cfg(test)]
mod tests {
    use super::*;
    use VideoCodec::{Av1, H264, Vp8, Vp9};

    #[test]
    fn what_is_preferred_comes_first_and_vp8_follows() {
        let machine = [Vp8, Vp9, H264];
        assert_eq!(codecs(&[], &machine), [Vp8, H264, Vp9]);
        assert_eq!(codecs(&[Vp9], &machine), [Vp9, Vp8, H264]);
        assert_eq!(codecs(&[H264, Vp9, H264], &machine), [H264, Vp9, Vp8]);
    }

    #[test]
    fn what_the_machine_cannot_is_passed_over() {
        assert_eq!(codecs(&[Av1, H264, Vp9], &[Vp8, Vp9]), [Vp9, Vp8]);
        assert_eq!(codecs(&[Vp9], &[]), [Vp8], "a publisher offers something, and says later that it cannot");
    }
}
