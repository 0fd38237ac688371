import com.fasterxml.jackson.databind.JsonNode;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Writes and reads records with Kafka's own producer and consumer. */
final class Records {
    private static final int CHUNK = 1 << 20;

    /** Takes what is ready and empties it. */
    interface Chunks {
        void write(ByteArrayOutputStream chunk) throws IOException;
    }

    /** Null if the request is not about records. */
    JsonNode answer(JsonNode request, byte[] bytes, Chunks chunks) throws Exception {
        Duration limit = Duration.ofMillis(request.path("timeout_ms").asLong(30_000));
        switch (request.path("op").asText()) {
            case "read":
                return Sidecar.JSON.valueToTree(read(request, limit, chunks));
            case "produce":
                return Sidecar.JSON.valueToTree(produce(request, bytes, limit, chunks));
            default:
                return null;
        }
    }

    private long read(JsonNode request, Duration limit, Chunks chunks) throws Exception {
        String topic = request.get("topic").asText();
        Properties properties = properties(request);
        properties.putIfAbsent("max.poll.records", "20000");
        properties.putIfAbsent("max.partition.fetch.bytes", "8388608");
        properties.putIfAbsent("fetch.max.wait.ms", "20");
        properties.putIfAbsent("default.api.timeout.ms", "5000");
        long deadline = System.nanoTime() + limit.toNanos();
        long count = 0;
        try (KafkaConsumer<byte[], byte[]> consumer =
                new KafkaConsumer<>(properties, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            List<TopicPartition> partitions = new ArrayList<>();
            repeat(deadline, () -> consumer.partitionsFor(topic)).forEach(p -> partitions.add(new TopicPartition(topic, p.partition())));
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            Map<TopicPartition, Long> ends = repeat(deadline, () -> consumer.endOffsets(partitions));
            ByteArrayOutputStream chunk = new ByteArrayOutputStream();
            // Not until a count is reached: control and aborted batches take offsets too.
            while (!atEnd(consumer, ends, deadline)) {
                if (System.nanoTime() > deadline) {
                    throw new TimeoutException("end of " + topic + " not reached, " + count + " records read");
                }
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(100))) {
                    write(record, new DataOutputStream(chunk));
                    count++;
                    if (chunk.size() > CHUNK) {
                        chunks.write(chunk);
                    }
                }
            }
            chunks.write(chunk);
        }
        return count;
    }

    private static boolean atEnd(KafkaConsumer<byte[], byte[]> consumer, Map<TopicPartition, Long> ends, long deadline)
            throws Exception {
        for (Map.Entry<TopicPartition, Long> end : ends.entrySet()) {
            if (repeat(deadline, () -> consumer.position(end.getKey())) < end.getValue()) {
                return false;
            }
        }
        return true;
    }

    private interface Question<T> {
        T ask();
    }

    private static <T> T repeat(long deadline, Question<T> question) throws Exception {
        while (true) {
            try {
                return question.ask();
            } catch (org.apache.kafka.common.errors.RetriableException e) {
                if (System.nanoTime() > deadline) {
                    throw e;
                }
            }
        }
    }

    private static void write(ConsumerRecord<byte[], byte[]> record, DataOutputStream out) throws IOException {
        out.writeInt(record.partition());
        out.writeLong(record.offset());
        out.writeLong(record.timestamp());
        out.writeByte(record.timestampType().id);
        writeNullable(record.key(), out);
        writeNullable(record.value(), out);
        Header[] headers = record.headers().toArray();
        out.writeInt(headers.length);
        for (Header header : headers) {
            writeNullable(header.key().getBytes("UTF-8"), out);
            writeNullable(header.value(), out);
        }
    }

    private int produce(JsonNode request, byte[] bytes, Duration limit, Chunks chunks) throws Exception {
        String topic = request.get("topic").asText();
        long deadline = System.nanoTime() + limit.toNanos();
        DataInputStream in = new DataInputStream(new ByteArrayInputStream(bytes));
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        try (KafkaProducer<byte[], byte[]> producer =
                new KafkaProducer<>(properties(request), new ByteArraySerializer(), new ByteArraySerializer())) {
            while (in.available() > 0) {
                sent.add(producer.send(readRecord(topic, in)));
            }
            producer.flush();
            ByteArrayOutputStream chunk = new ByteArrayOutputStream();
            DataOutputStream out = new DataOutputStream(chunk);
            for (Future<RecordMetadata> future : sent) {
                RecordMetadata metadata = get(future, deadline);
                out.writeInt(metadata.partition());
                out.writeLong(metadata.offset());
                out.writeLong(metadata.timestamp());
            }
            chunks.write(chunk);
        }
        return sent.size();
    }

    private static RecordMetadata get(Future<RecordMetadata> future, long deadline)
            throws InterruptedException, ExecutionException, TimeoutException {
        return future.get(Math.max(0, deadline - System.nanoTime()), TimeUnit.NANOSECONDS);
    }

    private static ProducerRecord<byte[], byte[]> readRecord(String topic, DataInputStream in) throws IOException {
        int partition = in.readInt();
        long timestamp = in.readLong();
        byte[] key = readNullable(in);
        byte[] value = readNullable(in);
        List<Header> headers = new ArrayList<>();
        for (int left = in.readInt(); left > 0; left--) {
            headers.add(new RecordHeader(new String(readNullable(in), "UTF-8"), readNullable(in)));
        }
        return new ProducerRecord<>(
                topic, partition < 0 ? null : partition, timestamp < 0 ? null : timestamp, key, value, headers);
    }

    private static Properties properties(JsonNode request) {
        Properties properties = new Properties();
        // A frozen broker is left alone after this time, not after 30 s.
        properties.put("request.timeout.ms", "2000");
        request.path("properties").properties().forEach(p -> properties.put(p.getKey(), p.getValue().asText()));
        return properties;
    }

    private static void writeNullable(byte[] bytes, DataOutputStream out) throws IOException {
        out.writeInt(bytes == null ? -1 : bytes.length);
        if (bytes != null) {
            out.write(bytes);
        }
    }

    private static byte[] readNullable(DataInputStream in) throws IOException {
        int length = in.readInt();
        if (length < 0) {
            return null;
        }
        byte[] bytes = new byte[length];
        in.readFully(bytes);
        return bytes;
    }
}
