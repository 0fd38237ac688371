//! [`NetworkClient`] over the real `Selector` and loopback sockets, with peers that misbehave: each
//! ends within its timeout, in an error that names the thing, and no other node suffers.

mod peers;

use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use self::peers::{Behaviour, Peer};
use super::{
    ClientRequest, ClientResponse, HostResolver, KafkaClient, Metadata, MetadataConfig,
    MetadataRecovery, MetadataTicket, NetworkClient, NetworkClientConfig, Outcome, Resolver,
    TopicAwait, parse_bootstrap,
};
use crate::cluster::NodeId;
use crate::network::{Selectable, Selector, SelectorConfig};
use crate::protocol::VersionRange;
use crate::protocol::messages::{ApiRequest, ProduceRequest};
use crate::random::Random;
use crate::time::Time;

/// Longer than anything here takes, for machines that are busy.
const PATIENCE: Duration = Duration::from_secs(30);
/// What the client allows a connection to take.
const SETUP: Duration = Duration::from_millis(300);

struct Fixture {
    time: Time,
    metadata: Arc<Metadata>,
    client: NetworkClient<Selector, u32>,
    out: Vec<ClientResponse<u32>>,
    polls: usize,
}

impl Fixture {
    fn new(bootstrap: &str, resolver: Option<Arc<dyn Resolver>>) -> Self {
        let time = Time::default();
        let selector = Selector::new(SelectorConfig::default()).unwrap();
        let config = MetadataConfig {
            max_age: Duration::from_secs(300),
            max_idle: Duration::from_secs(300),
            retry_backoff: Duration::from_millis(10),
            retry_backoff_max: Duration::from_millis(50),
        };
        let wakeup = selector.wakeup();
        let bootstrap = parse_bootstrap(bootstrap).unwrap();
        let metadata = Arc::new(Metadata::new(config, bootstrap, wakeup.clone()));
        let config = NetworkClientConfig {
            client_id: Arc::from("loopback"),
            max_in_flight: 5,
            reconnect_backoff: Duration::from_millis(10),
            reconnect_backoff_max: Duration::from_millis(50),
            connection_setup_timeout: SETUP,
            connection_setup_timeout_max: SETUP,
            request_timeout: SETUP,
            metadata_recovery: MetadataRecovery::None,
            time: time.clone(),
        };
        let resolver = HostResolver::new(resolver, "loopback", wakeup);
        let client = NetworkClient::new(
            config,
            Arc::clone(&metadata),
            selector,
            resolver,
            Random::seeded(11),
        );
        Self {
            time,
            metadata,
            client,
            out: Vec::new(),
            polls: 0,
        }
    }

    fn poll(&mut self) {
        let now = self.time.now();
        self.polls += 1;
        self.client
            .poll(Duration::from_millis(100), now, &mut self.out);
    }

    fn poll_until(&mut self, what: &str, is_over: impl Fn(&Self) -> bool) {
        let until = self.time.now() + PATIENCE;
        while !is_over(self) {
            assert!(self.time.now() < until, "{what}: {}", self.complaint());
            self.poll();
        }
    }

    fn is_known(&self) -> bool {
        let mut ticket = MetadataTicket::default();
        let now = self.time.now();
        let state = self
            .metadata
            .await_topic("t", None, &mut ticket, Waker::noop(), now);
        matches!(state, TopicAwait::Ready(_))
    }

    fn complaint(&self) -> String {
        let error = self.metadata.timed_out("t", None, Duration::from_secs(1));
        error.to_string()
    }

    /// Connects to a node that metadata named.
    fn connect(&mut self, id: i32) {
        let until = self.time.now() + PATIENCE;
        loop {
            let node = self.metadata.cluster().node(NodeId(id)).cloned();
            let now = self.time.now();
            if node.is_some_and(|node| self.client.ready(&node, now)) {
                return;
            }
            assert!(self.time.now() < until, "{}", self.complaint());
            self.poll();
        }
    }

    fn produce(&mut self, node: i32, tag: u32, timeout: Duration) {
        let request = ClientRequest {
            node: NodeId(node),
            body: ApiRequest::Produce(ProduceRequest::default()),
            expects_response: true,
            timeout,
            versions: VersionRange::ALL,
            tag,
        };
        let now = self.time.now();
        self.client.send(request, now);
    }
}

/// What a client says whose only bootstrap server behaves so, once it is sure enough.
fn complaint_about(behaviour: Behaviour, expected: &str) -> String {
    let peer = Peer::start(behaviour);
    let mut fixture = Fixture::new(&peer.address, None);
    let start = fixture.time.now();
    fixture.poll_until(expected, |fixture| fixture.complaint().contains(expected));
    let took = fixture.time.now() - start;
    assert!(took < SETUP * 2 + Duration::from_secs(15), "{took:?}");
    let complaint = fixture.complaint();
    for part in [peer.address.as_str(), "bootstrap.servers", "max.block.ms"] {
        assert!(complaint.contains(part), "{complaint}");
    }
    assert!(!fixture.is_known());
    assert!(fixture.polls < 200, "{} polls", fixture.polls);
    complaint
}

#[test]
fn peer_that_speaks_tls_is_named_as_such() {
    let text = complaint_about(Behaviour::Say(&[0x15, 3, 3, 0, 2, 2, 50]), "TLS");
    assert!(text.contains("does not speak Kafka's protocol"), "{text}");
}

#[test]
fn peer_that_speaks_http_is_named_as_such() {
    let text = complaint_about(Behaviour::Say(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "HTTP");
    assert!(text.contains("does not speak Kafka's protocol"), "{text}");
}

#[test]
fn peer_that_sends_sizes_that_cannot_be_is_no_kafka_broker() {
    for size in [
        &[0xFF, 0xFF, 0xFF, 0xFE][..],
        &[0x7F, 0xFF, 0xFF, 0xFF],
        &[0x07, 0, 0, 0],
    ] {
        complaint_about(
            Behaviour::Say(Box::leak(size.to_vec().into_boxed_slice())),
            "does not speak Kafka's protocol",
        );
    }
}

#[test]
fn peer_that_sends_garbage_in_a_frame_does_not_keep_to_the_protocol() {
    complaint_about(
        Behaviour::Say(&[0, 0, 0, 5, 9, 9, 9, 9, 9]),
        "does not keep to the protocol",
    );
}

#[test]
fn peer_with_a_wrong_correlation_id_does_not_keep_to_the_protocol() {
    complaint_about(Behaviour::WrongCorrelationId, "correlation id");
}

#[test]
fn peer_that_cuts_its_response_off_is_told_apart() {
    complaint_about(Behaviour::CutOff, "malformed");
    complaint_about(
        Behaviour::Say(&[0, 0, 0, 50, 1, 2, 3]),
        "did not answer within",
    );
}

#[test]
fn peer_that_never_answers_ends_by_the_setup_timeout() {
    complaint_about(Behaviour::Silent, "socket.connection.setup.timeout.ms");
}

#[test]
fn peer_that_ends_every_connection_is_suspected() {
    complaint_about(Behaviour::HangUp, "is it a Kafka broker");
}

#[test]
fn port_where_nobody_listens_is_refused() {
    let address = {
        let peer = Peer::start(Behaviour::Silent);
        peer.address.clone()
    };
    let mut fixture = Fixture::new(&address, None);
    fixture.poll_until("refused", |fixture| fixture.complaint().contains("refused"));
    let complaint = fixture.complaint();
    assert!(
        complaint.contains("could not connect to") && complaint.contains(&address),
        "{complaint}"
    );
}

#[test]
fn bootstrap_finds_the_one_living_broker_among_misbehaving_ones() {
    let broker = Peer::start(Behaviour::Broker);
    let silent = Peer::start(Behaviour::Silent);
    let tls = Peer::start(Behaviour::Say(&[0x15, 3, 3, 0, 2, 2, 50]));
    let servers = format!("{},{},{}", silent.address, tls.address, broker.address);
    let mut fixture = Fixture::new(&servers, None);
    fixture.poll_until("metadata", Fixture::is_known);
    fixture.connect(1);
    fixture.produce(1, 4, PATIENCE);
    fixture.poll_until("a response", |fixture| !fixture.out.is_empty());
    assert!(matches!(fixture.out[0].outcome, Outcome::Response(_)));
}

#[test]
fn node_that_falls_silent_times_out_and_the_other_does_not_suffer() {
    let broker = Peer::start(Behaviour::Broker);
    let mute = Peer::start(Behaviour::MuteProduce);
    broker.names_another(&mute);
    let mut fixture = Fixture::new(&broker.address, None);
    fixture.poll_until("metadata", Fixture::is_known);
    fixture.connect(1);
    fixture.connect(2);
    fixture.produce(2, 20, Duration::from_secs(1));
    fixture.produce(1, 10, PATIENCE);
    fixture.poll_until("both", |fixture| fixture.out.len() == 2);
    let tags: Vec<u32> = fixture.out.iter().map(|response| response.tag).collect();
    assert_eq!(tags, [10, 20]);
    assert!(matches!(fixture.out[0].outcome, Outcome::Response(_)));
    let Outcome::TimedOut { error } = &fixture.out[1].outcome else {
        panic!("{:?}", fixture.out[1]);
    };
    let text = error.to_string();
    assert!(
        text.contains(&mute.address) && text.contains("request.timeout.ms"),
        "{text}"
    );
}

#[test]
fn name_is_resolved_by_the_users_resolver_while_others_go_on() {
    let broker = Peer::start(Behaviour::Broker);
    let port = broker.address.rsplit_once(':').unwrap().1.to_owned();
    let resolver = peers::TableResolver::new("kafka.example");
    let mut fixture = Fixture::new(&format!("kafka.example:{port}"), Some(Arc::new(resolver)));
    fixture.poll_until("metadata", Fixture::is_known);
    let mut fixture = Fixture::new(&format!("nowhere.example:{port}"), {
        Some(Arc::new(peers::TableResolver::new("kafka.example")))
    });
    fixture.poll_until("complaint", |it| {
        it.complaint().contains("could not resolve")
    });
    assert!(fixture.complaint().contains("nowhere.example"));
}
