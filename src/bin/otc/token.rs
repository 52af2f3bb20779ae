//! `otc token`: makes a token and prints it, and nothing else, on the standard output.

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use opentok::signal::address::Address;
use opentok::signal::token::{self, Access, Kind, LIFETIME_DEFAULT_S, Order, Role};

use crate::args::{Args, Flag, list};
use crate::{show, usage_error};

const SECRET_VARIABLE: &str = "OTC_API_SECRET";

const FLAGS: [Flag; 9] = [
    Flag::value("--key", "KEY", "API key that the program gives to its session"),
    Flag::value(
        "--secret",
        "SECRET",
        "secret of the key; better in the environment as OTC_API_SECRET,\n\
         where other users of the machine do not see it",
    ),
    Flag::value("--session", "ID", "session id (LiveKit: the room); of a URL its last part"),
    Flag::value("--role", "ROLE", "subscriber, publisher (default), publisheronly or moderator"),
    Flag::value("--data", "TEXT", "connection data (LiveKit: metadata), at most 1000 characters"),
    Flag::value(
        "--expires",
        "TIME",
        "seconds, or a number with s, m, h or d; default 24h,\n\
         at most 30d except for LiveKit",
    ),
    Flag::value(
        "--kind",
        "KIND",
        "classic (default): T1==…, as OpenTok servers make it\n\
         platform: the JSON web token of newer OpenTok servers\n\
         livekit: for any LiveKit server",
    ),
    Flag::value("--identity", "TEXT", "LiveKit only: unique name in the room; default: a random one"),
    Flag::value("--name", "TEXT", "LiveKit only: name to show"),
];

const HELP: &str = "\
Usage: otc token --key KEY --secret SECRET --session ID [FLAGS]

Prints a token that opens a session.

";

const EXAMPLE: &str = "
Example:
  OTC_API_SECRET=… otc token --key 100042 --session lobby --role moderator --expires 2h
";

pub fn run(arguments: Vec<OsString>) -> ExitCode {
    let args = match Args::read(arguments, &FLAGS) {
        Ok(args) => args,
        Err(sentence) => return usage_error(&sentence),
    };
    if args.wants_help() {
        return show(&format!("{HELP}Flags:\n{}{EXAMPLE}", list(&FLAGS)));
    }
    let secret_variable = std::env::var(SECRET_VARIABLE).ok();
    match make(&args, secret_variable.as_deref(), now_s(), random()) {
        Ok(token) => show(&format!("{token}\n")),
        Err(sentence) => usage_error(&sentence),
    }
}

fn make(args: &Args, secret_variable: Option<&str>, now_s: i64, nonce: u32) -> Result<String, String> {
    let kind = match args.get("--kind") {
        None | Some("classic") => Kind::Classic,
        Some("platform") => Kind::Platform,
        Some("livekit") => Kind::LiveKit,
        Some(_) => return Err("the kind is unknown; use classic, platform or livekit".into()),
    };
    let role = Role::from_word(args.get("--role").unwrap_or_default()).map_err(|_| {
        "the role is unknown; use subscriber, publisher, publisheronly or moderator".to_owned()
    })?;
    let api_key = args.required("--key")?;
    let secret = args.get("--secret").or(secret_variable).filter(|secret| !secret.is_empty());
    let secret =
        secret.ok_or_else(|| format!("there is no secret: give --secret or set {SECRET_VARIABLE}"))?;
    let session = args.required("--session")?;
    // A session id that is a URL names a server too; the token is for the room alone.
    let place = Address::of_session_id(session).map_err(|error| error.to_string())?;
    let session_id = place.as_ref().map_or(session, |(_, room)| room);
    let data = args.get("--data").unwrap_or_default();
    let lifetime_s = args.get("--expires").map_or(Ok(LIFETIME_DEFAULT_S), seconds)?;
    let expires_s = now_s.checked_add(lifetime_s).ok_or(EXPIRES_HELP)?;

    if kind != Kind::LiveKit {
        if let Some(name) = ["--identity", "--name"].into_iter().find(|name| args.has(name)) {
            return Err(format!("the flag {name} is for tokens of the kind livekit only"));
        }
        let order = Order {
            api_key,
            secret,
            session_id,
            role,
            connection_data: data,
            created_s: now_s,
            expires_s,
            nonce: nonce.into(),
        };
        let sign = if kind == Kind::Classic { token::classic } else { token::platform };
        return sign(&order).map_err(|error| error.text());
    }
    let random_identity = format!("otc-{nonce:08x}");
    token::livekit(&Access {
        api_key,
        secret,
        room: session_id,
        identity: args.get("--identity").unwrap_or(&random_identity),
        name: args.get("--name").unwrap_or_default(),
        metadata: data,
        grants: role.grants(),
        can_join: true,
        can_create_rooms: false,
        can_list_rooms: false,
        created_s: now_s,
        expires_s,
    })
    .map_err(|error| error.text())
}

const EXPIRES_HELP: &str =
    "the expiry cannot be read: write seconds, or a number with s, m, h or d, such as 24h";

fn seconds(text: &str) -> Result<i64, String> {
    let units = [("s", 1), ("m", 60), ("h", 3600), ("d", 24 * 3600)];
    let unit = units.into_iter().find_map(|(unit, length)| Some((text.strip_suffix(unit)?, length)));
    let (number, length_s) = unit.unwrap_or((text, 1));
    let number = number.parse::<i64>().ok().filter(|number| *number > 0);
    number.and_then(|number| number.checked_mul(length_s)).ok_or_else(|| EXPIRES_HELP.into())
}

fn now_s() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

fn random() -> u32 {
    let mut bytes = [0; 4];
    // Without random numbers two tokens of one second are the same, which harms nobody.
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    u32::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentok::signal::token::{Claims, Token};

    const NOW_S: i64 = 1_700_000_000;
    const NEEDED: &str = "--key 1 --secret s --session room";

    fn made(arguments: &str) -> Result<Claims, String> {
        let arguments = arguments.split_whitespace().map(OsString::from).collect();
        let text = make(&Args::read(arguments, &FLAGS)?, Some("from the environment"), NOW_S, 7)?;
        Ok(Token::parse(&text).expect("a token").claims().clone())
    }

    #[test]
    fn the_defaults_are_a_classic_publisher_for_a_day() {
        let claims = made(NEEDED).expect("made");
        assert_eq!((claims.kind, claims.grants), (Kind::Classic, Role::Publisher.grants()));
        assert_eq!((claims.session_id.as_str(), claims.expires_s), ("room", NOW_S + 86_400));
        assert!(made("--key 1 --session room").is_ok(), "the environment has the secret");
    }

    #[test]
    fn every_kind_says_what_was_asked_for() {
        for kind in ["classic", "platform", "livekit"] {
            let asked = format!("{NEEDED} --kind {kind} --role moderator --data x=1 --expires 2h");
            let claims = made(&asked).expect("made");
            assert_eq!((claims.data.as_str(), claims.grants), ("x=1", Role::Moderator.grants()));
            assert_eq!(claims.expires_s, NOW_S + 7200);
        }
        let claims = made(&format!("{NEEDED} --kind livekit --identity bob --name Bob")).expect("made");
        assert_eq!((claims.identity.as_str(), claims.name.as_str()), ("bob", "Bob"));
        let claims = made(&format!("{NEEDED} --kind livekit")).expect("made");
        assert_eq!(claims.identity, "otc-00000007");
    }

    #[test]
    fn a_session_id_that_is_a_url_gives_its_room() {
        let claims = made("--key 1 --session https://host/a%20room").expect("made");
        assert_eq!(claims.session_id, "a room");
    }

    #[test]
    fn lifetimes_have_units_and_limits() {
        assert_eq!(
            ["90", "90s", "15m", "24h", "30d"].map(seconds),
            [Ok(90), Ok(90), Ok(900), Ok(86_400), Ok(2_592_000)]
        );
        for text in ["", "0", "-1", "h", "1w", "1.5h", "9223372036854775807d"] {
            assert_eq!(seconds(text), Err(EXPIRES_HELP.into()), "{text}");
        }
        assert!(made(&format!("{NEEDED} --expires 30d")).is_ok());
        assert!(made(&format!("{NEEDED} --expires 31d")).is_err());
        assert!(made(&format!("{NEEDED} --expires 31d --kind livekit")).is_ok());
        assert!(made(&format!("{NEEDED} --expires {}", i64::MAX)).is_err());
    }

    #[test]
    fn mistakes_are_refused() {
        for arguments in [
            "--secret s --session room",
            "--key 1 --secret s",
            "--key 1 --secret= --session room",
            "--key 1 --secret s --session https://host/",
        ] {
            assert!(made(arguments).is_err(), "{arguments}");
        }
        for more in ["--role king", "--kind x", "--identity bob", "--name Bob"] {
            assert!(made(&format!("{NEEDED} {more}")).is_err(), "{more}");
        }
    }
}
