//! Each rule of `Sequences` by itself, then all of them against a small model of what a broker
//! keeps of producers, with answers lost, late, repeated and wrong.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::sequences::MAX_UNRESOLVED;
use super::{Admission, Ending, Identity, SequenceVerdict, Sequences};
use crate::cluster::Uuid;
use crate::producer::batch_id::{BatchId, SlotId};
use crate::protocol::ErrorCode;
use crate::random::Random;
use crate::record::ProducerState;

const TOPIC: Uuid = Uuid([1; 16]);
const OUT_OF_ORDER: ErrorCode = ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER;

fn id(first_record: u64) -> BatchId {
    BatchId {
        slot: SlotId(0),
        first_record,
    }
}

fn identity(producer_id: i64, epoch: i16) -> Identity {
    Identity { producer_id, epoch }
}

fn with_identity() -> Sequences {
    let mut sequences = Sequences::default();
    sequences.on_identity(identity(7, 0));
    sequences
}

fn send(sequences: &mut Sequences, batch: u64) -> ProducerState {
    match sequences.admit(id(batch), TOPIC, 10) {
        Admission::Send(state) => state,
        other => panic!("{batch}: {other:?}"),
    }
}

fn state(epoch: i16, base_sequence: i32) -> ProducerState {
    ProducerState {
        producer_id: 7,
        epoch,
        base_sequence,
    }
}

/// The first batch is acknowledged, `count` more are on the wire.
fn flowing(count: u64) -> Sequences {
    let mut sequences = with_identity();
    let first = send(&mut sequences, 0);
    sequences.on_acked(id(0), first, 10, 0);
    for batch in 1..=count {
        assert_eq!(
            send(&mut sequences, batch * 10),
            state(0, i32::try_from(batch).expect("few") * 10)
        );
    }
    sequences
}

#[test]
fn admit_without_a_producer_id_waits_and_is_named_when_it_comes() {
    let mut sequences = Sequences::default();
    assert!(sequences.needs_identity());
    assert_eq!(sequences.admit(id(0), TOPIC, 1), Admission::Wait);
    let waited = sequences.on_identity(identity(7, 3));
    assert_eq!(waited, BTreeSet::from([SlotId(0)]));
    assert!(!sequences.needs_identity());
    assert_eq!(send(&mut sequences, 0), state(3, 0));
}

#[test]
fn fresh_partition_has_one_in_flight_until_the_first_acknowledgement() {
    let mut sequences = with_identity();
    let first = send(&mut sequences, 0);
    assert_eq!(sequences.admit(id(10), TOPIC, 10), Admission::Wait);
    sequences.on_put_back(id(0), false);
    assert_eq!(send(&mut sequences, 0), first, "a retry is the same");
    assert_eq!(sequences.admit(id(10), TOPIC, 10), Admission::Wait);
    sequences.on_acked(id(0), first, 10, 0);
    assert_eq!(send(&mut sequences, 10), state(0, 10));
    assert_eq!(send(&mut sequences, 20), state(0, 20));
}

#[test]
fn flowing_partition_has_at_most_five_unresolved() {
    let mut sequences = flowing(5);
    assert_eq!(sequences.unresolved(SlotId(0)), MAX_UNRESOLVED);
    assert_eq!(sequences.admit(id(60), TOPIC, 10), Admission::Wait);
    sequences.on_acked(id(10), state(0, 10), 10, 10);
    assert_eq!(send(&mut sequences, 60), state(0, 60));
}

#[test]
fn retry_goes_only_as_the_lowest_unresolved() {
    let mut sequences = flowing(2);
    sequences.on_put_back(id(20), false);
    assert_eq!(sequences.admit(id(20), TOPIC, 10), Admission::Wait);
    sequences.on_acked(id(10), state(0, 10), 10, 10);
    assert_eq!(send(&mut sequences, 20), state(0, 20));
}

#[test]
fn sequence_wraps_to_zero_after_the_largest() {
    let mut sequences = with_identity();
    sequences.begin_at(SlotId(0), identity(7, 0), i32::MAX - 4);
    let first = send(&mut sequences, 0);
    assert_eq!(first.base_sequence, i32::MAX - 4);
    sequences.on_acked(id(0), first, 10, 0);
    assert_eq!(send(&mut sequences, 10).base_sequence, 5);
    sequences.begin_at(SlotId(0), identity(7, 0), i32::MAX - 9);
    let first = send(&mut sequences, 0);
    sequences.on_acked(id(0), first, 10, 0);
    assert_eq!(send(&mut sequences, 10).base_sequence, 0);
}

#[test]
fn out_of_order_behind_an_unresolved_batch_is_retried_unchanged() {
    let mut sequences = flowing(2);
    let verdict = sequences.on_refused(id(20), OUT_OF_ORDER);
    assert_eq!(verdict, SequenceVerdict::RetryUnchanged);
    sequences.on_put_back(id(10), false);
    assert_eq!(send(&mut sequences, 10), state(0, 10));
    assert_eq!(sequences.admit(id(20), TOPIC, 10), Admission::Wait);
    sequences.on_acked(id(10), state(0, 10), 10, 10);
    assert_eq!(send(&mut sequences, 20), state(0, 20));
}

#[test]
fn out_of_order_that_was_sent_behind_one_that_ended_well_meanwhile_is_retried_unchanged() {
    let mut sequences = flowing(2);
    sequences.on_acked(id(10), state(0, 10), 10, 10);
    let verdict = sequences.on_refused(id(20), OUT_OF_ORDER);
    assert_eq!(verdict, SequenceVerdict::RetryUnchanged);
}

#[test]
fn out_of_order_right_after_an_acknowledged_batch_is_data_loss_and_goes_on_under_a_new_epoch() {
    let mut sequences = flowing(1);
    let verdict = sequences.on_refused(id(10), OUT_OF_ORDER);
    assert_eq!(verdict, SequenceVerdict::Restamp { data_loss: true });
    assert_eq!(send(&mut sequences, 10), state(1, 0));
    assert_eq!(
        sequences.admit(id(20), TOPIC, 10),
        Admission::Wait,
        "a new epoch begins with one"
    );
}

#[test]
fn unknown_producer_id_is_no_data_loss_and_goes_on_under_a_new_epoch() {
    let mut sequences = flowing(1);
    let verdict = sequences.on_refused(id(10), ErrorCode::UNKNOWN_PRODUCER_ID);
    assert_eq!(verdict, SequenceVerdict::Restamp { data_loss: false });
    assert_eq!(send(&mut sequences, 10), state(1, 0));
}

#[test]
fn refusal_after_an_unanswered_attempt_ends_the_batch_unknown() {
    for code in [
        OUT_OF_ORDER,
        ErrorCode::UNKNOWN_PRODUCER_ID,
        ErrorCode::INVALID_PRODUCER_EPOCH,
    ] {
        let mut sequences = flowing(1);
        sequences.on_put_back(id(10), false);
        send(&mut sequences, 10);
        assert_eq!(
            sequences.on_refused(id(10), code),
            SequenceVerdict::EndUnknown
        );
        assert_eq!(send(&mut sequences, 20), state(1, 0));
    }
}

#[test]
fn batch_that_ends_unknown_stops_stamping_until_nothing_is_unresolved() {
    let mut sequences = flowing(2);
    sequences.on_ended(id(10), Ending::Unknown);
    assert_eq!(sequences.admit(id(30), TOPIC, 10), Admission::Wait);
    let verdict = sequences.on_refused(id(20), OUT_OF_ORDER);
    assert_eq!(verdict, SequenceVerdict::Restamp { data_loss: false });
    assert_eq!(send(&mut sequences, 20), state(1, 0));
    sequences.on_acked(id(20), state(1, 0), 10, 20);
    assert_eq!(send(&mut sequences, 30), state(1, 10));
}

#[test]
fn success_of_a_successor_closes_the_hole() {
    let mut sequences = flowing(2);
    sequences.on_ended(id(10), Ending::Unknown);
    sequences.on_acked(id(20), state(0, 20), 10, 20);
    assert_eq!(send(&mut sequences, 30), state(0, 30));
}

#[test]
fn late_success_of_the_hole_itself_closes_it() {
    let mut sequences = flowing(2);
    sequences.on_ended(id(10), Ending::Unknown);
    sequences.on_acked(id(10), state(0, 10), 10, 10);
    assert_eq!(send(&mut sequences, 30), state(0, 30));
}

#[test]
fn late_success_under_an_older_epoch_changes_nothing() {
    let mut sequences = flowing(1);
    sequences.on_ended(id(10), Ending::Unknown);
    assert_eq!(send(&mut sequences, 20), state(1, 0));
    sequences.on_acked(id(10), state(0, 10), 10, 10);
    assert_eq!(sequences.admit(id(30), TOPIC, 10), Admission::Wait);
}

#[test]
fn last_batch_that_ends_not_written_gives_its_sequences_back() {
    let mut sequences = flowing(2);
    sequences.on_ended(id(20), Ending::NotWritten);
    assert_eq!(send(&mut sequences, 30), state(0, 20));
}

#[test]
fn batch_in_the_middle_that_ends_not_written_makes_a_hole() {
    let mut sequences = flowing(2);
    sequences.on_ended(id(10), Ending::NotWritten);
    assert_eq!(sequences.admit(id(30), TOPIC, 10), Admission::Wait);
    sequences.on_refused(id(20), OUT_OF_ORDER);
    assert_eq!(send(&mut sequences, 20), state(1, 0));
}

#[test]
fn batch_refused_by_sequence_for_the_last_time_does_not_pass_its_sequence_on() {
    let mut sequences = flowing(1);
    sequences.on_ended(id(10), Ending::RefusedBySequence);
    assert_eq!(send(&mut sequences, 20), state(1, 0));
}

#[test]
fn stamped_batch_behind_one_to_be_stamped_again_goes_first() {
    let mut sequences = flowing(2);
    sequences.on_put_back(id(20), false);
    sequences.on_refused(id(10), OUT_OF_ORDER);
    assert_eq!(sequences.admit(id(10), TOPIC, 10), Admission::TryNext);
    assert_eq!(send(&mut sequences, 20), state(0, 20));
    assert_eq!(sequences.admit(id(10), TOPIC, 10), Admission::Wait);
    let verdict = sequences.on_refused(id(20), OUT_OF_ORDER);
    assert_eq!(verdict, SequenceVerdict::EndUnknown);
    assert_eq!(send(&mut sequences, 10), state(1, 0));
}

#[test]
fn epoch_used_up_asks_for_another_producer_id_and_others_go_on() {
    let mut sequences = with_identity();
    sequences.begin_at(SlotId(0), identity(7, i16::MAX), 40);
    send(&mut sequences, 0);
    sequences.on_ended(id(0), Ending::Unknown);
    assert_eq!(sequences.admit(id(10), TOPIC, 10), Admission::Wait);
    assert!(sequences.needs_identity());
    sequences.begin_at(SlotId(1), identity(7, 4), 90);
    let other = BatchId {
        slot: SlotId(1),
        first_record: 0,
    };
    assert_eq!(
        sequences.admit(other, TOPIC, 1),
        Admission::Send(state(4, 90))
    );
    assert_eq!(
        sequences.on_identity(identity(8, 0)),
        BTreeSet::from([SlotId(0)])
    );
    let state = send(&mut sequences, 10);
    assert_eq!(
        (state.producer_id, state.epoch, state.base_sequence),
        (8, 0, 0)
    );
    assert!(!sequences.needs_identity());
}

#[test]
fn recreated_topic_begins_anew_and_what_may_be_in_the_old_one_ends() {
    let again = Uuid([2; 16]);
    let mut sequences = flowing(3);
    assert_eq!(sequences.admit(id(40), again, 10), Admission::Wait);
    sequences.on_put_back(id(10), false);
    sequences.on_put_back(id(20), true);
    sequences.on_acked(id(30), state(0, 30), 10, 30);
    assert_eq!(sequences.admit(id(10), again, 10), Admission::EndUnknown);
    assert_eq!(
        sequences.admit(id(20), again, 10),
        Admission::Send(state(1, 0))
    );
    assert_eq!(sequences.admit(id(40), again, 10), Admission::Wait);
    let lost = sequences.on_acked(id(20), state(1, 0), 10, 0);
    assert!(!lost, "offsets begin anew with the topic");
}

#[test]
fn offsets_that_go_backwards_are_data_loss() {
    let mut sequences = flowing(2);
    assert!(!sequences.on_acked(id(10), state(0, 10), 10, 10));
    assert!(sequences.on_acked(id(20), state(0, 20), 10, 19));
    let mut sequences = flowing(1);
    assert!(!sequences.on_acked(id(10), state(0, 10), 10, -1));
}

// The model: one partition, its log, and what brokers keep of producers.

#[derive(Debug, Clone, Copy)]
struct Attempt {
    number: usize,
    batch: u64,
    state: ProducerState,
}

#[derive(Debug, Default)]
struct Broker {
    log: Vec<u64>,
    producers: BTreeMap<i64, Entry>,
}

#[derive(Debug, Default)]
struct Entry {
    epoch: i16,
    window: VecDeque<(i32, i32)>,
}

impl Broker {
    /// Java's `ProducerStateManager` and `ProducerAppendInfo` in small.
    fn append(&mut self, attempt: Attempt) -> Result<(), i16> {
        let ProducerState {
            producer_id,
            epoch,
            base_sequence,
        } = attempt.state;
        let batch = (base_sequence, base_sequence + 9);
        let entry = match self.producers.get_mut(&producer_id) {
            Some(known) if epoch < known.epoch => return Err(47),
            Some(known) if epoch == known.epoch && known.window.contains(&batch) => return Ok(()),
            Some(known) if epoch == known.epoch => {
                if known
                    .window
                    .back()
                    .is_some_and(|end| end.1 + 1 != base_sequence)
                {
                    return Err(45);
                }
                known
            }
            Some(_) if base_sequence != 0 => return Err(45),
            // Whoever is not known may begin anywhere.
            _ => {
                self.producers.insert(producer_id, Entry::default());
                self.producers
                    .get_mut(&producer_id)
                    .expect("it was just put there")
            }
        };
        entry.epoch = epoch;
        entry.window.push_back(batch);
        if entry.window.len() > 5 {
            entry.window.pop_front();
        }
        self.log.push(attempt.batch);
        Ok(())
    }
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
    broker: Broker,
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
            broker: Broker::default(),
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
        let newest = self.broker.producers.keys().next_back();
        if newest.is_some_and(|newest| *newest > attempt.state.producer_id) {
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
        let mut reply = match self.broker.append(attempt) {
            Ok(()) => Reply::Acked,
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
            Reply::Code(code) => match self.sequences.on_refused(id(batch), ErrorCode(code)) {
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
