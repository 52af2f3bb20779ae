//! The way to a session's server, and how it is gone: the settings of the session, the environment and the hub
//! together make a dialler.

use super::hub::Hub;
use super::session::Settings;
use crate::driver::dial::{Request, Target, dial};
use crate::driver::place::{Place, place};
use crate::driver::proxy::ProxyUrl;
use crate::driver::service;
use crate::driver::session::{Calling, Dialler, Dialling};
use crate::driver::tls;
use crate::session::{Fault, Reason};
use crate::signal::address::Address;
use crate::signal::join::JoinQuery;
use crate::signal::service::Call;

/// Goes the way anew for each dial: the hub's host may be another process by then.
pub struct Way(Result<Road, Fault>);

enum Road {
    Hub(Hub),
    Server {
        address: Address,
        proxy: Option<ProxyUrl>,
        /// Servers that this one names are not gone to.
        stays: bool,
    },
}

impl Way {
    /// The way to `session_id`, and the room it leads to. A way that cannot be gone leads to none, and says why when it is
    /// tried.
    pub fn find(session_id: &str, settings: &Settings) -> (Self, Option<String>) {
        tls::look_around();
        let (road, room) = match place(session_id) {
            Ok(Place::Hub { session }) => (Ok(Road::Hub(Hub::of_the_environment())), Some(session)),
            Ok(Place::Server { address, room }) => {
                (Road::to(address, settings), Some(room.unwrap_or_else(|| session_id.to_owned())))
            }
            Err(fault) => (Err(fault), None),
        };
        (Self(road), room)
    }

    /// The way to this server, whatever the environment says.
    pub fn to(address: Address, settings: &Settings) -> Self {
        tls::look_around();
        Self(Road::to(address, settings))
    }

    pub fn is_hub(&self) -> bool {
        matches!(self.0, Ok(Road::Hub(_)))
    }
}

impl Road {
    fn to(address: Address, settings: &Settings) -> Result<Self, Fault> {
        let proxy = settings.proxy_url.as_deref().map(ProxyUrl::parse).transpose()?;
        Ok(Self::Server { address, proxy, stays: settings.ip_whitelist })
    }
}

/// The address that a server has named, where it is gone to. A token that came over TLS does not go on without it.
fn address_of(named: Option<&str>, own: &Address, stays: bool) -> Result<Address, Fault> {
    let Some(named) = named.filter(|_| !stays) else { return Ok(own.clone()) };
    let fault = |text: String| Fault::new(Reason::ConnectionFailed, text);
    let address = Address::parse(named).map_err(|error| {
        fault(format!("the server sends this client to an address that is none: {error}"))
    })?;
    if own.secure && !address.secure {
        return Err(fault(format!("the server sends this client to {address}, without TLS")));
    }
    Ok(address)
}

impl Dialler for Way {
    fn dial(&self, query: JoinQuery, token: String, elsewhere: Option<String>) -> Dialling {
        match &self.0 {
            Err(fault) => {
                let fault = fault.clone();
                Box::pin(async move { Err(fault) })
            }
            Ok(Road::Hub(hub)) => {
                let hub = hub.clone();
                let request = Request { path_and_query: format!("/rtc?{}", query.encode()), token };
                Box::pin(async move { hub.dial(&request).await })
            }
            Ok(Road::Server { address, proxy, stays }) => {
                let proxy = proxy.clone();
                let address = address_of(elsewhere.as_deref(), address, *stays);
                Box::pin(async move {
                    let address = address?;
                    let request = Request { path_and_query: address.signal_path(&query), token };
                    dial(Target::Tcp { address, proxy }, &request).await
                })
            }
        }
    }

    fn proxy(&self) -> Option<ProxyUrl> {
        match &self.0 {
            Ok(Road::Server { proxy, .. }) => proxy.clone(),
            Ok(Road::Hub(_)) | Err(_) => None,
        }
    }

    fn call(&self, call: Call, token: String, elsewhere: Option<String>) -> Calling {
        let body = call.encode();
        match &self.0 {
            Err(fault) => {
                let fault = fault.clone();
                Box::pin(async move { Err(fault) })
            }
            Ok(Road::Hub(hub)) => {
                let hub = hub.clone();
                let request = Request { path_and_query: call.path().to_owned(), token };
                Box::pin(
                    async move { service::call(Target::Stream(hub.connect().await?), &request, &body).await },
                )
            }
            Ok(Road::Server { address, proxy, stays }) => {
                let (proxy, path) = (proxy.clone(), call.path());
                let address = address_of(elsewhere.as_deref(), address, *stays);
                Box::pin(async move {
                    let address = address?;
                    let request = Request { path_and_query: address.path(path), token };
                    service::call(Target::Tcp { address, proxy }, &request, &body).await
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn gone_to(named: &str, own: &str, stays: bool) -> Result<String, Fault> {
        let own = Address::parse(own).expect("an address");
        address_of(Some(named), &own, stays).map(|address| address.to_string())
    }

    #[test]
    fn a_server_may_name_any_other_but_none_that_gives_up_tls() {
        let (secure, plain) = ("wss://home.example/under", "ws://127.0.0.1:7880");
        assert_eq!(gone_to("https://one.example", secure, false).as_deref(), Ok("wss://one.example"));
        assert_eq!(gone_to("ws://127.0.0.1:7881", plain, false).as_deref(), Ok("ws://127.0.0.1:7881"));
        for (address, own) in [("ws://one.example", secure), ("one.example", plain), ("wss://u:p@h", plain)] {
            let fault = gone_to(address, own, false).expect_err(address);
            assert_eq!(fault.reason, Reason::ConnectionFailed);
            assert!(!fault.text.contains("u:p"));
        }
    }

    #[test]
    fn what_a_server_is_asked_to_do_goes_where_its_session_is() {
        let own = Address::parse("wss://home.example").expect("an address");
        let way = Way::to(own, &Settings::default());
        let call = Call::RemoveParticipant { room: "room".into(), identity: "ann".into() };
        let called = way.call(call, "token".into(), Some("ws://one.example".into())).now_or_never();
        let Some(Err(fault)) = called else { panic!("it is not gone there") };
        assert!(fault.text.contains("ws://one.example"), "{}", fault.text);
    }

    #[test]
    fn who_stays_goes_to_no_other_server() {
        for named in ["wss://one.example", "nonsense"] {
            assert_eq!(gone_to(named, "wss://home.example", true).as_deref(), Ok("wss://home.example"));
        }
    }
}
