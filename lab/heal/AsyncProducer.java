import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.locks.LockSupport;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * A producer that does not wait for its answers and runs until it is stopped: the traffic behind a
 * lag, or a flood.
 *
 * <p>usage: AsyncProducer HOST:PORT,... TOPIC CLIENT_ID RECORDS_PER_SECOND RECORD_BYTES BATCH_BYTES
 */
public final class AsyncProducer {
    private AsyncProducer() {}

    public static void main(String[] args) {
        Map<String, Object> config = new HashMap<>();
        config.put("bootstrap.servers", args[0]);
        config.put("client.id", args[2]);
        config.put("acks", "1");
        config.put("enable.idempotence", false);
        config.put("linger.ms", 20);
        config.put("batch.size", Integer.parseInt(args[5]));
        // A record that a quota delays is still sent.
        config.put("delivery.timeout.ms", 600_000);
        config.put("max.block.ms", 600_000);
        long pause = 1_000_000_000L / Long.parseLong(args[3]);
        byte[] value = new byte[Integer.parseInt(args[4])];
        var bytes = new ByteArraySerializer();
        try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(config, bytes, bytes)) {
            long next = System.nanoTime();
            while (true) {
                producer.send(new ProducerRecord<>(args[1], value));
                // A full buffer makes it wait; at most one second of that is caught up with.
                next = Math.max(next + pause, System.nanoTime() - 1_000_000_000L);
                LockSupport.parkNanos(next - System.nanoTime());
            }
        }
    }
}
