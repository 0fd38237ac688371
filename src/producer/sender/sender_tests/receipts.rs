//! What a receipt says of attempts, broker and stages.

use super::*;

#[test]
fn receipt_of_an_acknowledged_record_tells_of_its_last_attempt() {
    let mut bench = Bench::new(plain(), &[1]);
    let began = bench.clock.now();
    let handle = bench.send(0);
    bench.advance(3);
    bench.turn();
    let first = bench.take();
    bench.advance(10);
    bench.refuse(first, 6);
    bench.turn();
    bench.learn(TOPIC_ID, &[2], 2);
    bench.advance(2_000);
    bench.turn();
    let sent = bench.clock.now();
    let second = bench.take();
    bench.advance(7);
    bench.acknowledge(second, 5);
    bench.turn();
    let metadata = done(&handle).expect("it is acknowledged");
    let receipt = metadata.receipt();
    assert_eq!((receipt.attempts(), receipt.broker()), (2, Some(2)));
    assert_eq!(receipt.appended(), began);
    assert_eq!(receipt.drained(), Some(sent));
    assert!(receipt.written() >= receipt.drained());
    assert!(receipt.answered() >= receipt.written());
    assert_eq!(receipt.time_buffered(), Some(Duration::from_millis(2_013)));
    assert!(receipt.time_in_flight().is_some());
}

#[test]
fn receipt_of_a_record_that_was_never_sent_has_no_stage_but_the_first() {
    let mut bench = Bench::new(plain(), &[0]);
    let handle = bench.send(0);
    bench.turn();
    bench.advance(120_000);
    bench.turn();
    let error = done(&handle).expect_err("it expired");
    let receipt = error.receipt().expect("it is about the record");
    assert_eq!((receipt.attempts(), receipt.broker()), (0, None));
    let stages = [receipt.drained(), receipt.written(), receipt.answered()];
    assert_eq!(stages, [None; 3]);
    assert_eq!(receipt.time_buffered(), None);
}

#[test]
fn receipt_of_a_record_without_an_answer_says_so() {
    let mut bench = Bench::new(
        SenderConfig {
            retries: 0,
            ..plain()
        },
        &[1],
    );
    let handle = bench.send(0);
    bench.turn();
    let request = bench.take();
    bench.time_out(request);
    bench.turn();
    let error = done(&handle).expect_err("nobody answered");
    let receipt = error.receipt().expect("it is about the record");
    assert_eq!((receipt.attempts(), receipt.broker()), (1, Some(1)));
    assert!(receipt.written().is_some() && receipt.answered().is_none());
}

#[test]
fn receipt_without_acks_ends_with_the_last_byte_written() {
    let mut bench = Bench::new(SenderConfig { acks: 0, ..plain() }, &[1]);
    let handle = bench.send(0);
    bench.turn();
    let request = bench.take();
    bench.client.answer(request, Outcome::Sent);
    bench.turn();
    let metadata = done(&handle).expect("it is written");
    assert!(metadata.receipt().written().is_some());
    assert_eq!(metadata.receipt().answered(), None);
}

#[test]
fn receipt_in_a_callback_is_that_of_the_handle() {
    let mut bench = Bench::new(plain(), &[1]);
    let seen = Arc::new(std::sync::Mutex::new(None));
    let told = Arc::clone(&seen);
    let callback = Callback::once(move |result: Result<&RecordMetadata, &DeliveryError>| {
        *told.lock().unwrap() = result.ok().map(|metadata| *metadata.receipt());
    });
    let handle = bench.send_with(0, Some(callback));
    bench.turn();
    let request = bench.take();
    bench.acknowledge(request, 0);
    bench.turn();
    let metadata = done(&handle).expect("it is acknowledged");
    assert_eq!(*seen.lock().unwrap(), Some(*metadata.receipt()));
}
