//! `otc`: the command-line tool beside the library. Each command is a file of its own; `args.rs` reads their flags.

mod args;
mod descriptors_sys;
mod serve;
mod signals_sys;
mod token;

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

/// What a shell expects of a command that was called wrongly.
const EXIT_USAGE: u8 = 2;

const HELP: &str = "\
Usage: otc COMMAND [FLAGS]

Commands:
  serve    serve sessions and rooms to other machines
  token    print a token that opens a session

otc COMMAND --help tells more.
";

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let command = arguments.next().unwrap_or_default();
    let rest: Vec<OsString> = arguments.collect();
    match command.to_str() {
        Some("serve") => serve::run(rest),
        Some("token") => token::run(rest),
        Some("help" | "--help" | "-h") => show(HELP),
        Some("") => usage_error("name a command; otc --help lists them"),
        _ => usage_error("there is no such command; otc --help lists them"),
    }
}

/// Prints the one result of a command.
fn show(text: &str) -> ExitCode {
    let mut out = std::io::stdout().lock();
    // A reader that went away is no reason to panic.
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Says in one sentence what is wrong with the call.
fn usage_error(sentence: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "otc: {sentence}");
    ExitCode::from(EXIT_USAGE)
}
