//! The one log sink: the program's callback, else the console (stderr).
//!
//! Works before `init` and after `destroy`. The sink is called on whichever thread has something to say, with no lock
//! held; what it causes to be logged itself is dropped, so it cannot drive itself in circles.

use std::cell::{Cell, RefCell};
use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::Once;
use std::sync::atomic::{AtomicU8, Ordering};

use log::{LevelFilter, Log, Metadata, Record};
use parking_lot::RwLock;

use super::library;
use crate::driver::{callbacks, signals_sys};

/// The program's own sink. The text is one line without its end.
pub type Sink = Box<dyn Fn(&str) + Send + Sync>;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
#[repr(u8)]
pub enum Level {
    #[default]
    Disabled = 0,
    Error = 1,
    Warn = 2,
    Info = 3,
    Debug = 4,
}

static SINK: RwLock<Option<Arc<Sink>>> = RwLock::new(None);
static LEVEL: AtomicU8 = AtomicU8::new(Level::Disabled as u8);

thread_local! {
    /// Lines that wait until nothing is locked.
    static HELD: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };

    static IS_LOGGING: Cell<bool> = const { Cell::new(false) };
}

/// `None` goes back to the console. A call to the old sink may still be under way on another thread.
pub fn set_sink(sink: Option<Sink>) {
    install();
    let has_sink = sink.is_some();
    *SINK.write() = sink.map(Arc::new);
    if has_sink {
        greet();
    }
}

pub fn enable(level: Level) {
    install();
    LEVEL.store(level as u8, Ordering::Relaxed);
    log::set_max_level(filter(level));
    greet();
}

pub fn level() -> Level {
    match LEVEL.load(Ordering::Relaxed) {
        0 => Level::Disabled,
        1 => Level::Error,
        2 => Level::Warn,
        3 => Level::Info,
        _ => Level::Debug,
    }
}

/// What the environment asks for (`OTC_LOG`: error, warn, info or debug), unless the program has asked already.
pub fn enable_from_environment() {
    let Ok(wish) = std::env::var("OTC_LOG") else { return };
    let wish = match wish.to_ascii_lowercase().as_str() {
        "error" | "1" => Level::Error,
        "warn" | "2" => Level::Warn,
        "info" | "3" => Level::Info,
        "debug" | "trace" | "all" | "4" => Level::Debug,
        _ => Level::Disabled,
    };
    if level() == Level::Disabled && wish != Level::Disabled {
        enable(wish);
    }
}

/// A line that needs no cause: there are programs that install a sink and wait for the first one.
/// It comes from the callback thread, never from inside the program's own call, and at every level: also who wants nothing
/// but errors waits for it.
pub fn greet() {
    let is_heard = || level() != Level::Disabled && SINK.read().is_some();
    if is_heard() {
        library::post_if_running(move || {
            if is_heard() {
                tell(concat!("[info] libopentok ", env!("CARGO_PKG_VERSION"), " is ready"));
            }
        });
    }
}

fn filter(level: Level) -> LevelFilter {
    match level {
        Level::Disabled => LevelFilter::Off,
        Level::Error => LevelFilter::Error,
        Level::Warn => LevelFilter::Warn,
        Level::Info => LevelFilter::Info,
        Level::Debug => LevelFilter::Debug,
    }
}

fn install() {
    static ONCE: Once = Once::new();
    // A Rust program that links this crate may have a logger of its own; then ours is not needed.
    ONCE.call_once(|| drop(log::set_logger(&Logger)));
}

struct Logger;

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata) -> bool {
        metadata.level() <= filter(level()) && is_ours(metadata)
    }

    fn log(&self, record: &Record) {
        if !self.enabled(record.metadata()) || IS_LOGGING.get() {
            return;
        }
        // A line has no line ends in it, whatever a server wrote.
        let line = format!("[{}] {}", record.level().as_str().to_ascii_lowercase(), record.args());
        let line = line.replace(['\n', '\r', '\0'], " ");
        let is_held = HELD.try_with(|held| match &mut *held.borrow_mut() {
            Some(lines) => {
                lines.push(line.clone());
                true
            }
            None => false,
        });
        // A thread that ends, or a process that exits, holds nothing.
        if !is_held.unwrap_or(false) {
            tell(&line);
        }
    }

    fn flush(&self) {}
}

fn write(line: &str) -> io::Result<()> {
    io::stderr().lock().write_all(line.as_bytes())
}

fn tell(line: &str) {
    IS_LOGGING.set(true);
    let sink = SINK.read().clone();
    match sink {
        Some(sink) => callbacks::enter(|| sink(line)),
        // Nobody to tell when the console is gone.
        None => drop(signals_sys::without_sigpipe(|| write(&format!("opentok {line}\n")))),
    }
    IS_LOGGING.set(false);
}

/// What this thread logs is told when the returned value is dropped: whoever is about to lock something and calls what may
/// log takes this first.
pub(super) fn hold() -> Held {
    let is_first = HELD.try_with(|held| {
        let mut held = held.borrow_mut();
        let is_first = held.is_none();
        held.get_or_insert_default();
        is_first
    });
    Held { is_first: is_first.unwrap_or(false) }
}

/// See [`hold`].
pub(super) struct Held {
    /// Another one of this thread tells all of it.
    is_first: bool,
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.is_first {
            let lines = HELD.try_with(|held| held.borrow_mut().take()).ok().flatten().unwrap_or_default();
            lines.iter().for_each(|line| tell(line));
        }
    }
}

/// Libraries below speak of tokens, keys and bytes; their lines stay out.
fn is_ours(metadata: &Metadata) -> bool {
    metadata.target().split("::").next() == Some("opentok")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_told_once_the_outermost_holder_lets_go() {
        let outer = hold();
        let inner = hold();
        HELD.with_borrow_mut(|held| held.as_mut().expect("held").push("a line".into()));
        drop(inner);
        HELD.with_borrow(|held| assert_eq!(held.as_deref(), Some(&["a line".to_owned()][..])));
        drop(outer);
        HELD.with_borrow(|held| assert!(held.is_none()));
    }
}
