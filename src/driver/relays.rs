//! Where the TURN servers of a session are, and the streams to those that are reached by one.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;

use super::connect::{connect, resolve};
use super::media_stream::MediaStream;
use super::tls;
use super::wire::Wire;
use crate::session::ice::{Transport, TurnServer};
use crate::session::{Fault, Reason};

/// How long the resolver and the handshakes may take. A relay that is found later than this comes too late for a join.
pub const FIND_TIMEOUT: Duration = Duration::from_secs(5);

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

/// Those of the servers to which there is a way.
pub async fn places(servers: Vec<TurnServer>) -> Vec<Place> {
    let found = join_all(servers.into_iter().map(|server| async move {
        let road = timeout(FIND_TIMEOUT, road(&server)).await;
        match road.unwrap_or_else(|_| Err(Fault::new(Reason::TimedOut, "it was not reached in time"))) {
            Ok(road) => Some(Place { server, road }),
            Err(fault) => {
                log::warn!("the TURN server {} is left out: {}", server.host, fault.text);
                None
            }
        }
    }));
    found.await.into_iter().flatten().collect()
}

async fn road(server: &TurnServer) -> Result<Road, Fault> {
    if server.transport == Transport::Udp {
        return Ok(Road::Udp(resolve(&server.host, server.port).await?.into()));
    }
    let (subscriber, publisher) = tokio::try_join!(stream(server), stream(server))?;
    Ok(Road::Streams(Box::new([subscriber, publisher])))
}

async fn stream(server: &TurnServer) -> Result<MediaStream, Fault> {
    let plain = Wire::Plain(connect(&server.host, server.port).await?.into());
    let wire = match server.transport {
        Transport::Tls => tls::secure(plain, &server.host, server.port).await?,
        Transport::Tcp | Transport::Udp => plain,
    };
    MediaStream::to_turn_server(wire)
        .ok_or_else(|| Fault::new(Reason::ConnectionFailed, "the connection is gone already"))
}
