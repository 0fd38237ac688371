//! Brokers for tests.

pub mod real_kafka;
