//! Codecs whose work is timed: the clock is this floor's.

use std::ops::Range;
use std::time::{Duration, Instant};

use crate::media::Picture;
use crate::media::codec::{CodecError, EncodedFrame, VideoDecoder, VideoEncoder};

pub struct Timed<T: ?Sized> {
    codec: Box<T>,
    worked: Option<Range<Instant>>,
}

impl<T: ?Sized> Timed<T> {
    pub fn new(codec: Box<T>) -> Self {
        Self { codec, worked: None }
    }

    fn time<R>(&mut self, work: impl FnOnce(&mut T) -> R) -> R {
        let begin = Instant::now();
        let result = work(&mut self.codec);
        self.worked = Some(begin..Instant::now());
        result
    }
}

impl VideoEncoder for Timed<dyn VideoEncoder> {
    fn encode(
        &mut self,
        picture: &Picture,
        at: Duration,
        wants_key: bool,
    ) -> Result<Option<EncodedFrame>, CodecError> {
        self.time(|codec| codec.encode(picture, at, wants_key))
    }

    fn set_rate(&mut self, bitrate_bps: u32, frames_per_second: f32) {
        self.codec.set_rate(bitrate_bps, frames_per_second);
    }

    fn worked(&self) -> Option<Range<Instant>> {
        self.worked.clone()
    }
}

impl VideoDecoder for Timed<dyn VideoDecoder> {
    fn decode(&mut self, bytes: &[u8]) -> Result<Option<Picture>, CodecError> {
        self.time(|codec| codec.decode(bytes))
    }

    fn worked(&self) -> Option<Range<Instant>> {
        self.worked.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    const WORK: Duration = Duration::from_millis(20);

    /// Takes its time.
    struct Slow {
        rate: u32,
    }

    impl VideoEncoder for Slow {
        fn encode(&mut self, _: &Picture, _: Duration, _: bool) -> Result<Option<EncodedFrame>, CodecError> {
            thread::sleep(WORK);
            Err(CodecError::Failed(self.rate.to_string()))
        }

        fn set_rate(&mut self, bitrate_bps: u32, _: f32) {
            self.rate = bitrate_bps;
        }
    }

    impl VideoDecoder for Slow {
        fn decode(&mut self, bytes: &[u8]) -> Result<Option<Picture>, CodecError> {
            thread::sleep(WORK);
            Ok(Picture::black(2, bytes.len() as u32))
        }
    }

    fn check(worked: Option<Range<Instant>>, around: Range<Instant>) {
        let worked = worked.expect("timed");
        assert!(
            worked.start >= around.start && worked.end <= around.end && worked.end - worked.start >= WORK
        );
    }

    #[test]
    fn a_codec_that_is_timed_does_the_same_and_says_when() {
        let begin = Instant::now();
        let mut encoder = Timed::<dyn VideoEncoder>::new(Box::new(Slow { rate: 0 }));
        assert_eq!(encoder.worked(), None);
        encoder.set_rate(7, 1.0);
        let picture = Picture::black(2, 2).expect("a picture");
        assert_eq!(encoder.encode(&picture, WORK, true), Err(CodecError::Failed("7".into())));
        check(encoder.worked(), begin..Instant::now());
        let begin = Instant::now();
        let mut decoder = Timed::<dyn VideoDecoder>::new(Box::new(Slow { rate: 0 }));
        let decoded = decoder.decode(&[1; 4]).expect("decoded").expect("a picture");
        assert_eq!(decoded.height(), 4);
        check(decoder.worked(), begin..Instant::now());
    }
}
