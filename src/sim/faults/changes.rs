//! Topics, partitions, leaders, rights, and what metadata says of them.
//!
//! Thread: the one that simulates. Locks: none.

use std::time::Duration;

use kafka_test_support::{Change, LeaderHints};

use super::kinds::FaultKind;
use super::strikes::{Repair, Striker};
use crate::random::Random;
use crate::sim::streams::{Draw, stream};
use crate::sim::world::World;

impl World {
    /// Until when it lasts; none if nothing changed.
    pub(super) fn strike_cluster(
        &mut self,
        striker: &mut Striker,
        now: Duration,
    ) -> Option<Duration> {
        use FaultKind as Kind;
        match striker.plan.kind {
            Kind::NodeReaddressed => self.move_node(striker, now),
            Kind::BrokerAdded => self.add_node(striker, now),
            Kind::BrokerRestart
            | Kind::BrokerCrash
            | Kind::BrokerPause
            | Kind::StaleRestart
            | Kind::AllBrokersDown
            | Kind::ConnectionsClosed
            | Kind::ConnectionsRefused
            | Kind::RollingRestart
            | Kind::ConfusedNode => self.break_node(striker, now),
            Kind::StaleMetadata
            | Kind::HiddenTopic
            | Kind::HiddenPartition
            | Kind::HiddenBroker
            | Kind::WrongLeaderHints => self.mislead(striker, now),
            Kind::TopicRecreated
            | Kind::TopicDeleted
            | Kind::PartitionsAdded
            | Kind::MessageLimitLowered
            | Kind::AuthorizationWithdrawn => self.change_topic(striker, now),
            _ => self.change_partition(striker, now),
        }
    }

    fn some_topic(&self, striker: &mut Striker) -> Option<String> {
        let there = |topic: &&String| self.cluster.topic_id(topic).is_some();
        let topics: Vec<&String> = self.faults.topics.iter().filter(there).collect();
        if topics.is_empty() {
            return None;
        }
        Some((*striker.random.pick(&topics)).clone())
    }

    /// Moves the leader of some partition of a topic to another node that is up.
    pub(super) fn move_leader(&mut self, topic: &str, random: &mut Random) -> bool {
        let partitions = self.cluster.partitions(topic);
        if partitions == 0 {
            return false;
        }
        let partition = i32::try_from(random.below(usize::try_from(partitions).expect("counted")))
            .expect("few");
        let leader = self.cluster.leader(topic, partition);
        let mut nodes = self.nodes_up();
        nodes.retain(|node| Some(*node) != leader);
        if nodes.is_empty() {
            return false;
        }
        let to = *random.pick(&nodes);
        self.cluster.move_leader(topic, partition, to);
        true
    }

    fn change_topic(&mut self, striker: &mut Striker, now: Duration) -> Option<Duration> {
        let topic = self.some_topic(striker)?;
        match striker.plan.kind {
            FaultKind::PartitionsAdded => {
                let partitions = self.cluster.partitions(&topic);
                if partitions >= MOST_PARTITIONS {
                    return None;
                }
                let more = i32::try_from(striker.random.between(1, 3)).expect("small");
                self.cluster.set_partitions(&topic, partitions + more);
                Some(now)
            }
            FaultKind::AuthorizationWithdrawn => {
                let until = now + striker.outage(20_000);
                self.cluster
                    .apply(Change::SetAuthorized(topic.clone(), false));
                let again = Change::SetAuthorized(topic, true);
                self.repair_at(until, Repair::Change(again));
                Some(until)
            }
            FaultKind::MessageLimitLowered => {
                let until = now + striker.outage(60_000);
                let limit = self.cluster.topic_config(&topic)?.max_message_bytes;
                let most = u64::try_from(limit.min(MOST_LOWERED)).ok()?;
                let lowered = striker.random.log_between(LEAST_LIMIT.min(most), most);
                let lowered = usize::try_from(lowered).ok()?;
                self.cluster
                    .apply(Change::SetMaxMessageBytes(topic.clone(), lowered));
                let again = Change::SetMaxMessageBytes(topic, limit);
                self.repair_at(until, Repair::Change(again));
                Some(until)
            }
            kind => {
                let longest = if kind == FaultKind::TopicDeleted {
                    60_000
                } else {
                    1_000
                };
                let mut config = self.cluster.topic_config(&topic)?.clone();
                config.partitions = self.cluster.partitions(&topic);
                self.cluster.delete_topic(&topic);
                let until = now + striker.outage(longest);
                let again = Change::CreateTopic(config);
                self.repair_at(until, Repair::Change(again));
                Some(until)
            }
        }
    }

    /// Metadata, or a hint, says what is not so; a leader moves, so that somebody asks.
    fn mislead(&mut self, striker: &mut Striker, now: Duration) -> Option<Duration> {
        let topic = self.some_topic(striker)?;
        let node = self.some_node(striker)?;
        let everywhere = striker.plan.is_everywhere() || striker.random.chance(500);
        let at = (!everywhere).then_some(node);
        let until = now + striker.outage(20_000);
        let partitions = usize::try_from(self.cluster.partitions(&topic)).ok()?;
        let partition = i32::try_from(striker.random.below(partitions.max(1))).ok()?;
        let (wrong, right) = match striker.plan.kind {
            FaultKind::StaleMetadata => {
                if everywhere {
                    for node in self.cluster.nodes() {
                        self.cluster.apply(Change::FreezeMetadata(node));
                        let thawed = Repair::Change(Change::ThawMetadata(node));
                        self.repair_at(until, thawed);
                    }
                }
                (Change::FreezeMetadata(node), Change::ThawMetadata(node))
            }
            FaultKind::HiddenTopic => (
                Change::HideTopic(topic.clone(), at, true),
                Change::HideTopic(topic.clone(), at, false),
            ),
            FaultKind::HiddenPartition => (
                Change::HidePartition(topic.clone(), partition, at, true),
                Change::HidePartition(topic.clone(), partition, at, false),
            ),
            FaultKind::HiddenBroker => (
                Change::HideBroker(node, at, true),
                Change::HideBroker(node, at, false),
            ),
            _ => (
                Change::SetLeaderHints(LeaderHints::Wrong),
                Change::SetLeaderHints(LeaderHints::Right),
            ),
        };
        self.cluster.apply(wrong);
        self.repair_at(until, Repair::Change(right));
        self.move_leader(&topic, &mut striker.random);
        Some(until)
    }

    fn change_partition(&mut self, striker: &mut Striker, now: Duration) -> Option<Duration> {
        let topic = self.some_topic(striker)?;
        let partitions = usize::try_from(self.cluster.partitions(&topic)).ok()?;
        let partition = i32::try_from(striker.random.below(partitions.max(1))).ok()?;
        let until = now + striker.outage(20_000);
        match striker.plan.kind {
            FaultKind::LeaderMoves => {
                return self.move_leader(&topic, &mut striker.random).then_some(now);
            }
            FaultKind::LeaderPingPong => return self.ping_pong(striker, now),
            FaultKind::NoLeader => {
                let leader = self.cluster.leader(&topic, partition)?;
                let gone = Change::MoveLeader(topic.clone(), partition, None);
                self.cluster.apply(gone);
                let back = Change::MoveLeader(topic, partition, Some(leader));
                self.repair_at(until, Repair::Change(back));
            }
            FaultKind::IsrShrinks | FaultKind::IsrShrinksAfterAppend => {
                let shrunk = if striker.plan.kind == FaultKind::IsrShrinks {
                    Change::ShrinkIsr(topic.clone(), partition, 0)
                } else {
                    Change::ShrinkIsrAfterAppend(topic.clone(), partition, 0)
                };
                self.cluster.apply(shrunk);
                let again = Change::ExpandIsr(topic, partition);
                self.repair_at(until, Repair::Change(again));
            }
            FaultKind::ProducersForgotten => {
                if self.cluster.end_offset(&topic, partition) == 0 {
                    return None;
                }
                self.cluster
                    .apply(Change::ForgetProducers(topic, partition));
                return Some(now);
            }
            FaultKind::RecordsDeleted => {
                let end = u64::try_from(self.cluster.end_offset(&topic, partition)).ok()?;
                if end == 0 {
                    return None;
                }
                let all = striker.random.chance(500);
                let some = striker.random.between(1, end);
                let to = i64::try_from(if all { end } else { some }).ok()?;
                let deleted = Change::DeleteRecords(topic.clone(), partition, to);
                self.cluster.apply(deleted);
                self.cluster
                    .apply(Change::ForgetProducers(topic, partition));
                return Some(now);
            }
            other => unreachable!("{other:?} changes no partition"),
        }
        Some(until)
    }

    /// The same partition and the same two nodes every time.
    fn ping_pong(&mut self, striker: &Striker, now: Duration) -> Option<Duration> {
        let mut random = stream(striker.plan.seed, "ping-pong");
        let topic = random.pick(&self.faults.topics).clone();
        let partitions = usize::try_from(self.cluster.partitions(&topic)).ok()?;
        if partitions == 0 {
            return None;
        }
        let partition = i32::try_from(random.below(partitions)).ok()?;
        let nodes = self.cluster.nodes();
        let first = random.below(nodes.len());
        let second = (first + 1 + random.below((nodes.len() - 1).max(1))) % nodes.len();
        let pair = [nodes[first], nodes[second]];
        let to = pair[usize::try_from(striker.strikes % 2).ok()?];
        let moves =
            self.cluster.leader(&topic, partition) != Some(to) && !self.faults.down.contains(&to);
        if moves {
            self.cluster.move_leader(&topic, partition, to);
        }
        moves.then_some(now)
    }
}

const MOST_PARTITIONS: i32 = 16;

/// Of batches, in bytes: a probe fits, and some records do not.
const LEAST_LIMIT: u64 = 200;
/// Larger batches are rare.
const MOST_LOWERED: usize = 16_384;
