//! Sequences and epochs end to end; the rules themselves are tested beside `producer_state`.

use kafka_protocol::messages::InitProducerIdRequest;

use crate::{Change, ClusterConfig, FirstSequence, TopicConfig, VersionProfile};

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

#[test]
fn window_of_none_refuses_a_repetition_and_goes_on() {
    let mut config = ClusterConfig::brokers(1).topic("t", 1);
    config.producer_window = 0;
    let mut client = Client::new(config);
    let first = TestBatch::sequenced(0, 0, 2);
    assert_eq!(produce(&mut client, &first), (0, 0));
    assert_eq!(produce(&mut client, &first), (45, -1));
    assert_eq!(produce(&mut client, &TestBatch::sequenced(0, 2, 1)), (0, 2));
}

#[test]
fn expired_producer_is_unknown_again() {
    let mut config = ClusterConfig::brokers(1).topic("t", 1);
    config.producer_id_expiration_ms = 1000;
    config.first_sequence = Some(FirstSequence::ZeroOrUnknownProducerId);
    let mut client = Client::new(config);
    assert_eq!(produce(&mut client, &TestBatch::sequenced(0, 0, 1)), (0, 0));
    client.advance(999);
    assert_eq!(produce(&mut client, &TestBatch::sequenced(0, 1, 1)), (0, 1));
    client.advance(1000);
    let late = TestBatch::sequenced(0, 2, 1);
    assert_eq!(produce(&mut client, &late), (59, -1));
    assert_eq!(produce(&mut client, &TestBatch::sequenced(0, 0, 1)), (0, 2));
}

#[test]
fn new_log_of_kafka_45_begins_at_zero_and_an_emptied_one_anywhere() {
    let versions = VersionProfile::KAFKA_43.of_release(4, 5);
    let config = ClusterConfig::brokers(1).topic("t", 1);
    let mut client = Client::new(config.versions(versions));
    let second = TestBatch::sequenced(0, 3, 1);
    assert_eq!(produce(&mut client, &second), (45, -1));
    assert_eq!(produce(&mut client, &TestBatch::sequenced(0, 0, 3)), (0, 0));
    assert_eq!(produce(&mut client, &second), (0, 3));
    let emptied = Change::DeleteRecords("t".to_owned(), 0, 4);
    client.cluster.apply(emptied);
    client
        .cluster
        .apply(Change::ForgetProducers("t".to_owned(), 0));
    assert_eq!(produce(&mut client, &TestBatch::sequenced(0, 4, 1)), (0, 4));
}

#[test]
fn repetition_on_a_topic_with_append_times_gets_the_first_time_and_the_log_start() {
    let topic = TopicConfig::new("t", 1).log_append_time();
    let mut client = Client::new(ClusterConfig::brokers(1).topic_with(topic));
    client.produce(TestBatch::of(1).encode());
    client.advance(5);
    let batch = TestBatch::sequenced(0, 0, 2);
    let first = client.produce(batch.encode());
    let deleted = Change::DeleteRecords("t".to_owned(), 0, 1);
    client.cluster.apply(deleted);
    client.advance(90);
    let again = client.produce(batch.encode());
    assert_eq!(first.log_append_time_ms, super::NOW + 5);
    assert_eq!(again.log_append_time_ms, super::NOW + 5);
    assert_eq!((again.error_code, again.base_offset), (0, 1));
    assert_eq!((first.log_start_offset, again.log_start_offset), (0, 1));
}

#[test]
fn first_producer_gets_the_id_and_epoch_of_the_configuration() {
    let mut config = ClusterConfig::brokers(1);
    config.first_producer_id = i64::from(i32::MAX);
    config.first_producer_epoch = i16::MAX - 1;
    let mut client = Client::new(config);
    let init = InitProducerIdRequest::default().with_transactional_id(None);
    let first = client.ask(1, &init);
    assert_eq!(first.producer_id.0, i64::from(i32::MAX));
    assert_eq!(first.producer_epoch, i16::MAX - 1);
    let second = client.ask(1, &init);
    assert_eq!(second.producer_id.0, i64::from(i32::MAX) + 1);
    assert_eq!(second.producer_epoch, 0);
}
