import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * A consumer that takes a fixed time for each record, so that a group of too few of them falls
 * behind.
 *
 * <p>usage: SlowConsumer HOST:PORT,... TOPIC GROUP classic|consumer MICROSECONDS
 */
public final class SlowConsumer {
    private SlowConsumer() {}

    public static void main(String[] args) throws InterruptedException {
        Map<String, Object> config = new HashMap<>();
        config.put("bootstrap.servers", args[0]);
        config.put("group.id", args[2]);
        config.put("group.protocol", args[3]);
        config.put("auto.offset.reset", "earliest");
        config.put("max.poll.records", 100);
        config.put("auto.commit.interval.ms", 500);
        long micros = Long.parseLong(args[4]);
        var bytes = new ByteArrayDeserializer();
        try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(config, bytes, bytes)) {
            // A container that is stopped leaves its group at once, before the session times out.
            Thread main = Thread.currentThread();
            Runtime.getRuntime().addShutdownHook(new Thread(() -> {
                consumer.wakeup();
                join(main);
            }));
            consumer.subscribe(List.of(args[1]));
            while (true) {
                long work = micros * consumer.poll(Duration.ofMillis(500)).count();
                Thread.sleep(work / 1000);
            }
        } catch (WakeupException stopped) {
            System.err.println("slow consumer: stopped");
        }
    }

    private static void join(Thread thread) {
        try {
            thread.join(5000);
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
