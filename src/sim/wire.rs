//! The world as the client's sockets see it.
//!
//! Thread: the one that simulates. Locks: the world's, by the caller.

use std::io::{self, ErrorKind, IoSlice};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;

use super::faults::Direction;
use super::network::{Arrival, LinkState};
use super::trace::Happening;
use super::world::World;
use crate::client::{Addresses, LookupTicket, Lookups};
use crate::network::{Wakeup, Wire, WireEvent, WireId, WireInterest};

impl Wire for World {
    fn connect(&mut self, address: SocketAddr) -> io::Result<(WireId, bool)> {
        let now = self.now();
        // Nobody listens there: node 0 is nobody, and refuses.
        let node = self.network.listeners.get(&address).copied().unwrap_or(0);
        let (id, is_connected) = self.begin_connect(node)?;
        self.oracle.on_connect(now, node, id);
        let link = id;
        self.trace.event(
            now,
            Happening::Connects {
                link,
                node,
                address,
            },
        );
        Ok((id, is_connected))
    }

    fn finish_connect(&mut self, id: WireId) -> io::Result<bool> {
        match self.network.links.get(&id).map(|link| link.state) {
            Some(LinkState::Connected) => Ok(true),
            Some(LinkState::Connecting) => Ok(false),
            Some(LinkState::Failed(kind)) => Err(kind.into()),
            None => Err(ErrorKind::NotConnected.into()),
        }
    }

    fn read(&mut self, id: WireId, into: &mut [u8]) -> io::Result<usize> {
        let now = self.now();
        let Some(link) = self.network.links.get_mut(&id) else {
            return Err(ErrorKind::NotConnected.into());
        };
        if link.inbox.is_empty() {
            return match link.state {
                LinkState::Failed(kind) => Err(kind.into()),
                LinkState::Connected if link.has_ended => Ok(0),
                LinkState::Connected | LinkState::Connecting => Err(ErrorKind::WouldBlock.into()),
            };
        }
        if self.faults.network.interrupts(now, link.node) {
            return Err(ErrorKind::Interrupted.into());
        }
        let most = self
            .faults
            .network
            .readable(now, link.node, link.inbox.len());
        let count = into.len().min(link.inbox.len()).min(most.max(1));
        for (to, from) in into.iter_mut().zip(link.inbox.drain(..count)) {
            *to = from;
        }
        self.oracle.on_read();
        let node = link.node;
        link.read.push(&into[..count]);
        while let Some(frame) = link.read.next() {
            let link = id;
            self.trace
                .event(now, Happening::Answer { link, node, frame });
            self.oracle.on_answer(now, node, id, frame);
        }
        if let Some(size) = link.read.claimed_size() {
            self.oracle.on_claimed_size(now, id, size);
        }
        Ok(count)
    }

    fn write(&mut self, id: WireId, from: &[IoSlice<'_>]) -> io::Result<usize> {
        let now = self.now();
        let Some(link) = self.network.links.get_mut(&id) else {
            return Err(ErrorKind::NotConnected.into());
        };
        match link.state {
            LinkState::Connecting => return Err(ErrorKind::WouldBlock.into()),
            LinkState::Failed(_) => return Err(ErrorKind::BrokenPipe.into()),
            LinkState::Connected => {}
        }
        if link.full_until.is_some() {
            return Err(ErrorKind::WouldBlock.into());
        }
        if self.faults.network.interrupts(now, link.node) {
            return Err(ErrorKind::Interrupted.into());
        }
        let offered: usize = from.iter().map(|slice| slice.len()).sum();
        let backlog = link.last_to_broker.saturating_sub(now);
        let room = self
            .faults
            .network
            .room(now, (id, link.node), offered, backlog);
        let count = room.bytes.min(offered);
        let mut bytes = Vec::with_capacity(count);
        for slice in from {
            let left = count - bytes.len();
            bytes.extend_from_slice(&slice[..slice.len().min(left)]);
        }
        if count < offered {
            let until = now + room.full_for.max(Duration::from_micros(1));
            link.full_until = Some(until);
            self.network.schedule(until, Arrival::Writable(id));
        }
        if count == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        let Some(link) = self.network.links.get_mut(&id) else {
            return Err(ErrorKind::NotConnected.into());
        };
        let node = link.node;
        link.written.push(&bytes);
        while let Some(frame) = link.written.next() {
            let link = id;
            self.trace
                .event(now, Happening::Request { link, node, frame });
            self.oracle.on_request(now, node, id, frame);
        }
        if link.written.has_rest() {
            self.oracle.on_part_of_request(id);
        }
        self.transmit(id, Direction::ToBroker, Bytes::from(bytes), now);
        Ok(count)
    }

    fn register(&mut self, id: WireId, token: usize, interest: WireInterest) {
        if let Some(link) = self.network.links.get_mut(&id) {
            link.registered = Some((token, interest));
            let is_ready =
                (interest.read && link.is_readable()) || (interest.write && link.is_writable());
            if is_ready {
                self.network.touch(id);
            }
        }
    }

    fn close(&mut self, id: WireId) {
        let now = self.now();
        self.trace.event(now, Happening::Closes { link: id });
        self.oracle.on_closed(now, id);
        self.network.edges.remove(&id);
        self.faults.network.closed(id);
        let Some(link) = self.network.links.get_mut(&id) else {
            return;
        };
        link.is_open = false;
        link.registered = None;
        link.inbox.clear();
        let is_heard = link.connection.is_some() || self.network.paused.contains(&link.node);
        if is_heard && !link.lost_to_broker {
            let after = self.faults.network.end_delay(now, (id, link.node));
            let at = link.last_to_broker.max(now + after);
            self.network.schedule(at, Arrival::EndToBroker(id));
        }
        self.network.forget_dead(id);
    }

    fn short_read_empties(&self) -> bool {
        self.faults.network.short_read_empties()
    }

    fn select(&mut self, timeout: Duration, wakeup: &Wakeup, events: &mut Vec<WireEvent>) {
        self.select_until_ready(timeout, wakeup, events);
    }
}

impl Lookups for World {
    fn ask(&mut self, ticket: LookupTicket, host: &str, port: u16) {
        let now = self.now();
        self.trace.event(now, Happening::LooksUp { host, port });
        self.names.ask(now, ticket, host, port);
    }

    fn next_answer(&mut self) -> Option<(LookupTicket, Addresses)> {
        let answer = self.names.next_answer()?;
        let now = self.now();
        let found = answer.1.as_ref().map_or(0, Vec::len);
        self.trace.event(now, Happening::Resolved { found });
        Some(answer)
    }
}
