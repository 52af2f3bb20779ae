//! LiveKit's two data channels, and the table of those that are open.

use str0m::channel::{ChannelConfig, ChannelId, Reliability};

/// How many channels with a label that is not ours are left open. LiveKit opens one (`_data_track`); the rest of the
/// 65,536 possible ones would only cost memory.
const STRANGERS_MAX: usize = 8;

/// One of the two data channels that LiveKit's clients and servers know by their labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Channel {
    /// Everything arrives, once and in order.
    Reliable,
    /// A lost message is not sent again, and none waits for an earlier one.
    Lossy,
}

impl Channel {
    pub const ALL: [Self; 2] = [Self::Reliable, Self::Lossy];

    pub fn label(self) -> &'static str {
        match self {
            Self::Reliable => "_reliable",
            Self::Lossy => "_lossy",
        }
    }

    pub(super) fn from_label(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|channel| channel.label() == label)
    }

    pub(super) fn config(self) -> ChannelConfig {
        let (ordered, reliability) = match self {
            Self::Reliable => (true, Reliability::Reliable),
            Self::Lossy => (false, Reliability::MaxRetransmits { retransmits: 0 }),
        };
        ChannelConfig { label: self.label().into(), ordered, reliability, ..Default::default() }
    }
}

/// Which of str0m's channels is which of ours.
#[derive(Debug, Default)]
pub(super) struct Channels {
    reliable: Option<ChannelId>,
    lossy: Option<ChannelId>,
    strangers: Vec<ChannelId>,
}

/// What to make of a channel that was opened.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Opening {
    Ours(Channel),
    /// Left open and not listened to.
    Ignored,
    /// One too many: to be closed.
    Refused,
}

impl Channels {
    /// A second channel with a label of ours replaces the first, as in LiveKit's server.
    pub fn opened(&mut self, id: ChannelId, label: &str) -> Opening {
        if let Some(channel) = Channel::from_label(label) {
            *self.slot(channel) = Some(id);
            return Opening::Ours(channel);
        }
        if self.strangers.len() == STRANGERS_MAX {
            return Opening::Refused;
        }
        self.strangers.push(id);
        Opening::Ignored
    }

    pub fn closed(&mut self, id: ChannelId) {
        for slot in [&mut self.reliable, &mut self.lossy] {
            if *slot == Some(id) {
                *slot = None;
            }
        }
        self.strangers.retain(|stranger| *stranger != id);
    }

    pub fn id(&self, channel: Channel) -> Option<ChannelId> {
        match channel {
            Channel::Reliable => self.reliable,
            Channel::Lossy => self.lossy,
        }
    }

    pub fn channel(&self, id: ChannelId) -> Option<Channel> {
        Channel::ALL.into_iter().find(|channel| self.id(*channel) == Some(id))
    }

    #[cfg(test)]
    pub fn strangers(&self) -> usize {
        self.strangers.len()
    }

    fn slot(&mut self, channel: Channel) -> &mut Option<ChannelId> {
        match channel {
            Channel::Reliable => &mut self.reliable,
            Channel::Lossy => &mut self.lossy,
        }
    }
}
