//! Where records wait to be sent: pooled memory, a queue of batches per partition, and the order
//! of the day for the Sender. Application threads use [`RecordAccumulator`], the Sender [`Drainer`].
//! Knows nothing of sequences or transactions.

mod drainer;
mod produce_request_result;
mod producer_batch;
mod record_accumulator;

pub(crate) use self::drainer::{BatchHead, DrainVerdict, Drained, Drainer, ReadyCheck};
pub(crate) use self::produce_request_result::ProduceRequestResult;
pub(crate) use self::producer_batch::{BatchAck, BatchFailure, ProducerBatch};
pub(crate) use self::record_accumulator::{
    AccumulatorConfig, Append, FlushTicket, MemoryTicket, RecordAccumulator, RecordToAppend, Topic,
};
