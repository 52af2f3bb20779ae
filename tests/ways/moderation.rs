//! Who may remove others, and that it happens.

use opentok::signal::token::Role;

use crate::program::Way;
use crate::server::Server;
use crate::token::{KINDS, Kind, SECRET, Wish};

fn on_both(check: impl Fn(&dyn Fn(&str) -> Way)) {
    let server = Server::start();
    check(&|mode| Way::without_hub(mode).env("OTC_URL", server.url()));
    check(&|mode| Way::new(mode).env("OTC_API_SECRET", SECRET));
}

#[test]
fn a_moderator_removes_others_and_itself() {
    on_both(|way| {
        for kind in KINDS {
            let told =
                way("moderate").arg(Wish::new("one").make(kind)).arg(Wish::new("two").make(kind)).run();
            assert_eq!(told.lines, ["force disconnect 0", "removed"], "{kind:?}\n{}", told.log);
        }
    });
}

#[test]
fn who_is_no_moderator_removes_nobody() {
    on_both(|way| {
        for kind in KINDS {
            let one = Wish { role: Role::Publisher, ..Wish::new("one") }.make(kind);
            let told = way("moderate").arg(one).arg(Wish::new("two").make(kind)).run();
            assert_eq!(told.lines, ["force disconnect 1520"], "{kind:?}");
        }
    });
}

#[test]
fn without_connection_events_a_moderator_removes_whom_it_heard() {
    on_both(|way| {
        let told = way("suppressed")
            .arg(Wish::new("one").make(Kind::Classic))
            .arg(Wish::new("two").make(Kind::Classic))
            .run();
        assert_eq!(told.lines, ["removed"]);
    });
}

/// As on a LiveKit server: an admin is one of a room.
#[test]
fn a_token_for_every_room_makes_nobody_a_moderator() {
    let one = Wish { session: "", ..Wish::new("one") }.make(Kind::LiveKit);
    on_both(|way| {
        let told = way("moderate").arg(&one).arg(Wish::new("two").make(Kind::LiveKit)).run();
        assert_eq!(told.lines, ["force disconnect 1520"]);
    });
}
