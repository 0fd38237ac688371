//! One broker of a cluster: its configuration, its files, its process.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use super::cluster::ClusterOptions;
use super::failure::Failure;
use super::installation::{Installation, START};
use super::java_process::{self, JavaProcess};
use super::port::Port;
use super::version::Version;

/// 16 bytes in base64; every cluster of the tests has the same, as it lies in the formatted files.
pub(super) const CLUSTER_ID: &str = "MkU3OEVBNTcwNTJENDM2Qg";

/// Who decides in the cluster: KRaft controllers, which are brokers too, or a ZooKeeper.
#[derive(Debug, Clone)]
pub(super) struct Quorum {
    zookeeper: bool,
    /// The controllers of the nodes 1, 2, 3, or the one ZooKeeper.
    ports: Vec<u16>,
}

impl Quorum {
    pub(super) fn new(version: Version, ports: &[u16]) -> Self {
        Self {
            zookeeper: version.needs_zookeeper(),
            ports: ports.to_vec(),
        }
    }

    /// The ZooKeeper, running, if there is to be one.
    pub(super) fn start_zookeeper(
        &self,
        installation: &Installation,
        folder: &Path,
    ) -> Result<Option<JavaProcess>, Failure> {
        let Some(port) = self.ports.first().filter(|_| self.zookeeper) else {
            return Ok(None);
        };
        let data = folder.join("zookeeper");
        fs::create_dir_all(&data)?;
        let file = folder.join("zookeeper.properties");
        let properties = format!(
            "dataDir={}\nclientPort={port}\nclientPortAddress=127.0.0.1\n\
             admin.enableServer=false\ntickTime=500\nmaxClientCnxns=0\n",
            data.display()
        );
        fs::write(&file, properties)?;
        let main = "org.apache.zookeeper.server.quorum.QuorumPeerMain";
        let mut arguments = installation.launch(main, folder);
        arguments.push(file.into());
        let log = folder.join("zookeeper.log");
        let mut process = JavaProcess::spawn_logged(&arguments, &log)?;
        process.await_log("binding to port", START)?;
        Ok(Some(process))
    }

    fn voters(&self) -> String {
        let voters = (1..).zip(&self.ports);
        let voters: Vec<String> = voters
            .map(|(id, port)| format!("{id}@127.0.0.1:{port}"))
            .collect();
        voters.join(",")
    }
}

/// Where a broker listens and keeps its things.
#[derive(Debug)]
pub(super) struct BrokerConfig {
    id: i32,
    port: u16,
    /// Where clients behind a proxy arrive, and which port they are told.
    behind_proxy: Option<(u16, u16)>,
    quorum: Quorum,
    folder: PathBuf,
}

impl BrokerConfig {
    pub(super) fn new(id: i32, port: u16, quorum: &Quorum, cluster_folder: &Path) -> Self {
        Self {
            id,
            port,
            behind_proxy: None,
            quorum: quorum.clone(),
            folder: cluster_folder.join(format!("node-{id}")),
        }
    }

    /// With a second listener, `bound`, whose clients are told to come to `advertised`. Not with
    /// ZooKeeper.
    pub(super) fn behind_proxy(mut self, bound: u16, advertised: u16) -> Self {
        self.behind_proxy = Some((bound, advertised));
        self
    }

    pub(super) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Writes all that a broker needs for its first start; gives the path of its properties.
    pub(super) fn prepare(
        &self,
        installation: &Installation,
        options: &ClusterOptions,
    ) -> Result<PathBuf, Failure> {
        let properties = self.write(options)?;
        if !self.quorum.zookeeper {
            self.copy_formatted(&installation.formatted())?;
        }
        Ok(properties)
    }

    /// Writes the broker's properties; gives their path.
    pub(super) fn write(&self, options: &ClusterOptions) -> Result<PathBuf, Failure> {
        fs::create_dir_all(self.folder.join("tmp"))?;
        let file = self.folder.join("server.properties");
        fs::write(&file, self.properties(options))?;
        Ok(file)
    }

    fn properties(&self, options: &ClusterOptions) -> String {
        let mut text = self.roles();
        let data = self.data();
        let replicas = options.brokers_count();
        let in_sync = replicas.div_ceil(2);
        let _ = write!(
            text,
            "log.dirs={}\n\
             default.replication.factor={replicas}\n\
             min.insync.replicas={in_sync}\n\
             offsets.topic.replication.factor={replicas}\n\
             transaction.state.log.replication.factor={replicas}\n\
             transaction.state.log.min.isr={in_sync}\n",
            data.display()
        );
        text.push_str(STEADY);
        // The last of two lines with the same key counts.
        for (key, value) in options.properties() {
            let _ = writeln!(text, "{key}={value}");
        }
        text
    }

    fn roles(&self) -> String {
        let (id, port) = (self.id, self.port);
        let client = format!("PLAINTEXT://127.0.0.1:{port}");
        let voters = self.quorum.voters();
        if self.quorum.zookeeper {
            let zookeeper = self.quorum.ports.first().copied().unwrap_or_default();
            return format!(
                "broker.id={id}\nlisteners={client}\nzookeeper.connect=127.0.0.1:{zookeeper}\n\
                 zookeeper.session.timeout.ms=3000\n"
            );
        }
        let controller = usize::try_from(id - 1)
            .ok()
            .and_then(|index| self.quorum.ports.get(index));
        let (roles, controller) = match controller {
            Some(port) => (
                "broker,controller",
                format!(",CONTROLLER://127.0.0.1:{port}"),
            ),
            None => ("broker", String::new()),
        };
        let (proxied, advertised) = match self.behind_proxy {
            Some((bound, told)) => (
                format!(",CLIENT://127.0.0.1:{bound}"),
                format!("advertised.listeners={client},CLIENT://127.0.0.1:{told}\n"),
            ),
            None => (String::new(), String::new()),
        };
        format!(
            "process.roles={roles}\nnode.id={id}\nlisteners={client}{proxied}{controller}\n\
             {advertised}\
             controller.quorum.voters={voters}\ncontroller.listener.names=CONTROLLER\n\
             listener.security.protocol.map=\
             PLAINTEXT:PLAINTEXT,CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT\n\
             broker.session.timeout.ms=3000\nbroker.heartbeat.interval.ms=500\n"
        )
    }

    /// One formatted directory serves all nodes, but for the ids in it.
    fn copy_formatted(&self, formatted: &Path) -> Result<(), Failure> {
        let data = self.data();
        fs::create_dir_all(&data)?;
        for entry in fs::read_dir(formatted)? {
            let entry = entry?;
            let to = data.join(entry.file_name());
            if entry.file_name() != "meta.properties" {
                fs::copy(entry.path(), to)?;
                continue;
            }
            let mut meta = String::new();
            for line in fs::read_to_string(entry.path())?.lines() {
                let _ = match line.split_once('=') {
                    Some(("node.id", _)) => writeln!(meta, "node.id={}", self.id),
                    Some(("directory.id", _)) => {
                        writeln!(meta, "directory.id=node-{:A<17}", self.id)
                    }
                    _ => writeln!(meta, "{line}"),
                };
            }
            fs::write(to, meta)?;
        }
        Ok(())
    }
}

/// A broker of a running cluster, itself running or not.
#[derive(Debug)]
pub(super) struct Node {
    config: BrokerConfig,
    properties: PathBuf,
    log: PathBuf,
    version: Version,
    process: Option<JavaProcess>,
    /// Ours as long as the node is, up or down.
    _ports: Vec<Port>,
}

impl Node {
    /// Starts a new broker, without waiting for it.
    pub(super) fn spawn(
        installation: &Installation,
        options: &ClusterOptions,
        config: BrokerConfig,
        ports: Vec<Port>,
    ) -> Result<Self, Failure> {
        let mut node = Self {
            properties: config.prepare(installation, options)?,
            log: config.folder.join("broker.log"),
            config,
            version: options.version(),
            process: None,
            _ports: ports,
        };
        node.spawn_again(installation)?;
        Ok(node)
    }

    /// Starts a broker that is down, with the port and data that it had, without waiting for it.
    pub(super) fn spawn_again(&mut self, installation: &Installation) -> Result<(), Failure> {
        let mut arguments = installation.launch("kafka.Kafka", &self.config.folder.join("tmp"));
        arguments.push(self.properties.clone().into());
        self.process = Some(JavaProcess::spawn_logged(&arguments, &self.log)?);
        Ok(())
    }

    pub(super) fn await_started(&mut self) -> Result<(), Failure> {
        let started = started(self.version);
        self.running()?.await_log(started, START)
    }

    /// Whether the cluster has not let this run of it in, as it holds the last one for alive.
    pub(super) fn is_refused(&self) -> bool {
        let said = self.process.as_ref().map(JavaProcess::log_since_start);
        said.and_then(Result::ok).is_some_and(|log| {
            log.contains("DUPLICATE_BROKER_REGISTRATION") || log.contains("NodeExistsException")
        })
    }

    pub(super) fn id(&self) -> i32 {
        self.config.id
    }

    pub(super) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.config.port)
    }

    pub(super) fn client_address(&self) -> Option<String> {
        let (bound, _) = self.config.behind_proxy?;
        Some(format!("127.0.0.1:{bound}"))
    }

    /// Whether it can answer.
    pub(super) fn is_up(&mut self) -> bool {
        self.process
            .as_mut()
            .is_some_and(|process| process.is_running() && !process.is_paused())
    }

    /// The process, if it was not ended.
    pub(super) fn running(&mut self) -> Result<&mut JavaProcess, Failure> {
        let id = self.config.id;
        self.process
            .as_mut()
            .ok_or_else(|| Failure::new(format!("node {id} is down")))
    }

    pub(super) fn take_process(&mut self) -> Option<JavaProcess> {
        self.process.take()
    }

    pub(super) fn log_tail(&self) -> String {
        java_process::tail(&self.log)
    }
}

/// What a broker logs when it serves clients.
pub(super) fn started(version: Version) -> &'static str {
    if version.needs_zookeeper() {
        "] started (kafka.server.KafkaServer)"
    } else {
        "Kafka Server started"
    }
}

/// What makes tests steady, and a broker small.
const STEADY: &str = "\
auto.create.topics.enable=false
auto.leader.rebalance.enable=false
group.initial.rebalance.delay.ms=0
offsets.topic.num.partitions=4
transaction.state.log.num.partitions=4
log.retention.ms=-1
log.index.size.max.bytes=1048576
log.cleaner.dedupe.buffer.size=2097152
controlled.shutdown.retry.backoff.ms=200
";
