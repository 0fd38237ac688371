//! The whole Sender, accumulator and sequences included, against partitions that keep what brokers
//! keep: whatever becomes of requests, answers and leaders, nothing is lost in silence, repeated,
//! reordered or left hanging, and no turn spins.

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::*;
use crate::producer::transaction::MockPartition;
use crate::record::{BatchReader, ProducerState};

const PARTITIONS: usize = 3;
const RECORDS: u64 = 60;

/// What the network still has of a request.
struct Travelling {
    request: Option<Request>,
    node: i32,
    topic_id: Uuid,
    batches: Vec<(i32, u64, ProducerState)>,
    expires: std::time::Instant,
}

type Outcomes = Arc<Mutex<BTreeMap<u64, Result<Option<i64>, Persistence>>>>;

struct Whole {
    seed: u64,
    bench: Bench,
    random: Random,
    partitions: Vec<MockPartition>,
    topic_id: Uuid,
    /// Partitions of the topic as it was before it was deleted and made again.
    deleted: Vec<MockPartition>,
    leaders: Vec<i32>,
    leader_epoch: i32,
    travelling: Vec<Travelling>,
    outcomes: Outcomes,
    sent: u64,
    idle_turns: u32,
    calm: bool,
}

impl Whole {
    fn new(seed: u64) -> Self {
        let mut random = Random::seeded(seed);
        let leaders: Vec<i32> = (0..PARTITIONS).map(|_| one_of_three(&mut random)).collect();
        let config = SenderConfig {
            retries: if seed % 4 == 0 { 3 } else { u32::MAX },
            max_request_size: if seed % 3 == 0 { 150 } else { 1 << 20 },
            ..config()
        };
        Self {
            seed,
            bench: Bench::new(config, &leaders),
            random,
            partitions: empty_partitions(),
            topic_id: TOPIC_ID,
            deleted: Vec::new(),
            leaders,
            leader_epoch: 1,
            travelling: Vec::new(),
            outcomes: Arc::default(),
            sent: 0,
            idle_turns: 0,
            calm: false,
        }
    }

    fn chance(&mut self, of_thousand: usize) -> bool {
        !self.calm && self.random.below(1000) < of_thousand
    }

    fn send(&mut self) {
        let number = self.sent;
        self.sent += 1;
        let outcomes = Arc::clone(&self.outcomes);
        let seed = self.seed;
        let callback = Callback::once(move |result| {
            let outcome = match result {
                Ok(metadata) => Ok(metadata.offset()),
                Err(error) => Err(error.persistence()),
            };
            let before = outcomes.lock().expect("no panic").insert(number, outcome);
            assert!(before.is_none(), "seed {seed}: {number} ended twice");
        });
        let partition = i32::try_from(self.random.below(PARTITIONS)).expect("few");
        drop(
            self.bench
                .send_value(partition, &number.to_be_bytes(), Some(callback)),
        );
    }

    fn turn(&mut self) {
        let answers = self.travelling.len();
        self.bench.turn();
        let mut progress = false;
        while let Some(request) = self.bench.client.take() {
            progress = true;
            self.on_request(request);
        }
        let timeout = self.bench.client.last_timeout();
        let spins =
            timeout < Duration::from_millis(1) && !progress && answers == self.travelling.len();
        self.idle_turns = if spins { self.idle_turns + 1 } else { 0 };
        assert!(self.idle_turns < 4, "seed {}: it spins", self.seed);
        let pause =
            u64::try_from(self.random.below(if self.calm { 50 } else { 400 })).expect("few");
        self.bench
            .clock
            .advance(timeout.min(Duration::from_millis(pause)));
    }

    fn on_request(&mut self, request: Request) {
        if matches!(request.body, ApiRequest::InitProducerId(_)) {
            if self.chance(300) {
                self.bench.disconnect(request, true);
            } else {
                self.bench.client.answer(request, identity(7, 0, 0));
            }
            return;
        }
        let states = on_wire(&request);
        let batches = produce(&request).topics[0]
            .partitions
            .iter()
            .zip(&states)
            .map(|(partition, state)| {
                let value = BatchReader::new(&partition.records.parts[1..])
                    .read()
                    .and_then(|record| record.value)
                    .expect("each has a value");
                let number = u64::from_be_bytes(value.as_ref().try_into().expect("a number"));
                let state = ProducerState {
                    producer_id: state.producer_id,
                    epoch: state.epoch,
                    base_sequence: state.sequence,
                };
                (partition.index, number, state)
            })
            .collect();
        self.travelling.push(Travelling {
            node: request.node.0,
            topic_id: produce(&request).topics[0].topic_id,
            request: Some(request),
            batches,
            expires: self.bench.clock.now() + Duration::from_secs(30),
        });
    }

    /// Some request arrives, or not, and is answered, or not.
    fn network(&mut self) {
        let now = self.bench.clock.now();
        for travelling in &mut self.travelling {
            if travelling.expires <= now {
                if let Some(request) = travelling.request.take() {
                    self.bench.time_out(request);
                }
            }
        }
        if self.travelling.is_empty() || self.chance(300) {
            return;
        }
        let any = self.random.below(self.travelling.len());
        if self.chance(60) {
            // The client gives up, the request travels on.
            if let Some(request) = self.travelling[any].request.take() {
                let maybe_written = true;
                self.bench.disconnect(request, maybe_written);
            }
            return;
        }
        let travelling = self.travelling.swap_remove(any);
        if self.chance(50) {
            if let Some(request) = travelling.request {
                let maybe_written = self.random.below(2) == 0;
                self.bench.disconnect(request, maybe_written);
            }
            return;
        }
        let answers: BTreeMap<i32, Result<i64, i16>> = travelling
            .batches
            .iter()
            .map(|(partition, number, state)| {
                let to = (travelling.node, travelling.topic_id, *partition);
                (*partition, self.append(to, *number, *state))
            })
            .collect();
        let Some(request) = travelling.request else {
            return;
        };
        if self.chance(50) {
            self.bench.disconnect(request, true);
            return;
        }
        self.bench
            .answer_each(request, |partition| match answers[&partition.index] {
                Ok(offset) => partition.base_offset = offset,
                Err(code) => partition.error_code = code,
            });
    }

    fn append(
        &mut self,
        (node, topic_id, partition): (i32, Uuid, i32),
        number: u64,
        state: ProducerState,
    ) -> Result<i64, i16> {
        let index = usize::try_from(partition).expect("not negative");
        if topic_id != self.topic_id {
            return Err(100);
        }
        if self.leaders[index] != node {
            return Err(6);
        }
        if self.chance(40) {
            let refusals = [19, 10, 29, 2];
            return Err(refusals[self.random.below(refusals.len())]);
        }
        let appended = self.partitions[index].append(number, state, 1);
        if appended.is_ok() && self.chance(40) {
            return Err([7, 20, 6][self.random.below(3)]);
        }
        appended
    }

    fn cluster(&mut self) {
        if self.chance(15) {
            let any = self.random.below(PARTITIONS);
            self.leaders[any] = one_of_three(&mut self.random);
            self.leader_epoch += 1;
        }
        if self.seed % 2 == 0 && self.chance(4) {
            self.topic_id.0[0] += 1;
            self.leader_epoch = 0;
            self.deleted.append(&mut self.partitions);
            self.partitions = empty_partitions();
        }
        let now = self.bench.clock.now();
        if self.bench.shared.metadata.is_update_requested(now) && !self.chance(700) {
            let leaders = self.leaders.clone();
            self.bench.learn(self.topic_id, &leaders, self.leader_epoch);
        }
        for node in 1..=3 {
            if self.chance(10) {
                self.bench
                    .client
                    .make_unready(node, Duration::from_millis(50));
            } else if self.calm || self.chance(200) {
                self.bench.client.make_ready(node);
            }
        }
        if self.chance(2) {
            self.bench.advance(60_000);
        }
    }

    fn check(&self) {
        let seed = self.seed;
        let outcomes = self.outcomes.lock().expect("no panic");
        assert_eq!(outcomes.len() as u64, self.sent, "seed {seed}: some hang");
        let mut places: BTreeMap<u64, i64> = BTreeMap::new();
        let mut written = 0;
        for partition in self.partitions.iter().chain(&self.deleted) {
            let log = &partition.log;
            assert!(
                log.windows(2).all(|pair| pair[0] < pair[1]),
                "seed {seed}: repeated or reordered: {log:?}"
            );
            written += log.len();
            places.extend(log.iter().copied().zip(0..));
        }
        assert_eq!(
            places.len(),
            written,
            "seed {seed}: a batch moved to the topic's successor"
        );
        for (number, outcome) in outcomes.iter() {
            let place = places.get(number).copied();
            match outcome {
                Ok(offset) => assert_eq!(place, *offset, "seed {seed}: {number}"),
                Err(Persistence::NotWritten) => {
                    assert_eq!(place, None, "seed {seed}: {number} is written all the same");
                }
                Err(Persistence::Unknown) => {}
            }
        }
        assert_eq!(self.bench.shared.data_losses(), 0, "seed {seed}");
        // What failed while closing is kept for `close` to give back.
        drop(self.bench.shared.take_undelivered());
        assert_eq!(self.bench.shared.accumulator.available_memory(), 1 << 20);
    }
}

fn empty_partitions() -> Vec<MockPartition> {
    (0..PARTITIONS).map(|_| MockPartition::default()).collect()
}

fn one_of_three(random: &mut Random) -> i32 {
    i32::try_from(random.below(3)).expect("few") + 1
}

#[test]
fn every_record_ends_once_as_the_log_says_whatever_becomes_of_requests_answers_and_leaders() {
    let mut ends = [0_usize; 3];
    for seed in 0..300 {
        let mut whole = Whole::new(seed);
        while whole.sent < RECORDS {
            if whole.random.below(3) == 0 {
                whole.send();
            }
            whole.turn();
            whole.network();
            whole.cluster();
        }
        whole.calm = true;
        whole.bench.shared.begin_close();
        let began = whole.bench.clock.now();
        while !whole.bench.sender.is_done() {
            whole.turn();
            whole.network();
            whole.cluster();
            let waited = whole.bench.clock.now() - began;
            assert!(waited < Duration::from_secs(121), "seed {seed}: it hangs");
        }
        whole.travelling.clear();
        whole.check();
        for outcome in whole.outcomes.lock().expect("no panic").values() {
            match outcome {
                Ok(_) => ends[0] += 1,
                Err(Persistence::NotWritten) => ends[1] += 1,
                Err(Persistence::Unknown) => ends[2] += 1,
            }
        }
    }
    assert!(
        ends.iter().all(|count| *count > 80),
        "the world is too kind: {ends:?}"
    );
}
