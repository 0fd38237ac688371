//! The clusters that trials share, each started by the first trial that asks.

use std::sync::{Mutex, OnceLock, PoisonError};

use kafka_test_support::real_kafka::{ClusterOptions, Failure, RealKafka, Version};

use crate::Outcome;

/// Lives until the last trial has ended.
#[derive(Debug, Default)]
pub(crate) struct Stage {
    v2_8_2: Shared,
    v3_9_1: Shared,
    v4_3_1: Shared,
    peculiar: Shared,
    three: Mutex<Option<RealKafka>>,
}

type Shared = OnceLock<Result<RealKafka, Failure>>;

impl Stage {
    /// The shared broker of a version. Whoever uses it makes topics of its own, and breaks nothing.
    pub(crate) fn kafka(&self, version: Version) -> Result<&RealKafka, Failure> {
        let cell = match version {
            Version::V2_8_2 => &self.v2_8_2,
            Version::V3_9_1 => &self.v3_9_1,
            Version::V4_3_1 => &self.v4_3_1,
        };
        start(cell, &ClusterOptions::new(version))
    }

    /// A broker that creates topics by itself, closes connections after a second, and asks an
    /// authorizer, which allows what no ACL is about. To be used as the shared ones are.
    pub(crate) fn peculiar(&self) -> Result<&RealKafka, Failure> {
        let options = ClusterOptions::new(Version::V4_3_1)
            .property("auto.create.topics.enable", "true")
            .property("connections.max.idle.ms", "1000")
            .property(
                "authorizer.class.name",
                "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            )
            .property("allow.everyone.if.no.acl.found", "true");
        start(&self.peculiar, &options)
    }

    /// A cluster of three, to be broken by one trial at a time. A trial that ends well leaves all
    /// three running; after one that failed, the next gets a new cluster.
    pub(crate) fn three(&self, trial: impl FnOnce(&RealKafka) -> Outcome) -> Outcome {
        let mut three = self.three.lock().unwrap_or_else(PoisonError::into_inner);
        let kafka = match three.take() {
            Some(kafka) => kafka,
            None => RealKafka::start(&ClusterOptions::new(Version::V4_3_1).brokers(3))?,
        };
        trial(&kafka)?;
        kafka.await_brokers(3)?;
        *three = Some(kafka);
        Ok(())
    }
}

fn start<'a>(cell: &'a Shared, options: &ClusterOptions) -> Result<&'a RealKafka, Failure> {
    cell.get_or_init(|| RealKafka::start(options))
        .as_ref()
        .map_err(Failure::clone)
}
