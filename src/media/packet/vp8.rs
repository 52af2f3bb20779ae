//! VP8, RFC 7741.

use super::reader::{Reader, picture_id};
use super::{Joined, Link, Malformed, PAYLOAD_MAX, Payload, Piece, Unjoined, metadata, split};
use crate::media::Metadata;
use crate::media::codec::EncodedFrame;
use crate::media::encryption::{Opener, Sealer, Unsealed, vp8_head};

// The first byte of the descriptor.
const HAS_EXTENSION: u8 = 0x80;
const STARTS_PARTITION: u8 = 0x10;
const PARTITION_MASK: u8 = 0x07;

// The extension's byte.
const HAS_PICTURE_ID: u8 = 0x80;
const HAS_BASE_INDEX: u8 = 0x40;
const HAS_LAYER: u8 = 0x20;
const HAS_KEY_INDEX: u8 = 0x10;

/// In the byte with layer and key index.
const IS_SYNC: u8 = 0x20;
const KEY_INDEX_MASK: u8 = 0x1f;

/// Picture numbers have 15 bits: 7 would wrap within a retransmission.
const PICTURE_ID_MASK: u16 = 0x7fff;

/// The longest descriptor that is written.
const DESCRIPTOR_MAX: usize = 6;

struct Descriptor<'a> {
    is_start: bool,
    link: Link,
    body: &'a [u8],
}

fn parse(payload: &[u8]) -> Result<Descriptor<'_>, Malformed> {
    let mut reader = Reader::new(payload);
    let first = reader.byte()?;
    let extension = if first & HAS_EXTENSION != 0 { reader.byte()? } else { 0 };
    if extension & HAS_PICTURE_ID != 0 {
        picture_id(&mut reader)?;
    }
    let base_index = if extension & HAS_BASE_INDEX != 0 { Some(reader.byte()?) } else { None };
    let layer = if extension & (HAS_LAYER | HAS_KEY_INDEX) != 0 { Some(reader.byte()?) } else { None };
    let layer = layer.filter(|_| extension & HAS_LAYER != 0);
    let link = match (base_index, layer) {
        (Some(base_index), Some(layer)) => {
            Link::Layered { base_index, layer: layer >> 6, is_sync: layer & IS_SYNC != 0, is_switch: false }
        }
        _ => Link::Sequence,
    };
    let is_start = first & STARTS_PARTITION != 0 && first & PARTITION_MASK == 0;
    if reader.is_empty() {
        return Err(Malformed);
    }
    Ok(Descriptor { is_start, link, body: reader.rest() })
}

pub(super) fn inspect(payload: &[u8]) -> Result<Piece, Malformed> {
    let descriptor = parse(payload)?;
    // RFC 6386 section 9.1: the lowest bit of the frame's first byte is 0 in key frames.
    let is_key = descriptor.is_start && descriptor.body.first().is_some_and(|byte| byte & 1 == 0);
    Ok(Piece { is_start: Some(descriptor.is_start), is_key, link: descriptor.link })
}

pub(super) fn join(payloads: &[&[u8]]) -> Result<Joined, Malformed> {
    Ok(finished(bodies(payloads)?))
}

pub(super) fn join_sealed(payloads: &[&[u8]], opener: &Opener) -> Result<Joined, Unjoined> {
    let mut bytes = bodies(payloads)?;
    opener.open(vp8_head(&bytes), &mut bytes)?;
    Ok(finished(bytes))
}

fn bodies(payloads: &[&[u8]]) -> Result<Vec<u8>, Malformed> {
    let mut bytes = Vec::with_capacity(payloads.iter().map(|payload| payload.len()).sum());
    for payload in payloads {
        bytes.extend_from_slice(parse(payload)?.body);
    }
    Ok(bytes)
}

fn finished(mut bytes: Vec<u8>) -> Joined {
    let metadata = metadata::take_trailer(&mut bytes);
    Joined { bytes, metadata }
}

#[derive(Debug)]
pub struct Vp8Packetiser {
    picture_id: u16,
    base_index: u8,
    key_index: u8,
}

impl Vp8Packetiser {
    pub(super) fn new(start: u16) -> Self {
        let [base_index, key_index] = start.to_be_bytes();
        Self { picture_id: start & PICTURE_ID_MASK, base_index, key_index }
    }

    pub(super) fn packetise(
        &mut self,
        frame: &EncodedFrame,
        has_layers: bool,
        metadata: &Metadata,
    ) -> Vec<Payload> {
        let mut bytes = std::borrow::Cow::Borrowed(frame.bytes.as_slice());
        metadata::append_trailer(&mut bytes, metadata);
        self.cut(frame, has_layers, &bytes)
    }

    pub(super) fn packetise_sealed(
        &mut self,
        frame: &EncodedFrame,
        has_layers: bool,
        metadata: &Metadata,
        sealer: &mut Sealer,
    ) -> Result<Vec<Payload>, Unsealed> {
        let mut bytes = std::borrow::Cow::Borrowed(frame.bytes.as_slice());
        metadata::append_trailer(&mut bytes, metadata);
        let mut bytes = bytes.into_owned();
        sealer.seal(vp8_head(&bytes), &mut bytes)?;
        Ok(self.cut(frame, has_layers, &bytes))
    }

    fn cut(&mut self, frame: &EncodedFrame, has_layers: bool, bytes: &[u8]) -> Vec<Payload> {
        self.picture_id = (self.picture_id + 1) & PICTURE_ID_MASK;
        if frame.temporal_layer == 0 {
            self.base_index = self.base_index.wrapping_add(1);
        }
        if frame.is_key {
            self.key_index = self.key_index.wrapping_add(1);
        }
        let mut descriptor = vec![HAS_EXTENSION | STARTS_PARTITION, HAS_PICTURE_ID];
        let [high, low] = self.picture_id.to_be_bytes();
        descriptor.extend([high | 0x80, low]);
        if has_layers {
            descriptor[1] |= HAS_BASE_INDEX | HAS_LAYER | HAS_KEY_INDEX;
            let sync = if frame.is_layer_sync { IS_SYNC } else { 0 };
            let layer = (frame.temporal_layer & 3) << 6;
            descriptor.extend([self.base_index, layer | sync | (self.key_index & KEY_INDEX_MASK)]);
        }

        let parts: Vec<&[u8]> = split(bytes, PAYLOAD_MAX - DESCRIPTOR_MAX).collect();
        let last = parts.len() - 1;
        let mut payloads = Vec::with_capacity(parts.len());
        for (index, part) in parts.into_iter().enumerate() {
            payloads.push(Payload { bytes: [&descriptor, part].concat().into(), is_marked: index == last });
            descriptor[0] &= !STARTS_PARTITION;
        }
        payloads
    }
}
