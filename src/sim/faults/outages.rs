//! Nodes that stop, crash, stand still, move house or join.
//!
//! Thread: the one that simulates. Locks: none.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use kafka_test_support::Change;

use super::kinds::FaultKind;
use super::strikes::{Repair, Striker};
use crate::random::Random;
use crate::sim::setup::{PORT, host_of};
use crate::sim::streams::Draw;
use crate::sim::world::World;

impl World {
    /// A node that is up, of those that the plan strikes.
    pub(super) fn some_node(&mut self, striker: &mut Striker) -> Option<i32> {
        let nodes = striker.plan.nodes();
        let mut up = self.nodes_up();
        let targets: Vec<i32> = up.iter().copied().filter(|n| nodes.contains(*n)).collect();
        if !targets.is_empty() {
            up = targets;
        }
        (!up.is_empty()).then(|| *striker.random.pick(&up))
    }

    pub(super) fn nodes_up(&self) -> Vec<i32> {
        let mut nodes = self.cluster.nodes();
        nodes.retain(|node| !self.faults.down.contains(node));
        nodes
    }

    pub(super) fn stop_node(&mut self, node: i32) {
        if self.faults.down.insert(node) {
            self.cluster.apply(Change::StopBroker(node));
        }
    }

    pub(super) fn start_node(&mut self, node: i32) {
        if self.faults.down.remove(&node) {
            self.cluster.apply(Change::StartBroker(node));
        }
    }

    /// It stops, and some of what nobody else has yet is gone with it.
    fn crash_node(&mut self, node: i32, striker: &mut Striker) {
        let lose = striker.random.log_between(1, 1_000);
        let lose = i64::try_from(lose).expect("small");
        self.faults.down.insert(node);
        self.cluster.apply(Change::CrashBroker { node, lose });
    }

    /// Until when it lasts; none if nothing was there to break.
    pub(super) fn break_node(&mut self, striker: &mut Striker, now: Duration) -> Option<Duration> {
        let node = self.some_node(striker)?;
        let kind = striker.plan.kind;
        let longest = match kind {
            FaultKind::BrokerPause => 120_000,
            FaultKind::AllBrokersDown | FaultKind::ConnectionsRefused => 20_000,
            _ => 40_000,
        };
        let until = now + striker.outage(longest);
        match kind {
            FaultKind::BrokerRestart => {
                self.stop_node(node);
                self.repair_at(until, Repair::Start(node));
            }
            FaultKind::BrokerCrash => {
                self.crash_node(node, striker);
                self.repair_at(until, Repair::Start(node));
            }
            FaultKind::BrokerPause => {
                if self.network.paused.contains(&node) {
                    return None;
                }
                self.pause(node);
                self.repair_at(until, Repair::Resume(node));
                // The others notice, or do not.
                if striker.random.chance(400) {
                    self.take_leadership_from(node, &mut striker.random);
                }
            }
            FaultKind::StaleRestart => {
                self.stop_node(node);
                self.repair_at(until, Repair::StartStale(node));
                let thawed = until + striker.outage(60_000);
                self.repair_at(thawed, Repair::Change(Change::ThawMetadata(node)));
                for topic in self.faults.topics.clone() {
                    let seed = striker.random.log_between(0, u64::from(u32::MAX));
                    self.repair_at(until, Repair::MoveSome(topic, seed));
                }
            }
            FaultKind::AllBrokersDown => {
                for node in self.nodes_up() {
                    self.stop_node(node);
                    self.repair_at(until, Repair::Start(node));
                }
            }
            FaultKind::ConnectionsClosed => {
                let mut links = self.network.links.values();
                if !links.any(|link| link.node == node && link.connection.is_some()) {
                    return None;
                }
                self.cluster.apply(Change::CloseConnections(node));
                return Some(now);
            }
            FaultKind::ConnectionsRefused => {
                self.cluster.apply(Change::RefuseConnections(node, true));
                self.cluster.apply(Change::CloseConnections(node));
                let again = Change::RefuseConnections(node, false);
                self.repair_at(until, Repair::Change(again));
            }
            FaultKind::RollingRestart => return Some(self.restart_all(striker, now)),
            FaultKind::ConfusedNode => {
                let code = *striker.random.pick(super::requests::RETRIABLE);
                self.cluster.apply(Change::AnswerAll(node, Some(code)));
                self.repair_at(until, Repair::Change(Change::AnswerAll(node, None)));
            }
            other => unreachable!("{other:?} breaks no node"),
        }
        Some(until)
    }

    fn restart_all(&mut self, striker: &mut Striker, now: Duration) -> Duration {
        let mut at = now;
        for node in self.nodes_up() {
            self.repair_at(at, Repair::Stop(node));
            at += striker.outage(10_000);
            self.repair_at(at, Repair::Start(node));
            at += striker.outage(2_000);
        }
        at
    }

    fn take_leadership_from(&mut self, node: i32, random: &mut Random) {
        let others: Vec<i32> = self.nodes_up().into_iter().filter(|n| *n != node).collect();
        if others.is_empty() {
            return;
        }
        for topic in self.faults.topics.clone() {
            for partition in 0..self.cluster.partitions(&topic) {
                if self.cluster.leader(&topic, partition) == Some(node) {
                    let to = *random.pick(&others);
                    self.cluster.move_leader(&topic, partition, to);
                }
            }
        }
    }

    /// A node moves to another address, under its old name or under a new one.
    pub(super) fn move_node(&mut self, striker: &mut Striker, now: Duration) -> Option<Duration> {
        let node = self.some_node(striker)?;
        self.faults.new_addresses = self.faults.new_addresses.checked_add(1)?;
        let nth = self.faults.new_addresses;
        let address = IpAddr::V4(Ipv4Addr::new(10, 1, nth, u8::try_from(node).ok()?));
        let keeps_name = striker.plan.kind == FaultKind::AddressesChange;
        let (host, port) = if keeps_name {
            (self.host(node), PORT)
        } else {
            (format!("moved-{nth}-{}", host_of(node)), PORT + 1)
        };
        self.network
            .listeners
            .retain(|_, listener| *listener != node);
        self.network
            .listeners
            .insert(SocketAddr::new(address, port), node);
        self.names.hosts.insert(host.clone(), vec![address]);
        if keeps_name {
            self.lead_names_to(node, address);
        } else {
            self.cluster.apply(Change::SetEndpoint(node, host, port));
        }
        self.cluster.apply(Change::CloseConnections(node));
        Some(now)
    }

    /// All names that a node ever had mean this address, where it listens at all its ports.
    fn lead_names_to(&mut self, node: i32, address: IpAddr) {
        let first = host_of(node);
        let later = format!("-{first}");
        for (host, addresses) in &mut self.names.hosts {
            if *host == first || host.ends_with(&later) {
                *addresses = vec![address];
            }
        }
        for port in [PORT, PORT + 1] {
            let place = SocketAddr::new(address, port);
            self.network.listeners.insert(place, node);
        }
    }

    /// Whoever moves a whole cluster leaves `bootstrap.servers` a way to it, and the names that were
    /// told before. Addresses that were given up stay so: names have to be looked up again. Only
    /// if `bootstrap.servers` has nothing but addresses, the first of them is good again.
    pub(super) fn heal_endpoints(&mut self) {
        for node in self.cluster.nodes() {
            let mut places = self.network.listeners.iter();
            let place = places.find(|(_, listener)| **listener == node);
            if let Some(address) = place.map(|(place, _)| place.ip()) {
                self.lead_names_to(node, address);
            }
        }
        let listeners = &mut self.network.listeners;
        let known = &self.faults.bootstrap_addresses;
        if let Some(first) = known.first() {
            if !known.iter().any(|place| listeners.contains_key(place)) {
                listeners.insert(*first, FIRST_NODE);
            }
        }
    }

    /// The name under which a node is known first.
    fn host(&self, node: i32) -> String {
        host_of(node)
    }

    pub(super) fn add_node(&mut self, striker: &mut Striker, now: Duration) -> Option<Duration> {
        if self.cluster.nodes().len() >= MOST_NODES {
            return None;
        }
        let node = self.cluster.add_broker();
        let address = IpAddr::V4(Ipv4Addr::new(10, 0, 0, u8::try_from(node).ok()?));
        let host = host_of(node);
        self.names.hosts.insert(host.clone(), vec![address]);
        self.network
            .listeners
            .insert(SocketAddr::new(address, PORT), node);
        self.cluster.apply(Change::SetEndpoint(node, host, PORT));
        for topic in self.faults.topics.clone() {
            for partition in 0..self.cluster.partitions(&topic) {
                if striker.random.chance(300) {
                    self.cluster.move_leader(&topic, partition, node);
                }
            }
        }
        Some(now)
    }
}

const MOST_NODES: usize = 7;
const FIRST_NODE: i32 = 1;
