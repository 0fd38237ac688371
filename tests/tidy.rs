//! What the compiler and clippy cannot check: that the folder tree explains the system.
//!
//! Each rule is a pure function from a made-up or real tree to complaints; the tests at the end
//! show each one red before the last test applies all of them to this repository.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

/// File name from the root of the repository, and its text.
type Tree = BTreeMap<String, String>;

/// The floors from the lowest up; a path may only point down, and rooms of one floor do not meet.
const FLOORS: &[&[&str]] = &[
    &[
        "error", "time", "random", "sync", "backoff", "metrics", "cluster", "planted",
    ],
    &["protocol"],
    &["record"],
    &["network"],
    &["client"],
    &["producer"],
    &["sim"],
];

/// Rooms of the lowest floor may use each other: they are values and leaves.
const LOWEST: usize = 0;

/// Only `Bytes` pass between what a batch is and how bytes travel.
const NEVER_MEET: &[(&str, &str)] = &[("network", "record")];

/// Inside `producer`: who may not know whom.
const PRODUCER_BORDERS: &[(&str, &str)] = &[
    ("accumulator", "transaction"),
    ("accumulator", "sender"),
    ("transaction", "accumulator"),
    ("transaction", "sender"),
    ("config", "accumulator"),
    ("config", "sender"),
    ("partitioner", "sender"),
];

const BANNED_FOLDERS: &[&str] = &[
    "utils",
    "util",
    "common",
    "helpers",
    "types",
    "internal",
    "internals",
    "core",
    "manager",
    "misc",
];

/// Rooms whose files say on which thread they run.
const THREADED: &[&str] = &["network", "client", "producer"];

const FILE_LINES: usize = 600;
const FUNCTION_LINES: usize = 70;
const DOC_LINES: usize = 25;
const MOD_LINES: usize = 120;

fn complaints(tree: &Tree) -> Vec<String> {
    let rules: [fn(&Tree) -> Vec<String>; 7] = [
        floors,
        producer_borders,
        file_sizes,
        function_sizes,
        module_docs,
        folder_names,
        open_ends,
    ];
    rules.iter().flat_map(|rule| rule(tree)).collect()
}

/// The library's own files, without those that hold only tests.
fn sources(tree: &Tree) -> impl Iterator<Item = (&str, &str)> {
    tree.iter()
        .map(|(path, text)| (path.as_str(), text.as_str()))
        .filter(|(path, _)| {
            path.starts_with("src/") && path.ends_with(".rs") && !is_test_file(path)
        })
}

fn is_test_file(path: &str) -> bool {
    path.split('/').any(|part| {
        let name = part.trim_end_matches(".rs");
        name == "tests" || name.ends_with("_tests") || name.starts_with("mock_")
    })
}

/// The text up to the tests at its end, without comments.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut lines = text.lines().enumerate().peekable();
    std::iter::from_fn(move || {
        loop {
            let (number, line) = lines.next()?;
            let next_is_module = lines.peek().is_some_and(|(_, next)| {
                next.starts_with("mod ") || next.starts_with("pub(crate) mod ")
            });
            if line == "#[cfg(test)]" && next_is_module {
                return None;
            }
            if !line.trim_start().starts_with("//") {
                return Some((number + 1, line));
            }
        }
    })
}

fn room(path: &str) -> &str {
    path.trim_start_matches("src/")
        .split('/')
        .next()
        .unwrap_or("")
        .trim_end_matches(".rs")
}

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

/// The names that follow `prefix` in a line: `crate::network::Send` gives `network`.
fn named_after<'a>(line: &'a str, prefix: &'a str) -> impl Iterator<Item = &'a str> {
    line.split(prefix).skip(1).map(|rest| {
        let end = rest
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(rest.len());
        &rest[..end]
    })
}

fn floors(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in sources(tree) {
        let here = room(path);
        let Some(from) = floor(here) else { continue };
        for (number, line) in code(text) {
            for there in named_after(line, "crate::") {
                let Some(to) = floor(there) else { continue };
                let meets =
                    NEVER_MEET.contains(&(here, there)) || NEVER_MEET.contains(&(there, here));
                let level = to == from && here != there && from != LOWEST;
                if to > from || level || meets {
                    found.push(format!("{path}:{number}: {here} may not use {there}"));
                }
            }
        }
    }
    found
}

fn producer_borders(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in sources(tree) {
        let Some(inside) = path.strip_prefix("src/producer/") else {
            continue;
        };
        let here = inside
            .split('/')
            .next()
            .unwrap_or("")
            .trim_end_matches(".rs");
        for (number, line) in code(text) {
            let there =
                named_after(line, "crate::producer::").chain(named_after(line, "super::super::"));
            for there in there.filter(|there| PRODUCER_BORDERS.contains(&(here, there))) {
                found.push(format!(
                    "{path}:{number}: producer::{here} may not know producer::{there}"
                ));
            }
        }
    }
    found
}

fn file_sizes(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in sources(tree) {
        let lines = code(text)
            .filter(|(_, line)| !line.trim().is_empty())
            .count();
        let most = if path.ends_with("/mod.rs") {
            MOD_LINES
        } else {
            FILE_LINES
        };
        if lines > most {
            found.push(format!("{path}: {lines} lines of code, at most {most}"));
        }
    }
    found
}

/// Relies on rustfmt: a function ends at the first closing brace of its own indentation.
fn function_sizes(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in sources(tree) {
        let mut open: Option<(usize, String)> = None;
        for (number, line) in code(text) {
            if let Some((start, end)) = &open {
                if line == end.as_str() {
                    let lines = number - start + 1;
                    if lines > FUNCTION_LINES {
                        found.push(format!(
                            "{path}:{start}: a function of {lines} lines, at most {FUNCTION_LINES}"
                        ));
                    }
                    open = None;
                }
            } else if line.contains("fn ") && !line.trim_end().ends_with([';', '}']) {
                let indent = &line[..line.len() - line.trim_start().len()];
                open = Some((number, format!("{indent}}}")));
            }
        }
    }
    found
}

fn module_docs(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in sources(tree) {
        let doc: Vec<&str> = text
            .lines()
            .take_while(|line| line.starts_with("//!"))
            .collect();
        if doc.is_empty() {
            found.push(format!("{path}: no module doc"));
        } else if doc.len() > DOC_LINES && path != "src/lib.rs" {
            found.push(format!(
                "{path}: a module doc of {} lines, at most {DOC_LINES}",
                doc.len()
            ));
        }
        let threaded = THREADED.contains(&room(path)) && !path.ends_with("/mod.rs");
        if threaded && !doc.iter().any(|line| line.contains("Thread:")) {
            found.push(format!("{path}: the module doc does not say `Thread:`"));
        }
    }
    found
}

fn folder_names(tree: &Tree) -> Vec<String> {
    let banned = |path: &&str| {
        path.split('/')
            .any(|part| BANNED_FOLDERS.contains(&part.trim_end_matches(".rs")))
    };
    sources(tree)
        .map(|(path, _)| path)
        .filter(banned)
        .map(|path| format!("{path}: a home that says nothing; name it for what it does"))
        .collect()
}

/// Work left over is an issue with a number, not a word in the code.
fn open_ends(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in sources(tree) {
        for (number, line) in text.lines().enumerate() {
            let open = ["TODO", "FIXME", "XXX"]
                .iter()
                .any(|word| line.contains(word));
            if (open && !line.contains('#'))
                || line.contains("todo!(")
                || line.contains("unimplemented!(")
            {
                found.push(format!("{path}:{}: left open: {}", number + 1, line.trim()));
            }
        }
    }
    found
}

fn read(root: &Path, folder: &Path, tree: &mut Tree) {
    let entries = std::fs::read_dir(folder).expect("a folder of the repository can be read");
    for path in entries.map(|entry| entry.expect("an entry can be read").path()) {
        if path.is_dir() {
            read(root, &path, tree);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(root).expect("it lies under the root");
            let text = std::fs::read_to_string(&path).expect("a source file is text");
            tree.insert(name.to_string_lossy().replace('\\', "/"), text);
        }
    }
}

fn made_up(path: &str, text: &str) -> Tree {
    Tree::from([(path.to_owned(), text.to_owned())])
}

#[test]
fn floors_arrow_up_is_refused() {
    let up = made_up(
        "src/protocol/header.rs",
        "//! Doc.\nuse crate::client::Metadata;\n",
    );
    assert_eq!(
        floors(&up),
        ["src/protocol/header.rs:2: protocol may not use client"]
    );
    let down = made_up(
        "src/client/metadata.rs",
        "//! Doc.\nuse crate::protocol::ApiKey;\n",
    );
    assert!(floors(&down).is_empty());
}

#[test]
fn floors_record_and_network_never_meet() {
    let tree = made_up(
        "src/network/send.rs",
        "//! Doc.\nuse crate::record::Header;\n",
    );
    assert_eq!(
        floors(&tree),
        ["src/network/send.rs:2: network may not use record"]
    );
}

#[test]
fn floors_tests_at_the_end_may_use_anything() {
    let text = "//! Doc.\n#[cfg(test)]\nmod tests {\n    use crate::client::X;\n}\n";
    assert!(floors(&made_up("src/protocol/header.rs", text)).is_empty());
}

#[test]
fn producer_borders_accumulator_does_not_know_transactions() {
    let text = "//! Doc.\nuse crate::producer::transaction::Sequences;\n";
    let tree = made_up("src/producer/accumulator/drainer.rs", text);
    assert_eq!(producer_borders(&tree).len(), 1);
}

#[test]
fn file_sizes_long_file_is_refused_and_comments_do_not_count() {
    let long = "let x = 1;\n".repeat(FILE_LINES + 1);
    assert_eq!(file_sizes(&made_up("src/time.rs", &long)).len(), 1);
    let commented = "// why\n\n".repeat(FILE_LINES * 2);
    assert!(file_sizes(&made_up("src/time.rs", &commented)).is_empty());
}

#[test]
fn function_sizes_long_function_is_refused() {
    let body = |lines: usize| {
        let mut text = "impl X {\n    fn long(&self) {\n".to_owned();
        for line in 0..lines {
            writeln!(text, "        let x{line} = 1;").expect("a String takes everything");
        }
        text + "    }\n}\n"
    };
    assert_eq!(
        function_sizes(&made_up("src/time.rs", &body(FUNCTION_LINES))).len(),
        1
    );
    assert!(function_sizes(&made_up("src/time.rs", &body(FUNCTION_LINES - 2))).is_empty());
}

#[test]
fn module_docs_missing_or_without_thread_is_refused() {
    assert_eq!(
        module_docs(&made_up("src/time.rs", "use std::time;\n")).len(),
        1
    );
    let silent = made_up("src/network/selector.rs", "//! Selects.\n");
    assert_eq!(
        module_docs(&silent),
        ["src/network/selector.rs: the module doc does not say `Thread:`"]
    );
    let long = "//! Line.\n".repeat(DOC_LINES + 1);
    assert_eq!(module_docs(&made_up("src/time.rs", &long)).len(), 1);
}

#[test]
fn folder_names_banned_is_refused() {
    assert_eq!(
        folder_names(&made_up("src/client/utils/x.rs", "//! Doc.\n")).len(),
        1
    );
    assert!(folder_names(&made_up("src/client/metadata.rs", "//! Doc.\n")).is_empty());
}

#[test]
fn open_ends_are_refused_without_an_issue_number() {
    assert_eq!(
        open_ends(&made_up("src/time.rs", "// TODO later\n")).len(),
        1
    );
    assert!(open_ends(&made_up("src/time.rs", "// TODO #5: split\n")).is_empty());
    assert_eq!(
        open_ends(&made_up("src/time.rs", "    todo!(\"x\")\n")).len(),
        1
    );
}

#[test]
fn the_repository_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut tree = Tree::new();
    read(root, &root.join("src"), &mut tree);
    assert!(tree.len() > 20, "the sources were not found");
    let found = complaints(&tree);
    assert!(
        found.is_empty(),
        "{} complaints:\n{}",
        found.len(),
        found.join("\n")
    );
}
