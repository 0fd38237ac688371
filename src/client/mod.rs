//! Requests and responses: which broker, which version, when again. Knows metadata, not batches
//! (Java: `org.apache.kafka.clients`).
//!
//! Thread: Sender, but for [`Metadata`] (any) and `parse_bootstrap` (application).

mod api_versions;
mod bootstrap;
mod cluster_connection_states;
mod host_resolver;
mod in_flight_requests;
#[cfg(interleave)]
pub(crate) mod interleaving_tests;
mod kafka_client;
#[cfg(test)]
mod loopback_tests;
mod metadata;
mod metadata_state;
mod metadata_updater;
#[cfg(any(test, interleave))]
mod mock_metadata;
#[cfg(test)]
mod mock_selector;
mod network_client;
mod network_events;
mod request;
mod topic_interest;

pub(crate) use self::bootstrap::parse_bootstrap;
pub(crate) use self::host_resolver::HostResolver;
pub use self::host_resolver::Resolver;
#[cfg(any(test, fuzzing))]
pub(crate) use self::host_resolver::simulated::{Lookups, SharedLookups};
#[cfg(any(test, fuzzing))]
pub(crate) use self::host_resolver::{Addresses, LookupTicket};
pub(crate) use self::kafka_client::KafkaClient;
pub(crate) use self::metadata::{Metadata, MetadataConfig, MetadataTicket, TopicAwait};
pub(crate) use self::metadata_updater::MetadataRecovery;
pub(crate) use self::network_client::{NetworkClient, NetworkClientConfig};
pub(crate) use self::request::{ClientRequest, ClientResponse, Outcome};
