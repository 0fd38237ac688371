//! The clusters that trials share: one broker per version, started by the first that asks.

use std::sync::OnceLock;

use kafka_test_support::real_kafka::{ClusterOptions, Failure, RealKafka, Version};

/// Lives until the last trial has ended.
#[derive(Debug, Default)]
pub(crate) struct Stage {
    v2_8_2: OnceLock<Result<RealKafka, Failure>>,
    v3_9_1: OnceLock<Result<RealKafka, Failure>>,
    v4_3_1: OnceLock<Result<RealKafka, Failure>>,
}

impl Stage {
    /// The shared broker of a version. Whoever uses it makes topics of its own, and breaks nothing.
    pub(crate) fn kafka(&self, version: Version) -> Result<&RealKafka, Failure> {
        let cell = match version {
            Version::V2_8_2 => &self.v2_8_2,
            Version::V3_9_1 => &self.v3_9_1,
            Version::V4_3_1 => &self.v4_3_1,
        };
        cell.get_or_init(|| RealKafka::start(&ClusterOptions::new(version)))
            .as_ref()
            .map_err(Failure::clone)
    }
}
