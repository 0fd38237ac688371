//! Where records wait to be sent: pooled memory, a queue of batches per partition, and the order
//! of the day for the Sender. Application threads use [`RecordAccumulator`], the Sender [`Drainer`].
//! Knows nothing of sequences or transactions.

mod buffer_pool;
mod callback_slots;
mod drainer;
mod flush;
mod growth;
mod partition_queue;
mod produce_request_result;
mod producer_batch;
mod purge;
mod record_accumulator;
mod schedule;
mod taking_out;
mod topic;
mod topic_share;

#[cfg(test)]
mod accumulator_tests;
#[cfg(interleave)]
pub(crate) mod interleaving_tests;
#[cfg(test)]
mod stress_tests;

pub(crate) use self::buffer_pool::MemoryTicket;
pub(crate) use self::drainer::{BatchHead, DrainVerdict, Drained, Drainer};
#[cfg(any(test, fuzzing, interleave))]
pub(crate) use self::flush::FlushTicket;
pub(crate) use self::produce_request_result::{BatchOutcome, ProduceRequestResult};
pub(crate) use self::producer_batch::{BatchAck, BatchFailure, ProducerBatch};
pub(crate) use self::record_accumulator::{
    AccumulatorConfig, Append, RecordAccumulator, RecordToAppend,
};
pub(crate) use self::topic::Topic;
