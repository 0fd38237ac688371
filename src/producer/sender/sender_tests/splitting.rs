//! Batches that go on in pieces: too large for the topic, or with records that it does not take.

use std::ops::Range;
use std::sync::Mutex;
use std::task::Waker;

use super::*;
use crate::protocol::messages::RecordError;
use crate::record::BatchReader;

/// Larger than all that is sent here together.
const BATCH_SIZE: usize = 4096;

/// A value of its own for each record, 20 bytes of them.
fn value(number: u32) -> Vec<u8> {
    format!("{number:020}").into_bytes()
}

/// The numbers of the records in the one batch of a request.
fn numbers(request: &Request) -> Vec<u32> {
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
    fn of_batches(config: SenderConfig) -> Self {
        if !config.idempotence {
            return Self::with_batches_of(BATCH_SIZE, config, &[1]);
        }
        let mut bench = Self::with_batches_of(BATCH_SIZE, config, &[1]);
        bench.give_identity(7, 0);
        bench
    }

    /// Records with these numbers, in one batch that is on its way.
    fn batch(&mut self, records: Range<u32>) -> (Vec<SendHandle>, Request) {
        let handles = records
            .map(|number| self.send_value(0, &value(number), None))
            .collect();
        self.turn();
        (handles, self.take())
    }

    /// Answers MESSAGE_TOO_LARGE, and gives the next request.
    fn too_large(&mut self, request: Request) -> Request {
        self.refuse(request, 10);
        self.turn();
        self.turn();
        self.take()
    }

    /// Takes a turn, and then from all that was sent the batch that begins with this record; what else
    /// was sent gets no answer.
    fn take_that_begins_with(&mut self, number: u32) -> Request {
        self.turn();
        let mut all = std::iter::from_fn(|| self.client.take());
        all.find(|request| numbers(request).first() == Some(&number))
            .expect("it was sent")
    }

    /// Those records are refused, each with its number as the reason.
    fn refuse_records(&mut self, request: Request, code: i16, culprits: &[i32]) {
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
    fn let_through(&mut self, mut offset: i64) -> Vec<u32> {
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

    fn memory(&self) -> usize {
        self.shared.accumulator.available_memory()
    }
}

fn offsets(handles: &[SendHandle]) -> Vec<i64> {
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
    fn take_next(&mut self) -> Request {
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
fn too_large_after_an_unanswered_attempt_repeats_the_same_bytes_until_the_deadline() {
    for config in [plain(), config()] {
        let mut bench = Bench::of_batches(config);
        let (handles, request) = bench.batch(0..4);
        let sent = bytes(&request);
        bench.disconnect(request, true);
        bench.turn();
        for _ in 0..3 {
            bench.next_attempt();
            let again = bench.take();
            assert_eq!(bytes(&again), sent);
            bench.refuse(again, 10);
            bench.turn();
            bench.turn();
            assert!(bench.client.take().is_none(), "it backs off");
        }
        bench.advance(121_000);
        bench.turn();
        for handle in &handles {
            assert_eq!(failed(handle), (ErrorKind::Timeout, Persistence::Unknown));
        }
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
fn flush_waits_for_all_the_pieces() {
    let mut bench = Bench::of_batches(plain());
    let (_handles, request) = bench.batch(0..4);
    let mut flush = bench.shared.accumulator.begin_flush();
    let first = bench.too_large(request);
    let second = bench.take_next();
    assert!(!flush.poll(Waker::noop()));
    bench.acknowledge(second, 2);
    bench.turn();
    assert!(!flush.poll(Waker::noop()));
    bench.acknowledge(first, 0);
    bench.turn();
    assert!(flush.poll(Waker::noop()));
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

#[test]
fn closing_by_force_ends_pieces_queued_and_on_their_way() {
    let mut bench = Bench::of_batches(config());
    let whole = bench.memory();
    let (handles, request) = bench.batch(0..4);
    let first = bench.too_large(request);
    bench.shared.begin_close();
    bench.shared.force_close();
    assert!(bench.sender.is_done());
    let ends: Vec<_> = handles.iter().map(|handle| failed(handle).1).collect();
    let (on_its_way, queued) = (Persistence::Unknown, Persistence::NotWritten);
    assert_eq!(ends, [on_its_way, on_its_way, queued, queued]);
    let kept = bench.shared.take_undelivered();
    assert_eq!(kept.len(), 2, "to be given back by close");
    drop((first, handles, kept));
    assert_eq!(bench.memory(), whole);
}

/// What callbacks were told, in their order: number of the record, offset or -1.
type Told = Arc<Mutex<Vec<(u32, i64)>>>;

impl Bench {
    fn send_heard(&self, number: u32, told: &Told) -> SendHandle {
        let told = Arc::clone(told);
        let callback = Callback::once(move |result| {
            let offset = result.map_or(-1, |it| it.offset().unwrap_or(-2));
            told.lock().expect("no panic").push((number, offset));
        });
        self.send_value(0, &value(number), Some(callback))
    }
}

#[test]
fn callbacks_of_pieces_and_successors_run_in_the_order_of_sending() {
    let mut bench = Bench::of_batches(plain());
    let told = Told::default();
    for number in 0..4 {
        drop(bench.send_heard(number, &told));
    }
    bench.turn();
    let whole = bench.take();
    drop(bench.send_heard(4, &told));
    bench.turn();
    let later = bench.take();
    let first = bench.too_large(whole);
    bench.acknowledge(later, 50);
    bench.turn();
    assert_eq!(told.lock().expect("no panic").as_slice(), []);
    let second = bench.take_next();
    bench.acknowledge(second, 70);
    bench.turn();
    assert_eq!(told.lock().expect("no panic").as_slice(), []);
    bench.acknowledge(first, 60);
    bench.turn();
    let told = std::mem::take(&mut *told.lock().expect("no panic"));
    assert_eq!(told, [(0, 60), (1, 61), (2, 70), (3, 71), (4, 50)]);
}

#[test]
fn handle_that_waits_is_woken_by_its_own_piece() {
    struct Woken(std::sync::atomic::AtomicBool);

    impl std::task::Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, std::sync::atomic::Ordering::Relaxed);
        }
    }

    let mut bench = Bench::of_batches(plain());
    let (mut handles, request) = bench.batch(0..4);
    let wakers: Vec<Arc<Woken>> = handles
        .iter_mut()
        .map(|handle| {
            let woken = Arc::new(Woken(false.into()));
            let waker = Waker::from(Arc::clone(&woken));
            let mut context = std::task::Context::from_waker(&waker);
            assert!(std::pin::Pin::new(handle).poll(&mut context).is_pending());
            woken
        })
        .collect();
    let woken = || -> Vec<bool> {
        let is_woken = |it: &Arc<Woken>| it.0.load(std::sync::atomic::Ordering::Relaxed);
        wakers.iter().map(is_woken).collect()
    };
    let first = bench.too_large(request);
    let second = bench.take_next();
    bench.acknowledge(second, 2);
    bench.turn();
    assert_eq!(woken(), [false, false, true, true]);
    bench.acknowledge(first, 0);
    bench.turn();
    assert_eq!(woken(), [true; 4]);
}

#[test]
fn records_to_blame_fail_each_for_its_reason_and_the_others_are_sent_again() {
    for config in [plain(), config()] {
        for code in [87, 32] {
            let mut bench = Bench::of_batches(config.clone());
            let (handles, request) = bench.batch(0..8);
            bench.refuse_records(request, code, &[3, 0, 4, 7]);
            for culprit in [0, 3, 4, 7] {
                let error = done(&handles[culprit]).expect_err("at once");
                assert_eq!(error.persistence(), Persistence::NotWritten);
                assert_eq!(error.kind(), ErrorKind::InvalidRecord);
                let text = error.to_string();
                assert!(text.contains(&format!("reason {culprit}")), "{text}");
                let back = error.record().expect("it is given back").value;
                let number = u32::try_from(culprit).expect("small");
                assert_eq!(back.as_deref(), Some(value(number).as_slice()));
            }
            assert!(!handles[1].is_done());
            assert_eq!(bench.let_through(40), [1, 2, 5, 6]);
            let innocent = [1, 2, 5, 6].map(|it| offset(&handles[it]));
            assert_eq!(innocent, [40, 41, 42, 43].map(Some));
            assert_eq!(bench.shared.accumulator.incomplete_batches(), 0);
        }
    }
}

#[test]
fn single_record_to_blame_has_the_code_of_the_answer() {
    let mut bench = Bench::of_batches(plain());
    let (handles, request) = bench.batch(0..3);
    bench.refuse_records(request, 32, &[1]);
    let guilty = done(&handles[1]).expect_err("refused");
    assert_eq!(guilty.error().code(), Some(32));
}

#[test]
fn rest_of_a_refused_batch_waits_for_successors_in_flight_and_has_a_new_epoch() {
    let mut bench = Bench::of_batches(config());
    let (_one, first) = bench.batch(0..3);
    let (_two, second) = bench.batch(3..5);
    bench.refuse_records(first, 87, &[1]);
    bench.turn();
    assert!(bench.client.take().is_none());
    bench.refuse(second, 45);
    bench.turn();
    bench.turn();
    let next = bench.take();
    assert_eq!((stamp(&next), numbers(&next)), ((1, 0), vec![0]));
    bench.acknowledge(next, 10);
    bench.turn();
    bench.advance(2000);
    assert_eq!(bench.let_through(11), [2, 3, 4]);
}

#[test]
fn rest_of_a_refused_batch_may_be_refused_and_split_again() {
    let mut bench = Bench::of_batches(config());
    let (mut handles, request) = bench.batch(0..9);
    bench.refuse_records(request, 87, &[4]);
    bench.turn();
    let first = bench.take();
    assert_eq!(numbers(&first), [0, 1, 2, 3]);
    let second = bench.take_next();
    assert_eq!(numbers(&second), [5, 6, 7, 8]);
    bench.acknowledge(first, 1);
    bench.refuse_records(second, 87, &[2]);
    assert!(failed(&handles[7]).0 == ErrorKind::InvalidRecord);
    bench.turn();
    let third = bench.take();
    assert_eq!(numbers(&third), [5, 6]);
    bench.refuse(third, 10);
    bench.turn();
    let fourth = bench.take();
    assert_eq!(numbers(&fourth), [8]);
    bench.refuse(fourth, 45);
    bench.turn();
    let fifth = bench.take_next();
    assert_eq!((stamp(&fifth), numbers(&fifth)), ((1, 0), vec![5]));
    bench.acknowledge(fifth, 5);
    bench.turn();
    bench.advance(2000);
    assert_eq!(bench.let_through(6), [6, 8]);
    assert_eq!(
        offsets(&[handles.remove(8), handles.remove(6), handles.remove(5)]),
        [7, 6, 5]
    );
}

#[test]
fn refused_batch_fails_as_a_whole_if_all_or_none_of_its_records_are_to_blame() {
    for culprits in [&[0, 1, 2][..], &[], &[7, -1]] {
        let mut bench = Bench::of_batches(config());
        let (handles, request) = bench.batch(0..3);
        bench.refuse_records(request, 87, culprits);
        for handle in &handles {
            let end = (ErrorKind::InvalidRecord, Persistence::NotWritten);
            assert_eq!(failed(handle), end);
        }
        bench.turn();
        assert!(bench.client.take().is_none());
    }
}

#[test]
fn refused_batch_with_an_unanswered_attempt_ends_unknown_as_a_whole() {
    let mut bench = Bench::of_batches(config());
    let (handles, request) = bench.batch(0..3);
    bench.disconnect(request, true);
    bench.turn();
    bench.next_attempt();
    let again = bench.take();
    bench.refuse_records(again, 87, &[1]);
    for handle in &handles {
        let end = (ErrorKind::InvalidRecord, Persistence::Unknown);
        assert_eq!(failed(handle), end);
    }
    let text = |at: usize| done(&handles[at]).expect_err("unknown").to_string();
    assert!(text(1).contains("reason 1"), "{}", text(1));
    assert!(text(0).contains("because of other records"), "{}", text(0));
    bench.turn();
    assert!(bench.client.take().is_none(), "nothing goes again");
}

#[test]
fn callbacks_of_records_to_blame_wait_for_those_of_earlier_ones() {
    let mut bench = Bench::of_batches(plain());
    let told = Told::default();
    for number in 0..4 {
        drop(bench.send_heard(number, &told));
    }
    bench.turn();
    let request = bench.take();
    bench.refuse_records(request, 87, &[0, 2]);
    assert_eq!(*told.lock().expect("no panic"), [(0, -1)]);
    assert_eq!(bench.let_through(9), [1, 3]);
    let told = std::mem::take(&mut *told.lock().expect("no panic"));
    assert_eq!(told, [(0, -1), (1, 9), (2, -1), (3, 10)]);
}

#[test]
fn order_without_sequences_is_kept_by_one_request_in_flight() {
    let config = SenderConfig {
        max_in_flight_per_connection: 1,
        ..plain()
    };
    let mut bench = Bench::of_batches(config);
    let (_one, first) = bench.batch(0..6);
    let _later: Vec<SendHandle> = (6..8)
        .map(|number| bench.send_value(0, &value(number), None))
        .collect();
    bench.turn();
    assert!(bench.client.take().is_none(), "one at a time");
    let piece = bench.too_large(first);
    assert_eq!(numbers(&piece), [0, 1, 2]);
    bench.turn();
    assert!(bench.client.take().is_none(), "one at a time");
    bench.refuse_records(piece, 87, &[1]);
    assert_eq!(bench.let_through(0), [0, 2, 3, 4, 5, 6, 7]);
}
