//! A TCP connection to a name or address, the first that answers.
//!
//! All addresses of a name are tried, each a little after the one before it and at once when that one has failed
//! (RFC 8305 in its simplest form), so a dead address costs a quarter of a second and not the whole join.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::net::TcpStream;

use super::http::one_line;
use super::names;
use crate::session::{Fault, Reason};

/// RFC 8305 section 5 recommends it: longer than most round trips, shorter than a person notices.
const STAGGER: Duration = Duration::from_millis(250);

/// A name with more addresses than this is a load balancer's; the first few will do.
const ADDRESSES_MAX: usize = 8;

/// Dropping the future closes every attempt that is still under way.
pub(super) async fn connect(host: &str, port: u16) -> Result<TcpStream, Fault> {
    let mut waiting = resolve(host, port).await?;
    let mut attempts = FuturesUnordered::new();
    let mut failures = Vec::new();
    loop {
        if let Some(address) = waiting.pop_front() {
            attempts.push(attempt(address));
        }
        if attempts.is_empty() {
            return Err(fault(&most_telling(failures), &display(host, port)));
        }
        tokio::select! {
            Some(result) = attempts.next() => match result {
                Ok(stream) => return Ok(stream),
                Err(error) => failures.push(error),
            },
            () = tokio::time::sleep(STAGGER), if !waiting.is_empty() => {}
        }
    }
}

async fn attempt(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    // Nobody listened, and the kernel happened to choose the very port that was called (RFC 9293 3.5, simultaneous
    // open). It happens to a client that knocks on a local port until its server is back.
    if stream.local_addr()? == stream.peer_addr()? {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    // Signalling is small messages that somebody waits for.
    if let Err(error) = stream.set_nodelay(true) {
        log::debug!("TCP_NODELAY could not be set: {error}");
    }
    Ok(stream)
}

/// The addresses in the order in which to try them. Numbers and `localhost` need no resolver, which can neither be
/// interrupted nor hurried.
pub(super) async fn resolve(host: &str, port: u16) -> Result<VecDeque<SocketAddr>, Fault> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok([SocketAddr::new(address, port)].into());
    }
    if is_localhost(host) {
        let both = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        return Ok(both.into_iter().map(|address| SocketAddr::new(address, port)).collect());
    }
    let found = names::look_up(host).await;
    let found = found.as_ref().as_ref().map_err(|error| {
        let text = format!(
            "the name {host} could not be resolved ({error}); is it spelt right, and does name resolution work here?"
        );
        Fault::new(Reason::ConnectionFailed, text)
    })?;
    let addresses = interleave(found.iter().map(|address| with_port(*address, port)));
    if addresses.is_empty() {
        return Err(Fault::new(Reason::ConnectionFailed, format!("the name {host} has no address")));
    }
    Ok(addresses)
}

fn with_port(mut address: SocketAddr, port: u16) -> SocketAddr {
    address.set_port(port);
    address
}

/// RFC 6761 6.3: names that end in `localhost` are this machine, whatever a resolver says.
fn is_localhost(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    host == "localhost" || host.ends_with(".localhost")
}

/// The two families in turn, beginning with the one that the resolver put first: when one of them is dead altogether,
/// the other's turn is never far.
fn interleave(found: impl Iterator<Item = SocketAddr>) -> VecDeque<SocketAddr> {
    let found: Vec<SocketAddr> = found.collect();
    let first_is_v6 = found.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let mut second = second.into_iter();
    let mut order = VecDeque::new();
    for address in first {
        order.push_back(address);
        order.extend(second.next());
    }
    order.extend(second);
    order.truncate(ADDRESSES_MAX);
    order
}

/// One address said that nothing listens: that is the server's machine, the others are the way to it.
fn most_telling(failures: Vec<io::Error>) -> io::Error {
    let rank = |error: &io::Error| match error.kind() {
        io::ErrorKind::ConnectionRefused => 0,
        io::ErrorKind::TimedOut => 1,
        _ => 2,
    };
    failures.into_iter().min_by_key(rank).unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into())
}

/// `host:port`, with an IPv6 address in brackets.
pub(super) fn display(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// What a socket error means for a session. `place` is the other end, for a person to read.
pub(super) fn fault(error: &io::Error, place: &str) -> Fault {
    use io::ErrorKind::*;
    let (reason, text) = match error.kind() {
        ConnectionRefused => (Reason::Refused, format!("nothing listens on {place}; is the server running?")),
        TimedOut => (
            Reason::TimedOut,
            format!("{place} did not answer; is the address right, and does every firewall let it through?"),
        ),
        HostUnreachable | NetworkUnreachable | AddrNotAvailable | NetworkDown => (
            Reason::ConnectionFailed,
            format!("there is no way to {place} ({error}); is the network of this machine up?"),
        ),
        ConnectionReset | ConnectionAborted | BrokenPipe | UnexpectedEof => (
            Reason::ConnectionFailed,
            format!("{place} cut the connection before it was made; is it a server for sessions?"),
        ),
        _ if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)) => (
            Reason::ConnectionFailed,
            "this process has no file descriptor left; raise its limit (ulimit -n)".to_owned(),
        ),
        _ => {
            let detail = one_line(&error.to_string(), 200).unwrap_or_default();
            (Reason::ConnectionFailed, format!("no connection to {place}: {detail}"))
        }
    };
    Fault::new(reason, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_families_of_addresses_take_turns() {
        let found =
            ["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1"].map(|text| text.parse().expect("an address"));
        let order: Vec<String> = interleave(found.into_iter()).iter().map(ToString::to_string).collect();
        assert_eq!(order, ["[::1]:1", "1.1.1.1:1", "[::2]:1", "[::3]:1"]);
    }

    #[test]
    fn a_refusal_tells_more_than_a_missing_route() {
        let failures =
            vec![io::ErrorKind::NetworkUnreachable.into(), io::ErrorKind::ConnectionRefused.into()];
        assert_eq!(most_telling(failures).kind(), io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn only_this_machine_is_localhost() {
        assert!(is_localhost("LocalHost.") && is_localhost("a.localhost"));
        assert!(!is_localhost("localhost.example") && !is_localhost("mylocalhost"));
    }
}
