//! Each bug that can be planted in the accumulator is live: without it a scenario goes right, with
//! it wrong.

use super::*;
use crate::planted::{Plant, assert_live, is_given_back};

impl Bench {
    /// The one batch that lingered, on its way, and its bytes.
    fn on_its_way(&mut self) -> (ProducerBatch, Vec<bytes::Bytes>) {
        self.advance(5);
        self.ready();
        let mut batch = self.drain(1, 1 << 20).pop().expect("a batch").batch;
        let sent = batch.encode(None);
        (batch, sent)
    }
}

#[test]
fn r01_memory_of_a_batch_that_ends_is_given_back_while_a_send_reads_it() {
    assert_live(Plant::R01, || {
        let mut bench = Bench::new(config(), vec![led_by(1, 0)]);
        let handle = bench.send(0, b"x");
        let (batch, sent) = bench.on_its_way();
        assert!(!is_given_back(&sent[1]));
        let failed = batch.fail(failure(ErrorKind::Timeout));
        let given_back = is_given_back(&sent[1].slice(3..));
        let memory = sent[1].as_ptr() as usize;
        drop((failed, handle, sent));
        // What is in the pool again is new to whoever gets it.
        let _handle = bench.send(0, b"y");
        let (_batch, sent) = bench.on_its_way();
        assert_eq!(sent[1].as_ptr() as usize, memory);
        assert!(!is_given_back(&sent[1]));
        given_back
    });
}

#[test]
fn r31_flush_sends_the_last_batch_first() {
    assert_live(Plant::R31, || {
        let mut bench = Bench::new(config(), vec![led_by(1, 0)]);
        let _handles = [bench.send(0, &[1; 900]), bench.send(0, &[2; 900])];
        let _flush = bench.accumulator.begin_flush();
        bench.ready();
        let first = bench.drain(1, 1 << 20).pop().expect("a batch").batch;
        first.id().first_record > 0
    });
}

#[test]
fn r61_partition_that_does_not_fit_into_a_request_is_never_drained() {
    assert_live(Plant::R61, || {
        let mut bench = Bench::new(config(), vec![led_by(1, 0), led_by(1, 0)]);
        let _handles = [bench.send(0, &[1; 900]), bench.send(1, &[2; 900])];
        bench.advance(5);
        bench.ready();
        assert_eq!(bench.drain(1, 1200).len(), 1);
        bench.ready();
        bench.drain(1, 1200).is_empty()
    });
}

#[test]
fn r64_full_batch_wakes_nobody() {
    assert_live(Plant::R64, || {
        let mut bench = Bench::new(config(), vec![led_by(1, 0)]);
        let _opens = bench.send(0, b"x");
        bench.ready();
        bench.wakeup.end_sleep();
        let _fills = bench.send(0, &[1; 2000]);
        bench.wakeup.begin_sleep()
    });
}

#[test]
fn hash_order_decides_which_node_is_first() {
    assert_live(Plant::HashOrder, || {
        let mut bench = Bench::new(config(), (1..=20).map(|node| led_by(node, 0)).collect());
        let _handles: Vec<SendHandle> = (0..20).map(|it| bench.send(it, b"x")).collect();
        bench.advance(5);
        !bench.ready().nodes.is_sorted()
    });
}
