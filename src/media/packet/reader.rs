//! Bytes from the front of something foreign.

use super::Malformed;

#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    pub fn byte(&mut self) -> Result<u8, Malformed> {
        let (first, rest) = self.bytes.split_first().ok_or(Malformed)?;
        self.bytes = rest;
        Ok(*first)
    }

    pub fn word(&mut self) -> Result<u16, Malformed> {
        Ok(u16::from_be_bytes([self.byte()?, self.byte()?]))
    }

    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.bytes.split_at_checked(count).ok_or(Malformed)?;
        self.bytes = rest;
        Ok(taken)
    }

    /// A number of one bit per byte less than eight (AV1 specification section 4.10.5).
    pub fn leb128(&mut self) -> Result<usize, Malformed> {
        let mut value = 0_u64;
        for index in 0..8 {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                return u32::try_from(value).map(|value| value as usize).map_err(|_| Malformed);
            }
        }
        Err(Malformed)
    }

    pub fn rest(self) -> &'a [u8] {
        self.bytes
    }

    pub fn is_empty(self) -> bool {
        self.bytes.is_empty()
    }
}

/// A picture number of 7 or 15 bits, as VP8 and VP9 write it: the first bit says which.
pub(super) fn picture_id(reader: &mut Reader<'_>) -> Result<u16, Malformed> {
    let first = reader.byte()?;
    if first & 0x80 == 0 {
        return Ok(u16::from(first));
    }
    Ok(u16::from_be_bytes([first & 0x7f, reader.byte()?]))
}
