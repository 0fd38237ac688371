//! Lock interleavings: the models of `tests/interleave`, small ones in every order under loom, all
//! of them in many orders under shuttle. Both run at once; a seed fixes what shuttle tries.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Instant;

use crate::run::Step;

/// What the command line says, to be passed on.
#[derive(Default)]
struct Options {
    passed_on: Vec<String>,
    replays: bool,
}

/// What the lines of one checker add up to.
#[derive(Default)]
struct Sum {
    models: BTreeSet<String>,
    schedules: u64,
    failures: u64,
}

/// Runs them all and ends with a line for scripts.
pub(crate) fn run(words: impl Iterator<Item = String>) -> Result<(), String> {
    let options = options(words)?;
    let started = Instant::now();
    let checkers = if options.replays {
        &["shuttle"][..]
    } else {
        &["loom", "shuttle"]
    };
    let mut running = Vec::new();
    for checker in checkers {
        build(checker)?;
        running.push((checker, start(checker, &options)?));
    }
    let mut sum = Sum::default();
    for (checker, child) in running {
        sum.add(checker, child)?;
    }
    println!(
        "interleave: models={} schedules={} failures={} seconds={}",
        sum.models.len(),
        sum.schedules,
        sum.failures,
        started.elapsed().as_secs()
    );
    if sum.failures == 0 {
        Ok(())
    } else {
        Err(format!("{} models do not hold", sum.failures))
    }
}

fn options(mut words: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options::default();
    while let Some(word) = words.next() {
        let known = [
            "--schedules",
            "--seed",
            "--preemptions",
            "--model",
            "--replay",
        ];
        if !known.contains(&word.as_str()) {
            return Err(format!(
                "interleave: no option {word:?}, only {}",
                known.join(", ")
            ));
        }
        let value = words
            .next()
            .ok_or_else(|| format!("interleave: {word} needs a value"))?;
        let value = if word == "--replay" {
            options.replays = true;
            let file = Path::new(&value).canonicalize();
            file.map_err(|e| format!("interleave: {value}: {e}"))?
                .to_string_lossy()
                .into_owned()
        } else {
            value
        };
        options.passed_on.extend([word, value]);
    }
    Ok(options)
}

/// Own flags mean own artefacts: each checker has a folder, so that nobody else builds anew.
fn folder(checker: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    let root = root.expect("xtask lies in the root");
    root.join("target/interleave").join(checker)
}

fn build(checker: &str) -> Result<(), String> {
    Step::cargo("build --package kafka-producer-interleave --profile interleave")
        .arguments("--target-dir")
        .arguments(&folder(checker).to_string_lossy())
        .env(
            "RUSTFLAGS",
            format!("--cfg interleave --cfg interleave=\"{checker}\""),
        )
        .run()
}

fn start(checker: &str, options: &Options) -> Result<Child, String> {
    let folder = folder(checker);
    let program = folder.join("interleave/interleave");
    Step::new(&program)
        .into_command()
        .args(&options.passed_on)
        // Where schedules that fail are written.
        .current_dir(&folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|e| format!("{}: {e}", program.display()))
}

impl Sum {
    /// Waits for a checker; one that dies in the middle of a model counts as a failure of it.
    fn add(&mut self, checker: &str, mut child: Child) -> Result<(), String> {
        let mut said = String::new();
        let mut output = child.stdout.take().expect("its output is ours");
        output
            .read_to_string(&mut said)
            .map_err(|e| format!("{checker}: {e}"))?;
        let status = child.wait().map_err(|e| format!("{checker}: {e}"))?;
        let before = self.failures;
        said.lines().for_each(|line| self.add_line(line));
        if !status.success() && self.failures == before {
            println!("{checker}: {status}");
            self.failures += 1;
        }
        Ok(())
    }

    /// Such as `model=flush checker=loom schedules=42546 failures=0`.
    fn add_line(&mut self, line: &str) {
        for field in line.split_whitespace() {
            match field.split_once('=') {
                Some(("model", name)) => {
                    self.models.insert(name.to_owned());
                }
                Some(("schedules", number)) => self.schedules += number.parse().unwrap_or(0),
                Some(("failures", number)) => self.failures += number.parse().unwrap_or(0),
                _ => {}
            }
        }
    }
}
