//! The simulated DNS.
//!
//! Thread: the one that simulates. Locks: none.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::client::{Addresses, LookupTicket};

/// Names, and lookups in progress.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) hosts: BTreeMap<String, Vec<IpAddr>>,
    pending: BTreeMap<(Duration, u64), (LookupTicket, String, u16)>,
    answers: VecDeque<(LookupTicket, Addresses)>,
    asked: u64,
}

impl Names {
    pub(super) fn ask(&mut self, now: Duration, ticket: LookupTicket, host: &str, port: u16) {
        self.asked += 1;
        let at = now + Duration::from_millis(1);
        self.pending
            .insert((at, self.asked), (ticket, host.to_owned(), port));
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
            let (ticket, host, port) = entry.remove();
            let found = self.hosts.get(&host).filter(|found| !found.is_empty());
            let answer = found
                .map(|found| found.iter().map(|ip| SocketAddr::new(*ip, port)).collect())
                .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such host"));
            self.answers.push_back((ticket, answer));
            any = true;
        }
        any
    }

    pub(super) fn next_answer(&mut self) -> Option<(LookupTicket, Addresses)> {
        self.answers.pop_front()
    }
}
