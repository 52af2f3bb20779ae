//! The hub's directory: where it is, and that nobody else could have made it.

use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

use crate::program::Way;
use crate::token::{SECRET, Wish, good};

fn attempt() -> Way {
    Way::new("each").arg(good("one")).env("OTC_LOG", "warn")
}

/// The error and the log name the directory and what is wrong with it.
#[track_caller]
fn is_refused(way: Way, what: &str) {
    let directory = way.folder.path.join("openotc").display().to_string();
    let told = way.run();
    told.is_error(1006, &[&directory, what]);
    let line = told.log.lines().find(|line| line.contains(&directory) && line.contains(what));
    assert!(line.is_some(), "no line in the log:\n{}", told.log);
}

#[test]
fn two_clients_meet_with_nothing_configured() {
    let told = Way::new("meet").arg(good("one")).arg(good("two")).run();
    assert_eq!(told.lines, ["one sees two", "two sees one"]);
}

#[test]
fn a_directory_that_others_may_enter_is_refused() {
    for mode in [0o755, 0o770, 0o1777] {
        let way = attempt();
        let directory = way.folder.path.join("openotc");
        std::fs::create_dir(&directory).expect("our own folder");
        std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(mode)).expect("our own folder");
        is_refused(way, "0700");
    }
}

#[test]
fn a_directory_that_is_somebody_elses_is_refused() {
    const NOBODY: u32 = 65534;
    let way = attempt();
    let directory = way.folder.path.join("openotc");
    std::fs::create_dir(&directory).expect("our own folder");
    std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o700)).expect("our own folder");
    if chown(&directory, Some(NOBODY), None).is_err() {
        println!("only root can give a directory away: not tested");
        return;
    }
    is_refused(way, "another user");
}

#[test]
fn what_is_no_directory_is_refused() {
    let way = attempt();
    let elsewhere = way.folder.path.join("elsewhere");
    std::fs::create_dir(&elsewhere).expect("our own folder");
    std::fs::set_permissions(&elsewhere, std::fs::Permissions::from_mode(0o700)).expect("our own folder");
    symlink(&elsewhere, way.folder.path.join("openotc")).expect("our own folder");
    is_refused(way, "not a directory");
    let way = attempt();
    way.folder.write("openotc", "");
    is_refused(way, "not a directory");
}

/// This one is at the real place, in `/run/user` or in `/tmp`, which other programs of this user may use at the same time.
#[test]
fn without_a_variable_for_it_the_hub_is_at_the_users_own_place() {
    let session = format!("test {}", std::process::id());
    let token = |data| Wish { session: &session, ..Wish::new(data) }.make(crate::token::Kind::Classic);
    for runtime in [None, Some("/nowhere/at/all"), Some("relative")] {
        let way = Way::new("meet").env("TEST_SESSION", &session).arg(token("one")).arg(token("two"));
        let way = match runtime {
            None => way.env_remove("XDG_RUNTIME_DIR"),
            Some(folder) => way.env("XDG_RUNTIME_DIR", folder),
        };
        assert_eq!(way.run().lines, ["one sees two", "two sees one"], "{runtime:?}");
    }
}

#[test]
fn signatures_are_checked_when_the_secret_is_known() {
    let forged = Wish { secret: "another secret that is just as long as it", ..Wish::new("one") };
    let forged = forged.make(crate::token::Kind::Classic);
    // The peer is the same user, so without the secret its word is enough.
    Way::new("each").arg(&forged).run().is_connected();
    Way::new("each").env("OTC_API_SECRET", "").arg(&forged).run().is_connected();
    Way::new("each").env("OTC_API_SECRET", SECRET).arg(&forged).run().is_error(1004, &["signature"]);
    Way::new("each").env("OTC_API_SECRET", SECRET).arg(good("one")).run().is_connected();
}
