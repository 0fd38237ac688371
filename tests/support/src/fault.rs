//! What can be made to go wrong, and on which requests.

use crate::cluster::Change;
use crate::versions::Api;

/// One misbehaviour: where it strikes, what happens, how often. Several may hit one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub(crate) on: On,
    pub(crate) effect: Effect,
    pub(crate) skip: u32,
    pub(crate) left: u32,
}

impl Fault {
    /// The effect strikes the next request that matches.
    pub fn new(on: On, effect: Effect) -> Self {
        Self {
            on,
            effect,
            skip: 0,
            left: 1,
        }
    }

    /// Answers with an error code and appends nothing.
    pub fn error(on: On, code: i16) -> Self {
        Self::new(on, Effect::Error(code))
    }

    /// Appends, and answers with an error code all the same.
    pub fn error_after_append(on: On, code: i16) -> Self {
        Self::new(on, Effect::ErrorAfterAppend(code))
    }

    /// Closes the connection.
    pub fn disconnect(on: On, moment: Moment) -> Self {
        Self::new(on, Effect::Disconnect(moment))
    }

    /// Answers late; what follows on the connection waits, as on a real broker.
    pub fn delay(on: On, millis: i64) -> Self {
        Self::new(on, Effect::Delay(millis))
    }

    /// Keeps the answer back until [`crate::Cluster::release`].
    pub fn hold(on: On) -> Self {
        Self::new(on, Effect::Hold)
    }

    /// Neither handles nor answers the request, nor any later one on its connection.
    pub fn swallow(on: On) -> Self {
        Self::new(on, Effect::Swallow)
    }

    /// Makes a change when the request has had its effect, before its answer leaves: a leader moves
    /// in mid-stream at an exact place.
    pub fn then(on: On, change: Change) -> Self {
        Self::new(on, Effect::Then(Box::new(change)))
    }

    /// Reports a throttle time, and does not read from the connection that long.
    pub fn throttle(on: On, millis: i32) -> Self {
        Self::new(on, Effect::Throttle(millis))
    }

    /// Strikes the next `times` matching requests.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.left = times;
        self
    }

    /// Strikes until [`crate::Cluster::clear_faults`].
    #[must_use]
    pub fn always(self) -> Self {
        self.times(u32::MAX)
    }

    /// Lets the first `skip` matching requests pass.
    #[must_use]
    pub fn after(mut self, skip: u32) -> Self {
        self.skip = skip;
        self
    }
}

/// Which requests a [`Fault`] strikes: everything that is named must match.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct On {
    pub(crate) api: Option<Api>,
    pub(crate) node: Option<i32>,
    pub(crate) topic: Option<String>,
    pub(crate) partition: Option<i32>,
}

impl On {
    /// Every request.
    pub fn any() -> Self {
        Self::default()
    }

    /// Requests of one API.
    pub fn api(api: Api) -> Self {
        Self {
            api: Some(api),
            ..Self::default()
        }
    }

    /// Produce requests.
    pub fn produce() -> Self {
        Self::api(Api::Produce)
    }

    /// Metadata requests.
    pub fn metadata() -> Self {
        Self::api(Api::Metadata)
    }

    /// InitProducerId requests.
    pub fn init_producer_id() -> Self {
        Self::api(Api::InitProducerId)
    }

    /// Only at this node.
    #[must_use]
    pub fn node(mut self, node: i32) -> Self {
        self.node = Some(node);
        self
    }

    /// Only requests that name this topic.
    #[must_use]
    pub fn topic(mut self, topic: &str) -> Self {
        self.topic = Some(topic.to_owned());
        self
    }

    /// Only requests that name this partition.
    #[must_use]
    pub fn partition(mut self, topic: &str, partition: i32) -> Self {
        self.topic = Some(topic.to_owned());
        self.partition = Some(partition);
        self
    }
}

/// What a [`Fault`] does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// This code, nothing done: for the matching partitions of Produce, the matching topics of
    /// Metadata, and the whole answer of the other APIs.
    Error(i16),
    /// This code for the matching partitions, which were appended.
    ErrorAfterAppend(i16),
    /// The connection is closed.
    Disconnect(Moment),
    /// The answer leaves this many milliseconds late.
    Delay(i64),
    /// The answer leaves when the test says so.
    Hold,
    /// The request is ignored for ever.
    Swallow,
    /// `throttle_time_ms` in the answer.
    Throttle(i32),
    /// The answer's body is this instead.
    Garbage(Vec<u8>),
    /// The answer carries another correlation id.
    WrongCorrelationId,
    /// The cluster changes after the request had its effect.
    Then(Box<Change>),
}

/// When a connection breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Before the request had any effect.
    BeforeAppend,
    /// After it had its effect, before the first byte of the answer.
    AfterAppend,
    /// After that many bytes of the answer, its size prefix included.
    MidResponse(usize),
}

/// All faults in force, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    faults: Vec<Fault>,
}

/// What strikes one request.
#[derive(Debug, Default)]
pub(crate) struct Strikes {
    pub(crate) disconnect: Option<Moment>,
    pub(crate) delay_ms: i64,
    pub(crate) hold: bool,
    pub(crate) swallow: bool,
    pub(crate) throttle_ms: i32,
    pub(crate) garbage: Option<Vec<u8>>,
    pub(crate) wrong_correlation_id: bool,
    pub(crate) changes: Vec<Change>,
    errors: Vec<(On, ErrorCode)>,
}

/// The code to answer with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ErrorCode {
    Instead(i16),
    After(i16),
}

/// What a fault can look at in a request.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) api: Api,
    pub(crate) node: i32,
    /// Topics and, for Produce, partitions.
    pub(crate) topics: Vec<(String, Option<i32>)>,
}

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    pub(crate) fn clear(&mut self) {
        self.faults.clear();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.faults.is_empty()
    }

    /// The effects on a request; each fault that strikes is used up by one.
    pub(crate) fn strike(&mut self, target: &Target) -> Strikes {
        let mut strikes = Strikes::default();
        for fault in &mut self.faults {
            if !fault.on.matches(target) {
                continue;
            }
            if fault.skip > 0 {
                fault.skip -= 1;
            } else if fault.left > 0 {
                if fault.left != u32::MAX {
                    fault.left -= 1;
                }
                strikes.add(fault);
            }
        }
        self.faults.retain(|fault| fault.left > 0);
        strikes
    }
}

impl Strikes {
    fn add(&mut self, fault: &Fault) {
        match &fault.effect {
            Effect::Error(code) => {
                let error = ErrorCode::Instead(*code);
                self.errors.push((fault.on.clone(), error));
            }
            Effect::ErrorAfterAppend(code) => {
                let error = ErrorCode::After(*code);
                self.errors.push((fault.on.clone(), error));
            }
            Effect::Disconnect(moment) => self.disconnect = Some(*moment),
            Effect::Delay(millis) => self.delay_ms += *millis,
            Effect::Hold => self.hold = true,
            Effect::Swallow => self.swallow = true,
            Effect::Throttle(millis) => self.throttle_ms = *millis,
            Effect::Garbage(bytes) => self.garbage = Some(bytes.clone()),
            Effect::WrongCorrelationId => self.wrong_correlation_id = true,
            Effect::Then(change) => self.changes.push((**change).clone()),
        }
    }

    /// The error for a topic, or for one of its partitions.
    pub(crate) fn error(&self, topic: &str, partition: Option<i32>) -> Option<ErrorCode> {
        let names = |on: &On| on.names(topic, partition);
        self.errors
            .iter()
            .find(|(on, _)| names(on))
            .map(|(_, error)| *error)
    }

    /// The error for a request that names no topic.
    pub(crate) fn error_of_all(&self) -> Option<i16> {
        self.errors.first().map(|(_, error)| match error {
            ErrorCode::Instead(code) | ErrorCode::After(code) => *code,
        })
    }
}

impl On {
    fn matches(&self, target: &Target) -> bool {
        let names_one = || {
            target
                .topics
                .iter()
                .any(|(topic, partition)| self.names(topic, *partition))
        };
        self.api.is_none_or(|api| api == target.api)
            && self.node.is_none_or(|node| node == target.node)
            && (self.topic.is_none() || names_one())
    }

    fn names(&self, topic: &str, partition: Option<i32>) -> bool {
        let same_partition =
            partition.is_none() || self.partition.is_none() || self.partition == partition;
        self.topic.as_ref().is_none_or(|name| name == topic) && same_partition
    }
}
