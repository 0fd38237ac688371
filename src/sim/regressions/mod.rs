//! Scenarios that failed once, as files beside this one; every campaign runs them first, and so does
//! `cargo test`. A file is what `cargo xtask sim` printed of a failure after it was shrunk, below a
//! comment that tells what was wrong.
//!
//! Thread: any. Locks: none.

use std::fs;
use std::path::PathBuf;

use super::scenario::Scenario;
use super::text;

/// All of them with their names, in the order of these.
///
/// # Panics
/// If a file is not a scenario.
pub(super) fn all() -> Vec<(String, Scenario)> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src/sim/regressions"));
    let entries = fs::read_dir(&folder).expect("the folder is in the repository");
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("it can be read").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    files.sort();
    let read = |path: &PathBuf| {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let text = fs::read_to_string(path).expect("it can be read");
        match text::read(&text) {
            Ok(scenario) => (name.into_owned(), scenario),
            Err(why) => panic!("{}: {why}", path.display()),
        }
    };
    files.iter().map(read).collect()
}

#[test]
fn regressions_hold() {
    for (name, scenario) in all() {
        let report = super::attempt::attempt(&scenario, false);
        assert_eq!(report.violations, [], "{name} fails again");
    }
}
