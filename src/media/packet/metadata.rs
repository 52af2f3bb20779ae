//! What a program attached to a frame, carried inside the frame where a foreign decoder does not look.
//!
//! VP8: after the last partition, whose size is "the rest" (RFC 6386 section 9.5) and whose decoder stops where the
//! picture is complete. The trailer is read from the end: data, its length, eight bytes of ours. H.264: a supplemental
//! message of the kind "unregistered user data" (ITU-T H.264 D.1.7) with an identifier of ours. VP9 and AV1 frames
//! carry none.

use std::borrow::Cow;

use super::annex_b;
use crate::media::Metadata;

/// Any eight bytes that no encoder ends a frame with by chance.
const MAGIC: [u8; 8] = [0xf1, 0x0c, 0x93, b'o', b't', b'c', 0xa7, 0x5e];

/// Says whose user data it is.
const IDENTIFIER: [u8; 16] =
    [0x8d, 0x3e, 0x51, 0x0a, 0x6b, 0xc4, 0x4f, 0x27, 0x9d, 0x12, b'o', b't', b'c', 0x73, 0xe0, 0x4d];

const SEI_UNREGISTERED: u8 = 5;

/// Follows the last bit of a NAL unit's contents.
const STOP_BIT: u8 = 0x80;

pub(super) fn append_trailer(frame: &mut Cow<'_, [u8]>, metadata: &Metadata) {
    let data = metadata.as_bytes();
    if data.is_empty() {
        return;
    }
    let frame = frame.to_mut();
    frame.extend_from_slice(data);
    frame.push(data.len() as u8);
    frame.extend_from_slice(&MAGIC);
}

/// Cuts it off again. Bytes that only look like one stay.
pub(super) fn take_trailer(frame: &mut Vec<u8>) -> Metadata {
    let read = || {
        let (length, rest) = frame.strip_suffix(&MAGIC)?.split_last()?;
        let begin = rest.len().checked_sub(usize::from(*length))?;
        Some((begin, Metadata::new(rest.get(begin..)?)?))
    };
    let Some((begin, metadata)) = read() else { return Metadata::default() };
    frame.truncate(begin);
    metadata
}

/// The NAL unit; `None` without metadata.
pub(super) fn to_sei(metadata: &Metadata) -> Option<Vec<u8>> {
    let data = metadata.as_bytes();
    if data.is_empty() {
        return None;
    }
    let mut contents = vec![SEI_UNREGISTERED, (IDENTIFIER.len() + data.len()) as u8];
    contents.extend_from_slice(&IDENTIFIER);
    contents.extend_from_slice(data);
    contents.push(STOP_BIT);
    let mut unit = vec![annex_b::SEI];
    annex_b::escape(&contents, &mut unit);
    Some(unit)
}

/// What is in it, if it is one of ours: alone in its NAL unit.
pub(super) fn from_sei(unit: &[u8]) -> Option<Metadata> {
    let contents = annex_b::unescape(unit.get(1..)?);
    let (size, contents) = contents.strip_prefix(&[SEI_UNREGISTERED])?.split_first()?;
    let message = contents.get(..usize::from(*size))?;
    Metadata::new(message.strip_prefix(&IDENTIFIER)?)
}
