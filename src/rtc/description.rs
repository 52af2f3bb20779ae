//! Session descriptions, before str0m sees them.

use str0m::Candidate;

use super::{RtcError, candidate};

/// The largest session description that is looked at. A media section takes about 1 kB, so this is a session of
/// several hundred tracks.
pub const DESCRIPTION_SIZE_MAX: usize = 512 << 10;

/// The most lines that a description may have. str0m takes up to half a millisecond for a line in a debug build; this
/// bounds what a client can make a server spend on one message. A video section has about fifty lines.
pub const DESCRIPTION_LINES_MAX: usize = 16_384;

/// A description without its candidates, and those of them that can be used.
///
/// str0m skips a candidate whose extensions come in another order than it expects (browsers write `ufrag` before
/// `network-id`), so they all go the way of the trickled ones.
pub(super) fn take_candidates(sdp: &str) -> Result<(String, Vec<Candidate>), RtcError> {
    let lines = sdp.bytes().filter(|byte| *byte == b'\n').count();
    if sdp.len() > DESCRIPTION_SIZE_MAX || lines > DESCRIPTION_LINES_MAX {
        return Err(RtcError::TooLarge);
    }
    let mut rest = String::with_capacity(sdp.len());
    let mut candidates = Vec::new();
    for line in sdp.split_inclusive('\n') {
        if !line.starts_with("a=candidate:") {
            rest.push_str(line);
        } else if let Ok(Some(candidate)) = candidate::read(line) {
            candidates.push(candidate);
        }
    }
    Ok((rest, candidates))
}
