//! Films that are encrypted from end to end, between the library and real clients, in every codec that can be encrypted.

use crate::child::Program;
use crate::media::{START, Sight, hears, mime, sees};
use crate::media_ours::{everywhere, on_both_servers};
use crate::peers;
use crate::program_c;
use crate::server::{Kind, Server};
use crate::token::Claims;

const SECRET: &str = "the-secret-of-the-room";
const OTHER: &str = "another-secret";

const SMALL: &[&str] = &["--size", "640x360"];
const SIZE: (u64, u64) = (640, 360);

/// LiveKit's clients refuse to encrypt AV1.
const CODECS: [&str; 3] = ["vp8", "vp9", "h264"];

/// `media.c` in a room with a secret, connected.
fn film(server: &Server, room: &str, name: &str, secret: Option<&str>) -> Program {
    let mut program = program_c::film(server, room, name);
    if let Some(secret) = secret {
        program.tell(&format!("secret {secret}"));
    }
    program.tell(&format!("connect {}", Claims::new(room, name).livekit()));
    hears(&program, "connected");
    program
}

/// The film in its size, its tone, and that it goes on. Whether both are together is asked where nothing is encrypted.
#[track_caller]
fn sees_film(watcher: &Program, from: &str) -> Sight {
    sees_film_of(watcher, from, SIZE)
}

#[track_caller]
fn sees_film_of(watcher: &Program, from: &str, size: (u64, u64)) -> Sight {
    let first = sees(watcher, from, "a film", |sight| sight.is_film() && sight.size == size);
    sees(watcher, from, "the tone", Sight::is_tone);
    sees(watcher, from, "a film that goes on", |sight| sight.is_film() && sight.frame > first.frame)
}

/// What it says of an error ends with the number.
#[track_caller]
fn hears_error(program: &Program, of: &str, number: u32) {
    let is_it = |line: &str| line.starts_with(of) && line.ends_with(&format!(" {number}"));
    program.find(&format!("{of} {number}"), START, |line| is_it(line).then_some(()));
}

everywhere![programs_with_the_same_secret_see_each_other];

fn programs_with_the_same_secret_see_each_other(place: Kind) {
    let server = Server::start(place);
    let mut alice = film(&server, "room", "alice", Some(SECRET));
    let mut bob = film(&server, "room", "bob", Some(SECRET));
    let mut eve = film(&server, "room", "eve", Some(OTHER));
    let nobody = film(&server, "room", "nobody", None);
    // In layers, so that the server chooses among sealed frames.
    alice.tell("publish 640 360 audio");
    hears(&alice, "published");
    sees_film(&bob, "alice");
    hears_error(&eve, "subscriber_error", 6003);
    hears_error(&nobody, "error", 6000);
    sees(&eve, "alice", "nothing", |sight| sight.marks == 0 && sight.level < 0.01);
    bob.tell("publish 640 360 audio");
    sees_film(&alice, "bob");
    alice.tell("mute video");
    hears(&bob, "video_disabled 1");
    alice.tell("unmute video");
    hears(&bob, "video_enabled 1");
    sees_film(&bob, "alice");
    // Everybody changes to the third secret.
    for program in [&mut alice, &mut bob, &mut eve] {
        program.tell("secret a-third-secret");
    }
    sees_film(&eve, "alice");
    sees_film(&bob, "alice");
    for program in [alice, bob, eve, nobody] {
        program.leave();
    }
}

on_both_servers![
    a_sealed_film_of_a_foreign_client_is_seen,
    a_foreign_client_sees_the_sealed_film_of_the_library,
    a_sealed_film_of_layers_goes_both_ways,
    a_browser_sees_a_sealed_film_and_is_seen,
];

fn a_sealed_film_of_a_foreign_client_is_seen(place: Kind) {
    let server = Server::start(place);
    for codec in CODECS {
        let options = [SMALL, &["--codec", codec, "--secret", SECRET]].concat();
        let mut publisher = peers::publish(&server, codec, "publisher", &options);
        hears(&publisher, "published");
        let alice = film(&server, codec, "alice", Some(SECRET));
        sees_film(&alice, "publisher");
        publisher.tell("mute video");
        hears(&alice, "video_disabled 1");
        publisher.tell("unmute video");
        hears(&alice, "video_enabled 1");
        sees_film(&alice, "publisher");
        assert!(!alice.has_said("subscriber_error"), "{codec}: nothing was wrong");
        let eve = film(&server, codec, "eve", Some(OTHER));
        hears_error(&eve, "subscriber_error", 6003);
        sees(&eve, "publisher", "nothing", |sight| sight.marks == 0 && sight.level < 0.01);
        publisher.leave();
        hears(&alice, "stream_dropped publisher");
        eve.leave();
        alice.leave();
    }
}

fn a_foreign_client_sees_the_sealed_film_of_the_library(place: Kind) {
    let server = Server::start(place);
    for codec in CODECS {
        let mut alice = film(&server, codec, "alice", Some(SECRET));
        alice.tell(&format!("prefer_codec {codec}"));
        alice.tell("publish 640 360 audio");
        hears(&alice, "published");
        let watcher = peers::subscribe(&server, codec, "watcher", &["--secret", SECRET]);
        let sight = sees_film(&watcher, "alice");
        assert!(sight.codec.eq_ignore_ascii_case(&mime(codec)), "{} is not {codec}", sight.codec);
        let stranger = peers::subscribe(&server, codec, "stranger", &["--secret", OTHER]);
        hears(&stranger, "connected");
        alice.tell("mute video");
        hears(&watcher, "muted video alice");
        alice.tell("unmute video");
        hears(&watcher, "unmuted video alice");
        sees_film(&watcher, "alice");
        sees(&stranger, "alice", "nothing", |sight| sight.marks == 0);
        stranger.leave();
        watcher.leave();
        alice.leave();
    }
}

fn a_sealed_film_of_layers_goes_both_ways(place: Kind) {
    let server = Server::start(place);
    let publisher = peers::publish(&server, "room", "publisher", &["--simulcast", "--secret", SECRET]);
    hears(&publisher, "published");
    let mut alice = film(&server, "room", "alice", Some(SECRET));
    alice.tell("prefer 320 180");
    sees(&alice, "publisher", "the smallest layer", |sight| sight.is_film() && sight.size == (320, 180));
    alice.tell("prefer 1280 720");
    sees(&alice, "publisher", "the largest layer", |sight| sight.is_film() && sight.size == (1280, 720));
    publisher.leave();
    alice.tell("publish 1280 720");
    hears(&alice, "published");
    for (quality, size) in [("low", (320, 180)), ("high", (1280, 720))] {
        let options = ["--quality", quality, "--secret", SECRET];
        let watcher = peers::subscribe(&server, "room", quality, &options);
        sees(&watcher, "alice", quality, |sight: &Sight| sight.is_film() && sight.size == size);
        watcher.leave();
    }
    alice.leave();
}

/// Small and slow, since a browser seals each frame in a script: one that cannot keep up with that sends smaller pictures still.
fn a_browser_sees_a_sealed_film_and_is_seen(place: Kind) {
    let _turn = peers::browser_turn();
    let server = Server::start(place);
    for codec in CODECS {
        let mut alice = film(&server, codec, "alice", Some(SECRET));
        alice.tell(&format!("prefer_codec {codec}"));
        alice.tell("publish 320 180 audio");
        hears(&alice, "published");
        let options = ["--size", "320x180", "--fps", "15", "--publish", codec, "--secret", SECRET];
        let browser = peers::browser(&server, codec, "browser", &options);
        hears(&browser, "published");
        sees_film_of(&alice, "browser", (320, 180));
        assert!(sees_film_of(&browser, "alice", (320, 180)).codec.eq_ignore_ascii_case(&mime(codec)));
        browser.leave();
        hears(&alice, "stream_dropped browser");
        alice.leave();
    }
}
