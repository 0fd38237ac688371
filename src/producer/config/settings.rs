//! The configuration as the rooms use it: typed, in range, and free of contradictions.
//!
//! Java's counterpart: `ProducerConfig.postProcessParsedConfig`, `KafkaProducer.configure*`. Thread:
//! application. Locks: none. Rules that join several keys are here, one function each.

use std::collections::BTreeMap;
use std::time::Duration;

use super::key_table::KEYS;
use crate::client::parse_bootstrap;
use crate::cluster::Node;
use crate::error::{Error, ErrorKind};

/// Every key's value; durations and sizes as they are used.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Settings {
    pub(crate) bootstrap_servers: String,
    /// The same, read.
    pub(crate) bootstrap_nodes: Vec<Node>,
    /// Empty: one is made up.
    pub(crate) client_id: String,
    /// -1, 0 or 1, as in a Produce request.
    pub(crate) acks: i16,
    pub(crate) enable_idempotence: bool,
    pub(crate) max_in_flight: usize,
    pub(crate) retries: u32,
    pub(crate) retry_backoff: Duration,
    pub(crate) retry_backoff_max: Duration,
    pub(crate) delivery_timeout: Duration,
    pub(crate) request_timeout: Duration,
    pub(crate) linger: Duration,
    pub(crate) batch_size: usize,
    pub(crate) buffer_memory: usize,
    /// `buffer.memory.share.per.topic`
    pub(crate) topic_share_percent: usize,
    pub(crate) max_block: Duration,
    pub(crate) max_request_size: usize,
    pub(crate) metadata_max_age: Duration,
    pub(crate) metadata_max_idle: Duration,
    /// `metadata.recovery.strategy` is `rebootstrap`.
    pub(crate) rebootstrap: bool,
    pub(crate) rebootstrap_trigger: Duration,
    pub(crate) reconnect_backoff: Duration,
    pub(crate) reconnect_backoff_max: Duration,
    pub(crate) setup_timeout: Duration,
    pub(crate) setup_timeout_max: Duration,
    /// `None`: never.
    pub(crate) connections_max_idle: Option<Duration>,
    pub(crate) send_buffer_bytes: i32,
    pub(crate) receive_buffer_bytes: i32,
    pub(crate) ignore_keys: bool,
    /// `topic.recreation.policy` is `fail`.
    pub(crate) fail_recreated_topics: bool,
    /// `callback.thread.enable`
    pub(crate) callback_thread: bool,
}

/// What was set, by key.
pub(super) type Explicit = BTreeMap<String, String>;

impl Settings {
    /// Reads every key, set or default, and applies the rules. Says in the log what it changed.
    pub(super) fn resolve(explicit: &Explicit) -> Result<Self, Error> {
        let mut settings = Self::default();
        for key in KEYS {
            let set = explicit.get(key.name).map(String::as_str);
            match set.or(key.default) {
                Some(text) => (key.apply)(&mut settings, key.parse(text)?),
                None => return Err(missing(key.name)),
            }
        }
        settings.bootstrap_nodes = parse_bootstrap(&settings.bootstrap_servers)?;
        settings.check_client_id()?;
        settings.check_idempotence(explicit)?;
        settings.check_delivery_timeout(explicit)?;
        settings.check_batch_size(explicit)?;
        settings.order_backoffs(explicit);
        Ok(settings)
    }

    /// It goes with every request, in a string of that length, and is part of a thread's name.
    fn check_client_id(&self) -> Result<(), Error> {
        let bytes = self.client_id.len();
        if bytes > MOST_CLIENT_ID {
            return Err(config(format!(
                "client.id is {bytes} bytes long, and may be {MOST_CLIENT_ID}"
            )));
        }
        if self.client_id.contains('\0') {
            return Err(config("client.id has a character NUL in it".to_owned()));
        }
        Ok(())
    }

    /// C2, C3: what idempotence needs; as a default it gives way to `acks` and `retries`.
    fn check_idempotence(&mut self, explicit: &Explicit) -> Result<(), Error> {
        if !self.enable_idempotence {
            return Ok(());
        }
        let asked_for = explicit.contains_key(IDEMPOTENCE);
        if self.max_in_flight > MOST_IN_FLIGHT {
            return Err(config(format!(
                "{IN_FLIGHT}={} is too many for an idempotent producer: at most {MOST_IN_FLIGHT}, or \
                 set {IDEMPOTENCE}=false",
                self.max_in_flight
            )));
        }
        let conflict = if self.retries == 0 {
            Some("retries=0".to_owned())
        } else if self.acks != -1 {
            Some(format!("acks={}", self.acks))
        } else {
            None
        };
        match conflict {
            Some(conflict) if asked_for => Err(config(format!(
                "{conflict} contradicts {IDEMPOTENCE}=true, which needs acks=all and retries above 0"
            ))),
            Some(conflict) => {
                log::info!(
                    "idempotence is off because of {conflict}: records sent again may be there twice"
                );
                self.enable_idempotence = false;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// C1: there is time for at least one request after the linger.
    fn check_delivery_timeout(&mut self, explicit: &Explicit) -> Result<(), Error> {
        let most = Duration::from_millis(i32::MAX as u64);
        let least = (self.linger + self.request_timeout).min(most);
        if self.delivery_timeout >= least {
            return Ok(());
        }
        if explicit.contains_key(DELIVERY_TIMEOUT) {
            return Err(config(format!(
                "{DELIVERY_TIMEOUT}={} should be at least linger.ms + request.timeout.ms = {} + {}",
                self.delivery_timeout.as_millis(),
                self.linger.as_millis(),
                self.request_timeout.as_millis()
            )));
        }
        log::warn!(
            "{DELIVERY_TIMEOUT} is raised to linger.ms + request.timeout.ms = {}",
            least.as_millis()
        );
        self.delivery_timeout = least;
        Ok(())
    }

    /// What the records of one topic may take of `buffer.memory`, if that is not all.
    pub(crate) fn most_per_topic(&self) -> Option<usize> {
        if self.topic_share_percent >= 100 {
            return None;
        }
        // In parts, as all of it times a hundred may be more than there are numbers.
        let (hundredths, rest) = (self.buffer_memory / 100, self.buffer_memory % 100);
        Some(hundredths * self.topic_share_percent + rest * self.topic_share_percent / 100)
    }

    /// The same; all of it without a limit.
    pub(crate) fn memory_of_a_topic(&self) -> usize {
        self.most_per_topic().unwrap_or(self.buffer_memory)
    }

    /// C13: Java accepts it, and every send fails.
    fn check_batch_size(&mut self, explicit: &Explicit) -> Result<(), Error> {
        let most = self.memory_of_a_topic();
        if self.batch_size <= most {
            return Ok(());
        }
        let share = match self.most_per_topic() {
            None => String::new(),
            Some(most) => format!(
                ", of which buffer.memory.share.per.topic={} leaves {most} to a topic",
                self.topic_share_percent
            ),
        };
        let limit = format!("buffer.memory={}{share}", self.buffer_memory);
        if explicit.contains_key("batch.size") {
            return Err(config(format!(
                "batch.size={} is more than there is in all: {limit}",
                self.batch_size
            )));
        }
        log::warn!("batch.size is lowered to {most}: {limit}");
        self.batch_size = most;
        Ok(())
    }

    /// C7, C8: a first pause longer than the longest is constant.
    fn order_backoffs(&mut self, explicit: &Explicit) {
        let set = |name: &str| explicit.contains_key(name);
        if set("reconnect.backoff.ms") && !set("reconnect.backoff.max.ms") {
            log::warn!("reconnect.backoff.ms does not grow: reconnect.backoff.max.ms is not set");
            self.reconnect_backoff_max = self.reconnect_backoff;
        }
        let cut = |name: &str, first: &mut Duration, longest: Duration| {
            if *first > longest {
                log::warn!("{name} is more than its maximum and is cut to {longest:?}");
                *first = longest;
            }
        };
        let longest = self.reconnect_backoff_max;
        cut("reconnect.backoff.ms", &mut self.reconnect_backoff, longest);
        let longest = self.retry_backoff_max;
        cut("retry.backoff.ms", &mut self.retry_backoff, longest);
        let longest = self.setup_timeout_max;
        cut(
            "socket.connection.setup.timeout.ms",
            &mut self.setup_timeout,
            longest,
        );
    }
}

fn missing(name: &str) -> Error {
    config(format!("{name} is missing, and has no default"))
}

pub(super) fn config(text: String) -> Error {
    Error::new(ErrorKind::Config, text)
}

const IDEMPOTENCE: &str = "enable.idempotence";
const IN_FLIGHT: &str = "max.in.flight.requests.per.connection";
const DELIVERY_TIMEOUT: &str = "delivery.timeout.ms";

/// The length of a string of the protocol is an `int16`.
const MOST_CLIENT_ID: usize = i16::MAX as usize;

/// As many as a broker remembers.
const MOST_IN_FLIGHT: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(pairs: &[(&str, &str)]) -> Result<Settings, String> {
        let mut explicit = Explicit::from([("bootstrap.servers".into(), "a:1".into())]);
        explicit.extend(pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())));
        Settings::resolve(&explicit).map_err(|error| error.to_string())
    }

    fn refused(pairs: &[(&str, &str)]) -> String {
        resolve(pairs).expect_err("it contradicts itself")
    }

    #[test]
    fn resolve_defaults_are_those_of_kafka() {
        let settings = resolve(&[]).expect("the defaults agree");
        assert_eq!(settings.acks, -1);
        assert!(settings.enable_idempotence && settings.rebootstrap);
        assert_eq!(settings.linger, Duration::from_millis(5));
        assert_eq!(settings.batch_size, 16_384);
        assert_eq!(settings.buffer_memory, 32 << 20);
        assert_eq!(settings.max_request_size, 1 << 20);
        assert_eq!(settings.retries, 2_147_483_647);
        assert_eq!(settings.max_in_flight, 5);
        assert_eq!(settings.delivery_timeout, Duration::from_secs(120));
        assert_eq!(
            settings.connections_max_idle,
            Some(Duration::from_secs(540))
        );
    }

    #[test]
    fn resolve_without_bootstrap_servers_is_refused() {
        let error = Settings::resolve(&Explicit::new()).expect_err("nowhere to go");
        assert!(error.to_string().contains("bootstrap.servers is missing"));
        assert_eq!(error.kind(), ErrorKind::Config);
    }

    #[test]
    fn idempotence_asked_for_refuses_what_contradicts_it() {
        let on = ("enable.idempotence", "true");
        for other in [
            ("acks", "1"),
            ("acks", "0"),
            ("retries", "0"),
            ("max.in.flight.requests.per.connection", "6"),
        ] {
            let text = refused(&[on, other]);
            assert!(
                text.contains(other.0) && text.contains("enable.idempotence"),
                "{text}"
            );
        }
        assert!(resolve(&[on, ("acks", "-1")]).is_ok());
    }

    #[test]
    fn idempotence_by_default_gives_way_to_acks_and_retries_only() {
        for other in [("acks", "1"), ("acks", "0"), ("retries", "0")] {
            assert!(!resolve(&[other]).expect("allowed").enable_idempotence);
        }
        let many = ("max.in.flight.requests.per.connection", "6");
        assert!(refused(&[many]).contains(many.0));
        assert!(refused(&[many, ("acks", "1")]).contains(many.0));
        assert!(resolve(&[many, ("enable.idempotence", "false")]).is_ok());
    }

    #[test]
    fn delivery_timeout_too_short_is_refused_or_raised() {
        let text = refused(&[("delivery.timeout.ms", "30004")]);
        assert!(
            text.contains("linger.ms + request.timeout.ms = 5 + 30000"),
            "{text}"
        );
        assert!(resolve(&[("delivery.timeout.ms", "30005")]).is_ok());
        let raised = resolve(&[("request.timeout.ms", "200000")]).expect("it is raised");
        assert_eq!(raised.delivery_timeout, Duration::from_millis(200_005));
        let most = resolve(&[("linger.ms", "9223372036854775807")]).expect("it saturates");
        assert_eq!(
            most.delivery_timeout,
            Duration::from_millis(i32::MAX as u64)
        );
    }

    #[test]
    fn batch_size_over_buffer_memory_is_refused_or_lowered() {
        let memory = ("buffer.memory", "1000");
        let text = refused(&[memory, ("batch.size", "1001")]);
        assert!(text.contains("batch.size=1001") && text.contains("buffer.memory=1000"));
        assert_eq!(resolve(&[memory]).expect("lowered").batch_size, 1000);
    }

    #[test]
    fn batch_size_over_the_share_of_a_topic_is_refused_or_lowered() {
        let share = ("buffer.memory.share.per.topic", "15");
        let memory = ("buffer.memory", "1099");
        let text = refused(&[memory, share, ("batch.size", "165")]);
        for named in ["batch.size=165", "buffer.memory=1099", "share.per.topic=15"] {
            assert!(text.contains(named), "{text}");
        }
        let lowered = resolve(&[memory, share]).expect("lowered");
        assert_eq!(
            (lowered.batch_size, lowered.most_per_topic()),
            (164, Some(164))
        );
    }

    #[test]
    fn share_of_a_topic_of_all_there_are_numbers_for_does_not_overflow() {
        let most = ("buffer.memory", "9223372036854775807");
        let share = |percent| resolve(&[most, ("buffer.memory.share.per.topic", percent)]);
        let half = share("50").expect("allowed").most_per_topic();
        assert_eq!(half, usize::try_from(i64::MAX / 2).ok());
        assert_eq!(share("100").expect("no limit").most_per_topic(), None);
        assert!(share("0").is_err() && share("101").is_err());
    }

    #[test]
    fn backoff_over_its_maximum_is_constant() {
        let constant = resolve(&[("reconnect.backoff.ms", "70")]).expect("allowed");
        assert_eq!(constant.reconnect_backoff_max, Duration::from_millis(70));
        let cut = resolve(&[("retry.backoff.ms", "5000")]).expect("allowed");
        assert_eq!(cut.retry_backoff, Duration::from_secs(1));
    }

    #[test]
    fn smallest_record_is_what_a_batch_of_one_empty_record_takes() {
        let bound = crate::record::RecordView::new(0, None, None, &[]).upper_bound();
        assert_eq!(
            i64::try_from(bound),
            Ok(super::super::key_table::SMALLEST_RECORD)
        );
    }

    #[test]
    fn client_id_that_no_request_or_thread_can_carry_is_refused() {
        let id = |id: &str| resolve(&[("client.id", id)]).map(|settings| settings.client_id);
        assert_eq!(id(&"\u{e9}".repeat(16_000)).map(|id| id.len()), Ok(32_000));
        for wrong in ["x".repeat(32_768), "a\0b".to_owned()] {
            assert!(id(&wrong).expect_err("refused").contains("client.id"));
        }
    }

    #[test]
    fn connections_max_idle_negative_is_never() {
        let never = resolve(&[("connections.max.idle.ms", "-1")]).expect("allowed");
        assert_eq!(never.connections_max_idle, None);
    }
}
