//! Calls to a server's own interface: what is sent, and what becomes of every answer.

mod link_support;

use link_support::*;
use opentok::driver::dial::Request;
use opentok::driver::service::call;
use opentok::session::{Fault, Reason};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Answers one call with these bytes, and gives back its head and its body.
async fn call_answered_with(answer: &'static str) -> (Result<(), Fault>, String, Vec<u8>) {
    let (address, server) = serve(move |mut stream| async move {
        let head = read_head(&mut stream).await;
        let mut body = vec![0; 5];
        stream.read_exact(&mut body).await.expect("the body");
        stream.write_all(answer.as_bytes()).await.expect("an open connection");
        (head, body)
    })
    .await;
    let request = Request { path_and_query: "/a/twirp/Method".into(), token: "T0K3N".into() };
    let outcome = in_time(call(target(&format!("ws://{address}")), &request, b"\x0a\x03abc")).await;
    let (head, body) = in_time(server).await.expect("the server");
    (outcome, head, body)
}

#[tokio::test]
async fn a_call_is_one_post_with_the_token_in_its_header() {
    let (outcome, head, body) = call_answered_with("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(outcome, Ok(()));
    assert!(head.starts_with("POST /a/twirp/Method HTTP/1.1\r\n"), "{head}");
    for line in ["Authorization: Bearer T0K3N", "Content-Type: application/protobuf", "Content-Length: 5"] {
        assert!(head.contains(&format!("\r\n{line}\r\n")), "{head}");
    }
    assert_eq!(body, b"\x0a\x03abc");
}

#[tokio::test]
async fn a_refusal_is_told_in_the_servers_words_and_without_the_token() {
    let answer = "HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nContent-Length: 40\r\n\r\n\
                  {\"msg\": \"T0K3N does not grant roomAdmin\"}";
    let fault = call_answered_with(answer).await.0.expect_err("a refusal");
    assert_eq!(fault.reason, Reason::Authorization);
    assert!(fault.text.contains("403") && fault.text.contains("does not grant roomAdmin"), "{fault:?}");
    assert!(!fault.text.contains("T0K3N"), "{fault:?}");
}

#[tokio::test]
async fn what_is_no_answer_is_a_failure() {
    let answers = [
        "",
        "HTTP/1.1 200",
        "220 mail.example.org\r\n\r\n",
        "HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n",
    ];
    for answer in answers {
        let fault = call_answered_with(answer).await.0.expect_err(answer);
        assert_eq!(fault.reason, Reason::ConnectionFailed, "{answer}: {fault:?}");
    }
}

#[tokio::test]
async fn nobody_there_is_a_failure() {
    let address = std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
    let url = format!("ws://{}", address.expect("a port that is free again"));
    let fault = in_time(call(target(&url), &request(), b"")).await.expect_err("nobody");
    assert_eq!(fault.reason, Reason::Refused);
}
