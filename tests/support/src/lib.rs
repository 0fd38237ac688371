//! Brokers for tests.
pub mod log_reader;
