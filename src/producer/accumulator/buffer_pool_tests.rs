//! The pool: reuse, the line, what comes back, and that nothing is ever lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use super::*;

#[derive(Default)]
struct Counter(AtomicUsize);

impl Wake for Counter {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn counted() -> (Arc<Counter>, Waker) {
    let counter = Arc::new(Counter::default());
    (Arc::clone(&counter), Waker::from(counter))
}

fn pool(total: usize, chunk: usize) -> Arc<BufferPool> {
    Arc::new(BufferPool::new(total, chunk))
}

fn take(pool: &Arc<BufferPool>, bytes: usize) -> Vec<PooledBuffer> {
    match pool.allocate(bytes, 0, &mut MemoryTicket::default(), None) {
        Allocation::Chunks { chunks, .. } => chunks,
        other => panic!("{other:?}"),
    }
}

fn blocked(allocation: &Allocation) -> bool {
    matches!(allocation, Allocation::Blocked)
}

#[test]
fn chunk_comes_back_when_dropped_and_is_used_again() {
    let pool = pool(64, 16);
    let chunks = take(&pool, 16);
    let address = chunks[0].memory.as_ptr();
    assert_eq!(pool.available(), 48);
    drop(chunks);
    assert_eq!(pool.available(), 64);
    assert_eq!(take(&pool, 16)[0].memory.as_ptr(), address);
}

#[test]
fn large_request_gets_many_chunks() {
    let pool = pool(64, 16);
    assert_eq!(take(&pool, 33).len(), 3);
    assert_eq!(take(&pool, 0).len(), 1);
}

#[test]
fn without_waker_a_full_pool_refuses_and_keeps_no_place() {
    let pool = pool(32, 16);
    let held = take(&pool, 32);
    let mut ticket = MemoryTicket::default();
    assert!(blocked(&pool.allocate(16, 0, &mut ticket, None)));
    assert!(!pool.has_waiters());
    drop(held);
    assert_eq!(pool.available(), 32);
}

#[test]
fn line_is_served_in_order_and_a_small_request_does_not_overtake() {
    let pool = pool(64, 16);
    let mut held = take(&pool, 64);
    let ((first, first_waker), (second, second_waker)) = (counted(), counted());
    let (mut large, mut small) = (MemoryTicket::default(), MemoryTicket::default());
    assert!(blocked(&pool.allocate(
        48,
        0,
        &mut large,
        Some(&first_waker)
    )));
    assert!(blocked(&pool.allocate(
        16,
        0,
        &mut small,
        Some(&second_waker)
    )));
    held.pop();
    assert!(
        pool.try_chunk().is_none(),
        "a newcomer must not overtake the line"
    );
    held.pop();
    assert_eq!(
        second.0.load(Ordering::Relaxed),
        0,
        "the small one waits behind the large one"
    );
    held.pop();
    assert_eq!(first.0.load(Ordering::Relaxed), 1);
    let Allocation::Chunks { chunks: got, .. } =
        pool.allocate(48, 0, &mut large, Some(&first_waker))
    else {
        panic!()
    };
    held.pop();
    assert_eq!(second.0.load(Ordering::Relaxed), 1);
    drop((got, small));
    assert_eq!(pool.available(), 64);
}

/// Both might be asleep for good otherwise: nobody has a chunk that would come back.
#[test]
fn granted_ticket_that_asks_for_more_lets_the_next_one_in() {
    let pool = pool(32, 16);
    let held = take(&pool, 32);
    let ((_, grows_waker), (waits, waits_waker)) = (counted(), counted());
    let (mut grows, mut waiting) = (MemoryTicket::default(), MemoryTicket::default());
    assert!(blocked(&pool.allocate(
        16,
        0,
        &mut grows,
        Some(&grows_waker)
    )));
    assert!(blocked(&pool.allocate(
        32,
        0,
        &mut waiting,
        Some(&waits_waker)
    )));
    drop(held);
    assert_eq!(waits.0.load(Ordering::Relaxed), 0, "16 of 32 are granted");
    assert!(blocked(&pool.allocate(
        32,
        0,
        &mut grows,
        Some(&grows_waker)
    )));
    assert_eq!(waits.0.load(Ordering::Relaxed), 1, "all 32 are free again");
}

#[test]
fn ticket_that_asks_for_less_gets_what_is_there() {
    let pool = pool(32, 16);
    let held = take(&pool, 16);
    let ((_, first_waker), (second, second_waker)) = (counted(), counted());
    let (mut first, mut last) = (MemoryTicket::default(), MemoryTicket::default());
    assert!(blocked(&pool.allocate(
        32,
        0,
        &mut first,
        Some(&first_waker)
    )));
    assert!(blocked(&pool.allocate(
        16,
        0,
        &mut last,
        Some(&second_waker)
    )));
    let got = pool.allocate(16, 0, &mut first, Some(&first_waker));
    assert!(matches!(got, Allocation::Chunks { .. }), "{got:?}");
    drop(held);
    assert_eq!(second.0.load(Ordering::Relaxed), 1);
    drop((got, first, last));
    assert_eq!(pool.available(), 32);
}

#[test]
fn ticket_dropped_in_the_line_lets_the_next_one_in() {
    let pool = pool(32, 16);
    let mut held = take(&pool, 32);
    let ((_, waker), (next, next_waker)) = (counted(), counted());
    let (mut large, mut small) = (MemoryTicket::default(), MemoryTicket::default());
    assert!(blocked(&pool.allocate(32, 0, &mut large, Some(&waker))));
    assert!(blocked(&pool.allocate(
        16,
        0,
        &mut small,
        Some(&next_waker)
    )));
    held.pop();
    drop(large);
    assert_eq!(next.0.load(Ordering::Relaxed), 1);
    drop((held, small));
    assert_eq!(pool.available(), 32);
}

#[test]
fn ticket_dropped_after_its_grant_gives_it_back() {
    let pool = pool(16, 16);
    let held = take(&pool, 16);
    let (woken, waker) = counted();
    let mut ticket = MemoryTicket::default();
    assert!(blocked(&pool.allocate(16, 0, &mut ticket, Some(&waker))));
    drop(held);
    assert_eq!((woken.0.load(Ordering::Relaxed), pool.available()), (1, 0));
    drop(ticket);
    assert_eq!(pool.available(), 16);
}

#[test]
fn grant_is_settled_when_the_need_changed() {
    let pool = pool(64, 16);
    let held = take(&pool, 64);
    let (_, waker) = counted();
    let mut ticket = MemoryTicket::default();
    assert!(blocked(&pool.allocate(48, 0, &mut ticket, Some(&waker))));
    drop(held);
    let Allocation::Chunks { chunks: got, .. } = pool.allocate(16, 0, &mut ticket, Some(&waker))
    else {
        panic!()
    };
    assert_eq!((got.len(), pool.available()), (1, 48));
}

#[test]
fn close_wakes_the_line_and_refuses_but_takes_chunks_back() {
    let pool = pool(16, 16);
    let held = take(&pool, 16);
    let (woken, waker) = counted();
    let mut ticket = MemoryTicket::default();
    assert!(blocked(&pool.allocate(16, 0, &mut ticket, Some(&waker))));
    pool.close();
    assert_eq!(woken.0.load(Ordering::Relaxed), 1);
    assert!(matches!(
        pool.allocate(16, 0, &mut ticket, Some(&waker)),
        Allocation::Closed
    ));
    drop(held);
    assert_eq!(pool.available(), 16);
}

#[test]
fn charge_counts_and_comes_back() {
    let pool = pool(32, 16);
    assert!(pool.try_charge(20));
    assert!(!pool.try_charge(20));
    assert!(pool.try_chunk().is_none());
    pool.release(20);
    assert_eq!(pool.available(), 32);
}

#[test]
fn need_beyond_the_total_is_refused_and_a_charge_beyond_it_is_left_out() {
    let pool = pool(40, 16);
    let mut ticket = MemoryTicket::default();
    assert!(matches!(
        pool.allocate(33, 0, &mut ticket, None),
        Allocation::TooLarge
    ));
    let Allocation::Chunks { chunks, charged } = pool.allocate(32, 100, &mut ticket, None) else {
        panic!("a request that can never be met would wait for ever")
    };
    assert_eq!((chunks.len(), charged), (2, 0));
    drop(chunks);
    assert_eq!(pool.available(), 40);
}

#[test]
fn chunk_used_again_is_empty_and_only_chunks_are_kept() {
    let pool = pool(64, 16);
    let mut chunks = take(&pool, 16);
    chunks[0].as_mut().extend_from_slice(&[1, 2, 3]);
    drop(chunks);
    let chunks = take(&pool, 33);
    assert!(chunks.iter().all(|chunk| chunk.as_ref().is_empty()));
    assert!(chunks.iter().all(|chunk| chunk.memory.capacity() >= 16));
    drop(chunks);
    assert_eq!(pool.available(), 64);
    assert_eq!(pool.state.lock().free.len(), 3);
}

#[test]
fn tickets_that_all_give_up_leave_an_empty_line_and_all_memory() {
    let pool = pool(32, 16);
    let held = take(&pool, 16);
    let ((_, first_waker), (_, second_waker)) = (counted(), counted());
    let (mut first, mut second) = (MemoryTicket::default(), MemoryTicket::default());
    assert!(blocked(&pool.allocate(
        32,
        0,
        &mut first,
        Some(&first_waker)
    )));
    assert!(blocked(&pool.allocate(
        32,
        0,
        &mut second,
        Some(&second_waker)
    )));
    assert!(pool.has_waiters());
    drop(first);
    assert!(pool.has_waiters(), "the other one still waits");
    drop(second);
    assert!(!pool.has_waiters());
    assert_eq!(pool.available(), 16);
    drop((take(&pool, 16), held));
    assert_eq!(pool.available(), 32);
}

#[test]
fn memory_beyond_what_32_bits_count_is_counted() {
    let pool = pool(20_000_000_000, 16);
    assert!(pool.try_charge(2_000_000_000));
    assert_eq!(pool.available(), 18_000_000_000);
    assert!(pool.try_charge(17_000_000_000));
    assert!(!pool.try_charge(2_000_000_000), "there is one left");
    pool.release(19_000_000_000);
    assert_eq!(pool.available(), 20_000_000_000);
}

#[test]
fn close_wakes_everybody_in_the_line() {
    let pool = pool(16, 16);
    let held = take(&pool, 16);
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let (woken, waker) = counted();
            let mut ticket = MemoryTicket::default();
            assert!(blocked(&pool.allocate(16, 0, &mut ticket, Some(&waker))));
            (woken, ticket)
        })
        .collect();
    pool.close();
    for (woken, mut ticket) in waiting {
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        let again = pool.allocate(16, 0, &mut ticket, Some(Waker::noop()));
        assert!(matches!(again, Allocation::Closed), "{again:?}");
    }
    assert!(!pool.has_waiters());
    drop(held);
    assert_eq!(pool.available(), 16);
}

#[cfg(feature = "planted")]
#[test]
fn r62_ticket_that_is_dropped_keeps_its_place_in_the_line() {
    crate::planted::assert_live(Plant::R62, || {
        let pool = pool(16, 16);
        let held = take(&pool, 16);
        let (_, waker) = counted();
        let mut gives_up = MemoryTicket::default();
        assert!(blocked(&pool.allocate(16, 0, &mut gives_up, Some(&waker))));
        drop(gives_up);
        drop(held);
        blocked(&pool.allocate(16, 0, &mut MemoryTicket::default(), None))
    });
}
