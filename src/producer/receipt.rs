//! How a record's batch got where it is: attempts, broker, and when it passed which stage.
//!
//! Java has no counterpart: there one averages over metrics. Thread: any. Locks: none. Kept per batch;
//! no stage costs a clock reading of its own, each is the time at which its turn of the Sender's loop
//! began or its poll returned.

use std::time::{Duration, Instant};

use crate::cluster::NodeId;

/// The way that a record took: how often it was sent, to which broker, and when it passed each stage.
///
/// Records of a batch share it. What concerns an attempt is told of the last one. Times are monotonic
/// and those of the network thread's turns: exact to the millisecond where that thread is not kept
/// busy, by callbacks for example.
///
/// From [`RecordMetadata::receipt`](crate::RecordMetadata::receipt) and
/// [`DeliveryError::receipt`](crate::DeliveryError::receipt); it costs nothing per record.
///
/// ```no_run
/// # use kafka_producer::*;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let producer = KafkaProducer::new(ProducerConfig::new("localhost:9092"))?;
/// let metadata = producer.send(ProducerRecord::new("events", "hello"))?.get()?;
/// let receipt = metadata.receipt();
/// println!(
///     "broker {:?}, {} attempts: {:?} in the buffer, {:?} until the answer",
///     receipt.broker(),
///     receipt.attempts(),
///     receipt.time_buffered(),
///     receipt.time_in_flight(),
/// );
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Receipt {
    pub(crate) attempts: u32,
    pub(crate) broker: Option<NodeId>,
    pub(crate) appended: Instant,
    pub(crate) drained: Option<Instant>,
    pub(crate) written: Option<Instant>,
    pub(crate) answered: Option<Instant>,
}

impl Receipt {
    /// Of a batch that was opened then, and has gone nowhere.
    pub(crate) fn of_new_batch(created: Instant) -> Self {
        Self {
            attempts: 0,
            broker: None,
            appended: created,
            drained: None,
            written: None,
            answered: None,
        }
    }

    /// An attempt begins.
    pub(crate) fn begin_attempt(&mut self, now: Instant) {
        self.attempts += 1;
        // What a callback appends in a turn is newer than that turn.
        self.drained = Some(now.max(self.appended));
        (self.written, self.answered) = (None, None);
    }

    /// Its request has ended: when it was written and answered, if it was.
    pub(crate) fn attempt_ended(&mut self, written: Option<Instant>, answered: Option<Instant>) {
        let drained = self.drained.unwrap_or(self.appended);
        self.written = written.map(|at| at.max(drained));
        self.answered = answered.map(|at| at.max(drained));
    }

    /// Returns how often it was handed to a connection; 0 if never.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Returns the node id of the broker that the last attempt went to.
    #[must_use]
    pub fn broker(&self) -> Option<i32> {
        self.broker.map(|node| node.0)
    }

    /// Returns when its batch was opened: when its first record was appended, which is not later than
    /// this one was. `delivery.timeout.ms` counts from here.
    #[must_use]
    pub fn appended(&self) -> Instant {
        self.appended
    }

    /// Returns when it was taken from the buffer for the last attempt, its linger or backoff over.
    #[must_use]
    pub fn drained(&self) -> Option<Instant> {
        self.drained
    }

    /// Returns when the operating system had taken the last byte of the last attempt's request into
    /// its send buffer; `None` if it did not, or if the record ended before that was known.
    #[must_use]
    pub fn written(&self) -> Option<Instant> {
        self.written
    }

    /// Returns when the broker's answer to the last attempt was read; `None` if none came, as with
    /// `acks=0`, after a lost connection, or when time was up first.
    #[must_use]
    pub fn answered(&self) -> Option<Instant> {
        self.answered
    }

    /// Returns the time from `appended` to `drained`, earlier attempts and backoffs included.
    #[must_use]
    pub fn time_buffered(&self) -> Option<Duration> {
        let drained = self.drained?;
        Some(drained.saturating_duration_since(self.appended))
    }

    /// Returns the time from `drained` to `answered`: what network and broker took for the last
    /// attempt.
    #[must_use]
    pub fn time_in_flight(&self) -> Option<Duration> {
        let (drained, answered) = (self.drained?, self.answered?);
        Some(answered.saturating_duration_since(drained))
    }
}
