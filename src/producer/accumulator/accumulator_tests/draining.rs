//! What is ready when, in which order it goes, and how it comes back or expires.

use super::*;

#[test]
fn lingering_batch_is_not_ready_before_its_time() {
    let mut bench = Bench::new(config(), vec![led_by(1, 0)]);
    let _handle = bench.send(0, b"x");
    let check = bench.ready();
    assert!(check.nodes.is_empty());
    assert_eq!(
        check.next_check,
        Some(bench.clock.now() + Duration::from_millis(5))
    );
    bench.advance(5);
    assert_eq!(bench.ready_nodes(), [1]);
    assert_eq!(bench.drain(1, 1 << 20).len(), 1);
    assert_eq!(bench.ready_nodes(), [0; 0]);
}

#[test]
fn full_batch_is_ready_at_once_and_records_stay_in_order() {
    let mut bench = Bench::new(config(), vec![led_by(1, 0)]);
    let handles: Vec<SendHandle> = (0..30).map(|i| bench.send(0, &[i; 100])).collect();
    assert_eq!(bench.ready_nodes(), [1]);
    let mut batch = bench.drain(1, 1 << 20).pop().expect("a batch").batch;
    let count = batch.record_count();
    assert!(
        batch.size() <= 1024 && count > 5,
        "{} bytes, {count} records",
        batch.size()
    );
    let parts = batch.encode(None);
    let mut reader = BatchReader::new(&parts[1..]);
    for i in 0..count {
        let value = reader.read().expect("a record").value.expect("a value");
        assert_eq!(value[0], u8::try_from(i).expect("few"));
    }
    assert!(reader.read().is_none());
    batch.complete(acked(100));
    let metadata = handles[3].try_get().expect("done").expect("acknowledged");
    assert_eq!((metadata.offset(), metadata.timestamp_ms()), (Some(103), 7));
    assert!(handles.last().expect("thirty").try_get().is_none());
}

#[test]
fn record_larger_than_a_batch_goes_alone() {
    let mut bench = Bench::new(config(), vec![led_by(1, 0)]);
    let _small = bench.send(0, b"x");
    let _large = bench.send(0, &[7; 5000]);
    let _after = bench.send(0, b"y");
    bench.advance(5);
    let sizes: Vec<u32> = (0..3)
        .map(|_| {
            bench.ready();
            bench
                .drain(1, 1 << 20)
                .pop()
                .expect("a batch")
                .batch
                .record_count()
        })
        .collect();
    assert_eq!(sizes, [1, 1, 1]);
}

#[test]
fn drain_takes_one_batch_per_partition_up_to_the_request_size() {
    let mut bench = Bench::new(config(), vec![led_by(1, 0), led_by(1, 0), led_by(2, 0)]);
    let _handles: Vec<SendHandle> = (0..3)
        .flat_map(|p| [bench.send(p, &[0; 900]), bench.send(p, &[0; 900])])
        .collect();
    assert_eq!(bench.ready_nodes(), [1, 2]);
    assert!(bench.drain(9, 1500).is_empty(), "it leads nothing");
    let first = bench.drain(1, 1500);
    assert_eq!(
        first.len(),
        1,
        "a second batch would be too large for the request"
    );
    let second = bench.drain(1, 1500);
    assert_ne!(
        first[0].batch.id().slot,
        second[0].batch.id().slot,
        "it goes on where it stopped"
    );
    assert_eq!(
        bench.drain(2, 1).len(),
        1,
        "one that is larger than the request goes alone"
    );
}

#[test]
fn skipped_partition_is_not_ready_until_it_is_unblocked() {
    let mut bench = Bench::new(config(), vec![led_by(1, 0), led_by(1, 0)]);
    let _handles = [bench.send(0, &[0; 1000]), bench.send(1, &[0; 1000])];
    bench.advance(5);
    bench.ready();
    let mut out = Vec::new();
    let mut skipped = None;
    bench.drainer.drain(
        NodeId(1),
        1 << 20,
        bench.clock.now(),
        &mut |head| {
            if head.id.slot == SlotId(0) {
                skipped = Some(head.id.slot);
                return DrainVerdict::SkipPartition;
            }
            DrainVerdict::Send(None)
        },
        &mut out,
    );
    assert_eq!(out.len(), 1, "the other partition is not held up");
    assert_eq!(bench.ready_nodes(), [0; 0], "a skip cannot spin");
    let now = bench.clock.now();
    bench.drainer.unblock(skipped.expect("it was shown"), now);
    assert_eq!(bench.ready_nodes(), [1]);
}

#[test]
fn batch_behind_one_that_waits_can_go_first_or_be_taken_out() {
    let mut bench = Bench::new(config(), vec![led_by(1, 0)]);
    let _handles: Vec<SendHandle> = (0..3).map(|i| bench.send(0, &[i; 1000])).collect();
    bench.advance(5);
    bench.ready();
    let (mut shown, mut out) = (Vec::new(), Vec::new());
    let now = bench.clock.now();
    bench.drainer.drain(
        NodeId(1),
        1 << 20,
        now,
        &mut |head| {
            shown.push(head.id.first_record);
            match head.id.first_record {
                0 => DrainVerdict::TryNext,
                _ => DrainVerdict::Send(None),
            }
        },
        &mut out,
    );
    assert_eq!(shown, [0, 1]);
    assert_eq!(out[0].batch.id().first_record, 1);
    bench.drainer.drain(
        NodeId(1),
        1 << 20,
        now,
        &mut |_| DrainVerdict::TakeOut,
        &mut out,
    );
    assert!(out[1].is_over && out[1].batch.id().first_record == 0);
    assert_eq!(bench.ready_nodes(), [1], "there is one more");
    let admit = &mut |_: &BatchHead| DrainVerdict::TryNext;
    bench
        .drainer
        .drain(NodeId(1), 1 << 20, now, admit, &mut out);
    assert_eq!(bench.ready_nodes(), [0; 0], "all passed over is a skip");
    bench.drainer.unblock(out[1].batch.id().slot, now);
    assert_eq!(bench.ready_nodes(), [1]);
}

#[test]
fn partition_whose_queue_was_emptied_has_one_place_in_its_ring_afterwards() {
    let mut bench = Bench::new(config(), vec![led_by(1, 0)]);
    let _first = bench.send(0, b"x");
    assert_eq!(bench.ready_nodes(), [0; 0], "it lingers");
    let flush = bench.accumulator.begin_flush();
    assert_eq!(bench.ready_nodes(), [1]);
    drop(flush);
    bench.drainer.abort_all(&mut Vec::new());
    bench.advance(5);
    bench.ready();
    let _later: Vec<SendHandle> = (0..4).map(|i| bench.send(0, &[i; 1000])).collect();
    bench.advance(5);
    bench.ready();
    assert_eq!(
        bench.drain(1, 1 << 20).len(),
        1,
        "one batch of a partition in a request"
    );
}

#[test]
fn drained_for_good_only_when_no_queue_holds_anything() {
    let mut bench = Bench::new(config(), vec![led_by(1, 0)]);
    assert!(bench.drainer.is_drained_for_good());
    let _handle = bench.send(0, b"x");
    bench.accumulator.close();
    assert!(!bench.drainer.is_drained_for_good());
    bench.ready();
    let drained = bench.drain(1, 1 << 20);
    assert!(bench.drainer.is_drained_for_good());
    drop(drained);
}

#[test]
fn topic_that_vanishes_and_comes_back_larger_keeps_its_slots() {
    let mut bench = Bench::new(config(), vec![led_by(1, 0)]);
    let _handle = bench.send(0, b"x");
    bench.ready();
    let known = bench.accumulator.topic("topic").expect("known");
    bench.cluster = bench.cluster.to_builder().without_topic("topic").build();
    bench.ready();
    assert!(bench.accumulator.topic("topic").is_none());
    bench.cluster = cluster_of(vec![led_by(1, 0), led_by(0, 0)], &bench.cluster);
    bench.ready();
    let again = bench.accumulator.topic("topic").expect("it is back");
    assert_eq!(again.partition_count(), 2);
    assert!(Arc::ptr_eq(&known.slots[0], &again.slots[0]));
    assert_eq!(again.available, Some(vec![0]));
    bench.cluster = cluster_of(vec![led_by(2, 1), led_by(0, 0)], &bench.cluster);
    bench.ready();
    let same = bench.accumulator.topic("topic").expect("it is there");
    assert!(Arc::ptr_eq(&same, &again), "a moved leader changes nothing");
}

#[test]
fn retried_batch_waits_for_its_backoff_unless_the_leader_changed() {
    let mut bench = Bench::new(config(), vec![led_by(1, 3)]);
    let _handle = bench.send(0, &[0; 1000]);
    bench.advance(5);
    bench.ready();
    let mut batch = bench.drain(1, 1 << 20).pop().expect("a batch").batch;
    let now = bench.clock.now();
    batch.begin_attempt(now, 3);
    bench.drainer.reenqueue(batch, now);
    assert_eq!(bench.ready_nodes(), [0; 0]);
    bench.cluster = cluster_of(vec![led_by(2, 4)], &bench.cluster);
    assert_eq!(bench.ready_nodes(), [2], "a new leader is asked at once");
    bench.cluster = cluster_of(vec![led_by(1, 3)], &bench.cluster);
    assert_eq!(bench.ready_nodes(), [0; 0]);
    bench.advance(121);
    assert_eq!(bench.ready_nodes(), [1]);
}

#[test]
fn retried_batches_go_back_in_order() {
    let mut bench = Bench::new(config(), vec![led_by(1, 0)]);
    let _handles: Vec<SendHandle> = (0..3).map(|i| bench.send(0, &[i; 1000])).collect();
    bench.advance(5);
    bench.ready();
    let (first, second) = (
        bench.drain(1, 1 << 20).remove(0),
        bench.drain(1, 1 << 20).remove(0),
    );
    let (first_id, second_id) = (first.batch.id(), second.batch.id());
    let now = bench.clock.now();
    bench.drainer.reenqueue(second.batch, now);
    bench.drainer.reenqueue(first.batch, now);
    bench.advance(2000);
    bench.ready();
    assert_eq!(bench.drain(1, 1 << 20)[0].batch.id(), first_id);
    assert_eq!(bench.drain(1, 1 << 20)[0].batch.id(), second_id);
}

#[test]
fn leaderless_partition_waits_and_names_its_topic() {
    let mut bench = Bench::new(config(), vec![led_by(0, 0)]);
    let _handle = bench.send(0, &[0; 1000]);
    bench.advance(5);
    let check = bench.ready();
    assert!(check.nodes.is_empty());
    assert_eq!(check.unknown_leader_topics, ["topic".into()]);
    bench.cluster = cluster_of(vec![led_by(2, 1)], &bench.cluster);
    assert_eq!(bench.ready_nodes(), [2]);
}

#[test]
fn queued_batch_expires_at_its_delivery_timeout() {
    let mut bench = Bench::new(config(), vec![led_by(0, 0)]);
    let handle = bench.send(0, b"x");
    let mut out = Vec::new();
    bench.ready();
    bench.advance(119_999);
    bench.drainer.expire(bench.clock.now(), &mut out);
    assert!(out.is_empty());
    assert!(bench.accumulator.has_queued("topic") && !bench.accumulator.has_queued("other"));
    bench.advance(1);
    bench.drainer.expire(bench.clock.now(), &mut out);
    let batch = out.pop().expect("its time is over");
    batch.fail(failure(ErrorKind::Timeout));
    let error = handle.try_get().expect("done").expect_err("expired");
    assert_eq!(
        (error.kind(), error.persistence()),
        (ErrorKind::Timeout, Persistence::NotWritten)
    );
    let record = error.record().expect("it is given back");
    assert_eq!(
        (record.value.as_deref(), record.timestamp_ms),
        (Some(&b"x"[..]), 7)
    );
    assert!(!bench.drainer.has_queued() && !bench.accumulator.has_queued("topic"));
}
