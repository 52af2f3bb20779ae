//! `LEDGER.md` says of every part of the interface whether it works, and names the test that shows it. Here it is compared with
//! the header, with what the library exports, with the codes that the sources use, and with the tests.
//!
//! `UPDATE=1 cargo test --test ledger` rewrites its totals; everything else in it is written by hand.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::process::Command;

use common::{declared_functions, libraries, project, read};

const LEDGER: &str = "LEDGER.md";

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Function,
    Callback,
    Type,
    Enum,
    Macro,
}

const KINDS: [(Kind, &str); 5] = [
    (Kind::Function, "functions"),
    (Kind::Callback, "callbacks"),
    (Kind::Type, "types"),
    (Kind::Enum, "groups of enumerators"),
    (Kind::Macro, "macros"),
];

const STATES: [&str; 3] = ["works", "limits", "not supported"];

/// Begins the state of a group of codes of which some never come.
const NEVER_SAID: &str = "limits: never said: ";

/// A line of the ledger.
struct Row {
    name: String,
    /// Those of a group.
    enumerators: Vec<String>,
    /// `works`, or `limits: …`, or `not supported: …`.
    state: String,
    /// `path::test`.
    test: String,
}

fn rows() -> Vec<Row> {
    let row = |line: &str| {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [names, state, test] = cells.as_slice() else { panic!("three cells: {line}") };
        let mut names =
            names.split('`').skip(1).step_by(2).map(|name| name.trim_start_matches("enum ").to_owned());
        Row {
            name: names.next().expect("a name"),
            enumerators: names.collect(),
            state: (*state).to_owned(),
            test: test.trim_matches('`').to_owned(),
        }
    };
    read(LEDGER).lines().filter(|line| line.starts_with("| `")).map(row).collect()
}

/// The header without comments, and what it declares.
struct Header {
    names: BTreeMap<String, Kind>,
    /// Of each enum.
    enumerators: BTreeMap<String, Vec<String>>,
}

fn header() -> Header {
    let text = without_comments(&read("include/opentok.h"));
    let mut names: BTreeMap<String, Kind> =
        declared_functions().into_iter().map(|name| (name, Kind::Function)).collect();
    let mut enumerators = BTreeMap::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["#define", name, ..] if *name != "OPENTOK_H" => {
                names.insert(word(name), Kind::Macro);
            }
            ["typedef", "enum", name, "{"] | ["enum", name, "{"] => {
                names.insert((*name).to_owned(), Kind::Enum);
                let members = lines.by_ref().take_while(|line| !line.starts_with('}'));
                let members = members.map(word).filter(|name| !name.is_empty());
                enumerators.insert((*name).to_owned(), members.collect());
            }
            ["typedef", "struct", name, "{"] => {
                names.insert((*name).to_owned(), Kind::Type);
                let members = lines.by_ref().take_while(|line| !line.starts_with('}'));
                let functions = members.filter_map(|line| Some(word(line.split_once("(*")?.1)));
                names.extend(functions.map(|member| (format!("{name}.{member}"), Kind::Callback)));
            }
            ["typedef", .., last] => {
                let name = line.split_once("(*").map_or(*last, |(_, name)| name);
                names.insert(word(name), Kind::Type);
            }
            _ => {}
        }
    }
    Header { names, enumerators }
}

/// The first name in a text.
fn word(text: &str) -> String {
    let is_part = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
    text.trim_start().chars().take_while(is_part).collect()
}

fn without_comments(text: &str) -> String {
    let mut parts = text.split("/*");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.filter_map(|part| part.split_once("*/")).fold(first, |text, (_, code)| text + code)
}

#[test]
fn nothing_is_missing_and_nothing_invented() {
    let rows = rows();
    let listed: BTreeSet<&str> = rows.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(listed.len(), rows.len(), "a name stands in {LEDGER} twice");
    let header = header();
    let declared: BTreeSet<&str> = header.names.keys().map(String::as_str).collect();
    let missing: Vec<&&str> = declared.difference(&listed).collect();
    assert!(missing.is_empty(), "not in {LEDGER}: {missing:?}");
    let invented: Vec<&&str> = listed.difference(&declared).collect();
    assert!(invented.is_empty(), "not in the header, but in {LEDGER}: {invented:?}");
    for row in &rows {
        let declared = header.enumerators.get(&row.name).cloned().unwrap_or_default();
        assert_eq!(
            row.enumerators, declared,
            "the enumerators of {} in {LEDGER}, and those of the header",
            row.name
        );
    }
}

#[test]
fn the_library_exports_the_functions_of_the_ledger() {
    let library = libraries().join("libopentok.so");
    let output =
        Command::new("nm").args(["-D", "--defined-only"]).arg(library).output().expect("nm belongs to gcc");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("nm writes UTF-8");
    let exported: BTreeSet<&str> =
        text.lines().filter_map(|line| line.split_whitespace().next_back()).collect();
    let kinds = header().names;
    let rows = rows();
    let is_function = |row: &&Row| kinds.get(&row.name) == Some(&Kind::Function);
    let listed: BTreeSet<&str> = rows.iter().filter(is_function).map(|row| row.name.as_str()).collect();
    assert_eq!(listed, exported);
}

#[test]
fn every_line_has_a_state_and_a_test_that_exists() {
    let mut complaints = String::new();
    for Row { name, state, test, .. } in rows() {
        let has_state = match state.split_once(": ") {
            None => state == STATES[0],
            Some((state, what)) => STATES[1..].contains(&state) && !what.is_empty(),
        };
        if !has_state {
            writeln!(complaints, "{name}: `{state}` is no state").expect("a String takes everything");
        }
        if !exists(&test) {
            writeln!(complaints, "{name}: there is no test {test}").expect("a String takes everything");
        }
    }
    assert!(complaints.is_empty(), "{LEDGER}:\n{complaints}");
}

/// Whether the file has a test of this name, in C or in Rust.
fn exists(test: &str) -> bool {
    let Some((path, name)) = test.split_once("::") else { return false };
    let Ok(text) = std::fs::read_to_string(project().join(path)) else { return false };
    if path.ends_with(".c") {
        return text.contains(&format!("TEST({name})"));
    }
    // The attribute stands on the same line, or on one of the two above.
    let begins = format!("fn {name}(");
    let lines: Vec<&str> = text.lines().collect();
    let mut places =
        lines.iter().enumerate().filter(|(_, line)| line.contains(&begins)).map(|(place, _)| place);
    places.any(|place| lines[place.saturating_sub(2)..=place].iter().any(|line| line.contains("#[test]")))
}

/// A C test shows something about a function or a callback only when its file, or what that shares, has it.
#[test]
fn a_c_test_uses_what_it_shows() {
    let shared: String = std::fs::read_dir(project().join("tests/c"))
        .expect("the C tests")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "h"))
        .map(|path| std::fs::read_to_string(path).expect("text"))
        .collect();
    let kinds = header().names;
    let mut idle = Vec::new();
    for Row { name, test, .. } in rows() {
        let (path, _) = test.split_once("::").expect("path::test");
        let is_used = matches!(kinds.get(&name), Some(Kind::Function | Kind::Callback));
        let member = name.split_once('.').map_or(name.as_str(), |(_, member)| member);
        if is_used && path.ends_with(".c") && !has_word(&(read(path) + &shared), member) {
            idle.push(format!("{name}: {path}"));
        }
    }
    assert!(idle.is_empty(), "{LEDGER} names tests that do not use what they are to show: {idle:#?}");
}

fn has_word(text: &str, name: &str) -> bool {
    words(text).any(|word| word == name)
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
}

/// Codes that the sources of the interface have once, where they are defined, and which codes the ledger says so of.
#[test]
fn codes_that_are_never_said_are_told_as_such() {
    let header = header();
    let mut uses: BTreeMap<String, usize> = BTreeMap::new();
    for entry in std::fs::read_dir(project().join("src/ffi")).expect("the sources") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(path).expect("text");
            let code = text.lines().map(|line| line.split("//").next().unwrap_or_default());
            for word in code.flat_map(words) {
                *uses.entry(word.to_owned()).or_default() += 1;
            }
        }
    }
    for Row { name, state, .. } in
        rows().iter().filter(|row| row.name.ends_with("_error_code") || row.name == "otc_error")
    {
        let told: BTreeSet<&str> = match state.strip_prefix(NEVER_SAID) {
            Some(told) => {
                words(told).filter(|word| uses.contains_key(*word) && word.starts_with("OT")).collect()
            }
            None => BTreeSet::new(),
        };
        let silent: BTreeSet<&str> = header.enumerators[name]
            .iter()
            .map(String::as_str)
            .filter(|code| uses.get(*code) == Some(&1))
            .collect();
        assert_eq!(told, silent, "{name}: what {LEDGER} says is never said, and what is never said");
    }
}

#[test]
fn every_enumerator_has_its_number_checked() {
    let layout = read("tests/layout.rs");
    let unchecked: Vec<String> = header()
        .enumerators
        .into_values()
        .flatten()
        .filter(|name| !layout.contains(&format!("(\"{name}\"")))
        .collect();
    assert!(unchecked.is_empty(), "not in tests/layout.rs: {unchecked:?}");
}

#[test]
fn names_in_the_text_are_names_of_the_header() {
    let header = header();
    let text = read(LEDGER);
    let is_name =
        |word: &&str| word.starts_with("OTC_") || word.starts_with("OT_") || word.starts_with("otc_");
    let is_known = |word: &str| {
        header.names.contains_key(word) || header.enumerators.values().flatten().any(|one| one == word)
    };
    let unknown: BTreeSet<&str> = words(&text).filter(is_name).filter(|word| !is_known(word)).collect();
    assert!(unknown.is_empty(), "no such names: {unknown:?}");
}

const TOTALS_BEGIN: &str = "<!-- totals: begin -->\n";
const TOTALS_END: &str = "<!-- totals: end -->\n";

#[test]
fn the_totals_are_right() {
    let (rows, kinds) = (rows(), header().names);
    let mut totals = format!("| | {} |\n|---|---|---|---|\n", STATES.join(" | "));
    let count = |kind: Option<Kind>, state: &str| {
        rows.iter()
            .filter(|row| {
                kind.is_none_or(|kind| kinds.get(&row.name) == Some(&kind)) && row.state.starts_with(state)
            })
            .count()
    };
    let kinds = KINDS.iter().map(|(kind, name)| (Some(*kind), *name)).chain([(None, "all")]);
    for (kind, name) in kinds {
        let counts = STATES.map(|state| count(kind, state).to_string());
        writeln!(totals, "| {name} | {} |", counts.join(" | ")).expect("a String takes everything");
    }
    println!("{totals}");
    let text = read(LEDGER);
    let (before, rest) = text.split_once(TOTALS_BEGIN).expect("the ledger has totals");
    let (present, after) = rest.split_once(TOTALS_END).expect("the totals end");
    if std::env::var_os("UPDATE").is_some() {
        let text = format!("{before}{TOTALS_BEGIN}{totals}{TOTALS_END}{after}");
        return std::fs::write(project().join(LEDGER), text).expect("the checkout can be written");
    }
    assert_eq!(present, totals, "run: UPDATE=1 cargo test --test ledger");
}
