//! Servers that are none: each is one error of the right code, in time, and nothing else (row B).

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;

use tokio_tungstenite::tungstenite::{self, Bytes, Message};

use crate::child::Program;
use crate::program_c;
use crate::token::Claims;
use crate::within::{JOIN, SEEN};

/// Answers every connection with this function, until the test process ends.
fn serve(answer: fn(TcpStream)) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
    let url = format!("ws://{}", listener.local_addr().expect("a bound socket has an address"));
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || answer(stream));
        }
    });
    url
}

/// Reads the request to its end, and answers with these bytes.
fn reply(mut stream: TcpStream, answer: &str) {
    let mut seen = Vec::new();
    let mut byte = [0; 1];
    while !seen.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).is_ok() {
        seen.extend(byte);
    }
    let _ = stream.write_all(answer.as_bytes());
}

/// Says nothing more until the other side has gone.
fn be_silent(mut stream: TcpStream) {
    let mut nothing = [0; 256];
    while matches!(stream.read(&mut nothing), Ok(length) if length > 0) {}
}

fn attempt(answer: fn(TcpStream)) -> Program {
    let mut alice = program_c::trace_at(&serve(answer), "room", "alice");
    alice.tell(&format!("connect {}", Claims::new("room", "alice").livekit()));
    alice
}

fn is_refused_with(answer: fn(TcpStream), code: u32) {
    let mut alice = attempt(answer);
    alice.expect(&format!("on_error {code}"), JOIN);
    assert!(!alice.has_said("MISSING"), "every error has a sentence for people");
    alice.tell("disconnect");
    alice.expect("disconnect = 1010", SEEN);
    alice.finish();
}

#[test]
fn a_server_that_hangs_up_at_once_is_a_failed_connection() {
    is_refused_with(drop, 1006);
}

#[test]
fn a_server_that_speaks_something_else_is_a_failed_connection() {
    is_refused_with(|stream| reply(stream, "220 mail.example.org ESMTP\r\n"), 1006);
}

#[test]
fn a_server_that_never_answers_times_out() {
    is_refused_with(be_silent, 1021);
}

#[test]
fn a_server_that_answers_half_a_line_times_out() {
    is_refused_with(
        |stream| {
            let rest = stream.try_clone().expect("a socket can be duplicated");
            reply(stream, "HTTP/1.1 101 Switch");
            be_silent(rest);
        },
        1021,
    );
}

#[test]
fn a_server_that_agrees_and_then_says_nothing_times_out() {
    is_refused_with(
        |stream| {
            if let Ok(mut socket) = tungstenite::accept(stream) {
                while socket.read().is_ok() {}
            }
        },
        1021,
    );
}

#[test]
fn a_server_that_agrees_and_then_sends_garbage_is_a_failed_connection() {
    is_refused_with(
        |stream| {
            if let Ok(mut socket) = tungstenite::accept(stream) {
                let _ = socket.send(Message::Binary(Bytes::from_static(&[0xff; 64])));
                while socket.read().is_ok() {}
            }
        },
        1006,
    );
}

#[test]
fn a_country_that_is_blocked_is_told_as_such() {
    is_refused_with(
        |stream| reply(stream, "HTTP/1.1 451 Unavailable For Legal Reasons\r\nContent-Length: 0\r\n\r\n"),
        1026,
    );
}

#[test]
fn a_service_that_is_out_of_order_is_told_as_such() {
    is_refused_with(
        |stream| reply(stream, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"),
        1503,
    );
}

#[test]
fn leaving_a_server_that_never_answers_takes_two_seconds_at_most() {
    let mut alice = attempt(be_silent);
    alice.tell("disconnect");
    alice.expect("on_disconnected", crate::within::PROMISED_END);
    alice.finish();
}
