//! Where the TURN servers of a session are, and the streams to them and to peers that are reached by one.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::try_join_all;
use tokio::time::timeout;

use super::connect::resolve;
use super::media_stream::MediaStream;
use super::proxy::{self, ProxyUrl};
use super::tls;
use super::wire::Wire;
use crate::session::ice::{Transport, TurnServer};
use crate::session::{Fault, Reason, Way};

/// How long the resolver and the handshakes may take. A resolver whose first name server is dead asks the next one after
/// five seconds; a relay that is found later than this comes too late for a join.
const FIND_TIMEOUT: Duration = Duration::from_secs(8);

/// A TURN server and the way to it, if there is one.
pub struct Place {
    pub server: TurnServer,
    /// The peer connections that it is for.
    pub ways: Vec<Way>,
    pub road: Option<Road>,
}

pub enum Road {
    /// The addresses of its name, in the order in which to try them.
    Udp(Vec<SocketAddr>),
    /// One for each peer connection.
    Streams(Vec<(Way, MediaStream)>),
}

/// Where the server is. Streams go through the proxy, UDP goes past it.
pub async fn place(server: TurnServer, ways: Vec<Way>, proxy: Option<ProxyUrl>) -> Place {
    let proxy = proxy.as_ref().filter(|_| server.transport != Transport::Udp);
    let road = timeout(FIND_TIMEOUT, road(&server, &ways, proxy)).await;
    let road = road.unwrap_or_else(|_| Err(proxy::late(proxy, "it")));
    let road = road.inspect_err(|fault| {
        log::warn!("the TURN server {} is left out: {}", server.host, fault.text);
    });
    Place { server, ways, road: road.ok() }
}

async fn road(server: &TurnServer, ways: &[Way], proxy: Option<&ProxyUrl>) -> Result<Road, Fault> {
    if server.transport == Transport::Udp {
        return Ok(Road::Udp(resolve(&server.host, server.port).await?.into()));
    }
    let streams = try_join_all(ways.iter().map(|_| stream(server, proxy))).await?;
    if let (Some(proxy), Some(stream)) = (proxy, streams.first()) {
        let stands_for = stream.remote;
        log::debug!("the TURN server {} is reached through {}: {stands_for}", server.host, proxy.place());
    }
    Ok(Road::Streams(ways.iter().copied().zip(streams).collect()))
}

async fn stream(server: &TurnServer, proxy: Option<&ProxyUrl>) -> Result<MediaStream, Fault> {
    let plain = proxy::open(proxy, &server.host, server.port).await?;
    let wire = match server.transport {
        Transport::Tls => tls::secure(plain, &server.host, server.port).await?,
        Transport::Tcp | Transport::Udp => plain,
    };
    MediaStream::to_turn_server(wire, proxy.map(|_| server.port))
        .ok_or_else(|| Fault::new(Reason::ConnectionFailed, "the connection is gone already"))
}

/// A wire to a peer's address.
pub async fn peer(remote: SocketAddr, proxy: Option<&ProxyUrl>) -> Result<Wire, Fault> {
    let host = remote.ip().to_string();
    let wire = timeout(FIND_TIMEOUT, proxy::open(proxy, &host, remote.port())).await;
    wire.unwrap_or_else(|_| Err(proxy::late(proxy, &remote.to_string())))
}
