//! Where the TURN servers of a session are, and the streams to them and to peers that are reached by one.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;

use super::connect::resolve;
use super::media_stream::MediaStream;
use super::proxy::{self, ProxyUrl};
use super::tls;
use super::wire::Wire;
use crate::session::ice::{Transport, TurnServer};
use crate::session::{Fault, Reason};

/// How long the resolver and the handshakes may take. A relay that is found later than this comes too late for a join.
const FIND_TIMEOUT: Duration = Duration::from_secs(5);

/// A TURN server and the way to it.
pub struct Place {
    pub server: TurnServer,
    pub road: Road,
}

pub enum Road {
    /// The addresses of its name, in the order in which to try them.
    Udp(Vec<SocketAddr>),
    /// One for each peer connection: subscriber and publisher.
    Streams(Box<[MediaStream; 2]>),
}

/// Those of the servers to which there is a way. Streams go through the proxy, UDP goes past it.
pub async fn places(servers: Vec<TurnServer>, proxy: Option<ProxyUrl>) -> Vec<Place> {
    let found = servers.into_iter().map(|server| place(server, proxy.as_ref()));
    join_all(found).await.into_iter().flatten().collect()
}

async fn place(server: TurnServer, proxy: Option<&ProxyUrl>) -> Option<Place> {
    let proxy = proxy.filter(|_| server.transport != Transport::Udp);
    let road = timeout(FIND_TIMEOUT, road(&server, proxy)).await;
    match road.unwrap_or_else(|_| Err(proxy::late(proxy, "it"))) {
        Ok(road) => Some(Place { server, road }),
        Err(fault) => {
            log::warn!("the TURN server {} is left out: {}", server.host, fault.text);
            None
        }
    }
}

async fn road(server: &TurnServer, proxy: Option<&ProxyUrl>) -> Result<Road, Fault> {
    if server.transport == Transport::Udp {
        return Ok(Road::Udp(resolve(&server.host, server.port).await?.into()));
    }
    let (subscriber, publisher) = tokio::try_join!(stream(server, proxy), stream(server, proxy))?;
    if let Some(proxy) = proxy {
        let stands_for = subscriber.remote;
        log::debug!("the TURN server {} is reached through {}: {stands_for}", server.host, proxy.place());
    }
    Ok(Road::Streams(Box::new([subscriber, publisher])))
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
