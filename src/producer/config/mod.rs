//! Configuration: Kafka's keys, their types, defaults and rules, in one table (Java: `ProducerConfig`).

mod documentation;
mod key;
mod key_table;
mod producer_config;
#[cfg(feature = "properties")]
mod properties;
mod settings;
mod unbuilt;
mod unknown;

pub use self::producer_config::{Acks, ProducerConfig};
pub(crate) use self::settings::Settings;

/// The keys that are built, for the fuzzer.
#[cfg(any(test, fuzzing))]
pub(crate) fn key_names() -> impl Iterator<Item = &'static str> {
    key_table::KEYS.iter().map(|key| key.name)
}
