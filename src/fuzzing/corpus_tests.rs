//! Every committed input of every target runs in every `cargo test`, so that what the fuzzer found once
//! stays mended; and every version of every response has an input to begin with, written by
//! `kafka-protocol`. `KAFKA_WRITE_SEEDS=1 cargo test --lib corpus` writes those anew.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages as theirs;
use kafka_protocol::protocol::{Encodable, StrBytes};

use super::{TARGETS, correlation, hostile_client};
use crate::protocol::messages::supported_versions;
use crate::protocol::oracle_tests::seed_response;
use crate::protocol::{ApiKey, Reader};
use crate::record::{BatchBuilder, Header, RecordView};

/// Inputs by the name of their target and their own.
type Seeds = BTreeMap<(&'static str, String), Vec<u8>>;

const DECODERS: [(&str, ApiKey); 4] = [
    ("decode_api_versions", ApiKey::ApiVersions),
    ("decode_metadata", ApiKey::Metadata),
    ("decode_produce", ApiKey::Produce),
    ("decode_init_producer_id", ApiKey::InitProducerId),
];

/// All that is committed; more would be slow to fetch and slow to replay.
const MOST_BYTES: usize = 200 * 1000;

fn corpus(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target)
}

/// The committed inputs of a target, by name.
fn committed(target: &str) -> BTreeMap<String, Vec<u8>> {
    let folder = corpus(target);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{folder:?}: {e}"));
    entries
        .map(|entry| {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name").to_string_lossy();
            let input = std::fs::read(&path).expect("an input can be read");
            (name.into_owned(), input)
        })
        .collect()
}

fn decoder_seeds() -> Seeds {
    let mut seeds = Seeds::new();
    for (target, api_key) in DECODERS {
        let versions = supported_versions(api_key);
        for version in versions.min..=versions.max {
            let selector = u8::try_from(version - versions.min).expect("few versions");
            let body = seed_response(api_key, version);
            let input = [&[selector], body.as_slice()].concat();
            seeds.insert((target, format!("v{version:02}")), input);
        }
    }
    seeds
}

fn theirs(message: &impl Encodable, version: i16) -> Vec<u8> {
    let mut out = BytesMut::new();
    message
        .encode(&mut out, version)
        .expect("it can be written");
    out.to_vec()
}

fn api_versions() -> Vec<u8> {
    let range = |(key, min, max)| {
        theirs::api_versions_response::ApiVersion::default()
            .with_api_key(key)
            .with_min_version(min)
            .with_max_version(max)
    };
    let ranges = [(0, 0, 13), (3, 0, 13), (18, 0, 4), (22, 0, 5)].map(range);
    theirs(
        &theirs::ApiVersionsResponse::default().with_api_keys(ranges.to_vec()),
        4,
    )
}

fn metadata() -> Vec<u8> {
    use theirs::metadata_response as parts;
    let broker = parts::MetadataResponseBroker::default()
        .with_node_id(theirs::BrokerId(1))
        .with_host(StrBytes::from_static_str("10.0.0.1"))
        .with_port(9092);
    let partition = parts::MetadataResponsePartition::default()
        .with_leader_id(theirs::BrokerId(1))
        .with_leader_epoch(3);
    let topic = parts::MetadataResponseTopic::default()
        .with_name(Some(theirs::TopicName(StrBytes::from_static_str("topic"))))
        .with_topic_id(uuid::Uuid::from_bytes([1; 16]))
        .with_partitions(vec![partition]);
    let response = theirs::MetadataResponse::default()
        .with_brokers(vec![broker])
        .with_topics(vec![topic]);
    theirs(&response, 13)
}

fn produce() -> Vec<u8> {
    use theirs::produce_response as parts;
    let partition = parts::PartitionProduceResponse::default().with_base_offset(42);
    let topic = parts::TopicProduceResponse::default()
        .with_topic_id(uuid::Uuid::from_bytes([1; 16]))
        .with_partition_responses(vec![partition]);
    theirs(
        &theirs::ProduceResponse::default().with_responses(vec![topic]),
        13,
    )
}

/// A whole conversation: connected, versions, metadata, produce requests and their answers, with bytes
/// of ours and with bodies that `kafka-protocol` wrote.
fn conversation() -> Vec<u8> {
    // Connect, let the network go on twice, ask, go on; zeros only connect again.
    let turn = |channel: u8| vec![0, 0, 0, 2, 0, 2, 0, 1, channel, 2, 0, 2, 0];
    let as_brokers_do = |channel: u8| [&[6, channel, 0], [0; 24].as_slice()].concat();
    let with_body = |channel: u8, body: Vec<u8>| {
        let length = u16::try_from(body.len()).expect("short").to_be_bytes();
        [&[4, channel, 0], length.as_slice(), &body, &[0]].concat()
    };
    let mut input = vec![0, 4, 10, 0];
    for (channel, body) in [(0, api_versions()), (0, metadata()), (0, produce())] {
        input.extend(turn(channel));
        input.extend(with_body(channel, body));
    }
    for channel in [0, 0, 1, 0, 1, 1, 0, 1, 1] {
        input.extend(turn(channel));
        input.extend(as_brokers_do(channel));
    }
    input
}

fn records() -> Vec<u8> {
    let headers = [Header::new("trace", "a1"), Header::null("seen")];
    let views = [
        RecordView::new(7, Some(b"key"), Some(b"value"), &[]),
        RecordView::new(9, None, Some(&[7; 200]), &headers),
        RecordView::new(8, None, None, &[]),
    ];
    let mut builder = BatchBuilder::new(vec![Vec::with_capacity(1024)]);
    for view in &views {
        let framing = builder.framing(view);
        builder.append(view, &framing);
    }
    let chunks: Vec<Bytes> = builder.into_chunks().into_iter().map(Bytes::from).collect();
    [&[0, 12], chunks.concat().as_slice()].concat()
}

fn other_seeds() -> Seeds {
    let frame = |body: &[u8]| [&[0, 0, 0, u8::try_from(body.len()).expect("short")], body].concat();
    let frames = [frame(b"one"), frame(b""), frame(&[3; 60])].concat();
    let cut = |limit: u8, stream: &[u8]| [&[limit, 0, 1, 2, 3, 40, 0, 0, 9], stream].concat();
    let huge = [frames.as_slice(), &i32::MAX.to_be_bytes()].concat();
    let negative = [frames.as_slice(), &(-5_i32).to_be_bytes()].concat();
    let text = "bootstrap.servers=a:1,\\\n b:2\nlinger.ms: 7\nacks=all\nenable.idempotence=false\n";
    let written: [(&str, &str, Vec<u8>); 11] = [
        ("record_batch_read", "three", records()),
        ("network_receive_chunks", "frames", cut(0, &frames)),
        ("network_receive_chunks", "huge", cut(1, &huge)),
        ("network_receive_chunks", "negative", cut(0, &negative)),
        ("correlation", "conversation", conversation()),
        (
            "accumulator_ops",
            "one_of_each",
            (0..16).chain(0..16).collect(),
        ),
        (
            "accumulator_ops",
            "retry_and_expire",
            // Append, drain, put back, wait, drain again, end; append, wait, expire.
            vec![
                2, 1, 1, 0, 0, 2, 1, 9, 3, 5, 3, 1, 8, 1, 9, 7, 5, 3, 1, 7, 1, 0, 0, 1, 1, 1, 9, 8,
                9, 8, 9, 8, 10,
            ],
        ),
        (
            "configuration",
            "properties",
            [&[0], text.as_bytes()].concat(),
        ),
        (
            "configuration",
            "typing_error",
            b"\0linger.mss=1\nbootstrap.servers=a:1".to_vec(),
        ),
        (
            "configuration",
            "pairs",
            b"\x01\x01\x03all\x05\x0210".to_vec(),
        ),
        (
            "configuration",
            "servers",
            b"\x02a:9092, PLAINTEXT://b.example:1,[::1]:9093,".to_vec(),
        ),
    ];
    written
        .into_iter()
        .map(|(target, name, input)| ((target, name.to_owned()), input))
        .collect()
}

#[test]
fn corpus_has_an_input_for_every_version_of_every_response_as_the_oracle_writes_it() {
    let seeds = decoder_seeds().into_iter().chain(other_seeds());
    for ((target, name), input) in seeds {
        let path = corpus(target).join(&name);
        if std::env::var_os("KAFKA_WRITE_SEEDS").is_some() {
            std::fs::create_dir_all(corpus(target)).expect("it can be made");
            std::fs::write(&path, &input).expect("it can be written");
        }
        let found = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert_eq!(found, input, "{}", path.display());
    }
}

#[test]
fn decoder_seeds_are_whole_responses() {
    for ((target, name), input) in decoder_seeds() {
        let (_, api_key) = DECODERS
            .into_iter()
            .find(|(known, _)| *known == target)
            .expect("a decoder");
        let version = supported_versions(api_key).min + i16::from(input[0]);
        let mut reader = Reader::new(&input[1..]);
        let decoded = crate::protocol::messages::ApiResponse::decode(api_key, version, &mut reader);
        assert!(decoded.is_ok(), "{target} {name}: {decoded:?}");
        assert_eq!(reader.remaining(), 0, "{target} {name}");
    }
}

/// The inputs to begin with reach what is to be fuzzed.
#[test]
fn conversations_of_the_corpus_come_to_acknowledgements() {
    let most = |target, play: fn(&[u8]) -> usize| {
        let inputs = committed(target);
        inputs.values().map(|input| play(input)).max().unwrap_or(0)
    };
    assert!(most("correlation", correlation::play) > 0);
    assert!(most("hostile_client", hostile_client::play) > 10);
}

#[test]
fn corpus_of_every_target_runs_within_its_bounds() {
    let mut bytes = 0;
    for target in TARGETS {
        let inputs = committed(target.name);
        assert!(!inputs.is_empty(), "{} has no input", target.name);
        for (name, input) in inputs {
            println!("{}/{name}", target.name);
            let took = allocation_counter::measure(|| (target.run)(&input));
            target.judge(input.len(), took.bytes_max, took.count_total);
            bytes += input.len();
        }
    }
    assert!(bytes < MOST_BYTES, "{bytes} bytes of corpus");
}
