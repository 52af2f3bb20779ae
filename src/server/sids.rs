//! Ids of rooms, participants and tracks, drawn from a seed.

use aws_lc_rs::hmac;

use crate::signal::proto::{TrackSource, TrackType};

/// LiveKit's ids have this many characters after their prefix.
const LENGTH: usize = 12;

/// The longest sid that a client may bring along. LiveKit's have 15 characters; nobody needs a book for an id.
const KEPT_LENGTH_MAX: usize = 64;

const ALPHABET: &[u8; 32] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZ";

/// Sids are names and no secrets: who resumes one has to show its token. But who has seen some must not know those that
/// come, or it could ask for the sid of somebody who is not there yet. So they are counted under a key.
#[derive(Debug)]
pub struct Sids {
    key: hmac::Key,
    count: u64,
}

impl Sids {
    pub fn new(seed: u64) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, &seed.to_be_bytes()), count: 0 }
    }

    pub fn room(&mut self) -> String {
        self.draw("RM_")
    }

    pub fn participant(&mut self) -> String {
        self.draw("PA_")
    }

    /// LiveKit's sids of tracks show their kind and their source.
    pub fn track(&mut self, kind: TrackType, source: TrackSource) -> String {
        let kind = if kind == TrackType::Video { "V" } else { "A" };
        let source = match source {
            TrackSource::Camera => "C",
            TrackSource::Microphone => "M",
            TrackSource::ScreenShare => "S",
            TrackSource::ScreenShareAudio => "s",
            TrackSource::Unknown => "",
        };
        self.draw(&format!("TR_{kind}{source}"))
    }

    fn draw(&mut self, prefix: &str) -> String {
        let mut sid = String::with_capacity(prefix.len() + LENGTH);
        sid.push_str(prefix);
        let mut bits = self.next();
        for _ in 0..LENGTH {
            sid.push(char::from(ALPHABET[(bits & 31) as usize]));
            bits >>= 5;
        }
        sid
    }

    fn next(&mut self) -> u64 {
        self.count += 1;
        let tag = hmac::sign(&self.key, &self.count.to_be_bytes());
        let mut bits = [0; 8];
        bits.copy_from_slice(&tag.as_ref()[..8]);
        u64::from_be_bytes(bits)
    }
}

/// Whether a client may ask for this sid: one that looks like a sid of a server.
pub fn is_participant_sid(sid: &str) -> bool {
    looks_like(sid, "PA_")
}

/// The same for one of its tracks.
pub fn is_track_sid(sid: &str) -> bool {
    looks_like(sid, "TR_")
}

fn looks_like(sid: &str, prefix: &str) -> bool {
    let Some(rest) = sid.strip_prefix(prefix) else { return false };
    sid.len() <= KEPT_LENGTH_MAX && !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_always_draws_the_same_sids() {
        let (mut one, mut other) = (Sids::new(7), Sids::new(7));
        let first = one.participant();
        assert_eq!(first, other.participant());
        assert_ne!(first, one.participant());
        assert!(is_participant_sid(&first), "{first}");
        assert_eq!(first.len(), "PA_".len() + LENGTH);
    }

    #[test]
    fn only_what_looks_like_a_sid_is_one() {
        for sid in ["", "PA_", "PA", "RM_abc", "PA_a b", "PA_a\n", "PA_ü", &format!("PA_{}", "a".repeat(64))]
        {
            assert!(!is_participant_sid(sid), "{sid}");
        }
        assert!(is_participant_sid("PA_abcXYZ019"));
    }
}
