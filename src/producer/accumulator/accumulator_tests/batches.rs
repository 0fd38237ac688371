//! A batch by itself: it is told once, in its callbacks and in its handles, and takes no more than
//! it was open for.

use super::*;
use crate::producer::{DeliveryCallback, DeliveryError, RecordMetadata};

/// What callbacks were told, in the order in which they ran; shared, so that nothing but the batch
/// keeps them from being told twice.
#[derive(Default)]
struct Told(std::sync::Mutex<Vec<Result<Option<i64>, ErrorKind>>>);

impl DeliveryCallback for Told {
    fn on_completion(&self, _: u64, outcome: Result<&RecordMetadata, &DeliveryError>) {
        let note = outcome
            .map(RecordMetadata::offset)
            .map_err(DeliveryError::kind);
        self.0.lock().expect("nobody panics").push(note);
    }
}

impl Told {
    fn notes(&self) -> Vec<Result<Option<i64>, ErrorKind>> {
        self.0.lock().expect("nobody panics").clone()
    }
}

fn send_noted(bench: &Bench, value: &[u8], told: &Arc<Told>) -> SendHandle {
    let callback: Arc<dyn DeliveryCallback> = Arc::<Told>::clone(told);
    let appended = bench.append(Some(0), value, Some(Callback::shared(callback, 0)));
    let Append::Appended { result, index } = appended else {
        panic!("{appended:?}")
    };
    let sizes = RecordSizes {
        timestamp_ms: 7,
        serialized_key_size: -1,
        serialized_value_size: 1,
    };
    SendHandle::new(result, index, sizes)
}

fn take_batch(bench: &mut Bench) -> ProducerBatch {
    bench.advance(5);
    bench.ready();
    bench.drain(1, 1 << 20).pop().expect("a batch").batch
}

#[test]
fn batch_that_fails_tells_its_callback_and_its_handle_the_same_once() {
    let mut bench = Bench::new(config(), vec![led_by(1, 0)]);
    let told = Arc::new(Told::default());
    let handle = send_noted(&bench, b"x", &told);
    take_batch(&mut bench).fail(failure(ErrorKind::Timeout));
    let error = handle.try_get().expect("done").expect_err("it failed");
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(told.notes(), [Err(ErrorKind::Timeout)]);
    assert_eq!(bench.accumulator.incomplete_batches(), 0);
}

/// Ending consumes the batch, and what is left of it is dropped: that must not end it once more.
#[test]
fn batch_that_completes_is_told_once_although_it_is_dropped_then() {
    let mut bench = Bench::new(config(), vec![led_by(1, 0)]);
    let told = Arc::new(Told::default());
    let handles = [
        send_noted(&bench, b"x", &told),
        send_noted(&bench, b"y", &told),
    ];
    take_batch(&mut bench).complete(acked(500));
    assert_eq!(told.notes(), [Ok(Some(500)), Ok(Some(501))]);
    let offsets = handles.map(|handle| handle.get().expect("acknowledged").offset());
    assert_eq!(offsets, [Some(500), Some(501)]);
}

#[test]
fn failure_with_record_errors_gives_each_culprit_its_own_and_the_others_the_batchs() {
    let mut bench = Bench::new(config(), vec![led_by(1, 0)]);
    let told = Arc::new(Told::default());
    let handles: Vec<SendHandle> = (0..5).map(|i| send_noted(&bench, &[i], &told)).collect();
    let mut why = failure(ErrorKind::Timeout);
    why.record_errors = vec![
        (0, Error::new(ErrorKind::Closed, "the first")),
        (3, Error::new(ErrorKind::Network, "the fourth")),
    ];
    take_batch(&mut bench).fail(why);
    let expected = [
        ErrorKind::Closed,
        ErrorKind::Timeout,
        ErrorKind::Timeout,
        ErrorKind::Network,
        ErrorKind::Timeout,
    ];
    let of_handles: Vec<ErrorKind> = handles
        .into_iter()
        .map(|handle| handle.get().expect_err("all failed").kind())
        .collect();
    assert_eq!(of_handles, expected);
    assert_eq!(told.notes(), expected.map(Err));
}

#[test]
fn failure_without_record_errors_gives_every_record_the_batchs() {
    let mut bench = Bench::new(config(), vec![led_by(1, 0)]);
    let handles: Vec<SendHandle> = (0..3).map(|i| bench.send(0, &[i])).collect();
    take_batch(&mut bench).fail(failure(ErrorKind::Network));
    for handle in handles {
        let error = handle.get().expect_err("all failed");
        assert_eq!(
            (error.kind(), error.error().to_string()),
            (ErrorKind::Network, "why".into())
        );
    }
}

#[test]
fn batch_that_was_drained_takes_no_more_records() {
    let mut bench = Bench::new(config(), vec![led_by(1, 0)]);
    let first = bench.send(0, b"x");
    let mut batch = take_batch(&mut bench);
    let before: usize = batch.encode(None).iter().map(|part| part.len()).sum();
    let second = bench.send(0, b"y");
    assert_eq!((batch.record_count(), batch.size()), (1, before));
    batch.complete(acked(0));
    assert!(first.is_done() && !second.is_done());
    assert_eq!(take_batch(&mut bench).record_count(), 1);
}

/// Appenders read the clock by themselves: a batch may be younger than the Sender's `now`.
#[test]
fn batch_is_not_expired_by_a_look_from_before_it_was_created() {
    let mut bench = Bench::new(config(), vec![led_by(1, 0)]);
    let before = bench.clock.now();
    bench.advance(2);
    let _handle = bench.send(0, b"x");
    let mut out = Vec::new();
    bench.drainer.ready(&bench.cluster, before);
    bench.drainer.expire(before, &mut out);
    assert!(out.is_empty(), "while it is fresh");
    let mut batch = take_batch(&mut bench);
    batch.begin_attempt(bench.clock.now(), 0);
    bench.drainer.reenqueue(batch, bench.clock.now());
    bench.drainer.expire(before, &mut out);
    assert!(out.is_empty(), "while it waits to be sent again");
    bench.advance(120_000);
    bench.drainer.expire(bench.clock.now(), &mut out);
    assert_eq!(out.len(), 1);
}

#[test]
fn abort_all_takes_what_is_queued_and_leaves_what_was_drained() {
    let mut bench = Bench::new(config(), vec![led_by(1, 0), led_by(1, 0)]);
    let handles: Vec<SendHandle> = (0..40).map(|i| bench.send(i % 2, &[0; 100])).collect();
    assert_eq!(bench.ready_nodes(), [1]);
    let drained = bench.drain(1, 1 << 20);
    let mut aborted = Vec::new();
    bench.drainer.abort_all(&mut aborted);
    assert!(!bench.drainer.has_queued() && !aborted.is_empty());
    let count = |batches: &[ProducerBatch]| batches.iter().map(|it| it.record_count()).sum::<u32>();
    let aborted_records = count(&aborted);
    for batch in aborted {
        batch.fail(failure(ErrorKind::Closed));
    }
    let done = handles.iter().filter(|handle| handle.is_done()).count();
    assert_eq!(done, aborted_records as usize);
    assert_eq!(bench.accumulator.incomplete_batches(), drained.len());
    drained
        .into_iter()
        .for_each(|it| it.batch.complete(acked(0)));
    assert!(handles.iter().all(SendHandle::is_done));
}
