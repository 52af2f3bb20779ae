//! The signalling link in use: one WebSocket, frames out, frames in.
//!
//! Everything that is under way lives in the [`Link`] itself, never in a future: dropping the future of
//! [`Link::next`] loses nothing. What is queued is bounded, and a server that stops reading stops neither the reading
//! here nor the caller.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use futures_util::{Sink as _, Stream as _};
use tokio::io::{AsyncWrite as _, BufReader};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Bytes;
use tokio_tungstenite::tungstenite::error::{Error, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message, Role, WebSocketConfig};

use super::http::one_line;
use super::wire::Wire;
use crate::session::{Fault, Reason};
use crate::signal::frame::FRAME_SIZE_MAX;

/// What waits for a server that does not read. Twice what a thousand signals of 8 kB need, the most that a session
/// keeps for sending while it is cut off; a server this far behind is dead.
const QUEUE_SIZE_MAX: usize = 16 << 20;

/// Allocated for as long as the link lives, and a process may have a thousand links. Signalling messages are a few
/// hundred bytes; larger ones get room of their own while they arrive.
const READ_BUFFER_SIZE: usize = 4 << 10;

/// How much the WebSocket takes from that buffer at once. It sizes the room for a message by what it has read of it
/// already, so this is also what may be left of that room behind the message. See [`Link::large`].
const READ_STEP: usize = 64;

/// What [`Link::next`] tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkEvent {
    /// One binary message.
    Frame(Vec<u8>),
    /// The link is over; every later event is this one again. `None`: the server closed it in due form and without
    /// a complaint.
    Closed(Option<Fault>),
}

#[derive(Debug)]
pub struct Link {
    socket: WebSocketStream<BufReader<Wire>>,
    /// Not yet given to the WebSocket, which holds one message that the kernel does not take.
    is_direct: bool,
    queue: VecDeque<Vec<u8>>,
    queue_size: usize,
    /// The last large message. The WebSocket cuts messages out of its own buffer, and takes the whole room back for
    /// its next reads when nobody holds the message any more: a link would keep the size of its largest message for
    /// ever. Held until what was left behind the message is used up, it makes the WebSocket take new room.
    large: Option<Bytes>,
    /// What has been received since then, at least.
    large_age: usize,
    /// Writing has failed. What the server said before is still read.
    broken: Option<Fault>,
    ended: Option<Option<Fault>>,
    /// What [`Link::peek`] has seen and [`Link::next`] has not told yet.
    peeked: Option<LinkEvent>,
}

impl Link {
    /// `read` is what came behind the server's agreement; `is_direct` is false where a proxy stands between.
    pub(super) async fn new(mut wire: Wire, read: Vec<u8>, is_direct: bool) -> Self {
        wire.set_lenient();
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_STEP)
            .write_buffer_size(0) // nobody waits for a fuller buffer
            .max_message_size(Some(FRAME_SIZE_MAX))
            .max_frame_size(Some(FRAME_SIZE_MAX));
        let wire = BufReader::with_capacity(READ_BUFFER_SIZE, wire);
        let socket = WebSocketStream::from_partially_read(wire, read, Role::Client, Some(config)).await;
        Self {
            socket,
            is_direct,
            queue: VecDeque::new(),
            queue_size: 0,
            large: None,
            large_age: 0,
            broken: None,
            ended: None,
            peeked: None,
        }
    }

    /// The address that the way to the server begins at. Over a Unix socket the server is on this machine. `None` where a
    /// proxy goes the way.
    pub fn start(&self) -> Option<IpAddr> {
        let socket = self.socket.get_ref().get_ref().socket();
        match (self.is_direct, socket.is_unix()) {
            (false, _) => None,
            (true, true) => Some(Ipv4Addr::LOCALHOST.into()),
            (true, false) => socket.local_addr().map(|address| address.ip()),
        }
    }

    /// `None` on a Unix socket. Behind a proxy this is the proxy.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.socket.get_ref().get_ref().socket().peer_addr()
    }

    /// Sends the frame with the next [`Link::next`], [`Link::flush_now`] or [`Link::farewell`]. When the server has
    /// left too much unread, the link is over, and `next` says so.
    pub fn queue(&mut self, frame: Vec<u8>) {
        if self.broken.is_some() || self.ended.is_some() {
            return;
        }
        self.queue_size = self.queue_size.saturating_add(frame.len());
        if self.queue_size > QUEUE_SIZE_MAX {
            self.break_off(Fault::new(Reason::Dropped, "the server no longer reads what it is sent"));
            return;
        }
        self.queue.push_back(frame);
    }

    /// Writes and reads until there is something to tell. May be dropped and called again at any time.
    pub async fn next(&mut self) -> LinkEvent {
        poll_fn(|context| self.poll_next(context)).await
    }

    /// What [`Link::next`] will tell next.
    pub async fn peek(&mut self) -> &LinkEvent {
        let event = self.next().await;
        self.peeked.insert(event)
    }

    /// Hands to the kernel what it takes at once. For the moment before a program hears that its session is over.
    pub fn flush_now(&mut self) {
        if self.ended.is_some() {
            return;
        }
        self.socket.get_mut().get_mut().set_urgent(true);
        // No waker is lost by this: the next poll of the link sets it again.
        let _ = self.poll_write(&mut Context::from_waker(Waker::noop()));
        let is_broken = self.broken.is_some();
        self.socket.get_mut().get_mut().set_urgent(is_broken);
    }

    /// Sends what is queued and a WebSocket close, waits until the server has closed too or the limit is over, and
    /// closes. What the server says meanwhile is read and dropped: unread bytes would turn the closing of the socket
    /// into a reset, which can overtake what was just sent.
    pub async fn farewell(mut self, limit: Duration) {
        let mut close = Some(CloseFrame { code: CloseCode::Normal, reason: "".into() });
        let _ = timeout(limit, poll_fn(|context| self.poll_farewell(context, &mut close))).await;
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<LinkEvent> {
        if let Some(event) = self.peeked.take() {
            return Poll::Ready(event);
        }
        if let Some(fault) = &self.ended {
            return Poll::Ready(LinkEvent::Closed(fault.clone()));
        }
        let _ = self.poll_write(context);
        loop {
            match Pin::new(&mut self.socket).poll_next(context) {
                Poll::Ready(Some(Ok(Message::Binary(bytes)))) => {
                    self.note_size(&bytes);
                    return Poll::Ready(LinkEvent::Frame(bytes.into()));
                }
                Poll::Ready(Some(Ok(Message::Text(text)))) => {
                    log::debug!("a text message of {} bytes was ignored", text.len());
                    self.note_size(text.as_ref());
                }
                // The reading itself answers pings.
                Poll::Ready(Some(Ok(Message::Ping(bytes) | Message::Pong(bytes)))) => self.note_size(&bytes),
                Poll::Ready(Some(Ok(Message::Frame(_)))) => {} // never read, only written
                Poll::Ready(Some(Ok(Message::Close(frame)))) => {
                    let _ = Pin::new(&mut self.socket).poll_flush(context); // our half of the closing
                    return self.end(close_fault(frame));
                }
                Poll::Ready(Some(Err(error))) => return self.end(Some(link_fault(&error))),
                Poll::Ready(None) => return self.end(None),
                Poll::Pending => match self.broken.take() {
                    Some(fault) => return self.end(Some(fault)),
                    None if self.has_failed_to_write() => {} // look once more: now for what the kernel says
                    None => return Poll::Pending,
                },
            }
        }
    }

    fn note_size(&mut self, bytes: &Bytes) {
        self.large_age = self.large_age.saturating_add(bytes.len());
        if bytes.len() > READ_BUFFER_SIZE {
            self.large = Some(bytes.clone());
            self.large_age = 0;
        } else if self.large_age > READ_STEP {
            self.large = None;
        }
    }

    fn end(&mut self, fault: Option<Fault>) -> Poll<LinkEvent> {
        self.queue = VecDeque::new();
        self.large = None;
        self.ended = Some(fault.clone());
        Poll::Ready(LinkEvent::Closed(fault))
    }

    fn break_off(&mut self, fault: Fault) {
        self.queue = VecDeque::new();
        self.broken = Some(fault);
        self.socket.get_mut().get_mut().set_urgent(true); // the last words are read to the end before the fault is told
    }

    /// Writes until all is out (`Ready`) or the kernel takes no more. A failure is noted in `broken`.
    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.broken.is_some() {
            return Poll::Ready(());
        }
        let polled = self.poll_write_all(context);
        if let Poll::Ready(Err(error)) = &polled {
            self.break_off(link_fault(error));
        }
        if self.has_failed_to_write() { Poll::Ready(()) } else { polled.map(|_| ()) }
    }

    fn has_failed_to_write(&mut self) -> bool {
        let error = self.socket.get_ref().get_ref().write_error();
        let fault = error.map(|error| Fault::new(Reason::Dropped, lost(error)));
        if let Some(fault) = fault.filter(|_| self.broken.is_none()) {
            self.break_off(fault);
        }
        self.broken.is_some()
    }

    fn poll_write_all(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        // One message at a time: the WebSocket's own buffer moves all of its bytes after each partial write.
        while !self.queue.is_empty() {
            ready!(Pin::new(&mut self.socket).poll_ready(context))?;
            if let Some(frame) = self.queue.pop_front() {
                self.queue_size = self.queue_size.saturating_sub(frame.len());
                Pin::new(&mut self.socket).start_send(Message::Binary(frame.into()))?;
            }
        }
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_farewell(&mut self, context: &mut Context<'_>, close: &mut Option<CloseFrame>) -> Poll<()> {
        if self.ended.is_some() {
            return self.poll_shutdown(context);
        }
        if self.poll_write(context).is_ready()
            && let Some(frame) = close.take()
        {
            let _ = Pin::new(&mut self.socket).start_send(Message::Close(Some(frame)));
            let _ = self.poll_write(context);
        }
        loop {
            match ready!(Pin::new(&mut self.socket).poll_next(context)) {
                Some(Ok(Message::Close(_)) | Err(_)) | None => {
                    let _ = Pin::new(&mut self.socket).poll_flush(context); // the answer to a close of the server's own
                    self.ended = Some(None);
                    return self.poll_shutdown(context);
                }
                Some(Ok(_)) => {}
            }
        }
    }

    /// Under TLS this says that nothing was cut off.
    fn poll_shutdown(&mut self, context: &mut Context<'_>) -> Poll<()> {
        Pin::new(self.socket.get_mut()).poll_shutdown(context).map(|_| ())
    }
}

/// RFC 6455 7.4.1. A normal close, or one without a code, is no complaint.
fn close_fault(frame: Option<CloseFrame>) -> Option<Fault> {
    let frame = frame.filter(|frame| frame.code != CloseCode::Normal)?;
    let code = u16::from(frame.code);
    let text = match one_line(frame.reason.as_str(), 123) {
        Some(reason) => format!("the server closed the link (code {code}: {reason})"),
        None => format!("the server closed the link (code {code})"),
    };
    Some(Fault::new(Reason::Dropped, text))
}

fn link_fault(error: &Error) -> Fault {
    let (reason, text) = match error {
        Error::Io(error) => (Reason::Dropped, lost(error)),
        Error::ConnectionClosed
        | Error::AlreadyClosed
        | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake | ProtocolError::SendAfterClosing) => {
            (Reason::Dropped, "the server ended the link without a word".to_owned())
        }
        Error::Capacity(_) => (
            Reason::ConnectionFailed,
            format!("the server sent a message of more than {} MB", FRAME_SIZE_MAX >> 20),
        ),
        other => {
            let detail = one_line(&other.to_string(), 200).unwrap_or_default();
            (Reason::ConnectionFailed, format!("the server does not speak the protocol: {detail}"))
        }
    };
    Fault::new(reason, text)
}

fn lost(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::TimedOut => "the link to the server is lost: nothing is heard from it".to_owned(),
        _ => format!(
            "the link to the server is lost ({})",
            one_line(&error.to_string(), 200).unwrap_or_default()
        ),
    }
}
