//! One client's WebSocket, from its upgrade to its end.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::{Sink, SinkExt as _, Stream, StreamExt as _};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Message, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Error};

use super::actor::{Desk, Ticket};
use super::core::LinkId;
use super::outbox::Mail;
use super::running::{Life, Phase};
use crate::driver::wire::Socket;
use crate::signal::frame::{FRAME_SIZE_MAX, REQUEST_SIZE_MAX};

/// Signals and pings are far smaller, and a thousand links must fit into a process that has other things to do.
const READ_BUFFER_SIZE: usize = 4 << 10;

/// What a client may leave unread of what was said before it was closed.
const FAREWELL_LIMIT: Duration = Duration::from_millis(500);

/// What happened on a link.
enum Step {
    Received(Vec<u8>),
    /// A message from the core was taken; it is written while the next step is waited for.
    Taken,
    /// The core has closed the link.
    Dismissed,
    /// The client is gone, or does not speak the protocol.
    Over,
}

struct Link {
    socket: WebSocketStream<Socket>,
    mail: Mail,
    /// Something may wait in the socket's own buffer.
    is_unflushed: bool,
}

/// Serves the client until either side closes. `early` is what the client sent right after its request.
pub async fn run(mut life: Life, socket: Socket, early: Vec<u8>, ticket: Ticket, desk: Desk) {
    let mut config = WebSocketConfig::default();
    config.read_buffer_size = READ_BUFFER_SIZE;
    config.write_buffer_size = 0;
    // Messages are handed over one at a time, so this is one message and the answers to a few WebSocket pings.
    config.max_write_buffer_size = 2 * FRAME_SIZE_MAX;
    config.max_message_size = Some(REQUEST_SIZE_MAX);
    config.max_frame_size = Some(REQUEST_SIZE_MAX);
    let socket = WebSocketStream::from_partially_read(socket, early, Role::Server, Some(config)).await;
    let id = ticket.link;
    let Some(mail) = desk.open(ticket).await else { return };
    let mut link = Link { socket, mail, is_unflushed: false };
    tokio::select! {
        () = link.serve(id, &desk) => {}
        () = life.reaches(Phase::Over) => {}
    }
    desk.closed(id).await;
}

impl Link {
    async fn serve(&mut self, id: LinkId, desk: &Desk) {
        loop {
            match poll_fn(|context| self.step(context)).await {
                Step::Received(bytes) => desk.frame(id, bytes).await,
                Step::Taken => {}
                Step::Dismissed => {
                    let _ = timeout(FAREWELL_LIMIT, self.say_farewell()).await;
                    return;
                }
                Step::Over => return,
            }
        }
    }

    /// Reads and writes at the same time: two ends that both wait for the other to read would wait for ever.
    fn step(&mut self, context: &mut Context<'_>) -> Poll<Step> {
        if let Poll::Ready(Err(_)) = self.flush(context) {
            return Poll::Ready(Step::Over);
        }
        if !self.is_unflushed
            && let Poll::Ready(Some(bytes)) = self.mail.poll(context)
        {
            return Poll::Ready(self.take(bytes));
        }
        loop {
            match Pin::new(&mut self.socket).poll_next(context) {
                Poll::Ready(Some(Ok(Message::Binary(bytes)))) => {
                    return Poll::Ready(Step::Received(bytes.into()));
                }
                // LiveKit's JSON dialect is not spoken here; the core cuts who sends what it cannot read.
                Poll::Ready(Some(Ok(Message::Text(text)))) => {
                    return Poll::Ready(Step::Received(text.as_str().into()));
                }
                Poll::Ready(Some(Ok(Message::Ping(_)))) => self.is_unflushed = true,
                Poll::Ready(Some(Ok(Message::Pong(_) | Message::Frame(_)))) => {}
                Poll::Ready(Some(Ok(Message::Close(_)) | Err(_)) | None) => return Poll::Ready(Step::Over),
                Poll::Pending => break,
            }
        }
        if let Poll::Ready(Err(_)) = self.flush(context) {
            return Poll::Ready(Step::Over);
        }
        Pin::new(&mut self.mail.closed).poll(context).map(|_| Step::Dismissed)
    }

    fn flush(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if self.is_unflushed {
            ready!(Pin::new(&mut self.socket).poll_flush(context))?;
            self.is_unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    fn take(&mut self, bytes: Arc<[u8]>) -> Step {
        self.is_unflushed = true;
        match Pin::new(&mut self.socket).start_send(message(bytes)) {
            Ok(()) => Step::Taken,
            Err(_) => Step::Over,
        }
    }

    /// Sends what is left, and waits until the client has seen it: to close a socket with something unread in it
    /// throws away what was written last.
    async fn say_farewell(&mut self) -> Option<()> {
        while let Some(bytes) = poll_fn(|context| self.mail.poll(context)).await {
            self.socket.send(message(bytes)).await.ok()?;
        }
        self.socket.close(None).await.ok()?;
        while let Some(Ok(_)) = self.socket.next().await {}
        Some(())
    }
}

/// What is shared with other links stays shared.
fn message(bytes: Arc<[u8]>) -> Message {
    Message::Binary(Bytes::from_owner(bytes))
}
