//! A stream that is left and taken again at once, before the server has offered anything.

use super::streaming::VIEW;
use super::*;
use crate::rtc::{Codec, Section};
use crate::session::media::SubscriberEvent;

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
        assert_eq!(client.subscriber_heard(), [SubscriberEvent::Connected]);
        next
    };
    let second = moves_from(&first, &[]);
    // The codec is known by now, so the pictures' first section does not fit any more; that of the sound does.
    let third = moves_from(&second, &[Codec::Vp8]);
    assert!(third[0] == first[0] && third[1] > second[1], "{third:?}");
}
