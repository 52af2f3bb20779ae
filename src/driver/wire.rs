//! A byte stream to the other side: a socket, or TLS over one.
//!
//! Every write of this library to a stream socket ends in `Socket::send`. It never raises SIGPIPE: the host program
//! may have left that signal at its default, which is death. `write(2)` and `writev(2)` do raise it, and which of the
//! two the standard library uses differs by version and by kind of socket, so neither is relied upon.

use std::io::{self, Read as _};
use std::net::SocketAddr;
use std::os::fd::AsRawFd as _;
use std::pin::Pin;
use std::task::{Context, Poll};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::client::TlsStream;

use super::fork_sys::ClosedInChildren;

/// A connected stream socket.
///
/// Vectored writes are deliberately not forwarded: the trait's own methods then say that there are none, and turn
/// them into plain ones.
#[derive(Debug)]
pub struct Socket {
    /// Dropped before the stream.
    _closed_in_children: ClosedInChildren,
    stream: Stream,
    /// Ask the kernel itself also where tokio believes that it is not ready. The belief comes from the event loop and
    /// lags behind by up to one turn of it; and a task that has used up its budget is told so without being asked.
    urgent: bool,
    /// A failed write pretends to succeed and is kept here. The WebSocket gives up when it cannot answer a ping, with
    /// the server's last words unread behind it.
    lenient: bool,
    write_error: Option<io::Error>,
}

#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl From<TcpStream> for Socket {
    fn from(stream: TcpStream) -> Self {
        Self::new(Stream::Tcp(stream))
    }
}

impl From<UnixStream> for Socket {
    fn from(stream: UnixStream) -> Self {
        Self::new(Stream::Unix(stream))
    }
}

impl Socket {
    fn new(stream: Stream) -> Self {
        let descriptor = match &stream {
            Stream::Tcp(stream) => stream.as_raw_fd(),
            Stream::Unix(stream) => stream.as_raw_fd(),
        };
        let _closed_in_children = ClosedInChildren::new(descriptor);
        Self { _closed_in_children, stream, urgent: false, lenient: false, write_error: None }
    }

    pub fn is_unix(&self) -> bool {
        matches!(self.stream, Stream::Unix(_))
    }

    pub fn local_addr(&self) -> Option<SocketAddr> {
        match &self.stream {
            Stream::Tcp(stream) => stream.local_addr().ok(),
            Stream::Unix(_) => None,
        }
    }

    pub fn peer_addr(&self) -> Option<SocketAddr> {
        match &self.stream {
            Stream::Tcp(stream) => stream.peer_addr().ok(),
            Stream::Unix(_) => None,
        }
    }

    /// Tells the other end at once how far it has been read. Who collects small pieces until what was sent before has been
    /// acknowledged (RFC 9293 section 3.7.4), as many proxies do, sends them on then; the kernel would let it wait for 40 ms
    /// and more. It remembers this for a moment only, so it is for after each read.
    pub(super) fn acknowledge(&self) {
        if let Stream::Tcp(_) = self.stream {
            let _ = self.bare().set_tcp_quickack(true);
        }
    }

    fn bare(&self) -> SockRef<'_> {
        match &self.stream {
            Stream::Tcp(stream) => SockRef::from(stream),
            Stream::Unix(stream) => SockRef::from(stream),
        }
    }

    fn poll_write_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &self.stream {
            Stream::Tcp(stream) => stream.poll_write_ready(context),
            Stream::Unix(stream) => stream.poll_write_ready(context),
        }
    }

    /// Notes for `poll_write_ready` when the kernel takes no more.
    fn try_send(&self, bytes: &[u8]) -> io::Result<usize> {
        match &self.stream {
            Stream::Tcp(stream) => stream.try_io(Interest::WRITABLE, || self.send(bytes)),
            Stream::Unix(stream) => stream.try_io(Interest::WRITABLE, || self.send(bytes)),
        }
    }

    fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        self.bare().send_with_flags(bytes, libc::MSG_NOSIGNAL)
    }
}

/// Not a failure: the same call again, now or later.
fn is_again(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = match &mut this.stream {
            Stream::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Stream::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
        };
        if polled.is_pending() && this.urgent {
            match (&*this.bare()).read(buffer.initialize_unfilled()) {
                Ok(size) => buffer.advance(size),
                Err(error) if is_again(&error) => return Poll::Pending,
                Err(error) => return Poll::Ready(Err(error)),
            }
            return Poll::Ready(Ok(()));
        }
        polled
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.write_error.is_some() {
            return Poll::Ready(Ok(bytes.len()));
        }
        loop {
            let sent = match self.poll_write_ready(context) {
                Poll::Ready(result) => result.and_then(|()| self.try_send(bytes)),
                Poll::Pending if self.urgent => match self.send(bytes) {
                    Err(error) if is_again(&error) => return Poll::Pending,
                    result => result,
                },
                Poll::Pending => return Poll::Pending,
            };
            match sent {
                Err(error) if is_again(&error) => {}
                Err(error) if self.lenient => {
                    self.write_error = Some(error);
                    return Poll::Ready(Ok(bytes.len()));
                }
                result => return Poll::Ready(result),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Unix(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

/// What the WebSocket runs on. TLS may lie over TLS: a `wss` server behind an `https` proxy.
#[derive(Debug)]
pub enum Wire {
    Plain(Socket),
    Secure(Box<TlsStream<Wire>>),
}

impl Wire {
    /// The socket at the bottom.
    pub fn socket(&self) -> &Socket {
        match self {
            Self::Plain(socket) => socket,
            Self::Secure(stream) => stream.get_ref().0.socket(),
        }
    }

    /// From now on a failed write is told by [`Wire::write_error`] alone.
    pub(super) fn set_lenient(&mut self) {
        match self {
            Self::Plain(socket) => socket.lenient = true,
            Self::Secure(stream) => stream.get_mut().0.set_lenient(),
        }
    }

    pub(super) fn write_error(&self) -> Option<&io::Error> {
        self.socket().write_error.as_ref()
    }

    /// From now on a `Pending` is what the kernel says, and not what the event loop last heard from it.
    pub(super) fn set_urgent(&mut self, urgent: bool) {
        match self {
            Self::Plain(socket) => socket.urgent = urgent,
            Self::Secure(stream) => stream.get_mut().0.set_urgent(urgent),
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_read(context, buffer),
            Self::Secure(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_write(context, bytes),
            Self::Secure(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_flush(context),
            Self::Secure(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_shutdown(context),
            Self::Secure(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
