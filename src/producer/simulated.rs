//! The whole producer without its thread, for the simulator: who calls `turn` is the Sender thread,
//! and a call that would block is a state that is polled (docs/DESIGN.md, "Blocking is a state
//! machine plus a waiter").
//!
//! Thread: the one that simulates. Locks: those of what it calls.

use std::sync::Arc;
use std::task::{Poll, Waker};

use super::accumulator::FlushTicket;
use super::callback::Callback;
use super::close_error::CloseError;
use super::config::ProducerConfig;
use super::engine::{Engine, ProducerSender, Surroundings, selector_config};
use super::partition_info::PartitionInfo;
use super::pending_send::PendingSend;
use super::send_error::SendError;
use super::send_handle::SendHandle;
use super::send_when_ready::Waiting;
use super::sender::{CallbackExecutor, CallbackThread};
use super::serializer::Field;
use super::shared::Shared;
use super::{KafkaProducer, ProducerRecord};
use crate::client::{HostResolver, SharedLookups};
use crate::error::Error;
use crate::network::{Selector, SharedWire};
use crate::random::Random;
use crate::time::Time;

/// What a simulated producer lives in.
#[derive(Debug)]
pub(crate) struct SimulatedSurroundings {
    pub(crate) time: Time,
    pub(crate) random: Random,
    pub(crate) wire: SharedWire,
    pub(crate) lookups: SharedLookups,
}

/// What the Sender thread would do, one turn at a time.
#[derive(Debug)]
pub(crate) struct SenderThread {
    sender: ProducerSender,
    shared: Arc<Shared>,
    callbacks: Option<CallbackThread>,
}

/// A `send` in progress, as a blocking caller would be in it.
#[derive(Debug)]
pub(crate) struct BlockedSend<K, V>(Waiting<'static, 'static, K, V>);

/// A `partitions_for` in progress.
#[derive(Debug)]
pub(crate) struct BlockedQuestion {
    topic: String,
    pending: PendingSend,
}

impl KafkaProducer {
    /// A producer in a made-up world.
    pub(crate) fn simulated(
        config: &ProducerConfig,
        surroundings: SimulatedSurroundings,
    ) -> Result<(Self, SenderThread), Error> {
        let settings = config.resolve()?;
        let selector = Selector::simulated(selector_config(&settings), surroundings.wire);
        let client_id = settings.client_id.as_str().into();
        let (engine, mut sender) = Engine::assemble(
            &settings,
            Surroundings {
                client_id,
                time: surroundings.time,
                random: surroundings.random,
                selector,
                resolver: HostResolver::simulated(surroundings.lookups),
            },
        );
        let shared = Arc::clone(&engine.shared);
        let mut callbacks = None;
        if settings.callback_thread {
            let (executor, thread) = CallbackExecutor::simulated(Arc::clone(&shared));
            sender = sender.with_callbacks(executor);
            callbacks = Some(thread);
        }
        let sender = SenderThread {
            sender,
            shared,
            callbacks,
        };
        Ok((Self::over(engine), sender))
    }
}

impl<KS, VS> KafkaProducer<KS, VS> {
    /// The begin of a `send`; nothing happens before the first poll.
    pub(crate) fn begin_send<K, V>(
        &self,
        record: ProducerRecord<'static, K, V>,
        callback: Option<Callback<'static>>,
    ) -> BlockedSend<K, V> {
        BlockedSend(Waiting::new(self, record, callback))
    }

    /// The begin of a `partitions_for`; nothing happens before the first poll.
    pub(crate) fn begin_partitions_for(&self, topic: &str) -> BlockedQuestion {
        let engine = self.engine();
        BlockedQuestion {
            topic: topic.to_owned(),
            pending: PendingSend::new(engine.shared.time.now(), engine.max_block),
        }
    }

    /// The begin of a `flush`: done when its `poll` says so.
    pub(crate) fn begin_flush(&self) -> FlushTicket {
        self.engine().shared.accumulator.begin_flush()
    }

    /// The begin of a `close`: nothing more is accepted, and the Sender ends when it is done.
    pub(crate) fn begin_close(&self) {
        self.engine().begin_close();
    }

    /// The timeout of a `close` is over: what has no outcome gets one at the Sender's next turn.
    pub(crate) fn force_close(&self) {
        self.engine().force();
    }

    /// What `close` returns once the Sender has ended.
    ///
    /// # Errors
    /// As `close`.
    pub(crate) fn end_of_close(&self) -> Result<(), CloseError> {
        self.engine().closed_gracefully()
    }
}

impl<K, V> BlockedSend<K, V> {
    /// As far as it comes without waiting; an error once `max.block.ms` is over. Pending: the waker
    /// is called when it may go on, and it is to be polled again when that is over anyway.
    pub(crate) fn poll<KS, VS, M, N>(
        &mut self,
        producer: &KafkaProducer<KS, VS>,
        waker: &Waker,
    ) -> Poll<Result<SendHandle, SendError<'static, K, V>>>
    where
        K: Field<KS, M>,
        V: Field<VS, N>,
    {
        self.0.poll_bounded(producer, waker)
    }

    /// Whether it stopped at room that it has been given since: then its waker was called.
    pub(crate) fn has_been_given_room(&self) -> bool {
        self.0.pending().may_go_on()
    }

    /// Whether it stopped for want of metadata.
    pub(crate) fn waits_for_topic(&self) -> bool {
        self.0.pending().waits_for_topic()
    }
}

impl BlockedQuestion {
    /// As `BlockedSend::poll`.
    pub(crate) fn poll<KS, VS>(
        &mut self,
        producer: &KafkaProducer<KS, VS>,
        waker: &Waker,
    ) -> Poll<Result<Vec<PartitionInfo>, Error>> {
        producer.poll_partitions(&self.topic, &mut self.pending, waker)
    }
}

impl SenderThread {
    /// One turn of the loop; time passes in it as the wire lets it pass.
    pub(crate) fn turn(&mut self) {
        let now = self.shared.time.now();
        self.sender.run_once(now);
    }

    /// What runs callbacks beside it, if it does not itself.
    pub(crate) fn callback_thread(&self) -> Option<CallbackThread> {
        self.callbacks.clone()
    }

    /// Partitions begin at this sequence instead of 0.
    pub(crate) fn begin_sequences_at(&mut self, first_sequence: i32) {
        self.sender.begin_sequences_at(first_sequence);
    }

    /// Batches that have their outcome.
    pub(crate) fn ended_batches(&self) -> u64 {
        self.shared.accumulator.ended_batches()
    }

    /// Whether the thread would end now.
    pub(crate) fn is_done(&mut self) -> bool {
        self.sender.is_done()
    }

    /// The thread ends: its connections close.
    pub(crate) fn end(self) -> Afterwards {
        self.shared.metadata.close();
        drop(self.sender);
        // It tells what it has before it ends.
        while let Some(callbacks) = self.callbacks.as_ref().filter(|it| it.has_work()) {
            callbacks.turn();
        }
        Afterwards(self.shared)
    }
}

/// What can be looked at when the Sender is gone.
#[derive(Debug)]
pub(crate) struct Afterwards(Arc<Shared>);

impl Afterwards {
    /// Bytes of `buffer.memory` that nobody has. What was kept for a `close` that nobody called
    /// goes with what is looked at here.
    pub(crate) fn available_memory(&self) -> usize {
        drop(self.0.take_undelivered());
        self.0.accumulator.available_memory()
    }

    /// Batches without an end.
    pub(crate) fn incomplete_batches(&self) -> usize {
        self.0.accumulator.incomplete_batches()
    }

    /// Times that a broker was found to lack what it had acknowledged.
    pub(crate) fn data_losses(&self) -> u64 {
        self.0.data_losses()
    }
}
