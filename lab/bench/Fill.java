import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListOffsetsResult.ListOffsetsResultInfo;
import org.apache.kafka.clients.admin.ListTopicsOptions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.ElectionType;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionInfo;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Makes a cluster hold what a plan says: topics, a number of records in each partition, and the
 * committed offsets of groups without members. Run again, it adds what is missing, and elects the
 * preferred leader of every partition.
 *
 * <p>usage: java -cp 'LIBS/*' Fill.java HOST:PORT,... <PLAN >PLACEMENT
 *
 * <p>The plan has a line for each topic and group:
 *
 * <pre>
 * topic NAME REPLICAS RECORDS_OF_PARTITION_0 RECORDS_OF_PARTITION_1 ...
 * group NAME TOPIC:PARTITION:COMMITTED ...
 * </pre>
 *
 * <p>It prints a line for each of them too: {@code leader TOPIC BROKER_OF_PARTITION_0 ...} and
 * {@code coordinator GROUP BROKER}.
 */
public final class Fill {
    private static final String COMMITS = "__consumer_offsets";
    private static final int TOPICS_AT_ONCE = 10; // the controller writes all topics of a request in one batch
    private static final int REQUESTS_AT_ONCE = 50;
    private static final Duration SETTLES_WITHIN = Duration.ofMinutes(5);

    private final Admin admin;
    private final String servers;
    private final Map<String, Short> replicas = new LinkedHashMap<>();
    private final Map<TopicPartition, Long> records = new LinkedHashMap<>();
    private final Map<String, Map<TopicPartition, OffsetAndMetadata>> commits =
            new LinkedHashMap<>();

    private Fill(Admin admin, String servers) {
        this.admin = admin;
        this.servers = servers;
    }

    public static void main(String[] args) throws Exception {
        PrintStream placement = System.out;
        System.setOut(System.err); // where the clients' log goes
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", args[0]))) {
            Fill fill = new Fill(admin, args[0]);
            fill.read(new BufferedReader(
                    new InputStreamReader(System.in, StandardCharsets.UTF_8)));
            fill.createTopics();
            fill.settle();
            fill.produce();
            fill.commit();
            placement.print(fill.placement());
            placement.flush();
        }
    }

    private void read(BufferedReader plan) throws Exception {
        for (String line = plan.readLine(); line != null; line = plan.readLine()) {
            String[] words = line.split(" ");
            switch (words[0]) {
                case "topic" -> {
                    replicas.put(words[1], Short.valueOf(words[2]));
                    for (int at = 3; at < words.length; at++) {
                        records.put(new TopicPartition(words[1], at - 3), Long.valueOf(words[at]));
                    }
                }
                case "group" -> commits.put(words[1], Arrays.stream(words).skip(2)
                        .map(word -> word.split(":"))
                        .collect(Collectors.toMap(
                                part -> new TopicPartition(part[0], Integer.parseInt(part[1])),
                                part -> new OffsetAndMetadata(Long.parseLong(part[2])))));
                default -> throw new IllegalArgumentException("not a line of a plan: " + line);
            }
        }
    }

    private void createTopics() throws Exception {
        Set<String> there = admin.listTopics().names().get();
        Map<String, Long> partitions = records.keySet().stream()
                .collect(Collectors.groupingBy(TopicPartition::topic, Collectors.counting()));
        List<NewTopic> missing = replicas.entrySet().stream()
                .filter(topic -> !there.contains(topic.getKey()))
                .map(topic -> new NewTopic(topic.getKey(),
                        partitions.get(topic.getKey()).intValue(), topic.getValue())
                        .configs(Map.of("retention.ms", "-1")))
                .toList();
        for (int at = 0; at < missing.size(); at += TOPICS_AT_ONCE) {
            List<NewTopic> some =
                    missing.subList(at, Math.min(at + TOPICS_AT_ONCE, missing.size()));
            admin.createTopics(some).all().get();
        }
        System.err.println("fill: " + missing.size() + " topics created");
    }

    /** Waits until every partition is led by its preferred replica and in sync. */
    private void settle() throws Exception {
        long end = System.nanoTime() + SETTLES_WITHIN.toNanos();
        while (true) {
            List<TopicPartitionInfo> unsettled = describe().values().stream()
                    .flatMap(topic -> topic.partitions().stream())
                    .filter(partition -> !isSettled(partition))
                    .toList();
            if (unsettled.isEmpty()) {
                return;
            }
            if (System.nanoTime() > end) {
                throw new IllegalStateException(unsettled.size() + " partitions are not settled");
            }
            electPreferred();
            Thread.sleep(1000);
        }
    }

    private static boolean isSettled(TopicPartitionInfo partition) {
        return partition.leader() != null
                && partition.leader().id() == partition.replicas().get(0).id()
                && partition.isr().size() == partition.replicas().size();
    }

    private Map<String, TopicDescription> describe() throws Exception {
        List<String> names = new ArrayList<>(replicas.keySet());
        ListTopicsOptions all = new ListTopicsOptions().listInternal(true);
        // The leader of a group's partition of this topic is its coordinator.
        if (admin.listTopics(all).names().get().contains(COMMITS)) {
            names.add(COMMITS);
        }
        return retried(() -> admin.describeTopics(names).allTopicNames());
    }

    /** A replica that is not in sync yet cannot be elected, so {@link #settle} repeats this. */
    private void electPreferred() throws Exception {
        retried(() -> admin.electLeaders(ElectionType.PREFERRED, null).partitions());
    }

    /** Repeats a request while its error is retriable: not every broker knows a new topic yet. */
    private static <T> T retried(Supplier<Future<T>> request) throws Exception {
        long end = System.nanoTime() + SETTLES_WITHIN.toNanos();
        while (true) {
            try {
                return request.get().get();
            } catch (ExecutionException error) {
                if (!(error.getCause() instanceof RetriableException) || System.nanoTime() > end) {
                    throw error;
                }
                Thread.sleep(500);
            }
        }
    }

    private void produce() throws Exception {
        Map<TopicPartition, Long> ends = ends();
        byte[] value = new byte[100];
        long sent = 0;
        Map<String, Object> config =
                Map.of("bootstrap.servers", servers, "linger.ms", 20, "batch.size", 2000);
        try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(
                config, new ByteArraySerializer(), new ByteArraySerializer())) {
            for (Map.Entry<TopicPartition, Long> entry : records.entrySet()) {
                TopicPartition at = entry.getKey();
                for (long n = ends.get(at); n < entry.getValue(); n++, sent++) {
                    producer.send(
                            new ProducerRecord<>(at.topic(), at.partition(), null, value));
                }
            }
        }
        if (sent != 0 && !ends().equals(records)) {
            throw new IllegalStateException("the log end offsets are not those of the plan");
        }
        System.err.println("fill: " + sent + " records sent");
    }

    private Map<TopicPartition, Long> ends() throws Exception {
        Map<TopicPartition, OffsetSpec> latest = new HashMap<>();
        records.keySet().forEach(at -> latest.put(at, OffsetSpec.latest()));
        Map<TopicPartition, Long> ends = new LinkedHashMap<>();
        Map<TopicPartition, ListOffsetsResultInfo> found =
                retried(() -> admin.listOffsets(latest).all());
        records.keySet().forEach(at -> ends.put(at, found.get(at).offset()));
        return ends;
    }

    private void commit() throws Exception {
        List<Future<?>> open = new ArrayList<>();
        for (Map.Entry<String, Map<TopicPartition, OffsetAndMetadata>> group : commits.entrySet()) {
            open.add(admin.alterConsumerGroupOffsets(group.getKey(), group.getValue()).all());
            if (open.size() == REQUESTS_AT_ONCE) {
                finish(open);
            }
        }
        finish(open);
        System.err.println("fill: " + commits.size() + " groups committed");
    }

    private static void finish(Collection<Future<?>> open) throws Exception {
        for (Future<?> request : open) {
            request.get();
        }
        open.clear();
    }

    private StringBuilder placement() throws Exception {
        settle(); // the topic of committed offsets may be new
        StringBuilder lines = new StringBuilder();
        describe().forEach((name, topic) -> {
            lines.append("leader ").append(name);
            topic.partitions().forEach(it -> lines.append(' ').append(it.leader().id()));
            lines.append('\n');
        });
        admin.describeConsumerGroups(commits.keySet()).all().get().forEach((name, group) -> lines
                .append("coordinator ").append(name).append(' ')
                .append(group.coordinator().id()).append('\n'));
        return lines;
    }
}
