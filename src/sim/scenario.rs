//! One run, as plain data: everything that is drawn from a seed, and all that a shrinker can take away.
//!
//! Thread: any. Locks: none. Invariant: the same scenario runs the same way; each part carries its
//! own seed, so that taking one away changes nothing in the draws of the others.

use std::time::Duration;

use super::draw::Contradiction;
use super::faults::FaultPlan;

/// Everything about one run.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    pub(crate) seed: u64,
    pub(crate) config: ConfigPlan,
    pub(crate) cluster: ClusterPlan,
    pub(crate) threads: Vec<ThreadPlan>,
    pub(crate) faults: Vec<FaultPlan>,
    /// So long the safety phase lasts at most: then everything heals, and the liveness phase begins.
    pub(crate) safety: Duration,
    /// How it ends.
    pub(crate) ending: Ending,
}

/// The producer's configuration; what is not here has its default.
#[derive(Debug, Clone)]
pub(crate) struct ConfigPlan {
    /// 0, 1 or -1.
    pub(crate) acks: i16,
    pub(crate) idempotence: bool,
    pub(crate) max_in_flight: u32,
    pub(crate) linger_ms: u64,
    pub(crate) batch_size: usize,
    pub(crate) buffer_memory: usize,
    /// Per cent; 100: no limit.
    pub(crate) topic_share: u32,
    pub(crate) max_request_size: usize,
    pub(crate) delivery_timeout_ms: u64,
    pub(crate) request_timeout_ms: u64,
    pub(crate) max_block_ms: u64,
    pub(crate) retries: u32,
    pub(crate) retry_backoff_ms: (u64, u64),
    pub(crate) reconnect_backoff_ms: (u64, u64),
    pub(crate) setup_timeout_ms: (u64, u64),
    pub(crate) max_idle_ms: Option<u64>,
    pub(crate) metadata_max_age_ms: u64,
    pub(crate) metadata_max_idle_ms: u64,
    pub(crate) rebootstrap_trigger_ms: Option<u64>,
    pub(crate) ignore_keys: bool,
    /// `topic.recreation.policy` is `fail`.
    pub(crate) fails_recreated: bool,
    /// Callbacks run beside the Sender.
    pub(crate) callback_thread: bool,
    /// Where the sequences of each partition begin, for runs near their wrap.
    pub(crate) first_sequence: i32,
    /// Settings that contradict each other, tried before the run: each has to be refused.
    pub(crate) contradictions: Vec<Contradiction>,
    /// How many of the brokers `bootstrap.servers` names.
    pub(crate) bootstrap_servers: usize,
    /// Whether it names them by host name (then the simulated DNS is asked).
    pub(crate) bootstrap_by_name: bool,
}

impl ConfigPlan {
    /// Bytes that the records of one topic may take.
    pub(crate) fn memory_of_a_topic(&self) -> usize {
        let percent = usize::try_from(self.topic_share).expect("small");
        self.buffer_memory * percent / 100
    }
}

/// The brokers and their topics.
#[derive(Debug, Clone)]
pub(crate) struct ClusterPlan {
    pub(crate) seed: u64,
    pub(crate) brokers: i32,
    pub(crate) topics: Vec<TopicPlan>,
    /// Index into the version profiles that are simulated, the newest first.
    pub(crate) versions: usize,
    pub(crate) producer_window: usize,
    /// Milliseconds without use after which a broker forgets a producer.
    pub(crate) forgets_after_ms: Option<u64>,
    pub(crate) refuses_unknown_first_sequence: bool,
    pub(crate) first_epoch: i16,
}

#[derive(Debug, Clone)]
pub(crate) struct TopicPlan {
    pub(crate) name: String,
    pub(crate) partitions: i32,
    pub(crate) log_append_time: bool,
    pub(crate) min_insync_replicas: usize,
    pub(crate) max_message_bytes: usize,
}

/// One application thread: what it does is drawn, call by call, from its seed.
#[derive(Debug, Clone)]
pub(crate) struct ThreadPlan {
    pub(crate) seed: u64,
    /// How many calls it makes; a shorter run is a prefix of a longer one.
    pub(crate) calls: u32,
    /// Between two calls, on average, in microseconds.
    pub(crate) pause_us: u64,
    /// So many calls follow each other without a pause, on average; then comes a longer one.
    pub(crate) burst: u32,
    /// Largest value in the ordinary case; sizes are log-uniform below it.
    pub(crate) largest_value: usize,
    /// Most records of up to 1.6 MB, besides.
    pub(crate) huge_records: u32,
    /// Its wakers do nothing: to see that it is noticed.
    pub(crate) deaf: bool,
    /// How often it makes which call, see `application/calls.rs`.
    pub(crate) habits: Habits,
}

/// How often, per mille of a thread's calls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Habits {
    // Of all calls:
    pub(crate) flush: u32,
    pub(crate) flush_timeout: u32,
    pub(crate) partitions_for: u32,
    pub(crate) renew_clone: u32,
    pub(crate) purge: u32,
    // Of sends: which way.
    pub(crate) try_send: u32,
    pub(crate) send_when_ready: u32,
    /// `with_serializers`: others than the default ones, some of which fail or panic.
    pub(crate) serializers: u32,
    // Of sends: what.
    pub(crate) keyed: u32,
    pub(crate) explicit_partition: u32,
    pub(crate) explicit_timestamp: u32,
    pub(crate) headers: u32,
    pub(crate) null_value: u32,
    pub(crate) huge: u32,
    /// Bad partition, negative timestamp, unknown topic, name that no topic can have.
    pub(crate) bad_record: u32,
    // Of sends: what is done about the outcome.
    pub(crate) callback: u32,
    pub(crate) wait_for_handle: u32,
    pub(crate) keep_handle: u32,
}

/// How a run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Everything heals, probes are sent, then `close` with a long timeout.
    Close,
    /// `close(timeout)` in the middle of the safety phase.
    CloseEarly { at: Duration, timeout: Duration },
    /// The last clone is dropped in the middle of the safety phase.
    Drop { at: Duration },
}
