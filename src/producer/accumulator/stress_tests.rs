//! Threads that append, and wait for memory, against one that drains.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::*;
use crate::cluster::{Cluster, Node, NodeId, PartitionInfo, TopicInfo, Uuid};
use crate::network::Wakeup;
use crate::producer::callback::Callback;
use crate::random::Random;
use crate::record::RecordView;
use crate::sync::Parker;
use crate::time::Time;

const THREADS: usize = 4;
const RECORDS: usize = 2000;

fn append_all(accumulator: &RecordAccumulator, called: &Arc<AtomicUsize>, thread: usize) {
    let topic = accumulator.topic("topic").expect("known");
    let time = Time::default();
    for number in 0..RECORDS {
        let count = Arc::clone(called);
        let mut callback = Some(Callback::once(move |result| {
            assert!(result.is_ok());
            count.fetch_add(1, Ordering::Relaxed);
        }));
        let record = RecordToAppend {
            partition: (number % 2 == 0).then_some(i32::try_from(thread % 3).expect("few")),
            view: RecordView::new(0, None, Some(&[7; 40]), &[]),
        };
        let (mut ticket, parker) = (MemoryTicket::default(), Parker::new());
        let waker = parker.waker();
        loop {
            match accumulator.try_append(&topic, &record, &mut callback, &mut ticket, Some(&waker))
            {
                Append::Appended { .. } => break,
                Append::Blocked => parker.park_until(&time, None),
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn every_record_of_many_threads_is_drained_once_and_all_memory_comes_back() {
    let config = AccumulatorConfig {
        batch_size: 512,
        linger: Duration::ZERO,
        buffer_memory: 16 * 1024,
        most_per_topic: None,
        delivery_timeout: Duration::from_secs(120),
        retry_backoff: Duration::ZERO,
        retry_backoff_max: Duration::ZERO,
    };
    let time = Time::default();
    let accumulator =
        RecordAccumulator::new(config, time.clone(), Random::seeded(1), Wakeup::new(None));
    let led = PartitionInfo {
        leader: Some(NodeId(1)),
        leader_epoch: 0,
    };
    let topic = TopicInfo {
        name: "topic".into(),
        id: Uuid([1; 16]),
        partitions: vec![led; 3],
    };
    let node = Node {
        id: NodeId(1),
        host: "localhost".into(),
        port: 1,
        rack: None,
    };
    let cluster = Cluster::default()
        .to_builder()
        .nodes([node])
        .topic(topic)
        .build();
    accumulator.learn_topic(cluster.topic("topic").expect("it was just put there"));
    let called = Arc::new(AtomicUsize::new(0));
    let mut drainer = Drainer::new(Arc::clone(&accumulator), Random::seeded(2));
    let mut drained_records = 0;
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (accumulator, called) = (&accumulator, &called);
            scope.spawn(move || append_all(accumulator, called, thread));
        }
        let mut out = Vec::new();
        while drained_records < THREADS * RECORDS {
            let now = time.now();
            for node in drainer.ready(&cluster, now).nodes {
                let admit = &mut |_: &BatchHead| DrainVerdict::Send(None);
                drainer.drain(node, 1 << 20, now, admit, &mut out);
            }
            if out.is_empty() {
                std::thread::yield_now();
            }
            for drained in out.drain(..) {
                drained_records += usize::try_from(drained.batch.record_count()).expect("few");
                drained.batch.complete(BatchAck {
                    base_offset: 0,
                    log_append_time_ms: -1,
                });
            }
        }
    });
    assert_eq!(called.load(Ordering::Relaxed), THREADS * RECORDS);
    assert_eq!(accumulator.available_memory(), 16 * 1024);
    assert!(!drainer.has_queued());
}
