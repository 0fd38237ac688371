//! A test that is killed leaves no broker behind.
//!
//! This very program is started again as the one to be killed.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{self, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use kafka_test_support::real_kafka::{ClusterOptions, Failure, RealKafka, Version};

use crate::{Entry, Outcome, ensure};

/// Makes this program hold brokers and wait to be killed. Its value: a version.
pub(crate) const HOLDER: &str = "REAL_KAFKA_TEST_HOLDER";

pub(crate) const TRIALS: &[Entry] = &[
    Entry::new("holder_killed_leaves_no_broker_or_zookeeper", |_| {
        killed(Version::V2_8_2, false)
    }),
    Entry::new("holder_killed_leaves_no_frozen_broker", |_| {
        killed(Version::V4_3_1, true)
    }),
];

/// Starts a broker, says the process ids of all that runs for it, and never returns.
pub(crate) fn hold() -> ! {
    let wanted = env::var(HOLDER).unwrap_or_default();
    let (version, freeze) = wanted.split_once(' ').unwrap();
    let version = Version::ALL
        .into_iter()
        .find(|v| v.as_str() == version)
        .unwrap();
    let kafka = RealKafka::start(&ClusterOptions::new(version)).unwrap();
    kafka.java_partitions("none", &[]).unwrap();
    if freeze == "true" {
        kafka.pause_node(1).unwrap();
    }
    println!("holding");
    loop {
        thread::park();
    }
}

fn killed(version: Version, freeze: bool) -> Outcome {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("orphans-{version}"));
    fs::create_dir_all(&folder)?;
    let mut holder = Command::new(env::current_exe()?)
        .env(HOLDER, format!("{version} {freeze}"))
        // The killed one cannot clear up after itself.
        .env("TMPDIR", &folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut said = String::new();
    BufReader::new(holder.stdout.take().unwrap()).read_line(&mut said)?;
    let descendants = descendants(holder.id());
    holder.kill()?;
    holder.wait()?;
    ensure(said == "holding\n", || format!("the holder said `{said}`"))?;
    // Broker and sidecar; a ZooKeeper, or the one that ends the freezing.
    ensure(descendants.len() >= 3, || {
        format!("started: {descendants:?}")
    })?;
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let left: Vec<_> = descendants
            .iter()
            .filter(|process| is_alive(process))
            .collect();
        if left.is_empty() {
            return Ok(fs::remove_dir_all(&folder)?);
        }
        if Instant::now() > deadline {
            return Err(Failure::new(format!("still there: {left:?}")).into());
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// Process id and start time, which tell a process from a later one of the same id.
#[derive(Debug, PartialEq)]
struct Process {
    id: u32,
    started: String,
    command: String,
}

fn descendants(of: u32) -> Vec<Process> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let id = entry.file_name().to_string_lossy().parse::<u32>();
        if let Some((process, parent)) = id.ok().and_then(stat) {
            if parent == of && process.id != process::id() {
                found.push(process);
            }
        }
    }
    found
}

fn is_alive(process: &Process) -> bool {
    stat(process.id).is_some_and(|(now, _)| now == *process)
}

/// A process and its parent; none if it is gone, if only as a zombie that nobody has buried.
fn stat(id: u32) -> Option<(Process, u32)> {
    let text = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let (front, back) = text.rsplit_once(") ")?;
    let fields: Vec<&str> = back.split(' ').collect();
    let (state, parent) = (*fields.first()?, fields.get(1)?.parse().ok()?);
    let process = Process {
        id,
        started: (*fields.get(19)?).to_owned(),
        command: front.split_once(" (")?.1.to_owned(),
    };
    (state != "Z").then_some((process, parent))
}
