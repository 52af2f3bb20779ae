//! H.264's byte stream (ITU-T H.264 Annex B): NAL units with start codes between them.

/// NAL unit types (table 7-1).
pub(super) const SLICE: u8 = 1;
pub(super) const IDR: u8 = 5;
pub(super) const SEI: u8 = 6;
pub(super) const SPS: u8 = 7;
pub(super) const ACCESS_UNIT_DELIMITER: u8 = 9;
/// Slices are of the types up to here.
pub(super) const SLICE_LAST: u8 = IDR;

pub(super) const START_CODE: [u8; 4] = [0, 0, 0, 1];

pub(super) fn unit_type(header: u8) -> u8 {
    header & 0x1f
}

/// The NAL units of a byte stream, without start codes and the zeros around them.
pub(super) fn units(stream: &[u8]) -> Vec<&[u8]> {
    let mut begins = Vec::new();
    let mut position = 0;
    while let Some(window) = stream.get(position..position + 3) {
        if window == [0, 0, 1] {
            begins.push(position + 3);
            position += 3;
        } else {
            position += 1;
        }
    }
    let ends = begins.iter().skip(1).map(|begin| begin - 3).chain([stream.len()]);
    let mut units = Vec::new();
    for (begin, end) in begins.iter().zip(ends) {
        let unit = stream.get(*begin..end).unwrap_or_default();
        let size = unit.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        if size > 0 {
            units.push(&unit[..size]);
        }
    }
    units
}

/// Section 7.4.1: a 3 after two zeros keeps start codes out of the contents.
pub(super) fn escape(contents: &[u8], unit: &mut Vec<u8>) {
    let mut zeros = 0;
    for byte in contents {
        if zeros >= 2 && *byte <= 3 {
            unit.push(3);
            zeros = 0;
        }
        zeros = if *byte == 0 { zeros + 1 } else { 0 };
        unit.push(*byte);
    }
}

pub(super) fn unescape(unit: &[u8]) -> Vec<u8> {
    let mut contents = Vec::with_capacity(unit.len());
    let mut zeros = 0;
    for byte in unit {
        if zeros >= 2 && *byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if *byte == 0 { zeros + 1 } else { 0 };
        contents.push(*byte);
    }
    contents
}
