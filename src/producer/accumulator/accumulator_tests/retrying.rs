//! Waiting to be sent again, and running out of time: backoffs, leaders that change meanwhile,
//! partitions that are muted.

use super::*;

/// The next batch of `node`, noted as an attempt that failed, and put back.
fn attempt(bench: &mut Bench, node: i32, leader_epoch: i32) {
    let mut batch = bench.drain(node, 1 << 20).pop().expect("a batch").batch;
    let now = bench.clock.now();
    batch.begin_attempt(now, leader_epoch);
    bench.drainer.reenqueue(batch, now);
}

fn bench_with_one_full_batch(leader_epoch: i32) -> (Bench, SendHandle) {
    let mut long = config();
    long.delivery_timeout = Duration::from_secs(600);
    let mut bench = Bench::new(long, vec![led_by(1, leader_epoch)]);
    let handle = bench.send(0, &[0; 1000]);
    assert_eq!(bench.ready_nodes(), [1]);
    (bench, handle)
}

#[test]
fn retry_backoff_doubles_with_each_attempt_up_to_its_maximum() {
    let (mut bench, _handle) = bench_with_one_full_batch(0);
    for expected_ms in [100, 200, 400, 800, 1000, 1000] {
        attempt(&mut bench, 1, 0);
        bench.advance(expected_ms * 8 / 10 - 1);
        assert_eq!(bench.ready_nodes(), [0; 0], "{expected_ms}");
        bench.advance((expected_ms * 12 / 10).min(1000) - expected_ms * 8 / 10 + 2);
        assert_eq!(bench.ready_nodes(), [1], "{expected_ms}");
    }
}

#[test]
fn batch_that_backs_off_does_not_hold_up_another_partition_of_its_node() {
    let mut bench = Bench::new(config(), vec![led_by(1, 0), led_by(1, 0)]);
    let _first = bench.send(0, &[0; 1000]);
    bench.ready();
    attempt(&mut bench, 1, 0);
    let _second = bench.send(1, &[0; 1000]);
    assert_eq!(bench.ready_nodes(), [1]);
    let drained = bench.drain(1, 1 << 20);
    assert_eq!(drained.len(), 1);
    assert_eq!(drained[0].batch.topic_partition().partition, 1);
    bench.advance(121);
    assert_eq!(bench.ready_nodes(), [1]);
    let drained = bench.drain(1, 1 << 20);
    assert_eq!(drained[0].batch.topic_partition().partition, 0);
}

/// A leader is new by its epoch. The attempt that found it out is not repeated at once for ever,
/// and what an old picture says does not count.
#[test]
fn leader_change_counts_for_one_retry_and_an_older_epoch_for_none() {
    let (mut bench, _handle) = bench_with_one_full_batch(100);
    attempt(&mut bench, 1, 100);
    assert_eq!(bench.ready_nodes(), [0; 0], "the same leader");
    bench.cluster = cluster_of(vec![led_by(1, 101)], &bench.cluster);
    assert_eq!(
        bench.ready_nodes(),
        [1],
        "elected anew, although it is the same node"
    );
    attempt(&mut bench, 1, 101);
    assert_eq!(bench.ready_nodes(), [0; 0], "it has been asked");
    bench.cluster = cluster_of(vec![led_by(2, 100)], &bench.cluster);
    assert_eq!(bench.ready_nodes(), [0; 0], "a leader of before");
    bench.cluster = cluster_of(vec![led_by(2, -1)], &bench.cluster);
    assert_eq!(bench.ready_nodes(), [0; 0], "nobody knows since when");
    bench.advance(241);
    assert_eq!(bench.ready_nodes(), [2]);
}

#[test]
fn backoff_goes_on_growing_after_the_leader_changed() {
    let (mut bench, _handle) = bench_with_one_full_batch(0);
    attempt(&mut bench, 1, 0);
    bench.advance(121);
    bench.ready();
    attempt(&mut bench, 1, 0);
    bench.cluster = cluster_of(vec![led_by(2, 1)], &bench.cluster);
    assert_eq!(bench.ready_nodes(), [2], "asked at once");
    attempt(&mut bench, 2, 1);
    bench.advance(319);
    assert_eq!(bench.ready_nodes(), [0; 0], "this was the third attempt");
    bench.advance(162);
    assert_eq!(bench.ready_nodes(), [2]);
}

#[test]
fn next_check_is_when_the_first_linger_of_all_is_over() {
    let mut bench = Bench::new(config(), vec![led_by(1, 0), led_by(1, 0), led_by(2, 0)]);
    let start = bench.clock.now();
    let _first = bench.send(0, b"x");
    bench.advance(2);
    let _second = bench.send(2, b"y");
    let check = bench.ready();
    assert!(check.nodes.is_empty());
    assert_eq!(check.next_check, Some(start + Duration::from_millis(5)));
    let _full: Vec<SendHandle> = (0..2).map(|_| bench.send(1, &[0; 1000])).collect();
    let check = bench.ready();
    assert_eq!(check.nodes, [NodeId(1)]);
    assert!(check.next_check <= Some(start + Duration::from_millis(5)));
}

#[test]
fn all_batches_of_a_partition_expire_although_it_is_muted() {
    let mut bench = Bench::new(config(), vec![led_by(1, 0)]);
    let _handles: Vec<SendHandle> = (0..2).map(|i| bench.send(0, &[i; 1000])).collect();
    bench.ready();
    let first = bench.drain(1, 1 << 20).remove(0).batch;
    bench.drainer.mute(first.id().slot);
    bench.drainer.reenqueue(first, bench.clock.now());
    bench.advance(119_999);
    let mut out = Vec::new();
    bench.drainer.expire(bench.clock.now(), &mut out);
    assert!(out.is_empty(), "not before their time");
    bench.advance(1);
    bench.drainer.expire(bench.clock.now(), &mut out);
    assert_eq!(out.len(), 2, "one was sent before, one was not");
    assert!(out[0].id() < out[1].id());
    bench.drainer.unmute(out[0].id().slot, bench.clock.now());
    assert_eq!(bench.ready_nodes(), [0; 0]);
}

#[test]
fn muted_partition_is_neither_ready_nor_drained_until_it_is_unmuted() {
    let mut bench = Bench::new(config(), vec![led_by(1, 0)]);
    let _handle = bench.send(0, &[0; 1000]);
    assert_eq!(bench.ready_nodes(), [1]);
    bench.drainer.mute(SlotId(0));
    assert!(
        bench.drain(1, 1 << 20).is_empty(),
        "muted after it was ready"
    );
    bench.cluster = cluster_of(vec![led_by(2, 1)], &bench.cluster);
    let _more = bench.send(0, &[1; 1000]);
    assert_eq!(bench.ready_nodes(), [0; 0], "whatever is looked at anew");
    bench.drainer.unmute(SlotId(0), bench.clock.now());
    assert_eq!(bench.ready_nodes(), [2]);
    assert_eq!(bench.drain(2, 1 << 20).len(), 1);
}

#[test]
fn longest_delivery_timeout_there_is_expires_nothing_before_and_does_not_overflow() {
    let mut long = config();
    long.delivery_timeout = Duration::MAX;
    let mut bench = Bench::new(long, vec![led_by(1, 0)]);
    let _handle = bench.send(0, b"x");
    bench.advance(u64::from(u32::MAX));
    assert_eq!(bench.ready_nodes(), [1]);
    let mut out = Vec::new();
    bench.drainer.expire(bench.clock.now(), &mut out);
    assert!(out.is_empty());
}

/// What linger sends half full had its share: the next batch begins at another partition, so that
/// no batch is cut short by a change in its middle.
#[test]
fn sticky_partition_changes_between_batches_when_linger_ends_them() {
    let mut lingering = config();
    lingering.linger = Duration::from_millis(10);
    let mut bench = Bench::new(lingering, (0..64).map(|_| led_by(1, 0)).collect());
    let mut changes = 0;
    let mut last = None;
    for _ in 0..12 {
        for _ in 0..7 {
            let appended = bench.append(None, &[0; 80], None);
            assert!(matches!(appended, Append::Appended { .. }), "{appended:?}");
        }
        bench.advance(10);
        bench.ready();
        let drained = bench.drain(1, 1 << 20);
        assert_eq!(drained.len(), 1, "all of a round lies in one batch");
        let size = drained[0].batch.size();
        assert!((512..1024).contains(&size), "{size}");
        let partition = drained[0].batch.topic_partition().partition;
        changes += usize::from(last.is_some_and(|last| last != partition));
        last = Some(partition);
        drained
            .into_iter()
            .for_each(|it| it.batch.complete(acked(0)));
    }
    assert!(
        (4..=6).contains(&changes),
        "{changes} changes in 12 batches of two thirds"
    );
}
