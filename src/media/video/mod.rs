//! Video both ways: pictures to packets, packets to pictures.
//!
//! [`VideoSender`] plans layers for the size that comes in (`plan`), shares out what the network carries (`rates`),
//! scales, encodes and makes payloads (`layer`). [`VideoReceiver`] puts packets in order and frames together
//! (`packets`), decides what can be decoded and how long to wait for what is missing (`frames`, `patience`), and
//! decodes when it is polled.
//!
//! No RTP here: numbers in headers, retransmission, pacing and the bandwidth estimate are `rtc`'s. No thread: the
//! caller's does the work inside `send` and `poll`.

mod cadence;
mod fallback;
mod frames;
mod freeze;
mod layer;
mod packets;
mod patience;
mod plan;
mod rates;
#[cfg(test)]
mod real_tests;
mod receiver;
#[cfg(test)]
mod receiver_tests;
mod request;
#[cfg(test)]
mod sealed_tests;
mod sender;
#[cfg(test)]
mod sender_tests;
mod steps;
#[cfg(test)]
mod toy;

pub use super::packet::Payload;
pub use fallback::{Fallback, FallbackChange};
pub use plan::{LAYERS_MAX, LayerPlan, plan_layers};
pub use receiver::{MakeDecoder, SenderReport, VideoCounters, VideoOutput, VideoPacket, VideoReceiver};
pub use sender::{
    BitratePreset, ContentHint, LayerRate, Limitation, MakeEncoder, Rates, SenderSettings, SentFrame,
    VideoSender,
};
