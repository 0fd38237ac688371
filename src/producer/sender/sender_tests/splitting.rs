//! Batches that go on in pieces, as they are too large for the topic.

use std::ops::Range;
use std::sync::Mutex;

use super::*;
use crate::protocol::messages::RecordError;
use crate::record::BatchReader;

/// Larger than all that is sent here together.
const BATCH_SIZE: usize = 4096;

/// A value of its own for each record, 20 bytes of them.
pub(super) fn value(number: u32) -> Vec<u8> {
    format!("{number:020}").into_bytes()
}

/// The numbers of the records in the one batch of a request.
pub(super) fn numbers(request: &Request) -> Vec<u32> {
    let parts = &produce(request).topics[0].partitions[0].records.parts;
    let mut reader = BatchReader::new(&parts[1..]);
    let each = std::iter::from_fn(|| reader.read());
    each.map(|record| {
        let value = record.value.expect("it has one");
        let text = std::str::from_utf8(&value).expect("digits");
        text.parse().expect("digits")
    })
    .collect()
}

/// Offset deltas, as they are on the wire.
fn offset_deltas(request: &Request) -> Vec<i64> {
    let parts = &produce(request).topics[0].partitions[0].records.parts;
    let mut reader = BatchReader::new(&parts[1..]);
    let each = std::iter::from_fn(|| reader.measure());
    each.map(|measured| measured.offset_delta).collect()
}

fn bytes(request: &Request) -> Vec<u8> {
    let parts = &produce(request).topics[0].partitions[0].records.parts;
    parts.concat()
}

impl Bench {
    pub(super) fn of_batches(config: SenderConfig) -> Self {
        if !config.idempotence {
            return Self::with_batches_of(BATCH_SIZE, config, &[1]);
        }
        let mut bench = Self::with_batches_of(BATCH_SIZE, config, &[1]);
        bench.give_identity(7, 0);
        bench
    }

    /// Records with these numbers, in one batch that is on its way.
    pub(super) fn batch(&mut self, records: Range<u32>) -> (Vec<SendHandle>, Request) {
        let handles = records
            .map(|number| self.send_value(0, &value(number), None))
            .collect();
        self.turn();
        (handles, self.take())
    }

    /// Answers MESSAGE_TOO_LARGE, and gives the next request.
    pub(super) fn too_large(&mut self, request: Request) -> Request {
        self.refuse(request, 10);
        self.turn();
        self.turn();
        self.take()
    }

    /// Takes a turn, and then from all that was sent the batch that begins with this record; what else
    /// was sent gets no answer.
    pub(super) fn take_that_begins_with(&mut self, number: u32) -> Request {
        self.turn();
        let mut all = std::iter::from_fn(|| self.client.take());
        all.find(|request| numbers(request).first() == Some(&number))
            .expect("it was sent")
    }

    /// Those records are refused, each with its number as the reason.
    pub(super) fn refuse_records(&mut self, request: Request, code: i16, culprits: &[i32]) {
        self.answer_each(request, |partition| {
            partition.error_code = code;
            partition.base_offset = -1;
            let error = |index: &i32| RecordError {
                batch_index: *index,
                message: Some(format!("reason {index}").into()),
            };
            partition.record_errors = culprits.iter().map(error).collect();
        });
        self.turn();
    }

    /// Acknowledges what is sent until nothing is any more, each batch behind the one before; the
    /// records in the order in which they went.
    pub(super) fn let_through(&mut self, mut offset: i64) -> Vec<u32> {
        let mut all = Vec::new();
        loop {
            // One that takes in the answer, and one that sends.
            self.turn();
            self.turn();
            let Some(request) = self.client.take() else {
                return all;
            };
            let records = numbers(&request);
            self.acknowledge(request, offset);
            offset += i64::try_from(records.len()).expect("few");
            all.extend(records);
        }
    }

    pub(super) fn memory(&self) -> usize {
        self.shared.accumulator.available_memory()
    }
}

pub(super) fn offsets(handles: &[SendHandle]) -> Vec<i64> {
    let offset = |handle| offset(handle).expect("the broker told it");
    handles.iter().map(offset).collect()
}

#[test]
fn too_large_batch_goes_on_in_halves_and_each_handle_learns_its_offset() {
    for config in [plain(), config()] {
        let mut bench = Bench::of_batches(config);
        let (handles, request) = bench.batch(0..9);
        assert_eq!(numbers(&request), (0..9).collect::<Vec<_>>());
        let whole = bytes(&request).len();
        let first = bench.too_large(request);
        assert_eq!(numbers(&first), [0, 1, 2, 3]);
        assert!(bytes(&first).len() - 61 <= (whole - 61) / 2);
        bench.acknowledge(first, 100);
        bench.turn();
        assert_eq!(offsets(&handles[..4]), [100, 101, 102, 103]);
        assert!(!handles[4].is_done(), "its piece has no answer");
        assert_eq!(bench.let_through(200), [4, 5, 6, 7, 8]);
        assert_eq!(offsets(&handles[4..]), [200, 201, 202, 203, 204]);
    }
}

/// The topic takes 500 bytes. How many batches of the same sort are refused on the way of 64 records,
/// and the sizes of those that are taken.
fn refusals(bench: &mut Bench) -> (usize, Vec<usize>) {
    let handles: Vec<SendHandle> = (0..64)
        .map(|number| bench.send_value(0, &value(number), None))
        .collect();
    let (mut refused, mut taken) = (0, Vec::new());
    while handles.iter().any(|handle| !handle.is_done()) {
        bench.turn();
        while let Some(request) = bench.client.take() {
            let size = bytes(&request).len();
            if size > 500 {
                refused += 1;
                bench.refuse(request, 10);
            } else {
                taken.push(size);
                bench.acknowledge(request, 0);
            }
        }
    }
    (refused, taken)
}

#[test]
fn next_batch_that_is_too_large_is_split_at_once_into_what_was_taken_before() {
    let mut bench = Bench::of_batches(plain());
    let (first, pieces) = refusals(&mut bench);
    assert_eq!(first, 1 + 2, "by half, and by half again");
    let (second, again) = refusals(&mut bench);
    assert_eq!(second, 1);
    assert!(again.len() <= pieces.len() + 1, "{again:?} {pieces:?}");
    // A large one that is taken shows that the limit is another by now.
    let (_handles, request) = bench.batch(0..64);
    bench.acknowledge(request, 0);
    bench.turn();
    assert_eq!(refusals(&mut bench).0, first);
}

#[test]
fn small_piece_that_was_taken_does_not_make_a_piece_of_every_record() {
    let mut bench = Bench::of_batches(plain());
    let small = bench.send_value(0, b"", None);
    let large = bench.send_value(0, &[7; 2000], None);
    bench.turn();
    let request = bench.take();
    let piece = bench.too_large(request);
    bench.acknowledge(piece, 0);
    bench.turn();
    let request = bench.take();
    bench.refuse(request, 10);
    bench.turn();
    assert!(done(&small).is_ok() && done(&large).is_err());
    let (_handles, request) = bench.batch(0..128);
    let piece = bench.too_large(request);
    assert_eq!(numbers(&piece).len(), 8);
}

#[test]
fn pieces_are_numbered_from_zero_and_keep_times_and_content() {
    let mut bench = Bench::of_batches(plain());
    bench.timestamp_ms = 1_700_000_000_000;
    let mut handles = Vec::new();
    for number in 0..140 {
        handles.push(bench.send_value(0, &value(number), None));
        bench.timestamp_ms += 40 - i64::from(number);
    }
    bench.turn();
    let mut all = Vec::new();
    let whole = bench.take();
    let mut request = bench.too_large(whole);
    loop {
        let records = numbers(&request);
        let count = i64::try_from(records.len()).expect("few");
        assert_eq!(offset_deltas(&request), (0..count).collect::<Vec<_>>());
        let header = &produce(&request).topics[0].partitions[0].records.parts[0];
        let time = |at: usize| i64::from_be_bytes(header[at..at + 8].try_into().expect("eight"));
        let times: Vec<i64> = {
            let parts = &produce(&request).topics[0].partitions[0].records.parts;
            let mut reader = BatchReader::new(&parts[1..]);
            let each = std::iter::from_fn(|| reader.read());
            each.map(|it| time(27) + it.timestamp_delta_ms).collect()
        };
        assert_eq!(time(35), *times.iter().max().expect("some"));
        let start = all.len();
        all.extend(records);
        let base = i64::try_from(start).expect("few");
        bench.acknowledge(request, base);
        bench.turn();
        for (handle, sent_ms) in handles[start..].iter().zip(times) {
            let told = done(handle).expect("acknowledged");
            assert_eq!(told.timestamp_ms(), sent_ms);
        }
        bench.turn();
        match bench.client.take() {
            Some(next) => request = next,
            None => break,
        }
    }
    assert_eq!(all, (0..140).collect::<Vec<_>>());
}

#[test]
fn too_large_record_alone_is_not_written_and_names_its_size_and_the_key() {
    let mut bench = Bench::of_batches(config());
    let (handles, request) = bench.batch(0..1);
    let size = bytes(&request).len();
    bench.refuse(request, 10);
    bench.turn();
    assert_eq!(
        failed(&handles[0]),
        (ErrorKind::RecordTooLarge, Persistence::NotWritten)
    );
    let text = done(&handles[0]).expect_err("it failed").to_string();
    assert!(text.contains("max.message.bytes"), "{text}");
    assert!(text.contains(&format!("{size} bytes")), "{text}");
}

#[test]
fn too_large_batch_is_split_down_to_the_one_record_that_is_too_large() {
    for config in [plain(), config()] {
        let mut bench = Bench::of_batches(config);
        let handles: Vec<SendHandle> = (0..16)
            .map(|number| {
                let long = format!("{number:0200}").into_bytes();
                let value = if number == 5 { long } else { value(number) };
                bench.send_value(0, &value, None)
            })
            .collect();
        let mut refusals = 0;
        let mut offset = 0;
        bench.turn();
        for _ in 0..50 {
            if let Some(request) = bench.client.take() {
                if bytes(&request).len() > 200 {
                    refusals += 1;
                    bench.refuse(request, 10);
                } else if on_wire(&request)[0].epoch > 0 || refusals < 4 || handles[5].is_done() {
                    let count = i64::from(on_wire(&request)[0].records);
                    bench.acknowledge(request, offset);
                    offset += count;
                } else {
                    bench.refuse(request, 45);
                }
            }
            bench.advance(2000);
            bench.turn();
        }
        for (number, handle) in handles.iter().enumerate() {
            if number == 5 {
                let end = (ErrorKind::RecordTooLarge, Persistence::NotWritten);
                assert_eq!(failed(handle), end);
                let record = done(handle).expect_err("it failed").record();
                let value = record.expect("it is given back").value.expect("it has one");
                assert_eq!(value.len(), 200);
            } else {
                assert!(done(handle).is_ok(), "{number}");
            }
        }
        assert!(refusals <= 6, "{refusals}: halving 16 records takes 5");
    }
}

#[test]
fn pieces_go_at_once_and_use_up_no_retry() {
    let config = SenderConfig {
        retries: 0,
        ..plain()
    };
    let mut bench = Bench::of_batches(config);
    let (handles, request) = bench.batch(0..8);
    let half = bench.too_large(request);
    bench.refuse(half, 10);
    bench.turn();
    let other = bench.take();
    bench.acknowledge(other, 4);
    let quarter = bench.take_that_begins_with(0);
    assert_eq!(numbers(&quarter), [0, 1], "no time passed");
    bench.refuse(quarter, 19);
    bench.turn();
    let end = failed(&handles[0]);
    assert_eq!(end, (ErrorKind::Broker, Persistence::NotWritten));
    assert_eq!(bench.let_through(0), [2, 3]);
    assert_eq!(offsets(&handles[2..]), [0, 1, 4, 5, 6, 7]);
}

#[test]
fn pieces_that_fail_back_off_and_are_retried_as_often_as_any_batch() {
    let config = SenderConfig {
        retries: 1,
        ..plain()
    };
    let mut bench = Bench::of_batches(config);
    let (handles, request) = bench.batch(0..2);
    let first = bench.too_large(request);
    let second = bench.take_next();
    bench.acknowledge(second, 7);
    bench.refuse(first, 19);
    bench.turn();
    bench.turn();
    assert!(bench.client.take().is_none(), "it backs off");
    bench.next_attempt();
    let again = bench.take();
    assert_eq!(numbers(&again), [0]);
    bench.refuse(again, 19);
    bench.turn();
    assert!(failed(&handles[0]).0 == ErrorKind::Broker);
}

impl Bench {
    pub(super) fn take_next(&mut self) -> Request {
        self.turn();
        self.take()
    }
}

#[test]
fn pieces_take_the_sequences_of_the_whole_if_nothing_was_numbered_after_it() {
    let mut bench = Bench::of_batches(config());
    let (_handles, request) = bench.batch(0..4);
    assert_eq!(stamp(&request), (0, 1));
    let first = bench.too_large(request);
    let second = bench.take_next();
    assert_eq!([stamp(&first), stamp(&second)], [(0, 1), (0, 3)]);
    assert_eq!([numbers(&first), numbers(&second)], [[0, 1], [2, 3]]);
}

#[test]
fn pieces_wait_for_successors_in_flight_and_then_all_go_in_order_under_a_new_epoch() {
    let mut bench = Bench::of_batches(config());
    let (_one, first) = bench.batch(0..4);
    let (_two, second) = bench.batch(4..6);
    let (_three, third) = bench.batch(6..8);
    bench.refuse(first, 10);
    bench.turn();
    bench.turn();
    assert!(
        bench.client.take().is_none(),
        "what is in flight ends first"
    );
    bench.refuse(second, 45);
    bench.turn();
    bench.refuse(third, 45);
    bench.turn();
    bench.turn();
    let next = bench.take();
    assert_eq!((stamp(&next), numbers(&next)), ((1, 0), vec![0, 1]));
    bench.acknowledge(next, 10);
    bench.turn();
    bench.advance(2000);
    assert_eq!(bench.let_through(12), [2, 3, 4, 5, 6, 7]);
}

#[test]
fn pieces_go_behind_a_predecessor_that_is_to_be_sent_again() {
    for config in [
        config(),
        SenderConfig {
            max_in_flight_per_connection: 1,
            ..plain()
        },
    ] {
        let mut bench = Bench::of_batches(config);
        let (_one, first) = bench.batch(0..2);
        bench.disconnect(first, true);
        bench.turn();
        let _two: Vec<SendHandle> = (2..6)
            .map(|number| bench.send_value(0, &value(number), None))
            .collect();
        bench.next_attempt();
        let again = bench.take();
        assert_eq!(numbers(&again), [0, 1]);
        bench.acknowledge(again, 10);
        bench.turn();
        bench.turn();
        let second = bench.take();
        let piece = bench.too_large(second);
        assert_eq!(numbers(&piece), [2, 3]);
        bench.disconnect(piece, true);
        bench.turn();
        bench.advance(2000);
        let again = bench.take_that_begins_with(2);
        assert_eq!(numbers(&again), [2, 3]);
    }
}

#[test]
fn too_large_after_an_unanswered_attempt_ends_unknown_and_the_partition_goes_on() {
    for config in [plain(), config()] {
        let mut bench = Bench::of_batches(config);
        let (handles, request) = bench.batch(0..4);
        bench.disconnect(request, true);
        bench.turn();
        bench.next_attempt();
        let again = bench.take();
        bench.refuse(again, 10);
        bench.turn();
        for handle in &handles {
            let end = (ErrorKind::RecordTooLarge, Persistence::Unknown);
            assert_eq!(failed(handle), end);
        }
        let text = done(&handles[0]).expect_err("it failed").to_string();
        assert!(text.contains("without an answer"), "{text}");
        let (later, request) = bench.batch(4..5);
        bench.acknowledge(request, 9);
        bench.turn();
        assert_eq!(offset(&later[0]), Some(9));
    }
}

#[test]
fn piece_that_is_sent_again_has_the_same_bytes() {
    let mut bench = Bench::of_batches(config());
    let (_handles, request) = bench.batch(0..4);
    let first = bench.too_large(request);
    let second = bench.take_next();
    let sent = bytes(&second);
    bench.acknowledge(first, 1);
    bench.disconnect(second, true);
    bench.turn();
    bench.next_attempt();
    let again = bench.take();
    assert_eq!(bytes(&again), sent);
    assert_eq!(numbers(&again), [2, 3]);
}

#[test]
fn pieces_expire_with_the_deadline_of_the_whole_and_are_not_written() {
    let mut bench = Bench::of_batches(config());
    let (handles, request) = bench.batch(0..4);
    bench.advance(119_000);
    let first = bench.too_large(request);
    bench.advance(1_000);
    bench.turn();
    let ends: Vec<_> = handles.iter().map(failed).collect();
    let unknown = (ErrorKind::Timeout, Persistence::Unknown);
    let not_written = (ErrorKind::Timeout, Persistence::NotWritten);
    assert_eq!(ends[..2], [unknown, unknown], "they are on their way");
    assert_eq!(ends[2..], [not_written, not_written]);
    let text = done(&handles[2]).expect_err("it expired").to_string();
    assert!(text.contains("MESSAGE_TOO_LARGE"), "{text}");
    drop(first);
}

#[test]
fn too_large_answer_after_the_batch_expired_changes_nothing() {
    let mut bench = Bench::of_batches(config());
    let (handles, request) = bench.batch(0..4);
    bench.advance(121_000);
    bench.turn();
    assert_eq!(failed(&handles[0]).1, Persistence::Unknown);
    bench.refuse(request, 10);
    bench.turn();
    bench.turn();
    assert!(bench.client.take().is_none());
    assert_eq!(bench.shared.accumulator.incomplete_batches(), 0);
}

#[test]
fn memory_stays_counted_once_while_in_pieces_and_is_whole_at_the_end() {
    let mut bench = Bench::of_batches(plain());
    let whole = bench.memory();
    let handles: Vec<SendHandle> = (0..100)
        .map(|number| {
            let callback = Callback::once(|_| {});
            bench.send_value(0, &value(number), Some(callback))
        })
        .collect();
    bench.turn();
    let request = bench.take();
    let taken = bench.memory();
    assert!(taken < whole);
    let half = bench.too_large(request);
    bench.refuse(half, 10);
    bench.turn();
    let other = bench.take();
    assert_eq!(bench.memory(), taken, "as much as before");
    bench.acknowledge(other, 0);
    let quarter = bench.take_that_begins_with(0);
    bench.refuse(quarter, 29);
    let _ = bench.let_through(0);
    assert!(handles.iter().all(SendHandle::is_done));
    drop(handles);
    assert_eq!(bench.memory(), whole);
}

/// What callbacks were told, in their order: number of the record, offset or -1.
pub(super) type Told = Arc<Mutex<Vec<(u32, i64)>>>;

impl Bench {
    pub(super) fn send_heard(&self, number: u32, told: &Told) -> SendHandle {
        let told = Arc::clone(told);
        let callback = Callback::once(move |result| {
            let offset = result.map_or(-1, |it| it.offset().unwrap_or(-2));
            told.lock().expect("no panic").push((number, offset));
        });
        self.send_value(0, &value(number), Some(callback))
    }
}
