//! Whose a description is: what tells that another server, or another connection of the same one, has taken over.

/// Which connection a description is of, and of whom.
#[derive(Default, PartialEq, Eq)]
pub(super) struct Origin {
    /// The second word of the origin (RFC 8866 section 5.2).
    session: Option<String>,
    /// RFC 8122 section 5.
    fingerprint: Option<String>,
}

impl Origin {
    pub fn of(sdp: &str) -> Self {
        let find = |start: &str| sdp.lines().find_map(|line| line.strip_prefix(start));
        let session = find("o=").and_then(|line| line.split(' ').nth(1)).map(str::to_owned);
        let fingerprint = find("a=fingerprint:").map(|line| line.trim_end().to_owned());
        Self { session, fingerprint }
    }

    /// What one of them does not say tells nothing.
    pub fn is_another(&self, now: &Self) -> bool {
        let differs = |before: &Option<String>, now: &Option<String>| {
            before.is_some() && now.is_some() && before != now
        };
        differs(&self.session, &now.session) || differs(&self.fingerprint, &now.fingerprint)
    }
}
