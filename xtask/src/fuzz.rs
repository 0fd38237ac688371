//! `cargo xtask fuzz [--seconds N] [TARGET]`: builds the targets of `fuzz/` for libFuzzer, replays what
//! is committed for each, and lets each look for more.
//!
//! Needs a C++ compiler and nothing else: the flags that `cargo fuzz` would give are given here, and
//! they work with a stable compiler.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::run::Step;

const USAGE: &str = "usage: cargo xtask fuzz [--seconds N] [TARGET]";

/// What counts branches and compares, without a sanitizer: there is no unsafe code here to sanitize.
const FLAGS: [&str; 7] = [
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cllvm-args=-simplifycfg-branch-fold-threshold=0",
];

/// No input takes a hundredth of it; one that takes all of it hangs.
const SECONDS_PER_INPUT: u32 = 10;

#[derive(Debug, PartialEq, Eq)]
struct Arguments {
    seconds: u32,
    target: Option<String>,
}

/// One target's programs and folders.
struct Fuzz {
    root: PathBuf,
    host: String,
}

/// What came of a target.
struct Found {
    executions: u64,
    crashed: bool,
}

pub(crate) fn run(arguments: impl Iterator<Item = String>) -> Result<(), String> {
    let Arguments { seconds, target } = parse(arguments)?;
    let fuzz = Fuzz {
        root: Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz"),
        host: host()?,
    };
    let all = fuzz.targets()?;
    let chosen: Vec<&String> = match &target {
        Some(name) if !all.contains(name) => {
            return Err(format!("no target {name:?}; there are {}", all.join(", ")));
        }
        Some(name) => vec![name],
        None => all.iter().collect(),
    };
    fuzz.build()?;
    let started = Instant::now();
    let (mut executions, mut crashes) = (0, 0);
    for name in &chosen {
        let found = fuzz.run_target(name, seconds)?;
        executions += found.executions;
        crashes += u32::from(found.crashed);
    }
    println!(
        "fuzz: targets={} executions={executions} crashes={crashes} seconds={}",
        chosen.len(),
        started.elapsed().as_secs()
    );
    match crashes {
        0 => Ok(()),
        _ => Err(format!("{crashes} targets crashed")),
    }
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut parsed = Arguments {
        seconds: 20,
        target: None,
    };
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--seconds" => {
                let seconds = arguments.next().and_then(|value| value.parse().ok());
                parsed.seconds = seconds
                    .filter(|seconds| *seconds > 0)
                    .ok_or_else(|| format!("--seconds needs a whole number from 1\n{USAGE}"))?;
            }
            option if option.starts_with('-') => {
                return Err(format!("no option {option}\n{USAGE}"));
            }
            name if parsed.target.is_none() => parsed.target = Some(name.to_owned()),
            more => return Err(format!("one target at a time, not {more} too\n{USAGE}")),
        }
    }
    Ok(parsed)
}

/// The machine's own triple: named, so that only the targets are built for fuzzing, and not what runs
/// while they are built.
fn host() -> Result<String, String> {
    let said = Step::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
        .arguments("-vV")
        .output()
        .ok_or("rustc does not run")?;
    said.lines()
        .find_map(|line| line.strip_prefix("host: "))
        .map(str::to_owned)
        .ok_or_else(|| "rustc does not say what it runs on".to_owned())
}

impl Fuzz {
    /// One file each.
    fn targets(&self) -> Result<Vec<String>, String> {
        let folder = self.root.join("fuzz_targets");
        let entries = std::fs::read_dir(&folder).map_err(|e| format!("{folder:?}: {e}"))?;
        let name = |entry: std::io::Result<std::fs::DirEntry>| {
            let path = entry.ok()?.path();
            Some(path.file_stem()?.to_string_lossy().into_owned())
        };
        let mut targets: Vec<String> = entries.filter_map(name).collect();
        targets.sort_unstable();
        Ok(targets)
    }

    fn build(&self) -> Result<(), String> {
        Step::cargo("build --manifest-path fuzz/Cargo.toml --release --locked --target")
            .arguments(&self.host)
            .env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\x1f"))
            .run()
    }

    fn run_target(&self, name: &str, seconds: u32) -> Result<Found, String> {
        let committed = self.root.join("corpus").join(name);
        // What is found here and adds nothing to the repository; the next run goes on from it.
        let own = self.root.join("target/corpus").join(name);
        let artifacts = self.root.join("artifacts").join(name);
        for folder in [&own, &artifacts] {
            std::fs::create_dir_all(folder).map_err(|e| format!("{folder:?}: {e}"))?;
        }
        let log = self.root.join("target/corpus").join(format!("{name}.log"));
        let (status, replayed) = self.libfuzzer(name, &["-runs=0"], &[&committed], &log)?;
        if !status {
            return Ok(self.crashed(name, &log, replayed));
        }
        let limit = format!("-max_total_time={seconds}");
        let (status, executions) = self.libfuzzer(name, &[&limit], &[&own, &committed], &log)?;
        if !status {
            return Ok(self.crashed(name, &log, executions));
        }
        println!(
            "{name}: {executions} executions, {} a second",
            executions / u64::from(seconds)
        );
        Ok(Found {
            executions,
            crashed: false,
        })
    }

    /// Whether it ended well, and how many inputs it ran.
    fn libfuzzer(
        &self,
        name: &str,
        options: &[&str],
        folders: &[&PathBuf],
        log: &Path,
    ) -> Result<(bool, u64), String> {
        let program = self.program(name);
        let file = File::create(log).map_err(|e| format!("{log:?}: {e}"))?;
        let artifacts = self.root.join("artifacts").join(name);
        let status = Command::new(&program)
            .args(options)
            .arg(format!("-timeout={SECONDS_PER_INPUT}"))
            .args(["-rss_limit_mb=512", "-max_len=8192", "-print_final_stats=1"])
            .arg(format!("-artifact_prefix={}/", artifacts.display()))
            .args(folders)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .status()
            .map_err(|e| format!("{}: {e}", program.display()))?;
        let told = read(log);
        let executions = told
            .lines()
            .find_map(|line| line.strip_prefix("stat::number_of_executed_units:"))
            .and_then(|count| count.trim().parse().ok());
        Ok((status.success(), executions.unwrap_or(0)))
    }

    fn program(&self, name: &str) -> PathBuf {
        self.root
            .join("target")
            .join(&self.host)
            .join("release")
            .join(name)
    }

    /// Says what happened and how to see it again.
    fn crashed(&self, name: &str, log: &Path, executions: u64) -> Found {
        let told = read(log);
        println!("{name}: CRASHED");
        let panic = told
            .lines()
            .skip_while(|line| !line.contains("panicked at"));
        for line in panic.take(4) {
            println!("  {line}");
        }
        let input = told
            .lines()
            .find_map(|line| line.split_once("Test unit written to "));
        if let Some((_, input)) = input {
            println!("  again:  {} {input}", self.program(name).display());
            println!("  keep:   cp {input} fuzz/corpus/{name}/found_...");
        }
        println!("  log:    {}", log.display());
        Found {
            executions,
            crashed: true,
        }
    }
}

/// Not all of it needs to be text.
fn read(log: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(log).unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Arguments, String> {
        parse(text.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn arguments_in_any_order_are_taken() {
        let all = parsed("").expect("nothing is enough");
        assert_eq!((all.seconds, all.target), (20, None));
        let one = parsed("decode_produce --seconds 3").expect("both");
        assert_eq!(
            (one.seconds, one.target.as_deref()),
            (3, Some("decode_produce"))
        );
    }

    #[test]
    fn arguments_that_mean_nothing_are_refused_by_name() {
        for (text, named) in [
            ("--seconds", "--seconds needs"),
            ("--seconds 0", "--seconds needs"),
            ("--second 3", "--second"),
            ("a b", "not b too"),
        ] {
            let refused = parsed(text).expect_err(text);
            assert!(refused.contains(named), "{refused}");
        }
    }
}
