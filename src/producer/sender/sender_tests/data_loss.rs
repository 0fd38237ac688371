//! What brokers acknowledged and do not have any more: reported where it is proved, and only there.
//!
//! Thread: the test's. Locks: none.

use super::*;

/// Sends a record and acknowledges it at this offset.
fn acked_at(bench: &mut Bench, base_offset: i64) {
    let handle = bench.send(0);
    bench.turn();
    let request = bench.take();
    bench.acknowledge(request, base_offset);
    bench.turn();
    assert!(handle.is_done());
}

#[test]
fn offset_that_was_acknowledged_before_is_data_loss_with_and_without_idempotence() {
    let acks_1 = SenderConfig { acks: 1, ..plain() };
    for (config, base) in [(config(), 0), (plain(), 0), (acks_1, 0)] {
        let mut bench = if config.idempotence {
            Bench::idempotent_with(config, &[1])
        } else {
            Bench::new(config, &[1])
        };
        acked_at(&mut bench, base + 5);
        acked_at(&mut bench, base + 6);
        assert_eq!(bench.shared.data_losses(), 0);
        acked_at(&mut bench, base + 6);
        assert_eq!(bench.shared.data_losses(), 1);
        acked_at(&mut bench, base + 7);
        acked_at(&mut bench, base + 9);
        assert_eq!(bench.shared.data_losses(), 1, "it is told once");
    }
}

#[test]
fn offsets_of_requests_that_crossed_prove_nothing() {
    let mut bench = Bench::new(plain(), &[1]);
    acked_at(&mut bench, 4);
    let handles = [bench.send(0), bench.send(0), bench.send(0)];
    for _ in 0..3 {
        bench.turn();
    }
    let requests = [bench.take(), bench.take(), bench.take()];
    for (request, base_offset) in requests.into_iter().zip([7, 5, 6]) {
        bench.acknowledge(request, base_offset);
        bench.turn();
    }
    assert!(handles.iter().all(SendHandle::is_done));
    acked_at(&mut bench, 8);
    assert_eq!(bench.shared.data_losses(), 0);
}

#[test]
fn log_that_ends_earlier_is_one_data_loss_however_many_requests_meet_it() {
    let mut bench = Bench::new(plain(), &[1]);
    acked_at(&mut bench, 9);
    let _handles = [bench.send(0), bench.send(0)];
    bench.turn();
    bench.turn();
    for base_offset in [2, 3] {
        let request = bench.take();
        bench.acknowledge(request, base_offset);
        bench.turn();
    }
    assert_eq!(bench.shared.data_losses(), 1);
    acked_at(&mut bench, 3);
    assert_eq!(bench.shared.data_losses(), 2, "and later another one");
}

#[test]
fn offsets_of_a_topic_made_again_are_no_data_loss() {
    for config in [config(), plain()] {
        let mut bench = if config.idempotence {
            Bench::idempotent_with(config, &[1])
        } else {
            Bench::new(config, &[1])
        };
        acked_at(&mut bench, 9);
        bench.learn(Uuid([2; 16]), &[1], 1);
        acked_at(&mut bench, 0);
        acked_at(&mut bench, 1);
        assert_eq!(bench.shared.data_losses(), 0);
    }
}

#[test]
fn repetition_recognised_by_the_broker_is_no_data_loss() {
    let mut bench = Bench::idempotent(&[1]);
    let (first, second) = (bench.send(0), bench.send(0));
    bench.turn();
    bench.turn();
    let (lost, answered) = (bench.take(), bench.take());
    bench.acknowledge(answered, 2);
    bench.disconnect(lost, true);
    bench.turn();
    bench.next_attempt();
    let again = bench.take();
    bench.acknowledge(again, 1);
    bench.turn();
    assert!(first.is_done() && second.is_done());
    acked_at(&mut bench, 3);
    assert_eq!(bench.shared.data_losses(), 0);
}

#[test]
fn gap_after_acknowledged_records_is_data_loss_unless_retention_took_them() {
    for (log_start_offset, losses) in [(-1, 1), (0, 1), (1, 0)] {
        let mut bench = Bench::idempotent(&[1]);
        let handle = bench.send(0);
        bench.turn();
        let request = bench.take();
        bench.answer_each(request, |partition| {
            partition.error_code = 45;
            partition.base_offset = -1;
            partition.log_start_offset = log_start_offset;
        });
        bench.turn();
        bench.next_attempt();
        let request = bench.take();
        assert_eq!(stamp(&request), (1, 0));
        bench.acknowledge(request, 0);
        bench.turn();
        assert_eq!(offset(&handle), Some(0));
        let told = bench.shared.data_losses();
        assert!(told >= losses, "{log_start_offset}");
        // The offset that was acknowledged before is given out again.
        assert_eq!(told, 1, "{log_start_offset}: and once");
    }
}
