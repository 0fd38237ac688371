//! Faults that strike single requests, in the brokers: one of each plan is armed at a time, lets some
//! requests pass, strikes one, and is armed again.
//!
//! Thread: the one that simulates. Locks: none.

use std::time::Duration;

use kafka_test_support::{Api, Change, Effect, Fault, Lie, Moment, On};

use super::kinds::FaultKind;
use super::plan::{DrawTime, FaultPlan};
use super::strikes::Repair;
use crate::random::Random;
use crate::sim::streams::{Draw, stream};
use crate::sim::world::World;

/// One plan of the sort.
#[derive(Debug)]
pub(super) struct Armed {
    plan: FaultPlan,
    random: Random,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Early,
    Armed,
    Over,
}

impl Armed {
    /// None for a kind that is not of the sort.
    pub(super) fn new(plan: &FaultPlan) -> Option<Self> {
        one_in(plan)?;
        Some(Self {
            plan: plan.clone(),
            random: stream(plan.seed, "requests"),
            state: State::Early,
        })
    }

    /// When its window begins or ends.
    pub(super) fn next_event(&self) -> Option<Duration> {
        match self.state {
            State::Early => Some(self.plan.from),
            State::Armed => Some(self.plan.until),
            State::Over => None,
        }
    }

    fn fault(&mut self, target: On) -> Fault {
        let plan = &self.plan;
        let every = one_in(plan).unwrap_or(1);
        let mut passes = self.random.between(0, 2 * (every - 1));
        if self.state == State::Early {
            // A short run shall see it too.
            passes /= 4;
        }
        let effect = effect(plan, &mut self.random);
        let on = if let Some(api) = api_of(plan.kind, &mut self.random) {
            target.only(api)
        } else {
            target
        };
        Fault::new(on, effect)
            .after(u32::try_from(passes).unwrap_or(u32::MAX))
            .labelled(plan.kind.name())
    }
}

/// One in how many matching requests it strikes on average.
fn one_in(plan: &FaultPlan) -> Option<u64> {
    use FaultKind as Kind;
    let (weak, strong) = match plan.kind {
        Kind::RetriableCode | Kind::ClosedBeforeAppend | Kind::ClosedInAnswer => (100, 2),
        Kind::CodeAfterAppend | Kind::ClosedAfterAppend => (100, 2),
        Kind::KillingCode => (50, 10),
        Kind::FatalCode | Kind::AnyCode | Kind::SequenceCode | Kind::MessageTooLarge => (200, 8),
        Kind::RefusedRecords => (60, 2),
        Kind::DelayedAnswer | Kind::HeldAnswer => (50, 2),
        Kind::SwallowedRequest => (200, 3),
        Kind::Throttling => (50, 3),
        Kind::WrongCorrelationId | Kind::GarbageAnswer | Kind::RubbishAnswer => (100, 4),
        Kind::HttpAnswer | Kind::TlsAlert | Kind::UnaskedAnswer | Kind::AnsweredTwice => (100, 4),
        Kind::WrongSize | Kind::CutShortAnswer | Kind::LyingProduceAnswer => (100, 6),
        Kind::LyingMetadata | Kind::OddApiVersions | Kind::NoProducerId => (4, 2),
        Kind::RebootstrapRequired => (4, 2),
        Kind::ApiVersionsCode | Kind::MetadataCode | Kind::InitProducerIdCode => (4, 2),
        Kind::InitProducerIdHangs => (2, 1),
        _ => return None,
    };
    Some(plan.scaled(weak, strong))
}

/// Which requests; none is all of them.
fn api_of(kind: FaultKind, random: &mut Random) -> Option<Api> {
    use FaultKind as Kind;
    match kind {
        Kind::RetriableCode
        | Kind::CodeAfterAppend
        | Kind::FatalCode
        | Kind::KillingCode
        | Kind::SequenceCode
        | Kind::MessageTooLarge
        | Kind::RefusedRecords
        | Kind::LyingProduceAnswer => Some(Api::Produce),
        Kind::ApiVersionsCode | Kind::OddApiVersions => Some(Api::ApiVersions),
        Kind::MetadataCode | Kind::LyingMetadata | Kind::RebootstrapRequired => Some(Api::Metadata),
        Kind::InitProducerIdCode | Kind::InitProducerIdHangs | Kind::NoProducerId => {
            Some(Api::InitProducerId)
        }
        // Most requests are Produce: the others would hardly ever be struck.
        _ => random.chance(200).then(|| *random.pick(&Api::ALL)),
    }
}

fn effect(plan: &FaultPlan, random: &mut Random) -> Effect {
    use FaultKind as Kind;
    match plan.kind {
        Kind::RetriableCode => Effect::Error(*random.pick(RETRIABLE)),
        Kind::CodeAfterAppend => Effect::ErrorAfterAppend(*random.pick(OPEN)),
        Kind::FatalCode => Effect::Error(*random.pick(FATAL)),
        Kind::KillingCode => Effect::Error(*random.pick(KILLING)),
        Kind::SequenceCode => Effect::Error(*random.pick(SEQUENCE)),
        Kind::MessageTooLarge => Effect::Error(MESSAGE_TOO_LARGE),
        Kind::RefusedRecords => {
            // From all of them to hardly any.
            let number = random.log_between(1, 60);
            Effect::RefuseRecords(u32::try_from(number).expect("small"))
        }
        Kind::AnyCode => Effect::Error(any_code(random)),
        Kind::DelayedAnswer => {
            let ms = random.log_between(1, plan.scaled(500, 60_000));
            Effect::Delay(i64::try_from(ms).expect("short"))
        }
        Kind::HeldAnswer => Effect::Hold,
        Kind::SwallowedRequest => Effect::Swallow,
        Kind::ClosedBeforeAppend => Effect::Disconnect(Moment::BeforeAppend),
        Kind::ClosedAfterAppend => Effect::Disconnect(Moment::AfterAppend),
        Kind::ClosedInAnswer => {
            let bytes = usize::try_from(random.log_between(1, 60)).expect("small");
            Effect::Disconnect(Moment::MidResponse(bytes))
        }
        Kind::Throttling => {
            let ms = random.log_between(1, plan.scaled(500, 10_000));
            Effect::Throttle(i32::try_from(ms).expect("short"))
        }
        Kind::ApiVersionsCode => Effect::Error(*random.pick(&[35, 42, -1, 7, 58])),
        Kind::MetadataCode => Effect::Error(*random.pick(&[3, 5, 5, 6, 9, 72, 29, 17, -1])),
        Kind::InitProducerIdCode => Effect::Error(*random.pick(&[14, 15, 16, 7, 51])),
        Kind::InitProducerIdHangs if random.chance(300) => Effect::Swallow,
        Kind::InitProducerIdHangs => {
            let ms = random.log_between(50, plan.scaled(2_000, 60_000));
            Effect::Delay(i64::try_from(ms).expect("short"))
        }
        Kind::RebootstrapRequired => Effect::Error(REBOOTSTRAP_REQUIRED),
        kind => hostile(kind, random),
    }
}

fn hostile(kind: FaultKind, random: &mut Random) -> Effect {
    use FaultKind as Kind;
    match kind {
        Kind::WrongCorrelationId => Effect::WrongCorrelationId,
        Kind::GarbageAnswer => {
            let bytes = random.log_between(0, 2_000);
            let byte = |_| u8::try_from(random.below(256)).expect("a byte");
            Effect::Garbage((0..bytes).map(byte).collect())
        }
        Kind::RubbishAnswer if random.chance(300) => Effect::HugeArray,
        Kind::RubbishAnswer => {
            Effect::Rubbish(usize::try_from(random.log_between(4, 2_000)).expect("small"))
        }
        Kind::HttpAnswer => Effect::Http,
        Kind::TlsAlert => Effect::TlsAlert,
        Kind::UnaskedAnswer => Effect::Unasked,
        Kind::AnsweredTwice => Effect::Twice,
        Kind::WrongSize if random.chance(500) => {
            Effect::SizePrefix(*random.pick(&[-1, i32::MIN, 0, 1, 3, i32::MAX, 200_000_000]))
        }
        Kind::WrongSize => Effect::SizeOffBy(*random.pick(&[-5, -4, -1, 1, 4, 1_000])),
        Kind::CutShortAnswer => {
            Effect::CutShort(usize::try_from(random.log_between(0, 60)).expect("small"))
        }
        Kind::LyingProduceAnswer => Effect::Lie(*random.pick(&[
            Lie::PartitionsTwice,
            Lie::NegativePartitions,
            Lie::NoPartitions,
            Lie::PartitionUnasked,
            Lie::TopicUnasked,
            Lie::NegativeOffsets,
        ])),
        Kind::LyingMetadata => Effect::Lie(*random.pick(&[
            Lie::NegativeNodes,
            Lie::BrokersTwice,
            Lie::NoBrokers,
            Lie::EmptyHosts,
            Lie::ImpossiblePorts,
            Lie::UnknownLeaders,
            Lie::PartitionsTwice,
            Lie::NegativePartitions,
            Lie::NoPartitions,
            Lie::PartitionUnasked,
            Lie::TopicUnasked,
        ])),
        Kind::OddApiVersions => Effect::Lie(*random.pick(&[
            Lie::MinAboveMax,
            Lie::NegativeVersions,
            Lie::WithoutApi(Api::Produce),
            Lie::WithoutApi(Api::Metadata),
            Lie::WithoutApi(Api::InitProducerId),
            Lie::NoApis,
            Lie::ApisTwice,
        ])),
        Kind::NoProducerId => Effect::Lie(Lie::NoProducer),
        other => unreachable!("{other:?} strikes no request"),
    }
}

/// Any of Kafka's but those that say that all is well, or that mean the producer's own state.
fn any_code(random: &mut Random) -> i16 {
    loop {
        let code = i16::try_from(random.between(0, 134)).expect("small") - 1;
        let told_elsewhere =
            SEQUENCE.contains(&code) || KILLING.contains(&code) || code == MESSAGE_TOO_LARGE;
        if code != 0 && code != DUPLICATE_SEQUENCE_NUMBER && !told_elsewhere {
            return code;
        }
    }
}

impl World {
    pub(super) fn arm_faults(&mut self, now: Duration) {
        if self.faults.armed.is_empty() {
            return;
        }
        let mut armed = std::mem::take(&mut self.faults.armed);
        for one in &mut armed {
            self.arm(one, now);
        }
        self.faults.armed = armed;
    }

    fn arm(&mut self, armed: &mut Armed, now: Duration) {
        let label = armed.plan.kind.name();
        match armed.state {
            State::Over => return,
            _ if now >= armed.plan.until => {
                self.cluster.end_faults(label);
                armed.state = State::Over;
                return;
            }
            State::Early if now < armed.plan.from => return,
            // Used up, perhaps on a request that had nothing for it to spoil.
            State::Armed if self.cluster.has_fault(label) => return,
            State::Early => {}
            State::Armed if armed.plan.kind == FaultKind::HeldAnswer => {
                let after = armed.random.ms(10, armed.plan.scaled(500, 40_000));
                self.repair_at(now + after, Repair::Change(Change::Release));
            }
            State::Armed => {}
        }
        let on = self.target(armed);
        let fault = armed.fault(on);
        self.cluster.fault(fault);
        armed.state = State::Armed;
    }

    /// Everywhere, or at one node or partition, the same for the whole plan.
    fn target(&self, armed: &Armed) -> On {
        let plan = &armed.plan;
        let mut random = stream(plan.seed, "target");
        if plan.is_everywhere() || random.chance(500) {
            return On::any();
        }
        let about_partitions = matches!(
            plan.kind,
            FaultKind::RetriableCode
                | FaultKind::CodeAfterAppend
                | FaultKind::FatalCode
                | FaultKind::KillingCode
                | FaultKind::SequenceCode
                | FaultKind::MessageTooLarge
                | FaultKind::RefusedRecords
                | FaultKind::MetadataCode
        );
        if about_partitions {
            let topic = random.pick(&self.faults.topics);
            let partitions = self.cluster.partitions(topic).max(1);
            let partition = random.below(usize::try_from(partitions).expect("positive"));
            if plan.kind == FaultKind::MetadataCode {
                return On::any().topic(topic);
            }
            return On::any().partition(topic, i32::try_from(partition).expect("few"));
        }
        if plan.kind.is_about_producer_ids() {
            return On::any();
        }
        On::any().node(*random.pick(&self.cluster.nodes()))
    }
}

/// After these a producer tries again; nothing was appended.
pub(super) const RETRIABLE: &[i16] = &[2, 3, 5, 6, 7, 13, 19, 56, 74, 75, 100];
/// After these nobody knows. The first two are what is taken for a proof most easily.
const OPEN: &[i16] = &[7, 6, 7, 6, 20, 13, -1];
/// After these the record fails.
const FATAL: &[i16] = &[-1, 17, 18, 21, 29, 32, 42, 43, 44, 54, 76, 87];
/// After these an idempotent producer is at its end.
const KILLING: &[i16] = &[31, 35, 53, 90];
/// About what the producer believes of itself.
const SEQUENCE: &[i16] = &[45, 47, 59];
const REBOOTSTRAP_REQUIRED: i16 = 129;
const MESSAGE_TOO_LARGE: i16 = 10;
const DUPLICATE_SEQUENCE_NUMBER: i16 = 46;
