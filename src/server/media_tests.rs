//! Media against the core, on made-up time and a network that loses nothing unless it is told to: clients here are
//! links and peers, nothing else. The tests lie beside this by topic.

mod layers;
mod lifecycle;
mod publishing;
mod subscribing;
mod telling;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::core_tests::{World, classic, livekit, ours, secrets, theirs};
use super::{Config, Input, LinkId, Locality};
use crate::rtc::{
    self, AudioLevel, Codec, Datagram, Layer, MediaKind, PacketIn, PacketOut, Peer, Section, SectionInfo,
    Sending,
};
use crate::signal::frame::{FromClient, FromServer};
use crate::signal::join::JoinQuery;
use crate::signal::proto::signal_request::Message as Ask;
use crate::signal::proto::signal_response::Message;
use crate::signal::proto::{
    self, AddTrackRequest, ParticipantInfo, SessionDescription, SimulcastCodec, TrackInfo, TrackSource,
    TrackType, UpdateSubscription, UpdateTrackSettings, VideoLayer, VideoQuality,
};
use crate::signal::token::Role;

/// Far more than anything needs on a network that loses nothing.
const LIMIT: Duration = Duration::from_secs(12);

const STEP: Duration = Duration::from_millis(10);

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], port))
}

struct Client {
    link: LinkId,
    info: ParticipantInfo,
    port: u16,
    publisher: Option<Peer>,
    subscriber: Option<Peer>,
    /// Signals that are not about connections.
    heard: Vec<Message>,
    offers: Vec<SessionDescription>,
    sections: Vec<SectionInfo>,
    packets: Vec<PacketIn>,
    /// Key frames that were asked of it.
    key_frames: Vec<(Section, Option<Layer>)>,
    /// It does not answer offers.
    is_mute: bool,
    /// Datagrams to it are lost.
    is_cut: bool,
}

struct Call {
    world: World,
    clients: Vec<Client>,
}

fn description(kind: &str, sdp: String, id: u32) -> FromClient {
    let description = SessionDescription { r#type: kind.into(), sdp, id, ..Default::default() };
    FromClient::Message(if kind == "offer" { Ask::Offer(description) } else { Ask::Answer(description) })
}

fn audio(cid: &str) -> AddTrackRequest {
    AddTrackRequest {
        cid: cid.into(),
        name: "voice".into(),
        r#type: TrackType::Audio.into(),
        source: TrackSource::Microphone.into(),
        ..Default::default()
    }
}

fn video(cid: &str) -> AddTrackRequest {
    AddTrackRequest {
        cid: cid.into(),
        name: "face".into(),
        r#type: TrackType::Video.into(),
        source: TrackSource::Camera.into(),
        width: 1280,
        height: 720,
        simulcast_codecs: vec![SimulcastCodec { codec: "vp8".into(), cid: cid.into(), ..Default::default() }],
        ..Default::default()
    }
}

fn simulcast(cid: &str) -> AddTrackRequest {
    let layer = |(quality, width, height, bitrate): (VideoQuality, u32, u32, u32)| VideoLayer {
        quality: quality.into(),
        width,
        height,
        bitrate,
        ..Default::default()
    };
    let layers = [
        (VideoQuality::Low, 320, 180, 40_000),
        (VideoQuality::Medium, 640, 360, 120_000),
        (VideoQuality::High, 1280, 720, 400_000),
    ];
    AddTrackRequest { layers: layers.map(layer).to_vec(), ..video(cid) }
}

fn sending(kind: MediaKind, cid: &str, layers: &[&str]) -> Sending {
    Sending {
        kind,
        codecs: if kind == MediaKind::Video { vec![Codec::Vp8] } else { vec![Codec::Opus] },
        stream_id: "stream".into(),
        track_id: cid.into(),
        layers: layers.iter().map(|name| Layer::new(name)).collect(),
        is_stereo: false,
        uses_dtx: false,
    }
}

impl Call {
    fn new() -> Self {
        let config = Config { secrets: secrets(), opens_udp_on_demand: true, ..Default::default() };
        Self { world: World::with(config), clients: Vec::new() }
    }

    fn now(&self) -> Instant {
        self.world.now
    }

    fn enter(&mut self, query: JoinQuery, token: &str) -> usize {
        let link = self.world.open(query, token, Locality::Remote).expect("admitted");
        let frames = self.world.take(link);
        let info = match frames.first() {
            Some(FromServer::Welcome(join) | FromServer::Message(Message::Join(join))) => {
                join.participant.clone()
            }
            other => panic!("no welcome but {other:?}"),
        };
        let number = self.clients.len();
        let mut client = Client {
            link,
            info: info.expect("a participant"),
            port: 5000 + 10 * u16::try_from(number).expect("few"),
            publisher: None,
            subscriber: None,
            heard: Vec::new(),
            offers: Vec::new(),
            sections: Vec::new(),
            packets: Vec::new(),
            key_frames: Vec::new(),
            is_mute: false,
            is_cut: false,
        };
        for frame in frames.into_iter().skip(1) {
            client.hear(&mut self.world, frame);
        }
        self.clients.push(client);
        number
    }

    /// One of ours.
    fn ours(&mut self, name: &str) -> usize {
        self.enter(ours(), &classic(Role::Publisher, name))
    }

    fn ask(&mut self, client: usize, message: Ask) {
        let link = self.clients[client].link;
        self.world.say(link, FromClient::Message(message));
        self.settle();
    }

    /// Announces a track, and returns what the server makes of it.
    fn announce(&mut self, client: usize, request: AddTrackRequest) -> TrackInfo {
        let cid = request.cid.clone();
        self.ask(client, Ask::AddTrack(request));
        let said = self.clients[client].heard.iter().rev().find_map(|message| match message {
            Message::TrackPublished(published) if published.cid == cid => published.track.clone(),
            _ => None,
        });
        said.unwrap_or_else(|| panic!("not published: {:?}", self.clients[client].heard))
    }

    /// Offers what the publisher's connection is to send.
    fn offer(&mut self, client: usize) {
        let now = self.now();
        let offer = self.publisher(client).offer(now).expect("an offer");
        self.send(client, description("offer", offer, 1));
    }

    fn send(&mut self, client: usize, frame: FromClient) {
        let link = self.clients[client].link;
        self.world.say(link, frame);
        self.settle();
    }

    fn publisher(&mut self, client: usize) -> &mut Peer {
        let now = self.now();
        let one = &mut self.clients[client];
        let port = one.port;
        one.publisher.get_or_insert_with(|| Peer::new(now, &[address(port)]))
    }

    /// Announces a track and offers a section for it.
    fn publish(&mut self, client: usize, request: AddTrackRequest, layers: &[&str]) -> (TrackInfo, Section) {
        let kind = if request.r#type() == TrackType::Video { MediaKind::Video } else { MediaKind::Audio };
        let wanted = sending(kind, &request.cid, layers);
        let info = self.announce(client, request);
        let now = self.now();
        let section = self.publisher(client).add_sending(now, &wanted).expect("a section");
        self.offer(client);
        (info, section)
    }

    fn subscribe(&mut self, client: usize, sid: &str, subscribe: bool) {
        let update = UpdateSubscription { track_sids: vec![sid.into()], subscribe, ..Default::default() };
        self.ask(client, Ask::Subscription(update));
    }

    fn set(&mut self, client: usize, sid: &str, settings: UpdateTrackSettings) {
        let settings = UpdateTrackSettings { track_sids: vec![sid.into()], ..settings };
        self.ask(client, Ask::TrackSetting(settings));
    }

    /// Carries whatever is under way, in no time.
    fn settle(&mut self) {
        loop {
            let mut has_moved = false;
            self.world.drain();
            for number in 0..self.clients.len() {
                let one = &mut self.clients[number];
                for frame in self.world.take(one.link) {
                    has_moved = true;
                    one.hear(&mut self.world, frame);
                }
                for sent in self.clients[number].drain() {
                    has_moved = true;
                    let datagram = Datagram { local: sent.remote, remote: sent.local, bytes: sent.bytes };
                    if !self.clients[number].is_cut {
                        self.world.server.handle(self.world.now, 0, Input::Datagram(datagram));
                    }
                }
            }
            self.world.drain();
            let now = self.world.now;
            for sent in std::mem::take(&mut self.world.datagrams) {
                has_moved = true;
                let datagram = Datagram { local: sent.remote, remote: sent.local, bytes: sent.bytes };
                for one in self.clients.iter_mut().filter(|one| !one.is_cut) {
                    let port = one.port;
                    let sides = [(port, &mut one.publisher), (port + 1, &mut one.subscriber)];
                    for (_, peer) in sides.into_iter().filter(|(port, _)| datagram.local == address(*port)) {
                        if let Some(peer) = peer {
                            peer.handle_datagram(now, datagram.clone());
                        }
                    }
                }
            }
            if !has_moved {
                return;
            }
        }
    }

    fn step(&mut self) {
        self.settle();
        let end = self.world.now + STEP;
        let links: Vec<LinkId> = self.clients.iter().map(|one| one.link).collect();
        let alive: Vec<LinkId> = links.into_iter().filter(|link| !self.world.closed.contains(link)).collect();
        while let Some(due) = self.due().filter(|due| *due < end) {
            self.world.now = due.max(self.world.now + Duration::from_micros(50)).min(end);
            self.wake();
        }
        self.world.now = end;
        self.world.wall_ms += i64::try_from(STEP.as_millis()).expect("a short time");
        self.wake();
        // A ping now and then keeps a link alive.
        if self.world.wall_ms % 5000 < STEP.as_millis() as i64 {
            for link in alive {
                self.world.say(link, FromClient::Message(Ask::Ping(1)));
            }
        }
        self.settle();
    }

    /// When somebody wants to do something.
    fn due(&self) -> Option<Instant> {
        let peers = self.clients.iter().flat_map(|one| [&one.publisher, &one.subscriber]).flatten();
        peers.filter_map(Peer::poll_timeout).chain(self.world.server.poll_timeout()).min()
    }

    fn wake(&mut self) {
        let now = self.world.now;
        self.world.server.handle_timeout(now);
        for peer in
            self.clients.iter_mut().flat_map(|one| [&mut one.publisher, &mut one.subscriber]).flatten()
        {
            if peer.poll_timeout().is_some_and(|due| due <= now) {
                peer.handle_timeout(now);
            }
        }
        self.settle();
    }

    /// Lets time pass until it is so.
    fn until(&mut self, what: &str, mut is_so: impl FnMut(&mut Call) -> bool) {
        let end = self.now() + LIMIT;
        self.settle();
        while !is_so(self) {
            assert!(self.now() < end, "it did not happen in time: {what}");
            self.step();
        }
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now() + time;
        while self.now() < end {
            self.step();
        }
    }

    /// The signals of one kind that a client has heard since it was asked last.
    fn heard<T>(&mut self, client: usize, pick: impl Fn(&Message) -> Option<T>) -> Vec<T> {
        let heard = std::mem::take(&mut self.clients[client].heard);
        let (picked, rest): (Vec<_>, Vec<_>) = heard
            .into_iter()
            .map(|message| (pick(&message), message))
            .partition(|(picked, _)| picked.is_some());
        self.clients[client].heard = rest.into_iter().map(|(_, message)| message).collect();
        picked.into_iter().filter_map(|(picked, _)| picked).collect()
    }

    /// What a client believes of another's tracks, from what it was told last.
    fn tracks(&self, client: usize, of: usize) -> Option<Vec<TrackInfo>> {
        let sid = &self.clients[of].info.sid;
        self.clients[client].heard.iter().rev().find_map(|message| match message {
            Message::Update(update) => {
                update.participants.iter().find(|info| info.sid == *sid).map(|info| info.tracks.clone())
            }
            _ => None,
        })
    }
}

impl Client {
    fn hear(&mut self, world: &mut World, frame: FromServer) {
        let now = world.now;
        match frame {
            FromServer::Message(Message::Offer(offer)) => {
                self.offers.push(offer.clone());
                if self.is_mute {
                    return;
                }
                let origin = |sdp: &str| sdp.lines().find(|line| line.starts_with("o=")).map(str::to_owned);
                let before = self.offers.iter().rev().nth(1).map(|before| origin(&before.sdp));
                if before.is_some_and(|before| before != origin(&offer.sdp)) {
                    self.subscriber = None;
                }
                let port = self.port + 1;
                let peer = self.subscriber.get_or_insert_with(|| Peer::new(now, &[address(port)]));
                let answer = peer.accept_offer(now, &offer.sdp).expect("an answer");
                world.say(self.link, description("answer", answer, offer.id));
            }
            FromServer::Message(Message::Answer(answer)) => {
                let peer = self.publisher.as_mut().expect("a publisher");
                peer.accept_answer(now, &answer.sdp).expect("an agreement");
            }
            FromServer::Message(message) => self.heard.push(message),
            FromServer::Data(_) | FromServer::LeftOut(_) | FromServer::Welcome(_) => {}
        }
    }

    fn drain(&mut self) -> Vec<Datagram> {
        let mut sent = Vec::new();
        for peer in [&mut self.publisher, &mut self.subscriber].into_iter().flatten() {
            while let Some(output) = peer.poll() {
                match output {
                    rtc::Output::Transmit(datagram) => sent.push(datagram),
                    rtc::Output::Packet(packet) => self.packets.push(*packet),
                    rtc::Output::Section(info) => self.sections.push(info),
                    rtc::Output::KeyFrameRequested { section, layer } => {
                        self.key_frames.push((section, layer))
                    }
                    _ => {}
                }
            }
        }
        sent
    }

    /// The section of a track that comes in.
    fn section(&self, sid: &str) -> Option<Section> {
        let found = self.sections.iter().rev().find(|info| info.track_id == sid && info.is_sending);
        found.map(|info| info.section)
    }

    fn got(&self, sid: &str) -> Vec<&PacketIn> {
        let section = self.section(sid);
        self.packets.iter().filter(|packet| Some(packet.section) == section).collect()
    }
}

/// A publisher's stream: it counts as an encoder does.
struct Source {
    client: usize,
    section: Section,
    codec: Codec,
    layer: Option<Layer>,
    sequence: u64,
    timestamp: u32,
    picture: u16,
    base: u8,
    level: Option<AudioLevel>,
    payload_size: usize,
}

impl Source {
    fn audio(client: usize, section: Section) -> Self {
        Self { codec: Codec::Opus, ..Self::video(client, section, None) }
    }

    fn video(client: usize, section: Section, layer: Option<&str>) -> Self {
        Self {
            client,
            section,
            codec: Codec::Vp8,
            layer: layer.map(Layer::new),
            sequence: 500,
            timestamp: 90_000,
            picture: 100,
            base: 10,
            level: None,
            payload_size: 100,
        }
    }

    /// Sends a packet of sound, 20 ms after the last.
    fn sound(&mut self, call: &mut Call) {
        self.timestamp = self.timestamp.wrapping_add(960);
        self.put(call, vec![self.picture as u8; self.payload_size], false);
        self.picture += 1;
    }

    /// Sends a picture of one packet, 33 ms after the last.
    fn picture(&mut self, call: &mut Call, is_key: bool) {
        self.temporal(call, is_key, 0);
    }

    fn temporal(&mut self, call: &mut Call, is_key: bool, temporal: u8) {
        self.timestamp = self.timestamp.wrapping_add(3000);
        self.picture = (self.picture + 1) & 0x7fff;
        self.base = self.base.wrapping_add(u8::from(temporal == 0));
        let [high, low] = (0x8000 | self.picture).to_be_bytes();
        let sync = if temporal > 0 { 0x20 } else { 0 };
        let mut payload = vec![0x90, 0xe0, high, low, self.base, temporal << 6 | sync, u8::from(!is_key)];
        payload.resize(self.payload_size, 0);
        self.put(call, payload, true);
    }

    fn put(&mut self, call: &mut Call, payload: Vec<u8>, is_marked: bool) {
        self.sequence += 1;
        let packet = PacketOut {
            codec: self.codec,
            sequence: self.sequence,
            timestamp: self.timestamp,
            is_marked,
            payload: Arc::from(payload),
            audio_level: self.level,
            rotation_degrees: None,
            is_resendable: true,
            captured: None,
        };
        let now = call.now();
        let (section, layer) = (self.section, self.layer);
        let _ = call.publisher(self.client).send_packet(now, section, layer, packet);
        call.settle();
    }
}

fn is_connected(call: &mut Call, client: usize) -> bool {
    call.publisher(client).is_connected()
}

/// Two of ours, the first of whom publishes a video track without layers, to which the second has subscribed.
fn watching() -> (Call, TrackInfo, Source) {
    let mut call = Call::new();
    let (alice, bob) = (call.ours("alice"), call.ours("bob"));
    let (info, section) = call.publish(alice, video("camera"), &[]);
    call.subscribe(bob, &info.sid, true);
    call.until("both connections are up", |call| {
        is_connected(call, alice) && call.clients[bob].subscriber.as_ref().is_some_and(Peer::is_connected)
    });
    call.settle();
    (call, info, Source::video(alice, section, None))
}
