//! This process's part in the embedded hub: it connects to the process that hosts it, or becomes the host.

use std::time::Duration;

use tokio::net::UnixStream;
use tokio::time::{Instant, sleep};

use crate::driver::dial::{self, Request, Target};
use crate::driver::link::{Link, LinkEvent};
use crate::server::Config;
use crate::server::hub::{self, HubError, Place};
use crate::session::{Fault, Reason};
use crate::signal::frame::FromServer;
use crate::signal::proto::{DisconnectReason, signal_response::Message};
use crate::signal::token::Secrets;

/// With it set the hub checks the signatures of tokens; without it, being the same user is proof enough.
const SECRET_VARIABLE: &str = "OTC_API_SECRET";

/// How long a dial is begun anew because the host ended under it. Another one takes over within milliseconds, on a busy
/// machine within a second; a hub that lets nobody in for longer has another illness.
const TAKEOVER_LIMIT: Duration = Duration::from_secs(3);

/// The pause before each of these: the rest of a process that was killed is being cleared away.
const TAKEOVER_PAUSE: Duration = Duration::from_millis(5);

/// A link to the hub. Its host is some program, which may end at any moment. A program that happens to come in right
/// then comes in all the same: to the next host.
pub async fn dial(request: &Request) -> Result<Link, Fault> {
    let give_up = Instant::now() + TAKEOVER_LIMIT;
    let place = Place::find().map_err(fault)?;
    // Two programs that do not meet may be at two places.
    log::info!("the hub of this user is in {}", place.directory().display());
    loop {
        let mut dialled = dial::dial(Target::Stream(connect_at(&place).await?), request).await;
        let host_ended = match &mut dialled {
            Ok(link) => is_end(link.peek().await),
            Err(fault) => matches!(fault.reason, Reason::ConnectionFailed | Reason::NoMessagingServer),
        };
        if !host_ended || Instant::now() >= give_up {
            return dialled;
        }
        sleep(TAKEOVER_PAUSE).await;
    }
}

/// Whether the first thing that the hub says is that it is not there any more.
fn is_end(first: &LinkEvent) -> bool {
    match first {
        LinkEvent::Closed(_) => true,
        LinkEvent::Frame(bytes) => match FromServer::decode(bytes) {
            Ok(Some(FromServer::Message(Message::Leave(leave)))) => {
                leave.reason() == DisconnectReason::ServerShutdown
            }
            _ => false,
        },
    }
}

/// A connection to the hub. Where nobody hosts it, this process does from now on, on the runtime of the caller.
pub async fn connect() -> Result<UnixStream, Fault> {
    connect_at(&Place::find().map_err(fault)?).await
}

async fn connect_at(place: &Place) -> Result<UnixStream, Fault> {
    let secret = std::env::var(SECRET_VARIABLE).ok().filter(|secret| !secret.is_empty());
    let config =
        Config { secrets: secret.map(Secrets::for_any_key).unwrap_or_default(), ..Config::default() };
    hub::join_or_host(place, &config).await.map_err(fault)
}

/// Ends the hosting, where this process does it; the clients are told, and another one takes over.
pub async fn stop(limit: Duration) {
    hub::stop(limit).await;
}

fn fault(error: HubError) -> Fault {
    let text = error.to_string();
    log::warn!("{text}");
    Fault::new(Reason::ConnectionFailed, text)
}
