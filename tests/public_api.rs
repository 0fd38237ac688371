//! The forms in which programs call the producer: they compile, and without a cluster that answers
//! every one of them ends in time with its record given back.

use std::borrow::Cow;
use std::future::Future;
use std::io::Write;
use std::net::TcpListener;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use bytes::Bytes;
use kafka_producer::{
    BytesSerializer, Callback, DeliveryCallback, DeliveryError, Error, ErrorKind, Field, Headers,
    KafkaProducer, Null, Output, ProducerConfig, ProducerRecord, RecordMetadata, SendError,
    SendHandle, SerializeContext, SerializeError, Serializer,
};

/// A peer that takes connections and never says a word.
struct Silence {
    listener: TcpListener,
}

impl Silence {
    fn begin() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        Self { listener }
    }

    fn producer(&self) -> KafkaProducer {
        let address = self.listener.local_addr().expect("it is bound");
        let config = ProducerConfig::new(address.to_string()).max_block(Duration::from_millis(1));
        KafkaProducer::new(config).expect("the configuration is right")
    }
}

struct Order {
    id: u32,
}

/// Writes.
struct OrderSerializer;

impl Serializer<Order> for OrderSerializer {
    fn serialize<'a>(
        &'a self,
        context: &SerializeContext<'_>,
        order: &'a Order,
        out: &mut Output<'a>,
    ) -> Result<(), SerializeError> {
        if order.id == 0 {
            return Err(SerializeError::new("an order without a number"));
        }
        write!(out, "{}/{}", context.topic, order.id)?;
        Ok(())
    }
}

/// Takes whatever can be shown, as serializers for JSON do.
struct TextSerializer;

impl<T: std::fmt::Display + ?Sized> Serializer<T> for TextSerializer {
    fn serialize<'a>(
        &'a self,
        _: &SerializeContext<'_>,
        data: &'a T,
        out: &mut Output<'a>,
    ) -> Result<(), SerializeError> {
        write!(out, "{data}")?;
        Ok(())
    }
}

/// Holds a producer without knowing of serializers.
struct Service {
    producer: KafkaProducer,
    orders: KafkaProducer<BytesSerializer, Arc<dyn Serializer<Order>>>,
}

impl Service {
    fn publish(&self, id: u32) -> Result<SendHandle, Error> {
        let record = ProducerRecord::new("orders", Order { id }).key("customer");
        self.orders.send(record).map_err(SendError::into_error)
    }

    fn log(&self, line: &str) -> Result<(), Box<dyn std::error::Error>> {
        let handle = self
            .producer
            .send(ProducerRecord::new("log", line))
            .map_err(|e| e.error().clone())?;
        handle.get()?;
        Ok(())
    }
}

/// Generic over what is sent.
fn publish_all<KS, VS, V, N>(
    producer: &KafkaProducer<KS, VS>,
    values: impl IntoIterator<Item = V>,
) -> usize
where
    V: Field<VS, N>,
{
    let sent = |value| producer.send(ProducerRecord::new("values", value)).is_ok();
    values
        .into_iter()
        .filter(|_| true)
        .map(sent)
        .filter(|sent| *sent)
        .count()
}

struct Count;

impl DeliveryCallback for Count {
    fn on_completion(&self, tag: u64, result: Result<&RecordMetadata, &DeliveryError>) {
        let offset = result.ok().and_then(RecordMetadata::offset);
        println!("{tag}: {offset:?}");
    }
}

fn is_shareable<T: Send + Sync + Clone + 'static>(_: &T) {}
fn is_future<T: Future<Output = Result<RecordMetadata, DeliveryError>> + Send>() {}
fn is_error<T: std::error::Error + Send + Sync + 'static>() {}

/// Nobody answers: the topic stays unknown, and the record comes back.
fn refused<K, V>(outcome: Result<SendHandle, SendError<'_, K, V>>) -> (K, V) {
    let refused = outcome.expect_err("nobody answers");
    assert_eq!(refused.kind(), ErrorKind::Timeout, "{refused}");
    let record = refused.into_record();
    (record.key, record.value)
}

#[test]
fn types_are_what_programs_rely_on() {
    let silence = Silence::begin();
    let producer = silence.producer();
    is_shareable(&producer);
    is_shareable(&Arc::new(producer));
    is_future::<SendHandle>();
    is_error::<Error>();
    is_error::<DeliveryError>();
    is_error::<SendError<'static, Null, Vec<u8>>>();
}

#[test]
fn send_takes_everything_that_is_bytes() {
    let silence = Silence::begin();
    let producer = silence.producer();
    let owned = String::from("value");
    let topic: Arc<str> = "topic".into();
    assert_eq!(
        refused(producer.send(ProducerRecord::new("t", "value"))).1,
        "value"
    );
    assert_eq!(
        refused(producer.send(ProducerRecord::new("t", owned.clone()))).1,
        "value"
    );
    assert_eq!(
        refused(producer.send(ProducerRecord::new(&owned, &owned))).1,
        "value"
    );
    assert_eq!(
        refused(producer.send(ProducerRecord::new(owned.clone(), &b"v"[..]))).1,
        b"v"
    );
    assert_eq!(
        refused(producer.send(ProducerRecord::new(&topic, b"v"))).1,
        b"v"
    );
    assert_eq!(
        refused(producer.send(ProducerRecord::new(topic, vec![1_u8]))).1,
        [1]
    );
    let bytes = Bytes::from_static(b"v");
    assert_eq!(
        refused(producer.send(ProducerRecord::new("t", bytes.clone()))).1,
        bytes
    );
    let cow: Cow<'_, [u8]> = Cow::Borrowed(b"v");
    assert_eq!(
        refused(producer.send(ProducerRecord::new("t", cow))).1,
        &b"v"[..]
    );
    let boxed: Box<[u8]> = Box::from(&b"v"[..]);
    assert_eq!(
        &*refused(producer.send(ProducerRecord::new("t", boxed))).1,
        b"v"
    );
}

#[test]
fn send_takes_keys_values_and_neither() {
    let silence = Silence::begin();
    let producer = silence.producer();
    let key: Option<&[u8]> = Some(b"k");
    assert_eq!(
        refused(producer.send(ProducerRecord::new("t", "v").key("k"))),
        ("k", "v")
    );
    assert_eq!(
        refused(producer.send(ProducerRecord::new("t", "v").key(key))).0,
        key
    );
    assert_eq!(
        refused(producer.send(ProducerRecord::new("t", None::<String>))),
        (Null, None)
    );
    assert_eq!(
        refused(producer.send(ProducerRecord::new("t", Null).key("k"))),
        ("k", Null)
    );
    let mut headers = Headers::default();
    headers.add("a", "1");
    let full = ProducerRecord::new("t", "v")
        .headers(headers)
        .header("b", vec![2])
        .partition(3)
        .timestamp_ms(4);
    let back = producer
        .try_send(full.clone())
        .expect_err("nobody answers")
        .into_record();
    assert_eq!(back, full);
}

#[test]
fn callbacks_are_closures_or_shared_with_a_tag() {
    let silence = Silence::begin();
    let producer = Arc::new(silence.producer());
    let shared: Arc<dyn DeliveryCallback> = Arc::new(Count);
    let record = || ProducerRecord::new("t", "v");
    let _ = refused(producer.send_with(record(), (&shared, 7)));
    let _ = refused(producer.send_with(record(), Callback::shared(shared, 8)));
    let _ = refused(producer.send_with_callback(
        record(),
        |result: Result<&RecordMetadata, &DeliveryError>| assert!(result.is_ok()),
    ));
    let _ =
        refused(producer.try_send_with(record(), Callback::once(|result| assert!(result.is_ok()))));
}

#[test]
fn serializers_may_be_types_trait_objects_or_generic() {
    let silence = Silence::begin();
    let producer = silence.producer();
    let orders: Arc<dyn Serializer<Order>> = Arc::new(OrderSerializer);
    let service = Service {
        orders: producer.with_serializers(BytesSerializer::default(), orders),
        producer: producer.clone(),
    };
    let error = service.publish(7).expect_err("nobody answers");
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(service.log("line").is_err());

    let plain = producer.with_serializers(BytesSerializer::default(), OrderSerializer);
    let _ = refused(plain.send(ProducerRecord::new("t", Some(Order { id: 1 }))));
    let _ = refused(plain.send(ProducerRecord::new("t", Null).key("tombstone")));

    let texts = producer.with_serializers(TextSerializer, TextSerializer);
    let _ = refused(texts.send(ProducerRecord::new("t", 1.5).key(7_u64)));
    let _ = refused(texts.send(ProducerRecord::new("t", &7)));
    let _ = refused(texts.send(ProducerRecord::new("t", Null)));
    assert_eq!(publish_all(&texts, [1, 2]), 0);
    assert_eq!(publish_all(&producer, ["a", "b"]), 0);
}

#[test]
fn verbs_without_a_cluster_end_in_time_and_say_what_to_turn() {
    let silence = Silence::begin();
    let producer = silence.producer();
    producer.flush().expect("there is nothing to wait for");
    producer
        .flush_timeout(Duration::ZERO)
        .expect("there is nothing to wait for");
    let error = producer
        .partitions_for("topic")
        .expect_err("nobody answers");
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let text = error.to_string();
    assert!(
        text.contains("topic") && text.contains("max.block.ms"),
        "{text}"
    );
    assert!(producer.client_id().starts_with("producer-"));
    producer
        .clone()
        .close(Duration::from_secs(10))
        .expect("there is nothing to lose");
    assert!(producer.is_closed());
    producer
        .close(Duration::ZERO)
        .expect("closing again is no error");
    let refused = producer
        .send(ProducerRecord::new("t", "late"))
        .expect_err("it is closed");
    assert_eq!(refused.kind(), ErrorKind::Closed, "{refused}");
    assert_eq!(refused.into_record().value, "late");
}

#[test]
fn send_as_a_future_is_pending_without_a_cluster_and_may_be_sent_to_other_threads() {
    fn pending<F: Future + Send>(future: F) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        pin!(future).poll(&mut context).is_pending()
    }
    let silence = Silence::begin();
    let producer = silence.producer();
    assert!(pending(
        producer.send_when_ready(ProducerRecord::new("t", "v").key("k"), None)
    ));
    let callback = Callback::once(|_| {});
    assert!(pending(
        producer.send_when_ready(ProducerRecord::new("t", "v"), Some(callback))
    ));
}

#[test]
fn arguments_that_can_never_be_right_are_refused_by_every_form() {
    let silence = Silence::begin();
    let producer = silence.producer();
    let negative = ProducerRecord::new("t", "v").partition(-1);
    let refused = producer
        .send(negative)
        .expect_err("no partition is negative");
    assert_eq!(refused.kind(), ErrorKind::InvalidArgument, "{refused}");
    let ancient = ProducerRecord::new("t", "v").timestamp_ms(-1);
    let refused = producer.try_send(ancient).expect_err("no time is negative");
    assert_eq!(refused.kind(), ErrorKind::InvalidArgument, "{refused}");
    let forbidden = producer
        .send(ProducerRecord::new("no/such", "v"))
        .expect_err("no such name");
    assert_eq!(forbidden.kind(), ErrorKind::InvalidTopic, "{forbidden}");
}
