//! Producer ids and epochs that come to their end.
//!
//! Thread: the test's. Locks: none.

use super::*;

fn asks_for_identity(request: &Request) -> bool {
    matches!(request.body, ApiRequest::InitProducerId(_))
}

/// A partition under the last epoch of producer id 7, and a record that needs another id.
fn used_up() -> (Bench, SendHandle) {
    let mut bench = Bench::new(config(), &[1, 1]);
    bench.give_identity(7, i16::MAX);
    let handle = bench.send(0);
    bench.turn();
    let request = bench.take();
    assert_eq!(stamp(&request), (i16::MAX, 1));
    bench.refuse(request, 59);
    bench.turn();
    (bench, handle)
}

#[test]
fn producer_id_used_up_and_given_again_is_asked_for_with_growing_pauses() {
    let (mut bench, handle) = used_up();
    bench.next_attempt();
    bench.turn();
    let mut asked = bench.take();
    let mut pauses = Vec::new();
    for _ in 0..8 {
        assert!(asks_for_identity(&asked));
        bench.client.answer(asked, identity(7, i16::MAX, 0));
        bench.turn();
        let mut waited = 0;
        asked = loop {
            if let Some(request) = bench.client.take() {
                break request;
            }
            bench.advance(10);
            bench.turn();
            waited += 10;
            assert!(waited < 2_000, "it is never asked again");
        };
        pauses.push(waited);
    }
    assert!(pauses[0] >= 80, "{pauses:?}");
    assert!(
        pauses[7] >= 800,
        "they grow up to their maximum: {pauses:?}"
    );
    // A partition that has not used it up can go on under it.
    let other = bench.send(1);
    bench.turn();
    let request = bench.take();
    assert_eq!(on_wire(&request)[0].partition, 1);
    bench.acknowledge(request, 0);
    bench.client.answer(asked, identity(8, 0, 0));
    bench.turn();
    assert!(other.is_done());
    bench.turn();
    let request = bench.take();
    let batch = on_wire(&request)[0];
    assert_eq!((batch.producer_id, batch.epoch, batch.sequence), (8, 0, 0));
    bench.acknowledge(request, 1);
    bench.turn();
    assert_eq!(offset(&handle), Some(1));
}

#[test]
fn producer_id_given_again_until_the_delivery_timeout_is_named_by_the_record_that_expires() {
    let (mut bench, _refused) = used_up();
    let never_sent = bench.send(0);
    for _ in 0..200 {
        bench.advance(1_000);
        bench.turn();
        while let Some(request) = bench.client.take() {
            assert!(asks_for_identity(&request));
            bench.client.answer(request, identity(7, 0, 0));
            bench.turn();
        }
    }
    let error = done(&never_sent).expect_err("its time is over");
    assert_eq!(error.persistence(), Persistence::NotWritten);
    assert!(
        error.to_string().contains("all its epochs are used up"),
        "{error}"
    );
}

/// A straggler of the old id may still arrive: its batch has ended, and goes nowhere else (D7).
#[test]
fn batch_of_unknown_outcome_under_a_used_up_identity_never_moves_to_the_new_one() {
    let mut bench = Bench::new(config(), &[1]);
    bench.give_identity(7, i16::MAX);
    let handles = [bench.send(0), bench.send(0)];
    bench.turn();
    bench.turn();
    let (lost, behind) = (bench.take(), bench.take());
    bench.disconnect(lost, true);
    bench.refuse(behind, 45);
    bench.turn();
    bench.next_attempt();
    let again = bench.take();
    assert_eq!(stamp(&again), (i16::MAX, 1), "unchanged");
    bench.refuse(again, 45);
    bench.turn();
    let unknown = (ErrorKind::OutOfOrderSequence, Persistence::Unknown);
    assert_eq!(failed(&handles[0]), unknown);
    for _ in 0..4 {
        bench.next_attempt();
        while let Some(request) = bench.client.take() {
            if asks_for_identity(&request) {
                bench.client.answer(request, identity(8, 0, 0));
                continue;
            }
            match on_wire(&request)[0].producer_id {
                7 => bench.refuse(request, 45),
                _ => bench.acknowledge(request, 1),
            }
        }
        bench.turn();
    }
    assert_eq!(offset(&handles[1]), Some(1), "its successor goes on");
}
