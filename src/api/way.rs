//! The way to a session's server, and how it is gone: the settings of the session, the environment and the hub
//! together make a dialler.

use super::hub;
use super::session::Settings;
use crate::driver::dial::{Request, Target, dial};
use crate::driver::place::{Place, place};
use crate::driver::proxy::ProxyUrl;
use crate::driver::session::{Dialler, Dialling};
use crate::session::{Fault, Reason};
use crate::signal::address::Address;
use crate::signal::join::JoinQuery;

/// Goes the way anew for each dial: the hub's host may be another process by then.
pub struct Way(Result<Road, Fault>);

enum Road {
    Hub,
    Server { address: Address, proxy: Option<ProxyUrl> },
}

impl Way {
    /// The way to `session_id`, and the room it leads to. A way that cannot be gone says why when it is tried.
    pub fn find(session_id: &str, settings: &Settings) -> (Self, String) {
        let (road, room) = match place(session_id) {
            Ok(Place::Hub { session }) => (Ok(Road::Hub), session),
            Ok(Place::Server { address, room }) => {
                (Road::to(address, settings), room.unwrap_or_else(|| session_id.to_owned()))
            }
            Err(fault) => (Err(fault), session_id.to_owned()),
        };
        (Self(road), room)
    }

    /// The way to the server at this URL.
    pub fn to(url: &str, settings: &Settings) -> Self {
        let address = Address::parse(url)
            .map_err(|error| Fault::new(Reason::ConnectionFailed, format!("{error} The program named it.")));
        Self(address.and_then(|address| Road::to(address, settings)))
    }
}

impl Road {
    fn to(address: Address, settings: &Settings) -> Result<Self, Fault> {
        let proxy = settings.proxy_url.as_deref().map(ProxyUrl::parse).transpose()?;
        Ok(Self::Server { address, proxy })
    }
}

impl Dialler for Way {
    fn dial(&self, query: JoinQuery, token: String) -> Dialling {
        match &self.0 {
            Err(fault) => {
                let fault = fault.clone();
                Box::pin(async move { Err(fault) })
            }
            Ok(Road::Hub) => {
                let request = Request { path_and_query: format!("/rtc?{}", query.encode()), token };
                Box::pin(async move { dial(Target::Stream(hub::connect().await?), &request).await })
            }
            Ok(Road::Server { address, proxy }) => {
                let request = Request { path_and_query: address.signal_path(&query), token };
                let target = Target::Tcp { address: address.clone(), proxy: proxy.clone() };
                Box::pin(async move { dial(target, &request).await })
            }
        }
    }
}
