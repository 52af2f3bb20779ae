//! What programs, the server's operator and the weather do.

use std::time::Duration;

use opentok::media::{Kind, VideoCodec};
use opentok::server::{self, Server};
use opentok::session::lawful::Deed;
use opentok::session::media::{
    Publication, PublicationId, PublishedAudio, PublishedLayer, PublishedVideo, SubscriptionId, Wants,
};
use opentok::session::{Input, Signal, Target, VideoType};
use opentok::signal::proto::{DeleteRoomRequest, RoomParticipantIdentity};

use crate::cast::{CLIENTS, SESSION, config};
use crate::world::{Arrival, World};

impl World {
    /// One client, or the weather, does something; then it is the next one's turn.
    pub fn deed(&mut self) {
        let pause = self.random.millis(0, 600);
        self.agenda.put(self.now + pause, Arrival::Deed);
        let number = usize::try_from(self.random.below(CLIENTS as u64)).expect("a small number");
        if self.is_calm {
            return;
        }
        if self.clients[number].model.is_at_rest()
            && self.clients[number].core.as_ref().is_none_or(|core| core.is_over())
        {
            return self.join(number);
        }
        if self.weather.has_media && self.random.one_in(3) {
            self.media(number);
        } else if self.random.one_in(25) {
            self.leave(number);
        } else if self.random.one_in(self.weather.killed) {
            self.kill(number);
        } else if self.random.one_in(self.weather.crash) {
            self.crash();
        } else if self.random.one_in(self.weather.cut) {
            self.cut(number);
        } else if self.random.one_in(self.weather.frozen) {
            self.freeze(number);
        } else if self.random.one_in(self.weather.removal) {
            self.remove(number);
        } else if self.random.one_in(self.weather.removal * 4) {
            let call = server::service::Call::DeleteRoom(DeleteRoomRequest { room: SESSION.into() });
            let _ = self.server.call(self.now, self.wall_ms(), call);
        } else {
            self.signal(number);
        }
    }

    fn join(&mut self, number: usize) {
        let seed = self.random.next();
        self.using[number] = None;
        self.clients[number].begin(seed);
        if let Some(core) = &mut self.clients[number].core {
            core.handle(self.now, Input::Connect);
        }
    }

    /// Who is in the session then: those whose tokens are good.
    pub fn everybody_joins(&mut self) -> Vec<usize> {
        (0..CLIENTS).for_each(|number| self.join(number));
        self.run(Duration::from_secs(2));
        (0..CLIENTS).filter(|number| self.clients[*number].model.is_connected()).collect()
    }

    /// The network is gone, and nobody knows.
    pub fn freeze(&mut self, number: usize) {
        if let Some(wire) = self.using[number] {
            self.wires.get_mut(&wire).expect("a wire").is_frozen = true;
        }
    }

    /// A signal that is to arrive, whatever happens to the link.
    pub fn say_to_all(&mut self, number: usize) {
        let client = &mut self.clients[number];
        client.sent += 1;
        let (kind, data) = ("number".into(), client.sent.to_string());
        let signal = Signal { kind, data, target: Target::Everyone, retry_after_reconnect: true };
        if let Some(core) = &mut client.core {
            core.handle(self.now, Input::Signal(signal));
        }
        self.carry_out();
    }

    /// A program publishes, switches, unpublishes, subscribes or unsubscribes.
    fn media(&mut self, number: usize) {
        self.count += 1;
        let (publication, subscription) = (PublicationId(self.count), SubscriptionId(self.count));
        let deed = self.random.below(12);
        let client = &mut self.clients[number];
        // A program switches its streams whenever it likes.
        if !client.model.is_connected() && deed < 6 {
            return;
        }
        let pick = |all: usize, random: &mut crate::network::Random| random.below(all as u64) as usize;
        let input = match deed {
            0 | 1 => {
                client.media.publish(publication);
                Input::Publish(Box::new(Publication {
                    id: publication,
                    name: "film".into(),
                    audio: Some(PublishedAudio { is_on: true, is_stereo: false, uses_dtx: false }),
                    sends_statistics: publication.0 % 2 == 0,
                    video: (deed == 0).then(|| PublishedVideo {
                        is_on: true,
                        video_type: VideoType::Camera,
                        codecs: vec![VideoCodec::Vp8],
                        layers: vec![PublishedLayer {
                            name: "q",
                            width: 640,
                            height: 360,
                            bitrate_bps: 500_000,
                        }],
                    }),
                    is_sealed: false,
                }))
            }
            2 => {
                let all = client.media.publications();
                if all.is_empty() {
                    return;
                }
                Input::Unpublish(all[pick(all.len(), &mut self.random)])
            }
            3 => {
                let all = client.media.subscriptions();
                if all.is_empty() {
                    return;
                }
                let id = all[pick(all.len(), &mut self.random)];
                client.media.unsubscribe(id);
                Input::Unsubscribe(id)
            }
            4 | 5 => {
                let ids: Vec<&String> = client.streams.keys().collect();
                if ids.is_empty() {
                    return;
                }
                let stream_id = ids[pick(ids.len(), &mut self.random)].clone();
                client.media.subscribe(subscription);
                Input::Subscribe { id: subscription, stream_id, wants: Wants::default() }
            }
            _ => {
                let all = client.media.publications();
                if all.is_empty() {
                    return;
                }
                let id = all[pick(all.len(), &mut self.random)];
                let kind = if self.random.one_in(2) { Kind::Audio } else { Kind::Video };
                Input::SetPublishing { id, kind, is_on: self.random.one_in(2) }
            }
        };
        if let Some(core) = &mut client.core {
            core.handle(self.now, input);
        }
    }

    pub fn leave(&mut self, number: usize) {
        let client = &mut self.clients[number];
        if let Some(core) = client.core.as_mut().filter(|core| !core.is_over()) {
            if !client.model.is_at_rest() {
                client.model.did(Deed::Disconnect);
            }
            core.handle(self.now, Input::Leave);
        }
    }

    /// The process is gone; the kernel closes what it had open.
    fn kill(&mut self, number: usize) {
        self.send_up(number, None);
        self.using[number] = None;
        self.clients[number].die();
    }

    /// The server's process is gone, and a new one is there at once that knows nothing.
    fn crash(&mut self) {
        self.server = Server::new(config(), self.random.next());
        let wires: Vec<u64> = self.wires.keys().copied().collect();
        for wire in wires {
            let delay = self.delay();
            let entry = self.wires.get_mut(&wire).expect("a wire");
            if entry.link.take().is_some() {
                entry.down_at = entry.down_at.max(self.now + delay);
                let at = entry.down_at;
                self.agenda.put(at, Arrival::DownClosed { wire });
            }
        }
    }

    /// The connection breaks, and both sides notice.
    pub fn cut(&mut self, number: usize) {
        let Some(wire) = self.using[number] else { return };
        let (down, up) = (self.delay(), self.delay());
        self.agenda.put(self.now + down, Arrival::DownClosed { wire });
        self.agenda.put(self.now + up, Arrival::UpClosed { wire });
    }

    fn remove(&mut self, number: usize) {
        let Some(identity) = self.clients[number].own_id().map(str::to_owned) else { return };
        // The identity of a classic token's client is its sid.
        let who =
            RoomParticipantIdentity { room: SESSION.into(), identity, ..RoomParticipantIdentity::default() };
        let call = server::service::Call::RemoveParticipant(who);
        let _ = self.server.call(self.now, self.wall_ms(), call);
    }

    fn signal(&mut self, number: usize) {
        let others: Vec<_> = self.clients[number].others.values().cloned().collect();
        let one = self.random.below(4) == 0 && !others.is_empty();
        let target = match one {
            true => Target::Connection(
                others[usize::try_from(self.random.below(others.len() as u64)).expect("small")].clone(),
            ),
            false => Target::Everyone,
        };
        let client = &mut self.clients[number];
        if !client.model.is_connected() {
            return;
        }
        client.sent += 1;
        let data = client.sent.to_string();
        let signal =
            Signal { kind: "number".into(), data, target, retry_after_reconnect: self.random.below(2) == 0 };
        if let Some(core) = &mut client.core {
            core.handle(self.now, Input::Signal(signal));
        }
    }
}
