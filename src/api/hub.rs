//! This process's part in the embedded hub: it connects to the process that hosts it, or becomes the host.

use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::time::{Instant, sleep, timeout};

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

/// Names the directory that the hub is in.
const RUNTIME_VARIABLE: &str = "XDG_RUNTIME_DIR";

/// How long a dial is begun anew because the host ended under it. Another one takes over within milliseconds, on a busy
/// machine within a second; a hub that lets nobody in for longer has another illness.
const TAKEOVER_LIMIT: Duration = Duration::from_secs(3);

/// The pause before each of these: the rest of a process that was killed is being cleared away.
const TAKEOVER_PAUSE: Duration = Duration::from_millis(5);

/// When the log says that the host does not answer, and when that is an error. Busy machines need seconds. A reconnection
/// waits for five; the join as a whole has ten, and who waits for it is to hear which process is at fault.
const ANSWER_TIMES: [Duration; 2] = [Duration::from_secs(4), Duration::from_secs(8)];

/// What the environment says of the hub. It is read on the program's own thread, when that connects a session: a program
/// may change it at any time, and on another thread that would be a race inside the C library.
#[derive(Clone)]
pub struct Hub {
    /// `XDG_RUNTIME_DIR`.
    runtime: Option<PathBuf>,
    secrets: Secrets,
}

impl Hub {
    pub fn of_the_environment() -> Self {
        let secret = std::env::var(SECRET_VARIABLE).ok().filter(|secret| !secret.is_empty());
        Self {
            runtime: std::env::var_os(RUNTIME_VARIABLE).map(PathBuf::from),
            secrets: secret.map(Secrets::for_any_key).unwrap_or_default(),
        }
    }

    /// A link to the hub. Its host is some program, which may end at any moment. A program that happens to come in right
    /// then comes in all the same: to the next host.
    pub async fn dial(&self, request: &Request) -> Result<Link, Fault> {
        let give_up = Instant::now() + TAKEOVER_LIMIT;
        let place = self.place()?;
        // Two programs that do not meet may be at two places.
        log::info!("the hub of this user is in {}", place.directory().display());
        loop {
            let (dialled, host_ended) =
                ask_in_time(self.connect_at(&place).await?, request, ANSWER_TIMES).await?;
            if !host_ended || Instant::now() >= give_up {
                return dialled;
            }
            sleep(TAKEOVER_PAUSE).await;
        }
    }

    /// A connection to the hub. Where nobody hosts it, this process does from now on, on the runtime of the caller.
    pub async fn connect(&self) -> Result<UnixStream, Fault> {
        self.connect_at(&self.place()?).await
    }

    fn place(&self) -> Result<Place, Fault> {
        Place::find(self.runtime.clone()).map_err(fault)
    }

    async fn connect_at(&self, place: &Place) -> Result<UnixStream, Fault> {
        let config = Config { secrets: self.secrets.clone(), ..Config::default() };
        hub::join_or_host(place, &config).await.map_err(fault)
    }
}

/// The link, and whether the host ended instead of answering.
async fn ask(stream: UnixStream, request: &Request) -> (Result<Link, Fault>, bool) {
    let mut dialled = dial::dial(Target::Stream(stream), request).await;
    let host_ended = match &mut dialled {
        Ok(link) => is_end(link.peek().await),
        Err(fault) => matches!(fault.reason, Reason::ConnectionFailed | Reason::NoMessagingServer),
    };
    (dialled, host_ended)
}

/// A process that is stopped keeps its lock and its socket, so nobody can take over from it.
async fn ask_in_time(
    stream: UnixStream,
    request: &Request,
    [late, limit]: [Duration; 2],
) -> Result<(Result<Link, Fault>, bool), Fault> {
    let host = stream.peer_cred().ok().and_then(|peer| peer.pid());
    let mut asked = pin!(ask(stream, request));
    if let Ok(asked) = timeout(late, &mut asked).await {
        return Ok(asked);
    }
    let process = host.map_or_else(|| "The process".to_owned(), |host| format!("Process {host}"));
    let text = format!("{process} serves the hub and does not answer: it hangs, or is stopped.");
    log::warn!("{text}");
    timeout(limit - late, asked).await.map_err(|_| Fault::new(Reason::TimedOut, text))
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

/// Ends the hosting, where this process does it; the clients are told, and another one takes over.
pub async fn stop(limit: Duration) {
    hub::stop(limit).await;
}

fn fault(error: HubError) -> Fault {
    let text = error.to_string();
    log::warn!("{text}");
    Fault::new(Reason::ConnectionFailed, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_does_not_answer_is_named() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let fault = runtime.block_on(async {
            // The other end is this process, which never reads.
            let (stream, _host) = UnixStream::pair().expect("two sockets");
            let request = Request { path_and_query: "/rtc".into(), token: "token".into() };
            let times = [Duration::from_millis(1), Duration::from_millis(2)];
            ask_in_time(stream, &request, times).await.expect_err("no answer")
        });
        assert_eq!(fault.reason, Reason::TimedOut);
        assert!(fault.text.contains(&format!("Process {} serves the hub", std::process::id())), "{fault:?}");
    }
}
