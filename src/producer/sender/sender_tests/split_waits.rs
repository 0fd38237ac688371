//! Who waits for a batch that goes on in pieces: flush, close, callbacks, handles.

use std::task::Waker;

use super::splitting::Told;
use super::*;

#[test]
fn flush_waits_for_all_the_pieces() {
    let mut bench = Bench::of_batches(plain());
    let (_handles, request) = bench.batch(0..4);
    let mut flush = bench.shared.accumulator.begin_flush();
    let first = bench.too_large(request);
    let second = bench.take_next();
    assert!(!flush.poll(Waker::noop()));
    bench.acknowledge(second, 2);
    bench.turn();
    assert!(!flush.poll(Waker::noop()));
    bench.acknowledge(first, 0);
    bench.turn();
    assert!(flush.poll(Waker::noop()));
}

#[test]
fn closing_by_force_ends_pieces_queued_and_on_their_way() {
    let mut bench = Bench::of_batches(config());
    let whole = bench.memory();
    let (handles, request) = bench.batch(0..4);
    let first = bench.too_large(request);
    bench.shared.begin_close();
    bench.shared.force_close();
    assert!(bench.sender.is_done());
    let ends: Vec<_> = handles.iter().map(|handle| failed(handle).1).collect();
    let (on_its_way, queued) = (Persistence::Unknown, Persistence::NotWritten);
    assert_eq!(ends, [on_its_way, on_its_way, queued, queued]);
    let kept = bench.shared.take_undelivered();
    assert_eq!(kept.len(), 2, "to be given back by close");
    drop((first, handles, kept));
    assert_eq!(bench.memory(), whole);
}

#[test]
fn callbacks_of_pieces_and_successors_run_in_the_order_of_sending() {
    let mut bench = Bench::of_batches(plain());
    let told = Told::default();
    for number in 0..4 {
        drop(bench.send_heard(number, &told));
    }
    bench.turn();
    let whole = bench.take();
    drop(bench.send_heard(4, &told));
    bench.turn();
    let later = bench.take();
    let first = bench.too_large(whole);
    bench.acknowledge(later, 50);
    bench.turn();
    assert_eq!(told.lock().expect("no panic").as_slice(), []);
    let second = bench.take_next();
    bench.acknowledge(second, 70);
    bench.turn();
    assert_eq!(told.lock().expect("no panic").as_slice(), []);
    bench.acknowledge(first, 60);
    bench.turn();
    let told = std::mem::take(&mut *told.lock().expect("no panic"));
    assert_eq!(told, [(0, 60), (1, 61), (2, 70), (3, 71), (4, 50)]);
}

#[test]
fn handle_that_waits_is_woken_by_its_own_piece() {
    struct Woken(std::sync::atomic::AtomicBool);

    impl std::task::Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, std::sync::atomic::Ordering::Relaxed);
        }
    }

    let mut bench = Bench::of_batches(plain());
    let (mut handles, request) = bench.batch(0..4);
    let wakers: Vec<Arc<Woken>> = handles
        .iter_mut()
        .map(|handle| {
            let woken = Arc::new(Woken(false.into()));
            let waker = Waker::from(Arc::clone(&woken));
            let mut context = std::task::Context::from_waker(&waker);
            assert!(std::pin::Pin::new(handle).poll(&mut context).is_pending());
            woken
        })
        .collect();
    let woken = || -> Vec<bool> {
        let is_woken = |it: &Arc<Woken>| it.0.load(std::sync::atomic::Ordering::Relaxed);
        wakers.iter().map(is_woken).collect()
    };
    let first = bench.too_large(request);
    let second = bench.take_next();
    bench.acknowledge(second, 2);
    bench.turn();
    assert_eq!(woken(), [false, false, true, true]);
    bench.acknowledge(first, 0);
    bench.turn();
    assert_eq!(woken(), [true; 4]);
}
