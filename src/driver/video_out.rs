//! The thread that a publisher's pictures go through: preview, encoder, session.
//!
//! One picture waits at most: the newest wins, and whoever brings one never waits.

use std::io;
use std::mem::discriminant;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::session::MediaPort;
use super::timed::Timed;
use super::video_counters::PictureCounters;
use super::workers::Workers;
use crate::media::codec::{self, CodecError, VideoEncoder, VideoSettings};
use crate::media::encryption::Keyring;
use crate::media::video::{
    self, BitratePreset, ContentHint, LAYERS_MAX, Limitation, Rates, SenderSettings, SentFrame, VideoSender,
};
use crate::media::{Kind, Picture, VideoCodec};
use crate::session::Input;
use crate::session::media::{Outgoing, PublicationId};

/// How much of a picture goes out at once, and how long the rest waits: 50 Mbit/s. Where a network is estimated the peer
/// connection paces more than that; within a machine this keeps a key frame of three layers from running over the receive
/// buffer of the server's socket, which the kernel fills with about ninety packets.
const BURST_PACKETS: usize = 5;
const BURST_PAUSE: Duration = Duration::from_millis(1);

/// How long somebody who is owed a picture waits for a new one: then the latest is encoded again. Some sources bring one only
/// when something has changed.
const REPEAT_AFTER: Duration = Duration::from_millis(200);

/// How often a picture is tried again that the encoder leaves out.
const REPEATS_MAX: u32 = 10;

/// How many pictures in a row may fail altogether before that is the end of the publication.
const FAILURES_MAX: u32 = 10;

/// Who owns the pictures. Called on the worker's thread.
pub trait Source: Send + Sync + 'static {
    /// A picture before it is encoded; it may be changed.
    fn preview(&self, picture: &mut Picture);
    /// Nothing more will be encoded for this publication.
    fn encoder_failed(&self, id: PublicationId, error: CodecError);
}

/// What the worker is told, in order.
pub enum Order {
    /// Encode for this publication from now on.
    Begin {
        id: PublicationId,
        settings: SenderSettings,
        port: MediaPort,
        /// What is sent is encrypted with it.
        keyring: Option<Keyring>,
    },
    Switch(Switch),
    KeyFrame(Option<usize>),
    Layers(Vec<bool>),
    Estimate(u64),
    /// Encode nothing for the time being: the network has not taken what was encoded before.
    Hold(bool),
    Limit(Option<u32>),
    Preset(BitratePreset),
    Hint(ContentHint),
    Screen(bool),
}

/// Whether pictures are to be encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    On,
    /// The program does not want to send any.
    Off,
    /// The network carries none.
    Narrow,
}

impl Order {
    /// Whether nothing is missed where an earlier one is left out because this one follows: what waits is no more than a
    /// dozen orders, however long the worker is kept. One `Switch` of each kind remains, in their order, since to be switched
    /// on again means a key frame.
    fn replaces(&self, earlier: &Self) -> bool {
        match (self, earlier) {
            (Self::Switch(switch), Self::Switch(before)) => switch == before,
            (Self::KeyFrame(layer), Self::KeyFrame(asked)) => layer == asked,
            _ => discriminant(self) == discriminant(earlier),
        }
    }
}

type MakeEncoder = fn(VideoCodec, &VideoSettings) -> Result<Box<dyn VideoEncoder>, CodecError>;

fn timed(make: MakeEncoder) -> video::MakeEncoder {
    Box::new(move |codec, settings| Ok(Box::new(Timed::new(make(codec, settings)?))))
}

/// The owner's end of it. The worker ends when this is dropped.
pub struct VideoOut(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    counters: Mutex<PictureCounters>,
}

#[derive(Default)]
struct State {
    work: Work,
    is_closed: bool,
}

/// What there is to do.
#[derive(Default)]
struct Work {
    orders: Vec<Order>,
    picture: Option<(Picture, Instant)>,
}

impl VideoOut {
    pub fn start(workers: &Workers, source: Arc<dyn Source>) -> io::Result<Self> {
        Self::start_with(workers, source, codec::video_encoder)
    }

    fn start_with(workers: &Workers, source: Arc<dyn Source>, make: MakeEncoder) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let worker = Worker {
            shared: shared.clone(),
            source,
            make,
            publication: None,
            encoding: None,
            latest: None,
            owed: None,
            repeats: 0,
            switch: Switch::On,
            is_held: false,
        };
        workers.spawn("otc-encoder", move || worker.run())?;
        Ok(Self(shared))
    }

    /// Never waits.
    pub fn put(&self, picture: Picture, at: Instant) {
        // The one that it takes the place of, if any, is freed with nothing locked.
        let _before = self.0.state.lock().work.picture.replace((picture, at));
        self.0.changed.notify_one();
    }

    pub fn order(&self, order: Order) {
        let mut state = self.0.state.lock();
        let orders = &mut state.work.orders;
        let needless = orders.iter().position(|earlier| order.replaces(earlier));
        let _needless = needless.map(|at| orders.remove(at));
        orders.push(order);
        drop(state);
        self.0.changed.notify_one();
    }

    /// What has been encoded for the latest publication.
    pub fn counters(&self) -> PictureCounters {
        let mut counters = self.0.counters.lock().clone();
        counters.pass(Instant::now());
        counters
    }
}

impl Drop for VideoOut {
    fn drop(&mut self) {
        self.0.state.lock().is_closed = true;
        self.0.changed.notify_one();
    }
}

struct Worker {
    shared: Arc<Shared>,
    source: Arc<dyn Source>,
    make: MakeEncoder,
    /// What was begun last and has not failed.
    publication: Option<PublicationId>,
    encoding: Option<Encoding>,
    /// The picture that came last.
    latest: Option<Picture>,
    /// When it is to be encoded again, because somebody waits for it: a key frame is wanted, or it was left out.
    owed: Option<Instant>,
    /// How often it has been.
    repeats: u32,
    switch: Switch,
    is_held: bool,
}

struct Encoding {
    id: PublicationId,
    port: MediaPort,
    sender: VideoSender,
    rates: Rates,
    /// Of the picture before.
    size: (u32, u32),
    counters: PictureCounters,
    /// How many payloads of each layer got lost between here and the session since the last one that did not.
    missing: [usize; LAYERS_MAX],
    /// Pictures of which nothing could be encoded, in a row.
    failures: u32,
    /// The log knows that the size is not one that the codec can have.
    is_unsuitable: bool,
}

impl Worker {
    fn run(mut self) {
        while let Some(work) = self.next() {
            // A defect ends what is encoded, as the failure of an encoder does; the next publication begins anew.
            if catch_unwind(AssertUnwindSafe(|| self.work(work))).is_err() {
                let defect = CodecError::Failed("a defect in this library".into());
                let _ = catch_unwind(AssertUnwindSafe(|| self.fail(defect)));
            }
        }
    }

    fn work(&mut self, work: Work) {
        work.orders.into_iter().for_each(|order| self.obey(order));
        match work.picture {
            Some((picture, at)) => self.picture(picture, at),
            None => self.repeat(Instant::now()),
        }
    }

    fn fail(&mut self, error: CodecError) {
        let _ended = self.encoding.take();
        if let Some(id) = self.publication.take() {
            self.source.encoder_failed(id, error);
        }
    }

    /// `None`: the owner is gone.
    fn next(&self) -> Option<Work> {
        let mut state = self.shared.state.lock();
        loop {
            if state.is_closed {
                return None;
            }
            let is_owed = self.owed.is_some_and(|at| Instant::now() >= at);
            if !state.work.orders.is_empty() || state.work.picture.is_some() || is_owed {
                return Some(std::mem::take(&mut state.work));
            }
            match self.owed {
                Some(at) => _ = self.shared.changed.wait_until(&mut state, at),
                None => self.shared.changed.wait(&mut state),
            }
        }
    }

    /// Somebody waits for a picture. A new one, if one comes soon.
    fn owe(&mut self) {
        if self.latest.is_some() {
            self.owed.get_or_insert_with(|| Instant::now() + REPEAT_AFTER);
        }
    }

    fn repeat(&mut self, now: Instant) {
        if self.owed.take_if(|at| now >= *at).is_some()
            && let Some(picture) = self.latest.take()
        {
            self.repeats += 1;
            self.encode(&picture, now);
            self.latest = Some(picture);
        }
    }

    fn obey(&mut self, order: Order) {
        if matches!(
            order,
            Order::Begin { .. }
                | Order::Switch(Switch::On)
                | Order::Hold(false)
                | Order::KeyFrame(_)
                | Order::Layers(_)
        ) {
            self.owe();
        }
        match (order, &mut self.encoding) {
            (Order::Begin { id, settings, port, keyring }, before) => {
                self.is_held = false;
                self.publication = Some(id);
                let before = before.take().filter(|before| before.id == id);
                match VideoSender::with_encoders(settings, timed(self.make)) {
                    Ok(mut sender) => {
                        if let Some(before) = before {
                            sender = sender.after(&before.sender);
                        }
                        if let Some(keyring) = keyring {
                            sender = sender.sealed_with(&keyring);
                        }
                        let (rates, counters) = (Rates::default(), PictureCounters::default());
                        self.encoding = Some(Encoding {
                            id,
                            port,
                            sender,
                            rates,
                            size: (0, 0),
                            counters,
                            missing: [0; LAYERS_MAX],
                            failures: 0,
                            is_unsuitable: false,
                        });
                    }
                    Err(error) => self.fail(error),
                }
            }
            (Order::Switch(switch), encoding) => {
                let was_off = std::mem::replace(&mut self.switch, switch) != Switch::On;
                if let (Switch::On, true, Some(encoding)) = (switch, was_off, encoding) {
                    encoding.sender.request_key_frame(None);
                }
                self.note_stop();
            }
            (Order::Hold(is_held), _) => {
                self.is_held = is_held;
                self.note_stop();
            }
            (_, None) => {}
            (Order::KeyFrame(layer), Some(encoding)) => encoding.sender.request_key_frame(layer),
            (Order::Layers(layers), Some(encoding)) => encoding.sender.set_wanted(&layers),
            (Order::Estimate(bits_per_second), Some(encoding)) => {
                encoding.sender.set_estimate(bits_per_second)
            }
            (Order::Limit(limit), Some(encoding)) => encoding.sender.set_limit(limit),
            (Order::Preset(preset), Some(encoding)) => encoding.sender.set_preset(preset),
            (Order::Hint(hint), Some(encoding)) => encoding.sender.set_content_hint(hint),
            (Order::Screen(is_screen), Some(encoding)) => encoding.sender.set_screen(is_screen),
        }
    }

    /// Counts what is not encoded as limited by what keeps it.
    fn note_stop(&mut self) {
        let stopped = match (self.switch, self.is_held) {
            (Switch::Off, _) => Some(Limitation::None),
            (Switch::Narrow, _) | (Switch::On, true) => Some(Limitation::Bandwidth),
            (Switch::On, false) => None,
        };
        if let Some(encoding) = &mut self.encoding {
            encoding.counters.limit(Instant::now(), stopped);
            self.shared.counters.lock().clone_from(&encoding.counters);
        }
    }

    fn picture(&mut self, mut picture: Picture, at: Instant) {
        self.source.preview(&mut picture);
        self.repeats = 0;
        self.encode(&picture, at);
        self.latest = Some(picture);
    }

    fn encode(&mut self, picture: &Picture, at: Instant) {
        let Some(encoding) = self.encoding.as_mut().filter(|_| self.switch == Switch::On && !self.is_held)
        else {
            return;
        };
        self.owed = None;
        let size = (picture.width(), picture.height());
        if std::mem::replace(&mut encoding.size, size) != size {
            let (width, height) = size;
            encoding.port.wish(Input::SetSize { id: encoding.id, width, height });
        }
        let mut frames = Vec::new();
        let outcome = encoding.sender.send(at, picture, &mut frames);
        if let Err(error) = outcome.or_else(|error| encoding.bear(error, !frames.is_empty())) {
            return self.fail(error);
        }
        encoding.counters.count(Instant::now(), size, &encoding.sender, &frames);
        self.shared.counters.lock().clone_from(&encoding.counters);
        let rates = encoding.sender.rates();
        let is_left_out = |layer: usize| frames.iter().all(|frame| frame.layer != layer);
        let mut active = (0..).zip(&rates.layers).filter(|(_, layer)| layer.is_active);
        if self.repeats < REPEATS_MAX && active.any(|(layer, _)| is_left_out(layer)) {
            self.owed = Some(at + REPEAT_AFTER);
        }
        encoding.hand_over(frames, at);
        if rates != encoding.rates {
            let (current_bps, desired_bps) = (rates.current_bps, rates.desired_bps);
            encoding.port.wish(Input::Bitrates { id: encoding.id, current_bps, desired_bps });
            encoding.rates = rates;
        }
    }
}

impl Encoding {
    /// What an encoder could not do may be something that it can do with the next picture. Gives the error back that is the
    /// end.
    fn bear(&mut self, error: CodecError, has_frames: bool) -> Result<(), CodecError> {
        match error {
            CodecError::Missing(_) | CodecError::Unsealed => Err(error),
            CodecError::Unsuitable(what) => {
                if !std::mem::replace(&mut self.is_unsuitable, true) {
                    log::warn!("pictures that the codec cannot have are left out: {what}");
                }
                Ok(())
            }
            CodecError::Malformed | CodecError::Failed(_) => {
                self.failures = if has_frames { 0 } else { self.failures + 1 };
                if self.failures > FAILURES_MAX { Err(error) } else { Ok(()) }
            }
        }
    }

    fn hand_over(&mut self, frames: Vec<SentFrame>, at: Instant) {
        let mut burst = 0;
        for SentFrame { layer, timestamp, payloads, .. } in frames {
            let payloads: Vec<_> =
                payloads.into_iter().map(|payload| (payload.bytes, payload.is_marked)).collect();
            let mut is_torn = false;
            for payloads in payloads.chunks(BURST_PACKETS) {
                if burst >= BURST_PACKETS {
                    burst = 0;
                    thread::sleep(BURST_PAUSE);
                }
                burst += payloads.len();
                let missing = &mut self.missing[layer];
                let outgoing = Outgoing {
                    kind: Kind::Video,
                    layer,
                    timestamp,
                    missing: *missing,
                    payloads: payloads.to_vec(),
                    captured: at,
                    level: None,
                };
                // Without one of its packets the rest of a frame is of no use.
                if is_torn || !self.port.send(Input::Media { id: self.id, outgoing }) {
                    is_torn = true;
                    *missing += payloads.len();
                } else {
                    *missing = 0;
                }
            }
            if is_torn {
                self.sender.request_key_frame(Some(layer));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::media::codec::EncodedFrame;

    const LIMIT: Duration = Duration::from_secs(20);

    /// Tells what is heard.
    struct Listener(mpsc::Sender<Option<PublicationId>>);

    impl Source for Listener {
        fn preview(&self, _: &mut Picture) {
            let _ = self.0.send(None);
        }

        fn encoder_failed(&self, id: PublicationId, _: CodecError) {
            let _ = self.0.send(Some(id));
        }
    }

    fn begin(id: u64) -> Order {
        let settings = SenderSettings::new(VideoCodec::Vp8, 1);
        Order::Begin { id: PublicationId(id), settings, port: MediaPort::of_a_test(), keyring: None }
    }

    #[test]
    fn a_panic_of_an_encoder_is_a_failure_of_its_publication_and_the_next_one_begins_anew() {
        let (workers, (heard, hears)) = (Workers::default(), mpsc::channel());
        let out = VideoOut::start_with(&workers, Arc::new(Listener(heard)), |_, _| panic!("on purpose"));
        let out = out.expect("a thread");
        for id in [1, 2] {
            out.order(begin(id));
            out.put(Picture::black(320, 240).expect("a picture"), Instant::now());
            assert_eq!(hears.recv_timeout(LIMIT), Ok(None));
            assert_eq!(hears.recv_timeout(LIMIT), Ok(Some(PublicationId(id))));
        }
        drop(out);
        assert!(workers.join(Instant::now() + LIMIT));
        assert!(hears.try_recv().is_err(), "a failure is told once");
    }

    #[test]
    fn orders_that_wait_for_long_do_not_grow_and_keep_their_effect() {
        let out = VideoOut(Arc::default()); // without a worker
        for round in 0..1000 {
            out.order(Order::Switch(if round % 2 == 0 { Switch::On } else { Switch::Off }));
            out.order(begin(round));
            out.order(Order::Hold(round % 3 == 0));
            out.order(Order::KeyFrame(Some(round as usize % 3)));
            out.order(Order::Estimate(round));
        }
        let orders = std::mem::take(&mut out.0.state.lock().work.orders);
        assert_eq!(orders.len(), 2 + 1 + 1 + 3 + 1);
        let last = orders.iter().rev().find(|order| matches!(order, Order::Switch(_)));
        assert!(matches!(last, Some(Order::Switch(Switch::Off))));
        assert!(orders.iter().any(|order| matches!(order, Order::Estimate(999))));
        assert!(orders.iter().any(|order| matches!(order, Order::Begin { id: PublicationId(999), .. })));
    }

    /// What the session gets of one picture after another.
    fn media(wishes: &mut tokio::sync::mpsc::UnboundedReceiver<Input>) -> Outgoing {
        let end = Instant::now() + LIMIT;
        while Instant::now() < end {
            if let Ok(Input::Media { outgoing, .. }) = wishes.try_recv() {
                return outgoing;
            }
            thread::sleep(Duration::from_millis(1));
        }
        panic!("nothing was encoded");
    }

    /// Encodes a picture as one byte, after it has left out some.
    struct Simple {
        leaves_out: u32,
        fails: bool,
    }

    impl VideoEncoder for Simple {
        fn encode(
            &mut self,
            _: &Picture,
            _: Duration,
            is_key: bool,
        ) -> Result<Option<EncodedFrame>, CodecError> {
            if self.fails {
                return Err(CodecError::Failed("on purpose".into()));
            }
            if self.leaves_out > 0 {
                self.leaves_out -= 1;
                return Ok(None);
            }
            Ok(Some(EncodedFrame { bytes: vec![1], is_key, temporal_layer: 0, is_layer_sync: is_key }))
        }

        fn set_rate(&mut self, _: u32, _: f32) {}
    }

    #[test]
    fn a_still_source_is_encoded_again_for_who_waits_for_a_picture() {
        let (workers, (heard, _hears)) = (Workers::default(), mpsc::channel());
        let (port, _open, mut wishes) = MediaPort::open();
        let make: MakeEncoder = |_, _| Ok(Box::new(Simple { leaves_out: 2, fails: false }));
        let out = VideoOut::start_with(&workers, Arc::new(Listener(heard)), make).expect("a thread");
        // The only picture comes before anything is published.
        out.put(Picture::black(320, 240).expect("a picture"), Instant::now());
        let settings = SenderSettings::new(VideoCodec::Vp8, 1);
        out.order(Order::Begin { id: PublicationId(1), settings, port, keyring: None });
        let first = media(&mut wishes);
        out.order(Order::KeyFrame(None)); // another subscriber
        let second = media(&mut wishes);
        assert!(second.timestamp.wrapping_sub(first.timestamp) >= 9_000, "time goes on");
        drop(out);
        assert!(workers.join(Instant::now() + LIMIT));
    }

    #[test]
    fn the_counters_know_what_keeps_pictures_and_how_long_encoding_takes() {
        let (workers, (heard, hears)) = (Workers::default(), mpsc::channel());
        let make: MakeEncoder = |_, _| Ok(Box::new(Simple { leaves_out: 0, fails: false }));
        let out = VideoOut::start_with(&workers, Arc::new(Listener(heard)), make).expect("a thread");
        let until = |has: &dyn Fn(&PictureCounters) -> bool| {
            let end = Instant::now() + LIMIT;
            while !has(&out.counters()) {
                assert!(Instant::now() < end, "{:?}", out.counters());
                thread::sleep(Duration::from_millis(1));
            }
        };
        let (port, _open, _wishes) = MediaPort::open();
        let settings = SenderSettings::new(VideoCodec::Vp8, 1);
        out.order(Order::Begin { id: PublicationId(1), settings, port, keyring: None });
        out.put(Picture::black(320, 240).expect("a picture"), Instant::now());
        assert_eq!(hears.recv_timeout(LIMIT), Ok(None));
        until(&|counters| counters.layers.first().is_some_and(|layer| !layer.encoding.is_zero()));
        for (order, by) in [
            (Order::Hold(true), Limitation::Bandwidth),
            (Order::Hold(false), Limitation::None),
            (Order::Switch(Switch::Narrow), Limitation::Bandwidth),
            (Order::Switch(Switch::Off), Limitation::None),
            (Order::Hold(true), Limitation::None),
            (Order::Switch(Switch::On), Limitation::Bandwidth),
        ] {
            out.order(order);
            until(&|counters| counters.layers[0].limited.by == by);
        }
        let bandwidth = || out.counters().layers[0].limited.bandwidth;
        let before = bandwidth();
        thread::sleep(Duration::from_millis(1));
        assert!(bandwidth() > before, "time goes on without pictures");
        drop(out);
        assert!(workers.join(Instant::now() + LIMIT));
    }

    #[test]
    fn an_encoder_that_fails_for_long_is_told_of_once() {
        let (workers, (heard, hears)) = (Workers::default(), mpsc::channel());
        let make: MakeEncoder = |_, _| Ok(Box::new(Simple { leaves_out: 0, fails: true }));
        let out = VideoOut::start_with(&workers, Arc::new(Listener(heard)), make).expect("a thread");
        out.order(begin(1));
        let mut pictures = 0;
        loop {
            out.put(Picture::black(320, 240).expect("a picture"), Instant::now());
            assert_eq!(hears.recv_timeout(LIMIT), Ok(None));
            pictures += 1;
            if let Ok(failed) = hears.recv_timeout(Duration::from_millis(20)) {
                assert_eq!(failed, Some(PublicationId(1)));
                break;
            }
        }
        assert!(pictures > 3, "{pictures} pictures: a single failure is none");
        drop(out);
        assert!(workers.join(Instant::now() + LIMIT));
        assert!(hears.try_recv().is_err());
    }
}
