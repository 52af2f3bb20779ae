//! Flags of a command: `--name value`, `--name=value` and `--name`.
//!
//! An error never repeats a value: it could be a secret.

use std::ffi::OsString;

/// One flag that a command knows.
#[derive(Debug, Clone, Copy)]
pub struct Flag {
    /// With its dashes.
    pub name: &'static str,
    /// What the value is called in the help; `None` for a flag that has none.
    pub value: Option<&'static str>,
    /// May be given more than once.
    pub repeats: bool,
    /// Lines of the help.
    pub help: &'static str,
}

/// What was given.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Args {
    given: Vec<(&'static str, String)>,
}

const HELP: Flag = Flag::switch("--help", "show this");

/// How far the help of a flag is indented.
const HELP_COLUMN: usize = 24;

impl Flag {
    pub const fn value(name: &'static str, value: &'static str, help: &'static str) -> Self {
        Self { name, value: Some(value), repeats: false, help }
    }

    pub const fn switch(name: &'static str, help: &'static str) -> Self {
        Self { name, value: None, repeats: false, help }
    }

    pub const fn repeating(name: &'static str, value: &'static str, help: &'static str) -> Self {
        Self { name, value: Some(value), repeats: true, help }
    }
}

impl Args {
    /// Reads all arguments of a command. The error is a sentence without its end.
    pub fn read(arguments: Vec<OsString>, flags: &[Flag]) -> Result<Self, String> {
        let mut args = Self::default();
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let argument = utf8(argument)?;
            let (name, attached) = match argument.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (argument.as_str(), None),
            };
            if !name.starts_with('-') {
                return Err("only flags are expected, and a flag begins with --".into());
            }
            let name = if name == "-h" { HELP.name } else { name };
            let flag = flags.iter().chain([&HELP]).find(|flag| flag.name == name);
            let flag =
                flag.ok_or_else(|| format!("the flag {name} is unknown; --help lists the known ones"))?;
            let value = match (flag.value, attached) {
                (Some(_), Some(value)) => value,
                (Some(_), None) => {
                    utf8(arguments.next().ok_or_else(|| format!("the flag {name} needs a value"))?)?
                }
                (None, None) => String::new(),
                (None, Some(_)) => return Err(format!("the flag {name} takes no value")),
            };
            if !flag.repeats && args.has(flag.name) {
                return Err(format!("the flag {name} is given twice"));
            }
            args.given.push((flag.name, value));
        }
        Ok(args)
    }

    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The value of a flag that does not repeat.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// The values of a flag that repeats, in their order.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.given.iter().filter(move |(given, _)| *given == name).map(|(_, value)| value.as_str())
    }

    pub fn required(&self, name: &str) -> Result<&str, String> {
        self.get(name).filter(|value| !value.is_empty()).ok_or_else(|| format!("the flag {name} is missing"))
    }

    pub fn wants_help(&self) -> bool {
        self.has(HELP.name)
    }
}

/// The part of a help text that lists the flags.
pub fn list(flags: &[Flag]) -> String {
    let mut text = String::new();
    for flag in flags.iter().chain([&HELP]) {
        let value = flag.value.map(|value| format!(" {value}")).unwrap_or_default();
        let mut head = format!("  {}{value}", flag.name);
        for line in flag.help.lines() {
            text += &format!("{head:HELP_COLUMN$}{line}\n");
            head.clear();
        }
    }
    text
}

fn utf8(argument: OsString) -> Result<String, String> {
    argument.into_string().map_err(|_| "an argument is not UTF-8".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAGS: [Flag; 3] = [
        Flag::value("--key", "KEY", "the key"),
        Flag::repeating("--also", "X", "one more"),
        Flag::switch("--quiet", "say nothing"),
    ];

    fn read(arguments: &[&str]) -> Result<Args, String> {
        Args::read(arguments.iter().map(OsString::from).collect(), &FLAGS)
    }

    #[test]
    fn values_come_attached_or_as_the_next_argument() {
        let args = read(&["--key", "--x", "--also=a=b", "--quiet", "--also", ""]).expect("read");
        assert_eq!(args.get("--key"), Some("--x"));
        assert_eq!(args.all("--also").collect::<Vec<_>>(), ["a=b", ""]);
        assert!(args.has("--quiet") && !args.wants_help());
        assert_eq!(args.required("--also"), Ok("a=b"));
        assert!(read(&["-h"]).is_ok_and(|args| args.wants_help()));
    }

    #[test]
    fn mistakes_are_named_without_their_values() {
        let wrong: [&[&str]; 6] = [
            &["secret"],
            &["--secret=secret"],
            &["--key"],
            &["--key", "secret", "--key", "secret"],
            &["--quiet=secret"],
            &["--key=a", "secret"],
        ];
        for arguments in wrong {
            let sentence = read(arguments).err().expect("refused");
            assert!(!sentence.replace("--secret", "").contains("secret"), "{sentence}");
        }
        assert_eq!(read(&[]).expect("read").required("--key"), Err("the flag --key is missing".into()));
    }

    #[test]
    fn the_help_lists_every_flag() {
        let text = list(&FLAGS);
        assert!(text.contains("  --key KEY             the key\n") && text.contains("--help"), "{text}");
    }
}
