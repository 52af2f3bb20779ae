//! VP9, RFC 9628.

use super::reader::{Reader, picture_id};
use super::{Joined, Link, Malformed, PAYLOAD_MAX, Payload, Piece, Unjoined, split};
use crate::media::Metadata;
use crate::media::codec::EncodedFrame;
use crate::media::encryption::{Opener, Sealer, Unsealed};

// The first byte of the descriptor.
const HAS_PICTURE_ID: u8 = 0x80;
const IS_PREDICTED: u8 = 0x40;
const HAS_LAYER: u8 = 0x20;
const IS_FLEXIBLE: u8 = 0x10;
const STARTS_FRAME: u8 = 0x08;
const ENDS_FRAME: u8 = 0x04;
const HAS_STRUCTURE: u8 = 0x02;

/// In the layer's byte, for all layers above: they may be followed from here on.
const IS_SWITCH: u8 = 0x10;

// The first byte of the scalability structure.
const HAS_SIZES: u8 = 0x10;
const HAS_GROUP: u8 = 0x08;

const PICTURE_ID_MASK: u16 = 0x7fff;

/// The longest descriptor that is written: five bytes, and eight of structure.
const DESCRIPTOR_MAX: usize = 13;

struct Descriptor<'a> {
    first: u8,
    spatial: u8,
    link: Link,
    body: &'a [u8],
}

fn parse(payload: &[u8]) -> Result<Descriptor<'_>, Malformed> {
    let mut reader = Reader::new(payload);
    let first = reader.byte()?;
    let has = |flag| first & flag != 0;
    let number = if has(HAS_PICTURE_ID) { Some(picture_id(&mut reader)?) } else { None };
    let mut link = Link::Sequence;
    let mut spatial = 0;
    if has(HAS_LAYER) {
        let layer = reader.byte()?;
        spatial = (layer >> 1) & 7;
        if !has(IS_FLEXIBLE) {
            let base_index = reader.byte()?;
            let is_switch = layer & IS_SWITCH != 0;
            link = Link::Layered { base_index, layer: layer >> 5, is_sync: false, is_switch };
        }
    }
    if has(IS_FLEXIBLE) {
        let differences = if has(IS_PREDICTED) { differences(&mut reader)? } else { [0; 3] };
        // Without a number, differences to it say nothing.
        if let Some(picture_id) = number {
            link = Link::References { picture_id, differences };
        }
    }
    if has(HAS_STRUCTURE) {
        skip_structure(&mut reader)?;
    }
    if reader.is_empty() {
        return Err(Malformed);
    }
    Ok(Descriptor { first, spatial, link, body: reader.rest() })
}

/// Up to three, the lowest bit of each says that another follows.
fn differences(reader: &mut Reader<'_>) -> Result<[u8; 3], Malformed> {
    let mut differences = [0; 3];
    for difference in &mut differences {
        let byte = reader.byte()?;
        *difference = byte >> 1;
        if byte & 1 == 0 {
            return Ok(differences);
        }
    }
    Err(Malformed)
}

/// Which layers there are; the decoder finds out by itself.
fn skip_structure(reader: &mut Reader<'_>) -> Result<(), Malformed> {
    let structure = reader.byte()?;
    if structure & HAS_SIZES != 0 {
        reader.take(4 * (usize::from(structure >> 5) + 1))?;
    }
    if structure & HAS_GROUP != 0 {
        for _ in 0..reader.byte()? {
            let references = (reader.byte()? >> 2) & 3;
            reader.take(usize::from(references))?;
        }
    }
    Ok(())
}

pub(super) fn inspect(payload: &[u8]) -> Result<Piece, Malformed> {
    let descriptor = parse(payload)?;
    let starts = descriptor.first & STARTS_FRAME != 0;
    // The layers of one picture share its timestamp, and a forwarder may have left out the lowest: whether a higher
    // one is the first that came, the packet before tells.
    let is_start = if descriptor.spatial > 0 && starts { None } else { Some(starts) };
    let is_key = starts && descriptor.spatial == 0 && descriptor.first & IS_PREDICTED == 0;
    Ok(Piece { is_start, is_key, link: descriptor.link })
}

/// The layers of a picture one after the other, which decoders read like a superframe without an index.
pub(super) fn join(payloads: &[&[u8]]) -> Result<Joined, Malformed> {
    let mut bytes = Vec::with_capacity(payloads.iter().map(|payload| payload.len()).sum());
    for payload in payloads {
        bytes.extend_from_slice(parse(payload)?.body);
    }
    Ok(Joined { bytes, metadata: Metadata::default() })
}

/// Each layer of a picture is sealed by itself, and has no head.
pub(super) fn join_sealed(payloads: &[&[u8]], opener: &Opener) -> Result<Joined, Unjoined> {
    let (mut bytes, mut layer) = (Vec::new(), Vec::new());
    for payload in payloads {
        let descriptor = parse(payload)?;
        if layer.is_empty() != (descriptor.first & STARTS_FRAME != 0) {
            return Err(Unjoined::Malformed);
        }
        layer.extend_from_slice(descriptor.body);
        if descriptor.first & ENDS_FRAME != 0 {
            opener.open(0, &mut layer)?;
            bytes.append(&mut layer);
        }
    }
    match layer.is_empty() {
        true => Ok(Joined { bytes, metadata: Metadata::default() }),
        false => Err(Unjoined::Malformed),
    }
}

#[derive(Debug)]
pub struct Vp9Packetiser {
    picture_id: u16,
    base_index: u8,
}

impl Vp9Packetiser {
    pub(super) fn new(start: u16) -> Self {
        Self { picture_id: start & PICTURE_ID_MASK, base_index: start.to_be_bytes()[0] }
    }

    /// One spatial and one temporal layer. Browsers want the base layer's index and, with every key frame, the
    /// structure, or they drop what they receive.
    pub(super) fn packetise(&mut self, frame: &EncodedFrame, size: (u32, u32)) -> Vec<Payload> {
        self.cut(frame, size, &frame.bytes)
    }

    pub(super) fn packetise_sealed(
        &mut self,
        frame: &EncodedFrame,
        size: (u32, u32),
        sealer: &mut Sealer,
    ) -> Result<Vec<Payload>, Unsealed> {
        let mut bytes = frame.bytes.clone();
        sealer.seal(0, &mut bytes)?;
        Ok(self.cut(frame, size, &bytes))
    }

    fn cut(&mut self, frame: &EncodedFrame, size: (u32, u32), bytes: &[u8]) -> Vec<Payload> {
        self.picture_id = (self.picture_id + 1) & PICTURE_ID_MASK;
        self.base_index = self.base_index.wrapping_add(1);
        let predicted = if frame.is_key { 0 } else { IS_PREDICTED };
        let [high, low] = self.picture_id.to_be_bytes();
        let layer = 0;
        let plain = [HAS_PICTURE_ID | HAS_LAYER | predicted, high | 0x80, low, layer, self.base_index];

        let parts: Vec<&[u8]> = split(bytes, PAYLOAD_MAX - DESCRIPTOR_MAX).collect();
        let last = parts.len() - 1;
        let mut payloads = Vec::with_capacity(parts.len());
        for (index, part) in parts.into_iter().enumerate() {
            let mut bytes = Vec::with_capacity(DESCRIPTOR_MAX + part.len());
            bytes.extend(plain);
            if index == 0 {
                bytes[0] |= STARTS_FRAME;
            }
            if index == last {
                bytes[0] |= ENDS_FRAME;
            }
            if index == 0 && frame.is_key {
                bytes[0] |= HAS_STRUCTURE;
                bytes.extend(structure(size));
            }
            bytes.extend_from_slice(part);
            payloads.push(Payload { bytes: bytes.into(), is_marked: index == last });
        }
        payloads
    }
}

/// One spatial layer of this size; groups of one picture, each following from the one before.
fn structure((width, height): (u32, u32)) -> [u8; 8] {
    let [width_high, width_low] = (width as u16).to_be_bytes();
    let [height_high, height_low] = (height as u16).to_be_bytes();
    let (pictures, references, difference) = (1, 1, 1);
    let flags = HAS_SIZES | HAS_GROUP;
    let picture = IS_SWITCH | (references << 2);
    [flags, width_high, width_low, height_high, height_low, pictures, picture, difference]
}
