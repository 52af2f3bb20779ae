//! The thread that a subscriber's pictures come through: packets, decoder, the program.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::{Condvar, Mutex};

use super::timed::Timed;
use super::workers::Workers;
use crate::media::codec::{self, CodecError, VideoDecoder};
use crate::media::encryption::Keyring;
use crate::media::video::{SenderReport, VideoCounters, VideoOutput, VideoPacket, VideoReceiver};
use crate::media::{Picture, VideoCodec};

/// How many packets wait for the decoder. A second of 10 Mbit/s; a decoder that is further behind starts anew at the
/// next key frame.
const PACKETS_WAITING_MAX: usize = 1024;

/// How long a picture waits before the program is asked again whether it is still busy.
const TURN_INTERVAL: Duration = Duration::from_millis(5);

/// Who gets the pictures. Called on the worker's thread.
pub trait Sink: Send + Sync + 'static {
    /// The first picture is there. Nothing is shown before [`VideoIn::show`] was called.
    fn ready(&self);
    /// Gives it back where the program is busy: then the newest waits.
    fn picture(&self, picture: Picture) -> Option<Picture>;
    fn key_frame_needed(&self);
    fn undecodable(&self, codec: VideoCodec);
    /// After that: a picture follows.
    fn decodable(&self);
    /// What comes cannot be decrypted.
    fn secrets_differ(&self);
    /// How long a picture of this RTP time has to wait for the sound that belongs to it.
    fn hold(&self, now: Instant, timestamp: u64, report: Option<SenderReport>) -> Duration;
}

/// The owner's end of it. The worker ends when this is dropped.
pub struct VideoIn(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    counters: Mutex<VideoCounters>,
}

#[derive(Default)]
struct State {
    packets: VecDeque<(Instant, VideoPacket)>,
    /// Packets were dropped: the decoder has to know.
    has_lost: bool,
    may_show: bool,
    is_paused: bool,
    is_closed: bool,
}

impl VideoIn {
    pub fn start(workers: &Workers, sink: Arc<dyn Sink>, keyring: Keyring) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let worker = Worker {
            shared: shared.clone(),
            sink,
            receiver: VideoReceiver::with_decoders(Box::new(video_decoder)).opened_with(keyring),
            codec: None,
            newest: None,
            turn: None,
            is_ready: false,
            shown: false,
        };
        workers.spawn("otc-decoder", move || worker.run())?;
        Ok(Self(shared))
    }

    /// Never waits.
    pub fn put(&self, now: Instant, packet: VideoPacket) {
        let mut state = self.0.state.lock();
        if state.is_closed {
            return; // the worker has ended before its owner
        }
        if state.packets.len() >= PACKETS_WAITING_MAX {
            state.packets.clear();
            state.has_lost = true;
        }
        state.packets.push_back((now, packet));
        drop(state);
        self.0.changed.notify_one();
    }

    /// The program has been told that there is video: pictures may follow.
    pub fn show(&self) {
        self.0.state.lock().may_show = true;
        self.0.changed.notify_one();
    }

    /// The video was switched off: nothing is missed until it comes again.
    pub fn pause(&self) {
        self.0.state.lock().is_paused = true;
        self.0.changed.notify_one();
    }

    pub fn counters(&self) -> VideoCounters {
        *self.0.counters.lock()
    }
}

impl Drop for VideoIn {
    fn drop(&mut self) {
        self.0.state.lock().is_closed = true;
        self.0.changed.notify_one();
    }
}

struct Worker {
    shared: Arc<Shared>,
    sink: Arc<dyn Sink>,
    receiver: VideoReceiver,
    /// Of what came last.
    codec: Option<VideoCodec>,
    /// Waits until something may be shown, or until the program has time for it.
    newest: Option<Picture>,
    /// When the program is asked again.
    turn: Option<Instant>,
    is_ready: bool,
    shown: bool,
}

impl Worker {
    fn run(mut self) {
        if catch_unwind(AssertUnwindSafe(|| self.work())).is_err() {
            // A defect: what comes is as good as undecodable.
            let mut state = self.shared.state.lock();
            state.is_closed = true;
            let _packets = std::mem::take(&mut state.packets);
            drop(state);
            log::error!("a defect in this library ended the video of a subscriber");
            if let Some(codec) = self.codec {
                self.sink.undecodable(codec);
            }
        }
    }

    fn work(&mut self) {
        let mut packets = VecDeque::new();
        while self.wait(&mut packets) {
            self.codec = packets.back().map(|(_, packet)| packet.codec).or(self.codec);
            let newest = packets.back().map(|(_, packet)| packet.timestamp);
            for (at, packet) in packets.drain(..) {
                self.receiver.handle_packet(at, packet);
            }
            let now = Instant::now();
            self.receiver.handle_timeout(now);
            if let Some(timestamp) = newest {
                let report = self.receiver.sender_report();
                let wait = self.sink.hold(now, timestamp, report);
                self.receiver.set_hold(now, timestamp, wait);
            }
            while let Some(output) = self.receiver.poll(Instant::now(), wall_ms()) {
                match output {
                    VideoOutput::Picture(picture) => self.picture(picture),
                    VideoOutput::KeyFrameNeeded => self.sink.key_frame_needed(),
                    VideoOutput::Undecodable(codec) => self.sink.undecodable(codec),
                    VideoOutput::Decodable => self.sink.decodable(),
                    VideoOutput::SecretsDiffer => self.sink.secrets_differ(),
                    VideoOutput::Frozen | VideoOutput::Resumed => {}
                }
            }
            *self.shared.counters.lock() = self.receiver.counters();
        }
    }

    /// Until there is something to do. False: the owner is gone.
    fn wait(&mut self, packets: &mut VecDeque<(Instant, VideoPacket)>) -> bool {
        let deadline = [self.receiver.poll_timeout(Instant::now()), self.turn].into_iter().flatten().min();
        let mut state = self.shared.state.lock();
        loop {
            if state.is_closed {
                return false;
            }
            let is_turn = self.turn.map_or(!self.shown, |turn| Instant::now() >= turn);
            let may_show = state.may_show && is_turn && self.newest.is_some();
            let is_due = deadline.is_some_and(|at| Instant::now() >= at);
            let is_paused = std::mem::take(&mut state.is_paused);
            if !state.packets.is_empty() || may_show || is_due || is_paused {
                std::mem::swap(&mut state.packets, packets);
                let has_lost = std::mem::take(&mut state.has_lost);
                self.shown |= state.may_show;
                drop(state);
                if is_paused {
                    self.receiver.pause();
                }
                if has_lost {
                    log::debug!("the decoder was too slow: it goes on with the next key frame");
                }
                if may_show && let Some(picture) = self.newest.take() {
                    self.show(picture);
                }
                return true;
            }
            match deadline {
                Some(deadline) => {
                    self.shared.changed.wait_until(&mut state, deadline);
                }
                None => self.shared.changed.wait(&mut state),
            }
        }
    }

    fn picture(&mut self, picture: Picture) {
        if !std::mem::replace(&mut self.is_ready, true) {
            self.sink.ready();
        }
        if self.shown || self.shared.state.lock().may_show {
            self.shown = true;
            self.show(picture);
        } else {
            self.newest = Some(picture);
        }
    }

    fn show(&mut self, picture: Picture) {
        self.newest = self.sink.picture(picture);
        self.turn = self.newest.is_some().then(|| Instant::now() + TURN_INTERVAL);
    }
}

fn video_decoder(codec: VideoCodec) -> Result<Box<dyn VideoDecoder>, CodecError> {
    Ok(Box::new(Timed::new(codec::video_decoder(codec)?)))
}

fn wall_ms() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::media::Rotation;

    const LIMIT: Duration = Duration::from_secs(20);

    /// Breaks down over the first packet.
    struct Fragile(mpsc::Sender<VideoCodec>);

    impl Sink for Fragile {
        fn ready(&self) {}
        fn picture(&self, _: Picture) -> Option<Picture> {
            None
        }
        fn key_frame_needed(&self) {}
        fn undecodable(&self, codec: VideoCodec) {
            let _ = self.0.send(codec);
        }
        fn decodable(&self) {}
        fn secrets_differ(&self) {}
        fn hold(&self, _: Instant, _: u64, _: Option<SenderReport>) -> Duration {
            panic!("on purpose")
        }
    }

    #[test]
    fn after_a_panic_it_is_told_once_that_nothing_is_shown_and_nothing_is_kept() {
        let (workers, (heard, hears)) = (Workers::default(), mpsc::channel());
        let come = VideoIn::start(&workers, Arc::new(Fragile(heard)), Keyring::default()).expect("a thread");
        let packet = VideoPacket {
            codec: VideoCodec::Vp9,
            source: 1,
            sequence: 1,
            timestamp: 1,
            is_marked: false,
            payload: Arc::new([0]),
            rotation: Rotation::None,
            sender_report: None,
            is_sealed: false,
        };
        come.put(Instant::now(), packet.clone());
        assert_eq!(hears.recv_timeout(LIMIT), Ok(VideoCodec::Vp9));
        come.put(Instant::now(), packet);
        assert!(come.0.state.lock().packets.is_empty());
        assert!(workers.join(Instant::now() + LIMIT));
        assert!(hears.try_recv().is_err());
    }
}
