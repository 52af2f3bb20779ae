//! OpenTok's signals as LiveKit's data packets: the type is the topic, the data is the payload.

use super::proto::{DataPacket, UserPacket, data_packet};

/// The longest type in bytes, as OpenTok documents it.
pub const KIND_SIZE_MAX: usize = 128;

/// The longest data in bytes: OpenTok's 8 KB.
pub const DATA_SIZE_MAX: usize = 8192;

/// Why a signal cannot be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SignalError {
    DataTooLong,
    KindTooLong,
    InvalidKind,
}

/// A signal that came in. Limits are the sender's business: LiveKit's own clients do not know of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    pub kind: String,
    pub data: String,
    /// The sender. A packet that names neither sid nor identity is a server's signal.
    pub sender_sid: Option<String>,
    pub sender_identity: Option<String>,
}

/// Whether OpenTok allows the signal. An empty type and empty data are fine.
pub fn validate(kind: &str, data: &str) -> Result<(), SignalError> {
    if data.len() > DATA_SIZE_MAX {
        return Err(SignalError::DataTooLong);
    }
    if kind.len() > KIND_SIZE_MAX {
        return Err(SignalError::KindTooLong);
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~');
    if kind.bytes().all(allowed) { Ok(()) } else { Err(SignalError::InvalidKind) }
}

/// The packet of a signal. No destination means everybody.
// The fields that LiveKit calls deprecated are what its older servers read; both places say the same.
#[allow(deprecated)]
pub fn packet(kind: &str, data: &str, destination_identities: Vec<String>) -> DataPacket {
    let user = UserPacket {
        payload: data.as_bytes().to_vec(),
        topic: Some(kind.to_owned()).filter(|topic| !topic.is_empty()),
        destination_identities: destination_identities.clone(),
        ..Default::default()
    };
    DataPacket {
        kind: data_packet::Kind::Reliable.into(),
        destination_identities,
        value: Some(data_packet::Value::User(user)),
        ..Default::default()
    }
}

/// `None` is a packet of another use: transcription, remote procedure call, stream of text or files.
#[allow(deprecated)] // older servers name the sender in the inner packet only
pub fn read(packet: &DataPacket) -> Option<Incoming> {
    let Some(data_packet::Value::User(user)) = &packet.value else { return None };
    let sender =
        |outer: &String, inner: &String| [outer, inner].into_iter().find(|name| !name.is_empty()).cloned();
    Some(Incoming {
        kind: user.topic.as_deref().map(c_text).unwrap_or_default(),
        data: c_text(&String::from_utf8_lossy(&user.payload)),
        sender_sid: sender(&packet.participant_sid, &user.participant_sid),
        sender_identity: sender(&packet.participant_identity, &user.participant_identity),
    })
}

/// A C string ends at the first NUL, so a program would see half of the text.
fn c_text(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use prost::Message as _;

    fn user(packet: &mut DataPacket) -> &mut UserPacket {
        match &mut packet.value {
            Some(data_packet::Value::User(user)) => user,
            _ => panic!("a signal is a user packet"),
        }
    }

    #[test]
    fn limits_are_counted_in_bytes_and_end_where_opentok_says() {
        assert_eq!(validate("", ""), Ok(()));
        assert_eq!(validate(&"k".repeat(128), &"d".repeat(8192)), Ok(()));
        assert_eq!(validate(&"k".repeat(129), ""), Err(SignalError::KindTooLong));
        assert_eq!(validate("", &"d".repeat(8193)), Err(SignalError::DataTooLong));
        assert_eq!(validate("", &"ü".repeat(4097)), Err(SignalError::DataTooLong));
    }

    #[test]
    fn a_type_has_letters_digits_and_three_signs() {
        assert_eq!(validate("AZaz09-_~", ""), Ok(()));
        for kind in [" ", "a b", "ü", "a.b", "a/b", "\n", "@", "[", "`", "{", ":"] {
            assert_eq!(validate(kind, ""), Err(SignalError::InvalidKind), "{kind:?}");
        }
    }

    #[test]
    #[allow(deprecated)]
    fn a_signal_is_reliable_and_names_its_destination_in_both_places() {
        let mut packet = packet("chat", "hello", vec!["bob".into()]);
        assert_eq!(packet.kind, data_packet::Kind::Reliable as i32);
        assert_eq!(packet.destination_identities, ["bob"]);
        assert_eq!(user(&mut packet).destination_identities, ["bob"]);
        assert_eq!(user(&mut packet).topic.as_deref(), Some("chat"));
    }

    #[test]
    fn a_packet_without_a_participant_is_a_servers_signal() {
        let incoming = read(&packet("chat", "hello", vec![])).expect("a signal");
        assert_eq!((incoming.sender_sid, incoming.sender_identity), (None, None));
    }

    #[test]
    #[allow(deprecated)]
    fn the_sender_is_found_in_either_place_and_the_outer_one_wins() {
        let mut packet = packet("", "", vec![]);
        user(&mut packet).participant_sid = "PA_inner".into();
        user(&mut packet).participant_identity = "inner".into();
        let incoming = read(&packet).expect("a signal");
        assert_eq!(incoming.sender_sid.as_deref(), Some("PA_inner"));
        packet.participant_sid = "PA_outer".into();
        let incoming = read(&packet).expect("a signal");
        assert_eq!(incoming.sender_sid.as_deref(), Some("PA_outer"));
        assert_eq!(incoming.sender_identity.as_deref(), Some("inner"));
    }

    #[test]
    fn bytes_that_no_c_string_can_carry_are_replaced() {
        let mut packet = packet("a", "", vec![]);
        user(&mut packet).payload = b"x\0y\xffz".to_vec();
        user(&mut packet).topic = Some("a\0b".into());
        let incoming = read(&packet).expect("a signal");
        assert_eq!((incoming.kind.as_str(), incoming.data.as_str()), ("a\u{fffd}b", "x\u{fffd}y\u{fffd}z"));
    }

    #[test]
    fn packets_of_other_uses_are_no_signals() {
        assert_eq!(read(&DataPacket::default()), None);
        let value = Some(data_packet::Value::Transcription(Default::default()));
        assert_eq!(read(&DataPacket { value, ..Default::default() }), None);
    }

    proptest! {
        #[test]
        fn what_is_sent_is_read_as_it_was(kind in "[A-Za-z0-9_~-]{0,128}", data in "[^\0]{0,200}") {
            prop_assert_eq!(validate(&kind, &data), Ok(()));
            let bytes = packet(&kind, &data, vec![]).encode_to_vec();
            let incoming = read(&DataPacket::decode(bytes.as_slice()).expect("a packet")).expect("a signal");
            prop_assert_eq!((incoming.kind, incoming.data), (kind, data));
        }

        #[test]
        fn arbitrary_bytes_never_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            kind in ".{0,200}",
        ) {
            let _ = validate(&kind, &String::from_utf8_lossy(&bytes));
            let mut signal = packet(&kind, "", vec![]);
            user(&mut signal).payload = bytes.clone();
            let incoming = read(&signal).expect("a signal");
            prop_assert!(!incoming.kind.contains('\0') && !incoming.data.contains('\0'));
            let _ = DataPacket::decode(bytes.as_slice()).map(|packet| read(&packet));
        }
    }
}
