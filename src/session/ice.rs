//! By which ways media may go: servers of the program's own and of the session's server, and what is forbidden.

use std::fmt;

use super::core::Config;
use super::wires::Way;
use crate::rtc::RelayPath;
use crate::signal::proto::{self, ClientConfigSetting, ClientConfiguration, JoinResponse, ReconnectResponse};

/// How many TURN servers are asked for a relay: each costs two of its ports for each client, and what the first few cannot
/// do the others cannot either.
const TURN_SERVERS_MAX: usize = 4;

/// RFC 7065 section 3.2.
const TURN_PORT: u16 = 3478;
const TURNS_PORT: u16 = 5349;

/// One server of an ICE configuration.
#[derive(Clone, PartialEq, Eq)]
pub struct IceServer {
    pub url: String,
    pub user: String,
    pub credential: String,
}

impl fmt::Debug for IceServer {
    /// Without the credential.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("IceServer")
            .field("url", &self.url)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// What a program wishes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IceConfig {
    pub servers: Vec<IceServer>,
    pub force_turn: bool,
    pub use_custom_turn_only: bool,
    pub filter_out_lan_candidates: bool,
}

/// How a TURN server is spoken to. What goes on from there is UDP in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Udp,
    Tcp,
    Tls,
}

/// A TURN server as its URL names it.
#[derive(Clone, PartialEq, Eq)]
pub struct TurnServer {
    pub transport: Transport,
    pub host: String,
    pub port: u16,
    pub user: String,
    pub credential: String,
}

impl fmt::Debug for TurnServer {
    /// Without who one is there.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("TurnServer")
            .field("transport", &self.transport)
            .field("host", &self.host)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

/// The ways to TURN servers. Each peer connection has its own: a relay belongs to one socket.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Relays {
    pub subscriber: Vec<RelayPath>,
    pub publisher: Vec<RelayPath>,
}

/// What the program wishes and the server's answer to the join together come to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Ways {
    pub servers: Vec<TurnServer>,
    /// Media goes through one of them and no other way.
    pub is_relayed_only: bool,
    pub hides_local_network: bool,
}

impl TurnServer {
    /// The same server, whoever one is there.
    pub fn is_at(&self, other: &Self) -> bool {
        (self.transport, &self.host, self.port) == (other.transport, &other.host, other.port)
    }
}

impl Relays {
    pub fn of(&self, way: Way) -> &[RelayPath] {
        match way {
            Way::Subscriber => &self.subscriber,
            Way::Publisher => &self.publisher,
        }
    }
}

impl Ways {
    pub fn new(config: &Config, join: &JoinResponse) -> Self {
        Self::of(config, &join.ice_servers, join.client_configuration.as_ref())
    }

    /// The same of a server that knows this client still.
    pub fn again(config: &Config, response: &ReconnectResponse) -> Self {
        Self::of(config, &response.ice_servers, response.client_configuration.as_ref())
    }

    fn of(config: &Config, theirs: &[proto::IceServer], client: Option<&ClientConfiguration>) -> Self {
        let ice = &config.ice;
        let theirs = if ice.use_custom_turn_only { &[][..] } else { theirs };
        let own = ice.servers.iter().map(|server| (&server.url, &server.user, &server.credential));
        let theirs = theirs.iter().flat_map(|server: &proto::IceServer| {
            server.urls.iter().map(|url| (url, &server.username, &server.credential))
        });
        let mut servers = Vec::new();
        for (url, user, credential) in own.chain(theirs) {
            if servers.len() >= TURN_SERVERS_MAX {
                break;
            }
            match turn_address(url) {
                Ok(Some((transport, host, port))) => {
                    let (user, credential) = (user.clone(), credential.clone());
                    let server = TurnServer { transport, host, port, user, credential };
                    if !servers.contains(&server) {
                        servers.push(server);
                    }
                }
                Ok(None) => {}
                Err(problem) => log::warn!("a TURN server is left out: {problem}"),
            }
        }
        let is_forced_by_server =
            client.is_some_and(|client| client.force_relay() == ClientConfigSetting::Enabled);
        Self {
            servers,
            is_relayed_only: ice.force_turn || is_forced_by_server,
            hides_local_network: ice.filter_out_lan_candidates,
        }
    }
}

/// Transport, host and port of a TURN server (RFC 7065 section 3.1). `None`: it is a STUN server, which this side has no
/// use for: the server it talks to sees its public address by itself.
fn turn_address(url: &str) -> Result<Option<(Transport, String, u16)>, &'static str> {
    let (scheme, rest) = url.trim().split_once(':').ok_or("its address has no scheme")?;
    let is_secure = match scheme.to_ascii_lowercase().as_str() {
        "turn" => false,
        "turns" => true,
        "stun" | "stuns" => return Ok(None),
        _ => return Err("its address is not one of turn: or turns:"),
    };
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let named = query.split('&').find_map(|parameter| parameter.strip_prefix("transport="));
    let transport = match (is_secure, named.map(str::to_ascii_lowercase).as_deref()) {
        (false, None | Some("udp")) => Transport::Udp,
        (false, Some("tcp")) => Transport::Tcp,
        (true, None | Some("tcp")) => Transport::Tls,
        (true, Some("udp")) => return Err("TURN over DTLS is not supported"),
        (_, Some(_)) => return Err("its transport is neither udp nor tcp"),
    };
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or("its address has a bracket that stays open")?;
            (host, port.strip_prefix(':'))
        }
        None => match place.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        },
    };
    let port = match port {
        Some(port) => port.parse().ok().filter(|port| *port > 0).ok_or("its port is no number of a port")?,
        None if is_secure => TURNS_PORT,
        None => TURN_PORT,
    };
    if host.is_empty() {
        return Err("its address names no host");
    }
    Ok(Some((transport, host.to_owned(), port)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn server(url: &str, user: &str) -> IceServer {
        IceServer { url: url.into(), user: user.into(), credential: "hidden".into() }
    }

    /// A server that names one TURN server and one of the other kind.
    fn answer() -> JoinResponse {
        let urls = vec!["turn:theirs.example:443?transport=udp".into(), "stun:theirs.example".into()];
        let servers = vec![proto::IceServer { urls, username: "they".into(), credential: "hidden".into() }];
        JoinResponse { ice_servers: servers, ..JoinResponse::default() }
    }

    fn hosts(ice: IceConfig, join: &JoinResponse) -> Vec<String> {
        let ways = Ways::new(&Config { ice, ..Config::default() }, join);
        ways.servers.iter().map(|server| format!("{}@{}:{}", server.user, server.host, server.port)).collect()
    }

    #[test]
    fn the_programs_own_servers_come_before_those_of_the_session() {
        let mut ice = IceConfig { servers: vec![server("turn:own.example", "i")], ..IceConfig::default() };
        assert_eq!(hosts(ice.clone(), &answer()), ["i@own.example:3478", "they@theirs.example:443"]);
        ice.use_custom_turn_only = true;
        assert_eq!(hosts(ice, &answer()), ["i@own.example:3478"]);
    }

    #[test]
    fn a_server_may_force_a_relay_too() {
        let force_relay = ClientConfigSetting::Enabled as i32;
        let client = ClientConfiguration { force_relay, ..ClientConfiguration::default() };
        let join = JoinResponse { client_configuration: Some(client), ..answer() };
        assert!(Ways::new(&Config::default(), &join).is_relayed_only);
        assert!(!Ways::new(&Config::default(), &answer()).is_relayed_only);
    }

    #[test]
    fn no_more_servers_are_asked_than_is_of_use() {
        let servers = (0..64).map(|number| server(&format!("turn:host{number}"), "i")).collect();
        assert_eq!(hosts(IceConfig { servers, ..IceConfig::default() }, &answer()).len(), TURN_SERVERS_MAX);
    }

    #[test]
    fn the_addresses_of_turn_servers_are_read() {
        use Transport::{Tcp, Tls, Udp};
        for (url, transport, host, port) in [
            ("turn:host", Udp, "host", 3478),
            (" TURN:host:5000 ", Udp, "host", 5000),
            ("turn:192.0.2.1:1?transport=UDP", Udp, "192.0.2.1", 1),
            ("turn:192.0.2.1?transport=tcp", Tcp, "192.0.2.1", 3478),
            ("turns:host", Tls, "host", 5349),
            ("turns:host:443?transport=tcp", Tls, "host", 443),
            ("turn:[2001:db8::1]", Udp, "2001:db8::1", 3478),
            ("turn:[2001:db8::1]:5000", Udp, "2001:db8::1", 5000),
        ] {
            assert_eq!(turn_address(url), Ok(Some((transport, host.to_owned(), port))), "{url}");
        }
        assert_eq!(turn_address("stun:host:1"), Ok(None));
        for url in [
            "",
            "host",
            "http://host",
            "turns:host?transport=udp",
            "turn:",
            "turn:h:0",
            "turn:h:x",
            "turn:[::1",
            "turn:h?transport=sctp",
        ] {
            assert!(turn_address(url).is_err(), "{url}");
        }
    }

    #[test]
    fn nobody_sees_the_credentials() {
        let ice = IceConfig { servers: vec![server("turn:own.example", "i")], ..IceConfig::default() };
        let config = Config { ice: ice.clone(), ..Config::default() };
        let ways = Ways::new(&config, &answer());
        assert!(!format!("{ice:?} {ways:?}").contains("hidden"));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in any::<String>(), tail in "[ -~]{0,30}") {
            let _ = turn_address(&text);
            let _ = turn_address(&format!("turn:{tail}"));
        }
    }
}
