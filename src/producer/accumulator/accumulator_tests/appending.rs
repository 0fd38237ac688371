//! Flush, memory, the sticky partition, whom an append wakes, and callbacks.

use super::*;

#[test]
fn flush_makes_everything_ready_and_ends_after_the_callbacks() {
    let mut bench = Bench::new(config(), vec![led_by(1, 0)]);
    let called = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&called);
    let callback = Callback::once(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
    });
    assert!(matches!(
        bench.append(Some(0), b"x", Some(callback)),
        Append::Appended { .. }
    ));
    let mut flush = bench.accumulator.begin_flush();
    assert_eq!(bench.ready_nodes(), [1]);
    assert!(!flush.poll(Waker::noop()));
    let batch = bench.drain(1, 1 << 20).pop().expect("a batch").batch;
    batch.complete(acked(0));
    assert_eq!(called.load(Ordering::Relaxed), 1);
    assert!(flush.poll(Waker::noop()));
}

#[test]
fn full_pool_makes_everything_ready_and_serves_the_waiter_when_memory_returns() {
    let mut tight = config();
    tight.buffer_memory = 2048;
    tight.linger = Duration::from_secs(60);
    let mut bench = Bench::new(tight, vec![led_by(1, 0), led_by(1, 0)]);
    let _handles = [bench.send(0, b"a"), bench.send(1, b"b")];
    assert!(bench.ready_nodes().is_empty());
    let topic = bench.accumulator.topic("topic").expect("known");
    let mut callback = None;
    let record = RecordToAppend {
        partition: Some(0),
        view: RecordView::new(0, None, Some(&[0; 1000]), &[]),
    };
    let (woken, waker) = counted();
    let mut ticket = MemoryTicket::default();
    let append =
        bench
            .accumulator
            .try_append(&topic, &record, &mut callback, &mut ticket, Some(&waker));
    assert!(matches!(append, Append::Blocked), "{append:?}");
    assert_eq!(
        bench.ready_nodes(),
        [1],
        "nobody lingers while somebody waits for memory"
    );
    for drained in bench.drain(1, 1 << 20) {
        drained.batch.complete(acked(0));
    }
    assert_eq!(woken.0.load(Ordering::Relaxed), 1);
    let append =
        bench
            .accumulator
            .try_append(&topic, &record, &mut callback, &mut ticket, Some(&waker));
    assert!(matches!(append, Append::Appended { .. }), "{append:?}");
}

#[test]
fn topic_that_has_its_share_does_not_linger_and_others_do() {
    let mut shared = config();
    (shared.buffer_memory, shared.most_per_topic) = (8192, Some(3000));
    shared.linger = Duration::from_secs(60);
    let mut bench = Bench::new(shared, vec![led_by(1, 0)]);
    let other = TopicInfo {
        name: "other".into(),
        id: Uuid([2; 16]),
        partitions: vec![led_by(2, 0)],
    };
    bench.cluster = bench.cluster.to_builder().topic(other.clone()).build();
    bench.accumulator.learn_topic(&other);
    let _handle = bench.send(0, b"a");
    let append_to = |topic: &str, ticket: &mut MemoryTicket, waker: Option<&Waker>| {
        let value = vec![0; if topic == "other" { 500 } else { 1000 }];
        let topic = bench.accumulator.topic(topic).expect("it is known");
        let record = RecordToAppend {
            partition: Some(0),
            view: RecordView::new(0, None, Some(&value), &[]),
        };
        let append = bench
            .accumulator
            .try_append(&topic, &record, &mut None, ticket, waker);
        match append {
            Append::Appended { .. } => "appended",
            Append::BlockedByShare => "its share is used up",
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(
        append_to("other", &mut MemoryTicket::default(), None),
        "appended"
    );
    let ((woken, waker), mut ticket) = (counted(), MemoryTicket::default());
    let waits = append_to("topic", &mut ticket, Some(&waker));
    assert_eq!(waits, "its share is used up");
    assert!(bench.wakeup.is_called(), "the Sender is told");
    let nodes = bench.drainer.ready(&bench.cluster, bench.clock.now()).nodes;
    assert_eq!(nodes, [NodeId(1)], "the other topic's batch lingers");
    let mut out = Vec::new();
    let admit = &mut |_: &BatchHead| DrainVerdict::Send(None);
    let now = bench.clock.now();
    bench
        .drainer
        .drain(NodeId(1), 1 << 20, now, admit, &mut out);
    out.into_iter().for_each(|it| it.batch.complete(acked(0)));
    assert_eq!(woken.0.load(Ordering::Relaxed), 1);
    assert_eq!(append_to("topic", &mut ticket, Some(&waker)), "appended");
}

#[test]
fn memory_of_an_acknowledged_batch_comes_back_whole() {
    let mut bench = Bench::new(config(), vec![led_by(1, 0)]);
    let before = bench.accumulator.available_memory();
    for _ in 0..100 {
        let callback = Callback::once(|_| {});
        assert!(matches!(
            bench.append(Some(0), &[0; 10], Some(callback)),
            Append::Appended { .. }
        ));
    }
    bench.advance(5);
    while bench.drainer.has_queued() {
        bench.ready();
        for mut drained in bench.drain(1, 1 << 20) {
            let on_the_socket = drained.batch.encode(None);
            drained.batch.complete(acked(0));
            assert!(
                bench.accumulator.available_memory() < before,
                "a transport still reads it"
            );
            drop(on_the_socket);
        }
    }
    assert_eq!(bench.accumulator.available_memory(), before);
}

#[test]
fn close_refuses_appends_and_makes_the_rest_ready() {
    let mut bench = Bench::new(config(), vec![led_by(1, 0)]);
    let handle = bench.send(0, b"x");
    bench.accumulator.close();
    let Append::Failed(error) = bench.append(Some(0), b"y", None) else {
        panic!("it is closed")
    };
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert_eq!(bench.ready_nodes(), [1]);
    let mut out = Vec::new();
    bench.drainer.abort_all(&mut out);
    assert_eq!(out.len(), 1);
    drop(out);
    let error = handle.try_get().expect("done").expect_err("dropped");
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert_eq!(bench.accumulator.incomplete_batches(), 0);
}

#[test]
fn sticky_partition_changes_when_it_had_its_share() {
    let mut many = config();
    many.buffer_memory = 4 << 20;
    let bench = Bench::new(many, (0..8).map(|_| led_by(1, 0)).collect());
    let mut partitions = Vec::new();
    for _ in 0..400 {
        let Append::Appended { result, .. } = bench.append(None, &[0; 100], None) else {
            panic!()
        };
        partitions.push(result.topic_partition().partition);
    }
    let changes = partitions
        .windows(2)
        .filter(|pair| pair[0] != pair[1])
        .count();
    assert!(
        (20..=60).contains(&changes),
        "{changes} changes in 400 records of 100 bytes"
    );
}

#[test]
fn sticky_partition_has_a_leader_if_any_has() {
    let bench = Bench::new(config(), vec![led_by(0, 0), led_by(2, 0), led_by(0, 0)]);
    for _ in 0..50 {
        let Append::Appended { result, .. } = bench.append(None, &[0; 100], None) else {
            panic!()
        };
        assert_eq!(result.topic_partition().partition, 1);
    }
}

#[test]
fn partition_that_is_not_there_is_told() {
    let bench = Bench::new(config(), vec![led_by(1, 0)]);
    assert!(matches!(
        bench.append(Some(1), b"x", None),
        Append::UnknownPartition
    ));
    assert!(matches!(
        bench.append(Some(-1), b"x", None),
        Append::UnknownPartition
    ));
}

#[test]
fn sender_that_looks_in_time_by_itself_is_not_woken() {
    let mut bench = Bench::new(config(), vec![led_by(1, 0), led_by(1, 0)]);
    let _first = bench.send(0, b"x");
    bench.ready();
    bench.wakeup.end_sleep();
    assert!(bench.wakeup.begin_sleep(), "the note is taken");
    let _second = bench.send(1, b"y");
    assert_eq!(
        bench.wakeup.writes(),
        0,
        "the first batch's linger ends before the second one's"
    );
}

#[test]
fn panicking_callback_harms_no_other() {
    let mut bench = Bench::new(config(), vec![led_by(1, 0)]);
    let called = Arc::new(AtomicUsize::new(0));
    for i in 0..3 {
        let count = Arc::clone(&called);
        let callback = Callback::once(move |_| {
            assert_ne!(i, 1, "this one fails on purpose");
            count.fetch_add(1, Ordering::Relaxed);
        });
        assert!(matches!(
            bench.append(Some(0), b"x", Some(callback)),
            Append::Appended { .. }
        ));
    }
    bench.advance(5);
    bench.ready();
    bench
        .drain(1, 1 << 20)
        .pop()
        .expect("a batch")
        .batch
        .complete(acked(0));
    assert_eq!(called.load(Ordering::Relaxed), 2);
}

#[test]
fn handle_that_is_polled_and_dropped_leaves_no_waiter_and_a_swapped_waker_is_honoured() {
    let mut bench = Bench::new(config(), vec![led_by(1, 0)]);
    let (mut first, second) = (bench.send(0, b"x"), bench.send(0, b"y"));
    let (old, new) = (counted(), counted());
    let mut second = Some(second);
    for waker in [&old.1, &new.1] {
        let cx = &mut std::task::Context::from_waker(waker);
        assert!(std::pin::Pin::new(&mut first).poll(cx).is_pending());
        if let Some(second) = &mut second {
            assert!(std::pin::Pin::new(second).poll(cx).is_pending());
        }
    }
    bench.advance(5);
    bench.ready();
    let batch = bench.drain(1, 1 << 20).pop().expect("a batch").batch;
    let result = Arc::clone(batch.result());
    assert_eq!(result.waiter_count(), 2);
    second.take();
    assert_eq!(result.waiter_count(), 1);
    batch.complete(acked(0));
    let woken = |counter: &Arc<Counter>| counter.0.load(Ordering::Relaxed);
    assert_eq!((woken(&old.0), woken(&new.0)), (0, 1));
    assert!(first.is_done());
}

#[test]
fn ready_batch_opened_and_filled_between_two_looks_goes_at_once() {
    let mut bench = Bench::new(config(), vec![led_by(1, 0)]);
    (0..10).for_each(|_| drop(bench.send(0, &[0; 100])));
    assert_eq!(bench.ready_nodes(), [1]);
}

#[test]
fn ready_batch_filled_after_its_opening_was_taken_in_goes_at_once() {
    let mut bench = Bench::new(config(), vec![led_by(1, 0)]);
    drop(bench.send(0, &[0; 100]));
    let check = bench.ready();
    assert!(check.nodes.is_empty(), "it lingers");
    let due = bench.clock.now() + Duration::from_millis(5);
    assert_eq!(check.next_check, Some(due));
    (0..9).for_each(|_| drop(bench.send(0, &[0; 100])));
    assert_eq!(bench.ready_nodes(), [1]);
}

#[test]
fn ready_batch_opened_without_a_leader_asks_for_one_at_once() {
    let mut bench = Bench::new(config(), vec![led_by(0, 0)]);
    drop(bench.send(0, &[0; 100]));
    let topics = bench.ready().unknown_leader_topics;
    assert_eq!(topics.len(), 1, "before its linger is over");
}

#[test]
fn appends_wake_nobody_while_the_sender_runs() {
    let mut bench = Bench::new(config(), vec![led_by(1, 0)]);
    for _ in 0..50 {
        drop(bench.send(0, &[0; 200]));
    }
    assert_eq!(bench.wakeup.writes(), 0, "it runs");
    assert_eq!(
        bench.ready().nodes,
        [NodeId(1)],
        "and finds the work by itself"
    );
}

#[test]
fn appends_wake_a_sender_that_always_sleeps_at_most_once_a_sealed_batch() {
    let mut bench = Bench::new(config(), vec![led_by(1, 0)]);
    drop(bench.send(0, &[0; 200]));
    bench.ready();
    bench.wakeup.end_sleep();
    let before = bench.wakeup.writes();
    for _ in 0..50 {
        assert!(bench.wakeup.begin_sleep());
        drop(bench.send(0, &[0; 200]));
        // It wakes, cannot send, and sleeps again.
        bench.ready();
        bench.wakeup.end_sleep();
    }
    let sealed = bench.accumulator.incomplete_batches() as u64 - 1;
    let writes = bench.wakeup.writes() - before;
    assert!(sealed >= 10, "{sealed}");
    assert!((1..=sealed).contains(&writes), "{writes} for {sealed}");
}

/// Its own linger would be looked after in time, but while somebody flushes linger does not count.
#[test]
fn batch_opened_while_a_flush_waits_wakes_a_sender_that_would_look_in_time() {
    let mut bench = Bench::new(config(), vec![led_by(1, 0), led_by(1, 0)]);
    bench.send(0, b"first");
    bench.ready();
    let _flush = bench.accumulator.begin_flush();
    assert_eq!(bench.ready_nodes(), [1]);
    drop(bench.drain(1, 1 << 20));
    bench.wakeup.end_sleep();
    assert!(bench.wakeup.begin_sleep(), "nothing is left to do");
    bench.send(1, b"second");
    assert!(!bench.wakeup.is_asleep(), "the flush would wait for linger");
}
