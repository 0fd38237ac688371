//! What can be made to go wrong, and on which requests.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

use kafka_protocol::protocol::StrBytes;

use crate::change::Change;
use crate::code;
use crate::hostile::Lie;
use crate::versions::Api;

/// One misbehaviour: where it strikes, what happens, how often. Several may hit one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub(crate) on: On,
    pub(crate) effect: Effect,
    pub(crate) skip: u32,
    pub(crate) left: u32,
    pub(crate) label: Option<&'static str>,
}

impl Fault {
    /// The effect strikes the next request that matches.
    pub fn new(on: On, effect: Effect) -> Self {
        Self {
            on,
            effect,
            skip: 0,
            left: 1,
            label: None,
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

    /// Counts under this name the requests on which the fault had an effect:
    /// [`crate::Cluster::strikes`].
    #[must_use]
    pub fn labelled(mut self, label: &'static str) -> Self {
        self.label = Some(label);
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

    /// Only requests of this API.
    #[must_use]
    pub fn only(mut self, api: Api) -> Self {
        self.api = Some(api);
        self
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
    /// Metadata, and the whole answer of the other APIs. REBOOTSTRAP_REQUIRED (129) on any topic is
    /// the code of the whole answer in the versions of Metadata that have one (13, KIP-1102).
    Error(i16),
    /// This code for the matching partitions, which were appended.
    ErrorAfterAppend(i16),
    /// Produce: INVALID_RECORD for those records of the matching partitions that [`refuses_record`]
    /// names for this number, from version 8 on with their indexes; no record of their batch is appended.
    RefuseRecords(u32),
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
    /// Instead of the answer a frame of these bytes, without a correlation id of ours. Like all
    /// effects that replace an answer it is sent also where none was due (acks=0).
    Garbage(Vec<u8>),
    /// Instead of the answer a frame of so many bytes: the right correlation id and nonsense.
    Rubbish(usize),
    /// Instead of the answer a frame whose first list claims 2^31 - 1 elements. InitProducerId before
    /// version 2 has no list.
    HugeArray,
    /// Instead of the answer what a web server says. Here and below the connection stays open: with
    /// [`Moment::MidResponse`] of many bytes it ends.
    Http,
    /// Instead of the answer what a TLS server says to a client without TLS.
    TlsAlert,
    /// Before the answer another one, with a correlation id that nobody asked with.
    Unasked,
    /// The answer comes twice.
    Twice,
    /// The answer is left out, and those to later requests come.
    Lost,
    /// The answer comes after the next one of its connection.
    Overtaken,
    /// The answer carries another correlation id.
    WrongCorrelationId,
    /// The answer's size prefix says this.
    SizePrefix(i32),
    /// The answer's size prefix says so much more, or less.
    SizeOffBy(i32),
    /// Only so many bytes of the answer leave, the size prefix counted. Nothing follows, and the
    /// connection stays open.
    CutShort(usize),
    /// The answer is well formed and cannot be true.
    Lie(Lie),
    /// The cluster changes after the request had its effect.
    Then(Box<Change>),
}

/// Whether [`Effect::RefuseRecords`] with this number refuses a record: by what it holds, so that
/// whoever knows the record knows it, too.
pub fn refuses_record(number: u32, key: Option<&[u8]>, value: Option<&[u8]>) -> bool {
    let hash = crc32c::crc32c(key.unwrap_or_default());
    let hash = crc32c::crc32c_append(hash, value.unwrap_or_default());
    hash % number.max(1) == 0
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

/// All faults in force, oldest first, and how often those with a label had an effect.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    faults: Vec<Standing>,
    counts: BTreeMap<&'static str, u64>,
}

#[derive(Debug)]
struct Standing {
    fault: Arc<Fault>,
    skip: u32,
    left: u32,
}

/// What strikes one request, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Strikes {
    strikes: Vec<Strike>,
}

/// One fault that strikes a request. Another may leave it nothing to do: a garbled answer is not
/// sent where the connection breaks before.
#[derive(Debug)]
pub(crate) struct Strike {
    fault: Arc<Fault>,
    had_effect: Cell<bool>,
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
    /// Topics and, for Produce, partitions; empty if no fault looks at them.
    pub(crate) topics: Vec<(StrBytes, Option<i32>)>,
}

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) {
        let (skip, left) = (fault.skip, fault.left);
        let fault = Arc::new(fault);
        self.faults.push(Standing { fault, skip, left });
    }

    pub(crate) fn clear(&mut self) {
        self.faults.clear();
    }

    pub(crate) fn has(&self, label: &str) -> bool {
        let mut standing = self.faults.iter();
        standing.any(|standing| standing.fault.label == Some(label))
    }

    pub(crate) fn end(&mut self, label: &str) {
        self.faults
            .retain(|standing| standing.fault.label != Some(label));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.faults.is_empty()
    }

    /// Whether any of them looks at topics.
    pub(crate) fn name_topics(&self) -> bool {
        let mut faults = self.faults.iter();
        faults.any(|standing| standing.fault.on.topic.is_some())
    }

    pub(crate) fn counts(&self) -> &BTreeMap<&'static str, u64> {
        &self.counts
    }

    /// The effects on a request; each fault that strikes is used up by one.
    pub(crate) fn strike(&mut self, target: &Target) -> Strikes {
        let mut strikes = Vec::new();
        for standing in &mut self.faults {
            if !standing.fault.on.matches(target) {
                continue;
            }
            if standing.skip > 0 {
                standing.skip -= 1;
            } else if standing.left > 0 {
                if standing.left != u32::MAX {
                    standing.left -= 1;
                }
                strikes.push(Strike {
                    fault: Arc::clone(&standing.fault),
                    had_effect: Cell::new(false),
                });
            }
        }
        self.faults.retain(|standing| standing.left > 0);
        Strikes { strikes }
    }

    /// Counts the faults that had an effect on a request.
    pub(crate) fn count(&mut self, strikes: &Strikes) {
        let effective = strikes.strikes.iter().filter(|s| s.had_effect.get());
        for label in effective.filter_map(|strike| strike.fault.label) {
            *self.counts.entry(label).or_insert(0) += 1;
        }
    }
}

impl Strike {
    pub(crate) fn effect(&self) -> &Effect {
        &self.fault.effect
    }

    pub(crate) fn had_effect(&self) {
        self.had_effect.set(true);
    }
}

impl Strikes {
    /// After all others a strike that answers with a code.
    pub(crate) fn push_error(&mut self, code: i16) {
        self.strikes.push(Strike {
            fault: Arc::new(Fault::error(On::any(), code)),
            had_effect: Cell::new(false),
        });
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Strike> {
        self.strikes.iter()
    }

    /// What the first strike that `pick` chooses does; that strike has had its effect.
    pub(crate) fn first<T>(&self, pick: impl Fn(&Effect) -> Option<T>) -> Option<T> {
        self.strikes.iter().find_map(|strike| {
            let picked = pick(strike.effect())?;
            strike.had_effect();
            Some(picked)
        })
    }

    /// Whether the connection ends before the first byte of the answer, so that nobody can say
    /// whether the request was ever acknowledged.
    pub(crate) fn breaks_before_answer(&self) -> bool {
        let mut effects = self.strikes.iter().map(Strike::effect);
        effects.any(|effect| *effect == Effect::Disconnect(Moment::AfterAppend))
    }

    /// Lets each lie be told that `tell` can tell of this answer.
    pub(crate) fn lies(&self, mut tell: impl FnMut(Lie) -> bool) {
        for strike in &self.strikes {
            if let Effect::Lie(lie) = strike.effect() {
                if tell(*lie) {
                    strike.had_effect();
                }
            }
        }
    }

    /// The throttle time to tell.
    pub(crate) fn throttle_ms(&self) -> i32 {
        let told = self
            .strikes
            .iter()
            .filter_map(|strike| match strike.effect() {
                Effect::Throttle(millis) => Some(*millis),
                _ => None,
            });
        told.last().unwrap_or(0)
    }

    /// The error for a topic, or for one of its partitions.
    pub(crate) fn error(&self, topic: &str, partition: Option<i32>) -> Option<ErrorCode> {
        let strike = self.strikes.iter().find(|strike| {
            strike.effect().error().is_some() && strike.fault.on.names(topic, partition)
        })?;
        strike.had_effect();
        strike.effect().error()
    }

    /// By which number records of a partition are refused.
    pub(crate) fn refuses_records(&self, topic: &str, partition: i32) -> Option<(u32, &Strike)> {
        self.strikes
            .iter()
            .find_map(|strike| match strike.effect() {
                Effect::RefuseRecords(number) if strike.fault.on.names(topic, Some(partition)) => {
                    Some((*number, strike))
                }
                _ => None,
            })
    }

    /// Whether a Metadata answer as a whole says that the client should begin anew.
    pub(crate) fn rebootstraps(&self) -> bool {
        let required = Effect::Error(code::REBOOTSTRAP_REQUIRED);
        let strike = self
            .strikes
            .iter()
            .find(|strike| *strike.effect() == required && strike.fault.on.topic.is_none());
        strike.inspect(|strike| strike.had_effect()).is_some()
    }

    /// The error for a request that names no topic.
    pub(crate) fn error_of_all(&self) -> Option<i16> {
        self.first(|effect| match effect.error()? {
            ErrorCode::Instead(code) | ErrorCode::After(code) => Some(code),
        })
    }
}

impl Effect {
    fn error(&self) -> Option<ErrorCode> {
        match self {
            Self::Error(code) => Some(ErrorCode::Instead(*code)),
            Self::ErrorAfterAppend(code) => Some(ErrorCode::After(*code)),
            _ => None,
        }
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
