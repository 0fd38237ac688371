//! What the library sends, as Kafka's own consumer reads it, from each version's broker.

use bytes::Bytes;
use kafka_producer::{Header, Headers, KafkaProducer, ProducerRecord, RecordMetadata};
use kafka_test_support::real_kafka::{ConsumedRecord, NewTopic, TimestampKind, Version};
use libtest_mimic::Failed;

use crate::stage::Stage;
use crate::stream::{PATIENCE, SOME, config, exactly_once, while_sending};
use crate::{Entry, Outcome, VersionEntry, ensure};

pub(crate) const EACH_VERSION: &[VersionEntry] = &[
    VersionEntry::new("records_of_all_shapes_come_back_byte_equal", shapes),
    VersionEntry::new("log_append_time_is_what_the_handle_tells", log_append_time),
    VersionEntry::new("acks_0_1_and_all_arrive_in_order", acks),
    VersionEntry::new("stream_of_two_threads_arrives_exactly_once", steady),
    VersionEntry::new("broker_knows_one_producer_and_its_last_sequence", producers),
];

pub(crate) const TRIALS: &[Entry] = &[Entry::new(
    "partition_of_10000_random_keys_is_the_one_java_chooses",
    random_keys,
)];

type Shape = ProducerRecord<'static, Option<Bytes>, Option<Bytes>>;

/// Every combination of key, value, headers and timestamp; then sizes up to one request's.
fn all_shapes(topic: &str) -> Vec<Shape> {
    let fields = [None, Some(""), Some("some bytes \u{0}\u{fffd}")];
    let headers = [
        vec![],
        vec![Header::new("h", "1")],
        vec![
            Header::new("twice", "1"),
            Header::null("null"),
            Header::new("twice", Bytes::from_static(&[0, 255])),
            Header::new("", ""),
        ],
    ];
    let shape = |key: Option<&'static str>, value: Option<&'static str>| {
        ProducerRecord::new(topic.to_owned(), value.map(Bytes::from)).key(key.map(Bytes::from))
    };
    let mut shapes = Vec::new();
    for key in fields {
        for value in fields {
            for headers in &headers {
                for timestamp in [None, Some(0), Some(1_700_000_000_123)] {
                    let mut record = shape(key, value);
                    record.headers = headers.iter().cloned().collect::<Headers>();
                    record.timestamp_ms = timestamp;
                    shapes.push(record);
                }
            }
        }
    }
    // Around a chunk of memory and a batch (16 KiB), and several chunks.
    for size in [16_000, 16_384, 16_385, 100_000, 900_000] {
        let bytes: Bytes = (0..=250_u8).rev().cycle().take(size).collect();
        shapes.push(ProducerRecord::new(topic.to_owned(), Some(bytes.clone())).key(None));
        shapes.push(ProducerRecord::new(topic.to_owned(), None).key(Some(bytes)));
    }
    shapes
}

fn expected(record: &Shape, said: &RecordMetadata, kind: TimestampKind) -> ConsumedRecord {
    let header = |header: &Header| {
        let value = header.value.as_ref().map(|value| value.to_vec());
        (header.key.to_string(), value)
    };
    ConsumedRecord {
        partition: said.partition(),
        offset: said.offset().unwrap_or(-1),
        timestamp: said.timestamp_ms(),
        timestamp_kind: kind,
        key: record.key.as_ref().map(|key| key.to_vec()),
        value: record.value.as_ref().map(|value| value.to_vec()),
        headers: record.headers.into_iter().map(header).collect(),
    }
}

fn send_all(producer: &KafkaProducer, records: &[Shape]) -> Result<Vec<RecordMetadata>, Failed> {
    let handles = records.iter().map(|record| producer.send(record.clone()));
    let handles: Vec<_> = handles
        .collect::<Result<_, _>>()
        .map_err(|error| error.to_string())?;
    let outcomes = handles.into_iter().map(|mut handle| {
        let outcome = handle.get_timeout(PATIENCE).ok_or("no outcome")?;
        Ok(outcome?)
    });
    outcomes.collect()
}

fn shapes(stage: &Stage, version: Version) -> Outcome {
    let kafka = stage.kafka(version)?;
    let topic = NewTopic::new("shapes", 3).config("message.timestamp.type", "CreateTime");
    kafka.create_topic(&topic)?;
    let producer = KafkaProducer::new(config(kafka.bootstrap()).set("batch.size", "16384"))?;
    let mut records = all_shapes("shapes");
    for partition in 0..3 {
        let chosen = records.iter().step_by(7).cloned();
        let chosen: Vec<Shape> = chosen.map(|record| record.partition(partition)).collect();
        records.extend(chosen);
    }
    let said = send_all(&producer, &records)?;
    let mut left = kafka.read_topic("shapes")?;
    ensure(left.len() == records.len(), || {
        format!("{} sent, {} read", records.len(), left.len())
    })?;
    for (record, said) in records.iter().zip(&said) {
        let expected = expected(record, said, TimestampKind::CreateTime);
        let at = left.iter().position(|read| *read == expected);
        let at = at.ok_or_else(|| {
            let near = left.iter().find(|read| read.offset == expected.offset);
            format!("told {said:?}; {record:?} is not there, but {near:?}")
        })?;
        left.swap_remove(at);
        let is_kept = record.partition.is_none_or(|p| p == said.partition())
            && record.timestamp_ms.is_none_or(|t| t == said.timestamp_ms());
        ensure(is_kept, || format!("{record:?} was put to {said:?}"))?;
        let sizes = (said.serialized_key_size(), said.serialized_value_size());
        let lengths = [&record.key, &record.value].map(|field| field.as_ref().map(Bytes::len));
        ensure(sizes == lengths.into(), || format!("{record:?}: {said:?}"))?;
    }
    Ok(())
}

fn log_append_time(stage: &Stage, version: Version) -> Outcome {
    let kafka = stage.kafka(version)?;
    let topic = NewTopic::new("append-time", 1).config("message.timestamp.type", "LogAppendTime");
    kafka.create_topic(&topic)?;
    let producer = KafkaProducer::new(config(kafka.bootstrap()))?;
    let record = |n: usize| {
        ProducerRecord::new("append-time", Some(Bytes::from(n.to_string())))
            .key(None)
            .timestamp_ms(1_000)
    };
    let records: Vec<Shape> = (0..100).map(record).collect();
    let said = send_all(&producer, &records)?;
    let expected: Vec<ConsumedRecord> = records
        .iter()
        .zip(&said)
        .map(|(record, said)| expected(record, said, TimestampKind::LogAppendTime))
        .collect();
    let read = kafka.read_topic("append-time")?;
    ensure(read == expected, || format!("{read:?} is not {expected:?}"))?;
    ensure(said.iter().all(|said| said.timestamp_ms() > 1_000), || {
        format!("{said:?}")
    })?;
    Ok(())
}

fn acks(stage: &Stage, version: Version) -> Outcome {
    let kafka = stage.kafka(version)?;
    for acks in ["0", "1", "all"] {
        let topic = format!("acks-{acks}");
        kafka.create_topic(&NewTopic::new(&topic, 1))?;
        let config = config(kafka.bootstrap())
            .set("acks", acks)
            .set("enable.idempotence", "false")
            // Without idempotence, more than one would promise no order after an error.
            .set("max.in.flight.requests.per.connection", "1");
        let producer = KafkaProducer::new(config)?;
        let record = |n: usize| {
            ProducerRecord::new(topic.clone(), Some(Bytes::from(n.to_string()))).key(None)
        };
        let records: Vec<Shape> = (0..2_000).map(record).collect();
        let said = send_all(&producer, &records)?;
        let offsets: Vec<Option<i64>> = said.iter().map(RecordMetadata::offset).collect();
        let told: Vec<Option<i64>> = match acks {
            "0" => vec![None; records.len()],
            _ => (0..2_000).map(Some).collect(),
        };
        ensure(offsets == told, || format!("acks={acks}: {offsets:?}"))?;
        // With acks=0 nobody says when they are there; what is acknowledged after them on the same
        // connection lies behind them.
        drop(producer);
        let read = await_records(stage, version, &topic, records.len())?;
        let values: Vec<_> = read.into_iter().map(|read| read.value).collect();
        let expected: Vec<_> = (0..2_000_usize)
            .map(|n| Some(n.to_string().into_bytes()))
            .collect();
        ensure(values == expected, || format!("acks={acks}: {values:?}"))?;
        let producers = kafka.describe_producers(&topic, 0)?;
        ensure(producers.is_empty(), || format!("{producers:?}"))?;
    }
    Ok(())
}

/// Reads until so many are there, or for a while: nobody tells of records sent with acks=0.
fn await_records(
    stage: &Stage,
    version: Version,
    topic: &str,
    count: usize,
) -> Result<Vec<ConsumedRecord>, Failed> {
    let kafka = stage.kafka(version)?;
    let mut read = kafka.read_topic(topic)?;
    for _ in 0..50 {
        if read.len() >= count {
            break;
        }
        read = kafka.read_topic(topic)?;
    }
    Ok(read)
}

fn steady(stage: &Stage, version: Version) -> Outcome {
    let kafka = stage.kafka(version)?;
    kafka.create_topic(&NewTopic::new("steady", 3))?;
    let producer = KafkaProducer::new(config(kafka.bootstrap()))?;
    let sent = while_sending(&producer, "steady", |progress| {
        progress.await_more(10 * SOME)
    })?;
    exactly_once(kafka, "steady", &sent)
}

fn producers(stage: &Stage, version: Version) -> Outcome {
    let kafka = stage.kafka(version)?;
    kafka.create_topic(&NewTopic::new("sequences", 2))?;
    let producer = KafkaProducer::new(config(kafka.bootstrap()))?;
    let record = |n: i32| {
        ProducerRecord::new("sequences", Some(Bytes::from_static(b"v")))
            .key(None)
            .partition(i32::from(n >= 700))
    };
    send_all(&producer, &(0..1_000).map(record).collect::<Vec<_>>())?;
    let mut ids = Vec::new();
    for (partition, last) in [(0, 699), (1, 299)] {
        let producers = kafka.describe_producers("sequences", partition)?;
        let [known] = producers.as_slice() else {
            return Err(format!("partition {partition}: {producers:?}").into());
        };
        ensure((known.epoch, known.last_sequence) == (0, last), || {
            format!("partition {partition}: {known:?}")
        })?;
        ids.push(known.id);
    }
    ensure(ids[0] == ids[1], || format!("producer ids {ids:?}"))?;
    Ok(())
}

fn random_keys(stage: &Stage) -> Outcome {
    let kafka = stage.kafka(Version::V4_3_1)?;
    kafka.create_topic(&NewTopic::new("keys-ours", 37))?;
    kafka.create_topic(&NewTopic::new("keys-javas", 37))?;
    let seed = fastrand::u64(..);
    println!("seed of the keys: {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let keys: Vec<Vec<u8>> = (0..10_000)
        .map(|_| {
            let length = random.usize(0..=40);
            std::iter::repeat_with(|| random.u8(..))
                .take(length)
                .collect()
        })
        .collect();
    let record = |key: &Vec<u8>| {
        ProducerRecord::new("keys-ours", Some(Bytes::new())).key(Some(Bytes::from(key.clone())))
    };
    let producer = KafkaProducer::new(config(kafka.bootstrap()).set("batch.size", "16384"))?;
    let ours = send_all(&producer, &keys.iter().map(record).collect::<Vec<_>>())?;
    let javas = kafka.java_partitions("keys-javas", &keys)?;
    ensure(javas.len() == keys.len(), || {
        format!("{} of Java's", javas.len())
    })?;
    for ((key, ours), javas) in keys.iter().zip(&ours).zip(&javas) {
        ensure(ours.partition() == *javas, || {
            format!(
                "seed {seed}: key {key:?}: Java {javas}, we {}",
                ours.partition()
            )
        })?;
    }
    Ok(())
}
