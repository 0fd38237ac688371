//! What will be done to the cluster and when, drawn from the seed before anything starts.
//!
//! Three lanes run side by side: one breaks brokers (never two at a time: of three replicas two
//! have to be in sync), one the network, one moves leaders. Each lane deals its kinds of faults
//! from a shuffled deck, so that none comes twice before each has come once.

use std::fmt;
use std::time::Duration;

use fastrand::Rng;
use kafka_test_support::proxy::Direction;

/// How many brokers there are; their ids begin at 1.
pub(crate) const NODES: i32 = 3;

/// What the run is to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// That nothing bad happens.
    Proof,
    /// That the judge sees duplicates and disorder: retries without idempotence.
    IdempotenceOff,
    /// That the judge sees losses: acks=1, and leaders elected that lack records.
    Unclean,
}

/// One thing that is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// SIGKILL, and started again after a time.
    Kill {
        node: i32,
        down: Duration,
    },
    /// SIGSTOP for a time.
    Freeze {
        node: i32,
        time: Duration,
    },
    /// An orderly end, and started again after a time.
    Bounce {
        node: i32,
        down: Duration,
    },
    /// Two are killed one after the other, and the first comes back as the leader without what the
    /// second had. Only where losses are wanted.
    Unclean {
        first: i32,
        second: i32,
        apart: Duration,
    },
    Latency {
        node: i32,
        latency: Duration,
        jitter: Duration,
        time: Duration,
    },
    /// All connections to the node, after so many bytes more.
    Reset {
        node: i32,
        direction: Direction,
        bytes: usize,
    },
    /// Requests arrive, their answers do not.
    Swallow {
        node: i32,
        time: Duration,
    },
    /// One direction stands still, and goes on with what was held back.
    Silence {
        node: i32,
        direction: Direction,
        time: Duration,
    },
    /// Some partitions get another leader; `pick` says which.
    MoveLeaders {
        count: u8,
        pick: u64,
    },
    /// All partitions of a topic go back to their first replica.
    ElectPreferred {
        topic: usize,
    },
    AddPartition {
        topic: usize,
    },
}

/// A fault and its time since the start of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Planned {
    pub(crate) at: Duration,
    pub(crate) fault: Fault,
}

/// The lanes: brokers, network, administration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Schedule {
    pub(crate) lanes: [Vec<Planned>; 3],
}

type Draw = fn(&mut Rng) -> Fault;

impl Schedule {
    /// For a run of so long, of which the last moments heal.
    pub(crate) fn draw(seed: u64, length: Duration, mode: Mode) -> Self {
        let brokers: &[Draw] = match mode {
            Mode::Proof | Mode::IdempotenceOff => &[kill, freeze, bounce],
            Mode::Unclean => &[unclean],
        };
        let network: &[Draw] = &[latency, reset, swallow, silence, reset];
        let administration: &[Draw] = &[move_leaders, elect, move_leaders, add_partition];
        // Lanes have streams of their own: what one draws changes nothing in the others.
        let lane = |index: u64, draws: &[Draw], rest| {
            let mut random = Rng::with_seed(seed.wrapping_mul(31).wrapping_add(index));
            lane(&mut random, draws, rest, length)
        };
        Self {
            lanes: [
                lane(0, brokers, (2_500, 5_000)),
                lane(1, network, (700, 2_500)),
                lane(2, administration, (2_500, 6_000)),
            ],
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.lanes.iter().map(Vec::len).sum()
    }
}

impl Fault {
    /// How long it takes, about.
    pub(crate) fn time(&self) -> Duration {
        match *self {
            Self::Kill { down, .. } | Self::Bounce { down, .. } => down + RESTART,
            Self::Unclean { apart, .. } => 3 * apart + 3 * RESTART,
            Self::Freeze { time, .. }
            | Self::Latency { time, .. }
            | Self::Swallow { time, .. }
            | Self::Silence { time, .. } => time,
            Self::Reset { .. } => Duration::ZERO,
            Self::MoveLeaders { .. } | Self::ElectPreferred { .. } | Self::AddPartition { .. } => {
                ADMINISTRATION
            }
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill { node, down } => {
                write!(f, "kill node {node} (SIGKILL), down for {down:?}")
            }
            Self::Freeze { node, time } => write!(f, "freeze node {node} (SIGSTOP) for {time:?}"),
            Self::Bounce { node, down } => write!(f, "bounce node {node}, down for {down:?}"),
            Self::Unclean {
                first,
                second,
                apart,
            } => write!(
                f,
                "kill node {first}, {apart:?} later node {second}, and start {first} alone"
            ),
            Self::Latency {
                node,
                latency,
                jitter,
                time,
            } => write!(
                f,
                "latency {latency:?} and jitter {jitter:?} on node {node} for {time:?}"
            ),
            Self::Reset {
                node,
                direction,
                bytes,
            } => write!(
                f,
                "reset node {node} after {bytes} bytes more {}",
                way(*direction)
            ),
            Self::Swallow { node, time } => {
                write!(f, "swallow the answers of node {node} for {time:?}")
            }
            Self::Silence {
                node,
                direction,
                time,
            } => write!(f, "silence of node {node} {} for {time:?}", way(*direction)),
            Self::MoveLeaders { count, .. } => write!(f, "move {count} leaders"),
            Self::ElectPreferred { topic } => {
                write!(f, "elect the preferred leaders of topic {topic}")
            }
            Self::AddPartition { topic } => write!(f, "add a partition to topic {topic}"),
        }
    }
}

fn way(direction: Direction) -> &'static str {
    match direction {
        Direction::ToBroker => "to the broker",
        Direction::ToClient => "to the client",
    }
}

/// `rest`: least and most milliseconds between the end of a fault and the next one.
fn lane(random: &mut Rng, draws: &[Draw], rest: (u64, u64), length: Duration) -> Vec<Planned> {
    let mut planned = Vec::new();
    let mut deck = Vec::new();
    let mut at = WARM_UP + ms(random, 0, rest.1);
    loop {
        if deck.is_empty() {
            deck = draws.to_vec();
            random.shuffle(&mut deck);
        }
        let Some(draw) = deck.pop() else { break };
        let fault = draw(random);
        if at + fault.time() > length {
            break;
        }
        planned.push(Planned { at, fault });
        at += fault.time() + ms(random, rest.0, rest.1);
    }
    planned
}

fn kill(random: &mut Rng) -> Fault {
    Fault::Kill {
        node: node(random),
        down: ms(random, 200, 5_000),
    }
}

fn freeze(random: &mut Rng) -> Fault {
    Fault::Freeze {
        node: node(random),
        time: long_or_short(random, 1.0, 20.0),
    }
}

fn bounce(random: &mut Rng) -> Fault {
    Fault::Bounce {
        node: node(random),
        down: ms(random, 0, 3_000),
    }
}

fn unclean(random: &mut Rng) -> Fault {
    let first = node(random);
    Fault::Unclean {
        first,
        second: first % NODES + 1,
        apart: ms(random, 4_000, 6_000),
    }
}

fn latency(random: &mut Rng) -> Fault {
    Fault::Latency {
        node: node(random),
        latency: ms(random, 5, 250),
        jitter: ms(random, 0, 100),
        time: ms(random, 1_000, 5_000),
    }
}

fn reset(random: &mut Rng) -> Fault {
    Fault::Reset {
        node: node(random),
        direction: direction(random),
        bytes: random.usize(0..30_000),
    }
}

fn swallow(random: &mut Rng) -> Fault {
    Fault::Swallow {
        node: node(random),
        time: long_or_short(random, 0.3, 10.0),
    }
}

fn silence(random: &mut Rng) -> Fault {
    Fault::Silence {
        node: node(random),
        direction: direction(random),
        time: long_or_short(random, 0.5, 12.0),
    }
}

fn move_leaders(random: &mut Rng) -> Fault {
    Fault::MoveLeaders {
        count: random.u8(1..=4),
        pick: random.u64(..),
    }
}

fn elect(random: &mut Rng) -> Fault {
    Fault::ElectPreferred {
        topic: random.usize(0..crate::TOPICS.len()),
    }
}

fn add_partition(random: &mut Rng) -> Fault {
    Fault::AddPartition {
        topic: random.usize(0..crate::TOPICS.len()),
    }
}

fn node(random: &mut Rng) -> i32 {
    random.i32(1..=NODES)
}

fn direction(random: &mut Rng) -> Direction {
    if random.bool() {
        Direction::ToBroker
    } else {
        Direction::ToClient
    }
}

/// Seconds; as often below the geometric mean of both as above it.
fn long_or_short(random: &mut Rng, least: f64, most: f64) -> Duration {
    let seconds = least * (most / least).powf(random.f64());
    Duration::from_millis(Duration::from_secs_f64(seconds).as_millis() as u64)
}

fn ms(random: &mut Rng, least: u64, most: u64) -> Duration {
    Duration::from_millis(random.u64(least..=most))
}

/// Nothing happens before the producer knows its cluster.
const WARM_UP: Duration = Duration::from_secs(2);

/// What a broker takes to come back.
const RESTART: Duration = Duration::from_millis(2_500);

const ADMINISTRATION: Duration = Duration::from_millis(300);

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::mem::{Discriminant, discriminant};

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn schedule_is_its_seed() {
        let draw = |seed| Schedule::draw(seed, MINUTE, Mode::Proof);
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn each_minute_has_every_kind_of_fault_and_one_in_five_seconds() {
        for seed in 0..200 {
            let schedule = Schedule::draw(seed, MINUTE, Mode::Proof);
            let kinds: BTreeSet<String> = schedule
                .lanes
                .iter()
                .flatten()
                .map(|planned| kind(&planned.fault))
                .map(|kind| format!("{kind:?}"))
                .collect();
            assert!(schedule.len() >= 15, "seed {seed}: {schedule:?}");
            assert!(kinds.len() >= 9, "seed {seed}: {schedule:?}");
        }
    }

    fn kind(fault: &Fault) -> Discriminant<Fault> {
        discriminant(fault)
    }

    #[test]
    fn faults_of_a_lane_follow_each_other_and_end_in_time() {
        for seed in 0..200 {
            let schedule = Schedule::draw(seed, MINUTE, Mode::Proof);
            for lane in &schedule.lanes {
                for pair in lane.windows(2) {
                    assert!(
                        pair[0].at + pair[0].fault.time() < pair[1].at,
                        "seed {seed}"
                    );
                }
                let last = lane.last().expect("each lane has work for a minute");
                assert!(last.at + last.fault.time() <= MINUTE, "seed {seed}");
            }
        }
    }

    #[test]
    fn freezes_take_from_one_to_twenty_seconds() {
        let length = Duration::from_secs(3_600);
        let schedule = Schedule::draw(0, length, Mode::Proof);
        let times = schedule.lanes[0]
            .iter()
            .filter_map(|planned| match planned.fault {
                Fault::Freeze { time, .. } => Some(time),
                _ => None,
            });
        let times: Vec<Duration> = times.collect();
        let (least, most) = (times.iter().min().unwrap(), times.iter().max().unwrap());
        assert!(*least >= Duration::from_secs(1) && *most <= Duration::from_secs(20));
        assert!(
            *most > Duration::from_secs(15),
            "{most:?} of {}",
            times.len()
        );
    }

    #[test]
    fn unclean_ends_strike_two_nodes() {
        let schedule = Schedule::draw(3, MINUTE, Mode::Unclean);
        for planned in &schedule.lanes[0] {
            let Fault::Unclean { first, second, .. } = planned.fault else {
                panic!("{planned:?}");
            };
            assert_ne!(first, second);
            assert!((1..=NODES).contains(&second));
        }
    }
}
