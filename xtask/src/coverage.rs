//! Which lines of the library simulation alone reaches: the test binary is built anew with
//! `-C instrument-coverage`, simulates, and LLVM's own tools read what it left.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::run::Step;

/// Folders that are told apart; what is nowhere else counts as the rest.
const FOLDERS: &[&str] = &["src/network/", "src/client/", "src/producer/"];

/// Files that the simulator replaces: epoll and sockets, the only ones of the room that name mio's.
const REPLACED: &[&str] = &["src/network/poller.rs", "src/network/transport.rs"];

/// `cargo xtask coverage [--seeds N] [--from S]`
pub(crate) fn coverage(environment: &[(&'static str, String)]) -> Result<(), String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask lies in the root");
    let target = root.join("target/coverage");
    let raw = target.join("sim.profraw");
    let build = || {
        Step::cargo(
            "test --package kafka-producer --lib --profile sim --target-dir target/coverage",
        )
        .env("RUSTFLAGS", "-C instrument-coverage")
        .env("LLVM_PROFILE_FILE", &raw)
    };
    build().arguments("--quiet --no-run").run()?;
    let mut step = build()
        .arguments("--quiet -- --exact sim::commands::command --nocapture")
        .env("SIM_COMMAND", "cover");
    for (name, value) in environment {
        step = step.env(name, value);
    }
    step.run()?;
    let merged = target.join("sim.profdata");
    Step::new(tool("llvm-profdata")?)
        .arguments("merge -sparse -o")
        .argument(&merged)
        .argument(&raw)
        .run()?;
    let listing = Step::new(tool("llvm-cov")?)
        .arguments("export --format=lcov --instr-profile")
        .argument(&merged)
        .argument(newest_binary(&target)?)
        .output()
        .ok_or("llvm-cov export failed")?;
    println!("{}", table(&listing, &root.to_string_lossy()));
    Ok(())
}

/// Rust's own copy of the tool, which understands what Rust's LLVM writes.
fn tool(name: &str) -> Result<PathBuf, String> {
    let sysroot = Step::new("rustc")
        .arguments("--print target-libdir")
        .output()
        .ok_or("rustc --print target-libdir failed")?;
    let path = Path::new(sysroot.trim()).with_file_name("bin").join(name);
    if path.exists() {
        Ok(path)
    } else {
        Err(format!(
            "{name} is missing: rustup component add llvm-tools"
        ))
    }
}

fn newest_binary(target: &Path) -> Result<PathBuf, String> {
    let folder = target.join("sim/deps");
    let entries =
        std::fs::read_dir(&folder).map_err(|why| format!("{}: {why}", folder.display()))?;
    let is_binary = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("kafka_producer-") && path.extension().is_none()
    };
    let files = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let newest = files
        .filter(is_binary)
        .max_by_key(|path| path.metadata().and_then(|of| of.modified()).ok());
    newest.ok_or_else(|| format!("no test binary in {}", folder.display()))
}

/// Lines and covered lines by file, from LCOV; lines of tests do not count.
fn table(lcov: &str, root: &str) -> String {
    let mut files: BTreeMap<String, (u32, u32)> = BTreeMap::new();
    let mut file = None;
    let mut tests_from = u32::MAX;
    for line in lcov.lines() {
        if let Some(path) = line.strip_prefix("SF:") {
            let name = path.strip_prefix(root).unwrap_or(path);
            let name = name.trim_start_matches('/').to_owned();
            tests_from = first_line_of_tests(path);
            file = is_counted(&name).then_some(name);
        } else if let (Some(data), Some(file)) = (line.strip_prefix("DA:"), &file) {
            let mut numbers = data.split(',').map(|number| number.parse().unwrap_or(0));
            let (at, hits): (u64, u64) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
            if at < u64::from(tests_from) {
                let count = files.entry(file.clone()).or_default();
                count.0 += 1;
                count.1 += u32::from(hits > 0);
            }
        }
    }
    let mut text = String::new();
    for folder in FOLDERS {
        let inside: Vec<_> = files
            .iter()
            .filter(|(name, _)| name.starts_with(folder))
            .collect();
        let lines: u32 = inside.iter().map(|(_, count)| count.0).sum();
        let covered: u32 = inside.iter().map(|(_, count)| count.1).sum();
        text.push_str(&row(folder, (lines, covered)));
        for (name, count) in inside {
            text.push_str(&row(&format!("  {name}"), *count));
        }
    }
    text
}

fn row(name: &str, (lines, covered): (u32, u32)) -> String {
    let percent = f64::from(covered) * 100.0 / f64::from(lines.max(1));
    format!("{name:<58} {covered:>6} of {lines:>6} lines {percent:>6.1} %\n")
}

/// The library's own code, without what holds only tests or is replaced.
fn is_counted(name: &str) -> bool {
    let is_test = name.split('/').any(|part| {
        let part = part.trim_end_matches(".rs");
        part == "tests" || part.ends_with("_tests") || part.starts_with("mock_")
    });
    name.starts_with("src/")
        && !is_test
        && !REPLACED.contains(&name)
        && !name.ends_with("/simulated.rs")
}

/// Where the tests at the end of a file begin.
fn first_line_of_tests(path: &str) -> u32 {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let tests = lines
        .windows(2)
        .position(|two| two[0] == "#[cfg(test)]" && two[1].starts_with("mod "));
    tests.map_or(u32::MAX, |at| u32::try_from(at + 1).unwrap_or(u32::MAX))
}
