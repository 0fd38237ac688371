//! What all faces of one producer share: the rooms, put together, and the life of the network thread.
//!
//! Java's counterpart: the constructor and `close` of `KafkaProducer`. Thread: application. Locks: the
//! handle of the thread, to join it once. Invariants: the thread has no reference to this, so that
//! the last face dropped closes; nobody joins the thread they run on; every wait is bounded.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::bounded;

use super::accumulator::{AccumulatorConfig, RecordAccumulator};
use super::callback::in_callback;
use super::close_error::CloseError;
use super::config::{ProducerConfig, Settings};
use super::sender::{CallbackExecutor, RequestTag, Sender, SenderConfig};
use super::shared::{Shared, Stage};
use super::worker::Worker;
use crate::client::{
    HostResolver, Metadata, MetadataConfig, MetadataRecovery, NetworkClient, NetworkClientConfig,
};
use crate::error::{Error, ErrorKind};
use crate::network::{Selectable, Selector, SelectorConfig};
use crate::random::Random;
use crate::time::Time;

/// The producer without its serializers.
#[derive(Debug)]
pub(super) struct Engine {
    pub(super) shared: Arc<Shared>,
    pub(super) client_id: Arc<str>,
    pub(super) max_block: Duration,
    pub(super) ignore_keys: bool,
    /// The smallest of `max.request.size`, `buffer.memory` and a topic's share of that.
    pub(super) most_record_bytes: usize,
    max_request_size: usize,
    buffer_memory: usize,
    delivery_timeout: Duration,
    /// The network thread.
    network: Worker,
    /// The thread of the callbacks, if they have one.
    callbacks: Option<Worker>,
}

/// What a producer takes from the world around it; a simulation brings its own.
#[derive(Debug)]
pub(super) struct Surroundings {
    pub(super) client_id: Arc<str>,
    pub(super) time: Time,
    pub(super) random: Random,
    pub(super) selector: Selector,
    pub(super) resolver: HostResolver,
}

/// The Sender as production has it.
pub(super) type ProducerSender = Sender<NetworkClient<Selector, RequestTag>>;

impl Engine {
    /// Puts the rooms together and starts the thread; connects to nobody yet.
    pub(super) fn start(config: &ProducerConfig) -> Result<Self, Error> {
        let settings = config.resolve()?;
        let client_id = client_id(&settings);
        let selector = Selector::new(selector_config(&settings)).map_err(cannot_start)?;
        let resolver = HostResolver::new(config.own_resolver(), &client_id, selector.wakeup());
        let surroundings = Surroundings {
            client_id,
            time: Time::default(),
            random: Random::from_entropy(),
            selector,
            resolver,
        };
        let (mut engine, mut sender) = Self::assemble(&settings, surroundings);
        if settings.callback_thread {
            sender = engine.start_callback_thread(sender)?;
        }
        engine.spawn(sender)?;
        log::info!("{}: started with {config:?}", engine.client_id);
        Ok(engine)
    }

    /// The rooms, put together; nothing runs yet.
    pub(super) fn assemble(
        settings: &Settings,
        surroundings: Surroundings,
    ) -> (Self, ProducerSender) {
        let Surroundings {
            client_id,
            time,
            mut random,
            selector,
            resolver,
        } = surroundings;
        let shared = shared(settings, &selector, &time, &mut random);
        let client = NetworkClient::new(
            network_client_config(settings, &client_id, time),
            Arc::clone(&shared.metadata),
            selector,
            resolver,
            random.split(),
        );
        let sender_config = sender_config(settings, &client_id);
        let sender = Sender::new(sender_config, Arc::clone(&shared), client, random.split());
        (Self::without_thread(settings, client_id, shared), sender)
    }

    /// Everything but the thread.
    pub(super) fn without_thread(
        settings: &Settings,
        client_id: Arc<str>,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            shared,
            client_id,
            max_block: settings.max_block,
            ignore_keys: settings.ignore_keys,
            most_record_bytes: settings.max_request_size.min(settings.memory_of_a_topic()),
            max_request_size: settings.max_request_size,
            buffer_memory: settings.buffer_memory,
            delivery_timeout: settings.delivery_timeout,
            network: Worker::none(),
            callbacks: None,
        }
    }

    fn start_callback_thread(&mut self, sender: ProducerSender) -> Result<ProducerSender, Error> {
        let (end, ended) = bounded::<()>(0);
        let shared = Arc::clone(&self.shared);
        let started = CallbackExecutor::start(&self.client_id, shared, end);
        let (executor, thread) = started.map_err(cannot_start)?;
        self.callbacks = Some(Worker::new(thread, ended));
        Ok(sender.with_callbacks(executor))
    }

    fn spawn(&mut self, sender: ProducerSender) -> Result<(), Error> {
        let (end, ended) = bounded::<()>(0);
        let name = format!("kafka-producer-network-thread | {}", self.client_id);
        let thread = thread::Builder::new()
            .name(name)
            .spawn(move || {
                sender.run();
                drop(end);
            })
            .map_err(cannot_start)?;
        self.network = Worker::new(thread, ended);
        Ok(())
    }

    /// Whether waiting here would be waiting for oneself.
    pub(super) fn must_not_wait(&self) -> bool {
        let is_callbacks = || self.callbacks.as_ref().is_some_and(Worker::is_current);
        in_callback() || self.network.is_current() || is_callbacks()
    }

    /// What says so.
    #[cold]
    pub(super) fn would_deadlock(what: &str) -> Error {
        let text =
            format!("{what} would have to wait, inside a callback, for the thread it runs on");
        Error::new(ErrorKind::WouldDeadlock, text)
    }

    /// The record can never be sent (B51).
    #[cold]
    pub(super) fn too_large(&self, size: usize) -> Error {
        let (limit, key) = if size > self.max_request_size {
            (self.max_request_size, "max.request.size")
        } else if size > self.buffer_memory {
            (self.buffer_memory, "buffer.memory")
        } else {
            let most = self.most_record_bytes;
            let text = format!(
                "the record needs up to {size} bytes, which is more than the {most} that a topic may \
                 have (buffer.memory.share.per.topic, buffer.memory)"
            );
            return Error::new(ErrorKind::RecordTooLarge, text);
        };
        let text =
            format!("the record needs up to {size} bytes, which is more than {key}={limit} allows");
        Error::new(ErrorKind::RecordTooLarge, text)
    }

    /// What is accepted goes out for at most `timeout`, the rest is given up; then the thread ends.
    pub(super) fn close(&self, timeout: Duration) -> Result<(), CloseError> {
        if self.must_not_wait() {
            if timeout.is_zero() {
                self.force();
                return Ok(());
            }
            return Err(CloseError::new(Self::would_deadlock("close"), Vec::new()));
        }
        let started = self.shared.time.now();
        if !self.is_closed() {
            log::info!("{}: closing within {timeout:?}", self.client_id);
        }
        self.begin_close();
        if (timeout > Duration::ZERO && self.wait_for_end(timeout)) || self.has_ended() {
            return self.closed_gracefully();
        }
        self.close_by_force(started)
    }

    pub(super) fn closed_gracefully(&self) -> Result<(), CloseError> {
        let undelivered = self.shared.take_undelivered();
        match undelivered.first() {
            None => Ok(()),
            Some(first) => Err(CloseError::new(first.error.clone(), undelivered)),
        }
    }

    fn close_by_force(&self, started: Instant) -> Result<(), CloseError> {
        self.force();
        let ended = self.network.ends_within(PATIENCE);
        let waited = self.shared.time.now().saturating_duration_since(started);
        let (id, ms) = (&self.client_id, waited.as_millis());
        // What is given up has callbacks too.
        let all_told = ended
            && self
                .callbacks
                .as_ref()
                .is_none_or(|it| it.ends_within(QUIET));
        let undelivered = self.shared.take_undelivered();
        if ended && !all_told {
            let left = self.shared.accumulator.incomplete_batches();
            let text = format!(
                "{id}: callbacks of {left} batches have not run {ms} ms after close began; they go on by \
                 themselves (timeout of close, callback.thread.enable)"
            );
            log::warn!("{text}");
            return Err(CloseError::new(
                Error::new(ErrorKind::Timeout, text),
                undelivered,
            ));
        }
        if !ended {
            let text = format!(
                "{id}: the network thread has not ended {ms} ms after close began: is a callback stuck?"
            );
            log::error!("{text}");
            return Err(CloseError::new(
                Error::new(ErrorKind::Timeout, text),
                undelivered,
            ));
        }
        if undelivered.is_empty() {
            return Ok(());
        }
        let records: u64 = undelivered
            .iter()
            .map(|batch| u64::from(batch.record_count))
            .sum();
        let text = format!(
            "{id}: closed by force after {ms} ms: {records} records were given up (timeout of close)"
        );
        log::warn!("{text}");
        Err(CloseError::new(
            Error::new(ErrorKind::Timeout, text),
            undelivered,
        ))
    }

    /// Accepts nothing more, and fails who waits for metadata (B10).
    pub(super) fn begin_close(&self) {
        self.shared.metadata.close();
        self.shared.begin_close();
    }

    pub(super) fn force(&self) {
        self.shared.metadata.close();
        self.shared.force_close();
    }

    fn has_ended(&self) -> bool {
        self.wait_for_end(Duration::ZERO)
    }

    /// Whether all is told, and the threads have ended, within that time.
    fn wait_for_end(&self, timeout: Duration) -> bool {
        let began = self.shared.time.now();
        let left = || {
            let waited = self.shared.time.now().saturating_duration_since(began);
            timeout.saturating_sub(waited)
        };
        let ended = self.network.ends_within(timeout)
            && self
                .callbacks
                .as_ref()
                .is_none_or(|it| it.ends_within(left()));
        if ended {
            log::debug!("{}: closed", self.client_id);
        }
        ended
    }

    /// Whether `close` was called.
    pub(super) fn is_closed(&self) -> bool {
        self.shared.stage() != Stage::Running
    }
}

/// The last face is gone: what was accepted still goes out, for at most `delivery.timeout.ms`.
impl Drop for Engine {
    fn drop(&mut self) {
        self.begin_close();
        if !self.network.exists() || self.must_not_wait() || thread::panicking() {
            // The thread goes on by itself until everything has its outcome.
            return;
        }
        if self.wait_for_end(QUIET) {
            return;
        }
        log::warn!(
            "{}: dropping the producer waits for {} batches, at most for delivery.timeout.ms = {}",
            self.client_id,
            self.shared.accumulator.incomplete_batches(),
            self.delivery_timeout.as_millis(),
        );
        if !self.wait_for_end(self.delivery_timeout) {
            // It says itself what went wrong.
            let _ = self.close_by_force(self.shared.time.now());
        }
    }
}

/// As Java counts them: over all producers of the process.
pub(super) fn client_id(settings: &Settings) -> Arc<str> {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    if settings.client_id.is_empty() {
        format!("producer-{}", NEXT.fetch_add(1, Ordering::Relaxed)).into()
    } else {
        settings.client_id.as_str().into()
    }
}

fn cannot_start(error: io::Error) -> Error {
    let text = format!("cannot start the producer: {error}");
    Error::new(ErrorKind::Internal, text).with_source(error)
}

pub(super) fn selector_config(settings: &Settings) -> SelectorConfig {
    SelectorConfig {
        send_buffer_bytes: settings.send_buffer_bytes,
        receive_buffer_bytes: settings.receive_buffer_bytes,
        connections_max_idle: settings.connections_max_idle,
        ..SelectorConfig::default()
    }
}

fn shared(
    settings: &Settings,
    selector: &Selector,
    time: &Time,
    random: &mut Random,
) -> Arc<Shared> {
    let wakeup = selector.wakeup();
    let metadata_config = MetadataConfig {
        max_age: settings.metadata_max_age,
        max_idle: settings.metadata_max_idle,
        retry_backoff: settings.retry_backoff,
        retry_backoff_max: settings.retry_backoff_max,
    };
    let nodes = settings.bootstrap_nodes.clone();
    let metadata = Metadata::new(metadata_config, nodes, wakeup.clone());
    let accumulator_config = AccumulatorConfig {
        batch_size: settings.batch_size,
        linger: settings.linger,
        buffer_memory: settings.buffer_memory,
        most_per_topic: settings.most_per_topic(),
        delivery_timeout: settings.delivery_timeout,
        retry_backoff: settings.retry_backoff,
        retry_backoff_max: settings.retry_backoff_max,
    };
    let accumulator = RecordAccumulator::new(
        accumulator_config,
        time.clone(),
        random.split(),
        wakeup.clone(),
    );
    let queued = Arc::clone(&accumulator);
    metadata.ask_before_forgetting(move |topic| queued.has_queued(topic));
    Shared::new(time.clone(), Arc::new(metadata), accumulator, wakeup)
}

fn network_client_config(
    settings: &Settings,
    client_id: &Arc<str>,
    time: Time,
) -> NetworkClientConfig {
    NetworkClientConfig {
        client_id: Arc::clone(client_id),
        max_in_flight: settings.max_in_flight,
        reconnect_backoff: settings.reconnect_backoff,
        reconnect_backoff_max: settings.reconnect_backoff_max,
        connection_setup_timeout: settings.setup_timeout,
        connection_setup_timeout_max: settings.setup_timeout_max,
        request_timeout: settings.request_timeout,
        metadata_recovery: if settings.rebootstrap {
            MetadataRecovery::Rebootstrap {
                trigger: settings.rebootstrap_trigger,
            }
        } else {
            MetadataRecovery::None
        },
        time,
    }
}

fn sender_config(settings: &Settings, client_id: &Arc<str>) -> SenderConfig {
    SenderConfig {
        client_id: Arc::clone(client_id),
        acks: settings.acks,
        max_request_size: settings.max_request_size,
        request_timeout: settings.request_timeout,
        retries: settings.retries,
        max_in_flight_per_connection: settings.max_in_flight,
        idempotence: settings.enable_idempotence,
        retry_backoff: settings.retry_backoff,
        retry_backoff_max: settings.retry_backoff_max,
        fail_recreated_topics: settings.fail_recreated_topics,
    }
}

/// So long a drop may take before the log says why.
const QUIET: Duration = Duration::from_secs(1);

/// So long the thread has to end once it was told to drop everything.
const PATIENCE: Duration = Duration::from_secs(10);
