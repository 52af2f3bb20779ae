//! The way to one client: what waits for it, and how much of that may.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio::sync::{mpsc, oneshot};

use super::core::Worth;
use crate::signal::frame::FromServer;

/// How many bytes may wait for one client, beside what it is greeted with: that is as long as its room is full. Who is further
/// behind does not read at all.
const SIGNAL_MAX: usize = 8 << 20;

/// How many may wait when a data packet is still put behind them. A client that was held up for a moment gets all of some hundred
/// signals of the largest size; of what may be lost it gets what it can use.
const RELIABLE_MAX: usize = 6 << 20;
const LOSSY_MAX: usize = 1 << 20;

#[derive(Debug)]
pub struct Outbox {
    frames: mpsc::UnboundedSender<Arc<[u8]>>,
    waiting: Arc<AtomicUsize>,
    /// How much it was greeted with.
    greeting: usize,
    /// Reliable packets of which the client does not know yet that it misses them.
    left_out: u32,
    /// Dropped with the outbox; the link wakes up then, also while it waits for its client to read.
    _open: oneshot::Sender<()>,
}

/// A link's end of its outbox.
#[derive(Debug)]
pub struct Mail {
    frames: mpsc::UnboundedReceiver<Arc<[u8]>>,
    waiting: Arc<AtomicUsize>,
    pub closed: oneshot::Receiver<()>,
}

pub fn pair() -> (Outbox, Mail) {
    let (sender, frames) = mpsc::unbounded_channel();
    let (open, closed) = oneshot::channel();
    let waiting = Arc::new(AtomicUsize::new(0));
    let outbox = Outbox { frames: sender, waiting: waiting.clone(), greeting: 0, left_out: 0, _open: open };
    (outbox, Mail { frames, waiting, closed })
}

impl Outbox {
    /// So many bytes of what follows belong to the greeting.
    pub fn greet(&mut self, size: usize) {
        self.greeting += size;
    }

    /// Puts a message behind what waits, or leaves out what can be done without. False when the client is to be cut off, or is
    /// gone.
    pub fn post(&mut self, worth: Worth, bytes: Arc<[u8]>) -> bool {
        let limit = match worth {
            Worth::Signal => SIGNAL_MAX,
            Worth::Reliable => RELIABLE_MAX,
            Worth::Lossy => LOSSY_MAX,
        };
        let size = bytes.len();
        // Nobody else adds to what waits.
        let fits = self.waiting.load(Ordering::Relaxed) + size <= self.greeting + limit;
        match (fits, worth) {
            (true, Worth::Reliable) if self.left_out > 0 => {
                let count = std::mem::take(&mut self.left_out);
                self.put(FromServer::LeftOut(count).encode().into()) && self.put(bytes)
            }
            (true, _) => self.put(bytes),
            (false, Worth::Signal) => {
                log::warn!("server: a client that does not read was cut off");
                false
            }
            (false, Worth::Reliable | Worth::Lossy) => {
                self.left_out += u32::from(worth == Worth::Reliable);
                log::debug!("server: a client that does not read missed a packet");
                true
            }
        }
    }

    fn put(&self, bytes: Arc<[u8]>) -> bool {
        self.waiting.fetch_add(bytes.len(), Ordering::Relaxed);
        self.frames.send(bytes).is_ok()
    }
}

impl Mail {
    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Arc<[u8]>>> {
        self.frames.poll_recv(context).map(|frame| {
            frame.inspect(|frame| {
                self.waiting.fetch_sub(frame.len(), Ordering::Relaxed);
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use tokio::sync::oneshot::error::TryRecvError;

    use super::super::actor::{Desk, start, wall_ms};
    use super::super::service::Call;
    use super::super::{Config, Locality, running::Life};
    use super::*;
    use crate::signal::join::JoinQuery;
    use crate::signal::proto::data_packet::Kind;
    use crate::signal::proto::signal_response::Message;
    use crate::signal::proto::{
        ParticipantInfo, SendDataRequest, UpdateParticipantRequest, UpdateRoomMetadataRequest,
    };
    use crate::signal::token::{self, Order, Role};

    const ROOM: &str = "1_room";

    /// Joins; reads nothing.
    async fn join(desk: &Desk) -> Mail {
        let now_s = wall_ms() / 1000;
        let order = Order {
            api_key: "1",
            secret: "nobody checks it",
            session_id: ROOM,
            role: Role::Publisher,
            connection_data: "",
            created_s: now_s,
            expires_s: now_s + 3600,
            nonce: 1,
        };
        let query = JoinQuery { inline_data: true, ..Default::default() };
        let token = token::classic(&order).expect("a token");
        let ticket = desk.admit(query, token, Locality::Local).await.expect("admitted");
        let mail = desk.open(ticket).await.expect("it runs");
        desk.call(Call::ListRooms(Default::default())).await.expect("what was before it is done");
        mail
    }

    /// Whoever it is told of, itself included, and in how many bytes.
    fn told(mail: &mut Mail) -> (Vec<ParticipantInfo>, usize) {
        let (mut infos, mut size) = (Vec::new(), 0);
        let mut next = || {
            // A task of tokio's would have to pause after a hundred messages.
            let message = std::future::poll_fn(|context| mail.poll(context));
            tokio::task::unconstrained(message).now_or_never().flatten()
        };
        while let Some(bytes) = next() {
            size += bytes.len();
            match FromServer::decode(&bytes).expect("a message") {
                Some(FromServer::Welcome(join)) => {
                    infos.extend(join.participant);
                    infos.extend(join.other_participants);
                }
                Some(FromServer::Message(Message::Update(update))) => infos.extend(update.participants),
                _ => {}
            }
        }
        (infos, size)
    }

    #[tokio::test]
    async fn who_reads_nothing_misses_packets_first_and_is_cut_off_at_last() {
        let desk = start(Config::default(), Vec::new(), Life::of_a_test());
        let mut mail = join(&desk).await;
        told(&mut mail);
        let packet = |kind: Kind, size| {
            let data = vec![0; size];
            Call::SendData(SendDataRequest {
                room: ROOM.into(),
                kind: kind.into(),
                data,
                ..Default::default()
            })
        };
        let mut sizes = Vec::new();
        for (count, kind, size) in
            [(500, Kind::Reliable, 8000), (400, Kind::Reliable, 60_000), (400, Kind::Lossy, 60_000)]
        {
            for _ in 0..count {
                desk.call(packet(kind, size)).await.expect("sent");
            }
            sizes.push(told(&mut mail).1);
        }
        assert!(sizes[0] >= 500 * 8000, "what is said in a moment is not missed: {sizes:?}");
        assert!((4 << 20..=RELIABLE_MAX).contains(&sizes[1]), "{sizes:?}");
        assert!((1 << 19..=LOSSY_MAX).contains(&sizes[2]), "{sizes:?}");
        assert_eq!(mail.closed.try_recv(), Err(TryRecvError::Empty), "it is still there");
        for _ in 0..200 {
            let metadata = "x".repeat(60_000);
            let request = UpdateRoomMetadataRequest { room: ROOM.into(), metadata };
            desk.call(Call::UpdateRoomMetadata(request)).await.expect("updated");
        }
        assert_eq!(mail.closed.try_recv(), Err(TryRecvError::Closed));
    }

    #[test]
    fn who_misses_packets_is_told_how_many_before_the_next_one() {
        let (mut outbox, mut mail) = pair();
        let large: Arc<[u8]> = vec![0; RELIABLE_MAX - 100].into();
        for size in [RELIABLE_MAX - 100, 1000, 10, 1000, 20] {
            assert!(outbox.post(Worth::Reliable, large[..size].into()));
        }
        let mut next = || {
            let message = std::future::poll_fn(|context| mail.poll(context));
            tokio::task::unconstrained(message).now_or_never().flatten()
        };
        let told = |bytes: Option<Arc<[u8]>>| FromServer::decode(&bytes.expect("a message"));
        assert_eq!(next().map(|bytes| bytes.len()), Some(RELIABLE_MAX - 100));
        assert_eq!(told(next()), Ok(Some(FromServer::LeftOut(1))));
        assert_eq!(next().map(|bytes| bytes.len()), Some(10));
        assert_eq!(told(next()), Ok(Some(FromServer::LeftOut(1))));
        assert_eq!(next().map(|bytes| bytes.len()), Some(20));
        assert!(next().is_none());
    }

    #[tokio::test]
    async fn a_room_that_has_more_to_say_than_may_wait_for_one_can_be_joined() {
        let desk = start(Config::default(), Vec::new(), Life::of_a_test());
        for _ in 0..60 {
            let (infos, _) = told(&mut join(&desk).await);
            let request = UpdateParticipantRequest {
                room: ROOM.into(),
                identity: infos[0].identity.clone(),
                metadata: "x".repeat(60_000),
                name: "x".repeat(60_000),
                attributes: [("x".into(), "x".repeat(60_000))].into(),
                ..Default::default()
            };
            desk.call(Call::UpdateParticipant(request)).await.expect("updated");
        }
        let (infos, size) = told(&mut join(&desk).await);
        assert!(size > SIGNAL_MAX, "{size}");
        assert_eq!(infos.len(), 61);
    }
}
