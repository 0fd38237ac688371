//! From the plans of a scenario to a cluster, its addresses and a producer's configuration.
//!
//! Thread: any. Locks: none.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use kafka_test_support::{Cluster, ClusterConfig, FirstSequence, TopicConfig, VersionProfile};

use super::names::Names;
use super::network::Network;
use super::scenario::{ClusterPlan, ConfigPlan};
use crate::producer::{Acks, ProducerConfig};

pub(super) fn cluster(plan: &ClusterPlan) -> Cluster {
    let mut config = ClusterConfig::brokers(plan.brokers)
        .seed(plan.seed)
        .auto_create_topics(false);
    config.versions = VERSIONS[plan.versions % VERSIONS.len()];
    config.producer_window = plan.producer_window;
    config.first_producer_epoch = plan.first_epoch;
    if let Some(after) = plan.forgets_after_ms {
        config.producer_id_expiration_ms = i64::try_from(after).expect("short");
    }
    if plan.refuses_unknown_first_sequence {
        config.first_sequence = Some(FirstSequence::ZeroInNewLog);
    }
    for topic in &plan.topics {
        let mut topic_config = TopicConfig::new(&topic.name, topic.partitions)
            .max_message_bytes(topic.max_message_bytes)
            .min_insync_replicas(topic.min_insync_replicas);
        topic_config.log_append_time = topic.log_append_time;
        // As brokers from 4.0 on have it by default, and older ones may be configured.
        topic_config.timestamp_after_max_ms = Some(MOST_AHEAD_MS);
        config = config.topic_with(topic_config);
    }
    let mut cluster = Cluster::new(config);
    for node in cluster.nodes() {
        cluster.set_endpoint(node, &host_of(node), PORT);
    }
    cluster
}

pub(super) fn host_of(node: i32) -> String {
    format!("broker-{node}.sim")
}

/// Empty if the producer is given names.
pub(super) fn bootstrap_addresses(plan: &ConfigPlan) -> Vec<SocketAddr> {
    if plan.bootstrap_by_name {
        return Vec::new();
    }
    (1..=plan.bootstrap_servers)
        .map(|node| SocketAddr::new(address_of(i32::try_from(node).expect("few")), PORT))
        .collect()
}

fn address_of(node: i32) -> IpAddr {
    let last = u8::try_from(node).expect("few nodes");
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, last))
}

pub(super) fn addresses(plan: &ClusterPlan) -> (Network, Names) {
    let (mut network, mut names) = (Network::default(), Names::default());
    for node in 1..=plan.brokers {
        let address = address_of(node);
        names.hosts.insert(host_of(node), vec![address]);
        network
            .listeners
            .insert(SocketAddr::new(address, PORT), node);
    }
    (network, names)
}

pub(super) fn producer_config(plan: &ConfigPlan) -> ProducerConfig {
    let ms = Duration::from_millis;
    let servers: Vec<String> = (1..=plan.bootstrap_servers)
        .map(|node| {
            let node = i32::try_from(node).expect("few");
            if plan.bootstrap_by_name {
                format!("{}:{PORT}", host_of(node))
            } else {
                format!("{}:{PORT}", address_of(node))
            }
        })
        .collect();
    let acks = match plan.acks {
        0 => Acks::None,
        1 => Acks::Leader,
        _ => Acks::All,
    };
    let config = ProducerConfig::new(servers.join(","))
        .client_id("sim")
        .acks(acks)
        .enable_idempotence(plan.idempotence)
        .max_in_flight_requests_per_connection(plan.max_in_flight)
        .linger(ms(plan.linger_ms))
        .batch_size(plan.batch_size)
        .buffer_memory(plan.buffer_memory)
        .buffer_memory_share_per_topic(u8::try_from(plan.topic_share).unwrap_or(100))
        .max_request_size(plan.max_request_size)
        .delivery_timeout(ms(plan.delivery_timeout_ms))
        .request_timeout(ms(plan.request_timeout_ms))
        .max_block(ms(plan.max_block_ms))
        .retries(plan.retries)
        .retry_backoff(ms(plan.retry_backoff_ms.0), ms(plan.retry_backoff_ms.1))
        .reconnect_backoff(
            ms(plan.reconnect_backoff_ms.0),
            ms(plan.reconnect_backoff_ms.1),
        )
        .socket_connection_setup_timeout(ms(plan.setup_timeout_ms.0), ms(plan.setup_timeout_ms.1))
        .connections_max_idle(plan.max_idle_ms.map(ms))
        .metadata_max_age(ms(plan.metadata_max_age_ms))
        .metadata_max_idle(ms(plan.metadata_max_idle_ms))
        .partitioner_ignore_keys(plan.ignore_keys)
        .fail_recreated_topics(plan.fails_recreated)
        .callback_thread_enable(plan.callback_thread);
    match plan.rebootstrap_trigger_ms {
        Some(trigger) => config
            .metadata_rebootstrap(true)
            .metadata_rebootstrap_trigger(ms(trigger)),
        None => config.metadata_rebootstrap(false),
    }
}

/// `message.timestamp.after.max.ms`.
pub(super) const MOST_AHEAD_MS: i64 = 3_600_000;
pub(super) const PORT: u16 = 9092;
/// Whose brokers there are, the newest first.
const VERSIONS: [VersionProfile; 4] = [
    VersionProfile::KAFKA_43,
    VersionProfile::KAFKA_39,
    VersionProfile::KAFKA_28,
    VersionProfile::KAFKA_21,
];
