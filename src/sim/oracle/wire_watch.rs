//! The rules that each request can be held to as it is written: they are about its connection.
//!
//! Thread: the one that simulates. Locks: none. A request that breaks one of them could not be
//! trusted to keep P1 (what is read is not what was meant) or P2 (order), and is reported as that.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use kafka_test_support::Api;
use kafka_test_support::tap::{SeenBody, SeenProduce, SeenRequest, read_request};
use uuid::Uuid;

use super::attempts::Attempts;
use super::findings::Findings;
use super::recreation::ReadIds;
use super::terms::{Terms, Tp};
use crate::network::WireId;
use crate::protocol::ApiKey;
use crate::protocol::messages::supported_versions;
use crate::sim::answers::{self, Told, Topic};
use crate::sim::guarantees::Property;

/// When, at which node, on which connection.
pub(super) type Place = (Duration, i32, WireId);

/// All connections, and what brokers told on them.
#[derive(Debug, Default)]
pub(super) struct WireWatch {
    links: BTreeMap<WireId, Link>,
    /// Those of each node that began lately.
    connects: BTreeMap<i32, VecDeque<Duration>>,
    /// Who was named as leader of what, by anybody, ever.
    named: BTreeSet<(Tp, i32)>,
    /// Leaders that metadata named.
    pub(super) leaders: BTreeMap<Tp, Led>,
    pub(super) ids: BTreeMap<Uuid, usize>,
    pub(super) read_ids: ReadIds,
    /// Producer ids that were given out, with their first epoch.
    pub(super) identities: BTreeMap<i64, i16>,
    /// When each of them came first.
    pub(super) identified_at: BTreeMap<i64, Duration>,
    /// A broker said something that ends the producer as a whole.
    pub(super) is_ended_by_broker: bool,
    /// From when until when a node asked for requests to wait, whatever connection comes then.
    pub(super) throttles: BTreeMap<i32, Vec<(Duration, Duration)>>,
    polls: u64,
    /// Read since the last poll.
    impossible_sizes: Vec<(Duration, WireId, i32)>,
    /// When each connection had something in flight, and until when all was well.
    pub(super) traffic: BTreeMap<WireId, Traffic>,
}

/// What metadata said of a partition's leader.
#[derive(Debug)]
pub(super) struct Led {
    leader: i32,
    /// When another was named for the first time, or none.
    pub(super) moved_at: Option<Duration>,
    /// When it became known; again after each answer that had an error in place of the topic.
    since: Vec<Duration>,
    is_known: bool,
}

/// How a connection fared.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    /// From the first request in flight to the last answer, one after the other.
    pub(super) busy: Vec<(Duration, Duration)>,
    /// Its ApiVersions was answered.
    pub(super) ready_at: Option<Duration>,
    /// Something was not answered.
    pub(super) in_trouble_at: Option<Duration>,
}

#[derive(Debug, Default)]
struct Link {
    last_correlation_id: Option<i32>,
    in_flight: VecDeque<InFlight>,
    /// What the node said it speaks.
    versions: Option<Vec<(i16, i16, i16)>>,
    /// It may be slow, and said so.
    throttled: Duration,
    /// The client read what cannot be an answer to its oldest request.
    spoilt: Option<Spoilt>,
    /// A part of the next request is written.
    has_begun_one: bool,
    /// It read that, or what nobody can read: what comes behind, it does not hear.
    is_deaf: bool,
    is_closed: bool,
}

/// How far the client was when it read that. What it has read by one poll it comes to one by one: an
/// answer before it may still be followed by the next question about versions, and what was half
/// written goes on until the connection is closed.
#[derive(Debug, Clone, Copy)]
struct Spoilt {
    poll: u64,
    had_begun_one: bool,
}

#[derive(Debug, Clone, Copy)]
struct InFlight {
    correlation_id: i32,
    api: Api,
    version: i16,
    at: Duration,
}

impl WireWatch {
    pub(super) fn on_connect(&mut self, place: Place, terms: &Terms, findings: &mut Findings) {
        let (now, node, id) = place;
        self.open_link(id);
        if node == NOBODY {
            return; // Addresses of several nodes where nobody listens any more.
        }
        let recent = self.connects.entry(node).or_default();
        recent.push_back(now);
        // Drawn with a jitter of a fifth; the bootstrap's name for a node has a backoff of its own.
        let window = terms.shortest_reconnect.mul_f64(0.8);
        while recent.front().is_some_and(|at| *at + window <= now) {
            recent.pop_front();
        }
        if recent.len() > MOST_CONNECTS {
            let count = recent.len();
            findings.broken(Property::P9, now, || {
                format!("{count} connects to node {node} within {window:?} (reconnect.backoff.ms)")
            });
        }
    }

    /// What was read before it is dealt with now.
    pub(super) fn on_poll(&mut self, findings: &mut Findings) {
        self.polls += 1;
        for (at, id, size) in std::mem::take(&mut self.impossible_sizes) {
            if self.links.get(&id).is_some_and(|link| !link.is_closed) {
                findings.broken(Property::P11, at, || {
                    format!("{id:?} goes on although an answer claims to have {size} bytes")
                });
            }
        }
    }

    /// Until the next poll the client may close the connection over it.
    pub(super) fn on_claimed_size(&mut self, now: Duration, id: WireId, size: i32) {
        if !(0..=LARGEST_ANSWER).contains(&size) {
            self.impossible_sizes.push((now, id, size));
        }
    }

    pub(super) fn on_part_of_request(&mut self, id: WireId) {
        self.open_link(id).has_begun_one = true;
    }

    fn open_link(&mut self, id: WireId) -> &mut Link {
        self.links.entry(id).or_default()
    }

    /// Returns the batches if it is a Produce request.
    pub(super) fn on_request(
        &mut self,
        place: Place,
        frame: &[u8],
        (terms, attempts): (&Terms, &Attempts),
        findings: &mut Findings,
    ) -> Option<SeenRequest> {
        let (now, node, id) = place;
        let seen = match read_request(frame) {
            Ok(seen) => seen,
            Err(why) => {
                findings.broken(Property::P1, now, || {
                    format!("request to node {node} on {id:?} cannot be read: {why}")
                });
                return None;
            }
        };
        let polls = self.polls;
        let link = self.open_link(id);
        let expects_answer = !matches!(&seen.body, SeenBody::Produce(produce) if produce.acks == 0);
        link.check(place, (&seen, polls), terms, findings);
        link.has_begun_one = false;
        link.last_correlation_id = Some(seen.correlation_id);
        if expects_answer {
            link.in_flight.push_back(InFlight {
                correlation_id: seen.correlation_id,
                api: seen.api,
                version: seen.version,
                at: now,
            });
            let in_flight = link.in_flight.len();
            self.traffic.entry(id).or_default().begins(now, in_flight);
        }
        let SeenBody::Produce(produce) = &seen.body else {
            return None;
        };
        self.check_produce(place, produce, (terms, attempts), findings);
        Some(seen)
    }

    fn check_produce(
        &self,
        (now, node, id): Place,
        produce: &SeenProduce,
        (terms, attempts): (&Terms, &Attempts),
        findings: &mut Findings,
    ) {
        if produce.acks != terms.acks {
            findings.broken(Property::P1, now, || {
                format!(
                    "acks {} on {id:?}, {} is configured",
                    produce.acks, terms.acks
                )
            });
        }
        let bytes: usize = produce.batches.iter().map(|batch| batch.bytes).sum();
        if produce.batches.len() > 1 && bytes > terms.max_request_size {
            findings.broken(Property::P6, now, || {
                format!("{bytes} bytes of batches in one request (max.request.size)")
            });
        }
        for batch in &produce.batches {
            if !batch.crc_is_right {
                findings.broken(Property::P1, now, || {
                    format!(
                        "wrong checksum of {:?}-{} sequence {} to node {node}",
                        batch.topic, batch.partition, batch.base_sequence
                    )
                });
            }
            let Some(tp) = attempts.tp_of(&batch.topic, batch.partition, terms, &self.ids) else {
                findings.broken(Property::P1, now, || {
                    format!("a batch for {:?}, which no metadata told of", batch.topic)
                });
                continue;
            };
            if !terms.addresses_move && !self.named.contains(&(tp, node)) {
                findings.broken(Property::P10, now, || {
                    let name = terms.topic_name(tp.0);
                    format!(
                        "Produce for {name}-{} to node {node}, never named as its leader",
                        tp.1
                    )
                });
            }
        }
    }

    pub(super) fn on_answer(
        &mut self,
        (now, node, id): Place,
        frame: &[u8],
        (terms, attempts): (&Terms, &mut Attempts),
        findings: &mut Findings,
    ) {
        let link = self.links.get_mut(&id).filter(|link| !link.is_deaf);
        let Some(link) = link else {
            return;
        };
        let correlation_id = frame.first_chunk().map(|bytes| i32::from_be_bytes(*bytes));
        let oldest = link.in_flight.front().copied();
        let Some(asked) = oldest.filter(|asked| Some(asked.correlation_id) == correlation_id)
        else {
            link.spoilt.get_or_insert(Spoilt {
                poll: self.polls,
                had_begun_one: link.has_begun_one,
            });
            link.is_deaf = true;
            self.traffic.entry(id).or_default().trouble(now);
            return;
        };
        link.in_flight.pop_front();
        let left = link.in_flight.len();
        let Some(told) = answers::read(asked.api, asked.version, frame) else {
            link.is_deaf = true;
            attempts.on_lost(now, asked.correlation_id);
            self.traffic.entry(id).or_default().trouble(now);
            return;
        };
        let throttle = Duration::from_millis(u64::try_from(told.throttle_ms).unwrap_or(0));
        link.throttled += throttle;
        if !throttle.is_zero() {
            let of_node = self.throttles.entry(node).or_default();
            of_node.push((now, now + throttle));
        }
        if asked.api == Api::ApiVersions && told.error == 0 {
            link.versions = Some(told.versions.clone());
        }
        let traffic = self.traffic.entry(id).or_default();
        traffic.ends(now, left);
        if asked.api == Api::ApiVersions && told.error == 0 {
            traffic.ready_at.get_or_insert(now);
        }
        self.learn(now, &told, terms);
        attempts.on_told(
            (now, asked.correlation_id),
            &told,
            (terms, &self.ids),
            findings,
        );
    }

    fn learn(&mut self, now: Duration, told: &Told<'_>, terms: &Terms) {
        for topic in told.topics.iter().filter(|topic| topic.error != 0) {
            let Some(topic) = terms.topic(topic.name) else {
                continue;
            };
            for (_, led) in self
                .leaders
                .range_mut((topic, i32::MIN)..=(topic, i32::MAX))
            {
                led.is_known = false;
            }
        }
        for leader in &told.leaders {
            let Some(topic) = terms.topic(leader.name) else {
                continue;
            };
            if !leader.id.is_nil() {
                self.ids.insert(leader.id, topic);
                self.read_ids.entry(leader.id).or_insert((topic, now));
            }
            let tp = (topic, leader.partition);
            self.leaders
                .entry(tp)
                .or_insert_with(|| Led::of(leader.leader))
                .learn(leader.leader, now);
            self.named.insert((tp, leader.leader));
        }
        for answer in &told.produced {
            if answer.leader >= 0 {
                let topic = match answer.topic {
                    Topic::Name(name) => terms.topic(name),
                    Topic::Id(id) => self.ids.get(&id).copied(),
                };
                if let Some(topic) = topic {
                    self.named
                        .insert(((topic, answer.partition), answer.leader));
                }
            }
            self.is_ended_by_broker |= matches!(answer.error, 31 | 35 | 49 | 90);
        }
        if let Some((producer_id, epoch)) = told.identity {
            self.is_ended_by_broker |= !matches!(told.error, 0 | 7 | 14 | 15 | 16 | 51);
            if told.error == 0 && producer_id >= 0 && epoch >= 0 {
                self.identified_at.entry(producer_id).or_insert(now);
                self.identities.insert(producer_id, epoch);
            }
        }
    }

    /// Returns the requests that will not be answered any more.
    pub(super) fn on_closed(&mut self, now: Duration, id: WireId) -> Vec<i32> {
        let Some(link) = self.links.get_mut(&id) else {
            return Vec::new();
        };
        link.is_closed = true;
        let lost: Vec<i32> = link
            .in_flight
            .drain(..)
            .map(|asked| asked.correlation_id)
            .collect();
        let traffic = self.traffic.entry(id).or_default();
        traffic.ends(now, 0);
        traffic.trouble(now);
        lost
    }

    /// The end of the pauses that leaders of the partition had asked for by then, none if they asked
    /// for none.
    pub(super) fn throttled_until(&self, tp: Tp, at: Duration) -> Duration {
        let leads = |node: i32| self.named.contains(&(tp, node));
        let of_leaders = self.throttles.iter().filter(|(node, _)| leads(**node));
        of_leaders
            .flat_map(|(_, throttles)| throttles)
            .filter(|(asked_at, _)| *asked_at <= at)
            .map(|(_, until)| *until)
            .max()
            .unwrap_or_default()
    }

    /// When the request that waits the longest has to be given up.
    pub(super) fn oldest_expiry(&self, terms: &Terms) -> Option<Duration> {
        let of = |link: &Link| {
            let oldest = link.in_flight.front()?;
            Some(oldest.at + terms.request_timeout + link.throttled)
        };
        self.links
            .values()
            .filter(|link| !link.is_closed)
            .filter_map(of)
            .min()
    }
}

impl Led {
    fn of(leader: i32) -> Self {
        Self {
            leader,
            moved_at: None,
            since: Vec::new(),
            is_known: false,
        }
    }

    fn learn(&mut self, leader: i32, now: Duration) {
        if self.leader != leader {
            self.leader = leader;
            self.moved_at.get_or_insert(now);
            self.is_known = false;
        }
        if !self.is_known {
            self.is_known = true;
            self.since.push(now);
        }
    }

    /// Since when it had been known at a time.
    pub(super) fn since(&self, at: Duration) -> Option<Duration> {
        let until = self.since.partition_point(|since| *since <= at);
        self.since.get(until.checked_sub(1)?).copied()
    }
}

impl Link {
    fn check(
        &self,
        (now, node, id): Place,
        (seen, polls): (&SeenRequest, u64),
        terms: &Terms,
        findings: &mut Findings,
    ) {
        let SeenRequest {
            api,
            version,
            correlation_id,
            ..
        } = seen;
        let mut broken = |property, what: &str| {
            findings.broken(property, now, || {
                format!("{api:?} v{version} {correlation_id} to node {node} on {id:?}: {what}")
            });
        };
        let is_spoilt = self.spoilt.is_some_and(|spoilt| {
            let is_excused = *api == Api::ApiVersions || spoilt.had_begun_one && self.has_begun_one;
            spoilt.poll != polls || !is_excused
        });
        if self.is_closed || is_spoilt {
            broken(Property::P11, "after the connection had to be closed");
        }
        if self
            .last_correlation_id
            .is_some_and(|last| correlation_id.wrapping_sub(last) <= 0)
        {
            broken(
                Property::P11,
                "its correlation id is not above the one before",
            );
        }
        if self.in_flight.len() >= terms.max_in_flight {
            broken(
                Property::P2,
                "more in flight than max.in.flight.requests.per.connection",
            );
        }
        let is_known = match (&self.versions, api) {
            (None, Api::ApiVersions) => true,
            (None, _) => {
                broken(Property::P1, "before the node said what it speaks");
                return;
            }
            (Some(versions), _) => versions
                .iter()
                .any(|(key, min, max)| *key == api.key() && (min..=max).contains(&version)),
        };
        let key = match api {
            Api::Produce => ApiKey::Produce,
            Api::Metadata => ApiKey::Metadata,
            Api::ApiVersions => ApiKey::ApiVersions,
            Api::InitProducerId => ApiKey::InitProducerId,
        };
        let ours = supported_versions(key);
        if !is_known || !(ours.min..=ours.max).contains(version) {
            broken(Property::P1, "a version that the node did not name");
        }
    }
}

impl Traffic {
    fn begins(&mut self, now: Duration, in_flight: usize) {
        if in_flight == 1 {
            self.busy.push((now, Duration::MAX));
        }
    }

    fn ends(&mut self, now: Duration, in_flight: usize) {
        if let Some(last) = self.busy.last_mut() {
            if in_flight == 0 && last.1 == Duration::MAX {
                last.1 = now;
            }
        }
    }

    fn trouble(&mut self, now: Duration) {
        self.in_trouble_at.get_or_insert(now);
    }
}

/// The bootstrap's and metadata's name for the same node, one that moved there, and one more.
/// Where nobody listens.
const NOBODY: i32 = 0;
const MOST_CONNECTS: usize = 4;

/// Of what the producer accepts (docs/DESIGN.md).
const LARGEST_ANSWER: i32 = 100 * 1024 * 1024;
