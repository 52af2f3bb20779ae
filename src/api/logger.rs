//! The one log sink: the program's callback, else the console (stderr).

/// The program's own sink. The text is one line without its end.
pub type Sink = Box<dyn Fn(&str) + Send + Sync>;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Level {
    #[default]
    Disabled = 0,
    Error = 1,
    Warn = 2,
    Info = 3,
    Debug = 4,
}

/// `None` goes back to the console.
pub fn set_sink(_sink: Option<Sink>) {}

pub fn enable(_level: Level) {}

pub fn level() -> Level {
    Level::Disabled
}
