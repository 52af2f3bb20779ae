//! Tokens of the three kinds, good ones and all the others, on the hub and on a server.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use opentok::signal::token::Role;
use serde_json::json;

use crate::program::{Told, Way, has_words};
use crate::server::Server;
use crate::token::{KEY, KINDS, SECRET, SESSION, Wish, good, now_s};

/// The two places, both of which check signatures.
fn on_both(check: impl Fn(&dyn Fn(&str) -> Way)) {
    let server = Server::start();
    check(&|mode| Way::without_hub(mode).env("OTC_URL", server.url()));
    check(&|mode| Way::new(mode).env("OTC_API_SECRET", SECRET));
}

#[test]
fn a_good_token_of_each_kind_connects_with_its_role_and_data() {
    const ROLES: [(Role, &str); 4] = [
        (Role::Subscriber, "publish 0, subscribe 1, moderate 0, signal 1550"),
        (Role::Publisher, "publish 1, subscribe 1, moderate 0, signal 0"),
        (Role::PublisherOnly, "publish 1, subscribe 0, moderate 0, signal 1550"),
        (Role::Moderator, "publish 1, subscribe 1, moderate 1, signal 0"),
    ];
    on_both(|way| {
        let mut each = way("each");
        let mut expected = Vec::new();
        for kind in KINDS {
            for (role, word) in ROLES {
                each = each.arg(Wish { role, ..Wish::new("its data & more=ü") }.make(kind));
                expected.push(format!("connected as its data & more=ü, {word}"));
            }
        }
        assert_eq!(each.run().lines, expected);
    });
}

/// Signed with an application's private key, whose public half nobody here has.
#[test]
fn a_token_that_only_its_application_could_check_is_good_enough_on_the_hub() {
    let part = |value: serde_json::Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let payload = json!({
        "application_id": KEY,
        "scope": "session.connect",
        "session_id": SESSION,
        "role": "publisher",
        "connection_data": "one",
        "exp": now_s() + 3600,
    });
    let header = json!({"alg": "RS256", "typ": "JWT"});
    let token = format!("{}.{}.{}", part(header), part(payload), BASE64_URL_SAFE_NO_PAD.encode([7; 256]));
    let server = Server::start();
    Way::new("each").arg(&token).run().is_connected();
    Way::without_hub("each").env("OTC_URL", server.url()).arg(&token).run().is_error(1004, &["private key"]);
}

#[test]
fn a_bad_token_is_one_error_with_a_sentence() {
    let good = Wish::new("one");
    let bad: [(Wish, &str); 4] = [
        (Wish { age_s: 2 * 3600, ..good }, "expired"),
        (Wish { key: "another", ..good }, "another API key"),
        (Wish { session: "another", ..good }, "another session"),
        (Wish { secret: "another secret that is just as long as it", ..good }, "signature"),
    ];
    on_both(|way| {
        let mut each = way("each");
        let mut expected = Vec::new();
        for kind in KINDS {
            for (wish, word) in &bad {
                each = each.arg(wish.make(kind));
                expected.push(format!("{kind:?} {word}"));
            }
        }
        check_each(&each.run(), &expected);
    });
}

#[test]
fn what_is_no_token_is_one_error_with_a_sentence() {
    let tokens = [
        ("", "empty"),
        ("nonsense", "no known kind"),
        ("T1==", "damaged"),
        ("T1==!!!!", "damaged"),
        ("a.b.c", "damaged"),
        ("with\nbreak", "malformed"),
    ];
    on_both(|way| {
        let each = tokens.iter().fold(way("each"), |way, (token, _)| way.arg(token));
        let expected: Vec<String> = tokens.iter().map(|(_, word)| format!("_ {word}")).collect();
        check_each(&each.run(), &expected);
    });
}

/// `expected`: a word for people, then what has to be in the sentence.
#[track_caller]
fn check_each(told: &Told, expected: &[String]) {
    assert_eq!(told.lines.len(), expected.len(), "{:?}", told.lines);
    for (line, expected) in told.lines.iter().zip(expected) {
        let (_, word) = expected.split_once(' ').expect("two parts");
        has_words(line, 1004, &[word]);
        assert!(!line.contains("cGFydG5lcl9pZD") && !line.contains("eyJ"), "a token in a sentence: {line}");
    }
}

#[test]
fn a_session_id_that_is_too_long_is_told_as_such() {
    let id = "x".repeat(256);
    on_both(|way| {
        way("each").env("TEST_SESSION", &id).arg(good("one")).run().is_error(1005, &["256", "255"])
    });
}

#[test]
fn more_connections_than_allowed_are_refused() {
    let server = Server::with(Some(1), std::net::Ipv4Addr::LOCALHOST.into());
    let told = Way::without_hub("meet").env("OTC_URL", server.url()).arg(good("one")).arg(good("two")).run();
    told.is_error(1027, &["as many connections as it may have"]);
}

/// A log is shown to others and kept.
#[test]
fn no_token_and_no_secret_is_in_the_log() {
    on_both(|way| {
        for kind in KINDS {
            for mode in ["each", "moderate"] {
                let (one, two) = (Wish::new("one").make(kind), Wish::new("two").make(kind));
                let forged = Wish { secret: "another", ..Wish::new("one") }.make(kind);
                let told = way(mode).env("OTC_LOG", "debug").arg(&one).arg(&two).arg(&forged).run();
                assert!(!told.log.is_empty());
                for secret in [&one[10..], &two[10..], &forged[10..], SECRET] {
                    assert!(!told.log.contains(secret), "{}", told.log);
                }
            }
        }
    });
}

#[test]
fn connection_data_reaches_the_others() {
    let long = "ü".repeat(1000);
    on_both(|way| {
        for kind in KINDS {
            let told =
                way("meet").arg(Wish::new(&long).make(kind)).arg(Wish::new("{\"two\": 2}").make(kind)).run();
            assert_eq!(told.lines, ["one sees {\"two\": 2}".to_owned(), format!("two sees {long}")]);
        }
    });
}
