//! Requests and responses: which broker, which version, when again. Knows metadata, not batches
//! (Java: `org.apache.kafka.clients`).

mod kafka_client;
mod metadata;
mod request;

pub(crate) use self::kafka_client::KafkaClient;
pub(crate) use self::metadata::{Metadata, MetadataConfig, MetadataTicket, TopicAwait};
pub(crate) use self::request::{ClientRequest, ClientResponse, Outcome};
