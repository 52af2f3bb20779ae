//! A peer connection as a value.
//!
//! Time, datagrams, descriptions, messages and media packets come in; the same and a deadline go out. No socket, no
//! clock, no thread. ICE, DTLS, SCTP, SRTP with its repair, pacing and the estimate of the network are str0m's; this
//! floor keeps its contract (every mutation is followed by a complete drain), catches its panics, names LiveKit's two
//! data channels, keeps the media sections and decides when a silent connection counts as lost.
//!
//! It deliberately does not gather candidates (the owner of the sockets says which addresses and which TURN servers
//! there are), and does not know what the messages mean or what a packet's payload is made of.
//!
//! Read `peer.rs` first, for media `media.rs` and `peer_media.rs` after it, for statistics `reports.rs`, for the way through TURN servers `relay.rs`
//! and `peer_relay.rs`, for TCP `peer_streams.rs`. `link.rs` holds the four time limits of a connection.

mod candidate;
mod channel;
mod codecs;
mod congestion;
mod counters;
mod description;
mod engine;
mod link;
mod media;
mod packets;
mod peer;
mod peer_addresses;
mod peer_media;
mod peer_relay;
mod peer_streams;
mod relay;
mod reports;
mod section_text;
mod sections;
mod state;

#[cfg(test)]
mod description_tests;
#[cfg(test)]
mod media_description_tests;
#[cfg(test)]
mod media_tests;
#[cfg(test)]
mod peer_streams_tests;
#[cfg(test)]
mod peer_tests;
#[cfg(test)]
mod relay_tests;
#[cfg(test)]
mod simulation;

use std::net::SocketAddr;

pub use candidate::{candidate_json, candidate_line};
pub use channel::Channel;
pub use description::{DESCRIPTION_LINES_MAX, DESCRIPTION_SIZE_MAX};
pub use media::{
    AudioLevel, Codec, Layer, MediaKind, PAYLOAD_SIZE_MAX, PacketIn, PacketOut, Section, SectionInfo,
    SenderReport, Sending,
};
pub use peer::Peer;
pub use relay::RelayPath;
pub use reports::{
    Amount, CandidateKind, CandidateReport, DtlsState, FormatReport, PairReport, SectionReport,
    SectionStatistics, TransportReport,
};
pub use section_text::preferring;

/// One UDP datagram, in or out, or what stands for it in a stream. Either way `local` is the address of our own socket, and
/// one of those that the peer was made with, or the base of a relay, or where a stream begins: on a socket bound to all
/// addresses it is the one that was meant, never `0.0.0.0`. From where a stream begins a datagram may be meant for another
/// address than where it ends; such a one goes nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Datagram {
    pub local: SocketAddr,
    pub remote: SocketAddr,
    pub bytes: Vec<u8>,
}

/// What a [`Peer`] has to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send this.
    Transmit(Datagram),
    /// The connection is up: for the first time, again after [`Output::Disconnected`], or anew after an ICE restart.
    Connected,
    /// A way to reach this side that our last description does not name: the line of a candidate.
    Candidate(String),
    /// Open a TCP stream to this address, for datagrams framed as RFC 4571 has it.
    OpenStream(SocketAddr),
    /// Close the one that begins at this address, behind what was sent before.
    CloseStream(SocketAddr),
    /// The server gives no relay to the socket at this base, or none any more. `was_given`: there was one. It is of no
    /// further use, and another one may be asked for.
    RelayOver {
        base: SocketAddr,
        was_given: bool,
    },
    /// Messages can be sent on this channel from now on.
    Opened(Channel),
    Data(Channel, Vec<u8>),
    Packet(Box<PacketIn>),
    /// A description of the other side has a section that is new, or says something new about one. A section may be
    /// used for another track later: LiveKit's server does so.
    Section(SectionInfo),
    /// The other side cannot go on decoding without a key frame.
    KeyFrameRequested {
        section: Section,
        layer: Option<Layer>,
    },
    /// What the network is estimated to carry from here to the other side, in bit/s.
    Bitrate(u64),
    /// The other side has been silent for too long, the path is gone, or an ICE restart takes long. It may come back by itself or with an ICE restart.
    Disconnected,
    /// The connection is over, and the peer is of no further use. Said at most once, and last.
    Failed(String),
}

/// Why a description or a candidate was not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RtcError {
    /// It cannot be understood, or contradicts what was agreed before. The sentence is for a log.
    Malformed(String),
    /// It is longer than [`DESCRIPTION_SIZE_MAX`] or [`DESCRIPTION_LINES_MAX`] allow.
    TooLarge,
    /// An answer to an offer that was not made, or that an incoming offer has replaced.
    NotOffered,
    /// There is nothing to offer: everything wanted is agreed already.
    NothingToOffer,
    /// The peer has failed or was closed.
    Over,
}

/// Why a message or a packet was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendError {
    /// The channel is not open, or the section cannot send: not yet, or not any more.
    NotOpen,
    /// Too much is waiting for the network. [`Channel::Lossy`] messages and packets are best dropped then.
    Full,
    /// The message is larger than the other side, or our buffer, can ever take; the payload is larger than
    /// [`PAYLOAD_SIZE_MAX`].
    TooLarge,
    /// str0m loses messages without content, and LiveKit has none. Nor is there a packet without payload.
    Empty,
}
