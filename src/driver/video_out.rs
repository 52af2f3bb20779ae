//! The thread that a publisher's pictures go through: preview, encoder, session.
//!
//! One picture waits at most: the newest wins, and whoever brings one never waits.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::session::MediaPort;
use super::video_counters::PictureCounters;
use super::workers::Workers;
use crate::media::codec::{self, CodecError};
use crate::media::encryption::Keyring;
use crate::media::video::{BitratePreset, ContentHint, Rates, SenderSettings, VideoSender};
use crate::media::{Kind, Picture};
use crate::session::Input;
use crate::session::media::{Outgoing, PublicationId};

/// How much of a picture goes out at once, and how long the rest waits: 50 Mbit/s. Where a network is estimated the peer
/// connection paces more than that; within a machine this keeps a key frame of three layers from running over the receive
/// buffer of the server's socket, which the kernel fills with about ninety packets.
const BURST_PACKETS: usize = 5;
const BURST_PAUSE: Duration = Duration::from_millis(1);

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
    SetOn(bool),
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
        let shared = Arc::new(Shared::default());
        let worker = Worker { shared: shared.clone(), source, encoding: None, is_on: true, is_held: false };
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
        self.0.state.lock().work.orders.push(order);
        self.0.changed.notify_one();
    }

    /// What has been encoded for the latest publication.
    pub fn counters(&self) -> PictureCounters {
        self.0.counters.lock().clone()
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
    encoding: Option<Encoding>,
    is_on: bool,
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
}

impl Worker {
    fn run(mut self) {
        while let Some(Work { orders, picture }) = self.next() {
            orders.into_iter().for_each(|order| self.obey(order));
            if let Some((picture, at)) = picture {
                self.picture(picture, at);
            }
        }
    }

    /// `None`: the owner is gone.
    fn next(&self) -> Option<Work> {
        let mut state = self.shared.state.lock();
        loop {
            if state.is_closed {
                return None;
            }
            if !state.work.orders.is_empty() || state.work.picture.is_some() {
                return Some(std::mem::take(&mut state.work));
            }
            self.shared.changed.wait(&mut state);
        }
    }

    fn obey(&mut self, order: Order) {
        match (order, &mut self.encoding) {
            (Order::Begin { id, settings, port, keyring }, before) => {
                self.is_held = false;
                let before = before.take().filter(|before| before.id == id);
                match VideoSender::with_encoders(settings, Box::new(codec::video_encoder)) {
                    Ok(mut sender) => {
                        if let Some(before) = before {
                            sender = sender.after(&before.sender);
                        }
                        if let Some(keyring) = keyring {
                            sender = sender.sealed_with(&keyring);
                        }
                        let (rates, counters) = (Rates::default(), PictureCounters::default());
                        self.encoding = Some(Encoding { id, port, sender, rates, size: (0, 0), counters });
                    }
                    Err(error) => self.source.encoder_failed(id, error),
                }
            }
            (Order::SetOn(is_on), encoding) => {
                if let (true, false, Some(encoding)) = (is_on, self.is_on, encoding) {
                    encoding.sender.request_key_frame(None);
                }
                self.is_on = is_on;
            }
            (Order::Hold(is_held), _) => self.is_held = is_held,
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

    fn picture(&mut self, mut picture: Picture, at: Instant) {
        self.source.preview(&mut picture);
        if !self.is_on || self.is_held {
            return;
        }
        let Some(encoding) = &mut self.encoding else { return };
        let size = (picture.width(), picture.height());
        if std::mem::replace(&mut encoding.size, size) != size {
            let (width, height) = size;
            encoding.port.wish(Input::SetSize { id: encoding.id, width, height });
        }
        let mut frames = Vec::new();
        if let Err(error) = encoding.sender.send(at, &picture, &mut frames) {
            let id = encoding.id;
            self.encoding = None;
            return self.source.encoder_failed(id, error);
        }
        let mut burst = 0;
        encoding.counters.count(size, &encoding.sender, &frames);
        self.shared.counters.lock().clone_from(&encoding.counters);
        for frame in frames {
            let payloads: Vec<_> =
                frame.payloads.into_iter().map(|payload| (payload.bytes, payload.is_marked)).collect();
            for payloads in payloads.chunks(BURST_PACKETS) {
                if burst >= BURST_PACKETS {
                    burst = 0;
                    thread::sleep(BURST_PAUSE);
                }
                burst += payloads.len();
                let outgoing = Outgoing {
                    kind: Kind::Video,
                    layer: frame.layer,
                    timestamp: frame.timestamp,
                    payloads: payloads.to_vec(),
                    captured: at,
                    level: None,
                };
                encoding.port.send(Input::Media { id: encoding.id, outgoing });
            }
        }
        let rates = encoding.sender.rates();
        if rates != encoding.rates {
            let (current_bps, desired_bps) = (rates.current_bps, rates.desired_bps);
            encoding.port.wish(Input::Bitrates { id: encoding.id, current_bps, desired_bps });
            encoding.rates = rates;
        }
    }
}
