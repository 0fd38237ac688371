//! A history is told to the oracle step by step, as a run would tell it.

use std::time::Duration;

use bytes::Bytes;
use kafka_test_support::{ConnId, Event, ProducedBatch, StoredBatch, What};
use uuid::Uuid;

use crate::error::{ErrorKind, Persistence};
use crate::network::WireId;
use crate::record::{BatchBuilder, BatchHeader, ProducerState, RecordView};
use crate::sim::ledger::{End, Entry, Ledger, RecordId, Violation};
use crate::sim::oracle::Oracle;
use crate::sim::oracle::logs::{Log, Logs, Remains};
use crate::sim::payload::{Key, Mark, RecordSpec};
use crate::sim::run::tests::simple;
use crate::sim::scenario::Scenario;

/// Everything that the oracle is told of.
pub(super) struct History {
    pub(super) oracle: Oracle,
    pub(super) ledger: Ledger,
    pub(super) logs: Logs,
    pub(super) remains: Remains,
    pub(super) now: Duration,
    pub(super) next_id: i32,
    /// Where requests go.
    pub(super) node: i32,
}

/// A batch of records, and under which identity it goes.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    pub(super) correlation_id: i32,
    link: u64,
    partition: i32,
    ids: Vec<RecordId>,
    bytes: Bytes,
}

pub(super) const NODE: i32 = 1;
pub(super) const PRODUCER: i64 = 1000;

impl History {
    /// An idempotent producer that is connected, knows its leaders and has its id.
    pub(super) fn idempotent() -> Self {
        let mut history = Self::of(&simple(1));
        history.set_up(1);
        history
    }

    /// Without idempotence, one request in flight.
    pub(super) fn bare(acks: i16) -> Self {
        let mut scenario = simple(1);
        scenario.config.acks = acks;
        scenario.config.idempotence = false;
        scenario.config.max_in_flight = 1;
        let mut history = Self::of(&scenario);
        history.set_up(1);
        history
    }

    pub(super) fn of(scenario: &Scenario) -> Self {
        let logs = (0..3)
            .map(|partition| ((0, partition), Log::default()))
            .collect();
        Self {
            oracle: Oracle::new(scenario),
            ledger: Ledger::default(),
            logs: Logs(logs),
            remains: Remains {
                available_memory: scenario.config.buffer_memory,
                incomplete_batches: 0,
                open_links: 0,
                data_losses: 0,
            },
            now: Duration::from_secs(1),
            next_id: 0,
            node: NODE,
        }
    }

    /// Versions, metadata and a producer id, over a new connection.
    pub(super) fn set_up(&mut self, link: u64) {
        self.set_up_at(NODE, link);
    }

    pub(super) fn set_up_at(&mut self, node: i32, link: u64) {
        self.node = node;
        self.oracle.on_connect(self.now, node, WireId(link));
        let id = self.ask(link, 18, 0, &[]);
        self.answer(link, id, &versions());
        let topics = [&1_i32.to_be_bytes()[..], &text("t")].concat();
        let id = self.ask(link, 3, 1, &topics);
        self.answer(link, id, &metadata());
        self.give_identity(link, (PRODUCER, 0));
    }

    /// A broker answers Metadata with an error for the topic, or with all its leaders.
    pub(super) fn told_of_topic(&mut self, link: u64, error: i16) {
        let topics = [&1_i32.to_be_bytes()[..], &text("t")].concat();
        let id = self.ask(link, 3, 1, &topics);
        let answer = match error {
            0 => metadata(),
            error => metadata_error(error),
        };
        self.answer(link, id, &answer);
    }

    /// An answer to InitProducerId asks for a pause.
    pub(super) fn throttles(&mut self, link: u64, ms: i32) {
        let asked = [&(-1_i16).to_be_bytes()[..], &i32::MAX.to_be_bytes()].concat();
        let id = self.ask(link, 22, 0, &asked);
        let mut told = ms.to_be_bytes().to_vec();
        told.extend_from_slice(&0_i16.to_be_bytes());
        told.extend_from_slice(&PRODUCER.to_be_bytes());
        told.extend_from_slice(&0_i16.to_be_bytes());
        self.answer(link, id, &told);
    }

    fn give_identity(&mut self, link: u64, (producer_id, epoch): (i64, i16)) {
        let asked = [&(-1_i16).to_be_bytes()[..], &i32::MAX.to_be_bytes()].concat();
        let id = self.ask(link, 22, 0, &asked);
        let mut told = [0; 6].to_vec();
        told.extend_from_slice(&producer_id.to_be_bytes());
        told.extend_from_slice(&epoch.to_be_bytes());
        self.answer(link, id, &told);
    }

    /// A broker answers InitProducerId with this, and no error.
    pub(super) fn given(&mut self, producer_id: i64, epoch: i16) {
        self.give_identity(1, (producer_id, epoch));
    }

    /// A partition forgets its producers.
    pub(super) fn forgets(&mut self, partition: i32) {
        let log = self.logs.0.get_mut(&(0, partition)).unwrap();
        log.has_forgotten = true;
    }

    /// A request of any API.
    pub(super) fn ask(&mut self, link: u64, api: i16, version: i16, body: &[u8]) -> i32 {
        let id = self.next_id;
        self.next_id += 1;
        self.ask_as(link, (api, version, id), body);
        id
    }

    pub(super) fn ask_as(&mut self, link: u64, (api, version, id): (i16, i16, i32), body: &[u8]) {
        let mut frame = Vec::new();
        frame.extend_from_slice(&api.to_be_bytes());
        frame.extend_from_slice(&version.to_be_bytes());
        frame.extend_from_slice(&id.to_be_bytes());
        frame.extend_from_slice(&text("sim"));
        frame.extend_from_slice(body);
        self.oracle
            .on_request(self.now, self.node, WireId(link), &frame);
    }

    pub(super) fn answer(&mut self, link: u64, correlation_id: i32, body: &[u8]) {
        let frame = [&correlation_id.to_be_bytes()[..], body].concat();
        self.oracle
            .on_answer(self.now, self.node, WireId(link), &frame);
    }

    pub(super) fn passes(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
    }

    /// A record that was accepted.
    pub(super) fn record(&mut self, partition: i32) -> RecordId {
        let id = self.ledger.next_id();
        let spec = RecordSpec {
            id,
            topic: 0,
            partition: Some(partition),
            key: Key::Null,
            value_bytes: Some(20),
            headers: 0,
            timestamp_ms: None,
            mark: Mark::Value,
        };
        let mut entry = Entry::new(spec, 0, self.now);
        entry.accepted_at = Some(self.now);
        entry.stamped_ms = STAMP_MS;
        entry.wants_callback = true;
        self.ledger.entries.push(entry);
        id
    }

    /// A batch of new records leaves as this epoch and sequence.
    pub(super) fn send_new(&mut self, count: usize, epoch: i16, sequence: i32) -> Sent {
        let ids: Vec<RecordId> = (0..count).map(|_| self.record(0)).collect();
        self.send(1, &ids, (epoch, sequence))
    }

    pub(super) fn send(&mut self, link: u64, ids: &[RecordId], identity: (i16, i32)) -> Sent {
        let state = ProducerState {
            producer_id: PRODUCER,
            epoch: identity.0,
            base_sequence: identity.1,
        };
        let sent = self.batch(link, ids, Some(state));
        self.write(&sent, -1);
        sent
    }

    /// Without idempotence.
    pub(super) fn send_bare(&mut self, link: u64, ids: &[RecordId], acks: i16) -> Sent {
        let sent = self.batch(link, ids, None);
        self.write(&sent, acks);
        sent
    }

    /// The same batch once more.
    pub(super) fn resend(&mut self, sent: &Sent, link: u64) -> Sent {
        let again = Sent {
            correlation_id: self.next_id,
            link,
            ..sent.clone()
        };
        self.next_id += 1;
        self.write(&again, -1);
        again
    }

    fn batch(&mut self, link: u64, ids: &[RecordId], state: Option<ProducerState>) -> Sent {
        let mut builder = BatchBuilder::new(vec![Vec::<u8>::with_capacity(1 << 16)]);
        let mut partition = 0;
        for id in ids {
            let spec = &self.ledger.entry(*id).spec;
            partition = spec.partition.unwrap_or(0);
            let record = spec.record("t");
            let (key, value) = (record.key.as_deref(), record.value.as_deref());
            let view = RecordView::new(STAMP_MS, key, value, record.headers.as_slice());
            let framing = builder.framing(&view);
            builder.append(&view, &framing);
        }
        let header = BatchHeader {
            record_count: builder.record_count(),
            base_timestamp_ms: builder.base_timestamp_ms(),
            max_timestamp_ms: builder.max_timestamp_ms(),
            state,
        };
        let chunks: Vec<Bytes> = builder.into_chunks().into_iter().map(Bytes::from).collect();
        let mut bytes = header.encode(&chunks).to_vec();
        chunks
            .iter()
            .for_each(|chunk| bytes.extend_from_slice(chunk));
        let correlation_id = self.next_id;
        self.next_id += 1;
        Sent {
            correlation_id,
            link,
            partition,
            ids: ids.to_vec(),
            bytes: bytes.into(),
        }
    }

    fn write(&mut self, sent: &Sent, acks: i16) {
        let mut body = Vec::new();
        body.extend_from_slice(&(-1_i16).to_be_bytes());
        body.extend_from_slice(&acks.to_be_bytes());
        body.extend_from_slice(&30_000_i32.to_be_bytes());
        body.extend_from_slice(&1_i32.to_be_bytes());
        body.extend_from_slice(&text("t"));
        body.extend_from_slice(&1_i32.to_be_bytes());
        body.extend_from_slice(&sent.partition.to_be_bytes());
        let length = i32::try_from(sent.bytes.len()).unwrap();
        body.extend_from_slice(&length.to_be_bytes());
        body.extend_from_slice(&sent.bytes);
        self.ask_as(sent.link, (0, 7, sent.correlation_id), &body);
    }

    /// The broker appends it, and returns the offset.
    pub(super) fn append(&mut self, sent: &Sent) -> i64 {
        let log = self.logs.0.get_mut(&(0, sent.partition)).unwrap();
        let offset = i64::try_from(log.records.len()).unwrap();
        let stored = StoredBatch {
            base_offset: offset,
            count: 0,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            max_timestamp: STAMP_MS,
            bytes: sent.bytes.clone(),
            append_time: None,
        };
        log.records.extend(stored.records().unwrap());
        self.event(sent, (0, offset), true);
        offset
    }

    pub(super) fn event(&mut self, sent: &Sent, (code, offset): (i16, i64), appended: bool) {
        let produced = ProducedBatch {
            version: 7,
            correlation_id: sent.correlation_id,
            acks: -1,
            topic: "t".to_owned(),
            topic_id: Uuid::from_u128(1),
            partition: sent.partition,
            producer_id: PRODUCER,
            producer_epoch: 0,
            base_sequence: 0,
            count: i32::try_from(sent.ids.len()).unwrap(),
            crc: 0,
            bytes: sent.bytes.len(),
            error_code: code,
            base_offset: offset,
            appended,
            repeated: false,
            log_offset: if appended { offset } else { -1 },
        };
        let event = Event {
            at_ms: 0,
            node: NODE,
            connection: ConnId(1),
            what: What::Produced(produced),
        };
        self.oracle.on_cluster(self.now, &[event]);
    }

    /// The client reads this answer.
    pub(super) fn told(&mut self, sent: &Sent, (code, offset): (i16, i64)) {
        let mut body = Vec::new();
        body.extend_from_slice(&1_i32.to_be_bytes());
        body.extend_from_slice(&text("t"));
        body.extend_from_slice(&1_i32.to_be_bytes());
        body.extend_from_slice(&sent.partition.to_be_bytes());
        body.extend_from_slice(&code.to_be_bytes());
        body.extend_from_slice(&offset.to_be_bytes());
        body.extend_from_slice(&(-1_i64).to_be_bytes());
        body.extend_from_slice(&0_i64.to_be_bytes());
        body.extend_from_slice(&0_i32.to_be_bytes());
        self.answer(sent.link, sent.correlation_id, &body);
    }

    /// The broker refuses it, and the client reads so.
    pub(super) fn refused(&mut self, sent: &Sent, code: i16) {
        self.event(sent, (code, -1), false);
        self.told(sent, (code, -1));
    }

    /// Appended, answered, and told to the application.
    pub(super) fn succeeds(&mut self, sent: &Sent) {
        let offset = self.append(sent);
        self.told(sent, (0, offset));
        self.ends_well(sent, Some(offset));
    }

    pub(super) fn ends_well(&mut self, sent: &Sent, offset: Option<i64>) {
        for (index, id) in (0..).zip(sent.ids.clone()) {
            let end = End::Acked {
                partition: sent.partition,
                offset: offset.map(|offset| offset + index),
                timestamp_ms: STAMP_MS,
            };
            let now = self.now;
            self.ledger.entry(id).callbacks.push((now, end));
        }
    }

    pub(super) fn ends_badly(&mut self, ids: &[RecordId], persistence: Persistence) {
        for id in ids {
            let entry = self.ledger.entry(*id);
            let end = End::Failed {
                partition: entry.spec.partition.unwrap_or(0),
                persistence,
                kind: ErrorKind::Timeout,
                text: "it did not work".into(),
            };
            entry.callbacks.push((self.now, end));
        }
    }

    pub(super) fn closes(&mut self, link: u64) {
        self.oracle.on_closed(self.now, WireId(link));
    }

    pub(super) fn judged(mut self) -> Vec<Violation> {
        self.oracle.judge(&self.logs, &self.ledger, &self.remains);
        self.oracle.take_violations()
    }

    /// Exactly this property is broken, and the text says so.
    #[track_caller]
    pub(super) fn breaks(self, property: &str, text: &str) {
        let found = self.judged();
        let hit = |one: &Violation| one.property == property && one.text.contains(text);
        assert!(
            found.iter().any(hit),
            "{property} {text:?} is not in {found:#?}"
        );
        assert!(
            found.iter().all(|one| one.property == property),
            "others are broken too: {found:#?}"
        );
    }

    #[track_caller]
    pub(super) fn passes_as_right(self) {
        assert_eq!(self.judged(), []);
    }
}

impl Sent {
    pub(super) fn ids(&self) -> &[RecordId] {
        &self.ids
    }

    /// With other bytes under the same identity.
    pub(super) fn spoil_checksum(&mut self) {
        let mut bytes = self.bytes.to_vec();
        bytes[18] ^= 1;
        self.bytes = bytes.into();
    }
}

pub(super) fn text(text: &str) -> Vec<u8> {
    let mut bytes = i16::try_from(text.len()).unwrap().to_be_bytes().to_vec();
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

/// No error; Produce to 7, Metadata to 1, ApiVersions to 0, InitProducerId to 0.
fn versions() -> Vec<u8> {
    let mut bytes = [0; 2].to_vec();
    bytes.extend_from_slice(&4_i32.to_be_bytes());
    for (key, max) in [(0_i16, 7_i16), (3, 1), (18, 0), (22, 0)] {
        bytes.extend_from_slice(&key.to_be_bytes());
        bytes.extend_from_slice(&0_i16.to_be_bytes());
        bytes.extend_from_slice(&max.to_be_bytes());
    }
    bytes
}

/// One broker, which leads three partitions.
fn metadata() -> Vec<u8> {
    let int = |number: i32| number.to_be_bytes().to_vec();
    let mut bytes = [int(1), int(NODE), text("h"), int(9092), vec![0xff; 2]].concat();
    bytes.extend([int(NODE), int(1), vec![0; 2], text("t"), vec![0], int(3)].concat());
    for partition in 0..3 {
        bytes.extend([vec![0; 2], int(partition), int(NODE), int(0), int(0)].concat());
    }
    bytes
}

/// One broker, and an error in place of the topic.
fn metadata_error(error: i16) -> Vec<u8> {
    let int = |number: i32| number.to_be_bytes().to_vec();
    let mut bytes = [int(1), int(NODE), text("h"), int(9092), vec![0xff; 2]].concat();
    bytes.extend([int(NODE), int(1), error.to_be_bytes().to_vec()].concat());
    bytes.extend([text("t"), vec![0], int(0)].concat());
    bytes
}

const STAMP_MS: i64 = 1_700_000_000_000;
