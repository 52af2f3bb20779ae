//! What a forwarder reads in payloads of all codecs: where a picture begins that needs no other, and the newest block
//! of redundant audio.

use super::vp8::Descriptor;
use crate::rtc::Codec;

/// H.264's kinds of units (ITU-T H.264, table 7-1, and RFC 6184, table 1).
const H264_IDR: u8 = 5;
const H264_SPS: u8 = 7;
const H264_STAP_A: u8 = 24;
const H264_FU_A: u8 = 28;

/// Whether a decoder can begin with this packet.
pub fn begins_key_frame(codec: Codec, payload: &[u8]) -> bool {
    match codec {
        Codec::Vp8 => Descriptor::read(payload).is_some_and(|found| found.is_key),
        Codec::Vp9 => vp9_begins_key(payload).unwrap_or(false),
        Codec::H264 => h264_begins_key(payload).unwrap_or(false),
        // The bit N of the aggregation header: a coded video sequence begins.
        Codec::Av1 => payload.first().is_some_and(|first| first & 0x08 != 0),
        // Every packet of sound can be decoded by itself.
        Codec::Opus | Codec::Red => true,
    }
}

/// RFC 9628, 4.2: the picture predicts from no other (P is 0), its first spatial layer begins (B is 1).
fn vp9_begins_key(payload: &[u8]) -> Option<bool> {
    let first = *payload.first()?;
    let mut at = 1;
    if first & 0x80 != 0 {
        at += if payload.get(at)? & 0x80 != 0 { 2 } else { 1 };
    }
    let spatial = if first & 0x20 != 0 { payload.get(at)? >> 1 & 0x07 } else { 0 };
    Some(first & 0x40 == 0 && first & 0x08 != 0 && spatial == 0)
}

fn h264_begins_key(payload: &[u8]) -> Option<bool> {
    let is_key = |byte: u8| matches!(byte & 0x1f, H264_IDR | H264_SPS);
    match payload.first()? & 0x1f {
        H264_STAP_A => {
            let mut rest = payload.get(1..)?;
            while let Some((size, units)) = rest.split_first_chunk::<2>() {
                if units.first().is_some_and(|unit| is_key(*unit)) {
                    return Some(true);
                }
                rest = units.get(usize::from(u16::from_be_bytes(*size))..)?;
            }
            Some(false)
        }
        H264_FU_A => {
            let header = *payload.get(1)?;
            Some(header & 0x80 != 0 && is_key(header))
        }
        _ => Some(is_key(*payload.first()?)),
    }
}

/// The newest block of a redundant payload (RFC 2198): what it would carry without redundancy.
pub fn red_primary(payload: &[u8]) -> Option<&[u8]> {
    let mut at = 0;
    let mut redundant = 0;
    while payload.get(at)? & 0x80 != 0 {
        let length = u16::from_be_bytes([payload.get(at + 2)? & 0x03, *payload.get(at + 3)?]);
        redundant += usize::from(length);
        at += 4;
    }
    payload.get(at + 1 + redundant..).filter(|primary| !primary.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn key_frames_are_recognised_in_every_codec() {
        let cases: [(Codec, &[u8], bool); 14] = [
            (Codec::Vp8, &[0x10, 0x00], true),
            (Codec::Vp8, &[0x10, 0x01], false),
            (Codec::Vp9, &[0x8c, 0x81, 0x00, 0x00], true),
            (Codec::Vp9, &[0xcc, 0x81, 0x00, 0x00], false),
            (Codec::Vp9, &[0xac, 0x01, 0x02, 0x00], false),
            (Codec::H264, &[0x65, 0x00], true),
            (Codec::H264, &[0x67, 0x00], true),
            (Codec::H264, &[0x61, 0x00], false),
            (Codec::H264, &[0x78, 0x00, 0x01, 0x09, 0x00, 0x01, 0x67], true),
            (Codec::H264, &[0x7c, 0x85], true),
            (Codec::H264, &[0x7c, 0x05], false),
            (Codec::Av1, &[0x18, 0x0a], true),
            (Codec::Av1, &[0x10, 0x0a], false),
            (Codec::Opus, &[], true),
        ];
        for (codec, payload, is_key) in cases {
            assert_eq!(begins_key_frame(codec, payload), is_key, "{codec:?} {payload:02x?}");
        }
    }

    #[test]
    fn redundant_audio_gives_up_its_newest_block() {
        let one = [0x80 | 111, 0x00, 0x00, 0x03, 111, b'o', b'l', b'd', b'n', b'e', b'w'];
        assert_eq!(red_primary(&one), Some(b"new".as_slice()));
        assert_eq!(red_primary(&[111, 1, 2]), Some([1, 2].as_slice()));
        for broken in [&[][..], &[0xff], &[0xff, 0, 0, 9, 111, 1], &[111]] {
            assert_eq!(red_primary(broken), None, "{broken:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            for codec in [Codec::Vp8, Codec::Vp9, Codec::H264, Codec::Av1, Codec::Opus, Codec::Red] {
                begins_key_frame(codec, &bytes);
            }
            red_primary(&bytes);
        }
    }
}
