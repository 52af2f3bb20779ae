//! Streams that carry media: the task that runs one of them, and the ways into those that are open.
//!
//! Which of them may stay the core decides (`streams.rs`); what is here is what a socket can tell by itself: that its other
//! end does not read any more, or has nothing to say.

use std::collections::HashMap;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::actor::Desk;
use super::core::StreamId;
use super::running::{Life, Phase};
use crate::driver::media_stream::MediaStream;
use crate::driver::wire::Wire;
use crate::rtc::Datagram;

/// Silence after which a stream ends. Clients check the path that they use every few seconds, and those that they keep in
/// reserve every half minute.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// How long a client may read nothing while something waits for it. Its connection counts as lost before that.
const UNREAD_MAX: Duration = Duration::from_secs(15);

/// How many datagrams may wait for a stream's task. It only has to be scheduled; what waits for the network is bounded in the
/// stream.
const WAITING_MAX: usize = 256;

/// Where datagrams for the streams are handed over.
#[derive(Debug, Default)]
pub struct Outboxes {
    /// By local and remote address.
    by_ends: HashMap<(SocketAddr, SocketAddr), Outbox>,
    count: u64,
}

#[derive(Debug)]
struct Outbox {
    stream: StreamId,
    datagrams: mpsc::Sender<Vec<u8>>,
}

/// A stream that the core knows, and what is to go through it. When that ends the stream is to be closed.
#[derive(Debug)]
pub struct Opened {
    pub stream: StreamId,
    datagrams: mpsc::Receiver<Vec<u8>>,
}

impl Outboxes {
    pub fn open(&mut self, local: SocketAddr, remote: SocketAddr) -> Opened {
        self.count += 1;
        let stream = StreamId(self.count);
        let (sender, datagrams) = mpsc::channel(WAITING_MAX);
        self.by_ends.insert((local, remote), Outbox { stream, datagrams: sender });
        Opened { stream, datagrams }
    }

    pub fn close(&mut self, stream: StreamId) {
        self.by_ends.retain(|_, outbox| outbox.stream != stream);
    }

    /// Gives it back when it is for no stream. One for which there is no room is lost, as others are on the way.
    pub fn send(&self, datagram: Datagram) -> Option<Datagram> {
        match self.by_ends.get(&(datagram.local, datagram.remote)) {
            Some(outbox) => {
                let _ = outbox.datagrams.try_send(datagram.bytes);
                None
            }
            None => Some(datagram),
        }
    }
}

/// Runs a stream until either side ends it.
pub async fn run(life: Life, tcp: TcpStream, desk: Desk) {
    let Some(stream) = of(tcp, UNREAD_MAX) else { return };
    if let Some(opened) = desk.open_stream(stream.local, stream.remote).await {
        carry(life, stream, opened, desk, SILENCE_MAX).await;
    }
}

/// `None`: it has ended already.
fn of(tcp: TcpStream, unread_max: Duration) -> Option<MediaStream> {
    // A datagram waits for no other, and where nothing is read the system ends the stream.
    let _ = tcp.set_nodelay(true);
    let _ = SockRef::from(&tcp).set_tcp_user_timeout(Some(unread_max));
    let remote = tcp.peer_addr().ok()?;
    MediaStream::to_peer(Wire::Plain(tcp.into()), remote)
}

async fn carry(mut life: Life, mut stream: MediaStream, opened: Opened, desk: Desk, silence_max: Duration) {
    let Opened { stream: id, mut datagrams } = opened;
    let (local, remote) = (stream.local, stream.remote);
    let mut silent_at = Instant::now() + silence_max;
    loop {
        tokio::select! {
            bytes = datagrams.recv() => match bytes {
                Some(bytes) => stream.send(&bytes),
                None => return,
            },
            received = poll_fn(|context| stream.poll(context)) => match received {
                Ok(bytes) => {
                    silent_at = Instant::now() + silence_max;
                    desk.datagram(Datagram { local, remote, bytes }).await;
                }
                Err(error) => {
                    log::debug!("server: the stream from {remote} has ended: {error}");
                    break;
                }
            },
            () = sleep_until(silent_at) => break,
            () = life.reaches(Phase::Over) => return,
        }
    }
    drop(stream);
    desk.stream_closed(id).await;
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio::task::JoinHandle;
    use tokio::time::timeout;

    use super::super::{Config, actor};
    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);
    const LONG: Duration = Duration::from_secs(3600);

    /// A stream with these limits, and a client at its other end.
    async fn stream(
        unread_max: Duration,
        silence_max: Duration,
    ) -> (TcpStream, Outboxes, Datagram, JoinHandle<()>) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let stream = of(accepted.expect("a client").0, unread_max).expect("it is open");
        let mut outboxes = Outboxes::default();
        let opened = outboxes.open(stream.local, stream.remote);
        let datagram = Datagram { local: stream.local, remote: stream.remote, bytes: vec![7; 1000] };
        let life = Life::of_a_test();
        let desk = actor::start(Config::default(), Vec::new(), life.clone());
        let task = tokio::spawn(carry(life, stream, opened, desk, silence_max));
        (client.expect("it listens"), outboxes, datagram, task)
    }

    async fn ends(task: JoinHandle<()>) {
        timeout(LIMIT, task).await.expect("it ends in time").expect("without a panic");
    }

    #[tokio::test]
    async fn who_reads_nothing_is_cut_off_and_costs_no_memory_until_then() {
        let (_client, outboxes, datagram, task) = stream(Duration::from_secs(1), LONG).await;
        let sending = timeout(LIMIT, async {
            while !task.is_finished() {
                assert_eq!(outboxes.send(datagram.clone()), None, "it is for the stream, room or not");
                tokio::time::sleep(Duration::from_micros(100)).await; // a camera's pace, and more
            }
        });
        sending.await.expect("it ends in time");
        ends(task).await;
    }

    #[tokio::test]
    async fn who_says_nothing_is_cut_off() {
        let silence_max = Duration::from_millis(300);
        let (mut client, _outboxes, _, task) = stream(LONG, silence_max).await;
        let begin = Instant::now();
        client.write_all(&[0, 1, 9]).await.expect("it is open");
        assert_eq!(timeout(LIMIT, client.read(&mut [0])).await.expect("in time").ok(), Some(0));
        assert!(begin.elapsed() >= silence_max);
        ends(task).await;
    }

    #[tokio::test]
    async fn what_was_sent_before_the_end_arrives() {
        let (mut client, mut outboxes, datagram, task) = stream(LONG, LONG).await;
        let last = Datagram { bytes: b"farewell".to_vec(), ..datagram };
        assert_eq!(outboxes.send(last), None);
        outboxes.close(StreamId(1));
        let mut heard = Vec::new();
        timeout(LIMIT, client.read_to_end(&mut heard)).await.expect("in time").expect("an orderly end");
        assert_eq!(heard, b"\0\x08farewell");
        ends(task).await;
    }

    #[tokio::test]
    async fn what_is_no_stream_of_datagrams_ends_at_once() {
        let (mut client, _outboxes, _, task) = stream(LONG, LONG).await;
        client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.expect("it is open");
        ends(task).await;
    }

    #[test]
    fn a_datagram_for_no_stream_is_given_back() {
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let mut outboxes = Outboxes::default();
        let _opened = outboxes.open(address(1), address(2));
        let other = Datagram { local: address(1), remote: address(3), bytes: Vec::new() };
        assert_eq!(outboxes.send(other.clone()), Some(other));
    }
}
