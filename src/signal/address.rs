//! Where a server is: `ws://host:port/prefix`, as programs, environment and configuration write it.

use std::fmt;

use url::{Host, Url};

use super::join::JoinQuery;

/// A server's place. Never holds credentials: a URL with some is refused.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address {
    /// TLS is spoken.
    pub secure: bool,
    /// A name or a literal address; an IPv6 one without its brackets.
    pub host: String,
    pub port: u16,
    /// The path under which the server lives: empty, or `/` and more without a slash at its end.
    pub prefix: String,
}

/// Why a text is no address. The text itself is not repeated: it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AddressError {
    Empty,
    NoScheme,
    UnknownScheme,
    /// Spaces, control characters, a broken port or host.
    Malformed,
    NoHost,
    Credentials,
    /// A query or a fragment.
    Extra,
    NoRoom,
}

impl Address {
    /// Reads ws, wss, http (as ws) and https (as wss).
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        if text.is_empty() {
            return Err(AddressError::Empty);
        }
        // The URL parser drops tabs and line breaks in silence; nobody means them.
        if text.chars().any(|character| character.is_control() || character.is_whitespace()) {
            return Err(AddressError::Malformed);
        }
        let (scheme, rest) = text.split_once("://").ok_or(AddressError::NoScheme)?;
        let secure = is_secure(scheme).ok_or(AddressError::UnknownScheme)?;
        let authority = rest.split(['/', '\\', '?', '#']).next().unwrap_or_default();
        if authority.is_empty() {
            return Err(AddressError::NoHost);
        }
        if authority.contains('@') {
            return Err(AddressError::Credentials);
        }
        let url = Url::parse(text).map_err(|_| AddressError::Malformed)?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err(AddressError::Extra);
        }
        let host = match url.host().ok_or(AddressError::NoHost)? {
            Host::Domain(name) => name.to_owned(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        };
        let port = url.port_or_known_default().filter(|port| *port != 0).ok_or(AddressError::Malformed)?;
        let prefix = url.path().trim_end_matches('/').to_owned();
        Ok(Self { secure, host, port, prefix })
    }

    /// Reads a session id that is a URL: the last segment of its path is the room. `None` is any other session id.
    pub fn of_session_id(id: &str) -> Result<Option<(Self, String)>, AddressError> {
        if id.split_once("://").and_then(|(scheme, _)| is_secure(scheme)).is_none() {
            return Ok(None);
        }
        let mut address = Self::parse(id)?;
        let (prefix, room) = address.prefix.rsplit_once('/').ok_or(AddressError::NoRoom)?;
        let room = percent_decoded(room).ok_or(AddressError::Malformed)?;
        address.prefix = prefix.trim_end_matches('/').to_owned();
        Ok(Some((address, room)))
    }

    /// The target of the request that opens the signalling connection.
    pub fn signal_path(&self, query: &JoinQuery) -> String {
        format!("{}?{}", self.path("/rtc"), query.encode())
    }

    /// The target of a request for `path`, which begins with a slash.
    pub fn path(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }

    /// What the `Host` header says: the port only where it is not the usual one.
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let usual = if self.secure { 443 } else { 80 };
        if self.port == usual { host } else { format!("{host}:{}", self.port) }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "wss" } else { "ws" };
        write!(formatter, "{scheme}://{}{}", self.authority(), self.prefix)
    }
}

impl AddressError {
    fn sentence(self) -> &'static str {
        match self {
            Self::Empty => "The server's address is empty; write one like ws://host:port.",
            Self::NoScheme => "The server's address has no scheme; write one like ws://host:port.",
            Self::UnknownScheme => "The server's address has an unknown scheme; use ws, wss, http or https.",
            Self::Malformed => "The server's address cannot be read; write one like ws://host:port.",
            Self::NoHost => "The server's address names no host; write one like ws://host:port.",
            Self::Credentials => {
                "The server's address holds a user or a password; leave them out, the token is the credential."
            }
            Self::Extra => "The server's address has a part after ? or #; leave it out.",
            Self::NoRoom => {
                "The session id is a server's address without a room; write one like https://host/room."
            }
        }
    }
}

impl fmt::Display for AddressError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.sentence())
    }
}

impl std::error::Error for AddressError {}

/// `None` is a scheme of something else.
fn is_secure(scheme: &str) -> Option<bool> {
    match scheme.to_ascii_lowercase().as_str() {
        "ws" | "http" => Some(false),
        "wss" | "https" => Some(true),
        _ => None,
    }
}

/// `None` is no UTF-8. A percent sign without two digits stands for itself, as in browsers.
fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = if *first == b'%' { hex_pair(after) } else { None };
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    String::from_utf8(bytes).ok()
}

fn hex_pair(text: &[u8]) -> Option<u8> {
    let digit = |index: usize| text.get(index).and_then(|byte| char::from(*byte).to_digit(16));
    u8::try_from(digit(0)? << 4 | digit(1)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parsed(text: &str) -> (bool, String, u16, String) {
        let address = Address::parse(text).expect(text);
        (address.secure, address.host, address.port, address.prefix)
    }

    fn is(secure: bool, host: &str, port: u16, prefix: &str) -> (bool, String, u16, String) {
        (secure, host.into(), port, prefix.into())
    }

    #[test]
    fn the_four_schemes_have_their_ports_and_protection() {
        assert_eq!(parsed("ws://example.test"), is(false, "example.test", 80, ""));
        assert_eq!(parsed("http://example.test/"), is(false, "example.test", 80, ""));
        assert_eq!(parsed("wss://example.test"), is(true, "example.test", 443, ""));
        assert_eq!(parsed("HTTPS://Example.test:8443"), is(true, "example.test", 8443, ""));
    }

    #[test]
    fn literal_addresses_and_prefixes_are_kept() {
        assert_eq!(parsed("ws://127.0.0.1:7880/a/b/"), is(false, "127.0.0.1", 7880, "/a/b"));
        assert_eq!(parsed("ws://[::1]:7880"), is(false, "::1", 7880, ""));
        let address = Address::parse("wss://[2001:db8::1]/x").expect("an address");
        assert_eq!(address.authority(), "[2001:db8::1]");
        assert_eq!(address.to_string(), "wss://[2001:db8::1]/x");
    }

    #[test]
    fn the_signalling_path_follows_the_prefix() {
        let query = JoinQuery { protocol: 16, ..Default::default() };
        for (text, start) in [("ws://h", "/rtc?"), ("ws://h/", "/rtc?"), ("ws://h/a/", "/a/rtc?")] {
            let path = Address::parse(text).expect(text).signal_path(&query);
            assert!(path.starts_with(start) && path.contains("protocol=16"), "{path}");
        }
    }

    #[test]
    fn what_is_no_address_says_why() {
        let wrong = [
            ("", AddressError::Empty),
            ("localhost:7880", AddressError::NoScheme),
            ("ftp://host", AddressError::UnknownScheme),
            ("ws://", AddressError::NoHost),
            ("ws:///room", AddressError::NoHost),
            ("ws://:80", AddressError::Malformed),
            ("ws://host:99999", AddressError::Malformed),
            ("ws://host:0", AddressError::Malformed),
            ("ws://ho st", AddressError::Malformed),
            ("ws://host/\r\nX: y", AddressError::Malformed),
            ("ws://[::1", AddressError::Malformed),
            ("ws://user@host", AddressError::Credentials),
            ("ws://user:password@host", AddressError::Credentials),
            ("ws://@host", AddressError::Credentials),
            ("ws://host?access_token=secret", AddressError::Extra),
            ("ws://host/#room", AddressError::Extra),
        ];
        for (text, error) in wrong {
            assert_eq!(Address::parse(text), Err(error), "{text}");
            assert!(!error.to_string().contains("secret") && !format!("{error:?}").contains("password"));
        }
    }

    #[test]
    fn a_session_id_that_is_a_url_names_its_room() {
        let of = |id: &str| {
            let found = Address::of_session_id(id).expect(id);
            found.map(|(address, room)| (address.to_string(), room))
        };
        assert_eq!(of("https://host/room"), Some(("wss://host".into(), "room".into())));
        assert_eq!(
            of("ws://host:7880/a/my%20room%2F%C3%BC/"),
            Some(("ws://host:7880/a".into(), "my room/ü".into()))
        );
        assert_eq!(of("ws://host/100%25%zz%4"), Some(("ws://host".into(), "100%%zz%4".into())));
        assert_eq!(of("2_MX4xMDB-flR1ZX4"), None);
        assert_eq!(of("urn://host/room"), None);
        assert_eq!(Address::of_session_id("https://host/"), Err(AddressError::NoRoom));
        assert_eq!(Address::of_session_id("https://host/%ff"), Err(AddressError::Malformed));
        assert_eq!(Address::of_session_id("https://a:b@host/room"), Err(AddressError::Credentials));
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in ".{0,100}", path in "(%[0-9a-f]{0,2}|[ -~]){0,30}") {
            let _ = Address::parse(&text);
            let _ = Address::of_session_id(&format!("ws://{text}"));
            let _ = Address::of_session_id(&format!("ws://host/{path}"));
        }

        #[test]
        fn an_address_that_is_shown_reads_as_itself(
            secure: bool,
            host in "[a-z][a-z0-9-]{0,10}[a-z](\\.test)?",
            port in 1..=u16::MAX,
            prefix in "(/[A-Za-z0-9_-]{1,8}){0,3}",
        ) {
            // Such a name is refused if it claims to be an encoded international one and is not.
            prop_assume!(!host.starts_with("xn--"));
            let address = Address { secure, host, port, prefix };
            prop_assert_eq!(Address::parse(&address.to_string()), Ok(address));
        }
    }
}
