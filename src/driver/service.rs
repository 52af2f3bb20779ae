//! Calls to the server's own interface (Twirp): one POST each, by the same way as the link.

use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::time::timeout;

use super::dial::{self, Request, Target};
use super::http;
use super::tls;
use crate::session::{Fault, Reason};
use crate::signal::service::CONTENT_TYPE;

/// How long a call may take as a whole. Nobody waits for it, but a server that says nothing must not be waited for as
/// long as the session lives.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// Makes one call. What a server answers to a call that it has carried out is not read: nothing is asked for that
/// answers more than yes.
pub async fn call(target: Target, request: &Request, body: &[u8]) -> Result<(), Fault> {
    let in_time = timeout(CALL_TIMEOUT, post(target, request, body)).await;
    in_time
        .unwrap_or_else(|_| Err(Fault::new(Reason::TimedOut, "the server did not answer the call in time")))
}

async fn post(target: Target, request: &Request, body: &[u8]) -> Result<(), Fault> {
    dial::check(request)?;
    let (mut wire, host, place) = dial::reach(target).await?;
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Type: {CONTENT_TYPE}\r\n\
         Content-Length: {}\r\nAuthorization: Bearer {}\r\nUser-Agent: openotc/{}\r\n\r\n",
        request.path_and_query,
        body.len(),
        request.token,
        env!("CARGO_PKG_VERSION"),
    );
    let sent = async {
        wire.write_all(head.as_bytes()).await?;
        wire.write_all(body).await?;
        wire.flush().await
    };
    sent.await.map_err(|error| tls::fault(&error, &place))?;
    let head = http::read_head(&mut wire).await.map_err(|error| dial::no_answer(error, &place))?;
    if head.status == 200 {
        return Ok(());
    }
    let sentence = http::read_sentence(&mut wire, &head, &request.token).await.unwrap_or_default();
    let reason =
        if matches!(head.status, 401 | 403) { Reason::Authorization } else { Reason::ConnectionFailed };
    Err(Fault::new(reason, format!("{place} answered HTTP {} {sentence}", head.status)))
}
