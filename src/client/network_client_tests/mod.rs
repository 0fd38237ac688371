//! [`NetworkClient`] over a selector without a network, on a clock that stands still. The peers'
//! answers are written by `kafka-protocol`, so that a mistake of our codec cannot hide.

mod closing;
mod connecting;
mod ending;
mod metadata;
#[cfg(feature = "planted")]
mod planted;
mod random;
mod requests;

use std::time::Duration;

use bytes::BytesMut;
use kafka_protocol::messages as theirs;
use kafka_protocol::protocol::{Encodable, StrBytes};

use super::*;
use crate::client::host_resolver::scripted::Script;
use crate::client::mock_selector::{MockSelector, SeenRequest};
use crate::client::{MetadataConfig, MetadataTicket, TopicAwait, parse_bootstrap};
use crate::protocol::VersionRange;
use crate::protocol::messages::ProduceRequest;
use crate::time::MockTime;

const PRODUCE: i16 = 0;
const METADATA: i16 = 3;
const API_VERSIONS: i16 = 18;

/// What a broker says of itself.
const VERSIONS: [(i16, i16, i16); 4] = [(0, 3, 12), (3, 0, 12), (18, 0, 4), (22, 0, 5)];

/// Name, error, leader and epoch of each partition.
type TopicPicture = (&'static str, i16, Vec<(i32, i32)>);

/// The cluster as its brokers tell it.
#[derive(Debug, Clone, Default)]
struct Picture {
    /// `(id, port)`; all are on 10.0.0.id.
    brokers: Vec<(i32, u16)>,
    topics: Vec<TopicPicture>,
    error_code: i16,
}

struct Harness {
    time: Arc<MockTime>,
    metadata: Arc<Metadata>,
    script: Script,
    client: NetworkClient<MockSelector, u32>,
    out: Vec<ClientResponse<u32>>,
    picture: Picture,
    versions: Vec<(i16, i16, i16)>,
}

impl NetworkClient<MockSelector, u32> {
    /// Requests without a response yet, the client's own left out.
    fn in_flight_request_count(&self) -> usize {
        let users =
            |request: &&InFlightRequest<Asker<u32>>| matches!(request.asker, Asker::User(_));
        self.in_flight.iter().filter(users).count() + self.done.len()
    }

    /// Ends a connection from this side.
    fn disconnect(&mut self, node: NodeId, now: Instant) {
        let error = Error::new(ErrorKind::Network, "closed by the test");
        self.close_connection(node, &error, now);
    }
}

fn config(time: Time) -> NetworkClientConfig {
    NetworkClientConfig {
        client_id: Arc::from("test"),
        max_in_flight: 5,
        reconnect_backoff: Duration::from_millis(50),
        reconnect_backoff_max: Duration::from_secs(1),
        connection_setup_timeout: Duration::from_secs(10),
        connection_setup_timeout_max: Duration::from_secs(30),
        request_timeout: Duration::from_secs(30),
        metadata_recovery: MetadataRecovery::None,
        time,
    }
}

fn metadata_config() -> MetadataConfig {
    MetadataConfig {
        max_age: Duration::from_secs(300),
        max_idle: Duration::from_secs(300),
        retry_backoff: Duration::from_millis(100),
        retry_backoff_max: Duration::from_secs(1),
    }
}

impl Harness {
    fn new(bootstrap: &str) -> Self {
        Self::with(bootstrap, |_| {})
    }

    fn with(bootstrap: &str, change: impl FnOnce(&mut NetworkClientConfig)) -> Self {
        let (time, mock) = Time::mock();
        let selector = MockSelector::new(Arc::clone(&mock));
        let bootstrap = parse_bootstrap(bootstrap).unwrap();
        let metadata = Metadata::new(metadata_config(), bootstrap, selector.wakeup());
        let metadata = Arc::new(metadata);
        let (resolver, script) = HostResolver::scripted();
        let mut config = config(time);
        change(&mut config);
        let client = NetworkClient::new(
            config,
            Arc::clone(&metadata),
            selector,
            resolver,
            Random::seeded(7),
        );
        Self {
            time: mock,
            metadata,
            script,
            client,
            out: Vec::new(),
            picture: Picture {
                brokers: vec![(1, 9092), (2, 9092)],
                topics: vec![("t", 0, vec![(1, 5), (2, 5)])],
                error_code: 0,
            },
            versions: VERSIONS.to_vec(),
        }
    }

    fn now(&self) -> Instant {
        self.time.now()
    }

    fn selector(&mut self) -> &mut MockSelector {
        &mut self.client.selector
    }

    fn node(&self, id: i32) -> Node {
        let cluster = self.metadata.cluster();
        cluster.node(NodeId(id)).expect("a known node").clone()
    }

    fn poll(&mut self, timeout: Duration) {
        let now = self.now();
        self.client.poll(timeout, now, &mut self.out);
    }

    /// Polls without waiting, the brokers answering all but Produce, until nothing more comes.
    fn settle(&mut self) {
        for _ in 0..20 {
            self.serve();
            self.poll(Duration::ZERO);
        }
    }

    /// Lets time pass with polls in it, the brokers answering all but Produce.
    fn run(&mut self, time: Duration) {
        let until = self.now() + time;
        let mut without_wait = 0;
        while self.now() < until {
            self.serve();
            let before = self.now();
            self.poll(until - before);
            without_wait = if self.now() == before {
                without_wait + 1
            } else {
                0
            };
            assert!(without_wait < 100, "it spins");
        }
    }

    /// Every connected broker answers what is not Produce.
    fn serve(&mut self) {
        let nodes: Vec<NodeId> = self.client.selector.channels.keys().copied().collect();
        for node in nodes {
            while let Some(&request) = self.client.selector.unanswered(node).first() {
                let body = match request.api_key {
                    API_VERSIONS => api_versions(request.version, 0, &self.versions),
                    METADATA => metadata(request.version, &self.picture),
                    _ => break,
                };
                self.client.selector.answer(node, &body);
            }
        }
    }

    /// Connected to node 1, with metadata of "t".
    fn up(bootstrap: &str) -> Self {
        Self::up_with(bootstrap, |_| {})
    }

    fn up_with(bootstrap: &str, change: impl FnOnce(&mut NetworkClientConfig)) -> Self {
        let mut harness = Self::with(bootstrap, change);
        let mut ticket = MetadataTicket::default();
        harness.await_topic("t", &mut ticket);
        harness.settle();
        assert!(harness.connect(1));
        harness
    }

    fn await_topic(&self, topic: &str, ticket: &mut MetadataTicket) -> TopicAwait {
        let waker = std::task::Waker::noop();
        self.metadata
            .await_topic(topic, None, ticket, waker, self.now())
    }

    /// Whether the node becomes ready.
    fn connect(&mut self, id: i32) -> bool {
        let (node, now) = (self.node(id), self.now());
        self.client.ready(&node, now);
        self.settle();
        let now = self.now();
        self.client.ready(&node, now)
    }

    fn is_ready(&mut self, id: i32) -> bool {
        let (node, now) = (self.node(id), self.now());
        self.client.ready(&node, now)
    }

    fn produce(&mut self, node: i32, tag: u32) {
        self.produce_with(node, tag, |_| {});
    }

    fn produce_with(&mut self, node: i32, tag: u32, change: impl FnOnce(&mut ClientRequest<u32>)) {
        let mut request = ClientRequest {
            node: NodeId(node),
            body: ApiRequest::Produce(ProduceRequest {
                acks: -1,
                ..ProduceRequest::default()
            }),
            expects_response: true,
            timeout: Duration::from_secs(30),
            versions: VersionRange::ALL,
            tag,
        };
        change(&mut request);
        let now = self.now();
        self.client.send(request, now);
    }

    fn answer_produce(&mut self, node: i32, throttle_ms: i32) {
        let node = NodeId(node);
        let version = self.client.selector.unanswered(node)[0].version;
        self.client
            .selector
            .answer(node, &produce(version, throttle_ms));
    }

    fn unanswered(&self, node: i32) -> Vec<SeenRequest> {
        self.client.selector.unanswered(NodeId(node)).to_vec()
    }

    fn apis_at(&self, node: i32) -> Vec<i16> {
        let requests = self.unanswered(node);
        requests.iter().map(|request| request.api_key).collect()
    }

    /// Tags of the responses so far, which are taken.
    fn tags(&mut self) -> Vec<u32> {
        self.out.drain(..).map(|response| response.tag).collect()
    }

    /// The one response that came since the last look.
    fn response(&mut self) -> ClientResponse<u32> {
        assert_eq!(self.out.len(), 1, "{:?}", self.out);
        self.out.pop().unwrap()
    }

    /// What a wait for the topic would be told if it ran out now.
    fn complaint(&self) -> String {
        let error = self
            .metadata
            .timed_out("t", None, Duration::from_millis(60_000));
        error.to_string()
    }
}

/// The body of a response after its correlation id.
fn body(message: &impl Encodable, version: i16, has_tagged_header: bool) -> Vec<u8> {
    let mut out = BytesMut::new();
    if has_tagged_header {
        out.extend_from_slice(&[0]);
    }
    message
        .encode(&mut out, version)
        .expect("it can be written");
    out.to_vec()
}

fn api_versions(version: i16, error_code: i16, ranges: &[(i16, i16, i16)]) -> Vec<u8> {
    let keys = ranges.iter().map(|&(key, min, max)| {
        theirs::api_versions_response::ApiVersion::default()
            .with_api_key(key)
            .with_min_version(min)
            .with_max_version(max)
    });
    let response = theirs::ApiVersionsResponse::default()
        .with_error_code(error_code)
        .with_api_keys(keys.collect());
    body(&response, version, false)
}

fn metadata(version: i16, picture: &Picture) -> Vec<u8> {
    use theirs::metadata_response as parts;
    let brokers = picture.brokers.iter().map(|&(id, port)| {
        parts::MetadataResponseBroker::default()
            .with_node_id(theirs::BrokerId(id))
            .with_host(StrBytes::from_string(format!("10.0.0.{id}")))
            .with_port(i32::from(port))
    });
    let topics = picture.topics.iter().map(|(name, error, partitions)| {
        let partitions = partitions
            .iter()
            .enumerate()
            .map(|(index, &(leader, epoch))| {
                parts::MetadataResponsePartition::default()
                    .with_error_code(if leader < 0 { 5 } else { 0 })
                    .with_partition_index(i32::try_from(index).unwrap())
                    .with_leader_id(theirs::BrokerId(leader))
                    .with_leader_epoch(epoch)
            });
        parts::MetadataResponseTopic::default()
            .with_error_code(*error)
            .with_name(Some(theirs::TopicName(StrBytes::from_static_str(name))))
            .with_partitions(partitions.collect())
    });
    let response = theirs::MetadataResponse::default()
        .with_brokers(brokers.collect())
        .with_topics(topics.collect())
        .with_error_code(picture.error_code);
    body(&response, version, version >= 9)
}

fn produce(version: i16, throttle_ms: i32) -> Vec<u8> {
    let response = theirs::ProduceResponse::default().with_throttle_time_ms(throttle_ms);
    body(&response, version, version >= 9)
}
