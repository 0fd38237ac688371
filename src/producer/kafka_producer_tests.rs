//! The application's side with real metadata and a real accumulator; the Sender's part is played by hand.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake};
use std::thread;

use super::*;
use crate::client::{Metadata, MetadataConfig};
use crate::cluster::{Node, NodeId};
use crate::network::Wakeup;
use crate::producer::accumulator::{
    AccumulatorConfig, BatchAck, BatchHead, DrainVerdict, Drainer, ProducerBatch, RecordAccumulator,
};
use crate::producer::callback::run_guarded;
use crate::producer::partitioner::partition_for_key;
use crate::producer::serializer::{Output, SerializeContext, SerializeError, Serializer};
use crate::producer::shared::Shared;
use crate::producer::{DeliveryCallback, DeliveryError, Null, RecordMetadata};
use crate::protocol::messages::{MetadataPartition, MetadataResponse, MetadataTopic};
use crate::random::Random;
use crate::record::BatchReader;
use crate::time::{MockTime, Time};

struct Bench {
    producer: KafkaProducer,
    shared: Arc<Shared>,
    clock: Option<Arc<MockTime>>,
    drainer: Drainer,
}

/// Small memory, no linger, and `max.block.ms` as given.
fn settings(pairs: &[(&str, &str)]) -> ProducerConfig {
    let config = ProducerConfig::new("localhost:9092")
        .buffer_memory(64 * 1024)
        .linger(Duration::ZERO)
        .max_block(Duration::ZERO);
    pairs
        .iter()
        .fold(config, |config, (k, v)| config.set(k, *v))
}

impl Bench {
    /// On a clock that stands still.
    fn new(pairs: &[(&str, &str)]) -> Self {
        let (time, clock) = Time::mock();
        Self {
            clock: Some(clock),
            ..Self::on(time, pairs)
        }
    }

    /// On the real clock, for threads that wait.
    fn waiting(pairs: &[(&str, &str)]) -> Self {
        let patient = [&[("max.block.ms", "60000")], pairs].concat();
        Self::on(Time::default(), &patient)
    }

    fn on(time: Time, pairs: &[(&str, &str)]) -> Self {
        let settings = settings(pairs).resolve().expect("the settings are right");
        let wakeup = Wakeup::new(None);
        let metadata_config = MetadataConfig {
            max_age: settings.metadata_max_age,
            max_idle: settings.metadata_max_idle,
            retry_backoff: settings.retry_backoff,
            retry_backoff_max: settings.retry_backoff_max,
        };
        let nodes = settings.bootstrap_nodes.clone();
        let metadata = Metadata::new(metadata_config, nodes, wakeup.clone());
        let config = AccumulatorConfig {
            batch_size: settings.batch_size,
            linger: settings.linger,
            buffer_memory: settings.buffer_memory,
            most_per_topic: settings.most_per_topic(),
            delivery_timeout: settings.delivery_timeout,
            retry_backoff: settings.retry_backoff,
            retry_backoff_max: settings.retry_backoff_max,
        };
        let accumulator =
            RecordAccumulator::new(config, time.clone(), Random::seeded(1), wakeup.clone());
        let drainer = Drainer::new(Arc::clone(&accumulator), Random::seeded(2));
        let shared = Shared::new(time, Arc::new(metadata), accumulator, wakeup);
        let engine = Engine::without_thread(&settings, "test".into(), Arc::clone(&shared));
        Self {
            producer: KafkaProducer {
                engine: Arc::new(engine),
                serializers: Arc::new((BytesSerializer, BytesSerializer)),
            },
            shared,
            clock: None,
            drainer,
        }
    }

    /// With a topic of so many partitions that is known already.
    fn knowing(pairs: &[(&str, &str)], partitions: i32) -> Self {
        let bench = Self::new(pairs);
        let unknown = bench.producer.try_send(ProducerRecord::new("topic", "x"));
        drop(unknown.expect_err("nothing is known yet"));
        bench.answer(partitions);
        bench
    }

    fn answer(&self, partitions: i32) {
        answer(&self.shared, "topic", partitions);
    }

    /// What is there to be sent, taken out.
    fn drain(&mut self) -> Vec<ProducerBatch> {
        let (cluster, now) = (self.shared.metadata.cluster(), self.shared.time.now());
        self.drainer.ready(&cluster, now);
        let mut out = Vec::new();
        let admit = &mut |_: &BatchHead| DrainVerdict::Send(None);
        self.drainer.drain(NodeId(1), 1 << 20, now, admit, &mut out);
        out.into_iter().map(|drained| drained.batch).collect()
    }

    /// Answers for everything that is there, a batch of each partition at a time.
    fn acknowledge(&mut self) {
        loop {
            let batches = self.drain();
            if batches.is_empty() {
                return;
            }
            for batch in batches {
                batch.complete(BatchAck {
                    base_offset: 100,
                    log_append_time_ms: -1,
                });
            }
        }
    }

    /// Fills the memory, so that the next record has no room.
    fn fill(&self) {
        let record = || ProducerRecord::new("topic", [7; 10_000]).partition(0);
        while self.producer.try_send(record()).is_ok() {}
    }
}

fn answer(shared: &Shared, topic: &str, partitions: i32) {
    let node = Node {
        id: NodeId(1),
        host: "localhost".into(),
        port: 9092,
        rack: None,
    };
    let partition = |index| MetadataPartition {
        index,
        leader_id: 1,
        leader_epoch: 3,
        ..MetadataPartition::default()
    };
    let response = MetadataResponse {
        brokers: vec![node],
        topics: vec![MetadataTopic {
            name: topic.into(),
            partitions: (0..partitions).map(partition).collect(),
            ..MetadataTopic::default()
        }],
        ..MetadataResponse::default()
    };
    shared.metadata.learn(response, shared.time.now());
}

fn kind<K, V>(outcome: Result<SendHandle, SendError<'_, K, V>>) -> ErrorKind {
    outcome.expect_err("it is refused").kind()
}

#[test]
fn send_puts_the_record_into_a_batch_of_its_partition() {
    let mut bench = Bench::knowing(&[], 3);
    let record = ProducerRecord::new("topic", "value")
        .key("key")
        .header("a", "b")
        .timestamp_ms(9)
        .partition(2);
    let mut handle = bench.producer.send(record).expect("there is room");
    let mut batch = bench.drain().pop().expect("a batch");
    assert_eq!(batch.topic_partition().to_string(), "topic-2");
    let parts = batch.encode(None);
    let mut reader = BatchReader::new(&parts[1..]);
    let read = reader.read().expect("a record");
    assert_eq!(read.key.as_deref(), Some(&b"key"[..]));
    assert_eq!(read.value.as_deref(), Some(&b"value"[..]));
    assert!(handle.get_timeout(Duration::ZERO).is_none());
    batch.complete(BatchAck {
        base_offset: 5,
        log_append_time_ms: -1,
    });
    let metadata = handle.get().expect("acknowledged");
    assert_eq!(metadata.to_string(), "topic-2@5");
    assert_eq!(metadata.timestamp_ms(), 9);
    assert_eq!(metadata.serialized_key_size(), Some(3));
    assert_eq!(metadata.serialized_value_size(), Some(5));
}

#[test]
fn send_without_timestamp_takes_the_time_of_the_call() {
    let mut bench = Bench::knowing(&[], 1);
    let clock = bench.clock.clone().expect("it stands still");
    clock.advance(Duration::from_millis(17));
    let handle = bench
        .producer
        .send(ProducerRecord::new("topic", Null))
        .expect("room");
    bench.acknowledge();
    let metadata = handle.get().expect("acknowledged");
    assert_eq!(metadata.timestamp_ms(), clock.wall_clock_ms());
    assert_eq!(metadata.serialized_key_size(), None);
    assert_eq!(metadata.serialized_value_size(), None);
}

#[test]
fn partition_by_key_is_javas_and_may_be_switched_off() {
    let memory = ("buffer.memory", "1000000");
    let mut bench = Bench::knowing(&[memory], 7);
    let handles: Vec<_> = (0..50)
        .map(|i| {
            let record = ProducerRecord::new("topic", "v").key(format!("key-{i}"));
            bench.producer.send(record).expect("there is room")
        })
        .collect();
    bench.acknowledge();
    for (i, handle) in handles.into_iter().enumerate() {
        let expected = partition_for_key(format!("key-{i}").as_bytes(), 7);
        assert_eq!(handle.get().expect("acknowledged").partition(), expected);
    }
    let mut ignoring = Bench::knowing(&[memory, ("partitioner.ignore.keys", "true")], 7);
    for i in 0..50 {
        let record = ProducerRecord::new("topic", "v").key(format!("key-{i}"));
        let _handle = ignoring.producer.send(record).expect("there is room");
    }
    assert_eq!(ignoring.drain().len(), 1, "all of them are sticky");
}

#[test]
fn send_to_an_unknown_topic_times_out_and_names_the_key_to_turn() {
    let bench = Bench::new(&[]);
    let error = bench
        .producer
        .send(ProducerRecord::new("topic", "value"))
        .expect_err("nothing is known");
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let text = error.to_string();
    assert!(
        text.contains("topic") && text.contains("max.block.ms"),
        "{text}"
    );
    assert_eq!(error.into_record().value, "value");
}

#[test]
fn send_waits_until_metadata_is_there() {
    let bench = Bench::waiting(&[]);
    thread::scope(|scope| {
        let sending = scope.spawn(|| bench.producer.send(ProducerRecord::new("topic", "v")));
        while !sending.is_finished() {
            bench.answer(1);
            thread::yield_now();
        }
        let sent = sending.join().expect("no panic");
        assert!(sent.is_ok());
    });
}

#[test]
fn send_to_a_partition_too_large_waits_for_it_and_names_the_count() {
    let bench = Bench::knowing(&[], 2);
    let record = || ProducerRecord::new("topic", "v").partition(4);
    let error = bench.producer.send(record()).expect_err("there are two");
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let text = error.to_string();
    assert!(text.contains('4') && text.contains('2'), "{text}");
    bench.answer(5);
    bench
        .producer
        .send(record())
        .map(drop)
        .expect("there are five now");
}

#[test]
fn try_send_asks_for_metadata_so_that_a_later_try_works() {
    let bench = Bench::new(&[("max.block.ms", "60000")]);
    let record = ProducerRecord::new("topic", String::from("v"));
    let refused = bench
        .producer
        .try_send(record)
        .expect_err("nothing is known");
    assert_eq!(refused.kind(), ErrorKind::Timeout);
    bench.answer(1);
    bench
        .producer
        .try_send(refused.into_record())
        .map(drop)
        .expect("it is known now");
}

#[test]
fn arguments_that_are_wrong_are_refused_at_once() {
    let bench = Bench::new(&[("max.block.ms", "60000")]);
    let send = |record| kind(bench.producer.send(record));
    let record = |topic| ProducerRecord::new(topic, "v");
    assert_eq!(
        send(record("topic").partition(-1)),
        ErrorKind::InvalidArgument
    );
    assert_eq!(
        send(record("topic").timestamp_ms(-1)),
        ErrorKind::InvalidArgument
    );
    assert_eq!(send(record("")), ErrorKind::InvalidTopic);
    assert_eq!(send(record("a b")), ErrorKind::InvalidTopic);
    let error = bench
        .producer
        .partitions_for("..")
        .expect_err("no such name");
    assert_eq!(error.kind(), ErrorKind::InvalidTopic);
}

#[test]
fn record_too_large_is_refused_and_names_the_limit() {
    let bench = Bench::knowing(&[("max.request.size", "1000")], 1);
    let error = bench
        .producer
        .send(ProducerRecord::new("topic", [0; 1000]))
        .expect_err("it is too large");
    assert_eq!(error.kind(), ErrorKind::RecordTooLarge);
    assert!(
        error.to_string().contains("max.request.size=1000"),
        "{error}"
    );
    let bench = Bench::knowing(&[], 1);
    let error = bench
        .producer
        .send(ProducerRecord::new("topic", vec![0; 70_000]))
        .expect_err("it is too large");
    assert!(error.to_string().contains("buffer.memory=65536"), "{error}");
    let fits = ProducerRecord::new("topic", vec![0; 60_000]);
    bench.producer.send(fits).map(drop).expect("it just fits");
}

#[test]
fn full_memory_refuses_after_max_block_and_gives_the_record_back() {
    let mut bench = Bench::knowing(&[], 1);
    bench.fill();
    let record = ProducerRecord::new("topic", vec![1; 10_000]);
    let refused = bench.producer.send(record).expect_err("there is no room");
    assert_eq!(refused.kind(), ErrorKind::BufferExhausted);
    let text = refused.to_string();
    assert!(
        text.contains("buffer.memory") && text.contains("max.block.ms"),
        "{text}"
    );
    bench.acknowledge();
    bench
        .producer
        .try_send(refused.into_record())
        .map(drop)
        .expect("there is room again");
}

#[test]
fn share_of_a_topic_used_up_refuses_and_names_topic_share_and_key() {
    let mut bench = Bench::knowing(&[("buffer.memory.share.per.topic", "50")], 1);
    bench.fill();
    let record = || ProducerRecord::new("topic", vec![1; 10_000]);
    for refused in [
        bench.producer.send(record()).expect_err("there is no room"),
        bench.producer.try_send(record()).expect_err("nor here"),
    ] {
        assert_eq!(refused.kind(), ErrorKind::BufferExhausted);
        let text = refused.to_string();
        for named in [
            "topic topic",
            "32768 of 65536",
            "buffer.memory.share.per.topic",
        ] {
            assert!(text.contains(named), "{text}");
        }
    }
    let other = ProducerRecord::new("other", vec![1; 10_000]);
    drop(bench.producer.try_send(other.clone()));
    answer(&bench.shared, "other", 1);
    bench
        .producer
        .try_send(other)
        .map(drop)
        .expect("it has its own share");
    let large = ProducerRecord::new("other", vec![1; 33_000]);
    let refused = bench.producer.send(large).expect_err("it never fits");
    assert_eq!(refused.kind(), ErrorKind::RecordTooLarge);
    let text = refused.to_string();
    assert!(
        text.contains("32768") && text.contains("share.per.topic"),
        "{text}"
    );
    bench.answer(1);
    bench.acknowledge();
    bench
        .producer
        .try_send(record())
        .map(drop)
        .expect("there is room again");
}

#[test]
fn send_waits_for_memory_and_serializes_once() {
    let mut bench = Bench::waiting(&[]);
    drop(bench.producer.try_send(ProducerRecord::new("topic", "x")));
    bench.answer(1);
    bench.fill();
    let counting = Arc::new(CountingSerializer(AtomicUsize::new(0)));
    let counted = bench
        .producer
        .with_serializers(BytesSerializer, Arc::clone(&counting));
    let sending = thread::Builder::new()
        .spawn(move || {
            counted
                .send(ProducerRecord::new("topic", 10_000_usize))
                .is_ok()
        })
        .expect("a thread starts");
    while !sending.is_finished() {
        bench.acknowledge();
        thread::yield_now();
    }
    assert!(sending.join().expect("no panic"));
    assert_eq!(counting.0.load(Ordering::Relaxed), 1);
}

/// Writes so many bytes, and counts how often.
struct CountingSerializer(AtomicUsize);

impl Serializer<usize> for CountingSerializer {
    fn serialize<'a>(
        &'a self,
        _: &SerializeContext<'_>,
        length: &'a usize,
        out: &mut Output<'a>,
    ) -> Result<(), SerializeError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        out.buffer().resize(*length, 7);
        Ok(())
    }
}

/// Fails on some, panics on others.
struct Moody;

impl Serializer<&'static str> for Moody {
    fn serialize<'a>(
        &'a self,
        context: &SerializeContext<'_>,
        mood: &'a &'static str,
        out: &mut Output<'a>,
    ) -> Result<(), SerializeError> {
        out.buffer().extend_from_slice(context.topic.as_bytes());
        match *mood {
            "fail" => Err(io::Error::other("not today"))?,
            "panic" => panic!("enough"),
            _ => Ok(()),
        }
    }
}

#[test]
fn serializer_that_fails_or_panics_harms_nobody_else() {
    let mut bench = Bench::knowing(&[], 1);
    let moody = bench.producer.with_serializers(Moody, Moody);
    let failed = moody
        .send(ProducerRecord::new("topic", "fail").key("good"))
        .expect_err("the value is bad");
    assert_eq!(failed.kind(), ErrorKind::Serialization);
    let text = failed.to_string();
    assert!(
        text.contains("the value") && text.contains("not today"),
        "{text}"
    );
    assert!(std::error::Error::source(failed.error()).is_some());
    let panicked = moody
        .send(ProducerRecord::new("topic", "good").key("panic"))
        .expect_err("the key is bad");
    assert_eq!(panicked.kind(), ErrorKind::Serialization);
    let text = panicked.to_string();
    assert!(
        text.contains("the key") && text.contains("enough"),
        "{text}"
    );
    assert_eq!(panicked.into_record().key, "panic");
    let handle = moody
        .send(ProducerRecord::new("topic", "good").key("good"))
        .expect("room");
    bench.acknowledge();
    assert_eq!(
        handle.get().expect("acknowledged").serialized_value_size(),
        Some(5)
    );
}

#[test]
fn inside_a_callback_what_would_wait_fails_at_once_and_the_rest_works() {
    let bench = Bench::knowing(&[("max.block.ms", "60000")], 1);
    let mut ran = false;
    run_guarded("the test", || {
        let producer = &bench.producer;
        producer
            .send(ProducerRecord::new("topic", "v"))
            .map(drop)
            .expect("it need not wait");
        assert_eq!(
            kind(producer.send(ProducerRecord::new("new", "v"))),
            ErrorKind::WouldDeadlock
        );
        bench.fill();
        let large = ProducerRecord::new("topic", [7; 10_000]);
        assert_eq!(kind(producer.send(large)), ErrorKind::WouldDeadlock);
        let would_deadlock = |error: Error| assert_eq!(error.kind(), ErrorKind::WouldDeadlock);
        would_deadlock(producer.flush().expect_err("it would wait"));
        would_deadlock(
            producer
                .flush_timeout(Duration::ZERO)
                .expect_err("it would wait"),
        );
        would_deadlock(
            producer
                .close(Duration::from_secs(1))
                .expect_err("it would wait")
                .into_error(),
        );
        would_deadlock(producer.partitions_for("new").expect_err("it would wait"));
        assert_eq!(
            producer.partitions_for("topic").expect("it is known").len(),
            1
        );
        assert!(!producer.is_closed());
        ran = true;
    });
    assert!(ran, "an assertion in the callback failed");
}

#[test]
fn flush_waits_for_what_was_sent_before() {
    let mut bench = Bench::waiting(&[("linger.ms", "1000")]);
    drop(bench.producer.try_send(ProducerRecord::new("topic", "x")));
    bench.answer(1);
    bench
        .producer
        .flush()
        .expect("there is nothing to wait for");
    let handle = bench
        .producer
        .send(ProducerRecord::new("topic", "v"))
        .expect("room");
    let error = bench
        .producer
        .flush_timeout(Duration::from_millis(1))
        .expect_err("it is not sent");
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("1 batches"), "{error}");
    let producer = bench.producer.clone();
    let flushing = thread::Builder::new()
        .spawn(move || producer.flush())
        .expect("a thread starts");
    while !flushing.is_finished() {
        bench.acknowledge();
        thread::yield_now();
    }
    flushing
        .join()
        .expect("no panic")
        .expect("everything is sent");
    assert!(handle.is_done());
}

#[test]
fn partitions_for_tells_leaders_and_waits_for_metadata() {
    let bench = Bench::new(&[]);
    let error = bench
        .producer
        .partitions_for("topic")
        .expect_err("nothing is known");
    assert_eq!(error.kind(), ErrorKind::Timeout);
    bench.answer(2);
    let partitions = bench.producer.partitions_for("topic").expect("it is known");
    assert_eq!(partitions.len(), 2);
    assert_eq!(partitions[1].partition, 1);
    let leader = partitions[1].leader.as_ref().expect("it has one");
    assert_eq!(
        (leader.id, &*leader.host, leader.port),
        (1, "localhost", 9092)
    );
}

#[test]
fn close_fails_later_sends_and_those_that_wait() {
    let bench = Bench::waiting(&[]);
    thread::scope(|scope| {
        let sending = scope.spawn(|| bench.producer.send(ProducerRecord::new("topic", "v")));
        while bench.shared.wakeup.writes() == 0 && !sending.is_finished() && !asked(&bench) {
            thread::yield_now();
        }
        bench.shared.metadata.close();
        bench.shared.begin_close();
        let outcome = sending.join().expect("no panic");
        assert_eq!(kind(outcome), ErrorKind::Closed);
    });
    assert!(bench.producer.is_closed());
    let late = bench.producer.send(ProducerRecord::new("topic", "late"));
    assert_eq!(kind(late), ErrorKind::Closed);
}

/// Whether somebody waits for metadata.
fn asked(bench: &Bench) -> bool {
    // A second question is answered at once if the first one made it to the list.
    bench
        .producer
        .try_send(ProducerRecord::new("topic", "x"))
        .is_err()
}

#[test]
fn fatal_error_fails_every_later_send() {
    let bench = Bench::knowing(&[], 1);
    let fatal = Error::new(ErrorKind::ClusterAuthorization, "not allowed");
    bench.shared.set_fatal(&fatal);
    let refused = bench.producer.send(ProducerRecord::new("topic", "v"));
    assert_eq!(kind(refused), ErrorKind::ClusterAuthorization);
}

#[derive(Default)]
struct CountingWaker(AtomicUsize);

impl Wake for CountingWaker {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn send_when_ready_is_woken_by_metadata_and_by_memory() {
    let mut bench = Bench::new(&[]);
    let woken = Arc::new(CountingWaker::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut context = Context::from_waker(&waker);
    let producer = bench.producer.clone();
    let mut first =
        std::pin::pin!(producer.send_when_ready(ProducerRecord::new("topic", "v"), None));
    assert!(Future::poll(first.as_mut(), &mut context).is_pending());
    assert_eq!(woken.0.load(Ordering::Relaxed), 0);
    bench.answer(1);
    assert_eq!(woken.0.load(Ordering::Relaxed), 1);
    assert!(matches!(
        Future::poll(first.as_mut(), &mut context),
        Poll::Ready(Ok(_))
    ));

    bench.fill();
    let record = ProducerRecord::new("topic", vec![1; 10_000]);
    let mut second = std::pin::pin!(producer.send_when_ready(record, None));
    assert!(Future::poll(second.as_mut(), &mut context).is_pending());
    bench.acknowledge();
    assert_eq!(woken.0.load(Ordering::Relaxed), 2);
    let Poll::Ready(Ok(handle)) = Future::poll(second.as_mut(), &mut context) else {
        panic!("there is room now");
    };
    bench.acknowledge();
    assert_eq!(
        handle.get().expect("acknowledged").serialized_value_size(),
        Some(10_000)
    );
}

struct Nothing;

impl DeliveryCallback for Nothing {
    fn on_completion(&self, _: u64, _: Result<&RecordMetadata, &DeliveryError>) {}
}

#[test]
fn send_to_an_open_batch_allocates_nothing() {
    let bench = Bench::knowing(&[], 1);
    let callback: Arc<dyn DeliveryCallback> = Arc::new(Nothing);
    let send = |tag| {
        let record = ProducerRecord::new("topic", "0123456789").key("key");
        let sent = bench.producer.send_with(record, (&callback, tag));
        drop(sent.expect("there is room"));
    };
    // The slots of callbacks double: from 129 to 256 there is room.
    (0..130).for_each(send);
    let info = allocation_counter::measure(|| (0..100).for_each(send));
    assert_eq!(info.count_total, 0, "{info:?}");
}

#[test]
fn serializers_are_dropped_with_the_last_producer_that_has_them() {
    let bench = Bench::knowing(&[], 1);
    let counting = Arc::new(CountingSerializer(AtomicUsize::new(0)));
    let face = bench
        .producer
        .with_serializers(BytesSerializer, Arc::clone(&counting));
    let clone = face.clone();
    let sent = clone.send(ProducerRecord::new("topic", 3_usize));
    drop(sent.expect("there is room"));
    drop(face);
    assert_eq!(Arc::strong_count(&counting), 2, "the clone has it");
    drop(clone);
    assert_eq!(Arc::strong_count(&counting), 1);
    assert!(!bench.producer.is_closed(), "the others go on");
}

#[test]
fn record_that_is_refused_comes_back_with_its_headers() {
    let bench = Bench::new(&[]);
    let record = ProducerRecord::new("topic", "value")
        .key("key")
        .header("test", "header2")
        .header("test", "header3");
    let expected = record.clone();
    let refused = bench.producer.send(record).expect_err("nothing is known");
    assert_eq!(refused.kind(), ErrorKind::Timeout);
    let back = refused.into_record();
    assert_eq!(back, expected);
    bench.answer(1);
    let again = bench.producer.send(back.header("test", "header4"));
    assert!(again.is_ok(), "nothing of it is frozen");
}

#[test]
fn topic_that_was_forgotten_is_waited_for_again() {
    let mut bench = Bench::knowing(&[], 1);
    let sent = bench.producer.send(ProducerRecord::new("topic", "v"));
    drop(sent.expect("it is known"));
    bench.acknowledge();
    let clock = bench.clock.clone().expect("it stands still");
    clock.advance(Duration::from_secs(301));
    answer(&bench.shared, "another", 1);
    assert!(bench.shared.metadata.cluster().topic("topic").is_none());
    assert!(bench.drain().is_empty());
    let record = ProducerRecord::new("topic", "v");
    let refused = bench.producer.send(record).expect_err("it is forgotten");
    assert_eq!(refused.kind(), ErrorKind::Timeout);
    let error = bench.producer.partitions_for("topic").expect_err("as well");
    assert_eq!(error.kind(), ErrorKind::Timeout);
    bench.answer(2);
    let sent = bench.producer.send(refused.into_record());
    drop(sent.expect("it was asked for"));
    let partitions = bench.producer.partitions_for("topic");
    assert_eq!(partitions.expect("it is known").len(), 2);
}
