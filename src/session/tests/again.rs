//! A stream that is left and taken again at once, before the server has offered anything.

use super::film::VIEW;
use super::*;
use crate::rtc::{Codec, Section};
use crate::session::media::{SubscriberEvent, Wants};

impl Client {
    fn view_again(&mut self) {
        self.input(Input::Unsubscribe(VIEW));
        self.view();
    }
}

#[test]
fn a_track_that_moves_to_an_earlier_section_is_not_lost_with_the_end_of_the_later_one() {
    let (mut client, mut server, first) = Client::watching_on();
    // As our server does it: the sections of before end in the offer that begins the next ones.
    let mut moves_from = |sections: &[Section], codecs: &[Codec]| {
        client.view_again();
        sections.iter().for_each(|section| server.stop_sending(client.now, *section));
        let next = client.send_to_it(&mut server, codecs);
        client.offer(&mut server);
        let heard = client.subscriber_heard();
        assert!(matches!(&heard[..], [SubscriberEvent::Changed(_), SubscriberEvent::Connected]), "{heard:?}");
        next
    };
    let second = moves_from(&first, &[]);
    // The codec is known by now, so the pictures' first section does not fit any more; that of the sound does.
    let third = moves_from(&second, &[Codec::Vp8]);
    assert!(third[0] == first[0] && third[1] > second[1], "{third:?}");
}

#[test]
fn a_track_whose_section_stays_is_there_at_once_and_set_anew() {
    let (mut client, mut server, sections) = Client::watching_on();
    client.input(Input::SetWants { id: VIEW, wants: Wants { audio: false, ..Wants::default() } });
    assert_eq!(client.subscriber_heard(), [SubscriberEvent::AudioDisabled]);
    client.asked();
    client.view_again();
    let heard = client.subscriber_heard();
    assert!(matches!(&heard[..], [SubscriberEvent::Changed(_), SubscriberEvent::Connected]), "{heard:?}");
    let settings = client.asked().into_iter().filter_map(|message| match message {
        signal_request::Message::TrackSetting(settings) => Some((settings.track_sids, settings.disabled)),
        _ => None,
    });
    let mut settings: Vec<_> = settings.collect();
    settings.sort();
    assert_eq!(settings, [(vec!["TR_A1".to_owned()], false), (vec!["TR_V1".to_owned()], false)]);
    // The server may end it all the same, and begin another one: nothing is told, and the media moves there.
    sections.iter().for_each(|section| server.stop_sending(client.now, *section));
    client.offer(&mut server);
    client.send_to_it(&mut server, &[]);
    client.offer(&mut server);
    assert_eq!(client.subscriber_heard(), []);
}
