//! `otc token` as a shell sees it.

use std::process::{Command, Output};

use opentok::signal::token::{Expectation, Secrets, Signature, Token};

fn otc(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_otc"));
    command.args(arguments).env("OTC_API_SECRET", "the tests' secret").output().expect("otc runs")
}

#[test]
fn the_token_alone_is_on_the_standard_output_and_a_server_accepts_it() {
    let output = otc(&["token", "--key", "100042", "--session", "lobby", "--data", "name=Zoë"]);
    assert!(output.status.success() && output.stderr.is_empty());
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let text = text.strip_suffix('\n').expect("one line");
    let token = Token::parse(text).expect("a token");
    let secrets = Secrets::for_any_key("the tests' secret");
    let expected = Expectation {
        api_key: Some("100042"),
        session_id: "lobby",
        secrets: &secrets,
        signature: Signature::Required,
    };
    let now_s = token.claims().created_s.expect("a time");
    assert_eq!(token.check(now_s, &expected).expect("accepted").data, "name=Zoë");
}

#[test]
fn a_wrong_call_ends_with_2_and_one_sentence() {
    let wrong: [&[&str]; 5] = [
        &[],
        &["tokens"],
        &["token"],
        &["token", "--secrets", "x"],
        &["token", "--key", "1", "--session", "a", "--role", "king"],
    ];
    for arguments in wrong {
        let output = otc(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty());
        let text = String::from_utf8(output.stderr).expect("UTF-8");
        assert!(text.starts_with("otc: ") && text.trim_end().lines().count() == 1, "{text}");
    }
}

#[test]
fn help_is_no_mistake() {
    for arguments in [&["--help"][..], &["token", "--help"]] {
        let output = otc(arguments);
        assert!(output.status.success());
        assert!(String::from_utf8_lossy(&output.stdout).starts_with("Usage: otc"));
    }
}
