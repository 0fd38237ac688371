//! Sequences and epochs end to end; the rules themselves are tested beside `producer_state`.

use crate::{Change, ClusterConfig, VersionProfile};

use super::{Client, TestBatch, to_partition};

fn produce(client: &mut Client, batch: &TestBatch) -> (i16, i64) {
    let response = client.produce(batch.encode());
    (response.error_code, response.base_offset)
}

#[test]
fn repeated_batch_is_acknowledged_with_the_first_offset_and_not_appended() {
    let mut client = Client::simple();
    let first = TestBatch::sequenced(0, 0, 2);
    assert_eq!(produce(&mut client, &first), (0, 0));
    assert_eq!(produce(&mut client, &TestBatch::sequenced(0, 2, 1)), (0, 2));
    client.advance(10);
    let again = client.produce(first.encode());
    assert_eq!((again.error_code, again.base_offset), (0, 0));
    assert_eq!(again.log_append_time_ms, first.base_timestamp + 1);
    assert_eq!(client.cluster.end_offset("t", 0), 3);
}

#[test]
fn gap_and_old_epoch_are_refused() {
    let mut client = Client::simple();
    assert_eq!(produce(&mut client, &TestBatch::sequenced(3, 0, 2)), (0, 0));
    assert_eq!(
        produce(&mut client, &TestBatch::sequenced(3, 3, 1)),
        (45, -1)
    );
    assert_eq!(
        produce(&mut client, &TestBatch::sequenced(2, 2, 1)),
        (47, -1)
    );
    assert_eq!(
        produce(&mut client, &TestBatch::sequenced(4, 2, 1)),
        (45, -1)
    );
    assert_eq!(produce(&mut client, &TestBatch::sequenced(4, 0, 1)), (0, 2));
}

#[test]
fn smaller_window_forgets_earlier() {
    let mut config = ClusterConfig::brokers(1).topic("t", 1);
    config.producer_window = 2;
    let mut client = Client::new(config);
    for sequence in 0..3 {
        let batch = TestBatch::sequenced(0, sequence, 1);
        assert_eq!(produce(&mut client, &batch).0, 0);
    }
    assert_eq!(
        produce(&mut client, &TestBatch::sequenced(0, 0, 1)),
        (45, -1)
    );
    assert_eq!(produce(&mut client, &TestBatch::sequenced(0, 1, 1)), (0, 1));
}

#[test]
fn forgotten_producer_goes_on_and_its_repeat_is_a_duplicate_record() {
    let mut client = Client::simple();
    assert_eq!(produce(&mut client, &TestBatch::sequenced(0, 0, 2)), (0, 0));
    client
        .cluster
        .apply(Change::ForgetProducers("t".to_owned(), 0));
    assert_eq!(produce(&mut client, &TestBatch::sequenced(0, 2, 1)), (0, 2));
}

#[test]
fn forgotten_producer_is_unknown_to_an_old_broker() {
    let config = ClusterConfig::brokers(1).topic("t", 1);
    let mut client = Client::new(config.versions(VersionProfile::KAFKA_21));
    client
        .cluster
        .apply(Change::ForgetProducers("t".to_owned(), 0));
    let request = to_partition(0, TestBatch::sequenced(0, 2, 1).encode());
    let response = client.produce_request(7, &request);
    assert_eq!((response.error_code, response.log_start_offset), (59, 0));
}

#[test]
fn truncated_log_remembers_what_is_left() {
    let mut client = Client::simple();
    for sequence in 0..4 {
        let batch = TestBatch::sequenced(0, sequence, 1);
        assert_eq!(produce(&mut client, &batch).0, 0);
    }
    client.cluster.apply(Change::Truncate("t".to_owned(), 0, 2));
    assert_eq!(client.cluster.end_offset("t", 0), 2);
    assert_eq!(
        produce(&mut client, &TestBatch::sequenced(0, 4, 1)),
        (45, -1)
    );
    assert_eq!(produce(&mut client, &TestBatch::sequenced(0, 1, 1)), (0, 1));
    assert_eq!(produce(&mut client, &TestBatch::sequenced(0, 2, 1)), (0, 2));
    assert_eq!(client.cluster.end_offset("t", 0), 3, "appended anew");
}

#[test]
fn partitions_know_their_producers_apart() {
    let mut client = Client::simple();
    assert_eq!(produce(&mut client, &TestBatch::sequenced(5, 0, 1)), (0, 0));
    let other = to_partition(1, TestBatch::sequenced(0, 0, 1).encode());
    let response = client.produce_request(12, &other);
    assert_eq!((response.error_code, response.base_offset), (0, 0));
}
