//! What a peer knows of its connection, and what it has to say: all that a drain of str0m writes to.

use std::collections::VecDeque;
use std::time::Instant;

use str0m::{Event, Rtc};

use super::Output;
use super::channel::{Channels, Opening};
use super::engine::Found;
use super::link::Link;

pub(super) struct State {
    /// The latest moment that a call has named.
    pub now: Instant,
    pub link: Link,
    /// The other side has said farewell.
    pub closed: bool,
    pub channels: Channels,
    pub outputs: VecDeque<Output>,
}

impl State {
    pub fn new(now: Instant) -> Self {
        Self {
            now,
            link: Link::Unnegotiated,
            closed: false,
            channels: Channels::default(),
            outputs: VecDeque::new(),
        }
    }

    /// Something came out of str0m, which may be changed in return.
    pub fn take(&mut self, rtc: &mut Rtc, found: Found) {
        match found {
            Found::Transmit(datagram) => self.outputs.push_back(Output::Transmit(datagram)),
            Found::Event(Event::Connected | Event::IceConnectionStateChange(_)) => {
                if matches!(self.link, Link::Connecting { .. }) && rtc.is_connected() {
                    self.link.up(self.now);
                    self.outputs.push_back(Output::Connected);
                }
            }
            Found::Event(Event::ChannelOpen(id, label)) => match self.channels.opened(id, &label) {
                Opening::Ours(channel) => self.outputs.push_back(Output::Opened(channel)),
                Opening::Ignored => log::debug!("rtc: a data channel with a label that is not used here"),
                Opening::Refused => rtc.direct_api().close_data_channel(id),
            },
            Found::Event(Event::ChannelData(message)) => {
                if let Some(channel) = self.channels.channel(message.id) {
                    self.outputs.push_back(Output::Data(channel, message.data));
                }
            }
            Found::Event(Event::ChannelClose(id)) => self.channels.closed(id),
            Found::Event(Event::Closed) => self.closed = true,
            // Media is not listened to yet.
            Found::Event(_) => {}
        }
    }

    /// Something arrived over a path that str0m holds for good. A lost connection is back then.
    pub fn heard(&mut self, now: Instant) {
        self.now = now.max(self.now);
        self.link.heard(now);
        if matches!(self.link, Link::Lost { .. }) && self.link.up(now) {
            self.outputs.push_back(Output::Connected);
        }
    }
}
