//! The link in use: frames, ends, farewells, and servers that misbehave.

mod link_support;

use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use link_support::*;
use opentok::driver::dial::{Target, dial};
use opentok::driver::link::{Link, LinkEvent};
use opentok::session::Reason;
use opentok::signal::frame::FRAME_SIZE_MAX;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Message, protocol::CloseFrame};

fn binary(bytes: &[u8]) -> Message {
    Message::Binary(bytes.to_vec().into())
}

#[tokio::test]
async fn frames_go_both_ways_and_pings_are_answered() {
    let (mut link, mut server) = pair().await;
    link.queue(b"one".to_vec());
    link.queue(b"two".to_vec());
    let server = tokio::spawn(async move {
        for message in [Message::Text("not for us".into()), Message::Ping("p".into()), binary(b"hello")] {
            server.send(message).await.expect("open");
        }
        let mut seen = Vec::new();
        while seen.len() < 3 {
            seen.push(server.next().await.expect("more").expect("a message"));
        }
        (seen, server)
    });
    assert_eq!(next(&mut link).await, LinkEvent::Frame(b"hello".to_vec()));
    // The next call drives the answer to the ping out, until the server closes in due form.
    let (mut seen, mut server) = tokio::select! {
        event = link.next() => panic!("{event:?}"),
        done = in_time(server) => done.expect("the server"),
    };
    seen.sort_by_key(Message::is_pong);
    assert_eq!(seen, [binary(b"one"), binary(b"two"), Message::Pong("p".into())]);
    server.close(None).await.expect("open");
    assert_eq!(closed(&mut link).await, None);
    assert_eq!(closed(&mut link).await, None, "the end is told again and again");
}

#[tokio::test]
async fn a_close_with_a_complaint_is_a_fault() {
    let (mut link, mut server) = pair().await;
    let frame = CloseFrame { code: CloseCode::Away, reason: "restart\nsoon".into() };
    server.close(Some(frame)).await.expect("open");
    let fault = closed(&mut link).await.expect("a fault");
    assert_eq!(fault.reason, Reason::Dropped);
    assert!(fault.text.contains("1001: restart soon"), "{}", fault.text);
    // The closing is answered.
    assert!(matches!(in_time(server.next()).await, Some(Ok(Message::Close(_)))));
}

#[tokio::test]
async fn what_the_server_said_before_it_died_is_heard_first() {
    for flushed in [true, false] {
        let (mut link, mut server) = pair().await;
        server.send(binary(b"last words")).await.expect("open");
        drop(server);
        // Writing fails from now on, at the latest with the second frame.
        for _ in 0..10 {
            link.queue(vec![0; 1000]);
            if flushed {
                link.flush_now();
            }
        }
        assert_eq!(next(&mut link).await, LinkEvent::Frame(b"last words".to_vec()));
        assert_eq!(closed(&mut link).await.expect("a fault").reason, Reason::Dropped);
    }
}

#[tokio::test]
async fn pings_that_can_no_longer_be_answered_do_not_drown_the_last_words() {
    let (mut link, mut server) = raw_pair().await;
    // A client that was frozen for a while finds many pings, and behind them why the server has gone.
    let pings = [0x89, 0].repeat(50);
    server.write_all(&[&pings[..], &[0x82, 3, b'b', b'y', b'e']].concat()).await.expect("open");
    drop(server);
    assert_eq!(next(&mut link).await, LinkEvent::Frame(b"bye".to_vec()));
    assert_eq!(closed(&mut link).await.expect("a fault").reason, Reason::Dropped);
}

#[tokio::test]
async fn what_breaks_the_protocol_ends_the_link_with_a_fault() {
    let half = [0x82, 100, 1, 2, 3];
    let huge = [&[0x82, 127][..], &(FRAME_SIZE_MAX as u64 + 1).to_be_bytes()].concat();
    let absurd = [&[0x82, 127][..], &u64::MAX.to_be_bytes()].concat();
    let page = format!("HTTP/1.1 400 Bad Request\r\n\r\n{:100}", "");
    let masked = [0x82, 0x81, 1, 2, 3, 4, 5];
    let cases: [(&[u8], Reason, &str); 7] = [
        (&half, Reason::Dropped, "without a word"),
        (&huge, Reason::ConnectionFailed, "more than 4 MB"),
        (&absurd, Reason::ConnectionFailed, "more than 4 MB"),
        (&masked, Reason::ConnectionFailed, "does not speak the protocol"),
        (page.as_bytes(), Reason::ConnectionFailed, "does not speak the protocol"),
        (&[0x81, 2, 0xff, 0xff], Reason::ConnectionFailed, "does not speak the protocol"),
        (&[0xf2, 0], Reason::ConnectionFailed, "does not speak the protocol"),
    ];
    for (bytes, reason, part) in cases {
        let (mut link, mut server) = raw_pair().await;
        server.write_all(bytes).await.expect("open");
        if reason == Reason::Dropped {
            drop(server);
        }
        let fault = closed(&mut link).await.expect("a fault");
        assert_eq!(fault.reason, reason, "{bytes:?}");
        assert!(fault.text.contains(part), "{}", fault.text);
    }
}

#[tokio::test]
async fn a_message_in_fragments_counts_as_one_and_its_size_too() {
    let (mut link, mut server) = raw_pair().await;
    server.write_all(&[0x02, 1, b'a', 0x89, 0, 0x80, 1, b'b']).await.expect("open");
    assert_eq!(next(&mut link).await, LinkEvent::Frame(b"ab".to_vec()));
    let fragment = vec![0; FRAME_SIZE_MAX / 2 + 1];
    let feeder = tokio::spawn(async move {
        for first in [0x02, 0x80] {
            let head = [&[first, 127][..], &(fragment.len() as u64).to_be_bytes()].concat();
            server.write_all(&head).await.expect("open");
            let _ = server.write_all(&fragment).await;
        }
        server
    });
    assert_eq!(closed(&mut link).await.expect("a fault").reason, Reason::ConnectionFailed);
    in_time(feeder).await.expect("the server");
}

#[tokio::test]
async fn a_server_that_does_not_read_blocks_neither_reading_nor_the_caller() {
    let (mut link, mut server) = pair().await;
    for _ in 0..12 {
        link.queue(vec![7; 1 << 20]);
    }
    server.send(binary(b"still here")).await.expect("open");
    assert_eq!(next(&mut link).await, LinkEvent::Frame(b"still here".to_vec()));
    // Over the bound it counts as dead.
    for _ in 0..16 {
        link.queue(vec![7; 1 << 20]);
    }
    let fault = closed(&mut link).await.expect("a fault");
    assert!(fault.text.contains("no longer reads"), "{}", fault.text);
}

#[tokio::test]
async fn next_may_be_dropped_at_any_time_and_nothing_is_lost_or_doubled() {
    const FRAMES: u32 = 300;
    let (mut link, server) = pair().await;
    let server = tokio::spawn(async move {
        let (mut sink, mut stream) = server.split();
        let send = async {
            for number in 0..FRAMES {
                let bytes = number.to_be_bytes().repeat(1 + number as usize * 7);
                sink.send(binary(&bytes)).await.expect("open");
            }
        };
        let receive = async {
            let mut numbers = Vec::new();
            while numbers.len() < FRAMES as usize {
                let bytes = stream.next().await.expect("more").expect("a message").into_data();
                numbers.push(u32::from_be_bytes(bytes[..4].try_into().expect("four bytes")));
                assert_eq!(bytes.len(), 50_000);
            }
            numbers
        };
        let ((), numbers) = tokio::join!(send, receive);
        (numbers, sink, stream)
    });
    let mut seen = Vec::new();
    let mut sent = 0..FRAMES;
    in_time(async {
        while seen.len() < FRAMES as usize || !server.is_finished() {
            if let Some(number) = sent.next() {
                link.queue(number.to_be_bytes().repeat(12_500));
            }
            // Polled a single time, then dropped.
            tokio::select! {
                biased;
                event = link.next() => match event {
                    LinkEvent::Frame(bytes) => {
                        let number = u32::from_be_bytes(bytes[..4].try_into().expect("four bytes"));
                        assert_eq!(bytes.len(), 4 * (1 + number as usize * 7));
                        seen.push(number);
                    }
                    event => panic!("{event:?}"),
                },
                () = tokio::task::yield_now() => {}
            }
        }
    })
    .await;
    let expected: Vec<u32> = (0..FRAMES).collect();
    assert_eq!(seen, expected);
    assert_eq!(in_time(server).await.expect("the server").0, expected);
}

#[tokio::test]
async fn flush_now_has_handed_everything_out_when_it_returns() {
    let (mut link, mut server) = pair().await;
    link.queue(b"goodbye".to_vec());
    link.flush_now();
    drop(link);
    assert_eq!(in_time(server.next()).await.expect("a message").expect("a message"), binary(b"goodbye"));
}

#[tokio::test]
async fn flush_now_works_in_a_task_that_has_used_up_its_budget() {
    let (mut link, mut server) = pair().await;
    let drained = async {
        while tokio::task::coop::has_budget_remaining() {
            tokio::task::coop::consume_budget().await;
        }
        link.queue(b"goodbye".to_vec());
        link.flush_now();
        drop(link);
    };
    in_time(drained).await;
    assert_eq!(in_time(server.next()).await.expect("a message").expect("a message"), binary(b"goodbye"));
}

#[tokio::test]
async fn a_farewell_sends_what_is_queued_and_waits_for_the_answer() {
    let (mut link, mut server) = pair().await;
    link.queue(b"leave".to_vec());
    let farewell = tokio::spawn(link.farewell(LIMIT));
    assert_eq!(in_time(server.next()).await.expect("a message").expect("a message"), binary(b"leave"));
    assert!(!farewell.is_finished());
    let close = in_time(server.next()).await.expect("a message").expect("a message");
    assert!(matches!(close, Message::Close(Some(frame)) if frame.code == CloseCode::Normal));
    let _ = server.flush().await;
    in_time(farewell).await.expect("the farewell");
    assert!(in_time(server.next()).await.is_none());
}

#[tokio::test]
async fn a_farewell_to_a_server_that_is_blocked_on_its_own_words_arrives() {
    let (mut link, mut server) = pair().await;
    link.queue(b"leave".to_vec());
    let server = tokio::spawn(async move {
        // More than the socket buffers hold: it is only through when the client reads.
        for _ in 0..16 {
            server.send(binary(&vec![1; 1 << 20])).await.expect("open");
        }
        server.next().await
    });
    in_time(link.farewell(LIMIT)).await;
    let heard = in_time(server).await.expect("the server");
    assert_eq!(heard.expect("a message").expect("a message"), binary(b"leave"));
}

#[tokio::test]
async fn a_farewell_to_a_server_that_hangs_ends_at_its_limit() {
    let (client, server) = UnixStream::pair().expect("two sockets");
    let server = tokio::spawn(async { tokio_tungstenite::accept_async(server).await.expect("a WebSocket") });
    let mut link = dial(Target::Stream(client), &request()).await.expect("a link");
    let server = server.await.expect("the server");
    for _ in 0..4 {
        link.queue(vec![0; 1 << 20]);
    }
    const FAREWELL: Duration = Duration::from_millis(100);
    let start = Instant::now();
    in_time(link.farewell(FAREWELL)).await;
    assert!(start.elapsed() >= FAREWELL, "nobody has answered");
    drop(server);
}

/// Exits with success if writing to a closed peer is survived. `link_use` runs itself with this variable.
const CHILD: &str = "OTC_TEST_SIGPIPE";

#[test]
fn writing_to_a_closed_peer_does_not_kill_a_process_with_the_default_sigpipe() {
    for (mode, survives) in [("tcp", true), ("unix", true), ("control", false)] {
        let status = std::process::Command::new(std::env::current_exe().expect("this program"))
            .args(["sigpipe_child", "--exact", "--nocapture", "--test-threads=1"])
            .env(CHILD, mode)
            .stdout(std::process::Stdio::null())
            .status()
            .expect("a child");
        assert_eq!(status.success(), survives, "{mode}: {status}");
    }
}

#[test]
fn sigpipe_child() {
    let Ok(mode) = std::env::var(CHILD) else { return };
    // SAFETY: no handler is involved, and nothing else in this process changes the signal.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut link: Link = match mode.as_str() {
            "tcp" => {
                let (link, server) = pair().await;
                drop(server);
                link
            }
            "unix" => {
                let (client, server) = UnixStream::pair().expect("two sockets");
                let server = tokio::spawn(tokio_tungstenite::accept_async(server));
                let link = in_time(dial(Target::Stream(client), &request())).await.expect("a link");
                drop(in_time(server).await);
                link
            }
            _ => {
                let (ours, theirs) = std::os::unix::net::UnixStream::pair().expect("two sockets");
                drop(theirs);
                // SAFETY: a valid descriptor and one readable byte.
                unsafe { libc::write(std::os::fd::AsRawFd::as_raw_fd(&ours), c"x".as_ptr().cast(), 1) };
                return;
            }
        };
        // The first write may meet a reset that is still on its way; one of the later ones meets it.
        for _ in 0..20 {
            link.queue(vec![0; 100_000]);
            link.flush_now();
            tokio::task::yield_now().await;
        }
        assert!(closed(&mut link).await.is_some());
    });
}

/// Runs in a process of its own, so that no other test disturbs the figure.
#[test]
fn an_idle_link_costs_little_memory() {
    let output = std::process::Command::new(std::env::current_exe().expect("this program"))
        .args(["memory_child", "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, "memory")
        .output()
        .expect("a child");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    for line in text.lines().filter(|line| line.contains("bytes per link")) {
        println!("{line}");
    }
}

#[test]
fn memory_child() {
    if std::env::var(CHILD).as_deref() != Ok("memory") {
        return;
    }
    const LINKS: usize = 200;
    /// A tenth of what a whole session may cost.
    const LINK_MEMORY_MAX: usize = 16 << 10;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut held = Vec::new();
        for (kind, size) in [("idle", 0), ("after a message of 300 kB", 300_000)] {
            // The first ones bring what is shared.
            for _ in 0..5 {
                held.push(one_link(size).await);
            }
            let before = resident();
            for _ in 0..LINKS {
                held.push(one_link(size).await);
            }
            let each = resident().saturating_sub(before) / LINKS;
            println!("{kind}: {each} bytes per link");
            assert!(each < LINK_MEMORY_MAX, "{kind}: {each}");
        }
    });
}

/// A link that has exchanged a message, and the bare server end, which costs a descriptor and little else.
async fn one_link(size: usize) -> (Link, UnixStream) {
    let (client, server) = UnixStream::pair().expect("two sockets");
    let server = tokio::spawn(tokio_tungstenite::accept_async(server));
    let mut link = in_time(dial(Target::Stream(client), &request())).await.expect("a link");
    let mut server = in_time(server).await.expect("the server").expect("a WebSocket").into_inner();
    link.queue(vec![1; 500]);
    link.flush_now();
    server.read_exact(&mut [0; 508]).await.expect("the frame");
    for size in [size, 100] {
        let head = [&[0x82, 127][..], &(size as u64).to_be_bytes()].concat();
        let feed = async {
            server.write_all(&head).await.expect("open");
            server.write_all(&vec![0; size]).await.expect("open");
        };
        let (event, ()) = tokio::join!(next(&mut link), feed);
        assert_eq!(event, LinkEvent::Frame(vec![0; size]));
    }
    // As a session does: it waits for the next one.
    tokio::select! {
        biased;
        event = link.next() => panic!("{event:?}"),
        () = tokio::task::yield_now() => {}
    }
    (link, server)
}
