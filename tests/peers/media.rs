//! What programs see and hear of each other: pictures and sound with a mark in them (`examples-c/mark.h`).
//!
//! First the tools, tried without our library: LiveKit's Python client and its JavaScript client in a browser, both ways
//! and in every codec, on the real server. What they can do there is what is asked of the library in `media_ours.rs`.

use std::time::Duration;

use serde_json::Value;

use crate::child::Program;
use crate::peers;
use crate::server::{Kind, Server};

/// A browser starts, a codec finds its bit rate, and the machine is busy with other tests.
pub const SIGHT: Duration = Duration::from_secs(60);

/// A browser on a busy machine needs this long to begin.
pub const START: Duration = Duration::from_secs(60);

/// Pictures with a readable mark in one second, out of 30. A machine with two cores does not always show all.
const MARKS_MIN: u64 = 5;

/// In a busy process a picture or a sample waits for its turn; beyond this a person sees it.
const LIP_SYNC_MAX_MS: f64 = 200.0;

/// One line of a watcher.
#[derive(Debug)]
pub struct Sight {
    pub codec: String,
    pub frame: u64,
    pub size: (u64, u64),
    pub corners: String,
    pub marks: u64,
    pub tone_hz: u64,
    pub level: f64,
    pub flash_after_beep_ms: Option<f64>,
}

impl Sight {
    fn parse(line: &str, from: &str) -> Option<Self> {
        let told: Value = serde_json::from_str(line).ok()?;
        if told["from"] != from {
            return None;
        }
        Some(Self {
            codec: told["codec"].as_str()?.to_owned(),
            frame: told["frame"].as_u64().unwrap_or_default(),
            size: (told["width"].as_u64()?, told["height"].as_u64()?),
            corners: told["corners"].as_str()?.to_owned(),
            marks: told["marks"].as_u64()?,
            tone_hz: told["tone_hz"].as_u64()?,
            level: told["level"].as_f64()?,
            flash_after_beep_ms: told["flash_after_beep_ms"].as_f64(),
        })
    }

    /// Upright, in the right colours, and enough of them to be a film.
    pub fn is_film(&self) -> bool {
        self.corners == "RGBY" && self.marks >= MARKS_MIN
    }

    /// The tone that was sent, about as loud.
    pub fn is_tone(&self) -> bool {
        self.tone_hz.abs_diff(440) <= 1 && (0.07..0.13).contains(&self.level)
    }

    pub fn is_together(&self) -> bool {
        self.flash_after_beep_ms.is_some_and(|apart_ms| apart_ms.abs() < LIP_SYNC_MAX_MS)
    }
}

/// Waits until the watcher sees so much of this publisher.
#[track_caller]
pub fn sees(watcher: &Program, from: &str, what: &str, is_so: impl Fn(&Sight) -> bool) -> Sight {
    let what = format!("{what} from {from}");
    watcher.find(&what, SIGHT, |line| Sight::parse(line, from).filter(|sight| is_so(sight)))
}

/// A film in this size, its sound, and both together: each in some second and not all in one, for the machine is busy. And it
/// goes on.
#[track_caller]
pub fn sees_all(watcher: &Program, from: &str, size: (u64, u64)) -> Sight {
    let is_film = |sight: &Sight| sight.is_film() && sight.size == size;
    let first = sees(watcher, from, &format!("a film in {size:?}"), is_film);
    sees(watcher, from, "the tone", Sight::is_tone);
    sees(watcher, from, "a flash with its beep", Sight::is_together);
    sees(watcher, from, "a film that goes on", |sight| sight.is_film() && sight.frame > first.frame)
}

/// Reads on to an event, past the lines that tell what is seen.
#[track_caller]
pub fn hears(program: &Program, event: &str) {
    program.find(event, START, |line| (line == event).then_some(()));
}

const SMALL: &[&str] = &["--size", "640x360"];

macro_rules! in_every_codec {
    ($($scenario:ident),* $(,)?) => {
        $(mod $scenario {
            #[test] #[ignore = "needs the real peers: make test"] fn vp8() { super::$scenario("vp8"); }
            #[test] #[ignore = "needs the real peers: make test"] fn vp9() { super::$scenario("vp9"); }
            #[test] #[ignore = "needs the real peers: make test"] fn h264() { super::$scenario("h264"); }
            #[test] #[ignore = "needs the real peers: make test"] fn av1() { super::$scenario("av1"); }
        })*
    };
}
pub(crate) use in_every_codec;

in_every_codec![two_foreign_clients_see_each_other, a_browser_and_a_foreign_client_see_each_other];

/// The codec as `TrackInfo` names it.
pub fn mime(codec: &str) -> String {
    format!("video/{}", codec.to_uppercase())
}

fn two_foreign_clients_see_each_other(codec: &str) {
    let server = Server::start(Kind::LiveKit);
    let publisher = peers::publish(&server, "room", "publisher", &[SMALL, &["--codec", codec]].concat());
    hears(&publisher, "published");
    let watcher = peers::subscribe(&server, "room", "watcher", &[]);
    let sight = sees_all(&watcher, "publisher", (640, 360));
    assert_eq!(sight.codec, mime(codec));
    publisher.leave();
    hears(&watcher, "unpublished video publisher");
    watcher.leave();
}

fn a_browser_and_a_foreign_client_see_each_other(codec: &str) {
    let _turn = peers::browser_turn();
    let server = Server::start(Kind::LiveKit);
    let browser = peers::browser(&server, "room", "browser", &[SMALL, &["--publish", codec]].concat());
    let publisher = peers::publish(&server, "room", "publisher", &[SMALL, &["--codec", codec]].concat());
    hears(&browser, "published");
    let watcher = peers::subscribe(&server, "room", "watcher", &[]);
    assert_eq!(sees_all(&watcher, "browser", (640, 360)).codec, mime(codec));
    assert_eq!(sees_all(&browser, "publisher", (640, 360)).codec, mime(codec));
    browser.leave();
    hears(&watcher, "unpublished video browser");
    publisher.leave();
    watcher.leave();
}

#[test]
#[ignore = "needs the real peers: make test"]
fn foreign_clients_choose_a_layer_of_a_film_sent_in_several() {
    let server = Server::start(Kind::LiveKit);
    let publisher = peers::publish(&server, "room", "publisher", &["--simulcast"]);
    hears(&publisher, "published");
    let watcher = peers::subscribe(&server, "room", "watcher", &["--quality", "low"]);
    sees(&watcher, "publisher", "the smallest layer", |sight| sight.is_film() && sight.size == (320, 180));
    publisher.leave();
    watcher.leave();
}

#[test]
#[ignore = "needs the real peers: make test"]
fn foreign_clients_hear_of_a_mute() {
    let server = Server::start(Kind::LiveKit);
    let mut publisher = peers::publish(&server, "room", "publisher", SMALL);
    hears(&publisher, "published");
    let watcher = peers::subscribe(&server, "room", "watcher", &[]);
    sees(&watcher, "publisher", "a film", Sight::is_film);
    publisher.tell("mute video");
    hears(&watcher, "muted video publisher");
    sees(&watcher, "publisher", "no picture", |sight| sight.marks == 0);
    publisher.tell("unmute video");
    hears(&watcher, "unmuted video publisher");
    sees(&watcher, "publisher", "the film again", Sight::is_film);
    publisher.leave();
    watcher.leave();
}
