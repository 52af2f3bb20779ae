//! The few bits of a VP9 frame that have to be known before the decoder sees it: whether it is a key frame, and how
//! large its picture wants to be.
//!
//! Follows "VP9 Bitstream & Decoding Process Specification", sections 6.2 (uncompressed header) and annex B
//! (superframes). A frame may be larger than the one before it, key frame or not; the decoder would get the memory for
//! it at once.

use super::{CodecError, check_size};

/// What a chunk of one or more frames says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announced {
    /// Its first frame is one.
    pub is_key: bool,
    /// Of the largest picture; `None`: sizes stay as they are.
    pub size: Option<(u32, u32)>,
}

/// Reads all frames of a chunk. Sizes that are too large are an error.
pub fn announced(chunk: &[u8]) -> Result<Announced, CodecError> {
    let mut whole = Announced { is_key: false, size: None };
    let (count, sizes) = superframe(chunk).unwrap_or((1, [chunk.len(); 8]));
    let mut rest = chunk;
    for (index, size) in sizes.into_iter().take(count).enumerate() {
        let frame = rest.get(..size).ok_or(CodecError::Malformed)?;
        rest = &rest[size..];
        if frame.is_empty() {
            continue;
        }
        let one = frame_header(frame)?;
        if let Some((width, height)) = one.size {
            check_size(width, height)?;
            let (w, h) = whole.size.unwrap_or_default();
            whole.size = Some((w.max(width), h.max(height)));
        }
        whole.is_key |= index == 0 && one.is_key;
    }
    Ok(whole)
}

/// Without an index the decoder takes whatever follows a frame for another one, which nobody can look at beforehand.
/// An index of one frame tells it not to.
pub fn with_index(chunk: &[u8]) -> Option<Vec<u8>> {
    if superframe(chunk).is_some() {
        return None;
    }
    const FOUR_BYTE_SIZE: u8 = 0b1101_1000;
    let mut indexed = Vec::with_capacity(chunk.len() + 6);
    indexed.extend_from_slice(chunk);
    indexed.push(FOUR_BYTE_SIZE);
    indexed.extend_from_slice(&(chunk.len() as u32).to_le_bytes());
    indexed.push(FOUR_BYTE_SIZE);
    Some(indexed)
}

/// The sizes in the index of a superframe, and how many they are.
fn superframe(chunk: &[u8]) -> Option<(usize, [usize; 8])> {
    let marker = *chunk.last()?;
    if marker & 0xe0 != 0xc0 {
        return None;
    }
    let count = usize::from(marker & 7) + 1;
    let bytes = usize::from(marker >> 3 & 3) + 1;
    let start = chunk.len().checked_sub(2 + count * bytes)?;
    let index = chunk.get(start..)?;
    if index.first() != Some(&marker) {
        return None;
    }
    let mut sizes = [0; 8];
    for (size, field) in sizes.iter_mut().zip(index[1..].chunks_exact(bytes)).take(count) {
        *size = field.iter().rev().fold(0, |size, byte| size << 8 | usize::from(*byte));
    }
    Some((count, sizes))
}

/// Bits from the highest of each byte down.
struct Bits<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: u32) -> Result<u32, CodecError> {
        let mut value = 0;
        for _ in 0..count {
            let byte = self.bytes.get(self.position / 8).ok_or(CodecError::Malformed)?;
            value = value << 1 | u32::from(byte >> (7 - self.position % 8) & 1);
            self.position += 1;
        }
        Ok(value)
    }

    fn flag(&mut self) -> Result<bool, CodecError> {
        Ok(self.take(1)? == 1)
    }

    fn size(&mut self) -> Result<(u32, u32), CodecError> {
        Ok((self.take(16)? + 1, self.take(16)? + 1))
    }
}

const FRAME_MARKER: u32 = 0b10;
const SYNC_CODE: u32 = 0x49_83_42;
const SPACE_RGB: u32 = 7;

fn frame_header(frame: &[u8]) -> Result<Announced, CodecError> {
    let mut bits = Bits { bytes: frame, position: 0 };
    if bits.take(2)? != FRAME_MARKER {
        return Err(CodecError::Malformed);
    }
    let profile = bits.take(1)? | bits.take(1)? << 1;
    if profile == 3 && bits.flag()? {
        return Err(CodecError::Malformed);
    }
    if bits.flag()? {
        return Ok(Announced { is_key: false, size: None }); // shows a picture that is there already
    }
    let is_key = !bits.flag()?;
    let is_shown = bits.flag()?;
    let is_error_resilient = bits.flag()?;
    if is_key {
        sync_code(&mut bits)?;
        colours(&mut bits, profile)?;
        return Ok(Announced { is_key, size: Some(bits.size()?) });
    }
    let is_intra_only = !is_shown && bits.flag()?;
    if !is_error_resilient {
        bits.take(2)?; // which contexts are reset
    }
    if is_intra_only {
        sync_code(&mut bits)?;
        if profile > 0 {
            colours(&mut bits, profile)?;
        }
        bits.take(8)?; // which references are replaced
        return Ok(Announced { is_key, size: Some(bits.size()?) });
    }
    bits.take(8)?;
    const REFERENCES: u32 = 3;
    for _ in 0..REFERENCES {
        bits.take(4)?; // which picture, and the sign of its motion
    }
    for _ in 0..REFERENCES {
        if bits.flag()? {
            return Ok(Announced { is_key, size: None }); // as large as that reference
        }
    }
    Ok(Announced { is_key, size: Some(bits.size()?) })
}

fn sync_code(bits: &mut Bits<'_>) -> Result<(), CodecError> {
    if bits.take(24)? == SYNC_CODE { Ok(()) } else { Err(CodecError::Malformed) }
}

fn colours(bits: &mut Bits<'_>, profile: u32) -> Result<(), CodecError> {
    if profile >= 2 {
        bits.take(1)?; // 10 or 12 bits
    }
    let has_sampling = profile & 1 == 1;
    if bits.take(3)? == SPACE_RGB {
        return Err(CodecError::Unsuitable("red, green and blue".into()));
    }
    bits.take(1)?; // the range
    if has_sampling {
        bits.take(3)?; // both directions, and a reserved bit
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Profile 0, shown, 320x240.
    const KEY: [u8; 10] = [0x82, 0x49, 0x83, 0x42, 0x20, 0x13, 0xf0, 0x0e, 0xf0, 0];

    #[test]
    fn a_key_frame_says_its_size() {
        assert_eq!(announced(&KEY), Ok(Announced { is_key: true, size: Some((320, 240)) }));
    }

    #[test]
    fn a_frame_that_follows_may_have_another_size() {
        // Shown, not resilient, no context reset, three references, none of which has its size; then 65536x65536.
        let follower = [0x86, 0, 0, 0, 0x07, 0xff, 0xff, 0xff, 0xf8];
        let outcome = announced(&follower);
        assert!(matches!(outcome, Err(CodecError::Unsuitable(_))), "{outcome:?}");
        assert_eq!(announced(&[0x86, 0, 0, 0, 0xff]), Ok(Announced { is_key: false, size: None }));
    }

    #[test]
    fn every_frame_of_a_superframe_is_read() {
        let chunk = [&KEY[..], &[0x86, 0, 0, 0, 0xff], &[0xc1, 10, 5, 0xc1]].concat();
        assert_eq!(superframe(&chunk), Some((2, [10, 5, 0, 0, 0, 0, 0, 0])));
        assert_eq!(announced(&chunk), Ok(Announced { is_key: true, size: Some((320, 240)) }));
        assert!(with_index(&chunk).is_none());
    }

    #[test]
    fn an_index_of_one_frame_is_an_index() {
        let indexed = with_index(&KEY).expect("there is none");
        assert_eq!(superframe(&indexed).map(|(count, sizes)| (count, sizes[0])), Some((1, 10)));
        assert_eq!(announced(&indexed), announced(&KEY));
    }

    #[test]
    fn a_frame_cut_short_is_malformed() {
        for length in 0..8 {
            assert_eq!(announced(&KEY[..length]).is_ok(), length == 0, "{length}");
        }
    }
}
