//! A publisher, the server and a watcher, on simulated time.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use opentok::media::video::{
    Rates, SenderSettings, VideoOutput, VideoPacket, VideoReceiver, VideoSender, plan_layers,
};
use opentok::media::{Kind, Picture, VideoCodec};
use opentok::rtc::Datagram;
use opentok::server::{self, LinkId, Locality, Server};
use opentok::session::media::{
    Format, Outgoing, Publication, PublicationId, PublishedAudio, PublishedLayer, PublishedVideo,
    PublisherEvent, SubscriptionId, Wants,
};
use opentok::session::{Addresses, Config, Core, Event, Input, Output, VideoType};
use opentok::signal::token::{Order, Role, Secrets, classic};

use crate::codec::{Decoder, Encoder, Newest};
use crate::network::Agenda;
use crate::way::Way;

const SESSION: &str = "1_narrow";
const KEY: &str = "12345";
const SECRET: &str = "not a secret";
const EPOCH_MS: i64 = 1_700_000_000_000;
const FILM: PublicationId = PublicationId(1);
const VIEW: SubscriptionId = SubscriptionId(2);

pub const PUBLISHER: usize = 0;
pub const WATCHER: usize = 1;

const PICTURE_TIME: Duration = Duration::from_micros(33_333);
const SOUND_TIME: Duration = Duration::from_millis(20);
const SOUND_SIZE: usize = 100;

/// Signalling takes this long.
const LINK_DELAY: Duration = Duration::from_millis(5);

enum Arrival {
    Up { client: usize, bytes: Vec<u8> },
    Down { client: usize, bytes: Vec<u8> },
    DatagramUp { datagram: Datagram },
    DatagramDown { client: usize, datagram: Datagram },
    Picture,
    Sound,
}

/// What was seen in one second.
#[derive(Debug, Default, Clone)]
pub struct Second {
    pub pictures: u32,
    /// The longest one that ended in this second, or goes on at its end.
    pub pause: Duration,
    pub latency: Duration,
    pub layer: u64,
}

pub struct World {
    began: Instant,
    pub now: Instant,
    server: Server,
    cores: [Core; 2],
    pub up: [Way; 2],
    pub down: [Way; 2],
    agenda: Agenda<Arrival>,
    picture: Picture,
    sender: Option<VideoSender>,
    first_picture: Option<Instant>,
    is_held: bool,
    rates: Rates,
    sound: u32,
    receiver: VideoReceiver,
    newest: Arc<Newest>,
    shown: Option<Instant>,
    second: Second,
    pub estimate: u64,
    pub key_frames: u32,
    prints: bool,
}

fn config() -> server::Config {
    let mut secrets = Secrets::new();
    secrets.add(KEY, SECRET);
    let udp_addresses = vec![SocketAddr::from(([10, 0, 0, 1], 7882))];
    server::Config { secrets, udp_addresses, ..server::Config::default() }
}

fn core(number: usize) -> Core {
    let token = classic(&Order {
        api_key: KEY,
        secret: SECRET,
        session_id: SESSION,
        role: Role::Publisher,
        connection_data: "",
        created_s: EPOCH_MS / 1000,
        expires_s: EPOCH_MS / 1000 + 3600,
        nonce: number as u64,
    });
    Core::new(Config {
        session_id: SESSION.into(),
        room: Some(SESSION.into()),
        api_key: KEY.into(),
        token: token.expect("a token"),
        seed: number as u64,
        ..Config::default()
    })
}

/// Where a client's two sockets are; the server knows clients by these.
fn socket(client: usize, number: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 2], 5000 + 2 * client as u16 + number))
}

impl World {
    /// Everybody is there and a picture has been shown.
    pub fn watched() -> Self {
        let now = Instant::now();
        let newest = Arc::<Newest>::default();
        let decoders = newest.clone();
        let receiver = VideoReceiver::with_decoders(Box::new(move |_| {
            Ok(Box::new(Decoder { newest: decoders.clone(), had: HashSet::new() }))
        }));
        let mut world = Self {
            began: now,
            now,
            server: Server::new(config(), 1),
            cores: [core(PUBLISHER), core(WATCHER)],
            up: [Way::new(now), Way::new(now)],
            down: [Way::new(now), Way::new(now)],
            agenda: Agenda::new(),
            picture: Picture::black(1280, 720).expect("a picture"),
            sender: None,
            first_picture: None,
            is_held: false,
            rates: Rates::default(),
            sound: 0,
            receiver,
            newest,
            shown: None,
            second: Second::default(),
            estimate: 0,
            key_frames: 0,
            prints: std::env::var_os("PRINTS").is_some(),
        };
        for client in [PUBLISHER, WATCHER] {
            world.cores[client].handle(now, Input::Connect);
        }
        world.agenda.put(now, Arrival::Picture);
        world.agenda.put(now, Arrival::Sound);
        let limit = now + Duration::from_secs(10);
        while world.shown.is_none() {
            assert!(world.step(limit), "no picture came");
        }
        world
    }

    /// What the watcher sees in each of the next seconds.
    pub fn watch(&mut self, seconds: u32) -> Vec<Second> {
        let mut seen = Vec::new();
        for _ in 0..seconds {
            self.second = Second::default();
            let end = self.now + Duration::from_secs(1);
            while self.step(end) {}
            self.now = end;
            let mut second = self.second.clone();
            let pause = self.shown.map_or(Duration::ZERO, |shown| self.now - shown);
            second.pause = second.pause.max(pause);
            if self.prints {
                println!(
                    "{:>4} s: {:>3} pictures, pause {:>5} ms, latency {:>5} ms, encoder {:>2}, estimate {:>8}, rates {:?}, {} key frames wanted, dropped {} up {} down, held {}",
                    (self.now - self.began).as_secs(),
                    second.pictures,
                    second.pause.as_millis(),
                    second.latency.as_millis(),
                    second.layer,
                    self.estimate,
                    self.rates.layers.iter().map(|layer| layer.bitrate_bps).collect::<Vec<_>>(),
                    std::mem::take(&mut self.key_frames),
                    self.up[PUBLISHER].dropped,
                    self.down[WATCHER].dropped,
                    self.is_held,
                );
            }
            seen.push(second);
        }
        seen
    }

    fn step(&mut self, end: Instant) -> bool {
        let cores = self.cores.iter().filter_map(Core::poll_timeout);
        let others =
            [self.agenda.next_at(), self.server.poll_timeout(), self.receiver.poll_timeout(self.now)];
        let Some(at) = cores.chain(others.into_iter().flatten()).min().filter(|at| *at <= end) else {
            return false;
        };
        self.now = self.now.max(at);
        for core in &mut self.cores {
            if core.poll_timeout().is_some_and(|at| at <= self.now) {
                core.handle_timeout(self.now);
            }
        }
        if self.server.poll_timeout().is_some_and(|at| at <= self.now) {
            self.server.handle_timeout(self.now);
        }
        self.receiver.handle_timeout(self.now);
        self.carry_out();
        if self.agenda.next_at().is_some_and(|at| at <= self.now)
            && let Some((_, arrival)) = self.agenda.take()
        {
            self.arrive(arrival);
        }
        self.carry_out();
        true
    }

    fn wall_ms(&self) -> i64 {
        EPOCH_MS + (self.now - self.began).as_millis() as i64
    }

    fn carry_out(&mut self) {
        loop {
            let mut is_idle = true;
            for client in [PUBLISHER, WATCHER] {
                while let Some(output) = self.cores[client].poll() {
                    is_idle = false;
                    self.client_wants(client, output);
                }
            }
            while let Some(output) = self.server.poll() {
                is_idle = false;
                self.server_wants(output);
            }
            while let Some(output) = self.receiver.poll(self.now, 0) {
                is_idle = false;
                match output {
                    VideoOutput::Picture(_) => self.show(),
                    VideoOutput::KeyFrameNeeded => {
                        self.cores[WATCHER].handle(self.now, Input::NeedKeyFrame(VIEW));
                    }
                    VideoOutput::Frozen | VideoOutput::Resumed => {}
                    other => panic!("{other:?}"),
                }
            }
            if is_idle {
                return;
            }
        }
    }

    fn show(&mut self) {
        let pause = self.shown.map_or(Duration::ZERO, |shown| self.now - shown);
        let made = Duration::from_millis(self.newest.at_ms.load(Ordering::Relaxed));
        self.shown = Some(self.now);
        self.second.pictures += 1;
        self.second.pause = self.second.pause.max(pause);
        self.second.layer = self.newest.encoder.load(Ordering::Relaxed);
        if let Some(first) = self.first_picture {
            self.second.latency = (self.now - first).saturating_sub(made);
        }
    }

    fn client_wants(&mut self, client: usize, output: Output) {
        match output {
            Output::Dial { query, token, .. } => {
                let link = LinkId(client as u64);
                let wall_ms = self.wall_ms();
                let admission = self.server.admit(self.now, wall_ms, &query, &token, Locality::Remote);
                let Ok(admission) = admission else { panic!("not admitted") };
                self.cores[client].handle(self.now, Input::LinkOpened);
                self.server.handle(self.now, wall_ms, server::Input::Opened { link, admission });
            }
            Output::Send(bytes) => self.agenda.put(self.now + LINK_DELAY, Arrival::Up { client, bytes }),
            Output::OpenSockets(_) => {
                let addresses =
                    Addresses { subscriber: vec![socket(client, 0)], publisher: vec![socket(client, 1)] };
                self.cores[client].handle(self.now, Input::SocketsOpened(addresses));
            }
            Output::Transmit(Datagram { local, remote, bytes }) => {
                if let Some(at) = self.up[client].take(self.now, bytes.len()) {
                    let datagram = Datagram { local: remote, remote: local, bytes };
                    self.agenda.put(at, Arrival::DatagramUp { datagram });
                }
            }
            Output::Media { id: VIEW, packet } => {
                let Format::Video(codec) = packet.format else { return };
                let packet = VideoPacket {
                    codec,
                    source: packet.source,
                    sequence: packet.sequence,
                    timestamp: packet.timestamp,
                    is_marked: packet.is_marked,
                    payload: packet.payload,
                    rotation: packet.rotation,
                    sender_report: None,
                    is_sealed: false,
                };
                self.receiver.handle_packet(self.now, packet);
            }
            Output::Event(event) => self.hear(client, event),
            Output::HangUp | Output::Cut | Output::RenewSockets(_) => panic!("the link is given up"),
            Output::OpenStream { .. } | Output::CloseStream(_) => panic!("UDP gets through"),
            Output::Media { .. } | Output::Call { .. } | Output::FindRelays { .. } => {}
        }
    }

    fn hear(&mut self, client: usize, event: Event) {
        match event {
            Event::Connected { .. } if client == PUBLISHER => self.publish(),
            Event::StreamReceived(stream) if client == WATCHER => {
                let subscribe =
                    Input::Subscribe { id: VIEW, stream_id: stream.id.clone(), wants: Wants::default() };
                self.cores[client].handle(self.now, subscribe);
            }
            Event::Publisher { event, .. } => self.publisher_hears(event),
            Event::Ended(ending) => panic!("{ending:?}"),
            _ => {}
        }
    }

    fn publish(&mut self) {
        let layers = plan_layers(1280, 720, false, true, None);
        let layer = |plan: &opentok::media::video::LayerPlan| PublishedLayer {
            name: plan.name,
            width: plan.width,
            height: plan.height,
            bitrate_bps: plan.bitrate_bps,
        };
        let publication = Publication {
            id: FILM,
            name: "film".into(),
            audio: Some(PublishedAudio { is_on: true, is_stereo: false, uses_dtx: false }),
            video: Some(PublishedVideo {
                is_on: true,
                video_type: VideoType::Camera,
                codecs: vec![VideoCodec::Vp8],
                layers: layers.iter().map(layer).collect(),
            }),
            sends_statistics: false,
            is_sealed: false,
        };
        self.cores[PUBLISHER].handle(self.now, Input::Publish(Box::new(publication)));
    }

    /// As `api/publisher.rs` and the thread of the encoder do it.
    fn publisher_hears(&mut self, event: PublisherEvent) {
        match (event, &mut self.sender) {
            (PublisherEvent::Published { .. }, sender) => {
                let settings = SenderSettings { layers_max: 3, ..SenderSettings::new(VideoCodec::Vp8, 1) };
                let mut count = 0;
                let make = Box::new(move |_, settings: &_| {
                    count += 1;
                    Ok(Box::new(Encoder::new(settings, count)) as Box<_>)
                });
                *sender = Some(VideoSender::with_encoders(settings, make).expect("a sender"));
            }
            (PublisherEvent::KeyFrameWanted(layer), Some(sender)) => {
                self.key_frames += 1;
                sender.request_key_frame(layer);
            }
            (PublisherEvent::LayersWanted(layers), Some(sender)) => sender.set_wanted(&layers),
            (PublisherEvent::Bitrate(estimate), _) => {
                self.estimate = estimate;
            }
            (PublisherEvent::VideoBitrate(part), Some(sender)) => sender.set_estimate(part),
            (PublisherEvent::Held(is_held), _) => self.is_held = is_held,
            (PublisherEvent::Failed(fault), _) => panic!("{fault:?}"),
            _ => {}
        }
    }

    fn server_wants(&mut self, output: server::Output) {
        match output {
            server::Output::Send { link, bytes, .. } => {
                let arrival = Arrival::Down { client: link.0 as usize, bytes: bytes.to_vec() };
                self.agenda.put(self.now + LINK_DELAY, arrival);
            }
            server::Output::Close { .. } => panic!("the server hangs up"),
            server::Output::OpenSockets | server::Output::CloseStream(_) => {}
            server::Output::Transmit(Datagram { local, remote, bytes }) => {
                let client = usize::from(remote.port() - 5000) / 2;
                if let Some(at) = self.down[client].take(self.now, bytes.len()) {
                    let datagram = Datagram { local: remote, remote: local, bytes };
                    self.agenda.put(at, Arrival::DatagramDown { client, datagram });
                }
            }
        }
    }

    fn arrive(&mut self, arrival: Arrival) {
        let wall_ms = self.wall_ms();
        match arrival {
            Arrival::Up { client, bytes } => {
                let link = LinkId(client as u64);
                self.server.handle(self.now, wall_ms, server::Input::Frame { link, bytes });
            }
            Arrival::Down { client, bytes } => self.cores[client].handle(self.now, Input::Frame(bytes)),
            Arrival::DatagramUp { datagram } => {
                self.server.handle(self.now, wall_ms, server::Input::Datagram(datagram));
            }
            Arrival::DatagramDown { client, datagram } => {
                self.cores[client].handle(self.now, Input::Datagram(datagram));
            }
            Arrival::Picture => {
                self.agenda.put(self.now + PICTURE_TIME, Arrival::Picture);
                self.picture();
            }
            Arrival::Sound => {
                self.agenda.put(self.now + SOUND_TIME, Arrival::Sound);
                self.sound();
            }
        }
    }

    fn picture(&mut self) {
        let Some(sender) = self.sender.as_mut().filter(|_| !self.is_held) else { return };
        self.first_picture.get_or_insert(self.now);
        let mut frames = Vec::new();
        sender.send(self.now, &self.picture, &mut frames).expect("the encoders work");
        let rates = sender.rates();
        for frame in frames {
            let payloads = frame.payloads.into_iter().map(|payload| (payload.bytes, payload.is_marked));
            let outgoing = Outgoing {
                kind: Kind::Video,
                layer: frame.layer,
                timestamp: frame.timestamp,
                missing: 0,
                payloads: payloads.collect(),
                captured: self.now,
                level: None,
            };
            self.cores[PUBLISHER].handle(self.now, Input::Media { id: FILM, outgoing });
        }
        if rates != self.rates {
            let (current_bps, desired_bps) = (rates.current_bps, rates.desired_bps);
            self.cores[PUBLISHER].handle(self.now, Input::Bitrates { id: FILM, current_bps, desired_bps });
            self.rates = rates;
        }
    }

    fn sound(&mut self) {
        self.sound += 1;
        let outgoing = Outgoing {
            kind: Kind::Audio,
            layer: 0,
            timestamp: self.sound * 960,
            missing: 0,
            payloads: vec![(Arc::from([1; SOUND_SIZE]), true)],
            captured: self.now,
            level: Some((30, true)),
        };
        self.cores[PUBLISHER].handle(self.now, Input::Media { id: FILM, outgoing });
    }
}
