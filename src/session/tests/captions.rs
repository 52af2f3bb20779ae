//! Captions: who hears them, and when.

use super::media::{SubscriberEvent, SubscriptionId, Wants};
use super::peers::Wired;
use super::*;
use crate::rtc::{Codec, MediaKind, Sending};
use crate::signal::proto::{
    DataPacket, SessionDescription, Transcription, TranscriptionSegment, data_packet::Value,
};

fn transcription(track_id: &str, identity: &str, text: &str, is_final: bool) -> FromServer {
    let segment = TranscriptionSegment { text: text.into(), r#final: is_final, ..Default::default() };
    let transcription = Transcription {
        transcribed_participant_identity: identity.into(),
        track_id: track_id.into(),
        segments: vec![segment],
    };
    FromServer::Data(DataPacket { value: Some(Value::Transcription(transcription)), ..Default::default() })
}

fn has_changed(event: &Event) -> bool {
    matches!(event, Event::StreamChanged { change: StreamChange::Captions(true), stream } if stream.has_captions)
}

/// A subscriber of a voice, which is there.
fn listening() -> Wired {
    let mut wired = Wired::connected();
    let mut ann = participant("ann");
    ann.tracks = vec![track("TR_1", TrackSource::Microphone)];
    wired.client.update(vec![ann]);
    wired.client.pass(Duration::from_secs(1));
    let wants = Wants { captions: true, ..Wants::default() };
    wired.client.input(Input::Subscribe { id: SubscriptionId(1), stream_id: "TR_1".into(), wants });
    wired.client.input(Input::Subscribe {
        id: SubscriptionId(2),
        stream_id: "TR_1".into(),
        wants: Wants::default(),
    });
    wired.client.server(transcription("TR_1", "ann", "too early", true));
    let is_caption =
        |event: &Event| matches!(event, Event::Subscriber { event: SubscriberEvent::Caption { .. }, .. });
    assert!(!wired.client.heard().iter().any(is_caption), "not before it has heard that it is connected");
    let sending = Sending {
        kind: MediaKind::Audio,
        codecs: vec![Codec::Opus],
        stream_id: "PA_ann|stream".into(),
        track_id: "TR_1".into(),
        layers: Vec::new(),
        is_stereo: false,
        uses_dtx: false,
    };
    let now = wired.client.now;
    wired.subscriber.add_sending(now, &sending).expect("a section");
    let sdp = wired.subscriber.offer(now).expect("an offer");
    wired.client.message(Message::Offer(SessionDescription {
        r#type: "offer".into(),
        sdp,
        ..Default::default()
    }));
    let is_there =
        |event: &Event| matches!(event, Event::Subscriber { event: SubscriberEvent::Connected, .. });
    wired.run_until(|wired| wired.client.events.iter().filter(|event| is_there(event)).count() == 2);
    wired.client.heard();
    wired
}

fn caption(text: &str, is_final: bool) -> Event {
    Event::Subscriber {
        id: SubscriptionId(1),
        event: SubscriberEvent::Caption { text: text.into(), is_final },
    }
}

#[test]
fn captions_come_to_subscribers_that_want_them() {
    let mut wired = listening();
    wired.client.server(transcription("TR_1", "somebody", "by its track", false));
    wired.client.server(transcription("", "ann", "by its publisher", true));
    wired.client.server(transcription("TR_2", "ann", "of another track", true));
    wired.client.server(transcription("", "bob", "of somebody else", true));
    assert_eq!(wired.client.heard(), [caption("by its track", false), caption("by its publisher", true)]);
    wired.client.input(Input::SetWants { id: SubscriptionId(1), wants: Wants::default() });
    wired.client.server(transcription("TR_1", "ann", "not any more", true));
    assert_eq!(wired.client.heard(), []);
}

#[test]
fn the_first_caption_is_a_change_of_its_stream() {
    let mut client = Client::connected();
    let mut ann = participant("ann");
    ann.tracks = vec![track("TR_1", TrackSource::Microphone)];
    client.update(vec![ann.clone()]);
    client.pass(Duration::from_secs(1));
    client.heard();
    client.server(transcription("TR_1", "ann", "hello", false));
    let heard = client.heard();
    assert!(heard.len() == 1 && has_changed(&heard[0]), "{heard:?}");
    client.server(transcription("TR_1", "ann", "hello", true));
    // What the server tells of the stream later does not take it away.
    ann.tracks[0].muted = true;
    client.update(vec![ann]);
    let heard = client.heard();
    let [Event::StreamChanged { stream, change: StreamChange::Audio(false) }] = heard.as_slice() else {
        panic!("one change: {heard:?}")
    };
    assert!(stream.has_captions);
}

#[test]
fn captions_of_a_stream_that_is_not_there_go_nowhere() {
    let mut client = Client::connected();
    client.server(transcription("TR_1", "ann", "hello", true));
    assert_eq!(client.heard(), []);
}
