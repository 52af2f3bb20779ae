//! A film and those who publish and watch it: what the client does, and the server's ends of its connections.

use std::net::SocketAddr;

use super::*;
use crate::media::VideoCodec;
use crate::rtc::{Codec, MediaKind, Output as RtcOutput, PacketOut, Peer, Section, Sending};
use crate::session::media::*;
use crate::signal::proto::{AddTrackRequest, SessionDescription, TrackPublishedResponse};

pub(super) const FILM: PublicationId = PublicationId(7);
pub(super) const VIEW: SubscriptionId = SubscriptionId(9);

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], port))
}

pub(super) fn film(layers: usize) -> Publication {
    let names = ["q", "h", "f"];
    let layer = |name| PublishedLayer { name, width: 320, height: 180, bitrate_bps: 100_000 };
    Publication {
        id: FILM,
        name: "film".into(),
        audio: Some(PublishedAudio { is_on: true, is_stereo: false, uses_dtx: false }),
        video: Some(PublishedVideo {
            is_on: true,
            video_type: VideoType::Camera,
            codecs: vec![VideoCodec::Vp8],
            layers: names.into_iter().take(layers).map(layer).collect(),
        }),
        sends_statistics: false,
        is_sealed: false,
    }
}

impl Client {
    /// What the client has asked for since this was asked last.
    pub(super) fn asked(&mut self) -> Vec<signal_request::Message> {
        std::mem::take(&mut self.sent)
            .into_iter()
            .filter_map(|frame| match frame {
                FromClient::Message(message) => Some(message),
                FromClient::Data(_) | FromClient::Received(_) => None,
            })
            .collect()
    }

    pub(super) fn opened() -> Self {
        let mut client = Self::connected();
        client.asked();
        client
    }

    pub(super) fn publish(&mut self, wish: Publication) {
        self.input(Input::Publish(Box::new(wish)));
        self.open_sockets();
    }

    pub(super) fn open_sockets(&mut self) {
        self.input(Input::SocketsOpened(Addresses {
            subscriber: vec![address(1)],
            publisher: vec![address(3)],
        }));
    }

    /// The server takes everything that was asked for.
    pub(super) fn take(&mut self) -> Vec<AddTrackRequest> {
        self.agree().0
    }

    /// The same, with the server's end of the publisher's connection.
    pub(super) fn agree(&mut self) -> (Vec<AddTrackRequest>, Peer) {
        let (mut requests, mut offer) = (Vec::new(), None);
        for message in self.asked() {
            match message {
                signal_request::Message::AddTrack(request) => requests.push(request),
                signal_request::Message::Offer(sdp) => offer = Some(sdp.sdp),
                _ => {}
            }
        }
        for request in &requests {
            let sid = if request.r#type == i32::from(TrackType::Audio) { "TR_A1" } else { "TR_V1" };
            let (muted, source) = (request.muted, request.source);
            let track = Some(TrackInfo { sid: sid.into(), muted, source, ..TrackInfo::default() });
            self.message(Message::TrackPublished(TrackPublishedResponse { cid: request.cid.clone(), track }));
        }
        let mut server = Peer::new(self.now, &[address(2)]);
        let sdp = server.accept_offer(self.now, &offer.expect("an offer")).expect("it fits");
        let answer = SessionDescription { r#type: "answer".into(), sdp, ..Default::default() };
        self.message(Message::Answer(answer));
        (requests, server)
    }

    /// The server answers another offer.
    pub(super) fn answer(&mut self, server: &mut Peer) {
        let offer = self.asked().into_iter().find_map(|message| match message {
            signal_request::Message::Offer(offer) => Some(offer.sdp),
            _ => None,
        });
        let sdp = server.accept_offer(self.now, &offer.expect("an offer")).expect("it fits");
        let answer = SessionDescription { r#type: "answer".into(), sdp, ..Default::default() };
        self.message(Message::Answer(answer));
    }

    pub(super) fn published() -> Self {
        let mut client = Self::opened();
        client.publish(film(3));
        client.take();
        client.heard();
        client
    }

    pub(super) fn publisher_heard(&mut self) -> Vec<PublisherEvent> {
        let events = self.heard().into_iter();
        events
            .filter_map(|event| match event {
                Event::Publisher { id: FILM, event } => Some(event),
                _ => None,
            })
            .collect()
    }

    pub(super) fn subscriber_heard(&mut self) -> Vec<SubscriberEvent> {
        let events = self.heard().into_iter();
        events
            .filter_map(|event| match event {
                Event::Subscriber { id: VIEW, event } => Some(event),
                _ => None,
            })
            .collect()
    }

    /// Ann publishes, this client subscribes, and the server's peer connection has come up.
    pub(super) fn watching() -> (Self, Peer) {
        let (client, server, _) = Self::watching_on();
        (client, server)
    }

    /// The same, with the sections that carry Ann's sound and pictures.
    pub(super) fn watching_on() -> (Self, Peer, Vec<Section>) {
        let mut client = Self::opened();
        client.update(vec![ann(false)]);
        client.heard();
        client.view();
        let (server, sections) = client.reached();
        assert_eq!(client.subscriber_heard(), [SubscriberEvent::Connected]);
        (client, server, sections)
    }

    /// A server's end of the subscriber's connection comes up, with the sections that carry Ann's sound and pictures.
    pub(super) fn reached(&mut self) -> (Peer, Vec<Section>) {
        self.open_sockets();
        let mut server = Peer::new(self.now, &[address(2)]);
        let sections = self.send_to_it(&mut server, &[]);
        self.offer(&mut server);
        self.heard();
        for _ in 0..1000 {
            self.exchange(&mut server);
            if !self.events.is_empty() {
                return (server, sections);
            }
        }
        panic!("the subscriber never connected");
    }

    /// The server sends a packet of pictures on a section, and it arrives.
    pub(super) fn send(&mut self, server: &mut Peer, section: Section) {
        let packet = PacketOut {
            codec: Codec::Vp8,
            sequence: self.media.len() as u64,
            timestamp: 1,
            is_marked: true,
            payload: vec![1; 100].into(),
            audio_level: None,
            rotation_degrees: None,
            is_resendable: false,
            captured: None,
        };
        let before = self.media.len();
        for _ in 0..1000 {
            // Its own end may not be up yet.
            let _ = server.send_packet(self.now, section, None, packet.clone());
            self.exchange(server);
            if self.media.len() > before {
                return;
            }
        }
        panic!("the packet never came");
    }

    pub(super) fn view(&mut self) {
        self.input(Input::Subscribe { id: VIEW, stream_id: "TR_A1".into(), wants: Wants::default() });
    }

    /// The server is to send Ann's sound and pictures; these in one of the codecs, or in any.
    pub(super) fn send_to_it(&self, server: &mut Peer, codecs: &[Codec]) -> Vec<Section> {
        let tracks = [(MediaKind::Audio, "TR_A1", &[][..]), (MediaKind::Video, "TR_V1", codecs)];
        let sections = tracks.into_iter().map(|(kind, sid, codecs)| {
            let sending = Sending {
                kind,
                codecs: codecs.to_vec(),
                stream_id: "PA_ann|film".into(),
                track_id: sid.into(),
                layers: Vec::new(),
                is_stereo: false,
                uses_dtx: false,
            };
            server.add_sending(self.now, &sending).expect("a section")
        });
        sections.collect()
    }

    /// The server offers what it has to say, and gets its answer.
    pub(super) fn offer(&mut self, server: &mut Peer) {
        let sdp = server.offer(self.now).expect("an offer");
        self.asked();
        self.message(Message::Offer(SessionDescription {
            r#type: "offer".into(),
            sdp,
            ..SessionDescription::default()
        }));
        let answer = self.asked().into_iter().find_map(|message| match message {
            signal_request::Message::Answer(answer) => Some(answer.sdp),
            _ => None,
        });
        server.accept_answer(self.now, &answer.expect("an answer")).expect("it fits");
    }

    pub(super) fn exchange(&mut self, server: &mut Peer) {
        for crate::rtc::Datagram { local, remote, bytes } in std::mem::take(&mut self.transmitted) {
            server.handle_datagram(self.now, crate::rtc::Datagram { local: remote, remote: local, bytes });
        }
        while let Some(output) = server.poll() {
            if let RtcOutput::Transmit(crate::rtc::Datagram { local, remote, bytes }) = output {
                let datagram = crate::rtc::Datagram { local: remote, remote: local, bytes };
                self.input(Input::Datagram(datagram));
            }
        }
        self.pass(Duration::from_millis(10));
        if server.poll_timeout().is_some_and(|at| self.now >= at) {
            server.handle_timeout(self.now);
        }
    }
}

/// Ann with sound and pictures, the pictures muted or not.
pub(super) fn ann(is_muted: bool) -> ParticipantInfo {
    let mut ann = participant("ann");
    let video = TrackInfo { muted: is_muted, ..track("TR_V1", TrackSource::Camera) };
    ann.tracks = vec![video, track("TR_A1", TrackSource::Microphone)];
    ann
}
