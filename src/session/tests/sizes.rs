//! Pictures that change their size.

use super::film::FILM;
use super::media::{PublicationId, PublisherEvent};
use super::*;
use crate::signal::proto::UpdateLocalVideoTrack;

impl Client {
    fn shows(&mut self, width: u32, height: u32) {
        self.input(Input::SetSize { id: FILM, width, height });
    }

    /// The sizes that the server was told since this was asked last.
    fn told(&mut self) -> Vec<(u32, u32)> {
        let messages = std::mem::take(&mut self.sent).into_iter();
        messages
            .filter_map(|sent| match sent {
                FromClient::Message(signal_request::Message::UpdateVideoTrack(update)) => {
                    let UpdateLocalVideoTrack { track_sid, width, height } = update;
                    assert_eq!(track_sid, "TR_V1");
                    Some((width, height))
                }
                _ => None,
            })
            .collect()
    }

    fn own_sizes(&mut self) -> Vec<(u32, u32)> {
        let size = |event: &PublisherEvent| match event {
            PublisherEvent::Changed(stream) => Some((stream.video_width, stream.video_height)),
            _ => None,
        };
        self.publisher_heard().iter().filter_map(size).collect()
    }
}

#[test]
fn another_size_is_told_once_and_the_size_that_is_known_is_not() {
    let mut client = Client::published();
    client.shows(320, 180);
    assert_eq!(client.told(), []);
    client.shows(640, 480);
    client.shows(640, 480);
    client.pass(Duration::from_secs(3));
    assert_eq!(client.told(), [(640, 480)]);
    assert_eq!(client.own_sizes(), [(640, 480)]);
}

#[test]
fn sizes_that_follow_each_other_are_told_once_a_second_and_the_last_one_always() {
    let mut client = Client::published();
    for step in 1..=30 {
        client.shows(320 + step, 180);
        client.pass(Duration::from_millis(100));
    }
    let told = client.told();
    assert!((3..=4).contains(&told.len()), "{told:?}");
    client.pass(Duration::from_secs(2));
    let last = client.told();
    assert_eq!(told.last().into_iter().chain(&last).next_back(), Some(&(350, 180)));
    assert!(told.len() + last.len() <= 4, "{told:?} {last:?}");
}

#[test]
fn a_size_that_is_taken_back_in_time_is_not_told() {
    let mut client = Client::published();
    client.shows(640, 480);
    assert_eq!(client.told(), [(640, 480)]);
    client.shows(1280, 720);
    client.shows(640, 480);
    client.pass(Duration::from_secs(3));
    assert_eq!(client.told(), []);
}

#[test]
fn a_size_that_changes_while_the_server_is_asked_is_told_when_it_has_answered() {
    let mut client = Client::opened();
    client.publish(super::film::film(3));
    client.shows(640, 480);
    client.pass(Duration::from_secs(2));
    client.take();
    client.pass(Duration::from_millis(10));
    assert_eq!(client.told(), [(640, 480)]);
}

#[test]
fn the_layers_keep_their_parts_of_the_picture_when_it_is_published_again() {
    let mut client = Client::opened();
    let mut wish = super::film::film(2);
    if let Some(video) = &mut wish.video {
        (video.layers[0].width, video.layers[0].height) = (160, 90);
    }
    client.publish(wish);
    client.take();
    client.shows(480, 640);
    client.leave(DisconnectReason::StateMismatch, Action::Reconnect);
    client.input(Input::LinkOpened);
    client.sent.clear();
    client.server(FromServer::Welcome(welcome(&[])));
    client.input(Input::SocketsOpened(Addresses::default()));
    let asked = client.sent.iter().find_map(|sent| match sent {
        FromClient::Message(signal_request::Message::AddTrack(request)) if request.width > 0 => Some(request),
        _ => None,
    });
    let asked = asked.expect("it is published again");
    let layers: Vec<_> = asked.layers.iter().map(|layer| (layer.width, layer.height)).collect();
    assert_eq!(((asked.width, asked.height), layers), ((480, 640), vec![(240, 320), (480, 640)]));
}

#[test]
fn the_size_of_what_is_not_published_is_nobodys_business() {
    let mut client = Client::published();
    client.input(Input::SetSize { id: PublicationId(99), width: 1, height: 1 });
    client.pass(Duration::from_secs(2));
    assert_eq!(client.told(), []);
}
