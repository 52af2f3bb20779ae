//! The first five tokens were made by other people's generators (PyPI `opentok` 3.15.0 and `livekit-api` 1.2.2, the
//! application's token by PyJWT 2.15.1 with the claims that `opentok` writes) with invented keys at [`NOW_S`].

use super::*;
use crate::signal::proto::participant_info::Kind as ParticipantKind;
use proptest::prelude::*;

const NOW_S: i64 = 1_700_000_000;
const KEY: &str = "100042";
const SECRET: &str = "0123456789abcdef0123456789abcdef01234567";
const LIVEKIT_KEY: &str = "devkey";
const LIVEKIT_SECRET: &str = "a-secret-of-the-tests-0123456789";
const APPLICATION: &str = "11111111-2222-3333-4444-555555555555";
const SESSION: &str = "2_fjEwMDA0Mn5-VHVlIE5vdiAxNCAyMjoxMzoyMCBHTVQgMjAyM34wLjV-";
const APPLICATION_SESSION: &str = "1_MX4xMTExMTExMS0yMjIyLTMzMzMtNDQ0NC01NTU1NTU1NTU1NTV+fnh+eX4";

/// A moderator for one hour.
const CLASSIC: &str = concat!(
    "T1==cGFydG5lcl9pZD0xMDAwNDImc2lnPTEyZmExOTRkNzg4OTRiNmZlNGJmODM0YTU5MzQ5NWFjMDMxMjc4Mzc6c2Vzc2lv",
    "bl9pZD0yX2ZqRXdNREEwTW41LVZIVmxJRTV2ZGlBeE5DQXlNam94TXpveU1DQkhUVlFnTWpBeU0zNHdMalYtJmNyZWF0ZV90",
    "aW1lPTE3MDAwMDAwMDAmZXhwaXJlX3RpbWU9MTcwMDAwMzYwMCZyb2xlPW1vZGVyYXRvciZub25jZT0xNDA4OTEmaW5pdGlh",
    "bF9sYXlvdXRfY2xhc3NfbGlzdD1mb2N1cytiaWcmY29ubmVjdGlvbl9kYXRhPW5hbWUlM0RabyVDMyVBQislMjYrQm9iJTJG",
    "MSUyQjE=",
);
/// The same in the newer format.
const PLATFORM: &str = concat!(
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzZXNzaW9uX2lkIjoiMl9makV3TURBME1uNS1WSFZsSUU1dmRpQXhOQ0F",
    "5TWpveE16b3lNQ0JIVFZRZ01qQXlNMzR3TGpWLSIsInJvbGUiOiJtb2RlcmF0b3IiLCJpYXQiOjE3MDAwMDAwMDAsImV4cCI",
    "6MTcwMDAwMzYwMCwic2NvcGUiOiJzZXNzaW9uLmNvbm5lY3QiLCJpbml0aWFsX2xheW91dF9jbGFzc19saXN0IjoiZm9jdXM",
    "gYmlnIiwiY29ubmVjdGlvbl9kYXRhIjoibmFtZT1ab1x1MDBlYiAmIEJvYi8xKzEiLCJpc3MiOiIxMDAwNDIiLCJpc3QiOiJ",
    "wcm9qZWN0Iiwibm9uY2UiOjU5Njg1M30.BD6SM5fTJ5iJ6QNGVhuj3_pENoBxe7ohM3GU0W905yA",
);
/// A publisher for a day, with nothing that can be left out.
const CLASSIC_PLAIN: &str = concat!(
    "T1==cGFydG5lcl9pZD0xMDAwNDImc2lnPTc4ZWY0ZGUxMmMwYjBjZTA0MWFmOTA1Zjg1ZjUzM2YwMmNkZjA5Y2U6c2Vzc2lv",
    "bl9pZD0yX2ZqRXdNREEwTW41LVZIVmxJRTV2ZGlBeE5DQXlNam94TXpveU1DQkhUVlFnTWpBeU0zNHdMalYtJmNyZWF0ZV90",
    "aW1lPTE3MDAwMDAwMDAmZXhwaXJlX3RpbWU9MTcwMDA4NjQwMCZyb2xlPXB1Ymxpc2hlciZub25jZT04ODg1OTgmaW5pdGlh",
    "bF9sYXlvdXRfY2xhc3NfbGlzdD0=",
);
/// Bob in the room `lobby`, an administrator who is hidden and may not publish tracks.
const LIVEKIT: &str = concat!(
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJuYW1lIjoiQm9iIiwibWV0YWRhdGEiOiJ7XCJhXCI6MX0iLCJ2aWRlbyI",
    "6eyJyb29tQWRtaW4iOnRydWUsInJvb21Kb2luIjp0cnVlLCJyb29tIjoibG9iYnkiLCJjYW5QdWJsaXNoIjpmYWxzZSwiY2F",
    "uU3Vic2NyaWJlIjp0cnVlLCJjYW5QdWJsaXNoRGF0YSI6dHJ1ZSwiaGlkZGVuIjp0cnVlfSwiYXR0cmlidXRlcyI6eyJrIjo",
    "idiJ9LCJzdWIiOiJib2IiLCJpc3MiOiJkZXZrZXkiLCJuYmYiOjE3MDAwMDAwMDAsImV4cCI6MTcwMDAwMzYwMH0.pK2WqsU",
    "PseGKnXg1KCQxTNz4BZpvOzV0lz7Ds7TZIHQ",
);
/// Makes and lists rooms, joins none.
const LIVEKIT_SERVICE: &str = concat!(
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ2aWRlbyI6eyJyb29tQ3JlYXRlIjp0cnVlLCJyb29tTGlzdCI6dHJ1ZSw",
    "iY2FuUHVibGlzaCI6dHJ1ZSwiY2FuU3Vic2NyaWJlIjp0cnVlLCJjYW5QdWJsaXNoRGF0YSI6dHJ1ZX0sInN1YiI6IiIsIml",
    "zcyI6ImRldmtleSIsIm5iZiI6MTcwMDAwMDAwMCwiZXhwIjoxNzAwMDAzNjAwfQ.ANRzv7EA1-SL-Ts0g9D4OOEzNXfziU0s",
    "xtk5JfJwdE0",
);
/// A publisher of an application, signed with a private key.
const APPLICATION_SIGNED: &str = concat!(
    "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJzZXNzaW9uX2lkIjoiMV9NWDR4TVRFeE1URXhNUzB5TWpJeUxUTXpNek1",
    "0TkRRME5DMDFOVFUxTlRVMU5UVTFOVFYrZm5oK2VYNCIsInJvbGUiOiJwdWJsaXNoZXIiLCJpYXQiOjE3MDAwMDAwMDAsImV",
    "4cCI6MTcwMDAwMzYwMCwic2NvcGUiOiJzZXNzaW9uLmNvbm5lY3QiLCJhcHBsaWNhdGlvbl9pZCI6IjExMTExMTExLTIyMjI",
    "tMzMzMy00NDQ0LTU1NTU1NTU1NTU1NSIsImp0aSI6IjAwMDAwMDAwLTAwMDAtNDAwMC04MDAwLTAwMDAwMDAwMDAwMCIsInN",
    "1YmplY3QiOiJ2aWRlbyIsImFjbCI6eyJwYXRocyI6eyIvc2Vzc2lvbi8qKiI6e319fSwiY29ubmVjdGlvbl9kYXRhIjoiaGV",
    "sbG8ifQ.VH-N_xFqbaGYkAiInO4iFZutc5_ggJxFtaykp88WxEQQLO4McAmx5xF6fGsYfdqIVaaBOEMiqnI3QcJB1byYp7JV",
    "lHzZbZcZ2AQWP_dEcid080e5RqMKfym4b3xg9fOON78aNdNJUaRGzYKteZ1xKriluN8D2NsynwszRBzoVCpshpHkbfTYax18",
    "y9aTGn8iEA08W47J0Tmk-GpPzgMrzW4OF7OyGp4Mrrl_dIRNdYMK5DA792sEXpCEv650CoLsjtI_PodlXzVeQQs7cA9xsDKy",
    "984_B-X9_go5bwJ5rMZuwvYmnVYGQNp_se8xgVwAZu4PegDd4x6Da8rnZ1_4Fg",
);

fn secrets() -> Secrets {
    [(KEY, SECRET), (LIVEKIT_KEY, LIVEKIT_SECRET)].into_iter().collect()
}

fn check(text: &str, key: Option<&str>, session: &str, now_s: i64) -> Result<Claims, TokenError> {
    let secrets = secrets();
    let expected =
        Expectation { api_key: key, session_id: session, secrets: &secrets, signature: Signature::Required };
    Token::parse(text)?.check(now_s, &expected)
}

fn order() -> Order<'static> {
    Order {
        api_key: KEY,
        secret: SECRET,
        session_id: "a room & more: ü",
        role: Role::Publisher,
        connection_data: "x=1&y=2",
        created_s: NOW_S,
        expires_s: NOW_S + 60,
        nonce: 7,
    }
}

fn access() -> Access<'static> {
    Access {
        api_key: LIVEKIT_KEY,
        secret: LIVEKIT_SECRET,
        room: "lobby",
        identity: "bob",
        name: "Bob",
        metadata: "x=1&y=2",
        grants: Role::Moderator.grants(),
        can_join: true,
        can_create_rooms: false,
        can_list_rooms: false,
        created_s: NOW_S,
        expires_s: NOW_S + 60,
    }
}

/// The same token with another payload and the old signature.
fn with_payload(token: &str, change: impl FnOnce(&mut serde_json::Value)) -> String {
    use base64::Engine as _;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD as URL;
    let parts: Vec<&str> = token.split('.').collect();
    let mut payload = serde_json::from_slice(&URL.decode(parts[1]).expect("base64")).expect("JSON");
    change(&mut payload);
    format!("{}.{}.{}", parts[0], URL.encode(payload.to_string()), parts[2])
}

fn unsigned(text: &str) -> Result<Claims, TokenError> {
    let none = Secrets::new();
    let token = Token::parse(text)?;
    let session_id = token.claims().session_id.clone();
    let signature = Signature::IfSecretKnown;
    token.check(NOW_S, &Expectation { api_key: None, session_id: &session_id, secrets: &none, signature })
}

#[test]
fn tokens_of_opentok_generators_are_accepted_in_both_formats() {
    for (text, kind) in [(CLASSIC, Kind::Classic), (PLATFORM, Kind::Platform)] {
        let claims = check(text, Some(KEY), SESSION, NOW_S + 10).expect("accepted");
        assert_eq!(claims.kind, kind);
        assert_eq!(claims.data, "name=Zoë & Bob/1+1");
        assert_eq!(claims.grants, Role::Moderator.grants());
        assert_eq!((claims.created_s, claims.expires_s), (Some(NOW_S), NOW_S + 3600));
    }
    let claims = check(CLASSIC_PLAIN, Some(KEY), SESSION, NOW_S).expect("accepted");
    assert_eq!((claims.data.as_str(), claims.grants), ("", Role::Publisher.grants()));
}

#[test]
fn a_token_of_livekits_generator_is_accepted() {
    let claims = check(LIVEKIT, Some(LIVEKIT_KEY), "lobby", NOW_S).expect("accepted");
    assert_eq!((claims.identity.as_str(), claims.name.as_str()), ("bob", "Bob"));
    assert_eq!(claims.data, r#"{"a":1}"#);
    assert_eq!(claims.attributes.get("k").map(String::as_str), Some("v"));
    let grants = Grants {
        can_publish: false,
        can_subscribe: true,
        can_publish_data: true,
        room_admin: true,
        hidden: true,
        can_update_metadata: false,
        is_recorder: false,
        is_agent: false,
        holder: ParticipantKind::Standard,
        sources: Sources::All,
    };
    assert_eq!(claims.grants, grants);
}

#[test]
fn an_own_token_is_byte_for_byte_what_the_other_generator_makes() {
    let own = classic(&Order {
        session_id: SESSION,
        connection_data: "",
        expires_s: NOW_S + 86_400,
        nonce: 888_598,
        ..order()
    });
    assert_eq!(own, Ok(CLASSIC_PLAIN.to_owned()));
}

#[test]
fn a_token_for_the_servers_own_interface_opens_no_room() {
    let token = Token::parse(LIVEKIT_SERVICE).expect("read");
    assert_eq!(token.verify(NOW_S, None, &secrets(), Signature::Required), Ok(()));
    assert!(token.claims().can_create_rooms && token.claims().can_list_rooms);
    assert_eq!(check(LIVEKIT_SERVICE, None, "lobby", NOW_S), Err(TokenError::JoinNotGranted));
}

#[test]
fn the_end_of_a_token_has_a_minute_of_leeway() {
    for (text, session) in [(CLASSIC, SESSION), (PLATFORM, SESSION), (LIVEKIT, "lobby")] {
        let end_s = NOW_S + 3600 + CLOCK_LEEWAY_S;
        assert!(check(text, None, session, end_s - 1).is_ok());
        assert_eq!(check(text, None, session, end_s), Err(TokenError::Expired));
        assert!(check(text, None, session, NOW_S - CLOCK_LEEWAY_S).is_ok());
        let early = check(text, None, session, NOW_S - CLOCK_LEEWAY_S - 1);
        assert_eq!(early, Err(TokenError::NotYetValid));
    }
}

#[test]
fn another_key_session_or_secret_is_refused() {
    for (text, key, session) in
        [(CLASSIC, KEY, SESSION), (PLATFORM, KEY, SESSION), (LIVEKIT, LIVEKIT_KEY, "lobby")]
    {
        assert_eq!(check(text, Some("7"), session, NOW_S), Err(TokenError::WrongKey));
        assert_eq!(check(text, Some(key), "elsewhere", NOW_S), Err(TokenError::WrongSession));
        assert_eq!(check(text, Some(key), "", NOW_S), Err(TokenError::NoSession));
        let token = Token::parse(text).expect("read");
        for signature in [Signature::Required, Signature::IfSecretKnown] {
            let other = Secrets::for_any_key("another secret");
            assert_eq!(token.verify(NOW_S, None, &other, signature), Err(TokenError::BadSignature));
        }
        for nothing in [Secrets::new(), Secrets::for_any_key("")] {
            let required = token.verify(NOW_S, None, &nothing, Signature::Required);
            assert_eq!(required, Err(TokenError::UnknownKey));
            assert_eq!(token.verify(NOW_S, None, &nothing, Signature::IfSecretKnown), Ok(()));
        }
    }
}

#[test]
fn a_changed_payload_breaks_the_signature() {
    let changed = with_payload(LIVEKIT, |payload| payload["sub"] = "alice".into());
    assert_eq!(check(&changed, None, "lobby", NOW_S), Err(TokenError::BadSignature));
    let changed = with_payload(PLATFORM, |payload| payload["role"] = "subscriber".into());
    assert_eq!(check(&changed, None, SESSION, NOW_S), Err(TokenError::BadSignature));
    let mut subscriber = String::from("T1==");
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    let text = BASE64_STANDARD.decode(&CLASSIC[4..]).expect("base64");
    let text = String::from_utf8(text).expect("text").replace("moderator", "publisher");
    BASE64_STANDARD.encode_string(text, &mut subscriber);
    assert_eq!(check(&subscriber, None, SESSION, NOW_S), Err(TokenError::BadSignature));
}

#[test]
fn an_applications_token_needs_a_side_that_does_not_ask_for_the_signature() {
    let claims = unsigned(APPLICATION_SIGNED).expect("taken at its word");
    assert_eq!((claims.api_key.as_str(), claims.session_id.as_str()), (APPLICATION, APPLICATION_SESSION));
    assert_eq!(claims.data, "hello");
    let token = Token::parse(APPLICATION_SIGNED).expect("read");
    let refused = Err(TokenError::SignatureNotCheckable);
    assert_eq!(token.verify(NOW_S, None, &Secrets::new(), Signature::Required), refused);
    // A known secret must not be got round by claiming another algorithm.
    let secret = Secrets::for_any_key(SECRET);
    assert_eq!(token.verify(NOW_S, None, &secret, Signature::IfSecretKnown), refused);
}

#[test]
fn no_signature_and_unknown_algorithms_are_refused() {
    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as URL};
    let (_, rest) = PLATFORM.split_once('.').expect("three parts");
    for header in [r#"{"alg":"none"}"#, r#"{"alg":"HS512"}"#, "{}", r#"{"alg":"HS256","crit":["x"]}"#] {
        let text = format!("{}.{rest}", URL.encode(header));
        assert_eq!(Token::parse(&text), Err(TokenError::UnsupportedAlgorithm), "{header}");
    }
    let (signed, _) = PLATFORM.rsplit_once('.').expect("three parts");
    assert_eq!(check(&format!("{signed}."), None, SESSION, NOW_S), Err(TokenError::BadSignature));
}

#[test]
fn a_livekit_token_without_a_room_opens_every_room() {
    let text = livekit(&Access { room: "", ..access() }).expect("signed");
    assert_eq!(check(&text, None, "anywhere", NOW_S).map(|claims| claims.session_id), Ok("anywhere".into()));
}

#[test]
fn what_a_livekit_grant_leaves_open_follows_livekits_rules() {
    let bare = with_payload(LIVEKIT, |payload| payload["video"] = serde_json::json!({"canPublish": false}));
    let grants = Token::parse(&bare).expect("read").claims().grants;
    assert_eq!((grants.can_publish, grants.can_subscribe, grants.can_publish_data), (false, true, false));
    let empty = with_payload(LIVEKIT, |payload| payload["video"] = serde_json::json!({}));
    assert_eq!(Token::parse(&empty).expect("read").claims().grants, Role::Publisher.grants());
}

#[test]
fn a_livekit_token_needs_an_identity_to_join() {
    let text = with_payload(LIVEKIT, |payload| payload["sub"] = "".into());
    assert_eq!(unsigned(&text), Err(TokenError::NoIdentity));
    assert_eq!(livekit(&Access { identity: "", ..access() }), Err(TokenError::NoIdentity));
}

#[test]
fn a_token_without_an_end_lives_a_day_if_classic_and_not_at_all_otherwise() {
    for text in [PLATFORM, LIVEKIT] {
        let endless = with_payload(text, |payload| payload["exp"] = serde_json::Value::Null);
        assert_eq!(Token::parse(&endless), Err(TokenError::NoExpiry));
    }
    let classic = |form: &str| {
        use base64::{Engine as _, prelude::BASE64_STANDARD};
        let text = format!("partner_id=1&sig={}:session_id=a&{form}", "0".repeat(40));
        Token::parse(&format!("T1=={}", BASE64_STANDARD.encode(text))).map(|token| token.claims().expires_s)
    };
    assert_eq!(classic("create_time=100"), Ok(100 + LIFETIME_DEFAULT_S));
    assert_eq!(classic("create_time=100&expire_time="), Ok(100 + LIFETIME_DEFAULT_S));
    assert_eq!(classic("create_time=100&expire_time=200"), Ok(200));
    assert_eq!(classic("expire_time=200.5"), Ok(200));
    assert_eq!(classic("role=publisher"), Err(TokenError::NoExpiry));
    assert_eq!(classic("expire_time=soon"), Err(TokenError::Malformed("expire_time")));
    assert_eq!(classic("expire_time=200&expire_time=300"), Err(TokenError::Malformed("expire_time")));
    assert_eq!(classic("expire_time=200&role=king"), Err(TokenError::UnknownRole));
}

#[test]
fn damaged_tokens_say_what_is_wrong() {
    let wrong = [
        ("", TokenError::Empty),
        ("nonsense", TokenError::UnknownKind),
        ("a.b", TokenError::UnknownKind),
        ("T1==", TokenError::Malformed("signed part")),
        ("T1==%%%", TokenError::Malformed("base64 text")),
        ("T1==aGVsbG8=", TokenError::Malformed("signed part")),
        ("a.b.c", TokenError::Malformed("header")),
        ("..", TokenError::Malformed("header")),
    ];
    for (text, error) in wrong {
        assert_eq!(Token::parse(text), Err(error), "{text}");
    }
    assert_eq!(Token::parse(&"a".repeat(TOKEN_SIZE_MAX + 1)), Err(TokenError::TooLarge));
    for field in ["iss", "session_id", "role", "exp", "connection_data"] {
        let text = with_payload(PLATFORM, |payload| payload[field] = serde_json::json!([1]));
        assert_eq!(Token::parse(&text), Err(TokenError::Malformed(field)));
    }
    let deep = with_payload(PLATFORM, |payload| {
        for _ in 0..200 {
            *payload = serde_json::json!([payload.take()]);
        }
    });
    assert_eq!(Token::parse(&deep), Err(TokenError::Malformed("payload")));
}

#[test]
fn limits_hold_when_signing_and_when_reading() {
    let (longest, longer) = ("ü".repeat(1000), "ü".repeat(1001));
    for sign in [classic, platform] {
        let text = sign(&Order { connection_data: &longest, ..order() }).expect("signed");
        assert_eq!(unsigned(&text).expect("accepted").data, longest);
        assert_eq!(sign(&Order { connection_data: &longer, ..order() }), Err(TokenError::DataTooLong));
        let room = "r".repeat(256);
        assert!(sign(&Order { session_id: &room[1..], ..order() }).is_ok());
        assert_eq!(sign(&Order { session_id: &room, ..order() }), Err(TokenError::SessionIdTooLong));
        assert_eq!(sign(&Order { session_id: "", ..order() }), Err(TokenError::NoSession));
        assert_eq!(sign(&Order { secret: "", ..order() }), Err(TokenError::NoSecret));
        assert_eq!(sign(&Order { api_key: "", ..order() }), Err(TokenError::NoKey));
        assert_eq!(sign(&Order { expires_s: NOW_S, ..order() }), Err(TokenError::Expired));
        let month = Order { expires_s: NOW_S + LIFETIME_MAX_S, ..order() };
        assert!(sign(&month).is_ok());
        let month = Order { expires_s: month.expires_s + 1, ..month };
        assert_eq!(sign(&month), Err(TokenError::LifetimeTooLong));
    }
    let text = with_payload(PLATFORM, |payload| payload["connection_data"] = longer.as_str().into());
    assert_eq!(Token::parse(&text), Err(TokenError::DataTooLong));
    let text = with_payload(PLATFORM, |payload| payload["session_id"] = "r".repeat(256).into());
    assert_eq!(Token::parse(&text), Err(TokenError::SessionIdTooLong));
    let text = with_payload(PLATFORM, |payload| payload["exp"] = (NOW_S + LIFETIME_MAX_S + 1).into());
    assert_eq!(unsigned(&text), Err(TokenError::LifetimeTooLong));
    assert_eq!(livekit(&Access { metadata: &longer, ..access() }), Err(TokenError::DataTooLong));
    let text = with_payload(LIVEKIT, |payload| payload["metadata"] = longer.as_str().into());
    assert!(unsigned(&text).is_ok());
}

#[test]
fn roles_grant_what_opentok_documents() {
    let of = |role: Role| {
        let grants = role.grants();
        (grants.can_publish, grants.can_subscribe, grants.can_publish_data, grants.room_admin)
    };
    assert_eq!(of(Role::Subscriber), (false, true, false, false));
    assert_eq!(of(Role::Publisher), (true, true, true, false));
    assert_eq!(of(Role::PublisherOnly), (true, false, false, false));
    assert_eq!(of(Role::Moderator), (true, true, true, true));
    assert_eq!(Role::from_word(""), Ok(Role::Publisher));
    for role in Role::ALL {
        assert_eq!(Role::from_word(role.word()), Ok(role));
    }
}

#[test]
fn neither_debug_nor_errors_show_a_secret() {
    let shown = format!("{:?} {:?}", Token::parse(CLASSIC).expect("read"), secrets());
    assert!(shown.contains(KEY) && !shown.contains(SECRET) && !shown.contains("12fa194d"), "{shown}");
    let text = TokenError::Malformed("payload").text();
    assert_eq!(text, "The token is damaged: its payload cannot be read.");
}

fn any_role() -> impl Strategy<Value = Role> {
    prop::sample::select(&Role::ALL[..])
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in ".{0,200}") {
        let _ = Token::parse(&text);
    }

    #[test]
    fn arbitrary_content_of_each_kind_never_panics(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        form in "[a-z_]{0,20}(=[ -~]{0,20}&?){0,4}",
        now_s: i64,
    ) {
        use base64::{Engine as _, prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD as URL}};
        let _ = Token::parse(&format!("T1=={}", BASE64_STANDARD.encode(&bytes)));
        let _ = Token::parse(&format!("T1=={}", BASE64_STANDARD.encode(format!("partner_id=1&sig={}:{form}", "0".repeat(40)))));
        let header = URL.encode(r#"{"alg":"HS256"}"#);
        let _ = Token::parse(&format!("{header}.{}.{}", URL.encode(&bytes), URL.encode(&bytes)));
        let _ = check(PLATFORM, None, SESSION, now_s);
    }

    #[test]
    fn extreme_times_never_panic(iat: i64, exp: i64, now_s: i64) {
        let text = with_payload(PLATFORM, |payload| {
            payload["iat"] = iat.into();
            payload["exp"] = exp.into();
        });
        let _ = Token::parse(&text).map(|token| {
            token.verify(now_s, None, &Secrets::new(), Signature::IfSecretKnown)
        });
    }

    #[test]
    fn what_was_signed_comes_back(
        session_id in ".{1,60}",
        connection_data in ".{0,60}",
        identity in ".{1,20}",
        role in any_role(),
        created_s in 0..4_000_000_000i64,
        lifetime_s in 1..LIFETIME_MAX_S,
        nonce: u64,
    ) {
        let expires_s = created_s + lifetime_s;
        let order = Order {
            api_key: KEY, secret: SECRET, session_id: &session_id, role, connection_data: &connection_data,
            created_s, expires_s, nonce,
        };
        for text in [classic(&order), platform(&order)] {
            let claims = check(&text.expect("signed"), Some(KEY), &session_id, created_s).expect("accepted");
            prop_assert_eq!(&claims.data, &connection_data);
            prop_assert_eq!(claims.grants, role.grants());
            prop_assert_eq!((claims.created_s, claims.expires_s), (Some(created_s), expires_s));
        }
        let access = Access {
            room: &session_id, identity: &identity, metadata: &connection_data, grants: role.grants(),
            created_s, expires_s, ..access()
        };
        let text = livekit(&access).expect("signed");
        let claims = check(&text, Some(LIVEKIT_KEY), &session_id, created_s).expect("accepted");
        prop_assert_eq!((claims.identity, claims.data), (identity, connection_data));
        prop_assert_eq!(claims.grants, role.grants());
    }
}
