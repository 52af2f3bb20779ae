//! LiveKit's transcriptions, in both forms, as captions: the packet with finished segments, and the text stream that
//! grows while somebody speaks.
//!
//! A text stream is assembled here: a header, chunks in their order, a trailer. Its text so far is a caption that the
//! next one replaces; the last one is final where the header or the trailer says so.

use std::collections::{HashMap, VecDeque};

use super::proto::data_stream::{Chunk, Header, Trailer, header::ContentHeader};
use super::proto::{DataPacket, Transcription, data_packet::Value};

/// The topic of text streams that carry transcriptions, and what their attributes are called.
const TOPIC: &str = "lk.transcription";
const TRACK_ATTRIBUTE: &str = "lk.transcribed_track_id";
const FINAL_ATTRIBUTE: &str = "lk.transcription_final";

/// The longest caption in bytes. Some minutes of speech without a pause; what is longer is no caption.
pub const TEXT_SIZE_MAX: usize = 8192;

/// How many text streams may be open at once: a few for each of those who speak. One more ends the oldest, whose
/// trailer may have been lost.
pub const OPEN_MAX: usize = 64;

/// How many captions one packet may bring. Those who transcribe send a segment or two.
const SEGMENTS_MAX: usize = 64;

/// The longest name of a stream. LiveKit's have 36 bytes or fewer.
const STREAM_ID_SIZE_MAX: usize = 128;

/// What somebody says, as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caption {
    /// The track that was transcribed; where it is not named it is the one of `identity`.
    pub track_sid: Option<String>,
    /// Who speaks.
    pub identity: String,
    pub text: String,
    /// No later one replaces it.
    pub is_final: bool,
}

/// The text streams that are open. Bounded, whatever comes.
#[derive(Debug, Default)]
pub struct Captions(VecDeque<Open>);

#[derive(Debug)]
struct Open {
    sender: String,
    stream_id: String,
    track_sid: Option<String>,
    /// What the header says of the whole; the trailer may say otherwise.
    is_final: Option<bool>,
    next_chunk: u64,
    bytes: Vec<u8>,
}

impl Open {
    /// The text so far, without a letter of which a part is still to come.
    fn caption(&self, is_final: bool) -> Option<Caption> {
        let whole = match std::str::from_utf8(&self.bytes) {
            Err(error) if error.error_len().is_none() && !is_final => &self.bytes[..error.valid_up_to()],
            _ => &self.bytes,
        };
        caption(self.track_sid.clone(), &self.sender, &String::from_utf8_lossy(whole), is_final)
    }
}

impl Captions {
    /// What a packet says; nothing where it is of another use.
    pub fn read(&mut self, packet: &DataPacket) -> Vec<Caption> {
        let sender = &packet.participant_identity;
        match &packet.value {
            Some(Value::Transcription(transcription)) => segments(transcription),
            Some(Value::StreamHeader(header)) => self.begin(sender, header).into_iter().collect(),
            Some(Value::StreamChunk(chunk)) => self.go_on(sender, chunk).into_iter().collect(),
            Some(Value::StreamTrailer(trailer)) => self.finish(sender, trailer).into_iter().collect(),
            _ => Vec::new(),
        }
    }

    fn begin(&mut self, sender: &str, header: &Header) -> Option<Caption> {
        let is_bytes = matches!(header.content_header, Some(ContentHeader::ByteHeader(_)));
        let is_plain = !is_bytes && header.compression == 0;
        if header.topic != TOPIC || !is_plain || header.stream_id.len() > STREAM_ID_SIZE_MAX {
            return None;
        }
        self.take(sender, &header.stream_id);
        let open = Open {
            sender: sender.to_owned(),
            stream_id: header.stream_id.clone(),
            track_sid: header.attributes.get(TRACK_ATTRIBUTE).filter(|sid| !sid.is_empty()).cloned(),
            is_final: said_final(&header.attributes),
            next_chunk: 0,
            bytes: header.inline_content.clone().unwrap_or_default(),
        };
        if open.bytes.len() > TEXT_SIZE_MAX {
            return None;
        }
        if header.inline_content.is_some() {
            return open.caption(open.is_final.unwrap_or(true));
        }
        if self.0.len() >= OPEN_MAX {
            self.0.pop_front();
        }
        self.0.push_back(open);
        None
    }

    fn go_on(&mut self, sender: &str, chunk: &Chunk) -> Option<Caption> {
        let open = self.find(sender, &chunk.stream_id)?;
        let is_next = chunk.chunk_index == open.next_chunk;
        if !is_next || open.bytes.len() + chunk.content.len() > TEXT_SIZE_MAX {
            self.take(sender, &chunk.stream_id);
            return None;
        }
        open.next_chunk += 1;
        open.bytes.extend_from_slice(&chunk.content);
        // What is final as a whole is told as a whole.
        if open.is_final == Some(true) { None } else { open.caption(false) }
    }

    fn finish(&mut self, sender: &str, trailer: &Trailer) -> Option<Caption> {
        let open = self.take(sender, &trailer.stream_id)?;
        let is_final = said_final(&trailer.attributes).or(open.is_final).unwrap_or(true);
        // What it says has been told with its last chunk.
        if is_final && trailer.reason.is_empty() { open.caption(true) } else { None }
    }

    fn find(&mut self, sender: &str, stream_id: &str) -> Option<&mut Open> {
        self.0.iter_mut().find(|open| open.sender == sender && open.stream_id == stream_id)
    }

    fn take(&mut self, sender: &str, stream_id: &str) -> Option<Open> {
        let position = self.0.iter().position(|open| open.sender == sender && open.stream_id == stream_id)?;
        self.0.remove(position)
    }
}

fn segments(transcription: &Transcription) -> Vec<Caption> {
    let segments = transcription.segments.iter().take(SEGMENTS_MAX);
    let track_sid = Some(transcription.track_id.clone()).filter(|sid| !sid.is_empty());
    let identity = &transcription.transcribed_participant_identity;
    segments
        .filter(|segment| segment.text.len() <= TEXT_SIZE_MAX)
        .filter_map(|segment| caption(track_sid.clone(), identity, &segment.text, segment.r#final))
        .collect()
}

fn said_final(attributes: &HashMap<String, String>) -> Option<bool> {
    attributes.get(FINAL_ATTRIBUTE).map(|said| said.eq_ignore_ascii_case("true"))
}

/// Silence is no caption. A C string ends at the first NUL, so none stays in the text.
fn caption(track_sid: Option<String>, identity: &str, text: &str, is_final: bool) -> Option<Caption> {
    let text = text.replace('\0', "\u{fffd}");
    let identity = identity.to_owned();
    (!text.is_empty()).then_some(Caption { track_sid, identity, text, is_final })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::proto::TranscriptionSegment;
    use proptest::prelude::*;

    fn packet(sender: &str, value: Value) -> DataPacket {
        DataPacket { participant_identity: sender.into(), value: Some(value), ..Default::default() }
    }

    fn header(stream_id: &str, attributes: &[(&str, &str)]) -> DataPacket {
        let attributes = attributes.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        let header = Header {
            stream_id: stream_id.into(),
            topic: TOPIC.into(),
            attributes: attributes.collect(),
            ..Default::default()
        };
        packet("ann", Value::StreamHeader(header))
    }

    #[allow(deprecated)]
    fn chunk(stream_id: &str, chunk_index: u64, content: &[u8]) -> DataPacket {
        let content = content.to_vec();
        let chunk = Chunk { stream_id: stream_id.into(), chunk_index, content, ..Default::default() };
        packet("ann", Value::StreamChunk(chunk))
    }

    fn trailer(stream_id: &str, attributes: &[(&str, &str)]) -> DataPacket {
        let attributes = attributes.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        let trailer =
            Trailer { stream_id: stream_id.into(), attributes: attributes.collect(), ..Default::default() };
        packet("ann", Value::StreamTrailer(trailer))
    }

    fn texts(captions: &mut Captions, packets: &[DataPacket]) -> Vec<(String, bool)> {
        let all = packets.iter().flat_map(|packet| captions.read(packet));
        all.map(|caption| (caption.text, caption.is_final)).collect()
    }

    #[test]
    fn a_packet_brings_its_segments() {
        let segment = |text: &str, is_final| TranscriptionSegment {
            text: text.into(),
            r#final: is_final,
            ..Default::default()
        };
        let transcription = Transcription {
            transcribed_participant_identity: "bob".into(),
            track_id: "TR_1".into(),
            segments: vec![segment("hel", false), segment("", true), segment("hello", true)],
        };
        let read = Captions::default().read(&packet("ann", Value::Transcription(transcription)));
        let told = |text: &str, is_final| Caption {
            track_sid: Some("TR_1".into()),
            identity: "bob".into(),
            text: text.into(),
            is_final,
        };
        assert_eq!(read, [told("hel", false), told("hello", true)]);
    }

    #[test]
    fn a_stream_grows_and_its_trailer_makes_it_final() {
        let mut captions = Captions::default();
        let attributes = [(TRACK_ATTRIBUTE, "TR_1"), (FINAL_ATTRIBUTE, "false")];
        assert_eq!(captions.read(&header("s", &attributes)), []);
        let read = captions.read(&chunk("s", 0, b"hel"));
        assert_eq!(read[0].track_sid.as_deref(), Some("TR_1"));
        assert_eq!((read[0].text.as_str(), read[0].is_final), ("hel", false));
        let rest = [chunk("s", 1, b"lo"), trailer("s", &[(FINAL_ATTRIBUTE, "true")]), chunk("s", 2, b"?")];
        assert_eq!(texts(&mut captions, &rest), [("hello".into(), false), ("hello".into(), true)]);
    }

    #[test]
    fn a_stream_that_is_final_from_the_start_is_told_once() {
        let mut captions = Captions::default();
        let all = [header("s", &[(FINAL_ATTRIBUTE, "true")]), chunk("s", 0, b"a"), chunk("s", 1, b"b")];
        assert_eq!(texts(&mut captions, &all), []);
        assert_eq!(texts(&mut captions, &[trailer("s", &[])]), [("ab".into(), true)]);
    }

    #[test]
    fn a_stream_that_is_not_final_ends_without_another_word() {
        let mut captions = Captions::default();
        let all = [header("s", &[(FINAL_ATTRIBUTE, "false")]), chunk("s", 0, b"a"), trailer("s", &[])];
        assert_eq!(texts(&mut captions, &all), [("a".into(), false)]);
        assert!(captions.0.is_empty());
    }

    #[test]
    fn half_a_letter_waits_for_its_other_half() {
        let mut captions = Captions::default();
        captions.read(&header("s", &[]));
        let (first, second) = "ü".as_bytes().split_at(1);
        assert_eq!(texts(&mut captions, &[chunk("s", 0, b"a"), chunk("s", 1, first)])[1].0, "a");
        assert_eq!(texts(&mut captions, &[chunk("s", 2, second)]), [("aü".into(), false)]);
    }

    #[test]
    fn streams_of_other_topics_of_bytes_and_out_of_order_are_dropped() {
        let mut captions = Captions::default();
        for change in [
            (|header: &mut Header| header.topic = "lk.chat".into()) as fn(&mut Header),
            |header| header.content_header = Some(ContentHeader::ByteHeader(Default::default())),
            |header| header.compression = 1,
            |header| header.stream_id = "s".repeat(STREAM_ID_SIZE_MAX + 1),
        ] {
            let mut packet = header("s", &[]);
            let Some(Value::StreamHeader(header)) = &mut packet.value else { panic!("a header") };
            change(header);
            captions.read(&packet);
            assert!(captions.0.is_empty());
        }
        captions.read(&header("s", &[]));
        assert_eq!(texts(&mut captions, &[chunk("s", 1, b"b"), chunk("s", 0, b"a"), trailer("s", &[])]), []);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut captions = Captions::default();
        for number in 0..2 * OPEN_MAX {
            captions.read(&header(&number.to_string(), &[]));
        }
        assert_eq!(captions.0.len(), OPEN_MAX);
        let last = (2 * OPEN_MAX - 1).to_string();
        let half = vec![b'x'; TEXT_SIZE_MAX / 2];
        assert_eq!(texts(&mut captions, &[chunk(&last, 0, &half), chunk(&last, 1, &half)]).len(), 2);
        assert_eq!(texts(&mut captions, &[chunk(&last, 2, b"x"), trailer(&last, &[])]), []);
    }

    proptest! {
        #[test]
        fn whatever_comes_a_c_string_can_carry_it(
            steps in prop::collection::vec((0u8..4, 0u64..3, prop::collection::vec(any::<u8>(), 0..6)), 0..40),
        ) {
            let mut captions = Captions::default();
            for (kind, index, bytes) in steps {
                let packet = match kind {
                    0 => header("s", &[]),
                    1 => trailer("s", &[]),
                    _ => chunk("s", index, &bytes),
                };
                for caption in captions.read(&packet) {
                    prop_assert!(!caption.text.is_empty() && !caption.text.contains('\0'));
                }
                prop_assert!(captions.0.len() <= 1);
            }
        }
    }
}
