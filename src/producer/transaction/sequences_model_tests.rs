//! All rules of `Sequences` together against a small model of one partition: its log, and what its
//! brokers keep of producers, with requests and answers lost, late, repeated and wrong.

use std::collections::{BTreeMap, BTreeSet};

use super::mock_partition::MockPartition;
use super::sequences::MAX_UNRESOLVED;
use super::sequences_tests::{TOPIC, id, identity, with_identity};
use super::{Admission, Ending, SequenceVerdict, Sequences};
use crate::producer::batch_id::SlotId;
use crate::protocol::ErrorCode;
use crate::random::Random;
use crate::record::ProducerState;

#[derive(Debug, Clone, Copy)]
struct Attempt {
    number: usize,
    batch: u64,
    state: ProducerState,
}

#[derive(Debug)]
enum Reply {
    Acked,
    Code(i16),
    Nothing,
}

struct World {
    seed: u64,
    random: Random,
    sequences: Sequences,
    broker: MockPartition,
    /// Batches that wait, in order, each with whether some attempt has no proof.
    queue: BTreeMap<u64, bool>,
    blocked: bool,
    on_wire: BTreeMap<u64, (Attempt, bool)>,
    attempts: usize,
    /// Requests that timed out: they may arrive, their answers do not.
    abandoned: BTreeSet<usize>,
    /// Requests that the network still has; some of batches that were given up.
    travelling: Vec<Attempt>,
    replies: Vec<(Attempt, Reply)>,
    acked: BTreeSet<u64>,
    unknown: BTreeSet<u64>,
    not_written: BTreeSet<u64>,
    calm: bool,
}

const BATCHES: u64 = 40;

impl World {
    fn new(seed: u64) -> Self {
        let mut sequences = with_identity();
        if seed % 3 == 0 {
            sequences.begin_at(SlotId(0), identity(7, i16::MAX - 1), 0);
        }
        Self {
            seed,
            random: Random::seeded(seed),
            sequences,
            broker: MockPartition::default(),
            queue: (0..BATCHES).map(|batch| (batch, false)).collect(),
            blocked: false,
            on_wire: BTreeMap::new(),
            attempts: 0,
            abandoned: BTreeSet::new(),
            travelling: Vec::new(),
            replies: Vec::new(),
            acked: BTreeSet::new(),
            unknown: BTreeSet::new(),
            not_written: BTreeSet::new(),
            calm: false,
        }
    }

    fn chance(&mut self, of_hundred: usize) -> bool {
        !self.calm && self.random.below(100) < of_hundred
    }

    fn drain(&mut self) {
        if self.blocked {
            return;
        }
        let waiting: Vec<(u64, bool)> = self.queue.iter().map(|(id, open)| (*id, *open)).collect();
        for (batch, unproved) in waiting {
            match self.sequences.admit(id(batch), TOPIC, 10) {
                Admission::Send(state) => {
                    self.queue.remove(&batch);
                    self.attempts += 1;
                    let attempt = Attempt {
                        number: self.attempts,
                        batch,
                        state,
                    };
                    self.on_wire.insert(batch, (attempt, unproved));
                    self.travelling.push(attempt);
                    return;
                }
                Admission::TryNext => {}
                Admission::Wait => {
                    self.blocked = true;
                    return;
                }
                Admission::EndUnknown => panic!("seed {}: no topic was re-created", self.seed),
            }
        }
        self.blocked = true;
    }

    /// Some request arrives, in any order: connections to several nodes know no order.
    fn arrive(&mut self) {
        if self.travelling.is_empty() {
            return;
        }
        let any = self.random.below(self.travelling.len());
        let attempt = self.travelling.swap_remove(any);
        let newest = self.broker.newest_producer_id();
        if newest.is_some_and(|newest| newest > attempt.state.producer_id) {
            // Kafka has no fence against a straggler of an older producer id: not our subject.
            self.replies.push((attempt, Reply::Nothing));
            return;
        }
        if self.chance(10) {
            self.replies.push((attempt, Reply::Nothing));
            return;
        }
        if self.chance(10) {
            // Refused before the append: not the leader, too few replicas, too large.
            let code = [6, 19, 10][self.random.below(3)];
            self.replies.push((attempt, Reply::Code(code)));
            return;
        }
        let mut reply = match self.broker.append(attempt.batch, attempt.state, 10) {
            Ok(_) => Reply::Acked,
            Err(code) => Reply::Code(code),
        };
        if self.chance(10) {
            reply = [Reply::Nothing, Reply::Code(7), Reply::Code(6)]
                .into_iter()
                .nth(self.random.below(3))
                .expect("three");
        }
        self.replies.push((attempt, reply));
    }

    fn answer(&mut self) {
        if self.replies.is_empty() {
            return;
        }
        let any = self.random.below(self.replies.len());
        let (attempt, reply) = self.replies.swap_remove(any);
        if self.abandoned.contains(&attempt.number) {
            return;
        }
        self.blocked = false;
        let live = self
            .on_wire
            .get(&attempt.batch)
            .is_some_and(|(sent, _)| sent.number == attempt.number);
        if !live {
            if matches!(reply, Reply::Acked) {
                self.sequences
                    .on_acked(id(attempt.batch), attempt.state, 10, -1);
            }
            return;
        }
        let (_, unproved) = self.on_wire.remove(&attempt.batch).expect("it is live");
        self.take_in(attempt, &reply, unproved);
    }

    fn take_in(&mut self, attempt: Attempt, reply: &Reply, unproved: bool) {
        let batch = attempt.batch;
        match *reply {
            Reply::Acked => {
                self.sequences.on_acked(id(batch), attempt.state, 10, -1);
                self.acked.insert(batch);
            }
            Reply::Nothing | Reply::Code(6 | 7) => {
                self.sequences.on_put_back(id(batch), false);
                self.queue.insert(batch, true);
            }
            Reply::Code(19) => {
                self.sequences.on_put_back(id(batch), true);
                self.queue.insert(batch, unproved);
            }
            Reply::Code(10) => self.end(batch, unproved, Ending::NotWritten),
            Reply::Code(code) => match self.sequences.on_refused(id(batch), ErrorCode(code), -1) {
                SequenceVerdict::RetryUnchanged => {
                    self.queue.insert(batch, unproved);
                }
                SequenceVerdict::Restamp { .. } => {
                    assert!(!unproved, "seed {}: {batch} may be in the log", self.seed);
                    self.queue.insert(batch, false);
                }
                SequenceVerdict::EndUnknown => {
                    self.unknown.insert(batch);
                }
                SequenceVerdict::Late => panic!("seed {}: {batch} is live", self.seed),
            },
        }
    }

    fn end(&mut self, batch: u64, unproved: bool, ending: Ending) {
        let ending = if unproved { Ending::Unknown } else { ending };
        self.sequences.on_ended(id(batch), ending);
        if ending == Ending::Unknown {
            self.unknown.insert(batch);
        } else {
            self.not_written.insert(batch);
        }
        self.blocked = false;
    }

    /// Delivery timeouts: of what is queued, or on the wire, where the request travels on.
    fn expire(&mut self) {
        let oldest_queued = self.queue.keys().next().copied();
        let oldest_on_wire = self.on_wire.keys().next().copied();
        match (oldest_queued, oldest_on_wire) {
            (Some(queued), Some(on_wire)) if queued < on_wire => self.expire_queued(queued),
            (_, Some(on_wire)) => {
                self.on_wire.remove(&on_wire);
                self.end(on_wire, true, Ending::Unknown);
            }
            (Some(queued), None) => self.expire_queued(queued),
            (None, None) => {}
        }
    }

    fn expire_queued(&mut self, batch: u64) {
        let unproved = self.queue.remove(&batch).expect("it is queued");
        self.end(batch, unproved, Ending::NotWritten);
    }

    /// The client gives up waiting; the request may still arrive.
    fn give_up(&mut self) {
        let Some((_, (attempt, _))) = self.on_wire.pop_first() else {
            return;
        };
        self.abandoned.insert(attempt.number);
        self.blocked = false;
        self.take_in(attempt, &Reply::Nothing, true);
    }

    fn step(&mut self) {
        match self.random.below(10) {
            0..=3 => self.drain(),
            4..=6 => self.arrive(),
            _ => self.answer(),
        }
        if self.chance(2) {
            self.expire();
        }
        if self.chance(2) {
            self.give_up();
        }
        if self.sequences.needs_identity() {
            let next = 7 + i64::try_from(self.broker.log.len()).expect("short") + 1;
            self.sequences.on_identity(identity(next, 0));
            self.blocked = false;
        }
        assert!(self.sequences.unresolved(SlotId(0)) <= MAX_UNRESOLVED);
    }

    fn check(&self) {
        let seed = self.seed;
        let log = &self.broker.log;
        assert!(
            log.windows(2).all(|pair| pair[0] < pair[1]),
            "seed {seed}: reordered or repeated: {log:?}"
        );
        let written: BTreeSet<u64> = log.iter().copied().collect();
        assert!(
            self.acked.is_subset(&written),
            "seed {seed}: lost: {:?}",
            self.acked.difference(&written)
        );
        assert!(
            self.not_written.is_disjoint(&written),
            "seed {seed}: written all the same"
        );
        let ended = self.acked.len() + self.unknown.len() + self.not_written.len();
        assert_eq!(ended as u64, BATCHES, "seed {seed}: not everything ended");
    }
}

#[test]
fn log_has_no_loss_no_repetition_and_no_other_order_whatever_becomes_of_requests_and_answers() {
    let mut endings = [0; 3];
    for seed in 0..3000 {
        let mut world = World::new(seed);
        for _ in 0..400 {
            world.step();
        }
        world.calm = true;
        for _ in 0..4000 {
            world.step();
            if world.queue.is_empty() && world.on_wire.is_empty() && world.replies.is_empty() {
                break;
            }
        }
        world.check();
        endings[0] += world.acked.len();
        endings[1] += world.unknown.len();
        endings[2] += world.not_written.len();
    }
    assert!(
        endings.iter().all(|count| *count > 1000),
        "the model is too kind: {endings:?}"
    );
}
