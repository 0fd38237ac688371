//! The producer against real brokers that are broken on purpose: builds and runs `tests/chaos`.
//!
//! What a run writes lies in `target/chaos/PID`, with the process id of who asked for it. It is
//! removed after a good run; what runs that were interrupted left there, by the next one.

use std::path::{Path, PathBuf};
use std::{fs, io, process};

use crate::run::Step;

/// `cargo xtask chaos [--seconds N] [--seed S] …`: see `tests/chaos/src/args.rs`.
pub(crate) fn run(words: impl Iterator<Item = String>) -> Result<(), String> {
    let folder = folder().map_err(|e| format!("target/chaos: {e}"))?;
    // Optimised, with all assertions on.
    let chaos = "--package kafka-producer-chaos --bin chaos --profile sim --quiet";
    Step::cargo("build").arguments(chaos).run()?;
    let mut step = Step::cargo("run").arguments(chaos).argument("--");
    for word in words {
        step = step.argument(word);
    }
    step.env("TMPDIR", &folder).run_without_time()?;
    fs::remove_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))
}

/// An empty folder of ours; those of processes that are gone are removed.
fn folder() -> io::Result<PathBuf> {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/chaos");
    fs::create_dir_all(&all)?;
    for entry in fs::read_dir(&all)? {
        let entry = entry?;
        if !Path::new("/proc").join(entry.file_name()).exists() {
            fs::remove_dir_all(entry.path())?;
        }
    }
    let ours = all.canonicalize()?.join(process::id().to_string());
    fs::create_dir_all(&ours)?;
    Ok(ours)
}
