//! Callbacks of one partition run in the order of sending, whatever comes when.

use std::sync::Mutex;

use super::*;

/// What callbacks were told, in their order.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<(i32, bool)>>>);

impl Told {
    fn callback(&self, number: i32) -> Callback<'static> {
        let told = Arc::clone(&self.0);
        Callback::once(move |result| {
            let told = &mut *told.lock().expect("no panic");
            told.push((number, result.is_ok()));
        })
    }

    fn take(&self) -> Vec<(i32, bool)> {
        std::mem::take(&mut *self.0.lock().expect("no panic"))
    }
}

/// One batch for each, all on their way.
fn on_their_way(bench: &mut Bench, told: &Told, numbers: std::ops::Range<i32>) -> Vec<Request> {
    for number in numbers.clone() {
        drop(bench.send_with(0, Some(told.callback(number))));
        bench.turn();
    }
    numbers.map(|_| bench.take()).collect()
}

#[test]
fn callback_of_an_acknowledged_batch_waits_for_those_of_an_earlier_one_that_is_sent_again() {
    let (mut bench, told) = (Bench::idempotent(&[1]), Told::default());
    let [first, second, third] = on_their_way(&mut bench, &told, 0..3).try_into().unwrap();
    bench.refuse(first, 7);
    bench.acknowledge(second, 2);
    bench.acknowledge(third, 3);
    bench.turn();
    assert_eq!(told.take(), [], "the first has no outcome yet");
    bench.next_attempt();
    let again = bench.take();
    bench.acknowledge(again, 1);
    bench.turn();
    assert_eq!(told.take(), [(0, true), (1, true), (2, true)]);
    assert_eq!(bench.shared.accumulator.incomplete_batches(), 0);
}

#[test]
fn callback_of_a_failed_batch_waits_for_those_of_an_earlier_one_without_an_answer() {
    let (mut bench, told) = (Bench::idempotent(&[1]), Told::default());
    let [first, second] = on_their_way(&mut bench, &told, 0..2).try_into().unwrap();
    bench.refuse(second, 87);
    bench.turn();
    assert_eq!(told.take(), []);
    bench.acknowledge(first, 1);
    bench.turn();
    assert_eq!(told.take(), [(0, true), (1, false)]);
}

#[test]
fn acknowledged_batch_that_waits_to_tell_keeps_none_of_its_bytes() {
    let (mut bench, told) = (Bench::idempotent(&[1]), Told::default());
    let before = bench.shared.accumulator.available_memory();
    let [first, second] = on_their_way(&mut bench, &told, 0..2).try_into().unwrap();
    let both = before - bench.shared.accumulator.available_memory();
    bench.acknowledge(second, 2);
    bench.turn();
    let one = before - bench.shared.accumulator.available_memory();
    assert!(one < both, "{one} of {both} bytes are still counted");
    drop(first);
}

#[test]
fn batch_without_callbacks_waits_for_nobody_and_nobody_for_it() {
    let (mut bench, told) = (Bench::idempotent(&[1]), Told::default());
    let unheard = bench.send(0);
    bench.turn();
    let _kept = bench.take();
    let [heard] = on_their_way(&mut bench, &told, 0..1).try_into().unwrap();
    bench.acknowledge(heard, 2);
    bench.turn();
    assert_eq!(told.take(), [(0, true)], "nobody hears of the one before");
    assert!(!unheard.is_done());

    let [heard] = on_their_way(&mut bench, &told, 1..2).try_into().unwrap();
    let last = bench.send(0);
    bench.turn();
    let request = bench.take();
    bench.acknowledge(request, 4);
    bench.turn();
    assert!(last.is_done() && told.take().is_empty());
    drop(heard);
}

#[test]
fn callbacks_of_another_partition_do_not_wait() {
    let (mut bench, told) = (Bench::new(plain(), &[1, 2]), Told::default());
    drop(bench.send_with(0, Some(told.callback(0))));
    drop(bench.send_with(1, Some(told.callback(1))));
    bench.turn();
    let (_first, second) = (bench.take(), bench.take());
    bench.acknowledge(second, 0);
    bench.turn();
    assert_eq!(told.take(), [(1, true)]);
}

#[test]
fn forced_close_tells_in_order_who_waited_to_be_told_and_who_is_given_up() {
    let (mut bench, told) = (Bench::idempotent(&[1]), Told::default());
    let mut requests = on_their_way(&mut bench, &told, 0..3);
    bench.acknowledge(requests.remove(1), 2);
    bench.turn();
    bench.shared.force_close();
    assert!(bench.sender.is_done());
    assert_eq!(told.take(), [(0, false), (1, true), (2, false)]);
}

#[test]
fn panic_of_the_sender_tells_who_waited_to_be_told() {
    let (mut bench, told) = (Bench::idempotent(&[1]), Told::default());
    let mut requests = on_their_way(&mut bench, &told, 0..2);
    bench.acknowledge(requests.remove(1), 2);
    bench.turn();
    bench.client.at_poll(|| panic!("on purpose"));
    bench.sender.run();
    assert_eq!(told.take(), [(0, false), (1, true)]);
}

#[test]
fn expiry_of_an_earlier_batch_lets_those_that_waited_for_it_be_told() {
    let (mut bench, told) = (Bench::idempotent(&[1]), Told::default());
    let mut requests = on_their_way(&mut bench, &told, 0..2);
    bench.acknowledge(requests.remove(1), 2);
    bench.turn();
    bench.advance(120_000);
    bench.turn();
    assert_eq!(told.take(), [(0, false), (1, true)]);
}
