//! Exactly once and in order, whatever brokers and networks do; and where that cannot be, the
//! outcome says what is known.

#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "tests read clocks, start threads and may panic"
)]

mod fixtures;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use kafka_producer::{
    Acks, Callback, DeliveryError, ErrorKind, Headers, KafkaProducer, Persistence, ProducerConfig,
    ProducerRecord,
};
use kafka_test_support::{
    Api, Change, ClusterConfig, EmbeddedKafka, Fault, Moment, On, StoredRecord, TopicConfig,
    VersionProfile, What,
};

use fixtures::ledger::{Ledger, Outcome, assert_logs_tell, logs_of, text_of, values_in};
use fixtures::peer::{Proxy, dead_address};
use fixtures::{
    Limit, Random, assert_names, assert_waited, config, config_for, eventually, ms, secs, start,
    timed,
};

const TOPIC: &str = "exact";
const PARTITIONS: i32 = 4;

/// Records per run: some 40 batches.
const RECORDS: usize = 800;

fn cluster(brokers: i32) -> ClusterConfig {
    ClusterConfig::brokers(brokers).topic(TOPIC, PARTITIONS)
}

/// Small batches, several in flight.
fn busy(kafka: &EmbeddedKafka) -> ProducerConfig {
    config(kafka).batch_size(512).linger(ms(0))
}

/// A producer whose sequences are under way, so that the first-batch rule is behind it.
fn warm(kafka: &EmbeddedKafka, config: ProducerConfig, ledger: &mut Ledger) -> KafkaProducer {
    let producer = start(config);
    ledger.send_many(&producer, TOPIC, PARTITIONS, 8);
    producer.flush().unwrap();
    assert_eq!(logs_of(kafka, TOPIC).iter().map(Vec::len).sum::<usize>(), 8);
    producer
}

/// Everything arrives exactly once and in order although `fault` strikes in mid-stream.
#[track_caller]
fn survives(brokers: i32, fault: impl FnOnce(&EmbeddedKafka)) {
    survives_as(cluster(brokers), |config| config, fault);
}

#[track_caller]
fn survives_as(
    cluster: ClusterConfig,
    change: impl FnOnce(ProducerConfig) -> ProducerConfig,
    fault: impl FnOnce(&EmbeddedKafka),
) {
    let _limit = Limit::new(secs(60));
    let kafka = EmbeddedKafka::start(cluster);
    let mut ledger = Ledger::default();
    let producer = warm(&kafka, change(busy(&kafka)), &mut ledger);
    ledger.send_many(&producer, TOPIC, PARTITIONS, RECORDS / 2);
    fault(&kafka);
    ledger.send_many(&producer, TOPIC, PARTITIONS, RECORDS / 2);
    producer.flush().unwrap();
    ledger.assert_all_delivered(&kafka);
}

fn add(fault: Fault) -> impl FnOnce(&EmbeddedKafka) {
    move |kafka| kafka.with(|cluster| cluster.fault(fault))
}

#[test]
fn disconnect_before_append_loses_and_repeats_nothing() {
    survives(
        1,
        add(Fault::disconnect(On::produce(), Moment::BeforeAppend).times(3)),
    );
}

#[test]
fn disconnect_after_append_loses_and_repeats_nothing() {
    survives(
        1,
        add(Fault::disconnect(On::produce(), Moment::AfterAppend).times(3)),
    );
}

#[test]
fn disconnect_in_mid_response_loses_and_repeats_nothing() {
    for bytes in [0, 3, 4, 9, 30] {
        let moment = Moment::MidResponse(bytes);
        survives(2, add(Fault::disconnect(On::produce(), moment).times(2)));
    }
}

#[test]
fn request_that_is_never_answered_is_sent_again_after_request_timeout() {
    let short = |config: ProducerConfig| config.request_timeout(ms(300));
    survives_as(
        cluster(1),
        short,
        add(Fault::swallow(On::produce()).times(2)),
    );
}

#[test]
fn response_later_than_request_timeout_repeats_nothing() {
    let short = |config: ProducerConfig| config.request_timeout(ms(300));
    survives_as(
        cluster(1),
        short,
        add(Fault::delay(On::produce(), 600).times(2)),
    );
}

/// Codes after which a producer tries again, by Kafka's numbers: 2 CORRUPT_MESSAGE,
/// 3 UNKNOWN_TOPIC_OR_PARTITION, 5 LEADER_NOT_AVAILABLE, 6 NOT_LEADER_OR_FOLLOWER,
/// 7 REQUEST_TIMED_OUT, 13 NETWORK_EXCEPTION, 19 NOT_ENOUGH_REPLICAS,
/// 20 NOT_ENOUGH_REPLICAS_AFTER_APPEND, 56 KAFKA_STORAGE_ERROR, 74 FENCED_LEADER_EPOCH,
/// 75 UNKNOWN_LEADER_EPOCH, 89 THROTTLING_QUOTA_EXCEEDED, 100 UNKNOWN_TOPIC_ID.
const RETRIABLE: [i16; 13] = [2, 3, 5, 6, 7, 13, 19, 20, 56, 74, 75, 89, 100];

#[test]
fn retriable_code_before_append_loses_and_repeats_nothing() {
    for code in RETRIABLE {
        println!("code {code}");
        let on = On::produce().partition(TOPIC, 1);
        survives(1, add(Fault::error(on, code).times(3)));
    }
}

/// Of these a leader may have appended first.
#[test]
fn retriable_code_after_append_loses_and_repeats_nothing() {
    for code in [3, 6, 7, 13, 20, 56] {
        println!("code {code}");
        let on = On::produce().partition(TOPIC, 1);
        survives(1, add(Fault::error_after_append(on, code).times(3)));
    }
}

#[test]
fn leader_moved_is_followed_by_hint_and_by_metadata() {
    for versions in [VersionProfile::KAFKA_43, VersionProfile::KAFKA_28] {
        let cluster = cluster(3).versions(versions);
        survives_as(
            cluster,
            |config| config,
            |kafka| {
                kafka.with(|cluster| {
                    for partition in 0..PARTITIONS {
                        let leader = cluster.leader(TOPIC, partition).unwrap();
                        cluster.move_leader(TOPIC, partition, leader % 3 + 1);
                    }
                });
            },
        );
    }
}

#[test]
fn leader_that_moves_all_the_time_loses_and_repeats_nothing() {
    let moves = |kafka: &EmbeddedKafka| {
        let now = kafka.now_ms();
        kafka.with(|cluster| {
            for turn in 0..30 {
                for partition in 0..PARTITIONS {
                    let leader = (turn + partition) % 3 + 1;
                    let change = Change::MoveLeader(TOPIC.to_owned(), partition, Some(leader));
                    cluster.schedule(now + i64::from(turn) * 20, change);
                }
            }
            cluster.fault(Fault::delay(On::produce(), 5).times(60));
        });
    };
    survives(3, moves);
}

#[test]
fn broker_that_stops_and_comes_back_loses_and_repeats_nothing() {
    survives(3, |kafka| {
        kafka.stop_broker(1);
        kafka.start_broker(1);
        kafka.stop_broker(2);
    });
}

#[test]
fn only_broker_that_stops_and_comes_back_loses_and_repeats_nothing() {
    let _limit = Limit::new(secs(60));
    let kafka = EmbeddedKafka::start(cluster(1));
    let mut ledger = Ledger::default();
    let producer = warm(&kafka, busy(&kafka), &mut ledger);
    kafka.with(|cluster| cluster.fault(Fault::hold(On::produce()).times(2)));
    ledger.send_many(&producer, TOPIC, PARTITIONS, RECORDS);
    kafka.stop_broker(1);
    ledger.send_many(&producer, TOPIC, PARTITIONS, RECORDS);
    kafka.start_broker(1);
    ledger.assert_all_delivered(&kafka);
}

#[test]
fn all_brokers_that_stop_and_come_back_lose_and_repeat_nothing() {
    let _limit = Limit::new(secs(60));
    let kafka = EmbeddedKafka::start(cluster(3));
    let mut ledger = Ledger::default();
    let producer = warm(&kafka, busy(&kafka), &mut ledger);
    kafka.with(|cluster| cluster.fault(Fault::hold(On::produce()).times(3)));
    ledger.send_many(&producer, TOPIC, PARTITIONS, RECORDS);
    for node in 1..=3 {
        kafka.stop_broker(node);
    }
    ledger.send_many(&producer, TOPIC, PARTITIONS, RECORDS);
    for node in 1..=3 {
        kafka.start_broker(node);
    }
    ledger.assert_all_delivered(&kafka);
}

#[test]
fn late_responses_with_five_in_flight_keep_every_partitions_order() {
    survives(1, add(Fault::delay(On::produce(), 15).times(40)));
}

#[test]
fn code_for_one_of_five_in_flight_keeps_the_order_of_its_partition() {
    let faults = |kafka: &EmbeddedKafka| {
        kafka.with(|cluster| {
            cluster.fault(Fault::delay(On::produce(), 10).times(20));
            for (partition, skip) in [(0, 1), (1, 2), (2, 3), (3, 0), (0, 7)] {
                let on = On::produce().partition(TOPIC, partition);
                cluster.fault(Fault::error(on, 6).after(skip));
            }
        });
    };
    survives(1, faults);
}

/// Batches that reached a node, whatever the answer.
fn batches_at(kafka: &EmbeddedKafka, node: i32) -> usize {
    kafka.with(|cluster| {
        let events = cluster.history();
        let is_batch = |what: &What| matches!(what, What::Produced(_));
        events
            .filter(|event| event.node == node && is_batch(&event.what))
            .count()
    })
}

/// A broker remembers five batches of a producer. With five unanswered at the old leader none may
/// go to the new one: else the five could not be recognised when they are sent again.
#[test]
fn five_unanswered_batches_hold_back_the_sixth_although_the_leader_moved() {
    let _limit = Limit::new(secs(30));
    let kafka = EmbeddedKafka::start(ClusterConfig::brokers(2).topic("one", 1));
    let proxy = Proxy::to(([127, 0, 0, 1], kafka.port(1)).into());
    kafka.with(|cluster| cluster.set_endpoint(1, "127.0.0.1", proxy.port()));
    let config = config_for(format!("127.0.0.1:{}", kafka.port(2)))
        .metadata_max_age(ms(300))
        .batch_size(0)
        .linger(ms(0));
    let producer = start(config);
    let mut ledger = Ledger::default();
    ledger.send_many(&producer, "one", 1, 1);
    producer.flush().unwrap();
    // No metadata request is under way to the old leader: it would take the place of a batch.
    let asked = || metadata_requests_at(&kafka, 1) + metadata_requests_at(&kafka, 2);
    let before = asked();
    eventually("metadata is fresh", || asked() > before);
    ledger.send_many(&producer, "one", 1, 1);
    producer.flush().unwrap();
    proxy.withhold_answers();
    ledger.send_many(&producer, "one", 1, 30);
    eventually("five batches are at the old leader", || {
        batches_at(&kafka, 1) == 7
    });
    kafka.with(|cluster| cluster.move_leader("one", 0, 2));
    let asked = metadata_requests_at(&kafka, 2);
    eventually("the client knows the new leader", || {
        metadata_requests_at(&kafka, 2) >= asked + 2
    });
    assert_eq!((batches_at(&kafka, 1), batches_at(&kafka, 2)), (7, 0));
    proxy.cut();
    producer.flush().unwrap();
    ledger.assert_all_delivered(&kafka);
}

/// What is queued goes out as deep as may be, though nobody appends and nobody answers meanwhile.
#[test]
fn backlog_of_a_partition_leaves_five_requests_deep() {
    let _limit = Limit::new(secs(30));
    let kafka = EmbeddedKafka::start(ClusterConfig::brokers(1).topic("one", 1));
    let proxy = Arc::new(Proxy::to(([127, 0, 0, 1], kafka.port(1)).into()));
    kafka.with(|cluster| cluster.set_endpoint(1, "127.0.0.1", proxy.port()));
    let producer = start(busy(&kafka).batch_size(0));
    producer
        .send(ProducerRecord::new("one", "first"))
        .unwrap()
        .get()
        .unwrap();
    // Inside a callback nothing leaves before all twenty are queued.
    let (inner, withheld) = (producer.clone(), Arc::clone(&proxy));
    let callback = Callback::once(move |_| {
        withheld.withhold_answers();
        for _ in 0..20 {
            drop(inner.send(ProducerRecord::new("one", "queued")).unwrap());
        }
    });
    let record = ProducerRecord::new("one", "second");
    drop(producer.send_with(record, callback).unwrap());
    eventually("five more are at the broker", || batches_at(&kafka, 1) == 7);
    proxy.cut();
    producer.flush().unwrap();
    assert_eq!(values_in(&kafka, "one", 0).len(), 22);
}

fn metadata_requests_at(kafka: &EmbeddedKafka, node: i32) -> usize {
    kafka.with(|cluster| {
        let events = cluster.history();
        let is_metadata = |what: &What| {
            matches!(
                what,
                What::Request {
                    api: Api::Metadata,
                    ..
                }
            )
        };
        events
            .filter(|event| event.node == node && is_metadata(&event.what))
            .count()
    })
}

/// A partition's leader that knows nothing of a producer takes any sequence for the first: were a
/// second batch under way with the first, it would be taken, and the first never (KAFKA-15591).
#[test]
fn first_batch_of_a_partition_is_not_overtaken_when_it_has_to_be_sent_again() {
    let faults = [
        Fault::error(On::produce(), 6),
        Fault::error(On::produce(), 19),
        Fault::disconnect(On::produce(), Moment::BeforeAppend),
    ];
    for fault in faults {
        let _limit = Limit::new(secs(30));
        let kafka = EmbeddedKafka::start(cluster(1));
        kafka.with(|cluster| {
            // There is time enough for a second batch to leave.
            cluster.fault(Fault::delay(On::produce(), 50));
            cluster.fault(fault);
        });
        let producer = start(busy(&kafka).batch_size(0));
        producer.partitions_for(TOPIC).unwrap();
        let mut ledger = Ledger::default();
        for number in 0..20 {
            ledger.send(&producer, TOPIC, Some(0), format!("{number:03}"));
        }
        producer.flush().unwrap();
        ledger.assert_all_delivered(&kafka);
        // Nothing was refused for its sequence: there was nothing to mend.
        assert_eq!(refusals(&kafka, 45), 0);
    }
}

/// 45 OUT_OF_ORDER_SEQUENCE_NUMBER says that this attempt was not appended, and nothing of the one
/// before it, which had no answer: under another sequence the batch might be there twice.
#[test]
fn gap_told_of_a_batch_with_an_unanswered_attempt_ends_it_unknown() {
    let _limit = Limit::new(secs(30));
    let kafka = EmbeddedKafka::start(cluster(1));
    let mut ledger = Ledger::default();
    let producer = warm(&kafka, busy(&kafka), &mut ledger);
    kafka.with(|cluster| {
        let on = On::produce().partition(TOPIC, 2);
        cluster.fault(Fault::disconnect(on.clone(), Moment::AfterAppend));
        cluster.fault(Fault::error(on, 45).after(1));
    });
    let error = producer.send(full_record()).unwrap().get().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfOrderSequence);
    assert_eq!(error.persistence(), Persistence::Unknown);
    assert_given_back(&error);
    assert_eq!(logs_of(&kafka, TOPIC)[2].len(), 3, "it is there once");
    producer.send(full_record()).unwrap().get().unwrap();
    assert_eq!(logs_of(&kafka, TOPIC)[2].len(), 4);
}

/// The same after nothing but answers is mended: a new epoch, and the batch goes again.
#[test]
fn gap_told_of_a_batch_whose_attempts_were_all_answered_is_mended() {
    survives(1, |kafka| {
        kafka.with(|cluster| {
            for partition in 0..PARTITIONS {
                cluster.fault(Fault::error(On::produce().partition(TOPIC, partition), 45));
            }
        });
    });
}

#[test]
fn broker_that_forgot_the_producer_loses_and_repeats_nothing() {
    // The oldest one refuses what it does not know (59 UNKNOWN_PRODUCER_ID).
    for versions in [VersionProfile::KAFKA_43, VersionProfile::KAFKA_21] {
        let forgets = |kafka: &EmbeddedKafka| {
            for partition in 0..PARTITIONS {
                let change = Change::ForgetProducers(TOPIC.to_owned(), partition);
                kafka.with(|cluster| cluster.apply(change));
            }
        };
        survives_as(cluster(1).versions(versions), |config| config, forgets);
    }
}

/// An unclean election loses what was acknowledged. That is not ours to mend; what comes after it
/// still arrives once and in order.
#[test]
fn log_that_lost_acknowledged_records_gets_all_that_follow_once_and_in_order() {
    let _limit = Limit::new(secs(30));
    let kafka = EmbeddedKafka::start(ClusterConfig::brokers(1).topic("one", 1));
    let producer = start(busy(&kafka).batch_size(0));
    let mut ledger = Ledger::default();
    ledger.send_many(&producer, "one", 1, 20);
    producer.flush().unwrap();
    kafka.with(|cluster| {
        cluster.apply(Change::Truncate("one".to_owned(), 0, 12));
    });
    ledger.sent.clear();
    for number in 0..60 {
        ledger.send(&producer, "one", Some(0), format!("after {number:03}"));
    }
    producer.flush().unwrap();
    for (sent, number) in ledger.sent.into_iter().zip(0..) {
        assert_eq!(sent.handle.get().unwrap().offset(), Some(12 + number));
    }
    let values = values_in(&kafka, "one", 0);
    let due: Vec<String> = (0..60).map(|number| format!("after {number:03}")).collect();
    assert_eq!(values[12..], due);
    assert_eq!(producer.data_losses(), 1);
}

#[test]
fn log_that_lost_acknowledged_records_is_told_of_without_idempotence() {
    let _limit = Limit::new(secs(30));
    let kafka = EmbeddedKafka::start(ClusterConfig::brokers(1).topic("one", 1));
    let producer = start(busy(&kafka).enable_idempotence(false).batch_size(0));
    let mut ledger = Ledger::default();
    ledger.send_many(&producer, "one", 1, 20);
    producer.flush().unwrap();
    assert_eq!(producer.data_losses(), 0);
    kafka.with(|cluster| {
        cluster.apply(Change::Truncate("one".to_owned(), 0, 12));
    });
    ledger.send_many(&producer, "one", 1, 20);
    producer.flush().unwrap();
    assert_eq!(producer.data_losses(), 1);
    ledger.sent.clear();
}

/// Retention deletes old records, and with them nothing that a producer goes by.
#[test]
fn records_deleted_by_retention_disturb_nothing() {
    survives_appending(|kafka| {
        for partition in 0..PARTITIONS {
            let end = kafka.with(|cluster| cluster.end_offset(TOPIC, partition));
            let change = Change::DeleteRecords(TOPIC.to_owned(), partition, end);
            kafka.with(|cluster| cluster.apply(change));
        }
    });
}

/// The log does not begin at 0 any more, so only offsets and order are held against the handles.
fn survives_appending(change: impl Fn(&EmbeddedKafka)) {
    let _limit = Limit::new(secs(30));
    let kafka = EmbeddedKafka::start(cluster(1));
    let producer = start(busy(&kafka));
    let mut last = [-1; 4];
    for _ in 0..20 {
        let mut ledger = Ledger::default();
        ledger.send_many(&producer, TOPIC, PARTITIONS, 40);
        producer.flush().unwrap();
        change(&kafka);
        for outcome in ledger.settle() {
            let metadata = outcome.result.unwrap();
            let partition = usize::try_from(metadata.partition()).unwrap();
            assert_eq!(metadata.offset(), Some(last[partition] + 1));
            last[partition] += 1;
        }
    }
    assert_eq!(producer.data_losses(), 0);
}

#[test]
fn init_producer_id_that_fails_a_few_times_only_delays() {
    // 14 COORDINATOR_LOAD_IN_PROGRESS, 15 COORDINATOR_NOT_AVAILABLE, 16 NOT_COORDINATOR,
    // 7 REQUEST_TIMED_OUT, 13 NETWORK_EXCEPTION.
    for code in [14, 15, 16, 7, 13] {
        let _limit = Limit::new(secs(30));
        let kafka = EmbeddedKafka::start(cluster(2));
        let init = On::init_producer_id();
        kafka.with(|cluster| {
            cluster.fault(Fault::error(init.clone(), code).times(2));
            cluster.fault(Fault::disconnect(init, Moment::BeforeAppend).after(1));
        });
        let producer = start(busy(&kafka));
        let mut ledger = Ledger::default();
        ledger.send_many(&producer, TOPIC, PARTITIONS, 100);
        ledger.assert_all_delivered(&kafka);
    }
}

#[test]
fn init_producer_id_that_is_not_allowed_fails_what_is_sent_and_says_so() {
    let _limit = Limit::new(secs(30));
    let kafka = EmbeddedKafka::start(cluster(1));
    // 31 CLUSTER_AUTHORIZATION_FAILED.
    kafka.with(|cluster| cluster.fault(Fault::error(On::init_producer_id(), 31).always()));
    let producer = start(busy(&kafka));
    let error = match producer.send(ProducerRecord::new(TOPIC, "v")) {
        Ok(handle) => handle.get().unwrap_err().error().clone(),
        Err(refused) => refused.error().clone(),
    };
    assert_eq!(error.kind(), ErrorKind::ClusterAuthorization);
    assert_eq!(error.code(), Some(31));
    assert_names(&error.to_string(), &["enable.idempotence"]);
    producer.close(secs(10)).unwrap();
}

#[test]
fn too_few_replicas_delay_until_they_are_back() {
    let _limit = Limit::new(secs(30));
    let topic = TopicConfig::new(TOPIC, PARTITIONS).min_insync_replicas(2);
    let kafka = EmbeddedKafka::start(ClusterConfig::brokers(2).topic_with(topic));
    let mut ledger = Ledger::default();
    let producer = warm(&kafka, busy(&kafka), &mut ledger);
    kafka.stop_broker(2);
    ledger.send_many(&producer, TOPIC, PARTITIONS, 200);
    eventually("a batch is refused for want of replicas", || {
        refusals(&kafka, 19) > 0
    });
    kafka.start_broker(2);
    ledger.assert_all_delivered(&kafka);
}

fn refusals(kafka: &EmbeddedKafka, code: i16) -> usize {
    kafka.with(|cluster| {
        let events = cluster.history();
        events
            .filter(|e| matches!(&e.what, What::Produced(batch) if batch.error_code == code))
            .count()
    })
}

#[test]
fn throttled_producer_waits_and_loses_nothing() {
    survives(
        1,
        add(Fault::new(On::produce(), kafka_test_support::Effect::Throttle(100)).times(3)),
    );
}

#[test]
fn wrong_correlation_id_costs_the_connection_and_no_record() {
    let effect = kafka_test_support::Effect::WrongCorrelationId;
    survives(1, add(Fault::new(On::produce(), effect)));
}

#[test]
fn garbage_for_an_answer_costs_the_connection_and_no_record() {
    for garbage in [vec![], vec![0xff; 3], vec![0x7f; 200]] {
        let effect = kafka_test_support::Effect::Garbage(garbage);
        survives(1, add(Fault::new(On::produce(), effect)));
    }
}

#[test]
fn batch_larger_than_the_topic_takes_arrives_in_pieces_in_order_with_its_successors() {
    for idempotence in [true, false] {
        let _limit = Limit::new(secs(30));
        let topic = TopicConfig::new(TOPIC, 1).max_message_bytes(1000);
        let kafka = EmbeddedKafka::start(ClusterConfig::brokers(1).topic_with(topic));
        let config = config(&kafka).enable_idempotence(idempotence);
        let producer = start(config.batch_size(5000).linger(secs(20)));
        let mut ledger = Ledger::default();
        for round in 0..6 {
            let count = if round % 2 == 0 { 10 } else { 60 };
            ledger.send_many(&producer, TOPIC, 1, count);
            producer.flush().unwrap();
        }
        let outcomes = ledger.settle();
        for (outcome, turn) in outcomes.iter().zip(0_i64..) {
            let result = outcome.result.as_ref();
            let metadata = result.unwrap_or_else(|error| panic!("{turn}: {error:?}"));
            assert_eq!(metadata.offset(), Some(turn));
        }
        assert_logs_tell(&kafka, &outcomes);
    }
}

/// A record with everything in it, to be given back.
fn full_record() -> ProducerRecord<'static, Vec<u8>, Vec<u8>> {
    let mut headers = Headers::default();
    headers.add("h", "1");
    headers.push(kafka_producer::Header::null("h"));
    ProducerRecord::new(TOPIC, vec![0, 159, 255])
        .key(b"key".to_vec())
        .headers(headers)
        .timestamp_ms(1_500_000_000_000)
        .partition(2)
}

#[track_caller]
fn assert_given_back(error: &DeliveryError) {
    let sent = full_record();
    let back = error.record().expect("the record is given back");
    assert_eq!((&*back.topic, back.partition), (TOPIC, 2));
    assert_eq!(back.timestamp_ms, 1_500_000_000_000);
    assert_eq!(back.key.as_deref(), Some(&sent.key[..]));
    assert_eq!(back.value.as_deref(), Some(&sent.value[..]));
    assert_eq!(back.headers, sent.headers);
}

/// Gives up after 600 ms in all.
fn impatient(kafka: &EmbeddedKafka) -> ProducerConfig {
    config(kafka)
        .request_timeout(ms(250))
        .linger(ms(0))
        .delivery_timeout(GIVE_UP)
}

const GIVE_UP: Duration = ms(600);

#[track_caller]
fn fails_under(fault: Fault) -> DeliveryError {
    let _limit = Limit::new(secs(20));
    let kafka = EmbeddedKafka::start(cluster(1));
    let producer = start(impatient(&kafka));
    producer.partitions_for(TOPIC).unwrap();
    kafka.with(|cluster| cluster.fault(fault));
    let (result, waited) = timed(|| producer.send(full_record()).unwrap().get());
    let error = result.expect_err("it cannot be delivered");
    assert_waited(waited, GIVE_UP);
    assert_names(&error.to_string(), &["exact-2", "delivery.timeout.ms"]);
    assert_given_back(&error);
    // Others do not suffer, nor does the partition afterwards.
    kafka.with(|cluster| {
        cluster.clear_faults();
        cluster.release();
    });
    producer.send(full_record()).unwrap().get().unwrap();
    error
}

#[test]
fn delivery_timeout_with_an_unanswered_attempt_is_unknown() {
    let error = fails_under(Fault::swallow(On::produce()).always());
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(error.persistence(), Persistence::Unknown);
}

#[test]
fn delivery_timeout_after_lost_connections_is_unknown() {
    let error = fails_under(Fault::disconnect(On::produce(), Moment::BeforeAppend).always());
    assert_eq!(error.persistence(), Persistence::Unknown);
}

#[test]
fn delivery_timeout_after_nothing_but_proofs_is_not_written() {
    // 19 NOT_ENOUGH_REPLICAS proves that this attempt was not appended.
    let error = fails_under(Fault::error(On::produce(), 19).always());
    assert_eq!(error.persistence(), Persistence::NotWritten);
}

#[test]
fn delivery_timeout_after_codes_that_prove_nothing_is_unknown() {
    // 7 REQUEST_TIMED_OUT may come after the append.
    let error = fails_under(Fault::error(On::produce(), 7).always());
    assert_eq!(error.persistence(), Persistence::Unknown);
}

#[test]
fn proof_after_an_unanswered_attempt_proves_nothing() {
    let _limit = Limit::new(secs(20));
    let kafka = EmbeddedKafka::start(cluster(1));
    let producer = start(impatient(&kafka));
    producer.partitions_for(TOPIC).unwrap();
    kafka.with(|cluster| {
        cluster.fault(Fault::disconnect(On::produce(), Moment::AfterAppend));
        cluster.fault(Fault::error(On::produce(), 19).after(1).always());
    });
    let error = producer.send(full_record()).unwrap().get().unwrap_err();
    assert_eq!(error.persistence(), Persistence::Unknown);
    assert_eq!(logs_of(&kafka, TOPIC)[2].len(), 1, "it was written indeed");
}

#[test]
fn record_that_never_reached_a_socket_is_not_written() {
    let _limit = Limit::new(secs(20));
    let kafka = EmbeddedKafka::start(cluster(1));
    let producer = start(impatient(&kafka));
    producer.partitions_for(TOPIC).unwrap();
    kafka.stop_broker(1);
    let (result, waited) = timed(|| producer.send(full_record()).unwrap().get());
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(error.persistence(), Persistence::NotWritten);
    assert_waited(waited, GIVE_UP);
    assert_given_back(&error);
}

#[test]
fn record_too_large_for_the_topic_is_not_written_and_fails_at_once() {
    let _limit = Limit::new(secs(20));
    let topic = TopicConfig::new(TOPIC, PARTITIONS).max_message_bytes(50);
    let kafka = EmbeddedKafka::start(ClusterConfig::brokers(1).topic_with(topic));
    let producer = start(config(&kafka));
    let error = producer.send(full_record()).unwrap().get().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RecordTooLarge);
    assert_eq!(error.error().code(), Some(10));
    assert_eq!(error.persistence(), Persistence::NotWritten);
    assert_given_back(&error);
}

#[test]
fn record_without_key_for_a_compacted_topic_is_refused_and_the_rest_arrives() {
    let _limit = Limit::new(secs(20));
    let topic = TopicConfig::new(TOPIC, 1).compacted();
    let kafka = EmbeddedKafka::start(ClusterConfig::brokers(1).topic_with(topic));
    let producer = start(config(&kafka).linger(secs(10)));
    let keyed = |value| ProducerRecord::new(TOPIC, value).key("k");
    let good = producer.send(keyed("good")).unwrap();
    let bad = producer.send(ProducerRecord::new(TOPIC, "bad")).unwrap();
    let fine = producer.send(keyed("fine")).unwrap();
    producer.flush().unwrap();
    let error = bad.get().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRecord);
    assert_eq!(error.error().code(), Some(87));
    assert_eq!(error.persistence(), Persistence::NotWritten);
    // The innocent ones of its batch are sent again.
    let offsets = [good, fine].map(|handle| handle.get().unwrap().offset());
    assert_eq!(offsets, [Some(0), Some(1)]);
    drop(producer.send(keyed("after")).unwrap());
    producer.flush().unwrap();
    assert_eq!(values_in(&kafka, TOPIC, 0), ["good", "fine", "after"]);
}

#[test]
fn batch_of_unknown_fate_in_mid_stream_leaves_the_rest_exactly_once_and_in_order() {
    let _limit = Limit::new(secs(60));
    for moment in [Moment::BeforeAppend, Moment::AfterAppend] {
        let kafka = EmbeddedKafka::start(cluster(1));
        let mut ledger = Ledger::default();
        let patient = busy(&kafka)
            .request_timeout(ms(200))
            .delivery_timeout(ms(700));
        let producer = warm(&kafka, patient, &mut ledger);
        let on = On::produce().partition(TOPIC, 1);
        kafka.with(|cluster| cluster.fault(Fault::disconnect(on, moment).always()));
        ledger.send_many(&producer, TOPIC, PARTITIONS, 40);
        eventually("the records of partition 1 are given up", || {
            ledger.sent.iter().all(|sent| sent.handle.is_done())
        });
        kafka.with(|cluster| cluster.clear_faults());
        ledger.send_many(&producer, TOPIC, PARTITIONS, 200);
        producer.flush().unwrap();
        let outcomes = ledger.settle();
        let failed = outcomes.iter().filter(|o| o.result.is_err()).count();
        assert!(failed > 0, "nothing was given up");
        let last = outcomes.len() - 200;
        assert!(outcomes[last..].iter().all(|o| o.result.is_ok()));
        assert_logs_tell(&kafka, &outcomes);
    }
}

#[test]
fn without_idempotence_one_in_flight_keeps_the_order_under_codes_that_prove() {
    let single = |config: ProducerConfig| {
        config
            .enable_idempotence(false)
            .acks(Acks::Leader)
            .max_in_flight_requests_per_connection(1)
    };
    let on = On::produce().partition(TOPIC, 0);
    survives_as(cluster(1), single, add(Fault::error(on, 19).times(4)));
}

#[test]
fn retries_of_zero_fails_at_the_first_code() {
    let _limit = Limit::new(secs(20));
    let kafka = EmbeddedKafka::start(cluster(1));
    kafka.with(|cluster| cluster.fault(Fault::error(On::produce(), 19)));
    let config = config(&kafka).enable_idempotence(false).retries(0);
    let producer = start(config);
    let error = producer.send(full_record()).unwrap().get().unwrap_err();
    assert_eq!(error.error().code(), Some(19));
    assert_eq!(error.error().code_name(), Some("NOT_ENOUGH_REPLICAS"));
    assert!(error.error().is_retriable());
    producer.send(full_record()).unwrap().get().unwrap();
}

/// One run of many faults at once; the seed is all of it but the timing.
fn random_run(seed: u64, delivery_timeout: Duration) -> Vec<Outcome> {
    let (kafka, outcomes) = random_run_as(seed, delivery_timeout, |config| config);
    assert_logs_tell(&kafka, &outcomes);
    outcomes
}

fn random_run_as(
    seed: u64,
    delivery_timeout: Duration,
    change: impl FnOnce(ProducerConfig) -> ProducerConfig,
) -> (EmbeddedKafka, Vec<Outcome>) {
    let _limit = Limit::new(secs(90));
    let mut random = Random(seed);
    let versions = *random.pick(&[
        VersionProfile::KAFKA_43,
        VersionProfile::KAFKA_43,
        VersionProfile::KAFKA_39,
        VersionProfile::KAFKA_21,
    ]);
    let kafka = EmbeddedKafka::start(cluster(3).topic("other", 3).versions(versions).seed(seed));
    let proxies: Vec<Proxy> = (1..=3)
        .map(|node| Proxy::to(([127, 0, 0, 1], kafka.port(node)).into()))
        .collect();
    send_through(&kafka, &proxies);
    let batch = 200 + usize::try_from(random.below(2000)).unwrap();
    let config = config(&kafka)
        .batch_size(batch)
        .linger(ms(random.below(4)))
        .request_timeout(delivery_timeout.min(ms(500)) / 2)
        .delivery_timeout(delivery_timeout);
    let producer = start(change(config));
    let mut ledger = Ledger::default();
    for _ in 0..30 {
        if random.below(2) == 0 {
            kafka.with(|cluster| random_fault(cluster, &mut random));
        }
        if random.below(4) == 0 {
            restart_or_move(&kafka, &mut random);
            send_through(&kafka, &proxies);
        }
        // A connection breaks wherever it is; before that its answers may have stopped.
        match random.below(8) {
            0 => random.pick(&proxies).cut(),
            1 => random.pick(&proxies).withhold_answers(),
            _ => {}
        }
        let count = usize::try_from(random.below(60)).unwrap();
        ledger.send_many(&producer, TOPIC, PARTITIONS, count);
        ledger.send_many(&producer, "other", 3, count / 2);
        if random.below(5) == 0 {
            let _ = producer.flush_timeout(ms(random.below(80)));
        }
    }
    kafka.with(|cluster| {
        cluster.clear_faults();
        cluster.release();
    });
    for node in 1..=3 {
        kafka.start_broker(node);
        kafka.with(|cluster| cluster.apply(Change::ThawMetadata(node)));
    }
    proxies.iter().for_each(Proxy::cut);
    producer.flush().unwrap();
    // Whatever came before, now everything has to go through.
    let late = ledger.sent.len();
    if delivery_timeout > secs(1) {
        ledger.send_many(&producer, TOPIC, PARTITIONS, 40);
    }
    let outcomes = ledger.settle();
    for outcome in &outcomes[late..] {
        assert!(outcome.result.is_ok(), "seed {seed}: {:?}", outcome.result);
    }
    println!("codes {:?}", codes(&kafka));
    drop(producer);
    (kafka, outcomes)
}

/// Clients are told to find the brokers behind the proxies.
fn send_through(kafka: &EmbeddedKafka, proxies: &[Proxy]) {
    for (proxy, node) in proxies.iter().zip(1..) {
        kafka.with(|cluster| cluster.set_endpoint(node, "127.0.0.1", proxy.port()));
    }
}

/// How often which code was the answer to a batch.
fn codes(kafka: &EmbeddedKafka) -> BTreeMap<i16, usize> {
    let mut codes = BTreeMap::new();
    kafka.with(|cluster| {
        for event in cluster.history() {
            if let What::Produced(batch) = &event.what {
                *codes.entry(batch.error_code).or_default() += 1;
            }
        }
    });
    codes
}

fn random_fault(cluster: &mut kafka_test_support::Cluster, random: &mut Random) {
    let on = match random.below(6) {
        0 => On::produce(),
        1 => On::produce().node(random.number(3) + 1),
        2 => On::produce().topic("other"),
        3 => On::metadata(),
        4 => On::init_producer_id(),
        _ => On::produce().partition(TOPIC, random.number(PARTITIONS)),
    };
    let moments = [
        Moment::BeforeAppend,
        Moment::AfterAppend,
        Moment::MidResponse(usize::try_from(random.below(40)).unwrap()),
    ];
    let moment = *random.pick(&moments);
    let fault = match random.below(8) {
        0 | 1 => Fault::disconnect(on, moment),
        2 => Fault::error(on, *random.pick(&[7, 13])),
        3 => Fault::error(On::produce().topic(TOPIC), *random.pick(&RETRIABLE)),
        4 => Fault::error_after_append(On::produce().topic(TOPIC), *random.pick(&[6, 7, 13, 20])),
        5 => Fault::delay(on, i64::try_from(random.below(60)).unwrap()),
        6 => Fault::swallow(on),
        _ => Fault::throttle(on, random.number(40)),
    };
    let times = u32::try_from(1 + random.below(3)).unwrap();
    let skip = u32::try_from(random.below(4)).unwrap();
    cluster.fault(fault.times(times).after(skip));
}

fn restart_or_move(kafka: &EmbeddedKafka, random: &mut Random) {
    let node = random.number(3) + 1;
    match random.below(4) {
        0 => {
            kafka.stop_broker(node);
            kafka.start_broker(node);
        }
        1 => kafka.with(|cluster| cluster.apply(Change::FreezeMetadata(node))),
        2 => kafka.with(|cluster| cluster.apply(Change::ThawMetadata(node))),
        _ => {
            let partition = random.number(PARTITIONS);
            kafka.with(|cluster| cluster.move_leader(TOPIC, partition, node));
        }
    }
    // A frozen view must not outlive its turn for ever.
    if random.below(2) == 0 {
        for node in 1..=3 {
            kafka.with(|cluster| cluster.apply(Change::ThawMetadata(node)));
        }
    }
}

/// `KAFKA_TEST_SEED=7 cargo test --test idempotence random` runs one seed again, and
/// `KAFKA_TEST_SEEDS=500` that many.
fn for_seeds(run: impl Fn(u64)) {
    let number = |name| std::env::var(name).map(|n| n.parse().expect("it is a number"));
    if let Ok(seed) = number("KAFKA_TEST_SEED") {
        return run(seed);
    }
    for seed in 1..=number("KAFKA_TEST_SEEDS").unwrap_or(8) {
        println!("seed {seed}: KAFKA_TEST_SEED={seed} runs it again");
        run(seed);
    }
}

#[test]
fn random_faults_lose_repeat_and_reorder_nothing() {
    for_seeds(|seed| {
        for outcome in random_run(seed, secs(60)) {
            let (value, result) = (outcome.value, outcome.result);
            assert!(result.is_ok(), "seed {seed}: {value}: {result:?}");
        }
    });
}

/// Records that are given up may be anywhere, but nothing that is said of them is wrong.
#[test]
fn random_faults_under_a_short_delivery_timeout_leave_true_outcomes() {
    for_seeds(|seed| {
        let outcomes = random_run(seed, ms(150));
        let is =
            |known| move |o: &&Outcome| o.result.as_ref().is_err_and(|e| e.persistence() == known);
        println!(
            "of {} records {} are not written and {} unknown",
            outcomes.len(),
            outcomes.iter().filter(is(Persistence::NotWritten)).count(),
            outcomes.iter().filter(is(Persistence::Unknown)).count(),
        );
    });
}

/// Without idempotence there may be repetitions; what was acknowledged is there all the same, where
/// it was said, and what is said to be nowhere is nowhere.
#[test]
fn random_faults_without_idempotence_lose_nothing_that_was_acknowledged() {
    for_seeds(|seed| {
        for delivery_timeout in [secs(60), ms(150)] {
            let plain = |config: ProducerConfig| config.enable_idempotence(false);
            let (kafka, outcomes) = random_run_as(seed, delivery_timeout, plain);
            for topic in [TOPIC, "other"] {
                let of_topic = outcomes.iter().filter(|outcome| outcome.topic == topic);
                assert_at_least_once(seed, &logs_of(&kafka, topic), of_topic);
            }
        }
    });
}

fn assert_at_least_once<'a>(
    seed: u64,
    logs: &[Vec<StoredRecord>],
    outcomes: impl Iterator<Item = &'a Outcome>,
) {
    let written: BTreeSet<String> = logs.iter().flatten().map(text_of).collect();
    for Outcome { value, result, .. } in outcomes {
        match result {
            Ok(metadata) => {
                let partition = usize::try_from(metadata.partition()).unwrap();
                let offset = usize::try_from(metadata.offset().unwrap()).unwrap();
                let there = text_of(&logs[partition][offset]);
                assert_eq!(&there, value, "seed {seed}: {metadata}");
            }
            Err(error) if error.persistence() == Persistence::NotWritten => {
                let is_written = written.contains(value);
                assert!(!is_written, "seed {seed}: {value} was written: {error:?}");
            }
            Err(_) => {}
        }
    }
}

#[test]
fn unreachable_first_broker_in_the_list_does_not_matter() {
    let _limit = Limit::new(secs(30));
    let kafka = EmbeddedKafka::start(cluster(1));
    let bootstrap = format!("{},{}", dead_address(), kafka.bootstrap());
    let producer = start(config_for(bootstrap));
    let mut ledger = Ledger::default();
    ledger.send_many(&producer, TOPIC, PARTITIONS, 10);
    ledger.assert_all_delivered(&kafka);
}
