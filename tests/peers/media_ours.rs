//! Films between the library and real clients, in every codec and both ways. `media.rs` shows what these clients can do
//! among themselves; less is asked of the library nowhere.

use crate::child::Program;
use crate::media::{Sight, hears, in_every_codec, mime, sees, sees_all};
use crate::peers;
use crate::program_c;
use crate::server::{Kind, Server};
use crate::token::Claims;

/// `media.c` in a room, connected.
pub fn film(server: &Server, room: &str, name: &str) -> Program {
    let mut program = program_c::film(server, room, name);
    program.tell(&format!("connect {}", Claims::new(room, name).livekit()));
    hears(&program, "connected");
    program
}

const SMALL: &[&str] = &["--size", "640x360"];
const SIZE: (u64, u64) = (640, 360);

macro_rules! everywhere {
    ($($scenario:ident),* $(,)?) => {
        $(mod $scenario {
            use super::*;
            #[test] #[ignore = "needs the real peers: make test"] fn on_the_hub() { super::$scenario(Kind::Hub); }
            #[test] #[ignore = "needs the real peers: make test"] fn on_otc_serve() { super::$scenario(Kind::Serve); }
            #[test] #[ignore = "needs the real peers: make test"] fn on_livekit_server() { super::$scenario(Kind::LiveKit); }
        })*
    };
}

pub(crate) use everywhere;

everywhere![
    two_programs_see_each_other,
    a_program_hears_of_a_mute_and_of_the_end,
    a_program_publishes_again_and_again,
    a_stream_that_is_left_is_taken_again,
    a_program_hears_of_pictures_that_are_turned,
];

fn two_programs_see_each_other(place: Kind) {
    let server = Server::start(place);
    let mut alice = film(&server, "room", "alice");
    let mut bob = film(&server, "room", "bob");
    alice.tell("publish 640 360 audio");
    hears(&alice, "published");
    // Who subscribes late, and who is there already.
    bob.tell("publish 640 360 audio");
    hears(&bob, "published");
    sees_all(&bob, "alice", SIZE);
    sees_all(&alice, "bob", SIZE);
    let carol = film(&server, "room", "carol");
    sees_all(&carol, "alice", SIZE);
    sees_all(&carol, "bob", SIZE);
    carol.leave();
    alice.leave();
    hears(&bob, "stream_dropped alice");
    bob.leave();
}

fn a_program_hears_of_a_mute_and_of_the_end(place: Kind) {
    let server = Server::start(place);
    let mut alice = film(&server, "room", "alice");
    let bob = film(&server, "room", "bob");
    alice.tell("publish 640 360 audio");
    sees_all(&bob, "alice", SIZE);
    alice.tell("mute video");
    hears(&bob, "video_disabled 1");
    sees(&bob, "alice", "no picture", |sight| sight.marks == 0);
    alice.tell("unmute video");
    hears(&bob, "video_enabled 1");
    sees(&bob, "alice", "the film again", Sight::is_film);
    alice.tell("mute audio");
    hears(&bob, "audio_disabled");
    sees(&bob, "alice", "silence", |sight| sight.level < 0.01);
    alice.tell("unmute audio");
    hears(&bob, "audio_enabled");
    sees(&bob, "alice", "the tone again", Sight::is_tone);
    alice.tell("unpublish");
    hears(&bob, "stream_dropped alice");
    hears(&alice, "stream_destroyed");
    alice.leave();
    bob.leave();
}

fn a_program_publishes_again_and_again(place: Kind) {
    const TIMES: usize = 5;
    let server = Server::start(place);
    let mut alice = film(&server, "room", "alice");
    let bob = film(&server, "room", "bob");
    for _ in 0..TIMES {
        alice.tell("publish 320 240 audio");
        hears(&alice, "published");
        hears(&bob, "stream_received alice");
        sees(&bob, "alice", "a film", Sight::is_film);
        alice.tell("unpublish");
        hears(&alice, "stream_destroyed");
        hears(&bob, "stream_dropped alice");
    }
    alice.leave();
    bob.leave();
}

fn a_stream_that_is_left_is_taken_again(place: Kind) {
    const TIMES: usize = 4;
    let server = Server::start(place);
    let mut alice = film(&server, "room", "alice");
    let mut bob = film(&server, "room", "bob");
    alice.tell("publish 320 240 audio");
    hears(&bob, "stream_received alice");
    sees(&bob, "alice", "a film", Sight::is_film);
    // Before a server has offered the end, while it does, and after that.
    for pause_ms in [0, 20, 80, 150, 400] {
        bob.tell(&format!("watch_again alice {TIMES} {pause_ms}"));
        (0..TIMES).for_each(|_| hears(&bob, "stream_received alice"));
        sees(&bob, "alice", &format!("a film after {pause_ms} ms"), Sight::is_film);
        sees(&bob, "alice", &format!("the tone after {pause_ms} ms"), Sight::is_tone);
    }
    alice.leave();
    bob.leave();
}

fn a_program_hears_of_pictures_that_are_turned(place: Kind) {
    let server = Server::start(place);
    let mut alice = film(&server, "room", "alice");
    let bob = film(&server, "room", "bob");
    alice.tell("publish 640 360 audio");
    sees_all(&bob, "alice", SIZE);
    alice.tell("turn 90");
    hears(&bob, "size alice 360 640");
    sees(&bob, "alice", "an upright picture", |sight| sight.size == (360, 640));
    alice.tell("turn 180");
    hears(&bob, "size alice 640 360");
    alice.leave();
    bob.leave();
}

/// One of our programs hears that a film was switched off and on, and sees it again.
#[track_caller]
fn follows_a_mute(watcher: &Program, from: &str, publisher: &mut Program) {
    publisher.tell("mute video");
    hears(watcher, "video_disabled 1");
    publisher.tell("unmute video");
    hears(watcher, "video_enabled 1");
    sees_all(watcher, from, SIZE);
}

in_every_codec![
    a_foreign_client_is_seen_on_otc_serve,
    a_foreign_client_is_seen_on_livekit_server,
    a_browser_is_seen_on_otc_serve,
    a_browser_is_seen_on_livekit_server,
];

fn a_foreign_client_is_seen_on_otc_serve(codec: &str) {
    a_foreign_client_is_seen(Kind::Serve, codec);
}

fn a_foreign_client_is_seen_on_livekit_server(codec: &str) {
    a_foreign_client_is_seen(Kind::LiveKit, codec);
}

fn a_foreign_client_is_seen(place: Kind, codec: &str) {
    let server = Server::start(place);
    let mut publisher = peers::publish(&server, "room", "publisher", &[SMALL, &["--codec", codec]].concat());
    hears(&publisher, "published");
    let alice = film(&server, "room", "alice");
    sees_all(&alice, "publisher", SIZE);
    follows_a_mute(&alice, "publisher", &mut publisher);
    publisher.leave();
    hears(&alice, "stream_dropped publisher");
    alice.leave();
}

fn a_browser_is_seen_on_otc_serve(codec: &str) {
    a_browser_is_seen(Kind::Serve, codec);
}

fn a_browser_is_seen_on_livekit_server(codec: &str) {
    a_browser_is_seen(Kind::LiveKit, codec);
}

/// And it sees the library, whatever it sends itself.
fn a_browser_is_seen(place: Kind, codec: &str) {
    let _turn = peers::browser_turn();
    let server = Server::start(place);
    let mut alice = film(&server, "room", "alice");
    alice.tell("publish 640 360 audio");
    hears(&alice, "published");
    let browser = peers::browser(&server, "room", "browser", &[SMALL, &["--publish", codec]].concat());
    hears(&browser, "published");
    sees_all(&alice, "browser", SIZE);
    assert!(sees_all(&browser, "alice", SIZE).codec.eq_ignore_ascii_case(&mime("vp8")));
    alice.tell("mute video");
    hears(&browser, "muted video alice");
    alice.tell("unmute video");
    hears(&browser, "unmuted video alice");
    browser.leave();
    hears(&alice, "stream_dropped browser");
    alice.leave();
}

macro_rules! on_both_servers {
    ($($scenario:ident),* $(,)?) => {
        $(mod $scenario {
            use super::*;
            #[test] #[ignore = "needs the real peers: make test"] fn on_otc_serve() { super::$scenario(Kind::Serve); }
            #[test] #[ignore = "needs the real peers: make test"] fn on_livekit_server() { super::$scenario(Kind::LiveKit); }
        })*
    };
}

pub(crate) use on_both_servers;

on_both_servers![
    a_foreign_client_sees_the_library,
    a_foreign_client_chooses_a_layer_of_the_librarys,
    a_camera_that_tells_no_size_has_the_layers_of_its_pictures,
    the_library_chooses_a_layer_of_a_foreign_clients,
    a_preferred_codec_is_sent,
    a_program_sees_itself,
    a_server_that_comes_back_has_the_film_again,
];

/// Killed, and there again: on our own server under the same stream, on LiveKit's under another one.
fn a_server_that_comes_back_has_the_film_again(place: Kind) {
    let mut server = Server::start(place);
    let mut alice = film(&server, "room", "alice");
    let bob = film(&server, "room", "bob");
    alice.tell("publish 640 360 audio");
    sees_all(&bob, "alice", SIZE);
    for _ in 0..2 {
        server.kill();
        server.restart();
        if place == Kind::LiveKit {
            hears(&bob, "stream_dropped alice");
            hears(&bob, "stream_received alice");
        }
        sees_all(&bob, "alice", SIZE);
        follows_a_mute(&bob, "alice", &mut alice);
    }
    alice.leave();
    bob.leave();
}

fn a_foreign_client_sees_the_library(place: Kind) {
    let server = Server::start(place);
    let mut alice = film(&server, "room", "alice");
    let early = peers::subscribe(&server, "room", "early", &[]);
    hears(&early, "connected");
    alice.tell("publish 640 360 audio");
    hears(&alice, "published");
    assert!(sees_all(&early, "alice", SIZE).codec.eq_ignore_ascii_case(&mime("vp8")));
    let late = peers::subscribe(&server, "room", "late", &[]);
    sees_all(&late, "alice", SIZE);
    alice.tell("mute video");
    hears(&early, "muted video alice");
    alice.tell("unmute video");
    hears(&early, "unmuted video alice");
    sees_all(&early, "alice", SIZE);
    alice.tell("unpublish");
    hears(&early, "unpublished video alice");
    hears(&alice, "stream_destroyed");
    early.leave();
    late.leave();
    alice.leave();
}

fn a_foreign_client_chooses_a_layer_of_the_librarys(place: Kind) {
    layers_are_chosen(place, "publish 1280 720");
}

fn a_camera_that_tells_no_size_has_the_layers_of_its_pictures(place: Kind) {
    layers_are_chosen(place, "publish_blind 1280 720");
}

fn layers_are_chosen(place: Kind, publish: &str) {
    let server = Server::start(place);
    let mut alice = film(&server, "room", "alice");
    alice.tell(publish);
    hears(&alice, "published");
    let small = peers::subscribe(&server, "room", "small", &["--quality", "low"]);
    sees(&small, "alice", "the smallest layer", |sight| sight.is_film() && sight.size == (320, 180));
    let large = peers::subscribe(&server, "room", "large", &["--quality", "high"]);
    sees(&large, "alice", "the largest layer", |sight| sight.is_film() && sight.size == (1280, 720));
    sees(&small, "alice", "still the smallest", |sight| sight.is_film() && sight.size == (320, 180));
    small.leave();
    large.leave();
    alice.leave();
}

fn the_library_chooses_a_layer_of_a_foreign_clients(place: Kind) {
    let server = Server::start(place);
    let publisher = peers::publish(&server, "room", "publisher", &["--simulcast"]);
    hears(&publisher, "published");
    let mut alice = program_c::film(&server, "room", "alice");
    alice.tell("prefer 320 180");
    alice.tell(&format!("connect {}", Claims::new("room", "alice").livekit()));
    sees(&alice, "publisher", "the smallest layer", |sight| sight.is_film() && sight.size == (320, 180));
    alice.tell("prefer 1280 720");
    sees(&alice, "publisher", "the largest layer", |sight| sight.is_film() && sight.size == (1280, 720));
    publisher.leave();
    alice.leave();
}

fn a_preferred_codec_is_sent(place: Kind) {
    let server = Server::start(place);
    for codec in ["vp9", "h264", "vp8"] {
        let mut alice = film(&server, codec, "alice");
        alice.tell(&format!("prefer_codec {codec}"));
        alice.tell("publish 1280 720 audio");
        hears(&alice, "published");
        let small = peers::subscribe(&server, codec, "small", &["--quality", "low"]);
        let smallest = if codec == "vp9" { (1280, 720) } else { (320, 180) };
        let is_small = |sight: &Sight| sight.is_film() && sight.size == smallest;
        let sight = sees(&small, "alice", "the smallest layer", is_small);
        assert!(sight.codec.eq_ignore_ascii_case(&mime(codec)), "{} is not {codec}", sight.codec);
        small.leave();
        let bob = film(&server, codec, "bob");
        sees(&bob, "alice", "the largest layer", |sight| sight.is_film() && sight.size == (1280, 720));
        bob.leave();
        alice.leave();
    }
}

fn a_program_sees_itself(place: Kind) {
    let server = Server::start(place);
    let mut alice = film(&server, "room", "alice");
    alice.tell("publish 640 360 audio");
    hears(&alice, "published");
    alice.tell("watch_self");
    sees_all(&alice, "alice", SIZE);
    alice.tell("mute audio");
    hears(&alice, "audio_disabled");
    alice.tell("unmute audio");
    hears(&alice, "audio_enabled");
    alice.leave();
}
