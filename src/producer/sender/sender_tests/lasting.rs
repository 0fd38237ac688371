//! What lasts over retries and answers: identities, topics in use, and what brokers say in words.

use super::*;
use crate::producer::accumulator::ProduceRequestResult;
use crate::record::{BatchReader, Header};

fn learn_untouched(bench: &Bench, leaders: &[i32]) {
    let partitions = (0..).zip(leaders).map(|(index, leader)| MetadataPartition {
        error_code: 0,
        index,
        leader_id: *leader,
        leader_epoch: 1,
    });
    let response = MetadataResponse {
        brokers: vec![node(1), node(2)],
        topics: vec![MetadataTopic {
            name: TOPIC.into(),
            topic_id: TOPIC_ID,
            partitions: partitions.collect(),
            ..MetadataTopic::default()
        }],
        ..MetadataResponse::default()
    };
    bench.shared.metadata.learn(response, bench.clock.now());
}

#[test]
fn topic_that_is_sent_to_stays_known_and_one_that_is_not_is_forgotten() {
    let is_known = |bench: &Bench| bench.shared.metadata.cluster().topic(TOPIC).is_some();
    for sends in [true, false] {
        let mut bench = Bench::new(plain(), &[1]);
        bench.advance(200_000);
        if sends {
            let _handle = bench.send(0);
            bench.turn();
            let request = bench.take();
            bench.acknowledge(request, 0);
            bench.turn();
        }
        bench.advance(200_000);
        learn_untouched(&bench, &[1]);
        assert_eq!(is_known(&bench), sends, "idle for 200 s or for 400 s");
    }
}

#[test]
fn sequences_count_records_and_not_batches() {
    let mut bench = Bench::with_batches_of(1024, config(), &[1]);
    bench.give_identity(7, 0);
    let mut expected = 1;
    for records in [3, 1, 2] {
        let handles: Vec<SendHandle> = (0..records).map(|_| bench.send(0)).collect();
        bench.turn();
        let request = bench.take();
        assert_eq!(stamp(&request), (0, expected));
        assert_eq!(on_wire(&request)[0].records, records);
        bench.acknowledge(request, i64::from(expected));
        bench.turn();
        let offsets: Vec<i64> = handles.iter().filter_map(offset).collect();
        let all: Vec<i64> = (i64::from(expected)..).take(handles.len()).collect();
        assert_eq!(offsets, all);
        expected += records;
    }
}

/// The epoch of one partition is used up. What the other has on its way keeps its identity: the
/// broker may have it under that, and recognises it under no other.
#[test]
fn batch_stamped_before_a_new_producer_id_is_sent_again_as_it_was() {
    let mut bench = Bench::new(config(), &[1, 2]);
    bench.give_identity(7, i16::MAX);
    let handles = [bench.send(0), bench.send(1)];
    bench.turn();
    let mut requests = [bench.take(), bench.take()];
    requests.sort_by_key(|request| request.node);
    let [used_up, other] = requests;
    let before = on_wire(&other)[0];
    bench.refuse(used_up, 59);
    bench.refuse(other, 19);
    let mut again = Vec::new();
    for _ in 0..10 {
        bench.turn();
        while let Some(request) = bench.client.take() {
            match request.body {
                ApiRequest::InitProducerId(_) => {
                    bench.client.answer(request, identity(8, 0, 0));
                }
                _ => again.push(request),
            }
        }
        bench.advance(200);
    }
    again.sort_by_key(|request| request.node);
    let stamps: Vec<OnWire> = again.iter().map(|request| on_wire(request)[0]).collect();
    assert_eq!(stamps.len(), 2, "{stamps:?}");
    assert_eq!((stamps[0].producer_id, stamps[0].epoch), (8, 0));
    assert_eq!(stamps[1], before);
    for request in again {
        bench.acknowledge(request, 5);
    }
    bench.turn();
    assert_eq!(handles.map(|handle| offset(&handle)), [Some(5), Some(5)]);
}

#[test]
fn unknown_producer_id_of_two_in_flight_sends_both_again_in_their_order() {
    let mut bench = Bench::idempotent(&[1]);
    let handles = [bench.send(0), bench.send(0)];
    bench.turn();
    bench.turn();
    let (first, second) = (bench.take(), bench.take());
    bench.refuse(first, 59);
    bench.turn();
    assert!(
        bench.client.take().is_none(),
        "the second one is not answered"
    );
    bench.refuse(second, 45);
    bench.turn();
    for (sequence, base_offset) in [(0, 1), (1, 2)] {
        bench.next_attempt();
        let request = bench.take();
        assert_eq!(stamp(&request), (1, sequence));
        bench.acknowledge(request, base_offset);
        bench.turn();
    }
    assert_eq!(handles.map(|handle| offset(&handle)), [Some(1), Some(2)]);
    assert_eq!(bench.shared.data_losses(), 0);
}

#[test]
fn only_batch_that_ends_unknown_costs_its_partition_an_epoch_and_nothing_else() {
    let mut bench = Bench::idempotent(&[1, 1]);
    let lost = bench.send(0);
    bench.turn();
    let request = bench.take();
    bench.disconnect(request, true);
    bench.turn();
    bench.client.make_unready(1, Duration::MAX);
    bench.advance(120_000);
    bench.turn();
    assert_eq!(failed(&lost).1, Persistence::Unknown);
    bench.client.make_ready(1);
    let _next = [bench.send(0), bench.send(1)];
    bench.turn();
    let stamps: Vec<(i32, i16, i32)> = on_wire(&bench.take())
        .iter()
        .map(|it| (it.partition, it.epoch, it.sequence))
        .collect();
    assert_eq!(stamps, [(0, 1, 0), (1, 0, 0)]);
    assert!(bench.shared.fatal_error().is_none());
}

#[test]
fn record_that_the_topics_format_does_not_take_fails_alone() {
    let mut bench = Bench::idempotent(&[1]);
    let refused = bench.send(0);
    bench.turn();
    let request = bench.take();
    bench.refuse(request, 43);
    bench.turn();
    let error = done(&refused).expect_err("refused");
    assert_eq!(error.error().code(), Some(43));
    assert_eq!(error.persistence(), Persistence::NotWritten);
    assert!(bench.shared.fatal_error().is_none());
    let next = bench.send(0);
    bench.turn();
    let request = bench.take();
    bench.acknowledge(request, 1);
    bench.turn();
    assert_eq!(offset(&next), Some(1));
}

#[test]
fn error_has_the_brokers_words_or_else_the_codes_name() {
    for words in [Some("the disk is full of owls"), None] {
        let mut bench = Bench::new(plain(), &[1]);
        let handle = bench.send(0);
        bench.turn();
        let request = bench.take();
        bench.answer_each(request, |partition| {
            partition.error_code = 42;
            partition.error_message = words.map(Into::into);
        });
        bench.turn();
        let error = done(&handle).expect_err("refused");
        let text = error.to_string();
        assert!(text.contains(words.unwrap_or("INVALID_REQUEST")), "{text}");
        assert_eq!(error.error().code_name(), Some("INVALID_REQUEST"));
    }
}

#[test]
fn leader_that_moved_without_a_hint_asks_for_metadata_and_backs_off() {
    let mut bench = Bench::new(plain(), &[1, 1]);
    let handles = [bench.send(0), bench.send(1)];
    bench.turn();
    let request = bench.take();
    bench.answer_each(request, |partition| {
        if partition.index == 0 {
            partition.error_code = 6;
            partition.base_offset = -1;
        }
    });
    bench.turn();
    assert!(bench.shared.metadata.is_update_requested(bench.clock.now()));
    assert!(handles[1].is_done(), "the other partition is not concerned");
    bench.turn();
    assert!(bench.client.take().is_none(), "it backs off");
    bench.learn(TOPIC_ID, &[2, 1], 2);
    bench.turn();
    let request = bench.take();
    assert_eq!(request.node, NodeId(2), "a new leader is asked at once");
    bench.acknowledge(request, 9);
    bench.turn();
    assert_eq!(offset(&handles[0]), Some(9));
}

#[test]
fn retry_under_the_same_leader_waits_for_its_backoff_and_under_another_does_not() {
    let mut bench = Bench::idempotent(&[1]);
    let handle = bench.send(0);
    bench.turn();
    for attempt in 0..2 {
        let request = bench.take();
        bench.refuse(request, 6);
        bench.turn();
        bench.learn(TOPIC_ID, &[1 + attempt], 1 + attempt);
        bench.turn();
        if attempt == 0 {
            assert!(bench.client.take().is_none(), "the same as before");
            bench.advance(121);
            bench.turn();
        }
    }
    let request = bench.take();
    assert_eq!((request.node, stamp(&request)), (NodeId(2), (0, 1)));
    bench.acknowledge(request, 1);
    bench.turn();
    assert_eq!(offset(&handle), Some(1));
}

#[test]
fn wall_clock_that_jumps_ends_and_delays_nothing() {
    const DAY_MS: i64 = 86_400_000;
    let mut bench = Bench::new(plain(), &[1, 0]);
    let handles = [bench.send(0), bench.send(1)];
    bench.turn();
    let _unanswered = bench.take();
    bench.clock.jump_wall_clock(DAY_MS);
    bench.turn();
    assert!(!handles.iter().any(SendHandle::is_done), "a day too early");
    bench.clock.jump_wall_clock(-2 * DAY_MS);
    bench.advance(119_999);
    bench.turn();
    assert!(!handles.iter().any(SendHandle::is_done));
    bench.advance(1);
    bench.turn();
    assert!(handles.iter().all(SendHandle::is_done), "a day too late");
}

#[test]
fn pieces_of_a_batch_keep_their_records_keys_and_headers_and_the_format() {
    let mut bench = Bench::with_batches_of(4096, plain(), &[1]);
    let topic = bench.shared.accumulator.topic(TOPIC).expect("it is known");
    let mut results = Vec::new();
    for number in 0..9_u8 {
        let key = [number];
        let headers = [
            Header::new("header-key", vec![number; 3]),
            Header::null("null"),
        ];
        let record = RecordToAppend {
            partition: Some(0),
            view: RecordView::new(77, Some(&key), Some(b"there"), &headers),
        };
        let mut ticket = MemoryTicket::default();
        let accumulator = &bench.shared.accumulator;
        match accumulator.try_append(&topic, &record, &mut None, &mut ticket, None) {
            Append::Appended { result, index } => results.push((result, index)),
            other => panic!("{other:?}"),
        }
    }
    bench.turn();
    let whole = bench.take();
    bench.refuse(whole, 10);
    let (mut pieces, mut keys) = (0, Vec::new());
    for _ in 0..8 {
        bench.turn();
        let Some(piece) = bench.client.take() else {
            continue;
        };
        pieces += 1;
        let parts = &produce(&piece).topics[0].partitions[0].records.parts;
        assert_eq!(parts[0][..8], [0; 8], "from offset 0");
        assert_eq!((parts[0][16], &parts[0][21..23]), (2, &[0, 0][..]));
        let mut reader = BatchReader::new(&parts[1..]);
        while let Some(record) = reader.read() {
            let key = record.key.expect("it has one")[0];
            let expected = [
                Header::new("header-key", vec![key; 3]),
                Header::null("null"),
            ];
            assert_eq!(record.headers.as_slice(), expected);
            assert_eq!(record.value.as_deref(), Some(&b"there"[..]));
            keys.push(key);
        }
        bench.acknowledge(piece, 0);
    }
    assert!(pieces > 1, "it was split");
    assert_eq!(keys, (0..9).collect::<Vec<u8>>());
    bench.turn();
    let is_done =
        |(result, index): &(Arc<ProduceRequestResult>, u32)| result.outcome(*index).is_some();
    assert!(results.iter().all(is_done));
}
