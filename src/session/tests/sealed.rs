//! What the core knows of encryption: who needs a secret, what the server is told, and data that others encrypt.

use super::film::film;
use super::*;
use crate::media::encryption::Keyring;
use crate::media::encryption::tests::{bytes, keyring};
use crate::session::media::*;
use crate::signal::proto::data_packet::Value;
use crate::signal::proto::encryption::Type;
use crate::signal::proto::{DataPacket, EncryptedPacket};

const SECRET: &str = "the secret of the tests";

fn client(keyring: Keyring) -> Client {
    let mut client = Client::new(Config { keyring, ..config() });
    client.input(Input::LinkOpened);
    client.server(FromServer::Welcome(welcome(&[])));
    client.heard();
    client
}

fn published(is_sealed: bool) -> Vec<Type> {
    let mut client = client(Keyring::default());
    client.sent.clear();
    client.input(Input::Publish(Box::new(Publication { is_sealed, ..film(1) })));
    let requests = client.sent.iter().filter_map(|frame| match frame {
        FromClient::Message(signal_request::Message::AddTrack(request)) => Some(request.encryption()),
        _ => None,
    });
    requests.collect()
}

#[test]
fn the_server_is_told_which_tracks_are_encrypted() {
    assert_eq!(published(true), [Type::Gcm, Type::Gcm]);
    assert_eq!(published(false), [Type::None, Type::None]);
}

/// What is heard of subscribing twice to a stream of Ann's.
fn subscribed(keyring: Keyring, encryption: Type) -> Vec<Event> {
    let mut client = client(keyring);
    let video = TrackInfo { encryption: encryption.into(), ..track("TR_V1", TrackSource::Camera) };
    let mut ann = participant("ann");
    ann.tracks = vec![video, track("TR_A1", TrackSource::Microphone)];
    client.update(vec![ann]);
    client.heard();
    for id in [1, 2] {
        let stream_id = "TR_A1".into();
        client.input(Input::Subscribe { id: SubscriptionId(id), stream_id, wants: Wants::default() });
    }
    let is_taken =
        |event: &Event| matches!(event, Event::Subscriber { event: SubscriberEvent::Changed(_), .. });
    let (taken, others): (Vec<Event>, Vec<Event>) = client.heard().into_iter().partition(is_taken);
    assert_eq!(taken.len(), 2);
    others
}

#[test]
fn a_secret_that_is_missing_is_told_once_and_ends_nothing() {
    let heard = subscribed(Keyring::default(), Type::Gcm);
    assert!(matches!(heard[..], [Event::Warned(Fault { reason: Reason::SecretMissing, .. })]), "{heard:?}");
}

#[test]
fn nobody_misses_a_secret_who_has_one_or_needs_none() {
    let waiting = Keyring::default();
    waiting.set(SECRET); // its key will be made by and by
    assert_eq!(subscribed(waiting, Type::Gcm), []);
    assert_eq!(subscribed(Keyring::default(), Type::None), []);
}

/// What is heard of a signal that Ann has encrypted.
fn received(keyring: Keyring) -> Vec<Event> {
    let mut client = client(keyring);
    client.update(vec![participant("ann")]);
    client.heard();
    let sealed = EncryptedPacket {
        encryption_type: Type::Gcm.into(),
        iv: bytes("0102030405060708090a0b0c"),
        key_index: 0,
        encrypted_value: bytes("65e31300986c0207d158e7e3525f3426b1b6e941a9d34aafb91a9e8e2f06"),
    };
    client.server(FromServer::Data(DataPacket {
        participant_identity: "ann".into(),
        value: Some(Value::EncryptedPacket(sealed)),
        ..DataPacket::default()
    }));
    client.heard()
}

#[test]
fn a_signal_that_others_encrypt_is_heard_by_those_who_have_their_secret() {
    match &received(keyring(SECRET))[..] {
        [Event::SignalReceived { kind, data, from: Some(from) }] => {
            assert_eq!((kind.as_str(), data.as_str(), from.identity.as_str()), ("kind", "text", "ann"));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(received(keyring("another secret")), []);
    assert_eq!(received(Keyring::default()), []);
}
