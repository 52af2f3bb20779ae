//! `otc serve`: the mini SFU as a server.

use std::ffi::OsString;
use std::fmt;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use opentok::server::{Config, serve_tcp};
use opentok::signal::token::Secrets;
use tokio::sync::oneshot;

use super::args::{self, Args, Flag};
use super::signals_sys::Signals;
use super::{descriptors_sys, show, usage_error};

/// LiveKit's port, so that its clients' defaults fit; on this machine only, until something else is asked for.
const LISTEN_DEFAULT: &str = "127.0.0.1:7880";

/// How long clients are waited for at the end. They answer a farewell in milliseconds, or not at all.
const STOP_LIMIT: Duration = Duration::from_secs(3);

const FLAGS: [Flag; 7] = [
    Flag::repeating(
        "--listen",
        "ADDRESS",
        "where to listen, as 127.0.0.1:7880 or [::1]:7880; port 0\nlets the system choose; may be repeated",
    ),
    Flag::repeating("--key", "KEY", "an API key, and with --secret its secret;\nmay be repeated, in pairs"),
    Flag::repeating("--secret", "SECRET", "the secret of the --key before it"),
    Flag::value(
        "--keys-file",
        "FILE",
        "a file of lines KEY: SECRET, which unlike a\nflag is not seen by other users",
    ),
    Flag::value("--connections-max", "N", "the largest number of connections in one session"),
    Flag::value(
        "--media-tcp-port",
        "PORT",
        "take media by TCP on this port too, from clients\nwhose network lets no UDP through",
    ),
    Flag::switch("--media-tcp-only", "and none by UDP"),
];

fn help() -> String {
    format!(
        "\
Usage: otc serve [FLAGS]

Serves OpenTok sessions and LiveKit rooms at ws://ADDRESS. Prints one line for
each address when it is ready. SIGINT and SIGTERM end it.

Flags:
{}
A key may also come from OTC_API_KEY and OTC_API_SECRET. At least one is needed.
OTC_LOG sets how much is logged to stderr: error, warn, info (default), debug.
",
        args::list(&FLAGS)
    )
}

pub fn run(arguments: Vec<OsString>) -> ExitCode {
    let args = match Args::read(arguments, &FLAGS) {
        Ok(args) if args.wants_help() => return show(&help()),
        Ok(args) => args,
        Err(sentence) => return usage_error(&sentence),
    };
    let (config, listen) = match config(&args).and_then(|config| Ok((config, addresses(&args)?))) {
        Ok(wanted) => wanted,
        Err(sentence) => return usage_error(&sentence),
    };
    start_log();
    match serve(config, &listen) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = writeln!(std::io::stderr(), "otc: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Why a server was none, or is none any more.
#[derive(Debug)]
enum Failure {
    NotStarted(io::Error),
    /// A defect: its core is gone. Whoever supervises this process starts it again.
    BrokenDown,
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::NotStarted(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotStarted(error) => write!(formatter, "the server could not start: {error}"),
            Self::BrokenDown => formatter.write_str("the server has broken down"),
        }
    }
}

fn serve(config: Config, listen: &[SocketAddr]) -> Result<(), Failure> {
    let signals = Signals::hold()?;
    if let Err(error) = descriptors_sys::raise_limit() {
        log::warn!("the limit of descriptors stays as it is: {error}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let running = runtime.block_on(serve_tcp(config, listen))?;
    for address in running.addresses() {
        show(&format!("listening on {address}\n"));
    }
    for address in running.media_addresses() {
        show(&format!("taking media by TCP on {address}\n"));
    }
    let (asks, asked) = oneshot::channel();
    // It is not waited for: where no signal comes it ends with the process.
    thread::Builder::new().name("otc-signals".into()).spawn(move || {
        signals.wait();
        asks.send(())
    })?;
    runtime.block_on(until_asked(asked, running.ended()))?;
    log::info!("ending");
    runtime.block_on(running.stop(STOP_LIMIT));
    Ok(())
}

/// Serves until it is asked to end. An error when there is nothing left that serves.
async fn until_asked(asked: oneshot::Receiver<()>, ended: impl Future<Output = ()>) -> Result<(), Failure> {
    tokio::select! {
        _ = asked => Ok(()),
        () = ended => Err(Failure::BrokenDown),
    }
}

fn config(args: &Args) -> Result<Config, String> {
    let secrets = secrets(args)?;
    if secrets.is_empty() {
        return Err(
            "at least one key is needed: --key and --secret, --keys-file, or OTC_API_KEY and OTC_API_SECRET"
                .into(),
        );
    }
    let number = |text: &str| match text.parse() {
        Ok(0) | Err(_) => Err("--connections-max is not a number above zero"),
        Ok(number) => Ok(number),
    };
    let connections_max = args.get("--connections-max").map(number).transpose()?;
    let port = |text: &str| text.parse().map_err(|_| "--media-tcp-port is not the number of a port");
    let media_tcp_port = args.get("--media-tcp-port").map(port).transpose()?;
    let media_tcp_only = args.has("--media-tcp-only");
    if media_tcp_only && media_tcp_port.is_none() {
        return Err("--media-tcp-only needs a --media-tcp-port".into());
    }
    Ok(Config { secrets, connections_max, media_tcp_port, media_tcp_only, ..Config::default() })
}

fn secrets(args: &Args) -> Result<Secrets, String> {
    let mut secrets = Secrets::new();
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    if let (Some(key), Some(secret)) = (variable("OTC_API_KEY"), variable("OTC_API_SECRET")) {
        secrets.add(key, secret);
    }
    if let Some(path) = args.get("--keys-file") {
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("the keys file cannot be read: {error}"))?;
        for (key, secret) in read_keys(&text)? {
            secrets.add(key, secret);
        }
    }
    let (keys, values): (Vec<_>, Vec<_>) = (args.all("--key").collect(), args.all("--secret").collect());
    if keys.len() != values.len() {
        return Err("every --key needs a --secret".into());
    }
    for (key, secret) in keys.into_iter().zip(values) {
        if key.is_empty() || secret.is_empty() {
            return Err("neither a --key nor a --secret may be empty".into());
        }
        secrets.add(key, secret);
    }
    Ok(secrets)
}

/// The error names the line and not what stands in it.
fn read_keys(text: &str) -> Result<Vec<(&str, &str)>, String> {
    let mut pairs = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let pair = line.split_once(':').map(|(key, secret)| (key.trim(), secret.trim()));
        match pair {
            Some((key, secret)) if !key.is_empty() && !secret.is_empty() => pairs.push((key, secret)),
            _ => return Err(format!("line {} of the keys file is not KEY: SECRET", index + 1)),
        }
    }
    Ok(pairs)
}

fn addresses(args: &Args) -> Result<Vec<SocketAddr>, String> {
    let mut wanted: Vec<&str> = args.all("--listen").collect();
    if wanted.is_empty() {
        wanted.push(LISTEN_DEFAULT);
    }
    let read = |text: &str| {
        text.parse()
            .map_err(|_| "--listen needs an address and a port, as 127.0.0.1:7880 or [::1]:7880".to_owned())
    };
    wanted.into_iter().map(read).collect()
}

/// Lines to stderr. Other crates only get a word in when something is wrong.
struct Stderr;

fn start_log() {
    let wanted = std::env::var("OTC_LOG").ok().and_then(|level| level.parse().ok());
    if log::set_logger(&Stderr).is_ok() {
        log::set_max_level(wanted.unwrap_or(log::LevelFilter::Info));
    }
}

impl log::Log for Stderr {
    fn enabled(&self, metadata: &log::Metadata) -> bool {
        let own = ["opentok", "otc"].iter().any(|name| metadata.target().starts_with(name));
        metadata.level() <= log::max_level() && (own || metadata.level() <= log::Level::Warn)
    }

    fn log(&self, record: &log::Record) {
        if self.enabled(record.metadata()) {
            let level = record.level().as_str().to_lowercase();
            let _ = writeln!(std::io::stderr(), "{level}: {}", record.args());
        }
    }

    fn flush(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(arguments: &[&str]) -> Result<Config, String> {
        config(&Args::read(arguments.iter().map(OsString::from).collect(), &FLAGS)?)
    }

    #[test]
    fn keys_come_in_pairs_and_none_is_an_error() {
        let config =
            wanted(&["--key", "a", "--secret", "x", "--key", "b", "--secret", "y"]).expect("two keys");
        assert_eq!((config.secrets.find("a"), config.secrets.find("b")), (Some("x"), Some("y")));
        for arguments in [&["--key", "a"][..], &["--key", "a", "--secret", ""]] {
            assert!(wanted(arguments).is_err());
        }
    }

    #[test]
    fn a_server_that_has_broken_down_is_not_kept() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let (asks, asked) = oneshot::channel();
        let served = runtime.block_on(until_asked(asked, std::future::ready(())));
        assert!(matches!(served, Err(Failure::BrokenDown)));
        drop(asks);
        let (asks, asked) = oneshot::channel();
        asks.send(()).expect("it waits");
        assert!(runtime.block_on(until_asked(asked, std::future::pending())).is_ok());
    }

    #[test]
    fn media_by_tcp_has_a_port() {
        let with = |flags: &[&str]| wanted(&[&["--key", "a", "--secret", "x"], flags].concat());
        let config = with(&["--media-tcp-port", "7881", "--media-tcp-only"]).expect("a good wish");
        assert_eq!((config.media_tcp_port, config.media_tcp_only), (Some(7881), true));
        assert_eq!(with(&[]).expect("none").media_tcp_port, None);
        for flags in [&["--media-tcp-only"][..], &["--media-tcp-port", "http"], &["--media-tcp-port=65536"]] {
            assert!(with(flags).is_err(), "{flags:?}");
        }
    }

    #[test]
    fn a_keys_file_has_a_key_and_its_secret_on_a_line() {
        assert_eq!(read_keys("# ours\n\nkey: se:cret \n b:c"), Ok(vec![("key", "se:cret"), ("b", "c")]));
        let error = read_keys("good: one\nsecret without a key").expect_err("refused");
        assert!(error.contains("line 2") && !error.contains("without"), "{error}");
    }

    #[test]
    fn addresses_of_both_families_are_read() {
        let read = |arguments: &[&str]| {
            let args = Args::read(arguments.iter().map(OsString::from).collect(), &FLAGS).expect("flags");
            addresses(&args)
        };
        assert_eq!(read(&[]).expect("the default").len(), 1);
        assert_eq!(read(&["--listen", "[::1]:0", "--listen=0.0.0.0:80"]).expect("two").len(), 2);
        assert!(read(&["--listen", "localhost"]).is_err());
    }
}
