import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ConfigEntry.ConfigSource;
import org.apache.kafka.clients.admin.DescribeConfigsOptions;
import org.apache.kafka.clients.admin.ListTopicsOptions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.ElectionType;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionInfo;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.quota.ClientQuotaAlteration;
import org.apache.kafka.common.quota.ClientQuotaEntity;
import org.apache.kafka.common.quota.ClientQuotaFilter;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Watches a cluster with Kafka's own clients, so that the optimizer is judged by something other than
 * itself. It counts acknowledged records that no consumer gets, and partitions with fewer in-sync
 * replicas than {@code min.insync.replicas}, or than replicas if those are fewer. It also does what
 * scenarios do by hand: topics, configuration, elections.
 *
 * <p>usage: Referee HOST:PORT,... TIMELINE
 *
 * <p>A line of TIMELINE is {@code MILLISECONDS ok COUNT PARTITION,...}: how many partitions have a
 * replica out of sync, and which are under their minimum; or {@code MILLISECONDS unknown REASON}.
 * Requests are lines on standard input, see {@link #execute}; each is answered by a line
 * {@code ok WORDS} or {@code error WORDS}.
 */
public final class Referee {
    private static final String LEDGER = "ledger";
    private static final int PARTITIONS = 6;
    private static final int RECORDS_PER_SECOND = 100;
    private static final long OBSERVE_EVERY_MS = 500;
    private static final int API_TIMEOUT_MS = 10_000;

    private final String servers;
    private final Admin admin;
    private final Ledger ledger = new Ledger();
    private final Map<String, Integer> minimums = new HashMap<>();

    private Referee(String servers) {
        this.servers = servers;
        this.admin = Admin.create(Map.of("bootstrap.servers", servers, "client.id", "referee",
                "request.timeout.ms", 5000, "default.api.timeout.ms", API_TIMEOUT_MS));
    }

    public static void main(String[] args) throws Exception {
        PrintStream answers = System.out;
        System.setOut(System.err); // where the clients' log goes
        Referee referee = new Referee(args[0]);
        referee.createLedger();
        start("produce", referee::produce);
        start("consume", referee::consume);
        start("observe", () -> referee.observe(Path.of(args[1])));
        BufferedReader requests =
                new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = requests.readLine(); line != null; line = requests.readLine()) {
            answers.println(referee.answer(line.split(" ")));
            answers.flush();
        }
        Runtime.getRuntime().halt(0); // the program that asks has ended
    }

    private interface Work {
        void run() throws Exception;
    }

    /** A thread that fails ends the process: a referee that sees nothing must not report no loss. */
    private static void start(String name, Work work) {
        Thread thread = new Thread(() -> {
            try {
                work.run();
            } catch (Exception error) {
                error.printStackTrace();
                Runtime.getRuntime().halt(1);
            }
        }, name);
        thread.setDaemon(true);
        thread.start();
    }

    // ---- acknowledged records

    /** Which records were acknowledged, and which were consumed. A record is a number. */
    private static final class Ledger {
        private final BitSet acknowledged = new BitSet();
        private final BitSet refused = new BitSet();
        private final BitSet consumed = new BitSet();
        private int sent;
        private int checked;
        private long duplicates;

        synchronized int next() {
            return sent++;
        }

        synchronized void answered(int record, Exception error) {
            (error == null ? acknowledged : refused).set(record);
        }

        synchronized void consumed(int record) {
            duplicates += consumed.get(record) ? 1 : 0;
            consumed.set(record);
        }

        synchronized int sent() {
            return sent;
        }

        /** Records before {@code end} that are neither acknowledged nor refused yet. */
        synchronized int open(int end) {
            BitSet answered = (BitSet) acknowledged.clone();
            answered.or(refused);
            return end - checked - answered.get(checked, end).cardinality();
        }

        synchronized BitSet missing(int end) {
            BitSet missing = acknowledged.get(checked, end);
            missing.andNot(consumed.get(checked, end));
            return missing;
        }

        /** Counts from the last check to {@code end}. */
        synchronized String close(int end) {
            String words = "sent=" + (end - checked)
                    + " acknowledged=" + acknowledged.get(checked, end).cardinality()
                    + " lost=" + missing(end).cardinality()
                    + " refused=" + refused.get(checked, end).cardinality()
                    + " open=" + open(end)
                    + " duplicates=" + duplicates;
            checked = end;
            duplicates = 0;
            return words;
        }
    }

    private void createLedger() throws Exception {
        NewTopic topic = new NewTopic(LEDGER, PARTITIONS, (short) 3)
                .configs(Map.of("min.insync.replicas", "2", "retention.ms", "-1"));
        admin.createTopics(List.of(topic)).all().get();
    }

    private void produce() throws InterruptedException {
        Map<String, Object> config = Map.of("bootstrap.servers", servers, "client.id", LEDGER,
                "acks", "all", "enable.idempotence", true, "linger.ms", 5);
        var bytes = new ByteArraySerializer();
        try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(config, bytes, bytes)) {
            while (true) {
                int record = ledger.next();
                byte[] value = ByteBuffer.allocate(100).putInt(record).array();
                try {
                    producer.send(
                            new ProducerRecord<>(LEDGER, record % PARTITIONS, null, value),
                            (where, error) -> ledger.answered(record, error));
                } catch (KafkaException error) {
                    ledger.answered(record, error); // no room in the buffer: never sent
                }
                Thread.sleep(1000 / RECORDS_PER_SECOND);
            }
        }
    }

    private void consume() {
        Map<String, Object> config = Map.of("bootstrap.servers", servers, "client.id",
                LEDGER + "-reader", "auto.offset.reset", "none");
        var bytes = new ByteArrayDeserializer();
        try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(config, bytes, bytes)) {
            List<TopicPartition> all = IntStream.range(0, PARTITIONS)
                    .mapToObj(it -> new TopicPartition(LEDGER, it)).toList();
            consumer.assign(all);
            // Not to the earliest offset: a log that lost its first records must be noticed.
            all.forEach(it -> consumer.seek(it, 0));
            while (true) {
                for (ConsumerRecord<byte[], byte[]> it : consumer.poll(Duration.ofMillis(500))) {
                    ledger.consumed(ByteBuffer.wrap(it.value()).getInt());
                }
            }
        }
    }

    /** Waits until each record sent so far was answered, and then until it was consumed. */
    private String check() throws InterruptedException {
        int end = ledger.sent();
        // delivery.timeout.ms is 120 s: by then each record was acknowledged or refused.
        waitWhile(130, () -> ledger.open(end) > 0);
        waitWhile(30, () -> !ledger.missing(end).isEmpty());
        return ledger.close(end);
    }

    private interface Condition {
        boolean holds();
    }

    private static void waitWhile(int seconds, Condition condition) throws InterruptedException {
        long limit = System.nanoTime() + TimeUnit.SECONDS.toNanos(seconds);
        while (condition.holds() && System.nanoTime() < limit) {
            Thread.sleep(100);
        }
    }

    // ---- replicas in sync

    private void observe(Path timeline) throws Exception {
        try (PrintStream lines = new PrintStream(Files.newOutputStream(timeline), true)) {
            while (true) {
                long begun = System.currentTimeMillis();
                String found;
                try {
                    found = "ok " + replicas();
                } catch (ExecutionException error) {
                    found = "unknown " + describe(error.getCause());
                }
                lines.println(begun + " " + found);
                Thread.sleep(Math.max(1, begun + OBSERVE_EVERY_MS - System.currentTimeMillis()));
            }
        }
    }

    private String replicas() throws ExecutionException, InterruptedException {
        Set<String> under = new TreeSet<>();
        int incomplete = 0;
        for (TopicDescription topic : describe(true).values()) {
            int minimum = minimums.get(topic.name());
            for (TopicPartitionInfo it : topic.partitions()) {
                incomplete += it.isr().size() < it.replicas().size() ? 1 : 0;
                if (it.isr().size() < Math.min(minimum, it.replicas().size())) {
                    under.add(topic.name() + "/" + it.partition());
                }
            }
        }
        return incomplete + " " + String.join(",", under);
    }

    private synchronized Map<String, TopicDescription> describe(boolean internal)
            throws ExecutionException, InterruptedException {
        ListTopicsOptions options = new ListTopicsOptions().listInternal(internal);
        Set<String> names = admin.listTopics(options).names().get();
        Map<String, TopicDescription> topics = new TreeMap<>();
        for (var it : admin.describeTopics(names).topicNameValues().entrySet()) {
            try {
                topics.put(it.getKey(), it.getValue().get());
            } catch (ExecutionException error) {
                // Deleted meanwhile, or not known to every broker yet.
                if (!(error.getCause() instanceof UnknownTopicOrPartitionException)) {
                    throw error;
                }
            }
        }
        minimums.keySet().retainAll(topics.keySet());
        Set<String> fresh = new HashSet<>(topics.keySet());
        fresh.removeAll(minimums.keySet());
        List<ConfigResource> asked = fresh.stream()
                .map(it -> new ConfigResource(ConfigResource.Type.TOPIC, it)).toList();
        admin.describeConfigs(asked).all().get().forEach((topic, config) -> minimums.put(
                topic.name(), Integer.valueOf(config.get("min.insync.replicas").value())));
        return topics;
    }

    // ---- requests

    private String answer(String[] request) {
        try {
            return "ok " + execute(request);
        } catch (ExecutionException error) {
            return "error " + describe(error.getCause());
        } catch (Exception error) {
            return "error " + describe(error);
        }
    }

    private static String describe(Throwable error) {
        return (error.getClass().getSimpleName() + ": " + error.getMessage())
                .replaceAll("\\s+", " ");
    }

    private String execute(String[] request) throws Exception {
        return switch (request[0]) {
            case "check" -> check();
            // create NAME ASSIGNMENT KEY=VALUE...: partitions by comma, replicas by colon
            case "create" -> create(request);
            case "delete" -> delete(request[1]);
            case "topics" -> String.join(" ", describe(false).keySet());
            case "leaders" -> leaders(request[1]);
            case "elect" -> elect();
            case "unsettled" -> unsettled();
            // config BROKER: KEY=STORED/EFFECTIVE of each dynamic config of the broker
            case "config" -> config(request[1]);
            case "value" -> value(request[1], request[2]);
            case "set" -> alter(request[1], new ConfigEntry(request[2], request[3]),
                    AlterConfigOp.OpType.SET);
            case "unset" -> alter(request[1], new ConfigEntry(request[2], ""),
                    AlterConfigOp.OpType.DELETE);
            case "quotas" -> quotas();
            case "remove-quotas" -> removeQuotas();
            default -> throw new IllegalArgumentException("unknown request " + request[0]);
        };
    }

    private String create(String[] request) throws Exception {
        Map<Integer, List<Integer>> assignment = new HashMap<>();
        for (String replicas : request[2].split(",")) {
            assignment.put(assignment.size(),
                    Arrays.stream(replicas.split(":")).map(Integer::valueOf).toList());
        }
        Map<String, String> configs = Arrays.stream(request).skip(3).map(it -> it.split("=", 2))
                .collect(Collectors.toMap(it -> it[0], it -> it[1]));
        NewTopic topic = new NewTopic(request[1], assignment).configs(configs);
        admin.createTopics(List.of(topic)).all().get();
        return "";
    }

    private String delete(String name) throws Exception {
        admin.deleteTopics(List.of(name)).all().get();
        return "";
    }

    private String leaders(String name) throws Exception {
        return describe(true).get(name).partitions().stream()
                .map(it -> it.leader() == null ? "-" : String.valueOf(it.leader().id()))
                .collect(Collectors.joining(" "));
    }

    private String elect() throws Exception {
        admin.electLeaders(ElectionType.PREFERRED, null).partitions().get();
        return "";
    }

    /** Partitions that are not led by their preferred replica, or have a replica out of sync. */
    private String unsettled() throws Exception {
        long count = describe(true).values().stream()
                .flatMap(topic -> topic.partitions().stream())
                .filter(it -> it.leader() == null
                        || it.leader().id() != it.replicas().get(0).id()
                        || it.isr().size() != it.replicas().size())
                .count();
        return String.valueOf(count);
    }

    private Config configOf(String broker) throws Exception {
        ConfigResource resource = new ConfigResource(ConfigResource.Type.BROKER, broker);
        DescribeConfigsOptions options = new DescribeConfigsOptions().includeSynonyms(true);
        return admin.describeConfigs(List.of(resource), options).all().get().get(resource);
    }

    private String config(String broker) throws Exception {
        Map<String, String> set = new TreeMap<>();
        for (ConfigEntry entry : configOf(broker).entries()) {
            Optional<ConfigEntry.ConfigSynonym> stored = entry.synonyms().stream()
                    .filter(it -> it.source() == ConfigSource.DYNAMIC_BROKER_CONFIG).findFirst();
            stored.ifPresent(it -> set.put(entry.name(), it.value() + "/" + entry.value()));
        }
        return set.entrySet().stream().map(it -> it.getKey() + "=" + it.getValue())
                .collect(Collectors.joining(" "));
    }

    private String value(String broker, String key) throws Exception {
        return configOf(broker).get(key).value();
    }

    private String alter(String broker, ConfigEntry entry, AlterConfigOp.OpType how)
            throws Exception {
        ConfigResource resource = new ConfigResource(ConfigResource.Type.BROKER, broker);
        Collection<AlterConfigOp> change = List.of(new AlterConfigOp(entry, how));
        admin.incrementalAlterConfigs(Map.of(resource, change)).all().get();
        return "";
    }

    private Map<ClientQuotaEntity, Map<String, Double>> allQuotas() throws Exception {
        return admin.describeClientQuotas(ClientQuotaFilter.all()).entities().get();
    }

    private String quotas() throws Exception {
        List<String> words = new ArrayList<>();
        allQuotas().forEach((entity, limits) -> limits.forEach((key, limit) -> words.add(
                new LinkedHashMap<>(entity.entries()).values() + ":" + key + "=" + limit)));
        return String.join(" ", words);
    }

    private String removeQuotas() throws Exception {
        List<ClientQuotaAlteration> removals = allQuotas().entrySet().stream()
                .map(it -> new ClientQuotaAlteration(it.getKey(), it.getValue().keySet().stream()
                        .map(key -> new ClientQuotaAlteration.Op(key, null)).toList()))
                .toList();
        admin.alterClientQuotas(removals).all().get();
        return "";
    }
}
