//! Settings that contradict each other, each of which has to be refused by name.
//!
//! Thread: any. Locks: none.

use std::time::Duration;

use super::super::streams::Draw;
use crate::error::ErrorKind;
use crate::producer::{Acks, ProducerConfig};
use crate::random::Random;

/// One pair of settings that cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contradiction {
    DeliveryTooShort { linger_ms: u64, request_ms: u64 },
    BatchOverMemory { batch: usize, memory: usize },
    IdempotenceWithAcks(bool),
    IdempotenceWithoutRetries,
    IdempotenceWithManyInFlight(u32),
    NoBootstrap,
}

impl Contradiction {
    /// None for most seeds.
    pub(super) fn draw(random: &mut Random) -> Vec<Self> {
        if !random.chance(200) {
            return Vec::new();
        }
        let count = 1 + random.below(2);
        (0..count).map(|_| Self::draw_one(random)).collect()
    }

    fn draw_one(random: &mut Random) -> Self {
        let small = |random: &mut Random, most| {
            usize::try_from(random.log_between(1, most)).expect("small")
        };
        match random.below(6) {
            0 => Self::DeliveryTooShort {
                linger_ms: random.log_between(0, 50),
                request_ms: random.log_between(1, 30_000),
            },
            1 => {
                // Less than that is refused by itself.
                let memory = 85 + small(random, 65_536);
                let batch = memory + small(random, 1_000);
                Self::BatchOverMemory { batch, memory }
            }
            2 => Self::IdempotenceWithAcks(random.chance(500)),
            3 => Self::IdempotenceWithoutRetries,
            4 => Self::IdempotenceWithManyInFlight(
                u32::try_from(random.between(6, 99)).expect("small"),
            ),
            _ => Self::NoBootstrap,
        }
    }

    fn apply(self, config: ProducerConfig) -> ProducerConfig {
        let ms = Duration::from_millis;
        match self {
            Self::DeliveryTooShort {
                linger_ms,
                request_ms,
            } => config
                .linger(ms(linger_ms))
                .request_timeout(ms(request_ms))
                .delivery_timeout(ms(linger_ms + request_ms - 1)),
            Self::BatchOverMemory { batch, memory } => {
                config.batch_size(batch).buffer_memory(memory)
            }
            Self::IdempotenceWithAcks(leader) => {
                let acks = if leader { Acks::Leader } else { Acks::None };
                config.enable_idempotence(true).acks(acks)
            }
            Self::IdempotenceWithoutRetries => {
                config.enable_idempotence(true).acks(Acks::All).retries(0)
            }
            Self::IdempotenceWithManyInFlight(many) => config
                .enable_idempotence(true)
                .acks(Acks::All)
                .max_in_flight_requests_per_connection(many),
            Self::NoBootstrap => ProducerConfig::new(""),
        }
    }

    fn names(self) -> &'static [&'static str] {
        match self {
            Self::DeliveryTooShort { .. } => {
                &["delivery.timeout.ms", "linger.ms", "request.timeout.ms"]
            }
            Self::BatchOverMemory { .. } => &["batch.size", "buffer.memory"],
            Self::IdempotenceWithAcks(_) => &["acks", "enable.idempotence"],
            Self::IdempotenceWithoutRetries => &["retries", "enable.idempotence"],
            Self::IdempotenceWithManyInFlight(_) => &[
                "max.in.flight.requests.per.connection",
                "enable.idempotence",
            ],
            Self::NoBootstrap => &["bootstrap.servers"],
        }
    }

    /// Whether a configuration that is right becomes one that is refused, and says by which keys.
    ///
    /// # Errors
    /// In words, what is wrong about the refusal.
    pub(crate) fn check(self, right: ProducerConfig) -> Result<(), String> {
        let refused = self.apply(right).resolve();
        let Err(error) = refused else {
            return Err(format!("{self:?} was accepted"));
        };
        let text = error.to_string();
        if error.kind() != ErrorKind::Config {
            return Err(format!(
                "{self:?} was refused as {:?}: {text}",
                error.kind()
            ));
        }
        match self.names().iter().find(|name| !text.contains(*name)) {
            Some(name) => Err(format!(
                "{self:?} was refused without naming {name}: {text}"
            )),
            None => Ok(()),
        }
    }
}
