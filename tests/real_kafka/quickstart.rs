//! The example does against real brokers what the README says.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};
use std::{env, fs, thread};

use kafka_test_support::real_kafka::{NewTopic, Version};
use libtest_mimic::Failed;

use crate::stage::Stage;
use crate::{Outcome, VersionEntry, ensure};

pub(crate) const EACH_VERSION: &[VersionEntry] = &[VersionEntry::new(
    "quickstart_reads_back_what_was_acknowledged",
    quickstart,
)];

const BUILD: Duration = Duration::from_secs(400);
const RUN: Duration = Duration::from_secs(120);

const LAST_LINE: &str = "quickstart: acknowledged=100000 failed=0 read_back=100000";

fn quickstart(stage: &Stage, version: Version) -> Outcome {
    let program = program()?;
    let kafka = stage.kafka(version)?;
    kafka.create_topic(&NewTopic::new("quickstart", 3))?;
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let output = folder.join(format!("quickstart-{version}.txt"));
    let mut run = Command::new(program)
        .args([
            "--bootstrap-server",
            &kafka.bootstrap(),
            "--topic",
            "quickstart",
        ])
        .stdin(Stdio::null())
        .stdout(fs::File::create(&output)?)
        .spawn()?;
    let succeeded = within(&mut run, RUN)?;
    let said = fs::read_to_string(&output)?;
    let is_so = succeeded && said.lines().last() == Some(LAST_LINE);
    ensure(is_so, || format!("it said:\n{said}"))?;
    Ok(fs::remove_file(&output)?)
}

/// `cargo test` builds the example, `cargo test --test real_kafka` does not: then it is built here.
fn program() -> Result<PathBuf, Failed> {
    let tests = env::current_exe()?;
    let profile = tests.parent().and_then(Path::parent);
    let profile = profile.ok_or("the folder of the profile is not there")?;
    let program = profile.join("examples").join("quickstart");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let built = fs::metadata(&program).and_then(|program| program.modified());
    let folders = ["src", "examples", "tests/support/src"].map(|folder| newest(&root.join(folder)));
    if built.is_ok_and(|built| {
        folders
            .into_iter()
            .flatten()
            .all(|changed| changed <= built)
    }) {
        return Ok(program);
    }
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .args([
            "build",
            "--quiet",
            "--example",
            "quickstart",
            "--target-dir",
        ])
        .arg(profile.parent().ok_or("the target folder is not there")?)
        .current_dir(root)
        .stdin(Stdio::null());
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    let built = within(&mut cargo.spawn()?, BUILD)?;
    ensure(built && program.is_file(), || {
        "it cannot be built".to_owned()
    })?;
    Ok(program)
}

/// When a file of the folder, or of those in it, was last changed.
fn newest(folder: &Path) -> Option<SystemTime> {
    let entries = fs::read_dir(folder).ok()?;
    let times = entries.flatten().filter_map(|entry| {
        let metadata = entry.metadata().ok()?;
        match metadata.is_dir() {
            true => newest(&entry.path()),
            false => metadata.modified().ok(),
        }
    });
    times.max()
}

/// Waits for a process, but not for ever; whether it succeeded.
fn within(process: &mut Child, limit: Duration) -> Result<bool, Failed> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = process.try_wait()? {
            return Ok(status.success());
        }
        if Instant::now() > deadline {
            process.kill()?;
            process.wait()?;
            return Err(format!("it did not end within {limit:?}").into());
        }
        thread::sleep(Duration::from_millis(20));
    }
}
