//! One request from its frame to its outcome, faults included.

use bytes::Bytes;
use kafka_protocol::messages::ProduceRequest;
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use crate::cluster::{Cluster, ConnId};
use crate::connection::Outcome;
use crate::fault::{Effect, Moment, Strikes, Target};
use crate::history::What;
use crate::hostile::{self, Spoilt};
use crate::wire::{self, Head, Request};

/// Where and how a request came in.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) connection: ConnId,
    pub(crate) node: i32,
    pub(crate) version: i16,
    pub(crate) correlation_id: i32,
}

/// What a handler says.
#[derive(Debug)]
pub(crate) enum Answer {
    Bytes(Vec<u8>),
    /// Produce with acks=0.
    Nothing,
    /// An error that has no answer.
    Close,
    /// Kafka's handler fails so badly that nothing is ever answered on the connection.
    Mute,
}

impl Cluster {
    pub(crate) fn handle(&mut self, connection: ConnId, node: i32, frame: Bytes) -> Outcome {
        let stricter = self.config.stricter_than_kafka;
        let read = wire::read_request(frame, &self.config.versions, stricter);
        let (head, request) = match read {
            Ok(request) => request,
            Err(why) => {
                self.record(connection, node, What::Refused(why));
                return Outcome::close();
            }
        };
        if self.history.is_on() {
            let what = What::Request {
                api: head.api,
                version: head.version,
                correlation_id: head.correlation_id,
                client_id: head.client_id.as_ref().map(ToString::to_string),
            };
            self.record(connection, node, what);
        }
        let mut strikes = if self.faults.is_empty() {
            Strikes::default()
        } else {
            let target = self.target(&head, node, &request);
            self.faults.strike(&target)
        };
        if let Some(code) = self.nodes.get(&node).and_then(|node| node.answers) {
            strikes.push_error(code);
        }
        let outcome = self.struck(connection, node, (&head, request), &strikes);
        self.faults.count(&strikes);
        outcome
    }

    fn struck(
        &mut self,
        connection: ConnId,
        node: i32,
        (head, request): (&Head, Request),
        strikes: &Strikes,
    ) -> Outcome {
        if let Some(outcome) = strikes.first(instead_of_handling) {
            return outcome;
        }
        let arrival = Arrival {
            connection,
            node,
            version: head.version,
            correlation_id: head.correlation_id,
        };
        let answer = match request {
            Request::Produce(request) => self.produce(&arrival, request, strikes),
            Request::Metadata(request) => self.metadata(&arrival, request, strikes),
            Request::ApiVersions(request) => {
                self.api_versions(&arrival, &request, strikes, head.unknown_version)
            }
            Request::InitProducerId(request) => self.init_producer_id(&arrival, &request, strikes),
        };
        for strike in strikes.iter() {
            if let Effect::Then(change) = strike.effect() {
                strike.had_effect();
                self.apply((**change).clone());
            }
        }
        outcome(answer, head, strikes)
    }

    fn target(&self, head: &Head, node: i32, request: &Request) -> Target {
        let topics = match request {
            _ if !self.faults.name_topics() => Vec::new(),
            Request::Produce(request) => self.named_partitions(request),
            Request::Metadata(request) => request
                .topics
                .iter()
                .flatten()
                .map(|topic| match &topic.name {
                    Some(name) => (name.0.clone(), None),
                    None => (self.text_of(topic.topic_id), None),
                })
                .collect(),
            Request::ApiVersions(_) | Request::InitProducerId(_) => Vec::new(),
        };
        Target {
            api: head.api,
            node,
            topics,
        }
    }

    fn text_of(&self, id: Uuid) -> StrBytes {
        StrBytes::from_string(self.name_of(id).unwrap_or_default())
    }

    fn named_partitions(&self, request: &ProduceRequest) -> Vec<(StrBytes, Option<i32>)> {
        let mut named = Vec::new();
        for topic in &request.topic_data {
            let name = if topic.name.is_empty() {
                self.text_of(topic.topic_id)
            } else {
                topic.name.0.clone()
            };
            for partition in &topic.partition_data {
                named.push((name.clone(), Some(partition.index)));
            }
        }
        named
    }
}

/// The request has no effect and no answer.
fn instead_of_handling(effect: &Effect) -> Option<Outcome> {
    match effect {
        Effect::Swallow => Some(Outcome::mute()),
        Effect::Disconnect(Moment::BeforeAppend) => Some(Outcome::close()),
        _ => None,
    }
}

/// Applies the faults that concern the answer as a whole, in the order in which they were added;
/// last the end of the connection.
fn outcome(answer: Answer, head: &Head, strikes: &Strikes) -> Outcome {
    let mut outcome = Outcome::default();
    match answer {
        Answer::Bytes(bytes) => outcome.bytes = bytes,
        Answer::Nothing => {}
        Answer::Close => outcome.close = true,
        Answer::Mute => outcome.mute = true,
    }
    let mut broken = None;
    for strike in strikes.iter() {
        match strike.effect() {
            Effect::Delay(millis) => outcome.delay_ms += *millis,
            Effect::Hold => outcome.hold = true,
            Effect::Throttle(millis) => outcome.throttle_ms = i64::from(*millis),
            Effect::Overtaken if outcome.bytes.is_empty() => continue,
            Effect::Overtaken => outcome.overtaken = true,
            Effect::Disconnect(Moment::AfterAppend) => broken = Some(0),
            Effect::Disconnect(Moment::MidResponse(bytes)) => broken = Some(*bytes),
            effect => match hostile::spoil(effect, head, &mut outcome.bytes) {
                Spoilt::No => continue,
                Spoilt::Yes => {}
                Spoilt::Ends => outcome.ends = true,
            },
        }
        strike.had_effect();
    }
    if let Some(bytes) = broken {
        outcome.bytes.truncate(bytes);
        outcome.close = true;
    }
    outcome
}
