//! The pool's line: who takes, gives back, gives up, and closes, in every order.

use super::*;
use crate::interleaving::{EXHAUSTIVE, Model, Thread, spawn};
use crate::sync::Parker;
use crate::time::Time;

pub(crate) const MODELS: &[Model] = &[
    Model {
        name: "memory",
        property: "whoever waits for memory gets it, first come, first served, although others \
                   give up or change their mind; all of it comes back",
        run: everybody_in_the_line_is_served_in_order,
        preemptions: Some(2),
        percent: 100,
    },
    Model {
        name: "memory_close",
        property: "closing the pool ends every wait, and all memory comes back after it",
        run: close_ends_every_wait,
        preemptions: Some(3),
        percent: 100,
    },
    Model {
        name: "memory_share",
        property: "whoever waits for its topic's share gets it, first come, first served, and holds up \
                   nobody of another topic; all of it comes back",
        run: topics_wait_each_in_its_own_line,
        preemptions: Some(2),
        percent: 100,
    },
];

/// Who stands in the line, in order; that the pool's state is sound while nobody changes it.
fn line(pool: &BufferPool) -> Vec<u64> {
    let state = pool.state.lock();
    let line: Vec<u64> = state.line.iter().map(|waiter| waiter.ticket).collect();
    assert!(line.is_sorted(), "the line is out of order: {line:?}");
    if let Some(head) = state.line.front() {
        let late = state.granted.iter().find(|it| it.ticket > head.ticket);
        assert!(late.is_none(), "{late:?} overtook {}", head.ticket);
        assert!(
            head.needed > state.available || state.closed,
            "the head of the line sleeps although {} are there",
            state.available
        );
    }
    line
}

fn assert_not_past(ahead: &[u64], pool: &BufferPool) {
    let overtaken = line(pool).into_iter().find(|id| ahead.contains(id));
    assert_eq!(overtaken, None, "stood in the line before");
}

fn assert_whole(pool: &BufferPool) {
    let state = pool.state.lock();
    assert_eq!(state.available, pool.total);
    assert!(state.line.is_empty() && state.granted.is_empty());
}

/// What a customer does that has to wait.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Patience {
    Waits,
    /// `max.block.ms` is over at once: the ticket is dropped.
    GivesUp,
    /// Asks for another amount when it is called.
    AsksFor(usize),
}

/// Takes memory and gives it back; whether it got any.
fn take(pool: &Arc<BufferPool>, mut bytes: usize, patience: Patience) -> bool {
    let ahead = line(pool);
    let (parker, mut ticket) = (Parker::new(), MemoryTicket::default());
    let waker = parker.waker();
    loop {
        match pool.allocate(bytes, 0, &mut ticket, Some(&waker)) {
            Allocation::Chunks { chunks, .. } => {
                assert_not_past(&ahead, pool);
                drop(chunks);
                return true;
            }
            Allocation::Blocked | Allocation::BlockedByShare if patience == Patience::GivesUp => {
                return false;
            }
            Allocation::Blocked | Allocation::BlockedByShare => {
                line(pool);
                parker.park_until(&Time::default(), None);
            }
            Allocation::Closed => return false,
            Allocation::TooLarge => panic!("the pool is large enough"),
        }
        if let Patience::AsksFor(other) = patience {
            bytes = other;
        }
    }
}

fn customer(pool: &Arc<BufferPool>, bytes: usize, patience: Patience) -> Thread<bool> {
    let pool = Arc::clone(pool);
    spawn(move || take(&pool, bytes, patience))
}

/// One that holds a byte, of two, while the others come.
fn held() -> (Arc<BufferPool>, PooledBuffer) {
    let pool = Arc::new(BufferPool::new(2, 1));
    let held = pool.try_chunk().expect("the pool is full");
    (pool, held)
}

fn everybody_in_the_line_is_served_in_order() {
    let (pool, held) = held();
    let mut patient = vec![customer(&pool, 2, Patience::Waits)];
    let impatient = customer(&pool, 2, Patience::GivesUp);
    if EXHAUSTIVE {
        patient.push(customer(&pool, 1, Patience::Waits));
    } else {
        patient.push(customer(&pool, 1, Patience::AsksFor(2)));
        patient.push(customer(&pool, 2, Patience::AsksFor(1)));
        patient.push(customer(&pool, 1, Patience::Waits));
    }
    drop(held);
    // An open batch that wants another chunk, or to count callbacks, does not pass the line.
    let ahead = line(&pool);
    if let Some(chunk) = pool.try_chunk() {
        assert_not_past(&ahead, &pool);
        drop(chunk);
    }
    let ahead = line(&pool);
    if pool.try_charge(1) {
        assert_not_past(&ahead, &pool);
        pool.release(1);
    }
    assert!(patient.into_iter().all(|customer| customer.join()));
    impatient.join();
    assert!(!pool.has_waiters());
    assert_whole(&pool);
}

fn close_ends_every_wait() {
    let (pool, held) = held();
    let closes = {
        let pool = Arc::clone(&pool);
        spawn(move || pool.close())
    };
    let others = [
        customer(&pool, 2, Patience::Waits),
        customer(&pool, 1, Patience::Waits),
    ];
    // The close alone ends them: no memory comes back before.
    others.into_iter().for_each(|other| {
        other.join();
    });
    closes.join();
    drop(held);
    assert!(!take(&pool, 1, Patience::Waits), "it is closed");
    assert_whole(&pool);
}

/// Takes memory of a topic and gives it back.
fn take_of(pool: &Arc<BufferPool>, share: u32, patience: Patience) {
    let (parker, mut ticket) = (Parker::new(), MemoryTicket::default());
    let waker = parker.waker();
    loop {
        match pool.allocate_for(ShareId(share), (1, 0), &mut ticket, Some(&waker)) {
            Allocation::Chunks { chunks, .. } => return drop(chunks),
            Allocation::Blocked | Allocation::BlockedByShare if patience == Patience::GivesUp => {
                return;
            }
            Allocation::Blocked | Allocation::BlockedByShare => {
                parker.park_until(&Time::default(), None);
            }
            Allocation::TooLarge | Allocation::Closed => panic!("it is open and large enough"),
        }
    }
}

/// One topic has its share, and gives it back only when the other's are through.
fn topics_wait_each_in_its_own_line() {
    let pool = Arc::new(BufferPool::with_share(2, 1, Some(1)));
    let dead = pool.try_chunk_for(ShareId(0)).expect("the pool is full");
    let of = |share, patience| {
        let pool = Arc::clone(&pool);
        spawn(move || take_of(&pool, share, patience))
    };
    let mut of_dead = vec![of(0, Patience::Waits)];
    let impatient = of(0, Patience::GivesUp);
    if !EXHAUSTIVE {
        of_dead.push(of(0, Patience::Waits));
    }
    let others = [of(1, Patience::Waits)];
    others.into_iter().for_each(|other| other.join());
    take_of(&pool, 1, Patience::Waits);
    drop(dead);
    of_dead.into_iter().for_each(|customer| customer.join());
    impatient.join();
    assert!(!pool.has_waiters() && !pool.has_share_waiters());
    assert_whole(&pool);
    assert!(
        pool.try_chunk_for(ShareId(0)).is_some(),
        "its quota is back"
    );
}
