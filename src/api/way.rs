//! The way to a session's server, and how it is gone: the settings of the session, the environment and the hub
//! together make a dialler.

use super::hub;
use super::session::Settings;
use crate::driver::dial::{Request, Target, dial};
use crate::driver::place::{Place, place};
use crate::driver::proxy::ProxyUrl;
use crate::driver::service;
use crate::driver::session::{Calling, Dialler, Dialling};
use crate::session::Fault;
use crate::signal::address::Address;
use crate::signal::join::JoinQuery;
use crate::signal::service::Call;

/// Goes the way anew for each dial: the hub's host may be another process by then.
pub struct Way(Result<Road, Fault>);

enum Road {
    Hub,
    Server { address: Address, proxy: Option<ProxyUrl> },
}

impl Way {
    /// The way to `session_id`, and the room it leads to. A way that cannot be gone leads to none, and says why when it is
    /// tried.
    pub fn find(session_id: &str, settings: &Settings) -> (Self, Option<String>) {
        let (road, room) = match place(session_id) {
            Ok(Place::Hub { session }) => (Ok(Road::Hub), Some(session)),
            Ok(Place::Server { address, room }) => {
                (Road::to(address, settings), Some(room.unwrap_or_else(|| session_id.to_owned())))
            }
            Err(fault) => (Err(fault), None),
        };
        (Self(road), room)
    }

    /// The way to this server, whatever the environment says.
    pub fn to(address: Address, settings: &Settings) -> Self {
        Self(Road::to(address, settings))
    }

    pub fn is_hub(&self) -> bool {
        matches!(self.0, Ok(Road::Hub))
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
                Box::pin(async move { hub::dial(&request).await })
            }
            Ok(Road::Server { address, proxy }) => {
                let request = Request { path_and_query: address.signal_path(&query), token };
                let target = Target::Tcp { address: address.clone(), proxy: proxy.clone() };
                Box::pin(async move { dial(target, &request).await })
            }
        }
    }

    fn call(&self, call: Call, token: String) -> Calling {
        let body = call.encode();
        match &self.0 {
            Err(fault) => {
                let fault = fault.clone();
                Box::pin(async move { Err(fault) })
            }
            Ok(Road::Hub) => {
                let request = Request { path_and_query: call.path().to_owned(), token };
                Box::pin(async move {
                    service::call(Target::Stream(hub::connect().await?), &request, &body).await
                })
            }
            Ok(Road::Server { address, proxy }) => {
                let request = Request { path_and_query: address.path(call.path()), token };
                let target = Target::Tcp { address: address.clone(), proxy: proxy.clone() };
                Box::pin(async move { service::call(target, &request, &body).await })
            }
        }
    }
}
