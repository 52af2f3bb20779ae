//! AV1, received only: the "RTP Payload Format For AV1" of the Alliance for Open Media.

use super::reader::Reader;
use super::{Joined, Link, Malformed, Piece};
use crate::media::Metadata;

// The aggregation header.
const CONTINUES: u8 = 0x80;
const IS_CONTINUED: u8 = 0x40;
const STARTS_SEQUENCE: u8 = 0x08;

// An OBU's header (AV1 specification section 5.3.2).
const HAS_EXTENSION: u8 = 0x04;
const HAS_SIZE: u8 = 0x02;

const TEMPORAL_DELIMITER: u8 = 2;
const TILE_LIST: u8 = 8;
const PADDING: u8 = 15;

/// An empty temporal delimiter: every temporal unit of a byte stream begins with one.
const DELIMITER: [u8; 2] = [TEMPORAL_DELIMITER << 3 | HAS_SIZE, 0];

pub(super) fn inspect(payload: &[u8]) -> Result<Piece, Malformed> {
    let header = Reader::new(payload).byte()?;
    let is_key = header & STARTS_SEQUENCE != 0;
    let is_start = match header & CONTINUES != 0 {
        true if is_key => return Err(Malformed),
        true => Some(false),
        false => is_key.then_some(true),
    };
    Ok(Piece { is_start, is_key, link: Link::Sequence })
}

pub(super) fn join(payloads: &[&[u8]]) -> Result<Joined, Malformed> {
    let mut bytes = DELIMITER.to_vec();
    // The OBU whose rest is in the next packet.
    let mut pending: Option<Vec<u8>> = None;
    for payload in payloads {
        let mut reader = Reader::new(payload);
        let header = reader.byte()?;
        if (header & CONTINUES != 0) != pending.is_some() {
            return Err(Malformed);
        }
        // 0: every element says its length. Else so many, and the last does not.
        let count = usize::from((header >> 4) & 3);
        let mut index = 0;
        while !reader.is_empty() {
            index += 1;
            let has_length = count == 0 || index < count;
            let size = if has_length { reader.leb128()? } else { reader.rest().len() };
            let element = reader.take(size)?;
            let mut unit = pending.take().unwrap_or_default();
            unit.extend_from_slice(element);
            if reader.is_empty() && header & IS_CONTINUED != 0 {
                pending = Some(unit);
            } else {
                add(&unit, &mut bytes)?;
            }
        }
    }
    if pending.is_some() {
        return Err(Malformed);
    }
    Ok(Joined { bytes, metadata: Metadata::default() })
}

/// Writes an OBU with its size, which packets leave out. Delimiters, tile lists and padding are not for a decoder of
/// a call.
fn add(unit: &[u8], bytes: &mut Vec<u8>) -> Result<(), Malformed> {
    let mut reader = Reader::new(unit);
    let header = reader.byte()?;
    let extension = if header & HAS_EXTENSION != 0 { Some(reader.byte()?) } else { None };
    let contents = match header & HAS_SIZE != 0 {
        true => {
            let size = reader.leb128()?;
            reader.take(size)?
        }
        false => reader.rest(),
    };
    if matches!((header >> 3) & 15, TEMPORAL_DELIMITER | TILE_LIST | PADDING) {
        return Ok(());
    }
    bytes.push(header | HAS_SIZE);
    bytes.extend(extension);
    let mut size = contents.len();
    while size >= 0x80 {
        bytes.push(size as u8 | 0x80);
        size >>= 7;
    }
    bytes.push(size as u8);
    bytes.extend_from_slice(contents);
    Ok(())
}
