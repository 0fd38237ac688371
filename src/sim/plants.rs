//! Known bugs planted again, one at a time, and how many seeds it takes until the oracle sees each.
//!
//! Thread: one worker a core, one plant each at a time (what is planted is the thread's own).
//! Locks: none.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;

use super::attempt::attempt;
use super::campaign::{EVERY, Order, compare, draw};
use super::watchdog::Watchdog;
use crate::planted::{Plant, set_planted};

/// From where seeds are counted, and how many are tried from each.
#[derive(Debug, Clone)]
pub(super) struct Search {
    pub(super) starts: Vec<u64>,
    pub(super) most: u64,
    pub(super) plants: Vec<Plant>,
}

/// What came of one plant from one start.
#[derive(Debug, Clone)]
pub(super) struct Find {
    /// The first seed that fails with the plant and not without it.
    pub(super) seed: u64,
    /// Which it was, counted from 1.
    pub(super) needed: u64,
    pub(super) property: &'static str,
}

/// One line of the table: a plant, and from each start what was found.
pub(super) type Row = (Plant, Vec<Option<Find>>);

/// What a worker tells.
enum Message {
    Begins(Plant, u64),
    /// With its place among the plants.
    Done(usize, Row),
}

/// Looks for all of them; `told` of each as soon as it is known. A seed that does not end is told by
/// its number, and ends the process.
pub(super) fn search(search: &Search, order: &Order, mut told: impl FnMut(&Row)) -> Vec<Row> {
    let next = AtomicUsize::new(0);
    let (sender, receiver) = mpsc::channel();
    let mut rows: Vec<(usize, Row)> = Vec::new();
    thread::scope(|scope| {
        for worker in 0..order.threads.max(1) {
            let (sender, next) = (sender.clone(), &next);
            let job = move || work(worker, (search, order), next, &sender);
            thread::Builder::new()
                .name(format!("sim-{worker}"))
                .spawn_scoped(scope, job)
                .expect("a thread can be started");
        }
        drop(sender);
        let mut watchdog = Watchdog::new(order.longest_seed);
        loop {
            match receiver.recv_timeout(EVERY) {
                Ok((worker, Message::Begins(plant, seed))) => {
                    watchdog.begins(worker, format!("SIM_PLANT={plant} SIM_SEED={seed}"));
                }
                Ok((worker, Message::Done(index, row))) => {
                    watchdog.ends(worker);
                    told(&row);
                    rows.push((index, row));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            watchdog.look();
        }
    });
    rows.sort_by_key(|(index, _)| *index);
    rows.into_iter().map(|(_, row)| row).collect()
}

/// One plant after the other that nobody looks for yet.
fn work(
    worker: usize,
    (search, order): (&Search, &Order),
    next: &AtomicUsize,
    sender: &Sender<(usize, Message)>,
) {
    loop {
        let index = next.fetch_add(1, Ordering::Relaxed);
        let Some(plant) = search.plants.get(index).copied() else {
            return;
        };
        let begins = |seed| drop(sender.send((worker, Message::Begins(plant, seed))));
        let finds = search
            .starts
            .iter()
            .map(|start| find(plant, (*start, search.most), order.all, begins))
            .collect();
        drop(sender.send((worker, Message::Done(index, (plant, finds)))));
    }
}

fn find(plant: Plant, (start, most): (u64, u64), all: bool, begins: impl Fn(u64)) -> Option<Find> {
    (0..most).find_map(|index| {
        let seed = start.wrapping_add(index);
        begins(seed);
        let property = violated(plant, seed, all)?;
        Some(Find {
            seed,
            needed: index + 1,
            property,
        })
    })
}

/// What the plant violates in this seed, and no other does.
fn violated(plant: Plant, seed: u64, all: bool) -> Option<&'static str> {
    let scenario = draw(seed, all);
    let planted = set_planted(Some(plant));
    let mut report = attempt(&scenario, false);
    if plant == Plant::HashOrder {
        compare(&mut report, &attempt(&scenario, false));
    }
    drop(planted);
    let violation = report.violations.first()?;
    // A seed that fails anyhow proves nothing.
    let healthy = attempt(&scenario, false);
    healthy.violations.is_empty().then_some(violation.property)
}

/// The catalogue's own; the others are mistakes in the network, in what the oracle watches, and in
/// determinism.
pub(super) fn is_of_catalogue(plant: Plant) -> bool {
    let name = plant.to_string();
    name.strip_prefix('R')
        .is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
}
