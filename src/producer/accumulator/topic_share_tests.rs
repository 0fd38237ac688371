//! A topic's share: who waits in which line, and that quota and memory come back from everywhere.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use super::super::buffer_pool::{Allocation, BufferPool, MemoryTicket, PooledBuffer};
use super::*;
use crate::random::Random;

const DEAD: ShareId = ShareId(0);
const ALIVE: ShareId = ShareId(1);
const CHUNK: usize = 16;

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

/// Four chunks, two at most for each topic.
fn pool() -> Arc<BufferPool> {
    Arc::new(BufferPool::with_share(4 * CHUNK, CHUNK, Some(2 * CHUNK)))
}

/// How a try ended, in a word.
#[derive(Debug, PartialEq, Eq)]
enum Came {
    Got,
    NoMemory,
    NoShare,
    TooLarge,
    Closed,
}

/// Asks for so many chunks.
fn ask(
    pool: &Arc<BufferPool>,
    share: ShareId,
    chunks: usize,
    ticket: &mut MemoryTicket,
    waker: Option<&Waker>,
) -> (Came, Vec<PooledBuffer>) {
    match pool.allocate_for(share, (chunks * CHUNK, 0), ticket, waker) {
        Allocation::Chunks { chunks, .. } => (Came::Got, chunks),
        Allocation::Blocked => (Came::NoMemory, Vec::new()),
        Allocation::BlockedByShare => (Came::NoShare, Vec::new()),
        Allocation::TooLarge => (Came::TooLarge, Vec::new()),
        Allocation::Closed => (Came::Closed, Vec::new()),
    }
}

fn take(pool: &Arc<BufferPool>, share: ShareId, chunks: usize) -> Vec<PooledBuffer> {
    let (came, taken) = ask(pool, share, chunks, &mut MemoryTicket::default(), None);
    assert_eq!(came, Came::Got);
    taken
}

#[test]
fn topic_that_has_its_share_waits_and_others_do_not() {
    let pool = pool();
    let _dead = take(&pool, DEAD, 2);
    let (_, waker) = counted();
    let mut waits = MemoryTicket::default();
    assert_eq!(
        ask(&pool, DEAD, 1, &mut waits, Some(&waker)).0,
        Came::NoShare
    );
    assert!(pool.try_chunk_for(DEAD).is_none(), "an open batch neither");
    assert!(!pool.try_charge_for(DEAD, 1), "nor its callbacks");
    assert!(!pool.has_waiters(), "it does not head the global line");
    assert!(pool.has_waiters_of(DEAD) && !pool.has_waiters_of(ALIVE));
    let alive = take(&pool, ALIVE, 1);
    let more = pool.try_chunk_for(ALIVE);
    assert!(more.is_some());
    drop((alive, more));
    assert!(pool.try_charge_for(ALIVE, 3));
    pool.release_for(ALIVE, 3);
    assert_eq!(pool.available(), 2 * CHUNK);
}

#[test]
fn quota_that_comes_back_is_for_the_first_of_the_topics_line() {
    let pool = pool();
    let mut dead = take(&pool, DEAD, 2);
    let ((first, first_waker), (second, second_waker)) = (counted(), counted());
    let (mut one, mut two) = (MemoryTicket::default(), MemoryTicket::default());
    assert_eq!(
        ask(&pool, DEAD, 2, &mut one, Some(&first_waker)).0,
        Came::NoShare
    );
    assert_eq!(
        ask(&pool, DEAD, 1, &mut two, Some(&second_waker)).0,
        Came::NoShare
    );
    dead.pop();
    let calls = || {
        (
            first.0.load(Ordering::Relaxed),
            second.0.load(Ordering::Relaxed),
        )
    };
    assert_eq!(calls(), (0, 0), "the small one does not overtake");
    assert!(pool.try_chunk_for(DEAD).is_none(), "nor does an open batch");
    dead.pop();
    assert_eq!(calls(), (1, 0));
    let (came, got) = ask(&pool, DEAD, 2, &mut one, Some(&first_waker));
    assert_eq!((came, got.len()), (Came::Got, 2));
    drop(got);
    assert_eq!(calls(), (1, 1));
    assert_eq!(ask(&pool, DEAD, 1, &mut two, None).0, Came::Got);
    assert_eq!(pool.available(), 4 * CHUNK);
}

#[test]
fn quota_comes_before_the_place_in_the_pools_line() {
    let pool = Arc::new(BufferPool::with_share(3 * CHUNK, CHUNK, Some(2 * CHUNK)));
    let mut dead = take(&pool, DEAD, 2);
    let mut alive = take(&pool, ALIVE, 1);
    let ((early, early_waker), (late, late_waker)) = (counted(), counted());
    let (mut of_dead, mut of_alive) = (MemoryTicket::default(), MemoryTicket::default());
    assert_eq!(
        ask(&pool, DEAD, 1, &mut of_dead, Some(&early_waker)).0,
        Came::NoShare
    );
    assert_eq!(
        ask(&pool, ALIVE, 1, &mut of_alive, Some(&late_waker)).0,
        Came::NoMemory
    );
    alive.pop();
    let calls = || {
        (
            early.0.load(Ordering::Relaxed),
            late.0.load(Ordering::Relaxed),
        )
    };
    assert_eq!(
        calls(),
        (0, 1),
        "who lacked quota came first, and stands in no one's way"
    );
    dead.pop();
    assert_eq!(calls(), (1, 1));
    drop((dead, of_dead, of_alive));
    assert_eq!(pool.available(), 3 * CHUNK);
}

#[test]
fn ticket_dropped_in_any_line_gives_its_quota_back() {
    for place in ["topic", "pool", "granted"] {
        let pool = Arc::new(BufferPool::with_share(
            2 * CHUNK,
            CHUNK,
            Some(2 * CHUNK - 1),
        ));
        let (held, by) = match place {
            "topic" => (take(&pool, DEAD, 1), DEAD),
            _ => (take(&pool, ALIVE, 1), ALIVE),
        };
        let other = (place != "topic").then(|| take(&pool, ShareId(2), 1));
        let (woken, waker) = counted();
        let (mut gives_up, mut next) = (MemoryTicket::default(), MemoryTicket::default());
        let came = ask(&pool, DEAD, 1, &mut gives_up, Some(&waker)).0;
        assert_eq!(came == Came::NoShare, by == DEAD, "{place}");
        let (_, next_waker) = counted();
        assert_eq!(
            ask(&pool, DEAD, 1, &mut next, Some(&next_waker)).0,
            Came::NoShare
        );
        let mut held = Some(held);
        if place == "granted" {
            drop(held.take());
            assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        }
        drop(gives_up);
        drop((held, other));
        assert_eq!(ask(&pool, DEAD, 1, &mut next, None).0, Came::Got, "{place}");
        assert_eq!(pool.available(), 2 * CHUNK, "{place}");
        assert!(!pool.has_waiters() && !pool.has_share_waiters(), "{place}");
    }
}

#[test]
fn need_that_outgrows_the_quota_waits_for_that_first_and_as_the_next() {
    let pool = pool();
    let mut held = take(&pool, DEAD, 1);
    let alive = [take(&pool, ALIVE, 2), take(&pool, ShareId(2), 1)];
    let ((_, waker), (behind, behind_waker)) = (counted(), counted());
    let (mut grows, mut other) = (MemoryTicket::default(), MemoryTicket::default());
    assert_eq!(
        ask(&pool, DEAD, 1, &mut grows, Some(&waker)).0,
        Came::NoMemory
    );
    assert_eq!(
        ask(&pool, DEAD, 1, &mut other, Some(&behind_waker)).0,
        Came::NoShare
    );
    assert_eq!(
        ask(&pool, DEAD, 2, &mut grows, Some(&waker)).0,
        Came::NoShare
    );
    assert!(!pool.has_waiters());
    drop(alive);
    assert_eq!(behind.0.load(Ordering::Relaxed), 0, "it is still behind");
    held.clear();
    assert_eq!(ask(&pool, DEAD, 2, &mut grows, None).0, Came::Got);
    assert_eq!(behind.0.load(Ordering::Relaxed), 1);
    drop(other);
    assert_eq!(pool.available(), 4 * CHUNK);
}

#[test]
fn need_beyond_the_share_is_refused_and_a_charge_beyond_it_is_left_out() {
    let pool = pool();
    let mut ticket = MemoryTicket::default();
    assert_eq!(ask(&pool, DEAD, 3, &mut ticket, None).0, Came::TooLarge);
    let wanted = (2 * CHUNK, 1);
    let Allocation::Chunks { charged, .. } = pool.allocate_for(DEAD, wanted, &mut ticket, None)
    else {
        panic!("what can never be met would wait for ever")
    };
    assert_eq!(charged, 0);
}

#[test]
fn close_wakes_every_line_and_all_quota_comes_back() {
    let pool = pool();
    let held = [
        take(&pool, DEAD, 2),
        take(&pool, ALIVE, 1),
        take(&pool, ShareId(2), 1),
    ];
    let ((of_topic, topic_waker), (of_pool, pool_waker)) = (counted(), counted());
    let (mut one, mut two) = (MemoryTicket::default(), MemoryTicket::default());
    assert_eq!(
        ask(&pool, DEAD, 1, &mut one, Some(&topic_waker)).0,
        Came::NoShare
    );
    assert_eq!(
        ask(&pool, ALIVE, 1, &mut two, Some(&pool_waker)).0,
        Came::NoMemory
    );
    pool.close();
    assert_eq!(of_topic.0.load(Ordering::Relaxed), 1);
    assert_eq!(of_pool.0.load(Ordering::Relaxed), 1);
    assert_eq!(
        ask(&pool, DEAD, 1, &mut one, Some(&topic_waker)).0,
        Came::Closed
    );
    drop((held, one, two));
    assert_eq!(pool.available(), 4 * CHUNK);
    assert!(!pool.has_waiters() && !pool.has_share_waiters());
}

#[test]
fn without_a_share_nothing_is_counted() {
    let mut shares = TopicShares::new(None);
    assert!(shares.try_hold(ShareId(7), usize::MAX));
    shares.give_back(ShareId(7), 1);
    assert!(shares.topics.is_empty());
}

/// Anything in any order: nobody has more than its share, whoever could have room has it, nothing is
/// lost.
#[test]
fn random_takers_keep_every_bound() {
    const TOPICS: usize = 3;
    for seed in 0..200 {
        let mut random = Random::seeded(seed);
        let pool = pool();
        let mut held: BTreeMap<u32, Vec<PooledBuffer>> = BTreeMap::new();
        let mut waiting: Vec<(ShareId, usize, MemoryTicket)> = Vec::new();
        for _ in 0..300 {
            let share = ShareId(u32::try_from(random.below(TOPICS)).unwrap());
            match random.below(5) {
                0 | 1 => {
                    let (chunks, mut ticket) = (1 + random.below(2), MemoryTicket::default());
                    let (came, got) = ask(&pool, share, chunks, &mut ticket, Some(Waker::noop()));
                    held.entry(share.0).or_default().extend(got);
                    if came != Came::Got {
                        waiting.push((share, chunks, ticket));
                    }
                }
                2 => drop(held.entry(share.0).or_default().pop()),
                3 if !waiting.is_empty() => {
                    let at = random.below(waiting.len());
                    let (share, mut chunks, mut ticket) = waiting.remove(at);
                    if random.below(3) == 0 {
                        chunks = 1 + random.below(2);
                    }
                    let (came, got) = ask(&pool, share, chunks, &mut ticket, Some(Waker::noop()));
                    held.entry(share.0).or_default().extend(got);
                    if came != Came::Got {
                        waiting.insert(at, (share, chunks, ticket));
                    }
                }
                3 => {}
                _ if waiting.is_empty() => {}
                _ => drop(waiting.remove(random.below(waiting.len()))),
            }
            assert!(held.values().all(|chunks| chunks.len() <= 2), "seed {seed}");
        }
        drop(held);
        while !waiting.is_empty() {
            let before = waiting.len();
            waiting.retain_mut(|(share, chunks, ticket)| {
                ask(&pool, *share, *chunks, ticket, Some(Waker::noop())).0 != Came::Got
            });
            assert!(
                waiting.len() < before,
                "seed {seed}: somebody waits for nothing"
            );
        }
        assert_eq!(pool.available(), 4 * CHUNK, "seed {seed}");
        assert!(
            take(&pool, DEAD, 2).len() == 2,
            "seed {seed}: its quota is back"
        );
    }
}
