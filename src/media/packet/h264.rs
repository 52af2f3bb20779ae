//! H.264, RFC 6184: single NAL units, STAP-A and FU-A, which is packetization mode 1. The kinds that only mode 2 has
//! are not taken.

use super::annex_b::{self, ACCESS_UNIT_DELIMITER, IDR, SEI, SLICE, SLICE_LAST, SPS, START_CODE, unit_type};
use super::reader::Reader;
use super::{Joined, Link, Malformed, PAYLOAD_MAX, Payload, Piece, Unjoined, metadata, split};
use crate::media::Metadata;
use crate::media::encryption::{Closed, Opener, Sealer, Unsealed};

const STAP_A: u8 = 24;
const FU_A: u8 = 28;

/// Importance (NRI) and the forbidden bit: everything of a NAL unit's header but its type.
const IMPORTANCE_MASK: u8 = 0xe0;

// The second byte of a fragment.
const FRAGMENT_STARTS: u8 = 0x80;
const FRAGMENT_ENDS: u8 = 0x40;

pub(super) fn inspect(payload: &[u8]) -> Result<Piece, Malformed> {
    let mut reader = Reader::new(payload);
    let header = reader.byte()?;
    let mut first = unit_type(header);
    let mut is_key = is_of_key_frame(first);
    let mut continues = false;
    match first {
        1..STAP_A => {}
        STAP_A => {
            first = 0;
            for unit in aggregated(payload)? {
                let kind = unit.first().map_or(0, |header| unit_type(*header));
                first = if first == 0 { kind } else { first };
                is_key |= is_of_key_frame(kind);
            }
        }
        FU_A => {
            let fragment = reader.byte()?;
            first = unit_type(fragment);
            is_key = is_of_key_frame(first);
            continues = fragment & FRAGMENT_STARTS == 0;
        }
        _ => return Err(Malformed),
    }
    let is_start = match first {
        _ if continues => Some(false),
        // Nothing of the same picture comes before these (ITU-T H.264 section 7.4.1.2.3).
        SPS | ACCESS_UNIT_DELIMITER => Some(true),
        _ => None,
    };
    Ok(Piece { is_start, is_key, link: Link::Sequence })
}

/// Parameters come with key frames, also those of encoders that refresh the picture bit by bit and never send an IDR.
fn is_of_key_frame(kind: u8) -> bool {
    matches!(kind, IDR | SPS)
}

/// The units of a STAP-A, at least one.
fn aggregated(payload: &[u8]) -> Result<Vec<&[u8]>, Malformed> {
    let mut reader = Reader::new(payload.get(1..).ok_or(Malformed)?);
    let mut units = Vec::new();
    while !reader.is_empty() {
        let size = usize::from(reader.word()?);
        units.push(reader.take(size)?);
    }
    units.retain(|unit| !unit.is_empty());
    if units.is_empty() { Err(Malformed) } else { Ok(units) }
}

pub(super) fn join(payloads: &[&[u8]]) -> Result<Joined, Malformed> {
    let mut joined = Joined { bytes: Vec::new(), metadata: Metadata::default() };
    each_unit(payloads, |unit| joined.add(unit))?;
    Ok(joined)
}

/// What is sealed is one unit to the packets: the rest of the first slice, and whatever followed it.
pub(super) fn join_sealed(payloads: &[&[u8]], opener: &Opener) -> Result<Joined, Unjoined> {
    let (mut bytes, mut head) = (Vec::new(), None);
    each_unit(payloads, |unit| {
        bytes.extend_from_slice(&START_CODE);
        let is_first = head.is_none() && is_sealable(unit);
        let clear = if is_first { SEALED_HEAD.min(unit.len()) } else { unit.len() };
        let (clear, sealed) = unit.split_at(clear);
        bytes.extend_from_slice(clear);
        if is_first {
            head = Some(bytes.len());
            bytes.extend(annex_b::unescape(sealed));
        }
    })?;
    opener.open(head.ok_or(Closed::Wrong)?, &mut bytes)?;
    let mut joined = Joined { bytes: Vec::new(), metadata: Metadata::default() };
    annex_b::units(&bytes).into_iter().for_each(|unit| joined.add(unit));
    Ok(joined)
}

/// So much of the first slice stays readable: its kind, and where in the picture it begins.
const SEALED_HEAD: usize = 2;

/// Whether what is sealed begins in this unit, as LiveKit's clients have it.
fn is_sealable(unit: &[u8]) -> bool {
    unit.first().is_some_and(|header| matches!(unit_type(*header), SLICE | IDR))
}

fn each_unit(payloads: &[&[u8]], mut add: impl FnMut(&[u8])) -> Result<(), Malformed> {
    // The unit whose fragments are coming.
    let mut pending: Option<Vec<u8>> = None;
    for payload in payloads {
        let mut reader = Reader::new(payload);
        let header = reader.byte()?;
        if pending.is_some() && unit_type(header) != FU_A {
            return Err(Malformed);
        }
        match unit_type(header) {
            1..STAP_A => add(payload),
            STAP_A => aggregated(payload)?.into_iter().for_each(&mut add),
            FU_A => {
                let fragment = reader.byte()?;
                if fragment & FRAGMENT_STARTS != 0 {
                    if pending.is_some() {
                        return Err(Malformed);
                    }
                    pending = Some(vec![(header & IMPORTANCE_MASK) | unit_type(fragment)]);
                }
                let unit = pending.as_mut().ok_or(Malformed)?;
                unit.extend_from_slice(reader.rest());
                if fragment & FRAGMENT_ENDS != 0 {
                    add(unit);
                    pending = None;
                }
            }
            _ => return Err(Malformed),
        }
    }
    if pending.is_some() { Err(Malformed) } else { Ok(()) }
}

impl Joined {
    fn add(&mut self, unit: &[u8]) {
        let kind = unit.first().map(|header| unit_type(*header));
        if kind == Some(SEI)
            && let Some(metadata) = metadata::from_sei(unit)
        {
            self.metadata = metadata;
            return;
        }
        self.bytes.extend_from_slice(&START_CODE);
        self.bytes.extend_from_slice(unit);
    }
}

/// `stream`: the encoder's, in Annex B.
pub(super) fn packetise(stream: &[u8], metadata: &Metadata) -> Vec<Payload> {
    let mut units = annex_b::units(stream);
    let sei = metadata::to_sei(metadata);
    if let Some(sei) = &sei {
        // After the parameters, before the slices (ITU-T H.264 section 7.4.1.2.3).
        let is_slice =
            |unit: &&[u8]| unit.first().is_some_and(|header| (1..=SLICE_LAST).contains(&unit_type(*header)));
        let place = units.iter().position(is_slice).unwrap_or(units.len());
        units.insert(place, sei);
    }
    cut(&units)
}

/// With what is attached behind the slices, where it is sealed with them; decoders do not mind. The head is authenticated
/// as receivers put it together: with start codes of four bytes.
pub(super) fn packetise_sealed(
    stream: &[u8],
    metadata: &Metadata,
    sealer: &mut Sealer,
) -> Result<Vec<Payload>, Unsealed> {
    let mut units = annex_b::units(stream);
    let first = units.iter().position(|unit| is_sealable(unit)).ok_or(Unsealed)?;
    let sei = metadata::to_sei(metadata);
    units.extend(sei.as_deref());
    let mut frame = Vec::with_capacity(stream.len());
    for unit in &units {
        frame.extend_from_slice(&START_CODE);
        frame.extend_from_slice(unit);
    }
    let before: usize = units[..first].iter().map(|unit| START_CODE.len() + unit.len()).sum();
    let slice = before + START_CODE.len();
    let head = slice + SEALED_HEAD.min(units[first].len());
    sealer.seal(head, &mut frame)?;
    let mut unit = frame[slice..head].to_vec();
    annex_b::escape(&frame[head..], &mut unit);
    units.truncate(first);
    units.push(&unit);
    Ok(cut(&units))
}

fn cut(units: &[&[u8]]) -> Vec<Payload> {
    let mut payloads: Vec<Vec<u8>> = Vec::new();
    let mut group: Vec<&[u8]> = Vec::new();
    for &unit in units {
        if !group.is_empty() && aggregate_size(&group) + 2 + unit.len() > PAYLOAD_MAX {
            payloads.push(aggregate(&group));
            group.clear();
        }
        if unit.len() > PAYLOAD_MAX {
            payloads.extend(fragments(unit));
        } else {
            group.push(unit);
        }
    }
    if !group.is_empty() {
        payloads.push(aggregate(&group));
    }
    let last = payloads.len().saturating_sub(1);
    let mark = |(index, bytes): (usize, Vec<u8>)| Payload { bytes: bytes.into(), is_marked: index == last };
    payloads.into_iter().enumerate().map(mark).collect()
}

fn aggregate_size(units: &[&[u8]]) -> usize {
    1 + units.iter().map(|unit| 2 + unit.len()).sum::<usize>()
}

/// A STAP-A, or the unit itself if it is alone.
fn aggregate(units: &[&[u8]]) -> Vec<u8> {
    if let [unit] = units {
        return unit.to_vec();
    }
    // The importance of the most important (RFC 6184 section 5.7.1).
    let importance = units.iter().filter_map(|unit| unit.first()).map(|header| header & 0x60).max();
    let mut payload = vec![importance.unwrap_or_default() | STAP_A];
    for unit in units {
        payload.extend((unit.len() as u16).to_be_bytes());
        payload.extend_from_slice(unit);
    }
    payload
}

fn fragments(unit: &[u8]) -> Vec<Vec<u8>> {
    let Some((header, contents)) = unit.split_first() else { return vec![] };
    let parts: Vec<&[u8]> = split(contents, PAYLOAD_MAX - 2).collect();
    let last = parts.len() - 1;
    let fragment = |(index, part): (usize, &[u8])| {
        let starts = if index == 0 { FRAGMENT_STARTS } else { 0 };
        let ends = if index == last { FRAGMENT_ENDS } else { 0 };
        [&[(header & IMPORTANCE_MASK) | FU_A, starts | ends | unit_type(*header)], part].concat()
    };
    parts.into_iter().enumerate().map(fragment).collect()
}
