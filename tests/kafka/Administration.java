import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeoutException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.CreateTopicsOptions;
import org.apache.kafka.clients.admin.NewPartitionReassignment;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.ProducerState;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.common.ElectionType;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionInfo;
import org.apache.kafka.common.acl.AccessControlEntry;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.acl.AclPermissionType;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.ElectionNotNeededException;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourceType;

/** Changes a cluster with Kafka's own admin client. Calls that may succeed later are repeated. */
final class Administration {
    private final String bootstrap;
    private Admin admin;

    Administration(String bootstrap) {
        this.bootstrap = bootstrap;
    }

    JsonNode answer(JsonNode request) throws Exception {
        long deadline = System.nanoTime() + request.path("timeout_ms").asLong(30_000) * 1_000_000;
        String topic = request.path("topic").asText();
        switch (request.path("op").asText()) {
            case "create_topic":
                return createTopic(request, topic, deadline);
            case "delete_topic":
                return deleteTopic(topic, deadline);
            case "create_partitions":
                NewPartitions more = NewPartitions.increaseTo(request.get("total").asInt());
                return done(deadline, () -> admin().createPartitions(Map.of(topic, more)).all());
            case "describe":
                return describe(ask(deadline, () -> admin().describeTopics(List.of(topic)).allTopicNames()).get(topic));
            case "alter_configs":
                return alterConfigs(request, deadline);
            case "create_acl":
                return done(deadline, () -> admin().createAcls(List.of(acl(request))).all());
            case "move_leader":
                return moveLeader(partition(request), request.get("to").asInt(), deadline);
            case "elect_leaders":
                elect(partition(request), deadline);
                return Sidecar.JSON.nullNode();
            case "describe_producers":
                return describeProducers(partition(request), deadline);
            default:
                throw new IllegalArgumentException("no such operation: " + request);
        }
    }

    private JsonNode createTopic(JsonNode request, String name, long deadline) throws Exception {
        Map<Integer, List<Integer>> assignment = new LinkedHashMap<>();
        for (JsonNode replicas : request.path("assignment")) {
            List<Integer> brokers = new ArrayList<>();
            replicas.forEach(broker -> brokers.add(broker.asInt()));
            assignment.put(assignment.size(), brokers);
        }
        Map<String, String> configs = new HashMap<>();
        request.path("configs").properties().forEach(c -> configs.put(c.getKey(), c.getValue().asText()));
        NewTopic topic = assignment.isEmpty()
                ? new NewTopic(name, Optional.of(request.get("partitions").asInt()), Optional.empty())
                : new NewTopic(name, assignment);
        boolean repeated = false;
        while (true) {
            try {
                return Sidecar.JSON.valueToTree(
                        admin().createTopics(List.of(topic.configs(configs))).topicId(name).get().toString());
            } catch (ExecutionException e) {
                // A call that timed out may have been carried out.
                if (repeated && e.getCause() instanceof TopicExistsException) {
                    TopicDescription is = ask(deadline, () -> admin().describeTopics(List.of(name)).allTopicNames()).get(name);
                    return Sidecar.JSON.valueToTree(is.topicId().toString());
                }
                repeated = true;
                repeatable(e, deadline);
            }
        }
    }

    /** Until the name is free: with ZooKeeper it is not when the brokers have forgotten the topic. */
    private JsonNode deleteTopic(String name, long deadline) throws Exception {
        ask(deadline, () -> admin().deleteTopics(List.of(name)).all());
        List<NewTopic> again = List.of(new NewTopic(name, Optional.of(1), Optional.empty()));
        while (true) {
            try {
                ask(deadline, () -> admin().createTopics(again, new CreateTopicsOptions().validateOnly(true)).all());
                return Sidecar.JSON.nullNode();
            } catch (ExecutionException e) {
                if (!(e.getCause() instanceof TopicExistsException)) {
                    throw e;
                }
                pause(deadline, "the end of " + name);
            }
        }
    }

    private JsonNode describe(TopicDescription topic) {
        ObjectNode answer = Sidecar.JSON.createObjectNode().put("id", topic.topicId().toString());
        ArrayNode partitions = answer.putArray("partitions");
        for (TopicPartitionInfo partition : topic.partitions()) {
            ObjectNode one = partitions.addObject().put("partition", partition.partition());
            one.put("leader", partition.leader() == null ? -1 : partition.leader().id());
            ArrayNode replicas = one.putArray("replicas");
            partition.replicas().forEach(replica -> replicas.add(replica.id()));
        }
        return answer;
    }

    private JsonNode alterConfigs(JsonNode request, long deadline) throws Exception {
        ConfigResource resource = new ConfigResource(
                ConfigResource.Type.valueOf(request.get("resource").asText()), request.get("name").asText());
        Collection<AlterConfigOp> changes = new ArrayList<>();
        request.get("configs").properties().forEach(c -> changes.add(
                new AlterConfigOp(new ConfigEntry(c.getKey(), c.getValue().asText()), AlterConfigOp.OpType.SET)));
        return done(deadline, () -> admin().incrementalAlterConfigs(Map.of(resource, changes)).all());
    }

    private static AclBinding acl(JsonNode request) {
        ResourcePattern resource = new ResourcePattern(
                ResourceType.valueOf(request.get("resource").asText()), request.get("name").asText(), PatternType.LITERAL);
        return new AclBinding(resource, new AccessControlEntry(
                request.get("principal").asText(), "*",
                AclOperation.valueOf(request.get("operation").asText()), AclPermissionType.ALLOW));
    }

    /** Puts the broker first among the replicas, waits for the copy, and elects it. */
    private JsonNode moveLeader(TopicPartition partition, int to, long deadline) throws Exception {
        List<Integer> target = new ArrayList<>(List.of(to));
        TopicDescription topic =
                ask(deadline, () -> admin().describeTopics(List.of(partition.topic())).allTopicNames()).get(partition.topic());
        for (Node replica : topic.partitions().get(partition.partition()).replicas()) {
            if (replica.id() != to) {
                target.add(replica.id());
            }
        }
        if (target.size() > topic.partitions().get(partition.partition()).replicas().size()) {
            target.remove(target.size() - 1);
        }
        Optional<NewPartitionReassignment> wanted = Optional.of(new NewPartitionReassignment(target));
        ask(deadline, () -> admin().alterPartitionReassignments(Map.of(partition, wanted)).all());
        while (!ask(deadline, () -> admin().listPartitionReassignments(Set.of(partition)).reassignments()).isEmpty()) {
            pause(deadline, "reassignment of " + partition);
        }
        while (leader(partition, deadline) != to) {
            // The reassignment may have made it the leader since, and then this may be refused.
            try {
                elect(partition, Long.MIN_VALUE);
            } catch (ExecutionException e) {
                if (!(e.getCause() instanceof RetriableException)) {
                    throw e;
                }
            }
            pause(deadline, "election for " + partition);
        }
        return Sidecar.JSON.nullNode();
    }

    private int leader(TopicPartition partition, long deadline) throws Exception {
        Node leader = ask(deadline, () -> admin().describeTopics(List.of(partition.topic())).allTopicNames())
                .get(partition.topic()).partitions().get(partition.partition()).leader();
        return leader == null ? -1 : leader.id();
    }

    private void elect(TopicPartition partition, long deadline) throws Exception {
        try {
            ask(deadline, () -> admin().electLeaders(ElectionType.PREFERRED, Set.of(partition)).all());
        } catch (ExecutionException e) {
            if (!(e.getCause() instanceof ElectionNotNeededException)) {
                throw e;
            }
        }
    }

    private JsonNode describeProducers(TopicPartition partition, long deadline) throws Exception {
        ArrayNode answer = Sidecar.JSON.createArrayNode();
        for (ProducerState state : ask(deadline, () -> admin().describeProducers(Set.of(partition)).all())
                .get(partition).activeProducers()) {
            answer.addObject().put("producer_id", state.producerId()).put("epoch", state.producerEpoch())
                    .put("last_sequence", state.lastSequence());
        }
        return answer;
    }

    private interface Call<T> {
        KafkaFuture<T> make();
    }

    private JsonNode done(long deadline, Call<Void> call) throws Exception {
        ask(deadline, call);
        return Sidecar.JSON.nullNode();
    }

    private <T> T ask(long deadline, Call<T> call) throws Exception {
        while (true) {
            try {
                return call.make().get();
            } catch (ExecutionException e) {
                repeatable(e, deadline);
            }
        }
    }

    private static void repeatable(ExecutionException e, long deadline) throws Exception {
        if (!(e.getCause() instanceof RetriableException) || System.nanoTime() > deadline) {
            throw e;
        }
        Thread.sleep(20);
    }

    private static void pause(long deadline, String what) throws Exception {
        if (System.nanoTime() > deadline) {
            throw new TimeoutException(what);
        }
        Thread.sleep(20);
    }

    private static TopicPartition partition(JsonNode request) {
        return new TopicPartition(request.get("topic").asText(), request.get("partition").asInt());
    }

    private Admin admin() {
        if (admin == null) {
            Properties properties = new Properties();
            properties.put("bootstrap.servers", bootstrap);
            // A call in flight to a frozen broker goes elsewhere only after this time.
            properties.put("default.api.timeout.ms", "5000");
            properties.put("request.timeout.ms", "3000");
            admin = Admin.create(properties);
        }
        return admin;
    }
}
