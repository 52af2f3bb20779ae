//! The VP8 payload descriptor (RFC 7741, 4.2): what a forwarder has to read and to change in it.

/// Where the numbers of a descriptor stand, and what they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descriptor {
    /// The packet begins a picture that can be decoded without any other.
    pub is_key: bool,
    pub picture: Option<Picture>,
    /// TL0PICIDX: counts the pictures of the lowest temporal layer.
    pub base: Option<u8>,
    /// The temporal layer; 0 where there are none.
    pub temporal: u8,
    /// From here on a higher temporal layer can be joined.
    pub is_sync: bool,
    picture_at: usize,
    base_at: usize,
}

/// A picture id of 7 or of 15 bits. Its size does not change on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Picture {
    pub id: u16,
    pub is_long: bool,
}

impl Picture {
    fn mask(self) -> u16 {
        if self.is_long { 0x7fff } else { 0x7f }
    }

    pub fn shifted(self, by: u16) -> Self {
        Self { id: self.id.wrapping_add(by) & self.mask(), ..self }
    }
}

impl Descriptor {
    /// `None` when the payload is too short for what it promises.
    pub fn read(payload: &[u8]) -> Option<Self> {
        let first = *payload.first()?;
        let mut at = 1;
        let mut found = Self {
            is_key: false,
            picture: None,
            base: None,
            temporal: 0,
            is_sync: false,
            picture_at: 0,
            base_at: 0,
        };
        if first & 0x80 != 0 {
            let extended = *payload.get(at)?;
            at += 1;
            if extended & 0x80 != 0 {
                let high = *payload.get(at)?;
                found.picture_at = at;
                let is_long = high & 0x80 != 0;
                let id = if is_long {
                    at += 1;
                    u16::from_be_bytes([high & 0x7f, *payload.get(at)?])
                } else {
                    u16::from(high)
                };
                at += 1;
                found.picture = Some(Picture { id, is_long });
            }
            if extended & 0x40 != 0 {
                found.base = Some(*payload.get(at)?);
                found.base_at = at;
                at += 1;
            }
            if extended & 0x30 != 0 {
                let byte = *payload.get(at)?;
                at += 1;
                if extended & 0x20 != 0 {
                    found.temporal = byte >> 6;
                    found.is_sync = byte & 0x20 != 0;
                }
            }
        }
        let begins_picture = first & 0x10 != 0 && first & 0x07 == 0;
        // The lowest bit of the picture's own header (RFC 6386, 9.1) is 0 for a key frame.
        found.is_key = begins_picture && payload.get(at).is_some_and(|byte| byte & 1 == 0);
        Some(found)
    }

    /// Writes other numbers into a copy of the payload this was read from.
    pub fn write(&self, payload: &mut [u8], picture: Option<Picture>, base: Option<u8>) {
        if let (Some(_), Some(picture)) = (self.picture, picture) {
            if picture.is_long {
                if let Some(field) = payload.get_mut(self.picture_at..self.picture_at + 2) {
                    field.copy_from_slice(&(0x8000 | picture.id).to_be_bytes());
                }
            } else if let Some(field) = payload.get_mut(self.picture_at) {
                *field = (picture.id & 0x7f) as u8;
            }
        }
        if let (Some(_), Some(base)) = (self.base, base)
            && let Some(field) = payload.get_mut(self.base_at)
        {
            *field = base;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Extended, with picture id, TL0PICIDX and temporal layer; then a key frame's first byte.
    const FULL: [u8; 7] = [0x90, 0xe0, 0x81, 0x02, 0x07, 0x60, 0x00];

    #[test]
    fn the_numbers_of_a_descriptor_are_found_and_can_be_changed() {
        let found = Descriptor::read(&FULL).expect("a descriptor");
        assert_eq!(found.picture, Some(Picture { id: 0x102, is_long: true }));
        assert_eq!((found.base, found.temporal, found.is_sync, found.is_key), (Some(7), 1, true, true));
        let mut changed = FULL;
        found.write(&mut changed, Some(Picture { id: 0x7fff, is_long: true }), Some(9));
        assert_eq!(changed, [0x90, 0xe0, 0xff, 0xff, 0x09, 0x60, 0x00]);
    }

    #[test]
    fn a_short_picture_id_stays_short() {
        let short = [0x90, 0x80, 0x7f, 0x01];
        let found = Descriptor::read(&short).expect("a descriptor");
        assert!(!found.is_key, "the frame's header says that it builds on others");
        let next = found.picture.expect("an id").shifted(1);
        assert_eq!(next, Picture { id: 0, is_long: false });
        let mut changed = short;
        found.write(&mut changed, Some(next), None);
        assert_eq!(changed, [0x90, 0x80, 0x00, 0x01]);
    }

    #[test]
    fn a_packet_inside_a_picture_is_no_key_frame() {
        assert!(Descriptor::read(&[0x10, 0x00]).is_some_and(|found| found.is_key));
        assert!(!Descriptor::read(&[0x00, 0x00]).is_some_and(|found| found.is_key));
        assert!(!Descriptor::read(&[0x11, 0x00]).is_some_and(|found| found.is_key), "a later partition");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..12)) {
            if let Some(found) = Descriptor::read(&bytes) {
                let mut copy = bytes.clone();
                found.write(&mut copy, found.picture, found.base);
                prop_assert_eq!(copy, bytes);
            } else {
                prop_assert!(bytes.len() < 6);
            }
        }
    }
}
