//! This process's part in the embedded hub: it connects to the process that hosts it, or becomes the host.

use std::time::Duration;

use tokio::net::UnixStream;

use crate::server::Config;
use crate::server::hub::{self, HubError, Place};
use crate::session::{Fault, Reason};
use crate::signal::token::Secrets;

/// With it set the hub checks the signatures of tokens; without it, being the same user is proof enough.
const SECRET_VARIABLE: &str = "OTC_API_SECRET";

/// A connection to the hub. Where nobody hosts it, this process does from now on, on the runtime of the caller.
pub async fn connect() -> Result<UnixStream, Fault> {
    let secret = std::env::var(SECRET_VARIABLE).ok().filter(|secret| !secret.is_empty());
    let config =
        Config { secrets: secret.map(Secrets::for_any_key).unwrap_or_default(), ..Config::default() };
    let place = Place::find().map_err(fault)?;
    hub::join_or_host(&place, &config).await.map_err(fault)
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
