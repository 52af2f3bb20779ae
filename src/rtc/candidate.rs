//! ICE candidates as LiveKit's signalling carries them: one line of text inside a small JSON object.
//!
//! [`candidate_line`] and [`read`] are all that this floor parses itself; both take any text and are what a fuzz target
//! calls.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use str0m::Candidate;

use super::RtcError;

/// The browser's `RTCIceCandidateInit`, which LiveKit sends as text in `TrickleRequest.candidateInit`.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct CandidateInit<'a> {
    #[serde(borrow)]
    candidate: std::borrow::Cow<'a, str>,
    #[serde(borrow, skip_deserializing)]
    sdp_mid: std::borrow::Cow<'a, str>,
    #[serde(rename = "sdpMLineIndex", skip_deserializing)]
    sdp_m_line_index: u16,
}

/// The candidate line in LiveKit's JSON. `None` when there is none, which also is how a browser says that no more
/// candidates follow.
pub fn candidate_line(json: &str) -> Option<String> {
    let init: CandidateInit = serde_json::from_str(json).ok()?;
    let line = init.candidate.trim();
    (!line.is_empty()).then(|| line.to_owned())
}

/// LiveKit's JSON for a candidate line, which belongs to the media section `mid`, the `index`th one.
pub fn candidate_json(line: &str, mid: &str, index: u16) -> String {
    let init = CandidateInit { candidate: line.into(), sdp_mid: mid.into(), sdp_m_line_index: index };
    serde_json::to_string(&init).unwrap_or_default()
}

/// The candidate of a line, with or without `a=`. `None` for one that we cannot use: another transport than UDP and TCP, one
/// by TCP that does not wait for us (RFC 6544 section 4.5), a host name (browsers hide addresses behind `.local` names that
/// only multicast DNS resolves), another component than RTP, or an address that nothing must be sent to.
pub(super) fn read(line: &str) -> Result<Option<Candidate>, RtcError> {
    let line = line.trim();
    let line = line.strip_prefix("a=").unwrap_or(line);
    if line.is_empty() || line == "end-of-candidates" {
        return Ok(None);
    }
    let malformed = || RtcError::Malformed("not a candidate line".into());
    let fields = line.strip_prefix("candidate:").ok_or_else(malformed)?;
    let mut fields = fields.split_ascii_whitespace();
    let (Some(_foundation), Some(component), Some(transport), Some(_priority), Some(address), Some(port)) =
        (fields.next(), fields.next(), fields.next(), fields.next(), fields.next(), fields.next())
    else {
        return Err(malformed());
    };
    let Ok(ip) = address.parse::<IpAddr>() else {
        return Ok(None);
    };
    let is_usable = match transport.to_ascii_lowercase().as_str() {
        "udp" => true,
        "tcp" => fields.by_ref().any(|name| name == "tcptype") && fields.next() == Some("passive"),
        _ => false,
    };
    if component != "1" || !is_usable || port == "0" || !reachable(ip) {
        return Ok(None);
    }
    match Candidate::from_sdp_string(line) {
        Ok(candidate) => Ok(Some(candidate)),
        Err(error) => Err(RtcError::Malformed(error.to_string())),
    }
}

/// Whether the address can be that of one machine and be written down without naming an interface, which a candidate
/// line has no place for.
pub(super) fn reachable(ip: IpAddr) -> bool {
    let special = match ip {
        IpAddr::V4(v4) => v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    !(special || ip.is_unspecified() || ip.is_multicast())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use str0m::net::Protocol;

    use super::*;

    const LINE: &str = "candidate:1 1 udp 2130706431 192.0.2.7 50000 typ host";

    #[test]
    fn a_line_survives_the_way_through_json() {
        let json = candidate_json(LINE, "0", 0);
        let expected = format!(r#"{{"candidate":"{LINE}","sdpMid":"0","sdpMLineIndex":0}}"#);
        assert_eq!(json, expected);
        assert_eq!(candidate_line(&json).as_deref(), Some(LINE));
    }

    #[test]
    fn the_json_of_pion_and_of_browsers_is_read() {
        let pion = r#"{"candidate":"candidate:1 1 udp 1 192.0.2.7 5 typ host","sdpMid":"","sdpMLineIndex":0,"usernameFragment":null}"#;
        assert_eq!(candidate_line(pion).as_deref(), Some("candidate:1 1 udp 1 192.0.2.7 5 typ host"));
        let browser =
            r#"{"sdpMLineIndex":null,"sdpMid":null,"candidate":"a\/b \u0063","usernameFragment":"x"}"#;
        assert_eq!(candidate_line(browser).as_deref(), Some("a/b c"));
    }

    #[test]
    fn the_end_of_candidates_and_broken_json_are_no_line() {
        for json in
            ["", "{}", "[]", "null", r#"{"candidate":""}"#, r#"{"candidate":7}"#, "{\"candidate\":\"x"]
        {
            assert_eq!(candidate_line(json), None, "{json}");
        }
    }

    #[test]
    fn lines_are_read_with_and_without_their_prefix() {
        for line in [LINE.to_owned(), format!("a={LINE}"), format!("  {LINE}\r\n")] {
            let candidate = read(&line).expect("a line").expect("a usable candidate");
            assert_eq!(candidate.addr(), "192.0.2.7:50000".parse().expect("an address"));
        }
        let v6 =
            "candidate:1 1 UDP 2130706431 2001:db8::1 50000 typ srflx raddr :: rport 0 generation 0 ufrag x";
        assert!(read(v6).expect("a line").is_some());
    }

    #[test]
    fn candidates_that_wait_for_a_stream_are_read() {
        for end in ["", " generation 0", " ufrag x"] {
            let line = format!("candidate:1 1 TCP 1671430143 192.0.2.7 7881 typ host tcptype passive{end}");
            let candidate = read(&line).expect("a line").expect("a usable candidate");
            assert_eq!(candidate.proto(), Protocol::Tcp);
        }
    }

    #[test]
    fn candidates_that_cannot_be_used_are_skipped() {
        for line in [
            "",
            "a=end-of-candidates",
            "candidate:1 1 tcp 1518280447 192.0.2.7 9 typ host tcptype active",
            "candidate:1 1 tcp 1518280447 192.0.2.7 443 typ host",
            "candidate:1 1 tcp 1518280447 192.0.2.7 443 typ host tcptype so",
            "candidate:1 1 tcp 1518280447 192.0.2.7 443 typ host tcptype",
            "candidate:1 1 tcp 1518280447 192.0.2.7 0 typ host tcptype passive",
            "candidate:1 1 tcp 1518280447 224.0.0.1 443 typ host tcptype passive",
            "candidate:1 1 ssltcp 1518280447 192.0.2.7 443 typ host",
            "candidate:1 1 udp 1 8f5c3a52-0000-4000-8000-1234567890ab.local 50000 typ host",
            "candidate:1 2 udp 1 192.0.2.7 50000 typ host",
            "candidate:1 1 udp 1 192.0.2.7 0 typ host",
            "candidate:1 1 udp 1 0.0.0.0 50000 typ host",
            "candidate:1 1 udp 1 224.0.0.251 50000 typ host",
            "candidate:1 1 udp 1 255.255.255.255 50000 typ host",
            "candidate:1 1 udp 1 ff02::1 50000 typ host",
            "candidate:1 1 udp 1 fe80::1 50000 typ host",
        ] {
            assert_eq!(read(line), Ok(None), "{line}");
        }
    }

    #[test]
    fn lines_that_are_no_candidates_are_refused() {
        for line in [
            "hello",
            "candidate:",
            "candidate:1 1 udp",
            "candidate:1 1 udp 1 192.0.2.7 port typ host",
            "candidate:1 1 udp 1 192.0.2.7 5",
            "candidate:1 1 udp -1 192.0.2.7 5 typ host",
        ] {
            assert!(matches!(read(line), Err(RtcError::Malformed(_))), "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parsers_panic(text in any::<String>(), tail in "[ -~]{0,60}") {
            let _ = candidate_line(&text);
            let _ = candidate_line(&format!("{{\"candidate\":\"{text}\"}}"));
            let _ = read(&text);
            let _ = read(&format!("candidate:{tail}"));
            let _ = read(&format!("a=candidate:1 1 udp 1 192.0.2.7 {tail}"));
            let _ = read(&format!("a=candidate:1 1 tcp 1 192.0.2.7 {tail} tcptype passive"));
        }
    }
}
