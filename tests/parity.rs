//! Java's own test classes as a yardstick, and the rules for failures: that the tables in
//! `docs/parity/` name tests that exist, each of Java's names once, and count right.
//!
//! A table that is held has three columns: what Java (or a rule) asks for, in a few words what that
//! is, and where it is: tests as `` `module::test` `` (an end of its path that only it has), or
//! "does not apply: ..", or "comes with ..". Each check is a function over made-up text first.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Java's classes and how many tests each has in Apache Kafka 4.3.1.
const CLASSES: &[(&str, usize)] = &[
    ("BufferPoolTest", 13),
    ("ClusterConnectionStatesTest", 15),
    ("InFlightRequestsTest", 6),
    ("KafkaProducerTest", 82),
    ("MetadataTest", 29),
    ("NetworkClientTest", 41),
    ("ProducerBatchTest", 11),
    ("RecordAccumulatorTest", 35),
    ("SelectorTest", 33),
    ("SenderTest", 76),
];

/// What a row may wait for: it is not built yet, and refused by configuration until then.
const FEATURES: &[&str] = &[
    "SASL",
    "TLS",
    "adaptive partitioning",
    "compression",
    "custom partitioners",
    "interceptors",
    "metrics",
    "telemetry",
    "transactions",
];

/// Of the tests of a class so many may be about something that only Java has, in per cent.
const DOES_NOT_APPLY_PERCENT: usize = 10;

/// The heading of a table that is held.
const HEADING: &str = "| asked for | what it is | here |";

/// A row of a table that is held.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    place: String,
    /// The first word of the section's title.
    section: String,
    asked: String,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Tests(Vec<String>),
    DoesNotApply,
    ComesWith(String),
}

/// Rows of every held table of a document, and what is wrong with its form.
fn rows(file: &str, text: &str) -> (Vec<Row>, Vec<String>) {
    let (mut rows, mut wrong) = (Vec::new(), Vec::new());
    let mut section = "";
    let mut is_held = false;
    for (number, line) in (1..).zip(text.lines()) {
        let place = format!("{file}:{number}");
        if let Some(title) = line.strip_prefix("## ") {
            section = title.split([' ', ',']).next().unwrap_or("");
        }
        if !line.starts_with('|') {
            is_held = false;
        } else if line == HEADING {
            is_held = true;
        } else if is_held && !line.starts_with("|---") {
            let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
            let [asked, what, here] = cells[..] else {
                wrong.push(format!("{place}: {} cells instead of 3", cells.len()));
                continue;
            };
            if asked.is_empty() || what.is_empty() {
                wrong.push(format!("{place}: an empty cell"));
            }
            match kind(here) {
                Ok(kind) => rows.push(Row {
                    place,
                    section: section.to_owned(),
                    asked: asked.to_owned(),
                    kind,
                }),
                Err(why) => wrong.push(format!("{place}: {why}")),
            }
        }
    }
    (rows, wrong)
}

fn kind(here: &str) -> Result<Kind, String> {
    if let Some(why) = here.strip_prefix("does not apply: ") {
        return match why.trim() {
            "" => Err("why it does not apply is not said".to_owned()),
            _ => Ok(Kind::DoesNotApply),
        };
    }
    if let Some(feature) = here.strip_prefix("comes with ") {
        return if FEATURES.contains(&feature) {
            Ok(Kind::ComesWith(feature.to_owned()))
        } else {
            Err(format!("no feature to come: {feature}"))
        };
    }
    let tests: Vec<String> = here
        .split('`')
        .skip(1)
        .step_by(2)
        .map(String::from)
        .collect();
    if tests.is_empty() {
        return Err(format!("neither a test nor a reason: {here:?}"));
    }
    Ok(Kind::Tests(tests))
}

/// The full path of every `#[test]` below a folder: of the library by module, of `tests/` by file.
fn tests_in(tree: &BTreeMap<String, String>) -> BTreeSet<String> {
    let moved = moved_modules(tree);
    let mut found = BTreeSet::new();
    for (path, text) in tree {
        let module = moved.get(path).cloned().unwrap_or_else(|| module_of(path));
        let mut inner: Vec<&str> = Vec::new();
        let mut is_test = false;
        for line in text.lines() {
            let code = line.trim_start();
            if let Some(name) = inline_module(line) {
                inner = vec![name];
            } else if line == "}" {
                inner.clear();
            }
            if code == "#[test]" {
                is_test = true;
            } else if let Some(rest) = code.strip_prefix("fn ").filter(|_| is_test) {
                let name = rest.split(['(', '<']).next().unwrap_or("");
                let path = std::iter::once(module.as_str()).chain(inner.iter().copied());
                let path: Vec<&str> = path.chain([name]).collect();
                found.insert(path.join("::"));
                is_test = false;
            }
        }
    }
    found
}

fn inline_module(line: &str) -> Option<&str> {
    let rest = line
        .strip_prefix("mod ")
        .or_else(|| line.strip_prefix("pub(super) mod "))?;
    rest.strip_suffix(" {")
}

/// `src/client/metadata.rs` is `client::metadata`; so is `src/client/metadata/mod.rs`.
fn module_of(path: &str) -> String {
    let path = path.trim_start_matches("src/").trim_start_matches("tests/");
    let path = path.trim_end_matches(".rs").trim_end_matches("/mod");
    path.replace('/', "::")
}

/// Files that `#[path = ".."]` puts elsewhere in the tree of modules, and those below them.
fn moved_modules(tree: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut moved = BTreeMap::new();
    for (path, text) in tree {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for (line, next) in text.lines().zip(text.lines().skip(1)) {
            let target = line
                .strip_prefix("#[path = \"")
                .and_then(|it| it.strip_suffix("\"]"));
            let name = next
                .split("mod ")
                .nth(1)
                .and_then(|it| it.strip_suffix(';'));
            let (Some(target), Some(name)) = (target, name) else {
                continue;
            };
            let (file, module) = (format!("{folder}/{target}"), module_of(path));
            let below = file.strip_suffix("mod.rs").map(str::to_owned);
            for other in tree.keys() {
                let inner = below
                    .as_ref()
                    .and_then(|below| other.strip_prefix(below.as_str()));
                if *other == file || inner == Some("mod.rs") {
                    moved.insert(other.clone(), format!("{module}::{name}"));
                } else if let Some(inner) = inner {
                    let inner = inner.trim_end_matches(".rs").replace('/', "::");
                    moved.insert(other.clone(), format!("{module}::{name}::{inner}"));
                }
            }
        }
    }
    moved
}

/// Tests that a row names and that are not there, or not one alone.
fn unknown_tests(rows: &[Row], tests: &BTreeSet<String>) -> Vec<String> {
    let mut wrong = Vec::new();
    for row in rows {
        let Kind::Tests(named) = &row.kind else {
            continue;
        };
        for name in named {
            let end = format!("::{name}");
            let is_it = |test: &&String| *test == name || test.ends_with(&end);
            let count = tests.iter().filter(is_it).count();
            if count != 1 || !name.contains("::") {
                wrong.push(format!("{}: {count} tests are `{name}`", row.place));
            }
        }
    }
    wrong
}

/// Each of Java's tests once, as many as its class has, and few that do not apply.
fn incomplete_classes(rows: &[Row], classes: &[(&str, usize)]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (class, count) in classes {
        let of_class: Vec<&Row> = rows.iter().filter(|row| row.section == *class).collect();
        let names: BTreeSet<&str> = of_class.iter().map(|row| row.asked.as_str()).collect();
        if names.len() != of_class.len() || names.len() != *count {
            let (rows, names) = (of_class.len(), names.len());
            wrong.push(format!(
                "{class}: {rows} rows of {names} names, there are {count}"
            ));
        }
        let is_none = |row: &&&Row| row.kind == Kind::DoesNotApply;
        let none = of_class.iter().filter(is_none).count();
        if none * 100 > count * DOES_NOT_APPLY_PERCENT {
            wrong.push(format!("{class}: {none} of {count} do not apply"));
        }
    }
    wrong
}

/// The line of a class in the summary: tests, held here, to come (by feature), not applying.
fn summary_of(class: &str, rows: &[Row]) -> String {
    let of_class: Vec<&Row> = rows.iter().filter(|row| row.section == class).collect();
    let mut to_come: BTreeMap<&str, usize> = BTreeMap::new();
    let (mut held, mut none) = (0, 0);
    for row in &of_class {
        match &row.kind {
            Kind::Tests(_) => held += 1,
            Kind::DoesNotApply => none += 1,
            Kind::ComesWith(feature) => *to_come.entry(feature).or_default() += 1,
        }
    }
    let to_come: Vec<String> = to_come
        .iter()
        .map(|(feature, count)| format!("{feature} {count}"))
        .collect();
    let to_come = if to_come.is_empty() {
        "0".to_owned()
    } else {
        to_come.join(", ")
    };
    format!(
        "| {class} | {} | {held} | {to_come} | {none} |",
        of_class.len()
    )
}

fn read(root: &Path, folder: &str, ending: &str, tree: &mut BTreeMap<String, String>) {
    let entries = std::fs::read_dir(root.join(folder)).expect("a folder of the repository");
    for path in entries.map(|entry| entry.expect("it can be read").path()) {
        let name = path.file_name().expect("it has one").to_string_lossy();
        let inner = format!("{folder}/{name}");
        if path.is_dir() {
            read(root, &inner, ending, tree);
        } else if name.ends_with(ending) {
            let text = std::fs::read_to_string(&path).expect("it is text");
            tree.insert(inner, text);
        }
    }
}

/// Every row of the tables that are held; panics if one has the wrong form.
fn tables() -> (Vec<Row>, BTreeSet<String>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut documents, mut sources) = (BTreeMap::new(), BTreeMap::new());
    read(root, "docs/parity", ".md", &mut documents);
    read(root, "src", ".rs", &mut sources);
    read(root, "tests", ".rs", &mut sources);
    sources.retain(|path, _| !path.starts_with("tests/support"));
    let (mut all, mut wrong) = (Vec::new(), Vec::new());
    for (file, text) in &documents {
        let (found, bad) = rows(file, text);
        all.extend(found);
        wrong.extend(bad);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    (all, tests_in(&sources))
}

/// Names of tests in text that is not held otherwise: long words of small letters.
fn tests_mentioned(text: &str) -> impl Iterator<Item = &str> {
    let in_code = text.split('`').skip(1).step_by(2);
    in_code
        .filter_map(|code| code.rsplit("::").next())
        .filter(|name| {
            name.bytes()
                .all(|it| it == b'_' || it.is_ascii_lowercase() || it.is_ascii_digit())
        })
        .filter(|name| name.matches('_').count() >= 4)
}

fn made_up_row(section: &str, asked: &str, kind: Kind) -> Row {
    Row {
        place: "x.md:1".to_owned(),
        section: section.to_owned(),
        asked: asked.to_owned(),
        kind,
    }
}

#[test]
fn rows_are_read_from_held_tables_only_and_by_kind() {
    let text = format!(
        "## ATest, more\n\n| a | b |\n|---|---|\n| x | y |\n\n{HEADING}\n|---|---|---|\n\
         | testOne | first | `m::one`, and `m::two` |\n| testTwo | second | comes with TLS |\n\
         | testThree | third | does not apply: Java only |\n"
    );
    let (found, wrong) = rows("x.md", &text);
    assert!(wrong.is_empty(), "{wrong:?}");
    let tests = ["m::one".to_owned(), "m::two".to_owned()];
    let kinds: Vec<&Kind> = found.iter().map(|row| &row.kind).collect();
    assert_eq!(
        kinds,
        [
            &Kind::Tests(tests.to_vec()),
            &Kind::ComesWith("TLS".to_owned()),
            &Kind::DoesNotApply
        ]
    );
    assert!(found.iter().all(|row| row.section == "ATest"));
}

#[test]
fn rows_without_a_test_a_reason_or_a_known_feature_are_refused() {
    for here in ["", "some day", "does not apply: ", "comes with time"] {
        assert!(kind(here).is_err(), "{here:?}");
    }
    let (_, wrong) = rows("x.md", &format!("{HEADING}\n|---|---|---|\n| a | b |\n"));
    assert_eq!(wrong, ["x.md:3: 2 cells instead of 3"]);
}

#[test]
fn tests_are_found_in_files_in_inline_modules_and_where_path_puts_them() {
    let tree = BTreeMap::from([
        (
            "src/a/b.rs".to_owned(),
            "mod tests {\n    #[test]\n    fn one() {}\n}\n".to_owned(),
        ),
        (
            "src/a/c.rs".to_owned(),
            "#[cfg(test)]\n#[path = \"c_tests/mod.rs\"]\nmod tests;\n".to_owned(),
        ),
        (
            "src/a/c_tests/mod.rs".to_owned(),
            "#[test]\nfn two() {}\nfn no_test() {}\n".to_owned(),
        ),
        (
            "src/a/c_tests/d.rs".to_owned(),
            "#[test]\n#[ignore]\nfn three() {}\n".to_owned(),
        ),
        (
            "tests/e.rs".to_owned(),
            "#[test]\nfn four() {}\n".to_owned(),
        ),
    ]);
    let found: Vec<String> = tests_in(&tree).into_iter().collect();
    assert_eq!(
        found,
        [
            "a::b::tests::one",
            "a::c::tests::d::three",
            "a::c::tests::two",
            "e::four"
        ]
    );
}

#[test]
fn unknown_tests_are_those_that_are_missing_ambiguous_or_without_a_module() {
    let tests = BTreeSet::from(["a::b::one".to_owned(), "a::c::one".to_owned()]);
    let named = |name: &str| {
        let kind = Kind::Tests(vec![name.to_owned()]);
        unknown_tests(&[made_up_row("T", "x", kind)], &tests).len()
    };
    assert_eq!((named("b::one"), named("a::c::one")), (0, 0));
    assert_eq!((named("b::two"), named("one"), named("d::one")), (1, 1, 1));
}

#[test]
fn incomplete_classes_miss_a_test_have_one_twice_or_too_many_that_do_not_apply() {
    let held = || Kind::Tests(vec!["a::b".to_owned()]);
    let row = |name: &str, kind| made_up_row("T", name, kind);
    let good = [row("a", held()), row("b", held())];
    assert!(incomplete_classes(&good, &[("T", 2)]).is_empty());
    assert_eq!(incomplete_classes(&good, &[("T", 3)]).len(), 1);
    let twice = [row("a", held()), row("a", held())];
    assert_eq!(incomplete_classes(&twice, &[("T", 2)]).len(), 1);
    let none = [row("a", held()), row("b", Kind::DoesNotApply)];
    assert_eq!(incomplete_classes(&none, &[("T", 2)]).len(), 1);
}

#[test]
fn every_test_that_a_table_names_exists() {
    let (rows, tests) = tables();
    assert!(tests.len() > 500, "the sources were not found");
    let wrong = unknown_tests(&rows, &tests);
    assert!(
        wrong.is_empty(),
        "{} are wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn no_document_of_parity_mentions_a_test_that_is_gone() {
    assert_eq!(
        tests_mentioned("`a::b_c_d_e_f`, b_c_d_e_f, `TLS`, `e_f`").collect::<Vec<_>>(),
        ["b_c_d_e_f"]
    );
    let (_, tests) = tables();
    let names: BTreeSet<&str> = tests
        .iter()
        .filter_map(|test| test.rsplit("::").next())
        .collect();
    let mut documents = BTreeMap::new();
    read(
        Path::new(env!("CARGO_MANIFEST_DIR")),
        "docs/parity",
        ".md",
        &mut documents,
    );
    for (file, text) in &documents {
        let gone: Vec<&str> = tests_mentioned(text)
            .filter(|name| !names.contains(name))
            .collect();
        assert!(gone.is_empty(), "{file}: {gone:?}");
    }
}

#[test]
fn every_test_of_javas_classes_has_one_row() {
    let (rows, _) = tables();
    let wrong = incomplete_classes(&rows, CLASSES);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_failure_rule_is_shown_by_a_test() {
    let (rows, _) = tables();
    let rules: Vec<&Row> = rows
        .iter()
        .filter(|row| row.place.starts_with("docs/parity/failure_rules.md"))
        .collect();
    assert!(rules.len() > 60, "only {} rules are left", rules.len());
    let is_shown = |row: &&&Row| matches!(row.kind, Kind::Tests(_));
    let open: Vec<&&Row> = rules.iter().filter(|row| !is_shown(row)).collect();
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn summary_counts_what_the_tables_hold() {
    let (rows, _) = tables();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let document = std::fs::read_to_string(root.join("docs/TESTING.md")).expect("it is there");
    let missing: Vec<String> = CLASSES
        .iter()
        .map(|(class, _)| summary_of(class, &rows))
        .filter(|line| !document.contains(line.as_str()))
        .collect();
    assert!(
        missing.is_empty(),
        "docs/TESTING.md lacks:\n{}",
        missing.join("\n")
    );
}
