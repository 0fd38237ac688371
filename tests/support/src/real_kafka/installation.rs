//! What a version of Kafka needs before a broker can start, made once and kept under `target/kafka`.
//!
//! Class path by Maven, our Java classes as a jar, a formatted log directory to copy, and an archive
//! of loaded classes (AppCDS) that halves the time of a start. Each is made aside and moved into
//! place in one step, so that test processes side by side never see half of one.
//!
//! The name of a version's folder contains a hash of everything that it is made from.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::cluster::ClusterOptions;
use super::failure::Failure;
use super::java_process::JavaProcess;
use super::node::{self, BrokerConfig, Quorum};
use super::port::{Port, ProcessLock};
use super::version::Version;

/// Another process may be at it; a cold Maven repository takes its time.
const BUILD: Duration = Duration::from_secs(300);

/// For a program that formats a directory or starts a broker on a busy machine.
pub(super) const START: Duration = Duration::from_secs(90);

const JAVA_SOURCES: [(&str, &str); 4] = [
    (
        "Launcher.java",
        include_str!("../../../kafka/Launcher.java"),
    ),
    ("Sidecar.java", include_str!("../../../kafka/Sidecar.java")),
    ("Records.java", include_str!("../../../kafka/Records.java")),
    (
        "Administration.java",
        include_str!("../../../kafka/Administration.java"),
    ),
];

const POM: &str = include_str!("../../../kafka/pom.xml");

/// What every JVM of a test is started with: quick to start, small.
const JVM: [&str; 7] = [
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    "-Xmx256m",
    "-Xshare:auto",
    // Warnings about an archive that does not fit must not come between a program's answers.
    "-Xlog:disable",
    "-Xlog:all=error:stderr",
];

/// Whether real brokers can run here, or why not.
///
/// # Errors
///
/// Names the program that is missing.
pub fn available() -> Result<(), Failure> {
    let path = env::var_os("PATH").unwrap_or_default();
    for program in ["java", "javac", "jar", "mvn"] {
        if !env::split_paths(&path).any(|folder| folder.join(program).is_file()) {
            return Err(Failure::new(format!(
                "real Kafka needs `{program}`, which is not on the PATH"
            )));
        }
    }
    Ok(())
}

/// One version, ready to start.
#[derive(Debug)]
pub(super) struct Installation {
    version: Version,
    folder: PathBuf,
    class_path: String,
}

impl Installation {
    /// The installation of `version`, made if this process is the first to want it.
    pub(super) fn of(version: Version) -> Result<Arc<Self>, Failure> {
        static MADE: Mutex<BTreeMap<Version, Arc<Installation>>> = Mutex::new(BTreeMap::new());
        // Held while it is made: whoever else wants it has to wait in any case.
        let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(installation) = made.get(&version) {
            return Ok(Arc::clone(installation));
        }
        available()?;
        let installation = Self::make(version)
            .map(Arc::new)
            .map_err(|e| e.during(&format!("preparing Kafka {version}")))?;
        made.insert(version, Arc::clone(&installation));
        Ok(installation)
    }

    fn make(version: Version) -> Result<Self, Failure> {
        let folder = cache().join(format!("{version}-{:016x}", recipe()));
        fs::create_dir_all(&folder)?;
        let _lock = ProcessLock::acquire(&cache().to_string_lossy(), BUILD);
        let jars = jars(version, &folder)?;
        let tools = tools()?;
        let installation = Self {
            version,
            class_path: format!("{jars}:{}", tools.display()),
            folder,
        };
        fs::write(installation.log_config(), version.log_config().1)?;
        if !version.needs_zookeeper() {
            installation.format()?;
        }
        installation.archive()?;
        Ok(installation)
    }

    /// The arguments of `java` for a main class that is started through our launcher.
    pub(super) fn launch(&self, main: &str, scratch: &Path) -> Vec<OsString> {
        let archive = format!(
            "-XX:SharedArchiveFile={}",
            self.folder.join("kafka.jsa").display()
        );
        self.arguments(&archive, "Launcher", scratch, &[main])
    }

    /// The arguments of `java` for the program that asks the cluster at `bootstrap`.
    pub(super) fn sidecar(&self, bootstrap: &str, scratch: &Path) -> Vec<OsString> {
        let archive = format!(
            "-XX:SharedArchiveFile={}",
            self.folder.join("kafka.jsa").display()
        );
        self.arguments(&archive, "Sidecar", scratch, &[bootstrap])
    }

    /// A formatted log directory to copy for each node; there is none with ZooKeeper.
    pub(super) fn formatted(&self) -> PathBuf {
        self.folder.join("formatted")
    }

    fn log_config(&self) -> PathBuf {
        self.folder.join("log.properties")
    }

    fn arguments(&self, archive: &str, main: &str, scratch: &Path, rest: &[&str]) -> Vec<OsString> {
        let (logging, _) = self.version.log_config();
        let mut arguments: Vec<OsString> = JVM.iter().map(OsString::from).collect();
        arguments.extend([
            archive.into(),
            format!("-D{logging}=file:{}", self.log_config().display()).into(),
            // A killed JVM leaves the native libraries of its codecs there.
            format!("-Djava.io.tmpdir={}", scratch.display()).into(),
            "-cp".into(),
            self.class_path.as_str().into(),
            main.into(),
        ]);
        arguments.extend(rest.iter().map(OsString::from));
        arguments
    }

    fn format(&self) -> Result<(), Failure> {
        make_once(&self.formatted(), |made| {
            let scratch = tempfile::tempdir()?;
            let config = BrokerConfig::new(1, 1, &Quorum::new(self.version, &[2]), scratch.path());
            let options = ClusterOptions::new(self.version);
            let file = config.write(&options)?;
            let mut arguments = self.launch("kafka.tools.StorageTool", scratch.path());
            for argument in ["format", "-t", node::CLUSTER_ID, "-c"] {
                arguments.push(argument.into());
            }
            arguments.push(file.into());
            let log = scratch.path().join("format.log");
            let mut format = JavaProcess::spawn_logged(&arguments, &log)?;
            format.await_end(START)?;
            Ok(fs::rename(config.data(), made)?)
        })
    }

    /// Runs a broker once, with everything that a test's broker does at its start, and lets the JVM
    /// write down the classes that it has loaded. Without it all works, only slower.
    fn archive(&self) -> Result<(), Failure> {
        make_once(&self.folder.join("kafka.jsa"), |made| {
            let scratch = tempfile::tempdir()?;
            let record = format!("-XX:ArchiveClassesAtExit={}", made.display());
            let ports = (Port::reserve()?, Port::reserve()?);
            let quorum = Quorum::new(self.version, &[ports.1.number()]);
            let _zookeeper = quorum.start_zookeeper(self, scratch.path())?;
            let config = BrokerConfig::new(1, ports.0.number(), &quorum, scratch.path());
            let options = ClusterOptions::new(self.version);
            let file = config.prepare(self, &options)?;
            let mut arguments =
                self.arguments(&record, "Launcher", scratch.path(), &["kafka.Kafka"]);
            arguments.push(file.into());
            let mut broker =
                JavaProcess::spawn_logged(&arguments, &scratch.path().join("broker.log"))?;
            broker.await_log(node::started(self.version), START)?;
            broker.stop(START)
        })
    }
}

/// Where all versions are kept: in the target directory of this build.
fn cache() -> PathBuf {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"),
        PathBuf::from,
    );
    let target = std::path::absolute(&target).unwrap_or(target);
    target.canonicalize().unwrap_or(target).join("kafka")
}

/// A number that changes with everything the cached things are made from (FNV-1a).
fn recipe() -> u64 {
    let texts = JAVA_SOURCES
        .iter()
        .map(|(_, text)| *text)
        .chain([POM])
        .chain(JVM);
    texts
        .flat_map(str::bytes)
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
}

/// Lets `make` write to a name aside and moves the result to `path`, unless it is there.
fn make_once(path: &Path, make: impl FnOnce(&Path) -> Result<(), Failure>) -> Result<(), Failure> {
    if path.exists() {
        return Ok(());
    }
    let mut aside = path.as_os_str().to_owned();
    aside.push(format!(".{}", process::id()));
    let aside = PathBuf::from(aside);
    make(&aside).map_err(|e| e.during(&format!("making {}", path.display())))?;
    match fs::rename(&aside, path) {
        Err(error) if !path.exists() => Err(error.into()),
        // Another process was faster; a folder stays where it is.
        Err(_) => Ok(fs::remove_dir_all(&aside)?),
        Ok(()) => Ok(()),
    }
}

/// The jars of a version, joined by `:`.
fn jars(version: Version, folder: &Path) -> Result<String, Failure> {
    let list = folder.join("class_path.txt");
    let known = fs::read_to_string(&list).unwrap_or_default();
    if !known.is_empty() && known.split(':').all(|jar| Path::new(jar).exists()) {
        return Ok(known);
    }
    // Known but cleaned away from Maven's repository: the archive refers to them by time, too.
    if list.exists() {
        fs::remove_file(&list)?;
        let _ = fs::remove_file(folder.join("kafka.jsa"));
    }
    make_once(&list, |made| {
        let scratch = tempfile::tempdir()?;
        let pom = scratch.path().join("pom.xml");
        fs::write(&pom, POM)?;
        let [group, artifact, logging] = version.logging();
        let mut maven = Command::new("mvn");
        maven.args(["-q", "-B", "-f"]).arg(&pom);
        maven.arg(format!("-Dkafka.version={version}"));
        maven.args([
            format!("-Dlogging.group={group}"),
            format!("-Dlogging.artifact={artifact}"),
        ]);
        maven.args([
            format!("-Dlogging.version={logging}"),
            "dependency:build-classpath".to_owned(),
        ]);
        maven.arg(format!("-Dmdep.outputFile={}", made.display()));
        run(maven)
    })?;
    Ok(fs::read_to_string(&list)?)
}

/// Our own classes, compiled against the newest Kafka, in a jar: class archives know no folders.
fn tools() -> Result<PathBuf, Failure> {
    let newest = cache().join(format!("{}-{:016x}", Version::V4_3_1, recipe()));
    fs::create_dir_all(&newest)?;
    let jar = cache().join(format!("tools-{:016x}.jar", recipe()));
    let jars = jars(Version::V4_3_1, &newest)?;
    make_once(&jar, |made| {
        let scratch = tempfile::tempdir()?;
        let classes = scratch.path().join("classes");
        let mut javac = Command::new("javac");
        javac.args(["-cp", &jars, "-d"]).arg(&classes);
        for (name, text) in JAVA_SOURCES {
            let file = scratch.path().join(name);
            fs::write(&file, text)?;
            javac.arg(file);
        }
        run(javac)?;
        let mut archiver = Command::new("jar");
        archiver
            .args(["--create", "--file"])
            .arg(made)
            .arg("-C")
            .arg(&classes)
            .arg(".");
        run(archiver)
    })?;
    Ok(jar)
}

fn run(mut command: Command) -> Result<(), Failure> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    let program = command.get_program().to_string_lossy().into_owned();
    let said = [output.stdout, output.stderr].concat();
    Err(Failure::new(format!(
        "{program} ended with {}:\n{}",
        output.status,
        String::from_utf8_lossy(&said)
    )))
}
