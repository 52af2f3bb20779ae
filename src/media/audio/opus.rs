//! What an Opus packet says of itself, without decoding it (RFC 6716 section 3.1).

/// The longest packet that RFC 6716 allows: 120 ms.
pub const PACKET_SAMPLES_MAX: usize = 5760;

/// A packet this short holds no sound; encoders make it to say that they pause.
pub const PAUSE_BYTES_MAX: usize = 2;

/// Samples per channel at 48 kHz. `None`: this is no Opus packet.
pub fn samples(packet: &[u8]) -> Option<usize> {
    let first = *packet.first()?;
    let configuration = first >> 3;
    let step = usize::from(configuration & 3);
    let frame = match configuration {
        0..=11 => [480, 960, 1920, 2880][step],
        12..=15 => [480, 960][step & 1],
        _ => [120, 240, 480, 960][step],
    };
    let frames = match first & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => usize::from(packet.get(1)? & 0x3f),
    };
    let samples = frame * frames;
    (1..=PACKET_SAMPLES_MAX).contains(&samples).then_some(samples)
}

/// Whether a rough copy of the packet before is in this one (section 4.2.4: the LBRR flags stand behind those of voice
/// activity, one for each 20 ms, at the beginning of the first frame). Packets of three and more frames are not looked into.
pub fn has_copy(packet: &[u8]) -> bool {
    let Some(&first) = packet.first() else { return false };
    let configuration = first >> 3;
    if configuration >= 16 {
        return false; // CELT has none
    }
    let frame = match (first & 3, packet.get(1)) {
        (0 | 1, frame) => frame,
        (2, Some(0..=251)) => packet.get(2),
        (2, _) => packet.get(3),
        _ => None,
    };
    let spans = match configuration {
        0..=11 => [1, 1, 2, 3][usize::from(configuration & 3)],
        _ => 1,
    };
    let Some(flags) = frame else { return false };
    let middle = flags >> (7 - spans) & 1;
    let is_stereo = first & 4 != 0;
    let side = if is_stereo && 2 * spans <= 6 { flags >> (6 - 2 * spans) & 1 } else { 0 };
    middle | side == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copy_of_the_packet_before_is_seen() {
        assert!(has_copy(&[0b0110_1000, 0b0100_0000]), "hybrid, mono");
        assert!(!has_copy(&[0b0110_1000, 0b1000_0000]), "voice only");
        assert!(has_copy(&[0b0110_1100, 0b0001_0000]), "the side of stereo");
        assert!(has_copy(&[0b0101_1000, 0b0001_0000]), "60 ms");
        assert!(!has_copy(&[0b1111_1000, 0xff]), "CELT");
        for packet in [&[][..], &[0], &[2, 252, 0], &[3, 1, 0xff]] {
            assert!(!has_copy(packet));
        }
    }

    #[test]
    fn a_packet_says_how_long_it_is() {
        assert_eq!(samples(&[0b1111_1000, 0]), Some(960), "CELT, 20 ms, one frame");
        assert_eq!(samples(&[0b0001_1001]), Some(5760), "SILK, 60 ms, two frames");
        assert_eq!(samples(&[0b1000_0011, 3]), Some(360), "CELT, 2.5 ms, three frames");
        assert_eq!(samples(&[0b0110_0000]), Some(480), "hybrid, 10 ms");
    }

    #[test]
    fn what_is_no_packet_has_no_length() {
        assert_eq!(samples(&[]), None);
        assert_eq!(samples(&[0b1111_1011]), None, "the count is missing");
        assert_eq!(samples(&[0b1111_1011, 0]), None, "no frame");
        assert_eq!(samples(&[0b0001_1011, 3]), None, "180 ms");
    }
}
