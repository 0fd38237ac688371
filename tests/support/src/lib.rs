//! Brokers for tests.
