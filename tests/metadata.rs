//! The cluster changes while we produce, and is found through any one living broker.

#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "tests read clocks, start threads and may panic"
)]

mod fixtures;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use kafka_producer::{
    ErrorKind, Persistence, ProducerConfig, ProducerRecord, Resolver, SendHandle,
};
use kafka_test_support::{
    Api, Change, Cluster, ClusterConfig, EmbeddedKafka, Fault, On, VersionProfile, What,
};

use fixtures::ledger::{Ledger, logs_of, values_in};
use fixtures::peer::{Proxy, dead_address};
use fixtures::{Limit, assert_names, config, config_for, eventually, lock, ms, secs, start};

fn metadata_requests(kafka: &EmbeddedKafka) -> usize {
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
        events.filter(|event| is_metadata(&event.what)).count()
    })
}

const REBOOTSTRAP_REQUIRED: i16 = 129;

fn connections(kafka: &EmbeddedKafka) -> Vec<u64> {
    let nodes = kafka.with(|cluster| cluster.nodes());
    nodes
        .into_iter()
        .map(|node| kafka.connections_accepted(node))
        .collect()
}

#[test]
fn topic_created_while_running_is_found() {
    let _limit = Limit::new(secs(20));
    let cluster = ClusterConfig::brokers(2)
        .topic("old", 2)
        .auto_create_topics(false);
    let kafka = EmbeddedKafka::start(cluster);
    let producer = start(config(&kafka));
    let mut ledger = Ledger::default();
    ledger.send_many(&producer, "old", 2, 10);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| producer.send(ProducerRecord::new("new", "v")));
        eventually("the new topic is asked for", || {
            metadata_requests(&kafka) >= 2
        });
        kafka.with(|cluster| cluster.create_topic("new", 3));
        let handle = waiting.join().unwrap().unwrap();
        handle.get().unwrap();
    });
    ledger.assert_all_delivered(&kafka);
}

#[test]
fn unknown_topic_is_created_where_brokers_do_that_and_its_first_records_arrive() {
    let _limit = Limit::new(secs(20));
    for versions in [VersionProfile::KAFKA_21, VersionProfile::KAFKA_43] {
        let kafka = EmbeddedKafka::start(ClusterConfig::brokers(3).versions(versions));
        let producer = start(config(&kafka));
        let mut ledger = Ledger::default();
        ledger.send_many(&producer, "made-up", 1, 50);
        ledger.assert_all_delivered(&kafka);
        assert_eq!(kafka.with(|cluster| cluster.partitions("made-up")), 1);
    }
}

#[test]
fn partitions_added_while_producing_are_used() {
    let _limit = Limit::new(secs(30));
    let kafka = EmbeddedKafka::start(ClusterConfig::brokers(2).topic("grows", 1));
    let producer = start(
        config(&kafka)
            .metadata_max_age(ms(50))
            .batch_size(100)
            .linger(ms(0)),
    );
    let mut ledger = Ledger::default();
    let mut number = 0;
    let mut send_some = |ledger: &mut Ledger| {
        for _ in 0..20 {
            number += 1;
            ledger.send(&producer, "grows", None, format!("{number:06}"));
        }
        producer.flush().unwrap();
    };
    send_some(&mut ledger);
    kafka.with(|cluster| cluster.set_partitions("grows", 4));
    eventually("all four partitions get records", || {
        send_some(&mut ledger);
        logs_of(&kafka, "grows").iter().all(|log| !log.is_empty())
    });
    ledger.assert_all_delivered(&kafka);
}

#[test]
fn partition_named_before_it_exists_is_waited_for() {
    let _limit = Limit::new(secs(20));
    let kafka = EmbeddedKafka::start(ClusterConfig::brokers(1).topic("grows", 1));
    let producer = start(config(&kafka));
    producer.partitions_for("grows").unwrap();
    let before = metadata_requests(&kafka);
    thread::scope(|scope| {
        let record = ProducerRecord::new("grows", "v").partition(2);
        let waiting = scope.spawn(|| producer.send(record));
        eventually("metadata is asked for again", || {
            metadata_requests(&kafka) > before
        });
        kafka.with(|cluster| cluster.set_partitions("grows", 3));
        let metadata = waiting.join().unwrap().unwrap().get().unwrap();
        assert_eq!((metadata.partition(), metadata.offset()), (2, Some(0)));
    });
}

#[test]
fn broker_added_while_producing_gets_its_share() {
    let _limit = Limit::new(secs(20));
    let kafka = EmbeddedKafka::start(ClusterConfig::brokers(1).topic("t", 2));
    let producer = start(config(&kafka));
    let mut ledger = Ledger::default();
    ledger.send_many(&producer, "t", 2, 20);
    producer.flush().unwrap();
    let added = kafka.add_broker();
    kafka.with(|cluster| cluster.move_leader("t", 1, added));
    ledger.send_many(&producer, "t", 2, 20);
    producer.flush().unwrap();
    assert_eq!(kafka.connections_accepted(added), 1);
    ledger.assert_all_delivered(&kafka);
}

#[test]
fn leader_moved_touches_no_connection_that_lives() {
    let _limit = Limit::new(secs(30));
    for versions in [VersionProfile::KAFKA_43, VersionProfile::KAFKA_28] {
        let kafka =
            EmbeddedKafka::start(ClusterConfig::brokers(3).topic("t", 6).versions(versions));
        let producer = start(config(&kafka));
        let mut ledger = Ledger::default();
        ledger.send_many(&producer, "t", 6, 60);
        producer.flush().unwrap();
        let before = connections(&kafka);
        for turn in 1..=5 {
            kafka.with(|cluster| {
                for partition in 0..6 {
                    cluster.move_leader("t", partition, (partition + turn) % 3 + 1);
                }
            });
            ledger.send_many(&producer, "t", 6, 60);
            producer.flush().unwrap();
        }
        assert_eq!(connections(&kafka), before, "connections were made anew");
        ledger.assert_all_delivered(&kafka);
    }
}

#[test]
fn thousand_metadata_refreshes_under_load_open_no_connection() {
    let _limit = Limit::new(secs(60));
    let kafka = EmbeddedKafka::start(ClusterConfig::brokers(3).topic("t", 6));
    let config = config(&kafka).metadata_max_age(ms(1));
    let producer = start(config.retry_backoff(ms(1), ms(1)));
    let mut ledger = Ledger::default();
    ledger.send_many(&producer, "t", 6, 60);
    producer.flush().unwrap();
    let before = connections(&kafka);
    while metadata_requests(&kafka) < 1000 {
        ledger.send_many(&producer, "t", 6, 60);
        producer.flush().unwrap();
    }
    assert_eq!(connections(&kafka), before, "connections were made anew");
    ledger.assert_all_delivered(&kafka);
}

#[test]
fn bootstrap_from_any_one_living_broker() {
    let _limit = Limit::new(secs(30));
    let kafka = EmbeddedKafka::start(ClusterConfig::brokers(3).topic("t", 3));
    for node in 1..=3 {
        let (dead, living) = (dead_address(), kafka.port(node));
        let bootstrap = format!("{dead},127.0.0.1:{living},{}", dead_address());
        let producer = start(config_for(bootstrap));
        let handles: Vec<SendHandle> = (0..3)
            .map(|partition| {
                let record = ProducerRecord::new("t", "v").partition(partition);
                producer.send(record).unwrap()
            })
            .collect();
        for handle in handles {
            handle.get().unwrap();
        }
    }
}

#[test]
fn bootstrap_waits_for_a_broker_that_comes_late() {
    let _limit = Limit::new(secs(30));
    let kafka = EmbeddedKafka::start(ClusterConfig::brokers(1).topic("t", 1));
    kafka.stop_broker(1);
    let producer = start(config(&kafka));
    thread::scope(|scope| {
        let waiting = scope.spawn(|| producer.send(ProducerRecord::new("t", "v")).unwrap().get());
        kafka.start_broker(1);
        assert_eq!(waiting.join().unwrap().unwrap().offset(), Some(0));
    });
}

#[test]
fn all_known_brokers_replaced_are_found_through_bootstrap_again() {
    let _limit = Limit::new(secs(30));
    let kafka = EmbeddedKafka::start(ClusterConfig::brokers(2).topic("t", 2));
    // The first broker is the only one that bootstrap.servers names, and is stopped once known.
    let one = format!("127.0.0.1:{}", kafka.port(1));
    let producer = start(config_for(one));
    let mut ledger = Ledger::default();
    ledger.send_many(&producer, "t", 2, 20);
    producer.flush().unwrap();
    kafka.stop_broker(1);
    ledger.send_many(&producer, "t", 2, 20);
    producer.flush().unwrap();
    kafka.start_broker(1);
    kafka.with(|cluster| {
        cluster.move_leader("t", 0, 1);
        cluster.move_leader("t", 1, 1);
    });
    kafka.stop_broker(2);
    ledger.send_many(&producer, "t", 2, 20);
    ledger.assert_all_delivered(&kafka);
}

/// The whole cluster moves to other ports at once, and only the bootstrap name leads there.
fn cluster_that_moved_is_found(change: impl Fn(ProducerConfig) -> ProducerConfig) {
    let _limit = Limit::new(secs(40));
    let kafka = EmbeddedKafka::start(ClusterConfig::brokers(2).topic("t", 2));
    let direct = |node| SocketAddr::from(([127, 0, 0, 1], kafka.port(node)));
    let address = |proxy: &Proxy| SocketAddr::from(([127, 0, 0, 1], proxy.port()));
    let proxies = || [Proxy::to(direct(1)), Proxy::to(direct(2))];
    let tell = |proxies: &[Proxy; 2]| {
        kafka.with(|cluster| {
            cluster.set_endpoint(1, "127.0.0.1", proxies[0].port());
            cluster.set_endpoint(2, "127.0.0.1", proxies[1].port());
        });
    };
    let old = proxies();
    tell(&old);
    let names = Arc::new(Moving {
        now: Mutex::new(address(&old[0])),
    });
    let config = config_for("kafka.example:9092").resolver(Arc::<Moving>::clone(&names));
    let producer = start(change(config));
    let mut ledger = Ledger::default();
    ledger.send_many(&producer, "t", 2, 20);
    producer.flush().unwrap();
    let new = proxies();
    *lock(&names.now) = address(&new[1]);
    tell(&new);
    drop(old);
    ledger.send_many(&producer, "t", 2, 20);
    producer.flush().unwrap();
    ledger.assert_all_delivered(&kafka);
}

#[test]
fn all_brokers_at_new_ports_are_found_through_the_bootstrap_name() {
    cluster_that_moved_is_found(|config| config.metadata_rebootstrap(true));
}

#[test]
fn all_brokers_at_new_ports_are_found_with_a_trigger_of_zero() {
    cluster_that_moved_is_found(|config| config.metadata_rebootstrap_trigger(ms(0)));
}

#[test]
fn broker_that_requires_to_begin_anew_is_left_and_loses_and_repeats_nothing() {
    let _limit = Limit::new(secs(30));
    let kafka = EmbeddedKafka::start(ClusterConfig::brokers(2).topic("t", 2));
    let producer = start(config(&kafka));
    let mut ledger = Ledger::default();
    ledger.send_many(&producer, "t", 2, 20);
    producer.flush().unwrap();
    let before = connections(&kafka);
    kafka.with(|cluster| {
        cluster.fault(Fault::error(On::metadata(), REBOOTSTRAP_REQUIRED));
        // A reason to ask for metadata.
        cluster.fault(Fault::error(On::produce(), 6));
    });
    ledger.send_many(&producer, "t", 2, 20);
    producer.flush().unwrap();
    eventually("the producer begins anew", || {
        let now = connections(&kafka);
        now.iter().zip(&before).any(|(now, before)| now > before)
    });
    ledger.send_many(&producer, "t", 2, 20);
    ledger.assert_all_delivered(&kafka);
}

#[test]
fn metadata_that_leaves_things_out_for_a_while_only_delays() {
    for hide in [
        |hidden| Change::HideTopic("t".to_owned(), None, hidden),
        |hidden| Change::HidePartition("t".to_owned(), 1, None, hidden),
        |hidden| Change::HideBroker(2, None, hidden),
    ] {
        let _limit = Limit::new(secs(30));
        let kafka = EmbeddedKafka::start(ClusterConfig::brokers(2).topic("t", 2));
        let producer = start(config(&kafka).metadata_max_age(ms(20)));
        let mut ledger = Ledger::default();
        ledger.send_many(&producer, "t", 2, 20);
        producer.flush().unwrap();
        kafka.with(|cluster| cluster.apply(hide(true)));
        let before = metadata_requests(&kafka);
        eventually("metadata without it is read", || {
            metadata_requests(&kafka) > before + 1
        });
        // Whoever sends to what is hidden waits for it.
        thread::scope(|scope| {
            scope.spawn(|| ledger.send_many(&producer, "t", 2, 20));
            let before = metadata_requests(&kafka);
            eventually("metadata without it is read again", || {
                metadata_requests(&kafka) > before + 1
            });
            kafka.with(|cluster| cluster.apply(hide(false)));
        });
        ledger.assert_all_delivered(&kafka);
    }
}

#[test]
fn topic_that_was_forbidden_and_is_allowed_later_takes_records_without_a_new_producer() {
    let _limit = Limit::new(secs(30));
    let kafka = EmbeddedKafka::start(ClusterConfig::brokers(1).topic("t", 1).topic("secret", 1));
    kafka.with(|cluster| cluster.apply(Change::SetAuthorized("secret".to_owned(), false)));
    let producer = start(config(&kafka));
    let refused = producer
        .send(ProducerRecord::new("secret", "v"))
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::TopicAuthorization);
    let mut ledger = Ledger::default();
    ledger.send_many(&producer, "t", 1, 10);
    kafka.with(|cluster| cluster.apply(Change::SetAuthorized("secret".to_owned(), true)));
    ledger.send_many(&producer, "secret", 1, 10);
    ledger.assert_all_delivered(&kafka);
}

/// One address for every name, and a note of who was asked for.
struct Names {
    of: BTreeMap<String, Vec<SocketAddr>>,
    asked: Mutex<Vec<String>>,
}

impl Resolver for Names {
    fn resolve(&self, host: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
        lock(&self.asked).push(host.to_owned());
        let found = self.of.get(host).cloned();
        found.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such host"))
    }
}

#[test]
fn names_are_resolved_by_the_given_resolver_and_every_address_is_tried() {
    let _limit = Limit::new(secs(20));
    let kafka = EmbeddedKafka::start(ClusterConfig::brokers(1).topic("t", 1));
    let living: SocketAddr = kafka.bootstrap().parse().unwrap();
    let dead: SocketAddr = dead_address().parse().unwrap();
    let names = Arc::new(Names {
        of: BTreeMap::from([("kafka.example".to_owned(), vec![dead, dead, living])]),
        asked: Mutex::default(),
    });
    let config = config_for("kafka.example:9092").resolver(Arc::<Names>::clone(&names));
    let producer = start(config);
    producer
        .send(ProducerRecord::new("t", "v"))
        .unwrap()
        .get()
        .unwrap();
    assert!(
        lock(&names.asked)
            .iter()
            .all(|name| name == "kafka.example")
    );
}

#[test]
fn resolver_that_hangs_or_panics_delays_no_other_broker() {
    struct Bad(AtomicUsize);
    impl Resolver for Bad {
        fn resolve(&self, host: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
            self.0.fetch_add(1, Ordering::SeqCst);
            assert!(host != "panics.example", "the resolver of the test panics");
            thread::sleep(secs(3));
            Err(io::ErrorKind::TimedOut.into())
        }
    }
    let _limit = Limit::new(secs(20));
    let kafka = EmbeddedKafka::start(ClusterConfig::brokers(1).topic("t", 1));
    for name in ["hangs.example", "panics.example"] {
        let bootstrap = format!("{name}:1,{}", kafka.bootstrap());
        let config = config_for(bootstrap)
            .resolver(Arc::new(Bad(AtomicUsize::new(0))))
            .socket_connection_setup_timeout(ms(200), ms(200));
        let producer = start(config);
        let mut ledger = Ledger::default();
        let (_, waited) = fixtures::timed(|| ledger.send_many(&producer, "t", 1, 1));
        assert!(waited < secs(3), "{waited:?}");
        ledger.sent.pop().unwrap().handle.get().unwrap();
    }
}

#[test]
fn topic_created_anew_under_its_name_gets_what_is_sent_from_then_on() {
    let _limit = Limit::new(secs(30));
    for versions in [VersionProfile::KAFKA_43, VersionProfile::KAFKA_28] {
        let kafka = EmbeddedKafka::start(
            ClusterConfig::brokers(2)
                .topic("again", 2)
                .versions(versions),
        );
        let producer = start(config(&kafka).metadata_max_age(ms(500)));
        for partition in 0..2 {
            let record = ProducerRecord::new("again", "old").partition(partition);
            producer.send(record).unwrap().get().unwrap();
        }
        let old_id = kafka.with(|cluster| cluster.topic_id("again"));
        kafka.with(|cluster| {
            cluster.delete_topic("again");
            cluster.create_topic("again", 2);
        });
        assert_ne!(kafka.with(|cluster| cluster.topic_id("again")), old_id);
        for number in 0..20 {
            let value = format!("new {number}");
            let record = ProducerRecord::new("again", value).partition(number % 2);
            producer.send(record).unwrap().get().unwrap();
        }
        for partition in 0..2 {
            let values = values_in(&kafka, "again", partition);
            assert_eq!(values.len(), 10, "{versions:?}: {values:?}");
            assert!(values.iter().all(|value| value.starts_with("new")));
        }
    }
}

#[test]
fn topic_deleted_for_good_fails_its_records_and_no_others() {
    let _limit = Limit::new(secs(30));
    let cluster = ClusterConfig::brokers(1)
        .topic("gone", 1)
        .topic("stays", 1)
        .auto_create_topics(false);
    let kafka = EmbeddedKafka::start(cluster);
    let config = config(&kafka)
        .request_timeout(ms(300))
        .delivery_timeout(ms(800))
        .max_block(ms(800));
    let producer = start(config);
    producer
        .send(ProducerRecord::new("gone", "v"))
        .unwrap()
        .get()
        .unwrap();
    kafka.with(|cluster| cluster.delete_topic("gone"));
    let error = match producer.send(ProducerRecord::new("gone", "v")) {
        Ok(handle) => handle.get().unwrap_err().error().clone(),
        Err(refused) => refused.error().clone(),
    };
    assert_names(&error.to_string(), &["gone"]);
    assert!(
        error
            .persistence()
            .is_none_or(|p| p == Persistence::NotWritten || error.kind() == ErrorKind::Timeout)
    );
    producer
        .send(ProducerRecord::new("stays", "v"))
        .unwrap()
        .get()
        .unwrap();
}

#[test]
fn stale_metadata_of_one_broker_does_not_lead_astray() {
    let _limit = Limit::new(secs(30));
    let kafka = EmbeddedKafka::start(ClusterConfig::brokers(3).topic("t", 3));
    let producer = start(config(&kafka).metadata_max_age(ms(20)));
    let mut ledger = Ledger::default();
    ledger.send_many(&producer, "t", 3, 30);
    producer.flush().unwrap();
    kafka.with(|cluster| {
        cluster.apply(Change::FreezeMetadata(1));
        for partition in 0..3 {
            cluster.move_leader("t", partition, (partition + 1) % 3 + 1);
        }
    });
    for _ in 0..20 {
        ledger.send_many(&producer, "t", 3, 30);
        producer.flush().unwrap();
    }
    ledger.assert_all_delivered(&kafka);
}

#[test]
fn metadata_that_fails_a_while_only_delays() {
    let _limit = Limit::new(secs(30));
    let kafka = EmbeddedKafka::start(ClusterConfig::brokers(2).topic("t", 2));
    // 5 LEADER_NOT_AVAILABLE, 3 UNKNOWN_TOPIC_OR_PARTITION, 13 NETWORK_EXCEPTION: the topic's.
    kafka.with(|cluster| {
        for code in [5, 3, 13] {
            cluster.fault(Fault::error(On::metadata().topic("t"), code));
        }
        cluster.fault(Fault::swallow(On::metadata()).after(3));
    });
    let producer = start(config(&kafka).request_timeout(ms(200)));
    let mut ledger = Ledger::default();
    ledger.send_many(&producer, "t", 2, 10);
    ledger.assert_all_delivered(&kafka);
}

#[test]
fn partition_without_leader_waits_for_one_and_others_go_on() {
    let _limit = Limit::new(secs(30));
    let kafka = EmbeddedKafka::start(ClusterConfig::brokers(2).topic("t", 2));
    kafka.with(|cluster| cluster.apply(Change::MoveLeader("t".to_owned(), 0, None)));
    let producer = start(config(&kafka));
    let waits = producer
        .send(ProducerRecord::new("t", "waits").partition(0))
        .unwrap();
    for _ in 0..5 {
        let record = ProducerRecord::new("t", "goes").partition(1);
        producer.send(record).unwrap().get().unwrap();
    }
    assert!(!waits.is_done());
    kafka.with(|cluster| cluster.move_leader("t", 0, 2));
    assert_eq!(waits.get().unwrap().offset(), Some(0));
}

#[test]
fn idle_connections_are_closed_and_made_again_when_needed() {
    let _limit = Limit::new(secs(20));
    let kafka = EmbeddedKafka::start(ClusterConfig::brokers(1).topic("t", 1));
    let producer = start(config(&kafka).connections_max_idle(Some(ms(100))));
    producer
        .send(ProducerRecord::new("t", "1"))
        .unwrap()
        .get()
        .unwrap();
    let closed = |cluster: &mut Cluster| {
        let events = cluster.history();
        events.filter(|event| event.what == What::Closed).count()
    };
    let opened = connections(&kafka)[0];
    eventually("the idle connections are closed", || {
        kafka.with(closed) as u64 == opened
    });
    producer
        .send(ProducerRecord::new("t", "2"))
        .unwrap()
        .get()
        .unwrap();
    assert!(connections(&kafka)[0] > opened);
    assert_eq!(values_in(&kafka, "t", 0), ["1", "2"]);
}

#[test]
fn topic_created_anew_with_other_partitions_is_followed() {
    let _limit = Limit::new(secs(30));
    for versions in [VersionProfile::KAFKA_43, VersionProfile::KAFKA_28] {
        let kafka = EmbeddedKafka::start(
            ClusterConfig::brokers(2)
                .topic("again", 4)
                .versions(versions),
        );
        let config = config(&kafka)
            .metadata_max_age(ms(50))
            .max_block(ms(500))
            .request_timeout(ms(300))
            .delivery_timeout(secs(1));
        let producer = start(config);
        for partition in 0..4 {
            let record = ProducerRecord::new("again", "old").partition(partition);
            producer.send(record).unwrap().get().unwrap();
        }
        kafka.with(|cluster| {
            cluster.delete_topic("again");
            cluster.create_topic("again", 2);
        });
        // Until then a record for partition 3 is accepted, and given up in the end.
        let to_three = || ProducerRecord::new("again", "v").partition(3);
        eventually("the smaller number is known", || {
            producer.try_send(to_three()).is_err()
        });
        let refused = producer.send(to_three()).unwrap_err();
        let names = ["partition 3", "again", "2 partitions"];
        assert_names(&refused.to_string(), &names);
        let before = kafka.with(|c| c.end_offset("again", 0) + c.end_offset("again", 1));
        let handles: Vec<SendHandle> = (0..50)
            .map(|n| {
                let record = ProducerRecord::new("again", format!("new {n}"));
                producer.send(record.key(n.to_string())).unwrap()
            })
            .collect();
        for handle in handles {
            assert!(handle.get().unwrap().partition() < 2);
        }
        let after = kafka.with(|c| c.end_offset("again", 0) + c.end_offset("again", 1));
        assert_eq!(after - before, 50);
    }
}

#[test]
fn broker_that_comes_back_at_another_address_is_found() {
    let _limit = Limit::new(secs(30));
    let kafka = EmbeddedKafka::start(ClusterConfig::brokers(2).topic("t", 2));
    let direct = SocketAddr::from(([127, 0, 0, 1], kafka.port(1)));
    let producer = start(config(&kafka));
    let mut ledger = Ledger::default();
    for _ in 0..3 {
        let proxy = Proxy::to(direct);
        kafka.with(|cluster| cluster.set_endpoint(1, "127.0.0.1", proxy.port()));
        // Nothing was lost so far, so nobody asks by himself.
        kafka.with(|cluster| cluster.fault(Fault::error(On::produce(), 6)));
        ledger.send_many(&producer, "t", 2, 40);
        producer.flush().unwrap();
    }
    ledger.assert_all_delivered(&kafka);
}

/// A name that means another address from some moment on.
struct Moving {
    now: Mutex<SocketAddr>,
}

impl Resolver for Moving {
    fn resolve(&self, _: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(vec![*lock(&self.now)])
    }
}

#[test]
fn name_that_means_another_address_is_resolved_again() {
    let _limit = Limit::new(secs(30));
    let kafka = EmbeddedKafka::start(ClusterConfig::brokers(1).topic("t", 1));
    let direct = SocketAddr::from(([127, 0, 0, 1], kafka.port(1)));
    kafka.with(|cluster| cluster.set_endpoint(1, "kafka.example", 9092));
    let address = |proxy: &Proxy| SocketAddr::from(([127, 0, 0, 1], proxy.port()));
    let first = Proxy::to(direct);
    let names = Arc::new(Moving {
        now: Mutex::new(address(&first)),
    });
    let config = config_for("kafka.example:9092").resolver(Arc::<Moving>::clone(&names));
    let producer = start(config);
    let mut ledger = Ledger::default();
    ledger.send_many(&producer, "t", 1, 10);
    producer.flush().unwrap();
    let second = Proxy::to(direct);
    *lock(&names.now) = address(&second);
    drop(first);
    ledger.send_many(&producer, "t", 1, 10);
    producer.flush().unwrap();
    ledger.assert_all_delivered(&kafka);
}

#[test]
fn threads_that_wait_for_many_new_topics_all_go_on() {
    let _limit = Limit::new(secs(30));
    let kafka = EmbeddedKafka::start(ClusterConfig::brokers(2));
    let producer = start(config(&kafka));
    thread::scope(|scope| {
        for number in 0..48 {
            let producer = &producer;
            scope.spawn(move || {
                let topic = format!("topic-{}", number % 6);
                if number % 3 == 0 {
                    assert_eq!(producer.partitions_for(&topic).unwrap().len(), 1);
                }
                producer
                    .send(ProducerRecord::new(&topic, "v"))
                    .unwrap()
                    .get()
                    .unwrap();
            });
        }
    });
    let counts: Vec<usize> = (0..6)
        .map(|number| values_in(&kafka, &format!("topic-{number}"), 0).len())
        .collect();
    assert_eq!(counts, [8; 6]);
}
