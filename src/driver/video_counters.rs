//! What an encoder's thread counts of the pictures that go through it.

use crate::media::video::{LayerRate, SentFrame, VideoSender};

/// What has been encoded for one publication.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PictureCounters {
    pub pictures: u64,
    /// Of the latest picture.
    pub width: u32,
    pub height: u32,
    /// 0 until it can be told.
    pub frames_per_second: f32,
    /// Lowest first.
    pub layers: Vec<LayerCounters>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct LayerCounters {
    pub frames: u64,
    pub key_frames: u64,
    /// Of the latest frame.
    pub width: u32,
    pub height: u32,
    /// `None`: a picture of this size has fewer layers.
    pub rate: Option<LayerRate>,
}

impl PictureCounters {
    /// A picture has gone through the sender, which made these frames of it.
    pub fn count(&mut self, (width, height): (u32, u32), sender: &VideoSender, frames: &[SentFrame]) {
        self.pictures += 1;
        (self.width, self.height, self.frames_per_second) = (width, height, sender.incoming_rate());
        let mut rates = sender.rates().layers.into_iter();
        let sent = frames.iter().map(|frame| frame.layer + 1).max().unwrap_or(0);
        let count = self.layers.len().max(rates.len()).max(sent);
        self.layers.resize_with(count, LayerCounters::default);
        for (index, layer) in self.layers.iter_mut().enumerate() {
            layer.rate = rates.next();
            for frame in frames.iter().filter(|frame| frame.layer == index) {
                layer.frames += 1;
                layer.key_frames += u64::from(frame.is_key);
                if let Some(rate) = &layer.rate {
                    (layer.width, layer.height) = (rate.width, rate.height);
                }
            }
        }
    }
}
