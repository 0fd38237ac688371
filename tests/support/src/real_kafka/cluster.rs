//! A cluster of real brokers: started, changed, broken and ended by a test.
//!
//! Nodes are named by their ids: 1, 2, 3 from the start, 4 and up for those added later.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::failure::Failure;
use super::installation::{Installation, START};
use super::java_process::JavaProcess;
use super::node::{BrokerConfig, Node, Quorum};
use super::port::Port;
use super::raw_connection;
use super::sidecar::Sidecar;
use super::version::Version;

const STOP: Duration = Duration::from_secs(30);

/// What kind of cluster.
#[derive(Debug, Clone)]
pub struct ClusterOptions {
    version: Version,
    brokers: u8,
    properties: Vec<(String, String)>,
    advertised: Vec<u16>,
}

impl ClusterOptions {
    /// One broker.
    pub fn new(version: Version) -> Self {
        Self {
            version,
            brokers: 1,
            properties: Vec::new(),
            advertised: Vec::new(),
        }
    }

    /// So many brokers; topics have a replica on each of them, and need the majority in sync.
    pub fn brokers(mut self, brokers: u8) -> Self {
        self.brokers = brokers;
        self
    }

    /// A property of all brokers; overrides those that the tests have otherwise.
    pub fn property(mut self, key: &str, value: &str) -> Self {
        self.properties.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Gives each node a second listener that tells its clients to come to one of these ports of
    /// 127.0.0.1 instead, the first node's first: those of a proxy that leads to
    /// [`RealKafka::client_address`]. Brokers and administration stay on the other listener.
    pub fn advertised(mut self, ports: &[u16]) -> Self {
        self.advertised = ports.to_vec();
        self
    }

    /// What node `id` is to tell clients, if not where it listens.
    pub(super) fn advertised_port(&self, id: i32) -> Option<u16> {
        let index = usize::try_from(id - 1).ok()?;
        self.advertised.get(index).copied()
    }

    pub(super) fn version(&self) -> Version {
        self.version
    }

    pub(super) fn brokers_count(&self) -> u8 {
        self.brokers
    }

    pub(super) fn properties(&self) -> &[(String, String)] {
        &self.properties
    }
}

/// Running brokers; their end is this value's.
#[derive(Debug)]
pub struct RealKafka {
    options: ClusterOptions,
    installation: Arc<Installation>,
    quorum: Quorum,
    nodes: Mutex<Vec<Node>>,
    sidecar: Mutex<Option<Sidecar>>,
    _zookeeper: Option<JavaProcess>,
    _quorum_ports: Vec<Port>,
    /// After the processes that write there: fields end in their order.
    folder: TempDir,
}

impl RealKafka {
    /// Starts the brokers and waits until each knows all of them.
    ///
    /// # Errors
    ///
    /// If a broker cannot be prepared or does not start in time, with the end of its log.
    pub fn start(options: &ClusterOptions) -> Result<Self, Failure> {
        let installation = Installation::of(options.version)?;
        let folder = tempfile::Builder::new().prefix("kafka-").tempdir()?;
        let deciders = if options.version.needs_zookeeper() {
            1
        } else {
            options.brokers
        };
        let quorum_ports = (0..deciders)
            .map(|_| Port::reserve())
            .collect::<Result<Vec<_>, _>>()?;
        let numbers: Vec<u16> = quorum_ports.iter().map(Port::number).collect();
        let quorum = Quorum::new(options.version, &numbers);
        let kafka = Self {
            _zookeeper: quorum.start_zookeeper(&installation, folder.path())?,
            options: options.clone(),
            installation,
            quorum,
            nodes: Mutex::new(Vec::new()),
            sidecar: Mutex::new(None),
            _quorum_ports: quorum_ports,
            folder,
        };
        for id in 1..=i32::from(options.brokers) {
            let node = kafka.spawn_node(id)?;
            kafka.nodes().push(node);
        }
        for node in kafka.nodes().iter_mut() {
            node.await_started()?;
        }
        kafka.await_brokers(usize::from(options.brokers))?;
        Ok(kafka)
    }

    /// The version of the brokers.
    pub fn version(&self) -> Version {
        self.options.version
    }

    /// Every node's address, up or down, joined by commas.
    pub fn bootstrap(&self) -> String {
        let addresses: Vec<String> = self.nodes().iter().map(Node::address).collect();
        addresses.join(",")
    }

    /// The addresses of the nodes that are up and not frozen, joined by commas.
    pub fn bootstrap_up(&self) -> String {
        let mut nodes = self.nodes();
        let up = nodes
            .iter_mut()
            .filter_map(|node| node.is_up().then(|| node.address()));
        up.collect::<Vec<_>>().join(",")
    }

    /// One node's address.
    ///
    /// # Errors
    ///
    /// If there is no such node; so in all that follows.
    pub fn address(&self, id: i32) -> Result<String, Failure> {
        Ok(find(&mut self.nodes(), id)?.address())
    }

    /// Where a node's listener for clients behind a proxy really is.
    ///
    /// # Errors
    ///
    /// If it has none.
    pub fn client_address(&self, id: i32) -> Result<String, Failure> {
        let address = find(&mut self.nodes(), id)?.client_address();
        address.ok_or_else(|| Failure::new(format!("node {id} has no listener for a proxy")))
    }

    /// The ids of all nodes, up or down.
    pub fn node_ids(&self) -> Vec<i32> {
        self.nodes().iter().map(Node::id).collect()
    }

    /// The process id of a node that was not ended.
    ///
    /// # Errors
    ///
    /// If it was ended.
    pub fn pid(&self, id: i32) -> Result<u32, Failure> {
        Ok(find(&mut self.nodes(), id)?.running()?.pid())
    }

    /// Ends a node with SIGKILL.
    ///
    /// # Errors
    ///
    /// If it was ended before.
    pub fn kill_node(&self, id: i32) -> Result<(), Failure> {
        let process = find(&mut self.nodes(), id)?.take_process();
        process.ok_or_else(|| down(id))?.kill();
        Ok(())
    }

    /// Ends a node in good order: it hands its leaderships over.
    ///
    /// # Errors
    ///
    /// If it was ended before, or had to be killed after a time.
    pub fn stop_node(&self, id: i32) -> Result<(), Failure> {
        // Taken out first, so that the others can be used while it stops.
        let process = find(&mut self.nodes(), id)?.take_process();
        process.ok_or_else(|| down(id))?.stop(STOP)
    }

    /// Starts an ended node with the port and data that it had, and waits until it serves.
    ///
    /// # Errors
    ///
    /// If it does not start in time.
    pub fn start_node(&self, id: i32) -> Result<(), Failure> {
        let mut nodes = self.nodes();
        let node = find(&mut nodes, id)?;
        let deadline = Instant::now() + START;
        loop {
            node.spawn_again(&self.installation)?;
            match node.await_started() {
                // While the cluster still believes in the old process, the new one is refused.
                Err(_) if node.is_refused() && Instant::now() < deadline => {}
                outcome => return outcome,
            }
        }
    }

    /// Freezes a node (SIGSTOP): its connections stay open and silent.
    ///
    /// # Errors
    ///
    /// If it was ended.
    pub fn pause_node(&self, id: i32) -> Result<(), Failure> {
        find(&mut self.nodes(), id)?.running()?.pause()
    }

    /// Lets a frozen node go on (SIGCONT).
    ///
    /// # Errors
    ///
    /// If it was ended.
    pub fn resume_node(&self, id: i32) -> Result<(), Failure> {
        find(&mut self.nodes(), id)?.running()?.resume();
        Ok(())
    }

    /// Adds a node, which is only a broker, and waits until all know it; gives its id.
    ///
    /// # Errors
    ///
    /// If it does not start in time.
    pub fn add_broker(&self) -> Result<i32, Failure> {
        let id = self.node_ids().into_iter().max().unwrap_or_default() + 1;
        let mut node = self.spawn_node(id)?;
        node.await_started()?;
        self.nodes().push(node);
        let up = self
            .nodes()
            .iter_mut()
            .filter_map(|n| n.is_up().then_some(()))
            .count();
        self.await_brokers(up)?;
        Ok(id)
    }

    /// The end of a node's log.
    ///
    /// # Errors
    ///
    /// If there is no such node.
    pub fn log_tail(&self, id: i32) -> Result<String, Failure> {
        Ok(find(&mut self.nodes(), id)?.log_tail())
    }

    /// Waits until every node that is up says that so many brokers are in the cluster.
    ///
    /// # Errors
    ///
    /// If that does not happen in time.
    pub fn await_brokers(&self, count: usize) -> Result<(), Failure> {
        self.await_all(&format!("{count} brokers in the cluster"), |address| {
            let metadata = raw_connection::metadata(address, &[])?;
            Ok(metadata.brokers.len() == count)
        })
    }

    /// Waits until every node that is up knows a leader for so many partitions of the topic.
    ///
    /// # Errors
    ///
    /// If that does not happen in time.
    pub fn await_topic(&self, name: &str, partitions: usize) -> Result<(), Failure> {
        self.await_all(&format!("{partitions} partitions of {name}"), |address| {
            let metadata = raw_connection::metadata(address, &[name])?;
            Ok(metadata.topics.iter().any(|topic| {
                let led = |p: &&kafka_protocol::messages::metadata_response::MetadataResponsePartition| p.leader_id.0 >= 0;
                topic.error_code == 0 && topic.partitions.iter().filter(led).count() == partitions
            }))
        })
    }

    /// Waits until no node that is up knows the topic.
    ///
    /// # Errors
    ///
    /// If that does not happen in time.
    pub fn await_no_topic(&self, name: &str) -> Result<(), Failure> {
        self.await_all(&format!("the end of {name}"), |address| {
            let metadata = raw_connection::metadata(address, &[name])?;
            Ok(metadata
                .topics
                .iter()
                .all(|topic| topic.error_code == UNKNOWN_TOPIC_OR_PARTITION))
        })
    }

    /// Asks the sidecar, which is started if this is the first question.
    pub(super) fn ask<T>(
        &self,
        question: impl FnOnce(&mut Sidecar) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut sidecar = self.sidecar.lock().unwrap_or_else(PoisonError::into_inner);
        if sidecar.as_mut().is_none_or(|sidecar| !sidecar.is_usable()) {
            *sidecar = Some(Sidecar::start(&self.bootstrap(), self.folder.path())?);
        }
        let sidecar = sidecar.as_mut().expect("it was just started");
        question(sidecar)
    }

    fn spawn_node(&self, id: i32) -> Result<Node, Failure> {
        let mut ports = vec![Port::reserve()?];
        let mut config = BrokerConfig::new(id, ports[0].number(), &self.quorum, self.folder.path());
        if let Some(advertised) = self.options.advertised_port(id) {
            let port = Port::reserve()?;
            config = config.behind_proxy(port.number(), advertised);
            ports.push(port);
        }
        Node::spawn(&self.installation, &self.options, config, ports)
    }

    fn await_all(
        &self,
        what: &str,
        is_so: impl Fn(&str) -> Result<bool, Failure>,
    ) -> Result<(), Failure> {
        let deadline = Instant::now() + START;
        let mut nodes = self.nodes();
        for node in nodes
            .iter_mut()
            .filter_map(|node| node.is_up().then_some(node))
        {
            loop {
                let said = is_so(&node.address());
                if let Ok(true) = said {
                    break;
                }
                if Instant::now() > deadline {
                    return Err(Failure::new(format!(
                        "node {} does not know of {what} after {START:?} ({said:?}); its log ends:\n{}",
                        node.id(),
                        node.log_tail()
                    )));
                }
                thread::sleep(Duration::from_millis(20));
            }
        }
        Ok(())
    }

    fn nodes(&self) -> MutexGuard<'_, Vec<Node>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn find(nodes: &mut [Node], id: i32) -> Result<&mut Node, Failure> {
    let node = nodes.iter_mut().find(|node| node.id() == id);
    node.ok_or_else(|| Failure::new(format!("there is no node {id}")))
}

fn down(id: i32) -> Failure {
    Failure::new(format!("node {id} is down"))
}

const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
