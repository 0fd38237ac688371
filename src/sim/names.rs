//! The simulated DNS.
//!
//! Thread: the one that simulates. Locks: none.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::faults::{Counts, DrawTime, FaultKind, FaultPlan};
use super::streams::stream;
use crate::client::{Addresses, LookupTicket};
use crate::random::Random;

/// Names, and lookups in progress.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) hosts: BTreeMap<String, Vec<IpAddr>>,
    pending: BTreeMap<(Duration, u64), Question>,
    answers: VecDeque<(LookupTicket, Addresses)>,
    asked: u64,
    faults: Vec<(FaultPlan, Random)>,
    counts: Counts,
}

/// A lookup on its way; what it finds is decided when it was asked, but for the addresses.
#[derive(Debug)]
struct Question {
    ticket: LookupTicket,
    host: String,
    port: u16,
    is_known: bool,
    has_dead_address: bool,
}

impl Names {
    /// These go wrong, of the faults of a scenario.
    pub(super) fn go_wrong(&mut self, plans: &[FaultPlan]) {
        let of_names = plans.iter().filter(|plan| {
            matches!(
                plan.kind,
                FaultKind::SlowLookups
                    | FaultKind::UnknownNames
                    | FaultKind::LookupsWithoutAnswer
                    | FaultKind::DeadAddressFirst
            )
        });
        self.faults = of_names
            .map(|plan| (plan.clone(), stream(plan.seed, "names")))
            .collect();
    }

    pub(super) fn ask(&mut self, now: Duration, ticket: LookupTicket, host: &str, port: u16) {
        self.asked += 1;
        let mut after = Duration::from_millis(1);
        let mut question = Question {
            ticket,
            host: host.to_owned(),
            port,
            is_known: true,
            has_dead_address: false,
        };
        for (plan, random) in &mut self.faults {
            if !plan.is_in_force(now) {
                continue;
            }
            let often = match plan.kind {
                FaultKind::LookupsWithoutAnswer => plan.scaled(100, 500),
                FaultKind::DeadAddressFirst => plan.scaled(200, 1000),
                _ => plan.scaled(200, 800),
            };
            if !random.one_of(often) {
                continue;
            }
            self.counts.add(plan.kind);
            match plan.kind {
                FaultKind::SlowLookups => after += random.ms(10, plan.scaled(1_000, 40_000)),
                FaultKind::UnknownNames => question.is_known = false,
                FaultKind::DeadAddressFirst => question.has_dead_address = true,
                _ => return,
            }
        }
        self.pending.insert((now + after, self.asked), question);
    }

    pub(super) fn next_event(&self) -> Option<Duration> {
        self.pending.keys().next().map(|(at, _)| *at)
    }

    /// Whether there is a new answer.
    pub(super) fn run_due(&mut self, now: Duration) -> bool {
        let mut any = false;
        while let Some(entry) = self.pending.first_entry() {
            if entry.key().0 > now {
                break;
            }
            let question = entry.remove();
            let answer = self.answer(&question);
            self.answers.push_back((question.ticket, answer));
            any = true;
        }
        any
    }

    pub(super) fn next_answer(&mut self) -> Option<(LookupTicket, Addresses)> {
        self.answers.pop_front()
    }

    pub(super) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// All names are known again, and what is under way comes soon. A lookup that got no answer
    /// gets none: that its client gives it up is a promise too.
    pub(super) fn heal(&mut self, now: Duration) {
        self.faults.clear();
        for (_, mut question) in std::mem::take(&mut self.pending) {
            self.asked += 1;
            question.is_known = true;
            let at = now + Duration::from_millis(1);
            self.pending.insert((at, self.asked), question);
        }
    }

    fn answer(&self, question: &Question) -> Addresses {
        let found = self.hosts.get(&question.host);
        let found = found.filter(|found| question.is_known && !found.is_empty());
        let Some(found) = found else {
            return Err(io::Error::new(io::ErrorKind::NotFound, "no such host"));
        };
        let dead = question.has_dead_address.then_some(NOBODY);
        let all = dead.into_iter().chain(found.iter().copied());
        Ok(all.map(|ip| SocketAddr::new(ip, question.port)).collect())
    }
}

/// Where nobody listens.
const NOBODY: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 255, 0, 1));
