//! What an encoder's thread counts of the pictures that go through it.

use std::time::{Duration, Instant};

use crate::media::video::{LayerRate, Limitation, SentFrame, VideoSender};

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
    /// What these frames took to encode.
    pub encoding: Duration,
    /// Of the latest frame.
    pub width: u32,
    pub height: u32,
    /// `None`: a picture of this size has fewer layers.
    pub rate: Option<LayerRate>,
    pub limited: Limited,
    /// How often frames became smaller, or larger again, while the picture kept its size.
    pub size_changes: u64,
    /// Of the latest frame: the size of its picture, and how often that was halved.
    pub halved: Option<((u32, u32), usize)>,
}

/// By what a layer is limited, and for how long it has been by each.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Limited {
    pub by: Limitation,
    pub none: Duration,
    pub bandwidth: Duration,
    pub other: Duration,
    /// Until when time is counted.
    pub until: Option<Instant>,
}

impl PictureCounters {
    /// A picture has gone through the sender, which made these frames of it.
    pub fn count(&mut self, now: Instant, size: (u32, u32), sender: &VideoSender, frames: &[SentFrame]) {
        self.pictures += 1;
        (self.width, self.height) = size;
        self.frames_per_second = sender.incoming_rate();
        let mut rates = sender.rates().layers.into_iter();
        let sent = frames.iter().map(|frame| frame.layer + 1).max().unwrap_or(0);
        let count = self.layers.len().max(rates.len()).max(sent);
        self.layers.resize_with(count, LayerCounters::default);
        for (index, layer) in self.layers.iter_mut().enumerate() {
            layer.rate = rates.next();
            for frame in frames.iter().filter(|frame| frame.layer == index) {
                layer.frames += 1;
                layer.key_frames += u64::from(frame.is_key);
                layer.encoding += frame.took;
                layer.look_at(size);
            }
        }
        self.limit(now, None);
    }

    /// Nothing is encoded from now on, because of this. `None`: something is, and the sender said what limits it.
    pub fn limit(&mut self, now: Instant, stopped: Option<Limitation>) {
        for layer in &mut self.layers {
            let own = layer.rate.as_ref().map(|rate| (rate.limitation, rate.is_active));
            let by = match (own, stopped) {
                (None | Some((Limitation::None, false)), _) => Limitation::None, // nobody wants it
                (Some(_), Some(stopped)) => stopped,
                (Some((limitation, _)), None) => limitation,
            };
            layer.limited.pass(now);
            layer.limited.by = by;
        }
    }

    /// Counts the time until now.
    pub fn pass(&mut self, now: Instant) {
        self.layers.iter_mut().for_each(|layer| layer.limited.pass(now));
    }
}

impl LayerCounters {
    /// At a frame that was made of a picture of this size.
    fn look_at(&mut self, size: (u32, u32)) {
        let Some(rate) = &self.rate else { return };
        (self.width, self.height) = (rate.width, rate.height);
        let before = self.halved.replace((size, rate.halvings));
        let is_change = before.is_some_and(|(before, halvings)| before == size && halvings != rate.halvings);
        self.size_changes += u64::from(is_change);
    }
}

impl Limited {
    fn pass(&mut self, now: Instant) {
        let passed = self.until.map_or(Duration::ZERO, |until| now.saturating_duration_since(until));
        self.until = self.until.max(Some(now));
        *match self.by {
            Limitation::None => &mut self.none,
            Limitation::Bandwidth => &mut self.bandwidth,
            Limitation::Other => &mut self.other,
        } += passed;
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use super::*;
    use crate::media::codec::{CodecError, EncodedFrame, VideoEncoder};
    use crate::media::video::SenderSettings;
    use crate::media::{Picture, VideoCodec};

    const FRAME: Duration = Duration::from_millis(33);
    const WORK: Duration = Duration::from_millis(5);

    /// Makes one byte of each picture.
    struct Simple(Instant);

    impl VideoEncoder for Simple {
        fn encode(
            &mut self,
            _: &Picture,
            _: Duration,
            is_key: bool,
        ) -> Result<Option<EncodedFrame>, CodecError> {
            Ok(Some(EncodedFrame { bytes: vec![1], is_key, temporal_layer: 0, is_layer_sync: is_key }))
        }

        fn set_rate(&mut self, _: u32, _: f32) {}

        fn worked(&self) -> Option<Range<Instant>> {
            Some(self.0..self.0 + WORK)
        }
    }

    struct Counting {
        sender: VideoSender,
        counters: PictureCounters,
        begin: Instant,
        now: Instant,
    }

    impl Counting {
        fn new(layers_max: usize) -> Self {
            let begin = Instant::now();
            let settings = SenderSettings { layers_max, ..SenderSettings::new(VideoCodec::Vp8, 1) };
            let sender =
                VideoSender::with_encoders(settings, Box::new(move |_, _| Ok(Box::new(Simple(begin)))));
            let (sender, counters) = (sender.expect("a sender"), PictureCounters::default());
            Self { sender, counters, begin, now: begin }
        }

        fn send(&mut self, count: u32, (width, height): (u32, u32)) {
            let picture = Picture::black(width, height).expect("a picture");
            for _ in 0..count {
                let mut frames = Vec::new();
                self.sender.send(self.now, &picture, &mut frames).expect("sent");
                self.counters.count(self.now, (width, height), &self.sender, &frames);
                self.now += FRAME;
            }
        }

        fn limited(&mut self, layer: usize) -> (Limitation, [Duration; 3]) {
            self.counters.pass(self.now);
            let Limited { by, none, bandwidth, other, .. } = self.counters.layers[layer].limited;
            assert_eq!(
                none + bandwidth + other,
                self.now - self.begin,
                "no time is left out or counted twice"
            );
            (by, [none, bandwidth, other])
        }
    }

    const SIZE: (u32, u32) = (1280, 32);

    #[test]
    fn each_reason_has_its_time_and_a_size_that_goes_and_comes_back_is_two_changes() {
        let mut counting = Counting::new(1);
        counting.send(30, SIZE);
        assert_eq!(counting.limited(0), (Limitation::None, [30 * FRAME, Duration::ZERO, Duration::ZERO]));
        counting.sender.set_estimate(300_000);
        counting.send(60, SIZE);
        let (by, [none, bandwidth, _]) = counting.limited(0);
        assert_eq!((by, counting.counters.layers[0].size_changes), (Limitation::Bandwidth, 1));
        assert!(none > 40 * FRAME && none < 50 * FRAME, "half a second of patience: {none:?}");
        counting.sender.set_estimate(3_000_000);
        counting.send(120, SIZE);
        let layer = &counting.counters.layers[0];
        assert_eq!((layer.size_changes, layer.width), (2, SIZE.0));
        assert_eq!((layer.frames, layer.encoding), (210, 210 * WORK));
        let (by, [_, since, other]) = counting.limited(0);
        assert!(by == Limitation::None && since > bandwidth + 80 * FRAME && other.is_zero(), "{since:?}");
        counting.sender.set_limit(Some(300_000));
        counting.send(30, SIZE);
        let (by, [_, bandwidth, other]) = counting.limited(0);
        assert!(by == Limitation::Other && bandwidth == since && other > 10 * FRAME, "{other:?}");
        assert_eq!(counting.counters.layers[0].size_changes, 3);
    }

    #[test]
    fn a_picture_of_another_size_is_no_change_for_lack_of_bits() {
        let mut counting = Counting::new(1);
        counting.sender.set_estimate(300_000);
        counting.send(30, SIZE);
        assert_eq!(counting.counters.layers[0].size_changes, 1);
        counting.send(2, (320, 32));
        counting.send(2, SIZE);
        let layer = &counting.counters.layers[0];
        assert_eq!((layer.width, layer.size_changes), (SIZE.0, 1));
    }

    #[test]
    fn what_is_stopped_is_limited_by_that_and_what_nobody_wants_by_nothing() {
        use Limitation::{Bandwidth, None as Nothing, Other};
        let by = |counters: &PictureCounters| {
            counters.layers.iter().map(|layer| layer.limited.by).collect::<Vec<_>>()
        };
        let mut counting = Counting::new(3);
        counting.sender.set_wanted(&[true, false, true]);
        counting.sender.set_limit(Some(170_000));
        counting.send(30, SIZE);
        assert_eq!(by(&counting.counters), [Nothing, Nothing, Other]);
        counting.counters.limit(counting.now, Some(Bandwidth));
        assert_eq!(by(&counting.counters), [Bandwidth, Nothing, Bandwidth]);
        counting.now += 10 * FRAME;
        counting.counters.limit(counting.now, Some(Nothing));
        assert_eq!(by(&counting.counters), [Nothing; 3]);
        counting.now += 5 * FRAME;
        counting.counters.limit(counting.now, None);
        assert_eq!(by(&counting.counters), [Nothing, Nothing, Other]);
        assert_eq!(counting.limited(2).1, [5 * FRAME, 10 * FRAME, 30 * FRAME]);
        assert_eq!(counting.limited(1).1, [45 * FRAME, Duration::ZERO, Duration::ZERO]);
    }

    #[test]
    fn before_the_first_picture_there_is_nothing_to_limit() {
        let mut counters = PictureCounters::default();
        counters.limit(Instant::now(), Some(Limitation::Bandwidth));
        counters.pass(Instant::now());
        assert_eq!(counters, PictureCounters::default());
    }
}
