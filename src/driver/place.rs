//! Where a session connects: what its id says, else the environment, else a configuration file, else the hub.
//!
//! Nothing is skipped in silence because it is wrong: a program that is meant for a server and lands on the hub would
//! be alone there and never know why.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use crate::session::{Fault, Reason};
use crate::signal::address::Address;

/// The environment variables, the first that is set and not empty.
const VARIABLES: [&str; 2] = ["OTC_URL", "LIVEKIT_URL"];

/// Below `$XDG_CONFIG_HOME` (else `~/.config`), then below `/etc`. One key: `url = "ws://…"`.
const CONFIG_FILE: &str = "otc/config.toml";

/// Where a session is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The embedded hub of this user on this machine.
    Hub { session: String },
    Server {
        address: Address,
        /// The room that the URL names; without one the session id is the room.
        room: Option<String>,
    },
}

/// Reads the environment and the files anew each time.
pub fn place(session_id: &str) -> Result<Place, Fault> {
    place_in(session_id, &|name| std::env::var_os(name), &System)
}

type Variable<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// The machine's files.
trait Files {
    fn read(&self, path: &Path) -> io::Result<String>;
    /// Whether something has that name.
    fn find(&self, path: &Path) -> io::Result<()>;
}

struct System;

impl Files for System {
    fn read(&self, path: &Path) -> io::Result<String> {
        std::fs::read_to_string(path)
    }

    fn find(&self, path: &Path) -> io::Result<()> {
        std::fs::symlink_metadata(path).map(drop)
    }
}

fn place_in(session_id: &str, variable: Variable<'_>, files: &dyn Files) -> Result<Place, Fault> {
    match Address::of_session_id(session_id) {
        Ok(Some((address, room))) => return Ok(Place::Server { address, room: Some(room) }),
        Ok(None) => {}
        Err(error) => {
            return Err(Fault::new(Reason::InvalidSession, format!("The session id is a URL. {error}")));
        }
    }
    for name in VARIABLES {
        if let Some(value) = variable(name).filter(|value| !value.is_empty()) {
            return server(&value.to_string_lossy(), &format!("the environment variable {name}"));
        }
    }
    for path in config_files(variable) {
        let source = path.display().to_string();
        match files.read(&path) {
            Ok(text) => {
                if let Some(url) = url_of(&text).map_err(|line| unreadable(&source, line))? {
                    return server(&url, &source);
                }
            }
            Err(error) if is_absent(&error) => {}
            Err(error) if is_out_of_reach(&error, &path, files) => {
                log::info!("{source} is passed over: its folder cannot be entered");
            }
            Err(error) => {
                let text = format!("The configuration file {source} cannot be read: {error}.");
                return Err(Fault::new(Reason::ConnectionFailed, text));
            }
        }
    }
    Ok(Place::Hub { session: session_id.to_owned() })
}

fn server(url: &str, source: &str) -> Result<Place, Fault> {
    match Address::parse(url) {
        Ok(address) => Ok(Place::Server { address, room: None }),
        Err(error) => Err(Fault::new(Reason::ConnectionFailed, format!("{error} It comes from {source}."))),
    }
}

fn config_files(variable: Variable<'_>) -> Vec<PathBuf> {
    // The XDG specification: a relative path is invalid and ignored.
    let absolute = |name| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let own = absolute("XDG_CONFIG_HOME").or_else(|| absolute("HOME").map(|home| home.join(".config")));
    own.into_iter().chain([PathBuf::from("/etc")]).map(|folder| folder.join(CONFIG_FILE)).collect()
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Whether not even the folder can be entered: a service often has the `HOME` of somebody else, or one that is hidden from
/// it. Nobody has put a configuration for it there.
fn is_out_of_reach(error: &io::Error, path: &Path, files: &dyn Files) -> bool {
    let is_denied = |error: &io::Error| error.kind() == io::ErrorKind::PermissionDenied;
    is_denied(error) && files.find(path).is_err_and(|error| is_denied(&error))
}

fn unreadable(source: &str, line: usize) -> Fault {
    let text =
        format!("Line {line} of {source} cannot be understood; it looks like url = \"ws://host:port\".");
    Fault::new(Reason::ConnectionFailed, text)
}

/// The key `url` of a TOML file, or the number of the line that is none. As much of TOML as one key needs: comments,
/// the two kinds of one-line strings, other keys with values on one line, and tables, in which nothing is ours.
fn url_of(text: &str) -> Result<Option<String>, usize> {
    for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if line.starts_with('[') {
            return Ok(None); // the keys of a table follow, up to the end of the file
        }
        let (key, value) = line.split_once('=').ok_or(index + 1)?;
        if key.trim().trim_matches('"') == "url" {
            return string(value.trim()).map(Some).ok_or(index + 1);
        }
    }
    Ok(None)
}

/// A TOML string with at most a comment behind it.
fn string(text: &str) -> Option<String> {
    let mut characters = text.chars();
    let quote = characters.next().filter(|quote| matches!(quote, '"' | '\''))?;
    let mut value = String::new();
    loop {
        match characters.next()? {
            character if character == quote => break,
            '\\' if quote == '"' => match characters.next()? {
                escaped @ ('"' | '\\') => value.push(escaped),
                _ => return None, // the others stand for characters that no URL has
            },
            character => value.push(character),
        }
    }
    let rest = characters.as_str().trim();
    (rest.is_empty() || rest.starts_with('#')).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names and texts. Two texts stand for files that cannot be read: "forbidden", and one "hidden" with its folder.
    struct Fake<'a>(&'a [(&'a str, &'a str)]);

    impl Fake<'_> {
        fn text(&self, path: &Path) -> io::Result<&str> {
            let file = self.0.iter().find(|(name, _)| Path::new(name) == path);
            file.map(|(_, text)| *text).ok_or(io::ErrorKind::NotFound.into())
        }
    }

    impl Files for Fake<'_> {
        fn read(&self, path: &Path) -> io::Result<String> {
            match self.text(path)? {
                "forbidden" | "hidden" => Err(io::ErrorKind::PermissionDenied.into()),
                text => Ok(text.to_owned()),
            }
        }

        fn find(&self, path: &Path) -> io::Result<()> {
            match self.text(path)? {
                "hidden" => Err(io::ErrorKind::PermissionDenied.into()),
                _ => Ok(()),
            }
        }
    }

    /// The place of a session where these variables are set and these files exist.
    fn at(id: &str, variables: &[(&str, &str)], files: &[(&str, &str)]) -> Result<String, Fault> {
        let variable = |name: &str| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| OsString::from(value))
        };
        place_in(id, &variable, &Fake(files)).map(|place| match place {
            Place::Hub { session } => format!("hub {session}"),
            Place::Server { address, room } => format!("{address} {}", room.unwrap_or_default()),
        })
    }

    #[test]
    fn without_any_configuration_a_session_is_on_the_hub() {
        assert_eq!(at("room", &[("OTC_URL", ""), ("HOME", "/home/u")], &[]), Ok("hub room".into()));
    }

    #[test]
    fn the_first_that_says_something_wins() {
        let files = [
            ("/x/otc/config.toml", "url = \"ws://own\""),
            ("/home/u/.config/otc/config.toml", "url = 'ws://home' # mine"),
            ("/etc/otc/config.toml", "# all\n[x]\nurl = \"ws://no\""),
        ];
        let all = [
            ("OTC_URL", "ws://otc"),
            ("LIVEKIT_URL", "ws://lk"),
            ("XDG_CONFIG_HOME", "/x"),
            ("HOME", "/home/u"),
        ];
        assert_eq!(at("wss://id/r", &all, &files), Ok("wss://id r".into()));
        assert_eq!(at("r", &all, &files), Ok("ws://otc ".into()));
        assert_eq!(at("r", &all[1..], &files), Ok("ws://lk ".into()));
        assert_eq!(at("r", &all[2..], &files), Ok("ws://own ".into()));
        assert_eq!(at("r", &all[3..], &files), Ok("ws://home ".into()));
        assert_eq!(at("r", &[], &files), Ok("hub r".into()));
        assert_eq!(
            at("r", &[], &[("/etc/otc/config.toml", "a = 1\nurl=\"ws://etc\"")]),
            Ok("ws://etc ".into())
        );
    }

    #[test]
    fn a_home_that_cannot_be_entered_has_no_configuration() {
        let home = [("HOME", "/root")];
        let hidden = ("/root/.config/otc/config.toml", "hidden");
        assert_eq!(at("r", &home, &[hidden]), Ok("hub r".into()));
        let files = [hidden, ("/etc/otc/config.toml", "url = \"ws://etc\"")];
        assert_eq!(at("r", &home, &files), Ok("ws://etc ".into()));
    }

    #[test]
    fn what_is_wrong_is_named_and_not_skipped() {
        let reason = |result: Result<String, Fault>, part: &str| {
            let fault = result.expect_err(part);
            assert!(fault.text.contains(part), "{}", fault.text);
            assert!(!fault.text.contains("hidden"), "{}", fault.text);
            fault.reason
        };
        assert_eq!(reason(at("ws://host", &[], &[]), "session id"), Reason::InvalidSession);
        let url = [("OTC_URL", "ws://user:hidden@host")];
        assert_eq!(reason(at("r", &url, &[]), "OTC_URL"), Reason::ConnectionFailed);
        assert_eq!(
            reason(at("r", &[("LIVEKIT_URL", "host:1")], &[]), "LIVEKIT_URL"),
            Reason::ConnectionFailed
        );
        for (text, part) in [
            ("\nnonsense", "Line 2 of /etc/otc/config.toml"),
            ("url = ws://host", "Line 1"),
            ("url = \"ws://host", "Line 1"),
            ("url = \"ws://host\" x", "Line 1"),
            ("url = \"host\"", "/etc/otc/config.toml"),
            ("forbidden", "cannot be read"),
        ] {
            let result = at("r", &[], &[("/etc/otc/config.toml", text)]);
            assert_eq!(reason(result, part), Reason::ConnectionFailed);
        }
    }
}
